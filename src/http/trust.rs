//! Whom we trust: the TLS configuration after the task's options.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use thiserror::Error;

use super::{Connection, HttpError};

/// TLS 1.2 and 1.3 with ring, the authorities of the task or of the host, and the client's certificate where one is given.
pub(super) fn tls_configuration(connection: &Connection) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Setup(error.to_string()))?;
    let authorities = if connection.validate_certs { authorities(connection.ca_path.as_deref())? } else { None };
    let builder = match authorities {
        Some(authorities) => builder.with_root_certificates(authorities),
        None => {
            let verifier = WithoutAuthorities { provider, any_will_do: !connection.validate_certs };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let Some(certificate) = &connection.client_cert else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("client_cert", certificate)?;
    let key = private_key(connection.client_key.as_deref(), certificate)?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| wrong_file("client_cert", certificate, format!("it does not fit its key ({error})")))
}

/// None where the host knows of none. That is no error yet: a server on loopback may need none.
fn authorities(ca_path: Option<&Path>) -> Result<Option<RootCertStore>, HttpError> {
    let mut store = RootCertStore::empty();
    if let Some(path) = ca_path {
        let (added, _) = store.add_parsable_certificates(certificates("ca_path", path)?);
        return if added > 0 {
            Ok(Some(store))
        } else {
            Err(wrong_file("ca_path", path, "no certificate in it can be used".into()))
        };
    }
    let (added, _) = store.add_parsable_certificates(host_authorities());
    Ok((added > 0).then_some(store))
}

/// The trust store of the host: its one bundle file, or the slower search where only a folder of certificates exists.
fn host_authorities() -> Vec<CertificateDer<'static>> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = BUNDLES.iter().map(PathBuf::from);
    let bundle = named.into_iter().chain(usual).find_map(|path| fs::read(path).ok());
    match bundle.map(|pem| decode_bundle(&String::from_utf8_lossy(&pem))) {
        Some(found) if !found.is_empty() => found,
        _ => rustls_native_certs::load_native_certs().certs,
    }
}

/// Certificates are public, so they need not be decoded in constant time, which would cost more than the whole request.
fn decode_bundle(pem: &str) -> Vec<CertificateDer<'static>> {
    pem.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .filter_map(|rest| rest.split_once("-----END CERTIFICATE-----"))
        .map(|(body, _)| body.split_ascii_whitespace().collect::<String>())
        .filter_map(|body| STANDARD.decode(body).ok())
        .map(CertificateDer::from)
        .collect()
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let pem = fs::read_to_string(path).map_err(|error| wrong_file(option, path, error.to_string()))?;
    let found = decode_bundle(&pem);
    if found.is_empty() {
        return Err(wrong_file(option, path, "there is no certificate in it; a PEM file was expected".into()));
    }
    Ok(found)
}

fn private_key(key: Option<&Path>, certificate: &Path) -> Result<PrivateKeyDer<'static>, HttpError> {
    let (option, path) = key.map_or(("client_cert", certificate), |path| ("client_key", path));
    PrivateKeyDer::from_pem_file(path)
        .map_err(|_| wrong_file(option, path, "no unencrypted private key (PEM) could be read from it".into()))
}

fn wrong_file(option: &'static str, path: &Path, why: String) -> HttpError {
    HttpError::File { option, path: path.to_owned(), why }
}

/// With `validate_certs: false` any certificate will do, but the handshake is still checked to be of the one who showed it. Without a trust store none will.
#[derive(Debug)]
struct WithoutAuthorities {
    provider: Arc<CryptoProvider>,
    any_will_do: bool,
}

/// Why no certificate is accepted.
#[derive(Debug, Error)]
#[error(
    "this host has no trust store, neither in the usual places, such as {}, nor where SSL_CERT_FILE says, so no certificate can be checked; give the \
     authority's certificate as ca_path, or install the package ca-certificates there",
    BUNDLES[0]
)]
pub(super) struct NoTrustStore;

impl ServerCertVerifier for WithoutAuthorities {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.any_will_do {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(NoTrustStore))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cacert.pem",
];
