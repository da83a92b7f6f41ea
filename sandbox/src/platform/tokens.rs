//! Tokens: create, read, change, delete, and the lists of them.

use serde_json::{Map, Value, json};

use super::access::{Caller, external_refusal};
use super::answers::{self, Complaints, detail};
use super::api::{Call, View};
use super::fields;
use super::flavour::Release;
use super::state::{State, Token, Wanted};
use super::{list, rows, time};
use crate::exchange::Answer;

/// `POST tokens/`, and what the controller has beside it. Whatever the path says, the token is the caller's own.
pub(crate) fn create(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    application: Option<i64>,
    needs_application: bool,
) -> Result<Answer, Answer> {
    if application.is_some_and(|id| state.application(id).is_none()) {
        return Err(answers::no_match("OAuth2Application"));
    }
    let fields = call.fields(state.release)?;
    let mut change = Change::read(state, &fields, needs_application && application.is_none())?;
    change.application = application.map(Some).or(change.application);
    change.check_application(state, caller)?;
    if let Some(sentence) = external_refusal(state, &caller.user) {
        return Err(detail(403, sentence));
    }
    let application = change.application.flatten();
    let owner = application.and_then(|id| state.application(id)).and_then(|application| application.user);
    let wanted = Wanted {
        user: owner.unwrap_or(caller.user.id),
        made_by: caller.user.id,
        application,
        description: change.description.unwrap_or_default(),
        scope: change.scope.unwrap_or_else(|| DEFAULT_SCOPE.to_owned()),
    };
    let token = state.issue(wanted, call.now);
    let place = call.link(&format!("tokens/{}/", token.id));
    Ok(Answer::json(201, &rows::new_token(state, call, &token)).header("location", place))
}

/// `GET tokens/ID/`.
pub(crate) fn read(state: &State, call: &Call<'_>, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    let token = readable(state, caller, id)?;
    Ok(Answer::json(200, &rows::token(state, call, token)))
}

/// `PATCH` and `PUT tokens/ID/`. A `PUT` without a scope sets the controller's default.
pub(crate) fn change(
    state: &mut State,
    call: &Call<'_>,
    caller: &Caller,
    id: i64,
    is_put: bool,
) -> Result<Answer, Answer> {
    let release = state.release;
    writable(state, caller, id)?;
    let fields = call.fields(release)?;
    let mut change = Change::read(state, &fields, false)?;
    if release.is_controller() {
        change.application = None;
        change.scope = change.scope.or_else(|| is_put.then(|| DEFAULT_SCOPE.to_owned()));
    }
    change.check_application(state, caller)?;
    let (user, now) = (caller.user.id, call.now);
    let Some(token) = state.token_mut(id) else { return Err(answers::no_match(CLASS)) };
    change.apply(token);
    (token.modified, token.modified_by) = (now, user);
    let token = token.clone();
    Ok(Answer::json(200, &rows::token(state, call, &token)))
}

/// `DELETE tokens/ID/`.
pub(crate) fn delete(state: &mut State, caller: &Caller, id: i64) -> Result<Answer, Answer> {
    writable(state, caller, id)?;
    state.delete_token(id);
    Ok(Answer::empty(204))
}

/// `GET tokens/`.
pub(crate) fn list(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Answer, Answer> {
    page(state, call, visible(state, caller).collect())
}

/// `GET users/ID/tokens/` and its narrower neighbours, which on the controller are about the caller, whatever the id.
pub(crate) fn of_user(
    state: &State,
    call: &Call<'_>,
    caller: &Caller,
    user: i64,
    view: View,
) -> Result<Answer, Answer> {
    let user = match view {
        View::All if state.release.is_controller() && state.user(user).is_none() => {
            return Err(answers::no_match("User"));
        }
        View::Personal | View::Authorized if state.release.is_controller() => caller.user.id,
        _ => user,
    };
    let is_wanted = |token: &&Token| match view {
        View::All => true,
        View::Personal => token.application.is_none(),
        View::Authorized => token.application.is_some(),
    };
    page(state, call, visible(state, caller).filter(|token| token.user == user).filter(is_wanted).collect())
}

/// `GET applications/ID/tokens/`.
pub(crate) fn of_application(
    state: &State,
    call: &Call<'_>,
    caller: &Caller,
    application: i64,
) -> Result<Answer, Answer> {
    if state.application(application).is_none() {
        return Err(answers::no_match("OAuth2Application"));
    }
    page(state, call, visible(state, caller).filter(|token| token.application == Some(application)).collect())
}

fn page(state: &State, call: &Call<'_>, tokens: Vec<&Token>) -> Result<Answer, Answer> {
    list::page(state, call, tokens, |token| rows::token(state, call, token))
}

/// The rows that the caller sees in a list.
fn visible<'s>(state: &'s State, caller: &Caller) -> impl Iterator<Item = &'s Token> {
    let sees_all = caller.sees_everything() || state.release.lists_foreign_rows();
    let own = caller.user.id;
    state.tokens.iter().filter(move |token| sees_all || token.user == own)
}

