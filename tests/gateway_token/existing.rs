//! Tasks without `dest`: the token comes with the task, or is known by its id or its description alone, and a new one goes into the result.

use serde_json::{Value, json};
use tokensmith_tests::executable::Run;
use tokensmith_tests::gateway::{GatewayScene, USER};
use tokensmith_tests::quay::with;

use super::{APIS, DAY, ids};

#[test]
fn without_dest_a_token_is_created_where_none_lasts_and_the_others_are_named() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let check = scene.token_task(json!({ "_ansible_check_mode": true })).succeeded();
        assert_eq!((check.text("reason"), check.changed(), check.result.get("token")), ("missing", true, None));
        assert!(scene.writes().is_empty());
        let run = scene.token_task(json!({})).succeeded();
        assert_eq!((run.text("reason"), run.changed()), ("missing", true), "{run}");
        assert!(scene.platform().token_works(run.text("token")), "{run}");
        assert_eq!(run.result["_tokensmith_secret"], true);
        let (second, _) = scene.platform().issue_token(USER, "ci", "write");
        assert!(scene.platform().expire_in(second, 20 * DAY));
        let again = scene.token_task(json!({})).succeeded();
        assert_eq!((&again.result["id"], again.changed()), (&run.result["id"], false), "{again}");
        assert!(again.result.get("token").is_none(), "{again}");
        let rotated = scene.token_task(json!({ "state": "rotated" })).succeeded();
        assert_eq!(rotated.text("reason"), "forced", "{rotated}");
        let mut left: Vec<i64> = numbers(&rotated.result["still_valid"]);
        left.sort_unstable();
        assert_eq!(left, [run.result["id"].as_i64().unwrap(), second], "{rotated}");
        assert_eq!((&rotated.result["deleted"], scene.platform().live_tokens("ci")), (&json!([]), 3));
    }
}

#[test]
fn a_description_none_of_whose_tokens_will_do_gets_a_new_one_and_the_reason_is_told() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let (id, token) = scene.platform().issue_token(USER, "ci", "write");
        scene.sandbox.clock().advance(11 * DAY);
        let aged = json!({ "max_age": "10d" });
        let check = scene.token_task(with(aged.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        let run = scene.token_task(aged.clone()).succeeded();
        for run in [&check, &run] {
            let told = (run.text("reason"), run.changed(), &run.result["still_valid"]);
            assert_eq!(told, ("aged", true, &json!([id])), "{api}: {run}");
        }
        assert!(!scene.token_task(aged).succeeded().changed());
        let new = run.result["id"].as_i64().unwrap();
        assert!(scene.platform().expire_in(new, 5 * DAY) && scene.platform().expire_in(id, 6 * DAY));
        let run = scene.token_task(json!({})).succeeded();
        assert_eq!((run.text("reason"), run.changed()), ("expiring", true), "{api}: {run}");
        assert!(scene.platform().token_works(&token) && scene.platform().token_works(run.text("token")));
    }
}

#[test]
fn a_token_of_the_task_is_left_alone_while_it_will_do_however_it_is_given() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let created = scene.token_task(json!({ "state": "rotated" })).succeeded();
        let (token, id) = (created.text("token").to_owned(), created.result["id"].as_i64().unwrap());
        scene.sandbox.records().clear();
        for given in [
            json!(token),
            json!(format!(" {token}\n")),
            json!({ "token": token }),
            json!({ "token": token, "id": id }),
            json!({ "token": token, "id": id.to_string() }),
            json!({ "token": token, "id": null }),
            created.result.clone(),
        ] {
            for check in [true, false] {
                let options = json!({ "existing_token": given, "_ansible_check_mode": check });
                let run = scene.token_task(options).succeeded();
                assert_eq!((run.text("reason"), run.changed()), ("valid", false), "{api}, {given}: {run}");
                assert_eq!((&run.result["id"], run.result.get("token")), (&json!(id), None), "{api}, {given}: {run}");
                assert!(!run.stdout.contains(&token), "{api}, {given}: {run}");
                assert_eq!(run.text("fingerprint"), created.text("fingerprint"));
            }
        }
        let run = scene.token_task(json!({ "existing_token_id": id })).succeeded();
        assert_eq!((run.text("reason"), run.changed(), &run.result["id"]), ("valid", false, &json!(id)), "{run}");
        assert!(scene.writes().is_empty(), "{api}");
    }
}

