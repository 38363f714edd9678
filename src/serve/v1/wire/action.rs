//! Acting on VMs on the wire: what would be run, and what was asked for of many.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operation::{Operation, shown};
use super::problem::ErrorInfo;
use super::vm::State;
use crate::domain::action::{ActionKind, Ask};
use crate::domain::policy::Decision;
use crate::domain::text::RemoteText;
use crate::fleet::request::Proposal;

macro_rules! verbs {
    ($($verb:ident => $kind:ident),* $(,)?) => {
        /// What can be done to a VM.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "kebab-case")]
        pub(in crate::serve) enum Verb {
            $($verb,)*
        }

        impl From<Verb> for ActionKind {
            fn from(verb: Verb) -> Self {
                match verb {
                    $(Verb::$verb => Self::$kind,)*
                }
            }
        }
    };
}

verbs! {
    Start => Start,
    Shutdown => Shutdown,
    ForceOff => ForceOff,
    Reboot => Reboot,
    Reset => Reset,
    Pause => Pause,
    Resume => Resume,
    Save => Save,
    AutostartOn => AutostartOn,
    AutostartOff => AutostartOff,
}

/// How far an action has to be agreed to.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Agreement {
    /// Not at all.
    Nothing,
    /// By asking for it.
    Confirm,
    /// By naming the VM in full.
    TypeName,
}

/// What would be run (`?dry_run=true`).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct Plan {
    /// Name of the host.
    host: String,
    /// Name of the VM.
    #[schema(value_type = String)]
    name: RemoteText,
    /// Id of the VM.
    id: String,
    /// What would be done.
    action: String,
    /// The state it is in.
    state: State,
    /// The commands, in order, secrets redacted.
    commands: Vec<String>,
    /// What it means for those who use the VM.
    consequences: Vec<String>,
    /// How far it has to be agreed to.
    asks: Option<Agreement>,
    /// The policy rule that says so.
    rule: String,
}

impl From<&Proposal> for Plan {
    fn from(proposal: &Proposal) -> Self {
        let plan = &proposal.plan;
        Self {
            host: plan.host_name.to_string(),
            name: plan.vm_name.clone(),
            id: plan.vm.vm.to_string(),
            action: plan.action.kind.id().to_owned(),
            state: State::from(&plan.state),
            commands: shown(&plan.commands),
            consequences: plan.consequences.clone(),
            asks: match &proposal.verdict.decision {
                Decision::Ask(Ask::Nothing) => Some(Agreement::Nothing),
                Decision::Ask(Ask::Confirm) => Some(Agreement::Confirm),
                Decision::Ask(Ask::TypeName) => Some(Agreement::TypeName),
                Decision::Deny(_) => None,
            },
            rule: proposal.verdict.rule.clone(),
        }
    }
}

/// Which VMs to act on together.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct BulkRequest {
    /// A filter, as for lists; it may not be empty.
    #[schema(min_length = 1, max_length = 1024)]
    pub(in crate::serve) filter: String,
    /// How many VMs it is expected to choose; another number refuses the whole.
    #[schema(minimum = 1, maximum = 10000)]
    pub(in crate::serve) expect_count: u32,
}

/// What came of acting on many.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct BulkResult {
    /// What is done.
    pub(in crate::serve) action: String,
    /// How many VMs were chosen.
    pub(in crate::serve) count: u64,
    /// What would be run, with `?dry_run=true`.
    pub(in crate::serve) plans: Vec<Plan>,
    /// The operations that were started.
    pub(in crate::serve) operations: Vec<Operation>,
    /// The VMs it was refused for.
    pub(in crate::serve) refused: Vec<Refused>,
}

/// A VM that was not acted on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::serve) struct Refused {
    /// Name of the host.
    pub(in crate::serve) host: String,
    /// Name of the VM.
    #[schema(value_type = String)]
    pub(in crate::serve) name: RemoteText,
    /// Id of the VM.
    pub(in crate::serve) id: String,
    /// Why.
    pub(in crate::serve) error: ErrorInfo,
}
