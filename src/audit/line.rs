//! One record as one line of bytes: chained, with a MAC where a key is at hand, never longer than the
//! ceiling. The bytes are what is hashed; nothing is ever re-rendered to check it.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::error::AuditError;
use crate::domain::audit::{AUDIT_VERSION, AuditEntry, AuditHead, AuditKey, AuditRecord};
use crate::domain::text::RemoteText;
use crate::json;

/// Ceiling of a line in bytes, without its line feed.
pub const MAX_LINE: usize = 16 * 1024;

/// `prev` of the first line there is.
pub const NO_PREVIOUS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// `,"mac":""` and 64 digits.
const MAC_ROOM: usize = 9 + 64;

/// What is left of a field (bytes) and of the plan (lines), tried in turn until the line fits.
const BUDGETS: [(usize, usize); 4] = [(4096, 64), (1024, 32), (256, 16), (64, 4)];

/// Put where something was cut off.
const CUT: &str = "… (cut)";

/// The start of a line: enough to go on with the chain.
#[derive(Debug, Deserialize)]
pub(super) struct LineHead {
    pub(super) seq: u64,
    #[serde(rename = "v")]
    _version: u32,
    #[serde(rename = "prev")]
    _prev: IgnoredAny,
}

/// Returns the number of the record after `head`. Saturates: a number that somebody has put there by
/// hand must not stop the log.
pub(super) fn next_seq(head: Option<&AuditHead>) -> u64 {
    head.map_or(0, |head| head.seq).saturating_add(1)
}

/// Renders the record that follows `head`, without a line feed.
pub(super) fn render(
    head: Option<&AuditHead>,
    entry: &AuditEntry,
    key: Option<&AuditKey>,
) -> Result<String, AuditError> {
    let mut record = AuditRecord {
        v: AUDIT_VERSION,
        seq: next_seq(head),
        prev: head.map_or(NO_PREVIOUS, |head| &head.hash).to_owned(),
        entry: entry.clone(),
        mac: None,
    };
    let mut line = to_line(&record)?;
    for (bytes, plan_lines) in BUDGETS {
        if line.len() + MAC_ROOM <= MAX_LINE {
            break;
        }
        cut_entry(&mut record.entry, bytes, plan_lines);
        line = to_line(&record)?;
    }
    if line.len() + MAC_ROOM > MAX_LINE {
        return Err(AuditError::Record("it is too long".to_owned()));
    }
    if let Some(key) = key {
        let mac = mac_of(key, &record.prev, &line);
        line.pop();
        line.push_str(",\"mac\":\"");
        line.push_str(&mac);
        line.push_str("\"}");
    }
    Ok(line)
}

fn to_line(record: &AuditRecord) -> Result<String, AuditError> {
    json::to_line(record).map_err(|error| AuditError::Record(error.to_string()))
}

fn cut_entry(entry: &mut AuditEntry, bytes: usize, plan_lines: usize) {
    for field in [
        &mut entry.timestamp,
        &mut entry.action,
        &mut entry.status,
        &mut entry.details,
    ] {
        cut(field, bytes);
    }
    let optional = [
        &mut entry.host,
        &mut entry.vm_id,
        &mut entry.store_id,
        &mut entry.client_ip,
        &mut entry.rule,
        &mut entry.state_before,
        &mut entry.state_after,
        &mut entry.operation,
    ];
    for field in optional.into_iter().flatten() {
        cut(field, bytes);
    }
    for vm in [&mut entry.vm, &mut entry.store].into_iter().flatten() {
        let mut name = vm.raw().to_owned();
        cut(&mut name, bytes);
        *vm = RemoteText::new(&name);
    }
    if let Some(actor) = &mut entry.actor {
        cut(&mut actor.user, bytes);
        for field in [&mut actor.key, &mut actor.client_ip].into_iter().flatten() {
            cut(field, bytes);
        }
    }
    if entry.plan.len() > plan_lines {
        entry.plan.truncate(plan_lines);
        entry.plan.push(CUT.to_owned());
    }
    for command in &mut entry.plan {
        cut(command, bytes);
    }
}

