//! Fuzz targets of the portal's bodies and of its look at private keys. See `crate::testing::fuzz`.

use serde_json::Value;

use super::body::{Body, TOLD};
use super::key_gate::objection;
use crate::testing::fuzz::invariant::harmless;

/// A planted secret; wherever it stands in a body, no answer repeats it.
const SECRET: &str = "hunter2-hunter2-hunter2";

/// A body of `POST /agents`, member by member: what is wrong is told without repeating a secret.
pub(crate) fn bodies(data: &[u8]) {
    let mut body = match Body::read(data) {
        Ok(body) => body,
        Err(answer) => return tells_no_secret(data, &answer.body),
    };
    let name = body.trimmed("name", 1, 64);
    assert!(name.is_none_or(|name| name.chars().count() <= 64));
    let user = body.required("username", 1, 64);
    assert!(user.is_none_or(|user| !user.is_empty()));
    assert!(body.port("port") != Some(0));
    body.switch("allow_unknown_hosts");
    body.secret("private_key", 1, 65_536);
    body.secret("private_key_passphrase", 0, 1024);
    body.refuse("hostname", "it may not be dialled");
    assert!(body.checked().is_err());
    if let Err(answer) = body.checked() {
        tells_no_secret(data, &answer.body);
    }
}

fn tells_no_secret(sent: &[u8], answer: &str) {
    let longest = 64 * 1024 + 16 * sent.len();
    assert!(answer.len() <= longest, "{} bytes", answer.len());
    harmless(answer);
    // The values of a few members are told as they were sent, and on purpose.
    let is_told = match serde_json::from_slice::<Value>(sent) {
        Ok(Value::Object(members)) => members
            .iter()
            .any(|(name, value)| TOLD.contains(&name.as_str()) && value.as_str().is_some()),
        Ok(_) | Err(_) => false,
    };
    assert!(is_told || !answer.contains(SECRET), "{answer}");
}

/// A private key as a stranger sends it.
pub(crate) fn keys(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let found = objection(&text);
    assert!(text.len() <= super::key_gate::MAX_BYTES || found.is_some());
}
