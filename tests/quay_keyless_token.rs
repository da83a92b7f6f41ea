//! quay_keyless_token against the sandbox: what it does, what it says, and what it leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokensmith::jwt::Claims;
use tokensmith::secret::Secret;
use tokensmith_sandbox::ExternalToken;
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable::Run;
use tokensmith_tests::quay::{QuayScene, with};
use tokensmith_tests::scene::{mode, names, read};

#[test]
fn an_external_token_gives_a_password_of_the_robot_that_works_for_an_hour() {
    for change in [|token| token, ExternalToken::with_rs384 as fn(ExternalToken) -> ExternalToken] {
        let scene = QuayScene::new();
        let run = scene.keyless_task(json!({ "oidc_token": signed(change(scene.external_token("acme+ci"))) }));
        let run = run.succeeded();
        assert!(scene.quay().login_works("acme+ci", run.text("token")), "{run}");
        assert!(matches!(run.result["expires_in"].as_i64(), Some(3590..=3600)), "{run}");
        assert!(ends_in(&run, 3600), "{run}");
        assert_eq!((run.text("robot"), run.text("reason"), run.changed()), ("acme+ci", "forced", false));
        assert_eq!(run.text("registry"), scene.quay().server_hostname());
        assert_eq!(run.result["_tokensmith_secret"], true);
        assert_eq!(scene.quay().regenerations("acme+ci"), 0);
    }
}

#[test]
fn a_robot_is_named_in_full_or_with_its_organization() {
    for options in [
        json!({ "robot": "acme+ci" }),
        json!({ "robot": "ci", "organization": "acme" }),
        json!({ "robot": "acme+ci", "organization": "acme" }),
        json!({ "robot": "laptop", "organization": "alice" }),
    ] {
        let scene = QuayScene::new();
        let token = signed(scene.external_token("acme+ci"));
        signed(scene.external_token("alice+laptop"));
        let run = scene.keyless_task(with(json!({ "oidc_token": token }), options)).succeeded();
        assert!(scene.quay().login_works(run.text("robot"), run.text("token")), "{run}");
    }
    for (options, words) in [
        (json!({ "robot": "ci" }), "name the robot in full, such as acme+ci, or say its organization"),
        (json!({ "robot": "globex+ci", "organization": "acme" }), "the robot globex+ci does not belong to acme"),
        (json!({ "robot": "+ci" }), "'+ci' is not the name of a robot"),
        (json!({ "robot": "acme+" }), "'acme+' is not the name of a robot"),
        (json!({ "robot": "a+b+c" }), "'a+b+c' is not the name of a robot"),
        (json!({ "robot": "ci", "organization": "" }), "name the robot in full"),
    ] {
        let scene = QuayScene::new();
        let run = scene.keyless_task(with(json!({ "oidc_token": "x" }), options));
        assert!(run.failed() && run.message().contains(words), "{run}");
        assert!(scene.sandbox.records().all().is_empty());
    }
}

#[test]
fn the_token_in_dest_is_used_on_until_renew_before() {
    let scene = QuayScene::new();
    let options = in_dest(&scene);
    let first = scene.keyless_task(options.clone()).succeeded();
    assert_eq!((first.text("reason"), first.changed()), ("missing", true), "{first}");
    let token = read(&scene.path("password"));
    assert!(scene.quay().login_works("acme+ci", &token) && !first.stdout.contains(&token));
    assert_eq!((mode(&scene.path("password")), first.result.get("token")), (0o600, None));

    // No external token is needed, and nothing is sent for it.
    fs::remove_file(scene.path("oidc")).unwrap();
    let again = scene.keyless_task(options.clone()).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
    assert_eq!((again.text("fingerprint"), exchanges(&scene)), (first.text("fingerprint"), 1));
    let returned = scene.keyless_task(with(options.clone(), json!({ "return_token": true }))).succeeded();
    assert_eq!(returned.text("token"), token);

    scene.file("oidc", &signed(scene.external_token("acme+ci")));
    let renewed = scene.keyless_task(with(options, json!({ "renew_before": "61m" }))).succeeded();
    assert_eq!((renewed.text("reason"), renewed.changed(), exchanges(&scene)), ("expiring", true, 2), "{renewed}");
    assert!(scene.quay().login_works("acme+ci", &token), "the one before ends by itself");
}

