//! The collection as `ansible-galaxy` installs it, run by playbooks against the sandbox: the same result by every way, and no secret shown by any.
//!
//! `make test` names the tarball and the venvs with ansible-core.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokensmith_tests::installed::{Installed, Played, Way, World, find_secrets};
use tokensmith_tests::scene::{Scene, read};

#[path = "playbooks/credential.rs"]
mod credential;
#[path = "playbooks/gateway.rs"]
mod gateway;
#[path = "playbooks/hub.rs"]
mod hub;
#[path = "playbooks/manage.rs"]
mod manage;
#[path = "playbooks/quay.rs"]
mod quay;
#[path = "playbooks/rhacs.rs"]
mod rhacs;

#[test]
fn the_playbook_keeps_an_offline_token_alive_on_every_ansible_core() {
    for installed in Installed::on_outer_cores() {
        let scene = Scene::in_realm("rotating");
        let file = scene.offline_token_file();
        let variables = json!({
            "sso_offline_token_file": file,
            "sso_access_token_file": scene.path("access"),
            "sso_token_url": scene.realm.token_url(),
            "sso_ca_path": scene.sandbox.ca_path(),
        });
        for changed in ["changed=1", "changed=0"] {
            let printed = installed.playbook("tokensmith.redhat.keep_offline_token", &variables).succeeded();
            assert!(printed.contains(changed), "{}: {printed}", installed.core());
        }
        assert!(scene.realm.offline_token_is_alive(&read(&file)));
        assert!(scene.realm.access_token_works(&read(&scene.path("access"))));
        assert_eq!(scene.realm.refreshes(), 1);
    }
}

#[test]
fn the_playbook_takes_the_token_from_the_environment_and_refuses_to_lose_its_successor() {
    if !has_environment() {
        return;
    }
    let installed = Installed::on_tools();
    for (realm, succeeds) in [("redhat-external", true), ("rotating", false)] {
        let scene = Scene::in_realm(realm);
        let variables = json!({ "sso_token_url": scene.realm.token_url(), "sso_ca_path": scene.sandbox.ca_path() });
        let token = scene.offline_token();
        let run = installed
            .with_environment("SSO_OFFLINE_TOKEN", &token)
            .playbook("tokensmith.redhat.keep_offline_token", &variables);
        assert_eq!(run.success, succeeds, "{}", run.printed);
        assert_eq!(run.printed.contains("has no file to write the next one to"), !succeeds, "{}", run.printed);
        assert!(scene.realm.offline_token_is_alive(&token));
        assert!(!run.printed.contains(&token));
    }
}

#[test]
fn every_way_to_run_it_gives_the_same_result_and_shows_no_secret() {
    let installed = Installed::on_tools();
    let scene = Scene::in_realm("rotating-reuse-1");
    let played = by_every_way(&installed, &scene, |name, way| tasks(&scene, name, way));
    for (task, direct, other) in &played.pairs {
        assert_eq!(keys(direct), keys(other), "{task}");
        for key in ["changed", "failed", "reason", "refreshed", "client_id", "scope", "token_type", "warnings"] {
            assert_eq!(direct[key], other[key], "{key} of {task}: {direct}");
        }
    }
    for (way, results) in &played.results {
        let secrets = secrets(&scene, way, results);
        assert!(secrets.len() >= 10, "the play is to bring many secrets about: {}", secrets.len());
        played.hunt(&secrets);
    }
}

#[test]
fn no_secret_stands_in_what_the_json_callback_prints() {
    let installed = Installed::on_tools();
    let scene = Scene::in_realm("rotating-reuse-1");
    let callback = [("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")];
    let results = installed.results_of(&scene, &tasks(&scene, "results", ""), &[], &callback);
    let secrets = secrets(&scene, "results", results["results"].as_array().unwrap());
    let printed = installed.printed();
    let document: Value = serde_json::from_str(&printed[printed.find('{').unwrap()..]).unwrap();
    assert!(document["plays"][0]["tasks"].as_array().unwrap().len() > 5);
    assert_eq!(find_secrets(&printed, &secrets), Vec::<usize>::new(), "{printed}");
}

