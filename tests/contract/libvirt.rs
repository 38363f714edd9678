//! The libvirt driver on the real laboratory: real sshd, real libvirt, real QEMU guests.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::host::{HostSpec, HypervisorKind, KindChoice};
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::text::is_hostile;
use vmdeck::domain::vm::{PowerState, VmId};
use vmdeck::hypervisor::{Drivers, Hypervisor, HypervisorError, ProgressSink};
use vmdeck::transport::{Chunk, RemoteProcess, Transport};

use crate::define;
use crate::driver_suite::{self as suite, Bench};
use crate::edit;
use crate::snapshots;
use crate::support::lab::LibvirtHost;
use crate::support::wait_for;
use crate::virsh;

/// A real host with the two VMs that the suite asks for.
struct RealHost {
    host: LibvirtHost,
    deaf: VmId,
    obedient: VmId,
    disked: Option<VmId>,
}

impl RealHost {
    fn start() -> Self {
        Self::on(LibvirtHost::start())
    }

    /// The same with a VM that has a disk.
    fn with_disk() -> Self {
        let mut host = Self::start();
        host.disked = Some(host.host.define_with_disk("disked"));
        host
    }

    fn on(host: LibvirtHost) -> Self {
        Self {
            deaf: host.define_deaf("deaf"),
            obedient: host.define_obedient("obedient"),
            disked: None,
            host,
        }
    }
}

#[async_trait]
impl Bench for RealHost {
    async fn connect(&self) -> Arc<dyn Transport> {
        self.host.connect().await
    }

    fn spec(&self) -> HostSpec {
        self.host.spec()
    }

    fn deaf(&self) -> VmId {
        self.deaf.clone()
    }

    fn obedient(&self) -> VmId {
        self.obedient.clone()
    }

    fn disked(&self) -> VmId {
        self.disked.clone().expect("a VM with a disk")
    }

    async fn wait_ready(&self) {
        self.host.wait_ready(&self.obedient);
    }

    fn kind(&self) -> HypervisorKind {
        HypervisorKind::Libvirt
    }

