//! The links of the events at hand, as the walk reads them.
//!
//! They answer exactly as [`crate::index::IndexLinks`] does, order included.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::epcis::identifier::Level;
use crate::epcis::links::{Action, Role};
use crate::epcis::{Event, LinkSet};
use crate::trace::{Links, Named, Touch};

/// The events that name an item: their time, entry and role, and their action.
type Touches = BTreeMap<(i64, u64, Role), Option<Action>>;

/// Of an instance its lots, or of a lot its instances, and which entry said so first.
type Ties = BTreeMap<String, BTreeMap<String, u64>>;

/// Links, from events that are taken in by ascending entry.
#[derive(Debug, Default)]
pub(super) struct EventLinks {
    touches: BTreeMap<String, Touches>,
    /// Of an entry and a role: the items, and whether only their class is known.
    named: BTreeMap<(u64, Role), BTreeMap<String, bool>>,
    lots: Ties,
    instances: Ties,
}

impl EventLinks {
    pub(super) fn take(&mut self, entry: u64, event: &Event) {
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
            lots.entry(lot.clone()).or_insert(entry);
            let instances = self.instances.entry(lot).or_default();
            instances.entry(instance).or_insert(entry);
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
}

fn tied(ties: &Ties, item: &str) -> Vec<(String, u64)> {
    let tied = ties.get(item).into_iter().flatten();
    tied.map(|(other, entry)| (other.clone(), *entry)).collect()
}
