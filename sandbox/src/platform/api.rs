//! The REST API: which endpoint, who calls, and what comes of it, in the order of Django's REST framework.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::access::Caller;
use super::answers::{self, detail, with_product};
use super::flavour::Release;
use super::state::State;
use super::{accounts, applications, oauth, tokens};
use crate::controller;
use crate::exchange::{Answer, Request};

/// A request to the API. `base` is the beginning of the path, `now` in milliseconds.
pub(crate) struct Call<'r> {
    pub(crate) request: &'r Request,
    pub(crate) base: &'static str,
    pub(crate) path: &'r str,
    pub(crate) now: i64,
}

/// `path` is decoded, `now` in milliseconds.
pub(crate) fn answer(state: &mut State, request: &Request, path: &str, now: i64) -> Answer {
    answer_to(state, request, path, now, |state| Caller::of(state, request, now))
}

/// The same to a caller that somebody else may know.
pub(crate) fn answer_to(
    state: &mut State,
    request: &Request,
    path: &str,
    now: i64,
    caller: impl FnOnce(&mut State) -> Result<Caller, Answer>,
) -> Answer {
    let release = state.release;
    if let Some(rest) = path.strip_prefix(release.oauth_base()) {
        return oauth::answer(state, request, rest, now);
    }
    let Some((base, endpoint)) = find(release, path) else {
        let is_known = !path.ends_with('/') && find(release, &format!("{path}/")).is_some();
        let refusal =
            if is_known { answers::redirect(path, request.query.as_deref()) } else { answers::no_such_page() };
        return with_product(release, false, refusal);
    };
    if let Some(answer) = accounts::open_page(release, &endpoint, base) {
        let is_read = request.method == Method::GET || request.method == Method::HEAD;
        let answer = if is_read { answer } else { answers::method_not_allowed(&request.method, &[Method::GET]) };
        return with_product(release, false, answer);
    }
    match caller(state) {
        Err(refusal) => with_product(release, false, refusal),
        Ok(caller) => {
            let call = Call { request, base, path, now };
            let answer = respond(state, &call, &caller, &endpoint).unwrap_or_else(|refusal| refusal);
            with_product(release, true, answer)
        }
    }
}

/// The id of the token that a request is about.
pub(crate) fn token_meant(release: Release, path: &str) -> Option<i64> {
    match find(release, path)?.1 {
        Endpoint::Token(id) => id,
        _ => None,
    }
}

/// The id of the credential that a request is about.
pub(crate) fn credential_meant(release: Release, path: &str) -> Option<i64> {
    match find(release, path)?.1 {
        Endpoint::Object(controller::api::Endpoint::Credential(id)) => Some(id),
        _ => None,
    }
}

/// Whether a request to this path makes a token.
pub(crate) fn is_for_new_tokens(release: Release, path: &str) -> bool {
    find(release, path).is_some_and(|(_, endpoint)| matches!(endpoint, Endpoint::Tokens))
}

/// An id that is no number is `None`.
pub(crate) enum Endpoint {
    Versions,
    Root,
    Ping,
    Config,
    Settings,
    Me,
    Users,
    User(Option<i64>),
    UserTokens(Option<i64>, View),
    Organizations,
    Organization(Option<i64>),
    Applications,
    Application(Option<i64>),
    ApplicationTokens(Option<i64>),
    Tokens,
    Token(Option<i64>),
    /// What only a controller has.
    Object(controller::api::Endpoint),
}

/// Which of a user's tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    All,
    Personal,
    Authorized,
}

impl Endpoint {
    fn find(release: Release, path: &str) -> Option<Self> {
        let segments: Vec<_> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        let id = |text: &str| text.parse::<i64>().ok().filter(|id| *id >= 0);
        let controller = release.is_controller();
        if let Some(endpoint) = controller::api::Endpoint::find(&segments).filter(|_| controller && path.ends_with('/'))
        {
            return Some(Self::Object(endpoint));
        }
        let endpoint = match segments.as_slice() {
            [""] => return Some(Self::Root),
            _ if !path.ends_with('/') => return None,
            ["ping"] if controller => Self::Ping,
            ["config"] if controller => Self::Config,
            ["settings", "authentication"] if controller => Self::Settings,
            ["me"] => Self::Me,
            ["users"] => Self::Users,
            ["users", user] => Self::User(id(user)),
            ["users", user, "tokens"] => Self::UserTokens(id(user), View::All),
            ["users", user, "personal_tokens"] => Self::UserTokens(id(user), View::Personal),
            ["users", user, "authorized_tokens"] => Self::UserTokens(id(user), View::Authorized),
            ["organizations"] => Self::Organizations,
            ["organizations", organization] => Self::Organization(id(organization)),
            ["applications"] => Self::Applications,
            ["applications", application] => Self::Application(id(application)),
            ["applications", application, "tokens"] => Self::ApplicationTokens(id(application)),
            ["tokens"] => Self::Tokens,
            ["tokens", token] => Self::Token(id(token)),
            _ => return None,
        };
        // The controller's paths take digits only.
        if controller && endpoint.id() == Some(None) { None } else { Some(endpoint) }
    }

    fn id(&self) -> Option<Option<i64>> {
        match *self {
            Self::User(id)
            | Self::UserTokens(id, _)
            | Self::Organization(id)
            | Self::Application(id)
            | Self::ApplicationTokens(id)
            | Self::Token(id) => Some(id),
            _ => None,
        }
    }

