//! The note beside a place: what is known of the token there. Never a secret.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a run leaves for the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// Fingerprint of the token that this is about. A note about another token than the one in the place counts for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Server that issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// When it was issued, by this host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<DateTime<Utc>>,
    /// When it ends, by this host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds that the server's clock is ahead of this host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset: Option<i64>,
    /// A request that cannot be repeated was sent at this time, and its answer has not been seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way_since: Option<DateTime<Utc>>,
}

impl Note {
    /// The note, where it is about this token.
    pub fn about(self, fingerprint: &str) -> Option<Self> {
        Some(self).filter(|note| note.fingerprint.as_deref() == Some(fingerprint))
    }
}
