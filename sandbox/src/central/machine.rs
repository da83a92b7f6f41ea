//! Tokens of other issuers, taken in exchange for Central's own.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::{Map, Value, json};

use super::answers::{Code, Refusal};
use super::identity::{self, NO_VALID_ROLE};
use super::signer::{Life, Signer, audiences};
use super::state::{Exchanged, MachineAccess, MachineKind, State};
use super::timestamp::go_text;
use crate::jwt::Jwt;

/// `POST /v1/auth/m2m/exchange`: a token of Central that lives as long as the configuration says, whatever is left of the
/// other one's life.
pub(crate) fn exchange(state: &mut State, signer: &Signer, token: &str, now: i64) -> Result<String, Refusal> {
    let jwt = Jwt::parse(token).ok_or_else(|| {
        Refusal::invalid(format!("ID token could not be parsed: token is malformed: {}", what_is_malformed(token)))
    })?;
    let issuer = issuer(&jwt.claims).ok_or_else(|| Refusal::invalid("empty issuer found in ID token"))?;
    let access = state.machine_access.iter().find(|access| access.issuer == issuer && access.is_discovered);
    let Some(access) = access.cloned() else {
        return Err(Refusal::unauthenticated(format!("issuer {issuer:?} is not configured")));
    };
    let audience = access.audience.as_deref().filter(|_| state.release >= (4, 12, 0));
    check(signer, &access, audience, &jwt, now)
        .map_err(|cause| Refusal::unauthenticated(format!("ID token is invalid: {cause}")))?;
    let attributes = flattened(&jwt.claims);
    if mapped_roles(&access, &attributes).is_empty() {
        return Err(Refusal::unauthenticated(format!("resolving roles for id token: {NO_VALID_ROLE}")));
    }
    let user = User::of(access.kind, &jwt.claims)?;
    let claims = json!({
        "name": user.name,
        "external_user": { "user_id": user.id, "full_name": user.full_name, "Attributes": attributes },
    });
    let claims = claims.as_object().cloned().unwrap_or_default();
    let life = Life { start: now, end: now + access.seconds };
    Ok(signer.sign(state, &access.id, life, claims).1)
}

/// The token of Central that one of another issuer, sent as a bearer, stands for. It is kept for almost its whole life.
pub(crate) fn exchanged(
    state: &mut State,
    signer: &Signer,
    bearer: &str,
    issuer: &str,
    now: i64,
) -> Result<String, Refusal> {
    if state.release < (4, 9, 0) {
        return Err(identity::no_valid_token(identity::VALIDATION));
    }
    if let Some(known) = state.exchanged.get(bearer)
        && now < known.until
    {
        return Ok(known.token.clone());
    }
    match exchange(state, signer, bearer, now) {
        Ok(token) => {
            let life =
                state.machine_access.iter().find(|access| access.issuer == issuer).map_or(0, |access| access.seconds);
            state.exchanged.insert(bearer.to_owned(), Exchanged { token: token.clone(), until: now + life - 60 });
            Ok(token)
        }
        Err(Refusal { code: Code::InvalidArgument, .. }) => Err(identity::malformed(state)),
        Err(_) => Err(identity::no_valid_token(identity::VALIDATION)),
    }
}

/// The claim `iss`, if it says anything.
pub(crate) fn issuer(claims: &Map<String, Value>) -> Option<&str> {
    claims.get("iss").and_then(Value::as_str).filter(|issuer| !issuer.is_empty())
}

/// The names of the roles that the mappings give, whether they exist or not.
pub(crate) fn mapped_roles<'a>(access: &'a MachineAccess, attributes: &BTreeMap<String, Vec<String>>) -> Vec<&'a str> {
    let matches = |key: &str, expression: &str| {
        let values = attributes.get(key).map(Vec::as_slice).unwrap_or_default();
        Regex::new(expression).is_ok_and(|expression| values.iter().any(|value| expression.is_match(value)))
    };
    let chosen = access.mappings.iter().filter(|mapping| matches(&mapping.key, &mapping.value_expression));
    chosen.map(|mapping| mapping.role.as_str()).collect()
}

