//! Tests of `driver`: which scripts are run, what their answers become, and what happens when they do
//! not come. The host is scripted; frames are made as the scripts make them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::driver::HyperV;
use super::envelope::tests::{nonce_of, opened};
use super::facts::tests::healthy;
use super::frames::tests::framed;
use crate::domain::action::ActionKind;
use crate::domain::capability::Capabilities;
use crate::domain::error_kind::{Classify, ErrorKind};
use crate::domain::inventory::Scope;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot;
use crate::domain::vm::{PowerState, VmId};
use crate::hypervisor::{Hypervisor, HypervisorError, ProgressSink};
use crate::transport::scripted::{Answer, Script};
use crate::transport::{ExitStatus, TransportError};

const A: &str = "6C09BB55-D683-4DA0-8931-C9BF705F6480";
const B: &str = "7C09BB55-D683-4DA0-8931-C9BF705F6480";

fn ok(data: Value) -> Answer {
    ok_with(data, json!([]))
}

fn ok_with(data: Value, gaps: Value) -> Answer {
    let mut whole = json!({"v": 1});
    whole["data"] = Value::Array(vec![data]);
    whole["gaps"] = gaps;
    Answer::made(move |command| Answer::out(framed(&nonce_of(command), "OK", &whole)))
}

fn err(record: Value) -> Answer {
    Answer::made(move |command| {
        Answer::out(framed(&nonce_of(command), "ERR", &record)).status(ExitStatus::Code(1))
    })
}

fn failure(fqid: &str, message: &str) -> Value {
    json!({"v": 1, "messages": [message], "codes": [], "fqid": fqid, "category": "", "reason": "", "why": null})
}

fn constrained() -> Answer {
    Answer::made(|command| {
        let nonce = nonce_of(command);
        Answer::out(format!("@@HV1 {nonce} LANG ConstrainedLanguage\r\n"))
            .status(ExitStatus::Code(1))
    })
}

fn host(probe: Answer, list: Answer) -> (Script, HyperV) {
    let script = Script::new();
    script.on("probe.ps1", probe).on("list.ps1", list);
    let driver = HyperV::new(script.transport());
    (script, driver)
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut facts = healthy();
    change(&mut facts);
    facts
}

fn vm(id: &str, name: &str, state: i64) -> Value {
    json!({"id": id, "name": name, "state": state, "health": 5})
}

fn list_of(systems: Vec<Value>) -> Value {
    let mut rows = vec![json!({"id": "HV1", "name": "HV1", "state": 2, "health": 5})];
    rows.extend(systems);
    json!({"scope": "fast", "systems": rows, "figures": []})
}

async fn probed(facts: Value) -> Result<Capabilities, HypervisorError> {
    host(ok(facts), ok(list_of(vec![]))).1.probe().await
}

#[tokio::test(start_paused = true)]
async fn a_healthy_host_says_what_it_is() {
    let able = probed(healthy()).await.unwrap();
    assert_eq!(
        able.version.raw(),
        "Hyper-V on Windows Server 2022 (10.0.20348)"
    );
    assert_eq!(
        able.connection.unwrap().raw(),
        "root\\virtualization\\v2 (Windows PowerShell 5.1.20348.2)"
    );
    assert_eq!(able.channel, "one process per command");
    assert_eq!(able.host_cpus, Some(16));
    assert_eq!(able.actions.len(), ActionKind::ALL.len());
    assert!(able.remarks.is_empty(), "{:?}", able.remarks);
}

