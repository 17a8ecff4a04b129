//! Restarting every node in turn while somebody writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;

use consensus::{ProposeError, RequestId, Session};

use crate::harness::{Field, Seat, eventually};
use crate::register::{Register, add};

/// What a writer saw.
#[derive(Default)]
struct Seen {
    acknowledged: i64,
    /// Tries that gave no outcome, by kind; each was tried again under its number.
    errors: BTreeMap<&'static str, u32>,
}

fn kind(error: &ProposeError) -> &'static str {
    match error {
        ProposeError::NoLeader { .. } => "no leader",
        ProposeError::Unknown(_) => "unknown",
        ProposeError::Expired => "expired",
        ProposeError::Halted(_) => "halted",
        ProposeError::TooLarge { .. } => "too large",
        ProposeError::NoRoom(_) => "no room",
        ProposeError::Busy { .. } => "busy",
        ProposeError::Malformed(_) => "malformed",
    }
}

/// Adds one after the other until told to stop, each as often as it takes, on whatever node is up.
fn write(
    seats: &[Seat<Register>],
    session: Session,
    progress: &AtomicI64,
    done: &AtomicBool,
) -> Seen {
    let mut seen = Seen::default();
    let mut turn = 0;
    let mut number = 1;
    while !done.load(Ordering::Relaxed) {
        let request = RequestId {
            session,
            number,
            settled_below: number,
        };
        let tried = seats[turn % seats.len()]
            .ask(move |cluster| async move { cluster.propose_once(request, &add("sum", 1)).await });
        match tried {
            Some(Ok(proposed)) => {
                seen.acknowledged += 1;
                assert_eq!(
                    proposed.reply.value, seen.acknowledged,
                    "an add was lost or doubled"
                );
                progress.store(seen.acknowledged, Ordering::Relaxed);
                number += 1;
                continue;
            }
            Some(Err(error)) => *seen.errors.entry(kind(&error)).or_default() += 1,
            None => *seen.errors.entry("down").or_default() += 1,
        }
        turn += 1;
    }
    seen
}

/// Somebody who writes to a field while something is done to it.
pub struct Writer {
    progress: Arc<AtomicI64>,
    done: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Writer {
    pub fn start(field: &Field) -> Self {
        let first = &field.nodes[0];
        let session = first.block_on(first.cluster().open_session()).unwrap();
        let seats: Vec<_> = field.nodes.iter().map(|node| node.seat()).collect();
        let progress = Arc::new(AtomicI64::new(0));
        let done = Arc::new(AtomicBool::new(false));
        let thread = {
            let (progress, done) = (Arc::clone(&progress), Arc::clone(&done));
            std::thread::spawn(move || write(&seats, session, &progress, &done))
        };
        Self {
            progress,
            done,
            thread,
        }
    }

    /// Waits until more is written.
    pub fn step(&self, what: &str) {
        let before = self.progress.load(Ordering::Relaxed);
        eventually(what, || self.progress.load(Ordering::Relaxed) > before + 5);
    }

    /// Stops: no try has ended in any of the `refusals`, and the nodes hold what was acknowledged.
    pub fn finish(self, field: &Field, refusals: &[&str]) {
        self.done.store(true, Ordering::Relaxed);
        let seen = self.thread.join().unwrap();
        for refused in refusals {
            assert_eq!(seen.errors.get(refused), None, "{:?}", seen.errors);
        }
        // The last request may have been under way: it was applied or not, and not twice.
        let (sum, acknowledged) = (field.nodes[0].read("sum").unwrap(), seen.acknowledged);
        assert!(
            (0..=1).contains(&(sum - acknowledged)),
            "{sum} for {acknowledged} acknowledged"
        );
        field.assert_equal();
    }
}

#[test]
fn a_rolling_restart_in_any_order_keeps_serving_and_loses_and_doubles_nothing() {
    let mut field = Field::formed(3);
    let writer = Writer::start(&field);
    for (order, gracefully) in [([0, 1, 2], true), ([2, 0, 1], false), ([1, 2, 0], true)] {
        for at in order {
            writer.step("writes before a restart");
            if gracefully {
                field.nodes[at].stop();
            } else {
                field.nodes[at].crash();
            }
            writer.step("writes while a node is away");
            field.nodes[at].start();
            field.nodes[at].wait_ready();
        }
    }
    writer.step("writes after the last restart");
    // A request whose node goes is tried again; none is refused for good.
    writer.finish(&field, &["expired", "too large", "malformed", "no leader"]);
}
