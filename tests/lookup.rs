//! The lookup plugins of the collection as it is installed: a token as a value, got once in a run, and shown by nothing of ours.
//!
//! `make test` names the tarball and the venvs with ansible-core.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokensmith_sandbox::central::Mapping;
use tokensmith_tests::installed::{Installed, Played, World, find_secrets};
use tokensmith_tests::quay::QuayScene;
use tokensmith_tests::rhacs::{HOUR, ROLE};
use tokensmith_tests::scene::{Scene, read};

#[test]
fn a_run_asks_once_for_a_token_whoever_takes_it_and_leaves_nothing_behind() {
    for installed in Installed::on_outer_cores() {
        let scene = Scene::new();
        let played = |tasks: &str| play(&installed, 4, &Variables::of(&scene), tasks);
        let (run, kept) = played(TAKEN_OFTEN);
        let printed = run.succeeded();
        let token = kept["h1"]["token"].as_str().unwrap().to_owned();
        assert!(scene.realm.access_token_works(&token), "{printed}");
        for host in ["h1", "h2", "h3", "h4"] {
            assert_eq!(kept[host]["token"], token, "{host} on {}", installed.core());
        }
        assert_eq!(requests(&scene), 1, "{}: {printed}", installed.core());
        // The folder, the file, its note, its lock and the key of the run, all of the user alone; the name says nothing of what was asked for.
        let files = kept["h1"]["files"].as_array().unwrap();
        assert_eq!(files.len(), 5, "{files:?}");
        for file in files.iter().map(|file| file.as_str().unwrap()) {
            assert!(file.starts_with("600 ") || file == "700 tokensmith", "{file}");
        }
        assert_eq!(installed.temporary_files(), Vec::<PathBuf>::new(), "{}", installed.core());
        for (place, text) in installed.everything_shown() {
            assert_eq!(
                find_secrets(&text, &[token.clone(), Installed::ACCOUNT_SECRET.to_owned()]),
                [0; 0],
                "in {place}: {text}"
            );
        }

        let (run, _) = played(OTHER_OPTIONS);
        assert!(!run.success, "the last task fails: {}", run.printed);
        assert_eq!(installed.temporary_files(), Vec::<PathBuf>::new(), "{}", installed.core());
        // One of this run's own, one for another scope, and two that end within renew_before.
        assert_eq!(requests(&scene), 1 + 1 + 1 + 2, "{}: {}", installed.core(), run.printed);
    }
}

#[test]
fn each_lookup_gives_a_token_that_works_and_asks_nobody_again() {
    let installed = Installed::on_tools();
    let scene = QuayScene::new();
    let central = scene.sandbox.central();
    let provider = central.identity_provider();
    central.add_machine_access(&provider.issuer(), HOUR, &[Mapping::new("sub", "repo:acme/app", ROLE)]);
    let variables = Variables(json!({
        "quay": scene.options(json!({ "robot": "acme+ci", "oidc_token": scene.external_token("acme+ci").sign().unwrap() })),
        "rhacs": {
            "rhacs_host": central.url(),
            "ca_path": scene.sandbox.ca_path(),
            "use_proxy": false,
            "oidc_token": provider.token("repo:acme/app").sign().unwrap(),
        },
    }));
    let (run, kept) = play(&installed, 1, &variables, EACH_ONCE);
    let printed = run.succeeded();
    let token = |name: &str| kept["h1"][name].as_str().unwrap_or_else(|| panic!("{kept}: {printed}")).to_owned();
    assert!(scene.quay().login_works("acme+ci", &token("quay")), "{printed}");
    assert!(central.token_works(&token("rhacs")), "{printed}");
    let once = scene.sandbox.records().all().len();
    scene.sandbox.records().clear();
    play(&installed, 1, &variables, &format!("{EACH_ONCE}{EACH_AGAIN}")).0.succeeded();
    let again = scene.sandbox.records().all();
    assert_eq!(again.len(), once, "{again:?}");
}

