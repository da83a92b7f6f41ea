//! The section `[galaxy_server.NAME]` in an `ansible.cfg`. Everything else in that file stays byte for byte.
//!
//! The file is read as ansible reads it: with Python's `configparser`, where `;` behind white space begins a comment, and values are not
//! interpolated. What that refuses is refused, because `ansible-galaxy` cannot start with such a file.

use zeroize::Zeroizing;

use super::splice::{Edit, offset};
use super::{Entry, FormatError, GalaxyServer, HandedOver, Way, bytes, joined};
use crate::secret::Secret;

pub(super) struct AnsibleCfg;

impl Way for AnsibleCfg {
    fn write(&self, what: &HandedOver<'_>, existing: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let file = ServerFile::parse(existing, &what.entry())?;
        let token = what.token.reveal();
        if !is_carried(token) {
            return Err(FormatError::Uncarried("token"));
        }
        Ok(bytes(file.with(token)))
    }

    fn read(&self, content: &[u8], entry: &Entry<'_>) -> Option<Secret> {
        let file = ServerFile::parse(Some(content), entry).ok()?;
        let token = file.option(TOKEN).filter(|token| token.more.is_empty())?;
        Some(Secret::new(token.unquoted()))
    }

    fn without(&self, content: &[u8], entry: &Entry<'_>) -> Option<Zeroizing<Vec<u8>>> {
        Some(bytes(ServerFile::parse(Some(content), entry).ok()?.without()))
    }

    fn check(&self, existing: Option<&[u8]>, entry: &Entry<'_>) -> Result<(), FormatError> {
        ServerFile::parse(existing, entry).map(drop)
    }

    fn remarks(&self, existing: Option<&[u8]>, entry: &Entry<'_>) -> Vec<String> {
        let Ok(file) = ServerFile::parse(existing, entry) else { return Vec::new() };
        let unlisted = (!file.is_listed()).then(|| file.remark_on_list());
        unlisted.into_iter().chain(file.remarks_on_section()).collect()
    }
}

/// A file, and the server whose section in it is meant.
struct ServerFile<'a> {
    server: GalaxyServer<'a>,
    text: &'a str,
    sections: Vec<Section<'a>>,
}

struct Section<'a> {
    name: &'a str,
    header: &'a str,
    /// How far the next line with content is indented.
    indent: &'a str,
    options: Vec<Setting<'a>>,
}

/// An option with its value.
struct Setting<'a> {
    name: String,
    /// From its own line to the last one that goes on with it.
    lines: &'a str,
    /// What stands between its name and its value.
    delimiter: &'a str,
    value: &'a str,
    /// What stands of the value on further lines.
    more: Vec<&'a str>,
}

impl<'a> ServerFile<'a> {
    fn parse(existing: Option<&'a [u8]>, entry: &Entry<'a>) -> Result<Self, FormatError> {
        let server = entry.galaxy_server.ok_or(FormatError::NoGalaxyServer)?;
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
        if server.name.is_empty() || !server.name.chars().all(is_plain) {
            return Err(FormatError::ServerName(server.name.to_owned()));
        }
        let text = std::str::from_utf8(existing.unwrap_or_default()).map_err(|_| FormatError::NotText)?;
        let file = Self { server, text, sections: sections(text)? };
        if file.own().is_none() && !is_carried(server.url) {
            return Err(FormatError::Uncarried("server's address"));
        }
        match file.own_token() {
            Some(token) if !token.more.is_empty() => {
                let before = &text[..offset(text, token.lines)];
                Err(FormatError::Line { line: 1 + before.matches('\n').count(), why: LONG })
            }
            _ => Ok(file),
        }
    }

