//! The token and nothing else, without a line feed.

use zeroize::Zeroizing;

use super::{Entry, FormatError, HandedOver, Way};
use crate::secret::Secret;

pub(super) struct Raw;

impl Way for Raw {
    fn write(&self, what: &HandedOver<'_>, _existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        Ok(Zeroizing::new(what.token.reveal().as_bytes().to_vec()))
    }

    fn read(&self, content: &[u8], _entry: &Entry<'_>) -> Option<Secret> {
        Some(Secret::new(std::str::from_utf8(content).ok()?.trim()))
    }
}