#[test]
fn the_token_is_replaced_for_each_reason() {
    type Change = fn(&QuayScene);
    let cases: [(&str, Change, Value); 8] = [
        ("forced", |_| {}, json!({ "state": "rotated" })),
        ("missing", |scene| fs::write(scene.path("password"), "").unwrap(), json!({})),
        ("expired", |scene| note_end(scene, -60), json!({})),
        ("expiring", |scene| note_end(scene, 60), json!({})),
        ("dead", |scene| fs::write(scene.path("password"), other_robots(scene)).unwrap(), json!({})),
        ("dead", |scene| drop(scene.file("password", &scene.robot_token("acme+ci"))), json!({})),
        ("dead", |scene| scene.quay().change(|state| state.server_hostname = "new.example.com".to_owned()), json!({})),
        (
            "drifted",
            |scene| fs::set_permissions(scene.path("password"), fs::Permissions::from_mode(0o644)).unwrap(),
            json!({}),
        ),
    ];
    for (reason, change, options) in cases {
        let scene = QuayScene::new();
        let options = with(in_dest(&scene), options);
        scene.keyless_task(options.clone()).succeeded();
        change(&scene);
        let (files, before) = (world(&scene), exchanges(&scene));
        let forecast = scene.keyless_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        assert_eq!((forecast.text("reason"), forecast.changed()), (reason, true), "{forecast}");
        assert!(world(&scene) == files && exchanges(&scene) == before, "{reason}");
        let run = scene.keyless_task(options).succeeded();
        assert_eq!((run.text("reason"), run.changed()), (reason, true), "{run}");
        assert_eq!(exchanges(&scene), before + usize::from(reason != "drifted"), "{reason}");
        assert!(scene.quay().login_works("acme+ci", &read(&scene.path("password"))), "{reason}");
        assert_eq!(mode(&scene.path("password")), 0o600);
    }
}

