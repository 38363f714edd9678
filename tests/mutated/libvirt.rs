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
use vmdeck::domain::vm::VmId;
use vmdeck::hypervisor::Hypervisor;
use vmdeck::hypervisor::libvirt::{Libvirt, commands};
use vmdeck::testing::mutate::Mutator;
use vmdeck::transport::{
    Chunk, CommandOutput, ExecLimits, ExitStatus, RemoteProcess, Transport, TransportError,
};

use crate::support::campaign::{figure, rounds};
use crate::{FEW, MANY, Tally, heard, judged, judged_inventory, mutator};

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

/// One of the VMs of the recording.
const RECORDED: &str = "73acfacc-b178-4a1b-ab2c-aa77fa6d9e2d";

/// A host that has something of everything that is asked about.
const HOST: &str = r#"
[[host]]
name = "kvm1"
[[host.vm]]
name = "web-{}"
count = 2
addresses = ["agent 192.0.2.{}/24"]
agent = true
[[host.vm]]
name = "db"
state = "stopped"
snapshots = [{ name = "before", age_h = 9 }, { name = "after", age_h = 4 }]
"#;

/// What a host says: question, then standard output, standard error and exit code.
#[derive(Debug, Clone)]
struct Answers(HashMap<String, (Vec<u8>, Vec<u8>, u32)>);

impl Answers {
    /// What was recorded of a real host.
    fn recorded() -> Self {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/libvirt/9.0.0/mixed");
        let mut answers = HashMap::new();
        for number in 0.. {
            let part = |end: &str| std::fs::read(folder.join(format!("{number:02}.{end}")));
            let Ok(command) = part("command") else { break };
            let command = String::from_utf8(command).unwrap();
            let status = String::from_utf8(part("status").unwrap()).unwrap();
            let status = status.trim().parse().unwrap();
            let answer = (part("stdout").unwrap(), part("stderr").unwrap(), status);
            answers.insert(unquoted(command.trim()), answer);
        }
        assert!(answers.len() > 40, "the recording was not found");
        Self(answers)
    }

    /// What a simulated host says about everything, and the VM it was asked about.
    fn simulated() -> (Self, VmId) {
        let (vm, heard) = heard::everything(heard::Sound {
            toml: HOST,
            bind: |link| Box::new(Libvirt::new(link, &spec(), Clock::system())),
            vm: "db",
            actions,
            unknown: 0,
            keeps: false,
        });
        let answers: HashMap<_, _> = heard
            .into_iter()
            .map(|(command, output)| {
                let status = match output.status {
                    ExitStatus::Code(code) => code,
                    other => panic!("{other:?}"),
                };
                (
                    question_of(&command),
                    (output.stdout, output.stderr, status),
                )
            })
            .collect();
        for asked in ["pool-info", "net-dumpxml", "snapshot-dumpxml", "autostart"] {
            let is_asked = answers.keys().any(|question| question.starts_with(asked));
            assert!(is_asked, "nobody asked {asked}: {:?}", answers.keys());
        }
        (Self(answers), vm)
    }

    fn to(&self, question: &str) -> (Vec<u8>, Vec<u8>, u32) {
        let unknown = || (Vec::new(), b"error: unknown command\n".to_vec(), 1);
        self.0
            .get(&unquoted(question))
            .cloned()
            .unwrap_or_else(unknown)
    }

    /// Every standard output, in an order that is always the same.
    fn corpus(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort();
        all.into_iter()
            .map(|(_, answer)| answer.0.clone())
            .collect()
    }
}

/// A question without the quotes that a kept `virsh` wants around names.
fn unquoted(question: &str) -> String {
    question.replace('\'', "")
}

fn actions(vm: &VmId) -> Vec<Vec<RemoteCommand>> {
    let kinds = [
        ActionKind::Start,
        ActionKind::AutostartOn,
        ActionKind::ForceOff,
    ];
    let commands = |kind| commands(&spec(), vm, &Action::new(kind)).expect("commands");
    kinds.map(commands).to_vec()
}

