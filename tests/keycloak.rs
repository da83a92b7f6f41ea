//! The stand-in held against the real Keycloak: the same requests go to both, and what they answer must be alike.
//!
//! A scenario is a function that speaks to one server and notes each answer; it is played to both, and the notes are
//! compared line by line.

#![cfg(test)]

#[path = "keycloak/sso_token.rs"]
mod sso_token;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tokensmith_sandbox::Sandbox;
use tokensmith_tests::keycloak::{FormBody, Keycloak};

#[test]
fn refused_refreshes_are_alike() {
    compare(|server| {
        let login = server.log_in("redhat-external", "cloud-services", "openid offline_access");
        let [token, access, id] = ["refresh_token", "access_token", "id_token"].map(|name| text(&login, name));
        let second = text(&server.log_in("second", "cloud-services", "openid offline_access"), "refresh_token");
        let values = [
            ("garbage", "garbage".to_owned()),
            ("nothing", String::new()),
            ("three parts of garbage", "a.b.c".to_owned()),
            ("cut", token[..token.len() - 20].to_owned()),
            ("tampered", token.replacen("eyJ", "eyK", 1)),
            ("quoted", format!("\"{token}\"")),
            ("blank before", format!(" {token}")),
            ("blank behind", format!("{token} ")),
            ("line feed behind", format!("{token}\n")),
            ("access token", access),
            ("id token", id),
            ("of another realm", second),
            ("4000 characters", "x".repeat(4000)),
            ("4001 characters", "x".repeat(4001)),
        ];
        for (label, value) in &values {
            server.refresh(label, "redhat-external", "cloud-services", value);
        }
        for client in ["rhsm-api", "nobody", "Cloud-Services", "", "disabled-client", "second-service-account"] {
            server.refresh(&format!("as {client:?}"), "redhat-external", client, &token);
        }
        let refresh = ("grant_type", "refresh_token");
        let client = ("client_id", "cloud-services");
        let own = ("refresh_token", token.as_str());
        let forms: &[(&str, &[(&str, &str)])] = &[
            ("no client", &[refresh, own]),
            ("no token", &[refresh, client]),
            ("no token, wrong scope", &[refresh, client, ("scope", "nonsense")]),
            ("no grant", &[client, own]),
            ("empty grant", &[("grant_type", ""), client, own]),
            ("unknown grant", &[("grant_type", "nonsense"), client, own]),
            ("unknown grant and client", &[("grant_type", "nonsense"), ("client_id", "nobody")]),
            ("token twice", &[refresh, client, own, own]),
            ("unknown parameter twice", &[refresh, client, own, ("a", "1"), ("a", "2")]),
            ("unknown client, token twice", &[refresh, ("client_id", "nobody"), own, own]),
            ("unknown parameter", &[refresh, client, own, ("a", "1")]),
            ("secret of a public client", &[refresh, client, own, ("client_secret", "any")]),
        ];
        for (label, form) in forms {
            server.post(label, "redhat-external", "token", form);
        }
    });
}

#[test]
fn scopes_on_a_refresh_are_alike() {
    compare(|server| {
        for granted in ["openid offline_access api.iam.organization", "offline_access"] {
            let token = text(&server.log_in("redhat-external", "cloud-services", granted), "refresh_token");
            for scope in [
                "openid",
                "api.iam.organization",
                "openid api.console",
                "openid api.iam.organization",
                "offline_access",
                "basic",
                "openid openid",
                "openid  profile",
                "nonsense",
                "openid nonsense.scope",
                "",
            ] {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", "cloud-services"),
                    ("refresh_token", &token),
                    ("scope", scope),
                ];
                server.post(&format!("{granted:?} narrowed to {scope:?}"), "redhat-external", "token", &form);
            }
        }
    });
}

