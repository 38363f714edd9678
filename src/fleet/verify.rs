//! Has an action reached its goal? Pure judgement over what was read from the host.
//!
//! A restart is the hard one: the VM runs before and after. Three things show it: the hypervisor
//! announced it, the VM was seen not running in between, or its uptime went back. A libvirt reset
//! keeps process and counters, so there only the announcement tells. Where a host announces nothing
//! and knows no uptime, the honest end is "accepted", at once.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::action::{ActionKind, Goal, GoalState};
use crate::domain::operation::Plan;
use crate::domain::vm::{PowerState, Vm};
use crate::session::Observation;

/// What a read says about the goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is reached.
    Met,
    /// Not yet.
    NotYet,
    /// It will not be seen, and why.
    CannotBeSeen(String),
}

/// What is remembered between the reads of one operation.
#[derive(Debug, Clone)]
pub struct Watcher {
    action: ActionKind,
    before: PowerState,
    /// When the commands were handed over.
    sent: Instant,
    uptime_before: Option<Duration>,
    /// Whether the host announces changes.
    announces: bool,
    dipped: bool,
    /// The state of the VM at the last read.
    pub last: Option<PowerState>,
}

impl Watcher {
    /// Starts watching; `vm` is how it was when the commands were sent.
    pub fn new(plan: &Plan, vm: Option<&Vm>, announces: bool, sent: Instant) -> Self {
        Self {
            action: plan.action.kind,
            before: plan.state.clone(),
            sent,
            uptime_before: vm.and_then(|vm| vm.stats.uptime),
            announces,
            dipped: false,
            last: None,
        }
    }

    /// Returns true when the goal shows only in the slow facts.
    pub fn wants_full(&self) -> bool {
        matches!(self.action.spec().goal, Goal::Autostart(_) | Goal::Settings)
    }

    /// Judges a read that began after the hypervisor had accepted.
    pub fn judge(&mut self, plan: &Plan, seen: &Observation) -> Judgement {
        let Some(vm) = seen.inventory.vm(&plan.vm.vm) else {
            self.last = None;
            return self.judge_missing(seen);
        };
        self.last = Some(vm.state.clone());
        match self.action.spec().goal {
            Goal::State(goal) => met(goal.is_met_by(&vm.state)),
            Goal::Autostart(wanted) => met(vm.facts.autostart == Some(wanted)),
            Goal::Restarted => self.judge_restart(vm, seen),
            // Seen in what is read for it; here only the VM's state is looked at.
            Goal::Snapshots | Goal::Settings => Judgement::NotYet,
        }
    }

    fn judge_missing(&self, seen: &Observation) -> Judgement {
        // A VM without a definition is gone once it has stopped; with gaps in the read, it may merely
        // not have been readable.
        if !seen.inventory.gaps.is_empty() {
            return Judgement::NotYet;
        }
        match self.action.spec().goal {
            Goal::State(GoalState::Stopped) => Judgement::Met,
            Goal::State(GoalState::Running | GoalState::Paused | GoalState::Saved)
            | Goal::Restarted
            | Goal::Autostart(_)
            | Goal::Snapshots
            | Goal::Settings => {
                Judgement::CannotBeSeen("the VM is not on the host any more".to_owned())
            }
        }
    }

    fn judge_restart(&mut self, vm: &Vm, seen: &Observation) -> Judgement {
        let runs = vm.state == PowerState::Running;
        let announced = seen
            .restarts
            .get(&vm.id)
            .is_some_and(|announced| *announced >= self.sent);
        let went_back = matches!(
            (self.uptime_before, vm.stats.uptime),
            (Some(before), Some(now)) if now < before
        );
        let evidence = announced || went_back || self.dipped;
        if !runs && vm.state != self.before {
            self.dipped = true;
        }
        // A paused VM that is reset stays paused: that is where it is to be afterwards.
        if evidence && (runs || vm.state == self.before) {
            return Judgement::Met;
        }
        if !self.announces && self.uptime_before.is_none() && runs {
            return Judgement::CannotBeSeen(
                "the host does not announce restarts, so that it restarted cannot be seen"
                    .to_owned(),
            );
        }
        Judgement::NotYet
    }

    /// Says why the goal was not seen in time.
    pub fn note(&self, after: Duration) -> String {
        let seconds = after.as_secs();
        let state = self
            .last
            .as_ref()
            .map_or_else(|| "not readable".to_owned(), PowerState::to_string);
        match (self.action.spec().goal, self.action) {
            (_, ActionKind::Shutdown) => {
                format!("the guest has not stopped after {seconds} s (it is {state})")
            }
            (Goal::Restarted, _) => {
                format!("no restart was seen within {seconds} s (it is {state})")
            }
            (Goal::Autostart(_), _) => {
                format!("the flag did not read as wanted within {seconds} s")
            }
            (Goal::Snapshots, _) => {
                format!("its snapshots did not read as wanted within {seconds} s")
            }
            (Goal::Settings, _) => {
                format!("its settings did not read as wanted within {seconds} s")
            }
            (Goal::State(_), _) => format!("it is still {state} after {seconds} s"),
        }
    }
}

