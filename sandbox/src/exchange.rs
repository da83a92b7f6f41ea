//! A request and its answer, as a system sees them.

use hyper::body::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use crate::controller::Credential;

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) encrypted: bool,
    /// The credential to be changed, as it was when the request began.
    pub(crate) row_read: Option<Credential>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Scheme, host and port as the client sees them.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.header("host").unwrap_or("127.0.0.1"))
    }

    /// The parameters of a form body; none of any other body.
    pub(crate) fn form(&self) -> Form {
        let is_form = self.header("content-type").is_some_and(|content_type| {
            let kind = content_type.split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        let body = if is_form { &self.body[..] } else { &[] };
        Form { parameters: url::form_urlencoded::parse(body).into_owned().collect() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Form {
    parameters: Vec<(String, String)>,
}

impl Form {
    /// The first value of that name.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has_duplicates(&self) -> bool {
        self.parameters
            .iter()
            .enumerate()
            .any(|(index, (name, _))| self.parameters[..index].iter().any(|(earlier, _)| earlier == name))
    }

    /// Without the parameters whose value is longer than so many characters.
    pub(crate) fn without_values_over(&self, characters: usize) -> Self {
        let short = self.parameters.iter().filter(|(_, value)| value.chars().count() <= characters);
        Self { parameters: short.cloned().collect() }
    }

    pub(crate) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// No answer at all: the system closes the connection.
    pub(crate) is_cut: bool,
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), is_cut: false }
    }

    pub(crate) fn cut() -> Self {
        Self { is_cut: true, ..Self::empty(0) }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(crate) fn text(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        Self { body: Bytes::from(body.into()), ..Self::empty(status) }.header("content-type", content_type)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
