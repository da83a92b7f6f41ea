//! The management command.

use std::process::Output;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokensmith_tests::gateway_site::{ACCESS_LIFE, Caller, GatewaySite, REFRESH_LIFE};

use super::{on_every_release, stored_form};

#[test]
fn create_prints_the_token_alone_and_its_errors_name_the_user() -> Result<()> {
    on_every_release(|site, release| {
        let user = site.make_user("command")?;
        for verbosity in ["0", "1"] {
            let token = stdout(&run(site, &["create_oauth2_token", "-v", verbosity, "--user", &user], 0)?);
            assert!(token.len() == 31 && token.ends_with('\n'), "a token and a line feed: {} characters", token.len());
            assert!(token.trim_end().chars().all(|letter| letter.is_ascii_alphanumeric()));
            assert!(site.works(token.trim_end())?);
        }
        let rows = site.rows(&user)?;
        assert_eq!(rows.len(), 2, "each call makes one more");
        for row in rows {
            assert_eq!((&row["scope"], &row["description"]), (&json!("write"), &json!("")));
        }
        // The rest is Django's and costs a second a call.
        if release != GatewaySite::CURRENT {
            return Ok(());
        }
        let capital = user.to_uppercase();
        let no_name = "CommandError: Username not supplied. Usage: create_oauth2_token --user=username.";
        let cases = [
            (vec![], 1, no_name),
            (vec!["--user", ""], 1, no_name),
            (vec!["--user", "nobody"], 1, "CommandError: The user does not exist."),
            (vec!["--user", &capital], 1, "CommandError: The user does not exist."),
            (vec!["admin"], 2, "aap-gateway-manage create_oauth2_token: error: unrecognized arguments: admin"),
            (
                vec!["--user", "erin"],
                1,
                "PermissionDenied: (access_denied) OAuth2 Tokens cannot be created by users associated with an external authentication provider (Corporate Keycloak)",
            ),
        ];
        for (arguments, status, sentence) in cases {
            let output = run(site, &[&["create_oauth2_token"], arguments.as_slice()].concat(), status)?;
            assert_eq!(stdout(&output), "", "{arguments:?}");
            let last = stderr(&output).trim_end().lines().last().unwrap_or_default().to_owned();
            assert!(last.ends_with(sentence), "{arguments:?}: {last}");
        }
        Ok(())
    })
}

#[test]
fn a_user_is_found_by_a_name_of_digits_and_never_by_number() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let token = stdout(&run(site, &["create_oauth2_token", "--user", "12345"], 0)?);
    let me = site.get(Caller::Token(token.trim_end()), "me/")?.expect(200)?;
    assert_eq!(me["results"][0]["username"], "12345");
    let id = site.find("users", "username", "alice")?["id"].to_string();
    run(site, &["create_oauth2_token", "--user", &id], 1)?;
    Ok(())
}

#[test]
fn a_life_of_nothing_makes_a_token_that_is_already_expired() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let output =
        site.manage_with(&[(ACCESS_LIFE, "0")], &["create_oauth2_token", "--user", &site.make_user("short")?])?;
    assert!(output.status.success() && !site.works(stdout(&output).trim_end())?);
    Ok(())
}

