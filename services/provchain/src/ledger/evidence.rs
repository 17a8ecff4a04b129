//! What a ledger is held to that shows two histories: two checkpoints that it signed, and a path.

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::merkle::{beginning_of, verify_consistency};
use super::note::VerifierKey;
use super::proof::Verdict;
use super::{Digest, Error};

/// The member `format` of the file.
pub const FORMAT: &str = "provchain-evidence";

/// The member `version` of the file.
pub const VERSION: u64 = 1;

/// The longest file that is read, in bytes.
pub const BYTES_MAX: usize = 1 << 20;

/// What somebody says that two checkpoints show. A verifier finds out by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One size, and two roots.
    SameSize,
    /// The larger tree begins otherwise than the smaller one: a path proves it.
    Inconsistent,
    /// A larger tree that was not proven to continue the smaller one when it was asked for.
    Unproven,
    /// A smaller tree that was given out after a larger one, and not proven to be its beginning.
    Rollback,
}

impl Kind {
    /// Whether it proves that the ledger signed two histories.
    #[must_use]
    pub const fn is_proof(self) -> bool {
        matches!(self, Self::SameSize | Self::Inconsistent)
    }

    /// The word in the file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SameSize => "same-size",
            Self::Inconsistent => "inconsistent",
            Self::Unproven => "unproven",
            Self::Rollback => "rollback",
        }
    }
}

/// A path that was shown for the two trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The root over as many leaves as the first tree has, of the second tree.
    pub root: Digest,
    /// The RFC 6962 consistency path from that root to the second tree's.
    pub path: Vec<Digest>,
}

/// Two checkpoints of one ledger that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u64,
    /// What it is taken for.
    pub kind: Kind,
    /// The smaller one, as a signed note; of one size, the one that was seen first.
    pub first: String,
    /// The other one.
    pub second: String,
    /// The path that was shown, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// Who keeps it.
    pub found_by: String,
    /// When it was found, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// What happened, for a person to read. Nothing depends on it.
    pub reason: String,
}

/// What is wrong with evidence that shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no such file.
    #[error("{0}")]
    Unreadable(String),
    /// A note that does not read, or that no trusted key signed.
    #[error("the {which} checkpoint: {error}")]
    Note {
        /// `first` or `second`.
        which: &'static str,
        /// What is wrong with it.
        error: Error,
    },
    /// The notes are of two ledgers.
    #[error("the checkpoints are of different ledgers")]
    Origins,
    /// The first one is the larger.
    #[error("the first checkpoint is of the larger tree")]
    Order,
    /// The two go together.
    #[error("the checkpoints go together: {0}")]
    Consistent(&'static str),
}

/// What evidence comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Authentic: trusted keys signed two histories. Refuted: it shows nothing. Unauthenticated: keys
    /// are missing, or it shows no more than that two checkpoints were signed.
    pub verdict: Verdict,
    /// What it shows, and what not.
    pub says: String,
    /// What both checkpoints say, if they can be read.
    pub checkpoints: Option<(Checkpoint, Checkpoint)>,
}

