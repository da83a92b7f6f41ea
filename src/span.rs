//! Lengths of time as operators write them: `90s`, `5m`, `168h`, `7d`, `2w`, `1d12h`.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

/// A length of time, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(TimeDelta);

impl Span {
    /// The same in chrono's terms.
    pub fn delta(self) -> TimeDelta {
        self.0
    }
}

/// A text that is no length of time.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("'{0}' is not a length of time: write a number and a unit, such as 90s, 5m, 12h, 7d, 2w or 1d12h")]
pub struct NotASpan(String);

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        seconds(text.trim()).and_then(TimeDelta::try_seconds).map(Self).ok_or_else(|| NotASpan(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.num_seconds();
        if left == 0 {
            return formatter.write_str("0s");
        }
        for (unit, length) in UNITS.into_iter().filter(|(unit, _)| *unit != 'w') {
            if left >= length {
                write!(formatter, "{}{unit}", left / length)?;
                left %= length;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

fn seconds(text: &str) -> Option<i64> {
    if text.starts_with(|first: char| first.is_ascii_digit()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        let (_, length) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(length)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(total)
}

const UNITS: [(char, i64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_written() {
        let cases = [
            ("90s", "1m30s"),
            ("5m", "5m"),
            ("168h", "7d"),
            ("2w", "14d"),
            ("1d12h", "1d12h"),
            ("300", "5m"),
            ("0", "0s"),
            (" 1h ", "1h"),
        ];
        for (text, shown) in cases {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_examples() {
        for text in ["", "d", "-5m", "5 m", "5x", "1.5h", "5m ago", "99999999999999999999s", "9223372036854775807w"] {
            assert!(text.parse::<Span>().unwrap_err().to_string().contains("such as 90s, 5m"), "{text}");
        }
    }
}
