//! What a task asks for.

use serde::Deserialize;

/// The option `state` of modules that issue and retire tokens.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// A token that works is in its place.
    Present,
    /// A new one is issued now.
    Rotated,
    /// There is none.
    Absent,
}

/// Why `max_age` alone is of no use.
pub(crate) const NO_AGE: &str =
    "max_age needs dest or dest_credential: how old the token is stands in the note there, as the server does not tell";
