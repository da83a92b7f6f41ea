//! `state: absent`: the token is deleted, which is proven, and nothing of it is left in its place.

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokensmith::ansible::{Outcome, Task};
use tokensmith::rotation::{Destination, Holding, Note, Overlap as _, Place as _, Reason, Subject, System as _};
use tokensmith::secret::Secret;
use tokensmith::systems::platform::{Status, TokenRow};

use super::token::Nameless;
use super::{Job, returned};

/// What was deleted, or in check mode would be.
#[derive(Default)]
struct Deletions {
    ids: Vec<u64>,
    /// A token stands in its place.
    is_there: bool,
    /// It was taken out of there.
    emptied: bool,
}

/// The token that deletes itself has done so already: the file that it was in is gone.
pub(super) async fn of_nothing(task: &Task, place: &Destination, description: &str, scope: &str) -> Result<Outcome> {
    if !task.check_mode {
        // A killed run may have left the note.
        place.remove().await?;
    }
    Ok(Outcome::new(&returned(Reason::Missing, place, description, scope)))
}

impl Job<'_> {
    pub(super) async fn delete(&self) -> Result<Outcome> {
        let holding = self.place.look().await?;
        let held = holding.token.clone().or_else(|| Some(self.options.existing_token.as_ref()?.secret()));
        let ids = self.to_be_deleted(held.as_ref(), &holding).await?;
        let mut deletions = Deletions { is_there: holding.fingerprint().is_some(), ..Deletions::default() };
        let end = self.end(ids, held.as_ref(), &mut deletions).await;
        for notice in self.place.notices() {
            self.task.warn(notice);
        }
        let outcome = self.deleted(deletions);
        Ok(match end {
            Ok(()) => outcome,
            Err(error) => outcome.failed(error),
        })
    }

    /// The token in the place or in the task, or without one that of this description; and what earlier runs left alive.
    async fn to_be_deleted(&self, held: Option<&Secret>, holding: &Holding) -> Result<Vec<u64>> {
        let mut ids = match (held, self.options.existing_token_id) {
            (Some(held), _) => self.id_of(held, holding.note.as_ref()).await?.into_iter().collect(),
            (None, Some(id)) => vec![id],
            (None, None) if holding.hidden.is_some() => self.id_of_hidden(holding).await?.into_iter().collect(),
            // Without a description it could be anybody's.
            (None, None) if self.wanted.description.is_empty() => Vec::new(),
            (None, None) => self.one_or_all(&self.system.living().await?)?,
        };
        if let Some(note) = &holding.note {
            ids.extend(self.left_alive(note).await?);
        }
        if ids.len() > 1 {
            self.system.find_own().await?;
        }
        // Whoever deletes itself can delete no other behind it.
        ids.sort_unstable_by_key(|id| (self.system.is_own(&id.to_string()), *id));
        ids.dedup();
        Ok(ids)
    }

    /// How the platform names a token. One that is dead needs no name, unless its row is still there.
    async fn id_of(&self, held: &Secret, note: Option<&Note>) -> Result<Option<u64>> {
        let given = self.options.existing_token.as_ref().and_then(|given| given.id());
        let given = given.map(|id| self.note_of(held, id));
        let subject = self.subject();
        let note = given.as_ref().or(note.filter(|note| note.server.as_ref() == Some(&subject.server)));
        let standing = self.system.look(Some(held), note).await?;
        let id = standing.id.and_then(|id| id.parse().ok());
        if standing.works && id.is_none() {
            match self.system.nameless() {
                Some(Nameless::OfAnother(user)) => {
                    bail!("the token is of the user {user}; log in as that user to delete it")
                }
                _ => bail!(
                    "the token is accepted, and which row of the platform it is cannot be found out; give its id as existing_token_id, or delete it in the \
                     platform's user interface"
                ),
            }
        }
        Ok(id)
    }

    /// How the platform names a token that its place cannot show.
    async fn id_of_hidden(&self, holding: &Holding) -> Result<Option<u64>> {
        let server = self.subject().server;
        let note = holding.note.as_ref().filter(|note| note.server.as_ref() == Some(&server));
        let (Some(hidden), Some(note)) = (&holding.hidden, note) else { return Ok(None) };
        let standing = self.system.look_by_note(hidden, note).await?;
        Ok(standing.id.and_then(|id| id.parse().ok()))
    }

    fn one_or_all(&self, rows: &[TokenRow]) -> Result<Vec<u64>> {
        let ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
        if ids.len() > 1 && !self.options.all_of_description {
            bail!(
                "there are {} tokens with the description {}, and nothing says which is meant: {}; give the dest that holds it, or existing_token_id, or say \
                 all_of_description: true",
                ids.len(),
                self.wanted.description,
                ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
            );
        }
        Ok(ids)
    }

    /// Tokens of earlier runs that a later one was to delete, and those that nobody was given.
    async fn left_alive(&self, note: &Note) -> Result<Vec<u64>> {
        let Subject { server, object } = self.subject();
        if note.server != Some(server) {
            return Ok(Vec::new());
        }
        self.system.heed(note);
        let next = note.next.as_ref().and_then(|next| next.id.clone());
        let noted = note.retiring.iter().map(|old| old.id.clone()).chain(next);
        let mut ids = Vec::new();
        for id in noted.filter_map(|id| id.parse().ok()) {
            if self.system.is_still_ours(id).await? {
                ids.push(id);
            }
        }
        for since in note.under_way().filter(|_| note.object.as_ref() == Some(&object)) {
            ids.extend(self.system.orphans(since).await?.iter().filter_map(|id| id.parse::<u64>().ok()));
        }
        Ok(ids)
    }

    async fn end(&self, ids: Vec<u64>, held: Option<&Secret>, deletions: &mut Deletions) -> Result<()> {
        for id in ids {
            self.delete_one(id, deletions).await?;
        }
        if let Some(held) = held.filter(|_| !deletions.ids.is_empty() && !self.task.check_mode) {
            let status = self.platform.status(held).await.context("that the token is dead could not be proven")?;
            if matches!(status, Status::Accepted(_)) {
                bail!("the platform says that the token is deleted, and accepts it all the same; run the task again");
            }
        }
        deletions.emptied = match (self.place.lasts(), self.task.check_mode) {
            (true, false) => {
                self.place.remove().await.context("the token is deleted, but it could not be taken out of its place")?
            }
            (true, true) => deletions.is_there,
            (false, _) => false,
        };
        Ok(())
    }

    async fn delete_one(&self, id: u64, deletions: &mut Deletions) -> Result<()> {
        if self.platform.token(id).await?.is_none() {
            return Ok(());
        }
        if !self.task.check_mode {
            // One that is gone by now went in the first of our own tries, or somebody else wanted the same.
            self.system.delete(id).await.with_context(|| format!("the token {id} could not be deleted"))?;
        }
        deletions.ids.push(id);
        Ok(())
    }

    fn deleted(&self, Deletions { ids, emptied, .. }: Deletions) -> Outcome {
        let mut returned = self.returned(if ids.is_empty() { Reason::Missing } else { Reason::Forced });
        let changed = emptied || !ids.is_empty();
        let before = json!({ "tokens": &ids });
        returned["deleted"] = json!(ids);
        Outcome::new(&returned).changed(changed).diff(&before, &json!({ "tokens": [] }))
    }
}
