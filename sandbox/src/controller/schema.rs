//! What a custom credential type may ask for, and what it may inject into a job.

use serde_json::{Map, Value, json};

use super::inputs::python;
use super::template::{self, Names};
use crate::platform::api::python_type;

/// Each sentence is a complaint.
pub(crate) fn check_inputs(inputs: &Value) -> Result<(), Vec<String>> {
    let Some(map) = inputs.as_object() else { return Err(vec![no_dictionary(inputs)]) };
    let mut complaints = unknown_keys(map, &["fields", "required"], "[]");
    let fields = match map.get("fields") {
        None => &Vec::new(),
        Some(Value::Array(fields)) => fields,
        Some(other) => return Err(vec![wrong_type(other, "['fields']", "array")]),
    };
    for (index, field) in fields.iter().enumerate() {
        complaints.extend(field_complaints(field, index));
    }
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let mut seen = Vec::new();
    for field in fields {
        let id = field["id"].as_str().unwrap_or_default();
        let is_flag = field["type"] == "boolean";
        if id == "tower" {
            return Err(vec!["\"tower\" is a reserved field name".to_owned()]);
        }
        if seen.contains(&id) {
            return Err(vec![format!("field IDs must be unique ({id})")]);
        }
        seen.push(id);
        for key in ["multiline", "secret", "format", "choices"] {
            if is_flag && field.get(key).is_some_and(|value| *value != json!(false)) {
                return Err(vec![format!("{key} not allowed for boolean type ({id})")]);
            }
        }
        if field.get("ask_at_runtime").is_some() {
            return Err(vec!["'ask_at_runtime' is not supported for custom credentials.".to_owned()]);
        }
    }
    Ok(())
}

/// Against the fields that the type has.
pub(crate) fn check_injectors(inputs: &Value, injectors: &Value) -> Result<(), Vec<String>> {
    let Some(map) = injectors.as_object() else { return Err(vec![no_dictionary(injectors)]) };
    let complaints = unknown_keys(map, &["file", "env", "extra_vars"], "[]");
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let empty = Map::new();
    let section = |name: &str| map.get(name).and_then(Value::as_object).unwrap_or(&empty);
    for name in ["file", "env", "extra_vars"] {
        if let Some(other) = map.get(name).filter(|value| !value.is_object()) {
            return Err(vec![wrong_type(other, &format!("['{name}']"), "dict")]);
        }
    }
    check_environment(section("env"))?;
    let names = Names { fields: field_ids(inputs), files: files(section("file"))? };
    for kind in ["file", "env", "extra_vars"] {
        for (key, value) in section(kind) {
            check_templates(key, kind, value, &names)?;
        }
    }
    Ok(())
}

fn field_complaints(field: &Value, index: usize) -> Vec<String> {
    let place = format!("['fields', {index}]");
    let Some(map) = field.as_object() else { return vec![wrong_type(field, &place, "dict")] };
    let mut complaints = unknown_keys(map, FIELD_KEYS, &place);
    for (key, value) in map {
        let place = format!("['fields', {index}, '{key}']");
        let (is_right, expected) = match key.as_str() {
            "secret" | "multiline" | "ask_at_runtime" => (value.is_boolean(), "boolean"),
            "choices" => (value.is_array(), "array"),
            "default" => (true, ""),
            _ => (value.is_string(), "string"),
        };
        if !is_right && FIELD_KEYS.contains(&key.as_str()) {
            complaints.push(wrong_type(value, &place, expected));
        }
    }
    for required in ["id", "label"].into_iter().filter(|required| !map.contains_key(*required)) {
        complaints.push(format!("'{required}' is a required property"));
    }
    let choices = [("type", json!(["string", "boolean"])), ("format", json!(["ssh_private_key", "url"]))];
    for (key, choices) in choices {
        let value = map.get(key).filter(|value| value.is_string());
        if let Some(value) = value.filter(|value| !choices.as_array().is_some_and(|all| all.contains(value))) {
            complaints.push(format!("{} is not one of {}", python(value), python(&choices)));
        }
    }
    if let Some(id) = map.get("id").and_then(Value::as_str).filter(|id| !is_variable(id)) {
        complaints.push(format!("{id} is an invalid variable name"));
    }
    complaints
}

