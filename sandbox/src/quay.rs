//! Quay: a registry, as far as a client that rotates the tokens of its robots can see it.
//!
//! All it knows is one [`State`]; a request's way is: path → checks in Quay's order → endpoint.

use std::error::Error;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use percent_encoding::percent_decode_str;
use ring::digest;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use self::identity_provider::{ExternalToken, IdentityProvider};
pub use self::state::{Federation, Organization, Permission, RateLimit, Release, Robot, Role, State, User};

use self::api::Call;
use crate::clock::Clock;
use crate::exchange::{Answer, Request};
use crate::signing::SigningKey;
use crate::{System, control};

mod accounts;
pub(crate) mod answers;
mod api;
mod discovery;
mod federation;
mod identity_provider;
mod jwt;
mod keyless;
mod registry;
mod robots;
mod schema;
mod state;

/// The stand-in of Quay.
#[derive(Clone, Debug)]
pub struct Quay {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    address: SocketAddr,
    plain_address: SocketAddr,
    key: Arc<SigningKey>,
    state: Mutex<State>,
}

impl Quay {
    pub(crate) fn new(
        clock: Clock,
        address: SocketAddr,
        plain_address: SocketAddr,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let key = SigningKey::shared()?;
        let state = Mutex::new(State::new(address.to_string(), Arc::clone(&key), clock.seconds()));
        Ok(Self { inner: Arc::new(Inner { clock, address, plain_address, key, state }) })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.inner.address)
    }

    /// The same without encryption: `http://127.0.0.1:PORT`.
    pub fn plain_url(&self) -> String {
        format!("http://{}", self.inner.plain_address)
    }

    /// What the registry's challenge calls itself; `127.0.0.1:PORT` unless the state was told otherwise.
    pub fn server_hostname(&self) -> String {
        self.change(|state| state.server_hostname.clone())
    }

    /// Turns any switch, or reads it.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state())
    }

    /// An OAuth access token of a user, with scopes separated by blanks.
    pub fn issue_token(&self, user: &str, scopes: &str) -> String {
        self.change(|state| state.issue_token(user, scopes, self.now()))
    }

    /// Takes an OAuth access token away.
    pub fn revoke_token(&self, token: &str) {
        self.change(|state| state.tokens.remove(token));
    }

    /// Ends the life of an OAuth access token.
    pub fn expire_token(&self, token: &str) {
        let now = self.now();
        self.change(|state| {
            if let Some(token) = state.tokens.get_mut(token) {
                token.expires = now;
            }
        });
    }

    /// A robot, unless it is there. An unknown namespace becomes an organization that `alice` administers.
    pub fn add_robot(&self, name: &str) {
        self.change(|state| state.add_robot(name, self.now()));
    }

    /// As many robots as that: `NAMESPACE+r0001`, `NAMESPACE+r0002`, …
    pub fn add_robots(&self, namespace: &str, count: usize) {
        let now = self.now();
        self.change(|state| (1..=count).for_each(|number| state.add_robot(&format!("{namespace}+r{number:04}"), now)));
    }

    /// The one token of the robot that is valid now.
    pub fn robot_token(&self, name: &str) -> Option<String> {
        self.change(|state| state.robots.get(name).map(|robot| robot.token.clone()))
    }

    /// Whether this name and password log in at the registry. Changes nothing.
    pub fn login_works(&self, name: &str, password: &str) -> bool {
        let now = self.now();
        self.change(|state| registry::authenticate(state, name, password, now).is_ok())
    }

    /// Whether this bearer opens the registry now.
    pub fn registry_token_works(&self, token: &str) -> bool {
        let now = self.now();
        self.change(|state| registry::registry_token_is_good(state, token, now))
    }

    /// How often the robot got a new token, lost answers included.
    pub fn regenerations(&self, name: &str) -> u64 {
        self.change(|state| state.robots.get(name).map(|robot| robot.regenerations)).unwrap_or_default()
    }

    /// Gives the robot a new token, as somebody else would. `None`: there is no such robot.
    pub fn regenerate(&self, name: &str) -> Option<String> {
        self.change(|state| state.regenerate(name).map(|robot| robot.token.clone()))
    }

    /// Lets a mirror use the robot: it cannot be deleted.
    pub fn mirror(&self, name: &str) {
        self.change_robot(name, |robot| robot.is_mirroring = true);
    }

    /// Lets the robot take tokens of these issuers and subjects, and of no others.
    pub fn set_federation<'f>(&self, name: &str, entries: impl IntoIterator<Item = (&'f str, &'f str)>) {
        let entry = |(issuer, subject): (&str, &str)| Federation { issuer: issuer.into(), subject: subject.into() };
        self.change_robot(name, |robot| robot.federation = entries.into_iter().map(entry).collect());
    }

    /// The identity provider whose tokens can be exchanged.
    pub fn identity_provider(&self) -> IdentityProvider {
        IdentityProvider::of(self.clone())
    }

    /// A robot that is not there stays away.
    fn change_robot(&self, name: &str, change: impl FnOnce(&mut Robot)) {
        self.change(|state| {
            if let Some(robot) = state.robots.get_mut(name) {
                change(robot);
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.inner.clock.seconds()
    }

    fn key(&self) -> &SigningKey {
        &self.inner.key
    }

    fn route(&self, request: &Request, path: &str) -> Answer {
        let mut state = self.state();
        if let Some(path) = path.strip_prefix(identity_provider::PATH) {
            return identity_provider::answer(path, &self.url(), self.key(), &state.provider_key_id);
        }
        if let Some(limit) = &mut state.rate_limit
            && !limit.admits(self.inner.clock.milliseconds())
        {
            return answers::too_many_requests();
        }
        let call = Call { request, host: state.server_hostname.clone(), now: self.now() };
        if let Some(path) = path.strip_prefix(api::PREFIX) {
            let answer = api::answer(&mut state, &call, path);
            return if state.keep_alive { answer } else { answer.header("connection", "close") };
        }
        let is_known = PAGES.contains(&path) && (path != EXCHANGE || state.release >= (3, 13, 0));
        match path {
            _ if !is_known => api::no_such_page(request),
            _ if call.method() == Method::OPTIONS => Answer::empty(200),
            _ if call.method() != Method::GET => answers::method_not_allowed_page(),
            "/v2/" => registry::ping(&state, &call),
            "/v2/auth" => registry::log_in(&mut state, &call),
            "/config" => accounts::config(&state),
            "/health/instance" => accounts::health(),
            EXCHANGE => keyless::exchange(&state, &call, self.key(), &self.url()),
            _ => Answer::text(200, "text/html; charset=utf-8", "true"),
        }
    }
}

impl System for Quay {
    fn answer(&self, request: &Request) -> Answer {
        match percent_decode_str(&request.path).decode_utf8() {
            Ok(path) => self.route(request, &path),
            Err(_) => api::no_such_page(request),
        }
    }

    /// | action | arguments |
    /// | --- | --- |
    /// | `quay/robots` | `namespace`, default `acme`, and `count`, default 1: adds robots, as [`Quay::add_robots`] |
    /// | `quay/robot` | `name`: answers `{"fingerprint": …, "regenerations": …, "last_accessed": …}`, or 404 |
    /// | `quay/regenerate` | `name`, as somebody else would |
    /// | `quay/federation` | `name`, and `entries`: `[{"issuer": …, "subject": …}]`, default those of the identity provider with the robot's name as subject |
    /// | `quay/login`, `login` | `username`, `password`: answers `{"works": true}` or false, and changes nothing |
    /// | `quay/token` | `user`, default `alice`, and `scopes`, default all a rotation needs: answers `{"token": …}` |
    /// | `quay/external_token` | `subject`, `claims` to set (null takes one out), and `flaw`: `expired`, `wrong_key`, `unknown_kid` or `no_kid`; answers `{"issuer": …, "token": …}` |
    /// | `quay/state` | what to change: `server_hostname`, `release` (`[3, 10, 0]`), `read_only`, `anonymous_access`, `robots_disallowed`, `robots_whitelist`, `superusers_full_access`, `restricted_users`, `user_last_accessed`, `rate_limit`, `latency_milliseconds`, `keep_alive` |
    fn control(&self, action: &str, arguments: &Value) -> Option<Answer> {
        Some(match action {
            "quay/robots" => {
                control::with(arguments, |wanted: RobotsWanted| self.add_robots(&wanted.namespace, wanted.count))
            }
            "quay/robot" => control::with_answer(arguments, |robot: RobotNamed| self.look(&robot.name)),
            "quay/regenerate" => control::with(arguments, |robot: RobotNamed| drop(self.regenerate(&robot.name))),
            "quay/federation" => control::with(arguments, |wanted: FederationWanted| self.federate(wanted)),
            "quay/login" | "login" => control::with_answer(arguments, |login: Login| {
                Answer::json(200, &json!({ "works": self.login_works(&login.username, &login.password) }))
            }),
            "quay/token" => control::with_answer(arguments, |wanted: TokenWanted| {
                Answer::json(200, &json!({ "token": self.issue_token(&wanted.user, &wanted.scopes) }))
            }),
            "quay/external_token" => {
                control::with_answer(arguments, |wanted: ExternalTokenWanted| self.external_token(wanted))
            }
            "quay/state" => control::with(arguments, |change: StateChange| self.change(|state| change.apply(state))),
            _ => return None,
        })
    }

    fn latency(&self) -> Duration {
        self.state().latency
    }

    /// Regenerates the robot that the request names.
    fn interfere(&self, request: &Request) {
        let path = percent_decode_str(&request.path).decode_utf8_lossy();
        let path = path.strip_prefix(api::PREFIX).unwrap_or_default();
        self.change(|state| {
            let call = Call { request, host: state.server_hostname.clone(), now: self.now() };
            if let Some(name) = api::robot_meant(state, &call, path) {
                state.regenerate(&name);
            }
        });
    }
}

impl Quay {
    fn look(&self, name: &str) -> Answer {
        self.change(|state| match state.robots.get(name) {
            None => Answer::json(404, &json!({ "error": "There is no such robot." })),
            Some(robot) => Answer::json(
                200,
                &json!({
                    "fingerprint": fingerprint(&robot.token),
                    "regenerations": robot.regenerations,
                    "last_accessed": robot.last_accessed,
                }),
            ),
        })
    }

    fn federate(&self, wanted: FederationWanted) {
        let own = Federation { issuer: self.identity_provider().issuer(), subject: wanted.name.clone() };
        let entries = wanted.entries.unwrap_or_else(|| vec![own]);
        self.change_robot(&wanted.name, |robot| robot.federation = entries);
    }

    fn external_token(&self, wanted: ExternalTokenWanted) -> Answer {
        let provider = self.identity_provider();
        let mut token = provider.token(&wanted.subject);
        token = match wanted.flaw {
            None => token,
            Some(Flaw::Expired) => token.expired(),
            Some(Flaw::WrongKey) => token.with_wrong_key(),
            Some(Flaw::UnknownKid) => token.with_unknown_key_id(),
            Some(Flaw::NoKid) => token.without_key_id(),
        };
        for (name, value) in wanted.claims {
            token = token.claim(&name, value);
        }
        match token.sign() {
            Ok(token) => Answer::json(200, &json!({ "issuer": provider.issuer(), "token": token })),
            Err(error) => Answer::json(500, &json!({ "error": error.to_string() })),
        }
    }
}

/// The first twelve digits of the SHA-256, as the modules name a secret.
fn fingerprint(secret: &str) -> String {
    let mut text = String::new();
    for byte in &digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()[..6] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RobotsWanted {
    #[serde(default = "default_namespace")]
    namespace: String,
    #[serde(default = "default_count")]
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RobotNamed {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FederationWanted {
    name: String,
    entries: Option<Vec<Federation>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenWanted {
    #[serde(default = "default_user")]
    user: String,
    #[serde(default = "default_scopes")]
    scopes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExternalTokenWanted {
    subject: String,
    #[serde(default)]
    claims: Map<String, Value>,
    flaw: Option<Flaw>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Flaw {
    Expired,
    WrongKey,
    UnknownKid,
    NoKid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateChange {
    server_hostname: Option<String>,
    release: Option<Release>,
    read_only: Option<bool>,
    anonymous_access: Option<bool>,
    robots_disallowed: Option<bool>,
    robots_whitelist: Option<Vec<String>>,
    superusers_full_access: Option<bool>,
    restricted_users: Option<bool>,
    user_last_accessed: Option<bool>,
    rate_limit: Option<bool>,
    latency_milliseconds: Option<u64>,
    keep_alive: Option<bool>,
}

impl StateChange {
    fn apply(self, state: &mut State) {
        let set = |place: &mut bool, value: Option<bool>| *place = value.unwrap_or(*place);
        set(&mut state.read_only, self.read_only);
        set(&mut state.anonymous_access, self.anonymous_access);
        set(&mut state.robots_disallowed, self.robots_disallowed);
        set(&mut state.superusers_full_access, self.superusers_full_access);
        set(&mut state.restricted_users, self.restricted_users);
        set(&mut state.user_last_accessed, self.user_last_accessed);
        set(&mut state.keep_alive, self.keep_alive);
        state.release = self.release.unwrap_or(state.release);
        if let Some(name) = self.server_hostname {
            state.server_hostname = name;
        }
        if let Some(names) = self.robots_whitelist {
            state.robots_whitelist = names.into_iter().collect();
        }
        if let Some(is_on) = self.rate_limit {
            state.rate_limit = is_on.then(RateLimit::stock);
        }
        if let Some(latency) = self.latency_milliseconds {
            state.latency = Duration::from_millis(latency);
        }
    }
}

fn default_namespace() -> String {
    "acme".to_owned()
}

fn default_count() -> usize {
    1
}

fn default_user() -> String {
    "alice".to_owned()
}

fn default_scopes() -> String {
    SCOPES.to_owned()
}

/// What a tool that rotates robots asks for.
pub const SCOPES: &str = "org:admin user:admin user:read";
const EXCHANGE: &str = "/oauth2/federation/robot/token";
const PAGES: [&str; 6] = ["/v2/", "/v2/auth", "/config", "/health/instance", "/_internal_ping", EXCHANGE];
