//! Who may do what with a credential, how the objects are found, and what uses them.

use serde_json::{Value, json};
use tokensmith_sandbox::controller::{JobStatus, RoleKind};

use crate::platform::{Answer, FORBIDDEN, Platform, detail};

#[test]
fn only_an_admin_of_a_credential_writes_it_and_only_with_a_write_token() {
    let (controller, id) = with_galaxy_credential();
    let rows = [
        ("none", None, "write", [403, 403, 403]),
        ("reader", Some(RoleKind::Read), "write", [200, 403, 403]),
        ("user", Some(RoleKind::Use), "write", [200, 403, 403]),
        ("looker", Some(RoleKind::Admin), "read", [200, 403, 403]),
        ("owner", Some(RoleKind::Admin), "write", [200, 200, 204]),
    ];
    for (name, role, scope, statuses) in rows {
        if let Some(role) = role {
            assert!(controller.handle.grant(name, role, id));
        }
        let (_, token) = controller.handle.issue_token(name, "x", scope);
        let path = format!("credentials/{id}/");
        let calls = [("GET", ""), ("PATCH", r#"{"description": "x"}"#), ("DELETE", "")];
        let answers = calls.map(|(method, body)| controller.call_with(&token, &format!("{method} {path}"), body));
        assert_eq!(answers.each_ref().map(|answer| answer.status), statuses, "{name}");
        for refused in answers.iter().filter(|answer| answer.status == 403) {
            assert_eq!(refused.verdict(), FORBIDDEN, "{name}");
        }
        if statuses[0] == 200 {
            let may_edit = json!(role == Some(RoleKind::Admin));
            assert_eq!(answers[0].json()["summary_fields"]["user_capabilities"]["edit"], may_edit, "{name}");
        }
    }
    let gone = controller.get("admin", &format!("credentials/{id}/")).verdict();
    assert_eq!(gone, detail(404, "No Credential matches the given query."));
}

#[test]
fn a_role_is_granted_over_rest_to_members_of_the_organization() {
    let (controller, id) = with_galaxy_credential();
    let roles = controller.get("admin", &format!("credentials/{id}/")).json()["summary_fields"]["object_roles"].clone();
    let body = json!({ "id": roles["admin_role"]["id"] }).to_string();
    for _ in 0..2 {
        assert_eq!(controller.call("admin", "POST users/2/roles/", &body).status, 204, "it can be repeated");
    }
    assert_eq!(controller.call("alice", &format!("PATCH credentials/{id}/"), r#"{"description": "x"}"#).status, 200);
    let refusal = r#"400 {"msg":"You cannot grant credential access to a user not in the credentials' organization"}"#;
    assert_eq!(controller.call("admin", "POST users/3/roles/", &body).verdict(), refusal);
    assert_eq!(controller.call("bob", "POST users/3/roles/", &body).verdict(), FORBIDDEN);
    let ended = json!({ "id": roles["admin_role"]["id"], "disassociate": true }).to_string();
    assert_eq!(controller.call("admin", "POST users/2/roles/", &ended).status, 204);
    assert_eq!(controller.call("alice", &format!("PATCH credentials/{id}/"), "{}").verdict(), FORBIDDEN);
}

#[test]
fn a_credential_is_found_by_its_name_and_what_makes_it_unique() {
    let (controller, id) = with_galaxy_credential();
    let handle = &controller.handle;
    let inputs = json!({ "url": "https://hub.example.com" });
    let other = handle.add_credential("hub", "Engineering", "galaxy_api_token", inputs).unwrap();
    let galaxy = handle.credential_type("galaxy_api_token").unwrap();
    let rows = [
        ("?name=hub".to_owned(), vec![id, other]),
        ("?name=hub&organization=2".to_owned(), vec![other]),
        ("?name=hub&organization__name=Default".to_owned(), vec![id]),
        (format!("?name=hub&organization=1&credential_type={galaxy}"), vec![id]),
        ("?name=hub&credential_type__namespace=registry".to_owned(), vec![]),
        ("?name=HUB".to_owned(), vec![]),
        ("?page_size=1&order_by=-id".to_owned(), vec![other]),
    ];
    for (query, expected) in rows {
        assert_eq!(ids(&controller.get("admin", &format!("credentials/{query}"))), expected, "{query}");
    }
    let refused = controller.get("admin", "credentials/?inputs__icontains=x").verdict();
    assert_eq!(refused, detail(403, "Filtering on inputs is not allowed."));
    assert_eq!(ids(&controller.get("alice", "credentials/")), NONE, "who has no role sees none");
    assert!(handle.grant("alice", RoleKind::Read, id));
    assert_eq!(ids(&controller.get("alice", "credentials/?name=hub")), [id]);
    let same = json!({ "name": " hub ", "organization": 1, "credential_type": galaxy }).to_string();
    let exists = r#"400 {"__all__":["Credential with this Organization, Name and Credential type already exists."]}"#;
    assert_eq!(controller.call("admin", "POST credentials/", &same).verdict(), exists);
}

#[test]
fn a_credential_belongs_to_exactly_one_owner() {
    let controller = Platform::controller();
    let kind = controller.handle.credential_type("insights").unwrap();
    let post = |user: &str, more: Value| {
        let mut body = json!({ "name": "c", "credential_type": kind });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        controller.call(user, "POST credentials/", &body.to_string())
    };
    let nobody = r#"400 {"detail":["Missing 'user', 'team', or 'organization'."]}"#;
    assert_eq!(post("admin", json!({})).verdict(), nobody);
    let two = post("admin", json!({ "organization": 1, "user": 2 })).verdict();
    assert!(
        two.starts_with(r#"400 {"detail":["Only one of 'user', 'team', or 'organization' should be provided"#),
        "{two}"
    );
    assert_eq!(post("alice", json!({ "organization": 1 })).verdict(), FORBIDDEN);
    for _ in 0..2 {
        assert_eq!(post("alice", json!({ "user": 2 })).status, 201, "a user's own may have the same name");
    }
    let first = controller.handle.credentials_named("c")[0].id;
    assert_eq!(controller.call("alice", &format!("PATCH credentials/{first}/"), r#"{"name": "d"}"#).status, 200);
    let unknown = post("admin", json!({ "organization": 1, "inputs": { "password": "" } }));
    assert_eq!((unknown.status, &unknown.json()["inputs"]), (201, &json!({})), "what is required is not looked at");
}

#[test]
fn every_refusal_has_its_status_and_its_words() {
    let (controller, id) = with_galaxy_credential();
    let path = format!("credentials/{id}/");
    let anonymous = controller.call_as("", &format!("GET {path}"), "");
    assert_eq!(anonymous.status, 401);
    assert!(anonymous.header("www-authenticate").starts_with("Bearer realm=api"));
    assert_eq!(
        controller.call("admin", &format!("POST {path}"), "{}").verdict(),
        detail(405, r#"Method "POST" not allowed."#)
    );
    let request = controller.request(&format!("PATCH {path}")).header("authorization", controller.password_of("admin"));
    assert_eq!(Answer::of(request.header("content-type", "text/plain").body("x")).status, 415);
    let list = controller.call("admin", &format!("PATCH {path}"), "[]").verdict();
    assert_eq!(list, detail(400, "JSON parse error - not a JSON object"));
    assert_eq!(
        controller.get("admin", "credentials/999/").verdict(),
        detail(404, "No Credential matches the given query.")
    );
    assert_eq!(controller.get("admin", "credentials/x/").verdict(), "404 HTML");
    let untested = controller.call("admin", &format!("POST {path}test/"), "{}").verdict();
    assert_eq!(untested, r#"400 {"inputs":"AttributeError"}"#);
    assert_eq!(
        controller.call("admin", &format!("PATCH {path}"), r#"{"name": ""}"#).verdict(),
        r#"400 {"name":["This field may not be blank."]}"#
    );
}

#[test]
fn an_input_of_another_source_is_listed_and_its_patch_is_answered_all_the_same() {
    let (controller, id) = with_galaxy_credential();
    let handle = &controller.handle;
    let vault = handle.add_credential("vault", "Default", "hashivault_kv", json!({ "token": "v" })).unwrap();
    assert_eq!(controller.get("admin", &format!("credentials/{id}/input_sources/")).json()["count"], 0);
    assert!(handle.link_input(id, "token", vault));
    let source = controller.get("admin", &format!("credentials/{id}/input_sources/")).json()["results"][0].clone();
    let expected = (&json!("token"), &json!(id), &json!(vault));
    assert_eq!((&source["input_field_name"], &source["target_credential"], &source["source_credential"]), expected);
    let body = json!({ "inputs": { "token": "NEW" } }).to_string();
    assert_eq!(controller.call("admin", &format!("PATCH credentials/{id}/"), &body).status, 200);
}

#[test]
fn jobs_are_found_by_the_credential_that_they_began_with() {
    let (controller, _) = with_galaxy_credential();
    let handle = &controller.handle;
    let inputs = json!({ "host": "https://aap.example.com", "oauth_token": "t" });
    let id = handle.add_credential("platform", "Default", "controller", inputs).unwrap();
    let template = handle.add_job_template("deploy", "Default", &[id]).unwrap();
    let unrelated = handle.add_job_template("other", "Default", &[]).unwrap();
    let running = handle.add_job(template, JobStatus::Running).unwrap();
    let pending = handle.add_job(template, JobStatus::Pending).unwrap();
    handle.add_job(unrelated, JobStatus::Running).unwrap();
    let active = format!("jobs/?credentials={id}&status__in=new,pending,waiting,running");
    assert_eq!(ids(&controller.get("admin", &active)), [running, pending]);
    assert_eq!(ids(&controller.get("admin", &active.replace("jobs/", "unified_jobs/"))), [running, pending]);
    assert_eq!(ids(&controller.get("admin", &format!("job_templates/?credentials__id={id}"))), [template]);
    assert_eq!(ids(&controller.get("admin", &format!("job_templates/{template}/credentials/"))), [id]);
    assert!(handle.set_job_status(running, JobStatus::Successful));
    assert_eq!(ids(&controller.get("admin", &active)), [pending]);
    assert!(handle.grant("alice", RoleKind::Admin, id));
    assert_eq!(ids(&controller.get("alice", &active)), NONE, "the admin of a credential sees none of the jobs with it");
    assert!(handle.grant_on_template("alice", RoleKind::Read, template));
    assert_eq!(ids(&controller.get("alice", &active)), [pending]);
    let associate = |body: &str| controller.call("admin", &format!("POST job_templates/{template}/credentials/"), body);
    let twice = r#"400 {"error":"Cannot assign multiple Red Hat Ansible Automation Platform credentials."}"#;
    assert_eq!(associate(&json!({ "id": id }).to_string()).verdict(), twice);
    let unknown = detail(400, "Credential matching query does not exist.");
    assert_eq!(associate(r#"{"id": 999}"#).verdict(), unknown);
    assert_eq!(associate(r#"{"id": "x"}"#).verdict(), r#"400 {"msg":"\"id\" field must be an integer."}"#);
    for _ in 0..2 {
        assert_eq!(associate(&json!({ "id": id, "disassociate": true }).to_string()).status, 204);
    }
    assert_eq!(associate(&json!({ "id": id }).to_string()).status, 204);
    assert_eq!(controller.call("admin", &format!("DELETE credentials/{id}/"), "").status, 204);
    assert_eq!(
        ids(&controller.get("admin", &format!("job_templates/{template}/credentials/"))),
        NONE,
        "it is detached"
    );
}

#[test]
fn an_organization_takes_galaxy_credentials_in_their_order() {
    let (controller, first) = with_galaxy_credential();
    let second = controller.handle.add_credential("b", "Default", "galaxy_api_token", json!({})).unwrap();
    let registry = controller.handle.add_credential("r", "Default", "registry", json!({})).unwrap();
    let body = json!({ "name": "Payments", "description": "x" }).to_string();
    assert_eq!(controller.call("alice", "POST organizations/", &body).verdict(), FORBIDDEN);
    let made = controller.call("admin", "POST organizations/", &body);
    assert_eq!((made.status, &made.json()["description"]), (201, &json!("x")));
    let again = controller.call("admin", "POST organizations/", &body).verdict();
    assert_eq!(again, r#"400 {"name":["Organization with this Name already exists."]}"#);
    let path = format!("organizations/{}/galaxy_credentials/", made.json()["id"]);
    for id in [second, first, second] {
        let body = json!({ "id": id }).to_string();
        assert_eq!(controller.call("admin", &format!("POST {path}"), &body).status, 204);
    }
    let other = controller.call("admin", &format!("POST {path}"), &json!({ "id": registry }).to_string()).verdict();
    assert_eq!(other, r#"400 {"msg":"Credential must be a Galaxy credential, not Container Registry."}"#);
    assert_eq!(ids(&controller.get("admin", &path)), [second, first]);
}

#[test]
fn the_gateway_passes_on_what_is_meant_for_its_controller() {
    let (controller, id) = with_galaxy_credential();
    let gateway = controller.sandbox.gateway();
    let (_, own) = controller.handle.issue_token("admin", "x", "write");
    let (_, token) = gateway.issue_token("admin", "x", "write");
    let (_, reading) = gateway.issue_token("admin", "y", "read");
    let call = |token: &str, method: &str, path: &str, body: &str| {
        let request = controller.http.request(method.parse().unwrap(), format!("{}{path}", gateway.url()));
        let request = request.header("authorization", format!("Bearer {token}"));
        Answer::of(request.header("content-type", "application/json").body(body.to_owned()))
    };
    let path = format!("/api/controller/v2/credentials/{id}/");
    let read = call(&token, "GET", &path, "");
    assert_eq!((read.status, read.text("url")), (200, path.clone()));
    assert_eq!(call(&token, "GET", "/api/controller/v2/me/", "").json()["results"][0]["username"], "admin");
    let body = json!({ "inputs": { "url": "u", "token": "NEW" } }).to_string();
    assert_eq!(call(&reading, "PATCH", &path, &body).verdict(), FORBIDDEN);
    assert_eq!(call(&own, "PATCH", &path, &body).status, 401, "the gateway does not know the controller's own tokens");
    let hold = controller.handle.hold_patch(id);
    std::thread::scope(|scope| {
        let patch = scope.spawn(|| call(&token, "PATCH", &path, &body).status);
        assert!(hold.is_reached());
        assert_eq!(controller.handle.credential(id).unwrap().input("token"), Some("OLD"));
        hold.release();
        assert_eq!(patch.join().unwrap(), 200);
    });
    assert_eq!(controller.handle.credential(id).unwrap().input("token"), Some("NEW"));
    assert_eq!(call(&token, "GET", &path.replace("/api/controller/v2/", "/api/v2/"), "").status, 404);
    let (_, stranger) = gateway.issue_token("mallory", "x", "write");
    assert_eq!(call(&stranger, "GET", &path, "").verdict(), FORBIDDEN);
}

/// A controller with the galaxy credential `hub` in the organization `Default`.
fn with_galaxy_credential() -> (Platform, i64) {
    let controller = Platform::controller();
    let inputs = json!({ "url": "https://hub.example.com/api/galaxy/", "auth_url": "", "token": "OLD" });
    let id = controller.handle.add_credential("hub", "Default", "galaxy_api_token", inputs).unwrap();
    (controller, id)
}

fn ids(page: &Answer) -> Vec<i64> {
    assert_eq!(page.status, 200, "{}", page.body);
    page.json()["results"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

const NONE: [i64; 0] = [];
