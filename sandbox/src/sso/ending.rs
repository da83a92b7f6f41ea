//! What ends sessions and tokens: revocation and log-out.

use super::jwt::Claims;
use super::realm::Realm;
use super::{Call, client, error};
use crate::exchange::Answer;

/// `POST …/revoke`. A dead or senseless token is answered with 200 too, then with an error as body.
pub(crate) fn revoke(realm: &mut Realm, call: &Call<'_>) -> Result<Answer, Answer> {
    call.check_tls(realm)?;
    call.check_enabled(realm)?;
    let form = call.form()?;
    let client_id = client::authenticate(realm, call.request, &form)?.id.clone();
    if form.has_duplicates() {
        return Err(error(400, "invalid_request", "duplicated parameter"));
    }
    let token = form.value("token").ok_or_else(|| error(400, "invalid_request", "Token not provided"))?;
    let invalid = || error(200, "invalid_token", "Invalid token");
    let claims = realm.living_token(token, call).ok_or_else(invalid)?;
    if !["Bearer", "Offline", "Refresh"].contains(&claims.typ.as_str()) {
        return Err(error(400, "unsupported_token_type", "Unsupported token type"));
    }
    if claims.azp != client_id {
        return Err(error(400, "invalid_request", "Unmatching clients"));
    }
    if claims.sid.is_some() && realm.session_with_client(&claims, call.now).is_none() {
        return Err(invalid());
    }
    match (claims.typ.as_str(), claims.sid) {
        ("Offline" | "Refresh", Some(session)) => drop(realm.sessions.remove(&session)),
        _ => drop(realm.revoked.insert(claims.jti)),
    }
    Ok(Answer::empty(200))
}

/// `POST …/logout`. Without a token it is meant for people: a page, and nothing done.
pub(crate) fn log_out(realm: &mut Realm, call: &Call<'_>) -> Result<Answer, Answer> {
    call.check_tls(realm)?;
    let form = call.form()?;
    let Some(token) = form.value("refresh_token") else {
        return Ok(Answer::text(200, "text/html;charset=utf-8", PAGE).header("cache-control", "no-cache"));
    };
    let client = client::authenticate(realm, call.request, &form)?;
    let issuer = realm.issuer(call.origin);
    let claims = realm
        .checked_refresh_token(token, client, &issuer)
        .map_err(|sentence| error(400, "invalid_grant", &sentence))?;
    if let Some(session) = claims.sid {
        realm.sessions.remove(&session);
    }
    Ok(Answer::empty(204).header("cache-control", "no-cache"))
}

impl Realm {
    fn living_token(&self, token: &str, call: &Call<'_>) -> Option<Claims> {
        let issuer = self.issuer(call.origin);
        let now = call.now.div_euclid(1000);
        self.keys
            .verified(token)
            .filter(|claims| claims.iss == issuer && !claims.is_expired(now) && claims.iat >= self.not_before)
    }
}

const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Logging out</title></head><body>Do you want to log out?</body></html>\n";
