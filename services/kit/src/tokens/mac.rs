//! Message authentication between nodes that share a secret.
//!
//! One secret serves several purposes (tokens, peer calls, idempotence keys). Each purpose gets a
//! key of its own by HKDF-SHA-256 (RFC 5869), so that what was signed for one is worth nothing for
//! another; and a message is signed as a list of parts, each with its length before it, so that
//! `["ab", "c"]` is not `["a", "bc"]`.

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::settings::Secret;

/// Bytes of a tag.
pub const TAG_BYTES: usize = 32;

/// Keeps these keys apart from anything else that is derived from the same secret.
const SALT: &[u8] = b"kit/tokens/mac/v1";

/// A key for one purpose.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MacKey([u8; 32]);

/// The key of `secret` for `purpose`.
#[must_use]
pub fn derive(secret: &Secret, purpose: &str) -> MacKey {
    let mut key = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(Some(SALT), secret.expose().as_bytes());
    hkdf.expand(purpose.as_bytes(), &mut key)
        .expect("32 bytes are fewer than HKDF's 255 blocks");
    MacKey(key)
}

impl MacKey {
    /// The tag of a message.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// True when `tag` is the message's; takes the same time wherever they differ.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac(parts).verify_slice(tag).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MacKey {
        derive(&Secret::new("a secret that two nodes share"), "peer calls")
    }

    #[test]
    fn a_tag_is_good_for_its_message_only() {
        let tag = key().sign(&[b"ab", b"c"]);
        assert!(key().verify(&[b"ab", b"c"], &tag));
        assert!(
            !key().verify(&[b"a", b"bc"], &tag),
            "the parts are told apart"
        );
        assert!(
            !key().verify(&[b"ab", b"c", b""], &tag),
            "an empty part counts"
        );
        assert!(
            !key().verify(&[b"ab", b"c"], &tag[..31]),
            "a shortened tag is refused"
        );
        assert!(!key().verify(&[b"ab", b"c"], &[]), "and so is none");
    }

    #[test]
    fn a_tag_for_one_purpose_is_worth_nothing_for_another() {
        let other = derive(&Secret::new("a secret that two nodes share"), "idempotence");
        assert!(!other.verify(&[b"message"], &key().sign(&[b"message"])));
    }

    #[test]
    fn keys_do_not_change_between_releases() {
        // Computed independently with Python's hmac and hashlib (see the module's definition).
        let tag = hex::encode(key().sign(&[b"message"]));
        assert_eq!(
            tag,
            "e1934d7811ac366041bfaf5ba63048a9a4027975d5709fd65709d7e138f49714"
        );
    }
}
