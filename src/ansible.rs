//! Speaking Ansible: arguments, their specification, results.

pub mod specification;
