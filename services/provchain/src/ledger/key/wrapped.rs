//! How an entry key is kept: as it is, or encrypted under the keys of its subjects.

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
const SUBJECTS: u8 = 2;
const TAG_LEN: usize = 16;

/// Most subjects of one entry.
pub const SUBJECTS_MAX: usize = 64;

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

    /// Reads a key that was stored.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless there are exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes
            .try_into()
            .map_err(|_| Error::malformed("subject key", "not 32 bytes"))?;
        Ok(Self(bytes))
    }

    /// The key itself: for the store of such keys, and for other nodes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }

    fn seal(&self, nonce: [u8; WRAP_NONCE_LEN], msg: &[u8], aad: &[u8]) -> Vec<u8> {
        self.cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg, aad })
            .expect("some hundred bytes are within the cipher's limit")
    }

    fn open(
        &self,
        nonce: [u8; WRAP_NONCE_LEN],
        msg: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let opened = self
            .cipher()
            .decrypt(&XNonce::from(nonce), Payload { msg, aad });
        opened.map(Zeroizing::new).map_err(|_| NOT_OPENED)
    }
}

const NOT_OPENED: Error = Error::Sealed {
    what: "the entry key",
};

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
    /// Several subjects, 2 to [`SUBJECTS_MAX`] in ascending order: the key is encrypted under the
    /// keys of all in turn, so that destroying any of them destroys it.
    Subjects(&'a [Keeper<'a>]),
}

/// One of several subjects.
#[derive(Clone, Copy, Debug)]
pub struct Keeper<'a> {
    /// The subject's identifier: 1 to 65535 bytes, stored in the clear, so a pseudonym.
    pub subject: &'a str,
    /// The subject's key.
    pub key: &'a SubjectKey,
    /// Random, fresh for every wrapping.
    pub nonce: [u8; WRAP_NONCE_LEN],
}

/// An entry key as it is stored: in the clear, or under the keys of its subjects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrappedKey(Scheme);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Scheme {
    Plain(EntryKey),
    /// XChaCha20-Poly1305 under each subject's key in turn, the first one innermost.
    Sealed {
        /// Each of 1 to 65535 bytes, ascending; 1 to [`SUBJECTS_MAX`] of them.
        subjects: Vec<String>,
        /// One for each.
        nonces: Vec<[u8; WRAP_NONCE_LEN]>,
        /// 32 bytes, and a tag for each.
        sealed: Vec<u8>,
    },
}

impl WrappedKey {
    /// Wraps `key` for its keeper.
    ///
    /// # Errors
    /// [`Error::Refused`] for a subject identifier that is empty or over 65535 bytes, and for several
    /// that are not 2 to [`SUBJECTS_MAX`] in ascending order.
    pub fn wrap(key: &EntryKey, custody: Custody<'_>) -> Result<Self, Error> {
        match custody {
            Custody::Plain => Ok(Self(Scheme::Plain(key.clone()))),
            Custody::Subject {
                subject,
                key: subject_key,
                nonce,
            } => Self::seal(
                key,
                &[Keeper {
                    subject,
                    key: subject_key,
                    nonce,
                }],
            ),
            Custody::Subjects(keepers) => {
                let ascending = keepers.is_sorted_by(|one, next| one.subject < next.subject);
                if !(2..=SUBJECTS_MAX).contains(&keepers.len()) || !ascending {
                    return Err(Error::Refused(
                        "several subjects that are not 2 to 64 in ascending order",
                    ));
                }
                Self::seal(key, keepers)
            }
        }
    }

