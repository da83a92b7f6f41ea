//! rhacs_m2m_token: a short access token of Central, in exchange for a token of an external identity provider.

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::jwt::Claims;
use tokensmith::rotation::{Naming, Note, Overlap, Proof, Standing, Subject, System, Token};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::rhacs::{Central, Credential, RhacsError, Status};

use crate::oidc::{Exchange, ExchangeError, State, Wanted};
use crate::rhacs::Server;

/// The options of `rhacs_m2m_token.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    server: Server,
    #[serde(flatten)]
    exchange: Exchange,
    state: State,
    renew_before: Span,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    if let Some(outcome) = options.exchange.begin(task, options.renew_before)? {
        return Ok(outcome);
    }
    let central = options.server.connect_as(task, &options.connection, Credential::Anonymous)?;
    let naming = Naming { name: "rox_api_token", central: Some(central.endpoint()), ..Naming::default() };
    let system = MachineToken { task, exchange: &options.exchange, central: &central };
    let subject = Subject { server: central.address(), object: MACHINE_ACCESS.to_owned() };
    let wanted = Wanted { naming, subject, state: options.state, renew_before: options.renew_before };
    // Its answers tell how far its clock is off.
    let about = || json!({ "clock_offset": central.clock_offset().num_seconds() });
    options.exchange.put_in_place(task, &system, wanted, about).await
}

/// The token as the rotation engine sees it: others live on beside it, and all end by themselves.
struct MachineToken<'a> {
    task: &'a Task,
    exchange: &'a Exchange,
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
    type Error = ExchangeError<RhacsError>;

    /// Central is asked, as the token also dies with the configuration of its issuer.
    async fn look(&self, held: Option<&Secret>, _note: Option<&Note>) -> Result<Standing, ExchangeError<RhacsError>> {
        let Some(held) = held.filter(|held| Claims::of(held).is_some()) else { return Ok(Standing::default()) };
        let works = matches!(self.central.status(held).await?, Status::Accepted(user) if is_exchanged(&user));
        let (issued_at, expires_at) = self.dates(held);
        Ok(Standing { works, issued_at, expires_at, ..Standing::default() })
    }

    async fn issue(&self) -> Result<Token, ExchangeError<RhacsError>> {
        let oidc_token = self.exchange.oidc_token(self.task)?;
        let secret = self.central.exchange(&oidc_token).await?;
        self.task.learn(&secret);
        let (issued_at, expires_at) = self.dates(&secret);
        Ok(Token { secret, id: None, issued_at, expires_at })
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, ExchangeError<RhacsError>> {
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
    async fn retire(&self, _id: &str) -> Result<(), ExchangeError<RhacsError>> {
        Ok(())
    }

    async fn orphans(&self, _since: DateTime<Utc>) -> Result<Vec<String>, ExchangeError<RhacsError>> {
        Ok(Vec::new())
    }
}

/// Whether Central knows the caller by a token of this kind. An API token is another one.
fn is_exchanged(user: &str) -> bool {
    user.starts_with("sso:")
}

/// In the note, whose the token is: until it is asked for, nobody knows more.
const MACHINE_ACCESS: &str = "machine access";
