//! Credentials of the automation controller, which hand secrets to its jobs.
//!
//! What decides the code: a PATCH replaces all inputs at once, and what it leaves out is gone, so the whole map is sent, with the mask for each secret that
//! stays. No secret can be read back. Two writers lose each other's changes without being told.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::row::Page;
use super::{Api, CREATING, Client, Credential, LARGEST_PAGE, Named, Platform, PlatformError, User};
use crate::http::{Method, Request};
use crate::secret::Secret;

/// A credential, with its secrets masked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CredentialRow {
    /// The key.
    pub id: u64,
    /// The name, which is unique in an organization for each type.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Key of its type.
    pub credential_type: u64,
    /// What stands in it: plain values, and [`MASK`] for each secret that is not empty.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// When anything of it was written last.
    #[serde(default)]
    pub modified: String,
    #[serde(default)]
    summary_fields: Summary,
}

/// A type of credentials.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CredentialType {
    /// The name, as the user interface shows it.
    pub name: String,
    /// The short name of a type that the controller itself brings.
    pub namespace: Option<String>,
    #[serde(default)]
    inputs: Fields,
}

/// One field of a type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Field {
    /// Its name.
    pub id: String,
    /// `string` or `boolean`.
    #[serde(default = "string", rename = "type")]
    pub kind: String,
    /// Whether what stands in it is a secret.
    #[serde(default)]
    pub secret: bool,
}

/// A job, or what else the controller runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Job {
    /// The key.
    pub id: u64,
    /// The name, which is that of its template.
    #[serde(default)]
    pub name: String,
}

/// What is to become of a credential, in one request. What is left out stays as it is.
#[derive(Serialize)]
pub struct Change<'a> {
    /// The new description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// All inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs<'a>>,
}

/// All inputs of a credential, one of them perhaps new. The others are as they were read, so that their masks keep them.
pub struct Inputs<'a> {
    /// The others.
    pub others: &'a Map<String, Value>,
    /// A field and its new secret.
    pub secret: Option<(&'a str, &'a Secret)>,
}

impl CredentialRow {
    /// Name of its organization, where it is one's.
    pub fn organization(&self) -> Option<&Named> {
        self.summary_fields.organization.as_ref()
    }

    /// Name of its type.
    pub fn type_name(&self) -> &str {
        self.summary_fields.credential_type.as_ref().map_or("", |kind| &kind.name)
    }

    /// Who wrote it last.
    pub fn modified_by(&self) -> Option<&User> {
        self.summary_fields.modified_by.as_ref()
    }

    /// Whether the caller's role lets it be changed. The scope of a token is not considered.
    pub fn may_be_changed(&self) -> bool {
        self.summary_fields.user_capabilities.edit
    }

    /// Whether a secret stands in this field.
    pub fn has_secret(&self, field: &str) -> bool {
        self.inputs.get(field).and_then(Value::as_str) == Some(MASK)
    }
}

impl CredentialType {
    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| field.id == name)
    }

    /// All fields.
    pub fn fields(&self) -> &[Field] {
        &self.inputs.fields
    }
}

impl fmt::Display for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.id, self.name)
    }
}

impl Serialize for Inputs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.others.iter().filter(|(name, _)| Some(name.as_str()) != self.secret.map(|new| new.0))
        {
            map.serialize_entry(name, value)?;
        }
        if let Some((field, secret)) = self.secret {
            map.serialize_entry(field, secret.reveal())?;
        }
        map.end()
    }
}

impl Platform {
    /// The automation controller at an address: reached directly, or through a gateway, which is found out by asking once.
    pub async fn controller(client: Client, host: &str, credential: Credential) -> Result<Self, PlatformError> {
        let mut controller = Self::at("controller_host", client, host, Api::Controller, credential)?;
        let ping = controller.send(&Request::get(controller.url("ping/"))).await?;
        if ping.status() != 200 || ping.json::<Ping>().is_none() {
            controller.api = Api::Awx;
        }
        Ok(controller)
    }

    /// The credentials of this name that the caller may see.
    pub async fn credentials(&self, name: &str) -> Result<Vec<CredentialRow>, PlatformError> {
        let mut url = self.url("credentials/");
        url.query_pairs_mut().append_pair("name", name).append_pair("page_size", LARGEST_PAGE);
        self.all_pages(url).await
    }

    /// One credential.
    pub async fn credential(&self, id: u64) -> Result<CredentialRow, PlatformError> {
        self.expect(&self.authorized(Request::get(self.credential_url(id, "")))?).await
    }

    /// A type of credentials.
    pub async fn credential_type(&self, id: u64) -> Result<CredentialType, PlatformError> {
        self.expect(&self.authorized(Request::get(self.url(&format!("credential_types/{id}/"))))?).await
    }

    /// The fields of a credential whose values come from somewhere else, so that what is written into them counts for nothing.
    pub async fn linked_fields(&self, id: u64) -> Result<Vec<String>, PlatformError> {
        let sources: Vec<Source> = self.all_pages(self.credential_url(id, "input_sources/")).await?;
        Ok(sources.into_iter().map(|source| source.input_field_name).collect())
    }

