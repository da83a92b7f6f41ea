//! One robot: when its token is rotated, what the forecast says, and what becomes of it in the end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::quay::{QuayScene, with};
use tokensmith_tests::scene::{mode, names, read};

#[test]
fn the_forecast_is_what_a_run_then_does() {
    type Prepare = fn(&QuayScene) -> Value;
    let cases: [(&str, Prepare, Value); 17] = [
        ("no file", |_| json!({}), outcome("missing", false, true)),
        ("valid", in_place, outcome("valid", false, false)),
        ("forced", |scene| with(in_place(scene), json!({ "state": "rotated" })), outcome("forced", true, true)),
        ("forced without a file", |_| json!({ "state": "rotated", "dest": null }), outcome("forced", true, true)),
        ("valid without a file", |_| json!({ "dest": null }), outcome("valid", false, false)),
        ("another token", dead, outcome("dead", false, true)),
        ("other permissions", drifted, outcome("drifted", false, true)),
        ("young enough", |scene| with(in_place(scene), json!({ "max_age": "1h" })), outcome("valid", false, false)),
        ("too old", |scene| with(old(scene), json!({ "max_age": "1h" })), outcome("aged", true, true)),
        (
            "too old, and other permissions",
            |scene| with(old_and_drifted(scene), json!({})),
            outcome("aged", true, true),
        ),
        (
            "too old, and not in the file",
            |scene| with(old(scene), json!({ "max_age": "1h", "dest": scene.path("new") })),
            outcome("missing", true, true),
        ),
        (
            "no robot",
            |_| json!({ "robot": "new", "create_robot": true }),
            json!({ "reason": "missing", "rotated": false, "created": true, "deleted": null, "changed": true }),
        ),
        (
            "no robot, forced",
            |_| json!({ "robot": "new", "create_robot": true, "state": "rotated" }),
            json!({ "reason": "forced", "rotated": false, "created": true, "deleted": null, "changed": true }),
        ),
        ("deleted", |scene| with(in_place(scene), absent()), deletion("forced", true, true)),
        ("deleted without a file", |_| absent(), deletion("forced", true, true)),
        (
            "gone already",
            |scene| with(absent(), json!({ "robot": "nobody", "dest": scene.path("none") })),
            deletion("missing", false, false),
        ),
        (
            "gone, and still in the file",
            |scene| with(absent(), json!({ "robot": "nobody", "dest": scene.file("rest", "T0KEN") })),
            deletion("missing", false, true),
        ),
    ];
    for (case, prepare, expected) in cases {
        let scene = QuayScene::new();
        let options = with(json!({ "robot": "ci", "dest": scene.path("token") }), prepare(&scene));
        let before = world(&scene);
        let forecast = scene.robot_token_task(with(options.clone(), json!({ "_ansible_check_mode": true })));
        assert_eq!(scene.writes(), Vec::<String>::new(), "{case}");
        assert!(world(&scene) == before, "{case}");
        let run = scene.robot_token_task(options);
        for (way, told) in [("forecast", forecast), ("run", run)] {
            let told = told.succeeded();
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(&told.result[key], value, "{case}, {way}, {key}: {told}");
            }
            assert_eq!(told.text("dest").is_empty(), !told.result["invocation"]["module_args"]["dest"].is_string());
        }
    }
}

#[test]
fn a_forecast_fails_where_the_run_would() {
    type Options = fn(&QuayScene) -> Value;
    let cases: [(&str, Options, &str); 5] = [
        (
            "a name for no robot",
            |_| json!({ "robot": "Upper", "create_robot": true }),
            "no robot can have this name: small",
        ),
        ("no robot", |_| json!({ "robot": "nobody" }), "there is no robot nobody"),
        (
            "no folder",
            |scene| json!({ "dest": scene.path("none").join("token") }),
            "none does not exist; make it first",
        ),
        ("a folder", |scene| json!({ "dest": scene.path("token").parent().unwrap() }), "is a directory"),
        (
            "a broken file",
            |scene| json!({ "dest": scene.file("config.json", "{"), "dest_format": "docker_config" }),
            "it is not JSON (line 1, column ",
        ),
    ];
    for (case, prepare, words) in cases {
        for check_mode in [true, false] {
            for state in ["present", "rotated"] {
                let scene = QuayScene::new();
                let options = json!({ "robot": "ci", "state": state, "_ansible_check_mode": check_mode });
                let run = scene.robot_token_task(with(options, prepare(&scene)));
                let said = run.message().replace("directory ", "");
                assert!(run.failed() && (said.contains(words) || run.message().contains(words)), "{case}: {run}");
                assert_eq!(scene.quay().regenerations("acme+ci"), 0, "{case}");
                assert!(scene.writes().is_empty() || case == "a name for no robot" && !check_mode, "{case}");
            }
        }
    }
}

