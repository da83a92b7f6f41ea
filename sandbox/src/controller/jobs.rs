//! Job templates with their credentials, and the jobs made from them.

use serde_json::json;

use super::association::Association;
use super::objects::{Job, JobTemplate, Object, RoleKind};
use super::{access, rows};
use crate::exchange::Answer;
use crate::platform::access::Caller;
use crate::platform::answers;
use crate::platform::api::Call;
use crate::platform::{State, list};

/// `GET job_templates/`. Who has no role on a template does not see it, though a credential of theirs be in it.
pub(crate) fn templates(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let templates = state.objects.templates.iter();
    let visible = templates.filter(|row| access::sees(state, caller, Object::JobTemplate(row.id))).collect();
    list::page(state, call, visible, |row| rows::job_template(state, call, row))
}

/// `GET job_templates/ID/`.
pub(crate) fn template(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    Ok(Answer::json(200, &rows::job_template(state, call, readable(state, caller, id)?)))
}

/// `GET job_templates/ID/credentials/`.
pub(crate) fn template_credentials(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    attached(state, call, caller, &readable(state, caller, id)?.credentials)
}

/// `POST job_templates/ID/credentials/`: one of each type.
pub(crate) fn associate(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let template = readable(state, caller, id)?;
    let wanted = Association::read(state, call)?;
    let credential = wanted.credential(state)?;
    if !access::administers(state, caller, Object::JobTemplate(id)) || !access::uses(state, caller, wanted.id) {
        return Err(answers::forbidden());
    }
    let kind = state.objects.credential_type(credential.credential_type);
    let attached = template.credentials.iter().filter_map(|id| state.objects.credential(*id));
    let is_taken = attached.into_iter().any(|known| known.credential_type == credential.credential_type);
    if let Some(kind) = kind.filter(|_| !wanted.is_ended) {
        let refusal = |sentence: String| Err(Answer::json(400, &json!({ "error": sentence })));
        if is_taken {
            return refusal(format!("Cannot assign multiple {} credentials.", kind.name));
        }
        if !["ssh", "vault", "cloud", "net", "kubernetes"].contains(&kind.kind.as_str()) {
            return refusal(format!("Cannot assign a Credential of kind `{}`.", kind.kind));
        }
    }
    if let Some(template) = state.objects.templates.iter_mut().find(|template| template.id == id) {
        wanted.apply(&mut template.credentials);
    }
    Ok(Answer::empty(204))
}

/// `GET job_templates/ID/object_roles/`.
pub(crate) fn template_roles(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    readable(state, caller, id)?;
    let roles = state.objects.roles.iter().filter(|role| role.object == Object::JobTemplate(id)).collect();
    list::page(state, call, roles, |role| rows::role(call, role))
}

/// `GET job_templates/ID/jobs/`.
pub(crate) fn of_template(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    readable(state, caller, id)?;
    let jobs = state.objects.jobs.iter().filter(|job| job.template == Some(id)).collect();
    list::page(state, call, jobs, |row| rows::job(state, call, row))
}

/// `GET jobs/`, and `GET unified_jobs/`, where there is nothing else.
pub(crate) fn list(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let visible = state.objects.jobs.iter().filter(|row| sees(state, caller, row)).collect();
    list::page(state, call, visible, |row| rows::job(state, call, row))
}

/// `GET jobs/ID/`.
pub(crate) fn read(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    Ok(Answer::json(200, &rows::job(state, call, readable_job(state, caller, id)?)))
}

/// `GET jobs/ID/credentials/`.
pub(crate) fn credentials(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    attached(state, call, caller, &readable_job(state, caller, id)?.credentials)
}

fn attached(state: &State, call: &Call<'_>, caller: &Caller, ids: &[i64]) -> Result<Answer, Answer> {
    let credentials = ids.iter().filter_map(|id| state.objects.credential(*id));
    let visible = credentials.filter(|row| access::sees(state, caller, Object::Credential(row.id))).collect();
    list::page(state, call, visible, |row| rows::credential(state, call, caller, row))
}

fn readable<'s>(state: &'s State, caller: &Caller, id: i64) -> Result<&'s JobTemplate, Answer> {
    let template = state.objects.template(id).ok_or_else(|| answers::no_match("JobTemplate"))?;
    if access::sees(state, caller, Object::JobTemplate(id)) { Ok(template) } else { Err(answers::forbidden()) }
}

fn readable_job<'s>(state: &'s State, caller: &Caller, id: i64) -> Result<&'s Job, Answer> {
    let job = state.objects.jobs.iter().find(|job| job.id == id).ok_or_else(|| answers::no_match("Job"))?;
    if sees(state, caller, job) { Ok(job) } else { Err(answers::forbidden()) }
}

/// Who sees the template sees its jobs; those of a template that is gone are for the admins of its organization.
fn sees(state: &State, caller: &Caller, job: &Job) -> bool {
    let by_template = |id| access::sees(state, caller, Object::JobTemplate(id));
    let by_organization = |id| state.objects.holds(caller.user.id, RoleKind::Admin, Object::Organization(id));
    caller.sees_everything() || job.template.is_some_and(by_template) || job.organization.is_some_and(by_organization)
}
