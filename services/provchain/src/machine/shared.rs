//! What of the replicated state the requests of a node see without reading it.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::access::Directory;
use crate::subject::Personal;

/// A part of the state as the requests of a node see it; cheap to clone.
#[derive(Clone, Default)]
pub struct Shared<T>(Arc<RwLock<Arc<T>>>);

/// Who is who.
pub type SharedDirectory = Shared<Directory>;

/// What is personal.
pub type SharedPersonal = Shared<Personal>;

impl<T> Shared<T> {
    /// As it is now.
    #[must_use]
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

/// When named queries and subscriptions last changed, for those who follow them; cheap to clone.
#[derive(Clone, Default)]
pub struct Revision(Arc<watch::Sender<Changed>>);

/// A change of queries or subscriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// How many there have been since the start.
    pub count: u64,
    /// The change can be read once this entry of the log is applied.
    pub index: u64,
}

impl Revision {
    /// How to hear of a change.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Changed> {
        self.0.subscribe()
    }

    pub(super) fn raise(&self, index: u64) {
        self.0.send_modify(|changed| {
            changed.count += 1;
            changed.index = changed.index.max(index);
        });
    }
}
