//! Credentials: create, read, change, delete, and what belongs to one.

use serde_json::{Map, Value, json};

use super::inputs::Inputs;
use super::objects::{Credential, Object, RoleKind};
use super::{access, rows, writers};
use crate::exchange::Answer;
use crate::platform::access::Caller;
use crate::platform::answers::{self, Complaints, detail};
use crate::platform::api::{Call, python_type};
use crate::platform::{State, fields, list};

/// `GET credentials/`.
pub(crate) fn list(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let credentials = state.objects.credentials.iter();
    let visible = credentials.filter(|row| access::sees(state, caller, Object::Credential(row.id))).collect();
    list::page(state, call, visible, |row| rows::credential(state, call, caller, row))
}

/// `GET credentials/ID/`.
pub(crate) fn read(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let credential = readable(state, caller, id)?;
    Ok(Answer::json(200, &rows::credential(state, call, caller, credential)))
}

/// `POST credentials/`. What the type requires is not looked at.
pub(crate) fn create(state: &mut State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let body = call.fields(state.release)?;
    may_create(state, caller, &body)?;
    let sent = Sent::read(state, &body, true)?;
    check_owner(&body)?;
    let (Some(name), Some(type_id)) = (sent.name, sent.credential_type) else { return Err(answers::server_error()) };
    let Some(kind) = state.objects.credential_type(type_id).cloned() else { return Err(answers::server_error()) };
    let inputs = Inputs::new(&kind, &sent.inputs.unwrap_or_default())?;
    let owner = sent.user.flatten();
    let credential = Credential {
        id: state.objects.next_id(),
        name,
        description: sent.description.unwrap_or_default(),
        organization: sent.organization.flatten(),
        credential_type: type_id,
        owner,
        inputs,
        made_by: caller.user.id,
        modified_by: caller.user.id,
        created: call.now,
        modified: call.now,
    };
    check_unique(state, &credential)?;
    let id = credential.id;
    state.objects.store(credential, &caller.user.username);
    if let (Some(owner), Some(role)) = (owner, state.objects.role_mut(RoleKind::Admin, Object::Credential(id))) {
        role.members.push(owner);
    }
    state.objects.log(id, call.now, caller.user.id, "create", json!({ "id": id, "inputs": "hidden" }));
    let credential = found(state, id)?;
    let row = rows::credential(state, call, caller, credential);
    Ok(Answer::json(201, &row).header("location", call.link(&format!("credentials/{id}/"))))
}

/// `PATCH` and `PUT credentials/ID/`.
pub(crate) fn change(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    id: i64,
    is_put: bool,
) -> Result<Answer, Answer> {
    let answer = write(state, call, caller, id, is_put);
    writers::end(state, id, call.now);
    answer
}

/// The row as it was read at the request's begin is written as a whole, whatever it has become meanwhile.
fn write(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64, is_put: bool) -> Result<Answer, Answer> {
    writable(state, caller, id)?;
    let body = call.fields(state.release)?;
    let sent = Sent::read(state, &body, is_put)?;
    let current = found(state, id)?.clone();
    let before = call.request.row_read.clone().unwrap_or_else(|| current.clone());
    let mut row = before.clone();
    row.name = sent.name.unwrap_or(row.name);
    row.description = sent.description.unwrap_or(row.description);
    row.organization = if is_put { sent.organization.flatten() } else { sent.organization.unwrap_or(row.organization) };
    if row.organization != before.organization {
        may_move(state, caller, row.organization)?;
    }
    row.credential_type = sent.credential_type.unwrap_or(row.credential_type);
    if row.credential_type != before.credential_type && state.objects.is_in_use(id) {
        return Err(Answer::json(400, &json!({ "credential_type": [TYPE_IS_FIXED] })));
    }
    let Some(kind) = state.objects.credential_type(row.credential_type) else { return Err(answers::server_error()) };
    if let Some(sent) = sent.inputs {
        row.inputs = before.inputs.replaced(kind, &sent)?;
    }
    check_unique(state, &row)?;
    row.modified_by = caller.user.id;
    row.modified = call.now.max(current.modified + 1);
    let changes = differences(&before, &row);
    let (at, actor) = (row.modified, row.modified_by);
    state.objects.store(row, &caller.user.username);
    if !changes.is_empty() {
        state.objects.log(id, at, actor, "update", Value::Object(changes));
    }
    read(state, call, caller, id)
}

/// `DELETE credentials/ID/`.
pub(crate) fn delete(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    writable(state, caller, id)?;
    state.objects.delete_credential(id);
    for organization in &mut state.organizations {
        organization.galaxy_credentials.retain(|used| *used != id);
    }
    state.objects.log(id, call.now, caller.user.id, "delete", json!({ "inputs": "hidden" }));
    Ok(Answer::empty(204))
}

/// `GET credentials/ID/object_roles/`.
pub(crate) fn roles(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    readable(state, caller, id)?;
    let roles = state.objects.roles.iter().filter(|role| role.object == Object::Credential(id)).collect();
    list::page(state, call, roles, |role| rows::role(call, role))
}

/// `GET credentials/ID/input_sources/`.
pub(crate) fn sources(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    readable(state, caller, id)?;
    let sources = state.objects.sources.iter().filter(|source| source.target == id).collect();
    list::page(state, call, sources, |source| rows::input_source(state, call, source))
}

/// `GET credentials/ID/activity_stream/`.
pub(crate) fn activity(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    readable(state, caller, id)?;
    let entries = state.objects.activity.iter().filter(|entry| entry.credential == id).collect();
    list::page(state, call, entries, |entry| rows::activity(state, call, entry))
}

