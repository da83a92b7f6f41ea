//! As much of Markdown as our pages use.

use std::fs;
use std::path::{Path, PathBuf};

/// A page, taken apart.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) headings: Vec<Heading>,
    pub(crate) tables: Vec<Table>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) links: Vec<String>,
    /// Lines that are in no block.
    prose: Vec<String>,
}

pub(crate) struct Heading {
    pub(crate) level: usize,
    pub(crate) text: String,
}

/// A table, with the heading of the second level that it stands under.
pub(crate) struct Table {
    pub(crate) section: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut page = Self {
            name,
            path: path.to_owned(),
            headings: Vec::new(),
            tables: Vec::new(),
            blocks: Vec::new(),
            links: Vec::new(),
            prose: Vec::new(),
            text: String::new(),
        };
        let mut is_block = false;
        for line in text.lines() {
            match line.trim_start().strip_prefix("```") {
                Some(_) if is_block => is_block = false,
                Some(language) => {
                    is_block = true;
                    page.blocks.push(Block { language: language.to_owned(), text: String::new() });
                }
                None if is_block => page.blocks.last_mut().unwrap().text.push_str(&format!("{line}\n")),
                None => page.take_prose(line),
            }
        }
        assert!(!is_block, "{}: a block does not end", page.name);
        page.text = text;
        page
    }

    /// What stands between backticks.
    pub(crate) fn spans(&self) -> Vec<String> {
        self.prose.iter().flat_map(|line| spans(line)).map(str::to_owned).collect()
    }

    fn take_prose(&mut self, line: &str) {
        assert!(line.matches('`').count().is_multiple_of(2), "{}: a backtick is alone in {line}", self.name);
        let level = line.chars().take_while(|letter| *letter == '#').count();
        if let Some(text) = line[level..].strip_prefix(' ').filter(|_| level > 0) {
            self.headings.push(Heading { level, text: text.to_owned() });
        }
        if let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
            self.take_row(cells.split('|').map(|cell| cell.trim().to_owned()).collect());
        }
        let targets = line.split("](").skip(1).filter_map(|behind| Some(behind.split_once(')')?.0.to_owned()));
        self.links.extend(targets);
        self.prose.push(line.to_owned());
    }

    fn take_row(&mut self, row: Vec<String>) {
        let is_first = !self.prose.last().is_some_and(|line| line.starts_with('|'));
        if is_first {
            let section = self.headings.iter().rev().find(|heading| heading.level <= 2);
            let section = section.map(|heading| heading.text.clone()).unwrap_or_default();
            self.tables.push(Table { section, header: row, rows: Vec::new() });
            return;
        }
        let table = self.tables.last_mut().unwrap();
        assert_eq!(row.len(), table.header.len(), "{}: {row:?}", self.name);
        if !row[0].starts_with("---") {
            table.rows.push(row);
        }
    }
}

impl Heading {
    /// As it is linked to.
    pub(crate) fn anchor(&self) -> String {
        let kept = self.text.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    }
}

/// What stands between backticks in a line.
pub(crate) fn spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}
