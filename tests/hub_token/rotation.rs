//! When a token is replaced, in which order, and what becomes of it when something goes wrong on the way.

use std::fs;

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::read;

/// A case's reason, what is done to the token in `dest`, and what the task asks for.
type Case = (&'static str, fn(&HubScene), Value);

#[test]
fn a_token_is_replaced_for_each_reason_and_then_left_alone() {
    let cases: [Case; 8] = [
        ("missing", |scene| fs::remove_file(scene.path("token")).unwrap(), json!({})),
        ("dead", |scene| drop(scene.issue()), json!({})),
        ("dead", |scene| scene.hub().change(|state| state.users.get_mut("build").unwrap().token = None), json!({})),
        ("dead", |scene| drop(scene.file("token", "no token\nof the hub's")), json!({})),
        ("dead", |scene| drop(scene.file("token", "two words")), json!({})),
        ("aged", |scene| drop(scene.file(NOTE, "{}")), json!({ "max_age": "30d" })),
        ("aged", |scene| age(scene), json!({ "max_age": "30d" })),
        ("forced", |_| {}, json!({ "state": "rotated" })),
    ];
    for (reason, change, asked) in cases {
        let scene = HubScene::new();
        let dest = scene.path("token");
        scene.task(json!({ "dest": dest })).succeeded();
        let old = read(&dest);
        change(&scene);
        let before = scene.hub().issued("build");
        let options = with(json!({ "dest": dest }), asked.clone());
        scene.sandbox.records().clear();
        let forecast = scene.task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        assert!(scene.writes().is_empty(), "{reason}, {asked}");
        let run = scene.task(options.clone()).succeeded();
        assert_eq!((run.text("reason"), run.changed()), (reason, true), "{asked}: {run}");
        for told in ["reason", "changed", "generated"] {
            assert_eq!(forecast.result[told], run.result[told], "{reason}, {asked}: {told}: {forecast}, {run}");
        }
        assert!(forecast.warnings().contains("would be refused"), "{forecast}");
        let token = read(&dest);
        assert_eq!(
            (Some(&token), scene.hub().issued("build")),
            (scene.token().as_ref(), before + 1),
            "{reason}, {asked}"
        );
        assert!(!scene.hub().token_works(&old) && !run.stdout.contains(&token), "{reason}, {asked}: {run}");
        let worked = ["aged", "forced"].contains(&reason);
        assert_eq!(run.result.get("old_is_dead"), worked.then_some(&json!(true)), "{reason}, {asked}: {run}");
        let again = scene.task(with(options, json!({ "state": "present" }))).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{reason}, {asked}: {again}");
    }
}

#[test]
fn another_owner_or_permission_is_mended_without_a_new_token() {
    let scene = HubScene::new();
    let dest = scene.file("token", &scene.issue());
    let run = scene.task(json!({ "dest": dest, "mode": "0640" })).succeeded();
    assert_eq!(
        (run.text("reason"), run.changed(), &run.result["generated"]),
        ("drifted", true, &json!(false)),
        "{run}"
    );
    assert!(scene.writes().is_empty());
}

#[test]
fn a_lost_answer_is_repaired_by_the_next_run_with_a_password() {
    for fault in [Fault::lost_answer, Fault::cut_body, Fault::truncated_json, || Fault::bad_gateway().acting()] {
        for is_held in [false, true] {
            let scene = HubScene::new();
            let dest = scene.path("token");
            if is_held {
                scene.file("token", &scene.issue());
            }
            let before = scene.hub().issued("build");
            scene.fault(fault().method("POST").times(1));
            let options = json!({ "dest": dest, "state": if is_held { "rotated" } else { "present" } });
            let run = scene.task(options);
            assert!(run.failed() && run.message().contains("run the task again, it has another one issued"), "{run}");
            assert_eq!(scene.hub().issued("build"), before + 1);
            let next = scene.task(json!({ "dest": dest })).succeeded();
            assert!(next.changed() && next.warnings().contains("An earlier run asked for a token at 20"), "{next}");
            assert_eq!(scene.token(), Some(read(&dest)));
            assert!(!scene.task(json!({ "dest": dest })).succeeded().changed());
        }
    }
}

#[test]
fn a_request_that_came_to_nothing_is_told_from_a_lost_answer_by_trying_the_old_token() {
    let scene = HubScene::new();
    let old = scene.issue();
    let dest = scene.file("token", &old);
    scene.fault(Fault::bad_gateway().method("POST"));
    let run = scene.task(json!({ "dest": dest, "state": "rotated" }));
    assert!(run.failed() && run.message().contains("the old token stands, run the task again"), "{run}");
    assert_eq!((read(&dest), scene.writes().len()), (old, 1));
}

fn age(scene: &HubScene) {
    let mut note: Value = serde_json::from_str(&read(&scene.path(NOTE))).unwrap();
    note["rotated_at"] = json!("2020-02-02T02:02:02Z");
    scene.file(NOTE, &note.to_string());
}

const NOTE: &str = ".token.tokensmith.json";
