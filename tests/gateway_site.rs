//! What the modules take for granted about a platform gateway, asked of a real one, release by release.
//!
//! Tests share a gateway, so each has users of its own; what hits every user's tokens gets a gateway of its own.

#![cfg(test)]

#[path = "gateway_site/command.rs"]
mod command;
#[path = "gateway_site/oauth.rs"]
mod oauth;
#[path = "gateway_site/rest.rs"]
mod rest;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tokensmith_tests::gateway_site::GatewaySite;

/// Plays the same to every release.
fn on_every_release(play: impl Fn(&GatewaySite, &str) -> Result<()>) -> Result<()> {
    for release in GatewaySite::RELEASES {
        let Some(site) = GatewaySite::release(release)? else { return Ok(()) };
        play(site, release).with_context(|| format!("on release {release}"))?;
    }
    Ok(())
}

/// What a gateway stores of a token.
fn stored_form(token: &str) -> String {
    let hash = Sha256::digest(token);
    format!("$sha256${}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
