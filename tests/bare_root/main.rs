//! Every module in a root file system with nothing in it but `sh` and `uname`: no Python, no certificates, no /dev, no /proc, no accounts.
//!
//! `make test` names the static executable, and says whether such a root can be had.

#![cfg(test)]

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokensmith_documentation::Module;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::gateway::GatewayScene;
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::installed::Installed;
use tokensmith_tests::quay::{QuayScene, with};
use tokensmith_tests::rhacs::RhacsScene;
use tokensmith_tests::scene::{Scene, mode, names, read};
use tokensmith_tests::ssh_hosts;

mod host;

#[test]
fn every_module_does_its_work_for_a_user_without_a_home_where_all_but_one_folder_is_read_only() {
    let Some(world) = World::new() else { return };
    let mut tried = Vec::new();
    for task in world.tasks() {
        let options = with(task.options.clone(), json!({ "ca_path": task.needs_trust.then_some(CA) }));
        world.run(&task.name, options.clone()).succeeded();
        if task.hands_over {
            let dest = format!("{}-token", task.name);
            world.run(&task.name, with(options, json!({ "dest": format!("/srv/{dest}") }))).succeeded();
            let file = world.writable.path().join(&dest);
            assert!(read(&file).len() >= SHORTEST_TOKEN, "{}", task.name);
            let owner = fs::metadata(&file).unwrap().uid();
            assert_eq!((owner, mode(&file)), (NUMBER, 0o600), "{}", task.name);
        }
        tried.push(task.name);
    }
    tried.sort();
    let mut all: Vec<String> = modules().iter().map(|module| module.name().to_owned()).collect();
    all.sort();
    assert_eq!(tried, all);
    assert_eq!(names(&world.root.path().join("srv")), [""; 0], "the root itself was left as it was");
}

#[test]
fn without_a_trust_store_nothing_is_sent_and_the_sentence_says_what_to_do() {
    let Some(world) = World::new() else { return };
    for task in world.tasks().into_iter().filter(|task| task.needs_trust) {
        let run = world.run(&task.name, with(task.options.clone(), json!({ "ca_path": null })));
        assert!(run.failed() && run.message().contains(NO_TRUST_STORE), "{run}");
        assert!(run.message().contains("nothing was sent") && run.message().contains("as ca_path"), "{run}");
        let unchecked = with(task.options, json!({ "ca_path": null, "validate_certs": false }));
        let run = world.run(&task.name, unchecked).succeeded();
        assert!(run.warnings().contains("anybody between here and "), "{run}");
    }
}

#[test]
fn what_such_a_root_cannot_give_is_said_in_a_sentence() {
    let Some(world) = World::new() else { return };
    let create = json!({ "command": "create_oauth2_token", "user": "admin" });
    let cases = [
        (json!({ "dest": "/token" }), "dest /token: its lock cannot be made beside it: the file system is read-only"),
        (json!({ "dest": "~/token" }), "the user has no home for ~ to stand for"),
        (json!({ "dest": "/srv/new/token" }), "does not exist; make it first"),
        (json!({ "dest": "/srv/token", "owner": "builder" }), "owner 'builder' is not known on this host"),
        (json!({ "executable": "awx-manage" }), "awx-manage"),
    ];
    for (options, sentence) in cases {
        let run = world.run("gateway_manage", with(create.clone(), options));
        assert!(run.failed() && run.message().contains(sentence), "{sentence}: {run}");
    }
    let named = world.sso.realm.token_url().replacen("https://127.0.0.1", "https://nowhere.invalid", 1);
    let of_account = json!({ "client_id": ACCOUNT, "client_secret": Installed::ACCOUNT_SECRET, "ca_path": CA });
    let run = world.run("sso_token", with(of_account, json!({ "token_url": named, "request_timeout": 10 })));
    assert!(run.failed() && run.message().contains("could not be resolved"), "{run}");
    assert_eq!(names(world.writable.path()).into_iter().filter(|name| !name.starts_with('.')).count(), 0);
}

/// The systems, and a root with the executable in it.
struct World {
    root: TempDir,
    writable: TempDir,
    sso: Scene,
    quay: QuayScene,
    gateway: GatewayScene,
    hub: HubScene,
    rhacs: RhacsScene,
}

