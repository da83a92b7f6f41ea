//! sso_token: an offline token that a server may let be used once, and the access token made with it.
//!
//! Where the server lets it be used once and the answer with its successor never reached this host, the next run has to say so.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tokensmith_tests::executable;
use tokensmith_tests::scene::{Scene, read};

use crate::trace::{Disturbance, Trace};
use crate::{Case as _, Disturbed, FAULTS, MODULE, Story, Tally, Task, Verdict, WAITING_WORKERS, disturb_everywhere};

#[test]
fn no_token_of_sso_is_lost_wherever_a_run_is_killed_or_cut_off() {
    let mut story = Story::of("sso_token");
    for (realm, beginning) in [
        ("redhat-external", Beginning::Renewal),
        ("rotating-reuse-1", Beginning::First),
        ("rotating", Beginning::First),
        ("rotating", Beginning::Renewal),
        ("rotating", Beginning::Revocation),
    ] {
        story.killed.add(disturb(realm, beginning, Disturbance::Kill));
    }
    story.failed.add(disturb("rotating", Beginning::First, Disturbance::Failure));
    story.cut.add(cut_everywhere());
    story.tell();
    for tally in [&story.killed, &story.failed, &story.cut] {
        assert!(tally.unavoidable > 0, "a server that forgives nothing must have been met");
        assert!(
            tally.unavoidable * 10 < tally.points,
            "{} of {} losses cannot all be unavoidable",
            tally.unavoidable,
            tally.points
        );
    }
}

/// What there is before the run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beginning {
    /// An offline token, just put into its file.
    First,
    /// What an earlier run left, with an access token to be renewed.
    Renewal,
    /// The same, and the session is to be revoked.
    Revocation,
}

fn disturb(realm: &str, beginning: Beginning, disturbance: Disturbance) -> Tally {
    let scene = Scene::in_realm(realm);
    disturb_everywhere(&format!("{realm}, {beginning:?}"), disturbance, |name| Case::new(&scene, name, beginning))
}

fn cut_everywhere() -> Tally {
    let mut cuts = Vec::new();
    for realm in ["redhat-external", "rotating-reuse-1", "rotating"] {
        for beginning in [Beginning::First, Beginning::Renewal, Beginning::Revocation] {
            for path in ["/token", "/userinfo", "/revoke"] {
                cuts.extend(FAULTS.iter().map(|(name, fault)| (realm, beginning, path, *name, fault)));
            }
        }
    }
    cuts.retain(|(_, beginning, path, ..)| match *path {
        "/userinfo" => *beginning != Beginning::Revocation,
        "/revoke" => *beginning == Beginning::Revocation,
        _ => true,
    });
    Tally::of(&cuts, WAITING_WORKERS, |(realm, beginning, path, name, fault)| {
        let scene = Scene::in_realm(realm);
        let case = Case::new(&scene, "case", *beginning);
        scene.sandbox.faults().add(fault().path(*path));
        let first = case.run();
        scene.sandbox.faults().clear();
        let mut verdict = case.what_stands(|| *realm == "rotating" && *path == "/token" && *name != "cut");
        // The answer to a revocation is nothing but a status, and what counts is the proof that follows.
        if !first.failed() && *path != "/revoke" {
            verdict = Err("the run did not notice".to_owned());
        }
        Some(
            verdict.map_err(|why| format!("{realm}, {beginning:?}, {path}, {name}: {why}; the first run said {first}")),
        )
    })
}

struct Case<'a> {
    scene: &'a Scene,
    beginning: Beginning,
    task: Task,
    before: String,
}

impl<'a> Case<'a> {
    fn new(scene: &'a Scene, name: &str, beginning: Beginning) -> Self {
        let mut task = Task::new(scene.path(name));
        fs::write(task.file(OFFLINE), scene.offline_token()).unwrap();
        let options = json!({
            MODULE: "sso_token", "offline_token_file": task.file(OFFLINE), "dest": task.file(ACCESS), "renew_before": "1h"
        });
        task.options = scene.options(options);
        if beginning != Beginning::First {
            executable::module("sso_token", &task.options).succeeded();
        }
        if beginning == Beginning::Revocation {
            task.options["state"] = "absent".into();
        }
        let before = read(&task.file(OFFLINE));
        Self { scene, beginning, task, before }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.task.file(name)
    }

