//! Under whose keys the events of a capture are sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consensus::Consistency;

use super::super::{Api, ApiError, Turn};
use super::intake::Work;
use crate::keys::KeysError;
use crate::ledger::key::{SUBJECTS_MAX, SubjectKey};
use crate::machine::{VERSION_OF_SUBJECTS, subjects};
use crate::subject::{KeyId, Pseudonym};

/// Subjects of one capture: each may need a key that is made for it.
const CAPTURE_SUBJECTS_MAX: usize = 20_000;

/// Who the events of a capture are about, with a key for each.
#[derive(Default)]
pub(super) struct Custodies {
    /// The version of what is personal that was followed.
    pub personal: u64,
    /// The subjects of each event.
    pub subjects: Vec<BTreeSet<Pseudonym>>,
    keys: BTreeMap<Pseudonym, (KeyId, SubjectKey)>,
}

impl Custodies {
    /// The names and keys that an event's own is wrapped under, in the order of the names; nothing
    /// where there is no key for one of its subjects.
    pub fn keepers(&self, subjects: &BTreeSet<Pseudonym>) -> Option<Vec<(String, SubjectKey)>> {
        let keys = subjects.iter().map(|subject| {
            let (id, key) = self.keys.get(subject)?;
            Some((id.to_string(), key.clone()))
        });
        let mut keepers = keys.collect::<Option<Vec<_>>>()?;
        keepers.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Some(keepers)
    }
}

impl Api {
    /// Finds out who events are about, and sees to it that a majority has keys for them. What was
    /// erased or declared personal meanwhile, the ledger tells when it is asked to take the events.
    pub(super) async fn custodies(
        &self,
        work: &Arc<Work>,
        turn: &Arc<Turn>,
    ) -> Result<Custodies, ApiError> {
        let personal = self.personal.now();
        let mut custodies = Custodies {
            personal: personal.version,
            ..Custodies::default()
        };
        let (working, about) = (Arc::clone(turn), Arc::clone(work));
        let found = tokio::task::spawn_blocking(move || {
            let _turn = working;
            let events = about.parsed.document.events.iter();
            let subjects = events.map(|event| personal.subjects_of(event, &about.secret));
            subjects.collect::<Vec<_>>()
        });
        custodies.subjects = found
            .await
            .map_err(|error| ApiError::Internal(error.to_string()))?;
        // Events of too many are refused when they are sealed: nobody makes keys for them.
        let sealed = custodies.subjects.iter();
        let sealed = sealed.filter(|subjects| subjects.len() <= SUBJECTS_MAX);
        let all: BTreeSet<Pseudonym> = sealed.flatten().copied().collect();
        if all.is_empty() {
            return Ok(custodies);
        }
        if all.len() > CAPTURE_SUBJECTS_MAX {
            return Err(ApiError::BadRequest(format!(
                "the events are about {} subjects: at most {CAPTURE_SUBJECTS_MAX} in one capture",
                all.len()
            )));
        }
        self.require_version(VERSION_OF_SUBJECTS)?;
        let here = Consistency::Local { age_max: None };
        let generations = self
            .cluster
            .read(here, move |state| subjects::generations(state, &all))
            .await?;
        custodies.keys = match self.keeper.keys_for(generations.value.clone()).await {
            Err(KeysError::Outdated) => {
                // This node's state is behind its own store by a moment: as of now, it is not.
                let all = generations.value.into_keys().collect();
                let now = self.read(move |state| subjects::generations(state, &all));
                self.keeper.keys_for(now.await?).await?
            }
            keys => keys?,
        };
        Ok(custodies)
    }
}
