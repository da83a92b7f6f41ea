//! What a task says about where its token goes: a file in one of the formats, a credential of the controller, both, or the result alone.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::credential::Content;
use super::{
    CredentialHandOver, CredentialPlace, Entry, FilePlace, Format, GalaxyServer, HandedOver, Holding, Lock, Login,
    Note, Place, PlaceError, Reserved, Token,
};
use crate::http::Connection;
use crate::secret::Secret;
use crate::span::Span;

/// The options of `modules/fragments/hand_over.yml`, and those of `dest_credential.yml` in modules that have them.
#[derive(Debug, Clone, Deserialize)]
pub struct HandOver {
    /// File that the token is handed over to.
    pub dest: Option<PathBuf>,
    /// What that file looks like.
    pub dest_format: Format,
    /// Permissions, as Ansible gives them: an octal number in quotes, or the number that YAML made of an unquoted one.
    pub mode: Value,
    /// User that the file belongs to.
    pub owner: Option<String>,
    /// Group that the file belongs to.
    pub group: Option<String>,
    /// Whether the result carries the token although it goes somewhere else.
    pub return_token: bool,
    /// The credential of the controller that the token is handed over to.
    #[serde(flatten)]
    pub credential: CredentialHandOver,
}

impl HandOver {
    /// The file that the token goes to, where the task names one.
    pub fn place(&self) -> Result<Option<FilePlace>, PlaceError> {
        self.dest.as_deref().map(|dest| self.place_at(dest)).transpose()
    }

    /// The place of a token whose file is this one, or that goes into the result alone.
    pub fn destination(&self, dest: Option<&Path>, naming: Naming) -> Result<Destination, PlaceError> {
        let Some(dest) = dest else { return Ok(Destination::default()) };
        let mut place = self.place_at(dest)?;
        if let Some(key) = self.dest_format.key(naming.entry()) {
            place = place.entry(key);
        }
        let file = Some(FileInFormat { place, format: self.dest_format, naming });
        Ok(Destination { file, credential: None })
    }

    /// The same with the credential that the task names.
    pub fn destination_or_credential(
        &self,
        dest: Option<&Path>,
        naming: Naming,
        connection: &Connection,
    ) -> Result<Destination, PlaceError> {
        let credential = self.credential.place(connection)?;
        Ok(Destination { credential, ..self.destination(dest, naming)? })
    }

    /// The credential alone, for a token that the job got from there.
    pub fn credential_for(&self, connection: &Connection, token: &Secret) -> Result<Option<Destination>, PlaceError> {
        let credential = self.credential.clone().with_token(token).place(connection)?;
        Ok(credential.map(|credential| Destination { file: None, credential: Some(credential) }))
    }

    /// Whether the result is to carry the token.
    pub fn returns_token(&self) -> bool {
        !self.has_place() || self.return_token
    }

    /// Whether the task names a file or a credential.
    pub fn has_place(&self) -> bool {
        self.dest.is_some() || self.credential.is_given()
    }

    /// How long an old token is to live on beside the new one, unless the task says so: jobs that started with it get the time to end.
    pub fn overlap(&self, asked: Option<Span>) -> TimeDelta {
        let usual = if self.credential.is_given() { OVERLAP_OF_JOBS } else { TimeDelta::zero() };
        asked.map_or(usual, Span::delta)
    }

    /// The token that stands in the place today.
    pub fn held(&self, place: &FilePlace) -> Result<Option<Secret>, PlaceError> {
        Ok(place.read()?.and_then(|content| self.dest_format.read(&content, Entry::default())))
    }

    fn place_at(&self, dest: &Path) -> Result<FilePlace, PlaceError> {
        FilePlace::new("dest", dest)?.mode(&self.mode)?.owner(self.owner.as_deref(), self.group.as_deref())
    }
}

/// What a token is called in the file.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// What it is called where names are needed, such as `robot_token`.
    pub name: &'static str,
    /// Its type, such as `Bearer`, where it has one.
    pub token_type: Option<&'static str>,
    /// The user name that it is the password of, and the key of the registry in credential files.
    pub login: Option<(String, String)>,
    /// The galaxy server that it is for, by its name in an `ansible.cfg`, and its address.
    pub galaxy_server: Option<(String, String)>,
    /// The Central that it is for: host and port, as roxctl writes them.
    pub central: Option<String>,
}

