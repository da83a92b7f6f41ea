//! Who is let in to the stand-in Central, with what, and how every answer looks.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use tokensmith_sandbox::Sandbox;
use tokensmith_sandbox::central::{Level, Role};

use crate::central::{Answer, Central, DAY, NO_VALID_ROLE, REFUSED, keys};
use crate::common::claims;
use crate::quay::basic;

#[test]
fn every_credential_is_let_in_or_refused_with_its_cause() {
    let central = Central::start();
    let (token, password) = (&central.token, central.handle.admin_password());
    let revoked = central.handle.issue_token("revoked", &["Admin"], DAY);
    central.handle.revoke(claims(&revoked)["jti"].as_str().unwrap());
    let expired = central.handle.issue_token("expired", &["Admin"], -61);
    let another = Sandbox::start().unwrap();
    let (of_another, provider) =
        (another.central().issue_token("x", &["Admin"], DAY), central.handle.identity_provider());
    let sign = |token: tokensmith_sandbox::ExternalToken| token.sign().unwrap();
    let own_claims = claims(token);
    let imitation = own_claims
        .as_object()
        .unwrap()
        .iter()
        .fold(provider.token("x"), |made, (name, value)| made.claim(name, value.clone()));
    let (forged, unsigned) = (sign(imitation.clone().with_wrong_key()), sign(imitation.unsigned()));
    let (unknown, nameless) = (sign(provider.token("x")), sign(provider.token("x").without("iss")));
    let wrong_password =
        "401 16 credentials not found: basic: cannot extract identity: failed to identify user with username";
    let wrong_admin = format!("{wrong_password} \"admin\"");
    let no_pair = "401 16 credentials not found: basic: cannot extract identity: failed to parse basic auth token";
    let malformed = REFUSED.replace("401 16", "400 3");
    let rows: &[(String, &str)] = &[
        (String::new(), NOBODY),
        ("Bearer".to_owned(), NOBODY),
        ("Token abc".to_owned(), NOBODY),
        (token.clone(), NOBODY),
        (format!("Bearer {token}"), "200"),
        (format!("bEARER {token}"), "200"),
        (format!("Bearer {token} "), "200"),
        (format!("Bearer  {token}"), &malformed),
        (format!("Bearer {}", token.replace('.', " .")), &malformed),
        ("Bearer abc".to_owned(), &malformed),
        ("Bearer a.b.c".to_owned(), &malformed),
        (format!("Bearer {token}.x"), &malformed),
        (format!("Bearer {nameless}"), &malformed),
        (format!("Bearer {revoked}"), REFUSED),
        (format!("Bearer {expired}"), REFUSED),
        (format!("Bearer {forged}"), REFUSED),
        (format!("Bearer {unsigned}"), REFUSED),
        (format!("Bearer {of_another}"), REFUSED),
        (format!("Bearer {unknown}"), REFUSED),
        (basic("admin", &password), "200"),
        (basic("admin", &password).replace("Basic", "basic"), NOBODY),
        (basic("admin", "wrong"), &wrong_admin),
        (basic("admin", ""), &wrong_admin),
        (basic("root", &password), &format!("{wrong_password} \"root\"")),
        ("Basic ".to_owned() + "YWRtaW4=", no_pair),
        ("Basic %%%".to_owned(), no_pair),
    ];
    for (authorization, expected) in rows {
        for call in ["GET auth/status", "GET apitokens", "GET apitokens/generate/allowed-roles"] {
            assert_eq!(&central.call_as(authorization, call, "").verdict(), expected, "{call} with {authorization}");
        }
        let metadata = central.call_as(authorization, "GET metadata", "").verdict();
        match expected.splitn(3, ' ').nth(2) {
            None => assert_eq!(metadata, "200"),
            Some(cause) => assert_eq!(
                metadata,
                format!("403 7 not authorized: no authorizer could authorize this request: errors: [{cause}, {cause}]")
            ),
        }
        let ping = central.call_as(authorization, "GET ping", "");
        assert_eq!((ping.verdict().as_str(), ping.json()), ("200", json!({ "status": "ok" })));
    }
    central.change(|state| state.machine_access.clear());
    for bad in ["abc", &nameless, &unknown] {
        assert_eq!(central.status_of(bad).verdict(), REFUSED, "without any configuration");
    }
    central.handle.restart();
    assert_eq!(central.status_of("abc").verdict(), malformed, "Central made the one of its own controller");
    central.change(|state| state.release = (4, 8, 0));
    assert_eq!(central.status_of("abc").verdict(), REFUSED, "before 4.9");
    central.change(|state| state.htpasswd = false);
    assert_eq!(central.call_as(&basic("admin", &password), "GET auth/status", "").verdict(), wrong_admin);
}

