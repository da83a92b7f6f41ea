//! Moments as results, files and messages write them: RFC 3339 in UTC, whole seconds.

use chrono::{DateTime, SecondsFormat, Utc};

/// Such as `2026-11-24T18:15:00Z`.
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
