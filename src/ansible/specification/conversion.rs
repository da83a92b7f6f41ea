//! From what a task says to what an option's type wants: the type checkers of ansible-core, with their sentences.

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::{
    PLACEHOLDER,
    environment::{Environment, expand_path},
    literal, python, size,
};

/// The type of an option or of a list's elements.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text; everything else is printed as Python prints it.
    #[default]
    Str,
    /// A list; text is split at commas.
    List,
    /// A dict; text is read as JSON, a Python dict, or `key=value` pairs.
    Dict,
    /// A boolean; text and numbers as Ansible reads them.
    Bool,
    /// An integer.
    Int,
    /// A floating point number.
    Float,
    /// A path; `~`, `$NAME` and `${NAME}` are expanded.
    Path,
    /// Whatever was given.
    Raw,
    /// JSON text; lists and dicts are written as JSON.
    JsonArg,
    /// The same as `jsonarg`.
    Json,
    /// A number of bytes; `10M`, `1.5 GB`.
    Bytes,
    /// A number of bits; `10M`, `1.5 Gb`.
    Bits,
}

impl Kind {
    /// The name that specifications and error sentences use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::List => "list",
            Self::Dict => "dict",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Path => "path",
            Self::Raw => "raw",
            Self::JsonArg => "jsonarg",
            Self::Json => "json",
            Self::Bytes => "bytes",
            Self::Bits => "bits",
        }
    }

    /// The value as this type, or why it cannot be. A `secret` value is not quoted in that reason.
    pub(super) fn convert(self, value: &Value, secret: bool, environment: &dyn Environment) -> Result<Value, String> {
        match self {
            Self::Str => Ok(Value::String(string(value))),
            Self::List => list(value),
            Self::Dict => dict(value).map(Value::Object),
            Self::Bool => boolean(value, secret).map(Value::Bool),
            Self::Int => integer(value, secret),
            Self::Float => float(value),
            Self::Path => Ok(Value::String(expand_path(&string(value), environment))),
            Self::Raw => Ok(value.clone()),
            Self::JsonArg | Self::Json => json(value).map(Value::String),
            Self::Bytes => size::bytes(&python::text(value)).ok_or_else(|| refused(value, "a Byte value")),
            Self::Bits => size::bits(&python::text(value)).ok_or_else(|| refused(value, "a Bit value")),
        }
    }
}

/// A dict, from itself or from text.
pub(super) fn dict(value: &Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members.clone()),
        Value::String(text) if text.starts_with('{') => json_dict(text)
            .or_else(|| literal::dict(text))
            .ok_or_else(|| "unable to evaluate string as dictionary".to_owned()),
        Value::String(text) if text.contains('=') => {
            pairs(text).ok_or_else(|| "unable to evaluate string in the \"key=value\" format as dictionary".to_owned())
        }
        Value::String(_) => Err("dictionary requested, could not parse JSON or key=value".to_owned()),
        other => Err(refused(other, "a dict")),
    }
}

fn json_dict(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(&quote_long_integers(text)).ok()
}

/// JSON text in which integers beyond 64 bits are strings, so that no digit of them is lost.
fn quote_long_integers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) =
        rest.find(|character: char| character == '"' || character == '-' || character.is_ascii_digit())
    {
        let (before, token) = rest.split_at(start);
        let length = if token.starts_with('"') { string_length(token) } else { number_length(token) };
        let (token, after) = token.split_at(length);
        out.push_str(before);
        match is_long_integer(token) {
            true => out.extend(["\"", token, "\""]),
            false => out.push_str(token),
        }
        rest = after;
    }
    out + rest
}

fn string_length(token: &str) -> usize {
    let mut is_escaped = false;
    let end = token.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(token.len(), |end| end + 2)
}

fn number_length(token: &str) -> usize {
    let is_part = |character: char| character.is_ascii_digit() || matches!(character, '-' | '+' | '.' | 'e' | 'E');
    token.find(|character| !is_part(character)).unwrap_or(token.len())
}

/// Whether this is an integer that 64 bits cannot hold.
pub(super) fn is_long_integer(token: &str) -> bool {
    let digits = token.strip_prefix('-').unwrap_or(token);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer && token.parse::<i64>().is_err() && token.parse::<u64>().is_err()
}

fn string(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => python::text(other),
    }
}

fn list(value: &Value) -> Result<Value, String> {
    match value {
        Value::Array(_) => Ok(value.clone()),
        Value::String(text) => Ok(text.split(',').collect()),
        Value::Number(_) | Value::Bool(_) => Ok(Value::Array(vec![python::text(value).into()])),
        other => Err(refused(other, "a list")),
    }
}

