//! Secrets stay where they belong, and the way to the platform is the one that the task means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokensmith::rotation::Note;
use tokensmith_sandbox::{Certificate, Fault};
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::gateway::{GatewayScene, USER};
use tokensmith_tests::installed::find_secrets;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{mode, read};

use super::{APIS, held};

#[test]
fn with_dest_no_secret_is_printed_or_noted_and_without_it_the_result_is_marked() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let dest = scene.path("token");
        let mut secrets = vec![scene.platform().password(USER)];
        for state in ["present", "rotated", "present", "absent"] {
            let options = json!({ "dest": dest, "state": state, "_ansible_diff": true });
            for check in [true, false] {
                let run = scene.token_task(with(options.clone(), json!({ "_ansible_check_mode": check }))).succeeded();
                secrets.extend(std::fs::read_to_string(&dest));
                hides(&run.stdout, &secrets);
                assert!(run.result.get("_tokensmith_secret").is_none(), "{run}");
                assert!(!run.changed() || run.result["diff"].is_object(), "{run}");
            }
            if state != "absent" {
                let note = read(&scene.path(".token.tokensmith.json"));
                assert!(serde_json::from_str::<Note>(&note).unwrap().id.is_some(), "{note}");
                hides(&note, &secrets);
            }
        }
        let run = scene.token_task(json!({ "dest": dest, "return_token": true })).succeeded();
        assert_eq!((run.text("token"), &run.result["_tokensmith_secret"]), (read(&dest).as_str(), &json!(true)));
        assert_eq!(mode(&dest), 0o600);
        let run = scene.token_task(json!({ "description": "other" })).succeeded();
        assert_eq!(run.result["_tokensmith_secret"], true);
        assert!(scene.platform().token_works(run.text("token")));
    }
}

#[test]
fn no_secret_is_printed_whatever_the_server_repeats_and_whichever_credential_it_got() {
    type Credential = fn(&GatewayScene, &str) -> Value;
    let credentials: [(&str, Credential); 4] = [
        ("password", |_, _| json!({})),
        ("token", |_, own| json!({ "gateway_token": own })),
        ("dictionary", |_, own| json!({ "gateway_token": { "token": own, "id": 1 } })),
        ("file", |scene, own| json!({ "gateway_token_file": scene.file("caller", own) })),
    ];
    for ((name, credential), api) in credentials.into_iter().zip(APIS.into_iter().cycle()) {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        let (_, own) = scene.platform().issue_token(USER, "caller", "write");
        let (_, given) = scene.platform().issue_token(USER, "given", "write");
        let kinds = [
            (&held.token, json!({ "dest": held.dest, "state": "rotated" })),
            (&held.token, json!({ "dest": held.dest, "state": "absent" })),
            (&given, json!({ "existing_token": given, "description": "given", "state": "rotated" })),
            (&given, json!({ "existing_token": { "token": given }, "description": "given", "state": "absent" })),
        ];
        let password = scene.platform().password(USER);
        let caller = if name == "password" { &password } else { &own };
        for (number, (token, kind)) in kinds.iter().cycle().take(8).enumerate() {
            let secrets = [caller.clone(), (*token).clone()];
            let fault = repeating(number, caller, token);
            for (method, path) in REQUESTS {
                scene.sandbox.faults().clear();
                scene.fault(fault.clone().method(method).path(path));
                let options = with(credential(&scene, &own), kind.clone());
                let options = with(options, json!({ "_ansible_diff": true, "request_timeout": 5 }));
                let run = scene.token_task(options);
                let mut shown = run.result.clone();
                // What is returned on purpose is marked.
                if shown["_tokensmith_secret"] == true {
                    shown["token"] = Value::Null;
                }
                let case = format!("{name}, {api}, {number}, {method} {path}");
                assert_eq!(find_secrets(&shown.to_string(), &secrets), Vec::<usize>::new(), "{case}: {run}");
                scene.file("token", &held.token);
            }
        }
    }
}

#[test]
fn a_refresh_token_stays_out_of_everything_but_its_own_field() {
    let scene = GatewayScene::new();
    let options = json!({
        "gateway_username": "admin", "gateway_password": scene.platform().password("admin"), "application": "deploy",
        "state": "rotated", "_ansible_diff": true,
    });
    let run = scene.token_task(options).succeeded();
    for field in ["token", "refresh_token"] {
        assert_eq!(run.stdout.matches(run.text(field)).count(), 1, "{field}");
    }
}

#[test]
fn an_asynchronous_task_is_refused_before_it_would_return_a_token() {
    let scene = GatewayScene::new();
    for (options, refused) in [
        (json!({}), true),
        (json!({ "dest": scene.path("token"), "return_token": true }), true),
        (json!({ "dest": scene.path("token") }), false),
        (json!({ "state": "absent" }), false),
    ] {
        scene.sandbox.records().clear();
        let run = scene.token_task(with(json!({ "_tokensmith_async": true }), options));
        assert_eq!((run.failed(), run.message().contains("leave async out")), (refused, refused), "{run}");
        assert_eq!(scene.requests().is_empty(), refused, "{run}");
    }
}

#[test]
fn a_platform_that_is_not_trusted_gets_no_credential() {
    for (certificate, ca_path, words) in [
        (Certificate::Good, json!(null), "give the authority's certificate as ca_path"),
        (Certificate::Expired, json!("its own"), "expired"),
        (Certificate::Foreign, json!("its own"), "certificate"),
    ] {
        let scene = GatewayScene::new();
        scene.platform().change(|state| state.certificate = certificate);
        let ca_path = if ca_path.is_null() { ca_path } else { json!(scene.sandbox.ca_path()) };
        let options = json!({ "dest": scene.path("token"), "ca_path": ca_path });
        let run = scene.token_task(options.clone());
        assert!(run.failed() && run.message().contains(words), "{words}: {run}");
        assert!(scene.requests().is_empty(), "{run}");
        for name in ["validate_certs", "gateway_validate_certs", "aap_validate_certs"] {
            let run = scene.token_task(with(options.clone(), json!({ name: false }))).succeeded();
            assert!(run.warnings().contains("The server's certificate is not checked"), "{run}");
        }
    }
}

