//! What only reads: user info, introspection, keys, discovery.

use serde_json::{Value, json};

use super::jwt::Claims;
use super::realm::Realm;
use super::{Call, client, error};
use crate::exchange::Answer;

/// `GET` or `POST …/userinfo`.
pub(crate) fn user_info(realm: &Realm, call: &Call<'_>) -> Result<Answer, Answer> {
    let in_header = call.request.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    let form = call.form()?;
    let token = match (in_header, form.value("access_token")) {
        (Some(_), Some(_)) => {
            let sentence = "More than one method used for including an access token";
            return Err(challenge(realm, 400, Some(("invalid_request", sentence))));
        }
        (Some(token), None) | (None, Some(token)) => token,
        (None, None) => return Err(challenge(realm, 401, None)),
    };
    let invalid = |sentence: &str| challenge(realm, 401, Some(("invalid_token", sentence)));
    let claims = realm
        .valid_access_token(token, &realm.issuer(call.origin), call.now)
        .ok_or_else(|| invalid("Token verification failed"))?;
    // Checked before the session and the list of revoked tokens: a 403 proves less than a 200.
    if !claims.has_scope("openid") {
        return Err(challenge(realm, 403, Some(("insufficient_scope", "Missing openid scope"))));
    }
    let (id, name) = realm.token_holder(&claims, call.now).map_err(invalid)?;
    // The endpoint and the answer each set the header, so it comes twice.
    Ok(Answer::json(200, &json!({ "sub": id, "preferred_username": name }))
        .header("cache-control", "no-store")
        .header("pragma", "no-cache")
        .header("cache-control", "no-cache"))
}

/// `POST …/token/introspect`. No realm of the sandbox maps an audience, so nothing is ever active.
pub(crate) fn introspect(realm: &Realm, call: &Call<'_>) -> Result<Answer, Answer> {
    call.check_tls(realm)?;
    call.check_enabled(realm)?;
    let form = call.form()?;
    let client = client::authenticate(realm, call.request, &form).map_err(|refusal| {
        // A known client with a wrong secret gets another sentence here than at the token endpoint.
        match is_unauthorized(&refusal) {
            true => error(401, "invalid_client", "Client authentication failed."),
            false => refusal,
        }
    })?;
    if client.secret.is_none() {
        return Err(error(403, "invalid_request", "Client not allowed."));
    }
    if form.value("token").is_none() {
        return Err(error(400, "invalid_request", "Token not provided."));
    }
    Ok(Answer::json(200, &json!({ "active": false })).header("cache-control", "no-cache"))
}

/// `GET …/certs`.
pub(crate) fn keys(realm: &Realm, call: &Call<'_>) -> Result<Answer, Answer> {
    call.check_tls(realm)?;
    Ok(Answer::json(200, &realm.keys.public()).header("cache-control", "no-cache"))
}

/// `GET /.well-known/openid-configuration`: the keys a client of tokens uses, of the many there are.
pub(crate) fn discovery(realm: &Realm, call: &Call<'_>) -> Result<Answer, Answer> {
    call.check_tls(realm)?;
    let issuer = realm.issuer(call.origin);
    let endpoint = |path: &str| format!("{issuer}/protocol/openid-connect/{path}");
    let methods =
        ["private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth", "client_secret_jwt"];
    let mut scopes: Vec<&str> = realm
        .clients
        .values()
        .flat_map(|client| client.default_scopes.iter().chain(&client.optional_scopes))
        .map(String::as_str)
        .collect();
    scopes.push("openid");
    scopes.sort_unstable();
    scopes.dedup();
    let body = json!({
        "issuer": issuer,
        "token_endpoint": endpoint("token"),
        "introspection_endpoint": endpoint("token/introspect"),
        "userinfo_endpoint": endpoint("userinfo"),
        "end_session_endpoint": endpoint("logout"),
        "jwks_uri": endpoint("certs"),
        "grant_types_supported": ["client_credentials", "password", "refresh_token"],
        "token_endpoint_auth_methods_supported": methods,
        "scopes_supported": scopes,
        "revocation_endpoint": endpoint("revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
    });
    Ok(Answer::json(200, &body).header("cache-control", "no-cache, must-revalidate, no-transform, no-store"))
}

impl Realm {
    /// The claims of an access token whose signature, issuer, type and end are right, and which no "not before" bars.
    pub(crate) fn valid_access_token(&self, token: &str, issuer: &str, now: i64) -> Option<Claims> {
        self.keys.verified(token).filter(|claims| {
            let is_right = claims.typ == "Bearer" && claims.iss == issuer;
            is_right && !claims.is_expired(now.div_euclid(1000)) && claims.iat >= self.not_before
        })
    }

    /// Id and name of the one an access token stands for, if the token still does: else the sentence to answer.
    pub(crate) fn token_holder(&self, claims: &Claims, now: i64) -> Result<(String, String), &'static str> {
        let client = self.clients.get(&claims.azp).filter(|client| client.enabled).ok_or("Client disabled")?;
        if self.revoked.contains(&claims.jti) {
            return Err("Token verification failed");
        }
        if claims.sid.is_none() {
            let name = format!("service-account-{}", client.id);
            let account = (client.service_account_id.clone(), name);
            return if client.service_account_user_enabled { Ok(account) } else { Err("User disabled") };
        }
        let (_, user) = self.session_with_client(claims, now).ok_or("user_session_not_found")?;
        if !user.enabled {
            return Err("User disabled");
        }
        if claims.iat < user.not_before {
            return Err("User not valid");
        }
        Ok((user.id.clone(), user.name.clone()))
    }
}

fn challenge(realm: &Realm, status: u16, error: Option<(&str, &str)>) -> Answer {
    let details = error
        .map(|(error, sentence)| format!(r#", error="{error}", error_description="{sentence}""#))
        .unwrap_or_default();
    Answer::empty(status)
        .header("content-type", "text/plain;charset=utf-8")
        .header("www-authenticate", format!(r#"Bearer realm="{}"{details}"#, realm.name))
        .header("cache-control", "no-store")
        .header("pragma", "no-cache")
}

fn is_unauthorized(refusal: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
    body["error"] == "unauthorized_client"
}
