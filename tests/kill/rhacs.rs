//! rhacs_api_token: tokens live side by side, and one that nobody has is as bad as one that is lost.
//!
//! So after each disturbance the users have a token that works, and after the next run there is no other.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::Run;
use tokensmith_tests::rhacs::{DAY, RhacsScene};

use crate::trace::Disturbance;
use crate::{
    Case as _, Disturbed, FAULTS, MODULE, NamedFault, Story, Tally, Task, Verdict, WAITING_WORKERS, disturb_everywhere,
};

#[test]
fn no_api_token_is_lost_or_left_alive_wherever_a_run_is_killed_or_cut_off() {
    let mut story = Story::of("rhacs_api_token");
    for beginning in BEGINNINGS {
        story.killed.add(disturb(beginning, Disturbance::Kill));
    }
    for beginning in [Beginning::Expiring, Beginning::Deletion] {
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
    /// A token that ends soon.
    Expiring,
    /// A token that has a new one generated for itself and is revoked by it.
    Itself,
    /// A token that is to be revoked.
    Deletion,
}

const BEGINNINGS: [Beginning; 4] = [Beginning::Nothing, Beginning::Expiring, Beginning::Itself, Beginning::Deletion];

impl Beginning {
    fn options(self, dest: &Path) -> Value {
        match self {
            Self::Nothing | Self::Expiring => json!({ "dest": dest }),
            Self::Itself => json!({ "dest": dest, "state": "rotated", "rhacs_token": null, "rhacs_token_file": dest }),
            Self::Deletion => json!({ "dest": dest, "state": "absent" }),
        }
    }

    /// Whether the same task, run again, has nothing to do.
    fn is_settled_by_one_run(self) -> bool {
        self != Self::Itself
    }
}

fn disturb(beginning: Beginning, disturbance: Disturbance) -> Tally {
    let scene = RhacsScene::new();
    disturb_everywhere(&format!("{beginning:?}"), disturbance, |name| Case::new(&scene, name, beginning))
}

/// Which requests of a run meet a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Request {
    /// That for the record of the token in `dest`.
    Look,
    /// Those that ask whether a token is accepted.
    Status,
    /// That which generates.
    Generate,
    /// The same, and all that would tell what became of it.
    GenerateAndLook,
    /// That which revokes.
    Revoke,
}

impl Request {
    fn disturb(self, scene: &RhacsScene, fault: fn() -> Fault) {
        let generate = || fault().path("/generate");
        let look = || fault().method("GET").path("/v1/apitokens");
        let met = match self {
            Self::Look => vec![look()],
            Self::Status => vec![fault().path("/v1/auth/status")],
            Self::Generate => vec![generate()],
            Self::GenerateAndLook => vec![generate(), look()],
            Self::Revoke => vec![fault().path("/revoke/")],
        };
        met.into_iter().for_each(|fault| scene.fault(fault));
    }
}

fn cut_everywhere() -> Tally {
    use Request::{Generate, GenerateAndLook, Look, Revoke, Status};
    let mut cuts: Vec<(Beginning, Request, NamedFault)> = Vec::new();
    for (beginning, requests) in [
        (Beginning::Nothing, &[Status, Generate, GenerateAndLook][..]),
        (Beginning::Expiring, &[Look, Status, Generate, Revoke]),
        (Beginning::Itself, &[Generate, Revoke]),
        (Beginning::Deletion, &[Look, Status, Revoke]),
    ] {
        for request in requests {
            cuts.extend(FAULTS.into_iter().map(|fault| (beginning, *request, fault)));
        }
    }
    Tally::of(&cuts, WAITING_WORKERS, |(beginning, request, (name, fault))| {
        let scene = RhacsScene::new();
        let case = Case::new(&scene, "case", *beginning);
        request.disturb(&scene, *fault);
        let first = case.run();
        scene.sandbox.faults().clear();
        let verdict = case.check_noticed(*request, &first).and_then(|()| case.what_stands(Some(&first.result)));
        Some(verdict.map_err(|why| format!("{beginning:?}, {request:?}, {name}: {why}; the first run said {first}")))
    })
}

