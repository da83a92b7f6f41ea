//! The walk through the arguments of a task, level by level, in the order in which ansible-core reports errors.

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value};

use super::{Kind, OptionSpecification, Options, PLACEHOLDER, conversion, environment::Environment, python};

/// What checking made of the arguments of a task. It holds secrets, so it cannot be printed.
pub struct Checked {
    /// The arguments with fall-backs, defaults and types applied; an alias stays beside the name it stands for.
    pub parameters: Map<String, Value>,
    /// What is wrong, in ansible-core's order; a sentence about unsupported parameters comes last.
    pub errors: Vec<String>,
    /// The names of parameters that no option has, with the names above them (`proxy.prot`), sorted.
    pub unsupported: Vec<String>,
    /// What is odd without being wrong.
    pub warnings: Vec<String>,
    /// Everything that stands in `no_log` options, as given and as converted, to be kept out of every message.
    pub secrets: Vec<String>,
}

impl Checked {
    /// The sentence with which the module `name` fails, as `AnsibleModule` words it; `None` when nothing is wrong.
    pub fn failure(&self, name: &str) -> Option<String> {
        let first = self.errors.first()?;
        if self.errors.len() == 1 && !self.unsupported.is_empty() {
            return Some(format!("Unsupported parameters for ({name}) module: {first}"));
        }
        Some(first.clone())
    }
}

pub(super) fn check(options: &Options, arguments: Map<String, Value>, environment: &dyn Environment) -> Checked {
    let mut run = Run {
        environment,
        errors: Vec::new(),
        warnings: Vec::new(),
        top_warnings: Vec::new(),
        unsupported: IndexMap::new(),
        secrets: IndexSet::new(),
    };
    let mut parameters = arguments;
    run.level(options, &mut parameters, &Scope::default());
    run.finish(parameters)
}

struct Run<'a> {
    environment: &'a dyn Environment,
    errors: Vec<String>,
    warnings: Vec<String>,
    top_warnings: Vec<String>,
    /// Where an unsupported parameter stands.
    unsupported: IndexMap<Vec<String>, Unsupported>,
    secrets: IndexSet<String>,
}

