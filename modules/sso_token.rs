//! sso_token: an access token of Red Hat SSO, from an offline token that is kept alive or for a service account.

mod access_token;
mod offline_token;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokensmith::ansible::{Outcome, Task};
use tokensmith::http::Connection;
use tokensmith::rotation::{HandOver, Lock, Reason};
use tokensmith::secret::Secret;
use tokensmith::span::Span;
use tokensmith::systems::sso::{Issued, Realm, Revocation};

use access_token::{Destination, Holding, Wanted};
use offline_token::{Held, OfflineToken, Room, Store};

use crate::server;

/// The options of `sso_token.yml`.
#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    hand_over: HandOver,
    offline_token: Option<Secret>,
    offline_token_file: Option<PathBuf>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    scope: Option<Vec<String>>,
    token_url: String,
    state: State,
    renew_before: Span,
    refresh_after: Span,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Present,
    Absent,
}

/// What the module does.
pub(crate) async fn run(task: &Task, options: Options) -> Result<Outcome> {
    let realm = Realm::new(server::client(task, &options.connection)?, &options.token_url)?;
    let destination = Destination::new(&options.hand_over)?;
    let returns_token = matches!(options.state, State::Present) && options.returns_access_token();
    if returns_token || options.offline_token.is_some() {
        task.refuse_public_secret()?;
    }
    match (&options.client_secret, &options.state) {
        (Some(secret), State::Present) => {
            service_account(&Job { task, options: &options, realm, destination }, secret).await
        }
        (Some(_), State::Absent) => bail!(
            "state: absent needs an offline token: the access token of a service account ends by itself within minutes, and the service account \
             itself is removed where it was made"
        ),
        (None, state) => {
            let store = options.store(&destination)?;
            let job = Job { task, options: &options, realm, destination };
            let done = match state {
                State::Present => present(&job, &store).await,
                State::Absent => absent(&job, &store).await,
            };
            for notice in store.notices() {
                task.warn(notice);
            }
            done
        }
    }
}

impl Options {
    /// Where the offline token is kept.
    fn store<'a>(&'a self, destination: &Destination<'_>) -> Result<Store<'a>> {
        if let Some(given) = &self.offline_token
            && let Some(place) = self.hand_over.credential_for(&self.connection, given)?
        {
            return Ok(Store::Credential { given, place: Box::new(place) });
        }
        Store::new(self.offline_token.as_ref(), self.offline_token_file.as_deref(), destination)
    }

    /// It has no place but `dest`.
    fn returns_access_token(&self) -> bool {
        self.hand_over.dest.is_none() || self.hand_over.return_token
    }
}

/// What every step needs to know.
struct Job<'a> {
    task: &'a Task,
    options: &'a Options,
    realm: Realm,
    destination: Destination<'a>,
}

/// A working access token is at hand, and the offline token stays alive.
async fn present(job: &Job<'_>, store: &Store<'_>) -> Result<Outcome> {
    let token = job.examine(store.read().await?)?.still_living()?;
    let holding = job.destination.holding()?;
    let reason = holding.decide(&job.wanted(&token));
    if reason == Reason::Valid {
        return Ok(job.used_on(&holding, reason, &token.client_id, Some((&token, store))));
    }
    if job.task.check_mode {
        store.check_writable().await?;
        return job.forecast(reason, &token.client_id, Some((&token, store)));
    }
    let (store_lock, destination_lock) = (store.lock().await?, job.destination.lock().await?);
    // While this run waited, another may have done the work; and a run that was killed may have left a newer token.
    let token = job.examine(store.recover(&store_lock).await?)?.still_living()?;
    let holding = job.destination.holding()?;
    match holding.decide(&job.wanted(&token)) {
        Reason::Valid => Ok(job.used_on(&holding, Reason::Valid, &token.client_id, Some((&token, store)))),
        Reason::Drifted if holding.needs_only_its_permissions(&job.wanted(&token)) => {
            job.destination.hand_over_again(&holding, destination_lock.as_ref())?;
            Ok(job.used_on(&holding, Reason::Drifted, &token.client_id, Some((&token, store))).changed(true))
        }
        reason => refresh(job, store, &token, &holding, reason, (store_lock, destination_lock)).await,
    }
}