    /// Changes a credential. Sent once. When the answer is lost, [`Platform::credential`] shows what became of it.
    pub async fn change_credential(&self, id: u64, change: &Change<'_>) -> Result<CredentialRow, PlatformError> {
        let request = Request::new(Method::PATCH, self.credential_url(id, ""), CREATING).json(change)?;
        self.expect(&self.authorized(request)?).await
    }

    /// The jobs that use a credential and are running, or about to.
    pub async fn jobs_with_credential(&self, id: u64) -> Result<Vec<Job>, PlatformError> {
        let mut url = self.url("jobs/");
        url.query_pairs_mut()
            .append_pair("credentials__id", &id.to_string())
            .append_pair("status__in", "waiting,running")
            .append_pair("order_by", "id")
            .append_pair("page_size", LARGEST_PAGE);
        self.all_pages(url).await
    }

    /// Whether the caller sees any job template that uses a credential. Who sees none sees none of their jobs either.
    pub async fn sees_templates_with_credential(&self, id: u64) -> Result<bool, PlatformError> {
        let mut url = self.url("job_templates/");
        url.query_pairs_mut().append_pair("credentials__id", &id.to_string()).append_pair("page_size", "1");
        let page: Page<Named> = self.expect(&self.authorized(Request::get(url))?).await?;
        Ok(!page.results.is_empty())
    }

    /// Who changed a credential since an entry of its activity stream, and the last entry.
    pub async fn changes_since(&self, id: u64, last: u64) -> Result<(Vec<String>, u64), PlatformError> {
        let mut url = self.credential_url(id, "activity_stream/");
        url.query_pairs_mut().append_pair("order_by", "-id").append_pair("page_size", "25");
        let page: Page<Entry> = self.expect(&self.authorized(Request::get(url))?).await?;
        let newest = page.results.iter().map(|entry| entry.id).max().unwrap_or(last);
        let later = page.results.into_iter().filter(|entry| entry.id > last);
        Ok((later.map(|entry| entry.summary_fields.actor.unwrap_or_default().username).collect(), newest))
    }

    /// The address of a credential.
    pub fn credential_address(&self, id: u64) -> String {
        self.credential_url(id, "").to_string()
    }

    fn credential_url(&self, id: u64, what: &str) -> url::Url {
        self.url(&format!("credentials/{id}/{what}"))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Summary {
    organization: Option<Named>,
    credential_type: Option<Named>,
    modified_by: Option<User>,
    user_capabilities: Capabilities,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Capabilities {
    edit: bool,
}

impl Default for Capabilities {
    /// Where nothing is said, the attempt will tell.
    fn default() -> Self {
        Self { edit: true }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct Fields {
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Source {
    input_field_name: String,
}

#[derive(Deserialize)]
struct Ping {
    #[serde(rename = "version")]
    _version: String,
}

#[derive(Deserialize)]
struct Entry {
    id: u64,
    #[serde(default)]
    summary_fields: EntrySummary,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EntrySummary {
    #[serde(deserialize_with = "first_actor")]
    actor: Option<Actor>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Actor {
    username: String,
}

/// One, or a list of one.
fn first_actor<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Actor>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<Actor>),
        One(Actor),
    }
    Ok(match Option::deserialize(deserializer)? {
        Some(OneOrMany::Many(actors)) => actors.into_iter().next(),
        Some(OneOrMany::One(actor)) => Some(actor),
        None => None,
    })
}

fn string() -> String {
    "string".to_owned()
}

/// What stands for a secret that is not empty.
pub const MASK: &str = "$encrypted$";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_inputs_are_sent_and_one_of_them_is_new() {
        let row: CredentialRow = serde_json::from_value(json!({
            "id": 5, "name": "galaxy", "credential_type": 19, "modified": "2026-01-01T00:00:00Z",
            "inputs": {"url": "https://hub.example.com", "token": "$encrypted$", "other": "$encrypted$"},
            "summary_fields": {"organization": {"id": 1, "name": "Default", "description": ""}, "user_capabilities": {"edit": false, "delete": true}},
        }))
        .unwrap();
        assert!(row.has_secret("token") && !row.has_secret("url") && !row.has_secret("none") && !row.may_be_changed());
        let secret = Secret::new("t0ken");
        let change = Change {
            description: Some("d"),
            inputs: Some(Inputs { others: &row.inputs, secret: Some(("token", &secret)) }),
        };
        let sent = json!({"description": "d", "inputs": {"url": "https://hub.example.com", "other": "$encrypted$", "token": "t0ken"}});
        assert_eq!(serde_json::to_value(&change).unwrap(), sent);
        let change = Change { description: Some("d"), inputs: None };
        assert_eq!(serde_json::to_value(&change).unwrap(), json!({"description": "d"}));
    }

    #[test]
    fn the_actor_of_an_entry_is_one_or_a_list() {
        for actor in [json!({"id": 1, "username": "ci"}), json!([{"id": 1, "username": "ci"}])] {
            let entry: Entry = serde_json::from_value(json!({"id": 3, "summary_fields": {"actor": actor}})).unwrap();
            assert_eq!(entry.summary_fields.actor.unwrap().username, "ci");
        }
        let entry: Entry = serde_json::from_value(json!({"id": 3, "summary_fields": {}})).unwrap();
        assert!(entry.summary_fields.actor.is_none());
    }
}
