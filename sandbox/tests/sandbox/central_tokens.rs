//! The API tokens of the stand-in Central: generate, list, get, revoke, allowed roles.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokensmith_sandbox::central::Role;

use crate::central::{Central, NO_VALID_ROLE, REFUSED, keys};
use crate::common::{claims, part};

#[test]
fn a_token_is_generated_proven_listed_and_revoked() {
    let central = Central::start();
    let (token, metadata) = central.new_token("ci", &["Continuous Integration"]);
    assert_eq!(keys(&metadata), METADATA);
    assert_eq!(metadata["roles"], json!(["Continuous Integration"]));
    assert_eq!((&metadata["role"], &metadata["revoked"]), (&json!("Continuous Integration"), &json!(false)));
    let id = metadata["id"].as_str().unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "4"));

    assert_eq!(part(&token, 0), json!({ "alg": "RS256", "kid": "jwtk0", "typ": "JWT" }));
    let claims = claims(&token);
    let (exp, iat) = (claims["exp"].as_i64().unwrap(), claims["iat"].as_i64().unwrap());
    assert_eq!(exp - iat, 365 * 24 * 3600);
    let expected = json!({
        "aud": "https://stackrox.io/jwt-sources#api-tokens", "exp": exp, "iat": iat, "iss": "https://stackrox.io/jwt",
        "jti": id, "name": "ci", "roles": ["Continuous Integration"],
    });
    assert_eq!(claims, expected);

    assert_eq!(central.status_of(&token).text("userId"), format!("auth-token:{id}"));
    assert_eq!(central.get(&format!("apitokens/{id}")).json(), metadata);
    assert_eq!(central.get("apitokens").names(), ["administrator", "ci"]);
    assert!(central.handle.token_works(&token));
    assert_eq!(central.handle.live_tokens("ci"), 1);

    for _ in 0..2 {
        let answer = central.revoke(id);
        assert_eq!((answer.verdict().as_str(), answer.json()), ("200", json!({})));
    }
    assert_eq!(central.status_of(&token).verdict(), REFUSED);
    assert!(!central.handle.token_works(&token));
    assert_eq!(central.handle.live_tokens("ci"), 0);
    assert_eq!(central.get(&format!("apitokens/{id}")).json()["revoked"], true);
}

