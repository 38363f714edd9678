//! The driver: which script is run when, and what is kept between them. No text is read here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::{self, Trouble, follow};
use super::command::PROGRAMS;
use super::envelope::{Nonce, seal};
use super::facts::{self, HostFacts};
use super::failure::{self, About, Cause, NoAnswer, Record};
use super::frames::{FrameReader, unparsable};
use super::leftover::Leftovers;
use super::parse::{self, Answer, Listed, Memory};
use super::script::Task;
use super::stream::Watch;
use super::verdict::{self, Way};
use super::{detail, edit, look, stores};
use crate::domain::capability::Capabilities;
use crate::domain::edit::VmSettings;
use crate::domain::host::{HostId, HypervisorKind};
use crate::domain::inventory::{HostInventory, Scope};
use crate::domain::redact::Private;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot::VmSnapshot;
use crate::domain::store::HostStores;
use crate::domain::text::RemoteText;
use crate::domain::vm::{VmDetail, VmId};
use crate::hypervisor::{Check, Hints, Hypervisor, HypervisorError, ProgressSink, Question};
use crate::transport::{CommandOutput, ExecLimits, Transport, TransportError};

/// How long the probe may take: a first PowerShell after the host's start loads for many seconds.
const PROBE_WITHIN: Duration = Duration::from_secs(20);

/// How long one read of states and figures may take, where nobody has said otherwise.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// A read with slow facts may take so many times as long.
const FULL_FACTOR: u32 = 3;

/// How long the details of one VM may take; sizes of images are read from their files.
const DETAIL_WITHIN: Duration = Duration::from_secs(20);

/// How long storage and networks may take: every image is opened for its size.
const STORES_WITHIN: Duration = Duration::from_secs(50);

/// What is added on this side to the time a script may take for an action.
const GRACE: Duration = Duration::from_secs(5);

/// Scripts at once on one host. Each is a process of some 80 MB and costs a second of processor.
const AT_ONCE: usize = 3;

/// Of those, how many may be actions: they can follow a job for minutes, and reading goes on meanwhile.
const ACTIONS_AT_ONCE: usize = 2;

/// Bytes of standard output: an answer, and a profile's banner before it.
const MAX_OUTPUT: usize = 24 * 1024 * 1024;

/// The arguments of a script that needs none.
const NO_ARGUMENTS: &str = "{}";

/// What is learnt on the way.
#[derive(Debug)]
struct Learnt {
    /// What PowerShell is called here, once one has answered.
    program: Option<&'static str>,
    way: Way,
    facts: Option<Arc<HostFacts>>,
    memory: Memory,
}

/// The Hyper-V driver, bound to one link.
#[derive(Debug)]
pub struct HyperV {
    transport: Arc<dyn Transport>,
    read_within: Duration,
    /// Held while a script runs.
    gate: Semaphore,
    /// Held, before that, while an action runs.
    actions: Semaphore,
    /// Held for moments only, never over an await.
    learnt: Mutex<Learnt>,
    /// Tells of the VMs without being asked, where it can.
    watch: Option<Watch>,
}

