//! An OAuth2 token as the rotation engine sees it: a new one lives beside the old one, which is deleted in the end.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;
use tokensmith::ansible::Task;
use tokensmith::rotation::{Note, Overlap, Proof, Standing, System, Token};
use tokensmith::secret::Secret;
use tokensmith::systems::SystemError;
use tokensmith::systems::platform::{
    Created, Credential, LATEST_ARRIVAL, NewToken, Platform, PlatformError, Status, TokenRow, User,
};

pub(super) struct KeptToken<'a> {
    task: &'a Task,
    platform: &'a Platform,
    wanted: &'a NewToken,
    request_timeout: TimeDelta,
    caller: Caller<'a>,
    me: OnceCell<User>,
    /// The id of the token that the API is called with, where that is the one to be replaced.
    own_id: RefCell<Option<String>>,
    /// The last token that was proven. It goes on where the acting credential is deleted.
    proven: RefCell<Option<Secret>>,
    /// Ids that the note names and that are other tokens by now.
    strangers: RefCell<BTreeSet<String>>,
    refresh_token: RefCell<Option<Secret>>,
    /// Why the token that was looked at has no id.
    nameless: RefCell<Option<Nameless>>,
}

/// Who the API is called as.
pub(super) struct Caller<'a> {
    /// The user, where the task says it.
    pub(super) username: Option<&'a str>,
    /// It is called with the very token that is kept.
    pub(super) acts_as_held: bool,
}

/// Why it is not known which row belongs to a token that works.
#[derive(Clone)]
pub(super) enum Nameless {
    /// It is of this user, and not of the one that the API is called as.
    OfAnother(String),
    /// It was not created by this task, and the platform does not show which it is.
    NotShown,
}

impl<'a> KeptToken<'a> {
    pub(super) fn new(
        task: &'a Task,
        platform: &'a Platform,
        wanted: &'a NewToken,
        caller: Caller<'a>,
        request_timeout: f64,
    ) -> Self {
        Self {
            task,
            platform,
            wanted,
            request_timeout: TimeDelta::milliseconds((request_timeout * 1000.0) as i64),
            caller,
            me: OnceCell::new(),
            own_id: RefCell::default(),
            proven: RefCell::default(),
            strangers: RefCell::default(),
            refresh_token: RefCell::default(),
            nameless: RefCell::default(),
        }
    }

    /// The user that the API is called as.
    pub(super) async fn me(&self) -> Result<&User, PlatformError> {
        if let Some(me) = self.me.get() {
            return Ok(me);
        }
        let me = self.platform.me().await?;
        Ok(self.me.get_or_init(|| me))
    }

    /// Tokens of the user that are as the task wants them, and have not ended.
    pub(super) async fn living(&self) -> Result<Vec<TokenRow>, PlatformError> {
        let mut rows = self.platform.tokens(self.me().await?, None).await?;
        let now = self.platform.clock().now();
        rows.retain(|row| self.is_as_wanted(row) && row.expires > now);
        Ok(rows)
    }

    /// Why the token that was looked at has no id, where it works and has none.
    pub(super) fn nameless(&self) -> Option<Nameless> {
        self.nameless.borrow().clone()
    }

    /// Whether the API is called with the token of this id, which was looked at.
    pub(super) fn is_own(&self, id: &str) -> bool {
        self.own_id.borrow().as_deref() == Some(id)
    }

    /// The refresh token that came with the new token.
    pub(super) fn refresh_token(&self) -> Option<Secret> {
        self.refresh_token.borrow().clone()
    }

    /// The row of a token that works, by its noted id, or by what the platform shows.
    pub(super) async fn row(
        &self,
        token: &Secret,
        noted: Option<u64>,
        user: &User,
    ) -> Result<Option<TokenRow>, PlatformError> {
        if let Some(id) = noted
            && let Some(row) = self.platform.token(id).await?
        {
            return Ok(Some(row));
        }
        if let Some(row) = self.platform.row_of(token, user).await? {
            return Ok(Some(row));
        }
        let mut rows = self.platform.tokens(user, None).await?;
        rows.retain(|row| self.is_as_wanted(row));
        Ok(if rows.len() == 1 { rows.pop() } else { None })
    }

    /// Deletes a token. One that deletes itself, and is told to twice, is not known the second time.
    pub(super) async fn delete(&self, id: u64) -> Result<(), PlatformError> {
        match self.platform.delete(id).await {
            Err(error) if error.is_of_credential() && self.is_own(&id.to_string()) => Ok(()),
            deletion => deletion.map(drop),
        }
    }

    pub(super) fn by_our_clock(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        time - self.platform.clock().offset()
    }

    /// Whether the token that is held is another user's than the one that the API is called as.
    async fn is_of_another(&self, held: &Secret, user: &User) -> Result<bool, PlatformError> {
        if self.platform.acts_with(held) {
            return Ok(false);
        }
        Ok(match self.caller.username {
            Some(name) => name != user.username,
            None => self.me().await?.id != user.id,
        })
    }

    /// Whether it has been deleted since it was accepted: another run was quicker.
    async fn is_dead(&self, token: &Secret) -> Result<bool, PlatformError> {
        Ok(matches!(self.platform.status(token).await?, Status::Refused(_)))
    }

    fn is_as_wanted(&self, row: &TokenRow) -> bool {
        let NewToken { description, scope, application } = self.wanted;
        row.description == *description && row.has_scope(scope) && row.application == *application
    }

