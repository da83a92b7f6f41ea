//! One run of `play.yml`: on an ansible-core, by a way, against a sandbox of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokensmith_sandbox::Sandbox;
use tokensmith_sandbox::sso::RealmHandle;
use tokensmith_tests::gateway::USER;
use tokensmith_tests::installed::{Installed, find_secrets, write_filters};
use tokensmith_tests::scene::read;
use tokensmith_tests::ssh_hosts::SshHost;

use super::features::ROBOTS;
use super::variable;

/// An ansible-core.
#[derive(Clone, Debug)]
pub struct Core {
    version: String,
    venv: PathBuf,
}

impl Core {
    /// All that are there, and the versions of those that no Python is there for.
    pub fn all() -> (Vec<Self>, Vec<String>) {
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for line in variable("TOKENSMITH_MATRIX").unwrap_or_default().lines() {
            match line.split_once(' ') {
                Some((version, venv)) => there.push(Self { version: version.to_owned(), venv: venv.into() }),
                None => missing.push(line.to_owned()),
            }
        }
        (there, missing)
    }

    /// The one that has mitogen.
    pub fn with_mitogen() -> Option<Self> {
        variable("TOKENSMITH_MITOGEN").map(|venv| Self { version: "mitogen".to_owned(), venv: venv.into() })
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    fn program(&self, name: &str) -> PathBuf {
        self.venv.join("bin").join(name)
    }
}

/// How the executable gets to run on the host `near`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// On a local connection, Ansible being there.
    Direct,
    /// Kept by a host that is reached by ssh.
    Fast,
    /// Sent with each task, by ssh.
    Classic,
    /// As mitogen does it.
    Mitogen,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::Direct, Self::Fast, Self::Classic];

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fast => "fast",
            Self::Classic => "classic",
            Self::Mitogen => "mitogen",
        }
    }

    /// Whether a target keeps the executable.
    pub fn keeps(self) -> bool {
        matches!(self, Self::Direct | Self::Fast)
    }
}

/// A secret as `ansible-vault` keeps it: inline, and a file with a variable.
pub struct Vault {
    folder: TempDir,
}

impl Vault {
    pub fn new(core: &Core) -> Self {
        let vault = Self { folder: tempfile::tempdir().unwrap() };
        let file = json!({ "vaulted_in_file": Installed::ACCOUNT_SECRET }).to_string();
        for (name, content) in
            [("password", "password"), ("inline", Installed::ACCOUNT_SECRET), ("vaulted.yml", file.as_str())]
        {
            fs::write(vault.path(name), content).unwrap();
        }
        let mut command = Command::new(core.program("ansible-vault"));
        command.args(["encrypt", "--vault-password-file", "password", "inline", "vaulted.yml"]);
        let output = command.current_dir(&vault.folder).env("LC_ALL", "C.UTF-8").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        vault
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A run that is to be.
pub struct Run<'h> {
    host: &'h SshHost,
    core: Core,
    way: Way,
    name: String,
    sandbox: Sandbox,
    free_port: u16,
    folder: TempDir,
}

impl<'h> Run<'h> {
    pub fn new(host: &'h SshHost, vault: &Vault, core: &Core, way: Way, number: usize) -> Self {
        let sandbox = Sandbox::start().expect("the sandbox starts");
        for robot in ROBOTS {
            sandbox.quay().add_robot(&format!("acme+{robot}"));
        }
        // The path of a socket in it must be short.
        let folder = tempfile::Builder::new().prefix("ts").tempdir_in("/tmp").unwrap();
        let name = format!("run-{number:02}");
        let run = Self { host, core: core.clone(), way, name, sandbox, free_port: free_port(), folder };
        for name in ["password", "vaulted.yml"] {
            fs::copy(vault.path(name), run.path(name)).unwrap();
        }
        let inline = read(&vault.path("inline")).trim().replace('\n', "\n          ");
        fs::write(run.path("play.yml"), PLAY.replace("VAULT", &inline)).unwrap();
        fs::write(run.path("keep.yml"), KEEP).unwrap();
        write_filters(run.folder.path());
        fs::write(run.path("hosts.json"), run.inventory().to_string()).unwrap();
        fs::write(run.path("variables.json"), run.variables().to_string()).unwrap();
        run.prepare_host();
        run
    }

    /// What there is to see of it, or all that was printed by a play that failed.
    pub fn play(self) -> Result<Seen<'h>, String> {
        let printed = self.ansible("play.yml", "-vvvv", &[])?;
        let results = serde_json::from_str(&read(&self.path("results.json"))).expect("the play wrote JSON");
        let printed_of_keeping = self.ansible("keep.yml", "-vv", &[("ANSIBLE_KEEP_REMOTE_FILES", "1")])?;
        let shown = printed + &printed_of_keeping + &read(&self.path("log"));
        Ok(Seen { run: self, results, shown, printed_of_keeping })
    }

