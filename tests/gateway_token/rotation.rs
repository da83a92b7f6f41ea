//! When a token is replaced, in which order, and what becomes of it when something goes wrong on the way.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::platform::Release;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::gateway::{GatewayScene, USER};
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{mode, read};

use super::{APIS, DAY, Held, held, ids, note};

/// A case's reason, what is done to the token in `dest`, what the task asks for, and whether there was an old token to be deleted.
type Case = (&'static str, fn(&GatewayScene, &Held), Value, bool);

#[test]
fn a_token_is_replaced_for_each_reason_and_then_left_alone() {
    let cases: [Case; 12] = [
        ("missing", |_, held| fs::remove_file(&held.dest).unwrap(), json!({}), false),
        ("expired", |scene, held| assert!(scene.platform().expire_in(held.id, -DAY)), json!({}), false),
        ("expiring", |scene, held| assert!(scene.platform().expire_in(held.id, 29 * DAY)), json!({}), true),
        (
            "expiring",
            |scene, held| assert!(scene.platform().expire_in(held.id, 50 * DAY)),
            json!({ "renew_before": "60d" }),
            true,
        ),
        ("aged", |scene, _| scene.sandbox.clock().advance(11 * DAY), json!({ "max_age": "10d" }), true),
        ("dead", |scene, held| assert!(scene.platform().revoke(held.id)), json!({}), false),
        ("dead", |_, held| fs::write(&held.dest, "no token of the platform's").unwrap(), json!({}), false),
        ("drifted", |_, _| {}, json!({ "description": "other" }), true),
        ("drifted", |_, _| {}, json!({ "scope": ["read"] }), true),
        ("drifted", |_, _| {}, json!({ "scope": ["write", "read"] }), true),
        ("drifted", |_, held| set_mode(held, 0o644), json!({ "mode": "0600" }), false),
        ("forced", |_, _| {}, json!({ "state": "rotated" }), true),
    ];
    for api in APIS {
        for (reason, change, asked, is_deleted) in &cases {
            let scene = GatewayScene::of(api);
            let held = held(&scene);
            change(&scene, &held);
            scene.sandbox.records().clear();
            let options = with(json!({ "dest": held.dest }), asked.clone());
            let forecast = scene.token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
            assert!(scene.writes().is_empty(), "{api}, {reason}, {asked}");
            let run = scene.token_task(options.clone()).succeeded();
            assert_eq!((run.text("reason"), run.changed()), (*reason, true), "{api}, {asked}: {run}");
            for told in ["reason", "changed", "created", "deleted", "still_valid"] {
                assert_eq!(
                    forecast.result[told], run.result[told],
                    "{api}, {reason}, {asked}: {told}: {forecast}, {run}"
                );
            }
            let deleted = if *is_deleted { vec![held.id] } else { Vec::new() };
            assert_eq!(run.result["deleted"], json!(deleted), "{api}, {reason}, {asked}: {run}");
            let token = read(&held.dest);
            assert!(scene.platform().token_works(&token) && !run.stdout.contains(&token), "{api}, {reason}: {run}");
            if *is_deleted {
                assert!(!scene.platform().token_works(&held.token), "{api}, {reason}, {asked}: {run}");
            }
            let again = scene.token_task(with(options, json!({ "state": "present" }))).succeeded();
            assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{api}, {reason}, {asked}: {again}");
            assert_eq!(again.result["id"], run.result["id"], "{api}, {reason}, {asked}: {again}");
        }
    }
}

#[test]
fn the_new_token_is_proven_and_in_its_place_before_the_old_one_is_deleted_and_proven_dead() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let (namesake, _) = scene.platform().issue_token(USER, "ci", "write");
        let held = held(&scene);
        scene.sandbox.records().clear();
        let run = scene.token_task(json!({ "dest": held.dest, "state": "rotated" })).succeeded();
        assert_eq!((run.text("reason"), &run.result["deleted"]), ("forced", &json!([held.id])), "{run}");
        let order = [
            "GET /me/".to_owned(),
            format!("GET /tokens/{}/", held.id),
            "POST /tokens/".to_owned(),
            "GET /me/".to_owned(),
            format!("DELETE /tokens/{}/", held.id),
            "GET /me/".to_owned(),
        ];
        assert_eq!(requests(&scene), order, "{api}");
        let sent = scene.sandbox.records().all();
        let statuses: Vec<_> = sent.iter().map(|request| request.status.unwrap()).collect();
        assert_eq!(statuses, [200, 200, 201, 200, 204, 401], "{api}");
        assert_eq!(sent[3].authorization, Some(format!("Bearer {}", read(&held.dest))), "{api}");
        assert_eq!(sent[5].authorization, Some(format!("Bearer {}", held.token)), "{api}");
        assert_eq!(sent[2].json, Some(json!({ "description": "ci", "scope": "write" })), "{api}");
        assert!(ids(&scene, "ci").contains(&namesake), "{api}: the namesake is another's");
    }
}

