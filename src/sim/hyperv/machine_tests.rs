//! Scripts on the model, through the evaluator: what a person would type on such a host.

use std::sync::Arc;

use crate::sim::hyperv::bench::{control, host_with, run};
use crate::sim::hyperv::faults::{Account, ModuleHealth, Provocation, WindowsFaults};
use crate::sim::hyperv::host::WinHost;
use crate::sim::hyperv::messages::Situation;

const VMS: &str = r#"
[[host.vm]]
name = "web"
id = "0a000000-0000-4000-8000-000000000001"
addresses = ["10.0.0.5", "fe80::1"]
notes = "the shop"
checkpoints = [{ name = "a", age_h = 5 }, { name = "b", parent = "a", age_h = 3 }, { name = "c", parent = "a", age_h = 1 }]
current = "b"
[[host.vm]]
name = "web"
id = "0a000000-0000-4000-8000-000000000002"
state = "off"
generation = 1
[[host.vm]]
name = "a[b]*"
id = "0a000000-0000-4000-8000-000000000003"
state = "saved"
[[host.vm]]
name = "deaf"
id = "0a000000-0000-4000-8000-000000000004"
obeys_shutdown = false
[[host.vm]]
name = "bare"
id = "0a000000-0000-4000-8000-000000000005"
guest_services = false
"#;

const FIRST: &str = "0a000000-0000-4000-8000-000000000001";
const SECOND: &str = "0a000000-0000-4000-8000-000000000002";

fn bench(keys: &str) -> Arc<WinHost> {
    host_with(keys, VMS)
}

/// What a script prints, a line each.
fn lines(host: &Arc<WinHost>, script: &str) -> Vec<String> {
    let ran = run(host, script);
    assert_eq!(ran.code, 0, "{script}\n{}\n{}", ran.out, ran.err);
    ran.out.lines().map(str::to_owned).collect()
}

/// What `catch` sees of an error.
fn caught(host: &Arc<WinHost>, script: &str) -> String {
    let script = format!(
        "$ErrorActionPreference='Stop'; try {{ {script}; 'nothing' }} catch {{ \"$($_.FullyQualifiedErrorId)|$($_.CategoryInfo.Category)|$($_.Exception.Message)\" }}"
    );
    lines(host, &script).join("\n")
}

#[test]
fn a_vm_is_an_object_with_numbers_and_names() {
    let host = bench("");
    let script = format!(
        "$vm = Hyper-V\\Get-VM -Id ([guid]'{FIRST}'); [int]$vm.State; \"$($vm.State)\"; $vm.Name; [string]$vm.Id; $vm.Notes; [long]$vm.MemoryStartup; [int]$vm.Generation; [bool]$vm.DynamicMemoryEnabled; $vm.ParentSnapshotName; @($vm.NetworkAdapters)[0].IPAddresses[1]; [int]$vm.AutomaticStartAction; \"$vm\""
    );
    assert_eq!(
        lines(&host, &script),
        [
            "2",
            "Running",
            "web",
            FIRST,
            "the shop",
            "2147483648",
            "2",
            "False",
            "b",
            "fe80::1",
            "3",
            &format!("VirtualMachine (Name = 'web') [Id = '{FIRST}']"),
        ]
    );
}

#[test]
fn names_repeat_and_are_patterns() {
    let host = bench("");
    let count = |name: &str| lines(&host, &format!("@(Get-VM -Name {name}).Count"));
    assert_eq!(count("web"), ["2"]);
    assert_eq!(count("'*'"), ["5"]);
    assert_eq!(count("'WE?'"), ["2"]);
    assert_eq!(
        count("'nothing*'"),
        ["0"],
        "a pattern that fits nothing is no error"
    );
    assert!(
        caught(&host, "Get-VM -Name 'a[b]*'").starts_with("nothing"),
        "its own name as a pattern does not fit it"
    );
    assert_eq!(
        caught(&host, "Hyper-V\\Get-VM -Name nobody"),
        "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM|InvalidArgument|Hyper-V was unable to find a virtual machine with name \"nobody\"."
    );
    assert!(caught(&host, "Hyper-V\\Start-VM -Name nobody").starts_with(
        "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.StartVM|ObjectNotFound|"
    ));
}

