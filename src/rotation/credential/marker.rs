//! The note as a part of a text that people write as well: `Token of CI [tokensmith token {"holds":"5f1d3e8a90bc",…} 0a1b2c3d]`.
//!
//! A checksum tells whether it was edited by hand: then it counts for nothing, and the run stops. Each secret field of a credential has a marker of its own.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Deserializer;

use crate::rotation::{Note, Retiring};
use crate::secret::Secret;

/// What stands in the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// Fingerprint of the token that the field holds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) holds: Option<String>,
    /// Who wrote this: runs that can see each other's locks have one name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) by: Option<String>,
    /// What is known of it, and of the token that a run is about to put there.
    #[serde(flatten)]
    pub(super) note: Note,
}

/// A marker that is not as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

impl Marker {
    /// As it reads once it was written: times have no fractions of a second.
    pub(super) fn new(holds: Option<String>, by: &str, note: &Note) -> Self {
        Self { holds, by: Some(by.to_owned()), note: in_seconds(note) }
    }

    /// Whether a run that cannot be seen from here may be at work: its request was sent a short time ago.
    pub(super) fn is_at_work_elsewhere(&self, own: &str, now: DateTime<Utc>) -> bool {
        let latest = self.note.under_way().max();
        self.by.as_deref() != Some(own) && latest.is_some_and(|since| now - since < LONGEST_RUN)
    }
}

/// The marker of a field, or nothing where the text has none.
pub(super) fn read(text: &str, field: &str) -> Result<Option<Marker>, Damaged> {
    Ok(spans(text)?.into_iter().find(|span| span.field == field).map(|span| span.marker))
}

/// The text with this marker of a field in place of the one that was there, or without one. Everything else stays.
pub(super) fn write(text: &str, field: &str, marker: Option<&Marker>) -> Result<String, Damaged> {
    let rest = match spans(text)?.into_iter().find(|span| span.field == field) {
        Some(span) => {
            let (before, behind) = (text[..span.begin].trim_end(), text[span.end..].trim_start());
            [before, behind].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
        }
        None => text.trim_end().to_owned(),
    };
    let Some(marker) = marker else { return Ok(rest) };
    let json = serde_json::to_string(marker).map_err(|_| Damaged)?;
    let separator = if rest.is_empty() { "" } else { " " };
    Ok(format!("{rest}{separator}{BEGIN}{field} {json} {}{END}", checksum(field, &json)))
}

struct Span<'a> {
    begin: usize,
    end: usize,
    field: &'a str,
    marker: Marker,
}

fn spans(text: &str) -> Result<Vec<Span<'_>>, Damaged> {
    let (mut spans, mut from): (Vec<Span<'_>>, usize) = (Vec::new(), 0);
    while let Some(found) = text[from..].find(BEGIN) {
        let begin = from + found;
        let span = span(text, begin)?;
        if spans.iter().any(|other| other.field == span.field) {
            return Err(Damaged);
        }
        from = span.end;
        spans.push(span);
    }
    Ok(spans)
}

fn span(text: &str, begin: usize) -> Result<Span<'_>, Damaged> {
    let inside = &text[begin + BEGIN.len()..];
    let (field, rest) = inside.split_once(' ').ok_or(Damaged)?;
    let mut documents = Deserializer::from_str(rest).into_iter::<Marker>();
    let marker = documents.next().and_then(Result::ok).ok_or(Damaged)?;
    let (json, tail) = rest.split_at(documents.byte_offset());
    let tail = tail.strip_prefix(' ').ok_or(Damaged)?;
    let (sum, _) = tail.split_once(END).ok_or(Damaged)?;
    if sum != checksum(field, json) {
        return Err(Damaged);
    }
    let end = begin + BEGIN.len() + field.len() + 1 + json.len() + 1 + sum.len() + END.len();
    Ok(Span { begin, end, field, marker })
}

fn checksum(field: &str, json: &str) -> String {
    Secret::new(format!("{field} {json}")).fingerprint()[..8].to_owned()
}

/// Nothing depends on less, and each place has one more marker than it has room for.
fn in_seconds(note: &Note) -> Note {
    let cut = |time: Option<DateTime<Utc>>| time.map(|time| time.trunc_subsecs(0));
    let later = |old: &Retiring| Retiring { not_before: old.not_before.map(next_second), ..old.clone() };
    Note {
        rotated_at: cut(note.rotated_at),
        not_issued_before: cut(note.not_issued_before),
        expires_at: cut(note.expires_at),
        under_way_since: cut(note.under_way_since),
        under_way_again: note.under_way_again.iter().map(|time| time.trunc_subsecs(0)).collect(),
        next: note.next.as_deref().map(|next| Box::new(in_seconds(next))),
        retiring: note.retiring.iter().map(later).collect(),
        ..note.clone()
    }
}

/// A time that must not come early.
fn next_second(time: DateTime<Utc>) -> DateTime<Utc> {
    let whole = time.trunc_subsecs(0);
    if whole == time { time } else { whole.checked_add_signed(TimeDelta::seconds(1)).unwrap_or(whole) }
}

