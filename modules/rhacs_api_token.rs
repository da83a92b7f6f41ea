//! rhacs_api_token: an API token of Central that always works and is never about to end.

mod lifetime;
mod token;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::rotation::{Destination, HandOver, Naming, Place, Policy, Reason, Rotate, Rotation, Subject, Trace};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::rhacs::{self, ApiToken, Central, Status};

use crate::rhacs::Access;
use lifetime::Expiration;
use token::{KeptToken, Wanted};

/// The options of `rhacs_api_token.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    hand_over: HandOver,
    #[serde(flatten)]
    access: Access,
    name: String,
    role: Option<String>,
    roles: Option<Vec<String>>,
    expiration: Expiration,
    renew_before: Span,
    overlap: Span,
    state: State,
    all_of_name: bool,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Present,
    Rotated,
    Absent,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    let wanted = options.wanted()?;
    if options.state != State::Absent && options.hand_over.returns_token() {
        task.refuse_public_secret()?;
    }
    let central = options.access.connect(task, &options.connection)?;
    let naming = Naming { name: "rox_api_token", token_type: None, login: None };
    let place = options.hand_over.destination(options.hand_over.dest.as_deref(), naming)?;
    let job = Job { task, options: &options, central: &central, place: &place, wanted: &wanted };
    match options.state {
        State::Absent => job.revoke().await,
        State::Present if !place.lasts() => job.exists().await,
        State::Present | State::Rotated => job.rotate().await,
    }
}

impl Options {
    /// A token without a role is given out and then never accepted, so it is not asked for.
    fn wanted(&self) -> Result<Wanted> {
        let roles = match (&self.roles, &self.role) {
            (Some(roles), _) => roles.clone(),
            (None, Some(role)) => vec![role.clone()],
            (None, None) => vec![DEFAULT_ROLE.to_owned()],
        };
        if self.name.is_empty() {
            bail!("name is empty");
        }
        if roles.is_empty() || roles.iter().all(|role| role == NO_ROLE || role.is_empty()) {
            bail!("a token without a role, or with the role None alone, is never accepted by Central; name a role");
        }
        Ok(Wanted { name: self.name.clone(), roles })
    }
}

struct Job<'a> {
    task: &'a Task,
    options: &'a Options,
    central: &'a Central,
    place: &'a Destination,
    wanted: &'a Wanted,
}

