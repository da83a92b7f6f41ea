//! Makes pairs of a specification and arguments, from a seed: mostly sensible, with something odd in every corner.

use serde_json::{Map, Value, json};

/// What stands only in values of `no_log` options.
pub(crate) const SECRET: &str = "hunter2";

/// A case as the reference reads it.
pub(crate) fn case(random: &mut Random) -> Value {
    let specification = Level { depth: 0, secret: false }.specification(random);
    let arguments = arguments(random, &specification, false);
    let environment: Map<_, _> = ENVIRONMENT
        .iter()
        .filter(|_| random.chance(75))
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({
        "specification": specification,
        "arguments": arguments,
        "environment": environment,
        "homes": {"": "/var/me", "alice": "/srv/alice/", "root": "/"},
    })
}

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Some of the items, in another order.
    fn some<'a>(&mut self, items: &[&'a str], least: usize, most: usize) -> Vec<&'a str> {
        let mut rest = items.to_vec();
        let count = self.between(least, most).min(rest.len());
        (0..count).map(|_| rest.swap_remove(self.below(rest.len()))).collect()
    }
}

struct Level {
    depth: usize,
    secret: bool,
}

impl Level {
    /// Options and relations, as keyword arguments or as keys of the option above.
    fn specification(&self, random: &mut Random) -> Value {
        let names = random.some(&NAMES, 1, if self.depth == 0 { 6 } else { 4 });
        let mut aliases = random.some(&ALIASES, ALIASES.len(), ALIASES.len());
        let mut options = Map::new();
        for name in &names {
            options.insert((*name).to_owned(), self.option(random, &mut aliases));
        }
        let mut specification = relations(random, &names, &options);
        specification.insert("argument_spec".to_owned(), options.into());
        specification.into()
    }

    fn option(&self, random: &mut Random, aliases: &mut Vec<&str>) -> Value {
        let mut option = Map::new();
        let secret = self.secret || random.chance(15);
        if random.chance(25) && self.depth < 2 {
            let below = Level { depth: self.depth + 1, secret }.specification(random);
            let Value::Object(mut below) = below else { return Value::Null };
            let sub_options = below.shift_remove("argument_spec");
            option.extend(below);
            option.insert("options".to_owned(), sub_options.unwrap_or_default());
            if random.chance(40) {
                option.insert("apply_defaults".to_owned(), true.into());
            }
            if random.chance(50) {
                option.insert("type".to_owned(), "list".into());
                option.insert("elements".to_owned(), "dict".into());
            } else {
                option.insert("type".to_owned(), "dict".into());
            }
        } else if random.chance(90) {
            let kind = *random.pick(&KINDS);
            option.insert("type".to_owned(), kind.into());
            if kind == "list" && random.chance(70) {
                option.insert("elements".to_owned(), (*random.pick(&KINDS)).into());
            }
        }
        if secret && !self.secret {
            option.insert("no_log".to_owned(), true.into());
        }
        if random.chance(25) {
            let used: Vec<_> = (0..random.between(1, 2)).filter_map(|_| aliases.pop()).collect();
            option.insert("aliases".to_owned(), used.into());
        }
        if random.chance(20) {
            let pool = if secret { SECRET_VARIABLES.as_slice() } else { VARIABLES.as_slice() };
            option.insert("fallback".to_owned(), random.some(pool, 1, 2).into());
        }
        if random.chance(20) && !option.contains_key("options") {
            let count = random.between(1, 4);
            option.insert("choices".to_owned(), (0..count).map(|_| choice(random)).collect());
        }
        if random.chance(20) {
            option.insert("required".to_owned(), true.into());
        } else if random.chance(30) && (self.depth == 0 || !option.contains_key("options")) {
            let default = if secret { json!("hunter2-default") } else { value(random, &option, false) };
            option.insert("default".to_owned(), default);
        }
        option.into()
    }
}

