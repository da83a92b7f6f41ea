//! Secrets stay where they belong, and the way to the hub is the one that the task means.

use serde_json::{Value, json};
use tokensmith_sandbox::{Certificate, Fault};
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{names, read};

#[test]
fn with_dest_no_secret_is_printed_or_noted_and_without_it_the_result_is_marked() {
    let scene = HubScene::new();
    let dest = scene.path("token");
    let mut secrets = vec![scene.password()];
    for state in ["present", "rotated", "present", "absent"] {
        let options = json!({ "dest": dest, "state": state, "_ansible_diff": true });
        for check in [true, false] {
            let run = scene.task(with(options.clone(), json!({ "_ansible_check_mode": check }))).succeeded();
            secrets.extend(std::fs::read_to_string(&dest));
            hides(&run.stdout, &secrets);
            assert!(run.result.get("_tokensmith_secret").is_none(), "{run}");
        }
        for name in names(dest.parent().unwrap()).iter().filter(|name| *name != "token") {
            hides(&read(&scene.path(name)), &secrets);
        }
    }
    scene.task(json!({ "dest": dest })).succeeded();
    let run = scene.task(json!({ "dest": dest, "return_token": true })).succeeded();
    assert_eq!((run.text("token"), &run.result["_tokensmith_secret"]), (read(&dest).as_str(), &json!(true)));
    let run = scene.task(json!({ "state": "rotated" })).succeeded();
    assert_eq!((Some(run.text("token")), &run.result["_tokensmith_secret"]), (scene.token().as_deref(), &json!(true)));
}

#[test]
fn a_hub_that_repeats_a_secret_in_its_refusal_is_not_quoted_with_it() {
    let scene = HubScene::new();
    let held = scene.issue();
    let dest = scene.file("token", &held);
    let body = json!({ "errors": [{ "status": "403", "code": "permission_denied", "detail": format!("not you, {held} {}", scene.password()) }] });
    scene.fault(Fault::answer(403, "application/json", body.to_string()));
    let run = scene.task(json!({ "dest": dest }));
    assert!(run.failed() && run.message().contains("not you"), "{run}");
    hides(&run.stdout, &[held, scene.password()]);
}

#[test]
fn an_asynchronous_task_is_refused_before_it_would_return_a_token() {
    let scene = HubScene::new();
    for (options, refused) in [
        (json!({ "state": "rotated" }), true),
        (json!({ "dest": scene.path("token"), "return_token": true }), true),
        (json!({ "dest": scene.path("token") }), false),
        (json!({ "state": "absent" }), false),
    ] {
        scene.sandbox.records().clear();
        let run = scene.task(with(json!({ "_tokensmith_async": true }), options));
        assert_eq!((run.failed(), run.message().contains("leave async out")), (refused, refused), "{run}");
        assert_eq!(scene.methods().is_empty(), refused, "{run}");
    }
}

#[test]
fn a_hub_that_is_not_trusted_gets_no_credential() {
    for (certificate, ca_path, words) in [
        (Certificate::Good, false, "give the authority's certificate as ca_path"),
        (Certificate::Expired, true, "expired"),
        (Certificate::Foreign, true, "certificate"),
    ] {
        let scene = HubScene::new();
        scene.hub().change(|state| state.certificate = certificate);
        let ca_path = if ca_path { json!(scene.sandbox.ca_path()) } else { Value::Null };
        let options = json!({ "dest": scene.path("token"), "ca_path": ca_path });
        let run = scene.task(options.clone());
        assert!(run.failed() && run.message().contains(words), "{words}: {run}");
        assert!(scene.methods().is_empty(), "{run}");
        let run = scene.task(with(options, json!({ "ah_verify_ssl": false }))).succeeded();
        assert!(run.warnings().contains("The server's certificate is not checked"), "{run}");
    }
}

#[test]
fn the_environment_of_ansible_hub_says_which_hub_and_as_whom() {
    let scene = HubScene::new();
    let token = scene.issue();
    let gateway = scene.hub().issue_gateway_token("build");
    let password = scene.password();
    for (variables, generated) in [
        (&[("AH_USERNAME", "build"), ("AH_PASSWORD", &*password)][..], true),
        (&[("GATEWAY_API_TOKEN", &*gateway)], true),
        (&[("AAP_TOKEN", &*gateway)], true),
        (&[("AH_API_TOKEN", "the token")], false),
        (&[("AH_TOKEN", "the token")], false),
    ] {
        let dest = scene.path(variables[0].0);
        let mut command = executable::command();
        command.arg("hub_token").arg("--use-proxy=false").arg(format!("--dest={}", dest.display()));
        command.arg(format!("--ca-path={}", scene.sandbox.ca_path().display()));
        command.env("AH_HOST", scene.hub().url()).env("AH_PATH_PREFIX", "galaxy");
        let current = scene.token().unwrap_or(token.clone());
        for (name, value) in variables {
            command.env(name, if *value == "the token" { current.as_str() } else { value });
        }
        let run = Run::from_output(&command.output().unwrap()).succeeded();
        assert_eq!((run.changed(), &run.result["generated"]), (true, &json!(generated)), "{variables:?}: {run}");
        assert_eq!(scene.token(), Some(read(&dest)));
    }
}

#[test]
fn each_credential_goes_out_in_its_own_scheme() {
    let scene = HubScene::new();
    let gateway = scene.hub().issue_gateway_token("build");
    let without = json!({ "ah_username": null, "ah_password": null });
    let token = scene.issue();
    for (options, scheme) in [
        (json!({ "ah_token": "ignored", "gateway_token": "ignored" }), "Basic "),
        (with(without.clone(), json!({ "gateway_token": gateway, "ah_token": "ignored" })), "Bearer "),
        (with(without, json!({ "ah_token": token, "self_rotation": true })), "Token "),
    ] {
        scene.hub().change(|state| state.users.get_mut("build").unwrap().token = Some(token.clone()));
        scene.sandbox.records().clear();
        scene.task(with(options, json!({ "state": "rotated" }))).succeeded();
        let sent = scene.sandbox.records().all();
        let post = sent.iter().find(|request| request.method == "POST").unwrap();
        assert!(post.authorization.as_ref().is_some_and(|sent| sent.starts_with(scheme)), "{scheme}");
    }
}

#[test]
fn ten_runs_at_once_on_one_dest_leave_the_token_that_works() {
    let scene = HubScene::new();
    let dest = scene.file("token", "dead");
    let with_itself = scene.options_without_password(json!({ "self_rotation": true }));
    for (options, state, made) in [
        (scene.options(json!({})), "present", 1),
        (scene.options(json!({})), "rotated", 10),
        (with_itself, "rotated", 10),
    ] {
        let options = with(options, json!({ "dest": dest, "state": state }));
        let runs: Vec<_> = (0..10).map(|_| executable::start_module("hub_token", &options)).collect();
        let runs: Vec<Run> =
            runs.into_iter().map(|run| Run::from_output(&run.wait_with_output().unwrap()).succeeded()).collect();
        let generated = runs.iter().filter(|run| run.result["generated"] == true).count();
        assert_eq!(generated, made, "{state}");
        assert_eq!(scene.token(), Some(read(&dest)));
    }
}

fn hides(text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(&secret[..12.min(secret.len())]), "{text}");
    }
}
