//! hub_token: a user has one token, a new one kills it at once, and none is ever shown again.
//!
//! With a password nothing is lost for good: after each disturbance the next run puts a token in place that works, has none made where a killed run left
//! one, and tells of one that did not arrive. A token that is asked for with itself is lost with the answer; then the next run says so, and how to go on.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith::secret::Secret;
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::quay::with;

use crate::trace::{Disturbance, Trace};
use crate::{
    Case as _, Disturbed, FAULTS, MODULE, NamedFault, Story, Tally, Task, Verdict, WAITING_WORKERS, disturb_everywhere,
};

#[test]
fn no_token_of_a_hub_is_lost_wherever_a_run_is_killed_or_cut_off() {
    let mut story = Story::of("hub_token");
    for beginning in [Beginning::Nothing, Beginning::Aged, Beginning::Itself, Beginning::Deletion] {
        story.killed.add(disturb(beginning, Disturbance::Kill));
    }
    for beginning in [Beginning::Aged, Beginning::Itself, Beginning::Deletion] {
        story.failed.add(disturb(beginning, Disturbance::Failure));
    }
    story.cut.add(cut_everywhere());
    story.tell();
}

/// What there is before the run, and what its task asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beginning {
    /// Nothing in `dest`.
    Nothing,
    /// A token that is older than the task wants it, in a file with other things.
    Aged,
    /// The same file, and the token is asked for with itself.
    Itself,
    /// The same file; the token is to be deleted.
    Deletion,
}

impl Beginning {
    fn options(self) -> Value {
        match self {
            Self::Nothing => json!({}),
            Self::Aged => json!({ "max_age": "90d" }),
            Self::Itself => {
                json!({ "max_age": "90d", "self_rotation": true, "ah_username": null, "ah_password": null })
            }
            Self::Deletion => json!({ "state": "absent" }),
        }
    }
}

fn disturb(beginning: Beginning, disturbance: Disturbance) -> Tally {
    let scene = HubScene::new();
    disturb_everywhere(&format!("{beginning:?}"), disturbance, |name| Case::new(&scene, name, beginning))
}

/// Which requests of a run meet a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Request {
    /// All that try a token.
    Probe,
    /// The same but for the first one.
    LaterProbes,
    /// That which makes or deletes a token.
    Change,
    /// The same, and all that would tell what became of it.
    ChangeAndLaterProbes,
}

impl Request {
    fn disturb(self, case: &Case<'_>, fault: fn() -> Fault) {
        let method = if case.beginning == Beginning::Deletion { "DELETE" } else { "POST" };
        let change = || fault().method(method);
        // Used up by the first question, it lets the next one meet the fault.
        let first = || Fault::delay(Duration::ZERO).method("OPTIONS").times(1);
        let probes = || fault().method("OPTIONS");
        let met = match self {
            Self::Probe => vec![probes()],
            Self::LaterProbes => vec![first(), probes()],
            Self::Change => vec![change()],
            Self::ChangeAndLaterProbes => vec![change(), first(), probes()],
        };
        met.into_iter().for_each(|fault| case.scene.fault(fault));
    }
}

fn cut_everywhere() -> Tally {
    use Request::{Change, ChangeAndLaterProbes, LaterProbes, Probe};
    let mut cuts: Vec<(Beginning, Request, NamedFault)> = Vec::new();
    for (beginning, requests) in [
        (Beginning::Nothing, &[Probe, Change][..]),
        (Beginning::Aged, &[Probe, LaterProbes, Change, ChangeAndLaterProbes]),
        (Beginning::Itself, &[Probe, LaterProbes, Change, ChangeAndLaterProbes]),
        (Beginning::Deletion, &[Probe, LaterProbes, Change, ChangeAndLaterProbes]),
    ] {
        for request in requests {
            cuts.extend(FAULTS.into_iter().map(|fault| (beginning, *request, fault)));
        }
    }
    Tally::of(&cuts, WAITING_WORKERS, |(beginning, request, (name, fault))| {
        let scene = HubScene::new();
        let case = Case::new(&scene, "case", *beginning);
        request.disturb(&case, *fault);
        let first = case.run();
        scene.sandbox.faults().clear();
        let noticed = first.failed() || (*beginning == Beginning::Deletion && *request == Request::Change);
        let answer_is_lost = matches!(request, Request::Change | Request::ChangeAndLaterProbes);
        let verdict = match noticed {
            true => case.what_stands(Some(&first.result), answer_is_lost),
            false => Err("the run did not notice".to_owned()),
        };
        Some(verdict.map_err(|why| format!("{beginning:?}, {request:?}, {name}: {why}; the first run said {first}")))
    })
}

