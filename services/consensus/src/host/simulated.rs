//! A host that is simulated: what it stands on is given by the test that runs it.

use std::cell::RefCell;
use std::io::Result;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// One end of a connection.
pub trait Wire: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Wire for T {}

/// What a simulated host stands on.
pub trait Host: Send + Sync {
    /// The next random number.
    fn random(&self) -> u64;
    /// How long the next piece of work of this worker waits: `log` writes and syncs, `apply` changes
    /// the state.
    fn work_takes(&self, worker: &str) -> Duration;
    /// Connects to a `host:port`.
    fn connect(&self, address: &str) -> BoxFuture<'static, Result<Pin<Box<dyn Wire>>>>;
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Host>>> = const { RefCell::new(None) };
}

/// From now on this thread runs nodes on `host`, or, with `None`, on the machine again.
pub fn enter(host: Option<Arc<dyn Host>>) {
    CURRENT.with_borrow_mut(|current| *current = host);
}

pub(crate) fn current() -> Option<Arc<dyn Host>> {
    CURRENT.with_borrow(Clone::clone)
}
