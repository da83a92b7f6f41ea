//! Rotation: where tokens are handed over to, and (to come) the engine that decides, issues, proves, hands over and retires.
//!
//! A **place** is where the users of a token read it. Today that is a file: [`FilePlace`]. It can be checked before anything is issued, is written in
//! one step, is read back, and has a [`Note`] beside it: dates and a fingerprint, never a secret.

mod file;
mod format;
mod note;
mod reason;

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

pub use file::{FilePlace, Lock, PlaceError, Reserved};
pub use format::{Format, FormatError, HandedOver, Login, file_stem};
pub use note::Note;
pub use reason::Reason;

use crate::secret::Secret;

/// The options of `modules/fragments/hand_over.yml`.
#[derive(Debug, Clone, Deserialize)]
pub struct HandOver {
    /// File that the token is handed over to.
    pub dest: Option<PathBuf>,
    /// What that file looks like.
    pub dest_format: Format,
    /// Permissions, as Ansible gives them: an octal number in quotes, or the number that YAML made of an unquoted one.
    pub mode: Value,
    /// User that the file belongs to.
    pub owner: Option<String>,
    /// Group that the file belongs to.
    pub group: Option<String>,
    /// Whether the result carries the token although `dest` is given.
    pub return_token: bool,
}

impl HandOver {
    /// The file that the token goes to, where the task names one.
    pub fn place(&self) -> Result<Option<FilePlace>, PlaceError> {
        let Some(dest) = &self.dest else { return Ok(None) };
        let place =
            FilePlace::new("dest", dest)?.mode(&self.mode)?.owner(self.owner.as_deref(), self.group.as_deref())?;
        Ok(Some(place))
    }

    /// Whether the result is to carry the token.
    pub fn returns_token(&self) -> bool {
        self.dest.is_none() || self.return_token
    }

    /// The token that stands in the place today.
    pub fn held(&self, place: &FilePlace) -> Result<Option<Secret>, PlaceError> {
        Ok(place.read()?.and_then(|content| self.dest_format.read(&content, None)))
    }
}
