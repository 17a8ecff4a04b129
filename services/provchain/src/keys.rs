//! The keys of subjects, on each node, apart from the replicated state.
//!
//! They never enter the Raft log, a snapshot or a backup of the ledger. A key that a capture needs is
//! on the disks of a majority before the capture is proposed ([`Keeper::keys_for`]); nodes fetch what
//! they lack from one another, and destroy what the replicated state says is erased. What is about
//! an erased subject cannot be read again, because the only thing that could is gone everywhere.

mod answer;
mod exchange;
mod keeper;
mod message;
mod store;
mod sums;

pub use self::exchange::EXCHANGE;
pub use self::keeper::{Confirmation, Keeper, KeysError};
pub use self::message::{Answer, CHANNEL, Destroyed, Key, Keys, List, Names, Question, question};
pub use self::store::{KeyFile, KeysPage, StoreError, SubjectStore};