#[tokio::test(start_paused = true)]
async fn each_finding_of_the_probe_is_one_clear_failure() {
    let no_namespace = json!([{"part": "namespace", "failure": failure("HRESULT 0x8004100e,X", "Ung\u{fc}ltiger Namespace")}]);
    let denied = json!([{"part": "namespace", "failure": failure("HRESULT 0x80041003,X", "Zugriff verweigert")}]);
    let bare = || {
        with(|facts| {
            facts["rows"] = Value::Null;
            facts["module"] = json!([]);
            facts["services"] = json!({});
        })
    };
    for (facts, gaps, kind, words) in [
        (
            bare(),
            no_namespace.clone(),
            ErrorKind::Protocol,
            "Hyper-V was not found",
        ),
        (bare(), denied, ErrorKind::Permission, "Zugriff verweigert"),
        (
            with(|facts| facts["services"] = json!({"vmms": "Stopped"})),
            json!([]),
            ErrorKind::Remote,
            "the service is Stopped",
        ),
        (
            with(|facts| {
                facts["isHyperVAdmin"] = json!(false);
                facts["rows"] = json!(0);
            }),
            json!([]),
            ErrorKind::Permission,
            "HV1\\ann is in neither",
        ),
    ] {
        let (_script, driver) = host(ok_with(facts, gaps), ok(json!({})));
        let error = driver.probe().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(
            driver.facts().is_some(),
            "the facts stay known for the doctor"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn findings_that_only_limit_are_remarks() {
    let able = probed(with(|facts| facts["module"] = json!([])))
        .await
        .unwrap();
    assert!(
        able.remarks[0].raw().contains("module"),
        "{:?}",
        able.remarks
    );
    assert!(!able.actions.contains(&ActionKind::AutostartOn));
    assert!(able.actions.contains(&ActionKind::Start));
    let able = probed(with(|facts| facts["isHyperVAdmin"] = json!(false)))
        .await
        .unwrap();
    assert!(
        able.remarks[0].raw().contains("neither"),
        "{:?}",
        able.remarks
    );
    let able = probed(with(|facts| facts["edition"] = json!("Core")))
        .await
        .unwrap();
    assert!(
        able.remarks[0].raw().contains("PowerShell 7"),
        "{:?}",
        able.remarks
    );
    assert!(able.connection.unwrap().raw().contains("(PowerShell 5"));
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_exactly_one_command() {
    let (script, driver) = host(ok(healthy()), ok(list_of(vec![vm(A, "web", 2)])));
    driver.probe().await.unwrap();
    let before = script.commands().len();
    for scope in [Scope::Fast, Scope::Full, Scope::Fast] {
        let inventory = driver.inventory(scope).await.unwrap();
        assert_eq!(inventory.vms[0].state, PowerState::Running);
    }
    assert_eq!(script.commands().len(), before + 3);
    assert!(script.commands()[before].ends_with("list.ps1 '{\"scope\":\"fast\"}'"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_is_believed_only_of_an_account_that_may_see_vms() {
    let seen = |facts: Value, list: Value| async move {
        host(ok(facts), ok(list)).1.inventory(Scope::Fast).await
    };
    let member = healthy();
    let stranger = with(|facts| facts["isHyperVAdmin"] = json!(false));
    assert!(
        seen(member.clone(), list_of(vec![]))
            .await
            .unwrap()
            .vms
            .is_empty()
    );
    let error = seen(stranger.clone(), list_of(vec![])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.hint().unwrap().0.contains("S-1-5-32-578"));
    let error = seen(member, json!({"systems": []})).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Remote,
        "not even the host is shown: {error}"
    );
    let some = seen(stranger, list_of(vec![vm(A, "mine", 3)]))
        .await
        .unwrap();
    assert_eq!(some.vms.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_names_of_powershell_are_tried_until_one_answers() {
    let script = Script::new();
    script.on(
        "probe.ps1",
        Answer::made(|command| {
            if command.program == "pwsh" {
                let whole = json!({"v": 1, "data": [healthy()], "gaps": []});
                Answer::out(framed(&nonce_of(command), "OK", &whole))
            } else {
                Answer::exit(1).stderr("Der Befehl ist entweder falsch geschrieben oder\r\n")
            }
        }),
    );
    let driver = HyperV::new(script.transport());
    driver.probe().await.unwrap();
    assert_eq!(script.commands().len(), 3);
    driver.probe().await.unwrap();
    assert_eq!(
        script.commands().len(),
        4,
        "the one that answered is remembered"
    );

    let script = Script::new();
    script.on("probe.ps1", Answer::exit(1).stderr("Der Befehl fehlt.\r\n"));
    let error = HyperV::new(script.transport()).probe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("Der Befehl fehlt."), "{error}");
}

#[tokio::test(start_paused = true)]
async fn where_cim_fails_and_the_module_is_there_the_cmdlets_are_asked() {
    let broken = failure("HRESULT 0x80041001,X", "Generic failure");
    let (script, driver) = host(ok(healthy()), err(broken.clone()));
    let machine = json!({"id": A.to_lowercase(), "name": "web", "state": 32785, "stateName": "RunningCritical",
        "load": 5, "memory": 1_073_741_824, "startup": 1_073_741_824, "uptimeMs": 5000, "processors": 2,
        "notes": "", "start": 4, "checkpoints": 2, "addresses": ["10.0.0.5", "fe80::1", "fd00::5"]});
    script.on("list-cmdlets.ps1", ok(json!({"machines": [machine]})));
    driver.probe().await.unwrap();
    let inventory = driver.inventory(Scope::Full).await.unwrap();
    let web = &inventory.vms[0];
    assert_eq!(
        web.state,
        PowerState::Unknown("RunningCritical (32785)".into())
    );
    assert_eq!(web.facts.snapshots, Some(2));
    assert_eq!(web.facts.autostart, Some(true));
    let ips: Vec<String> = web
        .facts
        .addresses
        .iter()
        .flatten()
        .map(|at| at.ip.to_string())
        .collect();
    assert_eq!(ips, ["10.0.0.5", "fd00::5"]);
    assert_eq!(web.stats.memory_used.unwrap().0, 1_073_741_824);
    let before = script.commands().len();
    driver.inventory(Scope::Fast).await.unwrap();
    assert_eq!(
        script.commands().len(),
        before + 1,
        "the way that works is remembered"
    );

    // Where the cmdlets fail as well, what CIM said is told.
    let (script, driver) = host(ok(healthy()), err(broken));
    script.on(
        "list-cmdlets.ps1",
        err(failure("CouldNotAutoLoadModule", "no module")),
    );
    driver.probe().await.unwrap();
    let error = driver.inventory(Scope::Fast).await.unwrap_err();
    assert!(error.to_string().contains("Generic failure"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_constrained_powershell_is_read_by_a_plain_pipeline_and_changes_nothing() {
    let script = Script::new();
    script
        .on("list.ps1", constrained())
        .on("probe.ps1", constrained());
    script.on(
        "constrained-probe.ps1",
        Answer::made(|command| {
            let nonce = nonce_of(command);
            let facts = json!({"powershell": "5.1.1", "languageMode": "ConstrainedLanguage",
                "module": ["2.0.0.0"], "services": {"vmms": "Running"}, "processors": 4,
                "version": "10.0.17763", "productType": 3});
            Answer::out(format!(
                "@@HV1 {nonce} RAW {facts}\r\n@@HV1 {nonce} END 1\r\n"
            ))
        }),
    );
    script.on(
        "constrained-list.ps1",
        Answer::in_turn([
            Answer::made(|command| {
                let nonce = nonce_of(command);
                let row = json!({"id": A, "name": "a b", "state": 2, "stateName": "Running", "load": 10, "processors": 4});
                Answer::out(format!("@@HV1 {nonce} RAW {row}\r\n@@HV1 {nonce} END 1\r\n"))
            }),
            Answer::made(|command| {
                let nonce = nonce_of(command);
                Answer::out(format!("@@HV1 {nonce} END 2\r\n"))
            }),
        ]),
    );
    let driver = HyperV::new(script.transport());
    let able = driver.probe().await.unwrap();
    assert!(able.actions.is_empty());
    assert!(
        able.remarks
            .iter()
            .any(|remark| remark.raw().contains("constrained"))
    );
    let inventory = driver.inventory(Scope::Fast).await.unwrap();
    assert_eq!(inventory.vms[0].name.raw(), "a b");
    assert!((inventory.vms[0].stats.cpu.unwrap().value() - 10.0).abs() < 0.01);
    let error = driver.inventory(Scope::Fast).await.unwrap_err();
    assert!(error.to_string().contains("rows are missing"), "{error}");
    let plan = super::commands(&VmId::parse(A).unwrap(), &ActionKind::Start.into()).unwrap();
    let error = driver
        .perform(&plan, &ProgressSink::unheard())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

fn plan(kind: ActionKind) -> Vec<RemoteCommand> {
    super::commands(&VmId::parse(A).unwrap(), &kind.into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_action_sends_exactly_what_was_shown_and_tells_how_far_it_is() {
    let script = Script::new();
    let seen: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&seen);
    script.on(
        "Set-State $vm 6 $saved",
        Answer::made(move |command| {
            kept.lock().unwrap().push(opened(command));
            let nonce = nonce_of(command);
            let mut out = String::from("Welcome\r\n");
            out += &framed(&nonce, "JOB", &json!({"id": "J", "process": 4}));
            out += &framed(
                &nonce,
                "PROG",
                &json!({"id": "J", "percent": 40, "state": 4}),
            );
            let done = json!({"v": 1, "data": [{"state": 6, "done": true}], "gaps": []});
            out += &framed(&nonce, "OK", &done);
            Answer::out(out)
        }),
    );
    let driver = HyperV::new(script.transport());
    let (sink, news) = ProgressSink::new();
    driver
        .perform(&plan(ActionKind::Save), &sink)
        .await
        .unwrap();
    assert_eq!(news.borrow().as_ref().unwrap().percent, Some(40));
    let sent = seen.lock().unwrap().clone();
    assert_eq!(sent.len(), 1, "an action is sent once");
    assert!(sent[0].contains(&plan(ActionKind::Save)[0].args[0].value));
    assert!(!sent[0].contains("NONCE"));
}

#[tokio::test(start_paused = true)]
async fn how_an_action_ends_decides_whether_it_may_have_happened() {
    let refused = json!({"v": 1, "messages": ["vmdeck:no-shutdown-service"], "fqid": "vmdeck:no-shutdown-service",
        "why": {"code": "no-shutdown-service", "facts": {"id": "X"}}});
    let job = |command: &RemoteCommand| framed(&nonce_of(command), "JOB", &json!({"id": "J"}));
    for (answer, kind) in [
        (err(refused), ErrorKind::Refused),
        // The channel ended in the middle of a job.
        (
            Answer::made(move |command| Answer::out(job(command)).status(ExitStatus::Missing)),
            ErrorKind::Unreachable,
        ),
        (
            Answer::fail(TransportError::Lost {
                reason: "gone".into(),
            }),
            ErrorKind::Unreachable,
        ),
        (Answer::hang(), ErrorKind::Timeout),
        (Answer::out("nothing of ours"), ErrorKind::Protocol),
        (
            Answer::exit(1).stderr("'powershell.exe' fehlt"),
            ErrorKind::Protocol,
        ),
        (constrained(), ErrorKind::Refused),
    ] {
        let script = Script::new();
        script.on("InitiateShutdown", answer);
        let driver = HyperV::new(script.transport());
        let error = driver
            .perform(&plan(ActionKind::Shutdown), &ProgressSink::unheard())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(
            script.count("InitiateShutdown"),
            1,
            "an action is never sent twice"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_is_not_ours_is_not_run() {
    let script = Script::new();
    let driver = HyperV::new(script.transport());
    for command in [
        RemoteCommand::powershell("Remove-Item C:\\", "{}"),
        RemoteCommand::posix("virsh").arg("start"),
    ] {
        let error = driver
            .perform(&[command], &ProgressSink::unheard())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
    assert!(script.commands().is_empty());
}

#[tokio::test(start_paused = true)]
async fn at_most_three_scripts_run_at_once() {
    let (script, driver) = host(
        ok(healthy()),
        Answer::made(|command| {
            let whole = json!({"v": 1, "data": [list_of(vec![vm(A, "a", 3)])], "gaps": []});
            Answer::out(framed(&nonce_of(command), "OK", &whole)).after(Duration::from_secs(1))
        }),
    );
    driver.probe().await.unwrap();
    let driver = Arc::new(driver);
    let reads = (0..8).map(|_| {
        let driver = Arc::clone(&driver);
        async move { driver.inventory(Scope::Fast).await.map(drop) }
    });
    let watching = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        script.running()
    };
    let (results, running) = tokio::join!(futures_util::future::join_all(reads), watching);
    assert!(results.iter().filter(|result| result.is_ok()).count() >= 6);
    assert_eq!(running, 3);
}

#[tokio::test(start_paused = true)]
async fn answers_that_cannot_be_read_are_failures_and_never_an_empty_host() {
    let twice = Answer::made(|command| {
        let whole = json!({"v": 1, "data": [list_of(vec![])], "gaps": []});
        let frame = framed(&nonce_of(command), "OK", &whole);
        Answer::out(frame.clone() + &frame)
    });
    let forged = Answer::made(|_| {
        Answer::out(framed(
            "ffffffffffffffff",
            "OK",
            &json!({"v": 1, "data": [{}]}),
        ))
    });
    let garbage =
        Answer::made(|command| Answer::out(format!("@@HV1 {} OK %%%%\r\n", nonce_of(command))));
    let half = Answer::made(|command| {
        let whole = json!({"v": 1, "data": [list_of(vec![])], "gaps": []});
        let mut frame = framed(&nonce_of(command), "OK", &whole);
        frame.truncate(frame.len() / 2);
        Answer::out(frame).status(ExitStatus::Missing)
    });
    let two_rows = Answer::made(|command| {
        let whole = json!({"v": 1, "data": [{}, {}], "gaps": []});
        Answer::out(framed(&nonce_of(command), "OK", &whole))
    });
    let newer = Answer::made(|command| {
        Answer::out(framed(
            &nonce_of(command),
            "OK",
            &json!({"v": 2, "data": [{}]}),
        ))
    });
    let flood = Answer::made(|_| Answer::out(vec![b'x'; 30 * 1024 * 1024]));
    for (answer, what) in [
        (twice, "twice"),
        (forged, "forged"),
        (garbage, "garbage"),
        (half, "half"),
        (two_rows, "two rows"),
        (newer, "newer"),
        (flood, "flood"),
        (Answer::out(""), "nothing"),
    ] {
        let (_script, driver) = host(ok(healthy()), answer);
        driver.probe().await.unwrap();
        let error = driver.inventory(Scope::Fast).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unreachable),
            "{what}: {error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn ten_megabytes_of_banner_do_not_hide_the_answer() {
    let (_script, driver) = host(
        ok(healthy()),
        Answer::made(|command| {
            let whole = json!({"v": 1, "data": [list_of(vec![vm(B, "b", 9)])], "gaps": []});
            let mut out = vec![b'#'; 10 * 1024 * 1024];
            out.push(b'\n');
            out.extend(framed(&nonce_of(command), "OK", &whole).into_bytes());
            Answer::out(out)
        }),
    );
    let inventory = driver.inventory(Scope::Fast).await.unwrap();
    assert_eq!(inventory.vms[0].state, PowerState::Paused);
}

#[tokio::test(start_paused = true)]
async fn a_read_may_take_as_long_as_was_said() {
    let script = Script::new();
    script.on("list.ps1", Answer::hang());
    let driver = HyperV::new(script.transport()).reading_within(Duration::from_secs(7));
    for (scope, seconds) in [(Scope::Fast, 7), (Scope::Full, 21)] {
        let began = tokio::time::Instant::now();
        let error = driver.inventory(scope).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(began.elapsed(), Duration::from_secs(seconds));
    }
}

#[tokio::test(start_paused = true)]
async fn details_come_through_cim_where_the_cmdlets_cannot_be_used() {
    let vm = VmId::parse(A).unwrap();
    let root = "aaaaaaaa-0000-0000-0000-000000000000";
    let child = "bbbbbbbb-0000-0000-0000-000000000000";
    let path = format!(
        "\\\\HV1\\root\\virtualization\\v2:Msvm_VirtualSystemSettingData.InstanceID=\"Microsoft:{root}\""
    );
    let answer = json!({
        "machine": {"notes": "", "generation": 1, "startAction": 2, "parentCheckpoint": format!("Microsoft:{child}")},
        "checkpoints": [
            {"id": format!("Microsoft:{child}"), "name": "child", "parent": path},
            {"id": format!("Microsoft:{root}"), "name": "root", "parent": ""},
        ]
    });
    let missing = with(|facts| facts["module"] = json!([]));
    let copies = with(|facts| {
        facts["edition"] = json!("Core");
        facts["version"] = json!("10.0.14393");
    });
    for (facts, tries) in [(missing, 0), (copies, 0), (healthy(), 1)] {
        let (script, driver) = host(ok(facts), ok(list_of(vec![])));
        script.on(
            " detail.ps1",
            err(failure("CouldNotAutoloadMatchingModule", "Nicht ladbar.")),
        );
        script.on("detail-cim.ps1", ok(answer.clone()));
        driver.probe().await.unwrap();
        let detail = driver.detail(&vm).await.unwrap();
        assert_eq!(script.count(" detail.ps1"), tries);
        let tree: Vec<(&str, usize, bool)> = detail
            .snapshots
            .iter()
            .map(|point| {
                (
                    point.name.raw(),
                    snapshot::depth_of(&detail.snapshots, point),
                    point.is_current,
                )
            })
            .collect();
        assert_eq!(tree, [("root", 0, false), ("child", 1, true)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_the_guest_stays_in_its_details() {
    let vm_row = vm(A, "web", 2);
    let mut list = list_of(vec![vm_row]);
    list["figures"] = json!([{"id": A, "system": "Windows Server 2022 Standard"}]);
    let (script, driver) = host(ok(healthy()), ok(list));
    script.on(" detail.ps1", ok(json!({"machine": {"generation": 2}})));
    driver.inventory(Scope::Full).await.unwrap();
    let detail = driver.detail(&VmId::parse(A).unwrap()).await.unwrap();
    assert_eq!(
        detail.facts.os.unwrap().raw(),
        "Windows Server 2022 Standard"
    );
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_is_gone_is_told_from_a_service_that_is_stopped() {
    let gone = "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM";
    let seen = |facts: Value| async move {
        let (script, driver) = host(ok(facts), ok(list_of(vec![])));
        script.on(" detail.ps1", err(failure(gone, "Objekt nicht gefunden.")));
        script.on("autostart", err(failure(gone, "Objekt nicht gefunden.")));
        script.on(
            "AutomaticStartAction",
            err(failure(gone, "Objekt nicht gefunden.")),
        );
        let detail = driver.detail(&VmId::parse(A).unwrap()).await.unwrap_err();
        let action = driver
            .perform(&plan(ActionKind::AutostartOn), &ProgressSink::unheard())
            .await
            .unwrap_err();
        assert_eq!(detail.kind(), action.kind());
        detail
    };
    assert_eq!(seen(healthy()).await.kind(), ErrorKind::NotFound);
    let stopped = seen(with(|facts| facts["services"] = json!({"vmms": "Stopped"}))).await;
    assert_eq!(stopped.kind(), ErrorKind::Remote);
    assert!(stopped.hint().unwrap().0.contains("Start-Service vmms"));
}

#[tokio::test(start_paused = true)]
async fn what_an_account_without_rights_does_not_see_is_not_gone() {
    let stranger = with(|facts| facts["isHyperVAdmin"] = json!(false));
    let (script, driver) = host(ok(stranger), ok(list_of(vec![vm(A, "a", 2)])));
    let record = json!({"v": 1, "messages": ["vmdeck:gone"], "fqid": "vmdeck:gone", "why": {"code": "gone", "facts": {"id": A}}});
    script.on("Set-State", err(record));
    driver.probe().await.unwrap();
    let error = driver
        .perform(&plan(ActionKind::Pause), &ProgressSink::unheard())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
}

#[tokio::test(start_paused = true)]
async fn actions_that_wait_for_their_jobs_do_not_keep_reading_from_going_on() {
    let (script, driver) = host(ok(healthy()), ok(list_of(vec![vm(A, "a", 2)])));
    script.on("Set-State", Answer::hang());
    driver.probe().await.unwrap();
    let driver = Arc::new(driver);
    let actions = (0..5).map(|_| {
        let driver = Arc::clone(&driver);
        async move {
            driver
                .perform(&plan(ActionKind::Save), &ProgressSink::unheard())
                .await
        }
    });
    let reading = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        driver.inventory(Scope::Fast).await
    };
    tokio::select! {
        _ = futures_util::future::join_all(actions) => panic!("the jobs never end"),
        read = reading => assert_eq!(read.unwrap().vms.len(), 1),
    }
}