#[test]
fn revoke_takes_one_users_tokens_and_prints_their_stored_form() -> Result<()> {
    on_every_release(|site, release| {
        let (user, other) = (site.make_user("revoked")?, site.make_user("spared")?);
        let [first, second, spared] = [&user, &user, &other].map(|user| value(&site.issue(user, &json!({}))?));
        let (first, second, spared) = (first?, second?, spared?);
        // Red Hat's documentation names this option.
        let unknown = run(site, &["revoke_oauth2_tokens", "--user", &user, "--revoke_refresh"], 2)?;
        assert!(stderr(&unknown).ends_with("error: unrecognized arguments: --revoke_refresh\n"));
        assert!(site.works(&first)? && site.works(&second)?);
        let printed = stdout(&run(site, &["revoke_oauth2_tokens", "--user", &user], 0)?);
        let expected: String =
            [&first, &second].map(|token| format!("revoked OAuth2AccessToken {}\n", stored_form(token))).concat();
        assert_eq!(printed, expected);
        assert!(!site.works(&first)? && !site.works(&second)? && site.works(&spared)?);
        assert!(site.rows(&user)?.is_empty(), "they are deleted");
        if release != GatewaySite::CURRENT {
            return Ok(());
        }
        assert_eq!(stdout(&run(site, &["revoke_oauth2_tokens", "--user", &user], 0)?), "", "nothing is left to revoke");
        let nobody = run(site, &["revoke_oauth2_tokens", "--user", "nobody"], 1)?;
        assert!(stderr(&nobody).contains("CommandError: A user with that username does not exist."));
        Ok(())
    })
}

#[test]
fn revoke_with_all_takes_refresh_tokens_and_their_access_tokens_with_them() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let user = site.make_user("all")?;
    let (id, secret) = site.client()?;
    let client = (id.as_str(), secret.as_str());
    let right = site.password(&user);
    let form = [("grant_type", "password"), ("username", user.as_str()), ("password", &right)];
    let pair = site.oauth("token", client, &form)?.expect(201)?;
    let personal = value(&site.issue(&user, &json!({}))?)?;
    let printed = stdout(&run(site, &["revoke_oauth2_tokens", "--all", "--user", &user], 0)?);
    let refresh = pair["refresh_token"].as_str().context("a refresh token")?;
    let expected = format!(
        "revoked OAuth2RefreshToken {}\nrevoked OAuth2AccessToken {}\n",
        stored_form(refresh),
        stored_form(&personal)
    );
    assert_eq!(printed, expected);
    assert!(!site.works(pair["access_token"].as_str().context("an access token")?)? && !site.works(&personal)?);
    let again = site.oauth("token", client, &[("grant_type", "refresh_token"), ("refresh_token", refresh)])?;
    assert_eq!(again.expect(400)?["error"], "invalid_grant");
    Ok(())
}

#[test]
fn revoke_without_all_leaves_a_refresh_token_that_breaks_the_server() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let user = site.make_user("plain")?;
    let (id, secret) = site.client()?;
    let client = (id.as_str(), secret.as_str());
    let right = site.password(&user);
    let form = [("grant_type", "password"), ("username", user.as_str()), ("password", &right)];
    let pair = site.oauth("token", client, &form)?.expect(201)?;
    let refresh = pair["refresh_token"].as_str().context("a refresh token")?;
    run(site, &["revoke_oauth2_tokens", "--user", &user], 0)?;
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(site.oauth("token", client, &form)?.status, 500);
    run(site, &["revoke_oauth2_tokens", "--all", "--user", &user], 0)?;
    assert_eq!(site.oauth("token", client, &form)?.expect(400)?["error"], "invalid_grant");
    Ok(())
}

#[test]
fn revoke_with_an_empty_user_takes_everybodys_tokens_without_a_question() -> Result<()> {
    let Some(site) = own_site()? else { return Ok(()) };
    let tokens = [value(&site.issue("alice", &json!({}))?)?, value(&site.issue("bob", &json!({}))?)?];
    let printed = stdout(&run(&site, &["revoke_oauth2_tokens", "--user", ""], 0)?);
    assert_eq!(printed.lines().count(), 2);
    assert!(!site.works(&tokens[0])? && !site.works(&tokens[1])?);
    Ok(())
}

#[test]
fn its_help_tells_which_flag_a_build_has() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let help = stdout(&run(site, &["revoke_oauth2_tokens", "-h"], 0)?);
    assert!(help.contains("--all") && !help.contains("--revoke_refresh"));
    let unknown = stderr(&run(site, &["nonsense"], 1)?);
    assert!(unknown.ends_with("Unknown command: 'nonsense'\nType 'aap-gateway-manage help' for usage.\n"), "{unknown}");
    Ok(())
}

