//! The playbooks as jobs of the controller, whose credentials they get their secrets from and bring their tokens to.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokensmith_sandbox::controller::RoleKind;
use tokensmith_sandbox::{Platform, Sandbox};
use tokensmith_tests::credential::CALLER;
use tokensmith_tests::gateway;
use tokensmith_tests::hub;
use tokensmith_tests::installed::{Installed, find_secrets};

#[test]
fn jobs_rotate_the_token_of_a_credential_that_they_have_attached_on_every_ansible_core() {
    for installed in Installed::on_every_core() {
        let (core, jobs) = (installed.core(), Jobs::new());
        let old = jobs.token(jobs.platform);
        let others = jobs.others(jobs.platform);
        let play = |state: &str| {
            let variables = jobs.gateway_variables(state);
            jobs.start(&installed, &[jobs.platform, jobs.by_token]);
            let printed = installed.playbook_with(GATEWAY, &variables, &WORDS).succeeded();
            jobs.hunt(&installed.everything_shown());
            printed
        };
        let printed = play("rotated");
        assert!(printed.contains("changed=1") && printed.contains("ci: forced, token"), "{core}: {printed}");
        let new = jobs.token(jobs.platform);
        assert_ne!(new, old, "{core}");
        assert!(jobs.sandbox.gateway().token_works(&new), "{core}");
        // Jobs that started with it may go on for an hour.
        assert!(jobs.sandbox.gateway().token_works(&old) && printed.contains("still valid: "), "{core}: {printed}");

        let printed = play("present");
        assert!(printed.contains("changed=0") && printed.contains("ci: valid"), "{core}: {printed}");
        assert_eq!((jobs.token(jobs.platform), jobs.others(jobs.platform)), (new, others), "{core}");
    }
}

#[test]
fn jobs_rotate_the_token_of_a_galaxy_credential_on_every_ansible_core() {
    for installed in Installed::on_every_core() {
        let (core, jobs) = (installed.core(), Jobs::new());
        let others = jobs.others(jobs.galaxy);
        let play = |by: i64| {
            jobs.start(&installed, &[jobs.hub_login, by]);
            let printed = installed.playbook_with(HUB, &jobs.hub_variables(), &WORDS).succeeded();
            jobs.hunt(&installed.everything_shown());
            printed
        };
        let printed = play(jobs.by_password);
        assert!(
            printed.contains("changed=1") && printed.contains("Projects: missing, a new token"),
            "{core}: {printed}"
        );
        let new = jobs.token(jobs.galaxy);
        assert_eq!(jobs.sandbox.hub().token(hub::USER).as_ref(), Some(&new), "{core}");

        let printed = play(jobs.by_token);
        assert!(printed.contains("changed=0") && printed.contains("Projects: valid"), "{core}: {printed}");
        assert_eq!((jobs.token(jobs.galaxy), jobs.others(jobs.galaxy)), (new, others), "{core}");
        assert_eq!(jobs.sandbox.hub().issued(hub::USER), 1, "{core}");
    }
}

#[test]
fn no_secret_stands_in_the_events_of_a_job_nor_in_what_the_controller_tells_of_its_credentials() {
    let installed = Installed::on_tools();
    let jobs = Jobs::new();
    for (playbook, variables, credentials, rotated) in [
        (GATEWAY, jobs.gateway_variables("rotated"), [jobs.platform, jobs.by_token], jobs.platform),
        (HUB, jobs.hub_variables(), [jobs.hub_login, jobs.by_token], jobs.galaxy),
    ] {
        let old = jobs.token(rotated);
        jobs.start(&installed, &credentials);
        let events = installed.runner_playbook(playbook, &variables);
        assert_ne!(jobs.token(rotated), old);
        assert!(events.len() > 10, "{} events", events.len());
        jobs.hunt(&events);
    }
    let mut told = Vec::new();
    for id in [jobs.platform, jobs.galaxy] {
        let activity = jobs.controller().activity(id);
        assert!(activity.iter().any(|(user, operation, _)| user == CALLER && *operation == "update"), "{activity:?}");
        told.push(("the activity stream", format!("{activity:?}")));
        let stored = jobs.controller().credential(id).unwrap();
        told.push(("the plain fields", format!("{} {:?}", stored.description, stored.input("marker"))));
    }
    let requests = jobs.sandbox.records().all().into_iter();
    let lines = requests.map(|request| format!("{} {:?} {:?}", request.path, request.query, request.user_agent));
    told.push(("the addresses of requests", lines.collect::<Vec<_>>().join("\n")));
    jobs.hunt(&told);
    assert!(told[1].1.contains("[tokensmith token {") && told[3].1.contains("[tokensmith token {"), "{told:?}");
}

/// A controller with credentials, of the types that the collection brings and of its own.
struct Jobs {
    sandbox: Sandbox,
    /// The address of the platform and a token for it, which is rotated.
    platform: i64,
    /// The token of the hub's user for projects, which is rotated. A credential of this kind cannot be attached to a job.
    galaxy: i64,
    /// User and password of the hub.
    hub_login: i64,
    /// Who may change the two, by its token.
    by_token: i64,
    /// The same, by its password.
    by_password: i64,
}

