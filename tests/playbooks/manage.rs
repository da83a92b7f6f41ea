//! The same for the gateway's management command: both ways to run the module, its playbooks, and what is shown.

use serde_json::{Value, json};
use tokensmith_tests::installed::Installed;
use tokensmith_tests::manage::Host;
use tokensmith_tests::scene::read;

use super::{by_every_way, keys, registered};

#[test]
fn the_playbook_revokes_the_tokens_of_all_users_where_it_is_told_to() {
    for installed in Installed::on_outer_cores() {
        let host = populated();
        let mut variables = variables(&host);
        variables["gateway_confirm"] = json!(true);
        let printed = installed.playbook(REVOKE, &variables).succeeded();
        assert!(printed.contains("changed=1"), "{}: {printed}", installed.core());
        assert!(printed.contains("2 access tokens and 1 refresh tokens were revoked"), "{printed}");
        assert_eq!(host.tokens(), Vec::<String>::new());
        assert!(installed.playbook(REVOKE, &variables).succeeded().contains("changed=0"));
    }
}

#[test]
fn the_playbook_revokes_nothing_where_nobody_said_so() {
    let installed = Installed::on_tools();
    for confirmed in [None, Some(json!(false)), Some(json!("no"))] {
        let host = populated();
        let mut variables = variables(&host);
        confirmed.into_iter().for_each(|confirmed| variables["gateway_confirm"] = confirmed);
        let run = installed.playbook(REVOKE, &variables);
        assert!(
            !run.success && run.printed.contains("Nothing was revoked. Answer with the word revoke"),
            "{}",
            run.printed
        );
        assert_eq!((host.calls(), host.tokens().len()), (Vec::new(), 3));
    }
    let host = populated();
    let printed = installed.playbook_with(REVOKE, &variables(&host), &["--check"]).succeeded();
    assert!(printed.contains("nothing was revoked in check mode"), "{printed}");
    assert_eq!(host.tokens().len(), 3);
}

#[test]
fn the_playbook_leaves_refresh_tokens_where_it_is_told_to_and_tells_what_is_wrong() {
    let installed = Installed::on_tools();
    let host = populated();
    let mut variables = variables(&host);
    variables["gateway_confirm"] = json!(true);
    variables["gateway_refresh"] = json!(false);
    installed.playbook(REVOKE, &variables).succeeded();
    assert_eq!((host.calls(), host.tokens()), (vec!["revoke_oauth2_tokens".to_owned()], vec!["R1".to_owned()]));
    variables["gateway_executable"] = json!("no-such-manage");
    let run = installed.playbook(REVOKE, &variables);
    assert!(!run.success && run.printed.contains("is in none of the folders of this user's PATH"), "{}", run.printed);
}

#[test]
fn the_playbook_clears_away_what_expired_and_says_what_was_counted() {
    for installed in Installed::on_outer_cores() {
        let host = populated();
        for (behaviour, changed, line) in [
            (json!({ "counts": [3, 1, 7] }), "changed=1", "access tokens: 3"),
            (json!({ "counts": [0, 0, 0] }), "changed=0", "sessions: 0"),
            (json!({}), "changed=1", "sessions: not counted"),
        ] {
            host.behaves(behaviour);
            let printed = installed.playbook(CLEAR, &variables(&host)).succeeded();
            assert!(printed.contains(changed) && printed.contains(line), "{}: {printed}", installed.core());
        }
        assert_eq!(host.tokens().len(), 3);
    }
}

#[test]
fn every_way_to_run_the_management_command_gives_the_same_result_and_shows_no_token() {
    let installed = Installed::on_tools();
    let host = populated();
    let played = by_every_way(&installed, &host, |name, way| tasks(&host, name, way));
    for (task, direct, other) in &played.pairs {
        assert_eq!(keys(direct), keys(other), "{task}: {direct}");
        for key in ["changed", "failed", "reason", "created", "counted", "warnings", "revoked_access_tokens"] {
            assert_eq!(direct[key], other[key], "{key} of {task}: {direct}");
        }
    }
    for (way, results) in &played.results {
        let mut tokens: Vec<_> =
            results.iter().filter_map(|result| result["token"].as_str().map(str::to_owned)).collect();
        assert_eq!(tokens.len(), 3, "{results:?}");
        tokens.push(read(&host.path(&format!("{way}-raw"))));
        played.hunt(&tokens);
        assert!(!tokens.iter().any(|token| host.seen().contains(token)));
    }
}