    fn methods(&self, release: Release) -> &'static [Method] {
        match self {
            Self::Tokens | Self::Applications => &[Method::GET, Method::POST],
            Self::Token(_) | Self::Application(_) => &[Method::GET, Method::PUT, Method::PATCH, Method::DELETE],
            Self::UserTokens(..) | Self::ApplicationTokens(_) if release.is_controller() => {
                &[Method::GET, Method::POST]
            }
            Self::Settings => &[Method::GET, Method::PATCH],
            Self::Object(endpoint) => endpoint.methods(),
            _ => &[Method::GET],
        }
    }
}

impl Call<'_> {
    pub(crate) fn method(&self) -> Method {
        if self.request.method == Method::HEAD { Method::GET } else { self.request.method.clone() }
    }

    /// The path of something in the same API.
    pub(crate) fn link(&self, rest: &str) -> String {
        format!("{}{rest}", self.base)
    }

    /// The fields of the body. The controller takes JSON only.
    pub(crate) fn fields(&self, release: Release) -> Result<Map<String, Value>, Answer> {
        let kind = self.request.header("content-type").unwrap_or_default();
        let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if self.request.body.is_empty() {
            return Ok(Map::new());
        }
        if media == "application/x-www-form-urlencoded" && !release.is_controller() {
            let form = self.request.form();
            return Ok(form.parameters().iter().map(|(name, value)| (name.clone(), json!(value))).collect());
        }
        if media != "application/json" {
            let sentence = if release.is_controller() {
                "You did not use correct Content-Type in your HTTP request. If you are using our REST API, the \
                 Content-Type must be application/json"
                    .to_owned()
            } else {
                format!("Unsupported media type \"{kind}\" in request.")
            };
            return Err(detail(415, sentence));
        }
        match serde_json::from_slice(&self.request.body) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) if release.is_controller() => Err(detail(400, "JSON parse error - not a JSON object")),
            Ok(other) => {
                let sentence = format!("Invalid data. Expected a dictionary, but got {}.", python_type(&other));
                Err(Answer::json(400, &json!({ "non_field_errors": [sentence] })))
            }
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let sentence = format!("JSON parse error - Expecting value: line {line} column {column} (char 0)");
                Err(detail(400, sentence))
            }
        }
    }
}

/// What Python calls the type of a JSON value.
pub(crate) fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

fn find(release: Release, path: &str) -> Option<(&'static str, Endpoint)> {
    if release.is_controller() && path == "/api/" {
        return Some(("/api/", Endpoint::Versions));
    }
    release.bases().iter().find_map(|base| Some((*base, Endpoint::find(release, path.strip_prefix(base)?)?)))
}

fn respond(state: &mut State, call: &Call<'_>, caller: &Caller, endpoint: &Endpoint) -> Result<Answer, Answer> {
    let (release, method) = (state.release, call.method());
    caller.check_scope(&method)?;
    let methods = endpoint.methods(release);
    if !methods.contains(&method) {
        return Err(answers::method_not_allowed(&method, methods));
    }
    let is_read = method == Method::GET;
    let id = match endpoint.id() {
        None => 0,
        Some(Some(id)) => id,
        Some(None) => return Err(answers::not_found()),
    };
    match endpoint {
        // Answered before anybody is asked who it is.
        Endpoint::Versions | Endpoint::Root | Endpoint::Ping => Err(answers::not_found()),
        Endpoint::Config => Ok(accounts::config()),
        Endpoint::Settings if is_read => accounts::settings(state, caller),
        Endpoint::Settings => accounts::change_settings(state, call, caller),
        Endpoint::Me => accounts::me(state, call, caller),
        Endpoint::Users => accounts::users(state, call, caller),
        Endpoint::User(_) => accounts::user(state, call, caller, id),
        Endpoint::UserTokens(_, view) if is_read => tokens::of_user(state, call, caller, id, *view),
        Endpoint::UserTokens(_, view) => tokens::create(state, call, caller, None, *view == View::Authorized),
        Endpoint::Organizations => accounts::organizations(state, call, caller),
        Endpoint::Organization(_) => accounts::organization(state, call, caller, id),
        Endpoint::Object(endpoint) => endpoint.respond(state, call, caller),
        Endpoint::Applications if is_read => applications::list(state, call, caller),
        Endpoint::Applications => applications::create(state, call, caller),
        Endpoint::Application(_) => match method {
            Method::DELETE => applications::delete(state, caller, id),
            Method::GET => applications::read(state, call, caller, id),
            _ => applications::change(state, call, caller, id),
        },
        Endpoint::ApplicationTokens(_) if is_read => tokens::of_application(state, call, caller, id),
        Endpoint::ApplicationTokens(_) => tokens::create(state, call, caller, Some(id), true),
        Endpoint::Tokens if is_read => tokens::list(state, call, caller),
        Endpoint::Tokens => tokens::create(state, call, caller, None, false),
        Endpoint::Token(_) => match method {
            Method::DELETE => tokens::delete(state, caller, id),
            Method::GET => tokens::read(state, call, caller, id),
            _ => tokens::change(state, call, caller, id, method == Method::PUT),
        },
    }
}
