//! Red Hat Quay: robot accounts, their tokens, and the registry's log-in that proves them.
//!
//! What decides the code: regenerating kills the old token at once, and has no second slot; but the valid token can be read at any time, so no answer
//! is ever lost for good. A bad bearer is 401 when reading and *403 with a sentence about CSRF* when writing; a robot that does not exist is 400.

mod refusal;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

pub use refusal::{Cause, Refusal};

use super::SystemError;
use crate::http::{Answer, Client, HttpError, Method, Repeat, Request};
use crate::secret::Secret;

/// One Quay, with the credential that its API is called with.
pub struct Quay {
    client: Client,
    base: Url,
    /// An OAuth access token. What needs none works without.
    token: Option<Secret>,
}

/// The options of `modules/fragments/quay.yml`.
#[derive(Debug, Clone, Deserialize)]
pub struct Server {
    /// Its address.
    pub quay_host: String,
    /// The registry's host name, where the task knows better than Quay.
    pub registry: Option<String>,
    /// What a token is looked up by in a credential file.
    pub registry_key: RegistryKey,
}

/// What a token is looked up by in a credential file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryKey {
    /// The registry's host name.
    Registry,
    /// The host name and the namespace.
    Organization,
}

impl Server {
    /// The key of a namespace's credentials.
    pub fn key(&self, registry: &Registry, namespace: &str) -> Result<String, QuayError> {
        let host = self.registry.as_deref().unwrap_or(&registry.service);
        if host.is_empty() || host.contains('/') || host.contains(char::is_whitespace) {
            return Err(QuayError::RegistryName(host.to_owned()));
        }
        Ok(match self.registry_key {
            RegistryKey::Registry => host.to_owned(),
            RegistryKey::Organization => format!("{host}/{namespace}"),
        })
    }
}

/// Who a robot belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// An organization.
    Organization(String),
    /// The user that the OAuth access token belongs to. There is no way to name another one.
    User,
}

/// A robot account by its short name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who it belongs to.
    pub namespace: Namespace,
    /// Its name without the namespace.
    pub short_name: String,
}

/// A robot as the server describes it.
#[derive(Debug, Clone)]
pub struct Robot {
    /// Its full name, `NAMESPACE+SHORTNAME`.
    pub name: String,
    /// When the robot (not its token) was made.
    pub created: Option<DateTime<Utc>>,
    /// Its registry password. `None` where the server does not show it to this caller.
    pub token: Option<Secret>,
}

/// What the registry says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Its host name, with the port where it has one, as it belongs in credential files. Not always that of the API's address.
    pub service: String,
}

/// What a log-in to the registry came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogIn {
    /// The password was accepted.
    Accepted,
    /// It was refused, in the server's words.
    Refused(String),
}

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum QuayError {
    /// The server said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No usable answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// No answer to an exchange: Quay closes the connection where it cannot ask the issuer for its keys.
    #[error("{0}; most often Quay cannot reach the issuer of the OIDC token, or does not trust its certificate")]
    NoExchange(HttpError),
    /// The server does not show the token to this caller.
    #[error(
        "the server shows {robot} without its token: the user of quay_token may look at robots and not at their secrets (a read-only superuser); use the \
         token of an administrator of the namespace"
    )]
    NoTokenShown {
        /// Full name of the robot.
        robot: String,
    },
    /// No new robot can be called so.
    #[error("'{0}': {why}", why = Cause::BadName.sentence())]
    NewName(String),
    /// `registry` is no name of a host.
    #[error(
        "registry {0}: write the host name alone, with its port where it has one; registry_key: organization adds the organization"
    )]
    RegistryName(String),
    /// `quay_host` is no address of a Quay.
    #[error("quay_host {address}: {why}")]
    Host {
        /// What the task says.
        address: String,
        /// What is wrong with it.
        why: String,
    },
}

impl QuayError {
    /// What the server's refusal means, if it was one.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Refused(refusal) => Some(refusal.cause),
            _ => None,
        }
    }
}

impl SystemError for QuayError {
    fn may_have_acted(&self) -> bool {
        match self {
            Self::Http(error) | Self::NoExchange(error) => error.server_may_have_acted(),
            Self::NoTokenShown { .. } => true,
            Self::Refused(_) | Self::NewName(_) | Self::RegistryName(_) | Self::Host { .. } => false,
        }
    }
}

/// The namespace, where it is named, and the short name in a robot's name. Nothing where no robot can be called so.
///
/// What else is wrong with a name is for the server to say: it may be older than today's rules.
pub fn robot_name(name: &str) -> Option<(Option<&str>, &str)> {
    let (namespace, robot) = match name.split_once('+') {
        Some((namespace, robot)) => (Some(namespace), robot),
        None => (None, name),
    };
    (!is_no_name(robot) && !namespace.is_some_and(is_no_name)).then_some((namespace, robot))
}

