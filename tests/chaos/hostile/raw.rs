//! Peers that misbehave before anything is encrypted: they need no SSH library to be rude.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One way to misbehave on a connection; returns what is left of it.
pub(super) type Script = fn(TcpStream, StdRng) -> BoxFuture<'static, Option<TcpStream>>;

/// A script whose steps end with `?`: a peer that has been cut off has done its worst.
macro_rules! script {
    (|$socket:ident, $dice:ident| $body:block) => {
        |mut stream, mut dice| {
            async move {
                let rude = async {
                    let ($socket, $dice) = (&mut stream, &mut dice);
                    $body
                    Some(())
                };
                rude.await;
                Some(stream)
            }
            .boxed()
        }
    };
}

const BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";

/// Bytes written until the other side has had enough.
const FLOOD: usize = 64 << 20;

/// A packet as it is before encryption (RFC 4253, 6).
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 + (8 - (payload.len() + 5) % 8) % 8;
    let length = u32::try_from(1 + payload.len() + padding).unwrap();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.push(u8::try_from(padding).unwrap());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len() + padding, 0);
    bytes
}

/// A KEXINIT (RFC 4253, 7.1) with these ten lists.
fn kexinit(lists: &[&str; 10]) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend_from_slice(&[7; 16]);
    for list in lists {
        payload.extend_from_slice(&u32::try_from(list.len()).unwrap().to_be_bytes());
        payload.extend_from_slice(list.as_bytes());
    }
    payload.extend_from_slice(&[0; 5]);
    payload
}

/// What a sound server would offer.
const SOUND: [&str; 10] = [
    "curve25519-sha256",
    "ssh-ed25519",
    "aes256-gcm@openssh.com,aes256-ctr",
    "aes256-gcm@openssh.com,aes256-ctr",
    "hmac-sha2-256",
    "hmac-sha2-256",
    "none",
    "none",
    "",
    "",
];

fn noise(dice: &mut StdRng, most: usize) -> Vec<u8> {
    let length = dice.random_range(1..=most);
    (0..length).map(|_| dice.random_range(0..=255)).collect()
}

async fn flood(socket: &mut TcpStream, piece: &[u8]) -> Option<()> {
    for _ in 0..FLOOD / piece.len() {
        socket.write_all(piece).await.ok()?;
    }
    Some(())
}

