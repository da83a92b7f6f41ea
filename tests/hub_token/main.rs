//! hub_token against the sandbox: when it has a token made, what it says, and whom it leaves alone.

mod absence;
mod places;
mod refusals;
mod rotation;
mod secrecy;
mod self_rotation;

use serde_json::json;
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{mode, read};

#[test]
fn a_token_is_made_proven_and_handed_over_and_then_left_alone() {
    let scene = HubScene::new();
    let dest = scene.path("token");
    let run = scene.task(json!({ "dest": dest })).succeeded();
    assert_eq!((run.text("reason"), run.changed(), &run.result["generated"]), ("missing", true, &json!(true)), "{run}");
    assert_eq!(scene.methods(), ["POST", "OPTIONS"]);
    assert_eq!((Some(read(&dest)), mode(&dest)), (scene.token(), 0o600));
    assert!(run.result.get("token").is_none() && !run.stdout.contains(&read(&dest)));
    assert!(run.warnings().contains("whoever else uses the token of build is refused"), "{run}");
    let again = scene.task(json!({ "dest": dest })).succeeded();
    assert_eq!((again.text("reason"), again.changed(), again.warnings()), ("valid", false, String::new()), "{again}");
    assert_eq!(
        (again.text("fingerprint"), again.text("rotated_at")),
        (run.text("fingerprint"), run.text("rotated_at"))
    );
    assert_eq!((scene.methods().len(), scene.hub().issued("build")), (3, 1));
}

#[test]
fn a_token_ends_and_nothing_of_it_is_left() {
    let scene = HubScene::new();
    let dest = scene.path("token");
    scene.task(json!({ "dest": dest })).succeeded();
    let options = json!({ "dest": dest, "state": "absent" });
    let forecast = scene.task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
    assert!(forecast.changed() && scene.token().is_some(), "{forecast}");
    let run = scene.task(options.clone()).succeeded();
    assert_eq!(
        (&run.result["existed"], &run.result["deleted"], run.changed()),
        (&json!(true), &json!(true), true),
        "{run}"
    );
    assert_eq!((scene.token(), dest.exists()), (None, false));
    let again = scene.task(options).succeeded();
    assert_eq!((&again.result["existed"], again.changed()), (&json!(null), false), "{again}");
    assert!(again.warnings().contains("Whether build had a token is not known"), "{again}");
}
