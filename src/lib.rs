//! Tokens of Red Hat systems kept alive, fresh and secret.

pub mod ansible;
