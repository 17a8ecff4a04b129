//! What a sample's recalled batch really went into, kept while the sample is made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::world::{Actor, Item};

/// The recalled batch, everything made of it, and who received any of that.
///
/// Identifiers are written as GS1 Digital Link URIs at `id.gs1.org`, which are also the ledger's
/// [keys](crate::epcis::identifier::ItemKey). Only what the written events tell counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// How many events there are.
    pub events: usize,
    /// The seed.
    pub seed: u64,
    /// The batch.
    pub recalled: Batch,
    /// The batch itself, every lot and pack made of it, and every case and pallet that held one.
    pub affected: BTreeSet<String>,
    /// The shops that received affected items, by their GLN.
    pub retailers: BTreeMap<String, Retailer>,
    /// The longest chain from an origin to anything.
    pub longest: Chain,
}

/// The recalled batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// As a Digital Link.
    pub key: String,
    /// As an EPC URN.
    pub urn: String,
}

/// A shop that received affected items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retailer {
    /// The shop's location as an EPC URN.
    pub sgln: String,
    /// The affected items that came: pallets, and the cases and packs in them.
    pub received: BTreeSet<String>,
}

/// A chain of steps from input to output or from part to whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The origin.
    pub from: String,
    /// The other end.
    pub to: String,
    /// The number of steps.
    pub hops: usize,
}

/// What an event adds to the truth when it is written.
#[derive(Clone, Debug)]
pub enum Entry {
    /// The batch begins to exist.
    Recalled(Item),
    /// An item is made or packed.
    Made(Item),
    /// A shop receives a pallet and what is in it.
    Received {
        /// The shop.
        retailer: Actor,
        /// The pallet, its cases and their packs.
        items: Vec<Item>,
    },
}

impl Truth {
    pub(super) fn enter(&mut self, entry: Entry) {
        match entry {
            Entry::Recalled(item) => {
                self.affected.insert(item.link.clone());
                self.recalled = Batch {
                    key: item.link,
                    urn: item.urn,
                };
            }
            Entry::Made(item) => {
                if item.depth > self.longest.hops {
                    self.longest = Chain {
                        from: item.origin,
                        to: item.link.clone(),
                        hops: item.depth,
                    };
                }
                if item.affected {
                    self.affected.insert(item.link);
                }
            }
            Entry::Received { retailer, items } => {
                let affected = items.into_iter().filter(|item| item.affected);
                let mut affected = affected.map(|item| item.link).peekable();
                if affected.peek().is_some() {
                    let entry = self.retailers.entry(retailer.gln()).or_default();
                    entry.sgln = retailer.sgln();
                    entry.received.extend(affected);
                }
            }
        }
    }
}
