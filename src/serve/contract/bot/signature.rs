//! The two signatures of the bot contract as pure functions: what is signed, and whether a signature
//! holds. When a signature may be used again is said in [`super::replay`].
//!
//! The first one is the old system's: HMAC-SHA256 over the body followed by the timestamp. The second
//! covers everything that decides what a request does; a request that carries it is never judged by the
//! first.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::domain::secret::SecretText;

/// First line of what the second signature signs: no other use of the key makes the same bytes.
const DOMAIN: &str = "VMDECK-HMAC-SHA256-V2";

/// Signatures that one header may hold, for the time in which a secret is exchanged.
const MAX_SIGNATURES: usize = 4;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 32;

/// A signature as bytes.
pub type Signature = [u8; SIGNATURE_BYTES];

/// Reads 64 lower-case hexadecimal digits; anything else is no signature.
pub fn read_hex(text: &str) -> Option<Signature> {
    let digits = text.as_bytes();
    if digits.len() != 2 * SIGNATURE_BYTES {
        return None;
    }
    let mut bytes = [0; SIGNATURE_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

/// Reads one signature, or several between commas.
pub fn read_list(text: &str) -> Option<Vec<Signature>> {
    let entries: Vec<&str> = text.split(',').collect();
    if entries.len() > MAX_SIGNATURES {
        return None;
    }
    entries
        .into_iter()
        .map(|entry| read_hex(entry.trim_matches(' ')))
        .collect()
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|half| char::from_digit(u32::from(half), 16))
        .collect()
}

/// Returns the SHA-256 of bytes as lower-case hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn keyed(secret: &SecretText) -> Hmac<Sha256> {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of any length, by its definition"
    )]
    Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes keys of any length")
}

/// Makes the first signature: over the body followed by the timestamp's bytes.
pub fn sign_old(secret: &SecretText, body: &[u8], timestamp: &str) -> Signature {
    keyed(secret)
        .chain_update(body)
        .chain_update(timestamp.as_bytes())
        .finalize()
        .into_bytes()
        .into()
}

/// Returns true when the first signature is right. Compares in constant time.
pub fn holds_old(secret: &SecretText, body: &[u8], timestamp: &str, signature: &Signature) -> bool {
    keyed(secret)
        .chain_update(body)
        .chain_update(timestamp.as_bytes())
        .verify_slice(signature)
        .is_ok()
}

/// Everything the second signature covers, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Id of the key (`x-key-id`).
    pub key_id: &'a str,
    /// Method, upper-case.
    pub method: &'a str,
    /// `host:port` the client believes it speaks to: the `host` header.
    pub audience: &'a str,
    /// Path as sent, still encoded.
    pub path: &'a str,
    /// Query as sent, still encoded, without `?`.
    pub query: &'a str,
    /// The `content-type` header, or nothing.
    pub content_type: &'a str,
    /// SHA-256 of the body, 64 hexadecimal digits (`x-content-sha256`).
    pub body_digest: &'a str,
    /// Unix milliseconds (`x-timestamp`).
    pub timestamp: &'a str,
    /// Never used before (`x-nonce`).
    pub nonce: &'a str,
}

impl Signed<'_> {
    /// Returns the text that is signed: a first line that names the use, then each part on a line with
    /// its length in bytes before it, joined by line feeds. No part can pass for another.
    pub fn text(&self) -> String {
        let query = sorted(self.query);
        let parts = [
            self.key_id,
            self.method,
            self.audience,
            self.path,
            &query,
            self.content_type,
            self.body_digest,
            self.timestamp,
            self.nonce,
        ];
        let lines = parts.map(|part| format!("{}:{part}", part.len()));
        format!("{DOMAIN}\n{}", lines.join("\n"))
    }

    /// Makes the second signature.
    pub fn sign(&self, secret: &SecretText) -> Signature {
        keyed(secret)
            .chain_update(self.text())
            .finalize()
            .into_bytes()
            .into()
    }

    /// Returns true when one of the signatures is right. Each is compared in constant time.
    pub fn holds(&self, secret: &SecretText, signatures: &[Signature]) -> bool {
        let mac = keyed(secret).chain_update(self.text());
        signatures.iter().fold(false, |held, signature| {
            mac.clone().verify_slice(signature).is_ok() | held
        })
    }
}

/// Sorts the members of a query by their bytes; what is between them is kept as sent.
fn sorted(query: &str) -> String {
    let mut members: Vec<&str> = query.split('&').collect();
    members.sort_unstable();
    members.join("&")
}

