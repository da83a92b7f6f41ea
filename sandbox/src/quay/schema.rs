//! Bodies against their schemas, in the words of Python's `jsonschema`.

use serde_json::{Map, Value};

/// The body that creates a robot.
pub(crate) fn check_robot(body: &Value) -> Result<(), String> {
    let fields = object(body, "schema", "instance")?;
    if let Some(description) = fields.get("description") {
        let (schema, instance) = ("schema['properties']['description']", "instance['description']");
        let text = string(description, schema, instance)?;
        if text.chars().count() > LONGEST_DESCRIPTION {
            return Err(violation(
                &format!("{} is too long", python(description)),
                "maxLength",
                schema,
                instance,
                description,
            ));
        }
    }
    if let Some(metadata) = fields.get("unstructured_metadata") {
        object(metadata, "schema['properties']['unstructured_metadata']", "instance['unstructured_metadata']")?;
    }
    Ok(())
}

/// The body that configures a federation.
pub(crate) fn check_federation(body: &Value) -> Result<(), String> {
    let Some(entries) = body.as_array() else { return Err(wrong_type(body, "array", "schema", "instance")) };
    for (index, entry) in entries.iter().enumerate() {
        let instance = format!("instance[{index}]");
        let fields = object(entry, "schema['items']", &instance)?;
        for name in ["issuer", "subject"] {
            let Some(value) = fields.get(name) else {
                let sentence = format!("'{name}' is a required property");
                return Err(violation(&sentence, "required", "schema['items']", &instance, entry));
            };
            string(value, &format!("schema['items']['properties']['{name}']"), &format!("{instance}['{name}']"))?;
        }
    }
    Ok(())
}

fn object<'v>(value: &'v Value, schema: &str, instance: &str) -> Result<&'v Map<String, Value>, String> {
    value.as_object().ok_or_else(|| wrong_type(value, "object", schema, instance))
}

fn string<'v>(value: &'v Value, schema: &str, instance: &str) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| wrong_type(value, "string", schema, instance))
}

fn wrong_type(value: &Value, kind: &str, schema: &str, instance: &str) -> String {
    violation(&format!("{} is not of type '{kind}'", python(value)), "type", schema, instance, value)
}

/// The sentence, and the long tail behind it that shows the input again.
fn violation(sentence: &str, keyword: &str, schema: &str, instance: &str, value: &Value) -> String {
    format!("{sentence}\n\nFailed validating '{keyword}' in {schema}\n\nOn {instance}:\n    {}", python(value))
}

/// A value as Python shows it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => python_text(text),
        Value::Array(values) => format!("[{}]", values.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{}: {}", python_text(name), python(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

fn python_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}

const LONGEST_DESCRIPTION: usize = 255;
