//! The host's own load, from `nodeinfo`, `nodememstats` and `nodecpustats`. Pure but for the one
//! earlier reading that processor time is compared with.

use super::parse::labelled;
use crate::domain::inventory::HostLoad;
use crate::domain::units::{Bytes, Percent};

/// Processor time of the host since it was booted, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTime {
    busy: u64,
    total: u64,
}

/// Reads `nodecpustats`: nanoseconds by use.
pub(crate) fn cpu_time(output: &[u8]) -> Option<CpuTime> {
    let pairs = labelled(output);
    let of = |label: &str| -> Option<u64> {
        let (_, value) = pairs.iter().find(|(name, _)| name == label)?;
        value.parse().ok()
    };
    let idle = of("idle")?.saturating_add(of("iowait").unwrap_or(0));
    let busy = of("user")?
        .saturating_add(of("system")?)
        .saturating_add(of("intr").unwrap_or(0));
    Some(CpuTime {
        busy,
        total: busy.saturating_add(idle),
    })
}

impl CpuTime {
    /// Tells whether the counters stand where they stood: too little time has passed for a share.
    pub(crate) const fn stands_still(self, before: Self) -> bool {
        self.total == before.total
    }
}

/// Share of the host's processors in use between two readings.
pub(crate) fn cpu_share(before: CpuTime, now: CpuTime) -> Option<Percent> {
    let total = now.total.checked_sub(before.total)?;
    let busy = now.busy.checked_sub(before.busy)?;
    Bytes(busy).percent_of(Bytes(total))
}

/// Reads `nodememstats`. Buffers and page cache count as free: the host gives them back on demand.
pub(crate) fn memory(output: &[u8]) -> HostLoad {
    let pairs = labelled(output);
    let of = |label: &str| {
        pairs
            .iter()
            .find(|(name, _)| name == label)
            .and_then(|(_, value)| kib(value))
    };
    let total = of("total");
    let used = total.zip(of("free")).map(|(total, free)| {
        total
            .saturating_sub(free)
            .saturating_sub(of("buffers").unwrap_or(0))
            .saturating_sub(of("cached").unwrap_or(0))
    });
    HostLoad {
        cpu: None,
        memory_used: used.map(Bytes::from_kib),
        memory_total: total.map(Bytes::from_kib),
    }
}

/// What `nodeinfo` says: logical processors and memory.
pub(crate) fn info(output: &[u8]) -> (Option<u32>, Option<Bytes>) {
    let pairs = labelled(output);
    let of = |label: &str| {
        pairs
            .iter()
            .find(|(name, _)| name == label)
            .map(|(_, value)| value.as_str())
    };
    (
        of("CPU(s)").and_then(|value| value.parse().ok()),
        of("Memory size").and_then(kib).map(Bytes::from_kib),
    )
}

fn kib(value: &str) -> Option<u64> {
    value.strip_suffix("KiB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: &[u8] = b"total  :             24684084 KiB\nfree   :             24055168 KiB\nbuffers:                 1072 KiB\ncached :                88320 KiB\n";
    const INFO: &[u8] = b"CPU model:           x86_64\nCPU(s):              2\nCPU frequency:       2600 MHz\nMemory size:         11364556 KiB\n";
    const CPU: &[u8] = b"user:                   704300000000\nsystem:                 108100000000\nidle:                  3306500000000\niowait:                  15720000000\n";

    #[test]
    fn caches_are_not_counted_as_used() {
        let load = memory(MEMORY);
        assert_eq!(load.memory_total, Some(Bytes::from_kib(24_684_084)));
        assert_eq!(load.memory_used, Some(Bytes::from_kib(539_524)));
        assert_eq!(memory(b"total: 5 MiB").memory_total, None);
    }

    #[test]
    fn the_node_tells_processors_and_memory() {
        assert_eq!(info(INFO), (Some(2), Some(Bytes::from_kib(11_364_556))));
        assert_eq!(info(b""), (None, None));
    }

    #[test]
    fn processor_share_is_a_difference() {
        let before = cpu_time(CPU).unwrap();
        let now = CpuTime {
            busy: before.busy + 25,
            total: before.total + 100,
        };
        assert_eq!(cpu_share(before, now), Some(Percent::new(25.0)));
        assert_eq!(cpu_share(now, before), None);
        assert_eq!(cpu_share(now, now), None);
    }
}
