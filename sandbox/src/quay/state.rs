//! What a Quay knows: its switches, users, organizations, robots and tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jwt::Keys;
use crate::random;
use crate::signing::SigningKey;

/// A Quay with all its switches. Times are in seconds since the epoch.
#[derive(Debug)]
pub struct State {
    /// The name in the registry's challenge and in `/config`: what credential files are keyed by.
    pub server_hostname: String,
    /// The release, for the differences between releases.
    pub release: Release,
    /// Writes are refused.
    pub read_only: bool,
    /// `FEATURE_ANONYMOUS_ACCESS`.
    pub anonymous_access: bool,
    /// `ROBOTS_DISALLOW`: robots can neither be created nor log in.
    pub robots_disallowed: bool,
    /// `ROBOTS_WHITELIST`: full names of the robots that log in nevertheless.
    pub robots_whitelist: BTreeSet<String>,
    /// `FEATURE_SUPERUSERS_FULL_ACCESS`.
    pub superusers_full_access: bool,
    /// `FEATURE_RESTRICTED_USERS`: whether being a restricted [`User`] means something.
    pub restricted_users: bool,
    /// `FEATURE_USER_LAST_ACCESSED`.
    pub user_last_accessed: bool,
    /// `FEATURE_RATE_LIMITS`, of the proxy in front.
    pub rate_limit: Option<RateLimit>,
    /// How long every answer takes. Concurrent requests wait side by side.
    pub latency: Duration,
    /// Off, the connection is closed behind every answer of the API, as the stock proxy does.
    pub keep_alive: bool,
    /// By name.
    pub organizations: BTreeMap<String, Organization>,
    /// By name.
    pub users: BTreeMap<String, User>,
    /// By full name.
    pub robots: BTreeMap<String, Robot>,
    pub(crate) tokens: BTreeMap<String, OauthToken>,
    pub(crate) keys: Keys,
}

/// A release by its numbers; they compare in their order. The line after 3.18 is 3.19.0.
pub type Release = (u16, u16, u16);

/// An organization.
#[derive(Clone, Debug, Default)]
pub struct Organization {
    /// Its members and what they may do, by user name.
    pub members: BTreeMap<String, Role>,
    /// Disabled, its robots cannot log in.
    pub is_disabled: bool,
}

/// What a member of an organization may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All.
    Administrator,
    /// Create repositories.
    Creator,
    /// Belong to it.
    Member,
}

/// A user.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// A superuser.
    pub is_superuser: bool,
    /// A global read-only superuser.
    pub is_read_only_superuser: bool,
    /// A restricted user, where the feature is on.
    pub is_restricted: bool,
    /// Disabled, neither the user's tokens nor the user's robots log in.
    pub is_disabled: bool,
}

/// A robot account.
#[derive(Clone, Debug, Default)]
pub struct Robot {
    /// The one token valid now.
    pub token: String,
    /// When the robot, not its token, was made.
    pub created: i64,
    /// Its last login at the registry.
    pub last_accessed: Option<i64>,
    /// Free text.
    pub description: String,
    /// Whatever its creator put there.
    pub unstructured_metadata: Map<String, Value>,
    /// Whose tokens it takes in exchange.
    pub federation: Vec<Federation>,
    /// A mirror uses it, so it cannot be deleted.
    pub is_mirroring: bool,
    /// The repositories of its namespace it has a role in.
    pub permissions: Vec<Permission>,
    /// The teams it belongs to.
    pub teams: Vec<String>,
    /// How often it got a new token, lost answers included.
    pub regenerations: u64,
}

/// An issuer and a subject whose tokens a robot takes in exchange.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Federation {
    /// The claim `iss`, character for character.
    pub issuer: String,
    /// The claim `sub`.
    pub subject: String,
}

/// A robot's role in a repository.
#[derive(Clone, Debug)]
pub struct Permission {
    /// Without the namespace.
    pub repository: String,
    /// Whether anybody may pull from the repository.
    pub is_public: bool,
    /// `read`, `write` or `admin`.
    pub role: String,
}

