//! A file as a place: locked, checked beforehand, replaced in one step, read back.
//!
//! Beside `NAME` may stand `.NAME.tokensmith.lock` (empty, keeps two runs apart), `.NAME.tokensmith.json` (the note) and, while a run is at work or
//! after it was killed, `.NAME.tokensmith.new` (the next content), `.NAME.tokensmith.left` (what an earlier run had left as that) and
//! `.NAME.tokensmith.note` (the next note). Where a file holds several tokens, the name of an entry stands before `json`, `new` and `left`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fs::{Access, FallocateFlags, FlockOperation, Gid, Mode, OFlags, Uid, fallocate, fchmod, fchown, flock};
use rustix::io::Errno;
use serde_json::Value;
use zeroize::Zeroizing;

use super::note::Note;
use super::place::PlaceError;

/// A file that a token is read from and handed over to.
#[derive(Debug, Clone)]
pub struct FilePlace {
    option: &'static str,
    path: PathBuf,
    folder: PathBuf,
    name: String,
    note: String,
    next: String,
    left: String,
    mode: Option<u32>,
    owner: Option<Uid>,
    group: Option<Gid>,
}

/// Keeps other runs away from a place until it is dropped, and with it its clones.
#[derive(Debug, Clone)]
pub struct Lock {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    _file: File,
}

/// A place that can take its next content: the room is there, the owner and the permissions are right, and the lock is held by the caller.
///
/// What can fail was tried when this was made; [`Reserved::hand_over`] only has to write and rename.
#[derive(Debug)]
pub struct Reserved {
    place: FilePlace,
    file: File,
    /// What is in it already.
    aside: Option<Zeroizing<Vec<u8>>>,
    handed_over: bool,
}

