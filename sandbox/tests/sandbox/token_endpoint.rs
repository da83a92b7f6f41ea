//! The token endpoint of the stand-in Red Hat SSO: sections 2, 5 and 6 of its contract, row by row.

use std::collections::BTreeSet;

use crate::common::{FormBody, Realm, claims, part, raw_part};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;

#[test]
fn a_refresh_answers_every_field_of_the_contract_and_a_new_offline_token() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let answer = realm.refresh(&token);
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/json"));
    assert_eq!((answer.cache_control.as_str(), answer.has_date), ("no-store", false));
    let body = answer.json();
    let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "access_token",
        "expires_in",
        "refresh_expires_in",
        "refresh_token",
        "token_type",
        "id_token",
        "not-before-policy",
        "session_state",
        "scope",
    ];
    assert_eq!(names, expected);
    assert_eq!(body["expires_in"], 900);
    assert_eq!(body["refresh_expires_in"], 0);
    assert_eq!(body["session_state"], claims(&token)["sid"]);
    let scopes: BTreeSet<_> = body["scope"].as_str().unwrap().split(' ').collect();
    assert_eq!(scopes, BTreeSet::from(["openid", "api.iam.organization", "offline_access", "profile"]));
    let new = answer.text("refresh_token");
    assert_ne!(new, token);
    assert_eq!(claims(&new)["sid"], claims(&token)["sid"]);
    assert_ne!(claims(&new)["jti"], claims(&token)["jti"]);
    assert!(realm.refresh(&token).status == 200, "without rotation the old string goes on working");
}

#[test]
fn the_tokens_have_the_claims_of_the_contract_and_blanks_in_their_headers() {
    let realm = Realm::start();
    let body = realm.refresh(&realm.offline_token()).json();
    let offline = body["refresh_token"].as_str().unwrap();
    let access = body["access_token"].as_str().unwrap();
    let header = String::from_utf8(raw_part(offline, 0)).unwrap();
    assert!(header.starts_with(r#"{"alg":"HS512","typ" : "JWT","kid" : ""#), "{header}");
    assert_eq!(part(access, 0)["alg"], "RS256");
    assert_eq!(names(&claims(offline)), set("iat jti iss aud sub typ azp sid scope prov"));
    assert_eq!(names(&claims(access)), set("exp iat jti iss sub typ azp sid acr scope preferred_username"));
    assert_eq!(claims(offline)["typ"], "Offline");
    assert_eq!(claims(offline)["azp"], "cloud-services");
    assert_eq!(claims(offline)["iss"], realm.handle.url());
    assert_eq!(claims(access)["exp"].as_i64().unwrap() - claims(access)["iat"].as_i64().unwrap(), 900);
}

#[test]
fn the_signature_of_an_access_token_fits_the_published_key() {
    let realm = Realm::start();
    let access = realm.refresh(&realm.offline_token()).text("access_token");
    let keys = realm.send(realm.request(Method::GET, "certs")).unwrap().json();
    let id = part(&access, 0)["kid"].clone();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == id).unwrap();
    assert_eq!(key["use"], "sig");
    let number = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (signed, _) = access.rsplit_once('.').unwrap();
    RsaPublicKeyComponents { n: number("n"), e: number("e") }
        .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &raw_part(&access, 2))
        .unwrap();
}

