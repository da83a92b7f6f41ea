//! A credential of the automation controller as a place: its secret can be written and never read, and jobs take it when they start.
//!
//! What is known of the token stands in a plain field beside it, the marker: see [`marker`]. Token and marker are written by one request, so each tells the
//! truth about the other. The controller keeps nothing from two writers: what was written is read back, and written again where somebody else's older map
//! came over it.

mod find;
mod lock;
mod marker;
mod options;
mod place;

pub use options::{ControllerToken, CredentialHandOver, CredentialOptions};
pub(super) use place::Content;
pub use place::CredentialPlace;

use super::PlaceError;