impl FilePlace {
    /// A place named by an option. Its folder must exist; the file need not.
    pub fn new(option: &'static str, path: &Path) -> Result<Self, PlaceError> {
        let unusable = |why: &str| PlaceError::Unusable { option, path: path.to_owned(), why: why.to_owned() };
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| unusable("it does not name a file"))?
            .to_owned();
        if path.starts_with("~") {
            return Err(unusable(
                "the user has no home for ~ to stand for (no HOME, no entry in /etc/passwd); write the whole path",
            ));
        }
        if !path.is_absolute() {
            return Err(unusable("the path must be absolute, beginning with /"));
        }
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let [note, next, left] = ["json", "new", "left"].map(str::to_owned);
        let path = path.to_owned();
        let place = Self { option, path, folder, name, note, next, left, mode: None, owner: None, group: None };
        place.check_kind()?;
        Ok(place)
    }

    /// One entry of a file that holds the tokens of several: its note is its own, and so is what a killed run leaves.
    pub fn entry(mut self, name: &str) -> Self {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        [self.note, self.next, self.left] = ["json", "new", "left"].map(|what| format!("{name}.{what}"));
        self
    }

    /// The permissions that the file is to have. Without this they stay as they are, or are 0600.
    pub fn mode(mut self, mode: &Value) -> Result<Self, PlaceError> {
        let wrong = || PlaceError::Mode(mode.to_string());
        let bits = match mode {
            Value::Null => return Ok(self),
            Value::Number(number) => number.as_u64().and_then(|bits| u32::try_from(bits).ok()).ok_or_else(wrong)?,
            Value::String(digits) => u32::from_str_radix(digits.trim_start_matches("0o"), 8).map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        self.mode = Some(Some(bits).filter(|bits| *bits <= 0o7777).ok_or_else(wrong)?);
        Ok(self)
    }

    /// Who the file is to belong to. Without this it stays as it is, or belongs to the running user.
    pub fn owner(mut self, owner: Option<&str>, group: Option<&str>) -> Result<Self, PlaceError> {
        if let Some(owner) = owner {
            self.owner = Some(Uid::from_raw(identity("owner", owner, "/etc/passwd")?));
        }
        if let Some(group) = group {
            self.group = Some(Gid::from_raw(identity("group", group, "/etc/group")?));
        }
        Ok(self)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds now, or nothing when there is none. A symbolic link is not followed.
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, PlaceError> {
        self.read_beside(&self.path)
    }

    /// Whether the permissions or the owner differ from what the task asks for.
    pub fn has_drifted(&self) -> Result<bool, PlaceError> {
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.unusable(&error)),
        };
        Ok(self.mode.is_some_and(|mode| metadata.mode() & 0o7777 != mode)
            || self.owner.is_some_and(|owner| metadata.uid() != owner.as_raw())
            || self.group.is_some_and(|group| metadata.gid() != group.as_raw()))
    }

    /// Waits until no other run is at work on this place, then keeps the others away. A run keeps itself away as well, so that of the many things it
    /// does at once no two write to one place.
    pub async fn lock(&self) -> Result<Lock, PlaceError> {
        let begun = Instant::now();
        loop {
            match self.try_lock()? {
                Some(lock) => return Ok(lock),
                None if begun.elapsed() < LONGEST_WAIT => tokio::time::sleep(LOCK_PAUSE).await,
                None => {
                    return Err(self.wrong(
                        "another run has been at work on it for a minute; let that end, or look for a hung process",
                    ));
                }
            }
        }
    }

    /// The lock, unless another run has it.
    fn try_lock(&self) -> Result<Option<Lock>, PlaceError> {
        Lock::try_at(&self.beside("lock")).map_err(|error| self.cannot("its lock cannot be made beside it", &error))
    }

    /// Removes a note that a killed run had begun to write, and a content that was followed by a newer one, unless a run is at work.
    pub fn tidy(&self) {
        let needless = [self.beside("note"), self.beside(&self.left)];
        if needless.iter().any(|path| fs::symlink_metadata(path).is_ok())
            && let Ok(Some(_lock)) = self.try_lock()
        {
            let _nothing_to_be_done = needless.map(fs::remove_file);
        }
    }

    /// Makes everything ready for a hand-over that may not fail: the file for the next content, with its final owner and permissions and the room
    /// it needs. The lock must be held, which the argument shows. What a killed run left stays until there is something newer in place.
    pub fn reserve(&self, _lock: &Lock, room: usize) -> Result<Reserved, PlaceError> {
        self.check_kind()?;
        let next = self.beside(&self.next);
        self.set_left_behind_aside()
            .map_err(|error| self.cannot("what an earlier run left beside it cannot be put aside", &error))?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)
            .map_err(|error| self.cannot("nothing can be written beside it", &error))?;
        let reserved = Reserved { place: self.clone(), file, aside: None, handed_over: false };
        reserved.take_room(room)?;
        reserved.take_identity()?;
        Ok(reserved)
    }

    /// It may be the only copy of a token that works.
    fn set_left_behind_aside(&self) -> io::Result<()> {
        let next = self.beside(&self.next);
        match fs::symlink_metadata(&next) {
            Ok(metadata) if metadata.len() > 0 => fs::rename(next, self.beside(&self.left)),
            _ => remove_if_there(&next).map(drop),
        }
    }

    /// The contents that killed runs had written but not put in place, the newest first. While another run holds the lock, it may be half written.
    pub fn left_behind(&self) -> Result<Vec<Zeroizing<Vec<u8>>>, PlaceError> {
        let contents = [&self.next, &self.left].map(|name| self.read_beside(&self.beside(name)));
        let mut left_behind = Vec::new();
        for content in contents {
            left_behind.extend(content?.filter(|content| !content.is_empty()));
        }
        Ok(left_behind)
    }

    /// Puts the newest of those in place, as the killed run was about to. The lock must be held.
    pub fn put_left_behind_in_place(&self, _lock: &Lock) -> Result<(), PlaceError> {
        self.set_left_behind_aside()
            .and_then(|()| fs::rename(self.beside(&self.left), &self.path))
            .map_err(|error| self.cannot("what an earlier run left cannot be put in place", &error))?;
        self.sync_folder()
    }

    /// Whether a hand-over could be prepared, found out without touching anything: for check mode.
    pub fn check_writable(&self) -> Result<(), PlaceError> {
        rustix::fs::access(&self.folder, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| self.cannot("nothing can be written beside it", &error.into()))
    }

    /// Whether another place is the same file, by whatever name.
    pub fn is_same_file(&self, other: &Self) -> bool {
        let canonical = |place: &Self| fs::canonicalize(&place.folder).map(|folder| folder.join(&place.name)).ok();
        let inode =
            |place: &Self| fs::symlink_metadata(&place.path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
        self.path == other.path || equal(canonical(self), canonical(other)) || equal(inode(self), inode(other))
    }

    /// Removes the file, its note and what a killed run may have left. Says whether there was a file.
    pub fn remove(&self, _lock: &Lock) -> Result<bool, PlaceError> {
        let existed = remove_if_there(&self.path).map_err(|error| self.cannot("it cannot be removed", &error))?;
        for beside in [&self.note, "note", &self.next, &self.left] {
            remove_if_there(&self.beside(beside))
                .map_err(|error| self.cannot("what stands beside it cannot be removed", &error))?;
        }
        self.sync_folder()?;
        Ok(existed)
    }

    /// Removes the note and what a killed run may have left, where the file stays because of what else is in it.
    pub fn forget(&self, _lock: &Lock) -> Result<(), PlaceError> {
        [&self.note, &self.next, &self.left]
            .into_iter()
            .try_for_each(|beside| remove_if_there(&self.beside(beside)).map(drop))
            .map_err(|error| self.cannot("its note cannot be removed", &error))
    }

    /// The note beside the file, or nothing where there is none that can be read.
    pub fn note(&self) -> Option<Note> {
        let content = self.read_beside(&self.beside(&self.note)).ok().flatten()?;
        serde_json::from_slice(&content).ok()
    }

    /// Writes the note. The lock must be held.
    ///
    /// A kill leaves the old note or the new one. It is not synced: after a power failure there may be none, so nothing may depend on it but what a
    /// user is told.
    pub fn write_note(&self, _lock: &Lock, note: &Note) -> Result<(), PlaceError> {
        self.replace_note(note, |_| Ok(()))
    }

    /// The same, and it survives a power failure: for an intention that has to be known to the next run.
    pub fn write_lasting_note(&self, _lock: &Lock, note: &Note) -> Result<(), PlaceError> {
        self.replace_note(note, File::sync_all)?;
        self.sync_folder()
    }

    fn replace_note(&self, note: &Note, settle: impl FnOnce(&File) -> io::Result<()>) -> Result<(), PlaceError> {
        // Always the same name, so that what a killed run left of it is replaced by the next.
        let next = self.beside("note");
        let write = || {
            let text = serde_json::to_vec_pretty(note)?;
            remove_if_there(&next)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
            file.write_all(&text)?;
            settle(&file)?;
            fs::rename(&next, self.beside(&self.note))
        };
        write().map_err(|error| {
            let _nothing_to_be_done = fs::remove_file(&next);
            self.cannot(NO_NOTE, &error)
        })
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.folder.join(format!(".{}.tokensmith.{what}", self.name))
    }

    fn read_beside(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, PlaceError> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.cannot("it cannot be read", &error)),
        };
        let mut content = Zeroizing::new(Vec::with_capacity(ROOM));
        file.take(LARGEST_FILE + 1)
            .read_to_end(&mut content)
            .map_err(|error| self.cannot("it cannot be read", &error))?;
        if content.len() as u64 > LARGEST_FILE {
            return Err(self.wrong("it is larger than 4 MiB, which no file with a token is; is this the right file?"));
        }
        Ok(Some(content))
    }

    fn check_kind(&self) -> Result<(), PlaceError> {
        match fs::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.is_symlink() => {
                Err(self.wrong("it is a symbolic link, which is not followed; name the file that it points to"))
            }
            Ok(metadata) if metadata.is_dir() => Err(self.wrong("it is a directory; name a file in it")),
            Ok(metadata) if !metadata.is_file() => Err(self.wrong("it is not a regular file")),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.folder.is_dir() => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(self.wrong(&format!("the directory {} does not exist; make it first", self.folder.display())))
            }
            Err(error) => Err(self.unusable(&error)),
        }
    }

    fn sync_folder(&self) -> Result<(), PlaceError> {
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| self.cannot("its directory cannot be synced", &error))
    }

    pub(super) fn wrong(&self, why: &str) -> PlaceError {
        PlaceError::Unusable { option: self.option, path: self.path.clone(), why: why.to_owned() }
    }

    fn cannot(&self, what: &str, error: &io::Error) -> PlaceError {
        self.wrong(&format!("{what}: {}", reason(error)))
    }

    fn unusable(&self, error: &io::Error) -> PlaceError {
        self.wrong(&reason(error))
    }
}

