//! The entry of a Central in the file of roxctl (`roxctl-config.yaml`). Everything else in that file stays byte for byte.
//!
//! roxctl writes nothing but mappings in mappings, one key on each line. Such files are edited, others are refused.

use chrono::DateTime;
use zeroize::Zeroizing;

use super::splice::offset;
use super::yaml::{LONGEST, MARK, Scalar, check_characters, has_content, is_beginning, is_printable, single_quoted};
use super::{Entry, FormatError, HandedOver, Way, bytes, joined};
use crate::jwt::Claims;
use crate::secret::Secret;
use crate::timestamp::timestamp;

pub(super) struct RoxctlConfig;

impl Way for RoxctlConfig {
    fn write(&self, what: &HandedOver<'_>, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let central = what.central.ok_or(FormatError::NoCentral)?;
        let config = Config::parse(existing, central)?;
        if !what.token.reveal().chars().all(is_printable) {
            return Err(FormatError::Uncarried("token"));
        }
        if config.token().as_ref() == Some(what.token) {
            return Ok(config.bytes(config.text));
        }
        let issued_at = Claims::of(what.token).and_then(|claims| claims.issued_at());
        let access = [
            (ACCESS_TOKEN, Some(single_quoted(what.token))),
            (ISSUED_AT, issued_at.map(timestamp).map(Zeroizing::new)),
            (EXPIRES_AT, what.expires_at.map(timestamp).map(Zeroizing::new)),
            // It would bring another login back when the token has ended.
            (REFRESH_TOKEN, None),
        ];
        Ok(config.bytes(&config.with(access)))
    }

    fn read(&self, content: &[u8], entry: &Entry<'_>) -> Option<Secret> {
        Config::parse(Some(content), entry.central?).ok()?.token()
    }

    fn without(&self, content: &[u8], entry: &Entry<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let config = Config::parse(Some(content), entry.central?).ok()?;
        let rest = config.without();
        let is_empty = rest.lines().all(|line| line.trim().is_empty() || line.trim_end() == "centrals:");
        (!is_empty).then(|| config.bytes(&rest))
    }

    fn check(&self, existing: Option<&[u8]>, entry: &Entry<'_>) -> Result<(), FormatError> {
        Config::parse(existing, entry.central.ok_or(FormatError::NoCentral)?).map(drop)
    }

    fn remarks(&self, existing: Option<&[u8]>, entry: &Entry<'_>) -> Vec<String> {
        let Some(central) = entry.central else { return Vec::new() };
        let config = Config::parse(existing, central).ok();
        let has_login = config.is_some_and(|config| config.is_login());
        let remark = || {
            format!("The entry of {central} is that of an interactive login (roxctl central login); it is replaced.")
        };
        has_login.then(remark).into_iter().collect()
    }
}

/// A file, and where in it the entry of a Central is or goes.
struct Config<'a> {
    central: &'a str,
    /// The byte order mark that some editors put before a text.
    mark: &'a str,
    text: &'a str,
    lines: Vec<Line<'a>>,
    /// The lines of `centrals`, of the Central and of `access`, as far as they are there.
    path: Vec<usize>,
}

/// A line with a key.
struct Line<'a> {
    /// Its number, from one.
    number: usize,
    whole: &'a str,
    indent: usize,
    key: &'a str,
    value: Value<'a>,
}

enum Value<'a> {
    Scalar(Scalar<'a>),
    /// `{}`, a piece of the text.
    NoMembers(&'a str),
}

/// What is to stand instead of a piece of the text.
struct Change<'a> {
    piece: &'a str,
    new: Zeroizing<String>,
}

