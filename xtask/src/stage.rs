//! The collection's folder, with nothing in it that does not belong there.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use tokensmith_documentation::Module;

use crate::{galaxy::Galaxy, stub, tarball};

/// Fills `dist/stage/ansible_collections/NAMESPACE/NAME` and returns its path. What is there already and equal is left
/// alone, so that a build does not disturb whoever reads it.
pub(crate) fn stage(root: &Path, galaxy: &Galaxy, executables: &[PathBuf], sbom: &str) -> Result<PathBuf> {
    let collection = root.join("dist/stage/ansible_collections").join(&galaxy.namespace).join(&galaxy.name);
    let fresh = root.join(format!("dist/stage.{}", process::id()));
    fs::create_dir_all(&fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
    let filled = fill(&fresh, root, galaxy, executables, sbom).and_then(|()| replace(&collection, &fresh));
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    filled.map(|()| collection)
}

fn fill(stage: &Path, root: &Path, galaxy: &Galaxy, executables: &[PathBuf], sbom: &str) -> Result<()> {
    let modules = Module::read_all(&root.join("modules"))?;
    for name in AS_WRITTEN.into_iter().filter(|name| root.join(name).exists()) {
        copy(&root.join(name), &stage.join(name))?;
    }
    ensure!(
        stage.join(&galaxy.readme).exists(),
        "galaxy.yml names {} as the collection's readme, which is missing",
        galaxy.readme
    );
    for module in &modules {
        write(&stage.join("plugins/modules").join(module.name()).with_extension("py"), stub::module(module)?)?;
        write(&stage.join("plugins/action").join(module.name()).with_extension("py"), stub::action(module))?;
        if let Some(lookup) = module.lookup() {
            let path = stage.join("plugins/lookup").join(module.name()).with_extension("py");
            write(&path, stub::lookup(module, lookup)?)?;
        }
    }
    let runtime = stage.join("meta/runtime.yml");
    write(&runtime, fs::read_to_string(&runtime)? + &action_groups(&modules))?;
    write(&stage.join(SBOM), sbom)?;
    let mut names = BTreeMap::new();
    for executable in executables {
        let (architecture, name) = add_executable(stage, executable)?;
        names.insert(architecture, name);
    }
    write(&stage.join("plugins/bin/names.json"), serde_json::to_string(&names)? + "\n")
}

/// A file with mode 0644, or a folder with all that does not look like somebody's leftover.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        return write(to, fs::read(from).with_context(|| format!("cannot read {}", from.display()))?);
    }
    for entry in from.read_dir()? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if !text.starts_with('.') && !LEFTOVERS.iter().any(|ending| text.ends_with(ending)) {
            copy(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    create_folder_of(path)?;
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    set_mode(path, 0o644)
}

/// The real file lies in `plugins/bin`: below `plugins/modules` it would crash `ansible-test sanity`, which skips links. Returns its architecture, and the name
/// under which a target keeps it.
fn add_executable(stage: &Path, executable: &Path) -> Result<(String, String)> {
    let name = executable.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let architecture = name.strip_prefix("tokensmith_");
    let architecture =
        architecture.with_context(|| format!("{} should be named tokensmith_ARCHITECTURE", executable.display()))?;
    let target = stage.join("plugins/bin").join(name);
    let link = stage.join("plugins/modules/native").join(name);
    create_folder_of(&target)?;
    create_folder_of(&link)?;
    fs::copy(executable, &target).with_context(|| format!("cannot copy {}", executable.display()))?;
    set_mode(&target, 0o755)?;
    symlink(Path::new("../../bin").join(name), link)?;
    let content = fs::read(&target)?;
    let kept_as = format!("{:x}-{:08x}", Sha256::digest(&content), crc32fast::hash(&content));
    Ok((architecture.to_owned(), kept_as))
}

/// `all`, and one group for each system, by the first word of a module's name.
fn action_groups(modules: &[Module]) -> String {
    let mut systems: Vec<_> = modules.iter().map(system).collect();
    systems.dedup();
    let mut text = "action_groups:\n".to_owned();
    for group in ["all"].into_iter().chain(systems) {
        text.push_str(&format!("  {group}:\n"));
        for module in modules.iter().filter(|module| group == "all" || group == system(module)) {
            text.push_str(&format!("    - {}\n", module.name()));
        }
    }
    text
}

fn system(module: &Module) -> &str {
    module.name().split('_').next().unwrap_or_default()
}

fn replace(collection: &Path, fresh: &Path) -> Result<()> {
    if collection.exists() {
        let metadata = |folder: &Path| fs::read(folder.join("galaxy.yml"));
        if tarball::files(collection)? == tarball::files(fresh)? && metadata(collection)? == metadata(fresh)? {
            return Ok(());
        }
        fs::remove_dir_all(collection)?;
    }
    create_folder_of(collection)?;
    fs::rename(fresh, collection).with_context(|| format!("cannot write {}", collection.display()))
}

fn create_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().context("a path without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

const SBOM: &str = "sbom.cdx.json";
const AS_WRITTEN: [&str; 10] = [
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "changelogs",
    "docs",
    "galaxy.yml",
    "meta",
    "playbooks",
    "plugins",
];
const LEFTOVERS: [&str; 6] = ["__pycache__", ".pyc", ".retry", ".orig", ".rej", "~"];
