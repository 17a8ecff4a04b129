//! A stream that may only bring as much as it was granted: what lies about its length fills no memory.

use std::io::{Error, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that may still come.
#[derive(Clone)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Grants another reply of `bytes`. What is left of earlier ones counts, up to `replies` of them.
    pub fn grant(&self, bytes: usize, replies: usize) {
        let granted = |left: usize| Some((left + bytes).min(bytes * replies));
        // It is never refused.
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, granted);
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let rest = |left: usize| left.checked_sub(bytes);
        let taken = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, rest);
        taken
            .map(drop)
            .map_err(|_| Error::other("more came than was asked for"))
    }
}

/// A stream with an allowance.
pub(super) struct Bounded<S> {
    stream: S,
    allowance: Allowance,
}

impl<S> Bounded<S> {
    pub fn new(stream: S, allowance: Allowance) -> Self {
        Self { stream, allowance }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.allowance.take(buffer.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_granted_is_read_and_not_a_byte_more() {
        let allowance = Allowance::new(10);
        let mut stream = Bounded::new(&[7_u8; 1000][..], allowance.clone());
        let mut read = [0; 10];
        stream.read_exact(&mut read).await.unwrap();
        assert!(stream.read_exact(&mut [0; 1]).await.is_err());
        // Nothing that is not used piles up.
        for _ in 0..100 {
            allowance.grant(10, 3);
        }
        let mut read = [0; 30];
        stream.read_exact(&mut read).await.unwrap();
        assert!(stream.read_exact(&mut [0; 1]).await.is_err());
    }
}
