//! The same for the module of the platform's tokens, and its playbook.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokensmith_tests::gateway::{GatewayScene, USER};
use tokensmith_tests::installed::Installed;
use tokensmith_tests::scene::{mode, read};

use super::{assert_refused, by_every_way, found, has_environment, keys, registered};

#[test]
fn the_playbook_keeps_the_tokens_of_the_platform_fresh_on_every_ansible_core() {
    for installed in Installed::on_outer_cores() {
        let scene = GatewayScene::new();
        let (core, gateway) = (installed.core(), scene.platform());
        let play = |more: Value| {
            let mut variables = variables(&scene);
            variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            installed.playbook(PLAYBOOK, &variables).succeeded()
        };
        let id = |description: &str| {
            let token = gateway.tokens().into_iter().rev().find(|token| token.description == description);
            token.expect("the playbook created it").id
        };

        let printed = play(json!({}));
        assert!(printed.contains("changed=1"), "{core}: {printed}");
        let [pipeline, inventory] = ["pipeline", "inventory sync"].map(id);
        for line in [
            format!("pipeline: missing, token {pipeline} until 20"),
            format!("inventory sync: missing, token {inventory} until 20"),
        ] {
            assert!(printed.contains(&line), "{line} on {core}: {printed}");
        }
        assert!(play(json!({})).contains("changed=0"), "{core}");
        assert_eq!([id("pipeline"), id("inventory sync")], [pipeline, inventory], "{core}");

        assert!(gateway.expire_in(pipeline, 20 * DAY) && gateway.expire_in(inventory, 20 * DAY));
        let printed = play(json!({}));
        assert!(printed.contains(&format!("deleted: {pipeline}")), "{core}: {printed}");
        // It lives on for an hour.
        assert!(printed.contains(&format!("still valid: {inventory}")), "{core}: {printed}");
        assert_ne!(id("pipeline"), pipeline, "{core}");
        assert!(play(json!({})).contains("changed=0"), "{core}");
        assert!(play(json!({ "gateway_renew_before": "370d" })).contains("pipeline: expiring"), "{core}");
        assert!(play(json!({ "gateway_state": "rotated" })).contains("pipeline: forced"), "{core}");

        assert!(gateway.token_works(&read(&scene.path("pipeline"))), "{core}");
        assert_eq!(mode(&scene.path("pipeline")), 0o640, "{core}");
        assert_eq!(gateway.live_tokens("pipeline"), 1, "{core}");
        let env = read(&scene.path("inventory.env"));
        let token = env.lines().next().unwrap().split_once('=').unwrap().1.trim_matches('\'');
        assert!(gateway.token_works(token), "{core}");
    }
}

#[test]
fn the_playbook_of_the_platform_forecasts_in_check_mode_and_shows_no_secret() {
    let installed = Installed::on_tools();
    let scene = GatewayScene::new();
    let mut variables = variables(&scene);
    variables["gateway_state"] = json!("rotated");
    for words in [["--check", "--diff", "-vvvv"], ["--diff", "-vvvv", "--diff"], ["--check", "--diff", "-vvvv"]] {
        let is_check = words.contains(&"--check");
        let before = scene.platform().tokens().len();
        let writes = scene.writes().len();
        let printed = installed.playbook_with(PLAYBOOK, &variables, &words).succeeded();
        assert!(printed.contains("pipeline: forced"), "{printed}");
        assert_eq!(scene.writes().len() == writes, is_check);
        assert_eq!(scene.platform().tokens().len() == before, is_check);
        let secrets = secrets(&scene, &[]);
        for (place, text) in installed.everything_shown() {
            assert_eq!(found(&text, &secrets), Vec::<&String>::new(), "in {place}: {text}");
        }
    }
}

