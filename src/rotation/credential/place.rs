//! The credential as it is looked at, locked, and written to: one request carries token and marker, and what came of it is read back.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::find::{Found, find};
use super::marker::{self, Marker};
use super::options::CredentialOptions;
use super::{PlaceError, lock};
use crate::http::Connection;
use crate::rotation::{Lock, Note, Token};
use crate::secret::Secret;
use crate::systems::SystemError as _;
use crate::systems::platform::{Change, Credential, CredentialRow, Inputs, Job, MASK, PlatformError};

/// A credential of the automation controller.
pub struct CredentialPlace {
    options: CredentialOptions,
    host: String,
    credential: Credential,
    connection: Connection,
    found: OnceCell<Found>,
    /// The marker as this run saw or wrote it last.
    seen: RefCell<Option<Marker>>,
    /// The token that this run has handed over.
    handed_over: RefCell<Option<Secret>>,
    notices: RefCell<Vec<String>>,
    /// It was locked just now, and nobody else was at work on it.
    was_idle: Cell<bool>,
    /// What runs on this host are called in the marker.
    name: RefCell<String>,
}

/// What a credential holds, as far as it can be known.
#[derive(Debug, Clone, Default)]
pub(in crate::rotation) struct Content {
    /// The token, where the task gave it and it is the right one.
    pub(in crate::rotation) token: Option<Secret>,
    /// Fingerprint of the token that stands there, by its marker.
    pub(in crate::rotation) holds: Option<String>,
    /// The token has no marker.
    pub(in crate::rotation) is_unmarked: bool,
    pub(in crate::rotation) note: Option<Note>,
}

impl CredentialPlace {
    pub(super) fn new(
        options: CredentialOptions,
        host: String,
        credential: Credential,
        connection: Connection,
    ) -> Self {
        let place = Self {
            options,
            host,
            credential,
            connection,
            found: OnceCell::new(),
            seen: RefCell::default(),
            handed_over: RefCell::default(),
            notices: RefCell::default(),
            was_idle: Cell::new(false),
            name: RefCell::new(lock::new_name()),
        };
        if !place.connection.validate_certs {
            place.notice(
                "controller_validate_certs is false: anybody between here and the controller can read and replace what is written into its credentials.",
            );
        }
        place
    }

    /// What a user should know of what was found and done, so far.
    pub fn notices(&self) -> Vec<String> {
        self.notices.borrow().clone()
    }

    /// What a result says of it, once it was looked at.
    pub fn facts(&self) -> Option<Value> {
        let found = self.found.get()?;
        Some(json!({
            "id": found.id,
            "name": found.name,
            "organization": found.organization,
            "field": found.field,
            "url": found.address(),
            "marker": found.marker_name(),
        }))
    }

    /// What it holds. Changes nothing.
    pub(in crate::rotation) async fn look(&self) -> Result<Content, PlaceError> {
        let found = self.found().await?;
        let row = found.row().await.map_err(|error| self.failed(&error))?;
        let marker = self.marker(found, &row)?;
        if self.was_idle.take() && self.is_busy(marker.as_ref()) {
            return Err(self.overtaken());
        }
        self.seen.replace(marker.clone());
        let (holds, note) = marker.map(|marker| (marker.holds, marker.note)).unzip();
        if !is_filled(&row, &found.field) {
            return Ok(Content { note, ..Content::default() });
        }
        let holds = holds.flatten();
        let is_unmarked = holds.is_none();
        let token = self.options.token.clone().filter(|token| !token.is_empty());
        if let (Some(token), Some(holds)) = (&token, &holds)
            && token.fingerprint() != *holds
        {
            self.notice(format!(
                "The token that this job got ({}) is not the one that the credential {} holds now ({holds}): the job started before the last rotation. The \
                 note of the credential is followed.",
                token.fingerprint(),
                found.name
            ));
        }
        let token = token.filter(|token| holds.as_ref().is_none_or(|holds| token.fingerprint() == *holds));
        Ok(Content { token, holds, is_unmarked, note })
    }

    /// Whether a token could be brought into it, as far as that can be asked. The scope of the caller's token cannot: the first note finds that out, before
    /// anything is issued.
    pub(in crate::rotation) async fn check_writable(&self) -> Result<(), PlaceError> {
        let found = self.found().await?;
        let row = found.row().await.map_err(|error| self.failed(&error))?;
        if row.may_be_changed() {
            return Ok(());
        }
        Err(self.wrong(
            "the caller may not change it; it takes the role Admin of this credential (Use and Read are not enough)",
        ))
    }

