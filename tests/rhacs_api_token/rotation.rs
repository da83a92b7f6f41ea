//! When a token is replaced, in which order, and what becomes of it when something goes wrong on the way.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::central::Role;
use tokensmith_tests::executable;
use tokensmith_tests::quay::with;
use tokensmith_tests::rhacs::{DAY, ROLE, RhacsScene};
use tokensmith_tests::scene::{mode, read};

/// A case's reason, what is done to the token in `dest`, and what the task asks for.
type Case = (&'static str, fn(&RhacsScene, &str), Value);

#[test]
fn a_token_is_replaced_for_each_reason_and_then_left_alone() {
    let cases: [Case; 12] = [
        ("missing", |scene, _| fs::remove_file(scene.path("token")).unwrap(), json!({})),
        ("expired", |scene, _| scene.sandbox.clock().advance(31 * DAY), json!({})),
        ("expiring", |scene, _| scene.sandbox.clock().advance(23 * DAY), json!({})),
        ("expiring", |_, _| {}, json!({ "renew_before": "30d" })),
        ("dead", |scene, id| assert!(scene.central().revoke(id)), json!({})),
        ("dead", forget, json!({})),
        ("dead", |scene, _| drop(scene.file("token", &cut(&read(&scene.path("token"))))), json!({})),
        ("dead", |scene, _| drop(scene.file("token", "no token of Central's")), json!({ "dest_format": "raw" })),
        ("drifted", |_, _| {}, json!({ "name": "other" })),
        ("drifted", |_, _| {}, json!({ "role": null, "roles": [ROLE, "Analyst"] })),
        ("drifted", |_, _| {}, json!({ "role": "Analyst" })),
        ("forced", |_, _| {}, json!({ "state": "rotated" })),
    ];
    for (reason, change, asked) in cases {
        let scene = RhacsScene::new();
        let (id, old) = scene.issue("ci", 30 * DAY);
        let dest = scene.file("token", &old);
        change(&scene, &id);
        let options = with(json!({ "dest": dest }), asked.clone());
        let forecast = scene.api_token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        assert!(scene.writes().is_empty(), "{reason}, {asked}");
        let run = scene.api_token_task(options.clone()).succeeded();
        assert_eq!((run.text("reason"), run.changed()), (reason, true), "{asked}: {run}");
        for told in ["reason", "changed", "generated", "revoked", "still_valid"] {
            assert_eq!(forecast.result[told], run.result[told], "{reason}, {asked}: {told}: {forecast}, {run}");
        }
        assert!(forecast.result.get("id").is_none_or(Value::is_null), "{forecast}");
        let token = read(&dest);
        assert!(scene.central().token_works(&token) && !run.stdout.contains(&token), "{reason}, {asked}: {run}");
        // One that is not in its place is not known to be ours.
        let is_revoked = !scene.central().token_works(&old);
        let was_readable = reason != "missing" && asked.get("dest_format").is_none();
        assert_eq!(is_revoked, was_readable, "{reason}, {asked}: {run}");
        let again = scene.api_token_task(with(options, json!({ "state": "present" }))).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{reason}, {asked}: {again}");
    }
}

#[test]
fn the_new_token_is_proven_and_in_its_place_before_the_old_one_is_revoked_and_proven_dead() {
    let scene = RhacsScene::new();
    let (old, _) = scene.issue("ci", 7 * DAY);
    let dest = scene.file("token", &scene.central().issue_token("ci", &[ROLE], 7 * DAY));
    let held = scene.central().tokens().pop().unwrap().id;
    let run = scene.api_token_task(json!({ "dest": dest })).succeeded();
    assert_eq!((run.text("reason"), &run.result["revoked"]), ("expiring", &json!([held])), "{run}");
    let order = [
        format!("GET /v1/apitokens/{held}"),
        "GET /v1/auth/status".to_owned(),
        "POST /v1/apitokens/generate".to_owned(),
        "GET /v1/auth/status".to_owned(),
        format!("PATCH /v1/apitokens/revoke/{held}"),
        "GET /v1/auth/status".to_owned(),
    ];
    assert_eq!(scene.requests(), order);
    let sent = scene.sandbox.records().all();
    let statuses: Vec<_> = sent.iter().map(|request| request.status.unwrap()).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 401]);
    assert_eq!(sent[3].authorization, Some(format!("Bearer {}", read(&dest))));
    assert_eq!(run.text("may_revive_until"), end_of(&scene, &held));
    assert!(
        scene.central().tokens().iter().any(|token| token.id == old && !token.revoked),
        "the namesake is another's"
    );
}

