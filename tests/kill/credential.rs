//! A credential of the controller as the place: nothing of a killed run lasts but what it sent there.
//!
//! At no time does another input change. Where tokens live side by side, the credential always holds one that works; where a new one kills the old one, the
//! next run puts one there that does.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::controller::RoleKind;
use tokensmith_tests::credential::{CALLER, CUSTOM, CredentialScene, Issuer, SECOND, URL, others};
use tokensmith_tests::quay::with;

use crate::trace::Disturbance;
use crate::{
    Case as _, Disturbed, FAULTS, NamedFault, Story, Tally, Task, Verdict, WAITING_WORKERS, disturb_everywhere,
};

#[test]
fn no_token_and_no_other_input_is_lost_wherever_a_run_is_killed_or_cut_off() {
    let mut story = Story::of("dest_credential");
    for beginning in BEGINNINGS {
        story.killed.add(disturb(beginning, Disturbance::Kill));
    }
    for beginning in [Beginning::Aged, Beginning::Dead] {
        story.failed.add(disturb(beginning, Disturbance::Failure));
    }
    story.cut.add(cut_everywhere());
    story.tell();
}

/// What there is before the run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beginning {
    /// The field is empty, and tokens live side by side.
    FirstOfGateway,
    /// The gateway's token there is older than the task wants it.
    Aged,
    /// Central's token there ends soon.
    Expiring,
    /// The field is empty, and a new token kills the old one.
    FirstOfHub,
    /// The hub's token there is dead, as the job knows.
    Dead,
    /// The robot's token there is dead, as the job knows, and the valid one can be looked at.
    DeadOfQuay,
}

const BEGINNINGS: [Beginning; 6] = [
    Beginning::FirstOfGateway,
    Beginning::Aged,
    Beginning::Expiring,
    Beginning::FirstOfHub,
    Beginning::Dead,
    Beginning::DeadOfQuay,
];

impl Beginning {
    fn issuer(self) -> Issuer {
        match self {
            Self::FirstOfGateway | Self::Aged => Issuer::Gateway,
            Self::Expiring => Issuer::Rhacs,
            Self::FirstOfHub | Self::Dead => Issuer::Hub,
            Self::DeadOfQuay => Issuer::Quay,
        }
    }

    /// The credential holds a token that works, and is to hold one at all times.
    fn begins_with_token_that_works(self) -> bool {
        matches!(self, Self::Aged | Self::Expiring)
    }

    /// The notes and the token, each by one request.
    fn patches(self) -> usize {
        match self {
            Self::FirstOfGateway => 3,
            Self::Aged | Self::Expiring => 4,
            Self::FirstOfHub | Self::Dead | Self::DeadOfQuay => 2,
        }
    }
}

fn disturb(beginning: Beginning, disturbance: Disturbance) -> Tally {
    let scene = CredentialScene::custom();
    disturb_everywhere(&format!("{beginning:?}"), disturbance, |name| Case::new(&scene, name, beginning))
}

fn cut_everywhere() -> Tally {
    let mut cuts: Vec<(Beginning, &str, usize, NamedFault)> = Vec::new();
    for beginning in BEGINNINGS {
        for fault in FAULTS {
            cuts.extend((0..beginning.patches()).map(|number| (beginning, "PATCH", number, fault)));
            cuts.push((beginning, "POST", 0, fault));
        }
    }
    Tally::of(&cuts, WAITING_WORKERS, |(beginning, method, number, (name, fault))| {
        let scene = CredentialScene::custom();
        let case = Case::new(&scene, "case", *beginning);
        for _ in 0..*number {
            scene.fault(Fault::delay(Duration::ZERO).method(*method).times(1));
        }
        scene.fault(fault().method(*method));
        let first = case.run();
        scene.sandbox.faults().clear();
        let told = format!("{beginning:?}, {name} at {method} {number}");
        let verdict = case.what_stands(Some(&first.result));
        Some(verdict.map_err(|why| format!("{told}: {why}; the first run said {first}")))
    })
}

struct Case<'a> {
    scene: &'a CredentialScene,
    beginning: Beginning,
    name: String,
    id: i64,
    task: Task,
    others: Map<String, Value>,
}

