//! What playbooks and shell can do with the controller's objects over the control endpoint:
//!
//! | action | does |
//! | --- | --- |
//! | `controller/organization` `{"name": …}` | makes one; answers `{"id": …}` |
//! | `controller/credential_type` `{"name", "inputs", "injectors"}` | a custom one of the kind `cloud`; answers `{"id": …}` |
//! | `controller/credential` `{"name", "organization", "type", "inputs"}` | makes one, the type by namespace or name; answers `{"id": …}` |
//! | `controller/stored` `{"id": …}` | the inputs of a credential in clear, its description, and who wrote it last |
//! | `controller/history` `{"id": …}` | the same for every time that it was written |
//! | `controller/link` `{"credential", "field", "source"}` | has an input come from another credential |
//! | `controller/grant` `{"user", "role", "credential" or "template" or "organization"}` | a role: `admin`, `member`, `use`, `execute`, `read` |
//! | `controller/job_template` `{"name", "organization", "credentials": [ids]}` | makes one; answers `{"id": …}` |
//! | `controller/job` `{"template", "status"}`, or `{"job", "status"}` | makes one, or moves it on; answers `{"id": …}` |
//! | `controller/other_writer` `{"credential", "moment", "user", "inputs", "description"}` | somebody else writes at the next change: `before_patch`, `within_patch`, `around_patch`, `after_patch` |
//! | `controller/projects` `{"playbooks": [names], "looks", "fail"}` | what projects have, how often one is looked at until its update is over, and whether it then has failed |
//! | `controller/write_gap` `{"milliseconds": …}` | how long each change takes between its reading and its writing |
//!
//! `organization` is a name, `Default` unless it is given.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::objects::{JobStatus, Object, RoleKind};
use super::writers::{Moment, OtherWriter};
use crate::control::{with, with_answer};
use crate::exchange::Answer;
use crate::platform::Platform;

/// `action` is without the name of the system. `None`: there is no such action.
pub(crate) fn answer(controller: &Platform, action: &str, arguments: &Value) -> Option<Answer> {
    Some(match action {
        "organization" => with_answer(arguments, |wanted: Named| made(Ok(controller.add_organization(&wanted.name)))),
        "credential_type" => with_answer(arguments, |wanted: Type| {
            made(controller.add_credential_type(&wanted.name, wanted.inputs, wanted.injectors))
        }),
        "credential" => with_answer(arguments, |wanted: Credential| {
            made(controller.add_credential(&wanted.name, &wanted.organization, &wanted.kind, wanted.inputs))
        }),
        "stored" => with_answer(arguments, |wanted: Id| stored(controller, wanted.id)),
        "history" => with_answer(arguments, |wanted: Id| history(controller, wanted.id)),
        "link" => with_answer(arguments, |wanted: Link| {
            found(controller.link_input(wanted.credential, &wanted.field, wanted.source))
        }),
        "grant" => with_answer(arguments, |wanted: Grant| found(wanted.apply(controller))),
        "job_template" => with_answer(arguments, |wanted: Template| {
            let id = controller.add_job_template(&wanted.name, &wanted.organization, &wanted.credentials);
            made(id.ok_or_else(|| "There is no such organization.".to_owned()))
        }),
        "job" => with_answer(arguments, |wanted: Job| wanted.apply(controller)),
        "other_writer" => with(arguments, |other: Other| controller.expect_other_writer(other.into())),
        "projects" => with(arguments, |projects: Projects| projects.apply(controller)),
        "write_gap" => with(arguments, |gap: Gap| controller.set_write_gap(Duration::from_millis(gap.milliseconds))),
        _ => return None,
    })
}

fn stored(controller: &Platform, id: i64) -> Answer {
    let Some(credential) = controller.credential(id) else { return found(false) };
    let writer = controller.change(|state| state.username(credential.modified_by).to_owned());
    let (inputs, description) = (credential.inputs(), &credential.description);
    Answer::json(200, &json!({ "inputs": inputs, "description": description, "modified_by": writer }))
}

fn history(controller: &Platform, id: i64) -> Answer {
    let versions = controller.history(id).into_iter().map(|version| {
        json!({ "at": version.at, "user": version.username, "description": version.description, "inputs": version.inputs })
    });
    Answer::json(200, &json!({ "history": versions.collect::<Vec<_>>() }))
}

fn made(id: Result<i64, String>) -> Answer {
    match id {
        Ok(id) => Answer::json(200, &json!({ "id": id })),
        Err(error) => Answer::json(400, &json!({ "error": error })),
    }
}

fn found(is_there: bool) -> Answer {
    if is_there {
        return Answer::json(200, &json!({ "done": true }));
    }
    Answer::json(404, &json!({ "error": "There is no such object, or no such role on it." }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    id: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Type {
    name: String,
    inputs: Value,
    #[serde(default = "empty")]
    injectors: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    name: String,
    #[serde(default = "default_organization")]
    organization: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default = "empty")]
    inputs: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    credential: i64,
    field: String,
    source: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    user: String,
    role: RoleKind,
    credential: Option<i64>,
    template: Option<i64>,
    organization: Option<String>,
}

impl Grant {
    fn apply(self, controller: &Platform) -> bool {
        let organization = self.organization.and_then(|name| controller.organization(&name));
        let object = self.credential.map(Object::Credential).or(self.template.map(Object::JobTemplate));
        let object = object.or(organization.map(Object::Organization));
        object.is_some_and(|object| controller.grant_on(&self.user, self.role, object))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    name: String,
    #[serde(default = "default_organization")]
    organization: String,
    #[serde(default)]
    credentials: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    template: Option<i64>,
    job: Option<i64>,
    status: JobStatus,
}

impl Job {
    fn apply(self, controller: &Platform) -> Answer {
        let job = match self.job {
            Some(job) => controller.set_job_status(job, self.status).then_some(job),
            None => self.template.and_then(|template| controller.add_job(template, self.status)),
        };
        made(job.ok_or_else(|| "There is no such job, or no such template.".to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    credential: i64,
    moment: Moment,
    #[serde(default = "default_user")]
    user: String,
    #[serde(default)]
    inputs: Map<String, Value>,
    description: Option<String>,
}

impl From<Other> for OtherWriter {
    fn from(other: Other) -> Self {
        let Other { credential, moment, user, inputs, description } = other;
        Self { credential, moment, username: user, inputs, description }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Projects {
    playbooks: Option<Vec<String>>,
    #[serde(default)]
    looks: u32,
    #[serde(default)]
    fail: bool,
}

impl Projects {
    fn apply(self, controller: &Platform) {
        if let Some(playbooks) = self.playbooks {
            controller.set_playbooks(&playbooks.iter().map(String::as_str).collect::<Vec<_>>());
        }
        controller.set_project_updates(self.looks, self.fail);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gap {
    milliseconds: u64,
}

fn empty() -> Value {
    json!({})
}

fn default_organization() -> String {
    "Default".to_owned()
}

fn default_user() -> String {
    "admin".to_owned()
}
