//! What a token says of itself. Nothing here checks a signature: offline tokens are signed with a key that only the server has, and whether a token
//! works is asked of the server.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::secret::Secret;

/// The claims that decide anything here, all of them optional: the token may come from any server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// Kind of token in Keycloak's words: `Bearer`, `Offline`, `Refresh`, `ID`.
    pub typ: Option<String>,
    /// Name that somebody gave it.
    pub name: Option<String>,
    /// Client that the token was issued to.
    pub azp: Option<String>,
    /// Realm that issued it.
    pub iss: Option<String>,
    /// Who or what it is about.
    pub sub: Option<String>,
    /// Who it is for: one name or several.
    pub aud: Option<Value>,
    /// Its own name.
    pub jti: Option<String>,
    /// Names of the roles that it was given.
    pub roles: Option<Vec<String>>,
    /// Session that it belongs to. Service accounts have none.
    pub sid: Option<String>,
    /// End, in seconds since 1970 by the server's clock. Zero is an old spelling of "none".
    pub exp: Option<i64>,
    /// When it was issued, in seconds since 1970 by the server's clock.
    pub iat: Option<i64>,
    /// Scopes, separated by blanks.
    pub scope: Option<String>,
    /// In an offline token: rotation was on when it was made (Keycloak 26; older releases never say).
    pub reuse_id: Option<String>,
}

impl Claims {
    /// The claims of a token, or nothing when it is no JWT.
    pub fn of(token: &Secret) -> Option<Self> {
        let mut parts = token.reveal().split('.');
        let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// When it ends, or nothing when it has no end of its own.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.exp.filter(|&seconds| seconds > 0).and_then(|seconds| DateTime::from_timestamp(seconds, 0))
    }

    /// When it was issued.
    pub fn issued_at(&self) -> Option<DateTime<Utc>> {
        self.iat.and_then(|seconds| DateTime::from_timestamp(seconds, 0))
    }

    /// Whether it is for this audience.
    pub fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Some(Value::Array(names)) => names.iter().any(|name| name == audience),
            Some(name) => name == audience,
            None => false,
        }
    }

    /// Its scopes; their order means nothing.
    pub fn scopes(&self) -> BTreeSet<&str> {
        self.scope.as_deref().unwrap_or_default().split_whitespace().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_without_the_signature() {
        // {"exp":0,"iat":1700000000,"typ":"Offline","azp":"cloud-services","scope":"openid offline_access"}
        let payload = "eyJleHAiOjAsImlhdCI6MTcwMDAwMDAwMCwidHlwIjoiT2ZmbGluZSIsImF6cCI6ImNsb3VkLXNlcnZpY2VzIiwic2NvcGUiOiJvcGVuaWQgb2ZmbGluZV9hY2Nlc3MifQ";
        let claims = Claims::of(&Secret::new(format!("e30.{payload}.c2ln"))).unwrap();
        assert_eq!(claims.typ.as_deref(), Some("Offline"));
        assert_eq!(claims.azp.as_deref(), Some("cloud-services"));
        assert_eq!(claims.expires_at(), None);
        assert_eq!(claims.issued_at().unwrap().timestamp(), 1_700_000_000);
        assert_eq!(claims.scopes(), BTreeSet::from(["offline_access", "openid"]));
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        for text in ["", "abc", "a.b", "a.b.c", "e30.bm90IGpzb24.c2ln", "e30.W10.c2ln", "e30.e30.e30.e30"] {
            assert_eq!(Claims::of(&Secret::new(text)), None, "{text}");
        }
    }
}
