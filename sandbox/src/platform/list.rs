//! Lists: filtered, in order, and a page at a time.

use serde_json::{Map, Value, json};

use super::answers::{self, detail};
use super::api::Call;
use super::filters::{self, Listed};
use super::flavour::Release;
use super::state::State;
use crate::exchange::Answer;

/// The page that the query asks for.
pub(crate) fn page<T: Listed>(
    state: &State,
    call: &Call<'_>,
    rows: Vec<&T>,
    show: impl Fn(&T) -> Value,
) -> Result<Answer, Answer> {
    page_by(state, call, rows, show, Some("id"))
}

/// The same of rows that have an order of their own.
pub(crate) fn page_as_it_is<T: Listed>(
    state: &State,
    call: &Call<'_>,
    rows: Vec<&T>,
    show: impl Fn(&T) -> Value,
) -> Result<Answer, Answer> {
    page_by(state, call, rows, show, None)
}

fn page_by<T: Listed>(
    state: &State,
    call: &Call<'_>,
    rows: Vec<&T>,
    show: impl Fn(&T) -> Value,
    order: Option<&str>,
) -> Result<Answer, Answer> {
    let query = Query::of(call);
    let mut rows = filters::filtered(state, rows, &query.filters)?;
    if let Some(words) = query.value("search").filter(|_| state.release.is_controller()) {
        rows.retain(|row| T::is_found(row, words));
    }
    let order = query.value("order_by").or_else(|| query.value("order")).or(order);
    if let Some(order) = order {
        filters::sort(state, &mut rows, order)?;
    }

    let default = state.release.page_size();
    let size = match query.value("page_size").map(str::parse::<i64>) {
        Some(Ok(size)) if size > 0 => usize::try_from(size).unwrap_or(MOST).min(MOST),
        // The controller stumbles over rubbish when it makes the link to the next page.
        Some(Err(_)) if state.release.is_controller() && rows.len() > default => return Err(answers::server_error()),
        _ => default,
    };
    // Who does not want the count gets the first page, and no other.
    let is_counted = query.value("count_disabled").is_none();
    let last = if is_counted { rows.len().div_ceil(size).max(1) } else { 1 };
    let number = match query.value("page") {
        None => 1,
        Some("last") => last,
        Some(text) => text.parse().ok().filter(|number| (1..=last).contains(number)).ok_or_else(invalid_page)?,
    };
    let results: Vec<_> = rows.iter().skip((number - 1) * size).take(size).map(|row| show(row)).collect();
    if !is_counted {
        return Ok(Answer::json(200, &json!({ "results": results })));
    }
    let next = (number < last).then(|| query.link(state.release, call, number + 1, size));
    let previous = (number > 1).then(|| query.link(state.release, call, number - 1, size));
    let page = json!({ "count": rows.len(), "next": next, "previous": previous, "results": results });
    Ok(Answer::json(200, &page))
}

fn invalid_page() -> Answer {
    detail(404, "Invalid page.")
}

struct Query {
    pairs: Vec<(String, String)>,
    filters: Vec<(String, String)>,
}

impl Query {
    fn of(call: &Call<'_>) -> Self {
        let text = call.request.query.as_deref().unwrap_or_default();
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let filters = pairs.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())).cloned().collect();
        Self { pairs, filters }
    }

    /// The last value of that name counts.
    fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Another page of the same list, the names of the query sorted. The gateway always says how long a page is, the
    /// controller only if that is less than was asked for.
    fn link(&self, release: Release, call: &Call<'_>, number: usize, size: usize) -> String {
        let asked = self.value("page_size").and_then(|text| text.parse::<usize>().ok());
        let says_size = !release.is_controller() || asked.is_some_and(|asked| asked > MOST);
        let is_kept = |name: &str| name != "page" && !(says_size && name == "page_size");
        let mut pairs: Vec<_> = self.pairs.iter().filter(|(name, _)| is_kept(name)).cloned().collect();
        pairs.push(("page".to_owned(), number.to_string()));
        if says_size {
            pairs.push(("page_size".to_owned(), size.to_string()));
        }
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{}?{query}", call.path)
    }
}

/// A page with one row.
pub(crate) fn single(row: Value) -> Answer {
    let mut page = Map::new();
    page.insert("count".to_owned(), json!(1));
    page.insert("next".to_owned(), Value::Null);
    page.insert("previous".to_owned(), Value::Null);
    page.insert("results".to_owned(), json!([row]));
    Answer::json(200, &Value::Object(page))
}

const MOST: usize = 200;
const RESERVED: [&str; 12] = [
    "page",
    "page_size",
    "format",
    "order",
    "order_by",
    "search",
    "type",
    "host_filter",
    "count_disabled",
    "no_truncate",
    "limit",
    "validate",
];
