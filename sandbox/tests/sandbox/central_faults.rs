//! What goes wrong on purpose with the stand-in Central, its record of requests, and its control endpoint.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_sandbox::{Certificate, Fault};

use crate::central::{Answer, Central, DAY, REFUSED};

#[test]
fn a_lost_generate_leaves_an_orphan_that_nobody_was_told_of() {
    let central = Central::start();
    let body = json!({ "name": "ci", "roles": ["Admin"] });
    let generate =
        || central.request("POST", "/v1/apitokens/generate").bearer_auth(&central.token).body(body.to_string());
    for fault in [Fault::lost_answer(), Fault::cut_body(), Fault::truncated_json(), Fault::bad_gateway().acting()] {
        central.sandbox.faults().add(fault.path("/generate").method("POST").times(1));
        if let Ok(answer) = Answer::of(generate()) {
            assert!(serde_json::from_str::<Value>(&answer.body).is_err(), "{}", answer.body);
        }
    }
    assert_eq!(central.handle.live_tokens("ci"), 4);
    assert!(central.handle.tokens().iter().filter(|record| record.name == "ci").all(|record| !record.told));

    central.sandbox.faults().add(Fault::delay(Duration::from_millis(5)).path("/generate").times(1));
    central.new_token("told", &["Admin"]);
    central.sandbox.faults().add(Fault::cut().path("/generate").times(1));
    assert!(Answer::of(generate()).is_err());
    let told: Vec<_> =
        central.handle.tokens().into_iter().filter(|record| record.told).map(|record| record.name).collect();
    assert_eq!(told, ["administrator", "told"]);
    assert_eq!(central.handle.live_tokens("ci"), 4, "a cut before it did nothing");
}

