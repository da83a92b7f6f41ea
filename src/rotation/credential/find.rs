//! Which credential is meant, and whether a token can be brought into it: all that can be said before anything is issued.

use super::PlaceError;
use super::options::CredentialOptions;
use crate::http::{Client, Connection};
use crate::systems::platform::{Cause, Credential, CredentialRow, CredentialType, Field, Platform, PlatformError};

/// A credential that a token can be brought into.
pub(super) struct Found {
    pub(super) platform: Platform,
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) organization: Option<String>,
    /// The field of the token.
    pub(super) field: String,
    /// The plain field that the marker stands in. `None`: the description.
    pub(super) marker: Option<String>,
}

impl Found {
    /// The credential as it is now.
    pub(super) async fn row(&self) -> Result<CredentialRow, PlatformError> {
        self.platform.credential(self.id).await
    }

    pub(super) fn address(&self) -> String {
        self.platform.credential_address(self.id)
    }

    /// What a result calls the field of the marker.
    pub(super) fn marker_name(&self) -> &str {
        self.marker.as_deref().unwrap_or("description")
    }
}

/// Finds it, and refuses what would lose something.
pub(super) async fn find(
    options: &CredentialOptions,
    host: &str,
    credential: &Credential,
    connection: &Connection,
) -> Result<Found, PlaceError> {
    let search = Search { options, which: options.which() };
    let client = Client::new(connection).map_err(|error| search.wrong(error.to_string()))?;
    let platform =
        Platform::controller(client, host, credential.clone()).await.map_err(|error| search.failed(&error))?;
    let (row, kind) = search.one(&platform).await?;
    let field = search.field(&kind)?;
    let marker = search.marker(&kind, &field)?;
    let linked = platform.linked_fields(row.id).await.map_err(|error| search.failed(&error))?;
    if let Some(linked) = linked.iter().find(|linked| **linked == field || Some(*linked) == marker.as_ref()) {
        return Err(search.wrong(format!(
            "the field {linked} takes its value from an external source, so jobs would never get what is written into it; remove the link in the \
             controller, or rotate the token where the source takes it from"
        )));
    }
    let organization = row.organization().map(|organization| organization.name.clone());
    Ok(Found { platform, id: row.id, name: row.name, organization, field, marker })
}

struct Search<'a> {
    options: &'a CredentialOptions,
    which: String,
}

impl Search<'_> {
    async fn one(&self, platform: &Platform) -> Result<(CredentialRow, CredentialType), PlaceError> {
        let failed = |error: PlatformError| self.failed(&error);
        let rows = match (self.options.id, &self.options.name) {
            (Some(id), _) => match platform.credential(id).await {
                Err(error) if error.cause() == Some(Cause::NoSuchObject) => Vec::new(),
                row => vec![row.map_err(failed)?],
            },
            (None, Some(name)) => platform.credentials(name).await.map_err(failed)?,
            (None, None) => Vec::new(),
        };
        let mut fitting = Vec::new();
        for row in rows.iter().filter(|row| self.is_of_organization(row)) {
            let kind = platform.credential_type(row.credential_type).await.map_err(failed)?;
            if self.is_of_type(row, &kind) {
                fitting.push((row.clone(), kind));
            }
        }
        match (fitting.len(), fitting.pop()) {
            (1, Some(one)) => Ok(one),
            (0, _) | (_, None) => Err(self.wrong(match rows.is_empty() {
                true => "there is none, or the caller may not see it; a credential is created first, by a person or another task".to_owned(),
                false => format!("none is of that organization and type; there are {}", candidates(&rows)),
            })),
            _ => Err(self.wrong(format!(
                "several are meant by this: {}; add organization or credential_type, or give the id",
                candidates(rows.iter().filter(|row| self.is_of_organization(row)))
            ))),
        }
    }

    fn is_of_organization(&self, row: &CredentialRow) -> bool {
        let Some(wanted) = &self.options.organization else { return true };
        row.organization().is_some_and(|there| there.name == *wanted || there.id.to_string() == *wanted)
    }

    fn is_of_type(&self, row: &CredentialRow, kind: &CredentialType) -> bool {
        let Some(wanted) = &self.options.credential_type else { return true };
        kind.name == *wanted || kind.namespace.as_ref() == Some(wanted) || row.credential_type.to_string() == *wanted
    }

    fn field(&self, kind: &CredentialType) -> Result<String, PlaceError> {
        let secrets = || names(kind.fields().iter().filter(|field| field.secret));
        let usual = kind.namespace.as_deref().and_then(usual_field);
        let name = match self.options.field.as_deref().or(usual) {
            Some(name) => name.to_owned(),
            None => match secrets().as_slice() {
                [one] => one.clone(),
                all => {
                    return Err(self.wrong(format!(
                        "its type {} has {} secret fields{}; say by field which one the token goes to",
                        kind.name,
                        all.len(),
                        listed(all)
                    )));
                }
            },
        };
        match kind.field(&name) {
            Some(field) if field.secret => Ok(name),
            Some(_) => Err(self.wrong(format!(
                "the field {name} is no secret one: everybody who may see the credential would read the token"
            ))),
            None => Err(self.wrong(format!(
                "its type {} has no field {name}; the secret ones are{}",
                kind.name,
                listed(&secrets())
            ))),
        }
    }

    fn marker(&self, kind: &CredentialType, field: &str) -> Result<Option<String>, PlaceError> {
        let Some(name) = self.options.marker.as_deref().filter(|name| *name != "description") else { return Ok(None) };
        let why = match kind.field(name) {
            _ if name == field => "it is the field of the token".to_owned(),
            Some(marker) if marker.secret => "it is a secret one, which cannot be read back".to_owned(),
            Some(marker) if marker.kind != "string" => "it takes no text".to_owned(),
            Some(_) => return Ok(Some(name.to_owned())),
            None => format!("its type {} has none of this name", kind.name),
        };
        Err(self.wrong(format!("the field {name} cannot be the marker: {why}; leave marker out for the description")))
    }

    fn failed(&self, error: &PlatformError) -> PlaceError {
        self.wrong(error.to_string())
    }

    fn wrong(&self, why: String) -> PlaceError {
        PlaceError::Credential { which: self.which.clone(), why }
    }
}

/// Where the types that the controller brings keep their token.
fn usual_field(namespace: &str) -> Option<&'static str> {
    Some(match namespace {
        "galaxy_api_token" => "token",
        "registry" | "insights" => "password",
        "controller" => "oauth_token",
        "kubernetes_bearer_token" => "bearer_token",
        _ => return None,
    })
}

fn candidates<'a>(rows: impl IntoIterator<Item = &'a CredentialRow>) -> String {
    let told = rows.into_iter().map(|row| {
        let organization = row.organization().map_or("no organization", |organization| &organization.name);
        format!("{} (id {}, {organization}, {})", row.name, row.id, row.type_name())
    });
    told.collect::<Vec<_>>().join(", ")
}

fn names<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Vec<String> {
    fields.into_iter().map(|field| field.id.clone()).collect()
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}