#[test]
fn every_refusal_of_an_exchange_is_explained_and_what_stands_in_dest_stays() {
    type Prepare = fn(&QuayScene) -> Value;
    let cases: [(&str, Prepare, &[&str]); 21] = [
        (
            "unknown robot",
            |scene| with(given(scene.external_token("acme+ci")), json!({ "robot": "acme+nobody" })),
            &["there is no robot acme+nobody; names are case-sensitive", "400 Could not find robot"],
        ),
        (
            "no federation",
            |scene| {
                let token = given(scene.external_token("acme+ci"));
                scene.quay().set_federation("acme+ci", []);
                token
            },
            &["the robot has no federation: an administrator has to add issuer and subject"],
        ),
        (
            "an issuer with a slash more",
            |scene| {
                let issuer = scene.quay().identity_provider().issuer() + "/";
                given(scene.external_token("acme+ci").claim("iss", issuer))
            },
            &["none of the robot's federation; it has to be the same to the last character", "not configured"],
        ),
        (
            "no issuer",
            |scene| given(scene.external_token("acme+ci").without("iss")),
            &[BAD_TOKEN, "400 Token does not contain issuer"],
        ),
        (
            "wrong subject",
            |scene| given(scene.external_token("acme+ci").claim("sub", "somebody-else")),
            &["the subject (sub) of the OIDC token is not the one of the robot's federation"],
        ),
        (
            "ended by the server's clock",
            |scene| {
                let token = given(scene.external_token("acme+ci"));
                scene.sandbox.clock().advance(400);
                token
            },
            &[BAD_TOKEN, "Signature has expired"],
        ),
        (
            "altered",
            |scene| given(scene.external_token("acme+ci").with_wrong_key()),
            &[BAD_TOKEN, "Signature verification failed"],
        ),
        (
            "no kid",
            |scene| given(scene.external_token("acme+ci").without_key_id()),
            &[BAD_TOKEN, "Missing `kid` header"],
        ),
        ("no iat", |scene| given(scene.external_token("acme+ci").without("iat")), &[BAD_TOKEN, "missing the \"iat\""]),
        ("no exp", |scene| given(scene.external_token("acme+ci").without("exp")), &[BAD_TOKEN, "missing the \"exp\""]),
        (
            "from the future",
            |scene| given(scene.external_token("acme+ci").claim("iat", Utc::now().timestamp() + 200)),
            &[BAD_TOKEN, "not yet valid (iat)"],
        ),
        (
            "a key that the issuer does not have",
            |scene| given(scene.external_token("acme+ci").with_unknown_key_id()),
            &["status 500", "key (kid)", "https"],
        ),
        (
            "an issuer without TLS",
            |scene| {
                scene.quay().set_federation("acme+ci", [("http://idp.example.com", "x")]);
                given(scene.quay().identity_provider().token("x").claim("iss", "http://idp.example.com"))
            },
            &["status 500", "https"],
        ),
        (
            "an issuer that Quay cannot reach",
            |scene| {
                scene.quay().set_federation("acme+ci", [("https://idp.example.com", "x")]);
                given(scene.quay().identity_provider().token("x").claim("iss", "https://idp.example.com"))
            },
            &["its answer was lost", "Quay cannot reach the issuer"],
        ),
        (
            "the same behind a proxy",
            |scene| {
                scene.fault(Fault::bad_gateway().path("/oauth2/"));
                given(scene.external_token("acme+ci"))
            },
            &["status 502", "Quay cannot reach the issuer"],
        ),
        (
            "an older release",
            |scene| {
                scene.quay().change(|state| state.release = (3, 12, 0));
                given(scene.external_token("acme+ci"))
            },
            &["status 404", "3.13"],
        ),
        (
            "a header lost on the way",
            |scene| {
                scene.fault(Fault::answer(401, "application/json", "{\"error\": \"No auth header\"}").path("/oauth2/"));
                given(scene.external_token("acme+ci"))
            },
            &["the server refuses the request (the server said: 401 No auth header)"],
        ),
        (
            "a name that Quay does not take",
            |scene| {
                scene.fault(Fault::answer(401, "application/json", "{\"error\": \"Invalid robot\"}").path("/oauth2/"));
                given(scene.external_token("acme+ci"))
            },
            &["the robot has to be named in full, such as acme+ci"],
        ),
        (
            "a limit without end",
            |scene| {
                let fault = json!({
                    "fault": "answer", "status": 429, "content_type": "text/html", "body": "<p>", "retry_after": "0",
                    "path": "/oauth2/",
                });
                scene.control("fault", &fault);
                given(scene.external_token("acme+ci"))
            },
            &["the server limits requests and nothing was changed"],
        ),
        (
            "robots not allowed",
            |scene| {
                scene.quay().change(|state| state.robots_disallowed = true);
                given(scene.external_token("acme+ci"))
            },
            &["the server does not accept the token that it issued: Robot account have been disabled"],
        ),
        (
            "a registry that breaks",
            |scene| {
                scene.fault(Fault::server_error().path("/v2/auth"));
                given(scene.external_token("acme+ci"))
            },
            &["whether it works could not be asked", "status 500"],
        ),
    ];
    for (case, prepare, words) in cases {
        let scene = QuayScene::new();
        let dest = scene.file("password", "what stood there");
        let options = with(json!({ "dest": dest, "request_timeout": 10 }), prepare(&scene));
        let run = scene.keyless_task(options.clone());
        for word in words {
            assert!(run.failed() && run.message().contains(word), "{case}: {word}: {run}");
        }
        assert!(!run.changed() && !run.message().contains("create_robot"), "{case}: {run}");
        assert_eq!(read(&dest), "what stood there", "{case}");
        hides(&run, &[options["oidc_token"].as_str().unwrap()]);
    }
}

