//! Wires between nodes that can be cut: a proxy before each node, which tells callers apart by the
//! address that they call from.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Caller and called, as places in the field.
type Pair = (usize, usize);

pub struct Wires {
    runtime: tokio::runtime::Runtime,
    cut: watch::Sender<HashSet<Pair>>,
    torn: watch::Sender<u64>,
}

/// The address that the node at `place` calls from.
pub fn source(place: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, u8::try_from(place + 1).unwrap()))
}

impl Wires {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            cut: watch::Sender::default(),
            torn: watch::Sender::default(),
        }
    }

    /// Lays a wire to the node at `place`, which listens at `real`; gives the address for others.
    pub fn lay(&self, place: usize, real: SocketAddr) -> SocketAddr {
        let (cut, torn) = (self.cut.subscribe(), self.torn.clone());
        let listener = self
            .runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        self.runtime.spawn(async move {
            while let Ok((stream, caller)) = listener.accept().await {
                let pair = (0..64)
                    .find(|from| source(*from) == caller.ip())
                    .map(|from| (from, place));
                let (cut, mut torn) = (cut.clone(), torn.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(stream, real, pair, cut) => {}
                        _ = torn.changed() => {}
                    }
                });
            }
        });
        address
    }

    /// Nothing that `from` sends to `to`, and no answer to it, arrives any more.
    pub fn cut(&self, from: usize, to: usize) {
        self.cut.send_modify(|cut| {
            cut.insert((from, to));
        });
    }

    /// Cuts all wires from and to the node at `place`.
    pub fn isolate(&self, place: usize, nodes: usize) {
        for other in (0..nodes).filter(|other| *other != place) {
            self.cut(place, other);
            self.cut(other, place);
        }
    }

    /// Ends every connection; new ones are carried as before.
    pub fn tear(&self) {
        self.torn.send_modify(|torn| *torn += 1);
    }

    pub fn heal(&self) {
        self.cut.send_modify(HashSet::clear);
    }
}

async fn carry(
    near: TcpStream,
    real: SocketAddr,
    pair: Option<Pair>,
    cut: watch::Receiver<HashSet<Pair>>,
) {
    let Ok(far) = TcpStream::connect(real).await else {
        return;
    };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        () = copy(near_in, far_out, pair, cut.clone()) => {}
        () = copy(far_in, near_out, pair, cut) => {}
    }
}

/// Stalls while the wire is cut, as lost packets do, and ends with either side.
async fn copy(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    pair: Option<Pair>,
    mut cut: watch::Receiver<HashSet<Pair>>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(read) if read > 0 => read,
            _ => return,
        };
        let whole = cut.wait_for(|cut| pair.is_none_or(|pair| !cut.contains(&pair)));
        if whole.await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
