//! Overlap with a time of grace: the old token is retired by the first run after its time, and not before.

use chrono::{TimeDelta, Utc};

use super::world::{Beginning, Disturbance, Kind, World, present, rotated};
use crate::rotation::Reason;

#[test]
fn the_old_token_is_retired_by_the_first_run_after_its_time_and_not_before() {
    for world in worlds() {
        let rotated = world.run(&rotated());
        assert_eq!((retired(&rotated), left(&rotated)), (vec![], vec!["1".to_owned()]));
        for _ in 0..2 {
            let before = world.facts();
            let early = world.run(&present());
            assert_eq!((retired(&early), left(&early)), (vec![], vec!["1".to_owned()]), "{early:?}");
            assert!(world.facts() == before && world.facts().records[0].works());
        }
        its_time_has_come(&world);
        let late = world.run(&present());
        assert_eq!((retired(&late), left(&late)), (vec!["1".to_owned()], vec![]), "{late:?}");
        assert_eq!(late.rotation().map(|rotation| rotation.reason), Some(Reason::Valid));
        assert!(!world.facts().records[0].works() && world.facts().held_works());
        let before = world.facts();
        assert!(retired(&world.run(&present())).is_empty() && world.facts() == before);
    }
}

#[test]
fn the_old_token_keeps_its_time_wherever_a_run_is_disturbed() {
    for how in Disturbance::OF_A_RUN {
        for step in 0.. {
            let reached = worlds().map(|world| {
                let run = world.disturbed(&rotated(), step, how);
                let again = world.run(&present());
                let told = format!("{:?} {how:?} at {step}: {run:?}; {again:?}", world.kind);
                assert!(world.facts().records[0].works(), "{told}");
                assert!(world.facts().held_works(), "{told}");
                its_time_has_come(&world);
                assert!(world.run(&present()).succeeded(), "{told}");
                let alive = world.facts().records.into_iter().filter(|record| record.works());
                assert_eq!(alive.count(), 1, "{told}");
                run.steps.len() > step
            });
            if reached == [false, false] {
                break;
            }
        }
    }
}

#[test]
fn an_old_token_that_the_users_have_again_is_not_retired() {
    for world in worlds() {
        let old = world.facts().held;
        world.run(&rotated());
        world.change(|facts| facts.held = old);
        its_time_has_come(&world);
        let run = world.run(&present());
        assert!(run.succeeded() && world.facts().held_works(), "{run:?}");
        assert_eq!((retired(&run), left(&run)), (vec![], vec![]), "{run:?}");
    }
}

#[test]
fn a_token_that_works_no_more_has_no_time_of_grace() {
    for kind in Kind::OVERLAP {
        let mut world = Beginning::Dead.world(kind);
        world.grace = TimeDelta::hours(1);
        let run = world.run(&present());
        assert_eq!((retired(&run), left(&run)), (vec!["1".to_owned()], vec![]), "{run:?}");
    }
}

#[test]
fn a_time_of_grace_beyond_the_end_of_time_is_for_ever() {
    for mut world in worlds() {
        world.grace = TimeDelta::MAX;
        let run = world.run(&rotated());
        assert_eq!((retired(&run), left(&run)), (vec![], vec!["1".to_owned()]), "{run:?}");
    }
}

fn worlds() -> [World; 2] {
    Kind::OVERLAP.map(|kind| {
        let mut world = Beginning::Valid.world(kind);
        world.grace = TimeDelta::hours(1);
        world
    })
}

fn its_time_has_come(world: &World) {
    world.change(|facts| {
        let note = facts.note.as_mut().unwrap();
        let next = note.next.iter_mut().flat_map(|next| &mut next.retiring);
        for old in note.retiring.iter_mut().chain(next) {
            old.not_before = Some(Utc::now() - TimeDelta::seconds(1));
        }
    });
}

fn retired(run: &super::world::Ended) -> Vec<String> {
    run.rotation().unwrap().retired.clone()
}

fn left(run: &super::world::Ended) -> Vec<String> {
    run.rotation().unwrap().left.clone()
}
