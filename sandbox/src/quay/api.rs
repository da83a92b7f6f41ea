//! The REST API: which endpoint, who calls, and the checks before it in Quay's order.

use hyper::Method;
use serde_json::Value;

use super::answers::{
    abort, message, method_not_allowed, not_found_page, problem, read_only, redirect_to_slash, server_error,
    with_api_headers,
};
use super::state::{Release, Role, State, User};
use super::{accounts, answers, discovery, federation, robots};
use crate::exchange::{Answer, Request};
use crate::jwt::Jwt;

pub(crate) const PREFIX: &str = "/api/v1/";

/// A request to the API. `now` is in seconds.
pub(crate) struct Call<'r> {
    pub(crate) request: &'r Request,
    pub(crate) host: String,
    pub(crate) now: i64,
}

/// `path` is what follows the prefix.
pub(crate) fn answer(state: &mut State, call: &Call<'_>, path: &str) -> Answer {
    let Some(endpoint) = Endpoint::find(path, state.release) else { return no_such_page(call.request) };
    let answer = match call.method() {
        Method::OPTIONS => Answer::empty(200),
        // The dead end that the pages of the console leave for a GET.
        Method::GET if !endpoint.methods().contains(&Method::GET) => return redirect_to_slash(call.request),
        method if !endpoint.methods().contains(&method) => method_not_allowed(),
        _ => respond(state, call, &endpoint).unwrap_or_else(|refusal| refusal),
    };
    with_api_headers(answer)
}

/// The full name of the robot that a request is about.
pub(crate) fn robot_meant(state: &State, call: &Call<'_>, path: &str) -> Option<String> {
    let (Endpoint::Robot(owner, short)
    | Endpoint::Regenerate(owner, short)
    | Endpoint::Permissions(owner, short)
    | Endpoint::Federation(owner, short)) = Endpoint::find(path, state.release)?
    else {
        return None;
    };
    match owner {
        Owner::Organization(name) => Some(format!("{name}+{short}")),
        Owner::Caller => Caller::of(call, state).ok()?.identity.map(|identity| format!("{}+{short}", identity.name)),
    }
}

/// What the console answers where the API has nothing.
pub(crate) fn no_such_page(request: &Request) -> Answer {
    match request.method {
        Method::GET | Method::HEAD if request.path.ends_with('/') => not_found_page(),
        Method::GET | Method::HEAD => redirect_to_slash(request),
        _ => answers::method_not_allowed_page(),
    }
}

/// An endpoint of the API.
enum Endpoint<'p> {
    Discovery,
    User,
    Organization(&'p str),
    Robots(Owner<'p>),
    Robot(Owner<'p>, &'p str),
    Regenerate(Owner<'p>, &'p str),
    Permissions(Owner<'p>, &'p str),
    Federation(Owner<'p>, &'p str),
}

/// Whose robots: of an organization, or of the calling user.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'p> {
    Organization(&'p str),
    Caller,
}

impl<'p> Endpoint<'p> {
    fn find(path: &'p str, release: Release) -> Option<Self> {
        let segments: Vec<_> = path.split('/').collect();
        let (owner, rest) = match segments.as_slice() {
            ["discovery"] => return Some(Self::Discovery),
            ["user", ""] => return Some(Self::User),
            ["organization", name] if !name.is_empty() => return Some(Self::Organization(name)),
            ["user", rest @ ..] => (Owner::Caller, rest),
            ["organization", name, rest @ ..] if !name.is_empty() => (Owner::Organization(name), rest),
            _ => return None,
        };
        match rest {
            ["robots"] => Some(Self::Robots(owner)),
            ["robots", ""] | ["robots", "", ..] => None,
            ["robots", robot] => Some(Self::Robot(owner, robot)),
            ["robots", robot, "regenerate"] => Some(Self::Regenerate(owner, robot)),
            ["robots", robot, "permissions"] => Some(Self::Permissions(owner, robot)),
            ["robots", robot, "federation"] if release >= owner.first_release_with_federation() => {
                Some(Self::Federation(owner, robot))
            }
            _ => None,
        }
    }

    fn methods(&self) -> &'static [Method] {
        match self {
            Self::Discovery | Self::User | Self::Organization(_) => &[Method::GET],
            Self::Robots(_) | Self::Permissions(..) => &[Method::GET],
            Self::Robot(..) => &[Method::GET, Method::PUT, Method::DELETE],
            Self::Regenerate(..) => &[Method::POST],
            Self::Federation(..) => &[Method::GET, Method::POST, Method::DELETE],
        }
    }
}

