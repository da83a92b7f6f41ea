//! The modules of tokensmith.redhat in one multi-call executable.

use std::process::ExitCode;

use tokensmith::ansible::{self, Module};

mod gateway;
mod gateway_manage;
mod gateway_token;
mod hub;
mod hub_token;
mod oidc;
mod quay_keyless_token;
mod quay_robot_token;
mod rhacs;
mod rhacs_api_token;
mod rhacs_api_token_info;
mod rhacs_m2m_token;
mod server;
mod sso_token;
mod state;

/// The registry: one line for each module, which is `NAME.rs` and `NAME.yml` beside this file.
const MODULES: &[Module] = &[
    module!(gateway_manage),
    module!(gateway_token),
    module!(hub_token),
    module!(quay_keyless_token),
    module!(quay_robot_token),
    module!(rhacs_api_token),
    module!(rhacs_api_token_info),
    module!(rhacs_m2m_token),
    module!(sso_token),
];

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

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use tokensmith::ansible::Task;
    use tokensmith::ansible::specification::{Kind, ProcessEnvironment, Specification};

    use super::*;

    #[test]
    fn every_option_of_the_documentation_is_a_field_of_the_struct() {
        for module in MODULES {
            let specification: Specification = serde_json::from_str(module.specification).unwrap();
            for (name, option) in &specification.options().by_name {
                // A raw option takes anything, so nothing shows whether it is looked at.
                if option.kind == Kind::Raw {
                    continue;
                }
                let mut parameters = defaults(&specification);
                parameters.insert(name.clone(), json!([[0]]));
                let error = error_of(module, parameters);
                assert!(error.contains("invalid type: sequence"), "{} {name}: {error}", module.name);
            }
        }
    }

    #[test]
    fn every_field_of_the_struct_is_an_option_of_the_documentation() {
        for module in MODULES {
            let specification: Specification = serde_json::from_str(module.specification).unwrap();
            let parameters = defaults(&specification);
            let error = error_of(module, parameters);
            assert!(!error.contains("missing field") && !error.contains("invalid type"), "{}: {error}", module.name);
        }
    }

    /// What a task gets that says no more than it must, and that as badly as it may.
    fn defaults(specification: &Specification) -> Map<String, Value> {
        let required = specification.options().by_name.iter().filter(|(_, option)| option.required);
        let one =
            |choices: &Option<Vec<Value>>| choices.as_ref().map_or_else(|| json!("//"), |choices| choices[0].clone());
        let given = required.map(|(name, option)| (name.clone(), one(&option.choices))).collect();
        specification.check(given, &ProcessEnvironment).parameters
    }

    /// How a module fails that gets only defaults, and perhaps something wrong: before it does anything.
    fn error_of(module: &Module, parameters: Map<String, Value>) -> String {
        let task = Task::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on((module.run)(&task, parameters.into()));
        outcome.err().map(|error| format!("{error:#}")).unwrap_or_default()
    }
}
