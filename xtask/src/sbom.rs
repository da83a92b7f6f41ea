//! `sbom.cdx.json`: what is in the executables, as a CycloneDX document. The same sources and the same compiler give the same bytes.
//!
//! The crates are those that `cargo tree` names for the executable's target: unlike `cargo metadata`, and the tools that are made from it, it takes only the
//! features with which the executable is built, and leaves out what runs at build time alone (macros, build scripts).

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{elf, galaxy::Galaxy, tarball::sha256};

/// The programs that made the executables. They are asked what they put into them.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) rustc: PathBuf,
    /// Linked the static executables, with a C library of its own.
    pub(crate) zig: Option<PathBuf>,
}

/// The document on the executables, each named `tokensmith_ARCHITECTURE`.
pub(crate) fn describe(root: &Path, galaxy: &Galaxy, executables: &[PathBuf], tools: &Tools) -> Result<String> {
    let compiler = Compiler::ask(&tools.rustc)?;
    let zig = tools.zig.as_deref().map(Zig::ask).transpose()?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let crates = Crates { galaxy, checksums: checksums(&lock) };
    let runtime: Vec<_> = [compiler.library()].into_iter().chain(zig.iter().flat_map(Zig::libraries)).collect();

    let collection = collection(galaxy);
    let mut parts = Parts::default();
    parts.add(collection.clone(), []);
    for path in executables {
        let executable = Executable::read(path, &compiler)?;
        let tree = tree(root, &executable.target)?;
        let application = executable.component(galaxy, &compiler, zig.as_ref());
        parts.add(collection.clone(), [reference(&application)]);
        parts.add(application, runtime.iter().map(reference).chain([tree.root]));
        for component in &runtime {
            parts.add(component.clone(), []);
        }
        for (package, needs) in tree.packages {
            parts.add(crates.component(&package), needs);
        }
    }
    parts.components.remove(&reference(&collection));
    document(&json!({
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "authors": galaxy.authors.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
            "component": collection,
        },
        "components": parts.components.values().collect::<Vec<_>>(),
        "dependencies": parts.needs.iter().map(|(part, needs)| json!({"ref": part, "dependsOn": needs})).collect::<Vec<_>>(),
    }))
}

/// Components by their references, and what each needs.
#[derive(Default)]
struct Parts {
    components: BTreeMap<String, Value>,
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Parts {
    fn add(&mut self, component: Value, needs: impl IntoIterator<Item = String>) {
        let name = reference(&component);
        self.needs.entry(name.clone()).or_default().extend(needs);
        self.components.insert(name, component);
    }
}

/// With a serial number that is made from what the document says, as it must be another one for another document.
fn document(content: &Value) -> Result<String> {
    let digest = Sha256::digest(content.to_string());
    let mut hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // What makes it a UUID of version 8, which is the one for numbers of one's own making.
    hex.replace_range(12..13, "8");
    hex.replace_range(16..17, "8");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", parts.join("-")),
        "version": 1,
    });
    for (key, value) in content.as_object().into_iter().flatten() {
        document[key] = value.clone();
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn collection(galaxy: &Galaxy) -> Value {
    let name = format!("{}.{}", galaxy.namespace, galaxy.name);
    json!({
        "type": "application",
        "bom-ref": format!("{name}@{}", galaxy.version),
        "name": name,
        "version": galaxy.version,
        "licenses": [expression(&galaxy.license.join(" AND "))],
        "externalReferences": [link("vcs", &galaxy.repository)],
    })
}

struct Executable {
    name: String,
    target: String,
    is_static: bool,
    sha256: String,
}

impl Executable {
    fn read(path: &Path, compiler: &Compiler) -> Result<Self> {
        let file = elf::read(path)?;
        let name = path.file_name().and_then(|name| name.to_str()).context("an executable without a name")?;
        let target =
            if file.is_static { format!("{}-unknown-linux-musl", file.machine) } else { compiler.host.clone() };
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { name: name.to_owned(), target, is_static: file.is_static, sha256: sha256(&content) })
    }

    fn component(&self, galaxy: &Galaxy, compiler: &Compiler, zig: Option<&Zig>) -> Value {
        let mut properties = vec![
            property("file", &format!("plugins/bin/{}", self.name)),
            property("static", if self.is_static { "true" } else { "false" }),
            property("target", &self.target),
            property("compiler", &compiler.sentence),
        ];
        properties.extend(zig.map(|zig| property("linker", &format!("zig {}, {}", zig.version, zig.clang))));
        json!({
            "type": "application",
            "bom-ref": self.name,
            "name": self.name,
            "version": galaxy.version,
            "hashes": [hash(&self.sha256)],
            "licenses": [expression(&galaxy.license.join(" AND "))],
            "properties": properties,
        })
    }
}

