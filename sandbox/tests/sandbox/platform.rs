//! What the tests of the stand-in gateway and controller share.

use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tokensmith_sandbox::Sandbox;
use tokensmith_sandbox::platform::{Release, State};

use crate::common::{self, FormBody};
use crate::quay::basic;

/// A running sandbox and a client of its gateway or its controller.
pub(crate) struct Platform {
    pub(crate) sandbox: Sandbox,
    pub(crate) handle: tokensmith_sandbox::Platform,
    pub(crate) http: Client,
    pub(crate) base: &'static str,
}

impl Platform {
    pub(crate) fn gateway() -> Self {
        let sandbox = Sandbox::start().unwrap();
        let handle = sandbox.gateway().clone();
        Self { http: common::trusting(&sandbox), handle, sandbox, base: "/api/gateway/v1/" }
    }

    pub(crate) fn gateway_of(release: Release) -> Self {
        let gateway = Self::gateway();
        gateway.change(|state| state.release = release);
        gateway
    }

    pub(crate) fn controller() -> Self {
        let sandbox = Sandbox::start().unwrap();
        let handle = sandbox.controller().clone();
        Self { http: common::trusting(&sandbox), handle, sandbox, base: "/api/v2/" }
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.handle.change(change)
    }

    /// The header of a user's password.
    pub(crate) fn password_of(&self, user: &str) -> String {
        basic(user, &self.handle.password(user))
    }

    /// `call` is `GET tokens/`, or a path from the root; without a word for `authorization` there is no such header, and
    /// without a body no content type.
    pub(crate) fn call_as(&self, authorization: &str, call: &str, body: &str) -> Answer {
        let mut request = self.request(call);
        if !authorization.is_empty() {
            request = request.header(AUTHORIZATION, authorization);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        Answer::of(request)
    }

    /// With a user's password.
    pub(crate) fn call(&self, user: &str, call: &str, body: &str) -> Answer {
        self.call_as(&self.password_of(user), call, body)
    }

    /// With a token.
    pub(crate) fn call_with(&self, token: &str, call: &str, body: &str) -> Answer {
        self.call_as(&format!("Bearer {token}"), call, body)
    }

    pub(crate) fn get(&self, user: &str, path: &str) -> Answer {
        self.call(user, &format!("GET {path}"), "")
    }

    /// A create that must succeed.
    pub(crate) fn new_token(&self, user: &str, body: &Value) -> Value {
        let answer = self.call(user, "POST tokens/", &body.to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()
    }

    pub(crate) fn oauth(&self, endpoint: &str, form: &[(&str, &str)]) -> Answer {
        let base = if self.base == "/api/v2/" { "/api/o/" } else { "/o/" };
        Answer::of(self.request(&format!("POST {base}{endpoint}/")).form_body(form))
    }

    /// The client credentials of an application.
    pub(crate) fn client(&self, name: &str, organization: &str) -> (String, String) {
        self.handle.client(self.handle.application(name, organization).unwrap()).unwrap()
    }

    pub(crate) fn request(&self, call: &str) -> RequestBuilder {
        let (method, path) = call.split_once(' ').unwrap();
        let base = if path.starts_with('/') { "" } else { self.base };
        self.http.request(method.parse::<Method>().unwrap(), format!("{}{base}{path}", self.handle.url()))
    }

    pub(crate) fn control(&self, action: &str, arguments: &Value) -> Value {
        let answer = Answer::of(self.request(&format!("POST /_sandbox/{action}")).body(arguments.to_string()));
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        answer.json()
    }

    /// Six tokens `t1` to `t6`, odd ones of `alice`, even ones of `admin`, the third with the scope `read`.
    pub(crate) fn with_six_tokens(self) -> Self {
        for number in 1..=6 {
            let user = if number % 2 == 1 { "alice" } else { "admin" };
            let scope = if number == 3 { "read" } else { "write" };
            self.handle.issue_token(user, &format!("t{number}"), scope);
            self.sandbox.clock().advance(60);
        }
        self
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).unwrap()
    }

    pub(crate) fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
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

    /// The status alone of a success, otherwise with the body: `403 {"detail":"…"}`, or `404 HTML`.
    pub(crate) fn verdict(&self) -> String {
        match self.status {
            200..=299 => self.status.to_string(),
            status if self.header("content-type").starts_with("text/html") && self.body.contains('<') => {
                format!("{status} HTML")
            }
            status => format!("{status} {}", self.body),
        }
    }

    /// The descriptions of a list's rows in their order.
    pub(crate) fn descriptions(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        let body = self.json();
        let rows = body["results"].as_array().unwrap_or_else(|| panic!("no results in {}", self.body));
        rows.iter().map(|row| row["description"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    }
}

/// As a refusal's body has it.
pub(crate) fn detail(status: u16, sentence: &str) -> String {
    format!("{status} {}", json!({ "detail": sentence }))
}

pub(crate) const FORBIDDEN: &str = r#"403 {"detail":"You do not have permission to perform this action."}"#;
pub(crate) const NO_MATCH: &str = r#"404 {"detail":"No OAuth2AccessToken matches the given query."}"#;
pub(crate) const NOT_PROVIDED: &str = r#"401 {"detail":"Authentication credentials were not provided."}"#;
pub(crate) const EXTERNAL: &str = "(access_denied) OAuth2 Tokens cannot be created by users associated with an external \
                                   authentication provider (Corporate Keycloak)";
