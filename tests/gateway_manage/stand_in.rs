//! Stands in for `aap-gateway-manage`: `manage-stand-in FOLDER COMMAND …`, with its users, tokens and ways in that folder.
//!
//! `tokens` has a line for each token: whose, of which kind, its value. `way.json` says how it is to behave, and `calls` has what it was given.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};
use std::{env, process, thread};

use serde_json::Value;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let (folder, words) = words.split_first().ok_or("the folder is missing")?;
    let stand_in = StandIn::new(folder, words)?;
    let said = stand_in.answer(words)?;
    for line in &said.stderr {
        eprintln!("{line}");
    }
    for line in &said.stdout {
        println!("{line}");
    }
    io::stdout().flush()?;
    stand_in.misbehave("after printing");
    Ok(ExitCode::from(said.status))
}

struct StandIn {
    folder: PathBuf,
    way: Value,
}

#[derive(Default)]
struct Said {
    status: u8,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Said {
    fn error(message: impl Into<String>) -> Self {
        Self { status: 1, stderr: vec![message.into()], ..Self::default() }
    }
}

impl StandIn {
    fn new(folder: &str, words: &[String]) -> Result<Self, Box<dyn Error>> {
        let folder = PathBuf::from(folder);
        let way = serde_json::from_str(&fs::read_to_string(folder.join("way.json"))?)?;
        // The command line of whoever called is what everybody on the host can see.
        let caller = fs::read(format!("/proc/{}/cmdline", parent_id())).unwrap_or_default();
        append(&folder.join("seen"), &String::from_utf8_lossy(&caller).replace('\0', " "))?;
        append(&folder.join("calls"), &words.join(" "))?;
        Ok(Self { folder, way })
    }

    fn answer(&self, words: &[String]) -> Result<Said, Box<dyn Error>> {
        let command = words.first().map_or("", String::as_str);
        let flags = &words[1.min(words.len())..];
        let is = |flag: &str| flags.iter().any(|word| word == flag);
        let user = flags.iter().find_map(|word| word.strip_prefix("--user="));
        self.misbehave("at once");
        let mut said = match command {
            _ if self.way["says"].is_object() => self.told(),
            "create_oauth2_token" => self.create(user)?,
            "revoke_oauth2_tokens" if is("-h") => self.help(),
            "revoke_oauth2_tokens" => self.revoke(user, flags)?,
            "cleartokens" | "clearsessions" => Said::default(),
            "cleanup_tokens" | "cleanup_sessions" if self.way["counts"].is_array() => self.counted(command),
            _ => Said::error(format!("Unknown command: '{command}'\nType 'aap-gateway-manage help' for usage.")),
        };
        if self.way["noise"] == true {
            said.stderr.insert(0, NOISE.to_owned());
        }
        Ok(said)
    }

    fn create(&self, user: Option<&str>) -> Result<Said, Box<dyn Error>> {
        let Some(user) = user.filter(|user| !user.is_empty()) else {
            return Ok(Said::error("CommandError: Username not supplied. Usage: create_oauth2_token --user=username."));
        };
        if !self.knows(user) {
            return Ok(Said::error("CommandError: The user does not exist."));
        }
        let token = new_token();
        append(&self.folder.join("tokens"), &format!("{user} OAuth2AccessToken {token}"))?;
        self.misbehave("before printing");
        let line = match self.way["documented"] == true {
            true => format!("New OAuth2 token for {user}: {token}"),
            false => token,
        };
        Ok(Said { stdout: vec![line], ..Said::default() })
    }

