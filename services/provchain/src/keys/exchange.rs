//! What a node lacks, it fetches from the others from time to time: keys that were made while it was
//! away, or before it joined.

use std::time::Duration;

use super::keeper::{Keeper, Peer, blocking};
use super::message::question::Kind;
use super::message::{List, PAGE, read_names};
use super::store::StoreError;
use crate::subject::KeyId;

/// How often.
pub const EXCHANGE: Duration = Duration::from_secs(5);

impl Keeper {
    /// Fetches what the other members have and this one lacks, for as long as the node lives.
    pub async fn exchange(&self) {
        let mut tick = tokio::time::interval(EXCHANGE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            for peer in self.peers().0 {
                if let Err(reason) = self.exchange_with(&peer).await {
                    tracing::debug!(member = peer.name, reason, "no keys were exchanged");
                }
            }
        }
    }

    async fn exchange_with(&self, peer: &Peer) -> Result<(), String> {
        let theirs = self.ask(peer, Kind::Sums(true)).await?.sums;
        let store = self.store().clone();
        let own = blocking(move || Ok::<_, StoreError>(store.sums())).await;
        let own = own.map_err(|error| error.to_string())?;
        for (part, _) in (0_u32..)
            .zip(own.iter().zip(&theirs))
            .filter(|(_, (own, theirs))| own != theirs)
        {
            self.fetch_part(peer, part).await?;
        }
        Ok(())
    }

    async fn fetch_part(&self, peer: &Peer, part: u32) -> Result<(), String> {
        let mut last: Option<KeyId> = None;
        loop {
            let after = last.map(|id| id.to_string()).unwrap_or_default();
            let listed = self.ask(peer, Kind::List(List { part, after })).await?;
            let names = read_names(&listed.names)?;
            // A list that does not go on would never end.
            let ascending = names.is_sorted_by(|one, next| one < next);
            if !ascending || names.first().copied() <= last && !names.is_empty() {
                return Err("the list is not in order".into());
            }
            let (count, newest) = (names.len(), names.last().copied());
            let store = self.store().clone();
            let missing = blocking(move || store.missing(names)).await;
            let mut missing = missing.map_err(|error| error.to_string())?;
            if !missing.is_empty() {
                self.fetch(peer, &mut missing).await?;
            }
            if count < PAGE {
                return Ok(());
            }
            last = newest;
        }
    }
}
