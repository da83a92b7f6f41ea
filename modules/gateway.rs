//! What the modules of the platform share: which server is spoken to, and as whom.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokensmith::ansible::Task;
use tokensmith::http::Connection;
use tokensmith::secret::Secret;
use tokensmith::systems::platform::{Api, Credential, Platform};

use crate::server;

/// The options of `fragments/gateway.yml`.
#[derive(Deserialize)]
pub(crate) struct Access {
    gateway_hostname: String,
    gateway_username: Option<String>,
    gateway_password: Option<Secret>,
    gateway_token: Option<GivenToken>,
    gateway_token_file: Option<PathBuf>,
}

/// A token as tasks give it: alone, or as a module returned it.
#[derive(Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "gateway_token and existing_token take a token, or a dictionary with one under token, as a task returns it that created one"
)]
pub(crate) enum GivenToken {
    Text(Secret),
    Returned {
        token: Secret,
        #[serde(default, deserialize_with = "number")]
        id: Option<u64>,
    },
}

impl GivenToken {
    pub(crate) fn secret(&self) -> Secret {
        let (Self::Text(secret) | Self::Returned { token: secret, .. }) = self;
        secret.trimmed()
    }

    /// Its id, where that came with it.
    pub(crate) fn id(&self) -> Option<u64> {
        match self {
            Self::Text(_) => None,
            Self::Returned { id, .. } => *id,
        }
    }
}

impl Access {
    /// The platform, with the credential of the task. Nothing is sent yet.
    pub(crate) fn connect(&self, task: &Task, connection: &Connection, api: Api) -> Result<Platform> {
        let credential = self.credential()?;
        if let Credential::Token(token) = &credential {
            task.learn(token);
        }
        Ok(Platform::new(server::client(task, connection)?, &self.gateway_hostname, api, credential)?)
    }

    /// The user that the API is called as, where the task says it.
    pub(crate) fn username(&self) -> Option<&str> {
        let is_password = self.gateway_token_file.is_none() && self.gateway_token.is_none();
        self.gateway_username.as_deref().filter(|_| is_password)
    }

    /// Whether the API is called with the token in this file.
    pub(crate) fn is_token_in(&self, path: &Path) -> bool {
        self.gateway_token_file.as_deref() == Some(path)
    }

    fn credential(&self) -> Result<Credential> {
        if let Some(path) = &self.gateway_token_file {
            let text = fs::read_to_string(path)
                .with_context(|| format!("gateway_token_file {} cannot be read", path.display()))?;
            return token(&Secret::from(text), "gateway_token_file");
        }
        match (&self.gateway_token, &self.gateway_username, &self.gateway_password) {
            (Some(given), _, _) => token(&given.secret(), "gateway_token"),
            (None, Some(username), Some(password)) => {
                Ok(Credential::Password { username: username.clone(), password: password.clone() })
            }
            _ => bail!("one of gateway_token, gateway_token_file and gateway_password with gateway_username is needed"),
        }
    }
}

/// Templates make texts of numbers.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => text.trim().parse().map(Some).map_err(D::Error::custom),
        number => u64::deserialize(number).map(Some).map_err(D::Error::custom),
    }
}

fn token(secret: &Secret, option: &str) -> Result<Credential> {
    let secret = secret.trimmed();
    if secret.is_empty() {
        bail!("{option} is empty");
    }
    Ok(Credential::Token(secret))
}
