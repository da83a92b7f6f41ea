//! The collection as built: what Ansible's own tools say about the tarball and the staged tree.
//!
//! `make test` builds both and names them in variables; where they are not set, as with a plain `cargo test`, nothing is tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use flate2::read::GzDecoder;
use serde_json::Value;
use tempfile::TempDir;
use tokensmith_documentation::Module;

#[test]
fn ansible_doc_lists_each_module_and_shows_all_its_options_on_every_ansible_core() {
    let Some(built) = Built::find() else { return };
    let installed = built.install();
    for core in built.cores() {
        let doc = |arguments: &[&str]| -> Value {
            let output =
                run(ansible(&core, "ansible-doc").args(arguments).env("ANSIBLE_COLLECTIONS_PATH", installed.path()));
            serde_json::from_str(&output).unwrap()
        };
        let listed = doc(&["--type", "module", "--list", "--json", COLLECTION]);
        let names: Vec<_> = modules().iter().map(|module| format!("{COLLECTION}.{}", module.name())).collect();
        let shown =
            doc(&[&["--type", "module", "--json"], &*names.iter().map(String::as_str).collect::<Vec<_>>()].concat());
        for (module, name) in modules().iter().zip(&names) {
            let help = module.help();
            assert_eq!(listed[name], help["short_description"], "{name} in the list of {}", core.display());
            let shown = &shown[name];
            assert_eq!(
                keys(&shown["doc"]["options"]),
                keys(&help["options"]),
                "options of {name} on {}",
                core.display()
            );
            assert_eq!(shown["doc"]["has_action"], true);
            assert!(shown["examples"].as_str().unwrap().contains(name) && shown["return"].is_object());
        }
        let listed = doc(&["--type", "lookup", "--list", "--json", COLLECTION]);
        let modules = modules();
        let lookups = modules.iter().filter_map(|module| Some((module.name(), module.lookup()?)));
        for (name, lookup) in lookups {
            let name = format!("{COLLECTION}.{name}");
            assert_eq!(listed[&name], lookup.short_description(), "{name} in the list of {}", core.display());
            let shown = &doc(&["--type", "lookup", "--json", &name])[&name];
            let mut options = lookup.options();
            options.sort_unstable();
            assert_eq!(keys(&shown["doc"]["options"]), options, "options of {name} on {}", core.display());
            assert!(shown["examples"].as_str().unwrap().contains(&name) && shown["return"]["_raw"].is_object());
        }
    }
}

#[test]
fn ansible_test_sanity_reports_nothing_and_needs_no_ignore_file_on_every_ansible_core() {
    let Some(built) = Built::find() else { return };
    let home = built.cache.join("ansible-test");
    let bootstrap = home.join(".ansible/test/cache");
    fs::create_dir_all(&bootstrap).unwrap();
    for version in ["23_1_2", "24_2", "25_2"] {
        fs::copy(source("tests/sanity/pip_bootstrap.py"), bootstrap.join(format!("get_pip_{version}.py"))).unwrap();
    }
    let cores = built.cores();
    thread::scope(|threads| {
        for first in 0..2 {
            let (built, home, cores) = (&built, &home, &cores);
            threads.spawn(move || cores.iter().skip(first).step_by(2).for_each(|core| built.run_sanity(core, home)));
        }
    });
}