/// `POST credentials/ID/test/`, which is for types of the kind `external` only.
pub(crate) fn test(state: &State, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let credential = readable(state, caller, id)?;
    let kind = state.objects.credential_type(credential.credential_type);
    if kind.is_some_and(|kind| kind.kind == "external") {
        return Ok(Answer::json(202, &json!({})));
    }
    Err(Answer::json(400, &json!({ "inputs": "AttributeError" })))
}

fn found(state: &State, id: i64) -> Result<&Credential, Answer> {
    state.objects.credential(id).ok_or_else(|| answers::no_match("Credential"))
}

fn readable<'s>(state: &'s State, caller: &Caller, id: i64) -> Result<&'s Credential, Answer> {
    let credential = found(state, id)?;
    if access::sees(state, caller, Object::Credential(id)) { Ok(credential) } else { Err(answers::forbidden()) }
}

fn writable(state: &State, caller: &Caller, id: i64) -> Result<(), Answer> {
    found(state, id)?;
    if access::administers(state, caller, Object::Credential(id)) { Ok(()) } else { Err(answers::forbidden()) }
}

/// Everybody may make their own; one of an organization is for its admins.
fn may_create(state: &State, caller: &Caller, body: &Map<String, Value>) -> Result<(), Answer> {
    let key = |name: &str| body.get(name).and_then(Value::as_i64);
    let is_own = key("user").is_none_or(|user| user == caller.user.id);
    let administers = |id| access::administers(state, caller, Object::Organization(id));
    let is_right = is_own && key("organization").is_none_or(administers) && key("team").is_none();
    if caller.user.is_superuser || is_right { Ok(()) } else { Err(answers::forbidden()) }
}

fn may_move(state: &State, caller: &Caller, organization: Option<i64>) -> Result<(), Answer> {
    let administers = |id| access::administers(state, caller, Object::Organization(id));
    if organization.is_none_or(administers) { Ok(()) } else { Err(answers::forbidden()) }
}

/// A user's own credentials may all have the same name.
fn check_unique(state: &State, credential: &Credential) -> Result<(), Answer> {
    let is_same = |known: &Credential| {
        known.id != credential.id
            && (known.organization, known.credential_type) == (credential.organization, credential.credential_type)
            && known.name == credential.name
    };
    if credential.organization.is_none() || !state.objects.credentials.iter().any(is_same) {
        return Ok(());
    }
    let sentence = "Credential with this Organization, Name and Credential type already exists.";
    Err(Answer::json(400, &json!({ "__all__": [sentence] })))
}

/// As the activity stream has it: whatever the inputs were, nothing of them.
fn differences(before: &Credential, after: &Credential) -> Map<String, Value> {
    let mut changes = Map::new();
    if before.inputs != after.inputs {
        changes.insert("inputs".to_owned(), json!(["hidden", "hidden"]));
    }
    let texts = [("name", &before.name, &after.name), ("description", &before.description, &after.description)];
    for (field, before, after) in texts.into_iter().filter(|(_, before, after)| before != after) {
        changes.insert(field.to_owned(), json!([before, after]));
    }
    let keys = [
        ("organization", before.organization, after.organization),
        ("credential_type", Some(before.credential_type), Some(after.credential_type)),
    ];
    for (field, before, after) in keys.into_iter().filter(|(_, before, after)| before != after) {
        changes.insert(field.to_owned(), json!([before, after]));
    }
    changes
}

/// Exactly one of three.
fn check_owner(body: &Map<String, Value>) -> Result<(), Answer> {
    let owners: Vec<_> = ["organization", "team", "user"].into_iter().filter(|name| is_given(body, name)).collect();
    let sentence = match owners.len() {
        0 => "Missing 'user', 'team', or 'organization'.".to_owned(),
        1 => return Ok(()),
        _ => {
            let received = owners.join(", ");
            format!("Only one of 'user', 'team', or 'organization' should be provided, received {received} fields.")
        }
    };
    Err(detail(400, json!([sentence])))
}

fn is_given(body: &Map<String, Value>, name: &str) -> bool {
    body.get(name).is_some_and(|value| !value.is_null())
}

/// What a body asks for; anything else in it is not looked at.
struct Sent {
    name: Option<String>,
    description: Option<String>,
    organization: Option<Option<i64>>,
    user: Option<Option<i64>>,
    credential_type: Option<i64>,
    inputs: Option<Map<String, Value>>,
}

impl Sent {
    fn read(state: &State, body: &Map<String, Value>, is_whole: bool) -> Result<Self, Answer> {
        let mut complaints = Complaints::default();
        let name = complaints.note("name", fields::name(body, is_whole)).flatten();
        let description = complaints.note("description", fields::description(body)).flatten();
        let is_organization = |id| state.organization(id).is_some();
        let organization =
            complaints.note("organization", fields::key(body, "organization", is_organization)).flatten();
        let user = complaints.note("user", fields::key(body, "user", |id| state.user(id).is_some())).flatten();
        let is_type = |id| state.objects.credential_type(id).is_some();
        let kind = if is_whole || body.contains_key("credential_type") {
            complaints.note("credential_type", fields::required_key(body, "credential_type", is_type))
        } else {
            None
        };
        let inputs = complaints.note("inputs", inputs(body)).flatten();
        complaints.into_result()?;
        Ok(Self { name, description, organization, user, credential_type: kind, inputs })
    }
}

fn inputs(body: &Map<String, Value>) -> Result<Option<Map<String, Value>>, String> {
    match body.get("inputs") {
        None => Ok(None),
        Some(Value::Null) => Err(fields::NULL.to_owned()),
        Some(Value::Object(inputs)) => Ok(Some(inputs.clone())),
        Some(other) => Err(format!("{} provided, expected dict", python_type(other))),
    }
}

const TYPE_IS_FIXED: &str = "You cannot change the credential type of the credential, as it may break the functionality of \
                             the resources using it.";
