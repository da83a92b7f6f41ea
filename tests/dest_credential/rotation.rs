//! When a token in a credential is replaced, and what stays as it was.

use serde_json::{Value, json};
use tokensmith::secret::Secret;
use tokensmith_tests::credential::{CredentialScene, Issuer, OLD, SECOND, URL};

#[test]
fn a_galaxy_credential_gets_a_token_that_works_and_keeps_its_addresses() {
    for issuer in Issuer::EVERY {
        let scene = CredentialScene::galaxy();
        let others = scene.others();
        let first = scene.run(issuer, json!({})).succeeded();
        assert_eq!((first.text("reason"), first.changed()), ("missing", true), "{first}");
        assert!(scene.holds_token_that_works(issuer) && scene.others() == others, "{first}");
        let token = scene.token().unwrap();
        assert_eq!(first.text("fingerprint"), Secret::new(token.as_str()).fingerprint());
        let facts = json!({
            "id": scene.id, "name": "Token of CI", "organization": "Default", "field": "token", "marker": "description",
            "url": format!("{}/api/controller/v2/credentials/{}/", scene.controller().url(), scene.id),
        });
        assert_eq!(first.result["credential"], facts);
        let again = scene.run(issuer, json!({})).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
        assert_eq!((again.text("fingerprint"), scene.token()), (first.text("fingerprint"), Some(token.clone())));
        let rotated = scene.run(issuer, json!({ "state": "rotated" })).succeeded();
        assert_eq!((rotated.text("reason"), rotated.changed()), ("forced", true), "{rotated}");
        assert!(scene.holds_token_that_works(issuer) && scene.others() == others, "{rotated}");
        assert_ne!(scene.token(), Some(token));
        for run in [first, again, rotated] {
            assert!(!run.stdout.contains(OLD) && !run.stdout.contains(&scene.token().unwrap()), "{run}");
        }
    }
}

#[test]
fn a_second_secret_and_an_empty_one_stay_what_they_are() {
    for issuer in Issuer::EVERY {
        for marker in ["description", "note"] {
            let scene = CredentialScene::custom();
            let before = scene.stored();
            let asked = json!({ "dest_credential": { "id": scene.id, "field": "token", "marker": marker } });
            for state in ["present", "rotated", "present"] {
                let mut asked = asked.clone();
                asked["state"] = Value::from(state);
                let run = scene.run(issuer, asked).succeeded();
                assert!(scene.holds_token_that_works(issuer), "{run}");
                let after = scene.stored();
                assert_eq!(
                    (after.input("url"), after.input("second"), after.input("empty")),
                    (Some(URL), Some(SECOND), None)
                );
                assert_eq!(after.ciphertext("second"), before.ciphertext("second"), "it was not even written again");
                let noted = if marker == "note" { after.input("note").unwrap() } else { &after.description };
                assert!(noted.starts_with("[tokensmith token {"), "{noted}");
            }
        }
    }
}