/// So many requests a second, and so many more at once. The whole of the sandbox's Quay counts as one client's.
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_second: f64,
    burst: f64,
    excess: f64,
    /// In milliseconds.
    last: i64,
}

/// An OAuth access token.
#[derive(Clone, Debug)]
pub(crate) struct OauthToken {
    pub(crate) user: String,
    pub(crate) scopes: String,
    pub(crate) expires: i64,
}

impl State {
    /// The world the sandbox begins with.
    ///
    /// | namespace | who | robots |
    /// | --- | --- | --- |
    /// | `acme` | `alice` administrator, `carol` creator, `bob` member | `acme+ci`, `acme+deploy` |
    /// | `Acme` | an older organization of `erin`: the server lists its robots with those of `acme` | `Acme+ci` |
    /// | `globex` | `erin` administrator | `globex+ci` |
    /// | `team_one` | `alice` administrator | `team_one+ci` |
    /// | `team-one` | `erin` administrator; listed with `team_one` | `team-one+ci` |
    /// | `bulk` | `alice` administrator | none |
    /// | `alice` | a user | `alice+laptop` |
    /// | `dave` | a restricted user, once the feature is on | `dave+ci` |
    ///
    /// Besides, `root` is a superuser and `auditor` a global read-only superuser.
    pub(crate) fn new(server_hostname: String, key: Arc<SigningKey>, now: i64) -> Self {
        let mut state = Self {
            server_hostname,
            release: CURRENT,
            read_only: false,
            anonymous_access: true,
            robots_disallowed: false,
            robots_whitelist: BTreeSet::new(),
            superusers_full_access: false,
            restricted_users: false,
            user_last_accessed: true,
            rate_limit: None,
            latency: Duration::ZERO,
            keep_alive: true,
            organizations: BTreeMap::new(),
            users: BTreeMap::new(),
            robots: BTreeMap::new(),
            tokens: BTreeMap::new(),
            keys: Keys::new(key),
        };
        for name in ["alice", "bob", "carol", "erin"] {
            state.users.insert(name.to_owned(), User::default());
        }
        state.users.insert("dave".to_owned(), User { is_restricted: true, ..User::default() });
        state.users.insert("root".to_owned(), User { is_superuser: true, ..User::default() });
        state.users.insert("auditor".to_owned(), User { is_read_only_superuser: true, ..User::default() });
        for (name, administrator) in [
            ("acme", "alice"),
            ("Acme", "erin"),
            ("globex", "erin"),
            ("team_one", "alice"),
            ("team-one", "erin"),
            ("bulk", "alice"),
        ] {
            state.organizations.insert(name.to_owned(), Organization::of(administrator));
        }
        if let Some(acme) = state.organizations.get_mut("acme") {
            acme.members.insert("bob".to_owned(), Role::Member);
            acme.members.insert("carol".to_owned(), Role::Creator);
        }
        for name in ROBOTS {
            state.add_robot(name, now);
        }
        state
    }

    /// A robot with a token of its own. An unknown namespace becomes an organization that `alice` administers.
    pub(crate) fn add_robot(&mut self, name: &str, now: i64) {
        let namespace = name.split('+').next().unwrap_or_default();
        if !self.users.contains_key(namespace) && !self.organizations.contains_key(namespace) {
            self.organizations.insert(namespace.to_owned(), Organization::of("alice"));
        }
        self.robots.entry(name.to_owned()).or_insert_with(|| Robot::new(now));
    }

    /// Gives the robot a new token; the old one is dead at once.
    pub(crate) fn regenerate(&mut self, name: &str) -> Option<&Robot> {
        let robot = self.robots.get_mut(name)?;
        robot.token = random::characters::<64>(CAPITALS);
        robot.regenerations += 1;
        Some(robot)
    }

