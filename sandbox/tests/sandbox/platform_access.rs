//! Who is let in by the stand-in gateway, and how others are refused.

use serde_json::json;
use tokensmith_sandbox::platform::Release;

use crate::platform::{Answer, FORBIDDEN, NOT_PROVIDED, Platform, detail};
use crate::quay::basic;

#[test]
fn every_refusal_of_the_gateway_has_its_body_and_its_challenge() {
    let gateway = Platform::gateway();
    let (gone, dead) = gateway.handle.issue_token("alice", "gone", "write");
    assert!(gateway.handle.revoke(gone) && !gateway.handle.revoke(gone));
    let (old, expired) = gateway.handle.issue_token("alice", "old", "write");
    assert!(gateway.handle.expire(old) && !gateway.handle.expire(gone));
    let wrong = detail(401, "Invalid username/password.");
    let invalid =
        r#"Bearer realm="api",error="invalid_token",error_description="The access token is invalid.""#.to_owned();
    let ended = invalid.replace("is invalid", "has expired");
    let plain = r#"Bearer realm="api""#.to_owned();
    let rows = [
        (String::new(), NOT_PROVIDED, &plain),
        ("Digest x".to_owned(), NOT_PROVIDED, &plain),
        (basic("alice", "nope"), &wrong, &plain),
        (basic("Alice", &gateway.handle.password("alice")), &wrong, &plain),
        ("Bearer nope".to_owned(), NOT_PROVIDED, &invalid),
        (format!("Bearer {dead}"), NOT_PROVIDED, &invalid),
        (format!("Bearer {expired}"), NOT_PROVIDED, &ended),
        (format!("Token {expired}"), NOT_PROVIDED, &ended),
    ];
    for (authorization, body, challenge) in rows {
        for call in ["GET tokens/", "POST tokens/", "GET me/", "PUT tokens/"] {
            let answer = gateway.call_as(&authorization, call, "");
            assert_eq!(answer.verdict(), body, "{authorization} {call}");
            assert_eq!(answer.header("www-authenticate"), challenge, "{authorization}");
        }
    }
    let cookie = gateway.request("GET tokens/").header("cookie", "gateway_sessionid=x");
    assert_eq!(Answer::of(cookie).verdict(), NOT_PROVIDED);
    assert_eq!(gateway.call_as("", "GET ", "").status, 200, "the root is for everybody");
    assert_eq!(gateway.call_as("Bearer nope", "GET ", "").status, 200);
}

#[test]
fn a_token_is_let_in_by_every_scheme_that_its_release_knows() {
    let gateway = Platform::gateway();
    let (_, token) = gateway.handle.issue_token("alice", "x", "write");
    for (release, expected) in [(Release::Dab2025_5_8, 401), (Release::Dab2026_3_19, 401), (Release::Dab2026_6_2, 200)]
    {
        gateway.change(|state| state.release = release);
        for (scheme, expected) in [("Bearer", 200), ("bearer", 200), ("BEARER", 200), ("Token", expected)] {
            let answer = gateway.call_as(&format!("{scheme} {token}"), "GET me/", "");
            assert_eq!(answer.status, expected, "{scheme} {release:?}");
        }
    }
    let me = gateway.call_with(&token, "GET me/", "").json();
    assert_eq!((&me["count"], &me["results"][0]["username"]), (&json!(1), &json!("alice")));
}

#[test]
fn a_scope_that_is_too_small_is_forbidden_and_a_read_token_cannot_delete_itself() {
    for platform in [Platform::gateway(), Platform::controller()] {
        let (id, read) = platform.handle.issue_token("admin", "reader", "read");
        for call in ["GET tokens/", "GET me/", &format!("GET tokens/{id}/")] {
            assert_eq!(platform.call_with(&read, call, "").status, 200, "{call}");
        }
        let own = format!("tokens/{id}/");
        for call in [
            "POST tokens/",
            "PUT tokens/",
            "POST applications/",
            &format!("PATCH {own}"),
            &format!("PUT {own}"),
            &format!("DELETE {own}"),
            "DELETE tokens/99999/",
        ] {
            assert_eq!(platform.call_with(&read, call, "{}").verdict(), FORBIDDEN, "{call}");
        }
        assert!(platform.handle.token_works(&read));
        let (id, write) = platform.handle.issue_token("alice", "writer", "write");
        assert_eq!(platform.call_with(&write, "POST tokens/", "{}").status, 201);
        assert_eq!(platform.call_with(&write, &format!("DELETE tokens/{id}/"), "").status, 204);
        assert!(!platform.handle.token_works(&write));
    }
}

