//! The requests a sandbox got, in their order.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::exchange::Request;

/// The requests so far; the control endpoint's own are not among them.
#[derive(Debug, Default)]
pub struct Records {
    log: Mutex<Log>,
}

/// One request, recorded when it had been read, before anything was done about it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method, in capitals.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query, if there was one.
    pub query: Option<String>,
    /// Names and values of the form in their order. The values hold secrets.
    pub form: Vec<(String, String)>,
    /// The JSON of any other body. The values hold secrets.
    pub json: Option<Value>,
    /// The names of the headers, in small letters.
    pub header_names: Vec<String>,
    /// The value of the `Authorization` header. A secret.
    pub authorization: Option<String>,
    /// The value of the `User-Agent` header.
    pub user_agent: Option<String>,
    /// The status answered; `None` while it is under way and when the connection was cut instead.
    pub status: Option<u16>,
    number: u64,
}

impl Recorded {
    /// The first value of a form parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The names of the form's parameters.
    pub fn parameter_names(&self) -> Vec<&str> {
        self.form.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Without anything secret: of the form's values only those that never are.
    fn summary(&self) -> Value {
        let form: serde_json::Map<_, _> = self
            .form
            .iter()
            .map(|(name, value)| {
                let shown = if PUBLIC_PARAMETERS.contains(&name.as_str()) { value } else { "(hidden)" };
                (name.clone(), json!(shown))
            })
            .collect();
        let scheme = self.authorization.as_deref().and_then(|value| value.split(' ').next());
        json!({
            "method": self.method, "path": self.path, "form": form, "body": self.json.as_ref().map(without_secrets),
            "headers": self.header_names, "authorization": scheme, "user_agent": self.user_agent, "status": self.status,
        })
    }
}

impl Records {
    /// All requests.
    pub fn all(&self) -> Vec<Recorded> {
        self.lock().records.clone()
    }

    /// The requests whose path ends so.
    pub fn to(&self, path_end: &str) -> Vec<Recorded> {
        self.lock().records.iter().filter(|recorded| recorded.path.ends_with(path_end)).cloned().collect()
    }

    /// How many refresh grants were sent, whatever became of them.
    pub fn refreshes(&self) -> usize {
        let log = self.lock();
        log.records.iter().filter(|recorded| recorded.parameter("grant_type") == Some("refresh_token")).count()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        self.lock().records.clear();
    }

    /// Returns the number under which the answer is to be noted.
    pub(crate) fn add(&self, request: &Request) -> u64 {
        let mut log = self.lock();
        let number = log.next;
        log.next += 1;
        log.records.push(Recorded {
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.query.clone(),
            form: request.form().parameters().to_vec(),
            json: serde_json::from_slice(&request.body).ok(),
            header_names: request.headers.keys().map(|name| name.as_str().to_owned()).collect(),
            authorization: request.header("authorization").map(String::from),
            user_agent: request.header("user-agent").map(String::from),
            status: None,
            number,
        });
        number
    }

    pub(crate) fn answered(&self, number: u64, status: u16) {
        if let Some(recorded) = self.lock().records.iter_mut().rev().find(|recorded| recorded.number == number) {
            recorded.status = Some(status);
        }
    }

    pub(crate) fn summary(&self) -> Value {
        self.lock().records.iter().map(Recorded::summary).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Log {
    next: u64,
    records: Vec<Recorded>,
}

/// Of an object the fields, and the values of those that never are secret.
fn without_secrets(body: &Value) -> Value {
    let Some(fields) = body.as_object() else { return json!("(hidden)") };
    let shown = fields.iter().map(|(name, value)| {
        let value = if PUBLIC_FIELDS.contains(&name.as_str()) { value.clone() } else { json!("(hidden)") };
        (name.clone(), value)
    });
    Value::Object(shown.collect())
}

const PUBLIC_FIELDS: [&str; 4] = ["name", "roles", "role", "expiration"];
const PUBLIC_PARAMETERS: [&str; 5] = ["grant_type", "client_id", "scope", "username", "token_type_hint"];
