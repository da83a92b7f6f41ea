//! Secrets stay where they belong, and the way to Central is the one that the task means.

use serde_json::json;
use tokensmith::rotation::Note;
use tokensmith_sandbox::Certificate;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::quay::with;
use tokensmith_tests::rhacs::{DAY, RhacsScene};
use tokensmith_tests::scene::{mode, read};

#[test]
fn with_dest_no_secret_is_printed_or_noted_and_without_it_the_result_is_marked() {
    let scene = RhacsScene::new();
    let dest = scene.path("token");
    let mut secrets = vec![scene.token.clone()];
    for state in ["present", "rotated", "present", "absent"] {
        let options = json!({ "dest": dest, "state": state, "_ansible_diff": true });
        for check in [true, false] {
            let run = scene.api_token_task(with(options.clone(), json!({ "_ansible_check_mode": check }))).succeeded();
            secrets.extend(std::fs::read_to_string(&dest));
            hides(&run.stdout, &secrets);
            assert!(run.result.get("_tokensmith_secret").is_none(), "{run}");
        }
        if state != "absent" {
            let note = read(&scene.path(".token.tokensmith.json"));
            assert!(serde_json::from_str::<Note>(&note).unwrap().id.is_some(), "{note}");
            hides(&note, &secrets);
        }
    }
    let run = scene.api_token_task(json!({ "dest": dest, "return_token": true })).succeeded();
    assert_eq!((run.text("token"), &run.result["_tokensmith_secret"]), (read(&dest).as_str(), &json!(true)));
    assert_eq!(mode(&dest), 0o600);
    let run = scene.api_token_task(json!({ "name": "other" })).succeeded();
    assert_eq!(run.result["_tokensmith_secret"], true);
    assert!(scene.central().token_works(run.text("token")));
}

#[test]
fn an_asynchronous_task_is_refused_before_it_would_return_a_token() {
    let scene = RhacsScene::new();
    for (options, refused) in [
        (json!({}), true),
        (json!({ "dest": scene.path("token"), "return_token": true }), true),
        (json!({ "dest": scene.path("token") }), false),
        (json!({ "state": "absent" }), false),
    ] {
        let run = scene.api_token_task(with(json!({ "_tokensmith_async": true }), options));
        assert_eq!((run.failed(), run.message().contains("leave async out")), (refused, refused), "{run}");
        assert_eq!(scene.requests().is_empty(), refused, "{run}");
    }
}

#[test]
fn a_central_that_is_not_trusted_gets_no_token() {
    for (certificate, ca_path, words) in [
        (Certificate::Good, json!(null), "give the authority's certificate as ca_path"),
        (Certificate::Expired, json!("its own"), "expired"),
        (Certificate::Foreign, json!("its own"), "certificate"),
    ] {
        let scene = RhacsScene::new();
        scene.central().change(|state| state.certificate = certificate);
        let ca_path = if ca_path.is_null() { ca_path } else { json!(scene.sandbox.ca_path()) };
        let options = json!({ "dest": scene.path("token"), "ca_path": ca_path });
        let run = scene.api_token_task(options.clone());
        assert!(run.failed() && run.message().contains(words), "{words}: {run}");
        assert!(scene.requests().is_empty(), "{run}");
        for unchecked in [json!({ "validate_certs": false }), json!({ "skip_validate_certs": true })] {
            let run = scene.api_token_task(with(options.clone(), unchecked)).succeeded();
            assert!(run.warnings().contains("The server's certificate is not checked"), "{run}");
        }
    }
}

#[test]
fn a_token_with_blanks_around_it_is_sent_without_them_and_one_that_no_header_can_hold_is_not_sent() {
    let scene = RhacsScene::new();
    let file = scene.file("caller", &format!("\n {}\n", scene.token));
    for options in [
        json!({ "rhacs_token": format!(" {}\n", scene.token) }),
        json!({ "rhacs_token": null, "rhacs_token_file": file }),
    ] {
        scene.api_token_task(with(options, json!({ "dest": scene.path("token") }))).succeeded();
    }
    scene.sandbox.records().clear();
    for token in ["two\nlines-of-it", "zero\0byte-inside"] {
        let run = scene.api_token_task(json!({ "rhacs_token": token, "dest": scene.path("token") }));
        assert!(run.failed() && run.message().contains("characters that no HTTP header may have"), "{run}");
        hides(&run.stdout, &[token.to_owned()]);
    }
    assert!(scene.requests().is_empty());
}

#[test]
fn the_environment_of_roxctl_says_which_central_and_as_whom() {
    let scene = RhacsScene::new();
    let file = scene.file("caller", &scene.token);
    let password = scene.central().admin_password();
    for (name, value) in [
        ("ROX_API_TOKEN", scene.token.clone()),
        ("ROX_API_TOKEN_FILE", file.display().to_string()),
        ("ROX_ADMIN_PASSWORD", password),
    ] {
        let dest = scene.path(name);
        let mut command = executable::command();
        command.arg("rhacs_api_token").args(["--name=ci", "--role=Analyst", "--use-proxy=false"]);
        command.arg(format!("--dest={}", dest.display()));
        command.env("ROX_ENDPOINT", scene.central().endpoint()).env("ROX_CA_CERT_FILE", scene.sandbox.ca_path());
        let run = Run::from_output(&command.env(name, value).output().unwrap()).succeeded();
        assert!(run.changed() && scene.central().token_works(&read(&dest)), "{name}: {run}");
    }
}

#[test]
fn ten_runs_at_once_on_one_dest_leave_one_token_which_works() {
    let scene = RhacsScene::new();
    let dest = scene.file("token", &scene.central().issue_token("ci", &["Admin"], 7 * DAY));
    for state in ["present", "rotated"] {
        let options = scene.api_token_options(json!({ "dest": dest, "state": state, "role": "Admin" }));
        let runs: Vec<_> = (0..10).map(|_| executable::start_module("rhacs_api_token", &options)).collect();
        let runs: Vec<Run> =
            runs.into_iter().map(|run| Run::from_output(&run.wait_with_output().unwrap()).succeeded()).collect();
        let generated = runs.iter().filter(|run| run.result["generated"] == true).count();
        assert_eq!(generated, if state == "present" { 1 } else { 10 });
        assert!(scene.central().token_works(&read(&dest)));
        assert_eq!(scene.central().live_tokens("ci"), 1, "{state}");
    }
}

fn hides(text: &str, secrets: &[String]) {
    for secret in secrets {
        let signature = secret.rsplit('.').next().unwrap_or_default();
        assert!(!text.contains(&signature[..signature.len().min(12)]), "{text}");
    }
}
