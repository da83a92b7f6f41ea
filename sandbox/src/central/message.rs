//! The messages that come as a request's body or query, read as strictly as the gateway reads them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::answers::{Refusal, Spacing};
use super::timestamp;
use crate::exchange::Request;

/// The fields of a body. Those of an empty body are not set, and neither is what is `null`.
#[derive(Debug)]
pub(crate) struct Message<'b> {
    text: &'b str,
    fields: Vec<(String, &'b RawValue)>,
    spacing: Spacing,
}

impl<'b> Message<'b> {
    /// What follows the first value is ignored.
    pub(crate) fn read(body: &'b [u8], spacing: Spacing) -> Result<Self, Refusal> {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
        let text = match values.next() {
            None => "{}",
            Some(Ok(value)) => value.get(),
            Some(Err(error)) if error.is_eof() => return Err(Refusal::invalid("unexpected EOF")),
            Some(Err(error)) => return Err(Refusal::invalid(format!("invalid character in JSON: {error}"))),
        };
        match serde_json::from_str(text) {
            Ok(Fields(fields)) => Self { text, fields, spacing }.without_repetition(),
            Err(_) => Err(spacing.proto(&format!("syntax error (line 1:1): unexpected token {text}"))),
        }
    }

    /// `""` if it is not set. Of a field with two spellings, `name` has either.
    pub(crate) fn string(&self, names: &[&str]) -> Result<String, Refusal> {
        match self.field(names) {
            None => Ok(String::new()),
            Some((name, value)) => serde_json::from_str(value.get())
                .map_err(|_| self.complaint(value, &format!("invalid value for string field {name}: {value}"))),
        }
    }

    /// Empty if it is not set.
    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let Some((_, value)) = self.field(&[name]) else { return Ok(Vec::new()) };
        match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            Err(_) => Err(self.complaint(value, &format!("unexpected token {value}"))),
            Ok(items) => items
                .into_iter()
                .map(|item| {
                    let complaint = format!("invalid value for string field {name}: {item}");
                    serde_json::from_str(item.get()).map_err(|_| self.complaint(item, &complaint))
                })
                .collect(),
        }
    }

    /// In milliseconds.
    pub(crate) fn timestamp(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some((_, value)) = self.field(&[name]) else { return Ok(None) };
        let Ok(text) = serde_json::from_str::<String>(value.get()) else {
            return Err(self.complaint(value, &format!("unexpected token {value}")));
        };
        let complaint = format!("invalid google.protobuf.Timestamp value {value}");
        timestamp::parse(&text).map(Some).ok_or_else(|| self.complaint(value, &complaint))
    }

    fn field(&self, names: &[&str]) -> Option<(&str, &'b RawValue)> {
        let (name, value) = self.fields.iter().find(|(name, _)| names.contains(&name.as_str()))?;
        (value.get() != "null").then_some((name, value))
    }

    fn without_repetition(self) -> Result<Self, Refusal> {
        let repeated = self
            .fields
            .iter()
            .enumerate()
            .find(|(index, (name, _))| self.fields[..*index].iter().any(|(earlier, _)| earlier == name));
        match repeated {
            None => Ok(self),
            Some((_, (name, value))) => Err(self.complaint(value, &format!("duplicate field {name:?}"))),
        }
    }

    /// Says where the value is.
    fn complaint(&self, value: &RawValue, what: &str) -> Refusal {
        let offset = (value.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.spacing.proto(&format!("(line {line}:{column}): {what}"))
    }
}

/// `?revoked=`, which may be absent.
pub(crate) fn revoked(request: &Request) -> Result<Option<bool>, Refusal> {
    let query = request.query.as_deref().unwrap_or_default();
    let values: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "revoked")
        .map(|(_, value)| value)
        .collect();
    match values.as_slice() {
        [] => Ok(None),
        [value] if TRUE.contains(&value.as_ref()) => Ok(Some(true)),
        [value] if FALSE.contains(&value.as_ref()) => Ok(Some(false)),
        [value] => Err(Refusal::invalid(format!(
            "parsing field \"revoked\": strconv.ParseBool: parsing {value:?}: invalid syntax"
        ))),
        values => Err(Refusal::invalid(format!("too many values for field \"revoked\": {}", values.join(", ")))),
    }
}

/// The fields in their order, repeated ones too.
struct Fields<'b>(Vec<(String, &'b RawValue)>);

impl<'b> Deserialize<'b> for Fields<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'b> Visitor<'b> for FieldsVisitor {
    type Value = Fields<'b>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Fields<'b>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE: [&str; 6] = ["0", "f", "F", "FALSE", "false", "False"];
