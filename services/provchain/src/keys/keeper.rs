//! The keys of subjects across the cluster: made, spread, fetched, and found to be gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use consensus::Cluster;
use prost::Message as _;
use tokio::sync::{mpsc, watch};

use super::message::question::Kind;
use super::message::{
    Answer, CHANNEL, Destroyed, Key, Keys, Names, PAGE, Question, read_keys, read_names,
};
use super::store::{KeysPage, StoreError, SubjectStore};
use crate::ledger::key::SubjectKey;
use crate::machine::Ledger;
use crate::machine::read::StoredEntry;
use crate::machine::subjects::Erasure;
use crate::subject::{KeyId, Pseudonym};

/// How long entries wait for the keys of their subjects before others go on without them.
const KEYS_WAIT: Duration = Duration::from_secs(1);

/// Keys whose holders are remembered; the others are offered once more when they are used.
const HOLDERS_MAX: usize = 100_000;

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Too few members are there to keep them.
    #[error("the keys of the event's subjects are kept by {held} of {wanted} members: try again")]
    NoMajority {
        /// Members that have them, this one included.
        held: usize,
        /// How many have to.
        wanted: usize,
    },
    /// A subject was erased meanwhile.
    #[error("a subject was erased meanwhile: try again")]
    Outdated,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a member says of an erasure.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Confirmation {
    /// The member's name.
    pub member: String,
    /// Whether it has destroyed the keys, and forgotten the entries.
    pub destroyed: bool,
    /// Why it has not, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The keys of subjects, with what the other members know of them; cheap to clone.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    cluster: Cluster<Ledger>,
    store: SubjectStore,
    /// Which other members have said that a key is on their disks.
    holders: Mutex<HashMap<KeyId, BTreeSet<String>>>,
    /// The erasure up to which this node has destroyed keys.
    destroyed: watch::Sender<u64>,
    /// The erasure up to which its index holds nothing any more.
    forgotten: watch::Receiver<u64>,
}

/// Another member.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its Raft id: another one's disk is another one's.
    id: String,
    pub name: String,
    voter: bool,
}

impl Keeper {
    /// Keeps the keys of `store`, and answers the other members from now on. `forgotten` tells how far
    /// the index is with erasures.
    #[must_use]
    pub fn new(
        cluster: &Cluster<Ledger>,
        store: SubjectStore,
        forgotten: watch::Receiver<u64>,
    ) -> Self {
        let keeper = Self(Arc::new(Inner {
            cluster: cluster.clone(),
            store,
            holders: Mutex::default(),
            destroyed: watch::Sender::new(0),
            forgotten,
        }));
        let answering = keeper.clone();
        cluster.answer(CHANNEL, move |_, question| {
            let keeper = answering.clone();
            async move { keeper.answer(question).await }
        });
        keeper
    }

    /// The keys of this node.
    #[must_use]
    pub fn store(&self) -> &SubjectStore {
        &self.0.store
    }

    /// Says that this node has destroyed what the erasures up to this one are about.
    pub fn has_destroyed(&self, erasure: u64) {
        self.0.destroyed.send_replace(erasure);
    }

    /// How far this node is with erasures: its keys, and its index.
    pub(super) fn progress(&self) -> (watch::Receiver<u64>, watch::Receiver<u64>) {
        (self.0.destroyed.subscribe(), self.0.forgotten.clone())
    }

    /// A key for each of these subjects in its generation: on the disks of a majority, this node's
    /// included, so that what is captured under it can be read when any minority is lost.
    ///
    /// # Errors
    /// When that cannot be had now.
    pub async fn keys_for(
        &self,
        subjects: BTreeMap<Pseudonym, u64>,
    ) -> Result<BTreeMap<Pseudonym, (KeyId, SubjectKey)>, KeysError> {
        let store = self.0.store.clone();
        let keys = blocking(move || {
            let mut keys = store.first_of(&subjects)?;
            let here: BTreeSet<Pseudonym> = keys.iter().map(|(id, _)| id.subject).collect();
            let absent = subjects.iter().filter(|(one, _)| !here.contains(*one));
            let fresh: KeysPage = absent
                .map(|(subject, generation)| {
                    let id = KeyId {
                        subject: *subject,
                        generation: *generation,
                        id: rand::random(),
                    };
                    (id, SubjectKey::from_random(rand::random()))
                })
                .collect();
            if store.insert(&fresh)?.len() < fresh.len() {
                return Err(KeysError::Outdated);
            }
            keys.extend(fresh);
            Ok(keys)
        })
        .await?;
        for page in keys.chunks(PAGE) {
            self.spread(page).await?;
        }
        Ok(keys
            .into_iter()
            .map(|(id, key)| (id.subject, (id, key)))
            .collect())
    }

