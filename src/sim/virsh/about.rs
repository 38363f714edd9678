//! Questions of `virsh` about the host and about one domain.

use std::fmt::Write as _;

use super::options::Command;
use super::said::{Said, put_line};
use super::stats::interface_name;
use super::table;
use crate::sim::host::SimHost;
use crate::sim::load::{counter, figure, mix};
use crate::sim::scenario::AddressSource;
use crate::sim::store::network_of;
use crate::sim::vm::{Power, SimVm};
use crate::sim::world::World;

/// `version`.
pub(super) fn version(host: &SimHost, command: &Command) -> Said {
    let (libvirt, qemu) = (&host.plan.libvirt, &host.plan.qemu);
    let mut out = String::new();
    put_line!(&mut out, "Compiled against library: libvirt {libvirt}");
    put_line!(&mut out, "Using library: libvirt {libvirt}");
    put_line!(&mut out, "Using API: QEMU {libvirt}");
    put_line!(&mut out, "Running hypervisor: QEMU {qemu}");
    if command.has("daemon") {
        put_line!(&mut out, "Running against daemon: {libvirt}");
    }
    Said::out(out)
}

/// `nodeinfo`.
pub(super) fn nodeinfo(host: &SimHost) -> Said {
    let cpus = host.plan.cpus;
    let (sockets, threads) = if cpus >= 4 && cpus.is_multiple_of(2) {
        (1, 2)
    } else {
        (1, 1)
    };
    let mut out = String::new();
    put_line!(&mut out, "CPU model:           x86_64");
    put_line!(&mut out, "CPU(s):              {cpus}");
    put_line!(&mut out, "CPU frequency:       2600 MHz");
    put_line!(&mut out, "CPU socket(s):       {sockets}");
    put_line!(
        &mut out,
        "Core(s) per socket:  {}",
        cpus / threads / sockets
    );
    put_line!(&mut out, "Thread(s) per core:  {threads}");
    put_line!(&mut out, "NUMA cell(s):        1");
    put_line!(
        &mut out,
        "Memory size:         {} KiB",
        host.plan.memory_kib
    );
    Said::out(out)
}

/// `nodecpumap`.
pub(super) fn nodecpumap(host: &SimHost) -> Said {
    let cpus = host.plan.cpus;
    let map = "y".repeat(usize::try_from(cpus).unwrap_or_default());
    Said::out(format!(
        "CPUs present:   {cpus}\nCPUs online:    {cpus}\nCPU map:        {map}\n"
    ))
}

/// `nodememstats`: what its VMs use, and the host itself.
pub(super) fn nodememstats(host: &SimHost, world: &World) -> Said {
    let t = world.t();
    let used: u64 = world
        .vms()
        .filter(|vm| vm.is_active())
        .map(|vm| counter(figure(vm.plan.memory_kib) * (0.35 + 0.6 * vm.memory_level(t))))
        .sum();
    let total = host.plan.memory_kib;
    let own = total / 25;
    let cached = (total / 20).min(total.saturating_sub(used + own));
    let buffers = cached / 40;
    let free = total.saturating_sub(used + own + cached + buffers);
    let mut out = String::new();
    put_line!(&mut out, "total  :{total:>21} KiB");
    put_line!(&mut out, "free   :{free:>21} KiB");
    put_line!(&mut out, "buffers:{buffers:>21} KiB");
    put_line!(&mut out, "cached :{cached:>21} KiB");
    Said::out(out)
}

