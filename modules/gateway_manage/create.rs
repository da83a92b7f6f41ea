//! Create: one more token for a user, brought to those who use it.
//!
//! The command can neither show a token again nor prove or revoke a single one. So the place is tried before it is run, and what a killed run leaves
//! is told by the note: a request that was under way, the fingerprint of the token that came of it, and perhaps that token, not yet in place.

use anyhow::{Error, Result, anyhow};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tokensmith::ansible::Outcome;
use tokensmith::command::Printed;
use tokensmith::http::Connection;
use tokensmith::rotation::{Destination, Holding, Naming, Note, Place, PlaceError, Token};
use tokensmith::secret::Secret;
use tokensmith::timestamp::timestamp;

use super::management::{Refusal, SHORTEST_TOKEN};
use super::{Command, Job};

pub(super) async fn run(job: &Job<'_>) -> Result<Outcome> {
    let options = job.options;
    if options.hand_over.returns_token() {
        job.task.refuse_public_secret()?;
    }
    let naming = Naming { name: "oauth_token", token_type: Some("Bearer"), ..Naming::default() };
    let hand_over = &options.hand_over;
    let place = hand_over.destination_or_credential(hand_over.dest.as_deref(), naming, &Connection::default())?;
    let user = options.user.as_deref().unwrap_or_default();
    let creation = Creation { job, user, place: &place };
    let done = creation.run().await;
    for notice in place.notices() {
        job.task.warn(notice);
    }
    let (found, done) = done?;
    Ok(creation.outcome(&found, done))
}

struct Creation<'a> {
    job: &'a Job<'a>,
    user: &'a str,
    place: &'a Destination,
}

/// What there is, and what follows.
struct Found {
    token: Option<Secret>,
    /// Fingerprint of the token that is there, also where it cannot be shown.
    fingerprint: Option<String>,
    /// What is known of that token and of requests that are under way.
    note: Note,
    /// What the note becomes with a token that a killed run had received and not put in place.
    left_behind: Option<Note>,
    reason: Reason,
    plan: Plan,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// There is no token in the place.
    Missing,
    /// What is in the place is not what the task asks for.
    Drifted,
    /// The task asks for it, or there is no place to look at.
    Forced,
    /// There is one, of which nothing else is known.
    Held,
}

#[derive(Clone, Copy, PartialEq)]
enum Plan {
    Leave,
    /// What a killed run had received is put in place.
    Recover,
    /// The token is written again as the task asks for it.
    WriteAgain,
    Create,
}

/// What was done.
#[derive(Default)]
struct Done {
    token: Option<Secret>,
    /// Fingerprint of a token that was there, also where it cannot be shown.
    fingerprint: Option<String>,
    created_at: Option<DateTime<Utc>>,
    changed: bool,
    created: bool,
    recovered: bool,
    /// The token exists nowhere but in this process.
    is_stranded: bool,
    error: Option<Error>,
}

