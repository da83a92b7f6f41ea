//! Executables of another architecture than this machine's: really run, by QEMU, alone and behind ssh.
//!
//! `make test` builds them and installs QEMU; where one is missing, a line says so, and with `REAL=1` it is a failure.

#![cfg(test)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokensmith_tests::executable::{self, Run, run_with_input};
use tokensmith_tests::installed::Installed;
use tokensmith_tests::keycloak::is_set;
use tokensmith_tests::scene::{Scene, mode, names, read};
use tokensmith_tests::ssh_hosts::{Kind, SshHost, try_aarch64};

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

#[test]
fn one_play_runs_on_each_host_the_executable_of_its_architecture_both_ways() {
    let Some((emulated, ordinary, other)) = hosts() else { return };
    let scene = Scene::new();
    let hosts = json!({
        "here": {
            "ansible_connection": "local", "ansible_remote_tmp": scene.path("remote"), "folder": scene.path("")
        },
        "x86_64": login(&ordinary, &scene),
        "aarch64": login(&other, &scene),
    });
    fs::copy(scene.sandbox.ca_path(), scene.path("ca.pem")).unwrap();
    let tasks = "
    - tokensmith.redhat.sso_token: &options
        client_id: '{{ account }}'
        client_secret: '{{ account_secret }}'
        ca_path: '{{ folder }}/ca.pem'
        dest: '{{ folder }}/{{ tokensmith_path }}'
        return_token: true
      vars: {tokensmith_path: auto}
      register: quick
    - tokensmith.redhat.sso_token: *options
      vars: {tokensmith_path: classic}
      register: classic
    - ansible.builtin.set_fact:
        kept: {quick: '{{ quick }}', classic: '{{ classic }}'}";
    let (played, kept) = Installed::on_tools().play_on(&hosts, &scene, tasks, &["-vv"], &[]);
    let printed = played.succeeded();
    let expected = without_what_differs(kept["here"]["quick"].clone());
    assert_eq!((&expected["changed"], &expected["reason"]), (&json!(true), &json!("missing")), "{expected}");
    for host in ["here", "x86_64", "aarch64"] {
        for way in ["quick", "classic"] {
            let result = kept[host][way].clone();
            assert!(scene.realm.access_token_works(result["access_token"].as_str().unwrap()), "{host}, {way}");
            assert_eq!(without_what_differs(result), expected, "{host}, {way}");
        }
    }
    assert!(!printed.contains("is sent with the task"), "{printed}");
    let kept = names(&other.home(USER, KEPT));
    assert_eq!(kept.iter().map(|name| digest_in(name)).collect::<Vec<_>>(), [sha256(&emulated.executable)]);
    let ran = read(&other.home(USER, ".emulated"));
    let ran: Vec<_> = ran.lines().filter_map(|path| path.rsplit('/').next()).collect();
    assert_eq!(ran, [kept[0].as_str(), "AnsiballZ_tokensmith_aarch64"]);
    let kept = names(&ordinary.home(USER, KEPT));
    assert_eq!(kept.iter().map(|name| digest_in(name)).collect::<Vec<_>>(), [sha256(&executable::path())]);
    assert!(!ordinary.home(USER, ".emulated").exists());
}

#[test]
fn a_host_of_another_system_is_told_which_ones_there_are_and_nothing_is_sent_to_it() {
    let Some((_, _, host)) = hosts() else { return };
    let scene = Scene::new();
    host.hide_architecture();
    let systems = [
        ("ts-plain", "Darwin arm64"),
        ("ts-other", "Linux armv7l"),
        ("ts-sudo", "FreeBSD amd64"),
        ("ts-asks", "Linux i686"),
        ("ts-tty", "SunOS sun4v"),
    ];
    for (user, system) in systems {
        fs::write(host.home(user, ".uname"), format!("{system}\n")).unwrap();
    }
    let hosts: Map<String, Value> = systems.map(|(user, _)| (user.to_owned(), host.login(user))).into_iter().collect();
    let tasks = "
    - tokensmith.redhat.sso_token: {}
      register: quick
      ignore_errors: true
    - tokensmith.redhat.sso_token: {}
      vars: {tokensmith_path: classic}
      register: classic
      ignore_errors: true
    - ansible.builtin.set_fact:
        kept: {quick: '{{ quick }}', classic: '{{ classic }}'}";
    let (played, kept) = Installed::on_tools().play_on(&hosts.into(), &scene, tasks, &[], &[]);
    played.succeeded();
    for (user, system) in systems {
        let sentence = format!(
            "tokensmith.redhat runs on Linux on aarch64 and x86_64, and the target says that it is '{system}'. Run the task \
             elsewhere, for example with `delegate_to: localhost`."
        );
        for way in ["quick", "classic"] {
            assert_eq!(kept[user][way]["msg"], sentence, "{way}");
        }
        assert_eq!(names(&host.home(user, "")), [".uname"], "{system}");
    }
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

/// A host with this machine's processor and one with another, where executables for aarch64 run.
fn hosts() -> Option<(Emulated, SshHost, SshHost)> {
    let emulated = Emulated::find()?;
    if env::consts::ARCH != "x86_64" {
        return skip("this machine has another processor than x86_64");
    }
    if let Err(error) = try_aarch64() {
        return skip(&error.to_string());
    }
    let [ordinary, other] = [Kind::WithoutPython, Kind::Aarch64].map(|kind| SshHost::start(kind).unwrap());
    ordinary.zip(other).map(|(ordinary, other)| (emulated, ordinary, other))
}

/// With a certificate of the sandbox that the user may read.
fn login(host: &SshHost, scene: &Scene) -> Value {
    fs::copy(scene.sandbox.ca_path(), host.home(USER, "ca.pem")).unwrap();
    let mut variables = host.login(USER);
    variables["folder"] = format!("/home/{USER}").into();
    variables
}

/// A target names what it keeps by its SHA-256 and another sum.
fn digest_in(name: &str) -> &str {
    name.split_once('-').unwrap().0
}

fn skip<Found>(why: &str) -> Option<Found> {
    assert!(!is_set("REAL"), "REAL=1 wants executables of aarch64 to be run, and {why}");
    eprintln!("skipped: {why}");
    None
}

fn program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn sha256(path: &Path) -> String {
    format!("{:x}", Sha256::digest(fs::read(path).unwrap()))
}

fn module(mut command: Command, arguments: &Value) -> Run {
    Run::from_output(&run_with_input(command.arg("-"), arguments.to_string().as_bytes()))
}

/// A result with nothing in the place of tokens, times and paths.
fn without_what_differs(mut result: Value) -> Value {
    for key in ["access_token", "clock_offset", "dest", "expires_at", "expires_in", "fingerprint", "invocation"] {
        if let Some(value) = result.get_mut(key) {
            *value = Value::Null;
        }
    }
    result
}

const USER: &str = "ts-plain";
/// Where a target keeps the executable, in the home of the user.
const KEPT: &str = ".cache/tokensmith.redhat";
