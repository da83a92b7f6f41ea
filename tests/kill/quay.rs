//! quay_robot_token: robots whose new token kills the old one at once, and whose valid token can always be read.
//!
//! So nothing is ever lost here: after each disturbance the next run puts the valid token in place, and has no more made than its task asks for.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokensmith::secret::Secret;
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::Run;
use tokensmith_tests::quay::QuayScene;

use crate::trace::Disturbance;
use crate::{
    Case as _, Disturbed, FAULTS, MODULE, NamedFault, Story, Tally, Task, Verdict, WAITING_WORKERS, disturb_everywhere,
};

#[test]
fn no_token_of_a_robot_is_lost_wherever_a_run_is_killed_or_cut_off() {
    let mut story = Story::of("quay_robot_token");
    for beginning in [
        Beginning::Nothing,
        Beginning::Aged,
        Beginning::Merged,
        Beginning::Creation,
        Beginning::Deletion,
        Beginning::Several,
    ] {
        story.killed.add(disturb(beginning, Disturbance::Kill));
    }
    for beginning in [Beginning::Aged, Beginning::Creation, Beginning::Deletion] {
        story.failed.add(disturb(beginning, Disturbance::Failure));
    }
    story.cut.add(cut_everywhere());
    story.tell();
}

/// What there is before the run, and what its task asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beginning {
    /// Nothing in `dest`, and a new token is to be made.
    Nothing,
    /// A token that is older than the task wants it, in a file with other entries.
    Aged,
    /// The same file, and a new token is to be made.
    Merged,
    /// No robot; it is to be made.
    Creation,
    /// The same file; the robot is to be deleted.
    Deletion,
    /// New tokens for several robots in one task.
    Several,
}

impl Beginning {
    fn options(self) -> Value {
        match self {
            Self::Nothing => json!({ "state": "rotated" }),
            Self::Aged => json!({ "max_age": "90d", "dest_format": "docker_config" }),
            Self::Merged => json!({ "state": "rotated", "dest_format": "docker_config" }),
            Self::Creation => json!({ "create_robot": true }),
            Self::Deletion => json!({ "state": "absent", "delete_robot": true, "dest_format": "docker_config" }),
            Self::Several => json!({ "state": "rotated", "concurrency": 2 }),
        }
    }

    /// Whether the same task, run again, has nothing to do.
    fn is_settled_by_one_run(self) -> bool {
        matches!(self, Self::Aged | Self::Creation)
    }

    fn is_merged(self) -> bool {
        matches!(self, Self::Aged | Self::Merged | Self::Deletion)
    }
}

fn disturb(beginning: Beginning, disturbance: Disturbance) -> Tally {
    let scene = QuayScene::new();
    disturb_everywhere(&format!("{beginning:?}"), disturbance, |name| Case::new(&scene, name, beginning))
}

/// Which requests of a run meet a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Request {
    /// The first one, for the registry's name.
    Registry,
    /// That for the robot, before anything is done.
    Look,
    /// That which changes something: a new token, a new robot, or the end of one.
    Change,
    /// That for the robot, after a token was issued.
    ReadBack,
    /// That which issues a token, and all that would tell what became of it.
    ChangeAndReadBack,
    /// The same, and only the first question fails.
    ChangeAndFirstReadBack,
    /// The log-in that proves the token.
    LogIn,
}

impl Request {
    /// Lets the fault happen to the requests about this robot.
    fn disturb(self, case: &Case<'_>, fault: fn() -> Fault) {
        let faults = case.scene.sandbox.faults();
        let robot = format!("/robots/{}", case.robots[0].short_name);
        // Used up by the first question, it lets the next one meet the fault.
        let looks = || Fault::delay(Duration::ZERO).method("GET").path(robot.clone()).times(1);
        let change = || match case.beginning {
            Beginning::Creation => fault().method("PUT").path(robot.clone()),
            Beginning::Deletion => fault().method("DELETE").path(robot.clone()),
            _ => fault().method("POST").path(format!("{robot}/regenerate")),
        };
        let reads = || fault().method("GET").path(robot.clone());
        let met = match self {
            Self::Registry => vec![fault().path("/v2/")],
            Self::Look => vec![reads()],
            Self::Change => vec![change()],
            Self::ReadBack => vec![looks(), reads()],
            Self::ChangeAndReadBack => vec![change(), looks(), reads()],
            Self::ChangeAndFirstReadBack => vec![change(), looks(), reads().times(1)],
            Self::LogIn => vec![fault().path("/v2/auth")],
        };
        met.into_iter().for_each(|fault| faults.add(fault));
    }

