//! Known host keys: what the profile has pinned and what `known_hosts` files say. Pure but for [`read`].
//!
//! The rules are OpenSSH's (`hostfile.c`, `check_host_key` in `sshconnect.c`) and are tested against
//! it: names may be hashed, hold `*` and `?`, be negated with `!`, and stand as `[host]:port`; a line
//! that cannot be parsed says nothing; any key of the host that is not the one shown means *changed*;
//! `@revoked` refuses whatever else is known; a host on a port of its own that is nowhere listed as
//! `[host]:port` may be known by its bare name. `@cert-authority` lines are read and say nothing here,
//! because host certificates are never negotiated: the host shows its plain key, as it does to an
//! OpenSSH client that has no use for its certificate.
//!
//! Two deliberate differences, both towards refusing: a tab after `@revoked` is a separator too (OpenSSH
//! ignores such a line), and a file that cannot be read whole is an error, not an empty file.

use std::collections::HashSet;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::pattern::Name;
use super::small_file;
use crate::domain::host_key::{HostKey, HostKeyVerdict, KnownAt, PinnedKey};
use crate::transport::TransportError;

/// Bytes of one file that are read; a longer file is an error, because half of it proves nothing.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Name under which pinned keys are reported.
const PROFILE: &str = "profile";

/// The content of one `known_hosts` file.
#[derive(Debug, Clone)]
pub struct KnownHostsFile {
    /// Path, for messages.
    pub source: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Reads the files that exist, in order.
pub async fn read(paths: &[PathBuf]) -> Result<Vec<KnownHostsFile>, TransportError> {
    let mut files = Vec::new();
    for path in paths {
        let fail = |error: std::io::Error| TransportError::KnownHosts {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let content = small_file::read(path.clone(), MAX_FILE_BYTES).await;
        files.extend(content.map_err(fail)?.map(|content| KnownHostsFile {
            source: path.display().to_string(),
            content,
        }));
    }
    Ok(files)
}

/// Judges the key a host has shown. `label` is `host` or `[host]:port`, lower-case.
///
/// Revocation anywhere comes first, then keys pinned for the label, then the files.
pub fn verdict(
    files: &[KnownHostsFile],
    pinned: &[PinnedKey],
    label: &str,
    key: &HostKey,
) -> HostKeyVerdict {
    let pins: Vec<&PinnedKey> = pinned.iter().filter(|pin| pin.label == label).collect();
    if let Some(pin) = pins
        .iter()
        .find(|pin| pin.revoked && same_key(&pin.key, key))
    {
        return HostKeyVerdict::Revoked { at: pinned_at(pin) };
    }
    let from_files = verdict_of_files(files, label, key);
    if matches!(from_files, HostKeyVerdict::Revoked { .. }) {
        return from_files;
    }
    let trusted: Vec<&PinnedKey> = pins.into_iter().filter(|pin| !pin.revoked).collect();
    if trusted.iter().any(|pin| same_key(&pin.key, key)) {
        return HostKeyVerdict::Known;
    }
    if !trusted.is_empty() {
        return HostKeyVerdict::Changed {
            known: trusted.into_iter().map(pinned_at).collect(),
        };
    }
    from_files
}

/// Returns the algorithms of the keys known for a host, pinned ones first: they are asked for first,
/// so that nobody in the middle can offer a fresh type and be merely "unknown".
pub fn known_algorithms(
    files: &[KnownHostsFile],
    pinned: &[PinnedKey],
    label: &str,
) -> Vec<String> {
    let pins = pinned
        .iter()
        .filter(|pin| pin.label == label && !pin.revoked)
        .map(|pin| pin.key.algorithm.clone());
    let mut lines = lines_for(files, label);
    if lines.is_empty()
        && let Some(bare) = bare_name(label)
    {
        lines = lines_for(files, bare);
    }
    let listed = lines
        .into_iter()
        .filter(|line| line.marker == Marker::None)
        .map(|line| line.at.key.algorithm);
    // Files may name as many types as they have lines.
    let (mut seen, mut algorithms) = (HashSet::new(), Vec::new());
    for algorithm in pins.chain(listed) {
        if seen.insert(algorithm.clone()) {
            algorithms.push(algorithm);
        }
    }
    algorithms
}

/// Describes a public key in the terms of the domain; `None` when its data cannot be encoded.
pub fn describe(key: &PublicKey) -> Option<HostKey> {
    let data = PublicKey::from(key.key_data().clone());
    let blob = data.to_bytes().ok()?;
    Some(HostKey {
        algorithm: algorithm_name(key.key_data()),
        base64: base64::engine::general_purpose::STANDARD.encode(&blob),
        fingerprint: format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob))),
    })
}

