//! The access token: what is held in `dest`, whether it will do, and how a new one gets there.

use std::collections::BTreeSet;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokensmith::jwt::Claims;
use tokensmith::rotation::{FilePlace, HandOver, HandedOver, Lock, Note, Reason, Reserved};
use tokensmith::secret::Secret;
use tokensmith::systems::sso::{Issued, Realm};
use tokensmith::timestamp::timestamp;

use super::Options;
use super::offline_token::OfflineToken;

/// What an access token must be to be used on.
pub(super) struct Wanted<'a> {
    realm: &'a str,
    client_id: &'a str,
    session: Option<&'a str>,
    scope: BTreeSet<&'a str>,
    renew_before: TimeDelta,
    /// When the offline token was last used, as far as it says, and how long that may be ago.
    last_use: Option<(DateTime<Utc>, TimeDelta)>,
}

impl<'a> Wanted<'a> {
    /// One of the offline token's session.
    pub(super) fn by_session(realm: &'a Realm, token: &'a OfflineToken, options: &'a Options) -> Self {
        let issued_at = token.claims.issued_at().unwrap_or(DateTime::<Utc>::MIN_UTC);
        Self {
            session: token.claims.sid.as_deref(),
            last_use: Some((issued_at, options.refresh_after.delta())),
            // A scope that the offline token lacks is never granted: asking again would not help.
            scope: scopes(options.scope.as_deref().unwrap_or_default())
                .intersection(&token.claims.scopes())
                .copied()
                .collect(),
            ..Self::by_client(realm, &token.client_id, &[], options)
        }
    }

    /// One of a service account.
    pub(super) fn by_client(realm: &'a Realm, client_id: &'a str, scope: &'a [String], options: &Options) -> Self {
        Self {
            realm: realm.name(),
            client_id,
            session: None,
            scope: scopes(scope),
            renew_before: options.renew_before.delta(),
            last_use: None,
        }
    }
}

/// Where access tokens go: a file, or the result alone.
pub(super) struct Destination<'a> {
    options: &'a HandOver,
    place: Option<FilePlace>,
}

impl<'a> Destination<'a> {
    pub(super) fn new(options: &'a HandOver) -> Result<Self> {
        Ok(Self { options, place: options.place()? })
    }

    pub(super) fn is_file(&self) -> bool {
        self.place.is_some()
    }

    pub(super) fn is_at(&self, other: &FilePlace) -> bool {
        self.place.as_ref().is_some_and(|place| place.is_same_file(other))
    }

    /// The access token that its users have today.
    pub(super) fn holding(&self) -> Result<Holding> {
        let Some(place) = &self.place else { return Ok(Holding::Nowhere) };
        let Some(token) = self.options.held(place)? else { return Ok(Holding::Missing) };
        let note = place.note().and_then(|note| note.about(&token.fingerprint())).unwrap_or_default();
        let claims = Claims::of(&token);
        Ok(Holding::Token(Box::new(Held { token, claims, note, permissions_drifted: place.has_drifted()? })))
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        Ok(self.place.as_ref().map_or(Ok(()), FilePlace::check_writable)?)
    }

    pub(super) async fn lock(&self) -> Result<Option<Lock>> {
        match &self.place {
            Some(place) => Ok(Some(place.lock().await?)),
            None => Ok(None),
        }
    }

    pub(super) fn reserve(&self, lock: Option<&Lock>) -> Result<Option<Reserved>> {
        match (&self.place, lock) {
            (Some(place), Some(lock)) => Ok(Some(place.reserve(lock, ROOM)?)),
            _ => Ok(None),
        }
    }

    /// Writes a new token for its users, and the note beside it.
    pub(super) fn hand_over(
        &self,
        file: Option<Reserved>,
        lock: Option<&Lock>,
        issued: &Issued,
        realm: &Realm,
    ) -> Result<()> {
        let (Some(place), Some(file), Some(lock)) = (&self.place, file, lock) else { return Ok(()) };
        let expires_at = issued.expires_at();
        let handed_over = HandedOver {
            token: &issued.access_token,
            name: "access_token",
            token_type: Some(&issued.token_type),
            expires_at: Some(expires_at),
            login: None,
            galaxy_server: None,
            central: None,
        };
        let content = self.options.dest_format.write(&handed_over, None)?;
        file.hand_over(&content)?;
        let note = Note {
            fingerprint: Some(issued.access_token.fingerprint()),
            server: Some(realm.issuer().to_owned()),
            rotated_at: Some(issued.asked_at),
            expires_at: Some(expires_at),
            clock_offset: Some(issued.clock_offset),
            ..Note::default()
        };
        Ok(place.write_note(lock, &note)?)
    }

    /// Writes the same content with the permissions that the task asks for.
    pub(super) fn hand_over_again(&self, holding: &Holding, lock: Option<&Lock>) -> Result<()> {
        let (Some(place), Some(file), Holding::Token(_)) = (&self.place, self.reserve(lock)?, holding) else {
            return Ok(());
        };
        let content = place.read()?.unwrap_or_default();
        Ok(file.hand_over(&content)?)
    }

    pub(super) fn exists(&self) -> Result<bool> {
        Ok(!matches!(self.holding()?, Holding::Nowhere | Holding::Missing))
    }

