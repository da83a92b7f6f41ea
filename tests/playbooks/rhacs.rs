//! The same for the modules of RHACS and its playbooks.

use std::collections::BTreeSet;
use std::fs;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tokensmith::timestamp::timestamp;
use tokensmith_sandbox::Fault;
use tokensmith_tests::installed::{Installed, World as _, find_secrets};
use tokensmith_tests::rhacs::{DAY, ROLE, RhacsScene};
use tokensmith_tests::scene::{mode, names, read};

use super::{assert_refused, by_every_way, found, has_environment, keys, registered};

#[test]
fn the_playbook_keeps_api_tokens_fresh_on_every_ansible_core() {
    for installed in Installed::on_outer_cores() {
        let scene = RhacsScene::new();
        let core = installed.core();
        let play = |more: Value| {
            let mut variables = variables(&scene);
            variables["rhacs_tokens"] = json!([
                { "name": "ci", "role": ROLE, "dest": scene.path("ci"), "mode": "0640" },
                {
                    "name": "reports",
                    "roles": ["Analyst", "Sensor Creator"],
                    "dest": scene.path("rox.env"),
                    "dest_format": "env",
                    "expiration": "120d",
                },
            ]);
            variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let printed = installed.playbook(RENEW, &variables).succeeded();
            assert_eq!(["ci", "reports"].map(|name| scene.central().live_tokens(name)), [1, 1], "{core}: {printed}");
            assert!(scene.central().token_works(&read(&scene.path("ci"))), "{core}: {printed}");
            printed
        };
        let printed = play(json!({}));
        for words in ["changed=1", "ci: missing, token ", "reports: missing, token "] {
            assert!(printed.contains(words), "{words} on {core}: {printed}");
        }
        assert_eq!(mode(&scene.path("ci")), 0o640, "{core}");
        assert!(read(&scene.path("rox.env")).contains("ROX_API_TOKEN='ey"), "{core}");
        let first = read(&scene.path("ci"));
        let printed = play(json!({}));
        assert!(printed.contains("changed=0") && printed.contains("ci: valid, token "), "{core}: {printed}");

        scene.sandbox.clock().advance(83 * DAY);
        let printed = play(json!({}));
        assert!(printed.contains("ci: expiring, token ") && printed.contains("reports: valid"), "{core}: {printed}");
        assert!(!scene.central().token_works(&first), "{core}");
        assert!(play(json!({ "rhacs_state": "rotated" })).contains("reports: forced"), "{core}");
        assert!(play(json!({})).contains("changed=0"), "{core}");
    }
}

#[test]
fn the_playbook_forecasts_in_check_mode_and_generates_nothing() {
    let installed = Installed::on_tools();
    let scene = RhacsScene::new();
    let mut variables = variables(&scene);
    variables["rhacs_tokens"] = json!([{ "name": "ci", "role": ROLE, "dest": scene.path("ci") }]);
    let printed = installed.playbook_with(RENEW, &variables, &["--check"]).succeeded();
    assert!(printed.contains("changed=1") && printed.contains("ci: missing, token not generated"), "{printed}");
    assert_eq!(scene.writes(), Vec::<String>::new());
    assert!(!names(scene.path("ci").parent().unwrap()).iter().any(|name| name.contains("ci")), "a file was written");
}

