//! What a task costs, side by side with the usual ways of doing the same.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use self::{figures::Figures, host::Host, remote::Remote, sandbox::Sandbox};

mod executable;
mod figures;
mod host;
mod play;
mod quay;
mod remote;
mod sandbox;

/// What `scripts/bench.sh` prepares.
pub(crate) struct Bench {
    /// The collection as built.
    pub(crate) tarball: PathBuf,
    /// A venv with ansible-core.
    pub(crate) venv: PathBuf,
    /// The stand-ins of the systems.
    pub(crate) sandbox: PathBuf,
    /// Where the figures go, as JSON.
    pub(crate) figures: PathBuf,
    /// What remote hosts take, where they can be had.
    pub(crate) hosts: Option<Hosts>,
}

/// A remote host and what it is compared with.
pub(crate) struct Hosts {
    /// `scripts/ssh-hosts.sh`.
    pub(crate) script: PathBuf,
    /// A venv with mitogen.
    pub(crate) mitogen: PathBuf,
}

/// Pages that get the tables.
pub(crate) struct Pages {
    pub(crate) readme: PathBuf,
    pub(crate) performance: PathBuf,
}

impl Bench {
    /// Measures, prints the tables and leaves the figures; with pages, the tables go there too.
    pub(crate) fn run(&self, root: &Path, pages: Option<&Pages>) -> Result<()> {
        let mut figures = Figures::new(commit(root));
        let ansible = self.measure(&mut figures)?;
        if let Some(folder) = self.figures.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.figures, figures.json()?)
            .with_context(|| format!("cannot write {}", self.figures.display()))?;
        let mut table = figures.table(&ansible)?;
        let remote = self.hosts.as_ref().map(|_| remote::table(&figures, &ansible)).transpose()?;
        if remote.is_some() {
            table.push_str(&remote::sentence(&figures)?);
        }
        let remote = remote.unwrap_or_default();
        if let Some(pages) = pages {
            write_into(&pages.readme, &table)?;
            if !remote.is_empty() {
                write_into(&pages.performance, &remote)?;
            }
        }
        Ok(io::stdout().write_all(format!("{table}\n{remote}").as_bytes())?)
    }

    /// Returns the version of ansible-core that was measured with.
    fn measure(&self, figures: &mut Figures) -> Result<String> {
        let folder = tempfile::tempdir()?;
        let remote = self.hosts.as_ref().map(|hosts| hosts.start(folder.path())).transpose()?;
        let links = remote.as_ref().map(Remote::links).unwrap_or_default();
        let sandbox = Sandbox::start(&self.sandbox, folder.path().join("sandbox"), &links)?;
        fs::write(folder.path().join("ansible.cfg"), "")?;
        let world = World { venv: fs::canonicalize(&self.venv)?, folder, sandbox };
        run(world
            .command("ansible-galaxy")
            .args(["collection", "install", "--offline"])
            .arg(fs::canonicalize(&self.tarball)?))?;
        for round in 0..ROUNDS {
            writeln!(io::stderr(), "tokensmith: round {} of {ROUNDS}", round + 1)?;
            play::round(&world, round, figures)?;
            executable::round(&world, figures)?;
        }
        if let Some(remote) = &remote {
            for round in 0..ROUNDS {
                writeln!(io::stderr(), "tokensmith: over ssh, round {} of {ROUNDS}", round + 1)?;
                remote::round(&world, remote, round, figures)?;
            }
        }
        // Not between the others: it takes minutes, in which the access token of those that are to find one would end.
        for round in 0..ROUNDS {
            writeln!(io::stderr(), "tokensmith: Quay, round {} of {ROUNDS}", round + 1)?;
            quay::round(&world, round, figures)?;
        }
        let version = run(world.command("ansible-playbook").arg("--version"))?;
        Ok(version.split([' ', ']']).nth(2).unwrap_or("of unknown version").to_owned())
    }
}

impl Hosts {
    fn start(&self, folder: &Path) -> Result<Remote> {
        let host = Host::start(&fs::canonicalize(&self.script)?, folder.join("host"))?;
        Ok(Remote { host, mitogen: fs::canonicalize(&self.mitogen)? })
    }
}

fn write_into(page: &Path, table: &str) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    Ok(fs::write(page, figures::with_table(&text, table)?)?)
}

/// One folder in which all happens, with the collection installed and the sandbox running.
struct World {
    venv: PathBuf,
    // Ends before its folder goes.
    sandbox: Sandbox,
    folder: TempDir,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn executable(&self) -> PathBuf {
        let bin = "collections/ansible_collections/tokensmith/redhat/plugins/bin";
        self.path(bin).join(format!("tokensmith_{}", env::consts::ARCH))
    }

    /// Options of a task that uses the offline token.
    fn refresh(&self) -> serde_json::Value {
        json!({
            "offline_token": self.sandbox.offline_token,
            "token_url": self.sandbox.token_url,
            "ca_path": self.sandbox.authority,
        })
    }

    /// A command of Ansible, with its default settings: nothing of the user's configuration, nothing left outside the folder.
    fn command(&self, name: &str) -> Command {
        self.command_of(&self.venv, name)
    }

    fn command_of(&self, venv: &Path, name: &str) -> Command {
        let mut command = Command::new(venv.join("bin").join(name));
        let path = env::join_paths(
            [venv.join("bin")].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
        );
        let kept = ["HOME", "USER", "TMPDIR"].into_iter().filter_map(|name| Some((name, env::var_os(name)?)));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .envs(kept)
            .env("PATH", path.unwrap_or_default())
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_HOME", self.path("ansible"))
            .env("ANSIBLE_REMOTE_TEMP", self.path("remote"))
            .env("ANSIBLE_CONFIG", self.path("ansible.cfg"))
            .env("ANSIBLE_COLLECTIONS_PATH", self.path("collections"))
            .env("ANSIBLE_LOCALHOST_WARNING", "false");
        command
    }
}

/// Runs a command to its end and returns what it printed.
fn run(command: &mut Command) -> Result<String> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{program} failed ({}):\n{printed}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(printed)
}

/// The commit that was measured, marked when the sources are not those of the commit.
fn commit(root: &Path) -> String {
    let described = run(Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"])
        .current_dir(root));
    described.map_or_else(|_| "unknown".to_owned(), |commit| commit.trim().to_owned())
}

/// Each way is measured this often, so that noise of the machine hits all alike.
const ROUNDS: usize = 3;
/// Tasks in a loop, and runs of the executable in a round.
const LOOP: usize = 30;
