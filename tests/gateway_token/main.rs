//! gateway_token against the sandbox: what it does, in which order, what it says, and what it leaves alone.

use serde_json::json;
use tokensmith_tests::gateway::GatewayScene;
use tokensmith_tests::scene::{mode, read};

#[test]
fn a_token_is_created_proven_and_handed_over_and_then_left_alone() {
    for api in ["gateway", "controller", "awx"] {
        let scene = GatewayScene::of(api);
        let dest = scene.path("token");
        let run = scene.token_task(json!({ "dest": dest })).succeeded();
        assert_eq!(
            (run.text("reason"), run.changed(), &run.result["created"]),
            ("missing", true, &json!(true)),
            "{run}"
        );
        assert!(scene.platform().token_works(&read(&dest)));
        assert_eq!(mode(&dest), 0o600);
        assert!(run.result.get("token").is_none() && !run.stdout.contains(&read(&dest)));
        let again = scene.token_task(json!({ "dest": dest })).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
        assert_eq!(again.result["id"], run.result["id"]);
        assert_eq!(scene.platform().live_tokens("ci"), 1);
    }
}
