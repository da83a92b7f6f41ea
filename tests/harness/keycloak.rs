//! A real Keycloak on loopback: a copy of the template that `scripts/keycloak.sh` makes.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

/// A running Keycloak with the realms `redhat-external`, `second`, `rotating`, `rotating-reuse-1`, `limited` and
/// `tls-only`, over plain http. It ends with the process that started it, or when dropped.
#[derive(Debug)]
pub struct Keycloak {
    process: Child,
    url: String,
    http: Client,
}

impl Keycloak {
    /// The one Keycloak of this test process, or `None` and a line on standard error where there is no template.
    /// With `REAL=1` that is an error.
    pub fn shared() -> Result<Option<&'static Self>> {
        static SHARED: OnceLock<Result<Option<Keycloak>, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| match template() {
            Some(template) => Self::start(&template).map(Some).map_err(|error| format!("{error:#}")),
            None if is_set("REAL") => Err(format!("REAL=1 wants a real Keycloak. {HOW}")),
            None => {
                let _ = writeln!(std::io::stderr(), "The Keycloak tests are skipped. {HOW}");
                Ok(None)
            }
        });
        shared.as_ref().map(Option::as_ref).map_err(|error| anyhow!("{error}"))
    }

    /// Starts a copy of the template on free ports and waits until it is ready.
    pub fn start(template: &Path) -> Result<Self> {
        // A port may be taken between choosing and using it.
        Self::try_start(template).or_else(|_| Self::try_start(template))
    }

    /// Scheme, host and port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The issuer of a realm.
    pub fn realm_url(&self, realm: &str) -> String {
        format!("{}/auth/realms/{realm}", self.url)
    }

    /// The token endpoint of a realm.
    pub fn token_url(&self, realm: &str) -> String {
        format!("{}/protocol/openid-connect/token", self.realm_url(realm))
    }

    /// A first offline token, as a person gets one from the web page. Each has its own session.
    pub fn offline_token(&self, realm: &str, client_id: &str, user: &str) -> Result<String> {
        let answer = self.log_in(realm, client_id, user, "openid offline_access api.iam.organization")?;
        text(&answer, "refresh_token")
    }

    /// What the password grant answers to one of the realm file's users.
    pub fn log_in(&self, realm: &str, client_id: &str, user: &str, scope: &str) -> Result<Value> {
        let password = format!("{user}-test-only");
        let form = [
            ("grant_type", "password"),
            ("client_id", client_id),
            ("username", user),
            ("password", &password),
            ("scope", scope),
        ];
        self.grant(realm, &form)
    }

    /// What a refresh answers; an error if it is refused.
    pub fn refresh(&self, realm: &str, client_id: &str, offline_token: &str) -> Result<Value> {
        let form = [("grant_type", "refresh_token"), ("client_id", client_id), ("refresh_token", offline_token)];
        self.grant(realm, &form)
    }

    /// Whether user info takes this access token.
    pub fn access_token_works(&self, realm: &str, access_token: &str) -> Result<bool> {
        let url = format!("{}/protocol/openid-connect/userinfo", self.realm_url(realm));
        Ok(self.http.get(url).bearer_auth(access_token).send()?.status() == 200)
    }

    /// Makes a realm like `redhat-external` under another name, for a test that changes settings.
    pub fn copy_realm(&self, name: &str) -> Result<()> {
        let mut realm: Value = serde_json::from_str(REALM)?;
        realm["realm"] = json!(name);
        self.administer(Method::POST, "", Some(&realm)).map(drop)
    }

    /// Changes settings of a realm, by Keycloak's names for them.
    pub fn change_realm(&self, realm: &str, settings: &Value) -> Result<()> {
        self.administer(Method::PUT, realm, Some(settings)).map(drop)
    }

    /// Enables or disables a user.
    pub fn set_user_enabled(&self, realm: &str, user: &str, enabled: bool) -> Result<()> {
        let path = format!("{realm}/users/{}", self.user_id(realm, user)?);
        self.administer(Method::PUT, &path, Some(&json!({ "enabled": enabled }))).map(drop)
    }

    /// Gives a user the role `offline_access`, or takes it away.
    pub fn set_offline_access(&self, realm: &str, user: &str, has_it: bool) -> Result<()> {
        let role = self.administer(Method::GET, &format!("{realm}/roles/offline_access"), None)?;
        let path = format!("{realm}/users/{}/role-mappings/realm", self.user_id(realm, user)?);
        let method = if has_it { Method::POST } else { Method::DELETE };
        self.administer(method, &path, Some(&json!([role]))).map(drop)
    }

    /// Enables or disables a client.
    pub fn set_client_enabled(&self, realm: &str, client_id: &str, enabled: bool) -> Result<()> {
        let found = self.administer(Method::GET, &format!("{realm}/clients?clientId={client_id}"), None)?;
        let mut client = found.get(0).cloned().with_context(|| format!("There is no client {client_id}."))?;
        let path = format!("{realm}/clients/{}", text(&client, "id")?);
        client["enabled"] = json!(enabled);
        self.administer(Method::PUT, &path, Some(&client)).map(drop)
    }

    /// Logs a user out everywhere: tokens from before are stale.
    pub fn log_out_user(&self, realm: &str, user: &str) -> Result<()> {
        let path = format!("{realm}/users/{}/logout", self.user_id(realm, user)?);
        self.administer(Method::POST, &path, None).map(drop)
    }

    /// Takes an offline session away; its id is the claim `sid` of its tokens.
    pub fn delete_offline_session(&self, realm: &str, session_id: &str) -> Result<()> {
        self.administer(Method::DELETE, &format!("{realm}/sessions/{session_id}?isOffline=true"), None).map(drop)
    }

    fn try_start(template: &Path) -> Result<Self> {
        let [port, management_port] = free_ports()?;
        let mut process = Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/keycloak.sh"))
            .arg("run")
            .arg(template)
            .arg(std::env::temp_dir().join(format!("tokensmith-keycloak-{port}-{}", std::process::id())))
            .args([port.to_string(), management_port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("bash could not be started")?;
        // An error means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let started = wait_until_ready(&mut process, &http, management_port);
        let keycloak = Self { process, url: format!("http://127.0.0.1:{port}"), http };
        started.map(|()| keycloak)
    }

    fn grant(&self, realm: &str, form: &[(&str, &str)]) -> Result<Value> {
        read(self.http.post(self.token_url(realm)).form_body(form))
    }

    fn user_id(&self, realm: &str, user: &str) -> Result<String> {
        let found = self.administer(Method::GET, &format!("{realm}/users?exact=true&username={user}"), None)?;
        text(found.get(0).with_context(|| format!("There is no user {user}."))?, "id")
    }

    /// An administrator's token lives for a minute, so each call gets its own.
    fn administer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "keycloak-test-only"),
        ];
        let token = text(&self.grant("master", &form)?, "access_token")?;
        let url = format!("{}/auth/admin/realms/{path}", self.url);
        let mut request = self.http.request(method, url.trim_end_matches('/')).bearer_auth(token);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        read(request)
    }
}