/// Whether nothing can be called so: it is empty, or would lead to another path of the API.
pub fn is_no_name(name: &str) -> bool {
    name.trim().is_empty() || name.starts_with("..") || name == "." || name.contains(['/', '+'])
}

/// Whether a new robot can be called so. Older ones may be called otherwise.
pub fn is_name_for_new_robot(name: &str) -> bool {
    let is_small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_small);
    (2..=255).contains(&name.len()) && name.split(['.', '_', '-']).all(is_word)
}

impl Account {
    /// The path of the robot in the API.
    fn path<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut path = self.namespace.path();
        path.push(&self.short_name);
        path.extend(more);
        path
    }
}

impl Namespace {
    fn path(&self) -> Vec<&str> {
        match self {
            Self::Organization(name) => vec!["api", "v1", "organization", name, "robots"],
            Self::User => vec!["api", "v1", "user", "robots"],
        }
    }
}

impl Quay {
    /// The server at an address such as `https://quay.example.com`; without a scheme it is https. Nothing is sent.
    pub fn new(client: Client, host: &str, token: Option<Secret>) -> Result<Self, QuayError> {
        let address = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let base = client.address("quay_host", &address)?;
        if base.path() != "/" || base.query().is_some() {
            let why =
                "write scheme, host and port alone, such as https://quay.example.com; Quay has no path before its API";
            return Err(QuayError::Host { address, why: why.to_owned() });
        }
        Ok(Self { client, base, token })
    }