fn relations(random: &mut Random, names: &[&str], options: &Map<String, Value>) -> Map<String, Value> {
    let mut relations = Map::new();
    for relation in ["mutually_exclusive", "required_together", "required_one_of"] {
        if random.chance(15) {
            let groups: Vec<_> = (0..random.between(1, 2)).map(|_| random.some(names, 1, 3)).collect();
            relations.insert(relation.to_owned(), groups.into());
        }
    }
    if random.chance(25) {
        let conditions = (0..random.between(1, 3)).map(|_| {
            let name = *random.pick(names);
            let wanted = match options[name].as_object() {
                Some(option) => value(random, option, false),
                None => Value::Null,
            };
            let mut condition = vec![name.into(), wanted, random.some(names, 0, 3).into()];
            if random.chance(50) {
                condition.push(random.chance(50).into());
            }
            Value::Array(condition)
        });
        relations.insert("required_if".to_owned(), conditions.collect());
    }
    if random.chance(20) {
        let required = random.some(names, 1, 2);
        let needed: Value =
            if random.chance(30) { (*random.pick(names)).into() } else { random.some(names, 1, 3).into() };
        relations.insert(
            "required_by".to_owned(),
            required.into_iter().map(|name| (name.to_owned(), needed.clone())).collect(),
        );
    }
    relations
}

/// Arguments for a specification, or for an option with sub-options.
fn arguments(random: &mut Random, specification: &Value, secret: bool) -> Value {
    let mut arguments = Map::new();
    let options = specification.get("argument_spec").or_else(|| specification.get("options"));
    for (name, option) in options.and_then(Value::as_object).into_iter().flatten() {
        let Some(option) = option.as_object() else { continue };
        let secret = secret || option.get("no_log") == Some(&Value::Bool(true));
        let required = option.contains_key("required");
        if random.chance(if required { 93 } else { 60 }) {
            arguments.insert(name.clone(), value(random, option, secret));
        }
        for alias in option.get("aliases").and_then(Value::as_array).into_iter().flatten() {
            if random.chance(20) {
                arguments.insert(alias.as_str().unwrap_or_default().to_owned(), value(random, option, secret));
            }
        }
    }
    if random.chance(6) {
        let value = odd(random);
        arguments.insert((*random.pick(&UNKNOWN)).to_owned(), value);
    }
    arguments.into()
}

/// A value for an option: mostly one that fits, sometimes anything.
fn value(random: &mut Random, option: &Map<String, Value>, secret: bool) -> Value {
    if let Some(choices) = option.get("choices").and_then(Value::as_array)
        && random.chance(75)
    {
        return random.pick(choices).clone();
    }
    if random.chance(12) {
        return if secret { secret_value(random) } else { odd(random) };
    }
    let kind = option.get("type").and_then(Value::as_str).unwrap_or("str");
    if option.contains_key("options") {
        return sub_options(random, option, kind, secret);
    }
    if secret && random.chance(40) {
        return secret_value(random);
    }
    if kind == "list" && random.chance(75) {
        let elements = option.get("elements").and_then(Value::as_str).unwrap_or("raw");
        let count = random.below(4);
        return (0..count).map(|_| if random.chance(8) { odd(random) } else { fitting(random, elements) }).collect();
    }
    fitting(random, kind)
}

fn sub_options(random: &mut Random, option: &Map<String, Value>, kind: &str, secret: bool) -> Value {
    let option = Value::Object(option.clone());
    let written = |random: &mut Random| {
        let members = arguments(random, &option, secret);
        match random.below(12) {
            0 => members.to_string().into(),
            1 => pairs(&members).into(),
            _ => members,
        }
    };
    match kind {
        "list" if random.chance(90) => (0..random.below(4)).map(|_| written(random)).collect(),
        _ => written(random),
    }
}

