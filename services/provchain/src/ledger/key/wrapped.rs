//! How an entry key is kept: as it is, or encrypted under the key of a subject.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::super::Error;
use super::super::codec::{Fields, put_text};
use super::EntryKey;

const WHAT: &str = "wrapped key";
const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const SUBJECT: u8 = 1;
const TAG_LEN: usize = 16;

/// The length of the nonce that wrapping takes, in bytes: long enough to be chosen at random for
/// every wrapping under the same subject key.
pub const WRAP_NONCE_LEN: usize = 24;

/// The key of a subject: whoever the entries wrapped under it are about. Destroying it erases them
/// all. Wiped from memory when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct SubjectKey([u8; 32]);

impl SubjectKey {
    /// A key from 32 bytes of a cryptographic random generator.
    #[must_use]
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectKey(…)")
    }
}

/// Who can destroy an entry's key.
#[derive(Clone, Copy, Debug)]
pub enum Custody<'a> {
    /// The ledger: the key is kept as it is and destroyed by deleting it everywhere.
    Plain,
    /// The subject: the key is kept encrypted under the subject's key.
    Subject {
        /// The subject's identifier: 1 to 65535 bytes, stored in the clear, so a pseudonym.
        subject: &'a str,
        /// The subject's key.
        key: &'a SubjectKey,
        /// Random, fresh for every wrapping.
        nonce: [u8; WRAP_NONCE_LEN],
    },
}

/// An entry key as it is stored: in the clear, or under a subject's key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrappedKey(Scheme);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Scheme {
    Plain(EntryKey),
    /// XChaCha20-Poly1305 under the subject's key; the subject is 1 to 65535 bytes.
    Subject {
        subject: String,
        nonce: [u8; WRAP_NONCE_LEN],
        sealed: [u8; EntryKey::LEN + TAG_LEN],
    },
}

impl WrappedKey {
    /// Wraps `key` for its keeper.
    ///
    /// # Errors
    /// [`Error::Refused`] for a subject identifier that is empty or over 65535 bytes.
    pub fn wrap(key: &EntryKey, custody: Custody<'_>) -> Result<Self, Error> {
        let Custody::Subject {
            subject,
            key: subject_key,
            nonce,
        } = custody
        else {
            return Ok(Self(Scheme::Plain(key.clone())));
        };
        let aad = associated_data(subject)?;
        let sealed = subject_key
            .cipher()
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: key.expose(),
                    aad: &aad,
                },
            )
            .ok()
            .and_then(|sealed| sealed.try_into().ok())
            .expect("32 bytes are within the cipher's limit");
        Ok(Self(Scheme::Subject {
            subject: subject.to_owned(),
            nonce,
            sealed,
        }))
    }

    /// The subject whose key is needed, if any.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match &self.0 {
            Scheme::Plain(_) => None,
            Scheme::Subject { subject, .. } => Some(subject),
        }
    }

    /// The entry key, with the subject's key where one is needed.
    ///
    /// # Errors
    /// [`Error::Sealed`] without the right key, or if the wrapping was damaged.
    pub fn unwrap(&self, subject_key: Option<&SubjectKey>) -> Result<EntryKey, Error> {
        const NOT_OPENED: Error = Error::Sealed {
            what: "the entry key",
        };
        match &self.0 {
            Scheme::Plain(key) => Ok(key.clone()),
            Scheme::Subject {
                subject,
                nonce,
                sealed,
            } => {
                let cipher = subject_key.ok_or(NOT_OPENED)?.cipher();
                let payload = Payload {
                    msg: sealed,
                    aad: &associated_data(subject)?,
                };
                let bytes = cipher.decrypt(&XNonce::from(*nonce), payload);
                EntryKey::from_slice(&Zeroizing::new(bytes.map_err(|_| NOT_OPENED)?))
            }
        }
    }

    /// The stored form; `FORMATS.md` has the table.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match &self.0 {
            Scheme::Plain(key) => [&[VERSION, PLAIN], &key.expose()[..]].concat(),
            Scheme::Subject {
                subject,
                nonce,
                sealed,
            } => {
                let mut out = vec![VERSION, SUBJECT];
                put_text(&mut out, subject).expect("checked when wrapped and when read");
                out.extend_from_slice(nonce);
                out.extend_from_slice(sealed);
                out
            }
        }
    }

    /// Reads what [`encode`](Self::encode) writes.
    ///
    /// # Errors
    /// [`Error::Version`] and [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(WHAT, bytes);
        fields.version(VERSION)?;
        let scheme = match fields.u8()? {
            PLAIN => Scheme::Plain(EntryKey::from_random(fields.array()?)),
            SUBJECT => Scheme::Subject {
                subject: fields.text()?.to_owned(),
                nonce: fields.array()?,
                sealed: fields.array()?,
            },
            _ => return Err(fields.malformed("an unknown scheme")),
        };
        fields.finish()?;
        Ok(Self(scheme))
    }
}

fn associated_data(subject: &str) -> Result<Vec<u8>, Error> {
    let mut aad = b"provchain/v1 entry key\0".to_vec();
    aad.extend_from_slice(&[VERSION, SUBJECT]);
    put_text(&mut aad, subject)?;
    Ok(aad)
}
