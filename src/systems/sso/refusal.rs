//! What the server's refusals mean, and what to do about each.

use std::fmt;

/// A refusal in the server's words, with its meaning.
#[derive(Debug)]
pub struct Refusal {
    /// What it means.
    pub cause: Cause,
    status: u16,
    error: String,
    description: String,
}

impl Refusal {
    pub(super) fn new(status: u16, error: String, description: String) -> Self {
        Self { cause: cause(&error, &description), status, error, description }
    }

    pub(super) fn starting() -> Self {
        Self {
            cause: Cause::Starting,
            status: 503,
            error: "Bootstrap in progress".to_owned(),
            description: String::new(),
        }
    }

    pub(super) fn of_proof(status: u16, challenge: &str) -> Self {
        let part = |name: &str| {
            let (_, after) = challenge.split_once(&format!("{name}=\""))?;
            after.split_once('"').map(|(value, _)| value.to_owned())
        };
        let error = part("error").unwrap_or_else(|| "no reason given".to_owned());
        Self {
            cause: Cause::AccessTokenRefused,
            status,
            error,
            description: part("error_description").unwrap_or_default(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (the server said: {} {}", self.cause.sentence(), self.status, self.error)?;
        if !self.description.is_empty() {
            write!(formatter, ", {}", self.description)?;
        }
        formatter.write_str(")")
    }
}

impl std::error::Error for Refusal {}

/// What is behind a refusal. The server has many sentences for one cause and one sentence for many causes; this is as fine as they can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No offline token that this realm knows.
    NoTokenOfThisRealm,
    /// Past its own end.
    Expired,
    /// The session is gone: unused for too long, revoked, logged out, or its user deleted.
    SessionGone,
    /// The session was killed by a replay, or was unused for longer than the client allows.
    SessionKilled,
    /// The token was used already, and rotation is on.
    Replayed,
    /// Older than a "not before" that an administrator pushed, or overtaken by a newer token of its session.
    Stale,
    /// The user is disabled.
    UserDisabled,
    /// The user or the client may not have offline tokens any more.
    OfflineAccessTakenAway,
    /// Issued to another client.
    OtherClient,
    /// The server's public address is another than when the token was made.
    OtherIssuer,
    /// There is no such client, or it is disabled.
    UnknownClient,
    /// The client exists; its secret is wrong or missing.
    WrongSecret,
    /// The client has no service account.
    NoServiceAccount,
    /// The service account's own user is disabled.
    ServiceAccountDisabled,
    /// A scope that the client does not have.
    WrongScope,
    /// The realm wants https.
    HttpsRequired,
    /// The realm is disabled.
    RealmDisabled,
    /// No such realm.
    NoSuchRealm,
    /// No such protocol path.
    WrongPath,
    /// The server is still starting.
    Starting,
    /// An access token was not accepted.
    AccessTokenRefused,
    /// Anything else.
    Other,
}

impl Cause {
    /// What is the matter and what to do next.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoTokenOfThisRealm => {
                "the server does not know this offline token: it is cut or altered, of another realm, or signed with a key that is gone; \
                 compare token_url with where the token was made, copy the token anew, or get a new one"
            }
            Self::Expired => {
                "the offline token is past its end: the realm limits offline sessions, and the newest token was not stored in time; \
                 get a new offline token and let offline_token_file keep it"
            }
            Self::SessionGone => {
                "the offline token is dead: it was not used for longer than the server allows (30 days at Red Hat), or it was revoked; \
                 get a new offline token"
            }
            Self::SessionKilled => {
                "the offline token is dead: an older copy of it was used again, or it was not used for longer than its client allows; \
                 get a new offline token and let one host alone use it"
            }
            Self::Replayed => {
                "the offline token had been used before, and this server lets each be used only once (rotation): another host or an older \
                 copy used it, or the answer to an earlier use was lost; the session is dead now: get a new offline token"
            }
            Self::Stale => {
                "the offline token is out of date: a newer one of its session was used, or an administrator logged the user out or pushed a \
                 \"not before\" (which can be taken back); use the newest token, or get a new one"
            }
            Self::UserDisabled => {
                "the user of the offline token is disabled; keep the token, it works again when the user is enabled"
            }
            Self::OfflineAccessTakenAway => {
                "the user or the client may not use offline tokens any more (offline_access was taken away); keep the token, it works again \
                 when that is given back"
            }
            Self::OtherClient => {
                "the offline token was issued to another client; leave client_id out, then the client that the token names is used"
            }
            Self::OtherIssuer => {
                "the server has another public address than when the token was made; use the address that the token names, or get a new one"
            }
            Self::UnknownClient => {
                "there is no such client in this realm, or it is disabled; check client_id and token_url"
            }
            Self::WrongSecret => {
                "the client secret is wrong or missing, or was made anew in the meantime; check client_secret, and that client_id is the \
                 service account's"
            }
            Self::NoServiceAccount => {
                "this client is no service account, so client_secret is of no use with it; check client_id"
            }
            Self::ServiceAccountDisabled => "the service account is disabled; ask the administrator of the realm",
            Self::WrongScope => "a scope was asked for that this client does not have; check scope",
            Self::HttpsRequired => "the realm wants https; write https in token_url",
            Self::RealmDisabled => "the realm is disabled; ask its administrator",
            Self::NoSuchRealm => {
                "there is no such realm on this server; check token_url, in which upper and lower case matter"
            }
            Self::WrongPath => "the server has no such protocol; token_url ends with /protocol/openid-connect/token",
            Self::Starting => "the server is still starting; try again in a minute",
            Self::AccessTokenRefused => "the server does not accept the access token",
            Self::Other => "the server refused the request",
        }
    }

    /// Whether a token that is answered in this way is dead for good.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::SessionGone | Self::SessionKilled | Self::Replayed)
    }
}

