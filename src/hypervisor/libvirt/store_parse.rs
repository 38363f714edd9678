//! What `virsh` says of pools, volumes, networks, and of where disks and cards lead to. Pure. Sources:
//! libvirt's "Storage pool and volume XML format" and "Network XML format"; the tables as 9.0 prints them.

use roxmltree::Node;

use super::definition::{attribute, bounded, child, content, parsed};
use super::parse::{Misshapen, labelled, lines};
use crate::domain::store::{DiskEnd, Network, Pool, StoreId, StoreState, Volume};
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;

/// Ranges and VLANs of one network that are read.
const MOST_PARTS: usize = 64;

/// Reads `pool-dumpxml`.
pub(crate) fn pool(output: &[u8]) -> Result<Pool, Misshapen> {
    let text = bounded(output)?;
    let document = parsed(&text)?;
    let root = rooted(document.root_element(), "pool")?;
    Ok(Pool {
        id: id_of(root),
        kind: attribute(root, "type"),
        capacity: bytes(root, "capacity"),
        allocation: bytes(root, "allocation"),
        available: bytes(root, "available"),
        path: child(root, "target")
            .and_then(|target| child(target, "path"))
            .and_then(content),
        ..Pool::named(name_of(root)?)
    })
}

/// Adds what `pool-info` says. Of a pool that is stopped no figures are told: its zeros are none.
pub(crate) fn take_pool_info(pool: &mut Pool, output: &[u8]) {
    let pairs = labelled(output);
    pool.state = value(&pairs, "State").and_then(|word| match word {
        "running" => Some(StoreState::Active),
        "inactive" => Some(StoreState::Inactive),
        "building" => Some(StoreState::Building),
        "degraded" => Some(StoreState::Degraded),
        "inaccessible" => Some(StoreState::Inaccessible),
        _ => None,
    });
    pool.autostart = flag(&pairs, "Autostart");
    pool.persistent = flag(&pairs, "Persistent");
    if pool.state.is_some_and(|state| !state.is_started()) {
        (pool.capacity, pool.allocation, pool.available) = (None, None, None);
    }
}

/// Reads `vol-list`: ` NAME   PATH`. Either may hold blanks; most paths end with the name.
pub(crate) fn volumes(output: &[u8]) -> Vec<Volume> {
    let mut found = Vec::new();
    for line in lines(output) {
        let line = String::from_utf8_lossy(line);
        let line = line.strip_prefix(' ').unwrap_or(&line).trim_end();
        if let Some((name, path)) = split_row(line) {
            found.push(Volume {
                path: Some(RemoteText::new(path)),
                ..Volume::named(RemoteText::new(name))
            });
        }
    }
    found
}

/// Parts a row into its two columns: where the second ends with the first, else at the first wide gap.
fn split_row(line: &str) -> Option<(&str, &str)> {
    let cuts = || {
        line.match_indices(' ').filter_map(|(at, _)| {
            let (name, path) = line.split_at_checked(at)?;
            let (name, path) = (name.trim_end(), path.trim_start());
            (!name.is_empty() && !path.is_empty()).then_some((name, path))
        })
    };
    let fits = |(name, path): &(&str, &str)| {
        let rest = path.strip_suffix(name);
        rest.is_some_and(|rest| rest.ends_with('/'))
    };
    cuts().find(fits).or_else(|| {
        let (name, path) = line.split_once("  ")?;
        let (name, path) = (name.trim_end(), path.trim_start());
        (!name.is_empty() && !path.is_empty()).then_some((name, path))
    })
}

/// Reads `vol-dumpxml`.
pub(crate) fn volume(output: &[u8]) -> Result<Volume, Misshapen> {
    let text = bounded(output)?;
    let document = parsed(&text)?;
    let root = rooted(document.root_element(), "volume")?;
    let target = child(root, "target");
    let path_in = |node| child(node, "path").and_then(content);
    Ok(Volume {
        path: target.and_then(path_in),
        format: target
            .and_then(|target| child(target, "format"))
            .and_then(|format| attribute(format, "type")),
        capacity: bytes(root, "capacity"),
        allocation: bytes(root, "allocation"),
        backing: child(root, "backingStore").and_then(path_in),
        ..Volume::named(name_of(root)?)
    })
}

