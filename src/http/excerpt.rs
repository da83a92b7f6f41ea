//! What of an answer may be quoted in a message.

use reqwest::StatusCode;

/// The beginning of a body for a message, or nothing where it might hold a token.
///
/// A successful answer may be a token in the wrong wrapping, so only a page (a proxy's log-in, say) is quoted from it. Long words are left out of any
/// quotation: no sentence has them, and tokens are such words.
pub(super) fn excerpt(status: StatusCode, content_type: Option<&str>, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST_LOOK)]).trim().to_owned();
    if text.is_empty() || (status.is_success() && !text.starts_with('<')) {
        return String::new();
    }
    let readable = if text.starts_with('<') { without_tags(&text) } else { text };
    let quoted = cut(&readable.split_whitespace().map(short_or_hidden).collect::<Vec<_>>().join(" "));
    let kind = content_type.and_then(|kind| kind.split(';').next()).unwrap_or("no content type").trim().to_owned();
    format!(" ({kind}: \"{quoted}\")")
}

/// What a server says of an error, for quoting it within a sentence: its first line, not too long, and without words that may be tokens of which nobody
/// here knows.
pub(crate) fn quotable(said: &str) -> String {
    let first = said.trim().lines().next().unwrap_or_default();
    let may_be_token = |word: &str| word.len() >= SHORTEST_TOKEN && !word.contains("://");
    let words = first.split_whitespace().map(|word| if may_be_token(word) { "…" } else { word });
    cut(&words.collect::<Vec<_>>().join(" "))
}

/// What a body is, where JSON was expected.
pub(super) fn why_not_json(body: &[u8], error: &serde_json::Error) -> String {
    if body.is_empty() {
        return "the body is empty where JSON was expected".to_owned();
    }
    if body.trim_ascii_start().starts_with(b"<") {
        return "a page (HTML) where JSON was expected; does a proxy or load balancer answer in the server's place?"
            .to_owned();
    }
    match error.classify() {
        serde_json::error::Category::Eof => format!("the JSON ends in the middle, after {} bytes", body.len()),
        serde_json::error::Category::Data => "the JSON has not the fields that were expected".to_owned(),
        _ => format!("the body ({} bytes) is no JSON", body.len()),
    }
}

/// The words of a page: what stands between its tags, without styles and scripts.
fn without_tags(page: &str) -> String {
    let mut words = String::new();
    for piece in page.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        let name = tag.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if name != "style" && name != "script" {
            words.push(' ');
            words.push_str(text);
        }
    }
    words
}

fn cut(text: &str) -> String {
    let mut characters = text.chars();
    let mut cut: String = characters.by_ref().take(LONGEST_EXCERPT).collect();
    cut.extend(characters.next().map(|_| '…'));
    cut
}

fn short_or_hidden(word: &str) -> &str {
    if word.len() > LONGEST_WORD { "…" } else { word }
}

const LONGEST_LOOK: usize = 4096;
const LONGEST_EXCERPT: usize = 200;
const LONGEST_WORD: usize = 30;
const SHORTEST_TOKEN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_quoted_by_its_words() {
        let page = b"<html><head><style>body { color: red }</style><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>";
        assert_eq!(
            excerpt(StatusCode::BAD_GATEWAY, Some("text/html; charset=utf-8"), page),
            " (text/html: \"502 Bad Gateway Bad Gateway\")"
        );
    }

    #[test]
    fn a_successful_answer_that_may_hold_a_token_is_not_quoted() {
        assert_eq!(excerpt(StatusCode::OK, Some("application/json"), br#"{"access_token":"eyJhbGciOiJIUzI1"#), "");
    }

    #[test]
    fn words_as_long_as_tokens_are_left_out() {
        let said = format!("bad token {} seen", "x".repeat(64));
        assert_eq!(excerpt(StatusCode::BAD_REQUEST, None, said.as_bytes()), " (no content type: \"bad token … seen\")");
    }

    #[test]
    fn what_a_server_says_is_quoted_by_its_first_line_without_what_may_be_a_token() {
        for (said, quoted) in [
            (" 'x' is too long\n\nFailed validating\n", "'x' is too long"),
            (&format!("token {} is unknown", "Q7".repeat(20)), "token … is unknown"),
            (
                "issuer https://idp.example.com/realms/external unknown",
                "issuer https://idp.example.com/realms/external unknown",
            ),
            ("", ""),
        ] {
            assert_eq!(quotable(said), quoted);
        }
        assert_eq!(quotable(&"no ".repeat(4000)).chars().count(), LONGEST_EXCERPT + 1);
    }

    #[test]
    fn long_answers_are_cut() {
        let quoted = excerpt(StatusCode::BAD_REQUEST, Some("text/plain"), "no ".repeat(4000).as_bytes());
        assert!(quoted.len() < 240, "{quoted}");
    }
}