const fn met(met: bool) -> Judgement {
    if met {
        Judgement::Met
    } else {
        Judgement::NotYet
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::domain::text::RemoteText;
    use crate::fleet::test_fleet::{inventory, plan, vm, vm_id};

    fn seen(vms: Vec<Arc<Vm>>) -> Observation {
        Observation {
            began: Instant::now(),
            inventory: inventory(vms),
            restarts: Arc::default(),
        }
    }

    fn announced(vms: Vec<Arc<Vm>>, at: Instant) -> Observation {
        Observation {
            restarts: Arc::new(HashMap::from([(vm_id(1), at)])),
            ..seen(vms)
        }
    }

    fn with_uptime(state: PowerState, seconds: u64) -> Arc<Vm> {
        let mut vm = Vm::clone(&vm(1, "web-1", state));
        vm.stats.uptime = Some(Duration::from_secs(seconds));
        Arc::new(vm)
    }

    fn watch(
        action: ActionKind,
        from: PowerState,
        before: Option<&Vm>,
        announces: bool,
    ) -> (Plan, Watcher) {
        let plan = plan(1, action, from);
        let watcher = Watcher::new(&plan, before, announces, Instant::now());
        (plan, watcher)
    }

    #[tokio::test(start_paused = true)]
    async fn states_are_read_back() {
        let cases = [
            (ActionKind::Start, PowerState::Running, Judgement::Met),
            (ActionKind::Start, PowerState::Starting, Judgement::NotYet),
            (ActionKind::Shutdown, PowerState::Stopped, Judgement::Met),
            (ActionKind::Shutdown, PowerState::Running, Judgement::NotYet),
            (ActionKind::Save, PowerState::Saved, Judgement::Met),
            (ActionKind::Save, PowerState::Stopped, Judgement::NotYet),
            (ActionKind::Pause, PowerState::Paused, Judgement::Met),
        ];
        for (action, state, expected) in cases {
            let (plan, mut watcher) = watch(action, PowerState::Running, None, true);
            let judgement = watcher.judge(&plan, &seen(vec![vm(1, "web-1", state.clone())]));
            assert_eq!(judgement, expected, "{action} {state}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_shows_by_announcement_dip_or_uptime() {
        let running = || vec![vm(1, "web-1", PowerState::Running)];
        let (plan, mut watcher) = watch(ActionKind::Reset, PowerState::Running, None, true);
        assert_eq!(watcher.judge(&plan, &seen(running())), Judgement::NotYet);
        let earlier = Instant::now() - Duration::from_secs(1);
        assert_eq!(
            watcher.judge(&plan, &announced(running(), earlier)),
            Judgement::NotYet
        );
        assert_eq!(
            watcher.judge(&plan, &announced(running(), Instant::now())),
            Judgement::Met
        );

        let (plan, mut watcher) = watch(ActionKind::Reboot, PowerState::Running, None, true);
        let off = seen(vec![vm(1, "web-1", PowerState::Stopped)]);
        assert_eq!(watcher.judge(&plan, &off), Judgement::NotYet);
        assert_eq!(watcher.judge(&plan, &seen(running())), Judgement::Met);

        let before = with_uptime(PowerState::Running, 1000);
        let (plan, mut watcher) = watch(
            ActionKind::Reboot,
            PowerState::Running,
            Some(&before),
            false,
        );
        let longer = seen(vec![with_uptime(PowerState::Running, 1002)]);
        assert_eq!(watcher.judge(&plan, &longer), Judgement::NotYet);
        let anew = seen(vec![with_uptime(PowerState::Running, 3)]);
        assert_eq!(watcher.judge(&plan, &anew), Judgement::Met);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_vm_that_was_reset_is_where_it_should_be() {
        let paused = vec![vm(1, "web-1", PowerState::Paused)];
        let (plan, mut watcher) = watch(ActionKind::Reset, PowerState::Paused, None, true);
        assert_eq!(
            watcher.judge(&plan, &seen(paused.clone())),
            Judgement::NotYet
        );
        assert_eq!(
            watcher.judge(&plan, &announced(paused, Instant::now())),
            Judgement::Met
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_nobody_could_see_is_said_at_once() {
        let (plan, mut watcher) = watch(ActionKind::Reset, PowerState::Running, None, false);
        let judgement = watcher.judge(&plan, &seen(vec![vm(1, "web-1", PowerState::Running)]));
        assert!(matches!(judgement, Judgement::CannotBeSeen(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_vm_that_is_gone_has_stopped_unless_the_read_has_gaps() {
        let (plan, mut watcher) = watch(ActionKind::ForceOff, PowerState::Running, None, true);
        assert_eq!(watcher.judge(&plan, &seen(vec![])), Judgement::Met);
        let mut gappy = crate::domain::inventory::HostInventory::default();
        gappy.gaps.push(RemoteText::new("web-1: broken"));
        let gappy = Observation {
            inventory: Arc::new(gappy),
            ..seen(vec![])
        };
        assert_eq!(watcher.judge(&plan, &gappy), Judgement::NotYet);
        let (plan, mut watcher) = watch(ActionKind::Start, PowerState::Stopped, None, true);
        let judgement = watcher.judge(&plan, &seen(vec![]));
        assert!(matches!(judgement, Judgement::CannotBeSeen(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn notes_say_what_is_and_how_long() {
        let (plan, mut watcher) = watch(ActionKind::Shutdown, PowerState::Running, None, true);
        watcher.judge(&plan, &seen(vec![vm(1, "web-1", PowerState::Running)]));
        assert_eq!(
            watcher.note(Duration::from_secs(120)),
            "the guest has not stopped after 120 s (it is running)"
        );
    }
}
