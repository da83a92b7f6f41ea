//! The exchange of other issuers' tokens at the stand-in Central.

use serde_json::{Value, json};
use tokensmith_sandbox::central::{Level, MachineAccess, MachineKind, Mapping, Role};
use tokensmith_sandbox::{ExternalToken, IdentityProvider};

use crate::central::{Central, DAY, NO_VALID_ROLE, REFUSED};
use crate::common::{Realm, claims, part};

/// A Central that takes tokens of its identity provider whose subject has `deploy` in it.
struct Exchange {
    central: Central,
    provider: IdentityProvider,
    id: String,
}

impl Exchange {
    fn start() -> Self {
        let central = Central::start();
        let provider = central.handle.identity_provider();
        let mappings = [
            Mapping::new("sub", "deploy", "Continuous Integration"),
            Mapping::new("sub", "^nothing$", "None"),
            Mapping::new("repository.owner", "^ac.e$", "Analyst"),
        ];
        let id = central.handle.add_machine_access(&provider.issuer(), 3600, &mappings);
        Self { central, provider, id }
    }

    fn sign(&self, subject: &str, change: impl FnOnce(ExternalToken) -> ExternalToken) -> String {
        change(self.provider.token(subject)).sign().unwrap()
    }

    fn exchanged(&self, token: &str) -> String {
        self.central.exchange(token).text("accessToken")
    }

    fn change(&self, change: impl FnOnce(&mut MachineAccess)) {
        self.central
            .change(|state| change(state.machine_access.iter_mut().find(|access| access.id == self.id).unwrap()));
    }
}

#[test]
fn a_token_is_exchanged_for_one_whose_roles_are_the_mappings_of_the_moment() {
    let exchange = Exchange::start();
    let central = &exchange.central;
    let own = exchange.sign("deploy-bot", |token| {
        token
            .claim("email", "bot@example.com")
            .claim("run", 7)
            .claim("repository", json!({ "owner": "acme", "fork": true }))
    });
    let answer = central.exchange(&own);
    assert_eq!(answer.verdict(), "200");
    assert_eq!(answer.json().as_object().unwrap().len(), 1, "neither an end nor a type");
    let token = answer.text("accessToken");
    assert_eq!(part(&token, 0), json!({ "alg": "RS256", "kid": "jwtk0", "typ": "JWT" }));
    let claims = claims(&token);
    assert_eq!((&claims["aud"], &claims["iss"]), (&json!(exchange.id), &json!("https://stackrox.io/jwt")));
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        3600,
        "not the five minutes of the other"
    );
    assert_eq!(claims["name"], "deploy-bot|bot@example.com");
    assert_eq!(claims["roles"], Value::Null);
    let user = &claims["external_user"];
    assert_eq!(
        (&user["user_id"], &user["full_name"]),
        (&json!("deploy-bot|bot@example.com"), &json!("bot@example.com"))
    );
    let attributes = &user["Attributes"];
    assert_eq!((&attributes["sub"], &attributes["repository.owner"]), (&json!(["deploy-bot"]), &json!(["acme"])));
    assert_eq!((&attributes["run"], &attributes["repository.fork"]), (&Value::Null, &Value::Null));

    let status = central.status_of(&token).json();
    assert_eq!(status["userId"], format!("sso:{}:deploy-bot|bot@example.com", exchange.id));
    assert_eq!(status["authProvider"], Value::Null);
    let roles = |token: &str| {
        let roles = central.status_of(token).json()["userInfo"]["roles"].clone();
        roles.as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(roles(&token), ["Analyst", "Continuous Integration"]);
    exchange.change(|access| access.mappings.truncate(1));
    assert_eq!(roles(&token), ["Continuous Integration"]);
    exchange.change(|access| access.mappings[0].value_expression = "^deploy$".to_owned());
    assert_eq!(
        central.status_of(&token).verdict(),
        "401 16 credentials not found: token-based: cannot extract identity: failed to resolve external user"
    );
    assert_eq!(central.get("apitokens").names(), ["administrator"], "it is not among the API tokens");
    let id = claims["jti"].as_str().unwrap();
    assert_eq!(central.revoke(id).verdict(), format!("500 13 token with id '{id}' does not exist"));
}

