//! Job templates: made, changed, and launched.

use serde_json::{Map, Value, json};

use super::kinds::{Field, Holds, Kind, Target, field, required};
use super::objects::{Job, JobStatus, JobTemplate, Object, RoleKind};
use super::{access, plain, projects, rows};
use crate::exchange::Answer;
use crate::platform::State;
use crate::platform::access::Caller;
use crate::platform::answers;
use crate::platform::api::Call;

/// `POST job_templates/`. Its organization is that of its project; credentials are attached afterwards.
pub(crate) fn create(state: &mut State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    let body = call.fields(state.release)?;
    let fields = plain::read_fields(state, FIELDS, &body, None)?;
    let id = state.objects.next_id();
    let template = checked(state, caller, JobTemplate { id, ..made(fields, call.now) })?;
    state.objects.templates.push(template);
    state.objects.add_roles(Object::JobTemplate(id));
    let answer = shown(state, call, id)?;
    Ok(Answer { status: 201, ..answer }.header("location", call.link(&format!("job_templates/{id}/"))))
}

/// `PATCH` and `PUT job_templates/ID/`.
pub(crate) fn change(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let before = writable(state, caller, id)?.clone();
    let body = call.fields(state.release)?;
    let fields = plain::read_fields(state, FIELDS, &body, Some(&before.fields))?;
    let modified = call.now.max(before.modified + 1);
    let template = checked(state, caller, JobTemplate { fields, modified, ..before })?;
    if let Some(place) = state.objects.templates.iter_mut().find(|known| known.id == id) {
        *place = template;
    }
    shown(state, call, id)
}

/// `DELETE job_templates/ID/`. Its jobs stay, its schedules do not.
pub(crate) fn delete(state: &mut State, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    writable(state, caller, id)?;
    state.objects.templates.retain(|known| known.id != id);
    state.objects.plain.retain(|row| row.kind != Kind::Schedule || row.key("unified_job_template") != Some(id));
    state.objects.roles.retain(|role| role.object != Object::JobTemplate(id));
    for job in state.objects.jobs.iter_mut().filter(|job| job.template == Some(id)) {
        job.template = None;
    }
    Ok(Answer::empty(204))
}

/// `POST job_templates/ID/launch/`. What the template does not ask for is left out, and named in the answer.
pub(crate) fn launch(state: &mut State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let template = found(state, id)?.clone();
    let object = Object::JobTemplate(id);
    if !access::administers(state, caller, object) && !state.objects.holds(caller.user.id, RoleKind::Execute, object) {
        return Err(answers::forbidden());
    }
    let body = call.fields(state.release)?;
    let asks = |name: &str| template.fields.get(&format!("ask_{name}_on_launch")).is_some_and(|flag| *flag == true);
    let is_ignored = |(name, _): &(&String, &Value)| PROMPTS.iter().any(|(sent, asked)| sent == name && !asks(asked));
    let ignored: Map<_, _> =
        body.iter().filter(is_ignored).map(|(name, value)| (name.clone(), value.clone())).collect();
    let job = Job {
        id: state.objects.next_id(),
        template: Some(id),
        name: template.name().to_owned(),
        organization: template.organization,
        status: JobStatus::Pending,
        credentials: template.credentials,
        created: call.now,
        started: None,
        finished: None,
    };
    let mut answer = rows::job(state, call, &job);
    answer["job"] = json!(job.id);
    answer["ignored_fields"] = Value::Object(ignored);
    let place = call.link(&format!("jobs/{}/", job.id));
    state.objects.jobs.push(job);
    Ok(Answer::json(201, &answer).header("location", place))
}

/// With these fields, and nothing else yet.
pub(crate) fn made(fields: Map<String, Value>, now: i64) -> JobTemplate {
    JobTemplate { id: 0, organization: None, credentials: Vec::new(), fields, created: now, modified: now }
}

/// The fields of a template that has a name only.
pub(crate) fn named(name: &str) -> Map<String, Value> {
    let mut fields: Map<_, _> = FIELDS.iter().map(|field| (field.name.to_owned(), field.holds.default())).collect();
    fields.insert("name".to_owned(), json!(name));
    fields
}

