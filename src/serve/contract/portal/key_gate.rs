//! What a private key may cost to open. Its maker chose how often a passphrase is stirred and how much
//! memory that takes; a stranger's key is looked at before anything is computed for it. Pure.
//!
//! Sources: OpenSSH's PROTOCOL.key (rounds of bcrypt), the `PuTTY` manual, appendix "PPK file format"
//! (passes and memory of Argon2). A text that is neither is nobody's bomb; it is simply no key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a key.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Rounds of bcrypt; `ssh-keygen` takes 16 or 24, and 100 for the careful.
const MAX_ROUNDS: u32 = 1024;

/// Memory of Argon2 in KiB; `PuTTY` takes 8 MiB.
const MAX_ARGON_KIB: u64 = 64 * 1024;

/// Passes of Argon2.
const MAX_ARGON_PASSES: u64 = 8;

/// Bits of an RSA key.
const MAX_RSA_BITS: usize = 8192;

/// Says why a key is not taken; `None` when it may be.
pub(in crate::serve) fn objection(pem: &str) -> Option<&'static str> {
    if pem.len() > MAX_BYTES {
        return Some("a private key has at most 64 KiB");
    }
    if pem.trim_start().starts_with("PuTTY-User-Key-File-") {
        return putty(pem);
    }
    openssh(pem)
}

fn putty(text: &str) -> Option<&'static str> {
    let figure = |label: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(label))?;
        Some(line.trim().parse::<u64>().unwrap_or(u64::MAX))
    };
    let memory = figure("Argon2-Memory:").unwrap_or(0);
    let passes = figure("Argon2-Passes:").unwrap_or(0);
    (memory > MAX_ARGON_KIB || passes > MAX_ARGON_PASSES)
        .then_some("opening this key would take too much memory or time")
}

fn openssh(text: &str) -> Option<&'static str> {
    let body = text
        .split_once("-----BEGIN OPENSSH PRIVATE KEY-----")?
        .1
        .split_once("-----END")?
        .0;
    let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(packed).ok()?;
    let mut reader = Reader(bytes.strip_prefix(b"openssh-key-v1\0")?);
    let _cipher = reader.string()?;
    let kdf = reader.string()?;
    let options = reader.string()?;
    if kdf == b"bcrypt" {
        let mut options = Reader(options);
        options.string()?;
        if options.number()? > MAX_ROUNDS {
            return Some(
                "opening this key would take too long: its passphrase is stirred too often",
            );
        }
    }
    let _count = reader.number()?;
    let mut public = Reader(reader.string()?);
    if public.string()? == b"ssh-rsa" {
        let _exponent = public.string()?;
        let modulus = public.string()?;
        if modulus.len() > MAX_RSA_BITS / 8 + 1 {
            return Some("an RSA key has at most 8192 bits");
        }
    }
    None
}

/// Reads the SSH wire format (RFC 4251, section 5).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(bytes: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(bytes);
        out
    }

    fn key(kdf: &[u8], rounds: u32, modulus: usize) -> String {
        let mut options = string(&[7; 16]);
        options.extend_from_slice(&rounds.to_be_bytes());
        let public = [
            string(b"ssh-rsa"),
            string(&[1, 0, 1]),
            string(&vec![1; modulus]),
        ]
        .concat();
        let all = [
            b"openssh-key-v1\0".to_vec(),
            string(b"aes256-ctr"),
            string(kdf),
            string(&options),
            1_u32.to_be_bytes().to_vec(),
            string(&public),
            string(b"secret"),
        ]
        .concat();
        format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            STANDARD.encode(all)
        )
    }

    #[test]
    fn ordinary_keys_pass_and_bombs_do_not() {
        assert_eq!(objection(&key(b"bcrypt", 24, 513)), None);
        assert_eq!(objection(&key(b"none", u32::MAX, 513)), None);
        assert!(objection(&key(b"bcrypt", 1025, 513)).is_some());
        assert!(objection(&key(b"bcrypt", u32::MAX, 513)).is_some());
        assert!(objection(&key(b"bcrypt", 16, 2049)).is_some());
        assert!(objection(&"x".repeat(MAX_BYTES + 1)).is_some());
        let ppk = |memory: &str, passes: &str| {
            format!(
                "PuTTY-User-Key-File-3: ssh-ed25519\nArgon2-Memory: {memory}\nArgon2-Passes: {passes}\n"
            )
        };
        assert_eq!(objection(&ppk("8192", "8")), None);
        assert!(objection(&ppk("65537", "1")).is_some());
        assert!(objection(&ppk("8192", "9")).is_some());
        assert!(objection(&ppk("99999999999999999999999", "1")).is_some());
    }

    #[test]
    fn what_is_no_key_is_no_bomb() {
        assert_eq!(
            objection("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END"),
            None
        );
        assert_eq!(objection(&"k".repeat(40)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut all = b"openssh-key-v1\0".to_vec();
            all.extend(bytes);
            let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----{}-----END", STANDARD.encode(all));
            let _said = objection(&text);
        }
    }
}
