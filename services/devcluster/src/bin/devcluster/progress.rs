//! Saying what takes long.

use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

/// How long it may be quiet.
const QUIET: Duration = Duration::from_secs(2);

/// Awaits something, and says every two seconds what is still awaited. Goes to the standard error,
/// so that the standard output holds results only.
pub async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + QUIET, QUIET);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            _ = ticks.tick() => eprintln!("  still {what} ({} s)", begun.elapsed().as_secs()),
        }
    }
}