#[test]
fn the_old_token_lives_for_as_long_as_the_task_says_and_a_later_run_revokes_it() {
    let scene = RhacsScene::new();
    let (id, old) = scene.issue("ci", 30 * DAY);
    let dest = scene.file("token", &old);
    let options = |overlap: &str, state: &str| json!({ "dest": dest, "overlap": overlap, "state": state });
    let run = scene.api_token_task(options("2s", "rotated")).succeeded();
    assert_eq!((&run.result["still_valid"], &run.result["revoked"]), (&json!([id]), &json!([])), "{run}");
    assert!(scene.central().token_works(&old));
    std::thread::sleep(Duration::from_secs(3));
    let check = with(options("2s", "present"), json!({ "_ansible_check_mode": true }));
    let forecast = scene.api_token_task(check).succeeded();
    assert_eq!((&forecast.result["revoked"], forecast.changed()), (&json!([id]), true), "{forecast}");
    let run = scene.api_token_task(options("2s", "present")).succeeded();
    assert_eq!((run.text("reason"), &run.result["revoked"], run.changed()), ("valid", &json!([id]), true), "{run}");
    assert!(!scene.central().token_works(&old) && scene.central().token_works(&read(&dest)));
    let run = scene.api_token_task(options("2s", "present")).succeeded();
    assert!(!run.changed(), "{run}");
}

#[test]
fn a_lost_answer_leaves_no_token_that_nobody_has() {
    let faults: [(&str, Make); 6] = [
        ("lost answer", Fault::lost_answer),
        ("half an answer", Fault::truncated_json),
        ("cut body", Fault::cut_body),
        ("router's page", || Fault::answer(503, "text/html", "<html></html>").acting()),
        ("internal error", || Fault::refusal(13, "timeout").acting()),
        ("too large", || Fault::large_body().acting()),
    ];
    for (name, fault) in faults {
        for is_held in [false, true] {
            let scene = RhacsScene::new();
            let (namesake, _) = scene.issue("ci", 30 * DAY);
            let (held, old) = scene.issue("ci", 30 * DAY);
            let dest = scene.path("token");
            if is_held {
                scene.file("token", &old);
            }
            scene.central().issue_token("ci", &["Analyst"], 30 * DAY);
            scene.sandbox.clock().advance(DAY);
            scene.fault(fault().path("/generate").times(1));
            let options = json!({ "dest": dest, "state": "rotated" });
            let run = scene.api_token_task(options.clone());
            assert!(run.failed() && run.message().contains("the token was retired, which nobody has"), "{name}: {run}");
            let live: Vec<_> =
                scene.central().tokens().into_iter().filter(|token| token.name == "ci" && !token.revoked).collect();
            assert_eq!(live.len(), 3, "{name}: {live:?}");
            assert!(live[0].id == namesake && live[1].id == held, "{name}: {live:?}");
            assert_eq!(dest.exists().then(|| read(&dest)), is_held.then_some(old), "{name}");
            let run = scene.api_token_task(options).succeeded();
            assert_eq!(run.result["revoked"], if is_held { json!([held]) } else { json!([]) }, "{name}: {run}");
            assert!(scene.central().token_works(&read(&dest)), "{name}");
        }
    }
}

#[test]
fn where_central_cannot_be_asked_about_a_lost_answer_the_next_run_finds_out() {
    let scene = RhacsScene::new();
    let dest = scene.path("token");
    scene.fault(Fault::lost_answer().path("/generate").times(1));
    scene.fault(Fault::refusal(13, "database is locked").method("GET").path("/v1/apitokens"));
    let run = scene.api_token_task(json!({ "dest": dest }));
    assert!(run.failed() && run.message().contains("run the task again, it finds out"), "{run}");
    assert_eq!(scene.central().live_tokens("ci"), 1);
    scene.sandbox.faults().clear();
    let run = scene.api_token_task(json!({ "dest": dest })).succeeded();
    assert_eq!(run.result["revoked"].as_array().map(Vec::len), Some(1), "{run}");
    assert_eq!((scene.central().live_tokens("ci"), scene.central().token_works(&read(&dest))), (1, true));
}