#[test]
fn the_playbook_does_all_it_can_takes_the_credential_from_the_environment_and_tells_who_failed() {
    if !has_environment() {
        return;
    }
    for (name, secret) in [
        ("ROX_API_TOKEN", |scene: &RhacsScene| scene.token.clone()),
        ("ROX_ADMIN_PASSWORD", |scene| scene.central().admin_password()),
    ] as [(&str, fn(&RhacsScene) -> String); 2]
    {
        let installed = Installed::on_tools();
        let scene = RhacsScene::new();
        let secret = secret(&scene);
        let variables = json!({
            "rhacs_ca_path": scene.sandbox.ca_path(),
            "rhacs_tokens": [
                { "name": "ghost", "role": "Ghost", "dest": scene.path("ghost") },
                { "name": "ci", "role": ROLE, "dest": scene.path("ci") },
            ],
        });
        let installed = &installed;
        installed.with_environment("ROX_ENDPOINT", &scene.central().endpoint());
        let run = installed.with_environment(name, &secret).playbook(RENEW, &variables);
        assert!(!run.success, "{}", run.printed);
        for words in ["role(s) Ghost don't exist", "ci: missing, token "] {
            assert!(run.printed.contains(words), "{words}: {}", run.printed);
        }
        assert!(scene.central().token_works(&read(&scene.path("ci"))));
        assert!(!run.printed.contains(&secret) && !scene.path("ghost").exists());
    }
}

#[test]
fn the_playbook_refuses_an_entry_that_would_lose_its_token_before_anything_is_done() {
    let installed = Installed::on_tools();
    let scene = RhacsScene::new();
    let good = json!({ "name": "ci", "role": ROLE, "dest": scene.path("ci") });
    let cases = [
        json!({ "name": "ci", "role": ROLE }),
        json!({ "role": ROLE, "dest": scene.path("x") }),
        // The module's own default would be an administrator's.
        json!({ "name": "ci", "dest": scene.path("x") }),
        json!({ "name": "ci", "role": ROLE, "dest": scene.path("x"), "dest_fromat": "env" }),
    ]
    .map(|wrong| json!({ "rhacs_tokens": [good, wrong] }));
    let run = installed.playbook_on_cases(RENEW, "rhacs_hosts", &variables(&scene), &cases);
    assert_refused(&run, &cases, "Each entry of rhacs_tokens needs name, dest or dest_credential");
    assert!(!scene.path("ci").exists() && scene.requests().is_empty());
}

#[test]
fn the_report_has_all_tokens_by_their_ends_and_no_secret_on_every_ansible_core() {
    for installed in Installed::on_outer_cores() {
        let scene = RhacsScene::new();
        let core = installed.core();
        let (id, token) = scene.issue("soon", 3 * DAY - 60);
        scene.issue("gone", -DAY / 2);
        scene.central().issue_token("<script>alert(1)</script> | *x*", &["Analyst"], 60 * DAY);
        let others = json!([
            { "system": "Quay", "name": "acme+ci", "id": "acme+ci", "expires_at": null, "state": "valid" },
            { "system": "hub", "name": "publisher", "id": 7, "expires_at": "9999-12-31T23:59:59Z", "state": "valid" },
        ]);
        let printed = report(&installed, &scene, json!({ "report_rows": others })).succeeded();
        let (markdown, html) = (read(&scene.path("report.md")), read(&scene.path("report.html")));
        for text in [&markdown, &html, &printed] {
            let order = ["gone", "soon", "tokensmith", "publisher", "acme+ci"].map(|name| text.find(name));
            assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{core}: {order:?} in {text}");
            let secrets = [scene.token.clone(), token.clone()];
            assert_eq!(find_secrets(text, &secrets), Vec::<usize>::new(), "{core}: {text}");
            assert!(text.contains(&id), "{core}: {text}");
        }
        assert!(markdown.contains("6 tokens: 1 expired, 1 ends within 7d, 4 later."), "{core}: {markdown}");
        let row = format!("| 3 days | soon | RHACS | {id} |");
        assert!(markdown.contains("| ▲ expiring | 2") && markdown.contains(&row), "{core}: {markdown}");
        assert!(markdown.contains("| \\<script\\>alert(1)\\</script\\> \\| \\*x\\* |"), "{core}: {markdown}");
        assert!(markdown.contains("| ● valid | never | no end | acme+ci | Quay | acme+ci |"), "{core}: {markdown}");

        assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"), "{core}: {html}");
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt; | *x*"), "{core}: {html}");
        for outside in ["<script", "http:", "https:", "src=", "url(", "@import", "<link", "href="] {
            assert!(!html.contains(outside), "{outside} on {core}: {html}");
        }
        assert_eq!((mode(&scene.path("report.md")), mode(&scene.path("report.html"))), (0o644, 0o644));
        assert_eq!(scene.writes(), Vec::<String>::new(), "{core}");
    }
}

