//! What surrounds the tokens: the caller, users, organizations, and the pages that anybody may read.

use serde_json::{Value, json};

use super::access::Caller;
use super::answers;
use super::api::{Call, Endpoint};
use super::flavour::Release;
use super::state::State;
use super::{list, rows};
use crate::exchange::Answer;

/// The pages that need no credential, and prove nothing about one.
pub(crate) fn open_page(release: Release, endpoint: &Endpoint, base: &str) -> Option<Answer> {
    let link = |name: &str| format!("{base}{name}/");
    let body = match endpoint {
        Endpoint::Versions => json!({
            "description": "AWX REST API", "current_version": "/api/v2/", "available_versions": { "v2": "/api/v2/" },
            "oauth2": "/api/o/",
        }),
        Endpoint::Root if release.is_controller() => json!({
            "ping": link("ping"), "config": link("config"), "me": link("me"), "organizations": link("organizations"),
            "users": link("users"), "applications": link("applications"), "tokens": link("tokens"),
            "credential_types": link("credential_types"), "credentials": link("credentials"),
            "job_templates": link("job_templates"), "jobs": link("jobs"), "unified_jobs": link("unified_jobs"),
            "execution_environments": link("execution_environments"), "projects": link("projects"),
            "inventories": link("inventories"), "hosts": link("hosts"), "schedules": link("schedules"),
        }),
        Endpoint::Root => json!({
            "applications": link("applications"), "me": link("me"), "organizations": link("organizations"),
            "tokens": link("tokens"), "users": link("users"),
        }),
        Endpoint::Ping => json!({
            "ha": false, "version": VERSION, "active_node": "awx-1",
            "install_uuid": "00000000-0000-0000-0000-000000000000", "instances": [], "instance_groups": [],
        }),
        _ => return None,
    };
    Some(Answer::json(200, &body))
}

/// `GET config/`.
pub(crate) fn config() -> Answer {
    Answer::json(200, &json!({ "version": VERSION, "license_info": { "license_type": "open" }, "time_zone": "UTC" }))
}

/// `GET settings/authentication/`.
pub(crate) fn settings(state: &State, caller: &Caller) -> Result<Answer, Answer> {
    if !caller.sees_everything() {
        return Err(answers::forbidden());
    }
    Ok(Answer::json(
        200,
        &json!({
            "AUTH_BASIC_ENABLED": state.basic_auth,
            "ALLOW_OAUTH2_FOR_EXTERNAL_USERS": state.external_users,
            "OAUTH2_PROVIDER": {
                "ACCESS_TOKEN_EXPIRE_SECONDS": state.token_life,
                "AUTHORIZATION_CODE_EXPIRE_SECONDS": 600,
                "REFRESH_TOKEN_EXPIRE_SECONDS": state.refresh_life,
            },
        }),
    ))
}

/// `PATCH settings/authentication/`. The object is replaced: without a life of refresh tokens none is good any more.
pub(crate) fn change_settings(state: &mut State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    if !caller.user.is_superuser {
        return Err(answers::forbidden());
    }
    let fields = call.fields(state.release)?;
    if let Some(provider) = fields.get("OAUTH2_PROVIDER") {
        let seconds = |name: &str| provider.get(name).map(|value| value.as_i64().unwrap_or_default());
        let (token, refresh) = (seconds("ACCESS_TOKEN_EXPIRE_SECONDS"), seconds("REFRESH_TOKEN_EXPIRE_SECONDS"));
        if [token, refresh].into_iter().flatten().any(|seconds| seconds < 1) {
            let sentence = "Ensure this value is greater than or equal to 1.";
            return Err(Answer::json(400, &json!({ "OAUTH2_PROVIDER": [sentence] })));
        }
        state.token_life = token.unwrap_or_else(|| state.release.default_life());
        state.refresh_life = refresh.unwrap_or_default();
    }
    let flag = |name: &str| fields.get(name).and_then(Value::as_bool);
    state.basic_auth = flag("AUTH_BASIC_ENABLED").unwrap_or(state.basic_auth);
    state.external_users = flag("ALLOW_OAUTH2_FOR_EXTERNAL_USERS").unwrap_or(state.external_users);
    settings(state, caller)
}

/// `GET me/`: a page with one row.
pub(crate) fn me(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    Ok(list::single(rows::user(state, call, &caller.user)))
}

/// `GET users/`. Ordinary users see themselves.
pub(crate) fn users(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let visible = state.users.iter().filter(|user| caller.sees_everything() || user.id == caller.user.id).collect();
    list::page(state, call, visible, |user| rows::user(state, call, user))
}

/// `GET users/ID/`.
pub(crate) fn user(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let user = state.user(id).filter(|user| caller.sees_everything() || user.id == caller.user.id);
    let user = user.ok_or_else(|| answers::no_match("User"))?;
    Ok(Answer::json(200, &rows::user(state, call, user)))
}

/// `GET organizations/`. Ordinary users see those they belong to.
pub(crate) fn organizations(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let sees = |id| caller.sees_everything() || caller.is_member_of(id);
    let visible = state.organizations.iter().filter(|organization| sees(organization.id)).collect();
    list::page(state, call, visible, |organization| rows::organization(call, organization))
}

/// `GET organizations/ID/`.
pub(crate) fn organization(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let sees = caller.sees_everything() || caller.is_member_of(id);
    let organization = state.organization(id).filter(|_| sees).ok_or_else(|| answers::no_match("Organization"))?;
    Ok(Answer::json(200, &rows::organization(call, organization)))
}

const VERSION: &str = "24.6.1";
