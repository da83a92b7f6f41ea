//! An API token as the rotation engine sees it: a new one lives beside the old one, which is revoked in the end.

use std::cell::RefCell;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;
use tokensmith::ansible::Task;
use tokensmith::rotation::{Note, Overlap, Proof, Standing, System, Token};
use tokensmith::secret::Secret;
use tokensmith::systems::SystemError;
use tokensmith::systems::rhacs::{self, ApiToken, Central, Credential, Generated, RhacsError, Status};
use tokensmith::timestamp::timestamp;

use super::lifetime::Expiration;

/// What the task asks for.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) roles: Vec<String>,
}

impl Wanted {
    pub(super) fn is_met_by(&self, token: &ApiToken) -> bool {
        token.name == self.name && token.has_roles(&self.roles)
    }

    /// As Central has it in its records: nothing where there are several.
    pub(super) fn only_role(&self) -> Option<&str> {
        match &self.roles[..] {
            [role] => Some(role),
            _ => None,
        }
    }
}

pub(super) struct KeptToken<'a> {
    task: &'a Task,
    central: &'a Central,
    wanted: &'a Wanted,
    expiration: &'a Expiration,
    request_timeout: TimeDelta,
    /// The last token that was proven. It goes on where the acting credential is retired.
    proven: RefCell<Option<Secret>>,
    /// When tokens end that this run has met, by id.
    ends: RefCell<BTreeMap<String, DateTime<Utc>>>,
}

impl<'a> KeptToken<'a> {
    pub(super) fn new(
        task: &'a Task,
        central: &'a Central,
        wanted: &'a Wanted,
        expiration: &'a Expiration,
        request_timeout: f64,
    ) -> Self {
        let request_timeout = TimeDelta::milliseconds((request_timeout * 1000.0) as i64);
        let (proven, ends) = (RefCell::default(), RefCell::default());
        Self { task, central, wanted, expiration, request_timeout, proven, ends }
    }

    /// Until when one of these can come back to life.
    pub(super) fn revive_until(&self, ids: &[String]) -> Option<DateTime<Utc>> {
        let ends = self.ends.borrow();
        ids.iter().filter_map(|id| ends.get(id)).max().copied()
    }

    fn remember(&self, record: &ApiToken) {
        self.ends.borrow_mut().insert(record.id.clone(), self.by_our_clock(record.expiration));
    }

    fn by_our_clock(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        time - self.central.clock_offset()
    }

    async fn accepts(&self, token: &Secret, id: &str) -> Result<bool, RhacsError> {
        let status = self.central.status(token).await?;
        Ok(status == Status::Accepted(user_of(id)))
    }

    /// Old releases ignore the end that is asked for, and a proxy may answer anything.
    async fn checked(&self, generated: Generated, end: DateTime<Utc>) -> Result<Token, TokenError> {
        let Generated { secret, token } = generated;
        let id = rhacs::id_of(&secret);
        let why = if token.expiration.timestamp() != end.timestamp() {
            Some(format!(
                "it ends at {} and not at {} as was asked for (Central before 4.4 ignores the end)",
                timestamp(token.expiration),
                timestamp(end)
            ))
        } else if !self.wanted.is_met_by(&token) {
            Some(format!("it has the name {} and the roles {}", token.name, token.roles.join(", ")))
        } else if id.as_ref() != Some(&token.id) {
            Some("its id is not the one that Central names".to_owned())
        } else {
            None
        };
        let Some(why) = why else {
            let (issued_at, expires_at) = (self.by_our_clock(token.issued_at), self.by_our_clock(token.expiration));
            return Ok(Token { secret, id: Some(token.id), issued_at: Some(issued_at), expires_at: Some(expires_at) });
        };
        // The one that works is the one that names itself.
        let id = id.unwrap_or(token.id);
        match self.central.revoke(&id).await {
            Ok(_) => Err(TokenError::NotAsAsked { why }),
            Err(error) => Err(TokenError::NotAsAskedAndAlive { why, id, error }),
        }
    }
}