#[test]
fn logins_and_their_refusals_are_alike() {
    compare(|server| {
        for (client, user, password, scope) in [
            ("cloud-services", "casey", "casey-test-only", "openid offline_access"),
            ("cloud-services", "casey", "casey-test-only", "offline_access"),
            ("cloud-services", "casey", "casey-test-only", "openid"),
            ("short-access", "casey", "casey-test-only", "openid offline_access"),
            ("short-idle", "casey", "casey-test-only", "openid offline_access"),
            ("cloud-services", "casey", "wrong", "openid"),
            ("cloud-services", "nobody", "wrong", "openid"),
            ("cloud-services", "disabled-dana", "disabled-dana-test-only", "openid"),
            ("cloud-services", "casey", "casey-test-only", "nonsense"),
            ("no-direct-grant", "casey", "casey-test-only", "openid"),
            ("disabled-client", "casey", "casey-test-only", "openid"),
        ] {
            let form = [
                ("grant_type", "password"),
                ("client_id", client),
                ("username", user),
                ("password", password),
                ("scope", scope),
            ];
            server.post(&format!("{user} at {client} for {scope:?}"), "redhat-external", "token", &form);
        }
        let nameless = [("grant_type", "password"), ("client_id", "cloud-services")];
        server.post("without a name", "redhat-external", "token", &nameless);
        let online = text(&server.log_in("redhat-external", "cloud-services", "openid"), "refresh_token");
        server.refresh("online token", "redhat-external", "cloud-services", &online);
        server.post("log out", "redhat-external", "logout", &own("refresh_token", &online));
        server.refresh("online token after log-out", "redhat-external", "cloud-services", &online);
    });
}

#[test]
fn service_accounts_and_client_authentication_are_alike() {
    compare(|server| {
        let right = BASE64_STANDARD.encode(format!("{ACCOUNT}:{SECRET}"));
        let wrong = BASE64_STANDARD.encode(format!("{ACCOUNT}:wrong"));
        let grant = ("grant_type", "client_credentials");
        let id = ("client_id", ACCOUNT);
        let secret = ("client_secret", SECRET);
        let forms: &[(&[(&str, &str)], &str)] = &[
            (&[grant, id, secret], ""),
            (&[grant, id, secret, ("scope", "api.console")], ""),
            (&[grant, id, secret, ("scope", "openid api.console")], ""),
            (&[grant, id, secret, ("scope", "offline_access")], ""),
            (&[grant, id, secret, ("scope", "")], ""),
            (&[grant, id, ("client_secret", "wrong")], ""),
            (&[grant, id, ("client_secret", "")], ""),
            (&[grant, id], ""),
            (&[grant, ("client_id", "nobody"), secret], ""),
            (&[grant, ("client_id", "cloud-services")], ""),
            (&[grant], ""),
            (&[grant], "Basic !!!"),
            (&[grant], "Bearer abc"),
            (&[grant], &format!("Basic {right}")),
            (&[grant], &format!("bAsIc {right}")),
            (&[grant], &format!("Basic {wrong}")),
            (&[grant, id, secret], "Basic !!!"),
            (&[grant, id, secret], "Bearer abc"),
            (&[grant, id, secret], &format!("Basic {wrong}")),
            (&[grant, id, ("client_secret", "wrong")], &format!("Basic {right}")),
        ];
        for (number, (form, authorization)) in forms.iter().enumerate() {
            let mut request = server.request(Method::POST, "redhat-external", "token").form_body(form);
            if !authorization.is_empty() {
                request = request.header(AUTHORIZATION, *authorization);
            }
            server.send(&format!("service account, form {number}"), request);
        }
    });
}

