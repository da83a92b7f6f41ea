//! What the platform's refusals mean, and what to do about each.
//!
//! The gateway says the same sentence to a wrong token as to none, and tells them apart in a header; the controller tells nothing at all.

use std::fmt;

use serde_json::{Map, Value};

use crate::http::{Answer, quotable};

/// A refusal in the server's words, with its meaning.
#[derive(Debug)]
pub struct Refusal {
    /// What it means.
    pub cause: Cause,
    status: u16,
    said: String,
}

/// What is behind a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// User name and password do not fit, or this user has no password here.
    BadPassword,
    /// The token is unknown: deleted, mistyped, or of another server.
    BadToken,
    /// The token was good, and has ended.
    ExpiredToken,
    /// The credential is not accepted, and the server does not say why.
    NotAuthenticated,
    /// The credential is good, and its scope or its user's permissions are too small.
    NotAllowed,
    /// Users of an external identity provider may not have tokens.
    ExternalUser,
    /// No object of this id.
    NoSuchObject,
    /// The scope is none of this server's.
    BadScope,
    /// The application does not exist.
    BadApplication,
    /// Too many requests. Nothing was done.
    Limited,
    /// Anything else.
    Other,
}

impl Refusal {
    /// The meaning of an answer, where it is a refusal of the platform's.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        let status = answer.status();
        let body: Map<String, Value> = answer.json().unwrap_or_default();
        let said = said(&body);
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let cause = match status {
            429 => Cause::Limited,
            _ if said.is_empty() => return None,
            401 if challenge.contains("has expired") => Cause::ExpiredToken,
            401 if challenge.contains("invalid_token") => Cause::BadToken,
            401 if said.contains("username/password") => Cause::BadPassword,
            401 => Cause::NotAuthenticated,
            403 if said.contains("external authentication provider") => Cause::ExternalUser,
            403 => Cause::NotAllowed,
            404 if said.contains("matches the given query") || said == "Not found." => Cause::NoSuchObject,
            400 if body.contains_key("scope") => Cause::BadScope,
            400 if body.contains_key("application") => Cause::BadApplication,
            400 | 404 | 405 | 415 => Cause::Other,
            // Whether anything was done is not known.
            _ => return None,
        };
        Some(Self { cause, status, said })
    }

    /// Of an API that does not say who its caller is.
    pub(super) fn nobody() -> Self {
        Self { cause: Cause::Other, status: 200, said: "no user".to_owned() }
    }

    /// The server's own sentence.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Whether it is the credential that is not accepted, whatever was asked for.
    pub(super) fn is_of_credential(&self) -> bool {
        matches!(self.cause, Cause::BadPassword | Cause::BadToken | Cause::ExpiredToken | Cause::NotAuthenticated)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.said.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(formatter, "{} (the server said: {} {said})", self.cause.sentence(), self.status)
    }
}

impl std::error::Error for Refusal {}

impl Cause {
    /// What is the matter and what to do next.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadPassword => {
                "the user name or the password is wrong; users of an external identity provider have no password here, and need a token"
            }
            Self::BadToken => {
                "the token that the API is called with is not known here: it was deleted, or it is of another server (the gateway's and the controller's \
                 tokens differ)"
            }
            Self::ExpiredToken => {
                "the token that the API is called with has ended; log in with a password, or get a new token"
            }
            Self::NotAuthenticated => {
                "the credential is not accepted: it is wrong, deleted or ended, or passwords are switched off for this API; the server does not say which"
            }
            Self::NotAllowed => {
                "the credential is good, but may not do this: its scope is too small (a read token changes nothing), or its user lacks the permission \
                 (tokens of applications need an administrator)"
            }
            Self::ExternalUser => {
                "this user comes from an external identity provider, and the platform's settings do not let such users have tokens; use a local user, or have \
                 the setting for external users changed"
            }
            Self::NoSuchObject => "there is none of this id, or the caller may not know of it",
            Self::BadScope => "the scope is not one of this server's; releases differ",
            Self::BadApplication => "the application does not exist, or the caller may not use it",
            Self::Limited => "the server limits requests and nothing was changed; try again later",
            Self::Other => "the server refuses the request",
        }
    }
}

/// The sentences of all fields: `{"detail": …}`, `{"FIELD": ["…"]}`, `{"__all__": ["…"]}`.
fn said(body: &Map<String, Value>) -> String {
    let sentences = body.iter().flat_map(|(field, value)| {
        let texts: Vec<&str> = match value {
            Value::String(text) => vec![text],
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is_general = matches!(field.as_str(), "detail" | "__all__" | "error" | "msg");
        texts.into_iter().map(move |text| if is_general { text.to_owned() } else { format!("{field}: {text}") })
    });
    quotable(&sentences.collect::<Vec<_>>().join(" "))
}
