//! Many robots in one task: which ones, what the result says of each, and what becomes of the others when one fails.

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::quay::RateLimit;
use tokensmith_tests::executable::Run;
use tokensmith_tests::quay::{QuayScene, with};
use tokensmith_tests::scene::read;

#[test]
fn robots_of_a_neighbour_that_the_server_lists_as_well_are_neither_touched_nor_printed() {
    for (organization, neighbour, robots) in
        [("acme", "Acme", vec!["acme+ci", "acme+deploy"]), ("team_one", "team-one", vec!["team_one+ci"])]
    {
        let scene = QuayScene::new();
        let theirs = scene.robot_token(&format!("{neighbour}+ci"));
        let options = json!({ "organization": organization, "all_robots": true });
        for state in ["present", "rotated", "absent"] {
            let options = with(options.clone(), json!({ "state": state, "delete_robot": true }));
            let run = scene.robot_token_task(options).succeeded();
            assert_eq!(named(&run), robots, "{state}");
            assert!(!run.stdout.contains(&format!("{neighbour}+")) && !run.stdout.contains(&theirs), "{run}");
        }
        let sent = scene.sandbox.records().all();
        assert!(!sent.iter().any(|request| request.path.contains(&format!("/{neighbour}/"))));
        assert_eq!(scene.robot_token(&format!("{neighbour}+ci")), theirs);
    }
}

#[test]
fn no_secret_of_the_whole_list_crosses_the_network() {
    let scene = QuayScene::new();
    scene.robot_token_task(json!({ "all_robots": true, "_ansible_check_mode": true })).succeeded();
    let lists = scene.sandbox.records().to("/robots");
    assert_eq!(lists.iter().map(|request| request.query.as_deref()).collect::<Vec<_>>(), [Some("token=false")]);
}

#[test]
fn robots_are_named_short_or_in_full_and_kept_in_their_order() {
    for (organization, robots) in [
        (json!("acme"), json!(["deploy", "ci"])),
        (json!("acme"), json!(["acme+deploy", "ci"])),
        (json!(null), json!(["acme+deploy", "acme+ci"])),
        (json!("acme"), json!("deploy,ci")),
    ] {
        let scene = QuayScene::new();
        let run = scene.robot_token_task(json!({ "organization": organization, "robots": robots })).succeeded();
        assert_eq!(named(&run), ["acme+deploy", "acme+ci"], "{robots}");
        assert_eq!(rows(&run)[1]["token"], scene.robot_token("acme+ci"));
    }
}

#[test]
fn all_robots_of_a_user_and_some_of_them() {
    let scene = QuayScene::new();
    scene.quay().add_robot("alice+desktop");
    for who in [json!({ "all_robots": true }), json!({ "robots": ["desktop", "laptop"] })] {
        let options = json!({ "organization": null, "state": "rotated", "dest": scene.path("{namespace}-{robot}") });
        let run = scene.robot_token_task(with(options, who)).succeeded();
        assert_eq!(named(&run), ["alice+desktop", "alice+laptop"], "{run}");
        assert_eq!(read(&scene.path("alice-laptop")), scene.robot_token("alice+laptop"));
    }
}

#[test]
fn an_organization_without_robots_is_no_failure_and_one_that_is_not_there_is() {
    let scene = QuayScene::new();
    let run = scene.robot_token_task(json!({ "organization": "bulk", "all_robots": true })).succeeded();
    assert_eq!((&run.result["robot_accounts"], run.changed()), (&json!([]), false));
    assert_eq!(run.result["summary"], summary([0, 0, 0, 0, 0, 0]));
    scene.quay().change(|state| state.superusers_full_access = true);
    let superuser = scene.quay().issue_token("root", "org:admin super:user");
    for state in ["rotated", "absent"] {
        for token in [&scene.token, &superuser] {
            let options = json!({ "organization": "nowhere", "all_robots": true, "quay_token": token, "state": state });
            let run = scene.robot_token_task(with(options, json!({ "delete_robot": true })));
            assert!(run.failed() && run.message().contains("there is no organization nowhere"), "{run}");
        }
    }
}

