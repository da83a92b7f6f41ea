//! What a rotation came to.

use chrono::{DateTime, Utc};

use super::decision::Plan;
use super::steps::{HandedOver, NotHandedOver};
use super::survey::Survey;
use super::{Place, Reason, RotationError, Token};

/// What a rotation came to, also when it failed half-way.
#[derive(Debug)]
pub struct Rotation {
    /// Why something was done, or that nothing had to be.
    pub reason: Reason,
    /// The token that was there before, for those who may know of it: fingerprint and dates.
    pub before: Option<Trace>,
    /// The token that is valid now. In a forecast of a new one there is none.
    pub token: Option<Token>,
    /// What may be shown of it. Of a token in a place that shows no secrets, this is all that is known.
    pub trace: Option<Trace>,
    /// A new token was issued (in check mode: would be).
    pub issued: bool,
    /// A token was brought to its users (in check mode: would be).
    pub handed_over: bool,
    /// The answer that brought the token was lost, and the token was found by asking.
    pub recovered: bool,
    /// Somebody else had a token issued at the same time, and theirs is the valid one.
    pub overtaken: bool,
    /// An earlier run asked for a token at this time and did not live to see what came of it. Its token, if there was one, is lost: the system does not
    /// show tokens, and the one that the users had is dead.
    pub lost_since: Option<DateTime<Utc>>,
    /// Old tokens that were retired (in check mode: would be), as the system names them.
    pub retired: Vec<String>,
    /// Old tokens that are still accepted.
    pub left: Vec<String>,
    /// What went wrong after something was done.
    pub error: Option<RotationError>,
    /// Unless the token is handed over, it exists nowhere but in this process.
    pub(super) is_only_copy: bool,
}

/// A token as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its fingerprint.
    pub fingerprint: String,
    /// How the system names it.
    pub id: Option<String>,
    /// When it was issued, where that is known.
    pub issued_at: Option<DateTime<Utc>>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Rotation {
    /// The token exists nowhere but in this process: it must go into the result.
    pub fn is_stranded(&self) -> bool {
        self.is_only_copy && self.token.is_some() && !self.handed_over
    }

    pub(super) fn begun(survey: &Survey) -> Self {
        Self {
            reason: survey.decision.reason,
            before: survey.held(),
            token: survey.held_token(),
            trace: survey.held(),
            issued: false,
            handed_over: false,
            recovered: false,
            overtaken: false,
            lost_since: None,
            retired: Vec::new(),
            left: survey.retiring().iter().map(|old| old.id.clone()).collect(),
            error: None,
            is_only_copy: false,
        }
    }

    pub(super) fn nothing_to_do(survey: &Survey) -> Self {
        Self::begun(survey)
    }

    /// What a run would do.
    pub(super) fn forecast(survey: &Survey) -> Self {
        let begun = Self::begun(survey);
        match &survey.decision.plan {
            Plan::Nothing => begun,
            Plan::HandOver(token) => {
                Self { token: Some(token.clone()), trace: Some(Trace::of(token)), handed_over: true, ..begun }
            }
            Plan::Issue => Self { token: None, trace: None, issued: true, handed_over: true, ..begun },
        }
    }

    /// Notes how the hand-over ended.
    pub(super) fn settle<P: Place>(&mut self, handed_over: Result<HandedOver<'_, P>, NotHandedOver>) {
        match handed_over {
            Ok(done) => {
                let (token, not_noted) = done.into_parts();
                self.take(token);
                self.handed_over = true;
                self.fail_with(not_noted.map(RotationError::NotNoted));
            }
            Err(failed) => {
                self.take(failed.token);
                self.fail_with(Some(RotationError::HandOver(failed.why)));
            }
        }
    }

    fn take(&mut self, token: Token) {
        self.trace = Some(Trace::of(&token));
        self.token = Some(token);
    }

    /// Notes what went wrong. The first thing counts: what follows may be its consequence.
    pub(super) fn fail_with(&mut self, error: Option<RotationError>) {
        self.error = self.error.take().or(error);
    }
}

impl Trace {
    /// What may be shown of a token.
    pub fn of(token: &Token) -> Self {
        let Token { secret, id, issued_at, expires_at } = token;
        Self { fingerprint: secret.fingerprint(), id: id.clone(), issued_at: *issued_at, expires_at: *expires_at }
    }
}
