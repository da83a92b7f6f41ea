//! Robots of the stand-in Quay: sections 2 to 6 and 12 of its contract, row by row.

use std::collections::BTreeSet;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use serde_json::{Value, json};
use tokensmith_sandbox::quay::{Permission, Release, Role};

use crate::quay::{Answer, Quay, basic};

#[test]
fn a_robot_has_the_keys_of_the_contract_in_every_answer() {
    let quay = Quay::start();
    let common = ["name", "created", "last_accessed", "description"];
    let rows = [
        ("GET organization/acme/robots/ci", 200, vec!["token", "unstructured_metadata"]),
        ("PUT organization/acme/robots/new", 201, vec!["token", "unstructured_metadata"]),
        ("POST organization/acme/robots/ci/regenerate", 200, vec!["token"]),
        ("GET user/robots/laptop", 200, vec!["token", "unstructured_metadata"]),
        ("PUT user/robots/new", 201, vec!["token", "unstructured_metadata"]),
        ("POST user/robots/laptop/regenerate", 200, vec!["token"]),
    ];
    for (call, status, more) in rows {
        let answer = quay.call(call, "");
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/json"), "{call}");
        assert_eq!(keys(&answer.json()), [&common[..], &more[..]].concat(), "{call}");
        assert!(answer.body.ends_with("}\n"), "{call}");
        assert!(!answer.header("access-control-allow-origin").is_empty(), "{call}");
        let token = answer.text("token");
        assert_eq!(token.len(), 64, "{call}");
        assert!(token.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()), "{call}");
    }
    let names = ["acme+ci", "acme+new", "alice+laptop", "alice+new"];
    for name in names {
        assert!(quay.handle.robot_token(name).is_some(), "{name}");
    }
}

#[test]
fn a_regenerate_kills_the_old_token_at_once_and_the_robot_keeps_the_rest() {
    let quay = Quay::start();
    quay.handle.set_federation("acme+ci", [("https://idp.example.com", "ci")]);
    let before = quay.get("organization/acme/robots/ci").json();
    let old = quay.handle.robot_token("acme+ci").unwrap();
    assert_eq!(before["token"], old.as_str());
    quay.sandbox.clock().advance(90);
    for body in ["", "{}", "{ malformed"] {
        let answer = quay.call("POST organization/acme/robots/ci/regenerate", body);
        assert_eq!(answer.verdict(), "200", "a body is not looked at");
        assert_eq!(answer.json()["created"], before["created"]);
        assert_eq!(answer.json()["last_accessed"], before["last_accessed"]);
    }
    let new = quay.get("organization/acme/robots/ci").text("token");
    assert_ne!(new, old);
    assert!(quay.handle.login_works("acme+ci", &new) && !quay.handle.login_works("acme+ci", &old));
    assert_eq!(quay.log_in("acme+ci", &new).verdict(), "200");
    assert_eq!(
        quay.log_in("acme+ci", &old).verdict(),
        "401 D UNAUTHORIZED: Could not find robot with username: acme+ci and supplied password."
    );
    assert_eq!(quay.handle.regenerations("acme+ci"), 3);
    assert_eq!(quay.get("organization/acme/robots/ci/federation").json().as_array().unwrap().len(), 1);
    assert_eq!(quay.handle.regenerate("acme+ci"), quay.handle.robot_token("acme+ci"), "as somebody else would");
    assert!(!quay.handle.login_works("acme+ci", &new));
}

#[test]
fn of_ten_regenerates_at_once_all_answer_200_and_only_the_last_one_counts() {
    let quay = Quay::start();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let regenerate = || quay.regenerate("organization/acme/robots/ci");
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(regenerate)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 200));
    let tokens: BTreeSet<_> = answers.iter().map(|answer| answer.text("token")).collect();
    assert_eq!(tokens.len(), 10);
    assert_eq!(tokens.iter().filter(|token| quay.handle.login_works("acme+ci", token)).count(), 1);
}