    fn channel(&self) -> &'static str {
        "kept virsh"
    }

    fn version(&self) -> &'static str {
        "libvirt "
    }

    async fn power(&self, vm: &VmId, on: bool) {
        virsh::power(self.connect().await, &self.spec(), vm, on).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_probe_list_and_details() {
    let bench = RealHost::start();
    suite::probes(&bench).await;
    suite::lists(&bench).await;
    suite::details(&bench).await;
    suite::tells_refusals(&bench).await;
    suite::answers_several_at_once(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_every_verb() {
    suite::obeys_every_verb(&RealHost::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_guests_asked_to_stop() {
    suite::asks_guests_to_stop(&RealHost::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_settings() {
    edit::takes_changes(&RealHost::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_definitions() {
    let bench = RealHost::start();
    define::takes_definitions(&bench).await;
    define::keeps_passwords(&bench, |vm| {
        let words = ["dumpxml", "--inactive", "--security-info", vm.as_str()];
        bench.host.virsh(&words)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_snapshots() {
    let bench = RealHost::with_disk();
    snapshots::come_and_go(&bench).await;
    snapshots::bear_any_name(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_announcements() {
    suite::announces_changes(&RealHost::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_restarts() {
    suite::announces_restarts(&RealHost::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_two_hosts_at_once() {
    let (one, other) = (RealHost::start(), RealHost::start());
    let (a, b) = tokio::join!(suite::lists(&one), suite::lists(&other));
    assert_eq!((a.vms.len(), b.vms.len()), (2, 2));
    // The same names, and yet each host has its own VMs.
    let driver = suite::open(&one).await;
    suite::perform(&one, driver.as_ref(), &one.deaf, ActionKind::Start)
        .await
        .unwrap();
    let driver_of_other = suite::open(&other).await;
    let running = driver.inventory(Scope::Fast).await.unwrap();
    let untouched = driver_of_other.inventory(Scope::Fast).await.unwrap();
    assert_eq!(running.vm(&one.deaf).unwrap().state, PowerState::Running);
    assert_eq!(
        untouched.vm(&other.deaf).unwrap().state,
        PowerState::Stopped
    );
    assert_eq!(one.host.state(&one.deaf), "running");
    assert_eq!(other.host.state(&other.deaf), "shut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_hostile_names() {
    let host = LibvirtHost::start();
    let plain = host.define_deaf("plain");
    let long = "x".repeat(200);
    let names = [
        "it's; destroy plain",
        "a \"b\" $(id) `id`",
        long.as_str(),
        "rtl \u{202e}gpj.exe",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}",
        "c1 \u{9b}2J",
        "Domain: 'plain'",
        "tab\there",
        "back\\slash",
        "'",
        "  blanks at both ends  ",
        "--all",
        plain.as_str(),
        "virsh # ",
        "\u{65e5}\u{672c} \u{1f600}",
    ];
    let ids: Vec<VmId> = names.iter().map(|name| host.define_deaf(name)).collect();
    let driver = open_on(&host).await;
    let inventory = driver.inventory(Scope::Full).await.unwrap();
    assert!(inventory.gaps.is_empty(), "{:?}", inventory.gaps);
    assert_eq!(inventory.vms.len(), names.len() + 1);
    for (name, id) in names.iter().zip(&ids) {
        let vm = inventory.vm(id).unwrap();
        assert_eq!(vm.name.raw(), *name);
        assert!(!vm.name.shown().chars().any(is_hostile), "{name:?}");
        assert!(driver.detail(id).await.unwrap().gaps.is_empty());
    }
    // One is named like the id of another: the id still means the other.
    let commands = suite::drivers()
        .commands(
            HypervisorKind::Libvirt,
            &host.spec(),
            &plain,
            &ActionKind::Start.into(),
        )
        .unwrap();
    driver
        .perform(&commands, &ProgressSink::unheard())
        .await
        .unwrap();
    let inventory = driver.inventory(Scope::Fast).await.unwrap();
    for vm in &inventory.vms {
        let wanted = if vm.id == plain { "running" } else { "stopped" };
        assert_eq!(vm.state.word(), wanted, "{}", vm.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_lists_that_change_between_two_reads() {
    let host = LibvirtHost::start();
    let first = host.define_deaf("same name");
    let driver = open_on(&host).await;
    driver.inventory(Scope::Fast).await.unwrap();
    let second = host.define_deaf("another");
    let inventory = driver.inventory(Scope::Fast).await.unwrap();
    assert!(inventory.vm(&first).is_some() && inventory.vm(&second).is_some());
    assert!(inventory.gaps.is_empty(), "{:?}", inventory.gaps);
    host.virsh(&["-q", "undefine", second.as_str()]);
    assert_eq!(driver.inventory(Scope::Fast).await.unwrap().vms.len(), 1);
    // Gone and made anew under the same name: the set of names is as before, the id is not.
    host.virsh(&["-q", "undefine", first.as_str()]);
    let third = host.define_deaf("same name");
    let inventory = driver.inventory(Scope::Full).await.unwrap();
    assert!(inventory.vm(&third).is_some());
    assert!(inventory.vm(&first).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_disks_and_snapshots() {
    let host = LibvirtHost::start();
    let image = host.file("disk.qcow2");
    let path = image.to_str().unwrap();
    let made = host
        .prepare(
            "/usr/bin/qemu-img",
            &["create", "-q", "-f", "qcow2", path, "64M"],
        )
        .status()
        .unwrap();
    assert!(made.success());
    let vm = host.define(
        "disky",
        "<os><type arch='x86_64'>hvm</type></os>",
        &format!(
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
             <source file='{path}'/><target dev='vda' bus='virtio'/></disk>\
             <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>"
        ),
    );
    host.start_vm(&vm);
    host.virsh(&["-q", "snapshot-create-as", vm.as_str(), "one"]);
    let driver = open_on(&host).await;
    let seen = suite::until(driver.as_ref(), Scope::Full, &vm, "counted", |vm| {
        vm.facts.snapshots == Some(1)
    })
    .await;
    // It ran before we looked: only the host's process table knows since when.
    assert!(
        seen.stats
            .uptime
            .is_some_and(|uptime| uptime < Duration::from_secs(600))
    );
    assert!(
        seen.stats
            .disk_capacity
            .is_some_and(|size| size.0 == 64 << 20)
    );
    let detail = driver.detail(&vm).await.unwrap();
    assert_eq!(detail.disks.len(), 1);
    assert_eq!(detail.disks[0].target.raw(), "vda");
    assert_eq!(detail.disks[0].source.as_ref().unwrap().raw(), path);
    assert_eq!(detail.disks[0].capacity.unwrap().0, 64 << 20);
    assert_eq!(detail.nics[0].mac.raw(), "52:54:00:11:22:33");
    assert_eq!(detail.facts.snapshots, Some(1));
}

/// A driver on a host that is no bench.
async fn open_on(host: &LibvirtHost) -> Box<dyn Hypervisor> {
    open_as(host, host.spec()).await
}

async fn open_as(host: &LibvirtHost, spec: HostSpec) -> Box<dyn Hypervisor> {
    suite::drivers()
        .open(host.connect().await, &spec)
        .await
        .unwrap()
}

async fn probe_error(host: &LibvirtHost, spec: HostSpec) -> HypervisorError {
    open_as(host, spec).await.probe().await.unwrap_err()
}

/// A `virsh` older than `echo --err`.
const WITHOUT_ERR: &str = "while read -r command word rest; do case $word in \
    --err) echo 'error: echo knows no --err' >&2;; *) printf %s $word;; esac; done;";

/// A `virsh` without a command is the kept one.
const WHEN_KEPT: &str = "if [ $# -le 3 ]; then";

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_a_virsh_that_cannot_be_kept_is_run_each_time() {
    let wrappers = [
        format!("{WHEN_KEPT} echo what is this; exit 0; fi; exec $REAL \"$@\""),
        format!("{WHEN_KEPT} echo and this >&2; exit 3; fi; exec $REAL \"$@\""),
        format!("{WHEN_KEPT} exec sleep 600; fi; exec $REAL \"$@\""),
        format!("{WHEN_KEPT} {WITHOUT_ERR} fi; exec $REAL \"$@\""),
    ];
    for wrapper in wrappers {
        let host = LibvirtHost::builder().script("virsh", &wrapper).start();
        let bench = RealHost::on(host);
        let driver = suite::open(&bench).await;
        let found = driver.probe().await.unwrap();
        assert_eq!(found.channel, "one virsh process per command", "{wrapper}");
        assert_eq!(found.remarks.len(), 1, "{wrapper}");
        let inventory = driver.inventory(Scope::Full).await.unwrap();
        assert_eq!(inventory.vms.len(), 2, "{wrapper}");
        assert!(inventory.gaps.is_empty(), "{wrapper}: {:?}", inventory.gaps);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_a_virsh_that_does_not_work_says_why() {
    let garbage = LibvirtHost::builder()
        .script("virsh", "echo what is this")
        .start();
    let error = probe_error(&garbage, garbage.spec()).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("what is this"), "{error}");

    let missing = LibvirtHost::builder()
        .script("virsh", "echo \"sh: 1: virsh: not found\" >&2; exit 127")
        .start();
    let error = probe_error(&missing, missing.spec()).await;
    assert!(
        matches!(error, HypervisorError::ToolMissing { .. }),
        "{error}"
    );
    assert!(error.hint().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_no_way_in_is_told_with_the_way_out() {
    let host = LibvirtHost::builder()
        .script("sudo", "echo 'sudo: a password is required' >&2; exit 1")
        .start();
    let mut spec = host.spec();
    spec.uri = Some(
        "qemu:///session?socket=/tmp/no-such-socket"
            .parse()
            .unwrap(),
    );
    let error = probe_error(&host, spec).await;
    assert!(
        matches!(error, HypervisorError::NotRunning { .. }),
        "{error}"
    );

    let mut spec = host.spec();
    spec.uri = Some("qemu:///session?socket=/root/no-way".parse().unwrap());
    let error = probe_error(&host, spec).await;
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.hint().unwrap().0.contains("usermod -aG libvirt"));

    let mut spec = host.spec();
    spec.sudo = true;
    let error = probe_error(&host, spec).await;
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.hint().unwrap().0.contains("NOPASSWD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_sudo_that_asks_nothing_works() {
    let host = LibvirtHost::builder()
        .script("sudo", "[ \"$1\" = -n ] || exit 1; shift; exec \"$@\"")
        .start();
    host.define_deaf("deaf");
    let mut spec = host.spec();
    spec.sudo = true;
    spec.kind = KindChoice::Auto;
    let driver = open_as(&host, spec).await;
    assert_eq!(driver.probe().await.unwrap().channel, "kept virsh");
    assert_eq!(driver.inventory(Scope::Fast).await.unwrap().vms.len(), 1);
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Name of a process, as the kernel knows it.
fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_a_kept_virsh_that_died_is_started_again() {
    let host = LibvirtHost::start();
    host.define_deaf("deaf");
    let driver = open_on(&host).await;
    driver.inventory(Scope::Fast).await.unwrap();
    let kept: Vec<u32> = host
        .sshd
        .session_pids()
        .into_iter()
        .filter(|pid| name_of(*pid) == "virsh")
        .collect();
    assert_eq!(kept.len(), 1);
    signal(kept[0], Signal::KILL);
    let gone = || !Path::new(&format!("/proc/{}/exe", kept[0])).exists();
    assert!(wait_for(Duration::from_secs(10), gone));
    assert_eq!(driver.inventory(Scope::Fast).await.unwrap().vms.len(), 1);
    assert_eq!(driver.probe().await.unwrap().channel, "kept virsh");
    driver.close().await;
    // Closing ends the process on the host as well.
    let ended = || {
        !host
            .sshd
            .session_pids()
            .iter()
            .any(|pid| name_of(*pid) == "virsh")
    };
    assert!(wait_for(Duration::from_secs(10), ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_a_libvirt_that_was_restarted_is_read_again() {
    let host = LibvirtHost::start();
    let vm = host.define_deaf("deaf");
    host.start_vm(&vm);
    let driver = open_on(&host).await;
    driver.inventory(Scope::Fast).await.unwrap();
    for pid in host.pids() {
        let pid = u32::try_from(pid).unwrap();
        if name_of(pid) == "libvirtd" {
            signal(pid, Signal::KILL);
        }
    }
    // The next read may fail; one soon after finds the VM, which has gone on running meanwhile.
    let start = Instant::now();
    let inventory = loop {
        match driver.inventory(Scope::Fast).await {
            Ok(inventory) if inventory.vm(&vm).is_some() => break inventory,
            other => assert!(start.elapsed() < suite::BOUND, "{other:?}"),
        }
    };
    assert_eq!(inventory.vm(&vm).unwrap().state, PowerState::Running);
    assert_eq!(driver.probe().await.unwrap().channel, "kept virsh");
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_another_driver_of_libvirt() {
    let host = LibvirtHost::start();
    let mut spec = host.spec();
    spec.uri = Some("test:///default".parse().unwrap());
    let driver = open_as(&host, spec).await;
    let found = driver.probe().await.unwrap();
    assert!(found.version.raw().contains("TEST"), "{}", found.version);
    let inventory = driver.inventory(Scope::Full).await.unwrap();
    assert_eq!(inventory.vms.len(), 1);
    assert_eq!(inventory.vms[0].state, PowerState::Running);
    assert_eq!(inventory.vms[0].stats.memory_used, None);
    assert_eq!(inventory.vms[0].stats.cpu, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn laboratory_a_libvirt_that_hangs_is_a_timeout_and_comes_back() {
    let host = LibvirtHost::start();
    host.define_deaf("deaf");
    let driver = open_on(&host).await;
    driver.inventory(Scope::Fast).await.unwrap();
    let daemon: u32 = host
        .pids()
        .into_iter()
        .map(|pid| u32::try_from(pid).unwrap())
        .find(|pid| name_of(*pid) == "libvirtd")
        .expect("libvirtd");
    signal(daemon, Signal::STOP);
    let error = driver.inventory(Scope::Fast).await.unwrap_err();
    signal(daemon, Signal::CONT);
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(driver.inventory(Scope::Fast).await.unwrap().vms.len(), 1);
    assert_eq!(driver.probe().await.unwrap().channel, "kept virsh");
}

#[test]
fn laboratory_hosts_leave_nothing_behind() {
    let host = LibvirtHost::start();
    let vm = host.define_deaf("deaf");
    host.start_vm(&vm);
    let pids = host.pids();
    assert!(pids.len() >= 2, "libvirtd and QEMU: {pids:?}");
    drop(host);
    let alive = |pid: &&i32| Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok();
    assert_eq!(pids.iter().filter(alive).count(), 0);
}

/// Answers of a bare kept `virsh`, framed as simply as can be.
async fn bare_tick(process: &mut dyn RemoteProcess, question: &str, round: usize) -> usize {
    let mark = format!("@@bare{round}@@");
    process
        .write(format!("{question}\necho {mark}\n").as_bytes())
        .await
        .unwrap();
    let wanted = format!("\n{mark}");
    let mut answer = Vec::new();
    while !answer.ends_with(b"virsh # ") || !String::from_utf8_lossy(&answer).contains(&wanted) {
        if let Chunk::Stdout(bytes) = process.read().await.unwrap() {
            answer.extend(bytes);
        }
    }
    answer.len()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints a ratio, asserts nothing about time"]
async fn laboratory_what_a_tick_costs() {
    let host = LibvirtHost::start();
    host.define_many("bulk", 300);
    let link = host.connect().await;
    let driver = suite::drivers()
        .open(Arc::clone(&link), &host.spec())
        .await
        .unwrap();
    driver.inventory(Scope::Fast).await.unwrap();
    let bare = RemoteCommand::posix("virsh").args(["-q", "-c", "qemu:///session"]);
    let mut bare = link.spawn(&bare).await.unwrap();
    let (mut ours, mut theirs, mut same) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..40 {
        let start = Instant::now();
        bare_tick(bare.as_mut(), "domstats --raw --nowait", round * 2).await;
        theirs.push(start.elapsed());
        let start = Instant::now();
        bare_tick(
            bare.as_mut(),
            "domstats --raw --nowait --state --cpu-total --balloon --vcpu --interface --block",
            round * 2 + 1,
        )
        .await;
        same.push(start.elapsed());
        let start = Instant::now();
        assert_eq!(driver.inventory(Scope::Fast).await.unwrap().vms.len(), 300);
        ours.push(start.elapsed());
    }
    let start = Instant::now();
    driver.inventory(Scope::Full).await.unwrap();
    let full = start.elapsed();
    let (ours, theirs, same) = (median(ours), median(theirs), median(same));
    println!(
        "a tick {ours:?}, bare domstats {theirs:?} (ratio {:.2}), bare with our groups {same:?} (ratio {:.2}), a full read {full:?}",
        ours.as_secs_f64() / theirs.as_secs_f64(),
        ours.as_secs_f64() / same.as_secs_f64(),
    );
}
