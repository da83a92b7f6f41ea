//! rhacs_m2m_token against the sandbox: what it does, what it says, and what it leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokensmith_sandbox::central::{MachineAccess, MachineKind, Mapping};
use tokensmith_sandbox::{ExternalToken, Fault};
use tokensmith_tests::executable::Run;
use tokensmith_tests::quay::with;
use tokensmith_tests::rhacs::{DAY, HOUR, ROLE, RhacsScene};
use tokensmith_tests::scene::{mode, names, read};

#[test]
fn an_external_token_gives_an_access_token_that_works_and_says_when_it_ends() {
    let scene = RhacsScene::new();
    let run = scene.machine_token_task(given(scene.external_token())).succeeded();
    assert!(scene.central().token_works(run.text("token")), "{run}");
    assert!(matches!(run.result["expires_in"].as_i64(), Some(3590..=3600)) && ends_in(&run, HOUR), "{run}");
    assert_eq!((run.text("reason"), run.changed()), ("forced", false), "{run}");
    assert_eq!(run.result["_tokensmith_secret"], true);
    // It is nobody's while it is asked for, and is proven as itself.
    let requests = scene.sandbox.records().all();
    assert_eq!(scene.requests(), ["POST /v1/auth/m2m/exchange", "GET /v1/auth/status"]);
    assert_eq!((requests[0].authorization.is_some(), requests[1].authorization.is_some()), (false, true));
}

#[test]
fn the_token_in_dest_is_used_on_until_renew_before() {
    let scene = RhacsScene::new();
    let options = in_dest(&scene);
    let first = scene.machine_token_task(options.clone()).succeeded();
    assert_eq!((first.text("reason"), first.changed()), ("missing", true), "{first}");
    let token = read(&scene.path("token"));
    assert!(scene.central().token_works(&token) && !first.stdout.contains(&token));
    assert_eq!((mode(&scene.path("token")), first.result.get("token")), (0o600, None));

    // No external token is needed, and nothing is exchanged for it.
    fs::remove_file(scene.path("oidc")).unwrap();
    let again = scene.machine_token_task(options.clone()).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
    assert_eq!((again.text("fingerprint"), exchanges(&scene)), (first.text("fingerprint"), 1));
    let returned = scene.machine_token_task(with(options.clone(), json!({ "return_token": true }))).succeeded();
    assert_eq!(returned.text("token"), token);

    scene.file("oidc", &signed(scene.external_token_again()));
    let renewed = scene.machine_token_task(with(options, json!({ "renew_before": "61m" }))).succeeded();
    assert_eq!((renewed.text("reason"), renewed.changed(), exchanges(&scene)), ("expiring", true, 2), "{renewed}");
    assert!(scene.central().token_works(&token), "the one before ends by itself");
}

#[test]
fn the_token_is_replaced_for_each_reason() {
    type Change = fn(&RhacsScene);
    let cases: [(&str, Change, Value); 9] = [
        ("forced", |_| {}, json!({ "state": "rotated" })),
        ("missing", |scene| fs::write(scene.path("token"), "").unwrap(), json!({})),
        ("expired", |scene| later(scene, HOUR + 5), json!({})),
        ("expired", |scene| later(scene, HOUR + 90), json!({})),
        ("expiring", |scene| later(scene, HOUR - 250), json!({})),
        ("dead", |scene| fs::write(scene.path("token"), scene.issue("ci", DAY).1).unwrap(), json!({})),
        ("dead", |scene| fs::write(scene.path("token"), "no-jwt-at-all").unwrap(), json!({})),
        (
            "dead",
            // What the configuration gave out dies with it.
            |scene| {
                scene.central().delete_machine_access(&scene.central().identity_provider().issuer());
                drop(scene.external_token());
            },
            json!({}),
        ),
        (
            "drifted",
            |scene| fs::set_permissions(scene.path("token"), fs::Permissions::from_mode(0o644)).unwrap(),
            json!({}),
        ),
    ];
    for (reason, change, options) in cases {
        let scene = RhacsScene::new();
        let options = with(in_dest(&scene), options);
        scene.machine_token_task(options.clone()).succeeded();
        change(&scene);
        scene.file("oidc", &signed(good_for_both_clocks(scene.external_token_again())));
        let (files, before) = (world(&scene), exchanges(&scene));
        let check_mode = json!({ "_ansible_check_mode": true });
        let forecast = scene.machine_token_task(with(options.clone(), check_mode)).succeeded();
        assert_eq!((forecast.text("reason"), forecast.changed()), (reason, true), "{forecast}");
        assert!(world(&scene) == files && exchanges(&scene) == before, "{reason}");
        let run = scene.machine_token_task(options).succeeded();
        assert_eq!((run.text("reason"), run.changed()), (reason, true), "{run}");
        assert_eq!(exchanges(&scene), before + usize::from(reason != "drifted"), "{reason}");
        assert!(scene.central().token_works(&read(&scene.path("token"))), "{reason}");
        assert_eq!(mode(&scene.path("token")), 0o600);
    }
}

