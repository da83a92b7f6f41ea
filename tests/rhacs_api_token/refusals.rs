//! What Central refuses: what the operator reads, and that nothing was changed.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::central::{Level, Role};
use tokensmith_tests::quay::with;
use tokensmith_tests::rhacs::{DAY, ROLE, RhacsScene};
use tokensmith_tests::scene::{names, read};

/// A case's name, what it makes of the scene and asks for, and words of the message.
type Case = (&'static str, fn(&RhacsScene) -> Value, &'static [&'static str]);

#[test]
fn a_refused_credential_is_explained_whatever_is_asked_for() {
    let cases: [Case; 14] = [
        ("no JWT", |_| json!({ "rhacs_token": "x".repeat(40) }), &[REFUSED, "400 credentials not found: token-based"]),
        ("no JWT, no machine access", no_machine_access, &[REFUSED, "401 credentials not found: token-based"]),
        (
            "forged",
            |scene| json!({ "rhacs_token": forged(&scene.token) }),
            &[REFUSED, "401", "token validation failed"],
        ),
        ("revoked", revoked, &[REFUSED, "401", "token validation failed"]),
        (
            "expired",
            |scene| json!({ "rhacs_token": scene.central().issue_token("x", &["Admin"], -DAY) }),
            &["the credential is not accepted: it ended at 20", "get a new one", "token validation failed"],
        ),
        (
            "made without roles",
            |scene| json!({ "rhacs_token": scene.central().issue_token("x", &[], DAY) }),
            &[REFUSED, "could not determine token type"],
        ),
        (
            "with the role None alone",
            |scene| json!({ "rhacs_token": scene.central().issue_token("x", &["None"], DAY) }),
            &["none of its roles exists any more", "access for this user is not authorized"],
        ),
        ("roles deleted", role_deleted, &["none of its roles exists any more", "no valid role"]),
        (
            "wrong password",
            |_| json!({ "rhacs_token": null, "rhacs_password": "wrong-password" }),
            &[REFUSED, "failed to identify user with username \"admin\""],
        ),
        (
            "unknown user",
            |scene| json!({ "rhacs_token": null, "rhacs_username": "eve", "rhacs_password": scene.central().admin_password() }),
            &[REFUSED, "username \"eve\""],
        ),
        ("no password log-in", no_htpasswd, &[REFUSED, "username \"admin\""]),
        ("empty", |_| json!({ "rhacs_token": " \n" }), &["rhacs_token is empty"]),
        (
            "no file",
            |_| json!({ "rhacs_token_file": "/nonexistent/token" }),
            &["rhacs_token_file /nonexistent/token cannot be read"],
        ),
        ("nothing", |_| json!({ "rhacs_token": null }), &["one of the following is required: rhacs_token"]),
    ];
    for (task, is_held) in
        [("present", false), ("present", true), ("rotated", true), ("absent", true), ("nowhere", false)]
    {
        check(&cases, task, is_held);
    }
}

#[test]
fn a_token_that_central_does_not_generate_is_explained() {
    let cases: [Case; 13] = [
        (
            "without access to Access",
            |scene| json!({ "rhacs_token": token_of(scene, &[ROLE]) }),
            &[NOT_ALLOWED, "403 not authorized: \"READ_ACCESS\" for"],
        ),
        (
            "without write access to Integration",
            |scene| json!({ "rhacs_token": token_of(scene, &["Analyst"]) }),
            &[NOT_ALLOWED, "403 not authorized: \"READ_WRITE_ACCESS\" for \"Integration\""],
        ),
        (
            "more than the caller",
            |scene| json!({ "rhacs_token": token_of(scene, &[keeper(scene)]), "role": "Admin" }),
            &[
                "the token would be allowed more than the credential",
                "403 not authorized for Access, Administration, Alert",
            ],
        ),
        (
            "unknown roles",
            |_| json!({ "role": null, "roles": ["Nope", "Admin", "Nada"] }),
            &["some of the roles do not exist; their names are case-sensitive", "400 role(s) Nope,Nada don't exist"],
        ),
        ("a role in small letters", |_| json!({ "role": "admin" }), &["role(s) admin don't exist"]),
        (
            "an end that is past for Central alone",
            |scene| {
                scene.sandbox.clock().advance(10 * DAY);
                scene.central().change(|state| state.date_skew = -10 * DAY);
                json!({ "expiration": "5d" })
            },
            &["the expiration is past; check it, and this host's clock", "400 Expiration date cannot be in the past"],
        ),
        (
            "a limit without end",
            |scene| {
                let limit = json!({
                    "fault": "answer", "status": 429, "content_type": "application/json", "retry_after": "0", "method": "POST",
                    "body": json!({ "code": 8, "message": LIMITED, "details": [], "error": LIMITED }).to_string(),
                });
                scene.fault(serde_json::from_value(limit).unwrap());
                json!({})
            },
            &["Central limits requests and nothing was changed", "429"],
        ),
        (
            "an internal error",
            |scene| {
                scene.fault(Fault::refusal(13, "database is locked").method("POST"));
                json!({})
            },
            &["none has been issued as far as the server shows", "status 500", "Central or a router before it failed"],
        ),
        (
            "a router's page",
            |scene| {
                scene.fault(
                    Fault::answer(503, "text/html", "<html><h1>Application is not available</h1></html>")
                        .method("POST"),
                );
                json!({})
            },
            &["none has been issued as far as the server shows", "status 503"],
        ),
        (
            "a release before 4.4",
            |scene| {
                scene.central().change(|state| state.release = (4, 3, 8));
                json!({})
            },
            &["is not what was asked for, so it was revoked again", "Central before 4.4 ignores the end"],
        ),
        (
            "another end",
            |scene| {
                scene.central().change(|state| state.expiration_shift = -1);
                json!({})
            },
            &["is not what was asked for, so it was revoked again: it ends at 20"],
        ),
        (
            "another address",
            |scene| json!({ "rhacs_host": scene.sandbox.sso().url() }),
            &["there is no Central at this address; is rhacs_host right?"],
        ),
        (
            "http",
            |scene| json!({ "rhacs_host": format!("http://{}", scene.central().endpoint()) }),
            &["this port speaks https; write https:// in rhacs_host"],
        ),
    ];
    for (task, is_held) in [("present", false), ("rotated", true), ("nowhere", false)] {
        check(&cases, task, is_held);
    }
}

#[test]
fn a_broken_central_is_explained_at_the_first_question() {
    let cases: [Case; 4] = [
        ("html", |scene| broken(scene, Fault::html()), &["status 200: a page (HTML) where JSON was expected"]),
        ("half", |scene| broken(scene, Fault::truncated_json()), &["/v1/apitokens/"]),
        ("large", |scene| broken(scene, Fault::large_body()), &["4 MiB"]),
        (
            "internal",
            |scene| broken(scene, Fault::refusal(13, "oops")),
            &["status 500", "Central or a router before it failed"],
        ),
    ];
    for task in ["present", "absent"] {
        check(&cases, task, true);
    }
}

#[test]
fn a_token_that_could_never_be_used_is_refused_before_any_request() {
    let scene = RhacsScene::new();
    for (options, words) in [
        (json!({ "role": null, "roles": [] }), "a token without a role"),
        (json!({ "role": "None" }), "the role None alone, is never accepted"),
        (json!({ "role": null, "roles": ["None", "None"] }), "is never accepted"),
        (json!({ "role": "" }), "name a role"),
        (json!({ "name": "" }), "name is empty"),
        (json!({ "roles": ["Admin"] }), "mutually exclusive"),
        (json!({ "expiration": "1234abc" }), "or a date with time and zone, such as"),
        (json!({ "expiration": "2026-12-31" }), "or a date with time and zone, such as"),
        (json!({ "renew_before": "soon" }), "is not a length of time"),
        (json!({ "rhacs_host": format!("{}/v1", scene.central().url()) }), "write scheme, host and port alone"),
        (json!({ "rhacs_host": "http://central.example.com" }), "in the clear"),
    ] {
        let run = scene.api_token_task(options.clone());
        assert!(run.failed() && run.message().contains(words), "{options}: {run}");
    }
    assert!(scene.requests().is_empty());
}

#[test]
fn a_revocation_that_fails_is_told_and_one_of_what_is_gone_is_none() {
    let scene = RhacsScene::new();
    let (id, token) = scene.issue("ci", 30 * DAY);
    let dest = scene.file("token", &token);
    let options = json!({ "dest": dest, "state": "absent" });
    scene.fault(Fault::refusal(13, "token with id 'another' does not exist").method("PATCH"));
    let run = scene.api_token_task(options.clone());
    assert!(run.failed() && run.message().contains(&format!("the token {id} could not be revoked")), "{run}");
    assert_eq!((read(&dest), scene.central().token_works(&token)), (token.clone(), true));
    scene.sandbox.faults().clear();
    // Somebody else was quicker, between our look and our request.
    scene.fault(Fault::refusal(13, &format!("token with id '{id}' does not exist")).method("PATCH").times(1));
    let run = scene.api_token_task(options.clone());
    assert!(run.failed() && run.message().contains("accepts it all the same"), "{run}");
    let run = scene.api_token_task(options).succeeded();
    assert_eq!(run.result["revoked"], json!([id]), "{run}");
    assert!(!dest.exists() && !scene.central().token_works(&token));
}

/// Each case in a scene of its own, side by side: it fails with these words, and leaves Central and the folder as they were.
fn check(cases: &[Case], task: &str, is_held: bool) {
    std::thread::scope(|threads| {
        for case in cases {
            threads.spawn(move || check_one(case, task, is_held));
        }
    });
}

fn check_one((name, make, words): &Case, task: &str, is_held: bool) {
    let scene = RhacsScene::new();
    let (_, held) = scene.issue("ci", 30 * DAY);
    // What is as young as this run could be taken for its own.
    scene.sandbox.clock().advance(DAY);
    let asked = make(&scene);
    let dest = scene.path("token");
    if is_held {
        scene.file("token", &held);
    }
    let options = match task {
        "nowhere" => json!({ "name": "other" }),
        state => json!({ "dest": dest, "state": state }),
    };
    let run = scene.api_token_task(with(options, asked));
    assert!(run.failed(), "{name}, {task}: {run}");
    for word in *words {
        assert!(run.message().contains(word), "{name}, {task}: {word}: {run}");
    }
    assert!(run.message().len() < 1200 && !run.message().contains('\n'), "{name}, {task}: {run}");
    let secrets = [&scene.token, &held, &scene.central().admin_password()];
    assert!(!secrets.iter().any(|secret| run.stdout.contains(secret.as_str())), "{name}, {task}: {run}");
    assert_eq!((scene.central().live_tokens("ci"), scene.central().live_tokens("other")), (1, 0), "{name}, {task}");
    assert_eq!(dest.exists().then(|| read(&dest)), is_held.then_some(held), "{name}, {task}");
    let left = names(dest.parent().unwrap());
    assert!(left.iter().all(|file| !file.contains("tmp")), "{name}, {task}: {left:?}");
}

fn no_machine_access(scene: &RhacsScene) -> Value {
    scene.central().change(|state| state.machine_access.clear());
    json!({ "rhacs_token": "x".repeat(40) })
}

fn revoked(scene: &RhacsScene) -> Value {
    let token = token_of(scene, &["Admin"]);
    assert!(scene.central().revoke(&scene.central().tokens().pop().unwrap().id));
    json!({ "rhacs_token": token })
}

fn role_deleted(scene: &RhacsScene) -> Value {
    let token = token_of(scene, &[keeper(scene)]);
    scene.central().change(|state| state.roles.remove(KEEPER));
    json!({ "rhacs_token": token })
}

fn no_htpasswd(scene: &RhacsScene) -> Value {
    scene.central().change(|state| state.htpasswd = false);
    json!({ "rhacs_token": null, "rhacs_password": scene.central().admin_password() })
}

fn token_of(scene: &RhacsScene, roles: &[&str]) -> String {
    scene.central().issue_token("caller", roles, DAY)
}

/// The least role that can generate tokens.
fn keeper(scene: &RhacsScene) -> &'static str {
    let role = Role::unrestricted([("Access", Level::Read), ("Integration", Level::ReadWrite)]);
    scene.central().change(|state| state.roles.insert(KEEPER.to_owned(), role));
    KEEPER
}

/// With another signature of the same length.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", signature.chars().rev().collect::<String>())
}

fn broken(scene: &RhacsScene, fault: Fault) -> Value {
    scene.fault(fault.path("/v1/apitokens/"));
    json!({})
}

const KEEPER: &str = "Token Keeper";
const REFUSED: &str = "the credential is not accepted: it is missing, unknown, expired, revoked or cut";
const NOT_ALLOWED: &str =
    "lacks a permission: tokens are generated with read access to Access and write access to Integration";
const LIMITED: &str =
    "/v1.APITokenService/GenerateToken is rejected by grpc_ratelimit middleware, please retry later. limit exceeded";
