//! The ledger in forms that other programs read: EPCIS documents, N-Quads, and the tree as static
//! files.
//!
//! Entries go in one after the other, and what is held in memory does not grow with their number.

mod document;
mod quads;
mod tree;

pub use document::{Documents, Page, PageLimits};
pub use quads::quads;
pub use tree::{TreeFile, TreeFiles};
