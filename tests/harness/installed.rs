//! The collection installed by `ansible-galaxy`, and the ways to run it.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::gateway::{GatewayScene, USER};
use crate::hub::HubScene;
use crate::quay::QuayScene;
use crate::rhacs::RhacsScene;
use crate::scene::{Scene, read};
use crate::ssh_hosts::{Kind, SshHost};

/// What a play is about: the options that all its tasks have, and its secrets.
pub trait World {
    /// Options of every task of the collection.
    fn defaults(&self) -> Value;
    /// Variables, from a file that a play reads.
    fn secrets(&self) -> Value;
}

/// An installed collection with the ansible-core that runs it.
pub struct Installed {
    folder: tempfile::TempDir,
    connections: Connections,
    venv: PathBuf,
    environment: RefCell<Vec<(String, String)>>,
    printed: RefCell<String>,
}

/// How the executable gets to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Directly, on a local connection.
    Direct,
    /// On a host that is reached by ssh and keeps it.
    Fast,
    /// Sent with each task to that host, or to this machine where no host can be had.
    Classic,
}

impl Way {
    /// All that are possible here.
    pub fn all() -> Vec<Self> {
        match host() {
            Some(_) => vec![Self::Direct, Self::Fast, Self::Classic],
            None => vec![Self::Direct, Self::Classic],
        }
    }

    /// What `TOKENSMITH_WAY` says that plays take which do not care: directly, unless it is set.
    pub fn of_all_plays() -> Self {
        match env::var("TOKENSMITH_WAY").unwrap_or_default().as_str() {
            "" | "direct" => Self::Direct,
            "fast" => Self::Fast,
            "classic" => Self::Classic,
            other => panic!("TOKENSMITH_WAY is {other:?}, and may be direct, fast or classic"),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fast => "fast",
            Self::Classic => "classic",
        }
    }

    /// The line that has a task take it.
    pub fn line(self) -> String {
        format!("vars: {}", self.variables())
    }

    /// Ansible comes in as root, to the host's own home and to the files of this machine.
    fn variables(self) -> Value {
        let mut variables = match (self, host()) {
            (Self::Direct, _) => return json!({}),
            (_, Some(host)) => host.login("root"),
            (Self::Classic, None) => return json!({ "tokensmith_path": "classic" }),
            (Self::Fast, None) => panic!("TOKENSMITH_WAY=fast wants a host to reach by ssh, and none can be had here"),
        };
        variables["ansible_connection"] = json!("ssh");
        variables["tokensmith_path"] = json!(if self == Self::Fast { "auto" } else { "classic" });
        variables
    }
}

/// The one of this test process. It ends with it.
fn host() -> Option<&'static SshHost> {
    static HOST: OnceLock<Option<SshHost>> = OnceLock::new();
    HOST.get_or_init(|| SshHost::start(Kind::Ordinary).expect("the host starts")).as_ref()
}

/// What a run of `ansible-playbook` printed.
pub struct Played {
    /// Whether it ended with status 0.
    pub success: bool,
    /// Standard output and standard error.
    pub printed: String,
}

impl Played {
    /// What was printed, by a run that must have succeeded.
    pub fn succeeded(self) -> String {
        assert!(self.success, "{}", self.printed);
        self.printed
    }
}

impl Installed {
    /// The secret of the service account in plays.
    pub const ACCOUNT_SECRET: &str = "insights-service-account-secret-for-tests";
    /// A secret that is wrong.
    pub const WRONG_SECRET: &str = "wrong-secret-that-must-not-be-shown";

    /// On the ansible-core that the tools run on.
    pub fn on_tools() -> Self {
        Self::new(&variable("TOKENSMITH_VENV"))
    }

    /// On the oldest ansible-core and on the newest, one after the other. The one between is that of all other plays, and of these where it is alone.
    pub fn on_outer_cores() -> impl Iterator<Item = Self> {
        let cores = env::var("TOKENSMITH_CORES").unwrap_or_default();
        let mut venvs: Vec<String> = cores.lines().map(str::to_owned).collect();
        if venvs.is_empty() {
            venvs.push(variable("TOKENSMITH_VENV"));
        }
        venvs.into_iter().map(|venv| Self::new(&venv))
    }

    /// The venv, which names the version.
    pub fn core(&self) -> String {
        self.venv.display().to_string()
    }

