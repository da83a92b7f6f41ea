//! What there is before anything is done: what the users have, what the system says of it, and what follows.

use chrono::{DateTime, Utc};

use super::decision::{Decision, Plan, issued_at};
use super::{Holding, Note, Place, Retiring, Rotate, RotationError, Standing, System, Token, Trace};

pub(super) struct Survey {
    /// What the place holds, with as much of the note as counts for this task.
    pub(super) holding: Holding,
    pub(super) standing: Standing,
    pub(super) decision: Decision,
    /// The place as it was found.
    found: Holding,
}

impl Survey {
    /// Looks at both and decides. Changes nothing.
    pub(super) async fn make<S: System, P: Place>(task: &Rotate<'_, S, P>) -> Result<Self, RotationError> {
        let found = task.place.look().await?;
        Self::of(found, task).await
    }

    /// The same again behind a lock, where another run was quicker. Where the place is as it was, nothing is asked again.
    pub(super) async fn again<S: System, P: Place>(self, task: &Rotate<'_, S, P>) -> Result<Self, RotationError> {
        let found = task.place.look().await?;
        if found == self.found { Ok(self) } else { Self::of(found, task).await }
    }

    /// The token that the system accepts now, as far as it says so.
    pub(super) fn valid_token(&self) -> Option<Trace> {
        let Some(current) = &self.standing.current else { return self.held().filter(|_| self.standing.works) };
        let current = Trace::of(current);
        let issued_at = issued_at(&current.fingerprint, &self.holding, &self.standing);
        Some(Trace { issued_at, ..current })
    }

    /// What is known of the token that the users have.
    pub(super) fn held(&self) -> Option<Trace> {
        let fingerprint = self.holding.fingerprint()?;
        let issued_at = issued_at(&fingerprint, &self.holding, &self.standing);
        Some(Trace { fingerprint, id: self.standing.id.clone(), issued_at, expires_at: self.standing.expires_at })
    }

    /// The token that the users have, where it can be shown.
    pub(super) fn held_token(&self) -> Option<Token> {
        let secret = self.holding.token.clone()?;
        let Trace { id, issued_at, expires_at, .. } = self.held()?;
        Some(Token { secret, id, issued_at, expires_at })
    }

    /// The token that the users have, or are about to get, without a new one being issued.
    pub(super) fn token_in_use(&self) -> Option<Trace> {
        match &self.decision.plan {
            Plan::HandOver(token) => Some(Trace::of(token)),
            Plan::Nothing | Plan::Issue => self.held().filter(|_| self.standing.works),
        }
    }

    /// Whether this is a token that a killed run had received and not put in place.
    pub(super) fn was_left_behind(&self, token: &Token) -> bool {
        self.holding.left_behind.as_ref() == Some(&token.secret)
    }

    /// When a request was sent of which nothing is known but that the users have no token that works.
    pub(super) fn lost_since(&self) -> Option<DateTime<Utc>> {
        let is_lost = !self.standing.works && self.standing.current.is_none();
        self.holding.note.as_ref().filter(|_| is_lost)?.under_way_since
    }

    /// What earlier runs left to be retired, as far as the note says.
    pub(super) fn retiring(&self) -> &[Retiring] {
        self.holding.note.as_ref().map_or(&[], |note| &note.retiring)
    }

    async fn of<S: System, P: Place>(found: Holding, task: &Rotate<'_, S, P>) -> Result<Self, RotationError> {
        let note = found.note.clone().and_then(|note| note.for_subject(task.subject));
        let held_note = note.clone().map(|note| note.caught_up_with(found.fingerprint().as_deref()));
        // Without a note that counts, nothing is known of a token that cannot be shown.
        let hidden = found.hidden.clone().filter(|_| held_note.is_some());
        let mut holding = Holding { note: held_note, hidden, ..found.clone() };
        let mut standing = look(&mut holding, task.system).await.map_err(RotationError::refused)?;
        standing.id = match standing.is_anothers {
            true => None,
            false => standing.id.or_else(|| holding.note.as_ref()?.id_of(&holding.fingerprint()?)),
        };
        if !standing.works && standing.current.is_none() {
            standing.current = left_behind(&holding, note, task.system).await;
        }
        if !task.place.lasts() {
            // Whoever reads the result has what the system shows.
            holding.token = standing.current.as_ref().map(|current| current.secret.clone());
            standing.works = holding.token.is_some();
        }
        let decision = task.policy.decide(&holding, &standing, Utc::now());
        Ok(Self { holding, standing, decision, found })
    }
}

impl Decision {
    pub(super) fn is_nothing(&self) -> bool {
        self.plan == Plan::Nothing
    }
}

/// What the system says of the token that is held. One that cannot be shown is known again where the system shows it.
async fn look<S: System>(holding: &mut Holding, system: &S) -> Result<Standing, S::Error> {
    let (None, Some(hidden), Some(note)) = (&holding.token, &holding.hidden, &holding.note) else {
        return system.look(holding.token.as_ref(), holding.note.as_ref()).await;
    };
    let mut standing = system.look_by_note(hidden, note).await?;
    if standing.expires_at.is_none() && note.fingerprint.as_ref() == Some(hidden) {
        standing.expires_at = note.expires_at;
    }
    if let Some(current) = &standing.current {
        standing.works = current.secret.fingerprint() == *hidden;
        holding.token = Some(current.secret.clone()).filter(|_| standing.works);
    }
    Ok(standing)
}

/// A token that a killed run had received and not put in place, where the system does not show tokens and accepts this one.
async fn left_behind<S: System>(holding: &Holding, note: Option<Note>, system: &S) -> Option<Token> {
    let secret = holding.left_behind.clone().filter(|left| holding.token.as_ref() != Some(left))?;
    let fingerprint = secret.fingerprint();
    let note = note.map(|note| note.caught_up_with(Some(&fingerprint)));
    let standing = system.look(Some(&secret), note.as_ref()).await.ok()?;
    let id = standing.id.or_else(|| note.as_ref()?.id_of(&fingerprint));
    let issued_at = standing.issued_at.or_else(|| note.as_ref()?.issued_at(&fingerprint));
    (standing.works && !standing.has_drifted).then_some(Token {
        secret,
        id,
        issued_at,
        expires_at: standing.expires_at,
    })
}