/// The end of its standard input stops the server; the script waits for that and takes the copy away.
impl Drop for Keycloak {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if wait(&mut self.process, Duration::from_secs(15)).is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Sends a form.
pub trait FormBody {
    /// Sets body and content type.
    fn form_body(self, form: &[(&str, &str)]) -> Self;
}

impl FormBody for RequestBuilder {
    fn form_body(self, form: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }
}

fn template() -> Option<PathBuf> {
    is_set("TOKENSMITH_KEYCLOAK").then(|| std::env::var_os("TOKENSMITH_KEYCLOAK").map(PathBuf::from)).flatten()
}

/// Whether the environment has something in that variable.
pub fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// Both listeners are open at the same time, so the two ports differ.
pub(crate) fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}

fn wait_until_ready(process: &mut Child, http: &Client, management_port: u16) -> Result<()> {
    let url = format!("http://127.0.0.1:{management_port}/auth/health/ready");
    let start = Instant::now();
    while start.elapsed() < LONGEST_START {
        if http.get(&url).send().is_ok_and(|response| response.status() == 200) {
            return Ok(());
        }
        if let Some(status) = wait(process, Duration::from_millis(250)) {
            bail!("Keycloak did not start ({status}); its log is above.");
        }
    }
    bail!("Keycloak was not ready after {} seconds.", LONGEST_START.as_secs());
}

/// How the process ended, if it did within that time.
pub(crate) fn wait(process: &mut Child, time: Duration) -> Option<std::process::ExitStatus> {
    let start = Instant::now();
    loop {
        match process.try_wait() {
            Ok(Some(status)) => return Some(status),
            _ if start.elapsed() >= time => return None,
            _ => sleep(Duration::from_millis(50)),
        }
    }
}

fn read(request: RequestBuilder) -> Result<Value> {
    let response = request.send()?;
    let status = response.status();
    let body = response.text()?;
    if !status.is_success() {
        bail!("Keycloak answered {status}: {body}");
    }
    if body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&body)?) }
}

fn text(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(String::from).with_context(|| format!("There is no {field} in Keycloak's answer."))
}

const REALM: &str = include_str!("../keycloak/redhat-external.json");
const LONGEST_START: Duration = Duration::from_secs(300);
const HOW: &str =
    "TOKENSMITH_KEYCLOAK is not set; `scripts/keycloak.sh` makes a server and prints the folder to set it to.";
