//! A secret that cannot be shown by accident, and the scrubber that keeps secrets out of sentences we did not write.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A token, password or key.
///
/// It has no `Display` and no `Serialize`, its `Debug` shows nothing, and its memory is wiped when it is dropped. What is inside comes out by
/// [`Secret::reveal`] alone, which is called where a request is written, where a token is handed over, and where a result returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a string into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself. Whoever calls this answers for where it goes.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first 12 hexadecimal digits of its SHA-256: how results, notes and messages name a secret.
    pub fn fingerprint(&self) -> String {
        let hash = digest(&SHA256, self.0.as_bytes());
        hash.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Without the white space around it, as files and copied strings have it.
    pub fn trimmed(&self) -> Self {
        Self::new(self.0.trim())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Every secret that this run has met, in every spelling in which a server or a library might repeat it.
#[derive(Default)]
pub struct Scrubber {
    spellings: Vec<Zeroizing<String>>,
}

impl Scrubber {
    /// Remembers a secret. Very short ones are not looked for: they would blot out ordinary words and say by that what they are.
    pub fn learn(&mut self, secret: &Secret) {
        let text = secret.reveal();
        // A secret from a file or a variable is sent without the white space around it.
        for text in [Some(text), Some(text.trim()).filter(|trimmed| *trimmed != text)].into_iter().flatten() {
            if text.len() >= SHORTEST_SCRUBBED {
                self.spellings.extend(spellings(text));
            }
        }
    }

    /// The text with every known secret replaced.
    pub fn scrub(&self, text: &str) -> String {
        let mut found: Vec<&str> = self
            .spellings
            .iter()
            .map(|spelling| spelling.as_str())
            .filter(|spelling| text.contains(spelling))
            .collect();
        // A long spelling may hold a short one: replaced in this order nothing of it is left over.
        found.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        found.into_iter().fold(text.to_owned(), |clean, spelling| clean.replace(spelling, SCRUBBED))
    }
}

fn spellings(text: &str) -> Vec<Zeroizing<String>> {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let escaped = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    let mut all: Vec<String> = vec![
        text.to_owned(),
        escaped.to_owned(),
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
    ];
    all.extend([STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|engine| engine.encode(text)));
    all.extend(inside_base64(text));
    // A JWT is recognised by its last part as well: some servers repeat a token cut or without its header.
    all.extend(text.rsplit('.').next().filter(|last| last.len() >= 32).map(str::to_owned));
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(Zeroizing::new).collect()
}

/// What of a secret stands in base64 of a longer text, as in `Basic` authorization: three spellings, by how many bytes stand before it. Its ends depend
/// on the neighbours and are left out.
fn inside_base64(text: &str) -> impl Iterator<Item = String> {
    let long_enough = text.len() >= SHORTEST_INSIDE_BASE64;
    (0..3).filter(move |_| long_enough).flat_map(move |before| {
        let padded = Zeroizing::new([&[0; 3][..before], text.as_bytes()].concat());
        [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| {
            let encoded = engine.encode(padded.as_slice());
            encoded[4..encoded.len() - 4].to_owned()
        })
    })
}

/// What stands in place of a secret in a message.
pub const SCRUBBED: &str = "********";

const SHORTEST_SCRUBBED: usize = 4;
const SHORTEST_INSIDE_BASE64: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_but_its_fingerprint() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.fingerprint(), "4104d36f8da2");
    }

    #[test]
    fn a_secret_is_scrubbed_in_every_spelling() {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new("pass word+\"1\""));
        let said = "pass word+\"1\" | pass word+\\\"1\\\" | pass%20word%2B%221%22 | pass+word%2B%221%22 | cGFzcyB3b3JkKyIxIg==";
        assert_eq!(scrubber.scrub(said), "******** | ******** | ******** | ******** | ********");
    }

    #[test]
    fn a_secret_is_scrubbed_without_the_white_space_around_it() {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new(" t0ken\n"));
        assert_eq!(scrubber.scrub("bad token t0ken, dDBrZW4="), "bad token ********, ********");
    }

    #[test]
    fn the_signature_of_a_token_is_scrubbed_on_its_own() {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new(format!("header.payload.{}", "s".repeat(43))));
        assert_eq!(scrubber.scrub(&format!("bad signature {}", "s".repeat(43))), "bad signature ********");
    }

    #[test]
    fn a_secret_is_scrubbed_where_it_is_a_part_of_base64() {
        let token = "Q7".repeat(32);
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new(token.as_str()));
        for user in ["a", "ab", "abc"] {
            let shown = STANDARD.encode(format!("{user}:{token}"));
            let clean = scrubber.scrub(&shown);
            assert!(clean.contains(SCRUBBED) && clean.len() < 30, "{clean}");
        }
    }

    #[test]
    fn ordinary_words_are_left_alone() {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new("a"));
        scrubber.learn(&Secret::new(""));
        assert_eq!(scrubber.scrub("a plain sentence"), "a plain sentence");
    }
}