impl Run<'_> {
    fn level(&mut self, options: &Options, parameters: &mut Map<String, Value>, scope: &Scope) {
        self.set_fallbacks(options, parameters, scope);
        self.note_secrets(options, parameters);
        let aliases = self.resolve_aliases(options, parameters, scope);
        self.errors.extend(sub_parameter_error(options, parameters, scope.secret));
        self.note_unsupported(options, parameters, scope);
        self.errors.extend(options.relations.exclusion_error(parameters).map(|error| scope.found(error)));
        self.set_defaults(options, parameters, scope);
        self.errors.extend(missing_error(options, parameters).map(|error| scope.found(error)));
        let texts = texts_with_secrets(options, parameters);
        self.convert(options, parameters, scope);
        self.compare_with_choices(options, parameters, scope);
        let errors = options.relations.requirement_errors(options, parameters, scope.secret);
        self.errors.extend(errors.map(|error| scope.found(error)));
        for name in options.by_name.keys().filter(|name| !parameters.contains_key(*name)).collect::<Vec<_>>() {
            parameters.insert(name.clone(), Value::Null);
        }
        self.sub_levels(options, parameters, scope, &texts);
        for (name, alias) in aliases {
            share_with_alias(&options.by_name[name], name, alias, parameters);
        }
    }

    fn set_fallbacks(&mut self, options: &Options, parameters: &mut Map<String, Value>, scope: &Scope) {
        for (name, option) in &options.by_name {
            if parameters.contains_key(name) {
                continue;
            }
            if let Some(value) = option.fallback.iter().find_map(|variable| self.environment.variable(variable)) {
                let value = Value::String(value);
                if scope.hides(option) {
                    self.note_secret(&value);
                }
                parameters.insert(name.clone(), value);
            }
        }
    }

    /// Every value that was given for a secret option counts, here and further below, also one that another name
    /// overrides, and text in which a secret was to stand.
    fn note_secrets(&mut self, options: &Options, parameters: &Map<String, Value>) {
        for (name, option) in options.by_name.iter().filter(|(_, option)| option.holds_secret()) {
            for value in std::iter::once(name).chain(&option.aliases).filter_map(|name| parameters.get(name)) {
                if option.no_log {
                    self.note_secret(value);
                }
                let values = match value {
                    Value::Array(items) => items.as_slice(),
                    single => std::slice::from_ref(single),
                };
                for value in values {
                    if !value.is_object() {
                        self.note_secret(value);
                    }
                    if let (Some(sub_options), Ok(members)) = (&option.options, conversion::dict(value)) {
                        self.note_secrets(sub_options, &members);
                    }
                }
            }
        }
    }

    fn note_secret(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(_) | Value::String(_) => {
                let text = python::text(value);
                if !text.is_empty() {
                    self.secrets.insert(text);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.note_secret(item)),
            Value::Object(members) => members.values().for_each(|value| self.note_secret(value)),
        }
    }

    /// Copies what stands under an alias to the option's name; returns the pairs of name and alias in use.
    fn resolve_aliases<'o>(
        &mut self,
        options: &'o Options,
        parameters: &mut Map<String, Value>,
        scope: &Scope,
    ) -> Vec<(&'o str, &'o str)> {
        let mut used = Vec::new();
        for (name, option) in &options.by_name {
            let mut source = None;
            for alias in &option.aliases {
                let Some(value) = parameters.get(alias).cloned() else {
                    continue;
                };
                source = Some(alias);
                if parameters.insert(name.clone(), value).is_some() {
                    let prefix = &scope.prefix;
                    let warning = format!("Both option {prefix}{name} and its alias {prefix}{alias} are set.");
                    if scope.path.is_empty() { &mut self.top_warnings } else { &mut self.warnings }.push(warning);
                }
            }
            used.extend(source.map(|alias| (name.as_str(), alias.as_str())));
        }
        used
    }

    fn note_unsupported(&mut self, options: &Options, parameters: &Map<String, Value>, scope: &Scope) {
        for name in parameters.keys().filter(|name| options.find(name).is_none()) {
            let place: Vec<_> = scope.path.iter().chain([name]).cloned().collect();
            let shown = if scope.secret_keys { PLACEHOLDER } else { name.as_str() };
            let shown = scope.path.iter().map(String::as_str).chain([shown]).collect::<Vec<_>>().join(".");
            self.unsupported.insert(place, Unsupported { shown, supported: supported(options) });
        }
    }

    fn set_defaults(&mut self, options: &Options, parameters: &mut Map<String, Value>, scope: &Scope) {
        for (name, option) in &options.by_name {
            let Some(default) = option.default.as_ref().filter(|_| !parameters.contains_key(name)) else {
                continue;
            };
            if scope.hides(option) {
                self.note_secret(default);
            }
            parameters.insert(name.clone(), default.clone());
        }
    }

    fn convert(&mut self, options: &Options, parameters: &mut Map<String, Value>, scope: &Scope) {
        for (name, option) in &options.by_name {
            let Some(value) = parameters.get_mut(name) else {
                continue;
            };
            if value.is_null() && !option.required && option.default.is_none() {
                continue;
            }
            match option.kind.convert(value, scope.hides(option), self.environment) {
                Ok(converted) => *value = self.convert_elements(name, option, converted, scope),
                Err(reason) => {
                    let (given, wanted) = (python::type_name(value), option.kind.name());
                    let place = scope.quoted_path().map(|path| format!(" found in {path}.")).unwrap_or_default();
                    self.errors.push(format!(
                        "argument '{name}' is of type {given}{place} and we were unable to convert to {wanted}: {reason}"
                    ));
                }
            }
            if scope.hides(option) {
                self.note_secret(value);
            }
        }
    }

    /// A list with those of its elements that could be converted; anything else as it is.
    fn convert_elements(&mut self, name: &str, option: &OptionSpecification, value: Value, scope: &Scope) -> Value {
        let (Some(elements), Value::Array(items)) = (option.elements, &value) else {
            return value;
        };
        let mut converted = Vec::with_capacity(items.len());
        for item in items {
            match elements.convert(item, scope.hides(option), self.environment) {
                Ok(value) => converted.push(value),
                Err(reason) => {
                    let (given, wanted) = (python::type_name(item), elements.name());
                    let place = scope.quoted_path().map(|path| format!(" found in {path}")).unwrap_or_default();
                    self.errors.push(format!(
                        "Elements value for option '{name}'{place} is of type {given} \
                         and we were unable to convert to {wanted}: {reason}"
                    ));
                }
            }
        }
        Value::Array(converted)
    }

    fn compare_with_choices(&mut self, options: &Options, parameters: &mut Map<String, Value>, scope: &Scope) {
        for (name, option) in &options.by_name {
            let (Some(choices), Some(value)) = (&option.choices, parameters.get_mut(name)) else {
                continue;
            };
            let print = |value: &Value| match scope.hides(option) {
                true => PLACEHOLDER.to_owned(),
                false => python::text(value),
            };
            let known = choices.iter().map(python::text).collect::<Vec<_>>().join(", ");
            if let Value::Array(items) = value {
                let odd: Vec<_> = items.iter().filter(|item| !python::contains(choices, item)).map(print).collect();
                if !odd.is_empty() {
                    let odd = odd.join(", ");
                    let error = format!("value of {name} must be one or more of: {known}. Got no match for: {odd}");
                    self.errors.push(scope.found(error));
                }
                continue;
            }
            if let Some(choice) = boolean_choice(value, choices) {
                *value = choice;
            }
            if !python::contains(choices, value) {
                let error = format!("value of {name} must be one of: {known}, got: {}", print(value));
                self.errors.push(scope.found(error));
            }
        }
    }

    fn sub_levels(&mut self, options: &Options, parameters: &mut Map<String, Value>, scope: &Scope, texts: &[&str]) {
        for (name, option) in &options.by_name {
            let (Some(sub_options), Some(value)) = (&option.options, parameters.get_mut(name)) else {
                continue;
            };
            if value.is_null() {
                if !option.apply_defaults {
                    continue;
                }
                *value = Value::Object(Map::new());
            }
            let elements = match value {
                Value::Array(items) => items.as_mut_slice(),
                single => std::slice::from_mut(single),
            };
            let is_text = texts.contains(&name.as_str());
            for (index, element) in elements.iter_mut().enumerate() {
                match element {
                    Value::Object(members) => {
                        self.level(sub_options, members, &scope.below(name, option, index, is_text));
                    }
                    _ => self.errors.push(format!("value of '{name}' must be of type dict or list of dicts")),
                }
            }
        }
    }

    fn finish(mut self, parameters: Map<String, Value>) -> Checked {
        let supported = self.unsupported.values().next().map(|first| first.supported.clone());
        self.unsupported.sort_by_cached_key(|place, _| place.join("."));
        let unsupported: Vec<_> = self.unsupported.into_values().map(|parameter| parameter.shown).collect();
        if let Some(supported) = supported {
            let names = unsupported.join(", ");
            self.errors.push(format!("{names}. Supported parameters include: {supported}."));
        }
        self.warnings.append(&mut self.top_warnings);
        let secrets = self.secrets.into_iter().collect();
        Checked { parameters, errors: self.errors, unsupported, warnings: self.warnings, secrets }
    }
}