/// `a=1, b="x y"`: fields end at commas and spaces outside of quotes; each must have a `=`.
fn pairs(text: &str) -> Option<Map<String, Value>> {
    let mut fields = vec![String::new()];
    let mut quote = None;
    let mut characters = python::strip(text).chars();
    while let Some(character) = characters.next() {
        let field = fields.last_mut()?;
        match character {
            '\\' => field.extend(characters.next()),
            '\'' | '"' if quote.is_none() => quote = Some(character),
            _ if quote == Some(character) => quote = None,
            ',' | ' ' if quote.is_none() => fields.push(String::new()),
            other => field.push(other),
        }
    }
    let fields = fields.iter().filter(|field| !field.is_empty());
    fields.map(|field| field.split_once('=').map(|(key, value)| (key.to_owned(), value.into()))).collect()
}

fn boolean(value: &Value, secret: bool) -> Result<bool, String> {
    let known = match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => None,
        },
        Value::String(text) => boolean_word(python::strip(&text.to_lowercase())),
        other => return Err(refused(other, "a bool")),
    };
    known.ok_or_else(|| {
        let value = if secret { PLACEHOLDER.to_owned() } else { python::text(value) };
        format!("The value '{value}' is not a valid boolean. Valid booleans include: {VALID_BOOLEANS}")
    })
}

fn boolean_word(word: &str) -> Option<bool> {
    match word {
        "y" | "yes" | "on" | "1" | "true" | "t" => Some(true),
        "n" | "no" | "off" | "0" | "false" | "f" => Some(false),
        _ => None,
    }
}

fn integer(value: &Value, secret: bool) -> Result<Value, String> {
    let converted = match value {
        Value::Bool(_) => Some(value.clone()),
        Value::Number(number) if !number.is_f64() => Some(value.clone()),
        Value::Number(number) => number.as_f64().filter(|float| float.fract() == 0.0).and_then(whole),
        Value::String(text) => decimal_integer(text),
        _ => None,
    };
    converted.ok_or_else(|| {
        let value = if secret { PLACEHOLDER.to_owned() } else { python::representation(value) };
        format!("\"{value}\" cannot be converted to an int")
    })
}

/// The boolean that a choice stands for: no conversion, only the words and numbers themselves.
pub(super) fn boolean_constant(choice: &Value) -> Option<bool> {
    match choice {
        Value::String(word) => boolean_word(word),
        other => boolean(other, true).ok(),
    }
}

/// The integer that a float without a fraction is, within 64 bits.
pub(super) fn whole(float: f64) -> Option<Value> {
    python::integer(float as i128)
}

/// An integer as `decimal.Decimal` reads it: `42`, ` 42.0 `, `4.2e1`, `1_000`.
fn decimal_integer(text: &str) -> Option<Value> {
    let text = python::ascii_digits(python::strip(text)).replace('_', "");
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some(0.into());
    }
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let zeros = exponent.checked_add(i64::try_from(trailing).ok()? - i64::try_from(fraction.len()).ok()?)?;
    let factor = 10_i128.checked_pow(u32::try_from(zeros).ok()?)?;
    let magnitude = significant.parse::<i128>().ok()?.checked_mul(factor)?;
    python::integer(if negative { -magnitude } else { magnitude })
}

fn exponent_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn float(value: &Value) -> Result<Value, String> {
    let converted = match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::String(text) => float_of(text),
        _ => None,
    };
    converted.and_then(Number::from_f64).map(Value::Number).ok_or_else(|| refused(value, "a float"))
}

/// A float as `float()` reads it. It takes white space of any kind, but the ASCII separators only beside other scripts.
fn float_of(text: &str) -> Option<f64> {
    let digits;
    let trimmed = if text.is_ascii() {
        text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
    } else {
        digits = python::ascii_digits(text);
        digits.trim_matches(|character: char| character.is_whitespace())
    };
    literal::without_underscores(trimmed, 10)?.parse().ok()
}

fn json(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(python::strip(text).to_owned()),
        Value::Array(_) | Value::Object(_) => Ok(python::json(value)),
        other => Err(refused(other, "a json string")),
    }
}

fn refused(value: &Value, wanted: &str) -> String {
    format!("<class '{}'> cannot be converted to {wanted}", python::type_name(value))
}

