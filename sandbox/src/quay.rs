//! Quay: a registry, as far as a client that rotates the tokens of its robots can see it.
//!
//! All it knows is one [`State`]; a request's way is: path → checks in Quay's order → endpoint.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

pub use self::state::{Federation, Organization, Permission, RateLimit, Release, Robot, Role, State, User};

use self::api::Call;
use crate::System;
use crate::clock::Clock;
use crate::exchange::{Answer, Request};
use crate::identity_provider::{self, IdentityProvider};
use crate::signing::SigningKey;

mod accounts;
pub(crate) mod answers;
mod api;
mod control;
mod discovery;
mod federation;
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
    identity_provider: IdentityProvider,
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
        let url = format!("https://{address}");
        let identity_provider = IdentityProvider::below(&url, "quay", clock.clone(), Arc::clone(&key));
        Ok(Self { inner: Arc::new(Inner { clock, address, plain_address, key, identity_provider, state }) })
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
        self.inner.identity_provider.clone()
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
            return self.inner.identity_provider.answer(path).unwrap_or_else(answers::not_found_page);
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
            EXCHANGE => keyless::exchange(&state, &call, self.key(), &self.inner.identity_provider),
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

    fn control(&self, action: &str, arguments: &Value) -> Option<Answer> {
        control::answer(self, action, arguments)
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

/// What a tool that rotates robots asks for.
pub const SCOPES: &str = "org:admin user:admin user:read";
const EXCHANGE: &str = "/oauth2/federation/robot/token";
const PAGES: [&str; 6] = ["/v2/", "/v2/auth", "/config", "/health/instance", "/_internal_ping", EXCHANGE];
