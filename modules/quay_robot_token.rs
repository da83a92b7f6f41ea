//! quay_robot_token: tokens of robot accounts, one or many, kept fresh and brought to those who use them.

mod robot;
mod row;
mod targets;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::rotation::{HandOver, Place, Policy, Rotate, Subject};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::quay::{Cause, LogIn, Quay, Registry, Server};

use crate::server;
use crate::state::{NO_AGE, State};

use robot::RobotToken;
use row::Row;
use targets::{Target, Targets};

/// The options of `quay_robot_token.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    hand_over: HandOver,
    #[serde(flatten)]
    server: Server,
    quay_token: Secret,
    organization: Option<String>,
    robot: Option<String>,
    robots: Option<Vec<String>>,
    all_robots: bool,
    state: State,
    max_age: Option<Span>,
    create_robot: bool,
    description: String,
    delete_robot: bool,
    concurrency: usize,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    options.check(task)?;
    let client = server::client(task, &options.connection)?;
    let quay = Quay::new(client, &options.server.quay_host, Some(options.quay_token.trimmed()))?;
    let registry = quay.registry().await?;
    let targets = Targets::find(&quay, &options, &registry).await?;
    let job = Job { task, options: &options, quay: &quay, registry: &registry };
    match targets {
        Targets::One(target) => Ok(job.work(&target).await.into_outcome()),
        Targets::Many(targets) => Ok(row::outcome_of(job.work_all(&targets).await)),
    }
}

impl Options {
    /// What can be said without asking the server.
    fn check(&self, task: &Task) -> Result<()> {
        if self.quay_token.trimmed().is_empty() {
            bail!("quay_token is empty; it has to be an OAuth access token of Quay");
        }
        if self.description.chars().count() > LONGEST_DESCRIPTION {
            bail!("description is longer than the {LONGEST_DESCRIPTION} characters that Quay takes");
        }
        if self.state == State::Absent && !self.delete_robot {
            bail!(
                "a robot's token ends for good only with the robot: state: absent deletes it, with all that it may do. Say delete_robot: true if that is \
                 meant, or state: rotated for a new token"
            );
        }
        if self.max_age.is_some() && !self.hand_over.has_place() {
            bail!("{NO_AGE}");
        }
        if self.hand_over.credential.is_given() && self.robot.is_none() {
            bail!(
                "dest_credential takes the token of one robot; name it by robot, and repeat the task for others with a credential each"
            );
        }
        if self.concurrency == 0 {
            bail!("concurrency must be at least 1");
        }
        if self.state != State::Absent && self.hand_over.returns_token() {
            task.refuse_public_secret()?;
        }
        Ok(())
    }
}

/// What every robot's work needs to know.
struct Job<'a> {
    task: &'a Task,
    options: &'a Options,
    quay: &'a Quay,
    registry: &'a Registry,
}

impl Job<'_> {
    /// All robots, some at a time, in their order.
    async fn work_all(&self, targets: &[Target]) -> Vec<Row> {
        let progress = self.task.progress(targets.len());
        let works = targets.iter().map(|target| async {
            let row = self.work(target).await;
            progress.advance(&target.full_name);
            row
        });
        stream::iter(works).buffered(self.options.concurrency).collect().await
    }

    /// One robot, whatever becomes of the others.
    async fn work(&self, target: &Target) -> Row {
        let worked = match self.options.state {
            State::Absent => self.delete(target).await,
            State::Present | State::Rotated => self.rotate(target).await,
        };
        worked.unwrap_or_else(|error| Row::failed(target, error))
    }

    async fn rotate(&self, target: &Target) -> Result<Row> {
        for remark in target.destination.remarks() {
            self.task.warn(remark);
        }
        let system = RobotToken::new(self.task, self.options, self.quay, self.registry, target);
        let policy = Policy {
            force: self.options.state == State::Rotated,
            renew_before: None,
            max_age: self.options.max_age.map(Span::delta),
        };
        let subject = Subject { server: self.quay.address(), object: target.full_name.clone() };
        let rotated = Rotate {
            system: &system,
            place: &target.destination,
            policy: &policy,
            subject: &subject,
            check_mode: self.task.check_mode,
        }
        .in_place()
        .await;
        for notice in target.destination.notices() {
            self.task.warn(notice);
        }
        Ok(Row::of(self, target, &system, rotated?))
    }

    /// The robot is gone, its token is proven dead, and nothing of it is left in the file.
    async fn delete(&self, target: &Target) -> Result<Row> {
        // A file that the token cannot be taken out of is better found while the robot is still there.
        target.destination.check_writable().await?;
        let robot = match self.quay.robot(&target.account).await {
            Ok(robot) => Some(robot),
            Err(error) if error.cause() == Some(Cause::NoRobot) => None,
            Err(error) => return Err(error.into()),
        };
        if self.task.check_mode {
            let holds = target.destination.look().await?.fingerprint().is_some();
            return Ok(Row::of_deletion(target, robot.is_some(), Ok(holds)));
        }
        if let Some(robot) = &robot {
            if let Some(token) = &robot.token {
                self.task.learn(token);
            }
            match self.quay.delete(&target.account).await {
                Ok(()) => {}
                // Somebody else was quicker, or the answer to an earlier try was lost.
                Err(error) if error.cause() == Some(Cause::NoRobot) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let token = robot.as_ref().and_then(|robot| robot.token.as_ref());
        Ok(Row::of_deletion(target, robot.is_some(), self.clear_away(target, token).await))
    }

    /// Says whether the token was in the file.
    async fn clear_away(&self, target: &Target, token: Option<&Secret>) -> Result<bool> {
        self.prove_dead(target, token).await?;
        target
            .destination
            .remove()
            .await
            .context("the robot is deleted, but its token could not be taken out of its place; run the task again")
    }

    async fn prove_dead(&self, target: &Target, token: Option<&Secret>) -> Result<()> {
        let Some(token) = token else { return Ok(()) };
        let log_in = self.quay.log_in(self.registry, &target.full_name, token).await;
        match log_in
            .context("the robot is deleted, but that its token is dead could not be proven; run the task again")?
        {
            LogIn::Refused(_) => Ok(()),
            LogIn::Accepted => bail!(
                "the server says that the robot is deleted, and accepts its token all the same; run the task again"
            ),
        }
    }
}

const LONGEST_DESCRIPTION: usize = 255;