impl Job<'_> {
    /// A token that works and is not about to end is in its place.
    async fn rotate(&self) -> Result<Outcome> {
        let Job { options, central, place, .. } = self;
        let system =
            KeptToken::new(self.task, central, self.wanted, &options.expiration, options.connection.request_timeout);
        let policy = Policy {
            force: options.state == State::Rotated,
            renew_before: Some(options.renew_before.delta()),
            max_age: None,
        };
        let subject = Subject { server: central.address(), object: options.name.clone() };
        let rotate = Rotate {
            system: &system,
            place: *place,
            policy: &policy,
            subject: &subject,
            check_mode: self.task.check_mode,
        };
        let rotation = rotate.overlap(options.overlap.delta()).await?;
        self.warn_of_early_ends(&rotation);
        Ok(self.rotated(rotation, &system))
    }

    /// There is no place to look into. Whether a token of this name and these roles exists is all that can be said.
    async fn exists(&self) -> Result<Outcome> {
        let now = Utc::now() + self.central.clock_offset();
        let margin = self.options.renew_before.delta();
        let mut living = self.living().await?;
        living.sort_by_key(|token| token.expiration);
        match living.pop() {
            Some(newest) if newest.expiration - now > margin => {
                let mut returned = self.returned(Reason::Valid);
                self.describe(&mut returned, &newest);
                Ok(Outcome::new(&returned))
            }
            _ => self.rotate().await,
        }
    }

    /// The token is revoked, which is proven, and nothing of it is left in its place.
    async fn revoke(&self) -> Result<Outcome> {
        let holding = self.place.look().await?;
        let ids: Vec<String> = match holding.token.as_ref().and_then(rhacs::id_of) {
            Some(id) => vec![id],
            None => self.one_or_all(self.living().await?)?,
        };
        let mut revive_until: Option<DateTime<Utc>> = None;
        let mut revoked = Vec::new();
        for id in ids {
            let Some(record) = self.central.token(&id).await? else { continue };
            if record.revoked || self.task.check_mode {
                revoked.extend(Some(id).filter(|_| !record.revoked));
                continue;
            }
            self.central.revoke(&id).await?;
            revive_until = revive_until.max(Some(record.expiration));
            revoked.push(id);
        }
        if !self.task.check_mode
            && let Some(token) = &holding.token
        {
            self.prove_dead(token).await?;
        }
        let removed = match (self.task.check_mode, self.place.file()) {
            (true, _) | (_, None) => holding.token.is_some(),
            (false, Some(_)) => {
                self.place.remove().await.context("the token is revoked, but it could not be taken out of the file")?
            }
        };
        let reason = if revoked.is_empty() { Reason::Missing } else { Reason::Forced };
        let mut returned = self.returned(reason);
        returned["may_revive_until"] = json!(revive_until.map(timestamp));
        let before = json!({ "tokens": &revoked });
        returned["revoked"] = json!(revoked);
        let changed = removed || returned["revoked"] != json!([]);
        Ok(Outcome::new(&returned).changed(changed).diff(&before, &json!({ "tokens": [] })))
    }

    /// Tokens of this name and these roles that may still be accepted.
    async fn living(&self) -> Result<Vec<ApiToken>> {
        let mut tokens = self.central.tokens(Some(false)).await?;
        let now = Utc::now() + self.central.clock_offset();
        tokens.retain(|token| self.wanted.is_met_by(token) && token.is_live(now));
        Ok(tokens)
    }

    fn one_or_all(&self, tokens: Vec<ApiToken>) -> Result<Vec<String>> {
        let ids: Vec<String> = tokens.into_iter().map(|token| token.id).collect();
        if ids.len() > 1 && !self.options.all_of_name {
            bail!(
                "there are {} tokens of the name {} with these roles, and nothing says which is meant: {}; give the dest that holds it, or say \
                 all_of_name: true",
                ids.len(),
                self.options.name,
                ids.join(", ")
            );
        }
        Ok(ids)
    }

    async fn prove_dead(&self, token: &Secret) -> Result<()> {
        match self
            .central
            .status(token)
            .await
            .context("the token is revoked, but that it is dead could not be proven")?
        {
            Status::Refused(_) => Ok(()),
            Status::Accepted(_) => {
                bail!("Central says that the token is revoked, and accepts it all the same; run the task again")
            }
        }
    }

    fn warn_of_early_ends(&self, rotation: &Rotation) {
        let end = rotation.token.as_ref().filter(|_| rotation.issued).and_then(|token| token.expires_at);
        if let Some(end) = end.filter(|end| *end - Utc::now() <= self.options.renew_before.delta()) {
            self.task.warn(format!(
                "The token ends at {}, which is within renew_before ({}): every run will generate a new one.",
                timestamp(end),
                self.options.renew_before
            ));
        }
    }

    fn rotated(&self, rotation: Rotation, system: &KeptToken<'_>) -> Outcome {
        let is_forecast = self.task.check_mode && rotation.reason != Reason::Valid;
        let has_file = self.place.file().is_some();
        let mut returned = self.returned(rotation.reason);
        returned["generated"] = json!(rotation.issued);
        returned["revoked"] = json!(rotation.retired);
        returned["still_valid"] = json!(rotation.left);
        returned["may_revive_until"] = json!(system.revive_until(&rotation.retired).map(timestamp));
        if let Some(token) = &rotation.token {
            returned["id"] = json!(token.id);
            returned["expires_at"] = json!(token.expires_at.map(timestamp));
            returned["fingerprint"] = json!(token.secret.fingerprint());
        }
        let after = rotation.token.as_ref().map(Trace::of);
        let changed = rotation.issued || (has_file && rotation.handed_over) || !rotation.retired.is_empty();
        let mut outcome = Outcome::new(&returned)
            .changed(changed)
            .diff(&for_diff(rotation.before.as_ref()), &for_diff(after.as_ref()));
        let returns = self.options.hand_over.returns_token() && !is_forecast;
        if let Some(token) = rotation.token.filter(|_| returns) {
            outcome = outcome.secret("token", &token.secret);
        }
        match rotation.error {
            Some(error) => outcome.failed(error.into()),
            None => outcome,
        }
    }

    fn returned(&self, reason: Reason) -> Value {
        let mut returned = json!({
            "reason": reason,
            "name": self.wanted.name,
            "roles": self.wanted.roles,
            "generated": false,
            "revoked": [],
            "still_valid": [],
            "clock_offset": self.central.clock_offset().num_seconds(),
        });
        if let Some(file) = self.place.file() {
            returned["dest"] = json!(file.path());
        }
        returned
    }

    fn describe(&self, returned: &mut Value, token: &ApiToken) {
        returned["id"] = json!(token.id);
        returned["expires_at"] = json!(timestamp(token.expiration - self.central.clock_offset()));
    }
}

fn for_diff(token: Option<&Trace>) -> Value {
    match token {
        Some(token) => json!({ "token": token.fingerprint, "expires_at": token.expires_at.map(timestamp) }),
        None => json!({ "token": null }),
    }
}

fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// As in the module of `infra.rhacs_configuration`.
const DEFAULT_ROLE: &str = "Admin";
/// The role that allows nothing, not even to log in.
const NO_ROLE: &str = "None";
