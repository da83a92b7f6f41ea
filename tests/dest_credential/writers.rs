//! Other writers, answers that are lost, and servers that fail: what a credential holds afterwards.

use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokensmith::secret::Secret;
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::controller::{Moment, OtherWriter};
use tokensmith_tests::credential::{CredentialScene, Issuer, SECOND};
use tokensmith_tests::executable::Run;

#[test]
fn an_update_that_another_writer_undid_is_noticed_and_made_again_with_what_is_there_now() {
    for issuer in Issuer::ALL {
        let scene = noted(issuer);
        // The last of the writes is that which brings the token.
        for number in 0..4 {
            let url = format!("https://hub{number}.example.com/");
            let before = scene.token();
            scene.controller().expect_other_writer(other(&scene, Moment::AroundPatch, json!({ "url": url })));
            let run = scene.run(issuer, json!({ "state": "rotated" }));
            assert_eq!(scene.stored().input("url"), Some(url.as_str()), "the other one's change stands: {run}");
            assert_eq!(scene.stored().input("second"), Some(SECOND));
            assert!(scene.holds_token_that_works(issuer), "{number}: {run}");
            assert!(!run.failed() && scene.token() != before, "{number}: {run}");
        }
    }
}

#[test]
fn an_update_of_the_token_itself_that_was_undone_is_made_again() {
    for issuer in Issuer::ALL {
        let scene = noted(issuer);
        let before = scene.token();
        let run = during_the_hand_over(&scene, issuer, |scene| {
            scene.controller().expect_other_writer(other(
                scene,
                Moment::AroundPatch,
                json!({ "url": "https://other.example.com/" }),
            ));
        });
        assert!(!run.failed() && scene.token() != before && scene.holds_token_that_works(issuer), "{run}");
        assert_eq!(scene.stored().input("url"), Some("https://other.example.com/"), "{run}");
    }
}

#[test]
fn somebody_whose_change_this_run_may_have_undone_is_named() {
    for issuer in Issuer::ALL {
        let scene = noted(issuer);
        // Between the reading and the writing of the request that brings the token.
        let run = during_the_hand_over(&scene, issuer, |scene| {
            scene.patch(&json!({ "name": "renamed by somebody else" }));
        });
        assert!(scene.holds_token_that_works(issuer), "{run}");
        assert!(
            run.warnings().contains("admin changed the credential") || scene.stored().name.starts_with("renamed"),
            "{run}"
        );
    }
}

#[test]
fn a_request_to_write_whose_answer_is_lost_is_decided_by_the_marker() {
    let faults: [NamedFault; 6] = [
        ("cut", Fault::cut, false),
        ("lost answer", Fault::lost_answer, true),
        ("cut body", Fault::cut_body, true),
        ("server error", Fault::server_error, false),
        ("bad gateway after the server acted", || Fault::bad_gateway().acting(), true),
        ("half an answer", Fault::truncated_json, true),
    ];
    for issuer in Issuer::ALL {
        for (name, fault, acts) in faults {
            let scene = noted(issuer);
            let others = scene.others();
            let before = scene.token().unwrap();
            scene.sandbox.records().clear();
            scene.fault(fault().method("PATCH").times(1));
            let run = scene.run(issuer, json!({ "state": "rotated" })).succeeded();
            let after = scene.token().unwrap();
            assert!(
                after != before && scene.works(issuer, &after) && scene.others() == others,
                "{issuer:?} {name}: {run}"
            );
            let patches = scene.writes().iter().filter(|write| write.starts_with("PATCH")).count();
            let undisturbed = patches_of_a_rotation(issuer);
            assert_eq!(patches, if acts { undisturbed } else { undisturbed + 1 }, "{issuer:?} {name}");
        }
    }
}

#[test]
fn a_controller_that_fails_for_good_loses_no_token_and_the_next_run_makes_up_for_it() {
    for issuer in Issuer::ALL {
        for (at, fault) in [
            (1, Fault::server_error as fn() -> Fault),
            (2, Fault::server_error),
            (3, Fault::server_error),
            (2, Fault::cut),
            (1, || Fault::lost_answer()),
        ] {
            let scene = noted(issuer);
            let (others, before) = (scene.others(), scene.token().unwrap());
            for _ in 1..at {
                scene.fault(Fault::delay(Duration::ZERO).method("PATCH").times(1));
            }
            scene.fault(fault().method("PATCH"));
            let run = scene.run(issuer, json!({ "state": "rotated" }));
            let holds = scene.token().unwrap();
            if issuer == Issuer::Gateway {
                assert!(scene.works(issuer, &holds), "{at}: {run}");
            } else if !scene.works(issuer, &holds) {
                let told = run.result["token"].as_str().unwrap_or_else(|| panic!("{at}: {run}"));
                assert!(
                    run.failed() && scene.works(issuer, told) && run.message().contains("is in the result"),
                    "{at}: {run}"
                );
            }
            assert!(run.failed() || holds != before, "{at}: {run}");
            scene.sandbox.faults().clear();
            let next = scene.run(issuer, json!({})).succeeded();
            assert!(scene.holds_token_that_works(issuer) && scene.others() == others, "{at}: {run}, then {next}");
            let last = scene.run(issuer, json!({})).succeeded();
            assert_eq!((last.text("reason"), last.changed()), ("valid", false), "{at}: {last}");
        }
    }
}

