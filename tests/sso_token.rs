//! sso_token against the sandbox: what it does, what it says, and what it leaves alone.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::executable;
use tokensmith_tests::scene::{Scene, mode, names, read};

#[test]
fn an_offline_token_gives_an_access_token_that_works() {
    let scene = Scene::new();
    let given = scene.offline_token();
    let run = scene.sso_token(json!({ "offline_token": given })).succeeded();
    assert!(scene.realm.access_token_works(run.text("access_token")), "{run}");
    assert!(scene.realm.offline_token_is_alive(run.text("offline_token")));
    assert_eq!(run.result["token_type"], "Bearer");
    assert!(matches!(run.result["expires_in"].as_i64(), Some(899 | 900)));
    assert_eq!(run.result["clock_offset"], 0);
    assert_eq!(run.result["client_id"], "cloud-services");
    assert_eq!(run.result["reason"], "forced");
    assert_eq!(run.result["refreshed"], true);
    assert_eq!(run.result["offline_token_rotated"], false);
    assert_eq!(run.result["_tokensmith_secret"], true);
    assert!(!run.changed(), "nothing that lasts was changed: {run}");
    assert_eq!(run.warnings(), "");
}

#[test]
fn the_newest_offline_token_is_written_back_with_owner_and_permissions_kept() {
    let scene = Scene::new();
    let file = scene.offline_token_file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let before = read(&file);
    let run = scene.sso_token(json!({ "offline_token_file": file })).succeeded();
    assert!(run.changed());
    assert_ne!(read(&file), before);
    assert!(scene.realm.offline_token_is_alive(&read(&file)));
    assert_eq!(mode(&file), 0o640);
    assert!(run.result.get("offline_token").is_none(), "what is in a file is not in the result");
}

#[test]
fn a_token_file_with_white_space_around_the_token_works() {
    let scene = Scene::new();
    let file = scene.file("offline_token", &format!("\n  {}\r\n\n", scene.offline_token()));
    scene.sso_token(json!({ "offline_token_file": file })).succeeded();
}

#[test]
fn a_rotating_realm_is_served_for_many_runs_through_the_file() {
    let scene = Scene::in_realm("rotating");
    let file = scene.offline_token_file();
    for _ in 0..4 {
        let run = scene.sso_token(json!({ "offline_token_file": file })).succeeded();
        assert_eq!(run.result["offline_token_rotated"], true);
        assert!(scene.realm.offline_token_is_alive(&read(&file)));
    }
}

#[test]
fn without_a_file_the_user_is_told_what_becomes_of_the_token() {
    let rotating = Scene::in_realm("rotating");
    let run = rotating.sso_token(json!({ "offline_token": rotating.offline_token() })).succeeded();
    assert!(run.warnings().contains("is dead now: store the returned offline_token"), "{run}");
    assert!(rotating.realm.offline_token_is_alive(run.text("offline_token")));

    let limited = Scene::in_realm("limited");
    let run = limited.sso_token(json!({ "offline_token": limited.offline_token() })).succeeded();
    assert!(run.warnings().contains("however often it is used: store the returned offline_token"), "{run}");
    assert!(run.text("offline_token_expires_at").ends_with('Z'), "{run}");
}

#[test]
fn with_dest_and_a_file_the_result_has_no_secret() {
    let scene = Scene::new();
    let options = json!({ "offline_token_file": scene.offline_token_file(), "dest": scene.path("access") });
    let run = scene.sso_token(options).succeeded();
    assert!(run.result.get("access_token").is_none() && run.result.get("offline_token").is_none(), "{run}");
    assert!(run.result.get("_tokensmith_secret").is_none());
    assert!(scene.realm.access_token_works(&read(&scene.path("access"))));
    assert_eq!(mode(&scene.path("access")), 0o600);
}

#[test]
fn an_offline_token_without_a_file_is_returned_also_beside_a_dest() {
    // The second realm rotates without its tokens saying so: rotation was switched on after they were made.
    for (realm, switched_on_later) in [("rotating", false), ("redhat-external", true)] {
        let scene = Scene::in_realm(realm);
        let given = scene.offline_token();
        if switched_on_later {
            scene.realm.change(|realm| realm.rotation = Some(0));
        }
        let run = scene.sso_token(json!({ "offline_token": given, "dest": scene.path("access") })).succeeded();
        assert!(run.result.get("access_token").is_none(), "{run}");
        assert_eq!(run.result["_tokensmith_secret"], true);
        assert!(!scene.realm.offline_token_is_alive(&given));
        assert!(scene.realm.offline_token_is_alive(run.text("offline_token")), "{run}");
    }
}

#[test]
fn nothing_is_sent_while_the_access_token_in_dest_will_do() {
    let scene = Scene::new();
    let options =
        json!({ "offline_token_file": scene.offline_token_file(), "dest": scene.path("access"), "return_token": true });
    let first = scene.sso_token(options.clone()).succeeded();
    assert_eq!(first.text("reason"), "missing");
    let (requests, files) =
        (scene.sandbox.records().all().len(), (read(&scene.path("access")), read(&scene.path("offline_token"))));
    let second = scene.sso_token(options).succeeded();
    assert!(!second.changed());
    assert_eq!(second.text("reason"), "valid");
    assert_eq!(second.result["refreshed"], false);
    assert_eq!(second.text("access_token"), first.text("access_token"));
    assert_eq!(second.text("fingerprint"), first.text("fingerprint"));
    assert_eq!(scene.sandbox.records().all().len(), requests);
    assert_eq!((read(&scene.path("access")), read(&scene.path("offline_token"))), files);
}

