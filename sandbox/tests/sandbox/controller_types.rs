//! Credential types: what the stand-in controller takes and refuses, and the types that the collection brings.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokensmith_sandbox::controller::RoleKind;

use crate::platform::{FORBIDDEN, Platform, detail};

#[test]
fn the_types_that_come_with_it_are_found_by_their_namespace_and_cannot_be_changed() {
    let controller = Platform::controller();
    let rows = [
        ("galaxy_api_token", "galaxy", "url auth_url token"),
        ("controller", "cloud", "host username password oauth_token verify_ssl"),
        ("registry", "registry", "host username password verify_ssl"),
        ("kubernetes_bearer_token", "kubernetes", "host bearer_token verify_ssl ssl_ca_cert"),
        ("insights", "insights", "username password"),
    ];
    for (namespace, kind, fields) in rows {
        let page = controller.get("bob", &format!("credential_types/?namespace={namespace}")).json();
        let row = &page["results"][0];
        assert_eq!((&page["count"], &row["kind"], &row["managed"]), (&json!(1), &json!(kind), &json!(true)));
        let ids = row["inputs"]["fields"].as_array().unwrap().iter().map(|field| field["id"].as_str().unwrap());
        assert_eq!(ids.collect::<Vec<_>>().join(" "), fields);
        let path = format!("credential_types/{}/", row["id"]);
        assert_eq!(controller.call("admin", &format!("PATCH {path}"), r#"{"name": "x"}"#).status, 403);
        assert_eq!(controller.call("admin", &format!("DELETE {path}"), "").status, 403);
    }
}

#[test]
fn every_wrong_type_is_refused_as_the_controller_does() {
    let controller = Platform::controller();
    let field = |more: Value| {
        let mut field = json!({ "id": "a", "label": "A", "type": "string" });
        for (name, value) in more.as_object().unwrap() {
            field[name] = value.clone();
        }
        json!({ "fields": [field] })
    };
    let inputs = [
        (json!({ "fields": [{ "label": "A", "type": "string" }] }), "'id' is a required property"),
        (field(json!({ "id": "a b" })), "a b is an invalid variable name"),
        (
            json!({ "fields": [{ "id": "a", "label": "A", "type": "string" }, { "id": "a", "label": "B", "type": "string" }] }),
            "field IDs must be unique (a)",
        ),
        (field(json!({ "id": "tower" })), "\"tower\" is a reserved field name"),
        (field(json!({ "type": "int" })), "'int' is not one of ['string', 'boolean']"),
        (field(json!({ "type": "boolean", "secret": true })), "secret not allowed for boolean type (a)"),
        (
            field(json!({ "nosuch": 1 })),
            "Schema validation error in relative path ['fields', 0] (Additional properties are not allowed ('nosuch' was unexpected))",
        ),
        (field(json!({ "ask_at_runtime": true })), "'ask_at_runtime' is not supported for custom credentials."),
    ];
    let env = |name: &str, template: &str| json!({ "env": { name: template } });
    let injectors = [
        (env("X", "{{ b }}"), "X uses an undefined field ('b' is undefined)"),
        (
            env("X", "{{ a | b64encode }}"),
            "Syntax error rendering template for X inside of env (No filter named 'b64encode'.)",
        ),
        (env("PATH", "{{ a }}"), "Environment variable PATH is not allowed to be used in credentials."),
        (
            env("ANSIBLE_X", "{{ a }}"),
            "Environment variable ANSIBLE_X may affect Ansible configuration so its use is not allowed in credentials.",
        ),
        (
            json!({ "file": { "template": "{{ a }}", "template.other": "{{ a }}" } }),
            "Must use multi-file syntax when injecting multiple files",
        ),
    ];
    let post = |inputs: &Value, injectors: &Value| {
        let body = json!({ "name": "T", "kind": "cloud", "inputs": inputs, "injectors": injectors });
        controller.call("admin", "POST credential_types/", &body.to_string()).verdict()
    };
    for (inputs, sentence) in inputs {
        assert_eq!(post(&inputs, &json!({})), format!("400 {}", json!({ "inputs": [sentence] })), "{inputs}");
    }
    for (injectors, sentence) in injectors {
        let expected = format!("400 {}", json!({ "injectors": [sentence] }));
        assert_eq!(post(&field(json!({})), &injectors), expected, "{injectors}");
    }
    let kind = controller.call("admin", "POST credential_types/", r#"{"name": "T", "kind": "ssh"}"#).verdict();
    assert_eq!(kind, r#"400 {"kind":["Must be 'cloud' or 'net', not ssh"]}"#);
    assert_eq!(
        controller.call("alice", "POST credential_types/", r#"{"name": "T", "kind": "net"}"#).verdict(),
        FORBIDDEN
    );
    let good = json!({
        "env": { "X": "{{ a }}" }, "extra_vars": { "y": { "z": "{{ a }}" } }, "file": { "template.one": "{{ a }}\n" },
    });
    let mut inputs = field(json!({}));
    inputs["required"] = json!(["nosuch"]);
    assert_eq!(post(&inputs, &good), "201", "what is required may be no field");
    let again = r#"400 {"__all__":["Credential type with this Name and Kind already exists."]}"#;
    assert_eq!(post(&inputs, &good), again);
}

#[test]
fn a_type_in_use_keeps_its_inputs_and_may_change_everything_else() {
    let controller = Platform::controller();
    let inputs = json!({ "fields": [{ "id": "a", "label": "A", "type": "string", "secret": true }] });
    let id = controller.handle.add_credential_type("T", inputs.clone(), json!({})).unwrap();
    controller.handle.add_credential("c", "Default", "T", json!({ "a": "1" })).unwrap();
    let patch = |body: Value| controller.call("admin", &format!("PATCH credential_types/{id}/"), &body.to_string());
    let frozen = "Modifications to inputs are not allowed for credential types that are in use";
    assert_eq!(patch(json!({ "inputs": { "fields": [] } })).verdict(), detail(403, frozen));
    let body = json!({ "inputs": inputs, "name": "U", "kind": "net", "injectors": { "env": { "X": "{{ a }}" } } });
    assert_eq!(patch(body).status, 200);
    let delete = format!("DELETE credential_types/{id}/");
    let used = detail(403, "Credential types that are in use cannot be deleted");
    assert_eq!(controller.call("admin", &delete, "").verdict(), used);
    let credential = controller.handle.credentials_named("c")[0].id;
    assert!(controller.handle.delete_credential(credential));
    assert_eq!(controller.call("admin", &delete, "").status, 204);
    assert_eq!(controller.call("admin", &delete, "").status, 404);
}

#[test]
fn a_job_gets_what_the_type_injects_and_a_switch_that_is_not_set_is_off() {
    let controller = Platform::controller();
    let handle = &controller.handle;
    let fields = json!({ "fields": [
        { "id": "host", "label": "H", "type": "string" },
        { "id": "token", "label": "T", "type": "string", "secret": true },
        { "id": "verify", "label": "V", "type": "boolean", "default": true },
    ] });
    let injectors = json!({
        "env": { "X_HOST": "https://{{ host }}/", "X_TOKEN": "{{token}}", "X_VERIFY": "{{ verify }}" },
        "extra_vars": { "x": { "token": "{{ token }}" } },
    });
    handle.add_credential_type("X", fields, injectors).unwrap();
    let id = handle.add_credential("c", "Default", "X", json!({ "host": "h", "token": "{{ host }}" })).unwrap();
    let injection = handle.injection(&[id]);
    let variables = [("X_HOST", "https://h/"), ("X_TOKEN", "{{ host }}"), ("X_VERIFY", "False")];
    assert_eq!(injection.environment, variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(injection.extra_variables["x"]["token"], "{{ host }}", "a value is not looked into");
}

#[test]
fn the_collections_types_are_taken_and_inject_what_its_modules_read() {
    let controller = Platform::controller();
    let types = collection_types();
    assert_eq!(types.len(), 6);
    let known = environment_of_modules();
    for kind in types {
        let body = kind.to_string();
        assert_eq!(controller.call("admin", "POST credential_types/", &body).verdict(), "201", "{body}");
        let fields = kind["inputs"]["fields"].as_array().unwrap();
        let is_secret = |id: &str| fields.iter().find(|field| field["id"] == id).unwrap()["secret"] == true;
        assert!(!is_secret("marker"), "{body}");
        assert_eq!(kind["injectors"].as_object().unwrap().keys().collect::<Vec<_>>(), ["env"], "{body}");
        let required: Vec<_> = kind["inputs"]["required"].as_array().unwrap().iter().collect();
        for (variable, template) in kind["injectors"]["env"].as_object().unwrap() {
            assert!(known.contains(variable), "no module reads {variable}");
            let field = json!(template.as_str().unwrap().trim_matches(['{', '}', ' ']));
            assert!(required.contains(&&field), "{field} is injected, and might be empty");
        }
        assert_eq!(fields.iter().filter(|field| field["secret"] == true).count(), 1, "{body}");
        let name = kind["name"].as_str().unwrap();
        let id = controller.handle.add_credential("c", "Default", name, json!({ "marker": "m" })).unwrap();
        assert!(controller.handle.grant("alice", RoleKind::Read, id));
        assert_eq!(controller.get("alice", &format!("credentials/{id}/")).json()["inputs"]["marker"], "m");
    }
}

/// As the playbooks and `infra.aap_configuration` read them.
fn collection_types() -> Vec<Value> {
    let text = fs::read_to_string(root().join("playbooks/files/controller_credential_types.yml")).unwrap();
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    let types = untagged(&yaml)["controller_credential_types"].clone();
    types.as_array().unwrap().clone()
}

/// `!unsafe` says to Ansible that the braces are not for it.
fn untagged(yaml: &serde_yaml_ng::Value) -> Value {
    match yaml {
        serde_yaml_ng::Value::Tagged(tagged) => untagged(&tagged.value),
        serde_yaml_ng::Value::Sequence(items) => items.iter().map(untagged).collect(),
        serde_yaml_ng::Value::Mapping(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.as_str().unwrap().to_owned(), untagged(value)));
            Value::Object(fields.collect())
        }
        other => serde_json::to_value(other).unwrap(),
    }
}

/// Every variable that an option of a module falls back to.
fn environment_of_modules() -> Vec<String> {
    let folders = ["modules", "modules/fragments"].map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let files = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yml"));
    let text: String = yaml.map(|path| fs::read_to_string(path).unwrap()).collect();
    let lists = text.lines().filter_map(|line| line.trim().strip_prefix("environment: [")?.strip_suffix(']'));
    lists.flat_map(|list| list.split(", ").map(String::from)).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