#[test]
fn no_secret_stands_in_the_event_files_of_ansible_runner() {
    let installed = Installed::on_tools();
    let scene = Scene::in_realm("rotating-reuse-1");
    let (results, events) = installed.runner(&scene, &tasks(&scene, "results", ""));
    let secrets = secrets(&scene, "results", results["results"].as_array().unwrap());
    assert!(events.len() > 10, "{} events", events.len());
    for (name, event) in events {
        assert_eq!(find_secrets(&event, &secrets), Vec::<usize>::new(), "in {name}: {event}");
    }
}

#[test]
fn an_asynchronous_task_hands_over_and_returns_no_secret() {
    for installed in Installed::on_outer_cores() {
        let scene = Scene::new();
        let task = format!(
            "
    - tokensmith.redhat.sso_token:
        offline_token_file: '{}'
        dest: '{}'
      async: 60
      poll: 1
      register: kept",
            scene.offline_token_file().display(),
            scene.path("access").display()
        );
        let results = installed.results(&scene, &format!("{task}{}", registered(&["kept"], "results")));
        assert_eq!(results["results"][0]["changed"], true, "{}: {results}", installed.core());
        assert!(scene.realm.access_token_works(&read(&scene.path("access"))));
    }
}

#[test]
fn an_asynchronous_task_does_not_use_a_token_of_the_environment_whose_successor_everybody_could_read() {
    if !has_environment() {
        return;
    }
    let installed = Installed::on_tools();
    let scene = Scene::in_realm("rotating");
    let token = scene.offline_token();
    let task = format!(
        "
    - tokensmith.redhat.sso_token: {{dest: '{}'}}
      async: 60
      poll: 1
      register: refused
      ignore_errors: true",
        scene.path("access").display()
    );
    let tasks = format!("{task}{}", registered(&["refused"], "results"));
    let results = installed.with_environment("SSO_OFFLINE_TOKEN", &token).results(&scene, &tasks);
    assert!(results["results"][0]["msg"].as_str().unwrap().contains("or leave async out"), "{results}");
    assert!(scene.realm.offline_token_is_alive(&token));
    assert_eq!(scene.realm.refreshes(), 0);
}

/// Tasks of every kind, and one that keeps what they registered under a name: secrets given and returned, changed and unchanged, failed in many ways.
fn tasks(scene: &Scene, name: &str, way: &str) -> String {
    let given = scene.file(
        &format!("{name}.yml"),
        &json!({ "given": scene.offline_token(), "second": scene.offline_token() }).to_string(),
    );
    let file = scene.file(&format!("{name}.token"), &scene.offline_token());
    let access = scene.path(&format!("{name}.access"));
    let options = [
        "offline_token: '{{ given }}'".to_owned(),
        format!("offline_token_file: '{}'", file.display()),
        format!("{{offline_token_file: '{}', dest: '{}'}}", file.display(), access.display()),
        format!("{{offline_token_file: '{}', dest: '{}', return_token: true}}", file.display(), access.display()),
        format!("{{offline_token: '{{{{ second }}}}', dest: '{}.other', dest_format: json}}", access.display()),
        "{client_id: '{{ account }}', client_secret: '{{ account_secret }}'}".to_owned(),
        "{client_id: '{{ account }}', client_secret: '{{ wrong_secret }}'}".to_owned(),
        "{client_id: nobody, client_secret: '{{ account_secret }}', bogus: '{{ account_secret }}'}".to_owned(),
        "{offline_token: '{{ account_secret }}', scope: '{{ account_secret }}'}".to_owned(),
        "{offline_token: '{{ given }}', dest: /nonexistent/access}".to_owned(),
        "{client_id: '{{ account }}', client_secret: '{{ account_secret }}', renew_before: '{{ account_secret }}'}"
            .to_owned(),
        format!("{{offline_token_file: '{}', state: absent}}", file.display()),
    ];
    let mut text = format!("\n    - ansible.builtin.include_vars: '{}'\n      no_log: true", given.display());
    let mut names = Vec::new();
    for (number, options) in options.iter().enumerate() {
        let register = format!("{name}_{number}");
        text.push_str(&format!(
            "\n    - tokensmith.redhat.sso_token: {}\n      register: {register}\n      ignore_errors: true\n      {way}",
            if options.starts_with('{') { options.clone() } else { format!("{{{options}}}") }
        ));
        names.push(register);
    }
    // In a loop and under no_log as well.
    text.push_str(&format!(
        "\n    - tokensmith.redhat.sso_token: {{client_id: '{{{{ item }}}}', client_secret: '{{{{ account_secret }}}}'}}\n      loop: ['{{{{ account }}}}', nobody]\n      register: {name}_loop\n      ignore_errors: true\n      no_log: '{{{{ item == account }}}}'\n      {way}"
    ));
    names.push(format!("{name}_loop"));
    text + &registered(&names.iter().map(String::as_str).collect::<Vec<_>>(), name)
}