#[test]
fn a_token_that_no_mapping_fits_any_more_is_dead_and_stays_where_it_is_until_there_is_another() {
    let scene = RhacsScene::new();
    let options = in_dest(&scene);
    scene.machine_token_task(options.clone()).succeeded();
    let token = read(&scene.path("token"));
    let map = |expression: &str| {
        let mappings = vec![Mapping::new("sub", expression, ROLE)];
        scene
            .central()
            .change(|state| state.machine_access.iter_mut().for_each(|access| access.mappings = mappings.clone()));
    };
    map("^somebody-else$");
    assert!(!scene.central().token_works(&token));
    let run = scene.machine_token_task(options.clone());
    assert!(run.failed() && run.message().contains("no mapping of Central's machine access fits"), "{run}");
    assert_eq!(read(&scene.path("token")), token);
    // Mappings are looked up at each use, so the old token lives again.
    map(".*");
    assert_eq!(scene.machine_token_task(options).succeeded().text("reason"), "valid");
}

#[test]
fn every_refusal_of_an_exchange_is_explained_and_what_stands_in_dest_stays() {
    type Prepare = fn(&RhacsScene) -> Value;
    let cases: [(&str, Prepare, &[&str]); 20] = [
        (
            "a header that is none",
            |scene| {
                let token = signed(scene.external_token());
                json!({ "oidc_token": format!("!{}", &token[1..]) })
            },
            &["the OIDC token is no JWT with an issuer", "400 ID token could not be parsed: token is malformed"],
        ),
        (
            "no issuer",
            |scene| given(scene.external_token().without("iss")),
            &["the OIDC token is no JWT with an issuer", "400 empty issuer found in ID token"],
        ),
        (
            "an issuer with a slash more",
            |scene| given(scene.external_token().claim("iss", scene.central().identity_provider().issuer() + "/")),
            &["Central has no machine access configured for the issuer", "401 issuer \"https://", "is not configured"],
        ),
        (
            "an issuer that was away when Central started",
            |scene| {
                let token = given(scene.external_token());
                scene.central().change(|state| state.issuers_are_away = true);
                scene.central().restart();
                token
            },
            &["could not reach the issuer when it was started", "is not configured"],
        ),
        (
            "ended by Central's clock",
            |scene| {
                let token = given(scene.external_token());
                scene.sandbox.clock().advance(400);
                token
            },
            &[BAD_TOKEN, "401 ID token is invalid: oidc: token is expired (Token Expiry: "],
        ),
        ("no end", |scene| given(scene.external_token().without("exp")), &[BAD_TOKEN, "oidc: token is expired"]),
        (
            "from the future",
            |scene| given(scene.external_token().claim("nbf", Utc::now().timestamp() + 400)),
            &[BAD_TOKEN, "before the nbf (not before) time"],
        ),
        (
            "altered",
            |scene| given(scene.external_token().with_wrong_key()),
            &[BAD_TOKEN, "failed to verify id token signature"],
        ),
        ("unsigned", |scene| given(scene.external_token().unsigned()), &[BAD_TOKEN, "unexpected signature algorithm"]),
        (
            "for another audience",
            |scene| {
                let token = given(scene.external_token());
                put(scene, |access| access.audience = Some("rhacs".to_owned()));
                token
            },
            &[BAD_TOKEN, "oidc: expected audience \"rhacs\" got [\"central\"]"],
        ),
        (
            "no mapping",
            |scene| given(scene.external_token().claim("sub", "somebody-else")),
            &["no mapping of Central's machine access fits the OIDC token", "401 resolving roles for id token"],
        ),
        (
            "mapped to None alone",
            |scene| {
                let token = given(scene.external_token());
                put(scene, |access| access.mappings = vec![Mapping::new("sub", ".*", "None")]);
                token
            },
            &["the server does not accept the token that it issued", "no valid role", "see the mappings"],
        ),
        (
            "no service account",
            |scene| {
                let token = given(scene.external_token());
                put(scene, |access| access.kind = MachineKind::KubeServiceAccount);
                token
            },
            &["the OIDC token is no JWT", "no kubernetes.io.serviceaccount.uid claim found"],
        ),
        (
            "a release before 4.3",
            |scene| {
                let token = given(scene.external_token());
                scene.central().change(|state| state.release = (4, 2, 3));
                token
            },
            &["this Central has no such call; it may be too old for it"],
        ),
        (
            "a limit without end",
            |scene| {
                let limit = json!({
                    "fault": "answer", "status": 429, "content_type": "application/json", "retry_after": "0", "path": "/exchange",
                    "body": json!({ "code": 8, "message": "limit exceeded", "details": [], "error": "limit exceeded" }).to_string(),
                });
                scene.fault(serde_json::from_value(limit).unwrap());
                given(scene.external_token())
            },
            &["Central limits requests and nothing was changed", "429"],
        ),
        (
            "internal",
            |scene| broken(scene, Fault::refusal(13, "oops")),
            &["status 500", "Central or a router before it"],
        ),
        ("a router's page", |scene| broken(scene, Fault::bad_gateway()), &["status 502"]),
        ("html", |scene| broken(scene, Fault::html()), &["a page (HTML) where JSON was expected"]),
        ("half", |scene| broken(scene, Fault::truncated_json()), &["/v1/auth/m2m/exchange"]),
        (
            "a Central that breaks before the proof",
            |scene| {
                scene.fault(Fault::server_error().path("/v1/auth/status"));
                given(scene.external_token())
            },
            &["whether it works could not be asked", "status 500"],
        ),
    ];
    std::thread::scope(|threads| {
        for (case, prepare, words) in cases {
            threads.spawn(move || {
                let scene = RhacsScene::new();
                let dest = scene.file("token", "what stood there");
                let options = with(json!({ "dest": dest, "request_timeout": 10 }), prepare(&scene));
                let run = scene.machine_token_task(options.clone());
                for word in words {
                    assert!(run.failed() && run.message().contains(word), "{case}: {word}: {run}");
                }
                assert!(!run.changed(), "{case}: {run}");
                assert_eq!(read(&dest), "what stood there", "{case}");
                hides(&run, &[options["oidc_token"].as_str().unwrap()]);
            });
        }
    });
}

