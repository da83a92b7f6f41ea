//! One writer of a credential at a time, as far as this host can tell. Runs on other hosts are noticed by the marker.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::process::geteuid;

use crate::rotation::Lock;
use crate::secret::Secret;

/// Where the lock of a credential lies, which is known by its address. `None`: there is no folder that only this user can write to.
pub(super) fn path(address: &str) -> Option<PathBuf> {
    let name = Secret::new(address).fingerprint();
    Some(folder()?.join(format!("{name}.lock")))
}

/// The lock, unless another run has it. With it comes the name of all runs that can see it.
pub(super) fn take(path: &Path) -> std::io::Result<Option<(Lock, String)>> {
    let Some(lock) = Lock::try_at(path)? else { return Ok(None) };
    let mut name = fs::read_to_string(path)?;
    if name.is_empty() {
        name = new_name();
        fs::write(path, &name)?;
    }
    Ok(Some((lock, name)))
}

/// A name that no other run has.
pub(super) fn new_name() -> String {
    let mut bytes = [0; 6];
    let _or_the_same_as_others = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn folder() -> Option<PathBuf> {
    let of = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let ours = format!("tokensmith-{}", geteuid().as_raw());
    let below = [
        (of("XDG_RUNTIME_DIR"), PathBuf::from("tokensmith")),
        (of("HOME"), PathBuf::from(".cache/tokensmith/locks")),
        (Some(PathBuf::from("/tmp")), PathBuf::from(ours)),
    ];
    below.into_iter().find_map(|(parent, name)| made(&parent.filter(|parent| parent.is_dir())?.join(name)))
}

/// The folder, where it is ours alone.
fn made(folder: &Path) -> Option<PathBuf> {
    let _it_may_be_there = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let metadata = fs::symlink_metadata(folder).ok()?;
    let is_ours = metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0;
    is_ours.then(|| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_is_used_only_where_nobody_else_can_write_to_it() {
        let parent = tempfile::tempdir().unwrap();
        let ours = parent.path().join("ours");
        assert_eq!(made(&ours), Some(ours.clone()));
        assert_eq!(fs::metadata(&ours).unwrap().mode() & 0o777, 0o700);
        assert_eq!(made(&ours), Some(ours.clone()), "once more");
        let link = parent.path().join("link");
        symlink(&ours, &link).unwrap();
        assert_eq!(made(&link), None);
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(made(&ours), None);
    }

    #[test]
    fn each_credential_has_its_lock_and_one_run_holds_it() {
        let one = path("https://aap.example.com/api/v2/credentials/1/");
        assert_ne!(one, path("https://aap.example.com/api/v2/credentials/2/"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (held, name) = take(&path).unwrap().unwrap();
        assert!(take(&path).unwrap().is_none() && name.len() == 12);
        drop(held);
        assert_eq!(take(&path).unwrap().unwrap().1, name, "all that can see it are called the same");
        assert_ne!(new_name(), name);
    }
}
