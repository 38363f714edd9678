//! A world of scripted machines: what a connector reaches and a driver drives, without any SSH.
//! Everything is counted and timed, so that tests can ask what was really done to a host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use vmdeck::domain::action::{Action, ActionKind};
use vmdeck::domain::capability::{Capabilities, GuestPrograms};
use vmdeck::domain::edit::{Setting, VmSettings};
use vmdeck::domain::host::{HostSpec, HypervisorKind};
use vmdeck::domain::host_key::{HostKey, HostKeyQuestion, HostKeyVerdict, KnownAt, PinnedKey};
use vmdeck::domain::inventory::{HostInventory, Scope};
use vmdeck::domain::operation::Progress;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::snapshot::VmSnapshot;
use vmdeck::domain::store::{HostStores, StoreId, StoreState};
use vmdeck::domain::store_action::StoreVerb;
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::vm::{PowerState, Vm, VmDetail, VmId};
use vmdeck::hypervisor::{
    AnswerForm, Drivers, Hints, Hypervisor, HypervisorError, PollHint, ProgressSink, Question,
    Reach,
};
use vmdeck::transport::{
    CommandOutput, Connected, Connector, ExecLimits, ExitStatus, RemoteProcess, Target, Transport,
    TransportError,
};

/// What happens when something is tried.
#[derive(Debug, Clone, Default)]
pub(crate) enum Mood {
    /// It works.
    #[default]
    Fine,
    /// It never ends.
    Hangs,
    /// It fails.
    Fails(TransportError),
    /// It is a bug.
    Panics,
}

/// What a hypervisor makes of an action.
#[derive(Debug, Clone, Default)]
pub(crate) enum Obeys {
    /// It does it.
    #[default]
    Yes,
    /// It accepts and nothing follows.
    Ignores,
    /// It says no.
    Refuses,
    /// It never answers.
    Hangs,
    /// It does it one percent after the other, each taking so long and told.
    Slowly(Duration),
    /// It is a bug.
    Panics,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) connect: Mood,
    pub(crate) connect_takes: Duration,
    pub(crate) key: HostKey,
    pub(crate) read: Mood,
    pub(crate) read_takes: Duration,
    pub(crate) obeys: Obeys,
    /// VMs of which it refuses everything.
    pub(crate) refuses: Vec<VmId>,
    /// Words of commands that it refuses.
    pub(crate) refuses_words: Vec<&'static str>,
    /// What VMs are set up with.
    pub(crate) settings: HashMap<VmId, VmSettings>,
    pub(crate) announces: bool,
    /// How it is read.
    pub(crate) channel: &'static str,
    pub(crate) vms: Vec<Arc<Vm>>,
    /// Its storage and networks.
    pub(crate) stores: HostStores,
    /// `connect`, `fast`, `full`, `do start ...`, with the time.
    pub(crate) log: Vec<(Instant, String)>,
    pub(crate) reading: usize,
    pub(crate) most_reading: usize,
    /// Called when an action arrives.
    pub(crate) on_perform: Option<fn(&std::path::Path) -> String>,
    pub(crate) audit_dir: std::path::PathBuf,
    links: Vec<watch::Sender<bool>>,
    hints: Vec<mpsc::UnboundedSender<PollHint>>,
}