#[test]
fn a_bad_bearer_is_401_on_a_read_and_403_about_csrf_on_a_write() {
    let quay = Quay::start();
    let revoked = quay.token_of("alice", ALL);
    quay.handle.revoke_token(&revoked);
    let expired = quay.token_of("alice", ALL);
    quay.handle.expire_token(&expired);
    let of_nobody = quay.token_of("nobody", ALL);
    let of_disabled = quay.token_of("bob", ALL);
    quay.change(|state| state.users.get_mut("bob").unwrap().is_disabled = true);
    let robot_token = quay.handle.robot_token("acme+ci").unwrap();
    for bad in ["", "unknown", &revoked, &expired, &of_nobody, &of_disabled, &robot_token] {
        for read in ["GET organization/acme/robots", "GET organization/acme/robots/ci", "GET user/robots"] {
            let verdict = quay.call_as(bad, read, "").verdict();
            assert_eq!(verdict, "401 A invalid_token: Requires authentication", "{read} with {bad:?}");
        }
        for write in WRITES {
            let verdict = quay.call_as(bad, write, "").verdict();
            assert_eq!(verdict, "403 B CSRF token was invalid or missing.", "{write} with {bad:?}");
        }
    }
    assert_eq!(quay.handle.regenerations("acme+ci"), 0);

    quay.change(|state| state.anonymous_access = false);
    let off = "401 B Anonymous access is not allowed";
    assert_eq!(quay.call_as("unknown", "GET organization/acme/robots", "").verdict(), off);
    assert_eq!(quay.call_as("", "GET organization/acme", "").verdict(), off);
    assert_eq!(quay.call_as("", "GET user/", "").verdict(), "401 A invalid_token: Requires authentication");
    assert_eq!(quay.call_as("", WRITES[0], "").verdict(), "403 B CSRF token was invalid or missing.");
    assert_eq!(quay.get("organization/acme/robots/ci").verdict(), "200");
}

