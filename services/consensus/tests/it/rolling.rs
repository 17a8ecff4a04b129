//! Restarting every node in turn while somebody writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use consensus::{ProposeError, RequestId, Session};

use crate::harness::{Field, Seat, eventually};
use crate::register::{Register, add};

/// What a writer saw.
#[derive(Default)]
pub struct Seen {
    pub acknowledged: i64,
    /// Tries that gave no outcome, by kind; each was tried again under its number.
    pub errors: BTreeMap<&'static str, u32>,
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
pub fn write(
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

#[test]
fn a_rolling_restart_in_any_order_keeps_serving_and_loses_and_doubles_nothing() {
    let mut field = Field::formed(3);
    let session = field.nodes[0]
        .block_on(field.nodes[0].cluster().open_session())
        .unwrap();
    let progress = Arc::new(AtomicI64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let seats: Vec<_> = field.nodes.iter().map(|node| node.seat()).collect();
        let (progress, done) = (Arc::clone(&progress), Arc::clone(&done));
        std::thread::spawn(move || write(&seats, session, &progress, &done))
    };
    let step = |what: &str| {
        let before = progress.load(Ordering::Relaxed);
        eventually(what, || progress.load(Ordering::Relaxed) > before + 5);
    };
    for (order, gracefully) in [([0, 1, 2], true), ([2, 0, 1], false), ([1, 2, 0], true)] {
        for at in order {
            step("writes before a restart");
            if gracefully {
                field.nodes[at].stop();
            } else {
                field.nodes[at].crash();
            }
            step("writes while a node is away");
            field.nodes[at].start();
            field.nodes[at].wait_ready();
        }
    }
    step("writes after the last restart");
    done.store(true, Ordering::Relaxed);
    let seen = writer.join().unwrap();
    // A request whose node goes is tried again; none is refused for good.
    for refused in ["expired", "too large", "malformed", "no leader"] {
        assert_eq!(seen.errors.get(refused), None, "{:?}", seen.errors);
    }
    // The last request may have been under way: it was applied or not, and not twice.
    let sum = field.nodes[0].read("sum").unwrap();
    let open = sum - seen.acknowledged;
    assert!(
        (0..=1).contains(&open),
        "{sum} for {} acknowledged",
        seen.acknowledged
    );
    field.assert_equal();
}
