//! `state: absent`: which tokens are revoked, what is left of them, and until when they may come back.

use std::time::Duration;
use std::{fs, thread};

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::quay::with;
use tokensmith_tests::rhacs::{DAY, ROLE, RhacsScene};
use tokensmith_tests::scene::{names, read};

#[test]
fn the_token_in_dest_is_revoked_proven_dead_and_taken_away() {
    let scene = RhacsScene::new();
    let dest = scene.path("token");
    let run = scene.api_token_task(json!({ "dest": dest })).succeeded();
    let (namesake, _) = scene.issue("ci", 30 * DAY);
    let (id, end) = (run.text("id").to_owned(), run.text("expires_at").to_owned());
    let token = read(&dest);
    scene.sandbox.records().clear();
    let options = json!({ "dest": dest, "state": "absent" });
    let check = scene.api_token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
    assert_eq!(
        (check.changed(), &check.result["revoked"], check.text("reason")),
        (true, &json!([id]), "forced"),
        "{check}"
    );
    assert_eq!((scene.writes(), read(&dest)), (Vec::new(), token.clone()));
    scene.sandbox.records().clear();
    let run = scene.api_token_task(options.clone()).succeeded();
    assert_eq!((run.changed(), &run.result["revoked"], run.text("reason")), (true, &json!([id]), "forced"), "{run}");
    assert_eq!(run.text("may_revive_until"), end, "{run}");
    let order = [
        format!("GET /v1/apitokens/{id}"),
        format!("PATCH /v1/apitokens/revoke/{id}"),
        "GET /v1/auth/status".to_owned(),
    ];
    assert_eq!(scene.requests(), order);
    assert!(!scene.central().token_works(&token) && !run.stdout.contains(&token));
    let left = names(dest.parent().unwrap());
    assert!(left.iter().all(|name| name != "token" && !name.ends_with(".json")), "{left:?}");
    // With nothing in dest the one of that name is meant, as it is without dest.
    let again = scene.api_token_task(options).succeeded();
    assert_eq!(again.result["revoked"], json!([namesake]), "{again}");
}

#[test]
fn without_dest_the_one_token_of_the_name_and_the_roles_is_revoked() {
    let scene = RhacsScene::new();
    let (id, token) = scene.issue("ci", 30 * DAY);
    let others = [
        scene.central().issue_token("ci", &["Analyst"], DAY),
        scene.central().issue_token("ci", &[ROLE, "Analyst"], DAY),
        scene.central().issue_token("CI", &[ROLE], DAY),
    ];
    scene.issue("ci", -DAY);
    let run = scene.api_token_task(json!({ "state": "absent" })).succeeded();
    assert_eq!((&run.result["revoked"], run.changed()), (&json!([id]), true), "{run}");
    assert!(!scene.central().token_works(&token) && others.iter().all(|other| scene.central().token_works(other)));
    let again = scene.api_token_task(json!({ "state": "absent" })).succeeded();
    assert_eq!(
        (&again.result["revoked"], again.changed(), again.text("reason")),
        (&json!([]), false, "missing"),
        "{again}"
    );
}

#[test]
fn of_several_tokens_none_is_revoked_unless_all_are_meant() {
    let scene = RhacsScene::new();
    let ids: Vec<String> = [30, 40, 50].map(|days| scene.issue("ci", days * DAY).0).into();
    let run = scene.api_token_task(json!({ "state": "absent" }));
    assert!(run.failed() && run.message().contains("there are 3 tokens of the name ci with these roles"), "{run}");
    assert!(ids.iter().all(|id| run.message().contains(id)), "{run}");
    assert_eq!(scene.central().live_tokens("ci"), 3);
    let run = scene.api_token_task(json!({ "state": "absent", "all_of_name": true })).succeeded();
    assert_eq!(sorted(&run.result["revoked"]), sorted(&json!(ids)), "{run}");
    let last = scene
        .central()
        .tokens()
        .into_iter()
        .map(|token| token.expiration)
        .filter(|end| *end < scene.sandbox.clock().seconds() + 60 * DAY)
        .max();
    let told = chrono::DateTime::parse_from_rfc3339(run.text("may_revive_until")).unwrap().timestamp();
    assert_eq!(Some(told), last, "{run}");
    assert_eq!(scene.central().live_tokens("ci"), 0);
}

