//! Sizes as people write them: `512`, `10M`, `1.5 GB`, `2 kilobit`.

use serde_json::Value;

use super::{conversion::whole, python};

/// A number of bytes, within 64 bits.
pub(super) fn bytes(text: &str) -> Option<Value> {
    size(text, "byte", 'B')
}

/// A number of bits, within 64 bits.
pub(super) fn bits(text: &str) -> Option<Value> {
    size(text, "bit", 'b')
}

fn size(text: &str, name: &str, letter: char) -> Option<Value> {
    let (number, unit) = split(text)?;
    let limit = if unit.is_empty() { 1.0 } else { factor(unit, name, letter)? };
    whole((number.parse::<f64>().ok()? * limit).round_ties_even())
}

/// `^([0-9]*\.?[0-9]+)(?:\s*([A-Za-z]+))?\s*$`
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|next: char| !next.is_ascii_digit() && next != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let fraction = number.split_once('.').map_or(number, |(_, fraction)| fraction);
    if fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let unit = python::strip(rest);
    unit.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some((number, unit))
}

fn factor(unit: &str, name: &str, letter: char) -> Option<f64> {
    let prefix = unit.chars().next()?.to_ascii_uppercase();
    let (_, exponent, long) = PREFIXES.into_iter().find(|(known, _, _)| *known == prefix)?;
    let short = if prefix == 'B' { letter.to_string() } else { format!("{prefix}{letter}") };
    let known = unit.len() == 1 || unit == short || unit.to_ascii_lowercase() == format!("{long}{name}");
    known.then(|| 2_f64.powi(exponent))
}

const PREFIXES: [(char, i32, &str); 9] = [
    ('B', 0, ""),
    ('K', 10, "kilo"),
    ('M', 20, "mega"),
    ('G', 30, "giga"),
    ('T', 40, "tera"),
    ('P', 50, "peta"),
    ('E', 60, "exa"),
    ('Z', 70, "zeta"),
    ('Y', 80, "yotta"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, in_bytes, in_bits) in [
            ("0", Some(0_u64), Some(0_u64)),
            ("2.5", Some(2), Some(2)),
            (".5k ", Some(512), Some(512)),
            ("10 MB", Some(10_485_760), None),
            ("10 Mb", None, Some(10_485_760)),
            ("1b", Some(1), Some(1)),
            ("1KiloByte", Some(1024), None),
            ("1kilobit", None, Some(1024)),
            ("1 byte", Some(1), None),
            ("15E", Some(15 << 60), Some(15 << 60)),
            ("16E", None, None),
            ("1.", None, None),
            ("1.2.3", None, None),
            ("-1", None, None),
            ("1 X", None, None),
            ("1 K B", None, None),
            ("", None, None),
        ] {
            assert_eq!(bytes(text), in_bytes.map(|size| json!(size)), "{text} in bytes");
            assert_eq!(bits(text), in_bits.map(|size| json!(size)), "{text} in bits");
        }
    }
}