/// A task that has a token made, without `ca_path`.
struct Task {
    name: String,
    options: Value,
    needs_trust: bool,
    hands_over: bool,
}

impl World {
    /// `None` where such a root cannot be had.
    fn new() -> Option<Self> {
        if !ssh_hosts::can_be_had().unwrap() {
            return None;
        }
        let [root, writable] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let world = Self {
            root,
            writable,
            sso: Scene::new(),
            quay: QuayScene::new(),
            gateway: GatewayScene::new(),
            hub: HubScene::new(),
            rhacs: RhacsScene::new(),
        };
        let made = Command::new("sh").args([SCRIPT, "make"]).arg(world.root.path()).status().unwrap();
        assert!(made.success());
        let executable = env::var("TOKENSMITH_EXECUTABLE").expect("`make test` names the executable");
        world.put("bin/tokensmith", &fs::read(executable).unwrap());
        world.put("bin/aap-gateway-manage", MANAGE.as_bytes());
        world.put(CA, world.authorities().as_bytes());
        chown(world.writable.path(), Some(NUMBER), Some(NUMBER)).unwrap();
        Some(world)
    }

    /// One for each module.
    fn tasks(&self) -> Vec<Task> {
        let task = |name: &str, options: Value| {
            let needs_trust = !options["ca_path"].is_null();
            Task { name: name.to_owned(), options, needs_trust, hands_over: name != "rhacs_api_token_info" }
        };
        let account = json!({ "client_id": ACCOUNT, "client_secret": Installed::ACCOUNT_SECRET });
        let oidc = |token: String| json!({ "oidc_token": token });
        let of_robot = oidc(self.quay.external_token("acme+ci").sign().unwrap());
        let of_machine = oidc(self.rhacs.external_token().sign().unwrap());
        let rotated = json!({ "state": "rotated" });
        vec![
            task("sso_token", self.sso.options(account)),
            task("quay_robot_token", self.quay.robot_options(with(rotated.clone(), json!({ "robot": "ci" })))),
            task("quay_keyless_token", with(self.quay.options(json!({ "robot": "acme+ci" })), of_robot)),
            task("gateway_token", self.gateway.token_options(rotated.clone())),
            task("gateway_manage", json!({ "command": "create_oauth2_token", "user": "admin" })),
            task("hub_token", self.hub.options(rotated.clone())),
            task("rhacs_api_token", self.rhacs.api_token_options(rotated)),
            task("rhacs_api_token_info", self.rhacs.options(json!({}))),
            task("rhacs_m2m_token", self.rhacs.machine_token_options(of_machine)),
        ]
    }

    /// Runs a module in the root.
    fn run(&self, name: &str, options: Value) -> Run {
        let mut arguments = with(options, json!({ "_tokensmith_module": name }));
        arguments.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let mut command = Command::new("sh");
        command.args([SCRIPT, "run"]).args([self.root.path(), self.writable.path()]);
        command.args([&NUMBER.to_string(), "/bin/tokensmith", "-"]);
        Run::from_output(&executable::run_with_input(&mut command, arguments.to_string().as_bytes()))
    }

    /// The authorities of all the systems.
    fn authorities(&self) -> String {
        let sandboxes =
            [&self.sso.sandbox, &self.quay.sandbox, &self.gateway.sandbox, &self.hub.sandbox, &self.rhacs.sandbox];
        sandboxes.map(|sandbox| read(&sandbox.ca_path())).concat()
    }

    fn put(&self, path: &str, content: &[u8]) {
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn modules() -> Vec<Module> {
    Module::read_all(&source("modules")).unwrap()
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bare_root/root.sh");
/// Where the root has the authorities.
const CA: &str = "/ca.pem";
/// A user that no root knows.
const NUMBER: u32 = 64_999;
const SHORTEST_TOKEN: usize = 30;
const ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";
const NO_TRUST_STORE: &str = "this host has no trust store";
const MANAGE: &str = "#!/bin/sh\necho AbCdEfGhIjKlMnOpQrStUvWxYz0123\n";
