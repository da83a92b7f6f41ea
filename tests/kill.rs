//! No token is lost, wherever a run of sso_token is killed and whatever becomes of its requests.
//!
//! A run is traced once; then it is made again for every system call on files or the network that it made, and killed just before that call, or the
//! call fails. After each, the same task is run again undisturbed: it must put everything right, or, where the server lets an offline token be used once and the answer
//! with its successor never reached this host, say so.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::scene::{Scene, names, read};

#[test]
fn no_token_is_lost_wherever_a_run_is_killed_or_cut_off() {
    let begun = Instant::now();
    let mut killed = Tally::default();
    for (realm, beginning) in [
        ("redhat-external", Beginning::Renewal),
        ("rotating-reuse-1", Beginning::First),
        ("rotating", Beginning::First),
        ("rotating", Beginning::Renewal),
        ("rotating", Beginning::Revocation),
    ] {
        killed.add(disturb_everywhere(realm, beginning, Disturbance::Kill));
    }
    let failed = disturb_everywhere("rotating", Beginning::First, Disturbance::Failure);
    let cut = cut_everywhere();
    let lost = [&killed.lost[..], &failed.lost, &cut.lost].concat();
    let unavoidable = killed.unavoidable + failed.unavoidable + cut.unavoidable;
    // Not by a macro: this line is for those who run the tests, not only for those who see one fail.
    let _ = writeln!(
        io::stderr(),
        "kill points: {}, network cuts: {}, lost: {}, unavoidable: {unavoidable}, failed calls: {} (in {} s)",
        killed.points,
        cut.points,
        lost.len(),
        failed.points,
        begun.elapsed().as_secs()
    );
    assert!(lost.is_empty(), "{}", lost.join("\n"));
    for tally in [killed, failed, cut] {
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

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Disturbance {
    /// The run is killed just before it.
    Kill,
    /// It fails, as with a broken disk or network.
    Failure,
}

#[derive(Default)]
struct Tally {
    points: usize,
    unavoidable: usize,
    lost: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.points += other.points;
        self.unavoidable += other.unavoidable;
        self.lost.extend(other.lost);
    }

    fn count(&mut self, verdict: Result<Verdict, String>) {
        self.points += 1;
        match verdict {
            Ok(Verdict::Kept) => {}
            Ok(Verdict::Unavoidable) => self.unavoidable += 1,
            Err(why) => self.lost.push(why),
        }
    }
}

/// What became of a token.
enum Verdict {
    Kept,
    /// The server had used it up, the successor was on its way, and the next run said so.
    Unavoidable,
}

fn disturb_everywhere(realm: &str, beginning: Beginning, disturbance: Disturbance) -> Tally {
    let scene = Scene::in_realm(realm);
    let rehearsal = Case::new(&scene, "rehearsal", beginning);
    let trace = Trace::of(&rehearsal, None);
    assert!(trace.status.success(), "{realm}: the undisturbed run failed: {}", read(&rehearsal.result()));
    let points = trace.points(&rehearsal.arguments);
    let tally = Mutex::new(Tally::default());
    for_each_at_once(&points, |point| {
        let case = Case::new(&scene, &format!("{}-{}", point.call, point.nth), beginning);
        let trace = Trace::of(&case, Some((point, disturbance)));
        // Packets come in other portions now and then, so that a run ends without having met its point.
        if trace.was_met(disturbance) {
            let verdict = trace.verdict(&case, disturbance);
            let why =
                |why| format!("{realm}, {beginning:?}, {disturbance:?} at {} number {}: {why}", point.call, point.nth);
            tally.lock().unwrap().count(verdict.map_err(why));
        }
    });
    let tally = tally.into_inner().unwrap();
    assert!(tally.points * 10 >= points.len() * 9, "{realm}: of {} points {} were met", points.len(), tally.points);
    tally
}

fn cut_everywhere() -> Tally {
    type Make = fn() -> Fault;
    let faults: [(&str, Make); 8] = [
        ("cut", Fault::cut),
        ("lost answer", Fault::lost_answer),
        ("cut body", Fault::cut_body),
        ("half an answer", Fault::truncated_json),
        ("bad gateway", Fault::bad_gateway),
        ("bad gateway after the server acted", || Fault::bad_gateway().acting()),
        ("a page after the server acted", || Fault::html().acting()),
        ("five megabytes after the server acted", || Fault::large_body().acting()),
    ];
    let mut cases = Vec::new();
    for realm in ["redhat-external", "rotating-reuse-1", "rotating"] {
        for beginning in [Beginning::First, Beginning::Renewal, Beginning::Revocation] {
            for path in ["/token", "/userinfo", "/revoke"] {
                cases.extend(faults.iter().map(|(name, fault)| (realm, beginning, path, name, fault)));
            }
        }
    }
    cases.retain(|(_, beginning, path, ..)| match *path {
        "/userinfo" => *beginning != Beginning::Revocation,
        "/revoke" => *beginning == Beginning::Revocation,
        _ => true,
    });
    let tally = Mutex::new(Tally::default());
    for_each_at_once(&cases, |(realm, beginning, path, name, fault)| {
        let scene = Scene::in_realm(realm);
        let case = Case::new(&scene, "case", *beginning);
        scene.sandbox.faults().add(fault().path(*path));
        let first = case.run();
        scene.sandbox.faults().clear();
        let mut verdict = case.verdict(|| *realm == "rotating" && *path == "/token" && **name != "cut");
        // The answer to a revocation is nothing but a status, and what counts is the proof that follows.
        if !first.failed() && *path != "/revoke" {
            verdict = Err("the run did not notice".to_owned());
        }
        let why = |why| format!("{realm}, {beginning:?}, {path}, {name}: {why}; the first run said {first}");
        tally.lock().unwrap().count(verdict.map_err(why));
    });
    tally.into_inner().unwrap()
}

fn for_each_at_once<T: Sync>(items: &[T], action: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..WORKERS {
            threads.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    action(item);
                }
            });
        }
    });
}

