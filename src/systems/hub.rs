//! Private automation hub: the one API token that it keeps for each user.
//!
//! What decides the code: a new token kills the old one at once, none can be read back, and deleting says the same whether there was one or not. So a
//! token is known by trying it, and by nothing else. A dead token and a missing permission can have one status: the `code` tells them apart.

mod refusal;

use std::cell::RefCell;

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;

pub use refusal::{Cause, Refusal};

use super::SystemError;
use crate::http::{Answer, Client, HttpError, Method, Repeat, Request};
use crate::secret::Secret;

/// One hub, with the credential that its API is called with, nobody's at first.
pub struct Hub {
    client: Client,
    base: Url,
    credential: RefCell<Credential>,
}

/// Who calls. The token that is made or deleted is always the caller's own.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The user's token of this hub.
    Token(Secret),
    /// A user and a password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token of the platform gateway that the hub stands behind.
    GatewayToken(Secret),
    /// Nobody yet.
    Anonymous,
}

/// What trying a credential came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The hub accepts it.
    Accepted,
    /// The hub refuses it, in these words.
    Refused(String),
}

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum HubError {
    /// The hub said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No usable answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// `ah_host` is no address of a hub.
    #[error(
        "ah_host {address}: write scheme, host and port alone, such as https://hub.example.com; the path belongs into ah_path_prefix"
    )]
    Host {
        /// What the task says.
        address: String,
    },
    /// `ah_path_prefix` is no path.
    #[error("ah_path_prefix '{0}' is not a path such as /api/galaxy")]
    Prefix(String),
}

impl HubError {
    /// What the hub's refusal means, if it was one.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Refused(refusal) => Some(refusal.cause),
            _ => None,
        }
    }
}

impl SystemError for HubError {
    fn may_have_acted(&self) -> bool {
        matches!(self, Self::Http(error) if error.server_may_have_acted())
    }
}

impl Hub {
    /// The hub at an address such as `https://hub.example.com`; without a scheme it is https. Nothing is sent.
    ///
    /// The prefix is a path (`/api/galaxy`), or its last part alone (`galaxy`).
    pub fn new(client: Client, host: &str, prefix: &str) -> Result<Self, HubError> {
        let address = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let mut base = client.address("ah_host", &address)?;
        if base.path() != "/" || base.query().is_some() || base.fragment().is_some() {
            return Err(HubError::Host { address });
        }
        base.set_path(&path(prefix).ok_or_else(|| HubError::Prefix(prefix.to_owned()))?);
        Ok(Self { client, base, credential: RefCell::new(Credential::Anonymous) })
    }

