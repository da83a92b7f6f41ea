//! gateway_token: tokens live side by side, are shown once, and nothing but a note leads from one to its row.
//!
//! So after each disturbance the users have a token that works, and after the next run there is no other of that description.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::gateway::{GatewayScene, USER};
use tokensmith_tests::scene::read;

use crate::trace::Disturbance;
use crate::{
    Case as _, Disturbed, FAULTS, MODULE, NamedFault, Story, Tally, Task, Verdict, WAITING_WORKERS, disturb_everywhere,
};

#[test]
fn no_oauth_token_is_lost_or_left_alive_wherever_a_run_is_killed_or_cut_off() {
    let mut story = Story::of("gateway_token");
    for beginning in BEGINNINGS {
        story.killed.add(disturb(beginning, Disturbance::Kill));
    }
    story.failed.add(disturb(Beginning::Expiring, Disturbance::Failure));
    story.cut.add(cut_everywhere());
    story.tell();
}

/// What there is before the run, and what its task asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beginning {
    /// Nothing in `dest`.
    Nothing,
    /// A token of an earlier run that ends soon.
    Expiring,
    /// A token that nobody noted, which has a new one created for itself and is deleted by it.
    Itself,
    /// Nothing in `dest`, and a token of an application is to be there.
    OfApplication,
    /// A token of a controller that nobody noted and that ends soon.
    OfController,
    /// A token of an earlier run that is to be deleted.
    Deletion,
    /// A token of an earlier run that deletes itself.
    Farewell,
}

const BEGINNINGS: [Beginning; 7] = [
    Beginning::Nothing,
    Beginning::Expiring,
    Beginning::Itself,
    Beginning::OfApplication,
    Beginning::OfController,
    Beginning::Deletion,
    Beginning::Farewell,
];

impl Beginning {
    fn scene(self) -> GatewayScene {
        GatewayScene::of(if self == Self::OfController { "controller" } else { "gateway" })
    }

    fn options(self, scene: &GatewayScene, dest: &Path) -> Value {
        match self {
            Self::Nothing | Self::Expiring | Self::OfController => json!({ "dest": dest }),
            Self::Itself => json!({ "dest": dest, "gateway_token_file": dest, "state": "rotated" }),
            Self::OfApplication => json!({
                "dest": dest, "application": APPLICATION, "gateway_username": "admin", "gateway_password": scene.platform().password("admin"),
            }),
            Self::Deletion => json!({ "dest": dest, "state": "absent" }),
            Self::Farewell => json!({ "dest": dest, "gateway_token_file": dest, "state": "absent" }),
        }
    }

    fn has_nothing(self) -> bool {
        matches!(self, Self::Nothing | Self::OfApplication)
    }

    fn deletes(self) -> bool {
        matches!(self, Self::Deletion | Self::Farewell)
    }

    /// Whether an earlier run left a note beside the token.
    fn is_noted(self) -> bool {
        matches!(self, Self::Expiring | Self::Deletion | Self::Farewell)
    }

    /// Whether the same task, run again, has nothing to do.
    fn is_settled_by_one_run(self) -> bool {
        !matches!(self, Self::Itself | Self::Farewell)
    }

    /// How many requests of its rows a run sends before it creates a token.
    fn looks(self) -> u32 {
        match self {
            Self::Nothing | Self::OfApplication => 0,
            Self::Expiring | Self::OfController | Self::Deletion | Self::Farewell => 1,
            Self::Itself => 2,
        }
    }
}

fn disturb(beginning: Beginning, disturbance: Disturbance) -> Tally {
    let scene = beginning.scene();
    disturb_everywhere(&format!("{beginning:?}"), disturbance, |name| Case::new(&scene, name, beginning))
}

/// Which requests of a run meet a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Request {
    /// Those for the application.
    Application,
    /// Those that ask whether a token is accepted.
    Status,
    /// Those for rows.
    Look,
    /// That which creates.
    Create,
    /// The same, and all that would tell what became of it.
    CreateAndLook,
    /// The same, and what would delete it again.
    CreateAndDelete,
    /// Those that ask whether the new token is accepted.
    Proof,
    /// The same, and what would delete it again.
    ProofAndDelete,
    /// That which deletes.
    Delete,
    /// That which asks whether the old token is dead.
    Death,
}

