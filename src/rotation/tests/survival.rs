//! Whatever fails and wherever a run is killed: the place holds a token that works, or the next run makes it so, and nobody's token is left alive.

use std::fmt::{self, Display, Formatter};

use super::world::{Beginning, Disturbance, Ended, Facts, Kind, Record, World, present, rotated};
use crate::rotation::{Policy, Reason, RotationError};

#[test]
fn no_token_is_lost_wherever_a_run_is_disturbed() {
    let mut scenarios = 0;
    for (kind, beginning, policy) in tasks() {
        for how in Disturbance::OF_A_RUN {
            scenarios += (0..).take_while(|step| Story::tell((kind, beginning, &policy), &[(*step, how)])).count();
        }
    }
    assert!(scenarios > 5000, "{scenarios}");
}

#[test]
fn no_token_is_lost_when_the_run_after_a_disturbed_one_is_disturbed_too() {
    let kinds = [Disturbance::KilledBefore, Disturbance::KilledAfter, Disturbance::FailsThoughDone];
    let pairs = kinds.into_iter().flat_map(|first| kinds.map(|second| (first, second)));
    let mut scenarios = 0;
    for (kind, beginning, policy) in tasks() {
        if !matches!(beginning, Beginning::Nothing | Beginning::Valid) {
            continue;
        }
        for (first, second) in pairs.clone() {
            let later = |step| {
                let both = |later: &usize| Story::tell((kind, beginning, &policy), &[(step, first), (*later, second)]);
                (0..).take_while(both).count()
            };
            scenarios += (0..).map(later).take_while(|count| *count > 0).sum::<usize>();
        }
    }
    assert!(scenarios > 5000, "{scenarios}");
}

#[test]
fn the_only_copy_of_a_token_that_a_killed_run_left_survives_the_next_kill() {
    let policies = [present(), Policy::default()];
    let beginnings = [Beginning::Nothing, Beginning::Missing, Beginning::Dead];
    for (beginning, policy) in beginnings.into_iter().flat_map(|beginning| policies.map(|policy| (beginning, policy))) {
        let steps = beginning.world(Kind::Hub).run(&policy).steps;
        let written = steps.iter().position(|step| *step == "write").unwrap();
        for how in [Disturbance::KilledBefore, Disturbance::KilledAfter] {
            for step in 0.. {
                let world = beginning.world(Kind::Hub);
                world.disturbed(&policy, written, Disturbance::KilledAfter);
                let issued = world.facts().records;
                let second = world.disturbed(&policy, step, how);
                if second.steps.len() <= step {
                    assert!(step > 4, "{second:?}");
                    break;
                }
                let third = world.run(&policy);
                let told = format!("{beginning:?}, {how:?} at {step}: {second:?}, then {third:?}");
                assert!(third.succeeded() && world.facts().held_works(), "{told}");
                assert_eq!(world.facts().records, issued, "no other token is issued: {told}");
            }
        }
    }
}

#[test]
fn a_token_that_cannot_be_read_again_survives_a_kill_while_it_is_being_proven() {
    for (beginning, policy) in
        [(Beginning::Nothing, present()), (Beginning::Dead, present()), (Beginning::Valid, rotated())]
    {
        let steps = beginning.world(Kind::Hub).run(&policy).steps;
        let aside = steps.iter().position(|step| *step == "put aside").unwrap();
        let written = steps.iter().position(|step| *step == "write").unwrap();
        assert!(steps[aside..written].contains(&"prove"), "{steps:?}");
        for step in aside + 1..=written {
            let world = beginning.world(Kind::Hub);
            let killed = world.disturbed(&policy, step, Disturbance::KilledBefore);
            let issued = world.facts().records;
            let next = world.run(&Policy { force: false, ..policy });
            let told = format!("{beginning:?} at {step}: {killed:?}, then {next:?}");
            assert!(next.succeeded() && !next.reports_a_loss() && world.facts().held_works(), "{told}");
            assert_eq!(world.facts().records, issued, "no other token is issued: {told}");
        }
    }
    let shown = Beginning::Nothing.world(Kind::Quay).run(&present()).steps;
    assert!(!shown.contains(&"put aside"), "what can be read again is written once: {shown:?}");
}

