//! Applications and the OAuth2 endpoints of the stand-in gateway and controller.

use ring::digest;
use serde_json::json;

use crate::common::FormBody;
use crate::platform::{Answer, EXTERNAL, FORBIDDEN, Platform, detail};
use crate::quay::basic;

#[test]
fn an_application_is_created_and_its_secret_is_shown_once() {
    for (platform, mask) in [(Platform::gateway(), "$encrypted$"), (Platform::controller(), "************")] {
        let body = json!({
            "name": "new", "organization": 1, "client_type": "confidential", "authorization_grant_type": "password",
        });
        assert_eq!(platform.call("alice", "POST applications/", &body.to_string()).verdict(), FORBIDDEN);
        let answer = platform.call("admin", "POST applications/", &body.to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!((answer.text("client_id").len(), answer.text("client_secret").len()), (40, 128));
        let path = format!("applications/{}/", answer.json()["id"]);
        assert_eq!(platform.get("admin", &path).text("client_secret"), mask);
        let again = platform.call("admin", "POST applications/", &body.to_string()).verdict();
        assert_eq!(again, r#"400 {"__all__":["Application with this Name and Organization already exists."]}"#);
        let mut public = body.clone();
        (public["client_type"], public["organization"]) = (json!("public"), json!(2));
        let answer = platform.call("admin", "POST applications/", &public.to_string());
        assert_eq!((answer.status, answer.json().get("client_secret")), (201, None));
        assert_eq!(platform.call("admin", &format!("DELETE {path}"), "").status, 204);
        assert_eq!(
            platform.get("admin", &path).verdict(),
            detail(404, "No OAuth2Application matches the given query.")
        );
    }
}

#[test]
fn every_wrong_field_of_an_application_is_named() {
    let gateway = Platform::gateway();
    let body = json!({
        "name": "", "organization": 99, "client_type": "x", "authorization_grant_type": "client-credentials",
    });
    let expected = json!({
        "name": ["This field may not be blank."], "client_type": ["\"x\" is not a valid choice."],
        "organization": ["Invalid pk \"99\" - object does not exist."],
        "authorization_grant_type": ["\"client-credentials\" is not a valid choice."],
    });
    let answer = gateway.call("admin", "POST applications/", &body.to_string());
    assert_eq!((answer.status, answer.json()), (400, expected));
    let answer = gateway.call("admin", "POST applications/", "{}").json();
    assert!(answer.as_object().unwrap().values().all(|value| *value == json!(["This field is required."])), "{answer}");
}

#[test]
fn a_password_is_exchanged_for_a_pair_and_the_pair_for_the_next() {
    for (platform, status) in [(Platform::gateway(), 201), (Platform::controller(), 200)] {
        let (id, secret) = platform.client("deploy", "Default");
        let password = platform.handle.password("alice");
        let form = [("grant_type", "password"), ("username", "alice"), ("password", &password)];
        let base = if status == 200 { "/api/o/" } else { "/o/" };
        let with_basic = platform.request(&format!("POST {base}token/")).header("authorization", basic(&id, &secret));
        let first = Answer::of(with_basic.form_body(&form));
        assert_eq!(first.status, status, "{}", first.body);
        let names = ["access_token", "expires_in", "token_type", "scope", "refresh_token"];
        assert_eq!(crate::central::keys(&first.json()), names);
        assert_eq!((first.text("token_type"), first.text("scope")), ("Bearer".to_owned(), "read write".to_owned()));
        let (access, refresh) = (first.text("access_token"), first.text("refresh_token"));
        assert!(platform.handle.token_works(&access));
        assert!(platform.handle.tokens()[0].told);

        let row = platform.handle.tokens()[0].clone();
        platform.call("alice", &format!("PATCH tokens/{}/", row.id), r#"{"description": "mine"}"#);
        let refreshed = |token: &str| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
            platform.oauth("token", &[&form[..], &[("client_id", &id), ("client_secret", &secret)]].concat())
        };
        let next = refreshed(&refresh);
        assert_eq!(next.status, status, "{}", next.body);
        assert!(!platform.handle.token_works(&access) && platform.handle.token_works(&next.text("access_token")));
        let record = platform.handle.tokens().remove(0);
        assert!(record.id != row.id && record.description.is_empty(), "a new row without the description");
        assert_eq!(refreshed(&refresh).verdict(), r#"400 {"error":"invalid_grant"}"#);
        assert!(platform.handle.token_works(&next.text("access_token")), "a replay does no harm");
        let last = refreshed(&next.text("refresh_token"));
        assert_eq!(last.status, status);

        platform.handle.revoke(platform.handle.tokens()[0].id);
        assert_eq!(refreshed(&last.text("refresh_token")).verdict(), "500 HTML");
    }
}

#[test]
fn every_refusal_of_the_token_endpoint_has_its_status() {
    for platform in [Platform::gateway(), Platform::controller()] {
        let (id, secret) = platform.client("deploy", "Default");
        let password = platform.handle.password("alice");
        let client = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let user = [("grant_type", "password"), ("username", "alice"), ("password", password.as_str())];
        let error = |error: &str| format!("400 {}", json!({ "error": error }));
        let described =
            |error: &str, sentence: &str| format!("400 {}", json!({ "error": error, "error_description": sentence }));
        let wrong_password = [("grant_type", "password"), ("username", "alice"), ("password", "x")];
        let unknown_client = [("client_id", "x"), ("client_secret", secret.as_str())];
        let rows: [(Vec<(&str, &str)>, String); 8] = [
            ([&client[..], &wrong_password].concat(), described("invalid_grant", "Invalid credentials given.")),
            ([&unknown_client[..], &user].concat(), r#"401 {"error":"invalid_client"}"#.to_owned()),
            ([&client[..1], &user].concat(), r#"401 {"error":"invalid_client"}"#.to_owned()),
            ([&client[..], &user, &[("scope", "x")]].concat(), error("invalid_scope")),
            ([&client[..], &[("grant_type", "x")]].concat(), error("unsupported_grant_type")),
            (client.to_vec(), error("unsupported_grant_type")),
            (
                [&client[..], &[("grant_type", "refresh_token")]].concat(),
                described("invalid_request", "Missing refresh token parameter."),
            ),
            (
                [&client[..], &[("grant_type", "refresh_token"), ("refresh_token", "x")]].concat(),
                error("invalid_grant"),
            ),
        ];
        for (form, expected) in rows {
            let answer = platform.oauth("token", &form);
            assert_eq!(answer.verdict(), expected, "{form:?}");
            let challenge = if answer.status == 401 { r#"Bearer error="invalid_client""# } else { "" };
            assert_eq!(answer.header("www-authenticate"), challenge);
        }
        let erin = platform.handle.password("erin");
        let external = [("grant_type", "password"), ("username", "erin"), ("password", &erin)];
        let answer = platform.oauth("token", &[&client[..], &external].concat());
        assert_eq!((answer.status, answer.body.as_str()), (403, EXTERNAL));
        assert!(answer.header("content-type").starts_with("text/html"));

        let base = if platform.base == "/api/v2/" { "/api/o/" } else { "/o/" };
        let in_json = platform.call_as("", &format!("POST {base}token/"), r#"{"grant_type": "password"}"#).verdict();
        assert_eq!(in_json, error("unsupported_grant_type"));
        assert_eq!(platform.call_as("", &format!("GET {base}token/"), "").status, 405);
        assert_eq!(platform.call_as("", &format!("GET {base}"), "").status, 200);
        assert!(platform.handle.tokens().is_empty());
    }
}

#[test]
fn an_application_of_another_grant_or_another_application_gets_nothing() {
    let gateway = Platform::gateway();
    let body = json!({
        "name": "code", "organization": 1, "client_type": "public", "authorization_grant_type": "authorization-code",
        "redirect_uris": "https://app.example.com/",
    });
    let made = gateway.call("admin", "POST applications/", &body.to_string());
    let (public, password) = (made.text("client_id"), gateway.handle.password("alice"));
    let form = [("client_id", &*public), ("grant_type", "password"), ("username", "alice"), ("password", &password)];
    assert_eq!(gateway.oauth("token", &form).verdict(), r#"400 {"error":"unauthorized_client"}"#);

    let deploy = gateway.handle.application("deploy", "Default");
    let refresh = gateway.handle.issue("alice", deploy, "x", "write").refresh_token.unwrap();
    let form = [("client_id", &*public), ("grant_type", "refresh_token"), ("refresh_token", &refresh)];
    assert_eq!(gateway.oauth("token", &form).verdict(), r#"400 {"error":"invalid_grant"}"#);
}

#[test]
fn a_refresh_keeps_within_the_scope_and_the_life_of_its_token() {
    let controller = Platform::controller();
    let (id, secret) = controller.client("deploy", "Default");
    let refreshed = |token: &str, scope: &str| {
        let client = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        controller.oauth("token", &[&client[..], &form].concat())
    };
    let issued = |scope: &str| {
        let application = controller.handle.application("deploy", "Default");
        controller.handle.issue("alice", application, "x", scope).refresh_token.unwrap()
    };
    assert_eq!(refreshed(&issued("write"), "read").verdict(), r#"400 {"error":"invalid_scope"}"#);
    assert_eq!(refreshed(&issued("read write"), "read").text("scope"), "read");

    let old = issued("write");
    controller.change(|state| state.token_life = 60);
    let expired = issued("write");
    controller.sandbox.clock().advance(120);
    assert_eq!(refreshed(&expired, "write").status, 200, "an expired access token does not hinder");
    controller.sandbox.clock().advance(2_628_000);
    let answer = refreshed(&old, "write");
    assert_eq!((answer.status, answer.body.as_str()), (403, "The refresh token has expired."));
    assert!(answer.header("content-type").starts_with("text/html"));
}

#[test]
fn a_revocation_does_nothing_on_a_gateway_and_everything_on_a_controller() {
    for (platform, revokes) in [(Platform::gateway(), false), (Platform::controller(), true)] {
        let (id, secret) = platform.client("ci", "Default");
        let client = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let revoked = |token: &str| platform.oauth("revoke_token", &[&client[..], &[("token", token)]].concat());
        let deploy = platform.handle.application("deploy", "Default");
        let (_, personal) = platform.handle.issue_token("alice", "personal", "write");
        let first = platform.handle.issue("alice", deploy, "first", "write");
        let second = platform.handle.issue("alice", deploy, "second", "write");
        for token in [personal.as_str(), &first.token, second.refresh_token.as_ref().unwrap(), "unknown"] {
            let answer = revoked(token);
            assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        }
        for token in [&personal, &first.token, &second.token] {
            assert_eq!(platform.handle.token_works(token), !revokes);
        }
        assert_eq!(revoked("").verdict(), MISSING);
        let stranger = [("token", "x"), ("client_id", "x"), ("client_secret", "x")];
        assert_eq!(platform.oauth("revoke_token", &stranger).verdict(), r#"401 {"error":"invalid_client"}"#);

        let (deploy_id, deploy_secret) = platform.client("deploy", "Default");
        let refresh = |token: &str| {
            let client = [("client_id", deploy_id.as_str()), ("client_secret", deploy_secret.as_str())];
            let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
            platform.oauth("token", &[&client[..], &form].concat()).verdict()
        };
        if !revokes {
            let digest = digest::digest(&digest::SHA256, first.token.as_bytes());
            let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            revoked(&format!("$sha256${hex}"));
            assert!(!platform.handle.token_works(&first.token), "the stored form is found");
        } else {
            assert_eq!(refresh(second.refresh_token.as_ref().unwrap()), r#"400 {"error":"invalid_grant"}"#);
        }
        assert_eq!(refresh(first.refresh_token.as_ref().unwrap()), "500 HTML");
    }
}

const MISSING: &str = r#"400 {"error":"invalid_request","error_description":"Missing token parameter."}"#;