#[test]
fn rotation_is_alike() {
    compare(|server| {
        // All chains take their steps between the same pauses. "0 1": token 0 is used, and the answer is token 1.
        let chains: &[(&str, &[(usize, usize)])] = &[
            ("rotating", &[(0, 1), (1, 2), (2, 3)]),
            ("rotating", &[(0, 1), (0, 2), (0, 2), (1, 2)]),
            ("rotating", &[(0, 1), (1, 2), (0, 3), (2, 3)]),
            ("rotating-reuse-1", &[(0, 1), (1, 2), (2, 3)]),
            ("rotating-reuse-1", &[(0, 1), (0, 2), (2, 3), (1, 4), (3, 4)]),
            ("rotating-reuse-1", &[(0, 1), (0, 2), (0, 3), (2, 3)]),
            ("rotating-reuse-1", &[(0, 1), (1, 2), (0, 3), (2, 3)]),
        ];
        let mut tokens: Vec<Vec<String>> = chains
            .iter()
            .map(|(realm, _)| {
                vec![text(&server.log_in(realm, "cloud-services", "openid offline_access"), "refresh_token")]
            })
            .collect();
        let mut access = Vec::new();
        for step in 0..5 {
            server.pause(2);
            for (chain, (realm, steps)) in chains.iter().enumerate() {
                let Some((used, _)) = steps.get(step) else { continue };
                let label = format!("chain {chain}, step {step}");
                let body = server.refresh(&label, realm, "cloud-services", &tokens[chain][*used]);
                if let Some(token) = body["refresh_token"].as_str() {
                    tokens[chain].push(token.to_owned());
                    access.push((label, *realm, text(&body, "access_token")));
                }
            }
        }
        for (label, realm, token) in &access {
            server.user_info(&format!("access token of {label}"), realm, token);
        }
        let used_up = tokens[3][0].clone();
        server.post("revoke with a used-up string", "rotating-reuse-1", "revoke", &own("token", &used_up));
        server.refresh("newest string then", "rotating-reuse-1", "cloud-services", &tokens[3][3]);
        let dead = tokens[1][1].clone();
        server.post("revoke after a replay", "rotating", "revoke", &own("token", &dead));
        server.post("log out after a replay", "rotating", "logout", &own("refresh_token", &dead));
    });
}

#[test]
fn idle_and_session_limits_are_alike() {
    compare(|server| {
        let mut begun = Instant::now();
        let idle = text(&server.log_in("redhat-external", "short-idle", "openid offline_access"), "refresh_token");
        let short = server.log_in("redhat-external", "short-access", "openid offline_access");
        let first = server.log_in("limited", "cloud-services", "openid offline_access");
        let access = text(&first, "access_token");
        let first = text(&first, "refresh_token");
        let mut newest = first.clone();
        for second in [12, 24] {
            server.pause(12);
            server.must_be_within(18, begun);
            begun = Instant::now();
            let body = server.refresh(&format!("newest at {second}"), "limited", "cloud-services", &newest);
            newest = text(&body, "refresh_token");
            server.refresh(&format!("first at {second}"), "limited", "cloud-services", &first);
            if second == 12 {
                server.refresh("client's idle limit, in time", "redhat-external", "short-idle", &idle);
                server.user_info("expired", "redhat-external", &text(&short, "access_token"));
            }
        }
        // Past the idle limits, and before the session's end.
        server.pause(22);
        server.refresh("client's idle limit, too late", "redhat-external", "short-idle", &idle);
        server.refresh("newest too late", "limited", "cloud-services", &newest);
        server.user_info("session gone", "limited", &access);
        server.post("revoke too late", "limited", "revoke", &own("token", &newest));
    });
}

#[test]
fn user_info_is_alike() {
    compare(|server| {
        let login = server.log_in("redhat-external", "cloud-services", "openid offline_access");
        let [token, access, id] = ["refresh_token", "access_token", "id_token"].map(|name| text(&login, name));
        let closed = text(&server.log_in("redhat-external", "cloud-services", "offline_access"), "access_token");
        let second = text(&server.log_in("second", "cloud-services", "openid"), "access_token");
        for (label, token) in [
            ("good", access.as_str()),
            ("without openid", &closed),
            ("garbage", "garbage"),
            ("offline token", &token),
            ("id token", &id),
            ("of another realm", &second),
            ("tampered", &access.replacen("eyJ", "eyK", 1)),
        ] {
            server.user_info(label, "redhat-external", token);
        }
        for scope in ["api.console", "openid api.console"] {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", ACCOUNT),
                ("client_secret", SECRET),
                ("scope", scope),
            ];
            let account = text(&server.post(scope, "redhat-external", "token", &form), "access_token");
            server.user_info(&format!("service account with {scope}"), "redhat-external", &account);
            let revoke = [("token", account.as_str()), ("client_id", ACCOUNT), ("client_secret", SECRET)];
            server.post("revoke it", "redhat-external", "revoke", &revoke);
            server.user_info(&format!("revoked service account with {scope}"), "redhat-external", &account);
        }
        let get = |server: &Server, endpoint: &str| server.request(Method::GET, "redhat-external", endpoint);
        server.send("no token", get(server, "userinfo"));
        server.send("Basic", get(server, "userinfo").basic_auth("a", Some("b")));
        server.send("in the query", get(server, &format!("userinfo?access_token={access}")));
        server.send("lower case", get(server, "userinfo").header(AUTHORIZATION, format!("bearer {access}")));
        server.post("in the form", "redhat-external", "userinfo", &[("access_token", &access)]);
        let both = server.request(Method::POST, "redhat-external", "userinfo").bearer_auth(&access);
        server.send("in both", both.form_body(&[("access_token", &access)]));
    });
}