#[test]
fn what_can_be_seen_without_quay_is_not_sent() {
    let scene = QuayScene::new();
    let expired = signed(scene.external_token("acme+ci").expired());
    let empty = scene.file("empty", "\n");
    let cases = [
        (json!({ "oidc_token": expired }), "the OIDC token ended at 2"),
        (json!({ "oidc_token": expired }), "(its exp claim; this host's clock says 2"),
        (json!({ "oidc_token_file": scene.file("expired", &expired) }), "the OIDC token ended at 2"),
        (json!({ "oidc_token": "no-jwt-at-all" }), "the OIDC token is no JWT"),
        (json!({ "oidc_token": "" }), "oidc_token is empty"),
        (json!({ "oidc_token_file": empty }), "empty is empty"),
        (json!({ "oidc_token_file": scene.path("none") }), "none cannot be read: No such file"),
        (json!({ "oidc_token_file": scene.path("none").parent().unwrap() }), "cannot be read: Is a directory"),
        (json!({}), "one of the following is required: oidc_token, oidc_token_file"),
        (json!({ "oidc_token": "x", "oidc_token_file": "/x" }), "mutually exclusive: oidc_token|oidc_token_file"),
        (json!({ "oidc_token": "x", "renew_before": "soon" }), "renew_before"),
    ];
    for (options, words) in cases {
        for more in [json!({}), json!({ "dest": scene.path("password") })] {
            for check_mode in [true, false] {
                let more = with(more.clone(), json!({ "_ansible_check_mode": check_mode }));
                let run = scene.keyless_task(with(options.clone(), more));
                assert!(run.failed() && run.message().contains(words), "{options}, {check_mode}: {run}");
                hides(&run, &[&expired]);
            }
        }
    }
    assert_eq!(exchanges(&scene), 0);
    assert!(!scene.path("password").exists());
}

#[test]
fn a_token_is_read_from_a_file_and_from_the_environment_without_the_white_space_around_it() {
    let scene = QuayScene::new();
    let token = signed(scene.external_token("acme+ci"));
    for options in [
        json!({ "oidc_token_file": scene.file("oidc", &format!("\n {token} \r\n")) }),
        json!({ "oidc_token": format!("{token}\n") }),
    ] {
        scene.keyless_task(options).succeeded();
    }
    let mut command = tokensmith_tests::executable::command();
    command.args(["quay_keyless_token", "--robot=acme+ci", "--use-proxy=false"]);
    command.env("QUAY_HOST", scene.quay().url()).env("QUAY_OIDC_TOKEN", &token);
    command.arg(format!("--ca-path={}", scene.sandbox.ca_path().display()));
    Run::from_output(&command.output().unwrap()).succeeded();
}

#[test]
fn check_mode_asks_for_the_registry_alone_and_writes_nothing() {
    let scene = QuayScene::new();
    for (dest, changed, reason) in [(json!(scene.path("password")), true, "missing"), (json!(null), false, "forced")] {
        let options =
            with(given(scene.external_token("acme+ci")), json!({ "dest": dest, "_ansible_check_mode": true }));
        let run = scene.keyless_task(options).succeeded();
        assert_eq!((run.changed(), run.text("reason")), (changed, reason), "{run}");
        assert!(run.result.get("token").is_none() && run.result.get("fingerprint").is_none(), "{run}");
    }
    assert!(scene.sandbox.records().all().iter().all(|request| request.path == "/v2/"));
    assert_eq!(names(scene.path("password").parent().unwrap()), Vec::<String>::new());
}

#[test]
fn a_server_clock_that_is_off_does_not_shorten_the_life_of_a_token() {
    for offset in [-7200, 7200] {
        let scene = QuayScene::new();
        scene.sandbox.clock().advance(offset);
        let end = Utc::now().timestamp() + 300;
        let token = scene.external_token("acme+ci").claim("exp", end.max(end + offset));
        let options = json!({ "oidc_token": signed(token), "dest": scene.path("password") });
        let run = scene.keyless_task(options.clone()).succeeded();
        assert!(ends_in(&run, 3600), "{offset}: {run}");
        let again = scene.keyless_task(options).succeeded();
        assert_eq!((again.text("reason"), ends_in(&again, 3600)), ("valid", true), "{offset}: {again}");
    }
}

#[test]
fn an_entry_of_podman_is_written_beside_others_and_read_back() {
    let scene = QuayScene::new();
    scene.quay().change(|state| state.server_hostname = "quay.example.com".to_owned());
    let dest = scene.file("auth.json", "{\"auths\": {\"docker.io\": {\"auth\": \"eDp5\"}}}");
    let more = json!({ "dest": dest, "dest_format": "docker_config", "registry_key": "organization" });
    let options = with(given(scene.external_token("acme+ci")), more);
    let run = scene.keyless_task(options.clone()).succeeded();
    assert_eq!(run.text("registry"), "quay.example.com/acme");
    let merged: Value = serde_json::from_str(&read(&dest)).unwrap();
    assert_eq!(merged["auths"]["docker.io"]["auth"], "eDp5");
    let auth = merged["auths"]["quay.example.com/acme"]["auth"].as_str().unwrap();
    let pair = String::from_utf8(STANDARD.decode(auth).unwrap()).unwrap();
    let (user, password) = pair.split_once(':').unwrap();
    assert_eq!(user, "acme+ci");
    assert!(scene.quay().login_works(user, password));
    assert_eq!(scene.keyless_task(options).succeeded().text("reason"), "valid");
}

