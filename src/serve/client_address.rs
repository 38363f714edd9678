//! Whose request it is: the address of the peer, or of the client behind a proxy we were told to trust,
//! and whether that address is on a list. Must not decide what happens to a request.
//!
//! An address is compared in one form only: `::ffff:192.0.2.1` is `192.0.2.1`. The header of a proxy is
//! believed from right to left: the last entry was written by the nearest proxy, everything to the left
//! of the first entry that no trusted proxy wrote is a client's own invention.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::extract::Request;
use ipnet::IpNet;

use crate::config::ServeConfig;

/// The other end of the connection: set by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Where the request comes from: set before anything else looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Returns the address of a request; an unspecified one where nobody has set it.
    pub fn of(request: &Request) -> IpAddr {
        let set = request.extensions().get::<Self>();
        set.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
    }
}

/// Finds out where a request comes from: the peer, or what a trusted proxy says of it.
pub fn resolve(config: &ServeConfig, request: &Request) -> IpAddr {
    let Some(peer) = request.extensions().get::<Peer>() else {
        return IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    };
    let forwarded = request.headers().get_all("x-forwarded-for").iter();
    let trusted = AddressList::new(config.trusted_proxies.clone());
    client_address(
        peer.0.ip(),
        forwarded.map(axum::http::HeaderValue::as_bytes),
        &trusted,
    )
}

/// Bytes of forwarding headers that are read; more is a client's invention as well.
const MAX_FORWARDED: usize = 4 * 1024;

/// Returns an address in the form all comparisons use: IPv4 inside IPv6 becomes IPv4.
pub fn normalise(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// A text is no list of addresses and networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address or network (examples: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32)")]
pub struct AddressListError(pub String);

/// Addresses and networks; an empty list holds nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList(Vec<IpNet>);

impl AddressList {
    /// Reads entries: single addresses or networks in CIDR form.
    pub fn of<S: AsRef<str>>(
        entries: impl IntoIterator<Item = S>,
    ) -> Result<Self, AddressListError> {
        let read = entries.into_iter().map(|entry| network(entry.as_ref()));
        read.collect::<Result<Vec<IpNet>, _>>().map(Self)
    }

    /// Takes networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Returns true when the list names the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = normalise(address);
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns true when the list names nothing.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the networks.
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }
}

impl FromStr for AddressList {
    type Err = AddressListError;

    /// Reads the form of the old variable `ALLOW_IP`: entries between commas, blanks around them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::of(
            text.split(',')
                .map(str::trim)
                .filter(|entry| !entry.is_empty()),
        )
    }
}

impl fmt::Display for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&entries.join(", "))
    }
}

fn network(entry: &str) -> Result<IpNet, AddressListError> {
    let wrong = || AddressListError(entry.chars().take(64).collect());
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(IpNet::from(normalise(address)));
    }
    let network: IpNet = entry.parse().map_err(|_not_cidr| wrong())?;
    match network {
        // The mapped half of IPv6, written as a network: no address would ever be compared in that form.
        IpNet::V6(v6) if v6.network().to_ipv4_mapped().is_some() => {
            let prefix = v6.prefix_len().checked_sub(96).ok_or_else(wrong)?;
            let address = normalise(IpAddr::V6(v6.network()));
            IpNet::new(address, prefix).map_err(|_no_prefix| wrong())
        }
        other => Ok(other.trunc()),
    }
}

/// Returns the client's address: the peer's, unless the peer is a trusted proxy that names another.
///
/// `forwarded` are the values of `X-Forwarded-For` in the order of the header fields. Where the walk
/// from the right meets something that is no address, the peer itself is the answer: a header that
/// cannot be read in full is not believed in part.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl IntoIterator<Item = &'a [u8]>,
    trusted: &AddressList,
) -> IpAddr {
    let peer = normalise(peer);
    if !trusted.contains(peer) {
        return peer;
    }
    let mut entries: Vec<&[u8]> = Vec::new();
    let mut bytes = 0;
    for value in forwarded {
        bytes += value.len();
        if bytes > MAX_FORWARDED {
            return peer;
        }
        entries.extend(value.split(|byte| *byte == b','));
    }
    let mut nearest = peer;
    for entry in entries.into_iter().rev() {
        let Some(address) = forwarded_entry(entry) else {
            return peer;
        };
        nearest = address;
        if !trusted.contains(address) {
            break;
        }
    }
    nearest
}

