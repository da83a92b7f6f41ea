//! The stand-in of Red Hat SSO, as a process that ends with this one.

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
}

impl Sandbox {
    pub(super) fn start(executable: &Path, state: PathBuf) -> Result<Self> {
        let mut process = Command::new(executable)
            .arg("--state")
            .arg(&state)
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", executable.display()))?;
        let mut ready = String::new();
        BufReader::new(process.stdout.take().context("the sandbox has no standard output")?).read_line(&mut ready)?;
        ensure!(!ready.is_empty(), "the sandbox did not start");
        let endpoints: Value = serde_json::from_slice(&fs::read(state.join("endpoints.json"))?)?;
        let token_url = endpoints["sso_token_url"].as_str().context("the sandbox names no sso_token_url")?;
        Ok(Self {
            process,
            token_url: token_url.to_owned(),
            authority: state.join("ca.pem"),
            offline_token: fs::read_to_string(state.join("offline_token"))?,
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