/// The type as it stands in files; RSA keys have one name whatever the hash of their signatures.
fn algorithm_name(data: &KeyData) -> String {
    match data {
        KeyData::Rsa(_) => "ssh-rsa".to_owned(),
        other => other.algorithm().as_str().to_owned(),
    }
}

fn same_key(a: &HostKey, b: &HostKey) -> bool {
    a.base64.trim_end_matches('=') == b.base64.trim_end_matches('=')
}

fn pinned_at(pin: &PinnedKey) -> KnownAt {
    KnownAt {
        source: PROFILE.to_owned(),
        line: None,
        key: pin.key.clone(),
    }
}

fn verdict_of_files(files: &[KnownHostsFile], label: &str, key: &HostKey) -> HostKeyVerdict {
    let verdict = verdict_of_lines(&lines_for(files, label), key);
    if verdict != HostKeyVerdict::Unknown {
        return verdict;
    }
    // OpenSSH looks a host on a port of its own up by its bare name as well, and takes a yes from there
    // and a warning that the key is revoked, but nothing else.
    match bare_name(label).map(|bare| verdict_of_lines(&lines_for(files, bare), key)) {
        Some(known @ (HostKeyVerdict::Known | HostKeyVerdict::Revoked { .. })) => known,
        Some(HostKeyVerdict::Unknown | HostKeyVerdict::Changed { .. }) | None => {
            HostKeyVerdict::Unknown
        }
    }
}

fn verdict_of_lines(lines: &[Line], key: &HostKey) -> HostKeyVerdict {
    let shown = |line: &&Line| same_key(&line.at.key, key);
    if let Some(line) = lines
        .iter()
        .filter(|line| line.marker == Marker::Revoked)
        .find(shown)
    {
        return HostKeyVerdict::Revoked {
            at: line.at.clone(),
        };
    }
    let plain: Vec<&Line> = lines
        .iter()
        .filter(|line| line.marker == Marker::None)
        .collect();
    if plain.iter().any(|line| same_key(&line.at.key, key)) {
        HostKeyVerdict::Known
    } else if plain.is_empty() {
        HostKeyVerdict::Unknown
    } else {
        HostKeyVerdict::Changed {
            known: plain.into_iter().map(|line| line.at.clone()).collect(),
        }
    }
}

/// `host` of `[host]:port`.
fn bare_name(label: &str) -> Option<&str> {
    let (host, port) = label.strip_prefix('[')?.rsplit_once("]:")?;
    port.parse::<u16>().ok().map(|_| host)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    CertAuthority,
}

/// A line that speaks about the host.
#[derive(Debug)]
struct Line {
    marker: Marker,
    at: KnownAt,
}

fn lines_for(files: &[KnownHostsFile], label: &str) -> Vec<Line> {
    let (mut found, name) = (Vec::new(), Name::new(label.as_bytes()));
    for file in files {
        for (index, line) in file.content.split(|byte| *byte == b'\n').enumerate() {
            if let Some((marker, key)) = line_for(line, label, &name) {
                found.push(Line {
                    marker,
                    at: KnownAt {
                        source: file.source.clone(),
                        line: Some(index + 1),
                        key,
                    },
                });
            }
        }
    }
    found
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Splits off the first word; what follows starts at its next word.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| is_blank(*byte))
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, skip_blanks(rest))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !is_blank(*byte))
        .unwrap_or(text.len());
    text.split_at(start).1
}

/// Reads one line; `None` when it is about another host or cannot be parsed.
fn line_for(line: &[u8], label: &str, name: &Name) -> Option<(Marker, HostKey)> {
    // OpenSSH works on C strings: a line ends at a NUL.
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut rest = skip_blanks(line);
    let first = *rest.first()?;
    if first == b'#' {
        return None;
    }
    let mut marker = Marker::None;
    if first == b'@' {
        let (text, after) = word(rest);
        marker = match text {
            b"@revoked" => Marker::Revoked,
            b"@cert-authority" => Marker::CertAuthority,
            _ => return None,
        };
        rest = after;
    }
    let (hosts, rest) = word(rest);
    if !matches_hosts(hosts, label, name) {
        return None;
    }
    let (kind, rest) = word(rest);
    let (blob, _) = word(rest);
    Some((marker, parse_key(kind, blob)?))
}

