//! A run under strace, which sees its system calls, and kills it before one of them or lets one fail.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use tokensmith_tests::executable;
use tokensmith_tests::scene::read;

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Disturbance {
    /// The run is killed just before it.
    Kill,
    /// It fails, as with a broken disk or network.
    Failure,
}

/// A system call by its name, and which of them.
pub struct Point {
    call: String,
    nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.call, self.nth)
    }
}

/// What strace saw of a run.
pub struct Trace {
    status: ExitStatus,
    lines: Vec<String>,
}

impl Trace {
    /// Runs the task in a file of arguments. Other programs that the run starts are not watched.
    pub fn of(
        arguments: &Path,
        result: &Path,
        log: &Path,
        disturbed: Option<(&Point, Disturbance)>,
        starts_programs: bool,
    ) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-y", "-s", "0", "-e", "signal=none"]);
        // A run that stops at the disturbed call only is quicker. A signal would not be delivered then.
        match (starts_programs, disturbed) {
            (true, _) => command.args(["-b", "execve"]),
            (false, Some((_, Disturbance::Failure))) => command.arg("--seccomp-bpf"),
            (false, _) => &mut command,
        };
        match disturbed {
            None => command.args(["-e", &format!("trace={CALLS}")]),
            Some((Point { call, nth }, Disturbance::Kill)) => {
                command.args(["-e", &format!("trace={call},{WRITES}")]);
                command.args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")])
            }
            Some((Point { call, nth }, Disturbance::Failure)) => {
                command.args(["-e", &format!("trace={call},{WRITES}")]);
                command.args(["-e", &format!("inject={call}:error=EIO:when={nth}")])
            }
        };
        let status = command
            .arg("-o")
            .arg(log)
            .arg(executable::path())
            .arg(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(File::create(result).unwrap())
            .status()
            .unwrap_or_else(|error| panic!("strace, which kills a run at a given system call, cannot be started ({error}); install the package strace"));
        Self { status, lines: read(log).lines().map(str::to_owned).collect() }
    }

    /// Whether the run ended well.
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Whether the call that was to be disturbed was made.
    pub fn was_met(&self, disturbance: Disturbance) -> bool {
        match disturbance {
            Disturbance::Kill => self.was_killed(),
            Disturbance::Failure => self.failed_call().is_some(),
        }
    }

    /// Whether the run owes a result: it was not killed, and could write it.
    pub fn ends_in_a_result(&self) -> bool {
        let result = format!("/{RESULT}>");
        !self.was_killed() && !self.failed_call().is_some_and(|line| line.contains(&result))
    }

    /// Every call after the arguments were read that can be told from its neighbours. To be killed before a call that changes nothing outside is to be
    /// killed before the next one; to fail is another matter.
    pub fn points(&self, arguments: &Path, disturbance: Disturbance) -> Vec<Point> {
        // As strace counts them: those of each thread by themselves.
        let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
        let mut known = HashSet::new();
        let mut points = Vec::new();
        let arguments = arguments.to_str().unwrap();
        let mut begun = false;
        for (call, line) in self.lines.iter().filter_map(|line| Some((name(line)?, line))) {
            let thread = line.split(' ').next().unwrap_or_default();
            let nth = *counts.entry((thread, call)).and_modify(|count| *count += 1).or_insert(1);
            begun = begun || line.contains(arguments) && !line.contains("execve(");
            let is_harmless = HARMLESS.contains(&call) || (disturbance == Disturbance::Kill && only_reads(call, line));
            // A close that fails has closed all the same, only strace leaves it undone: then who reads the other end of a pipe waits for ever.
            let cannot_fail = disturbance == Disturbance::Failure && call == "close" && line.contains("<pipe:");
            let is_known = !known.insert((call, nth));
            if begun && !is_harmless && !cannot_fail && !is_known {
                points.push(Point { call: call.to_owned(), nth });
            }
        }
        points
    }

    /// The lines of those calls that wrote or sent something.
    pub fn writes(&self) -> impl Iterator<Item = &str> {
        let is_done = |line: &str| {
            line.rsplit_once(" = ")
                .is_some_and(|(_, returned)| returned.starts_with(|digit: char| digit.is_ascii_digit()))
        };
        let is_write = |line: &str| name(line).is_some_and(|call| WRITES.split(',').any(|write| write == call));
        self.lines.iter().map(String::as_str).filter(move |line| is_done(line) && is_write(line))
    }

    fn was_killed(&self) -> bool {
        self.status.signal() == Some(SIGKILL)
    }

    fn failed_call(&self) -> Option<&String> {
        self.lines.iter().find(|line| line.ends_with("(INJECTED)"))
    }
}

/// `1234 read(3</dev/null>, ""..., 8) = 0` is a `read`.
fn name(line: &str) -> Option<&str> {
    let (_process, call) = line.split_once(' ')?;
    let (name, _) = call.trim_start().split_once('(')?;
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_').then_some(name)
}

/// Whether a call only looks at files.
fn only_reads(call: &str, line: &str) -> bool {
    match call {
        "read" | "pread64" | "statx" | "newfstatat" | "access" => true,
        "openat" => line.contains("O_RDONLY") && !line.contains("O_CREAT"),
        _ => false,
    }
}

/// What the file is called that a run's standard output goes to.
pub const RESULT: &str = "result";
/// All that touches files or the network.
const CALLS: &str = "%file,%desc,%network,exit_group";
const WRITES: &str = "write,writev,pwrite64,sendto,sendmsg";
/// Of these calls, what changes and moves nothing outside of the process.
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
const SIGKILL: i32 = 9;
