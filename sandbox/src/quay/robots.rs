//! Robots: list, get, create, delete, regenerate, and what they may do.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use super::answers::{invalid_request, json_answer, message, no_content, no_organization, no_robot, server_error};
use super::api::{Call, Caller, NOT_UNDERSTOOD, Owner, is_truthy};
use super::state::{Robot, State, check_name, date};
use super::{accounts, schema};
use crate::exchange::Answer;

/// `GET …/robots`.
pub(crate) fn list(state: &State, call: &Call<'_>, caller: &Caller, owner: Owner<'_>) -> Result<Answer, Answer> {
    let mut wanted = Wanted::default();
    let namespace = match owner {
        Owner::Caller => {
            caller.check_scopes()?;
            let namespace = caller.own_namespace()?;
            wanted = Wanted::of(call)?;
            namespace
        }
        Owner::Organization(name) => {
            let all = Wanted::of(call)?;
            caller.check_scopes()?;
            let has_all = caller.administers(state, name) || caller.has_full_access(state);
            let reads_all = caller.reads_all(state);
            if !has_all && !reads_all && !caller.is_member(state, name) {
                return Err(caller.unauthorized());
            }
            wanted.token = all.token && (has_all || reads_all && shows_tokens_to_readers(state));
            wanted.permissions = all.permissions && (has_all || reads_all);
            wanted.limit = all.limit;
            name.to_owned()
        }
    };
    let limit = match wanted.limit {
        None | Some(0) => usize::MAX,
        Some(limit) => usize::try_from(limit).map_err(|_| server_error())?,
    };
    let mut found: Vec<_> = state.robots_like(&namespace).collect();
    // Ties have no fixed order, so let them follow something that changes.
    found.sort_by_key(|(_, robot)| (robot.last_accessed.is_some(), Reverse(robot.last_accessed), &robot.token));
    let rows = found.into_iter().flat_map(|(name, robot)| {
        // Each repository and each team is a row of its own, and the limit counts rows.
        let rows = if wanted.permissions { robot.permissions.len().max(1) * robot.teams.len().max(1) } else { 1 };
        std::iter::repeat_n((name, robot), rows)
    });
    let mut rows: Vec<_> = rows.take(limit).collect();
    if state.release >= (3, 10, 0) {
        rows.dedup_by_key(|(name, _)| *name);
    }
    let robots: Vec<_> = rows.into_iter().map(|(name, robot)| entry(state, &wanted, name, robot)).collect();
    Ok(json_answer(200, &json!({ "robots": robots })))
}

/// `GET …/robots/R`.
pub(crate) fn get(
    state: &State,
    _: &Call<'_>,
    caller: &Caller,
    owner: Owner<'_>,
    short: &str,
) -> Result<Answer, Answer> {
    let namespace = caller.namespace_to_read(state, owner)?;
    check_organization(state, owner)?;
    let name = format!("{namespace}+{short}");
    let robot = state.robots.get(&name).ok_or_else(no_robot)?;
    let shows_token = match owner {
        Owner::Caller => true,
        Owner::Organization(organization) => {
            caller.administers(state, organization) || caller.has_full_access(state) || shows_tokens_to_readers(state)
        }
    };
    let mut view = view(&name, robot);
    if shows_token {
        view.insert("token".to_owned(), json!(robot.token));
    }
    view.insert("unstructured_metadata".to_owned(), json!(robot.unstructured_metadata));
    Ok(json_answer(200, &Value::Object(view)))
}

/// `PUT …/robots/R`. For an organization the body is looked at before the permission.
pub(crate) fn create(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    owner: Owner<'_>,
    short: &str,
) -> Result<Answer, Answer> {
    if let Owner::Caller = owner {
        caller.namespace_to_write(state, owner)?;
    }
    let body = call.optional_body();
    if body.is_none() && state.release < (3, 10, 0) {
        return Err(message(400, NOT_UNDERSTOOD));
    }
    let body = body.unwrap_or_else(|| json!({}));
    schema::check_robot(&body).map_err(|violation| invalid_request(&call.host, &violation))?;
    let namespace = caller.namespace_to_write(state, owner)?;
    check_organization(state, owner)?;
    let name = format!("{namespace}+{short}");
    let refusal = |sentence: String| match state.release >= (3, 11, 0) {
        true => invalid_request(&call.host, &sentence),
        false => message(400, sentence),
    };
    if state.robots_disallowed {
        return Err(refusal("Robot accounts have been disabled. Please contact your administrator.".to_owned()));
    }
    check_name(short).map_err(|issue| refusal(format!("The name for the robot '{short}' is invalid: {issue}")))?;
    if state.robots.contains_key(&name) {
        return Err(refusal(format!("Existing robot with name: {name}")));
    }
    let metadata = body.get("unstructured_metadata").and_then(Value::as_object);
    let robot = Robot {
        description: body["description"].as_str().unwrap_or_default().to_owned(),
        unstructured_metadata: metadata.cloned().unwrap_or_default(),
        ..Robot::new(call.now)
    };
    let mut view = view(&name, &robot);
    view.insert("token".to_owned(), json!(robot.token));
    view.insert("unstructured_metadata".to_owned(), json!(metadata));
    state.robots.insert(name, robot);
    Ok(json_answer(201, &Value::Object(view)))
}

