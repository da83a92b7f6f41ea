//! What an automation controller has beside its tokens: credentials and their types, roles, job templates and jobs.
//!
//! It is one with its [`Platform`], as the objects belong to the same users. What tests ask and prepare is here, as methods
//! of the platform; a gateway has none of these objects itself, but passes requests for them on to its controller.

use std::time::Duration;

use hyper::Method;
use serde_json::{Map, Value};

pub use self::injection::Injection;
pub use self::objects::{Credential, JobStatus, RoleKind, Version};
pub use self::writers::{Hold, Moment, OtherWriter};

use self::inputs::Inputs;
use self::objects::{CredentialType, InputSource, Job, JobTemplate, Object};
use self::writers::Pause;
use crate::exchange::{Answer, Request};
use crate::platform::{Platform, State};

mod access;
pub(crate) mod api;
mod association;
mod columns;
mod control;
mod credential_types;
mod credentials;
mod injection;
mod inputs;
mod jobs;
mod kinds;
mod managed;
pub(crate) mod objects;
mod organizations;
mod plain;
mod projects;
mod roles;
mod rows;
mod schedules;
mod schema;
mod template;
mod templates;
pub(crate) mod writers;

pub(crate) use self::control::answer as control;

/// What tests prepare. Names that are not known are made up for users, and are `None` for everything else.
impl Platform {
    /// An organization. `Default` and `Engineering` are there from the start.
    pub fn add_organization(&self, name: &str) -> i64 {
        let now = self.now();
        self.change(|state| state.add_organization(name, now))
    }

    /// The primary key of an organization.
    pub fn organization(&self, name: &str) -> Option<i64> {
        self.change(|state| state.organizations.iter().find(|known| known.name == name).map(|known| known.id))
    }

    /// A custom type of the kind `cloud`; what the server would not take is the error.
    pub fn add_credential_type(&self, name: &str, inputs: Value, injectors: Value) -> Result<i64, String> {
        let now = self.now();
        let made = CredentialType {
            id: 0,
            name: name.to_owned(),
            description: String::new(),
            kind: "cloud".to_owned(),
            namespace: None,
            inputs,
            injectors,
            created: now,
            modified: now,
        };
        self.change(|state| credential_types::add(state, made)).map_err(refused)
    }

    /// The primary key of a type, by its namespace (`galaxy_api_token`) or its name.
    pub fn credential_type(&self, name: &str) -> Option<i64> {
        self.change(|state| state.objects.type_called(name).map(|known| known.id))
    }

    /// A credential of an organization, its type by namespace or name; what the server would not take is the error.
    pub fn add_credential(
        &self,
        name: &str,
        organization: &str,
        credential_type: &str,
        inputs: Value,
    ) -> Result<i64, String> {
        let now = self.now();
        let organization = self.organization(organization).ok_or("There is no such organization.")?;
        self.change(|state| {
            let kind = state.objects.type_called(credential_type).ok_or("There is no such credential type.")?.clone();
            let sent = inputs.as_object().ok_or("The inputs are no object.")?;
            let credential = Credential {
                id: state.objects.next_id(),
                name: name.to_owned(),
                description: String::new(),
                organization: Some(organization),
                credential_type: kind.id,
                modified_by: ADMIN,
                owner: None,
                inputs: Inputs::new(&kind, sent).map_err(refused)?,
                made_by: ADMIN,
                created: now,
                modified: now,
            };
            let id = credential.id;
            state.objects.store(credential, "admin");
            Ok(id)
        })
    }

    /// Has an input come from another credential from now on. `false`: there is no such credential.
    pub fn link_input(&self, credential: i64, field: &str, source: i64) -> bool {
        let created = self.now();
        self.change(|state| {
            if state.objects.credential(credential).is_none() || state.objects.credential(source).is_none() {
                return false;
            }
            let (id, metadata) = (state.objects.next_id(), Value::Object(Map::new()));
            let field = field.to_owned();
            state.objects.sources.push(InputSource { id, target: credential, source, field, metadata, created });
            true
        })
    }

    /// Gives a user a role on a credential; the user becomes a member of its organization.
    pub fn grant(&self, user: &str, role: RoleKind, credential: i64) -> bool {
        self.grant_on(user, role, Object::Credential(credential))
    }

    /// Gives a user a role on a job template.
    pub fn grant_on_template(&self, user: &str, role: RoleKind, template: i64) -> bool {
        self.grant_on(user, role, Object::JobTemplate(template))
    }

    /// Makes a user a member, or an admin, of an organization.
    pub fn grant_on_organization(&self, user: &str, role: RoleKind, organization: i64) -> bool {
        self.grant_on(user, role, Object::Organization(organization))
    }

