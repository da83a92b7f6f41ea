//! Credential types: those that come with the controller, and custom ones.

use serde_json::{Map, Value, json};

use super::objects::{CredentialType, Object};
use super::{access, rows, schema};
use crate::exchange::Answer;
use crate::platform::access::Caller;
use crate::platform::answers::{self, Complaints, detail};
use crate::platform::api::Call;
use crate::platform::{State, fields, list};

/// `GET credential_types/`, for everybody.
pub(crate) fn list(state: &State, call: &Call<'_>) -> Result<Answer, Answer> {
    list::page(state, call, state.objects.types.iter().collect(), |row| rows::credential_type(call, row))
}

/// `GET credential_types/ID/`.
pub(crate) fn read(state: &State, call: &Call<'_>, id: i64) -> Result<Answer, Answer> {
    Ok(Answer::json(200, &rows::credential_type(call, found(state, id)?)))
}

/// `POST credential_types/`, for superusers.
pub(crate) fn create(state: &mut State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    if !caller.user.is_superuser {
        return Err(answers::forbidden());
    }
    let body = call.fields(state.release)?;
    let sent = Sent::read(&body, true)?;
    let (Some(name), Some(kind)) = (sent.name, sent.kind) else { return Err(answers::server_error()) };
    let made = CredentialType {
        id: 0,
        name,
        description: sent.description.unwrap_or_default(),
        kind,
        namespace: None,
        inputs: sent.inputs.unwrap_or_else(|| json!({})),
        injectors: sent.injectors.unwrap_or_else(|| json!({})),
        created: call.now,
        modified: call.now,
    };
    let id = add(state, made)?;
    let answer = read(state, call, id)?;
    Ok(Answer { status: 201, ..answer }.header("location", call.link(&format!("credential_types/{id}/"))))
}

/// Puts a custom type behind the others, if its inputs and injectors are right.
pub(crate) fn add(state: &mut State, made: CredentialType) -> Result<i64, Answer> {
    check(state, &made)?;
    let id = state.objects.next_id();
    state.objects.types.push(CredentialType { id, ..made });
    Ok(id)
}

/// `PATCH` and `PUT credential_types/ID/`. While a credential is of the type, its inputs stay as they are.
pub(crate) fn change(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    id: i64,
    is_put: bool,
) -> Result<Answer, Answer> {
    let before = found(state, id)?.clone();
    if !caller.user.is_superuser {
        return Err(answers::forbidden());
    }
    let body = call.fields(state.release)?;
    if before.namespace.is_some() {
        return Err(detail(403, "Modifications not allowed for managed credential types"));
    }
    let sent = Sent::read(&body, is_put)?;
    let mut row = before.clone();
    row.name = sent.name.unwrap_or(row.name);
    row.description = sent.description.unwrap_or(row.description);
    row.kind = sent.kind.unwrap_or(row.kind);
    row.inputs = sent.inputs.unwrap_or(row.inputs);
    row.injectors = sent.injectors.unwrap_or(row.injectors);
    if row.inputs != before.inputs && is_used(state, id) {
        return Err(detail(403, "Modifications to inputs are not allowed for credential types that are in use"));
    }
    check(state, &row)?;
    row.modified = call.now.max(before.modified + 1);
    if let Some(place) = state.objects.types.iter_mut().find(|known| known.id == id) {
        *place = row;
    }
    read(state, call, id)
}

/// `DELETE credential_types/ID/`.
pub(crate) fn delete(state: &mut State, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let kind = found(state, id)?;
    if !caller.user.is_superuser {
        return Err(answers::forbidden());
    }
    if kind.namespace.is_some() {
        return Err(detail(403, "Deletion not allowed for managed credential types"));
    }
    if is_used(state, id) {
        return Err(detail(403, "Credential types that are in use cannot be deleted"));
    }
    state.objects.types.retain(|known| known.id != id);
    Ok(Answer::empty(204))
}

/// `GET credential_types/ID/credentials/`.
pub(crate) fn credentials(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    found(state, id)?;
    let credentials = state.objects.credentials.iter().filter(|row| row.credential_type == id);
    let visible = credentials.filter(|row| access::sees(state, caller, Object::Credential(row.id))).collect();
    list::page(state, call, visible, |row| rows::credential(state, call, caller, row))
}

fn found(state: &State, id: i64) -> Result<&CredentialType, Answer> {
    state.objects.credential_type(id).ok_or_else(|| answers::no_match("CredentialType"))
}

fn is_used(state: &State, id: i64) -> bool {
    state.objects.credentials.iter().any(|known| known.credential_type == id)
}

fn check(state: &State, row: &CredentialType) -> Result<(), Answer> {
    let refusal = |field: &str, sentences: Vec<String>| Answer::json(400, &json!({ field: sentences }));
    schema::check_inputs(&row.inputs).map_err(|sentences| refusal("inputs", sentences))?;
    schema::check_injectors(&row.inputs, &row.injectors).map_err(|sentences| refusal("injectors", sentences))?;
    let is_same = |known: &CredentialType| known.id != row.id && (&known.name, &known.kind) == (&row.name, &row.kind);
    if state.objects.types.iter().any(is_same) {
        return Err(refusal("__all__", vec!["Credential type with this Name and Kind already exists.".to_owned()]));
    }
    Ok(())
}

/// What a body asks for; anything else in it is not looked at.
struct Sent {
    name: Option<String>,
    description: Option<String>,
    kind: Option<String>,
    inputs: Option<Value>,
    injectors: Option<Value>,
}

impl Sent {
    fn read(body: &Map<String, Value>, is_whole: bool) -> Result<Self, Answer> {
        let mut complaints = Complaints::default();
        let name = complaints.note("name", fields::name(body, is_whole)).flatten();
        let description = complaints.note("description", fields::description(body)).flatten();
        let kind = if is_whole || body.contains_key("kind") {
            complaints.note("kind", fields::choice(body, "kind", KINDS))
        } else {
            None
        };
        complaints.into_result()?;
        if let Some(kind) = kind.as_deref().filter(|kind| !["cloud", "net"].contains(kind)) {
            return Err(Answer::json(400, &json!({ "kind": [format!("Must be 'cloud' or 'net', not {kind}")] })));
        }
        let (inputs, injectors) = (body.get("inputs").cloned(), body.get("injectors").cloned());
        Ok(Self { name, description, kind, inputs, injectors })
    }
}

const KINDS: &[&str] = &[
    "ssh",
    "vault",
    "net",
    "scm",
    "cloud",
    "registry",
    "token",
    "insights",
    "external",
    "kubernetes",
    "galaxy",
    "cryptography",
];
