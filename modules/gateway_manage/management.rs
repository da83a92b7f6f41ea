//! The management command: how it is run, and what its failures mean.

use std::time::Duration;

use thiserror::Error;
use tokensmith::command::{CommandError, Ended, Printed, Program};

/// The management command of a gateway or a controller.
pub(super) struct Management<'a> {
    pub(super) program: &'a Program,
    /// For one run of it.
    pub(super) limit: Duration,
    /// Whom it is asked about.
    pub(super) user: Option<&'a str>,
}

/// Why it did not do what it was asked to. Nothing here repeats what it printed on standard output.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    NotEnded(#[from] CommandError),
    #[error(
        "{program} does not know the command {command}; is the executable the management command of a gateway or a controller?"
    )]
    UnknownCommand { program: String, command: String },
    #[error("there is no user {0}; the name is compared exactly, capital and small letters told apart")]
    NoUser(String),
    #[error(
        "the user {user} belongs to the external authentication provider {provider}, and the platform lets such users have no tokens; take a local \
         user, or allow external users to create OAuth2 tokens in the platform's settings"
    )]
    External { user: String, provider: String },
    #[error("{call} was not allowed to read what it needs ({said}); use become, as root or the service's user")]
    NotAllowed { call: String, said: String },
    #[error("{call} was used wrongly, it says ({said}); is it of another version?")]
    Usage { call: String, said: String },
    #[error("{call} failed with status {status}: {said}")]
    Failed { call: String, status: i32, said: String, has_printed: bool },
}

impl Management<'_> {
    /// Runs one command to its good end.
    pub(super) fn run(&self, words: &[&str]) -> Result<Ended, Refusal> {
        let ended = self.program.run(words, self.limit)?;
        if ended.status == 0 { Ok(ended) } else { Err(self.refusal(words, &ended)) }
    }

    /// The same where the command may be missing: then nothing.
    pub(super) fn run_if_known(&self, words: &[&str]) -> Result<Option<Ended>, Refusal> {
        match self.run(words) {
            Ok(ended) => Ok(Some(ended)),
            Err(Refusal::UnknownCommand { .. }) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Such as `--user=bob`: one word, so that no name is taken for a flag.
    pub(super) fn user_flag(&self) -> Option<String> {
        self.user.map(|user| format!("--user={user}"))
    }

    fn refusal(&self, words: &[&str], ended: &Ended) -> Refusal {
        let command = words.first().copied().unwrap_or_default();
        let call = format!("{} {command}", self.program.name());
        let find = |sign: &str| ended.stderr.lines().rev().find_map(|line| Some(line.split_once(sign)?.1.to_owned()));
        let user = || self.user.unwrap_or_default().to_owned();
        if find(&format!("Unknown command: '{command}'")).is_some() {
            return Refusal::UnknownCommand { program: self.program.name(), command: command.to_owned() };
        }
        if let Some(provider) = find("associated with an external authentication provider") {
            let provider = shown(provider.trim_matches(|each: char| " ().".contains(each)));
            return Refusal::External { user: user(), provider };
        }
        let said = find("CommandError: ").unwrap_or_else(|| last_line(&ended.stderr));
        let is_no_user = ["The user does not exist", "A user with that username does not exist"];
        if is_no_user.iter().any(|sentence| said.starts_with(sentence)) {
            return Refusal::NoUser(user());
        }
        let said = shown(&said);
        match ended.status {
            _ if said.contains("PermissionError") || said.contains("Permission denied") => {
                Refusal::NotAllowed { call, said }
            }
            2 => Refusal::Usage { call, said },
            status => Refusal::Failed { call, status, said, has_printed: !ended.stdout.is_blank() },
        }
    }
}

impl Refusal {
    /// Whether it can have done what it was asked to all the same.
    pub(super) fn may_have_acted(&self) -> bool {
        match self {
            Self::NotEnded(error) => matches!(
                error,
                CommandError::TimedOut { .. } | CommandError::Killed { .. } | CommandError::TooMuchOutput { .. }
            ),
            // These are its own, and those of podman and a shell that did not come so far as to run it. It prints what it has done, last of all.
            Self::Failed { status, has_printed, .. } => *has_printed || ![1, 125, 126, 127].contains(status),
            _ => false,
        }
    }
}

fn last_line(printed: &Printed) -> String {
    let line = printed.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(|| "it did not say why".to_owned(), |line| line.trim().to_owned())
}

/// A line that it printed, as a message may repeat it: short, and without a word that could be a token.
fn shown(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|each: char| !each.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, behind) = if end == 0 { rest.split_at(first.len_utf8()) } else { rest.split_at(end) };
        match word {
            _ if could_be_token(word) => text.push_str("********"),
            _ if first.is_control() => text.push(' '),
            _ => text.push_str(word),
        }
        rest = behind;
    }
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Names of errors are long too, but have no digits.
fn could_be_token(word: &str) -> bool {
    word.len() >= LONGEST_WORD || (word.len() >= SHORTEST_TOKEN && word.bytes().any(|byte| byte.is_ascii_digit()))
}

/// Fewer letters and digits in a row are no token.
pub(super) const SHORTEST_TOKEN: usize = 20;
const LONGEST_WORD: usize = 28;
const LONGEST_SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_without_what_could_be_a_token() {
        for (line, expected) in [
            ("django.core.exceptions.ImproperlyConfigured: no DATABASES", None),
            (
                "revoked OAuth2AccessToken $sha256$0123456789abcdef0123456789abcdef",
                Some("revoked OAuth2AccessToken $sha256$********"),
            ),
            ("x=aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3!", Some("x=********!")),
            ("abcdefghijklmnopqrstuvwxyzabcdef", Some("********")),
            ("a\u{1b}[31mred\u{7} é", Some("a [31mred  é")),
        ] {
            assert_eq!(shown(line), expected.unwrap_or(line));
        }
        assert_eq!(shown(&"é ".repeat(500)).chars().count(), LONGEST_SHOWN + 1);
    }
}
