//! What an automation controller knows beside its tokens: credentials and their types, who may do what with them, and the
//! job templates and jobs that use them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::inputs::Inputs;
use super::managed;
use super::plain::Plain;
use super::writers::Writers;

/// The objects of a controller; a gateway has none.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) types: Vec<CredentialType>,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) sources: Vec<InputSource>,
    pub(crate) roles: Vec<Role>,
    pub(crate) templates: Vec<JobTemplate>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) plain: Vec<Plain>,
    /// The playbooks that every project has once an update has succeeded.
    pub(crate) playbooks: Vec<String>,
    /// How often a project is looked at before its update is over.
    pub(crate) looks_at_update: u32,
    pub(crate) updates_fail: bool,
    pub(crate) activity: Vec<Activity>,
    pub(crate) history: BTreeMap<i64, Vec<Version>>,
    pub(crate) writers: Writers,
    last_id: i64,
}

/// A type of credentials. Times are milliseconds since the epoch.
#[derive(Clone, Debug)]
pub(crate) struct CredentialType {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) kind: String,
    /// Only what came with the controller has one, and cannot be changed.
    pub(crate) namespace: Option<&'static str>,
    pub(crate) inputs: Value,
    pub(crate) injectors: Value,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

/// A credential with its secrets in clear.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The primary key.
    pub id: i64,
    /// Unique within its organization and type.
    pub name: String,
    /// What anybody who sees the credential may read.
    pub description: String,
    /// The primary key of its organization; a user's own credential has none.
    pub organization: Option<i64>,
    /// The primary key of its type.
    pub credential_type: i64,
    /// Who wrote it last: a primary key.
    pub modified_by: i64,
    pub(crate) owner: Option<i64>,
    pub(crate) inputs: Inputs,
    pub(crate) made_by: i64,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

impl Credential {
    /// The text of an input, in clear; `None`: it is not there.
    pub fn input(&self, field: &str) -> Option<&str> {
        self.inputs.values().get(field).and_then(Value::as_str)
    }

    /// All that is stored, in clear.
    pub fn inputs(&self) -> &Map<String, Value> {
        self.inputs.values()
    }

    /// What lies in the database for a secret. It is another one after each writing, of the same secret too.
    pub fn ciphertext(&self, field: &str) -> Option<&str> {
        self.inputs.ciphertext(field)
    }
}

/// What a credential was from a point in time on.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// Who made it so.
    pub username: String,
    /// The description.
    pub description: String,
    /// The inputs, secrets in clear.
    pub inputs: Map<String, Value>,
}

/// Where the value of an input comes from instead of from the credential.
#[derive(Clone, Debug)]
pub(crate) struct InputSource {
    pub(crate) id: i64,
    pub(crate) target: i64,
    pub(crate) source: i64,
    pub(crate) field: String,
    pub(crate) metadata: Value,
    pub(crate) created: i64,
}

/// What a user may do with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleKind {
    /// Everything.
    Admin,
    /// Belong to an organization.
    Member,
    /// Use a credential in a job template.
    Use,
    /// Launch a job template.
    Execute,
    /// Look.
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Organization(i64),
    Credential(i64),
    JobTemplate(i64),
}

#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) id: i64,
    pub(crate) kind: RoleKind,
    pub(crate) object: Object,
    pub(crate) members: Vec<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct JobTemplate {
    pub(crate) id: i64,
    pub(crate) organization: Option<i64>,
    pub(crate) credentials: Vec<i64>,
    /// All others, its name too.
    pub(crate) fields: Map<String, Value>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

impl JobTemplate {
    pub(crate) fn name(&self) -> &str {
        self.fields.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn description(&self) -> &str {
        self.fields.get("description").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Its credentials are those of its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) template: Option<i64>,
    pub(crate) name: String,
    pub(crate) organization: Option<i64>,
    pub(crate) status: JobStatus,
    pub(crate) credentials: Vec<i64>,
    pub(crate) created: i64,
    pub(crate) started: Option<i64>,
    pub(crate) finished: Option<i64>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// It was asked for.
    New,
    /// It waits for its turn.
    Pending,
    /// It waits for a place to run.
    Waiting,
    /// It runs, with the secrets of its beginning.
    Running,
    /// It ended well.
    Successful,
    /// It ended badly.
    Failed,
    /// The controller could not run it.
    Error,
    /// Somebody ended it.
    Canceled,
}

impl JobStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Successful => "successful",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Canceled => "canceled",
        }
    }

    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Error | Self::Canceled)
    }
}

/// An entry of the activity stream. It never has a secret.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    pub(crate) id: i64,
    pub(crate) at: i64,
    pub(crate) actor: i64,
    pub(crate) operation: &'static str,
    pub(crate) credential: i64,
    pub(crate) changes: Value,
}

