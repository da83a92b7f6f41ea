//! A user's token as the rotation engine sees it: a new one kills the old one, and none is ever shown again.

use std::cell::{Cell, RefCell};

use chrono::{DateTime, Utc};
use thiserror::Error;
use tokensmith::ansible::Task;
use tokensmith::rotation::{InPlace, Note, Proof, ReadBack, Standing, System, Token};
use tokensmith::secret::Secret;
use tokensmith::systems::SystemError;
use tokensmith::systems::hub::{Credential, Hub, HubError, Probe};
use tokensmith::timestamp::timestamp;

pub(super) struct UserToken<'a> {
    task: &'a Task,
    hub: &'a Hub,
    is_forced: bool,
    self_rotation: bool,
    /// The token that works, as far as one is known, until a new one is made.
    alive: RefCell<Option<Secret>>,
    /// What the hub said to the token that it is called with.
    refused: RefCell<Option<String>>,
    /// A request of an earlier run was sent then, and its answer has not been seen.
    under_way_since: Cell<Option<DateTime<Utc>>>,
    is_issued: Cell<bool>,
}

impl<'a> UserToken<'a> {
    pub(super) fn new(task: &'a Task, hub: &'a Hub, is_forced: bool, self_rotation: bool) -> Self {
        let (alive, refused) = (RefCell::default(), RefCell::default());
        let (under_way_since, is_issued) = (Cell::default(), Cell::default());
        Self { task, hub, is_forced, self_rotation, alive, refused, under_way_since, is_issued }
    }

    /// What would keep a run from having a token made.
    pub(super) async fn check_issuing(&self) -> Result<(), UserTokenError> {
        if self.hub.own_token().is_some() {
            return self.choose_own_token();
        }
        Ok(self.hub.check_credential().await?)
    }

    /// Whether the token that worked before is dead.
    pub(super) async fn is_old_dead(&self) -> Option<Result<bool, HubError>> {
        let old = self.alive.borrow().clone()?;
        Some(self.hub.probe(&old).await.map(|probe| probe != Probe::Accepted))
    }

    /// Where the hub is called with a token of its own, that has to work, and this has to be allowed.
    fn choose_own_token(&self) -> Result<(), UserTokenError> {
        let (refused, alive) = (self.refused.borrow(), self.alive.borrow());
        match (&*refused, &*alive) {
            (Some(said), None) => {
                let (said, since) = (said.clone(), self.under_way_since.get());
                return Err(UserTokenError::DeadToken { said, since });
            }
            _ if !self.self_rotation => return Err(UserTokenError::SelfRotation),
            (Some(_), Some(alive)) => self.hub.act_as(Credential::Token(alive.clone())),
            (None, _) => {}
        }
        Ok(())
    }

    async fn works(&self, token: &Secret) -> Result<bool, HubError> {
        self.task.learn(token);
        let probe = self.hub.probe(token).await?;
        let works = probe == Probe::Accepted;
        if works {
            self.alive.replace(Some(token.clone()));
        }
        if let Probe::Refused(said) = probe
            && self.hub.own_token().as_ref() == Some(token)
        {
            self.refused.replace(Some(said));
        }
        Ok(works)
    }
}

impl System for UserToken<'_> {
    type Error = UserTokenError;

    async fn look(&self, held: Option<&Secret>, note: Option<&Note>) -> Result<Standing, UserTokenError> {
        self.under_way_since.set(note.and_then(|note| note.under_way_since));
        self.alive.take();
        self.refused.take();
        let works = match held {
            Some(held) => self.works(held).await?,
            None => false,
        };
        let standing = Standing { works, ..Standing::default() };
        let Some(own) = self.hub.own_token().filter(|own| held != Some(own)) else { return Ok(standing) };
        if works && !self.is_forced {
            return Ok(standing);
        }
        match self.works(&own).await? {
            // Each user has one.
            true if works => Err(UserTokenError::TwoUsers),
            // What is to be made is there already.
            true => Ok(Standing { current: Some(Token::new(own)), ..standing }),
            false => Ok(standing),
        }
    }

    /// A hub tells nothing of a token that it is not shown. It killed the noted one if it knows another of this user, or if it did what it was asked for
    /// when the answer was lost.
    async fn look_by_note(&self, held: &str, note: &Note) -> Result<Standing, UserTokenError> {
        let standing = self.look(None, Some(note)).await?;
        let own_is_refused = self.refused.borrow().is_some();
        let is_held = self.hub.own_token().is_some_and(|own| own.fingerprint() == held);
        let works = standing.current.is_none() && note.under_way_since.is_none() && !(own_is_refused && is_held);
        Ok(Standing { works, ..standing })
    }

    async fn issue(&self) -> Result<Token, UserTokenError> {
        if self.hub.own_token().is_some() {
            self.choose_own_token()?;
        }
        let token = self.hub.issue().await?;
        self.task.learn(&token);
        self.is_issued.set(true);
        Ok(Token::new(token))
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, UserTokenError> {
        Ok(match self.hub.probe(token).await? {
            Probe::Accepted => Proof::Works,
            Probe::Refused(said) => Proof::Refused(said),
        })
    }
}

impl InPlace for UserToken<'_> {
    fn shows_tokens(&self) -> bool {
        false
    }

    /// The hub shows no token. But one that is accepted still is the only one there is.
    async fn read_back(&self) -> Result<ReadBack, UserTokenError> {
        let known = self.alive.borrow().clone().filter(|_| !self.is_issued.get());
        let Some(known) = known else { return Ok(ReadBack::NotShown) };
        Ok(match self.hub.probe(&known).await? {
            Probe::Accepted => ReadBack::Token(Token::new(known)),
            Probe::Refused(_) => ReadBack::NotShown,
        })
    }
}

/// Why there is no token.
#[derive(Debug, Error)]
pub(super) enum UserTokenError {
    #[error(
        "a new token would be asked for with the very token that it replaces; should the answer be lost on the way, the old one is dead, nobody has the new \
         one, and only a password helps: give ah_username and ah_password, or a gateway_token, or say self_rotation: true if that risk is meant"
    )]
    SelfRotation,
    #[error(
        "the token that the hub is called with is dead ({said}){}: give ah_username and ah_password, or have an administrator of the hub run \
         `pulpcore-manager drf_create_token USER`, which prints the token that is valid now", of_earlier_run(.since.as_ref())
    )]
    DeadToken { said: String, since: Option<DateTime<Utc>> },
    #[error(
        "the token in dest and ah_token both work, so they belong to different users, and a new token of one would take the place of the other's; leave \
         ah_token out, or name another dest"
    )]
    TwoUsers,
    #[error(transparent)]
    Hub(#[from] HubError),
}

impl SystemError for UserTokenError {
    fn may_have_acted(&self) -> bool {
        matches!(self, Self::Hub(error) if error.may_have_acted())
    }
}

fn of_earlier_run(since: Option<&DateTime<Utc>>) -> String {
    since.map_or_else(String::new, |since| {
        format!(
            ", and the answer to the request for a new one, which an earlier run sent at {}, was lost",
            timestamp(*since)
        )
    })
}
