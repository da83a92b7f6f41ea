//! What `make dist` leaves: the tarball that is built the same anywhere, its checksums, its signature and its bill of materials, as others check them.
//!
//! `make test` builds the tarball and names it in a variable; where that is not set, as with a plain `cargo test`, only what needs no build is tried.

#![cfg(test)]

#[path = "dist/bill_of_materials.rs"]
mod bill_of_materials;
#[path = "dist/built.rs"]
mod built;
#[path = "dist/refusals.rs"]
mod refusals;
#[path = "dist/reproducible.rs"]
mod reproducible;
#[path = "dist/signature.rs"]
mod signature;
