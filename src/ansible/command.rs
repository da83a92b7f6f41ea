//! The executable as a plain command, for cron, systemd timers and a look at the terminal: the options of a module as flags, made from the same
//! specification and documentation. It prints the same JSON.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, StyledStr};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Module;
use super::arguments::Arguments;

/// What a command line asks for.
pub(super) enum Called<'a> {
    /// To run this module.
    Module(&'a Module, Arguments),
    /// Something that cannot be done, told in a result.
    Wrongly(String),
    /// Something that clap has answered by itself.
    ForHelp(ExitCode),
}

/// Reads a command line.
pub(super) fn parse<'a>(modules: &'a [Module], words: &[OsString]) -> Called<'a> {
    let wanted = words.first().and_then(|word| modules.iter().find(|module| word == module.name));
    let Some(module) = wanted else { return overview(modules, words) };
    let help: Help = match serde_json::from_str(module.help) {
        Ok(help) => help,
        Err(error) => return Called::Wrongly(format!("The help of {} was built wrong: {error}", module.name)),
    };
    match command(module.name, &help).try_get_matches_from(words) {
        Ok(matches) => match arguments(&help, &matches) {
            Ok(arguments) => Called::Module(module, arguments),
            Err(message) => Called::Wrongly(message),
        },
        Err(error) => answered_by_clap(&error),
    }
}

/// What the build made of a module's documentation.
#[derive(Deserialize)]
struct Help {
    short_description: String,
    #[serde(default)]
    description: Vec<String>,
    options: Map<String, Value>,
}

#[derive(Deserialize)]
struct HelpOption {
    #[serde(default)]
    description: Vec<String>,
    #[serde(rename = "type", default)]
    kind: String,
    default: Option<Value>,
    choices: Option<Vec<Value>>,
    #[serde(default)]
    secret: bool,
    #[serde(default)]
    environment: Vec<String>,
}

impl Help {
    fn options(&self) -> impl Iterator<Item = (&String, HelpOption)> {
        self.options.iter().filter_map(|(name, option)| Some((name, HelpOption::deserialize(option).ok()?)))
    }

    /// A secret has no flag of its own: everybody on the host can read command lines. It comes from a file, or from the environment.
    fn takes_secret_from_file(&self, name: &str, option: &HelpOption) -> bool {
        option.secret && !self.options.contains_key(&format!("{name}_file"))
    }
}

fn overview<'a>(modules: &'a [Module], words: &[OsString]) -> Called<'a> {
    let mut command = Command::new("tokensmith")
        .about("Keeps tokens of Red Hat systems alive, fresh and secret: the modules of the Ansible collection tokensmith.redhat as commands")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand_value_name("MODULE")
        .subcommand_help_heading("Modules")
        .after_help(
            "As an Ansible module it takes one argument: the path of the arguments file, or - for arguments on standard input.",
        );
    for module in modules {
        let about = serde_json::from_str::<Help>(module.help).map(|help| help.short_description).unwrap_or_default();
        command = command.subcommand(Command::new(module.name).about(about));
    }
    match command.no_binary_name(true).try_get_matches_from(words) {
        Ok(_) => Called::ForHelp(ExitCode::SUCCESS),
        Err(error) => answered_by_clap(&error),
    }
}

fn command(name: &'static str, help: &Help) -> Command {
    let mut command = Command::new(name)
        .bin_name(format!("tokensmith {name}"))
        .about(help.short_description.clone())
        .long_about(help.description.join("\n\n"))
        .arg(switch("check").help("Change nothing; say what would be done"))
        .arg(switch("diff").help("Show what differs, by fingerprints and dates"));
    for (name, option) in help.options() {
        if help.takes_secret_from_file(name, &option) {
            let text = format!("File that holds {name}, or - for standard input. {}", described(&option));
            command = command.arg(flag(&format!("{name}_file")).value_name("FILE").help(text));
        } else if !option.secret {
            command = command.arg(option.flag(name));
        }
    }
    command
}

impl HelpOption {
    fn flag(&self, name: &str) -> Arg {
        let flag = flag(name).help(described(self)).value_name(self.kind.to_ascii_uppercase());
        match (self.kind.as_str(), &self.choices) {
            ("bool", _) => flag.num_args(0..=1).require_equals(true).default_missing_value("true"),
            ("list", _) => flag.action(ArgAction::Append),
            (_, Some(choices)) => {
                let choices = choices.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
                flag.value_parser(PossibleValuesParser::new(choices))
            }
            _ => flag,
        }
    }
}

fn described(option: &HelpOption) -> StyledStr {
    let mut text = option.description.join(" ");
    if let Some(default) = option.default.as_ref().filter(|default| !default.is_null()) {
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        text.push_str(&format!(" [default: {default}]"));
    }
    if !option.environment.is_empty() {
        text.push_str(&format!(" [environment: {}]", option.environment.join(", ")));
    }
    text.into()
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn flag(name: &str) -> Arg {
    Arg::new(name.to_owned()).long(name.replace('_', "-")).alias(name.to_owned())
}

fn arguments(help: &Help, matches: &ArgMatches) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    for key in ["check", "diff"] {
        let engine_key = if key == "check" { "check_mode" } else { key };
        arguments.engine.insert(engine_key.to_owned(), Value::Bool(matches.get_flag(key)));
    }
    arguments.engine.insert("inject_invocation".to_owned(), Value::Bool(false));
    for (name, option) in help.options() {
        if help.takes_secret_from_file(name, &option) {
            if let Some(file) = matches.get_one::<String>(&format!("{name}_file")) {
                arguments.task.insert(name.clone(), secret_from(file)?);
            }
        } else if !option.secret {
            arguments.task.extend(value(name, &option, matches).map(|value| (name.clone(), value)));
        }
    }
    Ok(arguments)
}

fn value(name: &str, option: &HelpOption, matches: &ArgMatches) -> Option<Value> {
    if option.kind == "list" {
        let values = matches.get_many::<String>(name)?;
        return Some(
            values.flat_map(|value| value.split(',')).map(|value| Value::String(value.trim().to_owned())).collect(),
        );
    }
    matches.get_one::<String>(name).cloned().map(Value::String)
}

fn secret_from(file: &str) -> Result<Value, String> {
    let content = if file == "-" { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(file) };
    let named = if file == "-" { "Standard input".to_owned() } else { format!("The file {file}") };
    let content = Zeroizing::new(content.map_err(|error| format!("{named} cannot be read: {error}"))?);
    Ok(Value::String(content.trim().to_owned()))
}

/// Help, the version, and wrong usage, which goes to standard error as with any command.
fn answered_by_clap<'a>(error: &clap::Error) -> Called<'a> {
    let _reader_gone = error.print();
    Called::ForHelp(if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}
