//! Who may do what with an object: superusers everything, the admins of an organization everything in it, and others what
//! their roles allow.

use super::objects::{Object, RoleKind};
use crate::platform::State;
use crate::platform::access::Caller;

/// May change it, and delete it.
pub(crate) fn administers(state: &State, caller: &Caller, object: Object) -> bool {
    let user = caller.user.id;
    let by_organization = |id| state.objects.holds(user, RoleKind::Admin, Object::Organization(id));
    caller.user.is_superuser
        || state.objects.holds(user, RoleKind::Admin, object)
        || organization(state, object).is_some_and(by_organization)
}

/// May look at it: whatever role is enough.
pub(crate) fn sees(state: &State, caller: &Caller, object: Object) -> bool {
    let user = caller.user.id;
    let has_any_role = || state.objects.roles.iter().any(|role| role.object == object && role.members.contains(&user));
    let audits = |id| state.objects.holds(user, RoleKind::Read, Object::Organization(id));
    let belongs = matches!(object, Object::Organization(id) if caller.is_member_of(id));
    caller.sees_everything()
        || belongs
        || administers(state, caller, object)
        || has_any_role()
        || organization(state, object).is_some_and(audits)
}

/// May attach it to something.
pub(crate) fn uses(state: &State, caller: &Caller, credential: i64) -> bool {
    let object = Object::Credential(credential);
    administers(state, caller, object) || state.objects.holds(caller.user.id, RoleKind::Use, object)
}

fn organization(state: &State, object: Object) -> Option<i64> {
    match object {
        Object::Organization(_) => None,
        Object::Credential(id) => state.objects.credential(id)?.organization,
        Object::JobTemplate(id) => state.objects.template(id)?.organization,
    }
}