#[test]
fn cmdlets_wait_until_it_is_done() {
    let host = bench("timing = \"realistic\"");
    let script = format!(
        "$vm = Get-VM -Id '{SECOND}'; Start-VM -VM $vm; \"$((Get-VM -Id '{SECOND}').State)\"; Suspend-VM -VM $vm; \"$((Get-VM -Id '{SECOND}').State)\"; Resume-VM -VM $vm; Save-VM -VM $vm; \"$((Get-VM -Id '{SECOND}').State)\"; Start-VM -VM $vm -Passthru | ForEach-Object {{ \"$($_.State)\" }}; Stop-VM -VM $vm -TurnOff -Force -Confirm:$false; \"$((Get-VM -Id '{SECOND}').State)\""
    );
    assert_eq!(
        lines(&host, &script),
        ["Running", "Paused", "Saved", "Running", "Off"]
    );
}

#[test]
fn stopping_depends_on_the_guest() {
    let host = bench("");
    assert_eq!(
        caught(&host, &format!("Stop-VM -VM (Get-VM -Id '{FIRST}')")),
        "nothing"
    );
    assert_eq!(
        lines(&host, &format!("\"$((Get-VM -Id '{FIRST}').State)\"")),
        ["Off"]
    );
    assert_eq!(
        caught(&host, "Stop-VM -Name deaf"),
        "OperationFailed,Microsoft.HyperV.PowerShell.Commands.StopVM|NotSpecified|Failed to stop."
    );
    assert_eq!(
        caught(&host, "Stop-VM -Name bare"),
        "InvalidOperation,Microsoft.HyperV.PowerShell.Commands.StopVM|InvalidOperation|Windows PowerShell is in NonInteractive mode. Read and Prompt functionality is not available."
    );
    assert_eq!(caught(&host, "Stop-VM -Name deaf,bare -Force"), "nothing");
    assert_eq!(
        lines(
            &host,
            "Get-VM -Name deaf,bare | ForEach-Object { \"$($_.State)\" }"
        ),
        ["Off", "Off"]
    );
}

#[test]
fn what_would_ask_fails() {
    let host = bench("");
    let prompt = "InvalidOperation|Windows PowerShell is in NonInteractive mode.";
    let restore = format!(
        "Restore-VMSnapshot -VMSnapshot (Get-VMSnapshot -VM (Get-VM -Id '{FIRST}') -Name a)"
    );
    assert!(caught(&host, &restore).contains(prompt));
    assert!(caught(&host, "Restart-VM -Name deaf").contains(prompt));
    assert_eq!(
        caught(&host, &format!("{restore} -Confirm:$false")),
        "nothing"
    );
    assert_eq!(
        lines(
            &host,
            &format!("$vm = Get-VM -Id '{FIRST}'; $vm.ParentSnapshotName; \"$($vm.State)\"")
        ),
        ["a", "Off"]
    );
}

#[test]
fn every_situation_has_its_error_in_both_languages() {
    for (keys, english) in [("", true), ("language = \"de\"", false)] {
        let host = bench(keys);
        let control = control(&host);
        for situation in Situation::ALL {
            control.provoke(Provocation {
                on: "Start-VM".to_owned(),
                error: situation,
                times: Some(1),
                at_once: false,
            });
            let said = caught(
                &host,
                &format!("Hyper-V\\Start-VM -VM (Hyper-V\\Get-VM -Id '{SECOND}')"),
            );
            assert!(
                said.contains(",Microsoft.HyperV.PowerShell.Commands.StartVM|"),
                "{situation:?}: {said}"
            );
            if situation == Situation::OutOfMemory {
                assert!(said.starts_with("OutOfMemory,"), "{said}");
                assert_eq!(
                    said.contains("with ram size 2048 megabytes."),
                    english,
                    "{said}"
                );
            }
        }
    }
}

#[test]
fn settings_follow_the_state() {
    let host = bench("");
    assert!(
        caught(&host, "Set-VM -Name deaf -ProcessorCount 4")
            .starts_with("InvalidState,Microsoft.HyperV.PowerShell.Commands.SetVM|InvalidOperation|Modifying the properties of 'deaf' failed.")
    );
    assert_eq!(
        caught(
            &host,
            "Set-VM -Name deaf -AutomaticStartAction Start -Notes 'new'"
        ),
        "nothing"
    );
    assert_eq!(
        lines(
            &host,
            "$vm = Get-VM -Name deaf; \"$($vm.AutomaticStartAction) $($vm.Notes) $($vm.ProcessorCount)\""
        ),
        ["Start new 2"]
    );
    control(&host).set_faults(WindowsFaults {
        no_effect: vec!["Set-VM".to_owned()],
        ..WindowsFaults::default()
    });
    assert_eq!(
        caught(&host, "Set-VM -Name deaf -AutomaticStartAction Nothing"),
        "nothing"
    );
    assert_eq!(
        lines(&host, "\"$((Get-VM -Name deaf).AutomaticStartAction)\""),
        ["Start"]
    );
}

