//! The stand-ins of the systems, as a process that ends with this one.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A running sandbox. Its offline token does not rotate, so that one string does for all tasks.
pub(super) struct Sandbox {
    process: Child,
    pub(super) token_url: String,
    pub(super) authority: PathBuf,
    pub(super) offline_token: String,
    pub(super) quay_url: String,
    pub(super) quay_token: String,
    /// The ports of the links, in their order.
    pub(super) links: Vec<u16>,
}

impl Sandbox {
    /// With links to a server, each with a round trip of so many milliseconds.
    pub(super) fn start(executable: &Path, state: PathBuf, links: &[(SocketAddr, u16)]) -> Result<Self> {
        let mut command = Command::new(executable);
        for (server, milliseconds) in links {
            command.arg("--link").arg(format!("{server}={milliseconds}"));
        }
        let mut process = command
            .arg("--state")
            .arg(&state)
            .arg("--until-stdin-closes")
            .args(["--quay-robots", &ROBOTS.to_string(), "--quay-latency", &QUAY_LATENCY.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", executable.display()))?;
        let mut ready = String::new();
        BufReader::new(process.stdout.take().context("the sandbox has no standard output")?).read_line(&mut ready)?;
        ensure!(!ready.is_empty(), "the sandbox did not start");
        let endpoints: Value = serde_json::from_slice(&fs::read(state.join("endpoints.json"))?)?;
        let endpoint =
            |name| endpoints[name].as_str().map(str::to_owned).with_context(|| format!("the sandbox names no {name}"));
        let links = endpoints["links"].as_array().into_iter().flatten();
        let port = |link: &Value| Some(link.as_str()?.parse::<SocketAddr>().ok()?.port());
        Ok(Self {
            process,
            links: links
                .map(|link| port(link).context("the sandbox has a link without an address"))
                .collect::<Result<_>>()?,
            token_url: endpoint("sso_token_url")?,
            authority: state.join("ca.pem"),
            offline_token: fs::read_to_string(state.join("offline_token"))?,
            quay_url: endpoint("quay_url")?,
            quay_token: fs::read_to_string(state.join("quay_token"))?,
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// In the organization `bulk`: `bulk+r0001`, `bulk+r0002`, …
pub(super) const ROBOTS: usize = 1000;
/// Milliseconds that each answer of Quay takes.
pub(super) const QUAY_LATENCY: u64 = 20;
