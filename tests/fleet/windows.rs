//! Checking and recording hosts: a Windows host that is scripted, and any host at all.

use std::io::Read as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use vmdeck::clock::Clock;
use vmdeck::domain::error_kind::ErrorKind;
use vmdeck::domain::host::KindChoice;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::fleet::request::Finding;
use vmdeck::hypervisor::InstalledDrivers;
use vmdeck::transport::ExitStatus;
use vmdeck::transport::scripted::{Answer, Script};

use crate::lab::{Lab, Plans, spec};
use crate::world::Mood;

const VM: &str = "6C09BB55-D683-4DA0-8931-C9BF705F6481";
const BANNER: &str = "Welcome to HV1, ann!\r\n";

/// What a healthy host's probe tells.
fn facts() -> Value {
    json!({
        "powershell": "5.1.20348.2", "edition": "Desktop", "languageMode": "FullLanguage",
        "codePage": 850, "culture": "de-DE", "uiCulture": "de-DE", "host": "HV1", "user": "CORP\\ann",
        "isAdmin": false, "isHyperVAdmin": true, "version": "10.0.20348", "productType": 3,
        "processors": 16, "memory": 68_719_476_736_u64, "module": ["2.0.0.0"],
        "services": {"vmms": "Running"}, "programs": {}, "rows": 2
    })
}

/// What its list tells: the host itself and one VM.
fn list() -> Value {
    json!({
        "scope": "full",
        "systems": [
            {"id": "HV1", "name": "HV1", "state": 2, "health": 5},
            {"id": VM, "name": "payroll", "state": 3, "health": 5}
        ],
        "figures": [{"id": VM, "load": null, "memoryMb": null, "uptimeMs": 0, "processors": 2,
            "heartbeat": null, "system": "", "notes": "ask Bob in room 12"}],
        "settings": [], "memory": [], "checkpoints": [], "addresses": []
    })
}

/// Opens what travels, as PowerShell would, and takes the nonce out of it.
fn nonce_of(command: &RemoteCommand) -> String {
    let bytes = STANDARD
        .decode(command.encoded.as_deref().unwrap())
        .unwrap();
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut script = String::from_utf16(&units).unwrap();
    if script.contains("GzipStream") {
        let quoted = |before: &str| {
            let rest = script.split_once(before)?.1;
            Some(rest.split_once('\'')?.0)
        };
        let payload = match quoted("foreach ($sign in '") {
            Some(signs) => undense(signs),
            None => STANDARD
                .decode(quoted("FromBase64String('").unwrap())
                .unwrap(),
        };
        script = String::new();
        GzDecoder::new(&payload[..])
            .read_to_string(&mut script)
            .unwrap();
    }
    let (_, rest) = script.split_once("@@HV1 ").unwrap();
    rest.chars().take(16).collect()
}

/// Reads ideographs of fourteen bits each, as `bootstrap-dense.ps1` does.
fn undense(signs: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0_u32, Vec::new());
    for sign in signs.chars() {
        bits = (bits & 255) * 16_384 + u32::from(sign) - 19_968;
        count += 14;
        while count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 255).unwrap());
        }
    }
    bytes
}

/// A Windows host with a profile that greets, whose scripts answer so.
fn windows(facts: Value) -> Script {
    let script = Script::new();
    script.on("echo", Answer::out(format!("{BANNER}vmdeck-was-here\r\n")));
    script.on(
        "powershell.exe",
        Answer::made(move |command| {
            let data = match command.args[0].value.as_str() {
                "probe.ps1" => facts.clone(),
                "list.ps1" => list(),
                other => json!({ "asked": other }),
            };
            let answer = json!({"v": 1, "data": [data], "gaps": []}).to_string();
            Answer::out(format!(
                "{BANNER}@@HV1 {} OK {}\r\n",
                nonce_of(command),
                STANDARD.encode(answer)
            ))
        }),
    );
    script
}

async fn up(script: &Script) -> Lab {
    let plans = Plans::hosts(1).await;
    let mut host = spec("h1");
    host.kind = KindChoice::HyperV;
    host.id = plans.profile.hosts().await.unwrap()[0].id;
    plans.profile.upsert_host(host).await.unwrap();
    let drivers = InstalledDrivers::new(Clock::system());
    plans
        .start_with(Arc::new(script.connector()), Arc::new(drivers))
        .await
}

async fn examine(script: &Script) -> Vec<Finding> {
    let lab = up(script).await;
    lab.handle.doctor(lab.id("h1")).await.unwrap()
}

fn find<'a>(findings: &'a [Finding], step: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.step == step);
    found.unwrap_or_else(|| panic!("{step} is not among {findings:#?}"))
}

