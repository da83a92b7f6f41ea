//! Points in time as the platform reads and writes them. All are milliseconds since the epoch.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// ISO 8601 in UTC with microseconds.
pub(crate) fn text(milliseconds: i64) -> String {
    at(milliseconds).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// As the header `Date` has it.
pub(crate) fn date(milliseconds: i64) -> String {
    at(milliseconds).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What a filter may be given: a date, or a time with or without a zone.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    let time = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    time.or_else(day).map(|time| time.and_utc().timestamp_millis())
}

/// So many seconds later, but never later than the last year that such a server can write.
pub(crate) fn later(milliseconds: i64, seconds: i64) -> i64 {
    milliseconds.saturating_add(seconds.saturating_mul(1000)).min(LAST)
}

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

const LAST: i64 = 253_402_300_799_999;
