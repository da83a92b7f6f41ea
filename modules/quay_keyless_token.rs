//! quay_keyless_token: a robot's password of one hour, in exchange for a token of an external identity provider.

use anyhow::{Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::jwt::Claims;
use tokensmith::rotation::{Naming, Note, Overlap, Proof, Standing, Subject, System, Token};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::quay::{LogIn, Quay, QuayError, Registry, Server, is_no_name, robot_name};

use crate::oidc::{Exchange, ExchangeError, State, Wanted};
use crate::server;

/// The options of `quay_keyless_token.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    server: Server,
    #[serde(flatten)]
    exchange: Exchange,
    robot: String,
    organization: Option<String>,
    state: State,
    renew_before: Span,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    if let Some(outcome) = options.exchange.begin(task, options.renew_before)? {
        return Ok(outcome);
    }
    let robot = options.full_name()?;
    let quay = Quay::new(server::client(task, &options.connection)?, &options.server.quay_host, None)?;
    let registry = quay.registry().await?;
    let namespace = robot.split('+').next().unwrap_or_default();
    let registry_key = options.server.key(&registry, namespace)?;
    let naming =
        Naming { name: "robot_token", login: Some((robot.clone(), registry_key.clone())), ..Naming::default() };
    let system = KeylessToken { task, exchange: &options.exchange, quay: &quay, registry: &registry, robot: &robot };
    let subject = Subject { server: quay.address(), object: robot.clone() };
    let wanted = Wanted { naming, subject, state: options.state, renew_before: options.renew_before };
    let about = || json!({ "robot": robot, "registry": registry_key });
    options.exchange.put_in_place(task, &system, wanted, about).await
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
    exchange: &'a Exchange,
    quay: &'a Quay,
    registry: &'a Registry,
    robot: &'a str,
}

impl System for KeylessToken<'_> {
    type Error = ExchangeError<QuayError>;

    /// Asks nobody: the token says itself whose it is and when it ends.
    async fn look(&self, held: Option<&Secret>, note: Option<&Note>) -> Result<Standing, ExchangeError<QuayError>> {
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

    async fn issue(&self) -> Result<Token, ExchangeError<QuayError>> {
        let oidc_token = self.exchange.oidc_token(self.task)?;
        let asked_at = Utc::now();
        let secret = self.quay.exchange(self.robot, &oidc_token).await?;
        self.task.learn(&secret);
        let life = Claims::of(&secret).and_then(|claims| Some(TimeDelta::seconds(claims.exp? - claims.iat?)));
        Ok(Token { secret, id: None, issued_at: Some(asked_at), expires_at: life.map(|life| asked_at + life) })
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, ExchangeError<QuayError>> {
        Ok(match self.quay.log_in(self.registry, self.robot, token).await? {
            LogIn::Accepted => Proof::Works,
            LogIn::Refused(why) => Proof::Refused(why),
        })
    }
}

impl Overlap for KeylessToken<'_> {
    /// There is no way to end one, and after an hour no need.
    async fn retire(&self, _id: &str) -> Result<(), ExchangeError<QuayError>> {
        Ok(())
    }

    async fn orphans(&self, _since: DateTime<Utc>) -> Result<Vec<String>, ExchangeError<QuayError>> {
        Ok(Vec::new())
    }
}