impl Jobs {
    fn new() -> Self {
        let sandbox = Sandbox::start().expect("the sandbox starts");
        let controller = sandbox.controller();
        let [kind, login] = [types("Tokensmith gateway"), hub_login_type()];
        for kind in [&kind, &login] {
            let name = kind["name"].as_str().unwrap();
            controller.add_credential_type(name, kind["inputs"].clone(), kind["injectors"].clone()).unwrap();
        }
        let (_, token) = sandbox.gateway().issue_token(gateway::USER, "ci", "write");
        let add = |name: &str, kind: &str, inputs: Value| {
            controller.add_credential(name, "Default", kind, inputs).expect("the inputs fit the type")
        };
        let platform =
            add("Platform", kind["name"].as_str().unwrap(), json!({ "host": sandbox.gateway().url(), "token": token }));
        let galaxy = add(
            "Projects",
            "galaxy_api_token",
            json!({ "url": sandbox.hub().url(), "auth_url": "https://sso.example.com/token", "token": "0ld-t0ken-of-the-projects" }),
        );
        let hub_password = sandbox.hub().password(hub::USER).unwrap();
        let hub_login = add(
            "Hub",
            login["name"].as_str().unwrap(),
            json!({ "host": sandbox.hub().url(), "username": hub::USER, "password": hub_password }),
        );
        for id in [platform, galaxy] {
            assert!(controller.grant(CALLER, RoleKind::Admin, id));
        }
        let (_, caller) = controller.issue_token(CALLER, "rotation", "write");
        let own = |login: Value| {
            let mut inputs = json!({ "host": controller.url(), "verify_ssl": true });
            inputs.as_object_mut().unwrap().extend(login.as_object().unwrap().clone());
            inputs
        };
        let by_token = add("By token", "controller", own(json!({ "oauth_token": caller })));
        let password = controller.password(CALLER);
        let by_password = add("By password", "controller", own(json!({ "username": CALLER, "password": password })));
        Self { platform, galaxy, hub_login, by_token, by_password, sandbox }
    }

    fn controller(&self) -> &Platform {
        self.sandbox.controller()
    }

    /// What a job that starts now gets of these credentials.
    fn start(&self, installed: &Installed, credentials: &[i64]) {
        for (name, value) in self.controller().injection(credentials).environment {
            installed.with_environment(&name, &value);
        }
    }

    fn gateway_variables(&self, state: &str) -> Value {
        json!({
            "gateway_state": state,
            "gateway_ca_path": self.sandbox.ca_path(),
            "gateway_tokens": [{
                "description": "ci",
                "dest_credential": { "name": "Platform", "organization": "Default", "marker": "marker" },
                "credential_attached": true,
            }],
        })
    }

    fn hub_variables(&self) -> Value {
        json!({
            "hub_ca_path": self.sandbox.ca_path(),
            "controller_ca_path": self.sandbox.ca_path(),
            "hub_dest_credential": { "name": "Projects", "credential_type": "galaxy_api_token" },
        })
    }

    fn token(&self, id: i64) -> String {
        self.controller().credential(id).unwrap().input("token").unwrap().to_owned()
    }

    fn others(&self, id: i64) -> Map<String, Value> {
        let mut inputs = self.controller().credential(id).unwrap().inputs().clone();
        inputs.retain(|name, _| !["token", "marker"].contains(&name.as_str()));
        inputs
    }

    /// Looks for everything secret that was stored or sent at any time.
    fn hunt<P: AsRef<str>>(&self, shown: &[(P, String)]) {
        let mut secrets = BTreeSet::new();
        for id in [self.platform, self.galaxy, self.hub_login, self.by_token, self.by_password] {
            for version in self.controller().history(id) {
                let values = SECRET_FIELDS.iter().filter_map(|field| version.inputs.get(*field)?.as_str());
                secrets.extend(values.map(str::to_owned));
            }
        }
        for request in self.sandbox.records().all() {
            let sent = request.authorization.as_deref().and_then(|value| value.split_once(' '));
            secrets.extend(sent.map(|(_, credential)| credential.to_owned()));
        }
        secrets.retain(|secret| secret.len() > 8);
        let secrets: Vec<_> = secrets.into_iter().collect();
        assert!(secrets.len() >= 6, "{}", secrets.len());
        for (place, text) in shown {
            assert!(!text.is_empty() || place.as_ref().contains("artifacts"), "{} is empty", place.as_ref());
            assert_eq!(find_secrets(text, &secrets), Vec::<usize>::new(), "in {}: {text}", place.as_ref());
        }
    }
}

/// One of the types that the collection brings.
fn types(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/files/controller_credential_types.yml");
    // Braces that are not for Ansible have a tag, which says nothing here.
    let text = fs::read_to_string(file).unwrap().replace("!unsafe ", "");
    let all: Value = serde_yaml_ng::from_str(&text).unwrap();
    let all = all["controller_credential_types"].as_array().unwrap();
    all.iter().find(|kind| kind["name"] == name).unwrap().clone()
}

/// What users make themselves for a hub that is called with a password.
fn hub_login_type() -> Value {
    let text = |id: &str| json!({ "id": id, "label": id, "type": "string", "secret": id == "password" });
    let fields = ["host", "username", "password"].map(text);
    json!({
        "name": "Automation hub by password",
        "inputs": { "fields": fields },
        "injectors": { "env": { "AH_HOST": "{{ host }}", "AH_USERNAME": "{{ username }}", "AH_PASSWORD": "{{ password }}" } },
    })
}

const GATEWAY: &str = "tokensmith.redhat.rotate_gateway_token";
const HUB: &str = "tokensmith.redhat.rotate_hub_token";
const WORDS: [&str; 2] = ["-vvvv", "--diff"];
const SECRET_FIELDS: [&str; 3] = ["token", "password", "oauth_token"];
