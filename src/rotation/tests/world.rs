//! A system, a place and the runs of one task on them. Each call is a step, writing a file is several, and a run can be disturbed at any of them.

use std::cell::RefCell;
use std::fmt;
use std::future::pending;
use std::path::PathBuf;
use std::rc::Rc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;

use crate::rotation::{
    Holding, InPlace, Note, Overlap, Place, PlaceError, Policy, Proof, ReadBack, Retiring, Rotate, Rotation,
    RotationError, Standing, Subject, System, Token,
};
use crate::secret::Secret;
use crate::systems::SystemError;

/// How a system works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In place, and the valid token can be read.
    Quay,
    /// In place, and no token can be read.
    Hub,
    /// Overlap; a token says itself how it is named.
    Rhacs,
    /// Overlap; nothing but the note says how a token is named.
    Gateway,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Quay, Self::Hub, Self::Rhacs, Self::Gateway];
    pub(super) const IN_PLACE: [Self; 2] = [Self::Quay, Self::Hub];
    pub(super) const OVERLAP: [Self; 2] = [Self::Rhacs, Self::Gateway];

    pub(super) fn overlaps(self) -> bool {
        Self::OVERLAP.contains(&self)
    }
}

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    KilledBefore,
    /// The effect is done, and the run does not live to see it.
    KilledAfter,
    /// It fails, and certainly nothing was done.
    Fails,
    /// The answer is lost.
    FailsThoughDone,
    /// It fails, nothing was done, and nobody can tell.
    FailsInDoubt,
    /// The same, and it is done when the run is over.
    FailsAndIsDoneLater,
    /// Before the step somebody else has a new token issued.
    SomebodyElseIssues,
}

impl Disturbance {
    pub(super) const OF_A_RUN: [Self; 6] = [
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Fails,
        Self::FailsThoughDone,
        Self::FailsInDoubt,
        Self::FailsAndIsDoneLater,
    ];
}

/// A token as the system knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) issued_at: DateTime<Utc>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) is_accepted: bool,
    pub(super) has_drifted: bool,
    /// A run of the task asked for it.
    pub(super) is_ours: bool,
    /// It was in the place at some time, or in a result.
    pub(super) was_given: bool,
}

impl Record {
    pub(super) fn works(&self) -> bool {
        self.is_accepted && self.expires_at.is_none_or(|end| end > Utc::now())
    }
}

/// What is true, whoever knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    pub(super) records: Vec<Record>,
    pub(super) held: Option<Secret>,
    pub(super) note: Option<Note>,
    pub(super) left_behind: Option<Secret>,
    pub(super) has_drifted: bool,
}

impl Facts {
    pub(super) fn record(&self, secret: &Secret) -> Option<&Record> {
        self.records.iter().find(|record| record.secret == *secret)
    }

    pub(super) fn accepts(&self, secret: Option<&Secret>) -> bool {
        secret.and_then(|secret| self.record(secret)).is_some_and(Record::works)
    }

    pub(super) fn held_works(&self) -> bool {
        self.accepts(self.held.as_ref())
    }

    /// The only one that is valid, in place.
    fn current(&self) -> Option<&Record> {
        self.records.iter().find(|record| record.works())
    }

    pub(super) fn issue(&mut self, kind: Kind, is_ours: bool) -> Token {
        if !kind.overlaps() {
            self.records.iter_mut().for_each(|record| record.is_accepted = false);
        }
        let id = (self.records.len() + 1).to_string();
        let expires_at = kind.overlaps().then(|| Utc::now() + TimeDelta::days(90));
        let record = Record {
            secret: Secret::new(format!("secret-{id}")),
            issued_at: Utc::now(),
            expires_at,
            is_accepted: true,
            has_drifted: false,
            is_ours,
            was_given: !is_ours,
            id,
        };
        self.records.push(record.clone());
        let told = kind.overlaps().then_some(record.issued_at);
        let id = kind.overlaps().then_some(record.id);
        Token { secret: record.secret, id, issued_at: told, expires_at }
    }

    fn give(&mut self, secret: &Secret) {
        for record in self.records.iter_mut().filter(|record| record.secret == *secret) {
            record.was_given = true;
        }
    }
}

/// The world, and what a run does in it.
#[derive(Clone)]
pub(super) struct World {
    pub(super) kind: Kind,
    pub(super) lasts: bool,
    /// The place shows no token, as a credential of the controller does not: its note says which one it holds.
    pub(super) hides: bool,
    pub(super) server: &'static str,
    pub(super) grace: TimeDelta,
    facts: Rc<RefCell<Facts>>,
    run: Rc<RefCell<Run>>,
}