impl Machine {
    fn new(name: &str) -> Self {
        Self {
            connect: Mood::Fine,
            connect_takes: Duration::from_millis(10),
            key: key(name),
            read: Mood::Fine,
            read_takes: Duration::from_millis(10),
            obeys: Obeys::Yes,
            refuses: Vec::new(),
            refuses_words: Vec::new(),
            settings: HashMap::new(),
            announces: true,
            channel: "scripted",
            vms: vec![
                vm(1, "web-1", PowerState::Running),
                vm(2, "db-1", PowerState::Stopped),
            ],
            stores: HostStores {
                pools: Ok(Vec::new()),
                networks: Ok(Vec::new()),
                gaps: Vec::new(),
            },
            log: Vec::new(),
            reading: 0,
            most_reading: 0,
            on_perform: None,
            audit_dir: std::path::PathBuf::new(),
            links: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Breaks every link to it.
    pub(crate) fn cut(&mut self) {
        for link in self.links.drain(..) {
            link.send_replace(true);
        }
        self.hints.clear();
    }

    /// Ends the announcements, not the links.
    pub(crate) fn end_announcements(&mut self) {
        self.hints.clear();
    }

    /// Announces something.
    pub(crate) fn announce(&mut self, hint: &PollHint) {
        self.hints.retain(|hints| hints.send(hint.clone()).is_ok());
    }

    /// Puts a VM into a state, as if somebody had done it on the host itself.
    pub(crate) fn set(&mut self, id: &VmId, state: PowerState) {
        if let Some(vm) = self.vms.iter_mut().find(|vm| vm.id == *id) {
            Arc::make_mut(vm).state = state;
        }
    }

    /// Returns the times of what was logged under a word.
    pub(crate) fn times(&self, word: &str) -> Vec<Instant> {
        let logged = self.log.iter().filter(|(_, what)| what.starts_with(word));
        logged.map(|(at, _)| *at).collect()
    }

    fn note(&mut self, what: impl Into<String>) {
        self.log.push((Instant::now(), what.into()));
    }

    fn change(&mut self, action: &str, id: &VmId, to: &str) {
        let settings = self.settings.entry(id.clone()).or_default();
        match action {
            "set-vCPUs" => settings.vcpus = to.parse().ok(),
            "set-autostart" => settings.autostart = Some(to == "on"),
            "set-description" => {
                settings.description = Some(RemoteText::new(to.trim_matches('"')));
            }
            other => panic!("no such setting: {other}"),
        }
    }

    fn act(&mut self, action: &str, id: &VmId) {
        let networks = self.stores.networks.iter_mut().flatten();
        for network in networks.filter(|one| {
            one.id
                .as_ref()
                .is_some_and(|own| own.as_str() == id.as_str())
        }) {
            match action {
                "network-start" => network.state = Some(StoreState::Active),
                "network-stop" => network.state = Some(StoreState::Inactive),
                _ => {}
            }
        }
        let to = match action {
            "start" | "resume" | "reboot" | "reset" => PowerState::Running,
            "shutdown" | "force-off" => PowerState::Stopped,
            "pause" => PowerState::Paused,
            "save" => PowerState::Saved,
            _ => return,
        };
        self.set(id, to);
        if self.announces && action.starts_with("re") && action != "resume" {
            let vm = RemoteText::new(id.as_str());
            self.announce(&PollHint::Restarted { vm });
        }
    }
}

pub(crate) fn vm_id(n: u32) -> VmId {
    VmId::parse(&format!("6c09bb55-d683-4da0-8931-c9bf{n:08x}")).unwrap()
}

pub(crate) fn vm(n: u32, name: &str, state: PowerState) -> Arc<Vm> {
    Arc::new(Vm::new(vm_id(n), RemoteText::new(name), state))
}

pub(crate) fn key(name: &str) -> HostKey {
    HostKey {
        algorithm: "ssh-ed25519".into(),
        base64: format!("AAAA{name}"),
        fingerprint: format!("SHA256:{name}"),
    }
}

/// All machines, by address.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    machines: Arc<Mutex<HashMap<String, Arc<Mutex<Machine>>>>>,
    dialling: Arc<Mutex<(usize, usize)>>,
}

impl World {
    /// Returns a machine; there is one at every address.
    pub(crate) fn at(&self, address: &str) -> Arc<Mutex<Machine>> {
        let mut machines = self.machines.lock().unwrap();
        let machine = machines
            .entry(address.to_owned())
            .or_insert_with(|| Arc::new(Mutex::new(Machine::new(address))));
        Arc::clone(machine)
    }

    /// Locks a machine to look at it or change it.
    pub(crate) fn with<T>(&self, address: &str, look: impl FnOnce(&mut Machine) -> T) -> T {
        look(&mut self.at(address).lock().unwrap())
    }

