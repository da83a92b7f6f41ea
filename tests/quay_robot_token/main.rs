//! quay_robot_token against the sandbox: what it does, what it says, and what it leaves alone.

mod files;
mod many;
mod refusals;
mod rotation;
mod secrecy;

use serde_json::json;
use tokensmith_tests::quay::QuayScene;
use tokensmith_tests::scene::{mode, read};

#[test]
fn a_token_is_rotated_proven_and_handed_over() {
    let scene = QuayScene::new();
    let dest = scene.path("token");
    let options = json!({ "robot": "ci", "dest": dest, "state": "rotated" });
    let before = scene.robot_token("acme+ci");
    let run = scene.robot_token_task(options).succeeded();
    let now = scene.robot_token("acme+ci");
    assert_ne!(now, before);
    assert_eq!(read(&dest), now);
    assert_eq!(mode(&dest), 0o600);
    assert!(run.changed());
    assert_eq!((run.text("robot"), run.text("reason")), ("acme+ci", "forced"));
    assert_eq!(run.result["rotated"], true);
    assert!(run.result.get("token").is_none() && !run.stdout.contains(&now), "{run}");
    assert_eq!(scene.quay().regenerations("acme+ci"), 1);
}

#[test]
fn a_missing_token_is_fetched_and_nobody_is_locked_out() {
    let scene = QuayScene::new();
    let dest = scene.path("token");
    let valid = scene.robot_token("acme+ci");
    let options = json!({ "robot": "ci", "dest": dest });
    let run = scene.robot_token_task(options.clone()).succeeded();
    assert_eq!((run.text("reason"), &run.result["rotated"], run.changed()), ("missing", &json!(false), true));
    assert_eq!(read(&dest), valid);
    let again = scene.robot_token_task(options).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
    assert_eq!(scene.quay().regenerations("acme+ci"), 0);
}
