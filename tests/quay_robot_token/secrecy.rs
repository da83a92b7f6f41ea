//! Secrets stay where they belong, and the way to the server is the one that the task means.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::quay::{QuayScene, with};
use tokensmith_tests::scene::{mode, read};

#[test]
fn with_dest_no_secret_is_printed_and_without_it_the_result_is_marked() {
    let scene = QuayScene::new();
    scene.file("token", &scene.robot_token("acme+deploy"));
    for state in ["present", "rotated", "absent"] {
        let mut secrets = vec![scene.token.clone(), scene.robot_token("acme+ci"), scene.robot_token("acme+deploy")];
        let options = json!({ "robot": "ci", "dest": scene.path("token"), "state": state, "_ansible_diff": true });
        let run = scene.robot_token_task(with(options, json!({ "delete_robot": true }))).succeeded();
        secrets.extend(scene.quay().robot_token("acme+ci"));
        hides(&run, &secrets);
        assert!(run.result.get("_tokensmith_secret").is_none(), "{run}");
    }
    let many = json!({ "all_robots": true, "dest": scene.path("{robot}"), "state": "rotated" });
    hides(&scene.robot_token_task(many.clone()).succeeded(), &[scene.robot_token("acme+deploy")]);
    let run = scene.robot_token_task(with(many, json!({ "return_token": true }))).succeeded();
    assert_eq!(run.result["robot_accounts"][0]["token"], scene.robot_token("acme+deploy"));
    assert_eq!(run.result["_tokensmith_secret"], true);
}

#[test]
fn a_returned_token_is_the_one_in_the_file() {
    let scene = QuayScene::new();
    for state in ["present", "rotated"] {
        let options = json!({ "robot": "ci", "dest": scene.path("token"), "return_token": true, "state": state });
        let run = scene.robot_token_task(options).succeeded();
        assert_eq!(run.text("token"), read(&scene.path("token")));
        assert_eq!(run.text("token"), scene.robot_token("acme+ci"));
        assert_eq!((&run.result["_tokensmith_secret"], mode(&scene.path("token"))), (&json!(true), 0o600));
    }
}

#[test]
fn a_server_that_repeats_requests_in_its_errors_shows_no_secret() {
    type Shape = fn(&str) -> (u16, String);
    let shapes: [Shape; 6] = [
        |said| (403, json!({ "error": said }).to_string()),
        |said| (400, json!({ "message": said }).to_string()),
        |said| (400, json!({ "message": { "headers": said } }).to_string()),
        |said| (400, json!({ "detail": said, "error_message": said, "status": 400 }).to_string()),
        |said| (500, format!("<html><body><pre>{said}</pre></body></html>")),
        |said| (401, json!({ "errors": [{ "code": "UNAUTHORIZED", "detail": {}, "message": said }] }).to_string()),
    ];
    for shape in shapes {
        for (path, method) in [("/robots/ci", "GET"), ("/robots/ci", "POST"), ("/v2/auth", "GET")] {
            let scene = QuayScene::new();
            let robot_token = "Q7".repeat(32);
            let pair = STANDARD.encode(format!("acme+ci:{robot_token}"));
            let said = format!(
                "Authorization: Bearer {} {robot_token} Basic {pair} auth={} {}",
                scene.token,
                STANDARD.encode(&scene.token),
                &pair[..60]
            );
            let (status, body) = shape(&said);
            scene.fault(Fault::answer(status, "text/html", body).path(path).method(method));
            scene.fault(Fault::replace([("token", json!(robot_token))]).path("/robots/ci"));
            scene.set_robot_token("acme+ci", &robot_token);
            // As a file or a variable with a line feed at its end gives it.
            let padded = format!("{}\n", scene.token);
            let options =
                json!({ "robot": "ci", "state": "rotated", "quay_token": padded, "dest": scene.path("token") });
            let run = scene.robot_token_task(options.clone());
            assert!(run.failed(), "{path} {method}: {run}");
            hides(&run, &[scene.token.clone(), robot_token.clone()]);
            let many = with(options, json!({ "robot": null, "robots": ["ci"] }));
            hides(&scene.robot_token_task(many), &[scene.token.clone(), robot_token]);
        }
    }
}

#[test]
fn a_page_that_goes_on_and_on_is_told_in_a_sentence() {
    let scene = QuayScene::new();
    let violation = "is too long\n\nFailed validating 'maxLength' in schema\n\nOn instance:\n".to_owned();
    for said in ["no ".repeat(9000), violation + &"x ".repeat(9000), "Q7".repeat(9000)] {
        scene.sandbox.faults().clear();
        let body = json!({ "error_message": said }).to_string();
        scene.fault(Fault::answer(400, "application/json", body).path("/robots/ci"));
        let run = scene.robot_token_task(json!({ "robot": "ci" }));
        assert!(run.failed() && run.message().len() < 400 && !run.message().contains('\n'), "{run}");
    }
}

