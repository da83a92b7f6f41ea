//! The token servers of Ansible Automation Platform: its gateway, and the automation controller.
//!
//! Both are the same kind of server; what differs is the [`Release`]. All one knows is one [`State`]; a request's way is:
//! path → who calls → scope → method → the call.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

pub use self::flavour::Release;
pub use self::state::{PROVIDER, Record, State, User};

use self::access::Caller;
use self::state::{Token, Wanted};
use crate::certificates::Certificate;
use crate::clock::Clock;
use crate::controller::writers::Pause;
use crate::exchange::{Answer, Request};
use crate::{System, controller};

pub(crate) mod access;
mod accounts;
pub(crate) mod answers;
pub(crate) mod api;
mod applications;
mod columns;
mod control;
pub(crate) mod fields;
pub(crate) mod filters;
mod flavour;
pub(crate) mod list;
mod oauth;
pub(crate) mod rows;
pub(crate) mod state;
pub(crate) mod time;
mod tokens;

/// The stand-in of a gateway or a controller. Its users are `admin`, `alice`, `bob`, `auditor` and the external `erin`.
#[derive(Clone, Debug)]
pub struct Platform {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    address: SocketAddr,
    plain_address: SocketAddr,
    state: Mutex<State>,
    /// What a gateway passes requests on to.
    controller: Option<Platform>,
}

/// A token that was just made.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The primary key.
    pub id: i64,
    /// The secret.
    pub token: String,
    /// The secret of an application token's refresh token.
    pub refresh_token: Option<String>,
}

impl Platform {
    pub(crate) fn controller(clock: Clock, address: SocketAddr, plain_address: SocketAddr) -> Self {
        Self::new(Release::Awx24_6_1, None, clock, address, plain_address)
    }

    pub(crate) fn gateway(controller: &Self, clock: Clock, address: SocketAddr, plain_address: SocketAddr) -> Self {
        Self::new(Release::Dab2026_6_2, Some(controller.clone()), clock, address, plain_address)
    }

