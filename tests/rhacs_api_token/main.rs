//! rhacs_api_token against the sandbox: what it does, in which order, what it says, and what it leaves alone.

mod absence;
mod refusals;
mod rotation;
mod scenario;
mod secrecy;

use serde_json::json;
use tokensmith_tests::rhacs::RhacsScene;
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
fn the_entry_of_roxctl_is_made_renewed_and_taken_out() {
    let scene = RhacsScene::new();
    let other = "centrals:\n    other.example.com:443:\n        access:\n            accessToken: of-another\n";
    let dest = scene.file("roxctl-config.yaml", other);
    let task = |state: &str| {
        scene.api_token_task(json!({ "dest": dest, "dest_format": "roxctl_config", "state": state })).succeeded()
    };
    for (state, reason) in [("present", "missing"), ("present", "valid"), ("rotated", "forced")] {
        assert_eq!(task(state).text("reason"), reason);
        let text = read(&dest);
        assert!(text.starts_with(other) && text.contains(&scene.central().endpoint()), "{text}");
        let token = text.split('\'').nth(3).unwrap();
        assert!(scene.central().token_works(token) && scene.central().live_tokens("ci") == 1, "{text}");
    }
    assert!(task("absent").changed());
    assert_eq!((read(&dest).as_str(), scene.central().live_tokens("ci")), (other, 0));
}
