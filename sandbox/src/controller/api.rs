//! The endpoints of the controller's objects.

use hyper::Method;

use super::kinds::Kind;
use super::{credential_types, credentials, jobs, organizations, plain, projects, roles, templates};
use crate::exchange::Answer;
use crate::platform::State;
use crate::platform::access::Caller;
use crate::platform::api::Call;

/// Where something is to be done; ids are digits only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Organizations,
    Organization(i64),
    OrganizationRoles(i64),
    OrganizationCredentials(i64),
    GalaxyCredentials(i64),
    UserRoles(i64),
    CredentialTypes,
    CredentialType(i64),
    TypeCredentials(i64),
    Credentials,
    Credential(i64),
    CredentialRoles(i64),
    CredentialActivity(i64),
    CredentialSources(i64),
    CredentialTest(i64),
    JobTemplates,
    JobTemplate(i64),
    TemplateCredentials(i64),
    TemplateRoles(i64),
    TemplateJobs(i64),
    Jobs,
    UnifiedJobs,
    Launch(i64),
    TemplateSchedules(i64),
    ProjectPlaybooks(i64),
    ProjectUpdate(i64),
    UpdateOutput(i64),
    InventoryHosts(i64),
    Plain(Kind),
    PlainItem(Kind, i64),
    Job(i64),
    JobCredentials(i64),
}

impl Endpoint {
    pub(crate) fn find(segments: &[&str]) -> Option<Self> {
        let id = segments.get(1).map(|text| text.parse::<i64>().ok().filter(|id| *id >= 0)).unwrap_or_default();
        Some(match (segments, id) {
            (["organizations"], _) => Self::Organizations,
            (["organizations", _], Some(id)) => Self::Organization(id),
            (["organizations", _, "object_roles"], Some(id)) => Self::OrganizationRoles(id),
            (["organizations", _, "credentials"], Some(id)) => Self::OrganizationCredentials(id),
            (["organizations", _, "galaxy_credentials"], Some(id)) => Self::GalaxyCredentials(id),
            (["users", _, "roles"], Some(id)) => Self::UserRoles(id),
            (["credential_types"], _) => Self::CredentialTypes,
            (["credential_types", _], Some(id)) => Self::CredentialType(id),
            (["credential_types", _, "credentials"], Some(id)) => Self::TypeCredentials(id),
            (["credentials"], _) => Self::Credentials,
            (["credentials", _], Some(id)) => Self::Credential(id),
            (["credentials", _, "object_roles"], Some(id)) => Self::CredentialRoles(id),
            (["credentials", _, "activity_stream"], Some(id)) => Self::CredentialActivity(id),
            (["credentials", _, "input_sources"], Some(id)) => Self::CredentialSources(id),
            (["credentials", _, "test"], Some(id)) => Self::CredentialTest(id),
            (["job_templates"], _) => Self::JobTemplates,
            (["job_templates", _], Some(id)) => Self::JobTemplate(id),
            (["job_templates", _, "credentials"], Some(id)) => Self::TemplateCredentials(id),
            (["job_templates", _, "object_roles"], Some(id)) => Self::TemplateRoles(id),
            (["job_templates", _, "jobs"], Some(id)) => Self::TemplateJobs(id),
            (["job_templates", _, "launch"], Some(id)) => Self::Launch(id),
            (["job_templates", _, "schedules"], Some(id)) => Self::TemplateSchedules(id),
            (["projects", _, "playbooks"], Some(id)) => Self::ProjectPlaybooks(id),
            (["projects", _, "update"], Some(id)) => Self::ProjectUpdate(id),
            (["project_updates", _, "stdout"], Some(id)) => Self::UpdateOutput(id),
            (["inventories", _, "hosts"], Some(id)) => Self::InventoryHosts(id),
            ([name], _) if Kind::of(name).is_some() => Self::Plain(Kind::of(name)?),
            ([name, _], Some(id)) if Kind::of(name).is_some() => Self::PlainItem(Kind::of(name)?, id),
            (["jobs"], _) => Self::Jobs,
            (["unified_jobs"], _) => Self::UnifiedJobs,
            (["jobs", _], Some(id)) => Self::Job(id),
            (["jobs", _, "credentials"], Some(id)) => Self::JobCredentials(id),
            _ => return None,
        })
    }

