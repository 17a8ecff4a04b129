//! Commitments to the statements of an entry and to its submitter.
//!
//! Each statement (one canonical N-Quad) is committed to under a salt of its own, and the leaf
//! carries the root of the RFC 6962 tree over these commitments. Giving a statement, its salt and
//! its path shows that the entry states it, and tells nothing about the others beyond their number.

use super::key::{Derived, Salt};
use super::merkle::{self, Leaves};
use super::{Digest, Error};

/// The most statements an entry may make: 65,536. It bounds the work of a verifier.
pub const STATEMENTS_MAX: usize = 1 << 16;

/// `SHA-256(tag ‖ salt ‖ statement)`.
#[must_use]
pub fn commit_statement(salt: &Salt, statement: &str) -> Digest {
    Digest::of(&[b"provchain/v1 statement\0", salt, statement.as_bytes()])
}

/// `SHA-256(tag ‖ salt ‖ submitter)`.
#[must_use]
pub fn commit_submitter(salt: &Salt, submitter: &str) -> Digest {
    Digest::of(&[b"provchain/v1 submitter\0", salt, submitter.as_bytes()])
}

/// The commitments of all statements of an entry, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitments(Vec<Digest>);

impl Commitments {
    /// Commits to the statements under salts derived from the entry's key.
    ///
    /// # Errors
    /// [`Error::Refused`] for no statements or more than [`STATEMENTS_MAX`], and for one with a
    /// line feed: a statement is a line without its end.
    pub fn new(derived: &Derived, statements: &[String]) -> Result<Self, Error> {
        if statements.iter().any(|statement| statement.contains('\n')) {
            return Err(Error::Refused("a statement with a line feed in it"));
        }
        let commitments = (0..)
            .zip(statements)
            .map(|(index, statement)| commit_statement(&derived.statement_salt(index), statement));
        Self::from_digests(commitments.collect())
    }

    /// Commitments as a proof gives them.
    ///
    /// # Errors
    /// [`Error::Refused`] for none or more than [`STATEMENTS_MAX`].
    pub fn from_digests(commitments: Vec<Digest>) -> Result<Self, Error> {
        if commitments.is_empty() {
            return Err(Error::Refused("an entry without statements"));
        }
        if commitments.len() > STATEMENTS_MAX {
            return Err(Error::Refused("an entry of more than 65,536 statements"));
        }
        Ok(Self(commitments))
    }

    /// The number of statements.
    #[must_use]
    pub fn count(&self) -> u32 {
        // At most `STATEMENTS_MAX`.
        self.0.len() as u32
    }

    /// The commitments in order.
    #[must_use]
    pub fn digests(&self) -> &[Digest] {
        &self.0
    }

    /// The root of the tree over the commitments: the statement root of the leaf.
    #[must_use]
    pub fn root(&self) -> Digest {
        merkle::root_of(&self.leaves())
    }

    /// Discloses one statement: with it goes its salt and its path, and nothing else.
    ///
    /// # Errors
    /// [`Error::Proof`] for an index that is not below the count.
    pub fn disclose(
        &self,
        derived: &Derived,
        index: u32,
        statement: &str,
    ) -> Result<DisclosedStatement, Error> {
        let leaves = self.leaves();
        let count = leaves.len() as u64;
        let path = merkle::prove_inclusion(&mut Leaves(&leaves), index.into(), count)?;
        let salt = derived.statement_salt(index);
        Ok(DisclosedStatement {
            index,
            statement: statement.to_owned(),
            salt,
            path,
        })
    }

    fn leaves(&self) -> Vec<Digest> {
        self.0
            .iter()
            .map(|commitment| merkle::leaf_hash(commitment.as_bytes()))
            .collect()
    }
}

/// One statement of an entry with what shows that the entry states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosedStatement {
    /// Its position among the entry's statements.
    pub index: u32,
    /// The canonical N-Quad, without the line's end.
    pub statement: String,
    /// Its salt.
    pub salt: Salt,
    /// Its inclusion path in the tree over the commitments.
    pub path: Vec<Digest>,
}

impl DisclosedStatement {
    /// Verifies the statement against the root and count of a leaf.
    ///
    /// # Errors
    /// [`Error::Proof`] if the entry does not state this at this position.
    pub fn verify(&self, root: &Digest, count: u32) -> Result<(), Error> {
        let commitment = commit_statement(&self.salt, &self.statement);
        let leaf = merkle::leaf_hash(commitment.as_bytes());
        merkle::verify_inclusion(self.index.into(), count.into(), &leaf, &self.path, root)
    }
}
