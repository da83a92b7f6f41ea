//! OAuth2 applications: whose clients may ask for tokens, and what tokens can be bound to.

use serde_json::json;

use super::access::Caller;
use super::answers::{self, Complaints};
use super::api::Call;
use super::state::{Application, State};
use super::{fields, list, rows};
use crate::exchange::Answer;

/// `GET applications/`.
pub(crate) fn list(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let visible = state.applications.iter().filter(|application| sees(caller, application)).collect();
    list::page(state, call, visible, |application| rows::application(state, call, application))
}

/// `GET applications/ID/`.
pub(crate) fn read(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    Ok(Answer::json(200, &rows::application(state, call, found(state, caller, id)?)))
}

/// `POST applications/`.
pub(crate) fn create(state: &mut State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    if !caller.user.is_superuser {
        return Err(answers::forbidden());
    }
    let body = call.fields(state.release)?;
    let mut complaints = Complaints::default();
    let name = complaints.note("name", fields::required_text(&body, "name"));
    let description = complaints.note("description", fields::text(&body, "description")).flatten();
    let kind = complaints.note("client_type", fields::choice(&body, "client_type", &["confidential", "public"]));
    let is_there = |id| state.organization(id).is_some();
    let organization = complaints.note("organization", fields::required_key(&body, "organization", is_there));
    let grants = ["authorization-code", "password"];
    let grant = complaints.note("authorization_grant_type", fields::choice(&body, "authorization_grant_type", &grants));
    let redirect_uris = complaints.note("redirect_uris", fields::text(&body, "redirect_uris")).flatten();
    let user = complaints.note("user", fields::key(&body, "user", |id| state.user(id).is_some())).flatten().flatten();
    complaints.into_result()?;
    let (Some(name), Some(kind), Some(organization), Some(grant)) = (name, kind, organization, grant) else {
        return Err(answers::server_error());
    };
    let redirect_uris = redirect_uris.unwrap_or_default();
    if grant == "authorization-code" && redirect_uris.is_empty() {
        return Err(across("redirect_uris cannot be empty with grant_type authorization-code"));
    }
    if state.applications.iter().any(|known| known.name == name && known.organization == organization) {
        return Err(across("Application with this Name and Organization already exists."));
    }
    let id = state.add_application(&name, organization, call.now);
    let Some(application) = state.applications.iter_mut().find(|application| application.id == id) else {
        return Err(answers::server_error());
    };
    application.description = description.unwrap_or_default();
    application.is_public = kind == "public";
    application.grant = grant;
    application.redirect_uris = redirect_uris;
    application.user = user;
    let application = application.clone();
    let place = call.link(&format!("applications/{id}/"));
    Ok(Answer::json(201, &rows::new_application(state, call, &application)).header("location", place))
}

/// `PATCH applications/ID/`: the description; the rest is not looked at.
pub(crate) fn change(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    found(state, caller, id)?;
    if !caller.user.is_superuser {
        return Err(answers::forbidden());
    }
    let body = call.fields(state.release)?;
    let mut complaints = Complaints::default();
    let description = complaints.note("description", fields::text(&body, "description")).flatten();
    complaints.into_result()?;
    if let Some(application) = state.applications.iter_mut().find(|application| application.id == id) {
        application.description = description.unwrap_or_else(|| application.description.clone());
        application.modified = call.now;
    }
    read(state, call, caller, id)
}

/// `DELETE applications/ID/`.
pub(crate) fn delete(state: &mut State, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    found(state, caller, id)?;
    if !caller.user.is_superuser {
        return Err(answers::forbidden());
    }
    state.delete_application(id);
    Ok(Answer::empty(204))
}

fn found<'s>(state: &'s State, caller: &Caller, id: i64) -> Result<&'s Application, Answer> {
    let application = state.application(id).filter(|application| sees(caller, application));
    application.ok_or_else(|| answers::no_match("OAuth2Application"))
}

fn sees(caller: &Caller, application: &Application) -> bool {
    caller.sees_everything() || caller.is_member_of(application.organization)
}

/// A complaint about several fields together.
fn across(sentence: &str) -> Answer {
    Answer::json(400, &json!({ "__all__": [sentence] }))
}