    /// Returns the largest number of connections ever made at once.
    pub(crate) fn most_dialling(&self) -> usize {
        self.dialling.lock().unwrap().1
    }
}

fn locked(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Dialling(Arc<Mutex<(usize, usize)>>);

impl Dialling {
    fn begin(count: &Arc<Mutex<(usize, usize)>>) -> Self {
        let mut at = count.lock().unwrap();
        at.0 += 1;
        at.1 = at.1.max(at.0);
        Self(Arc::clone(count))
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

#[async_trait]
impl Connector for World {
    async fn connect(&self, target: &Target) -> Result<Connected, TransportError> {
        let _counted = Dialling::begin(&self.dialling);
        let hop = target.hops.last().unwrap();
        let machine = self.at(&hop.endpoint.address);
        let (mood, takes, shown) = {
            let mut machine = locked(&machine);
            machine.note("connect");
            (
                machine.connect.clone(),
                machine.connect_takes,
                machine.key.clone(),
            )
        };
        tokio::time::sleep(takes).await;
        match mood {
            Mood::Fine => {}
            Mood::Hangs => std::future::pending().await,
            Mood::Fails(error) => return Err(error),
            Mood::Panics => panic!("the connector is broken"),
        }
        let accepted = judge_key(target, &hop.key_label(), shown)?;
        let (cut, closed) = watch::channel(false);
        locked(&machine).links.push(cut);
        Ok(Connected {
            transport: Arc::new(Link { machine, closed }),
            accepted,
            logged_in_with: "agent".into(),
        })
    }
}

fn judge_key(
    target: &Target,
    label: &str,
    shown: HostKey,
) -> Result<Vec<PinnedKey>, TransportError> {
    let known: Vec<&PinnedKey> = target
        .pinned
        .iter()
        .filter(|pin| pin.label == label)
        .collect();
    if known.iter().any(|pin| pin.key == shown) {
        return Ok(Vec::new());
    }
    let pin = PinnedKey {
        label: label.to_owned(),
        key: shown.clone(),
        revoked: false,
    };
    if known.is_empty() && target.accept_new {
        return Ok(vec![pin]);
    }
    let verdict = if known.is_empty() {
        HostKeyVerdict::Unknown
    } else {
        let at = |pin: &&PinnedKey| KnownAt {
            source: "profile".into(),
            line: None,
            key: pin.key.clone(),
        };
        HostKeyVerdict::Changed {
            known: known.iter().map(at).collect(),
        }
    };
    Err(TransportError::HostKey(Box::new(HostKeyQuestion {
        label: label.to_owned(),
        dialled: label.to_owned(),
        key: shown,
        verdict,
    })))
}

#[derive(Debug)]
struct Link {
    machine: Arc<Mutex<Machine>>,
    closed: watch::Receiver<bool>,
}

fn lost() -> TransportError {
    TransportError::Lost {
        reason: "connection reset".into(),
    }
}

async fn cut(closed: &watch::Receiver<bool>) -> TransportError {
    let mut closed = closed.clone();
    if closed.wait_for(|cut| *cut).await.is_err() {
        std::future::pending::<()>().await;
    }
    lost()
}

#[async_trait]
impl Transport for Link {
    async fn exec(
        &self,
        command: &RemoteCommand,
        _limits: ExecLimits,
    ) -> Result<CommandOutput, TransportError> {
        let said = command.args.first().map(|arg| arg.value.clone());
        Ok(CommandOutput {
            status: ExitStatus::Code(0),
            stdout: said.unwrap_or_default().into_bytes(),
            stderr: Vec::new(),
            truncated: false,
            elapsed: Duration::ZERO,
        })
    }

    async fn spawn(&self, _: &RemoteCommand) -> Result<Box<dyn RemoteProcess>, TransportError> {
        Err(lost())
    }

    async fn closed(&self) -> TransportError {
        cut(&self.closed).await
    }

    async fn close(&self) {
        locked(&self.machine).note("close");
    }
}

/// Makes drivers for the machines of a world.
#[derive(Debug)]
pub(crate) struct WorldDrivers(pub World);

#[async_trait]
impl Drivers for WorldDrivers {
    async fn open(
        &self,
        transport: Arc<dyn Transport>,
        spec: &HostSpec,
    ) -> Result<Box<dyn Hypervisor>, HypervisorError> {
        Ok(Box::new(Driver {
            machine: self.0.at(&spec.endpoint.address),
            transport,
        }))
    }

    fn commands(
        &self,
        _kind: HypervisorKind,
        _spec: &HostSpec,
        vm: &VmId,
        action: &Action,
    ) -> Result<Vec<RemoteCommand>, HypervisorError> {
        if let Some(request) = &action.edit {
            let one = |(setting, _, to): (Setting, String, String)| {
                let command = RemoteCommand::posix("do").arg(format!("set-{}", setting.word()));
                command.arg(vm.as_str()).arg(to)
            };
            return Ok(request.rows().into_iter().map(one).collect());
        }
        let command = RemoteCommand::posix("do").arg(action.kind.id());
        Ok(vec![command.arg(vm.as_str())])
    }

    fn store_commands(
        &self,
        _kind: HypervisorKind,
        _spec: &HostSpec,
        id: &StoreId,
        verb: StoreVerb,
    ) -> Result<Vec<RemoteCommand>, HypervisorError> {
        let command = RemoteCommand::posix("do").arg(verb.spec().id);
        Ok(vec![command.arg(id.as_str())])
    }

    fn reach(&self, kind: HypervisorKind) -> &'static dyn Reach {
        vmdeck::hypervisor::drivers::reach(kind)
    }
}

#[derive(Debug)]
struct Driver {
    machine: Arc<Mutex<Machine>>,
    transport: Arc<dyn Transport>,
}

/// Counts a read while it lasts.
struct ReadCount<'a>(&'a Mutex<Machine>);

impl Drop for ReadCount<'_> {
    fn drop(&mut self) {
        locked(self.0).reading -= 1;
    }
}

impl Driver {
    async fn alive<T>(&self, doing: impl Future<Output = T> + Send) -> Result<T, HypervisorError> {
        tokio::select! {
            done = doing => Ok(done),
            error = self.transport.closed() => Err(error.into()),
        }
    }
}

#[async_trait]
impl Hypervisor for Driver {
    fn kind(&self) -> HypervisorKind {
        HypervisorKind::Libvirt
    }

