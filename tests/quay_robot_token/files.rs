//! Where the token goes: formats, keys of the registry, templates, and what else stands in the file.

use std::fs;

use serde_json::{Value, json};
use tokensmith_tests::quay::{QuayScene, with};
use tokensmith_tests::scene::read;

#[test]
fn every_format_is_written_byte_for_byte_and_read_back() {
    for (format, key, expected) in [
        ("raw", "registry", TOKEN.to_owned()),
        ("json", "registry", json_file("quay.example.com")),
        ("json", "organization", json_file("quay.example.com/acme")),
        ("env", "registry", env_file("quay.example.com")),
        ("env", "organization", env_file("quay.example.com/acme")),
        ("docker_config", "registry", docker_config("quay.example.com")),
        ("docker_config", "organization", docker_config("quay.example.com/acme")),
        ("kubernetes_secret", "registry", kubernetes_secret(CONFIG)),
        ("kubernetes_secret", "organization", kubernetes_secret(CONFIG_OF_ACME)),
    ] {
        let scene = golden();
        let options = json!({ "robot": "ci", "dest": scene.path("file"), "dest_format": format, "registry_key": key });
        let run = scene.robot_token_task(options.clone()).succeeded();
        assert_eq!(read(&scene.path("file")), expected, "{format}, {key}");
        assert!(run.result.get("token").is_none() && !run.stdout.contains(TOKEN), "{run}");
        let registry = if key == "registry" { "quay.example.com" } else { "quay.example.com/acme" };
        assert_eq!(run.text("registry"), registry, "{run}");
        let again = scene.robot_token_task(options).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{format}, {key}: {again}");
        assert!(scene.writes().is_empty());
    }
}

#[test]
fn the_task_knows_the_registry_better() {
    let scene = golden();
    let options = json!({
        "robot": "ci", "dest": scene.path("file"), "dest_format": "docker_config", "registry": "registry.example.com:5000",
        "registry_key": "organization",
    });
    let run = scene.robot_token_task(options).succeeded();
    assert_eq!(run.text("registry"), "registry.example.com:5000/acme");
    assert_eq!(read(&scene.path("file")), docker_config("registry.example.com:5000/acme"));
}

#[test]
fn another_registry_in_the_file_is_mended_without_a_new_token() {
    for format in ["json", "env", "docker_config", "kubernetes_secret"] {
        let scene = golden();
        let options = json!({ "robot": "ci", "dest": scene.path("file"), "dest_format": format });
        scene.robot_token_task(options.clone()).succeeded();
        let options = with(options, json!({ "registry_key": "organization" }));
        let forecast =
            scene.robot_token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        let run = scene.robot_token_task(options.clone()).succeeded();
        let expected = if ["json", "env"].contains(&format) { "drifted" } else { "missing" };
        assert_eq!((run.text("reason"), run.changed()), (expected, true), "{format}: {run}");
        assert_eq!((forecast.text("reason"), forecast.changed()), (expected, true), "{format}: {run}");
        assert!(scene.writes().is_empty());
        let again = scene.robot_token_task(options).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{format}: {again}");
    }
}

#[test]
fn everything_else_in_a_docker_configuration_is_kept_also_when_the_token_is_taken_out() {
    let scene = golden();
    let others =
        "{\n\t\"auths\": {\n\t\t\"docker.io\": {\"auth\": \"eDp5\"}\n\t},\n\t\"detachKeys\": \"ctrl-e,e\"\n}\n";
    let dest = scene.file("config.json", others);
    let options = json!({ "robot": "ci", "dest": dest, "dest_format": "docker_config" });
    scene.robot_token_task(options.clone()).succeeded();
    let merged: Value = serde_json::from_str(&read(&dest)).unwrap();
    assert_eq!(merged["auths"]["quay.example.com"]["auth"], AUTH);
    assert_eq!((&merged["auths"]["docker.io"]["auth"], &merged["detachKeys"]), (&json!("eDp5"), &json!("ctrl-e,e")));
    let run = scene.robot_token_task(with(options, json!({ "state": "absent", "delete_robot": true }))).succeeded();
    assert!(run.changed(), "{run}");
    let left: Value = serde_json::from_str(&read(&dest)).unwrap();
    assert_eq!(left, serde_json::from_str::<Value>(others).unwrap());
}

