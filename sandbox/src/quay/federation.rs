//! A robot's federation: whose tokens it takes in exchange for its own.

use serde_json::{Value, json};

use super::answers::{invalid_request, json_answer, no_content, no_robot};
use super::api::{Call, Caller, Owner};
use super::schema;
use super::state::{Federation, Robot, State};
use crate::exchange::Answer;

/// `GET …/robots/R/federation`.
pub(crate) fn get(
    state: &State,
    _: &Call<'_>,
    caller: &Caller,
    owner: Owner<'_>,
    short: &str,
) -> Result<Answer, Answer> {
    let namespace = caller.namespace_to_read(state, owner)?;
    let robot = state.robots.get(&format!("{namespace}+{short}")).ok_or_else(no_robot)?;
    Ok(json_answer(200, &view(robot)))
}

/// `POST …/robots/R/federation`: the whole list is replaced. For an organization the body's schema is looked at before
/// the permission, and the entries themselves behind it.
pub(crate) fn replace(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    owner: Owner<'_>,
    short: &str,
) -> Result<Answer, Answer> {
    if let Owner::Caller = owner {
        caller.namespace_to_write(state, owner)?;
    }
    let body = call.body()?;
    schema::check_federation(&body).map_err(|violation| invalid_request(&call.host, &violation))?;
    let namespace = caller.namespace_to_write(state, owner)?;
    let entries = entries(&body).map_err(|sentence| invalid_request(&call.host, sentence))?;
    let robot = state.robots.get_mut(&format!("{namespace}+{short}")).ok_or_else(no_robot)?;
    robot.federation = entries;
    Ok(json_answer(200, &view(robot)))
}

/// `DELETE …/robots/R/federation`.
pub(crate) fn empty(
    state: &mut State,
    _: &Call<'_>,
    caller: &Caller,
    owner: Owner<'_>,
    short: &str,
) -> Result<Answer, Answer> {
    let namespace = caller.namespace_to_write(state, owner)?;
    let robot = state.robots.get_mut(&format!("{namespace}+{short}")).ok_or_else(no_robot)?;
    robot.federation.clear();
    Ok(no_content())
}

/// Of each entry the two fields that count; any other is dropped.
fn entries(body: &Value) -> Result<Vec<Federation>, &'static str> {
    let mut entries = Vec::new();
    for entry in body.as_array().into_iter().flatten() {
        let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let entry = Federation { issuer: field("issuer"), subject: field("subject") };
        if entry.issuer.is_empty() || entry.subject.is_empty() {
            return Err("Missing one or more required fields (issuer, subject)");
        }
        if !entry.issuer.starts_with("http://") && !entry.issuer.starts_with("https://") {
            return Err("Issuer must be a URL (http:// or https://)");
        }
        if entries.contains(&entry) {
            return Err("Duplicate federation config entry");
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn view(robot: &Robot) -> Value {
    robot.federation.iter().map(|entry| json!({ "issuer": entry.issuer, "subject": entry.subject })).collect()
}