#[test]
fn the_robot_of_a_mirror_is_rotated_like_any_other() {
    let scene = QuayScene::new();
    scene.quay().mirror("acme+ci");
    let run = scene.robot_token_task(json!({ "robot": "ci", "state": "rotated" })).succeeded();
    assert_eq!(run.text("token"), scene.robot_token("acme+ci"));
}

#[test]
fn the_age_of_a_token_is_known_from_the_note_or_at_most_that_of_the_robot() {
    let hour = 3600;
    // Minutes since the robot was made, since the note says the token was (none: no note), and what comes of it.
    for (robot, noted, reason) in
        [(0, None, "valid"), (59, None, "valid"), (61, None, "aged"), (600, Some(59), "valid"), (600, Some(61), "aged")]
    {
        let scene = QuayScene::new();
        let options = json!({ "robot": "ci", "dest": in_place(&scene)["dest"], "max_age": "1h" });
        made_before(&scene, robot * 60);
        match noted {
            Some(minutes) => noted_before(&scene, minutes * 60),
            None => fs::remove_file(note(&scene)).unwrap(),
        }
        let run = scene.robot_token_task(options.clone()).succeeded();
        assert_eq!(run.text("reason"), reason, "{robot} {noted:?}: {run}");
        assert_eq!(read(&scene.path("token")), scene.robot_token("acme+ci"));
        let again = scene.robot_token_task(with(options, json!({ "max_age": hour.to_string() }))).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
    }
}

#[test]
fn a_token_that_somebody_else_had_made_is_at_most_as_old_as_the_one_before_it() {
    let scene = QuayScene::new();
    in_place(&scene);
    made_before(&scene, 86400);
    let theirs = scene.quay().regenerate("acme+ci").unwrap();
    let options = json!({ "robot": "ci", "dest": scene.path("token"), "max_age": "1h" });
    for (minutes, rotated) in [(90, true), (30, false)] {
        noted_before(&scene, minutes * 60);
        let run = scene.robot_token_task(with(options.clone(), json!({ "_ansible_check_mode": true }))).succeeded();
        assert_eq!((run.text("reason"), &run.result["rotated"]), ("dead", &json!(rotated)), "{run}");
    }
    let run = scene.robot_token_task(options).succeeded();
    assert_eq!((run.text("reason"), &run.result["rotated"]), ("dead", &json!(false)), "{run}");
    assert_eq!(read(&scene.path("token")), theirs);
}

#[test]
fn two_hosts_with_one_robot_do_not_rotate_against_each_other() {
    let scene = QuayScene::new();
    made_before(&scene, 86400);
    let task = |dest: &str| json!({ "robot": "ci", "dest": scene.path(dest), "max_age": "1h" });
    for dest in ["token", "on_another_host"] {
        scene.robot_token_task(json!({ "robot": "ci", "dest": scene.path(dest), "state": "rotated" })).succeeded();
    }
    scene.robot_token_task(task("token")).succeeded();
    noted_before(&scene, 1800);
    assert_eq!(scene.quay().regenerations("acme+ci"), 2);
    scene.quay().regenerate("acme+ci");
    for _ in 0..2 {
        for dest in ["token", "on_another_host"] {
            let run = scene.robot_token_task(task(dest)).succeeded();
            assert_eq!(run.result["rotated"], false, "{run}");
            assert_eq!(read(&scene.path(dest)), scene.robot_token("acme+ci"));
        }
    }
}

#[test]
fn what_a_killed_run_left_beside_the_file_tells_the_age_of_the_token_it_asked_for() {
    let scene = QuayScene::new();
    let dest = scene.file("token", &scene.robot_token("acme+ci"));
    made_before(&scene, 86400);
    let before = tokensmith::secret::Secret::new(scene.robot_token("acme+ci")).fingerprint();
    let since = seconds_ago(60);
    fs::write(note(&scene), json!({ "fingerprint": before, "under_way_since": since }).to_string()).unwrap();
    scene.quay().regenerate("acme+ci");
    let run = scene.robot_token_task(json!({ "robot": "ci", "dest": dest, "max_age": "1h" })).succeeded();
    assert_eq!((run.text("reason"), &run.result["rotated"]), ("dead", &json!(false)), "{run}");
    assert_eq!(run.text("rotated_at"), since, "{run}");
    assert_eq!(read(&dest), scene.robot_token("acme+ci"));
}

#[test]
fn permissions_are_mended_without_a_new_token() {
    let scene = QuayScene::new();
    let options = json!({ "robot": "ci", "dest": drifted(&scene)["dest"] });
    let run = scene.robot_token_task(options).succeeded();
    assert_eq!((run.text("reason"), run.changed()), ("drifted", true), "{run}");
    assert_eq!((mode(&scene.path("token")), scene.writes()), (0o600, Vec::new()));
}

