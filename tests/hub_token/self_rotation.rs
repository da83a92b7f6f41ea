//! A token that is the credential itself: what may be done with it, and what becomes of its user when an answer is lost.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::read;

#[test]
fn asking_with_the_very_token_that_is_replaced_has_to_be_allowed() {
    for given in [true, false] {
        for asked in [json!({ "state": "rotated" }), json!({ "max_age": "1s" })] {
            let scene = HubScene::new();
            let old = scene.issue();
            let dest = scene.file("token", &old);
            let token = if given { json!(old) } else { Value::Null };
            let options = with(json!({ "dest": dest, "ah_token": token }), asked.clone());
            for check in [true, false] {
                let run = scene.task_without_password(with(options.clone(), json!({ "_ansible_check_mode": check })));
                assert!(run.failed() && run.message().contains("or say self_rotation: true"), "{asked}: {run}");
                assert!(run.message().contains("should the answer be lost on the way"), "{run}");
                assert_eq!((scene.writes().len(), scene.token()), (0, Some(old.clone())));
            }
            let options = with(options, json!({ "self_rotation": true }));
            let forecast =
                scene.task_without_password(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
            assert_eq!((&forecast.result["generated"], scene.writes().len()), (&json!(true), 0), "{forecast}");
            let run = scene.task_without_password(options).succeeded();
            assert_eq!((&run.result["old_is_dead"], scene.token()), (&json!(true), Some(read(&dest))), "{run}");
            assert!(!scene.hub().token_works(&old));
        }
    }
}

#[test]
fn a_token_that_works_is_put_where_none_is_and_nobody_is_cut_off() {
    let scene = HubScene::new();
    let token = scene.issue();
    for content in [None, Some("gone")] {
        let dest = scene.path("token");
        content.map(|content| scene.file("token", content));
        let options = json!({ "dest": dest, "ah_token": format!(" {token}\n") });
        let run = scene.task_without_password(options.clone()).succeeded();
        let reason = if content.is_some() { "dead" } else { "missing" };
        assert_eq!(
            (run.text("reason"), run.changed(), &run.result["generated"]),
            (reason, true, &json!(false)),
            "{run}"
        );
        assert_eq!((read(&dest), run.warnings()), (token.clone(), String::new()));
        assert!(!scene.task_without_password(options).succeeded().changed());
    }
    let run = scene.task_without_password(json!({ "ah_token": token })).succeeded();
    assert_eq!((run.text("reason"), run.changed(), run.text("token")), ("valid", false, token.as_str()), "{run}");
    assert!(scene.writes().is_empty());
}

#[test]
fn a_lost_answer_locks_the_user_out_until_a_password_comes() {
    for given in [true, false] {
        let scene = HubScene::new();
        let old = scene.issue();
        let dest = scene.file("token", &old);
        let token = if given { json!(old) } else { Value::Null };
        let options = json!({ "dest": dest, "ah_token": token, "self_rotation": true });
        scene.fault(Fault::lost_answer().method("POST").times(1));
        let run = scene.task_without_password(with(options.clone(), json!({ "state": "rotated" })));
        assert!(run.failed() && run.message().contains("pulpcore-manager drf_create_token USER"), "{run}");
        assert!(run.message().contains("the old token, with which it was asked for, is dead"), "{run}");
        for check in [true, false] {
            let run = scene.task_without_password(with(options.clone(), json!({ "_ansible_check_mode": check })));
            assert!(run.failed() && run.message().contains("which an earlier run sent at 20"), "{run}");
            assert!(run.message().contains("give ah_username and ah_password"), "{run}");
        }
        assert_eq!(scene.hub().issued("build"), 2);
        let run = scene.task(json!({ "dest": dest })).succeeded();
        assert!(run.warnings().contains("the answer did not come to its place"), "{run}");
        assert_eq!(scene.token(), Some(read(&dest)));
        scene.task_without_password(json!({ "dest": dest })).succeeded();
    }
}

#[test]
fn a_request_that_was_lost_on_its_way_leaves_everything_as_it_is() {
    let scene = HubScene::new();
    let old = scene.issue();
    let dest = scene.file("token", &old);
    let options = json!({ "dest": dest, "state": "rotated", "self_rotation": true });
    scene.fault(Fault::bad_gateway().method("POST").times(1));
    let run = scene.task_without_password(options.clone());
    assert!(run.failed() && run.message().contains("the old token stands, run the task again"), "{run}");
    assert_eq!(scene.token(), Some(old));
    scene.task_without_password(options).succeeded();
    assert_eq!(scene.token(), Some(read(&dest)));
}

#[test]
fn a_token_that_a_killed_run_left_behind_is_used_before_another_one_is_made() {
    for (state, issued) in [("present", 2), ("rotated", 3)] {
        let scene = HubScene::new();
        let dest = scene.file("token", &scene.issue());
        scene.file(".token.tokensmith.new", &scene.issue());
        let options = json!({ "dest": dest, "state": state, "self_rotation": true });
        let run = scene.task_without_password(options).succeeded();
        assert_eq!((scene.hub().issued("build"), scene.token()), (issued, Some(read(&dest))), "{state}: {run}");
    }
}

#[test]
fn an_ah_token_that_is_dead_by_now_gives_way_to_the_token_in_dest() {
    let scene = HubScene::new();
    let stale = scene.issue();
    let dest = scene.file("token", &scene.issue());
    let options = json!({ "dest": dest, "ah_token": stale, "state": "rotated", "self_rotation": true });
    scene.task_without_password(options).succeeded();
    assert_eq!((scene.hub().issued("build"), scene.token()), (3, Some(read(&dest))));
}

#[test]
fn the_tokens_of_two_users_are_never_mixed() {
    let scene = HubScene::new();
    let administrators = scene.hub().issue_token("admin").unwrap();
    let dest = scene.file("token", &scene.issue());
    for state in ["rotated", "absent"] {
        let options = json!({ "dest": dest, "ah_token": administrators, "state": state, "self_rotation": true });
        for check in [true, false] {
            let run = scene.task_without_password(with(options.clone(), json!({ "_ansible_check_mode": check })));
            assert!(run.failed() && run.message().contains("they belong to different users"), "{run}");
        }
    }
    assert!(scene.writes().is_empty() && scene.hub().token_works(&administrators));
    assert_eq!(scene.token(), Some(read(&dest)));
}

#[test]
fn an_old_token_that_lives_on_is_told_of_as_another_users() {
    let scene = HubScene::new();
    let administrators = scene.hub().issue_token("admin").unwrap();
    let dest = scene.file("token", &administrators);
    let run = scene.task(json!({ "dest": dest, "state": "rotated" }));
    assert!(run.failed() && run.message().contains("it belongs to another user than build"), "{run}");
    assert_eq!((&run.result["old_is_dead"], run.changed()), (&json!(false), true), "{run}");
    assert_eq!((scene.token(), scene.hub().token("admin")), (Some(read(&dest)), Some(administrators)));
}
