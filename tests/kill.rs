//! No token is lost, wherever a run is killed and whatever becomes of its calls and its requests.
//!
//! A run is traced once; then it is made again for every system call on files or the network that it made, and killed just before that call, or the
//! call fails. After each, the same task is run again undisturbed: it must put everything right. A system is one file in `kill/`: what there is before the
//! run, and what must hold after it.

#[path = "kill/credential.rs"]
mod credential;
#[path = "kill/credential_of_sso.rs"]
mod credential_of_sso;
#[path = "kill/exchanged.rs"]
mod exchanged;
#[path = "kill/gateway.rs"]
mod gateway;
#[path = "kill/hub.rs"]
mod hub;
#[path = "kill/manage.rs"]
mod manage;
#[path = "kill/quay.rs"]
mod quay;
#[path = "kill/quay_keyless.rs"]
mod quay_keyless;
#[path = "kill/rhacs.rs"]
mod rhacs;
#[path = "kill/rhacs_m2m.rs"]
mod rhacs_m2m;
#[path = "kill/side_by_side.rs"]
mod side_by_side;
#[path = "kill/sso.rs"]
mod sso;
#[path = "kill/trace.rs"]
mod trace;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::scene::names;

use trace::{Disturbance, Trace};

/// What a run begins with, and what must hold after it.
trait Case {
    /// What is run.
    fn task(&self) -> &Task;

    /// Whether its run starts another program, which is left alone.
    fn starts_programs(&self) -> bool {
        false
    }

    /// What stands after the disturbed run, and what an undisturbed one makes of it.
    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String>;

    /// The task once more, undisturbed.
    fn run(&self) -> Run {
        self.task().run()
    }
}

/// A task with files of its own.
struct Task {
    /// What belongs to the test itself, and in `files` what the task is about.
    folder: PathBuf,
    /// The module's options, with its name.
    options: Value,
}

impl Task {
    /// In a folder that is not there yet, and without options.
    fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(folder.join(FILES)).unwrap();
        Self { folder, options: Value::Null }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(FILES).join(name)
    }

    /// What lies there now.
    fn files(&self) -> Vec<String> {
        names(&self.folder.join(FILES))
    }

    fn run(&self) -> Run {
        executable::module(self.options[MODULE].as_str().unwrap(), &self.options)
    }
}

/// What became of a token.
enum Verdict {
    Kept,
    /// The server had used it up, the successor was on its way, and the next run said so.
    Unavoidable,
}

/// A run that was killed, or one of whose calls failed.
struct Disturbed {
    trace: Trace,
    said: String,
}

impl Disturbed {
    /// The run's result. Who was killed may have none, and so may who failed at writing it.
    fn result(&self) -> Result<Option<Value>, String> {
        match serde_json::from_str::<Value>(&self.said).ok().filter(Value::is_object) {
            None if self.trace.ends_in_a_result() => Err("there is no result".to_owned()),
            result => Ok(result),
        }
    }
}

/// Kills a run before each of its calls, or lets each of them fail. `make` makes a case of its own by that name.
fn disturb_everywhere<C: Case>(what: &str, disturbance: Disturbance, make: impl Fn(&str) -> C + Sync) -> Tally {
    let rehearsal = make("rehearsal");
    let trace = trace(&rehearsal, None);
    let said = || fs::read_to_string(result_of(&rehearsal)).unwrap_or_default();
    assert!(trace.succeeded(), "{what}: the undisturbed run failed: {}", said());
    let points = trace.points(&arguments_of(&rehearsal), disturbance);
    let tally = Tally::of(&points, WORKERS, |point| {
        let case = make(&point.to_string());
        let trace = self::trace(&case, Some((point, disturbance)));
        // Packets come in other portions now and then, so that a run ends without having met its point.
        if !trace.was_met(disturbance) {
            return None;
        }
        let disturbed = Disturbed { trace, said: fs::read_to_string(result_of(&case)).unwrap_or_default() };
        let verdict = case.verdict(&disturbed);
        Some(verdict.map_err(|why| {
            format!("{what}, {disturbance:?} at {point}: {why}; the disturbed run said {:?}", disturbed.said)
        }))
    });
    assert!(tally.points * 10 >= points.len() * 9, "{what}: of {} points {} were met", points.len(), tally.points);
    tally
}

