//! The shapes of Central's answers.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use serde_json::{Value, json};

use super::state::{Release, State};
use crate::exchange::Answer;

/// A status of gRPC and a text: what becomes the body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// The statuses of gRPC that Central answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidArgument = 3,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    fn status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
        }
    }

    /// What is not known counts as an internal error.
    pub(crate) fn of(number: u8) -> Self {
        let known = [
            Self::InvalidArgument,
            Self::NotFound,
            Self::PermissionDenied,
            Self::ResourceExhausted,
            Self::Unimplemented,
            Self::Unavailable,
            Self::Unauthenticated,
        ];
        known.into_iter().find(|code| *code as u8 == number).unwrap_or(Self::Internal)
    }
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A refused input.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// What Central says of most inputs it refuses itself.
    pub(crate) fn invalid_arguments(message: &str) -> Self {
        Self::invalid(format!("{message}: invalid arguments"))
    }

    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Code::Unauthenticated, message)
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(Code::NotFound, "Not Found")
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(Code::Unimplemented, "Method Not Allowed")
    }

    /// The release decides the order of the keys.
    pub(crate) fn answer(&self, release: Release, spacing: Spacing) -> Answer {
        let (code, message) = (self.code as u8, &self.message);
        let body = if release < (4, 6, 0) {
            json!({ "error": message, "code": code, "message": message, "details": [] })
        } else {
            json!({ "code": code, "message": message, "details": [], "error": message })
        };
        let answer = with_headers(Answer::text(self.code.status(), JSON, spacing.write(&body)));
        match self.code {
            Code::Unauthenticated => answer.header("www-authenticate", message),
            _ => answer,
        }
    }
}

/// A success.
pub(crate) fn ok(state: &State, body: &Value, is_pretty: bool) -> Answer {
    let text = if is_pretty { pretty(body) } else { state.spacing.write(body) };
    with_headers(Answer::text(200, JSON, text)).header("grpc-metadata-content-type", "application/grpc")
}

/// How this build of the server spaces its JSON, so that nobody compares bytes.
#[derive(Clone, Copy, Debug)]
pub struct Spacing {
    /// A blank behind each comma.
    pub after_comma: bool,
    /// A blank behind each colon.
    pub after_colon: bool,
    /// A no-break space behind the word `proto:` in messages.
    pub no_break: bool,
}

impl Spacing {
    pub(crate) fn of(bits: u8) -> Self {
        Self { after_comma: bits & 1 != 0, after_colon: bits & 2 != 0, no_break: bits & 4 != 0 }
    }

    /// A complaint of the JSON parser.
    pub(crate) fn proto(self, message: &str) -> Refusal {
        Refusal::invalid(format!("proto:{}{message}", if self.no_break { '\u{a0}' } else { ' ' }))
    }

    fn write(self, body: &Value) -> String {
        let mut text = Vec::new();
        let _ = body.serialize(&mut Serializer::with_formatter(&mut text, Spaced(self)));
        String::from_utf8_lossy(&text).into_owned()
    }
}

struct Spaced(Spacing);

impl Spaced {
    fn comma<W: ?Sized + Write>(&self, writer: &mut W, is_first: bool) -> io::Result<()> {
        match (is_first, self.0.after_comma) {
            (true, _) => Ok(()),
            (false, true) => writer.write_all(b", "),
            (false, false) => writer.write_all(b","),
        }
    }
}

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        self.comma(writer, is_first)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        self.comma(writer, is_first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object_value(writer)?;
        if self.0.after_colon { writer.write_all(b" ") } else { Ok(()) }
    }
}

fn pretty(body: &Value) -> String {
    let mut text = Vec::new();
    let _ = body.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::new()));
    String::from_utf8_lossy(&text).into_owned()
}

fn with_headers(answer: Answer) -> Answer {
    answer.header("cache-control", "no-store, no-cache").header("vary", "Accept-Encoding")
}

const JSON: &str = "application/json";
