//! How far a task with many parts is, for a person at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that says how far the task is, or nothing. It disappears when the task is done: the result says the rest.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn new(parts: Option<usize>) -> Self {
        let bar = parts.map(|parts| {
            let bar = ProgressBar::new(parts as u64);
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len}, {msg}, {eta} left") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self(bar)
    }

    /// One part is done.
    pub fn advance(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
            bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