    /// Waits until no other run is at work on it: on this host by a lock, and of those elsewhere by the intention that they have written down.
    pub(in crate::rotation) async fn lock(&self) -> Result<Option<Lock>, PlaceError> {
        let lock = self.lock_on_this_host().await?;
        let begun = Instant::now();
        loop {
            self.look().await?;
            let is_idle = !self.is_busy(self.seen.borrow().as_ref());
            // One that was killed says so for as long as one that is at work.
            if is_idle || begun.elapsed() >= LONGEST_WAIT {
                self.was_idle.set(is_idle);
                return Ok(lock);
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    async fn lock_on_this_host(&self) -> Result<Option<Lock>, PlaceError> {
        let Some(path) = lock::path(&self.found().await?.address()) else { return Ok(None) };
        let begun = Instant::now();
        loop {
            match lock::take(&path) {
                Ok(Some((lock, name))) => {
                    self.name.replace(name);
                    return Ok(Some(lock));
                }
                Ok(None) if begun.elapsed() < LONGEST_WAIT => tokio::time::sleep(LOCK_PAUSE).await,
                Ok(None) => {
                    return Err(self.wrong(
                        "another run on this host has been at work on it for a minute; let that end, or look for a hung process",
                    ));
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// Waits until no job is running that got the token, for as long as the task says. Without that it only tells of them.
    pub(in crate::rotation) async fn wait_until_idle(&self) -> Result<(), PlaceError> {
        let longest = self.options.wait_for_jobs.map_or(TimeDelta::zero(), |span| span.delta());
        let longest = longest.to_std().unwrap_or_default();
        let begun = Instant::now();
        loop {
            let jobs = match self.running_jobs().await {
                Ok(jobs) => jobs,
                Err(error) if longest.is_zero() => {
                    self.notice(format!("Whether jobs are running with the old token could not be asked: {error}."));
                    return Ok(());
                }
                Err(error) => return Err(self.failed(&error)),
            };
            let names = jobs.iter().map(Job::to_string).collect::<Vec<_>>().join(", ");
            if jobs.is_empty() {
                if !longest.is_zero() {
                    self.tell_of_blindness().await;
                }
                return Ok(());
            }
            if longest.is_zero() {
                self.notice(format!(
                    "Jobs that started with the old token are running, and it is dead from now on: {names}. With dest_credential.wait_for_jobs, a rotation \
                     waits for their end."
                ));
                return Ok(());
            }
            let Some(left) = longest.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(self.wrong(format!(
                    "jobs that use it were still running after wait_for_jobs: {names}; nothing was done. Where one of them is the job of this very task, name \
                     it by job_id"
                )));
            };
            tokio::time::sleep(JOB_PAUSE.min(left)).await;
        }
    }

    /// Writes the note and nothing else, where it differs. A token that this run has handed over goes with it: had another writer's older state come over it
    /// by now, the note would not be true.
    pub(in crate::rotation) async fn write_note(&self, note: &Note) -> Result<(), PlaceError> {
        let holds = self.seen.borrow().as_ref().and_then(|seen| seen.holds.clone());
        let wanted = Some(Marker::new(holds, &self.name.borrow(), note));
        if *self.seen.borrow() == wanted {
            return Ok(());
        }
        let token = self.handed_over.borrow().clone();
        self.write(wanted, token.as_ref(), async || false).await
    }

    /// Writes token and note at once.
    pub(in crate::rotation) async fn hand_over(
        &self,
        token: &Token,
        note: &Note,
        is_valid: impl AsyncFn() -> bool,
    ) -> Result<(), PlaceError> {
        if token.secret.reveal().starts_with(MASK) {
            return Err(self.wrong("the token begins like the mask of the controller, which would take it for that"));
        }
        let wanted = Marker::new(Some(token.secret.fingerprint()), &self.name.borrow(), note);
        self.write(Some(wanted), Some(&token.secret), is_valid).await?;
        self.handed_over.replace(Some(token.secret.clone()));
        Ok(())
    }

    /// Empties the field, where the token in it is known. Says whether there was anything.
    pub(in crate::rotation) async fn remove(&self) -> Result<bool, PlaceError> {
        let _lock = self.lock().await?;
        let content = self.look().await?;
        let is_ours = content.holds.is_some() || content.token.is_some();
        if !is_ours && self.seen.borrow().is_none() {
            return Ok(false);
        }
        let nothing = Secret::new("");
        self.write(None, Some(&nothing).filter(|_| is_ours), async || true).await?;
        Ok(is_ours)
    }

    /// Writes until it is there, which is seen by the marker alone: an answer can be lost, and another writer with an older map can come over it.
    async fn write(
        &self,
        wanted: Option<Marker>,
        secret: Option<&Secret>,
        is_valid: impl AsyncFn() -> bool,
    ) -> Result<(), PlaceError> {
        let found = self.found().await?;
        let last_entry = match secret {
            Some(_) => self.last_entry(found).await,
            None => None,
        };
        let mut expected = self.seen.borrow().clone();
        let mut tried: Option<String> = None;
        for attempt in 0..MOST_ATTEMPTS {
            let row = found.row().await.map_err(|error| self.undecided(&tried, &error))?;
            let marker = self.marker(found, &row)?;
            if tried.is_some() && marker == wanted {
                self.seen.replace(wanted);
                return Ok(());
            }
            if marker != expected && self.is_built_on_ours(marker.as_ref()) {
                return Ok(());
            }
            if marker != expected && !is_valid().await {
                return Err(self.overtaken());
            }
            expected = marker;
            let change = Composed::new(self, found, &row, wanted.as_ref())?;
            let written = found.platform.change_credential(found.id, &change.request(&found.field, secret)).await;
            match written {
                Ok(answer) => {
                    let now = found
                        .row()
                        .await
                        .map_err(|error| self.undecided(&Some("it was written".to_owned()), &error))?;
                    if self.marker(found, &now)? == wanted {
                        self.compare(found, &row, &answer, &now);
                        self.tell_of_others(found, last_entry, &answer).await;
                        self.seen.replace(wanted);
                        return Ok(());
                    }
                    tried = Some(OVERWRITTEN.to_owned());
                }
                Err(error) if error.may_have_acted() => {
                    tried = Some(error.to_string());
                    tokio::time::sleep(PAUSE * attempt).await;
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Err(self.wrong(format!("it could not be written, and the field is as it was: {}", tried.unwrap_or_default())))
    }

    fn is_busy(&self, marker: Option<&Marker>) -> bool {
        marker.is_some_and(|marker| marker.is_at_work_elsewhere(&self.name.borrow(), Utc::now()))
    }

    /// Whether another run has begun with what this one handed over, and knows what its note said.
    fn is_built_on_ours(&self, marker: Option<&Marker>) -> bool {
        let handed_over = self.handed_over.borrow().as_ref().map(Secret::fingerprint);
        handed_over.is_some() && marker.is_some_and(|marker| marker.holds == handed_over)
    }

    /// Tells of other inputs that are not as they were.
    fn compare(&self, found: &Found, before: &CredentialRow, answer: &CredentialRow, now: &CredentialRow) {
        let others = |row: &CredentialRow| {
            let mut inputs = row.inputs.clone();
            inputs.retain(|name, _| *name != found.field && Some(name) != found.marker.as_ref());
            inputs
        };
        let (before, answered, now_there) = (others(before), others(answer), others(now));
        let changed =
            differing(&before, &answered).into_iter().chain(differing(&before, &now_there)).collect::<Vec<_>>();
        let somebody = now.modified_by().map_or("somebody", |user| &user.username);
        if !changed.is_empty() {
            self.notice(format!(
                "The credential {} was changed at the same moment (last by {somebody}): other fields are not as they were read before: {}. Check them.",
                found.name,
                changed.join(", ")
            ));
        }
    }

    /// Who has no role on a template is not shown its jobs.
    async fn tell_of_blindness(&self) {
        let Some(found) = self.found.get() else { return };
        if !found.platform.sees_templates_with_credential(found.id).await.unwrap_or(false) {
            self.notice(format!(
                "The caller sees no job template that uses the credential {}, so wait_for_jobs may have missed jobs: give the caller the role Read on those \
                 templates. Project updates, which use galaxy credentials, are not waited for.",
                found.name
            ));
        }
    }

    /// The last entry of the activity stream, where the caller may see it.
    async fn last_entry(&self, found: &Found) -> Option<u64> {
        let changes = found.platform.changes_since(found.id, 0).await;
        changes.ok().map(|(_, last)| last)
    }

    /// Tells of somebody who wrote while this run did. The controller puts whole rows back, so what they wrote may be lost, and nothing shows what it was.
    async fn tell_of_others(&self, found: &Found, last: Option<u64>, answer: &CredentialRow) {
        let (Some(last), Some(own)) = (last, answer.modified_by()) else { return };
        let Ok((mut actors, _)) = found.platform.changes_since(found.id, last).await else { return };
        actors.retain(|actor| *actor != own.username && !actor.is_empty());
        actors.dedup();
        if !actors.is_empty() {
            self.notice(format!(
                "{} changed the credential {} at the same moment as this task, and what was written there may be lost: check its other fields.",
                actors.join(", "),
                found.name
            ));
        }
    }

    async fn running_jobs(&self) -> Result<Vec<Job>, PlaceFailure> {
        let found = self.found().await?;
        let mut jobs = found.platform.jobs_with_credential(found.id).await?;
        jobs.retain(|job| Some(job.id) != self.options.job_id);
        Ok(jobs)
    }

    async fn found(&self) -> Result<&Found, PlaceError> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let found = find(&self.options, &self.host, &self.credential, &self.connection).await?;
        Ok(self.found.get_or_init(|| found))
    }

    fn marker(&self, found: &Found, row: &CredentialRow) -> Result<Option<Marker>, PlaceError> {
        marker::read(text(found, row), &found.field).map_err(|_| self.damaged(found))
    }

    fn notice(&self, sentence: impl Into<String>) {
        let (sentence, mut notices) = (sentence.into(), self.notices.borrow_mut());
        if !notices.contains(&sentence) {
            notices.push(sentence);
        }
    }

    fn overtaken(&self) -> PlaceError {
        self.wrong("another run wrote to it at the same moment, and what that wrote stands; run the task again when it is over")
    }

    fn damaged(&self, found: &Found) -> PlaceError {
        self.wrong(format!(
            "the note in its {} was edited by hand, so what it says of the token is not believed; put it back as it was, or remove all from `[tokensmith` to \
             `]`: then nothing is known of the token there, and a new one is issued",
            found.marker_name()
        ))
    }

    fn undecided(&self, tried: &Option<String>, error: &PlatformError) -> PlaceError {
        match tried {
            None => self.failed(error),
            Some(tried) => self.wrong(format!(
                "what became of the request to write it ({tried}) is not known, as it could not be read afterwards: {error}"
            )),
        }
    }

    fn failed(&self, error: &impl fmt::Display) -> PlaceError {
        self.wrong(error.to_string())
    }

    fn wrong(&self, why: impl Into<String>) -> PlaceError {
        PlaceError::Credential { which: self.options.which(), why: why.into() }
    }
}

impl fmt::Debug for CredentialPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CredentialPlace").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What is to be sent: the text with the marker, where it belongs.
struct Composed {
    description: Option<String>,
    inputs: Map<String, Value>,
}

impl Composed {
    fn new(
        place: &CredentialPlace,
        found: &Found,
        row: &CredentialRow,
        marker: Option<&Marker>,
    ) -> Result<Self, PlaceError> {
        let text = marker::write(text(found, row), &found.field, marker).map_err(|_| place.damaged(found))?;
        if text.chars().count() > LONGEST_TEXT {
            return Err(place.wrong(format!(
                "its {} would be longer than {LONGEST_TEXT} characters with the note; shorten it",
                found.marker_name()
            )));
        }
        let mut inputs = row.inputs.clone();
        let description = match &found.marker {
            None => Some(text),
            Some(name) => {
                inputs.insert(name.clone(), Value::String(text));
                None
            }
        };
        Ok(Self { description, inputs })
    }

    /// Where neither the token nor a field changes, the inputs are left alone.
    fn request<'a>(&'a self, field: &'a str, secret: Option<&'a Secret>) -> Change<'a> {
        let inputs = Inputs { others: &self.inputs, secret: secret.map(|secret| (field, secret)) };
        let leaves_inputs = self.description.is_some() && secret.is_none();
        Change { description: self.description.as_deref(), inputs: Some(inputs).filter(|_| !leaves_inputs) }
    }
}

/// The text that the marker stands in.
fn text<'a>(found: &Found, row: &'a CredentialRow) -> &'a str {
    match &found.marker {
        None => &row.description,
        Some(name) => row.inputs.get(name).and_then(Value::as_str).unwrap_or_default(),
    }
}

fn is_filled(row: &CredentialRow, field: &str) -> bool {
    row.inputs.get(field).and_then(Value::as_str).is_some_and(|shown| !shown.is_empty())
}

fn differing(one: &Map<String, Value>, other: &Map<String, Value>) -> Vec<String> {
    let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    names.filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

/// Why the jobs could not be asked for.
type PlaceFailure = Box<dyn std::error::Error>;

const OVERWRITTEN: &str = "another writer's older state of it came over what was written, again and again";
/// A marker holds a note and what is to be retired: some hundred characters.
const LONGEST_TEXT: usize = 16_000;
const MOST_ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
const LOOK_PAUSE: Duration = Duration::from_millis(300);
const JOB_PAUSE: Duration = Duration::from_secs(5);