    /// Scheme, host, port and prefix.
    pub fn address(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// The token of this hub that it is called with, where it is one: the one that a new token replaces.
    pub fn own_token(&self) -> Option<Secret> {
        match &*self.credential.borrow() {
            Credential::Token(token) => Some(token.clone()),
            _ => None,
        }
    }

    /// Calls from now on with this credential.
    pub fn act_as(&self, credential: Credential) {
        self.credential.replace(credential);
    }

    /// Tries a token of this hub. Changes nothing.
    pub async fn probe(&self, token: &Secret) -> Result<Probe, HubError> {
        match self.request(Method::OPTIONS, Repeat::Always).token(token) {
            Ok(request) => match self.try_out(&request).await {
                Ok(()) => Ok(Probe::Accepted),
                Err(HubError::Refused(refusal)) if refusal.cause == Cause::BadCredential => {
                    Ok(Probe::Refused(refusal.said().to_owned()))
                }
                Err(error) => Err(error),
            },
            // Whatever it is that was taken for a token: no hub has issued it.
            Err(HttpError::UnsendableToken) => Ok(Probe::Refused("it holds characters that no token has".to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// Tries the credential. Changes nothing.
    pub async fn check_credential(&self) -> Result<(), HubError> {
        self.try_out(&self.authorized(self.request(Method::OPTIONS, Repeat::Always))?).await
    }

    /// Has a new token made; the caller's old one is dead from then on. Sent once. When [`SystemError::may_have_acted`], nothing can tell the new one.
    pub async fn issue(&self) -> Result<Secret, HubError> {
        let answer = self.client.send(&self.authorized(self.request(Method::POST, ISSUING))?).await?;
        match answer.status() {
            200 => {
                let issued: Issued = answer.expect_json()?;
                if issued.token.is_empty() {
                    return Err(answer.unexpected("the token in the answer is empty").into());
                }
                Ok(issued.token)
            }
            _ => Err(refused(&answer)),
        }
    }

    /// Deletes the caller's token. The answer is the same where there was none.
    pub async fn delete(&self) -> Result<(), HubError> {
        let answer = self.client.send(&self.authorized(self.request(Method::DELETE, Repeat::Always))?).await?;
        if answer.status() == 204 { Ok(()) } else { Err(refused(&answer)) }
    }

    async fn try_out(&self, request: &Request) -> Result<(), HubError> {
        let answer = self.client.send(request).await?;
        if answer.status() != 200 {
            return Err(refused(&answer));
        }
        // Something before the hub may answer this method to everybody, in its own way.
        let _: Map<String, Value> = answer.expect_json()?;
        Ok(())
    }

    fn authorized(&self, request: Request) -> Result<Request, HttpError> {
        match &*self.credential.borrow() {
            Credential::Token(token) => request.token(token),
            Credential::Password { username, password } => request.basic(username, password),
            Credential::GatewayToken(token) => request.bearer(token),
            Credential::Anonymous => Ok(request),
        }
    }

    fn request(&self, method: Method, repeat: Repeat) -> Request {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // The hub insists on the slash at the end.
            segments.pop_if_empty().extend(["v3", "auth", "token", ""]);
        }
        Request::new(method, url, repeat)
    }
}

/// A name alone is one below `/api`, as the collection `ansible.hub` has it.
fn path(prefix: &str) -> Option<String> {
    let parts: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).collect();
    let is_part = |part: &&str| !part.contains(['?', '#', '%', '\\']) && !part.contains(char::is_whitespace);
    if parts.is_empty() || !parts.iter().all(is_part) || parts.iter().any(|part| matches!(*part, "." | "..")) {
        return None;
    }
    let is_whole = prefix.starts_with('/') || parts[0] == "api";
    Some(format!("{}/{}/", if is_whole { "" } else { "/api" }, parts.join("/")))
}

fn refused(answer: &Answer) -> HubError {
    match Refusal::of(answer) {
        Some(refusal) => refusal.into(),
        None => answer.unexpected(why_unexpected(answer.status())).into(),
    }
}

fn why_unexpected(status: u16) -> &'static str {
    match status {
        500.. => "the hub or a proxy before it failed",
        _ => "this is not what a hub answers",
    }
}

/// Where nothing was done, it may be sent again: only a limit of requests says so.
const ISSUING: Repeat = Repeat::OnlyIfNothingWasDone(|answer| answer.status() == 429);

#[derive(Deserialize)]
struct Issued {
    token: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Connection;

    #[test]
    fn a_hub_is_known_by_its_address_and_its_prefix() {
        for (host, prefix, address) in [
            ("https://hub.example.com", "/api/galaxy", "https://hub.example.com/api/galaxy"),
            ("hub.example.com:8443/", "api/automation-hub/", "https://hub.example.com:8443/api/automation-hub"),
            ("hub.example.com", "galaxy", "https://hub.example.com/api/galaxy"),
            ("hub.example.com", "//api//galaxy//", "https://hub.example.com/api/galaxy"),
            ("hub.example.com", "/custom", "https://hub.example.com/custom"),
        ] {
            let hub = hub(host, prefix).unwrap();
            assert_eq!(hub.address(), address, "{host} {prefix}");
        }
    }

    #[test]
    fn what_is_no_address_or_no_path_is_refused() {
        for (host, prefix) in [
            ("https://hub.example.com/api/galaxy", "/api/galaxy"),
            ("hub.example.com?x=1", "/api/galaxy"),
            ("http://hub.example.com", "/api/galaxy"),
            ("https://me:pw@hub.example.com", "/api/galaxy"),
            ("hub.example.com", ""),
            ("hub.example.com", "/"),
            ("hub.example.com", "/api/../galaxy"),
            ("hub.example.com", "/api/galaxy?x"),
        ] {
            assert!(hub(host, prefix).is_err(), "{host} {prefix}");
        }
    }

    fn hub(host: &str, prefix: &str) -> Result<Hub, HubError> {
        let client = Client::new(&Connection::default()).unwrap();
        Hub::new(client, host, prefix)
    }
}
