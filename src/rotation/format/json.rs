//! An object with the token and what is known of it.

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Entry, FormatError, HandedOver, Way};
use crate::secret::Secret;
use crate::timestamp::timestamp;

pub(super) struct Json;

impl Way for Json {
    fn write(&self, what: &HandedOver<'_>, _existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let expires_at = what.expires_at.map(timestamp);
        let members = [
            (what.name, Some(what.token.reveal())),
            ("username", what.login.map(|login| login.username)),
            ("registry", what.login.map(|login| login.registry)),
            ("token_type", what.token_type),
            ("expires_at", expires_at.as_deref()),
        ];
        let document = Document(members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect());
        let mut text = Zeroizing::new(Vec::with_capacity(document.longest()));
        // Strings are always written to memory.
        let _ = serde_json::to_writer_pretty(&mut *text, &document);
        text.push(b'\n');
        Ok(text)
    }

    fn read(&self, content: &[u8], _entry: &Entry<'_>) -> Option<Secret> {
        let document: IndexMap<String, &RawValue> = serde_json::from_slice(content).ok()?;
        let (_, token) = document.iter().find(|(name, _)| name.ends_with("token"))?;
        serde_json::from_str(token.get()).ok()
    }
}

struct Document<'a>(Vec<(&'a str, &'a str)>);

impl Document<'_> {
    /// Bytes that it cannot exceed, so that its memory is never moved: every character escaped, and what stands around each member.
    fn longest(&self) -> usize {
        self.0.iter().map(|(name, value)| 6 * (name.len() + value.len()) + 16).sum::<usize>() + 16
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