    /// The token is refused. Whether its noted row has ended, or is another token's by now: ids begin anew when a platform is installed again.
    async fn standing_of_refused(&self, held: &Secret, noted: Option<u64>) -> Result<Standing, PlatformError> {
        // Who is not let in learns nothing more.
        let Some(id) = noted.filter(|_| !self.platform.acts_with(held)) else { return Ok(Standing::default()) };
        let Some(row) = self.platform.token(id).await? else { return Ok(Standing::default()) };
        if row.expires > self.platform.clock().now() {
            self.strangers.borrow_mut().insert(id.to_string());
            return Ok(Standing::default());
        }
        Ok(self.standing_of(&row))
    }

    fn standing_of(&self, row: &TokenRow) -> Standing {
        Standing {
            works: false,
            id: Some(row.id.to_string()),
            issued_at: Some(self.by_our_clock(row.created)),
            expires_at: Some(self.by_our_clock(row.expires)),
            has_drifted: !self.is_as_wanted(row),
            ..Standing::default()
        }
    }

    fn issued(&self, created: Created) -> Token {
        let Created { token, refresh_token, row } = created;
        self.task.learn(&token);
        if let Some(refresh_token) = refresh_token {
            self.task.learn(&refresh_token);
            self.refresh_token.replace(Some(refresh_token));
        }
        Token {
            secret: token,
            id: Some(row.id.to_string()),
            issued_at: Some(self.by_our_clock(row.created)),
            expires_at: Some(self.by_our_clock(row.expires)),
        }
    }
}

impl System for KeptToken<'_> {
    type Error = TokenError;

    async fn look(&self, held: Option<&Secret>, note: Option<&Note>) -> Result<Standing, TokenError> {
        let Some(held) = held else { return Ok(Standing::default()) };
        if self.caller.acts_as_held {
            // Another run may have renewed it since this one read it.
            self.platform.act_as(Credential::Token(held.clone()));
        }
        let noted = note.and_then(|note| note.id_of(&held.fingerprint())).and_then(|id| id.parse().ok());
        let user = match self.platform.status(held).await? {
            Status::Refused(_) => return Ok(self.standing_of_refused(held, noted).await?),
            Status::Accepted(user) => user,
        };
        let works = Standing { works: true, ..Standing::default() };
        let user = match user {
            Some(user) => user,
            None => self.me().await?.clone(),
        };
        if self.is_of_another(held, &user).await? {
            self.nameless.replace(Some(Nameless::OfAnother(user.username)));
            return Ok(Standing { has_drifted: true, is_anothers: true, ..works });
        }
        let row = match self.row(held, noted, &user).await {
            Err(error) if error.is_of_credential() && self.is_dead(held).await? => return Ok(Standing::default()),
            row => row?,
        };
        let Some(row) = row else {
            self.nameless.replace(Some(Nameless::NotShown));
            return Ok(works);
        };
        if self.platform.acts_with(held) {
            self.own_id.replace(Some(row.id.to_string()));
        }
        Ok(Standing { works: true, ..self.standing_of(&row) })
    }

    async fn issue(&self) -> Result<Token, TokenError> {
        Ok(self.issued(self.platform.create(self.wanted).await?))
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, TokenError> {
        Ok(match self.platform.status(token).await? {
            Status::Accepted(_) => {
                self.proven.replace(Some(token.clone()));
                Proof::Works
            }
            Status::Refused(why) => Proof::Refused(why),
        })
    }
}

impl Overlap for KeptToken<'_> {
    async fn retire(&self, id: &str) -> Result<(), TokenError> {
        if self.strangers.borrow().contains(id) {
            return Ok(());
        }
        let number = id.parse().map_err(|_| TokenError::NoId(id.to_owned()))?;
        // A token that changes nothing cannot delete itself either, so where the new one may not write, the old one deletes itself.
        if self.is_own(id)
            && self.wanted.scope.split(' ').any(|scope| scope == "write")
            && let Some(proven) = self.proven.borrow().clone()
        {
            self.platform.act_as(Credential::Token(proven));
            self.own_id.take();
        }
        self.delete(number).await?;
        Ok(())
    }

    /// Those of this user and as the task wants them that were created while a request of ours can have been under way. Two hosts with one description
    /// can meet here, which is why each should have its own.
    async fn orphans(&self, since: DateTime<Utc>) -> Result<Vec<String>, TokenError> {
        let offset = self.platform.clock().offset();
        // Offsets below two seconds are not seen.
        let (from, until) = (since + offset - SLACK, since + offset + self.request_timeout + LATEST_ARRIVAL);
        let mut rows = self.platform.tokens(self.me().await?, Some(from)).await?;
        rows.retain(|row| self.is_as_wanted(row) && (from..until).contains(&row.created));
        Ok(rows.into_iter().map(|row| row.id.to_string()).collect())
    }
}

/// Why there is no token.
#[derive(Debug, Error)]
pub(super) enum TokenError {
    #[error("{0} is no id of a token; the note beside dest is damaged, remove it")]
    NoId(String),
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl SystemError for TokenError {
    fn may_have_acted(&self) -> bool {
        match self {
            Self::NoId(_) => false,
            Self::Platform(error) => error.may_have_acted(),
        }
    }
}

const SLACK: TimeDelta = TimeDelta::seconds(2);
