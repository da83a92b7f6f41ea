//! The token file of `ansible-galaxy`: a YAML mapping with the key `token`. Everything else in that file stays byte for byte.
//!
//! YAML is edited only where it surely means what it seems to: lines of `key: value` at the left margin, or one object as JSON writes it. Other files
//! are refused.

use zeroize::Zeroizing;

use super::splice::{Edit, Object};
use super::{Entry, FormatError, HandedOver, Way, bytes, joined};
use crate::secret::Secret;

pub(super) struct GalaxyToken;

impl Way for GalaxyToken {
    fn write(&self, what: &HandedOver<'_>, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let file = TokenFile::parse(existing)?;
        if !what.token.reveal().chars().all(is_printable) {
            return Err(FormatError::Uncarried("token"));
        }
        Ok(file.bytes(&file.with(what.token)))
    }

    fn read(&self, content: &[u8], _entry: &Entry<'_>) -> Option<Secret> {
        TokenFile::parse(Some(content)).ok()?.token()
    }

    fn without(&self, content: &[u8], _entry: &Entry<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let file = TokenFile::parse(Some(content)).ok()?;
        let rest = file.without();
        (!rest.trim().is_empty()).then(|| file.bytes(&rest))
    }

    fn check(&self, existing: Option<&[u8]>, _entry: &Entry<'_>) -> Result<(), FormatError> {
        TokenFile::parse(existing).map(drop)
    }
}

struct TokenFile<'a> {
    /// The byte order mark that some editors put before a text.
    mark: &'a str,
    text: &'a str,
    mapping: Mapping<'a>,
}

enum Mapping<'a> {
    /// Lines, and among them that of the token.
    Lines(Option<Line<'a>>),
    /// An object of JSON.
    Object(Object<'a>),
}

/// The line of the token.
struct Line<'a> {
    whole: &'a str,
    /// What stands behind the colon, but for a comment.
    value: Scalar<'a>,
}

