//! The action plugin: how a task reaches the executable, and what of the result is shown.
//!
//! `make test` names the staged collection and the venvs with ansible-core; where it does not, nothing is tried.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokensmith_tests::installed::write_filters;

#[test]
fn both_ways_hand_over_the_same_plain_values_and_the_direct_one_needs_no_file() {
    for play in Play::on_every_core() {
        let task = "
        offline_token: !vault |
          VAULT
        scope: [a, 2026-01-02, '{{ 40 + 2 }}', '{{ vaulted }}']
        owner: null
      environment: {GREETING: it's here}
      diff: true";
        let results = play.results(&[
            task.to_owned(),
            format!("{task}{CLASSIC}"),
            "\n      check_mode: true".to_owned(),
            "\n      become: true\n      become_method: su".to_owned(),
        ]);
        let [direct, classic, checked, other_user] = results.as_slice() else { panic!("{results:?}") };
        assert_eq!((&direct["way"], &classic["way"]), (&json!("standard input"), &json!("file")), "{}", play.core());
        assert_eq!(direct["arguments"]["offline_token"], "out of the vault");
        assert_eq!(direct["arguments"]["_tokensmith_module"], "sso_token");
        let scope = direct["arguments"]["scope"].as_array().unwrap();
        assert_eq!([&scope[0], &scope[1], &scope[3]], ["a", "2026-01-02", "out of the vault"]);
        assert_eq!((&direct["check_mode"], &direct["diff_mode"]), (&json!(false), &json!(true)));
        assert_eq!(direct["environment"], "it's here");
        for key in ["arguments", "check_mode", "diff_mode", "environment", "changed"] {
            assert_eq!(direct[key], classic[key], "{key} on {}", play.core());
        }
        assert_eq!(checked["check_mode"], true);
        assert_eq!(other_user["way"], "file");
    }
}

#[test]
fn a_secret_in_a_result_is_shown_nowhere_and_kept_in_what_is_registered() {
    for play in Play::on_every_core() {
        let mut tasks = Vec::new();
        for path in ["", CLASSIC] {
            for what in ["return", "fail"] {
                tasks.push(format!("\n        offline_token: {what}{path}\n      diff: true"));
                tasks.push(format!("\n        offline_token: '{{{{ item }}}}'\n      loop: [{what}]{path}"));
            }
        }
        for (task, result) in tasks.iter().zip(play.results(&tasks)) {
            let result = result["results"].get(0).unwrap_or(&result);
            assert_eq!(result["access_token"], SECRET, "{task} on {}", play.core());
        }
    }
}

#[test]
fn what_is_printed_without_being_a_result_is_never_shown() {
    for play in Play::on_every_core() {
        for result in play.results(&["", CLASSIC].map(|path| format!("\n        offline_token: crash{path}"))) {
            assert_eq!(result["msg"], "The executable ended with status 101 and without a result.", "{}", play.core());
            assert_eq!(result["failed"], true);
            assert!(!result.to_string().contains(SECRET), "{result}");
        }
    }
}

#[test]
fn what_the_target_says_is_told_when_the_executable_cannot_be_run() {
    for play in Play::on_every_core() {
        fs::write(play.executable(), "\u{7f}ELF\0not one").unwrap();
        for result in play.results(&[String::new(), CLASSIC.to_owned()]) {
            let message = result["msg"].as_str().unwrap();
            assert!(message.starts_with("The executable could not be run: "), "{message} on {}", play.core());
            assert!(message.contains("tokensmith_"), "{message} on {}", play.core());
        }
    }
}

#[test]
fn async_runs_unless_a_secret_would_lie_in_its_job_file() {
    let tasks = [
        "\n        dest: /tmp/x",
        "\n        state: absent",
        "\n        dest: /tmp/x\n        return_token: 'no'",
        "",
        "\n        dest: /tmp/x\n        return_token: true",
        "\n        dest: /tmp/x\n        offline_token: x",
    ]
    .map(|arguments| format!("{arguments}\n      async: 30\n      poll: 1"));
    for play in Play::on_every_core() {
        let results = play.results(&tasks);
        let (run, refused) = results.split_at(3);
        for result in run {
            assert_eq!(result["way"], "file", "{result} on {}", play.core());
        }
        for result in refused {
            let message = result["msg"].as_str().unwrap();
            assert!(message.starts_with("With async, the result of sso_token would lie on the target"), "{message}");
        }
    }
}

#[test]
fn a_system_without_an_executable_is_named_beside_those_that_have_one() {
    for play in Play::on_every_core().take(1) {
        let folder = play.executable().parent().unwrap().to_owned();
        for entry in folder.read_dir().unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for name in ["tokensmith_pdp11", "tokensmith_vax"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let architecture = env::consts::ARCH;
        assert_eq!(
            play.result("")["msg"],
            format!(
                "tokensmith.redhat runs on Linux on pdp11 and vax, and the target says that it is 'Linux {architecture}'. Run the task \
                 elsewhere, for example with `delegate_to: localhost`."
            )
        );
        fs::remove_dir_all(folder).unwrap();
        let message = play.result("")["msg"].as_str().unwrap().to_owned();
        assert!(message.starts_with("This installation of tokensmith.redhat has no executables"), "{message}");
    }
}

#[test]
fn a_wrong_path_is_refused() {
    for play in Play::on_every_core().take(1) {
        assert_eq!(
            play.result("\n      vars: {tokensmith_path: fast}")["msg"],
            "The variable tokensmith_path is 'fast', and may be 'auto' or 'classic'."
        );
    }
}

/// Plays of `sso_token` tasks, in a copy of the collection whose executable is the stand-in.
struct Play {
    folder: TempDir,
    core: PathBuf,
}

impl Play {
    fn on_every_core() -> impl Iterator<Item = Self> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let built = variable("TOKENSMITH_STAGE").zip(variable("TOKENSMITH_VENV"));
        if built.is_none() {
            eprintln!("skipped: no TOKENSMITH_STAGE; `make test` builds one and tries it");
        }
        built.into_iter().flat_map(move |(stage, tools)| {
            let others = variable("TOKENSMITH_CORES").unwrap_or_default();
            let cores: Vec<_> = [tools].into_iter().chain(others.lines().map(str::to_owned)).collect();
            cores.into_iter().map(move |core| Self::new(Path::new(&stage), Path::new(&core)))
        })
    }

    fn new(stage: &Path, core: &Path) -> Self {
        let play = Self { folder: TempDir::new().unwrap(), core: core.to_owned() };
        fs::create_dir_all(play.collection().parent().unwrap()).unwrap();
        assert!(Command::new("cp").arg("-a").arg(stage).arg(play.collection()).status().unwrap().success());
        fs::copy(env!("CARGO_BIN_EXE_stand-in"), play.executable()).unwrap();
        fs::write(play.path("password"), "password").unwrap();
        write_filters(play.folder.path());
        play
    }

    fn result(&self, task: &str) -> Value {
        self.results(&[task.to_owned()]).remove(0)
    }

    /// What the tasks register. Nothing that is printed or logged on the way may hold the secret.
    fn results(&self, tasks: &[String]) -> Vec<Value> {
        let names: Vec<_> = (0..tasks.len()).map(|number| format!("result_{number}")).collect();
        let tasks: String = tasks
            .iter()
            .zip(&names)
            .map(|(task, name)| TASK.replace("ARGUMENTS", task).replace("NAME", name))
            .collect();
        let text = PLAY
            .replace("TASKS", &tasks)
            .replace("VAULT", &self.vault())
            .replace("NAMES", &names.join(", "))
            .replace("RESULT", &self.path("result").display().to_string());
        fs::write(self.path("play.yml"), text).unwrap();
        let output = self
            .ansible("ansible-playbook")
            .args(["-vvvv", "--inventory", "localhost,", "--vault-password-file", "password", "play.yml"])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "on {}:\n{printed}", self.core());
        let log = fs::read_to_string(self.path("log")).unwrap();
        assert!(!printed.contains(SECRET) && !log.contains(SECRET), "on {}:\n{printed}", self.core());
        serde_json::from_slice(&fs::read(self.path("result")).unwrap()).unwrap()
    }

    fn vault(&self) -> String {
        let vault = self.path("vault");
        if !vault.exists() {
            fs::write(&vault, "out of the vault").unwrap();
            let arguments = ["encrypt", "--vault-password-file", "password", "vault"];
            assert!(self.ansible("ansible-vault").args(arguments).output().unwrap().status.success());
        }
        fs::read_to_string(vault).unwrap().trim().replace('\n', "\n          ")
    }

    fn ansible(&self, program: &str) -> Command {
        let mut command = Command::new(self.core.join("bin").join(program));
        command
            .current_dir(&self.folder)
            .env("ANSIBLE_COLLECTIONS_PATH", self.folder.path())
            .env("ANSIBLE_LOG_PATH", self.path("log"))
            .env("ANSIBLE_LOCAL_TEMP", self.path("local"))
            .env("ANSIBLE_REMOTE_TEMP", self.path("remote"))
            .env("ANSIBLE_ASYNC_DIR", self.path("async"))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn core(&self) -> String {
        self.core.display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn collection(&self) -> PathBuf {
        self.path("ansible_collections/tokensmith/redhat")
    }

    fn executable(&self) -> PathBuf {
        self.collection().join("plugins/bin").join(format!("tokensmith_{}", env::consts::ARCH))
    }
}

const SECRET: &str = "this-is-top-secret";
const CLASSIC: &str = "\n      vars: {tokensmith_path: classic}";
const PLAY: &str = "
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: '{{ ansible_playbook_python }}'
    vaulted: !vault |
          VAULT
  tasks:TASKS
    - ansible.builtin.debug:
        msg: '{{ [NAMES] | to_json | keep_in(\"RESULT\") }}'
      no_log: true
";
const TASK: &str = "
    - tokensmith.redhat.sso_token:ARGUMENTS
      register: NAME
      ignore_errors: true";
