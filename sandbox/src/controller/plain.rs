//! Objects whose fields are simply kept: execution environments, projects, inventories, hosts and schedules.

use serde_json::{Map, Value, json};

use super::access;
use super::objects::Object;
use crate::exchange::Answer;
use crate::platform::access::Caller;
use crate::platform::answers::{self, Complaints};
use crate::platform::api::Call;
use crate::platform::{State, fields, list, time};

/// One of them. Times are milliseconds since the epoch.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    pub(crate) fields: Map<String, Value>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    /// Of a project: how often it is still to be looked at until its update is over.
    pub(crate) looks_left: u32,
}

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

    fn path(self) -> &'static str {
        match self {
            Self::ExecutionEnvironment => "execution_environments",
            Self::Project => "projects",
            Self::Inventory => "inventories",
            Self::Host => "hosts",
            Self::Schedule => "schedules",
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::ExecutionEnvironment => "execution_environment",
            Self::Project => "project",
            Self::Inventory => "inventory",
            Self::Host => "host",
            Self::Schedule => "schedule",
        }
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Self::ExecutionEnvironment => EXECUTION_ENVIRONMENT,
            Self::Project => PROJECT,
            Self::Inventory => INVENTORY,
            Self::Host => HOST,
            Self::Schedule => SCHEDULE,
        }
    }

    /// Beside the name, what no two may have in common, and what is said if they do.
    fn unique_by(self) -> (Option<&'static str>, &'static str) {
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

/// `GET …/`, of one parent or of all.
pub(crate) fn list(
    state: &State,
    call: &Call<'_>,
    caller: &Caller,
    kind: Kind,
    parent: Option<(&str, i64)>,
) -> Result<Answer, Answer> {
    let is_child = |row: &Plain| parent.is_none_or(|(field, id)| row.key(field) == Some(id));
    let rows = state.objects.plain.iter().filter(|row| row.kind == kind && is_child(row));
    let visible = rows.filter(|row| sees(state, caller, row)).collect();
    list::page(state, call, visible, |row| shown(state, call, row))
}

/// `GET …/ID/`.
pub(crate) fn read(state: &State, call: &Call<'_>, caller: &Caller, kind: Kind, id: i64) -> Result<Answer, Answer> {
    let row = found(state, kind, id)?;
    if sees(state, caller, row) { Ok(Answer::json(200, &shown(state, call, row))) } else { Err(answers::forbidden()) }
}

/// `POST …/`, with what the path says of its parent.
pub(crate) fn create(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    kind: Kind,
    parent: Option<(&str, i64)>,
) -> Result<Answer, Answer> {
    let mut body = call.fields(state.release)?;
    if let Some((field, id)) = parent {
        body.insert(field.to_owned(), json!(id));
    }
    let fields = read_fields(state, kind.fields(), &body, None)?;
    let id = state.objects.next_id();
    let (created, modified) = (call.now, call.now);
    let mut row = Plain { id, kind, fields, created, modified, looks_left: 0 };
    check(state, caller, &row)?;
    if kind == Kind::Project && row.has_source() {
        row.looks_left = state.objects.looks_at_update;
    }
    let answer = Answer::json(201, &shown(state, call, &row));
    state.objects.plain.push(row);
    Ok(answer.header("location", call.link(&format!("{}/{id}/", kind.path()))))
}

/// `PATCH` and `PUT …/ID/`.
pub(crate) fn change(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    kind: Kind,
    id: i64,
) -> Result<Answer, Answer> {
    let mut row = found(state, kind, id)?.clone();
    if !administers(state, caller, &row) {
        return Err(answers::forbidden());
    }
    let body = call.fields(state.release)?;
    row.fields = read_fields(state, kind.fields(), &body, Some(&row.fields))?;
    check(state, caller, &row)?;
    row.modified = call.now.max(row.modified + 1);
    let answer = Answer::json(200, &shown(state, call, &row));
    if let Some(place) = state.objects.plain.iter_mut().find(|known| known.id == id) {
        *place = row;
    }
    Ok(answer)
}

/// `DELETE …/ID/`.
pub(crate) fn delete(state: &mut State, caller: &Caller, kind: Kind, id: i64) -> Result<Answer, Answer> {
    let row = found(state, kind, id)?;
    if !administers(state, caller, row) {
        return Err(answers::forbidden());
    }
    state.objects.plain.retain(|known| known.id != id);
    Ok(Answer::empty(204))
}

pub(crate) fn found(state: &State, kind: Kind, id: i64) -> Result<&Plain, Answer> {
    let row = state.objects.plain.iter().find(|row| row.id == id && row.kind == kind);
    row.ok_or_else(|| answers::no_match(kind.class()))
}

pub(crate) fn administers(state: &State, caller: &Caller, row: &Plain) -> bool {
    let by_organization = |id| access::administers(state, caller, Object::Organization(id));
    caller.user.is_superuser || row.organization(state).is_some_and(by_organization)
}

pub(crate) fn sees(state: &State, caller: &Caller, row: &Plain) -> bool {
    let is_for_all = row.kind == Kind::ExecutionEnvironment && row.key("organization").is_none();
    is_for_all || caller.sees_everything() || administers(state, caller, row)
}

/// What a body says about these fields; what it does not say stays, or has its default.
pub(crate) fn read_fields(
    state: &State,
    known: &[Field],
    body: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Result<Map<String, Value>, Answer> {
    let mut complaints = Complaints::default();
    let mut read = Map::new();
    for field in known {
        let value = match (body.get(field.name), before.and_then(|before| before.get(field.name))) {
            (None, Some(stored)) => Ok(stored.clone()),
            (None, None) if field.is_required => Err(fields::REQUIRED.to_owned()),
            (None, None) => Ok(field.holds.default()),
            (Some(_), _) => field.read(state, body),
        };
        if let Some(value) = complaints.note(field.name, value) {
            read.insert(field.name.to_owned(), value);
        }
    }
    complaints.into_result()?;
    Ok(read)
}

impl Field {
    fn read(&self, state: &State, body: &Map<String, Value>) -> Result<Value, String> {
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
            Self::Plain(kind) => found(state, kind, id).is_ok(),
        }
    }
}

impl Plain {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn key(&self, name: &str) -> Option<i64> {
        self.fields.get(name).and_then(Value::as_i64)
    }

    /// A project that is not kept by hand.
    pub(crate) fn has_source(&self) -> bool {
        !self.text("scm_type").is_empty()
    }

    fn organization(&self, state: &State) -> Option<i64> {
        match self.kind {
            Kind::Host => found(state, Kind::Inventory, self.key("inventory")?).ok()?.key("organization"),
            Kind::Schedule => state.objects.template(self.key("unified_job_template")?)?.organization,
            _ => self.key("organization"),
        }
    }
}

fn check(state: &State, caller: &Caller, row: &Plain) -> Result<(), Answer> {
    if !administers(state, caller, row) {
        return Err(answers::forbidden());
    }
    let refusal = |field: &str, sentence: &str| Err(Answer::json(400, &json!({ field: [sentence] })));
    let (scope, sentence) = row.kind.unique_by();
    let is_same = |known: &Plain| {
        (known.kind, known.text("name")) == (row.kind, row.text("name"))
            && known.id != row.id
            && scope.is_none_or(|scope| known.fields[scope] == row.fields[scope])
    };
    if state.objects.plain.iter().any(is_same) {
        return refusal(if scope.is_none() { "name" } else { "__all__" }, sentence);
    }
    match row.kind {
        Kind::Project if row.has_source() && row.text("scm_url").is_empty() => {
            refusal("scm_url", "SCM URL is required.")
        }
        Kind::Project if !row.has_source() => {
            refusal("local_path", "This path is already being used by another manual project.")
        }
        Kind::Schedule => super::schedules::check(state, row),
        _ => Ok(()),
    }
}

fn shown(state: &State, call: &Call<'_>, row: &Plain) -> Value {
    let link = |rest: &str| call.link(&format!("{}/{}/{rest}", row.kind.path(), row.id));
    let mut shown = json!({
        "id": row.id, "type": row.kind.type_name(), "url": link(""), "related": {}, "summary_fields": {},
        "created": time::text(row.created), "modified": time::text(row.modified),
    });
    for (name, value) in &row.fields {
        shown[name] = value.clone();
    }
    let organization = row.key("organization").and_then(|id| state.organization(id));
    if let Some(organization) = organization {
        let (id, name) = (organization.id, &organization.name);
        shown["related"]["organization"] = json!(call.link(&format!("organizations/{id}/")));
        shown["summary_fields"]["organization"] = json!({ "id": id, "name": name });
    }
    match row.kind {
        Kind::Project => super::projects::complete(state, &mut shown, row, &link),
        Kind::Inventory => shown["related"]["hosts"] = json!(link("hosts/")),
        Kind::Schedule => super::schedules::complete(&mut shown, row),
        Kind::ExecutionEnvironment | Kind::Host => {}
    }
    shown
}

const fn field(name: &'static str, holds: Holds) -> Field {
    Field { name, holds, is_required: false }
}

const fn required(name: &'static str, holds: Holds) -> Field {
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
