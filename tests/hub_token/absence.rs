//! The end of a token: what is deleted, what can be known of it, and what is left.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{names, read};

#[test]
fn whether_there_was_a_token_is_told_as_far_as_it_is_known() {
    type Make = fn(&HubScene) -> Value;
    let cases: [(&str, Make, Value, bool); 8] = [
        ("in dest, alive", |scene| in_dest(scene, &scene.issue()), json!(true), true),
        ("in dest, dead", |scene| in_dest(scene, "0123456789abcdef"), json!(null), true),
        ("nothing in dest", |scene| json!({ "dest": scene.path("token") }), json!(null), false),
        ("no dest", |_| json!({}), json!(null), false),
        ("its own", |scene| own(json!(scene.issue())), json!(true), true),
        ("its own, dead", |_| own(json!("0123456789abcdef")), json!(false), false),
        ("its own, in dest", |scene| with(own(Value::Null), in_dest(scene, &scene.issue())), json!(true), true),
        ("no credential", |scene| with(own(Value::Null), json!({ "dest": scene.path("token") })), json!(false), false),
    ];
    for (name, make, existed, changed) in cases {
        let scene = HubScene::new();
        let options = with(make(&scene), json!({ "state": "absent" }));
        let forecast = scene.task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        assert!(scene.writes().is_empty());
        let run = scene.task(options.clone()).succeeded();
        for run in [&forecast, &run] {
            assert_eq!((&run.result["existed"], run.changed()), (&existed, changed), "{name}: {run}");
            assert_eq!(run.result["deleted"], existed == json!(true), "{name}: {run}");
            assert_eq!(run.warnings().contains("a token is not known"), existed.is_null(), "{name}: {run}");
        }
        assert_eq!(run.result.get("old_is_dead"), (existed == json!(true)).then_some(&json!(true)), "{name}: {run}");
        assert_eq!((scene.token(), scene.path("token").exists()), (None, false), "{name}");
        assert_eq!(scene.writes().len(), usize::from(existed != json!(false)), "{name}");
        let again = scene.task(options).succeeded();
        assert!(!again.changed(), "{name}: {again}");
    }
}

#[test]
fn a_token_that_nobody_was_given_ends_too() {
    let scene = HubScene::new();
    let dest = scene.file("token", &scene.issue());
    scene.file(".token.tokensmith.new", &scene.issue());
    let run = scene.task_without_password(json!({ "dest": dest, "state": "absent" })).succeeded();
    assert_eq!((&run.result["existed"], scene.token()), (&json!(true), None), "{run}");
    assert_eq!(names(dest.parent().unwrap()), [".token.tokensmith.lock"]);
}

#[test]
fn a_lost_answer_to_the_deletion_does_no_harm() {
    for own in [false, true] {
        for fault in [Fault::lost_answer, Fault::cut, Fault::bad_gateway, || Fault::bad_gateway().acting()] {
            let scene = HubScene::new();
            let dest = scene.file("token", &scene.issue());
            scene.fault(fault().method("DELETE").times(1));
            let options = json!({ "dest": dest, "state": "absent" });
            let run = if own { scene.task_without_password(options) } else { scene.task(options) }.succeeded();
            assert_eq!((&run.result["old_is_dead"], scene.token()), (&json!(true), None), "{run}");
            assert!(!dest.exists());
        }
    }
}

#[test]
fn a_deletion_that_fails_leaves_the_token_in_its_place() {
    let scene = HubScene::new();
    let token = scene.issue();
    let dest = scene.file("token", &token);
    scene.fault(Fault::answer(500, "text/html", "<h1>Server Error (500)</h1>").method("DELETE"));
    let run = scene.task(json!({ "dest": dest, "state": "absent" }));
    assert!(run.failed() && run.message().contains("the token could not be deleted; run the task again"), "{run}");
    assert_eq!((run.changed(), read(&dest), scene.token()), (false, token.clone(), Some(token)), "{run}");
}

#[test]
fn the_token_of_another_user_stays() {
    let scene = HubScene::new();
    let administrators = scene.hub().issue_token("admin").unwrap();
    let dest = scene.file("token", &administrators);
    let run = scene.task(json!({ "dest": dest, "state": "absent" }));
    assert!(run.failed() && run.message().contains("belongs to another user"), "{run}");
    assert_eq!((read(&dest), scene.hub().token("admin")), (administrators.clone(), Some(administrators)));
}

fn in_dest(scene: &HubScene, token: &str) -> Value {
    json!({ "dest": scene.file("token", token) })
}

/// Without the password.
fn own(token: Value) -> Value {
    json!({ "ah_username": null, "ah_password": null, "ah_token": token })
}
