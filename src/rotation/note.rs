//! The note beside a place: what is known of the token there. Never a secret.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Subject;

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
    /// Where that is not known: it cannot have been issued before this, as another token was the valid one then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_issued_before: Option<DateTime<Utc>>,
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
    /// More such requests, sent later, while what came of the first could still not be found out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub under_way_again: Vec<DateTime<Utc>>,
    /// What this note becomes when the token that was just issued is with its users. It names that token while only the run that asked for it has it:
    /// a run that is killed then leaves no token without a name, neither one that nobody has nor one that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Box<Note>>,
    /// Tokens that nobody needs any more and that the server still accepts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<Retiring>,
}

/// A token that is still to be retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    /// How the server names it.
    pub id: String,
    /// Its fingerprint, where it is known: should the users have it again, it is not retired.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<String>,
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

    /// When requests were sent of which it is not known what came of them, the first of them first.
    pub fn under_way(&self) -> impl Iterator<Item = DateTime<Utc>> {
        self.under_way_since.into_iter().chain(self.under_way_again.iter().copied())
    }

    /// The same note with these requests.
    pub(super) fn with_under_way(self, times: impl IntoIterator<Item = DateTime<Utc>>) -> Self {
        let mut times = times.into_iter();
        Self { under_way_since: times.next(), under_way_again: times.collect(), ..self }
    }

    /// Where a new token kills the old one, any other than the noted one was issued after it: by somebody else, on another host perhaps.
    pub(super) fn not_issued_before(&self, fingerprint: &str) -> Option<DateTime<Utc>> {
        if self.is_about(fingerprint) { self.not_issued_before } else { self.rotated_at.max(self.not_issued_before) }
    }

    /// How the server names this token, as far as this or the next note says, or the list of what is to be retired.
    pub fn id_of(&self, fingerprint: &str) -> Option<String> {
        if self.is_about(fingerprint) {
            return self.id.clone();
        }
        let retiring = self.retiring.iter().find(|old| old.fingerprint.as_deref() == Some(fingerprint));
        retiring.map(|old| old.id.clone()).or_else(|| self.next.as_ref()?.id_of(fingerprint))
    }

    /// What of it counts for this task. Names of tokens mean nothing on another server, and when something was done for another object tells nothing about
    /// this one.
    pub(super) fn for_subject(self, subject: &Subject) -> Option<Self> {
        let is_other = |noted: &Option<String>, ours: &str| noted.as_deref().is_some_and(|noted| noted != ours);
        if is_other(&self.server, &subject.server) {
            return None;
        }
        let is_ours = !is_other(&self.object, &subject.object);
        let rotated_at = self.rotated_at.filter(|_| is_ours);
        let under_way: Vec<_> = self.under_way().filter(|_| is_ours).collect();
        Some(Self { rotated_at, ..self.with_under_way(under_way) })
    }

    /// As it would be, had the run that wrote it not been killed (or kept from writing) between handing this token over and noting so.
    pub(super) fn caught_up_with(self, token: Option<&str>) -> Self {
        match (self.next, token) {
            (Some(next), Some(token)) if next.is_about(token) => *next,
            (next, _) => Self { next, ..self },
        }
    }

    fn is_about(&self, fingerprint: &str) -> bool {
        self.fingerprint.as_deref() == Some(fingerprint)
    }
}
