//! Modules that bring their token to a credential of the automation controller: what they send there, what they refuse, and what they know the next time.

mod both;
mod jobs;
mod notes;
mod refusals;
mod rotation;
mod secrecy;
mod sso;
mod writers;