#[test]
fn every_row_of_generate_is_answered_as_central_does() {
    let central = Central::start();
    let past = "2001-01-01T00:00:00Z";
    let rows = [
        ("", "400 3 token name cannot be empty: invalid arguments"),
        ("{}", "400 3 token name cannot be empty: invalid arguments"),
        (r#"{"name": "", "roles": ["Nope"]}"#, "400 3 token name cannot be empty: invalid arguments"),
        (r#"{"name": null}"#, "400 3 token name cannot be empty: invalid arguments"),
        (
            r#"{"name": "x", "role": "Admin", "roles": ["Nope"]}"#,
            "400 3 must use either role or roles, but not both: invalid arguments",
        ),
        (
            r#"{"name": "x", "roles": ["Nope", "Admin", "Nada", "Nope"]}"#,
            "400 3 role(s) Nope,Nada,Nope don't exist: invalid arguments",
        ),
        (r#"{"name": "x", "roles": ["admin", ""]}"#, "400 3 role(s) admin, don't exist: invalid arguments"),
        (r#"{"name": "x", "role": "Nope"}"#, "400 3 role(s) Nope don't exist: invalid arguments"),
        (
            &format!(r#"{{"name": "x", "roles": ["Nope"], "expiration": "{past}"}}"#),
            "400 3 role(s) Nope don't exist: invalid arguments",
        ),
        (
            &format!(r#"{{"name": "x", "roles": ["Admin"], "expiration": "{past}"}}"#),
            "400 3 Expiration date cannot be in the past",
        ),
        (r#"{"name": "x", "roles": ["Admin"]"#, "400 3 unexpected EOF"),
    ];
    for (body, expected) in rows {
        assert_eq!(central.call("POST apitokens/generate", body).verdict(), expected, "{body}");
    }
    assert_eq!(central.handle.tokens().len(), 1);
}

#[test]
fn what_the_parser_refuses_is_told_with_its_place_before_the_caller_is_looked_at() {
    let central = Central::start();
    central.change(|state| state.spacing.no_break = false);
    let rows = [
        (
            r#"{"name": "x", "expiration": "1234abc"}"#,
            r#"(line 1:29): invalid google.protobuf.Timestamp value "1234abc""#,
        ),
        ("{\n \"name\": 1}", "(line 2:10): invalid value for string field name: 1"),
        (r#"{"roles": "Admin"}"#, r#"(line 1:11): unexpected token "Admin""#),
        (r#"{"roles": [null]}"#, "(line 1:12): invalid value for string field roles: null"),
        (r#"{"expiration": 1234}"#, "(line 1:16): unexpected token 1234"),
        (r#"{"name": "x", "name": "y"}"#, r#"(line 1:23): duplicate field "name""#),
        ("[]", "syntax error (line 1:1): unexpected token []"),
    ];
    for (body, expected) in rows {
        let verdict = central.call_as("", "POST apitokens/generate", body).verdict();
        assert_eq!(verdict, format!("400 3 proto: {expected}"), "{body}");
    }
    central.change(|state| state.spacing.no_break = true);
    let verdict = central.call_as("", "POST apitokens/generate", "[]").verdict();
    assert!(verdict.starts_with("400 3 proto:\u{a0}syntax"), "{verdict}");
    for time in [
        "2999-01-01",
        "",
        "2999-01-01t00:00:00Z",
        "2999-01-01T00:00:00z",
        "2999-01-01T00:00:00",
        "10000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2999-01-01T00:00:00.1234567890Z",
        "2999-01-01T00:00:60Z",
    ] {
        let answer = central.generate(&json!({ "name": "x", "expiration": time }));
        assert!(answer.verdict().starts_with("400 3 proto:"), "{time}: {}", answer.body);
    }
    let answer = central.call_as("", "POST apitokens/generate", "{\"name\": nonsense}");
    assert!(answer.verdict().starts_with("400 3 invalid character"), "{}", answer.body);
}

#[test]
fn what_may_be_odd_is_taken() {
    let central = Central::start();
    for body in [
        r#"{"name": "x", "role": "Admin", "roles": []}"#,
        r#"{"name": "x", "roles": ["Admin"], "owner": {"a": 1}, "expiration": null} and what follows"#,
        r#"{"name": " x\ty ", "roles": ["Admin"], "role": ""}"#,
    ] {
        let answer = central.call("POST apitokens/generate", body);
        assert_eq!((answer.verdict().as_str(), &answer.json()["metadata"]["role"]), ("200", &json!("Admin")), "{body}");
    }
    let request = central.request("POST", "/v1/apitokens/generate").bearer_auth(&central.token);
    let answer = crate::central::Answer::of(request.header("content-type", "text/plain").body(r#"{"name": "x"}"#));
    assert_eq!(answer.unwrap().verdict(), "200", "the content type is not looked at");
}

#[test]
fn tokens_without_a_role_that_counts_are_made_and_fail_each_in_its_way() {
    let central = Central::start();
    let rows: [(&[&str], &str, &str); 5] = [
        (&[], "", "401 16 credentials not found: token-based: cannot extract identity: could not determine token type"),
        (&["None"], "None", NO_VALID_ROLE),
        (&["None", "Analyst"], "", "200"),
        (&["Analyst", "Analyst"], "", "200"),
        (&["Analyst"], "Analyst", "200"),
    ];
    for (roles, role, expected) in rows {
        let (token, metadata) = central.new_token("x", roles);
        assert_eq!((&metadata["roles"], &metadata["role"]), (&json!(roles), &json!(role)));
        assert_eq!(claims(&token).get("roles").cloned(), (!roles.is_empty()).then(|| json!(roles)));
        assert_eq!(central.status_of(&token).verdict(), expected, "{roles:?}");
        assert_eq!(central.call_with(&token, "GET apitokens", "").verdict(), expected, "{roles:?}");
    }
    assert_eq!(central.handle.live_tokens("x"), 3);
}

#[test]
fn names_are_not_unique_and_the_list_has_no_order() {
    let central = Central::start();
    for _ in 0..10 {
        central.new_token("ci", &["Admin"]);
    }
    assert_eq!(central.handle.live_tokens("ci"), 10);
    let list = || central.get("apitokens").json()["tokens"].as_array().unwrap().clone();
    let ids = |tokens: &[Value]| tokens.iter().map(|token| token["id"].to_string()).collect::<Vec<_>>();
    let orders: BTreeSet<_> = (0..10).map(|_| ids(&list())).collect();
    assert!(orders.len() > 1, "11 tokens, ten times in the same order");
    assert!(list().iter().all(|token| keys(token) == METADATA));
}

#[test]
fn the_list_is_filtered_by_every_spelling_of_revoked() {
    let central = Central::start();
    let (_, metadata) = central.new_token("gone", &["Admin"]);
    central.revoke(metadata["id"].as_str().unwrap());
    central.handle.issue_token("ended", &["Admin"], -3600);
    let (all, live) = (vec!["administrator", "ended", "gone"], vec!["administrator", "ended"]);
    let rows = [("", all.clone()), ("?", all.clone()), ("?page=2&name=x", all), ("?revoked=false&x=1", live.clone())];
    let spelt =
        |words: [&str; 6], names: Vec<&'static str>| words.map(|word| (format!("?revoked={word}"), names.clone()));
    let rows = rows.map(|(query, names)| (query.to_owned(), names)).into_iter();
    let rows = rows.chain(spelt(["1", "t", "T", "TRUE", "true", "True"], vec!["gone"]));
    for (query, names) in rows.chain(spelt(["0", "f", "F", "FALSE", "false", "False"], live)) {
        assert_eq!(central.get(&format!("apitokens{query}")).names(), names, "{query}");
    }
    for word in ["nope", "", "yes", "tRUE", "2"] {
        let expected =
            format!("400 3 parsing field \"revoked\": strconv.ParseBool: parsing \"{word}\": invalid syntax");
        let verdict = central.call_as("", &format!("GET apitokens?revoked={word}"), "").verdict();
        assert_eq!(verdict, expected, "before the caller is looked at");
    }
    let twice = central.get("apitokens?revoked=true&revoked=false").verdict();
    assert_eq!(twice, "400 3 too many values for field \"revoked\": true, false");
    central.change(|state| state.tokens.clear());
    assert_eq!(central.get("apitokens").json(), json!({ "tokens": [] }));
}

#[test]
fn what_is_not_there_is_400_to_a_get_and_500_to_a_revoke() {
    let central = Central::start();
    let known = central.handle.tokens()[0].id.clone();
    let unknown = "0a07385c-7cdc-49a6-aba5-fe2b0387d4e1";
    for id in [unknown, "generate", "revoke", "not-a-uuid", &known.to_uppercase(), "%27"] {
        let shown = id.replace("%27", "'");
        let get = central.get(&format!("apitokens/{id}")).verdict();
        assert_eq!(get, format!("400 3 token with id '{shown}' does not exist: invalid arguments"));
        let revoke = central.revoke(id).verdict();
        assert_eq!(revoke, format!("500 13 token with id '{shown}' does not exist"));
    }
    assert_eq!(central.get("apitokens/").verdict(), "400 3 empty id passed: invalid arguments");
    assert_eq!(central.revoke("").verdict(), "500 13 token with id '' does not exist");
    assert_eq!(central.get("apitokens/a%2Fb").verdict(), "404 5 Not Found");
    let body = central.call(&format!("PATCH apitokens/revoke/{known}"), "no JSON at all").verdict();
    assert_eq!(body, "200", "a body is not looked at, and a token revokes itself");
    assert_eq!(central.get("apitokens").verdict(), REFUSED);
}

#[test]
fn the_allowed_roles_are_those_of_the_moment_in_byte_order_without_none() {
    let central = Central::start();
    let names =
        |token: &str| central.call_with(token, "GET apitokens/generate/allowed-roles", "").json()["roleNames"].clone();
    let defaults = [
        "Admin",
        "Analyst",
        "Configuration Controller",
        "Continuous Integration",
        "Network Graph Viewer",
        "Sensor Creator",
        "Vulnerability Management Approver",
        "Vulnerability Management Requester",
        "Vulnerability Report Creator",
    ];
    assert_eq!(names(&central.token), json!(defaults));
    let analyst = central.handle.issue_token("a", &["Analyst"], 60);
    assert_eq!(names(&analyst), json!(["Analyst", "Network Graph Viewer"]));
    central.add_role("a role", Role::unrestricted([]));
    central.change(|state| state.roles.remove("Admin"));
    assert_eq!(names(&analyst), json!(["Analyst", "Network Graph Viewer", "a role"]));
    central.change(|state| state.release = (4, 2, 9));
    let before = central.call_with(&analyst, "GET apitokens/generate/allowed-roles", "").verdict();
    assert_eq!(before, "404 5 Not Found");
}

const METADATA: [&str; 7] = ["id", "name", "roles", "issuedAt", "expiration", "revoked", "role"];