/// Tasks that were run by every way.
struct ByEveryWay {
    /// What each resulted in directly and by another way, with that way's name replaced.
    pairs: Vec<(String, Value, Value)>,
    /// The results by the names of the ways.
    results: Vec<(&'static str, Vec<Value>)>,
    shown: Vec<(&'static str, String)>,
}

impl ByEveryWay {
    /// Looks for secrets in everything that was shown.
    fn hunt(&self, secrets: &[String]) {
        for (place, text) in &self.shown {
            assert!(!text.is_empty(), "{place} is empty");
            assert_eq!(found(text, secrets), Vec::<&String>::new(), "in {place}: {text}");
        }
    }
}

/// Runs the tasks by every way, in one play that shows all that it can.
fn by_every_way(installed: &Installed, world: &impl World, tasks: impl Fn(&str, &str) -> String) -> ByEveryWay {
    let text: String = Way::all().iter().map(|way| tasks(way.name(), &way.line())).collect();
    let results = installed.results_of(world, &text, &["-vvvv", "--diff"], &[]);
    let of_way = |way: &Way| (way.name(), results[way.name()].as_array().unwrap().clone());
    let results: Vec<_> = Way::all().iter().map(of_way).collect();
    let mut pairs = Vec::new();
    for (way, others) in &results[1..] {
        for (number, (direct, other)) in results[0].1.iter().zip(others).enumerate() {
            let other = serde_json::from_str(&other.to_string().replace(way, "direct")).unwrap();
            pairs.push((format!("task {number} by the way {way}"), direct.clone(), other));
        }
    }
    ByEveryWay { pairs, results, shown: installed.everything_shown() }
}

/// A playbook that was run on cases refused each of them with this sentence.
fn assert_refused(run: &Played, cases: &[Value], sentence: &str) {
    assert!(!run.success, "{}", run.printed);
    for (number, case) in cases.iter().enumerate() {
        let refuses = |line: &str| line.starts_with(&format!("failed: [case-{number}]")) && line.contains(sentence);
        assert!(run.printed.lines().any(refuses), "{case}: {}", run.printed);
    }
}

/// Whether the environment of Ansible is the target's: on a local connection only.
fn has_environment() -> bool {
    Way::of_all_plays() == Way::Direct
}

fn registered(names: &[&str], key: &str) -> String {
    let names = names.join(", ");
    format!(
        "
    - ansible.builtin.set_fact:
        kept: '{{{{ kept | default({{}}) | combine(dict({key}=[{names}])) }}}}'
      no_log: true"
    )
}

/// Every secret that the play met: given, sent, returned or written.
fn secrets(scene: &Scene, name: &str, results: &[Value]) -> Vec<String> {
    let mut secrets = vec![Installed::ACCOUNT_SECRET.to_owned(), Installed::WRONG_SECRET.to_owned()];
    for request in scene.sandbox.records().all() {
        secrets
            .extend(request.authorization.iter().filter_map(|value| value.strip_prefix("Bearer ")).map(str::to_owned));
        secrets.extend(["refresh_token", "token"].iter().filter_map(|name| request.parameter(name)).map(str::to_owned));
    }
    for key in ["access_token", "offline_token"] {
        secrets.extend(results.iter().filter_map(|result| result[key].as_str()).map(str::to_owned));
    }
    for path in [scene.path(&format!("{name}.access")), scene.path(&format!("{name}.yml"))] {
        secrets.extend(words(&path));
    }
    secrets.retain(|secret| secret.len() > 8);
    secrets.sort();
    secrets.dedup();
    secrets
}

fn found<'s>(text: &str, secrets: &'s [String]) -> Vec<&'s String> {
    find_secrets(text, secrets).into_iter().map(|index| &secrets[index]).collect()
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split(|character: char| "\"{}:, \n".contains(character))
        .filter(|word| word.starts_with("eyJ"))
        .map(str::to_owned)
        .collect()
}

fn keys(result: &Value) -> Vec<&String> {
    let mut keys: Vec<&String> = result.as_object().unwrap().keys().collect();
    keys.sort();
    keys
}
