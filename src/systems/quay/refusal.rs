//! What Quay's refusals mean, and what to do about each.
//!
//! They come in several shapes, some of them JSON that is called `text/html`. The status alone says little: 400 is a missing robot as well as a bad
//! request, 403 a bad bearer as well as a missing right.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::QuayError;
use crate::http::{Answer, quotable};

/// A refusal in the server's words, with its meaning.
#[derive(Debug)]
pub struct Refusal {
    /// What it means.
    pub cause: Cause,
    status: u16,
    object: String,
    said: String,
}

/// What is behind a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The OAuth access token is missing, unknown, expired or revoked, or its user is disabled.
    BadToken,
    /// The same, or the token lacks the scope to say whose it is.
    UnknownUser,
    /// The token is good, and lacks the scope; or its user does not administer the namespace.
    NotAllowed,
    /// No such organization.
    NoOrganization,
    /// A user's name where an organization's belongs.
    NotAnOrganization,
    /// No such robot.
    NoRobot,
    /// The robot is there already.
    Exists,
    /// No robot can have this name.
    BadName,
    /// The server does not allow robots.
    RobotsDisallowed,
    /// A mirror uses the robot, so it cannot be deleted.
    UsedByMirror,
    /// The registry is in read-only mode. Nothing was done.
    ReadOnly,
    /// Too many requests. Nothing was done.
    Limited,
    /// No such robot to exchange a token for.
    UnknownRobot,
    /// The robot has no federation.
    NotFederated,
    /// The external token's issuer is none of the robot's.
    UnknownIssuer,
    /// The external token's subject is none of the robot's.
    WrongSubject,
    /// The external token is expired, altered or incomplete.
    BadExternalToken,
    /// The name of the robot is not of the form `NAMESPACE+SHORTNAME`.
    NoRobotName,
    /// Anything else.
    Other,
}

impl Refusal {
    /// The meaning of an answer, where it is a refusal of Quay's.
    pub(super) fn of(answer: &Answer, robot: Option<&str>) -> Option<Self> {
        let body: ErrorBody = answer.json().unwrap_or_default();
        let status = answer.status();
        let said = body.said();
        let cause = match status {
            429 => Cause::Limited,
            503 if body.is_readonly => Cause::ReadOnly,
            401 | 403 if said.is_empty() => return None,
            401 => Cause::BadToken,
            // Writing with a bad bearer falls through to the protection of browsers.
            403 if said.contains("CSRF") => Cause::BadToken,
            403 => Cause::NotAllowed,
            400 if !said.is_empty() => cause_of_bad_request(&said),
            _ => return None,
        };
        Some(Self { cause, status, object: robot.unwrap_or_default().to_owned(), said: quotable(&said) })
    }

    pub(super) fn about_the_user(mut self) -> Self {
        if self.cause == Cause::BadToken {
            self.cause = Cause::UnknownUser;
        }
        self
    }

    pub(super) fn no_organization(name: &str) -> Self {
        Self { cause: Cause::NoOrganization, status: 404, object: name.to_owned(), said: "not_found".to_owned() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.object;
        match self.cause {
            Cause::NoRobot | Cause::UnknownRobot if !name.is_empty() => {
                write!(formatter, "there is no robot {name}; ")?
            }
            Cause::NoOrganization => write!(formatter, "there is no organization {name}; ")?,
            _ => {}
        }
        write!(formatter, "{} (the server said: {}", self.cause.sentence(), self.status)?;
        if !self.said.is_empty() {
            write!(formatter, " {}", self.said)?;
        }
        formatter.write_str(")")
    }
}

impl std::error::Error for Refusal {}

impl Cause {
    /// What is the matter and what to do next.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadToken => {
                "quay_token is not accepted: it is unknown, expired or revoked, or its user is disabled; it has to be an OAuth access token of \
                 Quay (a robot's token is none)"
            }
            Self::UnknownUser => {
                "quay_token is not accepted, or lacks the scope user:admin, which a user's own robots need; name the organization if they belong to one"
            }
            Self::NotAllowed => {
                "quay_token is good, but not for this: it needs the scope org:admin and a user who administers the organization, or user:admin for \
                 the user's own robots, which a restricted user may look at only"
            }
            Self::NoOrganization => "check its name, which is case-sensitive",
            Self::NotAnOrganization => {
                "this is no organization: check its name, which is case-sensitive; for the robots of the user that quay_token belongs to leave \
                 organization out and name the robot short"
            }
            Self::NoRobot => "names are case-sensitive and without the namespace; create_robot: true makes it",
            Self::Exists => "the robot exists already",
            Self::BadName => {
                "no robot can have this name: small letters and digits, with single . _ - between them, 2 to 255 characters"
            }
            Self::RobotsDisallowed => "this Quay does not allow robots (ROBOTS_DISALLOW); ask its administrator",
            Self::UsedByMirror => {
                "a repository mirror uses this robot, so it cannot be deleted; give the mirror another robot first"
            }
            Self::ReadOnly => {
                "the registry is in read-only mode and nothing was changed; run the task again when that has ended"
            }
            Self::Limited => {
                "the server limits requests and nothing was changed; use a lower concurrency, or try again later"
            }
            Self::UnknownRobot => "names are case-sensitive, and its federation has to be there before",
            Self::NotFederated => {
                "the robot has no federation: an administrator has to add issuer and subject of the OIDC token to it"
            }
            Self::UnknownIssuer => {
                "the issuer of the OIDC token is none of the robot's federation; it has to be the same to the last character, also the last slash"
            }
            Self::WrongSubject => {
                "the subject (sub) of the OIDC token is not the one of the robot's federation for this issuer"
            }
            Self::BadExternalToken => "the OIDC token is expired, altered or incomplete; get a new one from its issuer",
            Self::NoRobotName => "the robot has to be named in full, such as acme+ci",
            Self::Other => "the server refuses the request",
        }
    }
}

