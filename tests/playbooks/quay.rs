//! The same for the modules of Quay, its playbook, and the playbook in its documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokensmith_tests::installed::{Installed, World as _};
use tokensmith_tests::quay::QuayScene;
use tokensmith_tests::scene::{mode, names, read};

use super::{assert_refused, by_every_way, found, has_environment, keys, registered};

#[test]
fn the_playbook_keeps_the_tokens_of_an_inventory_fresh_on_every_ansible_core() {
    for installed in Installed::on_outer_cores() {
        let scene = scene();
        let play = |more: Value| {
            let mut variables = variables(&scene);
            variables["quay_rotations"] = json!([
                {
                    "organization": "acme",
                    "robots": ["ci", "deploy"],
                    "create_robot": true,
                    "dest": scene.path("{stem}.json"),
                    "dest_format": "docker_config",
                    "registry_key": "organization",
                    "max_age": "30d",
                },
                { "all_robots": true, "dest": scene.path("{robot}"), "mode": "0640" },
            ]);
            variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            installed.playbook(PLAYBOOK, &variables).succeeded()
        };
        let regenerated = || ROBOTS.map(|robot| scene.quay().regenerations(robot));
        let core = installed.core();

        let printed = play(json!({}));
        assert!(printed.contains("changed=1"), "{core}: {printed}");
        for line in [
            "acme+ci missing, acme+deploy missing",
            "2 robots: 0 with a new token, 1 new themselves",
            "alice+laptop missing",
        ] {
            assert!(printed.contains(line), "{line} on {core}: {printed}");
        }
        let printed = play(json!({}));
        assert!(printed.contains("changed=0") && printed.contains("2 robots: 0 with a new token"), "{core}: {printed}");
        assert_eq!(regenerated(), [0, 0, 0], "{core}");

        play(json!({ "quay_state": "rotated" }));
        assert_eq!(regenerated(), [1, 1, 1], "{core}");
        age(&scene.path(".acme-deploy.json.tokensmith."));
        let printed = play(json!({}));
        assert!(printed.contains("changed: acme+deploy aged"), "{core}: {printed}");
        assert!(play(json!({})).contains("changed=0"), "{core}");
        assert_eq!(regenerated(), [1, 2, 1], "{core}");

        for robot in ["ci", "deploy"] {
            assert_eq!(
                docker_login(&scene.path(&format!("acme-{robot}.json"))),
                pair(&scene, &format!("acme+{robot}")),
                "{core}"
            );
        }
        assert_eq!(read(&scene.path("laptop")), scene.robot_token("alice+laptop"), "{core}");
        assert_eq!(mode(&scene.path("laptop")), 0o640, "{core}");
    }
}

#[test]
fn the_playbook_forecasts_in_check_mode_and_touches_nothing() {
    let installed = Installed::on_tools();
    let scene = scene();
    let mut variables = variables(&scene);
    variables["quay_rotations"] =
        json!([{ "organization": "acme", "all_robots": true, "dest": scene.path("{robot}") }]);
    variables["quay_state"] = json!("rotated");
    let printed = installed.playbook_with(PLAYBOOK, &variables, &["--check"]).succeeded();
    assert!(printed.contains("changed: acme+ci forced"), "{printed}");
    assert_eq!(scene.quay().regenerations("acme+ci"), 0);
    assert!(!names(scene.path("ci").parent().unwrap()).iter().any(|name| name.contains("ci")), "a file was written");
}

#[test]
fn the_playbook_does_all_it_can_takes_the_token_from_the_environment_and_tells_who_failed() {
    if !has_environment() {
        return;
    }
    let installed = Installed::on_tools();
    let scene = scene();
    let mut variables = variables(&scene);
    variables.as_object_mut().unwrap().remove("quay_token");
    variables["quay_rotations"] = json!([
        { "organization": "acme", "robots": ["ghost", "ci"], "dest": scene.path("{robot}") },
        { "robots": ["laptop"], "dest": scene.path("{robot}") },
    ]);
    let run = installed.with_environment("QUAY_TOKEN", &scene.token).playbook(PLAYBOOK, &variables);
    assert!(!run.success, "{}", run.printed);
    for words in
        ["1 of 2 robots failed", "there is no robot ghost", "changed: acme+ci missing", "changed: alice+laptop missing"]
    {
        assert!(run.printed.contains(words), "{words}: {}", run.printed);
    }
    for (file, robot) in [("ci", "acme+ci"), ("laptop", "alice+laptop")] {
        assert_eq!(read(&scene.path(file)), scene.robot_token(robot));
    }
    assert!(!run.printed.contains(&scene.token));
}

