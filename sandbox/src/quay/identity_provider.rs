//! An identity provider whose tokens Quay takes in exchange, at an address below Quay's own.

use std::error::Error;

use serde_json::{Map, Value, json};

use super::Quay;
use super::answers::{json_answer, not_found_page};
use super::jwt::signed;
use crate::exchange::Answer;
use crate::signing::{Algorithm, SigningKey};

/// The identity provider of a running sandbox.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    quay: Quay,
}

impl IdentityProvider {
    pub(crate) fn of(quay: Quay) -> Self {
        Self { quay }
    }

    /// The issuer: what a robot's federation names, and the claim `iss`.
    pub fn issuer(&self) -> String {
        issuer(&self.quay.url())
    }

    /// A good token of that subject: issued now, good for five minutes. Any part of it can be made wrong.
    pub fn token(&self, subject: &str) -> ExternalToken {
        let now = self.quay.now();
        let claims = [
            ("iss", json!(self.issuer())),
            ("sub", json!(subject)),
            ("aud", json!("quay")),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
        ];
        ExternalToken {
            quay: self.quay.clone(),
            claims: claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            key_id: KeyId::Right,
            is_forged: false,
            algorithm: Algorithm::Rs256,
        }
    }
}

/// A token of the identity provider, to be signed.
#[derive(Clone, Debug)]
#[must_use]
pub struct ExternalToken {
    quay: Quay,
    claims: Map<String, Value>,
    key_id: KeyId,
    is_forged: bool,
    algorithm: Algorithm,
}

impl ExternalToken {
    /// With this claim; null takes it out.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        match value.into() {
            Value::Null => drop(self.claims.shift_remove(name)),
            value => drop(self.claims.insert(name.to_owned(), value)),
        }
        self
    }

    /// Without this claim.
    pub fn without(self, name: &str) -> Self {
        self.claim(name, Value::Null)
    }

    /// Ended five minutes ago.
    pub fn expired(self) -> Self {
        let now = self.quay.now();
        self.claim("iat", now - 600).claim("exp", now - 300)
    }

    /// Signed RS384 instead of RS256.
    pub fn with_rs384(mut self) -> Self {
        self.algorithm = Algorithm::Rs384;
        self
    }

    /// Signed with another key than the one whose id it names.
    pub fn with_wrong_key(mut self) -> Self {
        self.is_forged = true;
        self
    }

    /// With the id of a key that the provider does not have.
    pub fn with_unknown_key_id(mut self) -> Self {
        self.key_id = KeyId::Unknown;
        self
    }

    /// Without `kid` in its header.
    pub fn without_key_id(mut self) -> Self {
        self.key_id = KeyId::None;
        self
    }

    /// The token itself. It fails only if no key can be made.
    pub fn sign(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let stranger = if self.is_forged { Some(SigningKey::stranger()?) } else { None };
        let mut header = json!({ "alg": self.algorithm.name(), "typ": "JWT" });
        match self.key_id {
            KeyId::Right => header["kid"] = json!(self.quay.change(|state| state.provider_key_id.clone())),
            KeyId::Unknown => header["kid"] = json!("unknown"),
            KeyId::None => {}
        }
        let key = stranger.as_deref().unwrap_or_else(|| self.quay.key());
        Ok(signed(key, self.algorithm, &header, &Value::Object(self.claims.clone())))
    }
}

pub(crate) fn issuer(url: &str) -> String {
    format!("{url}/{}", PATH.trim_matches('/'))
}

/// What the provider itself answers below its issuer: where its keys are, and the keys.
pub(crate) fn answer(path: &str, url: &str, key: &SigningKey, key_id: &str) -> Answer {
    match path {
        ".well-known/openid-configuration" => {
            let issuer = issuer(url);
            json_answer(200, &json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }))
        }
        "keys" => json_answer(
            200,
            &json!({ "keys": [
                { "kid": key_id, "kty": "RSA", "alg": "RS256", "use": "sig", "n": key.modulus(), "e": key.exponent() },
            ]}),
        ),
        _ => not_found_page(),
    }
}

#[derive(Clone, Copy, Debug)]
enum KeyId {
    Right,
    Unknown,
    None,
}

pub(crate) const PATH: &str = "/_identity_provider/";
