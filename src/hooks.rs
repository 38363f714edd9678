//! Hooks: programs of the operator's that are run when something happens. Follows a fleet's events, fills
//! the argument list of each hook, and bounds how long, how many at once and how many wait. A hook changes
//! nothing here and holds nothing up: what it fails at, and what was left out, is in the error log.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, mpsc};

use crate::config::{Hook, HookEvent};
use crate::domain::error_kind::{Classify, ErrorKind, Failure};
use crate::domain::event::{Fact, FleetEvent};
use crate::domain::host::HostId;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::operation::{Operation, OperationId, Outcome};
use crate::domain::selector::{Filter, Row};
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, Vm, VmRef};
use crate::fleet::FleetHandle;
use crate::program::{self, ProgramError, Values};
use crate::task::Tasks;

/// Hooks that run at once: a rack that goes down must not start two hundred programs.
const AT_ONCE: usize = 4;

/// Hooks that wait for their turn; what comes beyond is left out and counted.
const WAITING: usize = 64;

/// Operations of which it is remembered that their end was told.
const TOLD: usize = 512;

/// A hook with its filter read.
#[derive(Debug)]
struct Ready {
    hook: Hook,
    filter: Filter,
}

/// One run of a hook.
#[derive(Debug)]
struct Job {
    /// Which, for the error log.
    name: String,
    argv: Vec<String>,
    timeout: Duration,
}

/// What happened, as far as hooks are about it.
struct Happened<'a> {
    event: HookEvent,
    values: Values,
    host: Option<&'a HostSnapshot>,
    vm: Option<&'a Vm>,
}

/// The hooks of a configuration with what they have seen of one fleet.
#[derive(Debug)]
struct Hooks {
    ready: Vec<Ready>,
    /// Hosts that have answered: only they can be lost.
    answered: BTreeSet<HostId>,
    /// Hosts that were lost: only they can be back.
    lost: BTreeSet<HostId>,
    told: VecDeque<OperationId>,
}

/// Follows a fleet with these hooks until the tasks are told to end. Where there are none, nothing is
/// followed.
pub fn start(hooks: &[Hook], handle: &FleetHandle, tasks: &Tasks) {
    let hooks = Hooks::new(hooks);
    if hooks.ready.is_empty() {
        return;
    }
    let dropped = Arc::new(AtomicU64::new(0));
    let (sender, queue) = mpsc::channel(WAITING);
    let follower = Follower {
        hooks,
        handle: handle.clone(),
        queue: sender,
        dropped: Arc::clone(&dropped),
    };
    // From before the first host is dialled: what happens from now on is seen.
    let events = handle.events();
    let stop = tasks.token().clone();
    drop(tasks.spawn("hook events", async move {
        tokio::select! {
            () = follower.follow(events) => {}
            () = stop.cancelled() => {}
        }
    }));
    let runner = Runner {
        handle: handle.clone(),
        tasks: tasks.clone(),
        dropped,
    };
    let stop = tasks.token().clone();
    drop(tasks.spawn("hook queue", async move {
        tokio::select! {
            () = runner.work(queue) => {}
            () = stop.cancelled() => {}
        }
    }));
}

/// Turns events into runs.
struct Follower {
    hooks: Hooks,
    handle: FleetHandle,
    queue: mpsc::Sender<Job>,
    dropped: Arc<AtomicU64>,
}

