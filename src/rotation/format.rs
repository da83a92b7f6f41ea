//! What a token looks like in the file of those who use it: one small piece for each way, all with the same members.

mod ansible_cfg;
mod docker_config;
mod env;
mod galaxy_token;
mod json;
mod kubernetes_secret;
mod raw;
mod roxctl_config;
mod splice;
mod yaml;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

pub use kubernetes_secret::file_stem;

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
    /// The entry of a registry in the file of docker and podman. Everything else in that file stays as it is.
    DockerConfig,
    /// A Kubernetes secret to pull images with.
    KubernetesSecret,
    /// The token file of `ansible-galaxy`. Everything else in that file stays as it is.
    GalaxyToken,
    /// The section of a galaxy server in an `ansible.cfg`. Everything else in that file stays as it is.
    AnsibleCfg,
    /// The entry of a Central in the file of roxctl. Everything else in that file stays as it is.
    RoxctlConfig,
}

/// A token with what its users want to know of it.
pub struct HandedOver<'a> {
    /// The token.
    pub token: &'a Secret,
    /// What it is called where names are needed, such as `access_token`.
    pub name: &'a str,
    /// Its type, such as `Bearer`, where it has one.
    pub token_type: Option<&'a str>,
    /// When it ends, by this host's clock.
    pub expires_at: Option<DateTime<Utc>>,
    /// What it logs in to, where it is the password of a registry.
    pub login: Option<Login<'a>>,
    /// The galaxy server that it is for, where it is one's.
    pub galaxy_server: Option<GalaxyServer<'a>>,
    /// The Central that it is for, where it is one's: host and port.
    pub central: Option<&'a str>,
}

impl<'a> HandedOver<'a> {
    /// Which of a file's tokens it is.
    pub fn entry(&self) -> Entry<'a> {
        Entry { login: self.login, galaxy_server: self.galaxy_server, central: self.central }
    }
}

/// Which of the tokens in a file is meant, where a file may hold several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What the token logs in to.
    pub login: Option<Login<'a>>,
    /// The galaxy server that it is for.
    pub galaxy_server: Option<GalaxyServer<'a>>,
    /// The Central that it is for: host and port, as roxctl writes them.
    pub central: Option<&'a str>,
}

impl<'a> From<Option<&Login<'a>>> for Entry<'a> {
    fn from(login: Option<&Login<'a>>) -> Self {
        Self { login: login.copied(), ..Self::default() }
    }
}

/// How a token is used to log in to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// The user whose password the token is, such as `acme+ci`.
    pub username: &'a str,
    /// What it is looked up by: the registry's host name, alone or with the organization behind it (`quay.example.com/acme`).
    pub registry: &'a str,
}

impl<'a> Login<'a> {
    /// The registry's host name, with its port where it has one.
    pub fn host(&self) -> &'a str {
        self.registry.split('/').next().unwrap_or(self.registry)
    }
}

/// A server that `ansible-galaxy` takes collections from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GalaxyServer<'a> {
    /// What `server_list` and the section `[galaxy_server.NAME]` call it.
    pub name: &'a str,
    /// Its address, for a section that is made.
    pub url: &'a str,
}

/// Why a token cannot be written into a file. The sentence goes on from the name of the file.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum FormatError {
    /// The format is for passwords of registries.
    #[error("this format is for the password of a registry, which this token is not; use raw, json or env")]
    NoLogin,
    /// Some bytes of it are no UTF-8.
    #[error("it is not text in UTF-8, so nothing can be added to it; is this the right file?")]
    NotText,
    /// It cannot be parsed.
    #[error(
        "it is not JSON (line {line}, column {column}), so nothing can be added to it; repair it, or remove it to have a new one made"
    )]
    NotJson {
        /// Line of the first fault, from one.
        line: usize,
        /// Column of the first fault, from one.
        column: usize,
    },
    /// Something else stands where an object has to.
    #[error("{0} is not an object, so nothing can be added to it; is this the right file?")]
    NotAnObject(&'static str),
    /// A name in an object is half a character.
    #[error("{0} has a name that is no text (half of a surrogate pair), so nothing can be added to it; repair it")]
    NotAName(&'static str),
    /// Which of the two is used depends on who reads it.
    #[error("it has \"{0}\" twice, and programs differ in which one they take; remove the one that is wrong")]
    Twice(String),
    /// It would be replaced as a whole, and it is not ours.
    #[error(
        "it holds something else than a pull secret of one robot as this format writes it, and would be replaced as a whole; name another file, \
         or remove it"
    )]
    Foreign,
    /// It is no mapping.
    #[error(
        "it is not a mapping with the key token, and ansible-galaxy silently ignores such a file, a bare token too; remove it to have a new one \
         made, or name another file"
    )]
    NotAMapping,
    /// A line of it is not surely understood, or ansible does not understand it.
    #[error("line {line} {why}")]
    Line {
        /// Its number, from one.
        line: usize,
        /// What is the matter with it, and what helps.
        why: &'static str,
    },
    /// The section to write into is not known.
    #[error("this format writes into the section of one galaxy server; name it with galaxy_server")]
    NoGalaxyServer,
    /// The format is for tokens of RHACS.
    #[error("this format is for the token of a Central, which this token is not; use raw, json or env")]
    NoCentral,
    /// `ansible-galaxy` would not find the section.
    #[error("'{0}' cannot be the name of a galaxy server in it; use letters, digits, '_', '-' and '.' only")]
    ServerName(String),
    /// The file's readers would read something else.
    #[error("the {0} has characters that this format cannot carry; choose another format")]
    Uncarried(&'static str),
}