#[test]
fn revoking_logging_out_and_introspecting_are_alike() {
    compare(|server| {
        let login = server.log_in("redhat-external", "cloud-services", "openid offline_access");
        let [token, access, id] = ["refresh_token", "access_token", "id_token"].map(|name| text(&login, name));
        let other = text(&server.log_in("redhat-external", "cloud-services", "openid offline_access"), "refresh_token");
        for (label, client, token) in [
            ("garbage", "cloud-services", "garbage"),
            ("id token", "cloud-services", &id),
            ("another client's", "rhsm-api", &token),
            ("another client's access token", "rhsm-api", &access),
            ("unknown client", "nobody", &token),
            ("account without secret", "second-service-account", &token),
            ("access token", "cloud-services", &access),
            ("access token again", "cloud-services", &access),
        ] {
            server.post(
                &format!("revoke {label}"),
                "redhat-external",
                "revoke",
                &[("token", token), ("client_id", client)],
            );
        }
        server.user_info("revoked itself", "redhat-external", &access);
        let body = server.refresh("the offline token goes on", "redhat-external", "cloud-services", &token);
        let access = text(&body, "access_token");
        server.post("revoke nothing", "redhat-external", "revoke", &[("client_id", "cloud-services")]);
        server.post("revoke without client", "redhat-external", "revoke", &[("token", &token)]);
        let twice = [("token", token.as_str()), ("token", &token), ("client_id", "cloud-services")];
        server.post("revoke twice in one", "redhat-external", "revoke", &twice);
        for label in ["revoke", "revoke again"] {
            server.post(label, "redhat-external", "revoke", &own("token", &token));
        }
        server.user_info("session revoked", "redhat-external", &access);
        server.post("revoke access token of a revoked session", "redhat-external", "revoke", &own("token", &access));
        server.refresh("revoked", "redhat-external", "cloud-services", &token);
        server.refresh("other session", "redhat-external", "cloud-services", &other);

        server.post("log out with garbage", "redhat-external", "logout", &own("refresh_token", "garbage"));
        let foreign = [("refresh_token", other.as_str()), ("client_id", "rhsm-api")];
        server.post("log out as another client", "redhat-external", "logout", &foreign);
        server.post("log out without client", "redhat-external", "logout", &[("refresh_token", &other)]);
        for label in ["log out", "log out again"] {
            server.post(label, "redhat-external", "logout", &own("refresh_token", &other));
        }
        server.refresh("logged out", "redhat-external", "cloud-services", &other);

        let account = ("client_id", "second-service-account");
        let secret = ("client_secret", "second-service-account-secret-for-tests");
        let asked = ("token", other.as_str());
        let forms: &[&[(&str, &str)]] = &[
            &[account, secret, asked],
            &[account, secret],
            &[account, ("client_secret", "wrong"), asked],
            &[account, asked],
            &[("client_id", "cloud-services"), asked],
            &[("client_id", "nobody"), asked],
            &[asked],
        ];
        for (number, form) in forms.iter().enumerate() {
            server.post(&format!("introspect {number}"), "redhat-external", "token/introspect", form);
        }
    });
}

