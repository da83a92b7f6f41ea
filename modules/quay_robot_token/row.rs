//! What a run says of one robot, and how the rows of many become one result.

use anyhow::{Error, anyhow};
use serde_json::{Value, json};
use tokensmith::ansible::Outcome;
use tokensmith::rotation::{Place as _, Reason, Rotation, Trace};
use tokensmith::secret::Secret;
use tokensmith::timestamp::timestamp;

use super::Job;
use super::robot::RobotToken;
use super::targets::Target;

/// What became of one robot.
pub(super) struct Row {
    returned: Value,
    changed: bool,
    token: Option<Secret>,
    before: Value,
    after: Value,
    failure: Option<Failure>,
}

/// Why a robot failed, and the same in words that fit every robot that fails so.
struct Failure {
    error: Error,
    cause: String,
}

impl Failure {
    fn of(target: &Target, error: Error) -> Self {
        let short = &target.account.short_name;
        let mut cause = format!("{error:#}")
            .replace(&target.full_name, "the robot")
            .replace(&format!("/robots/{short}"), "/robots/…")
            .replace(&format!("no robot {short};"), "no robot of this name;");
        if let Some(file) = target.destination.file() {
            cause = cause.replace(&file.path().display().to_string(), "…");
        }
        Self { error, cause }
    }
}

impl Row {
    /// What a rotation came to, also when it failed half-way.
    pub(super) fn of(job: &Job<'_>, target: &Target, system: &RobotToken<'_>, rotation: Rotation) -> Self {
        let has_place = target.destination.lasts();
        let is_forecast = job.task.check_mode && rotation.reason != Reason::Valid;
        let mut returned = described(target, rotation.reason);
        returned["rotated"] = json!(rotation.issued && system.was_regenerated());
        returned["created"] = json!(system.was_created());
        returned["recovered"] = json!(rotation.recovered);
        returned["overtaken"] = json!(rotation.overtaken);
        if let Some(token) = &rotation.trace {
            returned["fingerprint"] = json!(token.fingerprint);
        }
        returned["rotated_at"] = json!(rotation.trace.as_ref().and_then(|token| token.issued_at).map(timestamp));
        if rotation.overtaken {
            job.task.warn(format!(
                "Somebody else had a token of {} made at the same time; theirs is the valid one and was handed over.",
                target.full_name
            ));
        }
        let is_stranded = rotation.is_stranded();
        // Where the result would be public the server keeps the token: it shows it to the next run.
        let is_public = job.task.result_is_public();
        let wanted = (is_stranded && !is_public) || (job.options.hand_over.returns_token() && !is_forecast);
        Self {
            changed: rotation.issued || (has_place && rotation.handed_over),
            before: for_diff(rotation.before.as_ref()),
            after: match is_forecast && rotation.issued {
                true => json!("(a new token)"),
                false => for_diff(rotation.trace.as_ref()),
            },
            token: rotation.token.map(|token| token.secret).filter(|_| wanted),
            failure: rotation.error.map(|error| Failure::of(target, explained(error, is_stranded, is_public))),
            returned,
        }
    }

    /// The robot is gone. `existed`: until this run; `removed`: its token was in the file, if that could be seen to.
    pub(super) fn of_deletion(target: &Target, existed: bool, removed: Result<bool, Error>) -> Self {
        let (removed, failure) = match removed {
            Ok(removed) => (removed, None),
            Err(error) => (false, Some(Failure::of(target, error))),
        };
        let reason = if existed { Reason::Forced } else { Reason::Missing };
        let mut returned = described(target, reason);
        returned["deleted"] = json!(existed);
        let shown = |there: bool| if there { json!("there") } else { json!("gone") };
        Self {
            returned,
            changed: existed || removed,
            token: None,
            before: json!({ "robot": shown(existed) }),
            after: json!({ "robot": shown(false) }),
            failure,
        }
    }

    /// Nothing was done.
    pub(super) fn failed(target: &Target, error: Error) -> Self {
        let returned = json!({ "robot": target.full_name });
        let failure = Some(Failure::of(target, error));
        Self { returned, changed: false, token: None, before: Value::Null, after: Value::Null, failure }
    }