impl Format {
    /// The file's next content, given what it holds now. Where the format merges, everything in it that is not this token's stays.
    pub fn write(self, what: &HandedOver<'_>, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        self.way().write(what, existing)
    }

    /// The token in a file, or nothing where the file does not look as this format does. In a file of registry passwords it is the token that is
    /// used for this login, and nothing where another user's stands there.
    pub fn read<'a>(self, content: &[u8], entry: impl Into<Entry<'a>>) -> Option<Secret> {
        self.way().read(content, &entry.into()).filter(|token| !token.is_empty())
    }

    /// Whether [`Format::write`] will do: asked before anything is issued, so that a broken file is refused while nothing is lost.
    pub fn check<'a>(self, existing: Option<&[u8]>, entry: impl Into<Entry<'a>>) -> Result<(), FormatError> {
        self.way().check(existing, &entry.into())
    }

    /// What a user should know of the file as it is now, as sentences without a secret. Nothing where [`Format::check`] refuses it.
    pub fn remarks<'a>(self, existing: Option<&[u8]>, entry: impl Into<Entry<'a>>) -> Vec<String> {
        self.way().remarks(existing, &entry.into())
    }

    /// The file's content without the token, where the format keeps other things in the file. Else nothing: the file is the token's alone.
    pub fn without<'a>(self, content: &[u8], entry: impl Into<Entry<'a>>) -> Option<Zeroizing<Vec<u8>>> {
        self.way().without(content, &entry.into())
    }

    /// Whether other things in the file are kept.
    pub fn merges(self) -> bool {
        matches!(self, Self::DockerConfig | Self::GalaxyToken | Self::AnsibleCfg | Self::RoxctlConfig)
    }

    /// What tells a token from the others in the file, where the format has room for several.
    pub fn key<'a>(self, entry: impl Into<Entry<'a>>) -> Option<&'a str> {
        let Entry { login, galaxy_server, central } = entry.into();
        match self {
            Self::DockerConfig => login.map(|login| login.registry),
            Self::AnsibleCfg => galaxy_server.map(|server| server.name),
            Self::RoxctlConfig => central,
            _ => None,
        }
    }

    /// Whether the file also says whose token it is and when it ends, and is this format's as a whole.
    pub fn tells_about_token(self) -> bool {
        matches!(self, Self::Json | Self::Env)
    }

    /// Bytes to reserve for the next content of a file that has so many now. Enough for a token of 16 KiB, which is more than servers accept in
    /// a header.
    pub fn room(self, existing: usize) -> usize {
        if self.merges() { existing + ROOM } else { ROOM }
    }

    fn way(self) -> &'static dyn Way {
        match self {
            Self::Raw => &raw::Raw,
            Self::Json => &json::Json,
            Self::Env => &env::Env,
            Self::DockerConfig => &docker_config::DockerConfig,
            Self::KubernetesSecret => &kubernetes_secret::KubernetesSecret,
            Self::GalaxyToken => &galaxy_token::GalaxyToken,
            Self::AnsibleCfg => &ansible_cfg::AnsibleCfg,
            Self::RoxctlConfig => &roxctl_config::RoxctlConfig,
        }
    }
}

/// The members that every format has.
trait Way {
    fn write(&self, what: &HandedOver<'_>, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError>;

    fn read(&self, content: &[u8], entry: &Entry<'_>) -> Option<Secret>;

    fn without(&self, _content: &[u8], _entry: &Entry<'_>) -> Option<Zeroizing<Vec<u8>>> {
        None
    }

    fn check(&self, _existing: Option<&[u8]>, _entry: &Entry<'_>) -> Result<(), FormatError> {
        Ok(())
    }

    fn remarks(&self, _existing: Option<&[u8]>, _entry: &Entry<'_>) -> Vec<String> {
        Vec::new()
    }
}

/// The parts in one piece of memory, which never moved and is wiped.
fn joined(parts: &[&str]) -> Zeroizing<String> {
    Zeroizing::new(parts.concat())
}

fn bytes(mut text: Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

/// Twice Base64 makes 29 KiB of 16.
const ROOM: usize = 32 * 1024;

#[cfg(test)]
mod tests;
