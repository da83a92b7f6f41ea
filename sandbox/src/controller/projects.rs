//! Projects: an update begins with their making, and is over after so many looks at the project.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::plain::{self, Plain};
use crate::exchange::Answer;
use crate::platform::State;
use crate::platform::access::Caller;
use crate::platform::answers;
use crate::platform::api::Call;

/// `GET projects/ID/`: each look brings the update nearer to its end.
pub(crate) fn read(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let answer = plain::read(state, call, caller, Kind::Project, id)?;
    if let Some(project) = state.objects.plain.iter_mut().find(|row| row.id == id) {
        project.looks_left = project.looks_left.saturating_sub(1);
    }
    Ok(answer)
}

/// `GET projects/ID/playbooks/`: a bare list, empty until an update has succeeded.
pub(crate) fn playbooks(state: &State, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let project = readable(state, caller, id)?;
    let playbooks: &[String] = if is_updated(state, project) { &state.objects.playbooks } else { &[] };
    Ok(Answer::json(200, &json!(playbooks)))
}

/// `POST projects/ID/update/`.
pub(crate) fn update(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let project = readable(state, caller, id)?;
    if !plain::administers(state, caller, project) {
        return Err(answers::forbidden());
    }
    if !project.has_source() {
        return Err(answers::method_not_allowed(&call.method(), &[]));
    }
    let looks = state.objects.looks_at_update;
    if let Some(project) = state.objects.plain.iter_mut().find(|row| row.id == id) {
        project.looks_left = looks;
    }
    Ok(Answer::json(202, &json!({ "project_update": id, "id": id, "type": "project_update", "status": "pending" })))
}

/// `GET project_updates/ID/stdout/?format=txt`. An update has the id of its project.
pub(crate) fn output(state: &State, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let project = readable(state, caller, id)?;
    let words = if status(state, project) == "failed" { UNREACHABLE } else { "PLAY [Update source tree if necessary]" };
    Ok(Answer::text(200, "text/plain; charset=utf-8", words))
}

/// Whether a template may name this playbook.
pub(crate) fn takes(state: &State, project: &Plain, playbook: &str) -> bool {
    let is_any = project.fields["allow_override"] == true;
    is_any || is_updated(state, project) && state.objects.playbooks.iter().any(|known| known == playbook)
}

/// Adds what only a project shows.
pub(crate) fn complete(state: &State, shown: &mut Value, row: &Plain, link: &dyn Fn(&str) -> String) {
    shown["related"]["playbooks"] = json!(link("playbooks/"));
    shown["related"]["update"] = json!(link("update/"));
    shown["status"] = json!(status(state, row));
    if row.has_source() {
        shown["summary_fields"]["last_update"] =
            json!({ "id": row.id, "name": row.text("name"), "status": status(state, row) });
    }
    if row.looks_left > 0 {
        shown["summary_fields"]["current_update"] = json!({ "id": row.id, "status": "running", "failed": false });
    }
}

fn status(state: &State, row: &Plain) -> &'static str {
    match (row.has_source(), row.looks_left) {
        (false, _) => "ok",
        (true, 0) if state.objects.updates_fail => "failed",
        (true, 0) => "successful",
        (true, _) => "running",
    }
}

fn is_updated(state: &State, row: &Plain) -> bool {
    status(state, row) == "successful"
}

fn readable<'s>(state: &'s State, caller: &Caller, id: i64) -> Result<&'s Plain, Answer> {
    let project = plain::found(state, Kind::Project, id)?;
    if plain::sees(state, caller, project) { Ok(project) } else { Err(answers::forbidden()) }
}

const UNREACHABLE: &str =
    "PLAY [Update source tree if necessary]\nfatal: [localhost]: FAILED! => {\"msg\": \"repository not found\"}";
