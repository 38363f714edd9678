//! How `/v1` answers: JSON that no terminal acts on, newline-delimited JSON where a client asks for
//! it, problem documents for whatever went wrong, and validators for what is asked again and again.

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::query::Part;
use super::wire::Page;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::serve::error::Problem;

/// Media type of newline-delimited JSON.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// What a handler gives: an answer, or why there is none.
pub(super) type Answer = Result<Response, Refusal>;

/// Why a request is not answered as asked. Boxed: it is the rare case.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Box<Problem>);

impl Refusal {
    /// Refuses with a status of its own.
    pub(super) fn with(status: StatusCode, kind: ErrorKind, detail: impl Into<String>) -> Self {
        Problem::new(status, kind, detail).into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Problem::from(failure).into()
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        let message = format!("the query is not understood: {}", cause(&rejection));
        Failure::new(ErrorKind::Usage, message).into()
    }
}

impl From<PathRejection> for Refusal {
    fn from(_: PathRejection) -> Self {
        Failure::new(ErrorKind::Usage, "the path is not readable as text").into()
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        Self::with(
            rejection.status(),
            ErrorKind::Usage,
            "the body could not be read",
        )
    }
}

/// Returns the innermost cause: the outer ones say where in the program it came up.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    without_values(&innermost.to_string())
}

/// Leaves out what a client has sent: it may be a secret in the wrong place.
fn without_values(text: &str) -> String {
    let bare = match (text.split_once(": "), text.rsplit_once(", expected ")) {
        (Some((what, _)), Some((_, expected))) if what.starts_with("invalid") => {
            format!("{what}, expected {expected}")
        }
        _ => text.to_owned(),
    };
    crate::domain::text::RemoteText::new(&bare).fit(200)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

fn render<T: Serialize + ?Sized>(value: &T) -> String {
    // Our own types always render; were one not to, an empty body says no less.
    let mut text = crate::json::to_line(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Answers with text of a media type; it is nobody else's to keep.
pub(super) fn text(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    response
}

/// Answers with JSON.
pub(super) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    text(status, "application/json", render(value))
}

/// Reads a JSON body into a type of ours, without repeating values that were sent when it does not fit.
pub(super) fn read<T: serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, Refusal> {
    read_said(headers, body, without_values)
}

/// The same for a body that holds a secret: of what does not fit not even a name is repeated, for a
/// secret may have been put in the place of one.
pub(super) fn read_secret<T: serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, Refusal> {
    read_said(headers, body, without_names)
}

/// What the reader says of a body with nothing of the body in it. The list of what was expected is
/// ours and stands last: whatever comes before it may be made of what was sent.
fn without_names(text: &str) -> String {
    if !text.starts_with("unknown ") {
        return without_values(text);
    }
    let expected = text.rsplit_once("expected ").map(|(_, expected)| expected);
    expected.map_or_else(
        || "a member that there is not".to_owned(),
        |expected| without_values(&format!("a member that there is not, expected {expected}")),
    )
}

fn read_said<T: serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    body: &[u8],
    say: impl FnOnce(&str) -> String,
) -> Result<T, Refusal> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        let what = "the body has to be application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal::with(status, ErrorKind::Usage, what));
    }
    // A list would be taken for the members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        let message = "the body is not understood: it has to be an object";
        return Err(Failure::new(ErrorKind::Usage, message).into());
    }
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("the body is not understood: {}", say(&error.to_string()));
        Failure::new(ErrorKind::Usage, message).into()
    })
}

/// Returns true when a client would rather have one row a line.
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|kind| kind.trim() == NDJSON)
        })
}

