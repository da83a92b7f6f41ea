//! The registry's door: who may log in, and the JWTs it hands out.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};

use super::answers::{NO_ROBOT, abort, json_answer, registry_error, server_error};
use super::api::Call;
use super::state::{Robot, State};
use crate::exchange::Answer;
use crate::jwt::Jwt;

/// `GET /v2/`: nobody gets in without a registry JWT, and the challenge says where to get one.
pub(crate) fn ping(state: &State, call: &Call<'_>) -> Answer {
    let answer = match call.request.header("authorization") {
        None => Answer::text(401, "text/html; charset=utf-8", "true"),
        Some(header) => match header.split_once(' ').map(|(_, token)| token.trim()) {
            Some(token) if registry_token_is_good(state, token, call.now) => {
                Answer::text(200, "text/html; charset=utf-8", "true")
            }
            _ => abort(401, "Invalid bearer token format"),
        },
    };
    challenged(state, answer)
}

/// `GET /v2/auth`: a login with Basic, answered by a registry JWT.
pub(crate) fn log_in(state: &mut State, call: &Call<'_>) -> Answer {
    let credentials = call.request.header("authorization").map(basic_credentials);
    let subject = match &credentials {
        None if !state.anonymous_access => return abort(401, "Anonymous access is not allowed"),
        None if scopes(call).is_empty() => {
            let sentence = "access to the requested resource is not authorized";
            return challenged(state, registry_error(401, "UNAUTHORIZED", sentence));
        }
        None => "(anonymous)".to_owned(),
        Some(Err(_)) => return refused(state, "Specified credentials are invalid"),
        Some(Ok((name, password))) => match authenticate(state, name, password, call.now) {
            Ok(subject) => subject,
            Err(Refusal::Broken) => return server_error(),
            Err(Refusal::Sentence(_)) if !state.anonymous_access => {
                return abort(401, "Anonymous access is not allowed");
            }
            Err(Refusal::Sentence(sentence)) => return refused(state, &sentence),
        },
    };
    let mut access = Vec::new();
    for scope in scopes(call) {
        let Some(wanted) = Wanted::parse(&scope, &state.server_hostname) else {
            let sentence = format!("Unable to decode repository and actions: {scope}");
            return registry_error(400, "INVALID_REQUEST", &sentence);
        };
        access.push(wanted.granted(state, &subject));
    }
    if let Some(robot) = state.robots.get_mut(&subject)
        && state.user_last_accessed
        && robot.last_accessed.is_none_or(|last| call.now - last >= 60)
    {
        robot.last_accessed = Some(call.now);
    }
    let service = call.parameter("service");
    let token = state.keys.issue(service.as_deref(), &subject, &Value::Array(access), call.now);
    json_answer(200, &json!({ "token": token })).header("cache-control", "no-cache, no-store, must-revalidate")
}

/// Why a login fails.
pub(crate) enum Refusal {
    Sentence(String),
    /// The server breaks on it.
    Broken,
}

/// Whose login this is. Changes nothing.
pub(crate) fn authenticate(state: &State, name: &str, password: &str, now: i64) -> Result<String, Refusal> {
    let refusal = |sentence: &str| Err(Refusal::Sentence(sentence.to_owned()));
    if name == "$oauthtoken" {
        return match state.holder(password, now) {
            Some((user, ..)) => Ok(user.to_owned()),
            None => refusal("OAuth access token could not be validated"),
        };
    }
    let Some((namespace, _)) = name.split_once('+') else { return refusal("Invalid Username or Password") };
    if state.robots_disallowed && !state.robots_whitelist.contains(name) {
        return refusal("Robot account have been disabled. Please contact your administrator.");
    }
    let Some(robot) = state.robots.get(name) else { return refusal(NO_ROBOT) };
    if state.owner_is_disabled(namespace) {
        return Err(Refusal::Sentence(format!("Robot {name} owner {namespace} is disabled")));
    }
    check_password(state, name, robot, password, now).map(|()| name.to_owned())
}

