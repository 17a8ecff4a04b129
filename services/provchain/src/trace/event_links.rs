//! The links of the events at hand, as the walk reads them.
//!
//! They answer exactly as [`crate::index::IndexLinks`] does, order included.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::{EventRow, Facts, Links, Named, Touch};
use crate::epcis::identifier::Level;
use crate::epcis::links::{Action, Role};
use crate::epcis::{Event, LinkSet};

/// The events that name an item: their time, entry and role, and their action.
type Touches = BTreeMap<(i64, u64, Role), Option<Action>>;

/// Of an instance its lots, or of a lot its instances, and which entries say so.
type Ties = BTreeMap<String, BTreeSet<(String, u64)>>;

/// Links, from events.
#[derive(Debug, Default)]
pub struct EventLinks {
    touches: BTreeMap<String, Touches>,
    /// Of an entry and a role: the items, and whether only their class is known.
    named: BTreeMap<(u64, Role), BTreeMap<String, bool>>,
    lots: Ties,
    instances: Ties,
    facts: BTreeMap<u64, Facts>,
}

impl EventLinks {
    /// Takes in an event, and the row that tells of it in short.
    pub fn take(&mut self, row: &EventRow, event: &Event) {
        let entry = row.entry;
        self.facts.insert(entry, row.facts());
        let (set, time) = (LinkSet::of(event), event.time.unix_micros);
        for link in &set.links {
            let item = link.key.to_string();
            let touches = self.touches.entry(item.clone()).or_default();
            touches.insert((time, entry, link.role), set.action);
            let named = self.named.entry((entry, link.role)).or_default();
            named.insert(item, link.level == Level::Class);
        }
        for (instance, lot) in &set.lots {
            let (instance, lot) = (instance.to_string(), lot.to_string());
            let lots = self.lots.entry(instance.clone()).or_default();
            lots.insert((lot.clone(), entry));
            let instances = self.instances.entry(lot).or_default();
            instances.insert((instance, entry));
        }
    }
}

impl Links for EventLinks {
    type Error = Infallible;

    fn touches(&mut self, item: &str) -> Result<Vec<Touch>, Infallible> {
        let touches = self.touches.get(item).into_iter().flatten();
        Ok(touches
            .map(|(&(time, entry, role), &action)| Touch {
                entry,
                role,
                action,
                time,
            })
            .collect())
    }

    fn named(&mut self, entry: u64, role: Role) -> Result<Vec<Named>, Infallible> {
        let named = self.named.get(&(entry, role)).into_iter().flatten();
        Ok(named
            .map(|(item, &class)| Named {
                item: item.clone(),
                class,
            })
            .collect())
    }

    fn lots_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Infallible> {
        Ok(tied(&self.lots, item))
    }

    fn instances_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Infallible> {
        Ok(tied(&self.instances, item))
    }

    fn facts(&mut self, entry: u64) -> Result<Option<Facts>, Infallible> {
        Ok(self.facts.get(&entry).cloned())
    }
}

fn tied(ties: &Ties, item: &str) -> Vec<(String, u64)> {
    ties.get(item).into_iter().flatten().cloned().collect()
}
