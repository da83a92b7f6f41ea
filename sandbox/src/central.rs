//! Central of Red Hat Advanced Cluster Security, as far as a client that keeps API tokens can see it.
//!
//! All it knows is one [`State`]; a request's way is: path → what it is given → who calls → the call.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::Value;

pub use self::answers::Spacing;
pub use self::state::{Level, MachineAccess, MachineKind, Mapping, Record, Release, Role, State, UNRESTRICTED};

use self::answers::{Code, Refusal};
use self::identity::Identity;
use self::signer::{Life, Signer};
use crate::System;
use crate::certificates::Certificate;
use crate::clock::Clock;
use crate::exchange::{Answer, Request};
use crate::identity_provider::{self, IdentityProvider};
use crate::jwt::Jwt;
use crate::signing::SigningKey;

mod answers;
mod api;
mod control;
mod identity;
mod machine;
mod message;
mod signer;
mod state;
mod status;
mod timestamp;
mod tokens;

/// The stand-in of Central.
#[derive(Clone, Debug)]
pub struct Central {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    address: SocketAddr,
    plain_address: SocketAddr,
    signer: Signer,
    state: Mutex<State>,
}

impl Central {
    pub(crate) fn new(
        clock: Clock,
        address: SocketAddr,
        plain_address: SocketAddr,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let key = SigningKey::shared()?;
        let url = format!("https://{address}");
        let provider = IdentityProvider::below(&url, "central", clock.clone(), Arc::clone(&key));
        let signer = Signer { key, provider };
        let state = Mutex::new(State::new());
        Ok(Self { inner: Arc::new(Inner { clock, address, plain_address, signer, state }) })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.inner.address)
    }

    /// The same without encryption: `http://127.0.0.1:PORT`.
    pub fn plain_url(&self) -> String {
        format!("http://{}", self.inner.plain_address)
    }

    /// `127.0.0.1:PORT`, as `ROX_ENDPOINT` has it.
    pub fn endpoint(&self) -> String {
        self.inner.address.to_string()
    }

    /// Turns any switch, or reads it.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state())
    }

    /// The password of the htpasswd user `admin`.
    pub fn admin_password(&self) -> String {
        self.change(|state| state.admin_password.clone())
    }

    /// An API token, as an administrator would make one by hand: nothing is checked, and it may have ended long ago.
    pub fn issue_token(&self, name: &str, roles: &[&str], expires_in_seconds: i64) -> String {
        let now = self.now();
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let end = now.saturating_add(expires_in_seconds);
        let life = Life { start: now.min(end), end };
        self.change(|state| {
            let (record, token) = tokens::issue(state, &self.inner.signer, name.to_owned(), roles, life);
            state.tokens.push(Record { told: true, ..record });
            token
        })
    }

    /// Whether this bearer is let in now, for whatever little. One of another issuer counts as sent.
    pub fn token_works(&self, token: &str) -> bool {
        let now = self.now();
        self.change(|state| Identity::of_bearer(state, &self.inner.signer, token, now).is_ok())
    }

    /// All records of API tokens, the oldest first.
    pub fn tokens(&self) -> Vec<Record> {
        self.change(|state| state.tokens.clone())
    }

    /// How many records of that name are neither revoked nor expired, and have a role that is there.
    pub fn live_tokens(&self, name: &str) -> usize {
        let now = self.now();
        self.change(|state| {
            let has_role =
                |record: &Record| record.roles.iter().any(|role| role != state::NONE && state.roles.contains_key(role));
            let is_live = |record: &&Record| !record.revoked && now <= record.expiration && has_role(record);
            state.tokens.iter().filter(|record| record.name == name).filter(is_live).count()
        })
    }

    /// Revokes a token, as somebody else would. `false`: there is no such record.
    pub fn revoke(&self, id: &str) -> bool {
        self.change(|state| tokens::revoke(state, id).is_ok())
    }

    /// Runs the hourly job now.
    pub fn prune(&self) {
        let now = self.now();
        self.change(|state| state.prune(now));
    }

    /// Restarts the server: it forgets the revocations whose record was pruned.
    pub fn restart(&self) {
        let now = self.now();
        self.change(|state| state.restart(now));
    }

    /// The identity provider whose tokens can be exchanged, once there is a configuration for it.
    pub fn identity_provider(&self) -> IdentityProvider {
        self.inner.signer.provider.clone()
    }

    /// Takes tokens of this issuer in exchange for ones that live so many seconds; a configuration that was there is
    /// replaced. Returns the id of the configuration.
    pub fn add_machine_access(&self, issuer: &str, seconds: i64, mappings: &[Mapping]) -> String {
        self.put_machine_access(MachineAccess::new(issuer, seconds, mappings.to_vec()))
    }

    /// The same with all that can be configured.
    pub fn put_machine_access(&self, access: MachineAccess) -> String {
        let id = access.id.clone();
        self.delete_machine_access(&access.issuer);
        self.change(|state| state.machine_access.push(access));
        id
    }

    /// Takes no more tokens of this issuer; those exchanged before die.
    pub fn delete_machine_access(&self, issuer: &str) {
        self.change(|state| state.machine_access.retain(|access| access.issuer != issuer));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.inner.clock.seconds()
    }
}

impl System for Central {
    fn answer(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let Ok(path) = percent_decode_str(&request.path).decode_utf8() else {
            return Refusal::no_such_path().answer(state.release, state.spacing);
        };
        let own = path.strip_prefix(identity_provider::PATH).and_then(|path| self.inner.signer.provider.answer(path));
        own.unwrap_or_else(|| {
            api::answer(&mut state, &self.inner.signer, request, &path, self.inner.clock.milliseconds())
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

    fn refuses_plain_http(&self) -> bool {
        true
    }

    fn date(&self) -> Option<String> {
        Some(timestamp::date(self.now() + self.state().date_skew))
    }

    /// Notes that the secret in this answer got out.
    fn answered(&self, answer: &Answer) {
        let Ok(Value::Object(body)) = serde_json::from_slice(&answer.body) else { return };
        let token = body.get("token").and_then(Value::as_str).and_then(Jwt::parse);
        if let Some(id) = token.as_ref().and_then(|token| token.claims.get("jti")?.as_str())
            && let Some(record) = self.state().record(id)
        {
            record.told = true;
        }
    }
}

/// Any refusal in Central's shape.
pub(crate) fn refusal(code: u8, message: &str) -> Answer {
    Refusal::new(Code::of(code), message).answer(state::CURRENT, Spacing::of(0))
}