#[test]
fn a_token_that_lasts_costs_two_requests() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        scene.sandbox.records().clear();
        scene.token_task(json!({ "dest": held.dest })).succeeded();
        assert_eq!(requests(&scene), ["GET /me/".to_owned(), format!("GET /tokens/{}/", held.id)], "{api}");
    }
}

#[test]
fn the_old_token_lives_for_as_long_as_the_task_says_and_a_later_run_deletes_it() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        let options = |state: &str| json!({ "dest": held.dest, "overlap": "2d", "state": state });
        let run = scene.token_task(options("rotated")).succeeded();
        assert_eq!((&run.result["still_valid"], &run.result["deleted"]), (&json!([held.id]), &json!([])), "{run}");
        let run = scene.token_task(options("present")).succeeded();
        assert_eq!((&run.result["still_valid"], run.changed()), (&json!([held.id]), false), "{run}");
        assert!(scene.platform().token_works(&held.token));
        end_grace(&scene);
        let forecast = scene.token_task(with(options("present"), json!({ "_ansible_check_mode": true }))).succeeded();
        assert_eq!((&forecast.result["deleted"], forecast.changed()), (&json!([held.id]), true), "{forecast}");
        assert!(scene.platform().token_works(&held.token));
        let run = scene.token_task(options("present")).succeeded();
        assert_eq!((run.text("reason"), run.changed()), ("valid", true), "{run}");
        assert_eq!((&run.result["deleted"], &run.result["still_valid"]), (&json!([held.id]), &json!([])), "{run}");
        assert!(!scene.platform().token_works(&held.token) && scene.platform().token_works(&read(&held.dest)));
        assert!(!scene.token_task(options("present")).succeeded().changed());
    }
}

#[test]
fn a_lost_answer_leaves_no_token_that_nobody_has() {
    let faults: [(&str, Make); 6] = [
        ("lost answer", Fault::lost_answer),
        ("half an answer", Fault::truncated_json),
        ("cut body", Fault::cut_body),
        ("proxy's page", || Fault::bad_gateway().acting()),
        ("internal error", || Fault::server_error().acting()),
        ("too large", || Fault::large_body().acting()),
    ];
    for (number, (name, fault)) in faults.into_iter().enumerate() {
        // On old gateways the rows of everybody are in the list.
        let scene = GatewayScene::of(APIS[number % 2]);
        if number % 2 == 0 {
            scene.platform().change(|state| state.release = Release::Dab2025_5_8);
        }
        for is_held in [false, true] {
            let dest = scene.path(if is_held { "held" } else { "token" });
            let old = is_held.then(|| held_at(&scene, &dest));
            let (namesake, _) = scene.platform().issue_token(USER, "ci", "write");
            scene.sandbox.clock().advance(DAY);
            let of_others = [
                scene.platform().issue_token("bob", "ci", "write").0,
                scene.platform().issue_token(USER, "ci", "read").0,
                scene.platform().issue_token(USER, "CI", "write").0,
            ];
            let before = all_ids(&scene);
            scene.fault(fault().path("/tokens/").method("POST").times(1));
            let options = json!({ "dest": dest, "state": "rotated" });
            let run = scene.token_task(options.clone());
            assert!(run.failed() && run.message().contains("the token was retired, which nobody has"), "{name}: {run}");
            assert_eq!(all_ids(&scene), before, "{name}");
            assert!(before.contains(&namesake) && of_others.iter().all(|id| before.contains(id)));
            assert_eq!(dest.exists().then(|| read(&dest)), old.as_ref().map(|old| old.token.clone()), "{name}");
            let run = scene.token_task(options).succeeded();
            let deleted: Vec<i64> = old.iter().map(|old| old.id).collect();
            assert_eq!(run.result["deleted"], json!(deleted), "{name}: {run}");
            assert!(scene.platform().token_works(&read(&dest)), "{name}");
        }
    }
}

