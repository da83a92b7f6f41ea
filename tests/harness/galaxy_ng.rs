//! A real private automation hub on loopback: a copy of the template that `scripts/galaxy-ng.sh` makes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::Method;
use reqwest::blocking::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::caller::client;
pub use crate::caller::{Answer, Caller};
use crate::keycloak::{free_ports, is_set, wait};

/// A running hub over plain http, with the superuser `admin`. It ends with the process that started it, or when dropped.
#[derive(Debug)]
pub struct GalaxyNg {
    process: Child,
    url: String,
    template: PathBuf,
    folder: PathBuf,
    api: Api,
}

impl GalaxyNg {
    /// Everybody's password.
    pub const PASSWORD: &str = "hub-test-only";

    /// The one hub of this test process, or `None` and a line on standard error where there is no template.
    /// With `REAL=1` that is an error.
    pub fn shared() -> Result<Option<&'static Self>> {
        static SHARED: OnceLock<Result<Option<GalaxyNg>, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::find_and_start(&[]).map_err(|error| format!("{error:#}")));
        shared.as_ref().map(Option::as_ref).map_err(|error| anyhow!("{error}"))
    }

    /// One of a test's own, which shows what is published to nobody until it is approved, as hubs do unless they are told not to.
    pub fn with_approval() -> Result<Option<Self>> {
        Self::find_and_start(&["approval"])
    }

    /// Starts a copy of the template on free ports and waits until it is ready.
    pub fn start(template: &Path) -> Result<Self> {
        Self::start_with(template, &[])
    }

    /// Scheme, host and port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server as `ansible-galaxy` wants it.
    pub fn server(&self) -> String {
        format!("{}{PREFIX}", self.url)
    }

    /// Makes an ordinary user whose name begins with that word, and returns the name.
    pub fn make_user(&self, word: &str) -> Result<String> {
        self.make_user_in(word, &[])
    }

    /// Makes a namespace with an owner, an ordinary user, and returns the owner's name.
    pub fn make_namespace(&self, name: &str) -> Result<String> {
        let group = format!("owners-of-{name}");
        let made = self.post(Caller::User("admin"), "_ui/v1/groups/", &json!({ "name": group }))?.expect(201)?;
        let owner = self.make_user_in("owner", &[json!({ "id": made["id"], "name": group })])?;
        let groups = json!([{ "name": group, "object_roles": ["galaxy.collection_namespace_owner"] }]);
        self.post(Caller::User("admin"), "v3/namespaces/", &json!({ "name": name, "groups": groups }))?.expect(201)?;
        Ok(owner)
    }

    /// Makes a user who may do everything with collections and their namespaces, and nothing else.
    pub fn make_publisher(&self, name: &str) -> Result<()> {
        let group = format!("publishers-{name}");
        let made = self.post(Caller::User("admin"), "_ui/v1/groups/", &json!({ "name": group }))?.expect(201)?;
        let roles = format!("pulp/api/v3/groups/{}/roles/", made["id"]);
        let role = json!({ "role": "galaxy.collection_admin", "content_object": null });
        self.post(Caller::User("admin"), &roles, &role)?.expect(201)?;
        self.make_named_user(name, &[json!({ "id": made["id"], "name": group })])
    }

    /// Issues a user's token, which ends the one before.
    pub fn issue(&self, user: &str) -> Result<String> {
        let answer = self.call(Method::POST, Caller::User(user), TOKEN, None)?.expect(200)?;
        answer["token"].as_str().map(String::from).context("There is no token in the hub's answer.")
    }

    /// Whether the hub takes that token.
    pub fn works(&self, token: &str) -> Result<bool> {
        Ok(self.call(Method::GET, Caller::Token(token), "v3/namespaces/", None)?.status == 200)
    }

    /// Runs `pulpcore-manager` on this hub.
    pub fn pulpcore_manager(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(self.template.join("venv/bin/pulpcore-manager"));
        command.args(arguments).env("PULP_SETTINGS", self.folder.join("settings.py")).stdin(Stdio::null());
        command.output().context("pulpcore-manager could not be run")
    }

    /// Posts JSON; the path is below the prefix.
    pub fn post(&self, caller: Caller, path: &str, body: &Value) -> Result<Answer> {
        self.call(Method::POST, caller, path, Some(&body.to_string()))
    }

    /// Calls; the path is below the prefix, and a body is said to be JSON.
    pub fn call(&self, method: Method, caller: Caller, path: &str, body: Option<&str>) -> Result<Answer> {
        self.api.call(method, caller, path, body)
    }

    fn make_user_in(&self, word: &str, groups: &[Value]) -> Result<String> {
        static COUNTER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("{word}-{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        self.make_named_user(&name, groups)?;
        Ok(name)
    }

    fn make_named_user(&self, name: &str, groups: &[Value]) -> Result<()> {
        let user = json!({ "username": name, "password": Self::PASSWORD, "groups": groups });
        self.post(Caller::User("admin"), "_ui/v1/users/", &user)?.expect(201)?;
        Ok(())
    }

    fn find_and_start(words: &[&str]) -> Result<Option<Self>> {
        match template() {
            Some(template) => Self::start_with(&template, words).map(Some),
            None if is_set("REAL") => bail!("REAL=1 wants a real automation hub. {HOW}"),
            None => {
                let _ = writeln!(std::io::stderr(), "The tests on the real automation hub are skipped. {HOW}");
                Ok(None)
            }
        }
    }

    /// A port may be taken between choosing and using it.
    fn start_with(template: &Path, words: &[&str]) -> Result<Self> {
        Self::try_start(template, words).or_else(|_| Self::try_start(template, words))
    }

    fn try_start(template: &Path, words: &[&str]) -> Result<Self> {
        let [port, content_port] = free_ports()?;
        let folder = std::env::temp_dir().join(format!("tokensmith-galaxy-ng-{port}-{}", std::process::id()));
        let mut process = Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/galaxy-ng.sh"))
            .arg("run")
            .args([template, &folder])
            .args([port.to_string(), content_port.to_string()])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("bash could not be started")?;
        let url = format!("http://127.0.0.1:{port}");
        let api = Api::new(&url)?;
        let started = wait_until_ready(&mut process, &api);
        let hub = Self { process, url, template: template.to_owned(), folder, api };
        started.map(|()| hub)
    }
}

