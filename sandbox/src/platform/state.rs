//! What a token server of the platform knows: its switches, users, organizations, applications and tokens.

use std::time::Duration;

use super::flavour::Release;
use super::time;
use crate::certificates::Certificate;
use crate::controller::objects::{Object, Objects};
use crate::random;

/// A token server with all its switches.
#[derive(Debug)]
pub struct State {
    /// What it is made of. A gateway stays a gateway, and a controller a controller.
    pub release: Release,
    /// Users may log in with their passwords at every call.
    pub basic_auth: bool,
    /// Users of an external identity provider may have tokens.
    pub external_users: bool,
    /// How long a token lives from its making, in seconds.
    pub token_life: i64,
    /// How long a refresh token lives, in seconds.
    pub refresh_life: i64,
    /// So many seconds the header `Date` is ahead of the clock.
    pub date_skew: i64,
    /// How long every answer takes. Concurrent requests wait side by side.
    pub latency: Duration,
    /// What the server shows of itself to new connections.
    pub certificate: Certificate,
    /// Everybody who may log in.
    pub users: Vec<User>,
    pub(crate) organizations: Vec<Organization>,
    pub(crate) applications: Vec<Application>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) refresh_tokens: Vec<RefreshToken>,
    pub(crate) objects: Objects,
    last_id: i64,
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The primary key.
    pub id: i64,
    /// Compared exactly.
    pub username: String,
    /// The local password.
    pub password: String,
    /// May do everything.
    pub is_superuser: bool,
    /// May see everything.
    pub is_auditor: bool,
    /// May log in at all.
    pub is_active: bool,
    /// The external identity provider that the user is tied to.
    pub provider: Option<String>,
    /// The organizations that the user is a member of.
    pub organizations: Vec<i64>,
}

/// The record of a token; the secret is not in it. Times are in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The primary key.
    pub id: i64,
    /// Not unique.
    pub description: String,
    /// Separated by blanks.
    pub scope: String,
    /// Whose token it is.
    pub username: String,
    /// The primary key of its application; a personal token has none.
    pub application: Option<i64>,
    /// When it was made.
    pub created: i64,
    /// When it ends.
    pub expires: i64,
    /// When it was last used to log in.
    pub last_used: Option<i64>,
    /// Whether an answer with the secret went out. It is lost when a fault kept the answer.
    pub told: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Organization {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Where its projects get collections from, in this order.
    pub(crate) galaxy_credentials: Vec<i64>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) organization: i64,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) is_public: bool,
    pub(crate) grant: String,
    pub(crate) redirect_uris: String,
    pub(crate) user: Option<i64>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) id: i64,
    pub(crate) secret: String,
    pub(crate) user: i64,
    pub(crate) made_by: i64,
    pub(crate) modified_by: i64,
    pub(crate) application: Option<i64>,
    pub(crate) description: String,
    pub(crate) scope: String,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) expires: i64,
    pub(crate) last_used: Option<i64>,
    pub(crate) told: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct RefreshToken {
    pub(crate) secret: String,
    /// `None`: the access token is gone, and the server stumbles over it.
    pub(crate) token: Option<i64>,
    pub(crate) application: i64,
    pub(crate) user: i64,
    pub(crate) created: i64,
    pub(crate) is_revoked: bool,
}

/// What a token is made of.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) user: i64,
    pub(crate) made_by: i64,
    pub(crate) application: Option<i64>,
    pub(crate) description: String,
    pub(crate) scope: String,
}

impl State {
    /// The world the sandbox begins with: two organizations with an application `ci` each, and `deploy` in the first.
    pub(crate) fn new(release: Release, now: i64) -> Self {
        let mut state = Self {
            release,
            basic_auth: true,
            external_users: false,
            token_life: release.default_life(),
            refresh_life: 2_628_000,
            date_skew: 0,
            latency: Duration::ZERO,
            certificate: Certificate::Good,
            users: users(),
            organizations: Vec::new(),
            applications: Vec::new(),
            tokens: Vec::new(),
            refresh_tokens: Vec::new(),
            objects: if release.is_controller() { Objects::new(now) } else { Objects::default() },
            last_id: 0,
        };
        for name in ["Default", "Engineering"] {
            state.add_organization(name, now);
        }
        for (name, organization) in [("ci", 1), ("ci", 2), ("deploy", 1)] {
            state.add_application(name, organization, now);
        }
        state
    }

