//! rhacs_m2m_token: an access token of Central in exchange for that of an identity provider.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokensmith_sandbox::Sandbox;
use tokensmith_tests::rhacs::RhacsScene;

use crate::exchanged::{World, in_the_past, tell};

#[test]
fn an_exchanged_token_of_central_is_always_there_wherever_a_run_is_killed_or_cut_off() {
    tell::<Machine>();
}

/// A Central that takes tokens of the identity provider.
struct Machine {
    scene: RhacsScene,
    oidc_token: PathBuf,
    old_token: String,
}

impl World for Machine {
    const MODULE: &str = "rhacs_m2m_token";
    const PATHS: &[&str] = &["/v1/auth/m2m/exchange", "/v1/auth/status"];

    fn new() -> Self {
        let scene = RhacsScene::new();
        let oidc_token = scene.file("oidc_token", &scene.external_token().sign().unwrap());
        let old_token = in_the_past(&scene.sandbox, |end| {
            let old = scene.external_token_again().claim("exp", end).sign().unwrap();
            scene.machine_token_task(json!({ "oidc_token": old })).succeeded().text("token").to_owned()
        });
        Self { scene, oidc_token, old_token }
    }

    fn sandbox(&self) -> &Sandbox {
        &self.scene.sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scene.path(name)
    }

    fn options(&self, options: Value) -> Value {
        self.scene.machine_token_options(options)
    }

    fn oidc_token(&self) -> &Path {
        &self.oidc_token
    }

    fn old_token(&self) -> &str {
        &self.old_token
    }

    fn works(&self, token: &str) -> bool {
        self.scene.central().token_works(token)
    }
}