#[test]
fn the_playbook_refuses_an_entry_that_would_lose_its_tokens_before_anything_is_done() {
    let installed = Installed::on_tools();
    let scene = scene();
    let good = json!({ "organization": "acme", "robots": ["ci"], "dest": scene.path("ci") });
    let cases = [
        json!({ "organization": "acme", "robots": ["ci"] }),
        json!({ "organization": "acme", "robots": ["ci"], "dest": "/tmp/x", "dest_fromat": "env" }),
    ]
    .map(|wrong| json!({ "quay_rotations": [good, wrong] }));
    let run = installed.playbook_on_cases(PLAYBOOK, "quay_hosts", &variables(&scene), &cases);
    assert_refused(&run, &cases, "Each entry of quay_rotations needs dest, or dest_credential");
    assert!(!scene.path("ci").exists() && scene.sandbox.records().all().is_empty());
}

#[test]
fn the_blue_green_playbook_of_the_documentation_never_ends_the_token_that_is_in_use() {
    let installed = Installed::on_tools();
    let scene = scene();
    for robot in ["acme+pull-blue", "acme+pull-green"] {
        scene.quay().add_robot(robot);
    }
    let playbook = scene.file("blue_green.yml", documented("blue_green.yml"));
    let auth = scene.file("auth.json", OTHER_ENTRY);
    let mut variables = variables(&scene);
    variables["auth_file"] = json!(auth);
    let play = |changed: &str| {
        let printed = installed.playbook(playbook.to_str().unwrap(), &variables).succeeded();
        assert!(printed.contains(changed), "{printed}");
        docker_login(&auth)
    };
    let logs_in = |login: &(String, String)| scene.quay().login_works(&login.0, &login.1);

    let first = play("changed=1");
    assert_eq!(play("changed=0"), first, "before its time nothing is done");
    let mut in_use = first;
    for turn in 0..3 {
        age(&scene.path(".auth.json.tokensmith."));
        let next = play("changed=1");
        assert_ne!(next.0, in_use.0, "turn {turn}: the two take turns");
        assert!(logs_in(&next) && logs_in(&in_use), "turn {turn}: who has not read the file yet can still log in");
        assert_eq!(play("changed=0"), next, "turn {turn}");
        in_use = next;
    }
    assert!(read(&auth).contains("registry.example.com"), "what others have in the file stays: {}", read(&auth));
}

#[test]
fn every_way_to_run_the_modules_of_quay_gives_the_same_result_and_shows_no_secret() {
    let installed = Installed::on_tools();
    let scene = scene();
    let before = secrets_before(&scene);
    let played = by_every_way(&installed, &scene, |name, way| tasks(&scene, name, way));
    for (task, direct, other) in &played.pairs {
        assert_eq!(keys(direct), keys(other), "{task}: {direct}");
        for key in
            ["changed", "failed", "reason", "robot", "rotated", "deleted", "dest", "registry", "summary", "warnings"]
        {
            assert_eq!(direct[key], other[key], "{key} of {task}: {direct}");
        }
    }
    for (way, results) in &played.results {
        played.hunt(&secrets(&scene, before.clone(), way, results));
    }
}

#[test]
fn no_secret_of_quay_stands_in_what_the_json_callback_prints() {
    let installed = Installed::on_tools();
    let scene = scene();
    let before = secrets_before(&scene);
    let callback = [("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")];
    let results = installed.results_of(&scene, &tasks(&scene, "results", ""), &[], &callback);
    let secrets = secrets(&scene, before, "results", results["results"].as_array().unwrap());
    let printed = installed.printed();
    let document: Value = serde_json::from_str(&printed[printed.find('{').unwrap()..]).unwrap();
    assert!(document["plays"][0]["tasks"].as_array().unwrap().len() > 10);
    assert_eq!(found(&printed, &secrets), Vec::<&String>::new(), "{printed}");
}

