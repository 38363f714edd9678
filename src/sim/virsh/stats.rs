//! `virsh domstats`: counters of many domains at once, as the QEMU driver of libvirt 9.0.0 gives them.

use super::options::Command;
use super::said::{Said, put_line};
use crate::sim::load::{counter, figure, fraction};
use crate::sim::vm::{Power, SimVm};
use crate::sim::world::World;

/// The groups, in the order in which they are printed.
const GROUPS: [&str; 7] = [
    "state",
    "cpu-total",
    "balloon",
    "vcpu",
    "interface",
    "block",
    "dirtyrate",
];

/// Groups that are accepted and have nothing to tell here.
const SILENT_GROUPS: [&str; 4] = ["perf", "iothread", "memory", "vm"];

/// libvirt's own processor time, which it reports for a domain that has no process (a quirk of
/// libvirt 9.0.0: never take it for the VM's).
const DAEMON_CPU: [u64; 3] = [190_000_000, 110_000_000, 80_000_000];

/// Tells counters.
pub(super) fn domstats(world: &World, command: &Command) -> Said {
    let mut wanted = Vec::new();
    for name in &command.words {
        match world.find(name).and_then(|index| world.vm(index)) {
            Some(vm) => wanted.push(vm),
            None => return Said::error(format!("failed to get domain '{name}'")),
        }
    }
    if command.words.is_empty() {
        wanted = world.vms().filter(|vm| is_listed(vm, command)).collect();
    }
    let all = !GROUPS
        .iter()
        .chain(&SILENT_GROUPS)
        .any(|group| command.has(group));
    let groups: Vec<&str> = GROUPS
        .into_iter()
        .filter(|group| all || command.has(group))
        .collect();
    let reading = Reading {
        t: world.t(),
        wall: world.wall().as_second(),
    };
    let mut out = String::with_capacity(wanted.len() * 1400);
    for (number, vm) in wanted.into_iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        put_line!(&mut out, "Domain: '{}'", vm.plan.name);
        for group in &groups {
            reading.group(&mut out, vm, group);
        }
    }
    Said::out(out)
}

fn is_listed(vm: &SimVm, command: &Command) -> bool {
    let lists = [
        ("list-active", vm.is_active()),
        ("list-inactive", !vm.is_active()),
        ("list-running", vm.power == Power::Running),
        ("list-paused", vm.power == Power::Paused),
        ("list-shutoff", vm.power == Power::Shutoff),
        ("list-other", vm.power == Power::Crashed),
        ("list-persistent", true),
        ("list-transient", false),
    ];
    !lists.iter().any(|(flag, _)| command.has(flag))
        || lists.iter().any(|(flag, is)| *is && command.has(flag))
}

/// The moment at which counters are read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    t: f64,
    wall: i64,
}

impl Reading {
    fn group(self, out: &mut String, vm: &SimVm, group: &str) {
        match group {
            "state" => {
                put_line!(out, "  state.state={}", vm.power.code());
                put_line!(out, "  state.reason={}", vm.reason.code);
            }
            "cpu-total" => self.cpu(out, vm),
            "balloon" => self.balloon(out, vm),
            "vcpu" => self.vcpu(out, vm),
            "interface" if vm.is_active() => self.net(out, vm),
            "block" => self.block(out, vm),
            "dirtyrate" if vm.is_active() => {
                put_line!(out, "  dirtyrate.calc_status=0");
                put_line!(out, "  dirtyrate.calc_start_time=0");
                put_line!(out, "  dirtyrate.calc_period=0");
                put_line!(out, "  dirtyrate.calc_mode=page-sampling");
            }
            _ => {}
        }
    }

    fn cpu(self, out: &mut String, vm: &SimVm) {
        let time = vm.cpu_time(self.t);
        let system = time / 5;
        let [time, user, system] = if vm.is_active() {
            [time, time - system, system]
        } else {
            DAEMON_CPU
        };
        put_line!(out, "  cpu.time={time}");
        put_line!(out, "  cpu.user={user}");
        put_line!(out, "  cpu.system={system}");
        if vm.is_active() {
            put_line!(out, "  cpu.cache.monitor.count=0");
            put_line!(out, "  cpu.haltpoll.success.time=0");
            put_line!(out, "  cpu.haltpoll.fail.time=0");
        }
    }

