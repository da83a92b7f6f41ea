//! sso_token against the real Keycloak: as the executable, and as a playbook of the installed collection.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::installed::Installed;
use tokensmith_tests::keycloak::Keycloak;
use tokensmith_tests::scene::read;

#[test]
fn a_playbook_of_the_installed_collection_keeps_an_offline_token_alive() -> Result<()> {
    let Some(world) = World::new("rotating")? else { return Ok(()) };
    let file = world.offline_token_file("cloud-services")?;
    let (first, access) = (read(&file), world.path("access"));
    let variables = json!({
        "sso_offline_token_file": file,
        "sso_access_token_file": access,
        "sso_token_url": world.keycloak.token_url(world.realm),
    });
    let installed = Installed::on_tools();
    let printed = installed.playbook("tokensmith.redhat.keep_offline_token", &variables).succeeded();
    let newest = read(&file);
    assert!(printed.contains("changed=1") && printed.contains("its idle time begins anew"), "{printed}");
    assert!(world.keycloak.access_token_works(world.realm, &read(&access))?);
    assert!(
        first != newest
            && ![first, newest.clone(), read(&access)].iter().any(|secret| printed.contains(secret.as_str()))
    );
    // The written token is the living one: the server takes it, once.
    world.keycloak.refresh(world.realm, "cloud-services", &newest)?;
    Ok(())
}

#[test]
fn an_offline_token_is_used_run_after_run_in_every_kind_of_realm() -> Result<()> {
    for (realm, rotated, ends) in [
        ("redhat-external", false, false),
        ("rotating", true, false),
        ("rotating-reuse-1", true, false),
        ("limited", false, true),
    ] {
        let Some(world) = World::new(realm)? else { return Ok(()) };
        let file = world.offline_token_file("cloud-services")?;
        for _ in 0..3 {
            let run = world.sso_token(json!({ "offline_token_file": file })).succeeded();
            assert_eq!(run.result["offline_token_rotated"], rotated, "{realm}");
            assert_eq!(run.result["offline_token_expires_at"].is_string(), ends, "{realm}: {run}");
            assert!(world.keycloak.access_token_works(realm, run.text("access_token"))?);
        }
    }
    Ok(())
}

#[test]
fn what_a_user_meets_is_told_with_its_cause() -> Result<()> {
    let Some(world) = World::new("rotating")? else { return Ok(()) };
    let used = world.keycloak.offline_token("rotating", "cloud-services", "casey")?;
    world.sso_token(json!({ "offline_token": used })).succeeded();
    let of_other_realm = world.keycloak.offline_token("second", "cloud-services", "casey")?;
    let other = |part: &str, by: &str| world.keycloak.token_url("rotating").replace(part, by);
    let cases = [
        (json!({ "offline_token": used }), "each be used only once (rotation)"),
        (json!({ "offline_token": used }), "the offline token is dead"),
        (json!({ "offline_token": "garbage" }), "does not know this offline token"),
        (json!({ "offline_token": of_other_realm }), "was issued by"),
        (json!({ "offline_token": "garbage", "client_id": "nobody" }), "check client_id"),
        (json!({ "offline_token": "garbage", "token_url": other("rotating", "Rotating") }), "no such realm"),
        (json!({ "offline_token": "garbage", "token_url": other("/auth/", "/") }), "many servers want /auth"),
        (json!({ "client_id": ACCOUNT, "client_secret": "wrong-secret" }), "check client_secret"),
        (
            json!({ "client_id": ACCOUNT, "client_secret": Installed::ACCOUNT_SECRET, "scope": "nonsense" }),
            "check scope",
        ),
    ];
    for (options, sentence) in cases {
        let run = world.sso_token(options);
        assert!(run.failed() && run.message().contains(sentence), "{sentence}: {run}");
    }
    Ok(())
}

#[test]
fn a_service_account_gets_an_access_token() -> Result<()> {
    let Some(world) = World::new("redhat-external")? else { return Ok(()) };
    let options =
        json!({ "client_id": ACCOUNT, "client_secret": Installed::ACCOUNT_SECRET, "dest": world.path("access") });
    let run = world.sso_token(options.clone()).succeeded();
    assert_eq!(run.result["scope"], json!(["api.console", "profile"]));
    assert_eq!(world.sso_token(options).succeeded().text("reason"), "valid");
    let with_openid =
        json!({ "client_id": ACCOUNT, "client_secret": Installed::ACCOUNT_SECRET, "scope": ["openid", "api.console"] });
    let run = world.sso_token(with_openid).succeeded();
    assert!(world.keycloak.access_token_works("redhat-external", run.text("access_token"))?);
    Ok(())
}

#[test]
fn a_session_is_revoked_and_that_is_proven() -> Result<()> {
    let Some(world) = World::new("second")? else { return Ok(()) };
    let file = world.offline_token_file("cloud-services")?;
    let token = read(&file);
    let run = world.sso_token(json!({ "offline_token_file": file, "state": "absent" })).succeeded();
    assert_eq!((run.text("reason"), run.changed(), file.exists()), ("forced", true, false));
    assert!(world.keycloak.refresh("second", "cloud-services", &token).is_err());
    let again = world.sso_token(json!({ "offline_token": token, "state": "absent" })).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("dead", false));
    Ok(())
}

/// The server, a realm of it, and a folder for files.
struct World {
    keycloak: &'static Keycloak,
    realm: &'static str,
    folder: tempfile::TempDir,
}

impl World {
    fn new(realm: &'static str) -> Result<Option<Self>> {
        let keycloak = Keycloak::shared()?;
        Ok(keycloak.map(|keycloak| Self {
            keycloak,
            realm,
            folder: tempfile::tempdir().expect("a folder can be made"),
        }))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn offline_token_file(&self, client_id: &str) -> Result<PathBuf> {
        let path = self.path("offline_token");
        std::fs::write(&path, self.keycloak.offline_token(self.realm, client_id, "casey")?)?;
        Ok(path)
    }

    fn sso_token(&self, options: Value) -> Run {
        let mut all = json!({ "token_url": self.keycloak.token_url(self.realm), "use_proxy": false });
        all.as_object_mut().expect("an object").extend(options.as_object().expect("options are an object").clone());
        executable::module("sso_token", &all)
    }
}

const ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";