impl Creation<'_> {
    async fn run(&self) -> Result<(Found, Done)> {
        let found = self.look().await?;
        match found.plan {
            Plan::Leave if self.job.task.check_mode => Ok(self.nothing_done(found)),
            Plan::Leave if found.is_settled() => {
                self.place.tidy();
                Ok(self.nothing_done(found))
            }
            _ if self.job.task.check_mode => self.forecast(found).await,
            _ => self.put_right().await,
        }
    }

    async fn look(&self) -> Result<Found> {
        let holding = self.place.look().await?;
        let fingerprint = holding.fingerprint();
        let left = holding.left_behind.as_ref().map(Secret::fingerprint);
        let note = caught_up(holding.note.clone().unwrap_or_default(), fingerprint.as_ref());
        let left_behind = note.next.as_deref().filter(|next| is_about(next, left.as_ref())).cloned();
        let left_behind = left_behind.filter(|next| next.object.as_deref() == Some(self.user));
        let (reason, plan) = match left_behind {
            // Beside a token that is there, only a run that was forced asks for another.
            Some(_) if holding.token.is_some() => (Reason::Forced, Plan::Recover),
            Some(_) => (Reason::Missing, Plan::Recover),
            None => self.decide(&holding, &note),
        };
        Ok(Found { token: holding.token, fingerprint, note, left_behind, reason, plan })
    }

    fn decide(&self, holding: &Holding, note: &Note) -> (Reason, Plan) {
        let is_others = || note.object.as_deref().is_some_and(|object| object != self.user);
        let fingerprint = holding.fingerprint().filter(|_| !holding.is_incomplete);
        match &holding.token {
            _ if self.job.options.force || !self.place.lasts() => (Reason::Forced, Plan::Create),
            _ if fingerprint.is_none() => (Reason::Missing, Plan::Create),
            Some(token) if !is_token(token.reveal()) => (Reason::Drifted, Plan::Create),
            _ if is_about(note, fingerprint.as_ref()) && is_others() => (Reason::Drifted, Plan::Create),
            Some(_) if holding.has_drifted => (Reason::Drifted, Plan::WriteAgain),
            _ => (Reason::Held, Plan::Leave),
        }
    }

    fn nothing_done(&self, found: Found) -> (Found, Done) {
        let done = Done { created_at: found.created_at(), ..self.still_there(&found) };
        (found, done)
    }

    fn still_there(&self, found: &Found) -> Done {
        Done { token: found.token.clone(), fingerprint: found.fingerprint.clone(), ..Done::default() }
    }

    /// Looks at what would keep a run from it, as far as that shows without running anything.
    async fn forecast(&self, found: Found) -> Result<(Found, Done)> {
        self.place.check_writable().await?;
        if found.plan == Plan::Create {
            self.job.options.executable.check()?;
        }
        let done = Done {
            token: found.token.clone().filter(|_| found.plan == Plan::WriteAgain),
            changed: true,
            created: found.plan == Plan::Create,
            recovered: found.plan == Plan::Recover,
            ..Done::default()
        };
        Ok((found, done))
    }

    async fn put_right(&self) -> Result<(Found, Done)> {
        let lock = self.place.lock().await?;
        // While this run waited, another may have done the work. What is under way now is so no more.
        let found = self.look().await?;
        self.warn_of_lost_token(&found);
        let done = match found.plan {
            Plan::Leave => return Ok(self.nothing_done(found)),
            Plan::WriteAgain => self.write_again(&lock, &found).await?,
            Plan::Recover => self.recover(&lock, &found).await?,
            Plan::Create => self.create(&lock, &found).await?,
        };
        Ok((found, done))
    }

    async fn write_again(&self, lock: &Lock, found: &Found) -> Result<Done> {
        let Some(token) = found.token.clone() else { return Ok(Done::default()) };
        let reserved = self.place.reserve(lock).await?;
        let token = Token::new(token);
        self.place.hand_over(lock, reserved, &token, &found.note, async || true).await?;
        Ok(Done { changed: true, token: Some(token.secret), created_at: found.created_at(), ..Done::default() })
    }

    /// It is moved, not written again, so that another kill does no harm either.
    async fn recover(&self, lock: &Lock, found: &Found) -> Result<Done> {
        let (Some(file), Some(held), Some(note)) = (self.place.file(), lock.file(), &found.left_behind) else {
            return Ok(Done::default());
        };
        file.put_left_behind_in_place(held)?;
        self.place.write_note(lock, note).await?;
        let holding = self.place.look().await?;
        let has_drifted = holding.has_drifted;
        let fingerprint = holding.fingerprint();
        let found = Found { token: holding.token, fingerprint, note: note.clone(), left_behind: None, ..*found };
        let done = match has_drifted {
            true => self.write_again(lock, &found).await?,
            false => self.nothing_done(found).1,
        };
        Ok(Done { changed: true, recovered: true, ..done })
    }

    async fn create(&self, lock: &Lock, found: &Found) -> Result<Done> {
        let reserved = self.place.reserve(lock).await?;
        let since = Utc::now();
        let next = Note { object: Some(self.user.to_owned()), rotated_at: Some(since), ..Note::default() };
        let intention = Note { under_way_since: Some(since), next: Some(Box::new(next.clone())), ..found.note.clone() };
        self.place.write_note(lock, &intention).await?;
        let secret = match self.issue() {
            Ok(secret) => secret,
            Err(NotIssued { why, may_exist }) => {
                if !may_exist {
                    let _the_cause_counts_more = self.place.write_note(lock, &found.note).await;
                }
                return Err(why);
            }
        };
        self.job.task.learn(&secret);
        let next = Note { fingerprint: Some(secret.fingerprint()), ..next };
        let announced = Note { next: Some(Box::new(next.clone())), ..intention };
        // Only a killed run's successor needs it.
        let _not_needed_by_this_run = self.place.write_note(lock, &announced).await;
        let token = Token::new(secret);
        let handed_over = self.place.hand_over(lock, reserved, &token, &next, async || true).await;
        let done = Done {
            changed: true,
            created: true,
            created_at: Some(since),
            token: Some(token.secret),
            ..Done::default()
        };
        match handed_over {
            Ok(()) => Ok(done),
            Err(why) => Ok(self.not_handed_over(done, why).await),
        }
    }

    /// Runs the command, and reads the token in what it printed.
    fn issue(&self) -> Result<Secret, NotIssued> {
        let flag = self.job.management.user_flag().unwrap_or_default();
        let ended = self.job.management.run(&[Command::Create.name(), &flag]);
        let ended = ended.map_err(|refusal| self.not_issued(refusal))?;
        token_in(&ended.stdout).ok_or_else(|| {
            let why = anyhow!(
                "{} ended well, and what it printed is no token; is it the management command of a gateway or a controller?",
                self.job.options.executable.name()
            );
            NotIssued { why: self.may_exist(why), may_exist: true }
        })
    }

    fn not_issued(&self, refusal: Refusal) -> NotIssued {
        let may_exist = refusal.may_have_acted();
        let why = Error::new(refusal);
        NotIssued { why: if may_exist { self.may_exist(why) } else { why }, may_exist }
    }

    fn may_exist(&self, why: Error) -> Error {
        let user = self.user;
        why.context(format!(
            "no token was received, and one may have been created that nobody has; revoke_oauth2_tokens for the user {user} ends it, with all others of \
             that user"
        ))
    }

    /// It can fail behind the moment that counts. What the users read now decides.
    async fn not_handed_over(&self, done: Done, why: PlaceError) -> Done {
        let is_there = self.place.look().await.is_ok_and(|holding| holding.fingerprint() == done.fingerprint());
        let explained = match (is_there, self.job.task.result_is_public()) {
            (true, _) => "the token is in place, and what the next run should know of it could not be noted".to_owned(),
            (false, false) => {
                "a token was created and could not be handed over; it is in the result as token and nowhere else, so store it".to_owned()
            }
            (false, true) => format!(
                "a token was created and could not be handed over, and with async everybody on this host may read the result, so nobody has it; \
                 revoke_oauth2_tokens for the user {} ends it, with all others of that user",
                self.user
            ),
        };
        Done { is_stranded: !is_there, error: Some(Error::new(why).context(explained)), ..done }
    }

    /// A request of a run that was killed: its token can be neither found nor ended by itself.
    fn warn_of_lost_token(&self, found: &Found) {
        let Some(since) = found.note.under_way_since.filter(|_| found.left_behind.is_none()) else { return };
        let next = found.note.next.as_deref();
        let user = next.and_then(|next| next.object.as_deref()).unwrap_or(self.user);
        let has_got = match next.and_then(|next| next.fingerprint.as_ref()) {
            Some(fingerprint) => format!("created a token ({fingerprint})"),
            None => "may have created a token".to_owned(),
        };
        self.job.task.warn(format!(
            "A run at {} {has_got} for the user {user} that was not handed over, as it did not come to its end. revoke_oauth2_tokens for that user ends it, with \
             all others.",
            timestamp(since)
        ));
    }

    fn outcome(&self, found: &Found, done: Done) -> Outcome {
        let is_forecast = self.job.task.check_mode && found.plan != Plan::Leave;
        let after = match (done.fingerprint(), done.created || done.recovered) {
            (Some(fingerprint), _) => Some(fingerprint),
            (None, true) => Some("(a new token)".to_owned()),
            (None, false) => None,
        };
        let mut outcome = Outcome::new(&self.returned(found.reason, &done))
            .changed(done.changed)
            .diff(&json!({ "token": found.fingerprint }), &json!({ "token": after }));
        let is_public = self.job.task.result_is_public();
        let is_returned = self.job.options.hand_over.returns_token() && !is_forecast;
        if let Some(token) = done.token.filter(|_| is_returned || (done.is_stranded && !is_public)) {
            outcome = outcome.secret("token", &token);
        }
        match done.error {
            Some(error) => outcome.failed(error),
            None => outcome,
        }
    }

    fn returned(&self, reason: Reason, done: &Done) -> Value {
        let mut returned = self.job.returned();
        returned["reason"] = json!(reason);
        returned["created"] = json!(done.created);
        returned["recovered"] = json!(done.recovered);
        if let Some(fingerprint) = done.fingerprint() {
            returned["fingerprint"] = json!(fingerprint);
        }
        if let Some(created_at) = done.created_at {
            returned["created_at"] = json!(timestamp(created_at));
        }
        self.place.describe(&mut returned);
        returned
    }
}

