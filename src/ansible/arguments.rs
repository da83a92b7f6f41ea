//! The arguments of a task as the engine hands them over: a JSON object in a file or on standard input.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thiserror::Error;
use zeroize::Zeroizing;

/// Arguments, split into what the user wrote and what the engine says.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// The task's own.
    pub(super) task: Map<String, Value>,
    /// The engine's, without `_ansible_`.
    pub(super) engine: Map<String, Value>,
    /// The module that our action plugin names.
    pub(super) module: Option<String>,
    /// Our action plugin says that the result will lie in a job file.
    pub(super) is_async: bool,
    /// Our lookup plugin wants one value of the result.
    pub(super) is_lookup: bool,
}

/// Why there are no arguments. None of these repeats what it read: it may hold secrets.
#[derive(Debug, Error)]
pub(super) enum NoArguments {
    #[error("the arguments file {file} cannot be read: {error}")]
    Unreadable { file: String, error: io::Error },
    #[error("the arguments cannot be read from standard input: {0}")]
    UnreadableInput(io::Error),
    #[error("the arguments are not UTF-8 text")]
    NotUtf8,
    #[error(
        "the arguments are not a JSON object (line {line}, column {column}); they were cut or are not from Ansible"
    )]
    NotAnObject { line: usize, column: usize },
    #[error(
        "a text in the arguments is not Unicode text (half of a surrogate pair stands alone, as in names of files that are not UTF-8), or a number is out of range"
    )]
    NotText,
    #[error("the arguments are nested deeper than {DEEPEST} levels")]
    TooDeep,
}

impl Arguments {
    /// Reads them from a file, or from standard input where its name is `-`.
    pub(super) fn read(source: &OsStr) -> Result<Self, NoArguments> {
        let bytes = if source == "-" { read_input() } else { read_file(source) }?;
        let text = std::str::from_utf8(&bytes).map_err(|_| NoArguments::NotUtf8)?;
        let Value::Object(all) = exact(text)? else {
            return Err(NoArguments::NotAnObject { line: 1, column: 1 });
        };
        Ok(Self::split(all))
    }

    fn split(all: Map<String, Value>) -> Self {
        let mut arguments = Self::default();
        for (key, value) in all {
            if key == MODULE_KEY {
                arguments.module = value.as_str().map(str::to_owned);
            } else if key == ASYNC_KEY {
                arguments.is_async = value == true;
            } else if key == LOOKUP_KEY {
                arguments.is_lookup = value == true;
            } else if let Some(key) = key.strip_prefix("_ansible_") {
                arguments.engine.insert(key.to_owned(), value);
            } else {
                arguments.task.insert(key, value);
            }
        }
        arguments
    }

    /// Whether the engine says this.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.engine.get(key)?.as_bool()
    }
}

fn read_input() -> Result<Zeroizing<Vec<u8>>, NoArguments> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL_SIZE));
    io::stdin().lock().read_to_end(&mut bytes).map_err(NoArguments::UnreadableInput)?;
    Ok(bytes)
}

fn read_file(path: &OsStr) -> Result<Zeroizing<Vec<u8>>, NoArguments> {
    let unreadable = |error| NoArguments::Unreadable { file: path.to_string_lossy().into_owned(), error };
    fs::read(path).map(Zeroizing::new).map_err(unreadable)
}

/// JSON with whole numbers of any length. One that no machine integer holds is kept as its digits: a password of thirty digits must not be rounded.
fn exact(text: &str) -> Result<Value, NoArguments> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_an_object(&error))?;
    exact_value(raw, 0)
}

/// The text is JSON, as far as its marks go: what can still be wrong is inside of a text or a number.
fn exact_value(raw: &RawValue, depth: usize) -> Result<Value, NoArguments> {
    let text = raw.get();
    if depth > DEEPEST {
        return Err(NoArguments::TooDeep);
    }
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: Vec<(String, &RawValue)> = parsed::<Members<'_>>(text)?.0;
            members
                .into_iter()
                .map(|(key, member)| Ok((key, exact_value(member, depth + 1)?)))
                .collect::<Result<_, _>>()
                .map(Value::Object)
        }
        Some(b'[') => parsed::<Vec<&RawValue>>(text)?
            .into_iter()
            .map(|member| exact_value(member, depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        _ if is_long_integer(text) => Ok(Value::String(text.to_owned())),
        _ => parsed(text),
    }
}

fn parsed<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, NoArguments> {
    serde_json::from_str(text).map_err(|_| NoArguments::NotText)
}

fn is_long_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<i64>().is_err()
        && text.parse::<u64>().is_err()
}

/// The members of an object in their order, each still as text.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn not_an_object(error: &serde_json::Error) -> NoArguments {
    NoArguments::NotAnObject { line: error.line(), column: error.column() }
}

/// Through an action plugin the engine names the executable; this names the module.
const MODULE_KEY: &str = "_tokensmith_module";
const ASYNC_KEY: &str = "_tokensmith_async";
const LOOKUP_KEY: &str = "_tokensmith_lookup";
const USUAL_SIZE: usize = 8 * 1024;
/// Deeper than any task, and shallow enough for the stack and for reading each level anew.
const DEEPEST: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_user_wrote_is_kept_apart_from_what_the_engine_says() {
        let all = json!({ "dest": "/x", "_ansible_check_mode": true, "_tokensmith_module": "sso_token", "_ansible_new_key": [1] });
        let arguments = Arguments::split(all.as_object().unwrap().clone());
        assert_eq!(Value::Object(arguments.task.clone()), json!({ "dest": "/x" }));
        assert_eq!(arguments.flag("check_mode"), Some(true));
        assert_eq!(arguments.flag("diff"), None);
        assert_eq!(arguments.module.as_deref(), Some("sso_token"));
    }

    #[test]
    fn numbers_of_any_length_keep_their_digits() {
        let text = r#"{"a": 123456789012345678901234567890, "b": [-9223372036854775808, 18446744073709551615], "c": {"d": 1.5, "e": -99999999999999999999}, "f": "\u00e9", "g": null}"#;
        let expected = json!({
            "a": "123456789012345678901234567890",
            "b": [i64::MIN, u64::MAX],
            "c": { "d": 1.5, "e": "-99999999999999999999" },
            "f": "é",
            "g": null
        });
        assert_eq!(exact(text).unwrap(), expected);
    }

    #[test]
    fn broken_arguments_are_reported_without_repeating_them() {
        for text in
            ["", "{", "{\"password\": \"hunter2", "{\"password\": hunter2}", "[\"hunter2\"", "\"hunter2", "{} {}"]
        {
            let error = exact(text).unwrap_err().to_string();
            assert!(error.contains("not a JSON object") && !error.contains("hunter2"), "{error}");
        }
    }
}
