//! Storage and networks of a simulated host: pools with the disks of its VMs and what lies beside them, and
//! virtual networks. What starting, stopping and refreshing one does to it (libvirt: `virStoragePool`,
//! `virNetwork`).

use super::load::{fraction, mix};
use super::scenario::uuid;
use super::vm::SimVm;

/// A volume.
#[derive(Debug, Clone)]
pub(super) struct SimVolume {
    pub(super) name: String,
    pub(super) format: &'static str,
    pub(super) capacity: u64,
    pub(super) allocation: u64,
}

/// A pool, or a network.
#[derive(Debug, Clone)]
pub(super) struct SimStore {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) active: bool,
    pub(super) autostart: bool,
    pub(super) what: What,
}

/// What it is.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A pool.
    Pool {
        kind: &'static str,
        path: &'static str,
        capacity: u64,
        /// Volumes beside the disks of VMs.
        volumes: Vec<SimVolume>,
        /// Whether the disks of the VMs are in it.
        has_disks: bool,
    },
    /// A network.
    Network {
        /// `nat`, `route` ...; isolated where there is none.
        forward: Option<&'static str>,
        bridge: String,
        /// First three numbers of its addresses.
        net: String,
        vlan: Option<u32>,
    },
}

/// Storage and networks of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Stores {
    pub(super) all: Vec<SimStore>,
}

const GIB: u64 = 1 << 30;

impl Stores {
    /// Makes what a host of this seed has.
    pub(super) fn of_host(seed: u64, disks: u64) -> Self {
        let seed = mix(seed, 900);
        let store = |number: u64, name: &str, (active, autostart), what| SimStore {
            name: name.to_owned(),
            uuid: uuid(mix(seed, number)),
            active,
            autostart,
            what,
        };
        let spare = 1.3 + 1.2 * fraction(seed, 1);
        let room = super::load::counter(super::load::figure(disks + 40 * GIB) * spare);
        let volume = |name: &str, format, gib: u64, share: u64| SimVolume {
            name: name.to_owned(),
            format,
            capacity: gib * GIB,
            allocation: gib * GIB * share / 100,
        };
        let third = 10 + mix(seed, 2) % 200;
        let network = |forward, bridge: &str, net, vlan| What::Network {
            forward,
            bridge: bridge.to_owned(),
            net: format!("10.{third}.{net}"),
            vlan,
        };
        Self {
            all: vec![
                store(
                    1,
                    "default",
                    (true, true),
                    What::Pool {
                        kind: "dir",
                        path: "/var/lib/libvirt/images",
                        capacity: room,
                        volumes: vec![
                            volume("debian-12-template.qcow2", "qcow2", 10, 12),
                            volume("old-export.raw", "raw", 24, 100),
                        ],
                        has_disks: true,
                    },
                ),
                store(
                    2,
                    "iso",
                    (true, false),
                    What::Pool {
                        kind: "netfs",
                        path: "/srv/iso",
                        capacity: 500 * GIB,
                        volumes: vec![volume("debian-12.8.0-amd64-netinst.iso", "iso", 1, 62)],
                        has_disks: false,
                    },
                ),
                store(
                    3,
                    "archive",
                    (false, false),
                    What::Pool {
                        kind: "logical",
                        path: "/dev/archive",
                        capacity: 2000 * GIB,
                        volumes: vec![volume("web-2019", "raw", 80, 100)],
                        has_disks: false,
                    },
                ),
                store(
                    4,
                    "default",
                    (true, true),
                    network(Some("nat"), "virbr0", 1, None),
                ),
                store(5, "lab", (true, false), network(None, "virbr1", 2, None)),
                store(
                    6,
                    "dmz",
                    (false, false),
                    network(Some("route"), "virbr2", 3, Some(42)),
                ),
            ],
        }
    }

    /// Returns all pools, or all networks.
    pub(super) fn of_kind(&self, pools: bool) -> impl Iterator<Item = &SimStore> {
        let fits = move |one: &&SimStore| matches!(one.what, What::Pool { .. }) == pools;
        self.all.iter().filter(fits)
    }

    /// Finds one by its UUID or its name, as `virsh` does.
    pub(super) fn find(&mut self, pools: bool, text: &str) -> Option<&mut SimStore> {
        let of_kind = |one: &SimStore| matches!(one.what, What::Pool { .. }) == pools;
        let at = self
            .all
            .iter()
            .position(|one| of_kind(one) && one.uuid.eq_ignore_ascii_case(text))
            .or_else(|| {
                let named = |one: &SimStore| of_kind(one) && one.name == text;
                self.all.iter().position(named)
            })?;
        self.all.get_mut(at)
    }
}

impl SimStore {
    /// Returns everything in a pool: disks of VMs, and what lies beside them.
    pub(super) fn volumes<'a>(&self, vms: impl Iterator<Item = &'a SimVm>) -> Vec<SimVolume> {
        let What::Pool {
            volumes, has_disks, ..
        } = &self.what
        else {
            return Vec::new();
        };
        let mut all = volumes.clone();
        if *has_disks {
            all.extend(vms.map(|vm| SimVolume {
                name: format!("{}.qcow2", vm.plan.name),
                format: "qcow2",
                capacity: vm.plan.disk_bytes,
                allocation: vm.disk_used(),
            }));
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }
}

/// The network that a VM's card is on; the others are on the host's own bridge.
pub(super) fn network_of(vm: &SimVm) -> Option<&'static str> {
    match mix(vm.plan.seed, 31) % 4 {
        0 => Some("default"),
        1 => Some("lab"),
        _ => None,
    }
}