#[test]
fn cleartokens_is_silent_and_cleanup_tokens_counts_on_standard_error() -> Result<()> {
    let Some(site) = own_site()? else { return Ok(()) };
    site.issue_ending_in("alice", &json!({}), 0)?;
    let living = value(&site.issue("alice", &json!({}))?)?;
    let output = run(&site, &["cleanup_tokens", "-v", "0"], 0)?;
    assert_eq!((stdout(&output), counts(&output)), (String::new(), vec![]));
    assert_eq!(site.rows("alice")?.len(), 1, "the expired one is gone");
    site.issue_ending_in("alice", &json!({}), 0)?;
    let output = run(&site, &["cleanup_tokens"], 0)?;
    assert_eq!(stdout(&output), "");
    assert_eq!(
        counts(&output),
        ["Expired OAuth 2 Access Tokens deleted: 1", "Expired OAuth 2 Refresh Tokens deleted: 0"]
    );
    site.issue_ending_in("alice", &json!({}), 0)?;
    let output = run(&site, &["cleartokens"], 0)?;
    assert_eq!((stdout(&output), counts(&output)), (String::new(), vec![]));
    assert!(site.rows("alice")?.len() == 1 && site.works(&living)?);
    Ok(())
}

#[test]
fn an_expired_token_of_an_application_stays_until_its_refresh_token_ages_out() -> Result<()> {
    let Some(site) = own_site()? else { return Ok(()) };
    let application = site.find("applications", "name", "deploy")?;
    site.issue_ending_in("admin", &json!({ "application": application["id"] }), -100)?;
    run(&site, &["cleartokens"], 0)?;
    assert_eq!(site.rows("admin")?.len(), 1);
    let aged = site.manage_with(&[(REFRESH_LIFE, "10")], &["cleartokens"])?;
    assert!(aged.status.success() && site.rows("admin")?.is_empty(), "{}", stderr(&aged));
    Ok(())
}

#[test]
fn clearsessions_takes_expired_sessions_and_says_nothing() -> Result<()> {
    let Some(site) = own_site()? else { return Ok(()) };
    run(&site, &["shell", "-v0", "-c", MAKE_SESSIONS], 0)?;
    assert_eq!(stdout(&run(&site, &["clearsessions"], 0)?), "");
    assert_eq!(stdout(&run(&site, &["shell", "-v0", "-c", COUNT_SESSIONS], 0)?), "1\n");
    Ok(())
}

/// Runs the command, which must end with that status.
fn run(site: &GatewaySite, arguments: &[&str], status: i32) -> Result<Output> {
    let output = site.manage(arguments)?;
    if output.status.code() != Some(status) {
        bail!("{arguments:?} ended with {}: {}", output.status, stderr(&output));
    }
    Ok(output)
}

/// For what hits every user.
fn own_site() -> Result<Option<GatewaySite>> {
    GatewaySite::start(GatewaySite::CURRENT, &[])
}

/// The lines that tell what was deleted; unrelated lines stand around them.
fn counts(output: &Output) -> Vec<String> {
    stderr(output).lines().filter(|line| line.contains("deleted")).map(str::to_owned).collect()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn value(row: &serde_json::Value) -> Result<String> {
    Ok(row["token"].as_str().context("a token")?.to_owned())
}

const MAKE_SESSIONS: &str = "
from datetime import timedelta
from django.contrib.sessions.models import Session
from django.utils.timezone import now
for key, days in (('old', -1), ('young', 1)):
    Session.objects.create(session_key=key, session_data='', expire_date=now() + timedelta(days=days))
";
const COUNT_SESSIONS: &str = "
from django.contrib.sessions.models import Session
print(Session.objects.count())
";
