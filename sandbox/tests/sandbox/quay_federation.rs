//! Federation and exchange of the stand-in Quay: section 7 of its contract, row by row.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};
use tokensmith_sandbox::ExternalToken;
use tokensmith_sandbox::quay::Release;

use crate::common::{claims, part, raw_part};
use crate::quay::{Answer, Quay, basic};

#[test]
fn a_federation_is_replaced_as_a_whole_and_keeps_its_order() {
    let quay = Quay::start();
    for path in ["organization/acme/robots/ci/federation", "user/robots/laptop/federation"] {
        assert_eq!(quay.get(path).json(), json!([]));
        let entries = json!([
            { "issuer": "https://b.example.com", "subject": "two" },
            { "issuer": "http://a.example.com", "subject": "one" },
        ]);
        let mut sent = entries.clone();
        sent[0]["isExpanded"] = json!(true);
        sent[0]["audiences"] = json!(["quay"]);
        let answer = quay.call(&format!("POST {path}"), &sent.to_string());
        assert_eq!((answer.status, answer.json()), (200, entries.clone()), "extra keys are dropped");
        assert_eq!(quay.get(path).json(), entries);
        assert_eq!(quay.call(&format!("POST {path}"), "[]").json(), json!([]));
        quay.call(&format!("POST {path}"), &entries.to_string());
        for _ in 0..2 {
            let answer = quay.call(&format!("DELETE {path}"), "");
            assert_eq!((answer.status, answer.body.as_str()), (204, ""), "when empty already, too");
            assert_eq!(quay.get(path).json(), json!([]));
        }
    }
}

