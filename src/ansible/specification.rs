//! The argument specification of a module: which options it takes, and what it makes of the arguments of a task.
//!
//! Written as the keyword arguments of ansible-core's `AnsibleModule`, and checked as its `ArgumentSpecValidator` does:
//! the same values are accepted and come out the same, the same sentences say what is wrong, in the same order. Three
//! things differ on purpose:
//!
//! * An error sentence never quotes the value of a `no_log` option; it says [`PLACEHOLDER`] instead.
//! * Where ansible-core ends in a traceback (the integer `inf`, a number where sub-options belong), an error is reported.
//! * What JSON cannot carry is an error: integers beyond 64 bits where an option is one, `nan`, and in a dict written as
//!   Python bytes, sets, and keys that are not strings. A tuple there is a list.

mod check;
mod conversion;
mod environment;
mod invocation;
mod literal;
mod python;
mod relations;
mod size;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

pub use self::{
    check::Checked,
    conversion::Kind,
    environment::{Environment, ProcessEnvironment},
    relations::{Condition, Relations},
};

/// What stands in the place of a secret, here as in everything Ansible prints.
pub const PLACEHOLDER: &str = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER";

/// What a module makes of its arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Specification {
    options: Options,
}

impl Specification {
    /// The options at the top level.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Normalises the arguments of a task and lists everything that is wrong with them.
    pub fn check(&self, arguments: Map<String, Value>, environment: &dyn Environment) -> Checked {
        check::check(&self.options, arguments, environment)
    }

    /// The `module_args` of a result's `invocation`: the parameters with nothing secret in them.
    pub fn invocation(&self, checked: &Checked) -> Map<String, Value> {
        invocation::censor(&self.options, checked)
    }
}

impl TryFrom<Written> for Specification {
    type Error = InvalidSpecification;

    fn try_from(written: Written) -> Result<Self, InvalidSpecification> {
        if let Some(key) = written.unknown.into_iter().map(|(key, _)| key).next() {
            return Err(InvalidSpecification::UnknownKey("argument_spec".to_owned(), key));
        }
        Ok(Self { options: Options::new(written.argument_spec, written.relations)? })
    }
}

/// The options of one level, by name in the order they were written, and how they depend on each other.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The options by name.
    pub by_name: IndexMap<String, OptionSpecification>,
    /// What must, or must not, be given together.
    pub relations: Relations,
}

impl Options {
    fn new(written: IndexMap<String, WrittenOption>, relations: Relations) -> Result<Self, InvalidSpecification> {
        let options = written.into_iter().map(|(name, option)| Ok((name.clone(), option.into_option(name)?)));
        Ok(Self { by_name: options.collect::<Result<_, _>>()?, relations })
    }

    /// The option that `name` is the name or an alias of.
    pub fn find(&self, name: &str) -> Option<&OptionSpecification> {
        self.by_name
            .get(name)
            .or_else(|| self.by_name.values().find(|option| option.aliases.iter().any(|alias| alias == name)))
    }
}

/// One option.
#[derive(Clone, Debug)]
pub struct OptionSpecification {
    /// The type its value is converted to.
    pub kind: Kind,
    /// For a list: the type its elements are converted to.
    pub elements: Option<Kind>,
    /// It must be given.
    pub required: bool,
    /// Its value when it is not given.
    pub default: Option<Value>,
    /// The values it may have.
    pub choices: Option<Vec<Value>>,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Its value is a secret.
    pub no_log: bool,
    /// The environment variables that give its value when the task does not, first one first.
    pub fallback: Vec<String>,
    /// For a dict or a list of dicts: what stands in it.
    pub options: Option<Options>,
    /// When it is not given, it is a dict of its sub-options' defaults.
    pub apply_defaults: bool,
}

impl OptionSpecification {
    /// Its value is a secret or has one in it.
    fn holds_secret(&self) -> bool {
        let below = self.options.iter().flat_map(|options| options.by_name.values());
        self.no_log || below.into_iter().any(Self::holds_secret)
    }
}

/// Why a specification cannot be right.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSpecification {
    /// A misspelt key, or one that is not known here.
    #[error("'{1}', which stands with '{0}', is not a key of an argument specification")]
    UnknownKey(String, String),
    /// ansible-core refuses it as well.
    #[error("option '{0}' is required and has a default; it can only have one of them")]
    RequiredWithDefault(String),
    /// Elements belong to lists.
    #[error("option '{0}' has elements but is not a list")]
    ElementsOutsideList(String),
    /// Sub-options belong to dicts.
    #[error("option '{0}' has sub-options but is neither a dict nor a list of dicts")]
    OptionsOutsideDict(String),
    /// Relations and `apply_defaults` need sub-options to speak of.
    #[error("option '{0}' has relations or apply_defaults but no sub-options")]
    RelationsWithoutOptions(String),
}