/// `key='value' …`, as far as that can be written without quotes in quotes.
fn pairs(members: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) if !text.contains(['\'', '"', '\\']) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let written = members.as_object().into_iter().flatten();
    let written = written.filter_map(|(key, value)| Some(format!("{key}='{}'", plain(value)?)));
    written.collect::<Vec<_>>().join(" ")
}

fn secret_value(random: &mut Random) -> Value {
    let text = format!("{SECRET}-{}", random.below(100));
    match random.below(12) {
        0 => json!([text, SECRET]),
        1 => json!({"inner": text}),
        2 => json!(format!("{text},{text}")),
        3 => json!(format!("password={text} token='{text} x'")),
        4 => json!(format!("{{'a': '{text}'}}")),
        5 => json!([[text]]),
        _ => json!(text),
    }
}

fn choice(random: &mut Random) -> Value {
    let choices = [
        json!("a"),
        json!("present"),
        json!("absent"),
        json!("yes"),
        json!("no"),
        json!("off"),
        json!("on"),
        json!("1"),
        json!("42"),
        json!(1),
        json!(0),
        json!(42),
        json!(1.5),
        json!(true),
        json!(false),
        json!("False"),
        json!("é"),
        json!(""),
        json!("b"),
        json!(1.0),
    ];
    random.pick(&choices).clone()
}

fn fitting(random: &mut Random, kind: &str) -> Value {
    let texts: &[&str] = match kind {
        "bool" => &["yes", "No", " on ", "off", "1", "0", "TRUE", "false", "y", "n", "t", "F"],
        "int" => &[
            "42",
            " 42 ",
            "-7",
            "+5",
            "1_000",
            "42.0",
            "4.2e1",
            "٤٢",
            "\u{a0}5",
            "0",
            "-0.0",
            "18446744073709551615",
            "\u{1c}1",
        ],
        "float" => &[
            "1.5",
            "42",
            " 1e3 ",
            ".5",
            "5.",
            "-0.0",
            "1_0.5",
            "1e22",
            "1e-7",
            "٣.٥",
            "+1",
            "\u{a0}4.5",
            "123456789.123456789",
        ],
        "path" => &[
            "~",
            "~/x",
            "~alice/y",
            "~root/z",
            "~bob",
            "$HOME/x",
            "${PLACE}/y",
            "$OTHER",
            "$MISSING/a",
            "a$EMPTY/b",
            "/tmp",
            "$",
            "${",
            "x~",
        ],
        "dict" => &[
            "a=1 b=2",
            "k='v w', x=\"y\"",
            "{\"a\": 1, \"b\": [true, null]}",
            "{'a': 1, 'b': [True, None, -1.5]}",
            "{}",
            "=",
            "a=b=c,,d=e",
            "a\\=b=c",
        ],
        "list" => &["a,b", "a, b,,", "", "1,2,3", "a=1,b=2", "yes,no", "~/x,$HOME"],
        "bytes" => &["1K", "10 MB", "1.5G", "2 kilobyte", "7", ".5m", "3B", "3b", "1 byte", "2.5", "3.5"],
        "bits" => &["1K", "10 Mb", "1.5G", "2 kilobit", "7", ".5m", "3b", "1 bit", "1Yb"],
        "json" | "jsonarg" => &[" {\"a\": 1} ", "[1, 2]", "x", "\u{a0}\u{1f}y\u{2003}"],
        _ => &[
            "x",
            "",
            "present",
            "a b",
            "é",
            "日本語 😀",
            "it's",
            "say \"hi\"",
            "~",
            "$HOME",
            "True",
            "False",
            "\u{200b}\u{301}",
        ],
    };
    let values = match kind {
        "bool" => vec![json!(true), json!(false), json!(1), json!(0), json!(1.0), json!(0.0)],
        "int" => {
            vec![json!(42), json!(-1), json!(0), json!(7.0), json!(true), json!(1e15), json!(i64::MIN), json!(u64::MAX)]
        }
        "float" => vec![json!(1.5), json!(3), json!(0.1), json!(1e16), json!(true), json!(u64::MAX), json!(2.5e-9)],
        "dict" => vec![json!({}), json!({"a": 1}), json!({"x": {"y": [1, null]}, "é": 1.0})],
        "list" => vec![json!([]), json!(["a", 1, true]), json!(5), json!(1.5), json!(true), json!([{"a": 1}, "b=2"])],
        "json" | "jsonarg" => vec![json!({"é": [1, 1.5, null, true]}), json!(["😀\n\"\u{7f}", {}]), json!([])],
        "bytes" | "bits" => vec![json!(1024), json!(1.5), json!(0)],
        _ => vec![json!("a"), json!(42), json!(1.5), json!(true)],
    };
    if random.chance(50) { (*random.pick(texts)).into() } else { random.pick(&values).clone() }
}

