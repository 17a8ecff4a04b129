//! When two submissions are the same event.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::ZeroizeOnDrop;

use super::{Digest, Error};

/// The predicate that must not take part: the capturing system sets it, so that sending an event
/// twice would make two.
pub const RECORD_TIME: &str = "<https://ref.gs1.org/epcis/recordTime>";

/// The secret of a ledger's identities: 32 random bytes, the same on all of its nodes. Without it
/// an identity cannot be tested against a guessed event.
#[derive(Clone, ZeroizeOnDrop)]
pub struct LedgerSecret([u8; 32]);

impl LedgerSecret {
    /// A secret from 32 bytes of a cryptographic random generator.
    #[must_use]
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key that the tokens of next pages are sealed under.
    #[must_use]
    pub fn page_key(&self) -> [u8; 32] {
        self.mac(b"provchain/v1 page token\0", [b""; 0]).0
    }

    /// Where the nonce of such a token is cut from.
    #[must_use]
    pub fn page_nonce(&self, binding: &[u8], token: &[u8]) -> [u8; 32] {
        self.mac(b"provchain/v1 page token nonce\0", [binding, token])
            .0
    }

    /// The pseudonym of a subject: of the value of a field, or of a party by its identifier.
    #[must_use]
    pub fn pseudonym(&self, subject: &Subject<'_>) -> Digest {
        match subject {
            Subject::Field { name, value } => {
                self.mac(b"provchain/v1 subject field\0", [name, value])
            }
            Subject::Party(identifier) => self.mac(b"provchain/v1 subject party\0", [identifier]),
        }
    }

    fn mac(&self, tag: &[u8], parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key");
        mac.update(tag);
        for part in parts {
            let part = part.as_ref();
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Digest(mac.finalize().into_bytes().into())
    }
}

/// Whom an entry is about: its content is erased with the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// Whoever a field's value names.
    Field {
        /// The full name of the field.
        name: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// A party, by its identifier.
    Party(&'a str),
}

impl std::fmt::Debug for LedgerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LedgerSecret(…)")
    }
}

/// What makes an event the one it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identifying {
    /// The name of the party that says so; empty in entries from before they had owners. What one party
    /// records does not keep another from recording anything, nor tell it that it is there.
    pub owner: String,
    /// Its `eventID`, if it has one.
    pub event_id: Option<String>,
    /// Whether it declares an earlier event wrong. Such an event carries the `eventID` of the one
    /// it corrects (EPCIS 2.0, `ErrorDeclaration`: otherwise identical), and is another event.
    pub error_declaration: bool,
    /// The canonical form of the event *without* its `recordTime`: removed before
    /// canonicalisation, since blank node labels depend on every statement.
    pub statements: Vec<String>,
}

/// The identity of an event within a ledger: two keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Unique in the ledger: of the event id, else of the content.
    pub key: Digest,
    /// Of the content: where the key is taken, the same content is a repetition, another one a
    /// conflict.
    pub content: Digest,
}

impl Identity {
    /// The identity of an event.
    ///
    /// # Errors
    /// [`Error::Refused`] if the statements still contain a `recordTime`.
    pub fn new(secret: &LedgerSecret, event: &Identifying) -> Result<Self, Error> {
        let predicate = |statement: &String| {
            statement
                .split_ascii_whitespace()
                .nth(1)
                .is_some_and(|term| term == RECORD_TIME)
        };
        if event.statements.iter().any(predicate) {
            return Err(Error::Refused("an identity over a recordTime"));
        }
        let tags: [&[u8]; 3] = if event.owner.is_empty() {
            [
                b"provchain/v1 content\0",
                b"provchain/v1 event id\0",
                b"provchain/v1 error declaration id\0",
            ]
        } else {
            [
                b"provchain/v2 content\0",
                b"provchain/v2 event id\0",
                b"provchain/v2 error declaration id\0",
            ]
        };
        let owner = Some(&event.owner).filter(|owner| !owner.is_empty());
        let mac = |tag, items: &[String]| secret.mac(tag, owner.into_iter().chain(items));
        let content = mac(tags[0], &event.statements);
        let key = match (&event.event_id, event.error_declaration) {
            (Some(id), false) => mac(tags[1], std::slice::from_ref(id)),
            (Some(id), true) => mac(tags[2], std::slice::from_ref(id)),
            (None, _) => content,
        };
        Ok(Self { key, content })
    }
}
