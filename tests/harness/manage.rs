//! A gateway's host: the management command's stand-in, and a folder for files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::executable::{self, Run};
use crate::installed::World;
use crate::quay::with;
use crate::scene::{folder, read};
use serde_json::{Value, json};

/// A host with the stand-in, which gets the name of a folder.
pub struct Host {
    folder: tempfile::TempDir,
    stand_in: &'static str,
}

impl Host {
    /// One that behaves as the versions that are known. The stand-in's path is known to tests alone.
    pub fn new(stand_in: &'static str) -> Self {
        let host = Self { folder: folder(), stand_in };
        fs::create_dir(host.folder.path().join("files")).expect("a folder can be made");
        host.behaves(json!({}));
        host
    }

    /// The same, but for this.
    pub fn behaves(&self, otherwise: Value) {
        let usually =
            json!({ "users": ["admin", "bob", "Bob", "12345", "-x", "o'k $(id)"], "flags": ["--all"], "noise": true });
        fs::write(self.folder.path().join("way.json"), with(usually, otherwise).to_string())
            .expect("a file can be written");
    }

    /// The folder of it all.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path for a file of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    /// A file of the test, with the permissions of a token's.
    pub fn file(&self, name: &str, content: &str) {
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(self.path(name));
        opened.and_then(|mut file| file.write_all(content.as_bytes())).expect("a file can be written");
    }

    /// Where tokens go.
    pub fn dest(&self) -> PathBuf {
        self.path("token")
    }

    /// Options of a task on this host.
    pub fn options(&self, options: Value) -> Value {
        with(json!({ "executable": [self.stand_in, self.folder.path()] }), options)
    }

    /// Runs `gateway_manage`.
    pub fn run(&self, command: &str, options: Value) -> Run {
        executable::module("gateway_manage", &self.options(with(json!({ "command": command }), options)))
    }

    /// The same, for a token of the user `admin`.
    pub fn create(&self, options: Value) -> Run {
        self.run("create_oauth2_token", with(json!({ "user": "admin" }), options))
    }

    /// The same, to revoke.
    pub fn revoke(&self, options: Value) -> Run {
        self.run("revoke_oauth2_tokens", options)
    }

    /// Tokens that the gateway knows.
    pub fn tokens(&self) -> Vec<String> {
        let lines = self.lines("tokens");
        lines.iter().filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect()
    }

    /// Gives a user one of a kind.
    pub fn give(&self, user: &str, kind: &str, token: &str) {
        let all = self.lines("tokens").into_iter().chain([format!("{user} {kind} {token}")]);
        fs::write(self.folder.path().join("tokens"), all.map(|line| line + "\n").collect::<String>())
            .expect("a file can be written");
    }

    /// What the command was called with, and forgets it.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.lines("calls");
        let _ = fs::remove_file(self.folder.path().join("calls"));
        calls
    }

    /// What everybody on the host could see of the callers.
    pub fn seen(&self) -> String {
        self.lines("seen").join("\n")
    }

    /// The note beside [`Host::dest`].
    pub fn note(&self) -> String {
        read(&self.path(".token.tokensmith.json"))
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let path: &Path = &self.folder.path().join(name);
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl World for Host {
    fn defaults(&self) -> Value {
        self.options(json!({}))
    }

    fn secrets(&self) -> Value {
        json!({})
    }
}