/// A parameter that no option has.
struct Unsupported {
    /// Its name with those above it.
    shown: String,
    /// What is supported where it stands.
    supported: String,
}

/// Where a level stands.
#[derive(Default)]
struct Scope {
    /// The names of the options above.
    path: Vec<String>,
    /// The same with the index in a list, as warnings show it: `proxies[0].`.
    prefix: String,
    /// One of the options above is a secret as a whole.
    secret: bool,
    /// A piece of a secret may have become a key, because the secret, or text that it stands in, was read as a dict.
    secret_keys: bool,
}

impl Scope {
    fn hides(&self, option: &OptionSpecification) -> bool {
        self.secret || option.no_log
    }

    fn below(&self, name: &str, option: &OptionSpecification, index: usize, is_text: bool) -> Self {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        let index = if option.kind == Kind::List { format!("[{index}]") } else { String::new() };
        Self {
            path,
            prefix: format!("{}{name}{index}.", self.prefix),
            secret: self.hides(option),
            secret_keys: self.secret_keys || self.hides(option) || is_text,
        }
    }

    fn found(&self, error: String) -> String {
        match self.path.as_slice() {
            [] => error,
            path => format!("{error} found in {}", path.join(" -> ")),
        }
    }

    fn quoted_path(&self) -> Option<String> {
        (!self.path.is_empty()).then(|| format!("'{}'", self.path.join(" -> ")))
    }
}

