//! A token that goes to a credential of the controller.

use serde_json::json;
use tokensmith::secret::Secret;
use tokensmith_sandbox::Fault;
use tokensmith_tests::credential::{CredentialScene, NAME};
use tokensmith_tests::quay::with;

use crate::host;

#[test]
fn a_token_is_created_into_a_credential_and_then_left_alone() {
    let (scene, host) = (CredentialScene::custom(), host());
    let others = scene.others();
    let asked = json!({
        "dest_credential": { "name": NAME, "field": "token", "marker": "note" },
        "controller_host": scene.controller().url(),
        "controller_oauthtoken": scene.caller(),
        "controller_ca_path": scene.sandbox.ca_path(),
    });
    let forecast = host.create(with(asked.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
    assert_eq!((forecast.changed(), scene.token(), scene.writes().len()), (true, None, 0), "{forecast}");
    let run = host.create(asked.clone()).succeeded();
    assert_eq!((run.text("reason"), run.changed()), ("missing", true), "{run}");
    assert_eq!((Vec::from_iter(scene.token()), scene.others()), (host.tokens(), others), "{run}");
    let token = scene.token().unwrap();
    assert_eq!(run.text("fingerprint"), Secret::new(token.as_str()).fingerprint());
    let again = host.create(asked.clone()).succeeded();
    assert_eq!((again.text("reason"), again.changed(), host.tokens().len()), ("held", false, 1), "{again}");
    assert_eq!(again.text("fingerprint"), run.text("fingerprint"));
    let forced = host.create(with(asked.clone(), json!({ "force": true }))).succeeded();
    assert_eq!((forced.text("reason"), scene.token()), ("forced", host.tokens().pop()), "{forced}");
    assert!(!forced.stdout.contains(&scene.token().unwrap()), "{forced}");
    // What cannot be written to is found out before the command is run.
    scene.fault(Fault::server_error().method("PATCH"));
    let failed = host.create(with(asked, json!({ "force": true })));
    assert!(failed.failed() && host.tokens().len() == 2, "{failed}");
}