#[test]
fn what_can_be_seen_without_central_is_not_sent() {
    let scene = RhacsScene::new();
    let expired = signed(scene.external_token().expired());
    let empty = scene.file("empty", "\n");
    let cases = [
        (json!({ "oidc_token": expired }), "(its exp claim; this host's clock says 2"),
        (json!({ "oidc_token_file": scene.file("expired", &expired) }), "the OIDC token ended at 2"),
        (json!({ "oidc_token": "no-jwt-at-all" }), "the OIDC token is no JWT"),
        (json!({ "oidc_token": "" }), "oidc_token is empty"),
        (json!({ "oidc_token_file": empty }), "empty is empty"),
        (json!({ "oidc_token_file": scene.path("none") }), "none cannot be read: No such file"),
        (json!({}), "one of the following is required: oidc_token, oidc_token_file"),
        (json!({ "oidc_token": "x", "oidc_token_file": "/x" }), "mutually exclusive: oidc_token|oidc_token_file"),
        (json!({ "oidc_token": "x", "renew_before": "soon" }), "renew_before"),
        (json!({ "oidc_token": "x", "rhacs_token": "y" }), "Unsupported parameters"),
    ];
    for (options, words) in cases {
        for more in [json!({}), json!({ "dest": scene.path("token") })] {
            for check_mode in [true, false] {
                let more = with(more.clone(), json!({ "_ansible_check_mode": check_mode }));
                let run = scene.machine_token_task(with(options.clone(), more));
                assert!(run.failed() && run.message().contains(words), "{options}, {check_mode}: {run}");
                hides(&run, &[&expired]);
            }
        }
    }
    assert_eq!(scene.requests(), Vec::<String>::new());
    assert!(!scene.path("token").exists());
}

