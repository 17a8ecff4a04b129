//! What a node puts its name under when it makes a backup: the state, row by row.
//!
//! A checkpoint vouches for the entries. Users, partners and what else the state holds are in no tree:
//! for them the node signs the digest of all rows, so that whoever can write where backups lie cannot
//! give himself an account.

use crate::ledger::Digest;
use crate::ledger::declaration::Declaration;

/// The digest of all rows of the state, as the ledger `origin` declares it.
#[must_use]
pub fn statement(origin: &str, digest: Digest) -> Declaration {
    Declaration::new("provchain/v1 backup", origin, digest)
}
