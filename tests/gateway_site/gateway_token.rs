//! `gateway_token` on real gateways.

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokensmith_tests::executable::Run;
use tokensmith_tests::gateway_site::{Caller, GatewaySite};
use tokensmith_tests::installed::Installed;

use super::{Tasks, on_every_release};

#[test]
fn two_personal_tokens_an_ambiguous_application_and_a_token_deleted_by_its_value() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::of(site, "admin")?;
        let wish =
            |options: Value| tasks.gateway_token(with(json!({ "description": "parity", "state": "rotated" }), options));
        let first = wish(json!({ "scope": "read" }))?.succeeded();
        let second = wish(json!({ "scope": ["write"], "description": "parity, the second" }))?.succeeded();
        assert!(first.changed() && second.changed() && first.result["id"] != second.result["id"]);
        assert!(site.works(first.text("token"))? && site.works(second.text("token"))?);
        let refused = wish(json!({ "application": "ci" }))?;
        assert!(refused.failed() && refused.message().contains("nothing says which is meant"), "{refused}");
        let refused = wish(json!({ "application": "Nowhere" }))?;
        assert!(refused.failed() && refused.message().contains("there is no application Nowhere"), "{refused}");
        let third = wish(json!({ "application": "ci", "organization": "Engineering" }))?.succeeded();
        assert!(site.works(third.text("token"))?);
        assert_eq!(third.text("refresh_token").len(), 30);
        let organization = site.find("organizations", "name", "Engineering")?["id"].clone();
        let application = site.get(Caller::User("admin"), &format!("applications/{}/", third.result["application"]))?;
        assert_eq!(application.expect(200)?["organization"], organization);
        // As returned, and alone.
        for (given, run) in [
            (json!({ "token": first.text("token"), "id": first.result["id"] }), &first),
            (json!(second.text("token")), &second),
            (third.result.clone(), &third),
        ] {
            let options = json!({ "existing_token": given, "state": "absent" });
            let deleted = tasks.gateway_token(options.clone())?.succeeded();
            assert_eq!(
                (deleted.changed(), &deleted.result["deleted"]),
                (true, &json!([run.result["id"]])),
                "{deleted}"
            );
            assert!(!site.works(run.text("token"))?);
            assert!(!tasks.gateway_token(options)?.succeeded().changed(), "it is gone already");
        }
        Ok(())
    })
}

#[test]
fn a_token_is_created_used_deleted_with_itself_and_another_by_its_id() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::new(site, "itself")?;
        let first = tasks.gateway_token(json!({ "state": "rotated" }))?.succeeded();
        let token = first.text("token");
        let acting = json!({ "gateway_token": token, "gateway_username": null, "gateway_password": null });
        let second =
            tasks.gateway_token(with(acting.clone(), json!({ "state": "rotated", "description": "by the first" })))?;
        let second = second.succeeded();
        assert!(site.works(second.text("token"))?);
        let deleted =
            tasks.gateway_token(with(acting, json!({ "existing_token": token, "state": "absent" })))?.succeeded();
        assert_eq!((deleted.changed(), &deleted.result["deleted"]), (true, &json!([first.result["id"]])), "{deleted}");
        assert!(!site.works(token)? && site.works(second.text("token"))?);
        let by_id = json!({ "existing_token_id": second.result["id"], "state": "absent" });
        let deleted = tasks.gateway_token(by_id.clone())?.succeeded();
        assert_eq!((deleted.changed(), &deleted.result["deleted"]), (true, &json!([second.result["id"]])), "{deleted}");
        assert!(!site.works(second.text("token"))? && site.rows(&tasks.user)?.is_empty());
        assert!(!tasks.gateway_token(by_id)?.succeeded().changed(), "it is gone already");
        Ok(())
    })
}

