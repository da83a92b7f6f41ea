//! Clear: what expired, and is kept in the database to no end.

use anyhow::Result;
use serde_json::json;
use tokensmith::ansible::Outcome;
use tokensmith::command::Printed;

use super::Job;

pub(super) fn tokens(job: &Job<'_>) -> Result<Outcome> {
    let counts = [
        ("deleted_access_tokens", "Expired OAuth 2 Access Tokens deleted:"),
        ("deleted_refresh_tokens", "Expired OAuth 2 Refresh Tokens deleted:"),
    ];
    clear(job, "cleanup_tokens", &counts)
}

pub(super) fn sessions(job: &Job<'_>) -> Result<Outcome> {
    clear(job, "cleanup_sessions", &[("deleted_sessions", "Expired Sessions deleted")])
}

/// By the command that counts where there is one. The other says nothing, not even whether there was anything to delete.
fn clear(job: &Job<'_>, counting: &str, counts: &[(&str, &str)]) -> Result<Outcome> {
    let mut returned = job.returned();
    if job.task.check_mode {
        job.options.executable.check()?;
        job.warn_of_blind_forecast("deleted");
        return Ok(Outcome::new(&returned).changed(true));
    }
    let counted = match job.management.run_if_known(&[counting])? {
        Some(ended) => counts.iter().map(|(_, words)| number_behind(words, &ended.stderr)).collect::<Option<Vec<_>>>(),
        None => {
            job.management.run(&[job.options.command.name()])?;
            None
        }
    };
    returned["counted"] = json!(counted.is_some());
    for ((name, _), number) in counts.iter().zip(counted.iter().flatten()) {
        returned[*name] = json!(number);
    }
    let deleted = counted.as_ref().map(|numbers| numbers.iter().sum::<u64>());
    Ok(Outcome::new(&returned)
        .changed(deleted != Some(0))
        .diff(&json!({ "expired": deleted }), &json!({ "expired": deleted.map(|_| 0) })))
}

fn number_behind(words: &str, printed: &Printed) -> Option<u64> {
    printed.lines().find_map(|line| line.split_once(words)?.1.trim().trim_end_matches('.').parse().ok())
}
