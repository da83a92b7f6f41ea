//! What the stand-in controller does otherwise than the gateway.

use serde_json::{Value, json};

use crate::central::keys;
use crate::common::FormBody;
use crate::platform::{Answer, EXTERNAL, FORBIDDEN, Platform, detail};

#[test]
fn a_token_has_the_controllers_fields_and_the_same_is_under_both_prefixes() {
    let mut controller = Platform::controller();
    for base in ["/api/v2/", "/api/controller/v2/"] {
        controller.base = base;
        let answer =
            controller.call("alice", "POST tokens/", r#"{"description": null, "expires": "x", "nonsense": 1}"#);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let row = answer.json();
        assert_eq!(keys(&row), FIELDS);
        let place = format!("{base}tokens/{}/", row["id"]);
        assert_eq!((answer.header("location"), row["url"].as_str().unwrap()), (place.as_str(), place.as_str()));
        assert_eq!((&row["description"], &row["scope"]), (&json!(""), &json!("write")));
        assert_eq!((&row["type"], &row["refresh_token"]), (&json!("o_auth2_access_token"), &Value::Null));
        let read = controller.get("alice", &place).json();
        assert_eq!((&read["token"], &read["refresh_token"]), (&json!("************"), &Value::Null));
    }
    assert_eq!(controller.get("alice", "/api/v2/tokens/").json()["count"], 2);
}

#[test]
fn every_row_of_create_is_answered_as_the_controller_does() {
    let controller = Platform::controller();
    let not_simple = r#"{"scope":["Must be a simple space-separated string with allowed scopes ['read', 'write']."]}"#;
    let rows = [
        (r#"{"scope": "openid"}"#, not_simple),
        (r#"{"scope": "read read"}"#, not_simple),
        (r#"{"scope": ""}"#, not_simple),
        (r#"{"scope": null}"#, not_simple),
        (r#"{"scope": ["read"]}"#, r#"{"scope":["Not a valid string."]}"#),
        (r#"{"application": 99}"#, r#"{"application":["Invalid pk \"99\" - object does not exist."]}"#),
        (r#"{"application": "x"}"#, r#"{"application":["Incorrect type. Expected pk value, received str."]}"#),
        (r#"{"description": "a\u0000b"}"#, r#"{"description":["Null characters are not allowed."]}"#),
        ("[]", r#"{"detail":"JSON parse error - not a JSON object"}"#),
        (r#""x""#, r#"{"detail":"JSON parse error - not a JSON object"}"#),
    ];
    for (body, expected) in rows {
        assert_eq!(controller.call("admin", "POST tokens/", body).verdict(), format!("400 {expected}"), "{body}");
    }
    let form = controller.request("POST tokens/").header("authorization", controller.password_of("admin"));
    let verdict = Answer::of(form.form_body(&[("description", "x")])).verdict();
    assert!(
        verdict.starts_with(r#"415 {"detail":"You did not use correct Content-Type in your HTTP request."#),
        "{verdict}"
    );
    for scope in ["read", "write", "read write", "write read"] {
        assert_eq!(controller.new_token("alice", &json!({ "scope": scope }))["scope"], scope);
    }
}

#[test]
fn a_put_without_a_scope_makes_a_read_token_a_write_token() {
    let controller = Platform::controller();
    let row = controller.new_token("alice", &json!({ "description": "x", "scope": "read" }));
    let path = format!("tokens/{}/", row["id"]);
    let application = json!({ "application": controller.handle.application("ci", "Default") }).to_string();
    let patched = controller.call("alice", &format!("PATCH {path}"), &application).json();
    assert_eq!((&patched["scope"], &patched["application"]), (&json!("read"), &Value::Null));
    let put = controller.call("alice", &format!("PUT {path}"), "{}").json();
    assert_eq!((&put["scope"], &put["description"]), (&json!("write"), &json!("x")));
}

#[test]
fn members_use_the_applications_of_their_organization() {
    let controller = Platform::controller();
    let body =
        |organization: &str| json!({ "application": controller.handle.application("ci", organization) }).to_string();
    assert_eq!(controller.call("bob", "POST tokens/", &body("Default")).verdict(), FORBIDDEN);
    assert_eq!(controller.call("auditor", "POST tokens/", &body("Default")).verdict(), FORBIDDEN);
    let answer = controller.call("alice", "POST tokens/", &body("Default"));
    assert_eq!((answer.status, answer.text("refresh_token").len()), (201, 30));
    let id = controller.handle.application("ci", "Engineering").unwrap();
    let answer = controller.call("bob", &format!("POST applications/{id}/tokens/"), r#"{"description": "x"}"#);
    assert_eq!((answer.status, answer.json()["application"].as_i64()), (201, Some(id)));
    assert_eq!(controller.get("bob", &format!("applications/{id}/tokens/")).descriptions(), "x");
    assert_eq!(controller.call("admin", &format!("DELETE applications/{id}/"), "").status, 204);
    assert_eq!(controller.handle.live_tokens("x"), 0, "its tokens die with it");
}

#[test]
fn whatever_user_the_path_names_the_token_is_the_callers_own() {
    let controller = Platform::controller();
    for path in ["users/1/tokens/", "users/1/personal_tokens/", "users/999/tokens/"] {
        let answer = controller.call("alice", &format!("POST {path}"), r#"{"description": "own"}"#);
        assert_eq!((answer.status, &answer.json()["user"]), (201, &json!(2)), "{path}");
    }
    let required = controller.call("alice", "POST users/2/authorized_tokens/", "{}").verdict();
    assert_eq!(required, r#"400 {"application":["This field is required."]}"#);
    controller.handle.issue_token("admin", "admins", "write");
    let rows = [
        ("alice", "users/1/tokens/", ""),
        ("admin", "users/1/tokens/", "admins"),
        ("alice", "users/1/personal_tokens/", "own own own"),
        ("alice", "users/999/personal_tokens/", "own own own"),
        ("alice", "users/2/authorized_tokens/", ""),
        ("admin", "tokens/?search=ADM", "admins"),
    ];
    for (user, path, expected) in rows {
        assert_eq!(controller.get(user, path).descriptions(), expected, "{user} {path}");
    }
    let unknown = controller.get("alice", "users/999/tokens/").verdict();
    assert_eq!(unknown, detail(404, "No User matches the given query."));
    assert_eq!(controller.call("erin", "POST users/5/tokens/", "{}").verdict(), detail(403, EXTERNAL));
}

#[test]
fn the_open_pages_and_the_paths_that_are_not_there_are_the_controllers() {
    let controller = Platform::controller();
    for call in ["GET /api/", "GET ", "GET ping/"] {
        let answer = controller.call_as("", call, "");
        assert_eq!((answer.status, answer.header("x-api-product-name")), (200, "AWX"), "{call}");
    }
    assert_eq!(controller.call_as("", "POST ping/", "").status, 405);
    assert_eq!(controller.call_as("", "GET config/", "").status, 401);
    assert_eq!(controller.get("alice", "config/").text("version"), "24.6.1");
    for call in ["GET tokens/abc/", "GET nothing/", "GET /api/gateway/v1/tokens/", "GET /o/"] {
        assert_eq!(controller.call("admin", call, "").verdict(), "404 HTML", "{call}");
    }
}

#[test]
fn the_lives_are_set_as_an_object_that_is_replaced() {
    let controller = Platform::controller();
    let path = "settings/authentication/";
    let lives = controller.get("admin", path).json()["OAUTH2_PROVIDER"].clone();
    assert_eq!(lives["ACCESS_TOKEN_EXPIRE_SECONDS"], 31_536_000_000_i64);
    assert_eq!(controller.get("alice", path).verdict(), FORBIDDEN);
    let patch = format!("PATCH {path}");
    let refused = controller.call("admin", &patch, r#"{"OAUTH2_PROVIDER": {"ACCESS_TOKEN_EXPIRE_SECONDS": 0}}"#);
    assert_eq!(refused.status, 400);
    let changed = controller.call("admin", &patch, r#"{"OAUTH2_PROVIDER": {"ACCESS_TOKEN_EXPIRE_SECONDS": 60}}"#);
    assert_eq!(changed.status, 200);
    let issued = controller.handle.issue("alice", controller.handle.application("ci", "Default"), "x", "write");
    let record = controller.handle.tokens().remove(0);
    assert_eq!(record.expires - record.created, 60);
    let (id, secret) = controller.client("ci", "Default");
    let refresh = issued.refresh_token.unwrap();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
        ("client_id", &id),
        ("client_secret", &secret),
    ];
    assert_eq!(controller.oauth("token", &form).body, "The refresh token has expired.");
}

const FIELDS: [&str; 14] = [
    "id",
    "type",
    "url",
    "related",
    "summary_fields",
    "created",
    "modified",
    "description",
    "user",
    "token",
    "refresh_token",
    "application",
    "expires",
    "scope",
];
