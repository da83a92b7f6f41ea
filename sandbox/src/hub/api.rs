//! The calls: which path, who calls, and what comes of it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;
use serde_json::{Value, json};

use super::answers::{self, Refusal};
use super::state::State;
use crate::exchange::{Answer, Request};

/// Behind the prefix.
pub(super) const TOKEN: &str = "/v3/auth/token/";
const NAMESPACES: &str = "/v3/namespaces/";

pub(super) fn answer(state: &mut State, request: &Request) -> Answer {
    let generation = state.generation;
    respond(state, request).unwrap_or_else(|refusal| refusal.answer(generation))
}

/// Whose token the request would replace, has it replaced.
pub(super) fn interfere(state: &mut State, request: &Request) {
    if let Ok(name) = caller(state, request)
        && let Some(user) = state.users.get_mut(&name)
    {
        user.issue();
    }
}

fn respond(state: &mut State, request: &Request) -> Result<Answer, Refusal> {
    let path = request.path.strip_prefix(state.prefix.as_str()).ok_or(Refusal::NoSuchPath)?.to_owned();
    if [TOKEN, NAMESPACES].contains(&format!("{path}/").as_str()) {
        return Ok(answers::moved(&format!("{}/", request.path)));
    }
    if path != TOKEN && path != NAMESPACES {
        return Err(Refusal::NoSuchPath);
    }
    // Who calls is asked before what is called.
    let name = caller(state, request)?;
    match (path.as_str(), &request.method) {
        (TOKEN, &Method::OPTIONS) => Ok(answers::ok(&described("Token"))),
        (TOKEN, &Method::POST) => Ok(answers::ok(&json!({ "token": issue(state, &name) }))),
        (TOKEN, &Method::DELETE) => {
            if let Some(user) = state.users.get_mut(&name) {
                user.token = None;
            }
            Ok(answers::empty())
        }
        (NAMESPACES, &Method::OPTIONS) => Ok(answers::ok(&described("Namespace List"))),
        (NAMESPACES, &Method::GET) => Ok(answers::ok(&no_namespaces())),
        (_, method) => Err(Refusal::MethodNotAllowed(method.to_string())),
    }
}

/// What the request says in its body is not read.
fn issue(state: &mut State, name: &str) -> Option<String> {
    state.users.get_mut(name).map(super::state::User::issue)
}

/// The name of an active user.
fn caller(state: &State, request: &Request) -> Result<String, Refusal> {
    let authorization = request.header("authorization").unwrap_or_default();
    let mut words = authorization.split_whitespace();
    let (scheme, credential) = (words.next().unwrap_or_default().to_ascii_lowercase(), words.next());
    let is_alone = words.next().is_none();
    match scheme.as_str() {
        "basic" if state.takes_passwords => of_password(state, credential, is_alone),
        "token" => of_token(state, credential, is_alone),
        "bearer" if !state.gateway_tokens.is_empty() => of_gateway_token(state, credential.unwrap_or_default()),
        _ => Err(Refusal::NotAuthenticated),
    }
}

fn of_password(state: &State, credential: Option<&str>, is_alone: bool) -> Result<String, Refusal> {
    let fail = |why| Err(Refusal::AuthenticationFailed(why));
    let Some(credential) = credential else { return fail("Invalid basic header. No credentials provided.") };
    if !is_alone {
        return fail("Invalid basic header. Credentials string should not contain spaces.");
    }
    let pair = BASE64_STANDARD.decode(credential).ok().and_then(|pair| String::from_utf8(pair).ok());
    let Some((name, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) else {
        return fail("Invalid basic header. Credentials not correctly base64 encoded.");
    };
    let is_right = state.users.get(name).is_some_and(|user| user.password == password && user.is_active);
    if is_right { Ok(name.to_owned()) } else { fail("Invalid username/password.") }
}

fn of_token(state: &State, credential: Option<&str>, is_alone: bool) -> Result<String, Refusal> {
    let fail = |why| Err(Refusal::AuthenticationFailed(why));
    let Some(token) = credential else { return fail("Invalid token header. No credentials provided.") };
    if !is_alone {
        return fail("Invalid token header. Token string should not contain spaces.");
    }
    match state.users.iter().find(|(_, user)| user.token.as_deref() == Some(token)) {
        None => fail("Invalid token."),
        Some((_, user)) if !user.is_active => fail("User inactive or deleted."),
        Some((name, _)) => Ok(name.clone()),
    }
}

fn of_gateway_token(state: &State, token: &str) -> Result<String, Refusal> {
    let name = state.gateway_tokens.get(token);
    let name = name.filter(|name| state.users.get(*name).is_some_and(|user| user.is_active));
    name.cloned().ok_or(Refusal::Gateway("Authentication credentials were not provided."))
}

fn described(name: &str) -> Value {
    json!({
        "name": name,
        "description": "",
        "renders": ["application/json", "text/html"],
        "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
    })
}

fn no_namespaces() -> Value {
    json!({ "meta": { "count": 0 }, "links": { "first": null, "previous": null, "next": null, "last": null }, "data": [] })
}