impl Lock {
    /// The lock that is this file, unless another run has it.
    pub(super) fn try_at(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_still(&file, path) => Ok(Some(Self::held(file))),
            Ok(()) | Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn held(file: File) -> Self {
        LOCKS.fetch_add(1, Ordering::Relaxed);
        Self { _held: Arc::new(Held { _file: file }) }
    }

    /// Whether this process is at work on so many places that waiting for the disk at one keeps the others from the network.
    pub(super) fn are_many() -> bool {
        LOCKS.load(Ordering::Relaxed) >= MANY
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        LOCKS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reserved {
    /// Puts the content in place: written, synced, renamed over, folder synced. A reader sees the old content or the new.
    pub fn hand_over(mut self, content: &[u8]) -> Result<(), PlaceError> {
        let place = self.place.clone();
        self.write(content).map_err(|error| place.cannot("the new content cannot be written", &error))?;
        fs::rename(place.beside(&place.next), &place.path)
            .map_err(|error| place.cannot("the new content cannot be put in place", &error))?;
        self.handed_over = true;
        let _mostly_not_there = fs::remove_file(place.beside(&place.left));
        place.sync_folder()
    }

    /// Keeps the content beside the file, so that the next run finds it, should this one be killed before it hands it over.
    pub fn put_aside(&mut self, content: Zeroizing<Vec<u8>>) {
        self.aside = self.write(&content).is_ok().then_some(content);
    }

    fn write(&self, content: &[u8]) -> io::Result<()> {
        if self.aside.as_ref().is_some_and(|aside| aside.as_slice() == content) {
            return Ok(());
        }
        let written = self.file.write_all_at(content, 0).and_then(|()| self.file.set_len(content.len() as u64));
        if written.is_err() {
            // Half of it would be taken for what a killed run left.
            let _nothing_to_be_done = self.file.set_len(0);
        }
        written.and_then(|()| self.file.sync_all())
    }

    fn take_room(&self, room: usize) -> Result<(), PlaceError> {
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, room.max(ROOM) as u64) {
            // Some file systems cannot promise room. Then a full disk shows only at the hand-over.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(error) => Err(self.place.cannot("there is no room for it", &error.into())),
        }
    }

    fn take_identity(&self) -> Result<(), PlaceError> {
        let place = &self.place;
        let old = fs::symlink_metadata(&place.path).ok();
        let own = self.file.metadata().map_err(|error| place.unusable(&error))?;
        let owner = place
            .owner
            .or_else(|| old.as_ref().map(|old| Uid::from_raw(old.uid())))
            .filter(|owner| owner.as_raw() != own.uid());
        let group = place
            .group
            .or_else(|| old.as_ref().map(|old| Gid::from_raw(old.gid())))
            .filter(|group| group.as_raw() != own.gid());
        if owner.is_some() || group.is_some() {
            fchown(&self.file, owner, group).map_err(|error| {
                place.cannot("its owner or group cannot be kept or set by this user (use become)", &error.into())
            })?;
        }
        let mode = place.mode.or_else(|| old.map(|old| old.mode() & 0o7777)).unwrap_or(0o600);
        fchmod(&self.file, Mode::from_raw_mode(mode))
            .map_err(|error| place.cannot("its permissions cannot be set", &error.into()))
    }
}

impl Drop for Reserved {
    /// A reservation that came to nothing leaves nothing behind.
    fn drop(&mut self) {
        if !self.handed_over && self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            let _nothing_to_be_done = fs::remove_file(self.place.beside(&self.place.next));
        }
    }
}

/// A user's or group's number, from a number or from the host's own list: a static executable has no NSS to ask.
fn identity(option: &'static str, name: &str, list: &str) -> Result<u32, PlaceError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    fs::read_to_string(list)
        .unwrap_or_default()
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))
        .and_then(|fields| fields.get(2)?.parse().ok())
        .ok_or_else(|| PlaceError::Nobody { option, name: name.to_owned() })
}