/// Reads `net-dumpxml`.
pub(crate) fn network(output: &[u8]) -> Result<Network, Misshapen> {
    let text = bounded(output)?;
    let document = parsed(&text)?;
    let root = rooted(document.root_element(), "network")?;
    let forward = child(root, "forward");
    let mode = match forward {
        None => Some(RemoteText::new("isolated")),
        // libvirt: "if no mode is given, NAT is used".
        Some(node) => attribute(node, "mode").or_else(|| Some(RemoteText::new("nat"))),
    };
    let adapter = forward.and_then(|node| {
        attribute(node, "dev")
            .or_else(|| child(node, "interface").and_then(|one| attribute(one, "dev")))
    });
    let tags = root
        .descendants()
        .filter(|node| node.has_tag_name("tag"))
        .filter_map(|tag| tag.attribute("id")?.parse().ok());
    let mut vlans: Vec<u32> = tags.take(MOST_PARTS).collect();
    vlans.sort_unstable();
    vlans.dedup();
    Ok(Network {
        id: id_of(root),
        mode,
        bridge: child(root, "bridge").and_then(|bridge| attribute(bridge, "name")),
        adapter,
        vlans,
        ranges: ranges(root),
        ..Network::named(name_of(root)?)
    })
}

fn ranges(root: Node<'_, '_>) -> Vec<RemoteText> {
    let mut found = Vec::new();
    for ip in root.children().filter(|node| node.has_tag_name("ip")) {
        if let Some(address) = ip.attribute("address") {
            let mask = ip.attribute("prefix").or_else(|| ip.attribute("netmask"));
            let mask = mask.map_or_else(String::new, |mask| format!("/{}", prefix_of(mask)));
            found.push(RemoteText::new(&format!("{address}{mask}")));
        }
        let dhcp = ip.descendants().filter(|node| node.has_tag_name("range"));
        found.extend(dhcp.filter_map(|range| {
            let (start, end) = (range.attribute("start")?, range.attribute("end")?);
            Some(RemoteText::new(&format!("{start} - {end}")))
        }));
    }
    found.truncate(MOST_PARTS);
    found
}

/// `255.255.255.0` is `24`; anything that is no mask of IPv4 stays.
fn prefix_of(mask: &str) -> String {
    let Ok(address) = mask.parse::<std::net::Ipv4Addr>() else {
        return mask.to_owned();
    };
    let bits = address.to_bits();
    if bits.leading_ones() == bits.count_ones() {
        bits.leading_ones().to_string()
    } else {
        mask.to_owned()
    }
}

/// Adds what `net-info` says.
pub(crate) fn take_network_info(network: &mut Network, output: &[u8]) {
    let pairs = labelled(output);
    network.state = flag(&pairs, "Active").map(|active| {
        if active {
            StoreState::Active
        } else {
            StoreState::Inactive
        }
    });
    network.autostart = flag(&pairs, "Autostart");
    network.persistent = flag(&pairs, "Persistent");
}

/// Counts the rows of a table without headings.
pub(crate) fn rows(output: &[u8]) -> u32 {
    let rows = lines(output).filter(|line| !line.trim_ascii().is_empty());
    u32::try_from(rows.count()).unwrap_or(u32::MAX)
}

/// Where the disks of a VM are, as its table told them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) disks: Vec<DiskEnd>,
    /// Whether a name in it could not be printed as it is.
    pub(crate) is_garbled: bool,
}

/// Reads `domblklist --details`: ` TYPE   DEVICE   TARGET   SOURCE`; the source may hold blanks.
pub(crate) fn disks(output: &[u8]) -> Ends {
    let mut ends = Ends::default();
    for line in lines(output) {
        let line = String::from_utf8_lossy(line);
        let mut rest = line.trim();
        let mut word = || {
            let (word, after) = rest.split_once(' ')?;
            rest = after.trim_start();
            Some(word.to_owned())
        };
        let (Some(kind), Some(_device), Some(_target)) = (word(), word(), word()) else {
            continue;
        };
        if rest == "-" || rest.is_empty() {
            continue;
        }
        ends.is_garbled |= is_garbled(rest);
        ends.disks.push(if kind == "volume" {
            DiskEnd::Volume {
                pool: None,
                name: rest.to_owned(),
            }
        } else {
            DiskEnd::Path(rest.to_owned())
        });
    }
    ends
}

