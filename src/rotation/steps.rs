//! The steps of a rotation as types: each is made from the one before it and used up by the one behind it, so none can be left out or repeated.
//!
//! [`Ready`] → [`Intended`] → [`Issued`] → [`Proven`] → [`HandedOver`]

use chrono::{DateTime, Utc};

use super::survey::Survey;
use super::{Note, Place, PlaceError, Proof, Retiring, Rotate, Subject, System, Token, Trace};
use crate::secret::Secret;

/// The place is locked and can take a token.
pub(super) struct Ready<'a, P: Place> {
    place: &'a P,
    lock: &'a P::Lock,
    reserved: P::Reserved,
    subject: &'a Subject,
    /// The note as it is, without what this run has put right.
    note: Box<Note>,
    /// Requests of earlier runs were sent then, and what came of them could still not be found out.
    unknown: Vec<DateTime<Utc>>,
}

/// The note says that a token is about to be issued.
pub(super) struct Intended<'a, P: Place> {
    ready: Ready<'a, P>,
    since: DateTime<Utc>,
    /// What the note said before.
    before: Box<Note>,
}

/// The system has issued a token. Nobody has it but this process.
pub(super) struct Issued<'a, P: Place> {
    ready: Ready<'a, P>,
    token: Box<Token>,
}

/// The token was accepted by the system.
pub(super) struct Proven<'a, P: Place>(Issued<'a, P>);

/// The token could not be proven.
pub(super) struct Unproven<'a, P: Place, E> {
    pub(super) issued: Issued<'a, P>,
    pub(super) why: Doubt<E>,
}

/// Why a token could not be proven.
pub(super) enum Doubt<E> {
    /// The system refuses it.
    Refused(String),
    /// The system could not be asked.
    NotAsked(E),
    /// Others have new ones issued all the time.
    Contended,
}

/// The token's users have it.
pub(super) struct HandedOver<'a, P: Place> {
    place: &'a P,
    lock: &'a P::Lock,
    token: Token,
    note: Note,
    /// Why the note could not be written.
    not_noted: Option<PlaceError>,
}

/// The token's users do not have it.
pub(super) struct NotHandedOver {
    pub(super) token: Token,
    pub(super) why: PlaceError,
    /// The users may have it all the same: what they have could not be read, or it is the same token with the wrong permissions.
    pub(super) may_have_arrived: bool,
}

impl<'a, P: Place> Ready<'a, P> {
    /// Tries all that could keep a hand-over from succeeding. The note is what is known of the place and still counts; requests of which
    /// the caller does not know what came of them stay noted.
    pub(super) async fn reserve<S>(
        task: &Rotate<'a, S, P>,
        lock: &'a P::Lock,
        note: Note,
        unknown: Vec<DateTime<Utc>>,
    ) -> Result<Self, PlaceError> {
        let reserved = task.place.reserve(lock).await?;
        Ok(Self { place: task.place, lock, reserved, subject: task.subject, note: Box::new(note), unknown })
    }

    /// Writes down that a token is about to be issued, so that the next run knows of it whatever becomes of this one.
    pub(super) async fn intend(self, survey: &Survey) -> Result<Intended<'a, P>, PlaceError> {
        let since = Utc::now();
        let valid_now = survey.valid_token();
        let note = self.note_about(valid_now.as_ref(), self.note.retiring.clone());
        let note = Box::new(note.with_under_way(self.unknown.iter().copied().chain([since])));
        self.place.write_note(self.lock, &note).await?;
        Ok(Intended { ready: Self { note, ..self }, since, before: self.note })
    }

    /// A token that the system has just shown or accepted needs no other proof.
    pub(super) fn with_known(self, token: Token) -> Proven<'a, P> {
        Proven(Issued { ready: self, token: Box::new(token) })
    }

    fn note_about(&self, token: Option<&Trace>, retiring: Vec<Retiring>) -> Note {
        let of_unknown_age = token.filter(|token| token.issued_at.is_none());
        Note {
            fingerprint: token.map(|token| token.fingerprint.clone()),
            server: Some(self.subject.server.clone()),
            object: Some(self.subject.object.clone()),
            id: token.and_then(|token| token.id.clone()),
            rotated_at: token.and_then(|token| token.issued_at),
            not_issued_before: of_unknown_age.and_then(|token| self.note.not_issued_before(&token.fingerprint)),
            expires_at: token.and_then(|token| token.expires_at),
            retiring,
            ..Note::default()
        }
        .with_under_way(self.unknown.iter().copied())
    }
}

impl<'a, P: Place> Intended<'a, P> {
    /// Asks for the token, once.
    pub(super) async fn issue<S: System>(self, system: &S) -> Result<Issued<'a, P>, (Self, S::Error)> {
        match system.issue().await {
            Ok(token) => Ok(self.issued(token)),
            Err(error) => Err((self, error)),
        }
    }

    /// The token is there although the answer that brought it was lost.
    pub(super) fn issued(self, token: Token) -> Issued<'a, P> {
        let issued_at = token.issued_at.or(Some(self.since));
        Issued { ready: self.ready, token: Box::new(Token { issued_at, ..token }) }
    }

    /// When the request was about to be sent.
    pub(super) fn since(&self) -> DateTime<Utc> {
        self.since
    }

    /// Nothing was issued, so the note says again what it said. It is only a hint here: a stale one makes a token look older than it is.
    pub(super) async fn withdraw(self) {
        let _only_a_hint = self.ready.place.write_note(self.ready.lock, &self.before).await;
    }
}

