//! The same for hub_token and its playbook.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokensmith_tests::hub::{HubScene, USER};
use tokensmith_tests::installed::{Installed, find_secrets};
use tokensmith_tests::scene::{mode, read};

use super::{by_every_way, has_environment, keys, registered};

#[test]
fn the_playbook_keeps_the_token_of_ansible_galaxy_on_every_ansible_core() {
    for installed in Installed::on_outer_cores() {
        let core = installed.core();
        let scene = HubScene::new();
        let config = scene.file("ansible.cfg", CONFIG);
        let play = |more: Value| {
            let mut variables = variables(&scene);
            variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            installed.playbook(PLAYBOOK, &variables).succeeded()
        };
        let in_config = json!({ "hub_dest": config, "hub_dest_format": "ansible_cfg", "hub_galaxy_server": "mine" });
        let printed = play(in_config.clone());
        assert!(printed.contains("changed=1") && printed.contains("missing, a new token"), "{core}: {printed}");
        // Some cores break warnings into lines.
        let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("whoever else uses the token of build is refused"), "{core}: {printed}");
        assert_eq!(read(&config), format!("{CONFIG}token = {}\n", scene.token().unwrap()), "{core}");
        assert!(play(in_config.clone()).contains("changed=0"), "{core}");
        assert_eq!(scene.hub().issued(USER), 1, "{core}");

        // The password's own user, in another file.
        let in_file = json!({ "hub_dest": scene.path("galaxy_token"), "hub_mode": "0640", "hub_max_age": "30d" });
        play(in_file.clone());
        assert_eq!(read(&scene.path("galaxy_token")), format!("token: '{}'\n", scene.token().unwrap()), "{core}");
        assert_eq!(mode(&scene.path("galaxy_token")), 0o640, "{core}");
        assert!(play(in_file.clone()).contains("changed=0"), "{core}");
        scene.issue();
        assert!(play(in_file).contains("dead, a new token"), "{core}");
        assert!(play(in_config).contains("dead, a new token"), "{core}");
        assert_eq!(scene.hub().issued(USER), 5, "{core}");
    }
}

#[test]
fn the_playbook_forecasts_in_check_mode_and_takes_its_user_from_the_environment() {
    if !has_environment() {
        return;
    }
    let installed = Installed::on_tools();
    let scene = HubScene::new();
    let mut variables = variables(&scene);
    for name in ["hub_host", "hub_username", "hub_password"] {
        variables.as_object_mut().unwrap().remove(name);
    }
    variables["hub_dest"] = json!(scene.path("token"));
    installed.with_environment("AH_HOST", &scene.hub().url());
    installed.with_environment("AH_USERNAME", USER).with_environment("AH_PASSWORD", &scene.password());
    let printed = installed.playbook_with(PLAYBOOK, &variables, &["--check"]).succeeded();
    assert!(printed.contains("changed=1") && printed.contains("would be refused"), "{printed}");
    assert!(scene.writes().is_empty() && !scene.path("token").exists());
    installed.playbook(PLAYBOOK, &variables).succeeded();
    assert!(read(&scene.path("token")).contains(&scene.token().unwrap()));
}

#[test]
fn the_playbook_refuses_what_would_lose_a_token_or_let_hosts_cut_each_other_off() {
    let installed = Installed::on_tools();
    let scene = HubScene::new();
    let inventory =
        scene.file("hosts", "[hubs]\na.example.com\nb.example.com\n[hubs:vars]\nansible_connection=local\n");
    let inventory = inventory.display().to_string();
    for (more, words) in [
        (json!({}), &[][..]),
        (json!({ "hub_dest": scene.path("token"), "hub_state": "absent" }), &[]),
        (json!({ "hub_dest": scene.path("token"), "hub_hosts": "hubs" }), &["--inventory", &inventory]),
    ] {
        let mut variables = variables(&scene);
        variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let run = installed.playbook_with(PLAYBOOK, &variables, words);
        assert!(!run.success && run.printed.contains("hub_dest names the file for the token"), "{}", run.printed);
    }
    assert!(scene.methods().is_empty() && !scene.path("token").exists());
}

#[test]
fn the_playbook_serves_several_hosts_that_have_a_user_each() {
    let installed = Installed::on_tools();
    let scene = HubScene::new();
    let mut inventory = "[hubs]\n".to_owned();
    for user in ["one", "two"] {
        let (password, dest) = (scene.hub().add_user(user), scene.path(user));
        inventory +=
            &format!("{user}.example.com hub_username={user} hub_password={password} hub_dest={}\n", dest.display());
    }
    inventory += "[hubs:vars]\nansible_connection=local\n";
    let inventory = scene.file("hosts", &inventory).display().to_string();
    let variables =
        json!({ "hub_host": scene.hub().url(), "hub_ca_path": scene.sandbox.ca_path(), "hub_hosts": "hubs" });
    let printed = installed.playbook_with(PLAYBOOK, &variables, &["--inventory", &inventory]).succeeded();
    for user in ["one", "two"] {
        let token = scene.hub().token(user).unwrap();
        assert!(read(&scene.path(user)).contains(&token) && !printed.contains(&token));
    }
}

#[test]
fn every_way_to_run_hub_token_gives_the_same_result_and_shows_no_secret() {
    let installed = Installed::on_tools();
    let scene = HubScene::new();
    let played = by_every_way(&installed, &scene, |name, way| tasks(&scene, name, way));
    for (task, direct, other) in &played.pairs {
        assert_eq!(keys(direct), keys(other), "{task}: {direct}");
        for key in ["changed", "failed", "reason", "generated", "deleted", "existed", "dest", "warnings"] {
            assert_eq!(direct[key], other[key], "{key} of {task}: {direct}");
        }
    }
    for (way, results) in &played.results {
        played.hunt(&secrets(&scene, way, results));
    }
}

