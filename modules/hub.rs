//! What the modules of automation hub share: which hub is spoken to, and as whom.

use anyhow::{Result, bail};
use serde::Deserialize;
use tokensmith::ansible::Task;
use tokensmith::http::Connection;
use tokensmith::secret::Secret;
use tokensmith::systems::hub::{Credential, Hub};

use crate::server;

/// The options of `fragments/hub.yml`.
#[derive(Deserialize)]
pub(crate) struct Access {
    ah_host: String,
    ah_path_prefix: String,
    ah_username: Option<String>,
    ah_password: Option<Secret>,
    ah_token: Option<Secret>,
    gateway_token: Option<Secret>,
}

impl Access {
    /// The credential that the options name. Behind a password or a gateway's token a lost answer does no harm, so they win.
    pub(crate) fn credential(&self) -> Result<Option<Credential>> {
        match (&self.ah_username, &self.ah_password) {
            (Some(username), Some(password)) => {
                let (username, password) = (username.clone(), password.clone());
                return Ok(Some(Credential::Password { username, password }));
            }
            (None, Some(_)) => bail!("ah_password is of no use without ah_username; name the user"),
            (_, None) => {}
        }
        if let Some(token) = &self.gateway_token {
            return Ok(Some(Credential::GatewayToken(filled(token, "gateway_token")?)));
        }
        self.ah_token.as_ref().map(|token| Ok(Credential::Token(filled(token, "ah_token")?))).transpose()
    }

    /// Whom a sentence is about.
    pub(crate) fn user(&self, credential: &Credential) -> String {
        let user = match (&self.ah_username, credential) {
            (Some(username), _) => username,
            (None, Credential::GatewayToken(_)) => "the user of gateway_token",
            (None, _) if self.ah_token.is_some() => "the user of ah_token",
            (None, _) => "the user of the token in dest",
        };
        user.to_owned()
    }

    /// The hub. Nothing is sent yet, and it is not called as anybody.
    pub(crate) fn connect(&self, task: &Task, connection: &Connection) -> Result<Hub> {
        Ok(Hub::new(server::client(task, connection)?, &self.ah_host, &self.ah_path_prefix)?)
    }
}

/// Copied tokens have a blank or a line feed around them now and then.
fn filled(secret: &Secret, option: &str) -> Result<Secret> {
    let secret = secret.trimmed();
    if secret.is_empty() {
        bail!("{option} is empty");
    }
    Ok(secret)
}
