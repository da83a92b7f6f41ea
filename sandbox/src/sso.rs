//! Red Hat SSO: a Keycloak, as far as a client of tokens can see it.
//!
//! State is kept per realm ([`Realm`]) and session; a request's way is: path → realm → endpoint.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::realm::{Client, Realm, User};

use self::session::{Kind, Session};
use crate::clock::Clock;
use crate::exchange::{Answer, Form, Request};
use crate::signing::SigningKey;
use crate::{System, control};

mod client;
mod ending;
mod issue;
mod jwt;
mod proof;
mod realm;
mod session;
mod token;

/// The stand-in of Red Hat SSO.
#[derive(Clone, Debug)]
pub struct Sso {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    address: SocketAddr,
    plain_address: SocketAddr,
    key: Arc<SigningKey>,
    realms: Mutex<BTreeMap<String, Realm>>,
}

impl Sso {
    pub(crate) fn new(
        clock: Clock,
        address: SocketAddr,
        plain_address: SocketAddr,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let key = SigningKey::shared()?;
        let mut realms = BTreeMap::new();
        for name in REALMS {
            realms.insert(name.to_owned(), Realm::named(name, Arc::clone(&key))?);
        }
        Ok(Self { inner: Arc::new(Inner { clock, address, plain_address, key, realms: Mutex::new(realms) }) })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.inner.address)
    }

    /// The same without encryption: `http://127.0.0.1:PORT`.
    pub fn plain_url(&self) -> String {
        format!("http://{}", self.inner.plain_address)
    }

    /// The realm of that name; `redhat-external`, `second`, `rotating`, `rotating-reuse-1`, `limited` and `tls-only` are
    /// always there. Any other name makes a realm of its own for a test, with the settings of `redhat-external`.
    pub fn realm(&self, name: &str) -> RealmHandle {
        let mut realms = self.realms();
        if !realms.contains_key(name) {
            // The file was read before, so this cannot fail; without a realm every use of the handle says so.
            if let Ok(realm) = Realm::named(name, Arc::clone(&self.inner.key)) {
                realms.insert(name.to_owned(), realm);
            }
        }
        RealmHandle { sso: self.clone(), name: name.to_owned() }
    }

    fn realms(&self) -> MutexGuard<'_, BTreeMap<String, Realm>> {
        self.inner.realms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One realm of a running sandbox.
#[derive(Clone, Debug)]
pub struct RealmHandle {
    sso: Sso,
    name: String,
}

impl RealmHandle {
    /// The issuer: `https://127.0.0.1:PORT/auth/realms/NAME`.
    pub fn url(&self) -> String {
        format!("{}/auth/realms/{}", self.sso.url(), self.name)
    }

    /// The token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}/protocol/openid-connect/token", self.url())
    }

    /// Turns any of the realm's switches, or reads them. `None` if the realm was taken away.
    pub fn change<T>(&self, change: impl FnOnce(&mut Realm) -> T) -> Option<T> {
        self.sso.realms().get_mut(&self.name).map(change)
    }

    /// A first offline token of the user `casey`, as a person copies one from the web page. Each has its own session.
    pub fn issue_offline_token(&self, client_id: &str, scope: &str) -> Result<String, IssueError> {
        self.issue_offline_token_for("casey", client_id, scope)
    }

    /// The same for another user.
    pub fn issue_offline_token_for(&self, user: &str, client_id: &str, scope: &str) -> Result<String, IssueError> {
        let issuer = self.url();
        let now = self.sso.inner.clock.milliseconds();
        let answer = self
            .change(|realm| {
                let client = realm.clients.get(client_id).cloned().ok_or(IssueError::Client)?;
                if !realm.users.contains_key(user) {
                    return Err(IssueError::User);
                }
                if !client.may_ask_for(scope) || !scope.split(' ').any(|word| word == "offline_access") {
                    return Err(IssueError::Scope);
                }
                let session = Session::start(user, Kind::Offline, now);
                Ok(token::log_in(realm, &client, session, Some(scope), issuer, now))
            })
            .ok_or(IssueError::Realm)??;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        body["refresh_token"].as_str().map(String::from).ok_or(IssueError::Client)
    }

    /// How many refresh grants succeeded, lost answers included.
    pub fn refreshes(&self) -> u64 {
        self.change(|realm| realm.refreshes).unwrap_or_default()
    }

    /// Whether a refresh with this string would succeed now. Changes nothing.
    pub fn offline_token_is_alive(&self, token: &str) -> bool {
        let now = self.sso.inner.clock.milliseconds();
        self.change(|realm| realm.would_refresh(token, &realm.issuer(&self.sso.url()), now)).unwrap_or_default()
    }

    /// Whether this access token stands for somebody: right, not expired, not revoked, its session alive.
    pub fn access_token_works(&self, token: &str) -> bool {
        let now = self.sso.inner.clock.milliseconds();
        self.change(|realm| {
            realm
                .valid_access_token(token, &realm.issuer(&self.sso.url()), now)
                .is_some_and(|claims| realm.token_holder(&claims, now).is_ok())
        })
        .unwrap_or_default()
    }

    /// Ends all sessions, as an administrator can.
    pub fn end_sessions(&self) {
        self.change(|realm| realm.sessions.clear());
    }
}

