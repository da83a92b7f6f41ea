//! A file and a credential at once: one that fails leaves the truth in the result, and the next run puts it right.

use std::fs;

use serde_json::json;
use tokensmith_sandbox::Fault;
use tokensmith_tests::credential::{CredentialScene, Issuer};
use tokensmith_tests::scene::read;

#[test]
fn both_get_the_token_and_both_are_made_to_agree() {
    for issuer in Issuer::ALL {
        let scene = CredentialScene::galaxy();
        let dest = scene.path("token");
        let both = json!({ "dest": dest });
        let run = scene.run(issuer, both.clone()).succeeded();
        assert_eq!(scene.token(), Some(read(&dest)), "{run}");
        assert!(run.result.get("dest").is_some() && run.result.get("credential").is_some(), "{run}");
        let again = scene.run(issuer, both.clone()).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
        // Somebody's restore of the credential.
        let token = read(&dest);
        scene.patch(&json!({ "description": "", "inputs": { "url": "u", "token": "other" } }));
        let mended = scene.run(issuer, both.clone()).succeeded();
        assert_eq!(
            (mended.text("reason"), read(&dest), scene.token()),
            ("drifted", token.clone(), Some(token)),
            "{mended}"
        );
        // The file is gone, and the credential cannot be read.
        fs::remove_file(&dest).unwrap();
        let renewed = scene.run(issuer, both.clone()).succeeded();
        assert_eq!((renewed.text("reason"), scene.token()), ("missing", Some(read(&dest))), "{renewed}");
        assert!(scene.holds_token_that_works(issuer));
        // The job has the token.
        fs::remove_file(&dest).unwrap();
        let token = scene.token().unwrap();
        let which = json!({ "name": "Token of CI", "field": "token", "token": token });
        let brought = scene.run(issuer, json!({ "dest": dest, "dest_credential": which })).succeeded();
        assert_eq!((brought.text("reason"), read(&dest)), ("drifted", token), "{brought}");
    }
}

#[test]
fn a_credential_that_could_not_be_written_gets_the_token_of_the_file_by_the_next_run() {
    for issuer in Issuer::ALL {
        let scene = CredentialScene::galaxy();
        let dest = scene.path("token");
        let both = json!({ "dest": dest, "overlap": if issuer == Issuer::Gateway { json!("0") } else { json!(null) } });
        scene.run(issuer, both.clone()).succeeded();
        let old = scene.token().unwrap();
        let notes = if issuer == Issuer::Gateway { 2 } else { 1 };
        for _ in 0..notes {
            scene.fault(Fault::delay(std::time::Duration::ZERO).method("PATCH").times(1));
        }
        scene.fault(Fault::server_error().method("PATCH"));
        let mut asked = both.clone();
        asked["state"] = json!("rotated");
        let run = scene.run(issuer, asked);
        assert!(run.failed(), "{run}");
        let new = read(&dest);
        assert!(new != old && scene.works(issuer, &new) && scene.token().as_ref() == Some(&old), "{run}");
        if issuer == Issuer::Gateway {
            assert!(scene.works(issuer, &old), "jobs still get it, so it lives: {run}");
            let blocked = scene.run(issuer, both.clone());
            assert!(blocked.failed() && scene.works(issuer, &old), "{blocked}");
        }
        scene.sandbox.faults().clear();
        let mended = scene.run(issuer, both.clone()).succeeded();
        assert_eq!((read(&dest), scene.token()), (new.clone(), Some(new)), "{mended}");
        scene.run(issuer, both.clone()).succeeded();
        let last = scene.run(issuer, both).succeeded();
        assert_eq!((last.text("reason"), last.changed(), scene.works(issuer, &old)), ("valid", false, false), "{last}");
    }
}