#[test]
fn a_token_of_the_task_that_will_not_do_is_followed_by_a_new_one_and_lives_on() {
    type Change = fn(&GatewayScene, i64);
    // What becomes of it, what the task asks for, the reason, and whether it still lives.
    let cases: [(Change, Value, &str, bool); 7] = [
        (|scene, id| assert!(scene.platform().expire_in(id, 20 * DAY)), json!({}), "expiring", true),
        (|scene, _| scene.sandbox.clock().advance(11 * DAY), json!({ "max_age": "10d" }), "aged", true),
        (|scene, id| assert!(scene.platform().expire_in(id, -DAY)), json!({}), "expired", false),
        (|scene, id| assert!(scene.platform().revoke(id)), json!({}), "dead", false),
        (|_, _| {}, json!({ "description": "other" }), "drifted", true),
        (|_, _| {}, json!({ "scope": ["read"] }), "drifted", true),
        (|_, _| {}, json!({ "state": "rotated" }), "forced", true),
    ];
    for api in APIS {
        for (change, asked, reason, lives) in &cases {
            let scene = GatewayScene::of(api);
            let created = scene.token_task(json!({ "state": "rotated" })).succeeded();
            let (token, id) = (created.text("token").to_owned(), created.result["id"].as_i64().unwrap());
            change(&scene, id);
            let options = with(json!({ "existing_token": created.result }), asked.clone());
            let check = scene.token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
            assert!(check.result.get("token").is_none() && !check.stdout.contains(&token), "{check}");
            let run = scene.token_task(options).succeeded();
            let left = if *lives { vec![id] } else { Vec::new() };
            for run in [&check, &run] {
                let case = format!("{api}, {reason}, {asked}: {run}");
                assert_eq!((run.text("reason"), run.changed()), (*reason, true), "{case}");
                assert_eq!((&run.result["still_valid"], &run.result["deleted"]), (&json!(left), &json!([])), "{case}");
                assert_eq!(run.result["created"], json!(true), "{case}");
            }
            assert!(scene.platform().token_works(run.text("token")), "{api}, {reason}: {run}");
            assert_eq!(scene.platform().token_works(&token), *lives, "{api}, {reason}");
            // Those who have got it delete the old one.
            let end = scene.token_task(json!({ "existing_token_id": id, "state": "absent" })).succeeded();
            assert!(scene.platform().token_works(run.text("token")) && !scene.platform().token_works(&token), "{end}");
        }
    }
}

#[test]
fn an_id_is_followed_by_a_new_token_where_its_own_will_not_do() {
    type Change = fn(&GatewayScene, i64);
    let cases: [(Change, Value, &str, bool); 5] = [
        (|scene, id| assert!(scene.platform().expire_in(id, 20 * DAY)), json!({}), "expiring", true),
        (|scene, _| scene.sandbox.clock().advance(11 * DAY), json!({ "max_age": "10d" }), "aged", true),
        (|scene, id| assert!(scene.platform().revoke(id)), json!({}), "missing", false),
        (|scene, id| assert!(scene.platform().expire_in(id, -DAY)), json!({}), "missing", false),
        (|_, _| {}, json!({ "state": "rotated" }), "forced", true),
    ];
    for api in APIS {
        for (change, asked, reason, lives) in &cases {
            let scene = GatewayScene::of(api);
            let (id, token) = scene.platform().issue_token(USER, "ci", "write");
            change(&scene, id);
            let options = with(json!({ "existing_token_id": id }), asked.clone());
            let check = scene.token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
            let run = scene.token_task(options).succeeded();
            for run in [&check, &run] {
                let left = if *lives { vec![id] } else { Vec::new() };
                let told = (run.text("reason"), &run.result["still_valid"]);
                assert_eq!(told, (*reason, &json!(left)), "{api}, {reason}, {asked}: {run}");
            }
            assert!(scene.platform().token_works(run.text("token")), "{api}, {reason}: {run}");
            assert_eq!(scene.platform().token_works(&token), *lives, "{api}, {reason}");
        }
    }
}

