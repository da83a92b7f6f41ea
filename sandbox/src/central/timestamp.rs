//! Points in time as Central reads and writes them.

use chrono::{DateTime, Datelike, Utc};

/// RFC 3339 of whole seconds, in UTC.
pub(crate) fn text(seconds: i64) -> String {
    at(seconds).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// As the header `Date` has it.
pub(crate) fn date(seconds: i64) -> String {
    at(seconds).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// As Go prints a time.
pub(crate) fn go_text(seconds: i64) -> String {
    at(seconds).format("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// Milliseconds since the epoch. RFC 3339 with capital letters, at most nine digits of a second, and a year from 1 to 9999.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let is_strict = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let is_leap = text.get(17..19) == Some("60");
    if !is_strict || digits > 9 || is_leap {
        return None;
    }
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    (1..=9999).contains(&time.year()).then(|| time.timestamp_millis())
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}