impl Naming {
    fn entry(&self) -> Entry<'_> {
        Entry {
            login: self.login.as_ref().map(|(username, registry)| Login { username, registry }),
            galaxy_server: self.galaxy_server.as_ref().map(|(name, url)| GalaxyServer { name, url }),
            central: self.central.as_deref(),
        }
    }
}

/// Where a token goes: a file, a credential of the controller, both, or the result alone.
///
/// Of both, the file is written first, as it can be read again: what it holds is then brought to the credential by the next run, if this one cannot.
#[derive(Debug, Default)]
pub struct Destination {
    file: Option<FileInFormat>,
    credential: Option<CredentialPlace>,
}

/// Keeps other runs away from all of it.
#[derive(Debug, Default)]
pub struct Locks {
    file: Option<Lock>,
    _credential: Option<Lock>,
}

impl Locks {
    /// That of the file.
    pub fn file(&self) -> Option<&Lock> {
        self.file.as_ref()
    }
}

#[derive(Debug, Clone)]
struct FileInFormat {
    place: FilePlace,
    format: Format,
    naming: Naming,
}

impl Destination {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&FilePlace> {
        self.file.as_ref().map(|file| &file.place)
    }

    /// The credential, where it is one.
    pub fn credential(&self) -> Option<&CredentialPlace> {
        self.credential.as_ref()
    }

    /// Adds to a result where the token goes.
    pub fn describe(&self, returned: &mut Value) {
        if let Some(file) = self.file() {
            returned["dest"] = json!(file.path());
        }
        if let Some(facts) = self.credential().and_then(CredentialPlace::facts) {
            returned["credential"] = facts;
        }
    }

    /// What a user should know of what was met on the way.
    pub fn notices(&self) -> Vec<String> {
        self.credential().map(CredentialPlace::notices).unwrap_or_default()
    }

    /// What a user should know of the file, whatever is done to it.
    pub fn remarks(&self) -> Vec<String> {
        let Some(file) = &self.file else { return Vec::new() };
        let existing = file.place.read().ok().flatten();
        let sentences = file.format.remarks(existing.as_ref().map(|content| content.as_slice()), file.entry());
        sentences.into_iter().map(|sentence| format!("{}: {sentence}", file.place.path().display())).collect()
    }

    /// Takes the token out of its place: of a file all, where nothing else is in it, and of a credential the one field. Says whether it was there.
    pub async fn remove(&self) -> Result<bool, PlaceError> {
        let from_file = self.remove_from_file().await;
        let from_credential = match &self.credential {
            Some(credential) => credential.remove().await?,
            None => false,
        };
        Ok(from_file? || from_credential)
    }

    async fn remove_from_file(&self) -> Result<bool, PlaceError> {
        let Some(file) = &self.file else { return Ok(false) };
        let lock = file.place.lock().await?;
        // What cannot be read as this format may be anything, and stays.
        file.check()?;
        let existing = file.place.read()?;
        let rest = existing.as_ref().and_then(|content| file.format.without(content, file.entry()));
        let Some(rest) = rest else {
            let is_ours = |content: &[u8]| file.format.read(content, file.entry()).is_some();
            // Another user's token, say.
            if existing.as_ref().is_some_and(|content| !is_ours(content)) {
                return Ok(false);
            }
            return file.place.remove(&lock);
        };
        let was_there = existing.as_deref() != Some(&rest);
        if was_there {
            file.place.reserve(&lock, rest.len())?.hand_over(&rest)?;
        }
        file.place.forget(&lock)?;
        Ok(was_there)
    }
}

