//! The history as it was read last, so that many readers cost the database no more than one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::report::History;
use crate::store::Store;

/// How long a history is told again, and how long a failure is.
const KEPT: Duration = Duration::from_secs(2);

type Known = Arc<Result<History, String>>;

/// The history, or why there is none.
pub struct Kept {
    store: Option<Arc<Store>>,
    days: u32,
    /// Held while the database is asked: all others wait for the same answer.
    known: Mutex<Option<(Instant, Known)>>,
}

impl Kept {
    /// A history of so many days.
    #[must_use]
    pub fn new(store: Option<Arc<Store>>, days: u32) -> Self {
        Self {
            store,
            days,
            known: Mutex::new(None),
        }
    }

    /// The history, as it was at most two seconds ago.
    pub async fn history(&self) -> Known {
        let mut known = self.known.lock().await;
        if let Some((at, history)) = &*known
            && at.elapsed() < KEPT
        {
            return Arc::clone(history);
        }
        let read = match &self.store {
            Some(store) => store.history(kit::clock::now(), self.days).await,
            None => return Arc::new(Err("no database is configured".to_owned())),
        };
        let read = read.map_err(|error| error.to_string());
        available(read.is_ok());
        let history = Arc::new(read);
        *known = Some((Instant::now(), Arc::clone(&history)));
        history
    }

    /// Reads it anew the next time.
    pub async fn forget(&self) {
        *self.known.lock().await = None;
    }
}

/// States whether there is a history now.
pub fn available(there: bool) {
    metrics::gauge!("status_history_available").set(if there { 1.0 } else { 0.0 });
}
