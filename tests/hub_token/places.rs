//! Where the token goes, and what else stands in the file.

use serde_json::{Value, json};
use tokensmith_tests::hub::HubScene;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::read;

#[test]
fn every_format_is_written_kept_and_emptied() {
    type Written = fn(&HubScene, &str) -> String;
    let cases: [(&str, Option<&str>, Written, Option<&str>); 7] = [
        ("raw", None, |_, token| token.to_owned(), None),
        ("env", None, |_, token| format!("HUB_TOKEN='{token}'\n"), None),
        ("galaxy_token", None, |_, token| format!("token: '{token}'\n"), None),
        (
            "galaxy_token",
            Some("# mine\nother: 1\n"),
            |_, token| format!("# mine\nother: 1\ntoken: '{token}'\n"),
            Some("# mine\nother: 1\n"),
        ),
        (
            "ansible_cfg",
            None,
            |scene, token| format!("[galaxy_server.mine]\nurl = {}/api/galaxy/\ntoken = {token}\n", scene.hub().url()),
            None,
        ),
        (
            "ansible_cfg",
            Some(
                "[galaxy]\nserver_list = mine\n\n[galaxy_server.mine]\nurl=https://hub.example.com/api/galaxy/\ntoken=x ; old\n# end\n",
            ),
            |_, token| {
                format!(
                    "[galaxy]\nserver_list = mine\n\n[galaxy_server.mine]\nurl=https://hub.example.com/api/galaxy/\ntoken={token} ; old\n# end\n"
                )
            },
            None,
        ),
        ("json", None, |_, token| serde_json::to_string_pretty(&json!({ "hub_token": token })).unwrap() + "\n", None),
    ];
    for (format, before, written, left) in cases {
        let scene = HubScene::new();
        let dest = scene.path("file");
        before.map(|content| scene.file("file", content));
        let options = json!({ "dest": dest, "dest_format": format, "galaxy_server": "mine" });
        let run = scene.task(options.clone()).succeeded();
        let token = scene.token().unwrap();
        assert_eq!(read(&dest), written(&scene, &token), "{format}");
        assert!(!run.stdout.contains(&token), "{run}");
        let again = scene.task(options.clone()).succeeded();
        assert_eq!((again.text("reason"), again.changed()), ("valid", false), "{format}: {again}");
        let run = scene.task(with(options, json!({ "state": "absent" }))).succeeded();
        assert!(run.changed() && !dest.exists() || !read(&dest).contains(&token), "{format}: {run}");
        if let Some(left) = left {
            assert_eq!(read(&dest), left, "{format}");
        }
    }
}

#[test]
fn a_server_that_ansible_galaxy_would_not_use_is_told_of() {
    let scene = HubScene::new();
    let dest = scene.file("ansible.cfg", "[galaxy]\nserver_list = other\n");
    let run = scene.task(json!({ "dest": dest, "dest_format": "ansible_cfg", "galaxy_server": "mine" })).succeeded();
    assert!(run.warnings().contains("server_list"), "{run}");
}

#[test]
fn a_file_that_takes_no_token_is_found_out_before_one_is_made() {
    let scene = HubScene::new();
    let cases: [(Value, &str); 5] = [
        (json!({ "dest": scene.path("no/such/folder/token") }), "does not exist; make it first"),
        (json!({ "dest": scene.file("bare", &"a".repeat(40)), "dest_format": "galaxy_token" }), "silently ignores"),
        (json!({ "dest": scene.path("x"), "dest_format": "ansible_cfg" }), "galaxy_server"),
        (json!({ "dest": scene.path("x"), "dest_format": "ansible_cfg", "galaxy_server": "a]b" }), "a]b"),
        (
            json!({ "dest": scene.path("x"), "dest_format": "docker_config" }),
            "must be one of: raw, json, env, galaxy_token, ansible_cfg",
        ),
    ];
    for (options, words) in cases {
        for check in [true, false] {
            let run = scene.task(with(options.clone(), json!({ "_ansible_check_mode": check })));
            assert!(run.failed() && run.message().contains(words), "{words}: {run}");
        }
    }
    assert_eq!(scene.hub().issued("build"), 0);
}
