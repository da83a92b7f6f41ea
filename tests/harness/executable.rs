//! The executable under test, run as the engine runs it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use std::{env, fmt, io};

use serde_json::Value;

/// What a run left: its one JSON object and how it ended.
pub struct Run {
    /// The result.
    pub result: Value,
    /// All of standard output.
    pub stdout: String,
    /// The exit status.
    pub status: Option<i32>,
}

impl Run {
    /// From a finished process, holding it to the protocol: one JSON object, nothing on standard error, the right exit status.
    pub fn from_output(output: &Output) -> Self {
        let stdout = String::from_utf8(output.stdout.clone()).expect("standard output is UTF-8");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, "", "nothing may be written to standard error; standard output was {stdout}");
        let result: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error} in {stdout:?}"));
        assert!(result.is_object(), "{stdout}");
        let failed = result["failed"] == Value::Bool(true);
        assert_eq!(output.status.code(), Some(i32::from(failed)), "{stdout}");
        Self { result, stdout, status: output.status.code() }
    }

    /// Whether the task failed.
    pub fn failed(&self) -> bool {
        self.result["failed"] == Value::Bool(true)
    }

    /// Whether something was changed.
    pub fn changed(&self) -> bool {
        self.result["changed"] == Value::Bool(true)
    }

    /// The message, or nothing.
    pub fn message(&self) -> &str {
        self.text("msg")
    }

    /// A text in the result, or nothing.
    pub fn text(&self, key: &str) -> &str {
        self.result[key].as_str().unwrap_or_default()
    }

    /// The warnings as one text.
    pub fn warnings(&self) -> String {
        self.result["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The same run, which must have succeeded.
    pub fn succeeded(self) -> Self {
        assert!(!self.failed(), "{self}");
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.stdout)
    }
}

/// Where the executable is: the static one that `make test` names, else the one that cargo built.
pub fn path() -> PathBuf {
    if let Some(path) = env::var_os("TOKENSMITH_EXECUTABLE") {
        return path.into();
    }
    let test = env::current_exe().expect("a test knows its own path");
    let built = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join("tokensmith");
    assert!(
        built.exists(),
        "{} is missing: run `cargo build -p tokensmith-modules` first, or `make test`",
        built.display()
    );
    built
}

/// The executable with nothing of this process's environment that options fall back to.
pub fn command() -> Command {
    let mut command = Command::new(path());
    command.env_clear().env("HOME", "/nonexistent").env("PATH", env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs a module with arguments on standard input.
pub fn module(name: &str, arguments: &Value) -> Run {
    Run::from_output(&start_module(name, arguments).wait_with_output().expect("the executable ends"))
}

/// Starts a module with arguments on standard input.
pub fn start_module(name: &str, arguments: &Value) -> Child {
    let mut arguments = arguments.clone();
    arguments["_tokensmith_module"] = name.into();
    start(command().arg("-"), arguments.to_string().as_bytes())
}

/// Runs a command with this on standard input.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    start(command, input).wait_with_output().expect("the executable ends")
}

/// Runs the plain command line.
pub fn command_line<Word: AsRef<OsStr>>(words: impl IntoIterator<Item = Word>) -> Output {
    run_with_input(command().args(words), b"")
}

/// Starts a command with this on standard input.
pub fn start_with_input(command: &mut Command, input: &[u8]) -> Child {
    start(command, input)
}

fn start(command: &mut Command, input: &[u8]) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawned(command);
    // A run that fails early may not read its input.
    let _ = child.stdin.take().expect("standard input is a pipe").write_all(input);
    child
}

/// A copy of the executable is busy for as long as a process that another test is just starting holds its descriptor, which was open for writing.
fn spawned(command: &mut Command) -> Child {
    for _ in 0..MOST_TRIES {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::sleep(PAUSE),
            Err(error) => panic!("{} cannot be run: {error}", command.get_program().display()),
            Ok(child) => return child,
        }
    }
    panic!("{} is still busy after {MOST_TRIES} tries", command.get_program().display())
}

const MOST_TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);
