//! A test's world with Quay in it: a sandbox, an administrator's token, and a folder for files.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokensmith_sandbox::ExternalToken;
use tokensmith_sandbox::{Fault, Quay, Sandbox};

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

    /// The same for a robot whose token is to be a certain one.
    pub fn set_robot_token(&self, robot: &str, token: &str) {
        self.quay().change(|state| state.robots.get_mut(robot).expect("the robot is there").token = token.to_owned());
    }

    /// A token of the identity provider for this robot, whose federation takes it.
    pub fn external_token(&self, robot: &str) -> ExternalToken {
        let provider = self.quay().identity_provider();
        self.quay().set_federation(robot, [(provider.issuer().as_str(), SUBJECT)]);
        provider.token(SUBJECT)
    }

    /// A fault from now on.
    pub fn fault(&self, fault: Fault) {
        self.sandbox.faults().add(fault);
    }

    /// Something that only the sandbox's control endpoint can do.
    pub fn control(&self, action: &str, arguments: &Value) {
        let address = self.quay().plain_url().replace("http://", "");
        let body = arguments.to_string();
        let mut stream = TcpStream::connect(&address).expect("the sandbox listens");
        let head = format!("POST /_sandbox/{action} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("the sandbox reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the sandbox answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Methods and ends of paths of the requests so far that changed something, or tried to.
    pub fn writes(&self) -> Vec<String> {
        let requests = self.sandbox.records().all();
        let writes = requests.iter().filter(|request| request.method != "GET");
        writes.map(|request| format!("{} {}", request.method, request.path.replace("/api/v1/", ""))).collect()
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
        given(with(self.options(json!({ "quay_token": self.token, "organization": "acme" })), options))
    }

    /// Runs `quay_keyless_token` for the robot `acme+ci` unless the options say otherwise.
    pub fn keyless_task(&self, options: Value) -> Run {
        executable::module("quay_keyless_token", &given(with(self.options(json!({ "robot": "acme+ci" })), options)))
    }
}

/// Options with others in their place; null takes one out.
pub fn with(mut options: Value, others: Value) -> Value {
    if let (Value::Object(options), Value::Object(others)) = (&mut options, others) {
        options.extend(others);
    }
    options
}

impl Default for QuayScene {
    fn default() -> Self {
        Self::new()
    }
}

fn given(mut options: Value) -> Value {
    if let Value::Object(options) = &mut options {
        options.retain(|_, value| !value.is_null());
    }
    options
}

const SUBJECT: &str = "system:serviceaccount:build:pipeline";
