//! libvirt: recorded answers of `virsh`, mutated, through the kept process and through one a question.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use vmdeck::clock::Clock;
use vmdeck::domain::action::{Action, ActionKind};
use vmdeck::domain::host::{Endpoint, HostSpec};
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::vm::{Vm, VmId};
use vmdeck::hypervisor::libvirt::{Libvirt, commands};
use vmdeck::hypervisor::{Hypervisor, ProgressSink};
use vmdeck::testing::mutate::Mutator;
use vmdeck::transport::{
    Chunk, CommandOutput, ExecLimits, ExitStatus, RemoteProcess, Transport, TransportError,
};

use crate::{judged, judged_detail, judged_inventory, mutator, wanted};

/// Words of `virsh`, for mutations.
const WORDS: [&str; 14] = [
    "Domain: '",
    "  state.state=",
    "  cpu.time=",
    "error: ",
    "virsh # ",
    "<domain>",
    "</disk>",
    " -uuid ",
    "Autostart:",
    "ipv4",
    "@@",
    "6c09bb55-d683-4da0-8931-c9bf705f6480",
    "CPU(s):",
    "-",
];

/// What was recorded: question, then standard output, standard error and exit code.
#[derive(Debug)]
struct Recorded(HashMap<String, (Vec<u8>, Vec<u8>, u32)>);

impl Recorded {
    fn read() -> Self {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/libvirt/9.0.0/mixed");
        let mut answers = HashMap::new();
        for number in 0.. {
            let part = |end: &str| std::fs::read(folder.join(format!("{number:02}.{end}")));
            let Ok(command) = part("command") else { break };
            let command = String::from_utf8(command).unwrap().trim().to_owned();
            let status = String::from_utf8(part("status").unwrap()).unwrap();
            let status = status.trim().parse().unwrap();
            answers.insert(
                command,
                (part("stdout").unwrap(), part("stderr").unwrap(), status),
            );
        }
        assert!(answers.len() > 40, "the recording was not found");
        Self(answers)
    }

    fn answer(&self, question: &str) -> (Vec<u8>, Vec<u8>, u32) {
        let unknown = || (Vec::new(), b"error: unknown command\n".to_vec(), 1);
        self.0.get(question).cloned().unwrap_or_else(unknown)
    }
}

/// What becomes of an answer: question and standard output in, standard output out.
type Spoil = Box<dyn FnMut(&str, Vec<u8>) -> Vec<u8> + Send>;

struct Host {
    recorded: Recorded,
    spoil: Mutex<Spoil>,
    /// Whether `virsh` can be kept.
    keeps: bool,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}

impl Host {
    fn says(&self, question: &str) -> (Vec<u8>, Vec<u8>, u32) {
        let (stdout, stderr, status) = self.recorded.answer(question);
        let stdout = (self.spoil.lock().unwrap())(question, stdout);
        (stdout, stderr, status)
    }
}

/// A link to it. It is a link of its own, because `Transport` is for a handle.
#[derive(Debug, Clone)]
struct Link(Arc<Host>);

/// The question of a command line of `virsh`, or of the process table.
fn question_of(command: &RemoteCommand) -> String {
    let line = command.shown_line();
    if line.contains("ps -A") {
        return "(processes)".to_owned();
    }
    let words: Vec<&str> = command.args.iter().map(|arg| arg.value.as_str()).collect();
    let at = words.iter().position(|word| {
        [
            "version", "uri", "node", "list", "dom", "dumpxml", "snapshot",
        ]
        .iter()
        .any(|start| word.starts_with(start))
    });
    at.and_then(|at| words.get(at..))
        .unwrap_or_default()
        .join(" ")
}

#[async_trait]
impl Transport for Link {
    async fn exec(
        &self,
        command: &RemoteCommand,
        _limits: ExecLimits,
    ) -> Result<CommandOutput, TransportError> {
        let (stdout, stderr, status) = self.0.says(&question_of(command));
        Ok(CommandOutput {
            status: ExitStatus::Code(status),
            stdout,
            stderr,
            truncated: false,
            elapsed: Duration::ZERO,
        })
    }

    async fn spawn(
        &self,
        command: &RemoteCommand,
    ) -> Result<Box<dyn RemoteProcess>, TransportError> {
        let keeps = question_of(command).is_empty() && self.0.keeps;
        Ok(Box::new(Kept {
            host: Arc::clone(&self.0),
            keeps,
            says: VecDeque::new(),
        }))
    }

    async fn closed(&self) -> TransportError {
        std::future::pending().await
    }

    async fn close(&self) {}
}

/// A kept `virsh`, without readline.
#[derive(Debug)]
struct Kept {
    host: Arc<Host>,
    keeps: bool,
    says: VecDeque<Chunk>,
}

#[async_trait]
impl RemoteProcess for Kept {
    async fn read(&mut self) -> Result<Chunk, TransportError> {
        if let Some(chunk) = self.says.pop_front() {
            return Ok(chunk);
        }
        if self.keeps {
            // Nothing was asked: it waits, and whoever waits with it gives up in time.
            std::future::pending::<()>().await;
        }
        Ok(Chunk::Closed)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        for line in String::from_utf8_lossy(bytes).lines() {
            if let Some(mark) = line.strip_prefix("echo --err ") {
                let said = format!("error: {mark}\n").into_bytes();
                self.says.push_back(Chunk::Stderr(said));
            } else if let Some(mark) = line.strip_prefix("echo ") {
                self.says.push_back(Chunk::Stdout(mark.as_bytes().to_vec()));
            } else {
                let (stdout, stderr, _) = self.host.says(line);
                self.says.push_back(Chunk::Stdout(stdout));
                self.says.push_back(Chunk::Stderr(stderr));
            }
        }
        Ok(())
    }

