//! rhacs_api_token against the sandbox: what it does, in which order, what it says, and what it leaves alone.

use serde_json::json;
use tokensmith_tests::rhacs::{DAY, RhacsScene};
use tokensmith_tests::scene::{mode, read};

#[test]
fn a_token_is_generated_proven_and_handed_over_and_then_left_alone() {
    let scene = RhacsScene::new();
    let dest = scene.path("token");
    let options = json!({ "dest": dest });
    let run = scene.api_token_task(options.clone()).succeeded();
    assert_eq!((run.text("reason"), run.changed(), &run.result["generated"]), ("missing", true, &json!(true)), "{run}");
    assert!(scene.central().token_works(&read(&dest)));
    assert_eq!(mode(&dest), 0o600);
    assert!(run.result.get("token").is_none() && !run.stdout.contains(&read(&dest)));
    assert_eq!(scene.central().live_tokens("ci"), 1);
    let again = scene.api_token_task(options).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
    assert_eq!(again.text("id"), run.text("id"));
    assert_eq!(scene.central().live_tokens("ci"), 1);
}

#[test]
fn a_token_that_ends_soon_is_replaced_and_the_old_one_revoked_and_proven_dead() {
    let scene = RhacsScene::new();
    let dest = scene.path("token");
    let first = scene.api_token_task(json!({ "dest": dest })).succeeded();
    let old = read(&dest);
    scene.sandbox.clock().advance(83 * DAY);
    scene.sandbox.records().clear();
    let run = scene.api_token_task(json!({ "dest": dest })).succeeded();
    assert_eq!(run.text("reason"), "expiring", "{run}");
    assert_eq!(run.result["revoked"], json!([first.text("id")]), "{run}");
    assert!(!scene.central().token_works(&old) && scene.central().token_works(&read(&dest)));
    assert_eq!(scene.central().live_tokens("ci"), 1);
    let order: Vec<_> =
        scene.sandbox.records().all().iter().map(|sent| format!("{} {}", sent.method, sent.path)).collect();
    assert_eq!(
        order,
        [
            format!("GET /v1/apitokens/{}", first.text("id")),
            "POST /v1/apitokens/generate".to_owned(),
            "GET /v1/auth/status".to_owned(),
            format!("PATCH /v1/apitokens/revoke/{}", first.text("id")),
            "GET /v1/auth/status".to_owned(),
        ]
    );
}

#[test]
fn a_token_rotates_itself_and_its_successor_ends_it() {
    let scene = RhacsScene::new();
    let dest = scene.file("token", &scene.central().issue_token("self", &["Admin"], 9 * DAY));
    let old = read(&dest);
    let options = json!({
        "rhacs_token": null, "rhacs_token_file": dest, "dest": dest, "name": "self", "role": "Admin", "state": "rotated"
    });
    let run = scene.api_token_task(options).succeeded();
    assert_eq!(run.text("reason"), "forced");
    assert!(!scene.central().token_works(&old) && scene.central().token_works(&read(&dest)), "{run}");
}

#[test]
fn an_old_token_is_left_alive_for_as_long_as_the_task_says() {
    let scene = RhacsScene::new();
    let dest = scene.path("token");
    let options = |state: &str| json!({ "dest": dest, "overlap": "2d", "state": state });
    let first = scene.api_token_task(options("present")).succeeded();
    let old = read(&dest);
    let run = scene.api_token_task(options("rotated")).succeeded();
    assert_eq!(run.result["still_valid"], json!([first.text("id")]), "{run}");
    assert!(scene.central().token_works(&old));
}
