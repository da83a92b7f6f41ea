//! Tokens of applications: which application a name means, and what comes with the token.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::gateway::{GatewayScene, USER};
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::read;

use super::{APIS, DAY};

#[test]
fn an_application_is_found_by_name_and_key_in_an_organization_found_by_name_and_key() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let key = |name, organization| scene.platform().application(name, organization).unwrap();
        for (application, organization, meant) in [
            (json!("deploy"), Value::Null, key("deploy", "Default")),
            (json!(key("ci", "Engineering").to_string()), Value::Null, key("ci", "Engineering")),
            (json!(key("ci", "Default")), Value::Null, key("ci", "Default")),
            (json!("ci"), json!("Engineering"), key("ci", "Engineering")),
            (json!("ci"), json!("Default"), key("ci", "Default")),
            (json!("ci"), json!("2"), key("ci", "Engineering")),
            (json!(key("ci", "Engineering")), json!("Engineering"), key("ci", "Engineering")),
        ] {
            let asked = json!({ "application": application, "organization": organization, "state": "rotated" });
            let run = scene.token_task(with(as_admin(&scene), asked.clone())).succeeded();
            assert_eq!(run.result["application"], json!(meant), "{api}, {asked}: {run}");
            let record = scene.platform().tokens().pop().unwrap();
            assert_eq!((record.application, record.username.as_str()), (Some(meant), "admin"), "{api}, {asked}");
        }
    }
}

#[test]
fn an_application_that_is_not_clear_is_asked_for_and_the_candidates_are_named() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let keys = ["Default", "Engineering"].map(|name| scene.platform().application("ci", name).unwrap());
        let first = format!("{} (in organization 1)", keys[0]);
        let second = format!("{} (in organization 2)", keys[1]);
        let cases: [(Value, &[&str]); 6] = [
            (json!({ "application": "ci" }), &["there are 2 applications of the name ci", &first, &second]),
            (json!({ "application": "nope" }), &["there is no application nope, or this user may not see it"]),
            (json!({ "application": "9999" }), &["there is no application 9999"]),
            (
                json!({ "application": "deploy", "organization": "Engineering" }),
                &["there is no application deploy in this organization"],
            ),
            (
                json!({ "application": keys[0], "organization": "Engineering" }),
                &["in this organization, or this user may not see it"],
            ),
            (json!({ "application": "ci", "organization": "Sales" }), &["there is no organization Sales"]),
        ];
        for (asked, words) in cases {
            for state in ["present", "rotated", "absent"] {
                for check in [true, false] {
                    let more = json!({ "dest": scene.path("token"), "state": state, "_ansible_check_mode": check });
                    let run = scene.token_task(with(with(as_admin(&scene), asked.clone()), more));
                    assert!(run.failed(), "{api}, {asked}: {run}");
                    assert!(words.iter().all(|word| run.message().contains(word)), "{api}, {asked}: {run}");
                }
            }
        }
        assert!(scene.writes().is_empty() && !scene.path("token").exists(), "{api}");
    }
}

#[test]
fn a_name_of_digits_is_a_name_before_it_is_a_key() {
    let scene = GatewayScene::new();
    let other = scene.platform().application("ci", "Default").unwrap();
    let named = scene.platform().add_application(&other.to_string(), "Default").unwrap();
    let asked = json!({ "application": other.to_string(), "state": "rotated" });
    let run = scene.token_task(with(as_admin(&scene), asked)).succeeded();
    assert_eq!(run.result["application"], json!(named), "{run}");
}