    /// The same with a variable in the environment of what is run.
    pub fn with_environment(&self, name: &str, value: &str) -> &Self {
        let mut environment = self.environment.borrow_mut();
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a playbook of the collection by its name.
    pub fn playbook(&self, name: &str, variables: &Value) -> Played {
        self.playbook_with(name, variables, &[])
    }

    /// The same with more words on the command line.
    pub fn playbook_with(&self, name: &str, variables: &Value, words: &[&str]) -> Played {
        fs::write(self.path("variables.json"), variables.to_string()).expect("a file can be written");
        let mut all = vec!["--extra-vars", "@variables.json", name];
        all.extend(words);
        self.play(&all, &[])
    }

    /// The same on one host for each case, whose variables are the host's: one start of Ansible for all. The playbook takes them from the variable `hosts`.
    pub fn playbook_on_cases(&self, name: &str, hosts: &str, variables: &Value, cases: &[Value]) -> Played {
        let case = |(number, variables): (usize, &Value)| {
            let mut variables = variables.clone();
            variables["ansible_connection"] = json!("local");
            (format!("case-{number}"), variables)
        };
        let inventory: Value = json!({ "all": { "hosts": cases.iter().enumerate().map(case).collect::<Map<_, _>>() } });
        fs::write(self.path("cases.json"), inventory.to_string()).expect("a file can be written");
        let mut variables = variables.clone();
        variables[hosts] = json!("all");
        self.playbook_with(name, &variables, &["--inventory", "cases.json"])
    }

    /// Runs tasks, and gives what they kept in the fact `kept`, by name.
    pub fn results(&self, world: &impl World, tasks: &str) -> Value {
        self.results_of(world, tasks, &[], &[])
    }

    /// The same with more words on the command line and in the environment.
    pub fn results_of(&self, world: &impl World, tasks: &str, words: &[&str], environment: &[(&str, &str)]) -> Value {
        self.write_play(&self.path("play.yml"), world, tasks);
        let mut all = vec!["--inventory", "localhost,", "play.yml"];
        all.extend(words);
        self.play(&all, environment).succeeded();
        self.kept()
    }

    /// Runs tasks on hosts reached by ssh, given by name with their variables. Gives what each kept in the fact `kept` too, by
    /// name; that may be nothing.
    pub fn play_on(
        &self,
        hosts: &Value,
        world: &impl World,
        tasks: &str,
        words: &[&str],
        environment: &[(&str, &str)],
    ) -> (Played, Value) {
        self.play_by(self.command("ansible-playbook"), hosts, world, tasks, words, environment)
    }

    /// The same, with the controller itself on a host.
    pub fn play_inside(&self, host: &SshHost, hosts: &Value, world: &impl World, tasks: &str) -> (Played, Value) {
        let outside = self.command("ansible-playbook");
        let mut command = host.inside("env");
        command.arg("-C").arg(self.folder.path()).arg(outside.get_program());
        command.envs(outside.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.play_by(command, hosts, world, tasks, &["-vv"], &[])
    }

    fn play_by(
        &self,
        mut command: Command,
        hosts: &Value,
        world: &impl World,
        tasks: &str,
        words: &[&str],
        environment: &[(&str, &str)],
    ) -> (Played, Value) {
        self.write(REMOTE_PLAY, &self.path("play.yml"), world, tasks);
        fs::write(self.path("hosts.json"), json!({ "all": { "hosts": hosts } }).to_string())
            .expect("a file can be written");
        let mut all = vec!["--inventory", "hosts.json", "play.yml"];
        all.extend(words);
        // Where hosts have them.
        command.env_remove("ANSIBLE_REMOTE_TEMP").env_remove("ANSIBLE_ASYNC_DIR");
        let played = self.run(&mut command, &all, environment);
        let kept = fs::read_to_string(self.path("kept.json")).unwrap_or_else(|_| "{}".to_owned());
        (played, serde_json::from_str(&kept).expect("the play wrote JSON"))
    }

    /// Runs tasks under ansible-runner. Gives what they kept, and each file of its artifacts.
    pub fn runner(&self, world: &impl World, tasks: &str) -> (Value, Vec<(String, String)>) {
        let play = self.runner_project(&Value::Null).join("play.yml");
        self.write_play(&play, world, tasks);
        let files = self.run_runner();
        (self.kept(), files)
    }

    /// Runs a playbook of the collection as a job of the controller does, by a playbook of the project that imports it. Gives each file of the artifacts but
    /// `command`, in which ansible-runner keeps the environment that it was given; a controller masks the secrets in it.
    pub fn runner_playbook(&self, name: &str, variables: &Value) -> Vec<(String, String)> {
        self.runner_text(&format!("- ansible.builtin.import_playbook: {name}\n"), variables)
    }

    /// The same with a playbook of a project.
    pub fn runner_job(&self, playbook: &Path, variables: &Value) -> Vec<(String, String)> {
        self.runner_text(&read(playbook), variables)
    }

    fn runner_text(&self, play: &str, variables: &Value) -> Vec<(String, String)> {
        fs::write(self.runner_project(variables).join("play.yml"), play).expect("a file can be written");
        let mut files = self.run_runner();
        files.retain(|(name, _)| !name.ends_with("/command"));
        files
    }

    fn runner_project(&self, variables: &Value) -> PathBuf {
        let data = self.path("runner");
        for name in ["project", "inventory", "env"] {
            fs::create_dir_all(data.join(name)).expect("a folder can be made");
        }
        let mut all = Way::of_all_plays().variables();
        if let (Some(all), Some(variables)) = (all.as_object_mut(), variables.as_object()) {
            all.extend(variables.clone());
        }
        fs::write(data.join("env/extravars"), all.to_string()).expect("a file can be written");
        fs::write(data.join("inventory/hosts"), "localhost ansible_connection=local\n").expect("a file can be written");
        data.join("project")
    }

    fn run_runner(&self) -> Vec<(String, String)> {
        let output = self
            .command("ansible-runner")
            .args(["run", "runner", "-p", "play.yml", "-vvv"])
            .output()
            .expect("ansible-runner runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}{errors}", String::from_utf8_lossy(&output.stdout));
        let mut files = Vec::new();
        collect(&self.path("runner/artifacts"), &mut files);
        files.push(("standard output".to_owned(), String::from_utf8_lossy(&output.stdout).into_owned()));
        files
    }

    /// The folder of the collection.
    pub fn collection(&self) -> PathBuf {
        self.path("collections/ansible_collections/tokensmith/redhat")
    }

    /// All files in Ansible's temporary folder on the controller.
    pub fn temporary_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.path("local")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// What the last play printed.
    pub fn printed(&self) -> String {
        self.printed.borrow().clone()
    }

    /// Everything that the last play showed anywhere: output and log.
    pub fn everything_shown(&self) -> Vec<(&'static str, String)> {
        vec![("the output", self.printed()), ("the log", read(&self.path("log")))]
    }

    fn new(venv: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let installed = Self {
            folder,
            connections: Connections::new(),
            venv: venv.into(),
            environment: RefCell::default(),
            printed: RefCell::default(),
        };
        installed.install();
        installed
    }

    /// Gets a copy of what `ansible-galaxy` of this venv makes of the tarball. That takes seconds, so it is kept beside the tarball.
    fn install(&self) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        static DIGEST: OnceLock<String> = OnceLock::new();
        let one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let tarball = PathBuf::from(variable("TOKENSMITH_TARBALL"));
        let digest = DIGEST.get_or_init(|| {
            let digest = Sha256::digest(fs::read(&tarball).expect("the tarball can be read"));
            digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
        });
        let of_venv = tarball.with_file_name("installed").join(self.venv.file_name().expect("a venv has a name"));
        let kept = of_venv.join(digest);
        if !kept.exists() {
            self.install_into(&tarball, &of_venv, &kept);
        }
        drop(one_at_a_time);
        copy(&kept, &self.path("collections"));
    }

    /// Under its name only when it is whole; those of older tarballs go.
    fn install_into(&self, tarball: &Path, of_venv: &Path, kept: &Path) {
        let mut command = self.command("ansible-galaxy");
        command.args(["collection", "install", "--offline", "-p", "installing"]).arg(tarball);
        let output = command.output().expect("ansible-galaxy runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::create_dir_all(of_venv).expect("a folder can be made");
        for older in fs::read_dir(of_venv).into_iter().flatten().flatten().filter(|entry| entry.path() != kept) {
            let _ = fs::remove_dir_all(older.path());
        }
        let whole = of_venv.join(format!(".{}", std::process::id()));
        copy(&self.path("installing"), &whole);
        // Another process may have been as quick.
        if fs::rename(&whole, kept).is_err() {
            let _ = fs::remove_dir_all(&whole);
        }
    }

    fn play(&self, words: &[&str], environment: &[(&str, &str)]) -> Played {
        fs::write(self.path("way.json"), Way::of_all_plays().variables().to_string()).expect("a file can be written");
        let words = [&["--extra-vars", "@way.json"], words].concat();
        self.run(&mut self.command("ansible-playbook"), &words, environment)
    }

    fn run(&self, command: &mut Command, words: &[&str], environment: &[(&str, &str)]) -> Played {
        let _ = fs::remove_file(self.path("log"));
        let output = command.envs(environment.iter().copied()).args(words).output().expect("ansible-playbook runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        self.printed.replace(printed.clone());
        Played { success: output.status.success(), printed }
    }

    fn write_play(&self, path: &Path, world: &impl World, tasks: &str) {
        self.write(PLAY, path, world, tasks);
    }

    fn write(&self, play: &str, path: &Path, world: &impl World, tasks: &str) {
        let play = play
            .replace("TASKS", tasks)
            .replace("KEPT", &self.path("kept.json").display().to_string())
            .replace("DEFAULTS", &world.defaults().to_string())
            .replace("SECRETS", &self.path("secrets.json").display().to_string());
        fs::write(self.path("secrets.json"), world.secrets().to_string()).expect("a file can be written");
        fs::write(path, play).expect("a file can be written");
        write_filters(path.parent().expect("a play lies in a folder"));
        let _ = fs::remove_file(self.path("kept.json"));
    }

    fn kept(&self) -> Value {
        serde_json::from_str(&read(&self.path("kept.json"))).expect("the play wrote JSON")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.venv.join("bin").join(program));
        let collections = match env::var("TOKENSMITH_COLLECTIONS") {
            Ok(others) => format!("{}:{others}", self.path("collections").display()),
            Err(_) => self.path("collections").display().to_string(),
        };
        let path = format!("{}:{}", self.venv.join("bin").display(), env::var("PATH").unwrap_or_default());
        command
            .current_dir(&self.folder)
            .env("PATH", path)
            .env("ANSIBLE_COLLECTIONS_PATH", collections)
            .env("ANSIBLE_HOME", self.path("home"))
            .env("ANSIBLE_LOG_PATH", self.path("log"))
            .env("ANSIBLE_LOCAL_TEMP", self.path("local"))
            .env("ANSIBLE_REMOTE_TEMP", self.path("remote"))
            .env("ANSIBLE_ASYNC_DIR", self.path("async"))
            .env("ANSIBLE_HOST_KEY_CHECKING", "false")
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.connections.0.path())
            .env("ANSIBLE_SSH_ARGS", SSH_ARGUMENTS)
            .env("ANSIBLE_NOCOLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .envs(self.environment.borrow().iter().map(|(name, value)| (name, value)));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The folder of the connections that ssh keeps open.
struct Connections(tempfile::TempDir);

impl Connections {
    /// The path of a socket must be short.
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("ts").tempdir_in("/tmp").expect("a folder can be made"))
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for socket in fs::read_dir(self.0.path()).into_iter().flatten().flatten() {
            let path = format!("ControlPath={}", socket.path().display());
            let _ = Command::new("ssh").args(["-F", "none", "-o", &path, "-O", "exit", "any"]).output();
        }
    }
}

impl World for Scene {
    fn defaults(&self) -> Value {
        self.options(json!({}))
    }

    fn secrets(&self) -> Value {
        json!({
            "account": "11111111-2222-4333-8444-555555555555",
            "account_secret": Installed::ACCOUNT_SECRET,
            "wrong_secret": Installed::WRONG_SECRET,
        })
    }
}

impl World for QuayScene {
    fn defaults(&self) -> Value {
        self.options(json!({}))
    }

    fn secrets(&self) -> Value {
        let subject = "repo:acme/app";
        let provider = self.quay().identity_provider();
        self.quay().set_federation("acme+ci", [(provider.issuer().as_str(), subject)]);
        json!({
            "administrator": self.token,
            "wrong_secret": Installed::WRONG_SECRET,
            "oidc": provider.token(subject).sign().expect("the provider signs"),
            "expired_oidc": provider.token(subject).expired().sign().expect("the provider signs"),
        })
    }
}

impl World for GatewayScene {
    fn defaults(&self) -> Value {
        self.options(json!({}))
    }

    fn secrets(&self) -> Value {
        json!({
            "own": self.platform().issue_token(USER, "caller", "write").1,
            "admin_password": self.platform().password("admin"),
            "wrong_secret": Installed::WRONG_SECRET,
        })
    }
}

impl World for RhacsScene {
    fn defaults(&self) -> Value {
        self.machine_token_options(json!({}))
    }

    fn secrets(&self) -> Value {
        let external = self.external_token();
        json!({
            "administrator": self.token,
            "password": self.central().admin_password(),
            "wrong_secret": Installed::WRONG_SECRET,
            "oidc": external.sign().expect("the provider signs"),
            "expired_oidc": external.expired().sign().expect("the provider signs"),
        })
    }
}

impl World for HubScene {
    fn defaults(&self) -> Value {
        self.options_without_password(json!({}))
    }

    fn secrets(&self) -> Value {
        json!({ "password": self.password(), "wrong_secret": Installed::WRONG_SECRET })
    }
}

/// Which of the secrets stand in a text, as they are or in base64, whatever stands before them in the encoded text.
pub fn find_secrets(text: &str, secrets: &[String]) -> Vec<usize> {
    let found = |secret: &String| {
        let bytes = secret.as_bytes();
        let last = secret.rsplit('.').next().filter(|last| last.len() >= 40).unwrap_or(secret);
        // Encoded behind none, one or two other bytes, without the ends that those others change.
        let encoded = (0..3).flat_map(|before| {
            let behind: Vec<u8> = std::iter::repeat_n(b'x', before).chain(bytes.iter().copied()).collect();
            [STANDARD_NO_PAD.encode(&behind), URL_SAFE_NO_PAD.encode(&behind)]
                .map(|text| text[4..text.len() - 4].to_owned())
        });
        text.contains(secret.as_str())
            || text.contains(last)
            || encoded.into_iter().any(|encoded| text.contains(&encoded))
    };
    secrets.iter().enumerate().filter(|(_, secret)| found(secret)).map(|(index, _)| index).collect()
}

/// Writes the filter `keep_in` to where the plays in a folder find it.
pub fn write_filters(folder: &Path) {
    let filters = folder.join("filter_plugins");
    fs::create_dir_all(&filters).expect("a folder can be made");
    fs::write(filters.join("keep.py"), include_str!("keep.py")).expect("a file can be written");
}

/// With links as links.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(copied.success(), "{} cannot be copied", from.display());
}

fn collect(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            files.push((path.display().to_string(), text));
        }
    }
}

