//! A real platform gateway on loopback, as far as tokens go: a copy of the template that `scripts/gateway-site.sh` makes.
//! The sandbox's stand-in can take its part, so that both are held to the same.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::Method;
use reqwest::blocking::Client;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokensmith_sandbox::Sandbox;
use tokensmith_sandbox::platform::Release;

use crate::caller::client;
pub use crate::caller::{Answer, Caller};
use crate::keycloak::{FormBody, is_set, wait};

/// A running gateway over plain http, or the sandbox's stand-in. It ends with the process that started it, or when dropped.
///
/// There are the superuser `admin`, the ordinary users `alice`, `bob` and (on the real one) `12345`, the platform auditor
/// `auditor`, and `erin`, who belongs to the identity provider `Corporate Keycloak`; the organizations `Default` and
/// `Engineering`; the application `ci` in both and `deploy` in the first.
#[derive(Debug)]
pub struct GatewaySite {
    kind: Kind,
    url: String,
    http: Client,
}

#[derive(Debug)]
enum Kind {
    Real { process: Child, folder: PathBuf, python: PathBuf },
    StandIn(Box<Sandbox>),
}

impl GatewaySite {
    /// The release that most tests speak to.
    pub const CURRENT: &'static str = "2026.6.2";
    /// All that there are, oldest first.
    pub const RELEASES: [&'static str; 3] = ["2025.5.8", "2026.3.19", Self::CURRENT];

    /// The one gateway of the current release in this test process, or `None` and a line on standard error where there is
    /// no template. With `REAL=1` that is an error.
    pub fn shared() -> Result<Option<&'static Self>> {
        Self::release(Self::CURRENT)
    }

    /// The one gateway of that release in this test process, or `None` as for [`GatewaySite::shared`].
    pub fn release(release: &'static str) -> Result<Option<&'static Self>> {
        type Started = Result<Option<&'static GatewaySite>, String>;
        static SHARED: LazyLock<Mutex<HashMap<&str, Started>>> = LazyLock::new(Mutex::default);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let started = shared.entry(release).or_insert_with(|| match Self::start(release, &[]) {
            // It lives as long as the process.
            Ok(site) => Ok(site.map(|site| &*Box::leak(Box::new(site)))),
            Err(error) => Err(format!("{error:#}")),
        });
        started.clone().map_err(|error| anyhow!("{error}"))
    }

    /// The sandbox's stand-in of that release. It has no management command.
    pub fn stand_in(release: Release) -> Result<Self> {
        let sandbox = Box::new(Sandbox::start()?);
        sandbox.gateway().change(|state| state.release = release);
        let url = sandbox.gateway().plain_url();
        Ok(Self { kind: Kind::StandIn(sandbox), url, http: client()? })
    }

    /// A gateway of one's own, with these variables in its environment; `None` as for [`GatewaySite::shared`].
    pub fn start(release: &str, environment: &[(&str, &str)]) -> Result<Option<Self>> {
        let Some(template) = template()? else { return Ok(None) };
        // A port may be taken between choosing and using it.
        let site = Self::try_start(&template, release, environment);
        site.or_else(|_| Self::try_start(&template, release, environment)).map(Some)
    }

    /// Scheme, host and port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is the real one.
    pub fn is_real(&self) -> bool {
        matches!(self.kind, Kind::Real { .. })
    }

    /// The password of a user.
    pub fn password(&self, user: &str) -> String {
        match &self.kind {
            Kind::Real { .. } => format!("{user}-test-only"),
            Kind::StandIn(sandbox) => sandbox.gateway().password(user),
        }
    }

    /// Id and secret of the application `deploy`.
    pub fn client(&self) -> Result<(String, String)> {
        let application = self.find("applications", "name", "deploy")?;
        let secret = match &self.kind {
            Kind::Real { .. } => Some("deploy-test-only".to_owned()),
            Kind::StandIn(sandbox) => {
                application["id"].as_i64().and_then(|id| sandbox.gateway().client(id)).map(|(_, secret)| secret)
            }
        };
        let id = application["client_id"].as_str().map(str::to_owned);
        id.zip(secret).context("the application deploy has no client id or no secret")
    }

    /// `aap-gateway-manage` of this gateway.
    pub fn manage_executable(&self) -> PathBuf {
        match &self.kind {
            Kind::Real { folder, .. } => folder.join("aap-gateway-manage"),
            Kind::StandIn(_) => "the-stand-in-has-no-command".into(),
        }
    }

    /// Runs the management command.
    pub fn manage(&self, arguments: &[&str]) -> Result<Output> {
        self.manage_with(&[], arguments)
    }

    /// Runs the management command with these variables in its environment.
    pub fn manage_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(self.manage_executable());
        command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
        command.output().context("aap-gateway-manage could not be run")
    }

