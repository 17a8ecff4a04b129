//! Checkpoints: signed notes over the size and the root of the tree.
//!
//! Source: [C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint).

use std::fmt;

use super::note::{Note, NoteSignature, SignatureType, SignerKey, VerifierKey};
use super::{Digest, Error};

const WHAT: &str = "checkpoint";

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The identity of the ledger: one line, not empty.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
    /// Further lines, none of them empty. Nothing here writes any; they are kept.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extensions.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an origin that is not one line of text.
    pub fn new(origin: &str, size: u64, root: Digest) -> Result<Self, Error> {
        let checkpoint = Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions: Vec::new(),
        };
        // The text is read back by the same rules that every reader has.
        Self::parse(&checkpoint.to_string())
    }

    /// Reads the text of a checkpoint, without signatures.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything but the form that [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed(WHAT, reason);
        let body = text
            .strip_suffix('\n')
            .ok_or_else(|| malformed("no newline at the end"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("fewer than three lines"));
        };
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) {
            return Err(malformed("an empty line"));
        }
        let plain = |c: char| c >= ' ';
        if !origin
            .chars()
            .chain(extensions.iter().flat_map(|line| line.chars()))
            .all(plain)
        {
            return Err(malformed("a control character"));
        }
        let number: u64 = size
            .parse()
            .map_err(|_| malformed("the size is not a number"))?;
        if number.to_string() != size {
            return Err(malformed("the size is not in its shortest form"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: number,
            root: Digest::from_base64(root)?,
            extensions,
        })
    }

    /// Signs the checkpoint as the log that its origin names.
    ///
    /// # Errors
    /// [`Error::Refused`] for a key of another name or of a witness.
    pub fn sign(&self, key: &SignerKey) -> Result<SignedCheckpoint, Error> {
        let verifier = key.verifier();
        if !is_log_key(&verifier, &self.origin) {
            return Err(Error::Refused(
                "a checkpoint is signed by an Ed25519 key named as its origin",
            ));
        }
        let mut note = Note::new(self.to_string())?;
        // A log's signature has no time in it.
        note.add(key.sign(note.text(), 0));
        Ok(SignedCheckpoint {
            note,
            checkpoint: self.clone(),
        })
    }

    /// Whether both are the same checkpoint: the same size and root of the same ledger. Extensions
    /// and signatures do not count.
    #[must_use]
    pub fn same_tree(&self, other: &Self) -> bool {
        (&self.origin, self.size, self.root) == (&other.origin, other.size, other.root)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin,
            self.size,
            self.root.to_base64()
        )?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A checkpoint with the signatures of the log's nodes and of witnesses, known or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: Note,
    checkpoint: Checkpoint,
}

/// Who vouches for a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signers<'k> {
    /// Keys of the log itself; at least one.
    pub log: Vec<&'k VerifierKey>,
    /// Witnesses, who saw no other history under this origin.
    pub witnesses: Vec<&'k VerifierKey>,
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint. Nothing is verified.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(note: &str) -> Result<Self, Error> {
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { note, checkpoint })
    }

    /// What the checkpoint says, to be believed once it is verified.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note with all of its signatures.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Adds the cosignature of a witness, or the signature of another node, made at `time_s`
    /// seconds since 1970-01-01T00:00:00Z.
    pub fn cosign(&mut self, key: &SignerKey, time_s: u64) {
        self.note.add(key.sign(self.note.text(), time_s));
    }

    /// Adds a signature that somebody else made, in place of an earlier one by the same key.
    pub fn add(&mut self, signature: NoteSignature) {
        self.note.add(signature);
    }

    /// The keys of `known` that vouch for the checkpoint.
    ///
    /// # Errors
    /// As [`Note::verify`]; and [`Error::NoKnownSignature`] if no known key that signed is a log
    /// key of this origin: witnesses alone do not make a checkpoint.
    pub fn verify<'k>(&self, known: &'k [VerifierKey]) -> Result<Signers<'k>, Error> {
        let signers = self.note.verify(known)?;
        let (log, others): (Vec<_>, Vec<_>) = signers
            .into_iter()
            .partition(|key| is_log_key(key, &self.checkpoint.origin));
        if log.is_empty() {
            return Err(Error::NoKnownSignature);
        }
        let is_witness = |key: &&VerifierKey| key.signature_type() == SignatureType::Cosignature;
        Ok(Signers {
            log,
            witnesses: others.into_iter().filter(is_witness).collect(),
        })
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.note, f)
    }
}

fn is_log_key(key: &VerifierKey, origin: &str) -> bool {
    key.signature_type() == SignatureType::Ed25519 && key.name() == origin
}
