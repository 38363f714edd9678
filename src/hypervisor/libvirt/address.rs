//! Addresses and disk sizes, from the tables of `domifaddr` and `domblkinfo`. Pure.

use std::net::IpAddr;

use super::parse::lines;
use crate::domain::units::Bytes;
use crate::domain::vm::{AddressSource, VmAddress, VmNic};

/// Reads `domifaddr`; see [`of_cards`].
pub(crate) fn addresses(output: &[u8], source: AddressSource) -> Vec<VmAddress> {
    let cards = of_cards(output, source).into_iter();
    let mut found: Vec<VmAddress> = cards.map(|(_, address)| address).collect();
    found.dedup();
    found
}

/// Reads `domifaddr`: ` vnet0  52:54:00:..  ipv4  192.168.122.9/24`, with the MAC address of the card. A card's
/// further addresses have a dash in its place. The name of a card may hold anything, so words are taken from
/// the end of the line. Loopback and link-local are nobody's address.
pub(crate) fn of_cards(output: &[u8], source: AddressSource) -> Vec<(String, VmAddress)> {
    let mut card = "-";
    let mut found = Vec::new();
    for line in lines(output) {
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        let mut words = line.split_whitespace().rev();
        let (Some(address), Some(protocol)) = (words.next(), words.next()) else {
            continue;
        };
        if !matches!(protocol, "ipv4" | "ipv6") {
            continue;
        }
        card = words.next().filter(|mac| *mac != "-").unwrap_or(card);
        let ip = address.split('/').next().and_then(|text| text.parse().ok());
        if let Some(ip) = ip.filter(|ip| is_somebodys(*ip)) {
            found.push((card.to_owned(), VmAddress { ip, source }));
        }
    }
    found
}

/// Gives each card its addresses, each once, from the best source that knows it.
pub(crate) fn plug(nics: &mut [VmNic], found: &[(String, VmAddress)]) {
    for nic in nics {
        let mine = found
            .iter()
            .filter(|(mac, _)| mac.eq_ignore_ascii_case(nic.mac.raw()));
        nic.addresses = merge(mine.map(|(_, address)| address.clone()));
    }
}

fn is_somebodys(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_loopback() || ip.is_unspecified() || link_local)
}

/// Puts addresses of several sources together: each once, from the best source that knows it.
pub(crate) fn merge(found: impl IntoIterator<Item = VmAddress>) -> Vec<VmAddress> {
    let mut all: Vec<VmAddress> = found.into_iter().collect();
    all.sort_by_key(|address| (address.source, address.ip.is_ipv6(), address.ip));
    let mut merged: Vec<VmAddress> = Vec::with_capacity(all.len());
    for address in all {
        if !merged.iter().any(|known| known.ip == address.ip) {
            merged.push(address);
        }
    }
    merged
}

/// Reads `domblkinfo --all`: ` vda  CAPACITY  ALLOCATION  PHYSICAL`, a dash where there is no medium.
pub(crate) fn disk_sizes(output: &[u8]) -> Vec<(String, Option<Bytes>, Option<Bytes>)> {
    lines(output)
        .filter_map(|line| {
            let line = std::str::from_utf8(line).ok()?;
            let words: Vec<&str> = line.split_whitespace().collect();
            let [target, capacity, allocation, _physical] = words.as_slice() else {
                return None;
            };
            let size = |text: &str| text.parse().ok().map(Bytes);
            let dash_or_number = |text: &str| text == "-" || size(text).is_some();
            (dash_or_number(capacity) && dash_or_number(allocation))
                .then(|| ((*target).to_owned(), size(capacity), size(allocation)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASES: &[u8] = b" vnet0      52:54:00:11:22:33    ipv4         192.168.122.9/24\n -          -                    ipv6         fd00::9/64\n lo  00:00:00:00:00:00 ipv4 127.0.0.1/8\n x fe80::1 ipv6 fe80::1/64\n";

    #[test]
    fn addresses_are_taken_from_every_row() {
        let found = addresses(LEASES, AddressSource::Lease);
        let text: Vec<String> = found.iter().map(|address| address.ip.to_string()).collect();
        assert_eq!(text, ["192.168.122.9", "fd00::9"]);
        assert_eq!(addresses(b"error: what\n\n", AddressSource::Arp), []);
    }

    #[test]
    fn a_card_has_its_own_addresses_and_those_of_the_lines_below() {
        let cards: Vec<(String, String)> = of_cards(LEASES, AddressSource::Agent)
            .into_iter()
            .map(|(mac, address)| (mac, address.ip.to_string()))
            .collect();
        let mac = "52:54:00:11:22:33".to_owned();
        assert_eq!(
            cards,
            [
                (mac.clone(), "192.168.122.9".to_owned()),
                (mac, "fd00::9".to_owned())
            ]
        );
        let card = |mac: &str| VmNic {
            mac: mac.into(),
            device: None,
            kind: "network".into(),
            network: None,
            model: None,
            addresses: Vec::new(),
        };
        let mut nics = [card("52:54:00:11:22:33"), card("52:54:00:00:00:01")];
        let mut found = of_cards(LEASES, AddressSource::Arp);
        found.extend(of_cards(LEASES, AddressSource::Lease));
        plug(&mut nics, &found);
        let sources: Vec<AddressSource> = nics[0]
            .addresses
            .iter()
            .map(|address| address.source)
            .collect();
        assert_eq!(sources, [AddressSource::Lease; 2]);
        assert_eq!(nics[1].addresses, []);
    }

    #[test]
    fn the_best_source_of_an_address_wins() {
        let one = |ip: &str, source| VmAddress {
            ip: ip.parse().unwrap(),
            source,
        };
        let merged = merge([
            one("10.0.0.9", AddressSource::Arp),
            one("10.0.0.9", AddressSource::Agent),
            one("fd00::9", AddressSource::Agent),
            one("10.0.0.1", AddressSource::Lease),
        ]);
        assert_eq!(
            merged,
            [
                one("10.0.0.9", AddressSource::Agent),
                one("fd00::9", AddressSource::Agent),
                one("10.0.0.1", AddressSource::Lease),
            ]
        );
    }

    #[test]
    fn sizes_of_disks_and_of_empty_drives() {
        let sizes = disk_sizes(b" vda   67108864   200704   196616\n hda   -          -        -\n what is this line\n");
        assert_eq!(
            sizes,
            [
                (
                    "vda".to_owned(),
                    Some(Bytes(67_108_864)),
                    Some(Bytes(200_704))
                ),
                ("hda".to_owned(), None, None),
            ]
        );
    }
}