#[test]
fn every_error_row_of_the_refresh_grant_is_answered_as_keycloak_does() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let of_second = realm.sandbox.sso().realm("second").issue_offline_token("cloud-services", SCOPE).unwrap();
    let body = realm.refresh(&token).json();
    let access = body["access_token"].as_str().unwrap();
    let id = body["id_token"].as_str().unwrap();
    let tampered = format!("{}x{}", &token[..100], &token[101..]);
    let quoted = format!("\"{token}\"");
    let blank_before = format!(" {token}");
    let long = "x".repeat(4001);
    let just_short_enough = "x".repeat(4000);

    let invalid = "400 invalid_grant: Invalid refresh token";
    let wrong_client = "400 invalid_grant: Invalid refresh token. Token client and authorized client don't match";
    let unknown_client = "401 invalid_client: Invalid client or Invalid client credentials";
    let refresh = ("grant_type", "refresh_token");
    let own_client = ("client_id", "cloud-services");
    let this_token = ("refresh_token", token.as_str());
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[refresh, own_client, ("refresh_token", "garbage")], invalid),
        (&[refresh, own_client, ("refresh_token", "")], invalid),
        (&[refresh, own_client, ("refresh_token", &token[..300])], invalid),
        (&[refresh, own_client, ("refresh_token", &tampered)], invalid),
        (&[refresh, own_client, ("refresh_token", &quoted)], invalid),
        (&[refresh, own_client, ("refresh_token", &blank_before)], invalid),
        (&[refresh, own_client, ("refresh_token", access)], invalid),
        (&[refresh, own_client, ("refresh_token", id)], invalid),
        (&[refresh, own_client, ("refresh_token", &of_second)], invalid),
        (&[refresh, own_client, ("refresh_token", &just_short_enough)], invalid),
        (&[refresh, own_client, ("refresh_token", &long)], "400 invalid_request: No refresh token"),
        (&[refresh, own_client], "400 invalid_request: No refresh token"),
        (&[refresh, own_client, ("scope", "nonsense")], "400 invalid_request: No refresh token"),
        (&[refresh, ("client_id", "rhsm-api"), this_token], wrong_client),
        (&[refresh, ("client_id", "nobody"), this_token], unknown_client),
        (&[refresh, ("client_id", "Cloud-Services"), this_token], unknown_client),
        (&[refresh, ("client_id", ""), this_token], unknown_client),
        (&[refresh, ("client_id", "disabled-client"), this_token], unknown_client),
        (&[refresh, this_token], unknown_client),
        (
            &[refresh, ("client_id", "second-service-account"), this_token],
            "401 unauthorized_client: Invalid client or Invalid client credentials",
        ),
        (&[own_client, this_token], "400 invalid_request: Missing form parameter: grant_type"),
        (&[("grant_type", ""), own_client, this_token], "400 unsupported_grant_type: Unsupported grant_type"),
        (&[("grant_type", "nonsense"), ("client_id", "nobody")], "400 unsupported_grant_type: Unsupported grant_type"),
        (&[refresh, own_client, this_token, this_token], "400 invalid_request: duplicated parameter"),
        (&[refresh, own_client, this_token, ("a", "1"), ("a", "1")], "400 invalid_request: duplicated parameter"),
        (&[refresh, ("client_id", "nobody"), this_token, this_token], unknown_client),
        (
            &[refresh, own_client, ("refresh_token", "garbage"), ("scope", "openid nonsense.scope")],
            "400 invalid_scope: Invalid scopes: openid nonsense.scope",
        ),
        (&[refresh, own_client, this_token, ("scope", "")], "400 invalid_scope: Invalid scopes: "),
    ];
    for (form, expected) in rows {
        let answer = realm.post("token", form);
        assert_eq!(answer.verdict(), *expected, "{form:?}");
        assert_eq!(answer.content_type, "application/json", "{form:?}");
        assert_eq!(answer.cache_control, "no-store", "{form:?}");
        assert_eq!(answer.challenge, "", "{form:?}");
    }
    assert!(realm.handle.offline_token_is_alive(&token), "a refused request uses nothing up");
}

#[test]
fn a_line_feed_behind_the_token_an_unknown_parameter_and_a_secret_of_a_public_client_are_ignored() {
    let realm = Realm::start();
    let token = format!("{}\n", realm.offline_token());
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "cloud-services"),
        ("client_secret", "any"),
        ("refresh_token", &token),
        ("unknown", "1"),
    ];
    assert_eq!(realm.post("token", &form).verdict(), "200");
    assert_eq!(realm.post("token/", &form).verdict(), "200", "a slash behind the path is ignored too");
}

#[test]
fn only_a_form_body_has_parameters() {
    let realm = Realm::start();
    let missing = "400 invalid_request: Missing form parameter: grant_type";
    for content_type in ["application/json", "text/plain"] {
        let request = realm.request(Method::POST, "token").header(CONTENT_TYPE, content_type);
        assert_eq!(realm.send(request.body("grant_type=refresh_token")).unwrap().verdict(), missing);
    }
    let in_query = realm.request(Method::POST, "token?grant_type=refresh_token&client_id=cloud-services");
    assert_eq!(realm.send(in_query).unwrap().verdict(), missing);
    let with_charset = realm
        .request(Method::POST, "token")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
        .body("grant_type=refresh_token&client_id=cloud-services");
    assert_eq!(realm.send(with_charset).unwrap().verdict(), "400 invalid_request: No refresh token");
}

