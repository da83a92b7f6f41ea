//! What a job gets of its credentials. A template that names a field is filled; filters and conditions are not worked out.

use regex_lite::{Captures, Regex};
use serde_json::{Map, Value, json};

use super::objects::{Credential, CredentialType};
use crate::platform::State;

/// What the controller hands to a job, secrets in clear.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Injection {
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Extra variables, all of them texts.
    pub extra_variables: Map<String, Value>,
}

pub(crate) fn of(state: &State, credentials: &[i64]) -> Injection {
    let mut injection = Injection::default();
    for credential in credentials.iter().filter_map(|id| state.objects.credential(*id)) {
        let Some(kind) = state.objects.credential_type(credential.credential_type) else { continue };
        let section = |name: &str| kind.injectors.get(name).and_then(Value::as_object).into_iter().flatten();
        for (name, template) in section("env") {
            let value = rendered(kind, credential, template.as_str().unwrap_or_default());
            injection.environment.push((name.clone(), value));
        }
        for (name, template) in section("extra_vars") {
            injection.extra_variables.insert(name.clone(), nested(kind, credential, template));
        }
    }
    injection
}

fn nested(kind: &CredentialType, credential: &Credential, template: &Value) -> Value {
    match template {
        Value::String(text) => json!(rendered(kind, credential, text)),
        Value::Array(items) => items.iter().map(|item| nested(kind, credential, item)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), nested(kind, credential, value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn rendered(kind: &CredentialType, credential: &Credential, template: &str) -> String {
    let Ok(names) = Regex::new(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}") else { return template.to_owned() };
    names.replace_all(template, |name: &Captures<'_>| text(kind, credential, &name[1])).into_owned()
}

/// A switch that is not set is off, whatever its type says of a default.
fn text(kind: &CredentialType, credential: &Credential, name: &str) -> String {
    match credential.inputs().get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "True".to_owned(),
        Some(Value::Bool(false)) => "False".to_owned(),
        _ if kind.is_flag(name) => "False".to_owned(),
        _ => String::new(),
    }
}
