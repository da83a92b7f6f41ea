//! Lists: filtered, in order, and a page at a time.

use serde_json::{Map, Value, json};

use super::answers::{self, detail};
use super::api::Call;
use super::filters::{self, Listed};
use super::state::State;
use crate::exchange::Answer;

/// The page that the query asks for.
pub(crate) fn page<T: Listed>(
    state: &State,
    call: &Call<'_>,
    rows: Vec<&T>,
    show: impl Fn(&T) -> Value,
) -> Result<Answer, Answer> {
    let query = Query::of(call);
    let mut rows = filters::filtered(state, rows, &query.filters)?;
    if let Some(words) = query.value("search").filter(|_| state.release.is_controller()) {
        rows.retain(|row| T::is_found(row, words));
    }
    filters::sort(state, &mut rows, query.value("order_by").unwrap_or("id"))?;

    let default = state.release.page_size();
    let size = match query.value("page_size").map(str::parse::<i64>) {
        Some(Ok(size)) if size > 0 => usize::try_from(size).unwrap_or(MOST).min(MOST),
        // The controller stumbles over rubbish when it makes the link to the next page.
        Some(Err(_)) if state.release.is_controller() && rows.len() > default => return Err(answers::server_error()),
        _ => default,
    };
    let last = rows.len().div_ceil(size).max(1);
    let number = match query.value("page") {
        None => 1,
        Some("last") => last,
        Some(text) => text.parse().ok().filter(|number| (1..=last).contains(number)).ok_or_else(invalid_page)?,
    };
    let results: Vec<_> = rows.iter().skip((number - 1) * size).take(size).map(|row| show(row)).collect();
    if query.value("count_disabled").is_some_and(|value| ["1", "true", "True"].contains(&value)) {
        return Ok(Answer::json(200, &json!({ "results": results })));
    }
    let next = (number < last).then(|| query.link(call, number + 1));
    let previous = (number > 1).then(|| query.link(call, number - 1));
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

    /// Another page of the same list. The first has no number, and the names are sorted.
    fn link(&self, call: &Call<'_>, number: usize) -> String {
        let mut pairs: Vec<_> = self.pairs.iter().filter(|(name, _)| name != "page").cloned().collect();
        if number > 1 {
            pairs.push(("page".to_owned(), number.to_string()));
        }
        pairs.sort();
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        if query.is_empty() { call.path.to_owned() } else { format!("{}?{query}", call.path) }
    }
}

/// For whatever has no columns worth a filter of its own.
pub(crate) fn single(row: Value) -> Answer {
    let mut page = Map::new();
    page.insert("count".to_owned(), json!(1));
    page.insert("next".to_owned(), Value::Null);
    page.insert("previous".to_owned(), Value::Null);
    page.insert("results".to_owned(), json!([row]));
    Answer::json(200, &Value::Object(page))
}

const MOST: usize = 200;
const RESERVED: [&str; 7] = ["page", "page_size", "order_by", "order", "search", "count_disabled", "format"];
