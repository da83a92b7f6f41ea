//! Executables of another architecture than this machine's: really run, by QEMU, alone and behind ssh.
//!
//! `make test` builds them and installs QEMU; where one is missing, a line says so, and with `REAL=1` it is a failure.

#![cfg(test)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tokensmith_tests::executable::{self, Run, run_with_input};
use tokensmith_tests::keycloak::is_set;
use tokensmith_tests::scene::{Scene, mode, read};

#[test]
fn the_executable_for_aarch64_prints_what_the_one_of_this_machine_prints() {
    let Some(emulated) = Emulated::find() else { return };
    for words in [["--version"].as_slice(), &["--help"], &["sso_token", "--help"], &["sso_token", "--bogus"]] {
        let [own, other] =
            [executable::command(), emulated.command()].map(|mut command| run_with_input(command.args(words), b""));
        assert_eq!(own.status, other.status, "{words:?}");
        assert_eq!(String::from_utf8_lossy(&own.stdout), String::from_utf8_lossy(&other.stdout), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&own.stderr), String::from_utf8_lossy(&other.stderr), "{words:?}");
    }
}

#[test]
fn the_executable_for_aarch64_refuses_arguments_in_the_same_words() {
    let Some(emulated) = Emulated::find() else { return };
    let cases = [
        json!([]),
        json!({ "_tokensmith_module": "other" }),
        json!({ "_tokensmith_module": "sso_token" }),
        json!({ "_tokensmith_module": "sso_token", "offline_token": "hunter2", "bogus": true, "renew_before": "soon" }),
        json!({ "_tokensmith_module": "sso_token", "offline_token_file": "/nonexistent/offline_token" }),
    ];
    for arguments in cases {
        let [own, other] = [executable::command(), emulated.command()].map(|command| module(command, &arguments));
        assert!(own.failed(), "{own}");
        assert_eq!(own.result, other.result, "{arguments}");
    }
}

#[test]
fn the_executable_for_aarch64_refreshes_over_tls_and_hands_over_with_the_same_result() {
    let Some(emulated) = Emulated::find() else { return };
    let [own, other] = [executable::command(), emulated.command()].map(|command| {
        let scene = Scene::in_realm("rotating");
        let (file, dest) = (scene.offline_token_file(), scene.path("access"));
        let mut options = scene.options(json!({ "offline_token_file": file, "dest": dest, "return_token": true }));
        options["_tokensmith_module"] = "sso_token".into();
        let run = module(command, &options).succeeded();
        assert!(scene.realm.offline_token_is_alive(&read(&file)), "{run}");
        assert_eq!((run.text("access_token"), mode(&dest)), (read(&dest).as_str(), 0o600));
        assert!(scene.realm.access_token_works(run.text("access_token")));
        assert_eq!(scene.realm.refreshes(), 1);
        without_what_differs(run.result)
    });
    assert_eq!(own, other);
}

/// The executable for aarch64, which QEMU runs here.
struct Emulated {
    executable: PathBuf,
    emulator: PathBuf,
}

impl Emulated {
    fn find() -> Option<Self> {
        let stage = env::var_os("TOKENSMITH_STAGE").filter(|stage| !stage.is_empty());
        let executable = stage.map(|stage| Path::new(&stage).join("plugins/bin/tokensmith_aarch64"));
        let Some(executable) = executable.filter(|path| path.exists()) else {
            return skip("there is no executable for aarch64; `make test` builds one");
        };
        let Some(emulator) = program("qemu-aarch64-static") else {
            return skip("there is no qemu-aarch64-static; the package qemu-user-static has it");
        };
        Some(Self { executable, emulator })
    }

    /// With nothing of this process's environment that options fall back to, as [`executable::command`] is.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.emulator);
        command.arg(&self.executable).env_clear().env("HOME", "/nonexistent");
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command
    }
}

fn skip<Found>(why: &str) -> Option<Found> {
    assert!(!is_set("REAL"), "REAL=1 wants executables of aarch64 to be run, and {why}");
    eprintln!("skipped: {why}");
    None
}

fn program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn module(mut command: Command, arguments: &Value) -> Run {
    Run::from_output(&run_with_input(command.arg("-"), arguments.to_string().as_bytes()))
}

/// A result without tokens, times and paths.
fn without_what_differs(mut result: Value) -> Value {
    for key in ["access_token", "clock_offset", "dest", "expires_at", "expires_in", "fingerprint", "invocation"] {
        assert!(result.as_object_mut().unwrap().remove(key).is_some(), "{key} is missing in {result}");
    }
    result
}
