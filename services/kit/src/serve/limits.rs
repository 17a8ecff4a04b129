use std::time::Duration;

use axum::Router;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer;

/// What a client may take from a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time, WebSockets included; more are refused with 503.
    #[schemars(range(min = 1))]
    pub connections_max: u32,
    /// Time to send the head of a request, to complete a TLS handshake, and to begin the first
    /// request of a connection, in milliseconds.
    pub header_read_timeout_ms: u64,
    /// Time from the head of a request to the head of its response, in milliseconds; 408 then.
    /// Does not apply to streams and WebSockets.
    pub request_timeout_ms: u64,
    /// Length of a request's body in bytes; 413 beyond. Does not apply to streams and WebSockets.
    pub body_bytes_max: u64,
    /// Time that a connection may stay open without a request, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Time that a client may read nothing of what is sent to it, in milliseconds.
    pub write_stall_timeout_ms: u64,
    /// Concurrent requests of one HTTP/2 connection.
    pub http2_streams_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            header_read_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            body_bytes_max: 8 * 1024 * 1024,
            idle_timeout_ms: 75_000,
            write_stall_timeout_ms: 30_000,
            http2_streams_max: 256,
        }
    }
}

impl Limits {
    /// Puts the limits of a request on every route of `router`: time, body, panics; and makes
    /// every error a problem document, those of unknown routes and methods included. axum allows
    /// one answer for unknown routes: of two routers that are merged, only one goes through here.
    pub fn layer<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        layer::limit(router, *self)
    }

    pub(super) fn header_read_timeout(&self) -> Duration {
        Duration::from_millis(self.header_read_timeout_ms)
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(super) fn write_stall_timeout(&self) -> Duration {
        Duration::from_millis(self.write_stall_timeout_ms)
    }
}
