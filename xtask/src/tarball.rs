//! The tarball, member for member what `ansible-galaxy collection build` makes, and the same bytes each time.
//!
//! `ansible-galaxy` itself keeps the order of the folder and the times of the files, so it never builds the same twice.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::galaxy::Galaxy;

/// Packs the staged collection and returns the path of `NAMESPACE-NAME-VERSION.tar.gz` in the folder.
pub(crate) fn write(collection: &Path, galaxy: &Galaxy, folder: &Path) -> Result<PathBuf> {
    let name = format!("{}-{}-{}.tar.gz", galaxy.namespace, galaxy.name, galaxy.version);
    let files = files(collection)?;
    let listing = pretty(&json!({"files": files, "format": 1}))?;
    let manifest = pretty(&json!({
        "collection_info": galaxy,
        "file_manifest_file": {
            "name": "FILES.json",
            "ftype": "file",
            "chksum_type": "sha256",
            "chksum_sha256": sha256(&listing),
            "format": 1,
        },
        "format": 1,
    }))?;

    let path = folder.join(&name);
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let file = File::create(&temporary).with_context(|| format!("cannot write {}", temporary.display()))?;
    let mut archive = Builder::new(GzEncoder::new(file, Compression::best()));
    append(&mut archive, "MANIFEST.json", 0o644, EntryType::Regular, &manifest)?;
    append(&mut archive, "FILES.json", 0o644, EntryType::Regular, &listing)?;
    for entry in files.iter().skip(1) {
        append_entry(&mut archive, collection, &entry.name)?;
    }
    archive.into_inner()?.finish()?;
    fs::rename(&temporary, &path)?;
    Ok(path)
}

/// An entry of `FILES.json`.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    ftype: &'static str,
    chksum_type: Option<&'static str>,
    chksum_sha256: Option<String>,
    format: u8,
}

/// Everything in the folder, sorted, without what `ansible-galaxy` leaves out too: `galaxy.yml`, which the manifest replaces.
pub(crate) fn files(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = vec![entry(".".to_owned(), None)];
    walk(folder, "", &mut entries)?;
    Ok(entries)
}

fn walk(folder: &Path, prefix: &str, entries: &mut Vec<Entry>) -> Result<()> {
    let mut paths = folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if name == "galaxy.yml" {
            continue;
        }
        if path.is_dir() {
            entries.push(entry(name.clone(), None));
            walk(&path, &format!("{name}/"), entries)?;
        } else {
            // Of a link, what it leads to counts.
            entries.push(entry(name, Some(sha256(&fs::read(&path)?))));
        }
    }
    Ok(())
}

fn entry(name: String, checksum: Option<String>) -> Entry {
    Entry {
        name,
        ftype: if checksum.is_some() { "file" } else { "dir" },
        chksum_type: checksum.as_ref().map(|_| "sha256"),
        chksum_sha256: checksum,
        format: 1,
    }
}

fn append_entry(archive: &mut Builder<impl io::Write>, collection: &Path, name: &str) -> Result<()> {
    let path = collection.join(name);
    let metadata = path.symlink_metadata()?;
    if metadata.is_symlink() {
        let mut header = header(0o644, EntryType::Symlink, 0);
        archive.append_link(&mut header, name, path.read_link()?)?;
    } else if metadata.is_dir() {
        append(archive, name, 0o755, EntryType::Directory, &[])?;
    } else {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        append(archive, name, if executable { 0o755 } else { 0o644 }, EntryType::Regular, &fs::read(&path)?)?;
    }
    Ok(())
}

fn append(archive: &mut Builder<impl io::Write>, name: &str, mode: u32, kind: EntryType, content: &[u8]) -> Result<()> {
    let mut header = header(mode, kind, content.len() as u64);
    Ok(archive.append_data(&mut header, name, content)?)
}

fn header(mode: u32, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(size);
    header
}

fn pretty(value: &serde_json::Value) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes,
        serde_json::ser::PrettyFormatter::with_indent(b" "),
    ))?;
    Ok(bytes)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 1980-01-01, the oldest that no tool complains about.
const TIME: u64 = 315_532_800;