    fn own(&self) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name.strip_prefix(PREFIX) == Some(self.server.name))
    }

    fn own_token(&self) -> Option<&Setting<'a>> {
        self.own()?.option(TOKEN)
    }

    /// What `ansible-galaxy` reads of the server.
    fn option(&self, name: &str) -> Option<&Setting<'a>> {
        self.own()?.option(name).or_else(|| self.default(name))
    }

    /// Options of this section count in all others.
    fn default(&self, name: &str) -> Option<&Setting<'a>> {
        self.sections.iter().filter(|section| section.name == DEFAULT).find_map(|section| section.option(name))
    }

    /// The text with this as the token.
    fn with(&self, token: &str) -> Zeroizing<String> {
        let edit = match (self.own(), self.own_token()) {
            (_, Some(held)) if held.unquoted() == token => return joined(&[self.text]),
            (_, Some(held)) => held.replaced_by(token),
            (Some(section), None) => section.with_token(token, self.line_break()),
            (None, _) => return self.with_section(token),
        };
        edit.apply(self.text)
    }

    fn with_section(&self, token: &str) -> Zeroizing<String> {
        let line_break = self.line_break();
        let gap = if self.text.is_empty() { "" } else { line_break };
        let GalaxyServer { name, url } = self.server;
        let (header, url, token) =
            (["[", PREFIX, name, "]", line_break], ["url = ", url, line_break], ["token = ", token, line_break]);
        joined(&[&[self.text, missing_break(self.text, line_break), gap], &header[..], &url, &token].concat())
    }

    fn without(&self) -> Zeroizing<String> {
        let edit = self.own_token().map(|token| Edit::new(token.lines, Zeroizing::default()));
        edit.map_or_else(|| joined(&[self.text]), |edit| edit.apply(self.text))
    }

    fn line_break(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    fn is_listed(&self) -> bool {
        let galaxy = self.sections.iter().find(|section| section.name == "galaxy");
        let list = galaxy.and_then(|galaxy| galaxy.option(LIST).or_else(|| self.default(LIST)));
        let names = list.map(|list| [&[list.value], &list.more[..]].concat().join("\n")).unwrap_or_default();
        names.split(',').any(|name| unquoted(name.trim_matches(is_space)) == self.server.name)
    }

    fn remark_on_list(&self) -> String {
        let name = self.server.name;
        format!(
            "The server_list of the section [galaxy] does not name {name}, so ansible-galaxy never uses the section [{PREFIX}{name}]; \
             add it to that list or to ANSIBLE_GALAXY_SERVER_LIST."
        )
    }

    fn remarks_on_section(&self) -> impl Iterator<Item = String> {
        let has = |option| self.option(option).is_some_and(|option| !option.unquoted().is_empty());
        let url = (self.own().is_some() && !has("url"))
            .then_some("has no url, without which ansible-galaxy ends with an error; add it");
        let username = has("username").then_some(
            "has a username, so ansible-galaxy logs in with that and its password, not with the token; remove it",
        );
        let auth_url = has("auth_url")
            .then_some("has an auth_url, so ansible-galaxy exchanges the token there for another one; remove it unless that is meant");
        let name = self.server.name;
        [url, username, auth_url]
            .into_iter()
            .flatten()
            .map(move |remark| format!("The section [{PREFIX}{name}] {remark}."))
    }
}

impl<'a> Section<'a> {
    fn option(&self, name: &str) -> Option<&Setting<'a>> {
        self.options.iter().find(|option| option.name == name)
    }

    /// A line for the token behind the last option. It is indented like that: with more it would go on with that option, and with less what follows
    /// would go on with it.
    fn with_token(&self, token: &str, line_break: &'static str) -> Edit<'a> {
        let (lines, indent, delimiter) = match self.options.last() {
            Some(last) if last.value.is_empty() => (last.lines, indent(last.lines), " = "),
            Some(last) => (last.lines, indent(last.lines), last.delimiter),
            None => (self.header, self.indent, " = "),
        };
        let line = joined(&[missing_break(lines, line_break), indent, TOKEN, delimiter, token, line_break]);
        Edit::new(&lines[lines.len()..], line)
    }
}

impl<'a> Setting<'a> {
    /// The value goes on up to here.
    fn go_on(&mut self, text: &'a str, content: &'a str) {
        self.lines = &text[offset(text, self.lines)..];
        self.more.push(content);
    }

