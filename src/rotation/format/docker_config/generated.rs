//! Merging into thousands of made-up files. Whoever makes a file knows without parsing it where the change belongs, and so what must be left of it.

use serde_json::{Value, json};

use super::super::Format;
use super::tests::{AUTH, KEY, LOGIN, merge};
use crate::secret::Secret;

#[test]
fn everything_but_the_entry_is_kept_in_whatever_file() {
    for seed in 1..=5_000 {
        let kind = KINDS[seed as usize % KINDS.len()];
        let file = Maker { state: seed, ways: 1 + seed / 5 % 3 }.file(kind);
        let pieces: Vec<&str> = file.split(MARK).collect();
        let [head, old, tail] = pieces[..] else { panic!("{pieces:?}") };
        let before = pieces.concat();
        let after = merge(&before);
        let shown = format!("{kind:?}, seed {seed}\n{before}\n-----\n{after}");

        let new = after.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).expect(&shown);
        let entry = json!({ "auth": AUTH, "email": "" });
        match kind {
            Kind::Same => assert_eq!(new, old, "{shown}"),
            Kind::Entry => assert_eq!(parsed(new), entry, "{shown}"),
            Kind::Null => assert_eq!(parsed(new), json!({ KEY: entry }), "{shown}"),
            Kind::Auths | Kind::Nothing => {
                let mut expected = parsed(&before);
                let auths = expected.as_object_mut().unwrap().entry("auths").or_insert(json!({}));
                auths[KEY] = entry;
                assert_eq!(parsed(&after), expected, "{shown}");
            }
        }
        assert_eq!(merge(&after), after, "{shown}");
        let without = Format::DockerConfig.without(after.as_bytes(), Some(&LOGIN)).expect(&shown);
        let without = std::str::from_utf8(&without).expect(&shown);
        let mut expected = parsed(&after);
        expected["auths"].as_object_mut().unwrap().shift_remove(KEY);
        assert_eq!(parsed(without), expected, "{shown}\n-----\n{without}");
        if matches!(kind, Kind::Auths) && parsed(&before)["auths"].as_object().is_some_and(|auths| !auths.is_empty()) {
            assert_eq!(without, before, "{shown}");
        }
        assert_eq!(Format::DockerConfig.read(after.as_bytes(), Some(&LOGIN)), Some(Secret::new("t0ken")), "{shown}");
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a file holds before.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// This very entry.
    Same,
    /// Another entry under the key.
    Entry,
    /// Entries of others.
    Auths,
    /// No entries, said with null.
    Null,
    /// No entries.
    Nothing,
}

/// Makes files of pieces. The same number makes the same file.
struct Maker {
    state: u64,
    /// How many ways of white space it knows: none, then a blank, then any.
    ways: u64,
}

impl Maker {
    /// A file with a mark on either side of what the merge may touch.
    fn file(&mut self, kind: Kind) -> String {
        // The first numbers of neighbouring seeds are alike.
        for _ in 0..8 {
            self.below(2);
        }
        let count = self.below(4);
        let mut members: Vec<String> = (0..count).map(|_| self.any_member(3)).collect();
        if let Some(auths) = self.auths(kind) {
            let name = self.one_of(&[r#""auths""#, r#""\u0061uths""#]);
            let member = self.member(name, &auths);
            members.insert(self.below(members.len() as u64 + 1) as usize, member);
        }
        let top = self.object(&members, matches!(kind, Kind::Nothing));
        [self.one_of(&["", "\u{feff}"]), &self.space(), &top, &self.space()].concat()
    }

    fn auths(&mut self, kind: Kind) -> Option<String> {
        let value = match kind {
            Kind::Nothing => return None,
            Kind::Null => return Some(format!("{MARK}null{MARK}")),
            Kind::Auths => None,
            Kind::Entry => Some(self.value(2)),
            Kind::Same => {
                let (auth, more) = (format!("\"{AUTH}\""), self.value(2));
                let members = [self.member("\"auth\"", &auth), self.member("\"email\"", &more)];
                Some(self.object(&members, false))
            }
        };
        let count = self.below(4);
        let mut members: Vec<String> = (0..count).map(|_| self.any_member(3)).collect();
        if let Some(value) = &value {
            let name = self.one_of(&[r#""quay.example.com/acme""#, r#""quay.ex\u0061mple.com\/acme""#]);
            let member = self.member(name, &format!("{MARK}{value}{MARK}"));
            members.insert(self.below(members.len() as u64 + 1) as usize, member);
        }
        Some(self.object(&members, value.is_none()))
    }

    /// The marks stand where a new last member goes.
    fn object(&mut self, members: &[String], marked: bool) -> String {
        let marks = if marked { format!("{MARK}{MARK}") } else { String::new() };
        let mut text = "{".to_owned();
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                text += &[self.space(), ",".to_owned()].concat();
            }
            text += &[self.space().as_str(), member].concat();
        }
        [text, marks, self.space(), "}".to_owned()].concat()
    }

    fn any_member(&mut self, depth: u64) -> String {
        let (name, value) = (self.one_of(&STRINGS), self.value(depth));
        self.member(name, &value)
    }

    fn member(&mut self, name: &str, value: &str) -> String {
        [name, &self.space(), ":", &self.space(), value].concat()
    }

    fn value(&mut self, depth: u64) -> String {
        match self.below(if depth == 0 { 3 } else { 5 }) {
            0 => self.one_of(&["1", "-0", "1.50", "1E+2", "0.1e-7", "123456789012345678901234567890"]).to_owned(),
            1 => self.one_of(&["true", "false", "null", "[]", "{}"]).to_owned(),
            2 => self.one_of(&STRINGS).to_owned(),
            3 => {
                let (first, second) = (self.value(depth - 1), self.value(depth - 1));
                [format!("[{first}"), self.space(), format!(",{second}"), self.space(), "]".to_owned()].concat()
            }
            _ => {
                let members: Vec<String> = (0..self.below(3)).map(|_| self.any_member(depth - 1)).collect();
                self.object(&members, false)
            }
        }
    }

    fn space(&mut self) -> String {
        match self.ways {
            1 => String::new(),
            2 => " ".to_owned(),
            _ => self.one_of(&["", " ", "\n", "\n  ", "\r\n\t", "\t", " \n\n    ", "\r", "\n        "]).to_owned(),
        }
    }

    fn one_of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Xorshift: enough for variety.
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % limit
    }
}

const KINDS: [Kind; 5] = [Kind::Same, Kind::Entry, Kind::Auths, Kind::Null, Kind::Nothing];

/// JSON strings that look like structure, and names that are nearly the ones looked for.
const STRINGS: [&str; 12] = [
    r#""""#,
    r#""a.example.com""#,
    r#""quay.example.com""#,
    r#""quay.example.com/acme/""#,
    r#""Auths""#,
    r#""auth""#,
    r#""email""#,
    r#""{\"auths\":{""#,
    r#""}],:\\""#,
    r#""\u00e9\ud83d\ude00\/\b\t""#,
    "\"é😀\u{7f}\"",
    r#""auths\u0000""#,
];

/// A control character, so it is never part of JSON.
const MARK: char = '\u{1}';
