//! The playbook that sets up a controller, its definitions, and the jobs that come of them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};
use tokensmith_sandbox::controller::RoleKind;
use tokensmith_sandbox::{Fault, Platform, Sandbox};
use tokensmith_tests::gateway;
use tokensmith_tests::installed::{Installed, Played, find_secrets};
use tokensmith_tests::scene::Scene;

#[test]
fn a_second_run_changes_nothing_and_a_third_mends_what_was_changed_by_hand_with_a_gateway_and_without() {
    thread::scope(|threads| {
        for (installed, has_gateway) in Installed::on_outer_cores().zip([false, true]) {
            threads.spawn(move || set_up_again_and_again(&installed, has_gateway));
        }
    });
}

#[test]
fn check_mode_tells_what_it_would_do_and_writes_nothing() {
    let (installed, sandbox) = (Installed::on_tools(), started());
    let setup = Setup::of(&sandbox);
    let printed = installed.playbook_with(NAME, &setup.variables(), &["--check"]).succeeded();
    setup.hunt(&installed);
    assert_eq!(setup.writes(), Vec::<String>::new());
    for forecast in [
        "Tokensmith keep offline token would be made",
        "Tokensmith keep offline token, weekly would be made",
        "Platform would be attached to Tokensmith rotate gateway token",
        "organizations/Default: left",
    ] {
        assert!(printed.contains(forecast), "{forecast}: {printed}");
    }
    assert!(!printed.contains("changed=0"), "{printed}");
}

#[test]
fn an_error_tells_the_words_of_the_controller_and_what_to_do() {
    let installed = Installed::on_tools();
    let sandbox = started();
    let setup = Setup::of(&sandbox);
    setup.controller().set_project_updates(2, true);
    let mut alone = setup.variables();
    alone["controller_credentials"] = json!([]);
    alone["setup_jobs"] = json!({});
    let host = alone["controller_host"].take();
    refused(&installed.playbook(NAME, &alone), &["controller_host has to be the address"]);
    alone["controller_host"] = json!(format!("http://{}", address_of_nobody()));
    refused(
        &installed.playbook(NAME, &alone),
        &["organizations: Request failed", "Connection refused", "could not be reached"],
    );
    alone["controller_host"] = host;

    let failed = installed.playbook(NAME, &alone);
    refused(&failed, &["Tokensmith is failed", "repository not found", "setup_project_url"]);

    let (_, token) = setup.controller().issue_token("alice", "setup", "write");
    alone["controller_oauthtoken"] = json!(token);
    let organization = setup.id("organizations", "Default").as_i64().unwrap();
    assert!(setup.controller().grant_on_organization("alice", RoleKind::Member, organization));
    refused(
        &installed.playbook(NAME, &alone),
        &["inventories Tokensmith", "403", "permission", "administrator of the organization"],
    );

    alone["setup_jobs"] = json!({ "keep_offline_token": { "credentials": ["Nobody's"] } });
    alone["controller_oauthtoken"] = json!("wrong-token-that-must-not-be-shown");
    let failed = installed.playbook_with(NAME, &alone, &["-vvv"]);
    refused(&failed, &["401", "Authentication credentials were not provided", "wrong, deleted or ended"]);
    assert!(!failed.printed.contains("wrong-token-that"), "{}", failed.printed);
}

