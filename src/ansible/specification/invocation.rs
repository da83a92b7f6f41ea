//! What a result may show of the parameters of its task.

use serde_json::{Map, Value};

use super::{Checked, OptionSpecification, Options, PLACEHOLDER};

/// The parameters without anything secret: the values of `no_log` options, secrets that also stand elsewhere, and what
/// was given for options that do not exist, for it may be meant for a secret one; where secrets stand among sub-options,
/// not even the names of such are shown.
pub(super) fn censor(options: &Options, checked: &Checked) -> Map<String, Value> {
    let mut secrets: Vec<_> = checked.secrets.iter().map(String::as_str).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    level(options, &checked.parameters, &secrets)
}

fn level(options: &Options, parameters: &Map<String, Value>, secrets: &[&str]) -> Map<String, Value> {
    let censored = parameters.iter().map(|(name, value)| {
        let shown = match options.find(name) {
            Some(option) => option_value(option, value, secrets),
            None => hidden(value),
        };
        (name.clone(), shown)
    });
    censored.collect()
}

fn option_value(option: &OptionSpecification, value: &Value, secrets: &[&str]) -> Value {
    if option.no_log {
        return hidden(value);
    }
    let Some(sub_options) = &option.options else {
        return scrubbed(value, secrets);
    };
    match value {
        Value::Object(members) => {
            let mut members = members.clone();
            // Where text was read as a dict, a piece of a secret may stand as a key.
            members.retain(|name, _| !option.holds_secret() || sub_options.find(name).is_some());
            Value::Object(level(sub_options, &members, secrets))
        }
        Value::Array(items) => items.iter().map(|item| option_value(option, item, secrets)).collect(),
        other if option.holds_secret() => hidden(other),
        other => scrubbed(other, secrets),
    }
}

/// A value with everything in it replaced. Of a dict not even the keys are kept: it may be a secret that was read as one
/// (`c2VjcmV0=`).
fn hidden(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::String(text) if text.is_empty() => value.clone(),
        Value::Number(_) | Value::String(_) | Value::Object(_) => PLACEHOLDER.into(),
        Value::Array(items) => items.iter().map(hidden).collect(),
    }
}

/// A value with the secrets in it replaced, as `AnsibleModule` does it.
fn scrubbed(value: &Value, secrets: &[&str]) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) => {
            let text = number.to_string();
            if secrets.iter().any(|secret| text.contains(secret)) { PLACEHOLDER.into() } else { value.clone() }
        }
        Value::String(text) if secrets.contains(&text.as_str()) => PLACEHOLDER.into(),
        Value::String(text) => scrubbed_text(text, secrets).into(),
        Value::Array(items) => items.iter().map(|item| scrubbed(item, secrets)).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| (scrubbed_text(key, secrets), scrubbed(value, secrets))).collect()
        }
    }
}

fn scrubbed_text(text: &str, secrets: &[&str]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "********"))
}
