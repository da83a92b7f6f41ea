//! Revoking: whose tokens, of which kind, and how many.

use serde_json::{Value, json};
use tokensmith_tests::manage::Host;
use tokensmith_tests::quay::with;

#[test]
fn the_tokens_of_one_user_or_of_all_are_revoked_and_counted() {
    let cases: [(Value, &str, usize, usize, &[&str]); 5] = [
        (json!({ "user": "bob" }), "--user=bob", 2, 0, &["a1", "R1", "R2"]),
        (json!({ "user": "bob", "revoke_refresh": true }), "--user=bob --all", 2, 2, &["a1"]),
        (json!({ "all_users": true }), "", 3, 0, &["R1", "R2"]),
        (json!({ "all_users": true, "revoke_refresh": true }), "--all", 3, 2, &[]),
        (json!({ "user": "12345" }), "--user=12345", 0, 0, &["a1", "b1", "b2", "R1", "R2"]),
    ];
    for (options, flags, access, refresh, left) in cases {
        let host = populated();
        let run = host.revoke(options.clone()).succeeded();
        let counted = (&run.result["revoked_access_tokens"], &run.result["revoked_refresh_tokens"]);
        assert_eq!(counted, (&json!(access), &json!(refresh)), "{options}: {run}");
        assert_eq!(run.changed(), access + refresh > 0, "{run}");
        assert_eq!(run.warnings().contains("say revoke_refresh: true"), access > 0 && refresh == 0, "{run}");
        assert_eq!(run.warnings().contains("there may be more than"), refresh > 0, "{run}");
        assert_eq!(host.tokens(), left, "{options}");
        assert_eq!(host.calls().last().unwrap().trim(), format!("revoke_oauth2_tokens {flags}").trim());
        let again = host.revoke(options).succeeded();
        assert!(!again.changed(), "{again}");
    }
}

#[test]
fn the_flag_for_refresh_tokens_is_the_one_that_the_help_lists() {
    for (flags, used) in [
        (json!(["--all"]), Some("--all")),
        (json!(["--revoke_refresh"]), Some("--revoke_refresh")),
        (json!(["--all", "--revoke_refresh"]), Some("--revoke_refresh")),
        (json!(["--all-users"]), None),
        (json!([]), None),
    ] {
        let host = populated();
        host.behaves(json!({ "flags": flags }));
        let run = host.revoke(json!({ "user": "bob", "revoke_refresh": true }));
        assert_eq!(run.failed(), used.is_none(), "{flags}: {run}");
        let calls = host.calls();
        match used {
            Some(flag) => assert_eq!(calls[1], format!("revoke_oauth2_tokens --user=bob {flag}")),
            None => {
                assert!(run.message().contains("none of the flags --revoke_refresh and --all"), "{run}");
                assert_eq!((calls.len(), host.tokens().len()), (1, 5));
            }
        }
    }
}

#[test]
fn nobody_is_never_taken_for_everybody() {
    for (options, words) in [
        (json!({}), "user is needed"),
        (json!({ "user": null }), "user is needed"),
        (json!({ "user": "" }), "user is empty"),
        (json!({ "user": " \t\n" }), "user is empty"),
        (json!({ "user": "", "all_users": true }), "user is empty"),
        (json!({ "user": "bob", "all_users": true }), "user and all_users are given both"),
    ] {
        let host = populated();
        for check in [true, false] {
            let run = host.revoke(with(options.clone(), json!({ "_ansible_check_mode": check })));
            assert!(run.failed() && run.message().contains(words), "{options}: {run}");
        }
        assert_eq!((host.calls(), host.tokens().len()), (Vec::new(), 5), "{options}");
    }
}

#[test]
fn a_forecast_runs_nothing_but_the_help_and_says_that_it_is_blind() {
    for (options, calls) in [(json!({ "user": "bob" }), 0), (json!({ "user": "bob", "revoke_refresh": true }), 1)] {
        let host = populated();
        let run = host.revoke(with(options, json!({ "_ansible_check_mode": true }))).succeeded();
        assert!(run.changed() && run.warnings().contains("has no dry run"), "{run}");
        assert!(run.result.get("revoked_access_tokens").is_none(), "{run}");
        let made = host.calls();
        assert!(made.len() == calls && made.iter().all(|call| call.ends_with("-h")), "{made:?}");
        assert_eq!(host.tokens().len(), 5);
    }
}

/// Two access and two refresh tokens of bob, one access token of admin.
fn populated() -> Host {
    let host = super::host();
    for (user, kind, token) in [
        ("admin", "OAuth2AccessToken", "a1"),
        ("bob", "OAuth2AccessToken", "b1"),
        ("bob", "OAuth2AccessToken", "b2"),
        ("bob", "OAuth2RefreshToken", "R1"),
        ("bob", "RefreshToken", "R2"),
    ] {
        host.give(user, kind, token);
    }
    host
}
