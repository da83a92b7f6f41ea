//! New tokens and the answer they stand in.

use serde_json::{Map, Value, json};

use super::jwt;
use super::realm::{Client, Realm};
use super::session::{Kind, Session};
use crate::exchange::Answer;
use crate::random;

/// The tokens of a user's session that are about to be issued.
pub(crate) struct Tokens<'r> {
    pub(crate) realm: &'r Realm,
    pub(crate) client: &'r Client,
    pub(crate) session: &'r Session,
    pub(crate) issuer: String,
    /// What the refresh token stands for, hidden scopes included.
    pub(crate) token_scopes: Vec<String>,
    /// What the access token may do.
    pub(crate) access_scopes: Vec<String>,
    /// Of the chain: begun by a login, handed on by each refresh. A chain begun without rotation never gets one.
    pub(crate) reuse_id: Option<String>,
    pub(crate) way: Way,
}

/// What the tokens are issued for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Password,
    Refresh,
}

impl Tokens<'_> {
    pub(crate) fn answer(&self, now: i64) -> Answer {
        let now = now.div_euclid(1000);
        let left = self.session.end(self.realm).map_or(i64::MAX, |end| end - now);
        let access_life = self.client.access_life.unwrap_or(self.realm.access_life).min(left);
        let refresh_life = self.refresh_life().map(|life| life.min(left));
        let access_token = self.realm.keys.sign_asymmetric(&self.access_claims(now, access_life));

        let mut answer = Map::new();
        answer.insert("access_token".to_owned(), json!(access_token));
        answer.insert("expires_in".to_owned(), json!(access_life));
        answer.insert("refresh_expires_in".to_owned(), json!(refresh_life.unwrap_or(0)));
        if self.client.refresh_tokens {
            let refresh_token = self.realm.keys.sign_symmetric(&self.refresh_claims(now, refresh_life));
            answer.insert("refresh_token".to_owned(), json!(refresh_token));
        }
        answer.insert("token_type".to_owned(), json!("Bearer"));
        if self.token_scopes.iter().any(|scope| scope == "openid") {
            let id_token = self.realm.keys.sign_asymmetric(&self.id_claims(now, access_life, &access_token));
            answer.insert("id_token".to_owned(), json!(id_token));
        }
        answer.insert("not-before-policy".to_owned(), json!(self.not_before()));
        answer.insert("session_state".to_owned(), json!(self.session.id));
        answer.insert("scope".to_owned(), json!(self.realm.visible(&self.token_scopes)));
        Answer::json(200, &Value::Object(answer))
    }

    /// An offline token has an end only where the session has one; then it is the idle limit.
    fn refresh_life(&self) -> Option<i64> {
        match self.session.kind {
            Kind::Online => Some(self.realm.online_idle),
            Kind::Offline => self.realm.offline_limit.map(|_| self.realm.offline_idle),
        }
    }

    fn access_claims(&self, now: i64, life: i64) -> Value {
        let kind = match self.session.kind {
            Kind::Offline => "of",
            Kind::Online => "on",
        };
        let way = match self.way {
            Way::Password => "ro",
            Way::Refresh => "rt",
        };
        json!({
            "exp": now + life, "iat": now, "jti": format!("{kind}rt{way}:{}", random::uuid()),
            "iss": self.issuer, "sub": self.user_id(), "typ": "Bearer", "azp": self.client.id,
            "sid": self.session.id, "acr": "1", "scope": self.realm.visible(&self.access_scopes),
            "preferred_username": self.session.user,
        })
    }

    fn refresh_claims(&self, now: i64, life: Option<i64>) -> Value {
        let mut claims = Map::new();
        if let Some(life) = life {
            claims.insert("exp".to_owned(), json!(now + life));
        }
        let always = json!({
            "iat": now, "jti": random::uuid(), "iss": self.issuer, "aud": self.issuer, "sub": self.user_id(),
            "typ": self.session.kind.token_type(), "azp": self.client.id, "sid": self.session.id,
            "scope": self.token_scopes.join(" "), "prov": "default",
        });
        claims.extend(always.as_object().cloned().unwrap_or_default());
        if let Some(reuse_id) = self.reuse_id.as_ref().filter(|_| self.realm.rotation.is_some()) {
            claims.insert("reuse_id".to_owned(), json!(reuse_id));
        }
        Value::Object(claims)
    }

    fn id_claims(&self, now: i64, life: i64, access_token: &str) -> Value {
        json!({
            "exp": now + life, "iat": now, "jti": random::uuid(), "iss": self.issuer, "aud": self.client.id,
            "sub": self.user_id(), "typ": "ID", "azp": self.client.id, "sid": self.session.id,
            "at_hash": jwt::access_token_hash(access_token), "acr": "1", "preferred_username": self.session.user,
        })
    }

    fn user_id(&self) -> &str {
        self.realm.users.get(&self.session.user).map(|user| user.id.as_str()).unwrap_or_default()
    }

    fn not_before(&self) -> i64 {
        let user = self.realm.users.get(&self.session.user).map_or(0, |user| user.not_before);
        self.realm.not_before.max(user)
    }
}

/// The answer to a service account: no refresh token and no session.
pub(crate) fn service_account_token(
    realm: &Realm,
    client: &Client,
    scopes: &[String],
    issuer: &str,
    now: i64,
) -> Answer {
    let now = now.div_euclid(1000);
    let life = client.access_life.unwrap_or(realm.access_life);
    let name = format!("service-account-{}", client.id);
    let account = json!({
        "clientHost": "127.0.0.1", "preferred_username": name, "clientAddress": "127.0.0.1", "client_id": client.id,
    });
    let signed = |claims: Value| {
        let mut claims = claims.as_object().cloned().unwrap_or_default();
        claims.extend(account.as_object().cloned().unwrap_or_default());
        realm.keys.sign_asymmetric(&Value::Object(claims))
    };
    let access_token = signed(json!({
        "exp": now + life, "iat": now, "jti": format!("trrtcc:{}", random::uuid()), "iss": issuer,
        "sub": client.service_account_id, "typ": "Bearer", "azp": client.id, "acr": "1",
        "scope": realm.visible(scopes),
    }));
    let mut answer = Map::new();
    answer.insert("access_token".to_owned(), json!(access_token));
    answer.insert("expires_in".to_owned(), json!(life));
    answer.insert("refresh_expires_in".to_owned(), json!(0));
    answer.insert("token_type".to_owned(), json!("Bearer"));
    if scopes.iter().any(|scope| scope == "openid") {
        let id_token = signed(json!({
            "exp": now + life, "iat": now, "jti": random::uuid(), "iss": issuer, "aud": client.id,
            "sub": client.service_account_id, "typ": "ID", "azp": client.id,
            "at_hash": jwt::access_token_hash(&access_token), "acr": "1",
        }));
        answer.insert("id_token".to_owned(), json!(id_token));
    }
    answer.insert("not-before-policy".to_owned(), json!(realm.not_before));
    answer.insert("scope".to_owned(), json!(realm.visible(scopes)));
    Answer::json(200, &Value::Object(answer))
}
