//! The token file of `ansible-galaxy`: a YAML mapping with the key `token`. Everything else in that file stays byte for byte.
//!
//! YAML is edited only where it surely means what it seems to: lines of `key: value` at the left margin, or one object as JSON writes it. Other files
//! are refused.

use zeroize::Zeroizing;

use super::splice::{Edit, Object};
use super::yaml::{
    LONGEST, MARK, Scalar, check_characters, has_content, is_beginning, is_printable, quoted, single_quoted,
};
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

fn double_quoted(token: &Secret) -> Zeroizing<String> {
    let slashes = Zeroizing::new(token.reveal().split('\\').collect::<Vec<_>>().join(r"\\"));
    quoted("\"", &Zeroizing::new(slashes.split('"').collect::<Vec<_>>().join("\\\"")))
}

const TOKEN: &str = "token";

const TOO_MUCH: &str = "is more YAML than is edited here; leave only lines of `key: value` that begin at the left margin, or name another file";

#[cfg(test)]
mod tests;
