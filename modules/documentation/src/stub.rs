//! The documentation blocks of the Python stub, with everything that is ours turned into what Ansible knows.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::{
    Module,
    source::{Attribute, Lines, ModuleOption, ReturnValue},
    yaml,
};

pub(crate) fn documentation(module: &Module) -> String {
    let documentation = &module.documentation;
    let entries = [
        ("module", Some(json!(module.name))),
        ("short_description", Some(json!(documentation.short_description))),
        ("version_added", Some(json!(documentation.version_added))),
        ("author", lines(&documentation.author)),
        ("description", lines(&documentation.description)),
        ("extends_documentation_fragment", list(documentation.fragments.foreign().into_iter().map(Value::from))),
        ("requirements", lines(&documentation.requirements)),
        ("options", mapping(&documentation.options, option)),
        ("attributes", mapping(&documentation.attributes, attribute)),
        ("notes", lines(&documentation.notes)),
        ("seealso", list(documentation.seealso.iter().cloned())),
    ];
    yaml::block(&present(entries))
}

pub(crate) fn returns(module: &Module) -> String {
    yaml::block(&mapping(&module.returns, return_value).unwrap_or_else(|| json!({})))
}

pub(crate) fn option(option: &ModuleOption) -> Value {
    let mut description = option.description.clone().unwrap_or_default();
    description.0.extend(option.environment.as_deref().map(fallback));
    present([
        ("description", lines(&description)),
        ("type", Some(json!(option.kind()))),
        ("elements", option.elements.clone().map(Value::from)),
        ("required", option.required.filter(|required| *required).map(Value::from)),
        ("default", option.default.clone()),
        ("choices", option.choices.clone().map(Value::from)),
        ("aliases", option.aliases.clone().map(Value::from)),
        ("version_added", option.version_added.clone().map(Value::from)),
        ("suboptions", option.suboptions.as_ref().and_then(|suboptions| mapping(suboptions, self::option))),
    ])
}

fn fallback(names: &[String]) -> String {
    match names {
        [name] => format!("If not set, the environment variable E({name}) is used."),
        names => {
            let names: Vec<_> = names.iter().map(|name| format!("E({name})")).collect();
            format!("If not set, the first of the environment variables {} that is set is used.", names.join(", "))
        }
    }
}

fn attribute(attribute: &Attribute) -> Value {
    present([
        ("description", lines(&attribute.description)),
        ("support", Some(json!(attribute.support))),
        ("details", lines(&attribute.details)),
        ("platforms", attribute.platforms.clone().map(Value::from)),
    ])
}

fn return_value(value: &ReturnValue) -> Value {
    present([
        ("description", lines(&value.description)),
        ("returned", value.returned.clone().map(Value::from)),
        ("type", Some(json!(value.kind))),
        ("elements", value.elements.clone().map(Value::from)),
        ("choices", value.choices.clone().map(Value::from)),
        ("version_added", value.version_added.clone().map(Value::from)),
        ("sample", value.sample.clone()),
        ("contains", value.contains.as_ref().and_then(|parts| mapping(parts, return_value))),
    ])
}

pub(crate) fn present<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map<_, _>>().into()
}

pub(crate) fn lines(lines: &Lines) -> Option<Value> {
    list(lines.0.iter().cloned().map(Value::from))
}

pub(crate) fn list(values: impl Iterator<Item = Value>) -> Option<Value> {
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then_some(Value::Array(values))
}

pub(crate) fn mapping<T>(entries: &IndexMap<String, T>, value: impl Fn(&T) -> Value) -> Option<Value> {
    let entries: Map<_, _> = entries.iter().map(|(name, entry)| (name.clone(), value(entry))).collect();
    (!entries.is_empty()).then_some(Value::Object(entries))
}
