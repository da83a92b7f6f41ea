//! What goes wrong on purpose: lost answers, cut connections, delays, and answers no contract knows.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::System;
use crate::central;
use crate::exchange::{Answer, Request};
use crate::quay::answers;

/// The faults of a sandbox. Each request meets the first one that matches it, if any.
#[derive(Debug, Default)]
pub struct Faults {
    faults: Mutex<Vec<Fault>>,
}

impl Faults {
    /// Adds a fault behind those already there.
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The fault this request meets, used up by one.
    pub(crate) fn take(&self, request: &Request) -> Option<Fault> {
        let mut faults = self.lock();
        let index = faults.iter().position(|fault| fault.matches(request))?;
        let fault = faults[index].clone();
        match &mut faults[index].times {
            Some(0 | 1) => drop(faults.remove(index)),
            Some(times) => *times -= 1,
            None => {}
        }
        Some(fault)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One fault, which requests meet it, and how often. Without [`Fault::times`] it stays until the faults are cleared.
#[derive(Clone, Debug, Deserialize)]
pub struct Fault {
    #[serde(flatten)]
    kind: Kind,
    path: Option<String>,
    method: Option<String>,
    grant: Option<String>,
    times: Option<u32>,
    #[serde(default)]
    act: bool,
    #[serde(default)]
    delay_milliseconds: u64,
}

impl Fault {
    /// As the control endpoint takes it. A misspelt name is refused, as it might mean a fault that never ends.
    pub(crate) fn from_json(arguments: &Value) -> Result<Self, String> {
        let unknown = arguments.as_object().and_then(|fields| fields.keys().find(|name| !is_known(name)));
        match unknown {
            Some(name) => Err(format!("unknown field `{name}`")),
            None => Self::deserialize(arguments).map_err(|error| error.to_string()),
        }
    }

    /// The system does what was asked, then the connection is cut instead of an answer.
    pub fn lost_answer() -> Self {
        Self::new(Kind::LostAnswer)
    }

    /// The connection is cut and nothing was done.
    pub fn cut() -> Self {
        Self::new(Kind::Cut)
    }

    /// Everything is right, but late: the system acts at once and the answer waits.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Kind::Delay).delayed(delay)
    }

    /// 503 of a Keycloak that is starting, with `Retry-After`.
    pub fn starting(retry_after: u32) -> Self {
        Self::new(Kind::Starting { retry_after })
    }

    /// 502 with a proxy's HTML page.
    pub fn bad_gateway() -> Self {
        Self::new(Kind::BadGateway)
    }

    /// 429 with a proxy's HTML page, without `Retry-After`.
    pub fn too_many_requests() -> Self {
        Self::new(Kind::TooManyRequests)
    }

    /// 500 with the page of an application server whose application broke, and the connection closed behind it.
    pub fn server_error() -> Self {
        Self::new(Kind::ServerError)
    }

    /// 503 of a Quay in read-only mode, to whatever request.
    pub fn read_only() -> Self {
        Self::new(Kind::ReadOnly)
    }

    /// A refusal of Central with this status of gRPC: 13 is an internal error (500), 14 that it is not available (503), 8 too
    /// many requests (429).
    pub fn refusal(code: u8, message: &str) -> Self {
        Self::new(Kind::Refusal { code, message: message.to_owned() })
    }

    /// Everything is right, but before the answer is sent somebody else regenerates the robot that the path names.
    pub fn interference() -> Self {
        Self::new(Kind::Interference)
    }

    /// 200 with an HTML page, as from a captive portal.
    pub fn html() -> Self {
        Self::new(Kind::Html)
    }

    /// 200 with 5 MiB of JSON.
    pub fn large_body() -> Self {
        Self::new(Kind::LargeBody)
    }

    /// The right answer's first half, as if it were the whole.
    pub fn truncated_json() -> Self {
        Self::new(Kind::TruncatedJson)
    }

    /// The right answer's first half, then the connection is cut.
    pub fn cut_body() -> Self {
        Self::new(Kind::CutBody)
    }

    /// The right answer without its `refresh_token`.
    pub fn without_refresh_token() -> Self {
        Self::replace([("refresh_token", Value::Null)])
    }

    /// The right answer with another `expires_in`: Keycloak sometimes says 899 for 900.
    pub fn expires_in(seconds: i64) -> Self {
        Self::replace([("expires_in", json!(seconds))])
    }

    /// The right JSON answer with other values of these fields; null takes the field out.
    pub fn replace<const N: usize>(fields: [(&str, Value); N]) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self::new(Kind::Replace { fields })
    }

    /// Any other answer instead of the right one; nothing was done.
    pub fn answer(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        Self::new(Kind::Answer { status, content_type: content_type.to_owned(), body: body.into(), retry_after: None })
    }

    /// Only requests whose path has this in it.
    pub fn path(mut self, part: impl Into<String>) -> Self {
        self.path = Some(part.into());
        self
    }

    /// Only requests with this method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only requests with this `grant_type`.
    pub fn grant(mut self, grant: impl Into<String>) -> Self {
        self.grant = Some(grant.into());
        self
    }

    /// Only the next so many of them.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The system acts nevertheless before the wrong answer is given.
    pub fn acting(mut self) -> Self {
        self.act = true;
        self
    }

