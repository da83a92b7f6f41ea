//! The checksums and the signature, checked as their readers check them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tokensmith_tests::gnupg::Key;

use crate::built::{Built, run, said, tool};

#[test]
fn sha256sum_checks_all_that_lies_beside_the_tarball_and_finds_a_change_in_each() {
    let Some(built) = Built::find() else { return };
    built.lay_beside();
    let check = || {
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(built.folder())
            .output()
            .unwrap()
    };
    assert!(check().status.success(), "{}", said(&check()));
    let mut listed = Vec::new();
    for line in fs::read_to_string(built.folder().join("SHA256SUMS")).unwrap().lines() {
        let (_, name) = line.split_once("  ").unwrap();
        let path = built.folder().join(name);
        let content = fs::read(&path).unwrap();
        fs::write(&path, [content.as_slice(), b"x"].concat()).unwrap();
        assert!(said(&check()).contains(&format!("{name}: FAILED")), "{}", said(&check()));
        fs::write(&path, content).unwrap();
        listed.push(name.to_owned());
    }
    listed.push("SHA256SUMS".to_owned());
    listed.sort();
    assert_eq!(listed, tokensmith_tests::scene::names(built.folder()), "and nothing else lies there");
    let executable = format!("tokensmith_{}", env::consts::ARCH);
    let version = run(Command::new(built.folder().join(&executable)).arg("--version"));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

#[test]
fn verify_accepts_our_signature_and_refuses_that_of_another_key_on_every_ansible_core() {
    let Some(signed) = Signed::new() else { return };
    let other = Key::new();
    for galaxy in signed.galaxies() {
        let installed = galaxy.install(&signed.built.tarball);
        let verified = galaxy.verify(&installed, &signed.key.keyring(), &signed.signature);
        assert!(verified.status.success(), "{}", said(&verified));
        assert!(said(&verified).contains("Successfully verified that checksums for 'tokensmith.redhat:"));
        let verified = galaxy.verify(&installed, &other.keyring(), &signed.signature);
        assert!(!verified.status.success(), "{}", said(&verified));
        assert!(
            said(&verified).contains("Signature verification failed for 'tokensmith.redhat"),
            "{}",
            said(&verified)
        );
    }
}

#[test]
fn verify_finds_a_changed_file_and_a_tarball_that_was_made_anew_around_one() {
    let Some(signed) = Signed::new() else { return };
    let galaxy = signed.galaxies().remove(0);
    let installed = galaxy.install(&signed.built.tarball);
    let executable = format!("plugins/bin/tokensmith_{}", env::consts::ARCH);
    append(&installed.path().join(FOLDER).join(&executable));
    let verified = galaxy.verify(&installed, &signed.key.keyring(), &signed.signature);
    assert!(!verified.status.success() && said(&verified).contains(&executable), "{}", said(&verified));

    // All checksums of this one are right. Only the signature is not of it.
    let stage = TempDir::new().unwrap();
    let stage_of_test = PathBuf::from(env::var_os("TOKENSMITH_STAGE").unwrap());
    run(Command::new("cp").arg("-r").arg(stage_of_test).arg(stage.path()));
    append(&stage.path().join("redhat").join(&executable));
    run(galaxy.command("build").arg("--output-path").arg(stage.path()).current_dir(stage.path().join("redhat")));
    let forged = stage.path().join(signed.built.tarball.file_name().unwrap());
    let installed = galaxy.install(&forged);
    run(galaxy.command("verify").args(["--offline", "tokensmith.redhat"]).env(PATH, installed.path()));
    let verified = galaxy.verify(&installed, &signed.key.keyring(), &signed.signature);
    assert!(!verified.status.success(), "{}", said(&verified));
    assert!(said(&verified).contains("Signature verification failed for 'tokensmith.redhat"), "{}", said(&verified));
}

#[test]
fn a_signature_of_an_earlier_tarball_does_not_stay_beside_one_that_is_not_signed() {
    let Some(signed) = Signed::new() else { return };
    signed.built.lay_beside();
    assert!(!signed.signature.exists());
}

/// The tarball, signed with a throw-away key.
struct Signed {
    built: Built,
    key: Key,
    signature: PathBuf,
}

impl Signed {
    fn new() -> Option<Self> {
        let built = Built::find()?;
        let key = Key::new();
        let signature = key.sign(&built.tarball);
        assert!(fs::read_to_string(&signature).unwrap().starts_with("-----BEGIN PGP SIGNATURE-----"));
        Some(Self { built, key, signature })
    }

    /// Of the tools' own ansible-core, of the oldest and of the newest.
    fn galaxies(&self) -> Vec<Galaxy> {
        let cores = env::var("TOKENSMITH_CORES").unwrap_or_default();
        let others = cores.lines().map(|core| Path::new(core).join("bin/ansible-galaxy"));
        [tool("ansible-galaxy").get_program().into()].into_iter().chain(others).map(Galaxy::new).collect()
    }
}

struct Galaxy {
    program: PathBuf,
    home: TempDir,
}

impl Galaxy {
    fn new(program: PathBuf) -> Self {
        Self { program, home: TempDir::new().unwrap() }
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["collection", action]).env("ANSIBLE_HOME", self.home.path()).env("NO_COLOR", "1");
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    fn install(&self, tarball: &Path) -> TempDir {
        let folder = TempDir::new().unwrap();
        run(self.command("install").args(["--offline", "--no-deps", "-p"]).arg(folder.path()).arg(tarball));
        folder
    }

    fn verify(&self, installed: &TempDir, keyring: &Path, signature: &Path) -> Output {
        let mut command = self.command("verify");
        command.args(["--offline", "tokensmith.redhat", "--keyring"]).arg(keyring);
        command.arg("--signature").arg(format!("file://{}", signature.display()));
        command.env(PATH, installed.path()).output().unwrap()
    }
}

fn append(path: &Path) {
    fs::write(path, [fs::read(path).unwrap().as_slice(), b"x"].concat()).unwrap();
}

const FOLDER: &str = "ansible_collections/tokensmith/redhat";
const PATH: &str = "ANSIBLE_COLLECTIONS_PATH";
