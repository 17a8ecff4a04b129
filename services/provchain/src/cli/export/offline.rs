//! An export from a folder that no node runs on.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};

use super::source::{Content, Entry};
use crate::cli::folder::Folder;
use crate::documents;
use crate::epcis::Limits;
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::key::WrappedKey;
use crate::ledger::leaf::{Kind, Leaf};
use crate::machine::read::{Keyring, StoredEntry};
use crate::verify::LedgerReader as _;

/// A ledger folder. Who has it reads everything in it.
pub(super) struct Offline {
    folder: Folder,
    origin: String,
    size: u64,
}

impl Offline {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut folder = Folder::open(path)?;
        if let Some(reason) = folder.damage().first() {
            bail!("{reason}: nothing is exported; `provchain verify` says what is damaged");
        }
        let (origin, size) = (folder.origin()?, folder.size()?);
        Ok(Self {
            folder,
            origin,
            size,
        })
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn size(&self, as_of: Option<u64>) -> anyhow::Result<u64> {
        let size = as_of.unwrap_or(self.size);
        ensure!(
            size <= self.size,
            "--as-of: the ledger has {} entries, not {size}",
            self.size
        );
        Ok(size)
    }

    pub(super) fn entries(&mut self, from: u64, most: u64) -> anyhow::Result<Vec<Entry>> {
        let page = self.folder.stored(from, usize::try_from(most)?)?;
        ensure!(!page.is_empty(), "entry {from} is missing");
        let entries = page.iter().map(|stored| {
            let entry = entry_of(stored, self.folder.keyring());
            entry.with_context(|| format!("entry {}", stored.index))
        });
        entries.collect()
    }

    /// Nobody can sign offline: the tree is the one of the checkpoint that the folder has.
    pub(super) fn checkpoint(
        &mut self,
        as_of: Option<u64>,
    ) -> anyhow::Result<(String, Checkpoint)> {
        let note = self.folder.checkpoints()?.pop();
        let note = note.context("the folder has no signed checkpoint: export from a node")?;
        let signed = SignedCheckpoint::parse(&note).context("the folder's checkpoint")?;
        let checkpoint = signed.checkpoint().clone();
        ensure!(
            checkpoint.origin == self.origin && checkpoint.size <= self.size,
            "the folder's checkpoint is not one of its ledger: `provchain verify` says more"
        );
        if let Some(size) = as_of
            && size != checkpoint.size
        {
            bail!(
                "--as-of: the folder has a signed checkpoint over {} entries only; a node signs one \
                 over {size}",
                checkpoint.size
            );
        }
        Ok((note, checkpoint))
    }

    pub(super) fn leaves(&mut self, from: u64, width: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        let leaves = self.folder.leaves(from, width)?;
        ensure!(
            leaves.len() == width,
            "entries are missing from {from} on: `provchain verify` says which"
        );
        Ok(leaves)
    }
}

fn entry_of(stored: &StoredEntry, keyring: &dyn Keyring) -> anyhow::Result<Entry> {
    let leaf = Leaf::decode(&stored.leaf)?;
    Ok(Entry {
        index: stored.index,
        leaf_hash: leaf.hash(),
        content: content(&leaf, stored, keyring)?,
    })
}

fn content(leaf: &Leaf, stored: &StoredEntry, keyring: &dyn Keyring) -> anyhow::Result<Content> {
    if leaf.kind == Kind::Erasure {
        return Ok(Content::Record);
    }
    let Some(key) = &stored.key else {
        return Ok(Content::Erased);
    };
    let wrapped = WrappedKey::decode(key)?;
    if !wrapped.subjects().is_empty() && keyring.keys_of(&wrapped).is_none() {
        return Ok(Content::Locked);
    }
    let limits = Limits::stored();
    let statements = |document: &[u8]| documents::statements_of(document, &limits);
    let opened = stored.open(keyring, &statements);
    let (_, opened) =
        opened.map_err(|fault| anyhow!("{fault}: `provchain verify` says what else is damaged"))?;
    Ok(Content::Event(opened.payload.document))
}
