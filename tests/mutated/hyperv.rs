//! Hyper-V: answers of the scripts, mutated in their JSON, in their frames, and in what stands around them.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use vmdeck::domain::action::{Action, ActionKind};
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::vm::VmId;
use vmdeck::hypervisor::Hypervisor;
use vmdeck::hypervisor::hyperv::{HyperV, commands};
use vmdeck::transport::{
    CommandOutput, ExecLimits, ExitStatus, RemoteProcess, Transport, TransportError,
};

use crate::support::campaign::{figure, rounds};
use crate::{FEW, MANY, Said, Tally, heard, judged_inventory, mutator};

/// Words of the scripts, for mutations.
const WORDS: [&str; 14] = [
    "@@HV1 0000000000000000 OK ",
    "\"systems\":",
    "\"figures\":",
    "\"id\":",
    "\"name\":",
    "\"state\":",
    "\"gaps\":",
    "null",
    "\"Count\":1",
    "6c09bb55-d683-4da0-8931-c9bf705f6480",
    "#< CLIXML",
    "-2147024891",
    "[]",
    "{}",
];

/// A host that has something of everything that is asked about.
const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "web-{}"
count = 2
[[host.vm]]
name = "db"
state = "off"
checkpoints = [
  { name = "clean", age_h = 900 },
  { name = "before", parent = "clean", age_h = 300 },
  { name = "after", parent = "clean", age_h = 40, with_memory = true },
]
current = "after"
"#;

/// The VM that the answers kept in `fuzz/corpus` are about.
const KEPT: &str = "6c09bb55-d683-4da0-8931-c9bf705f6480";

/// What becomes of an answer: its JSON in, the whole of standard output out (with `NONCE`).
type Spoil = Box<dyn FnMut(&str, String) -> Vec<u8> + Send>;

/// What a whole host answers: what is asked, as [`question_of`] has it or as the script is called, and its JSON.
#[derive(Debug, Clone)]
struct Answers(HashMap<String, String>);

impl Answers {
    /// What is kept for the fuzz targets.
    fn kept() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/hyperv_answers");
        let scripts = [
            ("probe.ps1", "probe"),
            ("list.ps1", "cim"),
            ("list-cmdlets.ps1", "cmdlets"),
            ("detail.ps1", "detail"),
            ("detail-cim.ps1", "detail"),
        ];
        let answers = scripts.map(|(script, file)| {
            let json = std::fs::read_to_string(folder.join(file)).unwrap();
            (script.to_owned(), json)
        });
        Self(answers.into())
    }

    /// What a simulated host says about everything, and the VM it was asked about.
    fn simulated() -> (Self, VmId) {
        let (vm, heard) = heard::everything(heard::Sound {
            toml: HOST,
            bind: |link| Box::new(HyperV::new(link)),
            vm: "db",
            actions,
            // It has no definitions as text.
            unknown: 1,
            keeps: true,
        });
        let answers: HashMap<_, _> = heard
            .into_iter()
            .filter_map(|(command, output)| Some((question_of(&command), json_of(&output.stdout)?)))
            .collect();
        for (asked, told) in [
            ("probe.ps1", ""),
            ("list.ps1 {\"scope\":\"full\"}", "\"systems\""),
            ("list.ps1 {\"scope\":\"fast\"}", "\"systems\""),
            ("detail.ps1", "clean"),
            ("stores.ps1", ""),
            ("settings.ps1", ""),
        ] {
            let is_told = |(question, json): (&String, &String)| {
                question.starts_with(asked) && json.contains(told)
            };
            assert!(
                answers.iter().any(is_told),
                "nobody was told {told} by {asked}: {answers:?}"
            );
        }
        (Self(answers), vm)
    }

    /// Verbs answer with a state where nothing else is known.
    fn to(&self, question: &str) -> String {
        let script = question.split(' ').next().unwrap_or_default();
        let known = self.0.get(question).or_else(|| self.0.get(script));
        let state = || json!({"v": 1, "data": {"state": 2}}).to_string();
        known.cloned().unwrap_or_else(state)
    }
}

/// What a command asks: its script as it is shown, and the arguments in it.
fn question_of(command: &RemoteCommand) -> String {
    let shown = command.args.first().map_or("", |arg| &arg.value);
    let outside = whole_script(command);
    let packed = in_signs(&outside).or_else(|| in_base64(&outside));
    let mut script = String::new();
    // One for a constrained PowerShell travels as it is, and is told nothing.
    if let Some(packed) = packed {
        let mut inside = GzDecoder::new(packed.as_slice());
        inside.read_to_string(&mut script).expect("a packed script");
    }
    let arguments = in_base64(&script).unwrap_or_default();
    format!("{shown} {}", String::from_utf8_lossy(&arguments))
}