#[test]
fn paths_methods_and_bodies_are_alike() {
    compare(|server| {
        for path in [
            "/auth/realms/redhat-external/protocol/openidconnect/token",
            "/auth/realms/redhat-external/protocol/openid-connect/nothing",
            "/auth/realms/redhat-external//protocol/openid-connect/token",
            "/auth/realms/redhat-external/protocol/openid-connect/token/",
            "/auth/realms/nowhere/protocol/openid-connect/token",
            "/auth/realms/Redhat-External/protocol/openid-connect/token",
            "/auth/nothing",
            "/nothing",
        ] {
            let request = server.http.post(format!("{}{path}", server.url)).form_body(&[("a", "b")]);
            server.send(path, request);
            server.send(&format!("GET {path}"), server.http.get(format!("{}{path}", server.url)));
        }
        for endpoint in ["token", "revoke", "token/introspect", "userinfo", "certs"] {
            for method in [Method::PUT, Method::OPTIONS, Method::GET, Method::POST] {
                let label = format!("{method} {endpoint}");
                server.send(&label, server.request(method, "redhat-external", endpoint));
            }
        }
        for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded; charset=utf-8"] {
            let request = server.request(Method::POST, "redhat-external", "token").header(CONTENT_TYPE, content_type);
            server.send(content_type, request.body("grant_type=refresh_token&client_id=cloud-services"));
        }
        for length in [128 * 1024, 140_000] {
            let long = "x".repeat(length);
            server.refresh(&format!("{length} characters"), "redhat-external", "cloud-services", &long);
        }
        let names: Vec<String> = (0..1001).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
        server.post("1001 parameters", "redhat-external", "token", &many);
        for endpoint in ["token", "revoke", "userinfo"] {
            server.post(&format!("plain http to {endpoint}"), "tls-only", endpoint, &[("a", "b")]);
        }
        let discovery =
            server.http.get(format!("{}/auth/realms/redhat-external/.well-known/openid-configuration", server.url));
        let keys = [
            "issuer",
            "token_endpoint",
            "introspection_endpoint",
            "userinfo_endpoint",
            "end_session_endpoint",
            "jwks_uri",
            "revocation_endpoint",
        ];
        let body: Value = serde_json::from_str(&discovery.send().unwrap().text().unwrap()).unwrap();
        for key in keys {
            let line = format!("discovery {key}: {}", text(&body, key).replace(&server.url, "BASE"));
            server.notes.push(line);
        }
    });
}

/// Settings are changed in a realm of its own, as all scenarios share one Keycloak.
#[test]
fn states_set_by_an_administrator_are_alike() {
    compare(|server| {
        let realm = "states";
        server.make_realm(realm);
        let login = server.log_in_as(realm, "drew", "cloud-services", "openid offline_access");
        let [token, access] = ["refresh_token", "access_token"].map(|name| text(&login, name));
        let ask = |server: &mut Server, label: &str| {
            server.refresh(&format!("refresh, {label}"), realm, "cloud-services", &token);
            server.user_info(&format!("user info, {label}"), realm, &access);
        };
        for (label, state) in [
            ("user disabled", State::User { enabled: false }),
            ("user enabled", State::User { enabled: true }),
            ("offline access taken away", State::OfflineAccess { has_it: false }),
            ("offline access given back", State::OfflineAccess { has_it: true }),
            ("client disabled", State::Client { enabled: false }),
            ("client enabled", State::Client { enabled: true }),
            ("realm disabled", State::Realm { enabled: false }),
            ("realm enabled", State::Realm { enabled: true }),
            ("not before", State::NotBefore { is_set: true }),
            ("not before taken back", State::NotBefore { is_set: false }),
        ] {
            server.set(realm, state);
            ask(server, label);
            if label == "realm disabled" {
                server.post("revoke, realm disabled", realm, "revoke", &own("token", &token));
                server.post("introspect, realm disabled", realm, "token/introspect", &own("token", &token));
            }
        }
        let before = text(&server.log_in_as(realm, "drew", "cloud-services", "openid offline_access"), "refresh_token");
        let newer = server.refresh("before rotation", realm, "cloud-services", &before);
        server.pause(2);
        server.set(realm, State::Rotation { is_on: true });
        let body = server.refresh("rotation switched on, the older string", realm, "cloud-services", &before);
        server.pause(2);
        server.refresh("the newer string", realm, "cloud-services", &text(&newer, "refresh_token"));
        server.refresh("the newest string", realm, "cloud-services", &text(&body, "refresh_token"));
        let rotating =
            text(&server.log_in_as(realm, "drew", "cloud-services", "openid offline_access"), "refresh_token");
        server.set(realm, State::Rotation { is_on: false });
        let body = server.refresh("rotation switched off again", realm, "cloud-services", &rotating);
        server.pause(2);
        server.set(realm, State::Rotation { is_on: true });
        server.refresh("and on again", realm, "cloud-services", &text(&body, "refresh_token"));

        server.pause(2);
        server.set(realm, State::LoggedOut);
        ask(server, "logged out by an administrator");
        server.post("revoke, logged out", realm, "revoke", &own("token", &token));
        server.pause(2);
        let login = server.log_in_as(realm, "drew", "cloud-services", "openid offline_access");
        server.set(realm, State::SessionDeleted { token: text(&login, "refresh_token") });
        server.refresh("session deleted", realm, "cloud-services", &text(&login, "refresh_token"));
        server.user_info("session deleted", realm, &text(&login, "access_token"));
    });
}

