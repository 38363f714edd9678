//! The driver: which questions are asked when, and what is kept between them. No text is read here.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use super::command::{Line, QUESTION_LIFE, Virsh, tick, tick_that_waits};
use super::events::Announcements;
use super::facts::{self, Findings, Subject, Workers};
use super::inventory::{Memory, Moment};
use super::kept::Reply;
use super::parse::{self, Misshapen, Record};
use super::state::has_process;
use super::verdict::{judge, judge_said, unparsable};
use super::worker::{Fallback, Patience, Worker};
use super::{detail, edit, look, node, snapshot, stores, uptime};
use crate::clock::Clock;
use crate::domain::action::{Action, ActionKind};
use crate::domain::capability::{Capabilities, GuestPrograms};
use crate::domain::edit::VmSettings;
use crate::domain::host::{HostSpec, HypervisorKind};
use crate::domain::inventory::{HostInventory, Scope};
use crate::domain::redact::Private;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::store::HostStores;
use crate::domain::text::RemoteText;
use crate::domain::vm::{Vm, VmDetail, VmId};
use crate::hypervisor::{Hints, Hypervisor, HypervisorError, ProgressSink, Question};
use crate::transport::{ExecLimits, Transport};

/// How long the questions of a probe may take.
const PROBE_WITHIN: Duration = Duration::from_secs(10);

/// How long one read of all VMs may take, where nobody has said otherwise.
const TICK_WITHIN: Duration = Duration::from_secs(10);

/// What is added on this side to the time a command may live on the host.
const GRACE: Duration = Duration::from_secs(5);

