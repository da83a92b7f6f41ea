//! What can go wrong between here and a server, told so that the caller knows whether the server can have acted.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use rustls::CertificateError;
use thiserror::Error;

use super::trust::NoTrustStore;

/// A request that brought no usable answer.
#[derive(Debug, Error)]
pub enum HttpError {
    /// An option holds no usable address.
    #[error("{option} '{address}' cannot be used: {why}")]
    Address {
        /// The option.
        option: &'static str,
        /// What it holds, without anything that may be secret.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file named by an option cannot be used.
    #[error("{option} {}: {why}", path.display())]
    File {
        /// The option.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The client could not be made.
    #[error("the HTTP client could not be set up: {0}")]
    Setup(String),
    /// A token that cannot be put into a header.
    #[error("the token cannot be sent: it holds characters that no HTTP header may have, such as a line feed")]
    UnsendableToken,
    /// No connection; the request was never written.
    #[error("{request}: no connection, nothing was sent: {why}")]
    NotSent {
        /// Method and address.
        request: String,
        /// The cause and what helps.
        why: String,
        /// Whether another attempt may go better.
        passing: bool,
    },
    /// The request may have arrived; its answer did not.
    #[error("{request}: the request was sent, but its answer was lost: {why}")]
    Lost {
        /// Method and address.
        request: String,
        /// The cause.
        why: String,
        /// Whether another attempt may go better.
        passing: bool,
    },
    /// More than is read.
    #[error(
        "{request}: the answer (status {status}) is larger than 4 MiB and was not read; is this the right address?"
    )]
    TooLarge {
        /// Method and address.
        request: String,
        /// Status of the answer.
        status: u16,
    },
    /// A redirect that is not followed, because a secret would go with it.
    #[error("{url} redirects to {target}, which is not followed with a token; set the address that it is really at")]
    Redirected {
        /// Where the redirect came from.
        url: String,
        /// Where it leads.
        target: String,
    },
    /// An answer that is not what this server is known to say.
    #[error("{request}: unexpected answer, status {status}: {why}{excerpt}")]
    Unexpected {
        /// Method and address.
        request: String,
        /// Status of the answer.
        status: u16,
        /// What was expected.
        why: String,
        /// The beginning of what came, where it may be shown.
        excerpt: String,
    },
}

impl HttpError {
    /// Whether the server can have done what it was asked to. When in doubt, it can.
    pub fn server_may_have_acted(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::TooLarge { .. } | Self::Unexpected { .. })
    }

    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::NotSent { passing: true, .. } | Self::Lost { passing: true, .. })
    }

    pub(super) fn from_reqwest(request: &str, error: &reqwest::Error) -> Self {
        if !error.is_connect() && !error.is_builder() {
            return Self::lost(request, error);
        }
        let (why, passing) = why_no_connection(error);
        Self::NotSent { request: request.to_owned(), why, passing }
    }

    pub(super) fn lost(request: &str, error: &reqwest::Error) -> Self {
        // Who has waited for so long is not made to wait as long again.
        let passing = !error.is_timeout();
        let why = if passing { causes(error) } else { "no answer within request_timeout".to_owned() };
        Self::Lost { request: request.to_owned(), why, passing }
    }
}

/// The chain of causes in one line, without the address, which stands in the sentence already.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if told.last().is_none_or(|last| !last.contains(&text)) {
            told.push(text);
        }
        next = cause.source();
    }
    if told.is_empty() { "unknown cause".to_owned() } else { told.join(": ") }
}

fn why_no_connection(error: &reqwest::Error) -> (String, bool) {
    if let Some(tls) = find_tls(error) {
        return (why_not_trusted(tls), false);
    }
    if error.is_timeout() {
        return ("it could not be opened in time; is a firewall or proxy in the way?".to_owned(), false);
    }
    let told = causes(error);
    if told.contains("dns error") || told.contains("failed to lookup address") {
        return (format!("the host name could not be resolved ({told})"), told.contains("try again"));
    }
    if told.contains("refused") {
        return ("connection refused; is the server running at this address?".to_owned(), true);
    }
    (told, true)
}

fn why_not_trusted(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate comes from an authority that is not trusted here; give the authority's certificate as ca_path".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired (or this host's clock is wrong)".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "its certificate is not valid yet (or this host's clock is wrong)".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "its certificate is for another host name".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(why)) if why.0.is::<NoTrustStore>() => why.to_string(),
        rustls::Error::InvalidCertificate(why) => format!("its certificate is not acceptable ({why})"),
        rustls::Error::InvalidMessage(_) => format!("it does not speak TLS; is this a plain http port? ({error})"),
        other => format!("TLS failed ({other})"),
    }
}

/// The TLS error hides inside one `io::Error` or two, whose `source()` skips what they hold.
fn find_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let held =
        error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).map(|held| held as &(dyn Error + 'static));
    error.downcast_ref().or_else(|| find_tls(held?)).or_else(|| find_tls(error.source()?))
}
