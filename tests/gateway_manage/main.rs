//! gateway_manage against a stand-in of the management command: what it runs, what it says, and what it leaves alone.

mod clear;
mod credential;
mod refusals;
mod revoke;
mod secrecy;
mod survival;

use serde_json::{Value, json};
use tokensmith_tests::manage::Host;
use tokensmith_tests::scene::{mode, read};

#[test]
fn a_token_is_created_and_handed_over_and_then_left_alone() {
    let host = host();
    let run = host.create(json!({ "dest": host.dest() })).succeeded();
    assert_eq!((run.text("reason"), run.changed(), &run.result["created"]), ("missing", true, &json!(true)), "{run}");
    assert_eq!(host.tokens(), [read(&host.dest())]);
    assert_eq!((mode(&host.dest()), host.calls()), (0o600, vec!["create_oauth2_token --user=admin".to_owned()]));
    assert_eq!(host.note().matches("admin").count(), 1);
    let again = host.create(json!({ "dest": host.dest() })).succeeded();
    assert_eq!((again.text("reason"), again.changed()), ("held", false), "{again}");
    for key in ["fingerprint", "created_at", "user", "dest"] {
        assert!(again.result[key].is_string() && again.result[key] == run.result[key], "{key}: {again}");
    }
    assert_eq!(host.calls(), Vec::<String>::new());
}

#[test]
fn both_forms_of_output_are_read_whatever_stands_around_them() {
    let token = "aB3".repeat(10);
    for (stdout, is_token) in [
        (token.clone(), true),
        (format!("New OAuth2 token for admin: {token}"), true),
        (format!("New OAuth2 token for a: b: {token}"), true),
        (format!("a line of a log\n\n{token}\r\n\n  \n"), true),
        (format!("Token: {token}"), false),
        (format!("{token}\nbye"), false),
        ("short".to_owned(), false),
        (String::new(), false),
    ] {
        let host = host();
        host.behaves(json!({ "says": { "stdout": stdout, "stderr": "a warning: error" } }));
        let run = host.create(json!({}));
        assert_eq!(
            (run.text("token"), run.failed()),
            (if is_token { &token } else { "" }, !is_token),
            "{stdout}: {run}"
        );
        assert!(is_token || run.message().contains("what it printed is no token"), "{run}");
        assert!(is_token || !run.stdout.contains(&token), "{run}");
    }
}

#[test]
fn the_documented_output_of_the_command_is_read_for_every_user() {
    for user in ["bob", "Bob", "12345", "-x", "o'k $(id)"] {
        let host = host();
        for documented in [true, false] {
            host.behaves(json!({ "documented": documented }));
            let run = host.create(json!({ "user": user })).succeeded();
            assert_eq!((host.tokens().pop().as_deref(), run.text("user")), (Some(run.text("token")), user), "{run}");
        }
    }
}

#[test]
fn without_dest_every_run_makes_one_more_and_returns_it_marked() {
    let host = host();
    for number in 1..3 {
        let run = host.create(json!({})).succeeded();
        assert_eq!((run.text("reason"), run.changed(), host.tokens().len()), ("forced", true, number), "{run}");
        assert_eq!(host.tokens().last().unwrap(), run.text("token"));
        assert_eq!(run.result["_tokensmith_secret"], true);
    }
}

#[test]
fn a_token_that_is_not_what_the_task_asks_for_is_replaced_or_written_again() {
    let old = "oLd0".repeat(8);
    let note_of_bob = |host: &Host| {
        let fingerprint = tokensmith::secret::Secret::new(old.as_str()).fingerprint();
        let note = json!({ "fingerprint": fingerprint, "object": "bob", "rotated_at": "2026-01-01T00:00:00Z" });
        host.file(".token.tokensmith.json", &note.to_string());
    };
    type Prepare<'a> = &'a dyn Fn(&Host);
    let cases: [(&str, &str, Value, Prepare<'_>, bool, bool); 6] = [
        (&old, "held", json!({}), &|_| {}, false, false),
        (&old, "forced", json!({ "force": true }), &|_| {}, true, true),
        (&old, "drifted", json!({}), &note_of_bob, true, true),
        (&old, "held", json!({ "user": "bob" }), &note_of_bob, false, false),
        (&old, "drifted", json!({ "mode": "0640" }), &|_| {}, true, false),
        ("no token at all", "drifted", json!({}), &|_| {}, true, true),
    ];
    for (content, reason, options, prepare, changed, created) in cases {
        for check in [true, false] {
            let host = host();
            host.file("token", content);
            prepare(&host);
            let mut options = options.clone();
            options["dest"] = json!(host.dest());
            options["_ansible_check_mode"] = json!(check);
            let run = host.create(options.clone()).succeeded();
            let told = (run.text("reason"), run.changed(), run.result["created"] == true);
            assert_eq!(told, (reason, changed, created), "{content} {options}: {run}");
            assert_eq!(read(&host.dest()) == content, check || !created, "{run}");
            assert_eq!(host.tokens().len(), usize::from(created && !check), "{run}");
            if !check {
                assert_eq!(run.text("fingerprint"), tokensmith::secret::Secret::new(read(&host.dest())).fingerprint());
                options["force"] = json!(false);
                let again = host.create(options).succeeded();
                assert_eq!((again.text("reason"), again.changed()), ("held", false), "{again}");
            }
        }
    }
}

#[test]
fn tokens_are_written_as_their_users_read_them() {
    for (format, begin) in [("raw", ""), ("env", "OAUTH_TOKEN='"), ("json", "{\n  \"oauth_token\": \"")] {
        let host = host();
        for created in [true, false] {
            let run = host.create(json!({ "dest": host.dest(), "dest_format": format })).succeeded();
            assert_eq!(run.result["created"], created, "{run}");
        }
        let content = read(&host.dest());
        assert!(content.starts_with(&format!("{begin}{}", host.tokens()[0])), "{content}");
    }
}

#[test]
fn check_mode_runs_nothing_and_writes_nothing() {
    let host = host();
    let run =
        host.create(json!({ "dest": host.dest(), "_ansible_check_mode": true, "_ansible_diff": true })).succeeded();
    assert_eq!((run.text("reason"), run.changed(), run.result.get("fingerprint")), ("missing", true, None), "{run}");
    assert_eq!(run.result["diff"], json!({ "before": { "token": null }, "after": { "token": "(a new token)" } }));
    let run = host.create(json!({ "_ansible_check_mode": true })).succeeded();
    assert!(run.changed() && run.result.get("token").is_none(), "{run}");
    assert_eq!((host.calls(), host.dest().exists()), (Vec::new(), false));
    for (option, value) in [("executable", "/no/such/program"), ("dest", "/nonexistent/token")] {
        let mut options = json!({ "dest": host.dest(), "_ansible_check_mode": true });
        options[option] = json!(value);
        assert!(host.create(options).failed(), "what a run could not do is no forecast: {option}");
    }
}

fn host() -> Host {
    Host::new(env!("CARGO_BIN_EXE_manage-stand-in"))
}
