//! The order for systems in which tokens live side by side: write down the intention, issue, prove, hand over, retire the old, prove it dead.
//!
//! Until the new token is with its users the old one is untouched: whatever fails before that, the new one is retired and the old one stays.

use chrono::{DateTime, TimeDelta, Utc};

use super::steps::{Doubt, HandedOver, Intended, Issued, Ready, Unproven};
use super::survey::Survey;
use super::{Overlap, Place, Plan, Proof, Retiring, Rotate, Rotation, RotationError};
use crate::systems::SystemError;

impl<S: Overlap, P: Place> Rotate<'_, S, P> {
    /// Brings a working token to its users, with a new one issued where it takes that. The old one is retired after `grace`.
    pub async fn overlap(&self, grace: TimeDelta) -> Result<Rotation, RotationError> {
        let survey = self.survey().await?;
        if survey.decision.is_nothing() && !survey.has_leftovers(Utc::now()) {
            return Ok(Rotation::nothing_to_do(&survey));
        }
        if self.check_mode {
            self.place.check_writable().await?;
            return Ok(Rotation::forecast(&survey));
        }
        let lock = self.place.lock().await?;
        // While this run waited, another may have done the work.
        let survey = survey.again(self.system, self.place, self.policy).await?;
        let mut rotation = Rotation::begun(&survey);
        let left = self.retire_leftovers(&survey, &mut rotation).await?;
        let ready = match &survey.decision.plan {
            Plan::Nothing => return Ok(self.with_leftovers(&lock, &survey, left, rotation).await),
            Plan::HandOver(_) | Plan::Issue => Ready::reserve(self.place, &lock, self.subject, &survey).await?,
        };
        if let Plan::HandOver(token) = survey.decision.plan {
            rotation.settle(ready.with_known(token).hand_over(left).await.map(HandedOver::into_token));
            return Ok(rotation);
        }
        let issued = self.issue_side_by_side(ready.intend(&survey).await?, &survey).await?;
        let proven = match issued.prove(self.system).await {
            Ok(proven) => proven,
            Err(unproven) => return Err(self.give_up(unproven).await),
        };
        rotation.issued = true;
        let old = survey.standing.id.clone().filter(|_| survey.standing.works);
        let mut retiring = left;
        retiring.extend(old.map(|id| Retiring { id, not_before: due(grace) }));
        match proven.hand_over(retiring.clone()).await {
            Ok(done) => self.retire_old(done, &survey, retiring, &mut rotation).await,
            Err(failed) => return Err(self.take_back(failed.token.id, RotationError::HandOver(failed.why)).await),
        }
        Ok(rotation)
    }

    /// Has the token issued. When the answer is lost, whatever came of the request is retired: nobody has it.
    async fn issue_side_by_side<'p>(
        &self,
        intended: Intended<'p, P>,
        survey: &Survey,
    ) -> Result<Issued<'p, P>, RotationError> {
        let (intended, error) = match intended.issue(self.system).await {
            Ok(issued) => return Ok(issued),
            Err(failed) => failed,
        };
        if !error.may_have_acted() {
            intended.withdraw().await;
            return Err(RotationError::refused(error));
        }
        // The note stays: the request may still be on its way, and then the next run finds what came of it.
        match self.retire_orphans(intended.since(), survey).await {
            Ok(_) => Err(RotationError::NotIssued(Box::new(error))),
            Err(second) => Err(RotationError::Unknown { issue: Box::new(error), read_back: second.to_string() }),
        }
    }

    /// The new token is of no use. The old one stays where it is.
    async fn give_up(&self, unproven: Unproven<'_, P, S::Error>) -> RotationError {
        let why = match unproven.why {
            Doubt::Refused(why) => RotationError::NotAccepted(why),
            Doubt::NotAsked(error) => RotationError::Unproven(error.to_string()),
            Doubt::Contended => RotationError::Contended,
        };
        self.take_back(unproven.issued.into_token().id, why).await
    }

    /// Retires a new token that did not get to its users. Where that fails, the note of the intention makes the next run find it.
    async fn take_back(&self, id: Option<String>, why: RotationError) -> RotationError {
        let Some(id) = id else { return why };
        match self.system.retire(&id).await {
            Ok(()) => why,
            Err(error) => RotationError::NotTakenBack { id, error: error.to_string(), why: Box::new(why) },
        }
    }

    /// The new token stands. Failing here changes nothing about that: the old one is left to the next run.
    async fn retire_old(
        &self,
        mut done: HandedOver<'_, P>,
        survey: &Survey,
        retiring: Vec<Retiring>,
        rotation: &mut Rotation,
    ) {
        rotation.settle(Ok(done.token().clone()));
        let now = Utc::now();
        let mut left = Vec::new();
        for old in retiring {
            if old.not_before.is_some_and(|time| time > now) {
                left.push(old);
                continue;
            }
            let secret = survey.holding.token.as_ref().filter(|_| survey.standing.id.as_ref() == Some(&old.id));
            match self.retire_and_prove(&old.id, secret).await {
                Ok(()) => rotation.retired.push(old.id),
                Err(error) => {
                    rotation.error.get_or_insert(error);
                    left.push(old);
                }
            }
        }
        rotation.left = left.iter().map(|old| old.id.clone()).collect();
        if let Err(error) = done.remember(left).await {
            rotation.error.get_or_insert(error.into());
        }
    }

    async fn retire_and_prove(&self, id: &str, secret: Option<&crate::secret::Secret>) -> Result<(), RotationError> {
        let not_retired = |why: String| RotationError::NotRetired { id: id.to_owned(), why };
        self.system.retire(id).await.map_err(|error| not_retired(error.to_string()))?;
        let Some(secret) = secret else { return Ok(()) };
        match self.system.prove(secret).await {
            Ok(Proof::Refused(_)) => Ok(()),
            Ok(Proof::Works) => Err(not_retired("the system says that it was, and accepts it all the same".to_owned())),
            Err(error) => Err(not_retired(format!("that it is dead could not be proven: {error}"))),
        }
    }

    /// What earlier runs left: tokens that nobody got, and old ones whose time has come. Returns what is still to be retired.
    async fn retire_leftovers(&self, survey: &Survey, rotation: &mut Rotation) -> Result<Vec<Retiring>, RotationError> {
        let Some(note) = &survey.holding.note else { return Ok(Vec::new()) };
        if let Some(since) = note.under_way_since {
            let found = self.retire_orphans(since, survey).await;
            rotation.retired.extend(found.map_err(|error| RotationError::Leftovers(error.to_string()))?);
        }
        let now = Utc::now();
        let mut left = Vec::new();
        for old in note.retiring.iter().cloned().chain(survey.replaced_by_a_killed_run()) {
            // What the users have again is not retired, whoever brought it back.
            if survey.standing.id.as_ref() == Some(&old.id) {
                continue;
            }
            if old.not_before.is_some_and(|time| time > now) {
                left.push(old);
            } else {
                let retired = self.system.retire(&old.id).await;
                retired.map_err(|error| RotationError::Leftovers(error.to_string()))?;
                rotation.retired.push(old.id);
            }
        }
        Ok(left)
    }

    async fn retire_orphans(&self, since: DateTime<Utc>, survey: &Survey) -> Result<Vec<String>, S::Error> {
        let mut orphans = self.system.orphans(since).await?;
        orphans.retain(|id| survey.standing.id.as_ref() != Some(id));
        for id in &orphans {
            self.system.retire(id).await?;
        }
        Ok(orphans)
    }

    /// The token is good, and only what earlier runs left was cleared away.
    async fn with_leftovers(
        &self,
        lock: &P::Lock,
        survey: &Survey,
        left: Vec<Retiring>,
        mut rotation: Rotation,
    ) -> Rotation {
        let note = survey.holding.note.clone().unwrap_or_default();
        rotation.left = left.iter().map(|old| old.id.clone()).collect();
        let note = super::Note { under_way_since: None, retiring: left, ..note };
        if let Err(error) = self.place.write_note(lock, &note).await {
            rotation.error = Some(error.into());
        }
        rotation
    }
}

impl Survey {
    /// Whether an earlier run left something that can be put right now.
    fn has_leftovers(&self, now: DateTime<Utc>) -> bool {
        self.holding.note.as_ref().is_some_and(|note| {
            note.under_way_since.is_some()
                || note.retiring.iter().any(|old| old.not_before.is_none_or(|time| time <= now))
        })
    }

    /// A run that was killed between handing over and retiring: the note is still its intention and names the token that was to be replaced.
    fn replaced_by_a_killed_run(&self) -> Option<Retiring> {
        let note = self.holding.note.as_ref().filter(|note| note.under_way_since.is_some())?;
        let held = self.holding.token.as_ref().filter(|_| self.standing.works)?.fingerprint();
        let id = note.id.clone().filter(|_| note.fingerprint.as_ref().is_some_and(|before| *before != held))?;
        Some(Retiring { id, not_before: None })
    }
}

fn due(grace: TimeDelta) -> Option<DateTime<Utc>> {
    (grace > TimeDelta::zero()).then(|| Utc::now() + grace)
}
