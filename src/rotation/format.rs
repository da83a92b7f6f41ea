//! What a token looks like in the file of those who use it: one small piece for each way, with the same two members, write and read.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A way of writing a token into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The token and nothing else.
    Raw,
    /// An object with the token and what is known of it.
    Json,
    /// `NAME='value'` lines.
    Env,
}

/// A token with what its users want to know of it.
pub struct HandedOver<'a> {
    /// The token.
    pub token: &'a Secret,
    /// What it is called where names are needed, such as `access_token`.
    pub name: &'a str,
    /// Its type, such as `Bearer`.
    pub token_type: &'a str,
    /// When it ends, by this host's clock.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Format {
    /// The file's content for a token.
    pub fn write(self, what: &HandedOver<'_>) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Raw => what.token.reveal().as_bytes().to_vec(),
            Self::Json => json(what),
            Self::Env => env(what).into_bytes(),
        })
    }

    /// The token in a file, or nothing where the file does not look as this format does.
    pub fn read(self, content: &[u8]) -> Option<Secret> {
        let text = std::str::from_utf8(content).ok()?;
        let token = match self {
            Self::Raw => Some(Secret::new(text.trim())),
            Self::Json => token_in_json(text),
            Self::Env => token_in_env(text),
        };
        token.filter(|token| !token.is_empty())
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    token: std::collections::BTreeMap<&'a str, &'a str>,
    token_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

fn json(what: &HandedOver<'_>) -> Vec<u8> {
    let document = Document {
        token: [(what.name, what.token.reveal())].into(),
        token_type: what.token_type,
        expires_at: what.expires_at.map(timestamp),
    };
    let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    text.push(b'\n');
    text
}

fn token_in_json(text: &str) -> Option<Secret> {
    let document: serde_json::Map<String, Value> = serde_json::from_str(text).ok()?;
    let (_, token) = document.iter().find(|(name, _)| name.ends_with("token"))?;
    token.as_str().map(Secret::new)
}

fn env(what: &HandedOver<'_>) -> String {
    let name = what.name.to_ascii_uppercase();
    let mut text = format!("{name}={}\n{name}_TYPE={}\n", quoted(what.token.reveal()), quoted(what.token_type));
    if let Some(end) = what.expires_at {
        text.push_str(&format!("{name}_EXPIRES_AT={}\n", quoted(&timestamp(end))));
    }
    text
}

fn token_in_env(text: &str) -> Option<Secret> {
    let (name, value) = text.lines().next()?.split_once('=')?;
    name.ends_with("TOKEN").then(|| Secret::new(value.trim_matches('\'').replace(r"'\''", "'")))
}

/// Quoted so that a shell and systemd read the same.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// A time as results and files write it.
fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_back_what_it_wrote() {
        for format in [Format::Raw, Format::Json, Format::Env] {
            for token in ["eyJ.abc.def", "with 'quotes' and \"more\"", "x"] {
                let token = Secret::new(token);
                let content = format.write(&handed_over(&token));
                assert_eq!(format.read(&content), Some(token), "{format:?}");
            }
        }
    }

    #[test]
    fn the_formats_look_as_documented() {
        let token = Secret::new("t0ken");
        let shown = |format: Format| String::from_utf8(format.write(&handed_over(&token)).to_vec()).unwrap();
        assert_eq!(shown(Format::Raw), "t0ken");
        assert_eq!(
            shown(Format::Json),
            "{\n  \"access_token\": \"t0ken\",\n  \"token_type\": \"Bearer\",\n  \"expires_at\": \"2023-11-14T22:13:20Z\"\n}\n"
        );
        assert_eq!(
            shown(Format::Env),
            "ACCESS_TOKEN='t0ken'\nACCESS_TOKEN_TYPE='Bearer'\nACCESS_TOKEN_EXPIRES_AT='2023-11-14T22:13:20Z'\n"
        );
    }

    #[test]
    fn other_files_hold_no_token() {
        for (format, content) in [
            (Format::Raw, " \n"),
            (Format::Json, "{}"),
            (Format::Json, "t0ken"),
            (Format::Env, "t0ken"),
            (Format::Env, "A=b"),
        ] {
            assert_eq!(format.read(content.as_bytes()), None, "{format:?} {content}");
        }
    }

    fn handed_over(token: &Secret) -> HandedOver<'_> {
        let expires_at = DateTime::from_timestamp(1_700_000_000, 0);
        HandedOver { token, name: "access_token", token_type: "Bearer", expires_at }
    }
}
