//! The offline token: what it says of itself, where it is stored, and what becomes of it.

use std::path::Path;

use anyhow::{Error, Result, anyhow, bail};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokensmith::ansible::Task;
use tokensmith::jwt::Claims;
use tokensmith::rotation::{Destination as CredentialAlone, FilePlace, Lock, Locks, Note, Place as _, Reserved, Token};
use tokensmith::secret::Secret;
use tokensmith::systems::sso::{Cause, Issued, Realm, SsoError};
use tokensmith::timestamp::timestamp;

use super::access_token::Destination;

/// An offline token that may be sent.
pub(super) struct OfflineToken {
    pub(super) secret: Secret,
    pub(super) client_id: String,
    pub(super) claims: Claims,
}

impl OfflineToken {
    /// Checks without a call what can be: a request with a wrong token costs nothing, but its answer says less than this can.
    pub(super) fn examine(secret: Secret, client_id: Option<&str>, realm: &Realm, task: &Task) -> Result<Self> {
        if secret.is_empty() {
            bail!("the offline token is empty");
        }
        // What is no JWT may still be the token of another make of server, which alone can tell.
        let claims = Claims::of(&secret).unwrap_or_default();
        match claims.typ.as_deref() {
            Some(kind @ ("Bearer" | "ID")) => bail!(
                "this is no offline token but {} (typ {kind}); an offline token is what the page that issues API tokens shows",
                if kind == "ID" { "an id token" } else { "an access token" }
            ),
            Some("Refresh") => task.warn(
                "This is no offline token but the refresh token of a session that ends soon (typ Refresh). It works until then; ask for a token with the scope offline_access.",
            ),
            _ => {}
        }
        if let (Some(wanted), Some(azp)) = (client_id, claims.azp.as_deref())
            && wanted != azp
        {
            bail!(
                "the offline token belongs to the client {azp}, not to {wanted}: leave client_id out, then the right one is used"
            );
        }
        if let Some(issuer) = claims.iss.as_deref().filter(|issuer| realm_name(issuer) != realm.name()) {
            bail!("the offline token was issued by {issuer}, but token_url is of the realm {}", realm.issuer());
        }
        let client_id = client_id.or(claims.azp.as_deref()).unwrap_or(DEFAULT_CLIENT).to_owned();
        Ok(Self { secret, client_id, claims })
    }

    /// The same token, if it has not ended by its own claim.
    pub(super) fn still_living(self) -> Result<Self> {
        if let Some(end) = self.claims.expires_at().filter(|end| *end <= Utc::now()) {
            bail!(
                "the offline token ended at {} (its exp claim; this host's clock says {}): get a new offline token, and let offline_token_file keep it",
                timestamp(end),
                timestamp(Utc::now())
            );
        }
        Ok(self)
    }

    /// The token that a refresh answered, or this one where it answered none: then the old one stays in use.
    pub(super) fn succeeded_by(&self, issued: &Issued) -> Self {
        let secret = issued.offline_token.clone().unwrap_or_else(|| self.secret.clone());
        let mut claims = Claims::of(&secret).unwrap_or_default();
        if claims.exp.is_none() && issued.offline_expires_in > 0 {
            claims.exp = Some(issued.asked_at.timestamp() + issued.clock_offset + issued.offline_expires_in);
        }
        Self { secret, client_id: self.client_id.clone(), claims }
    }

    /// Tells a user who keeps the string elsewhere what has become of it.
    pub(super) fn warn_if_it_replaces(&self, older: &Self, task: &Task) {
        let store = if task.is_lookup() {
            "give it in a file, by offline_token_file, which then always holds the newest"
        } else {
            "store the returned offline_token in its place, or let offline_token_file do it"
        };
        if self.secret != older.secret && self.is_rotated() {
            task.warn(format!(
                "The server lets each offline token be used once, so the one of this task is dead now: {store}."
            ));
        } else if let Some(end) = older.claims.expires_at().or(self.claims.expires_at()) {
            task.warn(format!(
                "The offline token of this task ends at {}, however often it is used: {store}.",
                timestamp(end)
            ));
        }
    }