    /// Makes an ordinary user whose name begins with that word, and returns the name.
    pub fn make_user(&self, word: &str) -> Result<String> {
        static COUNTER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("{word}-{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let password = self.password(&name);
        if self.is_real() {
            let user = json!({ "username": name, "password": password });
            self.post(Caller::User("admin"), "users/", &user)?.expect(201)?;
        }
        Ok(name)
    }

    /// Issues a token; the answer has its value, and nothing else will ever have it.
    pub fn issue(&self, user: &str, body: &Value) -> Result<Value> {
        self.post(Caller::User(user), "tokens/", body)?.expect(201)
    }

    /// Issues a token that ends so many seconds from now, or ended before now; the answer has its value.
    pub fn issue_ending_in(&self, user: &str, body: &Value, seconds: i64) -> Result<Value> {
        let row = self.issue(user, body)?;
        self.end_in(&row["id"], seconds)?;
        Ok(row)
    }

    /// Lets a token end so many seconds from now, or before now.
    pub fn end_in(&self, id: &Value, seconds: i64) -> Result<()> {
        match &self.kind {
            Kind::Real { .. } => self.change_time(id, "expires", &format!("datetime('now', '{seconds} seconds')")),
            Kind::StandIn(sandbox) => {
                let is_there = id.as_i64().is_some_and(|id| sandbox.gateway().expire_in(id, seconds));
                if is_there { Ok(()) } else { bail!("There is no token {id}.") }
            }
        }
    }

    /// Makes a token older than it is.
    pub fn age(&self, id: &Value, seconds: u32) -> Result<()> {
        self.change_time(id, "created", &format!("datetime(created, '-{seconds} seconds')"))
    }

    /// Whether the gateway takes that token.
    pub fn works(&self, token: &str) -> Result<bool> {
        Ok(self.get(Caller::Token(token), "me/")?.status == 200)
    }

    /// The rows of a user's tokens, oldest first.
    pub fn rows(&self, user: &str) -> Result<Vec<Value>> {
        let path = format!("tokens/?user__username={user}&order_by=id&page_size=200");
        let mut list = self.get(Caller::User("admin"), &path)?.expect(200)?;
        list["results"].as_array_mut().map(std::mem::take).context("there is no list of tokens")
    }

    /// The one object of that name below applications, organizations or users.
    pub fn find(&self, path: &str, field: &str, name: &str) -> Result<Value> {
        let list = self.get(Caller::User("admin"), &format!("{path}/?{field}={name}"))?.expect(200)?;
        match list["results"].as_array().map(Vec::as_slice) {
            Some([one]) => Ok(one.clone()),
            _ => bail!("There is not exactly one {name} in {list}."),
        }
    }

    /// Reads; the path is below `/api/gateway/v1/`.
    pub fn get(&self, caller: Caller, path: &str) -> Result<Answer> {
        self.call(Method::GET, caller, path, None)
    }

    /// Posts JSON; the path is below `/api/gateway/v1/`.
    pub fn post(&self, caller: Caller, path: &str, body: &Value) -> Result<Answer> {
        self.call(Method::POST, caller, path, Some(body))
    }

    /// Deletes; the path is below `/api/gateway/v1/`.
    pub fn delete(&self, caller: Caller, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, caller, path, None)
    }