    /// Scheme, host and port.
    pub fn address(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Asks the registry for its name, which it tells everybody in its challenge.
    pub async fn registry(&self) -> Result<Registry, QuayError> {
        let answer = self.client.send(&Request::get(self.url(&["v2", ""]))).await?;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        match parameter(challenge, "service") {
            Some(service) if matches!(answer.status(), 200 | 401) => Ok(Registry { service: service.to_owned() }),
            _ => {
                let why = "there is no registry of Quay at this address; is quay_host right?";
                Err(self.failed(&answer, passing(answer.status()).unwrap_or(why)))
            }
        }
    }

    /// One robot, with its token.
    pub async fn robot(&self, account: &Account) -> Result<Robot, QuayError> {
        let answer = self.client.send(&self.authorized(Request::get(self.url(&account.path(&[]))))?).await?;
        self.expect_robot(&answer, account, 200).await
    }

    /// The short names of all robots of a namespace, sorted. `name` is that of the namespace, also where it is a user.
    pub async fn robots(&self, namespace: &Namespace, name: &str) -> Result<Vec<String>, QuayError> {
        let mut url = self.url(&namespace.path());
        // Without this every secret stands in the answer.
        url.set_query(Some("token=false"));
        let answer = self.client.send(&self.authorized(Request::get(url))?).await?;
        if answer.status() != 200 {
            return Err(self.refused(&answer, namespace, None).await);
        }
        let list: RobotList = answer.expect_json()?;
        // The server's own match of the namespace is looser than this.
        let of_this_namespace = |full: &str| full.strip_prefix(name)?.strip_prefix('+').map(str::to_owned);
        let mut names: Vec<String> = list.robots.iter().filter_map(|robot| of_this_namespace(&robot.name)).collect();
        names.sort_unstable();
        // Old releases repeat a robot now and then.
        names.dedup();
        if names.is_empty() {
            self.check_exists(namespace).await?;
        }
        Ok(names)
    }

    /// Makes a robot. Sent once. When [`SystemError::may_have_acted`], ask for the robot.
    pub async fn create(&self, account: &Account, description: &str) -> Result<Robot, QuayError> {
        let request =
            Request::new(Method::PUT, self.url(&account.path(&[])), ISSUING).json(&NewRobot { description })?;
        let answer = self.client.send(&self.authorized(request)?).await?;
        self.expect_robot(&answer, account, 201).await
    }

    /// Has a new token made; the old one is dead from then on. Sent once. When [`SystemError::may_have_acted`], ask for the robot.
    pub async fn regenerate(&self, account: &Account) -> Result<Robot, QuayError> {
        let request = Request::new(Method::POST, self.url(&account.path(&["regenerate"])), ISSUING);
        let answer = self.client.send(&self.authorized(request)?).await?;
        // The server's own description of the API announces 201.
        self.expect_robot(&answer, account, 200).await
    }

    /// Deletes a robot, with all that it may do. One that does not exist is [`Cause::NoRobot`].
    pub async fn delete(&self, account: &Account) -> Result<(), QuayError> {
        let request = Request::new(Method::DELETE, self.url(&account.path(&[])), Repeat::Always);
        let answer = self.client.send(&self.authorized(request)?).await?;
        match answer.status() {
            204 => Ok(()),
            _ => Err(self.refused(&answer, &account.namespace, Some(account)).await),
        }
    }

    /// Logs in to the registry. Changes nothing but the robot's last access.
    pub async fn log_in(&self, registry: &Registry, robot: &str, password: &Secret) -> Result<LogIn, QuayError> {
        let mut url = self.url(&["v2", "auth"]);
        url.query_pairs_mut().append_pair("service", &registry.service);
        let answer = self.client.send(&Request::get(url).basic(robot, password)?).await?;
        match answer.status() {
            200 if answer.json::<TokenBody>().is_some() => Ok(LogIn::Accepted),
            401 => Ok(LogIn::Refused(refusal::registry_message(&answer))),
            status => {
                let why = "this is not what the registry answers to a log-in";
                Err(self.failed(&answer, passing(status).unwrap_or(why)))
            }
        }
    }

    /// Exchanges a token of an external identity provider for the robot's password of one hour.
    ///
    /// Nothing is used up by it. A server error here is often one of configuration: it is not repeated.
    pub async fn exchange(&self, robot: &str, oidc_token: &Secret) -> Result<Secret, QuayError> {
        let url = self.url(&["oauth2", "federation", "robot", "token"]);
        let request = Request::new(Method::GET, url, ISSUING).basic(robot, oidc_token)?;
        let answer = match self.client.send(&request).await {
            Err(error @ HttpError::Lost { .. }) => return Err(QuayError::NoExchange(error)),
            answer => answer?,
        };
        match answer.status() {
            200 => Ok(answer.expect_json::<TokenBody>()?.token),
            status => {
                Err(refusal::of_exchange(&answer, robot)
                    .unwrap_or_else(|| self.failed(&answer, why_no_exchange(status))))
            }
        }
    }

    /// The name of the user that the OAuth access token belongs to.
    pub async fn username(&self) -> Result<String, QuayError> {
        let answer = self.client.send(&self.authorized(Request::get(self.url(&["api", "v1", "user", ""])))?).await?;
        match answer.status() {
            200 => Ok(answer.expect_json::<User>()?.username),
            _ => Err(match self.refused(&answer, &Namespace::User, None).await {
                // A token without the scope for it is answered here as one that is no good.
                QuayError::Refused(refusal) => refusal.about_the_user().into(),
                other => other,
            }),
        }
    }

    async fn expect_robot(&self, answer: &Answer, account: &Account, status: u16) -> Result<Robot, QuayError> {
        if answer.status() != status {
            return Err(self.refused(answer, &account.namespace, Some(account)).await);
        }
        Ok(answer.expect_json::<RobotBody>()?.into())
    }

    /// The error for an answer that is no success, with what can only be learnt by asking again.
    async fn refused(&self, answer: &Answer, namespace: &Namespace, account: Option<&Account>) -> QuayError {
        let Some(mut refusal) = Refusal::of(answer, account.map(|account| account.short_name.as_str())) else {
            return self.failed(answer, why_unexpected(answer.status()));
        };
        if refusal.cause == Cause::NotAllowed {
            // An organization that does not exist is answered as one that the caller may not touch.
            if let Err(QuayError::Refused(missing)) = self.check_exists(namespace).await {
                refusal = missing;
            }
        }
        refusal.into()
    }

    /// An error if the organization does not exist. The answer is the same for everybody.
    async fn check_exists(&self, namespace: &Namespace) -> Result<(), QuayError> {
        let Namespace::Organization(name) = namespace else { return Ok(()) };
        let url = self.url(&["api", "v1", "organization", name]);
        let answer = self.client.send(&self.authorized(Request::get(url))?).await?;
        if answer.status() == 404 { Err(Refusal::no_organization(name).into()) } else { Ok(()) }
    }

    fn failed(&self, answer: &Answer, why: &str) -> QuayError {
        answer.unexpected(why).into()
    }

    fn authorized(&self, request: Request) -> Result<Request, HttpError> {
        match &self.token {
            Some(token) => request.bearer(token),
            None => Ok(request),
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

/// Where nothing was done, it may be sent again: only the limit of requests says so.
const ISSUING: Repeat = Repeat::OnlyIfNothingWasDone(|answer| answer.status() == 429);

#[derive(Serialize)]
struct NewRobot<'a> {
    description: &'a str,
}

#[derive(Deserialize)]
struct RobotBody {
    name: String,
    created: Option<String>,
    token: Option<Secret>,
}

impl From<RobotBody> for Robot {
    fn from(body: RobotBody) -> Self {
        let created = body.created.and_then(|created| DateTime::parse_from_rfc2822(&created).ok());
        Self { name: body.name, created: created.map(|created| created.to_utc()), token: body.token }
    }
}

#[derive(Deserialize)]
struct RobotList {
    robots: Vec<RobotName>,
}

#[derive(Deserialize)]
struct RobotName {
    name: String,
}

#[derive(Deserialize)]
struct TokenBody {
    token: Secret,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

fn why_unexpected(status: u16) -> &'static str {
    match status {
        404 => "there is no API of Quay at this address; is quay_host right?",
        _ => passing(status).unwrap_or("this is not what Quay answers"),
    }
}

/// A server error here is one of configuration more often than not.
fn why_no_exchange(status: u16) -> &'static str {
    match status {
        404 | 405 => "there is no exchange at this address, it came with Quay 3.13; is quay_host right?",
        500 => {
            "most often the issuer does not know the key (kid) of the OIDC token, or its address in the robot's federation is not https"
        }
        502 | 504 => "most often Quay cannot reach the issuer of the OIDC token, or does not trust its certificate",
        _ => passing(status).unwrap_or("this is not what the exchange of Quay answers"),
    }
}

/// What says nothing about the request.
fn passing(status: u16) -> Option<&'static str> {
    match status {
        429 => Some("the server or a proxy before it limits requests; try again later, or with a lower concurrency"),
        500.. => Some("the server or a proxy before it failed"),
        _ => None,
    }
}

/// A parameter of a challenge: `Bearer realm="…",service="…"`.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, parameters) = challenge.split_once(' ')?;
    let (_, rest) = parameters.split(',').find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        (key == name).then_some((key, value))
    })?;
    Some(rest.trim_matches('"')).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Connection;

    #[test]
    fn a_server_is_known_by_its_address_alone() {
        for (host, address) in [
            ("https://quay.example.com", "https://quay.example.com"),
            ("https://quay.example.com:8443/", "https://quay.example.com:8443"),
            ("quay.example.com", "https://quay.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(quay(host).unwrap().address(), address, "{host}");
        }
        for (host, why) in [
            ("https://quay.example.com/api/v1", "scheme, host and port alone"),
            ("http://quay.example.com", "use https"),
            ("https://", "cannot be used"),
        ] {
            let error = quay(host).err().unwrap().to_string();
            assert!(error.contains("quay_host") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn robots_are_named_short_or_in_full() {
        for (name, parts) in
            [("ci", (None, "ci")), ("acme+ci", (Some("acme"), "ci")), ("Old.Robot", (None, "Old.Robot"))]
        {
            assert_eq!(robot_name(name), Some(parts));
        }
        for name in ["", " ", "+", "acme+", "+ci", "a/b", "..", "acme+..", "a+b+c", "."] {
            assert_eq!(robot_name(name), None, "{name}");
        }
    }

    #[test]
    fn new_robots_are_named_as_the_contract_says() {
        for name in ["ci", "my.robot", "my-robot", "my_robot", "1abc", &"a".repeat(255)] {
            assert!(is_name_for_new_robot(name), "{name}");
        }
        for name in ["", "a", "Upper", "my__robot", "-x", "x-", "a b", "ä1", &"a".repeat(256)] {
            assert!(!is_name_for_new_robot(name), "{name}");
        }
    }

    #[test]
    fn names_are_path_segments_and_cannot_lead_elsewhere() {
        let quay = quay("quay.example.com").unwrap();
        let account = |organization: &str, name: &str| Account {
            namespace: Namespace::Organization(organization.to_owned()),
            short_name: name.to_owned(),
        };
        for (account, path) in [
            (account("acme", "ci"), "/api/v1/organization/acme/robots/ci"),
            (account("acme", "../x?y#z"), "/api/v1/organization/acme/robots/..%2Fx%3Fy%23z"),
        ] {
            assert_eq!(quay.url(&account.path(&[])).path(), path);
        }
        assert_eq!(quay.url(&["v2", ""]).as_str(), "https://quay.example.com/v2/");
    }

    #[test]
    fn the_registry_names_itself_in_its_challenge() {
        let challenge = r#"Bearer realm="https://quay.example.com/v2/auth",service="quay.example.com:8443""#;
        assert_eq!(parameter(challenge, "service"), Some("quay.example.com:8443"));
        assert_eq!(parameter(challenge, "scope"), None);
        assert_eq!(parameter("", "service"), None);
        assert_eq!(parameter("Bearer service=\"\"", "service"), None);
    }

    #[test]
    fn dates_of_robots_are_read() {
        let body: RobotBody =
            serde_json::from_str(r#"{"name": "acme+ci", "created": "Sat, 21 Nov 2026 22:36:43 -0000"}"#).unwrap();
        let robot = Robot::from(body);
        assert_eq!(robot.created.unwrap().to_rfc3339(), "2026-11-21T22:36:43+00:00");
        assert!(robot.token.is_none());
    }

    fn quay(host: &str) -> Result<Quay, QuayError> {
        Quay::new(Client::new(&Connection::default()).unwrap(), host, None)
    }
}
