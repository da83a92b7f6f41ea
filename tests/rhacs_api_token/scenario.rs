//! A task that was written for the module of `infra.rhacs_configuration` and now has another name.

use serde_json::{Value, json};
use tokensmith_tests::executable::Run;
use tokensmith_tests::rhacs::RhacsScene;

#[test]
fn a_task_of_the_other_collection_does_the_same_here() {
    let scene = RhacsScene::new();
    let run =
        task(&scene, json!({ "name": "my_token", "role": APPROVER, "expiration": "2029-12-02T21:06:00Z" })).succeeded();
    assert!(run.changed() && scene.central().token_works(run.text("token")), "{run}");
    assert_eq!((run.text("expires_at"), run.text("reason")), ("2029-12-02T21:06:00Z", "missing"), "{run}");
    assert!(run.warnings().contains("certificate is not checked"), "{run}");
    let id = run.text("id").to_owned();

    let run = task(&scene, json!({ "name": "my_token", "role": APPROVER })).succeeded();
    assert!(!run.changed() && run.result.get("token").is_none(), "{run}");
    assert_eq!((run.text("id"), run.text("reason")), (id.as_str(), "valid"), "{run}");

    let run = task(&scene, json!({ "name": "my_token2" })).succeeded();
    assert_eq!((run.text("role"), &run.result["roles"]), ("Admin", &json!(["Admin"])), "{run}");

    let run = absent(&scene, "my_token2", "Admin").succeeded();
    assert!(run.changed(), "{run}");

    let run = task(&scene, json!({ "name": "my_token3", "role": "Wrong Role" }));
    assert!(run.failed() && run.message().contains("role(s) Wrong Role don't exist"), "{run}");

    let run = task(&scene, json!({ "name": "my_token4", "role": "Admin", "expiration": "1234abc" }));
    assert!(run.failed() && run.message().contains("1234abc"), "{run}");

    let run = absent(&scene, "my_token", APPROVER).succeeded();
    assert_eq!((run.changed(), &run.result["revoked"]), (true, &json!([id])), "{run}");

    let run = absent(&scene, "my_token", APPROVER).succeeded();
    assert!(!run.changed(), "{run}");
    let live: usize =
        ["my_token", "my_token2", "my_token3", "my_token4"].map(|name| scene.central().live_tokens(name)).iter().sum();
    assert_eq!(live, 0);
}

fn task(scene: &RhacsScene, options: Value) -> Run {
    let mut all = json!({ "role": null, "ca_path": null, "skip_validate_certs": true });
    all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    scene.api_token_task(all)
}

fn absent(scene: &RhacsScene, name: &str, role: &str) -> Run {
    task(scene, json!({ "name": name, "role": role, "expiration": "2025-12-02T21:06:00Z", "state": "absent" }))
}

const APPROVER: &str = "Vulnerability Management Approver";
