//! What the modules take for granted about a platform gateway, asked of a real one, release by release; and the modules there. The sandbox's
//! stand-in is held to the same answers.
//!
//! Tests share a gateway, so each has users of its own; what hits every user's tokens gets a gateway of its own.

#![cfg(test)]

#[path = "gateway_site/command.rs"]
mod command;
#[path = "gateway_site/gateway_manage.rs"]
mod gateway_manage;
#[path = "gateway_site/gateway_token.rs"]
mod gateway_token;
#[path = "gateway_site/oauth.rs"]
mod oauth;
#[path = "gateway_site/rest.rs"]
mod rest;

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokensmith_sandbox::platform::Release;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::gateway_site::GatewaySite;

/// Plays the same to every release.
fn on_every_release(play: impl Fn(&GatewaySite, &str) -> Result<()>) -> Result<()> {
    for release in GatewaySite::RELEASES {
        let Some(site) = GatewaySite::release(release)? else { return Ok(()) };
        play(site, release).with_context(|| format!("on release {release}"))?;
    }
    Ok(())
}

/// Plays the same to every release and to the sandbox's stand-in of it, which need no real gateway.
fn on_every_release_and_its_stand_in(play: impl Fn(&GatewaySite, &str) -> Result<()>) -> Result<()> {
    let stand_ins = [Release::Dab2025_5_8, Release::Dab2026_3_19, Release::Dab2026_6_2];
    for (name, release) in GatewaySite::RELEASES.into_iter().zip(stand_ins) {
        let site = GatewaySite::stand_in(release)?;
        play(&site, name).with_context(|| format!("on the stand-in of release {name}"))?;
    }
    on_every_release(play)
}

/// What a gateway stores of a token.
fn stored_form(token: &str) -> String {
    let hash = Sha256::digest(token);
    format!("$sha256${}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Tasks of one user, none of which may show a secret.
struct Tasks<'s> {
    site: &'s GatewaySite,
    user: String,
    folder: TempDir,
    secrets: RefCell<Vec<String>>,
}

impl<'s> Tasks<'s> {
    fn new(site: &'s GatewaySite, word: &str) -> Result<Self> {
        let user = site.make_user(word)?;
        Self::of(site, &user)
    }

    fn of(site: &'s GatewaySite, user: &str) -> Result<Self> {
        let secrets = RefCell::new(vec![site.password(user)]);
        Ok(Self { site, user: user.to_owned(), folder: tempfile::tempdir()?, secrets })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in that file, which no later result may show.
    fn token_in(&self, name: &str) -> Result<String> {
        let token = std::fs::read_to_string(self.path(name))?.trim_end().to_owned();
        self.secrets.borrow_mut().push(token.clone());
        Ok(token)
    }

    /// A task with a password, unless the options say otherwise; null takes an option away.
    fn gateway_token(&self, options: Value) -> Result<Run> {
        let all = json!({
            "gateway_hostname": self.site.url(),
            "gateway_username": self.user,
            "gateway_password": self.site.password(&self.user),
            "use_proxy": false,
            "description": self.user,
        });
        self.run("gateway_token", all, options)
    }

    fn gateway_manage(&self, options: Value) -> Result<Run> {
        self.run("gateway_manage", json!({ "executable": self.site.manage_executable() }), options)
    }

    fn run(&self, module: &str, mut all: Value, options: Value) -> Result<Run> {
        let (Value::Object(merged), Value::Object(options)) = (&mut all, options) else { anyhow::bail!("no options") };
        merged.extend(options);
        merged.retain(|_, value| !value.is_null());
        let run = executable::module(module, &all);
        self.refuse_secrets(&run);
        Ok(run)
    }

    /// The one place for a secret in a result is its field.
    fn refuse_secrets(&self, run: &Run) {
        let mut shown = run.result.clone();
        let returned = ["token", "refresh_token"].map(|field| shown[field].take().as_str().map(str::to_owned));
        let shown = shown.to_string();
        let mut secrets = self.secrets.borrow_mut();
        secrets.extend(returned.into_iter().flatten());
        for secret in secrets.iter() {
            assert!(!shown.contains(secret.as_str()), "{secret} is in {shown}");
        }
    }
}
