//! A realm: its settings, clients and users, read from the same file that the real Keycloak imports.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::sync::Arc;

use serde::Deserialize;

use super::jwt::Keys;
use super::session::Session;
use crate::random;
use crate::signing::SigningKey;

/// A realm with all its switches. Times are in seconds.
#[derive(Debug)]
pub struct Realm {
    /// Its name, case-sensitive.
    pub name: String,
    /// Switched off, no token is to be had.
    pub enabled: bool,
    /// Refuses plain http.
    pub require_tls: bool,
    /// Scheme, host and port of the issuer; without it they are those the client called.
    pub public_url: Option<String>,
    /// How long an access token lives.
    pub access_life: i64,
    /// How long an offline session lives unused.
    pub offline_idle: i64,
    /// How long an offline session lives at most; with such a limit offline tokens have an `exp`.
    pub offline_limit: Option<i64>,
    /// How long an online session lives unused.
    pub online_idle: i64,
    /// How long an online session lives at most.
    pub online_limit: i64,
    /// Rotation: how often a used refresh token may be used again. `None`: rotation is off.
    pub rotation: Option<u32>,
    /// Tokens issued before this second are stale.
    pub not_before: i64,
    /// By client id.
    pub clients: BTreeMap<String, Client>,
    /// By user name.
    pub users: BTreeMap<String, User>,
    pub(crate) hidden_scopes: BTreeSet<String>,
    pub(crate) keys: Keys,
    pub(crate) sessions: HashMap<String, Session>,
    /// The `jti` of access tokens that were revoked themselves.
    pub(crate) revoked: HashSet<String>,
    pub(crate) refreshes: u64,
}

/// A client of a realm.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its client id.
    pub id: String,
    /// Disabled, it is as good as unknown.
    pub enabled: bool,
    /// A confidential client has one, a public one has not.
    pub secret: Option<String>,
    /// May use the password grant.
    pub password_grant: bool,
    /// May use the client credentials grant.
    pub service_account: bool,
    /// The user behind the service account is enabled.
    pub service_account_user_enabled: bool,
    /// Answers have a `refresh_token`.
    pub refresh_tokens: bool,
    /// Its own idle limit of offline sessions.
    pub offline_idle: Option<i64>,
    /// Its own life of access tokens.
    pub access_life: Option<i64>,
    /// Tokens issued to it before this second are stale.
    pub not_before: i64,
    /// Scopes every token gets.
    pub default_scopes: Vec<String>,
    /// Scopes a token gets when asked for.
    pub optional_scopes: Vec<String>,
    pub(crate) service_account_id: String,
}

/// A user of a realm.
#[derive(Clone, Debug)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// The password to log in with.
    pub password: String,
    /// Disabled, all tokens of the user rest.
    pub enabled: bool,
    /// Has the role `offline_access`.
    pub offline_access: bool,
    /// Tokens issued before this second are stale: an administrator logged the user out.
    pub not_before: i64,
    pub(crate) id: String,
}

impl Realm {
    /// The realms of the contract, and any other name with the settings of `redhat-external`.
    pub(crate) fn named(name: &str, key: Arc<SigningKey>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let file: RealmFile = serde_json::from_str(REALM_FILE)?;
        let mut realm = file.into_realm(name, key);
        match name {
            "rotating" => realm.rotation = Some(0),
            "rotating-reuse-1" => realm.rotation = Some(1),
            "tls-only" => realm.require_tls = true,
            "limited" => {
                realm.offline_idle = 20;
                realm.offline_limit = Some(60);
            }
            _ => {}
        }
        Ok(realm)
    }

    /// Ends one session, as an administrator can; its id is the claim `sid` of its tokens.
    pub fn end_session(&mut self, id: &str) {
        self.sessions.remove(id);
    }

    pub(crate) fn issuer(&self, origin: &str) -> String {
        format!("{}/auth/realms/{}", self.public_url.as_deref().unwrap_or(origin), self.name)
    }

    /// The scopes without those that show in no answer and no access token.
    pub(crate) fn visible(&self, scopes: &[String]) -> String {
        let visible: Vec<_> =
            scopes.iter().filter(|scope| !self.hidden_scopes.contains(*scope)).map(String::as_str).collect();
        visible.join(" ")
    }
}

