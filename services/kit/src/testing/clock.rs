//! A wall clock that jumps.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

static JUMPED_MS: AtomicI64 = AtomicI64::new(0);

/// Moves the wall clock of this process by so many milliseconds, forwards or back.
pub fn jump_clock(ms: i64) {
    JUMPED_MS.fetch_add(ms, Ordering::SeqCst);
}

pub(crate) fn jumped(now: Timestamp) -> Timestamp {
    let by = SignedDuration::from_millis(JUMPED_MS.load(Ordering::SeqCst));
    now.checked_add(by).unwrap_or(now)
}
