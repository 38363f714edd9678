//! Bodies: each is read whole before a handler runs, within its size and its time.
//!
//! What arrives is copied together. A piece of a body is a slice of the buffer it was read into and keeps
//! all of that: whoever sends a byte at a time would make the server hold kilobytes for each.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;

use super::error::refuse;
use super::state::ServeState;
use crate::domain::error_kind::ErrorKind;

/// Why there is no whole body.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    TooLarge,
    Cut,
}

/// Reads a body to its end, at most so many bytes.
async fn read<B>(body: B, most: usize) -> Result<Bytes, Unread>
where
    B: HttpBody<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Unread::Cut);
        };
        if let Some(piece) = frame.data_ref() {
            if piece.len() > most.saturating_sub(whole.len()) {
                return Err(Unread::TooLarge);
            }
            whole.extend_from_slice(piece);
        }
    }
    Ok(whole.into())
}

/// Middleware: reads the whole body before a handler runs, within its size and its time.
pub(super) async fn whole(
    State(state): State<ServeState>,
    request: Request,
    next: Next,
) -> Response {
    let limit = &state.config.limit;
    let most = usize::try_from(limit.body_bytes).unwrap_or(usize::MAX);
    let (parts, body) = request.into_parts();
    let declared = parts.headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let read = if declared.is_some_and(|length| length > limit.body_bytes) {
        Ok(Err(Unread::TooLarge))
    } else {
        tokio::time::timeout(limit.body_time, read(body, most)).await
    };
    let (status, kind, detail) = match read {
        Ok(Ok(body)) => {
            return next.run(Request::from_parts(parts, Body::from(body))).await;
        }
        Ok(Err(Unread::TooLarge)) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Usage,
            "the body is too large",
        ),
        Ok(Err(Unread::Cut)) => (
            StatusCode::BAD_REQUEST,
            ErrorKind::Usage,
            "the body could not be read",
        ),
        Err(_late) => (
            StatusCode::REQUEST_TIMEOUT,
            ErrorKind::Timeout,
            "the body did not arrive in time",
        ),
    };
    refuse(parts.uri.path(), status, kind, detail, None)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// A buffer that says when it is held no longer.
    struct Buffer(Vec<u8>, Arc<AtomicUsize>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Buffer {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn the_buffers_of_a_body_that_comes_byte_by_byte_are_not_held() {
        let held = Arc::new(AtomicUsize::new(0));
        let most_held = Arc::new(AtomicUsize::new(0));
        let (counted, most) = (Arc::clone(&held), Arc::clone(&most_held));
        let pieces = (0..1000_u32).map(move |_| {
            let now = counted.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            let buffer = Buffer(vec![b'a'; 8192], Arc::clone(&counted));
            let piece = Bytes::from_owner(buffer).slice(..1);
            Ok::<_, Infallible>(Frame::data(piece))
        });
        let body = StreamBody::new(futures_util::stream::iter(pieces));
        let whole = read(body, 1000).await.unwrap();
        assert_eq!(whole.len(), 1000);
        let most = most_held.load(Ordering::SeqCst);
        assert!(most <= 2, "{most} buffers for a thousand bytes");
        assert_eq!(held.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_byte_more_than_may_be_is_too_large() {
        let pieces = || {
            let pieces =
                (0..3).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"ab"))));
            StreamBody::new(futures_util::stream::iter(pieces))
        };
        assert_eq!(read(pieces(), 6).await.unwrap(), "ababab");
        assert_eq!(read(pieces(), 5).await, Err(Unread::TooLarge));
    }
}
