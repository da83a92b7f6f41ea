//! Red Hat SSO, which is a Keycloak: refresh, service account, proof and revocation of tokens.
//!
//! What decides the code was observed on Keycloak 26.7. The most important: every refresh answers a new offline token; with rotation on the used one
//! is dead from then on, and using it again kills the whole session. So a refresh is never repeated unless the server certainly did nothing.

mod refusal;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use thiserror::Error;
use url::Url;

pub use refusal::{Cause, Refusal};

use crate::http::{Answer, Client, HttpError, Repeat, Request};
use crate::jwt::Claims;
use crate::secret::Secret;

/// One realm of one server, named by its token endpoint.
pub struct Realm {
    client: Client,
    token: Url,
    issuer: String,
}

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum SsoError {
    /// The server said no, in its own words and with what they mean.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No usable answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// `token_url` is no token endpoint.
    #[error("token_url {address} {why}")]
    TokenUrl {
        /// What the task says.
        address: String,
        /// What is wrong with it.
        why: String,
    },
}

impl SsoError {
    /// Whether the server can have acted although no answer says so.
    pub fn server_may_have_acted(&self) -> bool {
        matches!(self, Self::Http(error) if error.server_may_have_acted())
    }

    /// What the server's refusal means, if it was one.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Refused(refusal) => Some(refusal.cause),
            _ => None,
        }
    }
}

/// Tokens as the server issued them.
#[derive(Debug)]
pub struct Issued {
    /// For the APIs.
    pub access_token: Secret,
    /// The newest offline token. Absent for service accounts and where the client has refresh tokens switched off.
    pub offline_token: Option<Secret>,
    /// Usually `Bearer`.
    pub token_type: String,
    /// Seconds from [`Issued::asked_at`] that the access token lives.
    pub expires_in: i64,
    /// Seconds that the offline token lives, or 0 where only the idle limit ends it.
    pub offline_expires_in: i64,
    /// The access token's scopes, sorted.
    pub scope: Vec<String>,
    /// Seconds that the server's clock is ahead of ours. Answers have no `Date` header; this comes from the token's `iat`.
    pub clock_offset: i64,
    /// When the request was sent, by our clock.
    pub asked_at: DateTime<Utc>,
}

impl Issued {
    /// When the access token ends, by our clock.
    pub fn expires_at(&self) -> DateTime<Utc> {
        TimeDelta::try_seconds(self.expires_in)
            .and_then(|life| self.asked_at.checked_add_signed(life))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// How much a proof says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The user information was given out: token and session live.
    Full,
    /// The token lacks the scope `openid`, so the server checked signature, issuer and end, but not the session.
    WithoutSession,
}

/// What a revocation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The session lived and is gone now.
    Done,
    /// There was nothing left to revoke.
    AlreadyDead,
}

impl Realm {
    /// The realm behind a token endpoint. Nothing is sent.
    pub fn new(client: Client, token_url: &str) -> Result<Self, SsoError> {
        let mut token = client.address("token_url", token_url)?;
        let path = token.path().trim_end_matches('/').to_owned();
        let wrong = |why: &str| SsoError::TokenUrl { address: token_url.to_owned(), why: why.to_owned() };
        if path.contains("/protocol/openidconnect/") {
            return Err(wrong(
                "is misspelt, as on a page of Red Hat's documentation: write openid-connect, with a hyphen",
            ));
        }
        let Some(issuer_path) = path.strip_suffix(TOKEN_PATH) else {
            return Err(wrong("is no token endpoint: it ends with /realms/NAME/protocol/openid-connect/token"));
        };
        let issuer = format!("{}{issuer_path}", token.origin().ascii_serialization());
        token.set_path(&path);
        Ok(Self { client, token, issuer })
    }

    /// The realm's name.
    pub fn name(&self) -> &str {
        self.issuer.rsplit('/').next().unwrap_or_default()
    }