#[test]
fn a_token_in_a_file_is_replaced_for_each_reason_and_the_old_one_is_dead() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::new(site, "rotation")?;
        let dest = json!({ "dest": tasks.path("token") });
        let task =
            |options: Value| Ok::<Run, anyhow::Error>(tasks.gateway_token(with(dest.clone(), options))?.succeeded());
        let mut run = task(json!({}))?;
        assert_eq!((run.text("reason"), run.changed()), ("missing", true), "{run}");
        let cases: [(&str, Value, Change); 7] = [
            ("forced", json!({ "state": "rotated" }), |_, _| Ok(())),
            ("expiring", json!({}), |site, id| site.end_in(id, 29 * DAY)),
            ("expiring", json!({ "renew_before": "60d" }), |site, id| site.end_in(id, 59 * DAY)),
            ("expired", json!({}), |site, id| site.end_in(id, -1)),
            ("aged", json!({ "max_age": "7d" }), |site, id| site.age(id, 8 * 86_400)),
            ("drifted", json!({ "scope": "read" }), |_, _| Ok(())),
            ("dead", json!({ "scope": "read" }), |site, id| {
                site.delete(Caller::User("admin"), &format!("tokens/{id}/"))?.expect(204).map(drop)
            }),
        ];
        for (reason, options, change) in cases {
            let (old, old_id) = (tasks.token_in("token")?, run.result["id"].clone());
            change(site, &old_id)?;
            run = task(options.clone())?;
            assert_eq!(
                (run.text("reason"), run.changed(), &run.result["created"]),
                (reason, true, &json!(true)),
                "{run}"
            );
            let new = tasks.token_in("token")?;
            assert!(new != old && site.works(&new)? && !site.works(&old)?, "{reason}");
            assert_eq!(living(site, &tasks.user)?, [run.result["id"].clone()], "{reason}: one token and no other");
            let without_force = with(options, json!({ "state": "present" }));
            let again = task(without_force)?;
            assert_eq!(
                (again.text("reason"), again.changed(), &again.result["id"]),
                ("valid", false, &run.result["id"]),
                "{reason}"
            );
        }
        let absent = task(json!({ "scope": "read", "state": "absent" }))?;
        assert_eq!(absent.result["deleted"], json!([run.result["id"]]), "{absent}");
        assert!(!tasks.path("token").exists() && living(site, &tasks.user)?.is_empty());
        Ok(())
    })
}

#[test]
fn the_playbook_of_the_installed_collection_keeps_a_token_fresh() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let tasks = Tasks::new(site, "playbook")?;
    let installed = Installed::on_tools();
    let variables = json!({
        "gateway_hostname": site.url(),
        "gateway_username": tasks.user,
        "gateway_password": site.password(&tasks.user),
        "gateway_tokens": [{ "description": "pipeline", "dest": tasks.path("token"), "scope": ["read"] }],
    });
    let mut secrets = vec![site.password(&tasks.user)];
    for (reason, days) in [("missing", 365), ("valid", 365), ("expiring", 20)] {
        for row in site.rows(&tasks.user)? {
            site.end_in(&row["id"], days * DAY)?;
        }
        let printed = installed.playbook("tokensmith.redhat.rotate_gateway_token", &variables).succeeded();
        assert!(printed.contains(&format!("pipeline: {reason}, token")), "{printed}");
        secrets.push(tasks.token_in("token")?);
        assert!(!secrets.iter().any(|secret| printed.contains(secret.as_str())), "{printed}");
        assert_eq!(site.rows(&tasks.user)?.len(), 1);
    }
    assert_eq!(secrets[1], secrets[2]);
    assert!(!site.works(&secrets[2])? && site.works(&secrets[3])?);
    Ok(())
}

#[test]
fn a_token_renews_itself() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::new(site, "self")?;
        let dest = tasks.path("token");
        tasks.gateway_token(json!({ "dest": dest }))?.succeeded();
        for state in ["rotated", "rotated", "present"] {
            let old = tasks.token_in("token")?;
            let options = json!({ "gateway_username": null, "gateway_password": null, "gateway_token_file": dest, "dest": dest, "state": state });
            let run = tasks.gateway_token(options)?.succeeded();
            let new = tasks.token_in("token")?;
            assert_eq!(run.changed(), state == "rotated", "{run}");
            assert_eq!((new != old, site.works(&old)?), (run.changed(), !run.changed()));
            assert!(site.works(&new)?);
            assert_eq!(site.rows(&tasks.user)?.len(), 1, "{run}");
        }
        Ok(())
    })
}