/// A specification as it stands in JSON.
#[derive(Deserialize)]
struct Written {
    argument_spec: IndexMap<String, WrittenOption>,
    #[serde(flatten)]
    relations: Relations,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// An option as it stands in JSON.
#[derive(Deserialize)]
struct WrittenOption {
    #[serde(default, rename = "type", deserialize_with = "null_is_default")]
    kind: Kind,
    elements: Option<Kind>,
    #[serde(default)]
    required: bool,
    default: Option<Value>,
    choices: Option<Vec<Value>>,
    #[serde(default, deserialize_with = "null_is_default")]
    aliases: Vec<String>,
    #[serde(default)]
    no_log: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    fallback: Vec<String>,
    options: Option<IndexMap<String, WrittenOption>>,
    #[serde(default)]
    apply_defaults: bool,
    #[serde(flatten)]
    relations: Relations,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl WrittenOption {
    fn into_option(self, name: String) -> Result<OptionSpecification, InvalidSpecification> {
        if let Some(key) = self.unknown.into_iter().map(|(key, _)| key).next() {
            return Err(InvalidSpecification::UnknownKey(name, key));
        }
        if self.required && self.default.is_some() {
            return Err(InvalidSpecification::RequiredWithDefault(name));
        }
        if self.elements.is_some() && self.kind != Kind::List {
            return Err(InvalidSpecification::ElementsOutsideList(name));
        }
        let holds_dicts = self.kind == Kind::Dict || self.elements == Some(Kind::Dict);
        if self.options.is_some() && !holds_dicts {
            return Err(InvalidSpecification::OptionsOutsideDict(name));
        }
        if self.options.is_none() && (self.apply_defaults || self.relations != Relations::default()) {
            return Err(InvalidSpecification::RelationsWithoutOptions(name));
        }
        Ok(OptionSpecification {
            kind: self.kind,
            elements: self.elements,
            required: self.required,
            default: self.default,
            choices: self.choices,
            aliases: self.aliases,
            no_log: self.no_log,
            fallback: self.fallback,
            options: self.options.map(|options| Options::new(options, self.relations)).transpose()?,
            apply_defaults: self.apply_defaults,
        })
    }
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Surroundings;

    impl Environment for Surroundings {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "TOKEN").then(|| "from-environment".to_owned())
        }

        fn home(&self, _: Option<&str>) -> Option<String> {
            Some("/home/me".to_owned())
        }
    }

    fn specification(options: Value) -> Specification {
        serde_json::from_value(json!({"argument_spec": options})).unwrap()
    }

    fn check(specification: &Specification, arguments: Value) -> Checked {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        specification.check(arguments, &Surroundings)
    }

    fn typical() -> Specification {
        specification(json!({
            "host": {"required": true, "aliases": ["server"]},
            "token": {"no_log": true, "fallback": ["OTHER", "TOKEN"]},
            "pin": {"type": "int", "no_log": true, "choices": [1, 2]},
            "proxies": {"type": "list", "elements": "dict", "options": {
                "url": {"type": "path", "required": true},
                "password": {"no_log": true},
                "state": {"choices": ["present", "absent"], "default": "present"},
            }},
        }))
    }

    #[test]
    fn fall_backs_aliases_defaults_and_types_are_applied_at_every_level() {
        let checked = check(&typical(), json!({"server": 42, "proxies": ["url=~/x password=geheim"]}));
        assert_eq!(checked.errors, [""; 0]);
        let expected = json!({
            "host": "42", "server": 42, "token": "from-environment", "pin": null,
            "proxies": [{"url": "/home/me/x", "password": "geheim", "state": "present"}],
        });
        assert_eq!(Value::Object(checked.parameters), expected);
        assert!(checked.secrets.contains(&"from-environment".to_owned()), "{:?}", checked.secrets);
        assert!(checked.secrets.contains(&"geheim".to_owned()), "{:?}", checked.secrets);
    }

    #[test]
    fn everything_that_is_wrong_is_said_in_order() {
        let arguments = json!({"hots": 1, "proxies": [{"state": "gone", "ulr": "x"}], "pin": "3"});
        let checked = check(&typical(), arguments);
        let expected = [
            "missing required arguments: host",
            "value of pin must be one of: 1, 2, got: VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",
            "missing required arguments: url found in proxies",
            "value of state must be one of: present, absent, got: gone found in proxies",
            "hots, proxies.ulr. Supported parameters include: host, pin, proxies, token (server).",
        ];
        assert_eq!(checked.errors, expected);
        assert_eq!(checked.failure("sso_token").as_deref(), Some("missing required arguments: host"));
    }

