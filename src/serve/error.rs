//! What a failure is on the wire: for `/v1` a problem document (RFC 9457), for the contracts their
//! own bodies with the same status.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde::Serialize;

use crate::domain::error_kind::{ErrorKind, Failure};

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `about:blank`: the kind says more than a link could.
    #[serde(rename = "type")]
    pub about: &'static str,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What failed and why, in one sentence.
    pub detail: String,
    /// Stable word to decide on.
    pub kind: &'static str,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The host it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What an ambiguous name could have meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// Seconds after which to try again; also in the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// Returns the status of a failure.
pub fn status_of(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.kind.spec().http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Problem {
    /// Tells of a failure.
    pub fn of(failure: &Failure) -> Self {
        Self {
            detail: failure.message.clone(),
            kind: failure.kind.word(),
            hint: failure.hint.as_ref().map(|hint| hint.0.clone()),
            ..Self::with_status(status_of(failure), failure.kind)
        }
    }

    /// Tells of something that is no failure of a layer: a wrong media type, a body that is too large.
    pub fn new(status: StatusCode, kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::with_status(status, kind)
        }
    }

    fn with_status(status: StatusCode, kind: ErrorKind) -> Self {
        Self {
            about: "about:blank",
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: String::new(),
            kind: kind.word(),
            hint: None,
            host: None,
            candidates: Vec::new(),
            retry_after: None,
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the host it is about.
    #[must_use]
    pub fn on(mut self, host: &(impl ToString + ?Sized)) -> Self {
        self.host = Some(host.to_string());
        self
    }

    /// Adds what an ambiguous name could have meant.
    #[must_use]
    pub fn between(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    /// Says after how many seconds to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }
}

/// Answers what is refused before a handler runs: a problem document below `/v1`, and `{"detail": ...}`
/// for the older contracts, whose clients read that.
pub fn refuse(
    path: &str,
    status: StatusCode,
    kind: ErrorKind,
    detail: &str,
    retry_after: Option<u64>,
) -> Response {
    let problem = Problem::new(status, kind, detail);
    let problem = match retry_after {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    };
    if is_native(path) {
        return problem.into_response();
    }
    let mut response = (status, Json(Detail { detail })).into_response();
    if let Some(seconds) = problem.retry_after {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Says whether a path is one of the native contract's.
pub fn is_native(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// The body of an error of the older contracts.
#[derive(Debug, Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

/// Answers a path that nobody serves.
pub(super) async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    refuse(
        path,
        StatusCode::NOT_FOUND,
        ErrorKind::NotFound,
        "Not Found",
        None,
    )
}

/// Answers a method that a path does not have.
pub(super) async fn not_allowed(request: Request) -> Response {
    refuse(
        request.uri().path(),
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::Usage,
        "Method Not Allowed",
        None,
    )
}

/// Marks the answer to a request that ended in a panic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panicked;

/// Middleware: a panic in a handler ends that request and nothing else, and says nothing of itself: its
/// words may hold a secret. The log of requests tells of it by the mark.
pub(super) async fn no_panic(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let answer = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
    answer.await.unwrap_or_else(|_panic| {
        let mut response = refuse(
            &path,
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::Internal,
            "this is a bug of the server; the request may or may not have acted",
            None,
        );
        response.extensions_mut().insert(Panicked);
        response
    })
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::of(&failure)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after.map(HeaderValue::from);
        // What it quotes of a client or a host must not act on a terminal.
        let body = crate::json::to_line(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