#[test]
fn a_token_is_read_from_a_file_and_from_the_environment_without_the_white_space_around_it() {
    let scene = RhacsScene::new();
    let token = signed(scene.external_token());
    let file = scene.file("oidc", &format!("\n {token} \r\n"));
    for options in [json!({ "oidc_token_file": file }), json!({ "oidc_token": format!("{token}\n") })] {
        scene.machine_token_task(options).succeeded();
    }
    for (name, value) in [("ROX_OIDC_TOKEN", token), ("ROX_OIDC_TOKEN_FILE", file.display().to_string())] {
        let mut command = tokensmith_tests::executable::command();
        command.args(["rhacs_m2m_token", "--use-proxy=false"]).env(name, value);
        command.env("ROX_ENDPOINT", scene.central().endpoint()).env("ROX_CA_CERT_FILE", scene.sandbox.ca_path());
        Run::from_output(&command.output().unwrap()).succeeded();
    }
}

#[test]
fn check_mode_exchanges_nothing_and_writes_nothing() {
    let scene = RhacsScene::new();
    for (dest, changed, reason) in [(json!(scene.path("token")), true, "missing"), (json!(null), false, "forced")] {
        let options = with(given(scene.external_token()), json!({ "dest": dest, "_ansible_check_mode": true }));
        let run = scene.machine_token_task(options).succeeded();
        assert_eq!((run.changed(), run.text("reason")), (changed, reason), "{run}");
        assert!(run.result.get("token").is_none() && run.result.get("fingerprint").is_none(), "{run}");
    }
    assert_eq!(scene.writes(), Vec::<String>::new());
    assert_eq!(names(scene.path("token").parent().unwrap()), Vec::<String>::new());
}

#[test]
fn a_clock_of_central_that_is_off_does_not_shorten_the_life_of_a_token() {
    for offset in [-2 * HOUR, 2 * HOUR] {
        let scene = RhacsScene::new();
        scene.sandbox.clock().advance(offset);
        let oidc_token = signed(good_for_both_clocks(scene.external_token()));
        let options = json!({ "oidc_token": oidc_token, "dest": scene.path("token") });
        let run = scene.machine_token_task(options.clone()).succeeded();
        assert!(ends_in(&run, HOUR), "{offset}: {run}");
        assert!((run.result["clock_offset"].as_i64().unwrap() - offset).abs() < 60, "{offset}: {run}");
        let again = scene.machine_token_task(options).succeeded();
        assert_eq!((again.text("reason"), ends_in(&again, HOUR)), ("valid", true), "{offset}: {again}");
    }
}

#[test]
fn the_end_of_the_token_stands_in_the_formats_that_have_a_place_for_it() {
    for (format, words) in [("json", "\"expires_at\": \"2"), ("env", "ROX_API_TOKEN='ey"), ("raw", "ey")] {
        let scene = RhacsScene::new();
        let options = with(in_dest(&scene), json!({ "dest_format": format }));
        scene.machine_token_task(options.clone()).succeeded();
        assert!(read(&scene.path("token")).contains(words), "{format}");
        assert_eq!(scene.machine_token_task(options).succeeded().text("reason"), "valid", "{format}");
    }
}

