//! RSA keys, for the tokens of any system.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RsaKeyPair,
};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;

/// An RSA key of 2048 bits.
pub(crate) struct SigningKey {
    pair: RsaKeyPair,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl SigningKey {
    /// One for the whole process: making it costs a second, and the key ids keep their users apart anyway.
    pub(crate) fn shared() -> Result<Arc<Self>, Box<dyn Error + Send + Sync>> {
        Self::once(&SHARED)
    }

    /// Another one, for signatures that must be wrong.
    pub(crate) fn stranger() -> Result<Arc<Self>, Box<dyn Error + Send + Sync>> {
        Self::once(&STRANGER)
    }

    /// Signing fails only without memory; the empty signature is then refused by everybody.
    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let padding = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        };
        let mut signature = vec![0; self.pair.public().modulus_len()];
        match self.pair.sign(padding, &SystemRandom::new(), message, &mut signature) {
            Ok(()) => signature,
            Err(_) => Vec::new(),
        }
    }

    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let parameters = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        };
        PublicKeyComponents { n: &self.modulus, e: &self.exponent }.verify(parameters, message, signature).is_ok()
    }

    /// As a key set has it.
    pub(crate) fn modulus(&self) -> String {
        BASE64.encode(&self.modulus)
    }

    /// As a key set has it.
    pub(crate) fn exponent(&self) -> String {
        BASE64.encode(&self.exponent)
    }

    fn once(place: &Mutex<Option<Arc<Self>>>) -> Result<Arc<Self>, Box<dyn Error + Send + Sync>> {
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = place.as_ref() {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(Self::make()?);
        *place = Some(Arc::clone(&key));
        Ok(key)
    }

    fn make() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let key = RsaPrivateKey::new(&mut OsRng, 2048)?;
        let pair = RsaKeyPair::from_pkcs8(key.to_pkcs8_der()?.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self { pair, modulus: key.n().to_bytes_be(), exponent: key.e().to_bytes_be() })
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey")
    }
}

/// How a JWT is signed with an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
}

impl Algorithm {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "RS384" => Some(Self::Rs384),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
        }
    }
}

static SHARED: Mutex<Option<Arc<SigningKey>>> = Mutex::new(None);
static STRANGER: Mutex<Option<Arc<SigningKey>>> = Mutex::new(None);