#[test]
fn a_token_that_somebody_else_created_is_found_by_its_last_use() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::new(site, "found")?;
        // Several of them, so that the description does not tell.
        let rows = [(); 3].map(|()| site.issue(&tasks.user, &json!({ "description": tasks.user })));
        let [other, held, third] = rows;
        let (other, held, third) = (other?, held?, third?);
        let old = held["token"].as_str().unwrap_or_default().to_owned();
        std::fs::write(tasks.path("token"), &old)?;
        let run =
            tasks.gateway_token(json!({ "dest": tasks.path("token"), "state": "rotated", "mode": null }))?.succeeded();
        assert_eq!(run.result["deleted"], json!([held["id"]]), "{run}");
        assert!(!site.works(&old)? && site.works(&tasks.token_in("token")?)?);
        let left: Vec<Value> = site.rows(&tasks.user)?.into_iter().map(|row| row["id"].clone()).collect();
        assert_eq!(left, [other["id"].clone(), third["id"].clone(), run.result["id"].clone()]);
        Ok(())
    })
}

#[test]
fn the_token_of_another_user_is_left_alone() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::new(site, "mine")?;
        let others = site.issue(&site.make_user("theirs")?, &json!({ "description": tasks.user }))?;
        std::fs::write(tasks.path("token"), others["token"].as_str().unwrap_or_default())?;
        tasks.token_in("token")?;
        let run = tasks.gateway_token(json!({ "dest": tasks.path("token") }))?.succeeded();
        assert_eq!((run.text("reason"), &run.result["deleted"]), ("drifted", &json!([])), "{run}");
        assert!(run.warnings().contains("left alone"), "{run}");
        assert!(site.works(others["token"].as_str().unwrap_or_default())?);
        assert_eq!(site.rows(&tasks.user)?.len(), 1);
        Ok(())
    })
}

#[test]
fn a_token_of_an_application_is_kept_in_a_file_too() -> Result<()> {
    on_every_release(|site, release| {
        let tasks = Tasks::of(site, "admin")?;
        let options = json!({
            "dest": tasks.path("token"), "application": "deploy", "description": format!("application's on {release}"),
        });
        let first = tasks.gateway_token(options.clone())?.succeeded();
        let old = tasks.token_in("token")?;
        assert!(first.result.get("refresh_token").is_none() && first.result["application"].is_u64(), "{first}");
        assert_eq!(tasks.gateway_token(options.clone())?.succeeded().text("reason"), "valid");
        let second = tasks.gateway_token(with(options.clone(), json!({ "state": "rotated" })))?.succeeded();
        assert_eq!(second.result["deleted"], json!([first.result["id"]]), "{second}");
        assert!(!site.works(&old)? && site.works(&tasks.token_in("token")?)?);
        tasks.gateway_token(with(options, json!({ "state": "absent" })))?.succeeded();
        Ok(())
    })
}

#[test]
fn a_description_stands_for_a_token_where_there_is_no_file() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::new(site, "described")?;
        let first = tasks.gateway_token(json!({}))?.succeeded();
        assert_eq!((first.text("reason"), first.changed()), ("missing", true), "{first}");
        let again = tasks.gateway_token(json!({}))?.succeeded();
        assert_eq!((again.text("reason"), again.changed(), &again.result["id"]), ("valid", false, &first.result["id"]));
        tasks.gateway_token(json!({ "state": "rotated" }))?.succeeded();
        let several = tasks.gateway_token(json!({ "state": "absent" }))?;
        assert!(several.failed() && several.message().contains("nothing says which is meant"), "{several}");
        assert_eq!(site.rows(&tasks.user)?.len(), 2, "none was deleted");
        tasks.gateway_token(json!({ "state": "absent", "all_of_description": true }))?.succeeded();
        assert!(site.rows(&tasks.user)?.is_empty());
        Ok(())
    })
}

#[test]
fn check_mode_creates_and_deletes_nothing() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::new(site, "check")?;
        let check = |options: Value| {
            tasks.gateway_token(with(json!({ "dest": tasks.path("token"), "_ansible_check_mode": true }), options))
        };
        assert!(check(json!({}))?.succeeded().changed());
        assert!(site.rows(&tasks.user)?.is_empty() && !tasks.path("token").exists());
        tasks.gateway_token(json!({ "dest": tasks.path("token") }))?.succeeded();
        let (token, rows) = (tasks.token_in("token")?, site.rows(&tasks.user)?.len());
        for state in ["rotated", "absent"] {
            assert!(check(json!({ "state": state }))?.succeeded().changed(), "{state}");
        }
        assert!(!check(json!({}))?.succeeded().changed());
        assert!(site.works(&token)? && site.rows(&tasks.user)?.len() == rows && tasks.token_in("token")? == token);
        Ok(())
    })
}