#[test]
fn the_access_token_is_renewed_for_each_reason() {
    type Change = fn(&Scene);
    let cases: [(&str, Value, Change); 6] = [
        ("expiring", json!({ "renew_before": "15m" }), |_| {}),
        ("aged", json!({ "refresh_after": "0s", "renew_before": "1s" }), |_| {
            thread::sleep(Duration::from_millis(1100))
        }),
        ("missing", json!({}), |scene| fs::write(scene.path("access"), "").unwrap()),
        ("missing", json!({}), |scene| fs::remove_file(scene.path("access")).unwrap()),
        ("drifted", json!({}), |scene| fs::write(scene.path("access"), "another.access.token").unwrap()),
        ("drifted", json!({}), |scene| fs::write(scene.path("offline_token"), scene.offline_token()).unwrap()),
    ];
    for (reason, options, change) in cases {
        let scene = Scene::new();
        let mut all = json!({ "offline_token_file": scene.offline_token_file(), "dest": scene.path("access") });
        scene.sso_token(all.clone()).succeeded();
        change(&scene);
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let run = scene.sso_token(all).succeeded();
        assert_eq!((run.text("reason"), run.changed()), (reason, true), "{run}");
        assert!(scene.realm.access_token_works(&read(&scene.path("access"))));
    }
}

#[test]
fn drifted_permissions_are_mended_without_a_request() {
    let scene = Scene::new();
    let options = json!({ "offline_token_file": scene.offline_token_file(), "dest": scene.path("access") });
    scene.sso_token(options.clone()).succeeded();
    let (requests, token) = (scene.sandbox.records().all().len(), read(&scene.path("access")));
    fs::set_permissions(scene.path("access"), fs::Permissions::from_mode(0o644)).unwrap();
    let run = scene.sso_token(options).succeeded();
    assert_eq!((run.text("reason"), run.changed()), ("drifted", true));
    assert_eq!((mode(&scene.path("access")), read(&scene.path("access"))), (0o600, token));
    assert_eq!(scene.sandbox.records().all().len(), requests);
}

#[test]
fn check_mode_sends_nothing_writes_nothing_and_forecasts() {
    let scene = Scene::in_realm("rotating");
    let file = scene.offline_token_file();
    let before = names(file.parent().unwrap());
    let run = scene
        .sso_token(json!({ "offline_token_file": file, "dest": scene.path("access"), "_ansible_check_mode": true }))
        .succeeded();
    assert!(run.changed());
    assert_eq!(run.text("reason"), "missing");
    assert_eq!((&run.result["offline_token_rotated"], &run.result["offline_token_kept"]), (&json!(true), &json!(true)));
    let run = scene.sso_token(json!({ "offline_token": read(&file), "_ansible_check_mode": true })).succeeded();
    assert!(!run.changed(), "without a file nothing lasting would be changed");
    let run = scene
        .sso_token(json!({ "offline_token_file": file, "state": "absent", "_ansible_check_mode": true }))
        .succeeded();
    assert!(run.changed());
    assert_eq!(names(file.parent().unwrap()), before);
    assert_eq!(scene.sandbox.records().all().len(), 0);
}

#[test]
fn the_diff_shows_fingerprints_only() {
    let scene = Scene::new();
    let file = scene.offline_token_file();
    let (old, options) =
        (read(&file), json!({ "offline_token_file": file, "dest": scene.path("access"), "_ansible_diff": true }));
    let run = scene.sso_token(options).succeeded();
    let diff = run.result["diff"].to_string();
    for secret in [old, read(&file), read(&scene.path("access"))] {
        assert!(!diff.contains(&secret));
        assert!(!run.stdout.contains(&secret));
    }
    assert_eq!(run.result["diff"]["after"]["access_token"], run.result["fingerprint"]);
    assert_eq!(run.result["diff"]["before"]["access_token"], Value::Null);
}

#[test]
fn a_service_account_gets_the_scope_that_red_hat_wants() {
    let scene = Scene::new();
    let options = json!({ "client_id": SERVICE_ACCOUNT, "client_secret": SERVICE_ACCOUNT_SECRET });
    let run = scene.sso_token(options.clone()).succeeded();
    assert_eq!(run.result["scope"], json!(["api.console", "profile"]));
    assert_eq!(run.result["refreshed"], false);
    assert!(run.result.get("offline_token_rotated").is_none());
    assert!(!run.changed());

    let mut with_dest = options;
    with_dest["dest"] = json!(scene.path("access"));
    assert!(scene.sso_token(with_dest.clone()).succeeded().changed());
    let requests = scene.sandbox.records().all().len();
    let again = scene.sso_token(with_dest.clone()).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("valid", false));
    assert_eq!(scene.sandbox.records().all().len(), requests);
    with_dest["scope"] = json!("openid,api.console");
    let wider = scene.sso_token(with_dest).succeeded();
    assert_eq!(wider.text("reason"), "drifted");
}

#[test]
fn every_format_holds_the_token_and_is_read_back() {
    for (format, holds) in [("raw", "eyJ"), ("json", "\"access_token\": \"eyJ"), ("env", "ACCESS_TOKEN='eyJ")] {
        let scene = Scene::new();
        let options = json!({ "offline_token_file": scene.offline_token_file(), "dest": scene.path("access"), "dest_format": format });
        scene.sso_token(options.clone()).succeeded();
        assert!(read(&scene.path("access")).contains(holds), "{format}");
        assert_eq!(scene.sso_token(options).succeeded().text("reason"), "valid", "{format}");
    }
}