#[test]
fn where_robots_are_not_allowed_the_new_token_is_handed_over_and_the_run_fails() {
    let scene = QuayScene::new();
    in_place(&scene);
    scene.quay().change(|state| state.robots_disallowed = true);
    let options = json!({ "robot": "ci", "dest": scene.path("token"), "state": "rotated" });
    let run = scene.robot_token_task(options.clone());
    assert!(run.failed() && run.changed(), "{run}");
    let words = "the server does not accept the token that it issued: Robot account have been disabled. Please contact your \
                 administrator";
    assert!(run.message().contains(words), "{run}");
    assert_eq!(read(&scene.path("token")), scene.robot_token("acme+ci"));
    assert!(!run.stdout.contains(&scene.robot_token("acme+ci")));
    scene.quay().change(|state| state.robots_whitelist.insert("acme+ci".to_owned()));
    scene.robot_token_task(options).succeeded();
}

#[test]
fn a_log_in_that_is_refused_without_a_reason_of_the_registry_is_told_in_its_words() {
    let scene = QuayScene::new();
    scene.quay().change(|state| (state.robots_disallowed, state.anonymous_access) = (true, false));
    let run = scene.robot_token_task(json!({ "robot": "ci", "state": "rotated" }));
    assert!(run.message().contains("issued: Anonymous access is not allowed"), "{run}");
}

#[test]
fn a_lost_answer_is_found_again_by_reading() {
    let faults = [Fault::lost_answer(), Fault::server_error().acting(), Fault::cut_body(), Fault::truncated_json()];
    for fault in faults {
        let scene = QuayScene::new();
        scene.fault(fault.clone().method("POST").times(1));
        let run = scene.robot_token_task(json!({ "robot": "ci", "state": "rotated", "dest": scene.path("token") }));
        let run = run.succeeded();
        assert_eq!(
            (&run.result["recovered"], &run.result["rotated"]),
            (&json!(true), &json!(true)),
            "{fault:?}: {run}"
        );
        assert_eq!(read(&scene.path("token")), scene.robot_token("acme+ci"));
        assert_eq!(scene.quay().regenerations("acme+ci"), 1);
    }
}

#[test]
fn a_token_of_somebody_who_was_quicker_is_handed_over_with_a_warning() {
    let scene = QuayScene::new();
    scene.fault(Fault::interference().method("POST").times(1));
    let run = scene.robot_token_task(json!({ "robot": "ci", "state": "rotated", "dest": scene.path("token") }));
    let run = run.succeeded();
    assert_eq!(run.result["overtaken"], true, "{run}");
    assert!(run.warnings().contains("Somebody else had a token of acme+ci made at the same time"), "{run}");
    assert_eq!(read(&scene.path("token")), scene.robot_token("acme+ci"));
}

#[test]
fn a_robot_is_made_with_its_description_and_once() {
    for release in [(3, 9, 0), (3, 19, 0)] {
        let scene = QuayScene::new();
        scene.quay().change(|state| state.release = release);
        let options = json!({ "robot": "new", "create_robot": true, "description": "Pulls on the cluster" });
        let run = scene.robot_token_task(options.clone()).succeeded();
        assert_eq!((&run.result["created"], run.changed()), (&json!(true), true), "{run}");
        assert_eq!(run.text("token"), scene.robot_token("acme+new"));
        assert_eq!(scene.quay().change(|state| state.robots["acme+new"].description.clone()), "Pulls on the cluster");
        let again = scene.robot_token_task(options).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{again}");
    }
}

#[test]
fn a_lost_race_to_make_a_robot_brings_the_token_of_the_winner() {
    for release in [(3, 10, 0), (3, 19, 0)] {
        let scene = QuayScene::new();
        scene.quay().change(|state| state.release = release);
        let body = "{\"message\": \"Could not find robot with specified username\"}";
        scene.fault(Fault::answer(400, "application/json", body).method("GET").path("/robots/ci").times(1));
        let options = json!({ "robot": "ci", "create_robot": true, "dest": scene.path("token") });
        let run = scene.robot_token_task(options).succeeded();
        assert_eq!((&run.result["created"], &run.result["rotated"]), (&json!(false), &json!(false)), "{run}");
        assert_eq!((run.text("reason"), run.changed()), ("missing", true));
        assert_eq!(read(&scene.path("token")), scene.robot_token("acme+ci"));
        assert_eq!(scene.quay().regenerations("acme+ci"), 0);
    }
}

