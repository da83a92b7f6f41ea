//! Python's literals, as `ast.literal_eval` reads them: `{'name': 'x', 'ports': (80, 443), 'tls': True}`.

use std::{iter::Peekable, str::Chars};

use serde_json::{Map, Number, Value};

use super::{conversion::is_long_integer, python};

/// The dict that `text` writes down; `None` where it is anything else, or holds what JSON cannot carry: bytes, sets, keys
/// that are not strings. Integers beyond 64 bits become strings of their digits.
pub(super) fn dict(text: &str) -> Option<Map<String, Value>> {
    let mut reader = Reader { rest: text.chars().peekable(), depth: 0 };
    let Value::Object(members) = reader.value()? else {
        return None;
    };
    reader.skip_space()?;
    reader.rest.next().is_none().then_some(members)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        self.skip_space()?;
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return None;
        }
        let value = match *self.rest.peek()? {
            '{' => self.members()?,
            '[' => self.items(']')?.0,
            '(' => self.parenthesised()?,
            '\'' | '"' => self.strings(false)?,
            '+' | '-' | '.' | '0'..='9' => self.number()?,
            _ => self.word()?,
        };
        self.depth -= 1;
        Some(value)
    }

    fn members(&mut self) -> Option<Value> {
        let mut members = Map::new();
        self.expect('{')?;
        loop {
            if self.next_is('}')? {
                return Some(Value::Object(members));
            }
            let Value::String(key) = self.value()? else {
                return None;
            };
            self.skip_space()?;
            self.expect(':')?;
            members.insert(key, self.value()?);
            if !self.next_is(',')? {
                self.expect('}')?;
                return Some(Value::Object(members));
            }
        }
    }

    /// The items up to `end`, and whether a comma stood after the last of them.
    fn items(&mut self, end: char) -> Option<(Value, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        self.rest.next();
        loop {
            if self.next_is(end)? {
                return Some((Value::Array(items), comma));
            }
            items.push(self.value()?);
            comma = self.next_is(',')?;
            if !comma {
                self.expect(end)?;
                return Some((Value::Array(items), comma));
            }
        }
    }

    /// A tuple, or a single value in parentheses.
    fn parenthesised(&mut self) -> Option<Value> {
        match self.items(')')? {
            (Value::Array(mut items), false) if items.len() == 1 => items.pop(),
            (items, _) => Some(items),
        }
    }

    /// One string or several side by side, which are one.
    fn strings(&mut self, raw: bool) -> Option<Value> {
        let mut text = self.string(raw)?;
        loop {
            self.skip_space()?;
            match *self.rest.peek().unwrap_or(&' ') {
                '\'' | '"' => text.push_str(&self.string(false)?),
                'r' | 'R' | 'u' | 'U' => {
                    let raw = matches!(self.rest.next(), Some('r' | 'R'));
                    text.push_str(&self.string(raw)?);
                }
                _ => return Some(Value::String(text)),
            }
        }
    }

    fn string(&mut self, raw: bool) -> Option<String> {
        let quote = self.rest.next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let mut text = String::new();
        let mut triple = false;
        if self.rest.next_if_eq(&quote).is_some() {
            if self.rest.next_if_eq(&quote).is_none() {
                return Some(text);
            }
            triple = true;
        }
        loop {
            match self.rest.next()? {
                '\\' if raw => text.extend(['\\', self.rest.next()?]),
                '\\' => self.escape(&mut text)?,
                '\n' if !triple => return None,
                character if character != quote => text.push(character),
                _ if !triple => return Some(text),
                _ => {
                    let second = self.rest.next_if_eq(&quote).is_some();
                    if second && self.rest.next_if_eq(&quote).is_some() {
                        return Some(text);
                    }
                    text.extend(std::iter::repeat_n(quote, 1 + usize::from(second)));
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        match self.rest.next()? {
            '\n' => {}
            character @ ('\\' | '\'' | '"') => text.push(character),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\u{b}'),
            'x' => text.push(self.code(2)?),
            'u' => text.push(self.code(4)?),
            'U' => text.push(self.code(8)?),
            'N' => return None, // a character by its name
            first @ '0'..='7' => {
                let mut code = first.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = self.rest.next_if(|next| next.is_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit.to_digit(8)?;
                }
                text.push(char::from_u32(code)?);
            }
            other => text.extend(['\\', other]),
        }
        Some(())
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let mut code = 0_u32;
        for _ in 0..digits {
            code = code.checked_mul(16)? + self.rest.next()?.to_digit(16)?;
        }
        char::from_u32(code)
    }

    fn number(&mut self) -> Option<Value> {
        let sign = self.rest.next_if(|next| matches!(next, '+' | '-'));
        if sign.is_some() {
            self.skip_space()?;
        }
        let mut written = String::new();
        while let Some(character) = self.rest.next_if(|next| next.is_ascii_alphanumeric() || matches!(next, '.' | '_'))
        {
            written.push(character);
            let exponent = matches!(character, 'e' | 'E') && !written.starts_with("0x") && !written.starts_with("0X");
            if exponent && let Some(sign) = self.rest.next_if(|next| matches!(next, '+' | '-')) {
                written.push(sign);
            }
        }
        number(sign == Some('-'), &written.to_ascii_lowercase())
    }

    fn word(&mut self) -> Option<Value> {
        let mut word = String::new();
        while let Some(character) = self.rest.next_if(char::is_ascii_alphabetic) {
            word.push(character);
        }
        match word.as_str() {
            "None" => Some(Value::Null),
            "True" => Some(true.into()),
            "False" => Some(false.into()),
            "r" | "R" => self.strings(true),
            "u" | "U" => self.strings(false),
            _ => None,
        }
    }

    fn next_is(&mut self, wanted: char) -> Option<bool> {
        self.skip_space()?;
        Some(self.rest.next_if_eq(&wanted).is_some())
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.rest.next_if_eq(&wanted).map(drop)
    }

    /// Over white space, comments and escaped line ends.
    fn skip_space(&mut self) -> Option<()> {
        while let Some(character) =
            self.rest.next_if(|next| matches!(next, ' ' | '\t' | '\n' | '\r' | '\u{c}' | '#' | '\\'))
        {
            match character {
                '#' => while self.rest.next_if(|next| *next != '\n').is_some() {},
                '\\' => self.expect('\n')?,
                _ => {}
            }
        }
        Some(())
    }
}

fn number(negative: bool, written: &str) -> Option<Value> {
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = written.strip_prefix(prefix) {
            let digits = without_underscores(digits.strip_prefix('_').unwrap_or(digits), radix)?;
            return signed(negative, i128::from_str_radix(&digits, radix).ok()?);
        }
    }
    let digits = without_underscores(written, 10)?;
    if digits.contains(['.', 'e']) {
        let float: f64 = digits.parse().ok()?;
        return Number::from_f64(if negative { -float } else { float }).map(Value::Number);
    }
    if digits.starts_with('0') && digits.contains(|digit| digit != '0') {
        return None;
    }
    let digits = if negative { format!("-{digits}") } else { digits };
    if is_long_integer(&digits) {
        return Some(digits.into());
    }
    python::integer(digits.parse().ok()?)
}

fn signed(negative: bool, magnitude: i128) -> Option<Value> {
    python::integer(if negative { -magnitude } else { magnitude })
}

/// Underscores may stand between two digits, nowhere else.
pub(super) fn without_underscores(written: &str, radix: u32) -> Option<String> {
    let is_digit = |character: Option<&u8>| character.is_some_and(|byte| char::from(*byte).is_digit(radix));
    let bytes = written.as_bytes();
    for (index, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_') {
        if index == 0 || !is_digit(bytes.get(index - 1)) || !is_digit(bytes.get(index + 1)) {
            return None;
        }
    }
    (!written.is_empty()).then(|| written.replace('_', ""))
}

const DEPTH_LIMIT: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_python_dict_is_read() {
        for (text, expected) in [
            ("{'a': 'b'}", json!({"a": "b"})),
            ("{ 'a' : [1, -2, +3, 0x_ff, 1_000, 1.5e3, .5], } ", json!({"a": [1, -2, 3, 255, 1000, 1500.0, 0.5]})),
            (
                "{'t': (1,), 'e': (), 'p': ('x'), 'n': None, 'b': True}",
                json!({"t": [1], "e": [], "p": "x", "n": null, "b": true}),
            ),
            (
                r"{'it\'s': 'a' 'b', 'u': u'\u00e9\x41\101\q', 'r': r'\n'}",
                json!({"it's": "ab", "u": "éAA\\q", "r": "\\n"}),
            ),
            ("{'''x\n'y''': \"\"\"z\"\"\", # comment\n 'a': ''}", json!({"x\n'y": "z", "a": ""})),
        ] {
            assert_eq!(dict(text).map(Value::Object), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = format!("{{'a': {}", "[".repeat(100_000));
        for text in [
            "{'a'}",
            "{'a': }",
            "{'a': 1} x",
            "[1]",
            "{1: 2}",
            "{'a': b'x'}",
            "{'a': 01}",
            "{'a': 1__0}",
            "{'a': x()}",
            "{'a': 'b",
            &deep,
        ] {
            assert_eq!(dict(text), None, "{text:.20}");
        }
    }
}
