//! Why a rotation did not come to its end, and what that means for the token.

use std::error::Error;

use thiserror::Error;

use super::PlaceError;
use crate::systems::SystemError;

type Cause = Box<dyn Error + Send + Sync>;

/// Why a rotation did not come to its end. Each says what became of the token, and what to do.
#[derive(Debug, Error)]
pub enum RotationError {
    /// The place cannot be used. Nothing was issued, or it was taken back.
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
    /// The answer was lost, and the token that came of the request was retired.
    #[error(
        "the answer to the request for a new token was lost, so the token was retired, which nobody has; the old token stands, run the task again"
    )]
    TakenBack(#[source] Cause),
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
    /// The token is refused.
    #[error("the server does not accept the token that it issued: {0}")]
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
    /// The token is with its users, and the note about it is an old one.
    #[error("the token is in place, and what the next run should know of it could not be noted; run the task again")]
    NotNoted(#[source] PlaceError),
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
    /// What an earlier run left could not be put right. It keeps no token from being renewed.
    #[error("what an earlier run left could not be cleared away: {0}; the next run tries it again")]
    Leftovers(String),
}

impl RotationError {
    pub(super) fn refused(error: impl SystemError) -> Self {
        Self::System(Box::new(error))
    }
}