    /// Removes the file and its note. Says whether there was one.
    pub(super) async fn remove(&self) -> Result<bool> {
        match &self.place {
            Some(place) => Ok(place.remove(&place.lock().await?)?),
            None => Ok(false),
        }
    }

    pub(super) fn describe(&self, returned: &mut Value) {
        if let Some(place) = &self.place {
            returned["dest"] = json!(place.path());
        }
    }
}

/// What `dest` holds.
pub(super) enum Holding {
    /// There is no `dest`.
    Nowhere,
    /// Nothing, or nothing that looks as `dest_format` says.
    Missing,
    /// A token.
    Token(Box<Held>),
}

/// A token in `dest`, with what is known of it.
pub(super) struct Held {
    token: Secret,
    claims: Option<Claims>,
    note: Note,
    permissions_drifted: bool,
}

impl Held {
    /// When it ends by this host's clock: from the note, which knows how far the server's clock is off, or from the token itself.
    fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.note.expires_at.or_else(|| self.claims.as_ref()?.expires_at())
    }
}

impl Holding {
    /// Whether the token will do, or why not.
    pub(super) fn decide(&self, wanted: &Wanted<'_>) -> Reason {
        match self.decide_by_token(wanted) {
            Reason::Valid if self.permissions_drifted() => Reason::Drifted,
            reason => reason,
        }
    }

    pub(super) fn needs_only_its_permissions(&self, wanted: &Wanted<'_>) -> bool {
        self.permissions_drifted() && self.decide_by_token(wanted) == Reason::Valid
    }

    pub(super) fn token(&self) -> Option<&Secret> {
        match self {
            Self::Token(held) => Some(&held.token),
            _ => None,
        }
    }

    /// What a result says of a token that is used on.
    pub(super) fn describe(&self, returned: &mut Value) {
        let Self::Token(held) = self else { return };
        returned["fingerprint"] = json!(held.token.fingerprint());
        returned["token_type"] = json!("Bearer");
        if let Some(end) = held.expires_at() {
            returned["expires_at"] = json!(timestamp(end));
            returned["expires_in"] = json!((end - Utc::now()).num_seconds().max(0));
        }
        if let Some(claims) = &held.claims {
            returned["scope"] = json!(claims.scopes());
        }
    }

    /// What `--diff` shows of it.
    pub(super) fn for_diff(&self) -> Value {
        match self {
            Self::Token(held) => {
                json!({ "access_token": held.token.fingerprint(), "expires_at": held.expires_at().map(timestamp) })
            }
            Self::Nowhere | Self::Missing => json!({ "access_token": null }),
        }
    }

    fn decide_by_token(&self, wanted: &Wanted<'_>) -> Reason {
        let Self::Token(held) = self else {
            return if matches!(self, Self::Nowhere) { Reason::Forced } else { Reason::Missing };
        };
        // Neither a JWT nor known from the note: nothing tells how good it is.
        let Some(end) = held.expires_at() else { return Reason::Drifted };
        let claims = held.claims.clone().unwrap_or_default();
        let now = Utc::now();
        if !belongs(&claims, wanted) {
            return Reason::Drifted;
        }
        if end <= now {
            return Reason::Expired;
        }
        if end - now <= wanted.renew_before {
            return Reason::Expiring;
        }
        let obtained_at = held.note.rotated_at.or(claims.issued_at());
        match wanted.last_use {
            Some((issued_at, longest)) if now - issued_at.max(obtained_at.unwrap_or(issued_at)) > longest => {
                Reason::Aged
            }
            _ => Reason::Valid,
        }
    }

    fn permissions_drifted(&self) -> bool {
        matches!(self, Self::Token(held) if held.permissions_drifted)
    }
}

fn scopes(written: &[String]) -> BTreeSet<&str> {
    written.iter().flat_map(|scope| scope.split_whitespace()).collect()
}

fn belongs(claims: &Claims, wanted: &Wanted<'_>) -> bool {
    let realm = claims.iss.as_deref().and_then(|issuer| issuer.rsplit('/').next());
    realm.is_none_or(|realm| realm == wanted.realm)
        && claims.azp.as_deref().is_none_or(|azp| azp == wanted.client_id)
        && (wanted.session.is_none() || claims.sid.as_deref() == wanted.session)
        && wanted.scope.is_subset(&claims.scopes())
}

/// What a result says of a new token.
pub(super) fn describe(issued: &Issued, returned: &mut Value) {
    returned["expires_in"] = json!(issued.expires_in);
    returned["expires_at"] = json!(timestamp(issued.expires_at()));
    returned["token_type"] = json!(issued.token_type);
    returned["scope"] = json!(issued.scope);
    returned["clock_offset"] = json!(issued.clock_offset);
    returned["fingerprint"] = json!(issued.access_token.fingerprint());
}

/// What `--diff` shows of a new token.
pub(super) fn for_diff(issued: &Issued) -> Value {
    json!({ "access_token": issued.access_token.fingerprint(), "expires_at": timestamp(issued.expires_at()) })
}

/// Access tokens of the production service are a few kilobytes.
const ROOM: usize = 16 * 1024;