#[test]
fn absent_revokes_the_session_proves_it_and_removes_what_is_left() {
    let scene = Scene::new();
    let (file, access) = (scene.offline_token_file(), scene.path("access"));
    let options = json!({ "offline_token_file": file, "dest": access });
    scene.sso_token(options.clone()).succeeded();
    let (offline, token) = (read(&file), read(&access));
    let mut options = options;
    options["state"] = json!("absent");
    let run = scene.sso_token(options.clone()).succeeded();
    assert!(run.changed());
    assert!(!scene.realm.offline_token_is_alive(&offline) && !scene.realm.access_token_works(&token));
    assert!(!file.exists() && !access.exists());
    let again = scene.sso_token(options).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("missing", false));
}

#[test]
fn absent_says_when_the_token_was_dead_already() {
    let scene = Scene::new();
    let offline_token = scene.offline_token();
    scene.realm.end_sessions();
    let run = scene.sso_token(json!({ "offline_token": offline_token, "state": "absent" })).succeeded();
    assert_eq!((run.text("reason"), run.changed()), ("dead", false));
}

#[test]
fn absent_clears_away_a_token_that_has_ended_by_itself() {
    let scene = Scene::new();
    let file = scene.file("offline_token", &expired_token(&scene));
    let run = scene.sso_token(json!({ "offline_token_file": file, "state": "absent" })).succeeded();
    assert_eq!((run.text("reason"), run.changed(), file.exists()), ("dead", true, false), "{run}");
}

#[test]
fn absent_is_not_fooled_by_a_server_that_says_200_and_does_nothing() {
    let scene = Scene::in_realm("rotating");
    let file = scene.offline_token_file();
    scene.sandbox.faults().add(Fault::answer(200, "application/json", "").path("/revoke"));
    let run = scene.sso_token(json!({ "offline_token_file": file, "state": "absent" }));
    assert!(run.failed() && run.message().contains("still works"), "{run}");
    assert!(scene.realm.offline_token_is_alive(&read(&file)), "the proof used the token up, so its successor is kept");
}

#[test]
fn absent_loses_no_token_on_a_full_disk() {
    let scene = Scene::in_realm("rotating");
    let file = scene.offline_token_file();
    scene.sandbox.faults().add(Fault::answer(200, "application/json", "").path("/revoke"));
    let mut options = scene.options(json!({ "offline_token_file": file, "state": "absent" }));
    options["_tokensmith_module"] = json!("sso_token");
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "-e", "inject=fallocate:error=ENOSPC"]).arg(executable::path()).arg("-");
    let run = executable::Run::from_output(&executable::run_with_input(&mut command, options.to_string().as_bytes()));
    assert!(run.failed(), "{run}");
    let kept = [read(&file), run.text("offline_token").to_owned()];
    assert!(kept.iter().any(|token| scene.realm.offline_token_is_alive(token)), "{run}");
}

#[test]
fn absent_keeps_a_token_that_this_realm_does_not_know() {
    let scene = Scene::new();
    let file = scene.file("offline_token", "no-token-of-any-realm");
    let run = scene.sso_token(json!({ "offline_token_file": file, "state": "absent" }));
    assert!(run.failed() && run.message().contains("nothing was removed"), "{run}");
    assert!(file.exists());
}

#[test]
fn each_refusal_of_the_server_names_its_cause_and_the_next_step() {
    type Arrange = fn(&Scene) -> Value;
    let cases: [(&str, Arrange, &str); 19] = [
        (
            "30 days without use",
            |scene| aged(scene, 31 * 86_400),
            "not used for longer than the server allows (30 days at Red Hat)",
        ),
        ("revoked", |scene| ended(scene), "or it was revoked; get a new offline token"),
        ("garbage", |_| json!({ "offline_token": "not-a-token-at-all" }), "it is cut or altered, of another realm"),
        (
            "longer than 4000 characters",
            |_| json!({ "offline_token": "x".repeat(4001) }),
            "does not know this offline token",
        ),
        ("user disabled", |scene| disabled_user(scene), "it works again when the user is enabled"),
        ("offline access taken away", |scene| without_offline_access(scene), "offline_access was taken away"),
        ("not before", |scene| not_before(scene), "which can be taken back"),
        (
            "unknown client",
            |_| json!({ "offline_token": "opaque-token", "client_id": "nobody" }),
            "check client_id and token_url",
        ),
        (
            "disabled client",
            |_| json!({ "offline_token": "opaque-token", "client_id": "disabled-client" }),
            "or it is disabled",
        ),
        ("unknown scope", |scene| with(scene, "scope", "nonsense"), "check scope"),
        ("realm disabled", |scene| disabled_realm(scene), "ask its administrator"),
        (
            "no such realm",
            |scene| elsewhere(scene, "/realms/redhat-external", "/realms/Nowhere"),
            "upper and lower case matter",
        ),
        ("no /auth", |scene| elsewhere(scene, "/auth/realms", "/realms"), "many servers want /auth"),
        ("other public address", |scene| moved(scene), "the server has another public address"),
        (
            "wrong secret",
            |_| json!({ "client_id": SERVICE_ACCOUNT, "client_secret": "wrong-secret" }),
            "check client_secret",
        ),
        (
            "no such service account",
            |_| json!({ "client_id": "nobody", "client_secret": "wrong-secret" }),
            "check client_id",
        ),
        (
            "public client",
            |_| json!({ "client_id": "cloud-services", "client_secret": "a-secret" }),
            "no service account",
        ),
        ("service account with a wrong scope", |_| service_account_with("scope", "nonsense"), "check scope"),
        ("service account disabled", |scene| disabled_service_account(scene), "the service account is disabled"),
    ];
    for (case, arrange, sentence) in cases {
        let scene = Scene::new();
        let options = arrange(&scene);
        let run = scene.sso_token(options);
        assert!(run.failed() && run.message().contains(sentence), "{case}: {run}");
        assert!(run.message().contains("the server said:") || run.message().contains("status 404"), "{case}: {run}");
    }
}