/// What a script unpacks that is too long for base64: ideographs of fourteen bits each.
fn in_signs(script: &str) -> Option<Vec<u8>> {
    let signs = script.chars().map(u32::from);
    let values = signs.filter_map(|sign| sign.checked_sub(0x4e00).filter(|value| *value < 1 << 14));
    let bits: Vec<bool> = values
        .flat_map(|value| (0..14).rev().map(move |bit| value >> bit & 1 == 1))
        .collect();
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    (!bits.is_empty()).then(|| bits.chunks_exact(8).map(byte).collect())
}

/// The first text in base64 that a script unpacks.
fn in_base64(script: &str) -> Option<Vec<u8>> {
    let (_, after) = script.split_once("FromBase64String('")?;
    let (base64, _) = after.split_once('\'')?;
    Some(STANDARD.decode(base64).expect("base64"))
}

/// The text that PowerShell is given.
fn whole_script(command: &RemoteCommand) -> String {
    let bytes = STANDARD
        .decode(command.encoded.as_deref().unwrap_or_default())
        .unwrap();
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16_lossy(&units)
}

/// The JSON of the final frame of an answer.
fn json_of(stdout: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stdout);
    let (_, payload) = text.lines().find_map(|line| line.split_once(" OK "))?;
    let json = STANDARD.decode(payload.trim()).expect("base64");
    Some(String::from_utf8(json).expect("JSON"))
}

fn actions(vm: &VmId) -> Vec<Vec<RemoteCommand>> {
    let kinds = [ActionKind::Start, ActionKind::ForceOff];
    let commands = |kind| commands(vm, &Action::new(kind)).expect("commands");
    kinds.map(commands).to_vec()
}

struct Host {
    answers: Answers,
    spoil: Mutex<Spoil>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}

#[derive(Debug, Clone)]
struct Link(Arc<Host>);

/// The nonce of a command: what its frames begin with is in the script it travels with.
fn nonce(command: &RemoteCommand) -> String {
    let script = whole_script(command);
    let (_, after) = script.split_once("@@HV1 ").expect("a mark in the script");
    after.chars().take(16).collect()
}

impl Link {
    fn says(&self, command: &RemoteCommand) -> Vec<u8> {
        let question = question_of(command);
        let said = (self.0.spoil.lock().unwrap())(&question, self.0.answers.to(&question));
        let nonce = nonce(command);
        let mut out = Vec::with_capacity(said.len());
        let mut rest = said.as_slice();
        while let Some(at) = rest.windows(5).position(|part| part == b"NONCE") {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(nonce.as_bytes());
            rest = &rest[at + 5..];
        }
        out.extend_from_slice(rest);
        out
    }
}

#[async_trait]
impl Transport for Link {
    async fn exec(
        &self,
        command: &RemoteCommand,
        _limits: ExecLimits,
    ) -> Result<CommandOutput, TransportError> {
        Ok(CommandOutput {
            status: ExitStatus::Code(0),
            stdout: self.says(command),
            stderr: Vec::new(),
            truncated: false,
            elapsed: Duration::ZERO,
        })
    }

    async fn spawn(
        &self,
        command: &RemoteCommand,
    ) -> Result<Box<dyn RemoteProcess>, TransportError> {
        Ok(Box::new(Said::stdout(self.says(command))))
    }

    async fn closed(&self) -> TransportError {
        std::future::pending().await
    }

    async fn close(&self) {}
}

fn framed(json: &[u8]) -> Vec<u8> {
    format!("@@HV1 NONCE OK {}\r\n", STANDARD.encode(json)).into_bytes()
}

fn driver(answers: Answers, spoil: Spoil) -> HyperV {
    let spoil = Mutex::new(spoil);
    HyperV::new(Arc::new(Link(Arc::new(Host { answers, spoil }))))
}

/// A host, and what it is asked.
struct Suite {
    name: &'static str,
    answers: Answers,
    vm: VmId,
    /// Whether its answers are about everything, or only about what is asked often.
    is_whole: bool,
}

impl Suite {
    fn kept() -> Self {
        Self {
            name: "Hyper-V",
            answers: Answers::kept(),
            vm: VmId::parse(KEPT).unwrap(),
            is_whole: false,
        }
    }

    fn simulated() -> Self {
        let (answers, vm) = Answers::simulated();
        Self {
            name: "everything asked of Hyper-V",
            answers,
            vm,
            is_whole: true,
        }
    }