impl Follower {
    async fn follow(mut self, mut events: broadcast::Receiver<FleetEvent>) {
        loop {
            match events.recv().await {
                Ok(event) => {
                    let state = self.handle.snapshot();
                    for (name, job) in self.hooks.due(&event.fact, &state) {
                        self.hand_over(name, job).await;
                    }
                }
                Err(RecvError::Lagged(lost)) => {
                    let message = format!("{lost} events came too fast for the hooks");
                    complain(&self.handle, Failure::new(ErrorKind::Busy, message)).await;
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn hand_over(&self, name: String, job: Result<Job, ProgramError>) {
        match job {
            Err(error) => complain(&self.handle, about(&name, &error)).await,
            Ok(job) => {
                if self.queue.try_send(job).is_err() {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Runs them, a few at once.
struct Runner {
    handle: FleetHandle,
    tasks: Tasks,
    dropped: Arc<AtomicU64>,
}

impl Runner {
    async fn work(self, mut queue: mpsc::Receiver<Job>) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(job) = queue.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            // Something is left out only while the queue is full, so there is always a next time to say it.
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let message = format!(
                    "{dropped} runs of hooks were left out: {AT_ONCE} are running and {WAITING} wait"
                );
                complain(&self.handle, Failure::new(ErrorKind::Busy, message)).await;
            }
            let (handle, stop) = (self.handle.clone(), self.tasks.token().clone());
            drop(self.tasks.spawn("hook", async move {
                let ended = tokio::select! {
                    ended = program::run(&job.argv, job.timeout) => ended,
                    () = stop.cancelled() => return,
                };
                if let Err(error) = ended {
                    complain(&handle, about(&job.name, &error)).await;
                }
                drop(place);
            }));
        }
    }
}

fn about(name: &str, error: &(impl Classify + ?Sized)) -> Failure {
    let cause = Failure::of(error);
    Failure {
        message: format!("hook {name}: {}", cause.message),
        ..cause
    }
}

async fn complain(handle: &FleetHandle, cause: Failure) {
    tracing::warn!(%cause, "a hook");
    // Where the fleet is ending, nobody is left to be told.
    drop(handle.complain(cause).await);
}

impl Hooks {
    fn new(hooks: &[Hook]) -> Self {
        let ready = hooks.iter().filter_map(|hook| {
            // It was read once already when the configuration was.
            let filter = Filter::parse(&hook.filter).ok()?;
            Some(Ready {
                hook: hook.clone(),
                filter,
            })
        });
        Self {
            ready: ready.collect(),
            answered: BTreeSet::new(),
            lost: BTreeSet::new(),
            told: VecDeque::new(),
        }
    }

    /// Says which runs a fact is worth.
    fn due(
        &mut self,
        fact: &Fact,
        state: &FleetSnapshot,
    ) -> Vec<(String, Result<Job, ProgramError>)> {
        let happened = self.happened(fact, state);
        let mut due = Vec::new();
        for happened in &happened {
            for ready in &self.ready {
                if ready.hook.event == happened.event && ready.is_about(happened, state) {
                    due.push(ready.job(happened));
                }
            }
        }
        due
    }

    /// Says what a fact is to hooks: nothing, one event, or two (a VM that crashed is in another state).
    fn happened<'a>(&mut self, fact: &Fact, state: &'a FleetSnapshot) -> Vec<Happened<'a>> {
        match fact {
            Fact::OperationMoved(operation) => self
                .is_news(operation)
                .then(|| ended(operation, state))
                .into_iter()
                .collect(),
            Fact::HostWentOffline { host, cause, .. } if self.answered.remove(host) => {
                self.lost.insert(*host);
                // What a host or a library said is shown, never raw.
                let reason = RemoteText::new(&cause.message).first_line();
                let mut all = of_host(HookEvent::HostLost, *host, state);
                for happened in &mut all {
                    happened.values = happened.values.clone().with("reason", reason.shown());
                }
                all
            }
            Fact::HostCameOnline { host, .. } => {
                self.answered.insert(*host);
                if self.lost.remove(host) {
                    of_host(HookEvent::HostBack, *host, state)
                } else {
                    Vec::new()
                }
            }
            Fact::VmChangedState { vm, from, to, .. } => {
                let crashed = (*to == PowerState::Crashed).then_some(HookEvent::VmCrashed);
                let events = [Some(HookEvent::VmState), crashed];
                events
                    .into_iter()
                    .flatten()
                    .filter_map(|event| of_vm(event, vm, (from, to), state))
                    .collect()
            }
            Fact::HostWentOffline { .. }
            | Fact::VmAppeared { .. }
            | Fact::VmVanished { .. }
            | Fact::ErrorOccurred { .. } => Vec::new(),
        }
    }

    /// What is written beside an operation after its end is no second end.
    fn is_news(&mut self, operation: &Operation) -> bool {
        if !operation.is_finished() || self.told.contains(&operation.id) {
            return false;
        }
        self.told.push_back(operation.id.clone());
        if self.told.len() > TOLD {
            self.told.pop_front();
        }
        true
    }
}

fn values_of(event: HookEvent) -> Values {
    Values::default().with("event", event.word())
}

fn ended<'a>(operation: &Operation, state: &'a FleetSnapshot) -> Happened<'a> {
    let (plan, event) = (&operation.plan, HookEvent::OperationEnded);
    let found = state.vm(&plan.vm);
    let values = values_of(event)
        .with("verb", plan.action.kind.id())
        .with(
            "outcome",
            operation.outcome.as_ref().map_or("", Outcome::word),
        )
        .with("user", &operation.actor.user);
    let values = match found {
        Some((host, vm)) => values.and(Values::of_vm(host, vm)),
        // It may be gone by now; its name is in the plan.
        None => values
            .with("vm.name", plan.vm_name.raw())
            .with("vm.id", plan.vm.vm.as_str())
            .with("host.name", plan.host_name.as_str())
            .and(
                program::VM
                    .iter()
                    .fold(Values::default(), |all, name| all.without(name)),
            ),
    };
    Happened {
        event,
        values,
        host: found.map(|(host, _)| host.as_ref()),
        vm: found.map(|(_, vm)| vm.as_ref()),
    }
}

fn of_host(event: HookEvent, host: HostId, state: &FleetSnapshot) -> Vec<Happened<'_>> {
    let happened = |host| Happened {
        event,
        values: values_of(event).and(Values::of_host(host)),
        host: Some(host),
        vm: None,
    };
    state
        .host(host)
        .map(|host| happened(host))
        .into_iter()
        .collect()
}

fn of_vm<'a>(
    event: HookEvent,
    vm: &VmRef,
    (from, to): (&PowerState, &PowerState),
    state: &'a FleetSnapshot,
) -> Option<Happened<'a>> {
    let (host, found) = state.vm(vm)?;
    // The snapshot may be newer than the event: what happened is what the event says.
    let values = values_of(event)
        .with("before", from.word())
        .with("vm.state", to.word())
        .and(Values::of_vm(host, found));
    Some(Happened {
        event,
        values,
        host: Some(host),
        vm: Some(found),
    })
}

