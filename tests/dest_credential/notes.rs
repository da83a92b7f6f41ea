//! What the note says is all that the next run knows: no file is left of the last one, and no secret can be read.

use serde_json::{Value, json};
use tokensmith::secret::Secret;
use tokensmith_tests::credential::{CredentialScene, Issuer, NAME, OLD};
use tokensmith_tests::executable::Run;

#[test]
fn a_token_is_renewed_by_what_the_system_and_the_note_say_of_it() {
    let scene = CredentialScene::galaxy();
    let first = scene.run(Issuer::Gateway, json!({})).succeeded();
    let id = first.result["id"].as_i64().unwrap();
    let long = json!({ "renew_before": "400d" });
    let forecast =
        scene.run(Issuer::Gateway, json!({ "renew_before": "400d", "_ansible_check_mode": true })).succeeded();
    let expiring = scene.run(Issuer::Gateway, long).succeeded();
    assert_eq!(
        (forecast.text("reason"), forecast.changed(), expiring.text("reason")),
        ("expiring", true, "expiring"),
        "{expiring}"
    );
    assert_eq!(expiring.result["still_valid"], json!([id]), "jobs that started with it get an hour: {expiring}");
    let id = expiring.result["id"].as_i64().unwrap();
    scene.sandbox.gateway().revoke(id);
    let dead = scene.run(Issuer::Gateway, json!({})).succeeded();
    assert_eq!((dead.text("reason"), scene.holds_token_that_works(Issuer::Gateway)), ("dead", true), "{dead}");
}

#[test]
fn the_old_token_is_deleted_by_a_run_after_its_hour() {
    let scene = CredentialScene::galaxy();
    let first = scene.run(Issuer::Gateway, json!({})).succeeded();
    let old = scene.token().unwrap();
    let second = scene.run(Issuer::Gateway, json!({ "state": "rotated", "overlap": "1s" })).succeeded();
    assert_eq!(second.result["still_valid"], json!([first.result["id"]]));
    assert!(scene.works(Issuer::Gateway, &old));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let third = scene.run(Issuer::Gateway, json!({})).succeeded();
    assert_eq!((third.text("reason"), &third.result["deleted"]), ("valid", &json!([first.result["id"]])), "{third}");
    assert!(!scene.works(Issuer::Gateway, &old) && scene.holds_token_that_works(Issuer::Gateway));
    assert!(!scene.run(Issuer::Gateway, json!({})).succeeded().changed());
}

#[test]
fn the_age_of_a_hubs_token_is_that_of_its_note() {
    let scene = CredentialScene::galaxy();
    scene.run(Issuer::Hub, json!({})).succeeded();
    let young = scene.run(Issuer::Hub, json!({ "max_age": "1h" })).succeeded();
    assert_eq!((young.text("reason"), young.changed()), ("valid", false), "{young}");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let aged = scene.run(Issuer::Hub, json!({ "max_age": "1s" })).succeeded();
    assert_eq!((aged.text("reason"), scene.holds_token_that_works(Issuer::Hub)), ("aged", true), "{aged}");
}

#[test]
fn the_token_of_the_job_is_tried_where_it_is_the_one_that_the_credential_holds() {
    for issuer in Issuer::ALL {
        let scene = CredentialScene::galaxy();
        scene.run(issuer, json!({})).succeeded();
        let first = scene.token().unwrap();
        let held = with_token(&scene, issuer, &first).succeeded();
        assert_eq!((held.text("reason"), held.warnings().contains("started before")), ("valid", false), "{held}");
        scene.run(issuer, json!({ "state": "rotated" })).succeeded();
        let late = with_token(&scene, issuer, &first).succeeded();
        assert_eq!(late.text("reason"), "valid", "{late}");
        assert!(late.warnings().contains("the job started before the last rotation"), "{late}");
        // Killed behind the controller's back.
        let held = scene.token().unwrap();
        match issuer {
            Issuer::Gateway => drop(scene.sandbox.gateway().revoke(late.result["id"].as_i64().unwrap())),
            _ => drop(scene.sandbox.hub().issue_token("build")),
        }
        let dead = with_token(&scene, issuer, &held).succeeded();
        assert_eq!((dead.text("reason"), scene.holds_token_that_works(issuer)), ("dead", true), "{dead}");
        assert!(!dead.stdout.contains(&held), "{dead}");
    }
}

