//! A test's world with credentials of the automation controller in it: a sandbox, a user who may change one credential, and tasks that bring a token there.

use std::path::PathBuf;
use std::process::Child;

use serde_json::{Map, Value, json};
use tokensmith_sandbox::controller::{Credential, RoleKind, Version};
use tokensmith_sandbox::{Fault, Platform, Sandbox};

use crate::executable::{self, Run};
use crate::quay::with;

/// Which module brings the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// `gateway_token`: tokens live side by side.
    Gateway,
    /// `hub_token`: a new token kills the old one, and none is shown.
    Hub,
    /// `quay_robot_token`: a new token kills the old one, and the valid one is shown.
    Quay,
    /// `rhacs_api_token`: tokens live side by side.
    Rhacs,
}

impl Issuer {
    /// Both orders.
    pub const ALL: [Self; 2] = [Self::Gateway, Self::Hub];
    /// Every module that knows both.
    pub const EVERY: [Self; 4] = [Self::Gateway, Self::Hub, Self::Quay, Self::Rhacs];

    /// The name of the module.
    pub fn module(self) -> &'static str {
        match self {
            Self::Gateway => "gateway_token",
            Self::Hub => "hub_token",
            Self::Quay => "quay_robot_token",
            Self::Rhacs => "rhacs_api_token",
        }
    }
}

/// A sandbox, a credential with other things in it, and who may change it.
pub struct CredentialScene {
    /// The stand-ins.
    pub sandbox: Sandbox,
    /// The credential.
    pub id: i64,
    caller: String,
    folder: tempfile::TempDir,
}

impl CredentialScene {
    /// A galaxy credential with an address and a token of which nothing is known.
    pub fn galaxy() -> Self {
        Self::of("galaxy_api_token", json!({ "url": URL, "auth_url": AUTH_URL, "token": OLD }))
    }

    /// A credential of a custom type: a second secret, an empty one, and a plain field `note`.
    pub fn custom() -> Self {
        let sandbox = Sandbox::start().expect("the sandbox starts");
        add_custom_type(sandbox.controller());
        Self::with(sandbox, CUSTOM, json!({ "url": URL, "second": SECOND, "verify": true }))
    }

    /// A credential of this type with these inputs.
    pub fn of(kind: &str, inputs: Value) -> Self {
        Self::with(Sandbox::start().expect("the sandbox starts"), kind, inputs)
    }

    fn with(sandbox: Sandbox, kind: &str, inputs: Value) -> Self {
        let id = sandbox.controller().add_credential(NAME, "Default", kind, inputs).expect("the inputs fit the type");
        assert!(sandbox.controller().grant(CALLER, RoleKind::Admin, id));
        let (_, caller) = sandbox.controller().issue_token(CALLER, "tokensmith", "write");
        sandbox.quay().add_robot(ROBOT);
        Self { sandbox, id, caller, folder: crate::scene::folder() }
    }

    /// The controller.
    pub fn controller(&self) -> &Platform {
        self.sandbox.controller()
    }

    /// The credential as it is stored, secrets in clear.
    pub fn stored(&self) -> Credential {
        self.controller().credential(self.id).expect("the credential is there")
    }

    /// What stands in the field `token`.
    pub fn token(&self) -> Option<String> {
        self.stored().input("token").map(str::to_owned)
    }

    /// All that is stored but the token and the fields of the note, which no run may change.
    pub fn others(&self) -> Map<String, Value> {
        others(self.stored().inputs())
    }

    /// What was stored at all times.
    pub fn history(&self) -> Vec<Version> {
        self.controller().history(self.id)
    }

    /// The token that the controller is called with.
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// Whether the system of this issuer accepts a token.
    pub fn works(&self, issuer: Issuer, token: &str) -> bool {
        match issuer {
            Issuer::Gateway => self.sandbox.gateway().token_works(token),
            Issuer::Hub => self.sandbox.hub().token_works(token),
            Issuer::Quay => self.sandbox.quay().robot_token(ROBOT).as_deref() == Some(token),
            Issuer::Rhacs => self.sandbox.central().token_works(token),
        }
    }

    /// Whether the credential holds a token that works.
    pub fn holds_token_that_works(&self, issuer: Issuer) -> bool {
        self.token().is_some_and(|token| self.works(issuer, &token))
    }

    /// How many tokens were issued.
    pub fn issued(&self, issuer: Issuer) -> usize {
        match issuer {
            Issuer::Gateway => self.sandbox.gateway().tokens().len(),
            Issuer::Hub => usize::try_from(self.sandbox.hub().issued(crate::hub::USER)).expect("not so many"),
            Issuer::Quay => usize::try_from(self.sandbox.quay().regenerations(ROBOT)).expect("not so many"),
            Issuer::Rhacs => self.sandbox.central().tokens().len(),
        }
    }

    /// What somebody else writes to the credential.
    pub fn patch(&self, change: &Value) {
        self.patch_credential(self.id, change);
    }