#[test]
fn checkpoints_disks_and_services_are_listed() {
    let host = bench("");
    let script = format!(
        "$vm = Get-VM -Id '{FIRST}'; foreach ($c in Get-VMSnapshot -VM $vm) {{ \"$($c.Name) < $($c.ParentSnapshotName)\" }}; $d = @(Get-VMHardDiskDrive -VM $vm)[0]; \"$($d.ControllerType)\"; $p = $d.Path; while ($p) {{ $v = Get-VHD -Path $p; \"$($v.VhdType)\"; $p = $v.ParentPath }}; @(Get-VMIntegrationService -VM $vm | Where-Object {{ $_.Id -like '*9F8233AC-BE49-4C79-8EE3-E7E1985B2077' }})[0].Enabled"
    );
    assert_eq!(
        lines(&host, &script),
        [
            "a < ",
            "b < a",
            "c < a",
            "SCSI",
            "Differencing",
            "Differencing",
            "Dynamic",
            "True"
        ]
    );
    assert!(caught(&host, "Get-VHD -Path 'C:\\none.vhdx'").starts_with("ObjectNotFound,"));
}

#[test]
fn state_changes_through_wmi_start_jobs() {
    let host = bench("");
    let script = format!(
        "$n='root\\virtualization\\v2'; $s = Get-CimInstance -Namespace $n -ClassName Msvm_ComputerSystem -Filter \"Name='{SECOND}'\"; $r = Invoke-CimMethod -InputObject $s -MethodName RequestStateChange -Arguments @{{RequestedState=[uint16]2}}; [long]$r.ReturnValue; $id = $r.Job.InstanceID; do {{ Start-Sleep -Milliseconds 20; $j = Get-CimInstance -Namespace $n -ClassName Msvm_ConcreteJob -Filter \"InstanceID='$id'\" }} while ($j.JobState -lt 7); [int]$j.JobState; [int]$j.PercentComplete; $s = Get-CimInstance -InputObject $s; [int]$s.EnabledState; (Invoke-CimMethod -InputObject $s -MethodName RequestStateChange -Arguments @{{RequestedState=2}}).ReturnValue"
    );
    assert_eq!(lines(&host, &script), ["4096", "7", "100", "2", "32775"]);
}

#[test]
fn mistakes_in_wmi_are_errors() {
    let host = bench("");
    let code = |script: &str| {
        let said = caught(&host, script);
        said.split(',').next().unwrap_or_default().to_owned()
    };
    let system =
        "(Get-CimInstance -Namespace root/virtualization/v2 -ClassName Msvm_ComputerSystem)[1]";
    assert_eq!(
        code("Get-CimInstance -Namespace root\\nothing -ClassName X"),
        "HRESULT 0x8004100e"
    );
    assert_eq!(
        code("Get-CimInstance -ClassName Msvm_ComputerSystem"),
        "HRESULT 0x80041010"
    );
    assert_eq!(
        code("Get-CimInstance -Query 'SELECT Nme FROM Win32_OperatingSystem'"),
        "HRESULT 0x80041017"
    );
    assert_eq!(
        code(&format!(
            "Invoke-CimMethod -InputObject {system} -MethodName Explode"
        )),
        "HRESULT 0x8004102e"
    );
    assert_eq!(
        code(&format!(
            "Invoke-CimMethod -InputObject {system} -MethodName RequestStateChange -Arguments @{{State=2}}"
        )),
        "HRESULT 0x8004102f"
    );
    let partial = "(Get-CimInstance -Namespace root/virtualization/v2 -Query 'SELECT Name FROM Msvm_ComputerSystem')[1]";
    assert_eq!(
        code(&format!(
            "Invoke-CimMethod -InputObject {partial} -MethodName RequestStateChange -Arguments @{{RequestedState=2}}"
        )),
        "HRESULT 0x80041008",
        "an object without its keys cannot be called"
    );
}