#[test]
fn a_file_that_the_token_cannot_be_taken_out_of_keeps_the_robot_alive() {
    for (format, content, words) in [
        ("docker_config", "{\"auths\": {},}", "it is not JSON"),
        ("docker_config", "[]", "is not an object"),
        ("kubernetes_secret", "kind: ConfigMap\n", "something else than a pull secret"),
    ] {
        let scene = golden();
        let dest = scene.file("file", content);
        let options = json!({ "robot": "ci", "dest": dest, "dest_format": format, "delete_robot": true });
        for state in ["present", "rotated", "absent"] {
            let run = scene.robot_token_task(with(options.clone(), json!({ "state": state })));
            assert!(run.failed() && run.message().contains(words), "{format}, {state}: {run}");
            assert_eq!((read(&dest).as_str(), scene.robot_token("acme+ci").as_str()), (content, TOKEN), "{state}");
        }
    }
}

#[test]
fn what_a_user_should_know_of_the_file_is_a_warning() {
    let other = "{\"auths\": {\"quay.example.com\": {\"auth\": \"Ym9iOnB3\"}}}";
    for (content, words) in [
        ("{\"credsStore\": \"secretservice\"}", "credsStore names the credential helper 'secretservice'"),
        ("{\"credHelpers\": {\"quay.example.com\": \"pass\"}}", "credHelpers names the credential helper 'pass'"),
        (other, "bob"),
    ] {
        let scene = golden();
        let dest = scene.file("config.json", content);
        let options = json!({ "robot": "ci", "dest": dest, "dest_format": "docker_config" });
        for check_mode in [true, false] {
            let run = scene.robot_token_task(with(options.clone(), json!({ "_ansible_check_mode": check_mode })));
            let warnings = run.succeeded().warnings();
            assert!(warnings.contains(words) && warnings.contains("config.json"), "{content}: {warnings}");
        }
    }
}

#[test]
fn a_template_gives_each_robot_a_file_of_its_own() {
    for (template, files) in [
        ("{robot}", ["my.robot", "ci"]),
        ("{namespace}-{robot}.token", ["acme-my.robot.token", "acme-ci.token"]),
        ("{stem}-auth.json", ["acme-my-robot-auth.json", "acme-ci-auth.json"]),
    ] {
        let scene = golden();
        scene.quay().add_robot("acme+my.robot");
        scene.robot_token_task(json!({ "robots": ["my.robot", "ci"], "dest": scene.path(template) })).succeeded();
        for (file, robot) in files.into_iter().zip(["acme+my.robot", "acme+ci"]) {
            assert_eq!(read(&scene.path(file)), scene.robot_token(robot), "{template}");
        }
    }
}

#[test]
fn robots_that_would_have_the_same_file_are_refused_before_anything_is_issued() {
    for (template, words) in [
        ("{stem}-secret.yml", "let dest hold {robot}, by which all robots of one namespace differ"),
        ("token", "would have the same file, so one token would overwrite the other"),
        ("{name}", "{name} means nothing; there are {robot}, {namespace} and {stem}"),
        ("none/{robot}", "does not exist; make it first"),
    ] {
        let scene = golden();
        let robots = ["acme+my.robot", "acme+my-robot"];
        robots.iter().for_each(|robot| scene.quay().add_robot(robot));
        for who in [json!({ "robots": robots }), json!({ "all_robots": true })] {
            let options = json!({ "dest": scene.path(template), "state": "rotated" });
            let run = scene.robot_token_task(with(options, who));
            assert!(run.failed() && run.message().contains(words), "{template}: {run}");
            assert!(scene.writes().is_empty(), "{template}");
        }
    }
}

