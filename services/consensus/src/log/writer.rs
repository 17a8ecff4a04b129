//! The log's one writing thread: it performs everything that waits, syncs once, and then answers.

use std::io::{Error, Result};
use std::time::Instant;

use openraft::storage::IOFlushed;
use tokio::sync::{mpsc, oneshot};

use super::{LogIo, Record};
use crate::raft::Types;

/// At most so many operations share a sync, so that no answer waits for ever.
const GROUP_MAX: usize = 1024;

pub(super) enum Operation {
    Append {
        records: Vec<Record>,
        done: Done,
    },
    Vote {
        bytes: Vec<u8>,
        done: Done,
    },
    Truncate {
        from: u64,
        done: Done,
    },
    Purge {
        through: u64,
        bytes: Vec<u8>,
        done: Done,
    },
}

/// Whom to tell.
pub(super) enum Done {
    Flushed(IOFlushed<Types>),
    Wait(oneshot::Sender<Result<()>>),
}

impl Done {
    fn tell(self, result: &std::result::Result<(), String>) {
        let result = result.clone().map_err(Error::other);
        match self {
            Self::Flushed(callback) => callback.io_completed(result),
            // The caller may have given up; the write stands.
            Self::Wait(sender) => drop(sender.send(result)),
        }
    }
}

/// What the thread does with the first operation that waits, and with those behind it. `flushed`
/// learns the index behind the last durable entry.
///
/// After the first error nothing is written any more and every later operation fails with it: what
/// a failed sync left on the disk is unknown, and a retry that succeeds would prove nothing.
pub(super) fn writer(
    mut io: Box<dyn LogIo>,
    flushed: impl Fn(u64) + Send,
) -> impl FnMut(Operation, &mut mpsc::Receiver<Operation>) + Send {
    let mut broken: Option<String> = None;
    let mut group = Vec::with_capacity(GROUP_MAX);
    move |first, operations| {
        group.push(first);
        while group.len() < GROUP_MAX {
            match operations.try_recv() {
                Ok(operation) => group.push(operation),
                Err(_) => break,
            }
        }
        let mut waiting = Vec::with_capacity(group.len());
        let mut next = None;
        let mut entries = 0_usize;
        let mut result = broken.clone().map_or(Ok(()), Err);
        for operation in group.drain(..) {
            let (performed, done) = match operation {
                Operation::Append { records, done } => {
                    entries += records.len();
                    next = records.last().map(|record| record.index + 1).or(next);
                    (if_ok(&result, || io.append(&records)), done)
                }
                Operation::Vote { bytes, done } => (if_ok(&result, || io.save_vote(&bytes)), done),
                Operation::Truncate { from, done } => {
                    next = Some(from);
                    (if_ok(&result, || io.truncate(from)), done)
                }
                Operation::Purge {
                    through,
                    bytes,
                    done,
                } => (if_ok(&result, || io.purge(through, &bytes)), done),
            };
            waiting.push(done);
            if result.is_ok() {
                result = performed.map_err(|error| error.to_string());
            }
        }
        if result.is_ok() {
            let begun = Instant::now();
            result = io.sync().map_err(|error| error.to_string());
            metrics::histogram!("consensus_log_sync_seconds").record(begun.elapsed().as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "a count for a graph")]
            metrics::histogram!("consensus_log_sync_entries").record(entries as f64);
        }
        match &result {
            Ok(()) => {
                if let Some(next) = next {
                    flushed(next);
                }
            }
            Err(error) if broken.is_none() => {
                tracing::error!(error, "the log cannot be written; this node stops");
                metrics::counter!("consensus_log_errors_total").increment(1);
                broken = Some(error.clone());
            }
            Err(_) => {}
        }
        for done in waiting {
            done.tell(&result);
        }
    }
}

fn if_ok(
    result: &std::result::Result<(), String>,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if result.is_ok() { work() } else { Ok(()) }
}
