//! Clearing away: counted where the command counts, and where it does not, not claimed.

use serde_json::json;

use super::host;

#[test]
fn what_was_deleted_is_counted_where_the_command_says_it() {
    for (counts, tokens, sessions) in [([12, 4, 7], true, true), ([0, 1, 0], true, false), ([0, 0, 1], false, true)] {
        let host = host();
        host.behaves(json!({ "counts": counts }));
        let run = host.run("cleartokens", json!({})).succeeded();
        let told = ["counted", "deleted_access_tokens", "deleted_refresh_tokens"].map(|key| &run.result[key]);
        assert_eq!(told, [&json!(true), &json!(counts[0]), &json!(counts[1])], "{run}");
        assert_eq!(run.changed(), tokens, "{run}");
        let run = host.run("clearsessions", json!({})).succeeded();
        assert_eq!((&run.result["deleted_sessions"], run.changed()), (&json!(counts[2]), sessions), "{run}");
        assert_eq!(host.calls(), ["cleanup_tokens", "cleanup_sessions"]);
    }
}

#[test]
fn where_the_command_does_not_count_something_may_have_been_deleted() {
    for (command, counting) in [("cleartokens", "cleanup_tokens"), ("clearsessions", "cleanup_sessions")] {
        let host = host();
        let run = host.run(command, json!({})).succeeded();
        assert_eq!((&run.result["counted"], run.changed()), (&json!(false), true), "{run}");
        assert_eq!(host.calls(), [counting, command]);
        host.behaves(json!({ "says": { "stderr": "silent about numbers" } }));
        let run = host.run(command, json!({})).succeeded();
        assert_eq!((&run.result["counted"], run.changed()), (&json!(false), true), "{run}");
        assert_eq!(host.calls(), [counting], "it has been deleted by that one");
    }
}

#[test]
fn a_failure_of_the_counting_command_is_not_taken_for_its_absence() {
    let host = host();
    host.behaves(json!({ "says": { "status": 1, "stderr": "django.db.utils.OperationalError: connection refused" } }));
    let run = host.run("cleartokens", json!({}));
    assert!(run.failed() && run.message().contains("OperationalError: connection refused"), "{run}");
    assert_eq!(host.calls(), ["cleanup_tokens"]);
}

#[test]
fn a_forecast_runs_nothing() {
    for command in ["cleartokens", "clearsessions"] {
        let host = host();
        let run = host.run(command, json!({ "_ansible_check_mode": true })).succeeded();
        assert!(run.changed() && run.warnings().contains("has no dry run"), "{run}");
        assert_eq!(host.calls(), Vec::<String>::new());
    }
}