#[test]
fn one_folder_that_is_missing_stops_the_task_before_anything_is_issued() {
    let scene = golden();
    fs::create_dir(scene.path("ci")).unwrap();
    let options = json!({ "robots": ["ci", "deploy"], "dest": scene.path("{robot}/token"), "state": "rotated" });
    let run = scene.robot_token_task(options);
    assert!(run.failed() && run.message().contains("deploy does not exist; make it first"), "{run}");
    assert!(scene.writes().is_empty() && !scene.path("ci/token").exists());
}

#[test]
fn the_diff_shows_fingerprints_and_dates() {
    let scene = golden();
    let before = json!({ "token": null });
    let options = json!({ "robot": "ci", "dest": scene.path("token"), "_ansible_diff": true });
    let run = scene.robot_token_task(options.clone()).succeeded();
    let first = run.text("fingerprint").to_owned();
    assert_eq!(run.result["diff"]["before"], before, "{run}");
    assert_eq!(run.result["diff"]["after"]["token"], first.as_str(), "{run}");
    let rotated = with(options, json!({ "state": "rotated" }));
    let run = scene.robot_token_task(with(rotated.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
    assert_eq!(
        (&run.result["diff"]["before"]["token"], &run.result["diff"]["after"]),
        (&json!(first), &json!("(a new token)"))
    );
    let run = scene.robot_token_task(rotated.clone()).succeeded();
    assert_eq!(run.result["diff"]["before"]["token"], first.as_str());
    assert_eq!(run.result["diff"]["after"]["token"], run.text("fingerprint"));
    assert!(!run.stdout.contains(TOKEN) && !run.stdout.contains(&scene.robot_token("acme+ci")));
    let gone = with(rotated, json!({ "state": "absent", "delete_robot": true }));
    let run = scene.robot_token_task(gone).succeeded();
    assert_eq!(run.result["diff"], json!({ "before": { "robot": "there" }, "after": { "robot": "gone" } }));
    let many = json!({ "all_robots": true, "dest": scene.path("{robot}"), "_ansible_diff": true });
    let run = scene.robot_token_task(many).succeeded();
    assert_eq!(run.result["diff"]["before"]["acme+deploy"], before, "{run}");
}

/// The robot whose files the contract shows.
fn golden() -> QuayScene {
    let scene = QuayScene::new();
    scene.quay().change(|state| state.server_hostname = "quay.example.com".to_owned());
    scene.set_robot_token("acme+ci", TOKEN);
    scene
}

fn json_file(registry: &str) -> String {
    format!("{{\n  \"robot_token\": \"{TOKEN}\",\n  \"username\": \"acme+ci\",\n  \"registry\": \"{registry}\"\n}}\n")
}

fn env_file(registry: &str) -> String {
    format!("ROBOT_TOKEN='{TOKEN}'\nROBOT_TOKEN_USERNAME='acme+ci'\nROBOT_TOKEN_REGISTRY='{registry}'\n")
}

fn docker_config(registry: &str) -> String {
    format!(
        "{{\n  \"auths\": {{\n    \"{registry}\": {{\n      \"auth\": \"{AUTH}\",\n      \"email\": \"\"\n    }}\n  }}\n}}"
    )
}

fn kubernetes_secret(config: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: acme-ci-pull-secret\ndata:\n  .dockerconfigjson: {config}\ntype: kubernetes.io/dockerconfigjson"
    )
}

const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const AUTH: &str = "YWNtZStjaTpBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";
const CONFIG: &str = "ewogICJhdXRocyI6IHsKICAgICJxdWF5LmV4YW1wbGUuY29tIjogewogICAgICAiYXV0aCI6ICJZV050WlN0amFUcEJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkIiLAogICAgICAiZW1haWwiOiAiIgogICAgfQogIH0KfQ==";
const CONFIG_OF_ACME: &str = "ewogICJhdXRocyI6IHsKICAgICJxdWF5LmV4YW1wbGUuY29tL2FjbWUiOiB7CiAgICAgICJhdXRoIjogIllXTnRaU3RqYVRwQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQiIsCiAgICAgICJlbWFpbCI6ICIiCiAgICB9CiAgfQp9";