#[test]
fn every_row_of_the_exchange_is_answered_as_central_does() {
    let exchange = Exchange::start();
    let good = exchange.sign("deploy", |token| token);
    let now = exchange.central.sandbox.clock().seconds();
    let invalid = "401 16 ID token is invalid: ";
    let malformed = "400 3 ID token could not be parsed: token is malformed: ";
    let no_role = format!("401 16 resolving roles for id token: {}", &NO_VALID_ROLE["401 16 ".len()..]);
    type Make<'m> = (&'m str, String, String);
    let rows: &[Make<'_>] = &[
        ("good", good.clone(), "200".to_owned()),
        ("empty", String::new(), malformed.to_owned()),
        ("two segments", good.rsplit_once('.').unwrap().0.to_owned(), malformed.to_owned()),
        ("not base64", "%.%.%".to_owned(), malformed.to_owned()),
        (
            "without iss",
            exchange.sign("deploy", |token| token.without("iss")),
            "400 3 empty issuer found in ID token".to_owned(),
        ),
        (
            "of nobody",
            exchange.sign("deploy", |token| token.claim("iss", "https://example.com")),
            "401 16 issuer \"https://example.com\" is not configured".to_owned(),
        ),
        (
            "ended",
            exchange.sign("deploy", |token| token.claim("exp", now - 1)),
            format!("{invalid}oidc: token is expired (Token Expiry: 2"),
        ),
        (
            "without exp",
            exchange.sign("deploy", |token| token.without("exp")),
            format!("{invalid}oidc: token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)"),
        ),
        ("soon good", exchange.sign("deploy", |token| token.claim("nbf", now + 290)), "200".to_owned()),
        (
            "later good",
            exchange.sign("deploy", |token| token.claim("nbf", now + 900)),
            format!("{invalid}oidc: current time "),
        ),
        (
            "wrong key",
            exchange.sign("deploy", ExternalToken::with_wrong_key),
            format!("{invalid}failed to verify signature: failed to verify id token signature"),
        ),
        (
            "unknown key",
            exchange.sign("deploy", ExternalToken::with_unknown_key_id),
            format!("{invalid}failed to verify signature: failed to verify id token signature"),
        ),
        (
            "unsigned",
            exchange.sign("deploy", ExternalToken::unsigned),
            format!("{invalid}oidc: malformed jwt: unexpected signature algorithm \"none\"; expected [\"RS256\"]"),
        ),
        (
            "RS384",
            exchange.sign("deploy", ExternalToken::with_rs384),
            format!("{invalid}oidc: malformed jwt: unexpected signature algorithm \"RS384\"; expected [\"RS256\"]"),
        ),
        ("unmapped", exchange.sign("somebody", |token| token), no_role),
        ("mapped to None", exchange.sign("nothing", |token| token), "200".to_owned()),
    ];
    for (what, token, expected) in rows {
        let verdict = exchange.central.exchange(token).verdict();
        assert!(verdict.starts_with(expected) && (expected != "200" || verdict == "200"), "{what}: {verdict}");
    }
    for body in ["{}", "", r#"{"idToken": null}"#] {
        let verdict = exchange.central.call_as("", "POST auth/m2m/exchange", body).verdict();
        assert!(verdict.starts_with(malformed), "{verdict}");
    }
    let snake = json!({ "id_token": good }).to_string();
    for authorization in ["", "Bearer abc", "Basic abc"] {
        let answer = exchange.central.call_as(authorization, "POST auth/m2m/exchange", &snake);
        assert_eq!(answer.verdict(), "200", "the header has no influence");
    }
    let useless = exchange.exchanged(&exchange.sign("nothing", |token| token));
    assert_eq!(exchange.central.status_of(&useless).verdict(), NO_VALID_ROLE);
    exchange.central.change(|state| state.release = (4, 2, 9));
    assert_eq!(exchange.central.exchange(&good).verdict(), "404 5 Not Found");
}

