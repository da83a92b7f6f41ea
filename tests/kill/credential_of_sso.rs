//! sso_token with a credential of the controller as the only memory: each use of the offline token that jobs get from it may end that token.
//!
//! Where the server forgives nothing, and the successor was not in the credential when the run was killed, the next run has to say so.

use serde_json::{Map, Value, json};
use tokensmith_sandbox::controller::RoleKind;
use tokensmith_sandbox::sso::RealmHandle;
use tokensmith_tests::credential::{CALLER, CUSTOM, CredentialScene, SECOND, URL, others};
use tokensmith_tests::executable::Run;

use crate::trace::Disturbance;
use crate::{Case as _, Disturbed, FAULTS, MODULE, Story, Tally, Task, Verdict, WAITING_WORKERS, disturb_everywhere};

#[test]
fn the_credential_keeps_an_offline_token_alive_wherever_a_run_is_killed_or_cut_off() {
    let mut story = Story::of("sso_token, dest_credential");
    for realm in [FORGIVING, "rotating"] {
        let scene = CredentialScene::custom();
        story.killed.add(disturb_everywhere(realm, Disturbance::Kill, |name| Case::new(&scene, name, realm)));
    }
    story.cut.add(cut_everywhere());
    story.tell();
    let unavoidable = story.killed.unavoidable;
    assert!(unavoidable > 0, "a server that forgives nothing must have been met");
    assert!(unavoidable * 10 < story.killed.points, "{unavoidable} of {} cannot all be so", story.killed.points);
}

fn cut_everywhere() -> Tally {
    let mut cuts = Vec::new();
    for place in ["/token", "PATCH"] {
        cuts.extend(FAULTS.iter().map(|(name, fault)| (place, *name, fault)));
    }
    Tally::of(&cuts, WAITING_WORKERS, |(place, name, fault)| {
        let scene = CredentialScene::custom();
        let case = Case::new(&scene, "case", FORGIVING);
        scene.fault(if *place == "PATCH" { fault().method("PATCH") } else { fault().path(*place) });
        let first = case.run();
        scene.sandbox.faults().clear();
        let verdict = case.what_stands(&first.result);
        Some(verdict.map_err(|why| format!("{place}, {name}: {why}; the first run said {first}")))
    })
}

struct Case<'a> {
    scene: &'a CredentialScene,
    realm: RealmHandle,
    id: i64,
    task: Task,
    others: Map<String, Value>,
}

impl<'a> Case<'a> {
    fn new(scene: &'a CredentialScene, name: &str, realm: &str) -> Self {
        let mut task = Task::new(scene.path(name));
        let realm = scene.sandbox.sso().realm(realm);
        let token = realm.issue_offline_token("cloud-services", SCOPE).unwrap();
        let inputs = json!({ "url": URL, "second": SECOND, "verify": true, "token": token });
        let id = scene.controller().add_credential(name, "Default", CUSTOM, inputs).unwrap();
        assert!(scene.controller().grant(CALLER, RoleKind::Admin, id));
        task.options = json!({
            MODULE: "sso_token",
            "token_url": realm.token_url(),
            "offline_token": token,
            "dest_credential": { "id": id, "field": "token" },
            "controller_host": scene.controller().url(),
            "controller_oauthtoken": scene.caller(),
            "ca_path": scene.sandbox.ca_path(),
            "use_proxy": false,
        });
        let others = others(scene.controller().credential(id).unwrap().inputs());
        Self { scene, realm, id, task, others }
    }

    /// What a disturbed run left and said, and what the next job makes of it.
    fn what_stands(&self, said: &Value) -> Result<Verdict, String> {
        // What cannot be written is returned, for a person to store.
        if let Some(token) = said["offline_token"].as_str().filter(|token| self.realm.offline_token_is_alive(token)) {
            return self.what_stands_once_stored(token);
        }
        if said["failed"] == false && !self.realm.offline_token_is_alive(&self.token()) {
            return Err("the run says that all is well".to_owned());
        }
        let (before, next) = (self.token(), self.next_job());
        // The request of a killed run may reach the server after all, so whether it did is asked only now.
        if next.failed() && !self.realm.offline_token_is_alive(&before) && self.forgives_nothing() {
            return if next.message().contains("had been used before") && self.token() == before {
                Ok(Verdict::Unavoidable)
            } else {
                Err(format!("the token is gone, and the next run did not say why: {next}"))
            };
        }
        self.check_mended(&next)
    }

    fn what_stands_once_stored(&self, token: &str) -> Result<Verdict, String> {
        let stored = json!({ "description": "", "inputs": { "token": token, "url": URL, "second": "$encrypted$", "verify": true } });
        self.scene.patch_credential(self.id, &stored);
        self.check_mended(&self.next_job())
    }

    fn check_mended(&self, next: &Run) -> Result<Verdict, String> {
        if next.failed() || !self.realm.offline_token_is_alive(&self.token()) {
            return Err(format!("the next run did not put it right: {next}"));
        }
        let history = self.scene.controller().history(self.id);
        match history.iter().find(|version| others(&version.inputs) != self.others) {
            Some(version) => Err(format!("other inputs were changed: {:?}", version.inputs)),
            None => Ok(Verdict::Kept),
        }
    }

    /// The same task with the token that a job gets which starts now.
    fn next_job(&self) -> Run {
        let mut options = self.task.options.clone();
        options["offline_token"] = json!(self.token());
        tokensmith_tests::executable::module("sso_token", &options)
    }

    fn token(&self) -> String {
        self.scene.controller().credential(self.id).unwrap().input("token").unwrap_or_default().to_owned()
    }

    fn forgives_nothing(&self) -> bool {
        self.realm.url().ends_with("/rotating")
    }
}

impl crate::Case for Case<'_> {
    fn task(&self) -> &Task {
        &self.task
    }

    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String> {
        self.what_stands(&disturbed.result()?.unwrap_or_default())
    }
}

/// It takes each offline token twice, so that an answer which was lost on the way can be asked for again.
const FORGIVING: &str = "rotating-reuse-1";
const SCOPE: &str = "openid offline_access api.iam.organization";
