//! The inputs of a credential: what may be sent, what a mask stands for, and what is shown.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::objects::CredentialType;
use crate::exchange::Answer;
use crate::platform::answers;
use crate::random;

/// What is stored: the values in clear, and beside each encrypted one what the database has of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inputs {
    values: Map<String, Value>,
    ciphertexts: BTreeMap<String, String>,
}

impl Inputs {
    /// Of a new credential. A mask is no secret, but what only begins like one is stored as it is.
    pub(crate) fn new(kind: &CredentialType, sent: &Map<String, Value>) -> Result<Self, Answer> {
        if let Some(name) =
            sent.iter().find(|(name, value)| kind.is_secret(name) && is_mask(value)).map(|(name, _)| name)
        {
            return Err(refusal(json!([format!("{MASK} is a reserved keyword, and cannot be used for {name}.")])));
        }
        kind.check(sent)?;
        let mut inputs = Self::default();
        for (name, value) in sent {
            inputs.set(kind, name, value);
        }
        Ok(inputs)
    }

    /// The whole map anew: what is not sent is gone. A mask stands for the stored secret; without one, and for what only
    /// begins like a mask, the server breaks.
    pub(crate) fn replaced(&self, kind: &CredentialType, sent: &Map<String, Value>) -> Result<Self, Answer> {
        let begins_like_a_mask = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(MASK));
        if sent.iter().any(|(name, value)| kind.is_secret(name) && begins_like_a_mask(value) && !is_mask(value)) {
            return Err(answers::server_error());
        }
        kind.check(sent)?;
        let mut inputs = Self::default();
        for (name, value) in sent {
            if !kind.is_secret(name) || !is_mask(value) {
                inputs.set(kind, name, value);
                continue;
            }
            let Some(stored) = self.values.get(name) else { return Err(answers::server_error()) };
            inputs.values.insert(name.clone(), stored.clone());
            if let Some(ciphertext) = self.ciphertexts.get(name) {
                inputs.ciphertexts.insert(name.clone(), ciphertext.clone());
            }
        }
        Ok(inputs)
    }

    /// Stores one value as the server does; an empty secret is not kept.
    pub(crate) fn set(&mut self, kind: &CredentialType, name: &str, value: &Value) {
        self.ciphertexts.remove(name);
        if !kind.is_secret(name) {
            let value = if value.is_null() { kind.unset(name) } else { value.clone() };
            self.values.insert(name.to_owned(), value);
            return;
        }
        let text = value.as_str().unwrap_or_default();
        if text.is_empty() {
            self.values.shift_remove(name);
            return;
        }
        if !text.starts_with(MASK) {
            let ciphertext = format!("{MASK}UTF8$AESCBC${}", random::text::<48>());
            self.ciphertexts.insert(name.to_owned(), ciphertext);
        }
        self.values.insert(name.to_owned(), json!(text));
    }

    pub(crate) fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    pub(crate) fn ciphertext(&self, name: &str) -> Option<&str> {
        self.ciphertexts.get(name).map(String::as_str)
    }

    /// What a reader gets: secrets masked, and whatever looks like one.
    pub(crate) fn shown(&self) -> Value {
        let is_hidden = |name: &str, value: &Value| {
            self.ciphertexts.contains_key(name) || value.as_str().is_some_and(|text| text.starts_with(MASK))
        };
        let shown = self
            .values
            .iter()
            .map(|(name, value)| (name.clone(), if is_hidden(name, value) { json!(MASK) } else { value.clone() }));
        Value::Object(shown.collect())
    }
}

impl CredentialType {
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Value> {
        self.inputs["fields"].as_array().into_iter().flatten()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.fields().find(|field| field["id"] == name)
    }

    pub(crate) fn is_secret(&self, name: &str) -> bool {
        self.field(name).is_some_and(|field| field["secret"] == true)
    }

    pub(crate) fn is_flag(&self, name: &str) -> bool {
        self.field(name).is_some_and(|field| field["type"] == "boolean")
    }

    /// What an input becomes that is sent as null.
    fn unset(&self, name: &str) -> Value {
        if self.is_flag(name) { json!(false) } else { json!("") }
    }

    /// The values against the fields; what is required is not looked at.
    fn check(&self, sent: &Map<String, Value>) -> Result<(), Answer> {
        let unknown: Vec<_> =
            sent.keys().filter(|name| self.field(name).is_none()).map(|name| format!("'{name}'")).collect();
        if !unknown.is_empty() {
            let were = if unknown.len() == 1 { "was" } else { "were" };
            let unknown = unknown.join(", ");
            return Err(refusal(json!([format!(
                "Additional properties are not allowed ({unknown} {were} unexpected)"
            )])));
        }
        let complaints =
            sent.iter().filter_map(|(name, value)| Some((name.clone(), json!([self.complaint(name, value)?]))));
        let complaints: Map<_, _> = complaints.collect();
        if complaints.is_empty() { Ok(()) } else { Err(refusal(Value::Object(complaints))) }
    }

    fn complaint(&self, name: &str, value: &Value) -> Option<String> {
        if value.is_null() {
            return None;
        }
        if self.is_flag(name) {
            return (!value.is_boolean()).then(|| format!("{} is not of type 'boolean'", python(value)));
        }
        if !value.is_string() {
            return Some(format!("{} is not of type 'string'", python(value)));
        }
        let choices = self.field(name)?.get("choices").filter(|choices| !choices.is_null())?;
        let is_one = choices.as_array().is_some_and(|choices| choices.contains(value));
        (!is_one).then(|| format!("{} is not one of {}", python(value), python(choices)))
    }
}

/// A value as Python writes it.
pub(crate) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("'{name}': {}", python(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

fn refusal(complaint: Value) -> Answer {
    Answer::json(400, &json!({ "inputs": complaint }))
}

fn is_mask(value: &Value) -> bool {
    value == MASK
}

/// What is shown for a secret.
pub(crate) const MASK: &str = "$encrypted$";