#[test]
fn a_replayed_token_is_recognised() {
    let scene = Scene::in_realm("rotating");
    let used = scene.offline_token();
    scene.sso_token(json!({ "offline_token": used })).succeeded();
    let run = scene.sso_token(json!({ "offline_token": used }));
    assert!(run.failed() && run.message().contains("each be used only once (rotation)"), "{run}");
}

#[test]
fn what_can_be_seen_without_a_call_is_said_without_one() {
    type Arrange = fn(&Scene) -> Value;
    let cases: [(Arrange, &str); 12] = [
        (|_| json!({ "offline_token": "" }), "the offline token is empty"),
        (|_| json!({ "offline_token": " \n" }), "the offline token is empty"),
        (|scene| json!({ "offline_token_file": scene.path("missing") }), "put an offline token into it first"),
        (|scene| json!({ "offline_token_file": scene.file("empty", "\n") }), "put an offline token into it first"),
        (|scene| json!({ "offline_token": access_token(scene) }), "no offline token but an access token (typ Bearer)"),
        (
            |scene| json!({ "offline_token": scene.offline_token(), "client_id": "rhsm-api" }),
            "belongs to the client cloud-services",
        ),
        (|scene| json!({ "offline_token": of_realm(scene, "second") }), "was issued by"),
        (|scene| json!({ "offline_token": expired_token(scene) }), "its exp claim; this host's clock says"),
        (|scene| elsewhere(scene, "openid-connect", "openidconnect"), "write openid-connect, with a hyphen"),
        (|scene| elsewhere(scene, "/protocol/openid-connect/token", ""), "is no token endpoint"),
        (
            |_| json!({ "client_id": SERVICE_ACCOUNT, "client_secret": "s3cret", "state": "absent" }),
            "needs an offline token",
        ),
        (|_| json!({ "client_id": SERVICE_ACCOUNT, "client_secret": "" }), "must not be empty"),
    ];
    for (arrange, sentence) in cases {
        let scene = Scene::new();
        let options = arrange(&scene);
        let before = scene.sandbox.records().all().len();
        let run = scene.sso_token(options);
        assert!(run.failed() && run.message().contains(sentence), "{sentence}: {run}");
        assert_eq!(scene.sandbox.records().all().len(), before, "{sentence}: nothing was to be sent");
    }
}

#[test]
fn an_online_refresh_token_works_and_is_warned_of() {
    let scene = Scene::new();
    let token = scene.sandbox.sso().realm("redhat-external");
    let online = online_token(&token.token_url(), &scene);
    let run = scene.sso_token(json!({ "offline_token": online })).succeeded();
    assert!(run.warnings().contains("typ Refresh"), "{run}");
}

#[test]
fn bad_arguments_are_refused_with_the_sentences_of_ansible() {
    let scene = Scene::new();
    let token = scene.offline_token();
    let cases = [
        (json!({ "offline_token": token, "bogus": 1 }), "Unsupported parameters for (sso_token) module: bogus."),
        (json!({ "offline_token": token, "validate_certs": "perhaps" }), "argument 'validate_certs' is of type"),
        (
            json!({ "offline_token": token, "state": "rotated" }),
            "value of state must be one of: present, absent, got: rotated",
        ),
        (
            json!({ "offline_token": token, "client_id": "c", "client_secret": "s3cret" }),
            "parameters are mutually exclusive",
        ),
        (json!({ "offline_token": token, "offline_token_file": "/x" }), "parameters are mutually exclusive"),
        (json!({}), "one of the following is required: offline_token, offline_token_file, client_secret"),
        (json!({ "client_secret": "s3cret" }), "missing parameter(s) required by 'client_secret': client_id"),
        (json!({ "offline_token": token, "renew_before": "soon" }), "renew_before: 'soon' is not a length of time"),
        (json!({ "offline_token": token, "request_timeout": 0 }), "request_timeout must be a positive number"),
        (json!({ "offline_token": token, "dest": "/x", "mode": "rw" }), "mode \"rw\" is not a file mode"),
        (
            json!({ "offline_token": token, "client_cert": "/nonexistent/cert" }),
            "client_cert /nonexistent/cert: No such file",
        ),
        (json!({ "offline_token": token, "ca_path": "/dev/null" }), "there is no certificate in it"),
    ];
    for (options, sentence) in cases {
        let run = scene.sso_token(options);
        assert!(run.failed() && run.message().contains(sentence), "{sentence}: {run}");
        assert!(!run.stdout.contains(&token), "{sentence}");
    }
    assert_eq!(scene.sandbox.records().all().len(), 0);
}

