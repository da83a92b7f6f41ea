//! The stand-ins of the systems, as a process that ends with this one.

use std::{
    fs,
    io::{BufRead as _, BufReader},
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
}

impl Sandbox {
    pub(super) fn start(executable: &Path, state: PathBuf) -> Result<Self> {
        let mut process = Command::new(executable)
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
        Ok(Self {
            process,
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
