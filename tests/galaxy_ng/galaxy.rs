//! `ansible-galaxy` in a folder of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tokensmith_tests::scene::folder;

/// A folder with an `ansible.cfg` and everything that `ansible-galaxy` else keeps at home.
pub struct Galaxy {
    folder: tempfile::TempDir,
}

impl Galaxy {
    /// With that configuration, and no token file.
    pub fn new(configuration: &str) -> Self {
        let galaxy = Self { folder: folder() };
        fs::create_dir(galaxy.path("home")).expect("a folder can be made");
        fs::write(galaxy.configuration(), configuration).expect("a file can be written");
        galaxy
    }

    /// Its `ansible.cfg`.
    pub fn configuration(&self) -> PathBuf {
        self.path("ansible.cfg")
    }

    /// Its token file.
    pub fn token_file(&self) -> PathBuf {
        self.path("home/galaxy_token")
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks for a collection that no server has; what was said.
    pub fn ask(&self, words: &[&str], environment: &[(&str, &str)]) -> String {
        let mut all = vec!["install", "nobody.nothing"];
        all.extend(words);
        let output = self.run(&all, environment);
        assert!(!output.status.success(), "{output:?}");
        said(&output)
    }

    /// Runs `ansible-galaxy collection`.
    pub fn run(&self, words: &[&str], environment: &[(&str, &str)]) -> Output {
        let venv =
            env::var("TOKENSMITH_VENV").expect("TOKENSMITH_VENV is not set: `make test` makes a venv and sets it");
        Command::new(Path::new(&venv).join("bin/ansible-galaxy"))
            .arg("collection")
            .args(words)
            .current_dir(&self.folder)
            .env("ANSIBLE_CONFIG", self.configuration())
            .env("ANSIBLE_HOME", self.path("home"))
            .env("ANSIBLE_COLLECTIONS_PATH", self.path("collections"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .env("no_proxy", "*")
            .envs(environment.iter().copied())
            .output()
            .expect("ansible-galaxy runs")
    }
}

/// All that a run printed.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