fn equal<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_some() && one == other
}

fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(there)) => held.ino() == there.ino() && held.dev() == there.dev(),
        _ => false,
    }
}

fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied for the user that the task runs as".to_owned(),
        io::ErrorKind::StorageFull => "no space left on the device".to_owned(),
        io::ErrorKind::QuotaExceeded => "the user's disk quota is used up".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        _ if Errno::from_io_error(error) == Some(Errno::LOOP) => {
            "it is a symbolic link, which is not followed".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Locks that this process holds.
static LOCKS: AtomicUsize = AtomicUsize::new(0);
/// With fewer places at a time there is nearly always an answer of the network to wait for anyway.
const MANY: usize = 3;
/// Room for any token with what surrounds it; JWTs of a few kilobytes are usual.
const ROOM: usize = 16 * 1024;
const NO_NOTE: &str = "its note cannot be written beside it";
const LARGEST_FILE: u64 = 4 * 1024 * 1024;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_hand_over_replaces_the_content_and_keeps_owner_and_permissions() {
        let (_folder, path) = file_with("old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let place = FilePlace::new("dest", &path).unwrap();
        let lock = locked(&place);
        place.reserve(&lock, 3).unwrap().hand_over(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert!(!place.beside("new").exists());
    }

    #[test]
    fn a_new_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = FilePlace::new("dest", &folder.path().join("token")).unwrap();
        let lock = locked(&place);
        place.reserve(&lock, 3).unwrap().hand_over(b"new").unwrap();
        assert_eq!(fs::metadata(place.path()).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_reservation_that_is_not_used_changes_nothing_and_leaves_nothing() {
        let (_folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        let lock = locked(&place);
        drop(place.reserve(&lock, 3).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(!place.beside("new").exists());
    }

    #[test]
    fn what_killed_runs_left_is_found_until_something_newer_is_in_place() {
        let (folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        let lock = locked(&place);
        assert_eq!(left_behind(&place), [""; 0]);
        kill_behind_writing(&place, &lock, "newer");
        assert_eq!(left_behind(&place), ["newer"]);
        // A run that comes to nothing, and one that is killed before it has written anything.
        drop(place.reserve(&lock, 3).unwrap());
        assert_eq!(left_behind(&place), ["newer"]);
        std::mem::forget(place.reserve(&lock, 3).unwrap());
        assert_eq!(left_behind(&place), ["newer"]);
        kill_behind_writing(&place, &lock, "newest");
        assert_eq!(left_behind(&place), ["newest", "newer"]);
        let reserved = place.reserve(&lock, 3).unwrap();
        assert_eq!(left_behind(&place), ["newest"]);
        reserved.hand_over(b"last").unwrap();
        assert_eq!(left_behind(&place), [""; 0]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the file and its lock");
    }

    #[test]
    fn what_a_killed_run_left_of_one_entry_is_not_touched_by_a_run_for_another() {
        let (_folder, path) = file_with("old");
        let [one, other] = ["one", "other"].map(|entry| FilePlace::new("dest", &path).unwrap().entry(entry));
        let lock = locked(&one);
        kill_behind_writing(&one, &lock, "newer");
        other.reserve(&lock, 3).unwrap().hand_over(b"other").unwrap();
        assert_eq!(left_behind(&one), ["newer"]);
        one.forget(&lock).unwrap();
        assert_eq!(left_behind(&one), [""; 0]);
    }

    #[test]
    fn what_a_killed_run_left_can_be_put_in_place() {
        let (_folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        let lock = locked(&place);
        for content in ["newer", "newest"] {
            kill_behind_writing(&place, &lock, content);
        }
        place.put_left_behind_in_place(&lock).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newest");
        assert_eq!(left_behind(&place), [""; 0]);
        kill_behind_writing(&place, &lock, "last");
        std::mem::forget(place.reserve(&lock, 3).unwrap());
        place.put_left_behind_in_place(&lock).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"last");
    }

    #[test]
    fn a_removed_file_leaves_nothing_but_its_lock() {
        let (folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        let lock = locked(&place);
        for content in ["newer", "newest"] {
            kill_behind_writing(&place, &lock, content);
        }
        place.write_note(&lock, &Note::default()).unwrap();
        assert!(place.remove(&lock).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the lock");
    }

    #[test]
    fn one_file_is_recognised_by_all_its_names() {
        let (folder, path) = file_with("old");
        let hard_link = folder.path().join("hard");
        fs::hard_link(&path, &hard_link).unwrap();
        let place = FilePlace::new("dest", &path).unwrap();
        let dotted = folder.path().join(".").join("token");
        for (other, same) in [(&dotted, true), (&hard_link, true), (&folder.path().join("other"), false)] {
            assert_eq!(
                place.is_same_file(&FilePlace::new("offline_token_file", other).unwrap()),
                same,
                "{}",
                other.display()
            );
        }
    }

    #[test]
    fn links_folders_and_devices_are_refused_with_their_reason() {
        let (folder, path) = file_with("old");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let missing = folder.path().join("missing/token");
        let cases = [
            (link.as_path(), "symbolic link"),
            (folder.path(), "is a directory"),
            (Path::new("/dev/null"), "not a regular file"),
            (missing.as_path(), "does not exist; make it first"),
            (Path::new("token"), "must be absolute"),
            (Path::new("~/token"), "write the whole path"),
            (Path::new("/"), "does not name a file"),
        ];
        for (path, why) in cases {
            let error = FilePlace::new("dest", path).unwrap_err().to_string();
            assert!(error.starts_with("dest ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_lock_keeps_the_second_run_waiting_for_the_first() {
        let (_folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        let first = locked(&place);
        let second = std::thread::spawn({
            let place = place.clone();
            move || {
                let _lock = locked(&place);
                fs::read(place.path()).unwrap()
            }
        });
        place.reserve(&first, 3).unwrap().hand_over(b"new").unwrap();
        drop(first);
        assert_eq!(second.join().unwrap(), b"new");
    }

    #[test]
    fn modes_are_octal_numbers_in_quotes_or_what_yaml_made_of_them() {
        let place = FilePlace::new("dest", Path::new("/nowhere-at-all")).unwrap();
        for (mode, bits) in
            [(json!("0640"), 0o640), (json!("600"), 0o600), (json!("0o644"), 0o644), (json!(0o640), 0o640)]
        {
            assert_eq!(place.clone().mode(&mode).unwrap().mode, Some(bits), "{mode}");
        }
        for mode in [json!("u=rw"), json!("0999"), json!(""), json!(true), json!(99999), json!("77777")] {
            assert!(place.clone().mode(&mode).unwrap_err().to_string().contains("octal number in quotes"), "{mode}");
        }
    }

    #[test]
    fn drift_of_permissions_is_seen() {
        let (_folder, path) = file_with("old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let place = FilePlace::new("dest", &path).unwrap();
        assert!(!place.has_drifted().unwrap());
        assert!(place.mode(&json!("0600")).unwrap().has_drifted().unwrap());
    }

    #[test]
    fn an_unknown_owner_is_named() {
        let place = FilePlace::new("dest", Path::new("/nowhere-at-all")).unwrap();
        assert_eq!(place.clone().owner(Some("0"), Some("root")).unwrap().owner, Some(Uid::ROOT));
        let error = place.owner(Some("nobody-of-this-name"), None).unwrap_err().to_string();
        assert_eq!(error, "owner 'nobody-of-this-name' is not known on this host");
    }

    #[test]
    fn what_was_put_aside_is_left_by_a_killed_run_and_replaced_by_what_is_handed_over() {
        for handed_over in ["aside", "other", "a longer one"] {
            let (_folder, path) = file_with("old");
            let place = FilePlace::new("dest", &path).unwrap();
            let lock = locked(&place);
            let mut reserved = place.reserve(&lock, 0).unwrap();
            reserved.put_aside(Zeroizing::new(b"aside".to_vec()));
            assert_eq!(place.left_behind().unwrap(), [Zeroizing::new(b"aside".to_vec())]);
            assert_eq!(*place.read().unwrap().unwrap(), b"old");
            reserved.hand_over(handed_over.as_bytes()).unwrap();
            assert_eq!(*place.read().unwrap().unwrap(), handed_over.as_bytes());
            assert!(place.left_behind().unwrap().is_empty());
        }
    }

    #[test]
    fn a_note_that_a_killed_run_began_is_replaced_by_the_next() {
        let (folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        let lock = locked(&place);
        fs::write(place.beside("note"), "{").unwrap();
        place.write_note(&lock, &Note::default()).unwrap();
        assert_eq!(place.note(), Some(Note::default()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "the file, its lock and its note");
    }

    #[test]
    fn what_killed_runs_left_and_nobody_needs_is_tidied_away_unless_a_run_is_at_work() {
        let (_folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        fs::write(place.beside("note"), "{").unwrap();
        fs::write(place.beside("left"), "older").unwrap();
        let lock = locked(&place);
        place.tidy();
        assert!(place.beside("note").exists() && place.beside("left").exists());
        drop(lock);
        place.tidy();
        assert!(!place.beside("note").exists() && !place.beside("left").exists());
    }

    #[test]
    fn a_note_that_cannot_be_written_leaves_nothing_behind() {
        let (_folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        let lock = locked(&place);
        fs::create_dir(place.beside("json")).unwrap();
        for error in [place.write_note(&lock, &Note::default()), place.write_lasting_note(&lock, &Note::default())] {
            assert!(error.unwrap_err().to_string().contains(NO_NOTE));
            assert!(!place.beside("note").exists());
        }
    }

    #[test]
    fn the_note_survives_and_a_broken_one_counts_as_none() {
        let (_folder, path) = file_with("old");
        let place = FilePlace::new("dest", &path).unwrap();
        let lock = locked(&place);
        assert!(place.note().is_none());
        let note = Note { fingerprint: Some("0123456789ab".into()), ..Note::default() };
        place.write_note(&lock, &note).unwrap();
        assert_eq!(place.note(), Some(note));
        fs::write(place.beside("json"), "{").unwrap();
        assert!(place.note().is_none());
    }

    /// As a run does that is killed behind writing its content.
    fn kill_behind_writing(place: &FilePlace, lock: &Lock, content: &str) {
        let reserved = place.reserve(lock, content.len()).unwrap();
        (&reserved.file).write_all(content.as_bytes()).unwrap();
        std::mem::forget(reserved);
    }

    fn left_behind(place: &FilePlace) -> Vec<String> {
        let contents = place.left_behind().unwrap().into_iter();
        contents.map(|content| String::from_utf8(content.to_vec()).unwrap()).collect()
    }

    fn locked(place: &FilePlace) -> Lock {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(place.lock()).unwrap()
    }

    fn file_with(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, content).unwrap();
        (folder, path)
    }
}
