//! A throw-away authority and a certificate of it for the names of loopback, and those that no client should take.

use std::error::Error;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What a server shows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// A valid certificate of the sandbox's authority.
    #[default]
    Good,
    /// One of the same authority that has ended.
    Expired,
    /// One of another authority of the same name.
    Foreign,
}

pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    pub(crate) acceptors: Acceptors,
}

/// One for each [`Certificate`].
#[derive(Clone)]
pub(crate) struct Acceptors {
    good: TlsAcceptor,
    expired: TlsAcceptor,
    foreign: TlsAcceptor,
}

impl Certificates {
    pub(crate) fn make() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (ca_pem, issuer) = authority()?;
        let (_, stranger) = authority()?;
        let mut expired = server_parameters()?;
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        let acceptors = Acceptors {
            good: acceptor(&server_parameters()?, &issuer)?,
            expired: acceptor(&expired, &issuer)?,
            foreign: acceptor(&server_parameters()?, &stranger)?,
        };
        Ok(Self { ca_pem, acceptors })
    }
}

impl Acceptors {
    pub(crate) fn showing(&self, certificate: Certificate) -> &TlsAcceptor {
        match certificate {
            Certificate::Good => &self.good,
            Certificate::Expired => &self.expired,
            Certificate::Foreign => &self.foreign,
        }
    }
}

fn authority() -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let parameters = ca_parameters()?;
    let pem = parameters.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(parameters, key)))
}

fn acceptor(
    parameters: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<TlsAcceptor, Box<dyn Error + Send + Sync>> {
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, issuer)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
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
