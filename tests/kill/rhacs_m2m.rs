//! rhacs_m2m_token: a token of one hour in exchange for that of an identity provider. The old one works on until its end, so `dest` always holds one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_tests::rhacs::RhacsScene;
use tokensmith_tests::scene::{names, read};

use crate::trace::Disturbance;
use crate::{
    Case as _, Disturbed, FAULTS, MODULE, NamedFault, Story, Tally, Verdict, WAITING_WORKERS, disturb_everywhere,
};

#[test]
fn an_exchanged_token_of_central_is_always_there_wherever_a_run_is_killed_or_cut_off() {
    let mut story = Story::of("rhacs_m2m_token");
    for beginning in [Beginning::First, Beginning::Renewal] {
        let world = World::new();
        let make = |name: &str| Case::new(&world, name, beginning);
        story.killed.add(disturb_everywhere(&format!("{beginning:?}"), Disturbance::Kill, make));
    }
    story.cut.add(cut_everywhere());
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

fn cut_everywhere() -> Tally {
    let faults: Vec<NamedFault> =
        FAULTS.into_iter().chain([("server error", Fault::server_error as fn() -> Fault)]).collect();
    let mut cuts = Vec::new();
    for (beginning, path) in [
        (Beginning::First, "/v1/auth/m2m/exchange"),
        (Beginning::First, "/v1/auth/status"),
        (Beginning::Renewal, "/v1/auth/m2m/exchange"),
        (Beginning::Renewal, "/v1/auth/status"),
    ] {
        cuts.extend(faults.iter().map(|(name, fault)| (beginning, path, *name, *fault)));
    }
    Tally::of(&cuts, WAITING_WORKERS, |(beginning, path, name, fault)| {
        let world = World::new();
        let case = Case::new(&world, "case", *beginning);
        world.scene.sandbox.faults().add(fault().path(*path));
        let first = case.run();
        world.scene.sandbox.faults().clear();
        let mut verdict = case.what_stands(Some(&first.result));
        if !first.failed() {
            verdict = Err("the run did not notice".to_owned());
        }
        Some(verdict.map_err(|why| format!("{beginning:?}, {path}, {name}: {why}; the first run said {first}")))
    })
}

/// A Central that takes tokens of the identity provider.
struct World {
    scene: RhacsScene,
    oidc_token: PathBuf,
    /// A token of Central that ends in some minutes.
    old_token: String,
}

impl World {
    fn new() -> Self {
        let scene = RhacsScene::new();
        let oidc_token = scene.file("oidc_token", &scene.external_token().sign().unwrap());
        // As if it had been exchanged the better part of an hour ago.
        let end = scene.sandbox.clock().seconds() + 300;
        scene.sandbox.clock().advance(-FIFTY_MINUTES);
        let old = scene.external_token_again().claim("exp", end).sign().unwrap();
        let old_token = scene.machine_token_task(json!({ "oidc_token": old })).succeeded().text("token").to_owned();
        scene.sandbox.clock().advance(FIFTY_MINUTES);
        Self { scene, oidc_token, old_token }
    }
}

struct Case<'a> {
    world: &'a World,
    folder: PathBuf,
    dest: PathBuf,
    task: Value,
    before: Option<String>,
}

impl<'a> Case<'a> {
    fn new(world: &'a World, name: &str, beginning: Beginning) -> Self {
        let folder = world.scene.path(name);
        let dest = folder.join("files").join(DEST);
        fs::create_dir_all(folder.join("files")).unwrap();
        let before = (beginning == Beginning::Renewal).then(|| world.old_token.clone());
        if let Some(token) = &before {
            fs::write(&dest, token).unwrap();
        }
        let task = world.scene.machine_token_options(
            json!({ MODULE: "rhacs_m2m_token", "oidc_token_file": world.oidc_token, "renew_before": "30m", "dest": dest }),
        );
        Self { world, folder, dest, task, before }
    }

    fn what_stands(&self, said: Option<&Value>) -> Result<Verdict, String> {
        let left = fs::read_to_string(&self.dest).ok();
        let is_new = left != self.before;
        if left.is_some_and(|token| !self.works(&token)) {
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
        if Some(&token) == self.before.as_ref() || !self.works(&token) {
            return Err(format!("the next run left no new token: {next}"));
        }
        let there = names(&self.folder.join("files"));
        if there == NAMES { Ok(Verdict::Kept) } else { Err(format!("the next run left {there:?}")) }
    }

    fn works(&self, token: &str) -> bool {
        self.world.scene.central().token_works(token)
    }
}

impl crate::Case for Case<'_> {
    fn task(&self) -> &Value {
        &self.task
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String> {
        self.what_stands(disturbed.result()?.as_ref())
    }
}

const DEST: &str = "token";
const NAMES: [&str; 3] = [".token.tokensmith.json", ".token.tokensmith.lock", DEST];
const FIFTY_MINUTES: i64 = 50 * 60;