struct Case<'a> {
    scene: &'a RhacsScene,
    beginning: Beginning,
    name: String,
    dest: PathBuf,
    before: Option<String>,
    task: Task,
}

impl<'a> Case<'a> {
    fn new(scene: &'a RhacsScene, name: &str, beginning: Beginning) -> Self {
        let mut task = Task::new(scene.path(name));
        let dest = task.file("token");
        let before = (beginning != Beginning::Nothing).then(|| scene.central().issue_token(name, &["Admin"], 7 * DAY));
        before.iter().for_each(|token| fs::write(&dest, token).unwrap());
        let mut options = beginning.options(&dest);
        options[MODULE] = "rhacs_api_token".into();
        options["name"] = name.into();
        options["role"] = "Admin".into();
        task.options = scene.api_token_options(options);
        Self { scene, beginning, name: name.to_owned(), dest, before, task }
    }

    /// A request that was disturbed is noticed, where the run cannot do without its answer.
    fn check_noticed(&self, request: Request, first: &Run) -> Result<(), String> {
        let is_fatal = request != Request::Revoke;
        if is_fatal && !first.failed() { Err("the run did not notice".to_owned()) } else { Ok(()) }
    }

    /// What a disturbed run left and said, and what the next one makes of it.
    fn what_stands(&self, said: Option<&Value>) -> Result<Verdict, String> {
        self.check_left()?;
        if let Some(result) = said {
            self.check_said(result)?;
        }
        let next = self.run();
        if next.failed() {
            return Err(format!("the next run failed: {next}"));
        }
        self.check_mended().map_err(|why| format!("after the next run {why}; it said {next}"))?;
        if self.beginning.is_settled_by_one_run() {
            let third = self.run();
            if third.failed() || third.changed() {
                return Err(format!("the run after the next found something to do: {third}"));
            }
        }
        Ok(Verdict::Kept)
    }

    /// The users have a token that works, as they had before.
    fn check_left(&self) -> Result<(), String> {
        match self.content() {
            _ if self.beginning == Beginning::Deletion => Ok(()),
            None if self.before.is_none() => Ok(()),
            Some(token) if self.scene.central().token_works(&token) => Ok(()),
            content => Err(format!("the disturbed run left a token that does not work: {}", content.is_some())),
        }
    }

    fn check_said(&self, result: &Value) -> Result<(), String> {
        match result["failed"] == true {
            true if result["msg"].as_str().is_none_or(str::is_empty) => {
                Err("the disturbed run failed and did not say why".to_owned())
            }
            true => Ok(()),
            false => self.check_mended().map_err(|why| format!("the disturbed run says that all is well: {why}")),
        }
    }

    /// There is the one token that its users have, or none, and beside it nothing that a killed run left.
    fn check_mended(&self) -> Result<(), String> {
        let is_deletion = self.beginning == Beginning::Deletion;
        let live = self.scene.central().live_tokens(&self.name);
        let works = self.content().is_some_and(|token| self.scene.central().token_works(&token));
        let there = self.task.files();
        let expected: &[&str] = match is_deletion {
            true => &[".token.tokensmith.lock"],
            false => &[".token.tokensmith.json", ".token.tokensmith.lock", "token"],
        };
        match (is_deletion, works, live) {
            (true, false, 0) | (false, true, 1) if there == expected => Ok(()),
            (_, _, _) => Err(format!("the token in dest works: {works}; {live} tokens live; the files are {there:?}")),
        }
    }

    fn content(&self) -> Option<String> {
        fs::read_to_string(&self.dest).ok()
    }
}

impl crate::Case for Case<'_> {
    fn task(&self) -> &Task {
        &self.task
    }

    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String> {
        self.what_stands(disturbed.result()?.as_ref())
    }
}
