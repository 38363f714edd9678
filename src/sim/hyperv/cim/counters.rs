//! Performance counters of virtual disks and network cards in `root\cimv2`, as rates and as what they are
//! made of (Microsoft: `Win32_PerfFormattedData`, `Win32_PerfRawData`). Instances are named by files and
//! cards; the classes keep their English names in every language.

use super::host::working;
use super::{Cell, Cells, Class, Space, WinWorld};
use crate::sim::hyperv::plan::Nic;
use crate::sim::hyperv::vm::{CARDS, DISKS, WinVm};

pub(super) const CLASSES: &[&Class] = &[
    &STORAGE_RATES,
    &STORAGE_COUNTERS,
    &NETWORK_RATES,
    &NETWORK_COUNTERS,
];

/// Tenths of microseconds between the beginning of 1601, where Windows counts from, and of 1970.
const EPOCH: i128 = 116_444_736_000_000_000;

/// The host's time as counters carry it.
fn ticks(world: &WinWorld) -> Cell {
    let ticks = world.wall().as_nanosecond() / 100 + EPOCH;
    Cell::U64(u64::try_from(ticks).unwrap_or_default())
}

/// Disks of a VM by the names of their instances: the file, with its separators turned into dashes.
fn disks(vm: &WinVm) -> impl Iterator<Item = String> {
    vm.plan.disks.iter().filter_map(|disk| {
        let chain = vm.disk_chain(disk, vm.plan.current.as_deref());
        let file = chain.into_iter().next()?;
        Some(file.replace('\\', "-"))
    })
}

fn card(vm: &WinVm, nic: &Nic) -> String {
    format!("{}_{}_{}--{}", vm.name(), nic.name, vm.id(), nic.id)
}

/// The part of a VM's traffic that one of its devices has.
fn part((one, other): (u64, u64), devices: usize) -> (u64, u64) {
    let devices = u64::try_from(devices.max(1)).unwrap_or(1);
    (one / devices, other / devices)
}

static STORAGE_RATES: Class = Class {
    name: "Win32_PerfFormattedData_Counters_HyperVVirtualStorageDevice",
    space: Space::System,
    columns: "Name Caption Description ErrorCount FlushCount QueueLength ReadBytesPersec ReadCount \
              WriteBytesPersec WriteCount",
    keys: &["Name"],
    derives: &["Win32_PerfFormattedData"],
    methods: &[],
    rows: |world| {
        let t = world.t();
        let mut rows = Vec::new();
        for vm in working(world) {
            let all = vm.traffic(DISKS, vm.plan.disk_rate, t);
            let (read, written) = part(all, vm.plan.disks.len());
            rows.extend(disks(vm).map(|name| {
                Cells::new(name.clone())
                    .text("Name", name)
                    .with("ReadBytesPersec", Cell::U64(read))
                    .with("WriteBytesPersec", Cell::U64(written))
            }));
        }
        rows
    },
};

static STORAGE_COUNTERS: Class = Class {
    name: "Win32_PerfRawData_Counters_HyperVVirtualStorageDevice",
    space: Space::System,
    columns: "Name Caption Description ErrorCount FlushCount QueueLength ReadBytesPersec ReadCount \
              WriteBytesPersec WriteCount Frequency_Object Frequency_PerfTime Frequency_Sys100NS \
              Timestamp_Object Timestamp_PerfTime Timestamp_Sys100NS",
    keys: &["Name"],
    derives: &["Win32_PerfRawData"],
    methods: &[],
    rows: |world| {
        let t = world.t();
        let mut rows = Vec::new();
        for vm in working(world) {
            let (read, written) = part(vm.disk_bytes(t), vm.plan.disks.len());
            rows.extend(disks(vm).map(|name| {
                Cells::new(name.clone())
                    .text("Name", name)
                    .with("ReadBytesPersec", Cell::U64(read))
                    .with("WriteBytesPersec", Cell::U64(written))
                    .with("Frequency_Sys100NS", Cell::U64(10_000_000))
                    .with("Timestamp_Sys100NS", ticks(world))
            }));
        }
        rows
    },
};

static NETWORK_RATES: Class = Class {
    name: "Win32_PerfFormattedData_NvspNicStats_HyperVVirtualNetworkAdapter",
    space: Space::System,
    columns: "Name Caption Description BytesPersec BytesReceivedPersec BytesSentPersec \
              PacketsPersec",
    keys: &["Name"],
    derives: &["Win32_PerfFormattedData"],
    methods: &[],
    rows: |world| {
        let t = world.t();
        let mut rows = Vec::new();
        for vm in working(world) {
            let all = vm.traffic(CARDS, vm.plan.net_rate, t);
            let (received, sent) = part(all, vm.plan.nics.len());
            rows.extend(vm.plan.nics.iter().map(|nic| {
                let name = card(vm, nic);
                Cells::new(name.clone())
                    .text("Name", name)
                    .with("BytesReceivedPersec", Cell::U64(received))
                    .with("BytesSentPersec", Cell::U64(sent))
                    .with("BytesPersec", Cell::U64(received + sent))
            }));
        }
        rows
    },
};

static NETWORK_COUNTERS: Class = Class {
    name: "Win32_PerfRawData_NvspNicStats_HyperVVirtualNetworkAdapter",
    space: Space::System,
    columns: "Name Caption Description BytesPersec BytesReceivedPersec BytesSentPersec \
              PacketsPersec Frequency_Object Frequency_PerfTime Frequency_Sys100NS \
              Timestamp_Object Timestamp_PerfTime Timestamp_Sys100NS",
    keys: &["Name"],
    derives: &["Win32_PerfRawData"],
    methods: &[],
    rows: |world| {
        let t = world.t();
        let mut rows = Vec::new();
        for vm in working(world) {
            let (received, sent) = part(vm.net_bytes(t), vm.plan.nics.len());
            rows.extend(vm.plan.nics.iter().map(|nic| {
                let name = card(vm, nic);
                Cells::new(name.clone())
                    .text("Name", name)
                    .with("BytesReceivedPersec", Cell::U64(received))
                    .with("BytesSentPersec", Cell::U64(sent))
                    .with("BytesPersec", Cell::U64(received + sent))
                    .with("Frequency_Sys100NS", Cell::U64(10_000_000))
                    .with("Timestamp_Sys100NS", ticks(world))
            }));
        }
        rows
    },
};