#[test]
fn the_playbook_does_all_it_can_for_the_platform_and_takes_the_credential_from_the_environment() {
    if !has_environment() {
        return;
    }
    let installed = Installed::on_tools();
    let scene = GatewayScene::new();
    let mut variables = variables(&scene);
    let fields = variables.as_object_mut().unwrap();
    for name in ["gateway_hostname", "gateway_username", "gateway_password"] {
        fields.remove(name);
    }
    let tokens = fields["gateway_tokens"].as_array_mut().unwrap();
    tokens.insert(0, json!({ "description": "broken", "dest": "/nonexistent/token" }));
    let password = scene.platform().password(USER);
    let run = installed
        .with_environment("GATEWAY_HOSTNAME", &scene.platform().url())
        .with_environment("AAP_USERNAME", USER)
        .with_environment("GATEWAY_PASSWORD", &password)
        .playbook(PLAYBOOK, &variables);
    assert!(!run.success, "{}", run.printed);
    for words in ["/nonexistent/token", "pipeline: missing, token", "inventory sync: missing, token"] {
        assert!(run.printed.contains(words), "{words}: {}", run.printed);
    }
    assert!(scene.platform().token_works(&read(&scene.path("pipeline"))));
    assert!(!run.printed.contains(&password), "{}", run.printed);
}

#[test]
fn the_playbook_refuses_an_entry_of_the_platform_that_would_lose_its_token_before_anything_is_done() {
    let installed = Installed::on_tools();
    let scene = GatewayScene::new();
    let good = json!({ "description": "pipeline", "dest": scene.path("pipeline") });
    let wrong = [
        json!({ "description": "other" }),
        json!({ "dest": scene.path("other") }),
        json!({ "description": "other", "dest": scene.path("other"), "dest_fromat": "env" }),
        json!({ "description": "other", "dest": scene.path("other"), "return_token": true }),
    ];
    let mut cases = wrong.map(|wrong| json!({ "gateway_tokens": [good, wrong] })).to_vec();
    cases.push(json!({ "gateway_tokens": [good], "gateway_state": "absent" }));
    let mut variables = variables(&scene);
    variables.as_object_mut().unwrap().remove("gateway_tokens");
    let run = installed.playbook_on_cases(PLAYBOOK, "gateway_hosts", &variables, &cases);
    assert_refused(&run, &cases, "Each entry of gateway_tokens needs description, and dest or dest_credential");
    assert!(!scene.path("pipeline").exists() && scene.sandbox.records().all().is_empty());
}

#[test]
fn every_way_to_run_the_module_of_the_platform_gives_the_same_result_and_shows_no_secret() {
    let installed = Installed::on_tools();
    let scene = GatewayScene::new();
    let played = by_every_way(&installed, &scene, |name, way| tasks(&scene, name, way));
    for (task, direct, other) in &played.pairs {
        assert_eq!(keys(direct), keys(other), "{task}: {direct}");
        for key in ["changed", "failed", "reason", "description", "scope", "created", "dest", "warnings", "msg"] {
            assert_eq!(direct[key], other[key], "{key} of {task}: {direct}");
        }
    }
    for (way, results) in &played.results {
        let secrets = secrets(&scene, results);
        // What the play did is what it was written for.
        assert!(secrets.len() >= 15, "the play is to bring many secrets about: {}", secrets.len());
        for (number, result) in results.iter().enumerate() {
            assert_eq!(result["failed"] == true, FAILING.contains(&number), "task {number}, {way}: {result}");
        }
        played.hunt(&secrets);
    }
}

#[test]
fn no_secret_of_the_platform_stands_in_the_event_files_of_ansible_runner() {
    let installed = Installed::on_tools();
    let scene = GatewayScene::new();
    let (results, events) = installed.runner(&scene, &tasks(&scene, "results", ""));
    let secrets = secrets(&scene, results["results"].as_array().unwrap());
    assert!(events.len() > 10, "{} events", events.len());
    for (name, event) in events {
        assert_eq!(found(&event, &secrets), Vec::<&String>::new(), "in {name}: {event}");
    }
}

fn variables(scene: &GatewayScene) -> Value {
    json!({
        "gateway_hostname": scene.platform().url(),
        "gateway_username": USER,
        "gateway_password": scene.platform().password(USER),
        "gateway_ca_path": scene.sandbox.ca_path(),
        "gateway_tokens": [
            { "description": "pipeline", "dest": scene.path("pipeline"), "mode": "0640" },
            {
                "description": "inventory sync",
                "scope": ["read"],
                "dest": scene.path("inventory.env"),
                "dest_format": "env",
                "overlap": "1h",
            },
        ],
    })
}

