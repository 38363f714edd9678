//! Answers of the older contracts: a status and JSON that no terminal acts on.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::domain::error_kind::{ErrorKind, Failure};
use crate::serve::error::status_of;

/// Characters of a client's own words that are told again; more is nobody's name.
const MOST_ECHOED: usize = 256;

/// An answer that can be kept and given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// JSON; empty = no body.
    pub(super) body: String,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
    /// Whether to say how to authenticate.
    challenge: Option<&'static str>,
}

#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

impl Answer {
    /// Answers with a document.
    pub(super) fn json<T: Serialize + ?Sized>(status: StatusCode, document: &T) -> Self {
        match crate::json::to_line(document) {
            Ok(body) => Self {
                status,
                body,
                retry_after: None,
                challenge: None,
            },
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                Self::detail(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the answer could not be written",
                )
            }
        }
    }

    /// Answers 200 with a document.
    pub(super) fn ok<T: Serialize + ?Sized>(document: &T) -> Self {
        Self::json(StatusCode::OK, document)
    }

    /// Answers with `{"detail": text}`.
    pub(super) fn detail(status: StatusCode, text: &str) -> Self {
        Self::json(status, &Detail { detail: text })
    }

    /// Answers without a body.
    pub(super) const fn empty(status: StatusCode) -> Self {
        Self {
            status,
            body: String::new(),
            retry_after: None,
            challenge: None,
        }
    }

    /// Answers that the contract is not spoken to here, or the path is not one of it.
    pub(super) fn not_found() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not Found")
    }

    /// Tells of a failure.
    pub(super) fn failure(failure: &Failure) -> Self {
        let mut text = failure.message.clone();
        if let Some(hint) = &failure.hint
            && failure.kind != ErrorKind::NotFound
        {
            text = format!("{text} ({hint})");
        }
        Self::detail(status_of(failure), &text)
    }

    /// Says after how many seconds to try again.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Says how to authenticate.
    pub(super) const fn challenge(mut self, scheme: &'static str) -> Self {
        self.challenge = Some(scheme);
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let empty = self.body.is_empty();
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        if empty {
            headers.remove(header::CONTENT_TYPE);
        } else {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(scheme) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        response
    }
}

/// Returns a client's own words for an answer: as they are, or the beginning of them.
pub(super) fn echoed(text: &str) -> String {
    let mut kept: String = text.chars().take(MOST_ECHOED).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}