/// Reads one entry: an address, perhaps with a port, perhaps in brackets.
fn forwarded_entry(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text)
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .map(normalise)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn list(text: &str) -> AddressList {
        text.parse().unwrap()
    }

    #[test]
    fn an_entry_is_an_address_or_a_network() {
        let some = list("192.0.2.7, 198.51.100.0/24 ,,2001:db8::/32");
        for (address, inside) in [
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("198.51.100.255", true),
            ("::ffff:198.51.100.1", true),
            ("::ffff:192.0.2.7", true),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("::192.0.2.7", false),
        ] {
            assert_eq!(some.contains(ip(address)), inside, "{address}");
        }
        assert!(!AddressList::default().contains(ip("127.0.0.1")));
    }

    #[test]
    fn mapped_networks_mean_the_addresses_in_them() {
        assert!(list("::ffff:192.0.2.0/120").contains(ip("192.0.2.9")));
        assert!(list("::ffff:192.0.2.9").contains(ip("192.0.2.9")));
        assert!(!list("::ffff:192.0.2.0/120").contains(ip("192.0.3.9")));
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        for bad in [
            "localhost",
            "10.0.0.0/33",
            "10.0.0",
            "0x7f.1",
            "*",
            "1.2.3.4-1.2.3.9",
        ] {
            let error = bad.parse::<AddressList>().unwrap_err();
            assert_eq!(error.0, bad);
        }
    }

    #[test]
    fn only_a_trusted_peer_may_speak_for_others() {
        let spoof: &[&[u8]] = &[b"203.0.113.9"];
        let none = AddressList::default();
        let at =
            |trusted: &AddressList, peer| client_address(ip(peer), spoof.iter().copied(), trusted);
        assert_eq!(at(&none, "192.0.2.1"), ip("192.0.2.1"));
        assert_eq!(at(&list("10.0.0.0/8"), "192.0.2.1"), ip("192.0.2.1"));
        assert_eq!(at(&list("192.0.2.1"), "192.0.2.1"), ip("203.0.113.9"));
        assert_eq!(
            at(&list("192.0.2.1"), "::ffff:192.0.2.1"),
            ip("203.0.113.9")
        );
    }

    #[test]
    fn the_walk_goes_from_right_to_left_and_stops_at_the_first_stranger() {
        let trusted = list("10.0.0.0/8");
        let cases: &[(&[&str], &str)] = &[
            (&[], "10.0.0.1"),
            (&["198.51.100.1"], "198.51.100.1"),
            // The leftmost is what the client wrote.
            (&["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
            (&["127.0.0.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            // Several fields are one list, in order.
            (&["127.0.0.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            (&["10.1.1.1,10.2.2.2"], "10.1.1.1"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["198.51.100.1:5123"], "198.51.100.1"),
            // Half a header is none.
            (&["198.51.100.1, unknown"], "10.0.0.1"),
            (&["198.51.100.1,"], "10.0.0.1"),
            (&["  "], "10.0.0.1"),
            (&["garbage, 198.51.100.1"], "198.51.100.1"),
        ];
        for (header, expected) in cases {
            let values = header.iter().map(|value| value.as_bytes());
            assert_eq!(
                client_address(ip("10.0.0.1"), values, &trusted),
                ip(expected),
                "{header:?}"
            );
        }
        let long = vec![b'1'; MAX_FORWARDED + 1];
        assert_eq!(
            client_address(ip("10.0.0.1"), [long.as_slice()], &trusted),
            ip("10.0.0.1")
        );
    }

    proptest! {
        #[test]
        fn whatever_an_untrusted_peer_writes_its_own_address_counts(header in proptest::collection::vec(any::<u8>(), 0..200)) {
            let peer = ip("203.0.113.1");
            prop_assert_eq!(client_address(peer, [header.as_slice()], &list("10.0.0.0/8")), peer);
        }

        #[test]
        fn behind_a_proxy_nothing_left_of_its_own_entry_counts(mut header in proptest::collection::vec(any::<u8>(), 0..200)) {
            header.extend_from_slice(b",198.51.100.77");
            let seen = client_address(ip("10.0.0.1"), [header.as_slice()], &list("10.0.0.0/8"));
            prop_assert_eq!(seen, ip("198.51.100.77"));
        }
    }
}
