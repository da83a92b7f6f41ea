//! One program run without a shell: in a process group of its own, for a limited time, with what it prints kept like a secret.

use std::env;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroizing;

/// A program with the words that stand before every argument, such as `podman exec gateway aap-gateway-manage`. It has at least one word.
///
/// In a task it is a text, which is one word, or a list of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<String>);

/// A program that ended by itself.
pub struct Ended {
    /// Its exit status.
    pub status: i32,
    /// What it printed on standard output.
    pub stdout: Printed,
    /// What it printed on standard error.
    pub stderr: Printed,
}

/// What a program printed, in memory that is wiped.
pub struct Printed(Zeroizing<Vec<u8>>);

/// Why a program did not come to its end.
#[derive(Debug, Error)]
pub enum CommandError {
    /// There is no such file.
    #[error("{}", not_found(program))]
    NotFound {
        /// Its first word.
        program: String,
    },
    /// The file is there, and this user may not run it, or it is no program.
    #[error(
        "{program} cannot be run by the user that the task runs as ({why}); use become, or name another executable"
    )]
    NotExecutable {
        /// Its first word.
        program: String,
        /// What the system says.
        why: io::Error,
    },
    /// Something else kept it from starting.
    #[error("{program} could not be started: {why}")]
    NotStarted {
        /// Its first word.
        program: String,
        /// What the system says.
        why: io::Error,
    },
    /// It took too long.
    #[error("{program} had not ended after {} seconds and was killed with all that it had started", limit.as_secs())]
    TimedOut {
        /// The program in full.
        program: String,
        /// How long it was given.
        limit: Duration,
    },
    /// Somebody ended it.
    #[error("{program} was ended by signal {signal}; was the host short of memory, or did somebody kill it?")]
    Killed {
        /// The program in full.
        program: String,
        /// The signal's number.
        signal: i32,
    },
    /// It printed more than a program of its kind does.
    #[error("{program} printed more than {} MiB and was killed; is it the right executable?", LARGEST_OUTPUT >> 20)]
    TooMuchOutput {
        /// The program in full.
        program: String,
    },
}

impl Program {
    /// A program by its path, or by its name in the search path.
    pub fn new(words: Vec<String>) -> Option<Self> {
        Some(Self(words)).filter(|Self(words)| words.first().is_some_and(|first| !first.trim().is_empty()))
    }

    /// Its words, as messages name it.
    pub fn name(&self) -> String {
        self.0.join(" ")
    }

    /// Whether it can be run, as far as that shows without running it.
    pub fn check(&self) -> Result<(), CommandError> {
        let program = self.first();
        let found: Vec<PathBuf> = candidates(program).filter(|path| path.is_file()).collect();
        match found.iter().any(|path| is_executable(path)) {
            true => Ok(()),
            false if found.is_empty() => Err(CommandError::NotFound { program: program.to_owned() }),
            false => Err(self.not_started(io::ErrorKind::PermissionDenied.into())),
        }
    }

    /// Runs it and waits for its end. Nothing else is done meanwhile.
    pub fn run(&self, arguments: &[&str], limit: Duration) -> Result<Ended, CommandError> {
        let started = Instant::now();
        let (events, happened) = mpsc::channel();
        let mut group = Group { process: self.start(arguments)?, has_ended: false };
        let child = &mut group.process;
        let stdout = Pipe::read(child.stdout.take(), &events).map_err(|why| self.not_started(why))?;
        let stderr = Pipe::read(child.stderr.take(), &events).map_err(|why| self.not_started(why))?;
        watch(Pid::from_child(child), events).map_err(|why| self.not_started(why))?;
        self.wait(&happened, started, limit)?;
        let status = group.end().map_err(|why| self.not_started(why))?;
        match (status.code(), status.signal()) {
            (Some(status), _) => Ok(Ended { status, stdout: stdout.take(), stderr: stderr.take() }),
            (None, signal) => Err(CommandError::Killed { program: self.name(), signal: signal.unwrap_or_default() }),
        }
    }

    fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// With an input that has ended. It is no /dev/null, which a root file system need not have.
    fn start(&self, arguments: &[&str]) -> Result<Child, CommandError> {
        let mut child = Command::new(self.first())
            .args(self.0.iter().skip(1))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|why| self.not_started(why))?;
        drop(child.stdin.take());
        Ok(child)
    }

    fn not_started(&self, why: io::Error) -> CommandError {
        let program = self.first().to_owned();
        match why.kind() {
            // A script whose interpreter is missing is said to be missing itself.
            io::ErrorKind::NotFound if candidates(&program).any(|path| is_executable(&path)) => {
                let why = io::Error::new(io::ErrorKind::NotFound, "the interpreter in its first line does not exist");
                CommandError::NotStarted { program, why }
            }
            io::ErrorKind::NotFound => CommandError::NotFound { program },
            io::ErrorKind::PermissionDenied => CommandError::NotExecutable { program, why },
            _ => CommandError::NotStarted { program, why },
        }
    }

    /// Until it has ended and nobody can print any more. What it left running in the background may keep its output open, and is not waited for.
    fn wait(&self, happened: &Receiver<Event>, started: Instant, limit: Duration) -> Result<(), CommandError> {
        let mut open = 2;
        let mut ended_at: Option<Instant> = None;
        while open > 0 || ended_at.is_none() {
            let left = match ended_at {
                Some(ended_at) => LINGER.saturating_sub(ended_at.elapsed()),
                None => limit.saturating_sub(started.elapsed()),
            };
            match happened.recv_timeout(left) {
                Ok(Event::Ended) => ended_at = Some(Instant::now()),
                Ok(Event::Closed) => open -= 1,
                Ok(Event::TooMuch) => return Err(CommandError::TooMuchOutput { program: self.name() }),
                Err(_) if ended_at.is_some() => break,
                Err(_) => return Err(CommandError::TimedOut { program: self.name(), limit }),
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = match Value::deserialize(deserializer)? {
            Value::Array(words) => words.iter().map(word).collect(),
            one => word(&one).map(|word| vec![word]),
        };
        words.and_then(Self::new).ok_or_else(|| {
            de::Error::custom("write the name or the path of a program, or a list of words that begins with one")
        })
    }
}

impl Printed {
    /// Its lines, without line ends and the white space there. Of a line that is no text, what stands before the first fault.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split(|byte| *byte == b'\n').map(|line| match std::str::from_utf8(line) {
            Ok(line) => line.trim_end(),
            Err(error) => std::str::from_utf8(&line[..error.valid_up_to()]).unwrap_or_default(),
        })
    }

    /// Whether nothing but white space was printed.
    pub fn is_blank(&self) -> bool {
        self.0.trim_ascii().is_empty()
    }
}

/// A process with all that it started, unless that left its group. Unless it ended by itself it does not outlive this.
struct Group {
    process: Child,
    has_ended: bool,
}

impl Group {
    /// Until then the process is at least a zombie, so its number is nobody else's.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.has_ended = true;
        self.process.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.has_ended {
            let _gone_already = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
            let _nothing_to_be_done = self.end();
        }
    }
}

/// What can happen to a running program.
enum Event {
    Ended,
    Closed,
    TooMuch,
}

/// One of its outputs, read by a thread.
struct Pipe(Arc<Mutex<Zeroizing<Vec<u8>>>>);

impl Pipe {
    fn read(pipe: Option<impl Read + Send + 'static>, events: &Sender<Event>) -> io::Result<Self> {
        let content = Self(Arc::new(Mutex::new(Zeroizing::new(Vec::with_capacity(USUAL_OUTPUT)))));
        let (filled, events) = (Self(content.0.clone()), events.clone());
        thread::Builder::new().stack_size(STACK).spawn(move || {
            let event = pipe.map_or(Event::Closed, |pipe| filled.fill(pipe));
            let _nobody_waits = events.send(event);
        })?;
        Ok(content)
    }

    fn fill(&self, mut pipe: impl Read) -> Event {
        let mut piece = Zeroizing::new([0; PIECE]);
        loop {
            match pipe.read(piece.as_mut_slice()) {
                Ok(0) => return Event::Closed,
                Ok(length) if !append(&mut self.content(), &piece[..length]) => return Event::TooMuch,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Event::Closed,
            }
        }
    }

    fn content(&self) -> MutexGuard<'_, Zeroizing<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Printed {
        Printed(std::mem::take(&mut *self.content()))
    }
}

/// Where it would have to move, it moves to memory that is wiped as well, and what it leaves is wiped.
fn append(content: &mut Zeroizing<Vec<u8>>, piece: &[u8]) -> bool {
    let length = content.len() + piece.len();
    if length > LARGEST_OUTPUT {
        return false;
    }
    if length > content.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length * 2));
        larger.extend_from_slice(content);
        *content = larger;
    }
    content.extend_from_slice(piece);
    true
}

