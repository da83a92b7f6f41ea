//! Lost answers, other people's hands, clocks and the control endpoint at the stand-in gateway.

use std::time::Duration;

use chrono::DateTime;
use serde_json::json;
use tokensmith_sandbox::Fault;

use crate::platform::{Answer, Platform};

#[test]
fn a_token_whose_answer_was_lost_lives_untold() {
    for platform in [Platform::gateway(), Platform::controller()] {
        for (number, fault) in
            [Fault::lost_answer(), Fault::cut_body(), Fault::bad_gateway().acting()].into_iter().enumerate()
        {
            let description = format!("lost {number}");
            platform.sandbox.faults().add(fault.path("/tokens/").method("POST").times(1));
            let request = platform.request("POST tokens/").header("authorization", platform.password_of("alice"));
            let body = json!({ "description": description }).to_string();
            let answer = Answer::try_of(request.header("content-type", "application/json").body(body.clone()));
            assert!(answer.is_err() || answer.unwrap().status == 502);
            assert_eq!(platform.handle.live_tokens(&description), 1);
            let told = |description: &str| {
                let records = platform.handle.tokens();
                records
                    .iter()
                    .filter(|record| record.description == description)
                    .map(|record| record.told)
                    .collect::<Vec<_>>()
            };
            assert_eq!(told(&description), [false]);
            platform.call("alice", "POST tokens/", &body);
            assert_eq!(told(&description), [false, true]);
        }
        platform.sandbox.faults().add(Fault::cut().path("/tokens/").times(1));
        let request = platform.request("DELETE tokens/1/").header("authorization", platform.password_of("admin"));
        assert!(Answer::try_of(request).is_err());
    }
}

#[test]
fn somebody_else_makes_a_token_like_this_or_deletes_it() {
    let gateway = Platform::gateway();
    gateway.sandbox.faults().add(Fault::interference().path("/tokens/").method("POST").times(1));
    let row = gateway.new_token("alice", &json!({ "description": "ci" }));
    assert_eq!(gateway.handle.live_tokens("ci"), 2);
    let others: Vec<_> = gateway.handle.tokens().into_iter().filter(|record| record.id != row["id"]).collect();
    assert_eq!((others.len(), others[0].told, others[0].username.as_str()), (1, false, "alice"));

    gateway.sandbox.faults().add(Fault::interference().path("/tokens/").method("GET").times(1));
    let path = format!("tokens/{}/", row["id"]);
    assert_eq!(gateway.get("alice", &path).status, 200);
    assert_eq!(gateway.get("alice", &path).status, 404);
}

#[test]
fn the_header_date_is_the_sandboxs_clock_and_can_be_wrong() {
    for platform in [Platform::gateway(), Platform::controller()] {
        let ahead = || {
            let answer = platform.call_as("", "GET ", "");
            let date = DateTime::parse_from_rfc2822(answer.header("date")).unwrap().timestamp();
            date - platform.sandbox.clock().seconds()
        };
        platform.sandbox.clock().advance(90_000);
        assert!((-5..=0).contains(&ahead()), "{}", ahead());
        platform.change(|state| state.date_skew = 3600);
        assert!((3595..=3600).contains(&ahead()), "{}", ahead());
    }
}

#[test]
fn the_end_of_a_token_is_moved_by_hand() {
    let gateway = Platform::gateway();
    let (id, token) = gateway.handle.issue_token("alice", "x", "write");
    assert!(gateway.handle.expire_in(id, 3600) && gateway.handle.token_works(&token));
    gateway.sandbox.clock().advance(3601);
    assert!(!gateway.handle.token_works(&token));
    assert_eq!(gateway.handle.live_tokens("x"), 0);
    assert_eq!(gateway.handle.tokens().len(), 1, "the row of an expired token stays");
}

#[test]
fn the_control_endpoint_does_what_the_methods_do_for_each_of_the_two() {
    for (platform, product) in [(Platform::gateway(), "gateway"), (Platform::controller(), "controller")] {
        let control = |action: &str, arguments| platform.control(&format!("{product}/{action}"), &arguments);
        let made = control("token", json!({ "user": "alice", "description": "ci", "scope": "read" }));
        let token = made["token"].as_str().unwrap();
        assert!(platform.handle.token_works(token));
        let listed = control("tokens", json!({ "description": "ci" }));
        assert_eq!(listed["tokens"][0]["user"], "alice");
        assert!(!listed.to_string().contains(token));
        assert_eq!(control("live", json!({ "description": "ci" })), json!({ "live": 1 }));
        assert_eq!(control("works", json!({ "token": token })), json!({ "works": true }));
        control("expire", json!({ "id": made["id"] }));
        assert_eq!(control("works", json!({ "token": token })), json!({ "works": false }));
        control("revoke", json!({ "id": made["id"] }));
        assert!(platform.handle.tokens().is_empty());
        assert_eq!(control("password", json!({}))["password"], platform.handle.password("admin"));
        let application = control("application", json!({ "name": "own" }));
        let issued = control("token", json!({ "application": application["id"] }));
        assert_eq!(issued["refresh_token"].as_str().unwrap().len(), 30);
        control("state", json!({ "token_life": 60, "latency_milliseconds": 1 }));
        assert_eq!(platform.change(|state| (state.token_life, state.latency)), (60, Duration::from_millis(1)));
        let gone = platform.request(&format!("POST /_sandbox/{product}/revoke")).body(r#"{"id": 99999}"#);
        assert_eq!(Answer::of(gone).status, 404);
    }
    let gateway = Platform::gateway();
    gateway.control("gateway/state", &json!({ "release": "2025.5.8" }));
    assert_eq!(gateway.change(|state| state.release), tokensmith_sandbox::platform::Release::Dab2025_5_8);
}