impl HyperV {
    /// Binds the driver to a link; nothing is asked yet.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            read_within: READ_WITHIN,
            gate: Semaphore::new(AT_ONCE),
            actions: Semaphore::new(ACTIONS_AT_ONCE),
            learnt: Mutex::new(Learnt {
                program: None,
                way: Way::Cim,
                facts: None,
                memory: Memory::default(),
            }),
            watch: None,
        }
    }

    /// Says how long one read of all VMs may take.
    #[must_use]
    pub fn reading_within(mut self, within: Duration) -> Self {
        self.read_within = within;
        self
    }

    /// Lets a script that stays tell of the host, so that a read costs no process there. `leftovers`
    /// remembers over links what may still run on the host.
    #[must_use]
    pub fn watching(mut self, host: HostId, leftovers: Leftovers) -> Self {
        self.watch = Some(Watch::new(Arc::clone(&self.transport), host, leftovers));
        self
    }

    /// Returns what the last probe found out, also where its verdict was a failure.
    pub fn facts(&self) -> Option<Arc<HostFacts>> {
        self.learnt().facts.clone()
    }

    /// Asks the host what it is, and judges nothing.
    pub async fn ask_facts(&self) -> Result<Arc<HostFacts>, HypervisorError> {
        let answer = match self.ask(Task::Probe, NO_ARGUMENTS, PROBE_WITHIN).await {
            Err(Trouble::Constrained) => {
                self.learnt().way = Way::Constrained;
                let rows = self.ask_plain(Task::ConstrainedProbe, PROBE_WITHIN).await;
                rows.map(|mut rows| Answer {
                    data: rows.pop().unwrap_or_default(),
                    gaps: Vec::new(),
                })
            }
            other => other,
        };
        let answer = answer.map_err(|trouble| self.told(trouble, About::Host))?;
        let facts = facts::read(&answer.data, &answer.gaps)
            .map_err(|error| unparsable(&format!("the probe: {error}"), b""))?;
        let facts = Arc::new(facts);
        let mut learnt = self.learnt();
        learnt.memory.processors = facts.processors;
        learnt.facts = Some(Arc::clone(&facts));
        Ok(facts)
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs any body as it runs its own about a VM: the same envelope and frames, and the same judgement
    /// of what fails. For tests of what errors mean; it changes what the body changes.
    #[cfg(feature = "testing")]
    pub async fn try_body(&self, body: &str) -> Result<serde_json::Value, HypervisorError> {
        let nonce = Nonce::fresh();
        let mut shown = RemoteCommand::powershell("a test", "{}").life(DETAIL_WITHIN);
        self.learnt()
            .program
            .unwrap_or(PROGRAMS[0])
            .clone_into(&mut shown.program);
        let command = super::envelope::seal_body(shown, body, &nonce)?;
        let limits = ExecLimits::within(DETAIL_WITHIN);
        let output = self.transport.exec(&command, limits).await?;
        match answer::of(&output, &nonce) {
            Ok(answer) => Ok(answer.data),
            Err(trouble) => Err(self.look_closer(trouble).await),
        }
    }

    /// Turns trouble into what those above understand.
    fn told(&self, trouble: Trouble, about: About) -> HypervisorError {
        match trouble {
            Trouble::Record(record) => {
                let facts = self.facts();
                let is_installed = facts.as_ref().is_some_and(|facts| facts.vmms().is_some());
                if record.cause() == Cause::NoNamespace && is_installed {
                    return failure::no_namespace(record.said());
                }
                let may = facts.and_then(|facts| facts.may_manage());
                failure::judge(&record, about, may)
            }
            Trouble::NotFound(said) => failure::no_powershell(&said),
            Trouble::Constrained => failure::constrained(RemoteText::new("")),
            Trouble::Error(error) => error,
        }
    }

    /// Runs a script that reads, under whatever name PowerShell has here.
    async fn ask(&self, task: Task, arguments: &str, within: Duration) -> Result<Answer, Trouble> {
        let (output, nonce) = self.run(task, arguments, within).await?;
        answer::of(&output, &nonce)
    }

    /// Asks for everything about one VM, by the way that can work here.
    async fn ask_detail(&self, vm: &VmId) -> Result<Answer, Trouble> {
        let arguments = format!("{{\"id\":\"{vm}\"}}");
        if self.learnt().way == Way::Constrained {
            return Err(Trouble::Constrained);
        }
        let lacks_cmdlets = self.facts().is_some_and(|facts| {
            facts.gets_copies() || (facts.module.is_some() && !facts.has_module())
        });
        if !lacks_cmdlets {
            match self.ask(Task::Detail, &arguments, DETAIL_WITHIN).await {
                Err(Trouble::Record(record)) if record.cause() == Cause::NoCmdlet => {}
                other => return other,
            }
        }
        self.ask(Task::DetailCim, &arguments, DETAIL_WITHIN).await
    }

    /// Tells what trouble about one VM means. Of a VM that is gone and of a service that is stopped the
    /// cmdlets say the same, so the service is looked at.
    async fn look_closer(&self, trouble: Trouble) -> HypervisorError {
        if let Trouble::Record(record) = &trouble
            && record.cause() == Cause::NotFound
            && let Ok(facts) = self.ask_facts().await
            && facts.vmms_is_down()
        {
            return failure::not_running(record.said());
        }
        self.told(trouble, About::Vm)
    }

    /// Runs a script that stands alone: rows of plain JSON and their number.
    async fn ask_plain(
        &self,
        task: Task,
        within: Duration,
    ) -> Result<Vec<serde_json::Value>, Trouble> {
        let (output, nonce) = self.run(task, NO_ARGUMENTS, within).await?;
        answer::plain(&output, &nonce)
    }

    /// Runs one script to its end. Until one has answered, every name that PowerShell may have is
    /// tried; only scripts that read go through here, so trying again changes nothing.
    async fn run(
        &self,
        task: Task,
        arguments: &str,
        within: Duration,
    ) -> Result<(CommandOutput, Nonce), Trouble> {
        let until = Instant::now() + within;
        let known = self.learnt().program;
        let programs: &[&'static str] = match &known {
            Some(program) => std::slice::from_ref(program),
            None => &PROGRAMS,
        };
        let mut first = None;
        for program in programs {
            let nonce = Nonce::fresh();
            let mut shown = RemoteCommand::powershell(task.name(), arguments).life(within);
            (*program).clone_into(&mut shown.program);
            let command = seal(shown, task, arguments, &nonce)?;
            let permit = tokio::time::timeout_at(until, self.gate.acquire()).await;
            let limits = ExecLimits {
                stdout: MAX_OUTPUT,
                ..ExecLimits::within(until.saturating_duration_since(Instant::now()))
            };
            let output = self.transport.exec(&command, limits).await;
            drop(permit);
            let output = output.map_err(|error| in_full(error, within))?;
            let reader = || FrameReader::new(nonce.as_str());
            let spoke = reader()
                .feed(&output.stdout)
                .map_or(true, |frames| !frames.is_empty());
            if !spoke
                && let NoAnswer::NotFound(said) =
                    failure::without_answer(&output, &RemoteText::new(""))
            {
                first.get_or_insert(said);
                continue;
            }
            self.learnt().program = Some(program);
            return Ok((output, nonce));
        }
        Err(Trouble::NotFound(first.unwrap_or(RemoteText::new(""))))
    }

    /// Reads all VMs, by the way that works here.
    async fn list(&self, scope: Scope, within: Duration) -> Result<Listed, HypervisorError> {
        let way = self.learnt().way;
        match way {
            Way::Cim => match self.list_by(Way::Cim, scope, within).await {
                Ok(listed) => Ok(listed),
                Err(Trouble::Constrained) => {
                    self.learnt().way = Way::Constrained;
                    self.list_as(Way::Constrained, scope, within).await
                }
                Err(Trouble::Record(record)) if self.cmdlets_may_help(&record) => {
                    match self.list_by(Way::Cmdlets, scope, within).await {
                        Ok(listed) => {
                            self.learnt().way = Way::Cmdlets;
                            Ok(listed)
                        }
                        // What CIM said is nearer to the root of it.
                        Err(_) => Err(self.told(Trouble::Record(record), About::Host)),
                    }
                }
                Err(trouble) => Err(self.told(trouble, About::Host)),
            },
            Way::Cmdlets | Way::Constrained => self.list_as(way, scope, within).await,
        }
    }

    async fn list_as(
        &self,
        way: Way,
        scope: Scope,
        within: Duration,
    ) -> Result<Listed, HypervisorError> {
        self.list_by(way, scope, within)
            .await
            .map_err(|trouble| self.told(trouble, About::Host))
    }

    async fn list_by(&self, way: Way, scope: Scope, within: Duration) -> Result<Listed, Trouble> {
        let arguments = match scope {
            Scope::Fast => "{\"scope\":\"fast\"}",
            Scope::Full => "{\"scope\":\"full\"}",
        };
        match way {
            Way::Cim => {
                let answer = self.ask(Task::List, arguments, within).await?;
                Ok(parse::through_cim(answer, scope, &mut self.learnt().memory))
            }
            Way::Cmdlets => {
                let answer = self.ask(Task::ListCmdlets, arguments, within).await?;
                let memory = &mut self.learnt().memory;
                Ok(parse::through_cmdlets(answer, scope, memory))
            }
            Way::Constrained => {
                let rows = self.ask_plain(Task::ConstrainedList, within).await?;
                let answer = Answer {
                    data: serde_json::json!({ "machines": rows }),
                    gaps: Vec::new(),
                };
                let memory = &mut self.learnt().memory;
                Ok(parse::through_cmdlets(answer, scope, memory))
            }
        }
    }

    /// Tells whether the cmdlets are worth trying after CIM has failed so.
    fn cmdlets_may_help(&self, record: &Record) -> bool {
        let has_module = self.facts().is_some_and(|facts| facts.has_module());
        has_module && !matches!(record.cause(), Cause::Denied | Cause::NotRunning)
    }

    /// An empty list is believed only of an account that may see VMs.
    async fn believe(&self, listed: Listed) -> Result<HostInventory, HypervisorError> {
        if !listed.inventory.vms.is_empty() || !listed.inventory.gaps.is_empty() {
            return Ok(listed.inventory);
        }
        let facts = match self.facts() {
            Some(facts) => facts,
            None => self.ask_facts().await?,
        };
        if facts.may_manage() == Some(false) {
            return Err(verdict::not_a_member(&facts));
        }
        if listed.is_blank {
            return Err(failure::not_running(RemoteText::new(
                "it shows no VM, and not even the host itself",
            )));
        }
        Ok(listed.inventory)
    }

    /// Returns what the watch tells, where there is one that can be relied on.
    fn told_by_watch(&self) -> Option<Answer> {
        if self.learnt().way != Way::Cim {
            return None;
        }
        self.watch.as_ref()?.answer()
    }

    /// Lets a watch begin now that the host was read the other way, through CIM as it does itself.
    fn let_watch_begin(&self) {
        let learnt = self.learnt();
        if let (Way::Cim, Some(watch), Some(program)) = (learnt.way, &self.watch, learnt.program) {
            watch.may_begin(program);
        }
    }

    /// Runs one command of an action and passes on how far it is.
    async fn run_action(
        &self,
        command: &RemoteCommand,
        progress: &ProgressSink,
    ) -> Result<(), HypervisorError> {
        let [body, arguments] = command.args.as_slice() else {
            return Err(not_ours());
        };
        let task = Task::of_body(&body.value).ok_or_else(not_ours)?;
        if self.learnt().way == Way::Constrained {
            return Err(failure::constrained(RemoteText::new("")));
        }
        let nonce = Nonce::fresh();
        let mut shown = command.clone();
        if let Some(program) = self.learnt().program {
            program.clone_into(&mut shown.program);
        }
        let sealed = seal(shown, task, &arguments.value, &nonce)?;
        let within = command.life.unwrap_or(READ_WITHIN) + GRACE;
        let turn = self.actions.acquire().await;
        let permit = self.gate.acquire().await;
        let began = Instant::now();
        let mut process = self.transport.spawn(&sealed).await?;
        let following = follow(process.as_mut(), &nonce, progress);
        let followed = match tokio::time::timeout(within, following).await {
            Ok(followed) => followed,
            Err(_elapsed) => Err(TransportError::Timeout {
                what: "the action",
                after: within,
            }
            .into()),
        };
        process.close().await;
        drop((permit, turn));
        let status = match &followed {
            Ok(()) => "done",
            Err(Trouble::Error(HypervisorError::Transport(_))) => "no answer",
            Err(_) => "failed",
        };
        self.transport
            .note_asked(&command.shown_line(), status, began.elapsed(), None);
        match followed {
            Ok(()) => Ok(()),
            Err(trouble) => Err(self.look_closer(trouble).await),
        }
    }
}