    fn balloon(self, out: &mut String, vm: &SimVm) {
        let maximum = vm.plan.memory_kib;
        put_line!(out, "  balloon.current={maximum}");
        put_line!(out, "  balloon.maximum={maximum}");
        if !vm.is_active() {
            return;
        }
        let available = figure(maximum) * 0.97;
        let level = vm.memory_level(self.t);
        // A guest whose balloon driver tells nothing leaves only what QEMU knows.
        if vm.plan.memory > 0.0 {
            let used = available * level;
            let unused = (available - used) * 0.6;
            put_line!(out, "  balloon.swap_in=0");
            put_line!(out, "  balloon.swap_out=0");
            put_line!(
                out,
                "  balloon.major_fault={}",
                counter(self.t.max(0.0)) / 7 + 900
            );
            put_line!(
                out,
                "  balloon.minor_fault={}",
                counter(self.t.max(0.0)) * 40 + 81_000
            );
            put_line!(out, "  balloon.unused={}", counter(unused));
            put_line!(out, "  balloon.available={}", counter(available));
            put_line!(out, "  balloon.usable={}", counter(available - used));
            put_line!(out, "  balloon.last-update={}", self.wall);
            put_line!(
                out,
                "  balloon.disk_caches={}",
                counter((available - used) * 0.35)
            );
            put_line!(out, "  balloon.hugetlb_pgalloc=0");
            put_line!(out, "  balloon.hugetlb_pgfail=0");
        } else {
            put_line!(out, "  balloon.last-update=0");
        }
        put_line!(
            out,
            "  balloon.rss={}",
            counter(figure(maximum) * (0.35 + 0.6 * level))
        );
    }

    fn vcpu(self, out: &mut String, vm: &SimVm) {
        let count = vm.plan.vcpus;
        put_line!(out, "  vcpu.current={count}");
        put_line!(out, "  vcpu.maximum={count}");
        if !vm.is_active() {
            return;
        }
        let each = vm.cpu_time(self.t) / 21 * 20 / u64::from(count);
        for number in 0..count {
            put_line!(out, "  vcpu.{number}.state=1");
            put_line!(out, "  vcpu.{number}.time={each}");
            put_line!(out, "  vcpu.{number}.wait=0");
            put_line!(out, "  vcpu.{number}.delay={}", each / 900);
        }
    }

    fn net(self, out: &mut String, vm: &SimVm) {
        let bytes = vm.work(self.t).net / 0.4 * vm.plan.net_rate;
        let received = counter(bytes * (0.35 + 0.3 * fraction(vm.plan.seed, 31)));
        let sent = counter(bytes) - received.min(counter(bytes));
        put_line!(out, "  net.count=1");
        put_line!(out, "  net.0.name={}", interface_name(vm));
        for (way, bytes) in [("rx", received), ("tx", sent)] {
            put_line!(out, "  net.0.{way}.bytes={bytes}");
            put_line!(out, "  net.0.{way}.pkts={}", bytes / 740);
            put_line!(out, "  net.0.{way}.errs=0");
            put_line!(out, "  net.0.{way}.drop=0");
        }
    }

    fn block(self, out: &mut String, vm: &SimVm) {
        put_line!(out, "  block.count=2");
        put_line!(out, "  block.0.name=vda");
        put_line!(out, "  block.0.path={}", vm.disk_path());
        if vm.is_active() {
            let bytes = vm.work(self.t).disk / 0.4 * vm.plan.disk_rate;
            let read = counter(bytes * (0.2 + 0.4 * fraction(vm.plan.seed, 32))) / 512 * 512;
            let written = (counter(bytes) - read.min(counter(bytes))) / 512 * 512;
            put_line!(out, "  block.0.backingIndex=2");
            for (way, bytes) in [("rd", read), ("wr", written)] {
                put_line!(out, "  block.0.{way}.reqs={}", bytes / 16_384);
                put_line!(out, "  block.0.{way}.bytes={bytes}");
                put_line!(out, "  block.0.{way}.times={}", bytes.saturating_mul(9));
            }
            put_line!(out, "  block.0.fl.reqs={}", written / 400_000);
            put_line!(out, "  block.0.fl.times={}", written / 3);
        }
        let used = vm.disk_used();
        put_line!(out, "  block.0.allocation={used}");
        put_line!(out, "  block.0.capacity={}", vm.plan.disk_bytes);
        put_line!(out, "  block.0.physical={}", used + 196_608);
        put_line!(out, "  block.1.name=sda");
        if vm.is_active() {
            put_line!(out, "  block.1.rd.reqs=3");
            put_line!(out, "  block.1.rd.bytes=54");
            put_line!(out, "  block.1.rd.times=1789");
            put_line!(out, "  block.1.wr.reqs=0");
            put_line!(out, "  block.1.wr.bytes=0");
            put_line!(out, "  block.1.wr.times=0");
            put_line!(out, "  block.1.fl.reqs=0");
            put_line!(out, "  block.1.fl.times=0");
        }
    }
}

/// Returns the name of a running VM's interface on the host.
pub(super) fn interface_name(vm: &SimVm) -> String {
    vm.id
        .map_or_else(|| "-".to_owned(), |id| format!("vnet{}", id - 1))
}