    /// What somebody else writes to another credential.
    pub fn patch_credential(&self, id: i64, change: &Value) {
        let url = format!("{}/api/v2/credentials/{id}/", self.controller().plain_url());
        let password = self.controller().password("admin");
        // Building a client, TLS or not, asks for one.
        let _is_there_already = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::blocking::Client::new().patch(url).basic_auth("admin", Some(password));
        let request = request.header("Content-Type", "application/json").body(change.to_string());
        assert_eq!(request.send().expect("the controller answers").status(), 200);
    }

    /// A fault from now on.
    pub fn fault(&self, fault: Fault) {
        self.sandbox.faults().add(fault);
    }

    /// A path in the scene's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Methods and paths of the requests that changed something, or tried to.
    pub fn writes(&self) -> Vec<String> {
        let requests = self.sandbox.records().all().into_iter();
        let writes = requests.filter(|request| !["GET", "OPTIONS"].contains(&request.method.as_str()));
        writes.map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    /// How many tokens were asked for since the records were cleared.
    pub fn asked(&self) -> usize {
        self.writes().iter().filter(|write| write.starts_with("POST")).count()
    }

    /// Options of a task that brings a token to the credential; those of the caller's go over the others, and null takes one out.
    pub fn options(&self, issuer: Issuer, options: Value) -> Value {
        let own = match issuer {
            Issuer::Gateway => json!({
                "gateway_hostname": self.sandbox.gateway().url(),
                "gateway_username": crate::gateway::USER,
                "gateway_password": self.sandbox.gateway().password(crate::gateway::USER),
                "description": "ci",
            }),
            Issuer::Hub => json!({
                "ah_host": self.sandbox.hub().url(),
                "ah_username": crate::hub::USER,
                "ah_password": self.sandbox.hub().password(crate::hub::USER),
            }),
            Issuer::Quay => json!({
                "quay_host": self.sandbox.quay().url(),
                "quay_token": self.sandbox.quay().issue_token("alice", "org:admin user:admin"),
                "robot": ROBOT,
            }),
            Issuer::Rhacs => json!({
                "rhacs_host": self.sandbox.central().url(),
                "rhacs_token": self.sandbox.central().issue_token("tokensmith", &["Admin"], 365 * 24 * 3600),
                "name": "ci",
                "role": "Continuous Integration",
            }),
        };
        let controller = json!({
            "_tokensmith_module": issuer.module(),
            "dest_credential": { "name": NAME, "field": "token" },
            "controller_host": self.controller().url(),
            "controller_oauthtoken": self.caller,
            "ca_path": self.sandbox.ca_path(),
            "use_proxy": false,
        });
        let mut all = with(with(own, controller), options);
        if let Value::Object(all) = &mut all {
            all.retain(|_, value| !value.is_null());
        }
        all
    }

    /// Runs such a task.
    pub fn run(&self, issuer: Issuer, options: Value) -> Run {
        let child = self.start(issuer, options, "host");
        Run::from_output(&child.wait_with_output().expect("the executable ends"))
    }

    /// Starts such a task on a host of this name: hosts know nothing of each other's locks.
    pub fn start(&self, issuer: Issuer, options: Value, host: &str) -> Child {
        let folder = self.path(host);
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let arguments = self.options(issuer, options);
        executable::start_with_input(
            executable::command().arg("-").env("XDG_RUNTIME_DIR", folder),
            arguments.to_string().as_bytes(),
        )
    }
}

/// Makes the custom type [`CUSTOM`] known.
pub fn add_custom_type(controller: &Platform) {
    let text = |id: &str| json!({ "id": id, "label": id, "type": "string" });
    let secret = |id: &str| json!({ "id": id, "label": id, "type": "string", "secret": true });
    let fields = [
        text("url"),
        text("note"),
        secret("token"),
        secret("second"),
        secret("empty"),
        json!({ "id": "verify", "label": "verify", "type": "boolean" }),
    ];
    controller.add_credential_type(CUSTOM, json!({ "fields": fields }), json!({})).expect("the type is right");
}

/// Inputs without the token and the note.
pub fn others(inputs: &Map<String, Value>) -> Map<String, Value> {
    let mut others = inputs.clone();
    others.retain(|name, _| !["token", "note"].contains(&name.as_str()));
    others
}

const ROBOT: &str = "acme+ci";
/// The name of the credential.
pub const NAME: &str = "Token of CI";
/// The custom type.
pub const CUSTOM: &str = "Token with a note";
/// The user that the controller is called as, who may change this credential and nothing else.
pub const CALLER: &str = "rotator";
/// What stands in the galaxy credential at first.
pub const OLD: &str = "0ld-t0ken-of-which-nothing-is-known";
/// What stands in the second secret field.
pub const SECOND: &str = "sec0nd-secret-that-stays";
/// What stands in the plain fields.
pub const URL: &str = "https://hub.example.com/api/galaxy/";
const AUTH_URL: &str = "https://sso.example.com/token";
