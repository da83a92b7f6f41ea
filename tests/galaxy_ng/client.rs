//! What `ansible-galaxy` does with a token, as far as the formats of `hub_token` depend on it.

use std::fs;

use anyhow::Result;
use reqwest::Method;
use tokensmith_tests::galaxy_ng::{Caller, GalaxyNg, TOKEN};
use tokensmith_tests::scene::{mode, read};

use crate::galaxy::Galaxy;

#[test]
fn a_section_of_a_listed_server_is_used() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let token = hub.issue(&hub.make_user("casey")?)?;
    let server = format!("url = {}", hub.server());
    let of_section = format!("[galaxy]\nserver_list = hub\n[galaxy_server.hub]\n{server}\ntoken = {token}\n");
    let without_token = format!("[galaxy]\nserver_list = hub\n[galaxy_server.hub]\n{server}\n");
    let unlisted = format!("[galaxy_server.hub]\n{server}\ntoken = {token}\n");
    let token_file = format!("token: {token}\n");
    let cases: [(&str, &str, &[&str], &str); 5] = [
        ("the section's token", &of_section, &[], KNOWN),
        ("no token", &without_token, &[], ANONYMOUS),
        ("the command line's is ignored", &without_token, &["--token", &token], ANONYMOUS),
        ("a server given by its name", &of_section, &["-s", "hub"], KNOWN),
        ("an unlisted section is not there", &unlisted, &["-s", "hub"], "unknown url type: 'hub/api'"),
    ];
    for (label, configuration, words, expected) in cases {
        let galaxy = Galaxy::new(configuration);
        // Such a file counts for none of these servers.
        fs::write(galaxy.token_file(), &token_file)?;
        let said = galaxy.ask(words, &[]);
        assert!(said.contains(expected), "{label}: {said}");
    }
    let said = Galaxy::new(&without_token).ask(&[], &[("ANSIBLE_GALAXY_SERVER_HUB_TOKEN", &token)]);
    assert!(said.contains(KNOWN), "the environment's token: {said}");
    Ok(())
}

#[test]
fn a_token_file_is_used_for_a_server_given_by_its_address() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let token = hub.issue(&hub.make_user("casey")?)?;
    let default = format!("[galaxy]\nserver = {}\n", hub.server());
    let server = hub.server();
    let given = ["-s", server.as_str()];
    let contents = [
        ("YAML", format!("token: {token}\n"), KNOWN),
        ("YAML with its mark", format!("---\ntoken: '{token}'\n"), KNOWN),
        ("JSON", format!("{{\"token\": \"{token}\"}}\n"), KNOWN),
        ("the bare token is ignored without a word", format!("{token}\n"), ANONYMOUS),
    ];
    for (label, content, expected) in &contents {
        let galaxy = Galaxy::new("");
        fs::write(galaxy.token_file(), content)?;
        let said = galaxy.ask(&given, &[]);
        assert!(said.contains(expected), "{label}: {said}");
    }
    let galaxy = Galaxy::new(&default);
    fs::write(galaxy.token_file(), &contents[0].1)?;
    let said = galaxy.ask(&[], &[]);
    assert!(said.contains(KNOWN), "the default server: {said}");
    Ok(())
}

#[test]
fn a_missing_token_file_is_made_empty() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let galaxy = Galaxy::new("");
    let said = galaxy.ask(&["-s", &hub.server()], &[]);
    assert!(said.contains(ANONYMOUS), "{said}");
    assert_eq!((read(&galaxy.token_file()).as_str(), mode(&galaxy.token_file())), ("", 0o600));
    Ok(())
}

#[test]
fn a_dead_token_is_named_only_behind_the_question_for_versions() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let user = hub.make_user("casey")?;
    let token = hub.issue(&user)?;
    hub.call(Method::DELETE, Caller::User(&user), TOKEN, None)?;
    let section = format!("[galaxy]\nserver_list = hub\n[galaxy_server.hub]\nurl = {}\n", hub.server());
    let cases = [
        (format!("token = {token}\n"), ANONYMOUS),
        (
            format!("token = {token}\napi_version = 3\n"),
            "HTTP Code: 403, Message: Invalid token. Code: authentication_failed",
        ),
        (
            "api_version = 3\n".to_owned(),
            "HTTP Code: 403, Message: Authentication credentials were not provided. Code: not_authenticated",
        ),
    ];
    for (rest, sentence) in cases {
        let said = Galaxy::new(&(section.clone() + &rest)).ask(&[], &[]);
        assert!(said.contains(sentence), "{said}");
    }
    Ok(())
}

/// Whoever is let in is told that there is no such collection.
const KNOWN: &str = "Failed to resolve the requested dependencies map";
/// The first request asks for the server's versions, and there a missing and a dead token look alike.
const ANONYMOUS: &str = "(HTTP Code: 403, Message: Forbidden)";