async fn trickle(socket: &mut TcpStream, bytes: &[u8]) -> Option<()> {
    for byte in bytes {
        socket.write_all(&[*byte]).await.ok()?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Some(())
}

/// Reads what the client says first: its banner and its own KEXINIT.
async fn hear(socket: &mut TcpStream) -> Option<()> {
    let mut heard = [0; 600];
    socket.read_exact(&mut heard).await.ok()?;
    Some(())
}

/// Every peer of this kind.
pub(super) const ALL: [(&str, Script); 26] = [
    (
        "silent",
        script!(|socket, _dice| {
            socket.flush().await.ok()?;
        }),
    ),
    (
        "banner, one byte at a time",
        script!(|socket, _dice| {
            trickle(socket, &BANNER.repeat(10)).await?;
        }),
    ),
    (
        "banner without end",
        script!(|socket, dice| {
            let line = vec![b'a' + dice.random_range(0..26); dice.random_range(100..4000)];
            flood(socket, &line).await?;
        }),
    ),
    (
        "lines before the banner without end",
        script!(|socket, dice| {
            let mut line = vec![b'x'; dice.random_range(1..500)];
            line.extend_from_slice(b"\r\n");
            flood(socket, &line).await?;
        }),
    ),
    (
        "noise",
        script!(|socket, dice| {
            let bytes = noise(dice, 3000);
            socket.write_all(&bytes).await.ok()?;
        }),
    ),
    (
        "escape sequences as banner",
        script!(|socket, dice| {
            let width: u16 = dice.random();
            let banner = format!("SSH-2.0-\x1b]0;owned\x07\x1b[{width}A\u{202e}evil\r\n");
            socket.write_all(banner.as_bytes()).await.ok()?;
            socket.shutdown().await.ok()?;
        }),
    ),
    (
        "another protocol",
        script!(|socket, dice| {
            let said = [
                "HTTP/1.1 400 Bad Request\r\n\r\n",
                "220 mail ESMTP\r\n",
                "SSH-1.5-old\r\n",
            ];
            socket
                .write_all(said[dice.random_range(0..3)].as_bytes())
                .await
                .ok()?;
            socket.shutdown().await.ok()?;
        }),
    ),
    (
        "closes at once",
        script!(|socket, dice| {
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..20))).await;
            socket.shutdown().await.ok()?;
        }),
    ),
    ("resets at once", |socket, mut dice| {
        async move {
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..20))).await;
            socket.set_zero_linger().ok();
            None
        }
        .boxed()
    }),
    (
        "closes after the banner",
        script!(|socket, dice| {
            let length = dice.random_range(1..=BANNER.len());
            socket.write_all(&BANNER[..length]).await.ok()?;
            socket.shutdown().await.ok()?;
        }),
    ),
    (
        "silent after the banner",
        script!(|socket, _dice| {
            socket.write_all(BANNER).await.ok()?;
        }),
    ),
    (
        "a packet of four gigabytes",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            let length = u32::MAX - dice.random_range(0..1000);
            socket.write_all(&length.to_be_bytes()).await.ok()?;
            flood(socket, &[7; 8192]).await?;
        }),
    ),
    (
        "a packet of no length",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            socket
                .write_all(&u32::from(dice.random_range(0..5_u8)).to_be_bytes())
                .await
                .ok()?;
            socket.write_all(&[0; 64]).await.ok()?;
        }),
    ),
    (
        "more padding than packet",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            let mut bytes = packet(&kexinit(&SOUND));
            bytes[4] = dice.random_range(200..=255);
            bytes[2] = 0;
            bytes[3] = 12;
            socket.write_all(&bytes).await.ok()?;
        }),
    ),
    (
        "noise after the banner",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            let bytes = noise(dice, 3000);
            socket.write_all(&bytes).await.ok()?;
        }),
    ),
    (
        "half a key exchange",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            let bytes = packet(&kexinit(&SOUND));
            let length = dice.random_range(1..bytes.len());
            socket.write_all(&bytes[..length]).await.ok()?;
            socket.shutdown().await.ok()?;
        }),
    ),
    (
        "lists longer than their packet",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            let mut payload = kexinit(&SOUND);
            payload[17..21].copy_from_slice(&dice.random_range(1_000_u32..u32::MAX).to_be_bytes());
            socket.write_all(&packet(&payload)).await.ok()?;
        }),
    ),
    (
        "no algorithms",
        script!(|socket, _dice| {
            socket.write_all(BANNER).await.ok()?;
            socket.write_all(&packet(&kexinit(&[""; 10]))).await.ok()?;
        }),
    ),
    (
        "nothing in common",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            let mut lists = SOUND;
            lists[dice.random_range(0..4)] = "rot13@example.com,\u{202e}";
            socket.write_all(&packet(&kexinit(&lists))).await.ok()?;
        }),
    ),
    (
        "two key exchanges at once",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            for _ in 0..dice.random_range(2..50) {
                socket.write_all(&packet(&kexinit(&SOUND))).await.ok()?;
            }
        }),
    ),
    (
        "messages to ignore without end",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            let mut payload = vec![2, 0, 0, 4, 0];
            payload.resize(5 + 1024, dice.random());
            flood(socket, &packet(&payload)).await?;
        }),
    ),
    (
        "a farewell of thirty kilobytes",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            let text = "\x1b[2J\u{202e}bye ".repeat(dice.random_range(10..3000));
            let mut payload = vec![1, 0, 0, 0, 11];
            payload.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
            payload.extend_from_slice(text.as_bytes());
            payload.extend_from_slice(&[0; 4]);
            let mut bytes = packet(&payload);
            bytes.truncate(34_000);
            socket.write_all(&bytes).await.ok()?;
            socket.shutdown().await.ok()?;
        }),
    ),
    (
        "new keys before there are any",
        script!(|socket, _dice| {
            socket.write_all(BANNER).await.ok()?;
            socket.write_all(&packet(&kexinit(&SOUND))).await.ok()?;
            socket.write_all(&packet(&[21])).await.ok()?;
            socket.write_all(&packet(&[52])).await.ok()?;
        }),
    ),
    (
        "a key exchange of noise",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            socket.write_all(&packet(&kexinit(&SOUND))).await.ok()?;
            hear(socket).await?;
            let mut payload = vec![31];
            payload.extend(noise(dice, 900));
            socket.write_all(&packet(&payload)).await.ok()?;
        }),
    ),
    (
        "a key exchange, one byte at a time",
        script!(|socket, _dice| {
            socket.write_all(BANNER).await.ok()?;
            trickle(socket, &packet(&kexinit(&SOUND))).await?;
        }),
    ),
    (
        "messages that nobody knows",
        script!(|socket, dice| {
            socket.write_all(BANNER).await.ok()?;
            for _ in 0..500 {
                let kind: u8 = dice.random_range(100..=255);
                socket.write_all(&packet(&[kind, 0, 0, 0, 0])).await.ok()?;
            }
        }),
    ),
];
