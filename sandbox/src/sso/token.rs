//! The token endpoint and its three grants.

use super::issue::{Tokens, Way, service_account_token};
use super::realm::{Client, Realm};
use super::session::{Kind, Session};
use super::{Call, client, error};
use crate::exchange::{Answer, Form};
use crate::random;

/// `POST …/token`. Checks the realm, then the grant's name, then the client, then for duplicates: Keycloak's order.
pub(crate) fn answer(realm: &mut Realm, call: &Call<'_>) -> Answer {
    uncached(respond(realm, call).unwrap_or_else(|refusal| refusal))
}

fn respond(realm: &mut Realm, call: &Call<'_>) -> Result<Answer, Answer> {
    let whole_form = call.form()?;
    call.check_tls(realm)?;
    call.check_enabled(realm)?;
    let grant = whole_form
        .value("grant_type")
        .ok_or_else(|| error(400, "invalid_request", "Missing form parameter: grant_type"))?;
    let act = match grant {
        "refresh_token" => refresh,
        "password" => password,
        "client_credentials" => client_credentials,
        _ => return Err(error(400, "unsupported_grant_type", "Unsupported grant_type")),
    };
    let form = whole_form.without_values_over(LONGEST_VALUE);
    let client = client::authenticate(realm, call.request, &form)?.clone();
    if whole_form.has_duplicates() {
        return Err(error(400, "invalid_request", "duplicated parameter"));
    }
    act(realm, call, &client, &form)
}

fn refresh(realm: &mut Realm, call: &Call<'_>, client: &Client, form: &Form) -> Result<Answer, Answer> {
    let token = form.value("refresh_token").ok_or_else(|| error(400, "invalid_request", "No refresh token"))?;
    let scope = checked_scope(client, form)?;
    let issuer = realm.issuer(call.origin);
    let used = realm
        .use_refresh_token(token, client, &issuer, call.now)
        .map_err(|sentence| error(400, "invalid_grant", &sentence))?;
    let token_scopes: Vec<String> = used.scope.split(' ').map(String::from).collect();
    let mut access_scopes = match scope {
        None => token_scopes.clone(),
        Some(scope) => client.granted(Some(scope)),
    };
    // A scope of the client's that the token lacks is dropped without a word.
    access_scopes.retain(|scope| token_scopes.contains(scope));
    let session = used.sid.as_ref().and_then(|id| realm.sessions.get(id));
    let session = session.ok_or_else(|| error(400, "invalid_grant", "Session not active"))?;
    let reuse_id = used.reuse_id;
    let tokens = Tokens { realm, client, session, issuer, token_scopes, access_scopes, reuse_id, way: Way::Refresh };
    Ok(tokens.answer(call.now))
}

fn password(realm: &mut Realm, call: &Call<'_>, client: &Client, form: &Form) -> Result<Answer, Answer> {
    if !client.password_grant {
        return Err(error(400, "unauthorized_client", "Client not allowed for direct access grants"));
    }
    let scope = checked_scope(client, form)?;
    let name = form.value("username").ok_or_else(|| error(401, "invalid_request", "Missing parameter: username"))?;
    let user = realm
        .users
        .get(name)
        .filter(|user| form.value("password") == Some(&user.password))
        .ok_or_else(|| error(400, "invalid_grant", "Invalid user credentials"))?;
    if !user.enabled {
        return Err(error(400, "invalid_grant", "Account disabled"));
    }
    let is_offline = scope.is_some_and(|scope| scope.split(' ').any(|word| word == "offline_access"));
    if is_offline && !user.offline_access {
        return Err(error(400, "not_allowed", "Offline tokens not allowed for the user or client"));
    }
    let kind = if is_offline { Kind::Offline } else { Kind::Online };
    let session = Session::start(name, kind, call.now);
    let issuer = realm.issuer(call.origin);
    Ok(log_in(realm, client, session, scope, issuer, call.now))
}

/// Starts a session and answers its first tokens.
pub(crate) fn log_in(
    realm: &mut Realm,
    client: &Client,
    session: Session,
    scope: Option<&str>,
    issuer: String,
    now: i64,
) -> Answer {
    let granted = client.granted(scope);
    let reuse_id = Some(random::uuid());
    let answer = Tokens {
        realm,
        client,
        session: &session,
        issuer,
        token_scopes: granted.clone(),
        access_scopes: granted,
        reuse_id,
        way: Way::Password,
    }
    .answer(now);
    realm.sessions.insert(session.id.clone(), session);
    answer
}

fn client_credentials(realm: &mut Realm, call: &Call<'_>, client: &Client, form: &Form) -> Result<Answer, Answer> {
    if client.secret.is_none() {
        return Err(error(401, "unauthorized_client", "Public client not allowed to retrieve service account"));
    }
    if !client.service_account {
        return Err(error(401, "unauthorized_client", "Client not enabled to retrieve service account"));
    }
    let scope = checked_scope(client, form)?;
    if !client.service_account_user_enabled {
        return Err(error(401, "invalid_request", &format!("User 'service-account-{}' disabled", client.id)));
    }
    let granted = client.granted(scope);
    Ok(service_account_token(realm, client, &granted, &realm.issuer(call.origin), call.now))
}

/// The `scope` parameter, if the client may ask for all of it.
fn checked_scope<'f>(client: &Client, form: &'f Form) -> Result<Option<&'f str>, Answer> {
    let scope = form.value("scope");
    match scope {
        Some(scope) if !client.may_ask_for(scope) => {
            Err(error(400, "invalid_scope", &format!("Invalid scopes: {scope}")))
        }
        _ => Ok(scope),
    }
}

/// The token endpoint alone forbids caching of all that it answers.
fn uncached(answer: Answer) -> Answer {
    if answer.status >= 500 || answer.status == 413 {
        return answer;
    }
    answer.header("cache-control", "no-store").header("pragma", "no-cache")
}

const LONGEST_VALUE: usize = 4000;
