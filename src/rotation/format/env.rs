//! `NAME='value'` lines for a shell or a systemd `EnvironmentFile`.

use zeroize::Zeroizing;

use super::{Entry, FormatError, HandedOver, Way, bytes, joined};
use crate::secret::Secret;
use crate::timestamp::timestamp;

pub(super) struct Env;

impl Way for Env {
    fn write(&self, what: &HandedOver<'_>, _existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let name = what.name.to_ascii_uppercase();
        let expires_at = what.expires_at.map(timestamp);
        let variables = [
            ("", Some(what.token.reveal())),
            ("_USERNAME", what.login.map(|login| login.username)),
            ("_REGISTRY", what.login.map(|login| login.registry)),
            ("_TYPE", what.token_type),
            ("_EXPIRES_AT", expires_at.as_deref()),
        ];
        let lines: Vec<_> =
            variables.into_iter().filter_map(|(suffix, value)| Some(line(&name, suffix, value?))).collect();
        Ok(bytes(joined(&lines.iter().map(|line| line.as_str()).collect::<Vec<_>>())))
    }

    fn read(&self, content: &[u8], _entry: &Entry<'_>) -> Option<Secret> {
        let (name, value) = std::str::from_utf8(content).ok()?.lines().next()?.split_once('=')?;
        let bare = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
        let pieces: Vec<_> = bare.split(QUOTE).collect();
        name.ends_with("TOKEN").then(|| Secret::new(pieces.join("'")))
    }
}

/// Quoted so that a shell and systemd read the same.
fn line(name: &str, suffix: &str, value: &str) -> Zeroizing<String> {
    let value = Zeroizing::new(value.split('\'').collect::<Vec<_>>().join(QUOTE));
    joined(&[name, suffix, "='", &value, "'\n"])
}

/// A single quote within single quotes.
const QUOTE: &str = r"'\''";