#[test]
fn where_the_platform_cannot_be_asked_about_a_lost_answer_the_next_run_finds_out() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let dest = scene.path("token");
        scene.fault(Fault::lost_answer().path("/tokens/").method("POST").times(1));
        scene.fault(Fault::server_error().path("/tokens/").method("GET"));
        let run = scene.token_task(json!({ "dest": dest }));
        assert!(run.failed() && run.message().contains("run the task again, it finds out"), "{run}");
        let lost = ids(&scene, "ci");
        assert_eq!(lost.len(), 1);
        scene.sandbox.faults().clear();
        let run = scene.token_task(json!({ "dest": dest })).succeeded();
        assert_eq!(run.result["deleted"], json!(lost), "{run}");
        assert_eq!((scene.platform().live_tokens("ci"), scene.platform().token_works(&read(&dest))), (1, true));
    }
}

#[test]
fn a_new_token_that_is_of_no_use_is_deleted_and_the_old_one_stays() {
    let cases: [(&str, Make, &str); 2] = [
        ("refused", || Fault::answer(401, "application/json", NOT_PROVIDED), "does not accept the token"),
        ("not proven", Fault::server_error, "whether it works could not be asked"),
    ];
    for api in APIS {
        for (name, fault, words) in &cases {
            let scene = GatewayScene::of(api);
            let held = held(&scene);
            // The first question is about the old token.
            scene.fault(Fault::delay(Duration::ZERO).path("/me/").times(1));
            scene.fault(fault().path("/me/"));
            let options = json!({ "dest": held.dest, "state": "rotated" });
            let run = scene.token_task(options.clone());
            assert!(run.failed() && run.message().contains(words), "{api}, {name}: {run}");
            assert_eq!((read(&held.dest), ids(&scene, "ci")), (held.token, vec![held.id]), "{api}, {name}");
            scene.sandbox.faults().clear();
            scene.token_task(options).succeeded();
            assert!(scene.platform().token_works(&read(&held.dest)), "{api}, {name}");
            assert_eq!(scene.platform().live_tokens("ci"), 1, "{api}, {name}");
        }
    }
}

#[test]
fn a_place_that_takes_no_token_is_found_out_before_one_is_created() {
    let scene = GatewayScene::new();
    fs::create_dir(scene.path("folder")).unwrap();
    for dest in [scene.path("no/such/folder/token"), scene.path("folder")] {
        for check in [true, false] {
            let run = scene.token_task(json!({ "dest": dest, "_ansible_check_mode": check }));
            assert!(run.failed(), "{run}");
        }
    }
    assert_eq!((scene.writes(), scene.platform().live_tokens("ci")), (Vec::new(), 0));
}