#[test]
fn watchers_tell_late_and_miss_what_is_short() {
    let host = bench("");
    let register = "Register-CimIndicationEvent -Namespace root\\virtualization\\v2 -SourceIdentifier hv -Query \"SELECT * FROM __InstanceModificationEvent WITHIN 2 WHERE TargetInstance ISA 'Msvm_ComputerSystem' AND TargetInstance.EnabledState <> PreviousInstance.EnabledState\"";
    let script = format!(
        "{register}; $vm = Get-VM -Id '{SECOND}'; Start-VM -VM $vm; $e = Wait-Event -SourceIdentifier hv -Timeout 10; [int]$e.SourceEventArgs.NewEvent.PreviousInstance.EnabledState; [int]$e.SourceEventArgs.NewEvent.TargetInstance.EnabledState; Remove-Event -SourceIdentifier hv; Suspend-VM -VM $vm; Resume-VM -VM $vm; @(Wait-Event -SourceIdentifier hv -Timeout 5).Count; Unregister-Event -SourceIdentifier hv"
    );
    assert_eq!(
        lines(&host, &script),
        ["3", "2", "0"],
        "Starting came and went between two looks, and so did Paused"
    );
    control(&host).set_faults(WindowsFaults {
        dead_watchers: true,
        ..WindowsFaults::default()
    });
    let script = format!(
        "{register}; Stop-VM -Name web -TurnOff; @(Wait-Event -SourceIdentifier hv -Timeout 5).Count"
    );
    assert_eq!(lines(&host, &script), ["0"]);
}

#[test]
fn modules_may_be_missing_unloadable_or_of_somebody_else() {
    let host = bench("");
    let control = control(&host);
    let health = |module, vmware_module| {
        control.set_faults(WindowsFaults {
            module,
            vmware_module,
            ..WindowsFaults::default()
        });
    };
    let listed = |host: &Arc<WinHost>| {
        lines(
            host,
            "@(Get-Module -ListAvailable -Name Hyper-V).Count -gt 0",
        )
    };
    assert_eq!(listed(&host), ["True"]);
    health(ModuleHealth::Missing, false);
    assert_eq!(listed(&host), ["False"]);
    assert!(
        caught(&host, "Get-VM")
            .starts_with("CommandNotFoundException|ObjectNotFound|The term 'Get-VM'")
    );
    health(ModuleHealth::Unloadable, false);
    assert!(
        caught(&host, "Hyper-V\\Get-VM").starts_with("CouldNotAutoloadMatchingModule|ObjectNotFound|The 'Get-VM' command was found in the module 'Hyper-V'")
    );
    health(ModuleHealth::Present, true);
    assert!(caught(&host, "Get-VM").contains("You are not currently connected to any servers"));
    assert_eq!(caught(&host, "$null = Hyper-V\\Get-VM"), "nothing");
}

#[test]
fn accounts_differ_in_what_they_may() {
    let host = bench("");
    let control = control(&host);
    let member = "([Security.Principal.WindowsIdentity]::GetCurrent()).Groups | ForEach-Object { $_.Value } | Where-Object { $_ -like 'S-1-5-32-5[47]*' -and $_ -ne 'S-1-5-32-545' }";
    for (account, groups) in [
        (Account::Administrator, vec!["S-1-5-32-544"]),
        (Account::HyperVAdministrator, vec!["S-1-5-32-578"]),
        (Account::Neither, vec![]),
    ] {
        control.set_faults(WindowsFaults {
            account,
            ..WindowsFaults::default()
        });
        assert_eq!(lines(&host, member), groups, "{account:?}");
    }
    assert_eq!(
        caught(&host, "Get-VM"),
        "Unspecified,Microsoft.HyperV.PowerShell.Commands.GetVM|NotSpecified|You do not have the required permission to complete this task. Contact the administrator of the authorization policy for the computer 'hv1'."
    );
    assert_eq!(
        lines(
            &host,
            "@(Get-CimInstance -Namespace root\\virtualization\\v2 -ClassName Msvm_ComputerSystem).Count"
        ),
        ["0"]
    );
}

#[test]
fn a_stopped_service_is_told() {
    let host = bench("");
    control(&host).set_faults(WindowsFaults {
        service_stopped: true,
        ..WindowsFaults::default()
    });
    assert_eq!(
        lines(&host, "\"$((Get-Service vmms).Status)\""),
        ["Stopped"]
    );
    assert!(
        caught(&host, "Get-VM").starts_with("ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM|ObjectNotFound|Hyper-V encountered an error trying to access an object on computer 'hv1'")
    );
    assert!(caught(&host, "Get-Service nothing").starts_with("NoServiceFoundForGivenName,"));
}

