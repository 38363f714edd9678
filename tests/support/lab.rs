//! The laboratory: real hosts, each one `sshd` and one private libvirt with real QEMU guests.
//!
//! A host keeps everything under a directory of its own, so any number of them run beside each other
//! and nothing under /etc changes. As root it runs as the account `vmdeck-lab`, else as oneself. It
//! ends what it started when it is dropped, also by a panic; what a killed test left behind is
//! ended by the next one. `tests/run --lab-only` prepares what is needed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use vmdeck::domain::credential::Credential;
use vmdeck::domain::host::{Endpoint, HostSpec, KindChoice};
use vmdeck::domain::vm::VmId;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Connector, Hop, Target, Transport};

use super::sshd::{Sshd, SshdBuilder};
use super::{command, is_root, own_account, run, wait_for, write};

/// Account of the laboratory when the tests run as root.
const ACCOUNT: &str = "vmdeck-lab";

/// What a guest prints on its serial console once it obeys its power button.
const READY: &str = "vmdeck guest ready";

/// How long a guest may take to boot; about 4 s on an idle machine.
const BOOT_BOUND: Duration = Duration::from_secs(90);

/// The line on which libvirt talks to a guest agent.
const AGENT_CHANNEL: &str =
    "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";

/// The card of this machine that leads to a guest; `tests/run` makes it.
const CARD: &str = "vmdeck-lab0";

/// This machine's own address on it.
const CARD_PEER: &str = "203.0.113.1";

/// The guest's address on it.
pub const CARD_ADDRESS: &str = "203.0.113.2";

/// Where hosts keep their files. Short, because a path of a unix socket has at most 107 characters.
const PREFIX: &str = "vml.";

/// What to do when something is missing.
const ADVICE: &str = "prepare the laboratory with `tests/run --lab-only`";

/// What the laboratory found on this machine.
#[derive(Debug, Clone)]
struct Prepared {
    account: String,
    uid: u32,
    gid: u32,
    images: PathBuf,
}

impl Prepared {
    fn find() -> Self {
        for program in ["/usr/bin/virsh", "/usr/bin/qemu-system-x86_64"] {
            assert!(
                Path::new(program).exists(),
                "{program} is missing: {ADVICE}"
            );
        }
        let account = if is_root() {
            ACCOUNT.to_owned()
        } else {
            own_account()
        };
        let known = command("id").args(["-u", &account]).output().expect("id");
        assert!(
            known.status.success(),
            "there is no account {account}: {ADVICE}"
        );
        let number = |option: &str| -> u32 {
            let text = run(command("id").args([option, &account]));
            text.trim().parse().expect("a number")
        };
        let images = images();
        assert!(
            images.join("vmlinuz").exists() && images.join("initramfs.gz").exists(),
            "there is no guest in {}: {ADVICE}",
            images.display()
        );
        Self {
            uid: number("-u"),
            gid: number("-g"),
            account,
            images,
        }
    }

    /// Makes a directory that belongs to the account.
    fn directory(&self, path: &Path) {
        fs::create_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("mode");
        if is_root() {
            chown(path, Some(self.uid), Some(self.gid)).expect("owner");
        }
    }
}

/// Where `tests/run` puts the guest's kernel.
fn images() -> PathBuf {
    if let Some(directory) = environment("VMDECK_LAB") {
        return directory.into();
    }
    if is_root() {
        return "/var/cache/vmdeck-lab".into();
    }
    let caches = environment("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(environment("HOME").expect("HOME")).join(".cache"),
        PathBuf::from,
    );
    caches.join("vmdeck-lab")
}

#[expect(clippy::disallowed_methods, reason = "the laboratory's own settings")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What a host is to be like.
#[derive(Debug)]
pub struct LibvirtHostBuilder {
    sshd: SshdBuilder,
    scripts: Vec<(&'static str, String)>,
}

impl LibvirtHostBuilder {
    /// Changes its sshd.
    #[must_use]
    pub fn sshd(mut self, change: impl FnOnce(SshdBuilder) -> SshdBuilder) -> Self {
        self.sshd = change(self.sshd);
        self
    }

    /// Puts a script first in the path; it finds the real `virsh` in `$REAL`.
    #[must_use]
    pub fn script(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.scripts.push((name, text.into()));
        self
    }

