//! The same five VMs on a host of each kind: simulated, real libvirt with QEMU, and emulated Hyper-V
//! behind a real sshd. The real program serves them; what it did is read behind its back.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use vmdeck::domain::vm::VmId;
use vmdeck::sim::hyperv::{Provocation, Situation};
use vmdeck::sim::{HostControl, SimState};

use crate::rig::{API_KEY, HMAC_SECRET};
use crate::support::deck::Deck;
use crate::support::keys::KeyKind;
use crate::support::lab::LibvirtHost;
use crate::support::served::Served;
use crate::support::simulated::SimFleet;
use crate::support::sshd::Sshd;
use crate::support::wait_for;
use crate::support::windows::EmulatedWindows;

/// Runs, and obeys its power button.
pub(crate) const OBEDIENT: &str = "web-1";
/// Is off, and obeys its power button once it runs; its name holds a blank.
pub(crate) const RESTING: &str = "Windows 10";
/// Is paused; its name is not ASCII.
pub(crate) const PAUSED: &str = "привет";
/// Runs, and ignores its power button.
pub(crate) const DEAF: &str = "deaf";
/// Is off; its name is what shells act on.
pub(crate) const HOSTILE: &str = "it's; $(touch canary) \"q\" `touch canary` %TEMP% & ‘x’";

/// How long an effect may take to be seen.
const BOUND: Duration = Duration::from_secs(120);

/// What kind of host it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Simulated,
    Libvirt,
    HyperV,
}

enum Behind {
    Simulated(SimFleet),
    Libvirt(LibvirtHost, HashMap<&'static str, VmId>),
    HyperV(EmulatedWindows),
}

/// A host with its VMs, and a server for it.
pub(crate) struct Ground {
    pub(crate) served: Served,
    pub(crate) admin: String,
    deck: Deck,
    behind: Option<Behind>,
    runtime: Runtime,
    /// When it answered first.
    began: Instant,
}

impl Ground {
    /// Starts everything.
    pub(crate) fn of(kind: Kind) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let behind = match kind {
            Kind::Simulated => {
                Behind::Simulated(runtime.block_on(SimFleet::start(&scenario("", "stopped"))))
            }
            Kind::HyperV => Behind::HyperV(runtime.block_on(EmulatedWindows::start(&scenario(
                "kind = \"hyperv\"",
                "off",
            )))),
            Kind::Libvirt => {
                let (host, ids) = laboratory();
                Behind::Libvirt(host, ids)
            }
        };
        let deck = Deck::new(env!("CARGO_BIN_EXE_vmdeck"));
        add_host(&deck, &behind);
        let passphrase = deck.home().join("passphrase");
        vmdeck::private_file::write_atomic(&passphrase, b"correct horse").expect("a file");
        let config = deck.configure(
            "[serve.dial]\nallow = [\"127.0.0.0/8\"]\n\
             [serve.limit]\nrequest_time = \"20s\"\nfailures_per_address = 1000\n",
        );
        let mut served = Served::start(
            &deck,
            &["--config", &config.display().to_string()],
            &[
                ("API_KEY", API_KEY),
                ("HMAC_SECRET", HMAC_SECRET),
                ("VMDECK_PASSPHRASE_FILE", &passphrase.display().to_string()),
            ],
        );
        let admin = served.first_key();
        Self {
            served,
            admin,
            deck,
            behind: Some(behind),
            runtime,
            began: Instant::now(),
        }
    }