    fn unquoted(&self) -> &'a str {
        unquoted(self.value)
    }

    fn replaced_by(&self, value: &str) -> Edit<'a> {
        let blank = if self.value.is_empty() { " " } else { "" };
        Edit::new(self.value, joined(&[blank, value]))
    }
}

fn sections(text: &str) -> Result<Vec<Section<'_>>, FormatError> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let (mut level, mut end) = (0, 0);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        end += line.len();
        let content = content(line);
        if content.is_empty() {
            continue;
        }
        let refused = |why| FormatError::Line { line: number, why };
        let further = indent(line).chars().count();
        let last = sections.last_mut();
        if let Some(option) = last.and_then(|section| section.options.last_mut()).filter(|_| further > level) {
            option.go_on(&text[..end], content);
            continue;
        }
        level = further;
        if let Some(section) = sections.last_mut().filter(|section| section.options.is_empty()) {
            section.indent = indent(line);
        }
        if let Some(name) = header(content) {
            if name != DEFAULT && sections.iter().any(|section| section.name == name) {
                return Err(refused(SECTION_TWICE));
            }
            sections.push(Section { name, header: line, indent: "", options: Vec::new() });
            continue;
        }
        let name = sections.last().ok_or_else(|| refused(OUTSIDE))?.name;
        let option = setting(line, content).ok_or_else(|| refused(NO_OPTION))?;
        if sections.iter().any(|section| section.name == name && section.option(&option.name).is_some()) {
            return Err(refused(OPTION_TWICE));
        }
        sections.last_mut().ok_or_else(|| refused(OUTSIDE))?.options.push(option);
    }
    Ok(sections)
}

/// A line without its comment and the white space around it.
fn content(line: &str) -> &str {
    let bare = line.trim_matches(is_space);
    if bare.starts_with(['#', ';']) {
        return "";
    }
    let is_comment = |(begin, _): &(usize, &str)| line[..*begin].ends_with(is_space);
    let end = line.match_indices(';').find(is_comment).map_or(line.len(), |(begin, _)| begin);
    line[..end].trim_matches(is_space)
}

fn header(content: &str) -> Option<&str> {
    let inner = content.strip_prefix('[')?;
    Some(&inner[..inner.rfind(']')?]).filter(|name| !name.is_empty())
}

fn setting<'a>(line: &'a str, content: &'a str) -> Option<Setting<'a>> {
    let (name, value) = content.split_once(['=', ':'])?;
    let (name, value) = (name.trim_end_matches(is_space), value.trim_start_matches(is_space));
    let delimiter = &content[name.len()..content.len() - value.len()];
    (!name.is_empty()).then(|| Setting { name: name.to_lowercase(), lines: line, delimiter, value, more: Vec::new() })
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches(is_space).len()]
}

fn missing_break(before: &str, line_break: &'static str) -> &'static str {
    if before.is_empty() || before.ends_with('\n') { "" } else { line_break }
}

/// What Python takes for white space.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// A value as ansible takes it: without the quotes around it.
fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote).filter(|inner: &&str| !inner.ends_with('\\'));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// Whether it is read as it was written.
fn is_carried(value: &str) -> bool {
    let is_comment = value.starts_with(';') || value.contains(" ;");
    let is_text = value.chars().all(|character| matches!(character, ' '..='~')) && !value.is_empty();
    is_text && value.trim() == value && unquoted(value) == value && !is_comment
}

const PREFIX: &str = "galaxy_server.";

const TOKEN: &str = "token";

const LIST: &str = "server_list";

const DEFAULT: &str = "DEFAULT";

const SECTION_TWICE: &str =
    "begins a section that is there already, so ansible cannot read the file; put the two together";

const OPTION_TWICE: &str =
    "sets an option that is set already, so ansible cannot read the file; remove the one that is wrong";

const OUTSIDE: &str =
    "stands before the first section, so ansible cannot read the file; repair it (a byte order mark counts as well)";

const NO_OPTION: &str = "is neither a section nor an option with a value, so ansible cannot read the file; repair it";

const LONG: &str = "begins a token that goes on over further lines, which no token does; repair it";

#[cfg(test)]
mod tests;