impl System for KeptToken<'_> {
    type Error = TokenError;

    async fn look(&self, held: Option<&Secret>, _note: Option<&Note>) -> Result<Standing, TokenError> {
        let Some((held, id)) = held.and_then(|held| Some((held, rhacs::id_of(held)?))) else {
            return Ok(Standing::default());
        };
        let Some(record) = self.central.token(&id).await? else { return Ok(Standing::default()) };
        self.remember(&record);
        let is_live = record.is_live(self.central.now().await?);
        Ok(Standing {
            // A record tells neither that the token beside it is whole, nor that its roles still exist.
            works: is_live && self.accepts(held, &record.id).await?,
            has_drifted: !self.wanted.is_met_by(&record),
            issued_at: Some(self.by_our_clock(record.issued_at)),
            expires_at: Some(self.by_our_clock(record.expiration)),
            id: Some(record.id),
            ..Standing::default()
        })
    }

    /// The record tells whether it lives, as long as Central has its roles.
    async fn look_by_note(&self, held: &str, note: &Note) -> Result<Standing, TokenError> {
        let Some(id) = note.id_of(held) else { return Ok(Standing { works: true, ..Standing::default() }) };
        let Some(record) = self.central.token(&id).await? else { return Ok(Standing::default()) };
        self.remember(&record);
        Ok(Standing {
            works: record.is_live(self.central.now().await?),
            has_drifted: !self.wanted.is_met_by(&record),
            issued_at: Some(self.by_our_clock(record.issued_at)),
            expires_at: Some(self.by_our_clock(record.expiration)),
            id: Some(record.id),
            ..Standing::default()
        })
    }

    async fn issue(&self) -> Result<Token, TokenError> {
        let now = self.central.now().await.map_err(TokenError::NotAsked)?;
        let end = self.expiration.from(now).map_err(TokenError::Expiration)?;
        let generated = self.central.generate(&self.wanted.name, &self.wanted.roles, end).await?;
        self.task.learn(&generated.secret);
        self.remember(&generated.token);
        self.checked(generated, end).await
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, TokenError> {
        let expected = user_of(&rhacs::id_of(token).unwrap_or_default());
        Ok(match self.central.status(token).await? {
            Status::Accepted(user) if user == expected => {
                self.proven.replace(Some(token.clone()));
                Proof::Works
            }
            Status::Accepted(user) => Proof::Refused(format!("it is taken for {user}")),
            Status::Refused(why) => Proof::Refused(why),
        })
    }
}

impl Overlap for KeptToken<'_> {
    async fn retire(&self, id: &str) -> Result<(), TokenError> {
        if self.central.acts_as(id)
            && let Some(proven) = self.proven.borrow().clone()
        {
            self.central.act_as(Credential::Token(proven));
        }
        self.central.revoke(id).await?;
        Ok(())
    }

    /// Those of this name and these roles that were issued while a request of ours can have been under way. Two users of one name can meet here, which
    /// is why each should have its own.
    async fn orphans(&self, since: DateTime<Utc>) -> Result<Vec<String>, TokenError> {
        let mut tokens = self.central.tokens(Some(false)).await?;
        let offset = self.central.clock_offset();
        // Dates have whole seconds, and offsets below two are not seen.
        let (from, until) = (since + offset - SLACK, since + offset + self.request_timeout + LATEST_ARRIVAL);
        tokens.retain(|token| self.wanted.is_met_by(token) && (from..until).contains(&token.issued_at));
        tokens.iter().for_each(|token| self.remember(token));
        Ok(tokens.into_iter().map(|token| token.id).collect())
    }
}

/// As whom Central knows a caller with this token.
fn user_of(id: &str) -> String {
    format!("auth-token:{id}")
}

/// Why there is no token.
#[derive(Debug, Error)]
pub(super) enum TokenError {
    #[error("{0:#}")]
    Expiration(anyhow::Error),
    #[error("Central generated a token that is not what was asked for, so it was revoked again: {why}")]
    NotAsAsked { why: String },
    #[error(
        "Central generated a token that is not what was asked for ({why}), and it could not be revoked: {error}; revoke {id}"
    )]
    NotAsAskedAndAlive { why: String, id: String, error: RhacsError },
    #[error(transparent)]
    NotAsked(RhacsError),
    #[error(transparent)]
    Rhacs(#[from] RhacsError),
}

impl SystemError for TokenError {
    fn may_have_acted(&self) -> bool {
        match self {
            Self::Expiration(_) | Self::NotAsked(_) | Self::NotAsAsked { .. } => false,
            Self::NotAsAskedAndAlive { .. } => true,
            Self::Rhacs(error) => error.may_have_acted(),
        }
    }
}

/// How long after its time-out a request may still arrive and be done.
const LATEST_ARRIVAL: TimeDelta = TimeDelta::seconds(60);
const SLACK: TimeDelta = TimeDelta::seconds(2);
