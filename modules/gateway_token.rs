//! gateway_token: an OAuth2 token of the platform that always works and is never about to end.

mod absence;
mod application;
mod token;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::rotation::{
    Destination, HandOver, Holding, Naming, Note, Place as _, Plan, Policy, Reason, Rotate, Rotation, Standing,
    Subject, System as _, Trace,
};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::platform::{Api, NewToken, Platform, TokenRow};
use tokensmith::timestamp::timestamp;

use crate::gateway::{Access, GivenToken};
use crate::state::State;
use token::{Caller, KeptToken, Nameless};

/// The options of `gateway_token.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    hand_over: HandOver,
    #[serde(flatten)]
    access: Access,
    api: Api,
    description: String,
    scope: Vec<String>,
    application: Option<String>,
    organization: Option<String>,
    existing_token: Option<GivenToken>,
    existing_token_id: Option<u64>,
    renew_before: Span,
    max_age: Option<Span>,
    overlap: Option<Span>,
    state: State,
    all_of_description: bool,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    let scope = options.checked_scope()?;
    options.check_that_a_token_is_meant()?;
    if options.state != State::Absent && options.hand_over.returns_token() {
        task.refuse_public_secret()?;
    }
    let naming = Naming { name: "oauth_token", token_type: Some("Bearer"), ..Naming::default() };
    let hand_over = &options.hand_over;
    let place = hand_over.destination_or_credential(hand_over.dest.as_deref(), naming, &options.connection)?;
    let acts_as_held = place.file().is_some_and(|file| options.access.is_token_in(file.path()));
    if options.state == State::Absent && acts_as_held && place.file().is_some_and(|file| !file.path().exists()) {
        return absence::of_nothing(task, &place, &options.description, &scope).await;
    }
    let platform = options.access.connect(task, &options.connection, options.api)?;
    let application = match &options.application {
        Some(name) => Some(application::key(&platform, name, options.organization.as_deref()).await?),
        None => None,
    };
    let wanted = NewToken { description: options.description.clone(), scope, application };
    let caller = Caller { username: options.access.username(), acts_as_held };
    let system = KeptToken::new(task, &platform, &wanted, caller, options.connection.request_timeout);
    let job = Job { task, options: &options, platform: &platform, place: &place, wanted: &wanted, system };
    match options.state {
        State::Absent => job.delete().await,
        State::Present | State::Rotated if place.lasts() => job.rotate(Others::default()).await,
        State::Present => job.exists().await,
        State::Rotated => job.rotate(job.others().await?).await,
    }
}

impl Options {
    /// As the platform writes it: each scope once.
    fn checked_scope(&self) -> Result<String> {
        let mut scopes: Vec<&str> = self.scope.iter().map(String::as_str).collect();
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            bail!("scope is empty; a token has at least one");
        }
        if let Some(unknown) = scopes.iter().find(|scope| !self.api.scopes().contains(scope)) {
            bail!("tokens of this api have no scope {unknown}; they have {}", self.api.scopes().join(" and "));
        }
        Ok(scopes.join(" "))
    }

    fn check_that_a_token_is_meant(&self) -> Result<()> {
        if self.existing_token.as_ref().is_some_and(|given| given.secret().is_empty()) {
            bail!("existing_token is empty");
        }
        let is_named = self.hand_over.has_place()
            || self.existing_token.is_some()
            || self.existing_token_id.is_some()
            || !self.description.is_empty();
        if !is_named && self.state != State::Rotated {
            bail!(
                "nothing says which token is meant: give dest, dest_credential, existing_token or a description; or, for a new one each time, say state: rotated"
            );
        }
        Ok(())
    }
}

struct Job<'a> {
    task: &'a Task,
    options: &'a Options,
    platform: &'a Platform,
    place: &'a Destination,
    wanted: &'a NewToken,
    system: KeptToken<'a>,
}