/// Parses a key as `sshkey_read` does; white space inside the base64 (the CR of a CRLF line) is skipped.
fn parse_key(kind: &[u8], blob: &[u8]) -> Option<HostKey> {
    let kind = std::str::from_utf8(kind).ok()?;
    let blob: Vec<u8> = blob
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != 0x0b)
        .collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(blob)
        .ok()?;
    let key = PublicKey::from_bytes(&bytes).ok()?;
    let described = describe(&key)?;
    type_fits(kind, &described.algorithm).then_some(described)
}

/// Whether the written type names the key's own; those of RSA signatures are taken for RSA as well.
fn type_fits(written: &str, algorithm: &str) -> bool {
    written == algorithm
        || (algorithm == "ssh-rsa" && matches!(written, "rsa-sha2-256" | "rsa-sha2-512"))
}

fn matches_hosts(hosts: &[u8], label: &str, name: &Name) -> bool {
    if hosts.first() == Some(&b'|') {
        return matches_hashed(hosts, label).unwrap_or(false);
    }
    matches_list(hosts, name)
}

/// `|1|salt|hash`, both base64: HMAC-SHA1 of the name with the salt as key.
fn matches_hashed(hosts: &[u8], label: &str) -> Option<bool> {
    let text = std::str::from_utf8(hosts).ok()?;
    let (salt, hash) = text.strip_prefix("|1|")?.split_once('|')?;
    let engine = &base64::engine::general_purpose::STANDARD;
    let salt = engine.decode(salt).ok()?;
    // OpenSSH takes salts of the digest's length only.
    if salt.len() != 20 {
        return None;
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).ok()?;
    mac.update(label.as_bytes());
    Some(engine.encode(mac.finalize().into_bytes()) == hash)
}