    /// The answer, or the cut, comes late. The system acts at once.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay_milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    pub(crate) fn delay_to_keep(&self) -> Duration {
        Duration::from_millis(self.delay_milliseconds)
    }

    /// Whether the system does what was asked.
    pub(crate) fn acts(&self) -> bool {
        let acts = matches!(
            self.kind,
            Kind::LostAnswer
                | Kind::Delay
                | Kind::Interference
                | Kind::TruncatedJson
                | Kind::CutBody
                | Kind::Replace { .. }
                | Kind::WithoutRefreshToken
                | Kind::ExpiresIn { .. }
        );
        acts || self.act
    }

    /// What becomes of the request.
    pub(crate) fn apply(&self, system: &dyn System, request: &Request) -> Outcome {
        let act = || system.answer(request);
        let canned = match &self.kind {
            Kind::LostAnswer => return after(act, |_| Outcome::Cut),
            Kind::Delay => return after(act, Outcome::Answer),
            Kind::Interference => {
                return after(act, |answer| {
                    system.interfere(request);
                    Outcome::Answer(answer)
                });
            }
            Kind::TruncatedJson => return after(act, |answer| Outcome::Answer(first_half(answer))),
            Kind::CutBody => return after(act, Outcome::CutBody),
            Kind::Replace { fields } => return after(act, |answer| Outcome::Answer(replaced(answer, fields))),
            Kind::WithoutRefreshToken => {
                return after(act, |answer| {
                    Outcome::Answer(replaced(answer, &Map::from_iter([("refresh_token".to_owned(), Value::Null)])))
                });
            }
            Kind::ExpiresIn { seconds } => {
                return after(act, |answer| {
                    Outcome::Answer(replaced(answer, &Map::from_iter([("expires_in".to_owned(), json!(seconds))])))
                });
            }
            Kind::Cut => Outcome::Cut,
            Kind::Starting { retry_after } => Outcome::Answer(starting(*retry_after)),
            Kind::BadGateway => Outcome::Answer(Answer::text(502, "text/html", BAD_GATEWAY)),
            Kind::TooManyRequests => Outcome::Answer(answers::too_many_requests()),
            Kind::ServerError => Outcome::Answer(answers::server_error()),
            Kind::ReadOnly => Outcome::Answer(answers::read_only()),
            Kind::Refusal { code, message } => Outcome::Answer(central::refusal(*code, message)),
            Kind::Html => Outcome::Answer(Answer::text(200, "text/html; charset=utf-8", PORTAL)),
            Kind::LargeBody => Outcome::Answer(Answer::text(200, "application/json", large_json())),
            Kind::Answer { status, content_type, body, retry_after } => {
                let answer = Answer::text(*status, content_type, body.clone());
                Outcome::Answer(match retry_after {
                    Some(retry_after) => answer.header("retry-after", retry_after),
                    None => answer,
                })
            }
        };
        if self.act {
            act();
        }
        canned
    }

    fn new(kind: Kind) -> Self {
        Self { kind, path: None, method: None, grant: None, times: None, act: false, delay_milliseconds: 0 }
    }

    fn matches(&self, request: &Request) -> bool {
        let right_path = self.path.as_ref().is_none_or(|part| request.path.contains(part.as_str()));
        let right_method =
            self.method.as_ref().is_none_or(|method| request.method.as_str().eq_ignore_ascii_case(method));
        let right_grant =
            self.grant.as_ref().is_none_or(|grant| request.form().value("grant_type") == Some(grant.as_str()));
        right_path && right_method && right_grant
    }
}

/// What is done to the connection.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Answer),
    CutBody(Answer),
    Cut,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
enum Kind {
    LostAnswer,
    Cut,
    Delay,
    Starting { retry_after: u32 },
    BadGateway,
    TooManyRequests,
    ServerError,
    ReadOnly,
    Refusal { code: u8, message: String },
    Interference,
    Html,
    LargeBody,
    TruncatedJson,
    CutBody,
    WithoutRefreshToken,
    ExpiresIn { seconds: i64 },
    Replace { fields: Map<String, Value> },
    Answer { status: u16, content_type: String, body: String, retry_after: Option<String> },
}

fn after(act: impl FnOnce() -> Answer, then: impl FnOnce(Answer) -> Outcome) -> Outcome {
    then(act())
}

fn starting(retry_after: u32) -> Answer {
    let body = format!("Bootstrap in progress. Retry in {retry_after} seconds.");
    Answer::text(503, "text/plain", body)
        .header("retry-after", retry_after.to_string())
        .header("refresh", retry_after.to_string())
}

fn first_half(answer: Answer) -> Answer {
    let half = answer.body.slice(..answer.body.len() / 2);
    Answer { body: half, ..answer }
}

/// An answer that is no JSON object stays as it is.
fn replaced(answer: Answer, fields: &Map<String, Value>) -> Answer {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(&answer.body) else { return answer };
    for (name, value) in fields {
        match value {
            Value::Null => drop(body.shift_remove(name)),
            value => drop(body.insert(name.clone(), value.clone())),
        }
    }
    Answer { body: Bytes::from(Value::Object(body).to_string()), ..answer }
}

fn large_json() -> String {
    json!({ "filler": "x".repeat(5 * 1024 * 1024) }).to_string()
}

fn is_known(name: &str) -> bool {
    FIELDS.split(' ').any(|field| field == name)
}

const FIELDS: &str = "fault path method grant times act delay_milliseconds retry_after seconds fields status content_type body code message";
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
const PORTAL: &str =
    "<!DOCTYPE html><html><head><title>Log in</title></head><body>Log in to use this network.</body></html>";
