//! Answers as they lie in Redis: whoever has it reads nothing of them, and forges none.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use super::Answer;
use super::name::Name;

/// The first byte of what is stored.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Everything around the headers and the body.
pub(super) const FRAME_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES + 2;

/// Seals answers under keys of the cluster.
pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    names: [u8; 32],
}

impl Sealer {
    /// With keys of the cluster's secret, so that its nodes read what the others kept.
    pub fn new(secret: &[u8]) -> Self {
        let secret = Hkdf::<Sha256>::new(None, secret);
        let derive = |info: &[u8]| {
            let mut key = [0; 32];
            secret.expand(info, &mut key).expect("one block of output");
            key
        };
        Self {
            cipher: XChaCha20Poly1305::new(&derive(b"provchain/v1 cache answers").into()),
            names: derive(b"provchain/v1 cache names"),
        }
    }

    /// The key of an answer in Redis. It is keyed: a name could be guessed, and with it what was asked.
    pub fn key(&self, name: &Name) -> String {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&self.names).expect("a key of any length");
        mac.update(&name.0);
        format!("provchain:{}", hex::encode(mac.finalize().into_bytes()))
    }

    /// An answer as it is stored under its name, and under no other.
    pub fn seal(&self, name: &Name, answer: &Answer, nonce: [u8; NONCE_BYTES]) -> Option<Vec<u8>> {
        let plain = encode(answer)?;
        let message = Payload {
            msg: &plain,
            aad: &name.0,
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), message).ok()?;
        Some([&[VERSION], &nonce[..], &sealed].concat())
    }

    /// What was sealed under this name; nothing of anything else.
    pub fn open(&self, name: &Name, stored: &[u8]) -> Option<Answer> {
        let (version, rest) = stored.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let message = Payload {
            msg: sealed,
            aad: &name.0,
        };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), message).ok()?;
        decode(&plain).filter(|_| *version == VERSION)
    }
}

/// The number of headers, each with its name and value behind their lengths, and the body.
fn encode(answer: &Answer) -> Option<Vec<u8>> {
    let mut bytes = u16::try_from(answer.headers.len())
        .ok()?
        .to_be_bytes()
        .to_vec();
    for (name, value) in &answer.headers {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            bytes.extend(u16::try_from(part.len()).ok()?.to_be_bytes());
            bytes.extend(part);
        }
    }
    bytes.extend(&answer.body);
    Some(bytes)
}

fn decode(mut bytes: &[u8]) -> Option<Answer> {
    let count = number(&mut bytes)?;
    let mut headers = HeaderMap::new();
    for _ in 0..count {
        let name = HeaderName::from_bytes(part(&mut bytes)?).ok()?;
        let value = HeaderValue::from_bytes(part(&mut bytes)?).ok()?;
        headers.append(name, value);
    }
    Some(Answer {
        headers,
        body: Bytes::copy_from_slice(bytes),
    })
}

fn number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(usize::from(u16::from_be_bytes(*number)))
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(bytes)?;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name = Name([1; 32]);

    fn answer() -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.append("link", HeaderValue::from_static("</a>; rel=\"next\""));
        headers.append("link", HeaderValue::from_static("</b>; rel=\"prev\""));
        Answer {
            headers,
            body: Bytes::from_static(b"{\"trade\":\"secret\"}"),
        }
    }

    #[test]
    fn an_answer_opens_under_its_name_and_key_and_under_no_other() {
        let sealer = Sealer::new(b"a secret");
        let stored = sealer.seal(&NAME, &answer(), [5; 24]).unwrap();
        assert_eq!(sealer.open(&NAME, &stored), Some(answer()));
        assert_eq!(sealer.open(&Name([2; 32]), &stored), None);
        let other = Sealer::new(b"another secret");
        assert_eq!(other.open(&NAME, &stored), None);
        assert_ne!(other.key(&NAME), sealer.key(&NAME));
        let shown = String::from_utf8_lossy(&stored).into_owned();
        assert!(
            !shown.contains("secret") && !shown.contains("json"),
            "{shown}"
        );
        let length = encode(&answer()).unwrap().len() + FRAME_BYTES - 2;
        assert_eq!(stored.len(), length);
    }

    #[test]
    fn no_byte_of_it_can_be_changed_and_nothing_taken_away() {
        let sealer = Sealer::new(b"a secret");
        let stored = sealer.seal(&NAME, &answer(), [5; 24]).unwrap();
        for place in 0..stored.len() {
            let mut forged = stored.clone();
            forged[place] ^= 1;
            assert_eq!(sealer.open(&NAME, &forged), None, "byte {place}");
            assert_eq!(sealer.open(&NAME, &stored[..place]), None, "{place} bytes");
        }
    }
}
