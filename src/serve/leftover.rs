//! What of a body nobody has read when the answer is there. A client that writes all it has before it reads
//! would see its connection reset in place of the answer, and so would one behind a proxy. So the rest is
//! read and thrown away: up to a number of bytes, and within the time a body has anyhow.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::Instant;

/// Bytes that are thrown away; whoever sends more is cut off.
const MOST: usize = 8 * 1024 * 1024;

#[derive(Debug)]
struct Rest {
    /// `None` once it was read to its end.
    body: Option<Incoming>,
    /// Whether the client sends it: one that has said `Expect: 100-continue` waits to be asked.
    is_sent: bool,
}

/// A body whose rest somebody else can take.
#[derive(Debug, Clone)]
pub(super) struct Leftover(Arc<Mutex<Rest>>);

impl Leftover {
    /// Parts a request from its body, which it gets back in a form that leaves the rest here.
    pub(super) fn of(request: hyper::Request<Incoming>) -> (hyper::Request<Body>, Option<Self>) {
        if request.body().is_end_stream() {
            return (request.map(|_nothing| Body::empty()), None);
        }
        let expects = request.headers().contains_key(hyper::header::EXPECT);
        let mut rest = None;
        let request = request.map(|body| {
            let shared = Self(Arc::new(Mutex::new(Rest {
                body: Some(body),
                is_sent: !expects,
            })));
            rest = Some(shared.clone());
            Body::new(shared)
        });
        (request, rest)
    }

    fn lock(&self) -> MutexGuard<'_, Rest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is still to come, if anything is.
    pub(super) fn take(&self) -> Option<Incoming> {
        let mut rest = self.lock();
        let body = rest.body.take()?;
        (rest.is_sent && !body.is_end_stream()).then_some(body)
    }
}

impl HttpBody for Leftover {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut rest = self.lock();
        rest.is_sent = true;
        let Some(body) = &mut rest.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            rest.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.lock();
        rest.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.lock();
        let known = rest.body.as_ref().map(Incoming::size_hint);
        known.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

/// Throws a body away.
pub(super) async fn discard(mut body: Incoming, until: Instant) {
    let mut left = MOST;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(bytes) else {
                return;
            };
            left = rest;
        }
    };
    // What is not there by then is not waited for: the connection is closed.
    drop(tokio::time::timeout_at(until, reading).await);
}