/// Plays a scenario to both servers and holds the notes against each other.
fn compare(scenario: impl Fn(&mut Server)) {
    let Some(keycloak) = Keycloak::shared().unwrap() else { return };
    let sandbox = Sandbox::start().unwrap();
    let mut real = Server::new(keycloak.url().to_owned(), Kind::Keycloak(keycloak));
    let mut stand_in = Server::new(sandbox.sso().plain_url(), Kind::Sandbox(&sandbox));
    for _ in 0..MOST_TRIES {
        (real.notes, real.is_late) = (Vec::new(), false);
        scenario(&mut real);
        if !real.is_late {
            break;
        }
    }
    assert!(!real.is_late, "this machine was too busy to keep to a time limit of the server, {MOST_TRIES} times");
    scenario(&mut stand_in);

    let mut differences = String::new();
    for (real, stand_in) in real.notes.iter().zip(&stand_in.notes) {
        if !are_alike(real, stand_in) {
            let _ = write!(differences, "\nKeycloak: {real}\nsandbox:  {stand_in}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(real.notes.len(), stand_in.notes.len());
    assert!(!real.notes.is_empty());
}

/// One of the two, and what it answered so far.
struct Server<'k> {
    kind: Kind<'k>,
    url: String,
    http: Client,
    notes: Vec<String>,
    /// More time passed than the scenario allows, so the notes say nothing.
    is_late: bool,
}

enum Kind<'k> {
    Keycloak(&'k Keycloak),
    Sandbox(&'k Sandbox),
}

/// What an administrator can set; users are `drew`, clients `cloud-services`.
enum State {
    User { enabled: bool },
    OfflineAccess { has_it: bool },
    Client { enabled: bool },
    Realm { enabled: bool },
    NotBefore { is_set: bool },
    Rotation { is_on: bool },
    LoggedOut,
    SessionDeleted { token: String },
}

impl<'k> Server<'k> {
    fn new(url: String, kind: Kind<'k>) -> Self {
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { kind, url, http, notes: Vec::new(), is_late: false }
    }

    fn request(&self, method: Method, realm: &str, endpoint: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/auth/realms/{realm}/protocol/openid-connect/{endpoint}", self.url))
    }

    fn post(&mut self, label: &str, realm: &str, endpoint: &str, form: &[(&str, &str)]) -> Value {
        self.send(label, self.request(Method::POST, realm, endpoint).form_body(form))
    }

    fn refresh(&mut self, label: &str, realm: &str, client: &str, token: &str) -> Value {
        let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.post(label, realm, "token", &form)
    }

    fn user_info(&mut self, label: &str, realm: &str, token: &str) {
        self.send(label, self.request(Method::GET, realm, "userinfo").bearer_auth(token));
    }

    fn log_in(&mut self, realm: &str, client: &str, scope: &str) -> Value {
        self.log_in_as(realm, "casey", client, scope)
    }

    fn log_in_as(&mut self, realm: &str, user: &str, client: &str, scope: &str) -> Value {
        let password = format!("{user}-test-only");
        let form = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", user),
            ("password", &password),
            ("scope", scope),
        ];
        self.post("log in", realm, "token", &form)
    }

    /// Sends the request and notes what can be compared of the answer.
    fn send(&mut self, label: &str, request: RequestBuilder) -> Value {
        let response = request.send().unwrap();
        let status = response.status().as_u16();
        let header = |name: &str| {
            let values: Vec<_> = response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            values.join(", ")
        };
        let headers =
            ["content-type", "cache-control", "pragma", "www-authenticate", "retry-after", "date"].map(header);
        let text = response.text().unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let seen = match &body {
            Value::Object(_) => self.described(&body),
            _ if headers[0].starts_with("text/html") => "(a page)".to_owned(),
            _ => text,
        };
        self.notes.push(format!("{label}: {status} {} {seen}", headers.join(" | ")));
        body
    }

    fn described(&self, body: &Value) -> String {
        let mut lines = Vec::new();
        for (name, value) in body.as_object().unwrap() {
            let shown = match (name.as_str(), value) {
                ("access_token" | "refresh_token" | "id_token", Value::String(token)) => self.described_token(token),
                ("scope", Value::String(scope)) => words(scope),
                ("sub" | "session_state", _) => "(any)".to_owned(),
                ("not-before-policy", Value::Number(second)) if second.as_i64() != Some(0) => "(set)".to_owned(),
                ("expires_in" | "refresh_expires_in", Value::Number(number)) => near(number.as_i64().unwrap()),
                ("keys", Value::Array(keys)) => described_keys(keys),
                _ => value.to_string().replace(&self.url, "BASE"),
            };
            lines.push(format!("{name}: {shown}"));
        }
        lines.sort();
        lines.join(", ")
    }

    /// Header and claims: the names of all, the values of those that are not another each time.
    fn described_token(&self, token: &str) -> String {
        let part = |index: usize| -> (String, Value) {
            let raw = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
            let raw = String::from_utf8(raw).unwrap();
            (raw.clone(), serde_json::from_str(&raw).unwrap())
        };
        let (raw_header, header) = part(0);
        let (_, claims) = part(1);
        let blanks = raw_header.replace(header["kid"].as_str().unwrap(), "KID");
        let shown: BTreeSet<String> = claims
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("iat" | "exp", _) => name.clone(),
                ("sub" | "sid" | "at_hash" | "reuse_id", Value::String(_)) => name.clone(),
                ("jti", Value::String(id)) => format!("jti {}", id.rsplit_once(':').map_or("", |(kind, _)| kind)),
                ("scope", Value::String(scope)) => format!("scope {}", words(scope)),
                _ => format!("{name} {}", value.to_string().replace(&self.url, "BASE")),
            })
            .collect();
        let life = claims["exp"].as_i64().map(|exp| near(exp - claims["iat"].as_i64().unwrap()));
        format!("{blanks} {shown:?} life {life:?}")
    }

    /// Lets time pass: the sandbox has a clock to move.
    fn must_be_within(&mut self, seconds: u64, since: Instant) {
        self.is_late |= since.elapsed() > Duration::from_secs(seconds);
    }

    fn pause(&self, seconds: u64) {
        match self.kind {
            Kind::Keycloak(_) => sleep(Duration::from_secs(seconds)),
            Kind::Sandbox(sandbox) => sandbox.clock().advance(i64::try_from(seconds).unwrap()),
        }
    }

    fn make_realm(&self, realm: &str) {
        match self.kind {
            Kind::Keycloak(keycloak) => keycloak.copy_realm(realm).unwrap(),
            Kind::Sandbox(sandbox) => drop(sandbox.sso().realm(realm)),
        }
    }

    fn set(&self, realm: &str, state: State) {
        match self.kind {
            Kind::Keycloak(keycloak) => set_keycloak(keycloak, realm, state),
            Kind::Sandbox(sandbox) => set_sandbox(sandbox, realm, state),
        }
    }
}

