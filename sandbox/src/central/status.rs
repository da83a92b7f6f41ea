//! What a caller is, and what the server says of itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::identity::Identity;
use super::state::{Level, State};

/// `GET /v1/auth/status`.
pub(crate) fn status(caller: &Identity) -> Value {
    let mut union = BTreeMap::<&str, Level>::new();
    for (resource, level) in caller.roles.values().flat_map(|role| &role.access) {
        let known = union.entry(resource).or_insert(*level);
        *known = (*known).max(*level);
    }
    let union = union.into_iter().map(|(resource, level)| (resource.to_owned(), level)).collect();
    let roles: Vec<_> = caller
        .roles
        .iter()
        .map(|(name, role)| json!({ "name": name, "resourceToAccess": levels(&role.access) }))
        .collect();
    let attributes: Vec<_> =
        caller.attributes.iter().map(|(key, values)| json!({ "key": key, "values": values })).collect();
    json!({
        "userId": caller.user_id,
        "expires": caller.expires,
        "refreshUrl": "",
        "authProvider": if caller.is_basic { basic_provider() } else { Value::Null },
        "userInfo": {
            "username": caller.username,
            "friendlyName": caller.friendly_name,
            "permissions": { "resourceToAccess": levels(&union) },
            "roles": roles,
        },
        "userAttributes": attributes,
        "idpToken": "",
    })
}

/// `GET /v1/metadata`.
pub(crate) fn metadata(state: &State) -> Value {
    let (major, minor, patch) = state.release;
    json!({
        "version": format!("{major}.{minor}.{patch}"), "buildFlavor": "release", "releaseBuild": true,
        "licenseStatus": "VALID", "compatibleSensorVersions": [],
    })
}

fn levels(access: &BTreeMap<String, Level>) -> Value {
    access
        .iter()
        .map(|(resource, level)| (resource.clone(), json!(level.name())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn basic_provider() -> Value {
    json!({
        "id": "4df1b98c-24ed-4073-a9ad-356aec6bb62d", "name": "Login with username/password", "type": "basic",
        "uiEndpoint": "", "enabled": true, "config": {},
        "loginUrl": "/sso/login/4df1b98c-24ed-4073-a9ad-356aec6bb62d", "validated": true, "extraUiEndpoints": [],
        "active": true, "requiredAttributes": [], "traits": null, "claimMappings": {}, "lastUpdated": null,
    })
}
