//! The rows of the API as JSON.

use serde_json::{Value, json};

use super::api::Call;
use super::state::{Application, Organization, State, Token, User};
use super::time;

/// With its secrets, as only the answer to its making has them.
pub(crate) fn new_token(state: &State, call: &Call<'_>, token: &Token) -> Value {
    let refresh = state.refresh_of(token.id).map(|refresh| refresh.secret.clone());
    token_row(state, call, token, &token.secret, refresh.as_deref())
}

/// With masks for its secrets.
pub(crate) fn token(state: &State, call: &Call<'_>, token: &Token) -> Value {
    let mask = state.release.mask();
    token_row(state, call, token, mask, state.refresh_of(token.id).map(|_| mask))
}

fn token_row(state: &State, call: &Call<'_>, token: &Token, secret: &str, refresh: Option<&str>) -> Value {
    let (id, url) = (token.id, call.link(&format!("tokens/{}/", token.id)));
    let (created, modified) = (time::text(token.created), time::text(token.modified));
    let expires = time::text(token.expires);
    let user_link = |id: i64| call.link(&format!("users/{id}/"));
    let mut related = json!({ "user": user_link(token.user) });
    let mut summary = json!({ "user": user_summary(state, token.user) });
    if let Some(application) = token.application.and_then(|id| state.application(id)) {
        related["application"] = json!(call.link(&format!("applications/{}/", application.id)));
        summary["application"] = json!({ "id": application.id, "name": application.name });
    }
    if state.release.is_controller() {
        related["activity_stream"] = json!(call.link(&format!("tokens/{id}/activity_stream/")));
        return json!({
            "id": id, "type": "o_auth2_access_token", "url": url, "related": related, "summary_fields": summary,
            "created": created, "modified": modified, "description": token.description, "user": token.user,
            "token": secret, "refresh_token": refresh, "application": token.application, "expires": expires,
            "scope": token.scope,
        });
    }
    related["created_by"] = json!(user_link(token.made_by));
    related["modified_by"] = json!(user_link(token.modified_by));
    summary["created_by"] = user_summary(state, token.made_by);
    summary["modified_by"] = user_summary(state, token.modified_by);
    json!({
        "id": id, "url": url, "related": related, "summary_fields": summary, "created": created,
        "created_by": token.made_by, "modified": modified, "modified_by": token.modified_by, "expires": expires,
        "user": token.user, "application": token.application, "description": token.description,
        "last_used": token.last_used.map(time::text), "scope": token.scope, "token": secret, "refresh_token": refresh,
    })
}

/// With its secret, as only the answer to its making has it.
pub(crate) fn new_application(state: &State, call: &Call<'_>, application: &Application) -> Value {
    application_row(state, call, application, &application.client_secret)
}

/// With a mask for its secret.
pub(crate) fn application(state: &State, call: &Call<'_>, application: &Application) -> Value {
    application_row(state, call, application, state.release.mask())
}

/// A public application has no secret at all.
fn application_row(state: &State, call: &Call<'_>, application: &Application, secret: &str) -> Value {
    let id = application.id;
    let organization = state.organization(application.organization);
    let mut row = json!({
        "id": id, "type": "o_auth2_application", "url": call.link(&format!("applications/{id}/")),
        "related": {
            "tokens": call.link(&format!("applications/{id}/tokens/")),
            "organization": call.link(&format!("organizations/{}/", application.organization)),
        },
        "summary_fields": {
            "organization": organization.map(|found| json!({ "id": found.id, "name": found.name })),
        },
        "created": time::text(application.created), "modified": time::text(application.modified),
        "name": application.name, "description": application.description, "client_id": application.client_id,
        "client_secret": secret, "client_type": if application.is_public { "public" } else { "confidential" },
        "redirect_uris": application.redirect_uris, "authorization_grant_type": application.grant,
        "skip_authorization": false, "organization": application.organization,
    });
    if let Some(row) = row.as_object_mut() {
        if application.is_public {
            row.shift_remove("client_secret");
        }
        if !state.release.is_controller() {
            row.shift_remove("type");
            row.insert("user".to_owned(), json!(application.user));
        }
    }
    row
}

pub(crate) fn user(state: &State, call: &Call<'_>, user: &User) -> Value {
    let link = |rest: &str| call.link(&format!("users/{}/{rest}", user.id));
    let mut row = json!({
        "id": user.id, "url": link(""),
        "related": {
            "tokens": link("tokens/"), "personal_tokens": link("personal_tokens/"),
            "authorized_tokens": link("authorized_tokens/"),
        },
        "summary_fields": {}, "username": user.username, "email": format!("{}@example.com", user.username),
        "first_name": "", "last_name": "", "is_superuser": user.is_superuser, "last_login": null,
    });
    let auditor = if state.release.is_controller() { "is_system_auditor" } else { "is_platform_auditor" };
    row[auditor] = json!(user.is_auditor);
    row
}

pub(crate) fn organization(call: &Call<'_>, organization: &Organization) -> Value {
    let created = time::text(organization.created);
    json!({
        "id": organization.id, "url": call.link(&format!("organizations/{}/", organization.id)), "related": {},
        "summary_fields": {}, "created": created, "modified": created, "name": organization.name, "description": "",
    })
}

pub(crate) fn user_summary(state: &State, id: i64) -> Value {
    json!({ "id": id, "username": state.username(id), "first_name": "", "last_name": "" })
}
