//! What the tests of the stand-in Central share.

use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokensmith_sandbox::Sandbox;
use tokensmith_sandbox::central::{Level, Role, State};

use crate::common;
use crate::quay::basic;

/// A running sandbox and a client of its Central, with an API token of the role `Admin`.
pub(crate) struct Central {
    pub(crate) sandbox: Sandbox,
    pub(crate) handle: tokensmith_sandbox::Central,
    pub(crate) http: Client,
    pub(crate) token: String,
}

impl Central {
    pub(crate) fn start() -> Self {
        let sandbox = Sandbox::start().unwrap();
        let handle = sandbox.central().clone();
        let token = handle.issue_token("administrator", &["Admin"], 30 * DAY);
        Self { http: common::trusting(&sandbox), handle, token, sandbox }
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.handle.change(change)
    }

    /// A role of these levels of `Access` and `Integration`, unrestricted, and a token of it.
    pub(crate) fn token_with(&self, role: &str, access: &[(&str, Level)]) -> String {
        self.add_role(role, Role::unrestricted(access.iter().copied()));
        self.handle.issue_token(role, &[role], DAY)
    }

    pub(crate) fn add_role(&self, name: &str, role: Role) {
        self.change(|state| state.roles.insert(name.to_owned(), role));
    }

    /// `call` is `GET apitokens`; without a word for `authorization` there is no such header.
    pub(crate) fn call_as(&self, authorization: &str, call: &str, body: &str) -> Answer {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = self.request(method, &format!("/v1/{path}")).body(body.to_owned());
        if !authorization.is_empty() {
            request = request.header(AUTHORIZATION, authorization);
        }
        Answer::of(request).unwrap()
    }

    /// With this bearer.
    pub(crate) fn call_with(&self, token: &str, call: &str, body: &str) -> Answer {
        self.call_as(&format!("Bearer {token}"), call, body)
    }

    /// With the administrator's token.
    pub(crate) fn call(&self, call: &str, body: &str) -> Answer {
        self.call_with(&self.token, call, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call(&format!("GET {path}"), "")
    }

    pub(crate) fn generate(&self, body: &Value) -> Answer {
        self.call("POST apitokens/generate", &body.to_string())
    }

    /// A generate that must succeed: the secret and its metadata.
    pub(crate) fn new_token(&self, name: &str, roles: &[&str]) -> (String, Value) {
        let answer = self.generate(&json!({ "name": name, "roles": roles }));
        assert_eq!(answer.verdict(), "200", "{}", answer.body);
        (answer.text("token"), answer.json()["metadata"].clone())
    }

    pub(crate) fn revoke(&self, id: &str) -> Answer {
        self.call(&format!("PATCH apitokens/revoke/{id}"), "")
    }

    /// Who a bearer is.
    pub(crate) fn status_of(&self, token: &str) -> Answer {
        self.call_with(token, "GET auth/status", "")
    }

    pub(crate) fn exchange(&self, token: &str) -> Answer {
        self.call_as("", "POST auth/m2m/exchange", &json!({ "idToken": token }).to_string())
    }

    pub(crate) fn as_administrator(&self) -> String {
        basic("admin", &self.handle.admin_password())
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse::<Method>().unwrap(), format!("{}{path}", self.handle.url()))
    }

    pub(crate) fn control(&self, action: &str, arguments: &Value) -> Value {
        let answer =
            Answer::of(self.request("POST", &format!("/_sandbox/{action}")).body(arguments.to_string())).unwrap();
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        answer.json()
    }
}

/// What Central answered.
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

    /// The names of a list's tokens, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let body = self.json();
        let tokens = body["tokens"].as_array().unwrap_or_else(|| panic!("no tokens in {}", self.body));
        let mut names: Vec<_> = tokens.iter().map(|token| token["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// `200`, or status, code and message: `400 3 empty id passed: invalid arguments`. The headers, keys and repetitions
    /// that every answer has are looked at on the way.
    pub(crate) fn verdict(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.body);
        assert_eq!(self.header("cache-control"), "no-store, no-cache");
        assert_eq!(self.header("vary"), "Accept-Encoding");
        assert!(self.header("date").ends_with(" GMT"), "{:?}", self.headers);
        if self.status == 200 {
            assert_eq!(self.header("grpc-metadata-content-type"), "application/grpc");
            return "200".to_owned();
        }
        assert_eq!(self.header("grpc-metadata-content-type"), "");
        let body = self.json();
        let mut names = keys(&body);
        names.sort();
        assert_eq!(names, ["code", "details", "error", "message"]);
        assert_eq!(body["details"], json!([]));
        assert_eq!(body["error"], body["message"]);
        let (code, message) = (&body["code"], body["message"].as_str().unwrap());
        let status = match code.as_u64().unwrap() {
            3 => 400,
            5 => 404,
            7 => 403,
            12 => 501,
            13 => 500,
            16 => 401,
            code => panic!("code {code}"),
        };
        assert_eq!(self.status, status);
        assert_eq!(self.header("www-authenticate"), if status == 401 { message } else { "" });
        format!("{status} {code} {message}")
    }
}

/// The keys of an object in their order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The 401 of a bearer that is no good, whyever.
pub(crate) const REFUSED: &str =
    "401 16 credentials not found: token-based: cannot extract identity: token validation failed";
pub(crate) const NO_VALID_ROLE: &str =
    "401 16 access for this user is not authorized: no valid role, please contact your system administrator";
pub(crate) const DAY: i64 = 24 * 3600;