#[test]
fn who_is_among_those_it_revokes_revokes_itself_last() {
    let scene = RhacsScene::new();
    for _ in 0..4 {
        let tokens = [0; 3].map(|_| scene.central().issue_token("keeper", &["Admin"], DAY));
        let options = json!({ "name": "keeper", "role": "Admin", "rhacs_token": tokens[1], "state": "absent", "all_of_name": true });
        let run = scene.api_token_task(options).succeeded();
        assert_eq!(run.result["revoked"].as_array().map(Vec::len), Some(3), "{run}");
        assert_eq!(scene.central().live_tokens("keeper"), 0);
    }
}

#[test]
fn a_revocation_that_stops_half_way_tells_what_is_revoked() {
    let scene = RhacsScene::new();
    for days in [30, 40, 50] {
        scene.issue("ci", days * DAY);
    }
    let failing = scene.central().tokens()[2].id.clone();
    scene.fault(Fault::refusal(13, "database is locked").path(format!("/revoke/{failing}")));
    let run = scene.api_token_task(json!({ "state": "absent", "all_of_name": true }));
    assert!(run.failed() && run.message().contains(&format!("the token {failing} could not be revoked")), "{run}");
    let revoked = run.result["revoked"].as_array().map_or(0, Vec::len);
    assert_eq!((scene.central().live_tokens("ci"), run.changed()), (3 - revoked, revoked > 0), "{run}");
    scene.sandbox.faults().clear();
    let run = scene.api_token_task(json!({ "state": "absent", "all_of_name": true })).succeeded();
    assert_eq!(
        (run.result["revoked"].as_array().map(Vec::len), scene.central().live_tokens("ci")),
        (Some(3 - revoked), 0)
    );
}

#[test]
fn a_token_that_is_gone_already_is_taken_out_of_dest() {
    type Change = fn(&RhacsScene, &str);
    let changes: [(&str, Change); 3] = [
        ("revoked", |scene, id| assert!(scene.central().revoke(id))),
        ("forgotten", |scene, id| {
            assert!(scene.central().revoke(id));
            scene.central().prune();
        }),
        ("expired", |scene, _| {
            scene.sandbox.clock().advance(40 * DAY);
            scene.central().prune();
        }),
    ];
    for (name, change) in changes {
        let scene = RhacsScene::new();
        let (id, token) = scene.issue("ci", 30 * DAY);
        let dest = scene.file("token", &token);
        change(&scene, &id);
        let options = json!({ "dest": dest, "state": "absent" });
        let run = scene.api_token_task(options.clone()).succeeded();
        assert_eq!((run.changed(), &run.result["revoked"], dest.exists()), (true, &json!([]), false), "{name}: {run}");
        let again = scene.api_token_task(options).succeeded();
        assert!(!again.changed(), "{name}: {again}");
    }
}

#[test]
fn a_token_that_came_back_to_life_is_told_of_with_its_end() {
    let scene = RhacsScene::new();
    let (id, token) = scene.issue("ci", 30 * DAY);
    let dest = scene.file("token", &token);
    assert!(scene.central().revoke(&id));
    scene.central().restart();
    scene.central().restart();
    assert!(scene.central().token_works(&token));
    let options = json!({ "dest": dest, "state": "absent" });
    let check = scene.api_token_task(with(options.clone(), json!({ "_ansible_check_mode": true })));
    assert!(check.failed() && dest.exists(), "{check}");
    let run = scene.api_token_task(options.clone());
    assert!(
        run.failed() && run.message().contains("Central does not know the token any more and accepts it until 2"),
        "{run}"
    );
    assert!(run.changed() && !dest.exists(), "{run}");
    scene.api_token_task(options).succeeded();
}

