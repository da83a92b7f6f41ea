//! gateway_manage: a token that the command printed can be neither shown again nor ended by itself.
//!
//! So after each disturbance the users have what they had or a token that exists, and of one that nobody has the next run tells.

use std::fs;

use serde_json::json;
use tokensmith_tests::manage::Host;
use tokensmith_tests::scene::names;

use crate::trace::Disturbance;
use crate::{Disturbed, MODULE, Story, Task, Verdict, disturb_everywhere};

#[test]
fn no_created_token_is_lost_without_a_word_wherever_a_run_is_killed() {
    let mut story = Story::of("gateway_manage");
    for before in [false, true] {
        let make = |_: &str| Case::new(before);
        story.killed.add(disturb_everywhere(&format!("token before: {before}"), Disturbance::Kill, make));
        story.failed.add(disturb_everywhere(&format!("token before: {before}"), Disturbance::Failure, make));
    }
    story.tell();
}

struct Case {
    host: Host,
    before: bool,
    task: Task,
}

impl Case {
    /// Without a token before, one is wanted; else another one is.
    fn new(before: bool) -> Self {
        let host = Host::new(env!("CARGO_BIN_EXE_manage-stand-in"));
        if before {
            host.give("admin", "OAuth2AccessToken", OLD);
            host.file("token", OLD);
        }
        let options = json!({ MODULE: "gateway_manage", "command": "create_oauth2_token", "user": "admin", "dest": host.dest(), "force": before });
        let task = Task { folder: host.folder().to_owned(), options: host.options(options) };
        Self { host, before, task }
    }

    /// The users have a token that exists, or none if they had none.
    fn check_left(&self) -> Result<Option<String>, String> {
        let content = fs::read_to_string(self.host.dest()).ok();
        match &content {
            None if !self.before => Ok(content),
            Some(token) if self.host.tokens().contains(token) => Ok(content),
            _ => Err(format!("there is no token that exists in dest: {}", content.is_some())),
        }
    }
}

impl crate::Case for Case {
    fn task(&self) -> &Task {
        &self.task
    }

    fn starts_programs(&self) -> bool {
        true
    }

    fn verdict(&self, disturbed: &Disturbed) -> Result<Verdict, String> {
        let said = disturbed.result()?.unwrap_or_default();
        let left = self.check_left()?;
        let message = said["msg"].as_str().unwrap_or_default();
        match said["failed"] == true {
            true if message.is_empty() => return Err("the disturbed run failed and did not say why".to_owned()),
            false if said.is_object() && left.as_ref() != self.host.tokens().last() => {
                return Err("the disturbed run says that all is well".to_owned());
            }
            _ => {}
        }
        let made = self.host.tokens();
        let next = self.run();
        if next.failed() {
            return Err(format!("the next run failed: {next}"));
        }
        let held = self.check_left()?.ok_or_else(|| format!("after the next run there is no token: {next}"))?;
        let is_lost = |token: &&String| {
            **token != held && Some(*token) != left.as_ref() && *token != OLD && said["token"] != **token
        };
        let is_told = next.warnings().contains("that was not handed over") || message.contains("may have been created");
        if made.iter().any(|token| is_lost(&token)) && !is_told {
            return Err(format!("a token was lost without a word; the next run said {next}"));
        }
        let there = names(self.host.dest().parent().unwrap());
        if there != [".token.tokensmith.json", ".token.tokensmith.lock", "token"] {
            return Err(format!("after the next run the files are {there:?}"));
        }
        Ok(Verdict::Kept)
    }
}

const OLD: &str = "oLd0oLd0oLd0oLd0oLd0oLd0oLd0oL";
