//! Sealing blocks: every node computes the root again, and stops where it finds another.

use consensus::ApplyError;
use rusqlite::{Transaction, params};

use super::Ledger;
use super::command::Reply;
use super::read::Tiles;
use crate::ledger::block::{Block, Tip};
use crate::ledger::merkle::{TileHashes, root_at};

impl Ledger {
    pub(super) fn seal(
        &mut self,
        state: &Transaction<'_>,
        bytes: &[u8],
    ) -> Result<Reply, ApplyError> {
        let Some(open) = &mut self.open else {
            return Ok(Reply::refused("the ledger has not been founded yet"));
        };
        let block = match Block::decode(bytes) {
            Ok(block) => block,
            Err(error) => return Ok(Reply::refused(&error.to_string())),
        };
        if let Err(reason) = open.continues(&block) {
            // Another leader was faster: its block covers these entries.
            return Ok(Reply::refused(&reason));
        }
        if self.retired.contains(&block.header.signer) {
            return Ok(Reply::refused("the key of the block has handed over"));
        }
        let size = block.header.tree_size();
        let root = if size == open.tree.size() {
            open.tree.root()
        } else {
            root_at(&mut TileHashes::new(Tiles(state)), size)
                .map_err(|error| ApplyError::Database(super::read::damaged(error)))?
        };
        if root != block.header.tree_root {
            return Err(ApplyError::Diverged(format!(
                "block {} of {} says that the root over {size} entries is {}, here it is {root}",
                block.header.height, open.origin, block.header.tree_root
            )));
        }
        state
            .prepare_cached("INSERT INTO block (height, block) VALUES (?1, ?2)")?
            .execute(params![block.header.height, &block.encode()[..]])?;
        open.tip = Tip::after(&block.header);
        Ok(Reply::done())
    }
}