/// Uses the offline token, and brings what comes back to where it belongs.
async fn refresh(
    job: &Job<'_>,
    store: &Store<'_>,
    token: &OfflineToken,
    holding: &Holding,
    reason: Reason,
    (store_lock, destination_lock): (Held, Option<Lock>),
) -> Result<Outcome> {
    token.refuse_to_lose_its_successor(job.task, store)?;
    // What can fail is tried now: the offline token may be used up by the request.
    let room = store.reserve(&store_lock).await?;
    let access_token_file = job.destination.reserve(destination_lock.as_ref())?;
    let earlier_use = store.note_use(&store_lock, token).await?;
    let scope = job.options.scope.as_ref().map(|scope| scope.join(" ")).filter(|scope| !scope.is_empty());
    let issued = match job.realm.refresh(&token.client_id, &token.secret, scope.as_deref()).await {
        Ok(issued) => issued,
        Err(error) => return Err(store.explain(&store_lock, token, earlier_use, error).await),
    };
    let newest = token.succeeded_by(&issued);
    job.task.learn(&issued.access_token);
    job.task.learn(&newest.secret);

    let mut done = Done::default();
    let end = async {
        if store.keeps() {
            store
                .write_back(room, &store_lock, &newest)
                .await
                .context("the newest offline token could not be written back; it is in the result as offline_token and nowhere else, store it")?;
            done.written_back = true;
            store.note_success(&store_lock, &newest)?;
        }
        job.realm.prove(&issued.access_token).await.context("the new access token could not be proven, so it was not handed over")?;
        done.proven = true;
        job.destination
            .hand_over(access_token_file, destination_lock.as_ref(), &issued, &job.realm)
            .context("the access token could not be handed over; it is in the result as access_token")?;
        done.handed_over = true;
        anyhow::Ok(())
    }
    .await;

    job.warn_about(&issued);
    if !store.keeps() {
        newest.warn_if_it_replaces(token, job.task);
    }
    let mut outcome = job.renewed(holding, &issued, reason, &token.client_id, Some((token, &newest, store)));
    outcome = outcome.changed(done.written_back || (done.handed_over && job.destination.is_file()));
    // Also beside a dest: whether the string that the task was given still works is not certain, and this one does.
    if !done.written_back {
        outcome = outcome.secret("offline_token", &newest.secret);
    }
    if done.proven && (job.options.returns_access_token() || !done.handed_over) {
        outcome = outcome.secret("access_token", &issued.access_token);
    }
    Ok(match end {
        Ok(()) => outcome,
        Err(error) => outcome.failed(error),
    })
}

/// How far a refresh got.
#[derive(Default)]
struct Done {
    written_back: bool,
    proven: bool,
    handed_over: bool,
}

/// An access token of a service account. Nothing is used up here: a run that fails anywhere is simply repeated.
async fn service_account(job: &Job<'_>, client_secret: &Secret) -> Result<Outcome> {
    let client_id = job.options.client_id.as_deref().unwrap_or_default();
    if client_secret.is_empty() || client_id.is_empty() {
        bail!("client_id and client_secret must not be empty; the console shows both when a service account is made");
    }
    let scope = match &job.options.scope {
        Some(scope) => scope.clone(),
        None => vec![DEFAULT_SCOPE.to_owned()],
    };
    let wanted = Wanted::by_client(&job.realm, client_id, &scope, job.options);
    let mut holding = job.destination.holding()?;
    let mut reason = holding.decide(&wanted);
    if job.task.check_mode && reason != Reason::Valid {
        return job.forecast(reason, client_id, None);
    }
    let lock = if reason == Reason::Valid { None } else { job.destination.lock().await? };
    if lock.is_some() {
        holding = job.destination.holding()?;
        reason = holding.decide(&wanted);
    }
    if reason == Reason::Valid {
        return Ok(job.used_on(&holding, reason, client_id, None));
    }
    if reason == Reason::Drifted && holding.needs_only_its_permissions(&wanted) {
        job.destination.hand_over_again(&holding, lock.as_ref())?;
        return Ok(job.used_on(&holding, reason, client_id, None).changed(true));
    }
    let file = job.destination.reserve(lock.as_ref())?;
    let issued = job.realm.client_credentials(client_id, client_secret, &scope.join(" ")).await?;
    job.task.learn(&issued.access_token);
    job.realm
        .prove(&issued.access_token)
        .await
        .context("the new access token could not be proven, so it was not handed over")?;
    job.destination.hand_over(file, lock.as_ref(), &issued, &job.realm)?;
    job.warn_about(&issued);
    let outcome = job.renewed(&holding, &issued, reason, client_id, None).changed(job.destination.is_file());
    Ok(if job.options.returns_access_token() { outcome.secret("access_token", &issued.access_token) } else { outcome })
}