    /// Calls; the path is below `/api/gateway/v1/`. Redirects are not followed.
    pub fn call(&self, method: Method, caller: Caller, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}/api/gateway/v1/{path}", self.url));
        request = match caller {
            Caller::Nobody => request,
            Caller::User(user) => request.basic_auth(user, Some(self.password(user))),
            Caller::Password(user, password) => request.basic_auth(user, Some(password)),
            Caller::Token(token) => request.bearer_auth(token),
            Caller::Authorization(value) => request.header("Authorization", value),
        };
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        Answer::read(request.send()?)
    }

    /// Posts a form to one of the endpoints below `/o/`.
    pub fn oauth(&self, endpoint: &str, client: (&str, &str), form: &[(&str, &str)]) -> Result<Answer> {
        let request = self.http.post(format!("{}/o/{endpoint}/", self.url)).basic_auth(client.0, Some(client.1));
        Answer::read(request.form_body(form).send()?)
    }

    /// Behind the gateway's back: no interface of it sets times, and waiting for them proves nothing.
    fn change_time(&self, id: &Value, column: &str, time: &str) -> Result<()> {
        let statement = format!("UPDATE dab_oauth2_provider_oauth2accesstoken SET {column} = {time} WHERE id = {id}");
        let Kind::Real { folder, python, .. } = &self.kind else { bail!("The stand-in has no database.") };
        let changed = Command::new(python)
            .args(["-c", CHANGE_ONE_ROW])
            .args([folder.join("database.sqlite3").as_os_str(), statement.as_ref()])
            .status()?;
        if !changed.success() {
            bail!("The token {id} could not be changed in the database.");
        }
        Ok(())
    }

    fn try_start(template: &Path, release: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("tokensmith-gateway-{port}-{}", std::process::id()));
        let mut process = Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/gateway-site.sh"))
            .arg("run")
            .args([template, &folder])
            .args([&port.to_string(), release])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("bash could not be started")?;
        let http = client()?;
        let url = format!("http://127.0.0.1:{port}");
        let started = wait_until_ready(&mut process, &http, &url);
        let kind = Kind::Real { process, folder, python: template.join("venv/bin/python") };
        let site = Self { kind, url, http };
        started.map(|()| site)
    }
}

/// The end of its standard input stops the server; the script waits for that and takes the copy away.
impl Drop for GatewaySite {
    fn drop(&mut self) {
        let Kind::Real { process, .. } = &mut self.kind else { return };
        drop(process.stdin.take());
        if wait(process, Duration::from_secs(15)).is_none() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn template() -> Result<Option<PathBuf>> {
    if let Some(template) = std::env::var_os("TOKENSMITH_GATEWAY_SITE").filter(|template| !template.is_empty()) {
        return Ok(Some(template.into()));
    }
    if is_set("REAL") {
        bail!("REAL=1 wants a real gateway. {HOW}");
    }
    static SAID: Once = Once::new();
    SAID.call_once(|| drop(writeln!(std::io::stderr(), "The tests on the real gateway are skipped. {HOW}")));
    Ok(None)
}

fn wait_until_ready(process: &mut Child, http: &Client, url: &str) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < LONGEST_START {
        if http.get(format!("{url}/api/gateway/v1/")).send().is_ok_and(|response| response.status() == 200) {
            return Ok(());
        }
        if let Some(status) = wait(process, Duration::from_millis(100)) {
            bail!("The gateway did not start ({status}); its log is above.");
        }
    }
    bail!("The gateway was not ready after {} seconds.", LONGEST_START.as_secs());
}

/// The life of new access tokens in seconds.
pub const ACCESS_LIFE: &str = "OAUTH2_PROVIDER__ACCESS_TOKEN_EXPIRE_SECONDS";
/// The life of refresh tokens in seconds, also of those that are there already.
pub const REFRESH_LIFE: &str = "OAUTH2_PROVIDER__REFRESH_TOKEN_EXPIRE_SECONDS";
const CHANGE_ONE_ROW: &str = "
import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=30) as database:
    changed = database.execute(sys.argv[2]).rowcount
sys.exit(changed != 1)
";
const LONGEST_START: Duration = Duration::from_secs(120);
const HOW: &str = "TOKENSMITH_GATEWAY_SITE is not set; \
                   `scripts/gateway-site.sh` makes a site and prints the folder to set it to.";
