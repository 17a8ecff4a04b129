//! Recalls of a full ledger, each of another batch, so that none is answered from what is kept.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::ensure;
use rand::seq::SliceRandom as _;
use reqwest::Url;
use serde_json::Value;

use super::capture::documents;
use super::queries::{Latencies, REQUESTS, WARM_UP, latencies, time, with_path};

/// Documents that are looked through for batches.
const DOCUMENTS_MAX: usize = 400;

/// Recalls with their proofs, from all nodes in turn.
pub async fn run(
    client: &reqwest::Client,
    urls: &[String],
    sample: &Path,
) -> anyhow::Result<Latencies> {
    eprintln!("provchain: asking for recalls");
    let batches = batches(sample)?;
    let mut questions = Vec::new();
    for (number, batch) in batches.iter().take(REQUESTS + WARM_UP).enumerate() {
        let node = Url::parse(&urls[number % urls.len()])?;
        questions.push(with_path(node, &["api", "v1", "recall", batch])?);
    }
    let times = time(client, &questions).await?;
    // How much they hold, of every tenth.
    let (mut items, mut looked) = (0_usize, 0_usize);
    for url in questions.iter().step_by(10) {
        let dossier: Value = client.get(url.clone()).send().await?.json().await?;
        items += dossier["trace"]["items"].as_array().map_or(0, Vec::len);
        looked += 1;
    }
    ensure!(items > looked, "the recalls find nothing");
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    latencies(&times, 0, questions.len(), items as f64 / looked as f64)
}

/// The batches that events of the sample bring into being or use, in an order of chance.
fn batches(sample: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = documents(sample)?;
    files.shuffle(&mut rand::rng());
    let mut found = BTreeSet::new();
    for file in files.iter().take(DOCUMENTS_MAX) {
        let document: Value = serde_json::from_slice(&std::fs::read(file)?)?;
        let events = document["epcisBody"]["eventList"].as_array();
        for event in events.into_iter().flatten() {
            for list in ["quantityList", "inputQuantityList"] {
                let quantities = event[list].as_array();
                let classes = quantities
                    .into_iter()
                    .flatten()
                    .filter_map(|quantity| quantity["epcClass"].as_str());
                found.extend(classes.map(str::to_owned));
            }
        }
    }
    let mut batches: Vec<String> = found.into_iter().collect();
    ensure!(!batches.is_empty(), "the sample names no batch");
    batches.shuffle(&mut rand::rng());
    Ok(batches)
}