    /// Refuses to use up what a lookup was given as a string: of the result it returns the access token alone.
    pub(super) fn refuse_to_lose_its_successor(&self, task: &Task, store: &Store<'_>) -> Result<()> {
        if task.is_lookup() && !store.keeps() && self.is_rotated() {
            bail!(
                "the server lets each offline token be used once, and a lookup has no place for the next one: keep the token in a file and name that in \
                 offline_token_file, or use the module with dest_credential; nothing was sent"
            );
        }
        Ok(())
    }

    /// What a result says of it.
    pub(super) fn describe(&self, returned: &mut Value) {
        returned["offline_token_rotated"] = json!(self.is_rotated());
        returned["offline_token_expires_at"] = json!(self.claims.expires_at().map(timestamp));
    }

    /// What the note says of it.
    fn noted(&self) -> Note {
        Note {
            fingerprint: Some(self.secret.fingerprint()),
            server: self.claims.iss.clone(),
            rotated_at: Some(Utc::now()),
            expires_at: self.claims.expires_at(),
            ..Note::default()
        }
    }

    /// Its log-in was made while rotation was on. That this is missing proves nothing: older releases never say it, and rotation may have been
    /// switched on since.
    fn is_rotated(&self) -> bool {
        self.claims.reuse_id.is_some()
    }

    /// Whether this is a later token of the same session, and whole. The signature cannot be checked, but one key makes signatures of one length.
    fn is_later_than(&self, older: &Secret) -> bool {
        let Some(theirs) = Claims::of(older) else { return false };
        let signature = |token: &Secret| token.reveal().rsplit('.').next().map(str::len);
        self.claims.sid.is_some()
            && self.claims.sid == theirs.sid
            && self.claims.azp == theirs.azp
            && self.claims.iat >= theirs.iat
            && signature(&self.secret) == signature(older)
            && self.secret != *older
    }
}

