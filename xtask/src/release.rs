//! What a collection for others has to hold.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::elf;

/// For each architecture one executable, which is for it, and static.
pub(crate) fn check(executables: &[PathBuf]) -> Result<()> {
    let mut names: Vec<_> = executables.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    names.sort();
    ensure!(
        names == ARCHITECTURES.map(|architecture| format!("tokensmith_{architecture}")),
        "a collection for others has executables for {}, and this one has {}: build it without ARCHES",
        ARCHITECTURES.join(" and "),
        names.join(" and ")
    );
    for executable in executables {
        let file = elf::read(executable)?;
        let path = executable.display();
        ensure!(file.is_static, "{path} needs libraries of its host, so it is not for others");
        ensure!(
            path.to_string().ends_with(&format!("_{}", file.machine)),
            "{path} is an executable for {}",
            file.machine
        );
    }
    Ok(())
}

/// Automation hubs and their proxies have limits of their own, and everybody waits for a large tarball. One that is refused is taken away.
pub(crate) fn check_size(tarball: &Path) -> Result<()> {
    let path = tarball.display();
    let size = tarball.metadata().with_context(|| format!("cannot read {path}"))?.len();
    if size > LARGEST {
        fs::remove_file(tarball)?;
    }
    ensure!(size <= LARGEST, "{path} would be {size} bytes, and a collection for others has {LARGEST} at most");
    Ok(())
}

const LARGEST: u64 = 8_000_000;
const ARCHITECTURES: [&str; 2] = ["aarch64", "x86_64"];