#[test]
fn a_token_file_that_cannot_be_read_is_named_with_the_reason() {
    let scene = Scene::new();
    fs::create_dir(scene.path("folder")).unwrap();
    fs::write(scene.path("binary"), [0xff, 0xfe, 0x00]).unwrap();
    fs::write(scene.path("large"), vec![b'x'; 5 * 1024 * 1024]).unwrap();
    symlink(scene.offline_token_file(), scene.path("link")).unwrap();
    for (name, why) in [
        ("folder", "it is a directory"),
        ("binary", "does not hold text"),
        ("large", "is larger than 4 MiB"),
        ("link", "it is a symbolic link, which is not followed"),
        ("missing/token", "does not exist; make it first"),
    ] {
        let run = scene.sso_token(json!({ "offline_token_file": scene.path(name) }));
        assert!(
            run.failed() && run.message().starts_with("offline_token_file ") && run.message().contains(why),
            "{why}: {run}"
        );
    }
    assert_eq!(scene.sandbox.records().all().len(), 0);
}

#[test]
fn what_the_user_of_the_task_may_not_read_or_write_is_told_before_anything_is_sent() {
    let scene = Scene::new();
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let program = folder.path().join("tokensmith");
    fs::copy(executable::path(), &program).unwrap();
    let unreadable = folder.path().join("unreadable");
    fs::write(&unreadable, scene.offline_token()).unwrap();
    fs::set_permissions(&unreadable, fs::Permissions::from_mode(0o000)).unwrap();
    let readable = folder.path().join("readable");
    fs::write(&readable, scene.offline_token()).unwrap();
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let ca_path = folder.path().join("unreadable");
    for options in [
        json!({ "offline_token_file": unreadable }),
        json!({ "offline_token_file": readable }),
        json!({ "offline_token_file": readable, "_ansible_check_mode": true }),
        json!({ "offline_token": scene.offline_token(), "dest": folder.path().join("access") }),
        json!({ "offline_token": scene.offline_token(), "ca_path": ca_path }),
    ] {
        let mut options = scene.options(options);
        // The scene's own authority lies in a folder that only the user of the tests can read.
        if options["ca_path"] != json!(ca_path) {
            options["ca_path"] = Value::Null;
            options["validate_certs"] = json!(false);
        }
        options["_tokensmith_module"] = json!("sso_token");
        let mut command = as_another_user(&program);
        let run =
            executable::Run::from_output(&executable::run_with_input(command.arg("-"), options.to_string().as_bytes()));
        let told = run.message().to_lowercase();
        assert!(run.failed() && told.contains("permission denied"), "{run}");
    }
    assert_eq!(scene.sandbox.records().all().len(), 0);
}

#[test]
fn a_place_that_cannot_be_written_is_found_before_the_token_is_used() {
    let scene = Scene::in_realm("rotating");
    let file = scene.offline_token_file();
    let token = read(&file);
    fs::create_dir(scene.path("folder")).unwrap();
    symlink(scene.path("elsewhere"), scene.path("link")).unwrap();
    let long = scene.path(&"n".repeat(250));
    let cases = [
        (json!({ "offline_token_file": file, "dest": scene.path("folder") }), "it is a directory"),
        (
            json!({ "offline_token_file": file, "dest": scene.path("link") }),
            "it is a symbolic link, which is not followed",
        ),
        (json!({ "offline_token_file": file, "dest": scene.path("missing/access") }), "does not exist; make it first"),
        (json!({ "offline_token_file": file, "dest": "/proc/access" }), "dest /proc/access:"),
        (json!({ "offline_token_file": file, "dest": long }), "dest "),
        (json!({ "offline_token_file": file, "dest": "relative" }), "must be absolute"),
        (json!({ "offline_token_file": file, "dest": file }), "are the same file"),
        (
            json!({ "offline_token_file": file, "dest": scene.path("x"), "owner": "nobody-of-this-name" }),
            "is not known on this host",
        ),
    ];
    for (options, sentence) in cases {
        let run = scene.sso_token(options);
        assert!(run.failed() && run.message().contains(sentence), "{sentence}: {run}");
    }
    assert_eq!(scene.sandbox.records().all().len(), 0);
    assert_eq!(read(&file), token);
    assert!(scene.realm.offline_token_is_alive(&token));
}

#[test]
fn an_unusable_network_is_named_and_nothing_is_lost() {
    type Arrange = fn(&Scene) -> Value;
    let cases: [(Arrange, &str); 4] = [
        (
            |scene| json!({ "token_url": scene.realm.token_url().replacen("https://127.0.0.1", "https://nowhere.invalid", 1) }),
            "could not be resolved",
        ),
        (|scene| json!({ "token_url": with_port(scene, closed_port()) }), "connection refused; is the server running"),
        (|scene| json!({ "ca_path": other_authority(scene) }), "give the authority's certificate as ca_path"),
        (|scene| json!({ "token_url": tls_to_plain(scene) }), "is this a plain http port?"),
    ];
    for (arrange, sentence) in cases {
        let scene = Scene::in_realm("rotating");
        let file = scene.offline_token_file();
        let token = read(&file);
        let mut options = arrange(&scene);
        options["offline_token_file"] = json!(file);
        options["request_timeout"] = json!(10);
        let run = scene.sso_token(options);
        assert!(run.failed(), "{sentence}: {run}");
        assert!(run.message().contains(sentence) && run.message().contains("nothing was sent"), "{sentence}: {run}");
        assert_eq!(read(&file), token);
        assert!(scene.realm.offline_token_is_alive(&token), "{sentence}");
        assert!(!run.stdout.contains(&token));
    }
}

