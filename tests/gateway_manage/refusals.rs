//! What is refused, what fails, and what is said of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_tests::quay::with;

use super::host;

#[test]
fn an_option_that_would_be_passed_over_is_refused() {
    for (command, options, words) in [
        ("cleartokens", json!({ "user": "bob" }), "user means nothing to the command cleartokens"),
        ("clearsessions", json!({ "all_users": true }), "all_users means nothing"),
        ("create_oauth2_token", json!({ "user": "bob", "revoke_refresh": true }), "revoke_refresh means nothing"),
        ("create_oauth2_token", json!({ "user": "bob", "all_users": true }), "all_users means nothing"),
        ("revoke_oauth2_tokens", json!({ "user": "bob", "dest": "/tmp/x" }), "dest means nothing"),
        ("revoke_oauth2_tokens", json!({ "user": "bob", "force": true }), "force means nothing"),
        ("cleartokens", json!({ "return_token": true }), "return_token means nothing"),
        ("create_oauth2_token", json!({}), "user"),
        ("create_oauth2_token", json!({ "user": " " }), "user is empty"),
        ("create_oauth2_token", json!({ "user": "a\0b" }), "zero byte"),
        ("create_oauth2_token", json!({ "user": "bob", "timeout": 0 }), "timeout is 0"),
        ("create_oauth2_token", json!({ "user": "bob", "timeout": -5 }), "timeout is -5"),
        ("create_oauth2_token", json!({ "user": "bob", "executable": [] }), "executable: write the name"),
        ("create_oauth2_token", json!({ "user": "bob", "dest": "/nonexistent/token" }), "make it first"),
        ("create_oauth2_token", json!({ "user": "bob", "_tokensmith_async": true }), "leave async out"),
    ] {
        let host = host();
        let run = host.run(command, options.clone());
        assert!(run.failed() && run.message().contains(words), "{command} {options}: {run}");
        assert_eq!(host.calls(), Vec::<String>::new(), "{options}");
    }
}

#[test]
fn a_failure_is_told_with_its_cause_and_whether_a_token_may_exist() {
    let external = "Traceback (most recent call last):\n  File \"x.py\", line 1\nrest_framework.exceptions.PermissionDenied: (access_denied) OAuth2 Tokens \
                    cannot be created by users associated with an external authentication provider (Our LDAP)";
    let cases: [(Value, &[&str], bool); 12] = [
        (
            json!({ "status": 1, "stderr": "CommandError: The user does not exist." }),
            &["there is no user admin"],
            false,
        ),
        (json!({ "status": 1, "stderr": external }), &["provider Our LDAP", "take a local user"], false),
        (
            json!({ "status": 1, "stderr": "Unknown command: 'create_oauth2_token'\nType 'x help' for usage." }),
            &["does not know the command"],
            false,
        ),
        (
            json!({ "status": 1, "stderr": "CommandError: Broken.\nlog: 3 lines" }),
            &["failed with status 1: Broken."],
            false,
        ),
        (
            json!({ "status": 2, "stderr": "usage: x\nx create: error: unrecognized arguments: --user" }),
            &["used wrongly", "unrecognized arguments"],
            false,
        ),
        (
            json!({ "status": 1, "stderr": "PermissionError: [Errno 13] Permission denied: '/etc/settings.py'" }),
            &["use become", "/etc/settings.py"],
            false,
        ),
        (
            json!({ "status": 125, "stderr": "Error: no container with name or ID \"gateway\" found" }),
            &["status 125: Error: no container"],
            false,
        ),
        (json!({ "status": 1 }), &["it did not say why"], false),
        (
            json!({ "status": 1, "stdout": "x", "stderr": "BrokenPipeError" }),
            &["one may have been created", "revoke_oauth2_tokens for the user admin"],
            true,
        ),
        (
            json!({ "status": 255, "stderr": "connection lost" }),
            &["one may have been created", "connection lost"],
            true,
        ),
        (json!({ "status": 0, "stdout": "hello" }), &["one may have been created", "is no token"], true),
        (json!({ "status": 0 }), &["one may have been created", "is no token"], true),
    ];
    for (says, words, may_exist) in cases {
        let host = host();
        host.behaves(json!({ "says": says, "noise": says["stderr"].is_string() }));
        let run = host.create(json!({ "dest": host.dest() }));
        assert!(run.failed() && !run.changed(), "{says}: {run}");
        assert!(words.iter().all(|word| run.message().contains(word)), "{says}: {run}");
        assert_eq!(run.message().contains("may have been created"), may_exist, "{run}");
        assert!(!host.dest().exists());
        host.behaves(json!({}));
        let next = host.create(json!({ "dest": host.dest() })).succeeded();
        assert_eq!(
            next.warnings().contains("may have created a token for the user admin that was not handed over"),
            may_exist,
            "{says}: {next}"
        );
        let third = host.create(json!({ "dest": host.dest() })).succeeded();
        assert!(third.warnings().is_empty() && !third.changed(), "{third}");
    }
}

