//! The key with which a node cosigns the checkpoints of the others.

use ed25519_dalek::{SigningKey, VerifyingKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Error;
use super::note::{SignatureType, SignerKey, VerifierKey};

/// What derives it from the node's key.
const INFO: &[u8] = b"provchain/v1 cosignature key";

/// The cosigning key of a node, derived from its own key: C2SP asks for a public key of its own for
/// each type of signature.
#[must_use]
pub fn derive(own: &SigningKey) -> SigningKey {
    // The seed is uniformly random, so the extract step adds nothing (RFC 5869 §3.3).
    let prk = Hkdf::<Sha256>::from_prk(own.as_bytes());
    let prk = prk.expect("32 bytes are a SHA-256 pseudorandom key");
    let mut seed = Zeroizing::new([0; 32]);
    prk.expand(INFO, seed.as_mut())
        .expect("one block of output");
    SigningKey::from_bytes(&seed)
}

/// The same under its name, ready to sign.
///
/// # Errors
/// A name that no key can have.
pub fn signer(origin: &str, node: &str, own: &SigningKey) -> Result<SignerKey, Error> {
    let name = name(origin, node);
    SignerKey::new(&name, SignatureType::Cosignature, derive(own))
}

/// A cosigning key that is known by its bytes.
///
/// # Errors
/// A name that no key can have, and bytes that are no key.
pub fn verifier(origin: &str, node: &str, public_key: &[u8; 32]) -> Result<VerifierKey, Error> {
    let key = VerifyingKey::from_bytes(public_key)
        .map_err(|_| Error::malformed("cosigning key", "no point of the curve"))?;
    VerifierKey::new(&name(origin, node), SignatureType::Cosignature, key)
}

/// The ledger's origin, a slash, and the node's name.
fn name(origin: &str, node: &str) -> String {
    format!("{origin}/{node}")
}