#[test]
fn the_report_fails_the_job_for_what_ends_or_has_ended_within_a_time_and_is_written_all_the_same() {
    let row = |days: i64, state: &str| {
        let end = timestamp(Utc::now() + TimeDelta::days(days) - TimeDelta::seconds(600));
        json!({ "system": "hub", "name": format!("token {days}"), "id": "x", "expires_at": end, "state": state })
    };
    let installed = Installed::on_tools();
    for (rows, within, failing) in [
        (json!([row(8, "valid")]), "7d", None),
        (json!([row(7, "expiring")]), "7d", Some("1 of 1 tokens ended less than 7d ago or end within it: token 7.")),
        (json!([row(8, "valid"), row(7, "valid"), row(1, "expiring")]), "1w", Some("2 of 3 tokens")),
        (json!([row(0, "expired"), row(-5, "expired"), row(-9, "expired")]), "144h", Some("token -5, token 0.")),
        (json!([row(1, "revoked"), row(-30, "expired")]), "7d", None),
        (json!([]), "7d", None),
    ] {
        let scene = RhacsScene::new();
        let run =
            report(&installed, &scene, json!({ "rhacs_host": "", "report_rows": rows, "report_fail_within": within }));
        assert_eq!(run.success, failing.is_none(), "{rows}: {}", run.printed);
        assert!(failing.is_none_or(|words| run.printed.contains(words)), "{rows}: {}", run.printed);
        assert!(scene.path("report.html").exists() && scene.requests().is_empty());
    }
}

#[test]
fn the_report_refuses_rows_and_times_that_it_would_get_wrong_and_is_not_written_without_its_system() {
    let installed = Installed::on_tools();
    let good = json!({ "system": "hub", "name": "x", "id": "x", "expires_at": null, "state": "valid" });
    let with = |key: &str, value: Value| {
        let mut row = good.clone();
        row[key] = value;
        json!({ "rhacs_host": "", "report_rows": [good, row] })
    };
    let without = |key: &str| {
        let mut row = good.clone();
        row.as_object_mut().unwrap().remove(key);
        json!({ "rhacs_host": "", "report_rows": [row] })
    };
    for wrong in [
        without("name"),
        without("expires_at"),
        with("state", json!("fine")),
        with("expires_at", json!("2026-12-31")),
        with("expires_at", json!("2026-12-31T00:00:00+01:00")),
        json!({ "rhacs_host": "", "report_within": "soon" }),
        json!({ "rhacs_host": "", "report_fail_within": "7 days" }),
    ] {
        let scene = RhacsScene::new();
        let run = report(&installed, &scene, wrong.clone());
        assert!(!run.success && run.printed.contains("Each of report_rows needs system"), "{wrong}: {}", run.printed);
        assert!(!scene.path("report.md").exists());
    }
    let scene = RhacsScene::new();
    scene.fault(Fault::bad_gateway());
    let run = report(&installed, &scene, json!({}));
    assert!(!run.success && run.printed.contains("status 502") && !scene.path("report.md").exists(), "{}", run.printed);
}

#[test]
fn every_way_to_run_the_modules_of_rhacs_gives_the_same_result_and_shows_no_secret() {
    let installed = Installed::on_tools();
    let scene = RhacsScene::new();
    let played = by_every_way(&installed, &scene, |name, way| tasks(&scene, name, way));
    for (task, direct, other) in &played.pairs {
        assert_eq!(keys(direct), keys(other), "{task}: {direct}");
        for key in ["changed", "failed", "reason", "name", "roles", "generated", "dest", "clock_offset"] {
            assert_eq!(direct[key], other[key], "{key} of {task}: {direct}");
        }
    }
    for (way, results) in &played.results {
        played.hunt(&secrets(&scene, way, results));
    }
}