impl Owner<'_> {
    pub(crate) fn first_release_with_federation(self) -> Release {
        match self {
            Self::Organization(_) => (3, 13, 0),
            Self::Caller => (3, 17, 2),
        }
    }
}

fn respond(state: &mut State, call: &Call<'_>, endpoint: &Endpoint<'_>) -> Result<Answer, Answer> {
    call.check_user_agent()?;
    let caller = Caller::of(call, state)?;
    let is_write = call.method() != Method::GET;
    if is_write && caller.identity.is_none() {
        return Err(abort(403, "CSRF token was invalid or missing."));
    }
    // `GET /user/` answers the anonymous by itself.
    if !state.anonymous_access && caller.identity.is_none() && !matches!(endpoint, Endpoint::User) {
        return Err(abort(401, "Anonymous access is not allowed"));
    }
    if state.read_only && is_write {
        return Err(read_only());
    }
    match *endpoint {
        Endpoint::Discovery => Ok(discovery::answer(state)),
        Endpoint::User => accounts::user(state, call, &caller),
        Endpoint::Organization(name) => accounts::organization(state, call, &caller, name),
        Endpoint::Robots(owner) => robots::list(state, call, &caller, owner),
        Endpoint::Robot(owner, name) => match call.method() {
            Method::PUT => robots::create(state, call, &caller, owner, name),
            Method::DELETE => robots::delete(state, call, &caller, owner, name),
            _ => robots::get(state, call, &caller, owner, name),
        },
        Endpoint::Regenerate(owner, name) => robots::regenerate(state, call, &caller, owner, name),
        Endpoint::Permissions(owner, name) => robots::permissions(state, call, &caller, owner, name),
        Endpoint::Federation(owner, name) => match call.method() {
            Method::POST => federation::replace(state, call, &caller, owner, name),
            Method::DELETE => federation::empty(state, call, &caller, owner, name),
            _ => federation::get(state, call, &caller, owner, name),
        },
    }
}

impl Call<'_> {
    /// A HEAD is a GET whose body the server keeps.
    pub(crate) fn method(&self) -> Method {
        match self.request.method {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        }
    }

    /// The first value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.request.query.as_deref().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn has_json_content_type(&self) -> bool {
        let content_type = self.request.header("content-type").unwrap_or_default();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    }

    /// The body of an endpoint that can do without one; what is not JSON is as good as none.
    pub(crate) fn optional_body(&self) -> Option<Value> {
        let body = self.has_json_content_type().then(|| serde_json::from_slice(&self.request.body).ok())?;
        body.filter(|body: &Value| !body.is_null())
    }

    /// The body of an endpoint that needs one.
    pub(crate) fn body(&self) -> Result<Value, Answer> {
        if !self.has_json_content_type() {
            return Err(message(415, NO_JSON_CONTENT_TYPE));
        }
        match serde_json::from_slice(&self.request.body) {
            Err(_) => Err(message(400, NOT_UNDERSTOOD)),
            Ok(Value::Null) => Err(answers::invalid_request(&self.host, "Missing JSON body")),
            Ok(body) => Ok(body),
        }
    }

    /// A browser is to say that a script calls, not a link.
    fn check_user_agent(&self) -> Result<(), Answer> {
        let agent = self.request.header("user-agent").unwrap_or_default().to_ascii_lowercase();
        let is_browser = BROWSERS.iter().any(|browser| agent.contains(browser));
        let is_script = self.request.header("x-requested-with") == Some("XMLHttpRequest");
        if self.method() == Method::GET && is_browser && !is_script {
            return Err(abort(400, BROWSER));
        }
        Ok(())
    }
}

/// Who calls, and what the bearer lets them do.
pub(crate) struct Caller {
    pub(crate) identity: Option<Identity>,
    host: String,
}

pub(crate) struct Identity {
    pub(crate) name: String,
    user: User,
    scopes: Vec<String>,
}