#[test]
fn a_new_token_that_is_of_no_use_is_revoked_and_the_old_one_stays() {
    let cases: [(&str, Make, &str); 5] = [
        (
            "refused",
            || Fault::refusal(16, "credentials not found: token-based: cannot extract identity").path("/status"),
            "does not accept the token",
        ),
        ("of another", || Fault::replace([("userId", json!("admin"))]).path("/status"), "it is taken for admin"),
        ("not proven", || Fault::refusal(13, "oops").path("/status"), "whether it works could not be asked"),
        ("other roles", || other_record("roles", json!(["Analyst"])), "it has the name ci and the roles Analyst"),
        (
            "other id",
            || other_record("id", json!("862ba387-230e-4a27-929d-ac48fa3e4916")),
            "its id is not the one that Central names",
        ),
    ];
    for (name, fault, words) in cases {
        let scene = RhacsScene::new();
        let dest = scene.path("token");
        scene.fault(fault());
        let options = json!({ "dest": dest, "expiration": END });
        let run = scene.api_token_task(options.clone());
        assert!(run.failed() && run.message().contains(words), "{name}: {run}");
        assert_eq!((dest.exists(), scene.central().live_tokens("ci")), (false, 0), "{name}");
        scene.sandbox.faults().clear();
        scene.api_token_task(options).succeeded();
        assert!(scene.central().token_works(&read(&dest)), "{name}");
    }
}

#[test]
fn a_place_that_takes_no_token_is_found_out_before_one_is_generated() {
    let scene = RhacsScene::new();
    fs::create_dir(scene.path("folder")).unwrap();
    for dest in [scene.path("no/such/folder/token"), scene.path("folder")] {
        let run = scene.api_token_task(json!({ "dest": dest }));
        assert!(run.failed(), "{run}");
    }
    assert_eq!((scene.writes(), scene.central().live_tokens("ci")), (Vec::new(), 0));
}

#[test]
fn an_old_token_that_could_not_be_revoked_is_told_and_the_next_run_revokes_it() {
    let scene = RhacsScene::new();
    let (id, old) = scene.issue("ci", 7 * DAY);
    let dest = scene.file("token", &old);
    scene.fault(Fault::refusal(13, "database is locked").method("PATCH"));
    let run = scene.api_token_task(json!({ "dest": dest }));
    assert!(run.failed() && run.message().contains(&format!("the old one ({id}) could not be retired")), "{run}");
    assert_eq!((&run.result["still_valid"], &run.result["generated"]), (&json!([id]), &json!(true)), "{run}");
    assert!(scene.central().token_works(&read(&dest)) && scene.central().token_works(&old));
    scene.sandbox.faults().clear();
    let run = scene.api_token_task(json!({ "dest": dest })).succeeded();
    assert_eq!((run.text("reason"), &run.result["revoked"]), ("valid", &json!([id])), "{run}");
    assert!(!scene.central().token_works(&old));
}

#[test]
fn a_token_rotates_itself_and_its_successor_ends_it() {
    let scene = RhacsScene::new();
    let dest = scene.file("token", &scene.central().issue_token("self", &["Admin"], 9 * DAY));
    let old = read(&dest);
    let options = |state: &str| {
        json!({
            "rhacs_token": null, "rhacs_token_file": dest, "dest": dest, "name": "self", "role": "Admin", "state": state,
        })
    };
    let run = scene.api_token_task(options("rotated")).succeeded();
    assert_eq!(run.text("reason"), "forced");
    assert!(!scene.central().token_works(&old) && scene.central().token_works(&read(&dest)), "{run}");
    let sent = scene.sandbox.records().all();
    let revocation = sent.iter().find(|request| request.method == "PATCH").unwrap();
    assert_eq!(revocation.authorization, Some(format!("Bearer {}", read(&dest))));
    let again = scene.api_token_task(options("present")).succeeded();
    assert!(!again.changed(), "{again}");
    let token = read(&dest);
    scene.api_token_task(options("absent")).succeeded();
    assert!(!scene.central().token_works(&token) && !dest.exists());
}

