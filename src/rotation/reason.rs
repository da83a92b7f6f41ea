//! Why a token is renewed, or is not.

use serde::Serialize;

/// The one word in a result that says why something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no token in the place.
    Missing,
    /// The token is past its end.
    Expired,
    /// The token ends soon.
    Expiring,
    /// The token, or what it was made from, has been in use for too long.
    Aged,
    /// The server does not know it any more.
    Dead,
    /// What is in the place is not what the task asks for.
    Drifted,
    /// The task asks for it whatever is there.
    Forced,
    /// Nothing had to be done.
    Valid,
}