    /// Whether a run that met it can only fail. Without reading back, the log-in alone proves a token; and half of a refusal is a refusal.
    fn is_fatal(self, beginning: Beginning) -> bool {
        match self {
            Self::Registry | Self::Look | Self::ChangeAndReadBack => true,
            Self::LogIn => beginning != Beginning::Deletion,
            Self::Change | Self::ReadBack | Self::ChangeAndFirstReadBack => false,
        }
    }
}

fn cut_everywhere() -> Tally {
    use Request::{Change, ChangeAndFirstReadBack, ChangeAndReadBack, LogIn, Look, ReadBack, Registry};
    let faults: Vec<NamedFault> =
        FAULTS.into_iter().chain([("server error", Fault::server_error as fn() -> Fault)]).collect();
    let mut cuts = Vec::new();
    for (beginning, requests) in [
        (Beginning::Nothing, &[Registry, Look, Change, ReadBack, ChangeAndReadBack, ChangeAndFirstReadBack, LogIn][..]),
        (Beginning::Aged, &[Look, Change, ReadBack, ChangeAndReadBack, ChangeAndFirstReadBack, LogIn]),
        (Beginning::Merged, &[Change, ChangeAndReadBack, LogIn]),
        (Beginning::Creation, &[Look, Change, ReadBack, ChangeAndReadBack, ChangeAndFirstReadBack, LogIn]),
        (Beginning::Deletion, &[Look, Change, LogIn]),
        (Beginning::Several, &[Change, ChangeAndReadBack]),
    ] {
        for request in requests {
            cuts.extend(faults.iter().map(|(name, fault)| (beginning, *request, *name, *fault)));
        }
    }
    Tally::of(&cuts, WAITING_WORKERS, |(beginning, request, name, fault)| {
        let scene = QuayScene::new();
        let case = Case::new(&scene, "case", *beginning);
        request.disturb(&case, *fault);
        let first = case.run();
        scene.sandbox.faults().clear();
        let verdict = case.check_noticed(*request, &first).and_then(|()| case.what_stands(Some(&first.result)));
        Some(verdict.map_err(|why| format!("{beginning:?}, {request:?}, {name}: {why}; the first run said {first}")))
    })
}

struct Case<'a> {
    scene: &'a QuayScene,
    beginning: Beginning,
    task: Task,
    robots: Vec<Robot>,
}

/// One of the robots of a task.
struct Robot {
    short_name: String,
    name: String,
    dest: PathBuf,
    /// What was in `dest` before the run.
    before: Option<String>,
}

impl<'a> Case<'a> {
    fn new(scene: &'a QuayScene, name: &str, beginning: Beginning) -> Self {
        let mut task = Task::new(scene.path(name));
        let short_names = match beginning {
            Beginning::Several => vec![format!("{name}-a"), format!("{name}-b")],
            _ => vec![name.to_owned()],
        };
        let mut options = beginning.options();
        options[MODULE] = "quay_robot_token".into();
        options["dest"] = json!(task.file("{robot}"));
        match &short_names[..] {
            [one] => options["robot"] = json!(one),
            several => options["robots"] = json!(several),
        }
        let robots = short_names.into_iter().map(|name| Robot::new(scene, &task, name, beginning)).collect();
        task.options = scene.robot_options(options);
        Self { scene, beginning, task, robots }
    }

    /// A request that was disturbed is noticed where that matters, and what came of it is found out by reading.
    fn check_noticed(&self, request: Request, first: &Run) -> Result<(), String> {
        let robot = &self.robots[0];
        let issued = self.issued(robot) > 0;
        let must_fail = match request {
            Request::Change if self.beginning == Beginning::Deletion => false,
            Request::Change => !issued,
            _ => request.is_fatal(self.beginning),
        };
        if must_fail && !first.failed() {
            return Err("the run did not notice".to_owned());
        }
        if request == Request::Change && issued && self.row(0, &first.result)["recovered"] != true {
            return Err("the token was not found by reading".to_owned());
        }
        Ok(())
    }

