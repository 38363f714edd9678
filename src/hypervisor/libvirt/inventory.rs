//! The inventory of a host: names joined with figures, and what has to be kept between two reads.
//!
//! `domstats` prints names and no ids, so the map from name to id is kept and read again when the set
//! of names changes, when an announcement says so, and with every full read. A name that stands twice
//! on either side tells nobody apart: it is a gap, and no figure is given to anybody on a guess.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::node::{self, CpuTime};
use super::parse::{Counters, Names, Record};
use super::rates::Sample;
use super::state::{has_process, power_state};
use crate::domain::inventory::HostLoad;
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::domain::vm::{PowerState, Vm, VmFacts, VmId, VmStats};

/// How long the host's own figures are good for. They cost two questions more, and move slowly.
const LOAD_EVERY: Duration = Duration::from_secs(5);

/// What is kept between two reads of one host.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    names: HashMap<Vec<u8>, Known>,
    strays: Vec<RemoteText>,
    vms: HashMap<VmId, Kept>,
    node_cpu: Option<CpuTime>,
    load: HostLoad,
    load_read_at: Option<Instant>,
}

#[derive(Debug, Clone)]
enum Known {
    Id(VmId),
    Twice,
}

/// What is kept about one VM.
#[derive(Debug, Default)]
struct Kept {
    sample: Option<Sample>,
    /// Whether the last read found a process behind it; `None` before the first.
    had_process: Option<bool>,
    /// When it was started, where that is known.
    started: Option<Timestamp>,
    saved_image: bool,
    facts: Arc<VmFacts>,
    /// Number of the full read that last asked for its facts, and whether its state changed since.
    asked: u64,
}

/// When a read was made, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// For rates: never jumps.
    pub(crate) at: Instant,
    /// For uptimes: goes on while this machine sleeps.
    pub(crate) wall: Timestamp,
}

impl Memory {
    /// Takes in a new list of names; forgets VMs that are gone.
    pub(crate) fn learn_names(&mut self, names: Names) {
        let mut ids: HashMap<VmId, usize> = HashMap::new();
        for (id, _) in &names.pairs {
            *ids.entry(id.clone()).or_default() += 1;
        }
        self.names.clear();
        for (id, name) in names.pairs {
            let known = if ids.get(&id) == Some(&1) {
                Known::Id(id)
            } else {
                Known::Twice
            };
            self.names
                .entry(name)
                .and_modify(|known| *known = Known::Twice)
                .or_insert(known);
        }
        self.strays = names.strays;
        self.vms.retain(|id, _| ids.contains_key(id));
    }