#[test]
fn the_importer_of_automation_hub_accepts_the_tarball_lists_all_that_is_in_it_and_has_the_documentation() {
    let Some(built) = Built::find() else { return };
    let folder = TempDir::new().unwrap();
    // It gives ansible-lint three minutes, which are not many on a busy machine. A test of its own runs that with the same profile.
    let log = run(ansible(&built.tools, "python")
        .args(["-m", "galaxy_importer.main"])
        .arg(&built.tarball)
        .env("GALAXY_IMPORTER_RUN_ANSIBLE_LINT", "false")
        .env("HOME", folder.path())
        .current_dir(&folder));
    assert!(!log.contains("WARNING") && !log.contains("ERROR"), "{log}");
    let result: Value =
        serde_json::from_reader(File::open(folder.path().join("importer_result.json")).unwrap()).unwrap();
    let name_of = |entry: &Value, key: &str| {
        (
            entry["content_type"].as_str().unwrap().to_owned(),
            entry[key].as_str().unwrap().trim_end_matches(".yml").to_owned(),
        )
    };
    let contents: BTreeSet<_> =
        result["contents"].as_array().unwrap().iter().map(|entry| name_of(entry, "name")).collect();
    let expected = built.contents();
    assert!(expected.is_subset(&contents), "{:?}", expected.difference(&contents).collect::<Vec<_>>());
    let documented = result["docs_blob"]["contents"].as_array().unwrap();
    let documentation = |kind: &str, name: &str| {
        let is_it = |entry: &&Value| entry["content_type"] == kind && entry["content_name"] == name;
        let entry = documented.iter().find(is_it).unwrap_or_else(|| panic!("the {kind} {name} has no documentation"));
        entry["doc_strings"]["doc"]["short_description"].clone()
    };
    for module in modules() {
        assert_eq!(documentation("module", module.name()), module.help()["short_description"]);
        if let Some(lookup) = module.lookup() {
            assert_eq!(documentation("lookup", module.name()), lookup.short_description());
        }
    }
}

#[test]
fn antsibull_docs_finds_nothing_to_complain_about() {
    let Some(built) = Built::find() else { return };
    let tree = built.copy_of_stage();
    run(ansible(&built.tools, "antsibull-docs")
        .args(["lint-collection-docs", "--plugin-docs", "."])
        // Its log lands there.
        .env("HOME", tree.path())
        .current_dir(tree.path().join(FOLDER)));
}

#[test]
fn ansible_lint_passes_with_its_strictest_profile() {
    let Some(built) = Built::find() else { return };
    let tree = built.copy_of_stage();
    let collection = tree.path().join(FOLDER);
    run(Command::new("git").args(["init", "--quiet"]).current_dir(&collection));
    run(ansible(&built.tools, "ansible-lint")
        .args(["--offline", "--strict", "--profile", "production", "--nocolor"])
        .env("HOME", tree.path())
        .env("ANSIBLE_COLLECTIONS_PATH", tree.path())
        .current_dir(&collection));
}

#[test]
fn the_changelog_is_well_formed_and_says_what_was_released() {
    let Some(built) = Built::find() else { return };
    let folder = TempDir::new().unwrap();
    run(Command::new("cp").arg("-r").args(["changelogs", "galaxy.yml"].map(source)).arg(folder.path()));
    for action in ["lint", "generate"] {
        run(ansible(&built.tools, "antsibull-changelog").arg(action).current_dir(folder.path()));
    }
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    assert_eq!(read(folder.path().join("CHANGELOG.md")), read(source("CHANGELOG.md")));
}

#[test]
fn the_tarball_holds_what_belongs_to_the_collection_and_nothing_else() {
    let Some(built) = Built::find() else { return };
    let mut expected: BTreeMap<String, String> = [
        ("FILES.json", "-rw-r--r--"),
        ("LICENSE", "-rw-r--r--"),
        ("MANIFEST.json", "-rw-r--r--"),
        ("README.md", "-rw-r--r--"),
        ("changelogs/changelog.yaml", "-rw-r--r--"),
        ("changelogs/config.yaml", "-rw-r--r--"),
        ("meta/execution-environment.yml", "-rw-r--r--"),
        ("meta/runtime.yml", "-rw-r--r--"),
        ("plugins/bin/names.json", "-rw-r--r--"),
        ("plugins/plugin_utils/kept.py", "-rw-r--r--"),
        ("plugins/plugin_utils/lookup.py", "-rw-r--r--"),
        ("plugins/plugin_utils/native.py", "-rw-r--r--"),
        ("sbom.cdx.json", "-rw-r--r--"),
    ]
    .map(|(name, mode)| (name.to_owned(), mode.to_owned()))
    .into();
    let carried = ["x86_64", "aarch64"].into_iter().filter(|name| built.executable(name).exists());
    for architecture in carried.chain([env::consts::ARCH]) {
        expected.insert(format!("plugins/bin/tokensmith_{architecture}"), "-rwxr-xr-x".to_owned());
        expected.insert(
            format!("plugins/modules/native/tokensmith_{architecture}"),
            format!("../../bin/tokensmith_{architecture}"),
        );
    }
    for module in modules() {
        expected.insert(format!("plugins/modules/{}.py", module.name()), "-rw-r--r--".to_owned());
        expected.insert(format!("plugins/action/{}.py", module.name()), "-rw-r--r--".to_owned());
        if module.lookup().is_some() {
            expected.insert(format!("plugins/lookup/{}.py", module.name()), "-rw-r--r--".to_owned());
        }
    }
    let (optional, found): (BTreeMap<_, _>, _) = members(&built.tarball)
        .into_iter()
        .filter(|(_, mode)| mode != "drwxr-xr-x")
        .partition(|(name, _)| OPTIONAL.iter().any(|start| name.starts_with(start)));
    assert_eq!(found, expected);
    for (name, mode) in optional {
        assert_eq!(mode, "-rw-r--r--", "{name}");
    }
}

