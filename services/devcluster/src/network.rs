//! The network between the nodes, with faults on demand and without root.
//!
//! Each node lives on a loopback address of its own and advertises a second one, where a proxy of
//! ours listens on the node's port numbers. Nodes dial from their own address (the catalogue's
//! `{source}`), so the proxy knows who calls, and every ordered pair of nodes is a [`Link`] with
//! [`Conditions`] of its own. A link speaks of the connections that `from` *opens* to `to`, with
//! the bytes of both directions: `Stall` on it means that `from` cannot call `to`, while `to` may
//! still call `from`.
//!
//! A call from an address that is no node's is reset: a node that does not dial from its own
//! address is found by its first call, instead of slipping through a partition.

mod carry;
mod link;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
pub use link::{Conditions, Flow, Link};

/// How long to wait before accepting again after an accept failed (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The proxies of a cluster. They run on a thread of their own, so that a test that blocks does not
/// become a fault of the network.
#[derive(Debug)]
pub struct Network {
    shared: Arc<Shared>,
    /// Stops the proxies of a node.
    listeners: BTreeMap<String, CancellationToken>,
    /// Present until dropped.
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Shared {
    links: Mutex<BTreeMap<(String, String), Link>>,
    names: Mutex<BTreeMap<IpAddr, String>>,
}

/// Where a node is, and where the others find it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) host: IpAddr,
    pub(crate) advertised_host: IpAddr,
    pub(crate) ports: BTreeSet<u16>,
}

impl Network {
    pub(crate) fn new() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("devcluster-network")
            .enable_all()
            .build()
            .map_err(|source| Error::Proxy {
                address: "any".to_owned(),
                source,
            })?;
        Ok(Self {
            shared: Arc::default(),
            listeners: BTreeMap::new(),
            runtime: Some(runtime),
        })
    }

    /// Puts proxies in front of a node. Those that a node of its name left serve it, too: it has the
    /// same addresses.
    pub(crate) fn add(&mut self, place: &Place) -> Result<()> {
        if self.listeners.contains_key(&place.name) {
            return Ok(());
        }
        let runtime = self.runtime.as_ref().expect("present until dropped");
        let _entered = runtime.enter();
        let stop = CancellationToken::new();
        for &port in &place.ports {
            let listen = SocketAddr::new(place.advertised_host, port);
            let failed = |source| Error::Proxy {
                address: listen.to_string(),
                source,
            };
            let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            let target = SocketAddr::new(place.host, port);
            let accepting = accept(
                listener,
                place.name.clone(),
                target,
                Arc::clone(&self.shared),
            );
            let stop = stop.clone();
            runtime.spawn(async move { stop.run_until_cancelled(accepting).await });
        }
        lock(&self.shared.names).insert(place.host, place.name.clone());
        self.listeners.insert(place.name.clone(), stop);
        Ok(())
    }

    /// Takes the proxies of a node away; its open connections are reset.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(stop) = self.listeners.remove(name) {
            stop.cancel();
        }
        lock(&self.shared.names).retain(|_, known| known != name);
        lock(&self.shared.links).retain(|(from, to), link| {
            let concerned = from == name || to == name;
            if concerned {
                link.cut();
            }
            !concerned
        });
    }

    /// The connections that `from` opens to `to`.
    #[must_use]
    pub fn link(&self, from: &str, to: &str) -> Link {
        self.shared.link(from, to)
    }

    /// Every link forwards again, without delay or limit; what was held back is delivered.
    pub fn heal(&self) {
        for link in lock(&self.shared.links).values() {
            link.set(Conditions::default());
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // An ordinary drop would block, which is forbidden inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn link(&self, from: &str, to: &str) -> Link {
        lock(&self.links)
            .entry((from.to_owned(), to.to_owned()))
            .or_default()
            .clone()
    }

    fn name_of(&self, host: IpAddr) -> Option<String> {
        lock(&self.names).get(&host).cloned()
    }
}

async fn accept(listener: TcpListener, to: String, target: SocketAddr, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((client, caller)) => match shared.name_of(caller.ip()) {
                Some(from) => {
                    let link = shared.link(&from, &to);
                    tokio::spawn(carry::carry(client, link, caller.ip(), target));
                }
                None => reset(client),
            },
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Closes a connection so that the other side sees a reset, not an orderly end.
fn reset(stream: TcpStream) {
    // Fails only when the connection is already gone.
    let _ = stream.set_zero_linger();
    drop(stream);
}

/// Dials from a given address, so that the node sees its true caller.
async fn dial(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