    /// The realm's address, which tokens carry as `iss` unless the server has another public address.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Uses an offline token: its idle time begins anew, and a new access token and a new offline token come back.
    ///
    /// Sent once. When [`SsoError::server_may_have_acted`], the offline token may be used up.
    pub async fn refresh(
        &self,
        client_id: &str,
        offline_token: &Secret,
        scope: Option<&str>,
    ) -> Result<Issued, SsoError> {
        let mut fields =
            vec![("grant_type", "refresh_token"), ("client_id", client_id), ("refresh_token", offline_token.reveal())];
        // An empty scope is an error of its own, so it is left out.
        fields.extend(scope.map(|scope| ("scope", scope)));
        self.issue(&fields, Repeat::OnlyIfNothingWasDone(did_nothing)).await
    }

    /// Access token of a service account. Nothing is used up by it, so it is repeated as often as needed.
    pub async fn client_credentials(
        &self,
        client_id: &str,
        client_secret: &Secret,
        scope: &str,
    ) -> Result<Issued, SsoError> {
        // In the form, not in Basic: there a secret with special characters works only when it is form-encoded first.
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret.reveal()),
        ];
        fields.extend(Some(scope).filter(|scope| !scope.is_empty()).map(|scope| ("scope", scope)));
        self.issue(&fields, Repeat::Always).await
    }

    /// An authenticated call that must succeed. It neither uses anything up nor extends the session.
    pub async fn prove(&self, access_token: &Secret) -> Result<Proof, SsoError> {
        let answer = self.client.send(&Request::get(self.endpoint("userinfo")).bearer(access_token)?).await?;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        match answer.status() {
            // Where the client wants it signed, it comes as a JWT.
            200 if Claims::of(&Secret::new(answer.text())).is_some() => Ok(Proof::Full),
            200 => Ok(answer.expect_json::<UserInformation>().map(|_| Proof::Full)?),
            403 if challenge.contains("insufficient_scope") => Ok(Proof::WithoutSession),
            401 | 403 => Err(Refusal::of_proof(answer.status(), challenge).into()),
            _ => Err(self.no_answer_of_keycloak(&answer)),
        }
    }

    /// Revokes the session that a token belongs to, with every token of it.
    pub async fn revoke(&self, client_id: &str, token: &Secret) -> Result<Revocation, SsoError> {
        let fields = [("client_id", client_id), ("token", token.reveal()), ("token_type_hint", "refresh_token")];
        // Revoking what is revoked changes nothing, so it may be repeated.
        let answer = self.client.send(&Request::post_form(self.endpoint("revoke"), &fields, Repeat::Always)).await?;
        match answer.status() {
            200 if answer.is_empty() => Ok(Revocation::Done),
            // A dead token is answered with 200 as well, and with an error as the body.
            200 if answer.json::<ErrorBody>().is_some_and(|body| body.error == "invalid_token") => {
                Ok(Revocation::AlreadyDead)
            }
            _ => Err(self.refused(&answer)),
        }
    }

    async fn issue(&self, fields: &[(&str, &str)], repeat: Repeat) -> Result<Issued, SsoError> {
        let request = Request::post_form(self.token.clone(), fields, repeat);
        let asked_at = Utc::now();
        let answer = self.client.send(&request).await?;
        if answer.status() != 200 {
            return Err(self.refused(&answer));
        }
        let tokens: TokenBody = answer.expect_json()?;
        Ok(tokens.issued(asked_at, Utc::now()))
    }

    fn refused(&self, answer: &Answer) -> SsoError {
        match answer.json::<ErrorBody>() {
            Some(body) => Refusal::new(answer.status(), body.error, body.error_description).into(),
            None => self.no_answer_of_keycloak(answer),
        }
    }

    fn no_answer_of_keycloak(&self, answer: &Answer) -> SsoError {
        if is_starting(answer) {
            return Refusal::starting().into();
        }
        let why = match answer.status() {
            404 => "there is no Keycloak at this address; is the part before /realms right (many servers want /auth)?",
            429 => "the server or a proxy before it limits requests; try again later",
            500.. => "the server or a proxy before it failed; try again later",
            _ => "this is not what Red Hat SSO answers",
        };
        answer.unexpected(why).into()
    }

    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.token.clone();
        url.set_path(&format!("{}{name}", self.token.path().trim_end_matches("token")));
        url
    }
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: Secret,
    #[serde(default)]
    expires_in: i64,
    #[serde(default)]
    refresh_expires_in: i64,
    refresh_token: Option<Secret>,
    token_type: Option<String>,
    scope: Option<String>,
}

