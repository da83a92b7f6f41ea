//! What a hub refuses: what the operator reads, and that nothing was changed.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::hub::Generation;
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::read;

/// A case's name, what it makes of the scene and asks for, and words of the message.
type Case = (&'static str, fn(&HubScene) -> Value, &'static [&'static str]);

/// What makes a fault.
type Make = fn() -> Fault;

#[test]
fn a_refused_credential_is_explained_by_both_generations_of_hubs_whatever_is_asked_for() {
    let cases: [Case; 9] = [
        ("wrong password", |_| json!({ "ah_password": "wrong-password" }), &[REFUSED, "Invalid username/password."]),
        ("unknown user", |_| json!({ "ah_username": "eve" }), &[REFUSED, "Invalid username/password."]),
        ("inactive user", inactive, &[REFUSED, "Invalid username/password."]),
        ("no passwords taken", no_passwords, &[KIND, "Authentication credentials were not provided."]),
        ("gateway's token, no gateway", |_| gateway("x"), &[KIND, "a gateway_token at the gateway's address"]),
        ("wrong gateway's token", behind_gateway, &[REFUSED, "401 Authentication credentials were not provided."]),
        (
            "wrong prefix",
            |_| json!({ "ah_path_prefix": "/api/automation-hub" }),
            &["are ah_host and ah_path_prefix right?"],
        ),
        ("other prefix", other_prefix, &["are ah_host and ah_path_prefix right?"]),
        ("not allowed", not_allowed, &["who may not do this", "403 You do not have permission"]),
    ];
    for generation in [Generation::Old, Generation::New] {
        for (name, make, words) in &cases {
            for state in ["present", "rotated", "absent"] {
                for check in [true, false] {
                    let scene = HubScene::new();
                    scene.hub().change(|state| state.generation = generation);
                    let before = scene.issue();
                    let dest = scene.file("token", if state == "present" { "dead" } else { &before });
                    let asked = json!({ "dest": dest, "state": state, "_ansible_check_mode": check });
                    let options = with(make(&scene), asked);
                    let run = scene.task(options);
                    let told = words.iter().all(|word| run.message().contains(word));
                    assert!(run.failed() && told && !run.changed(), "{name}, {state}, {generation:?}, {check}: {run}");
                    assert_eq!(scene.token(), Some(before), "{name}, {state}");
                    assert!(run.message().len() < 600, "{run}");
                }
            }
        }
    }
}

#[test]
fn a_dead_token_is_told_from_a_missing_permission_by_its_code_alone() {
    for generation in [Generation::Old, Generation::New] {
        let scene = HubScene::new();
        scene.hub().change(|state| state.generation = generation);
        let old = scene.issue();
        let dest = scene.file("token", &old);
        let denied = r#"{"errors":[{"status":"403","code":"permission_denied","title":"You do not have permission to perform this action."}]}"#;
        for body in [denied, "{}", "<h1>403 Forbidden</h1>"] {
            scene.fault(Fault::answer(403, "application/json", body).method("OPTIONS"));
            let run = scene.task(json!({ "dest": dest }));
            assert!(run.failed() && scene.writes().is_empty(), "{run}");
            scene.sandbox.faults().clear();
        }
        let next = scene.issue();
        let run = scene.task(json!({ "dest": dest })).succeeded();
        assert_eq!(run.text("reason"), "dead", "{run}");
        assert!(!scene.hub().token_works(&next) && read(&dest) != old);
    }
}

#[test]
fn an_answer_that_is_not_a_hubs_is_never_taken_for_one() {
    let faults: [(&str, Make, &str); 4] = [
        ("portal", Fault::html, "a page (HTML) where JSON was expected"),
        ("empty", || Fault::answer(200, "text/plain", ""), "the body is empty"),
        ("redirect", || Fault::answer(302, "text/html", ""), "redirects to nowhere"),
        ("too large", Fault::large_body, "larger than 4 MiB"),
    ];
    for (name, fault, words) in faults {
        let scene = HubScene::new();
        let dest = scene.file("token", &scene.issue());
        scene.fault(fault().method("OPTIONS"));
        let run = scene.task(json!({ "dest": dest }));
        assert!(run.failed() && run.message().contains(words), "{name}: {run}");
        assert!(scene.writes().is_empty(), "{name}");
    }
}

#[test]
fn a_limit_of_requests_is_waited_for_and_nothing_is_sent_twice_that_may_have_done_something() {
    let scene = HubScene::new();
    scene.fault(Fault::answer(429, "application/json", "{}").method("POST").times(2));
    scene.task(json!({ "dest": scene.path("token") })).succeeded();
    assert_eq!((scene.writes(), scene.hub().issued("build")), (vec!["POST".to_owned(); 3], 1));
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
    let scene = HubScene::new();
    let cases: [Case; 9] = [
        (
            "nowhere to look",
            |_| json!({}),
            &["without a dest nothing shows whether build has a token", "say state: rotated"],
        ),
        ("nowhere to look, gateway", |_| gateway("x"), &["without a dest", "the user of gateway_token"]),
        ("nobody", |_| nobody(), &["there is nothing to call the hub with"]),
        ("no name", |_| json!({ "ah_username": null }), &["ah_password is of no use without ah_username"]),
        ("empty token", |_| with(nobody(), json!({ "ah_token": " \n" })), &["ah_token is empty"]),
        (
            "path",
            |scene| json!({ "ah_host": format!("{}/api/galaxy", scene.hub().url()) }),
            &["belongs into ah_path_prefix"],
        ),
        ("no path", |_| json!({ "ah_path_prefix": "/" }), &["ah_path_prefix '/' is not a path"]),
        ("max_age", |_| json!({ "max_age": "3d", "state": "rotated" }), &["max_age needs dest or dest_credential"]),
        (
            "async",
            |scene| {
                with(
                    with(nobody(), json!({ "dest": scene.file("own", "x") })),
                    json!({ "self_rotation": true, "_tokensmith_async": true }),
                )
            },
            &["leave async out"],
        ),
    ];
    for (name, make, words) in cases {
        let run = scene.task(make(&scene));
        let told = words.iter().all(|word| run.message().contains(word));
        assert!(run.failed() && told, "{name}: {run}");
    }
    assert!(scene.sandbox.records().all().is_empty());
}

#[test]
fn the_hub_that_is_named_otherwise_is_found() {
    for (is, says) in [
        ("/api/automation-hub", "/api/automation-hub/"),
        ("/api/automation-hub", "automation-hub"),
        ("/api/galaxy", "galaxy"),
        ("/hub", "/hub"),
    ] {
        let scene = HubScene::new();
        scene.hub().change(|state| state.prefix = is.to_owned());
        let run = scene.task(json!({ "dest": scene.path("token"), "ah_path_prefix": says })).succeeded();
        assert!(run.changed(), "{is}, {says}: {run}");
    }
}

#[test]
fn somebody_elses_token_made_at_the_same_moment_is_noticed_and_mended_by_the_next_run() {
    let scene = HubScene::new();
    let dest = scene.path("token");
    scene.fault(Fault::interference().method("POST").times(1));
    let run = scene.task(json!({ "dest": dest }));
    assert!(
        run.failed() && run.message().contains("does not accept the token that it issued: Invalid token."),
        "{run}"
    );
    scene.task(json!({ "dest": dest })).succeeded();
    assert_eq!(scene.token(), Some(read(&dest)));
}

fn inactive(scene: &HubScene) -> Value {
    // The token in dest is another's, lest it be tried as a dead one.
    scene.hub().change(|state| state.users.get_mut("admin").unwrap().is_active = false);
    json!({ "ah_username": "admin", "ah_password": scene.hub().password("admin") })
}

fn no_passwords(scene: &HubScene) -> Value {
    scene.hub().change(|state| state.takes_passwords = false);
    json!({})
}

fn behind_gateway(scene: &HubScene) -> Value {
    scene.hub().issue_gateway_token("build");
    gateway("no-such-token")
}

fn gateway(token: &str) -> Value {
    json!({ "ah_username": null, "ah_password": null, "gateway_token": token })
}

fn nobody() -> Value {
    json!({ "ah_username": null, "ah_password": null })
}

fn other_prefix(scene: &HubScene) -> Value {
    scene.hub().change(|state| state.prefix = "/api/automation-hub".to_owned());
    json!({})
}

fn not_allowed(scene: &HubScene) -> Value {
    let body = r#"{"errors":[{"status":"403","code":"permission_denied","title":"You do not have permission to perform this action."}]}"#;
    scene.fault(Fault::answer(403, "application/json", body));
    json!({})
}

const REFUSED: &str = "the hub does not accept the credential";
const KIND: &str = "the hub does not take this kind of credential";
