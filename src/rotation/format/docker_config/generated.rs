//! Merging into thousands of made-up files. A file is made of pieces, so the test knows without parsing what must be left.

use serde_json::{Value, json};

use super::super::Format;
use super::tests::{AUTH, KEY, LOGIN, merge};
use crate::secret::Secret;

#[test]
fn everything_but_the_entry_is_kept_in_whatever_file() {
    let mut kinds = [0; 4];
    for seed in 1..=4_000 {
        let file = Maker::new(seed).file();
        let before = file.text();
        let after = merge(&before);
        let shown = format!("seed {seed}\n{before}\n-----\n{after}");
        match &file {
            File::Entry { head, tail, .. } | File::Null { head, tail } => {
                let new = after.strip_prefix(head.as_str()).and_then(|rest| rest.strip_suffix(tail.as_str()));
                let new: Value = serde_json::from_str(new.unwrap_or_else(|| panic!("{shown}"))).expect(&shown);
                let entry = json!({ "auth": AUTH, "email": "" });
                let is_entry = matches!(file, File::Entry { .. });
                assert_eq!(new, if is_entry { entry } else { json!({ KEY: entry }) }, "{shown}");
            }
            File::Without { head, tail } => {
                let new = after.strip_prefix(head.as_str()).and_then(|rest| rest.strip_suffix(tail.as_str()));
                assert!(new.is_some_and(|new| new.contains(AUTH)), "{shown}");
            }
        }
        assert_eq!(parsed(&after), with_entry(parsed(&before)), "{shown}");
        assert_eq!(merge(&after), after, "{shown}");
        assert_eq!(Format::DockerConfig.read(after.as_bytes(), Some(&LOGIN)), Some(Secret::new("t0ken")), "{shown}");
        kinds[file.kind()] += 1;
    }
    assert!(kinds.iter().all(|&count| count > 100), "{kinds:?}");
}