/// Rust's compiler, with which its standard library comes.
struct Compiler {
    sentence: String,
    release: String,
    commit: String,
    host: String,
}

impl Compiler {
    fn ask(rustc: &Path) -> Result<Self> {
        let said = said_by(Command::new(rustc).args(["--version", "--verbose"]))?;
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(str::to_owned).with_context(|| format!("{} does not say its {name}", rustc.display()))
        };
        Ok(Self {
            sentence: said.lines().next().unwrap_or_default().to_owned(),
            release: field("release")?,
            commit: field("commit-hash")?,
            host: field("host")?,
        })
    }

    fn library(&self) -> Value {
        let Self { release, commit, .. } = self;
        let crates = format!("{RUST}/blob/{commit}/library/Cargo.lock");
        let mut component =
            library("std", release, &format!("pkg:github/rust-lang/rust@{release}"), "MIT OR Apache-2.0");
        component["description"] = "Rust's standard library, with the crates that it is made of".into();
        component["externalReferences"] = json!([link("vcs", RUST), link("bom", &crates)]);
        component
    }
}

/// The linker: zig, which has its own libraries of C for static executables.
struct Zig {
    version: String,
    clang: String,
    llvm: String,
    musl: String,
}

impl Zig {
    fn ask(zig: &Path) -> Result<Self> {
        let said = said_by(Command::new(zig).arg("env"))?;
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
            line.and_then(|rest| rest.split('"').nth(1)).with_context(|| format!("zig env says no {name}"))
        };
        let header = Path::new(field(".lib_dir")?).join("libc/musl/src/internal/version.h");
        let header = fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
        let clang = said_by(Command::new(zig).args(["cc", "--version"]))?;
        let clang = clang.lines().next().unwrap_or_default();
        Ok(Self {
            version: field(".version")?.to_owned(),
            clang: clang.to_owned(),
            llvm: clang.split(' ').nth(2).context("zig cc does not say which clang it is")?.to_owned(),
            musl: header.split('"').nth(1).context("zig does not say which musl it has")?.to_owned(),
        })
    }

    fn libraries(&self) -> Vec<Value> {
        let Self { version, llvm, musl, .. } = self;
        let unwind = format!("pkg:github/llvm/llvm-project@llvmorg-{llvm}");
        let mut libraries = [
            library("musl", musl, &format!("pkg:generic/musl@{musl}"), "MIT"),
            library("libunwind", llvm, &unwind, "Apache-2.0 WITH LLVM-exception"),
            library("zig", version, &format!("pkg:github/ziglang/zig@{version}"), "MIT"),
        ];
        libraries[0]["description"] = "The C library, as zig has it".into();
        libraries[1]["description"] = "LLVM's unwinder, as zig has it".into();
        libraries[2]["description"] = "Zig's own runtime: compiler-rt, and functions of the C library in Zig".into();
        libraries.into()
    }
}