#[test]
fn the_tarball_is_the_one_that_ansible_galaxy_would_build() {
    let Some(built) = Built::find() else { return };
    let tree = built.copy_of_stage();
    run(ansible(&built.tools, "ansible-galaxy")
        .args(["collection", "build", "--output-path"])
        .arg(tree.path())
        .current_dir(tree.path().join(FOLDER)));
    let theirs = tree.path().join(built.tarball.file_name().unwrap());
    assert_eq!(members(&built.tarball), members(&theirs));
    assert_eq!(file_list(&built.tarball), file_list(&theirs));
    let collection_info = |tarball| json_member(tarball, "MANIFEST.json")["collection_info"].clone();
    assert_eq!(collection_info(&built.tarball), collection_info(&theirs));
}

#[test]
fn what_is_installed_can_be_verified() {
    let Some(built) = Built::find() else { return };
    let installed = built.install();
    let verify = || {
        ansible(&built.tools, "ansible-galaxy")
            .args(["collection", "verify", "--offline", COLLECTION])
            .env("ANSIBLE_COLLECTIONS_PATH", installed.path())
            .output()
            .unwrap()
    };
    assert!(verify().status.success());
    fs::write(installed.path().join(FOLDER).join("LICENSE"), "none").unwrap();
    assert!(!verify().status.success());
}

/// What `make test` has built.
struct Built {
    tarball: PathBuf,
    stage: PathBuf,
    tools: PathBuf,
    matrix: String,
    cache: PathBuf,
}

impl Built {
    fn find() -> Option<Self> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let Some(tarball) = variable("TOKENSMITH_TARBALL") else {
            eprintln!("skipped: no TOKENSMITH_TARBALL; `make test` builds one and tries it");
            return None;
        };
        let needed = |name| variable(name).unwrap_or_else(|| panic!("TOKENSMITH_TARBALL is set, but {name} is not"));
        Some(Self {
            tarball,
            stage: needed("TOKENSMITH_STAGE"),
            tools: needed("TOKENSMITH_VENV"),
            matrix: env::var("TOKENSMITH_MATRIX").unwrap_or_default(),
            cache: needed("TOKENSMITH_CACHE"),
        })
    }

    /// Every ansible-core that the collection is for and that a Python is there for; the others are named in a line.
    fn cores(&self) -> Vec<PathBuf> {
        let (there, missing): (Vec<&str>, Vec<&str>) = self.matrix.lines().partition(|line| line.contains(' '));
        if !missing.is_empty() {
            eprintln!("Not tried on ansible-core {}: no Python fits.", missing.join(", "));
        }
        there.iter().filter_map(|line| line.split_once(' ')).map(|(_, venv)| venv.into()).collect()
    }

    /// What users find in the collection, by kind and name.
    fn contents(&self) -> BTreeSet<(String, String)> {
        let folders = [
            ("module", "plugins/modules"),
            ("action", "plugins/action"),
            ("lookup", "plugins/lookup"),
            ("playbook", "playbooks"),
        ];
        let mut contents = BTreeSet::new();
        for (kind, folder) in folders {
            for entry in fs::read_dir(self.stage.join(folder)).into_iter().flatten().flatten() {
                let path = entry.path();
                let is_content = path.extension().is_some_and(|extension| extension == "py" || extension == "yml");
                if path.is_file() && is_content {
                    contents.insert((kind.to_owned(), path.file_stem().unwrap().to_string_lossy().into_owned()));
                }
            }
        }
        contents
    }

    fn install(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        run(ansible(&self.tools, "ansible-galaxy")
            .args(["collection", "install", "--no-deps", "--collections-path"])
            .arg(folder.path())
            .arg(&self.tarball));
        folder
    }

    fn run_sanity(&self, core: &Path, home: &Path) {
        let tree = self.copy_of_stage();
        let collection = tree.path().join(FOLDER);
        run(Command::new("git").args(["init", "--quiet"]).current_dir(&collection));
        fs::write(collection.join(".gitignore"), "/tests/output/\n").unwrap();
        let python = run(
            Command::new(core.join("bin/python")).args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        );
        // The first run on a version makes virtual environments, which others may be about to make too. Later ones only use them.
        let ready = home.join(format!("{}.ready", core.file_name().unwrap().to_string_lossy()));
        let lock = if ready.exists() { "--shared" } else { "--exclusive" };
        run(ansible(core, "flock")
            .arg(lock)
            .arg(home.join("lock"))
            .args(["ansible-test", "sanity", "--color", "no", "--python", python.trim()])
            .env("HOME", home)
            .current_dir(&collection));
        fs::write(ready, "").unwrap();
    }

    fn executable(&self, architecture: &str) -> PathBuf {
        self.stage.join("plugins/bin").join(format!("tokensmith_{architecture}"))
    }

    /// The tools leave files behind, so each gets a copy.
    fn copy_of_stage(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        let parent = folder.path().join(FOLDER);
        fs::create_dir_all(parent.parent().unwrap()).unwrap();
        run(Command::new("cp").arg("-a").arg(&self.stage).arg(&parent));
        folder
    }
}

