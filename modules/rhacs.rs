//! What the modules of RHACS share: which Central is spoken to, and as whom.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokensmith::ansible::Task;
use tokensmith::http::Connection;
use tokensmith::secret::Secret;
use tokensmith::systems::rhacs::{Central, Credential};

use crate::server;

/// The options of `fragments/rhacs.yml`.
#[derive(Deserialize)]
pub(crate) struct Server {
    rhacs_host: String,
    skip_validate_certs: bool,
}

impl Server {
    /// Central, called with this credential. Nothing is sent yet.
    pub(crate) fn connect_as(&self, task: &Task, connection: &Connection, credential: Credential) -> Result<Central> {
        let validate_certs = connection.validate_certs && !self.skip_validate_certs;
        let client = server::client(task, &Connection { validate_certs, ..connection.clone() })?;
        Ok(Central::new(client, &self.rhacs_host, credential)?)
    }
}

/// The options of `fragments/rhacs_auth.yml`.
#[derive(Deserialize)]
pub(crate) struct Access {
    rhacs_token: Option<Secret>,
    rhacs_token_file: Option<PathBuf>,
    rhacs_username: String,
    rhacs_password: Option<Secret>,
}

impl Access {
    /// Central, called with the credential of the task. Nothing is sent yet.
    pub(crate) fn connect(&self, task: &Task, server: &Server, connection: &Connection) -> Result<Central> {
        let credential = self.credential()?;
        if let Credential::Token(token) = &credential {
            task.learn(token);
        }
        server.connect_as(task, connection, credential)
    }

    /// Whether Central is called with the token in this file.
    pub(crate) fn is_token_in(&self, path: &Path) -> bool {
        self.rhacs_token_file.as_deref() == Some(path)
    }

    fn credential(&self) -> Result<Credential> {
        if let Some(path) = &self.rhacs_token_file {
            let text = fs::read_to_string(path)
                .with_context(|| format!("rhacs_token_file {} cannot be read", path.display()))?;
            return token(Secret::from(text), "rhacs_token_file");
        }
        match (&self.rhacs_token, &self.rhacs_password) {
            (Some(secret), _) => token(secret.clone(), "rhacs_token"),
            (None, Some(password)) => {
                Ok(Credential::Password { username: self.rhacs_username.clone(), password: password.clone() })
            }
            (None, None) => bail!("one of rhacs_token, rhacs_token_file and rhacs_password is needed"),
        }
    }
}

/// Central takes no blank before a token and none in it.
fn token(secret: Secret, option: &str) -> Result<Credential> {
    let secret = secret.trimmed();
    if secret.is_empty() {
        bail!("{option} is empty");
    }
    Ok(Credential::Token(secret))
}
