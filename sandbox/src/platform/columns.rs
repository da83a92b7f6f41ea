//! What each list can be filtered and ordered by.

use super::filters::{Cell, Column, Kind, Listed, contains};
use super::state::{Application, Organization, Token, User};

impl Listed for Token {
    const CLASS: &'static str = super::tokens::CLASS;
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "description", kind: Kind::Text, cell: |_, row| Cell::text(&row.description) },
        Column { name: "scope", kind: Kind::Text, cell: |_, row| Cell::text(&row.scope) },
        Column { name: "created", kind: Kind::Time, cell: |_, row| Cell::Time(row.created) },
        Column { name: "modified", kind: Kind::Time, cell: |_, row| Cell::Time(row.modified) },
        Column { name: "expires", kind: Kind::Time, cell: |_, row| Cell::Time(row.expires) },
        Column { name: "last_used", kind: Kind::Time, cell: |_, row| row.last_used.map_or(Cell::Null, Cell::Time) },
        Column { name: "user", kind: Kind::Relation("User"), cell: |_, row| Cell::Number(row.user) },
        Column { name: "user__username", kind: Kind::Text, cell: |state, row| Cell::text(state.username(row.user)) },
        Column { name: "created_by", kind: Kind::Relation("User"), cell: |_, row| Cell::Number(row.made_by) },
        Column { name: "modified_by", kind: Kind::Relation("User"), cell: |_, row| Cell::Number(row.modified_by) },
        Column {
            name: "application",
            kind: Kind::Relation("OAuth2Application"),
            cell: |_, row| Cell::number(row.application),
        },
        Column {
            name: "application__name",
            kind: Kind::Text,
            cell: |state, row| {
                let application = row.application.and_then(|id| state.application(id));
                application.map_or(Cell::Null, |application| Cell::text(&application.name))
            },
        },
        Column { name: "token", kind: Kind::Secret, cell: |_, _| Cell::Null },
        Column { name: "refresh_token", kind: Kind::Secret, cell: |_, _| Cell::Null },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(&row.description, words)
    }
}

impl Listed for Application {
    const CLASS: &'static str = "OAuth2Application";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "name", kind: Kind::Text, cell: |_, row| Cell::text(&row.name) },
        Column { name: "description", kind: Kind::Text, cell: |_, row| Cell::text(&row.description) },
        Column {
            name: "organization",
            kind: Kind::Relation("Organization"),
            cell: |_, row| Cell::Number(row.organization),
        },
        Column {
            name: "organization__name",
            kind: Kind::Text,
            cell: |state, row| {
                let organization = state.organization(row.organization);
                organization.map_or(Cell::Null, |organization| Cell::text(&organization.name))
            },
        },
        Column { name: "client_id", kind: Kind::Text, cell: |_, row| Cell::text(&row.client_id) },
        Column {
            name: "client_type",
            kind: Kind::Text,
            cell: |_, row| Cell::text(if row.is_public { "public" } else { "confidential" }),
        },
        Column { name: "authorization_grant_type", kind: Kind::Text, cell: |_, row| Cell::text(&row.grant) },
        Column { name: "user", kind: Kind::Relation("User"), cell: |_, row| Cell::number(row.user) },
        Column { name: "created", kind: Kind::Time, cell: |_, row| Cell::Time(row.created) },
        Column { name: "modified", kind: Kind::Time, cell: |_, row| Cell::Time(row.modified) },
        Column { name: "client_secret", kind: Kind::Secret, cell: |_, _| Cell::Null },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(&row.name, words) || contains(&row.description, words)
    }
}

impl Listed for User {
    const CLASS: &'static str = "User";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "username", kind: Kind::Text, cell: |_, row| Cell::text(&row.username) },
        Column { name: "is_superuser", kind: Kind::Flag, cell: |_, row| Cell::Flag(row.is_superuser) },
        Column { name: "password", kind: Kind::Secret, cell: |_, _| Cell::Null },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(&row.username, words)
    }
}

impl Listed for Organization {
    const CLASS: &'static str = "Organization";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "id", kind: Kind::Number, cell: |_, row| Cell::Number(row.id) },
        Column { name: "name", kind: Kind::Text, cell: |_, row| Cell::text(&row.name) },
        Column { name: "created", kind: Kind::Time, cell: |_, row| Cell::Time(row.created) },
    ];

    fn is_found(row: &Self, words: &str) -> bool {
        contains(&row.name, words)
    }
}
