//! One run of the executable, from the way it was called to the one JSON object on standard output.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};

use super::arguments::Arguments;
use super::command::{self, Called};
use super::kept;
use super::report::Report;
use super::specification::{Checked, ProcessEnvironment, Specification};
use super::{Module, Outcome, Task};
use crate::secret::Secret;

/// Runs the module that the program was called for.
///
/// As a module (one argument: the path of the arguments file, or `-` for standard input) it prints one JSON object, whatever happens. As a command it
/// takes the same options as flags.
pub fn main(modules: &[Module]) -> ExitCode {
    panic::set_hook(Box::new(|info| report_panic(info)));
    let mut called = env::args_os();
    let program = called.next().unwrap_or_default();
    let words: Vec<OsString> = called.collect();
    match words.as_slice() {
        [source] if is_arguments_source(source, modules) => {
            if !kept::may_begin(&program) {
                return ExitCode::from(NOT_ITSELF);
            }
            print_once(as_module(modules, &program, source))
        }
        _ => match command::parse(modules, &words) {
            Called::Module(module, arguments) => print_once(run(module, arguments, io::stderr().is_terminal())),
            Called::Wrongly(message) => print_once(Report::failure(message)),
            Called::ForHelp(code) => code,
        },
    }
}

fn is_arguments_source(word: &OsStr, modules: &[Module]) -> bool {
    let text = word.to_string_lossy();
    text == "-" || !(text.starts_with('-') || text == "help" || modules.iter().any(|module| module.name == text))
}

fn as_module(modules: &[Module], program: &OsStr, source: &OsStr) -> Report {
    let arguments = match Arguments::read(source) {
        Ok(arguments) => arguments,
        Err(error) => return Report::new(anyhow::Error::from(error).into(), false),
    };
    let names = match &arguments.module {
        // Who names the module knows which one is meant: another one must never run in its place.
        Some(name) => vec![name.clone()],
        None => [engine_name(&arguments), program_name(program)].into_iter().flatten().collect(),
    };
    match names.iter().find_map(|name| modules.iter().find(|module| module.name == name)) {
        Some(module) => run(module, arguments, false),
        None => Report::failure(no_such_module(arguments.module.as_deref(), modules)),
    }
}

fn run(module: &Module, arguments: Arguments, on_terminal: bool) -> Report {
    let specification: Specification = match serde_json::from_str(module.specification) {
        Ok(specification) => specification,
        Err(error) => return Report::failure(format!("The specification of {} was built wrong: {error}", module.name)),
    };
    let task = Task::new(&arguments).on_terminal(on_terminal);
    let invocation_wanted = arguments.flag("inject_invocation") != Some(false);
    let checked = specification.check(arguments.task, &ProcessEnvironment);
    for secret in &checked.secrets {
        task.learn(&Secret::new(secret.as_str()));
    }
    for warning in &checked.warnings {
        task.warn(warning.as_str());
    }
    let module_args = specification.invocation(&checked);
    let mut report = match checked.failure(module.name) {
        Some(message) => Report::failure(message),
        None => Report::new(play(module, &task, checked), task.diff),
    };
    if invocation_wanted {
        report.invoked_with(module_args);
    }
    task.scrub(&mut report);
    report
}

fn play(module: &Module, task: &Task, checked: Checked) -> Outcome {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return anyhow::Error::from(error).context("the program cannot wait for the network").into(),
    };
    runtime.block_on((module.run)(task, checked.parameters.into())).unwrap_or_else(Outcome::from)
}

fn engine_name(arguments: &Arguments) -> Option<String> {
    let full = arguments.engine.get("module_name")?.as_str()?;
    full.rsplit('.').next().map(str::to_owned)
}

/// The engine copies a module to `AnsiballZ_NAME` on the target.
fn program_name(program: &OsStr) -> Option<String> {
    let name = Path::new(program).file_name()?.to_str()?;
    Some(name.strip_prefix("AnsiballZ_").unwrap_or(name).to_owned())
}

fn no_such_module(wanted: Option<&str>, modules: &[Module]) -> String {
    let names: Vec<&str> = modules.iter().map(|module| module.name).collect();
    let why = match wanted {
        Some(name) => format!("There is no module {name}."),
        None => "The arguments do not say which module to run.".to_owned(),
    };
    format!("{why} This executable holds: {}.", names.join(", "))
}

fn print_once(report: Report) -> ExitCode {
    if PRINTED.swap(true, Ordering::SeqCst) {
        return ExitCode::FAILURE;
    }
    report.print()
}

/// A panic is our mistake; its text may quote a secret, so only the place in our source is told.
fn report_panic(info: &PanicHookInfo<'_>) -> ! {
    let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
    let version = env!("CARGO_PKG_VERSION");
    let message = format!(
        "This is a mistake in tokensmith {version}{place}, please report it. What was done until then stands; run the task again to put it right."
    );
    let _failed = print_once(Report::failure(message));
    process::exit(1)
}

static PRINTED: AtomicBool = AtomicBool::new(false);
/// A copy that is not what its name says ends with this and without a word: the shell takes it away.
const NOT_ITSELF: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arguments_file_is_told_from_a_command() {
        let modules = [];
        for (word, expected) in
            [("-", true), ("/tmp/x/args", true), ("args", true), ("--help", false), ("-V", false), ("help", false)]
        {
            assert_eq!(is_arguments_source(OsStr::new(word), &modules), expected, "{word}");
        }
    }

    #[test]
    fn the_engine_renames_the_program() {
        assert_eq!(program_name(OsStr::new("/tmp/x/AnsiballZ_sso_token")).as_deref(), Some("sso_token"));
        assert_eq!(program_name(OsStr::new("tokensmith_x86_64")).as_deref(), Some("tokensmith_x86_64"));
    }
}
