//! What is sent to attach one object to another, or to detach it.

use serde_json::{Value, json};

use super::objects::Credential;
use crate::exchange::Answer;
use crate::platform::State;
use crate::platform::answers::detail;
use crate::platform::api::Call;

/// `{"id": N}`, or with `"disassociate": true`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Association {
    pub(crate) id: i64,
    pub(crate) is_ended: bool,
}

impl Association {
    pub(crate) fn read(state: &State, call: &Call<'_>) -> Result<Self, Answer> {
        let body = call.fields(state.release)?;
        let message = |sentence: &str| Answer::json(400, &json!({ "msg": sentence }));
        let id = match body.get("id") {
            None | Some(Value::Null) => return Err(message("\"id\" is required to disassociate")),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        let id = id.ok_or_else(|| message("\"id\" field must be an integer."))?;
        let is_ended = body.get("disassociate").is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)));
        Ok(Self { id, is_ended })
    }

    pub(crate) fn credential(self, state: &State) -> Result<&Credential, Answer> {
        state.objects.credential(self.id).ok_or_else(|| no_such("Credential"))
    }

    /// Does what was sent to the ids of one object.
    pub(crate) fn apply(self, ids: &mut Vec<i64>) {
        if self.is_ended {
            ids.retain(|id| *id != self.id);
        } else if !ids.contains(&self.id) {
            ids.push(self.id);
        }
    }
}

pub(crate) fn no_such(class: &str) -> Answer {
    detail(400, format!("{class} matching query does not exist."))
}
