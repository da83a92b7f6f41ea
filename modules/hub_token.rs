//! hub_token: the one API token of a user of automation hub, tried before it is replaced.

mod absence;
mod token;

use anyhow::{Error, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::rotation::{
    Destination, HandOver, Holding, Naming, Place, PlaceError, Policy, Reason, Rotate, Rotation, RotationError,
    Subject, Trace,
};
use tokensmith::span::Span;
use tokensmith::systems::hub::{Credential, Hub};
use tokensmith::timestamp::timestamp;

use crate::hub::Access;
use crate::state::{NO_AGE, State};
use token::UserToken;

/// The options of `hub_token.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    hand_over: HandOver,
    #[serde(flatten)]
    access: Access,
    state: State,
    max_age: Option<Span>,
    self_rotation: bool,
    galaxy_server: Option<String>,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    if options.state != State::Absent && options.hand_over.returns_token() {
        task.refuse_public_secret()?;
    }
    let hub = options.access.connect(task, &options.connection)?;
    let place = options.place(&hub)?;
    let holding = place.look().await?;
    let Some(credential) = options.credential(&holding)? else { return absence::of_nothing(&place) };
    options.check(task, &credential)?;
    let user = options.access.user(&credential);
    hub.act_as(credential);
    let job = Job { task, options: &options, hub: &hub, place: &place, user };
    match options.state {
        State::Present | State::Rotated => job.rotate().await,
        State::Absent => job.delete(holding).await,
    }
}

impl Options {
    /// Where the token goes.
    fn place(&self, hub: &Hub) -> Result<Destination, PlaceError> {
        // ansible-galaxy wants the slash at the end.
        let galaxy_server = self.galaxy_server.clone().map(|name| (name, format!("{}/", hub.address())));
        let naming = Naming { name: "hub_token", galaxy_server, ..Naming::default() };
        self.hand_over.destination_or_credential(self.hand_over.dest.as_deref(), naming, &self.connection)
    }

    /// As whom the hub is called: without a credential of its own the token in the place is one. `None`: there is none, and none is needed.
    fn credential(&self, holding: &Holding) -> Result<Option<Credential>> {
        if let Some(credential) = self.access.credential()? {
            return Ok(Some(credential));
        }
        let found = holding.token.clone().or_else(|| holding.left_behind.clone());
        if found.is_none() && self.state != State::Absent {
            bail!(
                "there is nothing to call the hub with: give ah_username and ah_password, gateway_token, or ah_token"
            );
        }
        Ok(found.map(Credential::Token))
    }

    /// What can be said without asking the hub.
    fn check(&self, task: &Task, credential: &Credential) -> Result<()> {
        let is_token = matches!(credential, Credential::Token(_));
        if self.state == State::Present && !self.hand_over.has_place() && !is_token {
            bail!(
                "without a dest nothing shows whether {} has a token that works, and a new one would cut off whoever uses it; name a dest, or say state: \
                 rotated if a new one is meant",
                self.access.user(credential)
            );
        }
        if self.max_age.is_some() && !self.hand_over.has_place() {
            bail!("{NO_AGE}");
        }
        if self.self_rotation && is_token && self.state != State::Absent && task.result_is_public() {
            bail!(
                "with async a token that cannot be written to dest is lost, and one that was asked for with itself cannot be replaced; leave async out, \
                 or give ah_username and ah_password"
            );
        }
        Ok(())
    }
}

struct Job<'a> {
    task: &'a Task,
    options: &'a Options,
    hub: &'a Hub,
    place: &'a Destination,
    /// Whose token it is, in a sentence.
    user: String,
}

