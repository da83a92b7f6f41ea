//! What goes wrong on purpose with the stand-in Quay, its limits, and its control endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::quay::RateLimit;

use crate::quay::{Answer, Quay};

#[test]
fn a_lost_answer_of_a_regenerate_has_acted_and_is_read_back() {
    let quay = Quay::start();
    let old = quay.get("organization/acme/robots/ci").text("token");
    quay.sandbox.faults().add(Fault::lost_answer().path("/regenerate").times(1));
    let request = quay.request("POST", "/api/v1/organization/acme/robots/ci/regenerate").bearer_auth(&quay.token);
    assert!(Answer::of(request).is_err());
    assert_eq!(quay.handle.regenerations("acme+ci"), 1);
    let new = quay.get("organization/acme/robots/ci").text("token");
    assert_ne!(new, old);
    assert!(quay.handle.login_works("acme+ci", &new));
    assert_eq!(quay.sandbox.records().to("/regenerate").len(), 1);
}

#[test]
fn somebody_else_regenerates_between_the_act_and_its_answer() {
    let quay = Quay::start();
    let rows = [("organization/acme/robots/ci", "acme+ci"), ("user/robots/laptop", "alice+laptop")];
    quay.handle.add_robot("bob+laptop");
    for (path, name) in rows {
        quay.sandbox.faults().add(Fault::interference().path("/regenerate").times(1));
        let answered = quay.regenerate(path).text("token");
        assert_eq!(quay.handle.regenerations(name), 2, "{name}");
        assert!(!quay.handle.login_works(name, &answered), "the answer was dead on arrival");
        let current = quay.get(path).text("token");
        assert!(quay.handle.login_works(name, &current));
        assert_eq!(quay.regenerate(path).text("token"), quay.get(path).text("token"), "and only this once");
    }
    assert_eq!(quay.handle.regenerations("bob+laptop"), 0);
    quay.sandbox.faults().add(Fault::interference());
    assert_eq!(quay.get("organization/acme/robots").verdict(), "200", "where no robot is meant, nothing happens");
}

#[test]
fn a_fault_can_be_meant_for_one_method() {
    let quay = Quay::start();
    quay.sandbox.faults().add(Fault::bad_gateway().method("put").path("/robots/ci"));
    assert_eq!(quay.get("organization/acme/robots/ci").verdict(), "200");
    assert_eq!(quay.call("PUT organization/acme/robots/ci", "").status, 502);
    assert_eq!(quay.call("DELETE organization/acme/robots/ci", "").status, 204);
}

#[test]
fn the_pages_of_a_proxy_and_a_broken_server_are_given_and_nothing_is_done() {
    let quay = Quay::start();
    let rows = [
        (Fault::server_error(), "500 F"),
        (Fault::too_many_requests(), "429 E nginx"),
        (
            Fault::read_only(),
            "503 read-only System is currently read-only. Pulls will succeed but all write operations are currently suspended.",
        ),
        (Fault::bad_gateway(), "502"),
    ];
    for (fault, expected) in rows {
        quay.sandbox.faults().add(fault.clone().times(1));
        let answer = quay.regenerate("organization/acme/robots/ci");
        assert_eq!((answer.verdict().as_str(), answer.header("retry-after")), (expected, ""));
        assert_eq!(quay.handle.regenerations("acme+ci"), 0);
        if expected == "500 F" {
            assert_eq!((answer.body.len(), answer.header("connection")), (141, "close"));
        }
    }
    quay.sandbox.faults().add(Fault::server_error().acting().times(1));
    assert_eq!(quay.regenerate("organization/acme/robots/ci").verdict(), "500 F");
    assert_eq!(quay.handle.regenerations("acme+ci"), 1, "the outcome of a 500 is unknown");
}

#[test]
fn the_rate_limit_lets_a_burst_through_and_then_a_few_a_second() {
    let quay = Quay::start();
    let statuses = |count: usize| -> Vec<_> { (0..count).map(|_| quay.get("user/").verdict()).collect() };
    quay.change(|state| state.rate_limit = Some(RateLimit::new(0, 3)));
    let all = statuses(6);
    assert_eq!(all[..4], ["200"; 4], "the first and its burst");
    assert_eq!(all[4..], ["429 E nginx"; 2]);
    assert_eq!(quay.get("user/").header("retry-after"), "");
    assert_eq!(quay.regenerate("organization/acme/robots/ci").status, 429);
    assert_eq!(quay.handle.regenerations("acme+ci"), 0);

    quay.change(|state| state.rate_limit = Some(RateLimit::new(1, 3)));
    for _ in 0..2 {
        assert_eq!(statuses(4), ["200"; 4]);
        quay.sandbox.clock().advance(4);
    }
    quay.change(|state| state.rate_limit = Some(RateLimit::stock()));
    assert_eq!(statuses(26), ["200"; 26]);
}

#[test]
fn the_latency_is_kept_and_concurrent_requests_wait_side_by_side() {
    let quay = Quay::start();
    quay.change(|state| state.latency = Duration::from_millis(200));
    let start = Instant::now();
    assert_eq!(quay.get("user/").status, 200);
    assert!(start.elapsed() >= Duration::from_millis(200));

    quay.change(|state| state.latency = Duration::from_secs(3600));
    quay.sandbox.records().clear();
    let connections: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(quay.handle.plain_url().trim_start_matches("http://")).unwrap();
            stream.write_all(b"GET /config HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            stream
        })
        .collect();
    while quay.sandbox.records().to("/config").len() < connections.len() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(quay.sandbox.records().all().iter().all(|recorded| recorded.status.is_none()), "all are under way");
}

