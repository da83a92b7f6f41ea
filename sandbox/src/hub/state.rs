//! What the hub knows, and its switches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use crate::certificates::Certificate;
use crate::random;

/// All of a hub.
#[derive(Debug)]
pub struct State {
    /// The users by name.
    pub users: BTreeMap<String, User>,
    /// Tokens of a platform gateway before the hub, with the names of their users. Without any, the hub stands alone.
    pub gateway_tokens: BTreeMap<String, String>,
    /// The path before the API, without a slash at its end.
    pub prefix: String,
    /// The statuses of refusals.
    pub generation: Generation,
    /// Whether passwords are taken.
    pub takes_passwords: bool,
    /// How long every answer takes.
    pub latency: Duration,
    /// What it shows of itself to new connections.
    pub certificate: Certificate,
    pub(super) told: BTreeSet<String>,
}

/// A user. The token stands in the database in clear.
#[derive(Clone, Debug)]
pub struct User {
    /// The password.
    pub password: String,
    /// The one token.
    pub token: Option<String>,
    /// Whether it may do anything at all.
    pub is_active: bool,
    pub(super) issued: u64,
}

/// Which statuses a hub refuses a credential with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// 4.9 and older: 403, as for a missing permission.
    #[default]
    Old,
    /// 4.10 and newer: 401.
    New,
}

impl State {
    pub(super) fn new() -> Self {
        let mut state = Self {
            users: BTreeMap::new(),
            gateway_tokens: BTreeMap::new(),
            prefix: "/api/galaxy".to_owned(),
            generation: Generation::Old,
            takes_passwords: true,
            latency: Duration::ZERO,
            certificate: Certificate::Good,
            told: BTreeSet::new(),
        };
        for name in ["admin", "build"] {
            state.add_user(name);
        }
        state
    }

    pub(super) fn add_user(&mut self, name: &str) -> &User {
        let user = User { password: random::text::<18>(), token: None, is_active: true, issued: 0 };
        self.users.insert(name.to_owned(), user);
        &self.users[name]
    }

    pub(super) fn issue_gateway_token(&mut self, user: &str) -> String {
        let token = random::characters::<30>(ALPHANUMERIC);
        self.gateway_tokens.insert(token.clone(), user.to_owned());
        token
    }

    pub(super) fn user_of_token(&self, token: &str) -> Option<&User> {
        self.users.values().find(|user| user.token.as_deref() == Some(token))
    }
}

impl User {
    /// The old token is gone with this.
    pub(super) fn issue(&mut self) -> String {
        let token = random::characters::<40>(b"0123456789abcdef");
        self.token = Some(token.clone());
        self.issued += 1;
        token
    }
}

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
