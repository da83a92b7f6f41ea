//! The tokens that Central signs, and how it looks at any.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::state::State;
use crate::identity_provider::IdentityProvider;
use crate::jwt::{Jwt, signed};
use crate::random;
use crate::signing::{Algorithm, SigningKey};

/// Central's key, and the identity provider whose signatures it can check.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) provider: IdentityProvider,
}

impl Signer {
    /// A token for this audience. Returns its id and itself.
    pub(crate) fn sign(
        &self,
        state: &mut State,
        audience: &str,
        life: Life,
        own: Map<String, Value>,
    ) -> (String, String) {
        let id = random::uuid();
        let aud = if state.audience_as_array { json!([audience]) } else { json!(audience) };
        let mut claims = json!({ "aud": aud, "exp": life.end, "iat": life.start, "iss": ISSUER, "jti": id });
        if state.expire_at {
            claims["ExpireAt"] = json!(super::timestamp::text(life.end));
        }
        if let Value::Object(claims) = &mut claims {
            claims.extend(own);
        }
        let header = json!({ "alg": "RS256", "kid": "jwtk0", "typ": "JWT" });
        state.signed.insert(id.clone());
        (id, signed(&self.key, Algorithm::Rs256, &header, &claims))
    }

    /// Whether this is a token of this very Central that has not ended and was not revoked.
    pub(crate) fn accepts(&self, state: &State, jwt: &Jwt<'_>, now: i64) -> bool {
        let time = |name: &str| jwt.claims.get(name).and_then(Value::as_i64);
        let Some(id) = jwt.claims.get("jti").and_then(Value::as_str) else { return false };
        jwt.is_signed_with(&self.key, Algorithm::Rs256)
            && state.signed.contains(id)
            && !state.revocations.contains(id)
            && time("exp").is_some_and(|exp| now - LEEWAY <= exp)
            && time("iat").is_some_and(|iat| iat <= now + LEEWAY)
    }

    /// Every issuer of the sandbox signs with the one key; the identity provider names it, too.
    pub(crate) fn is_signed_by_issuer(&self, jwt: &Jwt<'_>, issuer: &str) -> bool {
        let is_named = issuer != self.provider.issuer() || jwt.header["kid"] == self.provider.key_id();
        is_named && jwt.is_signed_with(&self.key, Algorithm::Rs256)
    }
}

/// Seconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// The audience of a token, of which there may be several.
pub(crate) fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

pub(crate) const ISSUER: &str = "https://stackrox.io/jwt";
/// The audience of API tokens.
pub(crate) const API_TOKENS: &str = "https://stackrox.io/jwt-sources#api-tokens";
const LEEWAY: i64 = 60;