#[test]
fn an_audience_counts_since_4_12() {
    let exchange = Exchange::start();
    exchange.change(|access| access.audience = Some("a".to_owned()));
    let verdict = |audience: Value| {
        exchange.central.exchange(&exchange.sign("deploy", |token| token.claim("aud", audience))).verdict()
    };
    assert_eq!(verdict(json!("b")), "401 16 ID token is invalid: oidc: expected audience \"a\" got [\"b\"]");
    assert_eq!(verdict(json!(["b", "a"])), "200");
    exchange.central.change(|state| state.release = (4, 11, 2));
    assert_eq!(verdict(json!("b")), "200");
}

#[test]
fn the_names_of_a_user_follow_what_the_token_tells() {
    let exchange = Exchange::start();
    type Told<'t> = &'t [(&'t str, &'t str)];
    let rows: [(Told<'_>, [&str; 3]); 4] = [
        (&[], ["deploy", "deploy", "deploy"]),
        (&[("full_name", "F"), ("preferred_username", "p")], ["deploy|p", "p", "deploy|p"]),
        (&[("full_name", "F")], ["deploy|F", "F", "deploy|F"]),
        (&[("preferred_username", "p"), ("email", "e")], ["deploy|e", "e", "deploy|e"]),
    ];
    for (told, expected) in rows {
        let token =
            exchange.sign("deploy", |token| told.iter().fold(token, |token, (name, value)| token.claim(name, *value)));
        assert_eq!(names(&exchange.exchanged(&token)), expected, "{told:?}");
    }
    exchange.change(|access| access.kind = MachineKind::KubeServiceAccount);
    let token =
        exchange.sign("deploy", |token| token.claim("kubernetes.io", json!({ "serviceaccount": { "uid": "u-1" } })));
    assert_eq!(names(&exchange.exchanged(&token)), ["u-1", "deploy", "deploy"]);
    let without = exchange.sign("deploy", |token| token);
    assert_eq!(
        exchange.central.exchange(&without).verdict(),
        "400 3 creating claims for Central token: no kubernetes.io.serviceaccount.uid claim found"
    );
    assert_eq!(exchange.central.status_of(&without).verdict(), REFUSED.replace("401 16", "400 3"));
}

#[test]
fn an_exchanged_token_lives_as_long_as_configured_and_dies_with_its_configuration() {
    let exchange = Exchange::start();
    let central = &exchange.central;
    let own = exchange.sign("deploy", |token| token);
    let token = exchange.exchanged(&own);
    central.sandbox.clock().advance(3600 + 59);
    assert_eq!(central.status_of(&token).verdict(), "200");
    central.sandbox.clock().advance(2);
    assert_eq!(central.status_of(&token).verdict(), REFUSED);

    let token = exchange.exchanged(&exchange.sign("deploy", |token| token));
    central.handle.delete_machine_access(&exchange.provider.issuer());
    assert_eq!(central.status_of(&token).verdict(), REFUSED);
    central.handle.add_machine_access(&exchange.provider.issuer(), 60, &[Mapping::new("sub", "deploy", "Analyst")]);
    assert_eq!(central.status_of(&token).verdict(), REFUSED, "a new one does not revive it");
}

#[test]
fn another_issuers_token_is_a_bearer_since_4_9_even_behind_its_end() {
    let exchange = Exchange::start();
    let central = &exchange.central;
    let good = exchange.sign("deploy", |token| token);
    let status = central.status_of(&good);
    assert_eq!(status.verdict(), "200");
    assert_eq!(status.text("userId"), format!("sso:{}:deploy", exchange.id));
    for bad in [
        exchange.sign("somebody", |token| token),
        exchange.sign("deploy", ExternalToken::expired),
        exchange.sign("deploy", ExternalToken::with_wrong_key),
    ] {
        assert_eq!(central.status_of(&bad).verdict(), REFUSED, "without the cause");
    }
    let nothing = exchange.sign("nothing", |token| token);
    assert_eq!(central.status_of(&nothing).verdict(), NO_VALID_ROLE);
    let another = exchange.sign("deploy-bot", |token| token);
    assert_eq!(central.status_of(&another).verdict(), "200");
    central.sandbox.clock().advance(3600 - 70);
    assert_eq!(central.status_of(&good).verdict(), "200", "its own five minutes are over");
    central.sandbox.clock().advance(20);
    assert_eq!(central.status_of(&good).verdict(), REFUSED);
    central.sandbox.clock().advance(-20);
    assert_eq!(central.status_of(&another).verdict(), "200");
    central.handle.restart();
    assert_eq!(central.status_of(&another).verdict(), REFUSED, "that was held in memory");
    central.change(|state| state.release = (4, 8, 9));
    assert_eq!(central.status_of(&exchange.sign("deploy", |token| token)).verdict(), REFUSED);
}

#[test]
fn an_issuer_that_is_away_at_the_restart_is_not_configured_until_it_is_saved_again() {
    let exchange = Exchange::start();
    let central = &exchange.central;
    let own = exchange.sign("deploy", |token| token);
    let token = exchange.exchanged(&own);
    central.change(|state| state.issuers_are_away = true);
    assert_eq!(central.exchange(&own).verdict(), "200");
    central.handle.restart();
    let not_configured = format!("401 16 issuer {:?} is not configured", exchange.provider.issuer());
    assert_eq!(central.exchange(&own).verdict(), not_configured);
    assert_eq!(central.status_of(&token).verdict(), REFUSED);
    assert_eq!(central.status_of(&own).verdict(), REFUSED);
    assert_eq!(central.change(|state| state.machine_access.len()), 2, "it is still listed");
    central.change(|state| state.issuers_are_away = false);
    central.handle.restart();
    assert_eq!(central.exchange(&own).verdict(), "200");
    assert_eq!(central.status_of(&token).verdict(), "200");
}

#[test]
fn a_realm_of_the_sandboxs_sso_is_an_issuer_like_any_other() {
    let realm = Realm::start();
    let answer = realm.refresh(&realm.handle.issue_offline_token("cloud-services", "openid offline_access").unwrap());
    let (id_token, central) = (answer.text("id_token"), realm.sandbox.central());
    let subject = claims(&id_token)["sub"].as_str().unwrap().to_owned();
    let mapping = Mapping::new("sub", &format!("^{subject}$"), "Analyst");
    central.add_machine_access(&realm.handle.url(), 600, &[mapping]);
    assert!(central.token_works(&id_token));
    assert!(!central.token_works(&answer.text("refresh_token")), "it is signed otherwise");
}

#[test]
fn an_exchanged_token_has_the_permissions_of_its_roles() {
    let exchange = Exchange::start();
    let central = &exchange.central;
    let issuing = [("Access", Level::Read), ("Integration", Level::ReadWrite)];
    central.add_role("Continuous Integration", Role::unrestricted(issuing));
    let token = exchange.exchanged(&exchange.sign("deploy", |token| token));
    let body = r#"{"name": "made by a machine", "roles": ["Continuous Integration"]}"#;
    assert_eq!(central.call_with(&token, "POST apitokens/generate", body).verdict(), "200");
    assert_eq!(central.handle.live_tokens("made by a machine"), 1);
    central.sandbox.clock().advance(DAY);
    assert_eq!(central.handle.live_tokens("made by a machine"), 1);
}

fn names(token: &str) -> [String; 3] {
    let claims = claims(token);
    let user = &claims["external_user"];
    [&user["user_id"], &user["full_name"], &claims["name"]].map(|value| value.as_str().unwrap().to_owned())
}
