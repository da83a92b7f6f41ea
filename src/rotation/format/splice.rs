//! Changes to a JSON text that leave every other byte of it as it is.
//!
//! The text is parsed by serde_json into values that are still pieces of it, so where they stand is known, and the change is put there.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{FormatError, joined};

/// An object in a text.
pub(super) struct Object<'a> {
    text: &'a str,
    members: Vec<(String, &'a str)>,
    /// How the member is laid out that has this object as its value.
    around: Layout,
}

/// A member of an object.
pub(super) struct Member<'a> {
    /// Its value, a piece of the text.
    pub(super) value: &'a str,
    /// How it is laid out.
    pub(super) layout: Layout,
}

/// A piece of a text, and what is to stand there instead.
pub(super) struct Edit<'a> {
    piece: &'a str,
    new: Zeroizing<String>,
}

/// How the members of an object are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The line break before a member, with its indentation. Nothing where all is on one line.
    line: String,
    /// By how much the members of a value are indented further.
    step: String,
    /// What stands behind a colon, and on one line behind a comma: a blank or nothing.
    blank: &'static str,
}

/// Why a text has no such object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its syntax is wrong from here on.
    Syntax { line: usize, column: usize },
    /// Something else stands there.
    Kind,
    /// The name of a member is no text.
    Name,
}

impl<'a> Object<'a> {
    /// The object that is the whole of a text but for the white space around it.
    pub(super) fn whole(text: &'a str) -> Result<Self, Fault> {
        let value: &RawValue =
            serde_json::from_str(text).map_err(|error| Fault::Syntax { line: error.line(), column: error.column() })?;
        Self::new(value.get(), Layout::of(text))
    }

    /// The object that is the value of a member.
    pub(super) fn within(member: &Member<'a>) -> Result<Self, Fault> {
        Self::new(member.value, member.layout.clone())
    }

    /// Its members in their order, names that come again included.
    pub(super) fn members(&self) -> Vec<(&str, Member<'a>)> {
        let member = |index: usize, value| Member { value, layout: self.layout(index) };
        self.members.iter().enumerate().map(|(index, (name, value))| (name.as_str(), member(index, value))).collect()
    }

    /// All members of a name.
    pub(super) fn named(&self, name: &str) -> Vec<Member<'a>> {
        self.members().into_iter().filter(|(found, _)| *found == name).map(|(_, member)| member).collect()
    }

    /// A new last member, whose value is made to fit the layout.
    pub(super) fn insert(&self, name: &str, value: impl FnOnce(&Layout) -> Zeroizing<String>) -> Edit<'a> {
        let Some(last) = self.members.len().checked_sub(1) else {
            let layout = self.around.deeper();
            let member = layout.member(name, &value(&layout));
            // The brace stays where it is when it already is on a line of its own.
            let closing = if self.text.contains('\n') { "" } else { &self.around.line };
            return Edit { piece: &self.text[1..1], new: joined(&[&layout.line, &member, closing]) };
        };
        let layout = self.layout(last);
        let end = self.end(last);
        let member = layout.member(name, &value(&layout));
        Edit { piece: &self.text[end..end], new: joined(&[",", layout.between(), &member]) }
    }

    /// Without the member of a name, and without what kept it apart from the others.
    pub(super) fn remove(&self, name: &str) -> Option<Edit<'a>> {
        let index = self.members.iter().position(|(found, _)| found == name)?;
        let (begin, end) = match index.checked_sub(1) {
            Some(previous) => (self.end(previous), self.end(index)),
            None if self.members.len() == 1 => (1, self.text.len() - 1),
            None => (self.begin(0), self.begin(1)),
        };
        Some(Edit { piece: &self.text[begin..end], new: Zeroizing::default() })
    }

    fn new(text: &'a str, around: Layout) -> Result<Self, Fault> {
        if !text.starts_with('{') {
            return Err(Fault::Kind);
        }
        let Members(members) = serde_json::from_str(text).map_err(|_| Fault::Name)?;
        Ok(Self { text, members, around })
    }

    fn layout(&self, index: usize) -> Layout {
        let before = index.checked_sub(1).map_or(1, |previous| self.end(previous));
        // White space, a comma, white space, the name, white space, a colon, white space.
        let between = &self.text[before..offset(self.text, self.members[index].1)];
        let (space, rest) = split_white_space(between);
        let space = rest.strip_prefix(',').map_or(space, |rest| split_white_space(rest).0);
        let line = last_line(space);
        let step = self.step(line).unwrap_or(&self.around.step);
        let blank = if between.ends_with(WHITE_SPACE) { " " } else { "" };
        Layout { line: line.to_owned(), step: step.to_owned(), blank }
    }

    /// By how much the members are indented more than the closing brace, where both are on lines of their own.
    fn step<'l>(&self, line: &'l str) -> Option<&'l str> {
        let inner = self.text.strip_suffix('}')?;
        let closing = last_line(&inner[inner.trim_end_matches(WHITE_SPACE).len()..]);
        line.strip_prefix(closing).filter(|step| !step.is_empty() && !closing.is_empty())
    }

    /// Where the name of a member begins.
    fn begin(&self, index: usize) -> usize {
        let before = index.checked_sub(1).map_or(1, |previous| self.end(previous));
        let space = |begin: usize| begin + split_white_space(&self.text[begin..]).0.len();
        let begin = space(before);
        if self.text[begin..].starts_with(',') { space(begin + 1) } else { begin }
    }

    /// Where the value of a member ends.
    fn end(&self, index: usize) -> usize {
        let (_, value) = self.members[index];
        offset(self.text, value) + value.len()
    }
}