#[test]
fn the_job_templates_run_as_the_controller_runs_them_with_the_credentials_that_were_attached() {
    let installed = Installed::on_tools();
    let scene = Scene::in_realm("rotating");
    let setup = Setup::of(&scene.sandbox);
    let offline = scene.offline_token();
    let platform = setup.sandbox.gateway().issue_token(gateway::USER, "ci", "write").1;
    let mut variables = setup.variables();
    variables["controller_credentials"] = json!([
        { "name": "SSO", "organization": "Default", "credential_type": "Tokensmith SSO offline token", "inputs": { "offline_token": offline } },
        { "name": "Platform", "organization": "Default", "credential_type": "Tokensmith gateway",
            "inputs": { "host": setup.sandbox.gateway().url(), "token": platform } },
        { "name": "Rotation", "organization": "Default", "credential_type": "Red Hat Ansible Automation Platform",
            "inputs": { "host": setup.controller().url(), "oauth_token": setup.token, "verify_ssl": true } },
    ]);
    let ca = json!(setup.sandbox.ca_path());
    variables["setup_jobs"] = json!({
        "keep_offline_token": { "credentials": ["SSO", "Rotation"], "variables": {
            "sso_token_url": scene.realm.token_url(), "sso_ca_path": ca,
            "sso_dest_credential": { "name": "SSO", "organization": "Default", "marker": "marker" },
        } },
        "rotate_gateway_token": { "credentials": ["Platform", "Rotation"], "variables": {
            "gateway_ca_path": ca, "gateway_state": "rotated",
            "gateway_tokens": [{ "description": "ci", "credential_attached": true,
                "dest_credential": { "name": "Platform", "organization": "Default", "marker": "marker" } }],
        } },
    });
    installed.playbook(NAME, &variables).succeeded();
    let job = |template: &str, credential: &str, field: &str| {
        let events = setup.run(&installed, template);
        let id = setup.id("credentials", credential).as_i64().unwrap();
        let now = setup.controller().credential(id).unwrap().input(field).unwrap().to_owned();
        (events, now)
    };
    let (events, newest) = job("Tokensmith keep offline token", "SSO", "offline_token");
    assert!(newest != offline && scene.realm.offline_token_is_alive(&newest));
    let (more, rotated) = job("Tokensmith rotate gateway token", "Platform", "token");
    assert!(rotated != platform && setup.sandbox.gateway().token_works(&rotated));
    let secrets = [offline, newest, platform, rotated, setup.token.clone()];
    for (place, text) in events.iter().chain(&more) {
        assert_eq!(find_secrets(text, &secrets), Vec::<usize>::new(), "in {place}: {text}");
    }
}

#[test]
fn infra_aap_configuration_knows_every_key_of_the_definitions() {
    let mut lists = BTreeMap::new();
    for file in ["base", "credential_types", "templates", "schedules"] {
        let text = fs::read_to_string(source(&format!("playbooks/files/controller_{file}.yml"))).unwrap();
        let all: BTreeMap<String, Value> = serde_yaml_ng::from_str(&text.replace("!unsafe ", "")).unwrap();
        lists.extend(all);
    }
    assert_eq!(lists.keys().collect::<Vec<_>>(), KEYS.map(|(list, _)| list));
    for (list, known) in KEYS {
        // One list is worked out by an expression, with a name and an image.
        let definitions = lists[list].as_array().cloned().unwrap_or_default();
        assert!(!definitions.is_empty() || list == "controller_execution_environments", "{list}");
        for definition in definitions {
            for key in definition.as_object().unwrap().keys() {
                assert!(known.contains(&key.as_str()), "{key} of {list}");
            }
        }
    }
    for template in lists["controller_templates"].as_array().unwrap() {
        let playbook = template["playbook"].as_str().unwrap().rsplit(' ').next().unwrap().trim_start_matches("}}");
        let name = playbook.strip_suffix(".yml").unwrap();
        let text = fs::read_to_string(source(&format!("playbooks/files/controller_project/{playbook}"))).unwrap();
        assert!(text.ends_with(&format!("ansible.builtin.import_playbook: tokensmith.redhat.{name}\n")), "{text}");
        assert!(source(&format!("playbooks/{playbook}")).exists(), "{playbook}");
    }
}

fn set_up_again_and_again(installed: &Installed, has_gateway: bool) {
    let sandbox = started();
    let setup = Setup::of(&sandbox);
    let (core, mut variables) = (installed.core(), setup.variables());
    if has_gateway {
        variables["controller_host"] = json!(sandbox.gateway().url());
        variables["controller_oauthtoken"] = json!(sandbox.gateway().issue_token("admin", "setup", "write").1);
    } else {
        setup.sandbox.faults().add(Fault::bad_gateway().path("/api/controller/"));
    }
    setup.give_others_the_same_names();
    let first = installed.playbook_with(NAME, &variables, &["-vvvv"]);
    setup.hunt(installed);
    let first = first.succeeded();
    assert!(first.contains("job_templates/Tokensmith rotate Quay robots: made"), "{core}: {first}");
    let objects = setup.objects();
    check(&objects);
    setup.sandbox.records().clear();
    let second = installed.playbook(NAME, &variables).succeeded();
    assert!(second.contains("changed=0") && !second.contains(": made"), "{core}: {second}");
    assert_eq!(setup.writes(), Vec::<String>::new(), "{core}");
    let prefix = if has_gateway { "/api/controller/v2/" } else { "/api/v2/" };
    let requests = setup.sandbox.records().to("schedules/");
    assert!(requests.iter().all(|request| request.path.starts_with(prefix)), "{core}: {requests:?}");
    assert_eq!(setup.objects(), objects, "{core}");
    if has_gateway {
        setup.try_mending(installed, &variables);
    }
}