/// Returns true for a nonce: 16 to 64 characters of URL-safe base64.
pub fn is_nonce(text: &str) -> bool {
    (16..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret() -> SecretText {
        SecretText::from("s3cr3t".to_owned())
    }

    const SIGNED: Signed<'static> = Signed {
        key_id: "bot",
        method: "POST",
        audience: "127.0.0.1:8000",
        path: "/vm/web%201/start",
        query: "host=kvm1&b=2",
        content_type: "application/json",
        body_digest: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        timestamp: "1735732800123",
        nonce: "AAAAAAAAAAAAAAAAAAAAAA",
    };

    #[test]
    fn the_old_signature_is_that_of_the_old_clients() {
        // printf '{}1735732800' | openssl dgst -sha256 -hmac s3cr3t
        let expected = "da3f3f40ed8734404fe66dc6300f646d41074541e753db6885bfec5ea7c5830e";
        assert_eq!(hex(&sign_old(&secret(), b"{}", "1735732800")), expected);
        assert!(holds_old(
            &secret(),
            b"{}",
            "1735732800",
            &read_hex(expected).unwrap()
        ));
    }

    #[test]
    fn the_new_signature_covers_lines_with_their_lengths() {
        assert_eq!(
            SIGNED.text(),
            "VMDECK-HMAC-SHA256-V2\n3:bot\n4:POST\n14:127.0.0.1:8000\n17:/vm/web%201/start\n\
             13:b=2&host=kvm1\n16:application/json\n\
             64:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n\
             13:1735732800123\n22:AAAAAAAAAAAAAAAAAAAAAA"
        );
        assert_eq!(
            hex(&SIGNED.sign(&secret())),
            "c55acae722613b66d85063c74562c0d006e4dfa9f7fa9c0a6d5d8f721811d67e"
        );
        assert_eq!(digest(b"{}"), SIGNED.body_digest);
    }

    #[test]
    fn any_part_that_is_changed_breaks_the_new_signature() {
        let right = SIGNED.sign(&secret());
        assert!(SIGNED.holds(&secret(), &[right]));
        let changed = [
            Signed {
                key_id: "bots",
                ..SIGNED
            },
            Signed {
                method: "GET",
                ..SIGNED
            },
            Signed {
                audience: "127.0.0.1:8001",
                ..SIGNED
            },
            Signed {
                path: "/vm/web%202/start",
                ..SIGNED
            },
            Signed {
                query: "host=kvm2&b=2",
                ..SIGNED
            },
            Signed {
                query: "",
                ..SIGNED
            },
            Signed {
                content_type: "",
                ..SIGNED
            },
            Signed {
                body_digest: "",
                ..SIGNED
            },
            Signed {
                timestamp: "1735732800124",
                ..SIGNED
            },
            Signed {
                nonce: "AAAAAAAAAAAAAAAAAAAAAB",
                ..SIGNED
            },
        ];
        for other in changed {
            assert!(!other.holds(&secret(), &[right]), "{other:?}");
        }
        let query = Signed {
            query: "b=2&host=kvm1",
            ..SIGNED
        };
        assert!(
            query.holds(&secret(), &[right]),
            "the order of a query's members is free"
        );
        assert!(!SIGNED.holds(&SecretText::from("other".to_owned()), &[right]));
    }

    #[test]
    fn one_right_signature_of_several_is_enough() {
        let right = SIGNED.sign(&secret());
        assert!(SIGNED.holds(&secret(), &[[0; 32], right]));
        assert!(!SIGNED.holds(&secret(), &[[0; 32]]));
        assert!(!SIGNED.holds(&secret(), &[]));
        let list = format!("{}, {}", hex(&[0; 32]), hex(&right));
        assert_eq!(read_list(&list), Some(vec![[0; 32], right]));
        assert_eq!(read_list(&[hex(&right).as_str(); 5].join(",")), None);
    }

    #[test]
    fn signatures_and_nonces_have_one_form() {
        let right = hex(&[0xab; 32]);
        assert_eq!(read_hex(&right), Some([0xab; 32]));
        for bad in [
            "",
            "ab",
            &right.to_uppercase(),
            &format!("{right}00"),
            &format!(" {right}"),
            &format!("sha256={right}"),
            &right.replace('b', "g"),
            &right.replace("ab", "é"),
        ] {
            assert_eq!(read_hex(bad), None, "{bad:?}");
        }
        assert!(is_nonce("0123456789abcdef") && is_nonce("-_AZaz09-_AZaz09"));
        for bad in [
            "",
            "0123456789abcde",
            "0123456789abcde=",
            "0123456789abcde ",
            "0123456789abcde\n",
        ] {
            assert!(!is_nonce(bad), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2_000)))]

        #[test]
        fn a_flipped_bit_anywhere_is_noticed(body in proptest::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let right = sign_old(&secret(), &body, "1735732800");
            let mut message = body.clone();
            message.extend_from_slice(b"1735732800");
            let flipped = at.index(message.len());
            message[flipped] ^= 1 << bit;
            let (body, stamp) = message.split_at(body.len());
            if let Ok(stamp) = std::str::from_utf8(stamp) {
                prop_assert!(!holds_old(&secret(), body, stamp, &right));
            }
        }

        #[test]
        fn no_two_requests_sign_the_same_text(a in "[a-z0-9:&/=\n]{0,12}", b in "[a-z0-9:&/=\n]{0,12}", c in "[a-z0-9:/\n]{0,12}", d in "[a-z0-9:/\n]{0,12}") {
            let one = Signed { path: &a, content_type: &c, ..SIGNED };
            let two = Signed { path: &b, content_type: &d, ..SIGNED };
            prop_assert_eq!(one.text() == two.text(), one == two);
        }
    }
}
