//! quay_keyless_token: a robot's token in exchange for that of an identity provider.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokensmith_sandbox::Sandbox;
use tokensmith_tests::executable;
use tokensmith_tests::quay::{QuayScene, with};

use crate::exchanged::{World, in_the_past, tell};

#[test]
fn a_keyless_token_is_always_there_wherever_a_run_is_killed_or_cut_off() {
    tell::<Robot>();
}

/// A robot that takes tokens of the identity provider.
struct Robot {
    scene: QuayScene,
    oidc_token: PathBuf,
    old_token: String,
}

impl World for Robot {
    const MODULE: &str = "quay_keyless_token";
    const PATHS: &[&str] = &["/v2/", "/oauth2/federation/robot/token", "/v2/auth"];

    fn new() -> Self {
        let scene = QuayScene::new();
        let provider = scene.quay().identity_provider();
        scene.quay().set_federation(ROBOT, [(provider.issuer().as_str(), SUBJECT)]);
        let oidc_token = scene.file("oidc_token", &provider.token(SUBJECT).sign().unwrap());
        let mut robot = Self { scene, oidc_token, old_token: String::new() };
        robot.old_token = in_the_past(robot.sandbox(), |end| {
            let old = provider.token(SUBJECT).claim("exp", end).sign().unwrap();
            let options = robot.options(json!({ "oidc_token": old, "state": "rotated" }));
            executable::module(Self::MODULE, &options).succeeded().text("token").to_owned()
        });
        robot
    }

    fn sandbox(&self) -> &Sandbox {
        &self.scene.sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scene.path(name)
    }

    fn options(&self, options: Value) -> Value {
        self.scene.options(with(json!({ "robot": ROBOT }), options))
    }

    fn oidc_token(&self) -> &Path {
        &self.oidc_token
    }

    fn old_token(&self) -> &str {
        &self.old_token
    }

    fn works(&self, token: &str) -> bool {
        self.scene.quay().login_works(ROBOT, token)
    }
}

const ROBOT: &str = "acme+ci";
const SUBJECT: &str = "repo:acme/app:ref:refs/heads/main";
