//! The payload: what an entry returns to its readers, encrypted under the entry's key.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload as Message};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};

use super::codec::{Fields, put_text};
use super::key::Derived;
use super::{Digest, Error};

const SEALED: &str = "stored payload";
const PLAIN: &str = "payload";
const VERSION: u8 = 1;

/// The payload key encrypts one message in its life, so the nonce has nothing to distinguish.
/// A constant is safe here and nowhere else.
const NONCE: [u8; 12] = [0; 12];

const ASSOCIATED_DATA: &[u8] = b"provchain/v1 payload\0\x01";

/// What kind of bytes a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// One event as JSON-LD: `application/ld+json`.
    JsonLd,
}

impl ContentType {
    const fn code(self) -> u8 {
        match self {
            Self::JsonLd => 1,
        }
    }

    /// The media type to serve the document with.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLd => "application/ld+json",
        }
    }
}

/// The plaintext of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// How to read the document.
    pub content_type: ContentType,
    /// Who submitted it, as the token said: 1 to 65535 bytes.
    pub submitter: String,
    /// The document, byte for byte as it is to be returned.
    pub document: Vec<u8>,
}

impl Payload {
    /// Encrypts the payload: the same key and payload give the same bytes.
    ///
    /// # Errors
    /// [`Error::Refused`] for a submitter that is empty or over 65535 bytes.
    pub fn seal(&self, derived: &Derived) -> Result<StoredPayload, Error> {
        let plain = self.encode()?;
        let message = Message {
            msg: &plain,
            aad: ASSOCIATED_DATA,
        };
        let sealed = derived
            .with_payload_key(|key| cipher(key).encrypt(&Nonce::from(NONCE), message))
            .map_err(|_| Error::Refused("a payload of over 256 GiB"))?;
        let mut stored = Vec::with_capacity(1 + sealed.len());
        stored.push(VERSION);
        stored.extend_from_slice(&sealed);
        Ok(StoredPayload(stored))
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(4 + self.submitter.len() + self.document.len());
        out.extend_from_slice(&[VERSION, self.content_type.code()]);
        put_text(&mut out, &self.submitter)?;
        out.extend_from_slice(&self.document);
        Ok(out)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(PLAIN, bytes);
        fields.version(VERSION)?;
        let content_type = match fields.u8()? {
            1 => ContentType::JsonLd,
            _ => return Err(fields.malformed("an unknown content type")),
        };
        let submitter = fields.text()?.to_owned();
        Ok(Self {
            content_type,
            submitter,
            document: fields.rest().to_vec(),
        })
    }
}

/// A payload as it is stored and as the leaf commits to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPayload(Vec<u8>);

impl StoredPayload {
    /// Stored bytes, not looked at until they are [opened](Self::open).
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The payload hash of the leaf: SHA-256 of the stored bytes.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(&[&self.0])
    }

    /// Decrypts the payload.
    ///
    /// # Errors
    /// [`Error::Version`], [`Error::Sealed`] with another key or damaged bytes, and
    /// [`Error::Malformed`] for a plaintext that no ledger writes.
    pub fn open(&self, derived: &Derived) -> Result<Payload, Error> {
        let mut fields = Fields::new(SEALED, &self.0);
        fields.version(VERSION)?;
        let message = Message {
            msg: fields.rest(),
            aad: ASSOCIATED_DATA,
        };
        let plain = derived
            .with_payload_key(|key| cipher(key).decrypt(&Nonce::from(NONCE), message))
            .map_err(|_| Error::Sealed {
                what: "the payload",
            })?;
        Payload::decode(&plain)
    }
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(key.into())
}
