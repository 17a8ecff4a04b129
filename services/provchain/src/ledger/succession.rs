//! How a key hands over to the next: a note that both of them sign.
//!
//! Who trusts the old key and finds the note trusts the new one, and so on along the chain. The note
//! says nothing of what the old key signed before, which still verifies by it.

use super::Error;
use super::note::{Note, SignatureType, SignerKey, VerifierKey};

/// The first line of the note. No checkpoint begins so: its second line is no number.
const HEAD: &str = "provchain/v1 succession";

const WHAT: &str = "succession";

/// Notes that are followed at a time.
pub const NOTES_MAX: usize = 10_000;

/// That a node signs with another key from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// The ledger that both keys are named as.
    pub origin: String,
    /// When the new key was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// The key that signs no more.
    pub old: VerifierKey,
    /// The key that signs in its place.
    pub new: VerifierKey,
}

impl Succession {
    /// Signs a succession: a signed note (C2SP signed-note) with the signatures of the old and of the
    /// new key, which shows that the new one is no other node's.
    ///
    /// # Errors
    /// [`Error::Refused`] for keys that are not two keys of one ledger.
    pub fn sign(time_ms: u64, old: &SignerKey, new: &SignerKey) -> Result<String, Error> {
        let (from, to) = (old.verifier(), new.verifier());
        let origin = from.name();
        let mut note = Note::new(format!("{HEAD}\n{origin}\n{time_ms}\n{from}\n{to}\n"))?;
        note.add(old.sign(note.text(), 0));
        note.add(new.sign(note.text(), 0));
        let note = note.to_string();
        // By the rules that every reader has.
        Self::parse(&note)?;
        Ok(note)
    }

    /// Reads a succession and verifies both of its signatures. Whether the old key is to be trusted it
    /// does not say.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Signature`], [`Error::NoKnownSignature`], or [`Error::Refused`].
    pub fn parse(note: &str) -> Result<Self, Error> {
        let malformed = |reason: &str| Error::malformed(WHAT, reason);
        let note = Note::parse(note)?;
        let lines: Vec<&str> = note.text().lines().collect();
        let [HEAD, origin, time, old, new] = lines[..] else {
            return Err(malformed(
                "not its first line, an origin, a time and two keys",
            ));
        };
        let time_ms: u64 = time
            .parse()
            .map_err(|_| malformed("the time is not a number"))?;
        if time_ms.to_string() != time {
            return Err(malformed("the time is not in its shortest form"));
        }
        let [old, new]: [VerifierKey; 2] = [old.parse()?, new.parse()?];
        let is_log = |key: &VerifierKey| {
            key.signature_type() == SignatureType::Ed25519 && key.name() == origin
        };
        if !is_log(&old) || !is_log(&new) || old == new {
            return Err(Error::Refused(
                "a succession is between two Ed25519 keys named as one ledger",
            ));
        }
        for key in [&old, &new] {
            note.verify(std::slice::from_ref(key))?;
        }
        Ok(Self {
            origin: origin.to_owned(),
            time_ms,
            old,
            new,
        })
    }
}

/// The notes in a list of keys, as `/api/v1/keys?format=json` gives it: the one part of it that is
/// believed, by its signatures.
///
/// # Errors
/// A sentence: it is no such list.
pub fn notes_in(list: &[u8]) -> Result<Vec<String>, String> {
    #[derive(serde::Deserialize)]
    struct List {
        keys: Vec<Key>,
    }
    #[derive(serde::Deserialize)]
    struct Key {
        succession: Option<String>,
    }
    let list: List = serde_json::from_slice(list).map_err(|error| error.to_string())?;
    Ok(list
        .keys
        .into_iter()
        .filter_map(|key| key.succession)
        .collect())
}

/// The `trusted` keys and all that succeeded them, by these notes. A note whose old key is not among
/// them counts for nothing, whoever signed it.
///
/// # Errors
/// A sentence: a note that does not verify, or a key that handed over to two. Who has a key can sign
/// either, so that none of the two can be believed.
pub fn follow<'n>(
    trusted: &[VerifierKey],
    notes: impl IntoIterator<Item = &'n str>,
) -> Result<Vec<VerifierKey>, String> {
    let mut links: Vec<Succession> = Vec::new();
    for (place, note) in notes.into_iter().enumerate() {
        if place >= NOTES_MAX {
            return Err(format!("more than {NOTES_MAX} successions"));
        }
        let link = Succession::parse(note)
            .map_err(|error| format!("succession {place} does not hold: {error}"))?;
        links.push(link);
    }
    links.sort_by_key(|link| link.old.to_string());
    for pair in links.windows(2) {
        if pair[0].old == pair[1].old && pair[0].new != pair[1].new {
            return Err(format!("the key {} has two successors", pair[0].old));
        }
    }
    let mut known = trusted.to_vec();
    let mut place = 0;
    // Each key is looked at once, those that came in behind too: a ring of keys ends.
    while let Some(key) = known.get(place) {
        place += 1;
        let found = links.binary_search_by_key(&key.to_string(), |link| link.old.to_string());
        if let Ok(found) = found
            && !known.contains(&links[found].new)
        {
            known.push(links[found].new.clone());
        }
    }
    Ok(known)
}