#[test]
fn a_dead_token_that_cannot_be_taken_out_of_dest_is_told_with_what_was_revoked() {
    let scene = RhacsScene::new();
    let (id, token) = scene.issue("ci", 30 * DAY);
    fs::create_dir(scene.path("folder")).unwrap();
    let dest = scene.file("folder/token", &token);
    scene.fault(Fault::delay(Duration::from_millis(500)).path("/v1/auth/status"));
    let options = scene.api_token_options(json!({ "dest": dest, "state": "absent" }));
    let child = executable::start_module("rhacs_api_token", &options);
    while scene.central().token_works(&token) {
        thread::sleep(Duration::from_millis(5));
    }
    // The question whether it is dead is still open.
    fs::remove_dir_all(scene.path("folder")).unwrap();
    let run = Run::from_output(&child.wait_with_output().unwrap());
    assert!(run.failed() && run.message().contains("it could not be taken out of its place"), "{run}");
    assert_eq!((&run.result["revoked"], run.changed()), (&json!([id]), true), "{run}");
}

#[test]
fn what_earlier_runs_left_alive_is_revoked_too() {
    let scene = RhacsScene::new();
    let (id, old) = scene.issue("ci", 30 * DAY);
    let dest = scene.file("token", &old);
    scene.api_token_task(json!({ "dest": dest, "state": "rotated", "overlap": "2d" })).succeeded();
    scene.fault(Fault::lost_answer().path("/generate").times(1));
    // The first question is answered.
    scene.fault(Fault::delay(Duration::ZERO).path("/v1/apitokens/").times(1));
    scene.fault(Fault::refusal(13, "oops").method("GET").path("/v1/apitokens"));
    let lost = scene.api_token_task(json!({ "dest": dest, "state": "rotated" }));
    assert!(lost.failed() && lost.message().contains("whether a new token was issued is not known"), "{lost}");
    assert_eq!(scene.central().live_tokens("ci"), 3);
    scene.sandbox.faults().clear();
    let run = scene.api_token_task(json!({ "dest": dest, "state": "absent" })).succeeded();
    assert!(run.result["revoked"].as_array().is_some_and(|ids| ids.contains(&json!(id))), "{run}");
    assert!(!scene.central().token_works(&old));
    assert_eq!(scene.central().live_tokens("ci"), 0, "{run}");
}

#[test]
fn what_a_note_says_of_another_central_counts_for_nothing() {
    let scene = RhacsScene::new();
    let (other, _) = scene.issue("other", 30 * DAY);
    for (server, revoked) in [("https://other.example.com".to_owned(), 1), (scene.central().url(), 2)] {
        let (_, token) = scene.issue("ci", 30 * DAY);
        let dest = scene.file("token", &token);
        let note = json!({ "server": server, "object": "ci", "retiring": [{ "id": other }] });
        scene.file(".token.tokensmith.json", &note.to_string());
        let run = scene.api_token_task(json!({ "dest": dest, "state": "absent" })).succeeded();
        assert_eq!(run.result["revoked"].as_array().map(Vec::len), Some(revoked), "{run}");
        assert_eq!(scene.central().live_tokens("other"), 2 - revoked, "{run}");
    }
}

fn sorted(ids: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> = ids.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_token_that_has_revoked_itself_is_taken_out_of_its_file_by_the_next_run() {
    let scene = RhacsScene::new();
    let token = scene.central().issue_token("ci", &["Admin"], 30 * DAY);
    let dest = scene.file("token", &token);
    let options = json!({
        "dest": dest, "state": "absent", "role": "Admin", "rhacs_token": null, "rhacs_token_file": dest,
    });
    scene.fault(Fault::lost_answer().path("/revoke/"));
    let cut = scene.api_token_task(options.clone());
    assert!(!scene.central().token_works(&token) && dest.exists(), "{cut}");
    scene.sandbox.faults().clear();
    let run = scene.api_token_task(options.clone()).succeeded();
    assert_eq!((run.changed(), &run.result["revoked"], dest.exists()), (true, &json!([]), false), "{run}");
    let again = scene.api_token_task(options).succeeded();
    assert_eq!((again.changed(), again.text("reason")), (false, "missing"), "{again}");
}
