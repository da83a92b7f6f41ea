//! The stand-in of automation hub, held against what the real one answers.

use reqwest::blocking::Client;
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokensmith_sandbox::hub::Generation;
use tokensmith_sandbox::{Fault, Sandbox};

use crate::common;
use crate::quay::basic;

#[test]
fn each_user_has_one_token_and_a_new_one_kills_it_at_once() {
    let hub = Hub::start();
    let mut tokens = Vec::new();
    for authorization in [hub.password(), hub.password()] {
        let answer = hub.call(&authorization, "POST", TOKEN, r#"{"username": "admin", "broken"#);
        assert_eq!(answer.status, 200, "{answer:?}");
        tokens.push(answer.body["token"].as_str().unwrap().to_owned());
    }
    let itself = hub.call(&format!("Token {}", tokens[1]), "POST", TOKEN, "");
    tokens.push(itself.body["token"].as_str().unwrap().to_owned());
    for token in &tokens {
        assert!(token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    }
    let works: Vec<bool> = tokens.iter().map(|token| hub.sandbox.hub().token_works(token)).collect();
    assert_eq!(works, [false, false, true]);
    assert_eq!((hub.sandbox.hub().issued("build"), hub.sandbox.hub().issued("admin")), (3, 0));
    assert!(tokens.iter().all(|token| hub.sandbox.hub().was_told(token)));
    for status in [204, 204] {
        let answer = hub.call(&hub.password(), "DELETE", TOKEN, "");
        assert_eq!((answer.status, answer.text.as_str()), (status, ""));
    }
    assert_eq!(hub.sandbox.hub().token("build"), None);
}

#[test]
fn six_at_a_time_are_all_answered_and_one_token_works() {
    let hub = Hub::start();
    let tokens: Vec<String> = std::thread::scope(|threads| {
        let calls: Vec<_> = (0..6).map(|_| threads.spawn(|| hub.call(&hub.password(), "POST", TOKEN, ""))).collect();
        calls.into_iter().map(|call| call.join().unwrap().body["token"].as_str().unwrap().to_owned()).collect()
    });
    let mut different = tokens.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 6);
    assert_eq!(tokens.iter().filter(|token| hub.sandbox.hub().token_works(token)).count(), 1);
}

#[test]
fn what_is_allowed_is_answered_without_touching_the_token() {
    let hub = Hub::start();
    let token = hub.sandbox.hub().issue_token("build").unwrap();
    for authorization in [hub.password(), format!("Token {token}"), format!("token  {token}")] {
        let options = hub.call(&authorization, "OPTIONS", TOKEN, "");
        assert_eq!((options.status, options.body["renders"][0].as_str()), (200, Some("application/json")));
        let list = hub.call(&authorization, "GET", "/api/galaxy/v3/namespaces/", "");
        assert_eq!((list.status, &list.body["meta"]["count"]), (200, &json!(0)));
        let get = hub.call(&authorization, "GET", TOKEN, "");
        let error = json!({
            "status": "405", "code": "method_not_allowed", "title": "Method \"{method}\" not allowed.", "detail": "Method \"GET\" not allowed.",
        });
        assert_eq!((get.status, &get.body["errors"][0]), (405, &error));
        assert!(get.has_correlation_id);
    }
    assert_eq!(hub.sandbox.hub().token("build"), Some(token));
}

#[test]
fn a_refusal_has_one_code_and_the_status_of_its_generation() {
    let hub = Hub::start();
    let inactive = hub.sandbox.hub().issue_token("admin").unwrap();
    hub.sandbox.hub().change(|state| state.users.get_mut("admin").unwrap().is_active = false);
    let of_inactive = basic("admin", &hub.sandbox.hub().password("admin").unwrap());
    let token = hub.sandbox.hub().issue_token("build").unwrap();
    let failed = "authentication_failed";
    let cases = [
        (String::new(), "not_authenticated", None),
        ("Digest x".to_owned(), "not_authenticated", None),
        (format!("Bearer {token}"), "not_authenticated", None),
        (basic("build", "wrong"), failed, Some("Invalid username/password.")),
        (of_inactive, failed, Some("Invalid username/password.")),
        ("Basic ???".to_owned(), failed, Some("Invalid basic header. Credentials not correctly base64 encoded.")),
        ("Token dead".to_owned(), failed, Some("Invalid token.")),
        (format!("Token {inactive}"), failed, Some("User inactive or deleted.")),
        ("Token".to_owned(), failed, Some("Invalid token header. No credentials provided.")),
        ("Token a b".to_owned(), failed, Some("Invalid token header. Token string should not contain spaces.")),
    ];
    for (generation, status) in [(Generation::Old, 403), (Generation::New, 401)] {
        hub.sandbox.hub().change(|state| state.generation = generation);
        for (authorization, code, detail) in &cases {
            for method in ["OPTIONS", "POST", "DELETE", "GET"] {
                let answer = hub.call(authorization, method, TOKEN, "");
                let error = &answer.body["errors"][0];
                assert_eq!(
                    (answer.status, error["code"].as_str()),
                    (status, Some(*code)),
                    "{authorization}: {answer:?}"
                );
                assert_eq!(error["status"], status.to_string(), "{answer:?}");
                assert_eq!(error["detail"].as_str(), *detail, "{answer:?}");
            }
        }
    }
    assert_eq!(hub.sandbox.hub().token("build"), Some(token));
}

#[test]
fn the_prefix_can_be_another_and_the_slash_at_the_end_is_needed() {
    let hub = Hub::start();
    for (path, status) in
        [("/api/galaxy/v3/auth/token", 301), ("/api/galaxy/v3/auth/", 404), ("/api/automation-hub/v3/auth/token/", 404)]
    {
        hub.sandbox.records().clear();
        let answer = hub.call(&hub.password(), "POST", path, "");
        // This client follows redirects.
        assert_eq!(hub.sandbox.records().all()[0].status, Some(status), "{path}: {answer:?}");
        assert_eq!(answer.text.contains("<h1>Not Found</h1>"), status == 404, "{path}");
    }
    hub.sandbox.hub().change(|state| state.prefix = "/api/automation-hub".to_owned());
    assert_eq!(hub.call(&hub.password(), "POST", "/api/automation-hub/v3/auth/token/", "").status, 200);
    assert_eq!(hub.call(&hub.password(), "POST", TOKEN, "").status, 404);
    assert_eq!(hub.sandbox.hub().token_path(), "/api/automation-hub/v3/auth/token/");
}

#[test]
fn behind_a_gateway_its_tokens_are_taken_and_refused_in_its_own_shape() {
    let hub = Hub::start();
    let token = hub.sandbox.hub().issue_gateway_token("build");
    let made = hub.call(&format!("Bearer {token}"), "POST", TOKEN, "");
    assert_eq!((made.status, made.body["token"].as_str()), (200, hub.sandbox.hub().token("build").as_deref()));
    let refused = hub.call("Bearer wrong", "POST", TOKEN, "");
    let detail = json!({ "detail": "Authentication credentials were not provided." });
    assert_eq!((refused.status, &refused.body), (401, &detail));
}

#[test]
fn the_token_of_a_lost_answer_was_told_to_nobody_and_somebody_else_can_interfere() {
    let hub = Hub::start();
    hub.sandbox.faults().add(Fault::cut_body().method("POST").times(1));
    assert!(hub.try_call(&hub.password(), "POST", TOKEN, "").is_err());
    let lost = hub.sandbox.hub().token("build").unwrap();
    assert!(!hub.sandbox.hub().was_told(&lost));
    hub.sandbox.faults().add(Fault::interference().method("POST").times(1));
    let answer = hub.call(&hub.password(), "POST", TOKEN, "");
    assert!(!hub.sandbox.hub().token_works(answer.body["token"].as_str().unwrap()));
    assert_eq!(hub.sandbox.hub().issued("build"), 3);
}

#[test]
fn the_control_endpoint_does_what_the_methods_do() {
    let hub = Hub::start();
    let control = |action: &str, arguments: Value| {
        let url = format!("{}/_sandbox/{action}", hub.sandbox.hub().url());
        let answer = hub.http.post(url).body(arguments.to_string()).send().unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{action}");
        serde_json::from_str::<Value>(&answer.text().unwrap()).unwrap()
    };
    let token = control("hub/token", json!({}))["token"].clone();
    assert_eq!(control("hub/works", json!({ "token": token }))["works"], true);
    let password = control("hub/user", json!({ "name": "eve" }))["password"].clone();
    assert_eq!(password.as_str(), hub.sandbox.hub().password("eve").as_deref());
    assert!(control("hub/gateway_token", json!({ "user": "eve" }))["token"].is_string());
    control("hub/state", json!({ "generation": "new", "prefix": "/x", "inactive": "build" }));
    assert_eq!(control("hub/works", json!({ "token": token }))["works"], false);
    let state = hub.sandbox.hub().change(|state| (state.generation, state.prefix.clone()));
    assert_eq!(state, (Generation::New, "/x".to_owned()));
}

struct Hub {
    sandbox: Sandbox,
    http: Client,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    has_correlation_id: bool,
    text: String,
    body: Value,
}

impl Hub {
    fn start() -> Self {
        let sandbox = Sandbox::start().unwrap();
        Self { http: common::trusting(&sandbox), sandbox }
    }

    fn password(&self) -> String {
        basic("build", &self.sandbox.hub().password("build").unwrap())
    }

    fn call(&self, authorization: &str, method: &str, path: &str, body: &str) -> Answer {
        self.try_call(authorization, method, path, body).unwrap()
    }

    fn try_call(&self, authorization: &str, method: &str, path: &str, body: &str) -> reqwest::Result<Answer> {
        let url = format!("{}{path}", self.sandbox.hub().url());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, url).body(body.to_owned());
        if !authorization.is_empty() {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = request.send()?;
        let (status, has_correlation_id) =
            (response.status().as_u16(), response.headers().contains_key("correlation-id"));
        let text = response.text()?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, has_correlation_id, text, body })
    }
}

const TOKEN: &str = "/api/galaxy/v3/auth/token/";
