//! What tells two stores apart without listing what is in them.

use sha2::{Digest as _, Sha256};

use crate::subject::KeyId;

/// Parts of a store: by the first byte of the subject.
pub const PARTS: usize = 256;

/// For each part, how many keys there are, and a sum over their names that does not depend on the
/// order.
pub struct Sums(Vec<(u64, [u8; 16])>);

impl Default for Sums {
    fn default() -> Self {
        Self(vec![(0, [0; 16]); PARTS])
    }
}

impl Sums {
    /// Counts a key in, or out.
    pub fn toggle(&mut self, id: &KeyId, here: bool) {
        let (count, sum) = &mut self.0[usize::from(id.subject.0[0])];
        *count = if here { *count + 1 } else { *count - 1 };
        let term = Sha256::digest(id.to_string());
        for (byte, other) in sum.iter_mut().zip(term) {
            *byte ^= other;
        }
    }

    /// All keys.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(count, _)| count).sum()
    }

    /// One text for each part.
    pub fn encode(&self) -> Vec<Vec<u8>> {
        let parts = self.0.iter();
        parts
            .map(|(count, sum)| [&count.to_be_bytes()[..], sum].concat())
            .collect()
    }

    /// The first and the last subject that a part may hold.
    pub fn range(part: u8) -> ([u8; 32], [u8; 32]) {
        let (mut low, mut high) = ([0; 32], [0xff; 32]);
        low[0] = part;
        high[0] = part;
        (low, high)
    }
}
