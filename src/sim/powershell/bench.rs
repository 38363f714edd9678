//! A machine for tests: a Windows host with one command of its own, and helpers that run scripts and
//! command lines on it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::call::Call;
use super::error::{Category, ErrorRecord};
use super::life::{Life, Processes};
use super::machine::{Machine, Reply, Windows};
use super::object::Object;
use super::process;
use super::spec::{Param, Spec};
use super::value::Value;
use crate::sim::stdio::{Piece, Stdio};

static GET_THING: Spec = Spec::new(
    "Get-Thing",
    "Things",
    "Example.Commands.GetThing",
    &[
        Param::typed("Name", "string[]").at(0),
        Param::typed("Id", "guid"),
        Param::switch("Force"),
    ],
);

static STOP_THING: Spec = Spec::new(
    "Stop-Thing",
    "Things",
    "Example.Commands.StopThing",
    &[
        Param::any("Thing").at(0).mandatory(),
        Param::switch("Force"),
    ],
)
.confirms();

/// A host with things: `Get-Thing a,b` answers one for each name, and an error for `none`.
#[derive(Debug, Clone)]
pub(super) struct TestMachine {
    pub(super) windows: Windows,
    pub(super) processes: Processes,
    pub(super) now: Timestamp,
    /// Whether time passes at once.
    pub(super) jumps: bool,
    /// The text of its only file, `C:\\test.ps1`.
    pub(super) file: String,
}

impl Default for TestMachine {
    fn default() -> Self {
        Self {
            windows: Windows::default(),
            processes: Processes::default(),
            now: "2026-03-04T05:06:07Z".parse().unwrap(),
            jumps: true,
            file: String::new(),
        }
    }
}

impl Machine for TestMachine {
    fn windows(&self) -> Arc<Windows> {
        Arc::new(self.windows.clone())
    }

    fn spec(&self, name: &str) -> Option<&'static Spec> {
        [&GET_THING, &STOP_THING]
            .into_iter()
            .find(|spec| spec.name.eq_ignore_ascii_case(name))
    }

    fn command(&mut self, call: &Call) -> Reply {
        if call.spec.name == "Stop-Thing" {
            return Reply::value(call.refused("Confirm"));
        }
        let mut reply = Reply::nothing();
        for name in call.texts("Name") {
            if name == "none" {
                reply.errors.push(
                    call.error(
                        "Example.ThingException",
                        "There is no such thing.",
                        "NoThing",
                        Category::ObjectNotFound,
                    )
                    .with_target("none")
                    .with_hresult(0x8004_1002),
                );
            } else {
                let state = Value::enumeration("Example.State", "Running", 2);
                reply.output.push(
                    Object::new("Example.Thing")
                        .with("Name", name.as_str())
                        .with("State", state)
                        .into(),
                );
            }
        }
        reply
    }

    fn method(
        &mut self,
        on: &Object,
        name: &str,
        _arguments: &[Value],
    ) -> Option<Result<Value, ErrorRecord>> {
        (on.is("Example.Thing") && name == "Poke").then(|| Ok(Value::str("poked")))
    }

    fn static_member(
        &mut self,
        type_name: &str,
        member: &str,
        arguments: Option<&[Value]>,
    ) -> Option<Result<Value, ErrorRecord>> {
        (type_name == "System.Security.Example" && member == "Answer" && arguments.is_some())
            .then(|| Ok(Value::Int(42)))
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn sleep(&mut self, life: &Life, time: Duration) -> bool {
        if self.jumps {
            self.now += time;
            return !life.ended();
        }
        life.wait(time)
    }

    fn processes(&self) -> Processes {
        self.processes.clone()
    }

    fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        (path == r"C:\test.ps1").then(|| self.file.clone().into_bytes())
    }

    fn environment(&self, name: &str) -> Option<String> {
        name.eq_ignore_ascii_case("TEMP")
            .then(|| r"C:\Temp".to_owned())
    }
}

/// What a command line did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    pub(super) code: u32,
}

impl Done {
    /// Standard output as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Standard error as text.
    pub(super) fn error(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }
}

/// Runs a command line with some input, as a channel would.
pub(super) fn run_line(machine: &TestMachine, line: &str, input: &[&str]) -> Done {
    let (mut stdio, mut ends) = Stdio::new();
    for piece in input {
        ends.input.try_send(piece.as_bytes().to_vec()).unwrap();
    }
    drop(ends.input);
    let mut machine = machine.clone();
    let line = line.to_owned();
    let thread = std::thread::spawn(move || process::run(&line, &mut machine, &mut stdio));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = ends.output.blocking_recv() {
        match piece {
            Piece::Out(bytes) => out.extend(bytes),
            Piece::Err(bytes) => err.extend(bytes),
        }
    }
    let code = thread.join().unwrap();
    Done { out, err, code }
}

/// The command line that runs a script encoded.
pub(super) fn encoded(program: &str, script: &str) -> String {
    use base64::Engine as _;
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!(
        "{program} -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand {text}"
    )
}

/// Runs a script in 5.1.
pub(super) fn run(script: &str) -> Done {
    run_line(
        &TestMachine::default(),
        &encoded("powershell.exe", script),
        &[],
    )
}

/// Runs a script in 7.
pub(super) fn run_core(script: &str) -> Done {
    run_line(&TestMachine::default(), &encoded("pwsh.exe", script), &[])
}

/// Runs a script of any length from a file, in 5.1 and with UTF-8 output.
pub(super) fn run_file(script: &str) -> Done {
    let mut machine = TestMachine {
        file: script.to_owned(),
        ..TestMachine::default()
    };
    machine.windows.code_page = 65001;
    run_line(
        &machine,
        r"powershell.exe -NoProfile -File C:\test.ps1",
        &[],
    )
}