impl<'a> Case<'a> {
    fn new(scene: &'a CredentialScene, name: &str, beginning: Beginning) -> Self {
        let mut task = Task::new(scene.path(name));
        let inputs = json!({ "url": URL, "second": SECOND, "verify": true });
        let id = scene.controller().add_credential(name, "Default", CUSTOM, inputs).unwrap();
        assert!(scene.controller().grant(CALLER, RoleKind::Admin, id));
        let issuer = beginning.issuer();
        let own = match issuer {
            Issuer::Gateway => json!({ "description": name, "overlap": "0" }),
            Issuer::Hub => json!({ "ah_username": name, "ah_password": scene.sandbox.hub().add_user(name) }),
            Issuer::Rhacs => json!({ "name": name, "overlap": "0" }),
            Issuer::Quay => {
                scene.sandbox.quay().add_robot(&robot(name));
                json!({ "robot": robot(name) })
            }
        };
        let which = json!({ "dest_credential": { "id": id, "field": "token" } });
        task.options = scene.options(issuer, with(own, which));
        let others = others(scene.controller().credential(id).unwrap().inputs());
        let mut case = Self { scene, beginning, name: name.to_owned(), id, task, others };
        case.prepare();
        case
    }

    fn prepare(&mut self) {
        match self.beginning {
            Beginning::FirstOfGateway | Beginning::FirstOfHub => {}
            Beginning::Expiring => {
                let own = self.task.options.clone();
                self.task.options["expiration"] = json!("3d");
                self.run().succeeded();
                self.task.options = own;
            }
            Beginning::Aged => {
                let first = self.run().succeeded();
                assert!(self.scene.sandbox.gateway().backdate(first.result["id"].as_i64().unwrap(), 60 * 24 * 3600));
                self.task.options["max_age"] = json!("30d");
            }
            Beginning::Dead | Beginning::DeadOfQuay => {
                self.run().succeeded();
                self.task.options["dest_credential"]["token"] = json!(self.token());
                let issued = match self.beginning.issuer() {
                    Issuer::Quay => self.scene.sandbox.quay().regenerate(&robot(&self.name)),
                    _ => self.scene.sandbox.hub().issue_token(&self.name),
                };
                assert_ne!(issued, self.token());
            }
        }
    }

    /// What a disturbed run left and said, and what the next one makes of it.
    fn what_stands(&self, said: Option<&Value>) -> Result<Verdict, String> {
        if self.beginning.begins_with_token_that_works() && !self.holds_token_that_works() {
            return Err("a token in use was taken away".to_owned());
        }
        if let Some(result) = said {
            self.check_said(result)?;
        }
        self.check_others()?;
        let next = self.run();
        if next.failed() || !self.holds_token_that_works() {
            return Err(format!("the next run did not put it right: {next}"));
        }
        let third = self.run();
        if third.failed() || third.changed() || third.text("reason") != "valid" {
            return Err(format!("the run after the next found something to do: {third}; the next one said {next}"));
        }
        self.check_others()?;
        match self.live_tokens() {
            1 => Ok(Verdict::Kept),
            alive => Err(format!("{alive} tokens live: {next}")),
        }
    }

    fn check_said(&self, result: &Value) -> Result<(), String> {
        match (result["failed"] == true, result["token"].as_str()) {
            (false, _) if !self.holds_token_that_works() => Err("the run says that all is well".to_owned()),
            (true, Some(token)) if !self.works(token) => Err("the token in the result is dead".to_owned()),
            (true, _) if result["msg"].as_str().unwrap_or_default().is_empty() => Err("it did not say why".to_owned()),
            _ => Ok(()),
        }
    }

    /// Whatever was written at any time.
    fn check_others(&self) -> Result<(), String> {
        let history = self.scene.controller().history(self.id);
        match history.iter().find(|version| others(&version.inputs) != self.others) {
            Some(version) => Err(format!("other inputs were changed: {:?}", version.inputs)),
            None => Ok(()),
        }
    }

    fn token(&self) -> Option<String> {
        self.scene.controller().credential(self.id).unwrap().input("token").map(str::to_owned)
    }

    fn holds_token_that_works(&self) -> bool {
        self.token().is_some_and(|token| self.works(&token))
    }

    fn works(&self, token: &str) -> bool {
        match self.beginning.issuer() {
            Issuer::Quay => self.scene.sandbox.quay().robot_token(&robot(&self.name)).as_deref() == Some(token),
            issuer => self.scene.works(issuer, token),
        }
    }

    /// A robot and a user of the hub have never more than one.
    fn live_tokens(&self) -> usize {
        match self.beginning.issuer() {
            Issuer::Gateway => self.scene.sandbox.gateway().live_tokens(&self.name),
            Issuer::Rhacs => self.scene.sandbox.central().live_tokens(&self.name),
            Issuer::Hub | Issuer::Quay => 1,
        }
    }
}

impl crate::Case for Case<'_> {
    fn task(&self) -> &Task {
        &self.task
    }

    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String> {
        self.what_stands(disturbed.result()?.as_ref())
    }
}

fn robot(name: &str) -> String {
    format!("acme+{name}")
}