/// One task with files of its own.
struct Case<'a> {
    scene: &'a Scene,
    beginning: Beginning,
    folder: PathBuf,
    arguments: PathBuf,
    task: Value,
    before: String,
}

impl<'a> Case<'a> {
    fn new(scene: &'a Scene, name: &str, beginning: Beginning) -> Self {
        let folder = scene.path(name);
        let files = folder.join("files");
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join(OFFLINE), scene.offline_token()).unwrap();
        let mut task = json!({
            "_tokensmith_module": "sso_token", "offline_token_file": files.join(OFFLINE), "dest": files.join(ACCESS), "renew_before": "1h"
        });
        task = scene.options(task);
        if beginning != Beginning::First {
            executable::module("sso_token", &task).succeeded();
        }
        if beginning == Beginning::Revocation {
            task["state"] = "absent".into();
        }
        let arguments = folder.join(ARGUMENTS);
        fs::write(&arguments, task.to_string()).unwrap();
        let before = read(&files.join(OFFLINE));
        Self { scene, beginning, folder, arguments, task, before }
    }

    fn run(&self) -> Run {
        executable::module("sso_token", &self.task)
    }

    /// Where a traced run writes its result.
    fn result(&self) -> PathBuf {
        self.folder.join("result")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join("files").join(name)
    }

    /// What stands after the disturbed run, and what an undisturbed one makes of it.
    fn verdict(&self, may_be_unavoidable: impl FnOnce() -> bool) -> Result<Verdict, String> {
        let alive = |token: &str| self.scene.realm.offline_token_is_alive(token);
        if self.beginning == Beginning::Revocation {
            return self.verdict_on_revocation();
        }
        let stored = read(&self.file(OFFLINE));
        if stored != self.before && !alive(&stored) {
            return Err(format!("the file was left with {} bytes that are no working token", stored.len()));
        }
        let left = fs::read_to_string(self.file(".offline_token.tokensmith.new")).unwrap_or_default();
        if self.beginning == Beginning::Renewal && !self.scene.realm.access_token_works(&read(&self.file(ACCESS))) {
            return Err("dest was left without a working token".to_owned());
        }
        let next = self.run();
        // The request of a killed run may reach the server after all, so whether it did is asked only now.
        if next.failed() && !alive(&stored) && !alive(&left) && may_be_unavoidable() {
            return self.verdict_on_loss(&next);
        }
        if next.failed() {
            return Err(format!("the next run failed: {next}"));
        }
        if !alive(&read(&self.file(OFFLINE))) {
            return Err(format!("the next run left a dead offline token: {next}"));
        }
        if !self.scene.realm.access_token_works(&read(&self.file(ACCESS))) {
            return Err(format!("the next run left an access token that does not work: {next}"));
        }
        self.check_names(&[NOTES_AND_LOCKS, &[ACCESS, OFFLINE]].concat())
    }

    fn verdict_on_loss(&self, next: &Run) -> Result<Verdict, String> {
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
        if self.scene.realm.offline_token_is_alive(&self.before) {
            return Err(format!("the session lives on, and nothing here remembers it: {next}"));
        }
        self.check_names(&[])
    }

    fn check_names(&self, expected: &[&str]) -> Result<Verdict, String> {
        let mut expected: Vec<&str> = expected.to_vec();
        expected.sort_unstable();
        let there = names(&self.folder.join("files"));
        let without_locks: Vec<&str> = there
            .iter()
            .map(String::as_str)
            .filter(|name| !name.ends_with(".lock") || expected.contains(name))
            .collect();
        if without_locks != expected { Err(format!("the next run left {there:?}")) } else { Ok(Verdict::Kept) }
    }
}

/// A system call by its name, and which of them.
struct Point {
    call: String,
    nth: usize,
}

/// What strace saw of a run.
struct Trace {
    status: ExitStatus,
    lines: Vec<String>,
}

