//! Where a tenant may make the server dial. A host's address is a tenant's own choice; without this rule
//! it would be a way to reach the server's own services and the networks around it.
//!
//! The rule is about addresses, never about spellings: a name is resolved, every address it has is
//! judged, and what is dialled is one that was judged. Dialling happens elsewhere, where what a name leads
//! to by then is judged again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::client_address::{AddressList, normalise};
use super::state::ServeState;
use crate::config::ServeConfig;
use crate::domain::host::Endpoint;

/// How long a name may take to be resolved.
const RESOLVED_WITHIN: Duration = Duration::from_secs(3);

/// Judges addresses that are to be dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialGuard {
    /// Allowed although the rule refuses them (`serve.dial.allow`).
    allow: AddressList,
    /// Addresses that this machine listens on.
    own: Vec<IpAddr>,
}

/// Why an address is not dialled. The text is the same for every reason: it must not tell a tenant what
/// is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server does not connect to this address")]
pub struct NotDialled;

/// Judges where a client wants a host to be dialled, by the rule of this server. A name that cannot be
/// resolved now is taken: what it leads to later is judged when it is dialled.
pub async fn judge(state: &ServeState, endpoint: &Endpoint) -> Result<(), NotDialled> {
    let listening = state.listening.iter().map(SocketAddr::ip);
    let guard = DialGuard::of(&state.config, listening);
    let name = endpoint.address.as_str();
    if let Some(address) = written(name)? {
        return guard.check(address);
    }
    guard.check_name(name)?;
    let looking = state.resolver.look_up(name, endpoint.port_or_default());
    match tokio::time::timeout(RESOLVED_WITHIN, looking).await {
        Ok(Ok(found)) => {
            let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
            guard.check_all(&addresses)
        }
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

/// Reads an address that is written out, in every spelling that some resolver would take for one: with a
/// zone (RFC 4007), with a dot at its end, and the forms of `inet_aton`, in which `127.1`, `0x7f000001`
/// and `2130706433` are loopback. What ends in a number and is no address is no name either (WHATWG
/// URL, "ends in a number checker").
fn written(name: &str) -> Result<Option<IpAddr>, NotDialled> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let bare = bare
        .split_once('%')
        .map_or(bare, |(address, _zone)| address);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(Some(address));
    }
    if bare.contains(':') {
        return Err(NotDialled);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if !digits && number(last).is_none() {
        return Ok(None);
    }
    aton(name).map(|v4| Some(IpAddr::V4(v4))).ok_or(NotDialled)
}

/// Reads an IPv4 address as `inet_aton` does: up to four numbers, the last of which fills what is left.
fn aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Option<Vec<u64>> = text.split('.').map(number).collect();
    let parts = parts.filter(|parts| parts.len() <= 4)?;
    let (last, first) = parts.split_last()?;
    let taken = u32::try_from(first.len()).ok()? * 8;
    let mut address = 0_u64;
    for part in first {
        address = (address << 8) | u64::from(u8::try_from(*part).ok()?);
    }
    let room = 32_u32.checked_sub(taken)?;
    (*last < 1_u64 << room).then_some(())?;
    u32::try_from((address << room) | last)
        .ok()
        .map(Ipv4Addr::from)
}

/// Reads a number as C does: `0x` begins a hexadecimal one, `0` an octal one.
fn number(text: &str) -> Option<u64> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match (hexadecimal, text.strip_prefix('0')) {
        (Some(""), _) => Some(0),
        (Some(digits), _) => digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u64::from_str_radix(digits, 16).ok())?,
        (None, Some(digits)) if !digits.is_empty() => u64::from_str_radix(digits, 8).ok(),
        (None, _) => text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())?,
    }
}

impl DialGuard {
    /// Makes the guard of a server: what its configuration allows, and what this machine is called.
    pub fn of(config: &ServeConfig, listening: impl IntoIterator<Item = IpAddr>) -> Self {
        let allow = AddressList::new(config.dial_allow.clone());
        let own = listening.into_iter().chain([config.listen.ip()]);
        Self::new(allow, own.chain(own_addresses()))
    }

    /// Makes a guard that knows which addresses are the server's own.
    pub fn new(allow: AddressList, own: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            allow,
            own: own.into_iter().map(normalise).collect(),
        }
    }

    /// Judges a name that means this machine whatever a resolver says of it (RFC 6761, section 6.3).
    pub fn check_name(&self, name: &str) -> Result<(), NotDialled> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let local = name == "localhost"
            || name.ends_with(".localhost")
            || ["ip6-localhost", "ip6-loopback"].contains(&name.as_str());
        if local {
            self.check(IpAddr::V4(Ipv4Addr::LOCALHOST))
        } else {
            Ok(())
        }
    }

    /// Judges one address.
    pub fn check(&self, address: IpAddr) -> Result<(), NotDialled> {
        // IPv4 in every dress it has in IPv6: a gateway between the two would take it off again.
        let address = undress(address);
        if self.allow.contains(address) {
            return Ok(());
        }
        let own = self.own.contains(&address);
        if own || is_special(address) {
            return Err(NotDialled);
        }
        Ok(())
    }

    /// Judges every address that a name has: one that is refused refuses the name.
    pub fn check_all(&self, addresses: &[IpAddr]) -> Result<(), NotDialled> {
        addresses
            .iter()
            .try_for_each(|address| self.check(*address))
    }
}