#[test]
fn a_token_with_blanks_around_it_is_sent_without_them_and_one_that_no_header_can_hold_is_not_sent() {
    let scene = GatewayScene::new();
    let (_, token) = scene.platform().issue_token(USER, "caller", "write");
    let file = scene.file("caller", &format!("\n {token}\n"));
    for options in [
        json!({ "gateway_token": format!(" {token}\n") }),
        json!({ "gateway_token": { "token": format!("{token}\n") } }),
        json!({ "gateway_token_file": file }),
    ] {
        scene.token_task(with(options, json!({ "dest": scene.path("token") }))).succeeded();
    }
    scene.sandbox.records().clear();
    for token in ["two\nlines-of-it-together", "zero\0byte-inside-of-it"] {
        let run = scene.token_task(json!({ "gateway_token": token, "dest": scene.path("token") }));
        assert!(run.failed() && run.message().contains("characters that no HTTP header may have"), "{run}");
        hides(&run.stdout, &[token.to_owned()]);
    }
    let sent = scene.sandbox.records().all();
    assert!(
        sent.iter()
            .all(|request| request.authorization.as_deref() == Some(&format!("Bearer {}", read(&scene.path("token")))))
    );
}

#[test]
fn a_password_may_hold_any_character() {
    let scene = GatewayScene::new();
    for password in ["with:colons:and spaces", "ümläute und 漢字", "quote\"back\\slash%20+"] {
        scene.platform().change(|state| {
            let user = state.users.iter_mut().find(|user| user.username == USER).unwrap();
            user.password = password.to_owned();
        });
        let run = scene.token_task(json!({ "state": "rotated" })).succeeded();
        hides(&run.stdout, &[password.to_owned()]);
    }
}

#[test]
fn the_environment_says_which_platform_and_as_whom() {
    let scene = GatewayScene::new();
    let (_, token) = scene.platform().issue_token(USER, "caller", "write");
    let password = scene.platform().password(USER);
    for (number, variables) in [
        [("GATEWAY_HOSTNAME", ""), ("GATEWAY_USERNAME", USER), ("GATEWAY_PASSWORD", &password)],
        [("AAP_HOSTNAME", ""), ("AAP_USERNAME", USER), ("AAP_PASSWORD", &password)],
        [("GATEWAY_HOSTNAME", ""), ("GATEWAY_API_TOKEN", &token), ("GATEWAY_USERNAME", "nobody")],
        [("AAP_HOSTNAME", ""), ("AAP_TOKEN", &token), ("AAP_USERNAME", "nobody")],
    ]
    .into_iter()
    .enumerate()
    {
        let dest = scene.path(&number.to_string());
        let mut command = executable::command();
        command.arg("gateway_token").args(["--description=ci", "--use-proxy=false"]);
        command
            .arg(format!("--dest={}", dest.display()))
            .arg(format!("--ca-path={}", scene.sandbox.ca_path().display()));
        for (name, value) in variables {
            command.env(name, if value.is_empty() { scene.platform().url() } else { value.to_owned() });
        }
        let run = Run::from_output(&command.output().unwrap()).succeeded();
        assert!(run.changed() && scene.platform().token_works(&read(&dest)), "{variables:?}: {run}");
    }
}

#[test]
fn ten_runs_at_once_on_one_dest_leave_one_token_which_works() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        assert!(scene.platform().expire_in(held.id, 5 * super::DAY));
        for state in ["present", "rotated"] {
            let options = scene.token_options(json!({ "dest": held.dest, "state": state }));
            let runs: Vec<_> = (0..10).map(|_| executable::start_module("gateway_token", &options)).collect();
            let runs: Vec<Run> =
                runs.into_iter().map(|run| Run::from_output(&run.wait_with_output().unwrap()).succeeded()).collect();
            let created = runs.iter().filter(|run| run.result["created"] == true).count();
            assert_eq!(created, if state == "present" { 1 } else { 10 }, "{api}");
            assert!(scene.platform().token_works(&read(&held.dest)));
            assert_eq!(scene.platform().live_tokens("ci"), 1, "{api}, {state}");
        }
    }
}

/// An answer with the credentials in it: refusals of every kind, and what is no answer at all.
fn repeating(number: usize, caller: &str, token: &str) -> Fault {
    let pair = STANDARD.encode(format!("{USER}:{caller}"));
    let said = format!("Basic {pair}, Bearer {caller}; {token} of {caller}");
    match number {
        0 => json_answer(400, json!({ "detail": said })),
        1 => json_answer(400, json!({ "scope": [said] })),
        2 => json_answer(403, json!({ "detail": said })),
        3 => json_answer(401, json!({ "detail": said })),
        4 => json_answer(404, json!({ "detail": said })),
        5 => Fault::answer(500, "text/html", format!("<html><body>{said}</body></html>")),
        6 => Fault::answer(200, "text/plain", said),
        _ => json_answer(200, json!({ "results": said })),
    }
}

fn json_answer(status: u16, body: Value) -> Fault {
    Fault::answer(status, "application/json", body.to_string())
}

fn hides(text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
}

const REQUESTS: [(&str, &str); 4] =
    [("GET", "/me/"), ("GET", "/tokens/"), ("POST", "/tokens/"), ("DELETE", "/tokens/")];
