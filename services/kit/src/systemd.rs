//! systemd's `Type=notify`: READY, STOPPING, STATUS and the watchdog.
//!
//! Everything here does nothing when the process was not started by systemd (`NOTIFY_SOCKET` is
//! not set), so a service calls it without asking.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

use crate::shutdown::Shutdown;

/// Tells systemd that the service serves, and what `systemctl status` shows.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Changes what `systemctl status` shows.
pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// Tells systemd when `shutdown` is requested and, if the unit has `WatchdogSec=`, says WATCHDOG=1
/// in half of that time as long as `is_alive` is true: a process that hangs, or that knows that
/// it cannot go on, is restarted. Ends with the shutdown's deadline.
pub fn watch(shutdown: Shutdown, is_alive: impl Fn() -> bool + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        let stopping = async {
            shutdown.requested().await;
            let reason = shutdown.reason().unwrap_or_default();
            send(&[
                NotifyState::Stopping,
                NotifyState::Status(&format!("stopping: {reason}")),
            ]);
            shutdown.deadline_passed().await;
        };
        tokio::select! {
            () = stopping => {}
            () = feed_watchdog(is_alive) => {}
        }
    })
}

async fn feed_watchdog(is_alive: impl Fn() -> bool) {
    let Some(timeout) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval((timeout / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        if is_alive() {
            send(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("not alive: leaving the watchdog to systemd");
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
