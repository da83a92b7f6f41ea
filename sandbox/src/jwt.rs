//! JWTs with an RSA signature: how any is made and taken apart.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
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
    let signed = parts(header, claims);
    let signature = key.sign(algorithm, signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(signature))
}

pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", parts(header, claims))
}

fn parts(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

/// Like the libraries of the servers, it does not mind bits behind the last whole byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));
