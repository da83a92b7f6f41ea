//! The rows of the controller's objects as JSON.

use serde_json::{Map, Value, json};

use super::access;
use super::objects::{Activity, Credential, CredentialType, InputSource, Job, JobTemplate, Object, Role};
use crate::platform::access::Caller;
use crate::platform::api::Call;
use crate::platform::rows::user_summary;
use crate::platform::state::Organization;
use crate::platform::{State, time};

pub(crate) fn credential_type(call: &Call<'_>, kind: &CredentialType) -> Value {
    let link = |rest: &str| call.link(&format!("credential_types/{}/{rest}", kind.id));
    json!({
        "id": kind.id, "type": "credential_type", "url": link(""),
        "related": { "credentials": link("credentials/"), "activity_stream": link("activity_stream/") },
        "summary_fields": { "user_capabilities": { "edit": kind.namespace.is_none(), "delete": kind.namespace.is_none() } },
        "created": time::text(kind.created), "modified": time::text(kind.modified), "name": kind.name,
        "description": kind.description, "kind": kind.kind, "namespace": kind.namespace,
        "managed": kind.namespace.is_some(), "inputs": kind.inputs, "injectors": kind.injectors,
    })
}

pub(crate) fn credential(state: &State, call: &Call<'_>, caller: &Caller, credential: &Credential) -> Value {
    let id = credential.id;
    let link = |rest: &str| call.link(&format!("credentials/{id}/{rest}"));
    let kind = state.objects.credential_type(credential.credential_type);
    let organization = credential.organization.and_then(|id| state.organization(id));
    let mut related = json!({
        "created_by": call.link(&format!("users/{}/", credential.made_by)),
        "modified_by": call.link(&format!("users/{}/", credential.modified_by)),
        "activity_stream": link("activity_stream/"), "access_list": link("access_list/"),
        "object_roles": link("object_roles/"), "owner_users": link("owner_users/"), "owner_teams": link("owner_teams/"),
        "copy": link("copy/"), "input_sources": link("input_sources/"),
        "credential_type": call.link(&format!("credential_types/{}/", credential.credential_type)),
    });
    let edits = access::administers(state, caller, Object::Credential(id));
    let mut summary = json!({
        "credential_type": kind.map(|kind| json!({ "id": kind.id, "name": kind.name, "description": kind.description })),
        "created_by": user_summary(state, credential.made_by),
        "modified_by": user_summary(state, credential.modified_by),
        "object_roles": object_roles(state, Object::Credential(id)),
        "user_capabilities": {
            "edit": edits, "delete": edits, "copy": edits, "use": access::uses(state, caller, id),
        },
        "owners": owners(state, call, credential),
    });
    if let Some(organization) = organization {
        related["organization"] = json!(call.link(&format!("organizations/{}/", organization.id)));
        summary["organization"] = organization_summary(organization);
    }
    json!({
        "id": id, "type": "credential", "url": link(""), "related": related, "summary_fields": summary,
        "created": time::text(credential.created), "modified": time::text(credential.modified),
        "name": credential.name, "description": credential.description, "organization": credential.organization,
        "credential_type": credential.credential_type, "managed": false, "inputs": credential.inputs.shown(),
        "kind": kind.and_then(|kind| kind.namespace), "cloud": kind.is_some_and(|kind| kind.kind == "cloud"),
        "kubernetes": kind.is_some_and(|kind| kind.kind == "kubernetes"),
    })
}

fn owners(state: &State, call: &Call<'_>, credential: &Credential) -> Value {
    let user = credential.owner.map(|id| {
        let (name, url) = (state.username(id), call.link(&format!("users/{id}/")));
        json!({ "id": id, "type": "user", "name": name, "description": " ", "url": url })
    });
    let organization = credential.organization.and_then(|id| state.organization(id)).map(|organization| {
        let url = call.link(&format!("organizations/{}/", organization.id));
        json!({ "id": organization.id, "type": "organization", "name": organization.name,
            "description": organization.description, "url": url })
    });
    user.into_iter().chain(organization).collect()
}

pub(crate) fn object_roles(state: &State, object: Object) -> Value {
    let roles = state.objects.roles.iter().filter(|role| role.object == object);
    let roles: Map<_, _> = roles
        .map(|role| {
            let (key, name) = role.kind.names();
            (key.to_owned(), json!({ "description": description(role), "name": name, "id": role.id }))
        })
        .collect();
    Value::Object(roles)
}

pub(crate) fn role(call: &Call<'_>, role: &Role) -> Value {
    let (kind, id) = match role.object {
        Object::Organization(id) => ("organization", id),
        Object::Credential(id) => ("credential", id),
        Object::JobTemplate(id) => ("job_template", id),
    };
    json!({
        "id": role.id, "type": "role", "url": call.link(&format!("roles/{}/", role.id)),
        "related": { kind: call.link(&format!("{kind}s/{id}/")) },
        "summary_fields": { "resource_type": kind, "resource_id": id },
        "name": role.kind.names().1, "description": description(role),
    })
}

fn description(role: &Role) -> String {
    let what = match role.object {
        Object::Organization(_) => "organization",
        Object::Credential(_) => "credential",
        Object::JobTemplate(_) => "job template",
    };
    match role.kind.names().1 {
        "Admin" => format!("Can manage all aspects of the {what}"),
        "Member" => format!("User is a member of the {what}"),
        "Read" => format!("May view settings for the {what}"),
        "Execute" => format!("May run the {what}"),
        _ => format!("Can use the {what} in a job template"),
    }
}

