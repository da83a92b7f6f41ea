//! The sandbox as a process of its own, for the demo and for playbooks.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, Command, value_parser};
use serde_json::json;
use tokensmith_sandbox::link::Link;
use tokensmith_sandbox::{Sandbox, StartError, quay};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments = command().get_matches();
    let wanted = Wanted {
        folder: arguments.get_one::<PathBuf>("state").cloned().unwrap_or_default(),
        port: arguments.get_one::<u16>("port").copied().unwrap_or_default(),
        quay_robots: arguments.get_one::<usize>("quay-robots").copied().unwrap_or_default(),
        quay_latency: Duration::from_millis(arguments.get_one::<u64>("quay-latency").copied().unwrap_or_default()),
        links: arguments.get_many("link").unwrap_or_default().copied().collect(),
        until_stdin_closes: arguments.get_flag("until-stdin-closes"),
    };
    match run(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "tokensmith-sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    Command::new("tokensmith-sandbox")
        .about("Stand-ins of the peer systems on 127.0.0.1, with a throw-away authority")
        .after_help(
            "The folder gets ca.pem, endpoints.json, offline_token (a first one, of the client cloud-services) and \
             quay_token (an OAuth access token of alice), rhacs_password (of Central's user admin), \
             rhacs_api_token (of its role Admin), gateway_password (of the gateway's user admin), \
             gateway_token (of the same, with the scope write), controller_password and controller_token (the same of the \
             controller) and hub_password (of automation hub's user build); they are removed at the end. The controller's \
             organization Default has the galaxy credential hub, and the job template deploy with the credential platform. \
             One line on standard output says when all is ready.",
        )
        .arg(Arg::new("state").long("state").value_name("FOLDER").required(true).value_parser(value_parser!(PathBuf)))
        .arg(
            Arg::new("port").long("port").value_name("PORT").value_parser(value_parser!(u16)).help("default: any free"),
        )
        .arg(
            Arg::new("quay-robots")
                .long("quay-robots")
                .value_name("COUNT")
                .value_parser(value_parser!(usize))
                .help("so many robots in Quay's organization bulk: bulk+r0001, bulk+r0002, ..."),
        )
        .arg(
            Arg::new("quay-latency")
                .long("quay-latency")
                .value_name("MILLISECONDS")
                .value_parser(value_parser!(u64))
                .help("how long each answer of Quay takes"),
        )
        .arg(
            Arg::new("link")
                .long("link")
                .value_name("ADDRESS=MILLISECONDS")
                .action(ArgAction::Append)
                .value_parser(far_away)
                .help("a network in front of a server, with that round trip; endpoints.json has its address in links"),
        )
        .arg(
            Arg::new("until-stdin-closes")
                .long("until-stdin-closes")
                .action(ArgAction::SetTrue)
                .help("end when standard input closes, so never outlive the parent"),
        )
}

fn far_away(text: &str) -> Result<(SocketAddr, Duration), String> {
    let (address, milliseconds) = text.split_once('=').ok_or("no = in it")?;
    let address = address.parse().map_err(|error| format!("{address}: {error}"))?;
    let milliseconds = milliseconds.parse().map_err(|error| format!("{milliseconds}: {error}"))?;
    Ok((address, Duration::from_millis(milliseconds)))
}

struct Wanted {
    folder: PathBuf,
    port: u16,
    quay_robots: usize,
    quay_latency: Duration,
    links: Vec<(SocketAddr, Duration)>,
    until_stdin_closes: bool,
}

