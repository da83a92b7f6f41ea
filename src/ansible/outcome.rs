//! What a module did.

use anyhow::Error;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::secret::Secret;

/// The outcome of a module: what it returns, and whether anything lasting was changed.
#[derive(Debug, Default)]
pub struct Outcome {
    pub(super) changed: bool,
    pub(super) failure: Option<Error>,
    pub(super) returned: Map<String, Value>,
    /// By their place in the result, as a JSON pointer without its first slash.
    pub(super) secrets: Vec<(String, Secret)>,
    pub(super) diff: Option<Value>,
}

impl Outcome {
    /// An outcome that returns these values. None of them may be a secret; the type of secrets sees to that.
    pub fn new(returned: &impl Serialize) -> Self {
        let returned = match serde_json::to_value(returned) {
            Ok(Value::Object(returned)) => returned,
            _ => Map::new(),
        };
        Self { returned, ..Self::default() }
    }

    /// Whether anything that lasts was changed (in check mode: would be).
    pub fn changed(mut self, changed: bool) -> Self {
        self.changed = changed;
        self
    }

    /// Returns a secret. The action plugin then censors the whole result in output, logs and events; the registered variable has it.
    pub fn secret(self, name: &str, secret: &Secret) -> Self {
        self.secret_at(name.to_owned(), secret)
    }

    /// The same inside of a row of a returned list.
    pub fn secret_in(self, list: &str, row: usize, name: &str, secret: &Secret) -> Self {
        self.secret_at(format!("{list}/{row}/{name}"), secret)
    }

    fn secret_at(mut self, place: String, secret: &Secret) -> Self {
        self.secrets.push((place, secret.clone()));
        self
    }

    /// What `--diff` shows: fingerprints, ids and dates.
    pub fn diff(mut self, before: &impl Serialize, after: &impl Serialize) -> Self {
        self.diff = Some(json!({ "before": before, "after": after }));
        self
    }

    /// The task failed after something was done: the error, with all that must not be lost.
    pub fn failed(mut self, error: Error) -> Self {
        self.failure = Some(error);
        self
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::default().failed(error)
    }
}
