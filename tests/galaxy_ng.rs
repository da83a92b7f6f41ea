//! The real private automation hub: what it answers, what `ansible-galaxy` does with its tokens, and `hub_token` against it.

#![cfg(test)]

#[path = "galaxy_ng/alike.rs"]
mod alike;
#[path = "galaxy_ng/answers.rs"]
mod answers;
#[path = "galaxy_ng/client.rs"]
mod client;
#[path = "galaxy_ng/galaxy.rs"]
mod galaxy;
#[path = "galaxy_ng/hub_token.rs"]
mod hub_token;
#[path = "galaxy_ng/newcomer.rs"]
mod newcomer;
#[path = "galaxy_ng/publishing.rs"]
mod publishing;
