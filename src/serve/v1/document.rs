//! The API's own description: an `OpenAPI` 3.1 document made from the handlers, and a page to read it
//! that is served from the binary and needs no network.

use std::sync::{Arc, OnceLock};

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

use super::answer::{self, Refusal};
use crate::domain::error_kind::{ErrorKind, Failure};

/// Answers of every operation that asks for a key: the layers around the handlers give them.
const ALWAYS: [(&str, &str); 9] = [
    (
        "400",
        "The request is not understood, or asks for what there is not",
    ),
    ("401", "No key, or one that opens nothing"),
    (
        "403",
        "The key, policy, read-only mode or the VM's state forbids it",
    ),
    ("408", "The request took too long to arrive"),
    (
        "429",
        "Too many requests; `Retry-After` says when to come again",
    ),
    ("500", "A bug of ours, or the hypervisor's own words"),
    ("502", "The host cannot be reached, or not logged in to"),
    (
        "503",
        "Out of service for now: the profile is locked, or the store cannot be used",
    ),
    ("504", "The host did not answer in time"),
];

/// What is said of a request whose head is too large to be read: there is no body, for nobody has been
/// found out yet who would read one.
const LARGE_HEAD: &str = "The head of the request, its path included, is too large";

/// Further answers of operations about one thing.
const ONE: [(&str, &str); 2] = [
    ("404", "There is no such thing"),
    ("409", "The name is ambiguous, or it has changed or is busy"),
];

/// Further answers of operations with a body.
const WITH_BODY: [(&str, &str); 2] = [
    ("413", "The body is too large"),
    ("415", "The body is not application/json"),
];

/// Lists whose rows are cut to the members asked for.
const LISTS: [&str; 4] = ["Vm", "Host", "Operation", "AuditLine"];

const ABOUT: &str = "Every VM on libvirt and Hyper-V hosts, over plain SSH. \
    Send `Authorization: Bearer KEY` with every request. Errors are problem documents (RFC 9457) \
    whose `kind` is a stable word.";

/// The document as it is served.
#[derive(Debug, Clone, Default)]
pub(super) struct Document(Arc<OnceLock<String>>);

impl Document {
    /// Takes what the handlers say, and adds what is true of all.
    pub(super) fn set(&self, api: &OpenApi) {
        // Plain data: it always has a JSON form.
        let mut document = serde_json::to_value(api).unwrap_or_default();
        complete(&mut document);
        self.0.get_or_init(|| document.to_string());
    }

    fn text(&self) -> String {
        self.0.get().cloned().unwrap_or_default()
    }
}

fn problem(about: &str) -> Value {
    json!({
        "description": about,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
    })
}

/// Writes a value where a path of members leads.
fn put(document: &mut Value, path: &[&str], value: Value) {
    let mut at = document;
    for name in path {
        let Value::Object(members) = at else { return };
        at = members.entry(*name).or_insert_with(|| json!({}));
    }
    *at = value;
}

fn complete(document: &mut Value) {
    let info = json!({
        "title": "vmdeck",
        "description": ABOUT,
        "version": crate::serve::API_VERSION,
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    });
    put(document, &["info"], info);
    let key = json!({"type": "http", "scheme": "bearer", "description": "An API key"});
    put(document, &["components", "securitySchemes", "key"], key);
    put(document, &["security"], json!([{"key": []}]));
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        let methods = item.as_object_mut().into_iter().flatten();
        for (method, operation) in methods {
            answers(path, method, operation);
        }
    }
    for name in LISTS {
        let row = document.pointer(&format!("/components/schemas/{name}"));
        let Some(mut row) = row.cloned() else {
            continue;
        };
        // `fields` leaves members out.
        put(&mut row, &["required"], json!([]));
        let (page, chosen) = (format!("Page_{name}"), format!("{name}Row"));
        let link = json!({"$ref": format!("#/components/schemas/{chosen}")});
        let items = [
            "components",
            "schemas",
            &page,
            "properties",
            "items",
            "items",
        ];
        put(document, &items, link);
        put(document, &["components", "schemas", &chosen], row);
    }
}

fn answers(path: &str, method: &str, operation: &mut Value) {
    let open = operation.get("security").is_some();
    let one = path.contains('{') || method != "get";
    let body = operation.get("requestBody").is_some();
    let Some(known) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let large_head = json!({"description": LARGE_HEAD});
    known.entry("431").or_insert(large_head);
    let mut add = |all: &[(&str, &str)]| {
        for (status, about) in all {
            known.entry(*status).or_insert_with(|| problem(about));
        }
    };
    if open {
        add(&ALWAYS[3..5]);
        return;
    }
    add(&ALWAYS);
    if one {
        add(&ONE);
    }
    if body {
        add(&WITH_BODY);
    }
}

fn fixed(media_type: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let mut response = answer::text(StatusCode::OK, media_type, body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// Describes this API (`OpenAPI` 3.1).
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "server", security(()),
    responses((status = 200, description = "The document", body = Object, content_type = "application/json"))
)]
pub(super) async fn show(document: axum::Extension<Document>) -> Response {
    fixed("application/json", document.text())
}

/// The page that shows the document in a browser, with its parts.
pub(super) async fn page(Path(part): Path<String>) -> Result<Response, Refusal> {
    match part.as_str() {
        "docs" => Ok(fixed(
            "text/html; charset=utf-8",
            include_str!("page/docs.html"),
        )),
        "docs.js" => Ok(fixed(
            "text/javascript; charset=utf-8",
            include_str!("page/docs.js"),
        )),
        "docs.css" => Ok(fixed(
            "text/css; charset=utf-8",
            include_str!("page/docs.css"),
        )),
        _ => Err(Failure::new(ErrorKind::NotFound, "there is no such page").into()),
    }
}