#[test]
fn strange_answers_are_named_and_keep_the_token() {
    let cases = [
        (Fault::html(), "a page (HTML) where JSON was expected"),
        (Fault::bad_gateway(), "status 502"),
        (Fault::large_body(), "is larger than 4 MiB"),
        (Fault::truncated_json(), "the JSON ends in the middle"),
        (Fault::cut(), "its answer was lost"),
        (Fault::cut_body(), "its answer was lost"),
        (Fault::answer(200, "application/json", "[]"), "not the fields that were expected"),
        (Fault::answer(307, "text/plain", ""), "redirects to nowhere"),
        (Fault::answer(429, "text/plain", "slow down"), "limits requests"),
    ];
    for (fault, sentence) in cases {
        let scene = Scene::new();
        let file = scene.offline_token_file();
        let token = read(&file);
        scene.sandbox.faults().add(fault.path("/token"));
        let run = scene.sso_token(json!({ "offline_token_file": file, "dest": scene.path("access") }));
        assert!(run.failed() && run.message().contains(sentence), "{sentence}: {run}");
        assert!(!run.stdout.contains("eyJ"), "{sentence}: {run}");
        assert!(!scene.path("access").exists());
        scene.sandbox.faults().clear();
        assert_eq!(read(&file), token);
        scene.sso_token(json!({ "offline_token_file": file })).succeeded();
    }
}

#[test]
fn a_refresh_is_never_sent_twice() {
    let faults = [
        Fault::lost_answer(),
        Fault::cut(),
        Fault::cut_body(),
        Fault::bad_gateway(),
        Fault::truncated_json(),
        Fault::large_body(),
        Fault::html(),
    ];
    for fault in faults {
        let scene = Scene::new();
        scene.sandbox.faults().add(fault.path("/token"));
        assert!(scene.sso_token(json!({ "offline_token": scene.offline_token() })).failed());
        assert_eq!(scene.sandbox.records().to("/token").len(), 1);
    }
}

#[test]
fn who_has_waited_for_the_whole_time_out_is_not_made_to_wait_again() {
    let scene = Scene::new();
    for (path, sentence) in [("/token", "is not known"), ("/userinfo", "could not be proven")] {
        scene.sandbox.records().clear();
        scene.sandbox.faults().add(Fault::delay(Duration::from_secs(30)).path(path));
        let run = scene.sso_token(json!({ "offline_token": scene.offline_token(), "request_timeout": "0.5" }));
        assert!(run.failed() && run.message().contains("no answer within request_timeout"), "{run}");
        assert!(run.message().contains(sentence), "{run}");
        assert_eq!(scene.sandbox.records().to(path).len(), 1);
        scene.sandbox.faults().clear();
    }
}

#[test]
fn a_server_that_is_starting_is_waited_for() {
    let scene = Scene::in_realm("rotating");
    scene.sandbox.faults().add(Fault::starting(1).times(2));
    let run = scene.sso_token(json!({ "offline_token_file": scene.offline_token_file() })).succeeded();
    assert!(run.changed());
    assert_eq!(scene.sandbox.records().to("/token").len(), 3);

    scene.sandbox.faults().add(Fault::starting(0));
    let run = scene.sso_token(json!({ "offline_token": scene.offline_token() }));
    assert!(run.failed() && run.message().contains("still starting; try again in a minute"), "{run}");
}

#[test]
fn a_lost_answer_leaves_the_old_token_and_the_next_run_tells() {
    let forgiving = Scene::in_realm("rotating-reuse-1");
    let file = forgiving.offline_token_file();
    forgiving.sandbox.faults().add(Fault::lost_answer().path("/token").times(1));
    let lost = forgiving.sso_token(json!({ "offline_token_file": file }));
    assert!(lost.failed() && lost.message().contains("whether the offline token was used is not known"), "{lost}");
    forgiving.sso_token(json!({ "offline_token_file": file })).succeeded();

    let strict = Scene::in_realm("rotating");
    let file = strict.offline_token_file();
    let before = read(&file);
    strict.sandbox.faults().add(Fault::lost_answer().path("/token").times(1));
    assert!(strict.sso_token(json!({ "offline_token_file": file })).failed());
    assert_eq!(read(&file), before);
    let told = strict.sso_token(json!({ "offline_token_file": file }));
    assert!(told.failed() && told.message().contains("with the only newer one, was lost on the way"), "{told}");
    assert_eq!(read(&file), before, "a stored token is never deleted because of an error");
}

#[test]
fn a_newer_token_that_a_killed_run_left_is_used_though_the_stored_one_has_ended() {
    let scene = Scene::new();
    let file = scene.offline_token_file();
    let ended = read(&file);
    scene.sso_token(json!({ "offline_token_file": file })).succeeded();
    // As a run leaves it that is killed between writing and renaming.
    fs::rename(&file, scene.path(".offline_token.tokensmith.new")).unwrap();
    fs::write(&file, with_end_in_the_past(&ended)).unwrap();
    scene.sso_token(json!({ "offline_token_file": file })).succeeded();
    assert!(scene.realm.offline_token_is_alive(&read(&file)));
}