fn set_keycloak(keycloak: &Keycloak, realm: &str, state: State) {
    match state {
        State::User { enabled } => keycloak.set_user_enabled(realm, "drew", enabled),
        State::OfflineAccess { has_it } => keycloak.set_offline_access(realm, "drew", has_it),
        State::Client { enabled } => keycloak.set_client_enabled(realm, "cloud-services", enabled),
        State::Realm { enabled } => keycloak.change_realm(realm, &json!({ "enabled": enabled })),
        State::NotBefore { is_set } => keycloak.change_realm(realm, &json!({ "notBefore": not_before(is_set) })),
        State::Rotation { is_on } => keycloak.change_realm(realm, &json!({ "revokeRefreshToken": is_on })),
        State::LoggedOut => keycloak.log_out_user(realm, "drew"),
        State::SessionDeleted { token } => keycloak.delete_offline_session(realm, &session_id(&token)),
    }
    .unwrap();
}

fn set_sandbox(sandbox: &Sandbox, realm: &str, state: State) {
    let now = sandbox.clock().seconds();
    sandbox.sso().realm(realm).change(|realm| match state {
        State::User { enabled } => realm.users.get_mut("drew").unwrap().enabled = enabled,
        State::OfflineAccess { has_it } => realm.users.get_mut("drew").unwrap().offline_access = has_it,
        State::Client { enabled } => realm.clients.get_mut("cloud-services").unwrap().enabled = enabled,
        State::Realm { enabled } => realm.enabled = enabled,
        State::NotBefore { is_set } => realm.not_before = not_before(is_set),
        State::Rotation { is_on } => realm.rotation = is_on.then_some(0),
        State::LoggedOut => realm.users.get_mut("drew").unwrap().not_before = now,
        State::SessionDeleted { token } => realm.end_session(&session_id(&token)),
    });
}

