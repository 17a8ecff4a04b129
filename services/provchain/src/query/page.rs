//! The token of a next page: where to go on, readable for the ledger alone.
//!
//! A token is sealed under the ledger's secret and bound to what was asked and to who asked. It is
//! not only signed: the place where a walk stands is a time and an entry, which are nobody else's
//! business. Its nonce is a keyed hash of what it says, so that equal pages have equal tokens and
//! nothing here needs randomness (the construction of RFC 5297, with other parts).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::ledger::identity::LedgerSecret;

const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;

/// Where a walk through an answer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// The size of the ledger that the first page saw: what came later is not part of the answer.
    pub size: u64,
    /// How many more things the answer may have, where that is limited.
    pub left: Option<u64>,
    /// The last thing of the page before.
    pub after: Position,
}

/// A place in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Of events: a time in microseconds since 1970, and an entry.
    Event(i64, u64),
    /// Of texts in their own order.
    Text(String),
}

/// A token that this ledger did not give for this question and this viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was not given for this question, or not to you: begin again without it")]
pub struct TokenError;

impl PageToken {
    /// The token as text. `binding` is what was asked, and for whom.
    #[must_use]
    pub fn seal(&self, secret: &LedgerSecret, binding: &[u8]) -> String {
        let plain = self.encode();
        let mut sealed = secret.page_nonce(binding, &plain)[..NONCE_LEN].to_vec();
        let nonce: [u8; NONCE_LEN] = sealed.as_slice().try_into().expect("cut to its length");
        let text = cipher(secret).encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: &plain,
                aad: binding,
            },
        );
        sealed.extend(text.expect("some hundred bytes are within the cipher's limit"));
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// One that was changed, or that was given for another question or to another viewer.
    pub fn open(text: &str, secret: &LedgerSecret, binding: &[u8]) -> Result<Self, TokenError> {
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError)?;
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(TokenError)?;
        let plain = cipher(secret).decrypt(
            &XNonce::from(*nonce),
            Payload {
                msg: text,
                aad: binding,
            },
        );
        Self::decode(&plain.map_err(|_| TokenError)?).ok_or(TokenError)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.size.to_be_bytes());
        // No answer has as many things as the greatest number says.
        bytes.extend(self.left.unwrap_or(u64::MAX).to_be_bytes());
        match &self.after {
            Position::Event(time, entry) => {
                bytes.push(0);
                bytes.extend(time.to_be_bytes());
                bytes.extend(entry.to_be_bytes());
            }
            Position::Text(text) => {
                bytes.push(1);
                bytes.extend(text.as_bytes());
            }
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (left, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        if *version != VERSION {
            return None;
        }
        let left = u64::from_be_bytes(*left);
        Some(Self {
            size: u64::from_be_bytes(*size),
            left: (left != u64::MAX).then_some(left),
            after: match kind {
                0 => {
                    let (time, entry) = rest.split_first_chunk()?;
                    let entry = u64::from_be_bytes(entry.try_into().ok()?);
                    Position::Event(i64::from_be_bytes(*time), entry)
                }
                1 => Position::Text(String::from_utf8(rest.to_vec()).ok()?),
                _ => return None,
            },
        })
    }
}

fn cipher(secret: &LedgerSecret) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&secret.page_key().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> impl Strategy<Value = PageToken> {
        let after = prop_oneof![
            (any::<i64>(), any::<u64>()).prop_map(|(time, entry)| Position::Event(time, entry)),
            ".{0,40}".prop_map(Position::Text),
        ];
        (any::<u64>(), prop::option::of(0..u64::MAX), after)
            .prop_map(|(size, left, after)| PageToken { size, left, after })
    }

    proptest! {
        #[test]
        fn a_token_says_what_it_was_told_to_whom_it_was_given(token in tokens()) {
            let secret = LedgerSecret::from_random([7; 32]);
            let text = token.seal(&secret, b"question");
            prop_assert_eq!(PageToken::open(&text, &secret, b"question"), Ok(token.clone()));
            prop_assert_eq!(PageToken::open(&text, &secret, b"another"), Err(TokenError));
            let other = LedgerSecret::from_random([8; 32]);
            prop_assert_eq!(PageToken::open(&text, &other, b"question"), Err(TokenError));
            prop_assert_eq!(&token.seal(&secret, b"question"), &text);
        }

        #[test]
        fn a_token_that_was_changed_is_none(token in tokens(), place in any::<prop::sample::Index>(), bit in 0..8u8) {
            let secret = LedgerSecret::from_random([7; 32]);
            let mut bytes = URL_SAFE_NO_PAD.decode(token.seal(&secret, b"")).unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= 1u8 << bit;
            let text = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(PageToken::open(&text, &secret, b""), Err(TokenError));
        }

        #[test]
        fn any_text_is_answered(text in "[A-Za-z0-9_-]{0,120}") {
            let secret = LedgerSecret::from_random([7; 32]);
            prop_assert_eq!(PageToken::open(&text, &secret, b""), Err(TokenError));
        }
    }
}
