//! The API's description of itself, of the endpoints that the sandbox has.

use serde_json::{Map, Value, json};

use super::answers::json_answer;
use super::api::Owner;
use super::state::State;
use crate::exchange::Answer;

/// `GET /discovery`, for anybody.
pub(crate) fn answer(state: &State) -> Answer {
    let mut paths = Map::new();
    paths.insert("/api/v1/user/".to_owned(), operations(&["get"], "user:read"));
    paths.insert("/api/v1/organization/{orgname}".to_owned(), json!({ "get": {} }));
    for (owner, prefix, scope) in [
        (Owner::Organization(""), "/api/v1/organization/{orgname}/robots", "org:admin"),
        (Owner::Caller, "/api/v1/user/robots", "user:admin"),
    ] {
        let robot = format!("{prefix}/{{robot_shortname}}");
        paths.insert(prefix.to_owned(), operations(&["get"], scope));
        paths.insert(format!("{robot}/regenerate"), operations(&["post"], scope));
        paths.insert(format!("{robot}/permissions"), operations(&["get"], "user:admin"));
        if state.release >= owner.first_release_with_federation() {
            paths.insert(format!("{robot}/federation"), operations(&["get", "post", "delete"], scope));
        }
        paths.insert(robot, operations(&["get", "put", "delete"], scope));
    }
    json_answer(200, &json!({ "swagger": "2.0", "host": state.server_hostname, "basePath": "/", "paths": paths }))
}

fn operations(methods: &[&str], scope: &str) -> Value {
    let security = json!({ "security": [{ "oauth2_implicit": [scope] }] });
    methods.iter().map(|method| ((*method).to_owned(), security.clone())).collect::<Map<_, _>>().into()
}
