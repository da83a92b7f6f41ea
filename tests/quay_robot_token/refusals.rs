//! What the server refuses: what the operator reads, and that nothing was changed.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::quay::Release;
use tokensmith_tests::quay::{QuayScene, with};
use tokensmith_tests::scene::{names, read};

/// A case's name, what it makes of the scene and asks for, and words of the message.
type Case = (&'static str, fn(&QuayScene) -> Value, &'static [&'static str]);

#[test]
fn a_refused_look_is_explained_and_nothing_is_changed() {
    let cases: [Case; 23] = [
        ("unknown token", |_| json!({ "quay_token": "x".repeat(40) }), &[BAD_TOKEN, "401 Requires authentication"]),
        ("no token", |_| json!({ "quay_token": " " }), &["quay_token is empty"]),
        ("revoked token", revoked, &[BAD_TOKEN]),
        ("expired token", expired, &[BAD_TOKEN]),
        ("user disabled", disabled, &[BAD_TOKEN, "or its user is disabled"]),
        (
            "the robot's own token",
            |scene| json!({ "quay_token": scene.robot_token("acme+ci") }),
            &[BAD_TOKEN, "a robot's token is none"],
        ),
        (
            "a token of a login service",
            |scene| json!({ "quay_token": scene.external_token("acme+ci").sign().unwrap() }),
            &[BAD_TOKEN, "not configured)"],
        ),
        ("no anonymous access", no_anonymous_access, &[BAD_TOKEN, "401 Anonymous access is not allowed"]),
        ("wrong scope", |scene| token(scene, "alice", "user:admin"), &[NOT_ALLOWED, "403 Unauthorized"]),
        ("member", |scene| token(scene, "bob", "org:admin"), &[NOT_ALLOWED]),
        ("creator", |scene| token(scene, "carol", "org:admin"), &[NOT_ALLOWED]),
        ("superuser", |scene| token(scene, "root", "org:admin super:user"), &[NOT_ALLOWED]),
        (
            "superuser with full access whose token does not say so",
            |scene| {
                scene.quay().change(|state| state.superusers_full_access = true);
                token(scene, "root", "org:admin")
            },
            &[NOT_ALLOWED],
        ),
        (
            "read-only superuser",
            |scene| token(scene, "auditor", "org:admin"),
            &["the server shows acme+ci without its token", "a read-only superuser"],
        ),
        ("a scope that the server does not know", |scene| token(scene, "alice", "org:admin x:y"), &["status 500"]),
        ("missing robot", |_| json!({ "robot": "nobody" }), &["there is no robot nobody; ", "create_robot: true"]),
        ("capital letters", |_| json!({ "robot": "CI" }), &["there is no robot CI; names are case-sensitive"]),
        (
            "missing organization",
            |_| json!({ "organization": "nowhere" }),
            &["there is no organization nowhere; check its name"],
        ),
        (
            "organization in capital letters",
            |_| json!({ "organization": "ACME" }),
            &["there is no organization ACME; check its name, which is case-sensitive"],
        ),
        (
            "a user as organization",
            |_| json!({ "organization": "alice", "robot": "laptop" }),
            &["Organization does not exist: alice", "leave organization out"],
        ),
        (
            "a user's robot in full",
            |_| json!({ "organization": null, "robot": "alice+laptop" }),
            &["Organization does not exist: alice", "name the robot short"],
        ),
        (
            "an unknown organization for a superuser",
            |scene| {
                scene.quay().change(|state| state.superusers_full_access = true);
                let options = token(scene, "root", "org:admin super:user");
                with(options, json!({ "organization": "nowhere" }))
            },
            &["Organization does not exist: nowhere", "check its name"],
        ),
        (
            "a user's robots without the scope to ask who the user is",
            |scene| {
                let options = token(scene, "alice", "org:admin");
                with(options, json!({ "organization": null, "robot": "laptop" }))
            },
            &["user:admin", "401 Requires authentication"],
        ),
    ];
    for state in ["present", "rotated"] {
        check(&cases, state);
    }
    let limited: Case = (
        "a limit without end",
        |scene| {
            let fault = json!({
                "fault": "answer", "status": 429, "content_type": "text/html", "body": "<p>", "retry_after": "0",
                "path": "/robots/ci",
            });
            scene.control("fault", &fault);
            json!({})
        },
        &["the server limits requests and nothing was changed", "429"],
    );
    check(&[limited], "present");
}

#[test]
fn a_refused_rotation_is_explained_and_the_old_token_stands() {
    let cases: [Case; 9] = [
        (
            "a token that dies between reading and writing",
            |scene| {
                let page = "{\"error\": \"CSRF token was invalid or missing.\"}\n";
                scene.fault(Fault::answer(403, "text/html; charset=utf-8", page).method("POST"));
                json!({})
            },
            &[BAD_TOKEN, "403 CSRF token was invalid or missing."],
        ),
        (
            "read-only mode",
            |scene| {
                scene.quay().change(|state| state.read_only = true);
                json!({})
            },
            &["the registry is in read-only mode and nothing was changed"],
        ),
        (
            "a limit without end",
            |scene| {
                let page = "<html><head><title>429 Too Many Requests</title></head></html>";
                let fault = json!({
                    "fault": "answer", "status": 429, "content_type": "text/html", "body": page, "retry_after": "0",
                    "method": "POST",
                });
                scene.control("fault", &fault);
                json!({})
            },
            &["the server limits requests and nothing was changed; use a lower concurrency", "(the server said: 429)"],
        ),
        (
            "a read-only superuser of a release that shows tokens",
            |scene| {
                scene.quay().change(|state| state.release = (3, 18, 0));
                token(scene, "auditor", "org:admin")
            },
            &[NOT_ALLOWED],
        ),
        (
            "a restricted user",
            |scene| {
                scene.quay().change(|state| state.restricted_users = true);
                let options = token(scene, "dave", "user:admin");
                with(options, json!({ "organization": null }))
            },
            &[NOT_ALLOWED, "restricted user"],
        ),
        (
            "a robot deleted between reading and writing",
            |scene| {
                let body = "{\"message\": \"Could not find robot with specified username\"}";
                scene.fault(Fault::answer(400, "application/json", body).method("POST"));
                json!({})
            },
            &["there is no robot ci; "],
        ),
        (
            "a server that breaks",
            |scene| {
                scene.fault(Fault::server_error().method("POST"));
                json!({})
            },
            &[
                "none has been issued as far as the server shows; the old token stands, run the task again",
                "status 500",
            ],
        ),
        (
            "a connection that is cut",
            |scene| {
                scene.fault(Fault::cut().method("POST"));
                json!({})
            },
            &["none has been issued as far as the server shows; the old token stands", "its answer was lost"],
        ),
        (
            "a gateway that breaks",
            |scene| {
                scene.fault(Fault::bad_gateway().method("POST"));
                json!({})
            },
            &["none has been issued", "502"],
        ),
    ];
    check(&cases, "rotated");
}

#[test]
fn what_a_broken_server_says_to_the_first_question_is_no_riddle() {
    let cases: [(Fault, &[&str]); 5] = [
        (Fault::bad_gateway().path("/v2/"), &["/v2/", "status 502", "a proxy before it failed"]),
        (Fault::html().path("/v2/"), &["there is no registry of Quay at this address", "Log in to use this network"]),
        (Fault::bad_gateway().path("/robots/"), &["/robots/ci", "status 502", "a proxy before it failed"]),
        (Fault::html().path("/robots/"), &["/robots/ci", "a page (HTML) where JSON was expected"]),
        (Fault::answer(404, "text/html", "<h1>Not Found</h1>").path("/robots/"), &["there is no API of Quay"]),
    ];
    for (fault, words) in cases {
        let scene = QuayScene::new();
        scene.fault(fault);
        let run = scene.robot_token_task(json!({ "robot": "ci" }));
        assert!(run.failed() && words.iter().all(|word| run.message().contains(word)), "{words:?}: {run}");
    }
}

#[test]
fn a_limit_that_ends_is_waited_for() {
    let scene = QuayScene::new();
    scene.fault(Fault::too_many_requests().method("POST").times(1));
    scene.fault(Fault::too_many_requests().path("/v2/auth").times(1));
    let run = scene.robot_token_task(json!({ "robot": "ci", "state": "rotated" })).succeeded();
    assert_eq!(run.text("token"), scene.robot_token("acme+ci"));
    assert_eq!(scene.quay().regenerations("acme+ci"), 1);
}

#[test]
fn a_log_in_that_meets_the_limit_says_so() {
    let scene = QuayScene::new();
    let fault = json!({
        "fault": "answer", "status": 429, "content_type": "text/html", "body": "<p>no</p>", "retry_after": "0",
        "path": "/v2/auth",
    });
    scene.control("fault", &fault);
    let run = scene.robot_token_task(json!({ "robot": "ci", "state": "rotated", "dest": scene.path("token") }));
    assert!(run.failed() && run.message().contains("limits requests"), "{run}");
    assert!(run.message().contains("whether it works could not be asked"), "{run}");
    assert_eq!(read(&scene.path("token")), scene.robot_token("acme+ci"));
}

#[test]
fn a_robot_that_cannot_be_made_says_why() {
    let cases: [(&str, Release, &str, &[&str]); 6] = [
        ("Upper", NOW, "", &["no robot can have this name: small letters and digits", "400 The name for the robot"]),
        ("my__robot", NOW, "", &["no robot can have this name"]),
        ("a", NOW, "", &["no robot can have this name", "2 to 255 characters"]),
        ("Upper", (3, 10, 0), "", &["no robot can have this name"]),
        ("new", NOW, &"long ".repeat(60), &["description", "255 characters"]),
        ("new", (3, 9, 0), &"ä".repeat(256), &["description", "255 characters"]),
    ];
    for (robot, release, description, words) in cases {
        let scene = QuayScene::new();
        scene.quay().change(|state| state.release = release);
        let options = json!({ "robot": robot, "create_robot": true, "description": description });
        let run = scene.robot_token_task(options);
        assert!(run.failed() && words.iter().all(|word| run.message().contains(word)), "{robot}: {run}");
        assert!(run.message().len() < 400, "{run}");
        assert_eq!(scene.quay().robot_token(&format!("acme+{robot}")), None);
    }
    let dying = QuayScene::new();
    let page = "{\"error\": \"CSRF token was invalid or missing.\"}\n";
    dying.fault(Fault::answer(403, "text/html; charset=utf-8", page).method("PUT"));
    let run = dying.robot_token_task(json!({ "robot": "new", "create_robot": true, "dest": dying.path("token") }));
    assert!(run.failed() && run.message().contains(BAD_TOKEN) && !dying.path("token").exists(), "{run}");
    let scene = QuayScene::new();
    scene.quay().change(|state| state.robots_disallowed = true);
    let run = scene.robot_token_task(json!({ "robot": "new", "create_robot": true }));
    assert!(run.failed() && run.message().contains("does not allow robots (ROBOTS_DISALLOW)"), "{run}");
}

#[test]
fn a_robot_that_cannot_be_deleted_stays_and_so_does_its_file() {
    let cases: [Case; 4] = [
        (
            "a mirror",
            |scene| {
                scene.quay().mirror("acme+ci");
                json!({})
            },
            &["a repository mirror uses this robot", "400 Robot is being used by a mirror"],
        ),
        (
            "a token that dies",
            |scene| {
                let page = "{\"error\": \"CSRF token was invalid or missing.\"}\n";
                scene.fault(Fault::answer(403, "text/html; charset=utf-8", page).method("DELETE"));
                json!({})
            },
            &[BAD_TOKEN],
        ),
        ("missing organization", |_| json!({ "organization": "nowhere" }), &["there is no organization nowhere"]),
        ("not said twice", |_| json!({ "delete_robot": false }), &["Say delete_robot: true if that is meant"]),
    ];
    for (case, prepare, words) in cases {
        let scene = QuayScene::new();
        let dest = scene.file("token", &scene.robot_token("acme+ci"));
        let options = json!({ "robot": "ci", "dest": dest, "state": "absent", "delete_robot": true });
        let run = scene.robot_token_task(with(options, prepare(&scene)));
        assert!(run.failed() && words.iter().all(|word| run.message().contains(word)), "{case}: {run}");
        assert!(!run.changed(), "{case}: {run}");
        assert_eq!(read(&dest), scene.robot_token("acme+ci"), "{case}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_is_sent() {
    let cases: [(Value, &str); 17] = [
        (
            json!({ "registry": "https://quay.example.com" }),
            "registry https://quay.example.com: write the host name alone",
        ),
        (json!({ "registry": "quay.example.com/acme" }), "registry_key: organization adds the organization"),
        (json!({ "registry": "" }), "registry : write the host name alone"),
        (json!({ "robot": null }), "no robot is named, and all_robots is false"),
        (json!({ "robots": ["deploy"] }), "mutually exclusive"),
        (json!({ "robot": "globex+ci" }), "the robot globex+ci does not belong to acme"),
        (json!({ "robot": "a/b" }), "'a/b' is not the name of a robot"),
        (json!({ "robot": "" }), "'' is not the name of a robot"),
        (json!({ "organization": "" }), "organization"),
        (json!({ "organization": ".." }), "organization"),
        (json!({ "robot": null, "robots": ["ci", "acme+ci"] }), "the robot ci is named twice"),
        (
            json!({ "robot": null, "organization": null, "robots": ["acme+ci", "deploy"] }),
            "name all robots in full, or none",
        ),
        (
            json!({ "robot": null, "organization": null, "robots": ["deploy", "acme+ci"] }),
            "name all robots in full, or none",
        ),
        (json!({ "robot": null, "organization": null, "robots": ["acme+ci", "globex+ci"] }), "does not belong to acme"),
        (json!({ "concurrency": 0 }), "concurrency must be at least 1"),
        (json!({ "max_age": "1h" }), "max_age needs dest or dest_credential"),
        (json!({ "max_age": "soon", "dest": "/none/token" }), "max_age: "),
    ];
    let scene = QuayScene::new();
    for (options, words) in cases {
        let run = scene.robot_token_task(with(json!({ "robot": "ci" }), options.clone()));
        assert!(run.failed() && run.message().contains(words), "{options}: {run}");
    }
    let sent = scene.sandbox.records().all();
    assert!(sent.iter().all(|request| request.path == "/v2/"), "{sent:?}");
}

/// Each case in a scene of its own. No robot got a new token, and no file was left.
fn check(cases: &[Case], state: &str) {
    for (case, prepare, words) in cases {
        let scene = QuayScene::new();
        let options = json!({ "robot": "ci", "dest": scene.path("token"), "state": state });
        let before = tokens(&scene);
        let run = scene.robot_token_task(with(options, prepare(&scene)));
        for word in *words {
            assert!(run.failed() && run.message().contains(word), "{case}, {state}: {word}: {run}");
        }
        assert!(!run.changed(), "{case}: {run}");
        assert_eq!(tokens(&scene), before, "{case}");
        assert!(!names(scene.path("token").parent().unwrap()).contains(&"token".to_owned()), "{case}");
    }
}

fn tokens(scene: &QuayScene) -> Vec<(String, String)> {
    scene.quay().change(|state| state.robots.iter().map(|(name, robot)| (name.clone(), robot.token.clone())).collect())
}

fn token(scene: &QuayScene, user: &str, scopes: &str) -> Value {
    json!({ "quay_token": scene.quay().issue_token(user, scopes) })
}

fn revoked(scene: &QuayScene) -> Value {
    scene.quay().revoke_token(&scene.token);
    json!({})
}

fn expired(scene: &QuayScene) -> Value {
    scene.quay().expire_token(&scene.token);
    json!({})
}

fn disabled(scene: &QuayScene) -> Value {
    scene.quay().change(|state| state.users.get_mut("alice").unwrap().is_disabled = true);
    json!({})
}

fn no_anonymous_access(scene: &QuayScene) -> Value {
    scene.quay().change(|state| state.anonymous_access = false);
    json!({ "quay_token": "x".repeat(40) })
}

const BAD_TOKEN: &str = "quay_token is not accepted: it is unknown, expired or revoked";
const NOT_ALLOWED: &str = "quay_token is good, but not for this: it needs the scope org:admin";
const NOW: Release = (3, 19, 0);