/// Where nothing listens.
fn address_of_nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A controller with an administrator's token.
struct Setup<'s> {
    sandbox: &'s Sandbox,
    token: String,
}

impl<'s> Setup<'s> {
    fn of(sandbox: &'s Sandbox) -> Self {
        let (_, token) = sandbox.controller().issue_token("admin", "setup", "write");
        let names: Vec<_> = JOBS.iter().map(|name| format!("{name}.yml")).collect();
        sandbox.controller().set_playbooks(&names.iter().map(String::as_str).collect::<Vec<_>>());
        Self { sandbox, token }
    }

    fn controller(&self) -> &Platform {
        self.sandbox.controller()
    }

    /// Some jobs, and two credentials.
    fn variables(&self) -> Value {
        let credential = |name: &str, kind: &str, inputs: Value| json!({ "name": name, "organization": "Default", "credential_type": kind, "inputs": inputs });
        json!({
            "controller_host": self.controller().url(),
            "controller_oauthtoken": self.token,
            "controller_ca_path": self.sandbox.ca_path(),
            "setup_project_url": URL,
            "setup_delay": 0,
            "setup_jobs": {
                "keep_offline_token": { "credentials": ["SSO"], "variables": { "sso_dest_credential": { "name": "SSO" } } },
                "rotate_gateway_token": { "credentials": ["Platform"] },
                "rotate_quay_robots": {},
            },
            "controller_credentials": [
                credential("SSO", "Tokensmith SSO offline token", json!({ "offline_token": SECRETS[0] })),
                credential("Platform", "Tokensmith gateway", json!({ "host": "https://aap.example.com", "token": SECRETS[1] })),
            ],
        })
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/v2/{path}", self.controller().plain_url());
        // Building a client, TLS or not, asks for one.
        let _is_there_already = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::blocking::Client::new().request(method.parse().unwrap(), url).bearer_auth(&self.token);
        let request = request.header("Content-Type", "application/json");
        let request = if method == "GET" { request } else { request.body(body.to_string()) };
        let answer = request.send().expect("the controller answers");
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.text().unwrap());
        serde_json::from_str(&answer.text().unwrap()).unwrap_or_default()
    }

    /// Everything that the playbook cares for, as an administrator sees it.
    fn objects(&self) -> Value {
        let list = |kind: &&str| {
            let mut rows = self.send("GET", &format!("{kind}/?page_size=200"), &Value::Null)["results"].take();
            for row in rows.as_array_mut().unwrap() {
                // How far its last update is.
                row.as_object_mut().unwrap().remove("status");
                row["summary_fields"].as_object_mut().unwrap().retain(|name, _| name == "credentials");
            }
            ((*kind).to_owned(), rows)
        };
        Value::Object(KINDS.iter().map(list).collect())
    }

    fn id(&self, kind: &str, name: &str) -> Value {
        self.send("GET", &format!("{kind}/?name={}", name.replace(' ', "+")), &Value::Null)["results"][0]["id"].clone()
    }

    /// The requests that changed something, or tried to.
    fn writes(&self) -> Vec<String> {
        let requests = self.sandbox.records().all().into_iter().filter(|request| request.method != "GET");
        requests
            .map(|request| format!("{} {} {}", request.method, request.path, request.json.unwrap_or_default()))
            .collect()
    }

    /// Runs the playbook of a job template with what its credentials and its variables are now.
    fn run(&self, installed: &Installed, template: &str) -> Vec<(String, String)> {
        let query = format!("job_templates/?name={}", template.replace(' ', "+"));
        let template = self.send("GET", &query, &Value::Null)["results"][0].take();
        let credentials = template["summary_fields"]["credentials"].as_array().unwrap().iter();
        let ids: Vec<_> = credentials.map(|credential| credential["id"].as_i64().unwrap()).collect();
        let injection = self.controller().injection(&ids);
        for (name, value) in injection.environment {
            installed.with_environment(&name, &value);
        }
        let mut variables: Value = serde_json::from_str(template["extra_vars"].as_str().unwrap()).unwrap();
        variables.as_object_mut().unwrap().extend(injection.extra_variables);
        let project = installed.collection().join("playbooks/files/controller_project");
        installed.runner_job(&project.join(template["playbook"].as_str().unwrap()), &variables)
    }

    /// Of another organization or another kind.
    fn give_others_the_same_names(&self) {
        let elsewhere = self.id("organizations", "Engineering");
        let kind = json!({ "name": "Tokensmith Quay", "kind": "net", "description": THEIRS });
        self.send("POST", "credential_types/", &kind);
        for path in ["inventories/", "projects/"] {
            let git = json!({ "name": "Tokensmith", "organization": elsewhere, "scm_type": "git", "scm_url": URL, "description": THEIRS });
            self.send("POST", path, &git);
        }
    }

    /// What was changed by hand is mended, what is of others is left, and so is a token that was rotated in between.
    fn try_mending(&self, installed: &Installed, variables: &Value) {
        let objects = self.objects();
        let template = self.id("job_templates", "Tokensmith rotate gateway token");
        let platform = self.id("credentials", "Platform");
        let schedule = self.id("schedules", "Tokensmith keep offline token, weekly");
        let rotated = json!({ "description": "a note", "inputs": { "host": "h", "token": "a-newer-token" } });
        self.send("PATCH", &format!("credentials/{platform}/"), &rotated);
        let other = json!({ "playbook": "report_expiring.yml", "verbosity": 2 });
        self.send("PATCH", &format!("job_templates/{template}/"), &other);
        let detached = json!({ "id": platform, "disassociate": true });
        self.send("POST", &format!("job_templates/{template}/credentials/"), &detached);
        self.send("PATCH", &format!("schedules/{schedule}/"), &json!({ "enabled": false }));
        self.sandbox.records().clear();
        let mended = installed.playbook(NAME, variables).succeeded();

        let mut writes = self.writes();
        writes.sort();
        let base = "/api/controller/v2";
        let expected = [
            format!("PATCH {base}/job_templates/{template}/ {{\"playbook\":\"rotate_gateway_token.yml\"}}"),
            format!("PATCH {base}/schedules/{schedule}/ {{\"enabled\":true}}"),
            format!("POST {base}/job_templates/{template}/credentials/ {{\"id\":{platform}}}"),
        ];
        assert_eq!(writes, expected);
        assert!(mended.contains("Tokensmith rotate gateway token: changed (playbook)"), "{mended}");
        let stored = self.controller().credential(platform.as_i64().unwrap()).unwrap();
        assert_eq!((stored.input("token"), stored.description.as_str()), (Some("a-newer-token"), "a note"));
        let after = self.objects();
        for kind in ["credential_types", "projects", "inventories", "hosts", "organizations"] {
            assert_eq!(after[kind], objects[kind], "{kind}");
        }
    }

    fn hunt(&self, installed: &Installed) {
        let sent = self.sandbox.records().all().into_iter().filter_map(|request| request.authorization);
        let tokens = sent.filter_map(|value| value.split_once(' ').map(|(_, token)| token.to_owned()));
        let secrets: Vec<_> = SECRETS.iter().map(|secret| (*secret).to_owned()).chain(tokens).collect();
        assert!(secrets.len() > SECRETS.len());
        for (place, text) in installed.everything_shown() {
            assert!(!text.is_empty(), "{place} is empty");
            assert_eq!(find_secrets(&text, &secrets), Vec::<usize>::new(), "in {place}: {text}");
        }
    }
}

