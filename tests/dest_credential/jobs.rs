//! Jobs that run with the old token.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_sandbox::controller::JobStatus;
use tokensmith_tests::credential::{CredentialScene, Issuer, NAME};
use tokensmith_tests::executable::Run;

#[test]
fn jobs_that_a_rotation_cuts_off_are_named() {
    let (scene, job) = with_job();
    let run = scene.run(Issuer::Hub, json!({ "state": "rotated" })).succeeded();
    assert!(run.warnings().contains(&format!("{job} (nightly)")), "{run}");
    let valid = scene.run(Issuer::Hub, json!({})).succeeded();
    assert!(!valid.warnings().contains("nightly"), "{valid}");
    scene.controller().set_job_status(job, JobStatus::Successful);
    let run = scene.run(Issuer::Hub, json!({ "state": "rotated" })).succeeded();
    assert!(!run.warnings().contains("nightly"), "{run}");
}

#[test]
fn a_rotation_waits_for_jobs_and_gives_up_with_nothing_done() {
    let (scene, job) = with_job();
    let before = scene.stored();
    let issued = scene.issued(Issuer::Hub);
    let run = scene.run(Issuer::Hub, waiting(json!({ "wait_for_jobs": "1s" })));
    assert!(
        run.failed() && run.message().contains(&format!("still running after wait_for_jobs: {job} (nightly)")),
        "{run}"
    );
    assert_eq!((scene.issued(Issuer::Hub), scene.stored().description), (issued, before.description));
    let run = scene.start(Issuer::Hub, waiting(json!({ "wait_for_jobs": "10m" })), "host");
    thread::sleep(Duration::from_millis(700));
    assert_eq!(scene.issued(Issuer::Hub), issued);
    scene.controller().set_job_status(job, JobStatus::Failed);
    let run = Run::from_output(&run.wait_with_output().unwrap()).succeeded();
    assert!(scene.holds_token_that_works(Issuer::Hub) && scene.issued(Issuer::Hub) == issued + 1, "{run}");
}

#[test]
fn who_sees_no_template_is_told_that_jobs_may_have_been_missed() {
    let scene = CredentialScene::custom();
    scene.run(Issuer::Hub, json!({})).succeeded();
    let template = scene.controller().add_job_template("nightly", "Default", &[scene.id]).unwrap();
    scene.controller().add_job(template, JobStatus::Running).unwrap();
    let run = scene.run(Issuer::Hub, waiting(json!({ "wait_for_jobs": "1s" }))).succeeded();
    assert!(run.warnings().contains("wait_for_jobs may have missed jobs"), "{run}");
    let (scene, job) = with_job();
    scene.controller().set_job_status(job, JobStatus::Successful);
    let run = scene.run(Issuer::Hub, waiting(json!({ "wait_for_jobs": "1s" }))).succeeded();
    assert!(!run.warnings().contains("missed"), "{run}");
}

#[test]
fn the_job_of_the_task_itself_is_not_waited_for() {
    let (scene, job) = with_job();
    let run = scene.run(Issuer::Hub, waiting(json!({ "wait_for_jobs": "1s", "job_id": job }))).succeeded();
    assert!(run.changed(), "{run}");
}

fn waiting(options: Value) -> Value {
    json!({ "state": "rotated", "dest_credential": tokensmith_tests::quay::with(json!({ "name": NAME, "field": "token" }), options) })
}

fn with_job() -> (CredentialScene, i64) {
    let scene = CredentialScene::custom();
    scene.run(Issuer::Hub, json!({})).succeeded();
    let template = scene.controller().add_job_template("nightly", "Default", &[scene.id]).unwrap();
    let job = scene.controller().add_job(template, JobStatus::Running).unwrap();
    scene.controller().grant_on_template(
        tokensmith_tests::credential::CALLER,
        tokensmith_sandbox::controller::RoleKind::Read,
        template,
    );
    (scene, job)
}
