//! No secret is shown: not in results and messages, not in the note, not in what the controller shows of it.

use serde_json::json;
use tokensmith_sandbox::Fault;
use tokensmith_tests::credential::{CredentialScene, Issuer, NAME, SECOND};

#[test]
fn no_secret_stands_in_a_result_in_the_note_or_in_the_activity_stream() {
    for issuer in Issuer::ALL {
        let scene = CredentialScene::custom();
        let mut shown = String::new();
        let mut secrets = vec![scene.caller().to_owned(), SECOND.to_owned()];
        for (state, check_mode) in [
            ("present", false),
            ("present", false),
            ("rotated", true),
            ("rotated", false),
            ("absent", true),
            ("absent", false),
        ] {
            let asked = json!({ "state": state, "_ansible_check_mode": check_mode, "_ansible_diff": true });
            shown += &scene.run(issuer, asked).succeeded().stdout;
            secrets.extend(scene.token());
            shown += &scene.stored().description;
        }
        shown += &format!("{:?}", scene.controller().activity(scene.id));
        let records = scene.sandbox.records().all().into_iter();
        shown += &records.map(|record| format!("{} {:?}", record.path, record.query)).collect::<String>();
        assert!(secrets.len() > 4);
        assert!(shown.contains("[tokensmith token {") && shown.contains("hidden"));
        for secret in secrets {
            assert!(!shown.contains(&secret), "{secret} is in {shown}");
        }
    }
}

#[test]
fn what_the_controller_repeats_of_a_secret_is_scrubbed() {
    for issuer in Issuer::ALL {
        let scene = CredentialScene::galaxy();
        let given = "t0ken-that-the-job-got-from-somewhere";
        let said = format!("no such token as {given} or {}", scene.caller());
        let body = json!({ "detail": said }).to_string();
        scene.fault(Fault::answer(400, "application/json", body).method("PATCH"));
        let which = json!({ "name": NAME, "field": "token", "token": given });
        let run = scene.run(issuer, json!({ "dest_credential": which }));
        assert!(run.failed() && run.message().contains("no such token as ********"), "{run}");
        assert!(!run.stdout.contains(given) && !run.stdout.contains(scene.caller()), "{run}");
    }
}

#[test]
fn check_mode_reads_only_and_says_what_the_run_then_does() {
    for issuer in Issuer::EVERY {
        for state in ["present", "rotated"] {
            let scene = CredentialScene::galaxy();
            scene.run(issuer, json!({})).succeeded();
            let before = scene.stored();
            scene.sandbox.records().clear();
            let forecast = scene.run(issuer, json!({ "state": state, "_ansible_check_mode": true })).succeeded();
            assert_eq!((scene.writes(), scene.stored().description), (Vec::new(), before.description), "{forecast}");
            let run = scene.run(issuer, json!({ "state": state })).succeeded();
            for told in ["reason", "changed", "credential"] {
                assert_eq!(forecast.result[told], run.result[told], "{told}: {forecast}, {run}");
            }
        }
    }
}
