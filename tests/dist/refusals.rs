//! What `make dist` does not do, and what it says instead.

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use tokensmith_tests::gnupg::Key;

use crate::built::{run, said, source};

#[test]
fn nothing_is_made_for_others_that_they_could_not_build_again() {
    let checkout = Checkout::new();
    assert!(checkout.refusal("").contains("tokensmith: this is no checkout, so nobody could build this again."));
    checkout.git(&["init", "--quiet"]);
    assert!(checkout.refusal("").contains("there are changes that are not committed"));
    checkout.git(&["add", "."]);
    checkout.git(&["commit", "--quiet", "--message", "All"]);
    // Without a branch, as a tag is checked out.
    checkout.git(&["checkout", "--quiet", "--detach"]);
    // Past that refusal, and stopped by the next one.
    assert!(checkout.refusal("nobody").contains("tokensmith: KEY=nobody names no secret key that gpg has"));
    checkout.write("scripts/stray", "");
    assert!(checkout.refusal("nobody").contains("?? scripts/stray"));
}

#[test]
fn a_file_that_somebodys_own_configuration_hides_from_git_is_a_change_too() {
    let checkout = Checkout::new();
    checkout.git(&["init", "--quiet"]);
    checkout.git(&["add", "."]);
    checkout.git(&["commit", "--quiet", "--message", "All"]);
    checkout.write("hidden", "*.log\n");
    checkout.git(&["config", "core.excludesFile", &checkout.0.path().join("hidden").display().to_string()]);
    fs::create_dir(checkout.0.path().join("docs")).unwrap();
    checkout.write("docs/notes.log", "");
    assert!(checkout.refusal("").contains("?? docs/"));
}

/// The scripts alone: whatever is refused is refused before anything is built.
struct Checkout(TempDir);

impl Checkout {
    fn new() -> Self {
        let checkout = Self(TempDir::new().unwrap());
        run(Command::new("cp").arg("-r").arg(source("scripts")).arg(checkout.0.path()));
        checkout
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn git(&self, words: &[&str]) {
        let somebody = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"];
        run(Command::new("git").args(somebody).args(words).current_dir(&self.0));
    }

    fn refusal(&self, key: &str) -> String {
        let no_key = TempDir::new().unwrap();
        let mut command = Command::new(self.0.path().join("scripts/dist.sh"));
        // A checkout around the temporary folder is none of ours.
        command.env("GIT_CEILING_DIRECTORIES", self.0.path().parent().unwrap());
        let output = command.env("KEY", key).env("GNUPGHOME", no_key.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        Key::end_all_of(no_key.path());
        said(&output)
    }
}
