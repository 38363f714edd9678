//! Hyper-V: answers of the scripts, mutated in their JSON, in their frames, and in what stands around them.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vmdeck::domain::action::{Action, ActionKind};
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::domain::vm::{Vm, VmId};
use vmdeck::hypervisor::hyperv::{HyperV, commands};
use vmdeck::hypervisor::{Hypervisor, ProgressSink};
use vmdeck::transport::{
    Chunk, CommandOutput, ExecLimits, ExitStatus, RemoteProcess, Transport, TransportError,
};

use crate::{judged, judged_detail, judged_inventory, mutator, wanted};

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

/// What becomes of an answer: the script, its JSON in, the whole of standard output out (with `NONCE`).
type Spoil = Box<dyn FnMut(&str, String) -> Vec<u8> + Send>;

struct Host(Mutex<Spoil>);

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}

#[derive(Debug, Clone)]
struct Link(Arc<Host>);

fn corpus(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/hyperv_answers");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// What a whole host answers to a script, which is told by its name; verbs are told by their body.
fn answer(script: &str) -> String {
    match script {
        "probe.ps1" => corpus("probe"),
        "list.ps1" => corpus("cim"),
        "list-cmdlets.ps1" => corpus("cmdlets"),
        "detail.ps1" | "detail-cim.ps1" => corpus("detail"),
        _ => json!({"v": 1, "data": {"state": 2}}).to_string(),
    }
}

/// The nonce of a command: what its frames begin with is in the script it travels with.
fn nonce(command: &RemoteCommand) -> String {
    let bytes = STANDARD
        .decode(command.encoded.as_deref().unwrap_or_default())
        .unwrap();
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let script = String::from_utf16_lossy(&units);
    let (_, after) = script.split_once("@@HV1 ").expect("a mark in the script");
    after.chars().take(16).collect()
}

impl Link {
    fn says(&self, command: &RemoteCommand) -> Vec<u8> {
        let script = command.args.first().map_or("", |arg| arg.value.as_str());
        let said = (self.0.0.lock().unwrap())(script, answer(script));
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
        let said = self.says(command);
        Ok(Box::new(Process(vec![
            Chunk::Closed,
            Chunk::Exit(ExitStatus::Code(0)),
            Chunk::Stdout(said),
        ])))
    }

    async fn closed(&self) -> TransportError {
        std::future::pending().await
    }

    async fn close(&self) {}
}

/// A process that says it all at once; the last is said first.
#[derive(Debug)]
struct Process(Vec<Chunk>);

#[async_trait]
impl RemoteProcess for Process {
    async fn read(&mut self) -> Result<Chunk, TransportError> {
        Ok(self.0.pop().unwrap_or(Chunk::Closed))
    }

    async fn write(&mut self, _bytes: &[u8]) -> Result<(), TransportError> {
        Ok(())
    }

    async fn close(&mut self) {}
}

fn framed(json: &[u8]) -> Vec<u8> {
    format!("@@HV1 NONCE OK {}\r\n", STANDARD.encode(json)).into_bytes()
}

fn driver(spoil: Spoil) -> HyperV {
    HyperV::new(Arc::new(Link(Arc::new(Host(Mutex::new(spoil))))))
}

#[tokio::test(start_paused = true)]
async fn a_host_of_which_most_answers_are_spoilt() {
    let spoilt = Arc::new(Mutex::new(0_u64));
    let counter = Arc::clone(&spoilt);
    let mut mutator = mutator(&WORDS);
    let mut turn = 0_u64;
    let mut spoil = move |_: &str, json: String| {
        turn += 1;
        if turn.is_multiple_of(3) {
            return framed(json.as_bytes());
        }
        *counter.lock().unwrap() += 1;
        match turn % 4 {
            // Mostly the JSON inside: a frame that is broken is soon refused.
            0 => mutator.next(&[framed(json.as_bytes())]),
            _ => framed(&mutator.next(&[json.into_bytes()])),
        }
    };
    let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
    let shared = Arc::new(Mutex::new(move |script: &str, json: String| {
        spoil(script, json)
    }));
    let total = wanted();
    while *spoilt.lock().unwrap() < total {
        // A new link now and then, as a session has it: what was learnt of a host may be wrong as well.
        let shared = Arc::clone(&shared);
        let driver = driver(Box::new(move |script, json| {
            (shared.lock().unwrap())(script, json)
        }));
        match driver.probe().await {
            Ok(found) => {
                crate::shown([&found.version]);
                crate::shown(&found.remarks);
            }
            Err(error) => judged(&error),
        }
        for scope in [Scope::Full, Scope::Fast, Scope::Fast] {
            judged_inventory(&driver.inventory(scope).await);
        }
        judged_detail(&driver.detail(&vm).await);
        for kind in [ActionKind::Start, ActionKind::Shutdown] {
            let sent = commands(&vm, &Action::new(kind)).unwrap();
            if let Err(error) = driver.perform(&sent, &ProgressSink::unheard()).await {
                judged(&error);
            }
        }
    }
    println!("{} answers of Hyper-V", spoilt.lock().unwrap());
}

/// Spoils one row of the list, and looks whether the other VMs are told of as ever.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_vm_costs_no_other() {
    let row = |n: usize| {
        let id = format!("6c09bb55-d683-4da0-8931-c9bf705f{n:04x}");
        json!({"id": id, "name": format!("vm-{n}"), "state": 2 + n % 2, "health": 5})
    };
    let list = |rows: Vec<Value>| json!({"v": 1, "data": {"scope": "fast", "systems": rows, "figures": []}});
    let told = |vm: &Vm| (vm.id.clone(), vm.name.clone(), vm.state.clone());
    let of = |list: Value| {
        let list = list.to_string();
        driver(Box::new(move |script, json| {
            let whole = if script == "list.ps1" { &list } else { &json };
            framed(whole.as_bytes())
        }))
    };
    let expected = of(list((0..6).map(row).collect()));
    let expected = expected.inventory(Scope::Fast).await.unwrap().vms;
    assert_eq!(expected.len(), 6);
    let mut mutator = mutator(&WORDS);
    let rounds = (wanted() / 2).max(100);
    let mut spoilt = 0;
    for round in 0..rounds {
        let victim = usize::try_from(round).unwrap() % 6;
        let text = mutator.next(&[row(victim).to_string().into_bytes()]);
        let Ok(value) = serde_json::from_slice::<Value>(&text) else {
            continue;
        };
        spoilt += 1;
        let mut rows: Vec<Value> = (0..6).map(row).collect();
        rows[victim] = value;
        let read = of(list(rows)).inventory(Scope::Fast).await;
        judged_inventory(&read);
        let found = read
            .unwrap_or_else(|error| panic!("round {round}: {error}"))
            .vms;
        for (n, vm) in expected.iter().enumerate().filter(|(n, _)| *n != victim) {
            // A row with another's id makes two of that id, and the first of them stays.
            let stolen = String::from_utf8_lossy(&text)
                .to_lowercase()
                .contains(vm.id.as_str());
            let same = found.iter().any(|found| told(found) == told(vm));
            assert!(
                same || stolen,
                "round {round}: vm {n} was lost with {victim}"
            );
        }
    }
    assert!(spoilt > 20, "{spoilt} of {rounds} rows were JSON at all");
    println!("{spoilt} spoilt rows");
}
