//! The shapes of a hub's answers.

use serde_json::{Value, json};

use super::state::Generation;
use crate::exchange::Answer;
use crate::random;

/// A refusal: what the `code` says, and which sentence goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotAuthenticated,
    AuthenticationFailed(&'static str),
    MethodNotAllowed(String),
    /// Of the gateway before the hub, which has a shape of its own.
    Gateway(&'static str),
    NoSuchPath,
}

impl Refusal {
    pub(super) fn answer(&self, generation: Generation) -> Answer {
        match self {
            Self::NotAuthenticated => refused(
                generation,
                &json!({ "code": "not_authenticated", "title": "Authentication credentials were not provided." }),
            ),
            Self::AuthenticationFailed(detail) => refused(
                generation,
                &json!({
                    "code": "authentication_failed",
                    "title": "Incorrect authentication credentials.",
                    "detail": detail,
                }),
            ),
            Self::MethodNotAllowed(method) => error(
                405,
                &json!({
                    "code": "method_not_allowed",
                    "title": "Method \"{method}\" not allowed.",
                    "detail": format!("Method \"{method}\" not allowed."),
                }),
            )
            .header("allow", "POST, DELETE, OPTIONS"),
            Self::Gateway(detail) => Answer::json(401, &json!({ "detail": detail })),
            Self::NoSuchPath => with_id(Answer::text(404, "text/html; charset=utf-8", NOT_FOUND)),
        }
    }
}

/// A success with a body.
pub(super) fn ok(body: &Value) -> Answer {
    with_id(Answer::json(200, body))
}

/// A success without one.
pub(super) fn empty() -> Answer {
    with_id(Answer::empty(204))
}

/// A path without the slash at its end.
pub(super) fn moved(to: &str) -> Answer {
    Answer::text(301, "text/html; charset=utf-8", "").header("location", to)
}

fn refused(generation: Generation, what: &Value) -> Answer {
    match generation {
        Generation::Old => error(403, what),
        Generation::New => error(401, what).header("www-authenticate", "Basic realm=\"api\""),
    }
}

/// The status stands in the body as text.
fn error(status: u16, what: &Value) -> Answer {
    let mut item = json!({ "status": status.to_string() });
    if let (Value::Object(item), Value::Object(what)) = (&mut item, what) {
        item.extend(what.clone());
    }
    with_id(Answer::json(status, &json!({ "errors": [item] })))
}

fn with_id(answer: Answer) -> Answer {
    answer.header("correlation-id", random::uuid().replace('-', ""))
}

const NOT_FOUND: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n";