impl FileInFormat {
    fn entry(&self) -> Entry<'_> {
        self.naming.entry()
    }

    fn look(&self) -> Result<Holding, PlaceError> {
        let read = |content: &[u8]| self.format.read(content, self.entry());
        let content = self.place.read()?;
        let (token, note) = (content.as_ref().and_then(|content| read(content)), self.place.note());
        let says_otherwise = match (&content, &token) {
            (Some(content), Some(token)) => self.says_otherwise(content, token, note.as_ref()),
            _ => false,
        };
        Ok(Holding {
            left_behind: self.place.left_behind()?.iter().find_map(|content| read(content)),
            has_drifted: says_otherwise || self.place.has_drifted()?,
            token,
            note,
            ..Holding::default()
        })
    }

    /// Whether the file says something else of its token than would be written: another registry, say.
    fn says_otherwise(&self, content: &[u8], token: &Secret, note: Option<&Note>) -> bool {
        if !self.format.tells_about_token() {
            return false;
        }
        let about_token = note.cloned().and_then(|note| note.about(&token.fingerprint()));
        let expires_at = about_token.and_then(|note| note.expires_at);
        let written = self.format.write(&self.handed_over(token, expires_at), None);
        written.is_ok_and(|written| written.as_slice() != content)
    }

    fn handed_over<'a>(&'a self, token: &'a Secret, expires_at: Option<DateTime<Utc>>) -> HandedOver<'a> {
        let Naming { name, token_type, .. } = self.naming;
        let Entry { login, galaxy_server, central } = self.entry();
        HandedOver { token, name, token_type, expires_at, login, galaxy_server, central }
    }

    fn compose(&self, token: &Token, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, PlaceError> {
        let what = self.handed_over(&token.secret, token.expires_at);
        self.format.write(&what, existing).map_err(|why| self.place.wrong(&why.to_string()))
    }

    /// Whether a token can be brought into the file as it is. Returns how long it is.
    fn check(&self) -> Result<usize, PlaceError> {
        let content = self.place.read()?;
        let checked = self.format.check(content.as_ref().map(|content| content.as_slice()), self.entry());
        checked.map_err(|why| self.place.wrong(&why.to_string()))?;
        Ok(content.map_or(0, |content| content.len()))
    }

    /// Does work that syncs files. Where many places are at work it has a thread of its own: a busy disk takes long for each, and takes the syncs of
    /// many together.
    async fn wait_for_disk(
        &self,
        work: impl FnOnce(&Self) -> Result<(), PlaceError> + Send + 'static,
    ) -> Result<(), PlaceError> {
        if !Lock::are_many() {
            return work(self);
        }
        let file = self.clone();
        let ended = match tokio::task::spawn_blocking(move || work(&file)).await {
            Ok(done) => return done,
            Err(ended) => ended,
        };
        match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(self.place.wrong("the run ended before it was written")),
        }
    }

    fn put_aside(&self, reserved: &mut Reserved, token: &Token) -> Result<(), PlaceError> {
        reserved.put_aside(self.compose(token, self.place.read()?.as_ref().map(|content| content.as_slice()))?);
        Ok(())
    }

    /// Other programs, which know nothing of our lock, write to the same file. So it is read at the last moment, and again before it is replaced.
    fn hand_over(&self, reserved: Reserved, token: &Token) -> Result<(), PlaceError> {
        let compose = |existing: Option<&[u8]>| self.compose(token, existing);
        let mut existing = self.place.read()?;
        let mut content = compose(existing.as_ref().map(|content| content.as_slice()))?;
        for _ in 0..MOST_CHANGES {
            let again = self.place.read()?;
            if !self.format.merges() || again == existing {
                break;
            }
            content = compose(again.as_ref().map(|content| content.as_slice()))?;
            existing = again;
        }
        reserved.hand_over(&content)
    }
}

impl Place for Destination {
    type Lock = Locks;
    type Reserved = Option<Reserved>;

    fn lasts(&self) -> bool {
        self.file.is_some() || self.credential.is_some()
    }

    async fn look(&self) -> Result<Holding, PlaceError> {
        let file = self.file.as_ref().map(FileInFormat::look).transpose()?;
        let content = match &self.credential {
            Some(credential) => Some(credential.look().await?),
            None => None,
        };
        Ok(match (file, content) {
            (None, None) => Holding::default(),
            (Some(file), None) => file,
            (None, Some(content)) => Holding::of(content),
            (Some(file), Some(content)) => file.with(content),
        })
    }

    async fn check_writable(&self) -> Result<(), PlaceError> {
        if let Some(file) = &self.file {
            file.check()?;
            file.place.check_writable()?;
        }
        match &self.credential {
            Some(credential) => credential.check_writable().await,
            None => Ok(()),
        }
    }

    fn tidy(&self) {
        if let Some(place) = self.file() {
            place.tidy();
        }
    }

    async fn lock(&self) -> Result<Locks, PlaceError> {
        let file = match self.file() {
            Some(place) => Some(place.lock().await?),
            None => None,
        };
        let credential = match &self.credential {
            Some(credential) => credential.lock().await?,
            None => None,
        };
        Ok(Locks { file, _credential: credential })
    }

    async fn reserve(&self, locks: &Locks) -> Result<Self::Reserved, PlaceError> {
        if let Some(credential) = &self.credential {
            credential.check_writable().await?;
        }
        let (Some(file), Some(lock)) = (&self.file, &locks.file) else { return Ok(None) };
        let existing = file.check()?;
        Ok(Some(file.place.reserve(lock, file.format.room(existing))?))
    }

