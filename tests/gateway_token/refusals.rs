//! What the platform refuses: what the operator reads, and that nothing was changed.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::platform::Release;
use tokensmith_tests::gateway::{GatewayScene, USER};
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::{names, read};

use super::{APIS, DAY, held};

/// A case's name, what it makes of the scene and asks for, and words of the message.
type Case = (&'static str, fn(&GatewayScene) -> Value, &'static [&'static str]);

#[test]
fn a_gateway_that_refuses_the_credential_is_explained_whatever_is_asked_for() {
    let cases: [Case; 12] = [
        (
            "unknown token",
            |_| json!({ "gateway_token": "x".repeat(30) }),
            &["is not known here: it was deleted, or it is of another server", NOT_PROVIDED],
        ),
        ("deleted token", deleted, &["is not known here", NOT_PROVIDED]),
        ("expired token", expired, &["has ended; log in with a password, or get a new token", NOT_PROVIDED]),
        (
            "a token of the controller",
            |scene| json!({ "gateway_token": scene.sandbox.controller().issue_token(USER, "x", "write").1 }),
            &["is not known here", "the gateway's and the controller's tokens differ"],
        ),
        (
            "wrong password",
            wrong_password,
            &[
                WRONG_PASSWORD,
                "users of an external identity provider have no password here",
                "401 Invalid username/password.",
            ],
        ),
        ("a user who may not log in", inactive, &[WRONG_PASSWORD]),
        ("passwords switched off", no_passwords, &["or passwords are switched off for this API", NOT_PROVIDED]),
        ("empty token", |_| json!({ "gateway_token": " \n" }), &["gateway_token is empty"]),
        ("empty token in a dictionary", |_| json!({ "gateway_token": { "token": "" } }), &["gateway_token is empty"]),
        (
            "empty file",
            |scene| json!({ "gateway_token_file": scene.file("caller", "\n") }),
            &["gateway_token_file is empty"],
        ),
        (
            "no file",
            |_| json!({ "gateway_token_file": "/nonexistent/token" }),
            &["gateway_token_file /nonexistent/token cannot be read"],
        ),
        (
            "nothing",
            |_| json!({ "gateway_username": USER }),
            &["one of the following is required: gateway_password, gateway_token, gateway_token_file"],
        ),
    ];
    for (task, is_held) in TASKS {
        check("gateway", &cases, task, is_held);
    }
}

#[test]
fn a_controller_that_refuses_the_credential_does_not_say_why_and_the_message_says_so() {
    let words: &[&str] = &[
        "the credential is not accepted: it is wrong, deleted or ended, or passwords are switched off for this API",
        "the server does not say which",
        "401 Authentication credentials were not provided. To establish a login session",
    ];
    let cases: [Case; 6] = [
        ("unknown token", |_| json!({ "gateway_token": "x".repeat(30) }), words),
        ("deleted token", deleted, words),
        ("expired token", expired, words),
        ("wrong password", wrong_password, words),
        ("a user who may not log in", inactive, words),
        ("passwords switched off", no_passwords, words),
    ];
    for (task, is_held) in TASKS {
        check("controller", &cases, task, is_held);
    }
}

#[test]
fn a_token_that_is_not_created_is_explained() {
    let cases: [Case; 12] = [
        ("unknown user", |_| json!({ "gateway_username": "eve", "gateway_password": "wrong-password" }), &["401"]),
        (
            "a token that may only look",
            |scene| json!({ "gateway_token": scene.platform().issue_token(USER, "x", "read").1 }),
            &["its scope is too small (a read token changes nothing)", FORBIDDEN],
        ),
        (
            "an external user",
            |scene| json!({ "gateway_username": "erin", "gateway_password": scene.platform().password("erin") }),
            &[
                "this user comes from an external identity provider",
                "use a local user, or have the setting",
                "403 (access_denied)",
            ],
        ),
        ("a limit without end", |scene| faulty(scene, limit()), &["limits requests and nothing was changed", "429"]),
        (
            "an internal error",
            |scene| faulty(scene, Fault::server_error()),
            &["none has been issued as far as the server shows", "status 500", "a proxy before it failed"],
        ),
        (
            "a proxy's page",
            |scene| faulty(scene, Fault::bad_gateway()),
            &["none has been issued as far as the server shows", "status 502"],
        ),
        (
            "a portal's page",
            |scene| faulty(scene, Fault::html()),
            &["none has been issued as far as the server shows", "status 200"],
        ),
        (
            "a cut connection",
            |scene| faulty(scene, Fault::cut()),
            &["none has been issued as far as the server shows", "its answer was lost"],
        ),
        (
            "unsupported",
            |scene| {
                faulty(scene, Fault::answer(415, "application/json", r#"{"detail":"Unsupported media type \"x\""}"#))
            },
            &["the server refuses the request", "415 Unsupported media type"],
        ),
        (
            "bad description",
            |scene| {
                let body = r#"{"description":["Null characters are not allowed."]}"#;
                faulty(scene, Fault::answer(400, "application/json", body))
            },
            &["the server refuses the request", "400 description: Null characters are not allowed."],
        ),
        ("another server", |scene| json!({ "gateway_hostname": scene.sandbox.quay().url() }), &[NO_SUCH_API]),
        (
            "the other api",
            |scene| {
                let other = if scene.options(json!({}))["api"] == "gateway" { "awx" } else { "gateway" };
                json!({ "api": other })
            },
            &[NO_SUCH_API],
        ),
    ];
    for api in APIS {
        for (task, is_held) in [("present", false), ("rotated", true), ("nowhere", false)] {
            check(api, &cases, task, is_held);
        }
    }
}

#[test]
fn what_only_one_api_or_release_refuses_is_explained() {
    let gateway: [Case; 2] = [
        (
            "an application's token for an ordinary user",
            |_| json!({ "application": "deploy" }),
            &["tokens of applications need an administrator", FORBIDDEN],
        ),
        (
            "a scope that this release does not know",
            |scene| {
                scene.platform().change(|state| state.release = Release::Dab2025_5_8);
                json!({ "scope": ["openid"] })
            },
            &["the scope is not one of this server's; releases differ", "400 scope: Invalid scope: openid."],
        ),
    ];
    let controller: [Case; 2] = [
        (
            "an application of another organization",
            |scene| json!({ "application": scene.platform().application("ci", "Engineering") }),
            &["there is no application", "or this user may not see it"],
        ),
        (
            "a scope of the gateway's",
            |_| json!({ "scope": ["openid"] }),
            &["have no scope openid; they have read and write"],
        ),
    ];
    for (task, is_held) in [("present", false), ("rotated", true)] {
        check("gateway", &gateway, task, is_held);
        check("controller", &controller, task, is_held);
    }
}

#[test]
fn a_broken_platform_is_explained_at_the_first_question() {
    let cases: [Case; 4] = [
        ("html", |scene| broken(scene, Fault::html()), &["status 200: a page (HTML) where JSON was expected"]),
        ("half", |scene| broken(scene, Fault::truncated_json()), &["/me/"]),
        ("large", |scene| broken(scene, Fault::large_body()), &["4 MiB"]),
        (
            "internal",
            |scene| broken(scene, Fault::server_error()),
            &["status 500", "the server or a proxy before it failed"],
        ),
    ];
    for task in ["present", "absent"] {
        check("gateway", &cases, task, true);
    }
}

#[test]
fn a_task_that_cannot_be_meant_is_refused_before_any_request() {
    let scene = GatewayScene::new();
    for (options, words) in [
        (json!({ "scope": [] }), "scope is empty; a token has at least one"),
        (json!({ "scope": ["admin"] }), "value of scope must be one or more of"),
        (json!({ "api": "controller", "scope": ["roles"] }), "tokens of this api have no scope roles"),
        (json!({ "api": "hub" }), "value of api must be one of"),
        (json!({ "description": "" }), "nothing says which token is meant"),
        (json!({ "description": "", "state": "absent" }), "nothing says which token is meant"),
        (json!({ "organization": "Default" }), "missing parameter(s) required by 'organization': application"),
        (json!({ "existing_token": "t", "existing_token_id": 1 }), "mutually exclusive"),
        (json!({ "existing_token": "t", "dest": scene.path("token") }), "mutually exclusive"),
        (json!({ "existing_token": " " }), "existing_token is empty"),
        (json!({ "existing_token": { "id": 5 } }), "existing_token"),
        (json!({ "gateway_username": null, "gateway_password": "secret-of-nobody" }), "gateway_username"),
        (json!({ "renew_before": "soon" }), "is not a length of time"),
        (json!({ "gateway_hostname": format!("{}/api", scene.platform().url()) }), "write scheme, host and port alone"),
        (json!({ "gateway_hostname": "http://aap.example.com" }), "in the clear"),
    ] {
        let run = scene.token_task(options.clone());
        assert!(run.failed() && run.message().contains(words), "{options}: {run}");
        assert!(!run.message().contains("untagged"), "{options}: {run}");
    }
    assert!(scene.requests().is_empty(), "{:?}", scene.requests());
}

#[test]
fn a_deletion_that_is_refused_is_told_and_nothing_is_taken_out_of_dest() {
    for api in APIS {
        let scene = GatewayScene::of(api);
        let held = held(&scene);
        let options = json!({ "dest": held.dest, "state": "absent" });
        for (fault, words) in [
            (Fault::server_error(), "status 500"),
            (
                Fault::answer(
                    403,
                    "application/json",
                    r#"{"detail":"You do not have permission to perform this action."}"#,
                ),
                FORBIDDEN,
            ),
        ] {
            scene.sandbox.faults().clear();
            scene.fault(fault.method("DELETE"));
            let run = scene.token_task(options.clone());
            assert!(run.failed() && !run.changed() && run.message().contains(words), "{run}");
            assert!(run.message().contains(&format!("the token {} could not be deleted", held.id)), "{run}");
            assert_eq!((read(&held.dest), scene.platform().token_works(&held.token)), (held.token.clone(), true));
        }
        scene.sandbox.faults().clear();
        // Done, and the server says that it was not.
        scene.fault(Fault::answer(204, "text/plain", "").method("DELETE").times(1));
        let run = scene.token_task(options.clone());
        assert!(run.failed() && run.message().contains("accepts it all the same"), "{run}");
        assert_eq!(read(&held.dest), held.token);
        let run = scene.token_task(options).succeeded();
        assert_eq!(run.result["deleted"], json!([held.id]), "{run}");
        assert!(!held.dest.exists() && !scene.platform().token_works(&held.token));
    }
}

#[test]
fn a_token_of_another_user_that_a_task_names_is_not_touched_by_any_release() {
    for release in [Release::Dab2025_5_8, Release::Dab2026_3_19, Release::Dab2026_6_2, Release::Awx24_6_1] {
        let scene = GatewayScene::of(if release == Release::Awx24_6_1 { "controller" } else { "gateway" });
        scene.platform().change(|state| state.release = release);
        let (id, token) = scene.platform().issue_token("bob", "ci", "write");
        let is_hidden = release == Release::Dab2026_6_2;

        let run = scene.token_task(json!({ "existing_token_id": id, "state": "absent" }));
        assert_eq!(run.failed(), !is_hidden, "{release:?}: {run}");
        assert!(is_hidden || run.message().contains(FORBIDDEN), "{release:?}: {run}");
        assert!(!run.changed(), "{release:?}: {run}");

        let run = scene.token_task(json!({ "existing_token": token, "state": "absent" }));
        assert!(run.failed() && run.message().contains("the token is of the user bob; log in as that user"), "{run}");

        let dest = scene.file("token", &token);
        let run = scene.token_task(json!({ "dest": dest, "state": "absent" }));
        assert!(run.failed() && run.message().contains("the token is of the user bob; log in as that user"), "{run}");
        assert!(scene.platform().token_works(&token) && read(&dest) == token, "{release:?}");
        assert!(scene.writes().is_empty(), "{release:?}");
    }
}

/// Each case in a scene of its own, side by side: it fails with these words, and leaves the platform and the folder as they were.
fn check(api: &'static str, cases: &[Case], task: &str, is_held: bool) {
    std::thread::scope(|threads| {
        for case in cases {
            threads.spawn(move || check_one(api, case, task, is_held));
        }
    });
}

fn check_one(api: &'static str, (name, make, words): &Case, task: &str, is_held: bool) {
    let scene = GatewayScene::of(api);
    let case = format!("{api}, {name}, {task}, {is_held}");
    let dest = scene.path("token");
    let token = is_held.then(|| held(&scene).token);
    let asked = make(&scene);
    let before: Vec<i64> = scene.platform().tokens().iter().map(|token| token.id).collect();
    let options = match task {
        "nowhere" => json!({ "description": "other" }),
        state => json!({ "dest": dest, "state": state }),
    };
    let run = scene.token_task(with(options, asked.clone()));
    assert!(run.failed() && !run.changed(), "{case}: {run}");
    for word in *words {
        assert!(run.message().contains(word), "{case}: {word}: {run}");
    }
    assert!(run.message().len() < 1200 && !run.message().contains('\n'), "{case}: {run}");
    let caller = asked["gateway_token"].as_str().unwrap_or_default().trim().to_owned();
    let secrets = [token.clone().unwrap_or_default(), scene.platform().password(USER), caller];
    let mut secrets = secrets.iter().filter(|secret| !secret.is_empty());
    assert!(secrets.all(|secret| !run.stdout.contains(secret.as_str())), "{case}: {run}");
    let after: Vec<i64> = scene.platform().tokens().iter().map(|token| token.id).collect();
    assert_eq!(after, before, "{case}");
    assert_eq!(dest.exists().then(|| read(&dest)), token, "{case}");
    let left = names(dest.parent().unwrap());
    assert!(left.iter().all(|file| !file.contains("tmp")), "{case}: {left:?}");
}

fn deleted(scene: &GatewayScene) -> Value {
    let (id, token) = scene.platform().issue_token(USER, "caller", "write");
    assert!(scene.platform().revoke(id));
    json!({ "gateway_token": token })
}

fn expired(scene: &GatewayScene) -> Value {
    let (id, token) = scene.platform().issue_token(USER, "caller", "write");
    assert!(scene.platform().expire_in(id, -DAY));
    json!({ "gateway_token": token })
}

fn wrong_password(_: &GatewayScene) -> Value {
    json!({ "gateway_username": USER, "gateway_password": "wrong-password" })
}

fn inactive(scene: &GatewayScene) -> Value {
    scene.platform().change(|state| {
        let user = state.users.iter_mut().find(|user| user.username == USER);
        user.expect("the user is there").is_active = false;
    });
    json!({})
}

fn no_passwords(scene: &GatewayScene) -> Value {
    scene.platform().change(|state| state.basic_auth = false);
    json!({})
}

/// It meets the request for a new token.
fn faulty(scene: &GatewayScene, fault: Fault) -> Value {
    scene.fault(fault.path("/tokens/").method("POST"));
    json!({})
}

fn broken(scene: &GatewayScene, fault: Fault) -> Value {
    scene.fault(fault.path("/me/"));
    json!({})
}

fn limit() -> Fault {
    let limit = json!({
        "fault": "answer", "status": 429, "content_type": "application/json", "retry_after": "0",
        "body": r#"{"detail":"Request was throttled."}"#,
    });
    serde_json::from_value(limit).expect("this is a fault")
}

const TASKS: [(&str, bool); 5] =
    [("present", false), ("present", true), ("rotated", true), ("absent", true), ("nowhere", false)];
const NOT_PROVIDED: &str = "401 Authentication credentials were not provided.";
const WRONG_PASSWORD: &str = "the user name or the password is wrong";
const FORBIDDEN: &str = "403 You do not have permission to perform this action.";
const NO_SUCH_API: &str = "there is no such API at this address; are gateway_hostname and api right?";
