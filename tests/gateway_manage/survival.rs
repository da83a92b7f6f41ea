//! A run that is killed leaves the old token or the new one, and the next run says what became of it.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith::rotation::Note;
use tokensmith_tests::executable;
use tokensmith_tests::manage::Host;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{mode, names, read};

use super::host;

#[test]
fn a_run_that_is_killed_while_the_command_runs_leaves_what_was_there_and_the_next_says_so() {
    for (moment, created) in [("at once", 1), ("before printing", 1), ("after printing", 1)] {
        for before in [None, Some("oLd0".repeat(8))] {
            let host = host();
            before.iter().for_each(|token| host.file("token", token));
            host.behaves(json!({ "kills_caller": moment }));
            let options = json!({ "dest": host.dest(), "force": before.is_some() });
            let task =
                host.options(with(options.clone(), json!({ "command": "create_oauth2_token", "user": "admin" })));
            let killed = executable::start_module("gateway_manage", &task).wait_with_output().unwrap();
            // Behind the last line it may have had the time to hand it over.
            assert!(killed.status.code().is_none() || moment == "after printing", "{moment}: {killed:?}");
            host.behaves(json!({}));
            let there = fs::read_to_string(host.dest()).ok();
            let has_new = there.is_some() && there != before;
            let next = host.create(json!({ "dest": host.dest() })).succeeded();
            if has_new || next.result["recovered"] == true {
                assert!(has_new == (next.text("reason") == "held"), "{next}");
                continue;
            }
            assert!(next.warnings().contains("that was not handed over"), "{moment}: {next}");
            assert_eq!(next.text("reason"), if before.is_some() { "held" } else { "missing" }, "{next}");
            // The command runs on, and nothing says how soon it gets to it.
            assert!(eventually(|| host.tokens().len() >= created), "the command ran on: {}", host.tokens().len());
        }
    }
}

fn eventually(is_so: impl Fn() -> bool) -> bool {
    (0..MOST_LOOKS).any(|_| {
        thread::sleep(PAUSE);
        is_so()
    })
}

#[test]
fn a_token_that_a_killed_run_had_received_is_put_in_place() {
    let token = "nEw0".repeat(8);
    for (before, options, reason) in [
        (None, json!({}), "missing"),
        (None, json!({ "mode": "0640" }), "missing"),
        (Some("oLd0".repeat(8)), json!({ "force": true }), "forced"),
        (Some("oLd0".repeat(8)), json!({}), "forced"),
    ] {
        for check in [true, false] {
            let host = left_behind(&token, "admin", &token);
            before.iter().for_each(|token| host.file("token", token));
            let options = with(options.clone(), json!({ "dest": host.dest(), "_ansible_check_mode": check }));
            let run = host.create(options.clone()).succeeded();
            let told = (run.text("reason"), run.changed(), &run.result["recovered"], &run.result["created"]);
            assert_eq!(told, (reason, true, &json!(true), &json!(false)), "{run}");
            assert_eq!(host.calls(), Vec::<String>::new());
            assert!(run.warnings().is_empty() && !run.stdout.contains(&token), "{run}");
            if check {
                assert_eq!(fs::read_to_string(host.dest()).ok(), before);
                continue;
            }
            assert_eq!(
                (read(&host.dest()), mode(&host.dest())),
                (token.clone(), if options["mode"].is_string() { 0o640 } else { 0o600 })
            );
            let next = host.create(with(options, json!({ "force": false }))).succeeded();
            assert_eq!((next.text("reason"), next.text("created_at")), ("held", "2026-11-22T00:00:00Z"), "{next}");
            assert_eq!(
                names(host.dest().parent().unwrap()),
                [".token.tokensmith.json", ".token.tokensmith.lock", "token"]
            );
        }
    }
}

#[test]
fn what_a_killed_run_left_is_not_trusted_unless_the_note_names_it() {
    let token = "nEw0".repeat(8);
    for (written, user) in [(&token[..21], "admin"), ("oTh3".repeat(8).as_str(), "admin"), (&token, "bob")] {
        let host = left_behind(written, user, &token);
        let run = host.create(json!({ "dest": host.dest() })).succeeded();
        assert_eq!((&run.result["created"], run.text("reason")), (&json!(true), "missing"), "{run}");
        assert_eq!(host.tokens(), [read(&host.dest())]);
        let lost = format!("created a token ({}) for the user {user} that was not handed over", fingerprint(&token));
        assert!(run.warnings().contains(&lost), "{run}");
    }
}

#[test]
fn a_run_that_was_killed_behind_the_hand_over_has_lost_nothing() {
    let token = "nEw0".repeat(8);
    let host = left_behind(&token, "admin", &token);
    fs::rename(host.path(".token.tokensmith.new"), host.dest()).unwrap();
    let run = host.create(json!({ "dest": host.dest() })).succeeded();
    assert_eq!(
        (run.text("reason"), run.text("created_at"), run.warnings().as_str()),
        ("held", "2026-11-22T00:00:00Z", "")
    );
}

#[test]
fn ten_runs_at_once_create_one_token() {
    let host = host();
    let task = host.options(json!({ "command": "create_oauth2_token", "user": "admin", "dest": host.dest() }));
    let runs: Vec<_> = (0..10).map(|_| executable::start_module("gateway_manage", &task)).collect();
    let runs = runs.into_iter().map(|run| executable::Run::from_output(&run.wait_with_output().unwrap()).succeeded());
    let runs: Vec<_> = runs.collect();
    assert_eq!(host.tokens(), [read(&host.dest())]);
    for run in &runs {
        assert_eq!(run.changed(), run.text("reason") == "missing", "{run}");
        assert!(run.warnings().is_empty(), "{run}");
    }
    assert_eq!(runs.iter().filter(|run| run.changed()).count(), 1);
}

/// After a run was killed that had written a token of this user, and had noted the fingerprint of that one.
fn left_behind(written: &str, user: &str, noted: &str) -> Host {
    let host = host();
    host.file(".token.tokensmith.new", written);
    let time: Value = json!("2026-11-22T00:00:00Z");
    let note = json!({
        "under_way_since": time,
        "next": { "fingerprint": fingerprint(noted), "object": user, "rotated_at": time },
    });
    let note: Note = serde_json::from_value(note).unwrap();
    host.file(".token.tokensmith.json", &serde_json::to_string(&note).unwrap());
    host
}

fn fingerprint(token: &str) -> String {
    tokensmith::secret::Secret::new(token).fingerprint()
}

/// Together half a minute.
const MOST_LOOKS: usize = 600;
const PAUSE: Duration = Duration::from_millis(50);