fn cut(text: &mut String, bytes: usize) {
    if text.len() <= bytes {
        return;
    }
    let mut end = bytes.saturating_sub(CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(CUT);
}

/// Reads a whole record back.
pub(super) fn parse(line: &[u8]) -> Option<AuditRecord> {
    serde_json::from_slice::<AuditRecord>(line)
        .ok()
        .filter(|record| record.v == AUDIT_VERSION)
}

/// Returns the hash that the next line carries.
pub(super) fn hash(line: &[u8]) -> String {
    hex(&Sha256::digest(line))
}

/// Says whether a line's MAC is right under a key; `None` when it has none.
pub(super) fn check_mac(record: &AuditRecord, line: &[u8], key: &AuditKey) -> Option<bool> {
    let claimed = record.mac.as_ref()?;
    let tail = format!(",\"mac\":\"{claimed}\"}}");
    let Some(body) = line.strip_suffix(tail.as_bytes()) else {
        return Some(false);
    };
    let mut mac = keyed(key);
    mac.update(record.prev.as_bytes());
    mac.update(body);
    mac.update(b"}");
    Some(from_hex(claimed).is_some_and(|claimed| mac.verify_slice(&claimed).is_ok()))
}

fn mac_of(key: &AuditKey, prev: &str, line: &str) -> String {
    let mut mac = keyed(key);
    mac.update(prev.as_bytes());
    mac.update(line.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn keyed(key: &AuditKey) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length")
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Reads what [`hex`] has written. One spelling only: with upper-case digits, or a sign, another line would have the
/// same MAC.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::audit::AuditPhase;
    use crate::domain::operation::{Actor, Door};
    use crate::domain::text::is_hostile;

    pub(crate) fn entry(details: &str) -> AuditEntry {
        AuditEntry {
            timestamp: "2026-01-01T00:00:00Z".into(),
            phase: AuditPhase::Intent,
            action: "force-off".into(),
            host: Some("kvm1".into()),
            vm: Some(RemoteText::new("web-1")),
            vm_id: None,
            store: None,
            store_id: None,
            actor: Some(Actor {
                door: Door::Once,
                user: "ann".into(),
                key: None,
                client_ip: None,
            }),
            client_ip: None,
            plan: vec!["virsh destroy x".into()],
            rule: None,
            state_before: Some("running".into()),
            state_after: None,
            status: "pending".into(),
            details: details.into(),
            elapsed_ms: None,
            operation: Some("op-1".into()),
        }
    }

    #[test]
    fn a_line_reads_back_as_it_was_meant() {
        let key = AuditKey::new([7; 32]);
        let line = render(None, &entry("x"), Some(&key)).unwrap();
        let record = parse(line.as_bytes()).unwrap();
        assert_eq!(record.entry, entry("x"));
        assert_eq!(
            (record.v, record.seq, record.prev.as_str()),
            (1, 1, NO_PREVIOUS)
        );
        assert_eq!(check_mac(&record, line.as_bytes(), &key), Some(true));
        assert_eq!(
            check_mac(&record, line.as_bytes(), &AuditKey::new([8; 32])),
            Some(false)
        );
    }

    #[test]
    fn a_flood_is_cut_and_marked() {
        let mut flood = entry(&"\u{e0041}".repeat(20_000));
        flood.vm = Some(RemoteText::new(&"\u{0}".repeat(9000)));
        flood.plan = vec!["é".repeat(5000); 100];
        flood.host = Some("\u{1}".repeat(5000));
        let line = render(None, &flood, Some(&AuditKey::new([1; 32]))).unwrap();
        assert!(line.len() <= MAX_LINE);
        let record = parse(line.as_bytes()).unwrap();
        assert!(record.entry.details.ends_with(CUT));
        assert_eq!(record.entry.plan.last().unwrap(), CUT);
        assert!(record.mac.is_some());
    }

    #[test]
    fn nothing_is_cut_of_what_just_fits() {
        let key = AuditKey::new([7; 32]);
        let bare = render(None, &entry(""), None).unwrap().len();
        let room = MAX_LINE - MAC_ROOM - bare;
        let fits = entry(&"x".repeat(room));
        let line = render(None, &fits, Some(&key)).unwrap();
        assert_eq!(line.len(), MAX_LINE);
        assert_eq!(parse(line.as_bytes()).unwrap().entry, fits);
        let longer = render(None, &entry(&"x".repeat(room + 1)), Some(&key)).unwrap();
        let details = parse(longer.as_bytes()).unwrap().entry.details;
        assert_eq!(details.len(), 4096);
        assert!(details.ends_with(CUT));
    }

    #[test]
    fn a_field_is_cut_to_its_bytes_between_two_characters() {
        let after = |text: &str, bytes| {
            let mut text = text.to_owned();
            cut(&mut text, bytes);
            text
        };
        assert_eq!(after("0123456789abcdef", 16), "0123456789abcdef");
        assert_eq!(after("0123456789abcdefg", 16), format!("0123456{CUT}"));
        // Seven bytes are left, two a character.
        assert_eq!(after("0éééééééé", 16), format!("0ééé{CUT}"));
        assert_eq!(after("éééééééééé", 16), format!("ééé{CUT}"));
    }

    #[test]
    fn every_field_is_cut_and_a_plan_to_its_lines() {
        let long = "x".repeat(100);
        let text = || Some(long.clone());
        let name = || Some(RemoteText::new(&long));
        let mut all = AuditEntry {
            timestamp: long.clone(),
            phase: AuditPhase::Intent,
            action: long.clone(),
            host: text(),
            vm: name(),
            vm_id: text(),
            store: name(),
            store_id: text(),
            actor: Some(Actor {
                door: Door::Once,
                user: long.clone(),
                key: text(),
                client_ip: text(),
            }),
            client_ip: text(),
            plan: vec![long.clone(); 4],
            rule: text(),
            state_before: text(),
            state_after: text(),
            status: long.clone(),
            details: long.clone(),
            elapsed_ms: None,
            operation: text(),
        };
        cut_entry(&mut all, 64, 4);
        assert_eq!(all.plan.len(), 4);
        let rendered = serde_json::to_string(&all).unwrap();
        assert!(!rendered.contains(&"x".repeat(56)), "{rendered}");
        assert_eq!(rendered.matches(CUT).count(), 21, "{rendered}");
        all.plan = vec![String::new(); 5];
        cut_entry(&mut all, 64, 4);
        assert_eq!(all.plan, ["", "", "", "", CUT]);
    }

    #[test]
    fn a_mac_has_one_spelling_and_no_line_without_it_is_authentic() {
        let key = AuditKey::new([7; 32]);
        let check = |line: &str| {
            let record = parse(line.as_bytes()).unwrap();
            check_mac(&record, line.as_bytes(), &key)
        };
        assert_eq!(check(&render(None, &entry("x"), None).unwrap()), None);
        let (begins, mac) = line_with_mac(&key, |mac| mac.starts_with('0') && mac.contains('a'));
        let spelt = |mac: &str| format!("{begins}{mac}\"}}");
        assert_eq!(check(&spelt(&mac)), Some(true));
        let rest = mac.strip_prefix('0').unwrap();
        let (upper, signed) = (mac.to_uppercase(), format!("+{rest}"));
        let short = mac.split_at(62).0;
        for other in [&upper, &signed, short, rest, "", "é", "zz"] {
            assert_eq!(check(&spelt(other)), Some(false), "{other}");
        }
        // Something between the MAC and the end of the line.
        let spaced = format!("{begins}{mac}\" }}");
        assert_eq!(check(&spaced), Some(false));
        // The last digits without their zero are the same number.
        let (begins, mac) = line_with_mac(&key, |mac| mac.split_at(62).1.starts_with('0'));
        let (front, last) = mac.split_at(62);
        let last = last.strip_prefix('0').unwrap();
        assert_eq!(check(&format!("{begins}{front}0{last}\"}}")), Some(true));
        assert_eq!(check(&format!("{begins}{front}{last}\"}}")), Some(false));
    }

    /// Returns a line up to its MAC, and a MAC as wanted; that takes a few tries.
    fn line_with_mac(key: &AuditKey, wanted: impl Fn(&str) -> bool) -> (String, String) {
        let split = |n: u32| {
            let line = render(None, &entry(&n.to_string()), Some(key)).unwrap();
            let (begins, mac) = line.strip_suffix("\"}").unwrap().rsplit_once('"').unwrap();
            (format!("{begins}\""), mac.to_owned())
        };
        (0..100_000)
            .map(split)
            .find(|(_, mac)| wanted(mac))
            .unwrap()
    }

    #[test]
    fn bytes_are_lower_case_digits_and_back() {
        assert_eq!(hex(&[0x00, 0x1f, 0xa5, 0xff]), "001fa5ff");
        assert_eq!(from_hex("001fa5ff").unwrap(), [0x00, 0x1f, 0xa5, 0xff]);
        assert_eq!(
            hash(b"abc"),
            // FIPS 180-2, appendix B.1.
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        #[test]
        fn a_line_is_one_line_and_harmless(details in "\\PC*|.{0,200}|[\\u{80}-\\u{9f}\\n\\r]{0,20}") {
            let line = render(None, &entry(&details), None).unwrap();
            prop_assert!(!line.chars().any(is_hostile));
            prop_assert_eq!(parse(line.as_bytes()).unwrap().entry.details, details);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(parse(&bytes));
        }
    }
}
