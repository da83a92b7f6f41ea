//! The credential types that come with a controller, as far as tokens are concerned.

use serde_json::{Value, json};

use super::objects::CredentialType;

/// A type as it is delivered.
pub(crate) struct Managed {
    namespace: &'static str,
    name: &'static str,
    kind: &'static str,
    /// What every field is: its id, its label, and what it holds.
    fields: &'static [(&'static str, &'static str, Holds)],
    required: &'static [&'static str],
    /// The environment variables of a job, and their fields.
    environment: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Plain,
    Secret,
    Flag,
}

impl Managed {
    pub(crate) fn made(&self, id: i64, now: i64) -> CredentialType {
        let env: serde_json::Map<_, _> = self
            .environment
            .iter()
            .map(|(name, field)| ((*name).to_owned(), json!(format!("{{{{{field}}}}}"))))
            .collect();
        CredentialType {
            id,
            name: self.name.to_owned(),
            description: String::new(),
            kind: self.kind.to_owned(),
            namespace: Some(self.namespace),
            inputs: json!({ "fields": self.fields.iter().map(field).collect::<Vec<_>>(), "required": self.required }),
            injectors: if env.is_empty() { json!({}) } else { json!({ "env": env }) },
            created: now,
            modified: now,
        }
    }
}

fn field((id, label, holds): &(&str, &str, Holds)) -> Value {
    match holds {
        Holds::Plain => json!({ "id": id, "label": label, "type": "string" }),
        Holds::Secret => json!({ "id": id, "label": label, "type": "string", "secret": true }),
        Holds::Flag => json!({ "id": id, "label": label, "type": "boolean" }),
    }
}

pub(crate) const TYPES: &[Managed] = &[
    Managed {
        namespace: "galaxy_api_token",
        name: "Ansible Galaxy/Automation Hub API Token",
        kind: "galaxy",
        fields: &[
            ("url", "Galaxy Server URL", Holds::Plain),
            ("auth_url", "Auth Server URL", Holds::Plain),
            ("token", "API Token", Holds::Secret),
        ],
        required: &["url"],
        environment: &[],
    },
    Managed {
        namespace: "controller",
        name: "Red Hat Ansible Automation Platform",
        kind: "cloud",
        fields: &[
            ("host", "Red Hat Ansible Automation Platform", Holds::Plain),
            ("username", "Username", Holds::Plain),
            ("password", "Password", Holds::Secret),
            ("oauth_token", "OAuth Token", Holds::Secret),
            ("verify_ssl", "Verify SSL", Holds::Flag),
        ],
        required: &["host"],
        environment: &[
            ("CONTROLLER_HOST", "host"),
            ("CONTROLLER_USERNAME", "username"),
            ("CONTROLLER_PASSWORD", "password"),
            ("CONTROLLER_OAUTH_TOKEN", "oauth_token"),
            ("CONTROLLER_VERIFY_SSL", "verify_ssl"),
        ],
    },
    Managed {
        namespace: "registry",
        name: "Container Registry",
        kind: "registry",
        fields: &[
            ("host", "Authentication URL", Holds::Plain),
            ("username", "Username", Holds::Plain),
            ("password", "Password or Token", Holds::Secret),
            ("verify_ssl", "Verify SSL", Holds::Flag),
        ],
        required: &["host"],
        environment: &[],
    },
    Managed {
        namespace: "kubernetes_bearer_token",
        name: "OpenShift or Kubernetes API Bearer Token",
        kind: "kubernetes",
        fields: &[
            ("host", "OpenShift or Kubernetes API Endpoint", Holds::Plain),
            ("bearer_token", "API authentication bearer token", Holds::Secret),
            ("verify_ssl", "Verify SSL", Holds::Flag),
            ("ssl_ca_cert", "Certificate Authority data", Holds::Secret),
        ],
        required: &["host", "bearer_token"],
        environment: &[],
    },
    Managed {
        namespace: "insights",
        name: "Insights",
        kind: "insights",
        fields: &[("username", "Username", Holds::Plain), ("password", "Password", Holds::Secret)],
        required: &["username", "password"],
        environment: &[("INSIGHTS_USER", "username"), ("INSIGHTS_PASSWORD", "password")],
    },
    Managed {
        namespace: "hashivault_kv",
        name: "HashiCorp Vault Secret Lookup",
        kind: "external",
        fields: &[("url", "Server URL", Holds::Plain), ("token", "Token", Holds::Secret)],
        required: &["url"],
        environment: &[],
    },
];