impl Found {
    /// Whether no request is noted of which nothing more is known.
    fn is_settled(&self) -> bool {
        self.note.under_way_since.is_none()
    }

    fn created_at(&self) -> Option<DateTime<Utc>> {
        self.note.rotated_at.filter(|_| is_about(&self.note, self.fingerprint.as_ref()))
    }
}

impl Done {
    fn fingerprint(&self) -> Option<String> {
        self.token.as_ref().map(Secret::fingerprint).or_else(|| self.fingerprint.clone())
    }
}

/// Why there is no token, and whether one may exist all the same.
struct NotIssued {
    why: Error,
    may_exist: bool,
}

/// As it would be, had the run that wrote it not been killed between handing this token over and noting so.
fn caught_up(note: Note, token: Option<&String>) -> Note {
    match note.next {
        Some(next) if is_about(&next, token) => *next,
        next => Note { next, ..note },
    }
}

fn is_about(note: &Note, token: Option<&String>) -> bool {
    token.is_some() && note.fingerprint.as_ref() == token
}

/// The last line: the token, alone or as the documentation has it, behind a sentence.
fn token_in(printed: &Printed) -> Option<Secret> {
    let line = printed.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let behind = line.strip_prefix(SENTENCE).and_then(|rest| rest.rsplit_once(": "));
    let token = behind.map_or(line, |(_, token)| token.trim());
    is_token(token).then(|| Secret::new(token))
}

fn is_token(text: &str) -> bool {
    text.len() >= SHORTEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

type Lock = <Destination as Place>::Lock;

const SENTENCE: &str = "New OAuth2 token for ";
