//! The peer systems: one REST client each, typed after what its servers really answer.

mod clock;
pub mod hub;
pub mod platform;
pub mod quay;
pub mod rhacs;
pub mod sso;

use std::error::Error;

/// Why a call to a system brought nothing.
pub trait SystemError: Error + Send + Sync + 'static {
    /// Whether the system can have done what it was asked to although no answer says so. When in doubt, it can.
    fn may_have_acted(&self) -> bool;
}
