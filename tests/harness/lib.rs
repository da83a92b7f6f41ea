//! What behaviour tests share.

pub mod executable;
pub mod scene;
