//! What a task says about the credential that its token goes to.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

use super::{CredentialPlace, PlaceError};
use crate::http::Connection;
use crate::secret::Secret;
use crate::span::Span;
use crate::systems::platform::Credential;

/// The options of `modules/fragments/dest_credential.yml`. All of them can be missing: not every module has them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CredentialHandOver {
    #[serde(deserialize_with = "named")]
    pub(super) dest_credential: Option<CredentialOptions>,
    pub(super) controller_host: Option<String>,
    controller_username: Option<String>,
    controller_password: Option<Secret>,
    controller_oauthtoken: Option<ControllerToken>,
    controller_validate_certs: Option<bool>,
    controller_ca_path: Option<PathBuf>,
    controller_request_timeout: Option<f64>,
}

/// Which credential it is, and which field of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CredentialOptions {
    pub(super) name: Option<String>,
    pub(super) id: Option<u64>,
    pub(super) organization: Option<String>,
    pub(super) credential_type: Option<String>,
    pub(super) field: Option<String>,
    pub(super) marker: Option<String>,
    pub(super) token: Option<Secret>,
    pub(super) wait_for_jobs: Option<Span>,
    pub(super) job_id: Option<u64>,
}

/// What serde takes for part of the module's own options, it does not name when something is wrong in it.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CredentialOptions>, D::Error> {
    serde_path_to_error::deserialize(deserializer)
        .map_err(|error| de::Error::custom(format!("dest_credential.{}: {}", error.path(), error.inner())))
}

/// A token as tasks give it: alone, or as a module returned it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "controller_oauthtoken takes a token, or a dictionary with one under token")]
pub enum ControllerToken {
    /// Alone.
    Text(Secret),
    /// In a dictionary.
    Returned {
        /// The token.
        token: Secret,
    },
}

impl CredentialHandOver {
    /// Whether the task names a credential.
    pub fn is_given(&self) -> bool {
        self.dest_credential.is_some()
    }

    /// The same, with the token that the job got from the credential, unless the task names it twice.
    pub(in crate::rotation) fn with_token(mut self, token: &Secret) -> Self {
        if let Some(options) = &mut self.dest_credential {
            options.token.get_or_insert_with(|| token.trimmed());
        }
        self
    }

    /// The credential, where the task names one. How HTTPS is spoken to other servers counts here as far as there is no option for it. Nothing is sent.
    pub fn place(&self, connection: &Connection) -> Result<Option<CredentialPlace>, PlaceError> {
        let Some(options) = &self.dest_credential else { return Ok(None) };
        let wrong = |why: &str| PlaceError::Credential { which: options.which(), why: why.to_owned() };
        let host = self
            .controller_host
            .clone()
            .ok_or_else(|| wrong("controller_host is needed: the controller that it is in"))?;
        let credential = self.credential().ok_or_else(|| {
            wrong("the controller is called with controller_oauthtoken, or with controller_username and controller_password; neither is given")
        })?;
        let connection = Connection {
            validate_certs: self.controller_validate_certs.unwrap_or(true),
            ca_path: self.controller_ca_path.clone().or_else(|| connection.ca_path.clone()),
            client_cert: None,
            client_key: None,
            request_timeout: self.controller_request_timeout.unwrap_or(connection.request_timeout),
            ..connection.clone()
        };
        Ok(Some(CredentialPlace::new(options.clone(), host, credential, connection)))
    }

    fn credential(&self) -> Option<Credential> {
        // The controller's own type of credential sets an empty variable for a token that it has not.
        if let Some(ControllerToken::Text(token) | ControllerToken::Returned { token }) = &self.controller_oauthtoken
            && !token.trimmed().is_empty()
        {
            return Some(Credential::Token(token.trimmed()));
        }
        let (username, password) = (self.controller_username.clone()?, self.controller_password.clone()?);
        Some(Credential::Password { username, password })
    }
}

impl CredentialOptions {
    /// What the task calls it.
    pub(super) fn which(&self) -> String {
        match (&self.name, self.id) {
            (Some(name), _) => name.clone(),
            (None, Some(id)) => id.to_string(),
            (None, None) => String::new(),
        }
    }
}