type Access = [(&'static str, Option<Zeroizing<String>>); 4];

impl<'a> Config<'a> {
    fn parse(existing: Option<&'a [u8]>, central: &'a str) -> Result<Self, FormatError> {
        let content = std::str::from_utf8(existing.unwrap_or_default()).map_err(|_| FormatError::NotText)?;
        let (mark, text) = content.split_at(if content.starts_with(MARK) { MARK.len_utf8() } else { 0 });
        check_characters(text)?;
        let mut config = Self { central, mark, text, lines: lines(text)?, path: Vec::new() };
        for name in ["centrals", central, "access"] {
            let Some(line) = config.member(config.path.last().copied(), name)? else { break };
            if !config.is_mapping(line) {
                return Err(FormatError::Line { line: config.lines[line].number, why: NO_MAPPING });
            }
            config.path.push(line);
        }
        for name in [ACCESS_TOKEN, ISSUED_AT, EXPIRES_AT, REFRESH_TOKEN] {
            let line = config.access().map(|access| config.member(Some(access), name)).transpose()?.flatten();
            if let Some(line) = line.filter(|line| config.has_members(*line)) {
                return Err(FormatError::Line { line: config.lines[line].number, why: TOO_MUCH });
            }
        }
        Ok(config)
    }

    /// The token, where it is not that of a person who logged in.
    fn token(&self) -> Option<Secret> {
        if self.is_login() {
            return None;
        }
        match &self.leaf(ACCESS_TOKEN)?.value {
            Value::Scalar(scalar) => scalar.text().filter(|token| !token.is_empty()),
            Value::NoMembers(_) => None,
        }
    }

    /// Whether `roxctl central login` wrote the entry. The exchange of a machine's token has nothing to refresh.
    fn is_login(&self) -> bool {
        self.leaf(REFRESH_TOKEN).is_some_and(|leaf| !leaf.is_open())
    }

    /// The text with this in the entry.
    fn with(&self, access: Access) -> Zeroizing<String> {
        let Some(line) = self.access().filter(|line| self.has_members(*line)) else { return self.with_entry(&access) };
        let indent = self.lines[self.members(Some(line))[0]].indent;
        let (mut changes, mut new) = (Vec::new(), Vec::new());
        for (name, value) in access {
            match (self.leaf(name), value) {
                (Some(leaf), Some(value)) => changes.push(leaf.set(value)),
                (Some(leaf), None) => changes.push(Change { piece: leaf.whole, new: Zeroizing::default() }),
                (None, Some(value)) => new.push(self.line(indent, name, &value)),
                (None, None) => {}
            }
        }
        changes.push(self.behind(Some(line), &joined_all(&new)));
        self.changed(changes)
    }

    /// The text with an entry that was not there, or not all of it.
    fn with_entry(&self, access: &Access) -> Zeroizing<String> {
        let parent = self.path.last().copied();
        let mut indent = match parent {
            None => 0,
            Some(line) if self.has_members(line) => self.lines[self.members(parent)[0]].indent,
            Some(line) => self.lines[line].indent + self.step(),
        };
        let mut new = Vec::new();
        let central = format!("'{}'", self.central);
        for name in ["centrals", &central, "access"].into_iter().skip(self.path.len()) {
            new.push(self.line(indent, name, ""));
            indent += self.step();
        }
        for (name, value) in access {
            new.extend(value.as_ref().map(|value| self.line(indent, name, value)));
        }
        let mut changes = vec![self.behind(parent, &joined_all(&new))];
        if let Some(Value::NoMembers(piece)) = parent.map(|line| &self.lines[line].value) {
            changes.push(Change { piece, new: Zeroizing::default() });
        }
        self.changed(changes)
    }

    /// The text without the entry.
    fn without(&self) -> Zeroizing<String> {
        let Some(entry) = self.path.get(1).copied().filter(|_| self.token().is_some()) else {
            return joined(&[self.text]);
        };
        let piece = &self.text[offset(self.text, self.lines[entry].whole)..self.end(Some(entry))];
        self.changed(vec![Change { piece, new: Zeroizing::default() }])
    }

    fn access(&self) -> Option<usize> {
        self.path.get(2).copied()
    }

    /// A line right below `access`.
    fn leaf(&self, name: &str) -> Option<&Line<'a>> {
        self.member(Some(self.access()?), name).ok()?.map(|line| &self.lines[line])
    }

    fn member(&self, parent: Option<usize>, name: &str) -> Result<Option<usize>, FormatError> {
        let mut named = self.members(parent).into_iter().filter(|line| self.lines[*line].key == name);
        match (named.next(), named.next()) {
            (_, Some(_)) => Err(FormatError::Twice(name.to_owned())),
            (line, None) => Ok(line),
        }
    }

    /// The lines of a mapping's own keys.
    fn members(&self, parent: Option<usize>) -> Vec<usize> {
        let (begin, outer) = parent.map_or((0, None), |line| (line + 1, Some(self.lines[line].indent)));
        let block =
            (begin..self.lines.len()).take_while(|line| outer.is_none_or(|outer| self.lines[*line].indent > outer));
        let block: Vec<usize> = block.collect();
        let indent = block.first().map(|line| self.lines[*line].indent);
        block.into_iter().filter(|line| Some(self.lines[*line].indent) == indent).collect()
    }

    fn has_members(&self, line: usize) -> bool {
        !self.members(Some(line)).is_empty()
    }

    fn is_mapping(&self, line: usize) -> bool {
        matches!(self.lines[line].value, Value::NoMembers(_) | Value::Scalar(Scalar::Empty(_)))
    }

    /// Where the last line of a mapping ends, or that of the file.
    fn end(&self, parent: Option<usize>) -> usize {
        let Some(parent) = parent else { return self.text.len() };
        let outer = self.lines[parent].indent;
        let behind = |line: &&Line<'_>| line.indent > outer;
        let last = self.lines[parent + 1..].iter().take_while(behind).last().unwrap_or(&self.lines[parent]);
        offset(self.text, last.whole) + last.whole.len()
    }

    /// Lines behind the last one of a mapping.
    fn behind(&self, parent: Option<usize>, new: &str) -> Change<'a> {
        let end = self.end(parent);
        let is_open = end > 0 && !self.text[..end].ends_with('\n') && !new.is_empty();
        Change { piece: &self.text[end..end], new: joined(&[if is_open { self.line_break() } else { "" }, new]) }
    }

    fn line(&self, indent: usize, key: &str, value: &str) -> Zeroizing<String> {
        let blank = if value.is_empty() { "" } else { " " };
        joined(&[&" ".repeat(indent), key, ":", blank, value, self.line_break()])
    }

    fn line_break(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// By how much a mapping is indented more than its key. roxctl itself takes four blanks.
    fn step(&self) -> usize {
        let steps = self.lines.windows(2).map(|pair| pair[1].indent.saturating_sub(pair[0].indent));
        steps.into_iter().find(|step| *step > 0).unwrap_or(4)
    }

    fn changed(&self, mut changes: Vec<Change<'_>>) -> Zeroizing<String> {
        // What is put between two lines comes behind a change of the line before.
        changes.sort_by_key(|change| (offset(self.text, change.piece), !change.piece.is_empty()));
        let (mut parts, mut at) = (Vec::new(), 0);
        for change in &changes {
            let begin = offset(self.text, change.piece);
            parts.extend([&self.text[at..begin], change.new.as_str()]);
            at = begin + change.piece.len();
        }
        parts.push(&self.text[at..]);
        joined(&parts)
    }

    fn bytes(&self, text: &str) -> Zeroizing<Vec<u8>> {
        bytes(joined(&[self.mark, text]))
    }
}

impl<'a> Line<'a> {
    fn parse(number: usize, whole: &'a str) -> Option<Self> {
        let line = whole.trim_end_matches(['\r', '\n']);
        let content = line.trim_start_matches(' ');
        let (key, behind) = key_of(content)?;
        let bare = behind.trim_matches(' ');
        let value = match bare == "{}" && behind.starts_with(' ') {
            true => Value::NoMembers(bare),
            false => Value::Scalar(Scalar::parse(behind).filter(is_harmless)?),
        };
        Some(Self { number, whole, indent: line.len() - content.len(), key, value })
    }

    fn set(&self, value: Zeroizing<String>) -> Change<'a> {
        match &self.value {
            Value::Scalar(Scalar::Empty(piece)) => Change { piece, new: joined(&[" ", &value]) },
            Value::Scalar(Scalar::Plain(piece) | Scalar::Single(piece) | Scalar::Double(piece))
            | Value::NoMembers(piece) => Change { piece, new: value },
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.value, Value::Scalar(Scalar::Empty(_)))
    }
}