#[test]
fn the_entry_of_roxctl_is_written_beside_others_and_read_back() {
    let scene = RhacsScene::new();
    let login =
        format!("  {}:\n    access:\n      accessToken: old\n      refreshToken: old\n", scene.central().endpoint());
    let other = "  other.example.com:443:\n    access:\n      accessToken: of-another\n";
    let dest = scene.file("token", &format!("centrals:\n{login}{other}"));
    let options = with(given(scene.external_token()), json!({ "dest": dest, "dest_format": "roxctl_config" }));
    let run = scene.machine_token_task(options.clone()).succeeded();
    assert!(run.warnings().contains("is that of an interactive login"), "{run}");
    let text = read(&dest);
    assert!(text.contains(other) && !text.contains("refreshToken"), "{text}");
    assert!(
        text.contains("\n      issuedAt: 2") && text.contains(&format!("expiresAt: {}\n", run.text("expires_at"))),
        "{text}"
    );
    let token = text.split('\'').nth(1).unwrap();
    assert!(scene.central().token_works(token), "{text}");
    let again = scene.machine_token_task(options).succeeded();
    assert_eq!((again.text("reason"), again.warnings().as_str()), ("valid", ""), "{again}");
    let broken = scene.file("broken", "centrals: [a]\n");
    let options = with(given(scene.external_token()), json!({ "dest": broken, "dest_format": "roxctl_config" }));
    let run = scene.machine_token_task(options);
    assert!(run.failed() && run.message().contains("line 1 is more YAML than is edited here"), "{run}");
    assert_eq!(exchanges(&scene), 1);
}

#[test]
fn no_secret_is_printed_and_a_task_that_would_return_one_is_not_asynchronous() {
    let scene = RhacsScene::new();
    let options = with(in_dest(&scene), json!({ "state": "rotated", "_ansible_diff": true }));
    let run = scene.machine_token_task(options.clone()).succeeded();
    hides(&run, &[&read(&scene.path("oidc")), &read(&scene.path("token"))]);
    assert_eq!(run.result["diff"]["after"]["token"], run.text("fingerprint"));
    scene.machine_token_task(with(options.clone(), json!({ "_tokensmith_async": true }))).succeeded();
    for more in [json!({ "return_token": true }), json!({ "dest": null })] {
        let run = scene.machine_token_task(with(with(options.clone(), json!({ "_tokensmith_async": true })), more));
        assert!(run.failed() && run.message().contains("leave async out"), "{run}");
    }
}

/// A file with the external token, and one for that of Central.
fn in_dest(scene: &RhacsScene) -> Value {
    let token = signed(scene.external_token());
    json!({ "oidc_token_file": scene.file("oidc", &token), "dest": scene.path("token") })
}

fn given(token: ExternalToken) -> Value {
    json!({ "oidc_token": signed(token) })
}

fn signed(token: ExternalToken) -> String {
    token.sign().expect("a token can be signed")
}

/// Ends later, by the clocks of both.
fn good_for_both_clocks(token: ExternalToken) -> ExternalToken {
    token.claim("exp", Utc::now().timestamp() + DAY)
}

fn later(scene: &RhacsScene, seconds: i64) {
    scene.sandbox.clock().advance(seconds);
}

/// The machine access with something else in it.
fn put(scene: &RhacsScene, change: fn(&mut MachineAccess)) {
    let issuer = scene.central().identity_provider().issuer();
    let mut access = MachineAccess::new(&issuer, HOUR, vec![Mapping::new("sub", ".*", ROLE)]);
    change(&mut access);
    scene.central().put_machine_access(access);
}

fn broken(scene: &RhacsScene, fault: Fault) -> Value {
    scene.fault(fault.path("/v1/auth/m2m/exchange"));
    given(scene.external_token())
}

fn exchanges(scene: &RhacsScene) -> usize {
    scene.sandbox.records().to("/v1/auth/m2m/exchange").len()
}

fn world(scene: &RhacsScene) -> Vec<(String, String)> {
    let folder = scene.path("token").parent().unwrap().to_owned();
    names(&folder).into_iter().map(|name| (name.clone(), read(&folder.join(name)))).collect()
}

/// Whether the result says so, give or take what a slow machine needs.
fn ends_in(run: &Run, seconds: i64) -> bool {
    let end: DateTime<Utc> = run.text("expires_at").parse().unwrap();
    ((end - Utc::now()).num_seconds() - seconds).abs() <= 60
}

fn hides(run: &Run, secrets: &[&str]) {
    for secret in secrets {
        let signature = secret.rsplit('.').next().filter(|signature| signature.len() > 9).unwrap_or(secret);
        for shown in [secret, signature, &STANDARD.encode(secret)[4..40]] {
            assert!(!run.stdout.contains(shown), "{run}");
        }
    }
}

const BAD_TOKEN: &str = "the OIDC token is expired, altered, or for another audience; get a new one from its issuer";
