//! A Kubernetes secret to pull images with, as Quay's console writes it. It is replaced as a whole, so nothing else may stand in the file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::docker_config::{self, Credential, DockerConfig};
use super::{FormatError, HandedOver, Login, Way, bytes, joined};
use crate::secret::Secret;

pub(super) struct KubernetesSecret;

impl Way for KubernetesSecret {
    fn write(&self, what: &HandedOver<'_>, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let login = what.login.ok_or(FormatError::NoLogin)?;
        self.check(existing, Some(&login))?;
        let config = DockerConfig.write(what, None)?;
        let data = Zeroizing::new(STANDARD.encode(&*config));
        Ok(bytes(manifest(login.username, &data)))
    }

    fn read(&self, content: &[u8], login: Option<&Login<'_>>) -> Option<Secret> {
        let config = data(std::str::from_utf8(content).ok()?)?;
        DockerConfig.read(config.as_bytes(), login)
    }

    fn check(&self, existing: Option<&[u8]>, login: Option<&Login<'_>>) -> Result<(), FormatError> {
        login.ok_or(FormatError::NoLogin)?;
        match existing {
            Some(content) if !content.trim_ascii().is_empty() => held(content).map(drop).ok_or(FormatError::Foreign),
            _ => Ok(()),
        }
    }

    fn remarks(&self, existing: Option<&[u8]>, login: Option<&Login<'_>>) -> Vec<String> {
        let Some(login) = login else { return Vec::new() };
        let other = held(existing.unwrap_or_default()).and_then(|held| held.other_than(login));
        other.into_iter().chain(too_long(login)).collect()
    }
}

/// What files of a robot are called: `acme-ci` for `acme+ci`. Names that differ in punctuation only have the same one.
pub fn file_stem(username: &str) -> String {
    let stem = username.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
    stem.strip_prefix('-').unwrap_or(&stem).to_owned()
}

fn manifest(username: &str, data: &str) -> Zeroizing<String> {
    joined(&[
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: ",
        &name(username),
        "\ndata:\n  ",
        DATA,
        " ",
        data,
        "\ntype: kubernetes.io/dockerconfigjson",
    ])
}

fn name(username: &str) -> String {
    format!("{}-pull-secret", file_stem(username))
}

/// What a manifest holds that this format wrote.
struct Held {
    registry: String,
    username: String,
}

/// Nothing where any line differs from what would be written for the user in it: it is another manifest, or has been edited.
fn held(content: &[u8]) -> Option<Held> {
    let text = std::str::from_utf8(content).ok()?;
    let (registry, Credential { username, .. }) = docker_config::only_entry(&data(text)?)?;
    let ours = manifest(&username, encoded(text)?);
    ours.lines().eq(text.trim_end().lines()).then_some(Held { registry, username })
}

impl Held {
    fn other_than(&self, login: &Login<'_>) -> Option<String> {
        let Self { registry, username } = self;
        let same = username == login.username && registry == login.registry;
        (!same).then(|| {
            format!(
                "The secret is that of the user '{username}' at {registry}; it is replaced by that of '{}' at {}.",
                login.username, login.registry
            )
        })
    }
}

fn too_long(login: &Login<'_>) -> Option<String> {
    let length = name(login.username).len();
    (length > LONGEST_NAME).then(|| {
        format!("The name of the secret has {length} characters; Kubernetes refuses names of more than {LONGEST_NAME}.")
    })
}

fn data(text: &str) -> Option<Zeroizing<String>> {
    docker_config::text_of_base64(encoded(text)?)
}

fn encoded(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(DATA)).map(str::trim)
}

const DATA: &str = ".dockerconfigjson:";

const LONGEST_NAME: usize = 253;