#[derive(Default)]
struct Run {
    steps: Vec<&'static str>,
    disturbed: Option<(usize, Disturbance)>,
    /// Steps of this name fail for sure, from this number on.
    broken: Option<(&'static str, usize)>,
    is_dead: bool,
    is_locked: bool,
    issue_later: bool,
    issued: usize,
}

/// What a run came to: nothing, where it was killed.
pub(super) struct Ended {
    pub(super) result: Option<Result<Rotation, RotationError>>,
    pub(super) steps: Vec<&'static str>,
    pub(super) issued: usize,
    pub(super) issued_later: bool,
}

impl Ended {
    pub(super) fn rotation(&self) -> Option<&Rotation> {
        self.result.as_ref()?.as_ref().ok()
    }

    pub(super) fn succeeded(&self) -> bool {
        self.rotation().is_some_and(|rotation| rotation.error.is_none())
    }

    /// It says that a token was lost.
    pub(super) fn reports_a_loss(&self) -> bool {
        matches!(self.result, Some(Err(RotationError::Lost(_))))
            || self.rotation().is_some_and(|rotation| rotation.lost_since.is_some())
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} after {:?}", self.result, self.steps)
    }
}

impl World {
    pub(super) fn new(kind: Kind, facts: Facts) -> Self {
        Self {
            kind,
            lasts: true,
            hides: false,
            server: SERVER,
            grace: TimeDelta::zero(),
            facts: Rc::new(RefCell::new(facts)),
            run: Rc::default(),
        }
    }

    /// Another world like this one.
    pub(super) fn clone_of_itself(&self) -> Self {
        Self { facts: Rc::new(RefCell::new(self.facts())), run: Rc::default(), ..*self }
    }

    pub(super) fn facts(&self) -> Facts {
        self.facts.borrow().clone()
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        change(&mut self.facts.borrow_mut())
    }

    /// One run of the task.
    pub(super) fn run(&self, policy: &Policy) -> Ended {
        self.run_with(policy, Run::default(), false)
    }

    /// One run that is disturbed.
    pub(super) fn disturbed(&self, policy: &Policy, step: usize, how: Disturbance) -> Ended {
        self.run_with(policy, Run { disturbed: Some((step, how)), ..Run::default() }, false)
    }

    /// One run in which all steps of a name fail.
    pub(super) fn broken(&self, policy: &Policy, step: &'static str) -> Ended {
        self.broken_from(policy, step, 0)
    }

    /// The same, from a certain step on.
    pub(super) fn broken_from(&self, policy: &Policy, step: &'static str, number: usize) -> Ended {
        self.run_with(policy, Run { broken: Some((step, number)), ..Run::default() }, false)
    }

    /// One run that is disturbed, and behind that all steps of a name fail.
    pub(super) fn disturbed_and_broken(
        &self,
        policy: &Policy,
        (step, how): (usize, Disturbance),
        broken: &'static str,
    ) -> Ended {
        let run = Run { disturbed: Some((step, how)), broken: Some((broken, step + 1)), ..Run::default() };
        self.run_with(policy, run, false)
    }

    /// One run in check mode in which all steps of a name fail.
    pub(super) fn check_broken(&self, policy: &Policy, step: &'static str) -> Ended {
        self.run_with(policy, Run { broken: Some((step, 0)), ..Run::default() }, true)
    }

    pub(super) fn check(&self, policy: &Policy) -> Ended {
        self.run_with(policy, Run::default(), true)
    }

    fn run_with(&self, policy: &Policy, run: Run, check_mode: bool) -> Ended {
        *self.run.borrow_mut() = run;
        let subject = Subject { server: self.server.to_owned(), object: OBJECT.to_owned() };
        let task = Rotate { system: self, place: self, policy, subject: &subject, check_mode };
        let result = match self.kind.overlaps() {
            true => task.overlap(self.grace).now_or_never(),
            false => task.in_place().now_or_never(),
        };
        let run = self.run.take();
        if run.issue_later {
            self.change(|facts| facts.issue(self.kind, true));
        }
        let ended = Ended { result, steps: run.steps, issued: run.issued, issued_later: run.issue_later };
        if let Some(rotation) = ended.rotation().filter(|rotation| rotation.is_stranded())
            && let Some(token) = &rotation.token
        {
            self.change(|facts| facts.give(&token.secret));
        }
        // The next run finds it.
        if let Some(left_behind) = self.facts().left_behind {
            self.change(|facts| facts.give(&left_behind));
        }
        ended
    }