impl Objects {
    /// The types that come with a controller.
    pub(crate) fn new(now: i64) -> Self {
        let playbooks = vec!["site.yml".to_owned()];
        let mut objects = Self { playbooks, looks_at_update: 2, ..Self::default() };
        for managed in managed::TYPES {
            let id = objects.next_id();
            objects.types.push(managed.made(id, now));
        }
        objects
    }

    pub(crate) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn credential_type(&self, id: i64) -> Option<&CredentialType> {
        self.types.iter().find(|known| known.id == id)
    }

    /// By its namespace, or by its name.
    pub(crate) fn type_called(&self, name: &str) -> Option<&CredentialType> {
        self.types.iter().find(|known| known.namespace == Some(name) || known.name == name)
    }

    pub(crate) fn credential(&self, id: i64) -> Option<&Credential> {
        self.credentials.iter().find(|known| known.id == id)
    }

    pub(crate) fn template(&self, id: i64) -> Option<&JobTemplate> {
        self.templates.iter().find(|known| known.id == id)
    }

    /// Puts a credential in the place of the one with its id, or behind all others, and notes what it was now.
    pub(crate) fn store(&mut self, credential: Credential, username: &str) {
        self.history.entry(credential.id).or_default().push(Version {
            at: credential.modified,
            username: username.to_owned(),
            description: credential.description.clone(),
            inputs: credential.inputs.values().clone(),
        });
        match self.credentials.iter_mut().find(|known| known.id == credential.id) {
            Some(place) => *place = credential,
            None => {
                self.add_roles(Object::Credential(credential.id));
                self.credentials.push(credential);
            }
        }
    }

    /// It is detached from whatever used it.
    pub(crate) fn delete_credential(&mut self, id: i64) -> bool {
        let before = self.credentials.len();
        self.credentials.retain(|known| known.id != id);
        self.sources.retain(|source| source.target != id && source.source != id);
        for template in &mut self.templates {
            template.credentials.retain(|used| *used != id);
        }
        for job in &mut self.jobs {
            job.credentials.retain(|used| *used != id);
        }
        self.roles.retain(|role| role.object != Object::Credential(id));
        self.credentials.len() < before
    }

    pub(crate) fn is_in_use(&self, credential: i64) -> bool {
        let uses = |credentials: &[i64]| credentials.contains(&credential);
        self.templates.iter().any(|template| uses(&template.credentials))
            || self.jobs.iter().any(|job| uses(&job.credentials))
    }

    pub(crate) fn set_status(&mut self, job: i64, status: JobStatus, now: i64) -> bool {
        let Some(job) = self.jobs.iter_mut().find(|known| known.id == job) else { return false };
        job.status = status;
        if status == JobStatus::Running || status.is_over() {
            job.started = job.started.or(Some(now));
        }
        job.finished = status.is_over().then_some(now);
        true
    }

    pub(crate) fn log(&mut self, credential: i64, at: i64, actor: i64, operation: &'static str, changes: Value) {
        let id = self.next_id();
        self.activity.push(Activity { id, at, actor, operation, credential, changes });
    }

    pub(crate) fn add_roles(&mut self, object: Object) {
        for kind in object.role_kinds() {
            let id = self.next_id();
            self.roles.push(Role { id, kind: *kind, object, members: Vec::new() });
        }
    }

    pub(crate) fn role_mut(&mut self, kind: RoleKind, object: Object) -> Option<&mut Role> {
        self.roles.iter_mut().find(|role| role.kind == kind && role.object == object)
    }

    pub(crate) fn holds(&self, user: i64, kind: RoleKind, object: Object) -> bool {
        let role = self.roles.iter().find(|role| role.kind == kind && role.object == object);
        role.is_some_and(|role| role.members.contains(&user))
    }
}

impl Object {
    fn role_kinds(self) -> &'static [RoleKind] {
        match self {
            Self::Organization(_) => &[RoleKind::Admin, RoleKind::Member, RoleKind::Read],
            Self::Credential(_) => &[RoleKind::Admin, RoleKind::Use, RoleKind::Read],
            Self::JobTemplate(_) => &[RoleKind::Admin, RoleKind::Execute, RoleKind::Read],
        }
    }
}

impl RoleKind {
    /// As the key of `object_roles`, and as what people read.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Admin => ("admin_role", "Admin"),
            Self::Member => ("member_role", "Member"),
            Self::Use => ("use_role", "Use"),
            Self::Execute => ("execute_role", "Execute"),
            Self::Read => ("read_role", "Read"),
        }
    }
}
