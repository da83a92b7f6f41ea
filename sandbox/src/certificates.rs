//! A throw-away authority and one certificate of it, for the names of loopback.

use std::error::Error;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Certificates {
    pub(crate) fn make() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let ca_key = KeyPair::generate()?;
        let ca_parameters = ca_parameters()?;
        let ca_pem = ca_parameters.self_signed(&ca_key)?.pem();
        let issuer = Issuer::new(ca_parameters, ca_key);

        let key = KeyPair::generate()?;
        let certificate = server_parameters()?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { ca_pem, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

fn ca_parameters() -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.distinguished_name.push(DnType::CommonName, "Tokensmith sandbox (throw-away)");
    Ok(parameters)
}

/// Python's ssl checks strictly since 3.13: a certificate without the identifier of its authority's key is refused.
fn server_parameters() -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(String::from))?;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.distinguished_name.push(DnType::CommonName, "localhost");
    Ok(parameters)
}
