//! What a module is to the executable: a name, a specification, and a story to run.

use std::future::Future;
use std::pin::Pin;

use anyhow::{Result, anyhow};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Outcome, Task};

/// One module of the collection, as the executable's registry lists it.
pub struct Module {
    /// Its name, without the collection's.
    pub name: &'static str,
    /// Its argument specification: JSON, in the words of `AnsibleModule`'s arguments.
    pub specification: &'static str,
    /// What `--help` says: JSON, made from its documentation.
    pub help: &'static str,
    /// Its story.
    pub run: for<'task> fn(&'task Task, Parameters) -> Running<'task>,
}

/// A module at work.
pub type Running<'task> = Pin<Box<dyn Future<Output = Result<Outcome>> + 'task>>;

/// Arguments that passed the specification.
pub struct Parameters(Map<String, Value>);

impl From<Map<String, Value>> for Parameters {
    fn from(checked: Map<String, Value>) -> Self {
        Self(checked)
    }
}

impl Parameters {
    /// The module's own struct, from which on no string has a meaning to be guessed. An error names the option.
    pub fn options<Options: DeserializeOwned>(self) -> Result<Options> {
        serde_path_to_error::deserialize(Value::Object(self.0)).map_err(|error| {
            let option = error.path().to_string();
            let cause = error.into_inner();
            if option == "." { anyhow!(cause) } else { anyhow!("{option}: {cause}") }
        })
    }
}
