//! Our checking of arguments beside that of the real ansible-core, over generated specifications and arguments.
//!
//! `TOKENSMITH_PYTHON` names a Python that has ansible-core. `TOKENSMITH_SEED` and `TOKENSMITH_PAIRS` change what is
//! compared, and how much of it.

#[path = "differential/generator.rs"]
mod generator;

use std::{
    env,
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use tokensmith::ansible::specification::{Checked, Environment, PLACEHOLDER, Specification};

use self::generator::{Random, SECRET};

#[test]
fn arguments_are_checked_as_ansible_core_checks_them() -> Result<()> {
    let seed = number_from("TOKENSMITH_SEED", DEFAULT_SEED)?;
    let pairs = number_from("TOKENSMITH_PAIRS", DEFAULT_PAIRS)?;
    let mut comparison = Comparison::new(Reference::start()?);
    let mut random = Random(seed);
    for _ in 0..pairs {
        comparison.compare(generator::case(&mut random))?;
    }
    println!("seed {seed}: {}", comparison.summary());
    let report = comparison.report()?;
    assert!(report.is_empty(), "seed {seed}: {}\n{report}", comparison.summary());

    let least = pairs / 5;
    assert!(comparison.right >= least && comparison.wrong >= least, "{}", comparison.summary());
    assert!(comparison.tracebacks < pairs / 10, "{}", comparison.summary());
    let rare: Vec<_> = SENTENCES.iter().zip(comparison.seen).filter(|(_, seen)| *seen < pairs / 500).collect();
    assert!(rare.is_empty(), "hardly compared: {rare:?}");
    Ok(())
}

/// Running totals over all pairs.
struct Comparison {
    reference: Reference,
    /// Pairs without an error.
    right: u64,
    /// Pairs with errors.
    wrong: u64,
    /// Pairs at which ansible-core ends in a traceback, or with values that JSON cannot carry.
    tracebacks: u64,
    /// How often each of the sentences was compared.
    seen: [u64; SENTENCES.len()],
    failures: Vec<Value>,
}

impl Comparison {
    fn new(reference: Reference) -> Self {
        Self { reference, right: 0, wrong: 0, tracebacks: 0, seen: [0; SENTENCES.len()], failures: Vec::new() }
    }

    fn compare(&mut self, case: Value) -> Result<()> {
        let theirs = self.reference.check(&case)?;
        match theirs["errors"].as_array() {
            Some(errors) if errors.is_empty() => self.right += 1,
            Some(_) => self.wrong += 1,
            None => self.tracebacks += 1,
        }
        for sentence in strings(&theirs["errors"]).iter().chain(&strings(&theirs["warnings"])) {
            for (seen, _) in self.seen.iter_mut().zip(SENTENCES).filter(|(_, part)| sentence.contains(part)) {
                *seen += 1;
            }
        }
        if !differences(&case, &theirs)?.is_empty() {
            self.failures.push(case);
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let Self { right, wrong, tracebacks, failures, .. } = self;
        let pairs = right + wrong + tracebacks;
        let failures = failures.len();
        format!(
            "{pairs} pairs compared: {right} without an error, {wrong} with errors, \
             {tracebacks} that ansible-core cannot handle; {failures} differ"
        )
    }

    /// The smallest cases that differ, made smaller still.
    fn report(&mut self) -> Result<String> {
        self.failures.sort_by_key(|case| case.to_string().len());
        let mut report = String::new();
        for case in self.failures.clone().into_iter().take(SHOWN) {
            let case = self.reference.shrink(case)?;
            let theirs = self.reference.check(&case)?;
            writeln!(report, "\n{case:#}\n{}", differences(&case, &theirs)?.join("\n"))?;
        }
        Ok(report)
    }
}

/// The process that runs ansible-core's validator.
struct Reference {
    process: Child,
    cases: ChildStdin,
    results: BufReader<ChildStdout>,
}

impl Reference {
    fn start() -> Result<Self> {
        let python = env::var_os("TOKENSMITH_PYTHON")
            .context("TOKENSMITH_PYTHON must name a Python that has ansible-core; `make test` sets it")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/differential/reference.py");
        let mut process = Command::new(&python)
            .args(["-W", "ignore", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be run", python.display()))?;
        let cases = process.stdin.take().context("the reference has no standard input")?;
        let results = process.stdout.take().map(BufReader::new).context("the reference has no standard output")?;
        Ok(Self { process, cases, results })
    }

    fn check(&mut self, case: &Value) -> Result<Value> {
        writeln!(self.cases, "{case}")?;
        let mut line = String::new();
        self.results.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the reference ended; has this Python ansible-core? The case was {case}");
        Ok(serde_json::from_str(&line)?)
    }

    /// Leaves out of a case what the difference does not need.
    fn shrink(&mut self, mut case: Value) -> Result<Value> {
        loop {
            let mut smaller = None;
            for pointer in pointers(&case) {
                let candidate = without(&case, &pointer);
                let theirs = self.check(&candidate)?;
                let is_sound = theirs.get("traceback").is_none();
                if is_sound && differences(&candidate, &theirs).is_ok_and(|found| !found.is_empty()) {
                    smaller = Some(candidate);
                    break;
                }
            }
            match smaller {
                Some(smaller) => case = smaller,
                None => return Ok(case),
            }
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Everything in which our result is not theirs.
fn differences(case: &Value, theirs: &Value) -> Result<Vec<String>> {
    let specification = Specification::deserialize(&case["specification"]).context("the specification is refused")?;
    let ours = specification.check(object(&case["arguments"]), &Surroundings(case));
    let mut found = leaks(&ours, &specification);
    if let Some(traceback) = theirs.get("traceback") {
        if ours.errors.is_empty() {
            found.push(format!("no error, where ansible-core ends with {traceback}"));
        }
        return Ok(found);
    }
    if theirs.get("beyond_json").is_some() {
        return Ok(found);
    }
    if Value::Object(ours.parameters.clone()) != theirs["parameters"] {
        let ours = Value::Object(ours.parameters.clone());
        found.push(format!("parameters\n  ours   {ours}\n  theirs {}", theirs["parameters"]));
    }
    let levels = theirs["levels"].as_u64().unwrap_or_default();
    let has_secrets = case["specification"].to_string().contains("\"no_log\"");
    let same = |(ours, theirs): (&String, &String)| same_sentence(ours, theirs, levels, has_secrets);
    for (what, ours, theirs) in [
        ("errors", &ours.errors, strings(&theirs["errors"])),
        ("unsupported", &ours.unsupported, strings(&theirs["unsupported"])),
        ("warnings", &ours.warnings, strings(&theirs["warnings"])),
    ] {
        if ours.len() != theirs.len() || !ours.iter().zip(&theirs).all(same) {
            found.push(format!("{what}\n  ours   {ours:#?}\n  theirs {theirs:#?}"));
        }
    }
    let missed: Vec<_> =
        strings(&theirs["secrets"]).into_iter().filter(|secret| !ours.secrets.contains(secret)).collect();
    if !missed.is_empty() {
        found.push(format!("secrets that only ansible-core knows: {missed:?}"));
    }
    Ok(found)
}

/// Secrets where none may be.
fn leaks(ours: &Checked, specification: &Specification) -> Vec<String> {
    let invocation = Value::Object(specification.invocation(ours)).to_string();
    let shown = ours.errors.iter().chain(&ours.warnings).chain([&invocation]);
    shown.filter(|text| text.contains(SECRET)).map(|text| format!("a secret is shown: {text}")).collect()
}

/// Where our sentence has the placeholder of a secret, theirs may have anything. The order of the valid booleans changes
/// from run to run, and so does the level whose supported parameters are named when there are several.
fn same_sentence(ours: &str, theirs: &str, levels: u64, has_secrets: bool) -> bool {
    let (ours, theirs) = (settled(ours, levels), settled(theirs, levels));
    if !has_secrets {
        return ours == theirs;
    }
    let mut parts = ours.split(PLACEHOLDER);
    let Some(mut rest) = parts.next().and_then(|first| theirs.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(start) => rest = &rest[start + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

fn settled(sentence: &str, levels: u64) -> String {
    if let Some((before, booleans)) = sentence.split_once(". Valid booleans include: ") {
        let mut booleans: Vec<_> = booleans.split(", ").collect();
        booleans.sort_unstable();
        return format!("{before}; {booleans:?}");
    }
    match sentence.split_once(". Supported parameters include: ") {
        Some((before, _)) if levels > 1 => before.to_owned(),
        _ => sentence.to_owned(),
    }
}

/// The environment and the user database of a case.
struct Surroundings<'a>(&'a Value);

impl Environment for Surroundings<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.0["environment"].get(name)?.as_str().map(str::to_owned)
    }

    fn home(&self, user: Option<&str>) -> Option<String> {
        self.0["homes"].get(user.unwrap_or_default())?.as_str().map(str::to_owned)
    }
}

/// What a case can do without, largest parts first.
fn pointers(case: &Value) -> Vec<String> {
    fn walk(value: &Value, pointer: &str, out: &mut Vec<String>) {
        let below: Vec<(String, &Value)> = match value {
            Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
            }
            _ => Vec::new(),
        };
        for (key, value) in below {
            let pointer = format!("{pointer}/{key}");
            walk(value, &pointer, out);
            out.push(pointer);
        }
    }
    let mut out = Vec::new();
    walk(case, "", &mut out);
    let needed = |pointer: &String| {
        let has_secrets = case.pointer(pointer).is_some_and(|part| part.to_string().contains("\"no_log\""));
        has_secrets || pointer.ends_with("/no_log") || pointer == "/specification/argument_spec"
    };
    out.retain(|pointer| pointer.matches('/').count() > 1 && !needed(pointer));
    out.sort_by_key(|pointer| pointer.matches('/').count());
    out
}

fn without(case: &Value, pointer: &str) -> Value {
    let mut case = case.clone();
    if let Some((parent, key)) = pointer.rsplit_once('/') {
        let key = key.replace("~1", "/").replace("~0", "~");
        match case.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.shift_remove(&key)),
            Some(Value::Array(items)) => drop(key.parse().map(|index: usize| items.remove(index))),
            _ => {}
        }
    }
    case
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn number_from(variable: &str, default: u64) -> Result<u64> {
    match env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable} must be a number, not {text:?}")),
        Err(_) => Ok(default),
    }
}

const DEFAULT_SEED: u64 = 20_260_301;
const DEFAULT_PAIRS: u64 = 6_000;
const SHOWN: usize = 3;

/// A part of every sentence that must have been compared.
const SENTENCES: [&str; 21] = [
    "are set.",
    "in the sub parameter field",
    "Supported parameters include",
    "mutually exclusive",
    "missing required arguments",
    "unable to convert to bool",
    "unable to convert to int",
    "unable to convert to float",
    "unable to convert to list",
    "unable to convert to dict",
    "unable to convert to json",
    "Byte value",
    "Bit value",
    "Elements value for option",
    "must be one of",
    "must be one or more of",
    "required together",
    "one of the following is required",
    "of the following are missing",
    "required by",
    " -> ",
];
