//! The OAuth2 endpoints: tokens of applications by password and by refresh token, and their revocation.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;
use ring::digest;
use serde_json::json;

use super::access::{external_refusal, log_in};
use super::answers;
use super::flavour::Release;
use super::state::{Application, RefreshToken, State, Token, Wanted};
use super::time;
use crate::exchange::{Answer, Form, Request};

/// `path` is what follows the beginning that all the endpoints share.
pub(crate) fn answer(state: &mut State, request: &Request, path: &str, now: i64) -> Answer {
    let is_post = request.method == Method::POST;
    match path {
        "" if request.method == Method::GET => index(state.release),
        "token/" if is_post => token(state, request, now).unwrap_or_else(|refusal| refusal),
        "revoke_token/" if is_post => revoke(state, request).unwrap_or_else(|refusal| refusal),
        "" => Answer::empty(405).header("allow", "GET, HEAD, OPTIONS"),
        "token/" | "revoke_token/" => Answer::empty(405).header("allow", "POST, OPTIONS"),
        "token" | "revoke_token" => answers::redirect(&request.path, request.query.as_deref()),
        _ => answers::no_such_page(),
    }
}

fn index(release: Release) -> Answer {
    let link = |name: &str| format!("{}{name}/", release.oauth_base());
    let body = json!({
        "authorize": link("authorize"), "token": link("token"), "revoke_token": link("revoke_token"),
    });
    Answer::json(200, &body)
}

/// The age of a refresh token is looked at before anything else.
fn token(state: &mut State, request: &Request, now: i64) -> Result<Answer, Answer> {
    let form = request.form();
    let refresh = form.value("refresh_token").and_then(|secret| refresh_token(state, secret)).cloned();
    if refresh.as_ref().is_some_and(|refresh| now >= time::later(refresh.created, state.refresh_life)) {
        return Err(answers::bare(403, "The refresh token has expired."));
    }
    match form.value("grant_type") {
        Some("password") => by_password(state, request, &form, now),
        Some("refresh_token") => by_refresh_token(state, request, &form, refresh, now),
        // The server knows this grant, and no application may have it.
        Some("client_credentials") => {
            client(state, request, &form)?;
            Err(error(400, "unauthorized_client", None))
        }
        _ => Err(error(400, "unsupported_grant_type", None)),
    }
}

fn by_password(state: &mut State, request: &Request, form: &Form, now: i64) -> Result<Answer, Answer> {
    let application = client(state, request, form)?;
    let given = |name: &str| {
        let missing = || error(400, "invalid_request", Some(&format!("Request is missing {name} parameter.")));
        form.value(name).ok_or_else(missing)
    };
    let (name, password) = (given("username")?, given("password")?);
    let user = log_in(state, name, password)
        .ok_or_else(|| error(400, "invalid_grant", Some("Invalid credentials given.")))?
        .clone();
    if application.grant != "password" {
        return Err(error(400, "unauthorized_client", None));
    }
    let scope = form.value("scope").unwrap_or(DEFAULT_SCOPE);
    if !scope.split(' ').all(|word| state.release.scopes().contains(&word)) {
        return Err(error(400, "invalid_scope", None));
    }
    if let Some(sentence) = external_refusal(state, &user) {
        return Err(answers::bare(403, &sentence));
    }
    Ok(issued(state, &application, user.id, scope.to_owned(), now))
}

/// A new row each time, without a description; the used pair is dead at once.
fn by_refresh_token(
    state: &mut State,
    request: &Request,
    form: &Form,
    refresh: Option<RefreshToken>,
    now: i64,
) -> Result<Answer, Answer> {
    let application = client(state, request, form)?;
    if form.value("refresh_token").is_none() {
        return Err(error(400, "invalid_request", Some("Missing refresh token parameter.")));
    }
    let Some(refresh) = refresh.filter(|refresh| !refresh.is_revoked && refresh.application == application.id) else {
        return Err(error(400, "invalid_grant", None));
    };
    // The server asks the access token for its scope, and breaks when there is none.
    let Some(token) = refresh.token.and_then(|id| state.token(id)) else { return Err(answers::server_error()) };
    let scope = form.value("scope").unwrap_or(&token.scope).to_owned();
    if !scope.split(' ').all(|word| token.has_scope(word)) {
        return Err(error(400, "invalid_scope", None));
    }
    state.revoke_refresh_token(&refresh.secret);
    Ok(issued(state, &application, refresh.user, scope, now))
}

fn issued(state: &mut State, application: &Application, user: i64, scope: String, now: i64) -> Answer {
    let application = Some(application.id);
    let wanted = Wanted { user, made_by: user, application, description: String::new(), scope };
    let token = state.issue(wanted, now);
    let body = json!({
        "access_token": token.secret, "expires_in": state.token_life, "token_type": "Bearer", "scope": token.scope,
        "refresh_token": state.refresh_of(token.id).map(|refresh| refresh.secret.as_str()),
    });
    Answer::json(state.release.token_status(), &body).header("cache-control", "no-store").header("pragma", "no-cache")
}

/// Any client may revoke any token. What is not found is nobody's fault.
fn revoke(state: &mut State, request: &Request) -> Result<Answer, Answer> {
    let form = request.form();
    let Some(sent) = form.value("token").filter(|token| !token.is_empty()) else {
        return Err(error(400, "invalid_request", Some("Missing token parameter.")));
    };
    client(state, request, &form)?;
    let is_meant = |secret: &str| if state.release.stores_hashes() { stored(secret) == sent } else { secret == sent };
    let token = state.tokens.iter().find(|token: &&Token| is_meant(&token.secret)).map(|token| token.id);
    let refresh = state.refresh_tokens.iter().find(|refresh| is_meant(&refresh.secret));
    let refresh = refresh.map(|refresh| refresh.secret.clone());
    if let Some(id) = token {
        state.delete_token(id);
    }
    if let Some(secret) = refresh {
        state.revoke_refresh_token(&secret);
    }
    Ok(Answer::empty(200))
}

/// By HTTP basic or in the form; a public client has no secret to give.
fn client(state: &State, request: &Request, form: &Form) -> Result<Application, Answer> {
    let header = request.header("authorization").and_then(|header| header.strip_prefix("Basic "));
    let basic = header
        .and_then(|credentials| BASE64_STANDARD.decode(credentials.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let (id, secret) = match basic.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((id, secret)) => (Some(id), Some(secret)),
        None => (form.value("client_id"), form.value("client_secret")),
    };
    let application = state.applications.iter().find(|application| Some(application.client_id.as_str()) == id);
    let is_good = |application: &&Application| {
        application.is_public || secret.is_some_and(|secret| secret == application.client_secret)
    };
    let refusal = || error(401, "invalid_client", None).header("www-authenticate", "Bearer error=\"invalid_client\"");
    application.filter(is_good).cloned().ok_or_else(refusal)
}

fn refresh_token<'s>(state: &'s State, secret: &str) -> Option<&'s RefreshToken> {
    state.refresh_tokens.iter().find(|refresh| refresh.secret == secret)
}

fn error(status: u16, code: &str, description: Option<&str>) -> Answer {
    let body = match description {
        Some(description) => json!({ "error": code, "error_description": description }),
        None => json!({ "error": code }),
    };
    Answer::json(status, &body).header("cache-control", "no-store").header("pragma", "no-cache")
}

/// What the database of a gateway has of a secret.
fn stored(secret: &str) -> String {
    let digest = digest::digest(&digest::SHA256, secret.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("$sha256${hex}")
}

const DEFAULT_SCOPE: &str = "read write";
