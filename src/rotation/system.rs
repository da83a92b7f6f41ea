//! What the engine asks of a system that issues tokens.

use std::future::Future;

use chrono::{DateTime, Utc};

use super::Note;
use crate::secret::Secret;
use crate::systems::SystemError;

/// A token as a system issued it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub secret: Secret,
    /// How the system names it where it is not to be shown.
    pub id: Option<String>,
    /// When it was issued, by this host's clock, as far as the system tells.
    pub issued_at: Option<DateTime<Utc>>,
    /// When it ends, by this host's clock. `None`: never by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Token {
    /// A token of which nothing else is known.
    pub fn new(secret: Secret) -> Self {
        Self { secret, id: None, issued_at: None, expires_at: None }
    }
}

/// One object of a system whose token is rotated: a robot, a user, an application.
pub trait System {
    /// Why a call brought nothing.
    type Error: SystemError;

    /// What the system says of the token that its users have. Asks, and changes nothing.
    fn look(&self, held: Option<&Secret>, note: Option<&Note>) -> impl Future<Output = Result<Standing, Self::Error>>;

    /// The same of a token that is not at hand, as its place shows no secrets: by what the note says of it. Where the system shows the valid token, that
    /// is compared with it.
    fn look_by_note(&self, _held: &str, note: &Note) -> impl Future<Output = Result<Standing, Self::Error>> {
        self.look(None, Some(note))
    }

    /// Issues a new token. What this sends is sent once, whatever becomes of the answer.
    fn issue(&self) -> impl Future<Output = Result<Token, Self::Error>>;

    /// An authenticated call with a token. An error says nothing about the token.
    fn prove(&self, token: &Secret) -> impl Future<Output = Result<Proof, Self::Error>>;
}

/// A system in which a new token kills the old one, so that there is only ever one.
pub trait InPlace: System {
    /// Whether the valid token can be asked for. Where it cannot, the answer that brings a new one is the only place that it can be had from.
    fn shows_tokens(&self) -> bool {
        true
    }

    /// Asks for the token that is valid now.
    fn read_back(&self) -> impl Future<Output = Result<ReadBack, Self::Error>>;
}

/// A system in which tokens live side by side, so that a new one can be proven and handed over before the old one ends.
pub trait Overlap: System {
    /// Ends a token for good. One that is gone already is no error.
    fn retire(&self, id: &str) -> impl Future<Output = Result<(), Self::Error>>;

    /// Tokens that a run of this task asked for since then and never got: nobody has them.
    fn orphans(&self, since: DateTime<Utc>) -> impl Future<Output = Result<Vec<String>, Self::Error>>;
}

/// What a system says of the token that its users have.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Whether the system accepts it.
    pub works: bool,
    /// How the system names it.
    pub id: Option<String>,
    /// When it was issued, by this host's clock.
    pub issued_at: Option<DateTime<Utc>>,
    /// It cannot have been issued before this.
    pub not_issued_before: Option<DateTime<Utc>>,
    /// When it ends, by this host's clock.
    pub expires_at: Option<DateTime<Utc>>,
    /// It is not what the task asks for: other roles, another name.
    pub has_drifted: bool,
    /// It is another user's: it is replaced, and not this task's to retire.
    pub is_anothers: bool,
    /// The token that is valid now, where the system shows it, whoever has it.
    pub current: Option<Token>,
}

/// What an authenticated call with a token came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The token was accepted.
    Works,
    /// It was refused, for the reason that the system gave.
    Refused(String),
}

/// What a system shows of the valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadBack {
    /// This is the token.
    Token(Token),
    /// There is none.
    None,
    /// It shows no tokens.
    NotShown,
}