#[test]
fn a_token_without_a_note_is_taken_over_where_the_job_has_it_and_it_works() {
    for issuer in Issuer::ALL {
        let scene = CredentialScene::galaxy();
        let token = match issuer {
            Issuer::Gateway => scene.sandbox.gateway().issue_token("alice", "ci", "write").1,
            _ => scene.sandbox.hub().issue_token("build").unwrap(),
        };
        scene.patch(&json!({ "inputs": { "url": "u", "token": token } }));
        let issued = scene.issued(issuer);
        let taken = with_token(&scene, issuer, &token).succeeded();
        assert_eq!(
            (taken.text("reason"), scene.issued(issuer), scene.token()),
            ("drifted", issued, Some(token.clone())),
            "{taken}"
        );
        let again = scene.run(issuer, json!({})).succeeded();
        assert_eq!(
            (again.text("reason"), again.text("fingerprint")),
            ("valid", Secret::new(token.as_str()).fingerprint().as_str()),
            "{again}"
        );
        // Without a note and a token of the job, nothing is known.
        let scene = CredentialScene::galaxy();
        let missing = with_token(&scene, issuer, OLD).succeeded();
        assert_eq!((missing.text("reason"), scene.holds_token_that_works(issuer)), ("dead", true), "{missing}");
    }
}

#[test]
fn what_people_write_into_the_description_stays_and_a_note_that_they_edit_stops_the_run() {
    let scene = CredentialScene::galaxy();
    scene.patch(&json!({ "description": "für CI; ask Ann" }));
    scene.run(Issuer::Gateway, json!({})).succeeded();
    let description = scene.stored().description;
    assert!(description.starts_with("für CI; ask Ann [tokensmith token {\"holds\":\""), "{description}");
    scene.patch(&json!({ "description": description.replace("ask Ann", "ask Bob") }));
    let run = scene.run(Issuer::Gateway, json!({ "state": "rotated" })).succeeded();
    assert!(scene.stored().description.starts_with("für CI; ask Bob [tokensmith token {"), "{run}");
    let edited = scene.stored().description.replace("\"id\":\"", "\"id\":\"1");
    scene.patch(&json!({ "description": edited }));
    let stopped = scene.run(Issuer::Gateway, json!({}));
    assert!(stopped.failed() && stopped.message().contains("remove all from `[tokensmith` to `]`"), "{stopped}");
    scene.patch(&json!({ "description": "für CI; ask Bob" }));
    let anew = scene.run(Issuer::Gateway, json!({})).succeeded();
    assert_eq!(anew.text("reason"), "missing", "{anew}");
    assert!(scene.holds_token_that_works(Issuer::Gateway));
}

#[test]
fn two_fields_of_one_credential_have_a_note_each() {
    let scene = CredentialScene::custom();
    let of = |field: &str| json!({ "dest_credential": { "name": NAME, "field": field } });
    scene.run(Issuer::Hub, of("token")).succeeded();
    scene.run(Issuer::Gateway, of("empty")).succeeded();
    for (issuer, field) in [(Issuer::Hub, "token"), (Issuer::Gateway, "empty")] {
        let run = scene.run(issuer, of(field)).succeeded();
        assert_eq!((run.text("reason"), run.changed()), ("valid", false), "{field}: {run}");
        assert!(scene.works(issuer, scene.stored().input(field).unwrap()));
    }
}

#[test]
fn an_absent_token_is_deleted_and_taken_out_and_the_rest_stays() {
    for issuer in Issuer::ALL {
        let scene = CredentialScene::custom();
        scene.patch(&json!({ "description": "people's words" }));
        let others = scene.others();
        scene.run(issuer, json!({})).succeeded();
        let token = scene.token().unwrap();
        let forecast = scene.run(issuer, json!({ "state": "absent", "_ansible_check_mode": true })).succeeded();
        assert!(forecast.changed() && scene.token().as_ref() == Some(&token), "{forecast}");
        let run = scene.run(issuer, json!({ "state": "absent" })).succeeded();
        assert!(run.changed() && !scene.works(issuer, &token), "{run}");
        let after = scene.stored();
        assert_eq!(
            (scene.token(), scene.others(), after.description.as_str()),
            (None, others, "people's words"),
            "{run}"
        );
        let again = scene.run(issuer, json!({ "state": "absent" })).succeeded();
        assert!(!again.changed(), "{again}");
        // A token of which nothing is known is not this task's.
        let scene = CredentialScene::galaxy();
        let run = scene.run(issuer, json!({ "state": "absent" })).succeeded();
        assert_eq!(scene.token().as_deref(), Some(OLD), "{run}");
    }
}

fn with_token(scene: &CredentialScene, issuer: Issuer, token: &str) -> Run {
    let which: Value = json!({ "name": NAME, "field": "token", "token": token });
    scene.run(issuer, json!({ "dest_credential": which }))
}
