//! A realistic supply chain to try the ledger with.
//!
//! Farms deliver milk and fruit; processors make cheese, yoghurt and juice of it in several
//! steps, fill packs, put packs in cases and cases on pallets; distributors unpack the pallets and
//! make up others for each shop; shops sell. All five types of events occur, half of the companies
//! write EPC URNs and half GS1 Digital Links, loggers on the pallets keep temperatures. One farm's
//! batch turns out to be contaminated: the last event recalls it.
//!
//! The same seed gives the same bytes on every machine. Beside the events, [`Truth`] says what
//! became of the batch: it is kept by the makers of the goods, as it were, not derived from the
//! events.
//!
//! ```
//! use provchain::epcis::{Limits, capture};
//! use provchain::sample::Sample;
//!
//! let mut sample = Sample::new(500, 7);
//! for document in sample.documents(100) {
//!     let body = serde_json::to_vec(&document).unwrap();
//!     assert_eq!(capture::parse(&body, &Limits::default()).unwrap().events.len(), 100);
//! }
//! assert_eq!(sample.truth().events, 500);
//! ```

mod draft;
mod random;
mod run;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::epcis::time::Timestamp;
use crate::rdf::terms::CONTEXT_URLS;
use draft::Draft;
use random::Random;
pub use truth::{Batch, Chain, Retailer, Truth};
use world::{Actor, World};

/// When the first run begins: 2026-01-05, 06:00 UTC.
pub const START: Timestamp = Timestamp {
    unix_micros: 1_767_592_800_000_000,
};

/// Time between the beginnings of two runs.
const BETWEEN_RUNS_MICROS: i64 = 36 * 3_600_000_000;

/// The events of a sample, in the order of their times, and what is true of them.
#[derive(Debug)]
pub struct Sample {
    events: usize,
    chain: run::Chain,
    ids: Random,
    next_run: Timestamp,
    /// Events of runs that have begun, by time and by the order in which they were told.
    pending: BTreeMap<(Timestamp, usize), Draft>,
    told: usize,
    truth: Truth,
    last: Timestamp,
}

impl Sample {
    /// A sample of `events` events.
    pub fn new(events: usize, seed: u64) -> Self {
        Self {
            events,
            chain: run::Chain::new(seed),
            ids: Random::new(seed ^ 0x5eed),
            next_run: START,
            pending: BTreeMap::new(),
            told: 0,
            truth: Truth {
                seed,
                ..Truth::default()
            },
            last: START,
        }
    }

    /// What is true of the events taken so far.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The remaining events in EPCIS documents of up to `batch` events.
    pub fn documents(&mut self, batch: usize) -> impl Iterator<Item = Value> + '_ {
        let batch = batch.max(1);
        std::iter::from_fn(move || {
            let events: Vec<Value> = self.take(batch).collect();
            (!events.is_empty()).then(|| {
                json!({
                    "@context": context(),
                    "type": "EPCISDocument",
                    "schemaVersion": "2.0",
                    "creationDate": self.last.to_string(),
                    "epcisBody": { "eventList": events },
                })
            })
        })
    }

    fn take(&mut self, count: usize) -> impl Iterator<Item = Value> + '_ {
        std::iter::Iterator::take(self, count)
    }

    /// The next event by time. Runs begin until nothing later can come before it.
    fn next_draft(&mut self) -> Option<Draft> {
        while self
            .pending
            .first_key_value()
            .is_none_or(|((time, _), _)| *time >= self.next_run)
        {
            for draft in self.chain.run(self.next_run) {
                self.told += 1;
                self.pending.insert((draft.time, self.told), draft);
            }
            self.next_run.unix_micros += BETWEEN_RUNS_MICROS;
        }
        self.pending.pop_first().map(|(_, draft)| draft)
    }

    /// The farm calls its batch back.
    fn recall(&self) -> Draft {
        let world = World::new();
        let company = self
            .truth
            .recalled
            .urn
            .rsplit(':')
            .next()
            .unwrap_or_default();
        let is_owner = |farm: &&Actor| company.starts_with(&farm.company);
        let farm = world.farms.iter().find(is_owner).unwrap_or(&world.farms[0]);
        let time = Timestamp {
            unix_micros: self.last.unix_micros + 3_600_000_000,
        };
        Draft::new("ObjectEvent", farm, time)
            .doing("OBSERVE", "holding", "recalled")
            .with(
                "quantityList",
                json!([{ "epcClass": self.truth.recalled.urn }]),
            )
    }
}

impl Iterator for Sample {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        if self.truth.events == self.events {
            return None;
        }
        let is_last = self.truth.events + 1 == self.events && self.truth.events > 0;
        let draft = if is_last {
            self.recall()
        } else {
            self.next_draft()?
        };
        self.last = draft.time;
        self.truth.events += 1;
        let (event, entries) = draft.finish(&mut self.ids);
        for entry in entries {
            self.truth.enter(entry);
        }
        Some(event)
    }
}

/// The `@context` of the documents.
pub fn context() -> Value {
    json!([CONTEXT_URLS[0], { "example": "https://ns.example.com/epcis/" }])
}

/// What [`write()`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Number of document files.
    pub files: usize,
    /// Number of events in them.
    pub events: usize,
    /// Number of bytes in them.
    pub bytes: u64,
    /// Number of shops that the recalled batch reached.
    pub retailers: usize,
}

/// Writes a sample to the folder `dir`, which is made if it is missing: `events-00001.json` and so
/// on, EPCIS documents of up to `batch` events, and `truth.json`.
///
/// # Errors
/// What the file system says; files that were written before stay.
pub fn write(dir: &Path, events: usize, seed: u64, batch: usize) -> io::Result<Summary> {
    std::fs::create_dir_all(dir)?;
    let mut sample = Sample::new(events, seed);
    let (mut files, mut bytes) = (0, 0);
    for document in sample.documents(batch) {
        files += 1;
        let body = serde_json::to_vec(&document)?;
        bytes += body.len() as u64;
        write_file(&dir.join(format!("events-{files:05}.json")), &body)?;
    }
    let truth = sample.truth();
    write_file(&dir.join("truth.json"), &serde_json::to_vec_pretty(truth)?)?;
    Ok(Summary {
        files,
        events: truth.events,
        bytes,
        retailers: truth.retailers.len(),
    })
}

fn write_file(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(body)?;
    file.write_all(b"\n")
}