    /// A job template with these credentials.
    pub fn add_job_template(&self, name: &str, organization: &str, credentials: &[i64]) -> Option<i64> {
        let now = self.now();
        let organization = self.organization(organization)?;
        self.change(|state| {
            let (id, credentials) = (state.objects.next_id(), credentials.to_vec());
            let template = templates::made(templates::named(name), now);
            state.objects.templates.push(JobTemplate { id, organization: Some(organization), credentials, ..template });
            state.objects.add_roles(Object::JobTemplate(id));
            Some(id)
        })
    }

    /// A job of a template, with the credentials that the template has now.
    pub fn add_job(&self, template: i64, status: JobStatus) -> Option<i64> {
        let now = self.now();
        self.change(|state| {
            let template = state.objects.template(template)?.clone();
            let id = state.objects.next_id();
            state.objects.jobs.push(Job {
                id,
                template: Some(template.id),
                name: template.name().to_owned(),
                organization: template.organization,
                status: JobStatus::New,
                credentials: template.credentials,
                created: now,
                started: None,
                finished: None,
            });
            state.objects.set_status(id, status, now);
            Some(id)
        })
    }

    /// Moves a job on. `false`: there is no such job.
    pub fn set_job_status(&self, job: i64, status: JobStatus) -> bool {
        let now = self.now();
        self.change(|state| state.objects.set_status(job, status, now))
    }

    /// What a job with these credentials gets if it begins now.
    pub fn injection(&self, credentials: &[i64]) -> Injection {
        self.change(|state| injection::of(state, credentials))
    }

    /// A credential with its secrets in clear.
    pub fn credential(&self, id: i64) -> Option<Credential> {
        self.change(|state| state.objects.credential(id).cloned())
    }

    /// All credentials of that name.
    pub fn credentials_named(&self, name: &str) -> Vec<Credential> {
        self.change(|state| state.objects.credentials.iter().filter(|known| known.name == name).cloned().collect())
    }

    /// What a credential has been since it was made, the oldest first; it outlives the credential.
    pub fn history(&self, credential: i64) -> Vec<Version> {
        self.change(|state| state.objects.history.get(&credential).cloned().unwrap_or_default())
    }

    /// What the activity stream has of a credential: who did what.
    pub fn activity(&self, credential: i64) -> Vec<(String, &'static str, Value)> {
        self.change(|state| {
            let entries = state.objects.activity.iter().filter(|entry| entry.credential == credential);
            entries
                .map(|entry| (state.username(entry.actor).to_owned(), entry.operation, entry.changes.clone()))
                .collect()
        })
    }

    /// Deletes a credential, as somebody else would. `false`: there is no such credential.
    pub fn delete_credential(&self, id: i64) -> bool {
        self.change(|state| state.objects.delete_credential(id))
    }

    /// The playbooks that every project has once an update has succeeded; `site.yml` from the start.
    pub fn set_playbooks(&self, playbooks: &[&str]) {
        self.change(|state| state.objects.playbooks = playbooks.iter().map(|name| (*name).to_owned()).collect());
    }

    /// How often a project is looked at until its update is over, and whether it then has failed.
    pub fn set_project_updates(&self, looks: u32, fail: bool) {
        self.change(|state| (state.objects.looks_at_update, state.objects.updates_fail) = (looks, fail));
    }

    /// The next change of the credential stands still between its reading of the row and its writing.
    pub fn hold_patch(&self, credential: i64) -> Hold {
        self.change(|state| state.objects.writers.hold(credential))
    }

    /// Every change takes so long between its reading of the row and its writing.
    pub fn set_write_gap(&self, gap: Duration) {
        self.change(|state| state.objects.writers.gap = gap);
    }

    /// Somebody else changes a credential at the next change of it, once.
    pub fn expect_other_writer(&self, other: OtherWriter) {
        self.change(|state| state.objects.writers.add(other));
    }

    fn grant_on(&self, user: &str, role: RoleKind, object: Object) -> bool {
        self.change(|state| {
            let user = state.user_or_new(user).id;
            if state.objects.role_mut(role, object).is_none() {
                return false;
            }
            if let Object::Credential(id) = object {
                let organization = state.objects.credential(id).and_then(|known| known.organization);
                if let Some(organization) = organization {
                    roles::change(state, user, RoleKind::Member, Object::Organization(organization), false);
                }
            }
            roles::change(state, user, role, object, false);
            true
        })
    }
}

/// Before a request is answered: what it reads of the credential that it is going to change, and what holds it up.
pub(crate) fn begin(state: &mut State, request: &mut Request, credential: i64, now: i64) -> Option<Pause> {
    if request.method != Method::PATCH && request.method != Method::PUT {
        return None;
    }
    let (row, pause) = writers::begin(state, credential, now);
    request.row_read = row;
    pause
}

fn refused(answer: Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

const ADMIN: i64 = 1;
