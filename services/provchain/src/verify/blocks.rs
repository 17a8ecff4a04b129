//! The chain of blocks, read alongside the entries.

use std::collections::VecDeque;

use ed25519_dalek::VerifyingKey;

use super::entries::add_identity;
use super::{BlockRecord, Damage, LedgerReader, Report, Run};
use crate::ledger::Digest;
use crate::ledger::block::{Block, Header, Tip};
use crate::ledger::note::{SignatureType, VerifierKey};

const PAGE: usize = 256;

/// Where the reading of the chain stands.
pub(super) struct Chain {
    signers: Vec<[u8; 32]>,
    /// The trusted keys that are this ledger's. The ledger's own list of signers is no better than
    /// its copy: whoever rewrote that put a key into the list first.
    trusted: Option<Vec<[u8; 32]>>,
    /// What the next block continues; nothing behind a bad block, which only it is blamed for.
    tip: Option<Tip>,
    next_height: u64,
    page: VecDeque<BlockRecord>,
    /// A good block over entries that have not been reached.
    ahead: Option<Header>,
    ended: bool,
}

impl Chain {
    pub(super) fn new(origin: &str, signers: &[VerifyingKey], trusted: &[VerifierKey]) -> Self {
        let of_ledger = trusted
            .iter()
            .filter(|key| key.signature_type() == SignatureType::Ed25519 && key.name() == origin);
        let of_ledger = of_ledger.map(|key| key.public_key().to_bytes()).collect();
        Self {
            trusted: (!trusted.is_empty()).then_some(of_ledger),
            signers: signers.iter().map(VerifyingKey::to_bytes).collect(),
            tip: Some(Tip::of_new_ledger(origin)),
            next_height: 0,
            page: VecDeque::new(),
            ahead: None,
            ended: false,
        }
    }

    /// Whether a good block is one that a trusted key signed: all are, once there are such keys.
    pub(super) const fn vouches(&self) -> bool {
        self.trusted.is_some()
    }

    /// The next block that is good in itself, over more entries than the one before.
    fn next<R: LedgerReader>(&mut self, reader: &mut R, report: &mut Report) -> Option<Header> {
        loop {
            if self.page.is_empty() && !self.ended {
                let page = report.readable("blocks", reader.blocks(self.next_height, PAGE));
                self.page = page.unwrap_or_default().into();
                self.ended = self.page.is_empty();
            }
            let record = self.page.pop_front()?;
            let expected =
                std::mem::replace(&mut self.next_height, record.height.saturating_add(1));
            if record.height != expected {
                let (height, reason) = (expected, "it is missing".to_owned());
                report.damage(Damage::Block { height, reason });
                self.tip = None;
            }
            match self.check(&record) {
                Ok(header) => {
                    report.blocks += 1;
                    self.tip = Some(Tip::after(&header));
                    return Some(header);
                }
                Err(reason) => {
                    report.damage(Damage::Block {
                        height: record.height,
                        reason,
                    });
                    self.tip = None;
                }
            }
        }
    }

    fn check(&self, record: &BlockRecord) -> Result<Header, String> {
        let block = Block::decode(&record.block).map_err(|error| error.to_string())?;
        if block.header.height != record.height {
            return Err(format!("it says that it is block {}", block.header.height));
        }
        if !self.signers.contains(&block.header.signer) {
            return Err("its signer is no node of the ledger".to_owned());
        }
        let is_trusted = |keys: &Vec<[u8; 32]>| keys.contains(&block.header.signer);
        if !self.trusted.as_ref().is_none_or(is_trusted) {
            return Err("its signer is no trusted key".to_owned());
        }
        block
            .verify_signature()
            .map_err(|error| error.to_string())?;
        if let Some(tip) = &self.tip {
            tip.check(&block.header)
                .map_err(|error| error.to_string())?;
        }
        Ok(block.header)
    }
}

impl<R: LedgerReader> Run<'_, R> {
    /// The good blocks whose tree ends behind leaf `start` and not behind `end`.
    pub(super) fn blocks_until(&mut self, start: u64, end: u64) -> Vec<Header> {
        let mut due: Vec<Header> = Vec::new();
        loop {
            let next = self.blocks.ahead.take();
            let next = next.or_else(|| self.blocks.next(self.reader, &mut self.report));
            let Some(header) = next else { return due };
            if header.tree_size() > end {
                self.blocks.ahead = Some(header);
                return due;
            }
            let behind = due.last().map_or(start, Header::tree_size);
            if header.tree_size() > behind {
                due.push(header);
            } else {
                let reason = "its entries are in an earlier block".to_owned();
                self.bad_block(header.height, reason);
            }
        }
    }

    /// Takes back that the block is good.
    pub(super) fn bad_block(&mut self, height: u64, reason: String) {
        self.report.blocks -= 1;
        self.report.damage(Damage::Block { height, reason });
    }

    /// Blocks over entries that are not there.
    pub(super) fn check_rest_of_blocks(&mut self) {
        let sealed = self.blocks.tip.map(|tip| tip.next_entry);
        while let Some(header) = {
            let ahead = self.blocks.ahead.take();
            ahead.or_else(|| self.blocks.next(self.reader, &mut self.report))
        } {
            let reason = format!(
                "its last entry is {}, which is not there",
                header.last_entry
            );
            self.bad_block(header.height, reason);
        }
        self.report.unsealed = self.size.saturating_sub(sealed.unwrap_or(self.size));
    }

    /// Compares the list of identities with those of the entries, and finds repeated ones.
    pub(super) fn check_identities(&mut self) {
        let mut sum = Digest([0; 32]);
        let mut last: Option<(Digest, u64)> = None;
        loop {
            let page = self.reader.identities(last, PAGE);
            let Some(page) = self.report.readable("identities", page) else {
                return;
            };
            if page.is_empty() {
                break;
            }
            for (key, index) in page {
                match last {
                    Some((before, first)) if before == key => {
                        self.report.damage(Damage::SameIdentity {
                            first,
                            second: index,
                        });
                    }
                    Some(before) if before > (key, index) => {
                        return self.report.damage(Damage::Identities);
                    }
                    _ => {}
                }
                sum = add_identity(sum, &key, index);
                last = Some((key, index));
            }
        }
        if sum != self.identities {
            self.report.damage(Damage::Identities);
        }
    }
}