#[test]
fn every_refusal_of_a_federation_says_why_and_changes_nothing() {
    let quay = Quay::start();
    quay.handle.set_federation("acme+ci", [("https://idp.example.com", "sub")]);
    let missing = "400 A invalid_request: Missing one or more required fields (issuer, subject)";
    let rows = [
        (r#"[{"issuer": "", "subject": "s"}]"#, missing),
        (r#"[{"issuer": "https://i", "subject": ""}]"#, missing),
        (r#"[{"issuer": "https://i"}]"#, "400 A invalid_request: 'subject' is a required property"),
        (r#"[{"subject": "s"}]"#, "400 A invalid_request: 'issuer' is a required property"),
        (r#"[{"issuer": 1, "subject": "s"}]"#, "400 A invalid_request: 1 is not of type 'string'"),
        (r#"["x"]"#, "400 A invalid_request: 'x' is not of type 'object'"),
        (r#"{"a": null}"#, "400 A invalid_request: {'a': None} is not of type 'array'"),
        (
            r#"[{"issuer": "idp.example.com", "subject": "s"}]"#,
            "400 A invalid_request: Issuer must be a URL (http:// or https://)",
        ),
        (
            r#"[{"issuer": "https://i", "subject": "s"}, {"issuer": "https://i", "subject": "s", "x": 1}]"#,
            "400 A invalid_request: Duplicate federation config entry",
        ),
        ("null", "400 A invalid_request: Missing JSON body"),
        ("[", "400 C The browser (or proxy) sent a request that this server could not understand."),
    ];
    for (body, expected) in rows {
        let answer = quay.call("POST organization/acme/robots/ci/federation", body);
        assert_eq!(answer.verdict(), expected, "{body}");
    }
    for kind in ["", "text/plain"] {
        let request = quay.request("POST", "/api/v1/organization/acme/robots/ci/federation").bearer_auth(&quay.token);
        let request = if kind.is_empty() { request } else { request.header(CONTENT_TYPE, kind) };
        assert!(Answer::of(request.body("[]")).unwrap().verdict().starts_with("415 C "), "{kind:?}");
    }
    for call in ["GET", "DELETE", "POST"] {
        let answer = quay.call(&format!("{call} organization/acme/robots/nobody/federation"), "[]");
        assert_eq!(answer.verdict(), "400 C Could not find robot with specified username", "{call}");
    }
    assert_eq!(quay.get("organization/acme/robots/ci/federation").json().as_array().unwrap().len(), 1);
}

#[test]
fn the_schema_comes_before_the_permission_and_the_entries_behind_it() {
    let quay = Quay::start();
    let erin = quay.token_of("erin", "org:admin");
    let call = "POST organization/acme/robots/ci/federation";
    assert_eq!(quay.call_as(&erin, call, "{}").verdict(), "400 A invalid_request: {} is not of type 'array'");
    let empty = r#"[{"issuer": "", "subject": "s"}]"#;
    assert_eq!(quay.call_as(&erin, call, empty).verdict(), "403 A insufficient_scope: Unauthorized");
    let own = quay.call_as(&erin, "POST user/robots/ci/federation", "{}").verdict();
    assert_eq!(own, "403 A insufficient_scope: Unauthorized");
}

#[test]
fn releases_learnt_federation_one_after_the_other() {
    let quay = Quay::start();
    let rows: [(Release, [u16; 3]); 4] = [
        ((3, 12, 9), [308, 308, 308]),
        ((3, 13, 0), [200, 308, 401]),
        ((3, 17, 1), [200, 308, 401]),
        ((3, 17, 2), [200, 200, 401]),
    ];
    for (release, expected) in rows {
        quay.change(|state| state.release = release);
        let organization = quay.get("organization/acme/robots/ci/federation").status;
        let user = quay.get("user/robots/laptop/federation").status;
        let exchange = Answer::of(quay.request("GET", "/oauth2/federation/robot/token")).unwrap().status;
        assert_eq!([organization, user, exchange], expected, "{release:?}");
    }
}

#[test]
fn an_exchange_gives_a_token_of_an_hour_that_logs_in_as_this_robot_alone() {
    let quay = federated();
    let answer = exchange(&quay, |token| token);
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let token = answer.text("token");
    let (header, claims) = (part(&token, 0), claims(&token));
    assert_eq!((&header["alg"], &header["typ"], header["kid"].is_string()), (&json!("RS256"), &json!("JWT"), true));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("quay"), &json!("acme+ci")));
    assert_eq!(claims["aud"], quay.handle.server_hostname());

    assert_eq!(quay.log_in("acme+ci", &token).verdict(), "200");
    assert_eq!(quay.log_in("acme+deploy", &token).verdict(), "401 D UNAUTHORIZED: Token does not match robot");
    let ping = Answer::of(quay.request("GET", "/v2/").bearer_auth(&token)).unwrap();
    assert_eq!(ping.status, 401, "it is no registry bearer");
    assert_eq!(quay.call_as(&token, "GET user/", "").verdict(), "401 B Issuer quay not configured");

    quay.regenerate("organization/acme/robots/ci");
    quay.call("DELETE organization/acme/robots/ci/federation", "");
    assert!(quay.handle.login_works("acme+ci", &token), "neither revokes it");
    quay.sandbox.clock().advance(3500);
    assert!(quay.handle.login_works("acme+ci", &token));
    quay.sandbox.clock().advance(200);
    assert!(!quay.handle.login_works("acme+ci", &token));
}

#[test]
fn deleting_the_robot_or_disabling_its_owner_ends_logins_with_federated_tokens() {
    let quay = federated();
    let token = exchange(&quay, |token| token).text("token");
    quay.change(|state| state.organizations.get_mut("acme").unwrap().is_disabled = true);
    assert_eq!(quay.log_in("acme+ci", &token).status, 401);
    quay.change(|state| state.organizations.get_mut("acme").unwrap().is_disabled = false);
    assert_eq!(quay.log_in("acme+ci", &token).status, 200);
    quay.call("DELETE organization/acme/robots/ci", "");
    let missing = "401 D UNAUTHORIZED: Could not find robot with specified username";
    assert_eq!(quay.log_in("acme+ci", &token).verdict(), missing);
}

#[test]
fn every_row_of_the_exchange_is_answered_as_quay_does() {
    let quay = federated();
    let now = quay.sandbox.clock().seconds();
    type Change<'c> = &'c dyn Fn(ExternalToken) -> ExternalToken;
    let rows: &[(&str, Change<'_>, &str)] = &[
        ("good", &|token| token, "200"),
        ("RS384", &|token| token.with_rs384(), "200"),
        ("a strange audience", &|token| token.claim("aud", "nobody"), "200"),
        ("a later start", &|token| token.claim("nbf", now + 600), "200"),
        ("ended within the leeway", &|token| token.claim("exp", now - 10), "200"),
        ("no iss", &|token| token.without("iss"), "400 C Token does not contain issuer"),
        (
            "another issuer",
            &|token| token.claim("iss", "https://x"),
            "400 C issuer https://x not configured for this robot",
        ),
        ("wrong subject", &|token| token.claim("sub", "else"), "400 C Token does not match robot"),
        ("no subject", &|token| token.without("sub"), "400 C Token does not match robot"),
        ("expired", &|token| token.expired(), "400 C Invalid token: Signature has expired"),
        ("bad signature", &|token| token.with_wrong_key(), "400 C Invalid token: Signature verification failed"),
        ("no kid", &|token| token.without_key_id(), "400 C Invalid token: Missing `kid` header"),
        ("no iat", &|token| token.without("iat"), "400 C Invalid token: Token is missing the \"iat\" claim"),
        ("no exp", &|token| token.without("exp"), "400 C Invalid token: Token is missing the \"exp\" claim"),
        ("future", &|token| token.claim("iat", now + 600), "400 C Invalid token: The token is not yet valid (iat)"),
        ("unknown kid", &|token| token.with_unknown_key_id(), "500 F"),
    ];
    for (case, change, expected) in rows {
        assert_eq!(exchange(&quay, change).verdict(), *expected, "{case}");
    }
    let slash = format!("{}/", quay.handle.identity_provider().issuer());
    let with_slash = exchange(&quay, |token| token.claim("iss", slash.as_str())).verdict();
    assert_eq!(with_slash, format!("400 C issuer {slash} not configured for this robot"), "character for character");

    let good = quay.handle.identity_provider().token("workload").sign().unwrap();
    let missing = "400 C Could not find robot with specified username";
    let rows = [
        ("acme", good.as_str(), "401 JSON Invalid robot"),
        ("acme+nobody", &good, missing),
        ("acme+nobody", "no-jwt", missing),
        ("acme+deploy", &good, "400 C Robot does not have federated login configured"),
        ("acme+ci", "no-jwt", "500 F"),
    ];
    for (name, token, expected) in rows {
        assert_eq!(quay.exchange(name, token).unwrap().verdict(), expected, "{name}");
    }
    assert_eq!(quay.handle.regenerations("acme+ci"), 0);
}

#[test]
fn an_exchange_wants_basic_credentials_that_can_be_read() {
    let quay = federated();
    let unreadable = "401 JSON Could not parse basic auth header";
    let no_colon = "401 JSON Unexpected number of credentials found in basic auth header";
    let rows = [
        ("", "401 JSON No auth header"),
        ("Bearer abc", "401 JSON Invalid basic auth header"),
        ("Basic", "401 JSON Invalid basic auth header"),
        ("Basic a b", "401 JSON Invalid basic auth header"),
        ("Basic YWNtZQ==", no_colon),
        ("Basic !!!!", no_colon),
        ("Basic YWNtZQ", unreadable),
        ("Basic //79Og==", unreadable),
    ];
    for (header, expected) in rows {
        let request = quay.request("GET", "/oauth2/federation/robot/token");
        let request = if header.is_empty() { request } else { request.header(AUTHORIZATION, header) };
        assert_eq!(Answer::of(request).unwrap().verdict(), expected, "{header:?}");
    }
    let good = quay.handle.identity_provider().token("workload").sign().unwrap();
    let head = quay.request("HEAD", "/oauth2/federation/robot/token").header(AUTHORIZATION, basic("acme+ci", &good));
    assert_eq!(Answer::of(head).unwrap().status, 200);
}

#[test]
fn an_http_issuer_breaks_the_server_and_one_out_of_reach_closes_the_connection() {
    let quay = federated();
    let far = "https://127.0.0.1:1";
    quay.handle.set_federation("acme+ci", [("http://idp.example.com", "workload"), (far, "workload")]);
    assert_eq!(exchange(&quay, |token| token.claim("iss", "http://idp.example.com")).verdict(), "500 F");
    let token = quay.handle.identity_provider().token("workload").claim("iss", far).sign().unwrap();
    assert!(quay.exchange("acme+ci", &token).is_err());
}

#[test]
fn the_identity_provider_publishes_the_key_it_signs_with() {
    let quay = Quay::start();
    let provider = quay.handle.identity_provider();
    let get = |url: &str| Answer::of(quay.http.get(url)).unwrap().json();
    let discovery = get(&format!("{}/.well-known/openid-configuration", provider.issuer()));
    assert_eq!(discovery["issuer"], provider.issuer());
    let keys = get(discovery["jwks_uri"].as_str().unwrap());
    let token = provider.token("workload").sign().unwrap();
    assert_eq!(keys["keys"][0]["kid"], part(&token, 0)["kid"]);
    let number = |name: &str| {
        use base64::Engine;
        let text = keys["keys"][0][name].as_str().unwrap();
        base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    };
    let (signed, _) = token.rsplit_once('.').unwrap();
    let key = RsaPublicKeyComponents { n: number("n"), e: number("e") };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &raw_part(&token, 2)).unwrap();
    let times = claims(&token);
    assert_eq!(times["exp"].as_i64().unwrap() - times["iat"].as_i64().unwrap(), 300);
}

#[test]
fn the_control_endpoint_makes_tokens_to_exchange() {
    let quay = Quay::start();
    quay.control("quay/federation", &json!({ "name": "acme+ci" }));
    let made = quay.control("quay/external_token", &json!({ "subject": "acme+ci" }));
    assert_eq!(made["issuer"], quay.handle.identity_provider().issuer());
    assert_eq!(quay.exchange("acme+ci", made["token"].as_str().unwrap()).unwrap().verdict(), "200");
    let rows = [
        (json!({ "subject": "acme+ci", "flaw": "expired" }), "400 C Invalid token: Signature has expired"),
        (json!({ "subject": "acme+ci", "flaw": "wrong_key" }), "400 C Invalid token: Signature verification failed"),
        (json!({ "subject": "acme+ci", "flaw": "no_kid" }), "400 C Invalid token: Missing `kid` header"),
        (json!({ "subject": "acme+ci", "flaw": "unknown_kid" }), "500 F"),
        (json!({ "subject": "acme+ci", "claims": { "iss": Value::Null } }), "400 C Token does not contain issuer"),
        (json!({ "subject": "else" }), "400 C Token does not match robot"),
    ];
    for (arguments, expected) in rows {
        let made = quay.control("quay/external_token", &arguments);
        let answer = quay.exchange("acme+ci", made["token"].as_str().unwrap()).unwrap();
        assert_eq!(answer.verdict(), expected, "{arguments}");
    }
    let entries = json!([{ "issuer": "https://idp.example.com", "subject": "s" }]);
    quay.control("quay/federation", &json!({ "name": "acme+ci", "entries": entries }));
    assert_eq!(quay.get("organization/acme/robots/ci/federation").json(), entries);
}

/// A Quay where `acme+ci` takes tokens of the identity provider for `workload`.
fn federated() -> Quay {
    let quay = Quay::start();
    let issuer = quay.handle.identity_provider().issuer();
    quay.handle.set_federation("acme+ci", [("https://other.example.com", "workload"), (issuer.as_str(), "workload")]);
    quay
}

fn exchange(quay: &Quay, change: impl FnOnce(ExternalToken) -> ExternalToken) -> Answer {
    let token = change(quay.handle.identity_provider().token("workload")).sign().unwrap();
    quay.exchange("acme+ci", &token).unwrap()
}
