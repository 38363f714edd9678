//! What can be asked of the fleet. One variant per method of the handle, each with a typed reply.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::console::{Console, ConsoleWish};
use super::credential::CredentialRequest;
use super::graphics::Graphics;
use super::guest::GuestWish;
use super::import::Importable;
use super::lift::LiftRequest;
use super::rotation::RotationRequest;
use super::shell::GuestKey;
use crate::domain::action::Action;
use crate::domain::audit::{AuditEntry, AuditPage, AuditPlace, AuditRecord};
use crate::domain::console::KeyStrokes;
use crate::domain::credential::CredentialSummary;
use crate::domain::definition::DefinitionText;
use crate::domain::edit::VmSettings;
use crate::domain::error_kind::Failure;
use crate::domain::event::CommandRecord;
use crate::domain::guest_command::{GuestProposal, GuestResult, GuestSubmission};
use crate::domain::host::{HostId, HostName, HostSpec};
use crate::domain::host_key::HostKeyQuestion;
use crate::domain::metrics::VmMetrics;
use crate::domain::operation::{Actor, OperationId, Plan, Submission};
use crate::domain::picture::Picture;
use crate::domain::policy::Verdict;
use crate::domain::preference::Preferences;
use crate::domain::recording::Recording;
use crate::domain::secret::SecretText;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::store::{HostStores, StoreRef};
use crate::domain::store_action::{StoreProposal, StoreResult, StoreSubmission, StoreVerb};
use crate::domain::text::RemoteText;
use crate::domain::vm::{VmDetail, VmRef};

/// Where the answer to a request goes.
pub type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// A plan together with what policy says about it: what a dialog shows.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Exactly what would be run.
    pub plan: Plan,
    /// What must be agreed to, and which rule says so. Never a denial: that is a refusal.
    pub verdict: Verdict,
}

/// What a person decided about a host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDecision {
    /// Do not trust it; nothing is pinned.
    Leave,
    /// Pin it; only a key of a host that had none can be taken so.
    Accept,
    /// Pin it in place of the key that is known. The person has seen both and said so in words.
    Replace,
}

impl KeyDecision {
    /// Returns true when the key is to be trusted.
    pub fn trusts(self) -> bool {
        self != Self::Leave
    }
}

/// Which hosts a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostSelection {
    /// All enabled hosts.
    All,
    /// These.
    Only(Vec<HostId>),
}

/// One line of the error log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRecord {
    /// When, the first time.
    pub at: jiff::Timestamp,
    /// On which host, if any.
    pub host: Option<HostName>,
    /// What.
    pub cause: Failure,
    /// How often in a row.
    pub times: u32,
    /// When, the last time.
    pub last: jiff::Timestamp,
}

impl ErrorRecord {
    /// One that happened once.
    pub const fn new(at: jiff::Timestamp, host: Option<HostName>, cause: Failure) -> Self {
        Self {
            at,
            host,
            cause,
            times: 1,
            last: at,
        }
    }
}

/// One step of a host check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was looked at: `name`, `tcp`, `host key`, `login`, `shell`, `tool`, `permission`, `latency`.
    pub step: &'static str,
    /// Whether it is in order; `None` = not reached.
    pub ok: Option<bool>,
    /// What was seen.
    pub seen: RemoteText,
    /// The one command or change that mends it.
    pub fix: Option<String>,
}

/// A request about what is kept of what happened.
#[derive(Debug)]
pub enum LogRequest {
    /// Put a failure of a front end into the error log.
    Note {
        /// What failed.
        cause: Failure,
        /// Done.
        reply: Reply<()>,
    },
    /// Some records of the audit log.
    AuditPage {
        /// Only about this VM.
        vm: Option<VmRef>,
        /// Only what is older than this; `None` = the end of the log.
        before: Option<AuditPlace>,
        /// How many at the most.
        limit: usize,
        /// The records, and where older ones are.
        reply: Reply<AuditPage>,
    },
}

