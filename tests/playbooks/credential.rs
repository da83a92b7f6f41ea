//! The playbooks as jobs of the controller, whose credentials they get their secrets from and bring their tokens to.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokensmith_sandbox::controller::{Credential, RoleKind};
use tokensmith_sandbox::{Platform, Sandbox};
use tokensmith_tests::credential::CALLER;
use tokensmith_tests::gateway;
use tokensmith_tests::hub;
use tokensmith_tests::installed::{Installed, find_secrets};
use tokensmith_tests::quay::QuayScene;
use tokensmith_tests::rhacs::{ROLE, RhacsScene};
use tokensmith_tests::scene::Scene;

use super::has_environment;

#[test]
fn jobs_rotate_the_token_of_a_credential_that_they_have_attached_on_every_ansible_core() {
    for installed in Installed::on_outer_cores() {
        let (core, jobs) = (installed.core(), Jobs::new());
        let old = jobs.token(jobs.platform);
        let others = jobs.others(jobs.platform);
        let play = |state: &str| {
            let variables = jobs.gateway_variables(state);
            start(&jobs.sandbox, &installed, &[jobs.platform, jobs.by_token]);
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
    for installed in Installed::on_outer_cores() {
        let (core, jobs) = (installed.core(), Jobs::new());
        let others = jobs.others(jobs.galaxy);
        let play = |by: i64| {
            start(&jobs.sandbox, &installed, &[jobs.hub_login, by]);
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
        start(&jobs.sandbox, &installed, &credentials);
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

#[test]
fn the_other_playbooks_bring_their_tokens_to_credentials_too() {
    let installed = Installed::on_tools();
    let scene = RhacsScene::new();
    let controller = scene.sandbox.controller();
    let kind = add_type(controller, &types("Tokensmith RHACS"));
    let inputs = |token: &str| json!({ "host": scene.central().endpoint(), "token": token });
    let add = |name: &str, kind: &str, inputs: Value| controller.add_credential(name, "Default", kind, inputs).unwrap();
    let [central, other] = [add("Central", &kind, inputs(&scene.token)), add("Central for jobs", &kind, inputs(""))];
    let which = json!({ "name": "Central for jobs", "credential_type": kind, "marker": "marker" });
    let variables = json!({
        "rhacs_ca_path": scene.sandbox.ca_path(),
        "rhacs_tokens": [{ "name": "jobs", "role": ROLE, "dest_credential": which }],
    });
    let (printed, stored) =
        play_twice((&installed, &scene.sandbox), &[central], other, "tokensmith.redhat.renew_rhacs_tokens", &variables);
    assert!(printed[0].contains("jobs: missing, token ") && printed[1].contains("changed=0"), "{printed:?}");
    assert!(scene.central().token_works(stored.input("token").unwrap()));

    let scene = QuayScene::new();
    let controller = scene.sandbox.controller();
    let kind = add_type(controller, &types("Tokensmith Quay"));
    let add = |name: &str, kind: &str, inputs: Value| controller.add_credential(name, "Default", kind, inputs).unwrap();
    let quay = add("Quay", &kind, json!({ "host": scene.quay().url(), "token": scene.token }));
    let registry = add("Puller", "registry", json!({ "host": "quay.example.com", "username": "acme+ci" }));
    let variables = json!({
        "quay_ca_path": scene.sandbox.ca_path(),
        "quay_rotations": [{ "organization": "acme", "robots": ["ci"], "dest_credential": { "name": "Puller" } }],
    });
    let (printed, stored) =
        play_twice((&installed, &scene.sandbox), &[quay], registry, "tokensmith.redhat.rotate_quay_robots", &variables);
    assert!(printed[0].contains("changed=1") && printed[1].contains("acme+ci: valid, left as it is"), "{printed:?}");
    assert_eq!(stored.input("password"), Some(scene.robot_token("acme+ci").as_str()));
    assert_eq!(stored.input("username"), Some("acme+ci"));
}

#[test]
fn the_newest_offline_token_is_brought_back_to_the_credential_that_it_came_from() {
    if !has_environment() {
        return;
    }
    let installed = Installed::on_tools();
    let scene = Scene::in_realm("rotating");
    let controller = scene.sandbox.controller();
    let kind = add_type(controller, &types("Tokensmith SSO offline token"));
    let old = scene.offline_token();
    let sso = controller.add_credential("SSO", "Default", &kind, json!({ "offline_token": old })).unwrap();
    let variables = json!({
        "sso_token_url": scene.realm.token_url(),
        "sso_ca_path": scene.sandbox.ca_path(),
        "sso_dest_credential": { "name": "SSO", "marker": "marker" },
    });
    let (_, stored) =
        play_twice((&installed, &scene.sandbox), &[sso], sso, "tokensmith.redhat.keep_offline_token", &variables);
    let newest = stored.input("offline_token").unwrap();
    assert!(newest != old && scene.realm.offline_token_is_alive(newest));
}

/// Two jobs, one after the other, with these credentials attached. Gives what they printed, and what is in the one that they bring a token to.
fn play_twice(
    (installed, sandbox): (&Installed, &Sandbox),
    attached: &[i64],
    rotated: i64,
    name: &str,
    variables: &Value,
) -> (Vec<String>, Credential) {
    let login = login(sandbox, rotated);
    let mut printed = Vec::new();
    for _ in 0..2 {
        start(sandbox, installed, &[attached, &[login]].concat());
        printed.push(installed.playbook(name, variables).succeeded());
    }
    (printed, sandbox.controller().credential(rotated).unwrap())
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
        let [kind, hub_login] = [types("Tokensmith gateway"), hub_login_type()];
        let [kind, hub_login] = [kind, hub_login].map(|kind| add_type(controller, &kind));
        let (_, token) = sandbox.gateway().issue_token(gateway::USER, "ci", "write");
        let add = |name: &str, kind: &str, inputs: Value| {
            controller.add_credential(name, "Default", kind, inputs).expect("the inputs fit the type")
        };
        let platform = add("Platform", &kind, json!({ "host": sandbox.gateway().url(), "token": token }));
        let galaxy = add(
            "Projects",
            "galaxy_api_token",
            json!({ "url": sandbox.hub().url(), "auth_url": "https://sso.example.com/token", "token": "0ld-t0ken-of-the-projects" }),
        );
        let hub_password = sandbox.hub().password(hub::USER).unwrap();
        let hub_login = add(
            "Hub",
            &hub_login,
            json!({ "host": sandbox.hub().url(), "username": hub::USER, "password": hub_password }),
        );
        let by_token = login(&sandbox, platform);
        assert!(controller.grant(CALLER, RoleKind::Admin, galaxy));
        let password = controller.password(CALLER);
        let inputs = json!({ "host": controller.url(), "verify_ssl": true, "username": CALLER, "password": password });
        let by_password = add("By password", "controller", inputs);
        Self { platform, galaxy, hub_login, by_token, by_password, sandbox }
    }

    fn controller(&self) -> &Platform {
        self.sandbox.controller()
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

/// What a job that starts now gets of these credentials.
fn start(sandbox: &Sandbox, installed: &Installed, credentials: &[i64]) {
    for (name, value) in sandbox.controller().injection(credentials).environment {
        installed.with_environment(&name, &value);
    }
}

/// A credential for calling the controller by the token of a user who may change this one.
fn login(sandbox: &Sandbox, rotated: i64) -> i64 {
    let controller = sandbox.controller();
    assert!(controller.grant(CALLER, RoleKind::Admin, rotated));
    let (_, token) = controller.issue_token(CALLER, "rotation", "write");
    let inputs = json!({ "host": controller.url(), "verify_ssl": true, "oauth_token": token });
    controller.add_credential("Rotation", "Default", "controller", inputs).expect("the inputs fit the type")
}

/// Makes a type known, and gives its name.
fn add_type(controller: &Platform, kind: &Value) -> String {
    let name = kind["name"].as_str().unwrap();
    controller.add_credential_type(name, kind["inputs"].clone(), kind["injectors"].clone()).unwrap();
    name.to_owned()
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