impl Client {
    /// Whether every word of a `scope` parameter is one this client may ask for; the empty parameter has an empty word.
    pub(crate) fn may_ask_for(&self, scope: &str) -> bool {
        scope.split(' ').all(|word| {
            word == "openid" || self.default_scopes.iter().chain(&self.optional_scopes).any(|known| known == word)
        })
    }

    /// The scopes a token gets: what was asked for, and the client's defaults.
    pub(crate) fn granted(&self, scope: Option<&str>) -> Vec<String> {
        let mut granted = Vec::new();
        let asked = scope.unwrap_or_default().split(' ').filter(|word| !word.is_empty());
        for word in asked.chain(self.default_scopes.iter().map(String::as_str)) {
            if !granted.iter().any(|scope| scope == word) {
                granted.push(word.to_owned());
            }
        }
        granted
    }
}

/// The part of an imported realm file that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RealmFile {
    access_token_lifespan: i64,
    sso_session_idle_timeout: i64,
    sso_session_max_lifespan: i64,
    offline_session_idle_timeout: i64,
    client_scopes: Vec<ScopeFile>,
    users: Vec<UserFile>,
    clients: Vec<ClientFile>,
}

#[derive(Deserialize)]
struct ScopeFile {
    name: String,
    attributes: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserFile {
    username: String,
    enabled: bool,
    credentials: Vec<CredentialFile>,
    realm_roles: Vec<String>,
}

#[derive(Deserialize)]
struct CredentialFile {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientFile {
    client_id: String,
    enabled: bool,
    secret: Option<String>,
    direct_access_grants_enabled: bool,
    #[serde(default)]
    service_accounts_enabled: bool,
    attributes: HashMap<String, String>,
    default_client_scopes: Vec<String>,
    optional_client_scopes: Vec<String>,
}

impl RealmFile {
    fn into_realm(self, name: &str, key: Arc<SigningKey>) -> Realm {
        let is_hidden =
            |scope: &ScopeFile| scope.attributes.get("include.in.token.scope").is_some_and(|is| is == "false");
        Realm {
            name: name.to_owned(),
            enabled: true,
            require_tls: false,
            public_url: None,
            access_life: self.access_token_lifespan,
            offline_idle: self.offline_session_idle_timeout,
            offline_limit: None,
            online_idle: self.sso_session_idle_timeout,
            online_limit: self.sso_session_max_lifespan,
            rotation: None,
            not_before: 0,
            hidden_scopes: self.client_scopes.into_iter().filter(is_hidden).map(|scope| scope.name).collect(),
            clients: self.clients.into_iter().map(|file| (file.client_id.clone(), file.into())).collect(),
            users: self.users.into_iter().map(|file| (file.username.clone(), file.into())).collect(),
            keys: Keys::new(key),
            sessions: HashMap::new(),
            revoked: HashSet::new(),
            refreshes: 0,
        }
    }
}

impl From<ClientFile> for Client {
    fn from(file: ClientFile) -> Self {
        let seconds = |name: &str| file.attributes.get(name).and_then(|value| value.parse().ok());
        Self {
            enabled: file.enabled,
            password_grant: file.direct_access_grants_enabled,
            service_account: file.service_accounts_enabled,
            service_account_user_enabled: true,
            refresh_tokens: true,
            offline_idle: seconds("client.offline.session.idle.timeout"),
            access_life: seconds("access.token.lifespan"),
            not_before: 0,
            id: file.client_id,
            secret: file.secret,
            default_scopes: file.default_client_scopes,
            optional_scopes: file.optional_client_scopes,
            service_account_id: random::uuid(),
        }
    }
}

impl From<UserFile> for User {
    fn from(file: UserFile) -> Self {
        Self {
            enabled: file.enabled,
            password: file.credentials.into_iter().next().map(|credential| credential.value).unwrap_or_default(),
            offline_access: file.realm_roles.iter().any(|role| role == "offline_access"),
            not_before: 0,
            id: random::uuid(),
            name: file.username,
        }
    }
}

const REALM_FILE: &str = include_str!("../../../tests/keycloak/redhat-external.json");
