//! The entry of a registry in the file of docker and podman (`config.json`, `auth.json`). Everything else in that file stays byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::splice::{Edit, Layout, Member, Object};
use super::{Entry as Whose, FormatError, HandedOver, Login, Way, bytes, joined};
use crate::secret::Secret;

pub(super) struct DockerConfig;

impl Way for DockerConfig {
    fn write(&self, what: &HandedOver<'_>, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let login = what.login.ok_or(FormatError::NoLogin)?;
        let config = Config::parse(existing, &login)?;
        let password = joined(&[login.username, ":", what.token.reveal()]);
        let auth = Zeroizing::new(STANDARD.encode(password.as_bytes()));
        let text = config.with(&auth).map_or_else(|| joined(&[config.text]), |edit| edit.apply(config.text));
        Ok(bytes(joined(&[config.mark, &text])))
    }

    fn read(&self, content: &[u8], whose: &Whose<'_>) -> Option<Secret> {
        let login = &whose.login?;
        let credential = Config::parse(Some(content), login).ok()?.entry()?.credential()?;
        (credential.username == login.username).then_some(credential.password)
    }

    fn without(&self, content: &[u8], whose: &Whose<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let login = &whose.login?;
        let config = Config::parse(Some(content), login).ok()?;
        let is_ours = config.entry().and_then(Entry::credential).is_some_and(|held| held.username == login.username);
        let auths = config.top.named(AUTHS).pop().filter(|_| is_ours);
        let edit = auths.and_then(|auths| Object::within(&auths).ok()?.remove(login.registry));
        let text = edit.map_or_else(|| joined(&[config.text]), |edit| edit.apply(config.text));
        Some(bytes(joined(&[config.mark, &text])))
    }

    fn check(&self, existing: Option<&[u8]>, whose: &Whose<'_>) -> Result<(), FormatError> {
        Config::parse(existing, &whose.login.ok_or(FormatError::NoLogin)?).map(drop)
    }

    fn remarks(&self, existing: Option<&[u8]>, whose: &Whose<'_>) -> Vec<String> {
        let Some(login) = &whose.login else { return Vec::new() };
        let Ok(config) = Config::parse(existing, login) else { return Vec::new() };
        config.other_user().into_iter().chain(config.helper()).collect()
    }
}

/// The password of one user.
pub(super) struct Credential {
    pub(super) username: String,
    pub(super) password: Secret,
}

/// The only entry of a file that holds nothing else, with its key.
pub(super) fn only_entry(content: &str) -> Option<(String, Credential)> {
    let top = Object::whole(content).ok()?;
    let [(name, auths)] = &top.members()[..] else { return None };
    let auths = Object::within(auths).ok().filter(|_| *name == AUTHS)?;
    let [(registry, entry)] = &auths.members()[..] else { return None };
    Some((registry.to_string(), Entry::parse(entry.value)?.credential()?))
}

/// A file, and where in it the entry of a registry is or goes.
struct Config<'a> {
    login: &'a Login<'a>,
    /// The byte order mark that some editors put before a text.
    mark: &'a str,
    text: &'a str,
    top: Object<'a>,
    spot: Spot<'a>,
}