#[test]
fn a_token_that_somebody_else_had_issued_is_noticed_up_to_the_last_look() {
    for kind in Kind::IN_PLACE {
        for beginning in Beginning::ALL.into_iter().filter(|beginning| beginning.exists_for(kind)) {
            for policy in policies() {
                for step in 0.. {
                    let world = beginning.world(kind);
                    let run = world.disturbed(&policy, step, Disturbance::SomebodyElseIssues);
                    if run.steps.len() <= step {
                        break;
                    }
                    let told = format!("{kind:?} {beginning:?} force={} at {step}: {run:?}", policy.force);
                    let last_look =
                        run.steps.iter().rposition(|step| ["look", "prove", "read back"].contains(step)).unwrap();
                    if run.succeeded() && step <= last_look {
                        assert!(world.facts().held_works(), "{told}");
                    }
                    // Where the valid token can be read, theirs is taken.
                    let last_read = run.steps.iter().rposition(|step| *step == "read back");
                    if last_read.is_some_and(|last_read| step <= last_read) {
                        assert!(kind == Kind::Hub || run.succeeded(), "{told}");
                    }
                    settles(&world, &policy, &told);
                }
            }
        }
    }
}

#[test]
fn a_token_that_others_had_issued_meanwhile_is_the_one_that_is_handed_over() {
    for (beginning, policy) in [(Beginning::Valid, rotated()), (Beginning::PlaceDrifted, present())] {
        let step = beginning.world(Kind::Quay).run(&policy).steps.iter().position(|step| *step == "read back").unwrap();
        let world = beginning.world(Kind::Quay);
        let run = world.disturbed(&policy, step, Disturbance::SomebodyElseIssues);
        let facts = world.facts();
        assert!(run.succeeded() && run.rotation().unwrap().overtaken, "{run:?}");
        assert_eq!(facts.held, facts.records.last().map(|theirs| theirs.secret.clone()), "{run:?}");
    }
}

#[test]
fn a_new_token_that_the_users_may_have_is_not_retired() {
    for kind in Kind::OVERLAP {
        let renamed = Beginning::Valid.world(kind).run(&rotated()).steps.iter().position(|step| *step == "rename");
        let world = Beginning::Valid.world(kind);
        let how = (renamed.unwrap(), Disturbance::FailsThoughDone);
        let run = world.disturbed_and_broken(&rotated(), how, "read");
        assert!(matches!(run.result, Some(Err(RotationError::HandOver(_)))), "{run:?}");
        assert!(world.facts().held_works(), "{run:?}");
        settles(&world, &present(), &format!("{run:?}"));
        assert_eq!(world.facts().records.iter().filter(|record| record.works()).count(), 1);
    }
}

#[test]
fn a_token_that_is_nowhere_else_is_given_back_by_the_run_that_could_not_hand_it_over() {
    for (kind, beginning) in [
        (Kind::Hub, Beginning::Nothing),
        (Kind::Hub, Beginning::Dead),
        (Kind::Hub, Beginning::LeftBehind),
        (Kind::Quay, Beginning::Aged),
    ] {
        for step in ["write", "rename"] {
            let world = beginning.world(kind);
            let run = world.broken(&present(), step);
            let rotation = run.rotation().unwrap();
            assert!(matches!(rotation.error, Some(RotationError::HandOver(_))), "{run:?}");
            assert!(rotation.is_stranded(), "{run:?}");
            assert!(world.facts().accepts(rotation.token.as_ref().map(|token| &token.secret)), "{run:?}");
        }
    }
}

#[test]
fn a_token_that_the_system_shows_is_not_given_back() {
    let policy = Policy::default();
    let world = Beginning::Missing.world(Kind::Quay);
    let run = world.broken(&policy, "rename");
    assert!(run.rotation().unwrap().error.is_some() && !run.rotation().unwrap().is_stranded(), "{run:?}");
}

#[test]
fn a_result_carries_the_token_where_there_is_no_other_place() {
    for kind in [Kind::Quay, Kind::Hub] {
        for how in [Disturbance::Fails, Disturbance::FailsThoughDone, Disturbance::FailsInDoubt] {
            for step in 0.. {
                let mut world = World::new(kind, Facts::default());
                world.lasts = false;
                let run = world.disturbed(&present(), step, how);
                if run.steps.len() <= step {
                    break;
                }
                let told = format!("{kind:?} {how:?} at {step}: {run:?}");
                let facts = world.facts();
                match run.rotation() {
                    Some(rotation) => {
                        let token = rotation.token.as_ref().unwrap();
                        assert!(facts.accepts(Some(&token.secret)), "{told}");
                    }
                    None => assert!(facts.records.iter().all(|_| kind == Kind::Quay || run.reports_a_loss()), "{told}"),
                }
            }
        }
    }
}

/// Every kind of system, beginning and state that a task may ask for.
fn tasks() -> Vec<(Kind, Beginning, Policy)> {
    let mut tasks = Vec::new();
    for kind in Kind::ALL {
        for beginning in Beginning::ALL.into_iter().filter(|beginning| beginning.exists_for(kind)) {
            tasks.extend(policies().map(|policy| (kind, beginning, policy)));
        }
    }
    tasks
}

fn policies() -> [Policy; 3] {
    [present(), rotated(), Policy::default()]
}

