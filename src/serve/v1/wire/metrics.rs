//! The last quarter of an hour of one VM on the wire.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::metrics::{Metric, SLOT, VmMetrics};

/// What is kept of a VM's figures: the peaks of equally long slots, oldest first, the last one ending now. Null
/// where nothing was known.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct VmSeries {
    /// How long one slot is.
    slot_seconds: u64,
    /// When the last read was asked for that had a figure; null when there was none lately.
    read_at: Option<String>,
    /// Share of its own processors.
    cpu_percent: Vec<Option<f64>>,
    /// Memory in use.
    memory_used_bytes: Vec<Option<f64>>,
    /// Read from disks.
    disk_read_bytes_per_second: Vec<Option<f64>>,
    /// Written to disks.
    disk_write_bytes_per_second: Vec<Option<f64>>,
    /// Received.
    net_rx_bytes_per_second: Vec<Option<f64>>,
    /// Sent.
    net_tx_bytes_per_second: Vec<Option<f64>>,
}

impl VmSeries {
    /// Lays out what is kept; without anything, no slot is there.
    pub(in crate::serve) fn of(kept: Option<&VmMetrics>, now: Timestamp) -> Self {
        let series = |metric| kept.map_or_else(Vec::new, |kept| kept.series(metric, now));
        Self {
            slot_seconds: SLOT.as_secs(),
            read_at: kept.map(|kept| kept.last().to_string()),
            cpu_percent: series(Metric::Cpu),
            memory_used_bytes: series(Metric::Memory),
            disk_read_bytes_per_second: series(Metric::DiskRead),
            disk_write_bytes_per_second: series(Metric::DiskWrite),
            net_rx_bytes_per_second: series(Metric::NetRx),
            net_tx_bytes_per_second: series(Metric::NetTx),
        }
    }
}
