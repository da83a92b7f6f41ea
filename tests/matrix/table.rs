//! `docs/matrix.md`: what holds where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::features::FEATURES;
use super::run::Way;
use super::variable;

/// For each feature and ansible-core, the ways by which it works.
pub struct Table {
    missing: Vec<String>,
    tried: BTreeMap<String, BTreeSet<Way>>,
    works: BTreeMap<String, BTreeMap<&'static str, BTreeSet<Way>>>,
}

impl Table {
    /// With the versions that cannot be tried here.
    pub fn new(missing: Vec<String>) -> Self {
        Self { missing, tried: BTreeMap::new(), works: BTreeMap::new() }
    }

    pub fn enter(&mut self, feature: &'static str, core: &str, way: Way, works: bool) {
        self.tried.entry(core.to_owned()).or_default().insert(way);
        let ways = self.works.entry(core.to_owned()).or_default().entry(feature).or_default();
        if works {
            ways.insert(way);
        }
    }

    /// Compares it with the page, as far as could be tried here; with MATRIX_DOCS=1 it writes the page.
    pub fn check(&self) {
        if !self.missing.is_empty() {
            eprintln!("The matrix was not tried on ansible-core {}: no Python fits.", self.missing.join(", "));
        }
        let text = self.text();
        if variable("MATRIX_DOCS").is_some() {
            fs::write(PAGE, &text).unwrap();
        }
        let page = fs::read_to_string(PAGE).unwrap_or_default();
        assert_eq!(
            self.compared(&page),
            self.compared(&text),
            "docs/matrix.md is out of date; `MATRIX_DOCS=1 make matrix` writes it"
        );
    }

    fn text(&self) -> String {
        let mut cores: Vec<&str> = self.works.keys().chain(&self.missing).map(String::as_str).collect();
        cores.sort_by_key(|core| core.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>());
        let mut table = row("", cores.iter().map(|core| (*core).to_owned()));
        table += &row("---", cores.iter().map(|_| "---".to_owned()));
        for (feature, _) in FEATURES {
            table += &row(feature, cores.iter().map(|core| self.cell(feature, core)));
        }
        let not_run = if self.missing.is_empty() { "None.".to_owned() } else { self.missing.join(", ") + "." };
        HEAD.to_owned() + &table + &format!("\nNot run, as no Python was there for it: {not_run}\n") + TAIL
    }

    fn cell(&self, feature: &str, core: &str) -> String {
        let Some(features) = self.works.get(core) else { return "not run".to_owned() };
        match features.get(feature) {
            Some(ways) if *ways == self.tried[core] => "yes".to_owned(),
            Some(ways) if !ways.is_empty() => ways.iter().map(|way| way.name()).collect::<Vec<_>>().join(", "),
            _ => "no".to_owned(),
        }
    }

    /// The lines of a page, without the columns of what cannot be tried here.
    fn compared(&self, page: &str) -> Vec<String> {
        let heads = page.lines().find(|line| line.starts_with("|  |")).unwrap_or_default();
        let skipped: BTreeSet<usize> = cells(heads)
            .enumerate()
            .filter(|(_, head)| self.missing.iter().any(|core| core == head))
            .map(|(at, _)| at)
            .collect();
        let lines = page.lines().filter(|line| !line.starts_with("Not run"));
        let shortened = lines.map(|line| match line.starts_with('|') {
            true => cells(line)
                .enumerate()
                .filter(|(at, _)| !skipped.contains(at))
                .map(|(_, cell)| cell)
                .collect::<Vec<_>>()
                .join("|"),
            false => line.to_owned(),
        });
        shortened.collect()
    }
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split('|').map(str::trim)
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/matrix.md");
const HEAD: &str = "# What Ansible can say around a task

Each row was tried on each of these versions of ansible-core by all three ways to run a module: `direct` on a local connection, `fast` on a host that is reached
by ssh and keeps the executable, `classic` on the same host with `tokensmith_path: classic`. `yes` means that what really happened was right by all of them: the
files and their owners, the tokens at the server, the result, and no secret in the output at `-vvvv` nor in the log. The results of the three are the same.

`make matrix` runs it; `MATRIX_DOCS=1 make matrix` writes this page. `make test` runs the oldest, the newest and one version between them by all three ways, and
each of the others by one.

";
const TAIL: &str = "
## Which way a task takes

- On a local connection the executable is run directly; with `become` to another user, as on a host that keeps it.
- `async` and `ANSIBLE_KEEP_REMOTE_FILES=1` always take the classic way. `async` needs Python on the target, because Ansible's own wrapper is written in it.
- `environment`, loops, `until`, `no_log`, check mode and all else that Ansible decides before or after a module is run makes no difference to the way.
- `ansible_remote_tmp` is where the classic way has its files, and where a host keeps the executable when nothing can be executed in the user's home.

## mitogen

With `strategy: mitogen_linear` (mitogen 0.3.54 on ansible-core 2.19.14) all of the above works over ssh too, with `become` and without, and shows no secret. The one
command goes through the connection that mitogen keeps open. Mitogen has temporary files of its own, so `ANSIBLE_KEEP_REMOTE_FILES=1` keeps nothing.
";
