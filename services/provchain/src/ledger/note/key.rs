//! The keys of notes and their text forms.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::super::{Digest, Error};
use super::NoteSignature;

const VERIFIER: &str = "verifier key";
const SIGNER: &str = "signer key";
const SIGNER_PREFIX: &str = "PRIVATE+KEY+";

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureType {
    /// Type `0x01`: Ed25519 over the text. A log signs its checkpoints so.
    Ed25519,
    /// Type `0x04`: a timestamped Ed25519 cosignature. A witness signs checkpoints so.
    Cosignature,
}

impl SignatureType {
    const fn code(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Cosignature),
            _ => None,
        }
    }

    fn key_id(self, name: &str, key: &VerifyingKey) -> u32 {
        let digest = Digest::of(&[name.as_bytes(), b"\n", &[self.code()], key.as_bytes()]);
        let [a, b, c, d, ..] = digest.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

/// A public key under a name. Its text form is `<name>+<id in hex>+<base64 of type and key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    signature_type: SignatureType,
    key: VerifyingKey,
}

impl VerifierKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a name that is empty or has spaces, controls or a plus sign.
    pub fn new(
        name: &str,
        signature_type: SignatureType,
        key: VerifyingKey,
    ) -> Result<Self, Error> {
        check_name(name)?;
        let id = signature_type.key_id(name, &key);
        Ok(Self {
            name: name.to_owned(),
            id,
            signature_type,
            key,
        })
    }

    /// The name of the key: for a log, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// How the key signs.
    #[must_use]
    pub const fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Whether the signature claims to be by this key.
    #[must_use]
    pub fn claims(&self, signature: &NoteSignature) -> bool {
        self.id == signature.id && self.name == signature.name
    }

    /// Verifies one signature under a text.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify(&self, text: &str, signature: &NoteSignature) -> Result<(), Error> {
        let valid = match self.signature_type {
            SignatureType::Ed25519 => self.verify_bytes(text.as_bytes(), &signature.bytes),
            SignatureType::Cosignature => {
                signature
                    .bytes
                    .split_first_chunk()
                    .is_some_and(|(time, bytes)| {
                        let time_s = u64::from_be_bytes(*time);
                        i64::try_from(time_s).is_ok()
                            && self.verify_bytes(cosigned(text, time_s).as_bytes(), bytes)
                    })
            }
        };
        if valid {
            Ok(())
        } else {
            Err(Error::Signature {
                key: self.name.clone(),
            })
        }
    }

    fn verify_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = encode_key(self.signature_type, self.key.as_bytes());
        write!(f, "{}+{:08x}+{key}", self.name, self.id)
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, id, signature_type, bytes) = decode_key(VERIFIER, text)?;
        let key = VerifyingKey::from_bytes(&bytes)
            .map_err(|_| Error::malformed(VERIFIER, "not a point of the curve"))?;
        let parsed = Self::new(name, signature_type, key)?;
        check_id(VERIFIER, parsed.id, id)?;
        Ok(parsed)
    }
}

/// A private key under a name. Wiped from memory when dropped.
pub struct SignerKey {
    name: String,
    signature_type: SignatureType,
    key: SigningKey,
}

impl SignerKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a name that is empty or has spaces, controls or a plus sign.
    pub fn new(name: &str, signature_type: SignatureType, key: SigningKey) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            signature_type,
            key,
        })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey::new(&self.name, self.signature_type, self.key.verifying_key())
            .expect("the name was checked")
    }

    /// Signs the text of a note at `time_s` seconds since 1970-01-01T00:00:00Z; the time takes part
    /// in a cosignature only.
    #[must_use]
    pub fn sign(&self, text: &str, time_s: u64) -> NoteSignature {
        let bytes = match self.signature_type {
            SignatureType::Ed25519 => self.key.sign(text.as_bytes()).to_vec(),
            SignatureType::Cosignature => {
                let signature = self.key.sign(cosigned(text, time_s).as_bytes()).to_bytes();
                [&time_s.to_be_bytes()[..], &signature].concat()
            }
        };
        let id = self
            .signature_type
            .key_id(&self.name, &self.key.verifying_key());
        NoteSignature {
            name: self.name.clone(),
            id,
            bytes,
        }
    }

    /// The text form `PRIVATE+KEY+<name>+<id in hex>+<base64 of type and seed>`, as Go's
    /// `sumdb/note` writes it. Secret.
    #[must_use]
    pub fn expose(&self) -> String {
        let id = self
            .signature_type
            .key_id(&self.name, &self.key.verifying_key());
        let key = encode_key(self.signature_type, self.key.as_bytes());
        format!("{SIGNER_PREFIX}{}+{id:08x}+{key}", self.name)
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({}, …)", self.name)
    }
}

impl FromStr for SignerKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let rest = text
            .strip_prefix(SIGNER_PREFIX)
            .ok_or_else(|| Error::malformed(SIGNER, "does not begin with PRIVATE+KEY+"))?;
        let (name, id, signature_type, seed) = decode_key(SIGNER, rest)?;
        let parsed = Self::new(name, signature_type, SigningKey::from_bytes(&seed))?;
        check_id(SIGNER, parsed.verifier().id, id)?;
        Ok(parsed)
    }
}

/// What a cosignature signs: it vouches for the text as of a time.
fn cosigned(text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

fn encode_key(signature_type: SignatureType, key: &[u8; 32]) -> String {
    STANDARD.encode([&[signature_type.code()], &key[..]].concat())
}

fn decode_key<'t>(
    what: &'static str,
    text: &'t str,
) -> Result<(&'t str, &'t str, SignatureType, [u8; 32]), Error> {
    let malformed = |reason| Error::malformed(what, reason);
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed(
            "not a name, an id and a key, joined by plus signs",
        ));
    };
    let bytes = STANDARD
        .decode(key)
        .map_err(|_| malformed("the key is not base64"))?;
    let (code, key) = bytes
        .split_first()
        .ok_or_else(|| malformed("the key is empty"))?;
    let signature_type =
        SignatureType::from_code(*code).ok_or_else(|| malformed("an unknown signature type"))?;
    let key = key
        .try_into()
        .map_err(|_| malformed("the key is not 32 bytes"))?;
    Ok((name, id, signature_type, key))
}

fn check_id(what: &'static str, id: u32, claimed: &str) -> Result<(), Error> {
    if format!("{id:08x}") == claimed {
        return Ok(());
    }
    Err(Error::malformed(what, "the id is not that of the key"))
}

/// Whether a key can have this name.
///
/// # Errors
/// [`Error::Malformed`].
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty()
        || name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
    {
        return Err(Error::malformed(
            "key name",
            "empty, or with spaces, controls or a plus sign",
        ));
    }
    Ok(())
}