#[test]
fn a_token_that_is_not_proven_is_not_handed_over_but_the_offline_token_is_kept() {
    let scene = Scene::in_realm("rotating");
    let (file, access) = (scene.offline_token_file(), scene.path("access"));
    scene.sandbox.faults().add(Fault::answer(401, "text/plain", "").path("/userinfo"));
    let run = scene.sso_token(json!({ "offline_token_file": file, "dest": access }));
    assert!(run.failed() && run.message().contains("could not be proven, so it was not handed over"), "{run}");
    assert!(run.changed(), "the newest offline token was written");
    assert!(!access.exists());
    assert!(run.result.get("access_token").is_none());
    assert!(scene.realm.offline_token_is_alive(&read(&file)));

    let given = scene.sso_token(json!({ "offline_token": scene.offline_token(), "dest": access }));
    assert!(given.failed() && scene.realm.offline_token_is_alive(given.text("offline_token")), "{given}");
}

#[test]
fn a_page_in_place_of_the_user_information_proves_nothing() {
    for fault in [Fault::html(), Fault::truncated_json(), Fault::answer(200, "application/json", "{}")] {
        let scene = Scene::in_realm("rotating");
        scene.sandbox.faults().add(fault.path("/userinfo"));
        let (file, access) = (scene.offline_token_file(), scene.path("access"));
        let run = scene.sso_token(json!({ "offline_token_file": file, "dest": access }));
        assert!(run.failed() && run.message().contains("could not be proven, so it was not handed over"), "{run}");
        assert!(!access.exists() && scene.realm.offline_token_is_alive(&read(&file)), "{run}");
    }
}

#[test]
fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let scene = Scene::new();
    let file = scene.offline_token_file();
    let before = read(&file);
    scene.sandbox.faults().add(Fault::without_refresh_token());
    scene.sso_token(json!({ "offline_token_file": file })).succeeded();
    assert_eq!(read(&file), before);
}

#[test]
fn a_scope_that_the_token_lacks_is_warned_of_and_not_asked_for_again() {
    let scene = Scene::new();
    let options = json!({ "offline_token_file": scene.offline_token_file(), "dest": scene.path("access"), "scope": ["openid", "api.console"] });
    let run = scene.sso_token(options.clone()).succeeded();
    assert!(run.warnings().contains("lacks the scope api.console"), "{run}");
    assert_eq!(scene.sso_token(options).succeeded().text("reason"), "valid");
}

#[test]
fn an_access_token_shorter_than_renew_before_is_warned_of() {
    let scene = Scene::new();
    let token = scene.realm.issue_offline_token("short-access", "openid offline_access").unwrap();
    let run = scene.sso_token(json!({ "offline_token": token, "dest": scene.path("access") })).succeeded();
    assert!(run.warnings().contains("every run will get a new one"), "{run}");
}

#[test]
fn a_clock_that_is_off_is_told_and_allowed_for() {
    let scene = Scene::new();
    scene.sandbox.clock().advance(-7200);
    let options = json!({ "offline_token_file": scene.offline_token_file(), "dest": scene.path("access") });
    let run = scene.sso_token(options.clone()).succeeded();
    assert!((-7201..=-7199).contains(&run.result["clock_offset"].as_i64().unwrap()), "{run}");
    assert!(run.warnings().contains("seconds ahead of the server's"), "{run}");
    // By the token's own exp it would have ended long ago.
    assert_eq!(scene.sso_token(options).succeeded().text("reason"), "valid");
}

#[test]
fn ten_runs_at_once_on_one_file_lose_nothing() {
    let scene = Scene::in_realm("rotating");
    let options = scene.options(json!({ "offline_token_file": scene.offline_token_file(), "dest": scene.path("access"), "renew_before": "900s" }));
    let runs: Vec<_> = (0..10).map(|_| executable::start_module("sso_token", &options)).collect();
    for run in runs {
        executable::Run::from_output(&run.wait_with_output().unwrap()).succeeded();
    }
    assert!(scene.realm.offline_token_is_alive(&read(&scene.path("offline_token"))));
    assert!(scene.realm.access_token_works(&read(&scene.path("access"))));
}

#[test]
fn an_asynchronous_task_is_refused_before_it_would_return_a_token() {
    let scene = Scene::new();
    let file = scene.offline_token_file();
    let cases = [
        (json!({ "offline_token_file": file }), true),
        (json!({ "offline_token_file": file, "dest": scene.path("access"), "return_token": true }), true),
        (json!({ "offline_token": read(&file), "dest": scene.path("access") }), true),
        (json!({ "offline_token": read(&file), "state": "absent" }), true),
        (json!({ "offline_token_file": file, "dest": scene.path("access") }), false),
    ];
    for (options, refused) in cases {
        let mut options = options;
        options["_tokensmith_async"] = json!(true);
        let run = scene.sso_token(options);
        assert_eq!(run.failed(), refused, "{run}");
        assert_eq!(run.message().contains("leave async out"), refused, "{run}");
        assert_eq!(scene.sandbox.records().all().is_empty(), refused);
    }
}

#[test]
fn without_checking_certificates_every_result_warns() {
    let scene = Scene::new();
    let run = scene
        .sso_token(json!({ "offline_token": scene.offline_token(), "ca_path": null, "validate_certs": false }))
        .succeeded();
    assert!(run.warnings().contains("The server's certificate is not checked"), "{run}");
}

