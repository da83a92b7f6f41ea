//! JWTs: those Quay signs, and how any is taken apart.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value, json};

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

/// A JWT, unchecked.
#[derive(Debug)]
pub(crate) struct Jwt<'t> {
    pub(crate) header: Value,
    pub(crate) claims: Map<String, Value>,
    signed: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jwt<'t> {
    pub(crate) fn parse(token: &'t str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Map<_, _> = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        let claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
        Some(Self { header: Value::Object(header), claims, signed, signature: BASE64.decode(signature).ok()? })
    }

    pub(crate) fn is_signed_with(&self, key: &SigningKey, algorithm: Algorithm) -> bool {
        self.header["alg"] == algorithm.name() && key.verify(algorithm, self.signed.as_bytes(), &self.signature)
    }
}

pub(crate) fn signed(key: &SigningKey, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let signature = key.sign(algorithm, signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(signature))
}

const ISSUER: &str = "quay";
const LIFE: i64 = 3600;
