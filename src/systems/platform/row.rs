//! What the platform shows of tokens, users and applications.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::secret::Secret;

/// What the server knows of a token. Never the secret, which is masked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenRow {
    /// Its id, at this API of this server.
    pub id: u64,
    /// Free text, which others may have too.
    #[serde(default)]
    pub description: String,
    /// Scopes, separated by spaces.
    #[serde(default)]
    pub scope: String,
    /// Key of its application; a personal token has none.
    pub application: Option<u64>,
    /// Key of its user.
    pub user: Option<u64>,
    /// When it was created, by the server's clock.
    pub created: DateTime<Utc>,
    /// When it ends, by the server's clock. Of the year 3026 on a controller.
    pub expires: DateTime<Utc>,
    /// When it was used last. The controller does not show it.
    pub last_used: Option<DateTime<Utc>>,
}

/// A token as it was created.
#[derive(Debug, Deserialize)]
pub struct Created {
    /// The secret, which is shown this once.
    pub token: Secret,
    /// The other one of an application's token, shown this once too.
    pub refresh_token: Option<Secret>,
    /// What the server keeps of it.
    #[serde(flatten)]
    pub row: TokenRow,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The key.
    pub id: u64,
    /// The name, as it is logged in with.
    pub username: String,
}

/// An application that tokens can be for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Application {
    /// The key.
    pub id: u64,
    /// The name, unique in its organization.
    pub name: String,
    /// Key of that organization.
    pub organization: Option<u64>,
}

/// Anything with a key and a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// The key.
    pub id: u64,
    /// The name.
    pub name: String,
}

impl TokenRow {
    /// Whether it has exactly these scopes, in any order.
    pub fn has_scope(&self, scope: &str) -> bool {
        let sorted = |scope: &str| {
            let mut words: Vec<String> = scope.split_whitespace().map(str::to_owned).collect();
            words.sort_unstable();
            words.dedup();
            words
        };
        sorted(&self.scope) == sorted(scope)
    }

    /// Whether it is this very row, not used since.
    pub(super) fn is_as_used_as(&self, other: &Self) -> bool {
        self.id == other.id && self.last_used == other.last_used
    }
}

#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) next: Option<String>,
    pub(super) results: Vec<T>,
}

/// A page with one row, or the row itself.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Me {
    Page { results: Vec<User> },
    User(User),
}

impl Me {
    pub(super) fn user(self) -> Option<User> {
        match self {
            Self::Page { results } => results.into_iter().next(),
            Self::User(user) => Some(user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_also_where_it_ends_in_a_thousand_years() {
        let created: Created = serde_json::from_str(
            r#"{"id":7,"type":"o_auth2_access_token","description":"ci","scope":"write read","application":null,"user":1,"token":"t","refresh_token":null,
                "created":"2026-03-01T09:54:21.123456Z","expires":"3025-07-02T09:54:21.123456Z"}"#,
        )
        .unwrap();
        assert!(created.row.has_scope("read  write") && !created.row.has_scope("read"));
        assert_eq!((created.row.id, created.row.last_used, created.refresh_token), (7, None, None));
    }

    #[test]
    fn the_caller_is_a_page_of_one_or_the_user_itself() {
        for (text, id) in [
            (r#"{"count":1,"results":[{"id":3,"username":"alice","email":""}]}"#, Some(3)),
            (r#"{"id":3,"username":"alice"}"#, Some(3)),
            (r#"{"count":0,"results":[]}"#, None),
        ] {
            let me: Me = serde_json::from_str(text).unwrap();
            assert_eq!(me.user().map(|user| user.id), id, "{text}");
        }
    }
}