#[tokio::test(start_paused = true)]
async fn a_banner_of_windows_is_a_remark_and_every_step_is_looked_at() {
    let findings = examine(&windows(facts())).await;
    let steps: Vec<&str> = findings.iter().map(|finding| finding.step).collect();
    assert_eq!(
        steps,
        [
            "name",
            "tcp",
            "host key",
            "login",
            "shell",
            "tool",
            "language",
            "hyper-v",
            "service",
            "permission",
            "latency"
        ]
    );
    assert!(
        findings.iter().all(|finding| finding.ok == Some(true)),
        "{findings:#?}"
    );
    let shell = find(&findings, "shell");
    assert!(shell.seen.raw().contains("Welcome to HV1"), "{shell:?}");
    assert!(shell.fix.is_some());
    assert!(
        find(&findings, "tool")
            .seen
            .raw()
            .contains("Windows Server 2022")
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_on_windows_is_named_with_the_command_that_mends_it() {
    let mut wrong = facts();
    wrong["services"]["vmms"] = json!("Stopped");
    wrong["isHyperVAdmin"] = json!(false);
    let findings = examine(&windows(wrong)).await;
    let service = find(&findings, "service");
    assert_eq!(service.ok, Some(false));
    assert!(service.fix.as_ref().unwrap().contains("Start-Service vmms"));
    let permission = find(&findings, "permission");
    assert_eq!(permission.ok, Some(false));
    assert!(permission.fix.as_ref().unwrap().contains("'CORP\\ann'"));
    assert_eq!(find(&findings, "latency").ok, None, "not reached");
}

#[tokio::test(start_paused = true)]
async fn a_host_without_powershell_stops_at_the_tool() {
    let script = Script::new();
    script.on("echo", Answer::out("vmdeck-was-here\r\n"));
    let unknown = Answer::exit(1).stderr(b"Der Befehl \x84powershell.exe\x93 ist falsch\r\n");
    script.on("powershell", unknown.clone());
    script.on("pwsh", unknown.status(ExitStatus::Code(1)));
    let findings = examine(&script).await;
    let tool = find(&findings, "tool");
    assert_eq!(tool.ok, Some(false), "{findings:#?}");
    assert!(tool.fix.as_ref().unwrap().contains("powershell.exe"));
    assert_eq!(find(&findings, "latency").ok, None);
}

#[tokio::test(start_paused = true)]
async fn a_windows_host_is_recorded_without_a_word_of_its_owner() {
    let script = windows(facts());
    let lab = up(&script).await;
    let recording = lab.handle.record(lab.id("h1")).await.unwrap();
    let asked: Vec<&str> = recording
        .transcripts
        .iter()
        .map(|transcript| transcript.question.as_str())
        .collect();
    assert_eq!(asked[0], "probe.ps1 {}");
    assert_eq!(
        asked.last().unwrap(),
        &"detail.ps1 {\"id\":\"00000000-0000-4000-8000-000000000001\"}"
    );
    let mut whole = String::new();
    for transcript in &recording.transcripts {
        let answer = transcript.answer.as_ref().unwrap();
        assert_eq!(answer.status, "0");
        for line in String::from_utf8(answer.stdout.bytes.clone())
            .unwrap()
            .lines()
        {
            whole.push_str(line);
            let payload = line
                .rsplit(' ')
                .next()
                .and_then(|word| STANDARD.decode(word).ok());
            if let (true, Some(json)) = (line.starts_with("@@HV1 0000000000000000 OK "), payload) {
                whole.push_str(&String::from_utf8(json).unwrap());
            }
        }
    }
    for word in [
        "payroll",
        "HV1,",
        "\"HV1\"",
        "ann",
        "CORP",
        "Bob",
        &VM.to_lowercase(),
        VM,
    ] {
        assert!(!whole.contains(word), "{word} in {whole}");
    }
    for word in ["\"vm-1\"", "host-", "user-", "Welcome to", "5.1.20348.2"] {
        assert!(whole.contains(word), "{word} not in {whole}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_host_is_recorded_by_the_questions_its_driver_brings() {
    let lab = Plans::hosts(1).await.up().await;
    let (id, first) = (lab.id("h1"), lab.vm("h1", 1));
    let recording = lab.handle.record(id).await.unwrap();
    let asked: Vec<&str> = recording
        .transcripts
        .iter()
        .map(|transcript| transcript.question.as_str())
        .collect();
    assert_eq!(
        asked,
        [
            "host",
            "about 00000000-0000-4000-8000-000000000001",
            "about 00000000-0000-4000-8000-000000000002"
        ]
    );
    for transcript in &recording.transcripts {
        let said = &transcript.answer.as_ref().unwrap().stdout.bytes;
        let said = String::from_utf8(said.clone()).unwrap();
        assert_eq!(said, transcript.question);
        assert!(!said.contains(first.vm.as_str()));
    }
    assert_eq!(recording.replaced["uuids"], 2);
    lab.world.with("h1", |machine| {
        machine.connect = Mood::Fails(crate::hosts::unreachable());
    });
    let refused = lab.handle.record(id).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unreachable);
}