    async fn write_note(&self, locks: &Locks, note: &Note) -> Result<(), PlaceError> {
        if let (Some(file), Some(lock)) = (&self.file, &locks.file) {
            let (lock, note) = (lock.clone(), note.clone());
            file.wait_for_disk(move |file| file.place.write_lasting_note(&lock, &note)).await?;
        }
        match &self.credential {
            Some(credential) => credential.write_note(note).await,
            None => Ok(()),
        }
    }

    async fn put_aside(&self, _locks: &Locks, reserved: &mut Self::Reserved, token: &Token) {
        if let (Some(file), Some(reserved)) = (&self.file, reserved) {
            let _it_was_for_the_worst = file.put_aside(reserved, token);
        }
    }

    async fn wait_until_idle(&self) -> Result<(), PlaceError> {
        match &self.credential {
            Some(credential) => credential.wait_until_idle().await,
            None => Ok(()),
        }
    }

    async fn hand_over(
        &self,
        locks: &Locks,
        reserved: Self::Reserved,
        token: &Token,
        note: &Note,
        is_valid: impl AsyncFn() -> bool,
    ) -> Result<(), PlaceError> {
        if let (Some(file), Some(lock), Some(reserved)) = (&self.file, &locks.file, reserved) {
            let (lock, token, note) = (lock.clone(), token.clone(), note.clone());
            let work = move |file: &FileInFormat| {
                file.hand_over(reserved, &token)?;
                file.place.write_note(&lock, &note)
            };
            file.wait_for_disk(work).await?;
        }
        match &self.credential {
            Some(credential) => credential.hand_over(token, note, is_valid).await,
            None => Ok(()),
        }
    }
}

impl Holding {
    /// A credential alone.
    fn of(content: Content) -> Self {
        let Content { token, holds, is_unmarked, note } = content;
        let has_drifted = is_unmarked && token.is_some();
        let hidden = holds.filter(|_| token.is_none());
        Self { token, hidden, has_drifted, note, ..Self::default() }
    }

    /// A file and a credential. What can be read counts, and what the other one has differently is to be put right.
    fn with(self, content: Content) -> Self {
        let Content { token, holds, note, .. } = content;
        let in_file = self.token.as_ref().map(Secret::fingerprint);
        let differs = in_file != holds;
        Self {
            is_incomplete: self.token.is_none() && token.is_none(),
            has_drifted: self.has_drifted || differs,
            elsewhere: holds.clone().filter(|_| differs && in_file.is_some()),
            hidden: holds.filter(|_| self.token.is_none() && token.is_none()),
            token: self.token.or(token),
            note: self.note.or(note),
            ..self
        }
    }
}

