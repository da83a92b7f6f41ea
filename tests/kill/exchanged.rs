//! A token of one hour in exchange for that of an identity provider. The old one works on until its end, so `dest` always holds one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokensmith_sandbox::{Fault, Sandbox};
use tokensmith_tests::scene::read;

use crate::trace::Disturbance;
use crate::{
    Case as _, Disturbed, FAULTS, MODULE, NamedFault, Story, Tally, Task, Verdict, WAITING_WORKERS, disturb_everywhere,
};

/// Who exchanges, and what there is before the run.
pub trait World: Sync {
    /// The module.
    const MODULE: &str;
    /// Paths of its requests.
    const PATHS: &[&str];

    /// With a sandbox of its own.
    fn new() -> Self;

    /// The stand-ins.
    fn sandbox(&self) -> &Sandbox;

    /// A path in the world's folder.
    fn path(&self, name: &str) -> PathBuf;

    /// Options of a task, with where the system is.
    fn options(&self, options: Value) -> Value;

    /// The file with the identity provider's token.
    fn oidc_token(&self) -> &Path;

    /// A token that ends in some minutes, as if it had been exchanged the better part of an hour ago.
    fn old_token(&self) -> &str;

    /// Whether the system accepts a token.
    fn works(&self, token: &str) -> bool;
}

/// Makes an old token in that way.
pub fn in_the_past(sandbox: &Sandbox, exchange: impl FnOnce(i64) -> String) -> String {
    let end = sandbox.clock().seconds() + 300;
    sandbox.clock().advance(-FIFTY_MINUTES);
    let token = exchange(end);
    sandbox.clock().advance(FIFTY_MINUTES);
    token
}

/// Kills runs and cuts them off, everywhere, and tells what came of it.
pub fn tell<W: World>() {
    let mut story = Story::of(W::MODULE);
    for beginning in BEGINNINGS {
        let world = W::new();
        let make = |name: &str| Case::new(&world, name, beginning);
        story.killed.add(disturb_everywhere(&format!("{beginning:?}"), Disturbance::Kill, make));
    }
    story.cut.add(cut_everywhere::<W>());
    story.tell();
}

/// What there is before the run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beginning {
    /// Nothing.
    First,
    /// A token that ends in some minutes.
    Renewal,
}

const BEGINNINGS: [Beginning; 2] = [Beginning::First, Beginning::Renewal];

fn cut_everywhere<W: World>() -> Tally {
    let faults: Vec<NamedFault> =
        FAULTS.into_iter().chain([("server error", Fault::server_error as fn() -> Fault)]).collect();
    let mut cuts = Vec::new();
    for (beginning, path) in
        BEGINNINGS.into_iter().flat_map(|beginning| W::PATHS.iter().map(move |path| (beginning, path)))
    {
        cuts.extend(faults.iter().map(|(name, fault)| (beginning, *path, *name, *fault)));
    }
    Tally::of(&cuts, WAITING_WORKERS, |(beginning, path, name, fault)| {
        let world = W::new();
        let case = Case::new(&world, "case", *beginning);
        world.sandbox().faults().add(fault().path(*path));
        let first = case.run();
        world.sandbox().faults().clear();
        let mut verdict = case.what_stands(Some(&first.result));
        if !first.failed() {
            verdict = Err("the run did not notice".to_owned());
        }
        Some(verdict.map_err(|why| format!("{beginning:?}, {path}, {name}: {why}; the first run said {first}")))
    })
}

struct Case<'a, W> {
    world: &'a W,
    dest: PathBuf,
    task: Task,
    before: Option<String>,
}

impl<'a, W: World> Case<'a, W> {
    fn new(world: &'a W, name: &str, beginning: Beginning) -> Self {
        let mut task = Task::new(world.path(name));
        let dest = task.file(DEST);
        let before = (beginning == Beginning::Renewal).then(|| world.old_token().to_owned());
        if let Some(token) = &before {
            fs::write(&dest, token).unwrap();
        }
        task.options = world.options(
            json!({ MODULE: W::MODULE, "oidc_token_file": world.oidc_token(), "renew_before": "30m", "dest": dest }),
        );
        Self { world, dest, task, before }
    }

    fn what_stands(&self, said: Option<&Value>) -> Result<Verdict, String> {
        let left = fs::read_to_string(&self.dest).ok();
        let is_new = left != self.before;
        if left.is_some_and(|token| !self.world.works(&token)) {
            return Err("dest was left without a working token".to_owned());
        }
        if let Some(said) = said {
            match (said["failed"] == true, said["msg"].as_str()) {
                (false, _) if !is_new => {
                    return Err("the disturbed run says that all is well, and it is not".to_owned());
                }
                (true, None | Some("")) => return Err("the disturbed run failed and did not say why".to_owned()),
                _ => {}
            }
        }
        let next = self.run();
        if next.failed() {
            return Err(format!("the next run failed: {next}"));
        }
        if is_new && next.changed() {
            return Err(format!("the next run exchanged once more: {next}"));
        }
        let token = read(&self.dest);
        if Some(&token) == self.before.as_ref() || !self.world.works(&token) {
            return Err(format!("the next run left no new token: {next}"));
        }
        let there = self.task.files();
        if there == NAMES { Ok(Verdict::Kept) } else { Err(format!("the next run left {there:?}")) }
    }
}

impl<W: World> crate::Case for Case<'_, W> {
    fn task(&self) -> &Task {
        &self.task
    }

    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String> {
        self.what_stands(disturbed.result()?.as_ref())
    }
}

const DEST: &str = "token";
const NAMES: [&str; 3] = [".token.tokensmith.json", ".token.tokensmith.lock", DEST];
const FIFTY_MINUTES: i64 = 50 * 60;