impl Trace {
    fn of(case: &Case<'_>, disturbed: Option<(&Point, Disturbance)>) -> Self {
        let log = case.folder.join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-y", "-s", "0", "-e", "signal=none", "-e"]).arg(format!("trace={CALLS}"));
        if let Some((Point { call, nth }, disturbance)) = disturbed {
            let what = match disturbance {
                Disturbance::Kill => "signal=SIGKILL",
                Disturbance::Failure => "error=EIO",
            };
            command.arg("-e").arg(format!("inject={call}:{what}:when={nth}"));
        }
        let result = fs::File::create(case.result()).unwrap();
        let status = command
            .arg("-o")
            .arg(&log)
            .arg(executable::path())
            .arg(&case.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(result)
            .status()
            .unwrap_or_else(|error| panic!("strace, which kills a run at a given system call, cannot be started ({error}); install the package strace"));
        Self { status, lines: read(&log).lines().map(str::to_owned).collect() }
    }

    fn was_met(&self, disturbance: Disturbance) -> bool {
        match disturbance {
            Disturbance::Kill => self.status.signal() == Some(SIGKILL),
            Disturbance::Failure => self.failed_call().is_some(),
        }
    }

    fn failed_call(&self) -> Option<&String> {
        self.lines.iter().find(|line| line.ends_with("(INJECTED)"))
    }

    fn verdict(&self, case: &Case<'_>, disturbance: Disturbance) -> Result<Verdict, String> {
        if disturbance == Disturbance::Failure {
            let result: Value = serde_json::from_str(&read(&case.result())).unwrap_or_default();
            if !result.is_object() && !self.failed_call().is_some_and(|line| line.contains("/result>")) {
                return Err("there is no result".to_owned());
            }
            // What cannot be written is returned, and the message says so.
            let returned = result["offline_token"].as_str().unwrap_or_default();
            if case.scene.realm.offline_token_is_alive(returned) {
                let told = result["msg"].as_str().unwrap_or_default().contains("it is in the result as offline_token");
                return if told {
                    Ok(Verdict::Kept)
                } else {
                    Err(format!("the message does not tell of the token: {}", result["msg"]))
                };
            }
        }
        let verdict =
            case.verdict(|| case.scene.realm.url().ends_with("/rotating") && self.was_waiting_for_the_answer());
        verdict.map_err(|why| format!("{why}; the disturbed run said {}", read(&case.result())))
    }

    /// Every call after the arguments were read.
    fn points(&self, arguments: &Path) -> Vec<Point> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let mut points = Vec::new();
        let arguments = arguments.to_str().unwrap();
        let mut begun = false;
        for (call, line) in self.lines.iter().filter_map(|line| Some((name(line)?, line))) {
            let nth = counts.entry(call).and_modify(|count| *count += 1).or_insert(1);
            begun = begun || line.contains(arguments) && !line.contains("execve(");
            if begun && !HARMLESS.contains(&call) {
                points.push(Point { call: call.to_owned(), nth: *nth });
            }
        }
        points
    }

    /// Whether the run was killed after it had sent something and before it had written what it got.
    fn was_waiting_for_the_answer(&self) -> bool {
        let done = |line: &&String| {
            line.rsplit_once(" = ")
                .is_some_and(|(_, returned)| returned.starts_with(|digit: char| digit.is_ascii_digit()))
        };
        let writes: Vec<&String> = self
            .lines
            .iter()
            .filter(done)
            .filter(|line| name(line).is_some_and(|call| call.contains("write") || call.contains("send")))
            .collect();
        let sent = writes.iter().any(|line| line.contains("<socket:") || line.contains("<TCP"));
        sent && !writes.iter().any(|line| line.contains(".offline_token.tokensmith.new>"))
    }
}

/// `1234 read(3</dev/null>, ""..., 8) = 0` is a `read`.
fn name(line: &str) -> Option<&str> {
    let (_process, call) = line.split_once(' ')?;
    let (name, _) = call.trim_start().split_once('(')?;
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_').then_some(name)
}

const OFFLINE: &str = "offline_token";
const ACCESS: &str = "access";
const ARGUMENTS: &str = "arguments.json";
const NOTES_AND_LOCKS: &[&str] = &[
    ".access.tokensmith.json",
    ".access.tokensmith.lock",
    ".offline_token.tokensmith.json",
    ".offline_token.tokensmith.lock",
];
const TOLD: &str = "with the only newer one, was lost on the way";
/// All that touches files or the network.
const CALLS: &str = "%file,%desc,%network,exit_group";
/// Of these, what changes and moves nothing outside of the process.
const HARMLESS: [&str; 12] = [
    "mmap",
    "fcntl",
    "fstat",
    "fstatfs",
    "epoll_create1",
    "epoll_ctl",
    "eventfd2",
    "setsockopt",
    "getsockopt",
    "getsockname",
    "getpeername",
    "readlink",
];
const WORKERS: usize = 4;
const SIGKILL: i32 = 9;
