//! Stand-ins of the peer systems in one process on loopback, for the demo and the tests.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tokensmith_sandbox::{Fault, Sandbox};
//!
//! let sandbox = Sandbox::start()?;
//! let realm = sandbox.sso().realm("rotating");
//! let offline_token = realm.issue_offline_token("cloud-services", "openid offline_access")?;
//! sandbox.faults().add(Fault::lost_answer().grant("refresh_token").times(1));
//! // … run what is to be tested against realm.token_url(), trusting sandbox.ca_path() …
//! assert!(realm.offline_token_is_alive(&offline_token));
//! sandbox.clock().advance(31 * 24 * 3600);
//!
//! let quay = sandbox.quay();
//! let token = quay.issue_token("alice", tokensmith_sandbox::quay::SCOPES);
//! sandbox.faults().add(Fault::interference().path("/regenerate").times(1));
//! // … run what is to be tested against quay.url() with that token …
//! assert_eq!(quay.regenerations("acme+ci"), 2);
//!
//! let central = sandbox.central();
//! let token = central.issue_token("ci", &["Admin"], 3600);
//! sandbox.faults().add(Fault::lost_answer().path("/generate").times(1));
//! // … run what is to be tested against central.url() with that token …
//! assert_eq!(central.live_tokens("ci"), 1);
//!
//! let gateway = sandbox.gateway();
//! let password = gateway.password("alice");
//! sandbox.faults().add(Fault::lost_answer().path("/tokens/").method("POST").times(1));
//! // … run what is to be tested against gateway.url() with that password, or against sandbox.controller() …
//! assert_eq!(gateway.live_tokens("ci"), 1);
//!
//! let hub = sandbox.hub();
//! let token = hub.issue_token("build").unwrap_or_default();
//! sandbox.faults().add(Fault::lost_answer().method("POST").path(hub.token_path()).times(1));
//! // … run what is to be tested against hub.url() with hub.password("build") …
//! assert!(!hub.token_works(&token));
//!
//! let controller = sandbox.controller();
//! let inputs = serde_json::json!({ "url": hub.url(), "token": token });
//! let id = controller.add_credential("hub", "Default", "galaxy_api_token", inputs)?;
//! let hold = controller.hold_patch(id);
//! // … start what is to be tested against controller.url(), or against the gateway at /api/controller/v2/ …
//! assert!(hold.is_reached());
//! hold.release();
//! assert!(controller.history(id).iter().all(|version| version.inputs["url"] == hub.url()));
//! # Ok(()) }
//! ```
//!
//! A system is one file (`sso.rs`) and its folder; it answers requests and knows nothing of connections, certificates,
//! faults or records, which all systems share. Every system listens on a port of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

pub use crate::central::Central;
pub use crate::certificates::Certificate;
pub use crate::clock::Clock;
pub use crate::faults::{Fault, Faults};
pub use crate::hub::Hub;
pub use crate::identity_provider::{ExternalToken, IdentityProvider};
pub use crate::platform::Platform;
pub use crate::quay::Quay;
pub use crate::record::{Recorded, Records};
pub use crate::sso::Sso;

use crate::certificates::Certificates;
use crate::server::Door;

pub mod central;
mod certificates;
mod clock;
mod control;
pub mod controller;
mod exchange;
mod faults;
pub mod hub;
mod identity_provider;
mod jwt;
pub mod link;
pub mod platform;
pub mod quay;
mod random;
mod record;
mod server;
mod signing;
pub mod sso;