/// Tells of its end and leaves it a zombie.
fn watch(process: Pid, events: Sender<Event>) -> io::Result<()> {
    let wait = move || {
        while waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            .is_err_and(|error| error == rustix::io::Errno::INTR)
        {}
        let _nobody_waits = events.send(Event::Ended);
    };
    thread::Builder::new().stack_size(STACK).spawn(wait).map(drop)
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(word) => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The files that it can be: itself, or one in each folder of the search path.
fn candidates(program: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").filter(|_| !program.contains('/')).unwrap_or_default();
    let folders: Vec<PathBuf> = match program.contains('/') {
        true => vec![PathBuf::new()],
        false => env::split_paths(&path).collect(),
    };
    folders.into_iter().map(move |folder| folder.join(program)).collect::<Vec<_>>().into_iter()
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn not_found(program: &str) -> String {
    if program.contains(char::is_whitespace) {
        return format!("there is no program {program:?}; write a program with arguments as a list of words");
    }
    if program.contains('/') {
        return format!("there is no program {program} on this host");
    }
    let path = env::var("PATH").unwrap_or_default();
    format!(
        "{program} is in none of the folders of this user's PATH ({path}) on this host; give its path as executable"
    )
}

const LARGEST_OUTPUT: usize = 16 << 20;
const USUAL_OUTPUT: usize = 64 << 10;
const PIECE: usize = 16 << 10;
const STACK: usize = 128 << 10;
/// How long the output of a program that has ended may stay open.
const LINGER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_it_prints_and_how_it_ends_is_told() {
        let ended = shell("echo out; echo err >&2; exit 3").run(&[], LONG).unwrap();
        assert_eq!((ended.status, lines(&ended.stdout), lines(&ended.stderr)), (3, vec!["out", ""], vec!["err", ""]));
    }

    #[test]
    fn arguments_arrive_as_they_are_and_no_shell_sees_them() {
        let arguments = ["$(echo x)", "two words", "", "'", "*"];
        let ended = Program::new(vec!["printf".into(), "%s|".into()]).unwrap().run(&arguments, LONG).unwrap();
        assert_eq!(lines(&ended.stdout), ["$(echo x)|two words||'|*|"]);
    }

    #[test]
    fn there_is_nothing_to_be_read_on_its_standard_input() {
        assert_eq!(shell("cat; echo end").run(&[], LONG).unwrap().stdout.lines().next(), Some("end"));
    }

    #[test]
    fn what_has_not_ended_in_time_is_killed_with_all_that_it_started() {
        // Who reads the pipe waits until the last of the grandchildren that hold its other end is gone.
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let script = format!("(sleep 1000 > '{0}' & sleep 1000 > '{0}' & wait) & wait", fifo.display());
        let reader = thread::spawn({
            let fifo = fifo.clone();
            move || io::read_to_string(fs::File::open(fifo).unwrap()).unwrap()
        });
        let error = shell(&script).run(&[], Duration::from_secs(2)).err().unwrap();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
        assert_eq!(reader.join().unwrap(), "");
    }

    #[test]
    fn what_it_leaves_in_the_background_is_not_waited_for() {
        let ended = shell("sleep 1000 & echo done").run(&[], LONG).unwrap();
        assert_eq!((ended.status, ended.stdout.lines().next()), (0, Some("done")));
    }

    #[test]
    fn much_output_is_read_and_more_than_a_program_of_its_kind_prints_is_refused() {
        let mebibytes = |count: usize| shell(&format!("head -c {} /dev/zero | tr '\\0' x", count << 20));
        let ended = mebibytes(3).run(&[], LONG).unwrap();
        assert_eq!(ended.stdout.lines().next().unwrap().len(), 3 << 20);
        let error = mebibytes(17).run(&[], LONG).err().unwrap();
        assert!(matches!(error, CommandError::TooMuchOutput { .. }), "{error}");
    }

    #[test]
    fn a_program_that_cannot_be_run_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str, mode| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path.display().to_string()
        };
        let cases = [
            ("no-such-program".to_owned(), "is in none of the folders of this user's PATH"),
            ("/no/such/program".to_owned(), "there is no program /no/such/program on this host"),
            ("podman exec x".to_owned(), "as a list of words"),
            (file("plain", "#!/bin/sh\n", 0o644), "use become, or name another executable"),
            (file("orphan", "#!/no/such/interpreter\n", 0o755), "the interpreter in its first line does not exist"),
            (file("noise", "\u{7f}noise", 0o755), "could not be started"),
        ];
        for (program, words) in cases {
            let error = Program::new(vec![program]).unwrap().run(&[], LONG).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn whether_it_can_be_run_shows_without_running_it() {
        for (program, runs) in [("sh", true), ("/bin/sh", true), ("no-such-program", false), ("/etc/passwd", false)] {
            assert_eq!(Program::new(vec![program.into()]).unwrap().check().is_ok(), runs, "{program}");
        }
    }

    #[test]
    fn a_program_that_somebody_killed_is_no_result() {
        let error = shell("kill -9 $$").run(&[], LONG).err().unwrap().to_string();
        assert!(error.contains("was ended by signal 9"), "{error}");
    }

    #[test]
    fn in_a_task_it_is_a_text_or_a_list_of_words() {
        let read = |value: Value| serde_json::from_value::<Program>(value).ok().map(|program| program.0);
        assert_eq!(read(json!("a b")), Some(vec!["a b".into()]));
        assert_eq!(read(json!(["podman", "exec", "--user", 0, "x"])).unwrap().len(), 5);
        for wrong in
            [json!(""), json!(" "), json!([]), json!([""]), json!(true), json!([["x"]]), json!({}), json!(null)]
        {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn lines_that_are_no_text_end_at_the_first_fault() {
        let printed = Printed(Zeroizing::new(b"one\r\ntwo\xff\xfe!\n".to_vec()));
        assert_eq!(lines(&printed), ["one", "two", ""]);
    }

    fn shell(script: &str) -> Program {
        Program::new(vec!["sh".into(), "-c".into(), script.into()]).unwrap()
    }

    fn lines(printed: &Printed) -> Vec<&str> {
        printed.lines().collect()
    }

    const LONG: Duration = Duration::from_secs(60);
}
