//! The exchange of an external token for a federated robot token.

use serde_json::{Value, json};

use super::answers::{json_answer, message, no_robot, server_error};
use super::api::Call;
use super::registry::basic_credentials;
use super::state::State;
use crate::exchange::Answer;
use crate::identity_provider::IdentityProvider;
use crate::jwt::Jwt;
use crate::signing::{Algorithm, SigningKey};

/// `GET /oauth2/federation/robot/token`.
pub(crate) fn exchange(state: &State, call: &Call<'_>, key: &SigningKey, provider: &IdentityProvider) -> Answer {
    respond(state, call, key, provider).unwrap_or_else(|refusal| refusal)
}

fn respond(state: &State, call: &Call<'_>, key: &SigningKey, provider: &IdentityProvider) -> Result<Answer, Answer> {
    let unauthorized = |sentence: &str| json_answer(401, &json!({ "error": sentence }));
    let header = call.request.header("authorization").ok_or_else(|| unauthorized("No auth header"))?;
    let (name, token) = basic_credentials(header).map_err(unauthorized)?;
    if !name.contains('+') {
        return Err(unauthorized("Invalid robot"));
    }
    let robot = state.robots.get(&name).ok_or_else(no_robot)?;
    let jwt = Jwt::parse(&token).ok_or_else(server_error)?;
    let Some(issuer) = jwt.claims.get("iss").and_then(Value::as_str) else {
        return Err(message(400, "Token does not contain issuer"));
    };
    if robot.federation.is_empty() {
        return Err(message(400, "Robot does not have federated login configured"));
    }
    let subjects: Vec<_> = robot.federation.iter().filter(|entry| entry.issuer == issuer).collect();
    if subjects.is_empty() {
        return Err(message(400, format!("issuer {issuer} not configured for this robot")));
    }
    check_key_id(&jwt, issuer, provider)?;
    check(&jwt, key, call.now).map_err(|sentence| message(400, format!("Invalid token: {sentence}")))?;
    if !subjects.iter().any(|entry| jwt.claims.get("sub") == Some(&json!(entry.subject))) {
        return Err(message(400, "Token does not match robot"));
    }
    let federated = state.keys.issue(Some(&state.server_hostname), &name, &json!({}), call.now);
    Ok(json_answer(200, &json!({ "token": federated })))
}

/// Quay asks the issuer for its keys: over https only, and the sandbox has one issuer that answers.
fn check_key_id(jwt: &Jwt<'_>, issuer: &str, provider: &IdentityProvider) -> Result<(), Answer> {
    let Some(key_id) = jwt.header["kid"].as_str() else {
        return Err(message(400, "Invalid token: Missing `kid` header"));
    };
    if !issuer.starts_with("https://") {
        return Err(server_error());
    }
    if issuer != provider.issuer() {
        return Err(Answer::cut());
    }
    if key_id == provider.key_id() { Ok(()) } else { Err(server_error()) }
}

/// Signature and dates, with a leeway of 30 seconds.
fn check(jwt: &Jwt<'_>, key: &SigningKey, now: i64) -> Result<(), String> {
    let algorithm = jwt.header["alg"].as_str().and_then(Algorithm::named);
    let algorithm = algorithm.ok_or("The specified alg value is not allowed")?;
    if !jwt.is_signed_with(key, algorithm) {
        return Err("Signature verification failed".to_owned());
    }
    let date = |name: &str| match jwt.claims.get(name).filter(|value| !value.is_null()) {
        None => Err(format!("Token is missing the \"{name}\" claim")),
        Some(value) => value.as_i64().ok_or_else(|| format!("The {name} claim must be an integer")),
    };
    let (exp, iat) = (date("exp")?, date("iat")?);
    if iat > now + LEEWAY {
        return Err("The token is not yet valid (iat)".to_owned());
    }
    if exp <= now - LEEWAY {
        return Err("Signature has expired".to_owned());
    }
    Ok(())
}

const LEEWAY: i64 = 30;
