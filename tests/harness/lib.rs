//! What behaviour tests share.

pub mod executable;
pub mod galaxy_ng;
pub mod hub;
pub mod installed;
pub mod keycloak;
pub mod quay;
pub mod rhacs;
pub mod scene;
