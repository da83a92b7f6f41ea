//! The peer systems: one REST client each, typed after what its servers really answer.

pub mod quay;
pub mod sso;
