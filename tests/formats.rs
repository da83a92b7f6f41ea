//! What we write into the files of ansible-galaxy beside what ansible reads there, over generated files.
//!
//! `TOKENSMITH_PYTHON` names a Python that has ansible-core. `TOKENSMITH_SEED` and `TOKENSMITH_FILES` change what is compared, and how much of it.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokensmith::rotation::{Entry, Format, GalaxyServer, HandedOver};
use tokensmith::secret::Secret;

#[test]
fn ansible_galaxy_reads_the_new_token_and_all_else_as_before_from_a_token_file() -> Result<()> {
    let mut comparison = Comparison::start("galaxy_token")?;
    for (number, text) in files(token_file)?.into_iter().enumerate() {
        let token = TOKENS[number % TOKENS.len()];
        let Some([before, after, without]) = comparison.read(Format::GalaxyToken, &text, token)? else { continue };
        let told = format!("{text:?}: {before} became {after}, and without the token {without}");
        assert_eq!(after["token"], token, "{told}");
        assert_eq!((&after["rest"], &without["rest"]), (&before["rest"], &before["rest"]), "{told}");
        assert_eq!(without["token"], Value::Null, "{told}");
        check_reading(Format::GalaxyToken, &text, &before["token"]);
    }
    comparison.check_that_enough_was_seen(30)
}

#[test]
fn ansible_galaxy_reads_the_new_token_and_all_else_as_before_from_an_ansible_cfg() -> Result<()> {
    let mut comparison = Comparison::start("ansible_cfg")?;
    for (number, text) in files(ansible_cfg)?.into_iter().enumerate() {
        let token = TOKENS[number % TOKENS.len()];
        let Some([before, after, without]) = comparison.read(Format::AnsibleCfg, &text, token)? else { continue };
        let told = format!("{text:?}: {before} became {after}, and without the token {without}");
        assert_eq!(after["token"], token, "{told}");
        assert_eq!((&after["rest"], &without["rest"]), (&before["rest"], &before["rest"]), "{told}");
        match before["has_section"] == true {
            true => assert_eq!((&after["own"], &without["own"]), (&before["own"], &before["own"]), "{told}"),
            false => assert_eq!(
                (&after["url"], &after["own"]),
                (&json!(URL), &json!(format!("{{'url': '{URL}'}}"))),
                "{told}"
            ),
        }
        check_reading(Format::AnsibleCfg, &text, &before["token"]);
        let remarks = Format::AnsibleCfg.remarks(Some(text.as_bytes()), ENTRY);
        assert_eq!(remarks.iter().any(|remark| remark.contains("server_list")), before["is_listed"] == false, "{told}");
    }
    comparison.check_that_enough_was_seen(30)
}

/// The process that reads files as ansible does, and running totals.
struct Comparison {
    format: &'static str,
    _folder: TempDir,
    process: Child,
    cases: ChildStdin,
    results: BufReader<ChildStdout>,
    written: usize,
    refused: usize,
    /// Files that only we refuse.
    refused_by_us: usize,
}

impl Comparison {
    fn start(format: &'static str) -> Result<Self> {
        let python = env::var_os("TOKENSMITH_PYTHON")
            .context("TOKENSMITH_PYTHON must name a Python that has ansible-core; `make test` sets it")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/formats/reference.py");
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("ansible.cfg");
        fs::write(&file, "")?;
        let mut process = Command::new(&python)
            .args(["-W", "ignore", script])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be run", python.display()))?;
        let cases = process.stdin.take().context("the reference has no standard input")?;
        let results = process.stdout.take().map(BufReader::new).context("the reference has no standard output")?;
        Ok(Self { format, _folder: folder, process, cases, results, written: 0, refused: 0, refused_by_us: 0 })
    }

    /// What ansible reads of a file, of the same with a new token, and of that without it. Nothing where we refuse it.
    fn read(&mut self, format: Format, text: &str, token: &str) -> Result<Option<[Value; 3]>> {
        let secret = Secret::new(token);
        let Entry { login, galaxy_server } = ENTRY;
        let what =
            HandedOver { token: &secret, name: "token", token_type: None, expires_at: None, login, galaxy_server };
        let after = match format.write(&what, Some(text.as_bytes())) {
            Ok(after) => String::from_utf8(after.to_vec())?,
            Err(why) => {
                self.refused += 1;
                let is_read = self.ask(&[text])?[0].get("error").is_none();
                self.refused_by_us += usize::from(is_read);
                // Of an ansible.cfg all is understood; only a token over several lines is no token.
                let is_excused = format == Format::GalaxyToken || why.to_string().contains("a token that goes on");
                assert!(!is_read || is_excused, "{text:?} is refused, and ansible reads it: {why}");
                return Ok(None);
            }
        };
        self.written += 1;
        check_bytes(text, &after);
        let without = format.without(after.as_bytes(), ENTRY).unwrap_or_default();
        let without = String::from_utf8(without.to_vec())?;
        let [before, after, without] = &self.ask(&[text, &after, &without])?[..] else {
            anyhow::bail!("the reference did not answer for all")
        };
        for read in [before, after, without] {
            ensure!(read.get("error").is_none(), "ansible does not read it any more, or never did: {text:?}: {read}");
        }
        Ok(Some([before.clone(), after.clone(), without.clone()]))
    }

