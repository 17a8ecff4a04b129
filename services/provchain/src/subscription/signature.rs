//! How a receiver knows that what it gets comes from this ledger: the header `GS1-Signature`.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Longest signature token, in bytes.
pub const SIGNATURE_TOKEN_BYTES_MAX: usize = 512;

/// HMAC-SHA-256 of the body, keyed with the token that the subscriber chose, as hexadecimal digits.
/// The standard leaves the kind of signature open and names this one first.
#[must_use]
pub fn sign(token: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("any length will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn a_signature_is_the_known_answer() {
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
