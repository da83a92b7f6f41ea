//! `sbom.cdx.json`, held against what it speaks of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::built::{Built, run, source, tool};

#[test]
fn the_bill_of_materials_is_what_cyclonedx_says_one_is() {
    let Some(built) = Built::find() else { return };
    let bill = Bill::of(&built);
    let valid = |document: &Value| {
        let path = built.folder().join("document.json");
        fs::write(&path, document.to_string()).unwrap();
        tool("python").arg(source("tests/dist/validate.py")).arg(path).output().unwrap().status.success()
    };
    assert!(valid(&bill.document));
    for (pointer, value) in
        [("/serialNumber", json!("7")), ("/components/0/licenses/0", json!("MIT")), ("/unknown", json!(1))]
    {
        let mut broken = bill.document.clone();
        match broken.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => broken[&pointer[1..]] = value,
        }
        assert!(!valid(&broken), "{pointer}");
    }
}

#[test]
fn each_executable_stands_there_with_its_own_checksum_and_the_compilers_that_it_names_itself() {
    let Some(built) = Built::find() else { return };
    let bill = Bill::of(&built);
    let executables = built.executables();
    assert_eq!(bill.of_type("application").count(), executables.len());
    for (name, content) in executables {
        let component = &bill.components[&name];
        assert_eq!(component["hashes"][0]["content"], format!("{:x}", Sha256::digest(&content)), "{name}");
        let property = |wanted: &str| {
            let properties = component["properties"].as_array().unwrap();
            let found = properties.iter().find(|property| property["name"] == format!("tokensmith:{wanted}"));
            found.unwrap()["value"].as_str().unwrap().to_owned()
        };
        assert_eq!(property("static"), "true");
        let compiler = property("compiler").replacen("rustc ", "rustc version ", 1);
        let linker = property("linker");
        let (_, clang) = linker.split_once(", ").unwrap();
        for sentence in [&compiler, clang] {
            assert!(contains(&content, sentence.as_bytes()), "{name} does not say {sentence}");
        }
        let needs = bill.needs(&name);
        for library in ["std@", "musl@", "libunwind@", "zig@", "tokensmith-modules@"] {
            assert!(needs.iter().any(|need| need.starts_with(library)), "{library} in {needs:?}");
        }
    }
}

#[test]
fn each_crate_that_is_compiled_for_a_target_stands_there_with_the_checksum_of_the_lock_file_and_no_other_does() {
    let Some(built) = Built::find() else { return };
    let bill = Bill::of(&built);
    let lock = fs::read_to_string(source("Cargo.lock")).unwrap();
    let crates: BTreeSet<_> = bill
        .of_type("library")
        .filter(|component| !RUNTIME.contains(&component["name"].as_str().unwrap()))
        .map(|component| format!("{} v{}", text(component, "name"), text(component, "version")))
        .collect();
    for target in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"] {
        let tree = run(Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--package", "tokensmith-modules", "--target", target])
            .args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe", "--format", "{p}"])
            .current_dir(source(".")));
        let named: BTreeSet<_> = tree.lines().map(|line| line.split(" (").next().unwrap().to_owned()).collect();
        assert_eq!(crates, named, "{target}");
    }
    for component in bill.of_type("library").filter(|component| text(component, "purl").starts_with("pkg:cargo/")) {
        let (name, version) = (text(component, "name"), text(component, "version"));
        let checksum = text(&component["hashes"][0], "content");
        let block =
            format!("name = \"{name}\"\nversion = \"{version}\"\nsource = \"{REGISTRY}\"\nchecksum = \"{checksum}\"\n");
        assert!(lock.contains(&block), "{block}");
    }
}

#[test]
fn each_crate_whose_path_is_in_an_executable_stands_there() {
    let Some(built) = Built::find() else { return };
    let bill = Bill::of(&built);
    for (name, content) in built.executables() {
        let mut found = 0;
        for path in String::from_utf8_lossy(&content).split("/cargo/registry/src/").skip(1) {
            let package = path.split('/').nth(1).unwrap();
            let (package, version) = package.rsplit_once('-').unwrap();
            let reference = format!("{package}@{version}");
            // The crates that Rust's standard library is made of are listed where the bill says so.
            if !OF_STD.contains(&package) {
                assert!(bill.components.contains_key(&reference), "{reference} is in {name}");
                found += 1;
            }
        }
        assert!(found > 30, "only {found} paths of crates were found in {name}");
    }
}

#[test]
fn everything_in_it_may_be_part_of_a_program_under_the_gpl() {
    let Some(built) = Built::find() else { return };
    for component in Bill::of(&built).components.values() {
        let expression = text(&component["licenses"][0], "expression");
        assert!(is_compatible(expression), "{}: {expression}", component["bom-ref"]);
    }
    for (expression, expected) in
        [("MIT OR SSPL-1.0", true), ("MIT AND SSPL-1.0", false), ("OpenSSL", false), ("Apache-2.0 AND ISC", true)]
    {
        assert_eq!(is_compatible(expression), expected, "{expression}");
    }
}

#[test]
fn each_reference_leads_to_a_component_and_each_component_is_needed_by_an_executable() {
    let Some(built) = Built::find() else { return };
    let bill = Bill::of(&built);
    let mut reached = BTreeSet::new();
    let mut next = vec![text(&bill.document["metadata"]["component"], "bom-ref").to_owned()];
    while let Some(name) = next.pop() {
        if reached.insert(name.clone()) {
            next.extend(bill.needs(&name));
        }
    }
    let collection = text(&bill.document["metadata"]["component"], "bom-ref");
    reached.remove(collection);
    assert_eq!(reached, bill.components.keys().cloned().collect());
}

struct Bill {
    document: Value,
    components: BTreeMap<String, Value>,
}

impl Bill {
    fn of(built: &Built) -> Self {
        let text = run(Command::new("tar").arg("-xzOf").arg(&built.tarball).arg("sbom.cdx.json"));
        let document: Value = serde_json::from_str(&text).unwrap();
        let components = document["components"].as_array().unwrap();
        let components = components
            .iter()
            .map(|component| (self::text(component, "bom-ref").to_owned(), component.clone()))
            .collect();
        Self { document, components }
    }

    fn of_type(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.components.values().filter(move |component| component["type"] == kind)
    }

    fn needs(&self, name: &str) -> Vec<String> {
        let all = self.document["dependencies"].as_array().unwrap();
        let found = all.iter().find(|entry| entry["ref"] == name).unwrap_or_else(|| panic!("{name} has no entry"));
        found["dependsOn"].as_array().unwrap().iter().map(|need| need.as_str().unwrap().to_owned()).collect()
    }
}

/// Of an expression without parentheses: one of the alternatives has nothing but licences of the list.
fn is_compatible(expression: &str) -> bool {
    assert!(!expression.contains('('), "{expression} wants a better reader");
    expression.split(" OR ").any(|all| all.split(" AND ").all(|license| COMPATIBLE.contains(&license)))
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What is linked and is no crate.
const RUNTIME: [&str; 4] = ["std", "musl", "libunwind", "zig"];
const OF_STD: [&str; 6] = ["addr2line", "gimli", "hashbrown", "memchr", "miniz_oxide", "rustc-demangle"];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// With GPL-3.0-or-later, after the list of the Free Software Foundation.
const COMPATIBLE: [&str; 9] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "GPL-3.0-or-later",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
