//! When a new token is to end: after a length of time, or at a date.

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de};
use tokensmith::span::Span;

/// What the option `expiration` says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Expiration {
    After(Span),
    At(DateTime<Utc>),
}

impl Expiration {
    /// The end of a token that is generated now, by a clock that says this.
    pub(super) fn from(self, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
        let end = match self {
            Self::At(end) => Some(end),
            Self::After(life) => now.checked_add_signed(life.delta()),
        };
        match end {
            Some(end) if end > now => Ok(end),
            _ => bail!("expiration is past: a token that ends before it begins is of no use"),
        }
    }
}

impl<'de> Deserialize<'de> for Expiration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(end) = DateTime::parse_from_rfc3339(text.trim()) {
            return Ok(Self::At(end.to_utc()));
        }
        text.parse().map(Self::After).map_err(|error| {
            de::Error::custom(format!("{error}; or a date with time and zone, such as 2026-12-31T00:00:00Z"))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_end_is_a_length_of_time_or_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-11-22T12:00:00Z").unwrap().to_utc();
        for (text, end) in [
            ("1d", "2026-11-23T12:00:00+00:00"),
            ("2026-12-31T00:00:00Z", "2026-12-31T00:00:00+00:00"),
            ("2026-12-31T01:00:00+01:00", "2026-12-31T00:00:00+00:00"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
        ] {
            let expiration: Expiration = serde_json::from_value(json!(text)).unwrap();
            assert_eq!(expiration.from(now).unwrap().to_rfc3339(), end, "{text}");
        }
        for text in ["2026-12-31", "soon", ""] {
            let error = serde_json::from_value::<Expiration>(json!(text)).unwrap_err().to_string();
            assert!(error.contains("or a date with time and zone"), "{error}");
        }
        for text in ["0", "2020-01-01T00:00:00Z", "99999999999d"] {
            let expiration: Expiration = serde_json::from_value(json!(text)).unwrap();
            assert!(expiration.from(now).is_err(), "{text}");
        }
    }
}