/// A request to reach into a VM.
#[derive(Debug)]
pub enum ReachRequest {
    /// Open its serial console.
    Console {
        /// Which, how large, by whom.
        wish: Box<ConsoleWish>,
        /// The console; its intent is recorded by then.
        reply: Reply<Console>,
    },
    /// Take a picture of its screen.
    Screen {
        /// Of which VM.
        vm: VmRef,
        /// The picture.
        reply: Reply<Arc<Picture>>,
    },
    /// Bring its graphical display to this machine.
    Graphics {
        /// Of which VM.
        vm: VmRef,
        /// Who wants it.
        actor: Actor,
        /// The display; its intent is recorded by then.
        reply: Reply<Graphics>,
    },
    /// Make the plan of a program in it, and say what must be agreed to.
    PlanGuest {
        /// Which, what, by whom.
        wish: Box<GuestWish>,
        /// The proposal, or why there is none.
        reply: Reply<GuestProposal>,
    },
    /// Run such a plan.
    RunGuest {
        /// The plan as it was shown, and the consent.
        submission: Box<GuestSubmission>,
        /// How it ended; a refusal is recorded and returned as the error.
        reply: Reply<GuestResult>,
    },
    /// Decide about the key of its SSH server.
    Key {
        /// Whose, which, and what was decided.
        key: Box<GuestKey>,
        /// Done.
        reply: Reply<()>,
    },
    /// Press keys of its keyboard.
    Keys {
        /// Of which VM.
        vm: VmRef,
        /// Which.
        keys: KeyStrokes,
        /// Who types.
        actor: Actor,
        /// Done; recorded by then.
        reply: Reply<()>,
    },
}

