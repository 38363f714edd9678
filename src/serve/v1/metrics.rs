//! What is known of the fleets, for Prometheus: written from the newest snapshots when it is asked
//! for, after what the server counts about itself. Labels are names of hosts and words of ours.

use std::sync::atomic::{AtomicI64, AtomicU64};

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::answer::{self, Answer};
use super::asking::Asking;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::inventory::{AuditState, FleetSnapshot, HostSnapshot};
use crate::domain::operation::Operation;

/// The text form of `OpenMetrics`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The line that ends such a text.
const END: &str = "# EOF\n";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfHost {
    profile: String,
    host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    profile: String,
    host: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    profile: String,
    action: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProfile {
    profile: String,
}

type Count = Gauge<i64, AtomicI64>;
type Figure = Gauge<f64, AtomicU64>;

#[derive(Default)]
struct Figures {
    up: Family<OfHost, Count>,
    vms: Family<OfState, Count>,
    cpu: Family<OfHost, Figure>,
    memory_used: Family<OfHost, Count>,
    memory_total: Family<OfHost, Count>,
    read_time: Family<OfHost, Figure>,
    operations: Family<OfOutcome, Count>,
    audit: Family<OfProfile, Count>,
    errors: Family<OfProfile, Count>,
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Figures {
    fn register(&self, registry: &mut Registry) {
        let bytes = || Unit::Bytes;
        registry.register("host_up", "Whether the host answers", self.up.clone());
        registry.register("vms", "VMs of the host by state", self.vms.clone());
        registry.register(
            "host_cpu_percent",
            "Processors of the host in use",
            self.cpu.clone(),
        );
        registry.register_with_unit(
            "host_memory_used",
            "Memory of the host in use",
            bytes(),
            self.memory_used.clone(),
        );
        registry.register_with_unit(
            "host_memory_total",
            "Memory of the host",
            bytes(),
            self.memory_total.clone(),
        );
        registry.register_with_unit(
            "host_read_time",
            "How long the last read of the host took",
            Unit::Seconds,
            self.read_time.clone(),
        );
        registry.register(
            "operations",
            "Operations under way and lately ended",
            self.operations.clone(),
        );
        registry.register(
            "audit_writable",
            "Whether actions can be recorded",
            self.audit.clone(),
        );
        registry.register(
            "fleet_errors",
            "Failures that the error log has taken",
            self.errors.clone(),
        );
    }

    fn host(&self, profile: &str, host: &HostSnapshot) {
        let labels = OfHost {
            profile: profile.to_owned(),
            host: host.spec.name.to_string(),
        };
        let up = i64::from(host.health.is_up());
        self.up.get_or_create(&labels).set(up);
        for vm in host.vms() {
            let labels = OfState {
                profile: profile.to_owned(),
                host: labels.host.clone(),
                state: vm.state.word(),
            };
            self.vms.get_or_create(&labels).inc();
        }
        // What is not known has no line: it is no zero.
        let load = host.inventory.as_ref().map(|known| &known.load);
        if let Some(cpu) = load.and_then(|load| load.cpu) {
            self.cpu.get_or_create(&labels).set(cpu.value());
        }
        if let Some(used) = load.and_then(|load| load.memory_used) {
            self.memory_used.get_or_create(&labels).set(whole(used.0));
        }
        if let Some(total) = load.and_then(|load| load.memory_total) {
            self.memory_total.get_or_create(&labels).set(whole(total.0));
        }
        if let Some(took) = host.latency {
            self.read_time
                .get_or_create(&labels)
                .set(took.as_secs_f64());
        }
    }

    fn operation(&self, profile: &str, operation: &Operation) {
        let labels = OfOutcome {
            profile: profile.to_owned(),
            action: operation.plan.action.kind.id(),
            outcome: operation
                .outcome
                .as_ref()
                .map_or("running", |outcome| outcome.word()),
        };
        self.operations.get_or_create(&labels).inc();
    }

    fn fleet(&self, asking: &Asking, profile: &str, state: &FleetSnapshot) {
        let all = asking.caller.profile != profile || !asking.caller.scopes.is_narrowed();
        for host in state.hosts.iter().filter(|host| host.spec.enabled) {
            if all || asking.caller.sees(&host.spec) {
                self.host(profile, host);
            }
        }
        if !all {
            return;
        }
        for operation in &state.operations {
            self.operation(profile, operation);
        }
        let labels = OfProfile {
            profile: profile.to_owned(),
        };
        let writable = i64::from(matches!(state.audit, AuditState::Writable));
        self.audit.get_or_create(&labels).set(writable);
        self.errors.get_or_create(&labels).set(whole(state.errors));
    }
}

/// Figures of the server and of the fleets, for Prometheus (`OpenMetrics` text). An administrator's key
/// gets those of every profile that is in use, any other key those of its own.
#[utoipa::path(
    get, path = "/metrics", tag = "server",
    responses((status = 200, description = "The figures", body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn show(asking: Asking) -> Answer {
    let figures = Figures::default();
    let every = asking.caller.sees_everybody();
    for (profile, fleet) in asking.state.tenants.running() {
        if every || profile == asking.caller.profile {
            figures.fleet(&asking, &profile, &fleet.snapshot());
        }
    }
    let mut registry = Registry::with_prefix("vmdeck");
    figures.register(&mut registry);
    let meter = &asking.state.meter;
    let readers = i64::try_from(asking.shared.readers()).unwrap_or(i64::MAX);
    meter.event_readers.set(readers);
    let mut text = if every { meter.render() } else { String::new() };
    if let Some(head) = text.strip_suffix(END) {
        text.truncate(head.len());
    }
    encode(&mut text, &registry).map_err(|error| {
        Failure::new(
            ErrorKind::Internal,
            format!("could not write the figures: {error}"),
        )
    })?;
    Ok(answer::text(StatusCode::OK, OPEN_METRICS, text))
}