#[async_trait]
impl Hypervisor for HyperV {
    fn kind(&self) -> HypervisorKind {
        HypervisorKind::HyperV
    }

    fn channel(&self) -> Option<String> {
        self.watch.as_ref().map(Watch::channel)
    }

    async fn probe(&self) -> Result<Capabilities, HypervisorError> {
        self.learnt().way = Way::Cim;
        let facts = self.ask_facts().await?;
        verdict::judge(&facts)?;
        let found = {
            let learnt = self.learnt();
            verdict::capabilities(&facts, learnt.way, learnt.memory.tells_own_share)
        };
        let channel = self.channel().unwrap_or(found.channel);
        Ok(Capabilities { channel, ..found })
    }

    async fn inventory(&self, scope: Scope) -> Result<HostInventory, HypervisorError> {
        let within = match scope {
            Scope::Fast => self.read_within,
            Scope::Full => self.read_within.saturating_mul(FULL_FACTOR),
        };
        if scope == Scope::Fast
            && let Some(answer) = self.told_by_watch()
        {
            let listed = parse::through_cim(answer, scope, &mut self.learnt().memory);
            return self.believe(listed).await;
        }
        let listed = self.list(scope, within).await?;
        let inventory = self.believe(listed).await?;
        self.let_watch_begin();
        Ok(inventory)
    }