    /// The result of a task about one robot.
    pub(super) fn into_outcome(self) -> Outcome {
        let outcome = Outcome::new(&self.returned).changed(self.changed).diff(&self.before, &self.after);
        let outcome = match &self.token {
            Some(token) => outcome.secret("token", token),
            None => outcome,
        };
        match self.failure {
            Some(failure) => outcome.failed(failure.error),
            None => outcome,
        }
    }

    fn name(&self) -> &str {
        self.returned["robot"].as_str().unwrap_or_default()
    }

    fn says(&self, key: &str) -> bool {
        self.returned[key] == true
    }
}

/// The result of a task about many robots. It failed if one of them failed; what was done to the others stands and is in it.
pub(super) fn outcome_of(rows: Vec<Row>) -> Outcome {
    let count = |what: fn(&Row) -> bool| rows.iter().filter(|row| what(row)).count();
    let summary = json!({
        "robots": rows.len(),
        "rotated": count(|row| row.says("rotated")),
        "created": count(|row| row.says("created")),
        "deleted": count(|row| row.says("deleted")),
        "unchanged": count(|row| !row.changed && row.failure.is_none()),
        "failed": count(|row| row.failure.is_some()),
    });
    let listed: Vec<Value> = rows.iter().map(listed).collect();
    let by_name = |part: fn(&Row) -> &Value| -> Value {
        rows.iter().filter(|row| row.changed).map(|row| (row.name().to_owned(), part(row).clone())).collect()
    };
    let mut outcome = Outcome::new(&json!({ "robot_accounts": listed, "summary": summary }))
        .changed(rows.iter().any(|row| row.changed))
        .diff(&by_name(|row| &row.before), &by_name(|row| &row.after));
    for (index, row) in rows.iter().enumerate() {
        if let Some(token) = &row.token {
            outcome = outcome.secret_in("robot_accounts", index, "token", token);
        }
    }
    match failure(&rows) {
        Some(error) => outcome.failed(error),
        None => outcome,
    }
}

fn listed(row: &Row) -> Value {
    let mut listed = row.returned.clone();
    listed["changed"] = json!(row.changed);
    if let Some(Failure { error, .. }) = &row.failure {
        listed["failed"] = json!(true);
        listed["msg"] = json!(format!("{error:#}"));
    }
    listed
}

/// Many fail for one cause more often than for many, so each cause is told once.
fn failure(rows: &[Row]) -> Option<Error> {
    let mut causes: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut failed = 0;
    for row in rows {
        let Some(Failure { cause, .. }) = &row.failure else { continue };
        failed += 1;
        match causes.iter_mut().find(|(known, _)| known == cause) {
            Some((_, names)) => names.push(row.name()),
            None => causes.push((cause, vec![row.name()])),
        }
    }
    let told: Vec<String> = causes.iter().take(MOST_TOLD).map(|(cause, names)| told(cause, names)).collect();
    let more = if causes.len() > MOST_TOLD { "; and others, see robot_accounts" } else { "" };
    (failed > 0).then(|| {
        anyhow!(
            "{failed} of {} robots failed, what was done to the others stands: {}{more}",
            rows.len(),
            told.join("; ")
        )
    })
}

fn told(cause: &str, names: &[&str]) -> String {
    let shown = names.iter().take(MOST_TOLD).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MOST_TOLD);
    let others = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{shown}{others}: {cause}")
}

fn described(target: &Target, reason: Reason) -> Value {
    let mut returned = json!({ "robot": target.full_name, "reason": reason, "registry": target.registry_key });
    target.destination.describe(&mut returned);
    returned
}

fn explained(error: impl Into<Error>, is_stranded: bool, is_public: bool) -> Error {
    let error = error.into();
    match (is_stranded, is_public) {
        (false, _) => error,
        (true, false) => error.context(
            "the new token is in the result as token and nowhere else on this host; store it, or run the task again",
        ),
        (true, true) => error.context(
            "the new token is nowhere on this host, as with async everybody on it may read the result; run the task again, which fetches it",
        ),
    }
}

fn for_diff(token: Option<&Trace>) -> Value {
    match token {
        Some(token) => json!({ "token": token.fingerprint, "rotated_at": token.issued_at.map(timestamp) }),
        None => json!({ "token": null }),
    }
}

/// Causes, and names of each, that a message has room for.
const MOST_TOLD: usize = 5;
