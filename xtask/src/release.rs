//! What a collection for others has to hold.

use std::path::PathBuf;

use anyhow::{Result, ensure};

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

const ARCHITECTURES: [&str; 2] = ["aarch64", "x86_64"];