    async fn detail(&self, vm: &VmId) -> Result<VmDetail, HypervisorError> {
        let answer = match self.ask_detail(vm).await {
            Ok(answer) => answer,
            Err(Trouble::Constrained) => return Err(no_details()),
            Err(trouble) => return Err(self.look_closer(trouble).await),
        };
        let mut detail = detail::read(answer);
        // The guest's system stands in the summary only.
        if detail.facts.os.is_none() {
            detail
                .facts
                .os
                .clone_from(&self.learnt().memory.facts(vm).os);
        }
        Ok(detail)
    }

    async fn snapshots(&self, vm: &VmId) -> Result<Vec<VmSnapshot>, HypervisorError> {
        let detail = self.detail(vm).await?;
        let tree = detail
            .facts
            .snapshot_tree
            .ok_or_else(|| HypervisorError::Unparsable {
                program: "powershell".to_owned(),
                what: "no checkpoints".to_owned(),
                said: detail.gaps.first().cloned().unwrap_or(RemoteText::new("")),
            })?;
        self.learnt().memory.learn_snapshots(vm, &tree);
        Ok(detail.snapshots)
    }

    async fn settings(&self, vm: &VmId) -> Result<VmSettings, HypervisorError> {
        if self.learnt().way == Way::Constrained {
            return Err(no_details());
        }
        let arguments = format!("{{\"id\":\"{vm}\"}}");
        match self.ask(Task::Settings, &arguments, DETAIL_WITHIN).await {
            Ok(answer) => edit::read(answer),
            Err(Trouble::Constrained) => Err(no_details()),
            Err(trouble) => Err(self.look_closer(trouble).await),
        }
    }