/// Returns an address without the prefix that carries IPv4 in IPv6: mapped, NAT64 (RFC 6052), 6to4
/// (RFC 3056), and the old compatible form.
fn undress(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = normalise(address) else {
        return normalise(address);
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            IpAddr::V4(joined(high, low))
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => IpAddr::V4(joined(high, low)),
        _ => IpAddr::V6(v6),
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            // 0.0.0.0/8 reaches this machine; 240.0.0.0/4 is nowhere.
            first == 0
                || first >= 240
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || is_site_local(v6)
        }
    }
}

/// Returns the addresses of this machine's interfaces, as Linux tells them; none elsewhere.
fn own_addresses() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut all = local_v4(&read("/proc/net/fib_trie"));
    all.extend(local_v6(&read("/proc/net/if_inet6")));
    all
}

/// Reads `/proc/net/fib_trie`: an address stands on the line before its `/32 host LOCAL`.
fn local_v4(trie: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Reads `/proc/net/if_inet6`: 32 hexadecimal digits begin each line.
fn local_v6(table: &str) -> Vec<IpAddr> {
    let digits = table
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    digits
        .filter(|digits| digits.len() == 32)
        .filter_map(|digits| u128::from_str_radix(digits, 16).ok())
        .map(|bits| IpAddr::V6(Ipv6Addr::from(bits)))
        .collect()
}

/// `fec0::/10`, given up by RFC 3879 and still routed by some.
fn is_site_local(v6: Ipv6Addr) -> bool {
    let [first, ..] = v6.segments();
    first & 0xffc0 == 0xfec0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn guard() -> DialGuard {
        let own = [
            "192.0.2.10".parse().unwrap(),
            "2001:db8::10".parse().unwrap(),
        ];
        DialGuard::new(AddressList::default(), own)
    }

    const REFUSED: &[&str] = &[
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.10",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "::ffff:192.0.2.10",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff05::2",
        "2001:db8::10",
    ];

    #[test]
    fn the_servers_own_and_special_addresses_are_refused() {
        for address in REFUSED {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(guard().check(address), Err(NotDialled), "{address}");
        }
    }

    #[test]
    fn ordinary_addresses_and_private_networks_are_what_it_is_for() {
        for address in [
            "10.0.0.7",
            "192.168.1.20",
            "172.16.3.4",
            "203.0.113.5",
            "fd00::5",
            "2001:db8::11",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(guard().check(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_by_name_is_allowed_in_every_dress() {
        let guard = DialGuard::new("127.0.0.0/8".parse().unwrap(), []);
        assert_eq!(guard.check("127.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(guard.check("::ffff:127.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(guard.check("::1".parse().unwrap()), Err(NotDialled));
    }

    #[test]
    fn one_bad_address_of_a_name_refuses_the_name() {
        let good: IpAddr = "10.0.0.7".parse().unwrap();
        let bad: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(guard().check_all(&[good]), Ok(()));
        assert_eq!(guard().check_all(&[good, bad]), Err(NotDialled));
    }

    #[test]
    fn the_machines_own_addresses_are_read_from_its_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    |-- 192.0.2.10\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n\
                    Local:\n     |-- 192.0.2.10\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), ["192.0.2.10".parse::<IpAddr>().unwrap()]);
        let table = "fe800000000000000000000000000001 02 40 20 80     eth0\nshort 1\n";
        assert_eq!(local_v6(table), ["fe80::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn names_of_this_machine_are_refused_without_asking_anybody() {
        for name in ["localhost", "LOCALHOST.", "a.localhost", "ip6-loopback"] {
            assert_eq!(guard().check_name(name), Err(NotDialled), "{name}");
        }
        for name in ["kvm1", "localhost.example.org", "mylocalhost"] {
            assert_eq!(guard().check_name(name), Ok(()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_dress_of_a_refused_address_gets_through(index in 0usize..11) {
            let plain: IpAddr = REFUSED[index].parse().unwrap();
            let IpAddr::V4(v4) = plain else { return Ok(()) };
            let bits = u128::from(u32::from(v4));
            for prefix in [0u128, 0xffff << 32, 0x0064_ff9b << 96] {
                let v6 = IpAddr::V6(Ipv6Addr::from(prefix | bits));
                prop_assert_eq!(guard().check(v6), Err(NotDialled), "{}", v6);
            }
        }
    }
}