#[test]
fn of_two_headers_a_bearer_is_not_seen_and_the_first_password_counts() {
    let central = Central::start();
    let (bearer, good, bad) =
        (format!("Bearer {}", central.token), central.as_administrator(), basic("admin", "wrong"));
    let rows = [
        ([&bearer, &bearer], NOBODY),
        ([&bearer, &good], NOBODY),
        ([&good, &bearer], "200"),
        ([&good, &bad], "200"),
        (
            [&bad, &good],
            "401 16 credentials not found: basic: cannot extract identity: failed to identify user with username \"admin\"",
        ),
    ];
    for (headers, expected) in rows {
        let request = headers.iter().fold(central.request("GET", "/v1/auth/status"), |request, value| {
            request.header("authorization", value.as_str())
        });
        assert_eq!(Answer::of(request).unwrap().verdict(), expected);
    }
}

#[test]
fn each_call_asks_for_its_permissions_in_order_and_before_it_looks_at_the_input() {
    let central = Central::start();
    let (no, read, write) = (Level::No, Level::Read, Level::ReadWrite);
    let missing = |level: &str, resource: &str| format!("403 7 not authorized: \"{level}\" for \"{resource}\"");
    let access = missing("READ_ACCESS", "Access");
    let integration = missing("READ_WRITE_ACCESS", "Integration");
    let reading = missing("READ_ACCESS", "Integration");
    let rows = [
        ("POST apitokens/generate", no, write, access.clone()),
        ("POST apitokens/generate", no, no, access.clone()),
        ("POST apitokens/generate", read, read, integration.clone()),
        ("POST apitokens/generate", read, write, "400 3 token name cannot be empty: invalid arguments".to_owned()),
        ("GET apitokens", write, no, reading.clone()),
        ("GET apitokens", no, read, "200".to_owned()),
        ("GET apitokens/x", write, no, reading),
        ("GET apitokens/x", no, read, "400 3 token with id 'x' does not exist: invalid arguments".to_owned()),
        ("PATCH apitokens/revoke/x", write, read, integration),
        ("PATCH apitokens/revoke/x", no, write, "500 13 token with id 'x' does not exist".to_owned()),
        ("GET apitokens/generate/allowed-roles", no, write, access),
        ("GET apitokens/generate/allowed-roles", read, no, "200".to_owned()),
        ("GET auth/status", no, no, "200".to_owned()),
        ("GET metadata", no, no, "200".to_owned()),
    ];
    for (call, access, integration, expected) in rows {
        let token = central.token_with("tried", &[("Access", access), ("Integration", integration)]);
        assert_eq!(central.call_with(&token, call, "").verdict(), expected, "{call} with {access:?} {integration:?}");
    }
}