    async fn stores(&self) -> Result<HostStores, HypervisorError> {
        let is_constrained = self.learnt().way == Way::Constrained;
        let answer = if is_constrained {
            Err(Trouble::Constrained)
        } else {
            self.ask(Task::Stores, NO_ARGUMENTS, STORES_WITHIN).await
        };
        match answer {
            Ok(answer) => Ok(stores::read(answer)),
            Err(Trouble::Constrained) => Err(no_stores("its PowerShell is constrained")),
            Err(Trouble::Record(record)) if record.cause() == Cause::NoCmdlet => {
                Err(no_stores("the PowerShell module Hyper-V is missing"))
            }
            Err(trouble) => Err(self.told(trouble, About::Host)),
        }
    }

    async fn perform(
        &self,
        commands: &[RemoteCommand],
        progress: &ProgressSink,
    ) -> Result<(), HypervisorError> {
        let mut result = Ok(());
        for command in commands {
            result = self.run_action(command, progress).await;
            if result.is_err() {
                break;
            }
        }
        // Whether it went well or not: what was seen before says nothing about it.
        if let Some(watch) = &self.watch {
            watch.acted();
        }
        result
    }

    async fn hints(&self) -> Result<Option<Box<dyn Hints>>, HypervisorError> {
        Ok(self.watch.as_ref().and_then(Watch::hints))
    }

    async fn checks(&self) -> Vec<Check> {
        let facts = self.ask_facts().await;
        look::checks(facts.as_deref().map_err(Clone::clone))
    }

    fn survives_banners(&self) -> bool {
        true
    }

    fn questions(&self, vms: &[VmId]) -> Vec<Question> {
        look::questions(self.learnt().program, vms)
    }

    fn private(&self) -> Private {
        look::private(self.facts().as_deref())
    }

    async fn close(&self) {}
}

/// A time that ran out is told as a whole, whatever part of it was left for this try.
fn in_full(error: TransportError, after: Duration) -> TransportError {
    if let TransportError::Timeout { what, .. } = error {
        TransportError::Timeout { what, after }
    } else {
        error
    }
}

fn no_details() -> HypervisorError {
    HypervisorError::Unsupported {
        kind: HypervisorKind::HyperV,
        what: "tell more about a VM: the host's PowerShell is constrained".to_owned(),
    }
}

fn no_stores(why: &str) -> HypervisorError {
    HypervisorError::Unsupported {
        kind: HypervisorKind::HyperV,
        what: format!("tell of storage and networks on this host: {why}"),
    }
}

/// Refuses a command that is none of the scripts here.
pub(super) fn not_ours() -> HypervisorError {
    HypervisorError::Unsupported {
        kind: HypervisorKind::HyperV,
        what: "run a script that is not its own".to_owned(),
    }
}