#[test]
fn what_a_lookup_cannot_do_it_refuses_in_a_sentence_and_no_error_shows_a_secret() {
    for installed in Installed::on_outer_cores() {
        let scene = Scene::new();
        let rotating = scene.sandbox.sso().realm("rotating");
        let rotated = rotating.issue_offline_token("cloud-services", SCOPE).unwrap();
        let file = scene.file("rotated", &rotating.issue_offline_token("cloud-services", SCOPE).unwrap());
        let mut variables = Variables::of(&scene);
        variables.0["elsewhere"] = json!(rotating.token_url());
        variables.0["rotated"] = json!(rotated);
        let refused = [
            ("'a term'", "The lookup tokensmith.redhat.sso_token takes no terms."),
            ("dest='/nonexistent/token', **sso", "dest is an option of the module tokensmith.redhat.sso_token."),
            ("tower_host='controller', **sso", "tower_host is an option of the module tokensmith.redhat.sso_token."),
            ("state='absent', **sso", "state is an option of the module tokensmith.redhat.sso_token."),
            ("bogus=1, **sso", "Unsupported parameters for (sso_token) module: bogus."),
            ("renew_before='soon', **sso", "renew_before: 'soon' is not"),
            (
                "token_url=sso.token_url",
                "one of the following is required: offline_token, offline_token_file, client_secret",
            ),
            ("**(sso | combine({'client_secret': wrong_secret}))", "client"),
            (
                "offline_token=rotated, token_url=elsewhere, ca_path=sso.ca_path, use_proxy=false",
                "a lookup has no place for the next one: keep the token in a file and name that in offline_token_file",
            ),
        ];
        let tasks: String = refused.iter().map(|(options, _)| REFUSED.replace("OPTIONS", options)).collect();
        let taken = REFUSED.replace(
            "OPTIONS",
            &format!("offline_token_file='{}', token_url=elsewhere, renew_before='1h', **kept_ways", file.display()),
        );
        let (run, kept) = play(&installed, 1, &variables, &format!("{tasks}{taken}{taken}"));
        let printed = run.succeeded();
        let messages = kept["h1"]["messages"].as_array().unwrap();
        for ((options, sentence), message) in refused.iter().zip(messages) {
            assert!(message.as_str().unwrap().contains(sentence), "{options} on {}: {message}", installed.core());
        }
        assert_eq!(messages[refused.len()..], ["none", "none"], "{printed}");
        // The file always holds the newest of the tokens of which each is good for one use.
        assert_eq!(rotating.refreshes(), 2, "{printed}");
        assert!(rotating.offline_token_is_alive(&read(&file)) && rotating.offline_token_is_alive(&rotated));
        let secrets = [rotated, read(&file), Installed::ACCOUNT_SECRET.to_owned(), Installed::WRONG_SECRET.to_owned()];
        for (place, text) in installed.everything_shown() {
            assert_eq!(find_secrets(&text, &secrets), [0; 0], "in {place}: {text}");
        }
        assert_eq!(installed.temporary_files(), Vec::<PathBuf>::new(), "{}", installed.core());
    }
}

#[test]
fn no_secret_stands_in_what_callbacks_and_ansible_runner_keep_of_tasks_that_use_a_value_as_the_page_says() {
    let installed = Installed::on_tools();
    let scene = Scene::new();
    let variables = Variables::of(&scene);
    let kept = installed.results_of(&variables, USED, &[], &[("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")]);
    let printed = installed.printed();
    let document: Value = serde_json::from_str(&printed[printed.find('{').unwrap()..]).unwrap();
    assert!(document["plays"][0]["tasks"].as_array().unwrap().len() > 5);
    assert_eq!(find_secrets(&printed, &secrets(&scene, &kept)), [0; 0], "{printed}");

    let kept = installed.results_of(&variables, USED, &["-vvvv", "--diff"], &[]);
    for (place, text) in installed.everything_shown() {
        assert_eq!(find_secrets(&text, &secrets(&scene, &kept)), [0; 0], "in {place}: {text}");
    }

    let (kept, events) = installed.runner(&variables, USED);
    assert!(events.len() > 10, "{} events", events.len());
    for (name, event) in events {
        assert_eq!(find_secrets(&event, &secrets(&scene, &kept)), [0; 0], "in {name}: {event}");
    }
}