#[test]
fn robots_of_a_user_that_is_named_as_an_organization_are_left_alone() {
    let scene = QuayScene::new();
    let before = scene.robot_token("alice+laptop");
    for state in ["present", "rotated", "absent"] {
        let options = json!({ "organization": "alice", "all_robots": true, "state": state, "delete_robot": true });
        let run = scene.robot_token_task(options);
        assert!(run.failed() && run.message().contains("leave organization out"), "{run}");
    }
    assert_eq!(scene.robot_token("alice+laptop"), before);
}

#[test]
fn a_superuser_with_full_access_rotates_any_organization() {
    let scene = QuayScene::new();
    scene.quay().change(|state| state.superusers_full_access = true);
    let token = scene.quay().issue_token("root", "org:admin super:user");
    let options = json!({ "organization": "globex", "all_robots": true, "quay_token": token, "state": "rotated" });
    let run = scene.robot_token_task(options).succeeded();
    assert_eq!(rows(&run)[0]["token"], scene.robot_token("globex+ci"));
}

#[test]
fn when_some_fail_the_others_are_handed_over_and_the_result_says_which() {
    let scene = QuayScene::new();
    let robots = json!(["ci", "nobody", "deploy", "none"]);
    let run = scene.robot_token_task(json!({ "robots": robots, "state": "rotated" }));
    assert!(run.failed() && run.changed(), "{run}");
    assert_eq!(run.result["summary"], summary([4, 2, 0, 0, 0, 2]));
    assert_eq!(rows(&run).iter().map(|row| row["failed"] == true).collect::<Vec<_>>(), [false, true, false, true]);
    for (row, robot) in [(0, "acme+ci"), (2, "acme+deploy")] {
        assert_eq!(rows(&run)[row]["token"], scene.robot_token(robot));
    }
    assert_eq!(rows(&run)[1]["msg"].as_str().unwrap().matches("there is no robot nobody").count(), 1);
    let beginning =
        "2 of 4 robots failed, what was done to the others stands: acme+nobody, acme+none: there is no robot";
    assert!(run.message().starts_with(beginning), "{run}");
}

#[test]
fn a_message_says_each_cause_once_and_stays_short() {
    type Break = fn(&QuayScene);
    let cases: [(&str, Break, Value, &str, &str); 5] = [
        ("missing", |_| {}, json!({}), "there is no robot", ""),
        (
            "the server breaks",
            |scene| scene.fault(Fault::server_error().path("/robots/")),
            json!({}),
            "the server or a proxy before it failed",
            "GET ",
        ),
        (
            "answers are lost",
            |scene| {
                add(scene);
                scene.fault(Fault::cut().method("POST"));
            },
            json!({ "state": "rotated" }),
            "none has been issued as far as the server shows",
            "POST ",
        ),
        (
            "files are broken",
            |scene| {
                add(scene);
                (1..=9).for_each(|number| drop(scene.file(&format!("r000{number}"), "{")));
            },
            json!({ "dest_format": "docker_config", "dest": "{robot}" }),
            "it is not JSON",
            "dest ",
        ),
        (
            "no right",
            |scene| {
                add(scene);
                scene.quay().change(|state| state.read_only = true);
            },
            json!({ "state": "rotated" }),
            "the registry is in read-only mode",
            "",
        ),
    ];
    for (case, break_it, mut options, words, other) in cases {
        let scene = QuayScene::new();
        break_it(&scene);
        if let Some(template) = options.get("dest").and_then(Value::as_str) {
            options["dest"] = json!(scene.path(template));
        }
        let robots: Vec<_> = (1..=9).map(|number| format!("r000{number}")).collect();
        let run = scene.robot_token_task(with(json!({ "robots": robots }), options));
        assert!(run.failed(), "{case}: {run}");
        let said = run.message();
        assert!(said.starts_with("9 of 9 robots failed"), "{said}");
        let names = "acme+r0001, acme+r0002, acme+r0003, acme+r0004, acme+r0005 and 4 more: ";
        assert_eq!((said.matches(names).count(), said.matches(words).count()), (1, 1), "{case}: {said}");
        assert!(said.len() < 700 && (other.is_empty() || said.matches(other).count() == 1), "{case}: {said}");
        for (row, robot) in rows(&run).iter().zip(&robots) {
            let own = row["msg"].as_str().unwrap();
            assert!(own.contains(words) && (other.is_empty() || own.contains(robot)), "{case}: {row}");
        }
    }
}

