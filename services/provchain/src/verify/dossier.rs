//! Checking the dossier of a recall: its trace, and then that everything else follows from that.

use serde::Serialize;

use super::answer;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::ProofFile;
use crate::recall::Dossier;
use crate::trace::Direction;

/// Works a dossier out again from the entries of its `proof`, which has to hold under `checkpoint`.
///
/// # Errors
/// What the dossier says otherwise than these entries.
pub fn check(
    dossier: &Dossier,
    proof: &ProofFile,
    checkpoint: &Checkpoint,
    trusted: &[VerifierKey],
) -> Result<(), Vec<String>> {
    let found = answer::check(&dossier.trace, proof, checkpoint, trusted)?;
    if dossier.trace.direction != Direction::Down {
        return Err(vec!["direction: a recall looks down".to_owned()]);
    }
    let again = Dossier::new(dossier.trace.clone(), &found.lineage);
    let differences = [
        single("format", &dossier.format, &again.format),
        single("version", &dossier.version, &again.version),
        single("question", &dossier.question, &again.question),
        single("asOf", &dossier.as_of, &again.as_of),
        single("summary", &dossier.summary, &again.summary),
        answer::difference("batches", &dossier.batches, &again.batches),
        answer::difference("instances", &dossier.instances, &again.instances),
        answer::difference("places", &dossier.places, &again.places),
        answer::difference("parties", &dossier.parties, &again.parties),
    ];
    let differences: Vec<String> = differences.into_iter().flatten().collect();
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences)
    }
}

fn single<T: Serialize>(what: &str, said: &T, found: &T) -> Option<String> {
    answer::difference(
        what,
        std::slice::from_ref(said),
        std::slice::from_ref(found),
    )
}