    /// What a disturbed run left and said, and what the next one makes of it.
    fn what_stands(&self, said: Option<&Value>) -> Result<Verdict, String> {
        for (index, robot) in self.robots.iter().enumerate() {
            self.check_left(robot)?;
            if let Some(result) = said {
                self.check_said(robot, self.row(index, result))?;
            }
        }
        let issued: Vec<u64> = self.robots.iter().map(|robot| self.issued(robot)).collect();
        let next = self.run();
        if next.failed() {
            return Err(format!("the next run failed: {next}"));
        }
        let at_work = u64::from(said.is_none());
        for (robot, issued) in self.robots.iter().zip(issued) {
            self.check_mended(robot, issued, at_work)
                .map_err(|why| format!("after the next run {why}; it said {next}"))?;
        }
        self.check_names()?;
        if self.beginning.is_settled_by_one_run() {
            let third = self.run();
            if third.failed() || third.changed() {
                return Err(format!("the run after the next found something to do: {third}"));
            }
        }
        Ok(Verdict::Kept)
    }

    /// What a result says of a robot. A run that failed before it came to any of several says the same of all.
    fn row<'r>(&self, index: usize, result: &'r Value) -> &'r Value {
        if self.robots.len() == 1 { result } else { result["robot_accounts"].get(index).unwrap_or(result) }
    }

    /// How many tokens of the robot were issued since the case began.
    fn issued(&self, robot: &Robot) -> u64 {
        let quay = self.scene.quay();
        let was_made = self.beginning == Beginning::Creation && quay.robot_token(&robot.name).is_some();
        quay.regenerations(&robot.name) + u64::from(was_made)
    }

    /// `dest` is as it was, or right.
    fn check_left(&self, robot: &Robot) -> Result<(), String> {
        if robot.content() == robot.before {
            return Ok(());
        }
        self.check_dest(robot).map_err(|why| format!("the disturbed run left what is neither old nor right: {why}"))
    }

    /// What the run says is true: where it succeeded all is well, and where it returns a token, that is the valid one and the message tells of it.
    fn check_said(&self, robot: &Robot, row: &Value) -> Result<(), String> {
        if row["failed"] != true {
            return self.check_dest(robot).map_err(|why| format!("the disturbed run says that all is well: {why}"));
        }
        let message = row["msg"].as_str().unwrap_or_default();
        if message.is_empty() {
            return Err("the disturbed run failed and did not say why".to_owned());
        }
        match row["token"].as_str() {
            None => Ok(()),
            Some(token) if !self.scene.quay().login_works(&robot.name, token) => {
                Err("the token in the result does not log in".to_owned())
            }
            Some(_) if !message.contains(TOLD) => {
                Err("the message does not tell of the token in the result".to_owned())
            }
            Some(_) => Ok(()),
        }
    }

    /// All is well, and no more was issued than was asked for. `at_work`: requests of the disturbed run that may have arrived behind its end.
    fn check_mended(&self, robot: &Robot, issued_before: u64, at_work: u64) -> Result<(), String> {
        self.check_dest(robot)?;
        let issued = self.issued(robot);
        let is_right = match self.beginning {
            Beginning::Nothing | Beginning::Merged | Beginning::Several => {
                issued <= 2 && (1..=1 + at_work).contains(&(issued - issued_before))
            }
            Beginning::Aged | Beginning::Creation => issued == 1,
            Beginning::Deletion => issued == 0,
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("{issued} tokens were made, {issued_before} of them by the disturbed run"))
        }
    }

    /// `dest` is as the task wants it: the valid token, and everything else as it was.
    fn check_dest(&self, robot: &Robot) -> Result<(), String> {
        let content = robot.content();
        if self.beginning == Beginning::Deletion {
            return match content {
                _ if self.scene.quay().robot_token(&robot.name).is_some() => Err("the robot is still there".to_owned()),
                Some(content) if content == WITHOUT_ENTRY => Ok(()),
                _ => Err(format!("dest holds {content:?}")),
            };
        }
        let content = content.ok_or("there is no dest")?;
        let token = if self.beginning.is_merged() { self.token_of_entry(&content)? } else { content };
        let name = &robot.name;
        if self.scene.quay().login_works(name, &token) {
            Ok(())
        } else {
            Err("the token in dest does not log in".to_owned())
        }
    }

    fn token_of_entry(&self, content: &str) -> Result<String, String> {
        let host = self.scene.quay().server_hostname();
        let entry = content.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix(TAIL));
        let entry = entry.ok_or_else(|| format!("something else in the file was changed: {content:?}"))?;
        let entry: Value = serde_json::from_str(&format!("{{{entry}}}")).map_err(|error| error.to_string())?;
        let auth = STANDARD.decode(entry[&host]["auth"].as_str().unwrap_or_default()).unwrap_or_default();
        let login = String::from_utf8(auth).unwrap_or_default();
        Ok(login.split_once(':').map(|(_, token)| token.to_owned()).unwrap_or_default())
    }

    /// Beside each `dest` stand its note and its lock, and nothing that a killed run left.
    fn check_names(&self) -> Result<(), String> {
        let there = self.task.files();
        let is_deletion = self.beginning == Beginning::Deletion;
        let is_expected = |name: &&String| {
            self.robots.iter().any(|robot| {
                let beside = name.strip_prefix(&format!(".{}.tokensmith.", robot.short_name));
                **name == robot.short_name
                    || beside.is_some_and(|what| what == "lock" || (what.ends_with("json") && !is_deletion))
            })
        };
        let expected = self.robots.len() * if is_deletion { 2 } else { 3 };
        let right = there.iter().filter(is_expected).count() == there.len() && there.len() == expected;
        if right { Ok(()) } else { Err(format!("the next run left {there:?}")) }
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

impl Robot {
    fn new(scene: &QuayScene, task: &Task, short_name: String, beginning: Beginning) -> Self {
        let (name, dest) = (format!("acme+{short_name}"), task.file(&short_name));
        if beginning != Beginning::Creation {
            scene.quay().add_robot(&name);
        }
        let host = scene.quay().server_hostname();
        if beginning.is_merged() {
            let auth = STANDARD.encode(format!("{name}:{}", scene.robot_token(&name)));
            fs::write(&dest, [HEAD, &format!("\"{host}\" : {{\"auth\": \"{auth}\"}}"), TAIL].concat()).unwrap();
        }
        if beginning == Beginning::Aged {
            let fingerprint = Secret::from(scene.robot_token(&name)).fingerprint();
            scene.quay().change(|state| state.robots.get_mut(&name).unwrap().created = LONG_AGO);
            let note = json!({ "fingerprint": fingerprint, "rotated_at": "2020-02-02T02:02:02Z" });
            let entry = host.replace('.', "%2E").replace(':', "%3A");
            fs::write(task.file(&format!(".{short_name}.tokensmith.{entry}.json")), note.to_string()).unwrap();
        }
        let before = fs::read_to_string(&dest).ok();
        Self { short_name, name, dest, before }
    }

    fn content(&self) -> Option<String> {
        fs::read_to_string(&self.dest).ok()
    }
}

/// A file of docker's as people write it: what stands before and behind the entry, and what is left when the entry is taken out.
const HEAD: &str =
    "{\n\t\"auths\":{\n\t\t\"other.example.com\": { \"auth\" :\"b3RoZXI6c2VjcmV0\", \"of\": [1, 2.50] },\n\t\t";
const TAIL: &str = ",\n\t\t\"third.example.com/acme\":{}\n\t},\n\t\"credsStore\": \"\", \"größe\" : 1e3\n}\n";
const WITHOUT_ENTRY: &str = "{\n\t\"auths\":{\n\t\t\"other.example.com\": { \"auth\" :\"b3RoZXI6c2VjcmV0\", \"of\": [1, 2.50] },\n\t\t\"third.example.com/acme\":{}\n\t},\n\t\"credsStore\": \"\", \"größe\" : 1e3\n}\n";
/// The second of February 2020.
const LONG_AGO: i64 = 1_580_608_922;
const TOLD: &str = "the new token is in the result as token";
