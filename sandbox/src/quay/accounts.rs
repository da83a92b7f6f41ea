//! Who calls, what an organization is, and what the server says of itself.

use std::fmt::Write;

use ring::digest;
use serde_json::{Value, json};

use super::answers::{json_answer, no_user, problem};
use super::api::{Call, Caller};
use super::state::{Role, State};
use crate::exchange::Answer;

/// `GET /user/`.
pub(crate) fn user(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    caller.check_scopes()?;
    let is_admin = caller.has_scope("user:admin");
    let Some(identity) = caller.identity.as_ref().filter(|_| is_admin || caller.has_scope("user:read")) else {
        return Err(no_user(&call.host));
    };
    let organizations: Vec<_> = state
        .organizations
        .iter()
        .filter(|(_, organization)| organization.members.contains_key(&identity.name))
        .map(|(name, organization)| {
            let role = organization.members.get(&identity.name);
            let creates = caller.has_scope("repo:create") && role != Some(&Role::Member);
            let mut view = json!({
                "name": name, "avatar": avatar(name, "org"), "can_create_repo": creates, "public": false,
            });
            if is_admin {
                view["is_org_admin"] = json!(caller.administers(state, name));
                view["preferred_namespace"] = json!(false);
            }
            view
        })
        .collect();
    let mut view = json!({ "anonymous": false, "username": identity.name, "avatar": avatar(&identity.name, "user") });
    if is_admin {
        view["can_create_repo"] = json!(true);
        view["is_me"] = json!(true);
        view["verified"] = json!(true);
        view["email"] = json!(format!("{}@example.com", identity.name));
        view["logins"] = json!([]);
        view["prompts"] = json!([]);
    }
    view["organizations"] = json!(organizations);
    if caller.is_superuser() {
        view["super_user"] = json!(true);
    }
    Ok(json_answer(200, &view))
}

/// `GET /organization/ORG`, for anybody.
pub(crate) fn organization(state: &State, call: &Call<'_>, caller: &Caller, name: &str) -> Result<Answer, Answer> {
    caller.check_scopes()?;
    if !state.organizations.contains_key(name) {
        return Err(problem(&call.host, 404, "not_found", "Not Found"));
    }
    let is_admin = caller.administers(state, name);
    let is_member = caller.is_member(state, name);
    let sees_all = caller.reads_all(state) || caller.has_full_access(state);
    let email = if is_admin || sees_all { format!("{name}@example.com") } else { String::new() };
    let mut view = json!({
        "name": name, "email": email, "avatar": avatar(name, "org"), "is_admin": is_admin, "is_member": is_member,
    });
    if is_member || sees_all {
        let owners = json!({ "name": "owners", "description": "", "role": "admin", "avatar": avatar("owners", "team"),
            "can_view": is_admin || sees_all, "repo_count": 0, "member_count": 1, "is_synced": false });
        view["teams"] = json!({ "owners": owners });
        view["ordered_teams"] = json!(["owners"]);
    }
    if is_admin {
        view["invoice_email"] = json!(false);
        view["invoice_email_address"] = Value::Null;
        view["tag_expiration_s"] = json!(1_209_600);
        view["is_free_account"] = json!(true);
    }
    Ok(json_answer(200, &view))
}

/// `GET /config`, of the many keys there are those that a client of robots uses.
pub(crate) fn config(state: &State) -> Answer {
    let (major, minor, patch) = state.release;
    json_answer(
        200,
        &json!({
            "version_number": format!("Quay v{major}.{minor}.{patch}"),
            "features": {
                "ANONYMOUS_ACCESS": state.anonymous_access,
                "RATE_LIMITS": state.rate_limit.is_some(),
                "RESTRICTED_USERS": state.restricted_users,
                "SUPERUSERS_FULL_ACCESS": state.superusers_full_access,
                "USER_LAST_ACCESSED": state.user_last_accessed,
            },
            "config": { "SERVER_HOSTNAME": state.server_hostname, "PREFERRED_URL_SCHEME": "https" },
            "registry_state": if state.read_only { "readonly" } else { "normal" },
        }),
    )
}

pub(crate) fn health() -> Answer {
    let services =
        json!({ "auth": true, "database": true, "disk_space": true, "redis": true, "registry_gunicorn": true });
    json_answer(200, &json!({ "data": { "services": services }, "status_code": 200 }))
}

pub(crate) fn avatar(name: &str, kind: &str) -> Value {
    let mut hash = String::new();
    for byte in &digest::digest(&digest::SHA256, name.as_bytes()).as_ref()[..16] {
        let _ = write!(hash, "{byte:02x}");
    }
    json!({ "name": name, "hash": hash, "color": "#1f77b4", "kind": kind })
}
