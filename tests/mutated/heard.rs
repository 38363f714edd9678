//! What a sound host of the simulator says to everything that a driver asks: what mutations begin from where
//! nothing was recorded of a real one.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::vm::VmId;
use vmdeck::hypervisor::Hypervisor;
use vmdeck::transport::{CommandOutput, ExecLimits, RemoteProcess, Transport, TransportError};

use crate::support::simulated::SimFleet;
use crate::{Said, Tally};

/// How a driver is bound to a link.
pub(crate) type Bind = fn(Arc<dyn Transport>) -> Box<dyn Hypervisor>;

/// What is done to a VM, as commands.
pub(crate) type Actions = fn(&VmId) -> Vec<Vec<RemoteCommand>>;

/// A host, and how it is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sound {
    /// Its scenario.
    pub(crate) toml: &'static str,
    /// Its driver.
    pub(crate) bind: Bind,
    /// The VM that is asked about and acted on.
    pub(crate) vm: &'static str,
    /// What is done to it.
    pub(crate) actions: Actions,
    /// Questions of [`Tally::ask_rarely`] that its hypervisor does not know.
    pub(crate) unknown: usize,
    /// Whether a process can be started on it that stays. Where none can, every question is a command of its own,
    /// and is noted.
    pub(crate) keeps: bool,
}

/// Commands and what came of them.
pub(crate) type Answers = Vec<(RemoteCommand, CommandOutput)>;

/// A link that notes the commands that go over it.
#[derive(Debug)]
struct Noting {
    link: Arc<dyn Transport>,
    keeps: bool,
    noted: Mutex<Answers>,
}

#[async_trait]
impl Transport for Noting {
    async fn exec(
        &self,
        command: &RemoteCommand,
        limits: ExecLimits,
    ) -> Result<CommandOutput, TransportError> {
        let output = self.link.exec(command, limits).await?;
        let mut noted = self.noted.lock().expect("nobody panicked");
        noted.push((command.clone(), output.clone()));
        Ok(output)
    }

    async fn spawn(
        &self,
        command: &RemoteCommand,
    ) -> Result<Box<dyn RemoteProcess>, TransportError> {
        if self.keeps {
            return self.link.spawn(command).await;
        }
        Ok(Box::new(Said::default()))
    }

    async fn closed(&self) -> TransportError {
        self.link.closed().await
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

/// Starts the host and asks it everything; returns the VM and the answers.
pub(crate) fn everything(sound: Sound) -> (VmId, Answers) {
    // In the tests time stands still, and what comes over a real link takes some.
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(ask(sound))
    });
    asking.join().expect("a sound host")
}

async fn ask(sound: Sound) -> (VmId, Answers) {
    let fleet = SimFleet::start(sound.toml).await;
    let name = fleet.demo.hosts[0].spec.name.to_string();
    let noting = Arc::new(Noting {
        link: fleet.connect(&name).await,
        keeps: sound.keeps,
        noted: Mutex::default(),
    });
    let driver = (sound.bind)(Arc::clone(&noting) as Arc<dyn Transport>);
    driver.probe().await.expect("a probe");
    let inventory = driver.inventory(Scope::Full).await.expect("an inventory");
    let mut vms = inventory.vms.iter();
    let vm = vms.find(|vm| vm.name.raw() == sound.vm);
    let vm = vm.expect("the VM of the scenario").id.clone();
    let mut tally = Tally::default();
    tally.ask_often(driver.as_ref(), &vm).await;
    tally.ask_rarely(driver.as_ref(), &vm).await;
    tally.act(driver.as_ref(), &(sound.actions)(&vm)).await;
    assert_eq!(tally.failed, sound.unknown, "a sound host: {tally:?}");
    let noted = std::mem::take(&mut *noting.noted.lock().expect("nobody panicked"));
    noting.close().await;
    fleet.end().await;
    (vm, noted)
}
