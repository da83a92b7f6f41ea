//! The tokens of the stand-in gateway: create, read, change, delete.

use serde_json::{Value, json};
use tokensmith_sandbox::platform::Release;

use crate::central::keys;
use crate::common::FormBody;
use crate::platform::{Answer, EXTERNAL, FORBIDDEN, NO_MATCH, Platform, detail};

#[test]
fn a_token_is_created_proven_read_and_deleted() {
    let gateway = Platform::gateway();
    let body =
        json!({ "description": "ci", "scope": "read", "user": 1, "expires": "2001-01-01T00:00:00Z", "token": "x" });
    let answer = gateway.call("alice", "POST tokens/", &body.to_string());
    assert_eq!(answer.status, 201, "{}", answer.body);
    let row = answer.json();
    assert_eq!(keys(&row), FIELDS);
    let (id, alice) = (row["id"].as_i64().unwrap(), row["user"].as_i64().unwrap());
    let place = format!("/api/gateway/v1/tokens/{id}/");
    assert_eq!((answer.header("location"), row["url"].as_str().unwrap()), (place.as_str(), place.as_str()));
    assert_eq!((&row["description"], &row["scope"]), (&json!("ci"), &json!("read")));
    assert_eq!((&row["refresh_token"], &row["application"]), (&Value::Null, &Value::Null));
    assert_eq!((&row["created_by"], &row["modified_by"]), (&json!(alice), &json!(alice)));
    let summary = json!({ "id": alice, "username": "alice", "first_name": "", "last_name": "" });
    assert_eq!(row["summary_fields"]["user"], summary);
    assert_eq!(row["related"]["user"], format!("/api/gateway/v1/users/{alice}/"));
    let secret = row["token"].as_str().unwrap();
    assert!(secret.len() == 30 && secret.chars().all(|character| character.is_ascii_alphanumeric()), "{secret}");
    let expires = row["expires"].as_str().unwrap();
    assert!(expires.len() == 27 && expires.ends_with('Z') && expires.as_bytes()[19] == b'.', "{expires}");

    assert_eq!(row["last_used"], Value::Null);
    assert_eq!(gateway.call_with(secret, "GET me/", "").status, 200);
    let read = gateway.get("alice", &format!("tokens/{id}/")).json();
    assert_eq!((keys(&read), &read["token"]), (FIELDS.to_vec(), &json!("$encrypted$")));
    assert!(read["last_used"].is_string(), "a use is written down");

    let (path, delete) = (format!("GET tokens/{id}/"), format!("DELETE tokens/{id}/"));
    let answer = gateway.call("alice", &delete, "");
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(gateway.call_with(secret, "GET me/", "").status, 401);
    assert_eq!(gateway.call("alice", &delete, "").verdict(), NO_MATCH);
    assert_eq!(gateway.call("alice", &path, "").verdict(), NO_MATCH);
}