#[test]
fn a_token_lives_ten_years() {
    let quay = Quay::start();
    assert_eq!(quay.token.len(), 40);
    assert!(quay.token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    quay.sandbox.clock().advance(315_576_000 - 60);
    assert_eq!(quay.get("user/").verdict(), "200");
    quay.sandbox.clock().advance(60);
    assert_eq!(quay.get("user/").verdict(), "401 A invalid_token: Requires authentication");
}

#[test]
fn the_word_bearer_is_taken_in_any_case_with_any_blanks_and_basic_is_nobody() {
    let quay = Quay::start();
    let rows = [
        (format!("Bearer {}", quay.token), 200),
        (format!("bEARER   {} ", quay.token), 200),
        (quay.token.clone(), 401),
        (format!("Token {}", quay.token), 401),
        (basic("alice", &quay.token), 401),
        (basic("$oauthtoken", &quay.token), 401),
    ];
    for (header, status) in rows {
        let request = quay.request("GET", "/api/v1/organization/acme/robots").header(AUTHORIZATION, header);
        assert_eq!(Answer::of(request).unwrap().status, status);
    }
}

#[test]
fn a_jwt_as_bearer_is_taken_as_one_of_a_login_service_on_every_method() {
    let quay = Quay::start();
    let provider = quay.handle.identity_provider();
    let jwt = provider.token("alice").sign().unwrap();
    let without_issuer = provider.token("alice").without("iss").sign().unwrap();
    for call in WRITES.iter().chain(&["GET user/", "GET organization/acme/robots"]) {
        let expected = format!("401 B Issuer {} not configured", provider.issuer());
        assert_eq!(quay.call_as(&jwt, call, "").verdict(), expected, "{call}");
        let verdict = quay.call_as(&without_issuer, call, "").verdict();
        assert_eq!(verdict, "401 B Token does not contain issuer", "{call}");
    }
}

#[test]
fn only_a_script_calls_with_a_browsers_user_agent() {
    let quay = Quay::start();
    let refused = "400 B API calls must be invoked with an X-Requested-With header if called from a browser";
    let rows = [
        ("tokensmith/1.0", "200"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0 Safari/537.36", refused),
        ("Mozilla/5.0 Firefox/128.0", refused),
        ("Links (2.29)", refused),
        ("Lynx/2.9", refused),
        ("google-cloud-sdk", refused),
    ];
    for (agent, expected) in rows {
        let get = || {
            let request = quay.request("GET", "/api/v1/organization/acme/robots").bearer_auth(&quay.token);
            request.header(USER_AGENT, agent)
        };
        assert_eq!(Answer::of(get()).unwrap().verdict(), expected, "{agent}");
        let as_script = get().header("x-requested-with", "XMLHttpRequest");
        assert_eq!(Answer::of(as_script).unwrap().verdict(), "200", "{agent}");
        let post = quay.request("POST", "/api/v1/organization/acme/robots/ci/regenerate").bearer_auth(&quay.token);
        assert_eq!(Answer::of(post.header(USER_AGENT, agent)).unwrap().verdict(), "200", "{agent}");
    }
}

#[test]
fn every_operation_asks_for_its_scope_and_its_role() {
    let quay = Quay::start();
    let a = "403 A insufficient_scope: Unauthorized";
    let c = "403 C You don't have the permission to access the requested resource. It is either read-protected or not readable by the server.";
    let all_of_org = ["GET organization/acme/robots/ci", "POST organization/acme/robots/ci/regenerate"];
    let rows: &[(&str, &str, &[&str], &str)] = &[
        ("alice", "org:admin", &all_of_org, "200"),
        ("alice", "org:admin,user:admin", &all_of_org, "200"),
        ("alice", "user:admin user:read", &all_of_org, a),
        ("alice", "repo:admin repo:create super:user", &all_of_org, a),
        ("bob", "org:admin", &all_of_org, a),
        ("carol", "org:admin", &all_of_org, a),
        ("erin", "org:admin", &all_of_org, a),
        ("alice", "org:admin", &["GET organization/nowhere/robots", "GET organization/nowhere/robots/ci"], a),
        ("alice", "org:admin", &["GET organization/ACME/robots/ci", "GET organization/globex/robots"], a),
        ("alice", "user:admin", &["GET organization/acme/robots", "GET organization/acme/robots/ci/federation"], a),
        ("bob", "org:admin", &["GET organization/acme/robots"], "200"),
        ("carol", "org:admin", &["GET organization/acme/robots"], "200"),
        ("alice", "org:admin user:admin", &["GET organization/acme/robots/ci/permissions"], "200"),
        ("alice", "org:admin", &["GET organization/acme/robots/ci/permissions"], a),
        ("alice", "user:admin", &["GET organization/acme/robots/ci/permissions"], c),
        ("bob", "org:admin user:admin", &["GET organization/acme/robots/ci/permissions"], c),
        (
            "alice",
            "user:admin",
            &["GET user/robots", "GET user/robots/laptop", "GET user/robots/laptop/permissions"],
            "200",
        ),
        ("alice", "org:admin user:read", &["GET user/robots", "POST user/robots/laptop/regenerate"], a),
        ("alice", "user:read", &["GET user/"], "200"),
        ("alice", "user:admin", &["GET user/"], "200"),
        ("alice", "org:admin", &["GET user/"], "401 A invalid_token: Requires authentication"),
        ("alice", "", &["GET organization/acme"], "200"),
    ];
    for (user, scopes, calls, expected) in rows {
        let token = quay.token_of(user, scopes);
        for call in *calls {
            assert_eq!(quay.call_as(&token, call, "").verdict(), *expected, "{call} of {user} with {scopes:?}");
        }
    }
    let strange = quay.token_of("alice", "org:admin user:admin strange:scope");
    for call in WRITES.iter().chain(&["GET user/", "GET organization/acme", "GET organization/acme/robots"]) {
        assert_eq!(quay.call_as(&strange, call, "").verdict(), "500 F", "{call}");
    }
}

#[test]
fn writes_of_members_and_creators_change_nothing() {
    let quay = Quay::start();
    let before = quay.handle.robot_token("acme+ci");
    for user in ["bob", "carol", "erin", "auditor", "root"] {
        let token = quay.token_of(user, "org:admin user:admin super:user");
        let of_organization = WRITES.iter().filter(|call| call.contains("organization"));
        for call in of_organization.chain(&["POST organization/acme/robots/ci/federation"]) {
            let body = if call.starts_with("PUT") { "{}" } else { "[]" };
            assert_eq!(quay.call_as(&token, call, body).status, 403, "{call} of {user}");
        }
    }
    assert_eq!(quay.handle.robot_token("acme+ci"), before);
}

#[test]
fn superusers_need_the_option_and_the_scope_and_never_reach_another_users_robots() {
    let quay = Quay::start();
    let with = quay.token_of("root", "org:admin user:admin super:user");
    let without = quay.token_of("root", "org:admin user:admin");
    let get = "GET organization/globex/robots/ci";
    assert_eq!(quay.call_as(&with, get, "").status, 403, "the option is off");
    quay.change(|state| state.superusers_full_access = true);
    assert_eq!(quay.call_as(&without, get, "").status, 403);
    assert_eq!(quay.call_as(&with, get, "").text("name"), "globex+ci");
    assert_eq!(quay.call_as(&with, "POST organization/globex/robots/ci/regenerate", "").verdict(), "200");
    assert_eq!(quay.call_as(&with, "GET organization/globex/robots/ci/permissions", "").verdict(), "200");
    let nowhere = quay.call_as(&with, "GET organization/nowhere/robots", "");
    assert_eq!((nowhere.status, nowhere.body.as_str()), (200, "{\"robots\":[]}\n"));
    for (namespace, call) in [
        ("nowhere", "GET organization/nowhere/robots/ci"),
        ("nowhere", "PUT organization/nowhere/robots/ci"),
        ("alice", "GET organization/alice/robots/laptop"),
        ("alice", "POST organization/alice/robots/laptop/regenerate"),
    ] {
        let expected = format!("400 C Organization does not exist: {namespace}");
        assert_eq!(quay.call_as(&with, call, "").verdict(), expected, "{call}");
    }
}

#[test]
fn read_only_superusers_see_every_robot_and_its_token_up_to_3_18() {
    let quay = Quay::start();
    let token = quay.token_of("auditor", "org:admin user:admin");
    let rows: [(Release, u16, bool); 4] =
        [((3, 12, 0), 403, false), ((3, 13, 0), 200, true), ((3, 18, 4), 200, true), ((3, 19, 0), 200, false)];
    for (release, status, shows_token) in rows {
        quay.change(|state| state.release = release);
        let robot = quay.call_as(&token, "GET organization/acme/robots/ci", "");
        let list = quay.call_as(&token, "GET organization/acme/robots", "");
        assert_eq!((robot.status, list.status), (status, status), "{release:?}");
        assert_eq!(robot.json().get("token").is_some(), shows_token, "{release:?}");
        assert_eq!(list.json()["robots"][0].get("token").is_some(), shows_token, "{release:?}");
    }
}

#[test]
fn restricted_users_only_read_their_own_robots() {
    let quay = Quay::start();
    let token = quay.token_of("dave", "org:admin user:admin");
    let calls = [
        ("PUT user/robots/new", "", 201),
        ("POST user/robots/ci/regenerate", "", 200),
        ("POST user/robots/ci/federation", "[]", 200),
        ("DELETE user/robots/ci/federation", "", 204),
        ("DELETE user/robots/new", "", 204),
    ];
    for (call, body, status) in calls {
        assert_eq!(quay.call_as(&token, call, body).status, status, "{call}: the feature is off");
    }
    quay.change(|state| {
        state.restricted_users = true;
        state.organizations.get_mut("acme").unwrap().members.insert("dave".to_owned(), Role::Administrator);
    });
    for (call, body, _) in calls {
        let verdict = quay.call_as(&token, call, body).verdict();
        assert_eq!(verdict, "403 A insufficient_scope: Unauthorized", "{call}");
    }
    assert_eq!(quay.call_as(&token, "GET user/robots/ci", "").verdict(), "200");
    assert_eq!(quay.call_as(&token, "POST organization/acme/robots/ci/regenerate", "").verdict(), "200");
}

#[test]
fn the_own_user_name_as_organization_half_works() {
    let quay = Quay::start();
    let gone = "400 C Organization does not exist: alice";
    let rows = [
        ("GET organization/alice/robots", "", "200"),
        ("GET organization/alice/robots/laptop", "", gone),
        ("PUT organization/alice/robots/new", "", gone),
        ("POST organization/alice/robots/laptop/regenerate", "", gone),
        ("POST organization/alice/robots/laptop/federation", "[]", "200"),
        ("DELETE organization/alice/robots/laptop/federation", "", "204"),
        ("DELETE organization/alice/robots/laptop", "", "204"),
    ];
    for (call, body, expected) in rows {
        assert_eq!(quay.call(call, body).verdict(), expected, "{call}");
        let without = quay.token_of("alice", "user:admin");
        assert_eq!(quay.call_as(&without, call, body).status, 403, "{call} needs org:admin");
    }
    assert_eq!(quay.handle.robot_token("alice+laptop"), None);
}

#[test]
fn an_unknown_robot_is_400_and_names_are_case_sensitive() {
    let quay = Quay::start();
    let missing = "400 C Could not find robot with specified username";
    for robot in ["nobody", "CI", "acme+ci", "acme%2Bci", "r%C3%B6bot"] {
        for call in ["GET", "DELETE"] {
            for owner in ["organization/acme", "user"] {
                let call = format!("{call} {owner}/robots/{robot}");
                assert_eq!(quay.call(&call, "").verdict(), missing, "{call}");
            }
        }
        assert_eq!(quay.regenerate(&format!("organization/acme/robots/{robot}")).verdict(), missing, "{robot}");
        assert_eq!(quay.get(&format!("organization/acme/robots/{robot}/permissions")).verdict(), missing, "{robot}");
    }
    assert_eq!(quay.get("organization/ACME/robots").verdict(), "403 A insufficient_scope: Unauthorized");
}

#[test]
fn the_list_shows_every_token_and_the_robots_of_neighbours_too() {
    let quay = Quay::start();
    let list = quay.get("organization/acme/robots");
    assert_eq!(list.verdict(), "200");
    assert_eq!(list.names(), ["Acme+ci", "acme+ci", "acme+deploy"], "letters match in either case");
    assert_eq!(quay.get("organization/team_one/robots").names(), ["team-one+ci", "team_one+ci"], "so does _ with any");
    assert_eq!(quay.get("user/robots").names(), ["alice+laptop"]);
    let body = list.json();
    for robot in body["robots"].as_array().unwrap() {
        let name = robot["name"].as_str().unwrap();
        assert_eq!(robot["token"], quay.handle.robot_token(name).unwrap().as_str());
        assert_eq!(keys(robot), ["name", "created", "last_accessed", "description", "token"]);
    }
    let with_permissions = quay.get("organization/acme/robots?permissions=true&token=false").json();
    let robot = &with_permissions["robots"][0];
    assert_eq!(keys(robot), ["name", "created", "last_accessed", "description", "teams", "repositories"]);

    let of_member =
        quay.call_as(&quay.token_of("bob", "org:admin"), "GET organization/acme/robots?permissions=true", "");
    let robot = &of_member.json()["robots"][0];
    assert_eq!(keys(robot), ["name", "created", "last_accessed", "description"], "a member sees neither");
}

#[test]
fn the_parameters_of_the_list_are_read_as_quay_reads_them() {
    let quay = Quay::start();
    for value in ["false", "False", "FALSE", "0", "null", ""] {
        let list = quay.get(&format!("organization/acme/robots?token={value}"));
        assert!(list.json()["robots"][0].get("token").is_none(), "{value:?} is false");
        assert!(!list.body.contains(&quay.handle.robot_token("acme+ci").unwrap()));
    }
    for value in ["true", "no", "off", "fALSE", "1"] {
        let list = quay.get(&format!("organization/acme/robots?token={value}"));
        assert!(list.json()["robots"][0].get("token").is_some(), "{value:?} is true");
    }
    for (limit, count) in [("0", 3), ("1", 1), ("2", 2), ("50", 3)] {
        assert_eq!(quay.get(&format!("organization/acme/robots?limit={limit}")).names().len(), count, "{limit}");
    }
    for owner in ["organization/acme", "user"] {
        assert_eq!(quay.get(&format!("{owner}/robots?limit=-1")).verdict(), "500 F");
        for text in ["two", "1.5", ""] {
            let answer = quay.get(&format!("{owner}/robots?limit={text}"));
            assert_eq!((answer.status, keys(&answer.json()["message"])), (400, vec!["limit"]), "{text:?}");
        }
    }
}

#[test]
fn with_permissions_the_limit_counts_rows_and_3_9_repeats_robots() {
    let quay = Quay::start();
    let permission =
        |repository: &str| Permission { repository: repository.into(), is_public: false, role: "write".into() };
    quay.change(|state| {
        let robot = state.robots.get_mut("acme+ci").unwrap();
        robot.permissions = vec![permission("app"), permission("web")];
        robot.teams = vec!["builders".to_owned()];
        robot.token = "0".repeat(64);
    });
    let path = "organization/acme/robots?permissions=true";
    let list = quay.get(path).json();
    let robot = list["robots"].as_array().unwrap().iter().find(|robot| robot["name"] == "acme+ci").unwrap();
    assert_eq!(robot["repositories"], json!(["app", "web"]));
    assert_eq!((&robot["teams"][0]["name"], robot["teams"][0]["avatar"].is_object()), (&json!("builders"), true));
    assert_eq!(quay.get(&format!("{path}&limit=3")).names().len(), 2, "one robot is cut short");
    quay.change(|state| state.release = (3, 9, 5));
    assert_eq!(quay.get(path).names(), ["Acme+ci", "acme+ci", "acme+ci", "acme+deploy"]);
    let permissions = quay.get("organization/acme/robots/ci/permissions").json();
    let entry = json!({ "repository": { "name": "app", "is_public": false }, "role": "write" });
    assert_eq!((permissions["permissions"].as_array().unwrap().len(), &permissions["permissions"][0]), (2, &entry));
}

#[test]
fn never_used_robots_come_first_and_then_the_newest() {
    let quay = Quay::start();
    quay.handle.add_robots("globex", 3);
    for name in ["globex+r0002", "globex+r0001", "globex+ci"] {
        assert_eq!(quay.log_in(name, &quay.handle.robot_token(name).unwrap()).status, 200);
        quay.sandbox.clock().advance(1);
    }
    let erin = quay.token_of("erin", "org:admin");
    let list = quay.call_as(&erin, "GET organization/globex/robots", "").json();
    let names: Vec<_> = list["robots"].as_array().unwrap().iter().map(|robot| robot["name"].clone()).collect();
    assert_eq!(names, ["globex+r0003", "globex+ci", "globex+r0001", "globex+r0002"]);
}

#[test]
fn dates_are_rfc_2822_with_the_zone_written_as_minus_zero() {
    let quay = Quay::start();
    quay.change(|state| state.robots.get_mut("acme+ci").unwrap().created = 1_795_300_603);
    let robot = quay.get("organization/acme/robots/ci").json();
    assert_eq!((&robot["created"], &robot["last_accessed"]), (&json!("Sat, 21 Nov 2026 22:36:43 -0000"), &Value::Null));
    quay.change(|state| state.robots.get_mut("acme+ci").unwrap().last_accessed = Some(0));
    let robot = quay.get("organization/acme/robots/ci").json();
    assert_eq!(robot["last_accessed"], "Thu, 01 Jan 1970 00:00:00 -0000");
}

#[test]
fn a_login_is_noted_at_most_once_a_minute_and_not_at_all_without_the_feature() {
    let quay = Quay::start();
    let token = quay.handle.robot_token("acme+ci").unwrap();
    let seen = || quay.get("organization/acme/robots/ci").json()["last_accessed"].clone();
    assert!(quay.handle.login_works("acme+ci", &token));
    assert_eq!(seen(), Value::Null, "a look at it is no login");
    quay.log_in("acme+ci", "wrong");
    assert_eq!(seen(), Value::Null);
    quay.log_in("acme+ci", &token);
    let first = seen();
    assert!(first.is_string());
    quay.sandbox.clock().advance(30);
    quay.log_in("acme+ci", &token);
    assert_eq!(seen(), first);
    quay.sandbox.clock().advance(31);
    quay.log_in("acme+ci", &token);
    let second = seen();
    assert_ne!(second, first);
    quay.change(|state| state.user_last_accessed = false);
    quay.sandbox.clock().advance(120);
    quay.log_in("acme+ci", &token);
    assert_eq!(seen(), second, "stale in a single get");
    let list = quay.get("organization/acme/robots").json();
    assert!(list["robots"].as_array().unwrap().iter().all(|robot| robot["last_accessed"].is_null()));
}

#[test]
fn creating_takes_a_description_and_metadata_and_nothing_else() {
    let quay = Quay::start();
    let body = r#"{"description": "builds", "unstructured_metadata": {"team": "a"}, "token": "CHOSEN", "x": 1}"#;
    let created = quay.call("PUT organization/acme/robots/my.robot", body);
    assert_eq!(created.status, 201);
    let robot = created.json();
    assert_eq!((&robot["name"], &robot["description"]), (&json!("acme+my.robot"), &json!("builds")));
    assert_eq!(robot["unstructured_metadata"], json!({ "team": "a" }));
    assert_ne!(robot["token"], "CHOSEN");
    assert_eq!(quay.get("organization/acme/robots/my.robot").json(), robot);

    for (name, body) in [("n1", ""), ("n2", "{}"), ("n3", "{ malformed"), ("n4", "null")] {
        let created = quay.call(&format!("PUT user/robots/{name}"), body);
        assert_eq!(created.status, 201, "{body}");
        assert!(created.json()["unstructured_metadata"].is_null(), "{body}");
        let robot = quay.get(&format!("user/robots/{name}")).json();
        assert_eq!((&robot["description"], &robot["unstructured_metadata"]), (&json!(""), &json!({})), "{body}");
    }
}

#[test]
fn every_refusal_of_a_creation_says_why() {
    let quay = Quay::start();
    let create = |short: &str, body: &str| quay.call(&format!("PUT organization/acme/robots/{short}"), body).verdict();
    for name in ["ab", "my.robot", "my-robot", "my_robot", "1abc", &"a".repeat(255)] {
        assert!(create(name, "").starts_with("201"), "{name}");
    }
    let expression = "Namespace must match expression ^([a-z0-9]+(?:[._-][a-z0-9]+)*)$";
    for name in ["Upper", "my__robot", "-x", "x-", "a.-b", "acme+ci", "a b", "roböt"] {
        let expected = format!("400 A invalid_request: The name for the robot '{name}' is invalid: {expression}");
        assert_eq!(create(&name.replace(' ', "%20"), ""), expected);
    }
    for name in ["a", &"a".repeat(256)] {
        let length = "Namespace must be between 2 and 255 characters in length";
        assert_eq!(
            create(name, ""),
            format!("400 A invalid_request: The name for the robot '{name}' is invalid: {length}")
        );
    }
    let long = format!("{{\"description\": \"{}\"}}", "x".repeat(256));
    let rows = [
        (r#"{"description": null}"#, "None is not of type 'string'"),
        (r#"{"description": 5}"#, "5 is not of type 'string'"),
        (r#"{"unstructured_metadata": ["it's"]}"#, r"['it\'s'] is not of type 'object'"),
        (r#"[true, {"a": 1}]"#, "[True, {'a': 1}] is not of type 'object'"),
        (&long, &format!("'{}' is too long", "x".repeat(256))),
    ];
    for (body, sentence) in rows {
        assert_eq!(create("fine", body), format!("400 A invalid_request: {sentence}"), "{body}");
    }
    assert_eq!(create("ci", ""), "400 A invalid_request: Existing robot with name: acme+ci");
    quay.change(|state| state.robots_disallowed = true);
    let disallowed = "400 A invalid_request: Robot accounts have been disabled. Please contact your administrator.";
    assert_eq!(create("ci", ""), disallowed);
    assert_eq!(quay.regenerate("organization/acme/robots/ci").verdict(), "200", "robots still get new tokens");
    assert_eq!(quay.handle.robot_token("acme+fine"), None);
}

#[test]
fn old_releases_refuse_a_creation_in_another_shape_and_want_a_body() {
    let quay = Quay::start();
    quay.change(|state| state.release = (3, 10, 0));
    assert_eq!(quay.call("PUT user/robots/laptop", "").verdict(), "400 C Existing robot with name: alice+laptop");
    let name = quay.call("PUT user/robots/Upper", "").verdict();
    assert!(name.starts_with("400 C The name for the robot 'Upper' is invalid: "), "{name}");
    assert_eq!(quay.call("PUT user/robots/new", "").status, 201);
    quay.change(|state| state.release = (3, 9, 9));
    assert!(quay.call("PUT user/robots/newer", "").verdict().starts_with("400 C "), "without a body");
    assert_eq!(quay.call("PUT user/robots/newer", "{}").status, 201);
    quay.change(|state| state.release = (3, 11, 0));
    let existing = "400 A invalid_request: Existing robot with name: alice+laptop";
    assert_eq!(quay.call("PUT user/robots/laptop", "").verdict(), existing);
}

#[test]
fn a_robot_is_deleted_unless_a_mirror_uses_it() {
    let quay = Quay::start();
    quay.handle.mirror("acme+ci");
    let token = quay.handle.robot_token("acme+ci").unwrap();
    let delete = "DELETE organization/acme/robots/ci";
    assert_eq!(quay.call(delete, "").verdict(), "400 A invalid_request: Robot is being used by a mirror");
    assert!(quay.handle.login_works("acme+ci", &token));
    assert_eq!(quay.regenerate("organization/acme/robots/ci").verdict(), "200", "but it gets new tokens");
    quay.change(|state| state.robots.get_mut("acme+ci").unwrap().is_mirroring = false);
    let answer = quay.call(delete, "");
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(quay.call(delete, "").verdict(), "400 C Could not find robot with specified username");
}

#[test]
fn for_an_organization_the_body_is_looked_at_before_the_permission_and_for_a_user_behind_it() {
    let quay = Quay::start();
    let nobody = quay.token_of("erin", "repo:read");
    let bad = r#"{"description": 5}"#;
    let schema = "400 A invalid_request: 5 is not of type 'string'";
    let unauthorized = "403 A insufficient_scope: Unauthorized";
    assert_eq!(quay.call_as(&nobody, "PUT organization/acme/robots/new", bad).verdict(), schema);
    assert_eq!(quay.call_as(&nobody, "PUT organization/acme/robots/new", "{}").verdict(), unauthorized);
    assert_eq!(quay.call_as(&nobody, "PUT user/robots/new", bad).verdict(), unauthorized);
    quay.change(|state| state.read_only = true);
    assert_eq!(quay.call_as(&nobody, "PUT organization/acme/robots/new", bad).status, 503, "read-only comes first");
    assert_eq!(quay.call_as("bad", "PUT organization/acme/robots/new", bad).status, 403, "and the bearer before that");
}

#[test]
fn in_read_only_mode_reads_work_and_writes_change_nothing() {
    let quay = Quay::start();
    quay.change(|state| state.read_only = true);
    for call in WRITES {
        let answer = quay.call(call, "");
        assert!(answer.verdict().starts_with("503 read-only System is currently read-only. "), "{call}");
        assert_eq!((&answer.json()["is_readonly"], answer.header("retry-after")), (&json!(true), ""), "{call}");
    }
    assert_eq!(quay.handle.regenerations("acme+ci"), 0);
    assert_eq!(quay.get("organization/acme/robots/ci").verdict(), "200");
    let config = Answer::of(quay.request("GET", "/config")).unwrap().json();
    assert_eq!(config["registry_state"], "readonly");
}

#[test]
fn paths_and_methods_are_refused_as_quay_does() {
    let quay = Quay::start();
    let not_allowed = "405 C The method is not allowed for the requested URL.";
    let rows = [
        ("GET", "/api/v1/user", "308 E", "/api/v1/user/"),
        ("GET", "/api/v1/nonsense?a=1", "308 E", "/api/v1/nonsense/?a=1"),
        ("GET", "/api/v1/nonsense/", "404 E", ""),
        ("POST", "/api/v1/nonsense", "405 E", ""),
        ("GET", "/api/v1/organization/acme/robots/", "404 E", ""),
        ("POST", "/api/v1/organization/acme/robots/ci/regenerate/", "405 E", ""),
        ("PUT", "/api/v1/organization/acme/robots/", "405 E", ""),
        (
            "GET",
            "/api/v1/organization/acme/robots/ci/regenerate",
            "308 E",
            "/api/v1/organization/acme/robots/ci/regenerate/",
        ),
        ("GET", "/api/v1/organization/acme/robots/ci/regenerate/", "404 E", ""),
        ("PUT", "/api/v1/organization/acme/robots/ci/regenerate", not_allowed, ""),
        ("POST", "/api/v1/organization/acme/robots", not_allowed, ""),
        ("POST", "/api/v1/user/robots/laptop", not_allowed, ""),
        ("POST", "/oauth2/federation/robot/token", "405 E", ""),
        ("GET", "/oauth2/federation/robot/token/", "404 E", ""),
        ("POST", "/v2/auth", "405 E", ""),
        ("GET", "/v2", "308 E", "/v2/"),
        ("GET", "/", "404 E", ""),
        ("GET", "/quay/api/v1/user/", "404 E", ""),
    ];
    for (method, path, expected, location) in rows {
        let answer = Answer::of(quay.request(method, path).bearer_auth(&quay.token)).unwrap();
        assert_eq!(answer.verdict(), expected, "{method} {path}");
        let target = if location.is_empty() { String::new() } else { format!("{}{location}", quay.handle.url()) };
        assert_eq!(answer.header("location"), target, "{method} {path}");
    }
    let head = Answer::of(quay.request("HEAD", "/api/v1/user/").bearer_auth(&quay.token)).unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let encoded = Answer::of(quay.request("GET", "/api/v1/organization/acme/robots/%63i").bearer_auth(&quay.token));
    assert_eq!(encoded.unwrap().text("name"), "acme+ci");
}

#[test]
fn the_user_and_the_organization_say_what_the_bearer_may_do() {
    let quay = Quay::start();
    let user = quay.get("user/").json();
    assert_eq!((&user["username"], &user["anonymous"]), (&json!("alice"), &json!(false)));
    let organizations: Vec<_> = user["organizations"].as_array().unwrap().iter().map(|found| &found["name"]).collect();
    assert_eq!(organizations, ["acme", "bulk", "team_one"]);
    assert_eq!(user["organizations"][0]["is_org_admin"], true);
    let only_read = quay.call_as(&quay.token_of("alice", "user:read"), "GET user/", "").json();
    assert!(only_read["organizations"][0].get("is_org_admin").is_none());
    let anonymous = quay.call_as("", "GET user/", "");
    assert_eq!(anonymous.json()["session_required"], false);

    let rows = [
        ("alice", "org:admin", true, true),
        ("alice", "user:admin", false, false),
        ("bob", "org:admin", false, true),
        ("carol", "org:admin", false, true),
        ("erin", "org:admin", false, false),
    ];
    for (name, scopes, is_admin, is_member) in rows {
        let organization = quay.call_as(&quay.token_of(name, scopes), "GET organization/acme", "").json();
        let seen = (&organization["is_admin"], &organization["is_member"]);
        assert_eq!(seen, (&json!(is_admin), &json!(is_member)), "{name} with {scopes}");
    }
    for bearer in ["", "unknown"] {
        let organization = quay.call_as(bearer, "GET organization/acme", "").json();
        assert_eq!((&organization["name"], &organization["is_admin"]), (&json!("acme"), &json!(false)));
        for missing in ["nowhere", "ACME", "alice"] {
            let answer = quay.call_as(bearer, &format!("GET organization/{missing}"), "");
            assert_eq!(answer.verdict(), "404 A not_found: Not Found", "{missing}");
        }
    }
}

#[test]
fn a_body_counts_as_json_by_its_content_type() {
    let quay = Quay::start();
    let put = |kind: &str, name: &str| {
        let request = quay.request("PUT", &format!("/api/v1/user/robots/{name}")).bearer_auth(&quay.token);
        Answer::of(request.header(CONTENT_TYPE, kind).body(r#"{"description": "seen"}"#)).unwrap()
    };
    for (kind, name, description) in [
        ("application/json", "n1", "seen"),
        ("application/json; charset=utf-8", "n2", "seen"),
        ("text/plain", "n3", ""),
    ] {
        assert_eq!(put(kind, name).text("description"), description, "{kind}");
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const ALL: &str = "org:admin user:admin user:read";
const WRITES: [&str; 8] = [
    "POST organization/acme/robots/ci/regenerate",
    "PUT organization/acme/robots/new",
    "DELETE organization/acme/robots/ci",
    "DELETE organization/acme/robots/ci/federation",
    "POST user/robots/laptop/regenerate",
    "PUT user/robots/new",
    "DELETE user/robots/laptop",
    "DELETE user/robots/laptop/federation",
];