#[test]
fn the_refresh_token_is_returned_beside_the_token_and_never_without_it() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let asked = with(as_admin(&scene), json!({ "application": "deploy" }));
        let run = scene.token_task(asked.clone()).succeeded();
        assert!(scene.platform().token_works(run.text("token")), "{run}");
        assert_eq!((run.text("refresh_token").len(), &run.result["_tokensmith_secret"]), (30, &json!(true)), "{run}");
        assert_ne!(run.text("refresh_token"), run.text("token"));
        let again = scene.token_task(asked.clone()).succeeded();
        assert_eq!((again.changed(), again.result.get("refresh_token")), (false, None), "{again}");

        let dest = scene.path("token");
        for (more, is_returned) in [
            (json!({}), false),
            (json!({ "return_token": true, "state": "rotated" }), true),
            (json!({ "state": "absent" }), false),
        ] {
            let options = with(with(asked.clone(), json!({ "dest": dest })), more);
            let check = scene.token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
            assert!(check.result.get("refresh_token").is_none(), "{check}");
            let run = scene.token_task(options).succeeded();
            assert_eq!(run.result.get("refresh_token").is_some(), is_returned, "{api}: {run}");
            if dest.exists() {
                assert!(scene.platform().token_works(&read(&dest)) && read(&dest).len() == 30, "{api}");
            }
        }
        let run = scene.token_task(json!({ "state": "rotated" })).succeeded();
        assert!(run.result.get("refresh_token").is_none(), "a personal token has none: {run}");
    }
}

#[test]
fn a_token_of_another_application_or_of_none_is_replaced() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let dest = scene.path("token");
        let options = |application: Value| {
            with(as_admin(&scene), json!({ "dest": dest, "application": application, "organization": null }))
        };
        let ci = scene.platform().application("ci", "Default").unwrap();
        let mut old = None;
        for application in [Value::Null, json!("deploy"), json!(ci), Value::Null] {
            let run = scene.token_task(options(application.clone())).succeeded();
            let told = (run.text("reason"), &run.result["deleted"]);
            let expected: Vec<i64> = old.into_iter().collect();
            assert_eq!(told, (if old.is_some() { "drifted" } else { "missing" }, &json!(expected)), "{api}: {run}");
            old = run.result["id"].as_i64();
            let again = scene.token_task(options(application)).succeeded();
            assert_eq!((again.changed(), again.result["id"].as_i64()), (false, old), "{api}: {again}");
        }
        assert_eq!(scene.platform().live_tokens("ci"), 1);
    }
}

#[test]
fn a_lost_answer_is_told_apart_from_tokens_of_other_applications() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let dest = scene.path("token");
        let ci = scene.platform().application("ci", "Default");
        let personal = scene.platform().issue_token("admin", "ci", "write").1;
        let of_another = scene.platform().issue("admin", ci, "ci", "write").token;
        scene.fault(Fault::lost_answer().path("/tokens/").method("POST").times(1));
        let options = with(as_admin(&scene), json!({ "dest": dest, "application": "deploy" }));
        let run = scene.token_task(options.clone());
        assert!(run.failed() && run.message().contains("the token was retired, which nobody has"), "{api}: {run}");
        assert_eq!(scene.platform().live_tokens("ci"), 2, "{api}");
        assert!(scene.platform().token_works(&personal) && scene.platform().token_works(&of_another), "{api}");
        scene.token_task(options).succeeded();
        assert!(scene.platform().token_works(&read(&dest)), "{api}");
    }
}

#[test]
fn a_member_of_its_organization_gets_a_token_of_a_controllers_application() {
    let scene = GatewayScene::of("controller");
    let dest = scene.path("token");
    let options = json!({ "dest": dest, "application": "deploy", "max_age": "10d" });
    scene.token_task(options.clone()).succeeded();
    assert!(!scene.token_task(options.clone()).succeeded().changed());
    scene.sandbox.clock().advance(11 * DAY);
    let run = scene.token_task(options).succeeded();
    assert_eq!(run.text("reason"), "aged", "{run}");
    let record = scene.platform().tokens().pop().unwrap();
    assert_eq!(record.username, USER);
}

fn as_admin(scene: &GatewayScene) -> Value {
    json!({ "gateway_username": "admin", "gateway_password": scene.platform().password("admin") })
}
