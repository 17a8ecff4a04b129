//! The nodes cosign each other's checkpoints.
//!
//! A node asks the others to cosign the checkpoint that it keeps, beside everything else that it does:
//! one that is down, slow or hostile delays nothing. Who is asked cosigns only what its own state has,
//! and remembers on disk what it cosigned before it signs.

mod answer;
mod memory;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use consensus::{Cluster, Consistency};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use prost::Message as _;
use tokio::sync::watch;

pub(super) use answer::Answerer;
pub(super) use memory::Memory;

use self::wire::{Answer, answer::Outcome};
use crate::api::evidence;
use crate::api::kept::Kept;
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::evidence::{Evidence, Kind};
use crate::ledger::note::{NoteSignature, SignatureType, VerifierKey};
use crate::ledger::{self, cosigner};
use crate::machine::keys::NodeKey;
use crate::machine::{Ledger, VERSION_OF_SUBJECTS, keys, read};

/// The name of the channel between the nodes.
pub(super) const CHANNEL: &str = "cosign";

/// After that who has not cosigned is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(4);

/// The longest question or answer that is looked at. A note has some hundred bytes.
const BYTES_MAX: usize = 16 << 10;

/// What asking needs.
pub(super) struct Asker {
    pub cluster: Cluster<Ledger>,
    pub kept: Kept,
    pub evidence: evidence::Kept,
}

impl Asker {
    /// Runs for as long as the node lives; `renewed` tells that there is a new checkpoint.
    pub(super) async fn run(self, mut renewed: watch::Receiver<()>) {
        loop {
            renewed.mark_unchanged();
            // A newer checkpoint ends the round: nobody has to wait for one that is slow.
            let round = async {
                loop {
                    if let Err(reason) = self.round().await {
                        tracing::debug!(reason, "no cosignatures were asked for");
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            };
            tokio::select! {
                changed = renewed.changed() => if changed.is_err() {
                    return;
                },
                () = round => {}
            }
        }
    }

    /// Asks all members whose cosignatures are missing, at once.
    async fn round(&self) -> Result<(), String> {
        let Some(signed) = self.kept.newest() else {
            return Ok(());
        };
        if self.cluster.status().version < VERSION_OF_SUBJECTS {
            return Ok(());
        }
        let known = self
            .cluster
            .read(Consistency::Local { age_max: None }, keys::node_keys);
        let known = known.await.map_err(|error| error.to_string())?.value;
        let known =
            Known::new(&signed.checkpoint().origin, &known).map_err(|error| error.to_string())?;
        let others = self.cluster.others();
        let mut asked: FuturesUnordered<_> = others
            .iter()
            .filter(|member| !known.cosigned(&signed, member))
            .map(|member| self.ask(&signed, &known, member))
            .collect();
        while let Some((member, outcome)) = asked.next().await {
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(reason) => {
                    tracing::debug!(member, reason, "a member did not cosign");
                    "failed"
                }
            };
            metrics::counter!("provchain_cosignatures_asked_total", "outcome" => outcome)
                .increment(1);
        }
        Ok(())
    }

    async fn ask<'m>(
        &self,
        signed: &SignedCheckpoint,
        known: &Known,
        name: &'m str,
    ) -> (&'m str, Result<&'static str, String>) {
        let asking = async {
            let question = Bytes::from(signed.to_string());
            let answer = self.cluster.ask(name, CHANNEL, question).await;
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.len() > BYTES_MAX {
                return Err(format!("an answer of {} bytes", answer.len()));
            }
            let answer = Answer::decode(answer).map_err(|error| error.to_string())?;
            self.take(signed, known, name, answer).await
        };
        let asked = tokio::time::timeout(ANSWER, asking).await;
        (
            name,
            asked.unwrap_or_else(|_| Err("no answer in time".into())),
        )
    }

    /// Takes an answer in, of which nothing is believed that is not signed.
    async fn take(
        &self,
        signed: &SignedCheckpoint,
        known: &Known,
        member: &str,
        answer: Answer,
    ) -> Result<&'static str, String> {
        let text = signed.note().text();
        match answer.outcome {
            Some(Outcome::Cosigned(line)) => {
                let signature = NoteSignature::parse(&line).map_err(|error| error.to_string())?;
                known.check(member, text, &signature)?;
                let (kept, text) = (self.kept.clone(), text.to_owned());
                let written =
                    tokio::task::spawn_blocking(move || kept.cosign(&text, vec![signature]));
                written
                    .await
                    .map_err(|error| error.to_string())?
                    .map_err(|error| error.to_string())?;
                Ok("cosigned")
            }
            Some(Outcome::Behind(_)) => Ok("behind"),
            Some(Outcome::Newer(_)) => Ok("newer"),
            Some(Outcome::Contradicts(note)) => {
                let theirs = SignedCheckpoint::parse(&note).map_err(|error| error.to_string())?;
                let signers = theirs.verify(&known.log);
                signers.map_err(|error| error.to_string())?;
                let (a, b) = (signed.checkpoint(), theirs.checkpoint());
                if a.origin != b.origin || a.size != b.size || a.root == b.root {
                    return Err("it says that it contradicts, and does not".into());
                }
                let reason = format!("{member} signed another root over {} entries", a.size);
                let found = Evidence::new(Kind::SameSize, signed, &theirs).found(
                    self.cluster.name(),
                    kit::clock::unix_ms(),
                    reason,
                );
                keep(&self.evidence, found).await?;
                Ok("contradicts")
            }
            None => Err("an answer of a kind that this build does not know".into()),
        }
    }
}