#[test]
fn robots_of_a_user_are_rotated_made_and_deleted() {
    let scene = QuayScene::new();
    let options = |more: Value| with(json!({ "organization": null, "robot": "laptop" }), more);
    let run = scene.robot_token_task(options(json!({ "state": "rotated" }))).succeeded();
    assert_eq!((run.text("robot"), run.text("token")), ("alice+laptop", scene.robot_token("alice+laptop").as_str()));
    scene.robot_token_task(options(json!({ "robot": "new", "create_robot": true }))).succeeded();
    assert!(scene.quay().robot_token("alice+new").is_some());
    scene.robot_token_task(options(absent())).succeeded();
    assert_eq!(scene.quay().robot_token("alice+laptop"), None);
}

#[test]
fn a_deletion_that_is_repeated_because_its_answer_was_lost_succeeds() {
    let scene = QuayScene::new();
    in_place(&scene);
    scene.fault(Fault::lost_answer().method("DELETE").times(1));
    let options = with(json!({ "robot": "ci", "dest": scene.path("token") }), absent());
    let run = scene.robot_token_task(options.clone()).succeeded();
    assert_eq!((&run.result["deleted"], run.changed()), (&json!(true), true), "{run}");
    assert_eq!(names(scene.path("token").parent().unwrap()), [".token.tokensmith.lock"]);
    let again = scene.robot_token_task(options).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("missing", false), "{again}");
}

#[test]
fn a_deletion_that_cannot_be_proven_says_that_the_robot_is_gone() {
    let scene = QuayScene::new();
    in_place(&scene);
    scene.fault(Fault::server_error().path("/v2/auth"));
    let run = scene.robot_token_task(with(json!({ "robot": "ci", "dest": scene.path("token") }), absent()));
    assert!(run.failed() && run.message().contains("that its token is dead could not be proven"), "{run}");
    assert_eq!((run.changed(), &run.result["deleted"]), (true, &json!(true)), "{run}");
    scene.sandbox.faults().clear();
    let again = scene.robot_token_task(with(json!({ "robot": "ci", "dest": scene.path("token") }), absent()));
    assert!(again.succeeded().changed() && !scene.path("token").exists());
}

fn outcome(reason: &str, rotated: bool, changed: bool) -> Value {
    json!({ "reason": reason, "rotated": rotated, "created": false, "deleted": null, "changed": changed })
}

fn deletion(reason: &str, deleted: bool, changed: bool) -> Value {
    json!({ "reason": reason, "deleted": deleted, "changed": changed, "token": null })
}

fn absent() -> Value {
    json!({ "state": "absent", "delete_robot": true })
}

/// The valid token is in the file, with its note.
fn in_place(scene: &QuayScene) -> Value {
    let options = json!({ "robot": "ci", "state": "rotated", "dest": scene.path("token") });
    scene.robot_token_task(options).succeeded();
    scene.sandbox.records().clear();
    json!({ "dest": scene.path("token") })
}

fn dead(scene: &QuayScene) -> Value {
    in_place(scene);
    scene.quay().regenerate("acme+ci");
    json!({})
}

fn drifted(scene: &QuayScene) -> Value {
    let options = in_place(scene);
    fs::set_permissions(scene.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    options
}

fn old(scene: &QuayScene) -> Value {
    in_place(scene);
    made_before(scene, 86400);
    noted_before(scene, 7200);
    json!({})
}

fn old_and_drifted(scene: &QuayScene) -> Value {
    old(scene);
    fs::set_permissions(scene.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    json!({ "max_age": "1h" })
}

fn made_before(scene: &QuayScene, seconds: i64) {
    scene.quay().change(|state| state.robots.get_mut("acme+ci").unwrap().created -= seconds);
}

/// The note says that the token was made so long ago.
fn noted_before(scene: &QuayScene, seconds: i64) {
    let mut noted: Value = serde_json::from_str(&read(&note(scene))).unwrap();
    noted["rotated_at"] = json!(seconds_ago(seconds));
    fs::write(note(scene), noted.to_string()).unwrap();
}

fn note(scene: &QuayScene) -> PathBuf {
    scene.path(".token.tokensmith.json")
}

fn seconds_ago(seconds: i64) -> String {
    (Utc::now() - TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The robots with their tokens, and the files with their content and permissions.
type World = (Vec<(String, String)>, Vec<(String, String, u32)>);

/// What may not change in a forecast: robots and files.
fn world(scene: &QuayScene) -> World {
    let robots = scene
        .quay()
        .change(|state| state.robots.iter().map(|(name, robot)| (name.clone(), robot.token.clone())).collect());
    let file = |name: String| (name.clone(), read(&scene.path(&name)), mode(&scene.path(&name)));
    (robots, names(scene.path("token").parent().unwrap()).into_iter().map(file).collect())
}
