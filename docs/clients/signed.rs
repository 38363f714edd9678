//! Call the bot contract of `vmdeck --serve` with the second signature.
//!
//! ```text
//! export API_KEY=... HMAC_SECRET=...
//! signed http://127.0.0.1:8000 GET  /vm/list
//! signed http://127.0.0.1:8000 POST /vm/web-1/start
//! ```
//!
//! Needs the crates `hmac`, `sha2` and `rand`; speaks plain HTTP over a socket to stay short. What
//! matters is [`signed_headers`], which goes with any HTTP client.

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
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|half| char::from_digit(u32::from(half), 16))
        .collect()
}

/// Sends one signed request; returns the status and the body.
pub fn call(
    base: &str,
    method: &str,
    target: &str,
    api_key: &str,
    secret: &str,
) -> Result<(u16, String), Box<dyn Error>> {
    let audience = base
        .strip_prefix("http://")
        .ok_or("the base address begins with http://")?
        .trim_end_matches('/');
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (body, content_type): (&[u8], &str) = match method {
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
    let headers = signed_headers(secret.as_bytes(), "bot", &request)?;
    let mut socket = TcpStream::connect(audience)?;
    let length = body.len();
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {audience}\r\nconnection: close\r\n\
         x-api-key: {api_key}\r\ncontent-length: {length}\r\n"
    );
    if !content_type.is_empty() {
        head.push_str("content-type: application/json\r\n");
    }
    for (name, value) in headers {
        head.extend([name, ": ", &value, "\r\n"]);
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes())?;
    socket.write_all(body)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [base, method, target] = words.as_slice() else {
        return Err("usage: signed http://HOST:PORT METHOD /PATH".into());
    };
    let api_key = std::env::var("API_KEY")?;
    let secret = std::env::var("HMAC_SECRET")?;
    let (status, body) = call(base, method, target, &api_key, &secret)?;
    println!("{body}");
    if (200..300).contains(&status) {
        return Ok(());
    }
    Err(format!("the server answered {status}").into())
}
