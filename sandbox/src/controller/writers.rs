//! Two writers of one credential. A write puts back the whole row as it was read at the request's begin, so whoever writes
//! in between has written in vain; nobody is told.

use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::objects::Credential;
use crate::platform::State;

/// When another writer acts: the next time that somebody changes the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// It is done before the request reads the row.
    BeforePatch,
    /// Between the request's reading and its writing: the other writer's change is lost.
    WithinPatch,
    /// It read the row before the request did, and writes after it: the request's change is lost.
    AroundPatch,
    /// The request has written and is not yet answered.
    AfterPatch,
}

/// What another writer does, once.
#[derive(Clone, Debug)]
pub struct OtherWriter {
    /// The primary key of the credential.
    pub credential: i64,
    /// When.
    pub moment: Moment,
    /// Who. An unknown name becomes an ordinary user.
    pub username: String,
    /// These inputs get other values; an empty secret is taken away.
    pub inputs: Map<String, Value>,
    /// The new description, if it is to be another.
    pub description: Option<String>,
}

/// A change that stands still between its reading and its writing, until this is released or dropped.
#[derive(Debug)]
pub struct Hold {
    arrived: mpsc::Receiver<()>,
    released: oneshot::Sender<()>,
}

impl Hold {
    /// Waits until a change stands there. `false`: none came within a generous time.
    pub fn is_reached(&self) -> bool {
        self.arrived.recv_timeout(PATIENCE).is_ok()
    }

    /// Lets it write.
    pub fn release(self) {
        let _ = self.released.send(());
    }
}

#[derive(Debug, Default)]
pub(crate) struct Writers {
    /// How long each change takes between its reading and its writing.
    pub(crate) gap: Duration,
    gates: Vec<(i64, Gate)>,
    others: Vec<(OtherWriter, Option<Credential>)>,
}

/// The other end of a [`Hold`].
#[derive(Debug)]
struct Gate {
    arrived: mpsc::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// What keeps a request from going on.
#[derive(Debug)]
pub(crate) struct Pause {
    gap: Duration,
    gate: Option<Gate>,
}

impl Pause {
    pub(crate) async fn over(self) {
        if let Some(gate) = self.gate {
            let _ = gate.arrived.send(());
            let _ = gate.released.await;
        }
        if !self.gap.is_zero() {
            tokio::time::sleep(self.gap).await;
        }
    }
}

impl Writers {
    pub(crate) fn hold(&mut self, credential: i64) -> Hold {
        let (arrived, arrives) = mpsc::channel();
        let (released, releases) = oneshot::channel();
        self.gates.push((credential, Gate { arrived, released: releases }));
        Hold { arrived: arrives, released }
    }

    pub(crate) fn add(&mut self, other: OtherWriter) {
        self.others.push((other, None));
    }

    fn take(&mut self, credential: i64, moment: Moment) -> Vec<(OtherWriter, Option<Credential>)> {
        let is_meant = |other: &OtherWriter| other.credential == credential && other.moment == moment;
        self.others.extract_if(.., |(other, _)| is_meant(other)).collect()
    }
}

/// A change begins: the row as it reads it, and what keeps it from writing at once.
pub(crate) fn begin(state: &mut State, credential: i64, now: i64) -> (Option<Credential>, Option<Pause>) {
    act(state, credential, Moment::BeforePatch, now);
    let row = state.objects.credential(credential).cloned();
    for (other, read) in &mut state.objects.writers.others {
        if other.credential == credential && other.moment == Moment::AroundPatch {
            read.clone_from(&row);
        }
    }
    act(state, credential, Moment::WithinPatch, now);
    let writers = &mut state.objects.writers;
    let gate =
        writers.gates.iter().position(|(held, _)| *held == credential).map(|index| writers.gates.remove(index).1);
    let is_held = gate.is_some() || !writers.gap.is_zero();
    let pause = Pause { gap: writers.gap, gate };
    (row, is_held.then_some(pause))
}

/// A change is over, and not yet answered.
pub(crate) fn end(state: &mut State, credential: i64, now: i64) {
    act(state, credential, Moment::AroundPatch, now);
    act(state, credential, Moment::AfterPatch, now);
}

fn act(state: &mut State, credential: i64, moment: Moment, now: i64) {
    for (other, read) in state.objects.writers.take(credential, moment) {
        write(state, other, read, now);
    }
}

fn write(state: &mut State, other: OtherWriter, read: Option<Credential>, now: i64) {
    let Some(current) = state.objects.credential(other.credential).cloned() else { return };
    let mut row = read.unwrap_or_else(|| current.clone());
    let Some(kind) = state.objects.credential_type(row.credential_type).cloned() else { return };
    for (name, value) in &other.inputs {
        row.inputs.set(&kind, name, value);
    }
    row.description = other.description.unwrap_or(row.description);
    row.modified_by = state.user_or_new(&other.username).id;
    row.modified = now.max(current.modified + 1);
    let (id, at, actor) = (row.id, row.modified, row.modified_by);
    state.objects.store(row, &other.username);
    state.objects.log(id, at, actor, "update", json!({ "inputs": ["hidden", "hidden"] }));
}

const PATIENCE: Duration = Duration::from_secs(60);
