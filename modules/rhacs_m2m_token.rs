//! rhacs_m2m_token: a short access token of Central, in exchange for a token of an external identity provider.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::jwt::Claims;
use tokensmith::rotation::{HandOver, Naming, Note, Overlap, Policy, Proof, Rotate, Standing, Subject, System, Token};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::SystemError;
use tokensmith::systems::rhacs::{Central, Credential, RhacsError, Status};

use crate::oidc::{self, OidcToken, State};
use crate::rhacs::Server;

/// The options of `rhacs_m2m_token.yml`.
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
    state: State,
    renew_before: Span,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    if options.hand_over.returns_token() {
        task.refuse_public_secret()?;
    }
    if let Some(held) = oidc::held_for_lookup(task, &options.hand_over, options.renew_before)? {
        return Ok(held);
    }
    let central = options.server.connect_as(task, &options.connection, Credential::Anonymous)?;
    let naming = Naming { name: "rox_api_token", central: Some(central.endpoint()), ..Naming::default() };
    let place = options.hand_over.destination(options.hand_over.dest.as_deref(), naming)?;
    for remark in place.remarks() {
        task.warn(remark);
    }
    let system = MachineToken { task, oidc_token: &options.oidc_token, central: &central };
    let policy = Policy {
        force: options.state == State::Rotated,
        renew_before: Some(options.renew_before.delta()),
        max_age: None,
    };
    let subject = Subject { server: central.address(), object: MACHINE_ACCESS.to_owned() };
    let rotate =
        Rotate { system: &system, place: &place, policy: &policy, subject: &subject, check_mode: task.check_mode };
    let rotation = rotate.overlap(TimeDelta::zero()).await?;
    if task.check_mode && rotation.issued {
        options.oidc_token.read()?;
    }

    let mut returned = json!({ "clock_offset": central.clock_offset().num_seconds() });
    if let Some(file) = place.file() {
        returned["dest"] = json!(file.path());
    }
    Ok(oidc::outcome(task, &options.hand_over, returned, rotation))
}

/// The token as the rotation engine sees it: others live on beside it, and all end by themselves.
struct MachineToken<'a> {
    task: &'a Task,
    oidc_token: &'a OidcToken,
    central: &'a Central,
}

impl MachineToken<'_> {
    /// When a token was issued and when it ends, by our clock.
    fn dates(&self, token: &Secret) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let by_our_clock = |time: DateTime<Utc>| time - self.central.clock_offset();
        let claims = Claims::of(token).unwrap_or_default();
        (claims.issued_at().map(by_our_clock), claims.expires_at().map(by_our_clock))
    }
}

impl System for MachineToken<'_> {
    type Error = MachineTokenError;

    /// Central is asked, as the token also dies with the configuration of its issuer.
    async fn look(&self, held: Option<&Secret>, _note: Option<&Note>) -> Result<Standing, MachineTokenError> {
        let Some(held) = held.filter(|held| Claims::of(held).is_some()) else { return Ok(Standing::default()) };
        let works = matches!(self.central.status(held).await?, Status::Accepted(user) if is_exchanged(&user));
        let (issued_at, expires_at) = self.dates(held);
        Ok(Standing { works, issued_at, expires_at, ..Standing::default() })
    }

    async fn issue(&self) -> Result<Token, MachineTokenError> {
        let oidc_token = self.oidc_token.read().map_err(MachineTokenError::OidcToken)?;
        self.task.learn(&oidc_token);
        let secret = self.central.exchange(&oidc_token).await?;
        self.task.learn(&secret);
        let (issued_at, expires_at) = self.dates(&secret);
        Ok(Token { secret, id: None, issued_at, expires_at })
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, MachineTokenError> {
        Ok(match self.central.status(token).await? {
            Status::Accepted(user) if is_exchanged(&user) => Proof::Works,
            Status::Accepted(user) => Proof::Refused(format!("it is taken for {user}")),
            Status::Refused(why) => Proof::Refused(format!(
                "{why} (a machine that is mapped to the role None alone, or to no role any more, gets a token that opens nothing; see the mappings \
                 of Central's machine access)"
            )),
        })
    }
}

impl Overlap for MachineToken<'_> {
    /// Central ends none of them singly, and soon there is no need.
    async fn retire(&self, _id: &str) -> Result<(), MachineTokenError> {
        Ok(())
    }

    async fn orphans(&self, _since: DateTime<Utc>) -> Result<Vec<String>, MachineTokenError> {
        Ok(Vec::new())
    }
}

/// Whether Central knows the caller by a token of this kind. An API token is another one.
fn is_exchanged(user: &str) -> bool {
    user.starts_with("sso:")
}

/// Why there is no token.
#[derive(Debug, Error)]
enum MachineTokenError {
    /// What would be exchanged is not there, or no good.
    #[error("{0:#}")]
    OidcToken(anyhow::Error),
    #[error(transparent)]
    Rhacs(#[from] RhacsError),
}

impl SystemError for MachineTokenError {
    /// A token whose answer was lost does no harm: nobody has it, it kills no other, and it ends by itself. So there is nothing to find out.
    fn may_have_acted(&self) -> bool {
        false
    }
}

/// In the note, whose the token is: until it is asked for, nobody knows more.
const MACHINE_ACCESS: &str = "machine access";
