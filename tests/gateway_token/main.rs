//! gateway_token against the sandbox: what it does, in which order, what it says, and what it leaves alone.

mod absence;
mod applications;
mod existing;
mod refusals;
mod rotation;
mod secrecy;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
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

/// A token in its place.
struct Held {
    id: i64,
    token: String,
    dest: PathBuf,
}

/// A token that a run of the task brought to `token`, and that is a day old: what is as young as a run could be taken for its own.
fn held(scene: &GatewayScene) -> Held {
    let dest = scene.path("token");
    let run = scene.token_task(json!({ "dest": dest })).succeeded();
    scene.sandbox.clock().advance(DAY);
    Held { id: run.result["id"].as_i64().expect("the task tells the id"), token: read(&dest), dest }
}

/// The ids of the tokens of this description, expired ones too.
fn ids(scene: &GatewayScene, description: &str) -> Vec<i64> {
    let tokens = scene.platform().tokens().into_iter();
    tokens.filter(|token| token.description == description).map(|token| token.id).collect()
}

/// Writes the note beside a file.
fn note(scene: &GatewayScene, name: &str, note: Value) {
    fs::write(scene.path(&format!(".{name}.tokensmith.json")), note.to_string()).expect("a note can be written");
}

/// Both kinds of server.
const APIS: [&str; 2] = ["gateway", "controller"];
/// Seconds of a day.
const DAY: i64 = 86_400;
