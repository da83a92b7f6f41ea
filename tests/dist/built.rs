//! The tarball that `make test` has built, and what `make dist` lays beside it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A copy of the tarball in a folder of its own.
pub struct Built {
    folder: TempDir,
    pub tarball: PathBuf,
}

impl Built {
    pub fn find() -> Option<Self> {
        let Some(original) = original() else {
            eprintln!("skipped: no TOKENSMITH_TARBALL; `make test` builds one and tries it");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let tarball = folder.path().join(original.file_name().unwrap());
        fs::copy(original, &tarball).unwrap();
        Some(Self { folder, tarball })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Each by its name, as it is in the tarball.
    pub fn executables(&self) -> Vec<(String, Vec<u8>)> {
        let folder = TempDir::new().unwrap();
        run(Command::new("tar").arg("-xzf").arg(&self.tarball).arg("-C").arg(folder.path()).arg("plugins/bin"));
        let files = fs::read_dir(folder.path().join("plugins/bin")).unwrap().map(|entry| entry.unwrap());
        let named = files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
        named.filter(|(name, _)| name.starts_with("tokensmith_")).collect()
    }

    /// The second half of `make dist`, without a key.
    pub fn lay_beside(&self) {
        run(script("dist.sh").arg(&self.tarball).env_remove("KEY"));
    }
}

/// The tarball where it was built.
pub fn original() -> Option<PathBuf> {
    env::var_os("TOKENSMITH_TARBALL").filter(|value| !value.is_empty()).map(PathBuf::from)
}

pub fn script(name: &str) -> Command {
    Command::new(source("scripts").join(name))
}

pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// A program of the virtual environment with the tools.
pub fn tool(name: &str) -> Command {
    Command::new(PathBuf::from(env::var_os("TOKENSMITH_VENV").expect("TOKENSMITH_VENV is set")).join("bin").join(name))
}

/// Runs the command, which must succeed, and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?} ended with {}:\n{}", output.status, said(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