/// Tells whether text of a table holds characters that the locale could not print.
pub(crate) fn is_garbled(text: &str) -> bool {
    text.contains("\\x")
}

/// Reads `domiflist`: ` INTERFACE   TYPE   SOURCE   MODEL   MAC`; returns the names of networks, and whether
/// one of them could not be printed as it is.
pub(crate) fn cards(output: &[u8]) -> (Vec<String>, bool) {
    let mut names = Vec::new();
    let mut garbled = false;
    for line in lines(output) {
        let line = String::from_utf8_lossy(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, "network", source @ .., _model, _mac] = words.as_slice()
            && !source.is_empty()
        {
            let name = source.join(" ");
            garbled |= is_garbled(&name);
            names.push(name);
        }
    }
    (names, garbled)
}

fn rooted<'a, 'input>(
    root: Node<'a, 'input>,
    name: &'static str,
) -> Result<Node<'a, 'input>, Misshapen> {
    if root.has_tag_name(name) {
        Ok(root)
    } else {
        Err(Misshapen::new(
            "something else than was asked for",
            root.tag_name().name().as_bytes(),
        ))
    }
}

fn name_of(root: Node<'_, '_>) -> Result<RemoteText, Misshapen> {
    child(root, "name")
        .and_then(|node| node.text())
        .filter(|text| !text.is_empty())
        .map(RemoteText::new)
        .ok_or_else(|| Misshapen::new("no name", b""))
}

fn id_of(root: Node<'_, '_>) -> Option<StoreId> {
    StoreId::parse(child(root, "uuid")?.text()?.trim())
}

/// Bytes of an element. libvirt writes them in bytes; another unit is not guessed at.
fn bytes(root: Node<'_, '_>, name: &str) -> Option<Bytes> {
    let node = child(root, name)?;
    let plain = node.attribute("unit").is_none_or(|unit| unit == "bytes");
    let text = node.text().filter(|_| plain)?;
    text.trim().parse().ok().map(Bytes)
}

fn value<'a>(pairs: &'a [(String, String)], label: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(name, _)| name == label);
    found.map(|(_, value)| value.as_str())
}

