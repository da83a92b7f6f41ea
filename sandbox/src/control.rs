//! The control endpoint, `/_sandbox/…`, for playbooks and shell: what a Rust test does by calling methods.
//!
//! | request | does |
//! | --- | --- |
//! | `POST fault` `{"fault": "lost_answer", "path": "/token", "grant": "refresh_token", "times": 1}` | adds a fault; all but `fault` may be left out, and `method`, `act`, `delay_milliseconds` added |
//! |  | faults: `lost_answer`, `cut`, `delay`, `starting` (`retry_after`), `bad_gateway`, `html`, `large_body`, `truncated_json`, `cut_body`, `without_refresh_token`, `expires_in` (`seconds`), `replace` (`fields`), `answer` (`status`, `content_type`, `body`) |
//! |  | meant for Quay: `interference`, `server_error`, `read_only`, `too_many_requests` |
//! |  | meant for Central: `refusal` (`code` of gRPC, `message`) |
//! | `POST faults/clear` | ends all faults |
//! | `POST clock` `{"advance": 3600}` | moves the clock |
//! | `GET requests` | the requests so far, without secrets |
//! | `POST requests/clear` | forgets them |
//! | `POST …` | what the systems know: `sso/…`, see `sso.rs`, `quay/…`, see `quay/control.rs`, `central/…`, see `central/control.rs`, `gateway/…` and `controller/…`, see `platform/control.rs` and `controller/control.rs`, and `hub/…`, see `hub/control.rs` |
//!
//! It is the same at every system's address.

use std::sync::Arc;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::{Answer, Request};
use crate::faults::Fault;
use crate::{Shared, System};

pub(crate) const PREFIX: &str = "/_sandbox/";

pub(crate) fn answer(shared: &Shared, systems: &[Arc<dyn System>], action: &str, request: &Request) -> Answer {
    if request.method == Method::GET && action == "requests" {
        return Answer::json(200, &shared.records.summary());
    }
    if request.method != Method::POST {
        return refusal(405, "Use POST, or GET for 'requests'.");
    }
    let body = if request.body.is_empty() { b"{}" } else { &request.body[..] };
    let Ok(arguments) = serde_json::from_slice::<Value>(body) else {
        return refusal(400, "The body is not JSON.");
    };
    match action {
        "fault" => match Fault::from_json(&arguments) {
            Ok(fault) => {
                shared.faults.add(fault);
                done()
            }
            Err(error) => wrong(error),
        },
        "faults/clear" => {
            shared.faults.clear();
            done()
        }
        "clock" => with(&arguments, |step: ClockStep| shared.clock.advance(step.advance)),
        "requests/clear" => {
            shared.records.clear();
            done()
        }
        _ => systems
            .iter()
            .find_map(|system| system.control(action, &arguments))
            .unwrap_or_else(|| refusal(404, "There is no such action.")),
    }
}

/// Runs `action` with the arguments in their type, or says what is wrong with them.
pub(crate) fn with<T: for<'a> Deserialize<'a>>(arguments: &Value, action: impl FnOnce(T)) -> Answer {
    with_answer(arguments, |arguments| {
        action(arguments);
        done()
    })
}

pub(crate) fn with_answer<T: for<'a> Deserialize<'a>>(arguments: &Value, action: impl FnOnce(T) -> Answer) -> Answer {
    match T::deserialize(arguments) {
        Ok(arguments) => action(arguments),
        Err(error) => wrong(error),
    }
}

fn wrong(error: impl std::fmt::Display) -> Answer {
    refusal(400, &format!("The arguments are wrong: {error}."))
}

fn done() -> Answer {
    Answer::json(200, &json!({ "done": true }))
}

fn refusal(status: u16, sentence: &str) -> Answer {
    Answer::json(status, &json!({ "error": sentence }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockStep {
    advance: i64,
}
