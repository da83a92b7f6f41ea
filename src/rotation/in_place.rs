//! The order for systems in which a new token kills the old one: write down the intention, issue, read back, prove, hand over.
//!
//! From the moment of issuing the old token is dead. So all that can fail is tried before, nothing is sent twice, and what came of a request is found
//! out by asking for the token that is valid now.

use futures_util::future::join;

use super::steps::{Doubt, Intended, Issued, Proven, Ready, Unproven};
use super::{InPlace, Place, Plan, Proof, ReadBack, Rotate, Rotation, RotationError, Token};
use crate::secret::Secret;
use crate::systems::SystemError;

impl<S: InPlace, P: Place> Rotate<'_, S, P> {
    /// Brings a working token to its users, with a new one issued where it takes that.
    pub async fn in_place(&self) -> Result<Rotation, RotationError> {
        let survey = self.survey().await?;
        if survey.decision.is_nothing() {
            return Ok(self.nothing_to_do(&survey));
        }
        if self.check_mode {
            self.place.check_writable().await?;
            return Ok(Rotation::forecast(&survey));
        }
        if survey.decision.plan == Plan::Issue {
            self.place.wait_until_idle().await?;
        }
        let lock = self.place.lock().await?;
        // While this run waited, another may have done the work.
        let survey = survey.again(self).await?;
        let plan = survey.decision.plan.clone();
        if plan == Plan::Nothing {
            return Ok(Rotation::nothing_to_do(&survey));
        }
        let ready = Ready::reserve(self, &lock, survey.holding.note.clone().unwrap_or_default(), Vec::new()).await?;
        let mut rotation = Rotation::begun(&survey);
        if let Plan::HandOver(token) = plan {
            rotation.is_only_copy = survey.was_left_behind(&token);
            self.hand_over_known(ready.with_known(token), &mut rotation).await;
            return Ok(rotation);
        }
        rotation.lost_since = survey.lost_since();
        let intended = ready.intend(&survey).await?;
        let before = survey.valid_token().map(|token| token.fingerprint);
        let mut issued = self.issue(intended, before.as_deref(), &mut rotation).await?;
        if !self.system.shows_tokens() {
            issued.put_aside().await;
        }
        rotation.issued = true;
        rotation.is_only_copy = true;
        self.confirm_and_hand_over(issued, &mut rotation).await;
        Ok(rotation)
    }

    /// Brings a token to its users that was the valid one when it was looked at. That was before the wait for the lock, so it is asked once more.
    async fn hand_over_known(&self, known: Proven<'_, P>, rotation: &mut Rotation) {
        let (shown, proof) = self.ask_about(known.token()).await;
        match shown {
            Ok(ReadBack::Token(valid)) if valid.secret != known.token().secret => {
                rotation.overtaken = true;
                rotation.settle(known.replaced_by(valid).hand_over(Vec::new(), self.is_valid()).await);
            }
            _ => {
                rotation.settle(known.hand_over(Vec::new(), self.is_valid()).await);
                if let Ok(Proof::Refused(why)) = proof {
                    rotation.fail_with(Some(RotationError::NotAccepted(why)));
                }
            }
        }
    }

    /// Has the token issued. When the answer is lost, the token that is valid now tells what became of the request.
    async fn issue<'p>(
        &self,
        intended: Intended<'p, P>,
        before: Option<&str>,
        rotation: &mut Rotation,
    ) -> Result<Issued<'p, P>, RotationError> {
        let (intended, error) = match intended.issue(self.system).await {
            Ok(issued) => return Ok(issued),
            Err(failed) => failed,
        };
        if !error.may_have_acted() {
            intended.withdraw().await;
            return Err(RotationError::refused(error));
        }
        match self.system.read_back().await {
            Ok(ReadBack::Token(token)) if Some(token.secret.fingerprint().as_str()) != before => {
                rotation.recovered = true;
                Ok(intended.issued(token))
            }
            // The note stays: the request may still be on its way.
            Ok(ReadBack::Token(_) | ReadBack::None) => Err(RotationError::NotIssued(Box::new(error))),
            Ok(ReadBack::NotShown) => Err(RotationError::Lost(Box::new(error))),
            Err(second) => Err(RotationError::Unknown { issue: Box::new(error), read_back: second.to_string() }),
        }
    }

    /// Makes sure that the token is the valid one, and brings it to its users. Where somebody else had another one issued meanwhile, theirs is.
    async fn confirm_and_hand_over(&self, mut issued: Issued<'_, P>, rotation: &mut Rotation) {
        for _ in 0..MOST_OVERTAKEN {
            let (shown, proof) = self.ask_about(issued.token()).await;
            if let Ok(ReadBack::Token(valid)) = shown
                && valid.secret != issued.token().secret
            {
                rotation.overtaken = true;
                issued = issued.replaced_by(valid);
                continue;
            }
            match issued.proven_by(proof) {
                Ok(proven) => rotation.settle(proven.hand_over(Vec::new(), self.is_valid()).await),
                Err(unproven) => Self::hand_over_in_doubt(unproven, rotation).await,
            }
            return;
        }
        Self::hand_over_in_doubt(Unproven { issued, why: Doubt::Contended }, rotation).await;
    }

    /// Of two tokens the valid one is to be in place, whoever had it issued.
    fn is_valid(&self) -> impl AsyncFn(&Secret) -> bool {
        async |token: &Secret| matches!(self.system.prove(token).await, Ok(Proof::Works))
    }

    /// Which token the system shows, and what it says to this one. Where it refuses that, somebody else may have come between the two questions, so what
    /// it shows is asked once more.
    async fn ask_about(&self, token: &Token) -> (Result<ReadBack, S::Error>, Result<Proof, S::Error>) {
        let (shown, proof) = join(self.system.read_back(), self.system.prove(&token.secret)).await;
        match proof {
            Ok(Proof::Refused(_)) => (self.system.read_back().await, proof),
            _ => (shown, proof),
        }
    }

    /// The old token is dead already. So the new one goes to its users, and the run fails.
    async fn hand_over_in_doubt(unproven: Unproven<'_, P, S::Error>, rotation: &mut Rotation) {
        let why = match &unproven.why {
            Doubt::Refused(why) => RotationError::NotAccepted(why.clone()),
            Doubt::NotAsked(error) => RotationError::Unproven(error.to_string()),
            Doubt::Contended => RotationError::Contended,
        };
        let handed_over = unproven.hand_over_as_the_best_there_is().await;
        rotation.settle(handed_over);
        rotation.fail_with(Some(why));
    }
}

/// Others that rotate the same token at the same time: after so many of them the run gives up telling which one is valid.
const MOST_OVERTAKEN: usize = 5;
