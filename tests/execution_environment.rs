//! What an execution environment needs for the collection: nothing. No image is built, as that takes podman and a registry; what would be built is looked at.
//!
//! `make test` names the staged collection and the venv with ansible-builder.

#![cfg(test)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn ansible_builder_finds_nothing_to_install_for_the_collection() {
    let Some(stage) = variable("TOKENSMITH_STAGE") else { return };
    let collections = tempfile::tempdir().unwrap();
    let collection = collections.path().join("ansible_collections/tokensmith/redhat");
    fs::create_dir_all(collection.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-a").arg(&stage).arg(&collection).status().unwrap();
    assert!(copied.success() && collection.join(META).is_file());
    assert_eq!(introspect(&collections), json!({ "python": [], "system": [] }));

    // It is that file which is read, and what it named would be found.
    fs::write(collection.join(META), "version: 1\ndependencies: {python: requirements.txt}\n").unwrap();
    fs::write(collection.join("requirements.txt"), "requests\n").unwrap();
    assert_eq!(introspect(&collections)["python"], json!(["requests  # from collection tokensmith.redhat"]));
}

#[test]
fn the_example_of_an_image_takes_the_collection_from_the_hub_and_nothing_else() {
    if variable("TOKENSMITH_STAGE").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let example = source("docs/execution_environment");
    builder(
        &["create", "--output-filename", "Containerfile", "--context"],
        &[folder.path(), "--file".as_ref(), &example.join("execution-environment.yml")],
    );
    let build = folder.path().join("_build");
    let wanted: Value = serde_yaml_ng::from_str(&read(&build.join("requirements.yml"))).unwrap();
    assert_eq!(wanted, json!({ "collections": [{ "name": "tokensmith.redhat" }] }));
    for of_ours in ["requirements.txt", "bindep.txt"] {
        assert!(!build.join(of_ours).exists(), "{of_ours}");
    }
    assert_eq!(read(&build.join("configs/ansible.cfg")), read(&example.join("ansible.cfg")));
    let stages = read(&folder.path().join("Containerfile"));
    let stages: Vec<&str> = stages.split("\nFROM ").collect();
    let with_token: Vec<_> =
        stages.iter().filter(|stage| stage.contains("ANSIBLE_GALAXY_SERVER_MY_HUB_TOKEN")).collect();
    assert!(
        matches!(with_token[..], [stage] if stage.lines().next().is_some_and(|first| first.ends_with(" AS galaxy")))
    );
    assert!(!stages.last().unwrap().contains("ansible.cfg"), "{stages:?}");
}

fn introspect(collections: &TempDir) -> Value {
    let said = builder(&["introspect"], &[collections.path()]);
    let found: Value = serde_yaml_ng::from_str(&said).unwrap();
    json!({ "python": found["python"], "system": found["system"] })
}

/// Runs ansible-builder; what it printed.
fn builder(words: &[&str], paths: &[&Path]) -> String {
    let program = variable("TOKENSMITH_VENV").expect("`make test` names the venv").join("bin/ansible-builder");
    let output = Command::new(program).args(words).args(paths).env("NO_COLOR", "1").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

const META: &str = "meta/execution-environment.yml";