    /// The server's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.deck.home().to_owned()
    }

    fn behind(&self) -> &Behind {
        self.behind.as_ref().expect("it runs")
    }

    fn control(&self) -> Option<&HostControl> {
        match self.behind() {
            Behind::Simulated(fleet) => Some(fleet.control("kvm1")),
            Behind::HyperV(host) => Some(host.host()),
            Behind::Libvirt(..) => None,
        }
    }

    /// Waits until the second is over in which the server began: nothing signed in it may act.
    pub(crate) fn wait_out_the_first_second(&self) {
        let over = || self.began.elapsed() > Duration::from_millis(1_100);
        assert!(wait_for(Duration::from_secs(5), over));
    }

    /// What a VM is doing, in libvirt's words, as its host says without us.
    pub(crate) fn state(&self, name: &str) -> String {
        if let Behind::Libvirt(host, ids) = self.behind() {
            return host.state(&ids[name]);
        }
        let control = self.control().expect("a host in this process");
        match control.vm(name).expect("the VM").state {
            SimState::Running => "running",
            SimState::Paused => "paused",
            SimState::Stopped | SimState::Saved => "shut off",
            SimState::Crashed => "crashed",
        }
        .to_owned()
    }

    /// Waits until a VM does that.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, state: &str) {
        let seen = wait_for(BOUND, || self.state(name) == state);
        assert!(seen, "{name} is {}, not {state}", self.state(name));
    }

    /// Waits until the guest of [`OBEDIENT`] has booted so many times, or where boots are not counted
    /// until it answers its host; of hosts without guests there is nothing to wait for.
    #[track_caller]
    pub(crate) fn booted(&self, count: usize) {
        match self.behind() {
            Behind::Libvirt(host, ids) => host.wait_boots(&ids[OBEDIENT], count),
            Behind::HyperV(host) => {
                let answers = || {
                    let vm = host.control().vm(OBEDIENT).expect("the VM");
                    vm.ready && !vm.asked
                };
                assert!(
                    wait_for(BOUND, answers),
                    "{OBEDIENT} does not answer its host"
                );
            }
            Behind::Simulated(_) => {}
        }
    }

    /// `virsh` behind the server's back, about one VM; `None` on other hosts.
    pub(crate) fn virsh(&self, command: &str, name: &str) -> Option<String> {
        match self.behind() {
            Behind::Libvirt(host, ids) => Some(host.virsh(&["-q", command, ids[name].as_str()])),
            Behind::Simulated(_) | Behind::HyperV(_) => None,
        }
    }

    /// Brings it about that the next start fails; false where a host cannot be made to.
    pub(crate) fn break_starts(&self) -> bool {
        match self.behind() {
            Behind::Simulated(_) => false,
            Behind::HyperV(host) => {
                for on in ["RequestStateChange", "Start-VM"] {
                    host.control().provoke(Provocation {
                        on: on.to_owned(),
                        error: Situation::OutOfMemory,
                        times: None,
                        at_once: false,
                    });
                }
                true
            }
            Behind::Libvirt(host, ids) => {
                // Its disk is gone.
                let id = &ids[RESTING];
                let xml = host.virsh(&["-q", "dumpxml", id.as_str()]);
                let disk = "<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/>\
                            <source file='/nonexistent/disk.img'/><target dev='vda' bus='virtio'/></disk>";
                host.define_xml(id, &xml.replace("<devices>", disk));
                true
            }
        }
    }

    /// Path of the console of [`RESTING`], and what it prints once it has booted.
    pub(crate) fn console(&self) -> Option<(PathBuf, &'static str)> {
        match self.behind() {
            Behind::Libvirt(host, ids) => {
                let console = host.file(&format!("{}.console", ids[RESTING]));
                Some((console, "vmdeck guest ready"))
            }
            Behind::Simulated(_) | Behind::HyperV(_) => None,
        }
    }

    /// The body of `POST /agents` for the host.
    pub(crate) fn agent(&self) -> Value {
        let of = |sshd: &Sshd| {
            json!({
                "name": "kvm1", "hostname": "127.0.0.1", "port": sshd.port(), "username": sshd.user(),
                "private_key": sshd.client_key.pem(), "allow_unknown_hosts": true,
            })
        };
        match self.behind() {
            Behind::Libvirt(host, _) => of(&host.sshd),
            Behind::HyperV(host) => of(&host.sshd),
            Behind::Simulated(fleet) => {
                let spec = &fleet.host("kvm1").spec;
                json!({
                    "name": "kvm1", "hostname": "127.0.0.1",
                    "port": spec.endpoint.port_or_default(),
                    "username": spec.user.as_ref().expect("an account").as_str(),
                    "private_key": fleet.demo.login_key_pem.expose(), "allow_unknown_hosts": true,
                })
            }
        }
    }

    /// Ends everything; returns what the server said.
    pub(crate) fn end(mut self) -> String {
        let said = self.served.end();
        match self.behind.take().expect("it runs") {
            Behind::Simulated(fleet) => self.runtime.block_on(fleet.end()),
            Behind::HyperV(host) => self.runtime.block_on(host.end()),
            Behind::Libvirt(host, _) => drop(host),
        }
        let canary =
            std::path::Path::new("canary").exists() || self.deck.home().join("canary").exists();
        assert!(!canary, "a name was run");
        said
    }
}

fn scenario(keys: &str, off: &str) -> String {
    let hostile = HOSTILE.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "seed = 5\n[[host]]\nname = \"kvm1\"\n{keys}\n\
         [[host.vm]]\nname = \"{OBEDIENT}\"\n\
         [[host.vm]]\nname = \"{RESTING}\"\nstate = \"{off}\"\n\
         [[host.vm]]\nname = \"{PAUSED}\"\nstate = \"paused\"\n\
         [[host.vm]]\nname = \"{DEAF}\"\nobeys_shutdown = false\n\
         [[host.vm]]\nname = \"{hostile}\"\nstate = \"{off}\"\n"
    )
}

/// The VMs on a real host, those that run already started.
fn laboratory() -> (LibvirtHost, HashMap<&'static str, VmId>) {
    let host = LibvirtHost::start();
    let mut ids: HashMap<&'static str, VmId> = [OBEDIENT, RESTING]
        .map(|name| (name, host.define_obedient(name)))
        .into();
    for name in [PAUSED, DEAF, HOSTILE] {
        ids.insert(name, host.define_deaf(name));
    }
    for name in [OBEDIENT, PAUSED, DEAF] {
        host.start_vm(&ids[name]);
    }
    host.virsh(&["-q", "suspend", ids[PAUSED].as_str()]);
    host.wait_ready(&ids[OBEDIENT]);
    (host, ids)
}

fn add_host(deck: &Deck, behind: &Behind) {
    match behind {
        Behind::Libvirt(host, _) => deck.add("kvm1", host, &[]),
        Behind::HyperV(host) => deck.add_server("kvm1", &host.sshd, &["--kind", "hyperv"]),
        Behind::Simulated(fleet) => {
            let host = fleet.host("kvm1");
            let key_file = deck.home().join("login");
            vmdeck::private_file::write_atomic(
                &key_file,
                fleet.demo.login_key_pem.expose().as_bytes(),
            )
            .expect("a file");
            let key = &host.host_key.key;
            deck.run(&[
                "host",
                "add",
                "kvm1",
                "--address",
                &host.spec.endpoint.to_string(),
                "--user",
                host.spec.user.as_ref().expect("an account").as_str(),
                "--key-file",
                &key_file.display().to_string(),
                "--host-key",
                &format!("{} {}", key.algorithm, key.base64),
            ])
            .expect(0);
        }
    }
}

/// A key that opens nothing, for agents that are not to get in.
pub(crate) fn stranger_key() -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = crate::support::keys::KeyPair::generate(&dir.path().join("k"), KeyKind::Ed25519, "");
    pair.pem()
}
