//! One request to stop, seen by every part of a process.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit status after a second signal: 128 + SIGINT, as shells report it.
const EXIT_INTERRUPTED: i32 = 130;

/// Tells every part of the process when to stop, why, and until when. Clones are cheap and share
/// one state.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    token: CancellationToken,
    request: OnceLock<(String, Instant)>,
    grace: Duration,
}

impl Shutdown {
    /// A shutdown that nobody has requested. From the request on, parts have `grace` to finish
    /// what they are doing.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self(Arc::new(Inner {
            token: CancellationToken::new(),
            request: OnceLock::new(),
            grace,
        }))
    }

    /// A shutdown that SIGTERM or SIGINT requests. A second signal ends the process at once.
    ///
    /// SIGXFSZ is taken away too: a file that may not grow is an error of the write, as a full disk
    /// is, and no reason to end in the middle of anything.
    ///
    /// # Errors
    /// When signal handlers cannot be installed, or outside a tokio runtime with IO.
    pub fn on_signals(grace: Duration) -> io::Result<Self> {
        let shutdown = Self::new(grace);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // The handler stays for as long as the process.
        drop(signal(SignalKind::from_raw(
            rustix::process::Signal::XFSZ.as_raw(),
        ))?);
        let requested = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if requested.is_requested() {
                    tracing::warn!(signal = name, "a second signal: ending at once");
                    #[expect(clippy::disallowed_methods, reason = "the operator asked twice")]
                    std::process::exit(EXIT_INTERRUPTED);
                }
                requested.request(name);
            }
        });
        Ok(shutdown)
    }

    /// Requests the shutdown. Only the first reason counts.
    pub fn request(&self, reason: impl Into<String>) {
        let reason = reason.into();
        if self.0.request.set((reason.clone(), Instant::now())).is_ok() {
            tracing::info!(reason, grace_ms = self.0.grace.as_millis(), "shutting down");
            self.0.token.cancel();
        }
    }

    /// Completes once the shutdown has been requested.
    pub async fn requested(&self) {
        self.0.token.cancelled().await;
    }

    /// The same as a future that owns what it waits for.
    pub fn requested_owned(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.token.clone().cancelled_owned()
    }

    /// True once the shutdown has been requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// Why the shutdown was requested.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.request.get().map(|(reason, _)| reason.as_str())
    }

    /// When everything must have ended; `None` before the request.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.request.get().map(|(_, at)| *at + self.0.grace)
    }

    /// Completes at the deadline, so never before the request.
    pub async fn deadline_passed(&self) {
        self.requested().await;
        let deadline = self.deadline().unwrap_or_else(Instant::now);
        tokio::time::sleep_until(deadline.into()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_sees_the_first_reason_only() {
        let shutdown = Shutdown::new(Duration::ZERO);
        let other = shutdown.clone();
        assert!(!other.is_requested() && other.deadline().is_none());
        shutdown.request("maintenance");
        shutdown.request("boredom");
        other.requested().await;
        other.deadline_passed().await;
        assert_eq!(other.reason(), Some("maintenance"));
    }
}
