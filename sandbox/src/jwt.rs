//! JWTs with an RSA signature: how any is made and taken apart.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};

use crate::signing::{Algorithm, SigningKey};

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