#[test]
fn a_scope_on_a_refresh_narrows_the_access_token_alone() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let rows = [
        ("openid", "openid profile"),
        ("api.iam.organization", "api.iam.organization profile"),
        ("openid api.console", "openid profile"),
        ("openid api.iam.organization offline_access", "openid api.iam.organization offline_access profile"),
    ];
    for (asked, granted) in rows {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "cloud-services"),
            ("refresh_token", &token),
            ("scope", asked),
        ];
        let answer = realm.post("token", &form);
        assert_eq!(answer.verdict(), "200", "{asked}");
        let access = claims(&answer.text("access_token"));
        assert_eq!(set(access["scope"].as_str().unwrap()), set(granted), "{asked}");
        assert_eq!(set(&answer.text("scope")), set("openid api.iam.organization offline_access profile"), "{asked}");
        assert!(answer.json()["id_token"].is_string(), "{asked}");
    }
}

#[test]
fn states_of_realm_and_user_are_told_and_can_be_taken_back() {
    let realm = Realm::start();
    let token = realm.offline_token();
    realm.sandbox.clock().advance(2);
    let now = realm.sandbox.clock().seconds();
    type Switch = fn(&mut tokensmith_sandbox::sso::Realm, bool, i64);
    let rows: [(Switch, &str); 6] = [
        (|realm, on, _| user(realm).enabled = !on, "400 invalid_grant: User disabled"),
        (
            |realm, on, _| user(realm).offline_access = !on,
            "400 invalid_grant: Offline session invalid because offline access not granted anymore",
        ),
        (|realm, on, now| user(realm).not_before = if on { now } else { 0 }, "400 invalid_grant: Stale token"),
        (|realm, on, now| realm.not_before = if on { now } else { 0 }, "400 invalid_grant: Stale token"),
        (|realm, on, _| realm.enabled = !on, "403 access_denied: Realm not enabled"),
        (
            |realm, on, _| realm.public_url = on.then(|| "https://sso.example.com".to_owned()),
            "400 invalid_grant: Invalid token issuer. Expected 'https://sso.example.com/auth/realms/redhat-external'",
        ),
    ];
    for (switch, expected) in rows {
        realm.handle.change(|realm| switch(realm, true, now));
        assert_eq!(realm.refresh(&token).verdict(), expected);
        realm.handle.change(|realm| switch(realm, false, now));
        assert_eq!(realm.refresh(&token).verdict(), "200", "after {expected}");
    }
    realm.handle.end_sessions();
    assert_eq!(realm.refresh(&token).verdict(), "400 invalid_grant: Offline user session not found");
}

#[test]
fn an_online_token_works_in_the_same_grant_and_is_called_refresh() {
    let realm = Realm::start();
    let form = [
        ("grant_type", "password"),
        ("client_id", "cloud-services"),
        ("username", "casey"),
        ("password", "casey-test-only"),
        ("scope", "openid"),
    ];
    let answer = realm.post("token", &form);
    assert_eq!(answer.json()["refresh_expires_in"], 1800);
    let token = answer.text("refresh_token");
    assert_eq!(claims(&token)["typ"], "Refresh");
    assert_eq!(realm.refresh(&token).verdict(), "200");
    realm.handle.end_sessions();
    assert_eq!(realm.refresh(&token).verdict(), "400 invalid_grant: Session not active");
    realm.sandbox.clock().advance(1801);
    assert_eq!(realm.refresh(&token).verdict(), "400 invalid_grant: Token is not active");
}

#[test]
fn every_error_row_of_the_password_grant_is_answered_as_keycloak_does() {
    let realm = Realm::start();
    realm.handle.change(|realm| realm.users.get_mut("drew").unwrap().offline_access = false);
    let rows = [
        ("cloud-services", "casey", "wrong", "openid", "400 invalid_grant: Invalid user credentials"),
        ("cloud-services", "nobody", "wrong", "openid", "400 invalid_grant: Invalid user credentials"),
        ("cloud-services", "disabled-dana", "disabled-dana-test-only", "openid", "400 invalid_grant: Account disabled"),
        ("cloud-services", "casey", "casey-test-only", "nonsense", "400 invalid_scope: Invalid scopes: nonsense"),
        (
            "cloud-services",
            "drew",
            "drew-test-only",
            "offline_access",
            "400 not_allowed: Offline tokens not allowed for the user or client",
        ),
        (
            "no-direct-grant",
            "casey",
            "casey-test-only",
            "openid",
            "400 unauthorized_client: Client not allowed for direct access grants",
        ),
    ];
    for (client, user, password, scope, expected) in rows {
        let form = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", user),
            ("password", password),
            ("scope", scope),
        ];
        assert_eq!(realm.post("token", &form).verdict(), expected);
    }
}

