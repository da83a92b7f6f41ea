//! Who calls: the credential of a request, and what it may do.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::answers::{Code, Refusal};
use super::machine;
use super::signer::{API_TOKENS, ISSUER, Signer, audiences};
use super::state::{Level, MachineAccess, NONE, Role, State, UNRESTRICTED};
use super::timestamp;
use crate::exchange::Request;
use crate::jwt::Jwt;

/// A caller that is let in. There is at least one role.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) user_id: String,
    pub(crate) username: String,
    pub(crate) friendly_name: String,
    pub(crate) expires: String,
    pub(crate) is_basic: bool,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// A bearer comes before a password. With two headers the bearer is not seen, and the password is the first one's.
    pub(crate) fn of(state: &mut State, signer: &Signer, request: &Request, now: i64) -> Result<Self, Refusal> {
        let headers: Vec<_> =
            request.headers.get_all("authorization").iter().filter_map(|value| value.to_str().ok()).collect();
        if let [header] = headers.as_slice()
            && let Some((scheme, bearer)) = header.split_once(' ')
            && scheme.eq_ignore_ascii_case("bearer")
        {
            return Self::of_bearer(state, signer, bearer, now);
        }
        match headers.first().and_then(|header| header.strip_prefix("Basic ")) {
            Some(credentials) => Self::of_password(state, credentials),
            None => Err(Refusal::unauthenticated(NOT_FOUND)),
        }
    }

    pub(crate) fn of_bearer(state: &mut State, signer: &Signer, bearer: &str, now: i64) -> Result<Self, Refusal> {
        let jwt = Jwt::parse(bearer).ok_or_else(|| malformed(state))?;
        let issuer = machine::issuer(&jwt.claims).ok_or_else(|| malformed(state))?;
        if issuer == ISSUER {
            return Self::of_own_token(state, signer, &jwt, now);
        }
        let token = machine::exchanged(state, signer, bearer, issuer, now)?;
        let jwt = Jwt::parse(&token).ok_or_else(|| no_valid_token(VALIDATION))?;
        Self::of_own_token(state, signer, &jwt, now)
    }

    fn of_own_token(state: &State, signer: &Signer, jwt: &Jwt<'_>, now: i64) -> Result<Self, Refusal> {
        if !signer.accepts(state, jwt, now) {
            return Err(no_valid_token(VALIDATION));
        }
        let audiences = audiences(&jwt.claims);
        if audiences.contains(&API_TOKENS) {
            return Self::of_api_token(state, &jwt.claims);
        }
        let access = state.machine_access.iter().find(|access| audiences.contains(&access.id.as_str()));
        match access.filter(|access| access.is_discovered) {
            Some(access) => Self::of_machine(state, access, &jwt.claims),
            None => Err(no_valid_token(VALIDATION)),
        }
    }

    fn of_api_token(state: &State, claims: &Map<String, Value>) -> Result<Self, Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let names: Vec<_> =
            claims.get("roles").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() {
            return Err(no_valid_token("could not determine token type"));
        }
        let roles = resolved(state, names.iter().copied())?;
        let (id, name, expires) = (text("jti"), text("name"), expires(claims));
        let listed = names.join(",");
        Ok(Self {
            user_id: format!("auth-token:{id}"),
            username: String::new(),
            friendly_name: format!(
                "anonymous bearer token {name:?} with roles [{listed}] (jti: {id}, expires: {expires})"
            ),
            expires,
            is_basic: false,
            attributes: BTreeMap::from([
                ("name".to_owned(), vec![name]),
                ("role".to_owned(), roles.keys().cloned().collect()),
            ]),
            roles,
        })
    }

    fn of_machine(state: &State, access: &MachineAccess, claims: &Map<String, Value>) -> Result<Self, Refusal> {
        let user = claims.get("external_user").unwrap_or(&Value::Null);
        let text = |name: &str| user[name].as_str().unwrap_or_default().to_owned();
        let attributes = machine::attributes(&user["Attributes"]);
        let names = machine::mapped_roles(access, &attributes);
        if names.is_empty() {
            return Err(no_valid_token("failed to resolve external user"));
        }
        Ok(Self {
            user_id: format!("sso:{}:{}", access.id, text("user_id")),
            username: String::new(),
            friendly_name: text("full_name"),
            expires: expires(claims),
            is_basic: false,
            roles: resolved(state, names)?,
            attributes,
        })
    }

    fn of_password(state: &State, credentials: &str) -> Result<Self, Refusal> {
        let refusal =
            |cause: &str| Refusal::unauthenticated(format!("{NOT_FOUND}: basic: cannot extract identity: {cause}"));
        let decoded =
            BASE64_STANDARD.decode(credentials.trim_end()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((user, password)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) else {
            return Err(refusal("failed to parse basic auth token"));
        };
        if !state.htpasswd || user != ADMIN || password != state.admin_password {
            return Err(refusal(&format!("failed to identify user with username {user:?}")));
        }
        Ok(Self {
            user_id: ADMIN.to_owned(),
            username: ADMIN.to_owned(),
            friendly_name: ADMIN.to_owned(),
            expires: "9999-12-31T23:59:59.999999999Z".to_owned(),
            is_basic: true,
            roles: resolved(state, ["Admin"])?,
            attributes: BTreeMap::from([
                ("role".to_owned(), vec!["Admin".to_owned()]),
                ("username".to_owned(), vec![ADMIN.to_owned()]),
            ]),
        })
    }

    /// Each of these in its order.
    pub(crate) fn check(&self, permissions: &[(&str, Level)]) -> Result<(), Refusal> {
        let missing = permissions
            .iter()
            .find(|(resource, level)| !self.roles.values().any(|role| role.level(resource) >= *level));
        match missing {
            None => Ok(()),
            Some((resource, level)) => {
                let name = level.name();
                Err(Refusal::new(Code::PermissionDenied, format!("not authorized: \"{name}\" for \"{resource}\"")))
            }
        }
    }

    /// What the caller has of a resource where a role of this scope counts.
    pub(crate) fn level(&self, resource: &str, scope: &str) -> Level {
        let roles = self.roles.values().filter(|role| role.scope == scope || role.scope == UNRESTRICTED);
        roles.map(|role| role.level(resource)).max().unwrap_or(Level::No)
    }
}