#[test]
fn a_client_that_goes_before_the_late_answer_was_not_told() {
    let central = Central::start();
    central.sandbox.faults().add(Fault::delay(Duration::from_secs(3600)).path("/generate").times(1));
    let body = r#"{"name": "ci", "roles": ["Admin"]}"#;
    let mut stream = TcpStream::connect(central.handle.plain_url().trim_start_matches("http://")).unwrap();
    let (token, length) = (&central.token, body.len());
    let head = format!("POST /v1/apitokens/generate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}");
    stream.write_all(format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    while central.handle.live_tokens("ci") == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(stream);
    assert!(!central.handle.tokens()[1].told);
    assert_eq!(central.sandbox.records().to("/generate")[0].status, None);
}

#[test]
fn a_refusal_on_purpose_looks_like_centrals_own_and_pages_like_those_of_a_router() {
    let central = Central::start();
    let id = central.handle.tokens()[0].id.clone();
    let limited =
        "/v1.APITokenService/GetAPITokens is rejected by grpc_ratelimit middleware, please retry later. limit exceeded";
    let rows = [(13, "database is down", 500), (8, limited, 429), (14, "not ready", 503), (99, "unknown", 500)];
    for (code, message, status) in rows {
        central.sandbox.faults().add(Fault::refusal(code, message).times(1));
        let answer = central.revoke(&id);
        assert_eq!((answer.status, answer.text("message").as_str()), (status, message));
        assert_eq!(answer.header("retry-after"), "");
    }
    central.sandbox.faults().add(Fault::answer(503, "text/html", "<html>503</html>").times(1));
    let page = central.get("apitokens");
    assert_eq!((page.status, page.header("content-type"), page.body.as_str()), (503, "text/html", "<html>503</html>"));
    assert!(central.handle.tokens().iter().all(|record| !record.revoked));
    central.sandbox.faults().add(Fault::refusal(13, "late").acting().path("/revoke/").times(1));
    assert_eq!(central.revoke(&id).status, 500);
    assert!(central.handle.tokens()[0].revoked, "the outcome of a 500 is unknown");
}

#[test]
fn every_answer_has_the_date_of_the_clock_and_its_skew() {
    let central = Central::start();
    let skew = |answer: &Answer| {
        let date = chrono::DateTime::parse_from_rfc2822(&answer.header("date").replace("GMT", "+0000")).unwrap();
        let seconds = date.timestamp() - central.sandbox.clock().seconds();
        (seconds + 30).div_euclid(60)
    };
    assert_eq!(skew(&central.get("ping")), 0);
    central.change(|state| state.date_skew = -600);
    central.sandbox.faults().add(Fault::bad_gateway().path("/metadata"));
    for path in ["ping", "nothing", "apitokens", "metadata"] {
        assert_eq!(skew(&central.get(path)), -10, "{path}");
    }
    central.sandbox.clock().advance(DAY);
    assert_eq!(skew(&central.get("ping")), -10);
}

#[test]
fn a_certificate_that_has_ended_or_is_foreign_is_shown_to_new_connections() {
    let central = Central::start();
    let ping = || {
        let http = crate::common::trusting(&central.sandbox);
        Answer::of(http.get(format!("{}/v1/ping", central.handle.url()))).map(|answer| answer.verdict())
    };
    for certificate in [Certificate::Expired, Certificate::Foreign] {
        central.change(|state| state.certificate = certificate);
        let error = format!("{:?}", ping().unwrap_err());
        let is_foreign = error.contains("BadSignature") || error.contains("UnknownIssuer");
        assert_eq!(
            (error.contains("Expired"), is_foreign),
            if certificate == Certificate::Expired { (true, false) } else { (false, true) },
            "{error}"
        );
    }
    central.change(|state| state.certificate = Certificate::Good);
    assert_eq!(ping().unwrap(), "200");
}

#[test]
fn the_latency_is_kept() {
    let central = Central::start();
    central.change(|state| state.latency = Duration::from_millis(50));
    let start = Instant::now();
    central.get("ping");
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn the_record_of_requests_tells_the_order_and_no_secret() {
    let central = Central::start();
    let (token, metadata) = central.new_token("ci", &["Admin"]);
    central.status_of(&token);
    central.revoke(metadata["id"].as_str().unwrap());
    central.exchange("secret.secret.secret");
    let records = central.sandbox.records().all();
    let calls: Vec<_> = records.iter().map(|recorded| (recorded.method.as_str(), recorded.status.unwrap())).collect();
    assert_eq!(calls, [("POST", 200), ("GET", 200), ("PATCH", 200), ("POST", 400)]);
    assert_eq!(records[0].json, Some(json!({ "name": "ci", "roles": ["Admin"] })));
    assert!(records[0].header_names.iter().any(|name| name == "authorization"));
    assert!(!records[3].header_names.iter().any(|name| name == "authorization"));

    let shown = Answer::of(central.request("GET", "/_sandbox/requests")).unwrap();
    assert_eq!(shown.json()[0]["body"], json!({ "name": "ci", "roles": ["Admin"] }));
    assert_eq!(shown.json()[3]["body"], json!({ "idToken": "(hidden)" }));
    for secret in [&token, &central.token, "secret.secret"] {
        assert!(!shown.body.contains(secret));
    }
}

#[test]
fn the_control_endpoint_does_what_a_test_does_with_methods() {
    let central = Central::start();
    let issued = central.control("central/token", &json!({ "name": "old", "roles": ["Analyst"], "expires_in": 60 }));
    let (id, token) = (issued["id"].as_str().unwrap(), issued["token"].as_str().unwrap());
    let works = |token: &str| central.control("central/works", &json!({ "token": token }))["works"].clone();
    assert_eq!(works(token), true);
    assert_eq!(central.control("central/live", &json!({ "name": "old" })), json!({ "live": 1 }));
    let listed = central.control("central/tokens", &json!({ "name": "old" }))["tokens"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["id"], &listed[0]["told"]), (&json!(id), &json!(true)));
    assert_eq!(central.control("central/tokens", &json!({}))["tokens"].as_array().unwrap().len(), 2);

    central.control("central/revoke", &json!({ "id": id }));
    assert_eq!((works(token), central.status_of(token).verdict().as_str()), (json!(false), REFUSED));
    central.control("central/prune", &json!({}));
    assert_eq!(central.handle.tokens().len(), 1);
    central.control("central/restart", &json!({}));
    assert_eq!(works(token), true);

    let role = json!({ "name": "reader", "access": { "Integration": "READ_ACCESS" } });
    central.control("central/role", &role);
    let reader = central.control("central/token", &json!({ "roles": ["reader"] }));
    assert_eq!(central.call_with(reader["token"].as_str().unwrap(), "GET apitokens", "").verdict(), "200");
    central.control("central/role", &json!({ "name": "reader" }));
    assert_eq!(works(reader["token"].as_str().unwrap()), false);

    let mappings = json!([{ "key": "sub", "value_expression": "bot", "role": "Analyst" }]);
    let access = central.control("central/machine_access", &json!({ "mappings": mappings, "audience": "mine" }));
    assert_eq!(access["issuer"], central.handle.identity_provider().issuer());
    for (claims, flaw, expected) in [
        (json!({ "aud": "mine" }), Value::Null, 200),
        (json!({}), Value::Null, 401),
        (json!({ "aud": "mine" }), json!("unsigned"), 401),
    ] {
        let wanted = json!({ "subject": "bot", "claims": claims, "flaw": flaw });
        let token = central.control("central/external_token", &wanted)["token"].clone();
        assert_eq!(central.exchange(token.as_str().unwrap()).status, expected, "{wanted}");
    }
    central.control("central/machine_access/delete", &json!({}));
    assert_eq!(central.change(|state| state.machine_access.len()), 1);

    let switches = json!({
        "release": [4, 3, 1], "htpasswd": false, "in_cluster": false, "issuers_are_away": true, "audience_as_array": true,
        "expire_at": true, "expiration_shift": -5, "date_skew": 7, "latency_milliseconds": 2, "certificate": "foreign",
    });
    central.control("central/state", &switches);
    central.change(|state| {
        assert!(!state.htpasswd && !state.in_cluster);
        assert!(state.issuers_are_away && state.audience_as_array && state.expire_at);
        assert_eq!((state.release, state.expiration_shift, state.date_skew), ((4, 3, 1), -5, 7));
        assert_eq!((state.latency, state.certificate), (Duration::from_millis(2), Certificate::Foreign));
    });
    central.control("central/state", &json!({ "htpasswd": true }));
    central.change(|state| assert!(state.htpasswd && state.expire_at, "the others stay"));

    central.control("fault", &json!({ "fault": "refusal", "code": 13, "message": "x", "path": "/revoke", "times": 1 }));
    assert_eq!(central.revoke("x").verdict(), "500 13 x");
    for (action, body, status) in [
        ("central/state", r#"{"htpassword": true}"#, 400),
        ("central/revoke", r#"{"id": "nobody"}"#, 404),
        ("central/role", r#"{"name": "nobody"}"#, 404),
        ("central/role", r#"{"name": "x", "access": {"Image": "READ"}}"#, 400),
        ("central/nonsense", "{}", 404),
    ] {
        let request = central.request("POST", &format!("/_sandbox/{action}")).body(body);
        assert_eq!(Answer::of(request).unwrap().status, status, "{action}");
    }
}
