//! One ordered pair of nodes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// What happens to the connections of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Whether bytes pass at all.
    pub flow: Flow,
    /// How much later bytes arrive, in each direction. About 1 MiB may be under way on one
    /// connection; a long delay therefore also limits the throughput.
    pub delay: Duration,
    /// How many bytes pass in a second, all connections of the link together, in each direction;
    /// `None` is no limit.
    pub bytes_per_second: Option<u32>,
}

/// Whether bytes pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    #[default]
    Forward,
    /// Connections stay open and new ones are accepted, but nothing arrives until the link
    /// forwards again; then everything does, in order.
    Stall,
    /// Open connections are reset, and so is each new one, at once.
    Refuse,
}

/// The connections that one node opens to another.
#[derive(Clone, Debug, Default)]
pub struct Link(Arc<State>);

#[derive(Debug, Default)]
struct State {
    orders: watch::Sender<Orders>,
    /// When the next byte may pass under a limit of bandwidth: calls, and answers.
    free_at: [Mutex<Option<Instant>>; 2],
    connections: AtomicUsize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    conditions: Conditions,
    /// How often the connections have been cut.
    cuts: u64,
}

/// Which way bytes go on a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Calls,
    Answers,
}

impl Link {
    /// Sets the conditions, for open connections too. What is being written at this moment may
    /// still arrive, as on a real wire.
    pub fn set(&self, conditions: Conditions) {
        self.0
            .orders
            .send_modify(|orders| orders.conditions = conditions);
    }

    /// Changes whether bytes pass, and leaves delay and bandwidth as they are.
    pub fn set_flow(&self, flow: Flow) {
        self.0
            .orders
            .send_modify(|orders| orders.conditions.flow = flow);
    }

    /// The conditions as they are.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        self.0.orders.borrow().conditions
    }

    /// Resets the open connections, once; new ones are served under the same conditions.
    pub fn cut(&self) {
        self.0.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// How many connections are open now, stalled ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Counts a connection for as long as the value lives.
    pub(super) fn count(&self) -> Counted {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    /// Watches for an order that resets the connections that are open at this moment.
    pub(super) fn severed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut orders = self.0.orders.subscribe();
        let cuts = orders.borrow().cuts;
        async move {
            // The sender lives as long as the link, which the connection holds.
            let _ = orders
                .wait_for(|now| now.cuts > cuts || now.conditions.flow == Flow::Refuse)
                .await;
        }
    }

    /// Waits until bytes pass.
    pub(super) async fn forwarding(&self) {
        let mut orders = self.0.orders.subscribe();
        let _ = orders
            .wait_for(|now| now.conditions.flow == Flow::Forward)
            .await;
    }

    /// Waits for the turn of so many bytes under the limit of bandwidth.
    pub(super) async fn pace(&self, bytes: usize, way: Way) {
        let Some(per_second) = self.conditions().bytes_per_second else {
            return;
        };
        let cost = Duration::from_secs_f64(bytes as f64 / f64::from(per_second.max(1)));
        let turn = {
            let mut free_at = self.0.free_at[way as usize]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let turn = free_at.map_or_else(Instant::now, |at| at.max(Instant::now())) + cost;
            *free_at = Some(turn);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

/// A connection that is counted.
pub(super) struct Counted(Link);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
