//! How long tokens and sessions of the stand-in Red Hat SSO live, and what ends them: sections 4, 7 and 8 of its contract.

use crate::common::{FormBody, Realm, claims};
use reqwest::Method;

const MAXIMUM: &str = "400 invalid_grant: Maximum allowed refresh token reuse exceeded";
const STALE: &str = "400 invalid_grant: Stale token";
const WITHOUT_CLIENT: &str = "400 invalid_grant: Session doesn't have required client";
const NOT_FOUND: &str = "400 invalid_grant: Offline user session not found";

#[test]
fn rotation_follows_the_table_of_the_contract() {
    // Steps: "t0 a" uses t0 and calls the answer a; "t0 = sentence" uses it and is refused so.
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("rotating", &[("t0", "a"), ("a", "b"), ("b", "c")]),
        ("rotating-reuse-1", &[("t0", "a"), ("a", "b"), ("b", "c")]),
        ("rotating", &[("t0", "a"), ("t0", MAXIMUM), ("t0", WITHOUT_CLIENT), ("a", WITHOUT_CLIENT)]),
        ("rotating-reuse-1", &[("t0", "a"), ("t0", "b"), ("b", "c"), ("a", STALE), ("c", WITHOUT_CLIENT)]),
        ("rotating-reuse-1", &[("t0", "a"), ("t0", "b"), ("t0", MAXIMUM), ("b", WITHOUT_CLIENT)]),
        ("rotating", &[("t0", "a"), ("a", "b"), ("t0", STALE), ("b", WITHOUT_CLIENT)]),
        ("rotating-reuse-1", &[("t0", "a"), ("a", "b"), ("t0", STALE), ("b", WITHOUT_CLIENT)]),
    ];
    for (name, steps) in rows {
        let realm = Realm::named(name);
        let other_session = realm.offline_token();
        let mut known = std::collections::HashMap::from([("t0", realm.offline_token())]);
        for (used, expected) in *steps {
            realm.sandbox.clock().advance(2);
            let answer = realm.refresh(&known[used]);
            if answer.status == 200 {
                known.insert(expected, answer.text("refresh_token"));
                assert!(!expected.starts_with("400"), "{name} {steps:?}: {used} should be refused");
            } else {
                assert_eq!(&answer.verdict(), expected, "{name} {steps:?}: {used}");
            }
        }
        assert_eq!(realm.refresh(&other_session).verdict(), "200", "another session is not touched");
    }
}

#[test]
fn a_replay_kills_the_access_tokens_too() {
    let realm = Realm::named("rotating");
    let t0 = realm.offline_token();
    let access = realm.refresh(&t0).text("access_token");
    assert!(realm.handle.access_token_works(&access));
    assert_eq!(realm.refresh(&t0).verdict(), MAXIMUM);
    assert!(!realm.handle.access_token_works(&access));
    assert_eq!(realm.user_info(&access).status, 401);
}

#[test]
fn reuse_id_is_there_with_rotation_alone_and_the_same_along_a_chain() {
    let realm = Realm::named("rotating");
    let t0 = realm.offline_token();
    let t1 = realm.next(&t0);
    assert!(claims(&t0)["reuse_id"].is_string());
    assert_eq!(claims(&t0)["reuse_id"], claims(&t1)["reuse_id"]);
    assert_ne!(claims(&t0)["reuse_id"], claims(&realm.offline_token())["reuse_id"]);
    assert!(claims(&Realm::start().offline_token())["reuse_id"].is_null());
}

#[test]
fn rotation_switched_on_later_lets_any_one_living_string_work_once() {
    let realm = Realm::named("switched-on");
    let t0 = realm.offline_token();
    let t1 = realm.next(&t0);
    realm.sandbox.clock().advance(2);
    realm.handle.change(|realm| realm.rotation = Some(0));
    let t2 = realm.next(&t0);
    assert!(claims(&t2)["reuse_id"].is_null(), "a chain begun without rotation never gets one");
    assert!(claims(&realm.offline_token())["reuse_id"].is_string(), "a new login does");
    realm.sandbox.clock().advance(2);
    assert_eq!(realm.refresh(&t1).verdict(), STALE);
}

#[test]
fn ten_clients_at_once_with_rotation_lose_the_token() {
    let realm = Realm::named("rotating");
    let token = realm.offline_token();
    let verdicts: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(|| realm.refresh(&token).verdict())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count = |expected: &str| verdicts.iter().filter(|verdict| *verdict == expected).count();
    assert_eq!((count("200"), count(MAXIMUM), count(WITHOUT_CLIENT)), (1, 1, 8), "{verdicts:?}");
    assert_eq!(realm.handle.refreshes(), 1);
}

