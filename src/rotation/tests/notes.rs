//! What a note may do, and what it may not.

use chrono::{TimeDelta, Utc};

use super::world::{Beginning, Ended, Kind, note_about, present, rotated};
use crate::rotation::{Note, Reason, Retiring, RotationError, Token};
use crate::secret::Secret;

#[test]
fn a_name_from_another_server_is_never_retired_here() {
    for kind in Kind::OVERLAP {
        let mut world = Beginning::Retiring.world(kind);
        world.server = "https://another.example.com";
        let run = world.run(&rotated());
        assert!(run.succeeded() && world.facts().records[0].works(), "{run:?}");
        assert!(!run.rotation().unwrap().retired.contains(&"1".to_owned()), "{run:?}");
    }
}

#[test]
fn a_request_for_another_object_tells_nothing_about_the_age_of_this_one() {
    let world = Beginning::Missing.world(Kind::Quay);
    let since = Utc::now() - TimeDelta::hours(1);
    let other = Note { object: Some("acme+other".to_owned()), under_way_since: Some(since), ..Note::default() };
    world.change(|facts| facts.note = Some(other));
    let run = world.run(&present());
    assert!(run.rotation().unwrap().issued, "a token of unknown age is too old: {run:?}");
}

#[test]
fn the_age_of_a_token_whose_note_was_not_written_is_that_of_the_request() {
    for kind in Kind::IN_PLACE {
        let world = Beginning::Valid.world(kind);
        let since = Utc::now() - TimeDelta::days(20);
        world.change(|facts| {
            let old = facts.held.clone().unwrap();
            let new = facts.issue(kind, true);
            facts.held = Some(new.secret);
            let about_the_old = note_about(&Token::new(old), since - TimeDelta::days(10));
            facts.note = Some(Note { under_way_since: Some(since), ..about_the_old });
        });
        let valid = world.run(&present());
        let token = valid.rotation().unwrap().token.clone().unwrap();
        assert_eq!((reason(&valid), token.issued_at), (Some(Reason::Valid), Some(since)), "{valid:?}");
    }
}

#[test]
fn a_note_that_cannot_be_written_behind_the_token_is_said_and_made_up_for() {
    for kind in Kind::ALL {
        let world = Beginning::Valid.world(kind);
        let steps = world.clone_of_itself().run(&rotated()).steps;
        let renamed = steps.iter().position(|step| *step == "rename").unwrap();
        let run = world.broken_from(&rotated(), "note", renamed);
        let rotation = run.rotation().unwrap();
        assert!(rotation.handed_over && !rotation.is_stranded(), "{run:?}");
        assert!(matches!(rotation.error, Some(RotationError::NotNoted(_))), "{run:?}");
        let valid = world.run(&present());
        assert!(valid.succeeded() && reason(&valid) == Some(Reason::Valid) && world.facts().held_works(), "{valid:?}");
    }
}

#[test]
fn a_token_that_cannot_be_retired_keeps_none_from_being_renewed() {
    for kind in Kind::OVERLAP {
        let world = Beginning::Retiring.world(kind);
        let run = world.broken(&rotated(), "retire");
        let rotation = run.rotation().unwrap();
        assert!(rotation.issued && rotation.handed_over && world.facts().held_works(), "{run:?}");
        assert!(matches!(rotation.error, Some(RotationError::Leftovers(_))), "{run:?}");
        assert_eq!(rotation.left, ["1", "2"], "{run:?}");
        let later = world.run(&present());
        assert_eq!(
            (reason(&later), &later.rotation().unwrap().retired[..]),
            (Some(Reason::Valid), &["1".to_owned(), "2".to_owned()][..])
        );
    }
}

#[test]
fn a_search_that_fails_is_made_by_the_next_run_though_a_new_token_was_issued_meanwhile() {
    for kind in Kind::OVERLAP {
        let world = Beginning::Unanswered.world(kind);
        let run = world.broken(&rotated(), "orphans");
        assert!(run.rotation().unwrap().handed_over && world.facts().records[1].works(), "{run:?}");
        let later = world.run(&present());
        assert!(later.succeeded() && !world.facts().records[1].works() && world.facts().held_works(), "{later:?}");
    }
}

#[test]
fn a_token_of_unknown_name_in_the_place_is_not_taken_for_one_that_nobody_has() {
    let world = Beginning::Intended.world(Kind::Gateway);
    world.change(|facts| facts.held = Some(facts.issue(Kind::Gateway, false).secret));
    let run = world.run(&crate::rotation::Policy::default());
    assert!(run.succeeded() && world.facts().held_works(), "{run:?}");
}

#[test]
fn a_token_that_a_killed_run_left_behind_keeps_its_name() {
    for kind in Kind::OVERLAP {
        let world = Beginning::LeftBehind.world(kind);
        assert!(world.run(&present()).rotation().unwrap().handed_over);
        let run = world.run(&rotated());
        assert_eq!(run.rotation().unwrap().retired, ["2"], "{run:?}");
    }
}

#[test]
fn a_note_names_the_tokens_it_knows() {
    let token = |name: &str| Token { id: Some(name.to_owned()), ..Token::new(Secret::new(name)) };
    let print = |name: &str| Secret::new(name).fingerprint();
    let retiring = vec![Retiring { id: "old".to_owned(), fingerprint: Some(print("old")), not_before: None }];
    let next = Some(Box::new(note_about(&token("new"), Utc::now())));
    let note = Note { next, retiring, ..note_about(&token("held"), Utc::now()) };
    for (name, id) in [("held", Some("held")), ("new", Some("new")), ("old", Some("old")), ("other", None)] {
        assert_eq!(note.id_of(&print(name)).as_deref(), id);
    }
    let text = serde_json::to_string(&note).unwrap();
    assert_eq!(serde_json::from_str::<Note>(&text).unwrap(), note);
}

fn reason(run: &Ended) -> Option<Reason> {
    run.rotation().map(|rotation| rotation.reason)
}
