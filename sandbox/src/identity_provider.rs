//! An identity provider whose tokens a system takes in exchange, at an address below the system's own.

use std::error::Error;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::control::with_answer;
use crate::exchange::Answer;
use crate::jwt::{signed, unsigned};
use crate::random;
use crate::signing::{Algorithm, SigningKey};

/// The identity provider of a system of a running sandbox.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    issuer: String,
    audience: &'static str,
    clock: Clock,
    key: Arc<SigningKey>,
    /// The signing key's id as the provider publishes it.
    key_id: String,
}

impl IdentityProvider {
    /// `url` is the system's own, `audience` what the system expects to be called.
    pub(crate) fn below(url: &str, audience: &'static str, clock: Clock, key: Arc<SigningKey>) -> Self {
        let issuer = format!("{url}/{}", PATH.trim_matches('/'));
        Self { inner: Arc::new(Inner { issuer, audience, clock, key, key_id: random::text::<32>() }) }
    }

    /// The issuer: what a configuration of the system names, and the claim `iss`.
    pub fn issuer(&self) -> String {
        self.inner.issuer.clone()
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.inner.key_id
    }

    /// What the provider itself answers below its issuer: where its keys are, and the keys.
    pub(crate) fn answer(&self, path: &str) -> Option<Answer> {
        let Inner { issuer, key, key_id, .. } = &*self.inner;
        let body = match path {
            ".well-known/openid-configuration" => json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }),
            "keys" => json!({ "keys": [
                { "kid": key_id, "kty": "RSA", "alg": "RS256", "use": "sig", "n": key.modulus(), "e": key.exponent() },
            ]}),
            _ => return None,
        };
        Some(Answer::text(200, "application/json", format!("{body}\n")))
    }

    /// A good token of that subject: issued now, good for five minutes. Any part of it can be made wrong.
    pub fn token(&self, subject: &str) -> ExternalToken {
        let now = self.inner.clock.seconds();
        let claims = [
            ("iss", json!(self.issuer())),
            ("sub", json!(subject)),
            ("aud", json!(self.inner.audience)),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
        ];
        ExternalToken {
            provider: self.clone(),
            claims: claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            key_id: KeyId::Right,
            is_forged: false,
            is_unsigned: false,
            algorithm: Algorithm::Rs256,
        }
    }

    /// A token as the control endpoint describes it.
    pub(crate) fn control(&self, arguments: &Value) -> Answer {
        with_answer(arguments, |wanted: Wanted| {
            let mut token =
                wanted.flaw.map_or_else(|| self.token(&wanted.subject), |flaw| flaw.of(self.token(&wanted.subject)));
            for (name, value) in wanted.claims {
                token = token.claim(&name, value);
            }
            match token.sign() {
                Ok(token) => Answer::json(200, &json!({ "issuer": self.issuer(), "token": token })),
                Err(error) => Answer::json(500, &json!({ "error": error.to_string() })),
            }
        })
    }
}

/// A token of the identity provider, to be signed.
#[derive(Clone, Debug)]
#[must_use]
pub struct ExternalToken {
    provider: IdentityProvider,
    claims: Map<String, Value>,
    key_id: KeyId,
    is_forged: bool,
    is_unsigned: bool,
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
        let now = self.provider.inner.clock.seconds();
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

    /// With the algorithm `none`, and no signature.
    pub fn unsigned(mut self) -> Self {
        self.is_unsigned = true;
        self
    }

    /// The token itself. It fails only if no key can be made.
    pub fn sign(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let stranger = if self.is_forged { Some(SigningKey::stranger()?) } else { None };
        let mut header = json!({ "alg": self.algorithm.name(), "typ": "JWT" });
        match self.key_id {
            KeyId::Right => header["kid"] = json!(self.provider.inner.key_id),
            KeyId::Unknown => header["kid"] = json!("unknown"),
            KeyId::None => {}
        }
        if self.is_unsigned {
            header["alg"] = json!("none");
            return Ok(unsigned(&header, &Value::Object(self.claims.clone())));
        }
        let key = stranger.as_deref().unwrap_or(&self.provider.inner.key);
        Ok(signed(key, self.algorithm, &header, &Value::Object(self.claims.clone())))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    subject: String,
    #[serde(default)]
    claims: Map<String, Value>,
    flaw: Option<Flaw>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Flaw {
    Expired,
    WrongKey,
    UnknownKid,
    NoKid,
    Unsigned,
}

impl Flaw {
    fn of(self, token: ExternalToken) -> ExternalToken {
        match self {
            Self::Expired => token.expired(),
            Self::WrongKey => token.with_wrong_key(),
            Self::UnknownKid => token.with_unknown_key_id(),
            Self::NoKid => token.without_key_id(),
            Self::Unsigned => token.unsigned(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum KeyId {
    Right,
    Unknown,
    None,
}

pub(crate) const PATH: &str = "/_identity_provider/";
