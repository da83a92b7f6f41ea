//! The shapes of Quay's answers, A to F as its contract names them.

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::exchange::{Answer, Request};

/// JSON as Quay writes it: with a line feed at its end.
pub(crate) fn json_answer(status: u16, body: &Value) -> Answer {
    Answer::text(status, "application/json", format!("{body}\n"))
}

pub(crate) fn no_content() -> Answer {
    Answer::empty(204).header("content-type", "application/json")
}

/// Shape A. `host` is the server's own name.
pub(crate) fn problem(host: &str, status: u16, kind: &str, detail: &str) -> Answer {
    json_answer(status, &problem_object(host, status, kind, detail))
}

/// Shape A of a refused input.
pub(crate) fn invalid_request(host: &str, detail: &str) -> Answer {
    problem(host, 400, "invalid_request", detail)
}

/// Shape A, as `GET /user/` has it.
pub(crate) fn no_user(host: &str) -> Answer {
    let mut body = json!({ "session_required": false });
    if let (Value::Object(body), Value::Object(problem)) =
        (&mut body, problem_object(host, 401, "invalid_token", "Requires authentication"))
    {
        body.extend(problem);
    }
    json_answer(401, &body)
}

/// Shape B: JSON that calls itself HTML.
pub(crate) fn abort(status: u16, sentence: &str) -> Answer {
    let body = json!({ "error": sentence });
    Answer::text(status, "text/html; charset=utf-8", format!("{body}\n"))
}

/// Shape C.
pub(crate) fn message(status: u16, message: impl Into<Value>) -> Answer {
    json_answer(status, &json!({ "message": message.into() }))
}

/// Shape C of a robot that is not there; there is no 404 for robots.
pub(crate) fn no_robot() -> Answer {
    message(400, NO_ROBOT)
}

/// Shape C.
pub(crate) fn no_organization(name: &str) -> Answer {
    message(400, format!("Organization does not exist: {name}"))
}

/// Shape D.
pub(crate) fn registry_error(status: u16, code: &str, message: &str) -> Answer {
    json_answer(status, &json!({ "errors": [{ "code": code, "detail": {}, "message": message }] }))
}

/// Shape E: there is no such page.
pub(crate) fn not_found_page() -> Answer {
    page(404, "Not Found", "The requested URL was not found on the server.")
}

/// Shape E: the page knows no such method.
pub(crate) fn method_not_allowed_page() -> Answer {
    page(405, "Method Not Allowed", METHOD_NOT_ALLOWED)
}

/// Shape C: the endpoint knows no such method.
pub(crate) fn method_not_allowed() -> Answer {
    message(405, METHOD_NOT_ALLOWED)
}

/// Shape E: the same path with a slash behind it.
pub(crate) fn redirect_to_slash(request: &Request) -> Answer {
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{}/{query}", request.origin(), request.path);
    page(308, "Redirecting...", "You should be redirected automatically.").header("location", target)
}

/// Shape E, from the proxy in front.
pub(crate) fn too_many_requests() -> Answer {
    Answer::text(429, "text/html", TOO_MANY_REQUESTS)
}

/// Shape F.
pub(crate) fn server_error() -> Answer {
    Answer::text(500, "text/html", SERVER_ERROR).header("connection", "close")
}

pub(crate) fn read_only() -> Answer {
    json_answer(503, &json!({ "is_readonly": true, "message": READ_ONLY }))
}

/// The headers that every answer of the API has.
pub(crate) fn with_api_headers(answer: Answer) -> Answer {
    answer
        .header("access-control-allow-origin", "*")
        .header("access-control-allow-headers", "Authorization, Content-Type")
        .header("access-control-allow-methods", "GET, HEAD, OPTIONS, POST, PUT, DELETE")
}

fn problem_object(host: &str, status: u16, kind: &str, detail: &str) -> Value {
    json!({
        "detail": detail, "error_message": detail, "error_type": kind, "title": kind,
        "type": format!("https://{host}/api/v1/error/{kind}"), "status": status,
    })
}

fn page(status: u16, title: &str, sentence: &str) -> Answer {
    let body = format!(
        "<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n<p>{sentence}</p>\n"
    );
    Answer { body: Bytes::from(body), ..Answer::empty(status) }.header("content-type", "text/html; charset=utf-8")
}

pub(crate) const NO_ROBOT: &str = "Could not find robot with specified username";
const METHOD_NOT_ALLOWED: &str = "The method is not allowed for the requested URL.";
const READ_ONLY: &str =
    "System is currently read-only. Pulls will succeed but all write operations are currently suspended.";
const TOO_MANY_REQUESTS: &str = "<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body>\r\n<center><h1>429 Too Many Requests</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
const SERVER_ERROR: &str = "<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n  <body>\n    <h1><p>Internal Server Error</p></h1>\n    \n  </body>\n</html>\n";