/// `nodecpustats`: processor time since the host was booted, of which its VMs used their part.
pub(super) fn nodecpustats(host: &SimHost, world: &World, command: &Command) -> Said {
    let since_boot = 400.0 * 86_400.0 + world.t();
    let all = since_boot * f64::from(host.plan.cpus) * 1e9;
    let user = figure(world.cpu_spent())
        .mul_add(0.9, all * 0.01)
        .min(all * 0.8);
    let system = user * 0.12;
    let iowait = all * 0.002;
    let parts = [
        ("user:", user),
        ("system:", system),
        ("idle:", (all - user - system - iowait).max(0.0)),
        ("iowait:", iowait),
    ];
    let mut out = String::new();
    if command.has("percent") {
        let usage = [("usage:", user + system)];
        for (label, part) in usage.into_iter().chain(parts) {
            put_line!(&mut out, "{label:<15} {:>5.1}%", part / all * 100.0);
        }
    } else {
        for (label, part) in parts {
            // The real one has the resolution of the kernel's ticks.
            let ticks = counter(part) / 10_000_000 * 10_000_000;
            put_line!(&mut out, "{label:<15} {ticks:>20}");
        }
    }
    Said::out(out)
}

/// `dominfo`.
pub(super) fn dominfo(world: &World, vm: &SimVm) -> Said {
    let id = vm.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let mut out = String::new();
    put_line!(&mut out, "Id:             {id}");
    put_line!(&mut out, "Name:           {}", vm.plan.name);
    put_line!(&mut out, "UUID:           {}", vm.plan.uuid);
    put_line!(&mut out, "OS Type:        hvm");
    put_line!(&mut out, "State:          {}", vm.power.word());
    put_line!(&mut out, "CPU(s):         {}", vm.plan.vcpus);
    if vm.is_active() {
        let seconds = figure(vm.cpu_time(world.t())) / 1e9;
        put_line!(&mut out, "CPU time:       {seconds:.1}s");
    }
    put_line!(&mut out, "Max memory:     {} KiB", vm.plan.memory_kib);
    put_line!(&mut out, "Used memory:    {} KiB", vm.plan.memory_kib);
    put_line!(&mut out, "Persistent:     yes");
    let autostart = if vm.autostart { "enable" } else { "disable" };
    put_line!(&mut out, "Autostart:      {autostart}");
    let saved = if vm.saved.is_some() { "yes" } else { "no" };
    put_line!(&mut out, "Managed save:   {saved}");
    put_line!(&mut out, "Security model: none");
    put_line!(&mut out, "Security DOI:   0");
    Said::out(out)
}

/// `domstate`.
pub(super) fn domstate(vm: &SimVm, command: &Command) -> Said {
    let state = vm.power.word();
    if command.has("reason") {
        Said::line(format_args!("{state} ({})", vm.reason.word))
    } else {
        Said::line(state)
    }
}

/// `domid`.
pub(super) fn domid(vm: &SimVm) -> Said {
    match vm.id {
        Some(id) => Said::line(id),
        None => Said::line("-"),
    }
}

/// `desc`: without a line end after it when quiet, as the real one.
pub(super) fn desc(vm: &SimVm, command: &Command, quiet: bool) -> Said {
    let (text, word) = if command.has("title") {
        (&vm.plan.title, "title")
    } else {
        (&vm.plan.description, "description")
    };
    match text {
        Some(text) => Said::out(text.clone()),
        None if quiet => Said::nothing(),
        None => Said::out(format!("No {word} for domain: {}", vm.plan.name)),
    }
}

/// `domblklist`.
pub(super) fn domblklist(vm: &SimVm, command: &Command, quiet: bool, utf8: bool) -> Said {
    let disk = table::shown(&vm.disk_path(), utf8);
    let words = |words: [&str; 4]| words.map(str::to_owned).to_vec();
    let mut rows = vec![
        words(["file", "disk", "vda", &disk]),
        words(["file", "cdrom", "sda", "-"]),
    ];
    let head: &[&str] = if command.has("details") {
        &["Type", "Device", "Target", "Source"]
    } else {
        for row in &mut rows {
            row.drain(..2);
        }
        &["Target", "Source"]
    };
    Said::out(table::render(head, &rows, quiet))
}