    fn new(
        release: Release,
        controller: Option<Self>,
        clock: Clock,
        address: SocketAddr,
        plain_address: SocketAddr,
    ) -> Self {
        let state = Mutex::new(State::new(release, clock.milliseconds()));
        Self { inner: Arc::new(Inner { clock, address, plain_address, state, controller }) }
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.inner.address)
    }

    /// The same without encryption: `http://127.0.0.1:PORT`.
    pub fn plain_url(&self) -> String {
        format!("http://{}", self.inner.plain_address)
    }

    /// Turns any switch, or reads it.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state())
    }

    /// The password of a user. An unknown name becomes an ordinary user.
    pub fn password(&self, user: &str) -> String {
        self.change(|state| state.user_or_new(user).password.clone())
    }

    /// A personal token, as the management command would make it: its id and its secret. An unknown name becomes an
    /// ordinary user.
    pub fn issue_token(&self, user: &str, description: &str, scope: &str) -> (i64, String) {
        let issued = self.issue(user, None, description, scope);
        (issued.id, issued.token)
    }

    /// A token of an application, or a personal one. An unknown name becomes an ordinary user.
    pub fn issue(&self, user: &str, application: Option<i64>, description: &str, scope: &str) -> Issued {
        let now = self.now();
        self.change(|state| {
            let user = state.user_or_new(user).id;
            let (description, scope) = (description.to_owned(), scope.to_owned());
            let token = state.issue(Wanted { user, made_by: user, application, description, scope }, now);
            let refresh_token = state.refresh_of(token.id).map(|refresh| refresh.secret.clone());
            if let Some(token) = state.token_mut(token.id) {
                token.told = true;
            }
            Issued { id: token.id, token: token.secret, refresh_token }
        })
    }

    /// Whether this bearer is let in now, for whatever little. Does not count as a use.
    pub fn token_works(&self, token: &str) -> bool {
        let now = self.now();
        self.change(|state| {
            let token = state.tokens.iter().find(|known| known.secret == token);
            token.is_some_and(|token| state.is_live(token, now))
        })
    }

    /// The records of all tokens that are there, expired ones too, the oldest first.
    pub fn tokens(&self) -> Vec<Record> {
        self.change(|state| state.tokens.iter().map(|token| state.record(token)).collect())
    }

    /// How many tokens of that description are there and not expired.
    pub fn live_tokens(&self, description: &str) -> usize {
        let now = self.now();
        self.change(|state| {
            let described = state.tokens.iter().filter(|token| token.description == description);
            described.filter(|token| state.is_live(token, now)).count()
        })
    }

    /// Deletes a token, as somebody else would. `false`: there is no such token.
    pub fn revoke(&self, id: i64) -> bool {
        self.change(|state| state.delete_token(id))
    }

    /// Ends the life of a token; its row stays. `false`: there is no such token.
    pub fn expire(&self, id: i64) -> bool {
        self.expire_in(id, 0)
    }

    /// Lets a token end in so many seconds. `false`: there is no such token.
    pub fn expire_in(&self, id: i64, seconds: i64) -> bool {
        let end = time::later(self.now(), seconds);
        self.change(|state| state.token_mut(id).map(|token| token.expires = end).is_some())
    }

    /// Lets a token have been made so many seconds ago. `false`: there is no such token.
    pub fn backdate(&self, id: i64, seconds: i64) -> bool {
        let created = time::later(self.now(), -seconds);
        self.change(|state| state.token_mut(id).map(|token| token.created = created).is_some())
    }

    /// A confidential application with the grant `password`. `ci` is there from the start in the organizations `Default`
    /// and `Engineering`, and `deploy` in `Default`. `None`: there is no such organization.
    pub fn add_application(&self, name: &str, organization: &str) -> Option<i64> {
        let now = self.now();
        self.change(|state| {
            let organization = state.organizations.iter().find(|known| known.name == organization)?.id;
            Some(state.add_application(name, organization, now))
        })
    }

    /// The id of an application. `None`: there is none of this name in this organization.
    pub fn application(&self, name: &str, organization: &str) -> Option<i64> {
        self.change(|state| {
            let organization = state.organizations.iter().find(|known| known.name == organization)?.id;
            let is_meant = |known: &&state::Application| known.name == name && known.organization == organization;
            state.applications.iter().find(is_meant).map(|application| application.id)
        })
    }

    /// The id and the secret that an application logs in with.
    pub fn client(&self, application: i64) -> Option<(String, String)> {
        self.change(|state| {
            let application = state.application(application)?;
            Some((application.client_id.clone(), application.client_secret.clone()))
        })
    }

    /// The controller that a request to this path is meant for, if this is a gateway.
    fn behind(&self, path: &str) -> Option<&Self> {
        self.inner.controller.as_ref().filter(|_| path.starts_with("/api/controller/"))
    }

    /// The gateway says who calls; the controller knows its users under the same names.
    fn passed_on(&self, controller: &Self, request: &Request, path: &str) -> Answer {
        let now = self.now();
        let caller = Caller::of(&mut self.state(), request, now);
        controller.change(|state| api::answer_to(state, request, path, now, |state| Ok(caller?.known_to(state))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> i64 {
        self.inner.clock.milliseconds()
    }
}

impl System for Platform {
    fn answer(&self, request: &Request) -> Answer {
        match percent_decode_str(&request.path).decode_utf8() {
            Ok(path) => match self.behind(&path) {
                Some(controller) => self.passed_on(controller, request, &path),
                None => api::answer(&mut self.state(), request, &path, self.now()),
            },
            Err(_) => answers::no_such_page(),
        }
    }

    fn begin(&self, request: &mut Request) -> Option<Pause> {
        let system = self.behind(&request.path).unwrap_or(self);
        let now = self.now();
        system.change(|state| {
            let credential = api::credential_meant(state.release, &request.path)?;
            controller::begin(state, request, credential, now)
        })
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

    fn date(&self) -> Option<String> {
        Some(time::date(self.now() + self.state().date_skew * 1000))
    }

    /// Notes that the secret in this answer got out.
    fn answered(&self, answer: &Answer) {
        let Ok(Value::Object(body)) = serde_json::from_slice(&answer.body) else { return };
        let secret = body.get("token").or_else(|| body.get("access_token")).and_then(Value::as_str);
        if let Some(token) = self.state().tokens.iter_mut().find(|token| Some(token.secret.as_str()) == secret) {
            token.told = true;
        }
    }

    /// Somebody else makes a token of the same kind as the newest, or deletes the one that the path names.
    fn interfere(&self, request: &Request) {
        let now = self.now();
        self.change(|state| {
            if request.method == Method::POST && api::is_for_new_tokens(state.release, &request.path) {
                let Some(newest) = state.tokens.last().cloned() else { return };
                let Token { user, made_by, application, description, scope, .. } = newest;
                state.issue(Wanted { user, made_by, application, description, scope }, now);
            } else if let Some(id) = api::token_meant(state.release, &request.path) {
                state.delete_token(id);
            }
        });
    }
}
