//! The API tokens of the stand-in Central: generate, list, get, revoke, allowed roles.

use serde_json::json;

use crate::central::{Central, REFUSED, keys};
use crate::common::{claims, part};

#[test]
fn a_token_is_generated_proven_listed_and_revoked() {
    let central = Central::start();
    let (token, metadata) = central.new_token("ci", &["Continuous Integration"]);
    assert_eq!(keys(&metadata), ["id", "name", "roles", "issuedAt", "expiration", "revoked", "role"]);
    assert_eq!(metadata["roles"], json!(["Continuous Integration"]));
    assert_eq!((&metadata["role"], &metadata["revoked"]), (&json!("Continuous Integration"), &json!(false)));
    let id = metadata["id"].as_str().unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "4"));

    assert_eq!(part(&token, 0), json!({ "alg": "RS256", "kid": "jwtk0", "typ": "JWT" }));
    let claims = claims(&token);
    let (exp, iat) = (claims["exp"].as_i64().unwrap(), claims["iat"].as_i64().unwrap());
    assert_eq!(exp - iat, 365 * 24 * 3600);
    let expected = json!({
        "aud": "https://stackrox.io/jwt-sources#api-tokens", "exp": exp, "iat": iat, "iss": "https://stackrox.io/jwt",
        "jti": id, "name": "ci", "roles": ["Continuous Integration"],
    });
    assert_eq!(claims, expected);

    assert_eq!(central.status_of(&token).text("userId"), format!("auth-token:{id}"));
    assert_eq!(central.get(&format!("apitokens/{id}")).json(), metadata);
    assert_eq!(central.get("apitokens").names(), ["administrator", "ci"]);
    assert!(central.handle.token_works(&token));
    assert_eq!(central.handle.live_tokens("ci"), 1);

    for _ in 0..2 {
        let answer = central.revoke(id);
        assert_eq!((answer.verdict().as_str(), answer.json()), ("200", json!({})));
    }
    assert_eq!(central.status_of(&token).verdict(), REFUSED);
    assert!(!central.handle.token_works(&token));
    assert_eq!(central.handle.live_tokens("ci"), 0);
    assert_eq!(central.get(&format!("apitokens/{id}")).json()["revoked"], true);
}
