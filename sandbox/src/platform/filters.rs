//! Field look-ups: `description__startswith=ci`, `not__scope=read`, `expires__lt=2027-01-01`, and the order of a list.

use regex_lite::Regex;
use serde_json::json;

use super::answers::detail;
use super::state::State;
use super::time;
use crate::exchange::Answer;

/// What can be listed: its columns, and what a search goes through.
pub(crate) trait Listed: Sized + 'static {
    const CLASS: &'static str;
    const COLUMNS: &'static [Column<Self>];

    fn is_found(row: &Self, words: &str) -> bool;
}

/// A column that can be filtered and ordered by.
pub(crate) struct Column<T: 'static> {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) cell: fn(&State, &T) -> Cell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    Time,
    Flag,
    /// The id of something of this class.
    Relation(&'static str),
    /// Never to be searched.
    Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Null,
    Number(i64),
    Text(String),
    Time(i64),
    Flag(bool),
    /// One of these is enough.
    Many(Vec<Cell>),
}

impl Cell {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn number(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Number)
    }

    pub(crate) fn keys(keys: &[i64]) -> Self {
        Self::Many(keys.iter().copied().map(Self::Number).collect())
    }

    fn written(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Time(time) => time::text(*time),
            Self::Flag(flag) => flag.to_string(),
            Self::Many(cells) => cells.iter().map(Self::written).collect::<Vec<_>>().join(","),
        }
    }
}

/// The rows that all filters let through; of those with `or__` one is enough.
pub(crate) fn filtered<'r, T: Listed>(
    state: &State,
    rows: Vec<&'r T>,
    wanted: &[(String, String)],
) -> Result<Vec<&'r T>, Answer> {
    let filters = wanted.iter().map(|(name, value)| Filter::read(name, value)).collect::<Result<Vec<_>, _>>()?;
    let (any, all): (Vec<&Filter<T>>, Vec<&Filter<T>>) = filters.iter().partition(|filter| filter.is_alternative);
    let passes = |row: &&T| {
        all.iter().all(|filter| filter.passes(state, row))
            && (any.is_empty() || any.iter().any(|filter| filter.passes(state, row)))
    };
    Ok(rows.into_iter().filter(passes).collect())
}

/// By these columns, separated by commas; a minus turns one round.
pub(crate) fn sort<T: Listed>(state: &State, rows: &mut [&T], order: &str) -> Result<(), Answer> {
    for part in order.split(',').rev() {
        let (name, is_turned) = part.trim().strip_prefix('-').map_or((part.trim(), false), |name| (name, true));
        let column = column::<T>(name)?;
        rows.sort_by(|one, other| {
            let order = (column.cell)(state, one).cmp(&(column.cell)(state, other));
            if is_turned { order.reverse() } else { order }
        });
    }
    Ok(())
}

pub(crate) fn contains(text: &str, words: &str) -> bool {
    text.to_lowercase().contains(&words.to_lowercase())
}

struct Filter<T: 'static> {
    column: &'static Column<T>,
    operand: Operand,
    is_negated: bool,
    is_alternative: bool,
}

enum Operand {
    Exact(Cell),
    AnyOf(Vec<Cell>),
    IsNull(bool),
    Matches(Regex),
    Compares(fn(&Cell, &Cell) -> bool, Cell),
    Reads { test: fn(&str, &str) -> bool, text: String, any_case: bool },
}

impl<T: Listed> Filter<T> {
    fn read(name: &str, value: &str) -> Result<Self, Answer> {
        let (mut name, mut is_negated, mut is_alternative) = (name, false, false);
        loop {
            if let Some(rest) = name.strip_prefix("not__") {
                (name, is_negated) = (rest, true);
            } else if let Some(rest) = name.strip_prefix("or__") {
                (name, is_alternative) = (rest, true);
            } else if let Some(rest) = name.strip_prefix("chain__") {
                name = rest;
            } else {
                break;
            }
        }
        let (path, look_up) =
            name.rsplit_once("__").filter(|(_, end)| LOOK_UPS.contains(end)).unwrap_or((name, "exact"));
        let column = column::<T>(path)?;
        let operand = operand(column.kind, path, look_up, value)?;
        Ok(Self { column, operand, is_negated, is_alternative })
    }

    fn passes(&self, state: &State, row: &T) -> bool {
        let is_match = match (self.column.cell)(state, row) {
            Cell::Many(cells) if cells.is_empty() => self.operand.takes(&Cell::Null),
            Cell::Many(cells) => cells.iter().any(|cell| self.operand.takes(cell)),
            cell => self.operand.takes(&cell),
        };
        is_match != self.is_negated
    }
}