#[test]
fn no_secret_of_rhacs_stands_in_what_the_json_callback_prints() {
    let installed = Installed::on_tools();
    let scene = RhacsScene::new();
    let callback = [("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")];
    let results = installed.results_of(&scene, &tasks(&scene, "results", ""), &[], &callback);
    let secrets = secrets(&scene, "results", results["results"].as_array().unwrap());
    let printed = installed.printed();
    let document: Value = serde_json::from_str(&printed[printed.find('{').unwrap()..]).unwrap();
    assert!(document["plays"][0]["tasks"].as_array().unwrap().len() > 10);
    assert_eq!(found(&printed, &secrets), Vec::<&String>::new(), "{printed}");
}

#[test]
fn no_secret_of_rhacs_stands_in_the_event_files_of_ansible_runner() {
    let installed = Installed::on_tools();
    let scene = RhacsScene::new();
    let (results, events) = installed.runner(&scene, &tasks(&scene, "results", ""));
    let secrets = secrets(&scene, "results", results["results"].as_array().unwrap());
    assert!(events.len() > 10, "{} events", events.len());
    for (name, event) in events {
        assert_eq!(found(&event, &secrets), Vec::<&String>::new(), "in {name}: {event}");
    }
}

/// Variables of the playbooks of RHACS.
fn variables(scene: &RhacsScene) -> Value {
    json!({
        "rhacs_host": scene.central().url(),
        "rhacs_token": scene.token,
        "rhacs_ca_path": scene.sandbox.ca_path(),
    })
}

/// A run of the report, which goes into the scene's folder.
fn report(installed: &Installed, scene: &RhacsScene, more: Value) -> tokensmith_tests::installed::Played {
    let mut variables = variables(scene);
    variables["report_markdown"] = json!(scene.path("report.md"));
    variables["report_html"] = json!(scene.path("report.html"));
    variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    installed.playbook(REPORT, &variables)
}