#[test]
fn a_service_account_gets_an_access_token_and_no_session() {
    let realm = Realm::start();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", ACCOUNT),
        ("client_secret", SECRET),
        ("scope", "api.console"),
    ];
    let answer = realm.post("token", &form);
    assert_eq!(
        names(&answer.json()),
        set("access_token expires_in refresh_expires_in token_type not-before-policy scope")
    );
    assert_eq!(set(&answer.text("scope")), set("profile api.console"));
    let access = claims(&answer.text("access_token"));
    let expected = "exp iat jti iss sub typ azp acr scope clientHost preferred_username clientAddress client_id";
    assert_eq!(names(&access), set(expected));
    assert_eq!(access["preferred_username"], format!("service-account-{ACCOUNT}"));
}

#[test]
fn every_row_of_client_authentication_is_answered_as_keycloak_does() {
    let realm = Realm::start();
    realm.handle.change(|realm| {
        realm.clients.get_mut("second-service-account").unwrap().secret = Some("a+b %&=c".to_owned());
    });
    let encoded = "second-service-account:a%2Bb+%25%26%3Dc";
    let grant = ("grant_type", "client_credentials");
    let id = ("client_id", ACCOUNT);
    let unauthorized = "401 unauthorized_client: Invalid client or Invalid client credentials";
    let unknown = "401 invalid_client: Invalid client or Invalid client credentials";
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let rows: &[Row<'_>] = &[
        (&[grant, id, ("client_secret", "wrong")], "", unauthorized),
        (&[grant, id, ("client_secret", "")], "", unauthorized),
        (&[grant, id], "", unauthorized),
        (&[grant, ("client_id", "nobody"), ("client_secret", SECRET)], "", unknown),
        (&[grant], "", unknown),
        (&[grant], "Basic !!!", unknown),
        (&[grant], "Bearer abc", unknown),
        (&[grant, id, ("client_secret", SECRET)], "Bearer abc", "200"),
        (&[grant, id, ("client_secret", SECRET)], "Basic !!!", "200"),
        (&[grant], "Basic RIGHT", "200"),
        (&[grant], "bAsIc RIGHT", "200"),
        (&[grant], "Basic WRONG", unauthorized),
        (&[grant], "Basic ENCODED", "200"),
        (&[grant, id, ("client_secret", SECRET)], "Basic WRONG", "200"),
        (&[grant, id, ("client_secret", "wrong")], "Basic RIGHT", unauthorized),
        (
            &[grant, ("client_id", "cloud-services"), ("client_secret", "any")],
            "",
            "401 unauthorized_client: Public client not allowed to retrieve service account",
        ),
        (&[grant, id, ("client_secret", SECRET), ("scope", "")], "", "400 invalid_scope: Invalid scopes: "),
        (
            &[grant, id, ("client_secret", SECRET), ("scope", "offline_access")],
            "",
            "400 invalid_scope: Invalid scopes: offline_access",
        ),
    ];
    for (form, authorization, expected) in rows {
        let authorization = authorization
            .replace("RIGHT", &BASE64_STANDARD.encode(format!("{ACCOUNT}:{SECRET}")))
            .replace("WRONG", &BASE64_STANDARD.encode(format!("{ACCOUNT}:wrong")))
            .replace("ENCODED", &BASE64_STANDARD.encode(encoded));
        let mut request = realm.request(Method::POST, "token").form_body(form);
        if !authorization.is_empty() {
            request = request.header(AUTHORIZATION, &authorization);
        }
        assert_eq!(realm.send(request).unwrap().verdict(), *expected, "{form:?} {authorization}");
    }
    realm.handle.change(|realm| {
        realm.clients.get_mut(ACCOUNT).unwrap().service_account_user_enabled = false;
        realm.clients.get_mut("second-service-account").unwrap().service_account = false;
    });
    assert_eq!(
        realm.post("token", &[grant, id, ("client_secret", SECRET)]).verdict(),
        format!("401 invalid_request: User 'service-account-{ACCOUNT}' disabled")
    );
    assert_eq!(
        realm.post("token", &[grant, ("client_id", "second-service-account"), ("client_secret", "a+b %&=c")]).verdict(),
        "401 unauthorized_client: Client not enabled to retrieve service account"
    );
}

