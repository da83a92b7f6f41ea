//! `gateway_manage` with the real command.

use anyhow::{Context, Result};
use serde_json::json;
use tokensmith_tests::gateway_site::GatewaySite;
use tokensmith_tests::installed::Installed;

use super::Tasks;

#[test]
fn a_token_is_created_handed_over_and_then_left_alone() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let tasks = Tasks::new(site, "first")?;
    let mut options = json!({ "command": "create_oauth2_token", "user": tasks.user, "dest": tasks.path("token") });
    options["_ansible_check_mode"] = json!(true);
    assert!(tasks.gateway_manage(options.clone())?.succeeded().changed());
    assert!(site.rows(&tasks.user)?.is_empty() && !tasks.path("token").exists(), "nothing is done in check mode");
    options["_ansible_check_mode"] = json!(false);
    let run = tasks.gateway_manage(options.clone())?.succeeded();
    assert_eq!((run.text("reason"), run.changed()), ("missing", true), "{run}");
    let first = tasks.token_in("token")?;
    assert!(site.works(&first)? && !run.stdout.contains(&first));
    let again = tasks.gateway_manage(options.clone())?.succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("held", false), "{again}");
    options["force"] = json!(true);
    let forced = tasks.gateway_manage(options)?.succeeded();
    assert_eq!((forced.text("reason"), forced.changed()), ("forced", true), "{forced}");
    let second = tasks.token_in("token")?;
    assert!(second != first && site.works(&second)? && site.works(&first)?, "the command cannot revoke a single one");
    Ok(())
}

#[test]
fn every_release_prints_a_token_that_is_understood() -> Result<()> {
    super::on_every_release(|site, _| {
        let tasks = Tasks::new(site, "printed")?;
        let run = tasks.gateway_manage(json!({ "command": "create_oauth2_token", "user": tasks.user }))?.succeeded();
        assert!(run.changed() && site.works(run.text("token"))?);
        Ok(())
    })
}

#[test]
fn refusals_name_the_user_and_the_cause() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let tasks = Tasks::new(site, "refusals")?;
    let capital = tasks.user.to_uppercase();
    let cases = [
        ("create_oauth2_token", "erin", "belongs to the external authentication provider Corporate Keycloak"),
        ("create_oauth2_token", "nobody", "there is no user nobody"),
        ("create_oauth2_token", &capital, "there is no user REFUSALS"),
        ("create_oauth2_token", "", "user is empty"),
        ("revoke_oauth2_tokens", "nobody", "there is no user nobody"),
    ];
    for (command, user, sentence) in cases {
        let run = tasks.gateway_manage(json!({ "command": command, "user": user }))?;
        assert!(run.failed() && !run.changed() && run.message().contains(sentence), "{sentence}: {run}");
    }
    Ok(())
}

#[test]
fn an_empty_user_revokes_nobodys_tokens() -> Result<()> {
    let Some(site) = GatewaySite::start(GatewaySite::CURRENT, &[])? else { return Ok(()) };
    let tasks = Tasks::of(&site, "alice")?;
    let token = site.issue("alice", &json!({}))?["token"].as_str().context("a token")?.to_owned();
    for options in [json!({ "user": "" }), json!({ "user": " " }), json!({}), json!({ "user": "", "all_users": true })]
    {
        let mut all = options.clone();
        all["command"] = json!("revoke_oauth2_tokens");
        let run = tasks.gateway_manage(all)?;
        assert!(run.failed() && run.message().contains("user"), "{options}: {run}");
        assert!(site.works(&token)?, "{options}");
    }
    let everybody = tasks.gateway_manage(json!({ "command": "revoke_oauth2_tokens", "all_users": true }))?.succeeded();
    assert_eq!((everybody.changed(), &everybody.result["revoked_access_tokens"]), (true, &json!(1)), "{everybody}");
    assert!(!site.works(&token)?);
    Ok(())
}

