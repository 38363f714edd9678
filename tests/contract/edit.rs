//! What every driver must do about a VM's settings, on every host, whatever it is made of.

use vmdeck::domain::action::ActionKind;
use vmdeck::domain::edit::{Changes, EditRequest, VmSettings};
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::host::HypervisorKind;
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::text::RemoteText;
use vmdeck::domain::units::Bytes;
use vmdeck::domain::vm::{PowerState, VmId};
use vmdeck::hypervisor::{Drivers, Hypervisor, HypervisorError, ProgressSink};

use crate::driver_suite::{Bench, drivers, must, open, until, until_state};

async fn settings(driver: &dyn Hypervisor, vm: &VmId) -> VmSettings {
    driver.settings(vm).await.expect("the settings")
}

/// Changes a VM as the program would: from what its host tells now.
async fn change(
    bench: &dyn Bench,
    driver: &dyn Hypervisor,
    (state, changes): (PowerState, Changes),
) -> Result<EditRequest, HypervisorError> {
    let vm = bench.deaf();
    let was = settings(driver, &vm).await;
    let request = EditRequest::new(was, changes, state).expect("a change");
    let action = request.clone().into();
    let commands = drivers().commands(bench.kind(), &bench.spec(), &vm, &action)?;
    driver.perform(&commands, &ProgressSink::unheard()).await?;
    Ok(request)
}

/// Every setting of a VM that is off is changed, read back, and changed back.
async fn takes_every_setting(bench: &dyn Bench, driver: &dyn Hypervisor) {
    let vm = bench.deaf();
    let before = settings(driver, &vm).await;
    let (vcpus, memory) = (before.vcpus.expect("vCPUs"), before.memory.expect("memory"));
    let has_title = bench.kind() == HypervisorKind::Libvirt;
    assert_eq!(before.title.is_some(), has_title);
    assert_eq!(before.autostart, Some(false));
    // Words that mean something to a shell, to virsh and to PowerShell are words and nothing else.
    let odd = "--title it's; $(id) `x` \"q\" 100% {0}\nna\u{ef}ve \u{2603} @{x}";
    let wanted = Changes {
        vcpus: Some(vcpus + 1),
        memory: Some(Bytes(memory.0 + Bytes::from_mib(64).0)),
        autostart: Some(true),
        title: has_title.then(|| "--config; 'x' <&>".to_owned()),
        description: Some(odd.to_owned()),
    };
    let request = change(bench, driver, (PowerState::Stopped, wanted))
        .await
        .expect("a change");
    let after = settings(driver, &vm).await;
    assert!(request.is_met_by(&after), "{after:?}");
    assert!(
        after.vcpus_max.is_none_or(|most| most == vcpus + 1),
        "{after:?}"
    );
    until(driver, Scope::Full, &vm, "as it was set up", |vm| {
        vm.stats.vcpus == Some(vcpus + 1)
            && vm.facts.autostart == Some(true)
            && vm.facts.description == Some(RemoteText::new(odd))
    })
    .await;

    let back = Changes {
        vcpus: Some(vcpus),
        memory: Some(memory),
        autostart: Some(false),
        title: has_title.then(String::new),
        description: before
            .description
            .as_ref()
            .map(|text| text.raw().to_owned()),
    };
    change(bench, driver, (PowerState::Stopped, back))
        .await
        .expect("a change");
    assert_eq!(settings(driver, &vm).await, before);
}

/// What a VM that runs is set up with: libvirt keeps it for later, Hyper-V is not even asked.
async fn minds_what_runs(bench: &dyn Bench, driver: &dyn Hypervisor) {
    let vm = bench.deaf();
    let before = settings(driver, &vm).await;
    let vcpus = before.vcpus.expect("vCPUs");
    must(bench, driver, &vm, ActionKind::Start).await;
    until_state(driver, &vm, &PowerState::Running).await;
    let more = Changes {
        vcpus: Some(vcpus + 1),
        ..Changes::default()
    };
    let changed = change(bench, driver, (PowerState::Running, more)).await;
    let words = Changes {
        description: Some("while it runs".to_owned()),
        ..Changes::default()
    };
    let described = change(bench, driver, (PowerState::Running, words)).await;
    assert!(
        described
            .expect("a change")
            .is_met_by(&settings(driver, &vm).await)
    );
    match bench.kind() {
        HypervisorKind::Libvirt => {
            let request = changed.expect("a change");
            assert!(request.later().is_some());
            assert!(request.is_met_by(&settings(driver, &vm).await));
            let running = until_state(driver, &vm, &PowerState::Running).await;
            assert_eq!(running.stats.vcpus, Some(vcpus), "not before it was off");
        }
        HypervisorKind::HyperV => {
            let error = changed.expect_err("not while it runs");
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(
                error.to_string().contains("only while a VM is off"),
                "{error}"
            );
        }
    }
    must(bench, driver, &vm, ActionKind::ForceOff).await;
    until_state(driver, &vm, &PowerState::Stopped).await;
    let off = settings(driver, &vm).await;
    let text = before.description.expect("a description").raw().to_owned();
    let back = Changes {
        vcpus: Some(vcpus).filter(|count| off.vcpus != Some(*count)),
        description: Some(text),
        ..Changes::default()
    };
    change(bench, driver, (PowerState::Stopped, back))
        .await
        .expect("a change");
}

/// Settings are read, changed and read back, and what cannot be changed is told.
pub(crate) async fn takes_changes(bench: &dyn Bench) {
    if bench.lacks().contains(&ActionKind::Edit) {
        return;
    }
    let driver = open(bench).await;
    let driver = driver.as_ref();
    driver.inventory(Scope::Full).await.expect("an inventory");
    takes_every_setting(bench, driver).await;
    minds_what_runs(bench, driver).await;
    let nobody = VmId::parse("00000000-0000-4000-8000-000000000001").unwrap();
    let error = driver.settings(&nobody).await.expect_err("no such VM");
    assert!(
        matches!(error.kind(), ErrorKind::Remote | ErrorKind::NotFound),
        "{error}"
    );
    driver.close().await;
}