impl Job<'_> {
    /// A token that works is in its place.
    async fn rotate(&self) -> Result<Outcome> {
        let Job { task, options, hub, place, .. } = self;
        for remark in place.remarks() {
            task.warn(remark);
        }
        let is_forced = options.state == State::Rotated;
        let system = UserToken::new(task, hub, is_forced, options.self_rotation);
        let policy = Policy { force: is_forced, renew_before: None, max_age: options.max_age.map(Span::delta) };
        let subject = Subject { server: hub.address(), object: SUBJECT.to_owned() };
        let rotate =
            Rotate { system: &system, place: *place, policy: &policy, subject: &subject, check_mode: task.check_mode };
        let rotated = rotate.in_place().await;
        for notice in place.notices() {
            task.warn(notice);
        }
        let rotation = rotated.map_err(|error| self.explained(error))?;
        if task.check_mode && rotation.issued {
            system.check_issuing().await?;
        }
        self.warn_of_issuing(&rotation);
        let old_is_dead = self.prove_old_dead(&rotation, &system).await;
        Ok(self.rotated(rotation, old_is_dead))
    }

    /// A lost answer is worse for who asked with the old token.
    fn explained(&self, error: RotationError) -> Error {
        match error {
            RotationError::Lost(cause) if self.hub.own_token().is_some() => anyhow!(
                "the answer to the request for a new token was lost, and the old token, with which it was asked for, is dead: give ah_username and \
                 ah_password, or have an administrator of the hub run `pulpcore-manager drf_create_token USER`, which prints the lost one: {cause}"
            ),
            error => error.into(),
        }
    }

    fn warn_of_issuing(&self, rotation: &Rotation) {
        if let Some(since) = rotation.lost_since {
            self.task.warn(format!(
                "An earlier run asked for a token at {}, and the answer did not come to its place: if one was made then, it is dead by now.",
                timestamp(since)
            ));
        }
        if rotation.issued {
            let is = if self.task.check_mode { "would be" } else { "is" };
            self.task.warn(format!(
                "A hub keeps one token per user: whoever else uses the token of {} {is} refused (authentication_failed) from now on.",
                self.user
            ));
        }
    }

    /// Nothing where there was none, null where it is not known.
    async fn prove_old_dead(&self, rotation: &Rotation, system: &UserToken<'_>) -> Option<Value> {
        if !rotation.issued || self.task.check_mode {
            return None;
        }
        match system.is_old_dead().await? {
            Ok(is_dead) => Some(json!(is_dead)),
            Err(error) => {
                self.task.warn(format!("Whether the old token is dead could not be asked: {error}."));
                Some(Value::Null)
            }
        }
    }

    fn rotated(&self, rotation: Rotation, old_is_dead: Option<Value>) -> Outcome {
        let has_place = self.place.lasts();
        let is_forecast = self.task.check_mode && rotation.reason != Reason::Valid;
        let mut returned = returned(self.place, rotation.reason);
        returned["generated"] = json!(rotation.issued);
        returned["rotated_at"] = json!(rotation.trace.as_ref().and_then(|token| token.issued_at).map(timestamp));
        if let Some(token) = &rotation.trace {
            returned["fingerprint"] = json!(token.fingerprint);
        }
        let old_lives = old_is_dead == Some(json!(false));
        if let Some(old_is_dead) = old_is_dead {
            returned["old_is_dead"] = old_is_dead;
        }
        let is_stranded = rotation.is_stranded();
        let after = match is_forecast && rotation.issued {
            true => json!("(a new token)"),
            false => for_diff(rotation.trace.as_ref()),
        };
        let mut outcome = Outcome::new(&returned)
            .changed(rotation.issued || (has_place && rotation.handed_over))
            .diff(&for_diff(rotation.before.as_ref()), &after);
        let is_public = self.task.result_is_public();
        let wanted = (is_stranded && !is_public) || (self.options.hand_over.returns_token() && !is_forecast);
        if let Some(token) = rotation.token.filter(|_| wanted) {
            outcome = outcome.secret("token", &token.secret);
        }
        match rotation.error {
            Some(error) => outcome.failed(stranded(error.into(), is_stranded, is_public)),
            None if old_lives => outcome.failed(anyhow!(
                "the new token works, but the old one is accepted all the same: it belongs to another user than {}; who it belongs to can end it with \
                 state: absent",
                self.user
            )),
            None => outcome,
        }
    }
}

fn returned(place: &Destination, reason: Reason) -> Value {
    let mut returned = json!({ "reason": reason, "generated": false, "deleted": false });
    place.describe(&mut returned);
    returned
}

fn stranded(error: Error, is_stranded: bool, is_public: bool) -> Error {
    match (is_stranded, is_public) {
        (false, _) => error,
        (true, false) => error.context("the new token is in the result as token and nowhere else; store it"),
        (true, true) => error.context(
            "the new token is lost, as with async everybody on this host may read the result; run the task again, which has another one made",
        ),
    }
}

fn for_diff(token: Option<&Trace>) -> Value {
    match token {
        Some(token) => json!({ "token": token.fingerprint, "rotated_at": token.issued_at.map(timestamp) }),
        None => json!({ "token": null }),
    }
}

/// A place has one token, whatever its user is called by: a run with a password goes on where one with the token was cut off.
const SUBJECT: &str = "API token";
