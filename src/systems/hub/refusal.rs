//! What a hub's refusals mean, and what to do about each.
//!
//! Old hubs answer 403 where newer ones answer 401; the `code` is the same in both. The platform gateway before a hub has a shape of its own.

use std::fmt;

use serde::Deserialize;

use crate::http::{Answer, quotable};

/// A refusal in the hub's words, with its meaning.
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
    /// A wrong password, a token that is dead or was never one, or a user that is not active.
    BadCredential,
    /// The credential was not even looked at: the hub does not know this kind.
    NoCredential,
    /// The user is known, and may not do this.
    NotAllowed,
    /// Nothing is at this address that a hub has.
    NoHub,
    /// Too many requests. Nothing was done.
    Limited,
    /// Anything else.
    Other,
}

impl Refusal {
    /// The meaning of an answer, where it is a refusal of the hub's or of the gateway before it.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        let status = answer.status();
        let body: ErrorBody = answer.json().unwrap_or_default();
        let ErrorItem { code, title, detail } = body.errors.into_iter().next().unwrap_or_default();
        let said = [detail, title, body.detail].into_iter().find(|said| !said.is_empty()).unwrap_or_default();
        let cause = match (status, code.as_str()) {
            // Whether anything was done is not known.
            (500.., _) => return None,
            (429, _) => Cause::Limited,
            (_, "authentication_failed") => Cause::BadCredential,
            (_, "not_authenticated") => Cause::NoCredential,
            (_, "permission_denied") => Cause::NotAllowed,
            // The gateway's shape, which has no code.
            (401, "") if !said.is_empty() => Cause::BadCredential,
            (404, _) => Cause::NoHub,
            (400.., code) if !code.is_empty() => Cause::Other,
            _ => return None,
        };
        Some(Self { cause, status, said: quotable(&said) })
    }

    /// The hub's own sentence.
    pub fn said(&self) -> &str {
        &self.said
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.cause.sentence())?;
        match self.said.as_str() {
            "" => write!(formatter, " (the hub said: {})", self.status),
            said => write!(formatter, " (the hub said: {} {said})", self.status),
        }
    }
}

impl std::error::Error for Refusal {}

impl Cause {
    /// What is the matter and what to do next.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadCredential => {
                "the hub does not accept the credential: a wrong user name or password, a token that was replaced or deleted, or a user that is not active"
            }
            Self::NoCredential => {
                "the hub does not take this kind of credential: a hub of its own takes ah_username with ah_password or its own ah_token, one behind the \
                 platform gateway takes a gateway_token at the gateway's address"
            }
            Self::NotAllowed => "the hub knows the user, who may not do this; ask its administrator",
            Self::NoHub => "there is no hub at this address; are ah_host and ah_path_prefix right?",
            Self::Limited => "the hub limits requests and nothing was changed; try again later",
            Self::Other => "the hub refuses the request",
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    errors: Vec<ErrorItem>,
    detail: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorItem {
    code: String,
    title: String,
    detail: String,
}