impl<'a, P: Place> Issued<'a, P> {
    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    pub(super) fn into_token(self) -> Token {
        *self.token
    }

    /// Another token is valid in its place: somebody else had one issued.
    pub(super) fn replaced_by(self, token: Token) -> Self {
        let issued_at = token.issued_at.or(self.token.issued_at);
        Self { token: Box::new(Token { issued_at, ..token }), ..self }
    }

    /// Writes down how the system names the token, before anybody can have it.
    pub(super) async fn announce(self, retiring: &[Retiring]) -> Result<Self, (Self, PlaceError)> {
        let next = self.ready.note_about(Some(&Trace::of(&self.token)), retiring.to_vec());
        let note = Note { next: Some(Box::new(next)), ..(*self.ready.note).clone() };
        match self.ready.place.write_note(self.ready.lock, &note).await {
            Ok(()) => Ok(self),
            Err(error) => Err((self, error)),
        }
    }

    /// An authenticated call with the token.
    pub(super) async fn prove<S: System>(self, system: &S) -> Result<Proven<'a, P>, Unproven<'a, P, S::Error>> {
        let proof = system.prove(&self.token.secret).await;
        self.proven_by(proof)
    }

    /// The same, where the call was made already.
    pub(super) fn proven_by<E>(self, proof: Result<Proof, E>) -> Result<Proven<'a, P>, Unproven<'a, P, E>> {
        match proof {
            Ok(Proof::Works) => Ok(Proven(self)),
            Ok(Proof::Refused(why)) => Err(Unproven { issued: self, why: Doubt::Refused(why) }),
            Err(error) => Err(Unproven { issued: self, why: Doubt::NotAsked(error) }),
        }
    }

    /// Keeps it for the next run, should this one be killed while the token is being proven.
    pub(super) async fn put_aside(&mut self) {
        let Ready { place, lock, reserved, .. } = &mut self.ready;
        place.put_aside(lock, reserved, &self.token).await;
    }

    async fn hand_over(
        self,
        retiring: Vec<Retiring>,
        is_valid: impl AsyncFn(&Secret) -> bool,
    ) -> Result<HandedOver<'a, P>, NotHandedOver> {
        let note = self.ready.note_about(Some(&Trace::of(&self.token)), retiring);
        let Self { ready: Ready { place, lock, reserved, .. }, token } = self;
        let token = *token;
        let is_valid = async || is_valid(&token.secret).await;
        let Err(why) = place.hand_over(lock, reserved, &token, &note, is_valid).await else {
            return Ok(HandedOver { place, lock, token, note, not_noted: None });
        };
        // It can fail behind the moment that counts. What the users read now decides.
        let (is_there, is_right) = match place.look().await {
            Ok(holding) => (holding.fingerprint() == Some(token.secret.fingerprint()), !holding.has_drifted),
            Err(_) => (true, false),
        };
        if !is_there || !is_right {
            return Err(NotHandedOver { token, why, may_have_arrived: is_there });
        }
        let not_noted = place.write_note(lock, &note).await.err();
        Ok(HandedOver { place, lock, token, note, not_noted })
    }
}

impl<'a, P: Place> Proven<'a, P> {
    /// The system has just shown another token as the valid one: somebody else had it issued.
    pub(super) fn replaced_by(self, token: Token) -> Self {
        Self(self.0.replaced_by(token))
    }

    pub(super) fn token(&self) -> &Token {
        &self.0.token
    }

    /// Brings the token to its users. The note remembers what is to be retired. What another run put there at the same time stands, unless `is_valid` says
    /// of this token that it is to be there.
    pub(super) async fn hand_over(
        self,
        retiring: Vec<Retiring>,
        is_valid: impl AsyncFn(&Secret) -> bool,
    ) -> Result<HandedOver<'a, P>, NotHandedOver> {
        self.0.hand_over(retiring, is_valid).await
    }
}

impl<'a, P: Place, E> Unproven<'a, P, E> {
    /// Brings the token to its users all the same: where issuing killed the old one, it is the best there is.
    pub(super) async fn hand_over_as_the_best_there_is(self) -> Result<HandedOver<'a, P>, NotHandedOver> {
        self.issued.hand_over(Vec::new(), async |_: &Secret| false).await
    }
}

impl<P: Place> HandedOver<'_, P> {
    /// The token, and why the note about it could not be written.
    pub(super) fn into_parts(self) -> (Token, Option<PlaceError>) {
        (self.token, self.not_noted)
    }

    /// What is still to be retired, after this was.
    pub(super) async fn remember(&mut self, retiring: Vec<Retiring>) {
        if retiring != self.note.retiring || self.not_noted.is_some() {
            self.note.retiring = retiring;
            self.not_noted = self.place.write_note(self.lock, &self.note).await.err();
        }
    }
}