    fn is_alive(&self, token: &str) -> bool {
        self.scene.realm.offline_token_is_alive(token)
    }

    fn what_stands(&self, may_be_unavoidable: impl FnOnce() -> bool) -> Result<Verdict, String> {
        if self.beginning == Beginning::Revocation {
            return self.verdict_on_revocation();
        }
        let stored = read(&self.file(OFFLINE));
        if stored != self.before && !self.is_alive(&stored) {
            return Err(format!("the file was left with {} bytes that are no working token", stored.len()));
        }
        let left = fs::read_to_string(self.file(".offline_token.tokensmith.new")).unwrap_or_default();
        if self.beginning == Beginning::Renewal && !self.scene.realm.access_token_works(&read(&self.file(ACCESS))) {
            return Err("dest was left without a working token".to_owned());
        }
        let next = self.run();
        // The request of a killed run may reach the server after all, so whether it did is asked only now.
        if next.failed() && !self.is_alive(&stored) && !self.is_alive(&left) && may_be_unavoidable() {
            return self.verdict_on_loss(&next);
        }
        if next.failed() {
            return Err(format!("the next run failed: {next}"));
        }
        if !self.is_alive(&read(&self.file(OFFLINE))) {
            return Err(format!("the next run left a dead offline token: {next}"));
        }
        if !self.scene.realm.access_token_works(&read(&self.file(ACCESS))) {
            return Err(format!("the next run left an access token that does not work: {next}"));
        }
        self.check_names(&[NOTES_AND_LOCKS, &[ACCESS, OFFLINE]].concat())
    }

    fn verdict_on_loss(&self, next: &executable::Run) -> Result<Verdict, String> {
        if !next.message().contains(TOLD) {
            return Err(format!("the token is gone, and the next run did not say why: {next}"));
        }
        if read(&self.file(OFFLINE)) != self.before {
            return Err("the next run changed the stored token although it had nothing better".to_owned());
        }
        Ok(Verdict::Unavoidable)
    }

    /// A token that is to die must not be forgotten while it lives.
    fn verdict_on_revocation(&self) -> Result<Verdict, String> {
        let next = self.run();
        if next.failed() {
            return Err(format!("the next run failed: {next}"));
        }
        if self.is_alive(&self.before) {
            return Err(format!("the session lives on, and nothing here remembers it: {next}"));
        }
        self.check_names(&[])
    }

    fn check_names(&self, expected: &[&str]) -> Result<Verdict, String> {
        let mut expected: Vec<&str> = expected.to_vec();
        expected.sort_unstable();
        let there = self.task.files();
        let without_locks: Vec<&str> = there
            .iter()
            .map(String::as_str)
            .filter(|name| !name.ends_with(".lock") || expected.contains(name))
            .collect();
        if without_locks != expected { Err(format!("the next run left {there:?}")) } else { Ok(Verdict::Kept) }
    }
}

impl crate::Case for Case<'_> {
    fn task(&self) -> &Task {
        &self.task
    }

    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String> {
        let result = disturbed.result()?.unwrap_or_default();
        // What cannot be written is returned, and the message says so.
        if self.is_alive(result["offline_token"].as_str().unwrap_or_default()) {
            let told = result["msg"].as_str().unwrap_or_default().contains("it is in the result as offline_token");
            return if told {
                Ok(Verdict::Kept)
            } else {
                Err(format!("the message does not tell of the token: {}", result["msg"]))
            };
        }
        let forgives_nothing = self.scene.realm.url().ends_with("/rotating");
        self.what_stands(|| forgives_nothing && was_waiting_for_the_answer(&disturbed.trace))
    }
}

/// Whether the run was killed after it had sent something and before it had written what it got.
fn was_waiting_for_the_answer(trace: &Trace) -> bool {
    let sent = trace.writes().any(|line| line.contains("<socket:") || line.contains("<TCP"));
    sent && !trace.writes().any(|line| line.contains(".offline_token.tokensmith.new>"))
}

const OFFLINE: &str = "offline_token";
const ACCESS: &str = "access";
const NOTES_AND_LOCKS: &[&str] = &[
    ".access.tokensmith.json",
    ".access.tokensmith.lock",
    ".offline_token.tokensmith.json",
    ".offline_token.tokensmith.lock",
];
const TOLD: &str = "with the only newer one, was lost on the way";