/// `DELETE …/robots/R`.
pub(crate) fn delete(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    owner: Owner<'_>,
    short: &str,
) -> Result<Answer, Answer> {
    let name = format!("{}+{short}", caller.namespace_to_write(state, owner)?);
    let robot = state.robots.get(&name).ok_or_else(no_robot)?;
    if robot.is_mirroring {
        return Err(invalid_request(&call.host, "Robot is being used by a mirror"));
    }
    state.robots.remove(&name);
    Ok(no_content())
}

/// `POST …/robots/R/regenerate`. A body is not looked at.
pub(crate) fn regenerate(
    state: &mut State,
    _: &Call<'_>,
    caller: &Caller,
    owner: Owner<'_>,
    short: &str,
) -> Result<Answer, Answer> {
    let namespace = caller.namespace_to_write(state, owner)?;
    check_organization(state, owner)?;
    let name = format!("{namespace}+{short}");
    let robot = state.regenerate(&name).ok_or_else(no_robot)?;
    let mut view = view(&name, robot);
    view.insert("token".to_owned(), json!(robot.token));
    Ok(json_answer(200, &Value::Object(view)))
}

/// `GET …/robots/R/permissions`: for an organization it takes two scopes, and each is missed in a way of its own.
pub(crate) fn permissions(
    state: &State,
    _: &Call<'_>,
    caller: &Caller,
    owner: Owner<'_>,
    short: &str,
) -> Result<Answer, Answer> {
    caller.check_scopes()?;
    caller.own_namespace()?;
    let namespace = caller.namespace_to_read(state, owner).map_err(|_| message(403, FORBIDDEN))?;
    check_organization(state, owner)?;
    let robot = state.robots.get(&format!("{namespace}+{short}")).ok_or_else(no_robot)?;
    let permissions: Vec<_> = robot
        .permissions
        .iter()
        .map(|permission| {
            json!({
                "repository": { "name": permission.repository, "is_public": permission.is_public },
                "role": permission.role,
            })
        })
        .collect();
    Ok(json_answer(200, &json!({ "permissions": permissions })))
}

/// What a list is to hold.
#[derive(Default)]
struct Wanted {
    token: bool,
    permissions: bool,
    limit: Option<i64>,
}

impl Wanted {
    fn of(call: &Call<'_>) -> Result<Self, Answer> {
        let limit = call.parameter("limit").map(|limit| limit.trim().parse());
        Ok(Self {
            token: call.parameter("token").is_none_or(|value| is_truthy(&value)),
            permissions: call.parameter("permissions").is_some_and(|value| is_truthy(&value)),
            limit: limit
                .transpose()
                .map_err(|_| message(400, json!({ "limit": "If specified, the number of robots to return." })))?,
        })
    }
}

fn entry(state: &State, wanted: &Wanted, name: &str, robot: &Robot) -> Value {
    let mut entry = view(name, robot);
    if !state.user_last_accessed {
        entry.insert("last_accessed".to_owned(), Value::Null);
    }
    if wanted.token {
        entry.insert("token".to_owned(), json!(robot.token));
    }
    if wanted.permissions {
        let team = |name: &String| json!({ "name": name, "avatar": accounts::avatar(name, "team") });
        let teams: Vec<_> = robot.teams.iter().map(team).collect();
        let repositories: Vec<_> = robot.permissions.iter().map(|permission| &permission.repository).collect();
        entry.insert("teams".to_owned(), json!(teams));
        entry.insert("repositories".to_owned(), json!(repositories));
    }
    Value::Object(entry)
}

fn view(name: &str, robot: &Robot) -> Map<String, Value> {
    Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("created".to_owned(), json!(date(robot.created))),
        ("last_accessed".to_owned(), json!(robot.last_accessed.map(date))),
        ("description".to_owned(), json!(robot.description)),
    ])
}

/// Full access, or the caller's own name, may lead to what is no organization.
fn check_organization(state: &State, owner: Owner<'_>) -> Result<(), Answer> {
    match owner {
        Owner::Organization(name) if !state.organizations.contains_key(name) => Err(no_organization(name)),
        _ => Ok(()),
    }
}

/// Global read-only superusers saw the tokens up to 3.18.
fn shows_tokens_to_readers(state: &State) -> bool {
    state.release < (3, 19, 0)
}

const FORBIDDEN: &str = "You don't have the permission to access the requested resource. It is either read-protected or not readable by the server.";
