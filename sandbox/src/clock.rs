//! The sandbox's own clock: the machine's, moved as far as a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The time of all systems of one sandbox, so that no test needs to sleep through an idle limit.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// Moves the clock on (or back, if negative).
    pub fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
    }

    /// Whole seconds since the epoch, as the systems see it.
    pub fn seconds(&self) -> i64 {
        self.milliseconds().div_euclid(1000)
    }

    pub(crate) fn milliseconds(&self) -> i64 {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        i64::try_from(machine).unwrap_or(i64::MAX).saturating_add(self.offset.load(Ordering::SeqCst))
    }
}