fn run(wanted: &Wanted) -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start_on(wanted.port)?;
    let realm = sandbox.sso().realm("redhat-external");
    let offline_token = realm.issue_offline_token("cloud-services", "openid offline_access api.iam.organization")?;
    let quay_token = sandbox.quay().issue_token("alice", quay::SCOPES);
    sandbox.quay().add_robots("bulk", wanted.quay_robots);
    sandbox.quay().change(|state| state.latency = wanted.quay_latency);
    let central = sandbox.central();
    let rhacs_api_token = central.issue_token("administrator", &["Admin"], YEAR);
    let gateway = sandbox.gateway();
    let (_, gateway_token) = gateway.issue_token("admin", "administrator", "write");
    let controller = sandbox.controller();
    let (_, controller_token) = controller.issue_token("admin", "administrator", "write");
    add_credentials(&sandbox, &gateway_token)?;
    let links = wanted.links.iter().map(|&(server, round_trip)| {
        let link = Link::to(server)?;
        link.set_round_trip(round_trip);
        Ok::<_, StartError>(link)
    });
    let links: Vec<_> = links.collect::<Result<_, _>>()?;
    let endpoints = json!({
        "pid": std::process::id(),
        "sandbox_url": sandbox.url(),
        "sso_url": realm.url(),
        "sso_token_url": realm.token_url(),
        "quay_url": sandbox.quay().url(),
        "quay_host": sandbox.quay().server_hostname(),
        "rhacs_url": central.url(),
        "rhacs_endpoint": central.endpoint(),
        "gateway_url": gateway.url(),
        "controller_url": controller.url(),
        "hub_url": sandbox.hub().url(),
        "links": links.iter().map(Link::address).collect::<Vec<_>>(),
    });

    // The runtime must exist before the ready line: a signal sent right after it has to be heard.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let state = State::make(&wanted.folder)?;
        state.write("ca.pem", 0o644, &std::fs::read(sandbox.ca_path())?)?;
        state.write("endpoints.json", 0o644, format!("{endpoints:#}\n").as_bytes())?;
        state.write("offline_token", 0o600, offline_token.as_bytes())?;
        state.write("quay_token", 0o600, quay_token.as_bytes())?;
        state.write("rhacs_password", 0o600, central.admin_password().as_bytes())?;
        state.write("rhacs_api_token", 0o600, rhacs_api_token.as_bytes())?;
        state.write("gateway_password", 0o600, gateway.password("admin").as_bytes())?;
        state.write("gateway_token", 0o600, gateway_token.as_bytes())?;
        state.write("controller_password", 0o600, controller.password("admin").as_bytes())?;
        state.write("controller_token", 0o600, controller_token.as_bytes())?;
        state.write("hub_password", 0o600, sandbox.hub().password("build").unwrap_or_default().as_bytes())?;
        let (url, folder) = (sandbox.url(), wanted.folder.display());
        writeln!(std::io::stdout(), "The sandbox is ready at {url} (state in {folder}).")?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stdin_closed(), if wanted.until_stdin_closes => {}
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    // A blocked read of standard input must not keep the process.
    runtime.shutdown_background();
    Ok(())
}

/// In the controller's organization `Default`: the galaxy credential `hub`, and the job template `deploy` with the credential
/// `platform`.
fn add_credentials(sandbox: &Sandbox, gateway_token: &str) -> Result<(), String> {
    let (controller, hub) = (sandbox.controller(), sandbox.hub());
    hub.add_user("projects");
    let token = hub.issue_token("projects").unwrap_or_default();
    let inputs = json!({ "url": format!("{}/api/galaxy/", hub.url()), "auth_url": "", "token": token });
    controller.add_credential("hub", "Default", "galaxy_api_token", inputs)?;
    let inputs = json!({ "host": sandbox.gateway().url(), "oauth_token": gateway_token, "verify_ssl": true });
    let platform = controller.add_credential("platform", "Default", "controller", inputs)?;
    controller.add_job_template("deploy", "Default", &[platform]).ok_or("There is no organization Default.")?;
    Ok(())
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 256];
    while matches!(stdin.read(&mut ignored).await, Ok(count) if count > 0) {}
}

/// The files of the sandbox in a folder that may have been there before; what was made is removed when dropped.
struct State<'p> {
    folder: &'p Path,
    is_new: bool,
}

impl<'p> State<'p> {
    fn make(folder: &'p Path) -> std::io::Result<Self> {
        let is_new = !folder.exists();
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder, is_new })
    }

    fn write(&self, name: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
        let path = self.folder.join(name);
        let _ = std::fs::remove_file(&path);
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(content)
    }
}

impl Drop for State<'_> {
    fn drop(&mut self) {
        for name in FILES {
            let _ = std::fs::remove_file(self.folder.join(name));
        }
        if self.is_new {
            let _ = std::fs::remove_dir(self.folder);
        }
    }
}

const FILES: [&str; 11] = [
    "ca.pem",
    "endpoints.json",
    "offline_token",
    "quay_token",
    "rhacs_password",
    "rhacs_api_token",
    "gateway_password",
    "gateway_token",
    "controller_password",
    "controller_token",
    "hub_password",
];
const YEAR: i64 = 365 * 24 * 3600;
