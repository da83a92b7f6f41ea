//! What behaviour tests share.

pub mod executable;
pub mod keycloak;
pub mod scene;