    /// Starts it.
    pub fn start(self) -> LibvirtHost {
        let prepared = Prepared::find();
        sweep();
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in("/tmp")
            .expect("temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        write(dir.path().join("owner"), std::process::id().to_string());
        for name in ["r", "c", "d", "x", "b"] {
            prepared.directory(&dir.path().join(name));
        }
        // Shared by all hosts: what libvirt learnt about QEMU, 4 s for each of them otherwise.
        let cache = prepared.images.join(format!("cache.{}", prepared.uid));
        prepared.directory(&cache);
        let at = |name: &str| dir.path().join(name).display().to_string();
        let environment = vec![
            ("XDG_RUNTIME_DIR".to_owned(), at("r")),
            ("XDG_CONFIG_HOME".to_owned(), at("c")),
            ("XDG_DATA_HOME".to_owned(), at("d")),
            ("XDG_CACHE_HOME".to_owned(), cache.display().to_string()),
            (
                "LIBVIRT_DEFAULT_URI".to_owned(),
                "qemu:///session".to_owned(),
            ),
            (
                "PATH".to_owned(),
                format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", at("b")),
            ),
        ];
        for (name, text) in &self.scripts {
            let path = dir.path().join("b").join(name);
            write(&path, format!("#!/bin/sh\nREAL=/usr/bin/virsh\n{text}\n"));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        let mut sshd = self.sshd.user(&prepared.account);
        for (name, value) in &environment {
            sshd = sshd.set_env(name, value);
        }
        LibvirtHost {
            sshd: sshd.start(),
            environment,
            prepared,
            dir,
        }
    }
}

/// A real host.
#[derive(Debug)]
pub struct LibvirtHost {
    /// Its sshd; may be stopped and started by a test.
    pub sshd: Sshd,
    environment: Vec<(String, String)>,
    prepared: Prepared,
    dir: TempDir,
}

impl LibvirtHost {
    /// Describes a host.
    pub fn builder() -> LibvirtHostBuilder {
        LibvirtHostBuilder {
            sshd: Sshd::builder(),
            scripts: Vec::new(),
        }
    }

    /// Starts a host with the defaults.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// How vmdeck logs in.
    pub fn target(&self) -> Target {
        Target {
            name: "lab".parse().expect("name"),
            hops: vec![Hop {
                endpoint: Endpoint::new("127.0.0.1", self.sshd.port()),
                key_alias: None,
                user: self.sshd.user().parse().expect("user"),
                credentials: vec![Credential::KeyFile {
                    path: self.sshd.client_key.path.clone(),
                    passphrase: None,
                }],
            }],
            pinned: Vec::new(),
            known_hosts: vec![self.sshd.known_hosts_file()],
            accept_new: false,
        }
    }

    /// The host as a person would define it.
    pub fn spec(&self) -> HostSpec {
        let endpoint = Endpoint::new("127.0.0.1", self.sshd.port());
        let mut spec = HostSpec::new("lab".parse().expect("name"), endpoint);
        spec.user = Some(self.sshd.user().parse().expect("user"));
        spec.kind = KindChoice::Libvirt;
        spec.uri = Some("qemu:///session".parse().expect("uri"));
        spec
    }

    /// A link to it.
    pub async fn connect(&self) -> Arc<dyn Transport> {
        SshConnector::new(SshOptions::default())
            .connect(&self.target())
            .await
            .unwrap_or_else(|error| panic!("no link: {error}\n{}", self.sshd.log()))
            .transport
    }

    /// Runs plain `virsh` behind vmdeck's back, and returns what it printed.
    pub fn virsh(&self, args: &[&str]) -> String {
        run(&mut self.prepare("/usr/bin/virsh", args))
    }

    /// The same where failing is allowed.
    pub fn try_virsh(&self, args: &[&str]) -> Output {
        self.prepare("/usr/bin/virsh", args)
            .output()
            .expect("virsh")
    }

    /// A local program in the host's own environment, as its account.
    pub fn prepare(&self, program: &str, args: &[&str]) -> Command {
        let mut prepared = if is_root() {
            let mut prepared = command("setpriv");
            prepared
                .arg(format!("--reuid={}", self.prepared.uid))
                .arg(format!("--regid={}", self.prepared.gid))
                .args(["--clear-groups", program]);
            prepared
        } else {
            command(program)
        };
        prepared.args(args).envs(self.environment.iter().cloned());
        prepared
    }

    /// Defines a guest without a disk: it starts, pauses, resets and ends for real, and is deaf to its
    /// power button.
    pub fn define_deaf(&self, name: &str) -> VmId {
        self.define(name, "<os><type arch='x86_64'>hvm</type></os>", "")
    }

    /// Defines a guest that boots a small Linux and powers off when asked to.
    pub fn define_obedient(&self, name: &str) -> VmId {
        let os = self.small_linux("initramfs.gz", "");
        self.define(name, &os, "<memballoon model='virtio'/>")
    }

    /// Defines the same guest with QEMU's guest agent in it, which refuses the commands `blocked` (separated
    /// by commas).
    pub fn define_with_agent(&self, name: &str, blocked: &str) -> VmId {
        let os = self.small_linux("initramfs-agent.gz", &format!(" agent.block={blocked}"));
        self.define(name, &os, AGENT_CHANNEL)
    }

    /// Defines the same guest with a disk of which snapshots can be taken, and a file system on it that it uses.
    pub fn define_with_agent_and_disk(&self, name: &str) -> VmId {
        let os = self.small_linux("initramfs-agent.gz", " lab.disk=vda");
        let plain = self
            .file(&format!("{}.img", new_id()))
            .display()
            .to_string();
        run(&mut self.prepare("mkfs.ext4", &["-q", &plain, "16M"]));
        let image = self
            .file(&format!("{}.qcow2", new_id()))
            .display()
            .to_string();
        run(&mut self.prepare("qemu-img", &["convert", "-O", "qcow2", &plain, &image]));
        let devices = format!("{AGENT_CHANNEL}{}", disk_of(&image));
        self.define(name, &os, &devices)
    }

    /// Defines the same guest with a network card that has [`CARD_ADDRESS`], and from which it asks this machine for an
    /// answer every second. One guest at a time.
    pub fn define_with_agent_and_card(&self, name: &str, mac: &str) -> VmId {
        let said = format!(" lab.card={CARD_ADDRESS}/30 lab.peer={CARD_PEER}");
        let os = self.small_linux("initramfs-agent.gz", &said);
        let made = Path::new("/sys/class/net").join(CARD).exists();
        assert!(made, "there is no network card {CARD}: {ADVICE}");
        let card = format!(
            "<interface type='ethernet'><mac address='{mac}'/><target dev='{CARD}' managed='no'/>\
             <model type='virtio'/></interface>"
        );
        self.define(name, &os, &format!("{AGENT_CHANNEL}{card}"))
    }

    fn small_linux(&self, initramfs: &str, more: &str) -> String {
        let there = self.prepared.images.join(initramfs).exists();
        assert!(there, "there is no {initramfs} of the guest: {ADVICE}");
        let images = self.prepared.images.display();
        format!(
            "<os><type arch='x86_64'>hvm</type><kernel>{images}/vmlinuz</kernel>\
             <initrd>{images}/{initramfs}</initrd><cmdline>console=ttyS0 quiet{more}</cmdline></os>"
        )
    }

    /// Defines a guest with a small qcow2 disk, of which snapshots can be taken, and nothing on it.
    pub fn define_with_disk(&self, name: &str) -> VmId {
        let os = "<os><type arch='x86_64'>hvm</type></os>";
        self.define(name, os, &self.small_disk())
    }

    /// Makes an image, and returns the disk that it is of.
    fn small_disk(&self) -> String {
        let path = self
            .file(&format!("{}.qcow2", new_id()))
            .display()
            .to_string();
        run(&mut self.prepare("qemu-img", &["create", "-q", "-f", "qcow2", &path, "4M"]));
        disk_of(&path)
    }

    /// Defines a guest from its parts; `devices` is XML.
    pub fn define(&self, name: &str, os: &str, devices: &str) -> VmId {
        let id = new_id();
        let memory = if os.contains("<kernel>") { 96 } else { 16 };
        let console = self.console_log(&id);
        let xml = format!(
            "<domain type='qemu'><name>{}</name><uuid>{id}</uuid>\
             <memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>{os}<features><acpi/></features>\
             <devices><serial type='pty'><log file='{}' append='off'/></serial>{devices}</devices></domain>",
            escape(name),
            console.display(),
        );
        self.define_xml(&id, &xml);
        id
    }

    /// Defines a guest as the XML says.
    pub fn define_xml(&self, id: &VmId, xml: &str) {
        let path = self.dir.path().join(format!("x/{id}.xml"));
        write(&path, xml);
        self.virsh(&["-q", "define", &path.display().to_string()]);
    }

    /// Defines many guests that cost nothing while they are off.
    pub fn define_many(&self, prefix: &str, count: usize) -> Vec<VmId> {
        let mut script = String::new();
        let mut ids = Vec::with_capacity(count);
        for number in 0..count {
            let id = new_id();
            let path = self.dir.path().join(format!("x/{id}.xml"));
            write(
                &path,
                format!(
                    "<domain type='qemu'><name>{}-{number:03}</name><uuid>{id}</uuid>\
                     <memory unit='MiB'>16</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os></domain>",
                    escape(prefix)
                ),
            );
            script = format!("{script}define {};", path.display());
            ids.push(id);
        }
        self.virsh(&["-q", &script]);
        ids
    }

    /// Starts a guest behind vmdeck's back.
    pub fn start_vm(&self, id: &VmId) {
        self.virsh(&["-q", "start", id.as_str()]);
    }

    /// Waits until an obedient guest has booted.
    pub fn wait_ready(&self, id: &VmId) {
        self.wait_boots(id, 1);
    }

    /// Waits until an obedient guest has booted this many times since it was started.
    pub fn wait_boots(&self, id: &VmId, count: usize) {
        let path = self.console_log(id);
        let ready = wait_for(BOOT_BOUND, || {
            let console = fs::read(&path).unwrap_or_default();
            String::from_utf8_lossy(&console).matches(READY).count() >= count
        });
        assert!(
            ready,
            "the guest did not boot: {}",
            String::from_utf8_lossy(&fs::read(&path).unwrap_or_default())
        );
    }

    /// State of a guest in libvirt's own words.
    pub fn state(&self, id: &VmId) -> String {
        self.virsh(&["-q", "domstate", id.as_str()])
            .trim()
            .to_owned()
    }

    /// A file of the host's own, for images of disks.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("d").join(name)
    }

    /// Has the host's libvirt write what these filters of its let through to a file; to be called before it is first
    /// used.
    pub fn log_daemon(&self, filters: &str) -> PathBuf {
        let (log, settings) = (self.file("daemon.log"), self.dir.path().join("c/libvirt"));
        self.prepared.directory(&settings);
        write(
            settings.join("libvirtd.conf"),
            format!(
                "log_filters = \"{filters}\"\nlog_outputs = \"1:file:{}\"\n",
                log.display()
            ),
        );
        log
    }

    /// Gives a file or directory to the account that is logged in to.
    pub fn give(&self, path: &Path) {
        if is_root() {
            chown(path, Some(self.prepared.uid), Some(self.prepared.gid)).expect("owner");
        }
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    }

    /// Process ids of everything this host runs beside sshd: libvirt's daemons and QEMU.
    pub fn pids(&self) -> Vec<i32> {
        pids_under(self.dir.path())
    }

    fn console_log(&self, id: &VmId) -> PathBuf {
        self.file(&format!("{id}.console"))
    }
}

impl Drop for LibvirtHost {
    fn drop(&mut self) {
        self.sshd.stop();
        end_all_under(self.dir.path());
    }
}

/// A new random id.
pub fn new_id() -> VmId {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("a random UUID");
    VmId::parse(text.trim()).expect("a UUID")
}

/// The disk of a VM that an image is.
fn disk_of(path: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
         <source file='{path}'/><target dev='vda' bus='virtio'/></disk>"
    )
}

/// Text inside an XML element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Processes whose command line or environment names this directory: libvirtd and virtlogd carry it
/// in their environment, QEMU on its command line.
fn pids_under(dir: &Path) -> Vec<i32> {
    let wanted = format!("{}/", dir.display()).into_bytes();
    let names_it = |path: PathBuf| {
        fs::read(path).is_ok_and(|bytes| bytes.windows(wanted.len()).any(|part| part == wanted))
    };
    let own = std::process::id();
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let mine =
                names_it(entry.path().join("cmdline")) || names_it(entry.path().join("environ"));
            (pid != own && mine)
                .then(|| i32::try_from(pid).ok())
                .flatten()
        })
        .collect()
}

/// Ends them all, and waits until they are gone: one that is being ended may start another.
fn end_all_under(dir: &Path) {
    let gone = wait_for(Duration::from_secs(20), || {
        let pids = pids_under(dir);
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            // One that has just ended by itself is what was wanted.
            kill_process(pid, Signal::KILL).ok();
        }
        pids.is_empty()
    });
    // Not an assertion: this also runs while a test is failing.
    if !gone {
        eprintln!("processes of {} would not end", dir.display());
    }
}

/// Ends what tests that were killed have left behind.
fn sweep() {
    for entry in fs::read_dir("/tmp").expect("/tmp").flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let owner = fs::read_to_string(path.join("owner"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .and_then(Pid::from_raw);
        let Some(owner) = owner else {
            continue;
        };
        if test_kill_process(owner).is_err() {
            end_all_under(&path);
            fs::remove_dir_all(&path).ok();
        }
    }
}
