//! An OAuth2 token as the rotation engine sees it: a new one lives beside the old one, which is deleted in the end.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;
use tokensmith::ansible::Task;
use tokensmith::rotation::{Note, Overlap, Proof, Standing, System, Token};
use tokensmith::secret::Secret;
use tokensmith::systems::SystemError;
use tokensmith::systems::platform::{
    Cause, Created, Credential, LATEST_ARRIVAL, NewToken, Platform, PlatformError, Status, TokenRow, User,
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
    /// Ids whose rows were seen to be of our tokens.
    ours: RefCell<BTreeSet<String>>,
    /// Ids that the note names, and under which there is no token, or somebody else's.
    gone: RefCell<BTreeSet<String>>,
    /// All tokens that the note names were created before this, by this host's clock.
    noted_until: Cell<Option<DateTime<Utc>>>,
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
            ours: RefCell::default(),
            gone: RefCell::default(),
            noted_until: Cell::default(),
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

    /// Whether there was no token of ours of this id to be deleted.
    pub(super) fn is_gone(&self, id: &str) -> bool {
        self.gone.borrow().contains(id)
    }

    /// Takes in how old the tokens are that a note names.
    pub(super) fn heed(&self, note: &Note) {
        self.noted_until.set(noted_until(note));
    }

    /// Whether the token that a note names is still there. Ids begin anew when a platform is installed again: a row that is younger than the note is
    /// somebody else's, and so is one that the caller may not see.
    pub(super) async fn is_still_ours(&self, id: u64) -> Result<bool, PlatformError> {
        let row = match self.platform.token(id).await {
            Err(error) if error.cause() == Some(Cause::NotAllowed) => None,
            row => row?,
        };
        let is_ours = row.as_ref().is_some_and(|row| self.is_as_old_as_noted(row));
        let known = if is_ours { &self.ours } else { &self.gone };
        known.borrow_mut().insert(id.to_string());
        Ok(is_ours)
    }

    fn is_as_old_as_noted(&self, row: &TokenRow) -> bool {
        self.noted_until.get().is_none_or(|until| self.by_our_clock(row.created) <= until)
    }

    /// Finds out which of these are gone.
    pub(super) async fn look_for(&self, ids: &[String]) -> Result<(), PlatformError> {
        for id in ids.iter().filter(|id| !self.ours.borrow().contains(*id) && !self.is_gone(id)) {
            if let Ok(number) = id.parse() {
                self.is_still_ours(number).await?;
            }
        }
        Ok(())
    }

    /// Whether the API is called with the token of this id, which was looked at.
    pub(super) fn is_own(&self, id: &str) -> bool {
        self.own_id.borrow().as_deref() == Some(id)
    }

    /// Finds out which token the API is called with, where it can be any of the user's.
    pub(super) async fn find_own(&self) -> Result<(), PlatformError> {
        if self.own_id.borrow().is_some() {
            return Ok(());
        }
        let row = self.platform.own_row(self.me().await?).await?;
        self.own_id.replace(row.map(|row| row.id.to_string()));
        Ok(())
    }

    /// Whether the API is called with the very token that is kept.
    pub(super) fn acts_as_held(&self) -> bool {
        self.caller.acts_as_held
    }

    /// The refresh token that came with the new token.
    pub(super) fn refresh_token(&self) -> Option<Secret> {
        self.refresh_token.borrow().clone()
    }

    /// The row of a token that works, by its noted id, or by what the platform shows.
    async fn row(&self, token: &Secret, noted: Option<u64>, user: &User) -> Result<Option<TokenRow>, PlatformError> {
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
        let row = match self.platform.token(id).await {
            Err(error) if error.cause() == Some(Cause::NotAllowed) => None,
            row => row?,
        };
        let Some(row) = row.filter(|row| row.expires <= self.platform.clock().now()) else {
            self.gone.borrow_mut().insert(id.to_string());
            return Ok(Standing::default());
        };
        Ok(self.standing_of(&row))
    }

    fn standing_of(&self, row: &TokenRow) -> Standing {
        self.ours.borrow_mut().insert(row.id.to_string());
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
        self.ours.borrow_mut().insert(row.id.to_string());
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
        if let Some(note) = note {
            self.heed(note);
        }
        let Some(held) = held else { return Ok(Standing::default()) };
        self.task.learn(held);
        self.nameless.replace(None);
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

    /// The row of its id tells whether it is accepted.
    async fn look_by_note(&self, held: &str, note: &Note) -> Result<Standing, TokenError> {
        self.heed(note);
        self.nameless.replace(None);
        let Some(id) = note.id_of(held).and_then(|id| id.parse::<u64>().ok()) else {
            return Ok(Standing { works: true, ..Standing::default() });
        };
        let row = match self.platform.token(id).await {
            Err(error) if error.cause() == Some(Cause::NotAllowed) => {
                return Ok(Standing { works: true, has_drifted: true, is_anothers: true, ..Standing::default() });
            }
            row => row?,
        };
        let Some(row) = row.filter(|row| self.is_as_old_as_noted(row)) else {
            self.gone.borrow_mut().insert(id.to_string());
            return Ok(Standing::default());
        };
        Ok(Standing { works: row.expires > self.platform.clock().now(), ..self.standing_of(&row) })
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
        let number = id.parse().map_err(|_| TokenError::NoId(id.to_owned()))?;
        let is_ours = self.ours.borrow().contains(id);
        if self.is_gone(id) || (!is_ours && !self.is_still_ours(number).await?) {
            return Ok(());
        }
        // A token that changes nothing cannot delete itself either, so where the new one may not write, the old one deletes itself.
        if self.is_own(id)
            && self.wanted.has_scope("write")
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
        let me = self.me().await?;
        // Known by now, as something was answered. Offsets below two seconds are not seen.
        let offset = self.platform.clock().offset();
        let (from, until) = (since + offset - SLACK, since + offset + self.request_timeout + LATEST_ARRIVAL);
        let mut rows = self.platform.tokens(me, Some(from)).await?;
        rows.retain(|row| self.is_as_wanted(row) && (from..until).contains(&row.created));
        let ids: Vec<String> = rows.into_iter().map(|row| row.id.to_string()).collect();
        self.ours.borrow_mut().extend(ids.iter().cloned());
        Ok(ids)
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

/// When the youngest token was created that a note can name.
fn noted_until(note: &Note) -> Option<DateTime<Utc>> {
    let next = note.next.as_ref().and_then(|next| next.rotated_at);
    let latest = note.rotated_at.max(next).max(note.under_way().max())?;
    latest.checked_add_signed(CLOCKS_DIFFER)
}

const SLACK: TimeDelta = TimeDelta::seconds(2);
/// By so much this host's clock may have been wrong when the note was written.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::days(1);