    fn ansible(&self, play: &str, verbosity: &str, more: &[(&str, &str)]) -> Result<String, String> {
        let mut command = self.command();
        command
            .arg("--inventory")
            .arg(self.path("hosts.json"))
            .arg("--extra-vars")
            .arg(format!("@{}", self.path("variables.json").display()))
            .arg("--vault-password-file")
            .arg(self.path("password"))
            .arg(verbosity)
            .arg(self.path(play))
            .env("ANSIBLE_COLLECTIONS_PATH", collections())
            .env("ANSIBLE_HOME", self.path("home"))
            .env("ANSIBLE_LOCAL_TEMP", self.path("local"))
            .env("ANSIBLE_LOG_PATH", self.path("log"))
            .env("ANSIBLE_HOST_KEY_CHECKING", "false")
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.path("c"))
            .env("ANSIBLE_SSH_ARGS", SSH_ARGUMENTS)
            .env("ANSIBLE_NOCOLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .envs(more.iter().copied());
        if self.way == Way::Mitogen {
            command.env("ANSIBLE_STRATEGY", "mitogen_linear").env("ANSIBLE_STRATEGY_PLUGINS", self.strategies());
        }
        let output = command.output().expect("ansible-playbook runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(printed) } else { Err(format!("{play} failed on {self}:\n{printed}")) }
    }

    /// Ansible being on the host itself, it runs there: as the user that comes by ssh otherwise, and able to read what root has here.
    fn command(&self) -> Command {
        let program = self.core.program("ansible-playbook");
        if self.way != Way::Direct {
            return Command::new(program);
        }
        let mut command = self.host.inside("setpriv");
        command.env("HOME", "/home/ts-sudo").env("USER", "ts-sudo");
        command.args(["--reuid", "ts-sudo", "--regid", "ts-sudo", "--clear-groups"]);
        command.args(["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"]).arg(program);
        command
    }

    fn strategies(&self) -> PathBuf {
        let libraries = fs::read_dir(self.core.venv.join("lib")).unwrap().flatten();
        let folders = libraries.map(|library| library.path().join("site-packages/ansible_mitogen/plugins/strategy"));
        folders.into_iter().find(|folder| folder.exists()).expect("the venv has mitogen")
    }

    fn inventory(&self) -> Value {
        let mut near = self.host.login("ts-sudo");
        if self.way == Way::Direct {
            near = json!({ "ansible_connection": "local" });
        }
        let gone = json!({ "ansible_host": "127.0.0.1", "ansible_port": self.free_port });
        let path = if self.way == Way::Classic { "classic" } else { "auto" };
        json!({ "all": {
            "hosts": { "near": near, "far": self.host.login("ts-plain"), "gone": gone },
            "vars": { "tokensmith_path": path, "ansible_python_interpreter": "/usr/bin/python3" },
        } })
    }

    fn variables(&self) -> Value {
        let names: Vec<&str> = PLAY.lines().filter_map(|line| line.trim().strip_prefix("register: ")).collect();
        json!({
            "way": self.way.name(),
            "run": self.name,
            "names": names,
            "both": names[names.len() - 3..],
            "results": self.path("results.json"),
            "place": self.place(""),
            "crowd": self.crowd(""),
            "odd": ODD,
            "ca_path": self.ca_path(),
            "token_url": self.realm().token_url(),
            "account": ACCOUNT,
            "account_secret": Installed::ACCOUNT_SECRET,
            "wrong_secret": Installed::WRONG_SECRET,
            "quay_host": self.sandbox.quay().url(),
            "quay_token": self.sandbox.quay().issue_token("alice", "org:admin user:admin"),
            "gateway_hostname": self.sandbox.gateway().url(),
            "gateway_password": self.sandbox.gateway().password(USER),
            "hub_host": self.sandbox.hub().url(),
            "hub_password": self.sandbox.hub().password("build"),
        })
    }

    /// Of the servers.
    fn addresses(&self) -> [String; 4] {
        let sandbox = &self.sandbox;
        [sandbox.sso().url(), sandbox.quay().url(), sandbox.gateway().url(), sandbox.hub().url()]
            .map(|url| url.trim_start_matches("https://").to_owned())
    }

    fn prepare_host(&self) {
        for folder in [self.place(""), self.place(ODD), self.place("of the play"), self.crowd("")] {
            let folder = self.host.path(&folder);
            fs::create_dir(&folder).unwrap();
            chown(&folder, Some(SUDO), Some(SUDO)).unwrap();
        }
        let crowd = self.host.path(&self.crowd(""));
        fs::set_permissions(&crowd, Permissions::from_mode(0o777)).unwrap();
        fs::write(crowd.join("script"), SCRIPT).unwrap();
        fs::copy(self.sandbox.ca_path(), self.host.path(&self.ca_path())).unwrap();
        if self.way == Way::Direct {
            chown(self.folder.path(), Some(SUDO), Some(SUDO)).unwrap();
        }
    }

    fn realm(&self) -> RealmHandle {
        self.sandbox.sso().realm("redhat-external")
    }

    /// On the host, for the user `ts-sudo`.
    fn place(&self, name: &str) -> String {
        format!("/home/ts-sudo/{}/{name}", self.name).trim_end_matches('/').to_owned()
    }

    /// The same for all users.
    fn crowd(&self, name: &str) -> String {
        format!("/home/crowd-{}/{name}", self.name).trim_end_matches('/').to_owned()
    }

    fn ca_path(&self) -> String {
        format!("/home/ca-{}.pem", self.name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl fmt::Display for Run<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ansible-core {}, {}", self.core.version, self.way.name())
    }
}

/// A run that was, and what there is to see of it.
pub struct Seen<'h> {
    run: Run<'h>,
    results: Value,
    shown: String,
    printed_of_keeping: String,
}

impl Seen<'_> {
    pub fn core(&self) -> &str {
        &self.run.core.version
    }