/// A value on one line: a piece of the text.
enum Scalar<'a> {
    /// None. The piece is empty and stands right behind the colon.
    Empty(&'a str),
    Plain(&'a str),
    /// In single quotes, which belong to the piece.
    Single(&'a str),
    /// In double quotes, with nothing escaped.
    Double(&'a str),
}

impl<'a> TokenFile<'a> {
    fn parse(existing: Option<&'a [u8]>) -> Result<Self, FormatError> {
        let content = std::str::from_utf8(existing.unwrap_or_default()).map_err(|_| FormatError::NotText)?;
        let (mark, text) = content.split_at(if content.starts_with(MARK) { MARK.len_utf8() } else { 0 });
        check_characters(text)?;
        let mapping = match text.trim_start().starts_with('{') {
            true => Mapping::Object(object(text)?),
            false => Mapping::Lines(lines(text)?),
        };
        Ok(Self { mark, text, mapping })
    }

    fn token(&self) -> Option<Secret> {
        match &self.mapping {
            Mapping::Lines(line) => line.as_ref()?.value.text(),
            Mapping::Object(object) => serde_json::from_str(object.named(TOKEN).pop()?.value).ok(),
        }
    }

    /// The text with this as the token.
    fn with(&self, token: &Secret) -> Zeroizing<String> {
        if self.token().as_ref() == Some(token) {
            return joined(&[self.text]);
        }
        match &self.mapping {
            Mapping::Lines(Some(line)) => line.value.replaced_by(&single_quoted(token)).apply(self.text),
            Mapping::Lines(None) => self.with_line(&single_quoted(token)),
            Mapping::Object(object) => {
                let value = |_: &_| double_quoted(token);
                let member = object.named(TOKEN).pop();
                member.map_or_else(|| object.insert(TOKEN, value), |member| member.replace(value)).apply(self.text)
            }
        }
    }

    fn with_line(&self, quoted: &str) -> Zeroizing<String> {
        let line_break = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let is_open = !self.text.is_empty() && !self.text.ends_with('\n');
        joined(&[self.text, if is_open { line_break } else { "" }, TOKEN, ": ", quoted, line_break])
    }

    fn without(&self) -> Zeroizing<String> {
        let edit = match &self.mapping {
            Mapping::Lines(line) => line.as_ref().map(|line| Edit::new(line.whole, Zeroizing::default())),
            Mapping::Object(object) => object.remove(TOKEN),
        };
        edit.map_or_else(|| joined(&[self.text]), |edit| edit.apply(self.text))
    }

    fn bytes(&self, text: &str) -> Zeroizing<Vec<u8>> {
        bytes(joined(&[self.mark, text]))
    }
}

impl<'a> Scalar<'a> {
    /// The value behind a colon, where it surely is one, and on this line alone.
    fn parse(behind_colon: &'a str) -> Option<Self> {
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
    fn is_harmless(&self) -> bool {
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
    fn text(&self) -> Option<Secret> {
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

    fn replaced_by(&self, quoted: &str) -> Edit<'a> {
        match self {
            Self::Empty(piece) => Edit::new(piece, joined(&[" ", quoted])),
            Self::Plain(piece) | Self::Single(piece) | Self::Double(piece) => Edit::new(piece, joined(&[quoted])),
        }
    }
}

/// The line of the token among the lines of a mapping.
fn lines(text: &str) -> Result<Option<Line<'_>>, FormatError> {
    let mut token = None;
    let mut is_mapping = false;
    let mut content = (1..).zip(text.split_inclusive('\n')).filter(|(_, line)| has_content(line)).peekable();
    content.next_if(|(_, line)| is_beginning(line));
    for (number, whole) in content {
        let line = whole.trim_end_matches(['\r', '\n']);
        let Some((key, value)) = key_and_value(line) else {
            let may_be_mapping = is_mapping || line.contains(':') || !line.starts_with(is_bare);
            return Err(match may_be_mapping {
                true => FormatError::Line { line: number, why: TOO_MUCH },
                false => FormatError::NotAMapping,
            });
        };
        is_mapping = true;
        if key == TOKEN && token.replace(Line { whole, value }).is_some() {
            return Err(FormatError::Twice(TOKEN.to_owned()));
        }
    }
    Ok(token)
}

fn has_content(line: &str) -> bool {
    let bare = line.trim_matches([' ', '\r', '\n']);
    !bare.is_empty() && !bare.starts_with('#')
}

/// Whether it is the line that may stand before a document.
fn is_beginning(line: &str) -> bool {
    let behind = line.trim_end_matches(['\r', '\n']).strip_prefix("---").map(Scalar::parse);
    matches!(behind, Some(Some(Scalar::Empty(_))))
}

/// How a token, a list or a quoted text may begin.
fn is_bare(first: char) -> bool {
    first.is_ascii_alphanumeric() || "-_['\"".contains(first)
}

fn key_and_value(line: &str) -> Option<(&str, Scalar<'_>)> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim_end_matches(' ');
    let quoted = |quote| key.strip_prefix(quote)?.strip_suffix(quote);
    let key = quoted('\'').or_else(|| quoted('"')).unwrap_or(key);
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let is_name = key.len() < LONGEST && key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let value = Scalar::parse(value)?;
    (is_name && key.chars().all(is_plain) && value.is_harmless()).then_some((key, value))
}

/// The object that a file in JSON is, where YAML reads the same.
fn object(text: &str) -> Result<Object<'_>, FormatError> {
    let object = Object::whole(text).map_err(|fault| fault.refusal("it"))?;
    if object.named(TOKEN).len() > 1 {
        return Err(FormatError::Twice(TOKEN.to_owned()));
    }
    let is_harmless = |value: &str| value.starts_with('"') || (!value.starts_with(['{', '[']) && value.len() < LONGEST);
    let is_simple = object.members().iter().all(|(key, member)| key.len() < LONGEST && is_harmless(member.value));
    for (number, line) in (1..).zip(text.lines()) {
        // YAML wants a colon on the line of its key, and makes two characters of a pair of surrogates.
        if !is_simple || line.trim_start().starts_with(':') || has_surrogate(line) {
            return Err(FormatError::Line { line: number, why: TOO_MUCH });
        }
    }
    Ok(object)
}

fn has_surrogate(line: &str) -> bool {
    let escapes = line.match_indices("\\u").filter_map(|(begin, _)| line.get(begin + 2..begin + 4));
    let mut codes = escapes.filter_map(|digits| u8::from_str_radix(digits, 16).ok());
    codes.any(|code| (0xd8..0xe0).contains(&code))
}

/// Neither YAML's further line breaks nor what it forbids nor tabs, which its readers take differently.
fn check_characters(text: &str) -> Result<(), FormatError> {
    for (number, line) in (1..).zip(text.split('\n')) {
        if !line.strip_suffix('\r').unwrap_or(line).chars().all(is_printable) {
            return Err(FormatError::Line { line: number, why: UNPRINTABLE });
        }
    }
    Ok(())
}

fn is_printable(character: char) -> bool {
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

fn single_quoted(token: &Secret) -> Zeroizing<String> {
    quoted("'", &Zeroizing::new(token.reveal().split('\'').collect::<Vec<_>>().join("''")))
}

fn double_quoted(token: &Secret) -> Zeroizing<String> {
    let slashes = Zeroizing::new(token.reveal().split('\\').collect::<Vec<_>>().join(r"\\"));
    quoted("\"", &Zeroizing::new(slashes.split('"').collect::<Vec<_>>().join("\\\"")))
}

fn quoted(quote: &str, text: &str) -> Zeroizing<String> {
    joined(&[quote, text, quote])
}

const TOKEN: &str = "token";

const MARK: char = '\u{feff}';

/// Longer keys are refused by YAML, longer numbers by Python.
const LONGEST: usize = 200;

/// What YAML takes for true, false or nothing.
const WORDS: [&str; 7] = ["yes", "no", "on", "off", "true", "false", "null"];

const TOO_MUCH: &str = "is more YAML than is edited here; leave only lines of `key: value` that begin at the left margin, or name another file";

const UNPRINTABLE: &str =
    "has a tab or another character that YAML does not take everywhere; replace it, or name another file";

#[cfg(test)]
mod tests;
