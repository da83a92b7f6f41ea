//! The specification that arguments are checked against, with the keys of `AnsibleModule`'s own.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::{Module, source::ModuleOption};

pub(crate) fn of(module: &Module) -> Value {
    let mut specification = Map::new();
    specification.insert("argument_spec".to_owned(), options(&module.documentation.options));
    specification.extend(module.relations.clone());
    Value::Object(specification)
}

fn options(options: &IndexMap<String, ModuleOption>) -> Value {
    options.iter().map(|(name, one)| (name.clone(), option(one))).collect::<Map<_, _>>().into()
}

fn option(option: &ModuleOption) -> Value {
    let mut specification = Map::new();
    specification.insert("type".to_owned(), json!(option.kind()));
    let entries = [
        ("elements", option.elements.as_ref().map(|elements| json!(elements))),
        ("required", option.required.filter(|required| *required).map(Value::Bool)),
        ("default", option.default.clone()),
        ("choices", option.choices.clone().map(Value::Array)),
        ("aliases", option.aliases.as_ref().map(|aliases| json!(aliases))),
        ("no_log", option.secret.map(Value::Bool)),
        ("fallback", option.environment.as_ref().map(|names| json!(names))),
        ("options", option.suboptions.as_ref().map(self::options)),
    ];
    for (key, value) in entries {
        if let Some(value) = value {
            specification.insert(key.to_owned(), value);
        }
    }
    specification.extend(option.relations.clone());
    Value::Object(specification)
}