#[test]
fn the_end_of_the_token_stands_in_the_formats_that_have_a_place_for_it() {
    for (format, words) in
        [("json", "\"expires_at\": \"2"), ("env", "ROBOT_TOKEN_EXPIRES_AT='2"), ("kubernetes_secret", "")]
    {
        let scene = QuayScene::new();
        let more = json!({ "dest": scene.path("file"), "dest_format": format });
        let options = with(given(scene.external_token("acme+ci")), more);
        scene.keyless_task(options.clone()).succeeded();
        assert!(read(&scene.path("file")).contains(words), "{format}");
        assert_eq!(scene.keyless_task(options).succeeded().text("reason"), "valid", "{format}");
    }
}

#[test]
fn no_secret_is_printed_and_a_task_that_would_return_one_is_not_asynchronous() {
    let scene = QuayScene::new();
    let options = with(in_dest(&scene), json!({ "state": "rotated", "_ansible_diff": true }));
    let run = scene.keyless_task(options.clone()).succeeded();
    hides(&run, &[&read(&scene.path("oidc")), &read(&scene.path("password"))]);
    assert_eq!(run.result["diff"]["after"]["token"], run.text("fingerprint"));
    scene.keyless_task(with(options.clone(), json!({ "_tokensmith_async": true }))).succeeded();
    for more in [json!({ "return_token": true }), json!({ "dest": null })] {
        let run = scene.keyless_task(with(with(options.clone(), json!({ "_tokensmith_async": true })), more));
        assert!(run.failed() && run.message().contains("leave async out"), "{run}");
    }
}

/// A file with the external token, and one for the robot's.
fn in_dest(scene: &QuayScene) -> Value {
    let token = signed(scene.external_token("acme+ci"));
    json!({ "oidc_token_file": scene.file("oidc", &token), "dest": scene.path("password") })
}

fn given(token: ExternalToken) -> Value {
    json!({ "oidc_token": signed(token) })
}

fn signed(token: ExternalToken) -> String {
    token.sign().expect("a token can be signed")
}

/// A password of the robot next door.
fn other_robots(scene: &QuayScene) -> String {
    let options = with(given(scene.external_token("acme+deploy")), json!({ "robot": "acme+deploy" }));
    let password = scene.keyless_task(options).succeeded().text("token").to_owned();
    assert_eq!(Claims::of(&Secret::new(password.as_str())).unwrap().sub.as_deref(), Some("acme+deploy"));
    password
}

/// The note says that the token ends in so many seconds.
fn note_end(scene: &QuayScene, seconds: i64) {
    let path = scene.path(".password.tokensmith.json");
    let mut note: Value = serde_json::from_str(&read(&path)).unwrap();
    note["expires_at"] = json!(Utc::now() + TimeDelta::seconds(seconds));
    fs::write(path, note.to_string()).unwrap();
}

fn exchanges(scene: &QuayScene) -> usize {
    scene.sandbox.records().to("/oauth2/federation/robot/token").len()
}

fn world(scene: &QuayScene) -> Vec<(String, String)> {
    let folder = scene.path("password").parent().unwrap().to_owned();
    names(&folder).into_iter().map(|name| (name.clone(), read(&folder.join(name)))).collect()
}

/// Whether the result says so, give or take what a slow machine needs.
fn ends_in(run: &Run, seconds: i64) -> bool {
    let end: DateTime<Utc> = run.text("expires_at").parse().unwrap();
    ((end - Utc::now()).num_seconds() - seconds).abs() <= 60
}

fn hides(run: &Run, secrets: &[&str]) {
    for secret in secrets {
        let signature = secret.rsplit('.').next().unwrap();
        for shown in [secret, signature, &STANDARD.encode(secret)[4..40]] {
            assert!(!run.stdout.contains(shown), "{run}");
        }
    }
}

const BAD_TOKEN: &str = "the OIDC token is expired, altered or incomplete; get a new one from its issuer";