    async fn step<T>(&self, name: &'static str, effect: impl FnOnce(&mut Facts) -> T) -> Result<T, Failure> {
        if self.run.borrow().is_dead {
            return pending().await;
        }
        let number = self.run.borrow().steps.len();
        self.run.borrow_mut().steps.push(name);
        if self.run.borrow().broken.is_some_and(|(broken, from)| broken == name && number >= from) {
            return Err(Failure { may_have_acted: false });
        }
        let disturbed = self.run.borrow().disturbed.filter(|(step, _)| *step == number).map(|(_, how)| how);
        match disturbed {
            None => Ok(self.change(effect)),
            Some(Disturbance::SomebodyElseIssues) => Ok(self.change(|facts| {
                facts.issue(self.kind, false);
                effect(facts)
            })),
            Some(Disturbance::KilledBefore) => self.die().await,
            Some(Disturbance::KilledAfter) => {
                self.change(effect);
                self.die().await
            }
            Some(Disturbance::Fails) => Err(Failure { may_have_acted: false }),
            Some(Disturbance::FailsThoughDone) => {
                self.change(effect);
                Err(Failure { may_have_acted: true })
            }
            Some(Disturbance::FailsInDoubt) => Err(Failure { may_have_acted: true }),
            Some(Disturbance::FailsAndIsDoneLater) => {
                self.run.borrow_mut().issue_later = name == "issue";
                Err(Failure { may_have_acted: true })
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.run.borrow_mut().is_dead = true;
        pending().await
    }
}

impl System for World {
    type Error = Failure;

    async fn look(&self, held: Option<&Secret>, note: Option<&Note>) -> Result<Standing, Failure> {
        let noted = held.and_then(|held| note?.id_of(&held.fingerprint()));
        self.step("look", |facts| {
            let record = held.and_then(|held| facts.record(held)).cloned();
            let works = record.as_ref().is_some_and(Record::works);
            let current = facts.current().filter(|_| self.kind == Kind::Quay);
            let mut standing = Standing {
                works,
                current: current.map(|current| Token::new(current.secret.clone())),
                ..Standing::default()
            };
            let Some(record) = record.filter(|_| self.kind.overlaps()) else { return standing };
            standing.id = Some(record.id.clone()).filter(|_| self.kind == Kind::Rhacs);
            // The gateway tells of a token only to those who know its name.
            if standing.id.is_some() || noted.is_some() {
                standing.issued_at = Some(record.issued_at);
                standing.expires_at = record.expires_at;
                standing.has_drifted = record.has_drifted;
            }
            standing
        })
        .await
    }

    async fn look_by_note(&self, held: &str, note: &Note) -> Result<Standing, Failure> {
        let (kind, is_under_way) = (self.kind, note.under_way_since.is_some());
        let id = note.id_of(held);
        let standing = self.step("look", |facts| {
            let current = facts.current().filter(|_| kind == Kind::Quay);
            let record = facts.records.iter().find(|record| kind.overlaps() && Some(&record.id) == id.as_ref());
            Standing {
                works: record.map_or(kind == Kind::Hub && !is_under_way, Record::works),
                current: current.map(|current| Token::new(current.secret.clone())),
                id: id.clone(),
                issued_at: record.map(|record| record.issued_at),
                expires_at: record.and_then(|record| record.expires_at),
                has_drifted: record.is_some_and(|record| record.has_drifted),
                ..Standing::default()
            }
        });
        standing.await
    }

    async fn issue(&self) -> Result<Token, Failure> {
        self.run.borrow_mut().issued += 1;
        self.step("issue", |facts| facts.issue(self.kind, true)).await
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, Failure> {
        self.step("prove", |facts| match facts.accepts(Some(token)) {
            true => Proof::Works,
            false => Proof::Refused("invalid token".to_owned()),
        })
        .await
    }
}

impl InPlace for World {
    fn shows_tokens(&self) -> bool {
        self.kind == Kind::Quay
    }

    async fn read_back(&self) -> Result<ReadBack, Failure> {
        self.step("read back", |facts| match (self.kind, facts.current()) {
            (Kind::Quay, Some(current)) => ReadBack::Token(Token::new(current.secret.clone())),
            (Kind::Quay, None) => ReadBack::None,
            _ => ReadBack::NotShown,
        })
        .await
    }
}

impl Overlap for World {
    async fn retire(&self, id: &str) -> Result<(), Failure> {
        self.step("retire", |facts| {
            let held = facts.held.clone();
            for record in facts.records.iter_mut().filter(|record| record.id == id) {
                let is_in_use = record.works() && held.as_ref() == Some(&record.secret);
                assert!(!is_in_use, "token {id} is retired while its users have it");
                record.is_accepted = false;
            }
        })
        .await
    }

    async fn orphans(&self, since: DateTime<Utc>) -> Result<Vec<String>, Failure> {
        self.step("orphans", |facts| {
            let orphans = facts.records.iter().filter(|record| record.works() && record.issued_at >= since);
            orphans.map(|record| record.id.clone()).collect()
        })
        .await
    }
}

impl Place for World {
    type Lock = ();
    type Reserved = ();

    fn lasts(&self) -> bool {
        self.lasts
    }

    async fn look(&self) -> Result<Holding, PlaceError> {
        if !self.lasts {
            return Ok(Holding::default());
        }
        if self.hides {
            let look = self.step("read", |facts| Holding {
                hidden: facts.held.as_ref().filter(|_| facts.note.is_some()).map(Secret::fingerprint),
                note: facts.note.clone(),
                ..Holding::default()
            });
            return Ok(look.await?);
        }
        let look = self.step("read", |facts| Holding {
            token: facts.held.clone(),
            note: facts.note.clone(),
            left_behind: facts.left_behind.clone(),
            has_drifted: facts.has_drifted,
            ..Holding::default()
        });
        Ok(look.await?)
    }

    async fn check_writable(&self) -> Result<(), PlaceError> {
        Ok(self.step("check", |_| ()).await?)
    }

    async fn lock(&self) -> Result<(), PlaceError> {
        self.step("lock", |_| ()).await?;
        assert!(!self.run.borrow().is_locked);
        self.run.borrow_mut().is_locked = true;
        Ok(())
    }

    /// As with a file: what a killed run left stays until the next content is written.
    async fn reserve(&self, _lock: &()) -> Result<(), PlaceError> {
        assert!(self.run.borrow().is_locked);
        Ok(self.step("reserve", |_| ()).await?)
    }

    async fn write_note(&self, _lock: &(), note: &Note) -> Result<(), PlaceError> {
        assert!(self.run.borrow().is_locked);
        if !self.lasts {
            return Ok(());
        }
        Ok(self.step("note", |facts| facts.note = Some(note.clone())).await?)
    }

    async fn put_aside(&self, _lock: &(), _reserved: &mut (), token: &Token) {
        if self.lasts && !self.hides {
            let aside = self.step("put aside", |facts| facts.left_behind = Some(token.secret.clone()));
            let _it_was_for_the_worst = aside.await;
        }
    }

    async fn hand_over(
        &self,
        lock: &(),
        _reserved: (),
        token: &Token,
        note: &Note,
        _is_valid: impl AsyncFn() -> bool,
    ) -> Result<(), PlaceError> {
        if !self.lasts {
            self.change(|facts| facts.give(&token.secret));
            return Ok(());
        }
        if self.hides {
            return Ok(self.patch(token, note).await?);
        }
        self.put(token).await?;
        self.write_note(lock, note).await
    }
}

impl World {
    /// Token and note in one.
    async fn patch(&self, token: &Token, note: &Note) -> Result<(), Failure> {
        let patch = |facts: &mut Facts| {
            facts.give(&token.secret);
            (facts.held, facts.note) = (Some(token.secret.clone()), Some(note.clone()));
        };
        self.step("patch", patch).await
    }

    async fn put(&self, token: &Token) -> Result<(), Failure> {
        self.step("write", |facts| facts.left_behind = Some(token.secret.clone())).await?;
        self.step("rename", |facts| {
            facts.give(&token.secret);
            (facts.held, facts.left_behind, facts.has_drifted) = (Some(token.secret.clone()), None, false);
        })
        .await?;
        self.step("sync", |_| ()).await
    }
}

/// A call that brought nothing.
#[derive(Debug)]
pub(super) struct Failure {
    may_have_acted: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no answer")
    }
}

impl std::error::Error for Failure {}

impl SystemError for Failure {
    fn may_have_acted(&self) -> bool {
        self.may_have_acted
    }
}

impl From<Failure> for PlaceError {
    fn from(failure: Failure) -> Self {
        Self::Unusable { option: "dest", path: PathBuf::from("/token"), why: failure.to_string() }
    }
}

/// How things stand when the task is run for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Nobody ever asked for a token.
    Nothing,
    /// The place is empty, and the system has a token.
    Missing,
    Valid,
    /// Valid, and nobody noted anything about it.
    Unnoted,
    Aged,
    Expiring,
    Expired,
    Dead,
    /// The permissions of the file.
    PlaceDrifted,
    /// What the token may do.
    TokenDrifted,
    /// A run was killed before its request was sent.
    Intended,
    /// A run was killed before the answer came.
    Unanswered,
    /// A run was killed between writing the new token and putting it in place, and there was no old one that works.
    LeftBehind,
    /// An old token is still to be retired.
    Retiring,
}

impl Beginning {
    pub(super) const ALL: [Self; 14] = [
        Self::Nothing,
        Self::Missing,
        Self::Valid,
        Self::Unnoted,
        Self::Aged,
        Self::Expiring,
        Self::Expired,
        Self::Dead,
        Self::PlaceDrifted,
        Self::TokenDrifted,
        Self::Intended,
        Self::Unanswered,
        Self::LeftBehind,
        Self::Retiring,
    ];

