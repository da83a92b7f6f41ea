//! The order for systems in which tokens live side by side: write down the intention, issue, write down what was issued, prove, hand over, retire the
//! old, prove it dead.
//!
//! Until the new token is with its users the old one is untouched: whatever fails before that, the new one is retired and the old one stays.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::steps::{Doubt, HandedOver, Intended, Issued, NotHandedOver, Ready, Unproven};
use super::survey::Survey;
use super::{Note, Overlap, Place, Plan, Proof, Retiring, Rotate, Rotation, RotationError, Trace};
use crate::secret::Secret;
use crate::systems::SystemError;

impl<S: Overlap, P: Place> Rotate<'_, S, P> {
    /// Brings a working token to its users, with a new one issued where it takes that. The old one is retired after `grace`.
    pub async fn overlap(&self, grace: TimeDelta) -> Result<Rotation, RotationError> {
        let survey = self.survey().await?;
        if survey.has_nothing_to_do(Utc::now()) {
            return Ok(self.nothing_to_do(&survey));
        }
        if self.check_mode {
            self.place.check_writable().await?;
            return Ok(self.forecast_overlap(&survey, grace).await);
        }
        let lock = self.place.lock().await?;
        // While this run waited, another may have done the work.
        let survey = survey.again(self).await?;
        let mut rotation = Rotation::begun(&survey);
        if survey.has_nothing_to_do(Utc::now()) {
            return Ok(rotation);
        }
        let note = self.clear_leftovers(&survey, &mut rotation).await;
        if survey.decision.is_nothing() {
            let written = self.place.write_note(&lock, &note).await;
            rotation.fail_with(written.err().map(RotationError::NotNoted));
            return Ok(rotation);
        }
        let (waiting, unknown) = (note.retiring.clone(), note.under_way().collect());
        let ready = Ready::reserve(self, &lock, note, unknown).await?;
        if let Plan::HandOver(token) = survey.decision.plan {
            rotation.settle(ready.with_known(token).hand_over(waiting, async |_: &Secret| false).await);
            return Ok(rotation);
        }
        self.replace(&survey, ready, waiting, grace, rotation).await
    }

    /// Replaces the token by a new one. The order is what this is about: see the types of the steps.
    async fn replace(
        &self,
        survey: &Survey,
        ready: Ready<'_, P>,
        waiting: Vec<Retiring>,
        grace: TimeDelta,
        mut rotation: Rotation,
    ) -> Result<Rotation, RotationError> {
        let old = survey.to_be_replaced(grace);
        let retiring: Vec<Retiring> = waiting.iter().chain(&old).cloned().collect();
        let issued = self.issue_side_by_side(ready.intend(survey).await?, survey).await?;
        let issued = match issued.announce(&retiring).await {
            Ok(issued) => issued,
            Err((issued, why)) => return Err(self.take_back(issued, why.into()).await),
        };
        let proven = match issued.prove(self.system).await {
            Ok(proven) => proven,
            Err(unproven) => return Err(self.give_up(unproven).await),
        };
        match proven.hand_over(retiring, async |_: &Secret| false).await {
            Ok(mut done) => {
                rotation.issued = true;
                self.retire_old(&mut done, survey, waiting, old, &mut rotation).await;
                rotation.settle(Ok(done));
                Ok(rotation)
            }
            Err(failed) => Err(self.not_handed_over(failed).await),
        }
    }

    /// What a run would do, also with what earlier runs left.
    async fn forecast_overlap(&self, survey: &Survey, grace: TimeDelta) -> Rotation {
        let leftovers = self.leftovers(survey).await;
        let old = survey.to_be_replaced(grace).filter(|_| survey.decision.plan == Plan::Issue);
        let (due, waiting): (Vec<_>, Vec<_>) = old.into_iter().partition(|old| old.is_due(Utc::now()));
        Rotation {
            retired: ids(leftovers.due.iter().chain(&due)),
            left: ids(leftovers.waiting.iter().chain(&waiting)),
            error: leftovers.error.map(RotationError::Leftovers),
            ..Rotation::forecast(survey)
        }
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
            Ok(Some(0)) => Err(RotationError::NotIssued(Box::new(error))),
            Ok(Some(_)) => Err(RotationError::TakenBack(Box::new(error))),
            Ok(None) => Err(RotationError::Unknown { issue: Box::new(error), read_back: NAMELESS.to_owned() }),
            Err(second) => Err(RotationError::Unknown { issue: Box::new(error), read_back: second.to_string() }),
        }
    }

    async fn retire_orphans(&self, since: DateTime<Utc>, survey: &Survey) -> Result<Option<usize>, S::Error> {
        let Some(orphans) = self.orphans(since, survey.token_in_use().as_ref()).await? else { return Ok(None) };
        for id in &orphans {
            self.system.retire(id).await?;
        }
        Ok(Some(orphans.len()))
    }

    /// The new token is of no use. The old one stays where it is.
    async fn give_up(&self, unproven: Unproven<'_, P, S::Error>) -> RotationError {
        let why = match unproven.why {
            Doubt::Refused(why) => RotationError::NotAccepted(why),
            Doubt::NotAsked(error) => RotationError::Unproven(error.to_string()),
            Doubt::Contended => RotationError::Contended,
        };
        self.take_back(unproven.issued, why).await
    }

    /// Where the users may have the new token all the same, it is left alone, and so is the old one: the next run sees which one they have.
    async fn not_handed_over(&self, failed: NotHandedOver) -> RotationError {
        let why = RotationError::HandOver(failed.why);
        if failed.may_have_arrived { why } else { self.retire_new(failed.token.id, why).await }
    }

    async fn take_back(&self, issued: Issued<'_, P>, why: RotationError) -> RotationError {
        self.retire_new(issued.into_token().id, why).await
    }

    /// Retires a new token that did not get to its users. Where that fails, the note makes the next run find it.
    async fn retire_new(&self, id: Option<String>, why: RotationError) -> RotationError {
        let Some(id) = id else { return why };
        match self.system.retire(&id).await {
            Ok(()) => why,
            Err(error) => RotationError::NotTakenBack { id, error: error.to_string(), why: Box::new(why) },
        }
    }

    /// The new token stands. Failing here changes nothing about that: the old one is left to the next run.
    async fn retire_old(
        &self,
        done: &mut HandedOver<'_, P>,
        survey: &Survey,
        mut waiting: Vec<Retiring>,
        old: Option<Retiring>,
        rotation: &mut Rotation,
    ) {
        if let Some(old) = old {
            let retired = match old.is_due(Utc::now()) {
                true => self.retire_and_prove(&old.id, survey.holding.token.as_ref()).await.map(|()| true),
                false => Ok(false),
            };
            match retired {
                Ok(true) => rotation.retired.push(old.id),
                still_accepted => {
                    rotation.fail_with(still_accepted.err());
                    waiting.push(old);
                }
            }
        }
        rotation.left = ids(&waiting);
        done.remember(waiting).await;
    }

    async fn retire_and_prove(&self, id: &str, secret: Option<&Secret>) -> Result<(), RotationError> {
        let not_retired = |why: String| RotationError::NotRetired { id: id.to_owned(), why };
        self.system.retire(id).await.map_err(|error| not_retired(error.to_string()))?;
        let Some(secret) = secret else { return Ok(()) };
        match self.system.prove(secret).await {
            Ok(Proof::Refused(_)) => Ok(()),
            Ok(Proof::Works) => Err(not_retired("the system says that it was, and accepts it all the same".to_owned())),
            Err(error) => Err(not_retired(format!("that it is dead could not be proven: {error}"))),
        }
    }

    /// Retires what earlier runs left: tokens that nobody got, and old ones whose time has come. Returns the note with what is still to be done.
    async fn clear_leftovers(&self, survey: &Survey, rotation: &mut Rotation) -> Note {
        let leftovers = self.leftovers(survey).await;
        rotation.fail_with(leftovers.error.map(RotationError::Leftovers));
        let mut waiting = leftovers.waiting;
        for old in leftovers.due {
            match self.system.retire(&old.id).await {
                Ok(()) => rotation.retired.push(old.id),
                Err(error) => {
                    rotation.fail_with(Some(RotationError::Leftovers(error.to_string())));
                    waiting.push(old);
                }
            }
        }
        rotation.left = ids(&waiting);
        let note = survey.holding.note.clone().unwrap_or_default();
        Note { retiring: waiting, next: None, ..note }.with_under_way(leftovers.unknown)
    }

    /// What earlier runs left: what the note lists, the token that a killed run had just been given, and those that nobody was given. What the users
    /// have is not among it, whoever brought it back to them. Asks, and changes nothing.
    async fn leftovers(&self, survey: &Survey) -> Leftovers {
        let Some(note) = &survey.holding.note else { return Leftovers::default() };
        let in_use = survey.token_in_use();
        let mut found: Vec<Retiring> = note.retiring.iter().cloned().chain(note.issued_and_not_noted()).collect();
        let mut leftovers = Leftovers::default();
        for since in note.under_way() {
            if leftovers.error.is_some() {
                leftovers.unknown.push(since);
                continue;
            }
            match self.orphans(since, in_use.as_ref()).await {
                Ok(Some(ids)) => found.extend(ids.into_iter().map(Retiring::at_once)),
                Ok(None) => leftovers.unknown.push(since),
                Err(error) => {
                    leftovers.unknown.push(since);
                    leftovers.error = Some(error.to_string());
                }
            }
        }
        found.retain(|old| !in_use.as_ref().is_some_and(|token| old.is(token)));
        let is_elsewhere = |old: &Retiring| old.fingerprint.is_some() && old.fingerprint == survey.holding.elsewhere;
        // What the note says of a token counts more than what was found by searching, so the first of two is kept.
        let mut seen = HashSet::new();
        found.retain(|old| seen.insert(old.id.clone()));
        let now = Utc::now();
        (leftovers.due, leftovers.waiting) = found.into_iter().partition(|old| old.is_due(now) && !is_elsewhere(old));
        leftovers
    }

    /// Tokens that nobody was given. `None`: the name of the token that the users have is not known, so it could be any of them.
    async fn orphans(&self, since: DateTime<Utc>, in_use: Option<&Trace>) -> Result<Option<Vec<String>>, S::Error> {
        let mut orphans = self.system.orphans(since).await?;
        if !orphans.is_empty() && in_use.is_some_and(|token| token.id.is_none()) {
            return Ok(None);
        }
        orphans.retain(|id| in_use.is_none_or(|token| token.id.as_ref() != Some(id)));
        Ok(Some(orphans))
    }
}