/// The attributes as a token has them.
pub(crate) fn attributes(value: &Value) -> BTreeMap<String, Vec<String>> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// Whom an exchanged token is about.
struct User {
    id: String,
    full_name: String,
    name: String,
}

impl User {
    fn of(kind: MachineKind, claims: &Map<String, Value>) -> Result<Self, Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let subject = text("sub").unwrap_or_default().to_owned();
        if kind == MachineKind::KubeServiceAccount {
            let uid = claims.get("kubernetes.io").and_then(|claim| claim["serviceaccount"]["uid"].as_str());
            let id = uid.ok_or_else(|| Refusal::invalid(NO_UID))?.to_owned();
            return Ok(Self { id, full_name: subject.clone(), name: subject });
        }
        let called = ["email", "preferred_username", "full_name"].into_iter().find_map(text);
        let id = called.map_or_else(|| subject.clone(), |called| format!("{subject}|{called}"));
        Ok(Self { full_name: called.unwrap_or(&id).to_owned(), name: id.clone(), id })
    }
}

/// Audience, dates, signature, in that order.
fn check(
    signer: &Signer,
    access: &MachineAccess,
    audience: Option<&str>,
    jwt: &Jwt<'_>,
    now: i64,
) -> Result<(), String> {
    let given = audiences(&jwt.claims);
    if let Some(audience) = audience
        && !given.contains(&audience)
    {
        let given: Vec<_> = given.iter().map(|audience| format!("{audience:?}")).collect();
        return Err(format!("oidc: expected audience {audience:?} got [{}]", given.join(" ")));
    }
    let date = |name: &str| jwt.claims.get(name).and_then(Value::as_f64).map(|seconds| seconds as i64);
    match date("exp") {
        None => return Err("oidc: token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)".to_owned()),
        Some(exp) if exp < now => return Err(format!("oidc: token is expired (Token Expiry: {})", go_text(exp))),
        Some(_) => {}
    }
    if let Some(start) = date("nbf").filter(|start| now + NOT_BEFORE_LEEWAY < *start) {
        let (now, start) = (go_text(now), go_text(start));
        return Err(format!("oidc: current time {now} before the nbf (not before) time: {start}"));
    }
    if jwt.header["alg"] != "RS256" {
        let algorithm = jwt.header["alg"].as_str().unwrap_or_default();
        let sentence = format!("unexpected signature algorithm {algorithm:?}; expected [\"RS256\"]");
        return Err(format!("oidc: malformed jwt: {sentence}"));
    }
    if signer.is_signed_by_issuer(jwt, &access.issuer) {
        Ok(())
    } else {
        Err("failed to verify signature: failed to verify id token signature".to_owned())
    }
}

/// The string claims, those of objects under dotted names. Numbers and truth values are dropped.
fn flattened(claims: &Map<String, Value>) -> BTreeMap<String, Vec<String>> {
    let mut flat = BTreeMap::new();
    flatten("", claims, &mut flat);
    flat
}

fn flatten(prefix: &str, claims: &Map<String, Value>, flat: &mut BTreeMap<String, Vec<String>>) {
    for (name, value) in claims {
        let name = format!("{prefix}{name}");
        match value {
            Value::String(text) => drop(flat.insert(name, vec![text.clone()])),
            Value::Array(items) => {
                let texts: Vec<_> = items.iter().filter_map(Value::as_str).map(String::from).collect();
                if !texts.is_empty() {
                    flat.insert(name, texts);
                }
            }
            Value::Object(claims) => flatten(&format!("{name}."), claims, flat),
            _ => {}
        }
    }
}

fn what_is_malformed(token: &str) -> &'static str {
    match token.split('.').count() {
        3 => "could not base64 decode or JSON decode a part",
        _ => "token contains an invalid number of segments",
    }
}

const NO_UID: &str = "creating claims for Central token: no kubernetes.io.serviceaccount.uid claim found";
const NOT_BEFORE_LEEWAY: i64 = 300;
