//! What a Central knows: its switches, roles, records of tokens, and whose tokens it takes in exchange.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::answers::Spacing;
use crate::certificates::Certificate;
use crate::random;

/// A Central with all its switches. Times are in seconds since the epoch.
#[derive(Debug)]
pub struct State {
    /// The release, for the differences between releases. Before 4.4 an `expiration` is ignored, before 4.8 nothing is pruned.
    pub release: Release,
    /// The htpasswd user `admin` can log in.
    pub htpasswd: bool,
    /// By name. They count when a token is used.
    pub roles: BTreeMap<String, Role>,
    /// The records of the API tokens.
    pub tokens: Vec<Record>,
    /// Whose tokens are taken in exchange. With none, a bearer that is no JWT is 401 instead of 400.
    pub machine_access: Vec<MachineAccess>,
    /// In a cluster, every start makes the configuration of Central's own controller if there is none at all.
    pub in_cluster: bool,
    /// The issuers do not answer: what is configured does not count after the next restart.
    pub issuers_are_away: bool,
    /// The claim `aud` as an array.
    pub audience_as_array: bool,
    /// The extra claim `ExpireAt` of 4.4 to 4.10.
    pub expire_at: bool,
    /// So many seconds are added to every `expiration` asked for: the token does not live as long as was asked.
    pub expiration_shift: i64,
    /// So many seconds the header `Date` is ahead of the clock.
    pub date_skew: i64,
    /// How long every answer takes. Concurrent requests wait side by side.
    pub latency: Duration,
    /// What the server shows of itself to new connections.
    pub certificate: Certificate,
    /// How the JSON is spaced; another way in every sandbox.
    pub spacing: Spacing,
    pub(crate) admin_password: String,
    /// Ids of revoked tokens, as they are held in memory.
    pub(crate) revocations: BTreeSet<String>,
    /// Ids of all tokens this Central signed: every sandbox of a process signs with the same key.
    pub(crate) signed: BTreeSet<String>,
    /// The exchanged tokens of third-party tokens that came as a bearer.
    pub(crate) exchanged: BTreeMap<String, Exchanged>,
}

/// A release by its numbers; they compare in their order. The line after 4.11 is 4.12.0.
pub type Release = (u16, u16, u16);

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The access scope: where the role counts.
    pub scope: String,
    /// The level by resource; a resource that is not there is [`Level::No`].
    pub access: BTreeMap<String, Level>,
}

/// How far a role goes with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Level {
    /// Not at all.
    #[serde(rename = "NO_ACCESS")]
    No,
    /// Looking.
    #[serde(rename = "READ_ACCESS")]
    Read,
    /// Changing.
    #[serde(rename = "READ_WRITE_ACCESS")]
    ReadWrite,
}

/// The record of an API token; the secret is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The claim `jti`.
    pub id: String,
    /// Not unique.
    pub name: String,
    /// Names of roles, as they were asked for.
    pub roles: Vec<String>,
    /// The claim `iat`.
    pub issued_at: i64,
    /// The claim `exp`.
    pub expiration: i64,
    /// Revoked, until the next pruning removes the record.
    pub revoked: bool,
    /// Whether an answer with the secret went out. It is lost when a fault kept the answer.
    pub told: bool,
}

/// Whose tokens Central takes in exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineAccess {
    /// The claim `aud` of the exchanged tokens.
    pub id: String,
    /// What kind of issuer it is.
    pub kind: MachineKind,
    /// The claim `iss`, character for character.
    pub issuer: String,
    /// How long an exchanged token lives, in seconds.
    pub seconds: i64,
    /// The roles of a token by its claims.
    pub mappings: Vec<Mapping>,
    /// The audience asked for, since 4.12.
    pub audience: Option<String>,
    /// The issuer answered when the configuration was saved, or at the last start.
    pub is_discovered: bool,
}

/// The kind of a [`MachineAccess`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MachineKind {
    /// Any issuer of OIDC tokens.
    #[default]
    Generic,
    /// GitHub.
    GithubActions,
    /// A Kubernetes API server.
    KubeServiceAccount,
}

/// A token whose claim matches gets the role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The claim; a dot leads into an object.
    pub key: String,
    /// An expression that is found anywhere in the claim.
    pub value_expression: String,
    /// The name of a role.
    pub role: String,
}

/// A third-party token that came as a bearer counts as this one until then.
#[derive(Clone, Debug)]
pub(crate) struct Exchanged {
    pub(crate) token: String,
    pub(crate) until: i64,
}

impl State {
    /// The world the sandbox begins with: the default roles, no tokens, and the configuration of Central's own controller.
    pub(crate) fn new() -> Self {
        let mut state = Self {
            release: CURRENT,
            htpasswd: true,
            roles: default_roles(),
            tokens: Vec::new(),
            machine_access: Vec::new(),
            in_cluster: true,
            issuers_are_away: false,
            audience_as_array: false,
            expire_at: false,
            expiration_shift: 0,
            date_skew: 0,
            latency: Duration::ZERO,
            certificate: Certificate::Good,
            spacing: Spacing::of(random::bytes::<1>()[0]),
            admin_password: random::text::<18>(),
            revocations: BTreeSet::new(),
            signed: BTreeSet::new(),
            exchanged: BTreeMap::new(),
        };
        state.add_controller();
        state
    }

    /// The hourly job: revoked records go at once, expired ones after a day.
    pub(crate) fn prune(&mut self, now: i64) {
        if self.release >= (4, 8, 0) {
            self.tokens.retain(|record| !record.revoked && now - record.expiration <= RETENTION);
        }
    }