/// The options that are text, or have text in their list, in which a secret is to stand.
fn texts_with_secrets<'o>(options: &'o Options, parameters: &Map<String, Value>) -> Vec<&'o str> {
    let with_secrets = options.by_name.iter().filter(|(_, option)| option.holds_secret());
    let texts = with_secrets.filter(|(name, _)| match parameters.get(*name) {
        Some(Value::Array(items)) => items.iter().any(Value::is_string),
        other => other.is_some_and(Value::is_string),
    });
    texts.map(|(name, _)| name.as_str()).collect()
}

/// The first value, here or further below, that has sub-options but is no dict. ansible-core stumbles over it while it
/// collects secrets, which is why a level below reports it again.
fn sub_parameter_error(options: &Options, parameters: &Map<String, Value>, secret: bool) -> Option<String> {
    options.by_name.iter().find_map(|(name, option)| {
        let (sub_options, value) = (option.options.as_ref()?, parameters.get(name)?);
        let values = match value {
            Value::Null => return None,
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        let secret = secret || option.no_log;
        values.iter().find_map(|value| match value {
            Value::Object(members) => sub_parameter_error(sub_options, members, secret),
            Value::String(_) => match conversion::dict(value) {
                Ok(members) => sub_parameter_error(sub_options, &members, secret),
                Err(reason) => Some(reason),
            },
            other => {
                let quoted = if secret || option.holds_secret() { PLACEHOLDER.to_owned() } else { python::text(other) };
                let (wanted, given) = (option.kind.name(), python::type_name(other));
                Some(format!("Value '{quoted}' in the sub parameter field '{name}' must be a {wanted}, not '{given}'"))
            }
        })
    })
}

/// The options of a level and their aliases: `a, b, c (alias, other)`.
fn supported(options: &Options) -> String {
    let mut aliases: Vec<_> = options.by_name.values().flat_map(|option| &option.aliases).cloned().collect();
    aliases.sort();
    aliases.dedup();
    let mut names: Vec<_> = options.by_name.keys().filter(|name| !aliases.contains(name)).cloned().collect();
    names.sort();
    if aliases.is_empty() {
        return names.join(", ");
    }
    format!("{} ({})", names.join(", "), aliases.join(", "))
}

fn missing_error(options: &Options, parameters: &Map<String, Value>) -> Option<String> {
    let required = options.by_name.iter().filter(|(name, option)| option.required && !parameters.contains_key(*name));
    let mut missing: Vec<_> = required.map(|(name, _)| name.as_str()).collect();
    missing.sort_unstable();
    (!missing.is_empty()).then(|| format!("missing required arguments: {}", missing.join(", ")))
}

/// YAML makes booleans of words such as `no`. A value that was one takes the choice back that it must have been, where
/// only one choice can be meant.
fn boolean_choice(value: &Value, choices: &[Value]) -> Option<Value> {
    if python::contains(choices, value) {
        return None;
    }
    let meaning = match value.as_str()? {
        "False" => false,
        "True" => true,
        _ => return None,
    };
    let mut candidates: Vec<&Value> = Vec::new();
    for choice in choices {
        let is_new = !candidates.iter().any(|candidate| python::equal(candidate, choice));
        if is_new && conversion::boolean_constant(choice) == Some(meaning) {
            candidates.push(choice);
        }
    }
    match candidates.as_slice() {
        [choice] => Some((*choice).clone()),
        _ => None,
    }
}

/// In Python an option and its alias are one object, so what happens inside a dict happens under both names.
fn share_with_alias(option: &OptionSpecification, name: &str, alias: &str, parameters: &mut Map<String, Value>) {
    let (Some(value), Some(given)) = (parameters.get(name).cloned(), parameters.get_mut(alias)) else {
        return;
    };
    match (value, given) {
        (value @ Value::Object(_), given @ Value::Object(_)) => *given = value,
        (value @ Value::Array(_), given @ Value::Array(_)) if option.kind == Kind::Dict => *given = value,
        (Value::Array(values), Value::Array(given)) if option.elements == Some(Kind::Dict) => {
            let mut values = values.into_iter();
            for item in given {
                if conversion::dict(item).is_ok()
                    && let Some(value) = values.next()
                    && item.is_object()
                {
                    *item = value;
                }
            }
        }
        _ => {}
    }
}