/// A task, and what its runs came to.
struct Story<'a> {
    kind: Kind,
    beginning: Beginning,
    policy: &'a Policy,
    world: World,
    disturbances: &'a [(usize, Disturbance)],
    runs: Vec<Ended>,
}

impl<'a> Story<'a> {
    /// Runs the task once for each disturbance, then undisturbed until nothing is left to do. Whether the last disturbance came about.
    fn tell(
        (kind, beginning, policy): (Kind, Beginning, &'a Policy),
        disturbances: &'a [(usize, Disturbance)],
    ) -> bool {
        let mut story = Self { kind, beginning, policy, world: beginning.world(kind), disturbances, runs: Vec::new() };
        for (step, how) in disturbances {
            if story.run(|world| world.disturbed(policy, *step, *how)).steps.len() <= *step {
                return false;
            }
        }
        let again = story.run(|world| world.run(policy)).succeeded();
        assert!(again, "{story}");
        settles(&story.world, policy, &story);
        story.check_nothing_is_lost();
        true
    }

    fn run(&mut self, run: impl FnOnce(&World) -> Ended) -> &Ended {
        let before = self.world.facts();
        self.runs.push(run(&self.world));
        self.check(&before);
        self.last()
    }

    fn last(&self) -> &Ended {
        self.runs.last().unwrap()
    }

    /// What holds after every run.
    fn check(&self, before: &Facts) {
        let (after, run) = (self.world.facts(), self.last());
        assert!(run.issued <= 1, "a run issues one token: {self}");
        if run.succeeded() {
            assert!(after.held_works(), "a run that succeeds leaves a token that works: {self}");
        }
        if self.kind.overlaps() && before.held_works() {
            assert!(after.held_works(), "a token in use is never taken away: {self}");
        }
        if self.kind.overlaps() && matches!(run.result, Some(Err(_))) && !run.issued_later {
            let is_new = |record: &&Record| record.works() && !before.records.contains(record);
            assert_eq!(after.records.iter().find(is_new), None, "a run that fails takes back what it got: {self}");
        }
        let Some(rotation) = run.rotation() else { return };
        let shown = rotation.token.as_ref().map(|token| &token.secret);
        let is_there = after.held.as_ref() == shown && !after.has_drifted;
        let accepted = |id: &String| after.records.iter().any(|record| record.id == *id && record.works());
        let fingerprint = before.held.as_ref().map(|held| held.fingerprint());
        assert_eq!(rotation.before.as_ref().map(|before| before.fingerprint.clone()), fingerprint, "{self}");
        assert_eq!(rotation.issued, run.issued == 1, "{self}");
        assert_eq!(rotation.handed_over, run.steps.contains(&"rename") && is_there, "{self}");
        assert!(!rotation.retired.iter().any(accepted), "{self}");
        assert!(rotation.error.is_some() || rotation.left.is_empty(), "{self}");
    }

    /// What holds in the end.
    fn check_nothing_is_lost(&self) {
        let facts = self.world.facts();
        let mut alive = facts.records.iter().filter(|record| record.works());
        let unused = alive.find(|record| facts.held.as_ref() != Some(&record.secret));
        assert_eq!(unused, None, "nobody has it, and it is still accepted: {self}");
        let is_lost = facts.records.iter().any(|record| !record.was_given);
        // A run that would have said so may have been killed.
        let is_told_by_the_first = matches!(self.beginning, Beginning::Unanswered);
        let tellers = self.runs.iter().skip(usize::from(!is_told_by_the_first));
        let could_be_told = tellers.map(|run| &run.result).all(Option::is_some);
        if self.kind == Kind::Hub && is_lost && could_be_told {
            assert!(self.runs.iter().any(Ended::reports_a_loss), "a token is lost and no run says so: {self}");
        }
    }
}

impl Display for Story<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { kind, beginning, policy, disturbances, runs, .. } = self;
        write!(formatter, "{kind:?}, {beginning:?}, {policy:?}, {disturbances:?}:\n{runs:#?}")
    }
}

/// The task brings a token that works, and once it has, it changes nothing more.
fn settles(world: &World, policy: &Policy, told: &dyn Display) {
    let policy = &Policy { force: false, ..*policy };
    let first = world.run(policy);
    assert!(first.succeeded() && world.facts().held_works(), "{told}; then: {first:?}");
    let before = world.facts();
    let second = world.run(policy);
    let is_idle = second.rotation().is_some_and(|rotation| {
        let nothing_done = !rotation.issued && !rotation.handed_over && rotation.retired.is_empty();
        rotation.reason == Reason::Valid && rotation.error.is_none() && nothing_done
    });
    assert!(is_idle && world.facts() == before, "{told}; then: {first:?}; and then: {second:?}");
}