    pub(crate) fn user(&self, id: i64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(crate) fn user_named(&self, username: &str) -> Option<&User> {
        self.users.iter().find(|user| user.username == username)
    }

    /// Unless there is such a user, a new one without any rights.
    pub(crate) fn user_or_new(&mut self, username: &str) -> &mut User {
        let index = self.users.iter().position(|user| user.username == username).unwrap_or_else(|| {
            let id = self.users.iter().map(|user| user.id).max().unwrap_or_default() + 1;
            self.users.push(User::ordinary(id, username));
            self.users.len() - 1
        });
        &mut self.users[index]
    }

    pub(crate) fn username(&self, id: i64) -> &str {
        self.user(id).map(|user| user.username.as_str()).unwrap_or_default()
    }

    pub(crate) fn organization(&self, id: i64) -> Option<&Organization> {
        self.organizations.iter().find(|organization| organization.id == id)
    }

    pub(crate) fn organization_mut(&mut self, id: i64) -> Option<&mut Organization> {
        self.organizations.iter_mut().find(|organization| organization.id == id)
    }

    pub(crate) fn add_organization(&mut self, name: &str, now: i64) -> i64 {
        let id = self.organizations.iter().map(|known| known.id).max().unwrap_or_default() + 1;
        let (name, description, galaxy_credentials) = (name.to_owned(), String::new(), Vec::new());
        self.organizations.push(Organization {
            id,
            name,
            description,
            galaxy_credentials,
            created: now,
            modified: now,
        });
        self.objects.add_roles(Object::Organization(id));
        id
    }

    pub(crate) fn application(&self, id: i64) -> Option<&Application> {
        self.applications.iter().find(|application| application.id == id)
    }

    pub(crate) fn token(&self, id: i64) -> Option<&Token> {
        self.tokens.iter().find(|token| token.id == id)
    }

    pub(crate) fn token_mut(&mut self, id: i64) -> Option<&mut Token> {
        self.tokens.iter_mut().find(|token| token.id == id)
    }

    /// A token dies with its user, too.
    pub(crate) fn is_live(&self, token: &Token, now: i64) -> bool {
        !token.is_expired(now) && self.user(token.user).is_some()
    }

    /// The refresh token that belongs to an access token.
    pub(crate) fn refresh_of(&self, token: i64) -> Option<&RefreshToken> {
        self.refresh_tokens.iter().find(|refresh| refresh.token == Some(token) && !refresh.is_revoked)
    }

    /// A password application, confidential.
    pub(crate) fn add_application(&mut self, name: &str, organization: i64, now: i64) -> i64 {
        let id = self.next_id();
        self.applications.push(Application {
            id,
            name: name.to_owned(),
            description: String::new(),
            organization,
            client_id: random::characters::<40>(ALPHABET),
            client_secret: random::characters::<128>(ALPHABET),
            is_public: false,
            grant: "password".to_owned(),
            redirect_uris: String::new(),
            user: None,
            created: now,
            modified: now,
        });
        id
    }

    /// A new token, with a refresh token if it has an application.
    pub(crate) fn issue(&mut self, wanted: Wanted, now: i64) -> Token {
        let token = Token {
            id: self.next_id(),
            secret: random::characters::<30>(ALPHABET),
            user: wanted.user,
            made_by: wanted.made_by,
            modified_by: wanted.made_by,
            application: wanted.application,
            description: wanted.description,
            scope: wanted.scope,
            created: now,
            modified: now,
            expires: time::later(now, self.token_life),
            last_used: None,
            told: false,
        };
        if let Some(application) = wanted.application {
            self.refresh_tokens.push(RefreshToken {
                secret: random::characters::<30>(ALPHABET),
                token: Some(token.id),
                application,
                user: wanted.user,
                created: now,
                is_revoked: false,
            });
        }
        self.tokens.push(token.clone());
        token
    }

    /// The refresh token stays, and is no good any more.
    pub(crate) fn delete_token(&mut self, id: i64) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.id != id);
        for refresh in self.refresh_tokens.iter_mut().filter(|refresh| refresh.token == Some(id)) {
            refresh.token = None;
        }
        self.tokens.len() < before
    }

    /// Takes a refresh token's access token with it.
    pub(crate) fn revoke_refresh_token(&mut self, secret: &str) {
        let Some(refresh) = self.refresh_tokens.iter_mut().find(|refresh| refresh.secret == secret) else { return };
        refresh.is_revoked = true;
        if let Some(id) = refresh.token {
            self.delete_token(id);
        }
    }

    /// Its tokens die with it.
    pub(crate) fn delete_application(&mut self, id: i64) {
        self.applications.retain(|application| application.id != id);
        self.tokens.retain(|token| token.application != Some(id));
        self.refresh_tokens.retain(|refresh| refresh.application != id);
    }

    pub(crate) fn record(&self, token: &Token) -> Record {
        Record {
            id: token.id,
            description: token.description.clone(),
            scope: token.scope.clone(),
            username: self.username(token.user).to_owned(),
            application: token.application,
            created: token.created.div_euclid(1000),
            expires: token.expires.div_euclid(1000),
            last_used: token.last_used.map(|time| time.div_euclid(1000)),
            told: token.told,
        }
    }

    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Token {
    pub(crate) fn is_expired(&self, now: i64) -> bool {
        now >= self.expires
    }

    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|word| word == scope)
    }
}

impl User {
    fn ordinary(id: i64, username: &str) -> Self {
        Self {
            id,
            username: username.to_owned(),
            password: random::text::<18>(),
            is_superuser: false,
            is_auditor: false,
            is_active: true,
            provider: None,
            organizations: Vec::new(),
        }
    }
}

/// `alice` is a member of the first organization, `bob` of the second.
fn users() -> Vec<User> {
    vec![
        User { is_superuser: true, ..User::ordinary(1, "admin") },
        User { organizations: vec![1], ..User::ordinary(2, "alice") },
        User { organizations: vec![2], ..User::ordinary(3, "bob") },
        User { is_auditor: true, ..User::ordinary(4, "auditor") },
        User { provider: Some(PROVIDER.to_owned()), ..User::ordinary(5, "erin") },
    ]
}

/// The identity provider of `erin`.
pub const PROVIDER: &str = "Corporate Keycloak";
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