fn readable<'s>(state: &'s State, caller: &Caller, id: i64) -> Result<&'s Token, Answer> {
    let token = state.token(id).ok_or_else(|| answers::no_match(CLASS))?;
    if token.user == caller.user.id || caller.sees_everything() { Ok(token) } else { Err(foreign(state.release)) }
}

fn writable(state: &State, caller: &Caller, id: i64) -> Result<(), Answer> {
    let token = state.token(id).ok_or_else(|| answers::no_match(CLASS))?;
    if token.user == caller.user.id || caller.user.is_superuser { Ok(()) } else { Err(foreign(state.release)) }
}

fn foreign(release: Release) -> Answer {
    if release.hides_foreign_rows() { answers::no_match(CLASS) } else { answers::forbidden() }
}

/// What a body asks for; anything else in it is not looked at. `application: Some(None)` takes it away.
struct Change {
    description: Option<String>,
    scope: Option<String>,
    application: Option<Option<i64>>,
}

impl Change {
    fn read(state: &State, fields: &Map<String, Value>, needs_application: bool) -> Result<Self, Answer> {
        let mut complaints = Complaints::default();
        let release = state.release;
        let description = complaints.note("description", description(release, fields)).flatten();
        let is_there = |id| state.application(id).is_some();
        let application = fields::key(fields, "application", is_there).and_then(|application| match application {
            None if needs_application => Err(fields::REQUIRED.to_owned()),
            application => Ok(application),
        });
        let application = complaints.note("application", application).flatten();
        let scope = complaints.note("scope", scope(release, fields)).flatten();
        complaints.into_result()?;
        Ok(Self { description, scope, application })
    }

    /// On a gateway an application is for superusers, on a controller for the members of its organization.
    fn check_application(&self, state: &State, caller: &Caller) -> Result<(), Answer> {
        let Some(application) = self.application.flatten().and_then(|id| state.application(id)) else { return Ok(()) };
        let is_member = state.release.is_controller() && caller.is_member_of(application.organization);
        if caller.user.is_superuser || is_member { Ok(()) } else { Err(answers::forbidden()) }
    }

    fn apply(self, token: &mut Token) {
        token.description = self.description.unwrap_or_else(|| token.description.clone());
        token.scope = self.scope.unwrap_or_else(|| token.scope.clone());
        token.application = self.application.unwrap_or(token.application);
    }
}

fn description(release: Release, fields: &Map<String, Value>) -> Result<Option<String>, String> {
    match fields.get("description") {
        Some(Value::Null) if release.is_controller() => Ok(Some(String::new())),
        _ => fields::text(fields, "description"),
    }
}

fn scope(release: Release, fields: &Map<String, Value>) -> Result<Option<String>, String> {
    let allowed = release.scopes();
    let not_simple = || {
        let words: Vec<_> = allowed.iter().map(|word| format!("'{word}'")).collect();
        format!("Must be a simple space-separated string with allowed scopes [{}].", words.join(", "))
    };
    let text = match fields.get("scope") {
        Some(Value::Null) if release.is_controller() => return Err(not_simple()),
        _ => fields::text(fields, "scope")?,
    };
    let Some(text) = text else { return Ok(None) };
    if release.is_controller() {
        let words: Vec<_> = text.split_whitespace().collect();
        let is_good = !words.is_empty() && !is_repeated(&words) && words.iter().all(|word| allowed.contains(word));
        return if is_good { Ok(Some(text)) } else { Err(not_simple()) };
    }
    let words: Vec<_> = text.split(' ').collect();
    match words.iter().find(|word| !allowed.contains(word)) {
        _ if text.is_empty() => Err(fields::BLANK.to_owned()),
        Some(word) => Err(format!("Invalid scope: {word}. Must be one of: {}", allowed.join(", "))),
        None if is_repeated(&words) => Err(not_simple()),
        None => Ok(Some(text)),
    }
}

fn is_repeated(words: &[&str]) -> bool {
    words.iter().enumerate().any(|(index, word)| words[..index].contains(word))
}

/// What the control endpoint tells of a token.
pub(crate) fn shown(state: &State, token: &Token) -> Value {
    let record = state.record(token);
    json!({
        "id": record.id, "description": record.description, "scope": record.scope, "user": record.username,
        "application": record.application, "expires": time::text(token.expires),
        "last_used": token.last_used.map(time::text), "told": record.told,
    })
}

pub(crate) const CLASS: &str = "OAuth2AccessToken";
const DEFAULT_SCOPE: &str = "write";