/// `domblkinfo`, with and without `--all`: the second drive is always empty.
pub(super) fn domblkinfo(vm: &SimVm, command: &Command, quiet: bool) -> Said {
    let sizes = [vm.plan.disk_bytes, vm.disk_used(), vm.disk_used()];
    if command.has("all") {
        let mut disk = vec!["vda".to_owned()];
        disk.extend(sizes.map(|size| size.to_string()));
        let drive = ["sda", "-", "-", "-"].map(str::to_owned).to_vec();
        let head = ["Target", "Capacity", "Allocation", "Physical"];
        return Said::out(table::render(&head, &[disk, drive], quiet));
    }
    let [capacity, allocation, physical] = sizes;
    match command.value("device") {
        Some("vda") => Said::out(format!(
            "Capacity:       {capacity}\nAllocation:     {allocation}\nPhysical:       {physical}\n"
        )),
        Some(other) => Said::error(format!(
            "invalid argument: invalid path {other} not assigned to domain"
        )),
        None => Said::error("command 'domblkinfo' requires <device> option"),
    }
}

/// `domiflist`.
pub(super) fn domiflist(vm: &SimVm, quiet: bool) -> Said {
    let (kind, source) = match network_of(vm) {
        Some(network) => ("network", network),
        None => ("bridge", "br0"),
    };
    let row = vec![
        interface_name(vm),
        kind.to_owned(),
        source.to_owned(),
        "virtio".to_owned(),
        vm.mac(),
    ];
    let head = ["Interface", "Type", "Source", "Model", "MAC"];
    Said::out(table::render(&head, &[row], quiet))
}

/// `domdisplay`.
pub(super) fn domdisplay(vm: &SimVm) -> Said {
    match vm.id {
        None => Said::error("Domain is not running"),
        Some(id) => Said::line(format_args!("vnc://127.0.0.1:{}", id - 1)),
    }
}

/// `domifaddr`: each source knows other things, or nothing.
pub(super) fn domifaddr(vm: &SimVm, command: &Command, quiet: bool) -> Said {
    let source = match command.value("source") {
        None | Some("lease") => AddressSource::Lease,
        Some("agent") => AddressSource::Agent,
        Some("arp") => AddressSource::Arp,
        Some(other) => return Said::error(format!("Unknown data source '{other}'")),
    };
    let failed = |why: &str| Said::errors("Failed to query for interfaces addresses", why);
    if !vm.is_active() {
        return failed("Requested operation is not valid: domain is not running");
    }
    if source == AddressSource::Agent {
        if !vm.plan.agent {
            return failed("argument unsupported: QEMU guest agent is not configured");
        }
        if vm.power != Power::Running {
            return failed("Guest agent is not responding: QEMU guest agent is not connected");
        }
    }
    let mut out = String::new();
    if !quiet {
        put_line!(
            &mut out,
            " Name       MAC address          Protocol     Address"
        );
        put_line!(&mut out, "{}", "-".repeat(79));
    }
    if source == AddressSource::Agent {
        put_line!(
            &mut out,
            " lo         00:00:00:00:00:00    ipv4         127.0.0.1/8"
        );
    }
    let name = if source == AddressSource::Agent {
        "eth0".to_owned()
    } else {
        interface_name(vm)
    };
    let known = vm.plan.addresses.iter().filter(|(by, _, _)| *by == source);
    for (number, (_, ip, prefix)) in known.enumerate() {
        let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
        // ARP tables know addresses without their network.
        let prefix = if source == AddressSource::Arp {
            &0
        } else {
            prefix
        };
        let (name, mac) = if number == 0 || command.has("full") {
            (name.as_str(), vm.mac())
        } else {
            ("-", "-".to_owned())
        };
        put_line!(
            &mut out,
            " {name:<10} {mac:<17}    {family:<12} {ip}/{prefix}"
        );
    }
    Said::out(out)
}

/// What a `virsh` prints that has gone mad: bytes that look like an answer and are none.
pub(super) fn garbage(world: &World) -> String {
    let mut out = String::new();
    let moment = counter(world.t() * 1000.0);
    for number in 0..8 {
        let noise = mix(moment, number);
        write!(
            &mut out,
            "  state.state==\u{fffd}{noise:x}\nDomain '\u{1b}[31m{:x}\n\u{7f}=\n",
            noise >> 7
        )
        .unwrap_or_default();
    }
    out
}