/// Tasks of every kind, and one that keeps what they registered under a name: secrets given and returned, changed and unchanged, failed in many ways.
fn tasks(scene: &RhacsScene, name: &str, way: &str) -> String {
    let dest = |file: &str| scene.path(&format!("{name}-{file}")).display().to_string();
    let caller = scene.file(&format!("{name}-caller"), &scene.token).display().to_string();
    let admin = format!("rhacs_token: '{{{{ administrator }}}}', role: {ROLE}");
    let tokens = [
        format!("{admin}, name: {name} one, dest: '{}'", dest("raw")),
        format!("{admin}, name: {name} one, dest: '{}'", dest("raw")),
        format!("{admin}, name: {name} one, dest: '{}', state: rotated, return_token: true", dest("raw")),
        format!("{admin}, name: {name} two"),
        format!(
            "rhacs_password: '{{{{ password }}}}', role: {ROLE}, name: {name} three, dest: '{}', dest_format: json",
            dest("json")
        ),
        format!(
            "rhacs_token_file: '{caller}', role: {ROLE}, name: {name} four, dest: '{}', dest_format: env",
            dest("env")
        ),
        format!("{admin}, name: {name} one, dest: '{}', state: absent", dest("raw")),
        format!("{admin}, name: '{{{{ administrator }}}}', dest: /nonexistent/token"),
        format!("{admin}, name: {name} one, bogus: '{{{{ administrator }}}}'"),
        format!("{admin}, name: {name} one, renew_before: '{{{{ administrator }}}}'"),
        format!("rhacs_token: '{{{{ administrator }}}}', role: '{{{{ administrator }}}}', name: {name} five"),
        format!("rhacs_token: '{{{{ wrong_secret }}}}', role: {ROLE}, name: {name} six"),
        format!("rhacs_password: '{{{{ wrong_secret }}}}', role: {ROLE}, name: {name} six"),
    ]
    .map(|options| ("rhacs_api_token", options));
    let infos = [
        "rhacs_token: '{{ administrator }}', expires_within: 100d".to_owned(),
        "rhacs_token: '{{ wrong_secret }}'".to_owned(),
        "rhacs_token: '{{ administrator }}', name: '{{ administrator }}', expires_within: '{{ administrator }}'"
            .to_owned(),
    ]
    .map(|options| ("rhacs_api_token_info", options));
    let machines = [
        "oidc_token: '{{ oidc }}'".to_owned(),
        format!("oidc_token: '{{{{ oidc }}}}', dest: '{}'", dest("machine")),
        format!(
            "oidc_token: '{{{{ oidc }}}}', dest: '{}', dest_format: json, return_token: true",
            dest("machine.json")
        ),
        "oidc_token: '{{ expired_oidc }}'".to_owned(),
        "oidc_token: '{{ wrong_secret }}'".to_owned(),
        // An API token is a JWT too, of an issuer that nobody configured.
        "oidc_token: '{{ administrator }}'".to_owned(),
    ]
    .map(|options| ("rhacs_m2m_token", options));
    let mut text = String::new();
    let mut names = Vec::new();
    for (number, (module, options)) in tokens.into_iter().chain(infos).chain(machines).enumerate() {
        let register = format!("{name}_{number}");
        text.push_str(&format!(
            "\n    - tokensmith.redhat.{module}: {{{options}}}\n      register: {register}\n      ignore_errors: true\n      {way}"
        ));
        names.push(register);
    }
    // In a loop and under no_log as well.
    text.push_str(&format!(
        "\n    - tokensmith.redhat.rhacs_api_token: {{{admin}, name: '{name} {{{{ item }}}}', state: rotated}}\n      loop: [seven, eight]\n      register: {name}_loop\n      ignore_errors: true\n      no_log: '{{{{ item == \"seven\" }}}}'\n      {way}"
    ));
    names.push(format!("{name}_loop"));
    text + &registered(&names.iter().map(String::as_str).collect::<Vec<_>>(), name)
}

/// Every secret that the play met: given, sent, returned and written.
fn secrets(scene: &RhacsScene, name: &str, results: &[Value]) -> Vec<String> {
    let mut secrets: BTreeSet<String> = [scene.token.clone(), scene.central().admin_password()].into();
    secrets.extend(scene.secrets().as_object().unwrap().values().filter_map(Value::as_str).map(str::to_owned));
    for request in scene.sandbox.records().all() {
        secrets.extend(
            request.authorization.as_deref().and_then(|value| value.split_once(' ')).map(|(_, value)| value.to_owned()),
        );
    }
    let items = results.iter().flat_map(|result| result["results"].as_array().into_iter().flatten());
    secrets.extend(results.iter().chain(items).filter_map(|result| result["token"].as_str()).map(str::to_owned));
    for file in ["raw", "machine"] {
        secrets.extend(fs::read_to_string(scene.path(&format!("{name}-{file}"))));
    }
    // What the play did is what it was written for.
    assert!(secrets.len() >= 14, "the play is to bring many secrets about: {}", secrets.len());
    let failed: Vec<usize> = (0..results.len()).filter(|number| results[*number]["failed"] == true).collect();
    assert_eq!(failed, [7, 8, 9, 10, 11, 12, 14, 15, 19, 20, 21], "{results:?}");
    secrets.into_iter().filter(|secret| secret.len() > 8).collect()
}

const RENEW: &str = "tokensmith.redhat.renew_rhacs_tokens";
const REPORT: &str = "tokensmith.redhat.report_expiring";