/// Why no offline token could be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The realm is gone.
    #[error("There is no such realm.")]
    Realm,
    /// The client is not of this realm, or gets no refresh tokens.
    #[error("The realm has no such client, or the client gets no refresh tokens.")]
    Client,
    /// The user is not of this realm.
    #[error("The realm has no such user.")]
    User,
    /// The scope is not the client's, or lacks offline_access.
    #[error("The scope must be the client's own, and have 'offline_access' in it.")]
    Scope,
}

impl System for Sso {
    fn answer(&self, request: &Request) -> Answer {
        if request.path.contains("//") || request.path.contains("/../") {
            return Answer::text(400, "application/json; charset=UTF-8", NOT_NORMALIZED);
        }
        let Some(path) = request.path.strip_prefix("/auth/") else {
            return Answer::text(404, "text/html; charset=utf-8", NOT_FOUND);
        };
        let Some(path) = path.strip_prefix("realms/") else {
            return status_answer("Unable to find matching target resource method", 404);
        };
        let (name, endpoint) = path.split_once('/').unwrap_or((path, ""));
        let mut realms = self.realms();
        let Some(realm) = realms.get_mut(name) else { return guarded(status_answer("Realm does not exist", 404)) };
        let call = Call { request, origin: &request.origin(), now: self.inner.clock.milliseconds() };
        guarded(call.answer(realm, endpoint.trim_end_matches('/')))
    }

    /// | action | arguments |
    /// | --- | --- |
    /// | `sso/offline_token` | `realm`, `client_id`, `user`, `scope`, all with defaults; answers `{"offline_token": …}` |
    /// | `sso/realm` | `realm`, and what to change: `enabled`, `rotation` (a count, -1: off), `access_life`, `offline_idle`, `offline_limit` (0: none), `not_before` |
    /// | `sso/user` | `realm`, `user`, `enabled` and `offline_access` to change |
    /// | `sso/end_sessions` | `realm` |
    fn control(&self, action: &str, arguments: &Value) -> Option<Answer> {
        Some(match action {
            "sso/offline_token" => control::with_answer(arguments, |wanted: OfflineTokenWanted| {
                let realm = self.realm(&wanted.realm);
                match realm.issue_offline_token_for(&wanted.user, &wanted.client_id, &wanted.scope) {
                    Ok(token) => Answer::json(200, &json!({ "offline_token": token })),
                    Err(error) => Answer::json(400, &json!({ "error": error.to_string() })),
                }
            }),
            "sso/realm" => control::with(arguments, |change: RealmChange| {
                self.realm(&change.realm).change(|realm| change.apply(realm));
            }),
            "sso/user" => control::with(arguments, |change: UserChange| {
                self.realm(&change.realm).change(|realm| {
                    if let Some(user) = realm.users.get_mut(&change.user) {
                        user.enabled = change.enabled.unwrap_or(user.enabled);
                        user.offline_access = change.offline_access.unwrap_or(user.offline_access);
                    }
                });
            }),
            "sso/end_sessions" => control::with(arguments, |only: OnlyRealm| self.realm(&only.realm).end_sessions()),
            _ => return None,
        })
    }
}

/// A request to an endpoint of a realm. `now` is in milliseconds.
struct Call<'r> {
    request: &'r Request,
    origin: &'r str,
    now: i64,
}