#[test]
fn a_token_that_no_header_can_hold_is_not_sent() {
    let scene = QuayScene::new();
    for token in ["two\nlines-of-it", "zero\0byte-inside", "del\u{7f}ete-inside"] {
        let run = scene.robot_token_task(json!({ "robot": "ci", "quay_token": token }));
        assert!(run.failed() && run.message().contains("characters that no HTTP header may have"), "{run}");
        hides(&run, &[token.to_owned()]);
    }
    assert!(scene.sandbox.records().all().iter().all(|request| request.path == "/v2/"));
}

#[test]
fn quay_is_found_by_every_form_of_its_address() {
    let scene = QuayScene::new();
    let host = scene.quay().url().replace("https://", "");
    let port = host.split(':').nth(1).unwrap().to_owned();
    for address in [
        host.clone(),
        format!("https://{host}"),
        format!("https://{host}/"),
        format!("HTTPS://{host}"),
        scene.quay().plain_url(),
    ] {
        let run = scene.robot_token_task(json!({ "robot": "ci", "quay_host": address })).succeeded();
        assert_eq!(run.text("token"), scene.robot_token("acme+ci"), "{address}");
    }
    for (address, words) in [
        (format!("https://{host}/api/v1"), "write scheme, host and port alone"),
        (format!("https://{host}/?x=y"), "write scheme, host and port alone"),
        ("http://quay.example.com".to_owned(), "a token would travel in the clear"),
        (format!("https://user:pa55word@{host}"), "it carries a user name or password"),
        ("".to_owned(), "quay_host"),
        ("ftp://quay.example.com".to_owned(), "'ftp' is not http or https"),
        (format!("https://127.0.0.1:{port}x"), "quay_host"),
        (scene.sandbox.sso().url(), "there is no registry of Quay at this address; is quay_host right?"),
        (format!("https://{}", scene.quay().plain_url().replace("http://", "")), "does not speak TLS"),
        ("https://127.0.0.1:1".to_owned(), "connection refused"),
    ] {
        let run = scene.robot_token_task(json!({ "robot": "ci", "quay_host": address }));
        assert!(run.failed() && run.message().contains(words), "{address}: {run}");
        assert!(!run.message().contains("pa55word"), "{run}");
    }
}

#[test]
fn a_server_that_is_not_trusted_gets_no_token() {
    let (scene, other) = (QuayScene::new(), QuayScene::new());
    let authority = scene.file("other.pem", &read(&other.sandbox.ca_path()));
    for ca_path in [json!(authority), json!(null)] {
        let run = scene.robot_token_task(json!({ "robot": "ci", "ca_path": ca_path }));
        let words = "comes from an authority that is not trusted here; give the authority's certificate as ca_path";
        assert!(run.failed() && run.message().contains(words), "{run}");
    }
    let run = scene.robot_token_task(json!({ "robot": "ci", "ca_path": null, "validate_certs": false })).succeeded();
    assert!(run.warnings().contains("The server's certificate is not checked"), "{run}");
}

