//! The API: which call, what it is given, who calls, and what comes of it, in Central's order.

use hyper::Method;
use serde_json::{Value, json};

use super::answers::{self, Code, Refusal};
use super::identity::Identity;
use super::message::{self, Message};
use super::signer::Signer;
use super::state::{Level, Release, State};
use super::tokens::Wanted;
use super::{machine, status, tokens};
use crate::exchange::{Answer, Request};

/// `path` is decoded, `now` in milliseconds.
pub(crate) fn answer(state: &mut State, signer: &Signer, request: &Request, path: &str, now: i64) -> Answer {
    let is_pretty = url::form_urlencoded::parse(request.query.as_deref().unwrap_or_default().as_bytes())
        .any(|(name, _)| name == "pretty");
    match respond(state, signer, request, path, now) {
        Ok(body) => answers::ok(state, &body, is_pretty),
        Err(refusal) => refusal.answer(state.release, state.spacing),
    }
}

/// The calls that clients make.
enum Endpoint<'p> {
    Generate,
    List,
    Get(&'p str),
    Revoke(&'p str),
    AllowedRoles,
    Exchange,
    Status,
    Ping,
    Metadata,
}

impl<'p> Endpoint<'p> {
    /// An id may be empty, and may be the name of another call.
    fn find(method: &Method, path: &'p str, release: Release) -> Result<Self, Refusal> {
        let segments: Vec<_> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let [get, post, patch] = [Method::GET, Method::POST, Method::PATCH].map(|expected| *method == expected);
        let is_since_4_3 = release >= (4, 3, 0);
        let (endpoint, is_right) = match segments.as_slice() {
            ["v1", "apitokens"] => (Self::List, get),
            ["v1", "apitokens", "generate"] if post => (Self::Generate, true),
            ["v1", "apitokens", "generate", "allowed-roles"] if is_since_4_3 => (Self::AllowedRoles, get),
            ["v1", "apitokens", "revoke", id] => (Self::Revoke(id), patch),
            ["v1", "apitokens", id] => (Self::Get(id), get),
            ["v1", "auth", "m2m", "exchange"] if is_since_4_3 => (Self::Exchange, post),
            ["v1", "auth", "status"] => (Self::Status, get),
            ["v1", "ping"] => (Self::Ping, get),
            ["v1", "metadata"] => (Self::Metadata, get),
            _ => return Err(Refusal::no_such_path()),
        };
        if is_right { Ok(endpoint) } else { Err(Refusal::wrong_method()) }
    }
}

/// What is given is read before the caller is looked at, and understood behind it.
fn respond(state: &mut State, signer: &Signer, request: &Request, path: &str, now: i64) -> Result<Value, Refusal> {
    let seconds = now.div_euclid(1000);
    let caller = |state: &mut State, permissions: &[(&str, Level)]| {
        let caller = Identity::of(state, signer, request, seconds)?;
        caller.check(permissions)?;
        Ok(caller)
    };
    match Endpoint::find(&request.method, path, state.release)? {
        Endpoint::Generate => {
            let wanted = Wanted::read(&Message::read(&request.body, state.spacing)?)?;
            let caller = caller(state, &[("Access", Level::Read), ("Integration", Level::ReadWrite)])?;
            tokens::generate(state, signer, &caller, wanted, now)
        }
        Endpoint::List => {
            let revoked = message::revoked(request)?;
            caller(state, &[("Integration", Level::Read)])?;
            Ok(tokens::list(state, revoked))
        }
        Endpoint::Get(id) => {
            caller(state, &[("Integration", Level::Read)])?;
            tokens::get(state, id)
        }
        Endpoint::Revoke(id) => {
            caller(state, &[("Integration", Level::ReadWrite)])?;
            tokens::revoke(state, id)
        }
        Endpoint::AllowedRoles => {
            let caller = caller(state, &[("Access", Level::Read)])?;
            Ok(tokens::allowed_roles(state, &caller))
        }
        Endpoint::Exchange => {
            let token = Message::read(&request.body, state.spacing)?.string(&["idToken", "id_token"])?;
            let token = machine::exchange(state, signer, &token, seconds)?;
            Ok(json!({ "accessToken": token }))
        }
        Endpoint::Status => caller(state, &[]).map(|caller| status::status(&caller)),
        Endpoint::Ping => Ok(json!({ "status": "ok" })),
        Endpoint::Metadata => match caller(state, &[]) {
            Ok(_) => Ok(status::metadata(state)),
            Err(Refusal { message: cause, .. }) => {
                let errors = format!("errors: [{cause}, {cause}]");
                let message = format!("not authorized: no authorizer could authorize this request: {errors}");
                Err(Refusal::new(Code::PermissionDenied, message))
            }
        },
    }
}