fn trace(case: &impl Case, disturbed: Option<(&trace::Point, Disturbance)>) -> Trace {
    let arguments = arguments_of(case);
    fs::write(&arguments, case.task().options.to_string()).unwrap();
    Trace::of(&arguments, &result_of(case), &case.task().folder.join("trace"), disturbed, case.starts_programs())
}

fn arguments_of(case: &impl Case) -> PathBuf {
    case.task().folder.join("arguments.json")
}

fn result_of(case: &impl Case) -> PathBuf {
    case.task().folder.join(trace::RESULT)
}

/// How many disturbances there were, and what came of them.
#[derive(Default)]
struct Tally {
    points: usize,
    unavoidable: usize,
    lost: Vec<String>,
}

impl Tally {
    /// Judges all, some at a time. One that did not come to pass has no verdict and does not count.
    fn of<T: Sync>(items: &[T], workers: usize, judge: impl Fn(&T) -> Option<Result<Verdict, String>> + Sync) -> Self {
        let next = AtomicUsize::new(0);
        let tally = Mutex::new(Self::default());
        std::thread::scope(|threads| {
            for _ in 0..workers {
                threads.spawn(|| {
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Some(verdict) = judge(item) {
                            tally.lock().unwrap().count(verdict);
                        }
                    }
                });
            }
        });
        tally.into_inner().unwrap()
    }

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

/// What came of all that was done to the runs of one module.
struct Story {
    module: &'static str,
    begun: Instant,
    killed: Tally,
    failed: Tally,
    cut: Tally,
}

impl Story {
    fn of(module: &'static str) -> Self {
        Self {
            module,
            begun: Instant::now(),
            killed: Tally::default(),
            failed: Tally::default(),
            cut: Tally::default(),
        }
    }

    /// Tells it in one line. Nothing may be lost.
    fn tell(&self) {
        let tallies = [&self.killed, &self.failed, &self.cut];
        let lost: Vec<&str> = tallies.iter().flat_map(|tally| &tally.lost).map(String::as_str).collect();
        let unavoidable: usize = tallies.iter().map(|tally| tally.unavoidable).sum();
        // Not by a macro: this line is for those who run the tests, not only for those who see one fail.
        let _ = writeln!(
            io::stderr(),
            "{}: kill points: {}, network cuts: {}, lost: {}, unavoidable: {unavoidable}, failed calls: {} (in {} s)",
            self.module,
            self.killed.points,
            self.cut.points,
            lost.len(),
            self.failed.points,
            self.begun.elapsed().as_secs()
        );
        assert!(lost.is_empty(), "{}", lost.join("\n"));
    }
}

/// A fault by its name.
type NamedFault = (&'static str, fn() -> Fault);

/// What can become of a request on its way. Behind some of these the server has acted, behind others not, and nothing tells which.
const FAULTS: [NamedFault; 8] = [
    ("cut", Fault::cut),
    ("lost answer", Fault::lost_answer),
    ("cut body", Fault::cut_body),
    ("half an answer", Fault::truncated_json),
    ("bad gateway", Fault::bad_gateway),
    ("bad gateway after the server acted", || Fault::bad_gateway().acting()),
    ("a page after the server acted", || Fault::html().acting()),
    ("five megabytes after the server acted", || Fault::large_body().acting()),
];
const MODULE: &str = "_tokensmith_module";
const FILES: &str = "files";
const WORKERS: usize = 4;
/// A run that meets a fault waits most of the time, before it tries again.
const WAITING_WORKERS: usize = 12;
