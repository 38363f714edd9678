//! `--once set`: what a change means for one VM. Its settings are read for it, so that what it is compared with
//! right before it is what the plan says.

use super::row::VmRow;
use crate::domain::action::Action;
use crate::domain::edit::{Changes, EditRequest};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::fleet::FleetHandle;

/// Returns the action, or why there is none.
pub(super) async fn action(
    handle: &FleetHandle,
    row: &VmRow,
    changes: &Changes,
) -> Result<Action, Failure> {
    let vm = row.reference();
    let was = handle.settings(vm).await?;
    EditRequest::new(was, changes.clone(), row.vm.state.clone())
        .map(Action::from)
        .map_err(|(setting, why)| {
            let kind = match setting {
                Some(_) => ErrorKind::Usage,
                None => ErrorKind::Refused,
            };
            Failure::new(kind, why)
        })
}
