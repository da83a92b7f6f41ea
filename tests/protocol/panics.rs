//! An executable whose only module panics in the way that it is asked to, with a secret in the text of the panic.

use std::process::ExitCode;
use std::thread;

use anyhow::Result;
use tokensmith::ansible::{self, Module, Outcome, Parameters, Task};
use tokensmith::secret::Secret;

fn main() -> ExitCode {
    ansible::main(&[Module {
        name: "panics",
        specification: SPECIFICATION,
        help: HELP,
        run: |task, parameters| Box::pin(run(task, parameters)),
    }])
}

async fn run(task: &Task, parameters: Parameters) -> Result<Outcome> {
    let options: Options = parameters.options()?;
    let secret = options.secret.reveal().to_owned();
    match options.way.as_str() {
        "text" => panic!("the token {secret} is wrong"),
        "unwrap" => refused(secret).unwrap(),
        "slice" => assert!(secret[1000..].is_empty()),
        "payload" => std::panic::panic_any(secret),
        "thread" => {
            // Whoever waits for it gets no second word in.
            let panicked = thread::spawn(move || panic!("the token {secret} is wrong")).join();
            anyhow::ensure!(panicked.is_ok(), "the thread panicked");
        }
        "after a warning" => {
            task.warn("This is said too late.");
            let _returned_by_nobody = Outcome::default().changed(true).secret("token", &options.secret);
            panic!("the token {secret} is wrong")
        }
        _ => {}
    }
    Ok(Outcome::default().secret("token", &options.secret))
}

fn refused(secret: String) -> Result<(), String> {
    Err(secret)
}

#[derive(serde::Deserialize)]
struct Options {
    way: String,
    secret: Secret,
}

const SPECIFICATION: &str = r#"{"argument_spec": {"way": {"type": "str"}, "secret": {"type": "str", "no_log": true}}}"#;
const HELP: &str = r#"{"short_description": "Panics", "options": {}}"#;
