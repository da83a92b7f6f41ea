//! What goes wrong on purpose, the control endpoint, and the sandbox as a process.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{FormBody, Realm, trusting_pem};
use crate::quay::Answer;
use reqwest::Method;
use serde_json::json;
use tokensmith_sandbox::Fault;

#[test]
fn a_lost_answer_acts_and_then_cuts_the_connection() {
    let realm = Realm::named("rotating");
    let token = realm.offline_token();
    realm.sandbox.faults().add(Fault::lost_answer().grant("refresh_token").times(1));
    assert!(send_refresh(&realm, &token).is_err());
    assert_eq!(realm.handle.refreshes(), 1);
    assert!(!realm.handle.offline_token_is_alive(&token), "it was used up");
    assert_eq!(realm.sandbox.records().refreshes(), 1, "and the client did not send it twice by itself");
    assert_eq!(realm.sandbox.records().all()[0].status, None);
}

#[test]
fn a_cut_before_acting_leaves_the_token_alone() {
    let realm = Realm::named("rotating");
    let token = realm.offline_token();
    realm.sandbox.faults().add(Fault::cut().path("/token").times(1));
    assert!(send_refresh(&realm, &token).is_err());
    assert_eq!(realm.handle.refreshes(), 0);
    assert_eq!(realm.refresh(&token).verdict(), "200");
}

#[test]
fn a_body_cut_in_the_middle_breaks_the_reading_of_it() {
    let realm = Realm::start();
    realm.sandbox.faults().add(Fault::cut_body().times(1));
    let mut response = realm
        .request(Method::POST, "token")
        .form_body(&[
            ("grant_type", "refresh_token"),
            ("client_id", "cloud-services"),
            ("refresh_token", &realm.offline_token()),
        ])
        .send()
        .unwrap();
    assert_eq!(response.status(), 200);
    let mut body = Vec::new();
    assert!(response.read_to_end(&mut body).is_err());
    assert!(body.starts_with(b"{\"access_token\""), "a part came");
}

#[test]
fn wrong_answers_are_given_instead_of_the_right_one() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let rows = [
        (Fault::starting(7), 503, "text/plain"),
        (Fault::bad_gateway(), 502, "text/html"),
        (Fault::html(), 200, "text/html; charset=utf-8"),
        (Fault::large_body(), 200, "application/json"),
        (Fault::answer(429, "text/plain", "slow down"), 429, "text/plain"),
    ];
    for (fault, status, content_type) in rows {
        realm.sandbox.faults().add(fault.clone().times(1));
        let answer = realm.refresh(&token);
        assert_eq!((answer.status, answer.content_type.as_str()), (status, content_type));
        if status == 503 {
            assert_eq!(answer.body, "Bootstrap in progress. Retry in 7 seconds.");
            assert_eq!(answer.retry_after, "7");
        }
        if content_type == "application/json" {
            assert!(answer.body.len() > 5 * 1024 * 1024);
        }
        assert_eq!(realm.handle.refreshes(), 0, "nothing was done");
    }
    realm.sandbox.faults().add(Fault::bad_gateway().acting().times(1));
    assert_eq!(realm.refresh(&token).status, 502);
    assert_eq!(realm.handle.refreshes(), 1, "unless the fault is told to act");
}

#[test]
fn right_answers_are_changed_on_their_way() {
    let realm = Realm::start();
    let token = realm.offline_token();
    realm.sandbox.faults().add(Fault::without_refresh_token().times(1));
    realm.sandbox.faults().add(Fault::expires_in(899).times(1));
    realm.sandbox.faults().add(Fault::truncated_json().times(1));
    assert!(realm.refresh(&token).json()["refresh_token"].is_null());
    assert_eq!(realm.refresh(&token).json()["expires_in"], 899);
    let half = realm.refresh(&token);
    assert_eq!((half.status, half.content_type.as_str()), (200, "application/json"));
    assert!(serde_json::from_str::<serde_json::Value>(&half.body).is_err());
    assert_eq!(realm.refresh(&token).json()["expires_in"], 900, "and each fault only for its requests");
}