#[test]
fn a_token_that_could_not_be_handed_over_is_deleted_and_the_old_one_stays() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        fs::create_dir(scene.path("folder")).unwrap();
        let held = held_at(&scene, &scene.path("folder/token"));
        // The first question is about the old token, and the second one, about the new one, stays open for a while.
        scene.fault(Fault::delay(Duration::ZERO).path("/me/").times(1));
        scene.fault(Fault::delay(Duration::from_secs(1)).path("/me/").times(1));
        let options = scene.token_options(json!({ "dest": held.dest, "state": "rotated" }));
        scene.sandbox.records().clear();
        let child = executable::start_module("gateway_token", &options);
        while scene.sandbox.records().to("/me/").len() < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        fs::rename(scene.path("folder"), scene.path("elsewhere")).unwrap();
        let run = Run::from_output(&child.wait_with_output().unwrap());
        assert!(run.failed() && run.message().contains("the new token could not be handed over"), "{run}");
        assert_eq!(ids(&scene, "ci"), [held.id], "{api}: {run}");
        fs::rename(scene.path("elsewhere"), scene.path("folder")).unwrap();
        assert_eq!(read(&held.dest), held.token);
        let run = scene.token_task(json!({ "dest": held.dest, "state": "rotated" })).succeeded();
        assert_eq!(run.result["deleted"], json!([held.id]), "{api}: {run}");
        assert_eq!(scene.platform().live_tokens("ci"), 1);
    }
}

#[test]
fn an_old_token_that_could_not_be_deleted_is_told_and_the_next_run_deletes_it() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        scene.fault(Fault::server_error().method("DELETE"));
        let run = scene.token_task(json!({ "dest": held.dest, "state": "rotated" }));
        let words = format!("the old one ({}) could not be retired", held.id);
        assert!(run.failed() && run.message().contains(&words), "{run}");
        assert_eq!((&run.result["still_valid"], &run.result["created"]), (&json!([held.id]), &json!(true)), "{run}");
        assert!(run.changed(), "{run}");
        assert!(scene.platform().token_works(&read(&held.dest)) && scene.platform().token_works(&held.token));
        scene.sandbox.faults().clear();
        let run = scene.token_task(json!({ "dest": held.dest })).succeeded();
        assert_eq!((run.text("reason"), &run.result["deleted"]), ("valid", &json!([held.id])), "{run}");
        assert!(!scene.platform().token_works(&held.token));
    }
}

#[test]
fn a_deletion_that_was_done_and_not_answered_counts() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        scene.fault(Fault::lost_answer().method("DELETE").times(1));
        let run = scene.token_task(json!({ "dest": held.dest, "state": "rotated" })).succeeded();
        assert_eq!(run.result["deleted"], json!([held.id]), "{run}");
        assert!(!scene.platform().token_works(&held.token));
    }
}

#[test]
fn a_token_rotates_itself_and_its_successor_deletes_it() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let (id, old) = scene.platform().issue_token(USER, "ci", "write");
        let dest = scene.file("token", &old);
        let options = |state: &str| json!({ "gateway_token_file": dest, "dest": dest, "state": state });
        let run = scene.token_task(options("rotated")).succeeded();
        assert_eq!((run.text("reason"), &run.result["deleted"]), ("forced", &json!([id])), "{run}");
        assert!(!scene.platform().token_works(&old) && scene.platform().token_works(&read(&dest)), "{run}");
        let sent = scene.sandbox.records().all();
        let deletion = sent.iter().find(|request| request.method == "DELETE").unwrap();
        assert_eq!(deletion.authorization, Some(format!("Bearer {}", read(&dest))));
        let again = scene.token_task(options("present")).succeeded();
        assert!(!again.changed(), "{again}");
        let token = read(&dest);
        scene.token_task(options("absent")).succeeded();
        assert!(!scene.platform().token_works(&token) && !dest.exists());
    }
}

