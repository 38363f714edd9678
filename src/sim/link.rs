//! A connection that can be cut, or go silent, from outside: what a host that dies, or a cable that
//! is pulled, looks like to its clients.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A TCP connection that ends with a token and stands still while its host is silent.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    reading: Gate,
    writing: Gate,
}

impl Link {
    /// Takes a connection; it is cut when `token` is cancelled, and carries nothing while `silent`
    /// is true.
    pub(super) fn new(
        stream: TcpStream,
        token: &CancellationToken,
        silent: &watch::Receiver<bool>,
    ) -> Self {
        Self {
            stream,
            reading: Gate::new(token, silent),
            writing: Gate::new(token, silent),
        }
    }
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One direction of a connection.
struct Gate {
    silent: watch::Receiver<bool>,
    cut: Waiting,
    /// Present while the host is silent.
    speaks_again: Option<Waiting>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("waits", &self.speaks_again.is_some())
            .finish_non_exhaustive()
    }
}

impl Gate {
    fn new(token: &CancellationToken, silent: &watch::Receiver<bool>) -> Self {
        Self {
            silent: silent.clone(),
            cut: Box::pin(token.clone().cancelled_owned()),
            speaks_again: None,
        }
    }

    /// Ready when bytes may pass; an error when the connection has been cut.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the host went away",
            )));
        }
        loop {
            if let Some(waiting) = &mut self.speaks_again {
                ready!(waiting.as_mut().poll(context));
                self.speaks_again = None;
            }
            if !*self.silent.borrow() {
                return Poll::Ready(Ok(()));
            }
            let mut silent = self.silent.clone();
            self.speaks_again = Some(Box::pin(async move {
                // Fails only when the host is gone, and then the token cuts the connection.
                drop(silent.wait_for(|silent| !*silent).await);
            }));
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.reading.poll_open(context))?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.writing.poll_open(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