    /// Whether there is such a thing with this system.
    pub(super) fn exists_for(self, kind: Kind) -> bool {
        match self {
            Self::Expiring | Self::Expired | Self::TokenDrifted | Self::Retiring => kind.overlaps(),
            // A token that nobody knows by name cannot be retired by anybody.
            Self::Unnoted => kind != Kind::Gateway,
            Self::Missing => !kind.overlaps(),
            _ => true,
        }
    }

    pub(super) fn world(self, kind: Kind) -> World {
        let world = World::new(kind, Facts::default());
        if self == Self::Nothing {
            return world;
        }
        let first = world.change(|facts| facts.issue(kind, true));
        let long_ago = Utc::now() - TimeDelta::days(if self == Self::Aged { 60 } else { 10 });
        let ends = match self {
            Self::Expiring => Some(Utc::now() + TimeDelta::days(3)),
            Self::Expired => Some(Utc::now() - TimeDelta::days(1)),
            _ => first.expires_at,
        };
        let noted = Note { expires_at: ends, ..note_about(&first, long_ago) };
        let under_way_since = Some(Utc::now() - TimeDelta::hours(1));
        world.change(|facts| {
            facts.give(&first.secret);
            facts.records[0].issued_at = long_ago;
            facts.records[0].expires_at = ends;
            (facts.held, facts.note) = (Some(first.secret.clone()), Some(noted.clone()));
            match self {
                Self::Missing => (facts.held, facts.note) = (None, None),
                Self::Unnoted => facts.note = None,
                Self::Dead => {
                    facts.records[0].is_accepted = false;
                    if kind == Kind::Quay {
                        facts.issue(kind, false);
                    }
                }
                Self::PlaceDrifted => facts.has_drifted = true,
                Self::TokenDrifted => facts.records[0].has_drifted = true,
                Self::Intended => facts.note = Some(Note { under_way_since, ..noted }),
                Self::Unanswered => {
                    facts.issue(kind, true);
                    facts.note = Some(Note { under_way_since, ..noted });
                }
                Self::LeftBehind => {
                    facts.records[0].is_accepted = false;
                    let second = facts.issue(kind, true);
                    let next = kind.overlaps().then(|| Box::new(note_about(&second, Utc::now())));
                    facts.note = Some(Note { under_way_since, next, ..noted });
                    facts.give(&second.secret);
                    facts.left_behind = Some(second.secret);
                }
                Self::Retiring => {
                    let second = facts.issue(kind, true);
                    facts.give(&second.secret);
                    let retiring = vec![Retiring { id: "1".to_owned(), fingerprint: None, not_before: None }];
                    facts.note = Some(Note { retiring, ..note_about(&second, Utc::now()) });
                    facts.held = Some(second.secret);
                }
                _ => {}
            }
        });
        world
    }
}

pub(super) fn note_about(token: &Token, rotated_at: DateTime<Utc>) -> Note {
    Note {
        fingerprint: Some(token.secret.fingerprint()),
        server: Some(SERVER.to_owned()),
        object: Some(OBJECT.to_owned()),
        id: token.id.clone(),
        rotated_at: Some(rotated_at),
        expires_at: token.expires_at,
        ..Note::default()
    }
}

/// What most tasks ask for.
pub(super) fn present() -> Policy {
    Policy { force: false, renew_before: Some(TimeDelta::days(7)), max_age: Some(TimeDelta::days(30)) }
}

pub(super) fn rotated() -> Policy {
    Policy { force: true, ..present() }
}

const SERVER: &str = "https://tokens.example.com";
const OBJECT: &str = "acme+ci";
