//! What can be asked of Quay over the control endpoint.
//!
//! | action | arguments |
//! | --- | --- |
//! | `quay/robots` | `namespace`, default `acme`, and `count`, default 1: adds robots, as [`Quay::add_robots`] |
//! | `quay/robot` | `name`: answers `{"fingerprint": …, "regenerations": …, "last_accessed": …}` |
//! | `quay/regenerate` | `name`: a new token, as somebody else would |
//! | `quay/federation` | `name`, and `entries`: `[{"issuer": …, "subject": …}]`; without them the identity provider's, with the robot's name as subject |
//! | `quay/login`, `login` | `username`, `password`: answers `{"works": true}` or false, and changes nothing |
//! | `quay/token` | `user`, default `alice`, and `scopes`, default all a rotation needs: answers `{"token": …}` |
//! | `quay/external_token` | `subject`, `claims` to set (null takes one out), and `flaw`: `expired`, `wrong_key`, `unknown_kid`, `no_kid` or `unsigned`; answers `{"issuer": …, "token": …}` |
//! | `quay/state` | what to change: `server_hostname`, `release` (`[3, 10, 0]`), `read_only`, `anonymous_access`, `robots_disallowed`, `robots_whitelist`, `superusers_full_access`, `restricted_users`, `user_last_accessed`, `rate_limit`, `latency_milliseconds`, `keep_alive` |
//!
//! An action on a robot that is not there is 404.

use std::fmt::Write;
use std::time::Duration;

use ring::digest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{Federation, RateLimit, Release, Robot, State};
use super::{Quay, SCOPES};
use crate::control::{with, with_answer};
use crate::exchange::Answer;

/// `None`: there is no such action.
pub(crate) fn answer(quay: &Quay, action: &str, arguments: &Value) -> Option<Answer> {
    Some(match action {
        "quay/robots" => with(arguments, |wanted: Robots| quay.add_robots(&wanted.namespace, wanted.count)),
        "quay/robot" => with_answer(arguments, |robot: Named| on_robot(quay, &robot.name, |robot| look(robot))),
        "quay/regenerate" => with_answer(arguments, |robot: Named| {
            quay.regenerate(&robot.name);
            on_robot(quay, &robot.name, |robot| look(robot))
        }),
        "quay/federation" => with_answer(arguments, |wanted: Federated| federate(quay, wanted)),
        "quay/login" | "login" => with_answer(arguments, |login: Login| {
            Answer::json(200, &json!({ "works": quay.login_works(&login.username, &login.password) }))
        }),
        "quay/token" => with_answer(arguments, |wanted: Token| {
            Answer::json(200, &json!({ "token": quay.issue_token(&wanted.user, &wanted.scopes) }))
        }),
        "quay/external_token" => quay.identity_provider().control(arguments),
        "quay/state" => with(arguments, |change: StateChange| quay.change(|state| change.apply(state))),
        _ => return None,
    })
}

fn on_robot(quay: &Quay, name: &str, action: impl FnOnce(&mut Robot) -> Answer) -> Answer {
    quay.change(|state| match state.robots.get_mut(name) {
        None => Answer::json(404, &json!({ "error": "There is no such robot." })),
        Some(robot) => action(robot),
    })
}

fn look(robot: &Robot) -> Answer {
    Answer::json(
        200,
        &json!({
            "fingerprint": fingerprint(&robot.token),
            "regenerations": robot.regenerations,
            "last_accessed": robot.last_accessed,
        }),
    )
}

fn federate(quay: &Quay, wanted: Federated) -> Answer {
    let own = Federation { issuer: quay.identity_provider().issuer(), subject: wanted.name.clone() };
    on_robot(quay, &wanted.name, |robot| {
        robot.federation = wanted.entries.unwrap_or_else(|| vec![own]);
        Answer::json(200, &json!({ "done": true }))
    })
}

/// The first twelve digits of the SHA-256, as the modules name a secret.
fn fingerprint(secret: &str) -> String {
    let mut text = String::new();
    for byte in &digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()[..6] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Robots {
    #[serde(default = "default_namespace")]
    namespace: String,
    #[serde(default = "default_count")]
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Federated {
    name: String,
    entries: Option<Vec<Federation>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    #[serde(default = "default_user")]
    user: String,
    #[serde(default = "default_scopes")]
    scopes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateChange {
    server_hostname: Option<String>,
    release: Option<Release>,
    read_only: Option<bool>,
    anonymous_access: Option<bool>,
    robots_disallowed: Option<bool>,
    robots_whitelist: Option<Vec<String>>,
    superusers_full_access: Option<bool>,
    restricted_users: Option<bool>,
    user_last_accessed: Option<bool>,
    rate_limit: Option<bool>,
    latency_milliseconds: Option<u64>,
    keep_alive: Option<bool>,
}

impl StateChange {
    fn apply(self, state: &mut State) {
        let set = |place: &mut bool, value: Option<bool>| *place = value.unwrap_or(*place);
        set(&mut state.read_only, self.read_only);
        set(&mut state.anonymous_access, self.anonymous_access);
        set(&mut state.robots_disallowed, self.robots_disallowed);
        set(&mut state.superusers_full_access, self.superusers_full_access);
        set(&mut state.restricted_users, self.restricted_users);
        set(&mut state.user_last_accessed, self.user_last_accessed);
        set(&mut state.keep_alive, self.keep_alive);
        state.release = self.release.unwrap_or(state.release);
        if let Some(name) = self.server_hostname {
            state.server_hostname = name;
        }
        if let Some(names) = self.robots_whitelist {
            state.robots_whitelist = names.into_iter().collect();
        }
        if let Some(is_on) = self.rate_limit {
            state.rate_limit = is_on.then(RateLimit::stock);
        }
        if let Some(latency) = self.latency_milliseconds {
            state.latency = Duration::from_millis(latency);
        }
    }
}

fn default_namespace() -> String {
    "acme".to_owned()
}

fn default_count() -> usize {
    1
}

fn default_user() -> String {
    "alice".to_owned()
}

fn default_scopes() -> String {
    SCOPES.to_owned()
}
