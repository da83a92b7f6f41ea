//! The task that a module runs for.

use std::cell::RefCell;

use anyhow::{Result, bail};

use super::arguments::Arguments;
use super::progress::Progress;
use super::report::Report;
use crate::secret::{Scrubber, Secret};

/// What a module knows of its task besides the options, and what it tells the user besides the result.
#[derive(Default)]
pub struct Task {
    /// Nothing may be changed anywhere; say what would be.
    pub check_mode: bool,
    pub(super) diff: bool,
    is_async: bool,
    is_lookup: bool,
    on_terminal: bool,
    warnings: RefCell<Vec<String>>,
    scrubber: RefCell<Scrubber>,
}

impl Task {
    pub(super) fn new(arguments: &Arguments) -> Self {
        let is_set = |key| arguments.flag(key) == Some(true);
        Self {
            check_mode: is_set("check_mode"),
            diff: is_set("diff"),
            is_async: arguments.is_async,
            is_lookup: arguments.is_lookup,
            ..Self::default()
        }
    }

    /// Run by a person: what takes long may show how far it is.
    pub(super) fn on_terminal(self, on_terminal: bool) -> Self {
        Self { on_terminal, ..self }
    }

    /// Shows how far a task with so many parts is, where somebody looks on. Never as a module.
    pub fn progress(&self, parts: usize) -> Progress {
        Progress::new(if self.on_terminal && parts > 1 { Some(parts) } else { None })
    }

    /// Tells the user something that is not an error. Shown once, however often it is said.
    pub fn warn(&self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&sentence) {
            warnings.push(sentence);
        }
    }

    /// Remembers a secret that came in, so that no message repeats it. The task's own secret options are known already.
    pub fn learn(&self, secret: &Secret) {
        self.scrubber.borrow_mut().learn(secret);
    }

    /// Whether the result lies in a file that everybody on the host may read, as it does under `async`.
    pub fn result_is_public(&self) -> bool {
        self.is_async
    }

    /// Whether an expression is evaluated, again and again: of the result one value is used, `dest` is a file of this run alone, and what else is returned
    /// is lost.
    pub fn is_lookup(&self) -> bool {
        self.is_lookup
    }

    /// Refuses to go on where the result would hold a secret and lie in a file that everybody on the host may read, as it does under `async`.
    ///
    /// The action plugin refuses this before the module is sent; it does not see a secret that comes from the target's environment.
    pub fn refuse_public_secret(&self) -> Result<()> {
        if !self.result_is_public() {
            return Ok(());
        }
        bail!(
            "with async the result would lie in a file that everybody on this host may read, with a token in it; let tokens be read from and \
             written to files, or leave async out"
        )
    }

    pub(super) fn scrub(&self, report: &mut Report) {
        let scrubber = self.scrubber.borrow();
        for warning in self.warnings.take() {
            report.warn(scrubber.scrub(&warning));
        }
        report.scrub(&scrubber);
    }
}