    pub(crate) fn methods(self) -> &'static [Method] {
        match self {
            Self::Organization(_)
            | Self::CredentialType(_)
            | Self::Credential(_)
            | Self::JobTemplate(_)
            | Self::PlainItem(..) => &[Method::GET, Method::PUT, Method::PATCH, Method::DELETE],
            Self::Organizations
            | Self::GalaxyCredentials(_)
            | Self::UserRoles(_)
            | Self::CredentialTypes
            | Self::Credentials
            | Self::CredentialTest(_)
            | Self::JobTemplates
            | Self::Launch(_)
            | Self::TemplateSchedules(_)
            | Self::ProjectUpdate(_)
            | Self::InventoryHosts(_)
            | Self::Plain(_)
            | Self::TemplateCredentials(_) => &[Method::GET, Method::POST],
            _ => &[Method::GET],
        }
    }

    pub(crate) fn respond(self, state: &mut State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
        let method = call.method();
        let (is_read, is_put, is_delete) = (method == Method::GET, method == Method::PUT, method == Method::DELETE);
        match self {
            Self::Organizations if is_read => organizations::list(state, call, caller),
            Self::Organizations => organizations::create(state, call, caller),
            Self::Organization(id) if is_read => organizations::read(state, call, caller, id),
            Self::Organization(id) if is_delete => organizations::delete(state, caller, id),
            Self::Organization(id) => organizations::change(state, call, caller, id, is_put),
            Self::OrganizationRoles(id) => organizations::roles(state, call, caller, id),
            Self::OrganizationCredentials(id) => organizations::credentials(state, call, caller, id),
            Self::GalaxyCredentials(id) if is_read => organizations::galaxy_credentials(state, call, caller, id),
            Self::GalaxyCredentials(id) => organizations::associate(state, call, caller, id),
            Self::UserRoles(id) if is_read => roles::of_user(state, call, caller, id),
            Self::UserRoles(id) => roles::grant(state, call, caller, id),
            Self::CredentialTypes if is_read => credential_types::list(state, call),
            Self::CredentialTypes => credential_types::create(state, call, caller),
            Self::CredentialType(id) if is_read => credential_types::read(state, call, id),
            Self::CredentialType(id) if is_delete => credential_types::delete(state, caller, id),
            Self::CredentialType(id) => credential_types::change(state, call, caller, id, is_put),
            Self::TypeCredentials(id) => credential_types::credentials(state, call, caller, id),
            Self::Credentials if is_read => credentials::list(state, call, caller),
            Self::Credentials => credentials::create(state, call, caller),
            Self::Credential(id) if is_read => credentials::read(state, call, caller, id),
            Self::Credential(id) if is_delete => credentials::delete(state, call, caller, id),
            Self::Credential(id) => credentials::change(state, call, caller, id, is_put),
            Self::CredentialRoles(id) => credentials::roles(state, call, caller, id),
            Self::CredentialActivity(id) => credentials::activity(state, call, caller, id),
            Self::CredentialSources(id) => credentials::sources(state, call, caller, id),
            Self::CredentialTest(id) => credentials::test(state, caller, id),
            Self::JobTemplates if is_read => jobs::templates(state, call, caller),
            Self::JobTemplates => templates::create(state, call, caller),
            Self::JobTemplate(id) if is_read => jobs::template(state, call, caller, id),
            Self::JobTemplate(id) if is_delete => templates::delete(state, caller, id),
            Self::JobTemplate(id) => templates::change(state, call, caller, id),
            Self::Launch(id) if is_read => jobs::template(state, call, caller, id),
            Self::Launch(id) => templates::launch(state, call, caller, id),
            Self::TemplateSchedules(id) => {
                jobs::template(state, call, caller, id)?;
                Self::child(state, call, caller, Kind::Schedule, ("unified_job_template", id))
            }
            Self::InventoryHosts(id) => {
                plain::read(state, call, caller, Kind::Inventory, id)?;
                Self::child(state, call, caller, Kind::Host, ("inventory", id))
            }
            Self::ProjectPlaybooks(id) => projects::playbooks(state, caller, id),
            Self::ProjectUpdate(id) if is_read => plain::read(state, call, caller, Kind::Project, id),
            Self::ProjectUpdate(id) => projects::update(state, call, caller, id),
            Self::UpdateOutput(id) => projects::output(state, caller, id),
            Self::Plain(kind) if is_read => plain::list(state, call, caller, kind, None),
            Self::Plain(kind) => plain::create(state, call, caller, kind, None),
            Self::PlainItem(Kind::Project, id) if is_read => projects::read(state, call, caller, id),
            Self::PlainItem(kind, id) if is_read => plain::read(state, call, caller, kind, id),
            Self::PlainItem(kind, id) if is_delete => plain::delete(state, caller, kind, id),
            Self::PlainItem(kind, id) => plain::change(state, call, caller, kind, id),
            Self::TemplateCredentials(id) if is_read => jobs::template_credentials(state, call, caller, id),
            Self::TemplateCredentials(id) => jobs::associate(state, call, caller, id),
            Self::TemplateRoles(id) => jobs::template_roles(state, call, caller, id),
            Self::TemplateJobs(id) => jobs::of_template(state, call, caller, id),
            Self::Jobs | Self::UnifiedJobs => jobs::list(state, call, caller),
            Self::Job(id) => jobs::read(state, call, caller, id),
            Self::JobCredentials(id) => jobs::credentials(state, call, caller, id),
        }
    }

    /// A list below its parent, or a new one in it.
    fn child(
        state: &mut State,
        call: &Call<'_>,
        caller: &Caller,
        kind: Kind,
        parent: (&str, i64),
    ) -> Result<Answer, Answer> {
        if call.method() == Method::GET {
            return plain::list(state, call, caller, kind, Some(parent));
        }
        plain::create(state, call, caller, kind, Some(parent))
    }
}