/// A comma-separated list of patterns: one must match, and none with `!` in front may.
fn matches_list(list: &[u8], name: &Name) -> bool {
    let mut matched = false;
    for pattern in list.split(|byte| *byte == b',') {
        // OpenSSH's buffer for one pattern; a longer one makes the whole list match nothing.
        if pattern.len() >= 1023 {
            return false;
        }
        let fits = |pattern: &[u8]| name.matches(pattern.iter().map(u8::to_ascii_lowercase));
        if let Some(pattern) = pattern.strip_prefix(b"!") {
            if fits(pattern) {
                return false;
            }
        } else if fits(pattern) {
            matched = true;
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";

    fn key(base64: &str) -> HostKey {
        parse_key(b"ssh-ed25519", base64.as_bytes()).unwrap()
    }

    fn ask(content: &str, label: &str) -> HostKeyVerdict {
        let files = [KnownHostsFile {
            source: "known_hosts".to_owned(),
            content: content.as_bytes().to_vec(),
        }];
        verdict(&files, &[], label, &key(ED))
    }

    #[test]
    fn a_plain_line_makes_a_key_known_and_another_key_changed() {
        assert_eq!(
            ask(&format!("kvm1 ssh-ed25519 {ED}\n"), "kvm1"),
            HostKeyVerdict::Known
        );
        let HostKeyVerdict::Changed { known } =
            ask(&format!("# c\nkvm1 ssh-ed25519 {OTHER}"), "kvm1")
        else {
            panic!("not changed")
        };
        assert_eq!(known[0].line, Some(2));
        assert_eq!(ask("", "kvm1"), HostKeyVerdict::Unknown);
    }

    #[test]
    fn revocation_wins_over_everything() {
        let plain = format!("kvm1 ssh-ed25519 {ED}\n");
        for revoked in [
            format!("@revoked * ssh-ed25519 {ED}"),
            format!("@revoked\tkvm1 ssh-ed25519 {ED}"),
        ] {
            let files = [KnownHostsFile {
                source: "f".to_owned(),
                content: format!("{plain}{revoked}").into_bytes(),
            }];
            let pin = PinnedKey {
                label: "kvm1".into(),
                key: key(ED),
                revoked: false,
            };
            let verdict = verdict(&files, &[pin], "kvm1", &key(ED));
            assert!(
                matches!(verdict, HostKeyVerdict::Revoked { .. }),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn a_pinned_key_beats_the_files() {
        let files = [KnownHostsFile {
            source: "f".to_owned(),
            content: format!("kvm1 ssh-ed25519 {ED}").into_bytes(),
        }];
        let pin = |base64, revoked| PinnedKey {
            label: "kvm1".into(),
            key: key(base64),
            revoked,
        };
        let ask = |pins: &[PinnedKey]| verdict(&files, pins, "kvm1", &key(ED));
        assert!(matches!(
            ask(&[pin(OTHER, false)]),
            HostKeyVerdict::Changed { .. }
        ));
        assert_eq!(
            ask(&[pin(OTHER, false), pin(ED, false)]),
            HostKeyVerdict::Known
        );
        assert!(matches!(
            ask(&[pin(ED, true)]),
            HostKeyVerdict::Revoked { .. }
        ));
        assert_eq!(ask(&[pin(OTHER, true)]), HostKeyVerdict::Known);
    }

    #[test]
    fn ports_fall_back_to_the_bare_name_only_for_a_yes() {
        assert_eq!(
            ask(&format!("kvm1 ssh-ed25519 {ED}"), "[kvm1]:2222"),
            HostKeyVerdict::Known
        );
        assert_eq!(
            ask(&format!("kvm1 ssh-ed25519 {OTHER}"), "[kvm1]:2222"),
            HostKeyVerdict::Unknown
        );
        let both = format!("kvm1 ssh-ed25519 {ED}\n[kvm1]:2222 ssh-ed25519 {OTHER}");
        assert!(matches!(
            ask(&both, "[kvm1]:2222"),
            HostKeyVerdict::Changed { .. }
        ));
    }

    #[test]
    fn hashed_names_are_recognised() {
        // Made by `ssh-keygen -H` for `kvm1`'s sibling test vector: HMAC of the name with the salt.
        let salt = [7_u8; 20];
        let engine = &base64::engine::general_purpose::STANDARD;
        let mut mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap();
        mac.update(b"kvm1");
        let line = format!(
            "|1|{}|{} ssh-ed25519 {ED}",
            engine.encode(salt),
            engine.encode(mac.finalize().into_bytes())
        );
        assert_eq!(ask(&line, "kvm1"), HostKeyVerdict::Known);
        assert_eq!(ask(&line, "kvm2"), HostKeyVerdict::Unknown);
    }

    #[test]
    fn broken_lines_say_nothing_and_hide_nothing() {
        let content = format!(
            "kvm1 ssh-ed25519 AAAA!\n@other kvm1 ssh-ed25519 {ED}\nkvm1 ssh-rsa {ED}\n\u{0}\nkvm1\n\
             kvm1 ssh-ed25519 {ED} comment\r\n"
        );
        assert_eq!(ask(&content, "kvm1"), HostKeyVerdict::Known);
    }

    #[test]
    fn patterns_are_those_of_openssh() {
        let cases = [
            ("*", "a", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.corp,!web.corp", "db.corp", true),
            ("*.corp,!web.corp", "web.corp", false),
            ("!web.corp", "db.corp", false),
            ("KVM1", "kvm1", true),
            ("", "a", false),
            ("a,,b", "b", true),
            ("a**b*c", "axxbc", true),
        ];
        for (list, name, expected) in cases {
            assert_eq!(
                matches_list(list.as_bytes(), &Name::new(name.as_bytes())),
                expected,
                "{list} {name}"
            );
        }
    }

    #[test]
    fn known_types_are_asked_for_first() {
        let files = [KnownHostsFile {
            source: "f".to_owned(),
            content: format!("kvm1 ssh-ed25519 {ED}\n@revoked kvm1 ssh-ed25519 {OTHER}")
                .into_bytes(),
        }];
        assert_eq!(known_algorithms(&files, &[], "kvm1"), ["ssh-ed25519"]);
        assert!(known_algorithms(&files, &[], "kvm2").is_empty());
        // Of the pins those of this host that were not revoked; each type once.
        let pin = |label: &str, algorithm: &str, revoked| PinnedKey {
            label: label.to_owned(),
            key: HostKey {
                algorithm: algorithm.to_owned(),
                ..key(ED)
            },
            revoked,
        };
        let pinned = [
            pin("kvm2", "of-another", false),
            pin("kvm1", "revoked", true),
            pin("kvm1", "pinned", false),
            pin("kvm1", "ssh-ed25519", false),
        ];
        assert_eq!(
            known_algorithms(&files, &pinned, "kvm1"),
            ["pinned", "ssh-ed25519"]
        );
    }

    #[test]
    fn a_key_is_described_as_openssh_does() {
        // `ssh-keygen -l` on the same key.
        let fingerprint = "SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE";
        assert_eq!(key(ED).fingerprint, fingerprint);
        assert_eq!(
            (key(ED).algorithm.as_str(), key(ED).base64.as_str()),
            ("ssh-ed25519", ED)
        );
    }

    #[test]
    fn a_host_on_a_port_of_its_own_is_asked_for_by_what_its_bare_name_has() {
        let files = |content: String| {
            [KnownHostsFile {
                source: "f".to_owned(),
                content: content.into_bytes(),
            }]
        };
        let bare = files(format!("kvm1 ssh-ed25519 {ED}"));
        assert_eq!(known_algorithms(&bare, &[], "[kvm1]:2222"), ["ssh-ed25519"]);
        // A line of its own is the only one that counts, even where it names no key that is known.
        let own = files(format!(
            "kvm1 ssh-ed25519 {ED}\n@revoked [kvm1]:2222 ssh-ed25519 {OTHER}"
        ));
        assert!(known_algorithms(&own, &[], "[kvm1]:2222").is_empty());
        let revoked = ask(&format!("@revoked kvm1 ssh-ed25519 {ED}"), "[kvm1]:2222");
        assert!(matches!(revoked, HostKeyVerdict::Revoked { .. }));
        assert_eq!(bare_name("[::1]:22"), Some("::1"));
        for label in ["kvm1", "[kvm1]", "[kvm1]:", "[kvm1]:ssh", "[kvm1]:70000"] {
            assert_eq!(bare_name(label), None, "{label}");
        }
    }

    #[test]
    fn a_type_names_the_key_or_says_nothing() {
        let cases = [
            ("ssh-ed25519", "ssh-ed25519", true),
            ("ssh-rsa", "ssh-rsa", true),
            ("rsa-sha2-256", "ssh-rsa", true),
            ("rsa-sha2-512", "ssh-rsa", true),
            ("rsa-sha2-256", "ssh-ed25519", false),
            ("ssh-rsa", "ssh-ed25519", false),
            ("ssh-dss", "ssh-rsa", false),
        ];
        for (written, algorithm, fits) in cases {
            assert_eq!(type_fits(written, algorithm), fits, "{written} {algorithm}");
        }
        // Vertical tabs and line ends inside the key are skipped, other bytes are not.
        let (front, back) = ED.split_at(30);
        let read =
            |between: &str| parse_key(b"ssh-ed25519", format!("{front}{between}{back}").as_bytes());
        assert_eq!(read("\u{b}\r"), Some(key(ED)));
        assert_eq!(read("!"), None);
    }

    #[test]
    fn a_list_with_a_pattern_longer_than_openssh_reads_matches_nothing() {
        let list = |length| format!("kvm1,{}", "x".repeat(length)).into_bytes();
        let name = Name::new(b"kvm1");
        assert!(matches_list(&list(1022), &name));
        assert!(!matches_list(&list(1023), &name));
    }

    #[test]
    fn a_hashed_name_has_a_salt_of_the_digests_length() {
        let engine = &base64::engine::general_purpose::STANDARD;
        for (length, read) in [(19, false), (20, true), (21, false)] {
            let salt = vec![7; length];
            let mut mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap();
            mac.update(b"kvm1");
            let hash = engine.encode(mac.finalize().into_bytes());
            let hosts = format!("|1|{}|{hash}", engine.encode(&salt));
            assert_eq!(
                matches_hosts(hosts.as_bytes(), "kvm1", &Name::new(b"kvm1")),
                read,
                "{length}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_the_reader_fail(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let files = [KnownHostsFile { source: "f".to_owned(), content: bytes }];
            assert_ne!(verdict(&files, &[], "kvm1", &key(ED)), HostKeyVerdict::Known);
        }
    }
}
