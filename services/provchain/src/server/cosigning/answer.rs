//! What a node answers that is asked to cosign a checkpoint of another one.

use std::time::Duration;

use bytes::Bytes;
use consensus::{Cluster, Consistency};
use prost::Message as _;

use super::wire::{Answer, answer::Outcome};
use super::{BYTES_MAX, Known, Memory, View, keep, view};
use crate::api::evidence;
use crate::api::signer::Signer;
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::evidence::{Evidence, Kind};
use crate::machine::Ledger;

/// How long it is waited for entries that the other one has already.
const CATCH_UP: Duration = Duration::from_secs(2);

/// What answering needs; cheap to clone.
#[derive(Clone)]
pub(crate) struct Answerer {
    pub cluster: Cluster<Ledger>,
    pub signer: Signer,
    pub memory: Memory,
    pub evidence: evidence::Kept,
}

impl Answerer {
    /// The answer to a question of a member.
    ///
    /// # Errors
    /// A sentence: the question is none, or something failed here.
    pub(crate) async fn answer(&self, question: Bytes) -> Result<Bytes, String> {
        let outcome = self.outcome(&question).await?;
        let answer = Answer {
            outcome: Some(outcome),
        };
        Ok(answer.encode_to_vec().into())
    }

    async fn outcome(&self, question: &[u8]) -> Result<Outcome, String> {
        if question.len() > BYTES_MAX {
            return Err("a question that is too long".into());
        }
        let text = std::str::from_utf8(question).map_err(|error| error.to_string())?;
        let signed = SignedCheckpoint::parse(text).map_err(|error| error.to_string())?;
        let View { size, root, keys } = self.caught_up(&signed).await?;
        let checkpoint = signed.checkpoint();
        let known = Known::new(&checkpoint.origin, &keys).map_err(|error| error.to_string())?;
        signed
            .verify(&known.log)
            .map_err(|error| error.to_string())?;
        let Some(root) = root else {
            return Ok(Outcome::Behind(size));
        };
        if root != checkpoint.root {
            return self.contradict(&signed, root).await;
        }
        let [own, _] = self
            .signer
            .public_keys()
            .map_err(|error| error.to_string())?;
        let named = keys.iter().find(|key| key.public_key == own);
        let named = named.ok_or("the key of this node is not known yet")?;
        let (memory, advanced) = (self.memory.clone(), checkpoint.clone());
        let advanced = tokio::task::spawn_blocking(move || memory.advance(&advanced)).await;
        let advanced = advanced.map_err(|error| error.to_string())?;
        if let Err(size) = advanced.map_err(|error| error.to_string())? {
            return Ok(Outcome::Newer(size));
        }
        let signature = self.signer.cosign(
            (&checkpoint.origin, &named.node),
            signed.note().text(),
            kit::clock::unix_seconds(),
        );
        let signature = signature.map_err(|error| error.to_string())?;
        Ok(Outcome::Cosigned(signature.to_string()))
    }

    /// What this node has, once it has as many entries, or after a while.
    async fn caught_up(&self, signed: &SignedCheckpoint) -> Result<View, String> {
        let mut applied = self.cluster.applied();
        let waited = tokio::time::timeout(CATCH_UP, async {
            loop {
                applied.mark_unchanged();
                let view = self.view(signed).await?;
                if view.root.is_some() || applied.changed().await.is_err() {
                    return Ok(view);
                }
            }
        });
        match waited.await {
            Ok(view) => view,
            Err(_) => self.view(signed).await,
        }
    }

    async fn view(&self, signed: &SignedCheckpoint) -> Result<View, String> {
        let (origin, size) = (signed.checkpoint().origin.clone(), signed.checkpoint().size);
        let read = self
            .cluster
            .read(Consistency::Local { age_max: None }, move |state| {
                view(state, &origin, size)
            });
        read.await.map_err(|error| error.to_string())?.value
    }

    /// Keeps what the other one signed beside what this node has, and says so.
    async fn contradict(
        &self,
        signed: &SignedCheckpoint,
        root: crate::ledger::Digest,
    ) -> Result<Outcome, String> {
        let checkpoint = signed.checkpoint();
        let (origin, size) = (&checkpoint.origin, checkpoint.size);
        let note = self.signer.checkpoint(origin, size, root);
        let note = note.map_err(|error| error.to_string())?;
        let own = SignedCheckpoint::parse(&note).map_err(|error| error.to_string())?;
        let reason = format!("another node signed another root over {size} entries");
        let found = Evidence::new(Kind::SameSize, &own, signed).found(
            self.cluster.name(),
            kit::clock::unix_ms(),
            reason,
        );
        keep(&self.evidence, found).await?;
        Ok(Outcome::Contradicts(note))
    }
}
