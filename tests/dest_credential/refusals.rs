//! What is refused, and that nothing was issued by then.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::controller::RoleKind;
use tokensmith_tests::credential::{CALLER, CredentialScene, Issuer, NAME, OLD, add_custom_type};
use tokensmith_tests::executable::Run;
use tokensmith_tests::quay::with;

/// What is done beforehand, what the task asks for, and what it says.
type Case = (fn(&CredentialScene), Value, &'static str);

#[test]
fn what_would_lose_something_is_refused_before_anything_is_issued() {
    let nothing: fn(&CredentialScene) = |_| {};
    let cases: [Case; 14] = [
        (
            nothing,
            json!({ "dest_credential": { "name": "No such" } }),
            "dest_credential No such: there is none, or the caller may not see it",
        ),
        (nothing, json!({ "dest_credential": { "id": 9999 } }), "dest_credential 9999: there is none"),
        (
            nothing,
            json!({ "dest_credential": { "name": NAME, "organization": "Engineering" } }),
            "none is of that organization and type; there are Token of CI (id",
        ),
        (
            nothing,
            json!({ "dest_credential": { "name": NAME, "credential_type": "registry" } }),
            "none is of that organization and type",
        ),
        (
            nothing,
            json!({ "dest_credential": { "name": NAME, "field": "tokn" } }),
            "has no field tokn; the secret ones are: token",
        ),
        (nothing, json!({ "dest_credential": { "name": NAME, "field": "url" } }), "the field url is no secret one"),
        (
            nothing,
            json!({ "dest_credential": { "name": NAME, "marker": "token" } }),
            "the field token cannot be the marker: it is the field of the token",
        ),
        (
            nothing,
            json!({ "dest_credential": { "name": NAME, "marker": "nosuch" } }),
            "the field nosuch cannot be the marker: its type",
        ),
        (
            nothing,
            json!({ "dest_credential": { "name": NAME, "wait_for_jobs": "soon" } }),
            "dest_credential.wait_for_jobs: 'soon' is not a length of time",
        ),
        (nothing, json!({ "controller_oauthtoken": null }), "neither is given"),
        (nothing, json!({ "controller_oauthtoken": "wr0ng-t0ken" }), "the credential is not accepted"),
        (link, json!({}), "the field token takes its value from an external source"),
        (another, json!({}), "several are meant by this: Token of CI (id"),
        (edit, json!({}), "the note in its description was edited by hand"),
    ];
    for issuer in Issuer::ALL {
        for (change, asked, says) in &cases {
            let scene = CredentialScene::galaxy();
            change(&scene);
            for state in ["present", "rotated"] {
                refused(&scene, issuer, &with(asked.clone(), json!({ "state": state })), says);
            }
            let forecast = with(asked.clone(), json!({ "state": "rotated", "_ansible_check_mode": true }));
            refused(&scene, issuer, &forecast, says);
        }
    }
}

#[test]
fn who_may_only_use_or_read_it_is_told_so_before_anything_is_issued() {
    for role in [RoleKind::Use, RoleKind::Read] {
        let scene = CredentialScene::galaxy();
        assert!(scene.controller().grant("user", role, scene.id));
        let (_, token) = scene.controller().issue_token("user", "user", "write");
        for check_mode in [true, false] {
            let asked = json!({ "controller_oauthtoken": token, "_ansible_check_mode": check_mode });
            refused(&scene, Issuer::Gateway, &asked, "the caller may not change it; it takes the role Admin");
        }
    }
}

#[test]
fn a_token_that_may_only_read_is_found_out_by_the_note_before_anything_is_issued() {
    for issuer in Issuer::ALL {
        for marker in ["description", "note"] {
            let scene = CredentialScene::custom();
            let (_, token) = scene.controller().issue_token(CALLER, "reader", "read");
            let asked = json!({ "controller_oauthtoken": token, "dest_credential": { "name": NAME, "field": "token", "marker": marker } });
            let run = scene.run(issuer, asked);
            assert!(run.failed() && run.message().contains("its scope is too small"), "{run}");
            assert_eq!((scene.issued(issuer), scene.asked(), scene.token()), (0, 0, None), "{run}");
        }
    }
}

#[test]
fn a_field_must_be_named_where_a_type_has_several_secret_ones() {
    let scene = CredentialScene::custom();
    let run = scene.run(Issuer::Hub, json!({ "dest_credential": { "name": NAME } }));
    assert!(run.message().contains("has 3 secret fields: token, second, empty; say by field"), "{run}");
    for (marker, why) in [("second", "it is a secret one"), ("verify", "it takes no text")] {
        let run =
            scene.run(Issuer::Hub, json!({ "dest_credential": { "name": NAME, "field": "token", "marker": marker } }));
        assert!(run.message().contains(why), "{run}");
    }
    assert_eq!(scene.writes(), [""; 0]);
}

#[test]
fn of_two_credentials_of_a_name_organization_type_or_id_tell_which() {
    let scene = CredentialScene::galaxy();
    another(&scene);
    let others = scene.controller().credentials_named(NAME);
    assert_eq!(others.len(), 2);
    for which in [
        json!({ "credential_type": "galaxy_api_token" }),
        json!({ "credential_type": "Ansible Galaxy/Automation Hub API Token" }),
    ] {
        let run = scene
            .run(Issuer::Hub, json!({ "dest_credential": with(json!({ "name": NAME }), which), "state": "rotated" }))
            .succeeded();
        assert_eq!(run.result["credential"]["id"], scene.id);
    }
    let run = scene.run(Issuer::Hub, json!({ "dest_credential": { "id": scene.id } })).succeeded();
    assert_eq!(run.result["credential"]["id"], scene.id);
}

#[test]
fn each_type_has_its_usual_field() {
    for (kind, field) in [
        ("galaxy_api_token", "token"),
        ("registry", "password"),
        ("controller", "oauth_token"),
        ("kubernetes_bearer_token", "bearer_token"),
        ("insights", "password"),
    ] {
        let scene = CredentialScene::of(kind, json!({}));
        let run = scene.run(Issuer::Hub, json!({ "dest_credential": { "name": NAME } })).succeeded();
        assert_eq!(run.result["credential"]["field"], field);
        assert_eq!(scene.stored().input(field), scene.sandbox.hub().token("build").as_deref(), "{run}");
    }
}

#[test]
fn a_controller_that_is_reached_directly_is_found_by_asking_once() {
    let scene = CredentialScene::galaxy();
    scene.fault(Fault::answer(404, "text/html", "<h1>Not Found</h1>").path("/api/controller/"));
    let run = scene.run(Issuer::Gateway, json!({})).succeeded();
    assert!(run.result["credential"]["url"].as_str().unwrap().contains("/api/v2/credentials/"), "{run}");
    assert!(scene.holds_token_that_works(Issuer::Gateway));
    let asked =
        scene.sandbox.records().all().into_iter().filter(|request| request.path.starts_with("/api/controller/"));
    assert_eq!(asked.count(), 1);
}

#[test]
fn a_user_with_a_password_may_write_too() {
    let scene = CredentialScene::galaxy();
    let password = scene.controller().password(CALLER);
    let asked =
        json!({ "controller_oauthtoken": null, "controller_username": CALLER, "controller_password": password });
    scene.run(Issuer::Gateway, asked).succeeded();
    assert!(scene.holds_token_that_works(Issuer::Gateway));
}

fn refused(scene: &CredentialScene, issuer: Issuer, asked: &Value, says: &str) -> Run {
    let (issued, before) = (scene.issued(issuer), scene.stored());
    scene.sandbox.records().clear();
    let run = scene.run(issuer, asked.clone());
    assert!(run.failed() && run.message().contains(says), "{issuer:?} {asked}: {run}");
    assert_eq!((scene.issued(issuer), scene.writes()), (issued, Vec::new()), "{issuer:?} {asked}: {run}");
    let after = scene.stored();
    assert_eq!((after.inputs(), &after.description), (before.inputs(), &before.description), "{run}");
    assert!(!run.stdout.contains(OLD), "{run}");
    run
}

fn link(scene: &CredentialScene) {
    let source = scene.controller().add_credential("Vault", "Default", "registry", json!({})).unwrap();
    assert!(scene.controller().link_input(scene.id, "token", source));
}

/// The same name, of another type.
fn another(scene: &CredentialScene) {
    add_custom_type(scene.controller());
    let id = scene.controller().add_credential(NAME, "Default", "registry", json!({})).unwrap();
    assert!(scene.controller().grant(CALLER, RoleKind::Admin, id));
}

fn edit(scene: &CredentialScene) {
    scene.run(Issuer::Hub, json!({})).succeeded();
    let description = scene.stored().description.replace("\"holds\":\"", "\"holds\":\"0");
    scene.patch(&json!({ "description": description }));
}
