//! What each of the controller's lists can be filtered and ordered by.

use super::kinds::Kind::Inventory;
use super::objects::{Activity, Credential, CredentialType, InputSource, Job, JobTemplate, Role};
use super::plain::{self, Plain};
use crate::platform::State;
use crate::platform::filters::{Cell, Column, Kind, Listed, contains};

impl Listed for CredentialType {
    const CLASS: &'static str = "CredentialType";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "name", kind: Kind::Text, cell: |_, row| Cell::text(&row.name) },
        Column { name: "description", kind: Kind::Text, cell: |_, row| Cell::text(&row.description) },
        Column { name: "kind", kind: Kind::Text, cell: |_, row| Cell::text(&row.kind) },
        Column { name: "namespace", kind: Kind::Text, cell: |_, row| row.namespace.map_or(Cell::Null, Cell::text) },
        Column { name: "managed", kind: Kind::Flag, cell: |_, row| Cell::Flag(row.namespace.is_some()) },
        Column { name: "created", kind: Kind::Time, cell: |_, row| Cell::Time(row.created) },
        Column { name: "modified", kind: Kind::Time, cell: |_, row| Cell::Time(row.modified) },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(&row.name, words) || contains(&row.description, words)
    }
}

impl Listed for Credential {
    const CLASS: &'static str = "Credential";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "name", kind: Kind::Text, cell: |_, row| Cell::text(&row.name) },
        Column { name: "description", kind: Kind::Text, cell: |_, row| Cell::text(&row.description) },
        Column {
            name: "organization",
            kind: Kind::Relation("Organization"),
            cell: |_, row| Cell::number(row.organization),
        },
        Column {
            name: "organization__name",
            kind: Kind::Text,
            cell: |state, row| organization_name(state, row.organization),
        },
        Column {
            name: "credential_type",
            kind: Kind::Relation("CredentialType"),
            cell: |_, row| Cell::Number(row.credential_type),
        },
        Column {
            name: "credential_type__name",
            kind: Kind::Text,
            cell: |state, row| of_type(state, row, |kind| Cell::text(&kind.name)),
        },
        Column {
            name: "credential_type__kind",
            kind: Kind::Text,
            cell: |state, row| of_type(state, row, |kind| Cell::text(&kind.kind)),
        },
        Column {
            name: "credential_type__namespace",
            kind: Kind::Text,
            cell: |state, row| of_type(state, row, |kind| kind.namespace.map_or(Cell::Null, Cell::text)),
        },
        Column { name: "created_by", kind: Kind::Relation("User"), cell: |_, row| Cell::Number(row.made_by) },
        Column { name: "modified_by", kind: Kind::Relation("User"), cell: |_, row| Cell::Number(row.modified_by) },
        Column { name: "created", kind: Kind::Time, cell: |_, row| Cell::Time(row.created) },
        Column { name: "modified", kind: Kind::Time, cell: |_, row| Cell::Time(row.modified) },
        Column { name: "inputs", kind: Kind::Secret, cell: |_, _| Cell::Null },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(&row.name, words) || contains(&row.description, words)
    }
}

impl Listed for InputSource {
    const CLASS: &'static str = "CredentialInputSource";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "input_field_name", kind: Kind::Text, cell: |_, row| Cell::text(&row.field) },
        Column {
            name: "source_credential",
            kind: Kind::Relation("Credential"),
            cell: |_, row| Cell::Number(row.source),
        },
        Column {
            name: "target_credential",
            kind: Kind::Relation("Credential"),
            cell: |_, row| Cell::Number(row.target),
        },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(&row.field, words)
    }
}

impl Listed for Activity {
    const CLASS: &'static str = "ActivityStream";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "timestamp", kind: Kind::Time, cell: |_, row| Cell::Time(row.at) },
        Column { name: "operation", kind: Kind::Text, cell: |_, row| Cell::text(row.operation) },
        Column { name: "actor", kind: Kind::Relation("User"), cell: |_, row| Cell::Number(row.actor) },
        Column { name: "changes", kind: Kind::Secret, cell: |_, _| Cell::Null },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(row.operation, words)
    }
}

impl Listed for Role {
    const CLASS: &'static str = "Role";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "role_field", kind: Kind::Text, cell: |_, row| Cell::text(row.kind.names().0) },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(row.kind.names().1, words)
    }
}