/// What the contract wants of each.
fn check(objects: &Value) {
    let one = |kind: &str, name: &str| {
        let rows = objects[kind]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["name"] == name && row["description"] != THEIRS)
            .collect::<Vec<_>>();
        assert_eq!(rows.len(), 1, "{kind} {name}");
        rows[0].clone()
    };
    let (project, inventory) = (one("projects", "Tokensmith"), one("inventories", "Tokensmith"));
    assert_eq!((&project["scm_type"], &project["scm_url"]), (&json!("git"), &json!(URL)));
    let host = one("hosts", "localhost");
    assert_eq!(host["inventory"], inventory["id"]);
    let variables: Value = serde_json::from_str(host["variables"].as_str().unwrap()).unwrap();
    let local = json!({ "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}" });
    assert_eq!(variables, local);
    let kind = one("credential_types", "Tokensmith gateway");
    let environment = json!({ "GATEWAY_HOSTNAME": "{{ host }}", "GATEWAY_API_TOKEN": "{{ token }}" });
    assert_eq!(kind["injectors"], json!({ "env": environment }));
    let template = one("job_templates", "Tokensmith keep offline token");
    let refers =
        [("project", &project["id"]), ("inventory", &inventory["id"]), ("playbook", &json!("keep_offline_token.yml"))];
    for (field, value) in refers {
        assert_eq!(&template[field], value, "{field}");
    }
    assert_eq!(template["summary_fields"]["credentials"][0]["name"], "SSO");
    assert_eq!(template["extra_vars"], "{\"sso_dest_credential\": {\"name\": \"SSO\"}}");
    let schedule = one("schedules", "Tokensmith keep offline token, weekly");
    assert_eq!((&schedule["unified_job_template"], &schedule["enabled"]), (&template["id"], &json!(true)));
    assert_eq!(schedule["rrule"], "DTSTART;TZID=Etc/UTC:20260105T031000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO");
    assert_eq!(objects["schedules"].as_array().unwrap().len(), 3, "only those that setup_jobs names");
}