#[test]
fn no_secret_of_quay_stands_in_the_event_files_of_ansible_runner() {
    let installed = Installed::on_tools();
    let scene = scene();
    let before = secrets_before(&scene);
    let (results, events) = installed.runner(&scene, &tasks(&scene, "results", ""));
    let secrets = secrets(&scene, before, "results", results["results"].as_array().unwrap());
    assert!(events.len() > 10, "{} events", events.len());
    for (name, event) in events {
        assert_eq!(found(&event, &secrets), Vec::<&String>::new(), "in {name}: {event}");
    }
}

/// With a robot of the user's own, and one that the playbook is to make not there yet.
fn scene() -> QuayScene {
    let scene = QuayScene::new();
    scene.quay().add_robot("alice+laptop");
    scene.quay().change(|state| state.robots.remove("acme+deploy"));
    scene
}

fn variables(scene: &QuayScene) -> Value {
    json!({ "quay_host": scene.quay().url(), "quay_token": scene.token, "quay_ca_path": scene.sandbox.ca_path() })
}

/// The text of a playbook in the documentation of Quay, which begins with its name in a comment.
fn documented(name: &str) -> &'static str {
    let documentation = include_str!("../../docs/quay.md");
    let begin = format!("```yaml\n# {name}");
    let begin = documentation.find(&begin).unwrap_or_else(|| panic!("docs/quay.md has no {name}")) + "```yaml\n".len();
    documentation[begin..].split_once("```").unwrap().0
}

/// Lets the notes beside a file, whose names begin like this, tell of a rotation that was long ago.
fn age(start: &Path) {
    let start_of_name = start.file_name().unwrap().to_str().unwrap();
    let folder = start.parent().unwrap();
    let is_note = |name: &&String| name.starts_with(start_of_name) && name.ends_with("json");
    let names = names(folder);
    let notes: Vec<_> = names.iter().filter(is_note).collect();
    assert_eq!(notes.len(), 1, "{start_of_name} in {names:?}");
    let path = folder.join(notes[0]);
    let mut note: Value = serde_json::from_str(&read(&path)).unwrap();
    assert!(note["rotated_at"].is_string(), "{note}");
    note["rotated_at"] = json!("2020-01-01T00:00:00Z");
    fs::write(&path, note.to_string()).unwrap();
}

/// User name and password of the entry for the organization.
fn docker_login(path: &Path) -> (String, String) {
    let document: Value = serde_json::from_str(&read(path)).unwrap();
    let entries = document["auths"].as_object().unwrap();
    let (_, entry) = entries.iter().find(|(key, _)| key.ends_with("/acme")).unwrap();
    let login = String::from_utf8(STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap()).unwrap();
    let (username, password) = login.split_once(':').unwrap();
    (username.to_owned(), password.to_owned())
}

fn pair(scene: &QuayScene, robot: &str) -> (String, String) {
    (robot.to_owned(), scene.robot_token(robot))
}