#[test]
fn an_asynchronous_task_that_creates_nothing_is_run_and_one_that_would_return_a_token_is_not() {
    let installed = Installed::on_tools();
    let host = populated();
    let mut text = String::new();
    for (name, options) in [
        ("cleared", "command: cleartokens".to_owned()),
        ("handed_over", format!("command: create_oauth2_token, user: admin, dest: '{}'", host.dest().display())),
        ("refused", "command: create_oauth2_token, user: admin".to_owned()),
    ] {
        text.push_str(&format!(
            "\n    - tokensmith.redhat.gateway_manage: {{{options}}}\n      async: 60\n      poll: 1\n      register: {name}\n      ignore_errors: true"
        ));
    }
    let results = installed.results(&host, &(text + &registered(&["cleared", "handed_over", "refused"], "results")));
    let failed: Vec<bool> =
        results["results"].as_array().unwrap().iter().map(|result| result["failed"] == true).collect();
    assert_eq!(failed, [false, false, true], "{results}");
    assert!(results["results"][2]["msg"].as_str().unwrap().contains("leave async out"), "{results}");
    assert_eq!(read(&host.dest()), *host.tokens().last().unwrap());
}

fn populated() -> Host {
    let host = Host::new(env!("CARGO_BIN_EXE_manage-stand-in"));
    for (user, kind, token) in
        [("admin", "OAuth2AccessToken", "a1"), ("bob", "OAuth2AccessToken", "b1"), ("bob", "OAuth2RefreshToken", "R1")]
    {
        host.give(user, kind, token);
    }
    host
}

fn variables(host: &Host) -> Value {
    json!({ "gateway_executable": host.options(json!({}))["executable"], "gateway_become": false })
}

/// Tasks of every kind, and one that keeps what they registered under a name.
fn tasks(host: &Host, name: &str, way: &str) -> String {
    let dest = host.path(&format!("{name}-raw")).display().to_string();
    let create = "command: create_oauth2_token, user: admin";
    // Each way begins with the same tokens.
    let leaver = match name {
        "fast" => "12345",
        "classic" => "Bob",
        _ => "bob",
    };
    if leaver != "bob" {
        host.give(leaver, "OAuth2AccessToken", &format!("{name}-access"));
        host.give(leaver, "OAuth2RefreshToken", &format!("{name}-refresh"));
    }
    let mut text = String::new();
    let mut names = Vec::new();
    for (number, options) in [
        create.to_owned(),
        format!("{create}, dest: '{dest}'"),
        format!("{create}, dest: '{dest}'"),
        format!("{create}, dest: '{dest}', force: true, return_token: true"),
        format!("{create}, dest: '{dest}', return_token: true"),
        "command: create_oauth2_token, user: nobody".to_owned(),
        format!("command: revoke_oauth2_tokens, user: '{leaver}', revoke_refresh: true"),
        "command: revoke_oauth2_tokens, user: ''".to_owned(),
        "command: cleartokens".to_owned(),
        "command: clearsessions".to_owned(),
        "command: clearsessions, executable: /no/such/manage".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let register = format!("{name}_{number}");
        text.push_str(&format!(
            "\n    - tokensmith.redhat.gateway_manage: {{{options}}}\n      register: {register}\n      ignore_errors: true\n      {way}"
        ));
        names.push(register);
    }
    text.push_str(&registered(&names.iter().map(String::as_str).collect::<Vec<_>>(), name));
    text
}

const REVOKE: &str = "tokensmith.redhat.revoke_all_tokens";
const CLEAR: &str = "tokensmith.redhat.clear_expired";
