//! What the tests of this model share: hosts from a scenario whose time passes only when somebody waits.

use std::sync::Arc;
use std::time::Duration;

use super::control::WindowsControl;
use super::host::WinHost;
use super::launch::{Connection, launch};
use super::world::Machine;
use crate::sim::powershell::life::Life;
use crate::sim::scenario::Scenario;
use crate::sim::stdio::Piece;
use crate::task::Tasks;

/// The only host of a scenario.
pub(super) fn host(toml: &str) -> Arc<WinHost> {
    let mut plan = Scenario::from_toml(toml).unwrap().hosts.remove(0);
    let machine = Machine {
        hostname: plan.hostname.clone(),
        cpus: plan.cpus,
        memory_kib: plan.memory_kib,
        seed: 7,
    };
    WinHost::jumping(plan.windows.take().unwrap(), machine)
}

/// A host with these keys and VMs.
pub(super) fn host_with(keys: &str, vms: &str) -> Arc<WinHost> {
    host(&format!(
        "[[host]]\nname = \"hv1\"\nkind = \"hyperv\"\n{keys}\n{vms}"
    ))
}

/// Lets time pass.
pub(super) fn pass(host: &WinHost, time: Duration) {
    assert!(host.sleep(&Life::default(), time));
}

/// What drives a host.
pub(super) fn control(host: &Arc<WinHost>) -> WindowsControl {
    WindowsControl {
        host: Arc::clone(host),
    }
}

/// What a command line printed.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) code: u32,
}

/// Runs a script as `powershell.exe` (or `pwsh`, where there is no other) would.
pub(super) fn run(host: &Arc<WinHost>, script: &str) -> Ran {
    use base64::Engine as _;
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    let five = host.world(|world| world.plan.powershells.has_five());
    let program = if five { "powershell.exe" } else { "pwsh" };
    let line = format!("{program} -NoLogo -NoProfile -NonInteractive -EncodedCommand {encoded}");
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tasks = Tasks::new();
        let connection = Connection::new(host);
        let mut launched = launch(&connection, line, &tasks);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(piece) = launched.output.next().await {
            match piece {
                Piece::Out(bytes) => out.extend(bytes),
                Piece::Err(bytes) => err.extend(bytes),
            }
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            out: text(&out),
            err: text(&err),
            code: launched.output.status().await.unwrap(),
        }
    })
}