impl Evidence {
    /// Evidence of two signed checkpoints in any order; `shown` is a path from the smaller to the
    /// larger one.
    #[must_use]
    pub fn new(kind: Kind, seen: &SignedCheckpoint, now: &SignedCheckpoint) -> Self {
        let (first, second) = if now.checkpoint().size < seen.checkpoint().size {
            (now, seen)
        } else {
            (seen, now)
        };
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            kind,
            first: first.to_string(),
            second: second.to_string(),
            shown: None,
            found_by: String::new(),
            time_ms: 0,
            reason: String::new(),
        }
    }

    /// With the path that was shown.
    #[must_use]
    pub fn with_shown(mut self, shown: Option<Shown>) -> Self {
        self.shown = shown;
        self
    }

    /// With who found it when, and what happened.
    #[must_use]
    pub fn found(mut self, by: &str, time_ms: u64, reason: String) -> Self {
        by.clone_into(&mut self.found_by);
        (self.time_ms, self.reason) = (time_ms, reason);
        self
    }

    /// Reads a file. Nothing is verified.
    ///
    /// # Errors
    /// [`Fault::Unreadable`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, Fault> {
        let unreadable = |reason: String| Fault::Unreadable(reason);
        if bytes.len() > BYTES_MAX {
            return Err(unreadable("longer than 1 MiB".into()));
        }
        let evidence: Self =
            serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
        if evidence.format != FORMAT || evidence.version != VERSION {
            return Err(unreadable(format!(
                "this is {} {}, and {FORMAT} {VERSION} is read",
                evidence.format, evidence.version
            )));
        }
        Ok(evidence)
    }

    /// The file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The name of the evidence: the same for the same two trees, whoever signed them.
    ///
    /// # Errors
    /// [`Fault::Note`].
    pub fn id(&self) -> Result<Digest, Fault> {
        let first = read("first", &self.first)?;
        let second = read("second", &self.second)?;
        let text = format!("{}\n{}", first.checkpoint(), second.checkpoint());
        Ok(Digest::of(&[
            b"provchain/v1 evidence\0",
            self.kind.word().as_bytes(),
            b"\n",
            text.as_bytes(),
        ]))
    }

    /// Finds out what it shows. `trusted` are keys of the ledger from elsewhere.
    #[must_use]
    pub fn verify(&self, trusted: &[VerifierKey]) -> Finding {
        match self.contradiction(trusted) {
            Ok((says, proves, checkpoints)) => {
                let verdict = if proves && !trusted.is_empty() {
                    Verdict::Authentic
                } else {
                    Verdict::Unauthenticated
                };
                Finding {
                    verdict,
                    says,
                    checkpoints: Some(checkpoints),
                }
            }
            Err(fault) => Finding {
                verdict: Verdict::Refuted,
                says: fault.to_string(),
                checkpoints: None,
            },
        }
    }

    fn contradiction(
        &self,
        trusted: &[VerifierKey],
    ) -> Result<(String, bool, (Checkpoint, Checkpoint)), Fault> {
        let first = read("first", &self.first)?;
        let second = read("second", &self.second)?;
        for (which, signed) in [("first", &first), ("second", &second)] {
            if !trusted.is_empty() {
                let signers = signed.verify(trusted);
                signers.map_err(|error| Fault::Note { which, error })?;
            }
        }
        let (first, second) = (first.checkpoint().clone(), second.checkpoint().clone());
        if first.origin != second.origin {
            return Err(Fault::Origins);
        }
        if first.size > second.size {
            return Err(Fault::Order);
        }
        let (says, proves) = compare(&first, &second, self.shown.as_ref())?;
        Ok((says, proves, (first, second)))
    }
}

fn read(which: &'static str, note: &str) -> Result<SignedCheckpoint, Fault> {
    SignedCheckpoint::parse(note).map_err(|error| Fault::Note { which, error })
}

/// What two checkpoints of one ledger show, and whether that proves two histories.
fn compare(
    first: &Checkpoint,
    second: &Checkpoint,
    shown: Option<&Shown>,
) -> Result<(String, bool), Fault> {
    let (small, large) = (first.size, second.size);
    if small == large {
        if first.root == second.root {
            return Err(Fault::Consistent("they are of one tree"));
        }
        let says = format!(
            "two trees of {small} entries were signed, with the roots {} and {}",
            first.root, second.root
        );
        return Ok((says, true));
    }
    if small == 0 {
        return Err(Fault::Consistent("every tree continues the empty one"));
    }
    let Some(Shown { root, path }) = shown else {
        return Ok((
            format!(
                "trees of {small} and of {large} entries were signed; nothing here shows whether one \
                 continues the other"
            ),
            false,
        ));
    };
    if verify_consistency(small, large, path, root, &second.root).is_ok() {
        if *root == first.root {
            return Err(Fault::Consistent(
                "the path proves that the larger tree continues the smaller one",
            ));
        }
        let says = format!(
            "the tree of {large} entries that was signed has the root {root} over its first {small}, \
             and for {small} the root {} was signed",
            first.root
        );
        return Ok((says, true));
    }
    Ok((
        format!(
            "trees of {small} and of {large} entries were signed, and the path that was shown belongs \
             to neither; that the ledger showed it, nobody signed"
        ),
        false,
    ))
}

/// Whether a path shows that the larger tree begins otherwise than the smaller one: then what proves
/// it.
///
/// # Errors
/// [`Error::Proof`] for a path that does not lead to the larger tree's root.
pub fn inconsistent(
    first: &Checkpoint,
    second: &Checkpoint,
    shown: &Shown,
) -> Result<Option<Shown>, Error> {
    let path = &shown.path;
    let root = beginning_of(first.size, second.size, path, &shown.root, &second.root)?;
    Ok((root != first.root).then(|| Shown {
        root,
        path: path.clone(),
    }))
}
