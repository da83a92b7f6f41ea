//! quay_keyless_token: a robot's password of one hour, in exchange for a token of an external identity provider.

use anyhow::{Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::{Client, Connection};
use tokensmith::jwt::Claims;
use tokensmith::rotation::{HandOver, Naming, Note, Overlap, Policy, Proof, Rotate, Standing, Subject, System, Token};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::SystemError;
use tokensmith::systems::quay::{LogIn, Quay, QuayError, Registry, Server, is_no_name, robot_name};

use crate::oidc::{self, OidcToken, State};

/// The options of `quay_keyless_token.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    hand_over: HandOver,
    #[serde(flatten)]
    server: Server,
    #[serde(flatten)]
    oidc_token: OidcToken,
    robot: String,
    organization: Option<String>,
    state: State,
    renew_before: Span,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    if !options.connection.validate_certs {
        task.warn("validate_certs is false: anybody between here and the server can read and replace the tokens.");
    }
    if options.hand_over.returns_token() {
        task.refuse_public_secret()?;
    }
    if let Some(held) = oidc::held_for_lookup(task, &options.hand_over, options.renew_before)? {
        return Ok(held);
    }
    let robot = options.full_name()?;
    let quay = Quay::new(Client::new(&options.connection)?, &options.server.quay_host, None)?;
    let registry = quay.registry().await?;
    let namespace = robot.split('+').next().unwrap_or_default();
    let registry_key = options.server.key(&registry, namespace)?;
    let naming =
        Naming { name: "robot_token", login: Some((robot.clone(), registry_key.clone())), ..Naming::default() };
    let place = options.hand_over.destination(options.hand_over.dest.as_deref(), naming)?;
    for remark in place.remarks() {
        task.warn(remark);
    }
    let system = KeylessToken { task, options: &options, quay: &quay, registry: &registry, robot: &robot };
    let policy = Policy {
        force: options.state == State::Rotated,
        renew_before: Some(options.renew_before.delta()),
        max_age: None,
    };
    let subject = Subject { server: quay.address(), object: robot.clone() };
    let rotate =
        Rotate { system: &system, place: &place, policy: &policy, subject: &subject, check_mode: task.check_mode };
    let rotation = rotate.overlap(TimeDelta::zero()).await?;
    if task.check_mode && rotation.issued {
        options.oidc_token.read()?;
    }

    let mut returned = json!({ "robot": robot, "registry": registry_key });
    if let Some(file) = place.file() {
        returned["dest"] = json!(file.path());
    }
    Ok(oidc::outcome(task, &options.hand_over, returned, rotation))
}

impl Options {
    fn full_name(&self) -> Result<String> {
        let Some((namespace, robot)) = robot_name(&self.robot) else {
            bail!(
                "'{}' is not the name of a robot; write it in full (acme+ci), or short (ci) beside its organization",
                self.robot
            )
        };
        match (namespace, &self.organization) {
            (_, Some(organization)) if is_no_name(organization) => {
                bail!(
                    "organization: '{organization}' is no name; name the robot in full, such as acme+{robot}, or say its organization"
                )
            }
            (Some(namespace), Some(organization)) if namespace != organization => {
                bail!("the robot {} does not belong to {organization}", self.robot)
            }
            (Some(_), _) => Ok(self.robot.clone()),
            (None, Some(organization)) => Ok(format!("{organization}+{robot}")),
            (None, None) => bail!("name the robot in full, such as acme+{robot}, or say its organization"),
        }
    }
}

/// The token as the rotation engine sees it: others live on beside it, and all end by themselves.
struct KeylessToken<'a> {
    task: &'a Task,
    options: &'a Options,
    quay: &'a Quay,
    registry: &'a Registry,
    robot: &'a str,
}

impl System for KeylessToken<'_> {
    type Error = KeylessError;

    /// Asks nobody: the token says itself whose it is and when it ends.
    async fn look(&self, held: Option<&Secret>, note: Option<&Note>) -> Result<Standing, KeylessError> {
        let Some((held, claims)) = held.and_then(|held| Some((held, Claims::of(held)?))) else {
            return Ok(Standing::default());
        };
        let noted = note.cloned().and_then(|note| note.about(&held.fingerprint()));
        Ok(Standing {
            works: claims.sub.as_deref() == Some(self.robot) && claims.is_for(&self.registry.service),
            issued_at: claims.issued_at(),
            // The note knows how far the server's clock is off.
            expires_at: noted.and_then(|note| note.expires_at).or(claims.expires_at()),
            ..Standing::default()
        })
    }

    async fn issue(&self) -> Result<Token, KeylessError> {
        let oidc_token = self.options.oidc_token.read().map_err(KeylessError::OidcToken)?;
        self.task.learn(&oidc_token);
        let asked_at = Utc::now();
        let secret = self.quay.exchange(self.robot, &oidc_token).await?;
        self.task.learn(&secret);
        let life = Claims::of(&secret).and_then(|claims| Some(TimeDelta::seconds(claims.exp? - claims.iat?)));
        Ok(Token { secret, id: None, issued_at: Some(asked_at), expires_at: life.map(|life| asked_at + life) })
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, KeylessError> {
        Ok(match self.quay.log_in(self.registry, self.robot, token).await? {
            LogIn::Accepted => Proof::Works,
            LogIn::Refused(why) => Proof::Refused(why),
        })
    }
}

impl Overlap for KeylessToken<'_> {
    /// There is no way to end one, and after an hour no need.
    async fn retire(&self, _id: &str) -> Result<(), KeylessError> {
        Ok(())
    }

    async fn orphans(&self, _since: DateTime<Utc>) -> Result<Vec<String>, KeylessError> {
        Ok(Vec::new())
    }
}

/// Why there is no token.
#[derive(Debug, Error)]
enum KeylessError {
    /// What would be exchanged is not there, or no good.
    #[error("{0:#}")]
    OidcToken(anyhow::Error),
    #[error(transparent)]
    Quay(#[from] QuayError),
}

impl SystemError for KeylessError {
    /// A token whose answer was lost does no harm: nobody has it, it kills no other, and it ends by itself. So there is nothing to find out.
    fn may_have_acted(&self) -> bool {
        false
    }
}
