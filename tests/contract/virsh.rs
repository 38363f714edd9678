//! What the benches of libvirt hosts share: plain `virsh` behind the driver's back.

use std::sync::Arc;

use vmdeck::domain::host::HostSpec;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::vm::VmId;
use vmdeck::transport::{ExecLimits, Transport};

use crate::driver_suite::BOUND;

/// Starts a VM or cuts its power, and leaves.
pub(crate) async fn power(link: Arc<dyn Transport>, spec: &HostSpec, vm: &VmId, on: bool) {
    let mut command = RemoteCommand::posix("virsh").arg("-q");
    if let Some(uri) = &spec.uri {
        command = command.args(["-c", uri.as_str()]);
    }
    let verb = if on { "start" } else { "destroy" };
    let command = command.args([verb, vm.as_str()]);
    let output = link
        .exec(&command, ExecLimits::within(BOUND))
        .await
        .expect("virsh");
    assert!(
        output.status.is_success(),
        "virsh {verb}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    link.close().await;
}
