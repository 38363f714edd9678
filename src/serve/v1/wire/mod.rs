//! The wire format of `/v1`: types of their own, made from the domain's field by field, so that what
//! a client reads does not change because a struct of ours was renamed. Text of a host keeps its raw
//! form here; [`crate::json`] escapes what a terminal would act on.

mod action;
mod audit;
mod credential;
mod detail;
mod host;
mod host_input;
mod metrics;
mod operation;
mod page;
mod problem;
mod snapshot;
mod vm;

pub(in crate::serve) use self::action::{BulkRequest, BulkResult, Plan, Refused, Verb};
pub(in crate::serve) use self::audit::AuditLine;
pub(in crate::serve) use self::credential::{Credential, CredentialInput};
pub(in crate::serve) use self::detail::VmDetail;
pub(in crate::serve) use self::host::{Finding, Host, HostKeyAnswer, open_question};
pub(in crate::serve) use self::host_input::{HostChange, HostInput};
pub(in crate::serve) use self::metrics::VmSeries;
pub(in crate::serve) use self::operation::Operation;
pub(in crate::serve) use self::page::Page;
pub(in crate::serve) use self::problem::ErrorInfo;
pub(in crate::serve) use self::snapshot::{SnapshotInput, Snapshots};
pub(in crate::serve) use self::vm::{State, Vm};
