//! The ends of connections.

use std::io::{ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::What;
use crate::simulation::world::{Host, Time, lock};

/// One end of a connection.
pub struct End {
    host: Arc<Host>,
    reads: u64,
    writes: u64,
    ended: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl End {
    pub fn new(host: &Arc<Host>, reads: u64, writes: u64) -> Self {
        Self {
            host: Arc::clone(host),
            reads,
            writes,
            ended: false,
            sleep: None,
        }
    }

    fn end(&mut self, now: Time) {
        if self.host.is_alive() && !std::mem::replace(&mut self.ended, true) {
            let mut network = lock(&self.host.world.network);
            network.send(self.writes, now, What::End);
        }
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        loop {
            let host = Arc::clone(&self.host);
            let mut network = lock(&host.world.network);
            let pipe = network.pipes.get_mut(&self.reads).unwrap();
            let arrives = pipe.segments.front().and_then(|segment| segment.at);
            let Some(at) = arrives else {
                pipe.reader = Some(context.waker().clone());
                return Poll::Pending;
            };
            let at = host.shows(at);
            if at <= tokio::time::Instant::now() {
                self.sleep = None;
                let Some(segment) = pipe.segments.front_mut() else {
                    return Poll::Pending;
                };
                match &mut segment.what {
                    What::Bytes(bytes) => {
                        let length = bytes.len().min(buffer.remaining());
                        buffer.put_slice(&bytes[..length]);
                        bytes.advance(length);
                        if bytes.is_empty() {
                            pipe.segments.pop_front();
                        }
                        return Poll::Ready(Ok(()));
                    }
                    What::End => return Poll::Ready(Ok(())),
                    What::Reset => return Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                }
            }
            // Something else may arrive before: a reset.
            pipe.reader = Some(context.waker().clone());
            drop(network);
            let sleep = self
                .sleep
                .insert(Box::pin(tokio::time::sleep_until(at)))
                .as_mut();
            if sleep.poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        if !self.host.is_alive() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let now = self.host.now();
        let mut network = lock(&self.host.world.network);
        let pipe = &network.pipes[&self.writes];
        if pipe.nobody_reads {
            let (link, answers) = (pipe.link, network.answers(pipe.link.1));
            let heard = answers && !network.link(link).cut;
            return Poll::Ready(if heard {
                Err(ErrorKind::BrokenPipe.into())
            } else {
                Ok(bytes.len())
            });
        }
        network.send(self.writes, now, What::Bytes(Bytes::copy_from_slice(bytes)));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Result<()>> {
        let now = self.host.now();
        self.end(now);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Where the host goes down it is no runtime's time any more.
        let now = self.host.world.now();
        self.end(now);
        let mut network = lock(&self.host.world.network);
        if let Some(pipe) = network.pipes.get_mut(&self.reads) {
            pipe.nobody_reads = true;
            pipe.segments.clear();
        }
    }
}
