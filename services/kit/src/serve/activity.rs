//! What a connection is doing: sending a head, waiting for an answer, nothing.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::Limits;

/// How often a connection whose requests are under way is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How an HTTP/2 connection begins (RFC 9113, section 3.4). `PRI` is no method of HTTP/1.1.
const HTTP2_PREFACE: &[u8] = b"PRI";

/// The requests of one connection, and until when the next must have come.
pub(super) struct Activity {
    limits: Limits,
    state: Mutex<State>,
    head_begun: Notify,
}

struct State {
    in_flight: usize,
    /// The first byte of a head is there, the last is not; so too before the first request.
    in_head: bool,
    /// While nothing is in flight: the end of the head's time, or of the idle time.
    deadline: Instant,
}

impl Activity {
    pub fn new(limits: Limits) -> Self {
        let deadline = Instant::now() + limits.header_read_timeout();
        let state = State {
            in_flight: 0,
            in_head: true,
            deadline,
        };
        Self {
            limits,
            state: Mutex::new(state),
            head_begun: Notify::new(),
        }
    }

    /// A request has come whole.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.with(|state| {
            state.in_flight += 1;
            state.in_head = false;
        });
        InFlight(self.clone())
    }

    /// Completes when a head takes too long, or when no further request comes for too long.
    pub async fn idle(&self) {
        loop {
            let (in_flight, deadline) = self.with(|state| (state.in_flight, state.deadline));
            if in_flight == 0 && deadline <= Instant::now() {
                return;
            }
            let look = if in_flight == 0 {
                deadline
            } else {
                Instant::now() + LOOK
            };
            tokio::select! {
                () = sleep_until(look) => {}
                () = self.head_begun.notified() => {}
            }
        }
    }

    pub async fn nothing_in_flight(&self) {
        while self.with(|state| state.in_flight) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn receive_head(&self) {
        let begun = self.with(|state| {
            let begins = state.in_flight == 0 && !state.in_head;
            if begins {
                state.in_head = true;
                state.deadline = Instant::now() + self.limits.header_read_timeout();
            }
            begins
        });
        if begun {
            self.head_begun.notify_one();
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request under way, until the last byte of its response.
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let idle_timeout = self.0.limits.idle_timeout();
        self.0.with(|state| {
            state.in_flight -= 1;
            state.deadline = Instant::now() + idle_timeout;
        });
    }
}

/// A response's body that keeps its request under way.
pub(super) struct Counted {
    body: Body,
    _in_flight: InFlight,
}

impl Counted {
    pub fn new(body: Body, in_flight: InFlight) -> Self {
        Self {
            body,
            _in_flight: in_flight,
        }
    }
}

impl HttpBody for Counted {
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

/// A stream that tells [`Activity`] when the head of an HTTP/1.1 request begins. On HTTP/2 bytes
/// come without any request, such as the answers to pings; there the idle time alone counts.
pub(super) struct Watched<I> {
    stream: I,
    activity: Arc<Activity>,
    /// How many of the first bytes have been those of HTTP/2; `None` once one was not.
    preface: Option<usize>,
}

impl<I> Watched<I> {
    pub fn new(stream: I, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            preface: Some(0),
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        if let Some(matched) = self.preface {
            let expected = &HTTP2_PREFACE[matched..];
            let common = expected.len().min(bytes.len());
            self.preface = (bytes[..common] == expected[..common]).then_some(matched + common);
        }
        if self.preface.is_none() && !bytes.is_empty() {
            self.activity.receive_head();
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.received(&buffer.filled()[before..]);
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
