//! A real platform gateway on loopback, as far as tokens go: a copy of the template that `scripts/gateway-site.sh` makes.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::Method;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use crate::keycloak::{FormBody, is_set, wait};

/// A running gateway over plain http. It ends with the process that started it, or when dropped.
///
/// Everybody's password is [`password`]. There are the superuser `admin`, the ordinary users `alice`, `bob` and `12345`,
/// the platform auditor `auditor`, and `external`, who belongs to the identity provider `Company Directory`; the
/// organizations `Default` and `Other`; the application `Pipeline` in the first, `Dashboard` in both.
#[derive(Debug)]
pub struct GatewaySite {
    process: Child,
    url: String,
    folder: PathBuf,
    python: PathBuf,
    http: Client,
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

    /// `aap-gateway-manage` of this gateway.
    pub fn manage_executable(&self) -> PathBuf {
        self.folder.join("aap-gateway-manage")
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
        let user = json!({ "username": name, "password": password(&name) });
        self.post(Caller::User("admin"), "users/", &user)?.expect(201)?;
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
        self.change_time(id, "expires", &format!("datetime('now', '{seconds} seconds')"))
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
            Caller::User(user) => request.basic_auth(user, Some(password(user))),
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
        let changed = Command::new(&self.python)
            .args(["-c", CHANGE_ONE_ROW])
            .args([self.folder.join("database.sqlite3").as_os_str(), statement.as_ref()])
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
        // An error means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()?;
        let url = format!("http://127.0.0.1:{port}");
        let started = wait_until_ready(&mut process, &http, &url);
        let site = Self { process, url, folder, python: template.join("venv/bin/python"), http };
        started.map(|()| site)
    }
}

/// The end of its standard input stops the server; the script waits for that and takes the copy away.
impl Drop for GatewaySite {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if wait(&mut self.process, Duration::from_secs(15)).is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'c> {
    /// Nobody says who they are.
    Nobody,
    /// A user with the right password.
    User(&'c str),
    /// A user with that password.
    Password(&'c str, &'c str),
    /// The bearer of a token.
    Token(&'c str),
    /// That whole header.
    Authorization(&'c str),
}

/// What the gateway answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as it came.
    pub text: String,
    headers: HeaderMap,
}

impl Answer {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The body as JSON; an error if the status is another.
    pub fn expect(&self, status: u16) -> Result<Value> {
        if self.status != status {
            bail!("The gateway answered {}, not {status}: {:.500}", self.status, self.text);
        }
        Ok(self.json())
    }

    fn read(response: Response) -> Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text()? })
    }
}

/// The password of a user of the site.
pub fn password(user: &str) -> String {
    format!("{user}-test-only")
}

fn template() -> Result<Option<PathBuf>> {
    if let Some(template) = std::env::var_os("TOKENSMITH_GATEWAY_SITE").filter(|template| !template.is_empty()) {
        return Ok(Some(template.into()));
    }
    if is_set("REAL") {
        bail!("REAL=1 wants a real gateway. {HOW}");
    }
    let _ = writeln!(std::io::stderr(), "The tests on the real gateway are skipped. {HOW}");
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
