//! `state: absent`: which tokens are deleted, and what is left of them.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith::secret::Secret;
use tokensmith_sandbox::Fault;
use tokensmith_tests::gateway::{GatewayScene, USER};
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{names, read};

use super::{APIS, DAY, held, ids, note};

#[test]
fn the_token_in_dest_is_deleted_proven_dead_and_taken_away() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        let (namesake, _) = scene.platform().issue_token(USER, "ci", "write");
        scene.sandbox.records().clear();
        let options = json!({ "dest": held.dest, "state": "absent" });
        let check = scene.token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        let told = (check.changed(), &check.result["deleted"], check.text("reason"));
        assert_eq!(told, (true, &json!([held.id]), "forced"), "{check}");
        assert_eq!((scene.writes(), read(&held.dest)), (Vec::new(), held.token.clone()));
        let run = scene.token_task(options.clone()).succeeded();
        let told = (run.changed(), &run.result["deleted"], run.text("reason"));
        assert_eq!(told, (true, &json!([held.id]), "forced"), "{run}");
        let last = scene.sandbox.records().all().pop().unwrap();
        assert_eq!((last.status, last.authorization), (Some(401), Some(format!("Bearer {}", held.token))));
        assert!(!scene.platform().token_works(&held.token) && !run.stdout.contains(&held.token));
        let left = names(held.dest.parent().unwrap());
        assert!(left.iter().all(|name| name != "token" && !name.ends_with(".json")), "{left:?}");
        assert_eq!(ids(&scene, "ci"), [namesake]);
        // With nothing in dest the one of that description is meant, as it is without dest.
        let again = scene.token_task(options.clone()).succeeded();
        assert_eq!(again.result["deleted"], json!([namesake]), "{again}");
        let again = scene.token_task(options).succeeded();
        assert_eq!((again.changed(), again.text("reason")), (false, "missing"), "{again}");
    }
}

#[test]
fn without_dest_the_one_token_of_the_description_scope_and_application_is_deleted() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let (id, token) = scene.platform().issue_token(USER, "ci", "write");
        let application = scene.platform().application("ci", "Default");
        let others = [
            scene.platform().issue_token(USER, "ci", "read").1,
            scene.platform().issue_token(USER, "ci", "read write").1,
            scene.platform().issue_token(USER, "CI", "write").1,
            scene.platform().issue_token("bob", "ci", "write").1,
            scene.platform().issue_token("admin", "ci", "write").1,
            scene.platform().issue(USER, application, "ci", "write").token,
        ];
        let (ended, _) = scene.platform().issue_token(USER, "ci", "write");
        assert!(scene.platform().expire_in(ended, -DAY));
        let run = scene.token_task(json!({ "state": "absent" })).succeeded();
        assert_eq!((&run.result["deleted"], run.changed()), (&json!([id]), true), "{api}: {run}");
        assert!(!scene.platform().token_works(&token));
        assert!(others.iter().all(|other| scene.platform().token_works(other)), "{api}: {run}");
        let again = scene.token_task(json!({ "state": "absent" })).succeeded();
        let told = (&again.result["deleted"], again.changed(), again.text("reason"));
        assert_eq!(told, (&json!([]), false, "missing"), "{api}: {again}");
    }
}

#[test]
fn of_several_tokens_none_is_deleted_unless_all_are_meant() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let issued: Vec<i64> = (0..3).map(|_| scene.platform().issue_token(USER, "ci", "write").0).collect();
        let run = scene.token_task(json!({ "state": "absent" }));
        assert!(run.failed() && run.message().contains("there are 3 tokens"), "{run}");
        assert!(issued.iter().all(|id| run.message().contains(&id.to_string())), "{run}");
        assert!(run.message().contains("existing_token_id") && run.message().contains("all_of_description"), "{run}");
        assert_eq!(ids(&scene, "ci"), issued);
        let all = json!({ "state": "absent", "all_of_description": true });
        let check = scene.token_task(with(all.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        let run = scene.token_task(all).succeeded();
        assert_eq!((&run.result["deleted"], &check.result["deleted"]), (&json!(issued), &json!(issued)), "{run}");
        assert_eq!(scene.platform().live_tokens("ci"), 0);
    }
}

#[test]
fn more_tokens_than_a_page_holds_are_all_found() {
    let scene = GatewayScene::new();
    for _ in 0..203 {
        scene.platform().issue_token(USER, "ci", "write");
    }
    let options = json!({ "state": "absent", "all_of_description": true, "_ansible_check_mode": true });
    let run = scene.token_task(options).succeeded();
    assert_eq!(run.result["deleted"].as_array().map(Vec::len), Some(203), "{run}");
}

#[test]
fn who_is_among_those_it_deletes_deletes_itself_last() {
    for api in APIS {
        for acting in 0..3 {
            let scene = GatewayScene::of(api);
            let tokens: Vec<_> = (0..3).map(|_| scene.platform().issue_token(USER, "ci", "write").1).collect();
            let options = json!({ "gateway_token": tokens[acting], "state": "absent", "all_of_description": true });
            let run = scene.token_task(options).succeeded();
            assert_eq!(run.result["deleted"].as_array().map(Vec::len), Some(3), "{api}, {acting}: {run}");
            assert_eq!(scene.platform().live_tokens("ci"), 0, "{api}, {acting}");
        }
    }
}