#[test]
fn a_token_that_rotates_itself_with_an_overlap_is_deleted_by_its_successor_later() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let (id, old) = scene.platform().issue_token(USER, "ci", "write");
        let dest = scene.file("token", &old);
        let options =
            |state: &str| json!({ "gateway_token_file": dest, "dest": dest, "state": state, "overlap": "1h" });
        let run = scene.token_task(options("rotated")).succeeded();
        assert_eq!((&run.result["still_valid"], &run.result["deleted"]), (&json!([id]), &json!([])), "{run}");
        assert!(scene.platform().token_works(&old));
        end_grace(&scene);
        let run = scene.token_task(options("present")).succeeded();
        assert_eq!((run.text("reason"), &run.result["deleted"]), ("valid", &json!([id])), "{run}");
        assert!(!scene.platform().token_works(&old) && scene.platform().token_works(&read(&dest)));
    }
}

#[test]
fn a_token_that_asks_for_a_weaker_successor_deletes_itself() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let (id, old) = scene.platform().issue_token(USER, "ci", "write");
        let dest = scene.file("token", &old);
        let options = json!({ "gateway_token_file": dest, "dest": dest, "scope": ["read"] });
        // A controller does not show which row is a token's, and no row is as the task wants it.
        note(&scene, "token", json!({ "fingerprint": fingerprint(&old), "id": id.to_string() }));
        let run = scene.token_task(options.clone()).succeeded();
        assert_eq!((run.text("reason"), &run.result["deleted"]), ("drifted", &json!([id])), "{api}: {run}");
        assert!(!scene.platform().token_works(&old) && scene.platform().token_works(&read(&dest)), "{run}");
        let again = scene.token_task(options.clone()).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
        let run = scene.token_task(with(options, json!({ "state": "rotated" })));
        assert!(run.failed() && run.message().contains("a read token changes nothing"), "{run}");
        assert!(scene.platform().token_works(&read(&dest)));
    }
}

#[test]
fn without_a_note_the_row_is_found_or_the_old_token_is_left_alone_and_told_of() {
    for api in APIS {
        for (busy, description, namesakes, is_found) in [
            (false, "ci", 0, true),
            (false, "ci", 1, api == "gateway"),
            (false, "manual", 0, api == "gateway"),
            (true, "ci", 1, api == "gateway"),
        ] {
            let scene = GatewayScene::of(api);
            let case = format!("{api}, {busy}, {description}, {namesakes}");
            let (id, old) = scene.platform().issue_token(USER, description, "write");
            let others: Vec<_> = (0..namesakes).map(|_| scene.platform().issue_token(USER, "ci", "write")).collect();
            if busy {
                let caller =
                    json!({ "gateway_token": others[0].1, "dest": scene.path("other"), "description": "other" });
                scene.token_task(caller).succeeded();
            }
            let dest = scene.file("token", &old);
            let run = scene.token_task(json!({ "dest": dest, "state": "rotated" })).succeeded();
            let deleted = if is_found { vec![id] } else { Vec::new() };
            assert_eq!(run.result["deleted"], json!(deleted), "{case}: {run}");
            assert_eq!(
                run.warnings().contains("which row of the platform it is cannot be found out"),
                !is_found,
                "{case}: {run}"
            );
            assert_eq!(scene.platform().token_works(&old), !is_found, "{case}: {run}");
            assert!(others.iter().all(|(_, token)| scene.platform().token_works(token)), "{case}: {run}");
            assert!(scene.platform().token_works(&read(&dest)));
        }
    }
}

#[test]
fn a_token_that_may_not_even_look_is_kept_like_any_other() {
    let scene = GatewayScene::new();
    let dest = scene.path("token");
    let options = json!({ "dest": dest, "scope": ["openid", "roles"] });
    let run = scene.token_task(options.clone()).succeeded();
    assert!(!scene.token_task(options.clone()).succeeded().changed());
    fs::remove_file(scene.path(".token.tokensmith.json")).unwrap();
    let again = scene.token_task(options.clone()).succeeded();
    assert_eq!((again.text("reason"), &again.result["id"]), ("valid", &run.result["id"]), "{again}");
    let run = scene.token_task(with(options, json!({ "state": "rotated" }))).succeeded();
    assert_eq!(run.result["deleted"], json!([again.result["id"]]), "{run}");
    assert!(scene.platform().token_works(&read(&dest)));
}