    async fn close(&mut self) {
        self.keeps = false;
    }
}

fn driver(keeps: bool, spoil: Spoil) -> Libvirt {
    let host = Host {
        recorded: Recorded::read(),
        spoil: Mutex::new(spoil),
        keeps,
    };
    Libvirt::new(Arc::new(Link(Arc::new(host))), &spec(), Clock::system())
}

fn spec() -> HostSpec {
    HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("192.0.2.1", 22))
}

fn corpus() -> Vec<Vec<u8>> {
    let recorded = Recorded::read();
    let mut all: Vec<(String, Vec<u8>)> = recorded
        .0
        .into_iter()
        .map(|(question, answer)| (question, answer.0))
        .collect();
    all.sort();
    all.into_iter().map(|(_, answer)| answer).collect()
}

/// A virsh of which every second answer is spoilt, until as many were as are wanted.
async fn campaign(keeps: bool, wanted: u64) -> u64 {
    let spoilt = Arc::new(Mutex::new(0_u64));
    let counter = Arc::clone(&spoilt);
    let others = corpus();
    let mut mutator: Mutator = mutator(&WORDS);
    let mut turn = 0_u64;
    let spoil: Spoil = Box::new(move |_, answer| {
        turn += 1;
        // Of three answers one is left alone, so that not every read ends with the first.
        if turn.is_multiple_of(3) {
            return answer;
        }
        *counter.lock().unwrap() += 1;
        let mut from = vec![answer; 4];
        from.push(others[usize::try_from(turn).unwrap() % others.len()].clone());
        mutator.next(&from)
    });
    let driver = driver(keeps, spoil);
    let vm = VmId::parse("73acfacc-b178-4a1b-ab2c-aa77fa6d9e2d").unwrap();
    while *spoilt.lock().unwrap() < wanted {
        match driver.probe().await {
            Ok(found) => {
                crate::shown([&found.version]);
                crate::shown(&found.remarks);
            }
            Err(error) => judged(&error),
        }
        for scope in [Scope::Fast, Scope::Full, Scope::Fast] {
            judged_inventory(&driver.inventory(scope).await);
        }
        judged_detail(&driver.detail(&vm).await);
        let start = commands(&spec(), &vm, &Action::new(ActionKind::Start)).unwrap();
        if let Err(error) = driver.perform(&start, &ProgressSink::unheard()).await {
            judged(&error);
        }
    }
    *spoilt.lock().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_kept_virsh_of_which_most_answers_are_spoilt() {
    let spoilt = campaign(true, wanted()).await;
    println!("{spoilt} answers of a kept virsh");
}

#[tokio::test(start_paused = true)]
async fn a_virsh_a_question_of_which_most_answers_are_spoilt() {
    let spoilt = campaign(false, wanted()).await;
    println!("{spoilt} answers of one virsh a question");
}

/// Spoils what `domstats` says of one VM, and looks whether the others are told of as ever.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_vm_costs_no_other() {
    let whole = driver(true, Box::new(|_, answer| answer));
    let expected = whole.inventory(Scope::Fast).await.unwrap().vms;
    assert!(expected.len() >= 3, "too few VMs in the recording");
    let told = |vm: &Vm| (vm.id.clone(), vm.name.clone(), vm.state.clone());

    let mut mutator = mutator(&WORDS);
    let rounds = (wanted() / 2).max(100);
    for round in 0..rounds {
        let victim = usize::try_from(round).unwrap() % expected.len();
        let name = expected[victim].name.raw().to_owned();
        let head = format!("Domain: '{name}'\n");
        let recorded = Recorded::read();
        let tick = recorded
            .0
            .keys()
            .find(|key| key.starts_with("domstats"))
            .unwrap();
        let output = String::from_utf8(recorded.0[tick].0.clone()).unwrap();
        let (before, after) = output.split_once(&head).unwrap();
        let (figures, rest) = after.split_once("\n\n").unwrap_or((after, ""));
        let spoilt = mutator.next(&[figures.as_bytes().to_vec()]);
        // One that forges another's name takes that one's figures from it, and does so on purpose.
        let forges = spoilt.windows(8).any(|part| part == b"Domain: ");
        let whole: Vec<u8> = [
            before.as_bytes(),
            head.as_bytes(),
            &spoilt,
            b"\n\n",
            rest.as_bytes(),
        ]
        .concat();
        let driver = driver(
            true,
            Box::new(move |question, answer| {
                if question.starts_with("domstats") {
                    whole.clone()
                } else {
                    answer
                }
            }),
        );
        let read = driver.inventory(Scope::Fast).await;
        judged_inventory(&read);
        if forges {
            continue;
        }
        let found = read.unwrap_or_else(|error| panic!("round {round}: {error}"));
        for vm in expected.iter().filter(|vm| vm.name.raw() != name) {
            let same = found.vms.iter().any(|found| told(found) == told(vm));
            assert!(same, "round {round}: {} was lost with {name}", vm.name);
        }
    }
    println!("{rounds} spoilt VMs");
}
