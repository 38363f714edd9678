//! The real program as a server, in a home of its own, and plain requests to it: bytes over a socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::command;
use super::deck::Deck;

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Header names in lower case with their values, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Fails with the whole answer unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?} ({})", self.body, self.status))
    }

    /// Returns a header that is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(known, _)| known == name);
        let (found, None) = (all.next()?, all.next()) else {
            return None;
        };
        Some(&found.1)
    }
}

/// A running server.
pub struct Served {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Served {
    /// Starts it in a home; waits until it listens.
    #[track_caller]
    pub fn start(deck: &Deck, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut all = vec!["--serve", "--listen", "127.0.0.1:0"];
        all.extend(args);
        let mut prepared = deck.command(&all);
        prepared
            .envs(environment.iter().copied())
            .stderr(Stdio::piped());
        let mut child = prepared.spawn().expect("the program runs");
        let (sender, lines) = sync_channel(100_000);
        let stderr = BufReader::new(child.stderr.take().expect("its standard error"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody listens any more: the pipe is still to be emptied.
                sender.try_send(line).ok();
            }
        });
        let mut server = Self {
            child,
            lines,
            seen: Vec::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let told = server.line(|line| line.contains(" on http"));
        let base = told.split("://").nth(1).expect("an address");
        server.address = base.trim().parse().expect("an address");
        server
    }

    /// Waits for a line of what it says; those before it count too.
    #[track_caller]
    pub fn line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        if let Some(line) = self.seen.iter().find(|line| fits(line)) {
            return line.clone();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("it said only:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line.clone());
            if fits(&line) {
                return line;
            }
        }
    }

    /// Returns the administrator's key, which is shown at the first start.
    #[track_caller]
    pub fn first_key(&mut self) -> String {
        let line = self.line(|line| line.contains("vmd_a_"));
        line.split_whitespace()
            .find(|word| word.starts_with("vmd_a_"))
            .expect("a key")
            .to_owned()
    }

    /// Sends a request over a connection of its own; `headers` come beside `host` and `connection`.
    #[track_caller]
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        send(self.address, method, target, headers, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// Ends it in order; returns everything it said.
    #[track_caller]
    pub fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        let sent = command("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill").success());
        let ended = super::wait_for(PATIENCE, || {
            self.child.try_wait().expect("a status").is_some()
        });
        assert!(ended, "it does not end");
        let status = self.child.wait().expect("a status");
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.seen.push(line);
        }
        let said = self.seen.join("\n");
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends a request and reads the answer to its end.
pub fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() {
        head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    // One write: an answer that is given before the body was read does not break the rest.
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    read(&bytes, method == "HEAD").ok_or_else(|| {
        std::io::Error::other(format!("no answer: {}", String::from_utf8_lossy(&bytes)))
    })
}

/// Reads one answer; `None` when it is none.
fn read(bytes: &[u8], headless: bool) -> Option<Reply> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end + 4..)?);
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let is_chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked && !headless {
        unchunked(body)?
    } else {
        body.to_vec()
    };
    Some(Reply {
        status,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..end)?).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}
