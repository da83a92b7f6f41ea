//! The API tokens: generate, list, get, revoke, and which roles one may ask for.

use serde_json::{Map, Value, json};

use super::answers::{Code, Refusal};
use super::identity::Identity;
use super::message::Message;
use super::signer::{API_TOKENS, Life, Signer};
use super::state::{Level, NONE, Record, Role, State};
use super::timestamp;
use crate::random;

/// What a generate asks for. `expiration` is in milliseconds.
#[derive(Debug)]
pub(crate) struct Wanted {
    name: String,
    roles: Vec<String>,
    role: String,
    expiration: Option<i64>,
}

impl Wanted {
    pub(crate) fn read(message: &Message<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            name: message.string(&["name"])?,
            roles: message.strings("roles")?,
            role: message.string(&["role"])?,
            expiration: message.timestamp("expiration")?,
        })
    }
}

/// `POST /v1/apitokens/generate`. `now` is in milliseconds.
pub(crate) fn generate(
    state: &mut State,
    signer: &Signer,
    caller: &Identity,
    wanted: Wanted,
    now: i64,
) -> Result<Value, Refusal> {
    if wanted.name.is_empty() {
        return Err(Refusal::invalid_arguments("token name cannot be empty"));
    }
    let roles = match (wanted.role.is_empty(), wanted.roles.is_empty()) {
        (true, _) => wanted.roles,
        (false, true) => vec![wanted.role],
        (false, false) => return Err(Refusal::invalid_arguments("must use either role or roles, but not both")),
    };
    check_existence(state, &roles)?;
    check_escalation(state, caller, &roles)?;
    let asked = wanted.expiration.filter(|_| state.release >= (4, 4, 0));
    if asked.is_some_and(|expiration| expiration < now) {
        return Err(Refusal::invalid("Expiration date cannot be in the past"));
    }
    let start = now.div_euclid(1000);
    let end = asked.map_or(start + YEAR, |expiration| expiration.div_euclid(1000) + state.expiration_shift);
    let (record, token) = issue(state, signer, wanted.name, roles, Life { start, end });
    let metadata = metadata(&record);
    state.tokens.push(record);
    Ok(json!({ "token": token, "metadata": metadata }))
}

/// A token and its record, which is not yet among the others.
pub(crate) fn issue(
    state: &mut State,
    signer: &Signer,
    name: String,
    roles: Vec<String>,
    life: Life,
) -> (Record, String) {
    let mut claims = Map::from_iter([("name".to_owned(), json!(name))]);
    if !roles.is_empty() {
        claims.insert("roles".to_owned(), json!(roles));
    }
    let (id, token) = signer.sign(state, API_TOKENS, life, claims);
    let record = Record { id, name, roles, issued_at: life.start, expiration: life.end, revoked: false, told: false };
    (record, token)
}

/// `GET /v1/apitokens`, in whatever order.
pub(crate) fn list(state: &State, revoked: Option<bool>) -> Value {
    let chosen = state.tokens.iter().filter(|record| revoked.is_none_or(|revoked| record.revoked == revoked));
    json!({ "tokens": random::shuffled(chosen.map(metadata).collect::<Vec<_>>()) })
}

/// `GET /v1/apitokens/ID`.
pub(crate) fn get(state: &mut State, id: &str) -> Result<Value, Refusal> {
    if id.is_empty() {
        return Err(Refusal::invalid_arguments("empty id passed"));
    }
    match state.record(id) {
        Some(record) => Ok(metadata(record)),
        None => Err(Refusal::invalid_arguments(&does_not_exist(id))),
    }
}

/// `PATCH /v1/apitokens/revoke/ID`.
pub(crate) fn revoke(state: &mut State, id: &str) -> Result<Value, Refusal> {
    let record = state.record(id).ok_or_else(|| Refusal::new(Code::Internal, does_not_exist(id)))?;
    record.revoked = true;
    state.revocations.insert(id.to_owned());
    Ok(json!({}))
}

/// `GET /v1/apitokens/generate/allowed-roles`.
pub(crate) fn allowed_roles(state: &State, caller: &Identity) -> Value {
    let allowed = state.roles.iter().filter(|(name, role)| *name != NONE && excess(caller, role).is_empty());
    json!({ "roleNames": allowed.map(|(name, _)| name).collect::<Vec<_>>() })
}

/// All that is known of a token but itself.
pub(crate) fn metadata(record: &Record) -> Value {
    let role = match record.roles.as_slice() {
        [role] => role,
        _ => "",
    };
    json!({
        "id": record.id, "name": record.name, "roles": record.roles, "issuedAt": timestamp::text(record.issued_at),
        "expiration": timestamp::text(record.expiration), "revoked": record.revoked, "role": role,
    })
}

fn check_existence(state: &State, roles: &[String]) -> Result<(), Refusal> {
    let unknown: Vec<_> = roles.iter().filter(|name| !state.roles.contains_key(*name)).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid_arguments(&format!("role(s) {} don't exist", unknown.join(","))))
}

fn check_escalation(state: &State, caller: &Identity, roles: &[String]) -> Result<(), Refusal> {
    let errors: Vec<_> =
        roles.iter().filter_map(|name| state.roles.get(name)).flat_map(|role| excess(caller, role)).collect();
    let count = match errors.len() {
        0 => return Ok(()),
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    let lines: String = random::shuffled(errors).iter().map(|error| format!("\t* {error}\n")).collect();
    Err(Refusal::new(Code::PermissionDenied, format!("not authorized: {count} occurred:\n{lines}\n")))
}

/// Where the role goes further than the caller.
fn excess(caller: &Identity, role: &Role) -> Vec<String> {
    role.access
        .iter()
        .map(|(resource, level)| (resource, *level, caller.level(resource, &role.scope)))
        .filter(|(_, asked, own)| asked > own)
        .map(|(resource, asked, own)| {
            let (scope, asked, own): (&str, _, _) = (&role.scope, Level::name(asked), Level::name(own));
            format!(
                "resource={resource}, access scope={scope:?}: requested access is {asked}, when user access is {own}"
            )
        })
        .collect()
}

fn does_not_exist(id: &str) -> String {
    format!("token with id '{id}' does not exist")
}

const YEAR: i64 = 365 * 24 * 3600;
