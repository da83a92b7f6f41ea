//! `hub_token` against the real hub.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::galaxy_ng::{Caller, GalaxyNg, TOKEN};
use tokensmith_tests::installed::find_secrets;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{folder, read};

#[test]
fn a_token_is_made_when_there_is_none_and_then_left_alone() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let dest = world.dest();
    let forecast = world.with_password(json!({ "dest": dest, "_ansible_check_mode": true })).succeeded();
    assert!(forecast.changed() && !dest.exists(), "{forecast}");
    let run = world.with_password(json!({ "dest": dest })).succeeded();
    assert_eq!((run.text("reason"), run.changed(), &run.result["generated"]), ("missing", true, &json!(true)), "{run}");
    assert!(run.warnings().contains("one token per user"), "{run}");
    let token = read(&dest);
    assert!(world.hub.works(&token)?);
    for options in [json!({ "dest": dest }), json!({ "dest": dest, "_ansible_check_mode": true })] {
        let again = world.with_password(options).succeeded();
        assert_eq!((again.text("reason"), again.changed(), again.warnings()), ("valid", false, String::new()));
    }
    assert_eq!((read(&dest), world.hub.works(&token)?), (token, true));
    Ok(())
}

#[test]
fn a_dead_token_is_replaced_and_a_living_one_only_when_asked_for() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let dest = world.dest();
    world.with_password(json!({ "dest": dest })).succeeded();
    let killed = read(&dest);
    // Somebody else had a token made for the same user.
    let of_other = world.learn(world.hub.issue(&world.user)?);
    let run = world.with_password(json!({ "dest": dest })).succeeded();
    assert_eq!((run.text("reason"), run.changed()), ("dead", true), "{run}");
    let token = read(&dest);
    assert_eq!(world.alive([&killed, &of_other, &token])?, [false, false, true]);

    let rotated = json!({ "dest": dest, "state": "rotated" });
    let forecast = world.with_password(with(rotated.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
    assert!(forecast.changed() && world.hub.works(&token)?, "{forecast}");
    let run = world.with_password(rotated).succeeded();
    assert_eq!(
        (run.text("reason"), &run.result["generated"], &run.result["old_is_dead"]),
        ("forced", &json!(true), &json!(true)),
        "{run}"
    );
    assert_eq!(world.alive([&token, &read(&dest)])?, [false, true]);
    Ok(())
}

#[test]
fn a_token_is_replaced_with_itself_only_when_that_risk_is_meant() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (dest, first) = (world.dest(), world.learn(world.hub.issue(&world.user)?));
    // It works, so it is what is wanted.
    let run = world.run(json!({ "ah_token": first, "dest": dest })).succeeded();
    assert_eq!((&run.result["generated"], read(&dest)), (&json!(false), first.clone()), "{run}");
    let rotated = json!({ "ah_token": first, "dest": dest, "state": "rotated" });
    let refused = world.run(rotated.clone());
    assert!(refused.failed() && refused.message().contains("self_rotation: true"), "{refused}");
    assert!(world.hub.works(&first)?);
    let run = world.run(with(rotated, json!({ "self_rotation": true }))).succeeded();
    assert_eq!(&run.result["old_is_dead"], &json!(true), "{run}");
    let second = read(&dest);
    assert_eq!(world.alive([&first, &second])?, [false, true]);
    // The token in dest is a credential too.
    world.run(json!({ "dest": dest, "state": "rotated", "self_rotation": true })).succeeded();
    assert_eq!(world.alive([&second, &read(&dest)])?, [false, true]);
    Ok(())
}