fn odd(random: &mut Random) -> Value {
    let odd = [
        json!(null),
        json!(true),
        json!(false),
        json!(2),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1),
        json!(1e16),
        json!(1e-5),
        json!(-0.0),
        json!(1.5e300),
        json!(123_456_789_012_345_680.0),
        json!([]),
        json!({}),
        json!([1, "2", null]),
        json!([[1]]),
        json!([{"a": "1"}]),
        json!({"a": 1, "it's": [1.5, true, "\\"]}),
        json!([null, true]),
        json!("nan"),
        json!("inf"),
        json!("1e400"),
        json!("0x1f"),
        json!("None"),
        json!("null"),
        json!("4.5"),
        json!("1__0"),
        json!("a=1 b"),
        json!("{"),
        json!("line\nbreak\t\u{1b}\u{e9}\u{a0}"),
        json!(" "),
        json!("{\"long\": 99999999999999999999}"),
        json!("99999999999999999999"),
        json!("1KB "),
        json!("1.K"),
    ];
    if random.chance(70) {
        return random.pick(&odd).clone();
    }
    let length = random.between(1, 14);
    let text: String = (0..length).map(|_| *random.pick(&CHARACTERS)).collect();
    // What an unclosed `${` does to a variable behind it depends on the version of Python; bytes are beyond JSON.
    let text = if text.contains("${") { text.replace('$', "") } else { text };
    let text = text.replace("b'", "'").replace("b\"", "\"");
    match random.below(4) {
        0 => format!("{{{text}}}").into(),
        1 => format!("{{'{text}': {text}}}").into(),
        _ => text.into(),
    }
}

const KINDS: [&str; 12] =
    ["str", "list", "dict", "bool", "int", "float", "path", "raw", "jsonarg", "json", "bytes", "bits"];
const NAMES: [&str; 12] = ["name", "state", "port", "token", "path", "items", "Config", "limit", "host", "é", "b", "a"];
const ALIASES: [&str; 8] = ["alias", "other", "nick", "Zed", "server", "old_name", "x", "y"];
const UNKNOWN: [&str; 5] = ["unknown", "sate", "", "a.b", "日本"];
const VARIABLES: [&str; 4] = ["HOME", "PLACE", "NUMBER", "EMPTY"];
const SECRET_VARIABLES: [&str; 2] = ["SECRET_A", "SECRET_B"];
const ENVIRONMENT: [(&str, &str); 8] = [
    ("HOME", "/home/me/"),
    ("PLACE", "/srv/place"),
    ("OTHER", "$HOME~"),
    ("NUMBER", "42"),
    ("EMPTY", ""),
    ("SECRET_A", "hunter2-environment"),
    ("SECRET_B", "hunter2=b"),
    ("b", "small"),
];
const CHARACTERS: [char; 38] = [
    '=', ',', '\'', '"', ' ', '\\', '{', '}', '[', ']', ':', '$', '~', '/', '_', '.', '+', '-', '0', '1', '2', '9',
    'e', 'E', 'x', 'a', 'b', 'K', 'M', 'B', 'n', 'u', 'r', '\n', '\t', 'é', '\u{a0}', '#',
];
