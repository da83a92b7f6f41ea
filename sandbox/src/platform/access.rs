//! Who calls: the credential of a request, and what it may do.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;

use super::answers::{self, detail};
use super::flavour::Release;
use super::state::{State, Token, User};
use crate::exchange::{Answer, Request};

/// A caller that is let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: User,
    /// `None`: it came with a password.
    token: Option<Token>,
}

impl Caller {
    /// A use of a token is noted.
    pub(crate) fn of(state: &mut State, request: &Request, now: i64) -> Result<Self, Answer> {
        let release = state.release;
        let header = request.header("authorization").unwrap_or_default();
        let (scheme, credentials) = header.split_once(' ').unwrap_or((header, ""));
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Self::of_token(state, credentials.trim(), now),
            "token" if release.takes_token_scheme() => Self::of_token(state, credentials.trim(), now),
            "basic" if state.basic_auth => Self::of_password(state, credentials),
            _ => Err(unauthenticated(release, NOT_PROVIDED, "")),
        }
    }

    fn of_token(state: &mut State, secret: &str, now: i64) -> Result<Self, Answer> {
        let release = state.release;
        let token = state.tokens.iter_mut().find(|token| token.secret == secret);
        let Some(token) = token else { return Err(unauthenticated(release, NOT_PROVIDED, INVALID)) };
        if token.is_expired(now) {
            return Err(unauthenticated(release, NOT_PROVIDED, EXPIRED));
        }
        // Finer than our clock: no two uses are at the same time.
        token.last_used = Some(token.last_used.map_or(now, |last| now.max(last + 1)));
        let token = token.clone();
        match state.user(token.user).cloned() {
            Some(user) => Ok(Self { user, token: Some(token) }),
            None => Err(unauthenticated(release, NOT_PROVIDED, INVALID)),
        }
    }

    fn of_password(state: &State, credentials: &str) -> Result<Self, Answer> {
        let decoded = BASE64_STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((name, password)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) else {
            return Err(unauthenticated(state.release, NOT_BASE64, ""));
        };
        match log_in(state, name, password) {
            Some(user) => Ok(Self { user: user.clone(), token: None }),
            None => Err(unauthenticated(state.release, WRONG_PASSWORD, "")),
        }
    }

    /// The same caller behind a gateway, where an unknown one is made known.
    pub(crate) fn known_to(self, state: &mut State) -> Self {
        let is_known = state.user_named(&self.user.username).is_some();
        let user = state.user_or_new(&self.user.username);
        if !is_known {
            (user.is_superuser, user.is_auditor) = (self.user.is_superuser, self.user.is_auditor);
        }
        Self { user: user.clone(), ..self }
    }

    /// The scope `read` is for looking only, and `write` for everything.
    pub(crate) fn check_scope(&self, method: &Method) -> Result<(), Answer> {
        let Some(token) = &self.token else { return Ok(()) };
        let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if token.has_scope("write") || is_safe && token.has_scope("read") { Ok(()) } else { Err(answers::forbidden()) }
    }

    pub(crate) fn sees_everything(&self) -> bool {
        self.user.is_superuser || self.user.is_auditor
    }

    pub(crate) fn is_member_of(&self, organization: i64) -> bool {
        self.user.organizations.contains(&organization)
    }
}

/// The user of this name and password. Whoever is not active cannot log in.
pub(crate) fn log_in<'s>(state: &'s State, name: &str, password: &str) -> Option<&'s User> {
    state.user_named(name).filter(|user| user.is_active && user.password == password)
}

/// What is said of users that another system knows, unless they may have tokens.
pub(crate) fn external_refusal(state: &State, user: &User) -> Option<String> {
    let provider = user.provider.as_ref().filter(|_| !state.external_users)?;
    Some(format!(
        "(access_denied) OAuth2 Tokens cannot be created by users associated with an external authentication provider \
         ({provider})"
    ))
}

/// The gateway tells the causes apart in the header; the controller tells nothing.
fn unauthenticated(release: Release, sentence: &str, cause: &str) -> Answer {
    if release.is_controller() {
        let sentence = format!("{NOT_PROVIDED} To establish a login session, visit /api/login/.");
        return detail(401, sentence)
            .header("www-authenticate", "Bearer realm=api authorization_url=/api/o/authorize/");
    }
    let cause = match cause {
        "" => String::new(),
        cause => format!(",error=\"invalid_token\",error_description=\"{cause}\""),
    };
    detail(401, sentence).header("www-authenticate", format!("Bearer realm=\"api\"{cause}"))
}

const NOT_PROVIDED: &str = "Authentication credentials were not provided.";
const WRONG_PASSWORD: &str = "Invalid username/password.";
const NOT_BASE64: &str = "Invalid basic header. Credentials not correctly base64 encoded.";
const INVALID: &str = "The access token is invalid.";
const EXPIRED: &str = "The access token has expired.";
