//! rhacs_api_token_info against the sandbox: what it lists, what it warns of, and what it says when Central refuses.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::quay::with;
use tokensmith_tests::rhacs::{DAY, ROLE, RhacsScene};

#[test]
fn tokens_are_listed_by_their_ends_with_what_is_the_matter_with_them() {
    let scene = RhacsScene::new();
    let ids = [
        ("late", 30 * DAY),
        ("ended", -DAY / 2),
        ("soon", 3 * DAY - 60),
        ("tomorrow", DAY - 60),
        ("last", 7 * DAY + 60),
    ]
    .map(|(name, seconds)| (name, scene.issue(name, seconds).0));
    let id = |name: &str| ids.iter().find(|(each, _)| *each == name).unwrap().1.as_str();
    let (revoked, _) = scene.issue("revoked", 2 * DAY);
    assert!(scene.central().revoke(&revoked));
    let expected = [
        ("ended", "expired", 0),
        ("tomorrow", "expiring", 1),
        ("revoked", "revoked", 2),
        ("soon", "expiring", 3),
        ("last", "valid", 8),
        ("late", "valid", 30),
        ("tokensmith", "valid", 365),
    ];
    // Central lists them in another order each time.
    for check_mode in [false, true, false] {
        let run = info(&scene, json!({ "_ansible_check_mode": check_mode })).succeeded();
        let listed: Vec<_> = rows(&run).iter().map(|row| (text(row, "name"), text(row, "state"), days(row))).collect();
        assert_eq!(listed, expected, "{run}");
        assert_eq!(run.result["expiring"], json!([id("tomorrow"), id("soon")]), "{run}");
        assert_eq!((&run.result["expired"], run.changed()), (&json!([id("ended")]), false), "{run}");
        for warning in [
            format!("API Token tomorrow (ID {}) will expire in less than 1 day.", id("tomorrow")),
            format!("API Token soon (ID {}) will expire in less than 3 days.", id("soon")),
            format!("API Token ended (ID {}) expired at 20", id("ended")),
        ] {
            assert!(run.warnings().contains(&warning), "{warning}: {run}");
        }
        assert_eq!(run.warnings().lines().count(), 3, "{run}");
        assert!(!run.stdout.contains(scene.token.rsplit('.').next().unwrap()), "{run}");
    }
    assert_eq!(scene.writes(), Vec::<String>::new());
}

#[test]
fn a_row_tells_all_that_central_knows() {
    let scene = RhacsScene::new();
    scene.central().issue_token("both", &["Analyst", ROLE], DAY);
    let run = info(&scene, json!({ "name": "both" })).succeeded();
    let row = &rows(&run)[0];
    assert_eq!((&row["roles"], &row["role"]), (&json!(["Analyst", ROLE]), &Value::Null), "{run}");
    assert_eq!(text(row, "id"), scene.central().tokens().pop().unwrap().id);
    assert_eq!(moment(row, "expires_at") - moment(row, "issued_at"), TimeDelta::seconds(DAY));
    let run = info(&scene, json!({ "name": "tokensmith" })).succeeded();
    assert_eq!(rows(&run)[0]["role"], "Admin", "{run}");
}

#[test]
fn filters_choose_by_name_role_and_revocation_and_a_window_can_be_asked_for() {
    let scene = RhacsScene::new();
    scene.central().issue_token("ci", &[ROLE], 10 * DAY);
    scene.central().issue_token("ci", &["Analyst", ROLE], 20 * DAY);
    scene.central().issue_token("report", &["Analyst"], 30 * DAY);
    let (revoked, _) = scene.issue("ci", 40 * DAY);
    assert!(scene.central().revoke(&revoked));
    for (options, listed, expiring) in [
        (json!({}), 5, 0),
        (json!({ "name": "ci" }), 3, 0),
        (json!({ "name": "Ci" }), 0, 0),
        (json!({ "role": "Analyst" }), 2, 0),
        (json!({ "role": ROLE, "revoked": false }), 2, 0),
        (json!({ "revoked": true }), 1, 0),
        (json!({ "revoked": false }), 4, 0),
        (json!({ "name": "ci", "role": "Analyst" }), 1, 0),
        (json!({ "expires_within": "25d" }), 5, 2),
        (json!({ "expires_within": "25d", "role": "Analyst" }), 2, 1),
        (json!({ "expires_within": "50d", "revoked": true }), 1, 0),
        (json!({ "expires_within": "9223372036854775s" }), 5, 4),
        (json!({ "expires_within": "0" }), 5, 0),
    ] {
        let run = info(&scene, options.clone()).succeeded();
        let expected = (listed, expiring, expiring);
        let found =
            (rows(&run).len(), run.result["expiring"].as_array().unwrap().len(), run.warnings().lines().count());
        assert_eq!(found, expected, "{options}: {run}");
    }
}