/// Tasks of every kind, and one that keeps what they registered under a name: secrets given and returned, changed and unchanged, failed in many ways.
fn tasks(scene: &QuayScene, name: &str, way: &str) -> String {
    // Each way begins with the same robots.
    for robot in ["build", "old"] {
        scene.quay().add_robot(&format!("acme+{name}-{robot}"));
    }
    let dest = |file: &str| scene.path(&format!("{name}-{file}")).display().to_string();
    let acme = "quay_token: '{{ administrator }}', organization: acme";
    let robots = [
        format!("{acme}, robot: ci"),
        format!("{acme}, robot: ci, dest: '{}'", dest("raw")),
        format!("{acme}, robot: ci, dest: '{}', state: rotated", dest("raw")),
        format!(
            "{acme}, robot: ci, dest: '{}', dest_format: docker_config, state: rotated, return_token: true",
            dest("auth.json")
        ),
        format!(
            "{acme}, robots: [ci, {name}-build], dest: '{}', dest_format: kubernetes_secret, state: rotated",
            dest("{robot}.yml")
        ),
        format!("{acme}, robots: [ci, ghost]"),
        format!("{acme}, robot: ci, state: rotated, dest: /nonexistent/token"),
        format!("{acme}, robot: {name}-old, state: absent, delete_robot: true, dest: '{}'", dest("old")),
        format!("{acme}, robot: ci, description: '{{{{ administrator }}}}', create_robot: '{{{{ administrator }}}}'"),
        format!("{acme}, robot: ci, bogus: '{{{{ administrator }}}}'"),
        format!("{acme}, robot: ci, max_age: '{{{{ administrator }}}}', dest: '{}'", dest("raw")),
        "quay_token: '{{ wrong_secret }}', organization: acme, robot: ci, state: rotated".to_owned(),
        "quay_token: '{{ administrator }}', robot: laptop".to_owned(),
        "quay_token: '{{ administrator }}', all_robots: true, state: rotated".to_owned(),
    ]
    .map(|options| ("quay_robot_token", options));
    let keyless = [
        "robot: acme+ci, oidc_token: '{{ oidc }}'".to_owned(),
        format!(
            "robot: acme+ci, oidc_token: '{{{{ oidc }}}}', dest: '{}', dest_format: docker_config",
            dest("keyless.json")
        ),
        "robot: acme+ci, oidc_token: '{{ expired_oidc }}'".to_owned(),
        "robot: acme+ci, oidc_token: '{{ wrong_secret }}'".to_owned(),
    ]
    .map(|options| ("quay_keyless_token", options));
    let mut text = String::new();
    let mut names = Vec::new();
    for (number, (module, options)) in robots.into_iter().chain(keyless).enumerate() {
        let register = format!("{name}_{number}");
        text.push_str(&format!(
            "\n    - tokensmith.redhat.{module}: {{{options}}}\n      register: {register}\n      ignore_errors: true\n      {way}"
        ));
        names.push(register);
    }
    // In a loop and under no_log as well.
    text.push_str(&format!(
        "\n    - tokensmith.redhat.quay_robot_token: {{{acme}, robot: '{{{{ item }}}}', state: rotated}}\n      loop: [ci, ghost]\n      register: {name}_loop\n      ignore_errors: true\n      no_log: '{{{{ item == \"ci\" }}}}'\n      {way}"
    ));
    names.push(format!("{name}_loop"));
    text + &registered(&names.iter().map(String::as_str).collect::<Vec<_>>(), name)
}

/// What is secret before the play: what it is given, and the tokens that it ends.
fn secrets_before(scene: &QuayScene) -> Vec<String> {
    let given = scene.secrets();
    let given = given.as_object().unwrap().values().filter_map(Value::as_str).map(str::to_owned);
    given.chain(["acme+ci", "alice+laptop"].map(|robot| scene.robot_token(robot))).collect()
}

/// Every secret that the play met: given, sent, returned, written, valid before and after; and the pairs of user and password as files hold them.
fn secrets(scene: &QuayScene, before: Vec<String>, name: &str, results: &[Value]) -> Vec<String> {
    let mut secrets: BTreeSet<String> = before.into_iter().collect();
    secrets.extend(["acme+ci", "alice+laptop", &format!("acme+{name}-build")].map(|robot| scene.robot_token(robot)));
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
    let rows = results.iter().flat_map(|result| result["robot_accounts"].as_array().into_iter().flatten());
    secrets.extend(results.iter().chain(rows).filter_map(|result| result["token"].as_str()).map(str::to_owned));
    // What the play did is what it was written for.
    let met = |text: &str| secrets.contains(text);
    let raw = read(&scene.path(&format!("{name}-raw")));
    assert!(met(&raw) || raw.len() == 64);
    assert!(secrets.len() >= 20, "the play is to bring many secrets about: {}", secrets.len());
    for (number, failed) in
        [(2, false), (3, false), (4, false), (5, true), (11, true), (13, false), (15, false), (16, true)]
    {
        assert_eq!(results[number]["failed"] == true, failed, "task {number}: {}", results[number]);
    }
    secrets.into_iter().filter(|secret| secret.len() > 8).collect()
}

const PLAYBOOK: &str = "tokensmith.redhat.rotate_quay_robots";
const ROBOTS: [&str; 3] = ["acme+ci", "acme+deploy", "alice+laptop"];
const OTHER_ENTRY: &str = r#"{"auths": {"registry.example.com": {"auth": "b3RoZXI6b3RoZXI="}}}"#;