/// Where the offline token is kept.
pub(super) enum Store<'a> {
    /// With the user, who gave it to the task.
    Given(&'a Secret),
    /// In a file, which always holds the newest.
    File(FilePlace),
    /// In a credential of the controller, which always holds the newest; the job got this one from there.
    Credential { given: &'a Secret, place: Box<CredentialAlone> },
}

/// What keeps other runs away from it.
pub(super) enum Held {
    Nothing,
    File(Lock),
    Credential(Locks),
}

/// Room for the next one.
pub(super) enum Room {
    None,
    File(Box<Reserved>),
}

impl<'a> Store<'a> {
    /// The store that the task names.
    pub(super) fn new(token: Option<&'a Secret>, file: Option<&Path>, destination: &Destination<'_>) -> Result<Self> {
        match (token, file) {
            (Some(token), _) => Ok(Self::Given(token)),
            (None, Some(path)) => {
                let place = FilePlace::new("offline_token_file", path)?;
                if destination.is_at(&place) {
                    bail!(
                        "dest and offline_token_file are the same file: the offline token would be overwritten by an access token"
                    );
                }
                Ok(Self::File(place))
            }
            (None, None) => bail!("one of offline_token, offline_token_file and client_secret is needed"),
        }
    }

    /// Whether it has a place of its own, which always holds the newest.
    pub(super) fn keeps(&self) -> bool {
        !matches!(self, Self::Given(_))
    }

    /// What a user should know of what was met on the way.
    pub(super) fn notices(&self) -> Vec<String> {
        match self {
            Self::Credential { place, .. } => place.notices(),
            Self::Given(_) | Self::File(_) => Vec::new(),
        }
    }

    /// Adds to a result where it is kept.
    pub(super) fn describe(&self, returned: &mut Value) {
        if let Self::Credential { place, .. } = self {
            place.describe(returned);
        }
    }

    /// The token, which must be there.
    fn stored(&self) -> Result<Secret> {
        self.look()?.ok_or_else(|| match self {
            Self::Given(_) | Self::Credential { .. } => anyhow!("the offline token is empty"),
            Self::File(place) => anyhow!(
                "offline_token_file {} does not exist or is empty: put an offline token into it first",
                place.path().display()
            ),
        })
    }

    /// The token, where there is one.
    pub(super) fn look(&self) -> Result<Option<Secret>> {
        let token = match self {
            Self::Given(token) | Self::Credential { given: token, .. } => Some(token.trimmed()),
            Self::File(place) => place.read()?.map(|content| text(&content)).transpose()?,
        };
        Ok(token.filter(|token| !token.is_empty()))
    }

    pub(super) async fn check_writable(&self) -> Result<()> {
        match self {
            Self::Given(_) => Ok(()),
            Self::File(place) => Ok(place.check_writable()?),
            Self::Credential { place, .. } => Ok(place.check_writable().await?),
        }
    }

    pub(super) async fn lock(&self) -> Result<Held> {
        Ok(match self {
            Self::Given(_) => Held::Nothing,
            Self::File(place) => Held::File(place.lock().await?),
            Self::Credential { place, .. } => Held::Credential(place.lock().await?),
        })
    }

    /// The newest token: the stored one, or a later one that a killed run had received and written but not put in place.
    pub(super) async fn read(&self) -> Result<Secret> {
        let stored = self.stored()?;
        self.check_newest().await?;
        Ok(self.left_behind(&stored)?.unwrap_or(stored))
    }

    /// The same, and puts it in place.
    pub(super) async fn recover(&self, held: &Held) -> Result<Secret> {
        let stored = self.stored()?;
        self.check_newest().await?;
        let (Self::File(place), Held::File(lock), Some(later)) = (self, held, self.left_behind(&stored)?) else {
            return Ok(stored);
        };
        place.put_left_behind_in_place(lock)?;
        Ok(later)
    }

    /// A job that started before the last run has an older token than the credential. Where each can be used once, using it again ends the session.
    async fn check_newest(&self) -> Result<()> {
        let Self::Credential { place, .. } = self else { return Ok(()) };
        if place.look().await?.hidden.is_some() {
            bail!(
                "the offline token that this job got is not the one that the credential holds now, so the job started before the last run that used it; start \
                 the job again, which then gets the newest"
            );
        }
        Ok(())
    }

    fn left_behind(&self, stored: &Secret) -> Result<Option<Secret>> {
        let Self::File(place) = self else { return Ok(None) };
        let newest = place.left_behind()?.into_iter().next();
        let Some(secret) = newest.and_then(|content| text(&content).ok()) else { return Ok(None) };
        let claims = Claims::of(&secret).unwrap_or_default();
        let left = OfflineToken { secret, client_id: String::new(), claims };
        Ok(left.is_later_than(stored).then_some(left.secret))
    }

    pub(super) async fn reserve(&self, held: &Held) -> Result<Room> {
        match (self, held) {
            (Self::File(place), Held::File(lock)) => Ok(Room::File(Box::new(place.reserve(lock, ROOM)?))),
            (Self::Credential { place, .. }, Held::Credential(locks)) => {
                place.reserve(locks).await?;
                Ok(Room::None)
            }
            _ => Ok(Room::None),
        }
    }

    /// Puts the newest token where it is kept.
    pub(super) async fn write_back(&self, room: Room, held: &Held, newest: &OfflineToken) -> Result<()> {
        match (self, room, held) {
            (_, Room::File(file), _) => Ok(file.hand_over(newest.secret.reveal().as_bytes())?),
            (Self::Credential { place, .. }, Room::None, Held::Credential(locks)) => {
                let token = Token { expires_at: newest.claims.expires_at(), ..Token::new(newest.secret.clone()) };
                Ok(place.hand_over(locks, None, &token, &newest.noted(), async || false).await?)
            }
            _ => Ok(()),
        }
    }

    /// Notes that the token is about to be used, and may be used up by that. Says since when an earlier use of it is unanswered.
    pub(super) async fn note_use(&self, held: &Held, token: &OfflineToken) -> Result<Option<DateTime<Utc>>> {
        let fingerprint = token.secret.fingerprint();
        let note = self.note().await?.and_then(|note| note.about(&fingerprint));
        let earlier = note.and_then(|note| note.under_way_since);
        let under_way_since = earlier.or(Some(Utc::now()));
        self.write_note(held, &Note { fingerprint: Some(fingerprint), under_way_since, ..Note::default() }).await?;
        Ok(earlier)
    }

    async fn note(&self) -> Result<Option<Note>> {
        Ok(match self {
            Self::Given(_) => None,
            Self::File(place) => place.note(),
            Self::Credential { place, .. } => place.look().await?.note,
        })
    }

    async fn write_note(&self, held: &Held, note: &Note) -> Result<()> {
        match (self, held) {
            (Self::File(place), Held::File(lock)) => Ok(place.write_note(lock, note)?),
            (Self::Credential { place, .. }, Held::Credential(locks)) => Ok(place.write_note(locks, note).await?),
            _ => Ok(()),
        }
    }

    /// Notes what is in the file now. A credential got its note with the token.
    pub(super) fn note_success(&self, held: &Held, newest: &OfflineToken) -> Result<()> {
        let (Self::File(place), Held::File(lock)) = (self, held) else { return Ok(()) };
        Ok(place.write_note(lock, &newest.noted())?)
    }

    /// The error of a refresh that brought nothing, with what it means for the stored token.
    pub(super) async fn explain(
        &self,
        held: &Held,
        token: &OfflineToken,
        earlier_use: Option<DateTime<Utc>>,
        error: SsoError,
    ) -> Error {
        if error.server_may_have_acted() {
            let next = if token.is_rotated() {
                "This server lets each offline token be used once, so if it acted, the token is lost: run the task again, it will tell"
            } else {
                "The offline token was left as it is: run the task again"
            };
            return Error::from(error).context(format!("whether the offline token was used is not known. {next}"));
        }
        // The server answered, so nothing is under way any more.
        let noted = self.note().await.ok().flatten();
        if noted.is_some_and(|note| note.under_way_since.is_some()) && error.cause().is_some() {
            let cleared = Note { fingerprint: Some(token.secret.fingerprint()), ..Note::default() };
            let _only_a_hint_is_lost = self.write_note(held, &cleared).await;
        }
        match (error.cause(), earlier_use) {
            (Some(Cause::Replayed | Cause::Stale | Cause::SessionKilled), Some(since)) => {
                Error::from(error).context(format!(
                    "a run at {} used this offline token and its answer, with the only newer one, was lost on the way",
                    timestamp(since)
                ))
            }
            _ => error.into(),
        }
    }

    /// Removes the file and what stands beside it. Says whether there was one.
    pub(super) async fn remove(&self) -> Result<bool> {
        match self {
            Self::Given(_) => Ok(false),
            Self::File(place) => Ok(place.remove(&place.lock().await?)?),
            Self::Credential { place, .. } => Ok(place.remove().await?),
        }
    }
}

fn text(content: &[u8]) -> Result<Secret> {
    match std::str::from_utf8(content) {
        Ok(text) => Ok(Secret::new(text.trim())),
        Err(_) => bail!("offline_token_file does not hold text"),
    }
}

fn realm_name(issuer: &str) -> &str {
    issuer.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// The client of tokens copied from console.redhat.com.
const DEFAULT_CLIENT: &str = "cloud-services";
/// Offline tokens are below one kilobyte; the server drops any above 4000 characters.
const ROOM: usize = 8 * 1024;
