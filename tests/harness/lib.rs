//! What behaviour tests share.

pub mod caller;
pub mod credential;
pub mod executable;
pub mod galaxy_ng;
pub mod gateway;
pub mod gateway_site;
pub mod gnupg;
pub mod hub;
pub mod installed;
pub mod keycloak;
pub mod manage;
pub mod quay;
pub mod rhacs;
pub mod scene;
pub mod ssh_hosts;
