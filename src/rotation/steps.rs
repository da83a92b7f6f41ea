//! The steps of a rotation as types: each is made from the one before it and used up by the one behind it, so none can be left out or repeated.
//!
//! [`Ready`] → [`Intended`] → [`Issued`] → [`Proven`] → [`HandedOver`]

use chrono::{DateTime, Utc};

use super::survey::Survey;
use super::{Note, Place, PlaceError, Proof, Retiring, Subject, System, Token};

/// The place is locked and can take a token.
pub(super) struct Ready<'a, P: Place> {
    place: &'a P,
    lock: &'a P::Lock,
    reserved: P::Reserved,
    subject: &'a Subject,
    /// The note as it is.
    note: Box<Note>,
}

/// The note says that a token is about to be issued.
pub(super) struct Intended<'a, P: Place> {
    ready: Ready<'a, P>,
    since: DateTime<Utc>,
}

/// The system has issued a token. Nobody has it but this process.
pub(super) struct Issued<'a, P: Place> {
    ready: Ready<'a, P>,
    token: Token,
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
}

/// The token's users do not have it.
pub(super) struct NotHandedOver {
    pub(super) token: Token,
    pub(super) why: PlaceError,
}

impl<'a, P: Place> Ready<'a, P> {
    /// Tries all that could keep a hand-over from succeeding.
    pub(super) async fn reserve(
        place: &'a P,
        lock: &'a P::Lock,
        subject: &'a Subject,
        survey: &Survey,
    ) -> Result<Self, PlaceError> {
        let note = Box::new(survey.holding.note.clone().unwrap_or_default());
        Ok(Self { place, lock, reserved: place.reserve(lock).await?, subject, note })
    }

    /// Writes down that a token is about to be issued, so that the next run knows of it whatever becomes of this one.
    pub(super) async fn intend(self, survey: &Survey) -> Result<Intended<'a, P>, PlaceError> {
        let since = Utc::now();
        let valid_now = survey.valid_token();
        let note = Box::new(Note {
            fingerprint: valid_now.map(|token| token.fingerprint()),
            server: Some(self.subject.server.clone()),
            object: Some(self.subject.object.clone()),
            id: survey.standing.id.clone(),
            rotated_at: survey.issued_at(),
            expires_at: survey.standing.expires_at,
            under_way_since: Some(since),
            retiring: self.note.retiring.clone(),
            ..Note::default()
        });
        self.place.write_note(self.lock, &note).await?;
        Ok(Intended { ready: Self { note, ..self }, since })
    }

    /// A token that the system has just shown or accepted needs no other proof.
    pub(super) fn with_known(self, token: Token) -> Proven<'a, P> {
        Proven(Issued { ready: self, token })
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
        Issued { ready: self.ready, token: Token { issued_at, ..token } }
    }

    /// When the request was about to be sent.
    pub(super) fn since(&self) -> DateTime<Utc> {
        self.since
    }

    /// Nothing was issued, so nothing is under way. The note is only a hint here: a stale one makes a token look older than it is.
    pub(super) async fn withdraw(self) {
        let note = Note { under_way_since: None, ..*self.ready.note };
        let _only_a_hint = self.ready.place.write_note(self.ready.lock, &note).await;
    }
}

impl<'a, P: Place> Issued<'a, P> {
    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    pub(super) fn into_token(self) -> Token {
        self.token
    }

    /// Another token is valid in its place: somebody else had one issued.
    pub(super) fn replaced_by(self, token: Token) -> Self {
        let issued_at = token.issued_at.or(self.token.issued_at);
        Self { token: Token { issued_at, ..token }, ..self }
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

    async fn hand_over(self, retiring: Vec<Retiring>) -> Result<HandedOver<'a, P>, NotHandedOver> {
        let Self { ready: Ready { place, lock, reserved, subject, .. }, token } = self;
        let note = Note {
            fingerprint: Some(token.secret.fingerprint()),
            server: Some(subject.server.clone()),
            object: Some(subject.object.clone()),
            id: token.id.clone(),
            rotated_at: token.issued_at,
            expires_at: token.expires_at,
            retiring,
            ..Note::default()
        };
        if let Err(why) = place.hand_over(lock, reserved, &token, &note).await {
            // It can fail behind the moment that counts. What the users read now decides.
            let arrived = place.look().await.is_ok_and(|holding| holding.token.as_ref() == Some(&token.secret));
            if !arrived {
                return Err(NotHandedOver { token, why });
            }
        }
        Ok(HandedOver { place, lock, token, note })
    }
}

impl<'a, P: Place> Proven<'a, P> {
    /// Brings the token to its users. The note remembers what is to be retired.
    pub(super) async fn hand_over(self, retiring: Vec<Retiring>) -> Result<HandedOver<'a, P>, NotHandedOver> {
        self.0.hand_over(retiring).await
    }

    /// What is still to be retired from earlier runs.
    pub(super) fn retiring(&self) -> Vec<Retiring> {
        self.0.ready.note.retiring.clone()
    }
}

impl<'a, P: Place, E> Unproven<'a, P, E> {
    /// Brings the token to its users all the same: where issuing killed the old one, it is the best there is.
    pub(super) async fn hand_over_as_the_best_there_is(self) -> Result<HandedOver<'a, P>, NotHandedOver> {
        let retiring = self.issued.ready.note.retiring.clone();
        self.issued.hand_over(retiring).await
    }
}

impl<P: Place> HandedOver<'_, P> {
    pub(super) fn into_token(self) -> Token {
        self.token
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// What is still to be retired, after this was.
    pub(super) async fn remember(&mut self, retiring: Vec<Retiring>) -> Result<(), PlaceError> {
        self.note.retiring = retiring;
        self.place.write_note(self.lock, &self.note).await
    }
}
