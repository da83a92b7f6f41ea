//! The tokens: JWTs, their keys and their signatures.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::{digest, hmac};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::random;
use crate::signing::{Algorithm, SigningKey};

/// The keys of one realm. Their ids are the realm's own, so a token of another realm is unknown here.
#[derive(Debug)]
pub(crate) struct Keys {
    symmetric: hmac::Key,
    symmetric_id: String,
    asymmetric: Arc<SigningKey>,
    asymmetric_id: String,
    encryption_id: String,
    encryption_modulus: String,
}

impl Keys {
    /// Nobody encrypts to the realm's second key, so its modulus is mere noise.
    pub(crate) fn new(asymmetric: Arc<SigningKey>) -> Self {
        let mut modulus = random::bytes::<256>();
        modulus[0] |= 0x80;
        modulus[255] |= 1;
        Self {
            symmetric: hmac::Key::new(hmac::HMAC_SHA512, &random::bytes::<64>()),
            symmetric_id: random::uuid(),
            asymmetric,
            asymmetric_id: random::text::<32>(),
            encryption_id: random::text::<32>(),
            encryption_modulus: BASE64.encode(modulus),
        }
    }

    /// HS512: refresh and offline tokens.
    pub(crate) fn sign_symmetric(&self, claims: &Value) -> String {
        let signed = signed_part("HS512", &self.symmetric_id, claims);
        let signature = hmac::sign(&self.symmetric, signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }

    /// RS256: access and id tokens.
    pub(crate) fn sign_asymmetric(&self, claims: &Value) -> String {
        let signed = signed_part("RS256", &self.asymmetric_id, claims);
        let signature = self.asymmetric.sign(Algorithm::Rs256, signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }

    /// The claims of a token that one of these keys signed.
    pub(crate) fn verified(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        let signature = BASE64.decode(signature).ok()?;
        let is_right = match header.alg.as_str() {
            "HS512" if header.kid == self.symmetric_id => {
                hmac::verify(&self.symmetric, signed.as_bytes(), &signature).is_ok()
            }
            "RS256" if header.kid == self.asymmetric_id => {
                self.asymmetric.verify(Algorithm::Rs256, signed.as_bytes(), &signature)
            }
            _ => false,
        };
        if !is_right {
            return None;
        }
        serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()
    }

    /// The answer of `/certs`.
    pub(crate) fn public(&self) -> Value {
        json!({ "keys": [
            { "kid": self.asymmetric_id, "kty": "RSA", "alg": "RS256", "use": "sig",
              "n": self.asymmetric.modulus(), "e": self.asymmetric.exponent() },
            { "kid": self.encryption_id, "kty": "RSA", "alg": "RSA-OAEP", "use": "enc",
              "n": self.encryption_modulus, "e": "AQAB" },
        ]})
    }
}

/// The left half of the SHA-256 of an access token, as an id token names it.
pub(crate) fn access_token_hash(token: &str) -> String {
    BASE64.encode(&digest::digest(&digest::SHA256, token.as_bytes()).as_ref()[..16])
}

/// What the rules look at in a token.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) typ: String,
    pub(crate) iss: String,
    pub(crate) azp: String,
    pub(crate) jti: String,
    pub(crate) iat: i64,
    pub(crate) exp: Option<i64>,
    pub(crate) sid: Option<String>,
    pub(crate) reuse_id: Option<String>,
    #[serde(default)]
    pub(crate) scope: String,
}

impl Claims {
    /// Whole seconds, no leeway: good in the very second of its `exp`.
    pub(crate) fn is_expired(&self, now: i64) -> bool {
        self.exp.is_some_and(|exp| now > exp)
    }

    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|word| word == scope)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

/// Keycloak writes its headers with blanks before the colons.
fn signed_part(algorithm: &str, key_id: &str, claims: &Value) -> String {
    let header = format!(r#"{{"alg":"{algorithm}","typ" : "JWT","kid" : "{key_id}"}}"#);
    format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()))
}
