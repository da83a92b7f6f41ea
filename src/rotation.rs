//! The rotation engine: the one place that knows how a token is replaced without ever being lost.
//!
//! A module says what it talks to ([`System`], and which of the two orders it allows: [`InPlace`] or [`Overlap`]), where the users of the token read it
//! ([`Place`]) and what the task asks for ([`Policy`]). [`Rotate`] does the rest:
//!
//! * [`Rotate::in_place`], where a new token kills the old one: intention → issue → read back → prove → hand over;
//! * [`Rotate::overlap`], where tokens live side by side: intention → issue → note its name → prove → hand over → retire the old → prove it dead.
//!
//! Wherever a run is killed, the place holds a token that works, or the next run of the same task makes it so. What a run leaves for the next one is a
//! [`Note`] at the place: dates, ids and fingerprints, never a secret.

mod credential;
mod decision;
mod destination;
mod error;
mod file;
mod format;
mod in_place;
mod note;
mod outcome;
mod overlap;
mod place;
mod reason;
mod steps;
mod survey;
mod system;
#[cfg(test)]
mod tests;

pub use credential::{ControllerToken, CredentialHandOver, CredentialOptions, CredentialPlace};
pub use decision::{Decision, Plan, Policy};
pub use destination::{Destination, HandOver, Locks, Naming};
pub use error::RotationError;
pub use file::{FilePlace, Lock, Reserved};
pub use format::{Entry, Format, FormatError, GalaxyServer, HandedOver, Login, file_stem};
pub use note::{Note, Retiring};
pub use outcome::{Rotation, Trace};
pub use place::{Holding, Place, PlaceError};
pub use reason::Reason;
pub use system::{InPlace, Overlap, Proof, ReadBack, Standing, System, Token};

use survey::Survey;

/// One token that is to be rotated, if need be.
pub struct Rotate<'a, S, P> {
    /// Who issues it.
    pub system: &'a S,
    /// Where its users read it.
    pub place: &'a P,
    /// What the task asks for.
    pub policy: &'a Policy,
    /// What the note calls it.
    pub subject: &'a Subject,
    /// Nothing is changed; the outcome says what would be.
    pub check_mode: bool,
}

/// Whose token it is.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The server's address.
    pub server: String,
    /// The object, in the server's words.
    pub object: String,
}

impl<S: System, P: Place> Rotate<'_, S, P> {
    async fn survey(&self) -> Result<Survey, RotationError> {
        Survey::make(self).await
    }

    /// Nothing but to clear away what a killed run left half-written.
    fn nothing_to_do(&self, survey: &Survey) -> Rotation {
        if !self.check_mode {
            self.place.tidy();
        }
        Rotation::nothing_to_do(survey)
    }
}