#[test]
fn central_tells_the_time_and_the_result_tells_it_by_our_clock() {
    for skew in [-400 * DAY, 400 * DAY, 5] {
        let scene = RhacsScene::new();
        let dest = scene.path("token");
        scene.sandbox.clock().advance(skew);
        scene.central().change(|state| state.tokens.clear());
        let caller = scene.central().issue_token("caller", &["Admin"], DAY);
        let options = json!({ "dest": dest, "rhacs_token": caller });
        let run = scene.api_token_task(options.clone()).succeeded();
        let record = scene.central().tokens().pop().unwrap();
        assert_eq!(record.expiration - record.issued_at, 90 * DAY, "{skew}: {run}");
        let offset = run.result["clock_offset"].as_i64().unwrap();
        assert!((skew - 2..=skew + 2).contains(&offset), "{skew}: {run}");
        let end = chrono::DateTime::parse_from_rfc3339(run.text("expires_at")).unwrap().timestamp();
        assert!((end + skew - record.expiration).abs() <= 2, "{skew}: {run}");
        let again = scene.api_token_task(options.clone()).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{skew}: {again}");
        // Orphans too are looked for by Central's clock.
        scene.fault(Fault::lost_answer().path("/generate").times(1));
        let run = scene.api_token_task(with(options, json!({ "state": "rotated" })));
        assert!(run.message().contains("the token was retired, which nobody has"), "{skew}: {run}");
        assert!(scene.central().token_works(&read(&dest)), "{skew}");
        let nowhere = scene.api_token_task(json!({ "rhacs_token": caller })).succeeded();
        let run = scene.api_token_task(json!({ "dest": dest, "rhacs_token": caller, "state": "absent" })).succeeded();
        for told in [nowhere.text("expires_at"), run.text("may_revive_until")] {
            let told = chrono::DateTime::parse_from_rfc3339(told).unwrap().timestamp();
            assert!((told + skew - record.expiration).abs() <= 2, "{skew}: {nowhere}, {run}");
        }
    }
}

#[test]
fn a_token_none_of_whose_roles_exists_any_more_is_dead_and_one_with_a_role_left_is_not() {
    for (roles, words) in [(vec!["Auditor"], Some("400 role(s) Auditor don't exist")), (vec!["Auditor", ROLE], None)] {
        let scene = RhacsScene::new();
        scene.central().change(|state| state.roles.insert("Auditor".to_owned(), Role::unrestricted([])));
        let dest = scene.file("token", &scene.central().issue_token("ci", &roles, 30 * DAY));
        scene.central().change(|state| state.roles.remove("Auditor"));
        let run = scene.api_token_task(json!({ "dest": dest, "role": null, "roles": roles }));
        match words {
            Some(words) => assert!(run.failed() && run.message().contains(words), "{run}"),
            None => assert_eq!(run.succeeded().result["generated"], false),
        }
    }
}

#[test]
fn a_token_can_live_for_almost_ever() {
    let scene = RhacsScene::new();
    let dest = scene.path("token");
    let options = json!({ "dest": dest, "expiration": "9999-12-31T23:59:59Z", "overlap": "90000d" });
    let run = scene.api_token_task(options.clone()).succeeded();
    assert_eq!(run.text("expires_at"), "9999-12-31T23:59:59Z", "{run}");
    assert!(!scene.api_token_task(options).succeeded().changed());
    let password = json!({ "rhacs_token": null, "rhacs_password": scene.central().admin_password(), "dest": dest, "state": "rotated" });
    scene.api_token_task(password).succeeded();
    assert!(scene.central().token_works(&read(&dest)));
}

#[test]
fn whoever_asks_for_less_than_renew_before_is_told_that_every_run_will_generate_one() {
    let scene = RhacsScene::new();
    let run = scene.api_token_task(json!({ "dest": scene.path("token"), "expiration": "3d" })).succeeded();
    assert!(run.warnings().contains("within renew_before (8d): every run will generate a new one"), "{run}");
}

#[test]
fn without_dest_a_token_is_generated_where_none_lasts_and_those_of_others_are_left_alone() {
    let scene = RhacsScene::new();
    let run = scene.api_token_task(json!({})).succeeded();
    assert!(run.changed() && scene.central().token_works(run.text("token")), "{run}");
    assert_eq!(run.result["_tokensmith_secret"], true);
    scene.issue("ci", 20 * DAY);
    let again = scene.api_token_task(json!({})).succeeded();
    assert_eq!((again.text("id"), again.changed()), (run.text("id"), false), "{again}");
    let rotated = scene.api_token_task(json!({ "state": "rotated" })).succeeded();
    assert_eq!(
        (rotated.text("reason"), rotated.result["still_valid"].as_array().map(Vec::len)),
        ("forced", Some(2)),
        "{rotated}"
    );
    assert_eq!(scene.central().live_tokens("ci"), 3);
    scene.sandbox.clock().advance(85 * DAY);
    let check = scene.api_token_task(json!({ "_ansible_check_mode": true })).succeeded();
    assert_eq!((check.text("reason"), check.changed(), check.result.get("token")), ("expiring", true, None), "{check}");
    let renewed = scene.api_token_task(json!({})).succeeded();
    assert_eq!(renewed.text("reason"), "expiring", "{renewed}");
    assert!(scene.central().token_works(renewed.text("token")));
}

