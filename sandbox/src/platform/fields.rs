//! The fields of a body as Django's REST framework reads them: a value, or the complaint about it.

use serde_json::{Map, Value};

use super::api::python_type;

/// A text that may be left out. Blanks around it are cut.
pub(crate) fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    let text = match fields.get(name) {
        None => return Ok(None),
        Some(Value::Null) => return Err(NULL.to_owned()),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err("Not a valid string.".to_owned()),
    };
    if text.contains('\0') {
        return Err("Null characters are not allowed.".to_owned());
    }
    Ok(Some(text))
}

/// A text that must be there.
pub(crate) fn required_text(fields: &Map<String, Value>, name: &str) -> Result<String, String> {
    match text(fields, name)? {
        None => Err(REQUIRED.to_owned()),
        Some(text) if text.is_empty() => Err(BLANK.to_owned()),
        Some(text) => Ok(text),
    }
}

/// The name of one of the controller's objects; what is changed may go without.
pub(crate) fn name(fields: &Map<String, Value>, is_required: bool) -> Result<Option<String>, String> {
    let name = if is_required { Some(required_text(fields, "name")?) } else { text(fields, "name")? };
    match name {
        Some(name) if name.is_empty() => Err(BLANK.to_owned()),
        Some(name) if name.chars().count() > LONGEST_NAME => {
            Err(format!("Ensure this field has no more than {LONGEST_NAME} characters."))
        }
        name => Ok(name),
    }
}

/// The description of one of them; null is none.
pub(crate) fn description(fields: &Map<String, Value>) -> Result<Option<String>, String> {
    match fields.get("description") {
        Some(Value::Null) => Ok(Some(String::new())),
        _ => text(fields, "description"),
    }
}

/// One of these.
pub(crate) fn choice(fields: &Map<String, Value>, name: &str, choices: &[&str]) -> Result<String, String> {
    let shown = match fields.get(name) {
        None => return Err(REQUIRED.to_owned()),
        Some(Value::Null) => return Err(NULL.to_owned()),
        Some(Value::String(text)) if choices.contains(&text.as_str()) => return Ok(text.clone()),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Err(format!("\"{shown}\" is not a valid choice."))
}

/// A primary key. `Some(None)`: there shall be none.
pub(crate) fn key(
    fields: &Map<String, Value>,
    name: &str,
    is_there: impl Fn(i64) -> bool,
) -> Result<Option<Option<i64>>, String> {
    let incorrect = |value: &Value| Err(format!("Incorrect type. Expected pk value, received {}.", python_type(value)));
    let key = match fields.get(name) {
        None => return Ok(None),
        Some(Value::Null) => return Ok(Some(None)),
        Some(Value::String(text)) if text.is_empty() => return Ok(Some(None)),
        Some(value @ Value::String(text)) => match text.parse() {
            Ok(key) => key,
            Err(_) => return incorrect(value),
        },
        Some(value) => match value.as_i64() {
            Some(key) => key,
            None => return incorrect(value),
        },
    };
    if is_there(key) { Ok(Some(Some(key))) } else { Err(format!("Invalid pk \"{key}\" - object does not exist.")) }
}

/// A primary key that must be there.
pub(crate) fn required_key(
    fields: &Map<String, Value>,
    name: &str,
    is_there: impl Fn(i64) -> bool,
) -> Result<i64, String> {
    match key(fields, name, is_there)? {
        None => Err(REQUIRED.to_owned()),
        Some(None) => Err(NULL.to_owned()),
        Some(Some(key)) => Ok(key),
    }
}

const LONGEST_NAME: usize = 512;
pub(crate) const BLANK: &str = "This field may not be blank.";
pub(crate) const NULL: &str = "This field may not be null.";
pub(crate) const REQUIRED: &str = "This field is required.";