#[test]
fn the_token_of_another_user_is_replaced_and_left_alone() {
    for api in APIS {
        for caller in ["password", "token"] {
            let scene = GatewayScene::of(api);
            let (_, old) = scene.platform().issue_token("bob", "ci", "write");
            let dest = scene.file("token", &old);
            let options = match caller {
                "password" => json!({ "dest": dest }),
                _ => json!({ "dest": dest, "gateway_token": scene.platform().issue_token(USER, "caller", "write").1 }),
            };
            let run = scene.token_task(options.clone()).succeeded();
            assert_eq!((run.text("reason"), run.changed()), ("drifted", true), "{run}");
            assert!(run.warnings().contains("The old token is of the user bob"), "{run}");
            assert_eq!((&run.result["deleted"], &run.result["still_valid"]), (&json!([]), &json!([])), "{run}");
            assert!(scene.platform().token_works(&old) && scene.platform().token_works(&read(&dest)));
            let again = scene.token_task(options).succeeded();
            assert_eq!((again.changed(), again.warnings()), (false, String::new()), "{again}");
        }
    }
}

#[test]
fn after_a_new_installation_the_rows_of_others_under_noted_ids_are_left_alone() {
    for release in RELEASES {
        // The row under the noted id is of the user of the task, or of another.
        for owner in [USER, "bob"] {
            let scene = of(release);
            let case = format!("{release:?}, {owner}");
            let (id, stranger) = scene.platform().issue_token(owner, "ci", "write");
            let (waiting, other) = scene.platform().issue_token(owner, "nightly", "write");
            let dest = scene.file("token", "token-of-the-former-platform");
            let noted = json!({
                "fingerprint": fingerprint("token-of-the-former-platform"), "id": id.to_string(), "rotated_at": "2020-01-01T00:00:00Z",
                "server": server(&scene), "object": "ci",
                "retiring": [{ "id": waiting.to_string(), "fingerprint": "0123456789ab" }],
            });
            note(&scene, "token", noted.clone());
            let check = json!({ "dest": dest, "_ansible_check_mode": true });
            let forecast = scene.token_task(check).succeeded();
            assert_eq!(
                (forecast.text("reason"), &forecast.result["deleted"]),
                ("dead", &json!([])),
                "{case}: {forecast}"
            );
            let run = scene.token_task(json!({ "dest": dest })).succeeded();
            assert_eq!((run.text("reason"), &run.result["deleted"]), ("dead", &json!([])), "{case}: {run}");
            assert!(scene.platform().token_works(&stranger) && scene.platform().token_works(&other), "{case}: {run}");
            let again = scene.token_task(json!({ "dest": dest })).succeeded();
            assert!(!again.changed(), "{case}: {again}");

            scene.file("token", "token-of-the-former-platform");
            note(&scene, "token", noted);
            let run = scene.token_task(json!({ "dest": dest, "state": "absent" })).succeeded();
            assert_eq!(run.result["deleted"], json!([]), "{case}: {run}");
            assert!(scene.platform().token_works(&stranger) && scene.platform().token_works(&other), "{case}: {run}");
        }
    }
}

#[test]
fn rows_of_other_users_are_left_alone_by_every_release() {
    for release in RELEASES {
        let scene = of(release);
        let others: Vec<_> = ["bob", "admin"].map(|user| scene.platform().issue_token(user, "ci", "write").1).into();
        let dest = scene.path("token");
        for state in ["present", "present", "rotated", "absent"] {
            let run = scene.token_task(json!({ "dest": dest, "state": state })).succeeded();
            assert!(others.iter().all(|token| scene.platform().token_works(token)), "{release:?}, {state}: {run}");
        }
        scene.token_task(json!({ "state": "rotated" })).succeeded();
        let run = scene.token_task(json!({ "state": "absent", "all_of_description": true })).succeeded();
        assert_eq!(run.result["deleted"].as_array().map(Vec::len), Some(1), "{release:?}: {run}");
        assert_eq!(scene.platform().live_tokens("ci"), 2, "{release:?}");
    }
}