    /// Asks whatever there are answers to.
    async fn ask(&self, driver: &HyperV, tally: &mut Tally) {
        tally.ask_often(driver, &self.vm).await;
        if self.is_whole {
            tally.ask_rarely(driver, &self.vm).await;
        }
        tally.act(driver, &actions(&self.vm)).await;
    }

    /// Asks a host most of whose answers are spoilt, until as many were as are wanted.
    async fn run(self, wanted: usize) {
        let sound = driver(
            self.answers.clone(),
            Box::new(|_, json| framed(json.as_bytes())),
        );
        let mut tally = Tally::default();
        self.ask(&sound, &mut tally).await;
        assert_eq!(tally.failed, usize::from(self.is_whole), "{}", self.name);

        let spoilt = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&spoilt);
        let mut mutator = mutator(&WORDS);
        let mut turn = 0;
        let spoil = move |json: String| {
            turn += 1;
            if usize::is_multiple_of(turn, 3) {
                return framed(json.as_bytes());
            }
            *counter.lock().unwrap() += 1;
            match turn % 4 {
                // Mostly the JSON inside: a frame that is broken is soon refused.
                0 => mutator.next(&[framed(json.as_bytes())]),
                _ => framed(&mutator.next(&[json.into_bytes()])),
            }
        };
        let shared = Arc::new(Mutex::new(spoil));
        let mut tally = Tally::default();
        while *spoilt.lock().unwrap() < wanted {
            // A new link now and then, as a session has it: what was learnt of a host may be wrong as well.
            let shared = Arc::clone(&shared);
            let spoil: Spoil = Box::new(move |_, json| (shared.lock().unwrap())(json));
            let driver = driver(self.answers.clone(), spoil);
            self.ask(&driver, &mut tally).await;
        }
        let spoilt = *spoilt.lock().unwrap();
        tally.print(self.name, spoilt);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_of_which_most_answers_are_spoilt() {
    Suite::kept().run(FEW).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_asked_everything_of_which_most_answers_are_spoilt() {
    Suite::simulated().run(FEW).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "12,500 of each suite: tests/campaign mutated"]
async fn many_spoilt_answers() {
    for suite in [Suite::kept(), Suite::simulated()] {
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

/// Spoils one row of the list, and looks whether the other VMs are told of as ever.
async fn spoil_one_vm(rounds: usize) {
    let row = |n: usize| {
        let id = format!("6c09bb55-d683-4da0-8931-c9bf705f{n:04x}");
        json!({"id": id, "name": format!("vm-{n}"), "state": 2 + n % 2, "health": 5})
    };
    let list = |rows: Vec<Value>| json!({"v": 1, "data": {"scope": "fast", "systems": rows, "figures": []}});
    let of = |list: Value| {
        let list = list.to_string();
        let spoil: Spoil = Box::new(move |script, json| {
            let is_list = script.starts_with("list.ps1 ");
            let whole = if is_list { &list } else { &json };
            framed(whole.as_bytes())
        });
        driver(Answers::kept(), spoil)
    };
    let expected = of(list((0..6).map(row).collect()));
    let expected = expected.inventory(Scope::Fast).await.unwrap().vms;
    assert_eq!(expected.len(), 6);
    let mut mutator = mutator(&WORDS);
    let (mut round, mut spoilt) = (0, 0);
    while spoilt < rounds {
        round += 1;
        let victim = round % 6;
        let text = mutator.next(&[row(victim).to_string().into_bytes()]);
        // What is no JSON spoils the whole answer.
        let Ok(value) = serde_json::from_slice::<Value>(&text) else {
            continue;
        };
        spoilt += 1;
        // A row with another's id makes two of that id, and the first of them stays.
        let id = value["id"].as_str().map(str::to_lowercase);
        let mut rows: Vec<Value> = (0..6).map(row).collect();
        rows[victim] = value;
        let read = of(list(rows)).inventory(Scope::Fast).await;
        let found = read.unwrap_or_else(|error| panic!("round {round}: {error}"));
        judged_inventory(&found);
        for (n, vm) in expected.iter().enumerate().filter(|(n, _)| *n != victim) {
            let is_forged = id.as_deref() == Some(vm.id.as_str());
            assert!(
                is_forged || found.vms.contains(vm),
                "round {round}: vm {n} is not as it was, {text:?} instead of {victim}: {found:?}"
            );
        }
    }
    let told = format!("{spoilt} of {round} that are JSON still");
    figure("mutated", "rows of one VM of Hyper-V", told);
}
