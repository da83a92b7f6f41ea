//! Revoke: the tokens of one user, or of all.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokensmith::ansible::Outcome;
use tokensmith::command::Printed;

use super::{Command, Job};

pub(super) fn run(job: &Job<'_>) -> Result<Outcome> {
    let refresh_flag = if job.options.revoke_refresh { Some(refresh_flag(job)?) } else { None };
    if job.task.check_mode {
        job.options.executable.check()?;
        job.warn_of_blind_forecast("revoked");
        let forecast = json!({ "tokens": format!("(those of {})", job.whose()) });
        return Ok(Outcome::new(&job.returned()).changed(true).diff(&forecast, &json!({ "tokens": "(none)" })));
    }
    let user_flag = job.management.user_flag();
    let words = [Some(Command::Revoke.name()), user_flag.as_deref(), refresh_flag];
    let ended = job.management.run(&words.into_iter().flatten().collect::<Vec<_>>())?;
    let revoked = Revoked::count(&ended.stdout);
    revoked.warn(job);
    Ok(Outcome::new(&revoked.returned(job)).changed(revoked.access + revoked.refresh > 0).diff(
        &json!({ "access_tokens_revoked": 0, "refresh_tokens_revoked": 0 }),
        &json!({ "access_tokens_revoked": revoked.access, "refresh_tokens_revoked": revoked.refresh }),
    ))
}

/// Documented is one flag, and the versions that are known have the other.
fn refresh_flag(job: &Job<'_>) -> Result<&'static str> {
    let help = job.management.run(&[Command::Revoke.name(), "-h"])?;
    let is_flag = |each: char| each.is_ascii_alphanumeric() || each == '-' || each == '_';
    let lists =
        |flag: &&&str| help.stdout.lines().any(|line| line.split(|each| !is_flag(each)).any(|word| word == **flag));
    match REFRESH_FLAGS.iter().find(lists) {
        Some(flag) => Ok(flag),
        None => bail!(
            "{} {} has none of the flags {} that revoke refresh tokens, so nothing was revoked; without revoke_refresh the access tokens alone are",
            job.options.executable.name(),
            Command::Revoke.name(),
            REFRESH_FLAGS.join(" and ")
        ),
    }
}

/// What the command said it did.
#[derive(Default)]
struct Revoked {
    access: usize,
    refresh: usize,
}

impl Revoked {
    /// One line for each: `revoked`, the kind, and the token, which some versions print as it is.
    fn count(printed: &Printed) -> Self {
        let mut revoked = Self::default();
        for line in printed.lines() {
            let mut words = line.split_whitespace();
            if let (Some("revoked"), Some(kind), Some(_token)) = (words.next(), words.next(), words.next()) {
                let count = if kind.contains("Refresh") { &mut revoked.refresh } else { &mut revoked.access };
                *count += 1;
            }
        }
        revoked
    }

    fn warn(&self, job: &Job<'_>) {
        if self.refresh > 0 {
            job.task.warn(
                "The access tokens that belonged to the revoked refresh tokens are revoked with them, and the command does not count them: there may be \
                 more than revoked_access_tokens says.",
            );
        }
        if self.access > 0 && !job.options.revoke_refresh {
            job.task
                .warn("Refresh tokens of applications were not revoked; say revoke_refresh: true to revoke them too.");
        }
    }

    fn returned(&self, job: &Job<'_>) -> Value {
        let mut returned = job.returned();
        returned["revoked_access_tokens"] = json!(self.access);
        returned["revoked_refresh_tokens"] = json!(self.refresh);
        returned
    }
}

/// In this order: where both are known, the other may mean all users.
const REFRESH_FLAGS: [&str; 2] = ["--revoke_refresh", "--all"];
