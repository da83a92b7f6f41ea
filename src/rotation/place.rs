//! What the engine asks of a place: where the users of a token read it.

use std::future::{Future, ready};
use std::path::PathBuf;

use thiserror::Error;

use super::{Note, Token};
use crate::secret::Secret;

/// Where the users of a token read it.
///
/// The engine knows places, not files. All of this but [`Place::hand_over`] is done before anything is issued, so that what can fail fails early.
pub trait Place {
    /// Keeps other runs away while it lives.
    type Lock;
    /// Room that was made for the next token. It can be used once.
    type Reserved;

    /// Whether a token that is handed over stays there. In the result of a task it does not.
    fn lasts(&self) -> bool;

    /// What the users have today. Changes nothing.
    fn look(&self) -> impl Future<Output = Result<Holding, PlaceError>>;

    /// Whether a token could be handed over, found out without changing anything: for check mode.
    fn check_writable(&self) -> impl Future<Output = Result<(), PlaceError>>;

    /// Clears away what a killed run left and nobody needs, where no run is at work. There need not be anything, and a failure does no harm.
    fn tidy(&self) {}

    /// Waits until no other run is at work on this place, then keeps the others away.
    fn lock(&self) -> impl Future<Output = Result<Self::Lock, PlaceError>>;

    /// Tries all that could keep a hand-over from succeeding.
    fn reserve(&self, lock: &Self::Lock) -> impl Future<Output = Result<Self::Reserved, PlaceError>>;

    /// Writes the note so that it survives a kill and a power failure.
    fn write_note(&self, lock: &Self::Lock, note: &Note) -> impl Future<Output = Result<(), PlaceError>>;

    /// Keeps a token that is not proven yet where the next run finds it, should this one be killed before it hands the token over. A failure does no
    /// harm.
    fn put_aside(&self, lock: &Self::Lock, reserved: &mut Self::Reserved, token: &Token) -> impl Future<Output = ()>;

    /// Waits until nobody is at work with the token that a new one would kill, as far as the task asks for that.
    fn wait_until_idle(&self) -> impl Future<Output = Result<(), PlaceError>> {
        ready(Ok(()))
    }

    /// Puts a token where its users read it, in one step, and then the note about it.
    ///
    /// Where a run on another host has put its own token there at the same time, `is_valid` is asked whether this one is to stand in its place.
    fn hand_over(
        &self,
        lock: &Self::Lock,
        reserved: Self::Reserved,
        token: &Token,
        note: &Note,
        is_valid: impl AsyncFn() -> bool,
    ) -> impl Future<Output = Result<(), PlaceError>>;
}

/// What a place holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holding {
    /// The token.
    pub token: Option<Secret>,
    /// Fingerprint of a token that is there and cannot be shown: where no secret can be read, the note alone says which one it is.
    pub hidden: Option<String>,
    /// A part of the place has no token, and the one in the other part cannot be shown.
    pub is_incomplete: bool,
    /// Fingerprint of another token that a part of the place holds: somebody uses it until it is replaced.
    pub elsewhere: Option<String>,
    /// What an earlier run left to know, about this token or another one.
    pub note: Option<Note>,
    /// A token that a killed run had received and not put in place.
    pub left_behind: Option<Secret>,
    /// The token is right, but not as the task wants it: permissions, owner, what else stands in the format.
    pub has_drifted: bool,
}

impl Holding {
    /// Fingerprint of the token that is there, also where it cannot be shown.
    pub fn fingerprint(&self) -> Option<String> {
        self.token.as_ref().map(Secret::fingerprint).or_else(|| self.hidden.clone())
    }
}

/// Why a place cannot be used.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// The file, or what stands beside it.
    #[error("{option} {}: {why}", path.display())]
    Unusable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong and what helps.
        why: String,
    },
    /// The credential of the controller.
    #[error("dest_credential {which}: {why}")]
    Credential {
        /// What the task calls it.
        which: String,
        /// What is wrong and what helps.
        why: String,
    },
    /// `mode` is no octal number.
    #[error("mode {0} is not a file mode: write an octal number in quotes, such as \"0600\"")]
    Mode(String),
    /// `owner` or `group` is not known here.
    #[error("{option} '{name}' is not known on this host")]
    Nobody {
        /// `owner` or `group`.
        option: &'static str,
        /// What the task says.
        name: String,
    },
}
