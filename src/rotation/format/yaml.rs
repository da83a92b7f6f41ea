//! As much of YAML as is edited here: one `key: value` on each line, where it surely means what it seems to.

use zeroize::Zeroizing;

use super::splice::Edit;
use super::{FormatError, joined};
use crate::secret::Secret;

/// A value on one line: a piece of the text.
pub(super) enum Scalar<'a> {
    /// None. The piece is empty and stands right behind the colon.
    Empty(&'a str),
    Plain(&'a str),
    /// In single quotes, which belong to the piece.
    Single(&'a str),
    /// In double quotes, with nothing escaped.
    Double(&'a str),
}

impl<'a> Scalar<'a> {
    /// The value behind a colon, where it surely is one, and on this line alone.
    pub(super) fn parse(behind_colon: &'a str) -> Option<Self> {
        let value = behind_colon.trim_start_matches(' ');
        if value.is_empty() || value.starts_with('#') {
            return (behind_colon.is_empty() || behind_colon.starts_with(' '))
                .then_some(Self::Empty(&behind_colon[..0]));
        }
        if !behind_colon.starts_with(' ') {
            return None;
        }
        let (scalar, rest) = match value.as_bytes()[0] {
            b'\'' => {
                let end = end_of_single(value)?;
                (Self::Single(&value[..end]), &value[end..])
            }
            b'"' => {
                let end = value[1..].find('"')? + 2;
                (Self::Double(&value[..end]), &value[end..])
            }
            _ => {
                let end = value.find(" #").unwrap_or(value.len());
                let plain = value[..end].trim_end_matches(' ');
                (Self::Plain(plain), &value[plain.len()..])
            }
        };
        let comment = rest.trim_start_matches(' ');
        let is_alone = comment.is_empty() || (rest.starts_with(' ') && comment.starts_with('#'));
        (is_alone && scalar.is_surely_one()).then_some(scalar)
    }

    fn is_surely_one(&self) -> bool {
        match self {
            Self::Plain(plain) => is_plain(plain),
            Self::Double(quoted) => !quoted.contains('\\'),
            Self::Empty(_) | Self::Single(_) => true,
        }
    }

    /// Whether reading it cannot fail, as it does where a date is none.
    pub(super) fn is_harmless(&self) -> bool {
        match self {
            Self::Plain(plain) => {
                let is_number = plain.len() < LONGEST && plain.bytes().all(|byte| byte.is_ascii_digit());
                is_number
                    || is_text(plain)
                    || plain.starts_with(|first: char| first.is_ascii_alphabetic() || "_/~".contains(first))
            }
            Self::Empty(_) | Self::Single(_) | Self::Double(_) => true,
        }
    }

    /// What it stands for, where that is text.
    pub(super) fn text(&self) -> Option<Secret> {
        match self {
            Self::Empty(_) => None,
            Self::Plain(plain) => is_text(plain).then(|| Secret::new(*plain)),
            Self::Single(quoted) => {
                let pieces: Vec<_> = quoted[1..quoted.len() - 1].split("''").collect();
                Some(Secret::new(pieces.join("'")))
            }
            Self::Double(quoted) => Some(Secret::new(&quoted[1..quoted.len() - 1])),
        }
    }

    pub(super) fn replaced_by(&self, quoted: &str) -> Edit<'a> {
        match self {
            Self::Empty(piece) => Edit::new(piece, joined(&[" ", quoted])),
            Self::Plain(piece) | Self::Single(piece) | Self::Double(piece) => Edit::new(piece, joined(&[quoted])),
        }
    }
}

pub(super) fn has_content(line: &str) -> bool {
    let bare = line.trim_matches([' ', '\r', '\n']);
    !bare.is_empty() && !bare.starts_with('#')
}

/// Whether it is the line that may stand before a document.
pub(super) fn is_beginning(line: &str) -> bool {
    let behind = line.trim_end_matches(['\r', '\n']).strip_prefix("---").map(Scalar::parse);
    matches!(behind, Some(Some(Scalar::Empty(_))))
}

/// Neither YAML's further line breaks nor what it forbids nor tabs, which its readers take differently.
pub(super) fn check_characters(text: &str) -> Result<(), FormatError> {
    for (number, line) in (1..).zip(text.split('\n')) {
        if !line.strip_suffix('\r').unwrap_or(line).chars().all(is_printable) {
            return Err(FormatError::Line { line: number, why: UNPRINTABLE });
        }
    }
    Ok(())
}

pub(super) fn is_printable(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}' | MARK | '\u{fffe}' | '\u{ffff}')
}

fn end_of_single(value: &str) -> Option<usize> {
    let mut quotes = value.match_indices('\'').map(|(begin, _)| begin).skip(1).peekable();
    while let Some(quote) = quotes.next() {
        // Two of them stand for one.
        if quotes.next_if_eq(&(quote + 1)).is_none() {
            return Some(quote + 1);
        }
    }
    None
}

/// Whether it surely is one value without quotes.
fn is_plain(value: &str) -> bool {
    let is_safe = |character: char| character.is_ascii_alphanumeric() || " _./+=@,%~:-".contains(character);
    let begins = |first: char| first.is_ascii_alphanumeric() || "_/~.+".contains(first);
    value.starts_with(begins) && value.chars().all(is_safe) && value.split(' ').all(|word| !word.ends_with(':'))
}

/// Whether YAML takes a value without quotes for text, and not for a number, a date or a word with a meaning.
fn is_text(plain: &str) -> bool {
    if plain.starts_with(|first: char| first.is_ascii_digit()) {
        let is_binary =
            plain.strip_prefix("0b").is_some_and(|digits| digits.bytes().all(|digit| b"01".contains(&digit)));
        let has_letter = plain.bytes().any(|byte| byte.is_ascii_alphabetic());
        return plain.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && has_letter
            && !is_binary
            && !plain.starts_with("0x");
    }
    let is_word = WORDS.iter().any(|word| plain.eq_ignore_ascii_case(word));
    plain.starts_with(|first: char| first.is_ascii_alphabetic() || "_/".contains(first)) && !is_word
}

pub(super) fn single_quoted(token: &Secret) -> Zeroizing<String> {
    quoted("'", &Zeroizing::new(token.reveal().split('\'').collect::<Vec<_>>().join("''")))
}

pub(super) fn quoted(quote: &str, text: &str) -> Zeroizing<String> {
    joined(&[quote, text, quote])
}

pub(super) const MARK: char = '\u{feff}';

/// Longer keys are refused by YAML, longer numbers by Python.
pub(super) const LONGEST: usize = 200;

/// What YAML takes for true, false or nothing.
const WORDS: [&str; 7] = ["yes", "no", "on", "off", "true", "false", "null"];

pub(super) const UNPRINTABLE: &str =
    "has a tab or another character that YAML does not take everywhere; replace it, or name another file";
