//! A place that shows no tokens, and nothing of a killed run: what its note says is all that the next run knows.

use chrono::TimeDelta;

use super::world::{Beginning, Disturbance, Kind, World, present, rotated};
use crate::rotation::{Policy, Reason};

#[test]
fn a_token_that_cannot_be_shown_is_left_alone_while_it_is_good() {
    for kind in Kind::ALL {
        let world = hidden(Beginning::Valid, kind);
        let before = world.facts();
        let run = world.run(&present());
        let rotation = run.rotation().unwrap();
        assert_eq!(rotation.reason, Reason::Valid, "{kind:?}");
        assert_eq!(
            rotation.trace.as_ref().map(|trace| trace.fingerprint.clone()),
            before.note.clone().unwrap().fingerprint
        );
        assert!(world.facts() == before && run.issued == 0, "{run:?}");
    }
}

#[test]
fn a_token_that_cannot_be_shown_is_renewed_for_the_same_reasons_as_any_other() {
    for (beginning, reason) in [
        (Beginning::Nothing, Reason::Missing),
        (Beginning::Unnoted, Reason::Missing),
        (Beginning::Aged, Reason::Aged),
        (Beginning::Expiring, Reason::Expiring),
        (Beginning::Expired, Reason::Expired),
        (Beginning::Dead, Reason::Dead),
        (Beginning::TokenDrifted, Reason::Drifted),
    ] {
        for kind in Kind::ALL.into_iter().filter(|kind| beginning.exists_for(*kind)) {
            // A hub shows nothing, so nobody can know.
            if (kind, beginning) == (Kind::Hub, Beginning::Dead) {
                continue;
            }
            let world = hidden(beginning, kind);
            let run = world.run(&present());
            assert_eq!(run.rotation().unwrap().reason, reason, "{kind:?} {beginning:?}: {run:?}");
            assert!(run.succeeded() && world.facts().held_works(), "{kind:?} {beginning:?}: {run:?}");
            let alive: Vec<_> = world.facts().records.into_iter().filter(|record| record.works()).collect();
            // Nothing leads from a token that nobody noted to its row.
            assert!(alive.len() == 1 || beginning == Beginning::Unnoted, "{kind:?} {beginning:?}: {alive:?}");
        }
    }
}

#[test]
fn no_token_is_lost_wherever_a_run_is_disturbed_although_nothing_can_be_read_back() {
    let mut scenarios = 0;
    for kind in Kind::ALL {
        let begins = |beginning: &Beginning| {
            let unknowable = (kind, *beginning) == (Kind::Hub, Beginning::Dead);
            beginning.exists_for(kind) && !NOT_OF_SUCH_A_PLACE.contains(beginning) && !unknowable
        };
        for beginning in Beginning::ALL.into_iter().filter(begins) {
            for policy in [present(), rotated(), Policy::default()] {
                for how in Disturbance::OF_A_RUN {
                    scenarios += (0..).take_while(|step| survives(kind, beginning, &policy, *step, how)).count();
                }
            }
        }
    }
    assert!(scenarios > 2000, "{scenarios}");
}

/// Whether the disturbance came about.
fn survives(kind: Kind, beginning: Beginning, policy: &Policy, step: usize, how: Disturbance) -> bool {
    let world = hidden(beginning, kind);
    let worked = world.facts().held_works();
    let first = world.disturbed(policy, step, how);
    if first.steps.len() <= step {
        return false;
    }
    let told = format!("{kind:?} {beginning:?} {policy:?} {how:?} at {step}: {first:?}");
    assert!(!kind.overlaps() || !worked || world.facts().held_works(), "a token in use is taken away: {told}");
    assert!(!first.succeeded() || world.facts().held_works(), "{told}");
    let second = world.run(policy);
    assert!(second.succeeded() && world.facts().held_works(), "{told}; then {second:?}");
    let calm = Policy { force: false, ..*policy };
    let third = world.run(&calm);
    assert!(third.succeeded() && world.facts().held_works(), "{told}; then {second:?}, {third:?}");
    let before = world.facts();
    let last = world.run(&calm);
    assert_eq!(last.rotation().unwrap().reason, Reason::Valid, "{told}; then {second:?}, {third:?}, {last:?}");
    assert!(world.facts() == before, "{told}; then {second:?}, {third:?}, {last:?}");
    let alive = world.facts().records.into_iter().filter(|record| record.works()).count();
    assert_eq!(alive, 1, "{told}; then {second:?}, {third:?}, {last:?}");
    true
}

#[test]
fn the_old_token_is_left_to_those_who_started_with_it_and_a_later_run_retires_it() {
    for kind in Kind::OVERLAP {
        let mut world = hidden(Beginning::Valid, kind);
        world.grace = TimeDelta::hours(1);
        let first = world.run(&rotated());
        assert_eq!(first.rotation().unwrap().left, ["1"]);
        assert!(world.facts().records[0].works());
        world.change(|facts| {
            for old in &mut facts.note.as_mut().unwrap().retiring {
                old.not_before = old.not_before.map(|time| time - TimeDelta::hours(2));
            }
        });
        let second = world.run(&present());
        assert_eq!(second.rotation().unwrap().retired, ["1"]);
        assert!(!world.facts().records[0].works() && world.facts().held_works());
    }
}

fn hidden(beginning: Beginning, kind: Kind) -> World {
    let mut world = beginning.world(kind);
    world.hides = true;
    world
}

/// What a killed run left beside a file, permissions, and tokens that no note names.
const NOT_OF_SUCH_A_PLACE: [Beginning; 3] = [Beginning::LeftBehind, Beginning::PlaceDrifted, Beginning::Unnoted];
