//! Check mode: nothing is changed, and what it says is what then happens.

use chrono::TimeDelta;

use super::world::{Beginning, Ended, Kind, present, rotated};

#[test]
fn check_mode_changes_nothing_and_says_what_the_run_then_does() {
    for kind in Kind::ALL {
        for beginning in Beginning::ALL.into_iter().filter(|beginning| beginning.exists_for(kind)) {
            for (policy, grace) in [(present(), 0), (rotated(), 0), (rotated(), 1)] {
                let mut world = beginning.world(kind);
                world.grace = TimeDelta::hours(grace);
                let before = world.facts();
                let forecast = world.check(&policy);
                assert!(world.facts() == before, "{kind:?} {beginning:?}: {forecast:?}");
                let run = world.run(&policy);
                let told = format!("{kind:?} {beginning:?} {policy:?}: {forecast:?} {run:?}");
                assert!(run.succeeded(), "{told}");
                assert_eq!(says(&forecast), says(&run), "{told}");
            }
        }
    }
}

#[test]
fn check_mode_fails_where_nothing_could_be_written() {
    for kind in Kind::ALL {
        let world = Beginning::Valid.world(kind);
        assert!(matches!(world.broken(&rotated(), "lock").result, Some(Err(_))));
        let before = world.facts();
        assert!(matches!(world.check_broken(&rotated(), "check").result, Some(Err(_))));
        assert!(world.facts() == before);
        assert!(world.check_broken(&present(), "check").succeeded(), "nothing would be written");
    }
}

/// Reason, issued, handed over, retired, left.
fn says(run: &Ended) -> String {
    let rotation = run.rotation().unwrap();
    let (mut retired, mut left) = (rotation.retired.clone(), rotation.left.clone());
    retired.sort();
    left.sort();
    format!("{:?} {} {} {retired:?} {left:?}", rotation.reason, rotation.issued, rotation.handed_over)
}