/// What earlier runs left.
#[derive(Default)]
struct Leftovers {
    /// To be retired now.
    due: Vec<Retiring>,
    /// To be retired later.
    waiting: Vec<Retiring>,
    /// What came of requests that were sent then is not known yet.
    unknown: Vec<DateTime<Utc>>,
    /// Why it could not be asked.
    error: Option<String>,
}

impl Survey {
    /// The token is good, and earlier runs left nothing that can be put right now.
    fn has_nothing_to_do(&self, now: DateTime<Utc>) -> bool {
        let note = self.holding.note.as_ref();
        let is_unsettled = note.is_some_and(|note| note.under_way_since.is_some() || note.next.is_some());
        self.decision.is_nothing() && !is_unsettled && !self.retiring().iter().any(|old| old.is_due(now))
    }

    /// The token that a new one would replace. One that ended by itself needs no retiring; one that is refused for another reason can come to life again.
    fn to_be_replaced(&self, grace: TimeDelta) -> Option<Retiring> {
        let now = Utc::now();
        let held = self.held().filter(|held| held.expires_at.is_none_or(|end| end > now))?;
        let not_before = Some(now.checked_add_signed(grace).unwrap_or(DateTime::<Utc>::MAX_UTC));
        let not_before = not_before.filter(|_| self.standing.works && grace > TimeDelta::zero());
        Some(Retiring { id: held.id?, fingerprint: Some(held.fingerprint), not_before })
    }
}

impl Retiring {
    fn at_once(id: String) -> Self {
        Self { id, fingerprint: None, not_before: None }
    }

    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.not_before.is_none_or(|time| time <= now)
    }

    fn is(&self, token: &Trace) -> bool {
        token.id.as_ref() == Some(&self.id) || self.fingerprint.as_ref() == Some(&token.fingerprint)
    }
}

impl Note {
    /// A token that was issued, and the run that asked for it was killed before its users had it.
    fn issued_and_not_noted(&self) -> Option<Retiring> {
        let next = self.next.as_ref()?;
        Some(Retiring { id: next.id.clone()?, fingerprint: next.fingerprint.clone(), not_before: None })
    }
}

fn ids<'a>(tokens: impl IntoIterator<Item = &'a Retiring>) -> Vec<String> {
    tokens.into_iter().map(|token| token.id.clone()).collect()
}

/// Why it cannot be told which of several tokens nobody has.
const NAMELESS: &str = "how it names the token in use is not known, so a new one could not be told from it";