    /// Full names of the robots that the server finds for a namespace. It asks its database with `ILIKE 'NAMESPACE+%'`:
    /// letters match in either case, and an underscore in the name stands for any one character.
    pub(crate) fn robots_like<'s>(&'s self, namespace: &'s str) -> impl Iterator<Item = (&'s String, &'s Robot)> {
        self.robots.iter().filter(move |(name, _)| {
            let Some((owner, _)) = name.split_once('+') else { return false };
            owner.chars().count() == namespace.chars().count()
                && owner
                    .chars()
                    .zip(namespace.chars())
                    .all(|(one, other)| other == '_' || one.to_lowercase().eq(other.to_lowercase()))
        })
    }

    /// Whether the owner of a robot exists, and is disabled.
    pub(crate) fn owner_is_disabled(&self, namespace: &str) -> bool {
        let organization = self.organizations.get(namespace).map(|organization| organization.is_disabled);
        let user = self.users.get(namespace).map(|user| user.is_disabled);
        organization.or(user).unwrap_or_default()
    }

    /// The holder of an OAuth access token that is good now.
    pub(crate) fn holder(&self, token: &str, now: i64) -> Option<(&str, &User, &str)> {
        let token = self.tokens.get(token).filter(|token| now < token.expires)?;
        let (name, user) = self.users.get_key_value(&token.user).filter(|(_, user)| !user.is_disabled)?;
        Some((name, user, &token.scopes))
    }

    pub(crate) fn issue_token(&mut self, user: &str, scopes: &str, now: i64) -> String {
        let token = random::characters::<40>(LETTERS_AND_DIGITS);
        let issued = OauthToken { user: user.to_owned(), scopes: scopes.to_owned(), expires: now + TEN_YEARS };
        self.tokens.insert(token.clone(), issued);
        token
    }
}

impl Organization {
    /// One with a single administrator.
    pub fn of(administrator: &str) -> Self {
        Self { members: BTreeMap::from([(administrator.to_owned(), Role::Administrator)]), is_disabled: false }
    }
}

impl Robot {
    pub(crate) fn new(now: i64) -> Self {
        Self { token: random::characters::<64>(CAPITALS), created: now, ..Self::default() }
    }
}

impl RateLimit {
    /// HTTP/1.1 of the stock proxy: 5 requests a second with a burst of 25.
    pub fn stock() -> Self {
        Self::new(5, 25)
    }

    /// Any other.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second.into(), burst: burst.into(), excess: -1.0, last: i64::MIN }
    }

    /// Whether a request at this moment is let through: a bucket that leaks, as nginx has it.
    pub(crate) fn admits(&mut self, milliseconds: i64) -> bool {
        let passed = i32::try_from(milliseconds.saturating_sub(self.last)).unwrap_or(i32::MAX).max(0);
        let excess = (self.excess - self.per_second * f64::from(passed) / 1000.0).max(-1.0) + 1.0;
        if excess > self.burst {
            return false;
        }
        (self.excess, self.last) = (excess, milliseconds);
        true
    }
}

/// Robot and organization names, on creation. `Err` says what is wrong.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let words: Vec<_> = name.split(['.', '_', '-']).collect();
    let is_word =
        |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !words.iter().all(is_word) {
        return Err(format!("Namespace must match expression {NAME_EXPRESSION}"));
    }
    if !(2..=255).contains(&name.len()) {
        return Err("Namespace must be between 2 and 255 characters in length".to_owned());
    }
    Ok(())
}

/// RFC 2822 with the zone written `-0000`.
pub(crate) fn date(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().format("%a, %d %b %Y %H:%M:%S -0000").to_string()
}

const CURRENT: Release = (3, 19, 0);
const ROBOTS: [&str; 8] =
    ["acme+ci", "acme+deploy", "Acme+ci", "globex+ci", "team_one+ci", "team-one+ci", "alice+laptop", "dave+ci"];
const TEN_YEARS: i64 = 315_576_000;
const NAME_EXPRESSION: &str = "^([a-z0-9]+(?:[._-][a-z0-9]+)*)$";
const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LETTERS_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