#[test]
fn no_secret_of_a_hub_stands_in_what_the_json_callback_prints_nor_in_the_events_of_ansible_runner() {
    let installed = Installed::on_tools();
    let scene = HubScene::new();
    let callback = [("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")];
    let results = installed.results_of(&scene, &tasks(&scene, "results", ""), &[], &callback);
    let printed = installed.printed();
    assert_eq!(
        find_secrets(&printed, &secrets(&scene, "results", results["results"].as_array().unwrap())),
        Vec::<usize>::new(),
        "{printed}"
    );

    let scene = HubScene::new();
    let (results, events) = installed.runner(&scene, &tasks(&scene, "results", ""));
    let secrets = secrets(&scene, "results", results["results"].as_array().unwrap());
    assert!(events.len() > 10, "{} events", events.len());
    for (name, event) in events {
        assert_eq!(find_secrets(&event, &secrets), Vec::<usize>::new(), "in {name}: {event}");
    }
}

fn variables(scene: &HubScene) -> Value {
    json!({
        "hub_host": scene.hub().url(), "hub_username": USER, "hub_password": scene.password(), "hub_ca_path": scene.sandbox.ca_path(),
    })
}

/// Tasks of every kind, and one that keeps what they registered under a name: secrets given and returned, changed and unchanged, failed in many ways.
fn tasks(scene: &HubScene, name: &str, way: &str) -> String {
    let dest = |file: &str| scene.path(&format!("{name}-{file}")).display().to_string();
    let build = "ah_username: build, ah_password: '{{ password }}'";
    let config = format!("dest: '{}', dest_format: ansible_cfg, galaxy_server: mine", dest("ansible.cfg"));
    let options = [
        format!("{build}, state: rotated"),
        format!("{build}, dest: '{}'", dest("raw")),
        format!("{build}, dest: '{}', state: rotated", dest("raw")),
        format!("{build}, {config}, state: rotated, return_token: true"),
        format!("{build}, {config}"),
        "ah_username: build, ah_password: '{{ wrong_secret }}', state: rotated".to_owned(),
        format!("{build}, state: rotated, dest: /nonexistent/token"),
        format!("{build}, state: rotated, bogus: '{{{{ password }}}}'"),
        format!("{build}, dest: '{}', max_age: '{{{{ password }}}}'", dest("raw")),
        format!("{build}, dest: '{}', ah_path_prefix: '/{{{{ password }}}}'", dest("other")),
        format!("ah_token: '{{{{ wrong_secret }}}}', self_rotation: true, state: rotated, dest: '{}'", dest("other")),
        format!("gateway_token: '{{{{ wrong_secret }}}}', state: rotated, dest: '{}'", dest("other")),
        format!("{config}, self_rotation: true, state: rotated"),
        build.to_owned(),
        format!("{build}, {config}, state: absent"),
        format!("{build}, state: absent"),
    ];
    let mut text = String::new();
    let mut names = Vec::new();
    for (number, options) in options.iter().enumerate() {
        let register = format!("{name}_{number}");
        text.push_str(&format!(
            "\n    - tokensmith.redhat.hub_token: {{{options}}}\n      register: {register}\n      ignore_errors: true\n      {way}"
        ));
        names.push(register);
    }
    // In a loop and under no_log as well.
    text.push_str(&format!(
        "\n    - tokensmith.redhat.hub_token: {{ah_username: '{{{{ item }}}}', ah_password: '{{{{ password }}}}', state: rotated}}\n      loop: [build, eve]\n      register: {name}_loop\n      ignore_errors: true\n      no_log: '{{{{ item == \"build\" }}}}'\n      {way}"
    ));
    names.push(format!("{name}_loop"));
    text + &registered(&names.iter().map(String::as_str).collect::<Vec<_>>(), name)
}

/// Every secret that the play met: given, sent, returned, written.
fn secrets(scene: &HubScene, name: &str, results: &[Value]) -> Vec<String> {
    let mut secrets = BTreeSet::from([scene.password(), Installed::WRONG_SECRET.to_owned()]);
    for request in scene.sandbox.records().all() {
        let sent = request.authorization.as_deref().and_then(|value| value.split_once(' '));
        secrets.extend(sent.map(|(_, credential)| credential.to_owned()));
    }
    secrets.extend(results.iter().filter_map(|result| result["token"].as_str()).map(str::to_owned));
    secrets.extend(scene.token());
    secrets.insert(read(&scene.path(&format!("{name}-raw"))));
    // What the play did is what it was written for.
    for (number, failed) in
        [false, false, false, false, false, true, true, true, true, true, true, true, false, true, false, false]
            .into_iter()
            .enumerate()
    {
        assert_eq!(results[number]["failed"] == true, failed, "task {number}: {}", results[number]);
    }
    assert!(secrets.len() >= 10, "the play is to bring many secrets about: {}", secrets.len());
    secrets.into_iter().collect()
}

const PLAYBOOK: &str = "tokensmith.redhat.rotate_hub_token";
const CONFIG: &str =
    "# ours\n[galaxy]\nserver_list = mine\n\n[galaxy_server.mine]\nurl = https://hub.example.com/api/galaxy/\n";
