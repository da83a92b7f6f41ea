//! The runner on hosts reached by ssh: what a task asks of a host, what it leaves there, and what it does when something is in the way.
//!
//! `make test` names the tarball and the venvs with ansible-core, and says whether such hosts can be had.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokensmith_tests::installed::{Installed, World};
use tokensmith_tests::scene::{Scene, mode, names};
use tokensmith_tests::ssh_hosts::{Kind, SshHost};

#[path = "runner/damage.rs"]
mod damage;
#[path = "runner/folders.rs"]
mod folders;
#[path = "runner/other_users.rs"]
mod other_users;
#[path = "runner/warm.rs"]
mod warm;

/// A host of a test's own, without Python, the collection, and a realm for tasks of `sso_token`.
struct Stage {
    host: SshHost,
    installed: Installed,
    scene: Scene,
}

impl Stage {
    /// `None` where no hosts can be had.
    fn new() -> Option<Self> {
        Self::on(Kind::WithoutPython)
    }

    fn on(kind: Kind) -> Option<Self> {
        let host = SshHost::start(kind).unwrap()?;
        let scene = Scene::new();
        fs::copy(scene.sandbox.ca_path(), host.path(CA)).unwrap();
        Some(Self { host, installed: Installed::on_tools(), scene })
    }

    /// What the tasks registered, by the name of the host and that of the task, and what was printed.
    fn play(&self, hosts: &Value, tasks: &[Task], words: &[&str]) -> (Value, String) {
        self.play_with(hosts, tasks, words, &[])
    }

    /// The same with variables in the environment.
    fn play_with(
        &self,
        hosts: &Value,
        tasks: &[Task],
        words: &[&str],
        environment: &[(&str, &str)],
    ) -> (Value, String) {
        let (played, kept) = self.installed.play_on(hosts, self, &text(tasks), words, environment);
        (kept, played.printed)
    }

    /// The same with the controller on the host itself.
    fn play_inside(&self, hosts: &Value, tasks: &[Task]) -> (Value, String) {
        let (played, kept) = self.installed.play_inside(&self.host, hosts, self, &text(tasks));
        (kept, played.printed)
    }

    /// How many tokens were asked for.
    fn grants(&self) -> usize {
        self.scene.sandbox.records().all().iter().filter(|request| request.parameter("grant_type").is_some()).count()
    }

    fn uid(&self, user: &str) -> u32 {
        let output = self.host.shell(user, "id -u");
        String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
    }

    /// That folder of the host has the executable, whole and for that user alone, and nothing else.
    fn assert_kept_in(&self, folder: &Path, user: &str) {
        assert_eq!(names(folder), [name()], "{}", folder.display());
        let copy = folder.join(name());
        assert_eq!(name_of(&fs::read(&copy).unwrap()), name());
        assert_eq!((mode(folder), mode(&copy)), (0o700, 0o500));
        let uid = self.uid(user);
        for path in [folder, &copy] {
            assert_eq!(fs::symlink_metadata(path).unwrap().uid(), uid, "{}", path.display());
        }
    }

    /// Where the executable is kept for a user.
    fn cache(&self, user: &str) -> PathBuf {
        self.host.home(user, CACHE)
    }
}

impl World for Stage {
    fn defaults(&self) -> Value {
        self.scene.options(json!({ "ca_path": CA }))
    }

    fn secrets(&self) -> Value {
        self.scene.secrets()
    }
}

/// A task of a play, and the name of what it registers.
struct Task {
    name: String,
    what: String,
}

impl Task {
    /// A token for the service account, which changes nothing.
    fn token(name: &str) -> Self {
        Self::of(name, TOKEN)
    }

    /// A line for the shell of the host, as the user who comes in.
    fn raw(name: &str, line: &str) -> Self {
        Self::of(name, &format!("ansible.builtin.raw: {}\n      become: false", json!(line)))
    }

    fn of(name: &str, what: &str) -> Self {
        Self { name: name.to_owned(), what: what.to_owned() }
    }

    fn text(&self) -> String {
        TASK.replace("WHAT", &self.what).replace("NAME", &self.name)
    }
}

fn text(tasks: &[Task]) -> String {
    let names: Vec<_> = tasks.iter().map(|task| task.name.as_str()).collect();
    let keep = KEPT.replace("NAMES", &names.join(", ")).replace("QUOTED", &format!("{names:?}"));
    tasks.iter().map(Task::text).collect::<String>() + &keep
}

/// What the host calls the executable.
fn name() -> String {
    let executable = std::env::var("TOKENSMITH_EXECUTABLE").expect("`make test` names the executable");
    name_of(&fs::read(executable).unwrap())
}

/// SHA-256 and CRC-32.
fn name_of(content: &[u8]) -> String {
    let mut sum = flate2::Crc::new();
    sum.update(content);
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digest}-{:08x}", sum.sum())
}

fn is_token(result: &Value) -> bool {
    result["reason"] == "forced" && result["access_token"].as_str().is_some_and(|token| token.starts_with("eyJ"))
}

const CA: &str = "/run/hosts/ca.pem";
const CACHE: &str = ".cache/tokensmith.redhat";
const TOKEN: &str = "tokensmith.redhat.sso_token: {client_id: '{{ account }}', client_secret: '{{ account_secret }}'}";
const TASK: &str = "
    - WHAT
      register: NAME
      ignore_errors: true
      ignore_unreachable: true";
const KEPT: &str = "
    - ansible.builtin.set_fact:
        kept: '{{ dict(QUOTED | zip([NAMES])) }}'
      no_log: true";