#[test]
fn a_token_of_the_task_is_deleted_and_nothing_else_is() {
    for api in APIS {
        type Given = fn(&Run) -> Value;
        let given: [Given; 4] = [
            |run| json!({ "existing_token": run.result }),
            |run| json!({ "existing_token": { "token": run.text("token"), "id": run.result["id"] } }),
            |run| json!({ "existing_token": run.text("token") }),
            |run| json!({ "existing_token_id": run.result["id"] }),
        ];
        for given in given {
            let scene = GatewayScene::of(api);
            let (other, _) = scene.platform().issue_token(USER, "other", "write");
            let created = scene.token_task(json!({ "state": "rotated" })).succeeded();
            let options = with(given(&created), json!({ "state": "absent" }));
            let check = scene.token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
            assert!(scene.platform().token_works(created.text("token")), "{check}");
            let run = scene.token_task(options.clone()).succeeded();
            for run in [&check, &run] {
                let told = (&run.result["deleted"], run.changed(), run.text("reason"));
                assert_eq!(told, (&json!([created.result["id"]]), true, "forced"), "{api}: {run}");
                assert!(!run.stdout.contains(created.text("token")), "{api}: {run}");
            }
            assert!(!scene.platform().token_works(created.text("token")), "{api}: {run}");
            assert_eq!(ids(&scene, "other"), [other]);
            let again = scene.token_task(options).succeeded();
            assert_eq!((again.changed(), again.text("reason")), (false, "missing"), "{api}: {again}");
        }
    }
}

#[test]
fn a_token_deletes_itself_by_value_and_by_id() {
    for api in APIS {
        for by_id in [true, false] {
            let scene = GatewayScene::of(api);
            let (id, token) = scene.platform().issue_token(USER, "ci", "write");
            let given = if by_id { json!({ "existing_token_id": id }) } else { json!({ "existing_token": token }) };
            let options = with(given, json!({ "gateway_token": token, "state": "absent" }));
            let run = scene.token_task(options).succeeded();
            assert_eq!(run.result["deleted"], json!([id]), "{api}, {by_id}: {run}");
            assert!(!scene.platform().token_works(&token));
        }
    }
}

#[test]
fn the_token_of_another_user_is_followed_by_a_new_one_and_told_of() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let (id, token) = scene.platform().issue_token("bob", "ci", "write");
        for given in [json!(token), json!({ "token": token, "id": id })] {
            let run = scene.token_task(json!({ "existing_token": given })).succeeded();
            assert_eq!((run.text("reason"), &run.result["still_valid"]), ("drifted", &json!([])), "{api}: {run}");
            assert!(run.warnings().contains("of the user bob"), "{api}: {run}");
            assert!(scene.platform().token_works(&token), "{api}: {run}");
        }
    }
}

#[test]
fn with_no_description_every_run_of_rotated_creates_a_token_and_names_no_other() {
    let scene = GatewayScene::new();
    scene.platform().issue_token(USER, "", "write");
    for _ in 0..2 {
        let run = scene.token_task(json!({ "description": "", "state": "rotated" })).succeeded();
        assert_eq!((run.text("reason"), &run.result["still_valid"]), ("forced", &json!([])), "{run}");
        assert!(scene.platform().token_works(run.text("token")));
    }
    assert_eq!(scene.platform().live_tokens(""), 3);
    // Nothing in dest, and a description that anybody's token has: nothing is deleted.
    let run = scene.token_task(json!({ "description": "", "dest": scene.path("x"), "state": "absent" })).succeeded();
    assert_eq!((run.changed(), scene.platform().live_tokens("")), (false, 3), "{run}");
}

fn numbers(ids: &Value) -> Vec<i64> {
    ids.as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}
