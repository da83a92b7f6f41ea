//! Organizations, and where their projects get collections from.

use serde_json::json;

use super::association::Association;
use super::objects::{Object, RoleKind};
use super::{access, rows};
use crate::exchange::Answer;
use crate::platform::access::Caller;
use crate::platform::answers::{self, Complaints};
use crate::platform::api::Call;
use crate::platform::state::Organization;
use crate::platform::{State, fields, list};

/// `GET organizations/`. Ordinary users see those they belong to.
pub(crate) fn list(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let organizations = state.organizations.iter();
    let visible = organizations.filter(|row| access::sees(state, caller, Object::Organization(row.id))).collect();
    list::page(state, call, visible, |row| rows::organization(state, call, caller, row))
}

/// `GET organizations/ID/`.
pub(crate) fn read(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let organization = readable(state, caller, id)?;
    Ok(Answer::json(200, &rows::organization(state, call, caller, organization)))
}

/// `POST organizations/`.
pub(crate) fn create(state: &mut State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    if !caller.user.is_superuser {
        return Err(answers::forbidden());
    }
    let body = call.fields(state.release)?;
    let mut complaints = Complaints::default();
    let name = complaints.note("name", fields::name(&body, true)).flatten().unwrap_or_default();
    let description = complaints.note("description", fields::description(&body)).flatten();
    complaints.into_result()?;
    check_unique(state, &name, None)?;
    let id = state.add_organization(&name, call.now);
    if let Some(organization) = state.organization_mut(id) {
        organization.description = description.unwrap_or_default();
    }
    let answer = read(state, call, caller, id)?;
    Ok(Answer { status: 201, ..answer }.header("location", call.link(&format!("organizations/{id}/"))))
}

/// `PATCH` and `PUT organizations/ID/`.
pub(crate) fn change(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    id: i64,
    is_put: bool,
) -> Result<Answer, Answer> {
    writable(state, caller, id)?;
    let body = call.fields(state.release)?;
    let mut complaints = Complaints::default();
    let name = complaints.note("name", fields::name(&body, is_put)).flatten();
    let description = complaints.note("description", fields::description(&body)).flatten();
    complaints.into_result()?;
    check_unique(state, name.as_deref().unwrap_or_default(), Some(id))?;
    if let Some(row) = state.organization_mut(id) {
        row.name = name.unwrap_or_else(|| row.name.clone());
        row.description = description.unwrap_or_else(|| row.description.clone());
        row.modified = call.now.max(row.modified + 1);
    }
    read(state, call, caller, id)
}

/// `DELETE organizations/ID/`. Its credentials go with it.
pub(crate) fn delete(state: &mut State, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    writable(state, caller, id)?;
    let credentials = state.objects.credentials.iter().filter(|known| known.organization == Some(id));
    for credential in credentials.map(|known| known.id).collect::<Vec<_>>() {
        state.objects.delete_credential(credential);
    }
    state.objects.roles.retain(|role| role.object != Object::Organization(id));
    state.organizations.retain(|known| known.id != id);
    Ok(Answer::empty(204))
}

/// `GET organizations/ID/object_roles/`.
pub(crate) fn roles(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    readable(state, caller, id)?;
    let roles = state.objects.roles.iter().filter(|role| role.object == Object::Organization(id)).collect();
    list::page(state, call, roles, |role| rows::role(call, role))
}

/// `GET organizations/ID/credentials/`.
pub(crate) fn credentials(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    readable(state, caller, id)?;
    let credentials = state.objects.credentials.iter().filter(|row| row.organization == Some(id));
    let visible = credentials.filter(|row| access::sees(state, caller, Object::Credential(row.id))).collect();
    list::page(state, call, visible, |row| rows::credential(state, call, caller, row))
}

/// `GET organizations/ID/galaxy_credentials/`, in the order of their association.
pub(crate) fn galaxy_credentials(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let organization = readable(state, caller, id)?;
    let credentials = organization.galaxy_credentials.iter().filter_map(|id| state.objects.credential(*id)).collect();
    list::page_as_it_is(state, call, credentials, |row| rows::credential(state, call, caller, row))
}

/// `POST organizations/ID/galaxy_credentials/`.
pub(crate) fn associate(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    writable(state, caller, id)?;
    let wanted = Association::read(state, call)?;
    let credential = wanted.credential(state)?;
    let kind = state.objects.credential_type(credential.credential_type);
    if let Some(other) = kind.filter(|kind| kind.kind != "galaxy" && !wanted.is_ended) {
        let sentence = format!("Credential must be a Galaxy credential, not {}.", other.name);
        return Err(Answer::json(400, &json!({ "msg": sentence })));
    }
    if let Some(organization) = state.organization_mut(id) {
        wanted.apply(&mut organization.galaxy_credentials);
    }
    Ok(Answer::empty(204))
}

fn readable<'s>(state: &'s State, caller: &Caller, id: i64) -> Result<&'s Organization, Answer> {
    let organization = state.organization(id).ok_or_else(|| answers::no_match("Organization"))?;
    if access::sees(state, caller, Object::Organization(id)) { Ok(organization) } else { Err(answers::forbidden()) }
}

fn writable(state: &State, caller: &Caller, id: i64) -> Result<(), Answer> {
    state.organization(id).ok_or_else(|| answers::no_match("Organization"))?;
    let is_admin = state.objects.holds(caller.user.id, RoleKind::Admin, Object::Organization(id));
    if caller.user.is_superuser || is_admin { Ok(()) } else { Err(answers::forbidden()) }
}

fn check_unique(state: &State, name: &str, own: Option<i64>) -> Result<(), Answer> {
    if !state.organizations.iter().any(|known| known.name == name && Some(known.id) != own) {
        return Ok(());
    }
    Err(Answer::json(400, &json!({ "name": ["Organization with this Name already exists."] })))
}
