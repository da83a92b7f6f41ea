//! The matrix: all that Ansible can say around a task, on every ansible-core, by every way to run an executable. What holds stands in `docs/matrix.md`.
//!
//! `make matrix` runs all of it. `make test` runs the oldest, the newest and one version between them by every way, and each of the others by one way.

use std::collections::VecDeque;
use std::env;
use std::sync::Mutex;
use std::thread;

use tokensmith_tests::ssh_hosts::{Kind, SshHost};

use self::features::FEATURES;
use self::run::{Core, Run, Seen, Vault, Way};
use self::table::Table;

#[path = "matrix/features.rs"]
mod features;
#[path = "matrix/run.rs"]
mod run;
#[path = "matrix/table.rs"]
mod table;

#[test]
fn all_that_can_be_said_around_a_task_works_on_every_ansible_core_by_every_way_and_shows_no_secret() {
    let (cores, missing) = Core::all();
    let Some(host) = host(&cores) else { return };
    let vault = Vault::new(&cores[0]);
    let jobs = jobs(&cores);
    let runs = side_by_side(jobs, |number, (core, way)| Run::new(&host, &vault, core, way, number).play());
    let (seen, mut faults) = split(runs);

    let mut table = Table::new(missing);
    for seen in &seen {
        faults.extend(seen.secrets_shown());
        for (feature, check) in FEATURES {
            let (is, is_to_be) = check(seen);
            table.enter(feature, seen.core(), seen.way(), is == is_to_be);
            if is != is_to_be {
                faults.push(format!("{feature} on {seen}:\n  is       {is}\n  is to be {is_to_be}"));
            }
        }
    }
    for core in &cores {
        faults.extend(differences(&seen.iter().filter(|seen| seen.core() == core.version()).collect::<Vec<_>>()));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    table.check();
}

#[test]
fn under_mitogen_linear_the_same_works_over_ssh_and_shows_no_secret() {
    let Some(core) = Core::with_mitogen() else { return };
    let Some(host) = host(std::slice::from_ref(&core)) else { return };
    let vault = Vault::new(&core);
    let seen = Run::new(&host, &vault, &core, Way::Mitogen, 0).play().unwrap_or_else(|printed| panic!("{printed}"));
    let mut faults = seen.secrets_shown();
    for (feature, check) in FEATURES.iter().filter(|(feature, _)| !NOT_UNDER_MITOGEN.contains(feature)) {
        let (is, is_to_be) = check(&seen);
        if is != is_to_be {
            faults.push(format!("{feature} on {seen}:\n  is       {is}\n  is to be {is_to_be}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Each version with the ways that are tried on it.
fn jobs(cores: &[Core]) -> VecDeque<(&Core, Way)> {
    let is_whole = ["TOKENSMITH_WHOLE_MATRIX", "MATRIX_DOCS"].into_iter().any(|name| variable(name).is_some());
    let by_every_way = [0, cores.len() / 2, cores.len() - 1];
    let mut one_way = Way::ALL.into_iter().cycle();
    let ways = cores.iter().enumerate().flat_map(|(number, core)| {
        let every = is_whole || by_every_way.contains(&number);
        let ways = if every { Way::ALL.to_vec() } else { one_way.by_ref().take(1).collect() };
        ways.into_iter().map(move |way| (core, way))
    });
    ways.collect()
}

/// Where there is anything to run, and a host can be had.
fn host(cores: &[Core]) -> Option<SshHost> {
    if cores.is_empty() {
        eprintln!("skipped: TOKENSMITH_MATRIX names no ansible-core; `make matrix` makes them");
        return None;
    }
    SshHost::start(Kind::Ordinary).unwrap()
}

fn split<S, F>(runs: Vec<Result<S, F>>) -> (Vec<S>, Vec<F>) {
    let (mut seen, mut faults) = (Vec::new(), Vec::new());
    for run in runs {
        match run {
            Ok(run) => seen.push(run),
            Err(fault) => faults.push(fault),
        }
    }
    (seen, faults)
}

/// What a task results in is the same by every way.
fn differences(seen: &[&Seen]) -> Vec<String> {
    let Some((first, others)) = seen.split_first() else { return Vec::new() };
    let pairs =
        others.iter().flat_map(|other| first.results().into_iter().zip(other.results()).map(move |pair| (other, pair)));
    pairs
        .filter(|(_, (one, other))| one != other)
        .map(|(seen, ((name, one), (_, other)))| {
            format!("{name} is not the same on {first} and on {seen}:\n  {one}\n  {other}")
        })
        .collect()
}

/// As many at a time as there are cores, two at least: most of the time a play waits.
fn side_by_side<T: Send, R: Send>(jobs: VecDeque<T>, job: impl Fn(usize, T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(2, usize::from).clamp(2, jobs.len().max(2));
    let jobs = Mutex::new(jobs.into_iter().enumerate().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = jobs.lock().unwrap().pop_front();
                    let Some((number, task)) = next else { return };
                    let result = job(number, task);
                    done.lock().unwrap().push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// It has files of its own.
const NOT_UNDER_MITOGEN: [&str; 2] = ["`ansible_remote_tmp`", "`ANSIBLE_KEEP_REMOTE_FILES=1`"];

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