impl Operand {
    fn takes(&self, cell: &Cell) -> bool {
        match self {
            Self::IsNull(wanted) => (*cell == Cell::Null) == *wanted,
            Self::Exact(wanted) => cell == wanted,
            _ if *cell == Cell::Null => false,
            Self::AnyOf(wanted) => wanted.contains(cell),
            Self::Matches(pattern) => pattern.is_match(&cell.written()),
            Self::Compares(test, wanted) => test(cell, wanted),
            Self::Reads { test, text, any_case: true } => test(&cell.written().to_lowercase(), &text.to_lowercase()),
            Self::Reads { test, text, any_case: false } => test(&cell.written(), text),
        }
    }
}

fn column<T: Listed>(path: &str) -> Result<&'static Column<T>, Answer> {
    let name = path.strip_suffix("__id").or_else(|| path.strip_suffix("__pk")).unwrap_or(path);
    let name = if name == "pk" { "id" } else { name };
    if let Some(column) = T::COLUMNS.iter().find(|column| column.name == name) {
        return match column.kind {
            Kind::Secret => Err(detail(403, format!("Filtering on {name} is not allowed."))),
            _ => Ok(column),
        };
    }
    let (first, rest) = path.split_once("__").unwrap_or((path, ""));
    let related = T::COLUMNS.iter().find(|column| column.name == first).map(|column| column.kind);
    let (class, field) = match related {
        Some(Kind::Relation(class)) if !rest.is_empty() => (class, rest),
        _ => (T::CLASS, first),
    };
    Err(detail(400, format!("{class} has no field named '{field}'")))
}

fn operand(kind: Kind, path: &str, look_up: &str, value: &str) -> Result<Operand, Answer> {
    let compares = |test: fn(&Cell, &Cell) -> bool| Ok(Operand::Compares(test, cell(kind, path, value)?));
    let reads = |test: fn(&str, &str) -> bool| {
        let any_case = look_up.starts_with('i');
        Ok(Operand::Reads { test, text: value.to_owned(), any_case })
    };
    match look_up {
        "isnull" => flag(value).map(Operand::IsNull),
        "in" if value.is_empty() => Err(detail(400, "cannot provide empty value for __in")),
        "in" => value.split(',').map(|part| cell(kind, path, part)).collect::<Result<_, _>>().map(Operand::AnyOf),
        "gt" => compares(|cell, wanted| cell > wanted),
        "gte" => compares(|cell, wanted| cell >= wanted),
        "lt" => compares(|cell, wanted| cell < wanted),
        "lte" => compares(|cell, wanted| cell <= wanted),
        "iexact" => reads(|text, wanted| text == wanted),
        "contains" | "icontains" => reads(|text, wanted| text.contains(wanted)),
        "startswith" | "istartswith" => reads(|text, wanted| text.starts_with(wanted)),
        "endswith" | "iendswith" => reads(|text, wanted| text.ends_with(wanted)),
        "regex" => pattern(value),
        "iregex" => pattern(&format!("(?i){value}")),
        _ => cell(kind, path, value).map(Operand::Exact),
    }
}

fn cell(kind: Kind, path: &str, value: &str) -> Result<Cell, Answer> {
    let invalid = |sentence: &str| Err(detail(400, json!([format!("“{value}” value {sentence}")]).to_string()));
    match kind {
        Kind::Number => match value.parse() {
            Ok(number) => Ok(Cell::Number(number)),
            Err(_) => invalid("must be an integer."),
        },
        Kind::Relation(_) if ["none", "null"].contains(&value.to_lowercase().as_str()) => Ok(Cell::Null),
        Kind::Relation(_) => {
            let field = path.split("__").next().unwrap_or(path);
            value.parse().map(Cell::Number).map_err(|_| detail(400, format!("Invalid {field} id: {value}")))
        }
        Kind::Time => match time::parse(value) {
            Some(time) => Ok(Cell::Time(time)),
            None => invalid("has an invalid format. It must be in YYYY-MM-DD HH:MM[:ss[.uuuuuu]][TZ] format."),
        },
        Kind::Flag => flag(value).map(Cell::Flag),
        Kind::Text | Kind::Secret => Ok(Cell::text(value)),
    }
}

fn flag(value: &str) -> Result<bool, Answer> {
    match value.to_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(detail(400, format!("Unable to interpret \"{value}\" as boolean"))),
    }
}

fn pattern(text: &str) -> Result<Operand, Answer> {
    Regex::new(text).map(Operand::Matches).map_err(|error| detail(400, error.to_string()))
}

const LOOK_UPS: [&str; 16] = [
    "exact",
    "iexact",
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
    "regex",
    "iregex",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "isnull",
];
