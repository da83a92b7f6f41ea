//! What the build does beyond cargo: the collection, from the sources and the executables.
//!
//! `xtask package [--release] RUSTC ZIG EXECUTABLE…` stages the collection in `dist/stage`, packs it, and prints the tarball's path.
//! An executable is named `tokensmith_ARCHITECTURE`; RUSTC compiled it, and ZIG, unless it is empty, linked it. With `--release`, anything but a static one for
//! each architecture is refused, and so is a tarball that is too large.
//!
//! `xtask bench [--readme] TARBALL VENV SANDBOX FIGURES [HOSTS MITOGEN]` measures what a task costs, prints tables, and leaves
//! the figures in the file FIGURES. With `--readme` the tables go into the README and `docs/performance.md` too.

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    bench::{Bench, Hosts, Pages},
    galaxy::Galaxy,
    sbom::Tools,
};

mod bench;
mod elf;
mod galaxy;
mod release;
mod sbom;
mod stage;
mod stub;
mod tarball;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1).peekable();
    match arguments.next().as_deref() {
        Some("package") => {
            let release = arguments.next_if(|argument| argument == "--release").is_some();
            package(&arguments.map(PathBuf::from).collect::<Vec<_>>(), release)
        }
        Some("bench") => {
            let readme = arguments.next_if(|argument| argument == "--readme").is_some();
            bench(&arguments.map(PathBuf::from).collect::<Vec<_>>(), readme)
        }
        _ => bail!("usage: {PACKAGE}\n       {BENCH}"),
    }
}

fn package(paths: &[PathBuf], release: bool) -> Result<()> {
    let [rustc, zig, executables @ ..] = paths else { bail!("usage: {PACKAGE}") };
    let mut executables = executables.to_vec();
    executables.sort();
    ensure!(!executables.is_empty(), "which executables go into the collection?");
    if release {
        release::check(&executables)?;
    }
    let root = root()?;
    let galaxy = Galaxy::read(&root.join("galaxy.yml"))?;
    let tools = Tools { rustc: rustc.clone(), zig: Some(zig.clone()).filter(|path| !path.as_os_str().is_empty()) };
    let sbom = sbom::describe(root, &galaxy, &executables, &tools)?;
    let collection = stage::stage(root, &galaxy, &executables, &sbom)?;
    let path = tarball::write(&collection, &galaxy, &root.join("dist"))?;
    if release {
        release::check_size(&path)?;
    }
    writeln!(io::stdout(), "{}", path.display())?;
    Ok(())
}

fn bench(paths: &[PathBuf], readme: bool) -> Result<()> {
    let [tarball, venv, sandbox, figures, hosts @ ..] = paths else { bail!("usage: {BENCH}") };
    let hosts = match hosts {
        [] => None,
        [script, mitogen] => Some(Hosts { script: script.clone(), mitogen: mitogen.clone() }),
        _ => bail!("usage: {BENCH}"),
    };
    let [tarball, venv, sandbox, figures] = [tarball, venv, sandbox, figures].map(PathBuf::clone);
    let root = root()?;
    let pages = Pages { readme: root.join("README.md"), performance: root.join("docs/performance.md") };
    Bench { tarball, venv, sandbox, figures, hosts }.run(root, readme.then_some(&pages))
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")
}

const PACKAGE: &str = "xtask package [--release] RUSTC ZIG EXECUTABLE…";
const BENCH: &str = "xtask bench [--readme] TARBALL VENV SANDBOX FIGURES [HOSTS MITOGEN]";

#[cfg(test)]
mod tests;
