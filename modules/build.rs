//! Turns modules/*.yml into the JSON that the executable carries: `NAME.specification.json` and `NAME.help.json` in `OUT_DIR`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;
use tokensmith_documentation::Module;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let output = PathBuf::from(env::var("OUT_DIR")?);
    for module in Module::read_all(&folder)? {
        write(&output, module.name(), "specification", &module.specification())?;
        write(&output, module.name(), "help", &module.help())?;
    }
    watch(&folder)?;
    Ok(())
}

fn write(output: &Path, module: &str, part: &str, value: &Value) -> std::io::Result<()> {
    fs::write(output.join(format!("{module}.{part}.json")), value.to_string())
}

/// Cargo looks at each file, and at `fragments` for a file that comes or goes. Watching the whole folder instead would
/// run this again for each change of a module's Rust source; a new module changes that anyway (its line in the registry).
fn watch(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let fragments = folder.join("fragments");
    for name in tokensmith_documentation::names(folder)? {
        println!("cargo::rerun-if-changed={}", folder.join(name).with_extension("yml").display());
    }
    println!("cargo::rerun-if-changed={}", folder.join("main.rs").display());
    println!("cargo::rerun-if-changed={}", fragments.display());
    Ok(())
}
