//! Objects whose fields are simply kept: execution environments, projects, inventories, hosts and schedules.

use serde_json::{Map, Value, json};

use super::access;
use super::kinds::{Field, Kind};
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
