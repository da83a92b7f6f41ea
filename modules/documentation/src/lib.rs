//! Reads modules/*.yml: the one place where a module's options are written down.
//!
//! The build makes three things of each: the specification that arguments are checked against, the help of the command
//! line, and the documentation blocks of the Python stub; and of some a fourth, those of a lookup plugin.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use crate::lookup::Lookup;
pub use crate::source::{Attribute, ModuleOption, ReturnValue};

mod help;
mod lookup;
mod markup;
mod source;
mod specification;
mod stub;
mod yaml;

/// A module as written down, with its fragments merged in.
#[derive(Clone, Debug)]
pub struct Module {
    name: String,
    documentation: source::Documentation,
    relations: Map<String, Value>,
    lookup: Option<source::Lookup>,
    examples: String,
    returns: indexmap::IndexMap<String, ReturnValue>,
}

impl Module {
    /// Reads `FOLDER/NAME.yml` and the fragments it names in `FOLDER/fragments`.
    pub fn read(folder: &Path, name: &str) -> Result<Self, Error> {
        source::read(folder, name)
    }

    /// Reads every module of the folder, in the order of their names.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, Error> {
        names(folder)?.iter().map(|name| Self::read(folder, name)).collect()
    }

    /// The module's name within the collection.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What `AnsibleModule` would be given as keyword arguments; `fallback` is the list of environment variables.
    pub fn specification(&self) -> Value {
        specification::of(self)
    }

    /// What the command line tells about the module, as plain text.
    pub fn help(&self) -> Value {
        help::of(self)
    }

    /// The DOCUMENTATION block of the stub.
    pub fn documentation_block(&self) -> String {
        stub::documentation(self)
    }

    /// The EXAMPLES block of the stub.
    pub fn examples_block(&self) -> &str {
        &self.examples
    }

    /// The RETURN block of the stub.
    pub fn return_block(&self) -> String {
        stub::returns(self)
    }

    /// The lookup plugin that goes with it, where it has one.
    pub fn lookup(&self) -> Option<Lookup<'_>> {
        self.lookup.as_ref().map(|written| Lookup::new(self, written))
    }

    /// Whether the module knows what it would do without doing it.
    pub fn supports_check_mode(&self) -> bool {
        self.documentation.attributes.get("check_mode").is_some_and(|attribute| attribute.support != "none")
    }

    /// The keys of the result that hold a secret.
    pub fn secret_results(&self) -> Vec<&str> {
        self.returns.iter().filter(|(_, value)| value.holds_secret()).map(|(name, _)| name.as_str()).collect()
    }
}

/// The names of the modules of the folder, sorted.
pub fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Unreadable { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "yml")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Why a module's yml cannot be used. The build stops with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there, or may not be read.
    #[error("{} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not YAML, or has a key or a type that it may not have.
    #[error("{}: {source}.", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Key, line and what was expected there.
        source: serde_yaml_ng::Error,
    },
    /// The file is well-formed, and yet wrong.
    #[error("{}: {key}: {problem}.", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The key, from the top of the file.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[cfg(test)]
mod tests;
