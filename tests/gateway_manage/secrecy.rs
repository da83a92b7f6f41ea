//! A token stands where it was handed over to, and nowhere else.

use std::fs;

use serde_json::json;
use tokensmith_tests::executable;
use tokensmith_tests::scene::{names, read};

use super::host;

#[test]
fn with_dest_no_token_is_printed_noted_or_seen_by_others_on_the_host() {
    let host = host();
    for options in [json!({}), json!({ "force": true }), json!({ "mode": "0640" }), json!({})] {
        let mut options = options;
        options["dest"] = json!(host.dest());
        options["_ansible_diff"] = json!(true);
        let run = host.create(options).succeeded();
        assert!(run.result.get("_tokensmith_secret").is_none() && run.result.get("token").is_none(), "{run}");
        for token in host.tokens() {
            assert!(!run.stdout.contains(&token) && !host.note().contains(&token) && !host.seen().contains(&token));
        }
    }
    assert_eq!(host.tokens().len(), 2);
    assert_eq!(names(host.dest().parent().unwrap()), [".token.tokensmith.json", ".token.tokensmith.lock", "token"]);
    let run = host.create(json!({ "dest": host.dest(), "return_token": true })).succeeded();
    assert_eq!((run.text("token"), &run.result["_tokensmith_secret"]), (read(&host.dest()).as_str(), &json!(true)));
    let ours = executable::path().file_name().unwrap().to_string_lossy().into_owned();
    assert!(host.seen().contains(&format!("{ours} -")), "{}", host.seen());
}

#[test]
fn what_the_command_says_of_tokens_is_not_repeated() {
    let token = "cL3ar".repeat(6);
    for (command, user) in [("create_oauth2_token", "admin"), ("revoke_oauth2_tokens", "bob")] {
        for status in [0, 1, 2, 70] {
            let host = host();
            let line = format!("revoked OAuth2AccessToken {token}");
            let stdout = format!("{line}\n{line}: and {token}!");
            host.behaves(json!({ "says": { "status": status, "stdout": stdout, "stderr": format!("CommandError: {token} failed: {line}") } }));
            let run = host.run(command, json!({ "user": user }));
            assert_eq!(run.failed(), status != 0 || command == "create_oauth2_token", "{run}");
            assert!(!run.stdout.contains(&token), "{run}");
        }
    }
}

#[test]
fn revoked_tokens_that_old_versions_print_are_counted_and_thrown_away() {
    let host = host();
    let token = "cL3ar".repeat(6);
    host.give("bob", "OAuth2AccessToken", &token);
    let run = host.revoke(json!({ "user": "bob", "_ansible_diff": true })).succeeded();
    assert_eq!((&run.result["revoked_access_tokens"], run.stdout.contains(&token)), (&json!(1), false), "{run}");
}

#[test]
fn a_link_in_the_place_of_the_file_is_not_followed_and_nothing_is_created() {
    let host = host();
    let elsewhere = host.path("elsewhere");
    fs::write(&elsewhere, "x").unwrap();
    std::os::unix::fs::symlink(&elsewhere, host.dest()).unwrap();
    let run = host.create(json!({ "dest": host.dest() }));
    assert!(run.failed() && run.message().contains("symbolic link"), "{run}");
    assert_eq!((host.calls(), read(&elsewhere).as_str()), (Vec::new(), "x"));
}