#[test]
fn a_scope_that_is_neither_read_nor_write_opens_nothing() {
    let gateway = Platform::gateway();
    let token = gateway.new_token("alice", &json!({ "scope": "openid roles" }))["token"].as_str().unwrap().to_owned();
    assert_eq!(gateway.call_with(&token, "GET me/", "").verdict(), FORBIDDEN);
}

#[test]
fn whoever_is_not_active_cannot_log_in_but_keeps_the_tokens() {
    let gateway = Platform::gateway();
    let (_, token) = gateway.handle.issue_token("bob", "x", "write");
    gateway.control("gateway/user", &json!({ "user": "bob", "is_active": false }));
    assert_eq!(gateway.get("bob", "me/").verdict(), detail(401, "Invalid username/password."));
    assert_eq!(gateway.call_with(&token, "GET me/", "").status, 200);
}

#[test]
fn passwords_can_be_switched_off() {
    for (platform, refusal) in
        [(Platform::gateway(), NOT_PROVIDED.to_owned()), (Platform::controller(), detail(401, CONTROLLER_REFUSAL))]
    {
        platform.change(|state| state.basic_auth = false);
        assert_eq!(platform.get("admin", "me/").verdict(), refusal);
        let (_, token) = platform.handle.issue_token("admin", "x", "read");
        assert_eq!(platform.call_with(&token, "GET me/", "").status, 200);
    }
}

#[test]
fn the_controller_refuses_everybody_with_the_same_words() {
    let controller = Platform::controller();
    let (old, expired) = controller.handle.issue_token("alice", "old", "write");
    controller.handle.expire(old);
    let (_, token) = controller.handle.issue_token("alice", "good", "write");
    let rows = [
        String::new(),
        basic("alice", "nope"),
        "Bearer nope".to_owned(),
        format!("Bearer {expired}"),
        format!("Token {token}"),
    ];
    for authorization in rows {
        let answer = controller.call_as(&authorization, "GET me/", "");
        assert_eq!(answer.verdict(), detail(401, CONTROLLER_REFUSAL), "{authorization}");
        let challenge = "Bearer realm=api authorization_url=/api/o/authorize/";
        assert_eq!(answer.header("www-authenticate"), challenge);
        assert_eq!((answer.header("x-api-product-name"), answer.header("x-api-product-version")), ("AWX", ""));
    }
    let answer = controller.call_as(&format!("bEARER {token}"), "GET me/", "");
    assert_eq!((answer.status, answer.header("x-api-product-version")), (200, "24.6.1"));
    assert_eq!(answer.json()["results"][0]["username"], "alice");
}

#[test]
fn a_password_change_does_not_kill_the_tokens_but_the_users_end_does() {
    let controller = Platform::controller();
    let (_, token) = controller.handle.issue_token("alice", "x", "write");
    controller.control("controller/user", &json!({ "user": "alice", "password": "another" }));
    assert_eq!(controller.call_as(&basic("alice", "another"), "GET me/", "").status, 200);
    assert_eq!(controller.call_with(&token, "GET me/", "").status, 200);
    controller.change(|state| state.users.retain(|user| user.username != "alice"));
    assert_eq!(controller.call_with(&token, "GET me/", "").status, 401);
    assert!(!controller.handle.token_works(&token));
}

const CONTROLLER_REFUSAL: &str =
    "Authentication credentials were not provided. To establish a login session, visit /api/login/.";
