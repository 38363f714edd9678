//! Fuzz targets of what a request says about itself: signatures, timestamps, addresses. See
//! `crate::testing::fuzz`.

use std::net::{IpAddr, Ipv4Addr};

use super::client_address::{AddressList, client_address};
use super::contract::bot::signature::{Signed, hex, is_nonce, read_hex, read_list};
use super::contract::bot::timestamp;
use crate::domain::secret::SecretText;
use crate::testing::fuzz::invariant::{parts, said};

/// Headers of the second signature, in the order in which they are signed, and a signature. What holds
/// for one set of parts holds for no other.
pub(crate) fn signatures(data: &[u8]) {
    let parts = parts(data);
    let texts: Vec<String> = parts
        .iter()
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    let of = |index: usize| texts.get(index).map_or("", String::as_str);
    let secret = SecretText::new("a secret of the bot's".to_owned());
    let signed = Signed {
        key_id: of(0),
        method: of(1),
        audience: of(2),
        path: of(3),
        query: of(4),
        content_type: of(5),
        body_digest: of(6),
        timestamp: of(7),
        nonce: of(8),
    };
    let right = signed.sign(&secret);
    assert_eq!(read_hex(&hex(&right)), Some(right));
    assert!(signed.holds(&secret, &[[0; 32], right]));
    assert!(!signed.holds(&secret, &[]));
    let moved = Signed {
        path: of(4),
        query: of(3),
        ..signed
    };
    if moved.text() != signed.text() {
        assert!(!moved.holds(&secret, &[right]));
    }
    if let Some(list) = read_list(of(9)) {
        assert!((1..=4).contains(&list.len()));
        assert!(signed.holds(&secret, &list) == list.contains(&right));
        let written: Vec<String> = list.iter().map(|one| hex(one)).collect();
        assert_eq!(read_list(&written.join(",")), Some(list));
    }
    if is_nonce(of(8)) {
        assert!(of(8).is_ascii() && (16..=64).contains(&of(8).len()));
    }
}

/// `x-timestamp` of both signatures: what is one loses or gains no character at its front.
pub(crate) fn timestamps(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if timestamp::parse(text).is_some() {
        assert!(text.is_ascii() && text.len() <= 32);
        let shorter = text.get(1..).unwrap_or_default();
        assert_eq!(timestamp::parse(shorter), None, "{shorter:?}");
        for digit in '0'..='9' {
            assert_eq!(timestamp::parse(&format!("{digit}{text}")), None);
        }
    }
    if let Some(at) = timestamp::parse_millis(text) {
        assert_eq!(at.as_millisecond().to_string(), text);
    }
}

/// `X-Forwarded-For` behind a proxy that is trusted: the fields, one a line.
pub(crate) fn forwarded(data: &[u8]) {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let trusted = AddressList::of(["127.0.0.1", "10.0.0.0/8"]).unwrap_or_default();
    let fields = || data.split(|byte| *byte == b'\n');
    let found = client_address(peer, fields(), &trusted);
    assert_eq!(found, found.to_canonical());
    // A peer that nobody trusts says nothing about anybody else.
    let stranger = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
    assert_eq!(client_address(stranger, fields(), &trusted), stranger);
    // Whatever stands before the nearest proxy's own entry is an invention.
    if data.len() < 1000 {
        let own: &[u8] = b"198.51.100.7";
        let with_own = client_address(peer, fields().chain([own]), &trusted);
        assert_eq!(with_own.to_string(), "198.51.100.7");
    }
}

/// Lists of addresses and networks, as settings have them.
pub(crate) fn address_lists(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<AddressList>() {
        Ok(list) => {
            assert_eq!(list.to_string().parse::<AddressList>().as_ref(), Ok(&list));
            for network in list.networks() {
                assert!(list.contains(network.network()), "{network}");
                // The last address of a wide network of IPv6 may be one of IPv4, which is compared as such.
                let highest = network.broadcast();
                let is_mapped = highest.to_canonical() != highest;
                assert!(is_mapped || list.contains(highest), "{network}");
            }
        }
        Err(error) => said(&crate::domain::text::RemoteText::new(&error.to_string()).to_string()),
    }
}
