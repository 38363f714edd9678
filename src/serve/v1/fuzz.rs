//! Fuzz targets of the native contract's bodies and of the word a request is repeated under. See
//! `crate::testing::fuzz`.

use axum::http::{HeaderMap, HeaderValue, header};

use super::answer::{read, read_secret};
use super::idempotency::name_in;
pub(crate) use super::query::fuzz::{cursors, lists, terms};
use super::wire::{BulkRequest, CredentialInput, HostChange, HostInput, HostKeyAnswer};
use crate::domain::host::HostSpec;
use crate::testing::fuzz::invariant::{harmless, told};

/// A planted secret; no refusal repeats it.
const SECRET: &str = "hunter2-hunter2-hunter2";

/// A body as each route reads its own.
pub(crate) fn bodies(data: &[u8]) {
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    match read::<HostInput>(&headers, data) {
        Ok(input) => match input.into_spec() {
            Ok(spec) => changed(&headers, data, spec),
            Err(failure) => told(&failure),
        },
        Err(refusal) => quiet(&refusal.0.detail),
    }
    if let Err(refusal) = read::<BulkRequest>(&headers, data) {
        quiet(&refusal.0.detail);
    }
    if let Err(refusal) = read::<HostKeyAnswer>(&headers, data) {
        quiet(&refusal.0.detail);
    }
    match read_secret::<CredentialInput>(&headers, data).map(CredentialInput::into_secret) {
        Ok(Ok(_)) => {}
        Ok(Err(failure)) => told(&failure),
        Err(refusal) => {
            quiet(&refusal.0.detail);
            assert!(!refusal.0.detail.contains(SECRET), "{}", refusal.0.detail);
        }
    }
    assert!(read::<HostInput>(&HeaderMap::new(), data).is_err());
}

fn changed(headers: &HeaderMap, data: &[u8], mut spec: HostSpec) {
    harmless(&spec.name.to_string());
    harmless(&spec.endpoint.to_string());
    match read::<HostChange>(headers, data).map(|change| change.apply(&mut spec)) {
        Ok(Ok(())) => harmless(&spec.name.to_string()),
        Ok(Err(failure)) => told(&failure),
        Err(refusal) => quiet(&refusal.0.detail),
    }
}

/// A refusal says what is wrong without repeating what was sent, but for the name of a member.
fn quiet(refusal: &str) {
    harmless(refusal);
    assert!(refusal.len() <= 1024, "{} bytes", refusal.len());
    let names_a_member = refusal.contains(" field `");
    assert!(names_a_member || !refusal.contains(SECRET), "{refusal}");
}

/// `Idempotency-Key`, one field a line.
pub(crate) fn idempotency_keys(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append("idempotency-key", value);
        }
    }
    match name_in(&headers) {
        Ok(Some(name)) => {
            assert_eq!(headers.len(), 1);
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()) && name.len() <= 255);
        }
        Ok(None) => assert!(headers.is_empty()),
        Err(refusal) => quiet(&refusal.0.detail),
    }
}
