//! A request's body that nobody read to its end.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::Version;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;

/// How much of an unwanted body is taken in, and for how long. The time is what bounds the cost;
/// the length lets an ordinary mistake (a file of 100 MB) still get its answer.
const DRAIN_BYTES_MAX: u64 = 256 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A body that, dropped before its end, is read on and thrown away for a short time.
///
/// On HTTP/1.1 a server that answers early (401, 413) and closes while the client is still
/// sending makes TCP reset the connection, and the reset can overtake the answer: the client sees
/// a broken pipe instead of the problem. On HTTP/2 the stream is reset without that danger.
pub(super) struct Drained {
    body: Body,
    /// The version that the danger exists on.
    is_http1: bool,
}

impl Drained {
    pub fn new(body: Body, version: Version) -> Self {
        Self {
            body,
            is_http1: version < Version::HTTP_2,
        }
    }
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if !self.is_http1 || self.body.is_end_stream() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let body = std::mem::take(&mut self.body);
            runtime.spawn(tokio::time::timeout(DRAIN_TIMEOUT, drain(body)));
        }
    }
}

async fn drain(mut body: Body) {
    let mut left = DRAIN_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        left = match left.checked_sub(length) {
            Some(left) => left,
            None => return,
        };
    }
}