/// What becomes of an answer: question and standard output in, standard output out.
type Spoil = Box<dyn FnMut(&str, Vec<u8>) -> Vec<u8> + Send>;

struct Host {
    answers: Answers,
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
        let (stdout, stderr, status) = self.answers.to(question);
        let stdout = (self.spoil.lock().unwrap())(question, stdout);
        (stdout, stderr, status)
    }
}

/// A link to it. It is a link of its own, because `Transport` is for a handle.
#[derive(Debug, Clone)]
struct Link(Arc<Host>);

/// The question of a command line of `virsh`, or of the process table.
fn question_of(command: &RemoteCommand) -> String {
    if command.shown_line().contains("ps -A") {
        return "(processes)".to_owned();
    }
    let words: Vec<&str> = command.args.iter().map(|arg| arg.value.as_str()).collect();
    let quiet = words.iter().position(|word| *word == "-q");
    let question = quiet.map_or(&words[..], |at| &words[at + 1..]);
    let question = match question {
        ["-c", _uri, rest @ ..] => rest,
        all => all,
    };
    question.join(" ")
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

fn driver(answers: Answers, keeps: bool, spoil: Spoil) -> Libvirt {
    let host = Host {
        answers,
        spoil: Mutex::new(spoil),
        keeps,
    };
    Libvirt::new(Arc::new(Link(Arc::new(host))), &spec(), Clock::system())
}

fn spec() -> HostSpec {
    HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("192.0.2.1", 22))
}

/// How a host is asked, and about what.
struct Suite {
    name: &'static str,
    answers: Answers,
    vm: VmId,
    /// Whether its `virsh` can be kept.
    keeps: bool,
    /// Whether its answers are about everything, or only about what is asked often.
    is_whole: bool,
}

impl Suite {
    fn recorded(name: &'static str, keeps: bool) -> Self {
        Self {
            name,
            answers: Answers::recorded(),
            vm: VmId::parse(RECORDED).unwrap(),
            keeps,
            is_whole: false,
        }
    }

    fn simulated(name: &'static str) -> Self {
        let (answers, vm) = Answers::simulated();
        Self {
            name,
            answers,
            vm,
            keeps: true,
            is_whole: true,
        }
    }

    /// Asks whatever there are answers to.
    async fn ask(&self, driver: &Libvirt, tally: &mut Tally) {
        tally.ask_often(driver, &self.vm).await;
        if self.is_whole {
            tally.ask_rarely(driver, &self.vm).await;
        }
        tally.act(driver, &actions(&self.vm)).await;
    }

    /// Asks a host most of whose answers are spoilt, until as many were as are wanted.
    async fn run(self, wanted: usize) {
        let answers = || self.answers.clone();
        let sound = driver(answers(), self.keeps, Box::new(|_, answer| answer));
        let mut tally = Tally::default();
        self.ask(&sound, &mut tally).await;
        assert_eq!(tally.failed, self.unknown(), "{}: {tally:?}", self.name);

        let spoilt = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&spoilt);
        let others = self.answers.corpus();
        let mut mutator: Mutator = mutator(&WORDS);
        let mut turn = 0;
        let spoil = move |answer: Vec<u8>| {
            turn += 1;
            // Of three answers one is left alone, so that not every read ends with the first.
            if usize::is_multiple_of(turn, 3) {
                return answer;
            }
            *counter.lock().unwrap() += 1;
            let mut from = vec![answer; 4];
            from.push(others[turn % others.len()].clone());
            mutator.next(&from)
        };
        let shared = Arc::new(Mutex::new(spoil));
        let mut tally = Tally::default();
        while *spoilt.lock().unwrap() < wanted {
            // A new link now and then, as a session has it: a driver that gave up keeping a virsh keeps none again.
            let shared = Arc::clone(&shared);
            let spoil: Spoil = Box::new(move |_, answer| (shared.lock().unwrap())(answer));
            let driver = driver(answers(), self.keeps, spoil);
            self.ask(&driver, &mut tally).await;
        }
        let spoilt = *spoilt.lock().unwrap();
        tally.print(self.name, spoilt);
    }

    /// Commands of actions are not in the recording.
    fn unknown(&self) -> usize {
        if self.is_whole {
            0
        } else {
            actions(&self.vm).len()
        }
    }
}