fn checked(state: &State, caller: &Caller, template: JobTemplate) -> Result<JobTemplate, Answer> {
    let refusal = |field: &str, sentence: &str| Err(Answer::json(400, &json!({ field: [sentence] })));
    let key = |name: &str| template.fields.get(name).and_then(Value::as_i64);
    let text = |name: &str| template.fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let Some(project) = key("project").and_then(|id| plain::found(state, Kind::Project, id).ok()) else {
        return refusal("project", "Job Templates must have a project assigned.");
    };
    if !plain::administers(state, caller, project) {
        return Err(answers::forbidden());
    }
    if key("inventory").is_none() && template.fields.get("ask_inventory_on_launch") != Some(&json!(true)) {
        return refusal("inventory", "You must either set a default value or ask to prompt on launch.");
    }
    if text("playbook").is_empty() {
        return refusal("playbook", "Must select playbook for project.");
    }
    if !projects::takes(state, project, text("playbook")) {
        return refusal("playbook", "Playbook not found for project.");
    }
    let organization = project.key("organization");
    let is_same = |known: &JobTemplate| {
        (known.name(), known.organization) == (template.name(), organization) && known.id != template.id
    };
    if state.objects.templates.iter().any(is_same) {
        return refusal("__all__", "Job template with this Name and Organization already exists.");
    }
    Ok(JobTemplate { organization, ..template })
}

fn shown(state: &State, call: &Call<'_>, id: i64) -> Result<Answer, Answer> {
    Ok(Answer::json(200, &rows::job_template(state, call, found(state, id)?)))
}

fn found(state: &State, id: i64) -> Result<&JobTemplate, Answer> {
    state.objects.template(id).ok_or_else(|| answers::no_match("JobTemplate"))
}

fn writable<'s>(state: &'s State, caller: &Caller, id: i64) -> Result<&'s JobTemplate, Answer> {
    let template = found(state, id)?;
    if access::administers(state, caller, Object::JobTemplate(id)) { Ok(template) } else { Err(answers::forbidden()) }
}

const FIELDS: &[Field] = &[
    required("name", Holds::Text),
    field("description", Holds::Text),
    field("job_type", Holds::Choice(&["run", "check"])),
    field("inventory", Holds::Key(Target::Plain(Kind::Inventory))),
    field("project", Holds::Key(Target::Plain(Kind::Project))),
    field("playbook", Holds::Text),
    field("scm_branch", Holds::Text),
    field("forks", Holds::Number),
    field("limit", Holds::Text),
    field("verbosity", Holds::Number),
    field("extra_vars", Holds::Text),
    field("job_tags", Holds::Text),
    field("skip_tags", Holds::Text),
    field("timeout", Holds::Number),
    field("execution_environment", Holds::Key(Target::Plain(Kind::ExecutionEnvironment))),
    field("ask_scm_branch_on_launch", Holds::Flag(false)),
    field("ask_diff_mode_on_launch", Holds::Flag(false)),
    field("ask_variables_on_launch", Holds::Flag(false)),
    field("ask_limit_on_launch", Holds::Flag(false)),
    field("ask_tags_on_launch", Holds::Flag(false)),
    field("ask_skip_tags_on_launch", Holds::Flag(false)),
    field("ask_job_type_on_launch", Holds::Flag(false)),
    field("ask_verbosity_on_launch", Holds::Flag(false)),
    field("ask_inventory_on_launch", Holds::Flag(false)),
    field("ask_credential_on_launch", Holds::Flag(false)),
    field("ask_execution_environment_on_launch", Holds::Flag(false)),
    field("ask_labels_on_launch", Holds::Flag(false)),
    field("ask_forks_on_launch", Holds::Flag(false)),
    field("ask_job_slice_count_on_launch", Holds::Flag(false)),
    field("ask_timeout_on_launch", Holds::Flag(false)),
    field("ask_instance_groups_on_launch", Holds::Flag(false)),
    field("survey_enabled", Holds::Flag(false)),
    field("become_enabled", Holds::Flag(false)),
    field("diff_mode", Holds::Flag(false)),
    field("allow_simultaneous", Holds::Flag(false)),
];
/// What can be sent at a launch, and the switch that asks for it.
const PROMPTS: &[(&str, &str)] = &[
    ("extra_vars", "variables"),
    ("limit", "limit"),
    ("inventory", "inventory"),
    ("job_type", "job_type"),
    ("verbosity", "verbosity"),
    ("diff_mode", "diff_mode"),
    ("scm_branch", "scm_branch"),
    ("job_tags", "tags"),
    ("skip_tags", "skip_tags"),
    ("credentials", "credential"),
    ("execution_environment", "execution_environment"),
    ("forks", "forks"),
    ("timeout", "timeout"),
    ("labels", "labels"),
    ("job_slice_count", "job_slice_count"),
    ("instance_groups", "instance_groups"),
];
