//! The files as written, how fragments are merged into a module, and what is wrong with them.

use std::{fs, path::Path};

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{Error, Module};

pub(crate) fn read(folder: &Path, name: &str) -> Result<Module, Error> {
    let path = folder.join(name).with_extension("yml");
    let File { mut documentation, specification: mut relations, lookup, examples, returns } = parse(&path)?;
    for name in documentation.fragments.own() {
        let path = folder.join("fragments").join(name).with_extension("yml");
        let mut fragment: Fragment = parse(&path)?;
        check(&path, "options", &fragment.options, &Map::new())?;
        fragment.tell_its_options();
        documentation.merge(fragment.options, fragment.attributes, fragment.notes);
        join(&mut relations, fragment.specification);
    }
    if name.contains("__") || !name.chars().all(|each| matches!(each, 'a'..='z' | '0'..='9' | '_')) {
        let problem = "automation hub takes only small letters, digits and single underscores";
        return Err(wrong(&path, "DOCUMENTATION.module", problem));
    }
    if documentation.module != name {
        return Err(wrong(
            &path,
            "DOCUMENTATION.module",
            format!("is {}, but the file is named {name}", documentation.module),
        ));
    }
    check(&path, "DOCUMENTATION.options", &documentation.options, &Map::new())?;
    check_whole(&path, "DOCUMENTATION.options", &documentation.options)?;
    check_relations(&path, "SPECIFICATION", &documentation.options, &relations)?;
    let lookup = lookup.map(|lookup| lookup.completed(&path, folder, &returns)).transpose()?;
    Ok(Module { name: name.to_owned(), documentation, relations, lookup, examples, returns })
}

/// `DOCUMENTATION` of a module. What only Ansible's tools read is passed through as it is; they check it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Documentation {
    pub(crate) module: String,
    pub(crate) short_description: String,
    pub(crate) version_added: String,
    pub(crate) author: Lines,
    pub(crate) description: Lines,
    #[serde(default, rename = "extends_documentation_fragment")]
    pub(crate) fragments: Fragments,
    #[serde(default)]
    pub(crate) options: IndexMap<String, ModuleOption>,
    #[serde(default)]
    pub(crate) attributes: IndexMap<String, Attribute>,
    #[serde(default)]
    pub(crate) notes: Lines,
    #[serde(default)]
    pub(crate) requirements: Lines,
    #[serde(default)]
    pub(crate) seealso: Vec<Value>,
}

impl Documentation {
    /// What the module says itself wins, key by key, as with Ansible's own fragments.
    fn merge(
        &mut self,
        options: IndexMap<String, ModuleOption>,
        attributes: IndexMap<String, Attribute>,
        notes: Lines,
    ) {
        for (name, shared) in options {
            let own = self.options.get(&name).cloned().unwrap_or_default();
            self.options.insert(name, own.or(shared));
        }
        for (name, shared) in attributes {
            self.attributes.entry(name).or_insert(shared);
        }
        self.notes.0.extend(notes.0);
    }
}

/// An option, or a part of one: a module may name an option of a fragment to change only its default.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ModuleOption {
    pub(crate) description: Option<Lines>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) elements: Option<String>,
    pub(crate) required: Option<bool>,
    pub(crate) default: Option<Value>,
    pub(crate) choices: Option<Vec<Value>>,
    pub(crate) aliases: Option<Vec<String>>,
    pub(crate) version_added: Option<String>,
    pub(crate) secret: Option<bool>,
    pub(crate) environment: Option<Vec<String>>,
    pub(crate) suboptions: Option<IndexMap<String, ModuleOption>>,
    pub(crate) lookup: Option<InLookup>,
    /// How the sub-options depend on each other. An unknown key lands here too, and is refused.
    #[serde(flatten)]
    pub(crate) relations: Map<String, Value>,
}

impl ModuleOption {
    fn or(self, other: Self) -> Self {
        Self {
            description: self.description.or(other.description),
            kind: self.kind.or(other.kind),
            elements: self.elements.or(other.elements),
            required: self.required.or(other.required),
            default: self.default.or(other.default),
            choices: self.choices.or(other.choices),
            aliases: self.aliases.or(other.aliases),
            version_added: self.version_added.or(other.version_added),
            secret: self.secret.or(other.secret),
            environment: self.environment.or(other.environment),
            suboptions: self.suboptions.or(other.suboptions),
            lookup: self.lookup.or(other.lookup),
            relations: if self.relations.is_empty() { other.relations } else { self.relations },
        }
    }