#[test]
fn a_restart_of_the_service_fails_what_it_interrupts() {
    let host = bench("timing = \"realistic\"");
    let restarting = Arc::clone(&host);
    // The evaluator asks the world on its own thread; the restart is due while the cmdlet waits.
    restarting.world(|world| world.restart_service_at(world.t() + 3.0));
    assert!(
        caught(&host, &format!("Start-VM -VM (Get-VM -Id '{SECOND}')")).starts_with(
            "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.StartVM|ObjectNotFound|"
        )
    );
    assert_eq!(
        lines(
            &host,
            &format!("Start-Sleep -Seconds 20; \"$((Get-VM -Id '{SECOND}').State)\"")
        ),
        ["Running"],
        "the VM starts all the same"
    );
}

#[test]
fn seven_on_an_old_system_gets_data_without_behaviour() {
    let host = bench("windows = \"2016\"\npowershell = \"7\"");
    assert_eq!(
        lines(
            &host,
            "$vm = @(Hyper-V\\Get-VM -Name deaf)[0]; $vm.State.GetType().Name; $vm.State"
        ),
        ["String", "Running"]
    );
    assert!(
        caught(
            &host,
            "Hyper-V\\Stop-VM -VM (Hyper-V\\Get-VM -Name deaf) -TurnOff"
        )
        .starts_with("CannotConvertArgumentNoMessage,")
    );
    let host = bench("windows = \"2019\"\npowershell = \"7\"");
    assert_eq!(
        lines(&host, "(Hyper-V\\Get-VM -Name deaf).State.GetType().Name"),
        ["VMState"]
    );
}

#[test]
fn a_new_vm_is_one_of_the_host_from_then_on() {
    let host = bench("");
    let made = "$vm = Hyper-V\\New-VM -Name 'fresh' -Generation 2 -MemoryStartupBytes 1GB -NewVHDPath 'C:\\Hyper-V\\fresh.vhdx' -NewVHDSizeBytes 10GB -SwitchName 'LAN' -Confirm:$false; \
         \"$($vm.State)|$($vm.Generation)|$($vm.MemoryStartup)|$(@($vm.HardDrives).Count)|$(@($vm.NetworkAdapters)[0].SwitchName)\"; \
         (Hyper-V\\Get-VHD -Path 'C:\\Hyper-V\\fresh.vhdx').Size; \
         Hyper-V\\Start-VM -VM $vm -Confirm:$false; \"$((Hyper-V\\Get-VM -Id $vm.Id).State)\"";
    assert_eq!(
        lines(&host, made),
        ["Off|2|1073741824|1|LAN", "10737418240", "Running"]
    );
    let plain = "$vm = Hyper-V\\New-VM; \"$($vm.Name)|$($vm.Generation)|$($vm.MemoryStartup)|$(@($vm.HardDrives).Count)\"";
    assert_eq!(lines(&host, plain), ["New Virtual Machine|1|536870912|0"]);
    // The same name again is another VM, until there are several.
    let again =
        "(Hyper-V\\New-VM -Name 'fresh' -NoVHD).Id -ne (Hyper-V\\Get-VM -Name 'fresh')[0].Id";
    assert_eq!(lines(&host, again), ["True"]);
    assert_eq!(
        caught(&host, "Hyper-V\\New-VM -Name 'Fresh' -NoVHD"),
        "InvalidOperation,Microsoft.HyperV.PowerShell.Commands.NewVM|InvalidOperation|Sequence contains more than one element"
    );
    assert_eq!(control(&host).vms().len(), 8);
}

#[test]
fn a_new_vm_needs_paths_that_can_be() {
    let host = bench("");
    let before = control(&host).vms().len();
    for wrong in [
        "-Path 'Q:\\nowhere' -NoVHD",
        "-Path 'relative' -NoVHD",
        "-NewVHDPath 'Q:\\x.vhdx'",
        "-VHDPath 'C:\\Hyper-V\\nobody.vhdx'",
    ] {
        let said = caught(&host, &format!("Hyper-V\\New-VM -Name 'x' {wrong}"));
        assert!(
            said.starts_with(
                "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.NewVM|ObjectNotFound|"
            ) && said.contains("(0x80070003)"),
            "{wrong}: {said}"
        );
    }
    for (wrong, id) in [
        ("-NoVHD -VHDPath 'C:\\x.vhdx'", "AmbiguousParameterSet"),
        ("-Generation 3", "ParameterArgumentValidationError"),
        (
            "-MemoryStartupBytes 'much'",
            "CannotConvertArgumentNoMessage",
        ),
    ] {
        let said = caught(&host, &format!("Hyper-V\\New-VM -Name 'x' {wrong}"));
        assert!(said.starts_with(id), "{wrong}: {said}");
    }
    assert_eq!(control(&host).vms().len(), before);
}
