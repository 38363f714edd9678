//! A host on the wire: its definition and how the relation with it stands. No secret is in either.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::ErrorInfo;
use super::vm::{Hypervisor, tenth};
use crate::domain::health::HostHealth;
use crate::domain::host::LoginMethod;
use crate::domain::host_key::{HostKeyQuestion, HostKeyVerdict as Verdict};
use crate::domain::text::RemoteText;
use crate::domain::vm::PowerState;
use crate::fleet::request;
use crate::serve::v1::rows::HostRow;

/// How the relation with a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum HostState {
    /// Switched off by a person.
    Off,
    /// On the way.
    Connecting,
    /// Answering.
    Up,
    /// Answering, but late or with failed reads.
    Slow,
    /// Not answering; tried again by itself.
    Down,
    /// Stopped until a person acts.
    NeedsYou,
}

impl From<&HostHealth> for HostState {
    fn from(health: &HostHealth) -> Self {
        match health {
            HostHealth::Disabled => Self::Off,
            HostHealth::Connecting { .. } => Self::Connecting,
            HostHealth::Online => Self::Up,
            HostHealth::Degraded { .. } => Self::Slow,
            HostHealth::Offline { .. } => Self::Down,
            HostHealth::NeedsOperator { .. } => Self::NeedsYou,
        }
    }
}

