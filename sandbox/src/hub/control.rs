//! What playbooks and shell can do with the hub over the control endpoint:
//!
//! | action | does |
//! | --- | --- |
//! | `hub/token` `{"user": "build"}` | a new token of the user |
//! | `hub/works` `{"token": …}` | whether it is accepted |
//! | `hub/user` `{"name": …}` | a user without a token, and its password |
//! | `hub/gateway_token` `{"user": "build"}` | a token of a gateway before the hub |
//! | `hub/state` | the switches `prefix`, `generation` (`old`, `new`), `takes_passwords`, `latency_milliseconds`, `certificate`, and `inactive` (a user's name) |

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::state::State;
use super::{Generation, Hub};
use crate::certificates::Certificate;
use crate::control::{with, with_answer};
use crate::exchange::Answer;

/// `None`: there is no such action.
pub(super) fn answer(hub: &Hub, action: &str, arguments: &Value) -> Option<Answer> {
    Some(match action {
        "hub/token" => with_answer(arguments, |wanted: Owner| shown("token", hub.issue_token(&wanted.user))),
        "hub/works" => with_answer(arguments, |wanted: Secret| {
            Answer::json(200, &json!({ "works": hub.token_works(&wanted.token) }))
        }),
        "hub/user" => with_answer(arguments, |wanted: Name| shown("password", Some(hub.add_user(&wanted.name)))),
        "hub/gateway_token" => {
            with_answer(arguments, |wanted: Owner| shown("token", Some(hub.issue_gateway_token(&wanted.user))))
        }
        "hub/state" => with(arguments, |change: StateChange| hub.change(|state| change.apply(state))),
        _ => return None,
    })
}

fn shown(what: &str, value: Option<String>) -> Answer {
    match value {
        Some(value) => Answer::json(200, &json!({ what: value })),
        None => Answer::json(404, &json!({ "error": "There is no such user." })),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    #[serde(default = "default_user")]
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateChange {
    prefix: Option<String>,
    generation: Option<Generation>,
    takes_passwords: Option<bool>,
    latency_milliseconds: Option<u64>,
    certificate: Option<Certificate>,
    inactive: Option<String>,
}

impl StateChange {
    fn apply(self, state: &mut State) {
        if let Some(prefix) = self.prefix {
            state.prefix = prefix;
        }
        state.generation = self.generation.unwrap_or(state.generation);
        state.takes_passwords = self.takes_passwords.unwrap_or(state.takes_passwords);
        state.latency = self.latency_milliseconds.map_or(state.latency, Duration::from_millis);
        state.certificate = self.certificate.unwrap_or(state.certificate);
        if let Some(user) = self.inactive.and_then(|name| state.users.get_mut(&name)) {
            user.is_active = false;
        }
    }
}

fn default_user() -> String {
    "build".to_owned()
}