/// ansible-core prints a set here, in an order that changes from run to run.
const VALID_BOOLEANS: &str = "'y', 'yes', 'on', '1', 'true', 't', 1, 'n', 'no', 'off', '0', 'false', 'f', 0";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn home(&self, _: Option<&str>) -> Option<String> {
            None
        }
    }

    #[test]
    fn values_become_what_the_type_wants() {
        for (kind, value, expected) in [
            (Kind::Str, json!(null), json!("")),
            (Kind::Str, json!(true), json!("True")),
            (Kind::Str, json!(1.0), json!("1.0")),
            (Kind::Str, json!({"a": ["b", null]}), json!("{'a': ['b', None]}")),
            (Kind::List, json!("a, b,"), json!(["a", " b", ""])),
            (Kind::List, json!(""), json!([""])),
            (Kind::List, json!(1.5), json!(["1.5"])),
            (Kind::List, json!(false), json!(["False"])),
            (Kind::Dict, json!("{\"a\": 1}"), json!({"a": 1})),
            (
                Kind::Dict,
                json!(r#"{"a\"\\": -99999999999999999999, "18446744073709551616": [18446744073709551616, 1e30, 7]}"#),
                json!({"a\"\\": "-99999999999999999999", "18446744073709551616": ["18446744073709551616", 1e30, 7]}),
            ),
            (Kind::Dict, json!("{'a': True}"), json!({"a": true})),
            (
                Kind::Dict,
                json!("a=1, b=\"x, y\" c=d=e \\==\\\"a"),
                json!({"a": "1", "b": "x, y", "c": "d=e", "": "=\"a"}),
            ),
            (Kind::Bool, json!(" YES "), json!(true)),
            (Kind::Bool, json!(0.0), json!(false)),
            (Kind::Bool, json!("off"), json!(false)),
            (Kind::Int, json!(true), json!(true)),
            (Kind::Int, json!(42.0), json!(42)),
            (Kind::Int, json!("-0"), json!(0)),
            (Kind::Int, json!(" 4_2.0 "), json!(42)),
            (Kind::Int, json!("+4.20e1"), json!(42)),
            (Kind::Int, json!("4200e-2"), json!(42)),
            (Kind::Int, json!("٤٢"), json!(42)),
            (Kind::Int, json!("18446744073709551615"), json!(u64::MAX)),
            (Kind::Int, json!("-9223372036854775808"), json!(i64::MIN)),
            (Kind::Float, json!(42), json!(42.0)),
            (Kind::Float, json!("\t1_0.5e-1 "), json!(1.05)),
            (Kind::Float, json!(true), json!(1.0)),
            (Kind::JsonArg, json!(" [1] "), json!("[1]")),
            (Kind::Json, json!([1, {"é": 1.0}]), json!("[1, {\"\\u00e9\": 1.0}]")),
            (Kind::Bytes, json!("1.5K"), json!(1536)),
            (Kind::Bits, json!("2Mb"), json!(2_097_152)),
        ] {
            assert_eq!(kind.convert(&value, false, &Nothing), Ok(expected), "{} {value}", kind.name());
        }
    }

    #[test]
    fn what_cannot_be_converted_says_why() {
        for (kind, value, expected) in [
            (Kind::Int, json!("42.5"), "\"'42.5'\" cannot be converted to an int"),
            (Kind::Int, json!(42.5), "\"42.5\" cannot be converted to an int"),
            (
                Kind::Int,
                json!("1e999999999999999999999"),
                "\"'1e999999999999999999999'\" cannot be converted to an int",
            ),
            (Kind::Int, json!("18446744073709551616"), "\"'18446744073709551616'\" cannot be converted to an int"),
            (Kind::Int, json!(null), "\"None\" cannot be converted to an int"),
            (Kind::Int, json!("+ 1"), "\"'+ 1'\" cannot be converted to an int"),
            (Kind::Float, json!("nan"), "<class 'str'> cannot be converted to a float"),
            (Kind::Float, json!("1_e5"), "<class 'str'> cannot be converted to a float"),
            (Kind::List, json!({}), "<class 'dict'> cannot be converted to a list"),
            (Kind::Dict, json!([]), "<class 'list'> cannot be converted to a dict"),
            (Kind::Dict, json!("{"), "unable to evaluate string as dictionary"),
            (Kind::Dict, json!("a=1 b"), "unable to evaluate string in the \"key=value\" format as dictionary"),
            (Kind::Dict, json!("a"), "dictionary requested, could not parse JSON or key=value"),
            (Kind::Bool, json!(null), "<class 'NoneType'> cannot be converted to a bool"),
            (Kind::Json, json!(1), "<class 'int'> cannot be converted to a json string"),
            (Kind::Bytes, json!("1Mb"), "<class 'str'> cannot be converted to a Byte value"),
            (Kind::Bits, json!([1]), "<class 'list'> cannot be converted to a Bit value"),
        ] {
            assert_eq!(kind.convert(&value, false, &Nothing), Err(expected.to_owned()), "{} {value}", kind.name());
        }
    }

    #[test]
    fn a_secret_is_not_quoted() {
        for kind in [Kind::Int, Kind::Bool] {
            let reason = kind.convert(&json!("hunter2"), true, &Nothing).unwrap_err();
            assert!(reason.contains(PLACEHOLDER) && !reason.contains("hunter2"), "{reason}");
        }
    }
}