#[test]
fn several_causes_are_told_with_their_robots() {
    let scene = QuayScene::new();
    scene.fault(Fault::server_error().path("/robots/deploy"));
    let run = scene.robot_token_task(json!({ "robots": ["ci", "nobody", "deploy"] }));
    let said = run.message();
    assert!(said.contains("acme+nobody: there is no robot") && said.contains("; acme+deploy: GET "), "{said}");
    assert_eq!(run.result["summary"], summary([3, 0, 0, 0, 1, 2]));
}

#[test]
fn somebody_without_the_right_sees_the_names_and_is_told_once() {
    let scene = QuayScene::new();
    let token = scene.quay().issue_token("bob", "org:admin");
    let run = scene.robot_token_task(json!({ "all_robots": true, "quay_token": token, "state": "rotated" }));
    assert!(run.failed() && !run.changed(), "{run}");
    assert_eq!(run.message().matches("quay_token is good, but not for this").count(), 1, "{run}");
}

#[test]
fn the_forecast_for_many_is_what_a_run_then_does() {
    for options in [
        json!({ "state": "present" }),
        json!({ "state": "rotated" }),
        json!({ "state": "absent", "delete_robot": true }),
        json!({ "robots": ["ci", "new", "deploy"], "all_robots": null, "create_robot": true }),
    ] {
        let scene = QuayScene::new();
        scene.robot_token_task(json!({ "robot": "ci", "dest": scene.path("ci") })).succeeded();
        let options = with(json!({ "all_robots": true, "dest": scene.path("{robot}") }), options);
        scene.sandbox.records().clear();
        let forecast = with(options.clone(), json!({ "_ansible_check_mode": true }));
        let forecast = scene.robot_token_task(forecast).succeeded();
        assert!(scene.writes().is_empty() && !scene.path("deploy").exists());
        let run = scene.robot_token_task(options).succeeded();
        assert_eq!(run.result["summary"], forecast.result["summary"], "{run}");
        let decided = |run: &Run| rows(run).iter().map(|row| (row["reason"].clone(), row["changed"].clone())).collect();
        let (one, other): (Vec<_>, Vec<_>) = (decided(&run), decided(&forecast));
        assert_eq!(one, other);
    }
}

#[test]
fn a_limit_of_requests_slows_many_robots_down_and_loses_none() {
    let scene = QuayScene::new();
    scene.quay().add_robots("bulk", 20);
    scene.quay().change(|state| state.rate_limit = Some(RateLimit::new(100, 10)));
    let options =
        json!({ "organization": "bulk", "all_robots": true, "state": "rotated", "dest": scene.path("{robot}") });
    let run = scene.robot_token_task(options).succeeded();
    assert_eq!(run.result["summary"], summary([20, 20, 0, 0, 0, 0]));
    let refused = scene.sandbox.records().all().iter().filter(|request| request.status == Some(429)).count();
    assert!(refused > 0, "the limit was met");
    for number in 1..=20 {
        let robot = format!("r{number:04}");
        assert_eq!(read(&scene.path(&robot)), scene.robot_token(&format!("bulk+{robot}")));
        assert_eq!(scene.quay().regenerations(&format!("bulk+{robot}")), 1);
    }
}

#[test]
fn a_proxy_that_closes_the_connection_behind_each_answer_costs_nothing_but_time() {
    let scene = QuayScene::new();
    scene.quay().add_robots("bulk", 20);
    scene.quay().change(|state| (state.keep_alive, state.anonymous_access) = (false, false));
    let options = json!({ "organization": "bulk", "all_robots": true, "state": "rotated" });
    let run = scene.robot_token_task(options).succeeded();
    assert_eq!(run.result["summary"], summary([20, 20, 0, 0, 0, 0]));
    assert_eq!(rows(&run).iter().filter(|row| row["recovered"] == true).count(), 0);
}

fn add(scene: &QuayScene) {
    scene.quay().add_robots("acme", 9);
}

fn rows(run: &Run) -> &[Value] {
    run.result["robot_accounts"].as_array().unwrap_or_else(|| panic!("{run}"))
}

fn named(run: &Run) -> Vec<&str> {
    rows(run).iter().filter_map(|row| row["robot"].as_str()).collect()
}

fn summary([robots, rotated, created, deleted, unchanged, failed]: [u64; 6]) -> Value {
    json!({
        "robots": robots, "rotated": rotated, "created": created, "deleted": deleted, "unchanged": unchanged,
        "failed": failed,
    })
}
