//! What the build does beyond cargo: the collection, from the sources and the executables.
//!
//! `xtask package [--static] EXECUTABLE…` stages the collection in `dist/stage`, packs it, and prints the tarball's path.
//! An executable is named `tokensmith_ARCHITECTURE`. With `--static`, one that needs a library of its host is refused.

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::galaxy::Galaxy;

mod elf;
mod galaxy;
mod stage;
mod stub;
mod tarball;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1).peekable();
    match arguments.next().as_deref() {
        Some("package") => {
            let only_static = arguments.next_if(|argument| argument == "--static").is_some();
            package(&arguments.map(PathBuf::from).collect::<Vec<_>>(), only_static)
        }
        _ => bail!("usage: xtask package [--static] EXECUTABLE…"),
    }
}

fn package(executables: &[PathBuf], only_static: bool) -> Result<()> {
    ensure!(!executables.is_empty(), "which executables go into the collection?");
    for executable in executables.iter().filter(|_| only_static) {
        ensure!(
            elf::is_static(executable)?,
            "{} needs libraries of its host, so it is not for others",
            executable.display()
        );
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
    let galaxy = Galaxy::read(&root.join("galaxy.yml"))?;
    let collection = stage::stage(root, &galaxy, executables)?;
    let path = tarball::write(&collection, &galaxy, &root.join("dist"))?;
    writeln!(io::stdout(), "{}", path.display())?;
    Ok(())
}

#[cfg(test)]
mod tests;