fn check_environment(environment: &Map<String, Value>) -> Result<(), Vec<String>> {
    for (name, value) in environment {
        if !is_variable(name) {
            let sentence = format!("{} does not match any of the regexes: '{VARIABLE}'", python(&json!(name)));
            return Err(vec![format!("Schema validation error in relative path ['env'] ({sentence})")]);
        }
        if !value.is_string() {
            return Err(vec![wrong_type(value, &format!("['env', '{name}']"), "string")]);
        }
        if name.starts_with("ANSIBLE_") {
            let sentence = "may affect Ansible configuration so its use is not allowed in credentials.";
            return Err(vec![format!("Environment variable {name} {sentence}")]);
        }
        if FORBIDDEN_VARIABLES.contains(&name.as_str()) {
            return Err(vec![format!("Environment variable {name} is not allowed to be used in credentials.")]);
        }
    }
    Ok(())
}

/// The names of the files; one without a name is empty.
fn files(section: &Map<String, Value>) -> Result<Vec<String>, Vec<String>> {
    let is_named = |key: &str| key.strip_prefix("template.").is_some_and(is_variable);
    if let Some(key) = section.keys().find(|key| *key != "template" && !is_named(key)) {
        let sentence =
            format!("'{key}' does not match any of the regexes: '^template(\\\\.[a-zA-Z_]+[a-zA-Z0-9_]*)?$'");
        return Err(vec![format!("Schema validation error in relative path ['file'] ({sentence})")]);
    }
    if section.contains_key("template") && section.len() > 1 {
        return Err(vec!["Must use multi-file syntax when injecting multiple files".to_owned()]);
    }
    Ok(section.keys().map(|key| key.strip_prefix("template.").unwrap_or_default().to_owned()).collect())
}

/// Extra variables may be nested.
fn check_templates(key: &str, kind: &str, value: &Value, names: &Names) -> Result<(), Vec<String>> {
    match value {
        Value::String(text) => match template::check(text, names) {
            Ok(()) => Ok(()),
            Err(template::Wrong::Undefined(what)) => Err(vec![format!("{key} uses an undefined field ({what})")]),
            Err(template::Wrong::Syntax(what)) => {
                Err(vec![format!("Syntax error rendering template for {key} inside of {kind} ({what})")])
            }
        },
        Value::Object(nested) => nested.iter().try_for_each(|(key, value)| check_templates(key, kind, value, names)),
        Value::Array(items) => items.iter().try_for_each(|value| check_templates(key, kind, value, names)),
        _ => Ok(()),
    }
}

fn field_ids(inputs: &Value) -> Vec<String> {
    let fields = inputs["fields"].as_array().into_iter().flatten();
    fields.filter_map(|field| field["id"].as_str()).map(String::from).collect()
}

fn unknown_keys(map: &Map<String, Value>, known: &[&str], place: &str) -> Vec<String> {
    let unknown: Vec<_> =
        map.keys().filter(|key| !known.contains(&key.as_str())).map(|key| format!("'{key}'")).collect();
    if unknown.is_empty() {
        return Vec::new();
    }
    let were = if unknown.len() == 1 { "was" } else { "were" };
    let sentence = format!("Additional properties are not allowed ({} {were} unexpected)", unknown.join(", "));
    vec![format!("Schema validation error in relative path {place} ({sentence})")]
}

fn wrong_type(value: &Value, place: &str, expected: &str) -> String {
    format!("{} provided in relative path {place}, expected {expected}", python_type(value))
}

fn no_dictionary(value: &Value) -> String {
    format!("{} provided, expected dict", python_type(value))
}

pub(crate) fn is_variable(name: &str) -> bool {
    let is_start = |first: char| first.is_ascii_alphabetic() || first == '_';
    name.chars().next().is_some_and(is_start) && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
}

const FIELD_KEYS: &[&str] =
    &["id", "label", "type", "secret", "multiline", "help_text", "default", "choices", "format", "ask_at_runtime"];
const FORBIDDEN_VARIABLES: &[&str] = &[
    "VIRTUAL_ENV",
    "PATH",
    "PYTHONPATH",
    "JOB_ID",
    "INVENTORY_ID",
    "INVENTORY_SOURCE_ID",
    "INVENTORY_UPDATE_ID",
    "AD_HOC_COMMAND_ID",
    "REST_API_URL",
    "REST_API_TOKEN",
    "MAX_EVENT_RES",
    "CALLBACK_QUEUE",
    "CALLBACK_CONNECTION",
    "CACHE",
    "JOB_CALLBACK_DEBUG",
    "INVENTORY_HOSTVARS",
    "AWX_HOST",
    "PROJECT_REVISION",
    "SUPERVISOR_CONFIG_PATH",
];
const VARIABLE: &str = "^[a-zA-Z_]+[a-zA-Z0-9_]*$";
