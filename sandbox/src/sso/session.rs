//! The life of a session: idle limit, longest life, rotation, and what ends it.

use std::collections::HashMap;

use super::jwt::Claims;
use super::realm::{Client, Realm, User};
use crate::random;

/// One session of one user and one client. Times are in milliseconds.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) kind: Kind,
    pub(crate) started: i64,
    last_refresh: i64,
    /// The client's part of the session was taken away by a replayed token.
    detached: bool,
    /// By `reuse_id`, empty for tokens made while rotation was off.
    chains: HashMap<String, Chain>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Offline,
    Online,
}

impl Kind {
    /// The `typ` of its refresh tokens.
    pub(crate) fn token_type(self) -> &'static str {
        match self {
            Self::Offline => "Offline",
            Self::Online => "Refresh",
        }
    }
}

/// What rotation remembers: which refresh token was used last, when, and how often.
#[derive(Debug)]
struct Chain {
    token: String,
    first_use: i64,
    uses: u32,
}

impl Session {
    pub(crate) fn start(user: &str, kind: Kind, now: i64) -> Self {
        Self {
            id: random::text::<18>(),
            user: user.to_owned(),
            kind,
            started: now,
            last_refresh: now,
            detached: false,
            chains: HashMap::new(),
        }
    }

    /// Whether the realm still knows the session. There is no grace.
    fn is_known(&self, realm: &Realm, now: i64) -> bool {
        let (idle, limit) = match self.kind {
            Kind::Offline => (realm.offline_idle, realm.offline_limit),
            Kind::Online => (realm.online_idle, Some(realm.online_limit)),
        };
        let idles = now - self.last_refresh >= idle * 1000;
        let ended = limit.is_some_and(|limit| now - self.started >= limit * 1000);
        !idles && !ended && realm.users.contains_key(&self.user)
    }

    /// Whether the client still has its part of the session.
    fn has_client(&self, client: &Client, now: i64) -> bool {
        let idle = client.offline_idle.filter(|_| self.kind == Kind::Offline);
        !self.detached && idle.is_none_or(|idle| now - self.last_refresh < idle * 1000)
    }

    /// The second at which the session ends whatever happens.
    pub(crate) fn end(&self, realm: &Realm) -> Option<i64> {
        let limit = match self.kind {
            Kind::Offline => realm.offline_limit?,
            Kind::Online => realm.online_limit,
        };
        Some(self.started.div_euclid(1000) + limit)
    }

    /// Keycloak decides on whole seconds: within one second an older token passes.
    fn check_rotation(&self, reuse_count: u32, token: &Claims) -> Result<(), &'static str> {
        let Some(chain) = self.chains.get(token.reuse_id.as_deref().unwrap_or_default()) else { return Ok(()) };
        if chain.token == token.jti {
            return if chain.uses > reuse_count { Err("Maximum allowed refresh token reuse exceeded") } else { Ok(()) };
        }
        if token.iat < chain.first_use { Err("Stale token") } else { Ok(()) }
    }

    fn use_token(&mut self, token: &Claims, now: i64) {
        let key = token.reuse_id.clone().unwrap_or_default();
        match self.chains.get_mut(&key) {
            Some(chain) if chain.token == token.jti => chain.uses += 1,
            _ => {
                let chain = Chain { token: token.jti.clone(), first_use: now.div_euclid(1000), uses: 1 };
                self.chains.insert(key, chain);
            }
        }
    }
}

impl Realm {
    /// Everything that can be wrong with a refresh token, in Keycloak's order, but for rotation: the sentence to answer.
    fn check_refresh(&self, token: &str, client: &Client, issuer: &str, now: i64) -> Result<Claims, String> {
        let claims = self.checked_refresh_token(token, client, issuer)?;
        let seconds = now.div_euclid(1000);
        if claims.iat < self.not_before {
            return Err("Stale token".to_owned());
        }
        if claims.is_expired(seconds) {
            return Err("Token is not active".to_owned());
        }
        let Some((session, user)) = self.session(&claims, now) else {
            let offline = claims.typ == Kind::Offline.token_type();
            return Err(if offline { "Offline user session not found" } else { "Session not active" }.to_owned());
        };
        if !user.enabled {
            return Err("User disabled".to_owned());
        }
        if !session.has_client(client, now) {
            return Err("Session doesn't have required client".to_owned());
        }
        if claims.iat < client.not_before || claims.iat < user.not_before {
            return Err("Stale token".to_owned());
        }
        let may_be_offline =
            user.offline_access && client.optional_scopes.iter().any(|scope| scope == "offline_access");
        if session.kind == Kind::Offline && !may_be_offline {
            return Err("Offline session invalid because offline access not granted anymore".to_owned());
        }
        Ok(claims)
    }

    /// The claims of a refresh token that this realm issued to this client, dead or alive.
    pub(crate) fn checked_refresh_token(&self, token: &str, client: &Client, issuer: &str) -> Result<Claims, String> {
        // Keycloak reads over line feeds in refresh tokens, and over nothing else.
        let claims = self
            .keys
            .verified(&token.replace(['\r', '\n'], ""))
            .filter(|claims| [Kind::Offline, Kind::Online].iter().any(|kind| kind.token_type() == claims.typ))
            .ok_or("Invalid refresh token")?;
        if claims.iss != issuer {
            return Err(format!("Invalid token issuer. Expected '{issuer}'"));
        }
        if claims.azp != client.id {
            return Err("Invalid refresh token. Token client and authorized client don't match".to_owned());
        }
        Ok(claims)
    }

    /// Uses a refresh token. A replay takes the client's part of the session away for good.
    pub(crate) fn use_refresh_token(
        &mut self,
        token: &str,
        client: &Client,
        issuer: &str,
        now: i64,
    ) -> Result<Claims, String> {
        let claims = self.check_refresh(token, client, issuer, now)?;
        let rotation = self.rotation;
        let session = claims.sid.as_ref().and_then(|id| self.sessions.get_mut(id)).ok_or("Session not active")?;
        if let Some(reuse_count) = rotation {
            if let Err(sentence) = session.check_rotation(reuse_count, &claims) {
                session.detached = true;
                return Err(sentence.to_owned());
            }
            session.use_token(&claims, now);
        }
        session.last_refresh = now;
        self.refreshes += 1;
        Ok(claims)
    }

    /// Whether a refresh with this token would succeed, without doing it.
    pub(crate) fn would_refresh(&self, token: &str, issuer: &str, now: i64) -> bool {
        let Some(client) = self.keys.verified(token.trim_end()).and_then(|claims| self.clients.get(&claims.azp)) else {
            return false;
        };
        let Ok(claims) = self.check_refresh(token, client, issuer, now) else { return false };
        let Some((session, _)) = self.session(&claims, now) else { return false };
        let is_right = self.rotation.is_none_or(|reuse_count| session.check_rotation(reuse_count, &claims).is_ok());
        client.enabled && self.enabled && is_right
    }

    /// The living session a token belongs to, and its user.
    pub(crate) fn session(&self, claims: &Claims, now: i64) -> Option<(&Session, &User)> {
        let session = self.sessions.get(claims.sid.as_ref()?)?;
        let user = self.users.get(&session.user)?;
        session.is_known(self, now).then_some((session, user))
    }

    /// As [`Realm::session`], if the client has its part of it.
    pub(crate) fn session_with_client(&self, claims: &Claims, now: i64) -> Option<(&Session, &User)> {
        let client = self.clients.get(&claims.azp)?;
        self.session(claims, now).filter(|(session, _)| session.has_client(client, now))
    }
}