#[test]
fn windows_are_by_the_clock_of_central_and_dates_by_ours() {
    for ahead in [-3 * DAY, 3 * DAY] {
        let scene = RhacsScene::new();
        scene.sandbox.clock().advance(ahead);
        scene.issue("inside", 7 * DAY - 60);
        scene.issue("outside", 7 * DAY + 60);
        // The scene's token is of another day.
        let password = scene.central().admin_password();
        let run = info(&scene, json!({ "role": ROLE, "rhacs_token": null, "rhacs_password": password })).succeeded();
        let states: Vec<_> = rows(&run).iter().map(|row| text(row, "state")).collect();
        assert_eq!(states, ["expiring", "valid"], "{ahead}: {run}");
        let end = moment(&rows(&run)[0], "expires_at") - Utc::now();
        assert!((end.num_seconds() - (7 * DAY - 60)).abs() < 60, "{ahead}: {run}");
        assert!((run.result["clock_offset"].as_i64().unwrap() - ahead).abs() <= 60, "{run}");
    }
}

#[test]
fn a_token_that_central_accepts_for_a_minute_after_its_end_has_expired() {
    let scene = RhacsScene::new();
    let (id, token) = scene.issue("ci", -1);
    assert!(scene.central().token_works(&token));
    assert_eq!(info(&scene, json!({ "name": "ci" })).succeeded().result["expired"], json!([id]));
}

#[test]
fn the_last_year_and_nine_digits_of_a_second_are_read() {
    let scene = RhacsScene::new();
    let list = json!({ "tokens": [{
        "id": "0a07", "name": "for ever", "roles": [], "issuedAt": "2026-03-01T09:54:21Z", "expiration": "9999-12-31T23:59:59.999999999Z",
        "revoked": false, "role": "",
    }] });
    scene.fault(Fault::answer(200, "application/json", list.to_string()).path("/v1/apitokens"));
    for (window, state) in [("168h", "valid"), ("9223372036854775s", "expiring")] {
        let run = info(&scene, json!({ "expires_within": window })).succeeded();
        let row = &rows(&run)[0];
        assert_eq!((text(row, "expires_at"), text(row, "state")), ("9999-12-31T23:59:59Z", state), "{run}");
    }
}

#[test]
fn the_releases_before_4_4_are_listed_too() {
    let scene = RhacsScene::new();
    scene.central().change(|state| state.release = (4, 2, 1));
    scene.issue("old", -30 * DAY);
    let run = info(&scene, json!({ "name": "old" })).succeeded();
    assert_eq!(run.result["expired"].as_array().unwrap().len(), 1, "{run}");
}