/// The end of its standard input stops the hub; the script waits for that and takes the copy away.
impl Drop for GalaxyNg {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if wait(&mut self.process, Duration::from_secs(30)).is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// The API of a hub, the real one or another.
#[derive(Debug)]
pub struct Api {
    server: String,
    http: Client,
}

impl Api {
    /// Of the hub at that scheme, host and port.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { server: format!("{url}{PREFIX}"), http: client()? })
    }

    /// Calls; the path is below the prefix, and a body is said to be JSON. Redirects are not followed.
    pub fn call(&self, method: Method, caller: Caller, path: &str, body: Option<&str>) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        request = match caller {
            Caller::Nobody => request,
            Caller::User(user) => request.basic_auth(user, Some(GalaxyNg::PASSWORD)),
            Caller::Password(user, password) => request.basic_auth(user, Some(password)),
            Caller::Token(token) => request.header(AUTHORIZATION, format!("Token {token}")),
            Caller::Authorization(value) => request.header(AUTHORIZATION, value),
        };
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        Answer::read(request.send()?)
    }
}

fn template() -> Option<PathBuf> {
    std::env::var_os("TOKENSMITH_GALAXY_NG").filter(|template| !template.is_empty()).map(PathBuf::from)
}

/// Ready is when the worker and the content server have told the API that they are there.
fn wait_until_ready(process: &mut Child, api: &Api) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < LONGEST_START {
        if is_ready(api) {
            return Ok(());
        }
        if let Some(status) = wait(process, Duration::from_millis(250)) {
            bail!("The hub did not start ({status}); its logs are above.");
        }
    }
    bail!("The hub was not ready after {} seconds.", LONGEST_START.as_secs());
}

fn is_ready(api: &Api) -> bool {
    let Ok(status) = api.call(Method::GET, Caller::User("admin"), "pulp/api/v3/status/", None) else { return false };
    let status = status.json();
    ["online_workers", "online_content_apps"]
        .iter()
        .all(|there| status[there].as_array().is_some_and(|there| !there.is_empty()))
}

/// The token endpoint, below the prefix.
pub const TOKEN: &str = "v3/auth/token/";
const PREFIX: &str = "/api/galaxy/";
const LONGEST_START: Duration = Duration::from_secs(300);
const HOW: &str =
    "TOKENSMITH_GALAXY_NG is not set; `scripts/galaxy-ng.sh` makes a hub and prints the folder to set it to.";
