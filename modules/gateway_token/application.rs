//! Which application a name means.

use anyhow::{Result, bail};
use tokensmith::systems::platform::{Application, Platform};

/// The key of the one application of this name or key, in the one organization of that name or key.
pub(super) async fn key(platform: &Platform, name: &str, organization: Option<&str>) -> Result<u64> {
    let organization = match organization {
        Some(organization) => Some(organization_key(platform, organization).await?),
        None => None,
    };
    let found = platform.applications(name, organization).await?;
    match &found[..] {
        [one] => Ok(one.id),
        [] if organization.is_some() => {
            bail!("there is no application {name} in this organization, or this user may not see it")
        }
        [] => bail!("there is no application {name}, or this user may not see it"),
        several => bail!(
            "there are {} applications of the name {name}, and nothing says which is meant: {}; give the organization, or the application's key",
            several.len(),
            several.iter().map(named).collect::<Vec<_>>().join(", ")
        ),
    }
}

async fn organization_key(platform: &Platform, name: &str) -> Result<u64> {
    let found = platform.organizations(name).await?;
    match &found[..] {
        [one] => Ok(one.id),
        [] => bail!("there is no organization {name}, or this user may not see it"),
        several => bail!(
            "there are {} organizations of the name {name}: {}; give the key of the one that is meant",
            several.len(),
            several.iter().map(|one| one.id.to_string()).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn named(application: &Application) -> String {
    match application.organization {
        Some(organization) => format!("{} (in organization {organization})", application.id),
        None => application.id.to_string(),
    }
}
