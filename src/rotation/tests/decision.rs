//! What is to be done, and why.

use chrono::{DateTime, TimeDelta, Utc};

use crate::rotation::{Holding, Note, Plan, Policy, Reason, Standing, Token};
use crate::secret::Secret;

/// What a case says of a token: the reason, and whether one is issued, handed over, or neither.
type Expected = (Reason, Does);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Nothing,
    HandsOver(&'static str),
    Issues,
}
use Does::{HandsOver, Issues, Nothing};

#[test]
fn every_reason_has_its_plan() {
    let all = Policy { renew_before: Some(days(7)), max_age: Some(days(30)), force: false };
    let plain = Policy::default();
    let forced = Policy { force: true, ..plain };
    let cases: Vec<(&str, Policy, Holding, Standing, Expected)> = vec![
        ("all is well", all, held(), works(10, 60), (Reason::Valid, Nothing)),
        ("nothing is known and nothing asked", plain, held(), accepted(), (Reason::Valid, Nothing)),
        ("asked for", forced, held(), works(10, 60), (Reason::Forced, Issues)),
        ("asked for although another is there", forced, empty(), shown(1), (Reason::Forced, Issues)),
        ("none", all, empty(), Standing::default(), (Reason::Missing, Issues)),
        ("none, and one is shown", all, empty(), shown(1), (Reason::Missing, HandsOver("shown"))),
        ("none, and an old one is shown", all, empty(), shown(31), (Reason::Missing, Issues)),
        ("none, and one that ends soon is shown", all, empty(), shown_until(6), (Reason::Missing, Issues)),
        ("none, and one that ended is shown", plain, empty(), shown_until(-1), (Reason::Missing, Issues)),
        ("none, and one of unknown age is shown", all, empty(), shown_of_unknown_age(), (Reason::Missing, Issues)),
        (
            "the same, and age does not count",
            plain,
            empty(),
            shown_of_unknown_age(),
            (Reason::Missing, HandsOver("shown")),
        ),
        ("ended", all, held(), works(10, -1), (Reason::Expired, Issues)),
        ("ended and refused", all, held(), Standing { works: false, ..works(10, -1) }, (Reason::Expired, Issues)),
        (
            "ended, and another is shown",
            all,
            held(),
            Standing { expires_at: Some(now() - days(1)), ..shown(1) },
            (Reason::Expired, HandsOver("shown")),
        ),
        ("ends now", plain, held(), works(10, 0), (Reason::Expired, Issues)),
        ("refused", all, held(), Standing::default(), (Reason::Dead, Issues)),
        ("refused, and another is shown", all, held(), shown(1), (Reason::Dead, HandsOver("shown"))),
        ("other roles", all, held(), Standing { has_drifted: true, ..works(10, 60) }, (Reason::Drifted, Issues)),
        (
            "other roles and permissions",
            all,
            loose(),
            Standing { has_drifted: true, ..works(10, 60) },
            (Reason::Drifted, Issues),
        ),
        ("other permissions", all, loose(), works(10, 60), (Reason::Drifted, HandsOver("held"))),
        ("other permissions, and ends soon", all, loose(), works(10, 6), (Reason::Expiring, Issues)),
        ("ends soon", all, held(), works(10, 6), (Reason::Expiring, Issues)),
        ("ends just then", all, held(), works(10, 7), (Reason::Expiring, Issues)),
        ("ends soon, and that does not count", plain, held(), works(10, 6), (Reason::Valid, Nothing)),
        ("old", all, held(), works(31, 60), (Reason::Aged, Issues)),
        ("as old as it may be", all, held(), works(30, 60), (Reason::Valid, Nothing)),
        ("of unknown age", all, held(), accepted(), (Reason::Aged, Issues)),
        ("cannot be older than its robot", all, held(), no_older_than(29), (Reason::Valid, Nothing)),
        ("can be as old as its robot", all, held(), no_older_than(31), (Reason::Aged, Issues)),
        ("noted", all, noted("held", 10), accepted(), (Reason::Valid, Nothing)),
        ("noted long ago", all, noted("held", 31), accepted(), (Reason::Aged, Issues)),
        ("another one is noted, so it is younger", all, noted("other", 10), accepted(), (Reason::Valid, Nothing)),
        ("another one is noted, long ago", all, noted("other", 31), accepted(), (Reason::Aged, Issues)),
        (
            "somebody else had another one issued",
            all,
            noted("held", 10),
            shown_of_unknown_age(),
            (Reason::Dead, HandsOver("shown")),
        ),
        ("that may be long ago", all, noted("held", 31), shown_of_unknown_age(), (Reason::Dead, Issues)),
        ("the system knows better than the note", all, noted("held", 10), works(31, 60), (Reason::Aged, Issues)),
    ];
    for (case, policy, holding, standing, (reason, does)) in cases {
        let decision = policy.decide(&holding, &standing, now());
        let done = match &decision.plan {
            Plan::Nothing => Nothing,
            Plan::HandOver(token) if token.secret == Secret::new("held") => HandsOver("held"),
            Plan::HandOver(_) => HandsOver("shown"),
            Plan::Issue => Issues,
        };
        assert_eq!((decision.reason, done), (reason, does), "{case}");
    }
}

#[test]
fn a_token_that_is_handed_over_keeps_what_an_earlier_run_noted_of_it() {
    let since = now() - days(1);
    let note = Note { under_way_since: Some(since), ..Note::default() };
    let holding = Holding { note: Some(note), ..Holding::default() };
    let policy = Policy { max_age: Some(days(30)), ..Policy::default() };
    let decision = policy.decide(&holding, &shown_of_unknown_age(), now());
    let expected = Token { issued_at: Some(since), ..Token::new(Secret::new("shown")) };
    assert_eq!(decision.plan, Plan::HandOver(expected));
}

/// A moment that all of this is about.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn days(days: i64) -> TimeDelta {
    TimeDelta::days(days)
}

fn empty() -> Holding {
    Holding::default()
}

fn held() -> Holding {
    Holding { token: Some(Secret::new("held")), ..Holding::default() }
}

fn loose() -> Holding {
    Holding { has_drifted: true, ..held() }
}

fn noted(token: &str, age: i64) -> Holding {
    let fingerprint = Some(Secret::new(token).fingerprint());
    Holding { note: Some(Note { fingerprint, rotated_at: Some(now() - days(age)), ..Note::default() }), ..held() }
}

fn accepted() -> Standing {
    Standing { works: true, ..Standing::default() }
}

fn works(age: i64, left: i64) -> Standing {
    Standing { issued_at: Some(now() - days(age)), expires_at: Some(now() + days(left)), ..accepted() }
}

fn no_older_than(age: i64) -> Standing {
    Standing { not_issued_before: Some(now() - days(age)), ..accepted() }
}

fn shown(age: i64) -> Standing {
    let current = Token { issued_at: Some(now() - days(age)), ..Token::new(Secret::new("shown")) };
    Standing { current: Some(current), ..Standing::default() }
}

fn shown_until(left: i64) -> Standing {
    let mut standing = shown(1);
    standing.current = standing.current.map(|token| Token { expires_at: Some(now() + days(left)), ..token });
    standing
}

fn shown_of_unknown_age() -> Standing {
    Standing { current: Some(Token::new(Secret::new("shown"))), ..Standing::default() }
}