impl Request {
    fn disturb(self, beginning: Beginning, scene: &GatewayScene, fault: fn() -> Fault) {
        // Used up by the requests before, it lets the next one meet the fault.
        let passing = |path: &str, times| match times {
            0 => Vec::new(),
            _ => vec![Fault::delay(Duration::ZERO).method("GET").path(path).times(times)],
        };
        let look = || fault().method("GET").path(ROWS);
        let create = || fault().method("POST").path(ROWS);
        let delete = || fault().method("DELETE").path(ROWS);
        let status = || fault().path("/me/");
        let (held, looked) = (u32::from(!beginning.has_nothing()), beginning.looks());
        let met = match self {
            Self::Application => vec![fault().path("/applications/")],
            Self::Status => vec![status()],
            Self::Look => vec![look()],
            Self::Create => vec![create()],
            Self::CreateAndLook => [passing(ROWS, looked), vec![create(), look()]].concat(),
            Self::CreateAndDelete => vec![create(), delete()],
            Self::Proof => [passing("/me/", held), vec![status()]].concat(),
            Self::ProofAndDelete => [passing("/me/", held), vec![status(), delete()]].concat(),
            Self::Delete => vec![delete()],
            Self::Death => [passing("/me/", if beginning.deletes() { 1 } else { 2 }), vec![status()]].concat(),
        };
        met.into_iter().for_each(|fault| scene.fault(fault));
    }
}

fn cut_everywhere() -> Tally {
    use Request::{
        Application, Create, CreateAndDelete, CreateAndLook, Death, Delete, Look, Proof, ProofAndDelete, Status,
    };
    let faults = FAULTS.into_iter().chain([("server error after the server acted", failing as fn() -> Fault)]);
    let faults: Vec<NamedFault> = faults.collect();
    let mut cuts = Vec::new();
    for (beginning, requests) in [
        (Beginning::Nothing, &[Create, CreateAndLook, CreateAndDelete, ProofAndDelete][..]),
        (Beginning::Expiring, &[Status, Look, Create, CreateAndLook, Proof, ProofAndDelete, Delete, Death]),
        (Beginning::Itself, &[Create, CreateAndLook, Delete]),
        (Beginning::OfApplication, &[Application, Create]),
        (Beginning::OfController, &[Create, CreateAndLook]),
        (Beginning::Deletion, &[Delete, Death]),
        (Beginning::Farewell, &[Delete, Death]),
    ] {
        for request in requests {
            cuts.extend(faults.iter().map(|fault| (beginning, *request, *fault)));
        }
    }
    Tally::of(&cuts, WAITING_WORKERS, |(beginning, request, (name, fault))| {
        let scene = beginning.scene();
        let case = Case::new(&scene, "case", *beginning);
        request.disturb(*beginning, &scene, *fault);
        let first = case.run();
        scene.sandbox.faults().clear();
        let verdict = case.check_noticed(*request, &first).and_then(|()| case.what_stands(Some(&first.result)));
        Some(verdict.map_err(|why| format!("{beginning:?}, {request:?}, {name}: {why}; the first run said {first}")))
    })
}

fn failing() -> Fault {
    Fault::server_error().acting()
}

struct Case<'a> {
    scene: &'a GatewayScene,
    beginning: Beginning,
    name: String,
    dest: PathBuf,
    task: Task,
}

impl<'a> Case<'a> {
    fn new(scene: &'a GatewayScene, name: &str, beginning: Beginning) -> Self {
        let mut task = Task::new(scene.path(name));
        let dest = task.file("token");
        let mut options = beginning.options(scene, &dest);
        options[MODULE] = "gateway_token".into();
        options["description"] = name.into();
        task.options = scene.token_options(options);
        let case = Self { scene, beginning, name: name.to_owned(), dest, task };
        case.prepare();
        case
    }

    fn prepare(&self) {
        match self.beginning {
            beginning if beginning.has_nothing() => return,
            beginning if beginning.is_noted() => {
                self.scene.token_task(json!({ "description": self.name, "dest": self.dest })).succeeded();
            }
            _ => fs::write(&self.dest, self.scene.platform().issue_token(USER, &self.name, "write").1).unwrap(),
        }
        let tokens = self.scene.platform().tokens();
        let id = tokens.iter().find(|token| token.description == self.name).unwrap().id;
        // What was made long ago is not found by searching for what came of a request.
        assert!(self.scene.platform().backdate(id, 30 * DAY) && self.scene.platform().expire_in(id, 7 * DAY));
    }