fn variable(name: &str) -> String {
    match env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{name} is not set: `make test` builds what it names and sets it"),
    }
}

const PLAY: &str = "
- hosts: localhost
  connection: local
  gather_facts: false
  vars_files: ['SECRETS']
  vars:
    ansible_python_interpreter: '{{ ansible_playbook_python }}'
  module_defaults:
    group/tokensmith.redhat.all: DEFAULTS
  tasks:TASKS
    - ansible.builtin.debug:
        msg: \"{{ kept | to_json | keep_in('KEPT') }}\"
      no_log: true
";

const REMOTE_PLAY: &str = "
- hosts: all
  gather_facts: false
  vars_files: ['SECRETS']
  module_defaults:
    group/tokensmith.redhat.all: DEFAULTS
  tasks:TASKS

- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: \"{{ dict(groups['all'] | zip(groups['all'] | map('extract', hostvars) | map(attribute='kept', default={}))) | to_json | keep_in('KEPT') }}\"
      no_log: true
";
/// Ansible's own, and nothing of the user's.
const SSH_ARGUMENTS: &str =
    "-C -o ControlMaster=auto -o ControlPersist=60s -F none -o UserKnownHostsFile=/dev/null -o IdentityAgent=none";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_as_they_are_and_in_base64_at_any_offset() {
        let secrets = ["this-is-a-secret-of-some-length".to_owned()];
        let encode = |text: &str| STANDARD_NO_PAD.encode(text);
        for shown in [
            "a this-is-a-secret-of-some-length b".to_owned(),
            encode("user:this-is-a-secret-of-some-length"),
            encode("u:this-is-a-secret-of-some-length!"),
        ] {
            assert_eq!(find_secrets(&shown, &secrets), [0], "{shown}");
        }
        assert_eq!(find_secrets("this-is-no-secret", &secrets), Vec::<usize>::new());
    }
}
