//! Tokensmith's library: what the modules of the collection `tokensmith.redhat` share.
//!
//! Five rooms, one direction: a module (in the crate `modules/`) uses [`rotation`], [`systems`] and [`http`]; [`ansible`] stands at the door,
//! where arguments come in and the one result goes out. Nothing here knows a single module.

pub mod ansible;
pub mod command;
pub mod http;
pub mod jwt;
pub mod rotation;
pub mod secret;
pub mod span;
pub mod systems;
pub mod timestamp;