#[test]
fn the_platform_tells_the_time_and_the_result_tells_it_by_our_clock() {
    for (api, life) in [("gateway", 365 * DAY), ("controller", 365_000 * DAY)] {
        for skew in [-400 * DAY, 400 * DAY, 5] {
            let scene = GatewayScene::of(api);
            let dest = scene.path("token");
            scene.sandbox.clock().advance(skew);
            let options = json!({ "dest": dest, "max_age": "1d" });
            let run = scene.token_task(options.clone()).succeeded();
            let record = scene.platform().tokens().pop().unwrap();
            assert_eq!(record.expires - record.created, life, "{skew}: {run}");
            let offset = run.result["clock_offset"].as_i64().unwrap();
            assert!((skew - 2..=skew + 2).contains(&offset), "{api}, {skew}: {run}");
            assert!((end(&run) + skew - record.expires).abs() <= 2, "{api}, {skew}: {run}");
            let again = scene.token_task(options.clone()).succeeded();
            assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{api}, {skew}: {again}");
            // Orphans too are looked for by the platform's clock.
            scene.fault(Fault::lost_answer().path("/tokens/").method("POST").times(1));
            let run = scene.token_task(with(options, json!({ "state": "rotated" })));
            assert!(run.message().contains("the token was retired, which nobody has"), "{api}, {skew}: {run}");
            assert!(scene.platform().token_works(&read(&dest)), "{api}, {skew}");
            let nowhere = scene.token_task(json!({})).succeeded();
            assert!((end(&nowhere) + skew - record.expires).abs() <= 2, "{api}, {skew}: {nowhere}");
        }
    }
}

#[test]
fn a_token_can_live_for_a_thousand_years() {
    for format in ["raw", "json"] {
        let scene = GatewayScene::of("controller");
        let dest = scene.path("token");
        let options = json!({ "dest": dest, "dest_format": format, "overlap": "90000d", "renew_before": "90000d" });
        let run = scene.token_task(options.clone()).succeeded();
        assert!(run.text("expires_at").starts_with("302"), "{run}");
        assert_eq!(run.warnings(), "");
        let again = scene.token_task(options.clone()).succeeded();
        assert_eq!((again.changed(), again.text("expires_at")), (false, run.text("expires_at")), "{again}");
        let run = scene.token_task(with(options.clone(), json!({ "state": "rotated" }))).succeeded();
        assert_eq!(run.result["still_valid"], json!([again.result["id"]]), "{run}");
        scene.sandbox.clock().advance(100 * DAY);
        let run = scene.token_task(with(options, json!({ "max_age": "90d" }))).succeeded();
        assert_eq!(run.text("reason"), "aged", "{run}");
    }
}

#[test]
fn where_the_platform_lets_tokens_live_shorter_than_renew_before_every_run_creates_one_and_says_so() {
    let scene = GatewayScene::new();
    scene.platform().change(|state| state.token_life = 10 * DAY);
    let dest = scene.path("token");
    for reason in ["missing", "expiring", "expiring"] {
        let run = scene.token_task(json!({ "dest": dest })).succeeded();
        assert_eq!(run.text("reason"), reason, "{run}");
        assert!(run.warnings().contains("within renew_before (30d): every run will create a new one"), "{run}");
        assert_eq!(scene.platform().live_tokens("ci"), 1);
    }
    let run = scene.token_task(json!({ "dest": dest, "renew_before": "3d" })).succeeded();
    assert_eq!((run.changed(), run.warnings()), (false, String::new()), "{run}");
}