    /// Only revocations whose record is still there survive, and only issuers that answer.
    pub(crate) fn restart(&mut self, now: i64) {
        let revoked = self.tokens.iter().filter(|record| record.revoked);
        self.revocations = revoked.map(|record| record.id.clone()).collect();
        self.exchanged.clear();
        let answers = !self.issuers_are_away;
        for access in &mut self.machine_access {
            access.is_discovered = answers;
        }
        self.add_controller();
        self.prune(now);
    }

    pub(crate) fn record(&mut self, id: &str) -> Option<&mut Record> {
        self.tokens.iter_mut().find(|record| record.id == id)
    }

    fn add_controller(&mut self) {
        if self.in_cluster && self.machine_access.is_empty() {
            let mapping = Mapping {
                key: "sub".to_owned(),
                value_expression: "system:serviceaccount:stackrox:config-controller".to_owned(),
                role: "Configuration Controller".to_owned(),
            };
            let access = MachineAccess::new("https://kubernetes.default.svc", 3600, vec![mapping]);
            self.machine_access.push(MachineAccess { kind: MachineKind::KubeServiceAccount, ..access });
        }
    }
}

impl Role {
    /// A role with the unrestricted scope.
    pub fn unrestricted<'a>(access: impl IntoIterator<Item = (&'a str, Level)>) -> Self {
        Self::within(UNRESTRICTED, access)
    }

    /// A role within an access scope.
    pub fn within<'a>(scope: &str, access: impl IntoIterator<Item = (&'a str, Level)>) -> Self {
        let access = access.into_iter().map(|(resource, level)| (resource.to_owned(), level)).collect();
        Self { scope: scope.to_owned(), access }
    }

    pub(crate) fn level(&self, resource: &str) -> Level {
        self.access.get(resource).copied().unwrap_or(Level::No)
    }
}

impl Level {
    /// As Central writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "NO_ACCESS",
            Self::Read => "READ_ACCESS",
            Self::ReadWrite => "READ_WRITE_ACCESS",
        }
    }
}

impl MachineAccess {
    /// Of any issuer of OIDC tokens, without an audience.
    pub fn new(issuer: &str, seconds: i64, mappings: Vec<Mapping>) -> Self {
        Self {
            id: random::uuid(),
            kind: MachineKind::Generic,
            issuer: issuer.to_owned(),
            seconds,
            mappings,
            audience: None,
            is_discovered: true,
        }
    }
}

impl Mapping {
    /// A token whose claim has this expression somewhere in it gets the role.
    pub fn new(key: &str, value_expression: &str, role: &str) -> Self {
        Self { key: key.to_owned(), value_expression: value_expression.to_owned(), role: role.to_owned() }
    }
}

/// Their names are Central's; of their levels those of `Continuous Integration` are exact, the others near.
fn default_roles() -> BTreeMap<String, Role> {
    let all = |level: Level| RESOURCES.map(|resource| (resource, level));
    let read =
        |resources: &[&'static str]| resources.iter().map(|resource| (*resource, Level::Read)).collect::<Vec<_>>();
    let with = |read: Vec<(&'static str, Level)>, written: &[&'static str]| {
        read.into_iter().chain(written.iter().map(|resource| (*resource, Level::ReadWrite))).collect::<Vec<_>>()
    };
    let seen = &["Alert", "Cluster", "Deployment", "Image", "Integration", "Namespace", "Node"];
    let roles = [
        ("Admin", all(Level::ReadWrite).to_vec()),
        ("Analyst", all(Level::Read).into_iter().filter(|(resource, _)| *resource != "Administration").collect()),
        ("Configuration Controller", with(read(seen), &["WorkflowAdministration"])),
        ("Continuous Integration", with(read(&["Detection"]), &["Image"])),
        (
            "Network Graph Viewer",
            read(&["Cluster", "Deployment", "Namespace", "NetworkGraph", "NetworkPolicy", "Node"]),
        ),
        ("Sensor Creator", with(Vec::new(), &["Administration", "Cluster"])),
        ("Vulnerability Management Approver", with(read(seen), &["VulnerabilityManagementApprovals"])),
        ("Vulnerability Management Requester", with(read(seen), &["VulnerabilityManagementRequests"])),
        ("Vulnerability Report Creator", with(read(&["Access", "Integration"]), &["WorkflowAdministration"])),
    ];
    let mut roles: BTreeMap<_, _> =
        roles.into_iter().map(|(name, access)| (name.to_owned(), Role::unrestricted(access))).collect();
    roles.insert(NONE.to_owned(), Role::within("Deny All", []));
    roles
}

/// The access scope that leaves nothing out.
pub const UNRESTRICTED: &str = "Unrestricted";
/// The role that allows nothing.
pub(crate) const NONE: &str = "None";
pub(crate) const CURRENT: Release = (4, 12, 0);
const RETENTION: i64 = 24 * 3600;
const RESOURCES: [&str; 24] = [
    "Access",
    "Administration",
    "Alert",
    "CVE",
    "Cluster",
    "Compliance",
    "Deployment",
    "DeploymentExtension",
    "Detection",
    "Image",
    "Integration",
    "K8sRole",
    "K8sRoleBinding",
    "K8sSubject",
    "Namespace",
    "NetworkGraph",
    "NetworkPolicy",
    "Node",
    "Secret",
    "ServiceAccount",
    "VulnerabilityManagementApprovals",
    "VulnerabilityManagementRequests",
    "WatchedImage",
    "WorkflowAdministration",
];
