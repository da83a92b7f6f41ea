//! YAML that PyYAML reads as it was meant.
//!
//! PyYAML keeps YAML 1.1, where an unquoted `2026-12-24` is a date, `12:30` a number and `no` a bool, which a writer of
//! YAML 1.2 leaves unquoted. Ansible's line length counts in the stub, so long texts are folded.

use serde_json::{Map, Value};

/// The value as a block, without a line feed at its end.
pub(crate) fn block(value: &Value) -> String {
    let mut lines = Vec::new();
    match value {
        Value::Object(entries) if !entries.is_empty() => mapping(entries, 0, &mut lines),
        Value::Array(items) if !items.is_empty() => sequence(items, 0, &mut lines),
        scalar => lines.push(inline(scalar)),
    }
    lines.join("\n")
}

fn mapping(entries: &Map<String, Value>, indent: usize, lines: &mut Vec<String>) {
    for (key, value) in entries {
        entry(&format!("{}{}:", spaces(indent), text(key)), value, indent, lines);
    }
}

fn sequence(items: &[Value], indent: usize, lines: &mut Vec<String>) {
    for item in items {
        match item {
            // `- key: value`: the item's first line takes the place of its own indentation.
            Value::Object(entries) if !entries.is_empty() => {
                let mut nested = Vec::new();
                mapping(entries, indent + 2, &mut nested);
                nested[0].replace_range(indent..indent + 1, "-");
                lines.append(&mut nested);
            }
            item => entry(&format!("{}-", spaces(indent)), item, indent, lines),
        }
    }
}

fn entry(start: &str, value: &Value, indent: usize, lines: &mut Vec<String>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            lines.push(start.to_owned());
            mapping(entries, indent + 2, lines);
        }
        Value::Array(items) if !items.is_empty() && !items.iter().all(is_short) => {
            lines.push(start.to_owned());
            sequence(items, indent + 2, lines);
        }
        scalar => fold(&format!("{start} {}", inline(scalar)), indent + 2, lines),
    }
}

/// Breaks at single spaces, which both a plain and a quoted scalar read back as single spaces.
fn fold(line: &str, indent: usize, lines: &mut Vec<String>) {
    let mut rest = line.to_owned();
    while rest.chars().count() > WIDTH
        && let Some(at) = break_of(&rest, indent)
    {
        let next = format!("{}{}", spaces(indent), &rest[at + 1..]);
        rest.truncate(at);
        lines.push(std::mem::replace(&mut rest, next));
    }
    lines.push(rest);
}

fn break_of(line: &str, indent: usize) -> Option<usize> {
    let single = |at: usize| {
        let bytes = line.as_bytes();
        bytes[at - 1] != b' ' && bytes[at - 1] != b'\\' && bytes.get(at + 1).is_some_and(|next| !b" #".contains(next))
    };
    // Not within the key, nor within the indentation.
    let first = line.char_indices().skip(indent).find(|(_, character)| *character == ' ').map_or(0, |(at, _)| at);
    let limit = line.char_indices().nth(WIDTH).map_or(line.len(), |(at, _)| at);
    let breaks = || line.match_indices(' ').map(|(at, _)| at).filter(|at| *at > first && single(*at));
    breaks().take_while(|at| *at <= limit).last().or_else(|| breaks().next())
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= 20 && !text.contains(' '),
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), flow)).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Within brackets a comma or a bracket ends a plain text.
fn flow(text: &str) -> String {
    if is_plain(text) && !text.contains([',', '[', ']', '{', '}']) { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Begins with a letter, so it is no number and no date; is no word with a meaning; has nothing that YAML cuts at.
fn is_plain(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(char::is_control)
}

fn spaces(count: usize) -> String {
    " ".repeat(count)
}

const WIDTH: usize = 120;
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
