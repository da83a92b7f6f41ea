//! An offline token that jobs get from a credential, and that is written back there.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::sso::RealmHandle;
use tokensmith_tests::credential::{CredentialScene, NAME};
use tokensmith_tests::executable::{self, Run};

#[test]
fn the_newest_offline_token_is_written_back_for_the_next_job() {
    for realm in ["redhat-external", "rotating"] {
        let (scene, realm) = scene(realm);
        let others = scene.others();
        for _ in 0..3 {
            let used = scene.token().unwrap();
            let run = keep(&scene, &realm, &used, json!({})).succeeded();
            let newest = scene.token().unwrap();
            assert!(realm.offline_token_is_alive(&newest) && scene.others() == others, "{run}");
            assert_eq!(run.result["offline_token_kept"], true, "{run}");
            assert!(realm.access_token_works(run.text("access_token")), "it has no other place: {run}");
            assert!(run.result.get("offline_token").is_none() && !run.stdout.contains(&newest), "{run}");
            assert_eq!(run.result["credential"]["field"], "token");
        }
    }
}

#[test]
fn a_job_that_started_before_the_last_use_does_not_use_its_older_token() {
    let (scene, realm) = scene("rotating");
    let first = scene.token().unwrap();
    keep(&scene, &realm, &first, json!({})).succeeded();
    let refreshes = realm.refreshes();
    let late = keep(&scene, &realm, &first, json!({}));
    assert!(late.failed() && late.message().contains("the job started before the last run that used it"), "{late}");
    assert_eq!(realm.refreshes(), refreshes);
    assert!(realm.offline_token_is_alive(&scene.token().unwrap()));
}

#[test]
fn a_token_that_cannot_be_written_back_is_in_the_result() {
    let (scene, realm) = scene("rotating");
    let first = scene.token().unwrap();
    scene.fault(Fault::delay(std::time::Duration::ZERO).method("PATCH").times(1));
    scene.fault(Fault::server_error().method("PATCH"));
    let run = keep(&scene, &realm, &first, json!({}));
    assert!(run.failed() && run.message().contains("it is in the result as offline_token"), "{run}");
    assert!(realm.offline_token_is_alive(run.text("offline_token")), "{run}");
    scene.sandbox.faults().clear();
    // A person stores it, and the next job gets it.
    scene.patch(&json!({ "description": "", "inputs": { "token": run.text("offline_token") } }));
    let next = keep(&scene, &realm, &scene.token().unwrap(), json!({})).succeeded();
    assert!(realm.offline_token_is_alive(&scene.token().unwrap()), "{next}");
}

#[test]
fn what_cannot_be_written_back_is_not_used() {
    let (scene, realm) = scene("rotating");
    let first = scene.token().unwrap();
    let unwritable = keep(&scene, &realm, &first, json!({ "dest_credential": { "name": NAME, "field": "url" } }));
    assert!(unwritable.failed() && unwritable.message().contains("is no secret one"), "{unwritable}");
    let forecast = keep(&scene, &realm, &first, json!({ "_ansible_check_mode": true })).succeeded();
    assert!(forecast.changed(), "{forecast}");
    assert_eq!((realm.refreshes(), scene.token()), (0, Some(first)));
}

#[test]
fn a_session_that_is_ended_leaves_nothing_in_the_credential() {
    let (scene, realm) = scene("redhat-external");
    let (first, others) = (scene.token().unwrap(), scene.others());
    keep(&scene, &realm, &first, json!({})).succeeded();
    let run = keep(&scene, &realm, &scene.token().unwrap(), json!({ "state": "absent" })).succeeded();
    assert_eq!((scene.token(), scene.others(), scene.stored().description.as_str()), (None, others, ""), "{run}");
}

fn scene(realm: &str) -> (CredentialScene, RealmHandle) {
    let scene = CredentialScene::custom();
    let realm = scene.sandbox.sso().realm(realm);
    let token = realm.issue_offline_token("cloud-services", "openid offline_access api.iam.organization").unwrap();
    let mut inputs = Value::Object(scene.stored().inputs().clone());
    inputs["token"] = json!(token);
    inputs["second"] = json!("$encrypted$");
    scene.patch(&json!({ "inputs": inputs }));
    (scene, realm)
}

fn keep(scene: &CredentialScene, realm: &RealmHandle, token: &str, options: Value) -> Run {
    let own = json!({
        "token_url": realm.token_url(),
        "offline_token": token,
        "dest_credential": { "name": NAME, "field": "token" },
        "controller_host": scene.controller().url(),
        "controller_oauthtoken": scene.caller(),
        "ca_path": scene.sandbox.ca_path(),
        "use_proxy": false,
    });
    executable::module("sso_token", &tokensmith_tests::quay::with(own, options))
}