#[test]
fn an_unknown_user_is_told_whatever_is_asked_about_it() {
    let host = host();
    for run in [host.create(json!({ "user": "BOB" })), host.revoke(json!({ "user": "BOB" }))] {
        assert!(run.failed() && run.message().contains("there is no user BOB"), "{run}");
    }
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children_and_the_next_run_knows_of_it() {
    let host = host();
    host.behaves(json!({ "hangs": "before printing" }));
    let begun = Instant::now();
    let run = host.create(json!({ "dest": host.dest(), "timeout": 2 }));
    assert!(run.failed() && run.message().contains("had not ended after 2 seconds"), "{run}");
    assert!(run.message().contains("one may have been created"), "{run}");
    assert!(begun.elapsed() < Duration::from_secs(60), "nobody waited for the child");
    host.behaves(json!({}));
    let next = host.create(json!({ "dest": host.dest() })).succeeded();
    assert!(next.warnings().contains("may have created a token"), "{next}");
}

#[test]
fn a_program_that_is_not_there_is_told_by_name() {
    let host = host();
    for (executable, words) in [
        (json!("no-such-manage"), "no-such-manage is in none of the folders of this user's PATH"),
        (json!("/no/such/manage"), "there is no program /no/such/manage"),
        (json!("podman exec gateway aap-gateway-manage"), "as a list of words"),
        (json!(["/etc/passwd"]), "use become"),
    ] {
        for check in [true, false] {
            let options = json!({ "executable": executable, "dest": host.dest(), "_ansible_check_mode": check });
            let run = host.create(options);
            assert!(run.failed() && run.message().contains(words), "{run}");
            let run = host.run("cleartokens", json!({ "executable": executable, "_ansible_check_mode": check }));
            assert!(run.failed() && run.message().contains(words), "{run}");
        }
    }
    let next = host.create(json!({ "dest": host.dest() })).succeeded();
    assert!(next.warnings().is_empty(), "nothing was run: {next}");
}

#[test]
fn a_token_that_cannot_be_handed_over_stands_in_the_result_unless_everybody_could_read_it() {
    for is_async in [false, true] {
        let host = host();
        host.behaves(json!({ "breaks_place": "before printing" }));
        let run = host.create(with(json!({ "dest": host.dest() }), json!({ "_tokensmith_async": is_async })));
        assert!(run.failed() && run.changed() && run.message().contains("could not be handed over"), "{run}");
        let token = host.tokens().remove(0);
        match is_async {
            false => assert_eq!((run.text("token"), &run.result["_tokensmith_secret"]), (token.as_str(), &json!(true))),
            true => assert!(!run.stdout.contains(&token) && run.message().contains("revoke_oauth2_tokens"), "{run}"),
        }
        assert!(!run.message().contains(&token));
    }
}
