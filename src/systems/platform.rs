//! OAuth2 tokens of Ansible Automation Platform: the gateway's, and the older ones of the automation controller and AWX.
//!
//! What decides the code: a token is shown once, and nothing maps it to its row, so the row's id is kept. A token is always its caller's own and its life
//! cannot be chosen. The two APIs are alike but for their paths, for what a 401 tells, and for who is told that a row exists.

mod credential;
mod refusal;
mod row;

use std::cell::RefCell;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

pub use credential::{Change, CredentialRow, CredentialType, Field, Inputs, Job, MASK};
pub use refusal::{Cause, Refusal};
pub use row::{Application, Created, Named, TokenRow, User};

use super::SystemError;
use super::clock::ServerClock;
use crate::http::{Answer, Client, HttpError, Method, Repeat, Request};
use crate::secret::Secret;
use row::{Me, Page};

/// Which of the APIs that issue tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// The platform gateway's.
    Gateway,
    /// The automation controller's, behind a gateway.
    Controller,
    /// The same where the controller, or AWX, is reached directly.
    Awx,
}

/// One server with the credential that its API is called with.
pub struct Platform {
    /// The option that holds its address.
    option: &'static str,
    client: Client,
    base: Url,
    api: Api,
    credential: RefCell<Credential>,
    clock: ServerClock,
}

/// Who calls.
#[derive(Debug, Clone)]
pub enum Credential {
    /// An OAuth2 token.
    Token(Secret),
    /// A local user's password.
    Password {
        /// The user's name.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// What a new token is to be. Its life and its user cannot be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewToken {
    /// Free text, which need not be unique.
    pub description: String,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Key of the application that it is for. `None`: a personal token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<u64>,
}

impl NewToken {
    /// Whether it is to have this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|one| one == scope)
    }
}

/// What a call with a token came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The token was accepted. Whose it is, unless its scope keeps it from asking that.
    Accepted(Option<User>),
    /// It was refused, in the server's words.
    Refused(String),
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The token is dead from now on.
    Done,
    /// There was none, or none that the caller may know of.
    AlreadyGone,
}

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum PlatformError {
    /// The server said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No usable answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The address is none of a server.
    #[error("{option} {address}: write scheme, host and port alone, such as https://aap.example.com")]
    Host {
        /// The option that holds it.
        option: &'static str,
        /// What the task says.
        address: String,
    },
}

impl PlatformError {
    /// What the server's refusal means, if it was one.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Refused(refusal) => Some(refusal.cause),
            _ => None,
        }
    }

    /// Whether it is the credential that is not accepted, whatever was asked for.
    pub fn is_of_credential(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_of_credential())
    }
}

impl SystemError for PlatformError {
    fn may_have_acted(&self) -> bool {
        matches!(self, Self::Http(error) if error.server_may_have_acted())
    }
}

impl Platform {
    /// The server at an address such as `https://aap.example.com`; without a scheme it is https. Nothing is sent.
    pub fn new(client: Client, host: &str, api: Api, credential: Credential) -> Result<Self, PlatformError> {
        Self::at("gateway_hostname", client, host, api, credential)
    }

    fn at(
        option: &'static str,
        client: Client,
        host: &str,
        api: Api,
        credential: Credential,
    ) -> Result<Self, PlatformError> {
        let address = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let base = client.address(option, &address)?;
        if base.path() != "/" || base.query().is_some() {
            return Err(PlatformError::Host { option, address });
        }
        Ok(Self { option, client, base, api, credential: RefCell::new(credential), clock: ServerClock::default() })
    }

    /// The API's address. Ids of tokens mean nothing at another one, also on the same host.
    pub fn address(&self) -> String {
        format!("{}{}", self.base.origin().ascii_serialization(), self.api.prefix())
    }

    /// Which API this is.
    pub fn api(&self) -> Api {
        self.api
    }

    /// The server's clock.
    pub fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// Calls from now on with another credential: where a token was rotated by itself, its successor deletes it.
    pub fn act_as(&self, credential: Credential) {
        self.credential.replace(credential);
    }

    /// Whether the credential is this token.
    pub fn acts_with(&self, token: &Secret) -> bool {
        matches!(&*self.credential.borrow(), Credential::Token(own) if own == token)
    }

    /// Creates a token. Sent once. When [`SystemError::may_have_acted`], look for it among [`Platform::tokens`].
    pub async fn create(&self, token: &NewToken) -> Result<Created, PlatformError> {
        let request = Request::new(Method::POST, self.url("tokens/"), CREATING).json(token)?;
        let answer = self.send(&self.authorized(request)?).await?;
        if answer.status() == 201 { Ok(answer.expect_json()?) } else { Err(self.refused(&answer)) }
    }