impl Ready {
    /// Says whether the filter fits. Where nothing is known of the VM any more, only an empty one does.
    fn is_about(&self, happened: &Happened<'_>, state: &FleetSnapshot) -> bool {
        match (happened.host, happened.vm) {
            _ if self.filter.is_empty() => true,
            (Some(host), Some(vm)) => self.filter.matches(&Row {
                host,
                vm,
                now: state.at,
                marked: false,
                protected: false,
            }),
            (Some(host), None) => self.filter.may_match_on(host),
            (None, _) => false,
        }
    }

    fn job(&self, happened: &Happened<'_>) -> (String, Result<Job, ProgramError>) {
        let Hook {
            argv,
            place,
            event,
            timeout,
            ..
        } = &self.hook;
        let name = format!("{} ({place})", event.word());
        let filled = program::fill(argv, &happened.values);
        let job = filled.map(|argv| Job {
            name: name.clone(),
            argv,
            timeout: *timeout,
        });
        (name, job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::request::{OwnRequest, Request};
    use crate::testing::fleet;

    fn hook(event: HookEvent, filter: &str, argv: &[&str]) -> Hook {
        Hook {
            place: "config.toml:1:1".to_owned(),
            event,
            filter: filter.to_owned(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            timeout: Duration::from_secs(10),
        }
    }

    fn filled(hooks: &mut Hooks, fact: &Fact, state: &FleetSnapshot) -> Vec<Vec<String>> {
        let due = hooks.due(fact, state);
        due.into_iter().map(|(_, job)| job.unwrap().argv).collect()
    }

    fn came() -> Fact {
        Fact::HostCameOnline {
            host: HostId(1),
            name: "kvm1".parse().unwrap(),
        }
    }

    fn went(why: &str) -> Fact {
        Fact::HostWentOffline {
            host: HostId(1),
            name: "kvm1".parse().unwrap(),
            cause: Failure::new(ErrorKind::Unreachable, why),
        }
    }

    fn changed(state: &FleetSnapshot, n: usize, to: PowerState) -> Fact {
        let host = &state.hosts[0];
        let vm = &host.vms()[n];
        Fact::VmChangedState {
            vm: VmRef {
                host: host.spec.id,
                vm: vm.id.clone(),
            },
            name: vm.name.clone(),
            host_name: host.spec.name.clone(),
            from: PowerState::Running,
            to,
        }
    }

    #[test]
    fn a_host_is_lost_once_it_has_answered_and_back_once_it_was_lost() {
        let state = fleet::small();
        let mut hooks = Hooks::new(&[
            hook(
                HookEvent::HostLost,
                "",
                &["tell", "{host.name}", "{reason}"],
            ),
            hook(HookEvent::HostBack, "host:no-such-host", &["never"]),
            hook(
                HookEvent::HostBack,
                "host:kvm1 cpu>90",
                &["tell", "{event}"],
            ),
        ]);
        let mut due = |fact: &Fact| filled(&mut hooks, fact, &state);
        assert!(due(&went("no route")).is_empty(), "it had never answered");
        assert!(due(&came()).is_empty(), "the first answer is no return");
        let name = state.host(HostId(1)).unwrap().spec.name.to_string();
        assert_eq!(
            due(&went("no\u{1b}[2J route\nx")),
            [["tell", &name, "no␛[2J route"]]
        );
        assert!(due(&went("no route")).is_empty());
        let back = due(&came());
        let expected: &[&[&str]] = if name == "kvm1" {
            &[&["tell", "host-back"]]
        } else {
            &[]
        };
        assert_eq!(back, expected);
    }

    #[test]
    fn the_end_of_an_operation_is_told_once() {
        let state = fleet::small();
        let host = &state.hosts[0];
        let vm = VmRef {
            host: host.spec.id,
            vm: host.vms()[0].id.clone(),
        };
        let mut hooks = Hooks::new(&[hook(
            HookEvent::OperationEnded,
            "",
            &["tell", "{verb} {vm.name}: {outcome}"],
        )]);
        let shutdown = crate::domain::action::ActionKind::Shutdown;
        let mut operation = fleet::operation(&state, &vm, shutdown, 3);
        let moved = |operation: &Operation| Fact::OperationMoved(Arc::new(operation.clone()));
        assert!(filled(&mut hooks, &moved(&operation), &state).is_empty());
        operation.outcome = Some(Outcome::Confirmed);
        let told = format!("shutdown {}: confirmed", host.vms()[0].name.shown());
        assert_eq!(
            filled(&mut hooks, &moved(&operation), &state),
            [["tell", &told]]
        );
        assert!(filled(&mut hooks, &moved(&operation), &state).is_empty());
        // One of a VM that is gone by now.
        operation.id = OperationId(Arc::from("another"));
        let empty = fleet::state(Vec::new());
        assert_eq!(
            filled(&mut hooks, &moved(&operation), &empty),
            [["tell", &told]]
        );
    }

    #[test]
    fn a_vm_that_crashed_is_in_another_state_too_and_filters_choose() {
        let state = fleet::small();
        let name = state.hosts[0].vms()[0].name.raw().to_owned();
        let mut hooks = Hooks::new(&[
            hook(HookEvent::VmCrashed, "", &["page", "{vm.name}"]),
            hook(
                HookEvent::VmState,
                &format!("name:\"{name}\""),
                &["log", "{before} {vm.state}"],
            ),
        ]);
        let crashed = changed(&state, 0, PowerState::Crashed);
        assert_eq!(
            filled(&mut hooks, &crashed, &state),
            [vec!["log", "running crashed"], vec!["page", &name]]
        );
        let other = changed(&state, 1, PowerState::Stopped);
        assert!(filled(&mut hooks, &other, &state).is_empty());
    }

    #[test]
    fn a_value_that_could_be_an_option_is_an_error_and_no_run() {
        let mut state = fleet::small();
        let host = Arc::make_mut(&mut state.hosts[0]);
        let inventory = Arc::make_mut(host.inventory.as_mut().unwrap());
        Arc::make_mut(&mut inventory.vms[0]).name = RemoteText::new("--help");
        let mut hooks = Hooks::new(&[hook(HookEvent::VmState, "", &["p", "{vm.name}"])]);
        let due = hooks.due(&changed(&state, 0, PowerState::Stopped), &state);
        let (name, job) = due.into_iter().next().unwrap();
        assert_eq!(name, "vm-state (config.toml:1:1)");
        assert!(job.unwrap_err().to_string().contains("as an option"));
    }

    #[tokio::test]
    async fn a_flood_is_bounded_counted_and_said_and_one_that_hangs_is_named() {
        let state = Arc::new(fleet::small());
        let (requests, mut inbox) = mpsc::channel(64);
        let (_publish, snapshots) = tokio::sync::watch::channel(Arc::clone(&state));
        let (events, _) = broadcast::channel(256);
        let handle = FleetHandle::new(requests, snapshots, events.clone());
        let tasks = Tasks::new();
        let mut hanging = hook(HookEvent::VmCrashed, "", &["sleep", "600"]);
        hanging.timeout = Duration::from_millis(200);
        let flooded = hook(
            HookEvent::VmState,
            "state:running|!state:running",
            &["true"],
        );
        start(&[hanging, flooded], &handle, &tasks);
        let tell = |fact: Fact| {
            let at = state.at;
            let event = FleetEvent {
                at,
                generation: 1,
                fact,
            };
            assert!(events.send(event).is_ok());
        };
        // Read in one go, before any of them is run.
        for _ in 0..WAITING + 36 {
            tell(changed(&state, 0, PowerState::Stopped));
        }
        let mut said = String::new();
        let listening = async {
            while let Some(request) = inbox.recv().await {
                let Request::Own(OwnRequest::Complain { cause, reply }) = request else {
                    panic!("{request:?}");
                };
                drop(reply.send(Ok(())));
                said.push_str(&cause.message);
                if said.contains("left out") && !said.contains("did not end") {
                    tell(changed(&state, 0, PowerState::Crashed));
                }
                if said.contains("did not end") {
                    return;
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(30), listening).await;
        assert!(heard.is_ok(), "{said}");
        assert!(said.contains("36 runs of hooks were left out"), "{said}");
        assert!(
            said.contains("hook vm-crashed (config.toml:1:1): sleep did not end"),
            "{said}"
        );
        tasks.cancel();
        assert!(tasks.wait(Duration::from_secs(5)).await);
    }
}
