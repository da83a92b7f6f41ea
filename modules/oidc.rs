//! What the modules share that exchange a token of an identity provider for another one.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use chrono::{TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use tokensmith::ansible::{Outcome, Task};
use tokensmith::jwt::Claims;
use tokensmith::rotation::{HandOver, Naming, Overlap, Policy, Reason, Rotate, Rotation, Subject, Trace};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::SystemError;
use tokensmith::timestamp::timestamp;

/// What is exchanged, and where the token goes that it brings.
#[derive(Deserialize)]
pub(crate) struct Exchange {
    #[serde(flatten)]
    hand_over: HandOver,
    #[serde(flatten)]
    oidc_token: OidcToken,
}

/// What is to be in place.
pub(crate) struct Wanted {
    /// What its place may call it.
    pub(crate) naming: Naming,
    /// Whose token it is.
    pub(crate) subject: Subject,
    /// The option `state`.
    pub(crate) state: State,
    /// How much of its life must be left.
    pub(crate) renew_before: Span,
}

/// The options of `fragments/oidc.yml`.
#[derive(Deserialize)]
struct OidcToken {
    oidc_token: Option<Secret>,
    oidc_token_file: Option<PathBuf>,
}

/// The option `state` of these modules: their tokens end by themselves.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// A token that works is in its place.
    Present,
    /// A new one is got now.
    Rotated,
}

impl Exchange {
    /// What can be said before anything is asked: that a token may not be returned here, or the one that a lookup of this run got before.
    pub(crate) fn begin(&self, task: &Task, renew_before: Span) -> Result<Option<Outcome>> {
        if self.hand_over.returns_token() {
            task.refuse_public_secret()?;
        }
        held_for_lookup(task, &self.hand_over, renew_before)
    }

    /// Puts a token in its place, unless one is there that works for long enough. `about`: what the module says besides, once that is known.
    pub(crate) async fn put_in_place(
        &self,
        task: &Task,
        system: &impl Overlap,
        wanted: Wanted,
        about: impl FnOnce() -> Value,
    ) -> Result<Outcome> {
        let place = self.hand_over.destination(self.hand_over.dest.as_deref(), wanted.naming)?;
        for remark in place.remarks() {
            task.warn(remark);
        }
        let policy = Policy {
            force: wanted.state == State::Rotated,
            renew_before: Some(wanted.renew_before.delta()),
            max_age: None,
        };
        let subject = &wanted.subject;
        let rotate = Rotate { system, place: &place, policy: &policy, subject, check_mode: task.check_mode };
        let rotation = rotate.overlap(TimeDelta::zero()).await?;
        if task.check_mode && rotation.issued {
            self.oidc_token.read()?;
        }
        let mut returned = about();
        if let Some(file) = place.file() {
            returned["dest"] = json!(file.path());
        }
        Ok(outcome(task, &self.hand_over, returned, rotation))
    }

    /// What is exchanged, which no output may hold from now on.
    pub(crate) fn oidc_token<E>(&self, task: &Task) -> Result<Secret, ExchangeError<E>> {
        let token = self.oidc_token.read().map_err(ExchangeError::OidcToken)?;
        task.learn(&token);
        Ok(token)
    }
}

/// Why an exchange brought no token. `E` is the system's own error.
#[derive(Debug, Error)]
pub(crate) enum ExchangeError<E> {
    /// What would be exchanged is not there, or no good.
    #[error("{0:#}")]
    OidcToken(anyhow::Error),
    /// The system gave none.
    #[error(transparent)]
    System(#[from] E),
}

impl<E: SystemError> SystemError for ExchangeError<E> {
    /// A token whose answer was lost does no harm: nobody has it, it kills no other, and it ends by itself. So there is nothing to find out.
    fn may_have_acted(&self) -> bool {
        false
    }
}

impl OidcToken {
    /// The token, with what can be seen without asking anybody.
    fn read(&self) -> Result<Secret> {
        let token = match (&self.oidc_token, &self.oidc_token_file) {
            (Some(token), _) => token.trimmed(),
            (None, Some(path)) => {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("oidc_token_file {} cannot be read", path.display()))?;
                Secret::from(text).trimmed()
            }
            (None, None) => bail!("one of oidc_token and oidc_token_file is needed"),
        };
        if token.is_empty() {
            match &self.oidc_token_file {
                Some(path) => bail!("oidc_token_file {} is empty", path.display()),
                None => bail!("oidc_token is empty"),
            }
        }
        let Some(claims) = Claims::of(&token) else {
            bail!("the OIDC token is no JWT; it has to be one that the identity provider signed for this job")
        };
        if let Some(end) = claims.expires_at().filter(|end| *end + LEEWAY <= Utc::now()) {
            bail!(
                "the OIDC token ended at {} (its exp claim; this host's clock says {}): get a new one from its issuer",
                timestamp(end),
                timestamp(Utc::now())
            );
        }
        Ok(token)
    }
}

/// The token that a lookup got earlier in this run, until `renew_before`. Nobody is asked: it was proven then, and the file is of this run alone.
fn held_for_lookup(task: &Task, hand_over: &HandOver, renew_before: Span) -> Result<Option<Outcome>> {
    let Some(place) = hand_over.place()?.filter(|_| task.is_lookup()) else { return Ok(None) };
    let Some(token) = hand_over.held(&place)? else { return Ok(None) };
    let noted = place.note().and_then(|note| note.about(&token.fingerprint()));
    let left = noted.and_then(|note| note.expires_at).map(|end| end - Utc::now());
    if left.is_none_or(|left| left <= renew_before.delta()) {
        return Ok(None);
    }
    let returned = json!({ "reason": Reason::Valid, "fingerprint": token.fingerprint() });
    Ok(Some(Outcome::new(&returned).secret("token", &token)))
}

/// What came of an exchange. `returned` is what the module says besides.
fn outcome(task: &Task, hand_over: &HandOver, mut returned: Value, rotation: Rotation) -> Outcome {
    let has_file = hand_over.dest.is_some();
    // Without a file there is nothing to be missing in.
    let reason = if has_file { rotation.reason } else { Reason::Forced };
    let is_forecast = task.check_mode && reason != Reason::Valid;
    returned["reason"] = json!(reason);
    let after = rotation.token.as_ref().filter(|_| !is_forecast || !rotation.issued).map(Trace::of);
    if let Some(token) = &after {
        returned["fingerprint"] = json!(token.fingerprint);
        returned["expires_at"] = json!(token.expires_at.map(timestamp));
        returned["expires_in"] = json!(token.expires_at.map(|end| (end - Utc::now()).num_seconds().max(0)));
    }
    let shown = |token: Option<&Trace>| {
        json!({
            "token": token.map(|token| &token.fingerprint),
            "expires_at": token.and_then(|token| token.expires_at).map(timestamp),
        })
    };
    let mut outcome = Outcome::new(&returned)
        .changed(has_file && rotation.handed_over)
        .diff(&shown(rotation.before.as_ref()), &shown(after.as_ref()));
    if let Some(token) = rotation.token.filter(|_| hand_over.returns_token() && !is_forecast) {
        outcome = outcome.secret("token", &token.secret);
    }
    match rotation.error {
        Some(error) => outcome.failed(error.into()),
        None => outcome,
    }
}

/// How far behind the clocks may be that servers compare.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);
