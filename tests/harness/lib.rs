//! What behaviour tests share.
