//! What the command line tells about a module.

use serde_json::{Map, Value, json};

use crate::{
    Module, markup,
    source::{Lines, ModuleOption},
};

pub(crate) fn of(module: &Module) -> Value {
    let documentation = &module.documentation;
    let options: Map<_, _> = documentation.options.iter().map(|(name, one)| (name.clone(), option(one))).collect();
    json!({
        "name": module.name,
        "short_description": markup::plain(&documentation.short_description),
        "description": plain(&documentation.description),
        "options": options,
    })
}

fn option(option: &ModuleOption) -> Value {
    let mut help = Map::new();
    help.insert("description".to_owned(), plain(option.description.as_ref().unwrap_or(&Lines::default())));
    help.insert("type".to_owned(), json!(option.kind()));
    let entries = [
        ("elements", option.elements.as_ref().map(|elements| json!(elements))),
        ("default", option.default.clone()),
        ("choices", option.choices.clone().map(Value::Array)),
        ("required", option.required.filter(|required| *required).map(Value::Bool)),
        ("secret", option.secret.filter(|secret| *secret).map(Value::Bool)),
        ("environment", option.environment.as_ref().map(|names| json!(names))),
    ];
    for (key, value) in entries {
        if let Some(value) = value {
            help.insert(key.to_owned(), value);
        }
    }
    Value::Object(help)
}

fn plain(lines: &Lines) -> Value {
    lines.0.iter().map(|line| markup::plain(line)).collect::<Vec<_>>().into()
}
