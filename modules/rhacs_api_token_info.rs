//! rhacs_api_token_info: which API tokens Central knows, and which of them are about to end.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::span::Span;
use tokensmith::systems::rhacs::ApiToken;
use tokensmith::timestamp::timestamp;

use crate::rhacs::{Access, Server};

/// The options of `rhacs_api_token_info.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    server: Server,
    #[serde(flatten)]
    access: Access,
    name: Option<String>,
    role: Option<String>,
    revoked: Option<bool>,
    expires_within: Span,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    let central = options.access.connect(task, &options.server, &options.connection)?;
    let mut tokens = central.tokens(options.revoked).await?;
    let window = Window::new(central.now().await?, options.expires_within);
    tokens.retain(|token| options.asks_for(token));
    tokens.sort_by(|one, other| (one.expiration, &one.id).cmp(&(other.expiration, &other.id)));
    tokens.iter().filter_map(|token| window.warning(token)).for_each(|warning| task.warn(warning));
    let ids_of = |state: State| -> Vec<&str> {
        tokens.iter().filter(|token| window.state(token) == state).map(|token| token.id.as_str()).collect()
    };
    let offset = central.clock_offset();
    Ok(Outcome::new(&json!({
        "tokens": tokens.iter().map(|token| Row::of(token, &window, offset)).collect::<Vec<_>>(),
        "expiring": ids_of(State::Expiring),
        "expired": ids_of(State::Expired),
        "clock_offset": offset.num_seconds(),
    })))
}

impl Options {
    fn asks_for(&self, token: &ApiToken) -> bool {
        self.name.as_ref().is_none_or(|name| *name == token.name)
            && self.role.as_ref().is_none_or(|role| token.roles.contains(role))
    }
}

/// The time between now and where Central begins to warn, by Central's clock. Neither end belongs to it.
struct Window {
    now: DateTime<Utc>,
    end: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Valid,
    Expiring,
    /// Central lists it still, as one that is not revoked.
    Expired,
    Revoked,
}

impl Window {
    fn new(now: DateTime<Utc>, width: Span) -> Self {
        Self { now, end: now.checked_add_signed(width.delta()).unwrap_or(DateTime::<Utc>::MAX_UTC) }
    }

    fn state(&self, token: &ApiToken) -> State {
        match token.expiration {
            _ if token.revoked => State::Revoked,
            end if end <= self.now => State::Expired,
            end if end < self.end => State::Expiring,
            _ => State::Valid,
        }
    }

    /// In Central's words where it has some.
    fn warning(&self, token: &ApiToken) -> Option<String> {
        let ApiToken { name, id, expiration, .. } = token;
        match self.state(token) {
            State::Expiring => {
                let days = self.days_left(token);
                let unit = if days == 1 { "day" } else { "days" };
                Some(format!("API Token {name} (ID {id}) will expire in less than {days} {unit}."))
            }
            State::Expired => Some(format!("API Token {name} (ID {id}) expired at {}.", timestamp(*expiration))),
            State::Valid | State::Revoked => None,
        }
    }

    /// Whole seconds, as days rounded up. Never zero before the end.
    fn days_left(&self, token: &ApiToken) -> i64 {
        if token.expiration <= self.now {
            return 0;
        }
        let seconds = (token.expiration - self.now).num_seconds();
        (seconds / DAY + i64::from(seconds % DAY > 0)).max(1)
    }
}

/// What is returned of a token.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    name: &'a str,
    roles: &'a [String],
    role: Option<&'a String>,
    issued_at: String,
    expires_at: String,
    state: State,
    days_left: i64,
}

impl<'a> Row<'a> {
    fn of(token: &'a ApiToken, window: &Window, offset: TimeDelta) -> Self {
        let by_our_clock = |time: DateTime<Utc>| timestamp((time - offset).min(LATEST));
        let role = token.roles.first().filter(|_| token.roles.len() == 1);
        Self {
            id: &token.id,
            name: &token.name,
            roles: &token.roles,
            role,
            issued_at: by_our_clock(token.issued_at),
            expires_at: by_our_clock(token.expiration),
            state: window.state(token),
            days_left: window.days_left(token),
        }
    }
}

const DAY: i64 = 86_400;
/// The last second of year 9999. Central names none after it, and most programs read none.
const LATEST: DateTime<Utc> = DateTime::from_timestamp(253_402_300_799, 0).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_open_at_both_ends_and_days_are_rounded_up() {
        for (left, revoked, state, days) in [
            (-DAY, false, State::Expired, 0),
            (0, false, State::Expired, 0),
            (1, false, State::Expiring, 1),
            (DAY, false, State::Expiring, 1),
            (DAY + 1, false, State::Expiring, 2),
            (7 * DAY - 1, false, State::Expiring, 7),
            (7 * DAY, false, State::Valid, 7),
            (7 * DAY + 1, false, State::Valid, 8),
            (DAY, true, State::Revoked, 1),
            (-DAY, true, State::Revoked, 0),
        ] {
            let window = Window::new(now(), "168h".parse().unwrap());
            let token = token(now() + TimeDelta::seconds(left), revoked);
            assert_eq!((window.state(&token), window.days_left(&token)), (state, days), "{left}");
        }
    }

    #[test]
    fn part_of_a_second_is_left_out_except_the_last() {
        let window = Window::new(now() + TimeDelta::milliseconds(300), "1d".parse().unwrap());
        for (left, days) in [(1, 1), (DAY, 1), (DAY + 1, 1), (DAY + 2, 2)] {
            assert_eq!(window.days_left(&token(now() + TimeDelta::seconds(left), false)), days, "{left}");
        }
    }

    #[test]
    fn the_last_year_and_the_longest_window_are_no_overflow() {
        let end = "9999-12-31T23:59:59.999999999Z".parse().unwrap();
        let (token, longest) = (token(end, false), "9223372036854775s".parse().unwrap());
        assert_eq!(Window::new(now(), longest).state(&token), State::Expiring);
        let window = Window::new(now(), "168h".parse().unwrap());
        assert_eq!(window.state(&token), State::Valid);
        let row = Row::of(&token, &window, TimeDelta::days(-1));
        assert_eq!((row.expires_at.as_str(), row.days_left > 2_900_000), ("9999-12-31T23:59:59Z", true));
    }

    fn token(expiration: DateTime<Utc>, revoked: bool) -> ApiToken {
        let (id, name, roles) = ("0a07".to_owned(), "ci".to_owned(), Vec::new());
        ApiToken { id, name, roles, issued_at: now(), expiration, revoked }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_300_000, 0).unwrap()
    }
}
