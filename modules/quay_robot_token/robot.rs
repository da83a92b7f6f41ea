//! A robot's token as the rotation engine sees it: a new one kills the old one, and the valid one can always be read.

use std::cell::Cell;

use tokensmith::ansible::Task;
use tokensmith::rotation::{InPlace, Note, Proof, ReadBack, Standing, System, Token};
use tokensmith::secret::Secret;
use tokensmith::systems::quay::{Cause, LogIn, Quay, QuayError, Registry, Robot, is_name_for_new_robot};

use super::Options;
use super::targets::Target;

pub(super) struct RobotToken<'a> {
    task: &'a Task,
    options: &'a Options,
    quay: &'a Quay,
    registry: &'a Registry,
    target: &'a Target,
    is_missing: Cell<bool>,
    was_created: Cell<bool>,
    /// Somebody else made it at the same time.
    was_found: Cell<bool>,
}

impl<'a> RobotToken<'a> {
    pub(super) fn new(
        task: &'a Task,
        options: &'a Options,
        quay: &'a Quay,
        registry: &'a Registry,
        target: &'a Target,
    ) -> Self {
        let [is_missing, was_created, was_found] = [(); 3].map(|()| Cell::new(false));
        Self { task, options, quay, registry, target, is_missing, was_created, was_found }
    }

    /// Whether the robot was made (in check mode: would be).
    pub(super) fn was_created(&self) -> bool {
        self.was_created.get() || (self.task.check_mode && self.is_missing.get())
    }

    /// Whether the new token, if there is one, came of a request for another one. The first one of a robot did not.
    pub(super) fn was_regenerated(&self) -> bool {
        !self.was_created() && !self.was_found.get()
    }

    async fn robot(&self) -> Result<Option<Robot>, QuayError> {
        match self.quay.robot(&self.target.account).await {
            Ok(robot) => Ok(Some(self.learnt(robot))),
            Err(error) if error.cause() == Some(Cause::NoRobot) && self.options.create_robot => {
                self.forecast_creation()
            }
            Err(error) => Err(error),
        }
    }

    /// A run would be told by the server that the robot cannot be called so.
    fn forecast_creation(&self) -> Result<Option<Robot>, QuayError> {
        let name = &self.target.account.short_name;
        if self.task.check_mode && !is_name_for_new_robot(name) {
            return Err(QuayError::NewName(name.clone()));
        }
        Ok(None)
    }

    fn learnt(&self, robot: Robot) -> Robot {
        if let Some(token) = &robot.token {
            self.task.learn(token);
        }
        robot
    }

    fn token(&self, robot: Robot) -> Result<Token, QuayError> {
        let token = robot.token.ok_or_else(|| QuayError::NoTokenShown { robot: self.target.full_name.clone() })?;
        Ok(Token::new(token))
    }
}

impl System for RobotToken<'_> {
    type Error = QuayError;

    async fn look(&self, held: Option<&Secret>, _note: Option<&Note>) -> Result<Standing, QuayError> {
        let robot = self.robot().await?;
        self.is_missing.set(robot.is_none());
        let Some(robot) = robot else { return Ok(Standing::default()) };
        let not_issued_before = robot.created;
        let current = self.token(robot)?;
        Ok(Standing {
            works: held == Some(&current.secret),
            not_issued_before,
            current: Some(current),
            ..Standing::default()
        })
    }

    async fn issue(&self) -> Result<Token, QuayError> {
        let account = &self.target.account;
        let robot = if self.is_missing.get() {
            match self.quay.create(account, &self.options.description).await {
                Ok(robot) => {
                    self.was_created.set(true);
                    robot
                }
                // Somebody else was quicker: its token is as good.
                Err(error) if error.cause() == Some(Cause::Exists) => {
                    self.was_found.set(true);
                    self.quay.robot(account).await?
                }
                Err(error) => return Err(error),
            }
        } else {
            self.quay.regenerate(account).await?
        };
        self.token(self.learnt(robot))
    }

    async fn prove(&self, token: &Secret) -> Result<Proof, QuayError> {
        Ok(match self.quay.log_in(self.registry, &self.target.full_name, token).await? {
            LogIn::Accepted => Proof::Works,
            LogIn::Refused(why) => Proof::Refused(why),
        })
    }
}

impl InPlace for RobotToken<'_> {
    async fn read_back(&self) -> Result<ReadBack, QuayError> {
        match self.robot().await? {
            Some(robot) => {
                if self.is_missing.get() && !self.was_found.get() {
                    self.was_created.set(true);
                }
                Ok(ReadBack::Token(self.token(robot)?))
            }
            None => Ok(ReadBack::None),
        }
    }
}
