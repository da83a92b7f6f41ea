//! What can be asked of Central over the control endpoint.
//!
//! | action | arguments |
//! | --- | --- |
//! | `central/token` | `name`, default `ci`, `roles`, default `["Continuous Integration"]`, `expires_in` in seconds, default a year: a token as an administrator would make it; answers `{"id": …, "token": …}` |
//! | `central/tokens` | `name`, default all: answers `{"tokens": [metadata and "told"]}`, the oldest first |
//! | `central/live` | `name`: answers `{"live": COUNT}` of the records that are neither revoked nor expired |
//! | `central/works` | `token`: answers `{"works": true}` or false |
//! | `central/revoke` | `id`: as somebody else would |
//! | `central/prune` | nothing: the hourly job, now |
//! | `central/restart` | nothing |
//! | `central/role` | `name`, `scope`, default unrestricted, `access`: `{"Integration": "READ_ACCESS", …}`; without `access` the role is deleted |
//! | `central/machine_access` | `issuer`, default the identity provider's, `seconds`, default 3600, `mappings`: `[{"key": …, "value_expression": …, "role": …}]`, `kind` (`GENERIC`, `GITHUB_ACTIONS`, `KUBE_SERVICE_ACCOUNT`), `audience`; answers `{"id": …, "issuer": …}` |
//! | `central/machine_access/delete` | `issuer`, default the identity provider's |
//! | `central/external_token` | `subject`, `claims` to set (null takes one out), and `flaw`: `expired`, `wrong_key`, `unknown_kid`, `no_kid` or `unsigned`; answers `{"issuer": …, "token": …}` |
//! | `central/state` | what to change: `release` (`[4, 3, 0]`), `htpasswd`, `in_cluster`, `issuers_are_away`, `audience_as_array`, `expire_at`, `expiration_shift`, `date_skew`, `latency_milliseconds`, `certificate` (`good`, `expired`, `foreign`) |
//!
//! A record or a role that is not there is 404.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{Level, MachineAccess, MachineKind, Mapping, Release, Role, State, UNRESTRICTED};
use super::{Central, tokens};
use crate::certificates::Certificate;
use crate::control::{with, with_answer};
use crate::exchange::Answer;

/// `None`: there is no such action.
pub(crate) fn answer(central: &Central, action: &str, arguments: &Value) -> Option<Answer> {
    Some(match action {
        "central/token" => with_answer(arguments, |wanted: Token| issue(central, &wanted)),
        "central/tokens" => with_answer(arguments, |wanted: Chosen| list(central, wanted.name.as_deref())),
        "central/live" => with_answer(arguments, |wanted: Named| {
            Answer::json(200, &json!({ "live": central.live_tokens(&wanted.name) }))
        }),
        "central/works" => with_answer(arguments, |wanted: Secret| {
            Answer::json(200, &json!({ "works": central.token_works(&wanted.token) }))
        }),
        "central/revoke" => with_answer(arguments, |wanted: Id| found(central.revoke(&wanted.id))),
        "central/prune" => with(arguments, |_: Nothing| central.prune()),
        "central/restart" => with(arguments, |_: Nothing| central.restart()),
        "central/role" => with_answer(arguments, |wanted: WantedRole| set_role(central, wanted)),
        "central/machine_access" => with_answer(arguments, |wanted: WantedAccess| configure(central, wanted)),
        "central/machine_access/delete" => with(arguments, |wanted: Issuer| {
            central.delete_machine_access(&wanted.issuer.unwrap_or_else(|| central.identity_provider().issuer()));
        }),
        "central/external_token" => central.identity_provider().control(arguments),
        "central/state" => with(arguments, |change: StateChange| central.change(|state| change.apply(state))),
        _ => return None,
    })
}

fn issue(central: &Central, wanted: &Token) -> Answer {
    let roles: Vec<_> = wanted.roles.iter().map(String::as_str).collect();
    let token = central.issue_token(&wanted.name, &roles, wanted.expires_in);
    let id = central.tokens().pop().map(|record| record.id);
    Answer::json(200, &json!({ "id": id, "token": token }))
}

fn list(central: &Central, name: Option<&str>) -> Answer {
    let records = central.tokens();
    let chosen = records.iter().filter(|record| name.is_none_or(|name| record.name == name));
    let shown: Vec<_> = chosen
        .map(|record| {
            let mut shown = tokens::metadata(record);
            shown["told"] = json!(record.told);
            shown
        })
        .collect();
    Answer::json(200, &json!({ "tokens": shown }))
}

fn set_role(central: &Central, wanted: WantedRole) -> Answer {
    central.change(|state| match wanted.access {
        Some(access) => {
            state.roles.insert(wanted.name, Role { scope: wanted.scope, access });
            found(true)
        }
        None => found(state.roles.remove(&wanted.name).is_some()),
    })
}

fn configure(central: &Central, wanted: WantedAccess) -> Answer {
    let issuer = wanted.issuer.unwrap_or_else(|| central.identity_provider().issuer());
    let access = MachineAccess::new(&issuer, wanted.seconds, wanted.mappings);
    let id = central.put_machine_access(MachineAccess { kind: wanted.kind, audience: wanted.audience, ..access });
    Answer::json(200, &json!({ "id": id, "issuer": issuer }))
}

fn found(is_there: bool) -> Answer {
    if is_there {
        return Answer::json(200, &json!({ "done": true }));
    }
    Answer::json(404, &json!({ "error": "There is no such record or role." }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    #[serde(default = "default_name")]
    name: String,
    #[serde(default = "default_roles")]
    roles: Vec<String>,
    #[serde(default = "default_life")]
    expires_in: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRole {
    name: String,
    #[serde(default = "default_scope")]
    scope: String,
    access: Option<BTreeMap<String, Level>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedAccess {
    issuer: Option<String>,
    #[serde(default = "default_seconds")]
    seconds: i64,
    mappings: Vec<Mapping>,
    #[serde(default)]
    kind: MachineKind,
    audience: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issuer {
    issuer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateChange {
    release: Option<Release>,
    htpasswd: Option<bool>,
    in_cluster: Option<bool>,
    issuers_are_away: Option<bool>,
    audience_as_array: Option<bool>,
    expire_at: Option<bool>,
    expiration_shift: Option<i64>,
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
        set(&mut state.htpasswd, self.htpasswd);
        set(&mut state.in_cluster, self.in_cluster);
        set(&mut state.issuers_are_away, self.issuers_are_away);
        set(&mut state.audience_as_array, self.audience_as_array);
        set(&mut state.expire_at, self.expire_at);
        set(&mut state.expiration_shift, self.expiration_shift);
        set(&mut state.date_skew, self.date_skew);
        set(&mut state.latency, self.latency_milliseconds.map(Duration::from_millis));
        set(&mut state.certificate, self.certificate);
    }
}

fn default_name() -> String {
    "ci".to_owned()
}

fn default_roles() -> Vec<String> {
    vec!["Continuous Integration".to_owned()]
}

fn default_life() -> i64 {
    365 * 24 * 3600
}

fn default_scope() -> String {
    UNRESTRICTED.to_owned()
}

fn default_seconds() -> i64 {
    3600
}