/// Tasks of every kind, and one that keeps what they registered under a name: secrets given and returned, changed and unchanged, failed in many ways.
fn tasks(scene: &GatewayScene, name: &str, way: &str) -> String {
    let dest = |file: &str| scene.path(&format!("{name}-{file}")).display().to_string();
    let own = "gateway_token: '{{ own }}'";
    let options = [
        format!("description: {name}"),
        format!("description: {name}, existing_token: '{{{{ {name}_0 }}}}'"),
        format!("description: {name}-file, dest: '{}'", dest("raw")),
        format!("description: {name}-file, dest: '{}', state: rotated", dest("raw")),
        format!("description: {name}-json, dest: '{}', dest_format: json, return_token: true", dest("json")),
        "gateway_username: admin, gateway_password: '{{ admin_password }}', application: deploy, description: sync, state: rotated"
            .to_owned(),
        format!("{own}, description: {name}-env, dest: '{}', dest_format: env", dest("env")),
        format!("gateway_token: {{token: '{{{{ own }}}}'}}, description: {name}, state: rotated"),
        format!("gateway_token: '{{{{ wrong_secret }}}}', description: {name}, state: rotated"),
        format!("gateway_password: '{{{{ wrong_secret }}}}', description: {name}, state: rotated"),
        format!("{own}, description: {name}, bogus: '{{{{ own }}}}'"),
        format!("{own}, description: '{{{{ own }}}}', scope: ['{{{{ own }}}}']"),
        format!("{own}, description: {name}, dest: '{}', max_age: '{{{{ own }}}}'", dest("raw")),
        format!("description: {name}, state: rotated, dest: /nonexistent/token"),
        format!("description: {name}, existing_token: '{{{{ {name}_0.token }}}}', max_age: '0'"),
        format!("description: {name}, existing_token: '{{{{ {name}_0 }}}}', state: absent"),
        format!("description: {name}-file, dest: '{}', state: absent", dest("raw")),
    ];
    let mut text = String::new();
    let mut names = Vec::new();
    for (number, options) in options.into_iter().enumerate() {
        let register = format!("{name}_{number}");
        text.push_str(&format!(
            "\n    - tokensmith.redhat.gateway_token: {{{options}}}\n      register: {register}\n      ignore_errors: true\n      {way}"
        ));
        names.push(register);
    }
    // In a loop and under no_log as well.
    text.push_str(&format!(
        "\n    - tokensmith.redhat.gateway_token: {{description: '{name}-{{{{ item }}}}', api: '{{{{ item }}}}', state: rotated}}\n      loop: [gateway, controller]\n      register: {name}_loop\n      ignore_errors: true\n      no_log: '{{{{ item == \"gateway\" }}}}'\n      {way}"
    ));
    names.push(format!("{name}_loop"));
    text + &registered(&names.iter().map(String::as_str).collect::<Vec<_>>(), name)
}

/// Every secret that the play met: given, sent, returned or written; and the pairs of user and password as they are sent.
fn secrets(scene: &GatewayScene, results: &[Value]) -> Vec<String> {
    let mut secrets = BTreeSet::from([
        scene.platform().password(USER),
        scene.platform().password("admin"),
        Installed::WRONG_SECRET.to_owned(),
    ]);
    for request in scene.sandbox.records().all() {
        let Some((kind, value)) = request.authorization.as_deref().and_then(|value| value.split_once(' ')) else {
            continue;
        };
        secrets.insert(value.to_owned());
        if kind == "Basic" {
            let login = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
            secrets.insert(login.split_once(':').unwrap().1.to_owned());
        }
    }
    let rows = results.iter().flat_map(|result| result["results"].as_array().into_iter().flatten());
    for result in results.iter().chain(rows) {
        secrets.extend(["token", "refresh_token"].iter().filter_map(|name| result[*name].as_str()).map(str::to_owned));
    }
    secrets.into_iter().filter(|secret| secret.len() > 8).collect()
}

const PLAYBOOK: &str = "tokensmith.redhat.rotate_gateway_token";
/// The tasks that fail, by their numbers; the last is the loop.
const FAILING: [usize; 7] = [8, 9, 10, 11, 12, 13, 17];
const DAY: i64 = 86_400;