/// A host. What is not known is null.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the wire's own words")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the definition, each a member of its own"
)]
pub(in crate::serve) struct Host {
    /// Its name, unique in the profile.
    name: String,
    /// How the relation with it stands.
    state: HostState,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Where it listens: `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
    address: String,
    /// Account.
    user: Option<String>,
    /// Which hypervisor is expected: `auto`, `libvirt` or `hyperv`.
    kind: String,
    /// What runs its VMs.
    hypervisor: Option<Hypervisor>,
    /// Its version, as it says itself.
    #[schema(value_type = Option<String>)]
    version: Option<RemoteText>,
    /// VMs it has.
    vms: Option<u64>,
    /// VMs that are running.
    running: Option<u64>,
    /// Processors in use, in percent.
    cpu_percent: Option<f64>,
    /// Memory in use.
    memory_used_bytes: Option<u64>,
    /// Memory there is.
    memory_total_bytes: Option<u64>,
    /// How long the last read took, in milliseconds.
    latency_ms: Option<u64>,
    /// How much it matters.
    tier: Option<String>,
    /// Labels.
    tags: Vec<String>,
    /// Whether everything that changes a VM is refused here.
    read_only: bool,
    /// Whether it is connected at all.
    enabled: bool,
    /// Whether the hypervisor's tool is run through `sudo -n`.
    sudo: bool,
    /// libvirt connection URI.
    uri: Option<String>,
    /// Whether whatever key it shows first is pinned without asking.
    accept_new: bool,
    /// Name of the sealed credential it is logged in with; null for another way.
    credential: Option<String>,
    /// Stops on the way, nearest first.
    jumps: Vec<String>,
    /// When it was last read.
    #[schema(value_type = Option<String>, format = DateTime)]
    observed_at: Option<Timestamp>,
    /// Whether that is too old to act upon.
    stale: bool,
    /// Why it is not well.
    error: Option<ErrorInfo>,
    /// The key it showed that nobody has decided on.
    host_key: Option<HostKey>,
}

/// A host key that waits for a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct HostKey {
    /// The name the key is filed under.
    label: String,
    /// Kind of key.
    algorithm: String,
    /// SHA-256 fingerprint, as `ssh-keygen -l` prints it.
    fingerprint: String,
    /// What to think of it.
    verdict: HostKeyVerdict,
    /// Fingerprints of the keys that were known before, when it has changed.
    known: Vec<String>,
}

/// What to think of a host key.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HostKeyVerdict {
    /// This key is known.
    Known,
    /// No key is known for this host.
    Unknown,
    /// Another key is known for this host.
    Changed,
    /// This key is marked as revoked.
    Revoked,
}

impl From<&HostKeyQuestion> for HostKey {
    fn from(question: &HostKeyQuestion) -> Self {
        let (verdict, known) = match &question.verdict {
            Verdict::Known => (HostKeyVerdict::Known, Vec::new()),
            Verdict::Unknown => (HostKeyVerdict::Unknown, Vec::new()),
            Verdict::Changed { known } => {
                let known = known.iter().map(|at| at.key.fingerprint.clone()).collect();
                (HostKeyVerdict::Changed, known)
            }
            Verdict::Revoked { .. } => (HostKeyVerdict::Revoked, Vec::new()),
        };
        Self {
            label: question.label.clone(),
            algorithm: question.key.algorithm.clone(),
            fingerprint: question.key.fingerprint.clone(),
            verdict,
            known,
        }
    }
}

/// A decision about a host key: the fingerprint that was compared out of band.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct HostKeyAnswer {
    /// The fingerprint shown; the decision holds for this key only.
    #[schema(max_length = 200)]
    pub(in crate::serve) fingerprint: String,
}

/// One step of a host check.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct Finding {
    /// What was looked at.
    step: String,
    /// Whether it is in order; null = not reached.
    ok: Option<bool>,
    /// What was seen.
    #[schema(value_type = String)]
    seen: RemoteText,
    /// What mends it.
    fix: Option<String>,
}

impl From<&request::Finding> for Finding {
    fn from(finding: &request::Finding) -> Self {
        Self {
            step: finding.step.to_owned(),
            ok: finding.ok,
            seen: finding.seen.clone(),
            fix: finding.fix.clone(),
        }
    }
}

fn counted(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Returns the key that waits for a decision.
pub(in crate::serve) fn open_question(health: &HostHealth) -> Option<&HostKeyQuestion> {
    match health {
        HostHealth::NeedsOperator { question, .. } => question.as_deref(),
        HostHealth::Disabled
        | HostHealth::Connecting { .. }
        | HostHealth::Online
        | HostHealth::Degraded { .. }
        | HostHealth::Offline { .. } => None,
    }
}

impl From<&HostRow<'_>> for Host {
    fn from(row: &HostRow<'_>) -> Self {
        let HostRow { host, now } = row;
        let spec = &host.spec;
        let inventory = host.inventory.as_ref();
        let load = inventory.map(|inventory| &inventory.load);
        let is_running = |state: &PowerState| *state == PowerState::Running;
        Self {
            name: spec.name.to_string(),
            state: HostState::from(&host.health),
            since: host.since,
            address: spec.endpoint.to_string(),
            user: spec.user.as_ref().map(ToString::to_string),
            kind: spec.kind.word().to_owned(),
            hypervisor: row.kind().map(Hypervisor::from),
            version: host.capabilities.as_ref().map(|able| able.version.clone()),
            vms: inventory.map(|inventory| counted(inventory.vms.len())),
            running: inventory.map(|inventory| {
                let all = inventory.vms.iter();
                counted(all.filter(|vm| is_running(&vm.state)).count())
            }),
            cpu_percent: load.and_then(|load| load.cpu).map(|cpu| tenth(cpu.value())),
            memory_used_bytes: load.and_then(|load| load.memory_used).map(|bytes| bytes.0),
            memory_total_bytes: load.and_then(|load| load.memory_total).map(|bytes| bytes.0),
            latency_ms: host
                .latency
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            tier: spec.tier.as_ref().map(ToString::to_string),
            tags: spec.tags.iter().map(ToString::to_string).collect(),
            read_only: spec.read_only,
            enabled: spec.enabled,
            sudo: spec.sudo,
            uri: spec.uri.as_ref().map(ToString::to_string),
            accept_new: spec.accept_new_host_key,
            credential: match &spec.login {
                LoginMethod::Credential(name) => Some(name.to_string()),
                LoginMethod::Default | LoginMethod::Agent | LoginMethod::KeyFile(_) => None,
            },
            jumps: spec.jumps.iter().map(ToString::to_string).collect(),
            observed_at: host.observed_at,
            stale: host.is_stale(*now),
            error: host.health.cause().map(ErrorInfo::from),
            host_key: open_question(&host.health).map(HostKey::from),
        }
    }
}
