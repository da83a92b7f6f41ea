//! The collection's own tarball, published to the real hub and installed back with tokens that `hub_token` made.

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::galaxy_ng::GalaxyNg;
use tokensmith_tests::gnupg::Key;
use tokensmith_tests::installed::find_secrets;
use tokensmith_tests::quay::with;
use tokensmith_tests::scene::read;

use crate::galaxy::{Galaxy, said};

#[test]
fn the_collection_is_published_and_installed_back_with_tokens_of_hub_token() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let tarball = tarball();
    let owner = hub.make_namespace("tokensmith")?;
    let galaxy = Galaxy::new("# of the build host\n[defaults]\nforks = 7\n\n[galaxy]\nserver_list = hub\n");
    let section = json!({ "dest": galaxy.configuration(), "dest_format": "ansible_cfg", "galaxy_server": "hub" });
    let run = hub_token(hub, &owner, &section).succeeded();
    assert!(run.changed() && !run.warnings().contains("server_list"), "{run}");
    let first = token_of(&read(&galaxy.configuration()), "token = ");

    let published = galaxy.run(&["publish", &tarball.display().to_string()], &[]);
    assert!(published.status.success(), "{}", said(&published));
    assert!(said(&published).contains("successfully published and imported"), "{}", said(&published));

    // A rotation in between: the next command has the new token.
    hub_token(hub, &owner, &with(section, json!({ "state": "rotated" }))).succeeded();
    let configuration = read(&galaxy.configuration());
    assert!(configuration.starts_with("# of the build host\n[defaults]\nforks = 7\n"), "{configuration}");
    assert!(!hub.works(&first)? && hub.works(&token_of(&configuration, "token = "))?);
    install_and_compare(&galaxy, &[], &tarball);

    // Whoever installs is another user, who keeps the token in the token file.
    let reader = Galaxy::new("");
    let file = json!({ "dest": reader.token_file(), "dest_format": "galaxy_token" });
    hub_token(hub, &hub.make_user("reader")?, &file).succeeded();
    install_and_compare(&reader, &["-s", &hub.server()], &tarball);
    install_with_signature(&reader, &["-s", &hub.server()], &tarball);
    Ok(())
}

#[test]
fn a_replaced_token_publishes_nothing() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let owner = hub.make_user("casey")?;
    let galaxy = Galaxy::new("[galaxy]\nserver_list = hub\n");
    let section = json!({ "dest": galaxy.configuration(), "dest_format": "ansible_cfg", "galaxy_server": "hub" });
    hub_token(hub, &owner, &section).succeeded();
    hub.issue(&owner)?;
    let published = galaxy.run(&["publish", &tarball().display().to_string()], &[]);
    assert!(!published.status.success(), "{}", said(&published));
    assert!(said(&published).contains("(HTTP Code: 403, Message: Forbidden)"), "{}", said(&published));
    Ok(())
}

/// A run with the user's password, which shows neither that nor the token.
fn hub_token(hub: &GalaxyNg, user: &str, options: &Value) -> Run {
    let access =
        json!({ "ah_host": hub.url(), "ah_username": user, "ah_password": GalaxyNg::PASSWORD, "use_proxy": false });
    let run = executable::module("hub_token", &with(access, options.clone()));
    let written = read(Path::new(options["dest"].as_str().expect("dest is a text")));
    let token = token_of(&written, "token");
    let secrets = [GalaxyNg::PASSWORD.to_owned(), token];
    assert_eq!(find_secrets(&run.stdout, &secrets), [0usize; 0], "{run}");
    run
}

/// The token in a line that begins so.
fn token_of(content: &str, beginning: &str) -> String {
    let line = content.lines().find_map(|line| line.strip_prefix(beginning)).expect("there is such a line");
    line.trim_matches([' ', '=', ':', '\'']).to_owned()
}

/// Installs the collection; what lies there then is what lies in the tarball.
fn install_and_compare(galaxy: &Galaxy, words: &[&str], tarball: &Path) {
    let mut all = vec!["install", "tokensmith.redhat", "-p", "collections"];
    all.extend(words);
    let installed = galaxy.run(&all, &[]);
    assert!(installed.status.success(), "{}", said(&installed));
    let folder = galaxy.path("collections/ansible_collections/tokensmith/redhat");
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(tarball).expect("the tarball can be read")));
    let mut compared = 0;
    for entry in archive.entries().expect("the tarball has entries") {
        let mut entry = entry.expect("an entry can be read");
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = folder.join(entry.path().expect("an entry has a path"));
        let mut packed = Vec::new();
        entry.read_to_end(&mut packed).expect("an entry can be read");
        assert!(fs::read(&path).is_ok_and(|bytes| bytes == packed), "{}", path.display());
        compared += 1;
    }
    assert!(compared > 2, "only {compared} files were compared");
}

/// With a keyring, `ansible-galaxy` installs what the signature of `make dist` is of, if the key is known, and else nothing.
fn install_with_signature(galaxy: &Galaxy, words: &[&str], tarball: &Path) {
    let (key, other) = (Key::new(), Key::new());
    let copy = galaxy.path(&tarball.file_name().expect("the tarball has a name").to_string_lossy());
    fs::copy(tarball, &copy).expect("the tarball can be copied");
    let signature = format!("file://{}", key.sign(&copy).display());
    let run = |action: &str, keyring: &Path| {
        let keyring = keyring.display().to_string();
        let mut all = vec![action, "tokensmith.redhat", "--keyring", &keyring, "--signature", &signature];
        all.extend(words);
        all.extend(if action == "install" { ["-p", "signed"].as_slice() } else { &[] });
        galaxy.run(&all, &[("ANSIBLE_COLLECTIONS_PATH", &galaxy.path("signed").display().to_string())])
    };
    let refused = run("install", &other.keyring());
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(said(&refused).contains("GnuPG signature verification failed"), "{}", said(&refused));
    assert!(!galaxy.path("signed/ansible_collections/tokensmith/redhat").exists());
    let installed = run("install", &key.keyring());
    assert!(installed.status.success(), "{}", said(&installed));
    let verified = run("verify", &key.keyring());
    assert!(verified.status.success(), "{}", said(&verified));
}

fn tarball() -> PathBuf {
    match env::var_os("TOKENSMITH_TARBALL") {
        Some(path) if !path.is_empty() => path.into(),
        _ => panic!("TOKENSMITH_TARBALL is not set: `make test` builds it and sets it"),
    }
}
