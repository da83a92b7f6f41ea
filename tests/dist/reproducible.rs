//! That only the sources decide what is built.

use std::env;
use std::fs;

use sha2::{Digest, Sha256};

use crate::built::{Built, original, run, script};

#[test]
fn the_same_sources_in_another_folder_at_another_place_of_the_world_give_the_same_executable_and_the_same_tarball() {
    let Some(tarball) = original() else { return };
    let sums = run(script("reproduce.sh").arg(&tarball));
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