pub(crate) fn input_source(state: &State, call: &Call<'_>, source: &InputSource) -> Value {
    let summary = |id: i64| {
        let credential = state.objects.credential(id);
        credential.map(|known| json!({ "id": id, "name": known.name, "description": known.description }))
    };
    let link = |id: i64| call.link(&format!("credentials/{id}/"));
    json!({
        "id": source.id, "type": "credential_input_source",
        "url": call.link(&format!("credential_input_sources/{}/", source.id)),
        "related": { "source_credential": link(source.source), "target_credential": link(source.target) },
        "summary_fields": { "source_credential": summary(source.source), "target_credential": summary(source.target) },
        "created": time::text(source.created), "modified": time::text(source.created), "description": "",
        "input_field_name": source.field, "metadata": source.metadata, "target_credential": source.target,
        "source_credential": source.source,
    })
}

pub(crate) fn activity(state: &State, call: &Call<'_>, entry: &Activity) -> Value {
    let credential = state.objects.credential(entry.credential);
    let credentials: Vec<_> = credential
        .map(|known| json!({ "id": known.id, "name": known.name, "description": known.description }))
        .into_iter()
        .collect();
    json!({
        "id": entry.id, "type": "activity_stream", "url": call.link(&format!("activity_stream/{}/", entry.id)),
        "related": { "actor": call.link(&format!("users/{}/", entry.actor)) },
        "summary_fields": { "actor": user_summary(state, entry.actor), "credential": credentials },
        "timestamp": time::text(entry.at), "operation": entry.operation, "changes": entry.changes,
        "object1": "credential", "object2": "", "object_association": "", "action_node": "awx-1", "object_type": "",
    })
}

pub(crate) fn organization(state: &State, call: &Call<'_>, caller: &Caller, row: &Organization) -> Value {
    let link = |rest: &str| call.link(&format!("organizations/{}/{rest}", row.id));
    let edits = access::administers(state, caller, Object::Organization(row.id));
    json!({
        "id": row.id, "type": "organization", "url": link(""),
        "related": {
            "credentials": link("credentials/"), "galaxy_credentials": link("galaxy_credentials/"),
            "object_roles": link("object_roles/"),
        },
        "summary_fields": {
            "object_roles": object_roles(state, Object::Organization(row.id)),
            "user_capabilities": { "edit": edits, "delete": edits },
        },
        "created": time::text(row.created), "modified": time::text(row.modified), "name": row.name,
        "description": row.description, "max_hosts": 0, "custom_virtualenv": null, "default_environment": null,
    })
}

pub(crate) fn job_template(state: &State, call: &Call<'_>, row: &JobTemplate) -> Value {
    let link = |rest: &str| call.link(&format!("job_templates/{}/{rest}", row.id));
    let organization = row.organization.and_then(|id| state.organization(id));
    let last = state.objects.jobs.iter().rfind(|job| job.template == Some(row.id));
    let mut shown = json!({
        "id": row.id, "type": "job_template", "url": link(""),
        "related": {
            "credentials": link("credentials/"), "jobs": link("jobs/"), "schedules": link("schedules/"),
            "launch": link("launch/"), "object_roles": link("object_roles/"),
        },
        "summary_fields": {
            "organization": organization.map(organization_summary),
            "last_job": last.map(|job| json!({ "id": job.id, "name": job.name, "status": job.status.name() })),
            "object_roles": object_roles(state, Object::JobTemplate(row.id)),
            "credentials": credential_summaries(state, &row.credentials),
        },
        "created": time::text(row.created), "modified": time::text(row.modified),
    });
    for (name, value) in &row.fields {
        shown[name] = value.clone();
    }
    shown["organization"] = json!(row.organization);
    shown["status"] = json!(last.map_or("never updated", |job| job.status.name()));
    shown
}

pub(crate) fn job(state: &State, call: &Call<'_>, row: &Job) -> Value {
    let link = |rest: &str| call.link(&format!("jobs/{}/{rest}", row.id));
    let template = row.template.and_then(|id| state.objects.template(id));
    let mut related = json!({ "credentials": link("credentials/") });
    let mut summary = json!({ "credentials": credential_summaries(state, &row.credentials) });
    if let Some(template) = template {
        let shown = json!({ "id": template.id, "name": template.name(), "description": template.description() });
        related["job_template"] = json!(call.link(&format!("job_templates/{}/", template.id)));
        related["unified_job_template"] = related["job_template"].clone();
        summary["job_template"] = shown.clone();
        summary["unified_job_template"] = shown;
        summary["unified_job_template"]["unified_job_type"] = json!("job");
    }
    json!({
        "id": row.id, "type": "job", "url": link(""), "related": related, "summary_fields": summary,
        "created": time::text(row.created), "modified": time::text(row.finished.or(row.started).unwrap_or(row.created)),
        "name": row.name, "description": "", "unified_job_template": row.template, "launch_type": "manual",
        "status": row.status.name(), "failed": matches!(row.status.name(), "failed" | "error" | "canceled"),
        "started": row.started.map(time::text), "finished": row.finished.map(time::text), "job_type": "run",
        "job_template": row.template, "organization": row.organization,
    })
}

fn credential_summaries(state: &State, ids: &[i64]) -> Value {
    let credentials = ids.iter().filter_map(|id| state.objects.credential(*id));
    credentials
        .map(|known| {
            let kind = state.objects.credential_type(known.credential_type);
            json!({ "id": known.id, "name": known.name, "description": known.description,
                "kind": kind.and_then(|kind| kind.namespace), "cloud": kind.is_some_and(|kind| kind.kind == "cloud") })
        })
        .collect()
}

fn organization_summary(organization: &Organization) -> Value {
    json!({ "id": organization.id, "name": organization.name, "description": organization.description })
}