struct Case<'a> {
    scene: &'a HubScene,
    beginning: Beginning,
    user: String,
    task: Task,
    before: Option<String>,
    /// How many tokens were made before the run.
    made: u64,
}

impl<'a> Case<'a> {
    fn new(scene: &'a HubScene, name: &str, beginning: Beginning) -> Self {
        let mut task = Task::new(scene.path(name));
        let password = scene.hub().add_user(name);
        let before = (beginning != Beginning::Nothing).then(|| scene.hub().issue_token(name).unwrap());
        if let Some(token) = &before {
            fs::write(task.file(DEST), [HEAD, token, TAIL].concat()).unwrap();
            let note = json!({ "fingerprint": Secret::new(token.as_str()).fingerprint(), "rotated_at": "2020-02-02T02:02:02Z" });
            fs::write(task.file(NOTE), note.to_string()).unwrap();
        }
        let own = json!({
            MODULE: "hub_token", "ah_username": name, "ah_password": password, "dest": task.file(DEST), "dest_format": "ansible_cfg",
            "galaxy_server": "mine",
        });
        task.options = scene.options(with(own, beginning.options()));
        let made = scene.hub().issued(name);
        Self { scene, beginning, user: name.to_owned(), task, before, made }
    }

    /// What a disturbed run left and said, and what the next one makes of it.
    fn what_stands(&self, said: Option<&Value>, answer_may_be_lost: bool) -> Result<Verdict, String> {
        let was_lost = self.check_left()?;
        if let Some(result) = said {
            self.check_said(result)?;
        }
        let made = self.made();
        let was_left_behind = self.token().is_some_and(|token| self.file(NEXT).contains(&token));
        let next = self.run();
        if next.failed() && self.beginning == Beginning::Itself && was_lost && !was_left_behind && answer_may_be_lost {
            return self.verdict_on_loss(&next);
        }
        if next.failed() {
            return Err(format!("the next run failed: {next}"));
        }
        self.check_mended().map_err(|why| format!("after the next run {why}; it said {next}"))?;
        if was_left_behind && self.made() != made {
            return Err(format!("a token was left behind, and the next run had another one made: {next}"));
        }
        if made > self.made && self.made() > made && !next.warnings().contains(TOLD_OF_LOSS) {
            return Err(format!("a token was lost, and the next run did not tell of it: {next}"));
        }
        let third = self.run();
        match third.failed() || third.changed() {
            true => Err(format!("the run after the next found something to do: {third}")),
            false => Ok(Verdict::Kept),
        }
    }

    /// The next run says what is the matter, and what helps does help.
    fn verdict_on_loss(&self, next: &Run) -> Result<Verdict, String> {
        if !next.message().contains("and the answer to the request for a new one, which an earlier run sent at") {
            return Err(format!("the token is gone, and the next run did not say why: {next}"));
        }
        let password = json!({ "ah_username": self.user, "ah_password": self.scene.hub().password(&self.user) });
        let mended = executable::module("hub_token", &with(self.task.options.clone(), password));
        if mended.failed() {
            return Err(format!("a password did not help: {mended}"));
        }
        self.check_mended().map(|()| Verdict::Unavoidable)
    }

    /// The file is as it was, or holds the token that works. Says whether what it holds is dead.
    fn check_left(&self) -> Result<bool, String> {
        let content = self.content();
        let before = self.before.as_ref().map(|token| [HEAD, token, TAIL].concat());
        let works = self.check_dest().is_ok();
        if content == before || works || self.beginning == Beginning::Deletion {
            return Ok(!works);
        }
        Err(format!("the disturbed run left what is neither old nor right: {content:?}"))
    }