impl Listed for JobTemplate {
    const CLASS: &'static str = "JobTemplate";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "name", kind: Kind::Text, cell: |_, row| Cell::text(row.name()) },
        Column { name: "description", kind: Kind::Text, cell: |_, row| Cell::text(row.description()) },
        Column {
            name: "organization",
            kind: Kind::Relation("Organization"),
            cell: |_, row| Cell::number(row.organization),
        },
        Column {
            name: "organization__name",
            kind: Kind::Text,
            cell: |state, row| organization_name(state, row.organization),
        },
        Column { name: "credentials", kind: Kind::Relation("Credential"), cell: |_, row| Cell::keys(&row.credentials) },
        Column { name: "created", kind: Kind::Time, cell: |_, row| Cell::Time(row.created) },
        Column { name: "modified", kind: Kind::Time, cell: |_, row| Cell::Time(row.modified) },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(row.name(), words) || contains(row.description(), words)
    }
}

impl Listed for Job {
    const CLASS: &'static str = "Job";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "name", kind: Kind::Text, cell: |_, row| Cell::text(&row.name) },
        Column { name: "status", kind: Kind::Text, cell: |_, row| Cell::text(row.status.name()) },
        Column { name: "job_template", kind: Kind::Relation("JobTemplate"), cell: |_, row| Cell::number(row.template) },
        Column {
            name: "job_template__credentials",
            kind: Kind::Relation("Credential"),
            cell: |state, row| {
                let template = row.template.and_then(|id| state.objects.template(id));
                template.map_or(Cell::Null, |template| Cell::keys(&template.credentials))
            },
        },
        Column {
            name: "unified_job_template",
            kind: Kind::Relation("UnifiedJobTemplate"),
            cell: |_, row| Cell::number(row.template),
        },
        Column {
            name: "organization",
            kind: Kind::Relation("Organization"),
            cell: |_, row| Cell::number(row.organization),
        },
        Column { name: "credentials", kind: Kind::Relation("Credential"), cell: |_, row| Cell::keys(&row.credentials) },
        Column { name: "created", kind: Kind::Time, cell: |_, row| Cell::Time(row.created) },
        Column { name: "started", kind: Kind::Time, cell: |_, row| row.started.map_or(Cell::Null, Cell::Time) },
        Column { name: "finished", kind: Kind::Time, cell: |_, row| row.finished.map_or(Cell::Null, Cell::Time) },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(&row.name, words)
    }
}

impl Listed for Plain {
    const CLASS: &'static str = "Object";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "name", kind: Kind::Text, cell: |_, row| Cell::text(row.text("name")) },
        Column { name: "description", kind: Kind::Text, cell: |_, row| Cell::text(row.text("description")) },
        Column { name: "image", kind: Kind::Text, cell: |_, row| Cell::text(row.text("image")) },
        Column { name: "scm_url", kind: Kind::Text, cell: |_, row| Cell::text(row.text("scm_url")) },
        Column {
            name: "organization",
            kind: Kind::Relation("Organization"),
            cell: |_, row| Cell::number(row.key("organization")),
        },
        Column {
            name: "organization__name",
            kind: Kind::Text,
            cell: |state, row| organization_name(state, row.key("organization")),
        },
        Column {
            name: "inventory",
            kind: Kind::Relation("Inventory"),
            cell: |_, row| Cell::number(row.key("inventory")),
        },
        Column {
            name: "inventory__name",
            kind: Kind::Text,
            cell: |state, row| {
                let inventory = row.key("inventory").and_then(|id| plain::found(state, Inventory, id).ok());
                inventory.map_or(Cell::Null, |inventory| Cell::text(inventory.text("name")))
            },
        },
        Column {
            name: "unified_job_template",
            kind: Kind::Relation("UnifiedJobTemplate"),
            cell: |_, row| Cell::number(row.key("unified_job_template")),
        },
        Column { name: "created", kind: Kind::Time, cell: |_, row| Cell::Time(row.created) },
        Column { name: "modified", kind: Kind::Time, cell: |_, row| Cell::Time(row.modified) },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(row.text("name"), words) || contains(row.text("description"), words)
    }
}

fn organization_name(state: &State, id: Option<i64>) -> Cell {
    let organization = id.and_then(|id| state.organization(id));
    organization.map_or(Cell::Null, |organization| Cell::text(&organization.name))
}

fn of_type(state: &State, row: &Credential, cell: impl Fn(&CredentialType) -> Cell) -> Cell {
    state.objects.credential_type(row.credential_type).map_or(Cell::Null, cell)
}