/// What is linked into the executable for one target.
#[derive(Debug, PartialEq)]
pub(crate) struct Tree {
    pub(crate) root: String,
    /// Each package, and the references of what it needs.
    pub(crate) packages: BTreeMap<Package, BTreeSet<String>>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Package {
    name: String,
    version: String,
    license: String,
    repository: String,
}

impl Package {
    pub(crate) fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

fn tree(root: &Path, target: &str) -> Result<Tree> {
    let text = said_by(
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["tree", "--quiet", "--locked", "--package", "tokensmith-modules", "--target", target])
            .args(["--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", FORMAT])
            .current_dir(root),
    )?;
    read_tree(&text)
}

/// Each line begins with its depth. What stood there with all below it is not unfolded again.
pub(crate) fn read_tree(text: &str) -> Result<Tree> {
    let mut packages = BTreeMap::<Package, BTreeSet<String>>::new();
    let mut path: Vec<Package> = Vec::new();
    for line in text.lines() {
        let name = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let depth: usize = line[..line.len() - name.len()].parse().with_context(|| format!("no depth: {line}"))?;
        let fields: Vec<_> = name.split('\t').collect();
        let [package, license, repository, ..] = fields[..] else { anyhow::bail!("cargo tree says {line}") };
        let (name, version) = package.split_once(" v").with_context(|| format!("no version: {line}"))?;
        let package = Package {
            name: name.to_owned(),
            version: version.split(' ').next().unwrap_or_default().to_owned(),
            license: license.to_owned(),
            repository: repository.to_owned(),
        };
        ensure!(depth <= path.len(), "cargo tree leaves a depth out: {line}");
        path.truncate(depth);
        if let Some(parent) = path.last() {
            packages.entry(parent.clone()).or_default().insert(package.reference());
        }
        packages.entry(package.clone()).or_default();
        path.push(package);
    }
    let root = path.first().context("cargo tree says nothing")?.reference();
    Ok(Tree { root, packages })
}

struct Crates<'a> {
    galaxy: &'a Galaxy,
    checksums: BTreeMap<(String, String), String>,
}

impl Crates<'_> {
    /// A crate of ours is on no registry, so that it has no checksum there and no name that a scanner could take for another's.
    fn component(&self, package: &Package) -> Value {
        let Package { name, version, license, repository } = package;
        let Some(checksum) = self.checksums.get(&(name.clone(), version.clone())) else {
            return json!({
                "type": "library",
                "bom-ref": package.reference(),
                "name": name,
                "version": version,
                "licenses": [expression(license)],
                "externalReferences": [link("vcs", &self.galaxy.repository)],
            });
        };
        let mut component = library(name, version, &format!("pkg:cargo/{name}@{version}"), license);
        component["hashes"] = json!([hash(checksum)]);
        let archive = format!("https://static.crates.io/crates/{name}/{name}-{version}.crate");
        let links = [("vcs", repository.as_str()), ("distribution", &archive)];
        component["externalReferences"] =
            links.iter().filter(|(_, url)| !url.is_empty()).map(|(kind, url)| link(kind, url)).collect();
        component
    }
}

/// The SHA-256 of each package that comes from a registry, out of `Cargo.lock`, which cargo writes with one field a line.
pub(crate) fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let checksum_of = |block: &str| {
        let field = |name: &str| {
            let value = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            value.map(|value| value.trim_end_matches('"').to_owned())
        };
        Some(((field("name")?, field("version")?), field("checksum")?))
    };
    lock.split("[[package]]").filter_map(checksum_of).collect()
}

fn library(name: &str, version: &str, purl: &str, license: &str) -> Value {
    json!({
        "type": "library",
        "bom-ref": format!("{name}@{version}"),
        "name": name,
        "version": version,
        "licenses": [expression(license)],
        "purl": purl,
    })
}

/// Old crates write `MIT/Apache-2.0`.
fn expression(license: &str) -> Value {
    json!({"expression": license.replace('/', " OR ")})
}

fn hash(sha256: &str) -> Value {
    json!({"alg": "SHA-256", "content": sha256})
}

fn link(kind: &str, url: &str) -> Value {
    json!({"type": kind, "url": url})
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": format!("tokensmith:{name}"), "value": value})
}

fn reference(component: &Value) -> String {
    component["bom-ref"].as_str().unwrap_or_default().to_owned()
}

fn said_by(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

const FORMAT: &str = "{p}\t{l}\t{r}\t";
const RUST: &str = "https://github.com/rust-lang/rust";