fn flag(pairs: &[(String, String)], label: &str) -> Option<bool> {
    match value(pairs, label)? {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POOL: &str = "<pool type='dir'>
  <name>default-pool</name>
  <uuid>dfe224cb-28fb-8dd0-c4b2-64eb3f0f4566</uuid>
  <capacity unit='bytes'>107374182400</capacity>
  <allocation unit='bytes'>20971520</allocation>
  <available unit='bytes'>107353210880</available>
  <source>
  </source>
  <target>
    <path>/default-pool</path>
  </target>
</pool>
";

    const NETWORK: &str = "<network connections='1'>
  <name>default</name>
  <uuid>dd8fe884-6c02-601e-7551-cca97df1c5df</uuid>
  <forward dev='eth0' mode='nat'>
    <interface dev='eth0'/>
  </forward>
  <bridge name='virbr0' stp='on' delay='0'/>
  <vlan trunk='yes'><tag id='42'/><tag id='7'/></vlan>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='192.168.122.2' end='192.168.122.254'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='fd00::1' prefix='64'/>
</network>
";

    #[test]
    fn a_pool_tells_where_it_is_and_what_is_left() {
        let mut pool = pool(POOL.as_bytes()).unwrap();
        take_pool_info(
            &mut pool,
            b"Name:           default-pool\nState:          running\nPersistent:     yes\nAutostart:      no\n",
        );
        assert_eq!(pool.name.raw(), "default-pool");
        assert_eq!(pool.path, Some(RemoteText::new("/default-pool")));
        assert_eq!(pool.available, Some(Bytes(107_353_210_880)));
        assert_eq!(
            (pool.state, pool.persistent, pool.autostart),
            (Some(StoreState::Active), Some(true), Some(false))
        );
    }

    #[test]
    fn a_pool_that_is_stopped_has_no_figures() {
        let text = POOL.replace("107374182400", "0");
        let mut pool = pool(text.as_bytes()).unwrap();
        take_pool_info(&mut pool, b"State:          inactive\n");
        assert_eq!(pool.state, Some(StoreState::Inactive));
        assert_eq!(
            (pool.capacity, pool.available, pool.autostart),
            (None, None, None)
        );
    }

    #[test]
    fn volumes_may_have_blanks_in_their_names() {
        let list = b" a b.qcow2   /default pool/a b.qcow2\n plain.raw   /default pool/plain.raw\n unit:0:0:1   /dev/disk/by-path/x\n";
        let found: Vec<(String, String)> = volumes(list)
            .iter()
            .map(|one| (one.name.to_string(), one.path.as_ref().unwrap().to_string()))
            .collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            found,
            [
                pair("a b.qcow2", "/default pool/a b.qcow2"),
                pair("plain.raw", "/default pool/plain.raw"),
                pair("unit:0:0:1", "/dev/disk/by-path/x"),
            ]
        );
        assert!(volumes(b"\n\n   \n").is_empty());
    }

    #[test]
    fn a_volume_tells_its_format_and_what_it_is_based_on() {
        let text = "<volume type='file'><name>web.qcow2</name><capacity unit='bytes'>10</capacity><allocation unit='KiB'>4</allocation><target><path>/i/web.qcow2</path><format type='qcow2'/></target><backingStore><path>/i/base.qcow2</path><format type='qcow2'/></backingStore></volume>";
        let volume = volume(text.as_bytes()).unwrap();
        assert_eq!(volume.format, Some(RemoteText::new("qcow2")));
        assert_eq!(volume.backing, Some(RemoteText::new("/i/base.qcow2")));
        assert_eq!(
            (volume.capacity, volume.allocation),
            (Some(Bytes(10)), None)
        );
    }

    #[test]
    fn a_network_tells_how_it_reaches_the_world() {
        let mut network = network(NETWORK.as_bytes()).unwrap();
        take_network_info(
            &mut network,
            b"Name:           default\nActive:         yes\nPersistent:     yes\nAutostart:      no\nBridge:         virbr0\n",
        );
        assert_eq!(network.mode, Some(RemoteText::new("nat")));
        assert_eq!(network.adapter, Some(RemoteText::new("eth0")));
        assert_eq!(network.vlans, [7, 42]);
        let ranges: Vec<&str> = network.ranges.iter().map(RemoteText::raw).collect();
        assert_eq!(
            ranges,
            [
                "192.168.122.1/24",
                "192.168.122.2 - 192.168.122.254",
                "fd00::1/64"
            ]
        );
        assert_eq!(network.state, Some(StoreState::Active));
        let alone = super::network(b"<network><name>x</name></network>").unwrap();
        assert_eq!(alone.mode, Some(RemoteText::new("isolated")));
    }

    #[test]
    fn disks_and_cards_are_taken_from_their_tables() {
        let ends = disks(
            b" file     disk    vda   /a b/c.qcow2\n volume   disk    vdb   data\n file     cdrom   sda   -\n",
        );
        let volume = DiskEnd::Volume {
            pool: None,
            name: "data".to_owned(),
        };
        assert_eq!(
            ends.disks,
            [DiskEnd::Path("/a b/c.qcow2".to_owned()), volume]
        );
        assert!(!ends.is_garbled);
        assert!(disks(b" file   disk   vda   /\\xff\\xff.img\n").is_garbled);
        let table = b" vnet0   network   my lan   virtio   52:54:00:00:00:01\n -   bridge   br0   virtio   52:54:00:00:00:02\n";
        assert_eq!(cards(table), (vec!["my lan".to_owned()], false));
    }

    proptest! {
        #[test]
        fn damaged_answers_are_errors_or_values(at in 0usize..700, byte in any::<u8>()) {
            let mut pool_text = POOL.as_bytes().to_vec();
            let mut network_text = NETWORK.as_bytes().to_vec();
            for text in [&mut pool_text, &mut network_text] {
                if let Some(place) = text.get_mut(at) {
                    *place = byte;
                }
            }
            drop((pool(&pool_text), network(&network_text), volume(&pool_text)));
            drop((volumes(&pool_text), disks(&pool_text), cards(&network_text)));
        }
    }
}