#[test]
fn every_row_of_create_is_answered_as_the_gateway_does() {
    let gateway = Platform::gateway();
    let scopes = "['read', 'write', 'openid', 'roles']";
    let repeated = format!("Must be a simple space-separated string with allowed scopes {scopes}.");
    let rows = [
        (r#"{"scope": "admin"}"#, r#"{"scope":["Invalid scope: admin. Must be one of: read, write, openid, roles"]}"#),
        (r#"{"scope": "read  write"}"#, r#"{"scope":["Invalid scope: . Must be one of: read, write, openid, roles"]}"#),
        (r#"{"scope": "read read"}"#, &json!({ "scope": [repeated] }).to_string()),
        (r#"{"scope": ""}"#, r#"{"scope":["This field may not be blank."]}"#),
        (r#"{"scope": null}"#, r#"{"scope":["This field may not be null."]}"#),
        (r#"{"scope": ["read"]}"#, r#"{"scope":["Not a valid string."]}"#),
        (r#"{"application": 99}"#, r#"{"application":["Invalid pk \"99\" - object does not exist."]}"#),
        (r#"{"application": "x"}"#, r#"{"application":["Incorrect type. Expected pk value, received str."]}"#),
        (r#"{"description": "a\u0000b"}"#, r#"{"description":["Null characters are not allowed."]}"#),
        ("[]", r#"{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#),
    ];
    for (body, expected) in rows {
        assert_eq!(gateway.call("admin", "POST tokens/", body).verdict(), format!("400 {expected}"), "{body}");
    }
    let broken = gateway.call("admin", "POST tokens/", "{").verdict();
    assert!(broken.starts_with(r#"400 {"detail":"JSON parse error - "#), "{broken}");
    let text = gateway.request("POST tokens/").header("authorization", gateway.password_of("admin"));
    let text = Answer::of(text.header("content-type", "text/plain").body("{}"));
    assert_eq!(text.verdict(), r#"415 {"detail":"Unsupported media type \"text/plain\" in request."}"#);
    assert!(gateway.handle.tokens().is_empty());

    gateway.change(|state| state.release = Release::Dab2025_5_8);
    let older = gateway.call("admin", "POST tokens/", r#"{"scope": "openid"}"#).verdict();
    assert_eq!(older, r#"400 {"scope":["Invalid scope: openid. Must be one of: read, write"]}"#);
}

#[test]
fn what_may_be_left_out_has_its_default_and_a_form_is_taken() {
    let gateway = Platform::gateway();
    for body in ["", "{}", r#"{"nonsense": true}"#] {
        let row = gateway.call("alice", "POST tokens/", body).json();
        assert_eq!((&row["scope"], &row["description"]), (&json!("write"), &json!("")), "{body}");
    }
    let form = gateway.request("POST tokens/").header("authorization", gateway.password_of("alice"));
    let answer = Answer::of(form.form_body(&[("description", "from a form"), ("scope", "read write")]));
    assert_eq!(
        (answer.status, answer.text("scope"), answer.text("description")),
        (201, "read write".to_owned(), "from a form".to_owned())
    );
}

#[test]
fn the_life_is_the_servers_and_can_be_a_thousand_years() {
    for (platform, years) in [(Platform::gateway(), 1), (Platform::controller(), 1000)] {
        let row = platform.new_token("alice", &json!({ "description": "x" }));
        let record = platform.handle.tokens().remove(0);
        assert_eq!(record.expires - record.created, years * 31_536_000);
        let year = |field: &str| row[field].as_str().unwrap()[..4].parse::<i64>().unwrap();
        assert!((year("expires") - year("created") - years).abs() <= 1, "{row}");
        platform.change(|state| state.token_life = 60);
        let secret = platform.new_token("alice", &json!({}))["token"].as_str().unwrap().to_owned();
        platform.sandbox.clock().advance(59);
        assert!(platform.handle.token_works(&secret));
        platform.sandbox.clock().advance(2);
        assert!(!platform.handle.token_works(&secret));
        assert_eq!(platform.call_with(&secret, "GET me/", "").status, 401);
        platform.change(|state| state.token_life = i64::MAX);
        let row = platform.new_token("alice", &json!({}));
        assert!(row["expires"].as_str().unwrap().starts_with("9999-12-31T"), "{row}");
    }
}

#[test]
fn applications_are_for_superusers_and_their_tokens_have_a_refresh_token() {
    let gateway = Platform::gateway();
    let application = gateway.handle.application("deploy", "Default").unwrap();
    let body = json!({ "application": application, "description": "app" });
    assert_eq!(gateway.call("alice", "POST tokens/", &body.to_string()).verdict(), FORBIDDEN);
    let row = gateway.new_token("admin", &body);
    assert_eq!((&row["application"], row["refresh_token"].as_str().unwrap().len()), (&json!(application), 30));
    let summary = json!({ "id": application, "name": "deploy" });
    assert_eq!(row["summary_fields"]["application"], summary);
    let read = gateway.get("admin", &format!("tokens/{}/", row["id"])).json();
    assert_eq!((&read["token"], &read["refresh_token"]), (&json!("$encrypted$"), &json!("$encrypted$")));

    let bob = gateway.change(|state| state.users.iter().find(|user| user.username == "bob").unwrap().id);
    let body = json!({
        "name": "of-bob", "organization": 1, "client_type": "public", "authorization_grant_type": "password", "user": bob,
    });
    let made = gateway.call("admin", "POST applications/", &body.to_string()).json();
    let row = gateway.new_token("admin", &json!({ "application": made["id"] }));
    assert_eq!((&row["user"], &row["created_by"]), (&json!(bob), &json!(1)), "an application's user gets the token");
}

#[test]
fn external_users_get_no_token_unless_they_may() {
    for platform in [Platform::gateway(), Platform::controller()] {
        assert_eq!(platform.call("erin", "POST tokens/", "{}").verdict(), detail(403, EXTERNAL));
        assert!(platform.handle.tokens().is_empty());
        platform.change(|state| state.external_users = true);
        assert_eq!(platform.call("erin", "POST tokens/", "{}").status, 201);
    }
}

#[test]
fn description_scope_and_application_change_and_nothing_else() {
    let gateway = Platform::gateway();
    let row = gateway.new_token("alice", &json!({ "description": "before", "scope": "read" }));
    let (path, secret) = (format!("tokens/{}/", row["id"]), row["token"].as_str().unwrap());
    let body =
        json!({ "description": "after", "scope": "write", "expires": "2001-01-01T00:00:00Z", "token": "x", "user": 1 });
    for method in ["PATCH", "PUT"] {
        let changed = gateway.call("alice", &format!("{method} {path}"), &body.to_string()).json();
        assert_eq!((&changed["description"], &changed["scope"]), (&json!("after"), &json!("write")));
        for field in ["expires", "user", "created", "id"] {
            assert_eq!(changed[field], row[field], "{field}");
        }
        assert_eq!(changed["token"], "$encrypted$");
    }
    let changed = gateway.call("alice", &format!("PUT {path}"), "{}").json();
    assert_eq!((&changed["description"], &changed["scope"]), (&json!("after"), &json!("write")), "PUT resets nothing");
    assert!(gateway.handle.token_works(secret));
    let refused = gateway.call("alice", &format!("PATCH {path}"), r#"{"scope": "x"}"#).verdict();
    assert_eq!(refused, r#"400 {"scope":["Invalid scope: x. Must be one of: read, write, openid, roles"]}"#);
    let application = gateway.handle.application("deploy", "Default").unwrap();
    let body = json!({ "application": application }).to_string();
    assert_eq!(gateway.call("alice", &format!("PATCH {path}"), &body).verdict(), FORBIDDEN);
    assert_eq!(gateway.call("admin", &format!("PATCH {path}"), &body).json()["application"], application);
}

#[test]
fn somebody_elses_row_is_404_or_403_by_release() {
    let rows = [
        (Platform::gateway(), NO_MATCH, NO_MATCH),
        (Platform::gateway_of(Release::Dab2026_3_19), FORBIDDEN, FORBIDDEN),
        (Platform::gateway_of(Release::Dab2025_5_8), FORBIDDEN, FORBIDDEN),
        (Platform::controller(), FORBIDDEN, FORBIDDEN),
    ];
    for (platform, foreign, auditors_delete) in rows {
        let (id, token) = platform.handle.issue_token("alice", "x", "write");
        let (get, patch, delete) =
            (format!("GET tokens/{id}/"), format!("PATCH tokens/{id}/"), format!("DELETE tokens/{id}/"));
        for call in [&get, &patch, &delete] {
            assert_eq!(platform.call("bob", call, "").verdict(), foreign, "{call}");
        }
        assert_eq!(platform.call("auditor", &get, "").status, 200);
        assert_eq!(platform.call("auditor", &delete, "").verdict(), auditors_delete);
        assert_eq!(platform.call("bob", "GET tokens/99999/", "").verdict(), NO_MATCH);
        assert!(platform.handle.token_works(&token));
        assert_eq!(platform.call("admin", &patch, r#"{"description": "y"}"#).json()["description"], "y");
        assert_eq!(platform.call("admin", &delete, "").status, 204);
        assert!(!platform.handle.token_works(&token));
    }
}

#[test]
fn paths_and_methods_that_are_not_there_are_refused() {
    let gateway = Platform::gateway();
    let method = |method: &str| detail(405, &format!("Method \"{method}\" not allowed."));
    let rows = [
        ("PUT tokens/", method("PUT")),
        ("DELETE tokens/", method("DELETE")),
        ("POST users/2/tokens/", method("POST")),
        ("POST users/2/personal_tokens/", method("POST")),
        ("POST applications/1/tokens/", method("POST")),
        ("GET tokens/abc/", detail(404, "Not found.")),
        ("DELETE tokens/abc/", detail(404, "Not found.")),
        ("GET nothing/", "404 HTML".to_owned()),
        ("GET /api/v2/tokens/", "404 HTML".to_owned()),
    ];
    for (call, expected) in rows {
        assert_eq!(gateway.call("admin", call, "").verdict(), expected, "{call}");
    }
    let plain = crate::common::builder(&gateway.sandbox).redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = Answer::of(plain.post(format!("{}/api/gateway/v1/tokens?x=1", gateway.handle.url())));
    assert_eq!((answer.status, answer.header("location")), (301, "/api/gateway/v1/tokens/?x=1"));
}

const FIELDS: [&str; 16] = [
    "id",
    "url",
    "related",
    "summary_fields",
    "created",
    "created_by",
    "modified",
    "modified_by",
    "expires",
    "user",
    "application",
    "description",
    "last_used",
    "scope",
    "token",
    "refresh_token",
];