enum Spot<'a> {
    /// The entry is there.
    Entry(Member<'a>),
    /// There are entries, and not this one.
    Auths(Object<'a>),
    /// `auths` is null, which counts as missing.
    Null(Member<'a>),
    /// There is no `auths`.
    Nowhere,
}

impl<'a> Config<'a> {
    fn parse(existing: Option<&'a [u8]>, login: &'a Login<'a>) -> Result<Self, FormatError> {
        let content = std::str::from_utf8(existing.unwrap_or_default()).map_err(|_| FormatError::NotText)?;
        let (mark, text) = content.split_at(if content.starts_with(MARK) { MARK.len_utf8() } else { 0 });
        let text = if text.trim().is_empty() { "{}" } else { text };
        let top = Object::whole(text).map_err(|fault| fault.refusal("it"))?;
        let spot = match only(&top, AUTHS)? {
            None => Spot::Nowhere,
            Some(auths) if auths.value == "null" => Spot::Null(auths),
            Some(auths) => {
                let auths = Object::within(&auths).map_err(|fault| fault.refusal("\"auths\" in it"))?;
                only(&auths, login.registry)?.map_or(Spot::Auths(auths), Spot::Entry)
            }
        };
        Ok(Self { login, mark, text, top, spot })
    }

    /// The change that makes this the entry, or nothing where it already is.
    fn with(&self, auth: &str) -> Option<Edit<'a>> {
        let registry = self.login.registry;
        let auth_value = joined(&["\"", auth, "\""]);
        let entry = |layout: &Layout| layout.object(&[("auth", &auth_value), ("email", "\"\"")]);
        let auths = |layout: &Layout| layout.object(&[(registry, &entry(&layout.deeper()))]);
        match &self.spot {
            Spot::Entry(_) if self.entry().is_some_and(|held| held.is(auth)) => None,
            Spot::Entry(member) => Some(member.replace(entry)),
            Spot::Auths(object) => Some(object.insert(registry, entry)),
            Spot::Null(member) => Some(member.replace(auths)),
            Spot::Nowhere => Some(self.top.insert(AUTHS, auths)),
        }
    }

    fn entry(&self) -> Option<Entry> {
        match &self.spot {
            Spot::Entry(member) => Entry::parse(member.value),
            _ => None,
        }
    }

    fn other_user(&self) -> Option<String> {
        let Login { username, registry } = self.login;
        let held = self.entry()?.credential()?.username;
        (held != *username).then(|| {
            format!("The entry of {registry} is that of the user '{held}'; it is replaced by that of '{username}'.")
        })
    }

    /// docker takes the helper of a registry before that of all, and with an empty name none at all.
    fn helper(&self) -> Option<String> {
        let host = self.login.host();
        let helpers = last(&self.top, "credHelpers").and_then(|helpers| Object::within(&helpers).ok());
        let own = helpers.and_then(|helpers| last(&helpers, host));
        let (option, helper) = match own {
            Some(own) => ("credHelpers", own),
            None => ("credsStore", last(&self.top, "credsStore")?),
        };
        let helper: String = serde_json::from_str(helper.value).ok().filter(|name: &String| !name.is_empty())?;
        Some(format!(
            "{option} names the credential helper '{helper}', so docker asks that for {host} and not this file."
        ))
    }
}

/// What docker and podman read of an entry.
#[derive(Deserialize)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl Entry {
    fn parse(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }

    /// The password that is used. Where there is another kind of token, docker uses that instead.
    fn credential(self) -> Option<Credential> {
        if self.has_token() {
            return None;
        }
        match self.auth.filter(|auth| !auth.is_empty()) {
            Some(auth) => decoded(&auth),
            None => Some(Credential { username: self.username?, password: self.password? }),
        }
    }

    fn is(&self, auth: &str) -> bool {
        !self.has_token() && self.auth.as_ref().is_some_and(|held| held.reveal() == auth)
    }

    fn has_token(&self) -> bool {
        [&self.identitytoken, &self.registrytoken].into_iter().flatten().any(|token| !token.is_empty())
    }
}

/// The user and the password in `auth`.
fn decoded(auth: &Secret) -> Option<Credential> {
    let text = text_of_base64(auth.reveal())?;
    let (username, password) = text.split_once(':')?;
    Some(Credential { username: username.to_owned(), password: Secret::new(password) })
}

/// The text that Base64 stands for, with padding or without.
pub(super) fn text_of_base64(encoded: &str) -> Option<Zeroizing<String>> {
    let mut decoded = Zeroizing::new(Vec::new());
    STANDARD_PAD_INDIFFERENT.decode_vec(encoded.trim(), &mut decoded).ok()?;
    Some(joined(&[std::str::from_utf8(&decoded).ok()?]))
}

/// A member that may be there once.
fn only<'a>(object: &Object<'a>, name: &str) -> Result<Option<Member<'a>>, FormatError> {
    let mut members = object.named(name);
    match members.len() {
        0 | 1 => Ok(members.pop()),
        _ => Err(FormatError::Twice(name.to_owned())),
    }
}

/// The member that counts where a name comes again.
fn last<'a>(object: &Object<'a>, name: &str) -> Option<Member<'a>> {
    object.named(name).pop()
}

const AUTHS: &str = "auths";

const MARK: char = '\u{feff}';

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
