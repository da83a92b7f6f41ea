//! What was measured, as a table for people and as JSON for comparing commits.

use std::thread;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::quay;

/// Figures by name, in the order in which they came.
pub(super) struct Figures {
    commit: String,
    samples: Vec<Samples>,
}

struct Samples {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
}

/// A line of the JSON. Its shape stays, so that files of different commits can be put together.
#[derive(Serialize)]
struct Figure<'a> {
    name: &'a str,
    median: f64,
    min: f64,
    max: f64,
    unit: &'a str,
    commit: &'a str,
}

impl Figures {
    pub(super) fn new(commit: String) -> Self {
        Self { commit, samples: Vec::new() }
    }

    pub(super) fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        match self.samples.iter_mut().find(|samples| samples.name == name) {
            Some(samples) => samples.values.push(value),
            None => self.samples.push(Samples { name: name.to_owned(), unit, values: vec![value] }),
        }
    }

    pub(super) fn json(&self) -> Result<String> {
        let mut figures = self.samples.iter().map(|samples| self.figure(samples)).collect::<Vec<_>>();
        figures.sort_by_key(|figure| figure.name);
        Ok(serde_json::to_string_pretty(&figures)? + "\n")
    }

    /// Markdown, with the sentences that belong to it.
    pub(super) fn table(&self, ansible: &str) -> Result<String> {
        let debug = self.median("debug")?;
        let mut table = "| task | requests | ms per task | beyond `debug` |\n| --- | ---: | ---: | ---: |\n".to_owned();
        for (name, label, requests) in ROWS {
            let median = self.median(name)?;
            let beyond = if name == "debug" { String::new() } else { format!("{:.1}", median - debug) };
            table.push_str(&format!("| {label} | {requests} | {median:.1} | {beyond} |\n"));
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (uri, direct) = (self.median("uri")? - debug, self.median("direct_refresh")? - debug);
        table.push_str(&format!(
            "\nBeyond `debug`, `uri` costs {:.0} times what `sso_token` costs, and makes one request where `sso_token` makes two: it also proves \
             the new token.\nThe executable alone: {:.1} ms from start to end, {:.1} ms with both requests; {:.1} MiB on disk, \
             {:.1} MiB of memory at its peak.\n",
            uri / direct,
            self.median("executable_version")?,
            self.median("executable_refresh")?,
            self.median("executable_size")? / MEBIBYTE,
            self.median("executable_memory")? / MEBIBYTE,
        ));
        table.push_str(&quay::table(self)?);
        table.push_str(&format!(
            "\nMedians on {cores} cores, with the default settings of ansible-core {ansible} and stand-ins of Red Hat SSO and Quay on the same machine.\n"
        ));
        Ok(table)
    }

    pub(super) fn median(&self, name: &str) -> Result<f64> {
        let samples = self.samples.iter().find(|samples| samples.name == name);
        Ok(self.figure(samples.with_context(|| format!("{name} was not measured"))?).median)
    }

    fn figure<'a>(&'a self, samples: &'a Samples) -> Figure<'a> {
        let mut values = samples.values.clone();
        values.sort_by(f64::total_cmp);
        let middle = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        let [median, min, max] =
            [middle, values[0], values[values.len() - 1]].map(|value| (value * 1000.0).round() / 1000.0);
        Figure { name: &samples.name, median, min, max, unit: samples.unit, commit: &self.commit }
    }
}

/// The text of the README or a page with this table in it.
pub(super) fn with_table(page: &str, table: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("the page has no place that begins the table")?;
    let (_, after) = rest.split_once(END).context("the page has no place that ends the table")?;
    Ok(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

const ROWS: [(&str, &str, usize); 7] = [
    ("debug", "`ansible.builtin.debug`", 0),
    ("direct_nothing_to_do", "`sso_token`, nothing to do", 0),
    ("direct_refresh", "`sso_token`, a new access token", 2),
    ("classic_nothing_to_do", "`sso_token` sent as Ansible sends any module, nothing to do", 0),
    ("classic_refresh", "`sso_token` sent as Ansible sends any module, a new access token", 2),
    ("uri", "`ansible.builtin.uri`, a new access token", 1),
    ("shell_curl", "`ansible.builtin.shell: curl …`, a new access token", 1),
];
const BEGIN: &str = "<!-- bench: made by `make bench` -->";
const END: &str = "<!-- /bench -->";
const MEBIBYTE: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_figure_says_what_it_is_of() {
        let mut figures = Figures::new("c0ffee".to_owned());
        for value in [3.0, 1.0, 2.0, 9.0] {
            figures.add("uri", "ms", value);
        }
        figures.add("debug", "ms", 0.12345);
        let written: Value = serde_json::from_str(&figures.json().unwrap()).unwrap();
        assert_eq!(
            written,
            json!([
                { "name": "debug", "median": 0.123, "min": 0.123, "max": 0.123, "unit": "ms", "commit": "c0ffee" },
                { "name": "uri", "median": 2.5, "min": 1.0, "max": 9.0, "unit": "ms", "commit": "c0ffee" },
            ])
        );
    }

    #[test]
    fn the_table_has_each_way_and_how_much_dearer_the_usual_one_is() {
        let mut figures = Figures::new(String::new());
        for (index, (name, ..)) in ROWS.iter().enumerate() {
            figures.add(name, "ms", 10.0 + 5.0 * index as f64);
        }
        assert!(figures.table("2.19").is_err());
        for name in ["executable_version", "executable_refresh", "executable_size", "executable_memory"] {
            figures.add(name, "", MEBIBYTE);
        }
        for name in ["quay_uri", "quay_default", "quay_32", "quay_memory", "quay_32_memory"] {
            figures.add(name, "", MEBIBYTE);
        }
        let table = figures.table("2.19.14").unwrap();
        assert!(table.contains("\n| `ansible.builtin.debug` | 0 | 10.0 |  |\n"), "{table}");
        assert!(table.contains("\n| `ansible.builtin.uri`, a new access token | 1 | 35.0 | 25.0 |\n"), "{table}");
        assert!(table.contains("`uri` costs 2 times"), "{table}");
    }

    #[test]
    fn the_readme_gets_the_newest_table_and_keeps_the_rest() {
        let readme = include_str!("../../../README.md");
        let once = with_table(readme, "| 1 |\n").unwrap();
        let twice = with_table(&once, "| 2 |\n").unwrap();
        assert!(twice.contains(&format!("{BEGIN}\n| 2 |\n{END}\n")) && !twice.contains("| 1 |"), "{twice}");
        assert_eq!(with_table(&twice, "| 1 |\n").unwrap(), once);
        assert!(with_table("no place", "").is_err());
    }
}