    pub(crate) fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("str")
    }
}

/// What a lookup plugin makes of an option. Without a word it is the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected false, or what the option means to a lookup")]
pub(crate) enum InLookup {
    /// `false`: it has none of that name.
    Is(bool),
    /// It is described otherwise.
    Described(Lines),
}

/// `LOOKUP`: the module as a lookup plugin, which returns one value of the result.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    pub(crate) returns: String,
    pub(crate) short_description: String,
    pub(crate) version_added: String,
    pub(crate) description: Lines,
    #[serde(default)]
    pub(crate) notes: Lines,
    pub(crate) examples: String,
}

impl Lookup {
    /// With what is said of every lookup, in `fragments/lookup.yml`.
    fn completed(mut self, path: &Path, folder: &Path, returns: &IndexMap<String, ReturnValue>) -> Result<Self, Error> {
        if !returns.get(&self.returns).is_some_and(|value| value.secret) {
            return Err(wrong(path, "LOOKUP.returns", format!("there is no secret {} in RETURN", self.returns)));
        }
        let shared: OfEveryLookup = parse(&folder.join("fragments/lookup.yml"))?;
        self.description.0.extend(shared.description.0);
        self.notes.0.extend(shared.notes.0);
        Ok(self)
    }
}

/// An attribute such as `check_mode`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    pub(crate) description: Lines,
    pub(crate) support: String,
    #[serde(default)]
    pub(crate) details: Lines,
    pub(crate) platforms: Option<String>,
}

/// A key of the result.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnValue {
    pub(crate) description: Lines,
    pub(crate) returned: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) elements: Option<String>,
    pub(crate) choices: Option<Vec<Value>>,
    pub(crate) version_added: Option<String>,
    pub(crate) sample: Option<Value>,
    pub(crate) contains: Option<IndexMap<String, ReturnValue>>,
    #[serde(default)]
    pub(crate) secret: bool,
}

impl ReturnValue {
    pub(crate) fn holds_secret(&self) -> bool {
        self.secret || self.contains.as_ref().is_some_and(|parts| parts.values().any(Self::holds_secret))
    }
}

/// One paragraph or several, as Ansible allows it nearly everywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a text or a list of texts")]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(line) => Self(vec![line]),
            OneOrMany::Many(lines) => Self(lines),
        })
    }
}

/// The fragments a module takes. A dotted name is of another collection: Ansible merges it when it reads the stub.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fragments(Lines);

impl Fragments {
    fn own(&self) -> Vec<String> {
        self.0.0.iter().filter(|name| !name.contains('.')).cloned().collect()
    }

    pub(crate) fn foreign(&self) -> Vec<String> {
        self.0.0.iter().filter(|name| name.contains('.')).cloned().collect()
    }
}