impl TokenBody {
    fn issued(self, asked_at: DateTime<Utc>, answered_at: DateTime<Utc>) -> Issued {
        let claims = Claims::of(&self.access_token).unwrap_or_default();
        // On a refresh with a narrower scope the answer's field goes on showing the full one; the token's claim is right.
        let scope = claims.scope.clone().or(self.scope).unwrap_or_default();
        let mut scope: Vec<String> = scope.split_whitespace().map(str::to_owned).collect();
        scope.sort_unstable();
        Issued {
            access_token: self.access_token,
            offline_token: self.refresh_token.filter(|token| !token.is_empty()),
            token_type: self.token_type.unwrap_or_else(|| "Bearer".to_owned()),
            expires_in: self.expires_in,
            offline_expires_in: self.refresh_expires_in,
            scope,
            clock_offset: claims.iat.map_or(0, |iat| offset(iat, asked_at, answered_at)),
            asked_at,
        }
    }
}

/// Of the user information what is always there. A login page or a proxy answers 200 as well.
#[derive(Deserialize)]
struct UserInformation {
    #[serde(rename = "sub")]
    _sub: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Seconds that the server is ahead, given the whole second in which it issued a token between these two of our times. Zero while that explains it.
fn offset(iat: i64, asked_at: DateTime<Utc>, answered_at: DateTime<Utc>) -> i64 {
    if iat < asked_at.timestamp() { iat - asked_at.timestamp() } else { (iat - answered_at.timestamp()).max(0) }
}

fn did_nothing(answer: &Answer) -> bool {
    is_starting(answer) || answer.status() == 429
}

/// From the moment its port is open until it is ready, the server says so to every request.
fn is_starting(answer: &Answer) -> bool {
    answer.status() == 503 && answer.text().contains("Bootstrap in progress")
}

const TOKEN_PATH: &str = "/protocol/openid-connect/token";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Connection;

    #[test]
    fn a_realm_is_known_by_its_token_endpoint() {
        let realm =
            Realm::new(client(), "https://sso.example.com/auth/realms/redhat-external/protocol/openid-connect/token/")
                .unwrap();
        assert_eq!(realm.name(), "redhat-external");
        assert_eq!(realm.issuer(), "https://sso.example.com/auth/realms/redhat-external");
        assert_eq!(realm.endpoint("revoke").path(), "/auth/realms/redhat-external/protocol/openid-connect/revoke");
    }

    #[test]
    fn other_addresses_are_refused_with_what_is_wrong() {
        let cases = [
            ("https://sso.redhat.com/auth/realms/redhat-external/protocol/openidconnect/token", "write openid-connect"),
            ("https://sso.redhat.com/auth/realms/redhat-external", "is no token endpoint"),
            ("sso.redhat.com", "cannot be used"),
        ];
        for (address, why) in cases {
            let error = Realm::new(client(), address).err().unwrap().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_clocks_differ_only_by_what_the_exchange_cannot_explain() {
        let (asked, answered) = (DateTime::from_timestamp(100, 0).unwrap(), DateTime::from_timestamp(103, 0).unwrap());
        for (iat, expected) in [(100, 0), (102, 0), (103, 0), (110, 7), (90, -10)] {
            assert_eq!(offset(iat, asked, answered), expected, "{iat}");
        }
    }

    #[test]
    fn the_scope_of_the_token_counts_not_that_of_the_answer() {
        // {"scope":"openid"}
        let body =
            r#"{"access_token":"e30.eyJzY29wZSI6Im9wZW5pZCJ9.c2ln","expires_in":899,"scope":"openid offline_access"}"#;
        let issued = serde_json::from_str::<TokenBody>(body).unwrap().issued(Utc::now(), Utc::now());
        assert_eq!(issued.scope, ["openid"]);
        assert_eq!(issued.token_type, "Bearer");
        assert!(issued.offline_token.is_none());
    }

    fn client() -> Client {
        Client::new(&Connection::default()).unwrap()
    }
}