    fn channel(&self) -> Option<String> {
        Some(locked(&self.machine).channel.to_owned())
    }

    async fn probe(&self) -> Result<Capabilities, HypervisorError> {
        let (channel, events) = {
            let machine = locked(&self.machine);
            (machine.channel.to_owned(), machine.announces)
        };
        Ok(Capabilities {
            kind: HypervisorKind::Libvirt,
            version: RemoteText::new("libvirt 9.0.0"),
            connection: None,
            actions: ActionKind::ALL.into_iter().collect(),
            channel,
            programs: GuestPrograms::Agent,
            events,
            host_cpus: None,
            host_memory: None,
            remarks: Vec::new(),
        })
    }

    async fn inventory(&self, scope: Scope) -> Result<HostInventory, HypervisorError> {
        let (mood, takes) = {
            let mut machine = locked(&self.machine);
            machine.note(match scope {
                Scope::Fast => "fast",
                Scope::Full => "full",
            });
            machine.reading += 1;
            machine.most_reading = machine.most_reading.max(machine.reading);
            (machine.read.clone(), machine.read_takes)
        };
        let _counted = ReadCount(&self.machine);
        self.alive(tokio::time::sleep(takes)).await?;
        match mood {
            Mood::Fine => Ok(HostInventory {
                vms: locked(&self.machine).vms.clone(),
                ..HostInventory::default()
            }),
            Mood::Hangs => self.alive(std::future::pending()).await,
            Mood::Fails(error) => Err(error.into()),
            Mood::Panics => panic!("the parser is broken"),
        }
    }

    async fn detail(&self, vm: &VmId) -> Result<VmDetail, HypervisorError> {
        let question = RemoteCommand::posix("describe").arg(vm.as_str());
        let limits = ExecLimits::within(Duration::from_secs(5));
        self.transport.exec(&question, limits).await?;
        Ok(VmDetail::default())
    }

