//! What the modules share that exchange a token of an identity provider for another one.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use chrono::{TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tokensmith::ansible::{Outcome, Task};
use tokensmith::jwt::Claims;
use tokensmith::rotation::{HandOver, Reason, Rotation, Trace};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::timestamp::timestamp;

/// The options of `fragments/oidc.yml`.
#[derive(Deserialize)]
pub(crate) struct OidcToken {
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

impl OidcToken {
    /// The token, with what can be seen without asking anybody.
    pub(crate) fn read(&self) -> Result<Secret> {
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
pub(crate) fn held_for_lookup(task: &Task, hand_over: &HandOver, renew_before: Span) -> Result<Option<Outcome>> {
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
pub(crate) fn outcome(task: &Task, hand_over: &HandOver, mut returned: Value, rotation: Rotation) -> Outcome {
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