/// So long after it wrote down its intention, a run has mostly ended.
const LONGEST_RUN: TimeDelta = TimeDelta::seconds(60);
const BEGIN: &str = "[tokensmith ";
const END: &str = "]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_a_part_of_a_text_and_everything_else_stays() {
        let marker = marker("5f1d3e8a90bc");
        for (text, written) in [
            ("", "[tokensmith token {} 00000000]"),
            ("Token of CI", "Token of CI [tokensmith token {} 00000000]"),
            ("Token of CI \n", "Token of CI [tokensmith token {} 00000000]"),
            ("für [brackets] {braces}", "für [brackets] {braces} [tokensmith token {} 00000000]"),
        ] {
            let json = serde_json::to_string(&marker).unwrap();
            let written = written.replace("{} 00000000", &format!("{json} {}", checksum("token", &json)));
            assert_eq!(write(text, "token", Some(&marker)).unwrap(), written);
            assert_eq!(read(&written, "token"), Ok(Some(marker.clone())));
            assert_eq!(write(&written, "token", Some(&marker)).unwrap(), written, "the same again");
            assert_eq!(write(&written, "token", None).unwrap(), text.trim_end());
        }
    }

    #[test]
    fn people_may_write_before_and_behind_it() {
        let written = write("", "token", Some(&marker("a"))).unwrap();
        let edited = format!("before {written} behind");
        assert_eq!(read(&edited, "token"), Ok(Some(marker("a"))));
        let again = write(&edited, "token", Some(&marker("b"))).unwrap();
        assert!(again.starts_with("before behind [tokensmith token {"), "{again}");
        assert_eq!(read(&again, "token"), Ok(Some(marker("b"))));
    }

    #[test]
    fn each_field_has_its_own() {
        let one = write("text", "token", Some(&marker("a"))).unwrap();
        let both = write(&one, "password", Some(&marker("b"))).unwrap();
        assert_eq!(read(&both, "token"), Ok(Some(marker("a"))));
        assert_eq!(read(&both, "password"), Ok(Some(marker("b"))));
        assert_eq!(read(&both, "other"), Ok(None));
        assert_eq!(write(&both, "password", None).unwrap(), one);
    }

    #[test]
    fn one_that_was_edited_or_doubled_counts_for_nothing() {
        let written = write("CI", "token", Some(&marker("5f1d3e8a90bc"))).unwrap();
        for edited in [
            written.replace("5f1d", "5f1e"),
            written.replace("[tokensmith token", "[tokensmith password"),
            written.replace("} ", "}  "),
            written.trim_end_matches(']').to_owned(),
            written[..written.len() / 2].to_owned(),
            format!("{written} {written}"),
            "[tokensmith is great]".to_owned(),
            "[tokensmith ".to_owned(),
        ] {
            assert_eq!(read(&edited, "token"), Err(Damaged), "{edited}");
            assert_eq!(write(&edited, "token", None), Err(Damaged), "{edited}");
        }
    }

    #[test]
    fn it_reads_as_it_was_written_also_with_all_that_a_note_can_hold() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let note = Note {
            fingerprint: Some("0123456789ab".to_owned()),
            server: Some("https://aap.example.com/api/gateway/v1".to_owned()),
            object: Some("CI \"of\" [all] {things}]".to_owned()),
            id: Some("42".to_owned()),
            rotated_at: Some(time("2026-11-22T17:31:11.987654321Z")),
            expires_at: Some(time("3026-11-22T17:31:11.5Z")),
            under_way_since: Some(time("2026-11-22T17:31:11.9Z")),
            under_way_again: vec![time("2026-11-22T17:31:12.9Z")],
            retiring: vec![Retiring {
                id: "41".to_owned(),
                fingerprint: Some("ab0123456789".to_owned()),
                not_before: Some(time("2026-11-22T18:31:11.1Z")),
            }],
            ..Note::default()
        };
        let note = Note { next: Some(Box::new(note.clone())), ..note };
        let marker = Marker::new(Some("0123456789ab".to_owned()), "cd0123456789", &note);
        let text = write("people's words", "oauth_token", Some(&marker)).unwrap();
        assert_eq!(read(&text, "oauth_token"), Ok(Some(marker.clone())));
        assert_eq!(marker.note.rotated_at, Some(time("2026-11-22T17:31:11Z")));
        assert_eq!(marker.note.retiring[0].not_before, Some(time("2026-11-22T18:31:12Z")));
        assert!(text.len() < 1500, "{}", text.len());
    }

    #[test]
    fn a_run_elsewhere_is_waited_for_and_one_that_was_killed_is_not_for_ever() {
        let now = Utc::now();
        for (by, seconds, expected) in [("other", 5, true), ("own", 5, false), ("other", 70, false)] {
            let under_way_since = Some(now - TimeDelta::seconds(seconds));
            let marker = Marker::new(None, by, &Note { under_way_since, ..Note::default() });
            assert_eq!(marker.is_at_work_elsewhere("own", now), expected, "{by} {seconds}");
        }
        assert!(!Marker::new(None, "other", &Note::default()).is_at_work_elsewhere("own", now));
    }

    fn marker(holds: &str) -> Marker {
        Marker::new(Some(holds.to_owned()), "host", &Note::default())
    }
}