#[test]
fn a_forecast_knows_what_central_would_refuse() {
    let scene = RhacsScene::new();
    let analyst = scene.central().issue_token("caller", &["Analyst"], DAY);
    for (asked, words) in [
        (json!({ "role": null, "roles": ["Nope", "Admin"] }), "into a token for this credential: Nope;"),
        (json!({ "rhacs_token": analyst, "role": "Admin" }), "into a token for this credential: Admin;"),
        (json!({ "expiration": "2020-01-01T00:00:00Z" }), "expiration is past"),
        (json!({ "rhacs_token": "no-token" }), "the credential is not accepted"),
    ] {
        let options = with(json!({ "dest": scene.path("token"), "_ansible_check_mode": true }), asked);
        let run = scene.api_token_task(options.clone());
        assert!(run.failed() && run.message().contains(words), "{options}: {run}");
    }
    // Releases before 4.3 do not tell.
    scene.central().change(|state| state.release = (4, 2, 0));
    let options = json!({ "dest": scene.path("token"), "_ansible_check_mode": true, "role": "Nope" });
    scene.api_token_task(options).succeeded();
    assert_eq!((scene.writes(), scene.path("token").exists()), (Vec::new(), false));
}

#[test]
fn the_token_is_written_as_its_users_read_it() {
    let scene = RhacsScene::new();
    for (format, begin) in [("raw", "eyJ"), ("json", "{"), ("env", "ROX_API_TOKEN='eyJ")] {
        let dest = scene.path(format);
        let options = json!({ "dest": dest, "dest_format": format, "mode": "0640" });
        scene.api_token_task(options.clone()).succeeded();
        assert!(read(&dest).starts_with(begin), "{format}: {}", read(&dest).len());
        assert_eq!(mode(&dest), 0o640);
        assert!(!scene.api_token_task(options).succeeded().changed(), "{format}");
    }
}

#[test]
fn a_token_that_the_running_task_has_never_seen_is_hidden_where_central_repeats_it() {
    let scene = RhacsScene::new();
    let (_, token) = scene.issue("ci", 30 * DAY);
    let dest = scene.file("token", &token);
    let said = format!("Authorization: Bearer {} and {token}", scene.token);
    for path in ["/v1/apitokens/", "/v1/auth/status", "/generate", "/revoke/"] {
        scene.sandbox.faults().clear();
        scene.fault(Fault::refusal(3, &said).path(path));
        let run = executable::module(
            "rhacs_api_token",
            &scene.api_token_options(json!({ "dest": dest, "state": "rotated", "return_token": false })),
        );
        assert!(run.failed(), "{path}: {run}");
        assert!(!run.stdout.contains(&token) && !run.stdout.contains(&scene.token), "{path}: {run}");
        scene.file("token", &token);
    }
}

/// As the hourly job does with what was revoked.
fn forget(scene: &RhacsScene, id: &str) {
    assert!(scene.central().revoke(id));
    scene.central().prune();
}

fn cut(token: &str) -> String {
    token[..token.len() - 40].to_owned()
}

fn end_of(scene: &RhacsScene, id: &str) -> String {
    let record = scene.central().tokens().into_iter().find(|token| token.id == id).unwrap();
    let end = chrono::DateTime::from_timestamp(record.expiration, 0).unwrap();
    end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The record beside the token says something else of it.
fn other_record(field: &str, value: Value) -> Fault {
    let mut record = json!({
        "id": "0a07385c-7cdc-49a6-aba5-fe2b0387d4e1", "name": "ci", "roles": [ROLE], "issuedAt": "2026-03-01T09:54:21Z",
        "expiration": END, "revoked": false, "role": ROLE,
    });
    record[field] = value;
    Fault::replace([("metadata", record)]).path("/generate")
}

const END: &str = "9998-03-01T09:54:21Z";

/// Makes a fault anew for each case.
type Make = fn() -> Fault;
