//! The one JSON object that a run prints.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Map, Value};

use super::Outcome;
use crate::secret::{Scrubber, Secret};

/// The result on its way out.
pub(super) struct Report {
    result: Map<String, Value>,
    secrets: Vec<(String, Secret)>,
}

impl Report {
    /// A result that fails before any module ran.
    pub(super) fn failure(message: impl Into<String>) -> Self {
        let result = Map::from_iter([
            ("changed".to_owned(), Value::Bool(false)),
            ("failed".to_owned(), Value::Bool(true)),
            ("msg".to_owned(), Value::String(message.into())),
        ]);
        Self { result, secrets: Vec::new() }
    }

    /// The result of a module.
    pub(super) fn new(outcome: Outcome, with_diff: bool) -> Self {
        let mut result = outcome.returned;
        result.insert("changed".to_owned(), Value::Bool(outcome.changed));
        if let Some(error) = outcome.failure {
            result.insert("failed".to_owned(), Value::Bool(true));
            result.insert("msg".to_owned(), Value::String(format!("{error:#}")));
        }
        if let Some(diff) = outcome.diff.filter(|_| with_diff) {
            result.insert("diff".to_owned(), diff);
        }
        Self { result, secrets: outcome.secrets }
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, sentence: String) {
        if let Value::Array(warnings) = self.result.entry("warnings").or_insert_with(|| Value::Array(Vec::new())) {
            warnings.push(Value::String(sentence));
        }
    }

    /// Adds the arguments that the module was called with, secrets replaced.
    pub(super) fn invoked_with(&mut self, module_args: Map<String, Value>) {
        let invocation = Map::from_iter([("module_args".to_owned(), Value::Object(module_args))]);
        self.result.insert("invocation".to_owned(), Value::Object(invocation));
    }

    /// Removes secrets from the messages, which may quote a server. Tokens that are returned are not touched: they come in when this is printed.
    pub(super) fn scrub(&mut self, scrubber: &Scrubber) {
        scrub_messages(&mut self.result, scrubber);
    }

    /// Prints it. Where nobody takes it, nothing more is said, but the status tells that the result is lost.
    pub(super) fn print(mut self) -> ExitCode {
        let failed = self.result.get("failed") == Some(&Value::Bool(true));
        if !self.secrets.is_empty() {
            self.result.insert(SECRET_MARK.to_owned(), Value::Bool(true));
        }
        let mut result = Value::Object(self.result);
        for (place, secret) in self.secrets {
            insert(&mut result, &place, Value::String(secret.reveal().to_owned()));
        }
        let mut text = result.to_string();
        text.push('\n');
        let mut output = io::stdout().lock();
        let printed = output.write_all(text.as_bytes()).and_then(|()| output.flush());
        if failed || printed.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Those of the result and of the rows in its lists.
fn scrub_messages(object: &mut Map<String, Value>, scrubber: &Scrubber) {
    for (key, value) in object {
        match value {
            Value::String(message) if key == "msg" => *message = scrubber.scrub(message),
            Value::Array(rows) => {
                for row in rows.iter_mut().filter_map(Value::as_object_mut) {
                    scrub_messages(row, scrubber);
                }
            }
            _ => {}
        }
    }
}

/// A secret for which the result has no place is an error of ours; it then stands at the top, as it must not be lost.
fn insert(result: &mut Value, place: &str, value: Value) {
    let (row, name) = place.rsplit_once('/').unwrap_or(("", place));
    let pointer = if row.is_empty() { String::new() } else { format!("/{row}") };
    match result.pointer_mut(&pointer).filter(|object| object.is_object()) {
        Some(object) => object[name] = value,
        None => result[place] = value,
    }
}

/// The action plugin takes this key out and censors the result.
const SECRET_MARK: &str = "_tokensmith_secret";