/// A request to the fleet.
#[derive(Debug)]
pub enum Request {
    /// Make a plan for an action and say what must be agreed to.
    Plan {
        /// The VM.
        vm: VmRef,
        /// What is wanted.
        action: Action,
        /// Who wants it.
        actor: Actor,
        /// How many VMs are acted on together.
        count: usize,
        /// The proposal, or why there is none.
        reply: Reply<Proposal>,
    },
    /// Run a plan.
    Submit {
        /// The plan as it was shown, and the consent.
        submission: Box<Submission>,
        /// The operation that was started; a refusal is recorded and returned as the error.
        reply: Reply<OperationId>,
    },
    /// Stop waiting for an operation; what was sent stays sent.
    Cancel {
        /// Which.
        operation: OperationId,
        /// Whether it was still running.
        reply: Reply<()>,
    },
    /// Call back operations that have not begun; what was sent is left alone.
    Withdraw {
        /// Which.
        operations: Vec<OperationId>,
        /// How many of them still waited for their turn.
        reply: Reply<usize>,
    },
    /// Start the sessions of hosts that have none.
    Connect {
        /// Which.
        hosts: HostSelection,
        /// Done when they are on their way.
        reply: Reply<()>,
    },
    /// End the session of a host.
    Disconnect {
        /// Which.
        host: HostId,
        /// Done when it is on its way.
        reply: Reply<()>,
    },
    /// Read now; a host that is waiting or stopped tries to connect now.
    Refresh {
        /// Which.
        hosts: HostSelection,
        /// Done when it is on its way.
        reply: Reply<()>,
    },
    /// Read states and figures once more; hosts that are not connected stay as they are.
    ReadAgain {
        /// Which.
        hosts: HostSelection,
        /// Done when it is on its way.
        reply: Reply<()>,
    },
    /// Say which hosts are looked at; the others are read less often.
    Focus {
        /// Which.
        hosts: HostSelection,
        /// Done when it is on its way.
        reply: Reply<()>,
    },
    /// Read everything about one VM.
    Detail {
        /// Which.
        vm: VmRef,
        /// The detail.
        reply: Reply<Arc<VmDetail>>,
    },
    /// The figures of one VM over the last quarter of an hour.
    Metrics {
        /// Which.
        vm: VmRef,
        /// The figures; `None` when it had none lately.
        reply: Reply<Option<VmMetrics>>,
    },
    /// Read the snapshots of one VM.
    Snapshots {
        /// Which.
        vm: VmRef,
        /// Its snapshots, parents before children.
        reply: Reply<Arc<[VmSnapshot]>>,
    },
    /// Read what one VM is set up with.
    Settings {
        /// Which.
        vm: VmRef,
        /// Its settings.
        reply: Reply<VmSettings>,
    },
    /// Read the definition of one VM as its host keeps it.
    Definition {
        /// Which.
        vm: VmRef,
        /// Its definition, passwords hidden.
        reply: Reply<DefinitionText>,
    },
    /// Something about storage and networks.
    Store(StoreRequest),
    /// Reach into a VM.
    Reach(ReachRequest),
    /// Remember what a program of the operator's own did.
    Own(OwnRequest),
    /// The commands sent lately, oldest first.
    CommandLog {
        /// Of one host, or of all.
        host: Option<HostId>,
        /// The records.
        reply: Reply<Vec<CommandRecord>>,
    },
    /// The errors seen lately, oldest first.
    Errors {
        /// The records.
        reply: Reply<Vec<ErrorRecord>>,
    },
    /// Something about what is kept of what happened.
    Log(LogRequest),
    /// Check a host step by step over a connection of its own.
    Doctor {
        /// Which.
        host: HostId,
        /// The findings.
        reply: Reply<Vec<Finding>>,
    },
    /// Record what a host answers, over a connection of its own.
    Record {
        /// Which.
        host: HostId,
        /// The answers, redacted.
        reply: Reply<Recording>,
    },
    /// The last records of the audit log, oldest first.
    AuditTail {
        /// How many at the most.
        limit: usize,
        /// Only about this VM.
        vm: Option<VmRef>,
        /// The records.
        reply: Reply<Vec<AuditRecord>>,
    },
    /// Add a host (id 0) or change one.
    UpsertHost {
        /// The definition.
        spec: Box<HostSpec>,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// Its id.
        reply: Reply<HostId>,
    },
    /// Forget a host, its pinned keys and its cached inventory.
    RemoveHost {
        /// Which.
        host: HostId,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// Done.
        reply: Reply<()>,
    },
    /// Decide about a host key.
    AnswerHostKey {
        /// The host whose session asked.
        host: HostId,
        /// Exactly what was shown; the decision holds for these key bytes only.
        question: Box<HostKeyQuestion>,
        /// What a person decided.
        decision: KeyDecision,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// Done.
        reply: Reply<()>,
    },
    /// Open the profile's secrets; the first time, set the passphrase.
    Unlock {
        /// The passphrase.
        passphrase: SecretText,
        /// Who wants it, for the record.
        actor: Option<Actor>,
        /// Done, or why not.
        reply: Reply<()>,
    },
    /// Forget the opened secrets; live connections stay.
    Lock {
        /// Done.
        reply: Reply<()>,
    },
    /// What may be shown of the credentials.
    Credentials {
        /// The summaries.
        reply: Reply<Vec<CredentialSummary>>,
    },
    /// Add, remove or replace credentials.
    Credential(CredentialRequest),
    /// The hosts that the SSH client's configuration names.
    Importable {
        /// Where each leads.
        reply: Reply<Vec<Importable>>,
    },
    /// Lift the read-only of hosts for a while.
    Lift(LiftRequest),
    /// Put a new key in the place of an old one.
    Rotation(RotationRequest),
    /// What a person has set up on the screen.
    Preferences {
        /// All of it, by name.
        reply: Reply<Preferences>,
    },
    /// Keep something a person has set up on the screen, or forget it.
    Remember {
        /// Its name.
        name: String,
        /// Its value; `None` forgets it.
        value: Option<String>,
        /// Done.
        reply: Reply<()>,
    },
    /// Switch read-only mode of the whole program.
    SetReadOnly {
        /// On or off.
        on: bool,
        /// Done.
        reply: Reply<()>,
    },
    /// Stop admitting, give running operations `grace`, record the rest as unknown, disconnect.
    Shutdown {
        /// How long running operations may still take.
        grace: std::time::Duration,
        /// Operations that had to be left as unknown.
        reply: Reply<usize>,
    },
}

/// What can be asked about storage and networks.
#[derive(Debug)]
pub enum StoreRequest {
    /// Read storage and networks of one host.
    Read {
        /// Which.
        host: HostId,
        /// Both, with who uses them.
        reply: Reply<Arc<HostStores>>,
    },
    /// Make a plan for a pool or a network, from a read of its own, and say what must be agreed to.
    Plan {
        /// Which.
        target: StoreRef,
        /// What is wanted.
        verb: StoreVerb,
        /// Who wants it.
        actor: Actor,
        /// The proposal, or why there is none.
        reply: Reply<StoreProposal>,
    },
    /// Run such a plan.
    Run {
        /// The plan as it was shown, and the consent.
        submission: Box<StoreSubmission>,
        /// How it ended; a refusal is recorded and returned as the error.
        reply: Reply<StoreResult>,
    },
}

/// What programs of the operator's own leave behind.
#[derive(Debug)]
pub enum OwnRequest {
    /// A line in the error log.
    Complain {
        /// What failed.
        cause: Failure,
        /// Done.
        reply: Reply<()>,
    },
    /// A record in the audit log.
    Record {
        /// What was run, by whom.
        entry: Box<AuditEntry>,
        /// It is on disk.
        reply: Reply<()>,
    },
}