/// Whether this bearer opens `GET /v2/`.
pub(crate) fn registry_token_is_good(state: &State, token: &str, now: i64) -> bool {
    // A federated robot token has no list of what it grants, so it is refused here.
    state.keys.verified(token, &state.server_hostname, now).is_some_and(|claims| claims["access"].is_array())
}

/// Name and password of a Basic header, or what is wrong with it.
pub(crate) fn basic_credentials(header: &str) -> Result<(String, String), &'static str> {
    let words: Vec<_> = header.split(' ').filter(|word| !word.is_empty()).collect();
    let encoded = match words.as_slice() {
        [scheme, encoded] if scheme.eq_ignore_ascii_case("basic") => encoded,
        _ => return Err("Invalid basic auth header"),
    };
    // Python passes over what is not of the alphabet.
    let encoded: String = encoded.chars().filter(|c| c.is_ascii_alphanumeric() || "+/=".contains(*c)).collect();
    let decoded = BASE64.decode(encoded).map_err(|_| "Could not parse basic auth header")?;
    let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
        return Err("Unexpected number of credentials found in basic auth header");
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| "Could not parse basic auth header");
    Ok((text(&decoded[..colon])?, text(&decoded[colon + 1..])?))
}

/// A JWT must be one that Quay signed for this robot. Quay breaks on any other, and on its own once it has ended.
fn check_password(state: &State, name: &str, robot: &Robot, password: &str, now: i64) -> Result<(), Refusal> {
    if Jwt::parse(password).is_none() {
        return match password == robot.token {
            true => Ok(()),
            false => {
                Err(Refusal::Sentence(format!("Could not find robot with username: {name} and supplied password.")))
            }
        };
    }
    match state.keys.verified(password, &state.server_hostname, now) {
        None => Err(Refusal::Broken),
        Some(claims) if claims["sub"] != name => Err(Refusal::Sentence("Token does not match robot".to_owned())),
        Some(_) => Ok(()),
    }
}

fn scopes(call: &Call<'_>) -> Vec<String> {
    let query = call.request.query.as_deref().unwrap_or_default();
    let parameters = url::form_urlencoded::parse(query.as_bytes());
    parameters
        .filter(|(name, value)| name == "scope" && !value.is_empty())
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// `repository:ORG/REPO:pull,push`
struct Wanted {
    name: String,
    actions: Vec<String>,
}

impl Wanted {
    fn parse(scope: &str, host: &str) -> Option<Self> {
        let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
        let name = name.strip_prefix(host).and_then(|name| name.strip_prefix('/')).unwrap_or(name);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        let actions: Vec<_> = actions.split(',').map(String::from).collect();
        let all_known = actions.iter().all(|action| ["push", "pull", "*"].contains(&action.as_str()));
        (!name.is_empty() && name.chars().all(is_plain) && all_known).then(|| Self { name: name.to_owned(), actions })
    }

    /// What is not allowed is left out without a word.
    fn granted(&self, state: &State, subject: &str) -> Value {
        let (namespace, repository) = self.name.split_once('/').unwrap_or(("library", &self.name));
        let role = state
            .robots
            .get(subject)
            .filter(|_| subject.split('+').next() == Some(namespace))
            .and_then(|robot| robot.permissions.iter().find(|permission| permission.repository == repository))
            .map(|permission| permission.role.as_str());
        let allowed: &[&str] = match role {
            Some("admin") => &["pull", "push", "*"],
            Some("write") => &["pull", "push"],
            Some(_) => &["pull"],
            None => &[],
        };
        let actions: Vec<_> = self.actions.iter().filter(|action| allowed.contains(&action.as_str())).collect();
        json!({ "type": "repository", "name": self.name, "actions": actions })
    }
}

fn refused(state: &State, sentence: &str) -> Answer {
    challenged(state, registry_error(401, "UNAUTHORIZED", sentence))
}

fn challenged(state: &State, answer: Answer) -> Answer {
    let host = &state.server_hostname;
    answer
        .header("www-authenticate", format!(r#"Bearer realm="https://{host}/v2/auth",service="{host}""#))
        .header("docker-distribution-api-version", "registry/2.0")
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);