fn started() -> Sandbox {
    Sandbox::start().expect("the sandbox starts")
}

fn refused(played: &Played, words: &[&str]) {
    assert!(!played.success, "{}", played.printed);
    for word in words {
        assert!(played.printed.contains(word), "{word}: {}", played.printed);
    }
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

const NAME: &str = "tokensmith.redhat.controller_setup";
const URL: &str = "https://git.example.com/tokens.git";
const SECRETS: [&str; 2] = ["an-offline-token-that-must-not-be-shown", "a-platform-token-that-must-not-be-shown"];
const THEIRS: &str = "theirs";
const JOBS: [&str; 7] = [
    "clear_expired",
    "keep_offline_token",
    "renew_rhacs_tokens",
    "report_expiring",
    "rotate_gateway_token",
    "rotate_hub_token",
    "rotate_quay_robots",
];
const KINDS: [&str; 9] = [
    "organizations",
    "credential_types",
    "credentials",
    "execution_environments",
    "inventories",
    "hosts",
    "projects",
    "job_templates",
    "schedules",
];
/// The variables of infra.aap_configuration that are used, and the keys which its roles know of those that are, or may be, used here.
const KEYS: [(&str, &[&str]); 8] = [
    ("aap_organizations", &["name", "description", "default_environment", "galaxy_credentials", "max_hosts", "state"]),
    ("controller_credential_types", &["name", "description", "kind", "inputs", "injectors", "state"]),
    (
        "controller_execution_environments",
        &["name", "description", "image", "organization", "credential", "pull", "state"],
    ),
    ("controller_hosts", &["name", "description", "inventory", "enabled", "variables", "state"]),
    (
        "controller_inventories",
        &["name", "description", "organization", "kind", "variables", "host_filter", "instance_groups", "state"],
    ),
    (
        "controller_projects",
        &[
            "name",
            "description",
            "organization",
            "scm_type",
            "scm_url",
            "scm_branch",
            "scm_refspec",
            "credential",
            "local_path",
            "default_environment",
            "scm_update_on_launch",
            "allow_override",
            "wait",
            "update_project",
            "state",
        ],
    ),
    (
        "controller_schedules",
        &[
            "name",
            "description",
            "organization",
            "unified_job_template",
            "rrule",
            "enabled",
            "extra_data",
            "limit",
            "state",
        ],
    ),
    (
        "controller_templates",
        &[
            "name",
            "description",
            "organization",
            "project",
            "playbook",
            "inventory",
            "execution_environment",
            "credentials",
            "extra_vars",
            "allow_simultaneous",
            "job_type",
            "limit",
            "verbosity",
            "forks",
            "timeout",
            "state",
        ],
    ),
];