const OVERLAP_OF_JOBS: TimeDelta = TimeDelta::hours(1);
/// How often a file may be changed by others between two looks at it before the last look counts.
const MOST_CHANGES: usize = 5;

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_taken_out_of_a_file_and_nothing_else_is() {
        let ours = r#""quay.example.com": {"auth": "YWNtZStjaTpw"}"#;
        let others = r#""a.example.com": {"auth": "eDp5"}"#;
        for (content, left) in [
            (format!(r#"{{"auths": {{{others}, {ours}}}, "x": 1}}"#), format!(r#"{{"auths": {{{others}}}, "x": 1}}"#)),
            (format!(r#"{{"auths": {{{ours}, {others}}}}}"#), format!(r#"{{"auths": {{{others}}}}}"#)),
            (format!(r#"{{"auths": {{{ours}}}}}"#), r#"{"auths": {}}"#.to_owned()),
            (format!(r#"{{"auths": {{{others}}}}}"#), format!(r#"{{"auths": {{{others}}}}}"#)),
        ] {
            let (folder, destination) = destination("docker_config", &content);
            assert_eq!(removed(&destination).unwrap(), content != left);
            assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), left);
        }
    }

    #[test]
    fn a_file_that_is_the_tokens_alone_is_removed_and_a_foreign_one_is_not() {
        let (folder, file) = destination("raw", "p");
        assert!(removed(&file).unwrap());
        assert!(!folder.path().join("file").exists());
        for (format, content) in [("docker_config", "no JSON"), ("kubernetes_secret", "kind: ConfigMap")] {
            let (folder, foreign) = destination(format, content);
            assert!(removed(&foreign).is_err(), "{format}");
            assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), content);
        }
    }

    #[test]
    fn each_of_many_tokens_at_a_time_comes_into_its_own_file_with_its_note() {
        let places: Vec<_> = (0..12).map(|_| destination("raw", "old")).collect();
        let hand_over = async |number: usize, destination: &Destination| {
            let lock = destination.lock().await?;
            // Every one is locked before the first one goes on.
            tokio::task::yield_now().await;
            let note = Note { object: Some(format!("acme+r{number}")), ..Note::default() };
            destination.write_note(&lock, &note).await?;
            let reserved = destination.reserve(&lock).await?;
            destination
                .hand_over(&lock, reserved, &Token::new(Secret::new(format!("new {number}"))), &note, async || false)
                .await
        };
        let all = places.iter().enumerate().map(|(number, (_, destination))| hand_over(number, destination));
        runtime().block_on(futures_util::future::try_join_all(all)).unwrap();
        for (number, (folder, destination)) in places.iter().enumerate() {
            assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), format!("new {number}"));
            let note = destination.file().unwrap().note().unwrap();
            assert_eq!(note.object, Some(format!("acme+r{number}")));
        }
    }

    #[test]
    fn a_file_with_the_token_of_another_user_stays() {
        let (_other_folder, other) = destination("kubernetes_secret", "");
        let what = HandedOver {
            token: &Secret::new("p"),
            name: "robot_token",
            token_type: None,
            expires_at: None,
            login: Some(Login { username: "acme+old", registry: "quay.example.com" }),
            galaxy_server: None,
            central: None,
        };
        let content = other.file.as_ref().unwrap().format.write(&what, None).unwrap();
        let content = String::from_utf8(content.to_vec()).unwrap();
        let (folder, destination) = destination("kubernetes_secret", &content);
        assert!(!removed(&destination).unwrap());
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), content);
    }

    #[test]
    fn the_token_of_a_galaxy_server_goes_into_its_file_and_out_of_it_again() {
        let (section, other) = ("[galaxy_server.hub]\nurl = U\n", "[galaxy_server.other]\ntoken = x\n");
        for (format, before, after, rest) in [
            ("galaxy_token", String::new(), "token: 't0ken'\n".to_owned(), None),
            ("galaxy_token", "a: b\n".to_owned(), "a: b\ntoken: 't0ken'\n".to_owned(), Some("a: b\n".to_owned())),
            (
                "ansible_cfg",
                format!("{section}{other}"),
                format!("{section}token = t0ken\n{other}"),
                Some(format!("{section}{other}")),
            ),
        ] {
            let (folder, destination) = destination(format, &before);
            let note = Note { object: Some("ci".to_owned()), ..Note::default() };
            let hand_over = async {
                let lock = destination.lock().await?;
                let reserved = destination.reserve(&lock).await?;
                destination.hand_over(&lock, reserved, &Token::new(Secret::new("t0ken")), &note, async || false).await
            };
            runtime().block_on(hand_over).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), after);
            let holding = runtime().block_on(destination.look()).unwrap();
            assert_eq!((holding.token, holding.note), (Some(Secret::new("t0ken")), Some(note)));
            let is_for_one = folder.path().join(".file.tokensmith.hub.json").exists();
            assert_eq!(is_for_one, format == "ansible_cfg", "a note of its own for each section");
            assert!(removed(&destination).unwrap());
            assert_eq!(fs::read_to_string(folder.path().join("file")).ok(), rest, "{format}");
            assert!(destination.file().unwrap().note().is_none());
        }
    }

    fn destination(format: &str, content: &str) -> (tempfile::TempDir, Destination) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), content).unwrap();
        let options =
            json!({ "dest": folder.path().join("file"), "dest_format": format, "mode": null, "return_token": false });
        let hand_over: HandOver = serde_json::from_value(options).unwrap();
        let login = Some(("acme+ci".to_owned(), "quay.example.com".to_owned()));
        let galaxy_server = Some(("hub".to_owned(), "https://hub.example.com/api/galaxy/".to_owned()));
        let naming = Naming { name: "robot_token", token_type: None, login, galaxy_server, central: None };
        let destination = hand_over.destination(hand_over.dest.as_deref(), naming).unwrap();
        (folder, destination)
    }

    fn removed(destination: &Destination) -> Result<bool, PlaceError> {
        runtime().block_on(destination.remove())
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }
}