/// A command of a virtual environment, which also finds the others there.
fn ansible(environment: &Path, program: impl AsRef<OsStr>) -> Command {
    let bin = environment.join("bin");
    let path = env::join_paths([bin].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap();
    let mut command = Command::new("env");
    command.arg(program).env("PATH", path).env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    command
}

/// Runs the command, which must succeed, and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{printed}\n{errors}", output.status);
    printed
}

fn modules() -> Vec<Module> {
    let modules = Module::read_all(&source("modules")).unwrap();
    assert!(!modules.is_empty());
    modules
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

/// Names, and for each its mode as `ls` writes it or what the link leads to.
fn members(tarball: &Path) -> BTreeMap<String, String> {
    let mut archive = open(tarball);
    let describe = |entry: tar::Entry<_>| {
        let header = entry.header();
        let name = entry.path().unwrap().display().to_string();
        let link = entry.link_name().unwrap().map(|target| target.display().to_string());
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0), "{name}");
        (name.trim_end_matches('/').to_owned(), link.unwrap_or_else(|| mode(header)))
    };
    archive.entries().unwrap().map(|entry| describe(entry.unwrap())).collect()
}

fn mode(header: &tar::Header) -> String {
    let kind = if header.entry_type().is_dir() { 'd' } else { '-' };
    let mode = header.mode().unwrap();
    let bits =
        "rwxrwxrwx".chars().enumerate().map(|(bit, letter)| if mode & (0o400 >> bit) != 0 { letter } else { '-' });
    [kind].into_iter().chain(bits).collect()
}

fn file_list(tarball: &Path) -> BTreeMap<String, Value> {
    let files = json_member(tarball, "FILES.json")["files"].take();
    files.as_array().unwrap().iter().map(|file| (file["name"].to_string(), file.clone())).collect()
}

fn json_member(tarball: &Path, name: &str) -> Value {
    let mut archive = open(tarball);
    let mut entry =
        archive.entries().unwrap().map(Result::unwrap).find(|entry| entry.path().unwrap() == Path::new(name)).unwrap();
    let mut text = String::new();
    entry.read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn open(tarball: &Path) -> tar::Archive<GzDecoder<File>> {
    tar::Archive::new(GzDecoder::new(File::open(tarball).unwrap()))
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

const COLLECTION: &str = "tokensmith.redhat";
const FOLDER: &str = "ansible_collections/tokensmith/redhat";
/// What may grow without a word here.
const OPTIONAL: [&str; 5] = ["CHANGELOG.md", "SECURITY.md", "changelogs/fragments/", "docs/", "playbooks/"];