/// All stand-ins, running until dropped.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    sso: Sso,
    quay: Quay,
    central: Central,
    gateway: Platform,
    controller: Platform,
    hub: Hub,
    folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts every system on a free port of 127.0.0.1. It has a thread of its own, so the caller needs no runtime.
    pub fn start() -> Result<Self, StartError> {
        Self::start_on(0)
    }

    /// As [`Sandbox::start`], with Red Hat SSO on the given port (0: any free one).
    pub fn start_on(port: u16) -> Result<Self, StartError> {
        let certificates = Certificates::make().map_err(StartError::Certificates)?;
        let folder = tempfile::Builder::new().prefix("tokensmith-sandbox-").tempdir().map_err(StartError::Folder)?;
        std::fs::write(folder.path().join(CA), &certificates.ca_pem).map_err(StartError::Folder)?;

        let shared = Arc::new(Shared::default());
        let mut doors = Vec::new();
        let ports = Ports::open(port)?;
        let sso = Sso::new(shared.clock.clone(), ports.tls_address, ports.plain_address).map_err(StartError::Key)?;
        doors.extend(ports.lead_to(Arc::new(sso.clone()), &certificates));
        let ports = Ports::open(0)?;
        let quay = Quay::new(shared.clock.clone(), ports.tls_address, ports.plain_address).map_err(StartError::Key)?;
        doors.extend(ports.lead_to(Arc::new(quay.clone()), &certificates));
        let ports = Ports::open(0)?;
        let central =
            Central::new(shared.clock.clone(), ports.tls_address, ports.plain_address).map_err(StartError::Key)?;
        doors.extend(ports.lead_to(Arc::new(central.clone()), &certificates));
        let ports = Ports::open(0)?;
        let controller = Platform::controller(shared.clock.clone(), ports.tls_address, ports.plain_address);
        doors.extend(ports.lead_to(Arc::new(controller.clone()), &certificates));
        let ports = Ports::open(0)?;
        let gateway = Platform::gateway(&controller, shared.clock.clone(), ports.tls_address, ports.plain_address);
        doors.extend(ports.lead_to(Arc::new(gateway.clone()), &certificates));
        let ports = Ports::open(0)?;
        let hub = Hub::new(ports.tls_address, ports.plain_address);
        doors.extend(ports.lead_to(Arc::new(hub.clone()), &certificates));

        let (stop, stopped) = oneshot::channel();
        let thread = server::spawn(doors, Arc::clone(&shared), stopped).map_err(StartError::Thread)?;
        Ok(Self {
            shared,
            sso,
            quay,
            central,
            gateway,
            controller,
            hub,
            folder,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Red Hat SSO.
    pub fn sso(&self) -> &Sso {
        &self.sso
    }

    /// Quay.
    pub fn quay(&self) -> &Quay {
        &self.quay
    }

    /// Central of Red Hat Advanced Cluster Security.
    pub fn central(&self) -> &Central {
        &self.central
    }

    /// The gateway of Ansible Automation Platform. What is meant for its controller, below `/api/controller/`, it passes on.
    pub fn gateway(&self) -> &Platform {
        &self.gateway
    }

    /// The automation controller, AWX.
    pub fn controller(&self) -> &Platform {
        &self.controller
    }

    /// Private automation hub.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The address of Red Hat SSO, without a path: `https://127.0.0.1:PORT`. The control endpoint is `/_sandbox/` there, as
    /// at the address of every system.
    pub fn url(&self) -> String {
        self.sso.url()
    }

    /// A PEM file with the certificate of the throw-away authority that signed the servers' certificates.
    pub fn ca_path(&self) -> PathBuf {
        self.folder.path().join(CA)
    }

    /// The folder the sandbox keeps its files in; removed when it is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The clock of all systems.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The requests so far.
    pub fn records(&self) -> &Records {
        &self.shared.records
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why the sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificates could not be made.
    #[error("The sandbox could not make its certificates: {0}.")]
    Certificates(Box<dyn std::error::Error + Send + Sync>),
    /// The signing key could not be made.
    #[error("The sandbox could not make its signing key: {0}.")]
    Key(Box<dyn std::error::Error + Send + Sync>),
    /// The folder could not be made or filled.
    #[error("The sandbox could not write to its folder: {0}.")]
    Folder(std::io::Error),
    /// The port is not free.
    #[error("The sandbox could not listen on port {port} of 127.0.0.1: {error}.")]
    Listen {
        /// The port asked for; 0 is any.
        port: u16,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The thread could not be started.
    #[error("The sandbox could not start its thread: {0}.")]
    Thread(std::io::Error),
}

/// One peer system: what it answers to a request, and what can be asked of it over the control endpoint.
trait System: Send + Sync {
    fn answer(&self, request: &exchange::Request) -> exchange::Answer;
    /// `None`: this system knows no such thing.
    fn control(&self, action: &str, arguments: &serde_json::Value) -> Option<exchange::Answer>;
    /// How long every answer takes.
    fn latency(&self) -> Duration {
        Duration::ZERO
    }
    /// What it shows of itself to new connections.
    fn certificate(&self) -> Certificate {
        Certificate::Good
    }
    /// Whether it answers plain HTTP at its port with TLS.
    fn refuses_plain_http(&self) -> bool {
        false
    }
    /// What the header `Date` says; `None`: there is no such header.
    fn date(&self) -> Option<String> {
        None
    }
    /// This answer is on its way to the client, whole.
    fn answered(&self, _answer: &exchange::Answer) {}
    /// Before a request is answered that will be acted upon: what holds it up between its reading and its writing.
    fn begin(&self, _request: &mut exchange::Request) -> Option<controller::writers::Pause> {
        None
    }
    /// Somebody else does at this moment what the request asked for.
    fn interfere(&self, _request: &exchange::Request) {}
}

/// What the systems have in common.
#[derive(Debug, Default)]
struct Shared {
    clock: Clock,
    faults: Faults,
    records: Records,
}

/// The two ports of a system, with TLS and without.
struct Ports {
    tls: TcpListener,
    tls_address: SocketAddr,
    plain: TcpListener,
    plain_address: SocketAddr,
}

impl Ports {
    fn open(tls_port: u16) -> Result<Self, StartError> {
        let (tls, plain) = (listen(tls_port)?, listen(0)?);
        let (tls_address, plain_address) = (address(&tls)?, address(&plain)?);
        Ok(Self { tls, tls_address, plain, plain_address })
    }

    fn lead_to(self, system: Arc<dyn System>, certificates: &Certificates) -> [Door; 2] {
        let acceptors = certificates.acceptors.clone();
        [
            Door { listener: self.tls, tls: Some(acceptors), system: Arc::clone(&system) },
            Door { listener: self.plain, tls: None, system },
        ]
    }
}

fn listen(port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| StartError::Listen { port, error })
}

fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError::Listen { port: 0, error })
}

const CA: &str = "ca.pem";