/// The lines with keys, which are nothing but mappings in mappings.
fn lines(text: &str) -> Result<Vec<Line<'_>>, FormatError> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    // The indentation of each mapping that a line can belong to.
    let mut open: Vec<usize> = vec![0];
    let mut content = (1..).zip(text.split_inclusive('\n')).filter(|(_, line)| has_content(line)).peekable();
    content.next_if(|(_, line)| is_beginning(line));
    for (number, whole) in content {
        let refusal = FormatError::Line { line: number, why: TOO_MUCH };
        let Some(line) = Line::parse(number, whole) else { return Err(refusal) };
        let is_deeper = line.indent > open.last().copied().unwrap_or_default();
        if is_deeper && lines.last().is_some_and(Line::is_open) {
            open.push(line.indent);
        }
        open.retain(|indent| *indent <= line.indent);
        if open.last() != Some(&line.indent) {
            return Err(refusal);
        }
        lines.push(line);
    }
    Ok(lines)
}

/// A key that is text for all readers, and what stands behind its colon.
fn key_of(content: &str) -> Option<(&str, &str)> {
    for quote in ['\'', '"'] {
        if let Some(rest) = content.strip_prefix(quote) {
            let (key, behind) = rest.split_once(quote)?;
            let is_plain = !key.is_empty() && key.len() < LONGEST && !key.contains('\\');
            return Some((key, behind.strip_prefix(':')?)).filter(|_| is_plain);
        }
    }
    let end = content.find(": ").or_else(|| content.strip_suffix(':').map(str::len))?;
    let (key, behind) = (&content[..end], &content[end + 1..]);
    let is_safe = |character: char| character.is_ascii_alphanumeric() || "_.-:".contains(character);
    // Digits and colons alone are a number for some.
    let is_text = match key.chars().next()? {
        '0'..='9' => key.matches('.').count() == 3,
        first => first.is_ascii_alphabetic() || first == '_',
    };
    (is_text && key.len() < LONGEST && key.chars().all(is_safe) && !key.ends_with(':')).then_some((key, behind))
}

/// Whether reading it cannot fail. roxctl writes dates as well.
fn is_harmless(scalar: &Scalar<'_>) -> bool {
    let is_date = |plain: &str| plain.contains('T') && DateTime::parse_from_rfc3339(plain).is_ok();
    matches!(scalar, Scalar::Plain(plain) if is_date(plain)) || scalar.is_harmless()
}

fn joined_all(lines: &[Zeroizing<String>]) -> Zeroizing<String> {
    joined(&lines.iter().map(|line| line.as_str()).collect::<Vec<_>>())
}

const ACCESS_TOKEN: &str = "accessToken";
const ISSUED_AT: &str = "issuedAt";
const EXPIRES_AT: &str = "expiresAt";
const REFRESH_TOKEN: &str = "refreshToken";

const TOO_MUCH: &str =
    "is more YAML than is edited here; leave only mappings as roxctl writes them, or name another file";

const NO_MAPPING: &str =
    "has a value where roxctl has a mapping, so nothing can be added to it; is this the right file?";

#[cfg(test)]
mod tests;
