//! A test's world with automation hub in it: a sandbox, a user with a password, and a folder for files.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokensmith_sandbox::{Fault, Hub, Sandbox};

use crate::executable::{self, Run};
use crate::quay::with;

/// A sandbox, a folder, and the options that every task against its hub has.
pub struct HubScene {
    /// The stand-ins.
    pub sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl HubScene {
    /// With the user `build`, who has no token.
    pub fn new() -> Self {
        Self { sandbox: Sandbox::start().expect("the sandbox starts"), folder: crate::scene::folder() }
    }

    /// The hub.
    pub fn hub(&self) -> &Hub {
        self.sandbox.hub()
    }

    /// A new token of `build`; the one before it is dead.
    pub fn issue(&self) -> String {
        self.hub().issue_token(USER).expect("the user is there")
    }

    /// The token of `build`.
    pub fn token(&self) -> Option<String> {
        self.hub().token(USER)
    }

    /// The password of `build`.
    pub fn password(&self) -> String {
        self.hub().password(USER).expect("the user is there")
    }

    /// A fault from now on.
    pub fn fault(&self, fault: Fault) {
        self.sandbox.faults().add(fault);
    }

    /// The methods of the requests for tokens so far.
    pub fn methods(&self) -> Vec<String> {
        let requests = self.sandbox.records().all();
        requests
            .into_iter()
            .filter(|request| request.path.ends_with(TOKEN_PATH))
            .map(|request| request.method)
            .collect()
    }

    /// The same, of those that changed something, or tried to.
    pub fn writes(&self) -> Vec<String> {
        self.methods().into_iter().filter(|method| method != "OPTIONS").collect()
    }

    /// A path in the scene's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the scene's folder.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Options for a task, with where the hub is and the password of `build`; null takes one out.
    pub fn options(&self, options: Value) -> Value {
        let all = json!({
            "ah_host": self.hub().url(),
            "ah_username": USER,
            "ah_password": self.password(),
            "ca_path": self.sandbox.ca_path(),
            "use_proxy": false,
        });
        let mut all = with(all, options);
        if let Value::Object(all) = &mut all {
            all.retain(|_, value| !value.is_null());
        }
        all
    }

    /// The same without a user and a password.
    pub fn options_without_password(&self, options: Value) -> Value {
        self.options(with(json!({ "ah_username": null, "ah_password": null }), options))
    }

    /// Runs `hub_token` for `build` with its password, unless the options say otherwise.
    pub fn task(&self, options: Value) -> Run {
        executable::module("hub_token", &self.options(options))
    }

    /// The same without the password.
    pub fn task_without_password(&self, options: Value) -> Run {
        executable::module("hub_token", &self.options_without_password(options))
    }
}

impl Default for HubScene {
    fn default() -> Self {
        Self::new()
    }
}

/// Whose token tasks are about.
pub const USER: &str = "build";
const TOKEN_PATH: &str = "/v3/auth/token/";
