//! The registry's door of the stand-in Quay and what the server says of itself: sections 6 and 9 of its contract.

use reqwest::header::AUTHORIZATION;
use serde_json::json;
use tokensmith_sandbox::quay::Permission;

use crate::common::{claims, part};
use crate::quay::{Answer, Quay, basic};

#[test]
fn the_challenge_names_the_server_and_where_to_log_in() {
    let quay = Quay::start();
    let own = quay.handle.server_hostname();
    assert_eq!(quay.handle.url(), format!("https://{own}"), "unless told otherwise");
    for host in [own.as_str(), "quay.example.com"] {
        quay.change(|state| state.server_hostname = host.to_owned());
        let ping = Answer::of(quay.request("GET", "/v2/")).unwrap();
        let challenge = format!(r#"Bearer realm="https://{host}/v2/auth",service="{host}""#);
        assert_eq!((ping.status, ping.header("www-authenticate")), (401, challenge.as_str()));
        let config = Answer::of(quay.request("GET", "/config")).unwrap().json();
        assert_eq!(config["config"]["SERVER_HOSTNAME"], host);
        assert_eq!(config["config"]["PREFERRED_URL_SCHEME"], "https");
        let problem = quay.get("organization/nowhere").text("type");
        assert_eq!(problem, format!("https://{host}/api/v1/error/not_found"));
    }
}

#[test]
fn a_login_answers_a_registry_jwt_of_an_hour_that_outlives_the_robots_token() {
    let quay = Quay::start();
    let token = quay.handle.robot_token("acme+ci").unwrap();
    let answer = quay.log_in("acme+ci", &token);
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let jwt = answer.text("token");
    assert_eq!(part(&jwt, 0)["alg"], "RS256");
    let claims = claims(&jwt);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!((&claims["sub"], &claims["access"]), (&json!("acme+ci"), &json!([])));
    assert_eq!(claims["aud"], quay.handle.server_hostname());

    let ping = || Answer::of(quay.request("GET", "/v2/").bearer_auth(&jwt)).unwrap().status;
    assert_eq!(ping(), 200);
    quay.regenerate("organization/acme/robots/ci");
    assert_eq!(quay.log_in("acme+ci", &token).status, 401);
    assert_eq!(ping(), 200, "regenerating is no full revocation");
    quay.call("DELETE organization/acme/robots/ci", "");
    assert_eq!(ping(), 200, "nor is deleting");
    assert!(quay.handle.registry_token_works(&jwt));
    quay.sandbox.clock().advance(3601);
    assert_eq!(ping(), 401);
    assert_eq!(Answer::of(quay.request("GET", "/v2/").bearer_auth("garbage")).unwrap().status, 401);
}

#[test]
fn every_bad_login_is_401_in_the_registrys_shape() {
    let quay = Quay::start();
    let token = quay.handle.robot_token("acme+ci").unwrap();
    let external = quay.handle.identity_provider().token("acme+ci").sign().unwrap();
    let forged = quay.handle.identity_provider().token("acme+ci").claim("iss", "quay");
    let forged = forged.claim("aud", quay.handle.server_hostname()).sign().unwrap();
    let wrong = "401 D UNAUTHORIZED: Could not find robot with username: acme+ci and supplied password.";
    let missing = "401 D UNAUTHORIZED: Could not find robot with specified username";
    let rows = [
        ("acme+ci", "", wrong),
        ("acme+ci", "wrong", wrong),
        ("acme+ci", &token.to_lowercase(), wrong),
        ("acme+nobody", &token, missing),
        ("acme+CI", &token, missing),
        ("acme+nobody", &external, missing),
        ("alice", &token, "401 D UNAUTHORIZED: Invalid Username or Password"),
        ("$oauthtoken", "wrong", "401 D UNAUTHORIZED: OAuth access token could not be validated"),
        ("$oauthtoken", &quay.token, "200"),
        ("acme+ci", &external, "500 F"),
        ("acme+ci", &forged, "500 F"),
        ("acme+ci", &token, "200"),
    ];
    for (name, password, expected) in rows {
        let answer = quay.log_in(name, password);
        assert_eq!(answer.verdict(), expected, "{name}");
        assert_eq!(answer.status == 401, !answer.header("www-authenticate").is_empty(), "{name}");
    }
    let anonymous = Answer::of(quay.request("GET", "/v2/auth?service=x")).unwrap();
    let unauthorized = "401 D UNAUTHORIZED: access to the requested resource is not authorized";
    assert_eq!(anonymous.verdict(), unauthorized);
    let bearer = Answer::of(quay.request("GET", "/v2/auth").bearer_auth(&quay.token)).unwrap();
    assert_eq!(bearer.verdict(), "401 D UNAUTHORIZED: Specified credentials are invalid");
}

#[test]
fn robots_disallowed_keeps_all_out_but_the_whitelisted() {
    let quay = Quay::start();
    let token = |name: &str| quay.handle.robot_token(name).unwrap();
    quay.change(|state| {
        state.robots_disallowed = true;
        state.robots_whitelist = ["acme+deploy".to_owned()].into();
    });
    let disabled = "401 D UNAUTHORIZED: Robot account have been disabled. Please contact your administrator.";
    assert_eq!(quay.regenerate("organization/acme/robots/ci").verdict(), "200");
    assert_eq!(quay.log_in("acme+ci", &token("acme+ci")).verdict(), disabled);
    assert_eq!(quay.log_in("acme+deploy", &token("acme+deploy")).verdict(), "200");
}

#[test]
fn a_disabled_owner_keeps_robots_out() {
    let quay = Quay::start();
    let token = |name: &str| quay.handle.robot_token(name).unwrap();
    quay.change(|state| {
        state.users.get_mut("alice").unwrap().is_disabled = true;
        state.organizations.get_mut("acme").unwrap().is_disabled = true;
    });
    for name in ["alice+laptop", "acme+ci"] {
        assert_eq!(quay.log_in(name, &token(name)).status, 401, "{name}");
    }
    assert_eq!(quay.log_in("globex+ci", &token("globex+ci")).status, 200);
}

#[test]
fn a_scope_is_granted_as_far_as_the_robot_may_go() {
    let quay = Quay::start();
    quay.change(|state| {
        state.robots.get_mut("acme+ci").unwrap().permissions =
            vec![Permission { repository: "app".into(), is_public: false, role: "write".into() }];
    });
    let token = quay.handle.robot_token("acme+ci").unwrap();
    let host = quay.handle.server_hostname();
    let rows = [
        ("repository:acme/app:pull", Some(json!(["pull"]))),
        ("repository:acme/app:pull,push,*", Some(json!(["pull", "push"]))),
        (&format!("repository:{host}/acme/app:push"), Some(json!(["push"]))),
        ("repository:acme/other:pull", Some(json!([]))),
        ("repository:globex/app:pull", Some(json!([]))),
        ("repository:acme/app:fly", None),
        ("acme/app:pull", None),
    ];
    for (scope, actions) in rows {
        let query = [("service", host.as_str()), ("scope", scope)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let request = quay.request("GET", &format!("/v2/auth?{query}"));
        let answer = Answer::of(request.header(AUTHORIZATION, basic("acme+ci", &token))).unwrap();
        match actions {
            Some(actions) => assert_eq!(claims(&answer.text("token"))["access"][0]["actions"], actions, "{scope}"),
            None => {
                let expected = format!("400 D INVALID_REQUEST: Unable to decode repository and actions: {scope}");
                assert_eq!(answer.verdict(), expected);
            }
        }
    }
    let anonymous = quay.request("GET", "/v2/auth?scope=repository:acme/app:pull");
    assert_eq!(claims(&Answer::of(anonymous).unwrap().text("token"))["sub"], "(anonymous)");
    quay.change(|state| state.anonymous_access = false);
    let anonymous = quay.request("GET", "/v2/auth?scope=repository:acme/app:pull");
    assert_eq!(Answer::of(anonymous).unwrap().verdict(), "401 B Anonymous access is not allowed");
}

#[test]
fn the_server_says_what_it_is_without_a_login() {
    let quay = Quay::start();
    quay.change(|state| state.release = (3, 15, 2));
    let get = |path: &str| Answer::of(quay.request("GET", path)).unwrap();
    let config = get("/config").json();
    assert_eq!((&config["version_number"], &config["registry_state"]), (&json!("Quay v3.15.2"), &json!("normal")));
    assert_eq!(config["features"]["ANONYMOUS_ACCESS"], true);
    assert_eq!(get("/health/instance").json()["status_code"], 200);
    assert_eq!(get("/_internal_ping").body, "true");
}

#[test]
fn discovery_names_the_endpoints_that_the_release_has() {
    let quay = Quay::start();
    let has = |path: &str| {
        let discovery = quay.call_as("", "GET discovery", "").json();
        assert_eq!(discovery["swagger"], "2.0");
        discovery["paths"][path].is_object()
    };
    let user = "/api/v1/user/robots/{robot_shortname}/federation";
    let organization = "/api/v1/organization/{orgname}/robots/{robot_shortname}/federation";
    for (release, expected) in [((3, 12, 0), [false; 2]), ((3, 17, 1), [true, false]), ((3, 17, 2), [true; 2])] {
        quay.change(|state| state.release = release);
        assert_eq!([has(organization), has(user)], expected, "{release:?}");
        assert!(has("/api/v1/user/robots/{robot_shortname}/regenerate"));
    }
}