fn cause(error: &str, description: &str) -> Cause {
    match (error, description) {
        ("invalid_grant", "Invalid refresh token") => Cause::NoTokenOfThisRealm,
        ("invalid_grant", "Token is not active") => Cause::Expired,
        ("invalid_grant", "Offline user session not found" | "Session not active") => Cause::SessionGone,
        ("invalid_grant", "Session doesn't have required client") => Cause::SessionKilled,
        ("invalid_grant", "Maximum allowed refresh token reuse exceeded") => Cause::Replayed,
        ("invalid_grant", "Stale token") => Cause::Stale,
        ("invalid_grant", "User disabled") => Cause::UserDisabled,
        ("invalid_grant", text) if text.contains("offline access not granted") => Cause::OfflineAccessTakenAway,
        ("invalid_grant", text) if text.contains("client and authorized client don't match") => Cause::OtherClient,
        ("invalid_grant", text) if text.starts_with("Invalid token issuer") => Cause::OtherIssuer,
        ("invalid_request", "Unmatching clients") => Cause::OtherClient,
        // A value of more than 4000 characters is dropped on the way in.
        ("invalid_request", "No refresh token" | "Token not provided") => Cause::NoTokenOfThisRealm,
        ("invalid_request", "HTTPS required") => Cause::HttpsRequired,
        ("invalid_request", text) if text.starts_with("User 'service-account-") => Cause::ServiceAccountDisabled,
        ("unauthorized_client", text) if text.ends_with("to retrieve service account") => Cause::NoServiceAccount,
        ("unauthorized_client", _) => Cause::WrongSecret,
        ("invalid_client", _) => Cause::UnknownClient,
        ("invalid_scope", _) => Cause::WrongScope,
        ("access_denied", "Realm not enabled") => Cause::RealmDisabled,
        ("Realm does not exist", _) => Cause::NoSuchRealm,
        ("Protocol not found", _) => Cause::WrongPath,
        _ => Cause::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_refusal_has_its_meaning() {
        let cases = [
            ("invalid_grant", "Invalid refresh token", Cause::NoTokenOfThisRealm),
            ("invalid_grant", "Token is not active", Cause::Expired),
            ("invalid_grant", "Offline user session not found", Cause::SessionGone),
            ("invalid_grant", "Session doesn't have required client", Cause::SessionKilled),
            ("invalid_grant", "Session not active", Cause::SessionGone),
            ("invalid_grant", "Maximum allowed refresh token reuse exceeded", Cause::Replayed),
            ("invalid_grant", "Stale token", Cause::Stale),
            ("invalid_grant", "User disabled", Cause::UserDisabled),
            (
                "invalid_grant",
                "Offline session invalid because offline access not granted anymore",
                Cause::OfflineAccessTakenAway,
            ),
            (
                "invalid_grant",
                "Invalid refresh token. Token client and authorized client don't match",
                Cause::OtherClient,
            ),
            ("invalid_grant", "Invalid token issuer. Expected 'https://other/realms/r'", Cause::OtherIssuer),
            ("invalid_grant", "a sentence of another release", Cause::Other),
            ("invalid_client", "Invalid client or Invalid client credentials", Cause::UnknownClient),
            ("unauthorized_client", "Invalid client or Invalid client credentials", Cause::WrongSecret),
            ("unauthorized_client", "Public client not allowed to retrieve service account", Cause::NoServiceAccount),
            ("unauthorized_client", "Client not enabled to retrieve service account", Cause::NoServiceAccount),
            ("invalid_request", "User 'service-account-x' disabled", Cause::ServiceAccountDisabled),
            ("invalid_request", "No refresh token", Cause::NoTokenOfThisRealm),
            ("invalid_request", "Unmatching clients", Cause::OtherClient),
            ("invalid_scope", "Invalid scopes: nonsense", Cause::WrongScope),
            ("access_denied", "Realm not enabled", Cause::RealmDisabled),
            ("invalid_request", "HTTPS required", Cause::HttpsRequired),
            ("Realm does not exist", "", Cause::NoSuchRealm),
            ("Protocol not found", "", Cause::WrongPath),
            ("HTTP 405 Method Not Allowed", "", Cause::Other),
        ];
        for (error, description, expected) in cases {
            let refusal = Refusal::new(400, error.into(), description.into());
            assert_eq!(refusal.cause, expected, "{error} {description}");
            assert!(refusal.to_string().contains(&format!("the server said: 400 {error}")), "{refusal}");
        }
    }

    #[test]
    fn a_challenge_tells_why_an_access_token_was_refused() {
        let challenge = r#"Bearer realm="r", error="invalid_token", error_description="user_session_not_found""#;
        let refusal = Refusal::of_proof(401, challenge);
        assert!(
            refusal.to_string().ends_with("(the server said: 401 invalid_token, user_session_not_found)"),
            "{refusal}"
        );
        assert!(Refusal::of_proof(401, "").to_string().contains("no reason given"));
    }
}