    /// What the run says is true: where it succeeded all is well, and where it returns a token, that works and the message tells of it.
    fn check_said(&self, result: &Value) -> Result<(), String> {
        if result["failed"] != true {
            return self.check_dest().map_err(|why| format!("the disturbed run says that all is well: {why}"));
        }
        let message = result["msg"].as_str().unwrap_or_default();
        if message.is_empty() {
            return Err("the disturbed run failed and did not say why".to_owned());
        }
        match result["token"].as_str() {
            Some(token) if !self.scene.hub().token_works(token) => {
                Err("the token in the result does not work".to_owned())
            }
            Some(_) if !message.contains(TOLD) => {
                Err("the message does not tell of the token in the result".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_mended(&self) -> Result<(), String> {
        self.check_dest()?;
        let there = self.task.files();
        let expected: &[&str] = match self.beginning {
            Beginning::Deletion => &[LOCK, DEST],
            _ => &[LOCK, NOTE, DEST],
        };
        if there == expected { Ok(()) } else { Err(format!("the files are {there:?}")) }
    }

    /// `dest` is as the task wants it: the token that works, and everything else as it was.
    fn check_dest(&self) -> Result<(), String> {
        let content = self.content();
        let expected = match (self.token(), self.beginning) {
            (Some(_), Beginning::Deletion) => return Err("the token is still there".to_owned()),
            (None, Beginning::Deletion) => WITHOUT_TOKEN.to_owned(),
            (token, Beginning::Nothing) => {
                let url = format!("{}/api/galaxy/", self.scene.hub().url());
                format!("[galaxy_server.mine]\nurl = {url}\ntoken = {}\n", token.unwrap_or_default())
            }
            (token, _) => [HEAD, &token.unwrap_or_default(), TAIL].concat(),
        };
        if content.as_deref() == Some(&expected) { Ok(()) } else { Err(format!("dest holds {content:?}")) }
    }

    fn made(&self) -> u64 {
        self.scene.hub().issued(&self.user)
    }

    fn token(&self) -> Option<String> {
        self.scene.hub().token(&self.user)
    }

    fn content(&self) -> Option<String> {
        fs::read_to_string(self.task.file(DEST)).ok()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.task.file(name)).unwrap_or_default()
    }
}

impl crate::Case for Case<'_> {
    fn task(&self) -> &Task {
        &self.task
    }

    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String> {
        self.what_stands(disturbed.result()?.as_ref(), was_waiting_for_the_answer(&disturbed.trace))
    }
}

/// Whether the run was killed after it had sent something and before it had written what it got.
fn was_waiting_for_the_answer(trace: &Trace) -> bool {
    let sent = trace.writes().any(|line| line.contains("<socket:") || line.contains("<TCP"));
    sent && !trace.writes().any(|line| line.contains(&format!("{NEXT}>")))
}

const DEST: &str = "ansible.cfg";
const NOTE: &str = ".ansible.cfg.tokensmith.mine.json";
const LOCK: &str = ".ansible.cfg.tokensmith.lock";
const NEXT: &str = ".ansible.cfg.tokensmith.mine.new";
/// What stands before and behind the token, and what is left without it.
const HEAD: &str =
    "[galaxy]\nserver_list = mine, other\n\n[galaxy_server.mine]\nurl=https://hub.example.com/api/galaxy/\ntoken=";
const TAIL: &str = " ; ours\n\n[galaxy_server.other]\ntoken = x\n";
const WITHOUT_TOKEN: &str = "[galaxy]\nserver_list = mine, other\n\n[galaxy_server.mine]\nurl=https://hub.example.com/api/galaxy/\n\n[galaxy_server.other]\ntoken = x\n";
const TOLD: &str = "the new token is in the result as token";
const TOLD_OF_LOSS: &str = "An earlier run asked for a token at";