impl<'a> Member<'a> {
    /// Another value for it, made to fit the layout.
    pub(super) fn replace(&self, value: impl FnOnce(&Layout) -> Zeroizing<String>) -> Edit<'a> {
        Edit { piece: self.value, new: value(&self.layout) }
    }
}

impl<'a> Edit<'a> {
    /// Something else in place of a piece of a text.
    pub(super) fn new(piece: &'a str, new: Zeroizing<String>) -> Self {
        Self { piece, new }
    }

    /// The text with this change.
    pub(super) fn apply(&self, text: &str) -> Zeroizing<String> {
        let begin = offset(text, self.piece);
        joined(&[&text[..begin], &self.new, &text[begin + self.piece.len()..]])
    }
}

impl Fault {
    /// Why nothing can be added to a file: this is the matter with that part of it.
    pub(super) fn refusal(self, what: &'static str) -> FormatError {
        match self {
            Self::Syntax { line, column } => FormatError::NotJson { line, column },
            Self::Kind => FormatError::NotAnObject(what),
            Self::Name => FormatError::NotAName(what),
        }
    }
}

impl Layout {
    /// An object as the value of a member that is laid out like this. The values must be JSON and laid out like [`Layout::deeper`].
    pub(super) fn object(&self, members: &[(&str, &str)]) -> Zeroizing<String> {
        let inner = self.deeper();
        let members: Vec<_> = members.iter().map(|(name, value)| inner.member(name, value)).collect();
        let mut parts = vec!["{", &inner.line];
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                parts.extend([",", inner.between()]);
            }
            parts.push(member);
        }
        parts.extend([&self.line, "}"]);
        joined(&parts)
    }

    /// How the members of a member's value are laid out.
    pub(super) fn deeper(&self) -> Self {
        let line = if self.line.is_empty() { String::new() } else { format!("{}{}", self.line, self.step) };
        Self { line, ..self.clone() }
    }

    /// How a text is laid out as a whole, as long as nothing in it tells.
    fn of(text: &str) -> Self {
        let line = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { line: line.to_owned(), step: "  ".to_owned(), blank: " " }
    }

    /// What stands behind the comma between two members.
    fn between(&self) -> &str {
        if self.line.is_empty() { self.blank } else { &self.line }
    }

    fn member(&self, name: &str, value: &str) -> Zeroizing<String> {
        joined(&[&quoted(name), ":", self.blank, value])
    }
}

/// A string as JSON writes it. Not for secrets: its memory is not wiped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Where a piece of a text begins in it.
pub(super) fn offset(text: &str, piece: &str) -> usize {
    piece.as_ptr().addr() - text.as_ptr().addr()
}

fn split_white_space(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(WHITE_SPACE).len())
}

/// From the last line break on, or nothing where there is none.
fn last_line(space: &str) -> &str {
    let Some(end) = space.rfind('\n') else { return "" };
    &space[end - usize::from(space[..end].ends_with('\r'))..]
}

/// The members of an object in their order, names that come again included.
struct Members<'a>(Vec<(String, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de str)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Collect).map(Self)
    }
}

/// What JSON takes for white space.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];