/// Builds the commands of an action. Pure.
pub fn commands(
    spec: &HostSpec,
    vm: &VmId,
    action: &Action,
) -> Result<Vec<RemoteCommand>, HypervisorError> {
    Virsh::of(spec).action(vm, action)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The libvirt driver, bound to one link.
#[derive(Debug)]
pub struct Libvirt {
    transport: Arc<dyn Transport>,
    virsh: Virsh,
    clock: Clock,
    tick_within: Duration,
    /// For the tick.
    fast: Worker,
    /// For slow facts and details, so that no tick waits for them.
    slow: Worker,
    /// Held for moments only, never over an await.
    memory: Mutex<Memory>,
    list_is_old: Arc<AtomicBool>,
    knows_no_wait: AtomicBool,
    /// Whether it has figures at all; drivers other than QEMU's may know states only.
    knows_figures: AtomicBool,
    turn: AtomicU64,
    /// Whether a read has ended well on this link.
    has_read: AtomicBool,
    /// When the first read was sent along with the probe.
    sent_along: Mutex<Option<Instant>>,
    /// What [`Self::try_out`] found, for the probe that follows it.
    tried: Mutex<Option<Result<Capabilities, HypervisorError>>>,
}

impl Libvirt {
    /// Binds the driver to a link; nothing is asked yet.
    pub fn new(transport: Arc<dyn Transport>, spec: &HostSpec, clock: Clock) -> Self {
        let virsh = Virsh::of(spec);
        let fallback = Fallback::default();
        let worker = || Worker::new(Arc::clone(&transport), virsh.clone(), Arc::clone(&fallback));
        Self {
            fast: worker(),
            slow: worker(),
            transport,
            virsh,
            clock,
            tick_within: TICK_WITHIN,
            memory: Mutex::default(),
            list_is_old: Arc::new(AtomicBool::new(true)),
            knows_no_wait: AtomicBool::new(true),
            knows_figures: AtomicBool::new(true),
            turn: AtomicU64::new(0),
            has_read: AtomicBool::new(false),
            sent_along: Mutex::default(),
            tried: Mutex::default(),
        }
    }

    /// Says how long one read of all VMs may take.
    #[must_use]
    pub fn reading_within(mut self, within: Duration) -> Self {
        self.tick_within = within;
        self
    }

    /// Finds out whether libvirt answers here. The next probe returns the same, without asking again.
    pub(crate) async fn try_out(&self) -> Result<(), HypervisorError> {
        let found = self.ask_versions().await;
        let verdict = found.as_ref().map(|_| ()).map_err(Clone::clone);
        *lock(&self.tried) = Some(found);
        verdict
    }

    async fn ask_versions(&self) -> Result<Capabilities, HypervisorError> {
        let lines = probe_lines();
        // A read follows every probe that goes well: it is sent along, and saves its own round trip.
        let first_tick = self.tick_lines(true, true);
        *lock(&self.sent_along) = Some(Instant::now());
        let replies = self
            .fast
            .ask_before(&lines, &first_tick, PROBE_WITHIN, Patience::Expects)
            .await?;
        let version = replies.first();
        if let Some(said) = version.and_then(|reply| reply.failure.clone()) {
            return Err(judge_said(&self.virsh, said));
        }
        let printed = version.map_or(&[][..], |reply| &reply.stdout);
        if parse::versions(printed).0.is_none() {
            let first = parse::lines(printed).next().unwrap_or_default();
            return Err(unparsable(&Misshapen::new("no version", first)));
        }
        Ok(self.capabilities(&replies))
    }

    /// Runs one command of a plan.
    async fn run(&self, command: &RemoteCommand) -> Result<(), HypervisorError> {
        let life = command.life.unwrap_or(QUESTION_LIFE);
        let limits = ExecLimits::within(life + GRACE);
        let output = self.transport.exec(command, limits).await?;
        if output.status.is_success() {
            return Ok(());
        }
        Err(judge(&self.virsh, &output.status, &output.stderr, life))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One tick: figures of all VMs and of the host, in one go; the names with them when they are
    /// not known, and once more when they have changed since.
    /// `next` is what the caller will ask after it.
    async fn read_fast(&self, next: &[Line]) -> Result<HostInventory, HypervisorError> {
        let list_was_old = self.list_is_old.swap(false, Ordering::AcqRel);
        let result = if self.knows_figures.load(Ordering::Acquire) {
            self.read_with(list_was_old, next).await
        } else {
            self.read_states().await
        };
        if result.is_err() {
            // Whatever was learnt on the way, the names have to be read again.
            self.list_is_old.store(true, Ordering::Release);
        }
        result
    }

    /// The questions of one tick.
    fn tick_lines(&self, load_is_due: bool, list_was_old: bool) -> Vec<Line> {
        let tick = if self.knows_no_wait.load(Ordering::Acquire) {
            tick()
        } else {
            tick_that_waits()
        };
        let mut lines = vec![tick];
        if load_is_due {
            lines.extend([Line::new("nodecpustats"), Line::new("nodememstats")]);
        }
        if list_was_old {
            lines.extend([list(), numbers()]);
        }
        lines
    }

    async fn read_with(
        &self,
        list_was_old: bool,
        next: &[Line],
    ) -> Result<HostInventory, HypervisorError> {
        let load_is_due = self.memory().load_is_due(self.moment());
        let lines = self.tick_lines(load_is_due, list_was_old);
        let mut replies = self
            .fast
            .ask_before(&lines, next, self.tick_within, Patience::Expects)
            .await?
            .into_iter();
        let mut next = || {
            replies
                .next()
                .ok_or_else(|| unparsable(&Misshapen::new("an answer is missing", b"")))
        };
        let mut figures = next()?;
        let moment = self.moment();
        if load_is_due {
            let (cpu, node_memory) = (next()?, next()?);
            self.memory()
                .learn_load(&cpu.stdout, &node_memory.stdout, moment);
        }
        let mut numbers = None;
        if list_was_old {
            self.learn_names(&next()?)?;
            numbers = Some(next()?);
        }
        if let Some(said) = &figures.failure
            && self.knows_no_wait.load(Ordering::Acquire)
            && said.raw().contains("--nowait")
        {
            self.knows_no_wait.store(false, Ordering::Release);
            figures = self.ask_one(tick_that_waits()).await?;
        }
        if figures.failure.as_ref().is_some_and(has_no_figures) {
            self.knows_figures.store(false, Ordering::Release);
            return self.read_states().await;
        }
        self.put_together(figures, moment, numbers).await
    }

    async fn put_together(
        &self,
        figures: Reply,
        moment: Moment,
        numbers: Option<Reply>,
    ) -> Result<HostInventory, HypervisorError> {
        let records = parse::domstats(&figures.stdout).map_err(|problem| unparsable(&problem))?;
        if let Some(said) = &figures.failure
            && records.is_empty()
        {
            return Err(judge_said(&self.virsh, said.clone()));
        }
        if !self.memory().knows_exactly(&records) {
            let names = self.ask_one(list()).await?;
            self.learn_names(&names)?;
        }
        let (mut vms, mut gaps) = self.memory().join(&records, moment);
        gaps.extend(figures.failure);
        self.number(&mut vms, numbers).await?;
        let load = self.memory().load();
        Ok(HostInventory { vms, load, gaps })
    }

    /// Gives running VMs their numbers; asks for them where one was started since they were told. A
    /// `virsh` that cannot tell them leaves them unknown.
    async fn number(
        &self,
        vms: &mut [Arc<Vm>],
        told: Option<Reply>,
    ) -> Result<(), HypervisorError> {
        let mut told = told;
        if told.is_none() && self.memory().wants_numbers() {
            told = Some(self.ask_one(numbers()).await?);
        }
        let mut memory = self.memory();
        if let Some(reply) = told {
            memory.learn_numbers(&parse::numbers(&reply.stdout));
        }
        for vm in vms {
            let number = memory.number(&vm.id);
            if vm.stats.number != number {
                Arc::make_mut(vm).stats.number = number;
            }
        }
        Ok(())
    }

    /// One tick where there are no figures: names, and who is in which state.
    async fn read_states(&self) -> Result<HostInventory, HypervisorError> {
        let mut lines = vec![list()];
        lines.extend(STATES.map(|(question, _)| Line::new(question)));
        let replies = self
            .fast
            .ask(&lines, self.tick_within, Patience::Expects)
            .await?;
        let mut replies = replies.iter();
        if let Some(names) = replies.next() {
            self.learn_names(names)?;
        }
        let mut states = HashMap::new();
        for (reply, (_, state)) in replies.zip(STATES) {
            if let Some(said) = &reply.failure {
                return Err(judge_said(&self.virsh, said.clone()));
            }
            states.extend(parse::ids(&reply.stdout).into_iter().map(|id| (id, state)));
        }
        let moment = self.moment();
        let names = self.memory().names_of(&states);
        let records: Vec<Record<'_>> = names
            .iter()
            .map(|(name, state)| Record::of_state(name, *state))
            .collect();
        let (mut vms, gaps) = self.memory().join(&records, moment);
        self.number(&mut vms, None).await?;
        let load = self.memory().load();
        Ok(HostInventory { vms, load, gaps })
    }

    /// Asks for slow facts. The first read of a link asks the `virsh` that is there, because nothing
    /// waits behind it yet and starting another costs more than asking.
    async fn ask_facts(&self, is_first: bool) -> Result<Findings, HypervisorError> {
        let subjects: Vec<Subject> = {
            let memory = self.memory();
            memory
                .known_vms()
                .into_iter()
                .map(|(id, runs, asked, print)| Subject {
                    facts: (*memory.facts(&id)).clone(),
                    id,
                    runs,
                    asked,
                    print,
                })
                .collect()
        };
        let workers = Workers {
            vms: if is_first { &self.fast } else { &self.slow },
            agents: &self.slow,
        };
        facts::read(workers, subjects).await
    }

    /// Asks the host's process table how long VMs have been running; `None` where it cannot say.
    async fn ask_ages(&self) -> Option<HashMap<VmId, Timestamp>> {
        let limits = ExecLimits::within(QUESTION_LIFE);
        let answer = self.transport.exec(&uptime::question(), limits).await;
        Some(uptime::starts(&answer.ok()?.stdout, self.clock.now()))
    }

    async fn read_states_and_figures(
        &self,
        next: &[Line],
    ) -> Result<HostInventory, HypervisorError> {
        let inventory = self.read_fast(next).await?;
        self.has_read.store(true, Ordering::Release);
        Ok(inventory)
    }

    /// Asks for ages while the rest is being read; where no VM runs, nobody waits for the answer.
    async fn with_ages(
        &self,
        reading: impl Future<Output = Result<ReadSlowly, HypervisorError>>,
    ) -> Result<(ReadSlowly, Option<HashMap<VmId, Timestamp>>), HypervisorError> {
        let asking = self.ask_ages();
        tokio::pin!(reading, asking);
        tokio::select! {
            read = &mut reading => {
                let read = read?;
                let ages = if read.0.vms.iter().any(|vm| has_process(&vm.state)) {
                    asking.await
                } else {
                    None
                };
                Ok((read, ages))
            }
            ages = &mut asking => Ok((reading.await?, ages)),
        }
    }

    /// Adds the slow facts to an inventory that was just read.
    fn add_slow(
        &self,
        inventory: &mut HostInventory,
        findings: Result<Findings, HypervisorError>,
        ages: Option<&HashMap<VmId, Timestamp>>,
    ) -> Result<(), HypervisorError> {
        let findings = findings?;
        let now = self.clock.now();
        let turn = self.turn.fetch_add(1, Ordering::AcqRel) + 1;
        let mut memory = self.memory();
        // A host that cannot tell ages leaves uptimes unknown.
        if let Some(starts) = ages {
            memory.learn_starts(starts);
        }
        if let Some(saved) = &findings.saved {
            memory.learn_saved(saved);
        }
        for (id, mut facts, asked) in findings.facts {
            let print = findings.prints.get(&id).copied();
            memory.keep_newer_snapshots(&id, &mut facts, print, findings.began);
            memory.learn_facts(&id, facts, asked.then_some(turn));
        }
        for vm in &mut inventory.vms {
            let mut fresh = Vm {
                facts: memory.facts(&vm.id),
                ..(**vm).clone()
            };
            fresh.stats.uptime = memory.uptime(&vm.id, now);
            *vm = Arc::new(fresh);
        }
        Ok(())
    }

    fn learn_names(&self, reply: &Reply) -> Result<(), HypervisorError> {
        if let Some(said) = &reply.failure {
            return Err(judge_said(&self.virsh, said.clone()));
        }
        self.memory().learn_names(parse::names(&reply.stdout));
        Ok(())
    }

    async fn ask_one(&self, line: Line) -> Result<Reply, HypervisorError> {
        let replies = self
            .fast
            .ask(&[line], self.tick_within, Patience::Expects)
            .await?;
        replies
            .into_iter()
            .next()
            .ok_or_else(|| unparsable(&Misshapen::new("an answer is missing", b"")))
    }

    fn moment(&self) -> Moment {
        Moment {
            at: Instant::now(),
            wall: self.clock.now(),
        }
    }

    fn capabilities(&self, replies: &[Reply]) -> Capabilities {
        let stdout = |index: usize| replies.get(index).map_or(&[][..], |reply| &reply.stdout);
        let (libvirt, hypervisor) = parse::versions(stdout(0));
        let libvirt = libvirt.map_or_else(|| "libvirt".to_owned(), |at| format!("libvirt {at}"));
        let version = match hypervisor {
            Some(hypervisor) => format!("{libvirt}, {hypervisor}"),
            None => libvirt,
        };
        let connection = RemoteText::from_bytes(stdout(1)).first_line();
        let (host_cpus, info_memory) = node::info(stdout(2));
        let host_memory = node::memory(stdout(3)).memory_total.max(info_memory);
        let mut remarks = Vec::new();
        if !self.knows_figures.load(Ordering::Acquire) {
            remarks.push(RemoteText::new("no domstats here: states only"));
        }
        let fallback = self.fast.fallback();
        if let Some(why) = fallback {
            remarks.push(RemoteText::new(&format!(
                "virsh cannot be kept running here ({}), so every question costs a process",
                why.raw()
            )));
        }
        if self.virsh.uri().is_none() && connection.raw().ends_with("/session") {
            remarks.push(RemoteText::new(
                "these are the account's own VMs; those of the system are at qemu:///system",
            ));
        }
        Capabilities {
            kind: HypervisorKind::Libvirt,
            version: RemoteText::new(&version),
            connection: (!connection.is_empty()).then_some(connection),
            actions: BTreeSet::from(ActionKind::ALL),
            channel: channel(fallback.is_some()),
            programs: GuestPrograms::Agent,
            events: true,
            host_cpus,
            host_memory,
            remarks,
        }
    }
}

fn channel(fell_back: bool) -> String {
    if fell_back {
        "one virsh process per command"
    } else {
        "kept virsh"
    }
    .to_owned()
}

#[async_trait]
impl Hypervisor for Libvirt {
    fn kind(&self) -> HypervisorKind {
        HypervisorKind::Libvirt
    }

    fn channel(&self) -> Option<String> {
        Some(channel(self.fast.fallback().is_some()))
    }

    async fn probe(&self) -> Result<Capabilities, HypervisorError> {
        let tried = lock(&self.tried).take();
        match tried {
            Some(found) => found,
            None => self.ask_versions().await,
        }
    }

    fn asked_ahead(&self) -> Option<Instant> {
        lock(&self.sent_along).take()
    }

    async fn inventory(&self, scope: Scope) -> Result<HostInventory, HypervisorError> {
        if scope == Scope::Full {
            self.list_is_old.store(true, Ordering::Release);
        }
        if scope == Scope::Fast {
            return self.read_states_and_figures(&[]).await;
        }
        let is_first = !self.has_read.load(Ordering::Acquire);
        let reading = async {
            // The facts of a first read are asked of the same `virsh`, right behind.
            let flags = facts::flag_questions();
            let next = if is_first { &flags[..] } else { &[] };
            let inventory = self.read_states_and_figures(next).await?;
            let findings = self.ask_facts(is_first).await;
            Ok::<_, HypervisorError>((inventory, findings))
        };
        let ((mut inventory, findings), ages) = self.with_ages(reading).await?;
        if let Err(error) = self.add_slow(&mut inventory, findings, ages.as_ref()) {
            // The states are known; that the rest is not is said, and the old facts stay.
            inventory
                .gaps
                .push(RemoteText::new(&format!("slow facts: {error}")));
        }
        Ok(inventory)
    }

    async fn detail(&self, vm: &VmId) -> Result<VmDetail, HypervisorError> {
        let mut detail = detail::read(&self.slow, vm).await?;
        match self.snapshots(vm).await {
            Ok(tree) => {
                detail.facts.snapshots = u32::try_from(tree.len()).ok();
                detail.facts.snapshot_tree = Some(Arc::from(tree.as_slice()));
                detail.snapshots = tree;
            }
            Err(error) => detail
                .gaps
                .push(RemoteText::new(&format!("VM snapshots: {error}"))),
        }
        Ok(detail)
    }

    async fn snapshots(&self, vm: &VmId) -> Result<Vec<VmSnapshot>, HypervisorError> {
        let (outline, tree) = snapshot::of_vm(&self.slow, vm).await?;
        self.memory().learn_snapshots(vm, &tree, outline.print);
        Ok(tree)
    }

    async fn settings(&self, vm: &VmId) -> Result<VmSettings, HypervisorError> {
        edit::read(&self.slow, vm).await
    }

    async fn stores(&self) -> Result<HostStores, HypervisorError> {
        stores::read(&self.slow).await
    }

    async fn perform(
        &self,
        commands: &[RemoteCommand],
        _progress: &ProgressSink,
    ) -> Result<(), HypervisorError> {
        let mut result = Ok(());
        for command in commands {
            result = self.run(command).await;
            if result.is_err() {
                break;
            }
        }
        // Whether it went well or not: a read that is on its way does not know of it.
        self.fast.outdate();
        result
    }

    async fn hints(&self) -> Result<Option<Box<dyn Hints>>, HypervisorError> {
        let announcements = Announcements::open(
            Arc::clone(&self.transport),
            self.virsh.clone(),
            Arc::clone(&self.list_is_old),
        )
        .await?;
        Ok(Some(Box::new(announcements)))
    }

    fn questions(&self, vms: &[VmId]) -> Vec<Question> {
        look::questions(&self.virsh, vms)
    }

    fn private(&self) -> Private {
        look::private()
    }

    async fn close(&self) {
        tokio::join!(self.fast.close(), self.slow.close());
    }
}

/// An inventory, and what came of asking for its slow facts.
type ReadSlowly = (HostInventory, Result<Findings, HypervisorError>);

/// Questions about states, with the number that libvirt gives each.
pub(super) const STATES: [(&str, u32); 3] = [
    ("list --all --uuid --state-running", 1),
    ("list --all --uuid --state-paused", 3),
    ("list --all --uuid --state-shutoff", 5),
];

/// Tells whether a driver of libvirt has said that it keeps no figures.
fn has_no_figures(said: &RemoteText) -> bool {
    let said = said.raw();
    said.contains("not supported by the connection driver") || said.contains("unknown command")
}

/// The questions of a probe.
pub(super) fn probe_lines() -> [Line; 4] {
    [
        Line::new("version --daemon"),
        Line::new("uri"),
        Line::new("nodeinfo"),
        Line::new("nodememstats"),
    ]
}

pub(super) fn list() -> Line {
    Line::new("list --all --uuid --name")
}

/// Asks for the numbers of all VMs that run.
pub(super) fn numbers() -> Line {
    Line::new("list --uuid --id")
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::{Says, keep, spec};
    use super::*;
    use crate::domain::vm::PowerState;
    use crate::transport::scripted::Script;

    const A: &str = "6c09bb55-d683-4da0-8931-c9bf705f6480";
    const B: &str = "7c09bb55-d683-4da0-8931-c9bf705f6480";

    fn driver(says: impl Fn(&str) -> Says + Clone + Send + 'static) -> (Script, Libvirt) {
        let script = Script::new();
        keep(&script, says);
        let libvirt = Libvirt::new(script.transport(), &spec(), Clock::system());
        (script, libvirt)
    }

    #[tokio::test(start_paused = true)]
    async fn a_virsh_older_than_nowait_is_asked_without_it() {
        let (script, libvirt) = driver(|line| match line {
            "list --all --uuid --name" => Says::Out(format!("{A} a\n")),
            line if line.contains("--nowait") => {
                Says::Error("command 'domstats' doesn't support option --nowait".into())
            }
            line if line.starts_with("domstats") => {
                Says::Out("Domain: 'a'\n  state.state=1\n\n".into())
            }
            _ => Says::Out("\n".into()),
        });
        for _ in 0..2 {
            let inventory = libvirt.inventory(Scope::Fast).await.unwrap();
            assert_eq!(inventory.vms[0].state, PowerState::Running);
            assert!(inventory.gaps.is_empty());
        }
        assert_eq!(script.count("virsh"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_read_is_sent_along_with_the_probe() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let (_script, libvirt) = driver(move |line| {
            ear.lock().unwrap().push(line.to_owned());
            match line {
                "list --all --uuid --name" => Says::Out(format!("{A} a\n")),
                "version --daemon" => Says::Out("Using library: libvirt 9.0.0\n".into()),
                line if line.starts_with("domstats") => {
                    Says::Out("Domain: 'a'\n  state.state=5\n\n".into())
                }
                _ => Says::Out("\n".into()),
            }
        });
        let began = Instant::now();
        libvirt.probe().await.unwrap();
        // What it says is of that moment, not of the read that fetches it.
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(libvirt.asked_ahead(), Some(began));
        assert_eq!(libvirt.asked_ahead(), None, "every other read asks itself");
        let count = |word: &str| {
            let heard = heard.lock().unwrap();
            heard.iter().filter(|line| line.starts_with(word)).count()
        };
        assert_eq!((count("domstats"), count("list --all")), (1, 1));
        let inventory = libvirt.inventory(Scope::Full).await.unwrap();
        assert_eq!(inventory.vms[0].state, PowerState::Stopped);
        assert_eq!(inventory.vms[0].facts.autostart, Some(false));
        assert_eq!(
            (count("domstats"), count("list --all --uuid --auto")),
            (1, 1)
        );
        {
            // What is asked after it was sent along with it in turn.
            let heard = heard.lock().unwrap();
            let at = |word: &str| heard.iter().position(|line| line.starts_with(word));
            assert!(at("list --all --uuid --with-managed-save") < at("dumpxml"));
            assert_eq!(at("list --all --uuid --autostart"), Some(9));
        }
        libvirt.inventory(Scope::Fast).await.unwrap();
        assert_eq!(count("domstats"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_after_an_action_is_asked_after_it() {
        let asked = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&asked);
        let (script, libvirt) = driver(move |line| match line {
            "list --all --uuid --name" => Says::Out(format!("{A} a\n")),
            "version --daemon" => Says::Out("Using library: libvirt 9.0.0\n".into()),
            line if line.starts_with("domstats") => {
                let mut asked = counter.lock().unwrap();
                *asked += 1;
                let state = if *asked == 1 { 5 } else { 1 };
                Says::Out(format!("Domain: 'a'\n  state.state={state}\n\n"))
            }
            _ => Says::Out("\n".into()),
        });
        libvirt.probe().await.unwrap();
        assert_eq!(*asked.lock().unwrap(), 1);
        let action = libvirt.virsh.once(&Line::new("start"), QUESTION_LIFE);
        drop(script);
        drop(libvirt.perform(&[action], &ProgressSink::unheard()).await);
        let inventory = libvirt.inventory(Scope::Fast).await.unwrap();
        assert_eq!(inventory.vms[0].state, PowerState::Running);
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_are_asked_for_when_a_vm_was_started_and_not_on_every_tick() {
        let heard = Arc::new(Mutex::new(0));
        let ear = Arc::clone(&heard);
        let started = Arc::new(AtomicU64::new(0));
        let number = Arc::clone(&started);
        let (_script, libvirt) = driver(move |line| match line {
            "list --all --uuid --name" => Says::Out(format!("{A} a\n{B} b\n")),
            "list --uuid --id" => {
                *ear.lock().unwrap() += 1;
                // Either order of the words, and lines that say nothing.
                match number.load(Ordering::Acquire) {
                    0 => Says::Error("command 'list' doesn't support option --id".into()),
                    1 => Says::Out(format!("{A} 7\n\n")),
                    _ => Says::Out(format!("{A} 7\n12 {B}\n- -\n")),
                }
            }
            line if line.starts_with("domstats") => {
                let b = if number.load(Ordering::Acquire) < 2 {
                    5
                } else {
                    1
                };
                Says::Out(format!(
                    "Domain: 'a'\n  state.state=1\n\nDomain: 'b'\n  state.state={b}\n\n"
                ))
            }
            _ => Says::Out("\n".into()),
        });
        let read = async |scope| {
            let inventory = libvirt.inventory(scope).await.unwrap();
            let all: Vec<_> = inventory.vms.iter().map(|vm| vm.stats.number).collect();
            (all, *heard.lock().unwrap())
        };
        assert_eq!(read(Scope::Fast).await, (vec![None, None], 1));
        assert_eq!(read(Scope::Fast).await, (vec![None, None], 1));
        started.store(1, Ordering::Release);
        assert_eq!(read(Scope::Full).await, (vec![Some(7), None], 2));
        assert_eq!(read(Scope::Fast).await, (vec![Some(7), None], 2));
        started.store(2, Ordering::Release);
        assert_eq!(read(Scope::Fast).await, (vec![Some(7), Some(12)], 3));
        assert_eq!(read(Scope::Fast).await, (vec![Some(7), Some(12)], 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_may_take_as_long_as_was_said() {
        for seconds in [2, 40] {
            let (_script, libvirt) = driver(|_| Says::Nothing);
            let within = Duration::from_secs(seconds);
            let libvirt = libvirt.reading_within(within);
            let began = Instant::now();
            assert!(libvirt.inventory(Scope::Fast).await.is_err());
            assert_eq!(began.elapsed(), within);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_figures_the_states_are_still_known() {
        let (_script, libvirt) = driver(|line| {
            match line {
            "list --all --uuid --name" => Says::Out(format!("{A} a\n{B} b\n")),
            "list --all --uuid --state-running" => Says::Out(format!("{B}\n\n")),
            "list --all --uuid --state-shutoff" => Says::Out(format!("{A}\n\n")),
            line if line.starts_with("domstats") => Says::Error(
                "this function is not supported by the connection driver: virConnectGetAllDomainStats".into(),
            ),
            _ => Says::Out("\n".into()),
        }
        });
        for _ in 0..2 {
            let inventory = libvirt.inventory(Scope::Fast).await.unwrap();
            let states: Vec<&str> = inventory.vms.iter().map(|vm| vm.state.word()).collect();
            assert_eq!(states, ["stopped", "running"]);
            assert_eq!(inventory.vms[1].stats.memory_used, None);
            assert!(inventory.gaps.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_read_is_an_error_and_never_an_empty_host() {
        let (_script, libvirt) = driver(|_| Says::Error("the daemon is tired".into()));
        let error = libvirt.inventory(Scope::Fast).await.unwrap_err();
        assert!(error.to_string().contains("the daemon is tired"));
        let (_script, libvirt) = driver(|line| {
            Says::Out(if line.starts_with("domstats") {
                "Domain: 'a'\n  state.state=1\n\n".into()
            } else {
                String::new()
            })
        });
        let inventory = libvirt.inventory(Scope::Fast).await.unwrap();
        assert_eq!((inventory.vms.len(), inventory.gaps.len()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_facts_that_cannot_be_read_cost_no_state() {
        let (_script, libvirt) = driver(|line| match line {
            "list --all --uuid --name" => Says::Out(format!("{A} a\n")),
            line if line.starts_with("domstats") => {
                Says::Out("Domain: 'a'\n  state.state=1\n\n".into())
            }
            line if line.starts_with("node") => Says::Out("\n".into()),
            "list --uuid --id" => Says::Out(format!("{A} 4\n")),
            _ => Says::Nothing,
        });
        let inventory = libvirt.inventory(Scope::Full).await.unwrap();
        assert_eq!(inventory.vms[0].state, PowerState::Running);
        assert_eq!(inventory.vms[0].facts.autostart, None);
        assert_eq!(inventory.gaps.len(), 1, "{:?}", inventory.gaps);
    }
}