    pub fn way(&self) -> Way {
        self.run.way
    }

    /// What names of files outside of the run's folder end with.
    pub fn name(&self) -> &str {
        &self.run.name
    }

    /// What a task registered.
    pub fn near(&self, name: &str) -> &Value {
        &self.results["near"][name]
    }

    /// The same on the other host.
    pub fn far(&self, name: &str) -> &Value {
        &self.results["far"][name]
    }

    /// A path in the folder for what the tasks write.
    pub fn place(&self, name: &str) -> String {
        self.run.place(name)
    }

    /// A path in the folder of all users.
    pub fn crowd(&self, name: &str) -> String {
        self.run.crowd(name)
    }

    /// What a file on the host holds.
    pub fn file(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.run.host.path(path)).ok()
    }

    /// Whose it is.
    pub fn owner(&self, path: &str) -> Option<u32> {
        Some(fs::metadata(self.run.host.path(path)).ok()?.uid())
    }

    /// Its permissions.
    pub fn mode(&self, path: &str) -> Option<u32> {
        Some(fs::metadata(self.run.host.path(path)).ok()?.mode() & 0o7777)
    }

    pub fn is_access_token(&self, path: &str) -> bool {
        self.file(path).is_some_and(|token| self.access_token_works(&token))
    }

    pub fn access_token_works(&self, token: &str) -> bool {
        self.run.realm().access_token_works(token)
    }

    pub fn is_gateway_token(&self, path: &str) -> bool {
        self.file(path).is_some_and(|token| self.gateway_token_works(&token))
    }

    pub fn gateway_token_works(&self, token: &str) -> bool {
        self.run.sandbox.gateway().token_works(token)
    }

    pub fn live_tokens(&self, description: &str) -> usize {
        self.run.sandbox.gateway().live_tokens(description)
    }

    pub fn robot_token(&self, robot: &str) -> String {
        self.run.sandbox.quay().robot_token(&format!("acme+{robot}")).expect("the robot is there")
    }

    pub fn regenerations(&self, robot: &str) -> u64 {
        self.run.sandbox.quay().regenerations(&format!("acme+{robot}"))
    }

    pub fn hub_token(&self) -> String {
        self.run.sandbox.hub().token("build").unwrap_or_default()
    }

    /// Whether a text stands in the output or in the log.
    pub fn shows(&self, text: &str) -> bool {
        self.shown.contains(text)
    }

    /// What `keep.yml` left on the host, and whether it said why the executable was sent.
    pub fn kept_files(&self) -> (BTreeSet<String>, bool) {
        let sent = self.run.host.path(&self.place("sent"));
        let folders = fs::read_dir(sent).into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let names = names.map(|name| name.trim_end_matches(&format!("_{}", std::env::consts::ARCH)).to_owned());
        let says = "The executable is sent with the task: ANSIBLE_KEEP_REMOTE_FILES wants the file";
        (names.collect(), self.printed_of_keeping.contains(says))
    }

    /// The secrets that stand in the output or in the log, as sentences that do not repeat them.
    pub fn secrets_shown(&self) -> Vec<String> {
        let secrets = self.secrets();
        assert!(secrets.len() >= 25, "the play is to bring many secrets about: {}", secrets.len());
        if find_secrets(&self.shown, &secrets).is_empty() {
            return Vec::new();
        }
        let lines = self.shown.lines().filter(|line| !find_secrets(line, &secrets).is_empty());
        lines.map(|line| format!("a secret is shown on {self}: {line}")).collect()
    }

    /// What tasks resulted in, by name, without what differs from run to run.
    pub fn results(&self) -> Vec<(String, Value)> {
        let results = self.results["near"].as_object().expect("the play kept its results");
        // How ssh says that nobody is there is its own affair.
        let others = results.iter().filter(|(name, _)| *name != "unreachable_result");
        others.map(|(name, result)| (name.clone(), self.comparable(result))).collect()
    }

    fn comparable(&self, result: &Value) -> Value {
        match result {
            Value::Object(fields) => {
                let fields = fields.iter().filter(|(name, _)| *name != ANSIBLES_OWN);
                let fields = fields.map(|(name, value)| match VARYING.contains(&name.as_str()) {
                    true => (name.clone(), json!(value.is_null())),
                    false => (name.clone(), self.comparable(value)),
                });
                fields.collect()
            }
            Value::Array(items) => items.iter().map(|item| self.comparable(item)).collect(),
            Value::String(text) => {
                let text = text.replace(self.name(), "NAME").replace(&self.run.free_port.to_string(), "PORT");
                let addresses = self.run.addresses();
                json!(addresses.iter().fold(text, |text, address| text.replace(address, "ADDRESS")))
            }
            other => other.clone(),
        }
    }

    /// Every secret that the play met: given, sent, returned and written.
    fn secrets(&self) -> Vec<String> {
        let variables = self.run.variables();
        let given = ["account_secret", "wrong_secret", "quay_token", "gateway_password", "hub_password"];
        let mut secrets: BTreeSet<String> =
            given.iter().filter_map(|name| variables[*name].as_str()).map(str::to_owned).collect();
        secrets.extend(ROBOTS.map(|robot| self.robot_token(robot)));
        secrets.insert(self.hub_token());
        for request in self.run.sandbox.records().all() {
            let sent = request.authorization.as_deref().and_then(|value| value.split_once(' '));
            secrets.extend(sent.map(|(_, credential)| credential.to_owned()));
        }
        for name in [
            &format!("{ODD}/token"),
            "of the play/token",
            "diff",
            "vaulted_inline",
            "vaulted_in_file",
            "async",
            "failed_when",
            "kept_files",
        ] {
            secrets.extend(self.file(&self.place(name)));
        }
        let items = self.near("secrets_result")["results"].as_array().into_iter().flatten();
        secrets.extend(items.filter_map(|result| result["token"].as_str()).map(str::to_owned));
        secrets.extend(self.near("module_defaults_result")["access_token"].as_str().map(str::to_owned));
        secrets.into_iter().filter(|secret| secret.len() > 8).collect()
    }
}

