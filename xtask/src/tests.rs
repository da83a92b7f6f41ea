use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{galaxy::Galaxy, release, sbom, stage, stub, tarball};

#[test]
fn the_same_sources_give_the_same_tarball_wherever_and_whenever_it_is_built() {
    let names = ["beta_token", "alpha_token", "alpha_other"];
    let one = Sources::new(&names);
    let other = Sources::new(&["alpha_other", "alpha_token", "beta_token"]);
    fs::set_permissions(other.path("meta/runtime.yml"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::read(one.package()).unwrap(), fs::read(other.package()).unwrap());
}

#[test]
fn no_line_of_a_stub_is_longer_than_sanity_takes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules");
    for module in tokensmith_documentation::Module::read_all(&folder).unwrap() {
        let lookup = module.lookup().map(|lookup| stub::lookup(&module, lookup).unwrap()).unwrap_or_default();
        for line in stub::module(&module).unwrap().lines().chain(lookup.lines()) {
            assert!(line.len() <= 160, "{}: {line}", module.name());
        }
    }
}

#[test]
fn leftovers_and_strangers_stay_out() {
    let sources = Sources::new(&["alpha_token"]);
    for name in ["plugins/plugin_utils/native.pyc", "docs/.page.md.swp", "docs/page.md~", "src/lib.rs", "Cargo.toml"] {
        sources.write(name, "x");
    }
    sources.write("docs/page.md", "x");
    let names: Vec<_> = tarball::files(&sources.stage()).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(
        names,
        [
            ".",
            "README.md",
            "docs",
            "docs/page.md",
            "meta",
            "meta/runtime.yml",
            "plugins",
            "plugins/action",
            "plugins/action/alpha_token.py",
            "plugins/bin",
            "plugins/bin/names.json",
            "plugins/bin/tokensmith_x86_64",
            "plugins/modules",
            "plugins/modules/alpha_token.py",
            "plugins/modules/native",
            "plugins/modules/native/tokensmith_x86_64",
            "sbom.cdx.json",
        ]
    );
}

#[test]
fn a_collection_of_both_architectures_has_both_executables_and_a_link_to_each() {
    let sources = Sources::new(&["alpha_token"]);
    let executables = [("x86_64", "one"), ("aarch64", "other")].map(|(name, text)| sources.executable_of(name, text));
    let collection = stage::stage(sources.root(), &sources.galaxy(), &executables, "{}").unwrap();
    for (name, content) in [("tokensmith_x86_64", "one"), ("tokensmith_aarch64", "other")] {
        let file = collection.join("plugins/bin").join(name).symlink_metadata().unwrap();
        assert_eq!((file.is_file(), file.permissions().mode() & 0o7777), (true, 0o755), "{name}");
        let link = collection.join("plugins/modules/native").join(name);
        assert_eq!(link.read_link().unwrap(), Path::new("../../bin").join(name));
        assert_eq!(fs::read_to_string(link).unwrap(), content);
    }
    let names: Value = serde_json::from_slice(&fs::read(collection.join("plugins/bin/names.json")).unwrap()).unwrap();
    assert_eq!(names.as_object().unwrap().keys().collect::<Vec<_>>(), ["aarch64", "x86_64"]);
}

#[test]
fn a_collection_for_others_has_a_static_executable_for_each_architecture_and_nothing_else() {
    let sources = Sources::new(&["alpha_token"]);
    let executable =
        |name: &str, machine: u8, interpreter: bool| sources.executable_of(name, headers(machine, interpreter));
    let both = [executable("x86_64", X86_64, false), executable("aarch64", AARCH64, false)];
    release::check(&both).unwrap();
    let cases = [
        (vec![executable("x86_64", X86_64, false)], "and this one has tokensmith_x86_64: build it without ARCHES"),
        (vec![executable("aarch64", AARCH64, false)], "and this one has tokensmith_aarch64: build it without ARCHES"),
        ([both.as_slice(), &[executable("vax", 75, false)]].concat(), "tokensmith_vax and tokensmith_x86_64: build it"),
    ];
    for (executables, sentence) in cases {
        let error = release::check(&executables).unwrap_err().to_string();
        assert!(error.contains(sentence), "{error}");
    }
    let cases = [
        (AARCH64, true, "tokensmith_aarch64 needs libraries of its host, so it is not for others"),
        (X86_64, false, "tokensmith_aarch64 is an executable for x86_64"),
    ];
    for (machine, interpreter, sentence) in cases {
        executable("aarch64", machine, interpreter);
        let error = release::check(&both).unwrap_err().to_string();
        assert!(error.ends_with(sentence), "{error}");
    }
}

