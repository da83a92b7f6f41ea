//! Red Hat Advanced Cluster Security: Central's API tokens and its exchange for machines.
//!
//! What decides the code: names are not unique, so a token is known by its id, which is the `jti` in the token itself; nothing shows a secret twice;
//! almost every "not found" is 400, and revoking what is gone is 500; revoked, expired and forged tokens are refused with one sentence.

mod refusal;

use std::cell::RefCell;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

pub use refusal::{Cause, Refusal};

use super::SystemError;
use super::clock::ServerClock;
use crate::http::{Answer, Client, HttpError, Method, Repeat, Request};
use crate::jwt::Claims;
use crate::secret::Secret;

/// One Central, with the credential that its API is called with.
pub struct Central {
    client: Client,
    base: Url,
    credential: RefCell<Credential>,
    clock: ServerClock,
}

/// Who calls.
#[derive(Debug, Clone)]
pub enum Credential {
    /// An API token, or one got in exchange for a machine's.
    Token(Secret),
    /// The user that is made with Central, and its password.
    Password {
        /// The name, usually `admin`.
        username: String,
        /// The password.
        password: Secret,
    },
    /// Nobody, for what needs no credential.
    Anonymous,
}

/// What Central knows of a token. Never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Its id, which is the `jti` claim in the token.
    pub id: String,
    /// Its name, which others may have too.
    pub name: String,
    /// Names of its roles, looked up at each use.
    #[serde(default)]
    pub roles: Vec<String>,
    /// When it was issued, in whole seconds of Central's clock.
    pub issued_at: DateTime<Utc>,
    /// When it ends, in whole seconds of Central's clock.
    pub expiration: DateTime<Utc>,
    /// Whether it was revoked. An expired one is not.
    #[serde(default)]
    pub revoked: bool,
}

/// A token as it was generated.
#[derive(Debug)]
pub struct Generated {
    /// The secret, which is shown this once.
    pub secret: Secret,
    /// What Central keeps of it.
    pub token: ApiToken,
}

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The token lived, or had been revoked before.
    Done,
    /// Central does not know it any more.
    AlreadyGone,
}

/// What a call with a token came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The token was accepted: whose it is, in Central's words.
    Accepted(String),
    /// It was refused, in Central's words.
    Refused(String),
}

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum RhacsError {
    /// Central said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No usable answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// `rhacs_host` is no address of a Central.
    #[error("rhacs_host {address}: {why}")]
    Host {
        /// What the task says.
        address: String,
        /// What is wrong with it.
        why: String,
    },
}

impl RhacsError {
    /// What Central's refusal means, if it was one.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Refused(refusal) => Some(refusal.cause),
            _ => None,
        }
    }
}

impl SystemError for RhacsError {
    fn may_have_acted(&self) -> bool {
        matches!(self, Self::Http(error) if error.server_may_have_acted())
    }
}

impl Central {
    /// The server at an address such as `https://central.example.com:8443`; without a scheme it is https. Nothing is sent.
    pub fn new(client: Client, host: &str, credential: Credential) -> Result<Self, RhacsError> {
        let address = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let base = client.address("rhacs_host", &address)?;
        if base.path() != "/" || base.query().is_some() {
            let why = "write scheme, host and port alone, such as https://central.example.com:8443";
            return Err(RhacsError::Host { address, why: why.to_owned() });
        }
        Ok(Self { client, base, credential: RefCell::new(credential), clock: ServerClock::default() })
    }

