//! A test's world with Quay in it: a sandbox, an administrator's token, and a folder for files.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokensmith_sandbox::{Quay, Sandbox};

use crate::executable::{self, Run};

/// A sandbox, a folder, and the options that every task against its Quay has.
pub struct QuayScene {
    /// The stand-ins.
    pub sandbox: Sandbox,
    /// The OAuth access token that tasks are given: `alice`, who administers `acme`.
    pub token: String,
    folder: tempfile::TempDir,
}

impl QuayScene {
    /// With the robot `acme+ci`.
    pub fn new() -> Self {
        let sandbox = Sandbox::start().expect("the sandbox starts");
        let token = sandbox.quay().issue_token("alice", "org:admin user:admin");
        sandbox.quay().add_robot("acme+ci");
        Self { sandbox, token, folder: crate::scene::folder() }
    }

    /// Quay.
    pub fn quay(&self) -> &Quay {
        self.sandbox.quay()
    }

    /// The robot's token that is valid now.
    pub fn robot_token(&self, robot: &str) -> String {
        self.quay().robot_token(robot).unwrap_or_else(|| panic!("there is no robot {robot}"))
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

    /// Options for a task, with where Quay is.
    pub fn options(&self, options: Value) -> Value {
        let mut all = Map::from_iter([
            ("quay_host".to_owned(), self.quay().url().into()),
            ("ca_path".to_owned(), json!(self.sandbox.ca_path())),
            ("use_proxy".to_owned(), false.into()),
        ]);
        if let Value::Object(options) = options {
            all.extend(options);
        }
        all.into()
    }

    /// Runs `quay_robot_token` with the administrator's token, for robots of `acme` unless the options say otherwise.
    pub fn robot_token_task(&self, options: Value) -> Run {
        executable::module("quay_robot_token", &self.robot_options(options))
    }

    /// The options of such a task.
    pub fn robot_options(&self, options: Value) -> Value {
        let mut all = self.options(json!({ "quay_token": self.token, "organization": "acme" }));
        if let (Value::Object(all), Value::Object(options)) = (&mut all, options) {
            all.extend(options);
        }
        all
    }
}

impl Default for QuayScene {
    fn default() -> Self {
        Self::new()
    }
}