    /// A request that was disturbed is noticed, where the run cannot do without its answer.
    fn check_noticed(&self, request: Request, first: &Run) -> Result<(), String> {
        // What was deleted in the first of several tries is gone, which is what was asked for.
        let is_fatal = request != Request::Delete;
        if is_fatal && !first.failed() { Err("the run did not notice".to_owned()) } else { Ok(()) }
    }

    /// What a disturbed run left and said, and what the next one makes of it.
    fn what_stands(&self, said: Option<&Value>) -> Result<Verdict, String> {
        self.check_left()?;
        if let Some(result) = said {
            self.check_said(result)?;
        }
        if self.beginning == Beginning::Farewell && !self.dest.exists() {
            // There is no one left to call the API as.
            return match self.scene.platform().live_tokens(&self.name) {
                0 => Ok(Verdict::Kept),
                live => Err(format!("{live} tokens live, and dest is gone")),
            };
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
            _ if self.beginning.deletes() => Ok(()),
            None if self.beginning.has_nothing() => Ok(()),
            Some(token) if self.scene.platform().token_works(&token) => Ok(()),
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
        let live = self.scene.platform().live_tokens(&self.name);
        let works = self.content().is_some_and(|token| self.scene.platform().token_works(&token));
        let there = self.task.files();
        let expected: &[&str] = match self.beginning.deletes() {
            true => &[".token.tokensmith.lock"],
            false => &[".token.tokensmith.json", ".token.tokensmith.lock", "token"],
        };
        match (self.beginning.deletes(), works, live) {
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

#[test]
fn ten_runs_at_once_on_one_dest_leave_one_token_which_works() {
    for (state, is_own, created) in [("present", false, 1), ("rotated", false, RUNS), ("rotated", true, RUNS)] {
        let scene = GatewayScene::new();
        let (id, token) = scene.platform().issue_token(USER, "ci", "write");
        assert!(scene.platform().expire_in(id, 7 * DAY));
        let dest = scene.file("token", &token);
        let own = if is_own { json!(dest) } else { Value::Null };
        let options = scene.token_options(json!({ "dest": dest, "state": state, "gateway_token_file": own }));
        let runs: Vec<_> = (0..RUNS).map(|_| executable::start_module("gateway_token", &options)).collect();
        let runs = runs.into_iter().map(|run| Run::from_output(&run.wait_with_output().unwrap()).succeeded());
        let count = runs.filter(|run| run.result["created"] == true).count();
        assert_eq!(count, created, "{state}, {is_own}");
        assert!(scene.platform().token_works(&read(&dest)), "{state}, {is_own}");
        assert_eq!(scene.platform().live_tokens("ci"), 1, "{state}, {is_own}");
    }
}

/// What came of a request yesterday is not known yet, and neither is what comes of that of today.
#[test]
fn of_several_lost_answers_none_leaves_a_token_that_nobody_has() {
    for state in ["present", "absent"] {
        let scene = GatewayScene::new();
        let dest = scene.path("token");
        let task = |state: &str| scene.token_task(json!({ "dest": dest, "state": state }));
        let id = task("present").succeeded().result["id"].as_i64().unwrap();
        assert!(scene.platform().expire_in(id, 7 * DAY));
        let path = scene.path(".token.tokensmith.json");
        let mut note: Value = serde_json::from_str(&read(&path)).unwrap();
        note["under_way_since"] = json!(Utc::now() - TimeDelta::days(1));
        fs::write(&path, note.to_string()).unwrap();
        Request::CreateAndLook.disturb(Beginning::Expiring, &scene, Fault::lost_answer);
        let lost = task("present");
        assert!(lost.message().starts_with("whether a new token was issued is not known"), "{lost}");
        assert_eq!(scene.platform().live_tokens("ci"), 2);
        scene.sandbox.faults().clear();
        let next = task(state).succeeded();
        assert_eq!(scene.platform().live_tokens("ci"), usize::from(state == "present"), "{state}: {next}");
    }
}

const APPLICATION: &str = "deploy";
const ROWS: &str = "/tokens/";
const DAY: i64 = 24 * 60 * 60;
const RUNS: usize = 10;
