//! One test's world: a sandbox, a realm in it, and a folder for files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokensmith_sandbox::Sandbox;
use tokensmith_sandbox::sso::RealmHandle;

use crate::executable::{self, Run};

/// A sandbox with a realm, a folder, and the options that every task against them has.
pub struct Scene {
    /// The stand-ins.
    pub sandbox: Sandbox,
    /// The realm that tasks speak to.
    pub realm: RealmHandle,
    folder: tempfile::TempDir,
}

impl Scene {
    /// The realm `redhat-external`: rotation off, no limits.
    pub fn new() -> Self {
        Self::in_realm("redhat-external")
    }

    /// Another realm of the sandbox.
    pub fn in_realm(name: &str) -> Self {
        let sandbox = Sandbox::start().expect("the sandbox starts");
        let realm = sandbox.sso().realm(name);
        Self { sandbox, realm, folder: folder() }
    }

    /// A first offline token of the client `cloud-services`.
    pub fn offline_token(&self) -> String {
        self.realm.issue_offline_token("cloud-services", SCOPE).expect("the realm issues an offline token")
    }

    /// The same in a file.
    pub fn offline_token_file(&self) -> PathBuf {
        self.file("offline_token", &self.offline_token())
    }

    /// A path in the scene's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the scene's folder.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Options for a task, with where the realm is.
    pub fn options(&self, options: Value) -> Value {
        let mut all = Map::from_iter([
            ("token_url".to_owned(), self.realm.token_url().into()),
            ("ca_path".to_owned(), json!(self.sandbox.ca_path())),
            ("use_proxy".to_owned(), false.into()),
        ]);
        if let Value::Object(options) = options {
            all.extend(options);
        }
        all.into()
    }

    /// Runs `sso_token`.
    pub fn sso_token(&self, options: Value) -> Run {
        executable::module("sso_token", &self.options(options))
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// A folder of its own, in memory where that can be had: runs sync what they write, and a busy disk takes its time.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir()).expect("a folder can be made")
}

/// What a file holds.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file's permissions.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o7777
}

/// The names of all files in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder can be read")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

const SCOPE: &str = "openid offline_access api.iam.organization";
const MEMORY: &str = "/dev/shm";