#[test]
fn the_tokens_of_one_user_are_revoked_and_the_refresh_tokens_with_them() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let tasks = Tasks::new(site, "leaver")?;
    let spared = site.issue(&site.make_user("stayer")?, &json!({}))?["token"].as_str().context("a token")?.to_owned();
    let (id, secret) = site.client()?;
    let client = (id.as_str(), secret.as_str());
    let right = site.password(&tasks.user);
    let form = [("grant_type", "password"), ("username", tasks.user.as_str()), ("password", &right)];
    let pair = site.oauth("token", client, &form)?.expect(201)?;
    let personal = site.issue(&tasks.user, &json!({}))?;
    let options = json!({ "command": "revoke_oauth2_tokens", "user": tasks.user, "revoke_refresh": true });
    let run = tasks.gateway_manage(options.clone())?.succeeded();
    let counts = (&run.result["revoked_access_tokens"], &run.result["revoked_refresh_tokens"]);
    assert_eq!((run.changed(), counts), (true, (&json!(1), &json!(1))), "{run}");
    for token in [&pair["access_token"], &personal["token"]] {
        assert!(!site.works(token.as_str().context("a token")?)?);
    }
    assert!(site.works(&spared)?);
    let refresh = pair["refresh_token"].as_str().context("a refresh token")?;
    let again = site.oauth("token", client, &[("grant_type", "refresh_token"), ("refresh_token", refresh)])?;
    assert_eq!(again.expect(400)?["error"], "invalid_grant");
    assert!(!tasks.gateway_manage(options)?.succeeded().changed(), "nothing is left to revoke");
    Ok(())
}

#[test]
fn expired_tokens_and_sessions_are_cleared() -> Result<()> {
    let Some(site) = GatewaySite::start(GatewaySite::CURRENT, &[])? else { return Ok(()) };
    let tasks = Tasks::of(&site, "alice")?;
    site.issue_ending_in("alice", &json!({}), -1)?;
    let living = site.issue("alice", &json!({}))?["token"].as_str().context("a token")?.to_owned();
    let run = tasks.gateway_manage(json!({ "command": "cleartokens" }))?.succeeded();
    let counts = (&run.result["counted"], &run.result["deleted_access_tokens"], &run.result["deleted_refresh_tokens"]);
    assert_eq!((run.changed(), counts), (true, (&json!(true), &json!(1), &json!(0))), "{run}");
    assert!(site.works(&living)? && site.rows("alice")?.len() == 1);
    assert!(!tasks.gateway_manage(json!({ "command": "cleartokens" }))?.succeeded().changed());
    let run = tasks.gateway_manage(json!({ "command": "clearsessions" }))?.succeeded();
    assert_eq!((run.changed(), &run.result["counted"]), (true, &json!(false)), "the command does not say: {run}");
    Ok(())
}

#[test]
fn the_playbooks_of_the_installed_collection_clear_what_expired_and_revoke_what_is_left() -> Result<()> {
    let Some(site) = GatewaySite::start(GatewaySite::CURRENT, &[])? else { return Ok(()) };
    let installed = Installed::on_tools();
    let play = |name: &str| {
        let variables = json!({
            "gateway_executable": site.manage_executable(), "gateway_become": false, "gateway_confirm": true,
        });
        installed.playbook(name, &variables).succeeded()
    };
    site.issue_ending_in("alice", &json!({}), -1)?;
    let living = ["alice", "bob"].map(|user| site.issue(user, &json!({})));
    play("tokensmith.redhat.clear_expired");
    assert_eq!((site.rows("alice")?.len(), site.rows("bob")?.len()), (1, 1));
    let printed = play("tokensmith.redhat.revoke_all_tokens");
    assert!(printed.contains("2 access tokens and 0 refresh tokens were revoked"), "{printed}");
    for row in living {
        let token = row?["token"].as_str().context("a token")?.to_owned();
        assert!(!site.works(&token)? && !printed.contains(&token));
    }
    Ok(())
}
