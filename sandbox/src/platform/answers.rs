//! The shapes of the platform's answers.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::flavour::Release;
use crate::exchange::Answer;

/// `{"detail": …}`
pub(crate) fn detail(status: u16, sentence: impl Into<Value>) -> Answer {
    Answer::json(status, &json!({ "detail": sentence.into() }))
}

pub(crate) fn forbidden() -> Answer {
    detail(403, "You do not have permission to perform this action.")
}

/// `class` is the name of the model.
pub(crate) fn no_match(class: &str) -> Answer {
    detail(404, format!("No {class} matches the given query."))
}

pub(crate) fn not_found() -> Answer {
    detail(404, "Not found.")
}

pub(crate) fn method_not_allowed(method: &Method, allowed: &[Method]) -> Answer {
    let allowed: Vec<_> = allowed.iter().map(Method::as_str).collect();
    detail(405, format!("Method \"{method}\" not allowed.")).header("allow", allowed.join(", "))
}

/// No path of the server's.
pub(crate) fn no_such_page() -> Answer {
    Answer::text(404, HTML, NO_SUCH_PAGE)
}

pub(crate) fn server_error() -> Answer {
    Answer::text(500, HTML, SERVER_ERROR)
}

/// The same path with a slash behind it.
pub(crate) fn redirect(path: &str, query: Option<&str>) -> Answer {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Answer::empty(301).header("content-type", HTML).header("location", format!("{path}/{query}"))
}

/// A sentence that calls itself HTML.
pub(crate) fn bare(status: u16, sentence: &str) -> Answer {
    Answer::text(status, HTML, sentence)
}

/// The complaints about the fields of a body.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Map<String, Value>);

impl Complaints {
    /// Keeps the value, or the complaint.
    pub(crate) fn note<T>(&mut self, field: &str, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(sentence) => {
                self.0.insert(field.to_owned(), json!([sentence]));
                None
            }
        }
    }

    pub(crate) fn into_result(self) -> Result<(), Answer> {
        if self.0.is_empty() { Ok(()) } else { Err(Answer::json(400, &Value::Object(self.0))) }
    }
}

/// The headers of the controller's API; the version is told only to those who are let in.
pub(crate) fn with_product(release: Release, is_authenticated: bool, answer: Answer) -> Answer {
    if !release.is_controller() {
        return answer;
    }
    let answer = answer
        .header("x-api-product-name", "AWX")
        .header("x-api-node", "awx-1")
        .header("x-api-time", "0.042s")
        .header("x-api-request-id", crate::random::uuid().replace('-', ""));
    if is_authenticated { answer.header("x-api-product-version", "24.6.1") } else { answer }
}

const HTML: &str = "text/html; charset=utf-8";
const NO_SUCH_PAGE: &str = "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n";
const SERVER_ERROR: &str = "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Server Error (500)</title>\n</head>\n<body>\n  <h1>Server Error (500)</h1><p></p>\n</body>\n</html>\n";
