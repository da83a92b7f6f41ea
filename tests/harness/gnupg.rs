//! Throw-away keys of GnuPG.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A key in a home of its own. What gpg leaves running for it ends with it.
#[derive(Debug)]
pub struct Key {
    home: tempfile::TempDir,
}

impl Key {
    /// The name by which gpg knows each of them in its home.
    pub const NAME: &str = "releases@tokensmith.example";

    /// Makes one, and a keyring with its public half.
    pub fn new() -> Self {
        let key = Self { home: tempfile::TempDir::new().expect("a folder can be made") };
        let made = key.gpg(&["--passphrase", "", "--quick-generate-key", Self::NAME, "ed25519", "sign", "never"]);
        assert!(made.status.success(), "{made:?}");
        let exported = key.gpg(&["--export"]);
        assert!(exported.status.success() && !exported.stdout.is_empty(), "{exported:?}");
        std::fs::write(key.keyring(), exported.stdout).expect("a file can be written");
        key
    }

    /// The folder for `GNUPGHOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What `--keyring` wants.
    pub fn keyring(&self) -> PathBuf {
        self.home.path().join("public.gpg")
    }

    /// The second half of `make dist` with this key. Returns the signature that then lies beside the tarball.
    pub fn sign(&self, tarball: &Path) -> PathBuf {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/dist.sh");
        let mut command = Command::new(script);
        let output = command.arg(tarball).env("KEY", Self::NAME).env("GNUPGHOME", self.home()).output();
        let output = output.expect("the script runs");
        assert!(output.status.success(), "{output:?}");
        PathBuf::from(tarball.display().to_string().replace(".tar.gz", "-MANIFEST.json.asc"))
    }

    /// Ends what gpg has left running for that home.
    pub fn end_all_of(home: &Path) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]).status();
    }

    fn gpg(&self, words: &[&str]) -> Output {
        Command::new("gpg")
            .args(["--batch", "--quiet"])
            .args(words)
            .env("GNUPGHOME", self.home())
            .output()
            .expect("gpg runs: `make test` installs it where it may")
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        Self::end_all_of(self.home());
    }
}