impl Call<'_> {
    fn answer(&self, realm: &mut Realm, endpoint: &str) -> Answer {
        let method = &self.request.method;
        let is = |methods: &[Method]| methods.contains(method);
        if *method == Method::OPTIONS {
            return Answer::empty(200);
        }
        let Some(endpoint) = endpoint.strip_prefix("protocol/") else {
            return match endpoint {
                ".well-known/openid-configuration" if is(&[Method::GET]) => merged(proof::discovery(realm, self)),
                ".well-known/openid-configuration" => method_not_allowed(),
                _ => status_answer("HTTP 404 Not Found", 404),
            };
        };
        let (protocol, endpoint) = endpoint.split_once('/').unwrap_or((endpoint, ""));
        if protocol != "openid-connect" {
            return status_answer("Protocol not found", 404);
        }
        match endpoint {
            "token" if is(&[Method::POST]) => token::answer(realm, self),
            "token/introspect" if is(&[Method::POST]) => merged(proof::introspect(realm, self)),
            "revoke" if is(&[Method::POST]) => merged(ending::revoke(realm, self)),
            "logout" if is(&[Method::POST]) => merged(ending::log_out(realm, self)),
            "userinfo" if is(&[Method::GET, Method::POST]) => merged(proof::user_info(realm, self)),
            "certs" if is(&[Method::GET]) => merged(proof::keys(realm, self)),
            "token" | "token/introspect" | "revoke" | "logout" | "userinfo" | "certs" => method_not_allowed(),
            _ if is(&[Method::GET]) => status_answer("HTTP 404 Not Found", 404),
            _ => method_not_allowed(),
        }
    }

    /// The form, within the server's limits.
    fn form(&self) -> Result<Form, Answer> {
        let form = self.request.form();
        if form.parameters().iter().any(|(_, value)| value.len() > LARGEST_VALUE) {
            return Err(status_answer("HTTP 413 Request Entity Too Large", 413));
        }
        if form.parameters().len() > MOST_PARAMETERS {
            return Err(error(500, "unknown_error", "For more on this error consult the server log."));
        }
        Ok(form)
    }

    fn check_enabled(&self, realm: &Realm) -> Result<(), Answer> {
        if realm.enabled { Ok(()) } else { Err(error(403, "access_denied", "Realm not enabled")) }
    }

    fn check_tls(&self, realm: &Realm) -> Result<(), Answer> {
        if realm.require_tls && !self.request.encrypted {
            return Err(error(403, "invalid_request", "HTTPS required"));
        }
        Ok(())
    }
}

fn error(status: u16, error: &str, description: &str) -> Answer {
    Answer::json(status, &json!({ "error": error, "error_description": description }))
}

fn status_answer(sentence: &str, status: u16) -> Answer {
    Answer::json(status, &json!({ "error": sentence }))
}

fn method_not_allowed() -> Answer {
    status_answer("HTTP 405 Method Not Allowed", 405)
}

fn merged(result: Result<Answer, Answer>) -> Answer {
    result.unwrap_or_else(|refusal| refusal)
}

/// With the headers that every answer of a realm has.
fn guarded(answer: Answer) -> Answer {
    let answer = answer
        .header("referrer-policy", "no-referrer")
        .header("strict-transport-security", "max-age=31536000; includeSubDomains")
        .header("x-content-type-options", "nosniff")
        .header("x-robots-tag", "none");
    if answer.body.is_empty() { answer } else { answer.header("x-frame-options", "SAMEORIGIN") }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfflineTokenWanted {
    #[serde(default = "default_realm")]
    realm: String,
    #[serde(default = "default_client")]
    client_id: String,
    #[serde(default = "default_user")]
    user: String,
    #[serde(default = "default_scope")]
    scope: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RealmChange {
    #[serde(default = "default_realm")]
    realm: String,
    enabled: Option<bool>,
    rotation: Option<i64>,
    access_life: Option<i64>,
    offline_idle: Option<i64>,
    offline_limit: Option<i64>,
    not_before: Option<i64>,
}

impl RealmChange {
    fn apply(&self, realm: &mut Realm) {
        realm.enabled = self.enabled.unwrap_or(realm.enabled);
        realm.access_life = self.access_life.unwrap_or(realm.access_life);
        realm.offline_idle = self.offline_idle.unwrap_or(realm.offline_idle);
        realm.not_before = self.not_before.unwrap_or(realm.not_before);
        if let Some(rotation) = self.rotation {
            realm.rotation = u32::try_from(rotation).ok();
        }
        if let Some(limit) = self.offline_limit {
            realm.offline_limit = (limit > 0).then_some(limit);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserChange {
    #[serde(default = "default_realm")]
    realm: String,
    #[serde(default = "default_user")]
    user: String,
    enabled: Option<bool>,
    offline_access: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyRealm {
    #[serde(default = "default_realm")]
    realm: String,
}

fn default_realm() -> String {
    "redhat-external".to_owned()
}

fn default_client() -> String {
    "cloud-services".to_owned()
}

fn default_user() -> String {
    "casey".to_owned()
}

fn default_scope() -> String {
    "openid offline_access api.iam.organization".to_owned()
}

const REALMS: [&str; 6] = ["redhat-external", "second", "rotating", "rotating-reuse-1", "limited", "tls-only"];
const NOT_FOUND: &str = "<html><body><h1>Resource not found</h1></body></html>";
const NOT_NORMALIZED: &str = r#"{"error":"missingNormalization","error_description":"Request path not normalized"}"#;
const LARGEST_VALUE: usize = 128 * 1024;
const MOST_PARAMETERS: usize = 1000;
