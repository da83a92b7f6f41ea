//! Which fields the plain objects have, and what they hold.

use serde_json::{Map, Value, json};

use super::plain;
use crate::platform::{State, fields};

/// A kind of plain objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ExecutionEnvironment,
    Project,
    Inventory,
    Host,
    Schedule,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holds {
    Text,
    Flag(bool),
    Number,
    Choice(&'static [&'static str]),
    Key(Target),
    Map,
}

/// What a key points to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Organization,
    Credential,
    Template,
    Plain(Kind),
}

pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) holds: Holds,
    pub(crate) is_required: bool,
}

impl Kind {
    /// By the first word of its path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let all = [Self::ExecutionEnvironment, Self::Project, Self::Inventory, Self::Host, Self::Schedule];
        all.into_iter().find(|kind| kind.path() == path)
    }

    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::ExecutionEnvironment => "ExecutionEnvironment",
            Self::Project => "Project",
            Self::Inventory => "Inventory",
            Self::Host => "Host",
            Self::Schedule => "Schedule",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::ExecutionEnvironment => "execution_environments",
            Self::Project => "projects",
            Self::Inventory => "inventories",
            Self::Host => "hosts",
            Self::Schedule => "schedules",
        }
    }

    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::ExecutionEnvironment => "execution_environment",
            Self::Project => "project",
            Self::Inventory => "inventory",
            Self::Host => "host",
            Self::Schedule => "schedule",
        }
    }

    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::ExecutionEnvironment => EXECUTION_ENVIRONMENT,
            Self::Project => PROJECT,
            Self::Inventory => INVENTORY,
            Self::Host => HOST,
            Self::Schedule => SCHEDULE,
        }
    }

    /// Beside the name, what no two may have in common, and what is said if they do.
    pub(crate) fn unique_by(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::ExecutionEnvironment => (None, "Execution environment with this Name already exists."),
            Self::Project => (Some("organization"), "Project with this Name and Organization already exists."),
            Self::Inventory => (Some("organization"), "Inventory with this Name and Organization already exists."),
            Self::Host => (Some("inventory"), "Host with this Name and Inventory already exists."),
            Self::Schedule => {
                (Some("unified_job_template"), "Schedule with this Unified job template and Name already exists.")
            }
        }
    }
}

impl Field {
    pub(crate) fn read(&self, state: &State, body: &Map<String, Value>) -> Result<Value, String> {
        match (self.holds, &body[self.name]) {
            (Holds::Text, _) if self.name == "name" => fields::name(body, true).map(|name| json!(name)),
            (Holds::Text, Value::Null) => Ok(json!("")),
            (Holds::Text, _) if self.is_required => fields::required_text(body, self.name).map(|text| json!(text)),
            (Holds::Text, _) => fields::text(body, self.name).map(|text| json!(text)),
            (Holds::Flag(_), flag @ Value::Bool(_)) => Ok(flag.clone()),
            (Holds::Flag(_), _) => Err("Must be a valid boolean.".to_owned()),
            (Holds::Number, number @ Value::Number(_)) => Ok(number.clone()),
            (Holds::Number, _) => Err("A valid integer is required.".to_owned()),
            (Holds::Choice(choices), Value::Null) if choices.contains(&"") => Ok(json!("")),
            (Holds::Choice(choices), _) => fields::choice(body, self.name, choices).map(|choice| json!(choice)),
            (Holds::Key(target), _) if self.is_required => {
                fields::required_key(body, self.name, |id| target.is_there(state, id)).map(|key| json!(key))
            }
            (Holds::Key(target), _) => {
                fields::key(body, self.name, |id| target.is_there(state, id)).map(|key| json!(key.flatten()))
            }
            (Holds::Map, map @ Value::Object(_)) => Ok(map.clone()),
            (Holds::Map, _) => Err("Value must be valid JSON or YAML.".to_owned()),
        }
    }
}

impl Holds {
    pub(crate) fn default(self) -> Value {
        match self {
            Self::Text => json!(""),
            Self::Flag(flag) => json!(flag),
            Self::Number => json!(0),
            Self::Choice(choices) => json!(choices.first()),
            Self::Key(_) => Value::Null,
            Self::Map => json!({}),
        }
    }
}

impl Target {
    fn is_there(self, state: &State, id: i64) -> bool {
        match self {
            Self::Organization => state.organization(id).is_some(),
            Self::Credential => state.objects.credential(id).is_some(),
            Self::Template => state.objects.template(id).is_some(),
            Self::Plain(kind) => plain::found(state, kind, id).is_ok(),
        }
    }
}

pub(crate) const fn field(name: &'static str, holds: Holds) -> Field {
    Field { name, holds, is_required: false }
}

pub(crate) const fn required(name: &'static str, holds: Holds) -> Field {
    Field { name, holds, is_required: true }
}

const EXECUTION_ENVIRONMENT: &[Field] = &[
    required("name", Holds::Text),
    field("description", Holds::Text),
    field("organization", Holds::Key(Target::Organization)),
    required("image", Holds::Text),
    field("credential", Holds::Key(Target::Credential)),
    field("pull", Holds::Choice(&["", "always", "missing", "never"])),
];
const PROJECT: &[Field] = &[
    required("name", Holds::Text),
    field("description", Holds::Text),
    field("local_path", Holds::Text),
    field("scm_type", Holds::Choice(&["", "git", "svn", "insights", "archive"])),
    field("scm_url", Holds::Text),
    field("scm_branch", Holds::Text),
    field("scm_refspec", Holds::Text),
    field("scm_clean", Holds::Flag(false)),
    field("scm_delete_on_update", Holds::Flag(false)),
    field("scm_update_on_launch", Holds::Flag(false)),
    field("scm_update_cache_timeout", Holds::Number),
    field("allow_override", Holds::Flag(false)),
    field("timeout", Holds::Number),
    field("credential", Holds::Key(Target::Credential)),
    field("organization", Holds::Key(Target::Organization)),
    field("default_environment", Holds::Key(Target::Plain(Kind::ExecutionEnvironment))),
];
const INVENTORY: &[Field] = &[
    required("name", Holds::Text),
    field("description", Holds::Text),
    required("organization", Holds::Key(Target::Organization)),
    field("kind", Holds::Choice(&["", "smart", "constructed"])),
    field("variables", Holds::Text),
];
const HOST: &[Field] = &[
    required("name", Holds::Text),
    field("description", Holds::Text),
    required("inventory", Holds::Key(Target::Plain(Kind::Inventory))),
    field("enabled", Holds::Flag(true)),
    field("variables", Holds::Text),
];
const SCHEDULE: &[Field] = &[
    required("name", Holds::Text),
    field("description", Holds::Text),
    required("rrule", Holds::Text),
    field("enabled", Holds::Flag(true)),
    required("unified_job_template", Holds::Key(Target::Template)),
    field("extra_data", Holds::Map),
    field("inventory", Holds::Key(Target::Plain(Kind::Inventory))),
    field("limit", Holds::Text),
];
