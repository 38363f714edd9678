//! What every answer says to browsers, whichever contract it is of: to take the type as it is written, to
//! keep data as a file instead of showing it, and where TLS is ours to come back by TLS only. Nothing of
//! it changes a body or matters to a program.
//!
//! Sources: ASVS 4.0.3, 14.4.2, 14.4.4 and 14.4.5; RFC 6797 (no such header over plain HTTP), RFC 6266.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::state::ServeState;

/// A year. The names below ours are not spoken for: they may be other people's servers.
const TLS_ONLY: &str = "max-age=31536000";

/// What data is kept as, by its media type; what is not named is shown or streamed.
const FILES: [(&str, &str); 3] = [
    ("application/json", "attachment; filename=\"api.json\""),
    (
        "application/problem+json",
        "attachment; filename=\"problem.json\"",
    ),
    (
        "application/x-ndjson",
        "attachment; filename=\"api.ndjson\"",
    ),
];

/// Adds them to an answer.
pub(super) async fn add(State(state): State<ServeState>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if !state.plaintext {
        let tls_only = HeaderValue::from_static(TLS_ONLY);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, tls_only);
    }
    if let Some(file) = file_of(headers) {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    response
}

fn file_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let (_, file) = FILES.iter().find(|(kind, _)| *kind == essence)?;
    Some(HeaderValue::from_static(file))
}