impl fmt::Display for Seen<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.run.fmt(formatter)
    }
}

/// The staged collection, which is what lies in the tarball.
fn collections() -> PathBuf {
    let stage = variable("TOKENSMITH_STAGE").expect("`make matrix` names the staged collection");
    Path::new(&stage).ancestors().nth(3).expect("it lies in ansible_collections").to_owned()
}

/// Nobody listens there.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The name of a folder that a shell may trip over.
pub const ODD: &str = "it's a \"place\" for $HOME & `more`";
const ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";
const SUDO: u32 = 64102;
const PLAY: &str = include_str!("play.yml");
const KEEP: &str = include_str!("keep.yml");
/// Runs as long as somebody else who comes meanwhile is noticed by.
const SCRIPT: &str = r#"
mkdir "$1/busy" 2>/dev/null || touch "$1/together"
sleep 0.5
rmdir "$1/busy"
touch "$1/ran-$(id -un)"
"#;
/// What is another in each run, and may only be there or not.
const VARYING: [&str; 14] = [
    "token",
    "access_token",
    "fingerprint",
    "id",
    "expires_at",
    "expires_in",
    "rotated_at",
    "diff",
    "ansible_job_id",
    "results_file",
    "_ansible_no_log",
    "clock_offset",
    "invocation",
    "still_valid",
];
/// Said of modules that were sent only.
const ANSIBLES_OWN: &str = "failed_when_suppressed_exception";
const SSH_ARGUMENTS: &str =
    "-o ControlMaster=auto -o ControlPersist=60s -F none -o UserKnownHostsFile=/dev/null -o IdentityAgent=none";