    fn seal(key: &EntryKey, keepers: &[Keeper<'_>]) -> Result<Self, Error> {
        let subjects: Vec<String> = keepers.iter().map(|one| one.subject.to_owned()).collect();
        let mut sealed = Zeroizing::new(key.expose().to_vec());
        for (layer, keeper) in keepers.iter().enumerate() {
            let aad = associated_data(&subjects, layer)?;
            sealed = Zeroizing::new(keeper.key.seal(keeper.nonce, &sealed, &aad));
        }
        Ok(Self(Scheme::Sealed {
            subjects,
            nonces: keepers.iter().map(|one| one.nonce).collect(),
            sealed: sealed.to_vec(),
        }))
    }

    /// The subjects whose keys are needed, if any, in ascending order.
    #[must_use]
    pub fn subjects(&self) -> &[String] {
        match &self.0 {
            Scheme::Plain(_) => &[],
            Scheme::Sealed { subjects, .. } => subjects,
        }
    }

    /// The entry key, with the subjects' keys where some are needed, in the order of
    /// [`subjects`](Self::subjects).
    ///
    /// # Errors
    /// [`Error::Sealed`] without the right keys, or if the wrapping was damaged.
    pub fn unwrap(&self, keys: &[SubjectKey]) -> Result<EntryKey, Error> {
        match &self.0 {
            Scheme::Plain(key) => Ok(key.clone()),
            Scheme::Sealed {
                subjects,
                nonces,
                sealed,
            } => {
                if keys.len() != subjects.len() {
                    return Err(NOT_OPENED);
                }
                let mut opened = Zeroizing::new(sealed.clone());
                // The last one is outermost.
                for (layer, key) in keys.iter().enumerate().rev() {
                    let aad = associated_data(subjects, layer)?;
                    opened = key.open(nonces[layer], &opened, &aad)?;
                }
                EntryKey::from_slice(&opened)
            }
        }
    }

    /// The stored form; `FORMATS.md` has the table.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match &self.0 {
            Scheme::Plain(key) => [&[VERSION, PLAIN], &key.expose()[..]].concat(),
            Scheme::Sealed {
                subjects,
                nonces,
                sealed,
            } => {
                let mut out = header(subjects).expect("checked when wrapped and when read");
                for nonce in nonces {
                    out.extend_from_slice(nonce);
                }
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
        let count = match fields.u8()? {
            PLAIN => {
                let key = EntryKey::from_random(fields.array()?);
                fields.finish()?;
                return Ok(Self(Scheme::Plain(key)));
            }
            SUBJECT => 1,
            SUBJECTS => match usize::from(fields.u8()?) {
                count @ 2..=SUBJECTS_MAX => count,
                _ => return Err(fields.malformed("not 2 to 64 subjects")),
            },
            _ => return Err(fields.malformed("an unknown scheme")),
        };
        let mut subjects: Vec<String> = Vec::with_capacity(count);
        for _ in 0..count {
            let subject = fields.text()?;
            if subjects.last().is_some_and(|last| last.as_str() >= subject) {
                return Err(fields.malformed("subjects that are not in ascending order"));
            }
            subjects.push(subject.to_owned());
        }
        let nonces = (0..count).map(|_| fields.array());
        let nonces = nonces.collect::<Result<_, _>>()?;
        let sealed = fields.bytes(EntryKey::LEN + count * TAG_LEN)?.to_vec();
        fields.finish()?;
        Ok(Self(Scheme::Sealed {
            subjects,
            nonces,
            sealed,
        }))
    }
}

/// What an encoding under subjects' keys begins with.
fn header(subjects: &[String]) -> Result<Vec<u8>, Error> {
    let mut out = match subjects {
        [_] => vec![VERSION, SUBJECT],
        several => {
            let count = u8::try_from(several.len())
                .map_err(|_| Error::Refused("an entry of over 64 subjects"))?;
            vec![VERSION, SUBJECTS, count]
        }
    };
    for subject in subjects {
        put_text(&mut out, subject)?;
    }
    Ok(out)
}

/// Ties a layer to all subjects and, where there are several, to its place.
fn associated_data(subjects: &[String], layer: usize) -> Result<Vec<u8>, Error> {
    let mut aad = b"provchain/v1 entry key\0".to_vec();
    aad.extend_from_slice(&header(subjects)?);
    if subjects.len() > 1 {
        aad.push(u8::try_from(layer).map_err(|_| NOT_OPENED)?);
    }
    Ok(aad)
}