/// The session is revoked, which is proven, and nothing of it is left here.
async fn absent(job: &Job<'_>, store: &Store<'_>) -> Result<Outcome> {
    let Some(stored) = store.look()? else {
        return remove(job, store, Reason::Missing, false, job.options.client_id.as_deref().unwrap_or_default()).await;
    };
    let token = job.examine(stored)?;
    if job.task.check_mode {
        return Ok(Outcome::new(
            &json!({ "reason": Reason::Forced, "refreshed": false, "client_id": token.client_id }),
        )
        .changed(true));
    }
    let lock = store.lock().await?;
    let token = job.examine(store.recover(&lock).await?)?;
    // The proof may use the token up, so there must be room for its successor.
    let file = store.reserve(&lock).await?;
    let revocation = job.realm.revoke(&token.client_id, &token.secret).await?;
    // Revoking answers 200 whatever the token is. Using it is what tells; a dead token cannot be used up.
    match job.realm.refresh(&token.client_id, &token.secret, None).await {
        Err(error) if error.cause().is_some_and(|cause| cause.is_final()) => {
            let reason = if revocation == Revocation::Done { Reason::Forced } else { Reason::Dead };
            drop((file, lock));
            remove(job, store, reason, revocation == Revocation::Done, &token.client_id).await
        }
        Err(error) => Err(error).context(
            "the revocation was asked for, but that the offline token is dead could not be proven; nothing was removed",
        ),
        Ok(issued) => Ok(still_alive(job, file, &token, &issued)),
    }
}

/// Removes what is left of a dead session on this host.
async fn remove(job: &Job<'_>, store: &Store<'_>, reason: Reason, revoked: bool, client_id: &str) -> Result<Outcome> {
    let removed = if job.task.check_mode {
        job.destination.exists()?
    } else {
        let removed_token = store.remove().await?;
        job.destination.remove().await? || removed_token
    };
    let returned = json!({ "reason": reason, "refreshed": false, "client_id": client_id });
    Ok(Outcome::new(&returned).changed(revoked || removed))
}

/// The server said that the session was revoked, and then let the token be used: what it answered is the newest token now.
fn still_alive(job: &Job<'_>, room: Room, token: &OfflineToken, issued: &Issued) -> Outcome {
    let newest = token.succeeded_by(issued);
    job.task.learn(&issued.access_token);
    job.task.learn(&newest.secret);
    let written = match room {
        Room::File(file) => file.hand_over(newest.secret.reveal().as_bytes()).is_ok(),
        Room::None => false,
    };
    let outcome = Outcome::new(&json!({ "reason": Reason::Forced, "refreshed": true, "client_id": token.client_id }))
        .changed(written);
    let said = "the server said that the session was revoked, but its offline token still works; nothing was removed, try again";
    if written {
        return outcome.failed(anyhow!(said));
    }
    let kept = "the newest offline token is in the result as offline_token and nowhere else, store it";
    outcome.secret("offline_token", &newest.secret).failed(anyhow!("{said}; {kept}"))
}

