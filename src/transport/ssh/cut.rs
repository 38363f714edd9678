//! `Cut`: a stream that can be cut from outside.
//!
//! The library's own task holds the stream and cannot be cancelled: while it waits for a silent server
//! or a full socket it would live on for as long as TCP does. Cutting makes its next read or write fail.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What a connection runs over: a socket, or a channel of the stop before.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A stream that fails as soon as its token is cancelled.
pub(super) struct Cut {
    inner: Box<dyn Stream>,
    token: Pin<Box<WaitForCancellationFutureOwned>>,
    done: bool,
}

impl Cut {
    pub(super) fn new(inner: Box<dyn Stream>, token: CancellationToken) -> Self {
        Self {
            inner,
            token: Box::pin(token.cancelled_owned()),
            done: false,
        }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.done = self.done || self.token.as_mut().poll(cx).is_ready();
        if self.done {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cut {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_waiting_read_fails_when_the_stream_is_cut() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let token = CancellationToken::new();
        let mut stream = Cut::new(Box::new(ours), token.clone());
        let mut byte = [0; 1];
        let cutting = async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            token.cancel();
        };
        let (read, ()) = tokio::join!(stream.read(&mut byte), cutting);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
