//! That only the sources decide what is built.

use std::env;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::built::{Built, original, run, script};

#[test]
fn the_same_sources_in_another_folder_at_another_place_of_the_world_give_the_same_executable_and_the_same_tarball() {
    let Some(tarball) = original() else { return };
    let sums = match env::var_os("TOKENSMITH_BUILT_AGAIN") {
        Some(folder) => built_beside_the_tests(Path::new(&folder)),
        None => run(script("reproduce.sh").arg(&tarball)),
    };
    let executable = env::var("TOKENSMITH_EXECUTABLE").unwrap();
    let name = format!("plugins/bin/tokensmith_{}", env::consts::ARCH);
    let built = [(tarball.display().to_string(), tarball.file_name().unwrap().to_str().unwrap()), (executable, &name)];
    for (path, name) in built {
        let line = format!("{:x}  {name}", Sha256::digest(fs::read(path).unwrap()));
        assert!(sums.lines().any(|sum| sum == line), "{line}, and what was built elsewhere:\n{sums}");
    }
}

#[test]
fn no_executable_says_where_it_was_built() {
    let Some(tarball) = original() else { return };
    let home = env::var("HOME").unwrap();
    let places = [tarball.parent().unwrap().parent().unwrap().display().to_string(), format!("{home}/")];
    for (name, content) in Built::find().unwrap().executables() {
        for place in &places {
            let found = content.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!found, "{name} names {place}");
        }
    }
}

/// What `scripts/test.sh` has begun to build as soon as it could.
fn built_beside_the_tests(folder: &Path) -> String {
    let (begun, read) = (Instant::now(), |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default());
    while !read("status").ends_with('\n') {
        assert!(begun.elapsed() < LONGEST_BUILD, "the second build has no end: {}", read("said"));
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(read("status").trim(), "0", "{}", read("said"));
    read("sums")
}

const LONGEST_BUILD: Duration = Duration::from_secs(30 * 60);