impl Job<'_> {
    /// The offline token with what it says of itself, checked against what the task says.
    fn examine(&self, secret: Secret) -> Result<OfflineToken> {
        self.task.learn(&secret);
        OfflineToken::examine(secret, self.options.client_id.as_deref(), &self.realm, self.task)
    }

    fn wanted<'a>(&'a self, token: &'a OfflineToken) -> Wanted<'a> {
        Wanted::by_session(&self.realm, token, self.options)
    }

    /// The access token in `dest` goes on being used.
    fn used_on(
        &self,
        holding: &Holding,
        reason: Reason,
        client_id: &str,
        offline: Option<(&OfflineToken, &Store<'_>)>,
    ) -> Outcome {
        let mut returned = self.returned(reason, client_id, offline);
        holding.describe(&mut returned);
        let outcome = Outcome::new(&returned);
        match holding.token() {
            Some(token) if self.options.hand_over.return_token => outcome.secret("access_token", token),
            _ => outcome,
        }
    }

    /// Check mode: what would be done, as far as the tokens at hand tell.
    fn forecast(
        &self,
        reason: Reason,
        client_id: &str,
        offline: Option<(&OfflineToken, &Store<'_>)>,
    ) -> Result<Outcome> {
        self.destination.check_writable()?;
        let lasting = self.destination.is_file() || offline.is_some_and(|(_, store)| store.keeps());
        let after = json!({ "access_token": "a new one" });
        let outcome = Outcome::new(&self.returned(reason, client_id, offline)).changed(lasting);
        Ok(outcome.diff(&self.destination.holding()?.for_diff(), &after))
    }

    /// A new access token is at hand. `offline` is the token that was used, its successor, and where that is kept.
    fn renewed(
        &self,
        before: &Holding,
        issued: &Issued,
        reason: Reason,
        client_id: &str,
        offline: Option<(&OfflineToken, &OfflineToken, &Store<'_>)>,
    ) -> Outcome {
        let mut returned = self.returned(reason, client_id, offline.map(|(_, newest, store)| (newest, store)));
        returned["refreshed"] = json!(offline.is_some());
        access_token::describe(issued, &mut returned);
        let (mut old, mut new) = (before.for_diff(), access_token::for_diff(issued));
        if let Some((used, newest, _)) = offline {
            old["offline_token"] = json!(used.secret.fingerprint());
            new["offline_token"] = json!(newest.secret.fingerprint());
        }
        Outcome::new(&returned).diff(&old, &new)
    }

    /// What every result says.
    fn returned(&self, reason: Reason, client_id: &str, offline: Option<(&OfflineToken, &Store<'_>)>) -> Value {
        let mut returned = json!({ "reason": reason, "refreshed": false, "client_id": client_id });
        if let Some((token, store)) = offline {
            token.describe(&mut returned);
            returned["offline_token_kept"] = json!(store.keeps());
            store.describe(&mut returned);
        }
        self.destination.describe(&mut returned);
        returned
    }

    fn warn_about(&self, issued: &Issued) {
        let missing: Vec<&str> = self
            .options
            .scope
            .iter()
            .flatten()
            .flat_map(|scope| scope.split_whitespace())
            .filter(|wanted| !issued.scope.iter().any(|scope| scope == wanted))
            .collect();
        if !missing.is_empty() {
            self.task.warn(format!(
                "The access token lacks the scope {}: the offline token does not have it.",
                missing.join(" ")
            ));
        }
        if self.destination.is_file() && issued.expires_in <= self.options.renew_before.delta().num_seconds() {
            self.task.warn(format!(
                "The access token lives {} seconds, which is not longer than renew_before ({}): every run will get a new one.",
                issued.expires_in, self.options.renew_before
            ));
        }
        if issued.clock_offset.abs() >= NOTABLE_OFFSET {
            let direction = if issued.clock_offset > 0 { "behind" } else { "ahead of" };
            self.task.warn(format!(
                "The clock of this host is {} seconds {direction} the server's.",
                issued.clock_offset.abs()
            ));
        }
    }
}

/// What the APIs of Red Hat want of a service account.
const DEFAULT_SCOPE: &str = "api.console";
/// Seconds between the clocks from which on a user should know of it.
const NOTABLE_OFFSET: i64 = 30;