#[test]
fn a_collection_for_others_has_eight_million_bytes_at_most() {
    let sources = Sources::new(&[]);
    let path = sources.path("some.tar.gz");
    fs::File::create(&path).unwrap().set_len(8_000_000).unwrap();
    release::check_size(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(8_000_001).unwrap();
    let error = release::check_size(&path).unwrap_err().to_string();
    assert!(error.ends_with("would be 8000001 bytes, and a collection for others has 8000000 at most"), "{error}");
    assert!(!path.exists(), "what is refused lies nowhere to be taken");
}

#[test]
fn a_crate_of_a_registry_has_a_checksum_and_one_of_ours_has_none() {
    let lock = "version = 4

[[package]]
name = \"alpha\"
version = \"1.0.0\"
source = \"registry\"
checksum = \"ab12\"
dependencies = [
 \"ours\",
]

[[package]]
name = \"ours\"
version = \"0.1.0\"
";
    let found: Vec<_> = sbom::checksums(lock).into_iter().collect();
    assert_eq!(found, [(("alpha".to_owned(), "1.0.0".to_owned()), "ab12".to_owned())]);
}

#[test]
fn what_a_crate_needs_is_read_where_cargo_tree_unfolds_it() {
    let text = [
        "0ours v0.1.0 (/somewhere/else)\tGPL-3.0-or-later\t\t",
        "1alpha v1.0.0\tMIT/Apache-2.0\thttps://alpha\t",
        "2beta v2.0.0\tISC\t\t",
        "1gamma v3.0.0\tMIT\t\t",
        "2alpha v1.0.0\tMIT/Apache-2.0\thttps://alpha\t (*)",
    ];
    let tree = sbom::read_tree(&text.join("\n")).unwrap();
    let needs: Vec<_> =
        tree.packages.iter().map(|(package, needs)| (package.reference(), needs.iter().cloned().collect())).collect();
    let expected = [
        ("alpha@1.0.0", vec!["beta@2.0.0"]),
        ("beta@2.0.0", vec![]),
        ("gamma@3.0.0", vec!["alpha@1.0.0"]),
        ("ours@0.1.0", vec!["alpha@1.0.0", "gamma@3.0.0"]),
    ];
    let expected: Vec<(String, Vec<String>)> =
        expected.map(|(name, needs)| (name.to_owned(), needs.into_iter().map(str::to_owned).collect())).into();
    assert_eq!(needs, expected);
    assert_eq!(tree.root, "ours@0.1.0");
    assert!(sbom::read_tree("").is_err() && sbom::read_tree("ours v0.1.0\t\t\t").is_err());
}

#[test]
fn a_picture_is_staged_as_it_is() {
    let sources = Sources::new(&["alpha_token"]);
    let picture = [0x89, b'P', b'N', b'G', 0xff, 0x00];
    fs::write(sources.path("README.md"), picture).unwrap();
    assert_eq!(fs::read(sources.stage().join("README.md")).unwrap(), picture);
}

#[test]
fn each_system_has_an_action_group_and_all_have_one() {
    let sources = Sources::new(&["beta_token", "alpha_token", "alpha_other"]);
    assert_eq!(
        fs::read_to_string(sources.stage().join("meta/runtime.yml")).unwrap(),
        "requires_ansible: \">=2.16.0\"\naction_groups:\n  all:\n    - alpha_other\n    - alpha_token\n    - beta_token\n  \
         alpha:\n    - alpha_other\n    - alpha_token\n  beta:\n    - beta_token\n"
    );
}

#[test]
fn a_stage_that_is_right_is_left_alone_and_another_is_replaced() {
    let sources = Sources::new(&["alpha_token"]);
    let collection = sources.stage();
    let made = || collection.join("README.md").metadata().unwrap().modified().unwrap();
    let first = made();
    sources.stage();
    assert_eq!(made(), first);
    fs::write(collection.join("stray"), "").unwrap();
    sources.stage();
    assert!(!collection.join("stray").exists());
    assert_eq!(fs::read_dir(sources.path("dist")).unwrap().count(), 1, "nothing temporary is left");
}

#[test]
fn a_version_that_is_not_cargos_and_a_missing_readme_stop_the_build() {
    let sources = Sources::new(&["alpha_token"]);
    fs::remove_file(sources.path("README.md")).unwrap();
    let error = stage::stage(sources.root(), &sources.galaxy(), &[sources.executable()], "{}").unwrap_err();
    assert_eq!(error.to_string(), "galaxy.yml names README.md as the collection's readme, which is missing");
    sources.write("galaxy.yml", &GALAXY.replace("VERSION", "9.9.9"));
    let error = Galaxy::read(&sources.path("galaxy.yml")).unwrap_err().to_string();
    assert!(error.ends_with(&format!("says version 9.9.9, and Cargo.toml {}", env!("CARGO_PKG_VERSION"))), "{error}");
}

struct Sources(TempDir);

impl Sources {
    fn new(modules: &[&str]) -> Self {
        let sources = Self(TempDir::new().unwrap());
        for name in modules {
            sources.write(&format!("modules/{name}.yml"), &MODULE.replace("NAME", name));
        }
        sources.write("galaxy.yml", &GALAXY.replace("VERSION", env!("CARGO_PKG_VERSION")));
        sources.write("README.md", "# Read me\n");
        sources.write("meta/runtime.yml", "requires_ansible: \">=2.16.0\"\n");
        sources.write("plugins/plugin_utils/native.pyc", "");
        sources.write("build/tokensmith_x86_64", "executable");
        sources
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn galaxy(&self) -> Galaxy {
        Galaxy::read(&self.path("galaxy.yml")).unwrap()
    }

    fn executable(&self) -> PathBuf {
        self.path("build/tokensmith_x86_64")
    }

    fn executable_of(&self, architecture: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(&format!("build/tokensmith_{architecture}"));
        fs::write(&path, content).unwrap();
        path
    }

    fn stage(&self) -> PathBuf {
        stage::stage(self.root(), &self.galaxy(), &[self.executable()], "{}").unwrap()
    }

    fn package(&self) -> PathBuf {
        tarball::write(&self.stage(), &self.galaxy(), &self.path("dist")).unwrap()
    }
}

/// What an ELF executable begins with: its own header, and one program header.
fn headers(machine: u8, interpreter: bool) -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18] = machine;
    (bytes[32], bytes[54], bytes[56]) = (64, 56, 1);
    bytes[64] = if interpreter { 3 } else { 1 };
    bytes
}

const X86_64: u8 = 62;
const AARCH64: u8 = 183;
const GALAXY: &str = "
namespace: tokensmith
name: redhat
version: VERSION
readme: README.md
authors: [Somebody]
description: Tokens
license: [GPL-3.0-or-later]
tags: [security]
dependencies: {}
repository: https://example.com
documentation: https://example.com
homepage: https://example.com
issues: https://example.com
";

const MODULE: &str = "
DOCUMENTATION:
  module: NAME
  short_description: A token
  version_added: 0.1.0
  author: Somebody (@somebody)
  description: A token.
EXAMPLES: |
  - NAME:
RETURN: {}
";
