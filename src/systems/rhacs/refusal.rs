//! What Central's refusals mean, and what to do about each.
//!
//! All come in one shape, with a number of gRPC and a sentence. Neither the number nor the status tells enough: 400 is an unknown id as well as a bad
//! credential, and 500 is also a token that is gone.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

use super::{Revocation, RhacsError};
use crate::http::Answer;

/// A refusal in Central's words, with its meaning.
#[derive(Debug)]
pub struct Refusal {
    /// What it means.
    pub cause: Cause,
    pub(super) ended: Option<DateTime<Utc>>,
    status: u16,
    said: String,
}

/// What is behind a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The credential is missing, or unknown, expired, revoked or cut; which of these, Central does not say.
    BadCredential,
    /// The credential is good and has no role that still exists.
    NoValidRole,
    /// The credential is good, and a permission is missing.
    NotAllowed,
    /// The token that is asked for would be allowed more than its caller.
    Escalation,
    /// Some of the roles do not exist.
    UnknownRoles,
    /// No token with this id.
    NoToken,
    /// No call of this name; Central may be too old for it.
    NoSuchCall,
    /// The end that is asked for is past.
    EndIsPast,
    /// Too many requests. Nothing was done.
    Limited,
    /// Plain http was spoken to a port of https.
    HttpsRequired,
    /// The OIDC token is no JWT, or without an issuer.
    NoOidcToken,
    /// No machine access is configured for the issuer.
    UnknownIssuer,
    /// The OIDC token is expired, altered, or for another audience.
    BadOidcToken,
    /// No mapping of the configuration fits the OIDC token.
    NoMapping,
    /// Anything else.
    Other,
}

impl Refusal {
    /// The meaning of an answer, where it is a refusal of Central's.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        let status = answer.status();
        let said = said(answer);
        let cause = match status {
            429 => Cause::Limited,
            400 if answer.text().contains("HTTP request to an HTTPS server") => Cause::HttpsRequired,
            _ if said.is_empty() => return None,
            // A bearer that is no JWT is 400 with these words on most installations.
            400 | 401 if said.starts_with("credentials not found") => Cause::BadCredential,
            401 if said.contains("no valid role") => Cause::NoValidRole,
            401 => Cause::BadCredential,
            403 if said.contains("credentials not found") => Cause::BadCredential,
            403 if said.contains("requested access is") => Cause::Escalation,
            403 => Cause::NotAllowed,
            400 if said.contains("don't exist") => Cause::UnknownRoles,
            400 if said.contains("does not exist") => Cause::NoToken,
            400 if said.contains("in the past") => Cause::EndIsPast,
            404 | 501 => Cause::NoSuchCall,
            400 => Cause::Other,
            // Whether anything was done is not known.
            _ => return None,
        };
        Some(Self { cause, ended: None, status, said })
    }

    /// Central's own sentence.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// In one line. The list of an escalation has a line for each resource, in no order.
    fn in_short(&self) -> String {
        if self.cause == Cause::Escalation {
            let names = self.said.split("resource=").skip(1).filter_map(|line| line.split(',').next());
            let names: BTreeSet<&str> = names.collect();
            return format!("not authorized for {}", Vec::from_iter(names).join(", "));
        }
        let words = self.said.split_whitespace().collect::<Vec<_>>().join(" ");
        match words.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &words[..end]),
            None => words,
        }
    }

    /// Whether it is the credential that is not accepted, whatever was asked for.
    pub(super) fn is_of_credential(&self) -> bool {
        matches!(self.cause, Cause::BadCredential | Cause::NoValidRole)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ended {
            Some(end) => {
                let end = end.to_rfc3339_opts(SecondsFormat::Secs, true);
                write!(formatter, "the credential is not accepted: it ended at {end}; get a new one")?;
            }
            None => formatter.write_str(self.cause.sentence())?,
        }
        write!(formatter, " (Central said: {} {})", self.status, self.in_short())
    }
}

impl std::error::Error for Refusal {}

impl Cause {
    /// What is the matter and what to do next.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadCredential => {
                "the credential is not accepted: it is missing, unknown, expired, revoked or cut; Central does not say which (its log may)"
            }
            Self::NoValidRole => {
                "the token is good, but none of its roles exists any more; make the role again, or a token with other roles"
            }
            Self::NotAllowed => {
                "the credential is good, but lacks a permission: tokens are generated with read access to Access and write access to Integration, and listed \
                 with read access to Integration"
            }
            Self::Escalation => {
                "the token would be allowed more than the credential that asks for it; ask for other roles, or with another credential"
            }
            Self::UnknownRoles => "some of the roles do not exist; their names are case-sensitive",
            Self::NoToken => "Central does not know this token",
            Self::NoSuchCall => "this Central has no such call; it may be too old for it",
            Self::EndIsPast => "the expiration is past; check it, and this host's clock",
            Self::Limited => "Central limits requests and nothing was changed; try again later",
            Self::HttpsRequired => "this port speaks https; write https:// in rhacs_host",
            Self::NoOidcToken => {
                "the OIDC token is no JWT with an issuer; it has to be one that the identity provider signed for this job"
            }
            Self::UnknownIssuer => {
                "Central has no machine access configured for the issuer of the OIDC token (or could not reach the issuer when it was started)"
            }
            Self::BadOidcToken => {
                "the OIDC token is expired, altered, or for another audience; get a new one from its issuer"
            }
            Self::NoMapping => "no mapping of Central's machine access fits the OIDC token, so it would have no role",
            Self::Other => "Central refuses the request",
        }
    }
}

/// A revocation of what is gone is an internal error with a sentence that names the id. Every other one is a failure.
pub(super) fn of_revocation(answer: &Answer, id: &str) -> Option<Revocation> {
    let is_gone = answer.status() == 500 && said(answer) == format!("token with id '{id}' does not exist");
    is_gone.then_some(Revocation::AlreadyGone)
}

/// The meaning of an answer to the exchange of a machine's token. `None`: it is none of the known ones.
pub(super) fn of_exchange(answer: &Answer) -> Option<RhacsError> {
    let said = said(answer);
    let cause = match answer.status() {
        400 if said.starts_with("ID token could not be parsed") || said.starts_with("empty issuer") => {
            Cause::NoOidcToken
        }
        401 if said.contains("is not configured") => Cause::UnknownIssuer,
        401 if said.starts_with("ID token is invalid") => Cause::BadOidcToken,
        401 if said.starts_with("resolving roles") => Cause::NoMapping,
        400 if said.starts_with("creating claims") => Cause::NoOidcToken,
        _ => return None,
    };
    Some(Refusal { cause, ended: None, status: answer.status(), said }.into())
}

fn said(answer: &Answer) -> String {
    let body: ErrorBody = answer.json().unwrap_or_default();
    if body.message.is_empty() { body.error } else { body.message }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: String,
    error: String,
}

/// How much of Central's words is shown, in characters.
const LONGEST: usize = 300;
