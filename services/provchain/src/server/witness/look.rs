//! Looking at a ledger: at intervals, and at what clients say that it signed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::fetch::{FetchError, Fetcher};
use super::record::{Mailbox, NotCosigned, Watched, Witness};
use crate::ledger::Error;
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::evidence::{Evidence, Kind, Shown};
use crate::ledger::succession;
use crate::witness::{Refusal, Request, continues, contradiction};

/// How often in a row a ledger has to fail to prove that it only grew before that is kept: a node may
/// be behind, or a mirror.
const DOUBTS: u32 = 3;

/// What watches one ledger.
pub(super) struct Watcher {
    pub witness: Witness,
    pub watched: Arc<Watched>,
    pub fetcher: Fetcher,
    pub interval: Duration,
}

/// What a look came to where nothing was cosigned.
enum Trouble {
    /// Something did not work, here or there.
    Failed(String),
    /// The ledger did not prove that both trees are of one history.
    Doubt(Kind, Option<Shown>, String),
}

impl Watcher {
    /// Runs for as long as the witness lives.
    pub(super) async fn run(self, mut mailbox: Mailbox) {
        let mut tick = tokio::time::interval(self.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut doubts = 0;
        loop {
            tokio::select! {
                _ = tick.tick() => self.poll(&mut doubts).await,
                Some(signed) = mailbox.recv() => {
                    // What a client sent says nothing about how the ledger stands.
                    if let Err(Trouble::Failed(reason)) = self.examine(&signed).await {
                        tracing::debug!(origin = self.watched.origin, reason, "not examined");
                    }
                }
            }
        }
    }

    async fn poll(&self, doubts: &mut u32) {
        if self.watched.is_split() {
            return;
        }
        let origin = &self.watched.origin;
        let fetched = self.fetcher.checkpoint(&self.watched.url).await;
        let trouble = match fetched {
            Ok(signed) => match self.look(&signed).await {
                Ok(()) => {
                    *doubts = 0;
                    return;
                }
                Err(Trouble::Doubt(kind, shown, reason)) => {
                    *doubts += 1;
                    // Once, for as long as it lasts.
                    if *doubts == DOUBTS {
                        self.doubt(&signed, kind, shown, &reason).await;
                    }
                    reason
                }
                Err(Trouble::Failed(reason)) => reason,
            },
            Err(error) => error.to_string(),
        };
        metrics::counter!("provchain_witness_failures_total", "origin" => origin.clone())
            .increment(1);
        tracing::warn!(origin, reason = trouble, "nothing was cosigned");
        self.watched.stand(false, trouble);
    }

    /// Cosigns what the ledger shows now, if it continues what was cosigned.
    async fn look(&self, signed: &SignedCheckpoint) -> Result<(), Trouble> {
        self.check_keys(signed).await?;
        let Some(newest) = self.watched.newest().await else {
            return self.cosign(0, Vec::new(), signed).await;
        };
        let (old, new) = (newest.checkpoint().size, signed.checkpoint().size);
        if old == 0 || old == new {
            return self.cosign(old, Vec::new(), signed).await;
        }
        let kind = if new < old {
            Kind::Rollback
        } else {
            Kind::Unproven
        };
        let shown = match self
            .fetcher
            .path(&self.watched.url, old.min(new), old.max(new))
            .await
        {
            Ok(shown) => shown,
            Err(FetchError::Unreachable(reason)) => return Err(Trouble::Failed(reason)),
            Err(FetchError::Withheld(reason)) => {
                let reason = format!("it shows {new} entries after {old}, and no proof: {reason}");
                return Err(Trouble::Doubt(kind, None, reason));
            }
        };
        if let Some(found) = contradiction(&newest, signed, &shown) {
            return self.keep(found).await;
        }
        if !continues(&newest, signed, &shown.path) {
            let reason =
                format!("it shows {new} entries after {old}, and a proof that does not hold");
            return Err(Trouble::Doubt(kind, Some(shown), reason));
        }
        if new < old {
            // An old checkpoint of the same history: a node that is behind.
            return Err(Trouble::Failed(format!(
                "it shows {new} entries after {old}"
            )));
        }
        self.cosign(old, shown.path, signed).await
    }

    /// Looks whether a checkpoint that a client sent contradicts what was cosigned.
    async fn examine(&self, signed: &SignedCheckpoint) -> Result<(), Trouble> {
        self.check_keys(signed).await?;
        let Some(newest) = self.watched.newest().await else {
            return Ok(());
        };
        let (old, new) = (newest.checkpoint().size, signed.checkpoint().size);
        if old == 0 || new == 0 || self.watched.is_split() {
            return Ok(());
        }
        let path = self
            .fetcher
            .path(&self.watched.url, old.min(new), old.max(new));
        let shown = path
            .await
            .map_err(|error| Trouble::Failed(error.to_string()))?;
        match contradiction(&newest, signed, &shown) {
            Some(found) => self.keep(found).await,
            None => Ok(()),
        }
    }

    /// Whether a trusted key signed it; if none that is known did, asks the ledger for successors.
    async fn check_keys(&self, signed: &SignedCheckpoint) -> Result<(), Trouble> {
        let watched = &self.watched;
        if signed.checkpoint().origin != watched.origin {
            let reason = format!("it shows a checkpoint of {}", signed.checkpoint().origin);
            return Err(Trouble::Failed(reason));
        }
        let failed = |reason: String| Trouble::Failed(format!("its checkpoint: {reason}"));
        match signed.verify(&watched.trusted()) {
            Ok(_) => return Ok(()),
            Err(Error::NoKnownSignature) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
        let notes = self.fetcher.successions(&watched.url).await;
        let notes = notes.map_err(|error| failed(format!("no known key signed it: {error}")))?;
        let known = succession::follow(&watched.configured, notes.iter().map(String::as_str));
        let known = known.map_err(failed)?;
        signed
            .verify(&known)
            .map_err(|error| failed(error.to_string()))?;
        tracing::info!(origin = watched.origin, "a trusted key has handed over");
        watched.trust(known);
        Ok(())
    }

    async fn cosign(
        &self,
        old_size: u64,
        proof: Vec<crate::ledger::Digest>,
        signed: &SignedCheckpoint,
    ) -> Result<(), Trouble> {
        let request = Request {
            old_size,
            proof,
            signed: signed.clone(),
        };
        match self.witness.cosign(&self.watched, request).await {
            Ok(_) => Ok(()),
            // A client was faster: the next look begins there.
            Err(NotCosigned::Refused(Refusal::Conflict(_))) => Ok(()),
            Err(NotCosigned::Refused(refusal)) => Err(Trouble::Failed(refusal.to_string())),
            Err(NotCosigned::Failed(reason)) => Err(Trouble::Failed(reason)),
        }
    }

    async fn keep(&self, found: Evidence) -> Result<(), Trouble> {
        match self.witness.keep(&self.watched, found).await {
            Ok(()) => Ok(()),
            Err(NotCosigned::Refused(refusal)) => Err(Trouble::Failed(refusal.to_string())),
            Err(NotCosigned::Failed(reason)) => Err(Trouble::Failed(reason)),
        }
    }

    /// Keeps what proves nothing, and is a reason to look.
    async fn doubt(
        &self,
        signed: &SignedCheckpoint,
        kind: Kind,
        shown: Option<Shown>,
        reason: &str,
    ) {
        let Some(newest) = self.watched.newest().await else {
            return;
        };
        let mut found = Evidence::new(kind, &newest, signed).with_shown(shown);
        found.reason = format!("{}: {reason}", self.watched.origin);
        if let Err(Trouble::Failed(reason)) = self.keep(found).await {
            tracing::error!(reason, "evidence could not be kept");
        }
    }
}
