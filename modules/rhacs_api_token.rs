//! rhacs_api_token: an API token of Central that always works and is never about to end.

mod lifetime;
mod token;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::jwt::Claims;
use tokensmith::rotation::{
    Destination, HandOver, Holding, Naming, Note, Overlap as _, Place, Policy, Reason, Rotate, Rotation, Subject, Trace,
};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::rhacs::{self, ApiToken, Central, Credential, Status};
use tokensmith::timestamp::timestamp;

use crate::rhacs::{Access, Server};
use crate::state::State;
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
    server: Server,
    #[serde(flatten)]
    access: Access,
    name: String,
    role: Option<String>,
    roles: Option<Vec<String>>,
    expiration: Expiration,
    renew_before: Span,
    overlap: Option<Span>,
    state: State,
    all_of_name: bool,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    let wanted = options.wanted()?;
    if options.state != State::Absent && options.hand_over.returns_token() {
        task.refuse_public_secret()?;
    }
    let dest = options.hand_over.dest.as_deref();
    let is_gone =
        options.state == State::Absent && dest.is_some_and(|dest| options.access.is_token_in(dest) && !dest.exists());
    let central = match is_gone {
        true => options.server.connect_as(task, &options.connection, Credential::Anonymous)?,
        false => options.access.connect(task, &options.server, &options.connection)?,
    };
    let naming = Naming { name: "rox_api_token", central: Some(central.endpoint()), ..Naming::default() };
    let place = options.hand_over.destination_or_credential(dest, naming, &options.connection)?;
    for remark in place.remarks() {
        task.warn(remark);
    }
    let job = Job { task, options: &options, central: &central, place: &place, wanted: &wanted };
    match options.state {
        State::Absent if is_gone => job.nothing_to_revoke().await,
        State::Absent => job.revoke().await,
        State::Present | State::Rotated if place.lasts() => job.rotate(Vec::new()).await,
        State::Present => job.exists().await,
        State::Rotated => job.rotate(job.living().await?).await,
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
    /// A token that works and is not about to end is in its place. Where there is none to look into, `others` are those of the same name: who uses
    /// them is not known, so they are left alone.
    async fn rotate(&self, others: Vec<ApiToken>) -> Result<Outcome> {
        let Job { options, place, .. } = self;
        let system = self.system();
        let policy = Policy {
            force: options.state == State::Rotated,
            renew_before: Some(options.renew_before.delta()),
            max_age: None,
        };
        let subject = self.subject();
        let rotate = Rotate {
            system: &system,
            place: *place,
            policy: &policy,
            subject: &subject,
            check_mode: self.task.check_mode,
        };
        let rotated = rotate.overlap(options.hand_over.overlap(options.overlap)).await;
        for notice in place.notices() {
            self.task.warn(notice);
        }
        let mut rotation = rotated?;
        if self.task.check_mode && rotation.issued {
            self.check_generation().await?;
        }
        if rotation.reason == Reason::Missing && !others.is_empty() {
            rotation.reason = Reason::Expiring;
        }
        rotation.left.extend(others.into_iter().map(|token| token.id));
        self.warn_of_early_ends(&rotation);
        Ok(self.rotated(rotation, &system))
    }

    /// What would keep a run from generating a token, as far as it can be asked.
    async fn check_generation(&self) -> Result<()> {
        self.options.expiration.from(self.central.now().await?)?;
        let Some(allowed) = self.central.allowed_roles().await? else { return Ok(()) };
        let is_missing = |role: &&String| *role != NO_ROLE && !allowed.contains(role);
        let missing: Vec<&str> = self.wanted.roles.iter().filter(is_missing).map(String::as_str).collect();
        if !missing.is_empty() {
            bail!(
                "Central would not put these roles into a token for this credential: {}; they do not exist (names are case-sensitive), or they \
                 allow more than the credential",
                missing.join(", ")
            );
        }
        Ok(())
    }

    /// There is no place to look into. Whether a token of this name and these roles exists is all that can be said.
    async fn exists(&self) -> Result<Outcome> {
        let living = self.living().await?;
        let now = self.central.now().await?;
        let margin = self.options.renew_before.delta();
        match living.iter().max_by_key(|token| token.expiration) {
            Some(newest) if newest.expiration - now > margin => {
                let mut returned = self.returned(Reason::Valid);
                returned["id"] = json!(newest.id);
                returned["expires_at"] = json!(timestamp(self.by_our_clock(newest.expiration)));
                Ok(Outcome::new(&returned))
            }
            _ => self.rotate(living).await,
        }
    }

    /// The token that revokes itself has done so already: the file that it was in is gone.
    async fn nothing_to_revoke(&self) -> Result<Outcome> {
        if !self.task.check_mode {
            // A killed run may have left the note.
            self.place.remove().await?;
        }
        Ok(Outcome::new(&self.returned(Reason::Missing)))
    }

    /// The token is revoked, which is proven, and nothing of it is left in its place.
    async fn revoke(&self) -> Result<Outcome> {
        let holding = self.place.look().await?;
        let ids = self.to_be_revoked(&holding).await?;
        let mut revocations = Revocations::default();
        let end = self.end(ids, &holding, &mut revocations).await;
        let outcome = self.revoked(revocations);
        Ok(match end {
            Ok(()) => outcome,
            Err(error) => outcome.failed(error),
        })
    }

    async fn end(&self, ids: Vec<String>, holding: &Holding, revocations: &mut Revocations) -> Result<()> {
        for id in ids {
            self.revoke_one(id, revocations).await?;
        }
        let is_alive = self.is_alive(holding.token.as_ref(), revocations).await;
        let alive_until = is_alive.context("that the token is dead could not be proven")?;
        if alive_until.is_some() && !revocations.ids.is_empty() {
            bail!("Central says that the token is revoked, and accepts it all the same; run the task again");
        }
        revocations.emptied = match self.place.lasts() && !self.task.check_mode {
            true => {
                self.place.remove().await.context("the token is revoked, but it could not be taken out of its place")?
            }
            false => holding.fingerprint().is_some(),
        };
        match alive_until {
            None => Ok(()),
            Some(end) => bail!(
                "Central does not know the token any more and accepts it until {end}: it was revoked before, and came back to life when Central was \
                 restarted; nothing but the deletion of its roles stops it earlier"
            ),
        }
    }

    /// The token in the place, or without one that of this name and these roles; and what earlier runs left alive.
    async fn to_be_revoked(&self, holding: &Holding) -> Result<Vec<String>> {
        if self.has_revoked_itself(holding).await? {
            return Ok(Vec::new());
        }
        let mut ids = match holding.token.as_ref().and_then(rhacs::id_of).or_else(|| self.id_of_hidden(holding)) {
            Some(id) => vec![id],
            None => self.one_or_all(self.living().await?)?,
        };
        if let Some(note) = &holding.note {
            ids.extend(self.left_alive(note).await?);
        }
        // Whoever ends itself can end no other behind it.
        ids.sort_by_key(|id| self.central.acts_as(id));
        Ok(ids)
    }

    /// How Central names a token that its place cannot show.
    fn id_of_hidden(&self, holding: &Holding) -> Option<String> {
        let note = holding.note.as_ref().filter(|note| note.server == Some(self.subject().server))?;
        note.id_of(holding.hidden.as_ref()?)
    }

    /// Whether Central is called with the very token that is to be revoked, and an earlier run has revoked it. Nothing else can be asked with it then.
    async fn has_revoked_itself(&self, holding: &Holding) -> Result<bool> {
        let own = holding.token.as_ref().filter(|held| rhacs::id_of(held).is_some_and(|id| self.central.acts_as(&id)));
        let Some(own) = own else { return Ok(false) };
        Ok(matches!(self.central.status(own).await?, Status::Refused(_)))
    }

    async fn revoke_one(&self, id: String, revocations: &mut Revocations) -> Result<()> {
        let record = self.central.token(&id).await?.filter(|record| !record.revoked);
        let Some(record) = record.filter(|_| !revocations.ids.contains(&id)) else { return Ok(()) };
        if !self.task.check_mode {
            self.central.revoke(&id).await.with_context(|| format!("the token {id} could not be revoked"))?;
        }
        revocations.revive_until = revocations.revive_until.max(Some(self.by_our_clock(record.expiration)));
        revocations.ids.push(id);
        Ok(())
    }

    /// When the token ends that Central still accepts. `None`: it does not, or in check mode, would not.
    async fn is_alive(&self, token: Option<&Secret>, revocations: &Revocations) -> Result<Option<String>> {
        let is_forecast = self.task.check_mode && !revocations.ids.is_empty();
        let Some(token) = token.filter(|_| !is_forecast) else { return Ok(None) };
        match self.central.status(token).await? {
            Status::Refused(_) => Ok(None),
            Status::Accepted(_) => {
                let end = Claims::of(token).and_then(|claims| claims.expires_at());
                Ok(Some(end.map_or_else(|| "its end".to_owned(), |end| timestamp(self.by_our_clock(end)))))
            }
        }
    }

    /// Tokens of earlier runs that a later one was to revoke, and those that nobody was given.
    async fn left_alive(&self, note: &Note) -> Result<Vec<String>> {
        let Subject { server, object } = self.subject();
        if note.server != Some(server) {
            return Ok(Vec::new());
        }
        let next = note.next.as_ref().and_then(|next| next.id.clone());
        let mut ids: Vec<String> = note.retiring.iter().map(|old| old.id.clone()).chain(next).collect();
        for since in note.under_way().filter(|_| note.object.as_ref() == Some(&object)) {
            ids.extend(self.system().orphans(since).await?);
        }
        Ok(ids)
    }

    fn revoked(&self, revocations: Revocations) -> Outcome {
        let Revocations { ids, revive_until, emptied } = revocations;
        let mut returned = self.returned(if ids.is_empty() { Reason::Missing } else { Reason::Forced });
        let changed = emptied || !ids.is_empty();
        let before = json!({ "tokens": &ids });
        returned["revoked"] = json!(ids);
        returned["may_revive_until"] = json!(revive_until.filter(|_| !self.task.check_mode).map(timestamp));
        Outcome::new(&returned).changed(changed).diff(&before, &json!({ "tokens": [] }))
    }

    /// Tokens of this name and these roles that may still be accepted.
    async fn living(&self) -> Result<Vec<ApiToken>> {
        let mut tokens = self.central.tokens(Some(false)).await?;
        let now = self.central.now().await?;
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
        let has_place = self.place.lasts();
        let mut returned = self.returned(rotation.reason);
        returned["generated"] = json!(rotation.issued);
        returned["revoked"] = json!(rotation.retired);
        returned["still_valid"] = json!(rotation.left);
        returned["may_revive_until"] = json!(system.revive_until(&rotation.retired).map(timestamp));
        if let Some(token) = &rotation.trace {
            returned["id"] = json!(token.id);
            returned["expires_at"] = json!(token.expires_at.map(timestamp));
            returned["fingerprint"] = json!(token.fingerprint);
        }
        let changed = rotation.issued || (has_place && rotation.handed_over) || !rotation.retired.is_empty();
        let mut outcome = Outcome::new(&returned)
            .changed(changed)
            .diff(&for_diff(rotation.before.as_ref()), &for_diff(rotation.trace.as_ref()));
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
            "role": self.wanted.only_role(),
            "generated": false,
            "revoked": [],
            "still_valid": [],
            "clock_offset": self.central.clock_offset().num_seconds(),
        });
        self.place.describe(&mut returned);
        returned
    }

    fn system(&self) -> KeptToken<'_> {
        let Options { expiration, connection, .. } = self.options;
        KeptToken::new(self.task, self.central, self.wanted, expiration, connection.request_timeout)
    }

    fn subject(&self) -> Subject {
        Subject { server: self.central.address(), object: self.options.name.clone() }
    }

    fn by_our_clock(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        time - self.central.clock_offset()
    }
}

/// What was revoked, or in check mode would be.
#[derive(Default)]
struct Revocations {
    ids: Vec<String>,
    /// When the last of them ends.
    revive_until: Option<DateTime<Utc>>,
    /// The token was taken out of its place.
    emptied: bool,
}

fn for_diff(token: Option<&Trace>) -> Value {
    match token {
        Some(token) => json!({ "token": token.fingerprint, "expires_at": token.expires_at.map(timestamp) }),
        None => json!({ "token": null }),
    }
}

/// As in the module of `infra.rhacs_configuration`.
const DEFAULT_ROLE: &str = "Admin";
/// The role that allows nothing, not even to log in.
const NO_ROLE: &str = "None";
