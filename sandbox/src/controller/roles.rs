//! Who has which role.

use serde_json::json;

use super::association::{Association, no_such};
use super::objects::{Object, RoleKind};
use super::{access, rows};
use crate::exchange::Answer;
use crate::platform::access::Caller;
use crate::platform::answers;
use crate::platform::api::Call;
use crate::platform::{State, list};

/// `GET users/ID/roles/`.
pub(crate) fn of_user(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    state.user(id).ok_or_else(|| answers::no_match("User"))?;
    if id != caller.user.id && !caller.sees_everything() {
        return Err(answers::forbidden());
    }
    let roles = state.objects.roles.iter().filter(|role| role.members.contains(&id)).collect();
    list::page(state, call, roles, |role| rows::role(call, role))
}

/// `POST users/ID/roles/`. Nobody gets a role on a credential of an organization without belonging to it.
pub(crate) fn grant(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let user = state.user(id).ok_or_else(|| answers::no_match("User"))?;
    let wanted = Association::read(state, call)?;
    let role = state.objects.roles.iter().find(|role| role.id == wanted.id).ok_or_else(|| no_such("Role"))?;
    if !access::administers(state, caller, role.object) {
        return Err(answers::forbidden());
    }
    if let Object::Credential(credential) = role.object {
        let organization = state.objects.credential(credential).and_then(|credential| credential.organization);
        if organization.is_some_and(|id| !user.organizations.contains(&id)) {
            let sentence = "You cannot grant credential access to a user not in the credentials' organization";
            return Err(Answer::json(400, &json!({ "msg": sentence })));
        }
    }
    let (kind, object) = (role.kind, role.object);
    change(state, id, kind, object, wanted.is_ended);
    Ok(Answer::empty(204))
}

/// Whoever has a role in an organization as a member or as an admin belongs to it.
pub(crate) fn change(state: &mut State, user: i64, kind: RoleKind, object: Object, is_ended: bool) {
    let Some(role) = state.objects.role_mut(kind, object) else { return };
    Association { id: user, is_ended }.apply(&mut role.members);
    if let Object::Organization(organization) = object
        && matches!(kind, RoleKind::Admin | RoleKind::Member)
        && let Some(user) = state.users.iter_mut().find(|known| known.id == user)
    {
        Association { id: organization, is_ended }.apply(&mut user.organizations);
    }
}