#[test]
fn paths_methods_and_sizes_are_refused_as_keycloak_does() {
    let realm = Realm::start();
    let base = realm.sandbox.url();
    let rows = [
        ("/auth/realms/redhat-external/protocol/openidconnect/token", "404 Protocol not found"),
        ("/auth/realms/nowhere/protocol/openid-connect/token", "404 Realm does not exist"),
        ("/auth/realms/Redhat-External/protocol/openid-connect/token", "404 Realm does not exist"),
        ("/auth/nothing", "404 Unable to find matching target resource method"),
        (
            "/auth/realms/redhat-external//protocol/openid-connect/token",
            "400 missingNormalization: Request path not normalized",
        ),
        ("/realms/redhat-external/protocol/openid-connect/token", "404"),
    ];
    for (path, expected) in rows {
        let answer = realm.send(realm.http.post(format!("{base}{path}")).form_body(&[("a", "b")])).unwrap();
        assert_eq!(answer.verdict(), expected, "{path}");
    }
    let outside = realm.send(realm.http.post(format!("{base}/realms"))).unwrap();
    assert_eq!(outside.body, "<html><body><h1>Resource not found</h1></body></html>");
    for method in [Method::GET, Method::PUT] {
        let answer = realm.send(realm.request(method, "token")).unwrap();
        assert_eq!(answer.verdict(), "405 HTTP 405 Method Not Allowed");
        assert_eq!(answer.cache_control, "");
    }
    assert_eq!(realm.send(realm.request(Method::OPTIONS, "token")).unwrap().verdict(), "200");

    let (largest, too_large) = ("x".repeat(128 * 1024), "x".repeat(140_000));
    let form = |token| [("grant_type", "refresh_token"), ("client_id", "cloud-services"), ("refresh_token", token)];
    assert_eq!(realm.post("token", &form(&largest)).verdict(), "400 invalid_request: No refresh token");
    assert_eq!(realm.post("token", &form(&too_large)).verdict(), "413 HTTP 413 Request Entity Too Large");
    let names: Vec<String> = (0..1001).map(|number| number.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(realm.post("token", &many).status, 500);
}

#[test]
fn a_realm_that_wants_https_refuses_plain_http_and_takes_https() {
    let realm = Realm::named("tls-only");
    let token = realm.offline_token();
    let plain = format!("{}/auth/realms/tls-only/protocol/openid-connect/token", realm.sandbox.sso().plain_url());
    let form = [("grant_type", "refresh_token"), ("client_id", "cloud-services"), ("refresh_token", token.as_str())];
    let answer = realm.send(realm.http.post(plain).form_body(&form)).unwrap();
    assert_eq!(answer.verdict(), "403 invalid_request: HTTPS required");
    assert_eq!(realm.refresh(&token).verdict(), "200");
}

#[test]
fn a_token_got_under_one_host_name_is_refused_under_another() {
    let realm = Realm::start();
    let token = realm.offline_token();
    let other = realm.handle.token_url().replace("127.0.0.1", "localhost");
    let form = [("grant_type", "refresh_token"), ("client_id", "cloud-services"), ("refresh_token", token.as_str())];
    let answer = realm.send(realm.http.post(&other).form_body(&form)).unwrap();
    let issuer = realm.handle.url().replace("127.0.0.1", "localhost");
    assert_eq!(answer.verdict(), format!("400 invalid_grant: Invalid token issuer. Expected '{issuer}'"));
}

fn user(realm: &mut tokensmith_sandbox::sso::Realm) -> &mut tokensmith_sandbox::sso::User {
    realm.users.get_mut("casey").unwrap()
}

fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn set(words: &str) -> BTreeSet<&str> {
    words.split(' ').collect()
}

const SCOPE: &str = "openid offline_access";
const ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";
const SECRET: &str = "insights-service-account-secret-for-tests";
