//! The modules of tokensmith.redhat in one multi-call executable.

use std::process::ExitCode;

use tokensmith::ansible::{self, Module};

mod sso_token;

/// The registry: one line for each module, which is `NAME.rs` and `NAME.yml` beside this file.
const MODULES: &[Module] = &[module!(sso_token)];

fn main() -> ExitCode {
    ansible::main(MODULES)
}

macro_rules! module {
    ($name:ident) => {
        Module {
            name: stringify!($name),
            specification: include_str!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".specification.json")),
            help: include_str!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".help.json")),
            run: |task, parameters| Box::pin(async move { $name::run(task, parameters.options()?).await }),
        }
    };
}
use module;