/// The meaning of an answer to the exchange of an external token. `None`: it is none of the known ones.
pub(super) fn of_exchange(answer: &Answer, robot: &str) -> Option<QuayError> {
    let said = answer.json::<ErrorBody>().unwrap_or_default().said();
    let cause = match answer.status() {
        429 => Cause::Limited,
        401 if said == "Invalid robot" => Cause::NoRobotName,
        400 | 401 if said.contains("not have federated login") => Cause::NotFederated,
        400 if said.starts_with("Invalid token") || said.contains("not contain issuer") => Cause::BadExternalToken,
        400 if said.contains("issuer") => Cause::UnknownIssuer,
        400 if said.contains("does not match robot") => Cause::WrongSubject,
        400 if said.contains("Could not find robot") => Cause::UnknownRobot,
        400 | 401 if !said.is_empty() => Cause::Other,
        _ => return None,
    };
    Some(Refusal { cause, status: answer.status(), object: robot.to_owned(), said: quotable(&said) }.into())
}

/// What the registry says to a log-in that it refuses, for the middle of a sentence.
pub(super) fn registry_message(answer: &Answer) -> String {
    let body: RegistryErrors = answer.json().unwrap_or_default();
    let said = match body.errors.into_iter().next() {
        Some(error) => error.message,
        None => answer.json::<ErrorBody>().unwrap_or_default().said(),
    };
    if said.is_empty() { "no reason given".to_owned() } else { quotable(&said).trim_end_matches('.').to_owned() }
}

fn cause_of_bad_request(said: &str) -> Cause {
    const MEANINGS: [(&str, Cause); 6] = [
        ("Could not find robot", Cause::NoRobot),
        ("Organization does not exist", Cause::NotAnOrganization),
        ("Existing robot", Cause::Exists),
        ("is invalid", Cause::BadName),
        ("Robot accounts have been disabled", Cause::RobotsDisallowed),
        ("used by a mirror", Cause::UsedByMirror),
    ];
    MEANINGS.into_iter().find(|(words, _)| said.contains(words)).map_or(Cause::Other, |(_, cause)| cause)
}

/// All the shapes in one: which keys are there differs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    detail: Option<String>,
    error_message: Option<String>,
    error: Option<String>,
    message: Value,
    is_readonly: bool,
}

impl ErrorBody {
    fn said(&self) -> String {
        let text = self.detail.clone().or_else(|| self.error_message.clone()).or_else(|| self.error.clone());
        // A message can be an object as well.
        text.unwrap_or_else(|| match &self.message {
            Value::Null => String::new(),
            Value::String(message) => message.clone(),
            other => other.to_string(),
        })
    }
}

#[derive(Default, Deserialize)]
struct RegistryErrors {
    #[serde(default)]
    errors: Vec<RegistryError>,
}

#[derive(Deserialize)]
struct RegistryError {
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_a_request_is_known_by_its_words() {
        for (said, cause) in [
            ("Could not find robot with specified username", Cause::NoRobot),
            ("Organization does not exist: alice", Cause::NotAnOrganization),
            ("Existing robot with name: acme+ci", Cause::Exists),
            ("The name for the robot 'Upper' is invalid: Username must match", Cause::BadName),
            ("Robot accounts have been disabled. Please contact your administrator.", Cause::RobotsDisallowed),
            ("Robot is being used by a mirror", Cause::UsedByMirror),
            ("'subject' is a required property", Cause::Other),
        ] {
            assert_eq!(cause_of_bad_request(said), cause, "{said}");
        }
    }

    #[test]
    fn the_words_are_found_in_every_shape() {
        for body in [
            r#"{"detail": "Unauthorized", "error_message": "Unauthorized", "status": 403}"#,
            r#"{"error": "Unauthorized"}"#,
            r#"{"message": "Unauthorized"}"#,
        ] {
            assert_eq!(serde_json::from_str::<ErrorBody>(body).unwrap().said(), "Unauthorized", "{body}");
        }
        let nested = serde_json::from_str::<ErrorBody>(r#"{"message": {"limit": "no number"}}"#).unwrap();
        assert_eq!(nested.said(), r#"{"limit":"no number"}"#);
    }
}