    fn ask(&mut self, texts: &[&str]) -> Result<Vec<Value>> {
        writeln!(self.cases, "{}", json!({ "format": self.format, "texts": texts }))?;
        let mut line = String::new();
        self.results.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the reference ended; has this Python ansible-core? The files were {texts:?}");
        Ok(serde_json::from_str(&line)?)
    }

    fn check_that_enough_was_seen(&self, percent: usize) -> Result<()> {
        let Self { written, refused, refused_by_us, .. } = self;
        println!("{written} files were written to, {refused} refused, {refused_by_us} of these only by us");
        let least = (written + refused) * percent / 100;
        ensure!(*written > least && *refused > least / 4, "{written} files were written to, {refused} refused");
        Ok(())
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Only within one line may anything differ, or something was put between two.
fn check_bytes(before: &str, after: &str) {
    let same = before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
    let rest = before.len().min(after.len()) - same;
    let tail = before.bytes().rev().zip(after.bytes().rev()).take(rest).take_while(|(one, other)| one == other).count();
    let changed = &before.as_bytes()[same..before.len() - tail];
    assert!(!changed.contains(&b'\n'), "{before:?} became {after:?}");
}

/// We read what ansible reads, or nothing where that is no token: several lines, or text that nearly is a number.
fn check_reading(format: Format, text: &str, theirs: &Value) {
    let theirs = theirs.as_str().unwrap_or_default();
    let is_no_token = theirs.contains('\n') || (theirs.len() < 12 && !theirs.starts_with(char::is_alphabetic));
    match format.read(text.as_bytes(), ENTRY) {
        Some(ours) => assert_eq!(ours.reveal(), theirs, "{text:?}"),
        None => assert!(theirs.is_empty() || is_no_token, "{text:?} is read as nothing, and by ansible as {theirs:?}"),
    }
}

fn files(make: fn(&mut Random) -> String) -> Result<Vec<String>> {
    let number = |variable, default: u64| match env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable} must be a number, not {text:?}")),
        Err(_) => Ok(default),
    };
    let mut random = Random(number("TOKENSMITH_SEED", 20_261_122)?);
    Ok((0..number("TOKENSMITH_FILES", 3_000)?).map(|_| make(&mut random)).collect())
}

fn token_file(random: &mut Random) -> String {
    let mark = if random.chance(4) { "\u{feff}" } else { "" };
    let text = if random.chance(25) { json_file(random) } else { yaml_file(random) };
    mark.to_owned() + &text
}

fn yaml_file(random: &mut Random) -> String {
    let line_break = random.pick(&["\n", "\n", "\n", "\r\n"]);
    let mut lines = Vec::new();
    if random.chance(20) {
        lines.push(random.pick(&["---", "--- # mine", "---  ", "--- x", "%YAML 1.1", "---#x"]).to_owned());
    }
    for index in 0..random.below(4) {
        let odd = random.chance(10);
        if odd {
            lines.push(random.pick(ODD_LINES).to_owned());
            continue;
        }
        lines.push(match random.below(4) {
            0 => random.pick(&["", "  ", "# token: x", "   # x: 'y"]).to_owned(),
            1 => member(random, &["token", "'token'", "\"token\"", "token "]),
            _ => member(random, &[["a", "'b.c'", "_d-e", "Token"][index % 4]]),
        });
    }
    let end = if random.chance(20) { "" } else { line_break };
    lines.join(line_break) + end
}