    /// What the server knows of a token, or nothing where there is none.
    ///
    /// Older gateways, and every controller, say of another user's token that it is none of the caller's business, and newer ones that there is none.
    pub async fn token(&self, id: u64) -> Result<Option<TokenRow>, PlatformError> {
        match self.expect(&self.authorized(Request::get(self.url(&format!("tokens/{id}/"))))?).await {
            Ok(row) => Ok(Some(row)),
            Err(error) if error.cause() == Some(Cause::NoSuchObject) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a token, at once.
    pub async fn delete(&self, id: u64) -> Result<Deletion, PlatformError> {
        let url = self.url(&format!("tokens/{id}/"));
        let answer = self.send(&self.authorized(Request::new(Method::DELETE, url, Repeat::Always))?).await?;
        if answer.status() == 204 {
            return Ok(Deletion::Done);
        }
        let error = self.refused(&answer);
        if error.cause() == Some(Cause::NoSuchObject) { Ok(Deletion::AlreadyGone) } else { Err(error) }
    }

    /// The tokens of a user, the newest first; those only that were created since then, where a time is given by the server's clock.
    ///
    /// Older gateways list everybody's tokens to everybody, so the user has to be named.
    pub async fn tokens(&self, user: &User, since: Option<DateTime<Utc>>) -> Result<Vec<TokenRow>, PlatformError> {
        let mut url = self.url("tokens/");
        url.query_pairs_mut()
            .append_pair("user", &user.id.to_string())
            .append_pair("order_by", "-created")
            .append_pair("page_size", LARGEST_PAGE);
        if let Some(since) = since {
            url.query_pairs_mut().append_pair("created__gte", &since.to_rfc3339_opts(SecondsFormat::Micros, true));
        }
        self.all_pages(url).await
    }

    /// Finds the row of a token by using it: the gateway notes when each token was used last, and shows it.
    ///
    /// The caller of the two lists is the token itself, so its own row changes between them, and where any other did too, nothing is said.
    pub async fn row_of(&self, token: &Secret, user: &User) -> Result<Option<TokenRow>, PlatformError> {
        if self.api != Api::Gateway {
            return Ok(None);
        }
        let first = match self.lately_used(token, user).await {
            // Its scope is too small even for looking.
            Err(error) if error.cause() == Some(Cause::NotAllowed) => return Ok(None),
            first => first?,
        };
        let mut second = self.lately_used(token, user).await?;
        second.retain(|row| row.last_used.is_some() && !first.iter().any(|before| before.is_as_used_as(row)));
        Ok(if second.len() == 1 { second.pop() } else { None })
    }

    /// The row of the token that the API is called with, of this user. Where it is not shown which was used when, the one that was used last is taken for it.
    pub async fn own_row(&self, user: &User) -> Result<Option<TokenRow>, PlatformError> {
        let Credential::Token(own) = self.credential.borrow().clone() else { return Ok(None) };
        match self.row_of(&own, user).await? {
            Some(row) => Ok(Some(row)),
            None => Ok(self.lately_used(&own, user).await?.into_iter().next()),
        }
    }

    /// Whose credential it is that the API is called with.
    pub async fn me(&self) -> Result<User, PlatformError> {
        let me: Me = self.expect(&self.authorized(Request::get(self.url("me/")))?).await?;
        me.user().ok_or_else(|| PlatformError::Refused(Refusal::nobody()))
    }

    /// An authenticated call with a token. One whose scope is too small for it is accepted all the same.
    pub async fn status(&self, token: &Secret) -> Result<Status, PlatformError> {
        match self.expect::<Me>(&Request::get(self.url("me/")).bearer(token)?).await {
            Ok(me) => Ok(Status::Accepted(me.user())),
            Err(PlatformError::Refused(refusal)) if refusal.cause == Cause::NotAllowed => Ok(Status::Accepted(None)),
            Err(PlatformError::Refused(refusal)) if refusal.is_of_credential() => {
                Ok(Status::Refused(refusal.said().to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// The applications of this name or key. A name is unique in its organization only.
    pub async fn applications(&self, name: &str, organization: Option<u64>) -> Result<Vec<Application>, PlatformError> {
        let mut applications: Vec<Application> = self.named("applications/", name).await?;
        applications.retain(|one| organization.is_none() || one.organization == organization);
        Ok(applications)
    }

    /// The organizations of this name or key.
    pub async fn organizations(&self, name: &str) -> Result<Vec<Named>, PlatformError> {
        self.named("organizations/", name).await
    }

    async fn named<T: DeserializeOwned>(&self, list: &str, name: &str) -> Result<Vec<T>, PlatformError> {
        let mut url = self.url(list);
        url.query_pairs_mut().append_pair("name", name);
        let mut found: Vec<T> = self.all_pages(url).await?;
        if let (true, Ok(id)) = (found.is_empty(), name.parse::<u64>()) {
            match self.expect(&self.authorized(Request::get(self.url(&format!("{list}{id}/"))))?).await {
                Ok(one) => found.push(one),
                Err(error) if error.cause() == Some(Cause::NoSuchObject) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn lately_used(&self, token: &Secret, user: &User) -> Result<Vec<TokenRow>, PlatformError> {
        let mut url = self.url("tokens/");
        url.query_pairs_mut()
            .append_pair("user", &user.id.to_string())
            .append_pair("last_used__isnull", "false")
            .append_pair("order_by", "-last_used")
            .append_pair("page_size", LARGEST_PAGE);
        Ok(self.expect::<Page<TokenRow>>(&Request::get(url).bearer(token)?).await?.results)
    }

    async fn all_pages<T: DeserializeOwned>(&self, first: Url) -> Result<Vec<T>, PlatformError> {
        let (mut all, mut next) = (Vec::new(), Some(first));
        while let Some(mut url) = next {
            let page: Page<T> = self.expect(&self.authorized(Request::get(url.clone()))?).await?;
            all.extend(page.results);
            // The link's path may be that of another door to the same server, so its query alone is taken.
            next = page.next.and_then(|link| self.base.join(&link).ok()).map(|link| {
                url.set_query(link.query());
                url
            });
        }
        Ok(all)
    }

    async fn expect<T: DeserializeOwned>(&self, request: &Request) -> Result<T, PlatformError> {
        let answer = self.send(request).await?;
        if answer.status() == 200 { Ok(answer.expect_json()?) } else { Err(self.refused(&answer)) }
    }

    async fn send(&self, request: &Request) -> Result<Answer, PlatformError> {
        let answer = self.client.send(request).await?;
        self.clock.observe(&answer);
        Ok(answer)
    }

    fn refused(&self, answer: &Answer) -> PlatformError {
        match Refusal::of(answer) {
            Some(refusal) => refusal.into(),
            None => answer.unexpected(&self.why_unexpected(answer.status())).into(),
        }
    }

    fn authorized(&self, request: Request) -> Result<Request, HttpError> {
        match &*self.credential.borrow() {
            // Every release takes this scheme, and only the newest ones another.
            Credential::Token(token) => request.bearer(token),
            Credential::Password { username, password } => request.basic(username, password),
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.api.prefix()));
        url
    }

    fn why_unexpected(&self, status: u16) -> String {
        match status {
            404 if self.option == "gateway_hostname" => {
                "there is no such API at this address; are gateway_hostname and api right?".to_owned()
            }
            404 => format!("there is no such API at this address; is {} right?", self.option),
            500.. => "the server or a proxy before it failed".to_owned(),
            _ => "this is not what the platform answers".to_owned(),
        }
    }
}

impl Api {
    /// Scopes that a token can have there.
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Gateway => &["read", "write", "openid", "roles"],
            Self::Controller | Self::Awx => &["read", "write"],
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Gateway => "/api/gateway/v1",
            Self::Controller => "/api/controller/v2",
            Self::Awx => "/api/v2",
        }
    }
}

/// Where nothing was done, it may be sent again: only a limit of requests says so.
const CREATING: Repeat = Repeat::OnlyIfNothingWasDone(|answer| answer.status() == 429);
/// More is cut to this.
const LARGEST_PAGE: &str = "200";
/// How long after its time-out a request may still arrive and be done.
pub const LATEST_ARRIVAL: TimeDelta = TimeDelta::seconds(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Connection;

    #[test]
    fn a_server_is_known_by_its_address_and_its_api() {
        for (host, api, address) in [
            ("https://aap.example.com", Api::Gateway, "https://aap.example.com/api/gateway/v1"),
            ("aap.example.com:8443", Api::Controller, "https://aap.example.com:8443/api/controller/v2"),
            ("https://awx.example.com/", Api::Awx, "https://awx.example.com/api/v2"),
        ] {
            assert_eq!(platform(host, api).unwrap().address(), address, "{host}");
        }
        for host in ["https://aap.example.com/api/gateway/v1", "http://aap.example.com"] {
            assert!(platform(host, Api::Gateway).is_err(), "{host}");
        }
    }

    fn platform(host: &str, api: Api) -> Result<Platform, PlatformError> {
        let client = Client::new(&Connection { use_proxy: false, ..Connection::default() }).unwrap();
        Platform::new(client, host, api, Credential::Token(Secret::new("t")))
    }
}
