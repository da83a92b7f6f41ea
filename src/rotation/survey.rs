//! What there is before anything is done: what the users have, what the system says of it, and what follows.

use chrono::{DateTime, Utc};

use super::decision::{Decision, Plan, issued_at};
use super::{Holding, Place, Policy, RotationError, Standing, System, Token};
use crate::secret::Secret;

pub(super) struct Survey {
    pub(super) holding: Holding,
    pub(super) standing: Standing,
    pub(super) decision: Decision,
}

impl Survey {
    /// Looks at both and decides. Changes nothing.
    pub(super) async fn make<S: System, P: Place>(
        system: &S,
        place: &P,
        policy: &Policy,
    ) -> Result<Self, RotationError> {
        let holding = place.look().await?;
        Self::of(holding, system, place, policy).await
    }

    /// The same again behind a lock, where another run was quicker. Where the place is as it was, nothing is asked again.
    pub(super) async fn again<S: System, P: Place>(
        self,
        system: &S,
        place: &P,
        policy: &Policy,
    ) -> Result<Self, RotationError> {
        let holding = place.look().await?;
        if holding == self.holding_as_seen(place) { Ok(self) } else { Self::of(holding, system, place, policy).await }
    }

    /// The token that the system accepts now, as far as it says so.
    pub(super) fn valid_token(&self) -> Option<&Secret> {
        let held = self.holding.token.as_ref().filter(|_| self.standing.works);
        self.standing.current.as_ref().map(|current| &current.secret).or(held)
    }

    /// When that token was issued.
    pub(super) fn issued_at(&self) -> Option<DateTime<Utc>> {
        issued_at(self.valid_token()?, &self.holding, &self.standing)
    }

    /// The token that the users have, with what is known of it.
    pub(super) fn held_token(&self) -> Option<Token> {
        let secret = self.holding.token.clone()?;
        let issued_at = issued_at(&secret, &self.holding, &self.standing);
        Some(Token { secret, id: self.standing.id.clone(), issued_at, expires_at: self.standing.expires_at })
    }

    async fn of<S: System, P: Place>(
        mut holding: Holding,
        system: &S,
        place: &P,
        policy: &Policy,
    ) -> Result<Self, RotationError> {
        let look = system.look(holding.token.as_ref(), holding.note.as_ref()).await;
        let mut standing = look.map_err(RotationError::refused)?;
        if !standing.works && standing.current.is_none() {
            standing.current = proven_left_behind(&holding, system).await;
        }
        if !place.lasts() {
            // Whoever reads the result has what the system shows.
            holding.token = standing.current.as_ref().map(|current| current.secret.clone());
            standing.works = holding.token.is_some();
        }
        let decision = policy.decide(&holding, &standing, Utc::now());
        Ok(Self { holding, standing, decision })
    }

    fn holding_as_seen<P: Place>(&self, place: &P) -> Holding {
        if place.lasts() { self.holding.clone() } else { Holding::default() }
    }
}

impl Decision {
    pub(super) fn is_nothing(&self) -> bool {
        self.plan == Plan::Nothing
    }
}

/// A token that a killed run had received and not put in place, where the system does not show tokens and accepts this one.
async fn proven_left_behind<S: System>(holding: &Holding, system: &S) -> Option<Token> {
    let left = holding.left_behind.clone().filter(|left| holding.token.as_ref() != Some(left))?;
    let proof = system.prove(&left).await.ok()?;
    (proof == super::Proof::Works).then(|| Token::new(left))
}