    /// Makes sure that a majority has these keys.
    async fn spread(&self, keys: &[(KeyId, SubjectKey)]) -> Result<(), KeysError> {
        let (peers, own) = self.peers();
        let voters = peers.iter().filter(|peer| peer.voter).count() + usize::from(own);
        let wanted = voters / 2 + 1;
        // The fewest members that have any of the keys.
        let held = || {
            let holders = self.holders();
            let voters = peers.iter().filter(|peer| peer.voter);
            let of = |id: &KeyId| {
                let others = holders.get(id).map_or(0, |held| {
                    voters
                        .clone()
                        .filter(|peer| held.contains(&peer.id))
                        .count()
                });
                others + usize::from(own)
            };
            keys.iter().map(|(id, _)| of(id)).min().unwrap_or(wanted)
        };
        if held() >= wanted {
            return Ok(());
        }
        let question = Kind::Keep(Keys {
            keys: keys.iter().map(Key::of).collect(),
        });
        let (told, mut answers) = mpsc::channel(peers.len().max(1));
        for peer in peers.clone() {
            let (keeper, question, told) = (self.clone(), question.clone(), told.clone());
            // It goes on when a majority has answered: the others should have the keys, too.
            tokio::spawn(async move {
                match keeper
                    .ask(&peer, question)
                    .await
                    .and_then(|answer| read_names(&answer.names))
                {
                    Ok(names) => keeper.hold(&peer.id, &names),
                    Err(reason) => {
                        tracing::debug!(member = peer.name, reason, "keys were not kept");
                    }
                }
                // Nobody listens once there is a majority.
                let _ = told.send(()).await;
            });
        }
        drop(told);
        while answers.recv().await.is_some() {
            if held() >= wanted {
                return Ok(());
            }
        }
        Err(KeysError::NoMajority {
            held: held(),
            wanted,
        })
    }

    fn holders(&self) -> std::sync::MutexGuard<'_, HashMap<KeyId, BTreeSet<String>>> {
        self.0
            .holders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, member: &str, names: &[KeyId]) {
        let mut holders = self.holders();
        if holders.len() > HOLDERS_MAX {
            holders.clear();
        }
        for name in names {
            let held = holders.entry(*name).or_default();
            held.insert(member.to_owned());
        }
    }

    /// Fetches what the keys of these entries are wrapped under, as far as it is not here and another
    /// member has it.
    pub async fn fetch_for(&self, entries: &[StoredEntry]) {
        let ids: BTreeSet<KeyId> = entries.iter().flat_map(StoredEntry::subject_keys).collect();
        if ids.is_empty() {
            return;
        }
        let store = self.0.store.clone();
        let missing = blocking(move || Ok::<_, KeysError>(store.missing(ids)?)).await;
        match missing {
            Ok(missing) if missing.is_empty() => {}
            Ok(mut missing) => {
                for peer in self.peers().0 {
                    if let Err(reason) = self.fetch(&peer, &mut missing).await {
                        tracing::debug!(member = peer.name, reason, "no keys were given");
                    }
                    if missing.is_empty() {
                        return;
                    }
                }
                tracing::warn!(
                    keys = missing.len(),
                    "keys of subjects are at no member that is there"
                );
            }
            Err(error) => tracing::error!(%error, "keys of subjects cannot be looked up"),
        }
    }

    /// As [`fetch_for`](Self::fetch_for), for as long as others can wait: what does not come now comes with
    /// the next exchange.
    pub async fn fetch_soon(&self, entries: &[StoredEntry]) {
        drop(tokio::time::timeout(KEYS_WAIT, self.fetch_for(entries)).await);
    }

    /// Fetches keys from a member; those that it gave are missing no more.
    pub(super) async fn fetch(&self, peer: &Peer, missing: &mut Vec<KeyId>) -> Result<(), String> {
        for page in missing.clone().chunks(PAGE) {
            let names = page.iter().map(ToString::to_string).collect();
            let answer = self.ask(peer, Kind::Give(Names { names })).await?;
            let mut keys = read_keys(&answer.keys)?;
            // Nobody is given room for what was not asked for.
            keys.retain(|(id, _)| page.contains(id));
            let store = self.0.store.clone();
            let here = blocking(move || Ok::<_, KeysError>(store.insert(&keys)?)).await;
            let here = here.map_err(|error| error.to_string())?;
            let here: BTreeSet<KeyId> = here.into_iter().collect();
            missing.retain(|id| !here.contains(id));
        }
        Ok(())
    }

    /// What every member says of an erasure, this one first.
    pub async fn confirmations(&self, erasure: &Erasure) -> Vec<Confirmation> {
        let question = Destroyed {
            subject: erasure.subject.0.to_vec(),
            below: erasure.generation + 1,
            erasure: erasure.number,
        };
        let own = async {
            Confirmation {
                member: self.0.cluster.name().to_owned(),
                destroyed: self.destroys(&question).await.unwrap_or(false),
                reason: None,
            }
        };
        let others = self.peers().0.into_iter().map(|peer| {
            let question = Kind::Destroyed(question.clone());
            async move {
                let answer = self.ask(&peer, question).await;
                Confirmation {
                    member: peer.name,
                    destroyed: answer.as_ref().is_ok_and(|answer| answer.destroyed),
                    reason: answer.err(),
                }
            }
        });
        let (own, others) = tokio::join!(own, futures_util::future::join_all(others));
        std::iter::once(own).chain(others).collect()
    }

    /// The other members, and whether this node votes.
    pub(super) fn peers(&self) -> (Vec<Peer>, bool) {
        let status = self.0.cluster.status();
        let mut own = false;
        let mut peers = Vec::new();
        for member in status.members {
            if member.id == status.id {
                own = member.voter;
            } else {
                peers.push(Peer {
                    id: member.id,
                    name: member.name,
                    voter: member.voter,
                });
            }
        }
        (peers, own)
    }

    pub(super) async fn ask(&self, peer: &Peer, kind: Kind) -> Result<Answer, String> {
        let question = Question { kind: Some(kind) }.encode_to_vec();
        let asked = self
            .0
            .cluster
            .ask(&peer.name, CHANNEL, Bytes::from(question));
        let answer = asked.await.map_err(|error| error.to_string())?;
        Answer::decode(answer).map_err(|error| error.to_string())
    }
}

/// Runs what may block where it may.
pub(super) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and whoever waits with it.
            Err(_) => std::future::pending().await,
        },
    }
}