impl Job<'_> {
    /// A token that works and is not about to end is in its place. Where there is none to look into, `others` are those that it would replace: whether
    /// the new one arrives is not known here, so they are left alone.
    async fn rotate(&self, others: Others) -> Result<Outcome> {
        let subject = self.subject();
        let policy = self.policy();
        let rotate = Rotate {
            system: &self.system,
            place: self.place,
            policy: &policy,
            subject: &subject,
            check_mode: self.task.check_mode,
        };
        let rotated = rotate.overlap(self.options.hand_over.overlap(self.options.overlap)).await;
        for notice in self.place.notices() {
            self.task.warn(notice);
        }
        let mut rotation = rotated?;
        if self.task.check_mode && rotation.issued {
            // Who is not let in creates nothing.
            self.system.me().await?;
        }
        if let Some(reason) = others.reason.filter(|_| rotation.reason == Reason::Missing) {
            rotation.reason = reason;
        }
        rotation.left.extend(others.ids.iter().map(u64::to_string));
        if self.task.check_mode {
            self.system.look_for(&rotation.retired).await?;
        }
        self.warn_of_early_end(&rotation);
        self.warn_of_lame_successor(&rotation);
        self.warn_of_nameless(&rotation);
        Ok(self.rotated(rotation))
    }

    /// There is no place to look into: the task gives the token, or its id, or says no more of it than its description.
    async fn exists(&self) -> Result<Outcome> {
        match (&self.options.existing_token, self.options.existing_token_id) {
            (Some(given), _) => self.given_works(&given.secret(), given.id()).await,
            (None, Some(id)) => self.one_lives(self.platform.token(id).await?.into_iter().collect()).await,
            (None, None) => self.one_lives(self.system.living().await?).await,
        }
    }

    async fn given_works(&self, secret: &Secret, id: Option<u64>) -> Result<Outcome> {
        let (standing, others) = self.look_at(secret, id).await?;
        let holding = Holding { token: Some(secret.clone()), ..Holding::default() };
        let decision = self.policy().decide(&holding, &standing, Utc::now());
        if decision.plan != Plan::Nothing {
            return self.rotate(Others { reason: Some(decision.reason), ..others }).await;
        }
        let mut returned = self.returned(Reason::Valid);
        returned["id"] = json!(others.ids.first());
        returned["expires_at"] = json!(standing.expires_at.map(timestamp));
        returned["fingerprint"] = json!(secret.fingerprint());
        Ok(Outcome::new(&returned))
    }

    /// Whether one of these rows will do is all that can be said without the token.
    async fn one_lives(&self, rows: Vec<TokenRow>) -> Result<Outcome> {
        let now = self.platform.clock().now();
        let newest = rows.iter().filter(|row| self.will_do(row, now)).max_by_key(|row| row.expires);
        let Some(newest) = newest else {
            let others = self.living(&rows);
            let reason = if rows.iter().any(|row| self.lasts(row, now)) { Reason::Aged } else { Reason::Expiring };
            return self.rotate(Others { reason: Some(reason).filter(|_| !others.ids.is_empty()), ..others }).await;
        };
        let mut returned = self.returned(Reason::Valid);
        returned["id"] = json!(newest.id);
        returned["expires_at"] = json!(timestamp(self.system.by_our_clock(newest.expires)));
        Ok(Outcome::new(&returned))
    }

    fn will_do(&self, row: &TokenRow, now: DateTime<Utc>) -> bool {
        let is_aged = self.options.max_age.is_some_and(|age| now - row.created > age.delta());
        self.lasts(row, now) && !is_aged
    }

    fn lasts(&self, row: &TokenRow, now: DateTime<Utc>) -> bool {
        row.expires - now > self.options.renew_before.delta()
    }

    /// What a new token would replace, where nothing but the result gets it.
    async fn others(&self) -> Result<Others> {
        let Options { existing_token, existing_token_id, .. } = self.options;
        Ok(match (existing_token, existing_token_id) {
            (Some(given), _) => self.look_at(&given.secret(), given.id()).await?.1,
            (None, Some(id)) => self.living(self.platform.token(*id).await?.as_slice()),
            (None, None) if self.wanted.description.is_empty() => Others::default(),
            (None, None) => self.living(&self.system.living().await?),
        })
    }

    /// Those that have not ended.
    fn living(&self, rows: &[TokenRow]) -> Others {
        let now = self.platform.clock().now();
        Others { ids: rows.iter().filter(|row| row.expires > now).map(|row| row.id).collect(), reason: None }
    }

    /// What the platform says of a token of the task, and what a new one would replace.
    async fn look_at(&self, secret: &Secret, id: Option<u64>) -> Result<(Standing, Others)> {
        let note = id.map(|id| self.note_of(secret, id));
        let standing = self.system.look(Some(secret), note.as_ref()).await?;
        let id = standing.id.as_ref().filter(|_| standing.works).and_then(|id| id.parse().ok());
        Ok((standing, Others { ids: id.into_iter().collect(), reason: None }))
    }

    /// What would stand beside a place that holds this token.
    fn note_of(&self, secret: &Secret, id: u64) -> Note {
        Note { fingerprint: Some(secret.fingerprint()), id: Some(id.to_string()), ..Note::default() }
    }

    fn warn_of_nameless(&self, rotation: &Rotation) {
        if !rotation.issued {
            return;
        }
        match self.system.nameless() {
            Some(Nameless::OfAnother(user)) => self.task.warn(format!(
                "The old token is of the user {user} and not of the one that this task logs in as, so it is left alone: it is accepted until it ends or {user} \
                 deletes it."
            )),
            Some(Nameless::NotShown) => self.task.warn(
                "The old token was not created by this task, and which row of the platform it is cannot be found out, so it is left alone: delete it in the \
                 platform's user interface.",
            ),
            None => {}
        }
    }

    fn warn_of_lame_successor(&self, rotation: &Rotation) {
        if rotation.issued && self.system.acts_as_held() && !self.wanted.has_scope("write") {
            self.task.warn(
                "The new token has no scope write, so it can neither create its successor nor delete itself: the next renewal needs another credential.",
            );
        }
    }

    fn warn_of_early_end(&self, rotation: &Rotation) {
        let end = rotation.token.as_ref().filter(|_| rotation.issued).and_then(|token| token.expires_at);
        if let Some(end) = end.filter(|end| *end - Utc::now() <= self.options.renew_before.delta()) {
            self.task.warn(format!(
                "The platform lets the new token live until {}, which is within renew_before ({}): every run will create a new one.",
                timestamp(end),
                self.options.renew_before
            ));
        }
    }

    fn rotated(&self, rotation: Rotation) -> Outcome {
        let is_forecast = self.task.check_mode && rotation.reason != Reason::Valid;
        let has_place = self.place.lasts();
        let mut returned = self.returned(rotation.reason);
        let mut deleted = rotation.retired;
        deleted.retain(|id| !self.system.is_gone(id));
        returned["created"] = json!(rotation.issued);
        returned["deleted"] = json!(numbers(&deleted));
        returned["still_valid"] = json!(numbers(&rotation.left));
        if let Some(token) = &rotation.trace {
            returned["id"] = json!(token.id.as_ref().and_then(|id| id.parse::<u64>().ok()));
            returned["expires_at"] = json!(token.expires_at.map(timestamp));
            returned["fingerprint"] = json!(token.fingerprint);
        }
        let changed = rotation.issued || (has_place && rotation.handed_over) || !deleted.is_empty();
        let mut outcome = Outcome::new(&returned)
            .changed(changed)
            .diff(&for_diff(rotation.before.as_ref()), &for_diff(rotation.trace.as_ref()));
        let returns = self.options.hand_over.returns_token() && !is_forecast;
        if let Some(token) = rotation.token.filter(|_| returns) {
            outcome = outcome.secret("token", &token.secret);
            if let Some(refresh_token) = self.system.refresh_token() {
                outcome = outcome.secret("refresh_token", &refresh_token);
            }
        }
        match rotation.error {
            Some(error) => outcome.failed(error.into()),
            None => outcome,
        }
    }

    fn returned(&self, reason: Reason) -> Value {
        let NewToken { description, scope, application } = self.wanted;
        let mut returned = returned(reason, self.place, description, scope);
        returned["clock_offset"] = json!(self.platform.clock().offset().num_seconds());
        if let Some(application) = application {
            returned["application"] = json!(application);
        }
        returned
    }

    fn policy(&self) -> Policy {
        Policy {
            force: self.options.state == State::Rotated,
            renew_before: Some(self.options.renew_before.delta()),
            max_age: self.options.max_age.map(Span::delta),
        }
    }

    fn subject(&self) -> Subject {
        Subject { server: self.platform.address(), object: self.wanted.description.clone() }
    }
}

/// What every result says.
fn returned(reason: Reason, place: &Destination, description: &str, scope: &str) -> Value {
    let mut returned = json!({
        "reason": reason,
        "description": description,
        "scope": scope,
        "created": false,
        "deleted": [],
        "still_valid": [],
        "clock_offset": 0,
    });
    place.describe(&mut returned);
    returned
}

/// Tokens that a new one would replace.
#[derive(Default)]
struct Others {
    ids: Vec<u64>,
    /// Why a new one is needed although they are there.
    reason: Option<Reason>,
}

fn numbers(ids: &[String]) -> Vec<u64> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}

fn for_diff(token: Option<&Trace>) -> Value {
    match token {
        Some(token) => json!({ "token": token.fingerprint, "expires_at": token.expires_at.map(timestamp) }),
        None => json!({ "token": null }),
    }
}
