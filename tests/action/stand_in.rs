//! Stands in for the collection's executable: tells what it was given, and misbehaves when it is asked to.

use std::{env, error::Error, fs, io, process::ExitCode};

use serde_json::{Value, json};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let way = env::args().nth(1).ok_or("an argument is missing")?;
    let text = if way == "-" { io::read_to_string(io::stdin())? } else { fs::read_to_string(&way)? };
    let arguments: Value = serde_json::from_str(&text)?;
    // As the executable does that a target keeps.
    io::Write::write_all(&mut io::stdout(), b" ")?;
    let secret: String = SECRET.chars().rev().collect();
    let result = match arguments["offline_token"].as_str() {
        Some("crash") => {
            io::Write::write_all(&mut io::stdout(), secret.as_bytes())?;
            return Ok(ExitCode::from(101));
        }
        Some("return") => json!({"changed": true, "access_token": secret, "_tokensmith_secret": true}),
        Some("fail") => json!({"failed": true, "msg": "No.", "access_token": secret, "_tokensmith_secret": true}),
        _ => json!({
            "changed": false,
            "way": if way == "-" { "standard input" } else { "file" },
            "environment": env::var("GREETING").unwrap_or_default(),
            "check_mode": arguments["_ansible_check_mode"],
            "diff_mode": arguments["_ansible_diff"],
            "arguments": arguments.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with("_ansible_")).collect::<std::collections::BTreeMap<_, _>>(),
        }),
    };
    io::Write::write_all(&mut io::stdout(), result.to_string().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Backwards, so that it is in no file that somebody might print.
const SECRET: &str = "terces-pot-si-siht";
