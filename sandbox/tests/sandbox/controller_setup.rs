//! What a playbook sets up on a controller, in its order: environments, projects, inventories, job templates, schedules.

use serde_json::{Value, json};
use tokensmith_sandbox::controller::RoleKind;

use crate::platform::{Answer, FORBIDDEN, Platform};

#[test]
fn a_project_takes_playbooks_once_its_update_has_succeeded() {
    let controller = Platform::controller();
    controller.handle.set_playbooks(&["rotate.yml"]);
    let project = made(&controller, "projects/", git("p"));
    let body = json!({ "name": "t", "project": project, "playbook": "rotate.yml", "ask_inventory_on_launch": true });
    let unknown = r#"400 {"playbook":["Playbook not found for project."]}"#;
    assert_eq!(post(&controller, "job_templates/", &body).verdict(), unknown);
    let path = format!("projects/{project}/");
    let states: Vec<_> = (0..3).map(|_| controller.get("admin", &path).text("status")).collect();
    assert_eq!(states, ["running", "running", "successful"]);
    assert_eq!(controller.get("admin", &format!("{path}playbooks/")).json(), json!(["rotate.yml"]));
    assert_eq!(post(&controller, "job_templates/", &body).status, 201);
    controller.handle.set_project_updates(0, true);
    assert_eq!(post(&controller, &format!("{path}update/"), &json!({})).status, 202);
    let failed = controller.get("admin", &path);
    assert_eq!(failed.text("status"), "failed");
    let update = &failed.json()["summary_fields"]["last_update"]["id"];
    let words = controller.get("admin", &format!("project_updates/{update}/stdout/?format=txt"));
    assert!(words.body.contains("repository not found"), "{}", words.body);
    assert_eq!(controller.get("admin", &format!("{path}playbooks/")).json(), json!([]));
    let mut free = git("free");
    free["allow_override"] = json!(true);
    let free = made(&controller, "projects/", free);
    let body = json!({ "name": "u", "project": free, "playbook": "any.yml", "ask_inventory_on_launch": true });
    assert_eq!(post(&controller, "job_templates/", &body).status, 201, "any name is taken");
}