#[test]
fn a_delayed_answer_comes_late_and_the_system_acts_at_once() {
    let realm = Realm::start();
    let token = realm.offline_token();
    realm.sandbox.faults().add(Fault::delay(Duration::from_millis(300)).times(1));
    let start = Instant::now();
    assert_eq!(realm.refresh(&token).verdict(), "200");
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn faults_meet_only_the_requests_they_are_meant_for() {
    let realm = Realm::start();
    let token = realm.offline_token();
    realm.sandbox.faults().add(Fault::bad_gateway().path("/userinfo"));
    realm.sandbox.faults().add(Fault::bad_gateway().grant("client_credentials"));
    let access = realm.refresh(&token).text("access_token");
    for _ in 0..3 {
        assert_eq!(realm.user_info(&access).status, 502, "until cleared");
    }
    realm.sandbox.faults().clear();
    assert_eq!(realm.user_info(&access).status, 200);
}

#[test]
fn the_control_endpoint_does_what_the_library_does() {
    let realm = Realm::start();
    let issued = realm.control("sso/offline_token", &json!({ "realm": "rotating", "client_id": "rhsm-api" }));
    let token = issued["offline_token"].as_str().unwrap();
    assert!(realm.sandbox.sso().realm("rotating").offline_token_is_alive(token));

    let before = realm.sandbox.clock().seconds();
    realm.control("clock", &json!({ "advance": 3600 }));
    assert!(realm.sandbox.clock().seconds() >= before + 3600);

    realm.control("fault", &json!({ "fault": "starting", "retry_after": 3, "path": "/token", "times": 1 }));
    assert_eq!(realm.refresh("any").status, 503);
    realm.control("fault", &json!({ "fault": "lost_answer" }));
    realm.control("faults/clear", &json!({}));
    assert_eq!(realm.refresh("any").status, 400);

    let token = realm.offline_token();
    realm.control("sso/realm", &json!({ "rotation": 0, "offline_idle": 60 }));
    assert!(crate::common::claims(&realm.offline_token())["reuse_id"].is_string());
    realm.control("sso/user", &json!({ "enabled": false }));
    assert!(!realm.handle.offline_token_is_alive(&token));

    for (action, misspelt) in [("clock", r#"{"advanced": 1}"#), ("fault", r#"{"fault": "cut", "time": 1}"#)] {
        let url = format!("{}/_sandbox/{action}", realm.sandbox.url());
        let wrong = realm.send(realm.http.post(url).body(misspelt)).unwrap();
        assert_eq!(wrong.status, 400, "a misspelt argument is not passed over: {misspelt}");
    }
}

#[test]
fn the_record_shows_what_came_in_its_order_and_over_the_control_endpoint_no_secret() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let access = realm.refresh(&token).text("access_token");
    realm.user_info(&access);
    let records = realm.sandbox.records().all();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].parameter_names(), ["grant_type", "client_id", "refresh_token"]);
    assert_eq!(records[0].parameter("refresh_token"), Some(token.as_str()));
    assert_eq!((records[1].method.as_str(), records[1].status), ("GET", Some(200)));
    assert_eq!(realm.sandbox.records().to("/userinfo").len(), 1);

    let url = format!("{}/_sandbox/requests", realm.sandbox.url());
    let shown = realm.send(realm.http.get(url)).unwrap();
    assert_eq!(shown.json()[0]["form"]["grant_type"], "refresh_token");
    assert_eq!(shown.json()[1]["authorization"], "Bearer");
    assert!(!shown.body.contains(&token) && !shown.body.contains(&access));
}

#[test]
fn the_process_says_when_it_is_ready_and_leaves_nothing_behind() {
    for ends_by_signal in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut process = Command::new(env!("CARGO_BIN_EXE_tokensmith-sandbox"))
            .arg("--state")
            .arg(&state)
            .args(["--quay-robots", "12", "--quay-latency", "3", "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.starts_with("The sandbox is ready at https://127.0.0.1:"), "{ready}");

        for secret in ["offline_token", "quay_token", "rhacs_password", "rhacs_api_token"] {
            let mode = std::fs::metadata(state.join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
        let endpoints = std::fs::read_to_string(state.join("endpoints.json")).unwrap();
        let endpoints: serde_json::Value = serde_json::from_str(&endpoints).unwrap();
        assert_eq!(endpoints["pid"], process.id());
        assert!(endpoints["sso_token_url"].as_str().unwrap().ends_with("/protocol/openid-connect/token"));
        assert_eq!(endpoints["quay_url"], format!("https://{}", endpoints["quay_host"].as_str().unwrap()));
        assert_eq!(robots_of_bulk(&state, endpoints["quay_url"].as_str().unwrap()), 12);
        assert_eq!(endpoints["rhacs_url"], format!("https://{}", endpoints["rhacs_endpoint"].as_str().unwrap()));
        assert_eq!(users_of_central(&state, endpoints["rhacs_url"].as_str().unwrap()), ["admin", "auth-token"]);
        assert!(std::fs::read_to_string(state.join("ca.pem")).unwrap().contains("BEGIN CERTIFICATE"));

        if ends_by_signal {
            let status = Command::new("kill").arg(process.id().to_string()).status().unwrap();
            assert!(status.success());
        } else {
            drop(process.stdin.take());
        }
        assert!(process.wait().unwrap().success());
        assert!(!state.exists());
    }
}

/// How many robots the token in the state folder finds.
fn robots_of_bulk(state: &Path, quay_url: &str) -> usize {
    let pem = std::fs::read(state.join("ca.pem")).unwrap();
    let token = std::fs::read_to_string(state.join("quay_token")).unwrap();
    let request = trusting_pem(&pem).build().unwrap().get(format!("{quay_url}/api/v1/organization/bulk/robots"));
    Answer::of(request.bearer_auth(token)).unwrap().names().len()
}

/// Who the password and the token in the state folder are.
fn users_of_central(state: &Path, rhacs_url: &str) -> [String; 2] {
    let secret = |name: &str| std::fs::read_to_string(state.join(name)).unwrap();
    let http = trusting_pem(&std::fs::read(state.join("ca.pem")).unwrap()).build().unwrap();
    let get = || http.get(format!("{rhacs_url}/v1/auth/status"));
    let requests =
        [get().basic_auth("admin", Some(secret("rhacs_password"))), get().bearer_auth(secret("rhacs_api_token"))];
    requests.map(|request| {
        let user = crate::central::Answer::of(request).unwrap().text("userId");
        user.split(':').next().unwrap().to_owned()
    })
}

fn send_refresh(realm: &Realm, token: &str) -> reqwest::Result<crate::common::Answer> {
    let form = [("grant_type", "refresh_token"), ("client_id", "cloud-services"), ("refresh_token", token)];
    realm.send(realm.request(Method::POST, "token").form_body(&form))
}
