//! Ten runs at once on one robot of Quay, each of which has a new token made that kills the one before.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith::secret::Secret;
use tokensmith_sandbox::{Fault, Recorded};
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::quay::QuayScene;
use tokensmith_tests::scene::{names, read};

#[test]
fn ten_runs_at_once_on_one_dest_leave_the_valid_token_there() {
    let scene = slow_scene();
    let dest = scene.path("token");
    let task = json!({ "robot": "ci", "state": "rotated", "dest": dest });
    for run in all_at_once((0..RUNS).map(|_| scene.robot_options(task.clone()))) {
        // One waits for the other, so each has its own token for a moment.
        assert_eq!(run.succeeded().result["overtaken"], false);
    }
    assert_eq!(read(&dest), scene.robot_token(ROBOT));
    assert_eq!(scene.quay().regenerations(ROBOT), RUNS as u64);
    assert_eq!(names(&scene.path("")), [".token.tokensmith.json", ".token.tokensmith.lock", "token"]);
}

/// As on ten hosts, which know nothing of each other. What a run last asked for tells how many tokens had been made by then; the last of these
/// is what it must have handed over.
#[test]
fn of_ten_runs_at_once_on_ten_hosts_each_leaves_the_token_that_was_valid_when_it_looked_last() {
    let scene = slow_scene();
    let administrators: Vec<String> = (0..RUNS).map(|_| scene.quay().issue_token("alice", "org:admin")).collect();
    let dest = |run: usize| scene.path(&format!("host-{run}"));
    let runs = all_at_once(administrators.iter().enumerate().map(|(run, administrator)| {
        let task = json!({ "robot": "ci", "state": "rotated", "dest": dest(run), "quay_token": administrator });
        scene.robot_options(task)
    }));
    assert_eq!(scene.quay().regenerations(ROBOT), RUNS as u64);
    let records = scene.sandbox.records().all();
    let mut tokens: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (number, (run, administrator)) in runs.into_iter().zip(&administrators).enumerate() {
        let run = run.succeeded();
        let looked = Looked::of(&records, administrator);
        let was_overtaken = looked.made_by_then > looked.made_by_own;
        assert_eq!(run.result["overtaken"], was_overtaken, "{looked:?}: {run}");
        assert_eq!(run.warnings().contains("theirs is the valid one and was handed over"), was_overtaken, "{run}");
        tokens.entry(looked.made_by_then).or_default().push(read(&dest(number)));
    }
    let valid = scene.robot_token(ROBOT);
    for (made, tokens) in &tokens {
        assert!(
            tokens.iter().all(|token| *token == tokens[0]),
            "all that looked after the {made}. token have the same"
        );
        assert_eq!(tokens[0] == valid, *made == RUNS, "only the last of {RUNS} tokens is valid, not the {made}.");
    }
    assert!(tokens.contains_key(&RUNS), "whoever had the last token made has the valid one");
}

#[test]
fn who_is_overtaken_while_at_work_hands_over_the_token_of_the_other() {
    let issue = || Fault::interference().method("POST").path("/regenerate").times(1);
    let look = || Fault::delay(Duration::ZERO).method("GET").path("/robots/ci").times(1);
    let read_back = || Fault::interference().method("GET").path("/robots/ci").times(1);
    for (when, faults) in [
        ("before the answer to the request", vec![issue()]),
        ("between reading back and proving", vec![look(), read_back()]),
        ("at both times", vec![issue(), look(), read_back()]),
    ] {
        let scene = QuayScene::new();
        let dest = scene.path("token");
        let others = faults.len().div_ceil(2) as u64;
        faults.into_iter().for_each(|fault| scene.sandbox.faults().add(fault));
        let run = scene.robot_token_task(json!({ "robot": "ci", "state": "rotated", "dest": dest })).succeeded();
        assert_eq!(run.result["overtaken"], true, "{when}");
        assert_eq!(read(&dest), scene.robot_token(ROBOT), "{when}");
        assert_eq!(scene.quay().regenerations(ROBOT), 1 + others, "{when}");
        assert_eq!(run.text("fingerprint"), Secret::from(read(&dest)).fingerprint(), "{when}");
        assert!(run.warnings().contains("theirs is the valid one and was handed over"), "{when}: {run}");
    }
}

/// Each answer takes its time, so that the runs get between each other's requests.
fn slow_scene() -> QuayScene {
    let scene = QuayScene::new();
    scene.quay().change(|state| state.latency = Duration::from_millis(30));
    scene
}

fn all_at_once(tasks: impl Iterator<Item = Value>) -> Vec<Run> {
    let runs: Vec<Child> = tasks.map(|task| executable::start_module("quay_robot_token", &task)).collect();
    runs.into_iter().map(|run| Run::from_output(&run.wait_with_output().unwrap())).collect()
}

/// When a run asked for the robot last, told by the tokens that had been made until then.
#[derive(Debug)]
struct Looked {
    made_by_own: usize,
    made_by_then: usize,
}

impl Looked {
    fn of(records: &[Recorded], administrator: &str) -> Self {
        let bearer = format!("Bearer {administrator}");
        let is_own = |record: &&Recorded| record.authorization.as_deref() == Some(&bearer);
        let is_making = |record: &&Recorded| record.method == "POST";
        let made_by = |place: usize| records[..=place].iter().filter(is_making).count();
        let own = records.iter().position(|record| is_own(&record) && is_making(&record)).unwrap();
        let last = records.iter().rposition(|record| is_own(&record)).unwrap();
        Self { made_by_own: made_by(own), made_by_then: made_by(last) }
    }
}

const RUNS: usize = 10;
const ROBOT: &str = "acme+ci";