#[test]
fn a_token_is_deleted_and_what_there_was_is_told() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let dest = world.dest();
    world.with_password(json!({ "dest": dest })).succeeded();
    let (token, absent) = (read(&dest), json!({ "dest": dest, "state": "absent" }));
    let forecast = world.with_password(with(absent.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
    assert!(forecast.changed() && world.hub.works(&token)?, "{forecast}");
    let run = world.with_password(absent.clone()).succeeded();
    assert_eq!((&run.result["existed"], run.changed(), dest.exists()), (&json!(true), true, false), "{run}");
    assert!(!world.hub.works(&token)?);
    let again = world.with_password(absent.clone()).succeeded();
    assert_eq!((&again.result["existed"], again.changed()), (&json!(null), false), "{again}");
    // A token that nobody holds here ends all the same, and that is not called a change.
    let unknown = world.learn(world.hub.issue(&world.user)?);
    let run = world.with_password(absent.clone()).succeeded();
    assert_eq!((&run.result["existed"], world.hub.works(&unknown)?), (&json!(null), false), "{run}");
    // With the token itself it is known before and after.
    let own = world.learn(world.hub.issue(&world.user)?);
    let absent = with(absent, json!({ "ah_token": own }));
    let run = world.run(absent.clone()).succeeded();
    assert_eq!((&run.result["existed"], run.changed(), world.hub.works(&own)?), (&json!(true), true, false), "{run}");
    let again = world.run(absent).succeeded();
    assert_eq!((&again.result["existed"], again.changed()), (&json!(false), false), "{again}");
    Ok(())
}

#[test]
fn what_a_user_meets_is_told_with_its_cause_and_touches_no_token() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let other = world.hub.make_user("robin")?;
    let dead = world.learn(world.hub.issue(&other)?);
    world.hub.call(Method::DELETE, Caller::User(&other), TOKEN, None)?;
    let token = world.learn(world.hub.issue(&world.user)?);
    let dest = world.dest();
    let password = json!({ "ah_username": world.user, "ah_password": GalaxyNg::PASSWORD });
    let cases = [
        (json!({ "ah_username": world.user, "ah_password": "wrong-password" }), "Invalid username/password."),
        (json!({ "ah_token": dead, "state": "rotated", "self_rotation": true }), "is dead (Invalid token.)"),
        (json!({ "gateway_token": token }), "one behind the platform gateway takes a gateway_token"),
        (with(password.clone(), json!({ "ah_path_prefix": "/api/automation-hub" })), "ah_path_prefix right?"),
        (with(password.clone(), json!({ "ah_path_prefix": "/api/galaxy/v3" })), "ah_path_prefix right?"),
        (with(password, json!({ "dest": null })), "name a dest"),
    ];
    for (options, sentence) in cases {
        let run = world.run(with(json!({ "dest": dest }), options));
        assert!(run.failed() && !run.changed() && run.message().contains(sentence), "{sentence}: {run}");
        assert!(!dest.exists());
    }
    assert!(world.hub.works(&token)?);
    Ok(())
}

#[test]
fn the_hub_is_spoken_to_with_any_spelling_of_its_prefix() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let dest = world.dest();
    world.with_password(json!({ "dest": dest })).succeeded();
    for prefix in ["/api/galaxy", "/api/galaxy/", "api/galaxy", "galaxy"] {
        let run = world.with_password(json!({ "dest": dest, "ah_path_prefix": prefix })).succeeded();
        assert_eq!(run.text("reason"), "valid", "{prefix}: {run}");
    }
    Ok(())
}

/// The hub, a user of its own, a folder, and the secrets that no result may show.
struct World {
    hub: &'static GalaxyNg,
    user: String,
    folder: tempfile::TempDir,
    secrets: RefCell<Vec<String>>,
}

impl World {
    fn new() -> Result<Option<Self>> {
        let Some(hub) = GalaxyNg::shared()? else { return Ok(None) };
        let secrets = RefCell::new(vec![GalaxyNg::PASSWORD.to_owned(), "wrong-password".to_owned()]);
        Ok(Some(Self { hub, user: hub.make_user("build")?, folder: folder(), secrets }))
    }

    fn dest(&self) -> PathBuf {
        self.folder.path().join("dest")
    }

    fn learn(&self, secret: String) -> String {
        self.secrets.borrow_mut().push(secret.clone());
        secret
    }

    fn alive<const N: usize>(&self, tokens: [&String; N]) -> Result<[bool; N]> {
        let mut alive = [false; N];
        for (index, token) in tokens.into_iter().enumerate() {
            alive[index] = self.hub.works(token)?;
        }
        Ok(alive)
    }

    fn with_password(&self, options: Value) -> Run {
        self.run(with(json!({ "ah_username": self.user, "ah_password": GalaxyNg::PASSWORD }), options))
    }

    /// Also holds the result to showing no secret: none that it was given, none that it made.
    fn run(&self, options: Value) -> Run {
        let all = with(json!({ "ah_host": self.hub.url(), "use_proxy": false }), options);
        let run = executable::module("hub_token", &all);
        if let Ok(token) = fs::read_to_string(self.dest()) {
            self.learn(token);
        }
        assert_eq!(find_secrets(&run.stdout, &self.secrets.borrow()), [0usize; 0], "{run}");
        run
    }
}
