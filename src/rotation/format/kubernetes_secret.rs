//! A Kubernetes secret to pull images with, as Quay's console writes it. It is replaced as a whole, so nothing else may stand in the file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::docker_config::{self, Credential, DockerConfig};
use super::{Entry, FormatError, HandedOver, Login, Way, bytes, joined};
use crate::secret::Secret;

pub(super) struct KubernetesSecret;

impl Way for KubernetesSecret {
    fn write(&self, what: &HandedOver<'_>, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let login = what.login.ok_or(FormatError::NoLogin)?;
        self.check(existing, &what.entry())?;
        let config = DockerConfig.write(what, None)?;
        let data = Zeroizing::new(STANDARD.encode(&*config));
        Ok(bytes(manifest(login.username, &data)))
    }

    fn read(&self, content: &[u8], entry: &Entry<'_>) -> Option<Secret> {
        let config = data(std::str::from_utf8(content).ok()?)?;
        DockerConfig.read(config.as_bytes(), entry)
    }

    fn check(&self, existing: Option<&[u8]>, entry: &Entry<'_>) -> Result<(), FormatError> {
        entry.login.ok_or(FormatError::NoLogin)?;
        match existing {
            Some(content) if !content.trim_ascii().is_empty() => held(content).map(drop).ok_or(FormatError::Foreign),
            _ => Ok(()),
        }
    }

