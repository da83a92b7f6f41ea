//! A test's world with Ansible Automation Platform in it: a sandbox, a user that tasks log in as, and a folder for files.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokensmith_sandbox::{Fault, Platform, Sandbox};

use crate::executable::{self, Run};
use crate::scene::folder;

/// A sandbox, a folder, and the options that every task against its gateway, or its controller, has.
pub struct GatewayScene {
    /// The stand-ins.
    pub sandbox: Sandbox,
    api: &'static str,
    folder: tempfile::TempDir,
}

impl GatewayScene {
    /// With the platform gateway.
    pub fn new() -> Self {
        Self::of("gateway")
    }

    /// With the server behind one of the values of the option `api`.
    pub fn of(api: &'static str) -> Self {
        Self { sandbox: Sandbox::start().expect("the sandbox starts"), api, folder: folder() }
    }

    /// The gateway, or the controller.
    pub fn platform(&self) -> &Platform {
        match self.api {
            "gateway" => self.sandbox.gateway(),
            _ => self.sandbox.controller(),
        }
    }

    /// A fault from now on.
    pub fn fault(&self, fault: Fault) {
        self.sandbox.faults().add(fault);
    }

    /// Methods and paths of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.sandbox.records().all();
        requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    /// The same, of those that changed something, or tried to.
    pub fn writes(&self) -> Vec<String> {
        self.requests().into_iter().filter(|request| !request.starts_with("GET")).collect()
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

    /// Options for a task, with where the platform is. It logs in as [`USER`] with the password, unless the options name another credential.
    pub fn options(&self, options: Value) -> Value {
        let mut all = Map::from_iter([
            ("gateway_hostname".to_owned(), self.platform().url().into()),
            ("api".to_owned(), self.api.into()),
            ("ca_path".to_owned(), json!(self.sandbox.ca_path())),
            ("use_proxy".to_owned(), false.into()),
        ]);
        let credentials = ["gateway_username", "gateway_token", "gateway_token_file"];
        if credentials.iter().all(|name| options[name].is_null()) {
            all.insert("gateway_username".to_owned(), USER.into());
            all.insert("gateway_password".to_owned(), self.platform().password(USER).into());
        }
        if let Value::Object(options) = options {
            all.extend(options);
        }
        all.retain(|_, value| !value.is_null());
        all.into()
    }

    /// Runs `gateway_token`, for a token with the description `ci` unless the options say otherwise.
    pub fn token_task(&self, options: Value) -> Run {
        executable::module("gateway_token", &self.token_options(options))
    }

    /// The options of such a task.
    pub fn token_options(&self, options: Value) -> Value {
        let mut all = json!({ "description": "ci" });
        if let (Value::Object(all), Value::Object(options)) = (&mut all, options) {
            all.extend(options);
        }
        self.options(all)
    }
}

impl Default for GatewayScene {
    fn default() -> Self {
        Self::new()
    }
}

/// The ordinary user that tasks log in as.
pub const USER: &str = "alice";