/// The version of what a client gets, as an entity tag.
pub(super) fn tag(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    let short = digest.get(..12).unwrap_or_default();
    format!("W/\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(short))
}

/// Returns true when the client has this version already.
pub(super) fn has_it(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}

/// Says that the client has it already.
pub(super) fn not_modified(tag: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    tagged(response, tag)
}

/// Adds the version of what is sent.
pub(super) fn tagged(mut response: Response, tag: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// How a part of a list is to be written.
#[derive(Debug)]
pub(super) struct Shape {
    /// One row a line.
    pub(super) lines: bool,
    /// Only these members.
    pub(super) members: Option<Vec<String>>,
    /// The path with everything asked but the cursor: where the next part is.
    pub(super) path: String,
    /// Hosts that could have rows in the list and have never been read.
    pub(super) unread: Vec<String>,
}

/// Answers with a part of a list.
pub(super) fn list<R, T>(part: Part<R>, shape: &Shape, wire: impl Fn(&R) -> T) -> Response
where
    T: Serialize + utoipa::ToSchema,
{
    let link = part.next.as_ref().map(|cursor| {
        let sign = if shape.path.contains('?') { '&' } else { '?' };
        format!("<{}{sign}cursor={cursor}>; rel=\"next\"", shape.path)
    });
    let total = u64::try_from(part.total).unwrap_or(u64::MAX);
    let rows = part.rows.iter().map(wire);
    let mut response = match (&shape.members, shape.lines) {
        (None, true) => lines(rows),
        (Some(members), true) => lines(rows.map(|row| chosen(&row, members))),
        (None, false) => json(
            StatusCode::OK,
            &Page {
                items: rows.collect(),
                total,
                next_cursor: part.next,
                unread: shape.unread.clone(),
            },
        ),
        (Some(members), false) => {
            let items: Vec<Value> = rows.map(|row| chosen(&row, members)).collect();
            let page = serde_json::json!({
                "items": items,
                "total": total,
                "next_cursor": part.next,
                "unread": shape.unread,
            });
            json(StatusCode::OK, &page)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        headers.insert(header::LINK, link);
    }
    response
}

fn lines<T: Serialize>(rows: impl Iterator<Item = T>) -> Response {
    let body: String = rows.map(|row| render(&row)).collect();
    text(StatusCode::OK, NDJSON, body)
}

fn chosen<T: Serialize>(row: &T, members: &[String]) -> Value {
    let Ok(Value::Object(mut all)) = serde_json::to_value(row) else {
        return Value::Null;
    };
    let kept = members
        .iter()
        .filter_map(|member| all.remove(member).map(|value| (member.clone(), value)));
    Value::Object(kept.collect())
}

/// Returns the members of a wire type.
pub(super) fn members_of<T: utoipa::PartialSchema>() -> Vec<String> {
    use utoipa::openapi::{RefOr, Schema};
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object.properties.keys().cloned().collect(),
        RefOr::T(_) | RefOr::Ref(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::v1::wire::{CredentialInput, HostChange, Vm};

    #[test]
    fn what_was_sent_is_not_repeated() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for body in [
            r#"{"sudo":"-----BEGIN PLANTED"}"#,
            r#"{"tags":"PLANTED, expected PLANTED"}"#,
            r#"{"read_only":{"PLANTED":1}}"#,
        ] {
            let refusal = read::<HostChange>(&headers, body.as_bytes()).unwrap_err();
            assert_eq!(refusal.0.status, 400);
            assert!(!refusal.0.detail.contains("BEGIN"), "{}", refusal.0.detail);
        }
        let nested = format!("{{\"tags\":{}", "[".repeat(100_000));
        for body in [
            nested.as_str(),
            "[]",
            "[\"kvm1\"]",
            "null",
            "",
            "{",
            "\u{feff}{}",
        ] {
            assert!(read::<HostChange>(&headers, body.as_bytes()).is_err());
        }
        assert!(read::<HostChange>(&headers, b" {}\n").is_ok());
        assert!(read::<HostChange>(&HeaderMap::new(), b"{}").is_err());
    }

    #[test]
    fn of_a_body_with_a_secret_not_even_a_name_is_repeated() {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let long = "x".repeat(300);
        for name in [
            "hunter2",
            "expected hunter2",
            "`, expected one of `hunter2",
            &format!("hunter2{long}"),
            &format!("{long}hunter2"),
        ] {
            let body = serde_json::json!({ name: 1 }).to_string();
            let refusal = read_secret::<CredentialInput>(&headers, body.as_bytes()).unwrap_err();
            let said = refusal.0.detail;
            assert!(!said.contains("hunter2") && !said.contains("xx"), "{said}");
            assert!(said.contains("a member that there is not, expected one of `private_key`"));
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        let tag = tag(&[b"a", b"b"]);
        let mut headers = HeaderMap::new();
        assert!(!has_it(&headers, &tag));
        let list = format!("\"x\", {}", tag.trim_start_matches("W/"));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&list).unwrap());
        assert!(has_it(&headers, &tag));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        assert!(has_it(&headers, &tag));
        assert_ne!(tag, super::tag(&[b"ab", b""]));
    }

    #[test]
    fn lines_are_asked_for_by_name() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            wants_lines(&headers)
        };
        assert!(wants("application/x-ndjson"));
        assert!(wants("application/json;q=0.5, application/x-ndjson; q=1"));
        assert!(!wants("*/*"));
        assert!(!wants("application/json"));
    }

    #[test]
    fn members_are_those_of_the_schema() {
        let members = members_of::<Vm>();
        assert_eq!(members.len(), 16);
        assert!(members.iter().any(|member| member == "cpu_percent"));
    }
}