#[test]
fn nobody_gives_away_more_than_they_have_where_it_counts() {
    let central = Central::start();
    let (read, write) = (Level::Read, Level::ReadWrite);
    let issuing = [("Access", read), ("Integration", write)];
    central.add_role("issuer", Role::unrestricted(issuing));
    central.add_role("reader", Role::unrestricted([("Image", read), ("Alert", read)]));
    central.add_role("local reader", Role::within("west", [("Image", read), ("Node", read)]));
    central.add_role("local guard", Role::within("west", [("Alert", read)]));
    central.add_role("local writer", Role::within("west", [("Image", write)]));
    central.add_role("distant reader", Role::within("east", [("Node", read)]));
    central.add_role("two of it", Role::unrestricted([("Image", write), ("Secret", read)]));
    let token = central.handle.issue_token("x", &["issuer", "reader", "local reader"], DAY);
    let refused = |role: &str| {
        let answer =
            central.call_with(&token, "POST apitokens/generate", &json!({ "name": "x", "roles": [role] }).to_string());
        let verdict = answer.verdict();
        let Some(message) = verdict.strip_prefix("403 7 not authorized: ") else { return vec![verdict] };
        let mut lines: Vec<_> = message.lines().map(String::from).collect();
        lines.sort();
        assert!(message.ends_with("\n\n"), "{message:?}");
        lines
    };
    assert_eq!(refused("issuer"), ["200"], "oneself again");
    assert_eq!(refused("reader"), ["200"]);
    assert_eq!(refused("local reader"), ["200"]);
    assert_eq!(refused("local guard"), ["200"], "the unrestricted scope counts in every other");
    assert_eq!(refused("None"), ["200"]);
    let image = "access scope=\"west\": requested access is READ_WRITE_ACCESS, when user access is READ_ACCESS";
    assert_eq!(refused("local writer"), ["", &format!("\t* resource=Image, {image}"), "1 error occurred:"]);
    let node =
        "\t* resource=Node, access scope=\"east\": requested access is READ_ACCESS, when user access is NO_ACCESS";
    assert_eq!(refused("distant reader"), ["", node, "1 error occurred:"]);
    let two = refused("two of it");
    assert_eq!((two.len(), two[3].as_str()), (4, "2 errors occurred:"));
    let secret = "access scope=\"Unrestricted\": requested access is READ_ACCESS, when user access is NO_ACCESS";
    assert!(two.contains(&format!("\t* resource=Secret, {secret}")), "{two:?}");

    let body =
        |roles: &[&str]| json!({ "name": "x", "roles": roles, "expiration": "2001-01-01T00:00:00Z" }).to_string();
    let verdict = central.call_with(&token, "POST apitokens/generate", &body(&["local writer", "Nope"])).verdict();
    assert_eq!(verdict, "400 3 role(s) Nope don't exist: invalid arguments", "that comes before");
    let body = body(&["local writer", "reader", "local writer"]);
    let verdict = central.call_with(&token, "POST apitokens/generate", &body).verdict();
    assert!(verdict.contains("2 errors occurred:") && verdict.matches("resource=Image").count() == 2, "{verdict}");
    let all = json!({ "name": "x", "roles": ["Admin"] }).to_string();
    let orders: BTreeSet<_> =
        (0..10).map(|_| central.call_with(&token, "POST apitokens/generate", &all).verdict()).collect();
    assert!(orders.len() > 1, "ten times in the same order");

    let allowed = central.call_with(&token, "GET apitokens/generate/allowed-roles", "").json();
    assert_eq!(allowed["roleNames"], json!(["issuer", "local guard", "local reader", "reader"]));
}

#[test]
fn roles_count_when_a_token_is_used() {
    let central = Central::start();
    let token = central.token_with("tried", &[("Integration", Level::Read)]);
    let both = central.handle.issue_token("both", &["tried", "Analyst"], DAY);
    assert_eq!(central.call_with(&token, "GET apitokens", "").verdict(), "200");
    central.add_role("tried", Role::unrestricted([]));
    assert!(central.call_with(&token, "GET apitokens", "").verdict().starts_with("403 7 "));
    assert_eq!(central.status_of(&token).verdict(), "200");
    central.change(|state| state.roles.remove("tried"));
    assert_eq!(central.status_of(&token).verdict(), NO_VALID_ROLE);
    assert_eq!((central.handle.token_works(&token), central.handle.live_tokens("tried")), (false, 0));
    let roles = central.status_of(&both).json()["userInfo"]["roles"].clone();
    assert_eq!((roles.as_array().unwrap().len(), &roles[0]["name"]), (1, &json!("Analyst")), "the others go on");
    central.add_role("tried", Role::unrestricted([("Integration", Level::Read)]));
    assert_eq!(central.call_with(&token, "GET apitokens", "").verdict(), "200", "a new role of that name");
}

#[test]
fn the_status_says_all_of_a_token_and_of_the_administrator() {
    let central = Central::start();
    let (token, metadata) = central.new_token("ci", &["Continuous Integration"]);
    let (id, expires) = (metadata["id"].as_str().unwrap(), metadata["expiration"].as_str().unwrap());
    let access = json!({ "resourceToAccess": { "Detection": "READ_ACCESS", "Image": "READ_WRITE_ACCESS" } });
    let friendly =
        format!("anonymous bearer token \"ci\" with roles [Continuous Integration] (jti: {id}, expires: {expires})");
    let expected = json!({
        "userId": format!("auth-token:{id}"), "expires": expires, "refreshUrl": "", "authProvider": null,
        "userInfo": {
            "username": "", "friendlyName": friendly, "permissions": access,
            "roles": [{ "name": "Continuous Integration", "resourceToAccess": access["resourceToAccess"] }],
        },
        "userAttributes": [
            { "key": "name", "values": ["ci"] }, { "key": "role", "values": ["Continuous Integration"] },
        ],
        "idpToken": "",
    });
    let status = central.status_of(&token).json();
    assert_eq!(status, expected);
    let all = ["userId", "expires", "refreshUrl", "authProvider", "userInfo", "userAttributes", "idpToken"];
    assert_eq!(keys(&status), all);

    let administrator = central.call_as(&central.as_administrator(), "GET auth/status", "").json();
    assert_eq!(keys(&administrator), all);
    assert_eq!(administrator["userId"], "admin");
    assert_eq!(administrator["expires"], "9999-12-31T23:59:59.999999999Z");
    assert_eq!(administrator["authProvider"]["type"], "basic");
    assert_eq!(administrator["userInfo"]["roles"][0]["name"], "Admin");

    let metadata = central.get("metadata").json();
    assert_eq!(
        keys(&metadata),
        ["version", "buildFlavor", "releaseBuild", "licenseStatus", "compatibleSensorVersions"]
    );
    assert_eq!((&metadata["buildFlavor"], &metadata["licenseStatus"]), (&json!("release"), &json!("VALID")));
    central.change(|state| state.release = (4, 11, 2));
    assert_eq!(central.get("metadata").text("version"), "4.11.2");
}