#[test]
fn what_the_gateway_refuses_is_told_with_its_cause() -> Result<()> {
    on_every_release(|site, release| {
        let tasks = Tasks::new(site, "told")?;
        let read = site.issue(&tasks.user, &json!({ "scope": "read" }))?["token"].clone();
        let expired = site.issue_ending_in(&tasks.user, &json!({}), -1)?["token"].clone();
        let acting =
            |token: &Value| json!({ "gateway_username": null, "gateway_password": null, "gateway_token": token });
        let mut cases = vec![
            (json!({ "gateway_password": "not the right one" }), "the user name or the password is wrong"),
            (acting(&json!("thisIsNotATokenOfAnybodyAtAll1")), "is not known here"),
            (acting(&expired), "has ended"),
            (acting(&read), "its scope is too small"),
            (json!({ "application": "deploy" }), "tokens of applications need an administrator"),
            (
                json!({ "gateway_username": "erin", "gateway_password": "erin-test-only" }),
                "comes from an external identity provider",
            ),
            (json!({ "api": "controller" }), "there is no such API at this address"),
        ];
        if release == "2025.5.8" {
            cases.push((json!({ "scope": ["read", "openid"] }), "the scope is not one of this server's"));
        }
        for (options, sentence) in cases {
            let run = tasks.gateway_token(with(json!({ "dest": tasks.path("token") }), options))?;
            assert!(run.failed() && !run.changed() && run.message().contains(sentence), "{sentence}: {run}");
            assert!(!tasks.path("token").exists());
        }
        assert_eq!(site.rows(&tasks.user)?.len(), 2, "none was created");
        Ok(())
    })
}

#[test]
fn a_token_that_changes_nothing_is_rotated_with_a_password() -> Result<()> {
    on_every_release(|site, _| {
        let tasks = Tasks::new(site, "reader")?;
        let options = json!({ "dest": tasks.path("token"), "scope": ["read"] });
        tasks.gateway_token(options.clone())?.succeeded();
        let old = tasks.token_in("token")?;
        tasks.gateway_token(with(options, json!({ "state": "rotated" })))?.succeeded();
        assert!(!site.works(&old)? && site.works(&tasks.token_in("token")?)?);
        Ok(())
    })
}

#[test]
fn an_old_token_lives_on_for_the_overlap() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let tasks = Tasks::new(site, "overlap")?;
    let options = json!({ "dest": tasks.path("token"), "overlap": "2d" });
    let first = tasks.gateway_token(options.clone())?.succeeded();
    let old = tasks.token_in("token")?;
    let second = tasks.gateway_token(with(options.clone(), json!({ "state": "rotated" })))?.succeeded();
    assert_eq!(second.result["still_valid"], json!([first.result["id"]]), "{second}");
    assert!(site.works(&old)? && site.works(&tasks.token_in("token")?)?);
    tasks.gateway_token(with(options, json!({ "overlap": "0" })))?.succeeded();
    tasks.gateway_token(json!({ "dest": tasks.path("token"), "state": "absent" }))?.succeeded();
    assert!(!site.works(&old)? && site.rows(&tasks.user)?.is_empty());
    Ok(())
}

/// Ids of a user's tokens that have not ended. What has is left to the command that clears such rows away.
fn living(site: &GatewaySite, user: &str) -> Result<Vec<Value>> {
    let now = Utc::now();
    let mut rows = site.rows(user)?;
    rows.retain(|row| {
        row["expires"].as_str().and_then(|time| time.parse().ok()).is_none_or(|end: DateTime<Utc>| end > now)
    });
    Ok(rows.iter().map(|row| row["id"].clone()).collect())
}

fn with(mut all: Value, options: Value) -> Value {
    if let (Value::Object(all), Value::Object(options)) = (&mut all, options) {
        all.extend(options);
    }
    all
}

/// What happens to a token behind the module's back.
type Change = fn(&GatewaySite, &Value) -> Result<()>;

const DAY: i64 = 86_400;