#[test]
fn a_connection_is_kept_alive_unless_the_proxy_closes_it() {
    let quay = Quay::start();
    let two_requests = || {
        let request = "GET /api/v1/organization/acme HTTP/1.1\r\nhost: x\r\n\r\n";
        let last = "GET /api/v1/organization/acme HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let mut stream = TcpStream::connect(quay.handle.plain_url().trim_start_matches("http://")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let _ = stream.write_all(last.as_bytes());
        let mut answers = String::new();
        let _ = stream.read_to_string(&mut answers);
        answers.matches("HTTP/1.1 200").count()
    };
    assert_eq!(two_requests(), 2);
    quay.change(|state| state.keep_alive = false);
    assert_eq!(two_requests(), 1);
}

#[test]
fn the_control_endpoint_turns_the_switches_and_looks_at_robots() {
    let quay = Quay::start();
    quay.control("quay/robots", &json!({ "namespace": "bulk", "count": 1000 }));
    let names = quay.get("organization/bulk/robots?token=false").names();
    assert_eq!((names.len(), names[0].as_str(), names[999].as_str()), (1000, "bulk+r0001", "bulk+r1000"));

    let before = quay.control("quay/robot", &json!({ "name": "acme+ci" }));
    assert_eq!(before["fingerprint"].as_str().unwrap().len(), 12);
    let token = quay.handle.robot_token("acme+ci").unwrap();
    let login = json!({ "username": "acme+ci", "password": token });
    for action in ["quay/login", "login"] {
        assert_eq!(quay.control(action, &login), json!({ "works": true }));
    }
    quay.control("quay/regenerate", &json!({ "name": "acme+ci" }));
    assert_eq!(quay.control("login", &login), json!({ "works": false }));
    let after = quay.control("quay/robot", &json!({ "name": "acme+ci" }));
    assert_ne!(after["fingerprint"], before["fingerprint"]);
    assert_eq!(after["regenerations"], 1);

    let issued = quay.control("quay/token", &json!({ "user": "bob", "scopes": "user:read" }));
    let bob = quay.call_as(issued["token"].as_str().unwrap(), "GET user/", "");
    assert_eq!(bob.text("username"), "bob");

    let switches = json!({
        "server_hostname": "quay.example.com", "release": [3, 10, 1], "read_only": true, "anonymous_access": false,
        "robots_disallowed": true, "robots_whitelist": ["acme+ci"], "superusers_full_access": true,
        "restricted_users": true, "user_last_accessed": false, "rate_limit": true, "latency_milliseconds": 2,
        "keep_alive": false,
    });
    quay.control("quay/state", &switches);
    quay.change(|state| {
        assert_eq!((state.server_hostname.as_str(), state.release), ("quay.example.com", (3, 10, 1)));
        assert!(state.read_only && state.robots_disallowed && state.superusers_full_access && state.restricted_users);
        assert!(!state.anonymous_access && !state.user_last_accessed && !state.keep_alive);
        assert!(state.robots_whitelist.contains("acme+ci") && state.rate_limit.is_some());
        assert_eq!(state.latency, Duration::from_millis(2));
    });
    quay.control("quay/state", &json!({ "read_only": false, "rate_limit": false, "anonymous_access": true }));
    quay.change(|state| assert!(state.rate_limit.is_none() && state.robots_disallowed, "the others stay"));

    quay.control("fault", &json!({ "fault": "interference", "method": "POST", "path": "/regenerate", "times": 1 }));
    quay.regenerate("organization/acme/robots/ci");
    assert_eq!(quay.handle.regenerations("acme+ci"), 3);
    for fault in ["server_error", "read_only", "too_many_requests"] {
        quay.control("fault", &json!({ "fault": fault, "times": 1 }));
        assert!(quay.get("user/").status >= 429, "{fault}");
    }
    let of_sso = format!("{}/_sandbox/quay/robots", quay.sandbox.url());
    assert_eq!(Answer::of(quay.http.post(of_sso).body("{}")).unwrap().status, 200, "it is the same everywhere");
    for (action, body, status) in [
        ("quay/state", r#"{"readonly": true}"#, 400),
        ("quay/robot", r#"{"name": "acme+nobody"}"#, 404),
        ("quay/regenerate", r#"{"name": "acme+nobody"}"#, 404),
        ("quay/federation", r#"{"name": "acme+nobody"}"#, 404),
        ("quay/nonsense", "{}", 404),
    ] {
        let request = quay.request("POST", &format!("/_sandbox/{action}")).body(body);
        assert_eq!(Answer::of(request).unwrap().status, status, "{action}");
    }
}

#[test]
fn an_unknown_namespace_becomes_an_organization_of_alice() {
    let quay = Quay::start();
    quay.handle.add_robots("initech", 2);
    quay.handle.add_robots("initech", 3);
    assert_eq!(quay.get("organization/initech/robots").names().len(), 3);
    quay.handle.add_robot("alice+desk");
    assert_eq!(quay.get("user/robots").names(), ["alice+desk", "alice+laptop"]);
}