    fn remarks(&self, existing: Option<&[u8]>, entry: &Entry<'_>) -> Vec<String> {
        let Some(login) = &entry.login else { return Vec::new() };
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

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    #[test]
    fn the_stem_of_a_file_name_is_that_of_quay() {
        for (username, stem) in [
            ("acme+ci", "acme-ci"),
            ("acme+my.robot_2", "acme-my-robot-2"),
            ("+ci", "ci"),
            ("--ci", "-ci"),
            ("Älter+ci", "lter-ci"),
            ("", ""),
        ] {
            assert_eq!(file_stem(username), stem, "{username}");
        }
    }

    #[test]
    fn a_manifest_of_this_format_is_replaced_as_a_whole() {
        let old = written("acme+old", "quay.example.com", "old");
        for content in [old.clone(), format!("{old}\n"), old.replace('\n', "\r\n")] {
            assert_eq!(Format::KubernetesSecret.check(Some(content.as_bytes()), Some(&LOGIN)), Ok(()), "{content}");
            assert_eq!(write(Some(&content)), Ok(written("acme+ci", "quay.example.com", "t0ken")), "{content}");
        }
        // Made by a filter of another collection: compact.
        let compact = r#"{"auths": {"quay.example.com": {"auth": "YWNtZStjaTp0MGtlbg==", "email": ""}}}"#;
        let content = manifest("acme+ci", &STANDARD.encode(compact));
        assert_eq!(Format::KubernetesSecret.check(Some(content.as_bytes()), Some(&LOGIN)), Ok(()));
        assert_eq!(read(&content), Some(Secret::new("t0ken")));
    }

    #[test]
    fn other_manifests_and_edited_ones_are_refused() {
        let ours = written("acme+ci", "quay.example.com", "t0ken");
        let two = r#"{"auths": {"quay.example.com": {"auth": "YWNtZStjaTp0MGtlbg=="}, "a.example.com": {}}}"#;
        let helper = r#"{"auths": {"quay.example.com": {"auth": "YWNtZStjaTp0MGtlbg=="}}, "credsStore": "pass"}"#;
        for content in [
            "t0ken".to_owned(),
            "kind: ConfigMap\n".to_owned(),
            ours.replace("acme-ci-pull-secret", "registry"),
            ours.replace("data:", "  namespace: build\ndata:"),
            format!("---\n{ours}"),
            format!("{ours}\n---\n{ours}"),
            format!("{ours}\n# applied by hand"),
            ours.replace("dockerconfigjson: ", "dockerconfigjson: ?"),
            ours.replace("dockerconfigjson: ", "dockerconfigjson: e30= #"),
            manifest("acme+ci", &STANDARD.encode("{}")).to_string(),
            manifest("acme+ci", &STANDARD.encode(two)).to_string(),
            manifest("acme+ci", &STANDARD.encode(helper)).to_string(),
        ] {
            let refused = Format::KubernetesSecret.check(Some(content.as_bytes()), Some(&LOGIN));
            assert_eq!(refused, Err(FormatError::Foreign), "{content}");
            assert_eq!(write(Some(&content)), Err(FormatError::Foreign), "{content}");
        }
        assert_eq!(Format::KubernetesSecret.check(Some(b"\xff"), Some(&LOGIN)), Err(FormatError::Foreign));
    }

    #[test]
    fn the_token_of_the_login_is_read_even_from_an_edited_manifest() {
        let ours = written("acme+ci", "quay.example.com", "t0ken");
        for (content, expected) in [
            (ours.clone(), Some("t0ken")),
            (ours.replace("data:", "  namespace: build\ndata:"), Some("t0ken")),
            (ours.replace('\n', "\r\n"), Some("t0ken")),
            (written("acme+other", "quay.example.com", "t0ken"), None),
            (written("acme+ci", "quay.example.com/acme", "t0ken"), None),
        ] {
            assert_eq!(read(&content), expected.map(Secret::new), "{content}");
        }
    }

    #[test]
    fn another_user_and_a_name_too_long_are_remarked() {
        let other = written("acme+old", "quay.example.com", "old");
        let elsewhere = written("acme+ci", "quay.example.com/acme", "old");
        for (content, login, expected) in [
            (None, LOGIN, None),
            (Some(written("acme+ci", "quay.example.com", "old")), LOGIN, None),
            (
                Some(other),
                LOGIN,
                Some(
                    "The secret is that of the user 'acme+old' at quay.example.com; it is replaced by that of 'acme+ci' at quay.example.com.",
                ),
            ),
            (
                Some(elsewhere),
                LOGIN,
                Some(
                    "The secret is that of the user 'acme+ci' at quay.example.com/acme; it is replaced by that of 'acme+ci' at quay.example.com.",
                ),
            ),
            (
                None,
                Login { username: &"x".repeat(242), ..LOGIN },
                Some("The name of the secret has 254 characters; Kubernetes refuses names of more than 253."),
            ),
            (None, Login { username: &"x".repeat(241), ..LOGIN }, None),
        ] {
            let remarks = Format::KubernetesSecret.remarks(content.as_deref().map(str::as_bytes), Some(&login));
            assert_eq!(remarks, expected.into_iter().collect::<Vec<_>>());
        }
    }

    fn written(username: &str, registry: &str, token: &str) -> String {
        let token = Secret::new(token);
        let login = Some(Login { username, registry });
        let what = HandedOver {
            token: &token,
            name: "robot_token",
            token_type: None,
            expires_at: None,
            login,
            galaxy_server: None,
            central: None,
        };
        text(&Format::KubernetesSecret.write(&what, None).unwrap())
    }

    fn write(existing: Option<&str>) -> Result<String, FormatError> {
        let token = Secret::new("t0ken");
        let what = HandedOver {
            token: &token,
            name: "robot_token",
            token_type: None,
            expires_at: None,
            login: Some(LOGIN),
            galaxy_server: None,
            central: None,
        };
        Format::KubernetesSecret.write(&what, existing.map(str::as_bytes)).map(|content| text(&content))
    }

    fn read(content: &str) -> Option<Secret> {
        Format::KubernetesSecret.read(content.as_bytes(), Some(&LOGIN))
    }

    fn text(content: &[u8]) -> String {
        String::from_utf8(content.to_vec()).unwrap()
    }

    const LOGIN: Login<'_> = Login { username: "acme+ci", registry: "quay.example.com" };
}
