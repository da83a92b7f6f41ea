//! What behaviour tests share.

pub mod keycloak;