#[test]
fn the_token_is_written_as_its_users_read_it() {
    let scene = GatewayScene::new();
    for (format, begin) in [("raw", ""), ("json", "{"), ("env", "")] {
        let dest = scene.path(format);
        let options = json!({ "dest": dest, "dest_format": format, "mode": "0640", "return_token": true });
        let run = scene.token_task(options.clone()).succeeded();
        let written = read(&dest);
        assert!(written.starts_with(begin) && written.contains(run.text("token")), "{format}");
        assert_eq!(mode(&dest), 0o640);
        assert!(!scene.token_task(options).succeeded().changed(), "{format}");
    }
}

#[test]
fn a_note_of_another_server_or_of_another_api_counts_for_nothing() {
    let scene = GatewayScene::of("controller");
    let (other, stranger) = scene.platform().issue_token(USER, "other", "write");
    for address in
        ["https://other.example.com/api/controller/v2".to_owned(), format!("{}/api/v2", scene.platform().url())]
    {
        let (id, token) = scene.platform().issue_token(USER, "ci", "write");
        let dest = scene.file("token", &token);
        let noted = json!({ "server": address, "object": "ci", "id": other.to_string(), "fingerprint": fingerprint(&token), "retiring": [{ "id": other.to_string() }] });
        note(&scene, "token", noted);
        let run = scene.token_task(json!({ "dest": dest, "state": "rotated" })).succeeded();
        assert_eq!(run.result["deleted"], json!([id]), "{address}: {run}");
        assert!(scene.platform().token_works(&stranger), "{address}");
        scene.token_task(json!({ "dest": dest, "state": "absent" })).succeeded();
    }
}

/// A token that a run of the task brought to a file of this name, and that is a day old.
fn held_at(scene: &GatewayScene, dest: &Path) -> Held {
    let run = scene.token_task(json!({ "dest": dest })).succeeded();
    scene.sandbox.clock().advance(DAY);
    Held { id: run.result["id"].as_i64().unwrap(), token: read(dest), dest: dest.to_owned() }
}

/// Methods and paths of the requests so far, without what all paths of the API begin with.
fn requests(scene: &GatewayScene) -> Vec<String> {
    let requests = scene.requests().into_iter();
    requests.map(|one| one.replace("/api/gateway/v1", "").replace("/api/controller/v2", "")).collect()
}

fn all_ids(scene: &GatewayScene) -> Vec<i64> {
    scene.platform().tokens().iter().map(|token| token.id).collect()
}

/// With the gateway of this release, or the controller.
fn of(release: Release) -> GatewayScene {
    let scene = GatewayScene::of(if release == Release::Awx24_6_1 { "controller" } else { "gateway" });
    scene.platform().change(|state| state.release = release);
    scene
}

fn server(scene: &GatewayScene) -> String {
    let is_controller = scene.platform().change(|state| state.release) == Release::Awx24_6_1;
    format!("{}{}", scene.platform().url(), if is_controller { "/api/controller/v2" } else { "/api/gateway/v1" })
}

/// The time after which old tokens are deleted is over.
fn end_grace(scene: &GatewayScene) {
    let path = scene.path(".token.tokensmith.json");
    let mut note: Value = serde_json::from_str(&read(&path)).unwrap();
    for old in note["retiring"].as_array_mut().unwrap() {
        assert!(old["not_before"].is_string(), "{old}");
        old["not_before"] = json!("2020-01-01T00:00:00Z");
    }
    fs::write(path, note.to_string()).unwrap();
}

fn set_mode(held: &Held, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&held.dest, fs::Permissions::from_mode(mode)).unwrap();
}

fn fingerprint(token: &str) -> String {
    tokensmith::secret::Secret::new(token).fingerprint()
}

fn end(run: &Run) -> i64 {
    run.text("expires_at").parse::<DateTime<Utc>>().unwrap().timestamp()
}

/// Makes a fault anew for each case.
type Make = fn() -> Fault;

const RELEASES: [Release; 4] = [Release::Dab2025_5_8, Release::Dab2026_3_19, Release::Dab2026_6_2, Release::Awx24_6_1];
const NOT_PROVIDED: &str = r#"{"detail":"Authentication credentials were not provided."}"#;