    /// Scheme, host and port.
    pub fn address(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Host and port as roxctl writes them, with the port also where it is the usual one.
    pub fn endpoint(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        format!("{host}:{}", self.base.port_or_known_default().unwrap_or(443))
    }

    /// How far Central's clock is ahead of ours, as its last answer says. Zero while less than two seconds: dates have whole ones.
    pub fn clock_offset(&self) -> TimeDelta {
        self.clock.offset()
    }

    /// What time it is by Central's clock, which is asked for where no answer has told it yet.
    pub async fn now(&self) -> Result<DateTime<Utc>, RhacsError> {
        if !self.clock.is_known() {
            self.expect::<Pong>(&Request::get(self.url(&["v1", "ping"]))).await?;
        }
        Ok(self.clock.now())
    }

    /// Calls from now on with another credential: where a token was rotated by itself, its successor ends it.
    pub fn act_as(&self, credential: Credential) {
        self.credential.replace(credential);
    }

    /// Whether the credential is the token of this id.
    pub fn acts_as(&self, id: &str) -> bool {
        matches!(&*self.credential.borrow(), Credential::Token(token) if id_of(token).as_deref() == Some(id))
    }

    /// Generates a token. Sent once. When [`SystemError::may_have_acted`], look for it among [`Central::tokens`].
    pub async fn generate(
        &self,
        name: &str,
        roles: &[String],
        expiration: DateTime<Utc>,
    ) -> Result<Generated, RhacsError> {
        let body = NewToken { name, roles, expiration: expiration.to_rfc3339_opts(SecondsFormat::Secs, true) };
        let request = Request::new(Method::POST, self.url(&["v1", "apitokens", "generate"]), GENERATING).json(&body)?;
        let answer: GeneratedBody = self.expect(&self.authorized(request)?).await?;
        Ok(Generated { secret: answer.token, token: answer.metadata })
    }

    /// All tokens, or those that are revoked, or those that are not (which may have expired). In no order.
    pub async fn tokens(&self, revoked: Option<bool>) -> Result<Vec<ApiToken>, RhacsError> {
        let mut url = self.url(&["v1", "apitokens"]);
        if let Some(revoked) = revoked {
            url.query_pairs_mut().append_pair("revoked", if revoked { "true" } else { "false" });
        }
        let list: TokenList = self.expect(&self.authorized(Request::get(url))?).await?;
        Ok(list.tokens)
    }

    /// What Central knows of a token, or nothing where it does not know it, or no longer.
    pub async fn token(&self, id: &str) -> Result<Option<ApiToken>, RhacsError> {
        let request = self.authorized(Request::get(self.url(&["v1", "apitokens", id])))?;
        match self.expect(&request).await {
            Ok(token) => Ok(Some(token)),
            Err(error) if error.cause() == Some(Cause::NoToken) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Revokes a token, at once. After a restart of Central it may come back to life until its end: nothing else stops it then.
    pub async fn revoke(&self, id: &str) -> Result<Revocation, RhacsError> {
        let url = self.url(&["v1", "apitokens", "revoke", id]);
        let answer = self.send(&self.authorized(Request::new(Method::PATCH, url, Repeat::Always))?).await?;
        if answer.status() == 200 {
            return Ok(Revocation::Done);
        }
        match refusal::of_revocation(&answer, id) {
            Some(gone) => Ok(gone),
            None => Err(self.refused(&answer)),
        }
    }

    /// The names of the roles that the caller may put into a token. `None`: Central is older than 4.3 and does not tell.
    pub async fn allowed_roles(&self) -> Result<Option<Vec<String>>, RhacsError> {
        let url = self.url(&["v1", "apitokens", "generate", "allowed-roles"]);
        let request = self.authorized(Request::get(url))?;
        match self.expect::<AllowedRoles>(&request).await {
            Ok(roles) => Ok(Some(roles.role_names)),
            // Taken for the id of a token.
            Err(error) if matches!(error.cause(), Some(Cause::NoToken | Cause::NoSuchCall)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An authenticated call with a token, which needs no permission.
    pub async fn status(&self, token: &Secret) -> Result<Status, RhacsError> {
        let request = Request::get(self.url(&["v1", "auth", "status"])).bearer(token)?;
        match self.expect::<AuthStatus>(&request).await {
            Ok(status) => Ok(Status::Accepted(status.user_id)),
            Err(RhacsError::Refused(refusal)) if refusal.is_of_credential() => {
                Ok(Status::Refused(refusal.said().to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Exchanges a machine's OIDC token for an access token. Nothing is used up by it.
    pub async fn exchange(&self, oidc_token: &Secret) -> Result<Secret, RhacsError> {
        let body = Exchange { id_token: oidc_token.reveal() };
        let request =
            Request::new(Method::POST, self.url(&["v1", "auth", "m2m", "exchange"]), Repeat::Always).json(&body)?;
        let answer = self.send(&request).await?;
        if answer.status() != 200 {
            return Err(refusal::of_exchange(&answer).unwrap_or_else(|| self.refused(&answer)));
        }
        Ok(answer.expect_json::<Exchanged>()?.access_token)
    }

    async fn expect<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<T, RhacsError> {
        let answer = self.send(request).await?;
        if answer.status() == 200 { Ok(answer.expect_json()?) } else { Err(self.refused(&answer)) }
    }

    async fn send(&self, request: &Request) -> Result<Answer, RhacsError> {
        let answer = self.client.send(request).await?;
        self.clock.observe(&answer);
        Ok(answer)
    }

    /// Central does not say why it takes no credential; that it has ended, it says itself.
    fn refused(&self, answer: &Answer) -> RhacsError {
        let Some(mut refusal) = Refusal::of(answer) else {
            return answer.unexpected(why_unexpected(answer.status())).into();
        };
        if let (Cause::BadCredential, Credential::Token(token)) = (refusal.cause, &*self.credential.borrow()) {
            let end = Claims::of(token).and_then(|claims| claims.expires_at());
            refusal.ended = end.filter(|end| *end <= self.clock.now());
        }
        refusal.into()
    }

    fn authorized(&self, request: Request) -> Result<Request, HttpError> {
        match &*self.credential.borrow() {
            Credential::Token(token) => request.bearer(token),
            Credential::Password { username, password } => request.basic(username, password),
            Credential::Anonymous => Ok(request),
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }
}

impl ApiToken {
    /// Whether it has exactly these roles, in any order.
    pub fn has_roles(&self, roles: &[String]) -> bool {
        sorted(&self.roles) == sorted(roles)
    }

    /// Whether it may still be accepted, as far as its record tells.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        !self.revoked && self.expiration > now
    }
}

/// The id of a token, which stands in the token itself.
pub fn id_of(token: &Secret) -> Option<String> {
    Claims::of(token)?.jti.filter(|id| !id.is_empty())
}

fn sorted(roles: &[String]) -> Vec<&str> {
    let mut sorted: Vec<&str> = roles.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// Where nothing was done, it may be sent again: only Central's limit of requests says so.
const GENERATING: Repeat = Repeat::OnlyIfNothingWasDone(|answer| answer.status() == 429);

#[derive(Serialize)]
struct NewToken<'a> {
    name: &'a str,
    roles: &'a [String],
    expiration: String,
}

#[derive(Deserialize)]
struct GeneratedBody {
    token: Secret,
    metadata: ApiToken,
}

#[derive(Deserialize)]
struct TokenList {
    tokens: Vec<ApiToken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AllowedRoles {
    role_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthStatus {
    #[serde(default)]
    user_id: String,
}

#[derive(Deserialize)]
struct Pong {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exchange<'a> {
    id_token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exchanged {
    access_token: Secret,
}

fn why_unexpected(status: u16) -> &'static str {
    match status {
        404 => "there is no Central at this address; is rhacs_host right?",
        500.. => "Central or a router before it failed",
        _ => "this is not what Central answers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Connection;

    #[test]
    fn a_server_is_known_by_its_address_alone() {
        for (host, address, endpoint) in [
            ("https://central.example.com", "https://central.example.com", "central.example.com:443"),
            ("central.example.com:8443", "https://central.example.com:8443", "central.example.com:8443"),
            ("https://central.example.com/", "https://central.example.com", "central.example.com:443"),
        ] {
            let central = central(host).unwrap();
            assert_eq!((central.address().as_str(), central.endpoint().as_str()), (address, endpoint), "{host}");
        }
        for host in ["https://central.example.com/v1", "http://central.example.com"] {
            assert!(central(host).is_err(), "{host}");
        }
    }

    #[test]
    fn a_record_is_read_and_its_roles_are_a_set() {
        let token: ApiToken = serde_json::from_str(
            r#"{"id":"0a07","name":"ci","roles":["B","A","A"],"issuedAt":"2026-03-01T09:54:21Z","expiration":"9999-12-31T23:59:59.999999999Z",
                "revoked":false,"role":""}"#,
        )
        .unwrap();
        assert!(token.has_roles(&["A".to_owned(), "B".to_owned()]) && !token.has_roles(&["A".to_owned()]));
        assert!(token.is_live(Utc::now()));
    }

    fn central(host: &str) -> Result<Central, RhacsError> {
        Central::new(Client::new(&Connection::default()).unwrap(), host, Credential::Anonymous)
    }
}