/// A bearer that the exchange cannot even read; every installation in a cluster tries that since 4.9.
pub(crate) fn malformed(state: &State) -> Refusal {
    let refusal = no_valid_token(VALIDATION);
    if state.release < (4, 9, 0) || state.machine_access.is_empty() {
        return refusal;
    }
    Refusal { code: Code::InvalidArgument, ..refusal }
}

/// The roles that are there now. `None` does not count.
fn resolved<'n>(state: &State, names: impl IntoIterator<Item = &'n str>) -> Result<BTreeMap<String, Role>, Refusal> {
    let roles: BTreeMap<_, _> = names
        .into_iter()
        .filter(|name| *name != NONE)
        .filter_map(|name| state.roles.get(name).map(|role| (name.to_owned(), role.clone())))
        .collect();
    if roles.is_empty() { Err(Refusal::unauthenticated(NO_VALID_ROLE)) } else { Ok(roles) }
}

pub(crate) fn no_valid_token(cause: &str) -> Refusal {
    Refusal::unauthenticated(format!("{NOT_FOUND}: token-based: cannot extract identity: {cause}"))
}

fn expires(claims: &Map<String, Value>) -> String {
    timestamp::text(claims.get("exp").and_then(Value::as_i64).unwrap_or_default())
}

pub(crate) const VALIDATION: &str = "token validation failed";
pub(crate) const NO_VALID_ROLE: &str =
    "access for this user is not authorized: no valid role, please contact your system administrator";
const NOT_FOUND: &str = "credentials not found";
const ADMIN: &str = "admin";