    async fn settings(&self, vm: &VmId) -> Result<VmSettings, HypervisorError> {
        let mut machine = locked(&self.machine);
        machine.note("settings");
        let found = machine.settings.get(vm).cloned();
        found.ok_or_else(|| lost().into())
    }

    async fn stores(&self) -> Result<HostStores, HypervisorError> {
        Ok(locked(&self.machine).stores.clone())
    }

    async fn snapshots(&self, vm: &VmId) -> Result<Vec<VmSnapshot>, HypervisorError> {
        let machine = locked(&self.machine);
        let found = machine.vms.iter().find(|known| known.id == *vm);
        let tree = found.and_then(|found| found.facts.snapshot_tree.clone());
        Ok(tree.unwrap_or_default().to_vec())
    }

    async fn perform(
        &self,
        commands: &[RemoteCommand],
        progress: &ProgressSink,
    ) -> Result<(), HypervisorError> {
        for command in commands {
            let obeys = {
                let mut machine = locked(&self.machine);
                machine.note(command.shown_line());
                if let Some(look) = machine.on_perform {
                    let seen = look(&machine.audit_dir);
                    machine.note(seen);
                }
                let id = VmId::parse(&command.args[1].value);
                let word = command.args[0].value.as_str();
                let refused = machine.refuses_words.contains(&word);
                if refused || id.is_some_and(|id| machine.refuses.contains(&id)) {
                    Obeys::Refuses
                } else {
                    machine.obeys.clone()
                }
            };
            self.alive(tokio::time::sleep(Duration::from_millis(5)))
                .await?;
            match obeys {
                Obeys::Yes => {
                    let id = VmId::parse(&command.args[1].value).unwrap();
                    let mut machine = locked(&self.machine);
                    machine.act(&command.args[0].value, &id);
                    if let Some(to) = command.args.get(2) {
                        machine.change(&command.args[0].value, &id, &to.value);
                    }
                }
                Obeys::Slowly(step) => {
                    for percent in 1..=100 {
                        self.alive(tokio::time::sleep(step)).await?;
                        let doing = RemoteText::new("Speichern");
                        progress.tell(Progress::new(Some(percent), Some(doing)));
                    }
                    let id = VmId::parse(&command.args[1].value).unwrap();
                    locked(&self.machine).act(&command.args[0].value, &id);
                }
                Obeys::Ignores => {}
                Obeys::Refuses => {
                    return Err(HypervisorError::Remote {
                        program: "do".into(),
                        status: Some(1),
                        said: RemoteText::new("the hypervisor will not"),
                    });
                }
                Obeys::Panics => panic!("the command builder is broken"),
                Obeys::Hangs => self.alive(std::future::pending::<()>()).await?,
            }
        }
        Ok(())
    }

    async fn hints(&self) -> Result<Option<Box<dyn Hints>>, HypervisorError> {
        let mut machine = locked(&self.machine);
        if !machine.announces {
            return Ok(None);
        }
        #[expect(clippy::disallowed_methods, reason = "a test sends a handful")]
        let (sender, receiver) = mpsc::unbounded_channel();
        machine.hints.push(sender);
        machine.note("hints");
        Ok(Some(Box::new(Announcements(receiver))))
    }

    fn questions(&self, vms: &[VmId]) -> Vec<Question> {
        let question = |words: String| Question {
            command: RemoteCommand::posix("describe").arg(words.clone()),
            name: words,
            within: Duration::from_secs(5),
            form: AnswerForm::Text,
        };
        let of_vms = vms.iter().map(|vm| question(format!("about {vm}")));
        [question("host".into())]
            .into_iter()
            .chain(of_vms)
            .collect()
    }

    async fn close(&self) {}
}

#[derive(Debug)]
struct Announcements(mpsc::UnboundedReceiver<PollHint>);

#[async_trait]
impl Hints for Announcements {
    async fn next(&mut self) -> Result<PollHint, HypervisorError> {
        self.0.recv().await.ok_or_else(|| lost().into())
    }
}
