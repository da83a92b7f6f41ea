//! Which robots a task is about, and where the token of each goes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokensmith::rotation::{Destination, Naming, file_stem};
use tokensmith::systems::quay::{Account, Namespace, Quay, Registry, is_no_name, robot_name};

use super::Options;

/// The robots of a task.
pub(super) enum Targets {
    /// The one that `robot` names. Its row is the result.
    One(Box<Target>),
    /// Those of `robots` or `all_robots`.
    Many(Vec<Target>),
}

/// A robot, and where its token goes.
pub(super) struct Target {
    pub(super) account: Account,
    pub(super) full_name: String,
    pub(super) registry_key: String,
    pub(super) destination: Destination,
}

impl Targets {
    /// Finds the robots, and makes sure that each has a file of its own, before anything is done to any of them.
    pub(super) async fn find(quay: &Quay, options: &Options, registry: &Registry) -> Result<Self> {
        let names = Names::of(options)?;
        let owner = names.owner(quay).await?;
        let short_names = match names.short {
            Some(short) => short,
            None => quay.robots(&owner.namespace, &owner.name).await?,
        };
        let mut targets = Vec::new();
        for short_name in short_names {
            targets.push(Target::new(&owner, short_name, options, registry)?);
        }
        check_apart(&targets)?;
        match (&options.robot, targets.pop()) {
            (Some(_), Some(target)) => Ok(Self::One(Box::new(target))),
            (_, last) => {
                targets.extend(last);
                Ok(Self::Many(targets))
            }
        }
    }
}

/// What the options say of robots' names.
struct Names {
    organization: Option<String>,
    /// `None`: all that there are.
    short: Option<Vec<String>>,
}

struct Owner {
    namespace: Namespace,
    name: String,
}

impl Names {
    fn of(options: &Options) -> Result<Self> {
        let given: Option<Vec<&str>> = match (&options.robot, &options.robots) {
            (Some(robot), _) => Some(vec![robot]),
            (None, Some(robots)) => Some(robots.iter().map(String::as_str).collect()),
            (None, None) if options.all_robots => None,
            (None, None) => bail!("no robot is named, and all_robots is false"),
        };
        let mut organization = options.organization.clone();
        if organization.as_deref().is_some_and(is_no_name) {
            bail!(
                "organization: '{}' is no name; leave organization out for the user's own robots",
                organization.unwrap_or_default()
            );
        }
        let mut short = Vec::new();
        for (index, name) in given.iter().flatten().enumerate() {
            let (namespace, robot) = split(name)?;
            match (&organization, namespace) {
                (Some(one), Some(other)) if one != other => bail!(
                    "the robot {name} does not belong to {one}; a task is about the robots of one organization, or of one user"
                ),
                (None, Some(namespace)) if index == 0 => organization = Some(namespace.to_owned()),
                (None, Some(_)) => bail!(NAMED_BOTH_WAYS),
                (Some(_), None) if options.organization.is_none() => bail!(NAMED_BOTH_WAYS),
                _ => {}
            }
            if short.iter().any(|known| known == robot) {
                bail!("the robot {robot} is named twice");
            }
            short.push(robot.to_owned());
        }
        Ok(Self { organization, short: given.map(|_| short) })
    }

    async fn owner(&self, quay: &Quay) -> Result<Owner> {
        match &self.organization {
            Some(name) => Ok(Owner { namespace: Namespace::Organization(name.clone()), name: name.clone() }),
            None => Ok(Owner { namespace: Namespace::User, name: quay.username().await? }),
        }
    }
}

impl Target {
    fn new(owner: &Owner, short_name: String, options: &Options, registry: &Registry) -> Result<Self> {
        let full_name = format!("{}+{short_name}", owner.name);
        let registry_key = options.server.key(registry, &owner.name)?;
        let naming =
            Naming { name: "robot_token", login: Some((full_name.clone(), registry_key.clone())), ..Naming::default() };
        let dest =
            options.hand_over.dest.as_deref().map(|dest| expanded(dest, &owner.name, &short_name)).transpose()?;
        let destination = options.hand_over.destination_or_credential(dest.as_deref(), naming, &options.connection)?;
        let account = Account { namespace: owner.namespace.clone(), short_name };
        Ok(Self { account, full_name, registry_key, destination })
    }
}

fn split(name: &str) -> Result<(Option<&str>, &str)> {
    robot_name(name)
        .with_context(|| format!("'{name}' is not the name of a robot; write it short (ci) or in full (acme+ci)"))
}

/// The path of a template.
fn expanded(template: &Path, namespace: &str, robot: &str) -> Result<PathBuf> {
    let Some(template) = template.to_str() else { bail!("dest is not text in UTF-8") };
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((word, after)) = after.split_once('}') else { break };
        path.push_str(before);
        match word {
            "robot" => path.push_str(robot),
            "namespace" => path.push_str(namespace),
            "stem" => path.push_str(&file_stem(&format!("{namespace}+{robot}"))),
            other => {
                bail!("dest {template}: {{{other}}} means nothing; there are {{robot}}, {{namespace}} and {{stem}}")
            }
        }
        rest = after;
    }
    path.push_str(rest);
    Ok(path.into())
}

/// Different robots can have the same `{stem}`: it says `-` for every `.`, `_` and `-`.
fn check_apart(targets: &[Target]) -> Result<()> {
    let mut owners: HashMap<&Path, &str> = HashMap::new();
    for target in targets {
        let Some(file) = target.destination.file() else { continue };
        if let Some(other) = owners.insert(file.path(), &target.full_name) {
            bail!(
                "dest {}: {other} and {} would have the same file, so one token would overwrite the other; let dest hold {{robot}}, by which all robots \
                 of one namespace differ",
                file.path().display(),
                target.full_name
            );
        }
    }
    Ok(())
}

const NAMED_BOTH_WAYS: &str =
    "name all robots in full, or none, or say organization; without it those named short are the user's own";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_knows_three_words() {
        for (template, path) in [
            ("/etc/{robot}", "/etc/my.robot"),
            ("/etc/{namespace}/{stem}-auth.json", "/etc/acme/acme-my-robot-auth.json"),
            ("/etc/token", "/etc/token"),
            ("/etc/{", "/etc/{"),
        ] {
            assert_eq!(expanded(Path::new(template), "acme", "my.robot").unwrap(), Path::new(path));
        }
        let error = expanded(Path::new("/etc/{name}"), "acme", "ci").unwrap_err().to_string();
        assert_eq!(error, "dest /etc/{name}: {name} means nothing; there are {robot}, {namespace} and {stem}");
    }
}