#[test]
fn a_token_deletes_itself_behind_what_earlier_runs_left() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let (id, token) = scene.platform().issue_token(USER, "ci", "write");
        let (waiting, old) = scene.platform().issue_token(USER, "ci", "write");
        let dest = scene.file("token", &token);
        let noted = json!({
            "fingerprint": Secret::new(token.as_str()).fingerprint(), "id": id.to_string(), "object": "ci",
            "server": server(&scene, api), "retiring": [{ "id": waiting.to_string() }],
        });
        note(&scene, "token", noted);
        let run = scene.token_task(json!({ "gateway_token_file": dest, "dest": dest, "state": "absent" })).succeeded();
        assert_eq!(run.result["deleted"], json!([waiting, id]), "{api}: {run}");
        assert!(!scene.platform().token_works(&token) && !scene.platform().token_works(&old) && !dest.exists());
    }
}

#[test]
fn a_deletion_that_stops_half_way_tells_what_is_deleted() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let issued: Vec<i64> = (0..3).map(|_| scene.platform().issue_token(USER, "ci", "write").0).collect();
        scene.fault(Fault::server_error().method("DELETE").path(format!("/tokens/{}/", issued[1])));
        let options = json!({ "state": "absent", "all_of_description": true });
        let run = scene.token_task(options.clone());
        let words = format!("the token {} could not be deleted", issued[1]);
        assert!(run.failed() && run.message().contains(&words), "{run}");
        let deleted = run.result["deleted"].as_array().map_or(0, Vec::len);
        assert_eq!((scene.platform().live_tokens("ci"), run.changed()), (3 - deleted, deleted > 0), "{run}");
        scene.sandbox.faults().clear();
        let run = scene.token_task(options).succeeded();
        assert_eq!(run.result["deleted"].as_array().map(Vec::len), Some(3 - deleted), "{run}");
        assert_eq!(scene.platform().live_tokens("ci"), 0);
    }
}

#[test]
fn a_token_that_is_gone_already_is_taken_out_of_dest() {
    type Change = fn(&GatewayScene, i64);
    let changes: [(&str, Change); 2] = [
        ("deleted", |scene, id| assert!(scene.platform().revoke(id))),
        ("expired", |scene, id| assert!(scene.platform().expire_in(id, -DAY))),
    ];
    for api in APIS {
        for (name, change) in changes {
            for has_note in [true, false] {
                let scene = GatewayScene::of(api);
                let held = held(&scene);
                if !has_note {
                    fs::remove_file(scene.path(".token.tokensmith.json")).unwrap();
                }
                change(&scene, held.id);
                let options = json!({ "dest": held.dest, "state": "absent" });
                let run = scene.token_task(options.clone()).succeeded();
                assert_eq!((run.changed(), held.dest.exists()), (true, false), "{api}, {name}: {run}");
                // The row of an ended token is cleared away where it is known.
                let deleted = if name == "expired" && has_note { vec![held.id] } else { Vec::new() };
                assert_eq!(run.result["deleted"], json!(deleted), "{api}, {name}: {run}");
                let again = scene.token_task(options).succeeded();
                assert!(!again.changed(), "{api}, {name}: {again}");
            }
        }
    }
}

#[test]
fn what_earlier_runs_left_alive_is_deleted_too() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        let options = json!({ "dest": held.dest, "state": "rotated", "overlap": "2d" });
        scene.token_task(options.clone()).succeeded();
        scene.fault(Fault::lost_answer().path("/tokens/").method("POST").times(1));
        // The first question is answered.
        scene.fault(Fault::delay(Duration::ZERO).path("/tokens/").method("GET").times(1));
        scene.fault(Fault::server_error().path("/tokens/").method("GET"));
        let lost = scene.token_task(options);
        assert!(lost.failed() && lost.message().contains("whether a new token was issued is not known"), "{lost}");
        let left = ids(&scene, "ci");
        assert_eq!(left.len(), 3);
        scene.sandbox.faults().clear();
        let options = json!({ "dest": held.dest, "state": "absent" });
        let check = scene.token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        let run = scene.token_task(options).succeeded();
        assert_eq!((&run.result["deleted"], &check.result["deleted"]), (&json!(left), &json!(left)), "{run}");
        assert_eq!(scene.platform().live_tokens("ci"), 0, "{run}");
    }
}

#[test]
fn a_token_whose_row_cannot_be_found_out_is_not_deleted_by_guess() {
    let scene = GatewayScene::of("controller");
    let tokens: Vec<_> = (0..2).map(|_| scene.platform().issue_token(USER, "ci", "write")).collect();
    let dest = scene.file("token", &tokens[0].1);
    for options in [json!({ "dest": dest }), json!({ "existing_token": tokens[0].1 })] {
        let run = scene.token_task(with(options, json!({ "state": "absent" })));
        assert!(run.failed() && run.message().contains("give its id as existing_token_id"), "{run}");
        assert_eq!((scene.platform().live_tokens("ci"), read(&dest)), (2, tokens[0].1.clone()));
    }
    let run = scene.token_task(json!({ "existing_token_id": tokens[0].0, "state": "absent" })).succeeded();
    assert_eq!(run.result["deleted"], json!([tokens[0].0]), "{run}");
    assert_eq!(ids(&scene, "ci"), [tokens[1].0]);
}

/// The address of the API as a note has it.
fn server(scene: &GatewayScene, api: &str) -> Value {
    let prefix = if api == "gateway" { "/api/gateway/v1" } else { "/api/controller/v2" };
    json!(format!("{}{prefix}", scene.platform().url()))
}