#[test]
fn the_idle_limit_counts_from_the_last_refresh_with_whatever_string() {
    let realm = Realm::named("idle");
    realm.handle.change(|realm| realm.offline_idle = 60);
    let token = realm.offline_token();
    for _ in 0..3 {
        realm.sandbox.clock().advance(45);
        assert_eq!(realm.refresh(&token).verdict(), "200", "the first string goes on living");
    }
    let access = realm.refresh(&token).text("access_token");
    realm.sandbox.clock().advance(58);
    assert_eq!(realm.user_info(&access).status, 200, "user info works and extends nothing");
    assert!(realm.handle.offline_token_is_alive(&token));
    realm.sandbox.clock().advance(5);
    assert!(!realm.handle.offline_token_is_alive(&token));
    assert_eq!(realm.refresh(&token).verdict(), NOT_FOUND);
    assert!(realm.user_info(&access).challenge.ends_with(r#"error_description="user_session_not_found""#));
}

#[test]
fn the_idle_limit_of_a_client_has_another_sentence() {
    let realm = Realm::start();
    let token = realm.handle.issue_offline_token("short-idle", "openid offline_access").unwrap();
    assert!(claims(&token)["exp"].is_null());
    realm.sandbox.clock().advance(18);
    assert_eq!(realm.refresh_as("short-idle", &token).verdict(), "200");
    realm.sandbox.clock().advance(22);
    assert_eq!(realm.refresh_as("short-idle", &token).verdict(), WITHOUT_CLIENT);
}

#[test]
fn a_limited_session_gives_its_tokens_an_end_and_ends_itself() {
    let realm = Realm::named("limited");
    let first = realm.offline_token();
    assert_eq!(claims(&first)["exp"].as_i64().unwrap() - claims(&first)["iat"].as_i64().unwrap(), 20);
    let mut newest = first.clone();
    for (at, expires_in, refresh_expires_in) in [(12, 48, 20), (24, 36, 20), (36, 24, 20), (48, 12, 12)] {
        realm.sandbox.clock().advance(12);
        let answer = realm.refresh(&newest);
        let body = answer.json();
        // The machine's clock may pass a full second meanwhile.
        let is_near = |field: &str, expected: i64| (0..=1).contains(&(expected - body[field].as_i64().unwrap()));
        assert!(is_near("expires_in", expires_in), "at {at}: {body}");
        assert!(is_near("refresh_expires_in", refresh_expires_in), "at {at}: {body}");
        newest = answer.text("refresh_token");
        if at >= 24 {
            assert_eq!(realm.refresh(&first).verdict(), "400 invalid_grant: Token is not active", "at {at}");
        }
    }
    realm.sandbox.clock().advance(12);
    assert!([NOT_FOUND, "400 invalid_grant: Token is not active"].contains(&realm.refresh(&newest).verdict().as_str()));
    realm.sandbox.clock().advance(12);
    assert_eq!(realm.refresh(&newest).verdict(), "400 invalid_grant: Token is not active");
}

#[test]
fn user_info_tells_the_kinds_of_tokens_apart() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let body = realm.refresh(&token).json();
    let [access, id] = ["access_token", "id_token"].map(|name| body[name].as_str().unwrap());
    let form = |scope| {
        [
            ("grant_type", "client_credentials"),
            ("client_id", "second-service-account"),
            ("client_secret", "second-service-account-secret-for-tests"),
            ("scope", scope),
        ]
    };
    let account = realm.post("token", &form("api.console")).text("access_token");
    let open_account = realm.post("token", &form("openid api.console")).text("access_token");
    let of_second = {
        let second = realm.sandbox.sso().realm("second");
        let token = second.issue_offline_token("cloud-services", "openid offline_access").unwrap();
        let form = [("grant_type", "refresh_token"), ("client_id", "cloud-services"), ("refresh_token", &token)];
        realm.send(realm.http.post(second.token_url()).form_body(&form)).unwrap().text("access_token")
    };
    let failed =
        r#"Bearer realm="redhat-external", error="invalid_token", error_description="Token verification failed""#;
    let missing =
        r#"Bearer realm="redhat-external", error="insufficient_scope", error_description="Missing openid scope""#;
    let rows = [
        (access, 200, ""),
        (open_account.as_str(), 200, ""),
        (account.as_str(), 403, missing),
        ("garbage", 401, failed),
        (token.as_str(), 401, failed),
        (id, 401, failed),
        (of_second.as_str(), 401, failed),
    ];
    for (token, status, challenge) in rows {
        let answer = realm.user_info(token);
        assert_eq!((answer.status, answer.challenge.as_str()), (status, challenge));
        let content_type = if status == 200 { "application/json" } else { "text/plain;charset=utf-8" };
        assert_eq!((answer.content_type.as_str(), answer.body.is_empty()), (content_type, status != 200));
    }
    assert_eq!(realm.user_info(access).json()["preferred_username"], "casey");
    let without = realm.send(realm.request(Method::GET, "userinfo")).unwrap();
    assert_eq!((without.status, without.challenge.as_str()), (401, r#"Bearer realm="redhat-external""#));
    assert_eq!(realm.post("userinfo", &[("access_token", access)]).status, 200);
    let in_query = realm.request(Method::GET, &format!("userinfo?access_token={access}"));
    assert_eq!(realm.send(in_query).unwrap().status, 401);

    realm.handle.change(|realm| realm.users.get_mut("casey").unwrap().enabled = false);
    assert!(realm.user_info(access).challenge.ends_with(r#""User disabled""#));
    realm.handle.change(|realm| {
        realm.users.get_mut("casey").unwrap().enabled = true;
        realm.clients.get_mut("cloud-services").unwrap().enabled = false;
    });
    assert!(realm.user_info(access).challenge.ends_with(r#""Client disabled""#));
}

#[test]
fn an_access_token_dies_when_its_time_is_over() {
    let realm = Realm::start();
    let token = realm.handle.issue_offline_token("short-access", "openid offline_access").unwrap();
    let answer = realm.refresh_as("short-access", &token);
    assert_eq!(answer.json()["expires_in"], 5);
    let access = answer.text("access_token");
    realm.sandbox.clock().advance(4);
    assert_eq!(realm.user_info(&access).status, 200);
    realm.sandbox.clock().advance(2);
    assert_eq!(realm.user_info(&access).status, 401);
    assert!(!realm.handle.access_token_works(&access));
}

#[test]
fn revoking_answers_200_for_the_living_the_dead_and_garbage() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let newest = realm.next(&token);
    let body = realm.refresh(&newest).json();
    let [access, id] = ["access_token", "id_token"].map(|name| body[name].as_str().unwrap());
    let other_session = realm.offline_token();
    let dead = "200 invalid_token: Invalid token";
    let rows = [
        ("cloud-services", "garbage", dead),
        ("cloud-services", id, "400 unsupported_token_type: Unsupported token type"),
        ("rhsm-api", &token, "400 invalid_request: Unmatching clients"),
        ("nobody", &token, "401 invalid_client: Invalid client or Invalid client credentials"),
        ("cloud-services", access, "200"),
        ("cloud-services", access, "200"),
        ("cloud-services", &token, "200"),
        ("cloud-services", &newest, dead),
    ];
    for (client, token, expected) in rows {
        let answer = realm.post("revoke", &[("token", token), ("client_id", client)]);
        assert_eq!(answer.verdict(), expected);
        if expected == "200" {
            assert_eq!((answer.body.as_str(), answer.content_type.as_str()), ("", ""));
        }
    }
    assert_eq!(
        realm.post("revoke", &[("client_id", "cloud-services")]).verdict(),
        "400 invalid_request: Token not provided"
    );
    assert_eq!(realm.refresh(&newest).verdict(), NOT_FOUND);
    assert_eq!(realm.refresh(&other_session).verdict(), "200");
}

#[test]
fn a_used_up_string_still_revokes_its_session() {
    let realm = Realm::named("rotating");
    let t0 = realm.offline_token();
    let t1 = realm.next(&t0);
    assert_eq!(realm.post("revoke", &[("token", &t0), ("client_id", "cloud-services")]).verdict(), "200");
    assert_eq!(realm.refresh(&t1).verdict(), NOT_FOUND);
}

#[test]
fn logging_out_ends_the_session_and_does_nothing_without_a_token() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let client = ("client_id", "cloud-services");
    let page = realm.post("logout", &[client]);
    assert_eq!((page.status, page.content_type.as_str()), (200, "text/html;charset=utf-8"));
    assert!(realm.handle.offline_token_is_alive(&token));
    let garbage = realm.post("logout", &[client, ("refresh_token", "garbage")]);
    assert_eq!(garbage.verdict(), "400 invalid_grant: Invalid refresh token");
    for _ in 0..2 {
        assert_eq!(realm.post("logout", &[client, ("refresh_token", &token)]).verdict(), "204");
    }
    assert_eq!(realm.refresh(&token).verdict(), NOT_FOUND);
}

#[test]
fn introspection_is_of_no_use() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let account = ("client_id", "second-service-account");
    let secret = ("client_secret", "second-service-account-secret-for-tests");
    let token = ("token", token.as_str());
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[("client_id", "cloud-services"), token], "403 invalid_request: Client not allowed."),
        (&[token], "401 invalid_client: Invalid client or Invalid client credentials"),
        (&[account, ("client_secret", "wrong"), token], "401 invalid_client: Client authentication failed."),
        (&[account, secret], "400 invalid_request: Token not provided."),
        (&[account, secret, token], "200"),
    ];
    for (form, expected) in rows {
        assert_eq!(realm.post("token/introspect", form).verdict(), *expected, "{form:?}");
    }
    assert_eq!(realm.post("token/introspect", &[account, secret, token]).body, r#"{"active":false}"#);
}

#[test]
fn discovery_names_the_endpoints_under_the_host_that_was_called() {
    let realm = Realm::start();
    let url = format!("{}/.well-known/openid-configuration", realm.handle.url());
    let body = realm.send(realm.http.get(url)).unwrap().json();
    assert_eq!(body["issuer"], realm.handle.url());
    assert_eq!(body["token_endpoint"], realm.handle.token_url());
}
