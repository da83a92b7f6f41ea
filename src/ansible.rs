//! The door to Ansible: arguments come in, are checked against the module's specification, and exactly one result goes out.

mod arguments;
mod command;
mod kept;
mod module;
mod outcome;
mod progress;
mod protocol;
mod report;
pub mod specification;
mod task;

pub use module::{Module, Parameters, Running};
pub use outcome::Outcome;
pub use progress::Progress;
pub use protocol::main;
pub use task::Task;