impl Caller {
    /// A bearer that is no good makes the caller anonymous; but a JWT is taken as one of a login service, and refused.
    fn of(call: &Call<'_>, state: &State) -> Result<Self, Answer> {
        let header = call.request.header("authorization").unwrap_or_default();
        let words: Vec<_> = header.split(' ').filter(|word| !word.is_empty()).collect();
        let bearer = match words.as_slice() {
            [scheme, bearer] if scheme.eq_ignore_ascii_case("bearer") => *bearer,
            _ => "",
        };
        if let Some(jwt) = Jwt::parse(bearer) {
            return Err(abort(
                401,
                &match jwt.claims.get("iss").and_then(Value::as_str) {
                    Some(issuer) => format!("Issuer {issuer} not configured"),
                    None => "Token does not contain issuer".to_owned(),
                },
            ));
        }
        let identity = state.holder(bearer, call.now).map(|(name, user, scopes)| Identity {
            name: name.to_owned(),
            user: user.clone(),
            scopes: scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).map(String::from).collect(),
        });
        Ok(Self { identity, host: call.host.clone() })
    }

    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.scopes.iter().any(|own| own == scope))
    }

    /// Every permission check breaks on a scope that the server does not know.
    pub(crate) fn check_scopes(&self) -> Result<(), Answer> {
        let scopes = self.identity.as_ref().map(|identity| identity.scopes.as_slice()).unwrap_or_default();
        if scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) { Ok(()) } else { Err(server_error()) }
    }

    /// Users count as administrators of their own name.
    pub(crate) fn administers(&self, state: &State, organization: &str) -> bool {
        let Some(identity) = &self.identity else { return false };
        let role = state.organizations.get(organization).and_then(|found| found.members.get(&identity.name));
        self.has_scope("org:admin") && (role == Some(&Role::Administrator) || identity.name == organization)
    }

    pub(crate) fn is_member(&self, state: &State, organization: &str) -> bool {
        let Some(identity) = &self.identity else { return false };
        let found = state.organizations.get(organization);
        self.has_scope("org:admin") && found.is_some_and(|found| found.members.contains_key(&identity.name))
    }

    /// A superuser whose token says so.
    pub(crate) fn is_superuser(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.user.is_superuser) && self.has_scope("super:user")
    }

    pub(crate) fn has_full_access(&self, state: &State) -> bool {
        state.superusers_full_access && self.is_superuser()
    }

    pub(crate) fn reads_all(&self, state: &State) -> bool {
        let is_reader = self.identity.as_ref().is_some_and(|identity| identity.user.is_read_only_superuser);
        is_reader && state.release >= (3, 13, 0)
    }

    /// The namespace, if the caller may read its robots.
    pub(crate) fn namespace_to_read(&self, state: &State, owner: Owner<'_>) -> Result<String, Answer> {
        self.check_scopes()?;
        match owner {
            Owner::Organization(name)
                if self.administers(state, name) || self.has_full_access(state) || self.reads_all(state) =>
            {
                Ok(name.to_owned())
            }
            Owner::Organization(_) => Err(self.unauthorized()),
            Owner::Caller => self.own_namespace(),
        }
    }

    /// The namespace, if the caller may change its robots.
    pub(crate) fn namespace_to_write(&self, state: &State, owner: Owner<'_>) -> Result<String, Answer> {
        self.check_scopes()?;
        match owner {
            Owner::Organization(name) if self.administers(state, name) || self.has_full_access(state) => {
                Ok(name.to_owned())
            }
            Owner::Organization(_) => Err(self.unauthorized()),
            Owner::Caller if self.is_restricted(state) => Err(self.unauthorized()),
            Owner::Caller => self.own_namespace(),
        }
    }

    /// The caller's own name, with the scope for it.
    pub(crate) fn own_namespace(&self) -> Result<String, Answer> {
        match &self.identity {
            Some(identity) if self.has_scope("user:admin") => Ok(identity.name.clone()),
            _ => Err(self.unauthorized()),
        }
    }

    pub(crate) fn unauthorized(&self) -> Answer {
        match self.identity {
            None => problem(&self.host, 401, "invalid_token", "Requires authentication"),
            Some(_) => problem(&self.host, 403, "insufficient_scope", "Unauthorized"),
        }
    }

    fn is_restricted(&self, state: &State) -> bool {
        let is_restricted = self.identity.as_ref().is_some_and(|identity| identity.user.is_restricted);
        state.restricted_users && is_restricted
    }
}

/// Of a query parameter: everything is true but these.
pub(crate) fn is_truthy(value: &str) -> bool {
    !["false", "False", "FALSE", "0", "null", ""].contains(&value)
}

const SCOPES: [&str; 8] =
    ["repo:read", "repo:write", "repo:admin", "repo:create", "user:read", "user:admin", "org:admin", "super:user"];
const BROWSERS: [&str; 8] = ["chrome", "firefox", "safari", "opera", "google", "links", "lynx", "msie"];
const BROWSER: &str = "API calls must be invoked with an X-Requested-With header if called from a browser";
const NO_JSON_CONTENT_TYPE: &str =
    "Did not attempt to load JSON data because the request Content-Type was not 'application/json'.";
pub(crate) const NOT_UNDERSTOOD: &str = "The browser (or proxy) sent a request that this server could not understand.";
