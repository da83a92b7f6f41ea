//! How far a server's clock is from ours, as its answers tell.

use std::cell::Cell;

use chrono::{DateTime, TimeDelta, Utc};

use crate::http::Answer;

/// The clock of one server. Dates that it names are compared by it, not by ours.
#[derive(Debug, Default)]
pub struct ServerClock(Cell<Option<TimeDelta>>);

impl ServerClock {
    /// Takes the time from an answer, where it tells one.
    pub fn observe(&self, answer: &Answer) {
        if let Some(date) = answer.header("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            let offset = date.to_utc() - Utc::now();
            self.0.set(Some(if offset.abs() < NOTABLE_OFFSET { TimeDelta::zero() } else { offset }));
        }
    }

    /// Whether an answer has told the time yet.
    pub fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// How far it is ahead of ours. Zero while less than two seconds: the header has whole ones.
    pub fn offset(&self) -> TimeDelta {
        self.0.get().unwrap_or_default()
    }

    /// What time it is there.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.offset()
    }
}

const NOTABLE_OFFSET: TimeDelta = TimeDelta::seconds(2);
