//! Hosts to reach by ssh, each an OpenSSH server on loopback with users of many kinds: what `scripts/ssh-hosts.sh` runs.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokensmith_sandbox::link::Link;

use crate::keycloak::{is_set, wait};

/// A running host. It ends with the process that started it, or when dropped, and nothing is left of it.
///
/// | user | what is special |
/// | --- | --- |
/// | `ts-plain`, `ts-other` | nothing |
/// | `ts-sudo`, `ts-asks`, `ts-tty` | may use sudo: without a password, with one, only from a terminal |
/// | `ts-homeless` | the home does not exist |
/// | `ts-readonly` | the home is root's |
/// | `ts-noexec` | nothing in the home can be executed |
/// | `ts-full` | the home has no room; `filler` in it is what fills it |
/// | `ts-noisy` | the shell is bash, and greets whoever comes |
#[derive(Debug)]
pub struct SshHost {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
    inside: String,
}

/// What a host has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// All that this machine has.
    Ordinary,
    /// No Python that could be run.
    WithoutPython,
    /// For whoever comes, nothing but `sh` and `uname` with their libraries, and the home of `ts-plain`: all of it lies in [`BARE`].
    Bare,
    /// A processor of the kind aarch64: the kernel and `uname` say so, or the latter what stands in the user's `~/.uname`, and
    /// each executable of that kind that was run, by QEMU, is a line in `~/.emulated`. No Python either.
    Aarch64,
}

impl SshHost {
    /// Starts one; `None` and a line on standard error where hosts cannot be had. With `REAL=1` that is an error.
    pub fn start(kind: Kind) -> Result<Option<Self>> {
        if !can_be_had()? {
            return Ok(None);
        }
        // A port may be taken between choosing and using it.
        Self::try_start(kind).or_else(|_| Self::try_start(kind)).map(Some)
    }

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The variables of an inventory with which Ansible comes in as that user.
    pub fn login(&self, user: &str) -> Value {
        self.login_at(self.address, user)
    }

    /// The same by way of a link.
    pub fn login_through(&self, link: &Link, user: &str) -> Value {
        self.login_at(link.address(), user)
    }

    /// The password of a user.
    pub fn password(user: &str) -> String {
        format!("{user}-test-only")
    }

    /// What was asked of the server as that user so far: `command`, `subsystem 'sftp'`, and the like, one for each channel.
    pub fn requests(&self, user: &str) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join(LOG)).unwrap_or_default();
        let asked = log.lines().filter_map(|line| line.split_once("Starting session: ")?.1.split_once(" for "));
        asked.filter(|(_, rest)| rest.split(' ').next() == Some(user)).map(|(what, _)| what.to_owned()).collect()
    }

    /// A file of the host, to be read and changed by root from here.
    pub fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(&self.inside).join("root").join(path.trim_start_matches('/'))
    }

    /// From now on the kernel does not tell its architecture, as only those of Linux do since 6.1.
    pub fn hide_architecture(&self) {
        let file = self.path("media/arch");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("root may do that");
    }

    /// A file in the home of a user, as [`SshHost::path`].
    pub fn home(&self, user: &str, path: &str) -> PathBuf {
        self.path("home").join(user).join(path)
    }

    /// Runs a script of the shell as that user, by no way that the server knows of.
    pub fn shell(&self, user: &str, script: &str) -> Output {
        self.inside("su").args(["-s", "/bin/sh", user, "-c", script]).output().expect("nsenter runs")
    }

    /// A program of this machine, started by root on the host.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let processes = format!("--pid=/proc/{}/ns/pid_for_children", self.inside);
        command.args(["--target", &self.inside, "--mount", &processes, "--", program]).stdin(Stdio::null());
        command
    }

    fn login_at(&self, address: SocketAddr, user: &str) -> Value {
        json!({
            "ansible_host": address.ip(),
            "ansible_port": address.port(),
            "ansible_user": user,
            "ansible_ssh_private_key_file": self.folder.join("key"),
        })
    }

    fn try_start(kind: Kind) -> Result<Self> {
        let address = free_address()?;
        let folder = std::env::temp_dir().join(format!("tokensmith-host-{}-{}", address.port(), std::process::id()));
        let mut command = if kind == Kind::Aarch64 { in_namespaces("bash") } else { Command::new("bash") };
        command.arg(SCRIPT).arg("run").arg(&folder).arg(address.port().to_string());
        command.args(match kind {
            Kind::Ordinary => None,
            Kind::WithoutPython => Some("without-python"),
            Kind::Bare => Some("bare"),
            Kind::Aarch64 => Some("aarch64"),
        });
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().context("bash could not be started")?;
        let started = wait_until_ready(&mut process, &folder.join(LOG));
        let inside = fs::read_to_string(folder.join("pid")).unwrap_or_default().trim().to_owned();
        let host = Self { process, folder, address, inside };
        started.map(|()| host)
    }
}

/// The end of its standard input stops the host; the script waits for that and takes the folder away.
impl Drop for SshHost {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if wait(&mut self.process, Duration::from_secs(15)).is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Whether hosts of the kind [`Kind::Aarch64`] can be had here, or why not.
pub fn try_aarch64() -> Result<()> {
    let output = in_namespaces("sh").args([MACHINE, "processor"]).output().context("sh could not be started")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn in_namespaces(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args([MACHINE, "namespaces", program]);
    command
}

/// Whether hosts, and what else takes root and namespaces, can be had; if not, that is said on standard error. With `REAL=1` it is an error.
pub fn can_be_had() -> Result<bool> {
    if is_set("TOKENSMITH_SSH_HOSTS") {
        return Ok(true);
    }
    if is_set("REAL") {
        bail!("REAL=1 wants hosts to reach by ssh. {HOW}");
    }
    static SAID: Once = Once::new();
    SAID.call_once(|| drop(writeln!(std::io::stderr(), "The tests on hosts reached by ssh are skipped. {HOW}")));
    Ok(false)
}

/// Below the ports that the system gives to whoever asks for any: many do while a host starts.
fn free_address() -> Result<SocketAddr> {
    static COUNTER: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap_or(0);
    (0..PORTS)
        .map(|_| FIRST_PORT + (first + COUNTER.fetch_add(1, Ordering::Relaxed)) % PORTS)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no port is free for a host")
}

/// It is told by the server itself: somebody else might answer at that port.
fn wait_until_ready(process: &mut Child, log: &Path) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < LONGEST_START {
        if fs::read_to_string(log).is_ok_and(|log| log.contains("Server listening on ")) {
            return Ok(());
        }
        if let Some(status) = wait(process, Duration::from_millis(50)) {
            bail!("The host did not start ({status}); its log is above.");
        }
    }
    bail!("The host was not ready after {} seconds.", LONGEST_START.as_secs());
}

/// What a host of the kind [`Kind::Bare`] has as its root.
pub const BARE: &str = "/run/hosts/bare";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/ssh-hosts.sh");
const MACHINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/architectures/machine.sh");
const LOG: &str = "sshd.log";
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
const LONGEST_START: Duration = Duration::from_secs(60);
const HOW: &str =
    "TOKENSMITH_SSH_HOSTS is not set; `scripts/ssh-hosts.sh` says whether they can be had, and what to set it to.";
