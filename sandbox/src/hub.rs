//! Private automation hub, as far as a client that keeps a user's API token can see it.
//!
//! A user has one token or none. A request's way is: path → who calls → the method.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

pub use self::state::{Generation, State, User};

use crate::System;
use crate::certificates::Certificate;
use crate::exchange::{Answer, Request};

mod answers;
mod api;
mod control;
mod state;

/// The stand-in of automation hub.
#[derive(Clone, Debug)]
pub struct Hub {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: SocketAddr,
    plain_address: SocketAddr,
    state: Mutex<State>,
}

impl Hub {
    /// With the users `admin` and `build`, who have no token.
    pub(crate) fn new(address: SocketAddr, plain_address: SocketAddr) -> Self {
        let state = Mutex::new(State::new());
        Self { inner: Arc::new(Inner { address, plain_address, state }) }
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.inner.address)
    }

    /// The same without encryption: `http://127.0.0.1:PORT`.
    pub fn plain_url(&self) -> String {
        format!("http://{}", self.inner.plain_address)
    }

    /// Where the users' tokens are made, from the prefix on.
    pub fn token_path(&self) -> String {
        self.change(|state| format!("{}{}", state.prefix, api::TOKEN))
    }

    /// Turns any switch, or reads it.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state())
    }

    /// A user without a token, and its password. One that was there is replaced.
    pub fn add_user(&self, name: &str) -> String {
        self.change(|state| state.add_user(name).password.clone())
    }

    /// A user's password.
    pub fn password(&self, user: &str) -> Option<String> {
        self.change(|state| Some(state.users.get(user)?.password.clone()))
    }

    /// A new token of this user, as it would make one by hand: the old one is dead.
    pub fn issue_token(&self, user: &str) -> Option<String> {
        self.change(|state| {
            let token = state.users.get_mut(user)?.issue();
            state.told.insert(token.clone());
            Some(token)
        })
    }

    /// The user's token, as the database has it.
    pub fn token(&self, user: &str) -> Option<String> {
        self.change(|state| state.users.get(user)?.token.clone())
    }

    /// Whether this token is accepted now.
    pub fn token_works(&self, token: &str) -> bool {
        self.change(|state| state.user_of_token(token).is_some_and(|user| user.is_active))
    }

    /// How many tokens this user had made.
    pub fn issued(&self, user: &str) -> u64 {
        self.change(|state| state.users.get(user).map_or(0, |user| user.issued))
    }

    /// Whether the answer that brought this token went out whole.
    pub fn was_told(&self, token: &str) -> bool {
        self.change(|state| state.told.contains(token))
    }

    /// A token of a platform gateway before this hub, of this user.
    pub fn issue_gateway_token(&self, user: &str) -> String {
        self.change(|state| state.issue_gateway_token(user))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl System for Hub {
    fn answer(&self, request: &Request) -> Answer {
        api::answer(&mut self.state(), request)
    }

    fn control(&self, action: &str, arguments: &Value) -> Option<Answer> {
        control::answer(self, action, arguments)
    }

    fn latency(&self) -> Duration {
        self.state().latency
    }

    fn certificate(&self) -> Certificate {
        self.state().certificate
    }

    /// Notes that the token in this answer got out.
    fn answered(&self, answer: &Answer) {
        let Ok(Value::Object(body)) = serde_json::from_slice(&answer.body) else { return };
        if let Some(token) = body.get("token").and_then(Value::as_str) {
            let _ = self.state().told.insert(token.to_owned());
        }
    }

    /// Somebody else has a new token made for the same user.
    fn interfere(&self, request: &Request) {
        api::interfere(&mut self.state(), request);
    }
}