#[test]
fn the_same_is_done_as_a_plain_command() {
    let scene = Scene::new();
    let file = scene.offline_token_file();
    let words = [
        "sso_token".to_owned(),
        format!("--offline-token-file={}", file.display()),
        format!("--dest={}", scene.path("access").display()),
        format!("--token-url={}", scene.realm.token_url()),
        format!("--ca-path={}", scene.sandbox.ca_path().display()),
        "--use-proxy=false".to_owned(),
    ];
    let run = executable::Run::from_output(&executable::command_line(&words)).succeeded();
    assert!(run.changed() && scene.realm.access_token_works(&read(&scene.path("access"))), "{run}");
    assert!(run.result.get("invocation").is_none());

    let secret = scene.file("secret", SERVICE_ACCOUNT_SECRET);
    let words = [
        "sso_token".to_owned(),
        format!("--client-id={SERVICE_ACCOUNT}"),
        format!("--client-secret-file={}", secret.display()),
        format!("--token-url={}", scene.realm.token_url()),
        format!("--ca-path={}", scene.sandbox.ca_path().display()),
        "--check".to_owned(),
    ];
    executable::Run::from_output(&executable::command_line(&words)).succeeded();
}

/// The program as a user who is not root, whom permissions would not stop.
fn as_another_user(program: &Path) -> Command {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

fn aged(scene: &Scene, seconds: i64) -> Value {
    let token = scene.offline_token();
    scene.sandbox.clock().advance(seconds);
    json!({ "offline_token": token })
}

fn ended(scene: &Scene) -> Value {
    let token = scene.offline_token();
    scene.realm.end_sessions();
    json!({ "offline_token": token })
}

fn disabled_user(scene: &Scene) -> Value {
    let token = scene.offline_token();
    scene.realm.change(|realm| realm.users.get_mut("casey").unwrap().enabled = false);
    json!({ "offline_token": token })
}

fn without_offline_access(scene: &Scene) -> Value {
    let token = scene.offline_token();
    scene.realm.change(|realm| realm.users.get_mut("casey").unwrap().offline_access = false);
    json!({ "offline_token": token })
}

fn not_before(scene: &Scene) -> Value {
    let token = scene.offline_token();
    let now = scene.sandbox.clock().seconds();
    scene.realm.change(|realm| realm.not_before = now + 60);
    json!({ "offline_token": token })
}

fn disabled_realm(scene: &Scene) -> Value {
    let token = scene.offline_token();
    scene.realm.change(|realm| realm.enabled = false);
    json!({ "offline_token": token })
}

fn moved(scene: &Scene) -> Value {
    let token = scene.offline_token();
    scene.realm.change(|realm| realm.public_url = Some("https://elsewhere.example.com".into()));
    json!({ "offline_token": token })
}

fn disabled_service_account(scene: &Scene) -> Value {
    scene.realm.change(|realm| realm.clients.get_mut(SERVICE_ACCOUNT).unwrap().service_account_user_enabled = false);
    json!({ "client_id": SERVICE_ACCOUNT, "client_secret": SERVICE_ACCOUNT_SECRET })
}

fn service_account_with(option: &str, value: &str) -> Value {
    json!({ "client_id": SERVICE_ACCOUNT, "client_secret": SERVICE_ACCOUNT_SECRET, option: value })
}

fn with(scene: &Scene, option: &str, value: &str) -> Value {
    json!({ "offline_token": scene.offline_token(), option: value })
}

fn elsewhere(scene: &Scene, part: &str, other: &str) -> Value {
    json!({ "offline_token": "opaque-token", "token_url": scene.realm.token_url().replacen(part, other, 1) })
}

fn access_token(scene: &Scene) -> String {
    scene.sso_token(json!({ "offline_token": scene.offline_token() })).succeeded().text("access_token").to_owned()
}

fn of_realm(scene: &Scene, realm: &str) -> String {
    scene.sandbox.sso().realm(realm).issue_offline_token("cloud-services", "openid offline_access").unwrap()
}

/// An offline token of the right realm whose session was limited, and has ended.
fn expired_token(scene: &Scene) -> String {
    scene.realm.change(|realm| realm.offline_limit = Some(60));
    scene.sandbox.clock().advance(-3600 * 24 * 40);
    let token = scene.offline_token();
    scene.sandbox.clock().advance(3600 * 24 * 40);
    token
}

/// The same token with an end in the past; its signature does not matter to who cannot check it.
fn with_end_in_the_past(token: &str) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
    claims["exp"] = json!(1_700_000_000);
    parts[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
    parts.join(".")
}

fn online_token(token_url: &str, scene: &Scene) -> String {
    let fields = "grant_type=password&client_id=cloud-services&username=casey&password=casey-test-only&scope=openid";
    let output = Command::new("curl")
        .args(["--silent", "--noproxy", "*", "--cacert"])
        .arg(scene.sandbox.ca_path())
        .args(["--data", fields, token_url])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["refresh_token"].as_str().unwrap().to_owned()
}

fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn with_port(scene: &Scene, port: u16) -> String {
    let url = scene.realm.token_url();
    let path = &url[url.find("/auth").unwrap()..];
    format!("https://127.0.0.1:{port}{path}")
}

fn tls_to_plain(scene: &Scene) -> String {
    let plain = scene.sandbox.sso().plain_url().replacen("http:", "https:", 1);
    let url = scene.realm.token_url();
    format!("{plain}{}", &url[url.find("/auth").unwrap()..])
}

fn other_authority(scene: &Scene) -> std::path::PathBuf {
    let other = Scene::new();
    let pem = read(Path::new(&other.sandbox.ca_path()));
    scene.file("other-ca.pem", &pem)
}

const SERVICE_ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";
const SERVICE_ACCOUNT_SECRET: &str = "insights-service-account-secret-for-tests";
