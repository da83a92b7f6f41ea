//! `galaxy.yml`, and what `ansible-galaxy collection build` makes of it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The collection's metadata, in the order of `MANIFEST.json`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Galaxy {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) authors: Vec<String>,
    pub(crate) readme: String,
    tags: Vec<String>,
    description: String,
    pub(crate) license: Vec<String>,
    license_file: Option<String>,
    dependencies: Map<String, Value>,
    pub(crate) repository: String,
    documentation: String,
    homepage: String,
    issues: String,
}

impl Galaxy {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let galaxy: Self = serde_yaml_ng::from_str(&text).with_context(|| path.display().to_string())?;
        let cargo = env!("CARGO_PKG_VERSION");
        ensure!(galaxy.version == cargo, "{} says version {}, and Cargo.toml {cargo}", path.display(), galaxy.version);
        Ok(galaxy)
    }
}
