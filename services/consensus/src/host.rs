//! What a node takes from the machine under it: threads to block on, and randomness.
//!
//! A simulation runs many hosts on one thread, whose clocks only it moves: there work that would
//! block is done in place, and what is random follows from its seed.

mod runtime;
#[cfg(feature = "testing")]
mod simulated;

use std::io::Result;

use tokio::sync::mpsc;
use tokio::task::JoinError;

pub(crate) use self::runtime::Runtime;
#[cfg(feature = "testing")]
pub(crate) use self::simulated::current;
#[cfg(feature = "testing")]
pub use self::simulated::{Host, Wire, enter};

/// Runs work that blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, JoinError> {
    #[cfg(feature = "testing")]
    if current().is_some() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}

/// Hands what comes in on `queue` to `take`, one after the other, on a thread of its own called
/// `name`, until the last sender is gone. `take` may take more from the queue itself.
pub(crate) fn spawn_worker<T: Send + 'static>(
    name: &'static str,
    mut queue: mpsc::Receiver<T>,
    mut take: impl FnMut(T, &mut mpsc::Receiver<T>) + Send + 'static,
) -> Result<()> {
    #[cfg(feature = "testing")]
    if let Some(host) = current() {
        tokio::spawn(async move {
            while let Some(first) = queue.recv().await {
                tokio::time::sleep(host.work_takes(name)).await;
                take(first, &mut queue);
            }
        });
        return Ok(());
    }
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            while let Some(first) = queue.blocking_recv() {
                take(first, &mut queue);
            }
        })?;
    Ok(())
}

/// A random number, for ids and for keys that nobody else may guess.
pub(crate) fn random<T>() -> T
where
    rand::distr::StandardUniform: rand::distr::Distribution<T>,
{
    #[cfg(feature = "testing")]
    if let Some(host) = current() {
        use rand::{RngExt as _, SeedableRng as _};
        return rand::rngs::StdRng::seed_from_u64(host.random()).random();
    }
    rand::random()
}