    /// Tells whether the figures are about exactly the VMs that are known by name.
    pub(crate) fn knows_exactly(&self, records: &[Record<'_>]) -> bool {
        let seen: HashSet<&[u8]> = records.iter().map(|record| record.name).collect();
        seen.len() == self.names.len() && seen.iter().all(|name| self.names.contains_key(*name))
    }

    /// Returns the names of all VMs with the state of each; one in none of the states asked for has
    /// number 0, libvirt's own for having none.
    pub(crate) fn names_of(&self, states: &HashMap<VmId, u32>) -> Vec<(Vec<u8>, u32)> {
        self.names
            .iter()
            .filter_map(|(name, known)| match known {
                Known::Id(id) => Some((name.clone(), states.get(id).copied().unwrap_or(0))),
                Known::Twice => None,
            })
            .collect()
    }

    /// Joins figures with names. Returns the VMs, ordered, and the gaps.
    pub(crate) fn join(
        &mut self,
        records: &[Record<'_>],
        moment: Moment,
    ) -> (Vec<Arc<Vm>>, Vec<RemoteText>) {
        let mut gaps = self.strays.clone();
        let mut seen: HashMap<&[u8], usize> = HashMap::with_capacity(records.len());
        for record in records {
            *seen.entry(record.name).or_default() += 1;
        }
        let mut vms = Vec::with_capacity(records.len());
        for record in records {
            let name = RemoteText::from_bytes(record.name);
            let id = match self.names.get(record.name) {
                Some(Known::Id(id)) if seen.get(record.name) == Some(&1) => id.clone(),
                Some(_) => {
                    gaps.push(gap(&name, "this name stands for more than one VM"));
                    continue;
                }
                None => {
                    gaps.push(gap(&name, "appeared while the list was read"));
                    continue;
                }
            };
            match &record.counters {
                Ok(counters) => vms.push(Arc::new(self.vm(id, name, counters, moment))),
                Err(problem) => {
                    gaps.push(gap(&name, &format!("{}: {}", problem.what, problem.line)));
                }
            }
        }
        for (name, known) in &self.names {
            if matches!(known, Known::Id(_)) && !seen.contains_key(name.as_slice()) {
                gaps.push(gap(
                    &RemoteText::from_bytes(name),
                    "libvirt gave no figures",
                ));
            }
        }
        gaps.sort_by(|one, other| one.raw().cmp(other.raw()));
        gaps.dedup();
        vms.sort_by(|one, other| (one.name.raw(), &one.id).cmp(&(other.name.raw(), &other.id)));
        (vms, gaps)
    }

    fn vm(&mut self, id: VmId, name: RemoteText, counters: &Counters, moment: Moment) -> Vm {
        let kept = self.vms.entry(id.clone()).or_default();
        let mut state = power_state(counters.state.unwrap_or_default(), counters.reason);
        if state == PowerState::Stopped && kept.saved_image {
            state = PowerState::Saved;
        }
        let figures = kept.take_in(&state, counters, moment);
        Vm {
            id,
            name,
            state,
            stats: figures,
            facts: Arc::clone(&kept.facts),
        }
    }

    /// Tells whether the host's own figures are to be read: twice for a first share, then now and then.
    pub(crate) fn load_is_due(&self, now: Moment) -> bool {
        let Some(read_at) = self.load_read_at else {
            return true;
        };
        self.load.cpu.is_none() || now.at.saturating_duration_since(read_at) >= LOAD_EVERY
    }

    /// Takes in the host's own figures.
    pub(crate) fn learn_load(&mut self, cpu: &[u8], memory: &[u8], moment: Moment) {
        let now = node::cpu_time(cpu);
        let share = self
            .node_cpu
            .zip(now)
            .and_then(|(before, now)| node::cpu_share(before, now));
        let stands_still = self
            .node_cpu
            .zip(now)
            .is_some_and(|(before, now)| now.stands_still(before));
        if !stands_still {
            self.node_cpu = now;
        }
        self.load_read_at = Some(moment.at);
        self.load = HostLoad {
            cpu: share,
            ..node::memory(memory)
        };
    }

    /// Returns the host's own load as of its last reading.
    pub(crate) fn load(&self) -> HostLoad {
        self.load.clone()
    }

    /// Returns every VM that is told apart by its name, with whether it had a process and when its
    /// facts were last asked for.
    pub(crate) fn known_vms(&self) -> Vec<(VmId, bool, u64)> {
        self.names
            .values()
            .filter_map(|known| match known {
                Known::Id(id) => Some(id.clone()),
                Known::Twice => None,
            })
            .map(|id| {
                let kept = self.vms.get(&id);
                let runs = kept.is_some_and(|kept| kept.had_process == Some(true));
                (id, runs, kept.map_or(0, |kept| kept.asked))
            })
            .collect()
    }

    /// Returns the slow facts of a VM.
    pub(crate) fn facts(&self, id: &VmId) -> Arc<VmFacts> {
        self.vms
            .get(id)
            .map_or_else(Arc::default, |kept| Arc::clone(&kept.facts))
    }

    /// Keeps new slow facts of a VM; `turn` tells that its own questions were asked in this read.
    pub(crate) fn learn_facts(&mut self, id: &VmId, facts: VmFacts, turn: Option<u64>) {
        let kept = self.vms.entry(id.clone()).or_default();
        if *kept.facts != facts {
            kept.facts = Arc::new(facts);
        }
        if let Some(turn) = turn {
            kept.asked = turn;
        }
    }

    /// Keeps which VMs have a saved image.
    pub(crate) fn learn_saved(&mut self, saved: &HashSet<VmId>) {
        for (id, kept) in &mut self.vms {
            kept.saved_image = saved.contains(id);
        }
    }

    /// Keeps when VMs were started, as far as the host knows.
    pub(crate) fn learn_starts(&mut self, starts: &HashMap<VmId, Timestamp>) {
        for (id, started) in starts {
            if let Some(kept) = self.vms.get_mut(id)
                && kept.had_process == Some(true)
            {
                kept.started = Some(*started);
            }
        }
    }

    /// Returns how long a VM has been running.
    pub(crate) fn uptime(&self, id: &VmId, now: Timestamp) -> Option<Duration> {
        let started = self.vms.get(id)?.started?;
        Some(Duration::try_from(now - started).unwrap_or_default())
    }
}

impl Kept {
    fn take_in(&mut self, state: &PowerState, counters: &Counters, moment: Moment) -> VmStats {
        let runs = has_process(state);
        let restarted = self
            .sample
            .is_some_and(|sample| runs && sample.restarted(counters));
        if !runs {
            self.started = None;
            self.sample = None;
            self.forget_addresses();
        } else if restarted || self.had_process == Some(false) {
            self.started = Some(moment.wall);
            self.saved_image = false;
        }
        if self.had_process.is_some_and(|had| had != runs) || restarted {
            // Addresses and agent change with it: its facts are asked for first next time.
            self.asked = 0;
        }
        self.had_process = Some(runs);
        if !runs {
            return at_rest(counters);
        }
        let sample = match self.sample {
            Some(sample) => sample.next(moment.at, *counters),
            None => Sample::first(moment.at, *counters),
        };
        self.sample = Some(sample);
        let rates = sample.rates();
        let (memory_used, memory_from_guest) = memory_used(counters);
        VmStats {
            cpu: rates.cpu,
            memory_used,
            memory_from_guest,
            disk_read: rates.disk_read,
            disk_write: rates.disk_write,
            net_rx: rates.net_rx,
            net_tx: rates.net_tx,
            uptime: self
                .started
                .map(|at| Duration::try_from(moment.wall - at).unwrap_or_default()),
            ..at_rest(counters)
        }
    }

    fn forget_addresses(&mut self) {
        if self
            .facts
            .addresses
            .as_ref()
            .is_some_and(|known| !known.is_empty())
        {
            let mut facts = VmFacts::clone(&self.facts);
            facts.addresses = Some(Vec::new());
            self.facts = Arc::new(facts);
        }
    }
}

/// Figures that a VM has whether it runs or not.
fn at_rest(counters: &Counters) -> VmStats {
    VmStats {
        vcpus: counters.vcpus,
        memory_assigned: counters
            .balloon
            .or(counters.balloon_maximum)
            .map(Bytes::from_kib),
        disk_allocated: counters.disk_allocated.map(Bytes),
        disk_capacity: counters.disk_capacity.map(Bytes),
        ..VmStats::default()
    }
}

/// Memory in use: what the guest says it cannot do without, else what its process takes on the host
/// (which holds QEMU's own memory too, so no more than was assigned), else what was assigned.
fn memory_used(counters: &Counters) -> (Option<Bytes>, bool) {
    let free = counters.guest_usable.or(counters.guest_unused);
    if let (Some(total), Some(free)) = (counters.guest_total, free) {
        return (Some(Bytes::from_kib(total.saturating_sub(free))), true);
    }
    let used = match (counters.rss, counters.balloon) {
        (Some(rss), Some(balloon)) => Some(rss.min(balloon)),
        (rss, balloon) => rss.or(balloon),
    };
    (used.map(Bytes::from_kib), false)
}

fn gap(name: &RemoteText, why: &str) -> RemoteText {
    RemoteText::new(&format!("{}: {why}", name.raw()))
}

#[cfg(test)]
mod tests {
    use super::super::parse::{domstats, names};
    use super::*;

    const A: &str = "6c09bb55-d683-4da0-8931-c9bf705f6480";
    const B: &str = "7c09bb55-d683-4da0-8931-c9bf705f6480";

    fn moment(seconds: u64) -> Moment {
        Moment {
            at: Instant::now() + Duration::from_secs(seconds),
            wall: Timestamp::from_second(1_000_000 + i64::try_from(seconds).unwrap()).unwrap(),
        }
    }

    fn memory(list: &str) -> Memory {
        let mut memory = Memory::default();
        memory.learn_names(names(list.as_bytes()));
        memory
    }

    fn read(memory: &mut Memory, output: &str, at: u64) -> (Vec<Arc<Vm>>, Vec<RemoteText>) {
        memory.join(&domstats(output.as_bytes()).unwrap(), moment(at))
    }

    fn block(name: &str, state: u32, cpu: u64) -> String {
        format!(
            "Domain: '{name}'\n  state.state={state}\n  cpu.time={cpu}\n  vcpu.current=1\n  balloon.current=1024\n  balloon.rss=2048\n\n"
        )
    }

    #[test]
    fn names_and_figures_are_joined_and_ordered() {
        let mut memory = memory(&format!("{A} z\n{B} a\n"));
        let (vms, gaps) = read(&mut memory, &(block("z", 1, 0) + &block("a", 5, 0)), 0);
        let told: Vec<(&str, &str)> = vms
            .iter()
            .map(|vm| (vm.name.raw(), vm.id.as_str()))
            .collect();
        assert_eq!(told, [("a", B), ("z", A)]);
        assert!(gaps.is_empty());
        assert_eq!(vms[1].stats.memory_used, Some(Bytes::from_kib(1024)));
        assert_eq!(vms[0].stats.memory_used, None);
        assert_eq!(vms[0].stats.memory_assigned, Some(Bytes::from_kib(1024)));
    }

    #[test]
    fn a_forged_second_record_gives_its_figures_to_nobody() {
        let mut memory = memory(&format!("{A} victim\n{B} evil\n"));
        // A disk path with a line feed in it could print this much.
        let forged = block("evil", 1, 0).replace(
            "  balloon.rss=2048\n",
            "  block.0.path=/x\nDomain: 'victim'\n  state.state=5\n",
        );
        let (vms, gaps) = read(&mut memory, &(forged + &block("victim", 1, 0)), 0);
        assert_eq!(vms.len(), 1);
        assert_eq!(vms[0].name.raw(), "evil");
        assert!(gaps[0].raw().starts_with("victim: "), "{gaps:?}");
    }

    #[test]
    fn an_id_or_a_name_listed_twice_is_a_gap() {
        let mut same_name = memory(&format!("{A} a\n{B} a\n"));
        assert_eq!(read(&mut same_name, &block("a", 1, 0), 0).0.len(), 0);
        let mut same_id = memory(&format!("{A} a\n{A} b\n"));
        let (vms, gaps) = read(&mut same_id, &(block("a", 1, 0) + &block("b", 1, 0)), 0);
        assert_eq!((vms.len(), gaps.len()), (0, 2));
    }

    proptest::proptest! {
        #[test]
        fn figures_go_to_nobody_on_a_guess(
            list in proptest::collection::vec((0_u8..6, 0_u8..6), 0..8),
            records in proptest::collection::vec((0_u8..6, 1_u32..8), 0..8),
        ) {
            let line = |(id, name): &(u8, u8)| format!("6c09bb55-d683-4da0-8931-c9bf705f640{id} vm{name}\n");
            let listed = list.iter().map(line).collect::<Vec<String>>().concat();
            let block = |(name, state): &(u8, u32)| block(&format!("vm{name}"), *state, 0);
            let output = records.iter().map(block).collect::<Vec<String>>().concat();
            let (vms, gaps) = read(&mut memory(&listed), &output, 0);
            for vm in &vms {
                let is_it = |name: u8| vm.name.raw() == format!("vm{name}");
                proptest::prop_assert_eq!(list.iter().filter(|(_, name)| is_it(*name)).count(), 1);
                proptest::prop_assert_eq!(records.iter().filter(|(name, _)| is_it(*name)).count(), 1);
                let id = vm.id.as_str().chars().last();
                proptest::prop_assert_eq!(list.iter().filter(|(one, _)| id == char::from_digit(u32::from(*one), 10)).count(), 1);
            }
            // What is not told of as a VM is told of as a gap.
            let seen: HashSet<u8> = list.iter().map(|(_, name)| *name).chain(records.iter().map(|(name, _)| *name)).collect();
            for name in seen {
                let name = format!("vm{name}");
                let told = vms.iter().any(|vm| vm.name.raw() == name)
                    || gaps.iter().any(|gap| gap.raw().starts_with(&format!("{name}: ")))
                    || !records.iter().any(|(record, _)| format!("vm{record}") == name);
                proptest::prop_assert!(told, "{} is lost", name);
            }
        }
    }

    #[test]
    fn the_list_is_read_again_when_the_set_of_names_differs() {
        let memory = memory(&format!("{A} a\n{B} b\n"));
        let knows = |output: &str| memory.knows_exactly(&domstats(output.as_bytes()).unwrap());
        assert!(knows(&(block("b", 1, 0) + &block("a", 1, 0))));
        assert!(!knows(&block("a", 1, 0)));
        assert!(!knows(&(block("a", 1, 0) + &block("c", 1, 0))));
    }

    #[test]
    fn a_vm_without_figures_is_a_gap_and_not_a_stopped_vm() {
        let mut memory = memory(&format!("{A} a\n{B} b\nnonsense\n"));
        let (vms, gaps) = read(&mut memory, &block("a", 1, 0), 0);
        assert_eq!(vms.len(), 1);
        assert_eq!(
            gaps,
            [
                RemoteText::new("b: libvirt gave no figures"),
                RemoteText::new("nonsense")
            ]
        );
    }

    #[test]
    fn uptime_is_known_once_the_start_was_seen() {
        let mut memory = memory(&format!("{A} a\n"));
        assert_eq!(
            read(&mut memory, &block("a", 1, 5), 0).0[0].stats.uptime,
            None
        );
        read(&mut memory, &block("a", 5, 0), 10);
        read(&mut memory, &block("a", 1, 1), 20);
        let uptime = read(&mut memory, &block("a", 1, 2), 50).0[0].stats.uptime;
        assert_eq!(uptime, Some(Duration::from_secs(30)));
        // Processor time that fell means that it was started anew in between.
        let uptime = read(&mut memory, &block("a", 1, 1), 60).0[0].stats.uptime;
        assert_eq!(uptime, Some(Duration::ZERO));
    }

    #[test]
    fn what_the_host_knows_about_starts_is_used() {
        let mut memory = memory(&format!("{A} a\n"));
        read(&mut memory, &block("a", 1, 5), 0);
        let id = VmId::parse(A).unwrap();
        memory.learn_starts(&HashMap::from([(id.clone(), moment(0).wall)]));
        assert_eq!(
            memory.uptime(&id, moment(9).wall),
            Some(Duration::from_secs(9))
        );
    }

    #[test]
    fn a_saved_image_shows_even_when_the_reason_was_forgotten() {
        let mut memory = memory(&format!("{A} a\n"));
        assert_eq!(
            read(&mut memory, &block("a", 5, 0), 0).0[0].state,
            PowerState::Stopped
        );
        memory.learn_saved(&HashSet::from([VmId::parse(A).unwrap()]));
        assert_eq!(
            read(&mut memory, &block("a", 5, 0), 1).0[0].state,
            PowerState::Saved
        );
        read(&mut memory, &block("a", 1, 0), 2);
        assert_eq!(
            read(&mut memory, &block("a", 5, 0), 3).0[0].state,
            PowerState::Stopped
        );
    }

    #[test]
    fn the_guests_own_figure_comes_first() {
        let counters = Counters {
            guest_total: Some(1000),
            guest_unused: Some(100),
            guest_usable: Some(600),
            rss: Some(900),
            balloon: Some(1000),
            ..Counters::default()
        };
        assert_eq!(memory_used(&counters), (Some(Bytes::from_kib(400)), true));
    }
}