#[test]
fn every_object_is_unique_and_says_what_it_misses() {
    let controller = Platform::controller();
    let environment = json!({ "name": "ee", "image": "registry.example.com/ee:1", "pull": "always" });
    let inventory = made(&controller, "inventories/", json!({ "name": "i", "organization": 1 }));
    let other = made(&controller, "inventories/", json!({ "name": "other", "organization": 1 }));
    made(&controller, &format!("inventories/{other}/hosts/"), json!({ "name": "localhost" }));
    let hosts = format!("inventories/{inventory}/hosts/");
    let rows = [
        (
            "execution_environments/",
            environment,
            r#"{"name":["Execution environment with this Name already exists."]}"#,
        ),
        ("projects/", git("p"), r#"{"__all__":["Project with this Name and Organization already exists."]}"#),
        (
            &hosts,
            json!({ "name": "localhost" }),
            r#"{"__all__":["Host with this Name and Inventory already exists."]}"#,
        ),
    ];
    for (path, body, twice) in rows {
        let first = post(&controller, path, &body);
        assert_eq!(first.status, 201, "{}", first.body);
        assert_eq!(post(&controller, path, &body).verdict(), format!("400 {twice}"));
        let found = controller.get("admin", &format!("{path}?name={}", body["name"].as_str().unwrap()));
        assert_eq!(found.json()["results"][0]["id"], first.json()["id"]);
        assert_eq!(controller.call("alice", &format!("POST {path}"), &body.to_string()).verdict(), FORBIDDEN);
    }
    let of_inventory = controller.get("admin", "hosts/?or__name=localhost&inventory__name=other").json();
    assert_eq!((&of_inventory["count"], &of_inventory["results"][0]["inventory"]), (&json!(1), &json!(other)));
    let rows = [
        ("execution_environments/", json!({ "name": "x" }), r#"{"image":["This field is required."]}"#),
        ("inventories/", json!({ "name": "x" }), r#"{"organization":["This field is required."]}"#),
        ("projects/", json!({ "name": "x", "scm_type": "git" }), r#"{"scm_url":["SCM URL is required."]}"#),
        ("projects/", json!({ "name": "x", "scm_type": "cvs" }), r#"{"scm_type":["\"cvs\" is not a valid choice."]}"#),
        (&hosts, json!({ "name": "x", "variables": {} }), r#"{"variables":["Not a valid string."]}"#),
    ];
    for (path, body, complaint) in rows {
        assert_eq!(post(&controller, path, &body).verdict(), format!("400 {complaint}"), "{path} {body}");
    }
}

#[test]
fn a_job_template_belongs_to_the_organization_of_its_project() {
    let (controller, project) = with_project();
    let body = |more: Value| {
        let mut body =
            json!({ "name": "t", "project": project, "playbook": "site.yml", "ask_inventory_on_launch": true });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let rows = [
        (json!({ "extra_vars": { "a": 1 } }), r#"{"extra_vars":["Not a valid string."]}"#),
        (
            json!({ "ask_inventory_on_launch": false }),
            r#"{"inventory":["You must either set a default value or ask to prompt on launch."]}"#,
        ),
        (json!({ "project": 999 }), r#"{"project":["Invalid pk \"999\" - object does not exist."]}"#),
        (json!({ "job_type": "scan" }), r#"{"job_type":["\"scan\" is not a valid choice."]}"#),
    ];
    for (more, complaint) in rows {
        assert_eq!(post(&controller, "job_templates/", &body(more)).verdict(), format!("400 {complaint}"));
    }
    let made =
        post(&controller, "job_templates/", &body(json!({ "organization": 1, "credentials": [1], "nonsense": 1 })));
    assert_eq!((made.status, &made.json()["organization"]), (201, &json!(2)));
    assert_eq!(made.json()["summary_fields"]["credentials"], json!([]), "they are attached afterwards");
    let path = format!("job_templates/{}/", made.json()["id"]);
    let changed = controller.call("admin", &format!("PATCH {path}"), r#"{"extra_vars": "a: 1"}"#);
    assert_eq!((changed.status, changed.text("extra_vars")), (200, "a: 1".to_owned()));
    assert_eq!(controller.get("admin", &path).text("playbook"), "site.yml", "what was not sent stays");
    assert_eq!(controller.call("admin", &format!("DELETE {path}"), "").status, 204);
    assert_eq!(controller.get("admin", &path).status, 404);
}

#[test]
fn a_launch_leaves_out_what_the_template_does_not_ask_for() {
    let (controller, project) = with_project();
    let body = json!({
        "name": "t", "project": project, "playbook": "site.yml", "ask_inventory_on_launch": true, "ask_limit_on_launch": true,
    });
    let template = made(&controller, "job_templates/", body);
    let path = format!("job_templates/{template}/launch/");
    let launched = post(&controller, &path, &json!({ "limit": "web", "extra_vars": { "a": 1 } }));
    assert_eq!((launched.status, &launched.json()["ignored_fields"]), (201, &json!({ "extra_vars": { "a": 1 } })));
    let job = controller.get("admin", &format!("jobs/{}/", launched.json()["job"]));
    assert_eq!((job.text("status"), &job.json()["job_template"]), ("pending".to_owned(), &json!(template)));
    assert!(controller.handle.grant_on_template("alice", RoleKind::Read, template));
    assert_eq!(controller.call("alice", &format!("POST {path}"), "{}").verdict(), FORBIDDEN);
    assert!(controller.handle.grant_on_template("alice", RoleKind::Execute, template));
    assert_eq!(controller.call("alice", &format!("POST {path}"), "{}").status, 201);
}

#[test]
fn every_rule_of_a_schedule_is_taken_or_refused_as_the_controller_does() {
    let (controller, project) = with_project();
    let body = json!({ "name": "t", "project": project, "playbook": "site.yml", "ask_inventory_on_launch": true });
    let template = made(&controller, "job_templates/", body);
    let path = format!("job_templates/{template}/schedules/");
    let rows = [
        ("DTSTART:20301201T030000Z RRULE:FREQ=DAILY;INTERVAL=1", "201"),
        ("DTSTART;TZID=Europe/Berlin:20301201T030000\nRRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO", "201"),
        ("DTSTART:20301201T030000Z RRULE:FREQ=DAILY", r#"400 {"rrule":["INTERVAL required in rrule: FREQ=DAILY"]}"#),
        (
            "DTSTART:20301201T030000Z RRULE:FREQ=SECONDLY;INTERVAL=1",
            r#"400 {"rrule":["SECONDLY is not supported: FREQ=SECONDLY;INTERVAL=1"]}"#,
        ),
        (
            "DTSTART:20301201T030000 RRULE:FREQ=DAILY;INTERVAL=1",
            r#"400 {"rrule":["DTSTART cannot be a naive datetime.  Require ;TZINFO= or YYYYMMDDTHHMMSSZZ."]}"#,
        ),
        (
            "DTSTART;TZID=Nowhere:20301201T030000 RRULE:FREQ=DAILY;INTERVAL=1",
            r#"400 {"rrule":["rrule parsing failed validation: A valid TZID must be provided (e.g., America/New_York)"]}"#,
        ),
        (
            "DTSTART:20301201T030000Z RRULE:FREQ=DAILY;INTERVAL=1;COUNT=1000",
            r#"400 {"rrule":["COUNT > 999 is unsupported: FREQ=DAILY;INTERVAL=1;COUNT=1000"]}"#,
        ),
    ];
    for (index, (rule, verdict)) in rows.into_iter().enumerate() {
        let body = json!({ "name": format!("s{index}"), "rrule": rule });
        let answer = post(&controller, &path, &body);
        assert_eq!(answer.verdict(), verdict, "{rule}");
        if answer.status == 201 {
            assert_eq!(answer.text("rrule"), rule.replace('\n', " "));
            assert_eq!(answer.text("next_run"), "2030-12-01T03:00:00Z");
        }
    }
    let rule = "DTSTART:20301201T030000Z RRULE:FREQ=DAILY;INTERVAL=1";
    let limited = post(&controller, &path, &json!({ "name": "l", "rrule": rule, "limit": "web" })).verdict();
    assert_eq!(limited, r#"400 {"limit":["Field is not configured to prompt on launch."]}"#);
    let given = post(&controller, &path, &json!({ "name": "e", "rrule": rule, "extra_data": { "a": 1 } })).verdict();
    assert!(given.starts_with(r#"400 {"extra_data":["Variables a are not allowed on launch."#), "{given}");
    let twice = post(&controller, &path, &json!({ "name": "s0", "rrule": rule }));
    assert_eq!(twice.status, 400);
    let first = controller.get("admin", &format!("{path}?name=s0")).json()["results"][0]["id"].clone();
    let off = controller.call("admin", &format!("PATCH schedules/{first}/"), r#"{"enabled": false}"#);
    assert_eq!((off.status, &off.json()["next_run"]), (200, &Value::Null));
}

#[test]
fn the_control_endpoint_prepares_and_shows_the_same() {
    let controller = Platform::controller();
    let control = |action: &str, arguments: Value| controller.control(&format!("controller/{action}"), &arguments);
    control("organization", json!({ "name": "Payments" }));
    let fields = json!({ "fields": [{ "id": "token", "label": "T", "type": "string", "secret": true }] });
    control("credential_type", json!({ "name": "T", "inputs": fields }));
    let made = control(
        "credential",
        json!({ "name": "c", "organization": "Payments", "type": "T", "inputs": { "token": "a" } }),
    );
    let id = &made["id"];
    let source = control("credential", json!({ "name": "v", "type": "hashivault_kv" }));
    control("grant", json!({ "user": "alice", "role": "admin", "credential": id }));
    control(
        "other_writer",
        json!({ "credential": id, "moment": "after_patch", "user": "carol", "inputs": { "token": "c" } }),
    );
    let body = json!({ "inputs": { "token": "b" } }).to_string();
    assert_eq!(controller.call("alice", &format!("PATCH credentials/{id}/"), &body).status, 200);
    let stored = control("stored", json!({ "id": id }));
    assert_eq!((&stored["inputs"]["token"], &stored["modified_by"]), (&json!("c"), &json!("carol")));
    let history = control("history", json!({ "id": id }))["history"].clone();
    let tokens: Vec<_> = history.as_array().unwrap().iter().map(|version| &version["inputs"]["token"]).collect();
    assert_eq!(tokens, ["a", "b", "c"]);
    control("link", json!({ "credential": id, "field": "token", "source": source["id"] }));
    assert_eq!(controller.get("admin", &format!("credentials/{id}/input_sources/")).json()["count"], 1);
    let template = control("job_template", json!({ "name": "t", "credentials": [id] }));
    let job = control("job", json!({ "template": template["id"], "status": "running" }));
    assert_eq!(controller.get("admin", &format!("jobs/?status=running&credentials={id}")).json()["count"], 1);
    control("job", json!({ "job": job["id"], "status": "successful" }));
    assert_eq!(controller.get("admin", &format!("jobs/{}/", job["id"])).text("status"), "successful");
    control("projects", json!({ "playbooks": ["rotate.yml"] }));
    let project = controller.call("admin", "POST projects/", &git("p").to_string()).json()["id"].clone();
    assert_eq!(controller.get("admin", &format!("projects/{project}/playbooks/")).json(), json!(["rotate.yml"]));
    control("write_gap", json!({ "milliseconds": 1 }));
    let unknown = controller.request("POST /_sandbox/controller/stored").body(r#"{"id": 99999}"#);
    assert_eq!(Answer::of(unknown).status, 404);
    let requests = Answer::of(controller.request("GET /_sandbox/requests")).body;
    assert!(requests.contains("(hidden)") && !requests.contains(r#""token":"b""#), "{requests}");
}

/// A controller with an updated project of the organization `Engineering`.
fn with_project() -> (Platform, i64) {
    let controller = Platform::controller();
    controller.handle.set_project_updates(0, false);
    let mut body = git("p");
    body["organization"] = json!(2);
    let project = made(&controller, "projects/", body);
    (controller, project)
}

fn git(name: &str) -> Value {
    json!({ "name": name, "organization": 1, "scm_type": "git", "scm_url": "https://git.example.com/p.git" })
}

fn made(controller: &Platform, path: &str, body: Value) -> i64 {
    let answer = post(controller, path, &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["id"].as_i64().unwrap()
}

fn post(controller: &Platform, path: &str, body: &Value) -> Answer {
    controller.call("admin", &format!("POST {path}"), &body.to_string())
}