pub(crate) const RELATIONS: [&str; 5] =
    ["mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "DOCUMENTATION")]
    documentation: Documentation,
    #[serde(default, rename = "SPECIFICATION")]
    specification: Map<String, Value>,
    #[serde(default, rename = "LOOKUP")]
    lookup: Option<Lookup>,
    #[serde(rename = "EXAMPLES")]
    examples: String,
    #[serde(rename = "RETURN")]
    returns: IndexMap<String, ReturnValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fragment {
    #[serde(default)]
    options: IndexMap<String, ModuleOption>,
    #[serde(default)]
    attributes: IndexMap<String, Attribute>,
    #[serde(default)]
    notes: Lines,
    #[serde(default, rename = "SPECIFICATION")]
    specification: Map<String, Value>,
    /// What a lookup plugin makes of all its options.
    lookup: Option<InLookup>,
}

impl Fragment {
    fn tell_its_options(&mut self) {
        for option in self.options.values_mut() {
            option.lookup = option.lookup.take().or_else(|| self.lookup.clone());
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfEveryLookup {
    description: Lines,
    notes: Lines,
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    serde_yaml_ng::from_str(&text).map_err(|source| Error::Malformed { path: path.to_owned(), source })
}

/// Appends lists to lists and entries to mappings; the module's own entries win.
fn join(relations: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (relations.get_mut(&name), value) {
            (Some(Value::Array(own)), Value::Array(shared)) => own.extend(shared),
            (Some(Value::Object(own)), Value::Object(shared)) => {
                for (key, value) in shared {
                    own.entry(key).or_insert(value);
                }
            }
            (_, value) => {
                relations.insert(name, value);
            }
        }
    }
}

/// Refuses unknown keys, in a fragment as in a module, so that the message names the right file.
fn check(
    path: &Path,
    key: &str,
    options: &IndexMap<String, ModuleOption>,
    relations: &Map<String, Value>,
) -> Result<(), Error> {
    if let Some(unknown) = relations.keys().find(|name| !RELATIONS.contains(&name.as_str())) {
        return Err(wrong(path, key, format!("unknown key {unknown}")));
    }
    for (name, option) in options {
        let key = format!("{key}.{name}");
        let none = IndexMap::new();
        check(path, &key, option.suboptions.as_ref().unwrap_or(&none), &option.relations)?;
    }
    Ok(())
}

/// What must be so once every fragment is merged in.
fn check_whole(path: &Path, key: &str, options: &IndexMap<String, ModuleOption>) -> Result<(), Error> {
    for (name, option) in options {
        let key = format!("{key}.{name}");
        if option.description.as_ref().is_none_or(|lines| lines.0.is_empty()) {
            return Err(wrong(path, &key, "has no description"));
        }
        if !TYPES.contains(&option.kind()) {
            return Err(wrong(path, &key, format!("{} is no type", option.kind())));
        }
        if option.elements.as_ref().is_some_and(|_| option.kind() != "list") {
            return Err(wrong(path, &key, "only a list has elements"));
        }
        if sounds_secret(name) && option.kind() != "bool" && option.secret.is_none() {
            return Err(wrong(path, &key, "sounds like a secret, so it has to say secret: true or secret: false"));
        }
        if matches!(option.lookup, Some(InLookup::Is(true))) {
            return Err(wrong(path, &format!("{key}.lookup"), "may be false, or what the option means to a lookup"));
        }
        if let Some(suboptions) = &option.suboptions {
            check_whole(path, &format!("{key}.suboptions"), suboptions)?;
            check_relations(path, &key, suboptions, &option.relations)?;
        }
    }
    Ok(())
}

/// Every option that a relation names must exist.
fn check_relations(
    path: &Path,
    key: &str,
    options: &IndexMap<String, ModuleOption>,
    relations: &Map<String, Value>,
) -> Result<(), Error> {
    if let Some(unknown) = relations.keys().find(|name| !RELATIONS.contains(&name.as_str())) {
        return Err(wrong(path, key, format!("unknown key {unknown}")));
    }
    for (relation, value) in relations {
        let key = format!("{key}.{relation}");
        let named =
            named(relation, value).ok_or_else(|| wrong(path, &key, "does not have the form that Ansible knows"))?;
        if let Some(unknown) = named.iter().find(|name| !options.contains_key(**name)) {
            return Err(wrong(path, &key, format!("there is no option {unknown}")));
        }
    }
    Ok(())
}

/// The options that a relation names: lists of names; `[name, value, [names]]`, `any` after it; or a mapping to names.
fn named<'a>(relation: &str, value: &'a Value) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    match relation {
        "required_by" => {
            for (name, others) in value.as_object()? {
                found.push(name.as_str());
                found.extend(texts(others)?);
            }
        }
        "required_if" => {
            for rule in value.as_array()? {
                let rule = rule.as_array().filter(|rule| matches!(rule.len(), 3 | 4))?;
                found.push(rule[0].as_str()?);
                found.extend(texts(&rule[2])?);
            }
        }
        _ => {
            for group in value.as_array()? {
                found.extend(texts(group)?);
            }
        }
    }
    Some(found)
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// What `ansible-test sanity` takes for the name of a secret.
fn sounds_secret(name: &str) -> bool {
    ["secret", "token", "key"].iter().any(|word| name.contains(word)) || name.replace("passive", "").contains("pass")
}

fn wrong(path: &Path, key: &str, problem: impl Into<String>) -> Error {
    Error::Wrong { path: path.to_owned(), key: key.to_owned(), problem: problem.into() }
}

const TYPES: [&str; 11] = ["str", "list", "dict", "bool", "int", "float", "path", "raw", "jsonarg", "json", "bytes"];