/// Ahead of every clock here; Keycloak keeps it in 32 bits.
fn not_before(is_set: bool) -> i64 {
    if is_set { 2_000_000_000 } else { 0 }
}

fn session_id(token: &str) -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    text(&serde_json::from_slice(&claims).unwrap(), "sid")
}

fn own<'t>(name: &'t str, token: &'t str) -> [(&'t str, &'t str); 2] {
    [(name, token), ("client_id", "cloud-services")]
}

fn near(seconds: i64) -> String {
    format!("{ABOUT}{seconds}")
}

/// Whether two notes say the same. Real time passes while Keycloak works, also within one answer: a few seconds make no difference.
fn are_alike(real: &str, stand_in: &str) -> bool {
    let parts = |note: &str| note.split(ABOUT).map(str::to_owned).collect::<Vec<_>>();
    let (real, stand_in) = (parts(real), parts(stand_in));
    real.len() == stand_in.len()
        && real.iter().zip(&stand_in).enumerate().all(|(index, (real, stand_in))| {
            let ((real, real_rest), (stand_in, stand_in_rest)) = match index {
                0 => ((0, real.as_str()), (0, stand_in.as_str())),
                _ => (leading_number(real), leading_number(stand_in)),
            };
            (real - stand_in).abs() <= A_FEW_SECONDS && real_rest == stand_in_rest
        })
}

fn leading_number(text: &str) -> (i64, &str) {
    let end = text.find(|letter: char| letter != '-' && !letter.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().unwrap(), &text[end..])
}

#[test]
fn lives_may_differ_by_a_few_seconds_and_nothing_else_may() {
    let note = |seconds| format!("200 expires_in: {}, scope: a", near(seconds));
    assert!(are_alike(&note(901), &note(900)) && are_alike(&note(899), &note(900)) && are_alike(&note(0), &note(-1)));
    assert!(!are_alike(&note(60), &note(900)));
    assert!(!are_alike(&note(900), &note(900).replace("200", "401")));
    assert!(!are_alike(&note(900), &note(900).replace("scope: a", "scope: b")));
    assert!(!are_alike(&note(900), "200"));
}

fn words(scope: &str) -> String {
    format!("{:?}", scope.split(' ').collect::<BTreeSet<_>>())
}

fn described_keys(keys: &[Value]) -> String {
    let mut shown: Vec<String> =
        keys.iter().map(|key| format!("{} {} {} {}", key["kty"], key["alg"], key["use"], key["e"])).collect();
    shown.sort();
    shown.join(", ")
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("there is no {field} in {value}")).to_owned()
}

const ABOUT: &str = "about ";
const A_FEW_SECONDS: i64 = 6;
const ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";
const SECRET: &str = "insights-service-account-secret-for-tests";
const MOST_TRIES: usize = 4;