#[test]
fn an_unknown_path_is_404_and_a_wrong_method_501_whoever_calls() {
    let central = Central::start();
    let rows = [
        ("GET nothing", 404),
        ("GET apitokens/a/b", 404),
        ("GET auth/status/", 404),
        ("GET ping/", 404),
        ("POST apitokens/generate/", 404),
        ("GET apitokens/generate/allowed-roles/", 404),
        ("DELETE nothing", 404),
        ("POST apitokens", 501),
        ("PUT apitokens", 501),
        ("DELETE apitokens/x", 501),
        ("PATCH apitokens/generate", 501),
        ("POST apitokens/revoke/x", 501),
        ("GET apitokens/revoke/x", 501),
        ("GET apitokens/revoke/", 501),
        ("POST apitokens/generate/allowed-roles", 501),
        ("GET auth/m2m/exchange", 501),
        ("POST auth/status", 501),
        ("POST ping", 501),
        ("DELETE metadata", 501),
        ("OPTIONS apitokens", 501),
        ("OPTIONS nothing", 404),
    ];
    for (call, status) in rows {
        for authorization in ["", &format!("Bearer {}", central.token), "Bearer abc"] {
            let expected = if status == 404 { "404 5 Not Found" } else { "501 12 Method Not Allowed" };
            assert_eq!(central.call_as(authorization, call, "not JSON").verdict(), expected, "{call}");
        }
    }
    let head = central.call("HEAD apitokens", "");
    assert_eq!((head.status, head.body.as_str()), (501, ""));
    assert_eq!(central.handle.tokens().len(), 1);
}

#[test]
fn the_json_is_the_same_however_it_is_spaced() {
    let central = Central::start();
    let rows = [
        (false, false, "{\"status\":\"ok\"}"),
        (true, false, "{\"status\":\"ok\"}"),
        (true, true, "{\"status\": \"ok\"}"),
    ];
    let parsed: Vec<Value> = rows
        .iter()
        .map(|(comma, colon, ping)| {
            central.change(|state| (state.spacing.after_comma, state.spacing.after_colon) = (*comma, *colon));
            assert_eq!(central.get("ping").body, *ping);
            let list = central.get("apitokens");
            assert_eq!((list.body.contains(", "), list.body.contains("\": ")), (*comma, *colon), "{}", list.body);
            list.json()
        })
        .collect();
    assert!(parsed.iter().all(|body| *body == parsed[0]));
    let pretty = central.get("apitokens?pretty");
    assert!(pretty.body.starts_with("{\n  \"tokens\""), "{}", pretty.body);
    assert_eq!(pretty.json(), parsed[0]);
    central.change(|state| state.release = (4, 5, 0));
    assert_eq!(keys(&central.get("nothing").json()), ["error", "code", "message", "details"]);
    central.change(|state| state.release = (4, 6, 0));
    assert_eq!(keys(&central.get("nothing").json()), ["code", "message", "details", "error"]);
}

#[test]
fn plain_http_is_told_so_at_the_port_with_tls_and_answered_at_its_own() {
    let central = Central::start();
    let mut stream = TcpStream::connect(central.handle.endpoint()).unwrap();
    stream.write_all(b"GET /v1/ping HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "{answer}");
    let plain = central.http.get(format!("{}/v1/ping", central.handle.plain_url()));
    assert_eq!(Answer::of(plain).unwrap().verdict(), "200");
}

#[test]
fn a_connection_is_kept_alive() {
    let central = Central::start();
    let mut stream = TcpStream::connect(central.handle.plain_url().trim_start_matches("http://")).unwrap();
    let request = "GET /v1/apitokens HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /v1/ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{request}{last}").as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!((answers.matches("HTTP/1.1 401").count(), answers.matches("HTTP/1.1 200").count()), (1, 1), "{answers}");
}

const NOBODY: &str = "401 16 credentials not found";
