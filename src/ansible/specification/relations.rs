//! How the options of one level depend on each other.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{Options, PLACEHOLDER, null_is_default, python};

/// What must, or must not, be given together. An option counts as given when it has a value or a default.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Relations {
    /// Groups of which at most one may be given.
    #[serde(default, deserialize_with = "null_is_default")]
    pub mutually_exclusive: Vec<Vec<String>>,
    /// Groups of which all or none must be given.
    #[serde(default, deserialize_with = "null_is_default")]
    pub required_together: Vec<Vec<String>>,
    /// Groups of which at least one must be given.
    #[serde(default, deserialize_with = "null_is_default")]
    pub required_one_of: Vec<Vec<String>>,
    /// What is required when another option has a certain value.
    #[serde(default, deserialize_with = "null_is_default")]
    pub required_if: Vec<Condition>,
    /// What is required when another option has any value.
    #[serde(default, deserialize_with = "required_by")]
    pub required_by: IndexMap<String, Vec<String>>,
}

impl Relations {
    /// The sentence about groups of which more than one is given.
    pub(super) fn exclusion_error(&self, parameters: &Map<String, Value>) -> Option<String> {
        let broken = self.mutually_exclusive.iter().filter(|group| {
            let mut given: Vec<_> = group.iter().filter(|name| parameters.contains_key(*name)).collect();
            given.sort();
            given.dedup();
            given.len() > 1
        });
        let groups: Vec<_> = broken.map(|group| group.join("|")).collect();
        (!groups.is_empty()).then(|| format!("parameters are mutually exclusive: {}", groups.join(", ")))
    }

    /// The sentences about everything that is required; for each kind of relation its first breach.
    pub(super) fn requirement_errors(
        &self,
        options: &Options,
        parameters: &Map<String, Value>,
        secret: bool,
    ) -> impl Iterator<Item = String> {
        let condition_error = self.required_if.iter().find_map(|condition| {
            let secret = secret || options.by_name.get(&condition.option).is_some_and(|option| option.no_log);
            condition.error(parameters, secret)
        });
        [self.together_error(parameters), self.one_of_error(parameters), condition_error, self.by_error(parameters)]
            .into_iter()
            .flatten()
    }

    fn together_error(&self, parameters: &Map<String, Value>) -> Option<String> {
        let broken = self.required_together.iter().find(|group| {
            let given = group.iter().filter(|name| parameters.contains_key(*name)).count();
            given > 0 && given < group.len()
        })?;
        Some(format!("parameters are required together: {}", broken.join(", ")))
    }

    fn one_of_error(&self, parameters: &Map<String, Value>) -> Option<String> {
        let mut groups = self.required_one_of.iter();
        let broken = groups.find(|group| !group.iter().any(|name| parameters.contains_key(name)))?;
        Some(format!("one of the following is required: {}", broken.join(", ")))
    }

    fn by_error(&self, parameters: &Map<String, Value>) -> Option<String> {
        let given = |name: &str| parameters.get(name).is_some_and(|value| !value.is_null());
        self.required_by.iter().filter(|(name, _)| given(name)).find_map(|(name, required)| {
            let missing: Vec<_> = required.iter().map(String::as_str).filter(|name| !given(name)).collect();
            (!missing.is_empty()).then(|| format!("missing parameter(s) required by '{name}': {}", missing.join(", ")))
        })
    }
}

/// `[option, value, [required options], one of them is enough]`; the last may be left out.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(from = "WrittenCondition")]
pub struct Condition {
    /// The option that is looked at.
    pub option: String,
    /// The value that makes the others required.
    pub value: Value,
    /// What is required then.
    pub required: Vec<String>,
    /// One of them is enough.
    pub any: bool,
}

impl Condition {
    fn error(&self, parameters: &Map<String, Value>, secret: bool) -> Option<String> {
        if !parameters.get(&self.option).is_some_and(|value| python::equal(value, &self.value)) {
            return None;
        }
        let missing = self.required.iter().map(String::as_str).filter(|name| !parameters.contains_key(*name));
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() || (self.any && missing.len() < self.required.len()) {
            return None;
        }
        let value = if secret { PLACEHOLDER.to_owned() } else { python::text(&self.value) };
        let amount = if self.any { "any" } else { "all" };
        let missing = missing.join(", ");
        Some(format!("{} is {value} but {amount} of the following are missing: {missing}", self.option))
    }
}

impl From<WrittenCondition> for Condition {
    fn from(written: WrittenCondition) -> Self {
        let (option, value, required, any) = match written {
            WrittenCondition::All(option, value, required) => (option, value, required, false),
            WrittenCondition::Stated(option, value, required, any) => (option, value, required, any),
        };
        Self { option, value, required, any }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenCondition {
    All(String, Value, Vec<String>),
    Stated(String, Value, Vec<String>, bool),
}

/// `{option: required}` or `{option: [required, …]}`.
pub(super) fn required_by<'de, D>(deserializer: D) -> Result<IndexMap<String, Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    let written: Option<IndexMap<String, OneOrMore>> = Option::deserialize(deserializer)?;
    let pairs = written.unwrap_or_default().into_iter().map(|(name, required)| match required {
        OneOrMore::One(required) => (name, vec![required]),
        OneOrMore::More(required) => (name, required),
    });
    Ok(pairs.collect())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}
