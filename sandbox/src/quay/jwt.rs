//! The JWTs that Quay signs.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::jwt::{Jwt, signed};
use crate::random;
use crate::signing::{Algorithm, SigningKey};

/// Quay's own key.
#[derive(Debug)]
pub(crate) struct Keys {
    key: Arc<SigningKey>,
    id: String,
}

impl Keys {
    pub(crate) fn new(key: Arc<SigningKey>) -> Self {
        Self { key, id: random::text::<32>() }
    }

    /// A token of an hour for the registry.
    pub(crate) fn issue(&self, audience: Option<&str>, subject: &str, access: &Value, now: i64) -> String {
        let claims = json!({
            "iss": ISSUER, "aud": audience, "nbf": now, "iat": now, "exp": now + LIFE, "sub": subject,
            "access": access, "context": { "entity_kind": "robot", "entity_reference": subject, "version": 2 },
        });
        signed(&self.key, Algorithm::Rs256, &json!({ "alg": "RS256", "kid": self.id, "typ": "JWT" }), &claims)
    }

    /// The claims of a token that Quay signed for this audience and that has not ended.
    pub(crate) fn verified(&self, token: &str, audience: &str, now: i64) -> Option<Map<String, Value>> {
        let jwt = Jwt::parse(token)?;
        let is_ours = jwt.header["kid"] == self.id.as_str() && jwt.is_signed_with(&self.key, Algorithm::Rs256);
        let exp = jwt.claims.get("exp")?.as_i64()?;
        let is_right = jwt.claims.get("iss")? == ISSUER && jwt.claims.get("aud")? == audience && now < exp;
        (is_ours && is_right).then_some(jwt.claims)
    }
}

const ISSUER: &str = "quay";
const LIFE: i64 = 3600;
