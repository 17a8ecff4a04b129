//! How nodes speak to each other: gRPC, on the port that the system gives to nodes.

pub(crate) mod auth;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod intake;
pub(crate) mod network;
pub(crate) mod server;
mod snapshot;

/// The largest message between peers. A batch of entries is cut well below it.
pub(crate) const MESSAGE_BYTES_MAX: usize = 80 << 20;
