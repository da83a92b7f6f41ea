//! Decide: whether anything is to be done about a token, what, and why.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Holding, Reason, Standing, Token};

/// What a task asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// `state: rotated`: a new token, whatever is there.
    pub force: bool,
    /// A token that ends within this time is renewed.
    pub renew_before: Option<TimeDelta>,
    /// A token that is older than this is renewed.
    pub max_age: Option<TimeDelta>,
}

/// What is to be done, and why.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// What.
    pub plan: Plan,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// All is well.
    Nothing,
    /// There is a good token, which only has to be brought to its users.
    HandOver(Token),
    /// A new token is to be issued.
    Issue,
}

impl Policy {
    /// Decides by what the users have and what the system says of it.
    pub fn decide(&self, holding: &Holding, standing: &Standing, now: DateTime<Utc>) -> Decision {
        let reason = self.reason(holding, standing, now);
        let plan = match reason {
            Reason::Valid => Plan::Nothing,
            Reason::Missing | Reason::Dead | Reason::Expired => match known(holding, standing) {
                Some(token) if self.is_good(&token, holding, standing, now) => Plan::HandOver(token),
                _ => Plan::Issue,
            },
            Reason::Drifted if !standing.has_drifted => held_again(holding, standing),
            _ => Plan::Issue,
        };
        Decision { reason, plan }
    }

    fn reason(&self, holding: &Holding, standing: &Standing, now: DateTime<Utc>) -> Reason {
        if self.force {
            return Reason::Forced;
        }
        let Some(held) = holding.fingerprint().filter(|_| !holding.is_incomplete) else { return Reason::Missing };
        if standing.expires_at.is_some_and(|end| end <= now) {
            return Reason::Expired;
        }
        if !standing.works {
            return Reason::Dead;
        }
        if standing.has_drifted {
            return Reason::Drifted;
        }
        if let (Some(end), Some(left)) = (standing.expires_at, self.renew_before)
            && end - now <= left
        {
            return Reason::Expiring;
        }
        if self.is_aged(&held, holding, standing, now) {
            return Reason::Aged;
        }
        if holding.has_drifted { Reason::Drifted } else { Reason::Valid }
    }

    /// Whether a token that the system shows would do.
    fn is_good(&self, token: &Token, holding: &Holding, standing: &Standing, now: DateTime<Utc>) -> bool {
        let ends_soon = token.expires_at.is_some_and(|end| end - now <= self.renew_before.unwrap_or_default());
        !ends_soon && !self.is_aged(&token.secret.fingerprint(), holding, standing, now)
    }

    /// A token of unknown age is too old: nothing says that it is not.
    fn is_aged(&self, token: &str, holding: &Holding, standing: &Standing, now: DateTime<Utc>) -> bool {
        let Some(max_age) = self.max_age else { return false };
        let noted = || holding.note.as_ref()?.not_issued_before(token);
        let issued_at = issued_at(token, holding, standing).or_else(|| standing.not_issued_before.max(noted()));
        issued_at.is_none_or(|issued_at| now - issued_at > max_age)
    }
}

/// When a token was issued: the system knows best, then what an earlier run noted.
pub(super) fn issued_at(token: &str, holding: &Holding, standing: &Standing) -> Option<DateTime<Utc>> {
    let shown = standing.current.as_ref().filter(|current| current.secret.fingerprint() == token);
    let held = holding.fingerprint().filter(|held| held == token);
    shown
        .and_then(|current| current.issued_at)
        .or_else(|| held.and(standing.issued_at))
        .or_else(|| holding.note.as_ref()?.issued_at(token))
}

/// The token that the system shows, with what an earlier run noted of it.
fn known(holding: &Holding, standing: &Standing) -> Option<Token> {
    let token = standing.current.clone()?;
    let issued_at = issued_at(&token.secret.fingerprint(), holding, standing);
    Some(Token { issued_at, ..token })
}

fn held_again(holding: &Holding, standing: &Standing) -> Plan {
    match &holding.token {
        Some(secret) => Plan::HandOver(Token {
            secret: secret.clone(),
            id: standing.id.clone(),
            issued_at: issued_at(&secret.fingerprint(), holding, standing),
            expires_at: standing.expires_at,
        }),
        None => Plan::Issue,
    }
}