#[test]
fn values_are_handed_over_as_plain_ones_and_a_token_that_nobody_else_has_is_saved() {
    for installed in Installed::on_outer_cores() {
        let scene = Scene::new();
        scene.file("password", "password");
        let password = scene.path("password").display().to_string();
        let executable = installed.collection().join(format!("plugins/bin/tokensmith_{}", env::consts::ARCH));
        let is_now = |script: &str| {
            fs::write(&executable, format!("#!/bin/sh\n{script}")).unwrap();
            fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).unwrap();
        };
        // Says what it was told.
        is_now("printf '{\"access_token\":'; cat; printf '}'");
        let words = ["--vault-password-file", password.as_str()];
        let kept = installed.results_of(&Variables::of(&scene), TOLD, &words, &[]);
        let told = &kept["told"];
        assert_eq!(told["offline_token"], "out of the vault", "{}", installed.core());
        assert_eq!(told["scope"], json!(["a", "2026-01-02", "out of the vault"]), "{}", installed.core());
        assert_eq!((&told["return_token"], &told["_tokensmith_lookup"]), (&json!(true), &json!(true)));
        assert!(told["dest"].as_str().unwrap().contains("/tokensmith/"), "{told}");

        is_now(
            r#"printf '{"failed": true, "msg": "It is in the result.", "access_token": "x", "offline_token": "the-newest-one"}'"#,
        );
        let kept = installed.results_of(&Variables::of(&scene), FAILED, &["-vvvv"], &[]);
        let message = kept["message"].as_str().unwrap();
        let (_, path) = message.split_once("It is in the result. (offline_token is saved in ").expect(message);
        let path = path.split(".json").next().unwrap().to_owned() + ".json";
        assert_eq!(read(path.as_ref()), r#"{"offline_token": "the-newest-one"}"#);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(installed.everything_shown().iter().all(|(_, text)| !text.contains("the-newest-one")), "{message}");

        fs::remove_dir_all(executable.parent().unwrap()).unwrap();
        let kept = installed.results_of(&Variables::of(&scene), FAILED, &[], &[]);
        let message = kept["message"].as_str().unwrap();
        assert!(message.contains("This installation of tokensmith.redhat has no executables"), "{message}");
    }
}

/// What plays know: options of lookups by the name of a variable.
struct Variables(Value);

impl Variables {
    /// `sso`, of a service account.
    fn of(scene: &Scene) -> Self {
        let ways = scene.options(json!({}));
        let kept_ways = json!({ "ca_path": ways["ca_path"], "use_proxy": false });
        let mut variables = scene.secrets();
        variables["sso"] = scene.options(json!({
            "client_id": variables["account"],
            "client_secret": variables["account_secret"],
        }));
        variables["kept_ways"] = kept_ways;
        Self(variables)
    }
}

impl World for Variables {
    fn defaults(&self) -> Value {
        json!({})
    }

    fn secrets(&self) -> Value {
        self.0.clone()
    }
}

/// A play on so many hosts, all at once, that shows all it can.
fn play(installed: &Installed, hosts: usize, world: &impl World, tasks: &str) -> (Played, Value) {
    let host = json!({ "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}" });
    let hosts: Value =
        (1..=hosts).map(|number| (format!("h{number}"), host.clone())).collect::<serde_json::Map<_, _>>().into();
    installed.play_on(&hosts, world, tasks, &["-vvvv", "--forks", "4"], &[])
}

/// How often a token was asked for.
fn requests(scene: &Scene) -> usize {
    scene.sandbox.records().to("/token").len()
}

fn secrets(scene: &Scene, kept: &Value) -> Vec<String> {
    let token = kept["token"].as_str().unwrap();
    assert!(scene.realm.access_token_works(token), "{kept}");
    vec![token.to_owned(), Installed::ACCOUNT_SECRET.to_owned(), Installed::WRONG_SECRET.to_owned()]
}

const SCOPE: &str = "openid offline_access";

const TAKEN_OFTEN: &str = "
    - ansible.builtin.assert:
        that: [token == token, token | length > 100]
        quiet: true
      vars: &token
        token: \"{{ lookup('tokensmith.redhat.sso_token', **sso) }}\"
    - ansible.builtin.set_fact:
        kept: {token: '{{ token }}', files: []}
      vars: *token
      loop: [1, 2, 3]
      when: token != item
      no_log: true
    - ansible.builtin.command: find {{ lookup('env', 'ANSIBLE_LOCAL_TEMP') }} -path *tokensmith* -printf '%m %f\\n'
      register: found
      run_once: true
    - ansible.builtin.set_fact:
        kept: {token: '{{ token }}', files: '{{ found.stdout_lines }}'}
      vars: *token
      no_log: true";