    #[test]
    fn a_lone_unsupported_parameter_is_worded_as_a_module_does() {
        let checked = check(&typical(), json!({"host": "h", "hots": 1}));
        let expected = "Unsupported parameters for (sso_token) module: hots. \
                        Supported parameters include: host, pin, proxies, token (server).";
        assert_eq!(checked.failure("sso_token").as_deref(), Some(expected));
        assert_eq!(check(&typical(), json!({"host": "h"})).failure("sso_token"), None);
    }

    #[test]
    fn two_names_for_one_option_are_warned_about() {
        let checked = check(&typical(), json!({"host": "a", "server": "b"}));
        assert_eq!(checked.warnings, ["Both option host and its alias server are set."]);
        assert_eq!(checked.parameters["host"], "b");
    }

    #[test]
    fn no_error_quotes_a_secret() {
        let secret = specification(json!({
            "number": {"type": "int", "no_log": true},
            "flag": {"type": "bool", "no_log": true},
            "many": {"type": "list", "elements": "int", "no_log": true},
            "one_of": {"type": "list", "choices": ["a"], "no_log": true},
            "mode": {"no_log": true},
            "nested": {"type": "dict", "options": {"password": {"type": "int", "no_log": true}}},
            "whole": {"type": "dict", "no_log": true, "options": {"part": {"choices": ["a"]}}},
        }));
        let arguments = json!({
            "number": "hunter2", "flag": "hunter2", "many": ["hunter2"], "one_of": ["hunter2"], "mode": "hunter2",
            "nested": [["hunter2"]], "whole": {"part": "hunter2"},
        });
        let checked = check(&secret, arguments);
        assert!(checked.errors.len() > 6, "{:?}", checked.errors);
        assert!(!checked.errors.iter().any(|error| error.contains("hunter2")), "{:?}", checked.errors);
        assert_eq!(checked.secrets, ["hunter2"]);

        let checked = check(&typical(), json!({"host": "h", "proxies": ["url=x password=dull hunter2=x"]}));
        let expected =
            "proxies.VALUE_SPECIFIED_IN_NO_LOG_PARAMETER. Supported parameters include: password, state, url.";
        assert_eq!(checked.errors, [expected]);
    }

    #[test]
    fn the_invocation_shows_no_secret() {
        let arguments = json!({
            "host": "h", "token": "geheim", "pin": 1, "misspelt": {"token": "other", "on": true},
            "proxies": [{"url": "http://geheim@proxy", "password": "verborgen", "passwort": "q"}],
        });
        let specification = typical();
        let checked = check(&specification, arguments);
        let expected = json!({
            "host": "h", "token": PLACEHOLDER, "pin": PLACEHOLDER, "misspelt": PLACEHOLDER,
            "proxies": [{
                "url": "http://********@proxy", "password": PLACEHOLDER, "state": "present",
            }],
        });
        assert_eq!(Value::Object(specification.invocation(&checked)), expected);
    }

    #[test]
    fn a_dict_that_could_not_be_read_is_hidden_when_a_secret_belongs_in_it() {
        let specification = specification(json!({
            "proxy": {"type": "dict", "aliases": ["proxies"], "options": {"password": {"no_log": true}}},
        }));
        for (given, shown) in [
            (json!({"proxy": "password=geheim x"}), json!({"proxy": PLACEHOLDER})),
            (json!({"proxy": ["geheim"]}), json!({"proxy": [PLACEHOLDER]})),
            (
                json!({"proxies": "password=geheim"}),
                json!({"proxies": PLACEHOLDER, "proxy": {"password": PLACEHOLDER}}),
            ),
        ] {
            let checked = check(&specification, given);
            assert_eq!(Value::Object(specification.invocation(&checked)), shown);
        }
    }

    #[test]
    fn a_specification_that_cannot_be_right_is_refused() {
        for (options, reason) in [
            (json!({"a": {"required": true, "default": 1}}), "is required and has a default"),
            (json!({"a": {"elements": "str"}}), "is not a list"),
            (json!({"a": {"options": {}}}), "neither a dict nor a list of dicts"),
            (json!({"a": {"type": "dict", "apply_defaults": true}}), "no sub-options"),
            (json!({"a": {"type": "dict", "options": {"b": {"required_iff": []}}}}), "'required_iff'"),
            (json!({"a": {"type": "text"}}), "unknown variant"),
        ] {
            let error = serde_json::from_value::<Specification>(json!({"argument_spec": options})).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
