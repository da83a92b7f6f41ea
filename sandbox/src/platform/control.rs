//! What can be asked of the gateway and of the controller over the control endpoint; `P` is `gateway` or `controller`.
//!
//! | action | arguments |
//! | --- | --- |
//! | `P/token` | `user`, default `admin`, `description`, `scope`, default `write`, `application` (its id): a token as the management command would make it; answers `{"id": …, "token": …, "refresh_token": …}` |
//! | `P/tokens` | `description`, default all: answers `{"tokens": [rows and "told"]}`, the oldest first |
//! | `P/live` | `description`: answers `{"live": COUNT}` of the tokens that are there and not expired |
//! | `P/works` | `token`: answers `{"works": true}` or false |
//! | `P/revoke` | `id`: as somebody else would |
//! | `P/expire` | `id`: its life ends now |
//! | `P/application` | `name`, `organization`, default `Default`; answers `{"id": …, "client_id": …, "client_secret": …}` |
//! | `P/password` | `user`, default `admin`; answers `{"password": …}` |
//! | `P/user` | `user` and what to change: `is_active`, `is_superuser`, `is_auditor`, `password` |
//! | `P/state` | what to change: `release` (`"2025.5.8"`, `"2026.3.19"`, `"2026.6.2"`), `basic_auth`, `external_users`, `token_life`, `refresh_life`, `date_skew`, `latency_milliseconds`, `certificate` (`good`, `expired`, `foreign`) |
//!
//! What else there is of a controller stands in `controller/control.rs`.
//!
//! A token, an organization or a user to change that is not there is 404; any other user that is not there is made.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Platform;
use super::flavour::Release;
use super::state::{State, User};
use super::tokens;
use crate::certificates::Certificate;
use crate::control::{with, with_answer};
use crate::controller;
use crate::exchange::Answer;

/// `None`: there is no such action, or it is meant for another system.
pub(crate) fn answer(platform: &Platform, action: &str, arguments: &Value) -> Option<Answer> {
    let product = platform.change(|state| state.release.product());
    let action = action.strip_prefix(product)?.strip_prefix('/')?;
    Some(match action {
        "token" => with_answer(arguments, |wanted: Token| issue(platform, &wanted)),
        "tokens" => with_answer(arguments, |wanted: Chosen| list(platform, wanted.description.as_deref())),
        "live" => with_answer(arguments, |wanted: Described| {
            Answer::json(200, &json!({ "live": platform.live_tokens(&wanted.description) }))
        }),
        "works" => with_answer(arguments, |wanted: Secret| {
            Answer::json(200, &json!({ "works": platform.token_works(&wanted.token) }))
        }),
        "revoke" => with_answer(arguments, |wanted: Id| found(platform.revoke(wanted.id))),
        "expire" => with_answer(arguments, |wanted: Id| found(platform.expire(wanted.id))),
        "application" => with_answer(arguments, |wanted: Application| add_application(platform, &wanted)),
        "password" => with_answer(arguments, |wanted: Named| {
            Answer::json(200, &json!({ "password": platform.password(&wanted.user) }))
        }),
        "user" => with_answer(arguments, |change: UserChange| {
            found(platform.change(|state| {
                let user = state.users.iter_mut().find(|user| user.username == change.user);
                user.map(|user| change.apply(user)).is_some()
            }))
        }),
        "state" => with(arguments, |change: StateChange| platform.change(|state| change.apply(state))),
        _ if product == "controller" => return controller::control(platform, action, arguments),
        _ => return None,
    })
}

fn issue(platform: &Platform, wanted: &Token) -> Answer {
    let issued = platform.issue(&wanted.user, wanted.application, &wanted.description, &wanted.scope);
    Answer::json(200, &json!({ "id": issued.id, "token": issued.token, "refresh_token": issued.refresh_token }))
}

fn list(platform: &Platform, description: Option<&str>) -> Answer {
    let shown = platform.change(|state| {
        let chosen =
            state.tokens.iter().filter(|token| description.is_none_or(|description| token.description == description));
        chosen.map(|token| tokens::shown(state, token)).collect::<Vec<_>>()
    });
    Answer::json(200, &json!({ "tokens": shown }))
}

fn add_application(platform: &Platform, wanted: &Application) -> Answer {
    let Some(id) = platform.add_application(&wanted.name, &wanted.organization) else { return found(false) };
    let (client_id, client_secret) = platform.client(id).unwrap_or_default();
    Answer::json(200, &json!({ "id": id, "client_id": client_id, "client_secret": client_secret }))
}

fn found(is_there: bool) -> Answer {
    if is_there {
        return Answer::json(200, &json!({ "done": true }));
    }
    Answer::json(404, &json!({ "error": "There is no such token, user or organization." }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    #[serde(default = "default_user")]
    user: String,
    #[serde(default)]
    description: String,
    #[serde(default = "default_scope")]
    scope: String,
    application: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    id: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    name: String,
    #[serde(default = "default_organization")]
    organization: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(default = "default_user")]
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserChange {
    user: String,
    is_active: Option<bool>,
    is_superuser: Option<bool>,
    is_auditor: Option<bool>,
    password: Option<String>,
}

impl UserChange {
    fn apply(self, user: &mut User) {
        user.is_active = self.is_active.unwrap_or(user.is_active);
        user.is_superuser = self.is_superuser.unwrap_or(user.is_superuser);
        user.is_auditor = self.is_auditor.unwrap_or(user.is_auditor);
        if let Some(password) = self.password {
            user.password = password;
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateChange {
    release: Option<Release>,
    basic_auth: Option<bool>,
    external_users: Option<bool>,
    token_life: Option<i64>,
    refresh_life: Option<i64>,
    date_skew: Option<i64>,
    latency_milliseconds: Option<u64>,
    certificate: Option<Certificate>,
}

impl StateChange {
    fn apply(self, state: &mut State) {
        fn set<T: Copy>(place: &mut T, value: Option<T>) {
            *place = value.unwrap_or(*place);
        }
        set(&mut state.release, self.release);
        set(&mut state.basic_auth, self.basic_auth);
        set(&mut state.external_users, self.external_users);
        set(&mut state.token_life, self.token_life);
        set(&mut state.refresh_life, self.refresh_life);
        set(&mut state.date_skew, self.date_skew);
        set(&mut state.latency, self.latency_milliseconds.map(Duration::from_millis));
        set(&mut state.certificate, self.certificate);
    }
}

fn default_user() -> String {
    "admin".to_owned()
}

fn default_scope() -> String {
    "write".to_owned()
}

fn default_organization() -> String {
    "Default".to_owned()
}
