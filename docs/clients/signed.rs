//! Call the bot contract of `vmdeck --serve` with the second signature.
//!
//! ```text
//! export API_KEY=... HMAC_SECRET=...
//! signed http://127.0.0.1:8000 GET  /vm/list
//! signed http://127.0.0.1:8000 POST /vm/web-1/start
//! ```
//!
//! Needs the crates `hmac`, `sha2` and `rand`; speaks plain HTTP over a socket to stay short. What
//! matters is [`signed_headers`], which goes with any HTTP client. In this repository it is an example:
//! `cargo run --example signed -- http://127.0.0.1:8000 GET /vm/list`.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// One request as it will be sent.
struct Request<'a> {
    method: &'a str,
    /// `host:port` of the base address: also the `host` header.
    audience: &'a str,
    /// Path, encoded.
    path: &'a str,
    /// Query, encoded, without `?`.
    query: &'a str,
    content_type: &'a str,
    body: &'a [u8],
}

/// Returns the headers that sign one request; make them anew for every request.
fn signed_headers(
    secret: &[u8],
    key_id: &str,
    request: &Request<'_>,
) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let digest = hex(&Sha256::digest(request.body));
    #[allow(clippy::disallowed_methods, reason = "a program of its own")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let timestamp = now.as_millis().to_string();
    let nonce = hex(&rand::random::<[u8; 24]>());
    let mut members: Vec<&str> = request.query.split('&').collect();
    members.sort_unstable();
    let query = members.join("&");
    let covered = [
        key_id,
        request.method,
        request.audience,
        request.path,
        &query,
        request.content_type,
        &digest,
        &timestamp,
        &nonce,
    ];
    let lines = covered.map(|part| format!("{}:{part}", part.len()));
    let text = format!("VMDECK-HMAC-SHA256-V2\n{}", lines.join("\n"));
    let mac = Hmac::<Sha256>::new_from_slice(secret)?.chain_update(text);
    Ok(vec![
        ("x-signature-version", "2".to_owned()),
        ("x-key-id", key_id.to_owned()),
        ("x-signature", hex(&mac.finalize().into_bytes())),
        ("x-timestamp", timestamp),
        ("x-nonce", nonce),
        ("x-content-sha256", digest),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [base, method, target] = words.as_slice() else {
        return Err("usage: signed http://HOST:PORT METHOD /PATH".into());
    };
    let audience = base
        .strip_prefix("http://")
        .ok_or("the base address begins with http://")?
        .trim_end_matches('/');
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (body, content_type): (&[u8], &str) = match method.as_str() {
        "POST" => (b"{}", "application/json"),
        _ => (b"", ""),
    };
    let request = Request {
        method,
        audience,
        path,
        query,
        content_type,
        body,
    };
    let key_id = std::env::var("KEY_ID").unwrap_or_else(|_| "bot".to_owned());
    let headers = signed_headers(std::env::var("HMAC_SECRET")?.as_bytes(), &key_id, &request)?;

    let mut socket = TcpStream::connect(audience)?;
    write!(socket, "{method} {target} HTTP/1.1\r\nhost: {audience}\r\nconnection: close\r\n")?;
    write!(socket, "x-api-key: {}\r\ncontent-length: {}\r\n", std::env::var("API_KEY")?, body.len())?;
    if !content_type.is_empty() {
        write!(socket, "content-type: {content_type}\r\n")?;
    }
    for (name, value) in headers {
        write!(socket, "{name}: {value}\r\n")?;
    }
    socket.write_all(b"\r\n")?;
    socket.write_all(body)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
    println!("{body}");
    match head.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(()),
        _ => Err(head.lines().next().unwrap_or_default().to_owned().into()),
    }
}
