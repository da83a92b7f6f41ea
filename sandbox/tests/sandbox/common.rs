//! What the sandbox's tests share: an HTTPS client that trusts the sandbox.

use std::sync::Once;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::blocking::{Client, ClientBuilder, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use tokensmith_sandbox::Sandbox;
use tokensmith_sandbox::sso::RealmHandle;

/// A running sandbox and a client of one realm of it.
pub(crate) struct Realm {
    pub(crate) sandbox: Sandbox,
    pub(crate) handle: RealmHandle,
    pub(crate) http: Client,
}

impl Realm {
    /// The realm `redhat-external` of a new sandbox.
    pub(crate) fn start() -> Self {
        Self::named("redhat-external")
    }

    pub(crate) fn named(name: &str) -> Self {
        let sandbox = Sandbox::start().unwrap();
        Self { handle: sandbox.sso().realm(name), http: trusting(&sandbox), sandbox }
    }

    pub(crate) fn offline_token(&self) -> String {
        self.handle.issue_offline_token("cloud-services", "openid offline_access api.iam.organization").unwrap()
    }

    pub(crate) fn refresh(&self, token: &str) -> Answer {
        self.refresh_as("cloud-services", token)
    }

    pub(crate) fn refresh_as(&self, client_id: &str, token: &str) -> Answer {
        self.post("token", &[("grant_type", "refresh_token"), ("client_id", client_id), ("refresh_token", token)])
    }

    /// A refresh that must succeed: the new offline token.
    pub(crate) fn next(&self, token: &str) -> String {
        let answer = self.refresh(token);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("refresh_token")
    }

    pub(crate) fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, endpoint).form_body(form)).unwrap()
    }

    pub(crate) fn user_info(&self, access_token: &str) -> Answer {
        let request = self.request(Method::GET, "userinfo").header(AUTHORIZATION, format!("Bearer {access_token}"));
        self.send(request).unwrap()
    }

    pub(crate) fn request(&self, method: Method, endpoint: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/protocol/openid-connect/{endpoint}", self.handle.url()))
    }

    pub(crate) fn send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send()?;
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        Ok(Answer {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            challenge: header("www-authenticate").unwrap_or_default(),
            cache_control: header("cache-control").unwrap_or_default(),
            retry_after: header("retry-after").unwrap_or_default(),
            has_date: header("date").is_some(),
            body: response.text()?,
        })
    }

    pub(crate) fn control(&self, action: &str, arguments: &Value) -> Value {
        let url = format!("{}/_sandbox/{action}", self.sandbox.url());
        let answer = self.send(self.http.post(url).body(arguments.to_string())).unwrap();
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        answer.json()
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) challenge: String,
    pub(crate) cache_control: String,
    pub(crate) retry_after: String,
    pub(crate) has_date: bool,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.body)).to_owned()
    }

    /// `400 invalid_grant: No refresh token`, or the status alone.
    pub(crate) fn verdict(&self) -> String {
        match serde_json::from_str::<Value>(&self.body).ok().filter(|body| !body["error"].is_null()) {
            Some(body) => match body["error_description"].as_str() {
                Some(description) => format!("{} {}: {description}", self.status, body["error"].as_str().unwrap()),
                None => format!("{} {}", self.status, body["error"].as_str().unwrap()),
            },
            None => self.status.to_string(),
        }
    }
}

pub(crate) trait FormBody {
    fn form_body(self, form: &[(&str, &str)]) -> Self;
}

impl FormBody for RequestBuilder {
    fn form_body(self, form: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }
}

/// The claims of a JWT, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header or the claims of a JWT.
pub(crate) fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&raw_part(token, index)).unwrap()
}

pub(crate) fn raw_part(token: &str, index: usize) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()
}

pub(crate) fn trusting(sandbox: &Sandbox) -> Client {
    builder(sandbox).build().unwrap()
}

pub(crate) fn builder(sandbox: &Sandbox) -> ClientBuilder {
    trusting_pem(&std::fs::read(sandbox.ca_path()).unwrap())
}

pub(crate) fn trusting_pem(pem: &[u8]) -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem).unwrap()])
        .timeout(Duration::from_secs(10))
        .no_proxy()
}