    fn revoke(&self, user: Option<&str>, flags: &[String]) -> Result<Said, Box<dyn Error>> {
        let known: Vec<&str> = self.flags();
        let is_known = |flag: &&String| flag.starts_with("--user") || known.contains(&flag.as_str());
        if let Some(flag) = flags.iter().find(|flag| !is_known(flag)) {
            let usage = format!(
                "usage: aap-gateway-manage revoke_oauth2_tokens [-h]\naap-gateway-manage revoke_oauth2_tokens: error: unrecognized arguments: {flag}"
            );
            return Ok(Said { status: 2, ..Said::error(usage) });
        }
        if user.is_some_and(|user| !user.is_empty() && !self.knows(user)) {
            return Ok(Said::error("CommandError: A user with that username does not exist."));
        }
        let is_theirs = |line: &&&str| user.is_none_or(|user| user.is_empty() || line.starts_with(&format!("{user} ")));
        let is_hit =
            |line: &&&str| is_theirs(line) && (flags.len() > usize::from(user.is_some()) || !line.contains("Refresh"));
        let path = self.folder.join("tokens");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let hit: BTreeSet<&str> = lines.iter().filter(is_hit).copied().collect();
        let left: String = lines.iter().filter(|line| !hit.contains(**line)).map(|line| format!("{line}\n")).collect();
        fs::write(path, left)?;
        let told = |line: &&str| Some(format!("revoked {}", line.split_once(' ')?.1));
        Ok(Said { stdout: hit.iter().filter_map(told).collect(), ..Said::default() })
    }

    fn help(&self) -> Said {
        let flags: String = self.flags().iter().map(|flag| format!(" [{flag}]")).collect();
        Said {
            stdout: vec![format!(
                "usage: aap-gateway-manage revoke_oauth2_tokens [-h] [--user USER]{flags} [--version]"
            )],
            ..Said::default()
        }
    }

    fn counted(&self, command: &str) -> Said {
        let counts: Vec<String> = self.way["counts"].as_array().into_iter().flatten().map(Value::to_string).collect();
        let stderr = match command {
            "cleanup_tokens" => vec![
                format!("Expired OAuth 2 Access Tokens deleted: {}", counts[0]),
                format!("Expired OAuth 2 Refresh Tokens deleted: {}", counts[1]),
            ],
            _ => vec![format!("Expired Sessions deleted {}", counts[2])],
        };
        Said { stderr, ..Said::default() }
    }

    fn told(&self) -> Said {
        let says = &self.way["says"];
        let lines = |key: &str| says[key].as_str().into_iter().map(str::to_owned).collect();
        let status = says["status"].as_u64().and_then(|status| u8::try_from(status).ok()).unwrap_or_default();
        Said { status, stdout: lines("stdout"), stderr: lines("stderr") }
    }

    fn misbehave(&self, moment: &str) {
        let way = |key: &str| self.way[key] == moment;
        if way("hangs") {
            // A grandchild that would keep the output open for long.
            let _child = Command::new("sleep").arg("1000").spawn();
            thread::sleep(Duration::from_secs(1000));
        }
        if way("kills_caller") {
            let _killed = Command::new("kill").args(["-9", &parent_id().to_string()]).status();
        }
        if way("breaks_place") {
            let _broken = fs::remove_dir_all(self.folder.join("files"));
        }
        if way("is_killed") {
            let _killed = Command::new("kill").args(["-9", &process::id().to_string()]).status();
        }
    }

    fn knows(&self, user: &str) -> bool {
        self.way["users"].as_array().into_iter().flatten().any(|known| known == user)
    }

    fn flags(&self) -> Vec<&str> {
        self.way["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(format!("{line}\n").as_bytes())
}

/// Thirty letters and digits that no other run has.
fn new_token() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let mut seed = now.wrapping_mul(u128::from(process::id()) | 1);
    let mut letter = || {
        seed = seed.wrapping_mul(0xda94_2042_e4dd_58b5).wrapping_add(0x9e37_79b9);
        char::from(LETTERS[(seed >> 64) as usize % LETTERS.len()])
    };
    (0..30).map(|_| letter()).collect()
}

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const NOISE: &str = "2026-11-22 11:38:15,000 WARNING [-] ansible_base.lib: a line of a log\n/usr/lib/x.py:3: DeprecationWarning: old\n  import x";
