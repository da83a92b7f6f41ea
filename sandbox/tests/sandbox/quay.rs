//! What the tests of the stand-in Quay share.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use serde_json::Value;
use tokensmith_sandbox::Sandbox;
use tokensmith_sandbox::quay::State;

use crate::common;

/// A running sandbox and a client of its Quay, with an OAuth token of `alice`.
pub(crate) struct Quay {
    pub(crate) sandbox: Sandbox,
    pub(crate) handle: tokensmith_sandbox::Quay,
    pub(crate) http: Client,
    pub(crate) token: String,
}

impl Quay {
    pub(crate) fn start() -> Self {
        let sandbox = Sandbox::start().unwrap();
        let handle = sandbox.quay().clone();
        let token = handle.issue_token("alice", "org:admin user:admin user:read");
        let http = common::builder(&sandbox).redirect(Policy::none()).build().unwrap();
        Self { sandbox, handle, http, token }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        self.handle.change(change);
    }

    pub(crate) fn token_of(&self, user: &str, scopes: &str) -> String {
        self.handle.issue_token(user, scopes)
    }

    /// `call` is `GET organization/acme/robots`; the body, if there is one, is sent as JSON.
    pub(crate) fn call_as(&self, token: &str, call: &str, body: &str) -> Answer {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = self.request(method, &format!("/api/v1/{path}"));
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        Answer::of(request).unwrap()
    }

    /// The same as `alice`.
    pub(crate) fn call(&self, call: &str, body: &str) -> Answer {
        self.call_as(&self.token, call, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call(&format!("GET {path}"), "")
    }

    pub(crate) fn regenerate(&self, path: &str) -> Answer {
        self.call(&format!("POST {path}/regenerate"), "")
    }

    /// `GET /v2/auth`, as a pure login.
    pub(crate) fn log_in(&self, name: &str, password: &str) -> Answer {
        let path = format!("/v2/auth?service={}", self.handle.server_hostname());
        Answer::of(self.request("GET", &path).header(AUTHORIZATION, basic(name, password))).unwrap()
    }

    pub(crate) fn exchange(&self, name: &str, token: &str) -> reqwest::Result<Answer> {
        Answer::of(self.request("GET", "/oauth2/federation/robot/token").header(AUTHORIZATION, basic(name, token)))
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse::<Method>().unwrap(), format!("{}{path}", self.handle.url()))
    }

    pub(crate) fn control(&self, action: &str, arguments: &Value) -> Value {
        let request = self.request("POST", &format!("/_sandbox/{action}")).body(arguments.to_string());
        let answer = Answer::of(request).unwrap();
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        answer.json()
    }
}

/// What Quay answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send()?;
        Ok(Self { status: response.status().as_u16(), headers: response.headers().clone(), body: response.text()? })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.body)).to_owned()
    }

    /// Names of a list's robots, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let body = self.json();
        let robots = body["robots"].as_array().unwrap_or_else(|| panic!("no robots in {}", self.body));
        let mut names: Vec<_> = robots.iter().map(|robot| robot["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Status, shape and sentence: `400 C Could not find robot with specified username`. Every key and the content type
    /// of the shape are looked at on the way.
    pub(crate) fn verdict(&self) -> String {
        let content_type = self.header("content-type");
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let keys: Vec<_> = body.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
        let (shape, sentence) = match keys.as_slice() {
            [.., "detail", "error_message", "error_type", "title", "type", "status"] if content_type == JSON => {
                assert_eq!(body["detail"], body["error_message"]);
                assert_eq!(body["title"], body["error_type"]);
                assert_eq!(body["status"], self.status);
                let kind = text(&body["error_type"]);
                assert!(text(&body["type"]).ends_with(&format!("/api/v1/error/{kind}")), "{}", self.body);
                ("A", format!("{kind}: {}", text(&body["detail"]).lines().next().unwrap()))
            }
            ["error"] if content_type == HTML => ("B", text(&body["error"])),
            ["error"] if content_type == JSON => ("JSON", text(&body["error"])),
            ["message"] if content_type == JSON => ("C", text(&body["message"])),
            ["errors"] if content_type == JSON => {
                let error = &body["errors"][0];
                assert_eq!(error["detail"], serde_json::json!({}));
                ("D", format!("{}: {}", text(&error["code"]), text(&error["message"])))
            }
            ["is_readonly", "message"] => ("read-only", text(&body["message"])),
            _ if self.body.starts_with("<!doctype html>") && content_type == HTML => ("E", String::new()),
            _ if self.body.contains("nginx") && content_type == "text/html" => ("E", "nginx".to_owned()),
            _ if self.body.contains("<h1><p>Internal Server Error</p></h1>") && content_type == "text/html" => {
                ("F", String::new())
            }
            _ => return self.status.to_string(),
        };
        if shape.len() == 1 && "ABCD".contains(shape) {
            assert!(self.body.ends_with('\n'), "{:?}", self.body);
        }
        format!("{} {shape} {sentence}", self.status).trim_end().to_owned()
    }
}

pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
