//! A test's world with RHACS in it: a sandbox, an administrator's token, and a folder for files.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokensmith_sandbox::central::Mapping;
use tokensmith_sandbox::{Central, ExternalToken, Fault, Sandbox};

use crate::executable::{self, Run};

/// A sandbox, a folder, and the options that every task against its Central has.
pub struct RhacsScene {
    /// The stand-ins.
    pub sandbox: Sandbox,
    /// The API token that tasks are given, of an administrator.
    pub token: String,
    folder: tempfile::TempDir,
}

impl RhacsScene {
    /// With nothing but the administrator's token in it.
    pub fn new() -> Self {
        let sandbox = Sandbox::start().expect("the sandbox starts");
        let token = sandbox.central().issue_token("tokensmith", &["Admin"], 365 * DAY);
        Self { sandbox, token, folder: tempfile::tempdir().expect("a folder can be made") }
    }

    /// Central.
    pub fn central(&self) -> &Central {
        self.sandbox.central()
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

    /// A token of that name and the role of pipelines: its id, and itself.
    pub fn issue(&self, name: &str, seconds: i64) -> (String, String) {
        let token = self.central().issue_token(name, &[ROLE], seconds);
        let id = self.central().tokens().pop().expect("the token has a record").id;
        (id, token)
    }

    /// A token of a machine, which Central takes in exchange for one that lives for an hour and has the role of pipelines.
    pub fn external_token(&self) -> ExternalToken {
        let provider = self.central().identity_provider();
        self.central().add_machine_access(&provider.issuer(), HOUR, &[Mapping::new("sub", SUBJECT, ROLE)]);
        self.external_token_again()
    }

    /// Another one, of which Central may know or not.
    pub fn external_token_again(&self) -> ExternalToken {
        self.central().identity_provider().token(SUBJECT)
    }

    /// Runs `rhacs_m2m_token`, without a credential.
    pub fn machine_token_task(&self, options: Value) -> Run {
        executable::module("rhacs_m2m_token", &self.machine_token_options(options))
    }

    /// The options of such a task.
    pub fn machine_token_options(&self, options: Value) -> Value {
        let mut all = json!({ "rhacs_token": null });
        if let (Value::Object(all), Value::Object(options)) = (&mut all, options) {
            all.extend(options);
        }
        self.options(all)
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

    /// Options for a task, with where Central is and the administrator's token.
    pub fn options(&self, options: Value) -> Value {
        let mut all = Map::from_iter([
            ("rhacs_host".to_owned(), self.central().url().into()),
            ("rhacs_token".to_owned(), self.token.clone().into()),
            ("ca_path".to_owned(), json!(self.sandbox.ca_path())),
            ("use_proxy".to_owned(), false.into()),
        ]);
        if let Value::Object(options) = options {
            all.extend(options);
        }
        all.retain(|_, value| !value.is_null());
        all.into()
    }

    /// Runs `rhacs_api_token`, for a token `ci` with the role of pipelines unless the options say otherwise.
    pub fn api_token_task(&self, options: Value) -> Run {
        executable::module("rhacs_api_token", &self.api_token_options(options))
    }

    /// The options of such a task.
    pub fn api_token_options(&self, options: Value) -> Value {
        let mut all = json!({ "name": "ci", "role": ROLE });
        if let (Value::Object(all), Value::Object(options)) = (&mut all, options) {
            all.extend(options);
        }
        self.options(all)
    }
}

impl Default for RhacsScene {
    fn default() -> Self {
        Self::new()
    }
}

/// The role of pipelines, which allows nothing about tokens.
pub const ROLE: &str = "Continuous Integration";
/// Seconds of an hour.
pub const HOUR: i64 = 3_600;
/// Seconds of a day.
pub const DAY: i64 = 86_400;
const SUBJECT: &str = "repo:acme/app:ref:refs/heads/main";