fn kept() -> Suite {
    Suite::recorded("a kept virsh", true)
}

fn one_a_question() -> Suite {
    Suite::recorded("one virsh a question", false)
}

fn everything() -> Suite {
    Suite::simulated("everything asked of a kept virsh")
}

#[tokio::test(start_paused = true)]
async fn a_kept_virsh_of_which_most_answers_are_spoilt() {
    kept().run(FEW).await;
}

#[tokio::test(start_paused = true)]
async fn a_virsh_a_question_of_which_most_answers_are_spoilt() {
    one_a_question().run(FEW).await;
}

#[tokio::test(start_paused = true)]
async fn a_virsh_asked_everything_of_which_most_answers_are_spoilt() {
    everything().run(FEW).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "12,500 of each suite: tests/campaign mutated"]
async fn many_spoilt_answers() {
    for suite in [kept(), one_a_question(), everything()] {
        suite.run(rounds(MANY)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_vm_costs_no_other() {
    spoil_one_vm(FEW / 2).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "12,500 of each suite: tests/campaign mutated"]
async fn what_is_wrong_many_times_with_one_vm_costs_no_other() {
    spoil_one_vm(rounds(MANY)).await;
}

/// Spoils what `domstats` says of one VM, and looks whether the others are told of as ever.
async fn spoil_one_vm(rounds: usize) {
    let answers = Answers::recorded();
    let whole = driver(answers.clone(), true, Box::new(|_, answer| answer));
    let expected = whole.inventory(Scope::Fast).await.unwrap().vms;
    assert!(expected.len() >= 3, "too few VMs in the recording");
    let tick = answers.0.keys().find(|key| key.starts_with("domstats"));
    let tick = String::from_utf8(answers.to(tick.unwrap()).0).unwrap();

    let mut mutator = mutator(&WORDS);
    let mut another = 0;
    for round in 0..rounds {
        let name = expected[round % expected.len()].name.raw();
        let (spoilt, forges) = spoil_figures(&tick, name, &mut mutator);
        let spoil: Spoil = Box::new(move |question, answer| {
            if question.starts_with("domstats") {
                spoilt.clone()
            } else {
                answer
            }
        });
        let read = driver(answers.clone(), true, spoil)
            .inventory(Scope::Fast)
            .await;
        match &read {
            Ok(found) => judged_inventory(found),
            Err(error) => judged(error),
        }
        if forges {
            another += 1;
            continue;
        }
        let found = read.unwrap_or_else(|error| panic!("round {round}: {error}"));
        for vm in expected.iter().filter(|vm| vm.name.raw() != name) {
            assert!(
                found.vms.contains(vm),
                "round {round}: {} is not as it was, with {name}: {found:?}",
                vm.name
            );
        }
    }
    let told = format!("{rounds}, of which {another} forge another VM");
    figure("mutated", "what domstats says of one VM", told);
}

/// Spoils the figures of one VM. Returns whether they forge another VM as well: such a one's own are taken from it,
/// and what is said of it then is what the host says.
fn spoil_figures(tick: &str, name: &str, mutator: &mut Mutator) -> (Vec<u8>, bool) {
    let head = format!("Domain: '{name}'\n");
    let (before, after) = tick.split_once(&head).unwrap();
    let (figures, rest) = after.split_once("\n\n").unwrap_or((after, ""));
    let spoilt = mutator.next(&[figures.as_bytes().to_vec()]);
    let forges = spoilt.windows(8).any(|part| part == b"Domain: ");
    let parts = [
        before.as_bytes(),
        head.as_bytes(),
        &spoilt,
        b"\n\n",
        rest.as_bytes(),
    ];
    (parts.concat(), forges)
}
