//! gateway_manage: the management command of a platform gateway, run so that nothing it prints is lost or shown.

mod clear;
mod create;
mod management;
mod revoke;

use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokensmith::ansible::{Outcome, Task};
use tokensmith::command::Program;
use tokensmith::rotation::HandOver;

use management::Management;

/// The options of `gateway_manage.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    hand_over: HandOver,
    command: Command,
    user: Option<String>,
    all_users: bool,
    revoke_refresh: bool,
    force: bool,
    executable: Program,
    timeout: i64,
}

#[derive(Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    #[serde(rename = "create_oauth2_token")]
    Create,
    #[serde(rename = "revoke_oauth2_tokens")]
    Revoke,
    #[serde(rename = "cleartokens")]
    ClearTokens,
    #[serde(rename = "clearsessions")]
    ClearSessions,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    let limit = options.check()?;
    let management = Management { program: &options.executable, limit, user: options.user.as_deref() };
    let job = Job { task, options: &options, management };
    match options.command {
        Command::Create => create::run(&job).await,
        Command::Revoke => revoke::run(&job),
        Command::ClearTokens => clear::tokens(&job),
        Command::ClearSessions => clear::sessions(&job),
    }
}

impl Options {
    /// What can be said without running anything. Returns how long a run may take.
    fn check(&self) -> Result<Duration> {
        self.check_fit()?;
        self.check_users()?;
        match u64::try_from(self.timeout) {
            Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
            _ => bail!("timeout is {}; it has to be a number of seconds, at least 1", self.timeout),
        }
    }

    /// An option that would be passed over may be a mistake about the command.
    fn check_fit(&self) -> Result<()> {
        let belongs = [
            ("user", self.user.is_some(), &[Command::Create, Command::Revoke][..]),
            ("all_users", self.all_users, &[Command::Revoke]),
            ("revoke_refresh", self.revoke_refresh, &[Command::Revoke]),
            ("force", self.force, &[Command::Create]),
            ("dest", self.hand_over.dest.is_some(), &[Command::Create]),
            ("dest_credential", self.hand_over.credential.is_given(), &[Command::Create]),
            ("return_token", self.hand_over.return_token, &[Command::Create]),
        ];
        for (option, is_given, commands) in belongs {
            if is_given && !commands.contains(&self.command) {
                bail!("{option} means nothing to the command {}; leave it out", self.command.name());
            }
        }
        Ok(())
    }

    /// Without a name, and with an empty one too, the command revokes the tokens of everybody.
    fn check_users(&self) -> Result<()> {
        match (self.command, self.user.as_deref().map(str::trim), self.all_users) {
            (_, Some(""), _) => bail!(
                "user is empty; name the user, or say all_users: true if the tokens of all users are to be revoked"
            ),
            (_, Some(user), _) if user.contains('\0') => bail!("user has a zero byte in it, which no name has"),
            (Command::Create, None, _) => bail!("user is needed; name the user that the token is for"),
            (Command::Revoke, None, false) => bail!(
                "user is needed; name the user whose tokens are to be revoked, or say all_users: true if those of all users are"
            ),
            (Command::Revoke, Some(_), true) => {
                bail!("user and all_users are given both; leave out all_users to revoke the tokens of that user alone")
            }
            _ => Ok(()),
        }
    }
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create_oauth2_token",
            Self::Revoke => "revoke_oauth2_tokens",
            Self::ClearTokens => "cleartokens",
            Self::ClearSessions => "clearsessions",
        }
    }
}

/// What each of the commands needs to know.
struct Job<'a> {
    task: &'a Task,
    options: &'a Options,
    management: Management<'a>,
}

impl Job<'_> {
    /// What every result says.
    fn returned(&self) -> Value {
        let mut returned = json!({ "command": self.options.command });
        if let Some(user) = &self.options.user {
            returned["user"] = json!(user);
        }
        returned
    }

    /// Who the command is about, as messages say it.
    fn whose(&self) -> String {
        self.options.user.as_ref().map_or_else(|| "all users".to_owned(), |user| format!("the user {user}"))
    }

    /// The command cannot tell what it would do.
    fn warn_of_blind_forecast(&self, unknown: &str) {
        self.task.warn(format!(
            "{} has no dry run: whether there is anything to be {unknown} is not known.",
            self.options.command.name()
        ));
    }
}
