//! The documentation as a site, built as `make docs` builds it, out of the collection that `make test` has staged. Where there is none, as with a plain
//! `cargo test`, nothing is tried.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;

#[test]
fn the_site_has_a_page_for_each_module_lookup_and_guide_and_each_link_in_it_leads_somewhere() {
    let Some(stage) = env::var_os("TOKENSMITH_STAGE").map(PathBuf::from) else {
        eprintln!("skipped: no TOKENSMITH_STAGE; `make test` builds one and tries it");
        return;
    };
    let folder = TempDir::new().unwrap();
    let site = folder.path().join("site");
    let output = Command::new(source("scripts/docs.sh")).args([&stage, &site]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pages = pages(&site);
    for page in expected_pages(&stage) {
        assert!(pages.contains_key(&page), "there is no {page} in {:?}", pages.keys());
    }
    for playbook in names(&source("playbooks"), "yml") {
        assert!(pages["playbooks.html"].contains(&format!("tokensmith.redhat.{playbook}<")), "{playbook}");
    }
    for guide in names(&source("docs"), "md") {
        assert!(
            pages["index.html"].contains(&format!("href=\"{guide}.html\"")),
            "the first page does not lead to {guide}"
        );
    }
    let broken: Vec<_> = pages.iter().flat_map(|(name, page)| broken_links(&site, &pages, name, page)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

fn expected_pages(stage: &Path) -> Vec<String> {
    let of = |folder: PathBuf, extension, kind: &str| {
        names(&folder, extension).into_iter().map(|name| format!("{name}{kind}.html")).collect::<Vec<_>>()
    };
    let pages = [
        of(source("docs"), "md", ""),
        of(stage.join("plugins/modules"), "py", "_module"),
        of(stage.join("plugins/lookup"), "py", "_lookup"),
    ];
    assert!(pages[0].len() > 8 && pages[1].len() > 8, "{pages:?}");
    pages.concat()
}

/// Links that lead nowhere, and what a page would load from elsewhere.
fn broken_links(site: &Path, pages: &BTreeMap<String, String>, name: &str, page: &str) -> BTreeSet<String> {
    let leads_somewhere = |link: &str| {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = path.split('?').next().unwrap_or_default();
        let target = if path.is_empty() { name } else { path };
        site.join(target).exists()
            && (anchor.is_empty() || pages.get(target).is_none_or(|page| page.contains(&format!("id=\"{anchor}\""))))
    };
    let links = attributes(page, "href").filter(|link| !link.contains("://") && !leads_somewhere(link));
    let loaded = attributes(page, "src").filter(|link| link.contains("://") || !leads_somewhere(link));
    links.chain(loaded).map(|link| format!("{name}: {link}")).collect()
}

fn attributes<'a>(page: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!(" {name}=\"");
    let values: Vec<_> = page.split(begin.as_str()).skip(1).filter_map(|behind| behind.split('"').next()).collect();
    values.into_iter()
}

fn pages(site: &Path) -> BTreeMap<String, String> {
    let read = |name: String| {
        let page = fs::read_to_string(site.join(&name).with_extension("html")).unwrap();
        (format!("{name}.html"), page)
    };
    names(site, "html").into_iter().map(read).collect()
}

/// Names of the files in a folder that end so, without that end.
fn names(folder: &Path, extension: &str) -> Vec<String> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let paths = files.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.is_file() && path.extension().is_some_and(|found| found == extension));
    paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}