fn member(random: &mut Random, keys: &[&'static str]) -> String {
    let values = if random.chance(8) { ODD_VALUES } else { VALUES };
    let (key, value) = (random.pick(keys), random.pick(values));
    let comment = random.pick(&["", "", "", " # x: y", "  ", " #"]);
    [key, random.pick(&[": ", ": ", ":  "]), value, comment].concat()
}

fn json_file(random: &mut Random) -> String {
    let (space, odd) = (random.pick(&["", " ", "\n  ", "\r\n"]), random.chance(10));
    let mut members = Vec::new();
    for key in ["\"token\"", "\"a\"", "\"t\\u006fken2\"", "\"\""] {
        let value = random.pick(if odd { ODD_JSON } else { JSON });
        if random.chance(50) {
            members.push([key, random.pick(&["", "", " "]), ":", random.pick(&["", " ", space]), value].concat());
        }
    }
    let inner = members.join(&format!(",{space}"));
    ["{", space, &inner, space, "}", random.pick(&["", "\n", "\r\n"])].concat()
}

fn ansible_cfg(random: &mut Random) -> String {
    let line_break = random.pick(&["\n", "\n", "\r\n"]);
    let mut lines: Vec<String> = Vec::new();
    let mut headers = HEADERS.to_vec();
    for _ in 0..random.below(5) {
        if !headers.is_empty() {
            let header = headers.swap_remove(random.below(headers.len()));
            lines.push([random.pick(INDENTS), header, random.pick(&["", "", " ; x", "x", " "])].concat());
        }
        for option in OPTIONS {
            if random.chance(30) {
                let value = random.pick(CFG_VALUES);
                lines.push([random.pick(INDENTS), option, random.pick(&["=", " = ", ": ", " :\t"]), value].concat());
            }
            if random.chance(12) {
                lines.push(random.pick(CFG_LINES).to_owned());
            }
        }
        if random.chance(2) {
            lines.push(random.pick(ODD_CFG_LINES).to_owned());
        }
    }
    let end = if random.chance(20) { "" } else { line_break };
    lines.join(line_break) + end
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
}

const URL: &str = "https://hub.example.com/api/galaxy/";
const ENTRY: Entry<'_> = Entry { login: None, galaxy_server: Some(GalaxyServer { name: "hub", url: URL }) };

/// Hexadecimal digits that YAML could take for numbers, and others.
const TOKENS: [&str; 8] = [
    "0123456789012345678901234567890123456789",
    "1234567890e23456789012345678901234567890",
    "0x23456789012345678901234567890123456789",
    "0b0101010101010101010101010101010101010101",
    "abcdefabcdefabcdefabcdefabcdefabcdefabcd",
    "eyJhbGciOi.J9-_a.b~+/=",
    "yes",
    "%(x)s'\"#:",
];

const VALUES: &[&str] = &[
    "",
    "t0ken",
    "'t0ken'",
    "\"t0ken\"",
    "'it''s: # x'",
    "''",
    "\"\"",
    "\"# x\"",
    "0a1b",
    "0123e56789a123456789",
    "123",
    "a b",
    "a-b",
    "a:b",
    "https://hub.example.com/",
    "~",
    "yes",
    "Off",
    "null",
    "/a/b",
    "_x",
    "a=b,c@d%e",
    "NULL",
    "Y",
    "0",
    "012",
    "08",
    "~x",
    "inf",
    "a - b",
    "a  b",
];

const ODD_VALUES: &[&str] = &[
    "|",
    ">-",
    "&a b",
    "*a",
    "!!str a",
    "{a: b}",
    "[a]",
    "'a",
    "'a'b",
    "'a'#b",
    "\"a\\n\"",
    "a: b",
    "a:",
    "- a",
    "@a",
    "`a`",
    "? a",
    "%a",
    ",a",
    "a\tb",
    "0b01",
    "0x1f",
    "1.5e+3",
    ".5",
    "1_000",
    "1e3",
    "2020-02-02",
    "2020-13-45",
    "12:34",
    ".inf",
    "+1",
    "-1",
    "=",
    "<<",
    "0b2",
    "0x_",
    "\u{e9}",
    "'\u{e9}'",
    "'\u{1f600}'",
    "'a\u{85}b'",
    "'\u{7f}'",
    "...",
    "--- a",
    "0o17",
    "1__0",
    "1.",
    "1.e",
    "0b",
    "+",
    ".",
    "+.e",
];

const ODD_LINES: &[&str] = &[
    "---", "...", "  a: b", "  b", "- a", "t0ken", "? a", ": b", "<<: *a", "token:b", "token:", "\ta: b", "'a: b",
    "{}", "[", "é: a", "a b: c", "1: b", "token: x",
];

const JSON: &[&str] = &[
    "1",
    "\"t0ken\"",
    "\"\"",
    "null",
    "true",
    "-1.50",
    "\"a\\\"b\"",
    "\"\\u00e9\\/\"",
    "\"# x: y\"",
    "1e9",
    "\"\u{e9}\"",
];

const ODD_JSON: &[&str] = &[
    "[1]",
    "{\"a\": 1}",
    "\"\\ud83d\\ude00\"",
    "t0ken",
    "'a'",
    "1\n",
    "\"\\ud800\"",
    "1E+2",
    "\"\u{7f}\"",
    "\"\u{2028}\"",
];

const HEADERS: [&str; 6] =
    ["[galaxy]", "[galaxy_server.hub]", "[galaxy_server.Hub]", "[defaults]", "[DEFAULT]", "[a] b]"];

const INDENTS: &[&str] = &["", "", "", "", "  ", "\t", " \u{a0}"];

const OPTIONS: [&str; 5] = ["server_list", "url", "token", "Auth_URL", "x y"];

const CFG_VALUES: &[&str] = &[
    "",
    "t0ken",
    "hub",
    "a, hub",
    "'hub',b",
    "hub b",
    "https://hub.example.com/",
    "\"t0ken\"",
    "'t0ken",
    "a;b",
    "a ; b",
    "a # b",
    "; b",
    "%(x)s",
    "%",
    "a=b",
    ": a",
    "\"a\\\"",
    "a\u{a0};b",
    "\u{e9}",
];

const CFG_LINES: &[&str] =
    &["", "  ", "# x", ";x = 1", "  # x", "  more", "\tmore: x", "   [more]", "    token = x", "\u{1f} y"];

const ODD_CFG_LINES: &[&str] = &["x", "[]", "= x", "[galaxy]", "url = x", "\u{feff}", "[x", "[DEFAULT]", "[[x]]"];
