//! Why a rotation did not come to its end, and what that means for the token.

use std::error::Error;

use thiserror::Error;

use super::PlaceError;
use crate::systems::SystemError;

type Cause = Box<dyn Error + Send + Sync>;

/// Why a rotation did not come to its end. Each says what became of the token, and what to do.
#[derive(Debug, Error)]
pub enum RotationError {
    /// The place cannot be used. Nothing was issued.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The system said no, or could not be asked. Nothing was issued.
    #[error(transparent)]
    System(Cause),
    /// The answer was lost, and the system shows that nothing was issued.
    #[error(
        "the answer to the request for a new token was lost, and none has been issued as far as the server shows; the old token stands, run the task again"
    )]
    NotIssued(#[source] Cause),
    /// The answer was lost, and then the system could not be asked.
    #[error(
        "whether a new token was issued is not known, as the answer was lost and the server could not be asked afterwards ({read_back}); run the task again, it finds out"
    )]
    Unknown {
        /// What became of the request.
        #[source]
        issue: Cause,
        /// What became of asking.
        read_back: String,
    },
    /// The answer was lost, and the system shows no tokens.
    #[error(
        "the answer to the request for a new token was lost, and this server does not show tokens: if it was issued, the old token is dead; run the task again, it has another one issued"
    )]
    Lost(#[source] Cause),
    /// The new token is refused.
    #[error("the new token was issued, and the server does not accept it: {0}")]
    NotAccepted(String),
    /// Whether the new token works could not be asked.
    #[error("the new token was issued, and whether it works could not be asked: {0}; run the task again")]
    Unproven(String),
    /// Others rotate it at the same time.
    #[error(
        "others have new tokens issued at the same time, one after the other; run the task again when they are done"
    )]
    Contended,
    /// The new token could not be brought to its users.
    #[error("the new token could not be handed over")]
    HandOver(#[source] PlaceError),
    /// A new token that nobody needs could not be retired.
    #[error("{why}; the new token {id}, which nobody has, could not be retired: {error}; the next run retires it")]
    NotTakenBack {
        /// How the server names the new token.
        id: String,
        /// Why it could not be retired.
        error: String,
        /// Why it was of no use.
        why: Box<RotationError>,
    },
    /// The old token is still accepted.
    #[error("the new token is in place, and the old one ({id}) could not be retired: {why}; the next run retires it")]
    NotRetired {
        /// How the server names the old token.
        id: String,
        /// Why.
        why: String,
    },
    /// What an earlier run left could not be put right, so nothing new was begun.
    #[error("an earlier run left tokens that could not be retired, so no new one was asked for: {0}")]
    Leftovers(String),
}

impl RotationError {
    pub(super) fn refused(error: impl SystemError) -> Self {
        Self::System(Box::new(error))
    }
}