#[test]
fn a_redirect_to_elsewhere_is_not_followed() {
    let scene = QuayScene::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let target = scene.quay().url();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let answer = format!("HTTP/1.1 301 Moved Permanently\r\nLocation: {target}/v2/\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let run = scene.robot_token_task(json!({ "robot": "ci", "quay_host": address }));
    server.join().unwrap();
    let words = format!("redirects to {}/v2/, which is not followed with a token", scene.quay().url());
    assert!(run.failed() && run.message().contains(&words), "{run}");
    assert!(scene.sandbox.records().all().is_empty());
}

#[test]
fn an_asynchronous_task_is_refused_before_it_would_return_a_token() {
    let scene = QuayScene::new();
    for (options, refused) in [
        (json!({}), true),
        (json!({ "dest": scene.path("token"), "return_token": true }), true),
        (json!({ "dest": scene.path("token") }), false),
        (json!({ "state": "absent", "delete_robot": true }), false),
    ] {
        let options = with(json!({ "robot": "ci", "state": "rotated", "_tokensmith_async": true }), options);
        let before = scene.quay().robot_token("acme+ci");
        let run = scene.robot_token_task(options);
        assert_eq!((run.failed(), run.message().contains("leave async out")), (refused, refused), "{run}");
        assert_eq!(scene.quay().robot_token("acme+ci") == before, refused);
    }
}

#[test]
fn a_token_that_could_not_be_handed_over_is_in_the_result_unless_that_is_public() {
    for is_async in [false, true] {
        let scene = QuayScene::new();
        fs::create_dir(scene.path("folder")).unwrap();
        let dest = scene.path("folder/token");
        scene.fault(Fault::delay(Duration::from_millis(300)).method("POST"));
        let options = json!({ "robot": "ci", "state": "rotated", "dest": dest, "_tokensmith_async": is_async });
        let child = executable::start_module("quay_robot_token", &scene.robot_options(options.clone()));
        while scene.writes().is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        // The answer is still on its way, and the file for the token is open already.
        fs::remove_dir_all(scene.path("folder")).unwrap();
        let run = Run::from_output(&child.wait_with_output().unwrap());
        assert!(run.failed() && run.changed() && run.message().contains("could not be handed over"), "{run}");
        let token = scene.robot_token("acme+ci");
        assert_eq!(run.result.get("token"), (!is_async).then(|| json!(token)).as_ref(), "{run}");
        assert_eq!(run.message().contains("the new token is nowhere on this host"), is_async, "{run}");
        fs::create_dir(scene.path("folder")).unwrap();
        let again = scene.robot_token_task(with(options, json!({ "state": "present" }))).succeeded();
        assert_eq!((again.changed(), &again.result["rotated"]), (true, &json!(false)), "{again}");
        assert_eq!(read(&dest), token);
    }
}

#[test]
fn the_command_line_prints_the_result_and_nothing_else() {
    let scene = QuayScene::new();
    for (words, robots) in
        [(vec!["--all-robots"], 2), (vec!["--robots", "ci"], 1), (vec!["--robots=ci,deploy", "--check"], 2)]
    {
        let run = Run::from_output(&command(&scene).args(words).output().unwrap()).succeeded();
        assert_eq!(run.result["robot_accounts"].as_array().unwrap().len(), robots, "{run}");
    }
    let mut command = command(&scene);
    let run = Run::from_output(&command.args(["--robot", "ci", "--check", "--diff"]).output().unwrap()).succeeded();
    assert_eq!(run.text("reason"), "forced", "{run}");
    assert!(run.result["diff"].is_object(), "{run}");
}

#[test]
fn a_person_at_a_terminal_sees_how_far_many_robots_are() {
    let scene = QuayScene::new();
    scene.quay().add_robots("bulk", 12);
    scene.quay().change(|state| state.latency = Duration::from_millis(30));
    for (robots, shown) in [("--all-robots", true), ("--robots=r0001", false)] {
        let mut inner = vec![executable::path().display().to_string(), "quay_robot_token".to_owned()];
        inner.extend(words(&scene, "bulk"));
        inner.extend([robots.to_owned(), "--concurrency=2".to_owned()]);
        let line = inner.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let result = scene.path("result");
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command", &format!("{line} > '{}'", result.display()), "/dev/null"])
            .env("TERM", "xterm")
            .output()
            .expect("script is there");
        let seen = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{seen}");
        let result: Value = serde_json::from_str(&read(&result)).unwrap();
        assert_eq!(seen.contains(" of 12, bulk+r00"), shown, "{seen}");
        assert_eq!(result["failed"], Value::Null);
        for row in result["robot_accounts"].as_array().unwrap() {
            assert!(!seen.contains(row["token"].as_str().unwrap()), "{seen}");
        }
    }
}

/// Rotates robots of `acme`; which ones is to be said.
fn command(scene: &QuayScene) -> Command {
    let mut command = executable::command();
    command.arg("quay_robot_token").args(words(scene, "acme"));
    command
}

fn words(scene: &QuayScene, organization: &str) -> [String; 7] {
    let token = scene.path("quay_token");
    fs::write(&token, format!("{}\n", scene.token)).unwrap();
    [
        format!("--quay-host={}", scene.quay().url()),
        format!("--quay-token-file={}", token.display()),
        format!("--ca-path={}", scene.sandbox.ca_path().display()),
        "--use-proxy=false".to_owned(),
        "--state=rotated".to_owned(),
        "--organization".to_owned(),
        organization.to_owned(),
    ]
}

/// No part of a secret is anywhere in what was printed, as it is or in Base64.
fn hides(run: &Run, secrets: &[String]) {
    for secret in secrets {
        let inner = &STANDARD.encode(secret)[4..16];
        let behind_the_name = &STANDARD.encode(format!("acme+ci:{secret}"))[12..28];
        for shown in [&secret[..12], inner, behind_the_name] {
            assert!(!run.stdout.contains(shown), "{shown}: {run}");
        }
    }
}