const OTHER_OPTIONS: &str = "
    - ansible.builtin.assert:
        that:
          - lookup('tokensmith.redhat.sso_token', **sso) != lookup('tokensmith.redhat.sso_token', scope=['api.console'], **sso)
          - lookup('tokensmith.redhat.sso_token', scope=['api.console'], **sso) == lookup('tokensmith.redhat.sso_token', scope=['api.console'], **sso)
          - lookup('tokensmith.redhat.sso_token', renew_before='10d', **sso) != lookup('tokensmith.redhat.sso_token', renew_before='10d', **sso)
        quiet: true
      run_once: true
    - ansible.builtin.fail:";

const EACH_ONCE: &str = "
    - ansible.builtin.set_fact:
        kept:
          quay: \"{{ lookup('tokensmith.redhat.quay_keyless_token', **quay) }}\"
          rhacs: \"{{ lookup('tokensmith.redhat.rhacs_m2m_token', **rhacs) }}\"
      no_log: true";

const EACH_AGAIN: &str = "
    - ansible.builtin.assert:
        that:
          - lookup('tokensmith.redhat.quay_keyless_token', **quay) == kept.quay
          - lookup('tokensmith.redhat.rhacs_m2m_token', **rhacs) == kept.rhacs
        quiet: true
      loop: [1, 2, 3]";

const REFUSED: &str = "
    - block:
        - ansible.builtin.assert:
            that: \"lookup('tokensmith.redhat.sso_token', OPTIONS) | length > 100\"
            quiet: true
        - ansible.builtin.set_fact:
            kept: \"{{ {'messages': (kept | default({'messages': []})).messages + ['none']} }}\"
      rescue:
        - ansible.builtin.set_fact:
            kept: \"{{ {'messages': (kept | default({'messages': []})).messages + [ansible_failed_result.msg]} }}\"";

/// As `docs/lookups.md` says.
const USED: &str = "
    - ansible.builtin.uri:
        url: '{{ sso.token_url }}'
        ca_path: '{{ sso.ca_path }}'
        headers: {Authorization: 'Bearer {{ token }}'}
        status_code: [200, 404, 405]
      vars: &token
        token: \"{{ lookup('tokensmith.redhat.sso_token', **sso) }}\"
      no_log: true
    - ansible.builtin.command: 'echo {{ token }}'
      vars: *token
      no_log: true
    - ansible.builtin.command: 'echo {{ item }}'
      loop: ['{{ token }}']
      vars: *token
      no_log: true
    - tokensmith.redhat.rhacs_api_token_info: {rhacs_host: localhost, rhacs_token: '{{ token }}'}
      vars: *token
      ignore_errors: true
    - tokensmith.redhat.sso_token: '{{ sso }}'
      environment: {TOKEN: '{{ token }}'}
      vars: *token
      register: registered
    - ansible.builtin.command: 'true'
      when: token == registered.access_token
      vars: *token
    - ansible.builtin.debug:
        msg: \"{{ lookup('tokensmith.redhat.sso_token', **(sso | combine({'client_secret': wrong_secret}))) }}\"
      ignore_errors: true
    - ansible.builtin.set_fact:
        kept: {token: '{{ token }}'}
      vars: *token
      no_log: true";

const TOLD: &str = "
    - ansible.builtin.set_fact:
        kept:
          told: \"{{ lookup('tokensmith.redhat.sso_token', offline_token=vaulted, scope=['a', day, vaulted]) }}\"
      vars:
        day: 2026-01-02
        vaulted: !vault |
          $ANSIBLE_VAULT;1.1;AES256
          38346538386162653338313563663666653236373630336462663565316638666438323635643639
          3230616564333430613232336539373362626161376630640a656361373333653765393362366233
          65363462343130383939366665656365653164356464383265333863363166636433363131353862
          3465306236323064610a303234376461373438333831396163326530326265363635383161386538
          66646561656430353239303930373533373262366538666264613464616538613962";

const FAILED: &str = "
    - block:
        - ansible.builtin.assert: {that: \"lookup('tokensmith.redhat.sso_token', offline_token='x')\"}
      rescue:
        - ansible.builtin.set_fact:
            kept: {message: '{{ ansible_failed_result.msg }}'}";
