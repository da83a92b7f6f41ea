//! The end of a token: deleted, proven dead, and taken out of its place.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokensmith::ansible::Outcome;
use tokensmith::rotation::{Destination, Holding, Place, Reason};
use tokensmith::secret::Secret;
use tokensmith::systems::hub::{Credential, HubError, Probe};

use super::token::UserTokenError;
use super::{Job, returned};

/// There is neither a token nor anything to call the hub with.
pub(super) fn of_nothing(place: &Destination) -> Result<Outcome> {
    Ok(outcome(place, &Deletion { existed: Some(false), ..Deletion::default() }))
}

/// What was done, or in check mode would be.
#[derive(Default)]
struct Deletion {
    /// Whether there was a token. `None`: none was at hand to try, and the hub does not tell.
    existed: Option<bool>,
    /// A token that had worked was deleted.
    deleted: bool,
    /// The same is proven dead.
    is_dead: Option<bool>,
    /// A token was taken out of its place.
    emptied: bool,
    fingerprint: Option<String>,
}

impl Job<'_> {
    /// The user has no token, and nothing of it is left in its place.
    pub(super) async fn delete(&self, holding: Holding) -> Result<Outcome> {
        // A file that the token cannot be taken out of is better found while the token lives.
        self.place.check_writable().await?;
        let alive = self.find_alive(&holding).await?;
        let existed = match (&alive, self.hub.own_token()) {
            (Some(_), _) => Some(true),
            (None, Some(_)) => Some(false),
            (None, None) => None,
        };
        let fingerprint = alive.as_ref().map(Secret::fingerprint);
        let mut deletion = Deletion { existed, fingerprint, ..Deletion::default() };
        self.warn_of_deletion(existed);
        let ended = match self.task.check_mode {
            true => self.forecast(&holding, alive.as_ref(), &mut deletion).await,
            false => self.end(alive, &mut deletion).await,
        };
        let outcome = outcome(self.place, &deletion);
        Ok(match ended {
            Ok(()) => outcome,
            Err(error) => outcome.failed(error),
        })
    }

    /// The user's token, where one is at hand that works: in the place, left behind by a killed run, or given.
    async fn find_alive(&self, holding: &Holding) -> Result<Option<Secret>> {
        let own = self.hub.own_token();
        let mut alive: Option<Secret> = None;
        for token in [&holding.token, &holding.left_behind, &own].into_iter().flatten() {
            if alive.as_ref() == Some(token) {
                continue;
            }
            self.task.learn(token);
            if self.hub.probe(token).await? != Probe::Accepted {
                continue;
            }
            if alive.is_some() {
                bail!(UserTokenError::TwoUsers);
            }
            alive = Some(token.clone());
        }
        Ok(alive)
    }

    async fn forecast(&self, holding: &Holding, alive: Option<&Secret>, deletion: &mut Deletion) -> Result<()> {
        if self.hub.own_token().is_none() {
            self.hub.check_credential().await?;
        }
        deletion.deleted = alive.is_some();
        deletion.emptied = holding.fingerprint().is_some();
        Ok(())
    }

    async fn end(&self, alive: Option<Secret>, deletion: &mut Deletion) -> Result<()> {
        if let (Some(alive), Some(_)) = (&alive, self.hub.own_token()) {
            self.hub.act_as(Credential::Token(alive.clone()));
        }
        if deletion.existed != Some(false) {
            self.delete_and_prove(alive.as_ref(), deletion).await?;
        }
        let removed = self.place.remove().await;
        deletion.emptied =
            removed.context("the token is deleted, but it could not be taken out of its place; run the task again")?;
        Ok(())
    }

    async fn delete_and_prove(&self, alive: Option<&Secret>, deletion: &mut Deletion) -> Result<()> {
        let answer = self.hub.delete().await;
        let Some(alive) = alive else { return Ok(answer?) };
        match (self.hub.probe(alive).await, answer) {
            // Also where the answer was lost, or came to a repetition.
            (Ok(Probe::Refused(_)), _) => {
                deletion.deleted = true;
                deletion.is_dead = Some(true);
                Ok(())
            }
            (_, Err(error)) => Err(unsure(error)),
            (Ok(Probe::Accepted), Ok(())) => {
                deletion.is_dead = Some(false);
                bail!(
                    "the hub says that the token of {} is deleted, and accepts the one in dest all the same: that belongs to another user; give the \
                     credential of its user, or none",
                    self.user
                )
            }
            (Err(error), Ok(())) => {
                deletion.deleted = true;
                Err(error).context("the token is deleted, but that it is dead could not be proven; run the task again")
            }
        }
    }

    fn warn_of_deletion(&self, existed: Option<bool>) {
        let (is, has) = if self.task.check_mode { ("would be", "has") } else { ("is", "had") };
        match existed {
            Some(false) => {}
            Some(true) => self.task.warn(format!(
                "A hub keeps one token per user: whoever else uses the token of {} {is} refused (authentication_failed) from now on.",
                self.user
            )),
            None => self.task.warn(format!(
                "Whether {} {has} a token is not known, as the hub answers the same either way; who uses it {is} refused from now on.",
                self.user
            )),
        }
    }
}

fn unsure(error: HubError) -> anyhow::Error {
    anyhow::Error::from(error).context("the token could not be deleted; run the task again")
}

fn outcome(place: &Destination, deletion: &Deletion) -> Outcome {
    let reason = if deletion.existed == Some(true) { Reason::Forced } else { Reason::Missing };
    let mut returned = returned(place, reason);
    returned["deleted"] = json!(deletion.deleted);
    returned["existed"] = json!(deletion.existed);
    if let Some(fingerprint) = &deletion.fingerprint {
        returned["fingerprint"] = json!(fingerprint);
        if let Some(is_dead) = deletion.is_dead {
            returned["old_is_dead"] = json!(is_dead);
        }
    }
    let before = json!({ "token": deletion.fingerprint });
    Outcome::new(&returned)
        .changed(deletion.deleted || deletion.emptied)
        .diff(&before, &json!({ "token": Value::Null }))
}
