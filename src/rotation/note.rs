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
    /// Whose token it is, in the server's words, such as a robot's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// How the server names the token, where that is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was issued, by this host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<DateTime<Utc>>,
    /// When it ends, by this host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds that the server's clock is ahead of this host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset: Option<i64>,
    /// A request that cannot be repeated was sent at this time, and its answer has not been seen. The fingerprint is that of the token which was valid
    /// before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way_since: Option<DateTime<Utc>>,
    /// Tokens that nobody needs any more and that the server still accepts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<Retiring>,
}

/// A token that is still to be retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    /// How the server names it.
    pub id: String,
    /// Not before this time: until then those who have not read its successor may use it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<DateTime<Utc>>,
}

impl Note {
    /// The note, where it is about this token.
    pub fn about(self, fingerprint: &str) -> Option<Self> {
        Some(self).filter(|note| note.is_about(fingerprint))
    }

    /// When this token was issued, as far as a run left word: it was handed over then, or it came out of a request that was sent then and whose
    /// answer was not seen.
    pub fn issued_at(&self, fingerprint: &str) -> Option<DateTime<Utc>> {
        if self.is_about(fingerprint) { self.rotated_at } else { self.under_way_since }
    }

    fn is_about(&self, fingerprint: &str) -> bool {
        self.fingerprint.as_deref() == Some(fingerprint)
    }
}