#[test]
fn two_runs_at_once_leave_a_token_that_works_and_every_other_secret() {
    for issuer in Issuer::ALL {
        for hosts in [["host", "host"], ["one", "other"]] {
            let scene = noted(issuer);
            scene.controller().set_write_gap(Duration::from_millis(3));
            let others = scene.others();
            let mut failed = 0;
            for round in 0..ROUNDS {
                let runs = hosts
                    .map(|host| scene.start(issuer, json!({ "state": "rotated", "overlap": overlap(issuer) }), host));
                let runs = runs.map(|run| Run::from_output(&run.wait_with_output().unwrap()));
                let told = format!("{issuer:?} {hosts:?} {round}: {} {}, {}", runs[0], runs[1], last_versions(&scene));
                assert_eq!(scene.others(), others, "{told}");
                let (failures, fine): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.failed());
                failed += failures.len();
                assert!(failures.iter().all(|run| says_who_was_quicker(issuer, run)), "{told}");
                if hosts[0] == hosts[1] {
                    assert_eq!(failures.len(), 0, "{told}");
                }
                if !scene.holds_token_that_works(issuer) {
                    // On a hub the other may write what it got before, when this one is done; only the other can know that.
                    let is_said = if issuer == Issuer::Hub { !failures.is_empty() } else { fine.is_empty() };
                    assert!(is_said, "a run that says that all is well leaves a token that works: {told}");
                    scene.run(issuer, json!({})).succeeded();
                }
                assert!(scene.holds_token_that_works(issuer), "{told}");
            }
            // How often two on different hosts meet is a matter of time, so that number says nothing.
            assert!(failed < 2 * ROUNDS, "{issuer:?}: {failed} of {} runs failed", 2 * ROUNDS);
        }
    }
}

/// The other one wrote to the credential; or, where a new token ends the one before, it had one made before this one was proven.
fn says_who_was_quicker(issuer: Issuer, run: &Run) -> bool {
    let is_ended = issuer == Issuer::Hub && run.message().contains("does not accept the token that it issued");
    is_ended || run.message().contains("at the same moment")
}

/// One that a run has brought a token to.
fn noted(issuer: Issuer) -> CredentialScene {
    let scene = CredentialScene::custom();
    scene.run(issuer, json!({})).succeeded();
    scene
}

/// Rotates, and does something when the run is about to write the token.
fn during_the_hand_over(scene: &CredentialScene, issuer: Issuer, disturb: impl FnOnce(&CredentialScene)) -> Run {
    // The notes before it.
    let before = if issuer == Issuer::Gateway { 2 } else { 1 };
    let mut holds = Vec::from_iter((0..=before).map(|_| scene.controller().hold_patch(scene.id)));
    let last = holds.pop().unwrap();
    let run = scene.start(issuer, json!({ "state": "rotated" }), "host");
    for hold in holds {
        assert!(hold.is_reached());
        hold.release();
    }
    assert!(last.is_reached());
    disturb(scene);
    thread::sleep(Duration::from_millis(50));
    last.release();
    Run::from_output(&run.wait_with_output().unwrap())
}

fn other(scene: &CredentialScene, moment: Moment, inputs: Value) -> OtherWriter {
    let inputs: Map<String, Value> = serde_json::from_value(inputs).unwrap();
    OtherWriter { credential: scene.id, moment, username: "admin".to_owned(), inputs, description: None }
}

/// The intention, the name of the new token where there is one, and the token itself.
fn patches_of_a_rotation(issuer: Issuer) -> usize {
    if issuer == Issuer::Gateway { 3 } else { 2 }
}

/// What the credential held of late.
fn last_versions(scene: &CredentialScene) -> String {
    let history = scene.history();
    let shown = history.iter().rev().take(12).map(|version| {
        let token = version.inputs.get("token").and_then(Value::as_str).unwrap_or_default();
        format!("\n{} {} {}", version.at, Secret::new(token).fingerprint(), version.description)
    });
    shown.collect()
}

fn overlap(issuer: Issuer) -> Value {
    if issuer == Issuer::Gateway { json!("0") } else { Value::Null }
}

/// A fault by its name, and whether the server acts all the same.
type NamedFault = (&'static str, fn() -> Fault, bool);

const ROUNDS: usize = 50;