#[test]
fn every_refusal_is_explained_and_shows_no_secret() {
    type Case = (&'static str, fn(&RhacsScene) -> Value, &'static [&'static str]);
    let cases: [Case; 18] = [
        ("no JWT", |_| json!({ "rhacs_token": "x".repeat(40) }), &[REFUSED, "400 credentials not found: token-based"]),
        (
            "no JWT, no machine access",
            |scene| {
                scene.central().change(|state| state.machine_access.clear());
                json!({ "rhacs_token": "x".repeat(40) })
            },
            &[REFUSED, "401 credentials not found: token-based"],
        ),
        (
            "revoked",
            |scene| {
                let (id, token) = scene.issue("x", DAY);
                assert!(scene.central().revoke(&id));
                json!({ "rhacs_token": token })
            },
            &[REFUSED, "token validation failed"],
        ),
        ("expired", |scene| json!({ "rhacs_token": scene.issue("x", -DAY).1 }), &["it ended at 20", "get a new one"]),
        (
            "made without roles",
            |scene| json!({ "rhacs_token": scene.central().issue_token("x", &[], DAY) }),
            &[REFUSED, "could not determine token type"],
        ),
        (
            "with the role None alone",
            |scene| json!({ "rhacs_token": scene.central().issue_token("x", &["None"], DAY) }),
            &["none of its roles exists any more"],
        ),
        (
            "without access to Integration",
            |scene| json!({ "rhacs_token": scene.issue("x", DAY).1 }),
            &["listed with read access to Integration", "403 not authorized: \"READ_ACCESS\" for \"Integration\""],
        ),
        (
            "wrong password",
            |_| json!({ "rhacs_token": null, "rhacs_password": "wrong-password" }),
            &[REFUSED, "failed to identify user with username \"admin\""],
        ),
        ("no credential", |_| json!({ "rhacs_token": null }), &["one of the following is required: rhacs_token"]),
        ("empty", |_| json!({ "rhacs_token": "\n" }), &["rhacs_token is empty"]),
        ("no length of time", |_| json!({ "expires_within": "soon" }), &["is not a length of time"]),
        ("another address", |scene| json!({ "rhacs_host": scene.sandbox.sso().url() }), &["is rhacs_host right?"]),
        (
            "http",
            |scene| json!({ "rhacs_host": format!("http://{}", scene.central().endpoint()) }),
            &["this port speaks https; write https:// in rhacs_host"],
        ),
        (
            "a limit without end",
            |scene| {
                let limit = json!({
                    "fault": "answer", "status": 429, "content_type": "application/json", "retry_after": "0",
                    "body": json!({ "code": 8, "message": LIMITED, "details": [], "error": LIMITED }).to_string(),
                });
                scene.fault(serde_json::from_value(limit).unwrap());
                json!({})
            },
            &["Central limits requests", "429"],
        ),
        (
            "internal",
            |scene| broken(scene, Fault::refusal(13, "oops")),
            &["status 500", "Central or a router before it"],
        ),
        (
            "a router's page",
            |scene| {
                broken(scene, Fault::answer(503, "text/html", "<html><h1>Application is not available</h1></html>"))
            },
            &["status 503"],
        ),
        ("html", |scene| broken(scene, Fault::html()), &["a page (HTML) where JSON was expected"]),
        ("half", |scene| broken(scene, Fault::truncated_json()), &["/v1/apitokens"]),
    ];
    std::thread::scope(|threads| {
        for (case, make, words) in cases {
            threads.spawn(move || {
                let scene = RhacsScene::new();
                let options = make(&scene);
                let run = info(&scene, options.clone());
                for word in words {
                    assert!(run.failed() && run.message().contains(word), "{case}: {word}: {run}");
                }
                for secret in
                    [Some(scene.token.as_str()), options["rhacs_token"].as_str().filter(|text| text.len() > 9)]
                {
                    let signature = secret.and_then(|secret| secret.rsplit('.').next());
                    assert!(signature.is_none_or(|signature| !run.stdout.contains(signature)), "{case}: {run}");
                }
                assert_eq!(scene.writes(), Vec::<String>::new(), "{case}");
            });
        }
    });
}

fn info(scene: &RhacsScene, options: Value) -> Run {
    executable::module("rhacs_api_token_info", &scene.options(with(json!({}), options)))
}

fn broken(scene: &RhacsScene, fault: Fault) -> Value {
    scene.fault(fault.path("/v1/apitokens"));
    json!({})
}

fn rows(run: &Run) -> &[Value] {
    run.result["tokens"].as_array().unwrap()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap()
}

fn days(row: &Value) -> i64 {
    row["days_left"].as_i64().unwrap()
}

fn moment(row: &Value, key: &str) -> DateTime<Utc> {
    text(row, key).parse().unwrap()
}

const REFUSED: &str = "the credential is not accepted: it is missing, unknown, expired, revoked or cut";
const LIMITED: &str =
    "/v1.APITokenService/GetAPITokens is rejected by grpc_ratelimit middleware, please retry later. limit exceeded";