async fn keep(store: &evidence::Kept, found: Evidence) -> Result<(), String> {
    let store = store.clone();
    let kept = tokio::task::spawn_blocking(move || store.add(&found));
    let kept = kept.await.map_err(|error| error.to_string())?;
    kept.map(drop).map_err(|error| error.to_string())
}

/// The keys of all nodes.
struct Known {
    /// Those that sign, handed over or not.
    log: Vec<VerifierKey>,
    /// Those that cosign now, with the names of their nodes.
    cosigners: Vec<(String, VerifierKey)>,
}

impl Known {
    fn new(origin: &str, keys: &[NodeKey]) -> Result<Self, ledger::Error> {
        let mut known = Self {
            log: Vec::new(),
            cosigners: Vec::new(),
        };
        for key in keys {
            known.log.push(verifier(origin, &key.public_key)?);
            if let (Some(cosigner), None) = (&key.cosigner, &key.succession) {
                let cosigner = cosigner::verifier(origin, &key.node, cosigner)?;
                known.cosigners.push((key.node.clone(), cosigner));
            }
        }
        Ok(known)
    }

    fn of<'k>(&'k self, member: &'k str) -> impl Iterator<Item = &'k VerifierKey> {
        let of_member = move |(name, _): &&(String, VerifierKey)| name == member;
        self.cosigners.iter().filter(of_member).map(|(_, key)| key)
    }

    /// Whether a member has cosigned it; what a disk has damaged is asked for anew.
    fn cosigned(&self, signed: &SignedCheckpoint, member: &str) -> bool {
        let text = signed.note().text();
        let mut signatures = signed.note().signatures().iter();
        signatures.any(|one| self.check(member, text, one).is_ok())
    }

    fn check(&self, member: &str, text: &str, signature: &NoteSignature) -> Result<(), String> {
        let mut keys = self.of(member);
        let key = keys.find(|key| key.claims(signature));
        let key = key.ok_or("the cosignature is by no key of that member")?;
        let verified = key.verify(text, signature);
        verified.map_err(|error| error.to_string())
    }
}

fn verifier(origin: &str, public_key: &[u8; 32]) -> Result<VerifierKey, ledger::Error> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(public_key)
        .map_err(|_| ledger::Error::Refused("a node's key is no point of the curve"))?;
    VerifierKey::new(origin, SignatureType::Ed25519, key)
}

/// What the state says of a checkpoint.
struct View {
    size: u64,
    /// The root over as many entries, if there are as many.
    root: Option<ledger::Digest>,
    keys: Vec<NodeKey>,
}

/// Reads what this node has over `size` entries of the ledger `origin`.
fn view(
    state: &rusqlite::Connection,
    origin: &str,
    size: u64,
) -> rusqlite::Result<Result<View, String>> {
    let Some(founded) = read::founded(state)? else {
        return Ok(Err("the ledger has not been founded yet".into()));
    };
    if founded.origin != origin {
        return Ok(Err(format!(
            "this node keeps {}, not {origin}",
            founded.origin
        )));
    }
    let root = match size <= founded.size {
        true => Some(read::root(state, size).map_err(read::damaged)?),
        false => None,
    };
    Ok(Ok(View {
        size: founded.size,
        root,
        keys: keys::node_keys(state)?,
    }))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn a_key_that_has_handed_over_cosigns_for_its_node_no_more() {
        const ORIGIN: &str = "ledger.example/demo";
        let node_key = |seed: u8, succession: Option<&str>| {
            let own = SigningKey::from_bytes(&[seed; 32]);
            NodeKey {
                node: "node1".into(),
                public_key: own.verifying_key().to_bytes(),
                since_ms: 0,
                cosigner: Some(cosigner::derive(&own).verifying_key().to_bytes()),
                succession: succession.map(str::to_owned),
            }
        };
        let keys = [node_key(1, Some("a note")), node_key(2, None)];
        let known = Known::new(ORIGIN, &keys).unwrap();
        assert_eq!(known.log.len(), 2, "what it signed before stands");
        let check = |seed: u8, member: &str| {
            let own = SigningKey::from_bytes(&[seed; 32]);
            let cosigner = cosigner::signer(ORIGIN, "node1", &own).unwrap();
            let signature = cosigner.sign("a text\n", 7);
            known.check(member, "a text\n", &signature).is_ok()
        };
        assert!(check(2, "node1"));
        assert!(!check(1, "node1"), "by the key that is retired");
        assert!(!check(2, "node2"), "for another member");
    }
}
